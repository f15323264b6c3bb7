//! Alerts in the store: they overtake summaries, wait for each of their outputs, and go when all have settled them.

use crate::rig::{Rig, at, plain};
use tidegate::store::{Commit, Fate, LetterRequest, Settlement, Waiting};
use tidegate_pipeline::expr::{Expr, Names};
use tidegate_pipeline::plan::{AlertPlan, Plan};
use tidegate_pipeline::time::Span;

/// Values above 60 and five minutes of silence are told to both outputs.
fn plan() -> Plan {
    let alert = AlertPlan {
        name: "hot".into(),
        streams: vec![0],
        when: Some(Expr::condition("value > 60", &Names::reading(&[])).unwrap()),
        silent_for: Some(Span::from_secs(300)),
        to: vec![0, 1],
        ..AlertPlan::default()
    };
    Plan { alerts: vec![alert], outputs: vec!["out".into(), "pager".into()], ..plain() }
}

fn settled(output: &str, event: &Waiting, fate: Fate) -> Settlement {
    let Waiting { priority, sequence, id, .. } = event.clone();
    Settlement { output: output.into(), priority, sequence, id, fate }
}

/// What an output may be sent, shortened.
fn ids(rig: &mut Rig, output: &str) -> Vec<String> {
    rig.waiting(output)
        .iter()
        .map(|event| event.id.split('/').rev().take(2).collect::<Vec<_>>().join(" "))
        .collect()
}

/// One window is queued and may not be sent yet; then an alert is raised.
fn raised() -> Rig {
    let mut rig = Rig::new(plan());
    rig.send(0, "d1", 1, 0);
    rig.tick(60);
    rig.send(61, "d1", 61, 61);
    rig
}

#[test]
fn an_alert_goes_before_what_is_queued_already() {
    let mut rig = raised();
    assert_eq!(
        (ids(&mut rig, "out"), ids(&mut rig, "pager")),
        (vec!["r0 alert1".into()], vec!["r0 alert1".into()])
    );
    rig.with(62, |commit| {
        commit.reach.insert("out".into(), 512);
    });
    assert_eq!(ids(&mut rig, "out"), ["r0 alert1", "r0 60s"]);
    rig.send(63, "d1", 5, 63);
    assert_eq!(ids(&mut rig, "out"), ["r0 alert1", "r1 alert1", "r0 60s"]);
    let mut rig = rig.restart();
    assert_eq!(ids(&mut rig, "out"), ["r0 alert1", "r1 alert1", "r0 60s"]);
    rig.check_accounts();
}

#[test]
fn an_alert_stays_until_every_output_has_it() {
    let mut rig = raised();
    let before = rig.store.live_bytes();
    let (out, pager) = (rig.waiting("out").remove(0), rig.waiting("pager").remove(0));
    assert_eq!((&out.id, &out.event), (&pager.id, &pager.event));
    rig.with(62, |commit| commit.settled.push(settled("out", &out, Fate::Delivered)));
    assert_eq!((ids(&mut rig, "out").len(), ids(&mut rig, "pager").len()), (0, 1));
    let again = rig.store.live_bytes();
    rig.with(63, |commit| commit.settled.push(settled("pager", &pager, Fate::Delivered)));
    assert!(ids(&mut rig, "pager").is_empty());
    // A place in a queue takes less than an event.
    assert!(before - again < 100 && again - rig.store.live_bytes() > 100, "its bytes are free");
    let counts = &rig.store.shared().outputs()["pager"].counts;
    assert_eq!((counts.made, counts.delivered), (1, 1));
}

#[test]
fn a_refused_alert_is_a_dead_letter_that_can_be_sent_again() {
    let mut rig = raised();
    let (out, pager) = (rig.waiting("out").remove(0), rig.waiting("pager").remove(0));
    rig.with(62, |commit| {
        commit.settled.push(settled("pager", &pager, Fate::Refused("bad".into())));
        commit.settled.push(settled("out", &out, Fate::Delivered));
    });
    let (number, _) = rig.store.shared().letters(0, 10).unwrap().remove(0);
    rig.with(63, |commit| commit.letters.push(LetterRequest::Requeue(number)));
    let again = rig.reached(63, "pager");
    assert_eq!((again.len(), &again[0].id, &again[0].event), (1, &pager.id, &pager.event));
}

#[test]
fn the_queue_of_a_dropped_output_lets_its_alerts_go() {
    let mut rig = raised();
    let bytes = rig.store.live_bytes();
    let out = rig.waiting("out").remove(0);
    rig.with(62, |commit: &mut Commit| {
        commit.settled.push(settled("out", &out, Fate::Delivered));
        commit.drop_outputs.push("pager".into());
    });
    assert!(rig.store.live_bytes() < bytes);
    let counts = &rig.store.shared().outputs()["pager"].counts;
    assert_eq!((counts.queued(), counts.dropped["output_removed"]), (0, 1));
}

/// A capture waits its turn among the summaries, survives, is sent once, and goes when both outputs have it.
#[test]
fn a_capture_is_queued_behind_what_waits_already() {
    let mut plan = plan();
    plan.alerts[0].capture = Some(Span::from_secs(10));
    let mut rig = Rig::new(plan);
    rig.send(0, "d1", 1, 0);
    rig.tick(60);
    rig.send(61, "d1", 61, 61);
    let mut rig = rig.restart();
    rig.send(65, "d1", 62, 65);
    rig.store.checkpoint_now(&rig.pipeline).unwrap();
    let mut rig = rig.restart();
    rig.tick(73);
    let mut rig = rig.restart();
    rig.tick(74);
    let waiting = rig.reached(75, "out");
    assert_eq!(ids(&mut rig, "out"), ["r0 alert1", "r0 60s", "r0 1"]);
    assert_eq!(waiting[2].priority, waiting[1].priority);
    let event: serde_json::Value = serde_json::from_slice(&waiting[2].event).unwrap();
    let values: Vec<_> =
        event["data"]["readings"].as_array().unwrap().iter().map(|row| row[2].clone()).collect();
    assert_eq!(values, [61.0, 62.0]);
    let paged = rig.reached(75, "pager");
    let settle = |rig: &mut Rig, output: &str, events: &[Waiting]| {
        let before = rig.store.live_bytes();
        for event in events.iter().filter(|event| event.id.contains("/alert1/")) {
            rig.with(76, |commit| commit.settled.push(settled(output, event, Fate::Delivered)));
        }
        before - rig.store.live_bytes()
    };
    assert!(settle(&mut rig, "out", &waiting) < 100, "the other output waits for them");
    assert!(settle(&mut rig, "pager", &paged) > 100, "their bytes are free");
    assert_eq!((ids(&mut rig, "out"), ids(&mut rig, "pager").len()), (vec!["r0 60s".into()], 0));
}

/// What the time raises is on disk with the entry that says so, once.
#[test]
fn silence_is_raised_once_whatever_happens_to_the_daemon() {
    let mut rig = raised();
    rig.tick(361);
    let mut rig = rig.restart();
    rig.tick(362);
    let mut rig = rig.restart();
    rig.tick(900);
    assert_eq!(ids(&mut rig, "pager"), ["r0 alert1", "r0 alert2"]);
    rig.store.checkpoint_now(&rig.pipeline).unwrap();
    let mut rig = rig.restart();
    rig.send(901, "d1", 5, 901);
    assert_eq!(ids(&mut rig, "pager"), ["r0 alert1", "r0 alert2", "r1 alert2", "r1 alert1"]);
    assert_eq!(rig.pipeline.state().watches[0].heard, at(901));
}
