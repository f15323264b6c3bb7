//! Upgrades: today's daemon goes on from the stores of all versions that were released.

use tidegate_tests::kept::{self, Sent};

/// Windows that were open, events that waited, a dead letter and a raised alert: it sends what the version itself would have sent, to
/// the last digit and under the same ids, and its ledger says the same.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn a_store_of_an_earlier_version_goes_on() {
    for folder in kept::folders() {
        let wanted = Sent::read(&folder);
        let sent = kept::go_on(&folder, wanted.killed_ms, |events| {
            let missing: Vec<_> = wanted.events.keys().filter(|id| !events.contains_key(*id)).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?} of {}", folder.display())) }
        });
        for (id, data) in &sent.events {
            assert_eq!(Some(data), wanted.events.get(id), "{id} of {}", folder.display());
        }
        assert_eq!(sent.ledger, wanted.ledger, "{}", folder.display());
    }
}
