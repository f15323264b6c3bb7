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
