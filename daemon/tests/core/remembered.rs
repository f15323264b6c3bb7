//! Checkpoints of a state that became smaller, because less is remembered of senders.

use crate::files::altered;
use crate::rig::{Rig, message, payload, plan};
use crate::shelf::Shelf;
use redb::TableDefinition;
use tidegate_pipeline::plan::{Pointer, Unique};

const JOURNAL: TableDefinition<'_, (u64, u16), &[u8]> = TableDefinition::new("journal");
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

/// What was written of a larger one that was given up is no part of it, also for whoever puts a damaged store together.
#[test]
fn a_smaller_checkpoint_has_no_end_of_a_larger_one() {
    let mut rig = begun();
    rig.commit(1, |step| step.remember(0), |_| {}).unwrap();
    assert!(rig.store.is_checkpointing());
    rig.store.checkpoint_now(&rig.pipeline).unwrap();
    let lost = rig.store.next_entry();
    rig.send(1, "d1", 3, 0);
    rig.send(1, "d1", 4, 0);
    let disk = rig.disk.clone();
    drop(rig);
    altered(&disk, JOURNAL, (lost, 0));
    let rig = Shelf::holding(disk.bytes()).rig();
    let report = rig.store.shared().salvage().expect("it is damaged").to_string();
    assert_eq!(rig.pipeline.ledger().counted, SENDERS * NUMBERS + 1, "{report}");
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
