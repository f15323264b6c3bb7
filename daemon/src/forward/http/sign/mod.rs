//! How requests prove who sends them. A request that is otherwise complete gets headers; nothing else of it changes, so that
//! what is signed is what is sent. Each way is a file, a variant and an arm.
//!
//! Secrets are read when they are first needed and again after the function has refused them, so that a rotated one heals
//! without a restart; what somebody else gives out is asked for anew, but not with each refusal (`kept`). They are wiped from memory when they are dropped.

mod aliyun;
mod aws;
mod fixed;
mod google;
mod hmac;
mod kept;
mod oauth2;
mod token;

use super::super::answer::Answer;
use super::wire::{Wire, body};
use crate::config::model::{Auth, Secret};
use crate::files::Files;
use crate::secret::{self, SecretText};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Request;
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

/// What it takes to sign: a way to a third party, and to files.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) wire: Wire<'a>,
    pub(super) files: &'a Files,
}

impl Means<'_> {
    /// Reads what `auth` names, where that holds nobody up. One signature reads at most once, so that its time is bounded.
    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T, Answer> + Send + 'static,
    ) -> Result<T, Answer> {
        let hung = |hung| problem(format!("what `auth` names cannot be read: {hung}. Everything is kept"));
        self.files.read(job).await.map_err(hung)?
    }
}

/// Signs requests.
pub(super) enum Signer {
    Unsigned,
    Fixed(fixed::Fixed),
    Hmac(hmac::BodyHmac),
    OAuth2(oauth2::ClientCredentials),
    Aws(Box<aws::SigV4>),
    Google(google::IdTokens),
    Aliyun(aliyun::Acs3),
}

impl Signer {
    /// Nothing is read or asked for before the first request.
    pub(super) fn new(auth: &Auth) -> Signer {
        match auth {
            Auth::None => Signer::Unsigned,
            Auth::Bearer(_) | Auth::Basic { .. } | Auth::Header { .. } => {
                Signer::Fixed(fixed::Fixed::new(auth.clone()))
            }
            Auth::Hmac(cfg) => Signer::Hmac(hmac::BodyHmac::new(cfg.clone())),
            Auth::OAuth2(cfg) => Signer::OAuth2(oauth2::ClientCredentials::new(cfg.clone())),
            Auth::Aws(cfg) => Signer::Aws(Box::new(aws::SigV4::new(cfg.clone()))),
            Auth::Google(cfg) => Signer::Google(google::IdTokens::new(cfg.clone())),
            Auth::Aliyun(cfg) => Signer::Aliyun(aliyun::Acs3::new(cfg.clone())),
        }
    }

    /// Adds what proves who we are.
    ///
    /// # Errors
    /// What to make of a request that cannot be signed: nothing was sent.
    pub(super) async fn sign(&mut self, by: Means<'_>, request: &mut Request) -> Result<(), Answer> {
        match self {
            Signer::Unsigned => Ok(()),
            Signer::Fixed(way) => way.sign(by, request).await,
            Signer::Hmac(way) => way.sign(by, request).await,
            Signer::OAuth2(way) => way.sign(by, request).await,
            Signer::Aws(way) => way.sign(by, request).await,
            Signer::Google(way) => way.sign(by, request).await,
            Signer::Aliyun(way) => way.sign(by, request).await,
        }
    }

    /// The function does not accept who we are: what is remembered may be out of date.
    pub(super) fn forget(&mut self) {
        match self {
            Signer::Unsigned => {}
            Signer::Fixed(way) => way.forget(),
            Signer::Hmac(way) => way.forget(),
            Signer::OAuth2(way) => way.forget(),
            Signer::Aws(way) => way.forget(),
            Signer::Google(way) => way.forget(),
            Signer::Aliyun(way) => way.forget(),
        }
    }

    /// Whether a third party may be asked first, which takes its time.
    pub(super) fn asks(&self) -> bool {
        matches!(self, Signer::OAuth2(_) | Signer::Aws(_) | Signer::Google(_))
    }

    /// Whether a wrong clock of ours makes signatures worthless.
    pub(super) fn is_timed(&self) -> bool {
        matches!(self, Signer::Aws(_) | Signer::Google(_) | Signer::Aliyun(_))
    }
}

fn problem(why: impl Into<String>) -> Answer {
    Answer::DestinationProblem { why: why.into() }
}

/// Reads a secret; `what` it is stands in the message. Blocks: see [`Means::read`].
fn read(secret: &Secret, what: &str) -> Result<SecretText, Answer> {
    secret::read(secret)
        .map_err(|why| problem(format!("{what} that `auth` names cannot be read: {why}. Everything is kept")))
}

/// A header that no log shows.
fn sensitive(text: &str, what: &str) -> Result<HeaderValue, Answer> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        problem(format!(
            "{what} that `auth` names holds line breaks or other characters that no header can carry: write it anew. \
             Everything is kept"
        ))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A user and a password (RFC 7617 §2).
fn basic(user: &str, password: &str, what: &str) -> Result<HeaderValue, Answer> {
    let pair = Zeroizing::new(format!("{user}:{password}"));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    sensitive(&text, what)
}

/// Digits as signatures have them.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
