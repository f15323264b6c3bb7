//! What a checkpoint holds, as bytes: plan and state in postcard, and behind them what came later.
//!
//! postcard says nothing of the fields of a struct, so that a new one inside would make every older checkpoint unreadable.
//! Behind the end one can be missing.

use crate::devices::Devices;
use crate::plan::{Plan, RawPlan};
use crate::raw::Raw;
use crate::retired::Retired;
use crate::state::State;

/// The bytes of `plan` and `state`.
pub fn encode(plan: &Plan, state: &State) -> Vec<u8> {
    // Serialising to memory fails only for types that postcard cannot hold, and these have none.
    let bytes = postcard::to_stdvec(&(plan, state)).unwrap_or_default();
    // All of them up to the last that there is.
    let retired = state.retired != Retired::default();
    let devices = retired || state.devices != Devices::default();
    if !devices && plan.raw.is_empty() && state.raw == Raw::default() {
        return bytes;
    }
    let bytes = postcard::to_extend(&(&plan.raw, &state.raw), bytes).unwrap_or_default();
    let bytes = if devices { postcard::to_extend(&state.devices, bytes).unwrap_or_default() } else { bytes };
    if retired { postcard::to_extend(&state.retired, bytes).unwrap_or_default() } else { bytes }
}

/// What [`encode`] wrote, or an older version; `None` where the bytes are damaged.
pub fn decode(bytes: &[u8]) -> Option<(Plan, State)> {
    let ((mut plan, mut state), later) = postcard::take_from_bytes::<(Plan, State)>(bytes).ok()?;
    if !later.is_empty() {
        let (raw, later) = postcard::take_from_bytes::<(Vec<RawPlan>, Raw)>(later).ok()?;
        (plan.raw, state.raw) = raw;
        if !later.is_empty() {
            let (devices, later) = postcard::take_from_bytes::<Devices>(later).ok()?;
            state.devices = devices;
            if !later.is_empty() {
                state.retired = postcard::from_bytes::<Retired>(later).ok()?;
            }
        }
    }
    Some((plan, state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{Change, Health};
    use crate::entry::{Event, Reading};
    use crate::plan::{Keys, SummaryPlan};
    use crate::series::Group;
    use crate::state::NumberedGroup;
    use crate::time::{Span, Time};
    use crate::verdict::{Reason, Verdict};

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
        // Behind that the devices, even where there is nothing raw.
        let mut state = State::default();
        state.devices.met(0);
        state.devices.came(0, 7, 5);
        state.devices.came(0, 7, 9);
        let health = Health { dropped: Some(2), rssi_dbm: Some(-60), ..Health::default() };
        let change = Change::Health { boot: 7, uptime: 4, health };
        state.devices.note(0, change);
        state.devices.decided(0, Verdict::Rejected(Reason::Range));
        let bytes = encode(&Plan::default(), &state);
        let later = bytes.strip_prefix(before.as_slice()).unwrap();
        // No [raw.NAME], no raw events, no buffers.
        assert_eq!(later[..3], [0, 0, 0]);
        // One account with one boot: id, first, highest, floor, missing, before, told, elsewhere, health with its uptime.
        assert_eq!(later[3..24], [1, 1, 7, 5, 9, 0, 8, 3, 2, 0, 1, 8, 0, 1, 2, 0, 1, 196, 0, 0, 0]);
        // What ended (the 0 before, too), numbers, counted, duplicate, refused; known, evicted, totals.
        assert_eq!(later[24..], [2, 0, 0, 1, 6, 1, 1, 0, 2, 3, 1]);
        assert_eq!(decode(&bytes), Some((Plan::default(), state)));
        let event = postcard::to_stdvec(&Event::Device { clock: 1, change }).unwrap();
        assert_eq!(event, [15, 1, 0, 7, 8, 0, 1, 2, 0, 1, 196, 0]);
        // Behind that the groups that rest, even where there is no device.
        let keys = Keys::of(&SummaryPlan { name: "a".into(), ..SummaryPlan::default() }, &[]);
        let mut group = Group { metric: "t".into(), closed_max: Time(4), ..Group::vacant() };
        let mut state = State::default();
        state.retired.retire(&keys, &NumberedGroup { number: 9, group: group.clone() });
        let bytes = encode(&Plan::default(), &state);
        let later = bytes.strip_prefix(before.as_slice()).unwrap();
        let devices = postcard::to_stdvec(&Devices::default()).unwrap();
        let later = later[3..].strip_prefix(devices.as_slice()).unwrap();
        // One summary: name, a tumbling window of 60 s, narrow, no tags; one group: no epoch, metric, no tags; number.
        assert_eq!(later[..16], [1, 1, b'a', 0, 0x80, 0x9c, 0x9c, 0x39, 0, 0, 1, 0, 1, b't', 0, 9]);
        assert_eq!(decode(&bytes), Some((Plan::default(), state.clone())));
        // What has nothing to amend does not rest.
        group.closed_max = Time::MIN;
        state.retired = Retired::default();
        state.retired.retire(&Keys::of(&SummaryPlan::default(), &[]), &NumberedGroup { number: 9, group });
        assert_eq!(encode(&Plan::default(), &state), before);
    }
}
