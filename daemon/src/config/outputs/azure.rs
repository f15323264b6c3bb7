//! `type = "azure"`: a function of Azure, by its key or by Microsoft Entra.

use super::function;
use crate::config::field::Field;
use crate::config::model::{Auth, Content, Http, OAuth2};
use crate::config::reader::Section;
use crate::config::{schema, secrets};

/// Where Entra gives out tokens.
const LOGIN: &str = "https://login.microsoftonline.com";

pub(super) fn read(section: Section<'_>) -> Option<Http> {
    section.get("type");
    let url = function::url(&section, "https://APP.azurewebsites.net/api/ingest");
    let auth = section.get("auth").map_or(Some(Auth::None), |field| auth(&field));
    if let Some(auth) = &auth {
        function::warn_of_plain_http(&section, auth);
    }
    let http = function::read(&section, Content::Structured, function::ca(&section));
    section.finish();
    Some(Http { url: url?, auth: auth?, ..http })
}

fn auth(field: &Field<'_>) -> Option<Auth> {
    let section =
        field.section(&schema::AUTH_AZURE, "auth = { function_key = { file = \"function-key\" } }")?;
    let (key, entra) = (section.get("function_key"), section.get("entra"));
    match (&key, &entra) {
        (Some(_), Some(_)) => field.bad("has more than one way", "keep one of function_key and entra"),
        (None, None) if !section.has_unknown() => {
            field
                .bad("is empty", "write auth = { function_key = { file = \"function-key\" } }, or remove it");
        }
        _ => {}
    }
    section.finish();
    match (key, entra) {
        // Azure Functions, "Work with access keys": the key stands in this header or in the query.
        (Some(key), _) => {
            secrets::read(&key).map(|value| Auth::Header { name: "x-functions-key".into(), value })
        }
        (None, Some(entra)) => of_entra(&entra).map(Auth::OAuth2),
        (None, None) => None,
    }
}

/// Microsoft identity platform, "OAuth 2.0 client credentials flow": the secret stands in the form, and the scope is the
/// application's identifier with `/.default`.
fn of_entra(field: &Field<'_>) -> Option<OAuth2> {
    let example = "entra = { tenant = \"…\", client_id = \"…\", client_secret = { file = \"…\" }, scope = \"api://…/.default\" }";
    let section = field.section(&schema::AUTH_ENTRA, example)?;
    let tenant = function::text(&section, "tenant", "contoso.onmicrosoft.com");
    let client_id = function::text(&section, "client_id", "00000000-0000-0000-0000-000000000000");
    let client_secret = function::secret(&section, "client_secret");
    let scope = function::text(&section, "scope", "api://APPLICATION/.default");
    let login = section.get("login_url").map_or(Some(LOGIN.to_owned()), |field| function::address(&field));
    section.finish();
    let (login, tenant) = (login?, tenant?);
    Some(OAuth2 {
        token_url: format!("{}/{tenant}/oauth2/v2.0/token", login.trim_end_matches('/')),
        client_id: client_id?,
        client_secret: client_secret?,
        scope: Some(scope?),
        audience: None,
        secret_in_body: true,
    })
}
