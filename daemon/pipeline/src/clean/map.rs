//! `map = { "ON" = 1, "OFF" = 0 }`: makes numbers of texts.
//!
//! The journal holds numbers, so a text becomes one while the message is read, before any other step and wherever the
//! step stands in the list.

use super::Step;
use crate::plan::CleanStep;
use serde::{Deserialize, Serialize};

/// Texts, and the numbers that they stand for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// Exactly as they come, case included; sorted.
    pub texts: Vec<(String, f64)>,
}

/// All maps of a stream, each with the metrics that it is for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Maps(Vec<(Option<Vec<String>>, Map)>);

impl Maps {
    pub(crate) fn of(steps: &[CleanStep]) -> Maps {
        let map = |clean: &CleanStep| match &clean.step {
            Step::Map(map) => Some((clean.metrics.clone(), map.clone())),
            _ => None,
        };
        Maps(steps.iter().filter_map(map).collect())
    }

    /// The number that `text` stands for as a value of `metric`.
    pub(crate) fn number(&self, metric: &str, text: &str) -> Option<f64> {
        let fits = |metrics: &Option<Vec<String>>| {
            metrics.as_ref().is_none_or(|metrics| metrics.iter().any(|name| name == metric))
        };
        self.0.iter().filter(|(metrics, _)| fits(metrics)).find_map(|(_, map)| map.number(text))
    }

    /// Whether `text` stands for a number in some metric.
    pub(crate) fn knows(&self, text: &str) -> bool {
        self.0.iter().any(|(_, map)| map.number(text).is_some())
    }
}

impl Map {
    fn number(&self, text: &str) -> Option<f64> {
        let at = self.texts.binary_search_by(|(known, _)| known.as_str().cmp(text)).ok()?;
        Some(self.texts[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_map_of_the_metric_counts() {
        let step = |texts: &[(&str, f64)], metrics: Option<&str>| CleanStep {
            step: Step::Map(Map { texts: texts.iter().map(|(text, n)| ((*text).to_owned(), *n)).collect() }),
            metrics: metrics.map(|metric| vec![metric.to_owned()]),
        };
        let maps = Maps::of(&[
            step(&[("closed", 1.0), ("open", 0.0)], Some("valve")),
            step(&[("closed", 0.0), ("fault", -1.0)], None),
        ]);
        for (metric, text, number) in [
            ("valve", "closed", Some(1.0)),
            ("door", "closed", Some(0.0)),
            ("door", "open", None),
            ("valve", "fault", Some(-1.0)),
            ("valve", "Closed", None),
        ] {
            assert_eq!(maps.number(metric, text), number, "{metric} {text}");
        }
        assert!(maps.knows("open") && !maps.knows("ON"));
    }
}
