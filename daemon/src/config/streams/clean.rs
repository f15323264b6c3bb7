//! `clean`: steps that each value goes through, in order.

use super::known_metrics;
use crate::config::field::Field;
use crate::config::schema;
use tidegate_pipeline::clean::{Range, Scale, Step};
use tidegate_pipeline::plan::CleanStep;

const EXAMPLE: &str = "clean = [{ range = { min = -40, max = 85 } }]";

/// `metrics` are those that can come, when they are known.
pub(super) fn read(field: Option<Field<'_>>, metrics: Option<&[&str]>) -> Vec<CleanStep> {
    let Some(field) = field else { return Vec::new() };
    field.elements().iter().filter_map(|element| step(element, metrics)).collect()
}

fn step(field: &Field<'_>, known: Option<&[&str]>) -> Option<CleanStep> {
    let section = field.section(&schema::CLEAN, EXAMPLE)?;
    let ranges = section.get("range");
    let scales = section.get("scale");
    if let (Some(range), Some(scale)) = (&ranges, &scales) {
        field
            .cx
            .error(scale.span.clone(), "two steps in one")
            .label("which one is first?")
            .also(range.span.clone(), "or this?")
            .help("write two steps in the order that you mean: [{ range = … }, { scale = … }]")
            .report();
    }
    if ranges.is_none() && scales.is_none() && !section.has_unknown() {
        field.bad("has a step that does nothing", &format!("write {EXAMPLE}"));
    }
    let metrics = section.get("metrics").map(|field| {
        let words = field.words();
        known_metrics(field.cx, &words, known);
        words.into_iter().map(|(word, _)| word.to_owned()).collect()
    });
    section.finish();
    let step = match (ranges, scales) {
        (Some(field), _) => range(&field)?,
        (None, Some(field)) => scale(&field)?,
        (None, None) => return None,
    };
    Some(CleanStep { step, metrics })
}

fn range(field: &Field<'_>) -> Option<Step> {
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

fn scale(field: &Field<'_>) -> Option<Step> {
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
