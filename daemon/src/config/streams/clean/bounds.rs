//! Steps that look at one value alone.

use super::Stream;
use crate::config::field::Field;
use crate::config::schema;
use crate::config::suggest::nearest;
use std::ops::Range as Place;
use tidegate_pipeline::clean::{Convert, ConvertError, Range, Scale, Step};

pub(super) fn range(field: &Field<'_>, _: &Stream<'_>) -> Option<Step> {
    let section = field.section(&schema::RANGE, "range = { min = -40, max = 85 }")?;
    let min = section.number("min");
    let max = section.number("max");
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        field.bad("refuses everything: `min` is greater than `max`", "swap them");
    }
    if !section.has("min") && !section.has("max") && !section.has_unknown() {
        field.bad("has neither `min` nor `max`", "write range = { min = -40, max = 85 }, or one of them");
    }
    section.finish();
    Some(Step::Range(Range { min, max }))
}

pub(super) fn scale(field: &Field<'_>, _: &Stream<'_>) -> Option<Step> {
    let section = field.section(&schema::SCALE, "scale = { factor = 0.1, offset = -40 }")?;
    let factor = section.number("factor");
    let offset = section.number("offset");
    if factor == Some(0.0) {
        field.bad("makes every value the same: `factor` is 0", "write the number to multiply by");
    }
    if !section.has("factor") && !section.has("offset") && !section.has_unknown() {
        field.bad(
            "has neither `factor` nor `offset`",
            "write scale = { factor = 0.1, offset = -40 }, or one of them",
        );
    }
    section.finish();
    Some(Step::Scale(Scale { factor: factor.unwrap_or(1.0), offset: offset.unwrap_or(0.0) }))
}

/// A unit's name, and where it stands.
type Unit<'a> = (&'a str, Place<usize>);

pub(super) fn convert(field: &Field<'_>, _: &Stream<'_>) -> Option<Step> {
    let (from, to) = if field.value.as_table().is_some() { from_table(field)? } else { from_text(field)? };
    match Convert::new(from.0, to.0) {
        Ok(convert) => return Some(Step::Convert(convert)),
        Err(ConvertError::Unknown(_)) => {
            let unknown =
                [from, to].into_iter().filter(|(name, _)| !Convert::names().any(|known| known == *name));
            unknown.for_each(|unit| report_unknown(field, unit));
        }
        Err(apart @ ConvertError::Apart { .. }) => field
            .cx
            .error(to.1, format!("`{}` does not convert into `{}`", from.0, to.0))
            .label(apart.to_string())
            .help("both have to measure the same; for anything else there is `scale`")
            .report(),
    }
    None
}

fn report_unknown(field: &Field<'_>, (name, at): Unit<'_>) {
    let error = field.cx.error(at, format!("unknown unit `{name}`"));
    let error = match nearest(name, Convert::names()) {
        Some(near) => error.label(format!("did you mean `{near}`?")),
        None => error.label("not known here"),
    };
    error
        .help("docs/configuration.md lists the units; for others write `scale`, and the unit in `metrics`")
        .report();
}

fn from_table<'a>(field: &Field<'a>) -> Option<(Unit<'a>, Unit<'a>)> {
    let example = "convert = { from = \"°F\", to = \"°C\" }";
    let section = field.section(&schema::CONVERT, example)?;
    section.require("from", example);
    section.require("to", example);
    let unit = |field: Option<Field<'a>>| {
        let field = field?;
        Some((field.filled()?, field.span))
    };
    let (from, to) = (unit(section.get("from")), unit(section.get("to")));
    section.finish();
    Some((from?, to?))
}

fn from_text<'a>(field: &Field<'a>) -> Option<(Unit<'a>, Unit<'a>)> {
    let text = field.text()?;
    let Some((from, to)) = text.split_once("->") else {
        field.bad("does not say from which unit to which", "write convert = \"°F -> °C\"");
        return None;
    };
    let unit = |part: &'a str, start: usize| {
        let start = start + part.len() - part.trim_start().len();
        let name = part.trim();
        (name, field.inner(start..start + name.len()))
    };
    Some((unit(from, 0), unit(to, from.len() + 2)))
}
