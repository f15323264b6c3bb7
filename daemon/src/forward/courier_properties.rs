//! What holds whatever a function does.

use super::tests::{Bench, gone, overloaded, policy, refuse};
use super::*;
use crate::forward::memory::event;
use crate::forward::outbox::{Ask, Of, Outbox};

/// A function with bad days, which remembers what it was sent.
struct Fickle {
    dice: fastrand::Rng,
    bad: BTreeSet<String>,
    healthy: bool,
    taken: Vec<String>,
    /// How many events had been accepted when an event was first refused or named as failed.
    refused: BTreeMap<String, usize>,
}

impl Fickle {
    fn answer(&mut self, sent: &[Queued]) -> Answer {
        let dice = if self.healthy { 0 } else { self.dice.u8(0..12) };
        match dice {
            0..=3 if sent.iter().any(|queued| self.bad.contains(&queued.id)) => self.refuse(sent),
            0..=3 => self.take(sent, |_| None),
            4 => self.refuse(sent),
            5 => {
                self.refuse(sent);
                Answer::TooLarge { words: "HTTP 413".into() }
            }
            6 => gone(),
            7 => {
                Answer::RetryLater { after: Some(Duration::from_secs(5)), why: "429".into(), overload: false }
            }
            8 => overloaded(),
            9 => {
                // Accepted, but the answer is lost.
                self.take(sent, |_| None);
                overloaded()
            }
            _ => {
                let seed = self.dice.u64(..);
                self.take(sent, |n| match (seed >> (n % 32 * 2)) & 3 {
                    0 => Some(true),
                    1 => Some(false),
                    _ => None,
                })
            }
        }
    }

    fn refuse(&mut self, sent: &[Queued]) -> Answer {
        for queued in sent {
            self.refused.entry(queued.id.clone()).or_insert(self.taken.len());
        }
        refuse()
    }

    fn take(&mut self, sent: &[Queued], fails: impl Fn(usize) -> Option<bool>) -> Answer {
        let mut failed = Vec::new();
        // The others of its batch count as taken since.
        let before = self.taken.len();
        for (n, queued) in sent.iter().enumerate() {
            let bad = self.bad.contains(&queued.id).then_some(false);
            match bad.or(fails(n)) {
                Some(retry) => {
                    self.refused.entry(queued.id.clone()).or_insert(before);
                    failed.push(Failed { id: queued.id.clone(), retry, words: String::new() });
                }
                None => self.taken.push(queued.id.clone()),
            }
        }
        Answer::Confirmed { failed }
    }
}

#[test]
fn whatever_a_function_does_nothing_is_lost_or_given_up_without_reason() {
    for seed in 0..400 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let count = dice.u64(1..120);
        let mut bench = Bench::new(policy(dice.usize(1..40)), count);
        let bad: BTreeSet<String> = (0..count / 10).map(|_| event(1, dice.u64(0..count)).id).collect();
        let mut function = Fickle { dice, bad, healthy: false, taken: vec![], refused: BTreeMap::new() };
        bench.run(150, |sent| function.answer(sent));
        let queued = bench.queue.len();
        assert_eq!(
            queued + bench.queue.delivered().len() + bench.queue.refused().len(),
            count as usize,
            "seed {seed}: every event is queued, delivered or refused"
        );
        function.healthy = true;
        bench.run(5_000, |sent| function.answer(sent));

        for id in bench.queue.delivered() {
            assert!(function.taken.contains(&id), "seed {seed}: {id} delivered without a 2xx");
        }
        for id in bench.queue.refused() {
            let before =
                function.refused.get(&id).unwrap_or_else(|| panic!("seed {seed}: {id} was never refused"));
            let others = function.taken[*before..].iter().filter(|taken| **taken != id).count();
            assert!(others > 0, "seed {seed}: {id} given up though nothing else was accepted since");
        }
        let left = bench.queue.len();
        let only_bad_left = left == 0
            || bench
                .queue
                .next(&Ask {
                    of: Of::Everything,
                    except: &BTreeSet::new(),
                    events: 999,
                    bytes: 1 << 20,
                    newest_after: None,
                })
                .unwrap()
                .iter()
                .all(|q| function.bad.contains(&q.id));
        assert!(only_bad_left, "seed {seed}: {left} events are stuck");

        let mut order: Vec<u64> = Vec::new();
        for id in &bench.queue.delivered() {
            if !function.refused.contains_key(id) {
                order.push(id[1..].parse().unwrap());
            }
        }
        assert!(order.is_sorted(), "seed {seed}: order is kept but for events that were refused");
    }
}
