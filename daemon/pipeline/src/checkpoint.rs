//! What a checkpoint holds, as bytes: plan and state in postcard, and behind them what came later.
//!
//! postcard says nothing of the fields of a struct, so that a new one inside would make every older checkpoint unreadable.
//! Behind the end one can be missing.

use crate::plan::{Plan, RawPlan};
use crate::raw::Raw;
use crate::state::State;

/// The bytes of `plan` and `state`.
pub fn encode(plan: &Plan, state: &State) -> Vec<u8> {
    // Serialising to memory fails only for types that postcard cannot hold, and these have none.
    let bytes = postcard::to_stdvec(&(plan, state)).unwrap_or_default();
    if plan.raw.is_empty() && state.raw == Raw::default() {
        return bytes;
    }
    postcard::to_extend(&(&plan.raw, &state.raw), bytes).unwrap_or_default()
}

/// What [`encode`] wrote, or an older version; `None` where the bytes are damaged.
pub fn decode(bytes: &[u8]) -> Option<(Plan, State)> {
    let ((mut plan, mut state), later) = postcard::take_from_bytes::<(Plan, State)>(bytes).ok()?;
    if !later.is_empty() {
        (plan.raw, state.raw) = postcard::from_bytes::<(Vec<RawPlan>, Raw)>(later).ok()?;
    }
    Some((plan, state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Event, Reading};
    use crate::time::{Span, Time};
    use crate::verdict::Verdict;

    /// Every store that was written since has these bytes: what comes later stands behind them.
    #[test]
    fn what_came_later_stands_behind_the_rest() {
        let raw = RawPlan {
            name: "a".into(),
            streams: vec![1],
            metrics: None,
            refused: true,
            every: Span(2),
            to: vec![0],
        };
        let plan = Plan { raw: vec![raw], ..Plan::default() };
        let mut state = State::default();
        state.raw.buffers.resize_with(1, Default::default);
        let reading = Reading { series: 4, time: Time(6), value: 1.0, verdict: Verdict::Counted };
        state.raw.note(&plan.raw, (1, "x"), &reading, Time(5));
        state.raw.made = 3;
        let before = encode(&Plan::default(), &State::default());
        let bytes = encode(&plan, &state);
        let later = bytes.strip_prefix(before.as_slice()).unwrap();
        // The [raw.NAME]: name, streams, metrics, refused, every, to.
        assert_eq!(later[..10], [1, 1, b'a', 1, 1, 0, 1, 4, 1, 0]);
        // Events made, buffers; series, arrival, time, value, verdict.
        assert_eq!(later[10..], [3, 1, 1, 4, 10, 12, 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0]);
        assert_eq!(decode(&bytes), Some((plan, state)));
        // In the journal it stands behind all that there was before.
        let event = postcard::to_stdvec(&Event::Raw { raw: 1, readings: 2 }).unwrap();
        assert_eq!(event, [14, 1, 2]);
    }
}
