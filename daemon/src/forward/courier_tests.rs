use super::*;
use crate::forward::memory::{Memory, event};
use crate::forward::outbox::{Ask, Of, Outbox};

const RETRY: Retry = Retry { min: Duration::from_millis(200), max: Duration::from_secs(60) };

pub(in crate::forward) fn policy(events: usize) -> Policy {
    Policy {
        events,
        bytes: 1 << 20,
        linger: Duration::ZERO,
        retry: RETRY,
        receiver: Receiver::Function,
        lanes: 1,
        newest: false,
    }
}

/// A courier, its queue and a clock that the test moves.
pub(super) struct Bench {
    courier: Courier,
    pub(super) queue: Memory,
    now: Instant,
    start: Instant,
    chance: f64,
    problem: Option<String>,
}

impl Bench {
    pub(super) fn new(policy: Policy, events: u64) -> Bench {
        let now = Instant::now();
        let courier = Courier::new(policy);
        Bench { courier, queue: Memory::with(events), now, start: now, chance: 0.5, problem: None }
    }

    /// Goes on to the next attempt, past all waits; `None` when only a new event would bring one.
    fn take(&mut self) -> Option<Vec<Queued>> {
        for _ in 0..10 {
            let (events, bytes) = match self.courier.ready(self.now) {
                Ready::Take { events, bytes } => (events, bytes),
                Ready::At(at) => {
                    assert!(at > self.now);
                    self.now = at;
                    continue;
                }
            };
            let ask = Ask {
                of: Of::Everything,
                except: self.courier.set_aside(),
                events,
                bytes,
                newest_after: self.courier.newest_after(),
            };
            let batch = self.queue.next(&ask).unwrap();
            match self.courier.offer(&batch, self.now) {
                Offer::Send => return Some(batch),
                Offer::Again => {}
                Offer::Wait(None) => return None,
                Offer::Wait(Some(at)) => {
                    assert!(at > self.now);
                    self.now = at;
                }
            }
        }
        panic!("ten steps without an attempt");
    }

    fn answer(&mut self, sent: &[Queued], answer: Answer) {
        let effects = self.courier.answered(sent, answer, Moment { now: self.now, chance: self.chance });
        match effects.problem {
            Change::Keep => {}
            Change::Clear => self.problem = None,
            Change::Raise(text) => self.problem = Some(text),
        }
        if !effects.settled.is_empty() {
            self.queue.settle(effects.settled, self.now);
        }
    }

    /// Makes attempts until nothing is left to send or `limit` is reached. Gives what was sent, `0-4` for a batch, and
    /// what was said to it.
    pub(super) fn run(&mut self, limit: usize, mut function: impl FnMut(&[Queued]) -> Answer) -> String {
        let mut log = Vec::new();
        while log.len() < limit {
            let Some(sent) = self.take() else { break };
            let answer = function(&sent);
            log.push(format!("{}{}", span(&sent), sign(&answer)));
            self.answer(&sent, answer);
        }
        log.join(" ")
    }
}

fn span(sent: &[Queued]) -> String {
    let name = |queued: &Queued| queued.id[1..].to_owned();
    match sent {
        [one] => name(one),
        [first, .., last] => format!("{}-{}", name(first), name(last)),
        [] => "nothing".into(),
    }
}

fn sign(answer: &Answer) -> &'static str {
    match answer {
        Answer::Confirmed { failed } if failed.is_empty() => "+",
        Answer::Confirmed { .. } => "±",
        Answer::RetryLater { .. } => "~",
        Answer::TooLarge { .. } => ">",
        Answer::RefusedEvent { .. } => "-",
        Answer::DestinationProblem { .. } => "!",
    }
}

fn ok() -> Answer {
    Answer::Confirmed { failed: Vec::new() }
}

pub(super) fn refuse() -> Answer {
    Answer::RefusedEvent { words: "HTTP 422: no".into() }
}

pub(super) fn overloaded() -> Answer {
    Answer::RetryLater { after: None, why: "answered 500".into(), overload: true }
}

pub(super) fn gone() -> Answer {
    Answer::DestinationProblem { why: "answered 404".into() }
}

fn has(sent: &[Queued], bad: &[u64]) -> bool {
    sent.iter().any(|queued| bad.contains(&queued.position.sequence))
}

#[test]
fn attempts_follow_the_answers() {
    let check =
        |events, queued, function: &mut dyn FnMut(&[Queued]) -> Answer, attempts: &str, refused: &[&str]| {
            let mut bench = Bench::new(policy(events), queued);
            assert_eq!(bench.run(60, function), attempts);
            assert_eq!(bench.queue.refused(), refused);
            assert_eq!(bench.queue.len(), 0, "{attempts}");
            assert_eq!(bench.problem, None, "{attempts}");
        };
    check(1, 3, &mut |_| ok(), "0+ 1+ 2+", &[]);
    check(4, 10, &mut |_| ok(), "0-3+ 4-7+ 8-9+", &[]);
    // One bad event: set aside, tried again once another was taken, given up.
    check(1, 3, &mut |sent| if has(sent, &[0]) { refuse() } else { ok() }, "0- 1+ 0- 2+", &["e0"]);
    // One among many: halved until it is alone.
    check(
        8,
        8,
        &mut |sent| if has(sent, &[5]) { refuse() } else { ok() },
        "0-7- 0-3+ 4-5- 4+ 5- 6+ 5- 7+",
        &["e5"],
    );
    // Two neighbours.
    check(
        4,
        6,
        &mut |sent| if has(sent, &[1, 2]) { refuse() } else { ok() },
        "0-3- 0-1- 0+ 1- 2- 3+ 1- 2- 4-5+",
        &["e1", "e2"],
    );
    // Too large: halved; a single one is refused.
    let large = |sent: &[Queued]| match sent.len() {
        0..=2 => ok(),
        _ => Answer::TooLarge { words: "HTTP 413".into() },
    };
    check(8, 7, &mut { large }, "0-6> 0-2> 0+ 1-2+ 3-5> 3+ 4-5+ 6+", &[]);
    let giant = |sent: &[Queued]| match has(sent, &[1]) {
        true => Answer::TooLarge { words: "HTTP 413".into() },
        false => ok(),
    };
    check(2, 3, &mut { giant }, "0-1> 0+ 1-2> 1> 2+ 1>", &["e1"]);
}

#[test]
fn events_named_as_failed() {
    let failed = |ids: &[(&str, bool)]| Answer::Confirmed {
        failed: ids
            .iter()
            .map(|&(id, retry)| Failed { id: id.into(), retry, words: format!("{id} is bad") })
            .collect(),
    };
    let mut bench = Bench::new(policy(4), 6);
    let mut answers = vec![ok(), ok(), failed(&[("e1", false), ("e2", true)])];
    assert_eq!(bench.run(9, |_| answers.pop().unwrap()), "0-3± 2-5+");
    assert_eq!(bench.queue.dead_letters(), [("e1".to_owned(), "e1 is bad".to_owned())]);
    assert_eq!(bench.queue.delivered(), ["e0", "e3", "e2", "e4", "e5"]);
    assert!(bench.now > bench.start, "what is asked for again waits a little");

    // All named: nothing was accepted, so nothing may be given up, whatever it says.
    for retry in [false, true] {
        let mut bench = Bench::new(policy(2), 2);
        bench.run(40, |sent| Answer::Confirmed {
            failed: sent
                .iter()
                .map(|queued| Failed { id: queued.id.clone(), retry, words: "bad".into() })
                .collect(),
        });
        assert_eq!((bench.queue.len(), bench.queue.refused().len()), (2, 0));
        assert!(bench.problem.is_some());
    }

    // What was refused alone has its words when it becomes a dead letter, too.
    let mut bench = Bench::new(policy(1), 2);
    bench.run(9, |sent| if sent[0].id == "e0" { failed(&[("e0", false)]) } else { ok() });
    assert_eq!(bench.queue.dead_letters(), [("e0".to_owned(), "e0 is bad".to_owned())]);
}

#[test]
fn each_kind_is_told_of_in_its_words() {
    let kinds = [(Receiver::Function, "the function"), (Receiver::Broker, "the broker")];
    for (receiver, who) in kinds {
        let mut bench = Bench::new(Policy { receiver, ..policy(4) }, 8);
        bench.run(5, |sent| if sent.len() > 1 { overloaded() } else { ok() });
        let note = bench.courier.note().expect("it takes single events only");
        assert!(note.starts_with(who), "{note}");

        let mut bench = Bench::new(Policy { receiver, ..policy(1) }, 30);
        bench.run(30, |_| refuse());
        let problem = bench.problem.as_deref().expect("it refuses all");
        assert!(problem.contains(&format!("so {who} is taken to be at fault")), "{problem}");

        let words = format!("{note} {problem}");
        for (other, name) in kinds {
            assert_eq!(words.contains(name), other == receiver, "{words}");
        }
    }
}

#[test]
fn a_destination_problem_keeps_everything_and_probes_with_one_event() {
    let mut bench = Bench::new(policy(4), 9);
    assert_eq!(bench.run(5, |_| gone()), "0-3! 0! 0! 0! 0!");
    assert_eq!(bench.problem.as_deref(), Some("answered 404"));
    assert_eq!((bench.queue.len(), bench.queue.refused().len()), (9, 0));
    assert_eq!(bench.run(9, |_| ok()), "0+ 1-4+ 5-8+");
    assert_eq!(bench.problem, None);
}

#[test]
fn passing_failures_are_shown_from_the_third_on() {
    let mut bench = Bench::new(policy(1), 1);
    for shown in [false, false, true, true] {
        bench.run(1, |_| overloaded());
        assert_eq!(bench.problem.is_some(), shown);
    }
    assert_eq!(bench.run(9, |_| ok()), "0+");
    assert_eq!(bench.problem, None);
}

#[test]
fn waits_grow_and_honour_what_is_asked() {
    let mut bench = Bench::new(policy(1), 1);
    bench.chance = 0.9999;
    let mut waits = Vec::new();
    for after in [None, None, None, Some(30), None, None, None, None, None, None, None] {
        let sent = bench.take().unwrap();
        let after = after.map(Duration::from_secs);
        let from = bench.now;
        bench.answer(&sent, Answer::RetryLater { after, why: "later".into(), overload: false });
        waits.push((bench.courier.retry_at().unwrap() - from).as_secs_f64().round() as u64);
    }
    assert_eq!(waits, [0, 1, 2, 30, 6, 13, 26, 51, 60, 60, 60]);
}

#[test]
fn a_function_that_fails_on_batches_gets_single_events() {
    let mut bench = Bench::new(policy(4), 25);
    let log = bench.run(99, |sent| if sent.len() > 1 { overloaded() } else { ok() });
    assert!(log.starts_with("0-3~ 0-3~ 0-3~ 0+ 1+ 2+ 3+ 4+ 5+ 6+ 7+ 8+ 9+ 10+ 11-14~ 11+ 12+"), "{log}");
    assert!(bench.courier.note().is_some());
    assert_eq!(bench.queue.len(), 0);
    for n in 100..160 {
        bench.queue.push(event(1, n));
    }
    bench.run(99, |_| ok());
    assert_eq!((bench.courier.note(), bench.courier.events_max()), (None, 4), "batches are back");
}

#[test]
fn a_function_that_refuses_everything_loses_nothing_and_heals() {
    for (events, queued) in [(1, 1), (1, 30), (50, 500), (500, 30)] {
        let mut bench = Bench::new(policy(events), queued);
        bench.run(400, |_| refuse());
        assert_eq!((bench.queue.len() as u64, bench.queue.refused().len()), (queued, 0));
        assert!(bench.problem.as_ref().unwrap().contains("422"), "{:?}", bench.problem);
        assert!(bench.now - bench.start > Duration::from_secs(60), "it backs off");
        assert!(bench.courier.suspects() <= limits::SUSPECTS_MAX);
        bench.run(2_000, |_| ok());
        assert_eq!((bench.queue.len(), bench.queue.refused().len()), (0, 0), "{events} {queued}");
        assert_eq!(bench.problem, None);
    }
}

#[test]
fn a_lone_refused_event_is_tried_again_and_given_up_only_beside_an_accepted_one() {
    let mut bench = Bench::new(policy(1), 1);
    assert_eq!(bench.run(3, |_| refuse()), "0- 0- 0-");
    bench.queue.push(event(1, 1));
    assert_eq!(bench.run(9, |sent| if has(sent, &[0]) { refuse() } else { ok() }), "1+ 0-");
    assert_eq!(bench.queue.refused(), ["e0"]);
}

#[test]
fn more_bad_events_than_a_sweep_do_not_block_the_queue_for_ever() {
    let mut bench = Bench::new(policy(10), 200);
    bench.run(3_000, |sent| if sent.iter().any(|q| q.position.sequence < 150) { refuse() } else { ok() });
    assert_eq!((bench.queue.refused().len(), bench.queue.delivered().len()), (150, 50));
}

#[test]
fn a_refused_event_that_the_store_took_away_holds_nothing_up() {
    let mut bench = Bench::new(policy(4), 2);
    assert_eq!(bench.run(2, |_| refuse()), "0-1- 0-");
    bench.queue.remove(0);
    for n in 2..12 {
        bench.queue.push(event(1, n));
    }
    assert_eq!(bench.run(9, |_| ok()), "1+ 2+ 3-4+ 5-8+ 9-11+");
}

#[test]
fn batches_wait_to_fill_but_alerts_do_not() {
    let linger = Duration::from_millis(100);
    let mut courier = Courier::new(Policy { linger, bytes: 1_000, ..policy(4) });
    let now = Instant::now();
    let soon = now + linger;
    let small: Vec<Queued> = (0..4).map(|n| event(1, n)).collect();
    assert_eq!(courier.offer(&small[..2], now), Offer::Wait(Some(soon)));
    assert_eq!(courier.offer(&small[..3], now + linger / 2), Offer::Wait(Some(soon)));
    assert_eq!(courier.offer(&small, now), Offer::Send);
    assert_eq!(courier.offer(&small[..3], soon), Offer::Send);
    assert_eq!(courier.offer(&[event(0, 9), event(1, 1)], now), Offer::Send);
    let mut large = small[..2].to_vec();
    large.iter_mut().for_each(|queued| queued.event.resize(400, b' '));
    assert_eq!(courier.offer(&large, now), Offer::Send, "a third of that size would not fit");
    assert_eq!(courier.offer(&[], now), Offer::Wait(None));
    assert_eq!(
        courier.offer(&small[..1], soon),
        Offer::Wait(Some(soon + linger)),
        "an empty queue starts anew"
    );
}

#[test]
fn an_alert_overtakes_what_is_being_retried() {
    let mut bench = Bench::new(policy(1), 2);
    assert_eq!(bench.run(2, |_| overloaded()), "0~ 0~");
    bench.queue.push(event(0, 7));
    assert_eq!(bench.run(9, |_| ok()), "7+ 0+ 1+");
}
