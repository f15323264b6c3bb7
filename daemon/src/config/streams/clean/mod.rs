//! `clean`: steps that each value goes through, in order.
//!
//! To add one: a reader in one of the files here, a row in [`STEPS`], its table in `schema.rs`.

mod bounds;
mod history;
mod meaning;

use super::known_metrics;
use crate::config::field::Field;
use crate::config::reader::Section;
use crate::config::schema;
use tidegate_pipeline::clean::Step;
use tidegate_pipeline::plan::CleanStep;

const EXAMPLE: &str = "clean = [{ range = { min = -40, max = 85 } }]";

/// What is known of the stream that is cleaned.
#[derive(Clone, Copy)]
pub(super) struct Stream<'s> {
    /// The metrics that can come, when they are known.
    pub(super) metrics: Option<&'s [&'s str]>,
    /// The tags that its series can have.
    pub(super) tags: &'s [&'s str],
    /// A source of it whose messages other gateways get too.
    pub(super) shared: Option<&'s str>,
}

type Reader = fn(&Field<'_>, &Stream<'_>) -> Option<Step>;

/// Steps by their keys.
const STEPS: &[(&str, Reader)] = &[
    ("range", bounds::range),
    ("scale", bounds::scale),
    ("convert", bounds::convert),
    ("spike", history::spike),
    ("stuck", history::stuck),
    ("rate_limit", history::rate_limit),
    ("deadband", history::deadband),
    ("duplicate", history::duplicate),
    ("map", meaning::map),
    ("where", meaning::only),
    ("derive", meaning::derive),
];

pub(super) fn read(field: Option<Field<'_>>, stream: &Stream<'_>) -> Vec<CleanStep> {
    let Some(field) = field else { return Vec::new() };
    let elements = field.elements();
    // What is derived can be cleaned, and derived from.
    let derived: Vec<&str> = elements.iter().filter_map(derived).collect();
    let metrics = stream.metrics.map(|metrics| [metrics, &derived].concat());
    let all = Stream { metrics: metrics.as_deref(), ..*stream };
    let steps: Vec<_> = elements.iter().filter_map(|element| step(element, &all)).collect();
    for (at, name) in derived.iter().enumerate() {
        let listed = stream.metrics.is_some_and(|metrics| metrics.contains(name));
        if listed || derived[..at].contains(name) {
            let what = format!("gives `{name}` twice");
            field.bad(&what, "give the derived metric a name that no message and no other step gives");
        }
    }
    steps
}

/// The name of the metric that a step derives, before anything is checked.
fn derived<'a>(element: &Field<'a>) -> Option<&'a str> {
    element.value.get("derive")?.get_ref().get("metric")?.get_ref().as_str()
}

fn step(field: &Field<'_>, stream: &Stream<'_>) -> Option<CleanStep> {
    let section = field.section(&schema::CLEAN, EXAMPLE)?;
    let found: Vec<_> = STEPS.iter().filter_map(|(key, reader)| Some((section.get(key)?, reader))).collect();
    let metrics = section.get("metrics").map(|field| {
        let words = field.words();
        known_metrics(field.cx, &words, stream.metrics);
        words.into_iter().map(|(word, _)| word.to_owned()).collect()
    });
    let step = match found.as_slice() {
        [(field, reader)] => reader(field, stream),
        [] => {
            if !section.has_unknown() {
                field.bad("has a step that does nothing", &format!("write {EXAMPLE}"));
            }
            None
        }
        [(first, _), (second, _), ..] => {
            let (a, b) = (first.key, second.key);
            field
                .cx
                .error(second.span.clone(), "two steps in one")
                .label("which one is first?")
                .also(first.span.clone(), "or this?")
                .help(format!("write two steps in the order that you mean: [{{ {a} = … }}, {{ {b} = … }}]"))
                .report();
            None
        }
    };
    refuse_metrics(&section, step.as_ref());
    section.finish();
    let step = step?;
    refuse_shared(&found[0].0, &step, stream);
    Some(CleanStep { step, metrics })
}

/// A derived metric is one metric: its own.
fn refuse_metrics(section: &Section<'_>, step: Option<&Step>) {
    if let (Some(Step::Derive(derive)), Some(metrics)) = (step, section.get("metrics")) {
        let what = format!("has no meaning here: `derive` makes `{}`", derive.metric);
        metrics.bad(&what, "remove it");
    }
}

/// Several gateways that share a subscription each see a part of a series: what compares readings would compare the wrong
/// ones.
fn refuse_shared(field: &Field<'_>, step: &Step, stream: &Stream<'_>) {
    let Some(source) = stream.shared.filter(|_| step.remembers()) else { return };
    field
        .cx
        .error(field.span.clone(), format!("`{}` needs every reading of a sensor", field.key))
        .label(format!("source `{source}` has a `shared_group`: other gateways get some of them"))
        .help("do this in the function, or listen to a source that is not shared")
        .report();
}
