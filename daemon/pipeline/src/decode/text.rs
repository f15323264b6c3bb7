//! `text`: one number, or one two-state word, per message.

use super::shape::Shape;
use super::{DecodeError, Found, Scalar, keep, number};
use std::borrow::Cow;

pub(super) fn decode<'p>(shape: &Shape, payload: &'p [u8], found: &mut Found<'p>) -> Result<(), DecodeError> {
    let text = std::str::from_utf8(payload).map_err(|_| DecodeError::NotUtf8)?.trim();
    let scalar = match text.parse::<f64>() {
        // What the configuration maps stays a text until the metric is known.
        _ if shape.maps.knows(text) => Scalar::Text(Cow::Borrowed(text)),
        Ok(number) => Scalar::Float(number),
        Err(_) => number::truth(text).map_or(Scalar::Text(Cow::Borrowed(text)), Scalar::Bool),
    };
    match shape.single {
        // Where its one value stands in a document means nothing to a text.
        Some(slot) => found.slots[slot] = scalar,
        // A text is the whole document, as a bare JSON scalar would be.
        None => keep(shape, shape.root(), "", scalar, found)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{DecodeError, Found, Shape};
    use crate::plan::{Fields, Format};
    use crate::verdict::Reason;

    fn check(payload: &str, expected: Result<Option<f64>, Reason>) {
        let fields = Fields::Value { at: None, metric: "v".into(), listed: vec![], rest: true };
        let shape = Shape::of_fields(&fields);
        let mut found = Found::default();
        found.decode(Format::Text, &shape, payload.as_bytes()).unwrap();
        assert_eq!(found.slots[0].value(), expected, "{payload}");
    }

    #[test]
    fn a_text_is_no_listed_metric() {
        let listed = vec![crate::plan::MetricPlan { name: "t".into(), at: None, unit: None }];
        for (rest, leaves) in [(false, vec![]), (true, vec![("value", 21.5)])] {
            let shape = Shape::of_fields(&Fields::Leaves { listed: listed.clone(), rest });
            let mut found = Found::default();
            found.decode(Format::Auto, &shape, b"21.5").unwrap();
            assert_eq!(found.slots[0].value(), Ok(None));
            assert_eq!(found.leaves.iter().collect::<Vec<_>>(), leaves);
        }
        let shape = Shape::of_fields(&Fields::Leaves { listed: vec![], rest: true });
        let error = Found::default().decode(Format::Auto, &shape, b"unavailable");
        assert_eq!(error, Err(DecodeError::NoReading(Reason::NoValue)));
    }

    #[test]
    fn numbers_and_words() {
        check("21.5", Ok(Some(21.5)));
        check(" -3\n", Ok(Some(-3.0)));
        check("1e3", Ok(Some(1000.0)));
        check("ON", Ok(Some(1.0)));
        check("closed", Ok(Some(0.0)));
        check("", Err(Reason::NoValue));
        check("unavailable", Err(Reason::NoValue));
        check("nan", Err(Reason::NotFinite));
        check("1e999", Err(Reason::NotFinite));
        check("-inf", Err(Reason::NotFinite));
        check("21,5", Err(Reason::NotANumber));
        check("warm", Err(Reason::NotANumber));
    }
}
