//! The output `file`.

use super::*;
use crate::forward::memory::event;
use std::path::Path;

fn file(path: &Path, events: u64) -> Running {
    Running::start(OutputKind::File(Some(path.to_owned())), Memory::with(events))
}

fn lines(range: std::ops::Range<u64>) -> String {
    range.map(|n| String::from_utf8(event(1, n).event).unwrap() + "\n").collect()
}

#[tokio::test]
async fn events_are_appended_as_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let run = file(&path, 1_234);
    run.outbox.drained().await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), lines(0..1_234));
    assert_eq!(run.state.snapshot().bytes, lines(0..1_234).len() as u64);

    // Rotated away: the next event makes a new file.
    std::fs::rename(&path, dir.path().join("events.1")).unwrap();
    run.outbox.push(event(1, 1_234));
    run.outbox.drained().await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), lines(1_234..1_235));
    run.stop().await;
}

#[tokio::test]
async fn a_torn_last_line_is_ended_first() {
    let check = |before: &'static str, after: String| async move {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        std::fs::write(&path, before).unwrap();
        let run = file(&path, 2);
        run.outbox.drained().await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        run.stop().await;
    };
    check("", lines(0..2)).await;
    check("{}\n", format!("{{}}\n{}", lines(0..2))).await;
    check("{}\n{\"spe", format!("{{}}\n{{\"spe\n{}", lines(0..2))).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing").join("events.jsonl");
    let run = file(&path, 700);
    run.has_problem("create the directory").await;
    assert_eq!(run.outbox.len(), 700);
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    run.outbox.drained().await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), lines(0..700));
    assert_eq!(run.problem(), None);
    run.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_loses_nothing() {
    let run = file(Path::new("/dev/full"), 3);
    run.has_problem("make room").await;
    assert_eq!(run.outbox.len(), 3);
    run.stop().await;
}
