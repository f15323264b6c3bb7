//! The history: what it keeps, what it lets go, and that it says what it loses.

use super::*;
use tempfile::TempDir;
use tidegate_pipeline::aggregate::Value;
use tidegate_pipeline::definition::Definition;
use tidegate_pipeline::event::{ClosedKey, Record};
use tidegate_pipeline::window::Content;

const ALL: Query =
    Query { summary: String::new(), subject: String::new(), from: Time::MIN, to: Time::MAX, limit: 100 };

/// A window of a minute that ends `end` seconds after 1970.
fn closed(end: i64, group: u32, revision: u32, mean: f64) -> Closed {
    let end = Time::from_millis(end * 1_000);
    Closed {
        key: ClosedKey { end, group },
        revision,
        replaces: Vec::new(),
        retires: Vec::new(),
        content: Content::default(),
        id: String::new(),
        event: Vec::new(),
        record: Record {
            start: end.minus(Span::from_secs(60)),
            subject: format!("minute/t/{group}"),
            unit: Some("°C".into()),
            values: vec![("count".into(), Value::Whole(6)), ("mean".into(), Value::Number(mean))],
        },
        to: Vec::new(),
        definition: Definition::default(),
        coarse: false,
    }
}

fn options(dir: &TempDir) -> HistoryOptions {
    HistoryOptions {
        path: dir.path().join("history.redb"),
        keep: Duration::from_secs(3_660 * 86_400 * 100),
        bytes_max: u64::MAX,
    }
}

fn rows(closed: impl IntoIterator<Item = Closed>) -> Rows {
    closed.into_iter().flat_map(file::rows_of).collect()
}

/// (end in seconds, group, revision, mean) of what is found.
fn found(database: &Database, query: &Query) -> Vec<(i64, String, u32, f64)> {
    brief(file::read(database, query).unwrap())
}

fn brief(found: Found) -> Vec<(i64, String, u32, f64)> {
    let of = |s: Summary| (s.end.as_millis() / 1_000, s.subject, s.revision, s.values[1].1.number().unwrap());
    found.summaries.into_iter().map(of).collect()
}

#[test]
fn written_read_and_pruned() {
    let dir = tempfile::tempdir().unwrap();
    let database = file::open(&options(&dir).path, &Arc::default()).unwrap();
    let windows = [closed(60, 1, 0, 1.0), closed(60, 2, 0, 2.0), closed(120, 1, 0, 3.0)];
    file::write(&database, &rows(windows), Time::MIN, false).unwrap();
    let check = |query: Query, expected: &[(i64, u32, f64)]| {
        let expected: Vec<_> =
            expected.iter().map(|(end, group, mean)| (*end, format!("minute/t/{group}"), 0, *mean)).collect();
        assert_eq!(found(&database, &query), expected, "{query:?}");
    };
    let at = |seconds: i64| Time::from_millis(seconds * 1_000);
    check(ALL, &[(60, 1, 1.0), (60, 2, 2.0), (120, 1, 3.0)]);
    check(Query { from: at(60), ..ALL }, &[(120, 1, 3.0)]);
    check(Query { to: at(60), ..ALL }, &[(60, 1, 1.0), (60, 2, 2.0)]);
    check(Query { from: at(120), to: at(60), ..ALL }, &[]);
    check(Query { from: Time::MAX, ..ALL }, &[]);
    check(Query { subject: "minute/t/2".into(), ..ALL }, &[(60, 2, 2.0)]);
    check(Query { summary: "minute/".into(), limit: 2, ..ALL }, &[(60, 2, 2.0), (120, 1, 3.0)]);
    check(Query { summary: "min/".into(), ..ALL }, &[]);
    assert!(file::read(&database, &Query { limit: 2, ..ALL }).unwrap().truncated);
    assert!(!file::read(&database, &Query { limit: 3, ..ALL }).unwrap().truncated);

    let whole = file::read(&database, &Query { limit: 1, ..ALL }).unwrap().summaries.remove(0);
    assert_eq!((whole.start, whole.unit.as_deref()), (at(60), Some("°C")));
    assert_eq!(whole.values[0], ("count".to_owned(), Value::Whole(6)));

    // What is too old goes, and does not come in either.
    file::write(&database, &rows([closed(70, 9, 0, 9.0), closed(180, 1, 0, 4.0)]), at(120), false).unwrap();
    check(ALL, &[(120, 1, 3.0), (180, 1, 4.0)]);
    // In a full file new rows take the place of the oldest.
    file::write(&database, &rows([closed(240, 1, 0, 5.0)]), Time::MIN, true).unwrap();
    check(ALL, &[(180, 1, 4.0), (240, 1, 5.0)]);
}

#[test]
fn a_later_revision_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let path = options(&dir).path;
    let database = file::open(&path, &Arc::default()).unwrap();
    // In one transaction, in the next, and over a restart.
    file::write(&database, &rows([closed(60, 1, 0, 1.0), closed(60, 1, 1, 2.0)]), Time::MIN, false).unwrap();
    assert_eq!(found(&database, &ALL), [(60, "minute/t/1".into(), 1, 2.0)]);
    drop(database);
    let database = file::open(&path, &Arc::default()).unwrap();
    file::write(&database, &rows([closed(60, 1, 2, 3.0)]), Time::MIN, false).unwrap();
    assert_eq!(found(&database, &ALL), [(60, "minute/t/1".into(), 2, 3.0)]);
}

#[test]
fn damaged_and_foreign_files_are_moved_aside() {
    let foreign = |path: &std::path::Path| {
        let database = Database::create(path).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(redb::TableDefinition::<u64, u64>::new("theirs")).unwrap();
        write.commit().unwrap();
    };
    let text = |path: &std::path::Path| std::fs::write(path, vec![b'x'; 10_000]).unwrap();
    let short = |path: &std::path::Path| std::fs::write(path, b"short").unwrap();
    let cut = |path: &std::path::Path| {
        drop(file::open(path, &Arc::default()).unwrap());
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(5_000).unwrap();
    };
    let dir = tempfile::tempdir().unwrap();
    let path = options(&dir).path;
    let aside = dir.path().join("history.redb.damaged");
    let spoils: [&dyn Fn(&std::path::Path); 4] = [&foreign, &text, &short, &cut];
    for (case, spoil) in spoils.into_iter().enumerate() {
        let _ = std::fs::remove_file(&path);
        spoil(&path);
        let bytes = std::fs::read(&path).unwrap();
        let database = file::open(&path, &Arc::default()).unwrap();
        file::write(&database, &rows([closed(60, 1, 0, 1.0)]), Time::MIN, false).unwrap();
        assert_eq!(found(&database, &ALL).len(), 1, "case {case}");
        // Each takes the place of the one before.
        assert_eq!(std::fs::read(&aside).unwrap().len(), bytes.len(), "case {case}");
    }
}

#[test]
fn one_that_is_open_elsewhere_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = options(&dir).path;
    let _open = file::open(&path, &Arc::default()).unwrap();
    assert!(matches!(file::open(&path, &Arc::default()), Err(StoreError::Locked(_))));
    assert!(path.exists() && !dir.path().join("history.redb.damaged").exists());
}

#[test]
fn what_finds_no_room_is_counted_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let health = Arc::new(Health::default());
    let (sender, mut scribe) = pair(options(&dir), Arc::clone(&health), Pulse::default());
    let history = Arc::clone(sender.history());
    // No room for a batch …
    for batch in 0..=HISTORY_BATCHES_MAX as u32 {
        sender.send(vec![closed(60, batch, 0, 0.0)]);
    }
    assert_eq!((history.lost(), health.has(PLACE)), (1, true));
    // … none for all rows of one …
    while let Ok(batch) = scribe.batches.try_recv() {
        scribe.take(batch);
    }
    let many = HISTORY_WAITING_MAX as u32 + 7;
    sender.send((0..many).map(|group| closed(120, group, 0, 0.0)).collect());
    assert_eq!(history.lost(), 8);
    // … and room again. The problem goes with the second transaction, the first that nothing was lost before.
    scribe.take(scribe.batches.try_recv().unwrap());
    scribe.commit();
    assert_eq!(history.waiting.load(Ordering::Relaxed), 0);
    sender.send(vec![closed(180, 1, 0, 0.0)]);
    scribe.take(scribe.batches.try_recv().unwrap());
    scribe.commit();
    assert_eq!((history.lost(), health.has(PLACE)), (8, false));
    assert_eq!(history.query(&Query { from: Time::from_millis(120_000), ..ALL }).unwrap().summaries.len(), 1);
}

#[test]
fn a_file_that_fails_costs_rows_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let health = Arc::new(Health::default());
    let path = dir.path().join("later").join("history.redb");
    let (sender, mut scribe) =
        pair(HistoryOptions { path, ..options(&dir) }, Arc::clone(&health), Pulse::default());
    let history = Arc::clone(sender.history());
    scribe.take(vec![closed(60, 1, 0, 1.0), closed(60, 2, 0, 1.0)]);
    scribe.commit();
    assert_eq!((history.lost(), health.has(PLACE)), (2, true));
    assert!(history.query(&ALL).is_err());
    std::fs::create_dir(dir.path().join("later")).unwrap();
    for end in [120, 180] {
        scribe.take(vec![closed(end, 1, 0, 1.0)]);
        scribe.commit();
    }
    assert_eq!((history.lost(), health.has(PLACE)), (2, false));
    assert_eq!(brief(history.query(&ALL).unwrap()).len(), 2);
}

#[test]
fn the_thread_writes_the_rest_when_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (sender, thread) = History::start(options(&dir), Arc::default(), Pulse::default()).unwrap();
    let history = Arc::clone(sender.history());
    sender.send(vec![closed(60, 1, 0, 1.0)]);
    sender.send(vec![closed(60, 1, 1, 2.0)]);
    drop(sender);
    thread.join().unwrap();
    assert_eq!(brief(history.query(&ALL).unwrap()), [(60, "minute/t/1".into(), 1, 2.0)]);
    assert!(history.wear().bytes() > 0);
}
