//! The mergeable content of a window on the wire: `data.state`. docs/state.md describes it byte by byte.

use crate::aggregate::State;
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
    /// How complete.
    pub completeness: Completeness,
    /// What it holds, by metric, in the order of the names.
    pub lanes: Vec<(String, Lane)>,
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
struct Layout<L> {
    start: Time,
    end: Time,
    received: u32,
    rejected: u32,
    duplicates: u32,
    late: u32,
    gaps: u32,
    backlog: u32,
    flagged: u32,
    offline: u32,
    lanes: L,
}

#[derive(Serialize, Deserialize)]
struct LaneLayout<N, S> {
    metric: N,
    opening: Option<(Time, f64)>,
    states: S,
}

impl Partial {
    /// The base64 text of a window with what it holds, by metric.
    pub fn encode<'l>(
        start: Time,
        end: Time,
        completeness: Completeness,
        lanes: impl IntoIterator<Item = (&'l str, &'l Lane)>,
    ) -> String {
        let Completeness { received, rejected, duplicates, late, gaps, backlog, flagged, offline } =
            completeness;
        let lane = |(metric, lane): (&'l str, &'l Lane)| LaneLayout {
            metric,
            opening: lane.opening,
            states: &lane.states,
        };
        let mut lanes: Vec<_> = lanes.into_iter().map(lane).collect();
        lanes.sort_by_key(|lane| lane.metric);
        let layout = Layout {
            start,
            end,
            received,
            rejected,
            duplicates,
            late,
            gaps,
            backlog,
            flagged,
            offline,
            lanes,
        };
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
        let layout: Layout<Vec<LaneLayout<String, Box<[State]>>>> = postcard::from_bytes(rest)?;
        let Layout {
            start,
            end,
            received,
            rejected,
            duplicates,
            late,
            gaps,
            backlog,
            flagged,
            offline,
            lanes,
        } = layout;
        let completeness =
            Completeness { received, rejected, duplicates, late, gaps, backlog, flagged, offline };
        let lane = |LaneLayout { metric, opening, states }| (metric, Lane { metric: 0, opening, states });
        Ok(Partial { start, end, completeness, lanes: lanes.into_iter().map(lane).collect() })
    }

    /// What it holds of a metric.
    pub fn lane(&self, metric: &str) -> Option<&Lane> {
        self.lanes.iter().find(|(name, _)| name == metric).map(|(_, lane)| lane)
    }

    /// Merges another part.
    pub fn merge(&mut self, other: &Partial) {
        (self.start, self.end) = (self.start.min(other.start), self.end.max(other.end));
        self.completeness.merge(&other.completeness);
        for (metric, from) in &other.lanes {
            match self.lanes.iter_mut().find(|(name, _)| name == metric) {
                Some((_, into)) => into.merge(from),
                None => self.lanes.push((metric.clone(), from.clone())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Aggregate;

    fn example() -> Lane {
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
        lane
    }

    /// The bytes are promised: functions in other languages read them. What fails here needs a new version.
    #[test]
    fn the_layout_is_as_documented() {
        let (start, end) = (Time::from_millis(1_795_341_600_000), Time::from_millis(1_795_341_660_000));
        let completeness = Completeness { received: 2, rejected: 1, gaps: 2, ..Completeness::default() };
        let text = Partial::encode(start, end, completeness, [("power", &example())]);
        let document = include_str!("../../../docs/state.md");
        assert!(document.contains(&text), "docs/state.md does not show {text}");
        let read = Partial::decode(&text).unwrap();
        let lanes = vec![("power".to_owned(), example())];
        assert_eq!(read, Partial { start, end, completeness, lanes });
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
