//! OAuth 2.0, client credentials (RFC 6749 §4.4): a token for a name and a secret. Also Microsoft Entra.

use super::kept::Kept;
use super::{Means, basic, problem, read, token};
use crate::config::model::OAuth2;
use crate::forward::answer::Answer;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Request, Url};
use serde::Deserialize;
use serde_json::Value;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Where the server does not say how long a token lives (RFC 6749 §5.1 recommends that it does).
const LIFE: Duration = Duration::from_secs(600);

const HINT: &str = "check `client_id`, the client's secret, `scope` and `audience`; the secret is read again without a restart";

pub(in crate::forward::http) struct ClientCredentials {
    cfg: OAuth2,
    token: Kept<HeaderValue>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: Zeroizing<String>,
    /// A number by the standard; some write text, or decimals.
    #[serde(default)]
    expires_in: Value,
}

impl Granted {
    fn life(&self) -> Duration {
        let secs = self.expires_in.as_f64().or_else(|| self.expires_in.as_str()?.trim().parse().ok());
        let life = secs.and_then(|secs| Duration::try_from_secs_f64(secs.min(1e9)).ok());
        life.unwrap_or(LIFE)
    }
}

impl ClientCredentials {
    pub(super) fn new(cfg: OAuth2) -> ClientCredentials {
        ClientCredentials { cfg, token: Kept::nothing() }
    }

    pub(super) async fn sign(&mut self, by: Means<'_>, request: &mut Request) -> Result<(), Answer> {
        if self.token.live(Instant::now()).is_none() {
            let granted: Granted = token::ask(by.wire, self.request(by).await?, HINT).await?;
            self.token.keep(token::bearer(&granted.access_token)?, granted.life(), Instant::now());
        }
        let token = self.token.live(Instant::now());
        let token =
            token.ok_or_else(|| problem("the token expires at once: ask for one that lives longer"))?;
        request.headers_mut().insert(AUTHORIZATION, token.clone());
        Ok(())
    }

    pub(super) fn forget(&mut self) {
        self.token.refused(Instant::now());
    }

    async fn request(&self, by: Means<'_>) -> Result<Request, Answer> {
        let cfg = &self.cfg;
        let url = Url::parse(&cfg.token_url)
            .map_err(|error| problem(format!("`token_url` is not an address ({error}): correct it")))?;
        let secret = cfg.client_secret.clone();
        let secret = by.read(move || read(&secret, "the client's secret")).await?;
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(cfg.scope.as_deref().map(|scope| ("scope", scope)));
        form.extend(cfg.audience.as_deref().map(|audience| ("audience", audience)));
        if cfg.secret_in_body {
            form.extend([("client_id", cfg.client_id.as_str()), ("client_secret", secret.reveal())]);
        }
        let mut request = token::form(by.wire.client, url, &form)?;
        if !cfg.secret_in_body {
            // Both are encoded as in a form before they are joined (§2.3.1).
            let (id, secret) = (token::encoded(&cfg.client_id), token::encoded(secret.reveal()));
            request.headers_mut().insert(AUTHORIZATION, basic(&id, &secret, "the client's secret")?);
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_as_servers_write_them() {
        let check = |text: &str, secs| {
            let granted: Granted =
                serde_json::from_str(&format!(r#"{{"access_token": "t"{text}}}"#)).unwrap();
            assert_eq!(granted.life(), Duration::from_secs(secs), "{text}");
        };
        check(r#", "expires_in": 3599"#, 3_599);
        check(r#", "expires_in": "3599""#, 3_599);
        check(r#", "expires_in": 3599.0"#, 3_599);
        check("", 600);
        check(r#", "expires_in": null"#, 600);
        check(r#", "expires_in": -1"#, 600);
        check(r#", "expires_in": 18446744073709551615"#, 1_000_000_000);
    }
}
