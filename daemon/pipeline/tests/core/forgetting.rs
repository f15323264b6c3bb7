//! What is idle is forgotten, and nothing misses it; what waited somewhere is marked.

use super::world::{World, message, payload, plan};
use tidegate_pipeline::plan::{Plan, Unique};
use tidegate_pipeline::{Pipeline, journal};

const DAY: f64 = 86_400.0;

/// Sends a reading of `device` each minute from `from` for `secs`.
fn talk(world: &mut World, device: &str, from: f64, secs: f64) {
    let topic = format!("s/{device}/t");
    let mut now = from;
    while now < from + secs {
        world.step(now, |step| step.message(&message(now, &topic, &payload(1.0, now))));
        now += 60.0;
    }
}

fn numbered() -> Plan {
    let mut plan = plan();
    plan.series_max = 2;
    plan.streams[0].unique =
        Unique::Sequence { at: super::world::pointer("/ts"), boot: None, per: Some(vec!["device".into()]) };
    plan
}

#[test]
fn idle_series_make_room() {
    let mut world = World::new(numbered());
    world.send(0.0, "s/old/t", &payload(1.0, 0.0));
    talk(&mut world, "busy", 60.0, DAY);
    assert_eq!(world.pipeline.series(), 2);
    assert_eq!(world.send(DAY, "s/new/t", &payload(1.0, DAY)), ["rejected series_limit"]);
    talk(&mut world, "busy", DAY + 60.0, 600.0);
    assert_eq!(world.pipeline.series(), 1, "a day without a word");
    assert_eq!(world.send(DAY + 700.0, "s/new/t", &payload(1.0, DAY + 700.0)), ["counted"]);
    let slots = world.pipeline.state().series.len();
    assert_eq!((slots, world.pipeline.state().groups.len()), (2, 2), "in the place of the old one");
    assert_eq!(world.pipeline.state().counters.len(), 2);
    let mut replayed = Pipeline::new(numbered());
    for entry in &world.entries {
        replayed.replay(&journal::decode(&journal::encode(entry)).unwrap());
    }
    assert_eq!(replayed.state(), world.pipeline.state());
    let restored = Pipeline::restore(numbered(), replayed.state().clone());
    assert_eq!(restored.next_deadline(), world.pipeline.next_deadline());
    world.settle();
    let last = world.closed.last().unwrap();
    assert!(last.id.contains("/t/new/") && last.key.group == 2, "a number of its own: {last:?}");
}

/// While the gateway was away nobody was idle.
#[test]
fn an_outage_ages_nothing() {
    let mut world = World::new(numbered());
    world.send(0.0, "s/quiet/t", &payload(1.0, 0.0));
    talk(&mut world, "busy", 60.0, 3_600.0);
    talk(&mut world, "busy", 30.0 * DAY, DAY - 7_200.0);
    assert_eq!(world.pipeline.series(), 2);
    talk(&mut world, "busy", 31.0 * DAY - 7_200.0, 7_200.0);
    assert_eq!(world.pipeline.series(), 1);
}

#[test]
fn a_backlog_without_times_is_marked_or_rejected() {
    for (rejects, verdict, counts) in [
        (false, "counted", serde_json::json!({"received": 4, "rejected": 0, "backlog": 2})),
        (true, "rejected backlog", serde_json::json!({"received": 2, "rejected": 2})),
    ] {
        let mut plan = plan();
        plan.streams[0].time = None;
        plan.rejects_backlog = if rejects { vec![0] } else { vec![] };
        let mut world = World::new(plan);
        assert_eq!(world.send(0.0, "s/d/t", r#"{"v":0}"#), ["counted"]);
        world.step(0.0, |step| step.backlog(0, true));
        assert_eq!(world.send(1.0, "s/d/t", r#"{"v":1}"#), [verdict]);
        assert_eq!(world.send(2.0, "s/d/t", r#"{"v":2}"#), [verdict]);
        world.step(3.0, |step| step.backlog(0, false));
        assert_eq!(world.send(4.0, "s/d/t", r#"{"v":3}"#), ["counted"]);
        world.settle();
        let completeness = world.json(0)["data"]["completeness"].clone();
        for key in ["received", "rejected", "backlog"] {
            assert_eq!(completeness[key], counts[key], "{key}");
        }
        let mut replayed = Pipeline::new(world.pipeline.plan().clone());
        world.entries.iter().for_each(|entry| replayed.replay(entry));
        assert_eq!(replayed.state(), world.pipeline.state());
    }
    let mut world = World::new(plan());
    world.step(0.0, |step| step.backlog(0, true));
    world.send(1.0, "s/d/t", &payload(1.0, 0.5));
    world.settle();
    assert!(world.json(0)["data"]["completeness"].get("backlog").is_none(), "it has its own time");
}

/// Who is watched for silence is missed, and stays; a place that nobody watches any more is taken by the next.
#[test]
fn what_is_watched_for_silence_is_not_forgotten() {
    use super::alerts::alert;
    use tidegate_pipeline::plan::AlertPlan;
    let silent = AlertPlan { silent_for: Some(tidegate_pipeline::time::Span::from_secs(7_200)), ..alert("") };
    for (alert, left) in [(silent, 2), (alert("value > 0"), 2), (alert("value > 60"), 1)] {
        let plan = Plan { alerts: vec![alert], ..numbered() };
        let mut world = World::new(plan.clone());
        world.send(0.0, "s/old/t", &payload(50.0, 0.0));
        talk(&mut world, "busy", 60.0, DAY + 600.0);
        assert_eq!(world.pipeline.series(), left, "{:?}", plan.alerts);
        world.send(DAY + 700.0, "s/new/t", &payload(50.0, DAY + 700.0));
        assert_eq!(world.pipeline.state().watches.len(), 2);
        let mut replayed = Pipeline::new(plan.clone());
        for entry in &world.entries {
            replayed.replay(&journal::decode(&journal::encode(entry)).unwrap());
        }
        assert_eq!(replayed.state(), world.pipeline.state());
        let restored = Pipeline::restore(plan, replayed.state().clone());
        assert_eq!(restored.raised(9), world.pipeline.raised(9));
    }
}
