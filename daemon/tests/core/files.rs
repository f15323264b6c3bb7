//! The file: what is refused and left alone, what is made anew, large entries, checkpoints.

use crate::rig::{Rig, message, payload, plain, plan};
use crate::shelf::Shelf;
use redb::{Database, ReadableTable, TableDefinition};
use tidegate::store::{Store, StoreError, file};
use tidegate_medium::Disk;
use tidegate_pipeline::verdict::{Reason, Verdict};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// A store of a newer format, closed cleanly or not.
fn of_format(format: u8, clean: bool) -> Disk {
    let rig = Rig::new(plan());
    let disk = rig.disk.clone();
    drop(rig);
    let database = Database::builder().create_with_backend(disk.clone()).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(META).unwrap().insert("format", [format, 0, 0, 0].as_slice()).unwrap();
    write.commit().unwrap();
    let unclean = disk.bytes();
    drop(database);
    Disk::holding(if clean { disk.bytes() } else { unclean })
}

#[test]
fn another_format_is_refused_and_untouched() {
    for (format, clean) in [(9, true), (9, false), (1, true), (1, false), (2, true)] {
        let disk = of_format(format, clean);
        let before = disk.bytes();
        let error = Store::open("disk", disk.opener(), "x", |_| plan()).unwrap_err();
        match format {
            9 => assert!(matches!(error, StoreError::Newer { found: 9, known: 3 }), "{error}"),
            _ => assert!(matches!(error, StoreError::Older { found: 1 | 2, known: 3 }), "{error}"),
        }
        assert_eq!(disk.calls(), 0, "clean: {clean}");
        assert!(disk.bytes() == before, "clean: {clean}");
    }
}

/// The whole process: it ends with 78, which the unit does not restart, and the file is as it was.
#[test]
fn a_newer_store_ends_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir(path("data")).unwrap();
    for clean in [true, false] {
        let bytes = of_format(9, clean).bytes();
        std::fs::write(path("data/tidegate.redb"), &bytes).unwrap();
        let text = format!(
            "[gateway]\ndata_dir = {:?}\n[status]\nlisten = \"127.0.0.1:0\"\n[streams.s]\ntopic = \"a/{{metric}}\"\n\
             [outputs.o]\nurl = \"http://127.0.0.1:1/\"\n",
            path("data")
        );
        std::fs::write(path("tidegate.toml"), text).unwrap();
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["run", "--config"])
            .arg(path("tidegate.toml"))
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(78), "{words}");
        assert!(words.contains("install the newer tidegate again"), "{words}");
        assert!(std::fs::read(path("data/tidegate.redb")).unwrap() == bytes, "clean: {clean}");
        let names = std::fs::read_dir(path("data")).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.into_iter().all(|name| !name.to_string_lossy().contains("damaged")));
    }
}

#[test]
fn an_unclean_file_of_our_format_opens() {
    let mut rig = Rig::new(plain());
    rig.send(0, "d1", 1, 0);
    let disk = Disk::holding(rig.disk.bytes());
    let again = Rig::open(disk, plain()).unwrap();
    assert_eq!(again.pipeline.state(), rig.pipeline.state());
}

/// What is no store of ours is put aside, and a new one begun.
#[test]
fn what_is_no_store_is_put_aside() {
    let check = |bytes: Vec<u8>, kept: bool| {
        let shelf = Shelf::holding(bytes);
        let mut rig = shelf.rig();
        assert_eq!(shelf.damaged(), u32::from(kept));
        assert_eq!(rig.store.shared().name(), "fresh");
        assert_eq!(rig.store.shared().salvage().is_some(), kept);
        rig.send(0, "d1", 1, 0);
        drop(rig);
        assert_eq!(shelf.rig().pipeline.ledger().counted, 1);
        assert_eq!(shelf.damaged(), u32::from(kept));
    };
    check(b"not a store".to_vec(), true);
    check(vec![7; 10_000], true);
    check([vec![0; 8_000], vec![1]].concat(), true);
    check(Vec::new(), false);
    check(vec![0; 5_000], false);
    let disk = Disk::default();
    let database = Database::builder().create_with_backend(disk.clone()).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(META).unwrap().insert("other", [1u8].as_slice()).unwrap();
    write.commit().unwrap();
    drop(database);
    check(disk.bytes(), true);
}

/// A medium without room beside the store: it says what to do, and touches nothing.
#[test]
fn damage_that_cannot_be_replaced_is_told() {
    let bytes = b"not a store".to_vec();
    let disk = Disk::holding(bytes.clone());
    let error = Rig::open(disk.clone(), plan()).err().unwrap();
    assert!(matches!(&error, StoreError::Salvage { path, .. } if path == "disk"), "{error}");
    assert_eq!(disk.bytes(), bytes);
}

#[test]
fn two_processes_cannot_have_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let open = || Store::open("store.redb", file(&path), "x", |_| plan());
    let first = open().unwrap();
    let error = open().unwrap_err();
    assert!(matches!(&error, StoreError::Locked(path) if path == "store.redb"), "{error}");
    drop(first);
    assert_eq!(open().unwrap().store.shared().name(), "x");
    let missing = Store::open("nowhere", file(&dir.path().join("a/b")), "x", |_| plan()).unwrap_err();
    assert!(matches!(missing, StoreError::Open { .. }), "{missing}");
}

/// An entry that does not compress is larger than a chunk: it is cut, and put together again.
#[test]
fn large_entries() {
    let mut random = fastrand::Rng::with_seed(1);
    for count in [1, 9_000, 12_000, 60_000] {
        let mut rig = Rig::new(plain());
        for _ in 0..3 {
            let refuse = |step: &mut tidegate_pipeline::Step<'_>| {
                (0..count)
                    .for_each(|_| step.account(Verdict::Rejected(Reason::TooLarge), random.u64(..1 << 40)));
            };
            rig.commit(0, refuse, |_| {}).unwrap();
        }
        rig.restart();
    }
}

/// A checkpoint is taken when the journal has grown, written in chunks while entries follow, put in force by the last.
#[test]
fn checkpoints() {
    let mut rig = Rig::new(plain());
    rig.store.checkpoint_from(200_000);
    grow(&mut rig);
    assert!(rig.store.is_checkpointing());
    let mut commits = 0;
    while rig.store.is_checkpointing() {
        rig.send(1, "d1", 1, 1);
        let copy = Rig::open(Disk::holding(rig.disk.bytes()), plan()).unwrap();
        assert_eq!(copy.pipeline.state(), rig.pipeline.state(), "after {commits} commits");
        commits += 1;
    }
    assert!((2..20).contains(&commits), "several transactions: {commits}");
    let next = rig.store.next_entry();
    rig.store.checkpoint_now(&rig.pipeline).unwrap();
    let mut rig = rig.restart();
    assert_eq!(rig.store.next_entry(), next);
    assert!(rig.store.has_entry(next - 1).unwrap() && !rig.store.has_entry(next).unwrap());
    rig.send(2, "d1", 1, 2);
    assert!(rig.store.has_entry(next).unwrap());
    rig.restart();
}

/// Some 600 kB of state that does not compress.
pub fn grow(rig: &mut Rig) {
    let mut random = fastrand::Rng::with_seed(2);
    let topics: Vec<String> = (0..2_500)
        .map(|_| {
            format!("s/{}/t", std::iter::repeat_with(|| random.alphanumeric()).take(250).collect::<String>())
        })
        .collect();
    let payload = payload(1, 0, 0);
    let send = |step: &mut tidegate_pipeline::Step<'_>| {
        topics.iter().for_each(|topic| step.message(&message(0, topic, &payload)));
    };
    rig.commit(0, send, |_| {}).unwrap();
}

/// A reopening that fails half-way may not leave the store ready to be written: it would give out a number that is
/// taken.
#[test]
fn a_store_that_was_half_read_takes_nothing() {
    let mut rig = Rig::new(plain());
    (0..3).for_each(|n| rig.send(0, "d1", n, 0));
    let healthy = rig.disk.bytes();
    rig.disk.replace(damaged(healthy.clone(), 2).bytes());
    assert!(matches!(rig.store.reopen().unwrap_err(), StoreError::Salvage { .. }));
    let send = |rig: &mut Rig| {
        let text = payload(1, 0, 0);
        rig.commit(0, |step| step.message(&message(0, "s/d1/t", &text)), |_| {})
    };
    assert!(matches!(send(&mut rig).unwrap_err(), StoreError::Reopening));
    rig.disk.replace(healthy);
    rig.pipeline = rig.store.reopen().unwrap();
    send(&mut rig).unwrap();
    assert_eq!(rig.restart().pipeline.ledger().counted, 4);
}

/// The file with a bit flipped in one journal entry, as if it had always been so.
fn damaged(bytes: Vec<u8>, number: u64) -> Disk {
    const JOURNAL: TableDefinition<'_, (u64, u16), &[u8]> = TableDefinition::new("journal");
    let disk = Disk::holding(bytes);
    altered(&disk, JOURNAL, (number, 0));
    disk
}

/// Flips a bit in a row, so that redb's checksums are right and ours is not.
pub fn altered<K: redb::Key + 'static>(
    disk: &Disk,
    table: TableDefinition<'_, K, &'static [u8]>,
    key: K::SelfType<'_>,
) {
    let database = Database::builder().create_with_backend(disk.clone()).unwrap();
    let write = database.begin_write().unwrap();
    {
        let mut table = write.open_table(table).unwrap();
        let mut row = table.get(&key).unwrap().unwrap().value().to_vec();
        *row.last_mut().unwrap() ^= 1;
        table.insert(&key, row.as_slice()).unwrap();
    }
    write.commit().unwrap();
}
