//! What became of a reading: exactly one verdict each.

use serde::{Deserialize, Serialize};

/// What the pipeline decided about one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Folded into every window that it belongs to.
    Counted,
    /// Came before: not folded again.
    Duplicate,
    /// Not folded, its bytes not kept.
    Rejected(Reason),
    /// Not folded, its message kept among the dead letters.
    DeadLettered(Reason),
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Why a reading was not counted. The names are those of the ledger, the metrics and docs/ledger.md.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// All of them, in the order of the code.
            pub const ALL: &[Reason] = &[$(Reason::$variant,)+];

            /// The name in the ledger.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name,)+ }
            }
        }
    };
}

// The order is part of the store's format: add new reasons at the end.
reasons! {
    /// The payload is not what the stream's format says (its bytes are among the dead letters).
    Malformed = "malformed",
    /// The topic is not UTF-8, or holds what MQTT forbids.
    BadTopic = "bad_topic",
    /// No stream listens to the topic.
    Unmatched = "unmatched",
    /// The place of the value holds a null, an empty text or a word such as `unavailable`.
    NoValue = "no_value",
    /// The place of the value holds something that is not a number.
    NotANumber = "not_a_number",
    /// NaN, an infinity, or a number too great for 64-bit floating point.
    NotFinite = "not_finite",
    /// A cleaning step `range` refused it.
    Range = "range",
    /// The time stamp is missing or cannot be read.
    BadTime = "bad_time",
    /// The time stamp lies further in the future than `clock.max_future`.
    Future = "future",
    /// No summary can count it any more: its windows are closed and past `amend`.
    TooLate = "too_late",
    /// Replayed by the broker at subscription, and the stream does not count such.
    Retained = "retained",
    /// The sequence number is missing or cannot be read.
    BadSequence = "bad_sequence",
    /// The sequence number lies below what is remembered of that boot.
    SequenceTooOld = "sequence_too_old",
    /// A new series beyond `limits.series`.
    SeriesLimit = "series_limit",
    /// The packet is larger than the source accepts.
    TooLarge = "too_large",
    /// A dead letter that had to make room for newer ones.
    Evicted = "evicted",
    /// A dead letter that an operator dropped.
    Dropped = "dropped",
    /// A message with more readings than one message may carry.
    TooManyReadings = "too_many_readings",
    /// A name longer than a topic level, tag or metric may be.
    NameTooLong = "name_too_long",
    /// It waited at a broker and carries no time of its own, and the source says `backlog = "reject"`.
    Backlog = "backlog",
    /// Sparkplug data with an alias whose birth was not heard.
    UnknownAlias = "unknown_alias",
    /// A cleaning step `spike` took it for an outlier.
    Spike = "spike",
    /// A cleaning step `stuck`: the value has not changed for too long.
    Stuck = "stuck",
    /// A cleaning step `rate_limit`: the value changed too fast.
    RateLimit = "rate_limit",
    /// A cleaning step `deadband`: the value hardly changed.
    Deadband = "deadband",
    /// A cleaning step `duplicate`: the sensor said so already.
    Repeated = "repeated",
    /// The condition of a cleaning step `where` does not hold.
    Where = "where",
    /// The condition of a cleaning step `where` has no result.
    NoResult = "no_result",
    /// It says whether a sensor is there: no reading.
    Availability = "availability",
    /// It was in a part of the store that was damaged: whether an event counts it is not known.
    Damaged = "damaged",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|r| r.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
