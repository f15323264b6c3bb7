//! One transaction: decide, load, decide, write; and what to do when the disk refuses.

use super::{Done, Heart};
use crate::ingest::mailbox::Mail;
use crate::limits::{DISK_RETRY_MAX, RETRY_MIN};
use crate::store::{Commit, LetterRequest, StoreError};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tidegate_pipeline::Changes;
use tidegate_pipeline::time::Time;

impl Heart {
    /// Writes what was taken, until it is on disk. `last`: give up when the disk refuses, since nobody will wait.
    pub(super) fn commit(&mut self, last: bool) {
        let (mut mail, waiting) = self.parts.mailbox.take();
        self.batch.orders.append(&mut mail.orders);
        let mut wait = Duration::ZERO;
        loop {
            let number = self.parts.store.next_entry();
            self.sight = self.parts.clock.look();
            let turns = self.parts.pipeline.clock_is_due(&self.sight.now);
            let error = match self.attempt(&mail, &waiting) {
                Ok(done) if done.turned => {
                    self.turned(done);
                    continue;
                }
                Ok(done) => return self.committed(&mail, done),
                Err(error) => error,
            };
            self.parts.figures.failures.fetch_add(1, Ordering::Relaxed);
            if self
                .parts
                .health
                .raise("store", format!("nothing is acknowledged until the disk takes it: {error}"))
            {
                tracing::error!(%error, "cannot commit; nothing is acknowledged until the disk takes it");
            }
            // The pipeline has decided on what is not on disk: it may not go on before it is what the disk says.
            loop {
                match self.recover(number) {
                    Ok(true) if !turns => {
                        return self
                            .committed(&mail, Done { outboxes: true, alerted: true, ..Done::default() });
                    }
                    Ok(_) => break,
                    Err(error) => tracing::warn!(%error, "cannot open the store again yet"),
                }
                if last || !self.wait(&mut wait) {
                    return;
                }
            }
            if last || !self.wait(&mut wait) {
                return;
            }
        }
    }

    /// Backs off; false when nobody will wait any more.
    fn wait(&self, wait: &mut Duration) -> bool {
        let until = Instant::now() + *wait;
        // The first time at once: what failed may have been a moment's trouble.
        *wait = (*wait * 2).clamp(RETRY_MIN, DISK_RETRY_MAX);
        loop {
            self.parts.figures.beat();
            let left = until.saturating_duration_since(Instant::now());
            if left == Duration::ZERO || self.parts.intake.is_closed() {
                return !self.parts.intake.is_closed();
            }
            std::thread::sleep(left.min(RETRY_MIN));
        }
    }

    /// One try: decide, load what is to be amended, decide on that, write.
    fn attempt(&mut self, mail: &Mail, waiting: &BTreeSet<String>) -> Result<Done, StoreError> {
        let tapped = self.parts.taps.receiver_count() > 0;
        let clock = self.sight.now;
        let now = clock.now();
        let held = self.held(Instant::now());
        let mut step = self.parts.pipeline.step();
        let turned = step.clock(&clock);
        if tapped {
            step.trace();
        }
        let mut letters = Vec::new();
        if !turned {
            self.batch.apply(&mut step, &clock, self.parts.store.shared(), &mut letters)?;
        }
        let traces = step.traces();
        step.watch(now, &|source| self.listening.since(source));
        let loaded = self.parts.store.shared().load(&step.needs(now, &held))?;
        let changes = step.finish(now, &held, &loaded);
        // The mail goes with the batch: it may be given to one transaction only.
        let (nothing, nobody) = (Mail::default(), BTreeSet::new());
        let (mail, waiting) = if turned { (&nothing, &nobody) } else { (mail, waiting) };
        let commit = self.with_mail(changes, letters, mail, waiting, now);
        if !commit.is_empty() {
            self.parts.store.commit(&commit)?;
            self.parts.figures.commits.fetch_add(1, Ordering::Relaxed);
        }
        let alerted = !commit.changes.alerts.is_empty();
        let outboxes = alerted
            || !(commit.changes.closed.is_empty()
                && commit.changes.captures.is_empty()
                && commit.settled.is_empty()
                && commit.letters.is_empty()
                && commit.reach.is_empty());
        Ok(Done { traces, closed: commit.changes.closed, outboxes, alerted, turned })
    }

    fn with_mail(
        &self,
        changes: Changes,
        letters: Vec<LetterRequest>,
        mail: &Mail,
        waiting: &BTreeSet<String>,
        at: Time,
    ) -> Commit {
        Commit {
            changes,
            outputs: self.parts.pipeline.plan().outputs.clone(),
            settled: mail.settled.clone(),
            letters,
            reach: mail.reach.clone(),
            waiting: waiting.clone(),
            at,
            ..Commit::default()
        }
    }

    /// On disk, and nothing to acknowledge: what the clock asked for is done.
    fn turned(&mut self, done: Done) {
        self.parts.mailbox.committed(&[], done.outboxes);
        self.tell(done);
        self.publish(0);
    }

    /// On disk: acknowledge, in the order of arrival.
    fn committed(&mut self, mail: &Mail, done: Done) {
        let now = Instant::now();
        self.links.committed(now);
        let bytes = self.parts.store.shared().wear().bytes();
        self.pace.committed(now, bytes);
        self.batch.inputs.clear();
        self.batch.messages = 0;
        self.batch.bytes = 0;
        self.parts.mailbox.committed(&mail.settled, done.outboxes);
        self.tell(done);
        let committed = std::mem::take(&mut self.batch.pending);
        self.publish(committed);
        // After the figures: whoever asked may look at them next.
        for order in self.batch.orders.drain(..) {
            // Or may be gone; it is done all the same.
            let _ = order.done.send(());
        }
    }

    /// Tells those who want to know what was written.
    fn tell(&mut self, done: Done) {
        if self.parts.health.clear("store") {
            tracing::info!("the disk takes writes again");
        }
        if let Some(history) = &self.parts.history {
            history.send(done.closed);
        }
        if !done.traces.is_empty() {
            let _ = self.parts.taps.send(Arc::new(done.traces));
        }
        self.parts.store.checkpoint_if_due(&self.parts.pipeline);
        if done.alerted {
            self.publish_alerts();
        }
    }

    /// After a failed commit: memory becomes what is on disk. True when the batch is there after all.
    fn recover(&mut self, number: u64) -> Result<bool, StoreError> {
        self.parts.pipeline = self.parts.store.reopen()?;
        self.parts.store.has_entry(number)
    }
}
