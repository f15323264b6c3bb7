//! Steps that compare a value with those before it.

use super::Stream;
use crate::config::buffer::span;
use crate::config::field::Field;
use crate::config::reader::Section;
use crate::config::schema;
use std::time::Duration;
use tidegate_pipeline::clean::{Action, Band, Deadband, Duplicate, RateLimit, Spike, Step, Stuck};
use tidegate_pipeline::limits::SPIKE_WINDOW_MAX;

const YEAR: Duration = Duration::from_secs(366 * 86_400);

pub(super) fn spike(field: &Field<'_>, _: &Stream<'_>) -> Option<Step> {
    let section = field.section(&schema::SPIKE, "spike = { window = 7, sigma = 3 }")?;
    let most = i64::try_from(SPIKE_WINDOW_MAX).unwrap_or(i64::MAX);
    let window = section.integer("window", 3..=most).unwrap_or(7);
    let sigma = positive(&section, "sigma", "write sigma = 3: so many standard deviations").unwrap_or(3.0);
    let min_deviation = not_negative(&section, "min_deviation").unwrap_or(0.0);
    section.finish();
    Some(Step::Spike(Spike { window: u8::try_from(window).ok()?, sigma, min_deviation }))
}

pub(super) fn stuck(field: &Field<'_>, _: &Stream<'_>) -> Option<Step> {
    let section = field.section(&schema::STUCK, "stuck = { for = \"1h\" }")?;
    let action = section.choice("action", &[("reject", Action::Reject), ("flag", Action::Flag)]);
    section.require("for", "for = \"1h\"");
    let after = section.duration("for", Duration::from_millis(1)..=YEAR);
    section.finish();
    Some(Step::Stuck(Stuck { after: span(after?), action: action.unwrap_or_default() }))
}

pub(super) fn rate_limit(field: &Field<'_>, _: &Stream<'_>) -> Option<Step> {
    let section = field.section(&schema::RATE_LIMIT, "rate_limit = { per_second = 5.0 }")?;
    section.require("per_second", "per_second = 5.0");
    let per_second = positive(&section, "per_second", "write the greatest change that is real: 5.0");
    section.finish();
    Some(Step::RateLimit(RateLimit { per_second: per_second? }))
}

pub(super) fn deadband(field: &Field<'_>, _: &Stream<'_>) -> Option<Step> {
    let example = "deadband = { absolute = 0.5, at_least_every = \"5m\" }";
    let section = field.section(&schema::DEADBAND, example)?;
    let absolute = not_negative(&section, "absolute");
    let percent = not_negative(&section, "percent");
    if section.has("absolute") == section.has("percent") && !section.has_unknown() {
        field.bad("needs one of `absolute` and `percent`", &format!("write {example}"));
    }
    let every = section.duration("at_least_every", Duration::from_millis(1)..=YEAR);
    section.finish();
    let band = absolute.map(Band::Absolute).or(percent.map(Band::Percent))?;
    Some(Step::Deadband(Deadband { band, at_least_every: every.map(span) }))
}

pub(super) fn duplicate(field: &Field<'_>, _: &Stream<'_>) -> Option<Step> {
    let section = field.section(&schema::DUPLICATE, "duplicate = { for = \"1m\" }")?;
    let within = section.duration("for", Duration::ZERO..=YEAR);
    section.finish();
    Some(Step::Duplicate(Duplicate { within: within.map(span).unwrap_or_default() }))
}

fn positive(section: &Section<'_>, key: &'static str, help: &str) -> Option<f64> {
    let field = section.get(key)?;
    let number = field.number()?;
    if number <= 0.0 {
        field.bad("has to be greater than 0", help);
        return None;
    }
    Some(number)
}

fn not_negative(section: &Section<'_>, key: &'static str) -> Option<f64> {
    let field = section.get(key)?;
    let number = field.number()?;
    if number < 0.0 {
        field.bad("cannot be negative", "write it without the minus");
        return None;
    }
    Some(number)
}
