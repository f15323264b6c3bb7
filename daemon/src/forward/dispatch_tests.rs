use super::*;
use crate::forward::answer::Failed;
use crate::forward::courier::Change;
use crate::forward::courier::tests::policy as one_lane;
use crate::forward::memory::{Memory, event, series};
use crate::forward::outbox::{Ask, Outbox};
use std::collections::BTreeMap;

fn policy(events: usize, lanes: usize) -> Policy {
    Policy { lanes, ..one_lane(events) }
}

/// An output without a driver: the test says when an attempt is answered, and how.
struct Bench {
    dispatch: Dispatch,
    queue: Memory,
    now: Instant,
    under_way: Vec<(Of, Vec<Queued>)>,
    problem: bool,
}

impl Bench {
    fn new(policy: Policy, events: u64) -> Bench {
        Bench {
            dispatch: Dispatch::new(policy),
            queue: Memory::with(events),
            now: Instant::now(),
            under_way: Vec::new(),
            problem: false,
        }
    }

    /// Begins what may be; the time goes on where nothing else is waited for.
    fn begin(&mut self) {
        for _ in 0..100 {
            let (of, events, bytes) = match self.dispatch.next(false, self.now) {
                Next::Take { of, events, bytes } => (of, events, bytes),
                Next::At(at) => {
                    self.now = at;
                    continue;
                }
                Next::Answer | Next::AnswerOrChange => {
                    assert!(!self.under_way.is_empty(), "waits for an answer to nothing");
                    return;
                }
            };
            let ask = Ask {
                of,
                except: self.dispatch.set_aside(),
                events,
                bytes,
                newest_after: self.dispatch.newest_after(),
            };
            let batch = self.queue.next(&ask).unwrap();
            match self.dispatch.offer(of, &batch, self.now) {
                Offer::Send => {
                    self.dispatch.begins(of);
                    self.under_way.push((of, batch));
                }
                Offer::Again => {}
                Offer::Wait(Some(at)) => self.now = at,
                Offer::Wait(None) => return,
            }
        }
        panic!("a hundred steps without an end");
    }

    fn answer(&mut self, at: usize, answer: Answer) {
        let (of, sent) = self.under_way.remove(at);
        let moment = Moment { now: self.now, chance: 0.5 };
        let effects = self.dispatch.answered(of, &sent, answer, moment);
        match effects.problem {
            Change::Keep => {}
            Change::Clear => self.problem = false,
            Change::Raise(_) => self.problem = true,
        }
        if !effects.settled.is_empty() {
            self.queue.settle(effects.settled, self.now);
        }
    }

    /// What is under way: how many events each holds.
    fn sizes(&self) -> Vec<usize> {
        self.under_way.iter().map(|(_, batch)| batch.len()).collect()
    }

    fn has(&self, at: usize, number: u64) -> bool {
        self.under_way[at].1.iter().any(|queued| queued.position.sequence == number)
    }
}

fn ok() -> Answer {
    Answer::Confirmed { failed: Vec::new() }
}

fn refuse() -> Answer {
    Answer::RefusedEvent { words: "HTTP 422: no".into() }
}

fn busy() -> Answer {
    Answer::RetryLater { after: None, why: "answered 429".into(), overload: false }
}

#[test]
fn a_backlog_goes_by_as_many_lanes_as_there_may_be() {
    let mut bench = Bench::new(policy(10, 3), 700);
    bench.begin();
    assert_eq!(bench.sizes(), [10, 10, 10]);
    bench.answer(1, ok());
    bench.begin();
    assert_eq!(bench.sizes(), [10, 10, 10]);
    let lanes: BTreeSet<_> = bench.under_way.iter().map(|(of, _)| format!("{of:?}")).collect();
    assert_eq!(lanes.len(), 3, "one attempt of each");
}

#[test]
fn what_fits_into_one_attempt_goes_in_one() {
    let mut bench = Bench::new(policy(100, 4), 99);
    bench.begin();
    assert_eq!(bench.sizes(), [99]);
    bench.queue.push(event(1, 99));
    bench.begin();
    assert_eq!(bench.sizes(), [99], "it goes alone");
    bench.answer(0, ok());
    bench.begin();
    assert_eq!(bench.sizes(), [1]);
}

#[test]
fn what_no_lane_has_enough_of_goes_together() {
    let mut bench = Bench::new(policy(100, 4), 150);
    bench.begin();
    assert_eq!(bench.sizes(), [100]);
    bench.answer(0, ok());
    bench.begin();
    assert_eq!(bench.sizes(), [50]);
}

#[test]
fn an_alert_does_not_wait_for_the_backlog() {
    let mut bench = Bench::new(policy(1, 3), 30);
    bench.begin();
    bench.queue.push(event(0, 0));
    for at in [0, 0, 0] {
        bench.answer(at, ok());
        bench.begin();
    }
    let alerts = bench.queue.delivered().len();
    assert_eq!(alerts, 3);
    assert!(
        bench.under_way.iter().any(|(_, batch)| batch[0].position.priority == Position::ALERT),
        "it goes as soon as the first lane is free"
    );
}

#[test]
fn after_a_failure_one_goes_at_a_time_and_then_half_as_many() {
    let mut bench = Bench::new(policy(1, 4), 200);
    bench.begin();
    bench.answer(0, busy());
    bench.begin();
    assert_eq!(bench.sizes(), [1; 3], "the others are waited for");
    for _ in 0..3 {
        bench.answer(0, ok());
        bench.begin();
    }
    assert_eq!(bench.sizes(), [1], "the failed one, alone");
    assert!(bench.has(0, 0));
    let mut most = Vec::new();
    for _ in 0..12 {
        bench.answer(0, ok());
        bench.begin();
        most.push(bench.under_way.len());
    }
    assert_eq!(most, [2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4], "one more with each round");
}

#[test]
fn what_is_refused_in_a_lane_is_looked_for_there() {
    let mut bench = Bench::new(policy(64, 3), 7 * 400);
    let bad = 7 * 20;
    let mut refusals = 0;
    while bench.queue.len() > 0 {
        bench.begin();
        if bench.under_way.is_empty() {
            break;
        }
        let said = if bench.has(0, bad) { refuse() } else { ok() };
        refusals += u32::from(matches!(said, Answer::RefusedEvent { .. }));
        bench.answer(0, said);
    }
    assert_eq!(bench.queue.refused(), [format!("e{bad}")]);
    assert!(refusals <= 9, "{refusals}: halved until it was alone, and once more when another was taken");
}

#[test]
fn the_newest_go_first_where_that_is_wanted_and_nothing_is_lost() {
    let mut bench = Bench::new(Policy { newest: true, ..policy(3, 1) }, 10);
    let ids = |bench: &Bench| -> Vec<u64> {
        bench.under_way[0].1.iter().map(|queued| queued.position.sequence).collect()
    };
    bench.begin();
    assert_eq!(ids(&bench), [9, 8, 7]);
    bench.queue.push(event(1, 10));
    bench.answer(0, ok());
    bench.begin();
    assert_eq!(ids(&bench), [10, 6, 5]);
    bench.answer(0, ok());
    for seed in 0..100 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let policy = Policy { newest: true, ..policy(dice.usize(1..9), dice.usize(1..4)) };
        let mut bench = Bench::new(policy, 60);
        let bad: BTreeSet<u64> = (0..3).map(|_| dice.u64(..60)).collect();
        let mut next = 60;
        for step in 0.. {
            assert!(step < 2_000, "seed {seed}: no end");
            // What is refused is given up once another is taken.
            let left = bad.len() - bench.queue.refused().len();
            let only_bad = left > 0 && bench.queue.len() <= left;
            if only_bad || (next < 90 && dice.bool()) {
                bench.queue.push(event(1, next));
                next += 1;
            }
            bench.begin();
            if bench.under_way.is_empty() {
                break;
            }
            let at = dice.usize(..bench.under_way.len());
            let refused = bad.iter().any(|bad| bench.has(at, *bad));
            let said = match dice.u8(..8) {
                0 if next < 90 => busy(),
                _ if refused => refuse(),
                _ => ok(),
            };
            bench.answer(at, said);
        }
        let mut refused = bench.queue.refused();
        refused.sort_by_key(|id| id[1..].parse::<u64>().unwrap());
        assert_eq!(refused, bad.iter().map(|bad| format!("e{bad}")).collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(bench.queue.delivered().len() as u64 + bad.len() as u64, next, "seed {seed}");
    }
}

#[test]
fn whatever_a_function_does_each_series_keeps_its_order_and_nothing_is_lost() {
    let mut side_by_side = 0;
    for seed in 0..600 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let (events, lanes) = (dice.usize(1..20), dice.usize(1..6));
        let count = dice.u64(1..400);
        let mut bench = Bench::new(policy(events, lanes), count);
        let healthy_after = dice.u32(0..60);
        // By series: the last that was taken for the first time.
        let mut taken: BTreeMap<u64, u64> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for step in 0.. {
            bench.begin();
            assert!(bench.under_way.len() <= lanes, "seed {seed}");
            side_by_side += usize::from(bench.under_way.len() > 1);
            let mut busy_series = BTreeSet::new();
            for (_, batch) in &bench.under_way {
                let own: BTreeSet<_> = batch.iter().map(series).collect();
                assert!(own.is_disjoint(&busy_series), "seed {seed}: a series is under way twice");
                busy_series.extend(own);
            }
            if bench.under_way.is_empty() {
                break;
            }
            assert!(step < 20_000, "seed {seed}: no end");
            let at = dice.usize(..bench.under_way.len());
            let sent = bench.under_way[at].1.clone();
            let mood = if step < healthy_after { dice.u8(0..8) } else { 0 };
            let named = |queued: &&Queued| dice.bool() && !seen.contains(&queued.id);
            let failed: Vec<_> = match mood {
                5 => sent.iter().rev().take(1).filter(named).cloned().collect(),
                _ => Vec::new(),
            };
            // Taken, and sometimes the answer is lost. What is asked for again is the last of its batch.
            if matches!(mood, 0..=2 | 4 | 5) {
                for queued in sent.iter().filter(|queued| !failed.contains(queued)) {
                    if seen.insert(queued.id.clone()) {
                        let last = taken.insert(series(queued), queued.position.sequence);
                        assert!(last < Some(queued.position.sequence), "seed {seed}: {} is late", queued.id);
                    }
                }
            }
            let failed = failed
                .into_iter()
                .map(|queued| Failed { id: queued.id, retry: true, words: String::new() })
                .collect();
            let said = match mood {
                0..=2 | 5 => Answer::Confirmed { failed },
                3 => Answer::DestinationProblem { why: "answered 404".into() },
                4 => Answer::RetryLater { after: None, why: "answered 500".into(), overload: true },
                6 if sent.len() > 1 => Answer::TooLarge { words: "HTTP 413".into() },
                _ => busy(),
            };
            bench.answer(at, said);
        }
        assert_eq!((bench.queue.len(), bench.queue.refused().len()), (0, 0), "seed {seed}");
        assert_eq!(seen.len() as u64, count, "seed {seed}");
    }
    assert!(side_by_side > 1_000, "{side_by_side}");
}
