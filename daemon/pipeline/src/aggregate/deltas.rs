//! How marks are written down: how many, then for each the time since the one before in µs, and the value.

use super::samples::Mark;
use crate::time::Time;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(marks: &[Mark], serializer: S) -> Result<S::Ok, S::Error> {
    let mut before = Time(0);
    serializer.collect_seq(marks.iter().map(|mark| {
        let delta = mark.time.0.wrapping_sub(before.0);
        before = mark.time;
        (delta, mark.value)
    }))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Mark>, D::Error> {
    let written = Vec::<(i64, f64)>::deserialize(deserializer)?;
    let mut before = Time(0);
    let marks: Vec<Mark> = written
        .into_iter()
        .map(|(delta, value)| {
            before = Time(before.0.wrapping_add(delta));
            Mark { time: before, value }
        })
        .collect();
    if marks.is_sorted_by(|a, b| a.order(b).is_le()) {
        Ok(marks)
    } else {
        Err(D::Error::custom("the samples are not in the order of their times"))
    }
}
