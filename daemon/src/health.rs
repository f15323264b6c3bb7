//! What is wrong at the moment, for `status` and `/readyz`. A problem has a place, and goes when its cause is gone.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// A problem: what happened, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where: `sources.local`, `outputs.ingest`, `store`, `clock`.
    pub at: String,
    /// One or two sentences for a person.
    pub text: String,
}

/// The problems of the daemon, one per place.
#[derive(Debug, Default)]
pub struct Health(Mutex<BTreeMap<String, String>>);

impl Health {
    /// Says what is wrong at `at`. True when this is news, and so worth a log line.
    pub fn raise(&self, at: &str, text: impl Into<String>) -> bool {
        let text = text.into();
        let mut problems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        problems.insert(at.to_owned(), text.clone()).is_none_or(|old| old != text)
    }

    /// Nothing is wrong at `at` any more. True when something was.
    pub fn clear(&self, at: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(at).is_some()
    }

    /// Whether something is wrong at `at`.
    pub fn has(&self, at: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(at)
    }

    /// All problems, by place.
    pub fn problems(&self) -> Vec<Problem> {
        let problems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        problems.iter().map(|(at, text)| Problem { at: at.clone(), text: text.clone() }).collect()
    }
}
