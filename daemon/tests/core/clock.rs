//! The heart with a clock that nobody vouches for: held readings are on disk, acknowledged and pending, and are counted when
//! somebody does, whatever the disk does meanwhile.

use crate::heart::Body;
use crate::rig::plan;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate::clock::{Clock, TimeSource, uptime};
use tidegate_medium::{Disk, Trouble};
use tidegate_pipeline::clock::Mode;
use tidegate_pipeline::plan::Plan;
use tidegate_pipeline::time::{Span, Time};

/// A machine that lives in 1970 until its clock is set.
#[derive(Clone, Default)]
struct Machine(Arc<AtomicBool>);

impl TimeSource for Machine {
    fn uptime(&mut self) -> Span {
        uptime()
    }
    fn wall(&mut self) -> Time {
        if self.0.load(Ordering::Relaxed) { Clock.now() } else { Time(uptime().0) }
    }
    fn vouched(&mut self, _: Time) -> Option<&'static str> {
        self.0.load(Ordering::Relaxed).then_some("a test")
    }
    fn boot(&self) -> u64 {
        1
    }
}

fn holding() -> Plan {
    Plan { hold_max: Some(Span::from_secs(600)), ..plan() }
}

/// Counted and pending, as status has them.
fn account(body: &Body) -> (u64, u64) {
    let (account, pending) = body.figures.account(&body.intake);
    (account.ledger.counted, pending)
}

#[test]
fn what_is_held_is_acknowledged_and_pending() {
    let (disk, machine) = (Disk::default(), Machine::default());
    let mut body = Body::by(&disk, holding(), machine.clone());
    body.send(0, &[("s/d1/t", 1), ("s/d2/t", 2)]);
    body.wait_for_acknowledgement(1);
    body.wait_until(|body| account(body) == (0, 2));
    assert!(matches!(body.figures.clock().mode, Mode::Holding { .. }));
    assert!(body.health.problems()[0].text.contains("not synchronised"));
    body.stop();
    // Through a restart of the daemon.
    let mut body = Body::by(&disk, holding(), machine.clone());
    body.wait_until(|body| account(body) == (0, 2));
    body.send(0, &[("s/d1/t", 3)]);
    body.wait_for_acknowledgement(1);
    body.wait_until(|body| account(body) == (0, 3));
    machine.0.store(true, Ordering::Relaxed);
    body.wait_until(|body| account(body) == (3, 0));
    body.wait_until(|body| body.health.problems().is_empty());
    body.stop();
}

#[test]
fn a_disk_that_fails_while_the_clock_is_found() {
    let (disk, machine) = (Disk::default(), Machine::default());
    let mut body = Body::by(&disk, holding(), machine.clone());
    body.send(0, &[("s/d1/t", 1), ("s/d2/t", 2)]);
    body.wait_until(|body| account(body) == (0, 2));
    disk.trouble(Trouble::Broken);
    machine.0.store(true, Ordering::Relaxed);
    body.wait_for_failures(1);
    assert_eq!(account(&body), (0, 2), "nothing is shown that is not on disk");
    body.send(1, &[("s/d1/t", 3)]);
    disk.trouble(Trouble::None);
    body.wait_until(|body| account(body) == (3, 0));
    body.stop();
}
