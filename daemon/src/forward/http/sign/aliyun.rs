//! The signature of Alibaba Cloud, `ACS3-HMAC-SHA256` ("V3 request structure and signature"; HTTP triggers of Function Compute
//! take it: "Configure signature authentication for HTTP triggers").

use super::{Means, body, hex, problem, read, sensitive};
use crate::config::model::Aliyun;
use crate::forward::answer::Answer;
use crate::secret::SecretText;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Request, Url};
use ring::digest::{SHA256, digest};
use ring::hmac::{HMAC_SHA256, Key, sign};
use std::collections::BTreeMap;

const ALGORITHM: &str = "ACS3-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-acs-date");
const NONCE: HeaderName = HeaderName::from_static("x-acs-signature-nonce");
const TOKEN: HeaderName = HeaderName::from_static("x-acs-security-token");
const CONTENT: HeaderName = HeaderName::from_static("x-acs-content-sha256");

pub(in crate::forward::http) struct Acs3 {
    cfg: Aliyun,
    keys: Option<Keys>,
}

/// The secret, and the token of temporary credentials.
type Keys = (SecretText, Option<SecretText>);

impl Acs3 {
    pub(super) fn new(cfg: Aliyun) -> Acs3 {
        Acs3 { cfg, keys: None }
    }

    pub(super) async fn sign(&mut self, by: Means<'_>, request: &mut Request) -> Result<(), Answer> {
        let (secret, token) = match &self.keys {
            Some(keys) => keys,
            None => {
                let cfg = self.cfg.clone();
                self.keys.insert(by.read(move || keys(&cfg)).await?)
            }
        };
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let nonce = format!("{:032x}", fastrand::u128(..));
        let hash = hex(digest(&SHA256, body(request)).as_ref());
        for (name, value) in [(DATE, &now), (NONCE, &nonce), (CONTENT, &hash)] {
            let value = HeaderValue::from_str(value)
                .map_err(|_| problem("cannot sign a request for Alibaba Cloud"))?;
            request.headers_mut().insert(name, value);
        }
        if let Some(token) = token {
            request.headers_mut().insert(TOKEN, sensitive(token.reveal().trim(), "the security token")?);
        }
        let text = authorization(&self.cfg.id, secret.reveal().trim(), request, &hash);
        request.headers_mut().insert(AUTHORIZATION, sensitive(&text, "the access key's id")?);
        Ok(())
    }

    pub(super) fn forget(&mut self) {
        self.keys = None;
    }
}

fn keys(cfg: &Aliyun) -> Result<Keys, Answer> {
    let token = cfg.token.as_ref().map(|token| read(token, "the security token"));
    Ok((read(&cfg.secret, "the access key's secret")?, token.transpose()?))
}

fn authorization(id: &str, secret: &str, request: &Request, hash: &str) -> String {
    let url = request.url();
    let headers = signed(request.headers(), url);
    let names = headers.keys().cloned().collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical = format!("{}\n{}\n{}\n{lines}\n{names}\n{hash}", request.method(), url.path(), query(url));
    let to_sign = format!("{ALGORITHM}\n{}", hex(digest(&SHA256, canonical.as_bytes()).as_ref()));
    let signature = hex(sign(&Key::new(HMAC_SHA256, secret.as_bytes()), to_sign.as_bytes()).as_ref());
    format!("{ALGORITHM} Credential={id},SignedHeaders={names},Signature={signature}")
}

/// `host`, `content-type` and what begins with `x-acs-`, in order.
fn signed(headers: &HeaderMap, url: &Url) -> BTreeMap<String, String> {
    let mut signed = BTreeMap::from([("host".to_owned(), host(url))]);
    for (name, value) in headers {
        if (name.as_str().starts_with("x-acs-") || name.as_str() == "content-type")
            && let Ok(value) = value.to_str()
        {
            signed.insert(name.as_str().to_owned(), value.trim().to_owned());
        }
    }
    signed
}

/// As in the `Host` header: with the port, where it is not the usual one.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The parameters in order, percent-encoded by RFC 3986.
fn query(url: &Url) -> String {
    let mut pairs: Vec<_> =
        url.query_pairs().map(|(name, value)| format!("{}={}", encoded(&name), encoded(&value))).collect();
    pairs.sort_unstable();
    pairs.join("&")
}

/// All but the unreserved characters (RFC 3986 §2.3), which forms would encode otherwise.
fn encoded(text: &str) -> String {
    let form: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    form.replace('+', "%20").replace('*', "%2A").replace("%7E", "~")
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::Method;

    const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// The example with fixed parameters of "V3 request structure and signature".
    #[test]
    fn published_example() {
        let url = "https://ecs.cn-shanghai.aliyuncs.com/?RegionId=cn-shanghai&ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd";
        let mut request = Request::new(Method::POST, Url::parse(url).unwrap());
        let headers = [
            ("x-acs-action", "RunInstances"),
            ("x-acs-version", "2014-05-26"),
            ("x-acs-date", "2023-10-26T10:22:32Z"),
            ("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"),
            ("x-acs-content-sha256", HASH),
            ("user-agent", "not signed"),
        ];
        for (name, value) in headers {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        assert_eq!(
            authorization("YourAccessKeyId", "YourAccessKeySecret", &request, HASH),
            "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;\
             x-acs-date;x-acs-signature-nonce;x-acs-version,\
             Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
        );
    }

    #[test]
    fn encoding() {
        assert_eq!(encoded("a b*c~d/é"), "a%20b%2Ac~d%2F%C3%A9");
        let url = Url::parse("http://h:8080/p/q?b=2&a=x%20y").unwrap();
        assert_eq!((query(&url).as_str(), host(&url).as_str()), ("a=x%20y&b=2", "h:8080"));
    }
}
