//! The mergeable content of a window on the wire: `data.state`. docs/state.md describes it byte by byte.

use crate::time::Time;
use crate::window::{Completeness, Lane};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A window with its content. Those of parts merge to that of the whole: of gateways, or of the minutes of an hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    /// Where the window begins.
    pub start: Time,
    /// Where it ends.
    pub end: Time,
    /// How complete it is.
    pub completeness: Completeness,
    /// What it holds of one metric.
    pub lane: Lane,
}

/// Of the layout. What changes any byte changes this.
const VERSION: u8 = 1;

/// Why a text is not a partial state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartialError {
    /// It is not base64.
    #[error("the state is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Of another version.
    #[error("the state is of version {0:?}, and only {VERSION} is known here")]
    Version(Option<u8>),
    /// Cut short, or not what the layout says.
    #[error("the state cannot be read: {0}")]
    Layout(#[from] postcard::Error),
}

/// The layout behind the version. Written out here, so that what is kept elsewhere can change without it.
#[derive(Serialize, Deserialize)]
struct Layout<S> {
    start: Time,
    end: Time,
    received: u32,
    rejected: u32,
    duplicates: u32,
    late: u32,
    gaps: u32,
    backlog: u32,
    opening: Option<(Time, f64)>,
    states: S,
}

impl Partial {
    /// The base64 text of what a window holds of one metric.
    pub fn encode(start: Time, end: Time, completeness: &Completeness, lane: &Lane) -> String {
        let Completeness { received, rejected, duplicates, late, gaps, backlog } = *completeness;
        let (opening, states) = (lane.opening, &lane.states);
        let layout =
            Layout { start, end, received, rejected, duplicates, late, gaps, backlog, opening, states };
        // Writing to memory does not fail.
        let bytes = postcard::to_extend(&layout, vec![VERSION]).unwrap_or_default();
        STANDARD.encode(bytes)
    }

    /// Reads what [`Partial::encode`] wrote.
    ///
    /// # Errors
    /// What is wrong with it. Lists and numbers that no window can have are refused.
    pub fn decode(text: &str) -> Result<Partial, PartialError> {
        let bytes = STANDARD.decode(text)?;
        let (version, rest) = bytes.split_first().ok_or(PartialError::Version(None))?;
        if *version != VERSION {
            return Err(PartialError::Version(Some(*version)));
        }
        let layout: Layout<Box<[_]>> = postcard::from_bytes(rest)?;
        let Layout { start, end, received, rejected, duplicates, late, gaps, backlog, opening, states } =
            layout;
        let completeness = Completeness { received, rejected, duplicates, late, gaps, backlog };
        Ok(Partial { start, end, completeness, lane: Lane { metric: 0, opening, states } })
    }

    /// Merges another part. What only one of them holds is not known of the whole.
    pub fn merge(&mut self, other: &Partial) {
        (self.start, self.end) = (self.start.min(other.start), self.end.max(other.end));
        self.completeness.merge(&other.completeness);
        self.lane.merge(&other.lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Aggregate;

    fn example() -> (Completeness, Lane) {
        let aggregates = [
            Aggregate::Mean,
            Aggregate::Max,
            Aggregate::Last,
            Aggregate::TimeOfMax,
            Aggregate::Median,
            Aggregate::Distinct,
            Aggregate::Mode,
            Aggregate::Histogram([2.0].into()),
            Aggregate::Slope(crate::time::Span::from_secs(1)),
            Aggregate::Increase,
        ];
        let mut lane = Lane::new(&aggregates, 1_000);
        lane.opening = Some((Time::from_millis(1_795_341_599_000), 1.0));
        lane.fold(Time::from_millis(1_795_341_600_500), 1.5);
        lane.break_at(Time::from_millis(1_795_341_601_000));
        lane.fold(Time::from_millis(1_795_341_602_500), 2.5);
        (Completeness { received: 2, rejected: 1, gaps: 2, ..Completeness::default() }, lane)
    }

    /// The bytes are promised: functions in other languages read them. What fails here needs a new version.
    #[test]
    fn the_layout_is_as_documented() {
        let (start, end) = (Time::from_millis(1_795_341_600_000), Time::from_millis(1_795_341_660_000));
        let (completeness, lane) = example();
        let text = Partial::encode(start, end, &completeness, &lane);
        let document = include_str!("../../../docs/state.md");
        assert!(document.contains(&text), "docs/state.md does not show {text}");
        let read = Partial::decode(&text).unwrap();
        assert_eq!(read, Partial { start, end, completeness, lane });
    }

    #[test]
    fn what_is_no_state_is_refused() {
        let check = |text: &str, expected: &str| {
            let error = Partial::decode(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        };
        check("%", "the state is not base64");
        check("", "the state is of version None");
        check("Ag==", "the state is of version Some(2)");
        check("AQ==", "the state cannot be read");
    }
}
