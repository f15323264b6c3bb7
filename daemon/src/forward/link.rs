//! The link that an output sends over: what its budget allows, and what is spent of it.

use super::answer::Answer;
use super::budget::{BudgetReport, Purse, Scope};
use super::outbox::Outbox;
use jiff::Timestamp;
use std::time::{Duration, Instant};

/// What waits is asked to become less so often.
const THIN_EVERY: Duration = Duration::from_secs(10);
/// It is looked at the clock so often while something waits for the budget, because somebody may set it.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// What an event costs is known once so many were sent.
const KNOWN_EVENTS: u64 = 20;

impl Scope {
    /// When to look again; `None` where nothing waits for a budget.
    pub(super) fn look_again(self) -> Option<Instant> {
        let left = Duration::try_from(self.until()?.duration_since(Timestamp::now())).unwrap_or_default();
        Some(Instant::now() + left.min(LOOK_EVERY))
    }
}

/// A link, metered or not.
pub(super) struct Link {
    purse: Option<Purse>,
    /// Bytes that went over it, as of the last look.
    wire: u64,
    /// Events that were taken, and the bytes that went over the link for them.
    taken: (u64, u64),
    thinned: Option<Instant>,
}

impl Link {
    pub(super) fn new(purse: Option<Purse>) -> Link {
        Link { purse, wire: 0, taken: (0, 0), thinned: None }
    }

    /// What may be sent now. Where more waits than a day's bytes carry, some of it is merged.
    pub(super) fn look(&mut self, outbox: &impl Outbox) -> Scope {
        let Some(purse) = &mut self.purse else { return Scope::Everything };
        let scope = purse.scope(Timestamp::now());
        let ((events, bytes), daily) = (self.taken, purse.for_summaries());
        let due = self.thinned.is_none_or(|at| at.elapsed() >= THIN_EVERY);
        if let (Some(daily), true, true) = (daily, due, events >= KNOWN_EVENTS)
            && u128::from(outbox.backlog()) * u128::from(bytes) > u128::from(daily) * u128::from(events)
        {
            self.thinned = Some(Instant::now());
            outbox.thin();
        }
        scope
    }

    /// How many bytes an attempt in this scope may have. What is compressed takes less of them.
    pub(super) fn left(&self, scope: Scope) -> usize {
        let left = self.purse.as_ref().map_or(u64::MAX, |purse| purse.left(scope));
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// An attempt with so many events is over; so much went over the link since the start.
    pub(super) fn spent(&mut self, wire: u64, events: usize, answer: &Answer, outbox: &impl Outbox) {
        let bytes = wire.saturating_sub(self.wire);
        self.wire = wire;
        let Some(purse) = &mut self.purse else { return };
        if matches!(answer, Answer::Confirmed { .. }) && events > 0 {
            self.taken = (self.taken.0 + events as u64, self.taken.1 + bytes);
        }
        if bytes > 0 {
            outbox.spend(purse.spend(Timestamp::now(), bytes));
        }
    }

    /// How it stands with the budget, if there is one.
    pub(super) fn report(&mut self) -> Option<BudgetReport> {
        self.purse.as_mut().map(|purse| purse.report(Timestamp::now()))
    }
}
