//! What `tidegate check` says of outputs that keep promise 3 of the design in a way of their own.

use super::super::model::{Config, Http, Output, OutputKind};
use serde::Serialize;

/// What is promised of one output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutputPromise {
    /// Its name.
    pub output: String,
    /// In one sentence.
    pub text: String,
}

/// A sentence for each output that does not simply send one event after the other, in the order of the file.
pub fn output_promises(config: &Config) -> Vec<OutputPromise> {
    let one = |output: &Output| {
        let OutputKind::Http(http) = &output.kind else { return None };
        let text = format!("{}: {}", output.name, order(http)?);
        Some(OutputPromise { output: output.name.clone(), text })
    };
    config.outputs.iter().filter_map(one).collect()
}

fn order(http: &Http) -> Option<String> {
    if http.budget.as_ref().is_some_and(|budget| budget.newest) {
        return Some(
            "the newest summaries go first and the older ones as the budget allows, so that windows of a series do NOT \
             arrive in their order; nothing else changes: each arrives, under its key and with its revision"
                .into(),
        );
    }
    let several = http.concurrency;
    (several > 1)
        .then(|| format!("up to {several} requests at a time; the windows of each series arrive in order"))
}
