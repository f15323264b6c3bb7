//! The credential provider of AWS IoT Core: temporary credentials for the certificate of a thing ("Authorizing direct calls
//! to AWS services using AWS IoT Core credential provider").

use super::super::super::connection;
use super::super::{Means, Wire, problem, token};
use crate::config::model::AwsIot;
use crate::forward::answer::Answer;
use crate::limits;
use aws_credential_types::Credentials;
use reqwest::Url;
use serde::Deserialize;
use std::time::Duration;
use zeroize::Zeroizing;

const HINT: &str = "check `role_alias`, `thing`, and that a policy lets this certificate assume the role";

/// Credentials that live for a while from now on.
pub(super) struct Granted {
    pub(super) credentials: Credentials,
    pub(super) life: Duration,
}

#[derive(Deserialize)]
struct Document {
    credentials: Given,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    access_key_id: String,
    secret_access_key: Zeroizing<String>,
    session_token: Zeroizing<String>,
    expiration: String,
}

/// Asks for credentials, by a connection of its own: it shows another certificate.
pub(super) async fn ask(by: Means<'_>, cfg: &AwsIot) -> Result<Granted, Answer> {
    let url = format!("https://{}/role-aliases/{}/credentials", cfg.endpoint, cfg.role_alias);
    let url = Url::parse(&url)
        .map_err(|error| problem(format!("`endpoint` is not the name of a host ({error}): correct it")))?;
    let client = connection::client(by.files, true, &cfg.tls, limits::SIGN_IN_TIMEOUT);
    let client = client.await.map_err(problem)?;
    let mut request = client.get(url);
    if let Some(thing) = &cfg.thing {
        request = request.header("x-amzn-iot-thingname", thing);
    }
    let request = request
        .build()
        .map_err(|_| problem("`thing` cannot stand in a header: correct it. Everything is kept"))?;
    let wire = Wire { client: &client, ..by.wire };
    let (document, date) = token::ask_dated::<Document>(wire, request, HINT).await?;
    let given = document.credentials;
    let life = super::life(&given.expiration, date.as_deref());
    let credentials = Credentials::new(
        given.access_key_id,
        given.secret_access_key.as_str(),
        Some(given.session_token.to_string()),
        None,
        "tidegate",
    );
    Ok(Granted { credentials, life })
}
