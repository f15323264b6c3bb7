//! Alerts: what is raised and cleared, when, and what of it survives what.

use super::world::{World, at, message, payload, plan, pointer};
use serde_json::{Value, json};
use tidegate_pipeline::Pipeline;
use tidegate_pipeline::aggregate::Aggregate;
use tidegate_pipeline::expr::{Expr, Names};
use tidegate_pipeline::journal;
use tidegate_pipeline::plan::{AlertPlan, Availability, MetricPlan, Plan};
use tidegate_pipeline::time::{Span, Time};
use tidegate_pipeline::topic::TopicPattern;

/// `hot`, for all metrics of all devices.
pub fn alert(when: &str) -> AlertPlan {
    let condition = |text: &str| Expr::condition(text, &Names::reading(&["device"])).unwrap();
    AlertPlan {
        name: "hot".into(),
        streams: vec![0],
        when: (!when.is_empty()).then(|| condition(when)),
        to: vec![0],
        ..AlertPlan::default()
    }
}

pub fn clear(text: &str) -> Option<Expr> {
    Some(Expr::condition(text, &Names::reading(&["device"])).unwrap())
}

/// Random readings raise and clear these all the time.
pub fn watched(plan: Plan) -> Plan {
    let high = AlertPlan {
        clear: clear("value < -1000"),
        cooldown: Span::from_secs(20),
        capture: Some(Span::from_secs(30)),
        ..alert("value > 1000")
    };
    let long =
        AlertPlan { name: "long".into(), hold: Span::from_secs(15), by: Some(vec![]), ..alert("value > 0") };
    let quiet = AlertPlan {
        name: "quiet".into(),
        silent_for: Some(Span::from_secs(60)),
        capture: Some(Span::from_secs(5)),
        ..alert("")
    };
    Plan { alerts: vec![high, long, quiet], ..plan }
}

fn with(alert: AlertPlan) -> Plan {
    Plan { alerts: vec![alert], ..plan() }
}

/// What happens at so many seconds after ten.
enum Act {
    /// A reading that was taken then, with this value.
    Read(f64, f64),
    /// Nothing but time.
    Tick,
    /// From then on nobody listens.
    Deaf,
    /// From then on somebody listens.
    Hear,
    /// The daemon dies and comes back: nobody listens yet.
    Restart,
}
use Act::{Deaf, Hear, Read, Restart, Tick};

fn play(world: &mut World, acts: &[(f64, Act)]) {
    for (secs, act) in acts {
        match act {
            Read(time, value) => {
                assert_eq!(world.send(*secs, "s/d1/t", &payload(*value, *time)), ["counted"], "at {secs}");
            }
            Tick => drop(world.step(*secs, |_| {})),
            Deaf => world.listening = None,
            Hear => world.listening = Some(at(*secs)),
            Restart => {
                let state = world.pipeline.state().clone();
                world.pipeline = Pipeline::restore(world.pipeline.plan().clone(), state);
                world.listening = None;
            }
        }
    }
}

/// Events as `seconds state reason #ordinal`.
fn told(world: &World) -> Vec<String> {
    let line = |event: &Value| {
        let data = &event["data"];
        let secs = event["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
        let text = |name: &str| data[name].as_str().unwrap().to_owned();
        let ordinal = text("key").rsplit_once("alert").unwrap().1.to_owned();
        format!("{} {} {} #{ordinal}", secs - at(0.0).0 / 1_000_000, text("state"), text("reason"))
    };
    world.alerts.iter().map(|alert| line(&serde_json::from_slice(&alert.event).unwrap())).collect()
}

fn check(alert: AlertPlan, acts: &[(f64, Act)], expected: &[&str]) {
    let mut world = World::new(with(alert));
    play(&mut world, acts);
    assert_eq!(told(&world), expected);
}

/// Plain conditions: raised by the first reading, cleared by the first that says otherwise.
#[test]
fn a_condition_raises_and_clears() {
    let hot = || alert("value > 60");
    check(
        hot(),
        &[(1.0, Read(1.0, 60.0)), (2.0, Read(2.0, 61.0)), (3.0, Read(3.0, 99.0))],
        &["2 raised condition #1"],
    );
    check(
        hot(),
        &[(1.0, Read(1.0, 61.0)), (2.0, Read(2.0, 60.0)), (3.0, Read(3.0, 61.0)), (900.0, Tick)],
        &["1 raised condition #1", "2 cleared condition #1", "3 raised condition #2"],
    );
    // Hysteresis.
    let between = AlertPlan { clear: clear("value < 55"), ..hot() };
    check(
        between,
        &[(1.0, Read(1.0, 61.0)), (2.0, Read(2.0, 58.0)), (3.0, Read(3.0, 61.0)), (4.0, Read(4.0, 54.0))],
        &["1 raised condition #1", "4 cleared condition #1"],
    );
}

#[test]
fn a_condition_must_hold_for_so_long() {
    let hot = || AlertPlan { hold: Span::from_secs(30), ..alert("value > 60") };
    let raised = ["31 raised condition #1"];
    // By the readings' own time, whenever they come.
    check(hot(), &[(1.0, Read(1.0, 61.0)), (20.0, Read(20.0, 62.0)), (31.0, Read(31.0, 63.0))], &raised);
    check(
        hot(),
        &[(5.0, Read(1.0, 61.0)), (31.0, Read(30.9, 62.0)), (32.0, Read(31.0, 62.0))],
        &["32 raised condition #1"],
    );
    // By the gateway's time, where none comes.
    check(hot(), &[(1.0, Read(1.0, 61.0)), (30.0, Tick), (31.0, Tick)], &raised);
    // One reading that is too low begins it anew.
    check(
        hot(),
        &[
            (1.0, Read(1.0, 61.0)),
            (15.0, Read(15.0, 50.0)),
            (16.0, Read(16.0, 61.0)),
            (31.0, Tick),
            (46.0, Tick),
        ],
        &["46 raised condition #1"],
    );
    // While nobody listens the time says nothing; a reading does.
    check(
        hot(),
        &[(1.0, Read(1.0, 61.0)), (2.0, Deaf), (60.0, Tick), (60.0, Read(60.0, 61.0))],
        &["60 raised condition #1"],
    );
    check(
        hot(),
        &[(1.0, Read(1.0, 61.0)), (2.0, Deaf), (60.0, Tick), (61.0, Hear), (90.0, Tick), (91.0, Tick)],
        &["91 raised condition #1"],
    );
}

/// What comes late tells how it was.
#[test]
fn a_late_reading_moves_nothing() {
    let hot = || alert("value > 60");
    check(hot(), &[(10.0, Read(10.0, 50.0)), (11.0, Read(9.0, 99.0))], &[]);
    check(hot(), &[(10.0, Read(10.0, 70.0)), (11.0, Read(9.0, 50.0))], &["10 raised condition #1"]);
    // Of two with one time stamp the later in arrival counts.
    check(hot(), &[(10.0, Read(10.0, 50.0)), (11.0, Read(10.0, 70.0))], &["11 raised condition #1"]);
    // A time stamp ahead of us holds nobody up.
    check(
        hot(),
        &[(10.0, Read(200.0, 50.0)), (11.0, Read(11.0, 70.0)), (12.0, Read(12.0, 50.0))],
        &["11 raised condition #1", "12 cleared condition #1"],
    );
}

#[test]
fn a_cooldown_spares_the_pager() {
    let hot = || AlertPlan { cooldown: Span::from_secs(600), ..alert("value > 60") };
    check(
        hot(),
        &[
            (1.0, Read(1.0, 61.0)),
            (2.0, Read(2.0, 50.0)),
            (3.0, Read(3.0, 61.0)),
            (4.0, Read(4.0, 50.0)),
            (5.0, Read(5.0, 61.0)),
            (601.0, Tick),
            (602.0, Tick),
        ],
        &["1 raised condition #1", "2 cleared condition #1", "602 raised condition #2"],
    );
    // A clock that was set back does not keep it from being raised for a week.
    check(
        hot(),
        &[(900.0, Read(800.0, 61.0)), (901.0, Read(801.0, 50.0)), (802.0, Read(802.0, 61.0))],
        &["900 raised condition #1", "901 cleared condition #1", "802 raised condition #2"],
    );
}

#[test]
fn silence_is_raised_and_ends_with_a_reading() {
    let quiet = || AlertPlan { silent_for: Some(Span::from_secs(300)), ..alert("") };
    check(
        quiet(),
        &[
            (10.0, Read(10.0, 1.0)),
            (309.0, Tick),
            (310.0, Tick),
            (900.0, Tick),
            (901.0, Read(900.0, 1.0)),
            (1200.0, Tick),
            (1201.0, Tick),
        ],
        &["310 raised silence #1", "901 cleared silence #1", "1201 raised silence #2"],
    );
    // A reading that comes late is a sign of life all the same.
    check(quiet(), &[(10.0, Read(10.0, 1.0)), (300.0, Read(5.0, 1.0)), (599.0, Tick)], &[]);
    // Whoever does not listen cannot tell: neither while the broker is away …
    check(
        quiet(),
        &[
            (10.0, Read(10.0, 1.0)),
            (20.0, Deaf),
            (1000.0, Tick),
            (1000.0, Hear),
            (1299.0, Tick),
            (1300.0, Tick),
        ],
        &["1300 raised silence #1"],
    );
    // … nor for the time that the gateway was off.
    check(
        quiet(),
        &[
            (10.0, Read(10.0, 1.0)),
            (5000.0, Restart),
            (5000.0, Tick),
            (5002.0, Hear),
            (5301.0, Tick),
            (5302.0, Tick),
        ],
        &["5302 raised silence #1"],
    );
    // A clock that is set forward begins to listen anew; one that is set back does too.
    check(quiet(), &[(10.0, Read(10.0, 1.0)), (1e6, Hear), (1e6, Tick), (1e6 + 299.0, Tick)], &[]);
    check(
        quiet(),
        &[
            (5000.0, Read(5000.0, 1.0)),
            (5001.0, Tick),
            (10.0, Hear),
            (10.0, Tick),
            (309.0, Tick),
            (310.0, Tick),
        ],
        &["310 raised silence #1"],
    );
}

/// An alert that only watches for silence and names no metric watches devices: any metric is a sign of life.
#[test]
fn any_metric_is_a_sign_of_life() {
    let mut world = World::new(with(AlertPlan { silent_for: Some(Span::from_secs(300)), ..alert("") }));
    world.send(0.0, "s/d1/t", &payload(1.0, 0.0));
    world.send(100.0, "s/d1/u", &payload(1.0, 100.0));
    world.send(100.0, "s/d2/t", &payload(1.0, 100.0));
    world.send(300.0, "s/d2/u", &payload(1.0, 300.0));
    world.step(400.0, |_| {});
    assert_eq!(told(&world), ["400 raised silence #1"]);
    assert_eq!(world.pipeline.state().watches.len(), 2);
    let event: Value = serde_json::from_slice(&world.alerts[0].event).unwrap();
    assert_eq!((&event["subject"], event["data"].get("metric")), (&json!("hot/-/d1"), None));
}

#[test]
fn condition_and_silence_are_two_alerts() {
    let both = AlertPlan { silent_for: Some(Span::from_secs(300)), ..alert("value > 60") };
    check(
        both,
        &[(1.0, Read(1.0, 61.0)), (301.0, Tick), (400.0, Read(400.0, 50.0))],
        &[
            "1 raised condition #1",
            "301 raised silence #2",
            "400 cleared silence #2",
            "400 cleared condition #1",
        ],
    );
}

/// Nothing is raised twice because the daemon died in between, wherever it did.
#[test]
fn a_restart_raises_nothing_again() {
    let hot = || AlertPlan {
        hold: Span::from_secs(30),
        silent_for: Some(Span::from_secs(300)),
        ..alert("value > 60")
    };
    let acts = || {
        vec![
            (1.0, Read(1.0, 61.0)),
            (31.0, Read(31.0, 61.0)),
            (331.0, Tick),
            (332.0, Tick),
            (340.0, Read(340.0, 61.0)),
            (341.0, Read(341.0, 5.0)),
        ]
    };
    let expected = [
        "31 raised condition #1",
        "331 raised silence #2",
        "340 cleared silence #2",
        "341 cleared condition #1",
    ];
    for cut in 0..=acts().len() {
        let mut world = World::new(with(hot()));
        play(&mut world, &acts()[..cut]);
        play(&mut world, &[(0.0, Restart)]);
        // As if it had not been away: the time counts on.
        world.listening = Some(Time::MIN);
        play(&mut world, &acts()[cut..]);
        assert_eq!(told(&world), expected, "died before act {cut}");
    }
}

#[test]
fn what_nothing_can_clear_any_more_is_cleared() {
    let raised = |new: Plan| {
        let mut world = World::new(with(alert("value > 60")));
        play(&mut world, &[(1.0, Read(1.0, 61.0))]);
        world.change(2.0, new);
        play(&mut world, &[(3.0, Read(3.0, 62.0)), (4.0, Read(4.0, 50.0))]);
        told(&world)[1..].to_vec()
    };
    assert_eq!(raised(plan()), ["2 cleared condition #1"], "the alert is gone");
    assert_eq!(raised(with(alert("value > 30"))), ["4 cleared condition #1"][..0], "it goes on");
    assert_eq!(raised(with(alert("value > 60"))), ["4 cleared condition #1"]);
    let other = AlertPlan { metrics: Some(vec!["u".into()]), ..alert("value > 60") };
    assert_eq!(raised(with(other)), ["2 cleared condition #1"], "nobody watches this metric");
    let silent = AlertPlan { when: None, metrics: Some(vec!["t".into()]), ..alert("") };
    assert_eq!(raised(with(silent)), ["2 cleared condition #1"], "there is no condition");
    let joined = AlertPlan { by: Some(vec![]), ..alert("value > 60") };
    assert_eq!(
        raised(with(joined)),
        ["2 cleared condition #1", "3 raised condition #1", "4 cleared condition #1"]
    );
}

/// The whole event, as docs/events.md has it.
#[test]
fn the_events_of_an_alert() {
    let mut plan = with(AlertPlan {
        name: "overheat".into(),
        hold: Span::from_secs(30),
        clear: clear("value < 55"),
        ..alert("value > 60")
    });
    if let tidegate_pipeline::plan::Fields::Value { listed, .. } = &mut plan.streams[0].fields {
        listed.push(MetricPlan { name: "t".into(), unit: Some("°C".into()), ..MetricPlan::default() });
    }
    let mut world = World::new(plan);
    play(&mut world, &[(2.0, Read(1.0, 61.5)), (32.0, Read(31.0, 63.5)), (90.0, Read(89.5, 54.5))]);
    let events: Vec<Value> =
        world.alerts.iter().map(|alert| serde_json::from_slice(&alert.event).unwrap()).collect();
    let key = "overheat/t/d1/2026-11-22T10:00:32Z/alert1";
    let mut raised = json!({
        "specversion": "1.0", "type": "tidegate.alert.v1", "source": "/gateways/test/x",
        "id": format!("{key}/r0"), "subject": "overheat/t/d1", "time": "2026-11-22T10:00:32Z",
        "datacontenttype": "application/json",
        "data": {
            "key": key, "revision": 0, "replaces": [], "alert": "overheat", "state": "raised",
            "reason": "condition", "stream": "climate", "metric": "t", "unit": "°C", "tags": {"device": "d1"},
            "value": 63.5, "since": "2026-11-22T10:00:01Z", "raised_at": "2026-11-22T10:00:32Z",
            "when": "value > 60", "clear": "value < 55"
        }
    });
    assert_eq!(events[0], raised);
    raised["id"] = json!(format!("{key}/r1"));
    raised["time"] = json!("2026-11-22T10:01:30Z");
    raised["data"]["revision"] = json!(1);
    raised["data"]["state"] = json!("cleared");
    raised["data"]["value"] = json!(54.5);
    raised["data"]["cleared_at"] = json!("2026-11-22T10:01:30Z");
    assert_eq!(events[1], raised);
    let ids: Vec<_> = world.alerts.iter().map(|alert| alert.id.as_str()).collect();
    assert_eq!(ids, [format!("{key}/r0"), format!("{key}/r1")]);
    assert_eq!(world.alerts[0].to, [0]);
}

/// A message with a tag that the condition names and the series lacks tells nothing; neither does a rejected reading.
#[test]
fn only_what_is_counted_and_can_be_judged_moves() {
    let mut plan = with(alert("value > 60 and device == 'd1'"));
    plan.streams[0].clean = vec![tidegate_pipeline::plan::CleanStep {
        step: tidegate_pipeline::clean::Step::Range(tidegate_pipeline::clean::Range {
            min: None,
            max: Some(100.0),
        }),
        metrics: None,
    }];
    let mut world = World::new(plan);
    world.step(0.0, |step| step.opened(0, "broker", 8));
    for (topic, value) in [("s/d2/t", 70.0), ("s/d1/t", 50.0), ("s/d1/t", 101.0), ("s/d1/t", 70.0)] {
        world.send(1.0, topic, &payload(value, 1.0));
    }
    let again = payload(70.0, 1.0);
    world.step(2.0, |step| {
        step.opened(0, "broker", 8);
        step.message(&message(2.0, "s/d1/t", &again));
    });
    assert_eq!(told(&world), ["1 raised condition #1"]);
    assert_eq!(world.pipeline.ledger().duplicate, 1);
}

/// Entries with moves go through the journal and back.
#[test]
fn moves_are_in_the_journal() {
    let mut world = World::new(with(AlertPlan { hold: Span::from_secs(5), ..alert("value > 60") }));
    let acts = [
        (1.0, Read(1.0, 61.0)),
        (2.0, Read(2.0, 1.0)),
        (3.0, Read(3.0, 61.0)),
        (8.0, Tick),
        (9.0, Read(9.0, 1.0)),
    ];
    play(&mut world, &acts);
    let mut replayed = Pipeline::new(world.pipeline.plan().clone());
    for entry in &world.entries {
        replayed.replay(&journal::decode(&journal::encode(entry)).unwrap());
    }
    assert_eq!(replayed.state(), world.pipeline.state());
    assert_eq!(told(&world), ["8 raised condition #1", "9 cleared condition #1"]);
}

/// Devices that say on `s/{device}/status` whether they are there.
fn reporting(alert: AlertPlan) -> Plan {
    let mut plan = with(alert);
    plan.streams[0].availability = Some(Availability {
        topic: TopicPattern::parse("s/{device}/status").unwrap(),
        online: "online".into(),
        offline: "offline".into(),
        at: None,
    });
    plan
}

#[test]
fn what_an_availability_topic_says() {
    let plan = |at: &str| Availability {
        at: (!at.is_empty()).then(|| pointer(at)),
        ..reporting(alert("")).streams[0].availability.clone().unwrap()
    };
    let long = format!("\"{}\"", "x".repeat(5_000));
    for (at, payload, expected) in [
        ("", "online", Some(true)),
        ("", " offline\n", Some(false)),
        ("", "Online", None),
        ("", "", None),
        ("", r#"{"state":"online"}"#, None),
        ("/state", r#"{"state":"online"}"#, Some(true)),
        ("/a/0/b", r#"{"a":[{"b":"offline"}]}"#, Some(false)),
        ("/state", "online", None),
        ("/state", r#"{"state":null}"#, None),
        ("/state", r#"{"state":true}"#, None),
        ("/state", &long, None),
    ] {
        assert_eq!(plan(at).read(payload.as_bytes()), expected, "{at} in {payload}");
    }
    assert_eq!(plan("").read(&[0xff]), None);
    let numbers = Availability { online: "1".into(), offline: "0".into(), ..plan("/on") };
    assert_eq!(numbers.read(br#"{"on":0}"#), Some(false));
}

/// Sensors say the same few words again and again: none is taken for one that came before.
#[test]
fn what_is_said_of_availability_is_believed_after_a_reconnect() {
    let quiet = AlertPlan { silent_for: Some(Span::from_secs(300)), ..alert("") };
    let mut world = World::new(reporting(quiet));
    let raised = |world: &World| world.pipeline.raised(10).0;
    world.send(1.0, "s/d1/t", &payload(1.0, 1.0));
    for round in 0..3 {
        let secs = 2.0 + f64::from(round);
        let say = |word: &'static str| message(secs, "s/d1/status", word);
        world.step(secs, |step| {
            step.opened(0, "broker", 10);
            step.message(&say("offline"));
        });
        assert_eq!(raised(&world), 1, "{round}");
        world.step(secs, |step| step.message(&say("online")));
        assert_eq!(raised(&world), 0, "{round}");
    }
}

/// Offline is raised at once and cleared by online, or by a reading that is not older; each message is accounted for.
#[test]
fn a_sensor_that_is_offline_is_told_of_at_once() {
    let quiet = || AlertPlan { silent_for: Some(Span::from_secs(300)), ..alert("") };
    let mut world = World::new(reporting(quiet()));
    let say = |world: &mut World, secs: f64, word: &str| {
        assert_eq!(world.send(secs, "s/d1/status", word), ["rejected availability"], "{word}");
    };
    say(&mut world, 0.0, "offline"); // nobody knows it yet
    world.send(1.0, "s/d1/t", &payload(1.0, 1.0));
    world.send(1.0, "s/d1/u", &payload(1.0, 1.0));
    say(&mut world, 10.0, "offline");
    say(&mut world, 11.0, "offline");
    say(&mut world, 20.0, "online");
    say(&mut world, 30.0, "offline");
    world.send(31.0, "s/d1/t", &payload(1.0, 29.0)); // was sent before
    world.send(32.0, "s/d1/u", &payload(1.0, 32.0));
    assert_eq!(world.send(33.0, "s/d1/status", "gone"), ["dead malformed"]);
    world.step(300.9, |_| {});
    say(&mut world, 310.0, "offline");
    let expected = [
        "10 raised offline #1",
        "20 cleared offline #1",
        "30 raised offline #2",
        "32 cleared offline #2",
        "310 raised offline #3",
    ];
    assert_eq!(told(&world), expected);
    assert_eq!(world.pipeline.ledger().total(), 11);
    let mut replayed = Pipeline::new(world.pipeline.plan().clone());
    for entry in &world.entries {
        replayed.replay(&journal::decode(&journal::encode(entry)).unwrap());
    }
    assert_eq!(replayed.state(), world.pipeline.state());
    // Another plan that still asks: it stays offline.
    let mut plan = reporting(quiet());
    plan.summaries[0].name = "other".into();
    world.change(320.0, plan);
    assert_eq!(world.pipeline.state().watches[0].offline, 2);
    world.send(330.0, "s/d1/t", &payload(1.0, 330.0));
    assert_eq!(told(&world).last().unwrap(), "330 cleared offline #3");
}

/// Several devices that are watched together are only gone when all are.
#[test]
fn together_they_are_offline_when_all_are() {
    let quiet = AlertPlan { silent_for: Some(Span::from_secs(300)), by: Some(vec![]), ..alert("") };
    let mut world = World::new(reporting(quiet));
    for device in ["d1", "d2"] {
        world.send(1.0, &format!("s/{device}/t"), &payload(1.0, 1.0));
    }
    world.send(2.0, "s/d1/status", "offline");
    assert!(world.alerts.is_empty());
    world.send(3.0, "s/d2/status", "offline");
    world.send(4.0, "s/d1/status", "online");
    assert_eq!(told(&world), ["3 raised offline #1", "4 cleared offline #1"]);
}

/// Nothing is expected of a sensor while it is offline.
#[test]
fn completeness_knows_who_was_offline() {
    let mut plan = reporting(alert(""));
    plan.alerts.clear();
    plan.streams[0].expected_every = Some(Span::from_secs(10));
    let mut world = World::new(plan);
    world.send(0.0, "s/d1/t", &payload(1.0, 0.0));
    world.send(10.0, "s/d1/status", "offline");
    world.send(30.0, "s/d1/status", "online");
    world.send(31.0, "s/d1/t", &payload(1.0, 31.0));
    world.send(50.0, "s/d1/status", "offline");
    world.step(75.0, |_| {});
    let event = world.json(0);
    let counts = &event["data"]["completeness"];
    assert_eq!((&counts["offline"], &counts["expected"]), (&json!(30), &json!(3)), "{event}");
}

/// What is weighed by time leaves out the time in which nobody knows the value: from offline to the next reading, also
/// where that reaches into the next window.
#[test]
fn time_offline_weighs_nothing() {
    let mut plan = reporting(alert(""));
    plan.alerts.clear();
    plan.summaries[0].aggregates = vec![Aggregate::TimeWeightedMean];
    let mut world = World::new(plan);
    world.send(0.0, "s/d1/t", &payload(10.0, 0.0));
    world.send(10.0, "s/d1/status", "offline");
    world.send(40.0, "s/d1/status", "online");
    world.send(50.0, "s/d1/t", &payload(20.0, 50.0));
    world.send(55.0, "s/d1/status", "offline");
    world.send(90.0, "s/d1/t", &payload(40.0, 90.0));
    world.settle();
    let mean = |index| world.json(index)["data"]["values"]["time_weighted_mean"].as_f64().unwrap();
    // 10 s of 10 and 5 s of 20; then nothing until 30 s of 40.
    assert_eq!((mean(0), mean(1)), (200.0 / 15.0, 40.0));
}
