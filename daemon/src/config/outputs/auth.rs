//! `auth` of `type = "http"`: one of several ways.

use super::function;
use crate::config::field::Field;
use crate::config::model::{Auth, Hmac, OAuth2};
use crate::config::{schema, secrets};

const WAYS: [&str; 5] = ["bearer", "basic", "header", "hmac", "oauth2"];

pub(super) fn read(field: &Field<'_>) -> Option<Auth> {
    let section = field.section(&schema::AUTH_HTTP, "auth = { bearer = { file = \"token\" } }")?;
    let [bearer, basic, header, hmac, oauth2] = WAYS.map(|way| section.get(way));
    let given = [&bearer, &basic, &header, &hmac, &oauth2].into_iter().flatten().count();
    if given > 1 {
        field.bad("has more than one way", "keep one of bearer, basic, header, hmac and oauth2");
    }
    if given == 0 && !section.has_unknown() {
        field.bad("is empty", "write auth = { bearer = { file = \"token\" } }, or remove it");
    }
    section.finish();
    if let Some(field) = bearer {
        return secrets::read(&field).map(Auth::Bearer);
    }
    if let Some(field) = basic {
        return basic_of(&field);
    }
    if let Some(field) = header {
        return header_of(&field);
    }
    if let Some(field) = hmac {
        return hmac_of(&field).map(Auth::Hmac);
    }
    oauth2_of(&oauth2?).map(Auth::OAuth2)
}

fn basic_of(field: &Field<'_>) -> Option<Auth> {
    let example = "basic = { username = \"pi\", password = { file = \"password\" } }";
    let section = field.section(&schema::AUTH_BASIC, example)?;
    section.require("username", "username = \"pi\"");
    let user = section.get("username").and_then(|field| user(&field));
    let password = function::secret(&section, "password");
    section.finish();
    Some(Auth::Basic { user: user?, password: password? })
}

/// A user name ends at the first colon (RFC 7617 §2).
fn user(field: &Field<'_>) -> Option<String> {
    let user = field.filled()?;
    if user.contains(':') || user.chars().any(char::is_control) {
        field.bad("cannot be a user name here", "write it without `:` and without control characters");
        return None;
    }
    Some(user.to_owned())
}

fn header_of(field: &Field<'_>) -> Option<Auth> {
    let example = "header = { name = \"x-api-key\", value = { file = \"key\" } }";
    let section = field.section(&schema::AUTH_HEADER, example)?;
    section.require("name", "name = \"x-api-key\"");
    let name = section.get("name").and_then(|field| name(&field));
    let value = function::secret(&section, "value");
    section.finish();
    Some(Auth::Header { name: name?, value: value? })
}

fn hmac_of(field: &Field<'_>) -> Option<Hmac> {
    let section = field.section(&schema::AUTH_HMAC, "hmac = { secret = { file = \"hmac-key\" } }")?;
    let secret = function::secret(&section, "secret");
    let header = section.get("header").map_or(Some("x-signature-256".into()), |field| name(&field));
    let prefix = section.get("prefix").map_or(Some("sha256=".to_owned()), |field| match field.text() {
        Some("") => Some(String::new()),
        _ => function::header_text(&field),
    });
    section.finish();
    Some(Hmac { secret: secret?, header: header?, prefix: prefix? })
}

fn oauth2_of(field: &Field<'_>) -> Option<OAuth2> {
    let example =
        "oauth2 = { token_url = \"https://…\", client_id = \"…\", client_secret = { file = \"…\" } }";
    let section = field.section(&schema::AUTH_OAUTH2, example)?;
    section.require("token_url", "token_url = \"https://login.example/token\"");
    let token_url = section.get("token_url").and_then(|field| function::address(&field));
    let client_id = function::text(&section, "client_id", "gateway-7");
    let client_secret = function::secret(&section, "client_secret");
    let optional = |key| section.get(key).and_then(|field| field.filled()).map(str::to_owned);
    let (scope, audience) = (optional("scope"), optional("audience"));
    let secret_in_body = section.choice("client_auth", &[("basic", false), ("body", true)]).unwrap_or(false);
    section.finish();
    Some(OAuth2 {
        token_url: token_url?,
        client_id: client_id?,
        client_secret: client_secret?,
        scope,
        audience,
        secret_in_body,
    })
}

/// The name of a header (RFC 9110 §5.6.2) that says nothing else of the request.
fn name(field: &Field<'_>) -> Option<String> {
    let text = field.filled()?;
    let Ok(name) = reqwest::header::HeaderName::from_bytes(text.as_bytes()) else {
        field.bad("is not the name of a header", "write letters, digits and `-`: \"x-api-key\"");
        return None;
    };
    let ours =
        ["content-type", "content-length", "content-encoding", "host", "transfer-encoding", "connection"];
    if ours.contains(&name.as_str()) || name.as_str().starts_with("ce-") {
        field.bad("is a header that tidegate sets itself", "take another: \"x-api-key\"");
        return None;
    }
    Some(name.as_str().to_owned())
}
