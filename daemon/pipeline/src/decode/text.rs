//! `text`: one number, or one two-state word, per message.

use super::shape::Shape;
use super::walk::{State, keep};
use super::{DecodeError, Found, Scalar, number};

pub(super) fn decode<'p>(shape: &Shape, payload: &'p [u8], found: &mut Found<'p>) -> Result<(), DecodeError> {
    let text = std::str::from_utf8(payload).map_err(|_| DecodeError::NotUtf8)?;
    let scalar = match number::read(text, '.') {
        // What the configuration maps stays a text until the metric is known.
        Some(scalar) if !shape.maps.knows(text.trim()) => scalar,
        _ => Scalar::Text(text.trim().into()),
    };
    found.record(shape)?;
    match shape.single {
        // Where its one value stands in a document means nothing to a text.
        Some(slot) => found.set_slot(shape, slot, scalar, true),
        None => {
            // A text is the whole document, as a bare JSON scalar would be.
            found.scratch.states.push(State::root(shape));
            keep(shape, found, (0, 1), true, scalar)?;
        }
    }
    found.extend();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::table::{Expected, check, everything, listed, value};
    use crate::plan::Format;

    fn text(payload: &str, expected: Expected<'_>) {
        check(&value(Format::Text, "/ignored"), payload.as_bytes(), expected);
    }

    #[test]
    fn a_text_is_no_listed_metric() {
        check(&listed(Format::Auto, &[("t", None)], false), b"21.5", Ok(""));
        check(&listed(Format::Auto, &[("t", None)], true), b"21.5", Ok("value=21.5"));
        check(&everything(Format::Auto), b"unavailable", Err("no_value"));
        check(&everything(Format::Auto), b"nan", Err("not_finite"));
        check(&everything(Format::Auto), b"\xff", Err("UTF-8"));
    }

    #[test]
    fn numbers_and_words() {
        text("21.5", Ok("v=21.5"));
        text(" -3\n", Ok("v=-3"));
        text("1e3", Ok("v=1000"));
        text("ON", Ok("v=1"));
        text("closed", Ok("v=0"));
        text("", Ok("v!no_value"));
        text("unavailable", Ok("v!no_value"));
        text("nan", Ok("v!not_finite"));
        text("NaN", Ok("v!not_finite"));
        text("1e999", Ok("v!not_finite"));
        text("-inf", Ok("v!not_finite"));
        text("21,5", Ok("v!not_a_number"));
        text("warm", Ok("v!not_a_number"));
    }
}
