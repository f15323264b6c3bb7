//! MessagePack, by `rmp_serde`: the same places as in JSON. Keys that are whole numbers are called by their digits; binary
//! data and extension types are no values.

use super::shape::Shape;
use super::walk::walk;
use super::{DecodeError, Found};
use rmp_serde::decode::Error;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Levels of maps and arrays within each other, as many as in JSON.
const DEPTH_MAX: usize = 128;

pub(super) fn decode<'p>(shape: &Shape, payload: &'p [u8], found: &mut Found<'p>) -> Result<(), DecodeError> {
    let malformed = |why: String| DecodeError::Malformed("MessagePack", why);
    let mut reader = rmp_serde::Deserializer::from_read_ref(payload);
    reader.set_max_depth(DEPTH_MAX);
    walk(shape, found, &mut reader)
        .map_err(|(error, ours)| ours.unwrap_or_else(|| malformed(error.to_string())))?;
    // The reader does not say what is left; only at the end there is no marker to read.
    match IgnoredAny::deserialize(&mut reader) {
        Err(Error::InvalidMarkerRead(_)) => Ok(()),
        _ => Err(malformed("trailing bytes".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Expected, check, everything, listed};
    use crate::plan::{Format, Pointer};

    fn msgpack(metrics: &[(&str, Option<&str>)], payload: &[u8], expected: Expected<'_>) {
        let plan = match metrics {
            [] => everything(Format::Msgpack),
            _ => listed(Format::Msgpack, metrics, false),
        };
        check(&plan, payload, expected);
    }

    #[test]
    fn documents() {
        // {"t": 21.5, "n": {"h": 48, 7: true}, "s": "x"}
        let payload = b"\x83\xa1t\xcb\x40\x35\x80\x00\x00\x00\x00\x00\xa1n\x82\xa1h\x30\x07\xc3\xa1s\xa1x";
        msgpack(&[], payload, Ok("t=21.5 n/h=48 n/7=1"));
        msgpack(&[("h", Some("/n/h")), ("s", None)], payload, Ok("h=48 s!not_a_number"));
        msgpack(&[("any", Some("/n/{key}"))], payload, Ok("any{key=h}=48 any{key=7}=1"));
        // 21.1 in 32 bits stays 21.1; a NaN is a reading that is refused; so is nil at a listed place.
        msgpack(&[], b"\x81\xa1t\xca\x41\xa8\xcc\xcd", Ok("t=21.1"));
        msgpack(&[], b"\x81\xa1t\xca\x7f\xc0\x00\x00", Ok("t!not_finite"));
        msgpack(&[("t", None)], b"\x81\xa1t\xc0", Ok("t!no_value"));
        // Binary data and extension types are no values.
        msgpack(&[("t", None)], b"\x81\xa1t\xc4\x01\x05", Ok("t!not_a_number"));
        msgpack(&[("t", None)], b"\x81\xa1t\xd6\xff\x00\x00\x00\x05", Ok("t!not_a_number"));
        msgpack(&[], b"\x2a", Ok("value=42"));
    }

    #[test]
    fn a_list_of_records() {
        let mut plan = everything(Format::Msgpack);
        plan.each = Some(Pointer::default());
        check(&plan, b"\x92\x81\xa1t\x01\x81\xa1t\x02", Ok("t=1 | t=2"));
    }

    #[test]
    fn what_is_refused() {
        msgpack(&[], b"", Err("MessagePack"));
        msgpack(&[], b"\x81\xa1t", Err("MessagePack"));
        msgpack(&[], b"\xc1", Err("MessagePack"));
        msgpack(&[], b"\x01\x02", Err("trailing"));
        msgpack(&[], b"\xdf\xff\xff\xff\xff", Err("MessagePack"));
        msgpack(&[], &[b'\x91'; 1_000], Err("depth"));
        msgpack(&[], &[&b"\xdc\x07\xd0"[..], &[0; 2_000]].concat(), Err("more readings"));
    }
}
