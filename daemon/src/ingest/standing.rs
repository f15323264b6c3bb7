//! How one output stands: what its forwarder and the writer tell each other besides mail.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Shared by the forwarder of an output, which reads its queue, and the writer.
#[derive(Debug, Default)]
pub struct Standing {
    /// Settled, but not on disk yet: priority and sequence.
    unconfirmed: Mutex<BTreeSet<(u8, u64)>>,
    /// It has nothing to send.
    waits: AtomicBool,
    /// It begins with the newest.
    out_of_turn: AtomicBool,
    changed: Notify,
}

impl Standing {
    /// What is settled though it may still be in the outbox. To be asked before the outbox is read: what is on disk by then,
    /// and so is not said here, a later read does not find.
    pub fn settled(&self) -> BTreeSet<(u8, u64)> {
        self.lock().clone()
    }

    /// The forwarder has looked: whether it waits for something to send, and whether it takes windows out of turn.
    pub fn looked(&self, waits: bool, out_of_turn: bool) {
        self.waits.store(waits, Ordering::Relaxed);
        self.out_of_turn.store(out_of_turn, Ordering::Relaxed);
    }

    /// Nobody waits any more: what is queued from here on is not attempted.
    pub fn left(&self) {
        self.waits.store(false, Ordering::Relaxed);
    }

    /// Waits until the outbox may have changed since this was awaited last.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    pub(super) fn is_out_of_turn(&self) -> bool {
        self.out_of_turn.load(Ordering::Relaxed)
    }

    pub(super) fn settle(&self, place: (u8, u64)) {
        self.lock().insert(place);
    }

    /// It is on disk.
    pub(super) fn confirm(&self, place: (u8, u64)) {
        self.lock().remove(&place);
    }

    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(u8, u64)>> {
        self.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use crate::ingest::intake::Intake;
    use crate::ingest::mailbox::Mailbox;
    use crate::store::{Fate, Settlement};
    use std::collections::BTreeSet;
    use std::time::Instant;

    #[test]
    fn forwarder_and_writer_know_of_each_other() {
        let mailbox = Mailbox::new(Intake::new(1, 1));
        let [one, other] = ["one", "other"].map(|name| mailbox.standing(name));
        let settled = |sequence: u64| {
            let (output, id) = ("one".to_owned(), sequence.to_string());
            Settlement { output, priority: 1, sequence, id, fate: Fate::Delivered }
        };
        mailbox.settle(vec![settled(7), settled(8)], Instant::now());
        assert_eq!((one.settled(), other.settled()), (BTreeSet::from([(1, 7), (1, 8)]), BTreeSet::new()));
        mailbox.committed(&[settled(7)], false);
        assert_eq!(mailbox.standing("one").settled(), BTreeSet::from([(1, 8)]));
        one.looked(true, false);
        other.looked(true, true);
        assert_eq!(mailbox.take().1, BTreeSet::from(["one", "other"].map(String::from)));
        assert_eq!(mailbox.out_of_turn(), BTreeSet::from(["other".to_owned()]));
        one.looked(false, false);
        other.left();
        assert_eq!((mailbox.take().1.len(), mailbox.out_of_turn().len()), (0, 1));
    }
}
