//! Damage at rest: whatever happens to the bytes of a filled store, it opens, balances, invents nothing and counts nothing
//! twice; what is legible goes on.

use crate::cuts::{READINGS, STEPS, readings, step};
use crate::files::altered;
use crate::heart::Body;
use crate::rig::{Rig, at, message, plan};
use crate::rollup::{minutes, send};
use crate::shelf::Shelf;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use tidegate::store::{Medium, Store, StoreError, Wanted, file};
use tidegate_medium::Disk;
use tidegate_pipeline::verdict::Reason;

const PAGE: usize = 4_096;

/// A filled store, as it is while it is open and after it was closed, and the events that were seen.
struct Filled {
    images: [Vec<u8>; 2],
    seen: BTreeMap<String, Vec<u8>>,
}

fn fill() -> Filled {
    let mut rig = Rig::new(plan());
    rig.store.checkpoint_from(2_000);
    for number in 0..STEPS {
        step(&mut rig, number).unwrap();
        let junk = |step: &mut tidegate_pipeline::Step<'_>| step.message(&message(0, "s/d1/t", "junk"));
        rig.commit(25 * i64::try_from(number).unwrap(), junk, |_| {}).unwrap();
    }
    let (disk, seen) = (rig.disk.clone(), std::mem::take(&mut rig.seen));
    let open = disk.bytes();
    drop(rig);
    Filled { images: [open, disk.bytes()], seen }
}

/// One damage, as `random` says.
fn damage(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) -> String {
    // Only where something is written: most of a small file is not.
    let used: Vec<usize> =
        (0..bytes.len() / PAGE).filter(|page| bytes[page * PAGE..][..PAGE].iter().any(|b| *b != 0)).collect();
    let page = used[random.usize(..used.len())] * PAGE;
    let written = (0..PAGE).rev().find(|at| bytes[page + at] != 0).unwrap() + 1;
    match random.u8(..10) {
        0..=3 => {
            let (at, bit) = (page + random.usize(..written), random.u8(..8));
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at}")
        }
        4 => {
            let (at, bit) = (random.usize(..320), random.u8(..8));
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at} of the header")
        }
        5 => {
            let at = page + random.usize(..PAGE / 512) * 512;
            bytes[at..at + 512].fill(0);
            format!("sector at {at}")
        }
        6 => {
            bytes[page..page + PAGE].fill(0);
            format!("page at {page}")
        }
        7 | 8 => {
            random.fill(&mut bytes[page..page + PAGE]);
            format!("garbage at {page}")
        }
        _ => {
            let len = random.usize(..bytes.len());
            bytes.truncate(len);
            format!("truncated to {len}")
        }
    }
}

/// An event by what names it for a function: source and key; revision and count.
fn told(event: &[u8]) -> Option<((String, String), (u64, u64))> {
    let event: serde_json::Value = serde_json::from_slice(event).unwrap();
    let key = event["data"]["key"].as_str()?.to_owned();
    let count = event["data"]["values"]["count"].as_f64().unwrap();
    let revision = event["data"]["revision"].as_u64().unwrap();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    Some(((event["source"].as_str().unwrap().to_owned(), key), (revision, count as u64)))
}

/// The source and key of each event that this one replaces.
fn replaced(event: &[u8]) -> Vec<(String, String)> {
    let event: serde_json::Value = serde_json::from_slice(event).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let keys = event["data"]["replaces"].as_array().into_iter().flatten();
    keys.map(|key| (text(&event["source"]), text(key))).collect()
}

/// What a function holds that keeps the highest revision per source and key, and retires what is replaced: readings by
/// key.
fn held<'e>(events: impl Iterator<Item = &'e Vec<u8>> + Clone) -> BTreeMap<String, u64> {
    let retired: BTreeSet<(String, String)> = events.clone().flat_map(|event| replaced(event)).collect();
    let mut last: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for (name, revised) in events.filter_map(|event| told(event)) {
        let known = last.entry(name).or_insert(revised);
        *known = revised.max(*known);
    }
    let mut keys: BTreeMap<String, u64> = BTreeMap::new();
    let last = last.into_iter().filter(|(name, _)| !retired.contains(name));
    last.for_each(|((_, key), (_, count))| *keys.entry(key).or_default() += count);
    keys
}

/// What was sent, by key; `more` steps of the script besides those of the filled store.
fn sent(more: u64) -> BTreeMap<String, u64> {
    let mut keys: BTreeMap<String, u64> = BTreeMap::new();
    for (topic, _, time, _) in (0..STEPS + more).flat_map(readings) {
        let minute = at(time.div_euclid(60) * 60).rfc3339();
        *keys.entry(format!("minute/t/{}/{minute}/60s", &topic[2..4])).or_default() += 1;
    }
    keys
}

/// Opens what is left, goes on with new readings, some of them late, and compares.
fn check(filled: &Filled, bytes: Vec<u8>, what: &str) -> Outcome {
    let shelf = Shelf::holding(bytes);
    let mut rig = shelf.rig();
    rig.check_accounts();
    let found = rig.store.shared().salvage();
    assert_eq!(shelf.damaged(), u32::from(found.is_some()), "{what}");
    let ledger = rig.pipeline.ledger().clone();
    let whole = found.as_ref().is_none_or(|report| report.renamed.is_none());
    let all = STEPS * (READINGS + 1);
    assert!(ledger.total() <= all && ledger.counted <= STEPS * READINGS, "{what}: {ledger:?}");
    let mut events: BTreeMap<(String, String), Vec<u8>> = BTreeMap::new();
    let mut see = |event: &[u8], id: &str| {
        let source = serde_json::from_slice::<serde_json::Value>(event).unwrap()["source"].to_string();
        let before = events.insert((source, id.to_owned()), event.to_vec());
        assert!(before.is_none_or(|before| before == event), "{what}: {id} has two contents");
    };
    filled.seen.iter().for_each(|(id, event)| see(event, id));
    for number in STEPS..STEPS + 4 {
        step(&mut rig, number).unwrap();
        rig.check_accounts();
    }
    rig.tick(10_000);
    rig.seen.iter().for_each(|(id, event)| see(event, id));
    for event in rig.reached(10_000, "out") {
        see(&event.event, &event.id);
    }
    let (held, sent) = (held(events.values()), sent(4));
    for (key, count) in &held {
        assert!(sent.get(key).is_some_and(|sent| count <= sent), "{what}: {count} readings of {key}");
    }
    let lost = sent.values().sum::<u64>() - held.values().sum::<u64>();
    let now = rig.pipeline.ledger();
    assert_eq!(now.counted - ledger.counted, 4 * READINGS, "{what}: it goes on");
    if found.is_none() {
        assert!(ledger.total() == all || ledger.total() >= all - 5, "{what}: {ledger:?}");
    }
    let damaged = ledger.under(Reason::Damaged);
    if whole && found.is_some() {
        assert_eq!((ledger.total(), damaged), (all, 0), "{what}");
    }
    drop(rig);
    let again = shelf.rig();
    assert_eq!(shelf.damaged(), u32::from(found.is_some()), "{what}: salvaged once");
    again.check_accounts();
    Outcome { salvaged: found.is_some(), whole, lost }
}

#[derive(Debug)]
struct Outcome {
    salvaged: bool,
    whole: bool,
    lost: u64,
}

#[test]
fn any_damage() {
    let filled = fill();
    let seeds = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let (mut salvaged, mut whole, mut complete) = (0, 0, 0);
    for seed in seeds.map_or(0..600, |seed| seed..seed + 1) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = filled.images[random.usize(..2)].clone();
        let mut damages = Vec::new();
        for _ in 0..random.u8(1..4) {
            if bytes.len() > PAGE {
                damages.push(damage(&mut bytes, &mut random));
            }
        }
        let outcome = check(&filled, bytes, &format!("SEED={seed}: {}", damages.join(", ")));
        salvaged += u32::from(outcome.salvaged);
        whole += u32::from(outcome.salvaged && outcome.whole);
        complete += u32::from(outcome.salvaged && outcome.lost == 0);
    }
    println!("{salvaged} salvaged, {whole} under the old name, {complete} without a lost reading");
    assert!(
        seeds.is_some() || (salvaged > 250 && whole > 50 && complete > 100),
        "{salvaged} {whole} {complete}"
    );
}

/// Each page that is written to is lost in its turn; most hold something that can be done without.
#[test]
fn each_page_is_lost_once() {
    let filled = fill();
    let (mut pages, mut salvaged, mut whole, mut complete) = (0, 0, 0, 0);
    for (image, bytes) in filled.images.iter().enumerate() {
        for at in (0..bytes.len()).step_by(PAGE).filter(|at| bytes[*at..at + PAGE].iter().any(|b| *b != 0)) {
            let mut bytes = bytes.clone();
            bytes[at..at + PAGE].fill(0);
            let outcome = check(&filled, bytes, &format!("page {} of image {image}", at / PAGE));
            pages += 1;
            salvaged += u32::from(outcome.salvaged);
            whole += u32::from(outcome.salvaged && outcome.whole);
            complete += u32::from(outcome.salvaged && outcome.lost == 0);
        }
    }
    println!(
        "{pages} pages: {salvaged} salvaged, {whole} under the old name, {complete} without a lost reading"
    );
    assert!(salvaged > 10 && whole > 5 && complete > 10, "{salvaged} {whole} {complete}");
}

/// A store whose oldest windows were merged loses a page: parts and wholes are never both told.
#[test]
fn a_lost_page_after_a_roll_up() {
    const MINUTES: i64 = 40;
    const DEVICES: usize = 3;
    let mut rig = Rig::new(plan());
    minutes(&mut rig, MINUTES, DEVICES);
    let before = rig.reached(10_000, "out").len();
    for _ in 0..20 {
        rig.roll_up(10_000);
    }
    let disk = rig.disk.clone();
    drop(rig);
    let bytes = disk.bytes();
    let (mut pages, mut merged) = (0, 0);
    for at in (0..bytes.len()).step_by(PAGE).filter(|at| bytes[*at..at + PAGE].iter().any(|b| *b != 0)) {
        let mut bytes = bytes.clone();
        bytes[at..at + PAGE].fill(0);
        let mut rig = Shelf::holding(bytes).rig();
        rig.check_accounts();
        let what = format!("page {}", at / PAGE);
        let sent = MINUTES as u64 * DEVICES as u64;
        let told = |rig: &mut Rig| -> u64 {
            let events: Vec<_> = rig.reached(10_000, "out").into_iter().map(|event| event.event).collect();
            held(events.iter()).into_values().sum()
        };
        let waiting = told(&mut rig);
        assert!(waiting <= sent, "{what}: {waiting} of {sent}");
        merged += u64::from(rig.waiting("out").len() < before);
        // What comes late is told once, whatever became of its window.
        for n in 0..4 {
            send(&mut rig, 60 * MINUTES, 1, 60 * n, 10_000 + u64::try_from(n).unwrap());
        }
        rig.tick(10_000);
        let after = told(&mut rig);
        assert!(after <= waiting + 4, "{what}: {after} after {waiting}");
        rig.check_accounts();
        pages += 1;
    }
    assert!(pages > 20 && merged == pages, "{pages} {merged}");
}

const JOURNAL: TableDefinition<'_, (u64, u16), &[u8]> = TableDefinition::new("journal");
const CHECKPOINT: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("checkpoint");
const CLOSED: TableDefinition<'_, (i64, u32), &[u8]> = TableDefinition::new("closed");
const OUTBOX: TableDefinition<'_, (u16, u8, u64), (i64, u64)> = TableDefinition::new("outbox");
const LETTERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("dead_letters");
const OUTPUTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("outputs");

/// A filled store, closed, without the checkpoints that follow each other in the script: it has a journal.
fn closed() -> Disk {
    let mut rig = Rig::new(plan());
    for number in 0..STEPS {
        step(&mut rig, number).unwrap();
        let junk = |step: &mut tidegate_pipeline::Step<'_>| step.message(&message(0, "s/d1/t", "junk"));
        rig.commit(25 * i64::try_from(number).unwrap(), junk, |_| {}).unwrap();
    }
    let disk = rig.disk.clone();
    drop(rig);
    disk
}

/// Reads a table as redb has it.
fn keys<K: redb::Key + 'static, V: redb::Value + 'static, T>(
    disk: &Disk,
    table: TableDefinition<'_, K, V>,
    key: impl Fn(K::SelfType<'_>, V::SelfType<'_>) -> T,
) -> Vec<T> {
    let database = Database::builder().create_with_backend(disk.clone()).unwrap();
    let table = database.begin_read().unwrap().open_table(table).unwrap();
    let rows = table.iter().unwrap().map(|row| row.unwrap());
    rows.map(|(k, v)| key(k.value(), v.value())).collect()
}

/// Opens what `harm` left of a filled store.
fn harmed(harm: impl FnOnce(&Disk)) -> (Rig, String) {
    let disk = closed();
    harm(&disk);
    let mut rig = Shelf::holding(disk.bytes()).rig();
    // What opening does not read is met later.
    let shared = rig.store.shared();
    let met = shared.waiting("out", &Wanted::first(1_000, 1 << 20)).err().or(shared.letters(0, 1_000).err());
    if let Some(error) = met {
        assert!(error.is_damage() && rig.store.trust().is_err(), "{error}");
        rig.pipeline = rig.store.reopen().unwrap();
    }
    rig.check_accounts();
    let report = rig.store.shared().salvage().expect("it is damaged").to_string();
    (rig, report)
}

#[test]
fn a_lost_entry_of_the_journal() {
    let all = STEPS * (READINGS + 1);
    let entries = keys(&closed(), JOURNAL, |(number, _), _| number);
    let (first, last) = (entries[0], entries[entries.len() - 1]);
    let lost = first + (last - first) / 2;
    let (mut rig, report) = harmed(|disk| altered(disk, JOURNAL, (lost, 0)));
    let ledger = rig.pipeline.ledger();
    assert!(
        report.contains(&format!("1 entries of the journal are lost, among the numbers {lost} to {lost}"))
    );
    assert!(ledger.under(Reason::Damaged) > 0 && ledger.total() >= all - READINGS - 1, "{ledger:?}");
    assert_eq!(rig.store.next_entry(), last + 1, "no number is given out twice");
    assert!(rig.store.has_entry(lost).unwrap() && rig.store.has_entry(last).unwrap());
    let waiting = keys(&closed(), OUTBOX, |_, _| ()).len();
    assert_eq!(rig.reached(0, "out").len(), waiting, "what waits does not need it");
}

#[test]
fn a_lost_checkpoint() {
    let waiting = keys(&closed(), OUTBOX, |_, _| ()).len();
    let (mut rig, report) = harmed(|disk| {
        let chunks = keys(disk, CHECKPOINT, |key, _| key);
        chunks.into_iter().for_each(|key| altered(disk, CHECKPOINT, key));
    });
    assert!(report.contains("the checkpoint is lost"), "{report}");
    assert_eq!(rig.reached(0, "out").len(), waiting, "what waits does not need it");
    let ledger = rig.pipeline.ledger();
    assert_eq!(ledger.counted, 0);
    assert!(ledger.under(Reason::Damaged) > 0, "what the journal says is known: {ledger:?}");
}

#[test]
fn a_lost_window() {
    let disk = closed();
    let references = keys(&disk, OUTBOX, |_, reference| reference);
    let (end, group) = references.iter().find(|(end, _)| *end != i64::MIN && *end != i64::MAX).unwrap();
    let (mut rig, report) = harmed(|disk| altered(disk, CLOSED, (*end, u32::try_from(*group).unwrap())));
    assert!(report.contains("1 events are lost"), "{report}");
    assert_eq!(rig.store.shared().outputs()["out"].counts.dropped["damaged"], 1);
    assert_eq!(rig.pipeline.ledger().counted, STEPS * READINGS, "all is remembered");
    assert!(!rig.pipeline.plan().source.ends_with("/x"), "what it was cannot be amended");
    assert_eq!(rig.reached(0, "out").len() + 1, references.len());
}

#[test]
fn a_lost_dead_letter() {
    let before = keys(&closed(), LETTERS, |number, _| number);
    let (rig, _) = harmed(|disk| altered(disk, LETTERS, before[before.len() - 1]));
    let letters = rig.store.shared().letters(0, 1_000).unwrap();
    assert_eq!(letters.len() + 1, before.len());
    assert_eq!(rig.store.shared().letter_counts().evicted, 1);
    assert_eq!(rig.pipeline.ledger().total(), STEPS * (READINGS + 1));
    assert!(rig.pipeline.plan().source.ends_with("/x"), "nothing sent can be contradicted");
}

#[test]
fn a_lost_account() {
    let waiting = keys(&closed(), OUTBOX, |_, _| ()).len();
    let (mut rig, _) = harmed(|disk| altered(disk, OUTPUTS, "out"));
    assert_eq!(rig.reached(0, "out").len(), waiting);
    assert_eq!(rig.store.shared().outputs()["out"].counts.queued(), waiting as u64);
}

/// Damage that is met while the daemon runs is salvaged then, and it goes on.
#[test]
fn damage_is_met_at_work() {
    let disk = closed();
    let windows = keys(&disk, CLOSED, |key, _| key);
    windows.iter().for_each(|key| altered(&disk, CLOSED, *key));
    let shelf = Shelf::holding(disk.bytes());
    let mut body = Body::on(shelf.clone(), plan());
    assert_eq!(shelf.damaged(), 0, "nobody has looked at windows");
    let error = body.store.waiting("out", &Wanted::first(10, 10_000)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    body.wait_until(|body| body.health.has("damage"));
    body.send(0, &[("s/d1/t", 10_000)]);
    body.wait_for_acknowledgement(1);
    assert!(!body.health.has("store"));
    assert_eq!(shelf.damaged(), 1);
    let counts = body.store.outputs()["out"].counts.clone();
    assert!(counts.dropped["damaged"] > 0, "{counts:?}");
    assert_ne!(body.store.name(), "x");
    body.stop();
}

/// A medium with a page that it cannot read any more, until it is replaced.
#[derive(Debug)]
struct Worn {
    shelf: Shelf,
    page: u64,
}

#[derive(Debug)]
struct WornFile {
    file: Box<dyn StorageBackend>,
    page: Option<u64>,
}

impl Medium for Worn {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        let page = Some(self.page).filter(|_| self.shelf.damaged() == 0);
        Ok(Box::new(WornFile { file: self.shelf.open()?, page }))
    }

    fn beside(&self) -> io::Result<Box<dyn StorageBackend>> {
        self.shelf.beside()
    }

    fn replace(&self) -> io::Result<String> {
        self.shelf.replace()
    }
}

impl StorageBackend for WornFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let pages = offset / PAGE as u64..(offset + out.len() as u64).div_ceil(PAGE as u64);
        if self.page.is_some_and(|page| pages.contains(&page)) {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }
}

/// A page that cannot be read is a page that is lost; a disk that is gone is not salvaged, but waited for.
#[test]
fn pages_that_cannot_be_read() {
    let bytes = closed().bytes();
    let mut lost = 0;
    for page in 0..(bytes.len() / PAGE) as u64 {
        let shelf = Shelf::holding(bytes.clone());
        let worn = Worn { shelf: shelf.clone(), page };
        match Rig::on(shelf.store(), worn, "fresh", plan()) {
            Ok(rig) => {
                rig.check_accounts();
                lost += shelf.damaged();
            }
            Err(error) => {
                assert!(page == 0 && matches!(error, StoreError::Unreadable(_)), "page {page}: {error}");
                assert_eq!(shelf.damaged(), 0);
            }
        }
    }
    assert!(lost > 5, "{lost}");
}

/// On a real file: the damaged one is kept under another name, and not too many of them.
#[test]
fn damaged_files_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tidegate.redb");
    let names = || {
        let names = std::fs::read_dir(dir.path()).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    for round in 1..=4 {
        let garbage = format!("garbage {round}").into_bytes();
        std::fs::write(&path, &garbage).unwrap();
        let opened = Store::open("tidegate.redb", file(&path), "x", |_| plan()).unwrap();
        let report = opened.store.shared().salvage().unwrap();
        assert_eq!(std::fs::read(&report.kept_at).unwrap(), garbage);
        drop(opened);
        let names = names();
        assert_eq!(names.len(), 1 + round.min(2), "{names:?}");
        assert_eq!(names[0], "tidegate.redb");
        assert!(names[1].starts_with("tidegate.redb.damaged-2"), "{names:?}");
    }
    let again = Store::open("tidegate.redb", file(&path), "y", |_| plan()).unwrap();
    assert_eq!(again.store.shared().name(), "x");
}
