//! What the broker's word on each event means for the events of an attempt. Pure.

use super::super::answer::{Answer, Failed};
use super::super::outbox::Queued;
use super::session::{Missing, Verdict};
use std::time::Duration;

/// Events count in order. What stands behind one that was not taken, and may be later, is sent again with it, though the
/// broker may have it: else a series would go back in time.
pub(super) fn judge(
    sent: &[Queued],
    verdicts: &[Option<Verdict>],
    missing: Option<&Missing>,
    timeout: Duration,
) -> Answer {
    let good = verdicts
        .iter()
        .position(|verdict| matches!(verdict, None | Some(Verdict::Denied(_))))
        .unwrap_or(verdicts.len());
    let taken = verdicts[..good].contains(&Some(Verdict::Taken));
    if !taken {
        return nothing_taken(verdicts.get(good), verdicts.first(), missing, timeout);
    }
    let failed = sent.iter().zip(verdicts).enumerate().filter_map(|(at, (queued, verdict))| {
        let words = match (verdict, missing) {
            (Some(Verdict::Taken), _) if at < good => return None,
            (Some(Verdict::Taken), _) => "sent again to keep the order".to_owned(),
            (Some(Verdict::Refused(words) | Verdict::Denied(words)), _) => words.clone(),
            (None, Some(Missing::Lost(why))) => why.clone(),
            (None, _) => not_acknowledged(timeout),
        };
        Some(Failed { id: queued.id.clone(), retry: at >= good, words })
    });
    Answer::Confirmed { failed: failed.collect() }
}

fn not_acknowledged(timeout: Duration) -> String {
    format!("the broker did not acknowledge within {timeout:?}")
}

/// What is wrong with the broker, or with us in its eyes.
pub(super) fn problem(why: &str) -> Answer {
    let stop = if why.ends_with(['?', '.']) { "" } else { "." };
    Answer::DestinationProblem { why: format!("{why}{stop} Everything is kept") }
}

fn nothing_taken(
    stopped_by: Option<&Option<Verdict>>,
    first: Option<&Option<Verdict>>,
    missing: Option<&Missing>,
    timeout: Duration,
) -> Answer {
    match (stopped_by, first, missing) {
        (Some(Some(Verdict::Denied(why))), ..) => problem(why),
        (Some(_), _, Some(Missing::Lost(why))) => {
            Answer::RetryLater { after: None, why: why.clone(), overload: false }
        }
        (Some(_), ..) => Answer::RetryLater {
            after: None,
            why: format!(
                "{}; tidegate keeps trying. If this stays, look into its log, or raise `timeout`",
                not_acknowledged(timeout)
            ),
            overload: true,
        },
        (None, Some(Some(Verdict::Refused(words))), _) => Answer::RefusedEvent { words: words.clone() },
        (None, ..) => Answer::Confirmed { failed: Vec::new() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::memory::event;

    fn taken() -> Option<Verdict> {
        Some(Verdict::Taken)
    }

    fn refused() -> Option<Verdict> {
        Some(Verdict::Refused("bad".into()))
    }

    fn denied() -> Option<Verdict> {
        Some(Verdict::Denied("not you".into()))
    }

    #[test]
    fn answers() {
        let sent: Vec<Queued> = (0..3).map(|n| event(1, n)).collect();
        let confirmed = |failed: &[(u64, bool, &str)]| {
            let named = |&(n, retry, words): &(u64, bool, &str)| Failed {
                id: format!("e{n}"),
                retry,
                words: words.into(),
            };
            Answer::Confirmed { failed: failed.iter().map(named).collect() }
        };
        let again = "sent again to keep the order";
        let lost = Some(Missing::Lost("gone".into()));
        let check = |verdicts: [Option<Verdict>; 3], missing: &Option<Missing>, expected: Answer| {
            let answer = judge(&sent, &verdicts, missing.as_ref(), Duration::from_secs(1));
            assert_eq!(answer, expected, "{verdicts:?}");
        };
        check([taken(), taken(), taken()], &None, confirmed(&[]));
        check([taken(), refused(), taken()], &None, confirmed(&[(1, false, "bad")]));
        check([taken(), denied(), taken()], &None, confirmed(&[(1, true, "not you"), (2, true, again)]));
        check([taken(), None, taken()], &lost, confirmed(&[(1, true, "gone"), (2, true, again)]));
        check([refused(), refused(), refused()], &None, Answer::RefusedEvent { words: "bad".into() });
        let kept = Answer::DestinationProblem { why: "not you. Everything is kept".into() };
        check([denied(), taken(), taken()], &None, kept.clone());
        check([refused(), denied(), taken()], &None, kept);
        let gone = Answer::RetryLater { after: None, why: "gone".into(), overload: false };
        check([None, taken(), None], &lost, gone);
        let late = judge(&sent, &[None, None, None], Some(&Missing::Late), Duration::from_secs(1));
        assert!(matches!(late, Answer::RetryLater { overload: true, .. }), "{late:?}");
    }
}
