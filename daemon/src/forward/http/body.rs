//! What a request holds: CloudEvents over HTTP (CloudEvents HTTP protocol binding 1.0.2; structured, batched and binary mode),
//! or the list that a Lambda function gets.

use super::super::outbox::Queued;
use crate::config::model::{Compression, Content, Http};
use crate::limits;
use bytes::Bytes;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

/// One event per request.
pub(super) const SINGLE: &str = "application/cloudevents+json";
/// A JSON array of events; also where only one is sent to an output with `batch`, so that a function sees one shape.
pub(super) const BATCH: &str = "application/cloudevents-batch+json";
const JSON: &str = "application/json";

/// Packs a body.
type Compress = fn(&[u8]) -> io::Result<Vec<u8>>;

/// Makes the body for `events`, and the headers that tell what it is.
///
/// # Errors
/// When it cannot be compressed, or an event is not what it should be.
pub(super) async fn make(cfg: &Http, events: &[Queued]) -> io::Result<(HeaderMap, Bytes)> {
    let mut headers = HeaderMap::new();
    let body = match cfg.content {
        Content::Binary => binary(events, &mut headers)?,
        Content::LambdaUrl | Content::LambdaInvoke => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
            joined(events, b"{\"events\":[", b"]}")
        }
        Content::Structured if cfg.batch.is_some() => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(BATCH));
            joined(events, b"[", b"]")
        }
        Content::Structured => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(SINGLE));
            // Without `batch` the policy asks for one event at a time.
            joined(events, b"", b"")
        }
    };
    let (name, compress): (_, Compress) = match cfg.compression {
        Compression::None => return Ok((headers, body.into())),
        Compression::Gzip => ("gzip", gzip),
        Compression::Zstd => ("zstd", zstd),
    };
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    let body = match body.len() {
        0..limits::COMPRESSED_APART_BYTES => compress(&body)?,
        // The runtime's thread has sockets to look after.
        _ => tokio::task::spawn_blocking(move || compress(&body)).await.map_err(io::Error::other)??,
    };
    Ok((headers, body.into()))
}

fn joined(events: &[Queued], before: &[u8], after: &[u8]) -> Vec<u8> {
    let size: usize = events.iter().map(|queued| queued.event.len() + 1).sum();
    let mut body = Vec::with_capacity(size + before.len() + after.len());
    body.extend_from_slice(before);
    for (n, queued) in events.iter().enumerate() {
        if n > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&queued.event);
    }
    body.extend_from_slice(after);
    body
}

/// The start of an answer without its content coding, and whether there is more of it. gzip is read although it was not asked for:
/// some proxies do that. Another is given back.
pub(super) fn decode(start: Vec<u8>, truncated: bool, coding: Option<&str>) -> (Vec<u8>, bool, Option<&str>) {
    let coding = coding.filter(|_| !start.is_empty());
    let is_gzip = |coding: &str| ["gzip", "x-gzip"].iter().any(|name| coding.eq_ignore_ascii_case(name));
    if !coding.is_some_and(is_gzip) {
        return (start, truncated, coding);
    }
    let most = limits::ANSWER_BYTES_MAX as u64;
    let mut plain = Vec::new();
    match GzDecoder::new(&start[..]).take(most + 1).read_to_end(&mut plain) {
        Ok(_) => {}
        // Its end is what was cut off.
        Err(_) if truncated => {}
        Err(_) => return (start, truncated, coding),
    }
    let longer = plain.len() as u64 > most;
    plain.truncate(limits::ANSWER_BYTES_MAX);
    (plain, truncated || longer, None)
}

fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(body.len() / 4 + 64), flate2::Compression::default());
    gzip.write_all(body)?;
    gzip.finish()
}

fn zstd(body: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(body, zstd::DEFAULT_COMPRESSION_LEVEL)
}

/// The event's `data`, byte for byte, with its attributes in headers.
fn binary(events: &[Queued], headers: &mut HeaderMap) -> io::Result<Vec<u8>> {
    let odd = |what: &str| io::Error::other(format!("an event in the store {what}"));
    let Some(queued) = events.first() else { return Ok(Vec::new()) };
    let event: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_slice(&queued.event).map_err(|_| odd("is no JSON object"))?;
    let mut body = Vec::new();
    for (name, value) in &event {
        let value = value.get();
        if name == "data" {
            body.extend_from_slice(value.as_bytes());
            continue;
        }
        // An attribute that is no text (a number, true) stands as JSON has it, which is its canonical form.
        let text = serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned());
        let header = match name.as_ref() {
            "datacontenttype" => CONTENT_TYPE,
            name => HeaderName::from_bytes(format!("ce-{name}").as_bytes())
                .map_err(|_| odd("has an attribute that cannot be a header"))?,
        };
        let value = HeaderValue::from_str(&encoded(&text))
            .map_err(|_| odd("has an attribute that cannot be a header"))?;
        headers.insert(header, value);
    }
    Ok(body)
}

/// Percent-encodes space, `"`, `%` and everything outside of printable ASCII (HTTP protocol binding §3.1.3.2).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'%' => out.push_str(&format!("%{byte:02X}")),
            0x21..=0x7e => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Batch;
    use std::time::Duration;

    #[test]
    fn an_answer_without_its_coding() {
        let plain = br#"{"failed":["a"]}"#.repeat(1_000);
        let packed = gzip(&plain).unwrap();
        assert_eq!(decode(packed.clone(), false, Some("GZIP")), (plain.clone(), false, None));
        let (start, more, coding) = decode(packed[..60].to_vec(), true, Some("gzip"));
        assert!(plain.starts_with(&start) && more && coding.is_none());
        let (start, more, _) = decode(gzip(&plain.repeat(10)).unwrap(), false, Some("gzip"));
        assert_eq!((start.len(), more), (limits::ANSWER_BYTES_MAX, true));
        for (start, coding) in [(packed, Some("br")), (plain.clone(), Some("gzip")), (plain, None)] {
            assert_eq!(decode(start.clone(), false, coding), (start, false, coding));
        }
        assert_eq!(decode(vec![], false, Some("br")), (vec![], false, None));
    }

    /// On this thread and on one of its own.
    #[tokio::test]
    async fn what_is_compressed_is_what_is_read() {
        for size in [
            100,
            limits::COMPRESSED_APART_BYTES - 3,
            limits::COMPRESSED_APART_BYTES,
            5 * limits::COMPRESSED_APART_BYTES,
        ] {
            let event = Queued { event: vec![b'7'; size], ..crate::forward::memory::event(1, 0) };
            for compression in [Compression::Gzip, Compression::Zstd] {
                let batch = Some(Batch { events: 1, bytes: 0, linger: Duration::ZERO });
                let cfg = Http { compression, batch, ..crate::forward::tests::http(String::new()) };
                let (headers, body) = make(&cfg, std::slice::from_ref(&event)).await.unwrap();
                let mut read = Vec::new();
                match headers[CONTENT_ENCODING].to_str().unwrap() {
                    "gzip" => drop(flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut read).unwrap()),
                    _ => read = zstd::stream::decode_all(&body[..]).unwrap(),
                }
                assert_eq!(read, [b"[".as_slice(), &event.event, b"]"].concat());
            }
        }
    }

    /// The example of §3.1.3.2.
    #[test]
    fn header_values() {
        assert_eq!(encoded("Euro € 😀"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(encoded("100%\"/a"), "100%25%22/a");
    }
}
