//! `type = "google"`: Cloud Functions and Cloud Run.

use super::function;
use crate::config::field::Field;
use crate::config::model::{Auth, Content, Google, Http, Secret};
use crate::config::reader::Section;
use crate::config::schema;
use reqwest::Url;

pub(super) fn read(section: Section<'_>) -> Option<Http> {
    section.get("type");
    let url = function::url(&section, "https://ingest-abc-ew.a.run.app");
    let audience = section.get("audience").and_then(|field| function::header_text(&field));
    let named = audience.or_else(|| url.as_deref().and_then(audience_of));
    let google = |key| Some(Auth::Google(Google { key, audience: named.clone()? }));
    let auth = match section.get("auth") {
        Some(field) if field.value.as_str() == Some("none") => Some(Auth::None),
        Some(field) => key(&field).and_then(|key| google(Some(key))),
        None => google(None),
    };
    if let Some(auth) = &auth {
        function::warn_of_plain_http(&section, auth);
    }
    let http = function::read(&section, Content::Structured, function::ca(&section));
    section.finish();
    Some(Http { url: url?, auth: auth?, ..http })
}

/// What a token is for where nobody says it: a Cloud Run service as a whole, a function by its path (Cloud Run,
/// "Authenticating service-to-service"; Cloud Run functions, "Authenticate for invocation").
fn audience_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let path = if host.ends_with(".run.app") { "" } else { url.path().trim_end_matches('/') };
    Some(format!("{}://{host}{port}{path}", url.scheme()))
}

fn key(field: &Field<'_>) -> Option<Secret> {
    let section =
        field.section(&schema::AUTH_GOOGLE, "auth = { service_account = { file = \"key.json\" } }")?;
    let key = function::secret(&section, "service_account");
    section.finish();
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_token_is_for() {
        let check = |url: &str, audience: &str| assert_eq!(audience_of(url).as_deref(), Some(audience));
        check("https://ingest-abc-ew.a.run.app/path?x=1", "https://ingest-abc-ew.a.run.app");
        check(
            "https://europe-west1-p.cloudfunctions.net/ingest",
            "https://europe-west1-p.cloudfunctions.net/ingest",
        );
        check("http://127.0.0.1:8080/", "http://127.0.0.1:8080");
    }
}
