//! ID tokens of Google: for the key of a service account by a signed assertion (RFC 7523, with `target_audience`; "Service
//! account credentials", Google Cloud IAM), or from the metadata server of a machine of theirs.

use super::kept::Kept;
use super::{Means, Wire, problem, read, token};
use crate::config::model::{Google, Secret};
use crate::forward::answer::Answer;
use crate::limits;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Request, Url};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long an assertion is good for: as long as Google allows.
const ASSERTION_SECS: i64 = 3_600;
/// Where a token does not say how long it lives.
const LIFE: Duration = Duration::from_secs(600);
/// The name of the metadata server; `GCE_METADATA_HOST` names another, as with Google's own libraries.
const METADATA: &str = "metadata.google.internal";

const HINT: &str = "check that the key belongs to a service account that still has it, and that this gateway's clock is right";
const METADATA_HINT: &str =
    "give this machine a service account, or write auth = { service_account = { file = \"key.json\" } }";

pub(in crate::forward::http) struct IdTokens {
    cfg: Google,
    token: Kept<HeaderValue>,
}

/// The parts of a key file that matter.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: Zeroizing<String>,
    private_key_id: String,
    token_uri: String,
}

#[derive(Deserialize)]
struct Granted {
    id_token: Zeroizing<String>,
}

impl IdTokens {
    pub(super) fn new(cfg: Google) -> IdTokens {
        IdTokens { cfg, token: Kept::nothing() }
    }

    pub(super) async fn sign(&mut self, by: Means<'_>, request: &mut Request) -> Result<(), Answer> {
        if self.token.live(Instant::now()).is_none() {
            let text = match &self.cfg.key {
                Some(key) => by_assertion(by, key, &self.cfg.audience).await?,
                None => from_metadata(by.wire, &self.cfg.audience).await?,
            };
            self.token.keep(token::bearer(&text)?, life(&text).unwrap_or(LIFE), Instant::now());
        }
        let token = self.token.live(Instant::now());
        let token = token
            .ok_or_else(|| problem("the token is out of date as soon as it comes: look at the clock"))?;
        request.headers_mut().insert(AUTHORIZATION, token.clone());
        Ok(())
    }

    pub(super) fn forget(&mut self) {
        self.token.refused(Instant::now());
    }
}

async fn by_assertion(by: Means<'_>, key: &Secret, audience: &str) -> Result<Zeroizing<String>, Answer> {
    let key = key.clone();
    let text = by.read(move || read(&key, "the key file")).await?;
    let file: KeyFile = serde_json::from_str(text.reveal()).map_err(|_| {
        problem("the key file that `auth` names is not the JSON key of a service account: create one anew. Everything is kept")
    })?;
    let url = Url::parse(&file.token_uri).map_err(|_| {
        problem("`token_uri` of the key file is not an address: create the key anew. Everything is kept")
    })?;
    let assertion = assertion(&file, audience, jiff::Timestamp::now().as_second())?;
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let request = token::form(by.wire.client, url, &[("grant_type", grant), ("assertion", &assertion)])?;
    Ok(token::ask::<Granted>(by.wire, request, HINT).await?.id_token)
}

async fn from_metadata(wire: Wire<'_>, audience: &str) -> Result<Zeroizing<String>, Answer> {
    let host = std::env::var("GCE_METADATA_HOST").unwrap_or_else(|_| METADATA.to_owned());
    let path = "computeMetadata/v1/instance/service-accounts/default/identity";
    let mut url = Url::parse(&format!("http://{host}/{path}")).map_err(|_| {
        problem("GCE_METADATA_HOST is not the name of a host: correct it. Everything is kept")
    })?;
    url.query_pairs_mut().append_pair("audience", audience).append_pair("format", "full");
    let request = wire
        .client
        .get(url)
        .timeout(limits::SIGN_IN_TIMEOUT)
        .header("metadata-flavor", "Google")
        .build()
        .map_err(|_| problem("cannot ask the metadata server: correct `audience`. Everything is kept"))?;
    token::ask_text(wire, request, METADATA_HINT).await
}

/// A signed assertion: JWS compact serialisation (RFC 7515 §7.1) with RS256.
fn assertion(file: &KeyFile, audience: &str, now: i64) -> Result<Zeroizing<String>, Answer> {
    let unusable = || {
        problem(
            "`private_key` of the key file is no RSA key in PKCS#8: create the key anew. Everything is kept",
        )
    };
    let key = PrivatePkcs8KeyDer::from_pem_slice(file.private_key.as_bytes()).map_err(|_| unusable())?;
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).map_err(|_| unusable())?;
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": file.private_key_id});
    let claims = json!({
        "iss": file.client_email,
        "sub": file.client_email,
        "aud": file.token_uri,
        "target_audience": audience,
        "iat": now,
        "exp": now + ASSERTION_SECS,
    });
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(header), part(claims));
    let signature = rs256(&key, input.as_bytes()).ok_or_else(unusable)?;
    Ok(Zeroizing::new(format!("{input}.{signature}")))
}

/// RSASSA-PKCS1-v1_5 with SHA-256, base64url (RFC 7518 §3.3).
fn rs256(key: &RsaKeyPair, input: &[u8]) -> Option<String> {
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature).ok()?;
    Some(URL_SAFE_NO_PAD.encode(signature))
}

/// How long a token lives, by its own words, whatever our clock says.
fn life(token: &str) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Claims {
        iat: u64,
        exp: u64,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let Claims { iat, exp } = serde_json::from_slice(&claims).ok()?;
    Some(Duration::from_secs(exp.checked_sub(iat)?))
}

#[cfg(test)]
#[path = "google_tests.rs"]
mod tests;
