//! The disk refuses: what is to be found out, and when to try again.

use super::{Backlog, Done, Heart};
use crate::limits::{BACKLOG_HOLD_MAX, DISK_RETRY_MAX, RETRY_MIN};
use crate::store::{Commit, StoreError};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tidegate_pipeline::mutant::{self, Mutant};

/// Since a write failed, and until one succeeds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    /// Nothing is tried before.
    pub(super) until: Instant,
    /// How long the next wait is.
    wait: Duration,
    /// The pipeline has decided on what may not be on disk: it may not go on before it is what the disk says.
    pub(super) doubt: bool,
    /// If this entry is in the journal then the batch is on disk.
    entry: Option<u64>,
    /// The disk is full and the reserve given away: only what makes room may use it.
    pub(super) short: bool,
}

impl Heart {
    /// A write failed. `entry` is the number that the batch had, where it was the batch that was written.
    pub(super) fn refused(&mut self, error: &StoreError, entry: Option<u64>, now: Instant) {
        self.parts.figures.failures.fetch_add(1, Ordering::Relaxed);
        self.parts.store.distrust(error);
        // Opening a large store again takes its time.
        self.parts.figures.waits_for_disk();
        let before = self.trouble;
        let short = before.is_some_and(|trouble| trouble.short)
            || (error.is_full() && self.parts.store.release_reserve());
        let text = if short || error.is_full() {
            let path = self.parts.store.path();
            format!(
                "the disk is full: nothing is acknowledged. Make room where {path} is; then it goes on by itself"
            )
        } else {
            format!("nothing is acknowledged until the disk takes it: {error}")
        };
        if self.parts.health.raise("store", text.as_str()) {
            tracing::error!(%error, "cannot commit: {text}");
        }
        // The first time at once: what failed may have been a moment's trouble.
        let wait = before.map_or(Duration::ZERO, |trouble| trouble.wait);
        self.trouble = Some(Trouble { until: now, wait, doubt: true, entry, short });
        self.recover(now);
    }

    /// Memory becomes what is on disk, if that can be read. The batch may be there after all.
    pub(super) fn recover(&mut self, now: Instant) {
        let Some(mut trouble) = self.trouble else { return };
        trouble.until = now + trouble.wait;
        trouble.wait = (trouble.wait * 2).clamp(RETRY_MIN, DISK_RETRY_MAX);
        match self.reopen(trouble.entry) {
            Ok(written) => {
                trouble.doubt = false;
                self.trouble = Some(trouble);
                self.renumber(now);
                if written {
                    self.committed(Done { outboxes: true, alerted: true, ..Done::default() });
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot open the store again yet");
                self.trouble = Some(trouble);
            }
        }
    }

    /// The disk is full. Confirmations are written, which make room in the store, and the reserve is asked for again: when
    /// it is to be had, what waits can be written.
    pub(super) fn relieve(&mut self, now: Instant) {
        let (mail, waiting) = self.parts.mailbox.take();
        self.batch.mail.append(mail);
        self.batch.waiting = waiting;
        let mut commit = Commit { at: self.sight.now.now(), ..Commit::default() };
        self.batch.add_mail(&mut commit);
        if !commit.is_empty() {
            if let Err(error) = self.parts.store.commit(&commit) {
                return self.refused(&error, None, now);
            }
            self.batch.mail.settled.clear();
            self.batch.mail.reach.clear();
            self.batch.mail.allow.clear();
            self.batch.mail.subscriptions = None;
            self.parts.mailbox.committed(&commit.settled, true);
            self.publish(0);
        }
        let room = self.parts.store.restore_reserve().is_ok();
        if let Some(trouble) = &mut self.trouble {
            trouble.short = !room;
            if !room {
                trouble.until = now + trouble.wait;
                trouble.wait = (trouble.wait * 2).clamp(RETRY_MIN, DISK_RETRY_MAX);
            }
        }
    }

    fn reopen(&mut self, entry: Option<u64>) -> Result<bool, StoreError> {
        self.parts.pipeline = self.parts.store.reopen()?;
        let entry = entry.filter(|_| !mutant::active(Mutant::RetryWithoutLooking));
        entry.map_or(Ok(false), |entry| self.parts.store.has_entry(entry))
    }

    /// The plan may be another one: what is known of sources is in its order.
    pub(super) fn renumber(&mut self, now: Instant) {
        let names = &self.parts.pipeline.plan().sources;
        if *names == self.names {
            return;
        }
        let from = |name| self.names.iter().position(|known| known == name);
        let from: Vec<_> = names.iter().map(from).collect();
        // A source that is new has a backlog until it says otherwise; the others stay what they were.
        let until = Some(now + BACKLOG_HOLD_MAX);
        let backlog =
            |at: &Option<usize>| at.and_then(|at| self.backlog.get(at).copied()).unwrap_or(Backlog { until });
        self.backlog = from.iter().map(backlog).collect();
        self.listening = self.listening.moved(&from);
        self.names.clone_from(names);
        self.sources.follow(names);
    }
}
