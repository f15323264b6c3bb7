//! Alerts: what is raised when a condition holds or a sensor falls silent, and cleared when it is over.
//!
//! Terms:
//!
//! - **watch**: one alert over one series, or over all series that share the tags of its `by`. It is two machines: one for
//!   the condition (`when`), one for *absence* (`silent_for`, `offline`). Both may be raised at a time.
//! - **move**: one step of a machine. Moves are decided live, by a reading, by an availability message or by the time, and
//!   written into the entry; a replay only makes them. So what was sent is never decided again.
//! - **listening**: a source is, since it was last connected, and had delivered what waited for us, and since the last
//!   step of the clock. Time counts only while every source of a watch is: whoever does not listen cannot tell silence.
//! - **capture**: the raw readings around a raise, sent once they are there. All watched series share one *recorder*, the
//!   readings of the last minutes; a capture is only a span of time until it is sent.
//!
//! Time in the machines: `for` compares the readings' own times where a reading decides, and the gateway's time where none
//! comes. A reading that is older than the newest one of its watch moves nothing but proves that its sensor is there.

mod capture;
mod captured;
mod event;
mod machine;
mod recorder;
mod timers;

pub use capture::Capture;
pub(crate) use capture::longest;
pub(crate) use captured::Captured;
pub(crate) use event::Telling;
pub use machine::{Move, Phase, Raised, Truths, Watch, Why};
pub use recorder::{Recorded, Recorder};
pub(crate) use timers::Timers;

/// An alert that is raised, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Active {
    /// What names it in its events.
    pub key: String,
    /// The `[alerts.NAME]`.
    pub alert: String,
    /// What is measured; `None` where the alert watches a sensor as a whole.
    pub metric: Option<String>,
    /// Whose.
    pub tags: Vec<(String, String)>,
    /// Why, since when, and when it was raised.
    pub raised: Raised,
    /// The last value.
    pub value: Option<f64>,
}

/// An event that is no window: sent once, kept by the store until every output has settled it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The CloudEvents `id`.
    pub id: String,
    /// The whole event.
    pub event: Vec<u8>,
    /// Indices of the outputs that get it.
    pub to: Vec<u16>,
}
