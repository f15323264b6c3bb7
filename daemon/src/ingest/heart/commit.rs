//! One transaction: decide, load, decide, write.

use super::{Done, Heart};
use crate::store::{Commit, StoreError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl Heart {
    /// Writes what is due, and then puts a plan in force that waits for it. Where the disk refuses it stays to be done.
    pub(super) fn write(&mut self, now: Instant) {
        if self.trouble.is_some_and(|trouble| trouble.doubt) {
            self.recover(now);
        }
        if self.trouble.is_some_and(|trouble| trouble.doubt) {
            return;
        }
        if self.trouble.is_some_and(|trouble| trouble.short) {
            self.relieve(now);
        }
        if self.trouble.is_some_and(|trouble| trouble.short || trouble.doubt) {
            return;
        }
        self.commit(now);
        if self.trouble.is_none()
            && let Some(plan) = self.plan.take()
        {
            self.change_plan(plan, now);
        }
    }

    /// Writes what was taken, after what the clock asks for.
    fn commit(&mut self, now: Instant) {
        let (mail, waiting) = self.parts.mailbox.take();
        self.thin(mail.thin);
        self.batch.mail.append(mail);
        self.batch.waiting = waiting;
        loop {
            let number = self.parts.store.next_entry();
            self.sight = self.parts.clock.look();
            let turns = self.parts.pipeline.clock_is_due(&self.sight.now);
            match self.attempt(now) {
                Ok(done) if done.turned => self.turned(done),
                Ok(done) => {
                    if done.beaten {
                        self.beats.beaten(now);
                    }
                    return self.committed(done);
                }
                Err(error) => return self.refused(&error, Some(number).filter(|_| !turns), now),
            }
        }
    }

    /// One try: decide, load what is to be amended, decide on that, write.
    fn attempt(&mut self, at: Instant) -> Result<Done, StoreError> {
        self.parts.store.trust()?;
        let tapped = self.parts.taps.receiver_count() > 0;
        let clock = self.sight.now;
        let now = clock.now();
        let held = self.held(at);
        let heartbeat = self.heartbeat(at);
        let mut step = self.parts.pipeline.step();
        let turned = step.clock(&clock);
        if tapped {
            step.trace();
        }
        let mut letters = Vec::new();
        if !turned {
            self.batch.apply(&mut step, &self.sources, &clock, self.parts.store.shared(), &mut letters)?;
        }
        let traces = step.traces();
        if let Some(upto) = self.press.take_if(|_| !turned) {
            step.press(upto);
        }
        let keep = self.memory.keep.take_if(|_| !turned);
        if let Some(keep) = keep {
            step.remember(keep);
        }
        step.watch(now, &|source| self.listening.since(source));
        let loaded = self.parts.store.shared().load(&step.needs(now, &held))?;
        let changes = step.finish(now, &held, &loaded);
        let outputs = self.parts.pipeline.plan().outputs.clone();
        let mut commit = Commit { changes, outputs, letters, at: now, ..Commit::default() };
        if !turned {
            self.batch.add_mail(&mut commit);
            commit.heartbeat = heartbeat;
        }
        if !commit.is_empty() {
            self.parts.store.commit(&commit)?;
            self.parts.figures.commits.fetch_add(1, Ordering::Relaxed);
        }
        let alerted = !commit.changes.alerts.is_empty();
        let beaten = commit.heartbeat.is_some();
        let outboxes = alerted
            || beaten
            || !(commit.changes.closed.is_empty()
                && commit.changes.captures.is_empty()
                && commit.changes.raw.is_empty()
                && commit.settled.is_empty()
                && commit.letters.is_empty()
                && commit.reach.is_empty()
                && commit.allow.is_empty());
        let forgot = keep.is_some();
        Ok(Done { traces, closed: commit.changes.closed, outboxes, alerted, beaten, turned, forgot })
    }

    /// On disk, and nothing to acknowledge: what the clock asked for is done.
    fn turned(&mut self, done: Done) {
        self.parts.mailbox.committed(&[], done.outboxes);
        self.tell(done);
        self.publish(0);
    }

    /// On disk: acknowledge, in the order of arrival.
    pub(super) fn committed(&mut self, done: Done) {
        self.links.committed();
        self.committed = true;
        self.trouble = None;
        let (mail, pending) = self.batch.written();
        self.parts.mailbox.committed(&mail.settled, done.outboxes);
        self.tell(done);
        self.publish(pending);
        // After the figures: whoever asked may look at them next.
        for order in mail.orders {
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
        if done.forgot {
            self.remembers_less();
        } else {
            self.parts.store.checkpoint_if_due(&self.parts.pipeline);
        }
        if done.alerted {
            self.publish_alerts();
        }
    }
}
