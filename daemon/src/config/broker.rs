//! What names a broker, for sources and outputs: `url`, `ca`, `cert`, `key`, `username`, `password`, `client_id`.

use super::field::Field;
use super::model::{Login, Tls};
use super::reader::Section;
use super::{schema, secrets, tls};
use std::net::Ipv6Addr;

/// Where a broker is. An IPv6 address has no brackets here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BrokerUrl {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
}

/// `url`, with `ca`, `cert` and `key` where it is `mqtts://`.
pub(super) fn address(section: &Section<'_>) -> Option<(BrokerUrl, Option<Tls>)> {
    let url = section.get("url");
    let files = tls::read(section);
    let address = url.as_ref().and_then(read)?;
    if let (Some(url), Some(_), false) = (&url, &files, address.tls) {
        url.bad(
            "does not use TLS, but `ca` or `cert` is given",
            &format!("write mqtts://{} with TLS, or remove `ca`, `cert` and `key`", address.host),
        );
    }
    let tls = address.tls.then(|| files.unwrap_or_default());
    Some((address, tls))
}

/// `username` and `password`.
pub(super) fn login(section: &Section<'_>) -> Option<Login> {
    let user = section.get("username").and_then(|field| field.filled());
    let password = section.get("password");
    if let (Some(password), false) = (&password, section.has("username")) {
        password.bad("has no `username`", "MQTT knows no password without a user name: add username = \"…\"");
    }
    let password = password.and_then(|field| secrets::read(&field));
    Some(Login { user: user?.to_owned(), password })
}

/// `client_id`.
pub(super) fn client_id(section: &Section<'_>) -> Option<String> {
    let field = section.get("client_id")?;
    let id = field.filled()?;
    if id.len() > 256 || id.chars().any(char::is_control) {
        field.bad("is too long or holds control characters", "write at most 256 plain characters");
        return None;
    }
    Some(id.to_owned())
}

fn read(field: &Field<'_>) -> Option<BrokerUrl> {
    let how = "write mqtt://HOST, mqtts://HOST (TLS) or with a port mqtt://HOST:1883";
    let Some(text) = field.value.as_str() else {
        field.wrong_type("the address of a broker, in quotes", how);
        return None;
    };
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    if schema::is_later("sources.NAME.url", scheme) {
        field.cx.not_yet(field.inner(0..scheme.len()), &format!("{scheme}://"));
        return None;
    }
    if text.contains('@') {
        field.cx.mask(field.span.clone());
        field.bad(
            "holds a user name or password",
            "take it out and write username = \"…\" and password = { file = \"…\" }; consider this one known",
        );
        return None;
    }
    field.parsed(text, parse(text), "the address of a broker", how)
}

/// Ports without being named are 1883, with TLS 8883 (the ones registered for MQTT with IANA).
fn parse(text: &str) -> Result<BrokerUrl, String> {
    let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("did you mean `mqtt://{text}`?"))?;
    let tls = match scheme {
        "mqtt" => false,
        "mqtts" => true,
        "tcp" => return Err("did you mean `mqtt://`?".into()),
        "ssl" | "tls" => return Err("did you mean `mqtts://`?".into()),
        _ => return Err(format!("`{scheme}` is not a way to reach a broker")),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err("nothing follows host and port; topics belong to streams".into());
    }
    let (host, port) = split_port(rest)?;
    let port = match port {
        Some(port) => {
            port.parse().ok().filter(|port| *port != 0).ok_or("the port is not a number from 1 to 65535")?
        }
        None if tls => 8883,
        None => 1883,
    };
    Ok(BrokerUrl { host: host.to_owned(), port, tls })
}

fn split_port(text: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("the bracket is not closed")?;
        host.parse::<Ipv6Addr>().map_err(|_| format!("`{host}` is not an IPv6 address"))?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(format!("`{rest}` after the address cannot be read")),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("an IPv6 address stands in brackets: `[{text}]`"));
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.is_empty() {
        return Err("the host is missing".into());
    }
    if host.len() > 253 || !host.chars().all(plain) {
        return Err(format!("`{host}` is not a host name"));
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |text: &str, expected: Result<(&str, u16, bool), &str>| {
            let expected = expected.map(|(host, port, tls)| BrokerUrl { host: host.into(), port, tls });
            assert_eq!(parse(text), expected.map_err(String::from), "{text}");
        };
        check("mqtt://127.0.0.1", Ok(("127.0.0.1", 1883, false)));
        check("mqtts://broker.example", Ok(("broker.example", 8883, true)));
        check("mqtt://broker:2883/", Ok(("broker", 2883, false)));
        check("mqtt://[::1]:1", Ok(("::1", 1, false)));
        check("mqtt://[::1]", Ok(("::1", 1883, false)));
        check("mqtt://::1", Err("an IPv6 address stands in brackets: `[::1]`"));
        check("localhost:1883", Err("did you mean `mqtt://localhost:1883`?"));
        check("tcp://x", Err("did you mean `mqtt://`?"));
        check("http://x", Err("`http` is not a way to reach a broker"));
        check("mqtt://", Err("the host is missing"));
        check("mqtt://x:", Err("the port is not a number from 1 to 65535"));
        check("mqtt://x:0", Err("the port is not a number from 1 to 65535"));
        check("mqtt://x:70000", Err("the port is not a number from 1 to 65535"));
        check("mqtt://x/sensors", Err("nothing follows host and port; topics belong to streams"));
        check("mqtt://a b", Err("`a b` is not a host name"));
        check("mqtt://[::1", Err("the bracket is not closed"));
    }
}
