//! Heartbeats: one at most waits for an output, under rising revisions, and what it says balances.

use crate::heart::{Body, now_payload, run_of};
use crate::rig::{Rig, idle, plain};
use serde_json::Value;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tidegate::config::model;
use tidegate::ingest::change::NewPlan;
use tidegate::ingest::intake::Input;
use tidegate::store::{Commit, Fate, Heartbeat, Settlement, Waiting};
use tidegate_medium::Disk;
use tidegate_pipeline::plan::Plan;

fn plan() -> Plan {
    Plan { outputs: vec!["out".into(), "pager".into()], ..plain() }
}

/// The next heartbeat, as the heart would make it.
fn beat(rig: &mut Rig, secs: i64, to: &[&str], more: impl FnOnce(&mut Commit)) {
    let revision = rig.store.next_heartbeat();
    let event = format!(r#"{{"revision":{revision}}}"#).into_bytes();
    let to = to.iter().map(|&name| name.to_owned()).collect();
    let heartbeat = Heartbeat { revision, id: format!("heartbeat/r{revision}"), event, to };
    rig.with(secs, |commit| {
        commit.heartbeat = Some(heartbeat);
        more(commit);
    });
}

/// Made, superseded and queued.
fn account(rig: &Rig, output: &str) -> (u64, u64, u64) {
    let counts = &rig.store.shared().outputs()[output].counts;
    (counts.made, counts.superseded, counts.queued())
}

fn confirmed(output: &str, event: &Waiting) -> Settlement {
    let Waiting { priority, sequence, id, .. } = event.clone();
    Settlement { output: output.into(), priority, sequence, id, fate: Fate::Delivered }
}

#[test]
fn only_the_newest_waits_and_keeps_its_place() {
    let mut rig = Rig::new(plan());
    rig.send(0, "d1", 1, 0);
    rig.tick(60);
    beat(&mut rig, 61, &["out", "pager"], |_| {});
    rig.send(62, "d1", 2, 62);
    rig.tick(120);
    let bytes = rig.store.live_bytes();
    for secs in 121..221 {
        beat(&mut rig, secs, &["out", "pager"], |_| {});
    }
    assert_eq!((account(&rig, "out"), account(&rig, "pager")), ((103, 100, 3), (101, 100, 1)));
    // The numbers in it have grown by two digits.
    assert!(rig.store.live_bytes() <= bytes + 8, "{bytes} before, {} after", rig.store.live_bytes());
    let mut rig = rig.restart();
    let ids: Vec<_> = rig.reached(300, "out").into_iter().map(|event| event.id).collect();
    assert_eq!(ids[1], "heartbeat/r100", "between the two windows, where the first one stood: {ids:?}");
    assert_eq!(ids.len(), 3);
    assert_eq!(rig.store.next_heartbeat(), 101, "as before the restart");
}

/// What may have been sent is not sent again under another content: the new one goes to the end, under its own id.
#[test]
fn one_that_may_have_been_sent_is_superseded_too() {
    let mut rig = Rig::new(plan());
    beat(&mut rig, 0, &["out"], |commit| commit.waiting = idle(&["out"]));
    let sent = rig.waiting("out").remove(0);
    assert_eq!(sent.id, "heartbeat/r0");
    beat(&mut rig, 1, &["out"], |_| {});
    assert_eq!((account(&rig, "out"), rig.waiting("out").len()), ((2, 1, 1), 0));
    // Its answer comes late, and finds nothing to confirm.
    rig.with(2, |commit| commit.settled.push(confirmed("out", &sent)));
    assert_eq!(account(&rig, "out"), (2, 1, 1));
    let next = rig.reached(3, "out").remove(0);
    assert_eq!(next.id, "heartbeat/r1");
    rig.with(4, |commit| commit.settled.push(confirmed("out", &next)));
    assert_eq!(account(&rig, "out"), (2, 1, 0));
}

/// A delivered one leaves its number to other events: they are not taken for it.
#[test]
fn a_number_that_another_event_has_by_now_is_not_the_heartbeat_s() {
    let mut rig = Rig::new(plan());
    beat(&mut rig, 0, &["out"], |commit| commit.waiting = idle(&["out"]));
    let first = rig.waiting("out").remove(0);
    rig.with(1, |commit| commit.settled.push(confirmed("out", &first)));
    let alert =
        tidegate_pipeline::alert::Outgoing { id: "alert/r0".into(), event: b"{}".to_vec(), to: vec![0] };
    rig.with(2, |commit| commit.changes.alerts.push(alert));
    beat(&mut rig, 3, &["out"], |_| {});
    assert_eq!(account(&rig, "out"), (3, 0, 2));
    let ids: Vec<_> = rig.reached(4, "out").into_iter().map(|event| event.id).collect();
    assert_eq!(ids, ["alert/r0", "heartbeat/r1"]);
}

/// An output that gets no heartbeat any more keeps the one that waits for it.
#[test]
fn an_output_that_was_taken_off_keeps_its_last() {
    let mut rig = Rig::new(plan());
    beat(&mut rig, 0, &["out", "pager"], |_| {});
    beat(&mut rig, 1, &["out"], |_| {});
    let ids =
        |rig: &mut Rig, output| rig.reached(2, output).into_iter().map(|event| event.id).collect::<Vec<_>>();
    assert_eq!(
        (ids(&mut rig, "out"), ids(&mut rig, "pager")),
        (vec!["heartbeat/r1".into()], vec!["heartbeat/r0".into()])
    );
    let last = rig.waiting("pager").remove(0);
    rig.with(3, |commit| commit.settled.push(confirmed("pager", &last)));
    assert_eq!(account(&rig, "pager"), (1, 0, 0));
}

/// The heart sends them by itself, and what they say is as of the transaction before.
#[test]
fn the_heart_beats_and_balances() {
    let disk = Disk::default();
    let mut body = Body::new(&disk, plain());
    let texts: Vec<_> =
        (0..3).map(|n| ("s/d1/t", now_payload(n))).chain([("s/d1/t", "junk".into())]).collect();
    body.push(Input::Run(run_of(&body.link, 1, &texts)));
    body.wait_for_acknowledgement(1);
    body.wait_for_total(4);
    let commits = |body: &Body| body.figures.commits.load(Ordering::Relaxed);
    let before = commits(&body);
    let (done, answer) = tokio::sync::oneshot::channel();
    let heartbeat = Some(model::Heartbeat { every: Duration::from_millis(20), to: vec!["out".into()] });
    let new = NewPlan { plan: plain(), heartbeat, done };
    body.plans.blocking_send(new).unwrap();
    body.intake.wake();
    answer.blocking_recv().unwrap();
    body.health.raise("sources.local", "gone");
    let seen = commits(&body);
    // Some of them may be of a window that closes, or of a checkpoint.
    body.wait_until(|body| commits(body) >= seen.max(before) + 8);
    body.stop();
    let mut rig = Rig::open(disk, plain()).unwrap();
    let all = rig.reached(0, "out");
    let event: Value = serde_json::from_slice(&all.last().unwrap().event).unwrap();
    let data = &event["data"];
    let revision = data["revision"].as_u64().unwrap();
    assert!(revision >= 2, "{event}");
    assert_eq!(
        (event["type"].as_str(), event["id"].as_str()),
        (Some("tidegate.heartbeat.v1"), Some(format!("heartbeat/r{revision}").as_str()))
    );
    assert_eq!((data["key"].as_str(), data["state"].as_str()), (Some("heartbeat"), Some("degraded")));
    assert_eq!(data["problems"][0]["at"], "sources.local");
    let number =
        |place: &Value, name: &str| place[name].as_u64().unwrap_or_else(|| panic!("{name}: {place}"));
    let ledger = &data["ledger"];
    assert_eq!(
        (number(ledger, "received"), number(ledger, "counted"), number(ledger, "dead_lettered")),
        (4, 3, 1)
    );
    let out = &data["outputs"]["out"];
    let gone = number(out, "delivered") + number(out, "superseded");
    assert_eq!(number(out, "made"), gone + number(out, "queued"), "{out}");
    assert_eq!(number(out, "made"), revision, "those before it");
    assert!(data["oldest_queued_s"].is_u64() && data["uptime_s"].is_u64(), "{data}");
}
