//! CBOR (RFC 8949): the same places as in JSON. Keys that are whole numbers are called by their digits, tags are passed over
//! (what they mark is what counts), byte strings are no values.
//!
//! The heads and strings are read by `cbor4ii`; its own serde reader refuses tags, which time stamps commonly have.

use super::shape::Shape;
use super::walk::walk;
use super::{DecodeError, Found};
use cbor4ii::core::dec::{self, Decode, Read};
use cbor4ii::core::utils::SliceReader;
use cbor4ii::core::{major, marker, types};
use serde::de::value::Error;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::borrow::Cow;
use std::fmt::Display;

pub(super) fn decode<'p>(shape: &Shape, payload: &'p [u8], found: &mut Found<'p>) -> Result<(), DecodeError> {
    let mut reader = Reader::new(payload);
    walk(shape, found, &mut reader).map_err(|(error, ours)| ours.unwrap_or_else(|| malformed(&error)))?;
    reader.end().map_err(|error| malformed(&error))
}

pub(super) fn malformed(error: &Error) -> DecodeError {
    DecodeError::Malformed("CBOR", error.to_string())
}

/// A serde reader of one CBOR item.
pub(super) struct Reader<'p>(SliceReader<'p>);

impl<'p> Reader<'p> {
    pub(super) fn new(payload: &'p [u8]) -> Reader<'p> {
        Reader(SliceReader::new(payload))
    }

    /// # Errors
    /// When something follows the item.
    pub(super) fn end(mut self) -> Result<(), Error> {
        match self.peek() {
            Some(_) => Err(Error::custom("trailing bytes")),
            None => Ok(()),
        }
    }

    fn peek(&mut self) -> Option<u8> {
        let Ok(bytes) = self.0.fill(1);
        bytes.as_ref().first().copied()
    }

    fn take<T: Decode<'p>>(&mut self) -> Result<T, Error> {
        T::decode(&mut self.0).map_err(wrong)
    }

    /// Reads what is nested one level deeper.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if !self.0.step_in() {
            return Err(Error::custom("nested too deeply"));
        }
        let result = read(self);
        self.0.step_out();
        result
    }

    fn simple<V: Visitor<'p>>(&mut self, byte: u8, visitor: V) -> Result<V::Value, Error> {
        match byte {
            marker::FALSE | marker::TRUE => visitor.visit_bool(self.take()?),
            marker::NULL | marker::UNDEFINED => {
                self.0.advance(1);
                visitor.visit_unit()
            }
            marker::F16 => visitor.visit_f32(half(self.take::<types::F16>()?.0)),
            marker::F32 => visitor.visit_f32(self.take()?),
            marker::F64 => visitor.visit_f64(self.take()?),
            _ => Err(Error::custom("a simple value that has no meaning")),
        }
    }
}

fn wrong(error: impl Display) -> Error {
    Error::custom(error)
}

impl<'p> Deserializer<'p> for &mut Reader<'p> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, Error> {
        while let Some(byte) = self.peek()
            && dec::if_major(byte) == major::TAG
        {
            types::Tag::tag(&mut self.0).map_err(wrong)?;
        }
        let byte = self.peek().ok_or_else(|| Error::custom("ends too early"))?;
        match dec::if_major(byte) {
            major::UNSIGNED => visitor.visit_u64(self.take()?),
            major::NEGATIVE => {
                let whole: i128 = self.take()?;
                match i64::try_from(whole) {
                    Ok(whole) => visitor.visit_i64(whole),
                    Err(_) => visitor.visit_i128(whole),
                }
            }
            major::BYTES => visitor.visit_bytes(&self.take::<types::Bytes<Cow<'p, [u8]>>>()?.0),
            major::STRING => match self.take::<Cow<'p, str>>()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_str(&text),
            },
            major::ARRAY => self.nested(|reader| {
                let left = types::Array::len(&mut reader.0).map_err(wrong)?;
                visitor.visit_seq(Items { reader, left })
            }),
            major::MAP => self.nested(|reader| {
                let left = types::Map::len(&mut reader.0).map_err(wrong)?;
                visitor.visit_map(Items { reader, left })
            }),
            _ => self.simple(byte, visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, Error> {
        self.take::<dec::IgnoredAny>()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <V: Visitor<'p>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

/// Elements or entries: so many, or up to a break.
struct Items<'r, 'p> {
    reader: &'r mut Reader<'p>,
    left: Option<usize>,
}

impl Items<'_, '_> {
    fn more(&mut self) -> Result<bool, Error> {
        match &mut self.left {
            None => dec::is_break(&mut self.reader.0).map(|end| !end).map_err(wrong),
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
        }
    }
}

impl<'p> SeqAccess<'p> for Items<'_, 'p> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'p>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.more()? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
}

impl<'p> MapAccess<'p> for Items<'_, 'p> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'p>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if self.more()? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<V: DeserializeSeed<'p>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.reader)
    }
}

/// A number of 16 bits: sign, 5 bits of exponent, 10 of mantissa (IEEE 754 binary16; RFC 8949, appendix D).
fn half(bits: u16) -> f32 {
    let (exponent, mantissa) = ((bits >> 10) & 0x1f, f32::from(bits & 0x3ff));
    let size = match exponent {
        0 => mantissa * 2f32.powi(-24),
        31 if mantissa == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (mantissa + 1024.0) * 2f32.powi(i32::from(exponent) - 25),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Expected, check, everything, listed};
    use super::half;
    use crate::plan::{Format, Pointer};

    fn cbor(metrics: &[(&str, Option<&str>)], payload: &[u8], expected: Expected<'_>) {
        let plan = match metrics {
            [] => everything(Format::Cbor),
            _ => listed(Format::Cbor, metrics, false),
        };
        check(&plan, payload, expected);
    }

    #[test]
    fn documents() {
        // {"t": 21.5, "n": {"h": 48, 7: true}, "s": "x"}
        let payload =
            b"\xa3\x61t\xfb\x40\x35\x80\x00\x00\x00\x00\x00\x61n\xa2\x61h\x18\x30\x07\xf5\x61s\x61x";
        cbor(&[], payload, Ok("t=21.5 n/h=48 n/7=1"));
        cbor(&[("h", Some("/n/h")), ("s", None)], payload, Ok("h=48 s!not_a_number"));
        // Without lengths: {_ "t": [_ 1, -2], "u": (_ "a", "b")}
        cbor(&[], b"\xbf\x61t\x9f\x01\x21\xff\x61u\x7f\x61a\x61b\xff\xff", Ok("t/0=1 t/1=-2"));
        // Numbers of 16 and 32 bits, tags before a value, and what is no value.
        cbor(&[], b"\xa1\x61t\xf9\x3e\x00", Ok("t=1.5"));
        cbor(&[], b"\xa1\x61t\xfa\x41\xa8\xcc\xcd", Ok("t=21.1"));
        cbor(&[], b"\xa1\x61t\xc1\xd8\x20\x18\x2a", Ok("t=42"));
        cbor(&[], b"\xa1\x61t\xf9\x7e\x00", Ok("t!not_finite"));
        cbor(&[], b"\xa1\x61t\x3b\xff\xff\xff\xff\xff\xff\xff\xff", Ok("t=-18446744073709552000"));
        cbor(&[("t", None)], b"\xa1\x61t\xf6", Ok("t!no_value"));
        cbor(&[("t", None)], b"\xa1\x61t\x41\x05", Ok("t!not_a_number"));
        cbor(&[("t", None)], b"\xa1\x61t\xc2\x41\x05", Ok("t!not_a_number"));
    }

    #[test]
    fn a_list_of_records() {
        let mut plan = everything(Format::Cbor);
        plan.each = Some(Pointer::default());
        check(&plan, b"\x82\xa1\x61t\x01\xa1\x61t\x02", Ok("t=1 | t=2"));
    }

    #[test]
    fn what_is_refused() {
        cbor(&[], b"", Err("too early"));
        cbor(&[], b"\xa1\x61t", Err("too early"));
        cbor(&[], b"\x01\x02", Err("trailing"));
        cbor(&[], b"\xff", Err("CBOR"));
        cbor(&[], b"\x61\xff", Err("CBOR"));
        cbor(&[], b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", Err("CBOR"));
        cbor(&[], &[b'\x81'; 100_000], Err("deep"));
        cbor(&[("x", None)], &[b'\x81'; 100_000], Err("CBOR"));
        cbor(&[], &[&b"\x9f"[..], &[0; 2_000]].concat(), Err("more readings"));
    }

    #[test]
    fn halves() {
        for (bits, number) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc400, -4.0),
            (0x7bff, 65_504.0),
            (0x0001, 5.960_464_5e-8),
            (0x0400, 6.103_515_6e-5),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), number, "{bits:04x}");
        }
        assert!(half(0x7e00).is_nan());
    }
}
