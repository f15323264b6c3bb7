//! Roll-up: windows that wait for an output merge into coarser ones where room is scarce.
//!
//! Terms:
//!
//! - **width**: how long merged windows may be at the moment. It doubles when all that waits is about so long.
//! - **slot**: a stretch of time, aligned to 1970, of the group's own length times a power of two, the greatest that is not
//!   longer than the width. Windows of one slot merge; slots nest, so what was merged once can be merged again.
//! - **hull**: from the start of the first part to the end of the last. That is what the merged window says it covers:
//!   where nothing was measured there is no window, and no part of the slot is claimed that was sent on its own.
//!
//! Overlapping windows merge from those that do not overlap, one after the other; the others among them hold nothing that
//! these do not, and are left out ([`Role::Covered`]).

use crate::changes::Kept;
use crate::definition::{Cut, Definition};
use crate::event::ClosedKey;
use crate::limits::REPLACES_MAX;
use crate::mutant::{self, Mutant};
use crate::render::Rendering;
use crate::time::{Span, Time};

/// A closed window that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its name in the store.
    pub key: ClosedKey,
    /// What it holds.
    pub kept: Kept,
    /// A function may have it already.
    pub seen: bool,
}

/// What may become of a window at one width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It merges with others of this slot.
    Slot(i64),
    /// Others hold all that it does.
    Covered,
    /// It stays what it is at this width, and merges at one of at least so much.
    Later(Span),
    /// It is never merged.
    Stays,
}

/// Several windows in one.
#[derive(Clone, Debug, PartialEq)]
pub struct Coarse {
    /// Its name in the store: that of its last part.
    pub key: ClosedKey,
    /// What the store keeps of it.
    pub kept: Kept,
    /// CloudEvents id.
    pub id: String,
    /// The whole event.
    pub event: Vec<u8>,
}

impl Definition {
    /// What becomes of the window from `start` to `end` where merged ones may be as long as `width`.
    pub fn role(&self, start: Time, end: Time, width: Span) -> Role {
        let (length, tile) = match self.cut {
            Cut::Adjacent(length) => (length, true),
            Cut::Overlapping { length, every } if length.0 % every.0 == 0 => {
                let aligned = start.0.rem_euclid(length.0) == 0 && end.since(start).0 % length.0 == 0;
                (length, aligned)
            }
            Cut::Overlapping { .. } | Cut::Sessions | Cut::Numbered | Cut::States => return Role::Stays,
        };
        let Some(slot) = slot_length(length, width) else {
            return Role::Later(Span(length.0.saturating_mul(2)));
        };
        match tile {
            true => Role::Slot(start.0.div_euclid(slot)),
            false => Role::Covered,
        }
    }

    /// Merges `parts`, of which there are at least two, in the order of their ends. `None` where more keys would be replaced
    /// than an event can name.
    pub fn merge(&self, parts: &[Part]) -> Option<Coarse> {
        let (first, rest) = parts.split_first()?;
        let key = parts.last()?.key;
        let start = parts.iter().map(|part| part.kept.start).min()?;
        let rest = if mutant::active(Mutant::MergeLosesOne) { rest.get(1..)? } else { rest };
        let mut content = first.kept.content.clone();
        rest.iter().for_each(|part| content.merge(&part.kept.content));
        let (mut revision, mut replaces) = (0, Vec::new());
        for Part { key: name, kept, seen } in parts {
            replaces.extend(kept.replaces.iter().cloned());
            if (kept.start, name.end) == (start, key.end) {
                // What was merged before covers the others, which came late: this is its next revision.
                revision = kept.revision + 1;
            } else if (*seen || kept.revision > 0) && !mutant::active(Mutant::MergeReplacesNothing) {
                replaces.push(self.key(kept.start, name.end, None));
            }
        }
        if replaces.len() > REPLACES_MAX {
            return None;
        }
        let (end, ordinal) = (key.end, None);
        let rendering = Rendering {
            definition: self,
            start,
            end,
            ordinal,
            revision,
            replaces: &replaces,
            content: &content,
        };
        let (_, id, event) = rendering.render();
        Some(Coarse { key, kept: Kept { revision, start, replaces, content }, id, event })
    }
}

/// The greatest doubling of `length`, in microseconds, that is not longer than `width`.
fn slot_length(length: Span, width: Span) -> Option<i64> {
    let times = width.0.checked_div(length.0)?;
    (times >= 2).then(|| length.0 << times.ilog2())
}
