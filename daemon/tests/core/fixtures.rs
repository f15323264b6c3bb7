//! Stores of the formats that are supported, each as its own version wrote it: they open, and nothing in them is missing.
//!
//! `cargo test -p tidegate --test core make_the_fixture -- --ignored` writes the one of the present format. A format that was
//! released keeps its file.

use crate::cuts::{READINGS, STEPS, readings, step};
use crate::rig::{Rig, at, message, plan};
use crate::shelf::Shelf;
use redb::{Database, ReadableDatabase, TableDefinition};
use std::path::PathBuf;
use tidegate_medium::Disk;
use tidegate_pipeline::verdict::Reason;

/// By format: the files, the present one last.
const FIXTURES: &[(u8, &[u8])] = &[(3, include_bytes!("../fixtures/store-v3.redb"))];
/// Entries of the journal that follow the checkpoint.
const STEPS_AFTER: u64 = 4;

/// The store that every version writes into its fixture: windows that wait, that are delivered and that are amended, dead
/// letters of both kinds, a checkpoint and a journal.
fn fill() -> Rig {
    let mut rig = Rig::new(plan());
    for number in 0..STEPS {
        if number == STEPS - STEPS_AFTER {
            rig.store.checkpoint_now(&rig.pipeline).unwrap();
        }
        step(&mut rig, number).unwrap();
        let junk = |step: &mut tidegate_pipeline::Step<'_>| step.message(&message(0, "s/d1/t", "junk"));
        rig.commit(25 * i64::try_from(number).unwrap(), junk, |_| {}).unwrap();
    }
    rig
}

#[test]
#[ignore = "writes the fixture of the present format"]
fn make_the_fixture() {
    let rig = fill();
    let disk = rig.disk.clone();
    drop(rig);
    let mut database = Database::builder().create_with_backend(disk.clone()).unwrap();
    while database.compact().unwrap() {}
    drop(database);
    let path = format!("tests/fixtures/store-v{}.redb", format(&disk));
    std::fs::write(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path), disk.bytes()).unwrap();
}

/// The format that a store says it has.
fn format(disk: &Disk) -> u8 {
    const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    let database = Database::builder().create_with_backend(disk.clone()).unwrap();
    let meta = database.begin_read().unwrap().open_table(META).unwrap();
    let row = meta.get("format").unwrap().unwrap();
    row.value()[0]
}

#[test]
fn every_supported_format_opens() {
    let present = fill();
    let disk = present.disk.clone();
    let (ledger, windows) = (present.pipeline.ledger().clone(), present.pipeline.open_windows());
    let letters = present.store.shared().letters(0, 1_000).unwrap().len();
    let counts = present.store.shared().outputs()["out"].counts.clone();
    drop(present);
    assert_eq!(FIXTURES.last().unwrap().0, format(&disk), "the present format has its fixture");
    for (version, bytes) in FIXTURES {
        let shelf = Shelf::holding(bytes.to_vec());
        assert_eq!(format(&shelf.store()), *version);
        let mut rig = shelf.rig();
        assert!(rig.store.shared().salvage().is_none(), "format {version}");
        assert_eq!(rig.store.shared().name(), "x");
        assert_eq!(*rig.pipeline.ledger(), ledger, "format {version}");
        assert_eq!((ledger.counted, ledger.under(Reason::Malformed)), (STEPS * READINGS, STEPS));
        assert_eq!(rig.pipeline.open_windows(), windows, "format {version}");
        assert_eq!(rig.store.shared().letters(0, 1_000).unwrap().len(), letters, "format {version}");
        assert_eq!(rig.store.shared().outputs()["out"].counts, counts, "format {version}");
        assert_eq!(rig.reached(0, "out").len() as u64, counts.queued(), "format {version}");
        // It is written on, and an amendment finds its window.
        step(&mut rig, STEPS).unwrap();
        rig.tick(10_000);
        rig.reached(10_000, "out");
        let (topic, _, time, _) = readings(STEPS)[3].clone();
        let key = format!("minute/t/{}/{}/60s/r", &topic[2..4], at(time.div_euclid(60) * 60).rfc3339());
        let revisions = rig.seen.keys().filter(|id| id.starts_with(&key) && !id.ends_with("/r0"));
        assert!(revisions.count() > 0, "format {version}: {key} in {:?}", rig.seen.keys());
    }
}
