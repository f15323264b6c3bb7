//! Line protocol of InfluxDB (docs.influxdata.com, *Line protocol reference*, v2): each line is a record, its fields are
//! readings called `measurement/field`.
//!
//! ```text
//! measurement[,tag=value …] field=value[,field=value …] [timestamp]
//! ```
//!
//! Tags that the stream asks for, by places such as `/host`, become tags of that name. Those that it does not ask for must
//! still keep series apart: they stand together in the tag `labels`, as `cpu=cpu0,host=pi`, sorted.

use super::stamp::Stamp;
use super::walk::put;
use super::{DecodeError, Found, Scalar, Shape};
use crate::verdict::Reason;
use std::borrow::Cow;

/// The tag of all tags that nobody asks for.
pub(crate) const LABELS: &str = "labels";

pub(super) fn decode<'p>(
    stamp: &Stamp,
    shape: &Shape,
    payload: &'p [u8],
    found: &mut Found<'p>,
) -> Result<(), DecodeError> {
    let payload = std::str::from_utf8(payload).map_err(|_| DecodeError::NotUtf8)?;
    let (mut rest, mut number) = (payload, 0);
    while !rest.is_empty() {
        let (text, after) = split(rest, "\n");
        rest = after.map_or("", |(_, after)| after);
        number += 1;
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        found.record(shape)?;
        line(stamp, shape, text, found).map_err(|error| match error {
            DecodeError::Malformed(format, why) => {
                DecodeError::Malformed(format, format!("line {number}: {why}"))
            }
            error => error,
        })?;
        found.extend();
    }
    Ok(())
}

fn line<'p>(stamp: &Stamp, shape: &Shape, text: &'p str, found: &mut Found<'p>) -> Result<(), DecodeError> {
    let malformed = |why: &str| DecodeError::Malformed("line protocol", why.to_owned());
    let (head, fields) = split(text, " ");
    let (fields, time) = split(fields.map_or("", |(_, rest)| rest.trim_start()), " ");
    let (measurement, tags) = split(head, ",");
    if measurement.is_empty() {
        return Err(malformed("it has no measurement"));
    }
    if fields.is_empty() {
        return Err(malformed("it has no fields"));
    }
    let measurement = unescaped(measurement);
    let mut labels: Vec<(&str, &str)> = Vec::new();
    for tag in parts(tags.map(|(_, tags)| tags)) {
        let (key, value) = pair(tag).ok_or_else(|| malformed("a tag is not `name=value`"))?;
        if !put(shape, found, [unescaped(key).as_ref()], Scalar::Text(unescaped(value)))? {
            labels.push((key, value));
        }
    }
    for field in parts(Some(fields)) {
        let (key, value) = pair(field).ok_or_else(|| malformed("a field is not `name=value`"))?;
        let value =
            field_value(value).ok_or_else(|| malformed("a field's value is none of the protocol's"))?;
        put(shape, found, [measurement.as_ref(), unescaped(key).as_ref()], value)?;
    }
    if !labels.is_empty() {
        labels.sort_unstable();
        let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        found.add_tag(LABELS, &labels.join(","));
    }
    if let Some(time) = time.map(|(_, time)| time.trim()).filter(|time| !time.is_empty()) {
        let whole = time.parse::<i64>().map_err(|_| malformed("its time stamp is no whole number"))?;
        found.set_time(stamp.read(&Scalar::Int(whole.into())).ok_or(Reason::BadTime));
    }
    Ok(())
}

/// What stands before the first of `ends` that is neither escaped nor within quotes; which it was, and what follows.
fn split<'t>(text: &'t str, ends: &str) -> (&'t str, Option<(char, &'t str)>) {
    let (mut escaped, mut quoted, mut value) = (false, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            // Quotes mean something only around the value of a field, where they follow an equals sign.
            '"' if quoted || value => quoted = !quoted,
            _ if !quoted && ends.contains(c) => return (&text[..at], Some((c, &text[at + c.len_utf8()..]))),
            _ => {}
        }
        value = c == '=' && !escaped;
    }
    (text, None)
}

/// The parts between commas.
fn parts(text: Option<&str>) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (part, after) = split(rest?, ",");
        rest = after.map(|(_, after)| after);
        Some(part)
    })
}

fn pair(text: &str) -> Option<(&str, &str)> {
    let (key, value) = split(text, "=");
    let (_, value) = value?;
    (!key.is_empty() && !value.is_empty()).then_some((key, value))
}

/// Without the backslashes before commas, equals signs and blanks.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\\,", ",").replace("\\=", "=").replace("\\ ", " "))
}

fn field_value(text: &str) -> Option<Scalar<'_>> {
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => return Some(Scalar::Bool(true)),
        "f" | "F" | "false" | "False" | "FALSE" => return Some(Scalar::Bool(false)),
        _ => {}
    }
    if let Some(text) = text.strip_prefix('"') {
        let text = text.strip_suffix('"')?;
        return Some(Scalar::Text(match text.contains('\\') {
            false => Cow::Borrowed(text),
            true => Cow::Owned(text.replace("\\\"", "\"").replace("\\\\", "\\")),
        }));
    }
    match text.as_bytes().last()? {
        b'i' => text[..text.len() - 1].parse::<i64>().ok().map(|whole| Scalar::Int(whole.into())),
        b'u' => text[..text.len() - 1].parse::<u64>().ok().map(|whole| Scalar::Int(whole.into())),
        _ => text.parse().ok().map(Scalar::Float),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Expected, check, everything, listed};
    use crate::plan::{Format, Pointer, StreamPlan, TagPlan, TimeFormat};

    fn plan(unit: TimeFormat) -> StreamPlan {
        everything(Format::Influx { unit })
    }

    fn influx(payload: &str, expected: Expected<'_>) {
        check(&plan(TimeFormat::Nanos), payload.as_bytes(), expected);
    }

    #[test]
    fn lines() {
        influx("weather temp=21.5", Ok("weather/temp=21.5"));
        influx(
            "weather,station=a temp=21.5,hum=48i,rain=t,n=7u,text=\"x\" 1795341600000000000\n\n# no reading\nmem free=1 \n",
            Ok(
                "weather/temp=21.5 weather/hum=48 weather/rain=1 weather/n=7 [labels=station=a] @2026-11-22T10:00:00Z | mem/free=1",
            ),
        );
        influx("cpu,host=pi,cpu=cpu0 idle=9", Ok("cpu/idle=9 [labels=cpu=cpu0,host=pi]"));
        influx(r"we\,a\ t,k\=ey=v\ al f\ ield=1", Ok(r"we,a t/f ield=1 [labels=k\=ey=v\ al]"));
        influx("m s=\"a, b=c \\\" d\",v=1 5", Ok("m/v=1 @1970-01-01T00:00:00Z"));
        influx("m s=\"two\nlines\",v=1\nm v=2", Ok("m/v=1 | m/v=2"));
        influx("m v=nan", Ok("m/v!not_finite"));
        influx("m v=-1.5e3\r\nm v=TRUE\r\n", Ok("m/v=-1500 | m/v=1"));
        influx("", Ok("no records"));
    }

    #[test]
    fn precisions() {
        let check_unit = |unit: TimeFormat, time: &str, shown: &str| {
            check(&plan(unit), format!("m v=1 {time}").as_bytes(), Ok(&format!("m/v=1 @{shown}")));
        };
        check_unit(TimeFormat::Seconds, "1795341600", "2026-11-22T10:00:00Z");
        check_unit(TimeFormat::Millis, "1795341600500", "2026-11-22T10:00:00.5Z");
        check_unit(TimeFormat::Micros, "1795341600000001", "2026-11-22T10:00:00.000001Z");
        check_unit(TimeFormat::Nanos, "1795341600000000999", "2026-11-22T10:00:00Z");
        check_unit(TimeFormat::Seconds, "9223372036854775807", "bad_time");
    }

    #[test]
    fn places() {
        let mut plan = plan(TimeFormat::Nanos);
        plan.tags = vec![("host".into(), TagPlan::At(Pointer::parse("/host").unwrap()))];
        plan.fields = listed(
            Format::Json,
            &[("idle", Some("/cpu/usage_idle")), ("used", Some("/{part}/used")), ("s", Some("/m/s"))],
            false,
        )
        .fields;
        check(
            &plan,
            b"cpu,host=pi,cpu=cpu0 usage_idle=9,other=1\nmem used=5\nm s=\"x\"",
            Ok("idle=9 [labels=cpu=cpu0,host=pi] | used{part=mem}=5 | s!not_a_number"),
        );
    }

    #[test]
    fn what_is_refused() {
        influx("weather", Err("line 1: it has no fields"));
        influx("m v=1\n,a=b v=1", Err("line 2: it has no measurement"));
        influx("m,a v=1", Err("a tag is not"));
        influx("m,a= v=1", Err("a tag is not"));
        influx("m v", Err("a field is not"));
        influx("m v=", Err("a field is not"));
        influx("m v=1x", Err("a field's value"));
        influx("m v=\"x", Err("a field's value"));
        influx("m v=1.5i", Err("a field's value"));
        influx("m v=9223372036854775808i", Err("a field's value"));
        influx("m v=1 soon", Err("its time stamp is no whole number"));
        influx(&"m v=1\n".repeat(1_001), Err("more readings"));
        check(&plan(TimeFormat::Nanos), b"m v=\xff", Err("UTF-8"));
    }
}
