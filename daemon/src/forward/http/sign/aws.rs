//! AWS Signature Version 4 for the service `lambda`. The hash of the body is part of what is signed.

mod file;
mod iot;

use super::{Wire, body, problem, read};
use crate::config::model::{Aws, AwsCredentials, Secret};
use crate::forward::answer::Answer;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningInstructions, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use reqwest::Request;
use reqwest::header::{HeaderName, HeaderValue};
use std::time::{Duration, Instant, SystemTime};

pub(in crate::forward::http) struct SigV4 {
    cfg: Aws,
    keys: Option<Keys>,
}

/// Credentials, and until when, where they expire.
struct Keys {
    credentials: Credentials,
    until: Option<Instant>,
}

impl SigV4 {
    pub(super) fn new(cfg: Aws) -> SigV4 {
        SigV4 { cfg, keys: None }
    }

    pub(super) async fn sign(&mut self, wire: Wire<'_>, request: &mut Request) -> Result<(), Answer> {
        let live = |keys: &Keys| keys.until.is_none_or(|until| Instant::now() < until);
        let keys = match self.keys.take().filter(live) {
            Some(keys) => keys,
            None => keys(wire, &self.cfg.credentials).await?,
        };
        let keys = self.keys.insert(keys);
        let place = Place { region: &self.cfg.region, service: "lambda", at: SystemTime::now() };
        for (name, value) in signature(&keys.credentials, &place, request)? {
            request.headers_mut().insert(name, value);
        }
        Ok(())
    }

    pub(super) fn forget(&mut self) {
        self.keys = None;
    }
}

async fn keys(wire: Wire<'_>, from: &AwsCredentials) -> Result<Keys, Answer> {
    let lasting = |id: &str, secret: &str, session: Option<&str>| Keys {
        credentials: Credentials::new(id, secret, session.map(str::to_owned), None, "tidegate"),
        until: None,
    };
    match from {
        AwsCredentials::Environment => {
            let read = |name: &str| read(&Secret::Env(name.into()), "the credential");
            let session = std::env::var_os("AWS_SESSION_TOKEN").map(|_| read("AWS_SESSION_TOKEN"));
            let session = session.transpose()?;
            let (id, secret) = (read("AWS_ACCESS_KEY_ID")?, read("AWS_SECRET_ACCESS_KEY")?);
            Ok(lasting(id.reveal(), secret.reveal(), session.as_ref().map(|token| token.reveal())))
        }
        AwsCredentials::Keys { id, secret, session } => {
            let session = session.as_ref().map(|token| read(token, "the session token")).transpose()?;
            let secret = read(secret, "the secret access key")?;
            Ok(lasting(id, secret.reveal().trim(), session.as_ref().map(|token| token.reveal().trim())))
        }
        AwsCredentials::File { path, profile } => {
            let text = read(&Secret::File(path.clone()), "the credentials file")?;
            let found = file::profile(text.reveal(), profile).map_err(|why| {
                problem(format!("the credentials file {}: {why}. Everything is kept", path.display()))
            })?;
            Ok(lasting(found.id, found.secret, found.session))
        }
        AwsCredentials::Iot(cfg) => {
            let granted = iot::ask(wire, cfg).await?;
            Ok(Keys { credentials: granted.credentials, until: Some(super::token::renewal(granted.life)) })
        }
    }
}

/// What a signature is good for, besides the request.
struct Place<'a> {
    region: &'a str,
    service: &'a str,
    at: SystemTime,
}

/// The headers that sign a request.
fn signature(
    credentials: &Credentials,
    place: &Place<'_>,
    request: &Request,
) -> Result<Vec<(HeaderName, HeaderValue)>, Answer> {
    let broken = |error: &dyn std::fmt::Display| problem(format!("cannot sign a request for AWS ({error})"));
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(place.region)
        .name(place.service)
        .time(place.at)
        .settings(settings)
        .build()
        .map_err(|error| broken(&error))?;
    let headers =
        request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let signable = SignableRequest::new(
        request.method().as_str(),
        request.url().as_str(),
        headers,
        SignableBody::Bytes(body(request)),
    )
    .map_err(|error| broken(&error))?;
    let signed = sign(signable, &params.into()).map_err(|error| broken(&error))?;
    let (instructions, _) = signed.into_parts();
    headers_of(&instructions).ok_or_else(|| broken(&"a header of it is not printable"))
}

fn headers_of(instructions: &SigningInstructions) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let header = |(name, value): (&str, &str)| {
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
    };
    instructions.headers().map(header).collect()
}

/// How long credentials live that end at `expiration`, by the clock of who gave them out where it is known.
fn life(expiration: &str, date: Option<&str>) -> Duration {
    const UNKNOWN: Duration = Duration::from_secs(900);
    let Ok(end) = expiration.parse::<jiff::Timestamp>() else { return UNKNOWN };
    let now = date.and_then(crate::forward::answer::http_date).unwrap_or_else(jiff::Timestamp::now);
    Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
#[path = "aws/tests.rs"]
mod tests;
