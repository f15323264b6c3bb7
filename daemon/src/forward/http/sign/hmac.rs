//! A signature of the body: HMAC-SHA256 (RFC 2104, FIPS 180-4), in hexadecimal digits.

use super::{Means, body, hex, read, sensitive};
use crate::config::model::Hmac;
use crate::forward::answer::Answer;
use crate::secret::SecretText;
use reqwest::Request;
use reqwest::header::HeaderName;
use ring::hmac::{HMAC_SHA256, Key, sign};

pub(in crate::forward::http) struct BodyHmac {
    cfg: Hmac,
    secret: Option<SecretText>,
}

impl BodyHmac {
    pub(super) fn new(cfg: Hmac) -> BodyHmac {
        BodyHmac { cfg, secret: None }
    }

    pub(super) async fn sign(&mut self, by: Means<'_>, request: &mut Request) -> Result<(), Answer> {
        let secret = match &self.secret {
            Some(secret) => secret,
            None => {
                let secret = self.cfg.secret.clone();
                self.secret.insert(by.read(move || read(&secret, "the secret")).await?)
            }
        };
        let text = signature(secret, &self.cfg.prefix, body(request));
        let name = HeaderName::from_bytes(self.cfg.header.as_bytes()).map_err(|_| {
            super::problem(format!("`{}` is not the name of a header: correct it", self.cfg.header))
        })?;
        request.headers_mut().insert(name, sensitive(&text, "the prefix")?);
        Ok(())
    }

    pub(super) fn forget(&mut self) {
        self.secret = None;
    }
}

fn signature(secret: &SecretText, prefix: &str, body: &[u8]) -> String {
    let key = Key::new(HMAC_SHA256, secret.reveal().as_bytes());
    format!("{prefix}{}", hex(sign(&key, body).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2; and the example of GitHub's "Validating webhook deliveries".
    #[test]
    fn published_vectors() {
        let check = |secret: &str, prefix, body: &[u8], expected: &str| {
            assert_eq!(signature(&SecretText::new(secret.into()), prefix, body), expected);
        };
        check(
            "Jefe",
            "",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        );
        check(
            "It's a Secret to Everybody",
            "sha256=",
            b"Hello, World!",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        );
    }
}
