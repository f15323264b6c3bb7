//! Dead letters: written with their transaction, retried, dropped, evicted with an account.

use crate::rig::{Rig, letter, message, payload, plain};
use tidegate::limits::DEAD_LETTERS_MAX;
use tidegate::store::{Commit, Fate, Letter, LetterCounts, LetterRequest, Settlement};

/// Writes so many letters.
fn fill(rig: &mut Rig, count: u64) {
    rig.with(1, |commit| {
        commit.changes.dead_letters = (0..count).map(|n| letter(&n.to_string())).collect();
    });
}

fn numbers(rig: &Rig, after: u64, limit: usize) -> Vec<u64> {
    rig.store.shared().letters(after, limit).unwrap().iter().map(|(number, _)| *number).collect()
}

#[test]
fn letters_are_listed_and_shown() {
    let mut rig = Rig::new(plain());
    fill(&mut rig, 3);
    assert_eq!(numbers(&rig, 0, 10), [1, 2, 3]);
    assert_eq!(numbers(&rig, 1, 1), [2]);
    assert_eq!(rig.store.shared().letter(2).unwrap(), Some(Letter::Message(letter("1"))));
    assert_eq!(rig.store.shared().letter(9).unwrap(), None);
}

#[test]
fn each_request_is_done_once() {
    let mut rig = Rig::new(plain());
    fill(&mut rig, 4);
    use LetterRequest::{Drop, Requeue, Retried};
    for requests in [vec![Drop(1), Drop(1)], vec![Retried(2), Drop(2)], vec![Requeue(3), Drop(99)]] {
        rig.with(2, |commit| commit.letters = requests);
    }
    let counts = rig.store.shared().letter_counts();
    let expected = LetterCounts { next: 4, evicted: 0, dropped: 1, retried: 1, bytes: counts.bytes };
    assert!(counts.bytes > 0);
    assert_eq!(counts, expected);
    assert_eq!(numbers(&rig, 0, 10), [3, 4], "a message does not go to an output");
    let rig = rig.restart();
    assert_eq!(rig.store.shared().letter_counts(), expected);
}

/// A retry takes the letter away and has its effect in one transaction: the ledger holds one reading all the time.
#[test]
fn a_retried_letter_is_one_reading() {
    let mut rig = Rig::new(plain());
    rig.commit(0, |step| step.message(&message(0, "s/d1/t", "{")), |_| {}).unwrap();
    let given = |rig: &Rig| {
        let letters = rig.store.shared().letter_counts();
        rig.pipeline.ledger().total() - letters.retried
    };
    assert_eq!(given(&rig), 1);
    for text in ["[", &payload(1, 0, 0)] {
        let (number, stored) = rig.store.shared().letters(0, 1).unwrap().remove(0);
        let Letter::Message(mut stored) = stored else { panic!("{stored:?}") };
        stored.payload = text.into();
        let retried = |commit: &mut Commit| commit.letters.push(LetterRequest::Retried(number));
        rig.commit(1, |step| step.retry(&stored), retried).unwrap();
        assert_eq!(given(&rig), 1);
    }
    assert_eq!((rig.pipeline.ledger().counted, rig.store.shared().counts().unwrap().0), (1, 0));
}

#[test]
fn the_oldest_makes_room_and_is_counted() {
    let mut rig = Rig::new(plain());
    rig.send(0, "d1", 1, 0);
    rig.with(60, |commit| assert_eq!(commit.reach.insert("out".into(), 512), None));
    rig.with(60, |commit| assert_eq!(commit.reach.insert("out".into(), 512), None));
    let event = rig.waiting("out").remove(0);
    let refused = Settlement {
        output: "out".into(),
        priority: event.priority,
        sequence: event.sequence,
        id: event.id,
        fate: Fate::Refused("no".into()),
    };
    rig.with(61, |commit| commit.settled.push(refused));
    rig.with(62, |commit| commit.letters.push(LetterRequest::Requeue(1)));
    fill(&mut rig, DEAD_LETTERS_MAX - 1);
    assert_eq!(rig.store.shared().letter_counts().evicted, 0);
    assert_eq!(rig.waiting("out").len(), 0, "requeued behind what is allowed");
    fill(&mut rig, 1);
    let counts = rig.store.shared().outputs()["out"].counts.clone();
    assert_eq!((counts.queued(), counts.dropped["evicted"], counts.refused), (0, 1, 0));
    fill(&mut rig, 3);
    assert_eq!(rig.store.shared().letter_counts().evicted, 3);
    assert_eq!((rig.store.shared().counts().unwrap(), numbers(&rig, 0, 1)), ((DEAD_LETTERS_MAX, 0), vec![5]));
}
