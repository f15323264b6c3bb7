//! `type = "aws-lambda"`: a function of AWS, by the address of its own or by the Invoke API.

use super::function;
use crate::config::field::Field;
use crate::config::model::{Auth, Aws, AwsCredentials, AwsIot, Compression, Content, Http};
use crate::config::reader::Section;
use crate::config::{schema, secrets, tls};
use reqwest::Url;

const REGION: &str = "write region = \"eu-west-1\", the region that the function is in";

pub(super) fn read(section: Section<'_>) -> Option<Http> {
    section.get("type");
    let (url, named) = (section.get("url"), section.get("function"));
    match (&url, &named) {
        (Some(url), Some(_)) => url.bad("stands beside `function`", "keep one: both name the function"),
        (None, None) => section
            .require("url", "url = \"https://….lambda-url.eu-west-1.on.aws/\", or function = \"ingest\""),
        _ => {}
    }
    let endpoint = section.get("endpoint").map(|field| function::address(&field));
    let region = section.get("region").map(|field| function::header_text(&field));
    let target = match (url, named) {
        (Some(field), _) => function::address(&field).map(|url| {
            let region = region_of_url(&url);
            (field, url, region, Content::LambdaUrl)
        }),
        (None, Some(field)) => name(&field).map(|name| {
            let region = region_of_arn(&name);
            (field, name, region, Content::LambdaInvoke)
        }),
        (None, None) => None,
    };
    let auth = section.get("auth").map_or(Some(Some(AwsCredentials::Environment)), |field| auth(&field));
    let content = target.as_ref().map_or(Content::LambdaUrl, |(.., content)| *content);
    let http = function::read(&section, content, function::ca(&section));
    if let (Content::LambdaInvoke, true, Some(field)) =
        (content, http.compression != Compression::None, section.get("compression"))
    {
        field.bad(
            "is not possible with `function`",
            "the Invoke API takes JSON as it is: remove it, or use the function's `url`",
        );
    }
    let (place, target, known, _) = match target {
        Some(target) => target,
        None => {
            section.finish();
            return None;
        }
    };
    if known.is_none() && region.is_none() {
        place.bad("does not say in which region the function is", REGION);
    }
    section.finish();
    let region = region.unwrap_or(known)?;
    let url = match content {
        Content::LambdaInvoke => invoke_url(endpoint, &region, &target)?,
        _ => target,
    };
    let auth = match auth? {
        Some(credentials) => Auth::Aws(Aws { region, credentials }),
        None => Auth::None,
    };
    Some(Http { url, auth, ..http })
}

/// Lambda API reference, "Invoke": the name stands in the path.
fn invoke_url(endpoint: Option<Option<String>>, region: &str, name: &str) -> Option<String> {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let base = match endpoint {
        Some(endpoint) => endpoint?,
        None => format!("https://lambda.{region}.{domain}"),
    };
    let name = name.replace(':', "%3A").replace('$', "%24");
    Some(format!("{}/2015-03-31/functions/{name}/invocations", base.trim_end_matches('/')))
}

/// `ID.lambda-url.REGION.on.aws`.
fn region_of_url(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let rest = url.host_str()?.strip_suffix(".on.aws")?;
    let (_, region) = rest.split_once(".lambda-url.")?;
    Some(region.to_owned())
}

/// `arn:aws:lambda:REGION:ACCOUNT:function:NAME`.
fn region_of_arn(name: &str) -> Option<String> {
    let mut parts = name.split(':');
    (parts.next() == Some("arn")).then(|| parts.nth(2).map(str::to_owned))?
}

/// A name, a partial or a full ARN, with a version or an alias where one is wanted.
fn name(field: &Field<'_>) -> Option<String> {
    let name = field.filled()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '$');
    if name.len() > 170 || !name.chars().all(plain) {
        field.bad(
            "is not the name of a Lambda function",
            "write its name or its ARN: \"arn:aws:lambda:eu-west-1:123456789012:function:ingest\"",
        );
        return None;
    }
    Some(name.to_owned())
}

/// The credentials; `Some(None)` where the function asks for none.
fn auth(field: &Field<'_>) -> Option<Option<AwsCredentials>> {
    if field.value.as_str() == Some("none") {
        return Some(None);
    }
    let example = "auth = { access_key_id = \"AKIA…\", secret_access_key = { file = \"aws-secret\" } }, or auth = \"none\"";
    let section = field.section(&schema::AUTH_AWS, example)?;
    let (id, secret) = (section.get("access_key_id"), section.get("secret_access_key"));
    let session = section.get("session_token");
    let (file, profile, iot) = (section.get("credentials_file"), section.get("profile"), section.get("iot"));
    let keys = id.is_some() || secret.is_some();
    if [keys, file.is_some(), iot.is_some()].into_iter().filter(|given| *given).count() > 1 {
        field.bad("has more than one way", "keep one of access_key_id, credentials_file and iot");
    }
    if !keys && file.is_none() && iot.is_none() && !section.has_unknown() {
        field.bad("names no credentials", "write access_key_id and secret_access_key, credentials_file, or iot; without `auth` they come from the environment");
    }
    let credentials = if let Some(iot) = iot {
        of_iot(&iot).map(AwsCredentials::Iot)
    } else if let Some(file) = file {
        let profile = profile.map_or(Some("default"), |field| field.filled());
        file.filled().zip(profile).map(|(path, profile)| AwsCredentials::File {
            path: section.cx.path(path),
            profile: profile.to_owned(),
        })
    } else if keys {
        section.require("access_key_id", "access_key_id = \"AKIA…\"");
        section.require("secret_access_key", "secret_access_key = { file = \"aws-secret\" }");
        let id = id.and_then(|field| function::header_text(&field));
        let secret = secret.and_then(|field| secrets::read(&field));
        let session = session.map(|field| secrets::read(&field));
        match (id, secret, session) {
            (Some(id), Some(secret), None) => Some(AwsCredentials::Keys { id, secret, session: None }),
            (Some(id), Some(secret), Some(Some(session))) => {
                Some(AwsCredentials::Keys { id, secret, session: Some(session) })
            }
            _ => None,
        }
    } else {
        None
    };
    section.finish();
    credentials.map(Some)
}

fn of_iot(field: &Field<'_>) -> Option<AwsIot> {
    let example = "iot = { endpoint = \"….credentials.iot.eu-west-1.amazonaws.com\", role_alias = \"…\", cert = \"…\", key = \"…\" }";
    let section = field.section(&schema::AUTH_IOT, example)?;
    let endpoint =
        function::text(&section, "endpoint", "c2sakl5huz0afv.credentials.iot.eu-west-1.amazonaws.com");
    let role_alias = function::text(&section, "role_alias", "tidegate-invoke");
    let thing = section.get("thing").and_then(|field| function::header_text(&field));
    section.require("cert", "cert = \"device.pem.crt\"");
    section.require("key", "key = \"private.pem.key\"");
    let tls = tls::read(&section);
    section.finish();
    Some(AwsIot { endpoint: endpoint?, role_alias: role_alias?, thing, tls: tls? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions() {
        let url = "https://abc.lambda-url.eu-west-1.on.aws/";
        assert_eq!(region_of_url(url).as_deref(), Some("eu-west-1"));
        assert_eq!(region_of_url("https://ingest.example/"), None);
        let arn = "arn:aws:lambda:us-east-2:123456789012:function:ingest:live";
        assert_eq!(region_of_arn(arn).as_deref(), Some("us-east-2"));
        assert_eq!(region_of_arn("ingest"), None);
    }

    #[test]
    fn the_name_stands_in_the_path() {
        let url = |region, name| invoke_url(None, region, name).unwrap();
        let path = "/2015-03-31/functions";
        assert_eq!(
            url("eu-west-1", "ingest"),
            format!("https://lambda.eu-west-1.amazonaws.com{path}/ingest/invocations")
        );
        assert_eq!(
            url("cn-north-1", "arn:aws-cn:lambda:cn-north-1:1:function:i"),
            format!(
                "https://lambda.cn-north-1.amazonaws.com.cn{path}/arn%3Aaws-cn%3Alambda%3Acn-north-1%3A1%3Afunction%3Ai/invocations"
            )
        );
    }
}
