//! AWS Signature Version 4 for the service `lambda`. The hash of the body is part of what is signed.

mod file;
mod iot;
mod read;

use super::kept::Kept;
use super::{Means, body, problem};
use crate::config::model::{Aws, AwsCredentials, AwsIot};
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
    region: String,
    keys: Keys,
}

/// Credentials, and where they come from.
enum Keys {
    /// They are read, and stay until they are refused.
    Read { from: AwsCredentials, keys: Option<Credentials> },
    /// They are given out for a while.
    Given { from: AwsIot, keys: Kept<Credentials> },
}

impl Keys {
    async fn get(&mut self, by: Means<'_>) -> Result<Credentials, Answer> {
        match self {
            Keys::Read { keys: Some(keys), .. } => Ok(keys.clone()),
            Keys::Read { from, keys } => {
                let from = from.clone();
                Ok(keys.insert(by.read(move || read::keys(&from)).await?).clone())
            }
            Keys::Given { from, keys } => {
                if let Some(keys) = keys.live(Instant::now()) {
                    return Ok(keys.clone());
                }
                let iot::Granted { credentials, life } = iot::ask(by, from).await?;
                keys.keep(credentials.clone(), life, Instant::now());
                Ok(credentials)
            }
        }
    }
}

impl SigV4 {
    pub(super) fn new(cfg: Aws) -> SigV4 {
        let Aws { region, credentials } = cfg;
        let keys = match credentials {
            AwsCredentials::Iot(from) => Keys::Given { from, keys: Kept::nothing() },
            from => Keys::Read { from, keys: None },
        };
        SigV4 { region, keys }
    }

    pub(super) async fn sign(&mut self, by: Means<'_>, request: &mut Request) -> Result<(), Answer> {
        let keys = self.keys.get(by).await?;
        let place = Place { region: &self.region, service: "lambda", at: SystemTime::now() };
        for (name, value) in signature(&keys, &place, request)? {
            request.headers_mut().insert(name, value);
        }
        Ok(())
    }

    pub(super) fn forget(&mut self) {
        match &mut self.keys {
            Keys::Read { keys, .. } => *keys = None,
            Keys::Given { keys, .. } => keys.refused(Instant::now()),
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
