//! Checkpoints of a state that became smaller, because less is remembered of senders.

use crate::rig::{Rig, message, payload, plan};
use tidegate_pipeline::plan::{Pointer, Unique};

const SENDERS: u64 = 100;
const NUMBERS: u64 = 1_000;

/// A store of senders that number, of which about a megabyte is remembered, and its next checkpoint begun.
fn begun() -> Rig {
    let mut plan = plan();
    let at = Pointer::parse("/n").unwrap();
    plan.streams[0].unique = Unique::Sequence { at, boot: None, per: None };
    let mut rig = Rig::new(plan);
    for (sender, value) in (0..SENDERS).zip(10..) {
        let topic = format!("s/d{sender}/t");
        let send = |step: &mut tidegate_pipeline::Step<'_>| {
            (0..NUMBERS).for_each(|number| step.message(&message(0, &topic, &payload(value, 0, number))));
        };
        rig.commit(0, send, |_| {}).unwrap();
    }
    rig.store.begin_checkpoint(&rig.pipeline);
    rig.send(1, "d1", 2, 0);
    assert!(rig.store.is_checkpointing(), "it takes several transactions");
    rig
}

/// Entries that were written while a checkpoint was are behind it: the next one can do without them.
#[test]
fn what_came_while_a_checkpoint_was_written_is_in_the_journal() {
    let mut rig = begun();
    while rig.store.is_checkpointing() {
        rig.commit(1, |step| step.remember(0), |_| {}).unwrap();
    }
    let (journal, live) = (rig.store.has_journal(), rig.store.live_bytes());
    let rig = rig.restart();
    assert_eq!((journal, live), (rig.store.has_journal(), rig.store.live_bytes()));
    assert!(journal);
}
