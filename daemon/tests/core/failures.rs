//! A commit that fails leaves memory and disk agreeing: every I/O call of a script fails once in its turn, below the real
//! heart. Nothing that was acknowledged is missing, nothing is there twice.

use crate::heart::{Body, run_of};
use crate::rig::{Rig, message, payload, plan};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate::clock::Clock;
use tidegate::ingest::change::NewPlan;
use tidegate::ingest::intake::{Input, Link};
use tidegate_medium::{Disk, Trouble};
use tidegate_pipeline::plan::StreamPlan;
use tidegate_pipeline::verdict::Reason;
use tokio::sync::oneshot::error::TryRecvError;

const RUNS: u64 = 6;

/// Runs of numbered readings, each acknowledged before the next is sent; some windows close and are amended at once.
fn drive(body: &mut Body) {
    for run in 0..RUNS {
        body.send(run, &[("s/d1/t", 3 * run), ("s/d2/t", 3 * run + 1), ("s/d1/h", 3 * run + 2)]);
        body.wait_for_acknowledgement(run + 1);
    }
}

fn check(disk: &Disk, what: &str) {
    let rig = Rig::open(disk.after_cut(0), plan()).unwrap();
    let ledger = rig.pipeline.ledger();
    assert_eq!((ledger.counted, ledger.total()), (3 * RUNS, 3 * RUNS), "{what}");
    rig.check_accounts();
}

#[test]
fn every_call_fails_once() {
    let disk = Disk::default();
    let mut body = Body::new(&disk, plan());
    disk.trouble(Trouble::None);
    drive(&mut body);
    let calls = disk.calls();
    body.stop();
    check(&disk, "without trouble");
    assert!(calls > 30, "{calls}");
    let mut failures = 0;
    for call in 1..=calls {
        for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
            let disk = Disk::default();
            let mut body = Body::new(&disk, plan());
            disk.trouble(Trouble::FailAt(call, kind));
            drive(&mut body);
            failures += body.failures();
            body.stop();
            check(&disk, &format!("{kind:?} at call {call}"));
        }
    }
    assert!(failures >= calls, "most calls are part of a commit: {failures}");
}

/// Reads too: what cannot be read is neither lost nor counted twice, and no reason to salvage.
#[test]
fn every_read_fails_once() {
    let drive_with = |trouble: Trouble| {
        let disk = Disk::default();
        let mut body = Body::new(&disk, plan());
        disk.trouble(Trouble::None);
        body.send(0, &[("s/d1/t", 0), ("s/d2/t", 1), ("s/d1/h", 2)]);
        body.wait_for_acknowledgement(1);
        // The cache would answer most reads. After a failure the file is opened again, and read.
        disk.trouble(Trouble::Broken);
        body.send(1, &[("s/d1/t", 3), ("s/d2/t", 4), ("s/d1/h", 5)]);
        body.wait_for_failures(1);
        disk.trouble(trouble);
        body.wait_for_acknowledgement(2);
        for run in 2..RUNS {
            body.send(run, &[("s/d1/t", 3 * run), ("s/d2/t", 3 * run + 1), ("s/d1/h", 3 * run + 2)]);
            body.wait_for_acknowledgement(run + 1);
        }
        let reads = disk.counts().reads;
        body.stop();
        disk.trouble(Trouble::None);
        check(&disk, &format!("{trouble:?}"));
        assert!(body.store.salvage().is_none(), "{trouble:?}");
        reads
    };
    let reads = drive_with(Trouble::None);
    assert!(reads > 20, "{reads}");
    // They mostly wait for the next try.
    std::thread::scope(|scope| {
        for thread in 1..=8 {
            let drive_with = &drive_with;
            scope.spawn(move || {
                for read in (thread..=reads).step_by(8) {
                    drive_with(Trouble::ReadFailsAt(read));
                }
            });
        }
    });
}

/// The disk breaks for good, also for opening, while windows wait to be closed and readings to be written. When it is
/// whole again everything is written and acknowledged, once.
#[test]
fn a_broken_disk_that_comes_back() {
    let disk = Disk::default();
    let mut body = Body::new(&disk, plan());
    body.send(0, &[("s/d1/t", 0), ("s/d1/t", 1)]);
    body.wait_for_acknowledgement(1);
    disk.trouble(Trouble::Broken);
    body.send(1, &[("s/d1/t", 2)]);
    disk.wait_for_openings(4);
    assert_eq!(body.acknowledged(), 1, "nothing is acknowledged meanwhile");
    let tomorrow = Instant::now() + Duration::from_secs(86_400);
    assert_eq!(body.pulses.wedged(tomorrow), None, "a disk that refuses is no reason to restart");
    disk.trouble(Trouble::None);
    body.wait_for_acknowledgement(2);
    body.wait_until(|body| body.pulses.wedged(tomorrow).is_some_and(|wedged| wedged.part == "the writer"));
    assert_eq!(body.pulses.wedged(Instant::now()), None, "it turns again, and must go on turning");
    body.stop();
    assert_eq!(body.pulses.wedged(tomorrow), None, "who has ended is not late");
    let rig = Rig::open(disk, plan()).unwrap();
    assert_eq!(rig.pipeline.ledger().counted, 3);
}

/// A window that closes while the disk is broken is not lost from memory: what was decided and not written is decided
/// again, on what the disk says.
#[test]
fn a_window_that_closes_on_a_broken_disk() {
    let disk = Disk::default();
    let mut body = Body::new(&disk, plan());
    body.push(Input::Backlog { source: 0 });
    body.send(0, &[("s/d1/t", 0)]);
    body.wait_for_acknowledgement(1);
    let openings = disk.openings();
    disk.trouble(Trouble::Broken);
    body.push(Input::Drained { source: 0 });
    disk.wait_for_openings(openings + 3);
    disk.trouble(Trouble::None);
    body.wait_for_windows(0);
    body.stop();
    let rig = Rig::open(disk, plan()).unwrap();
    assert_eq!((rig.pipeline.open_windows(), rig.store.shared().counts().unwrap().1), (0, 1));
}

/// A plan that comes while the disk is broken is put in force when it is whole again, behind what was taken before.
#[test]
fn a_plan_that_comes_on_a_broken_disk() {
    let disk = Disk::default();
    let mut body = Body::new(&disk, plan());
    body.send(0, &[("s/d1/t", 0)]);
    body.wait_for_acknowledgement(1);
    disk.trouble(Trouble::Broken);
    body.send(1, &[("s/d1/t", 1)]);
    body.wait_for_failures(1);
    let mut renamed = plan();
    renamed.summaries[0].name = "renamed".into();
    renamed.sources.insert(0, "new".into());
    renamed.streams[0].sources = vec![1];
    let (done, mut answer) = tokio::sync::oneshot::channel();
    let new = NewPlan { plan: renamed.clone(), heartbeat: None, done };
    body.plans.blocking_send(new).unwrap();
    disk.wait_for_openings(4);
    assert_eq!((body.acknowledged(), answer.try_recv()), (1, Err(TryRecvError::Empty)));
    disk.trouble(Trouble::None);
    answer.blocking_recv().unwrap();
    assert_eq!(body.acknowledged(), 2);
    body.stop();
    let rig = Rig::open(disk, plan()).unwrap();
    assert_eq!((rig.pipeline.ledger().counted, rig.pipeline.plan()), (2, &renamed));
}

/// What waits in the intake while another plan comes in force is counted as its own source's, wherever the plan has that now;
/// and never as another's where its own is gone.
#[test]
fn what_waits_stays_its_sources() {
    let disk = Disk::default();
    let mut both = plan();
    both.sources = vec!["local".into(), "far".into()];
    both.streams.push(StreamPlan { name: "far".into(), sources: vec![1], ..both.streams[0].clone() });
    let mut body = Body::new(&disk, both.clone());
    body.send(0, &[("s/d1/t", 0)]);
    body.wait_for_acknowledgement(1);
    disk.trouble(Trouble::Broken);
    body.send(1, &[("s/d1/t", 1)]);
    body.wait_for_failures(1);
    body.send(2, &[("s/d1/t", 2), ("s/d1/t", 3)]);
    let far = Link::new(1, "far", 100);
    body.push(Input::Opened(Arc::clone(&far)));
    let ts = Clock.now().as_millis();
    let readings = [4, 5, 6].map(|n| ("s/d1/t", format!(r#"{{"v":1,"ts":{ts},"n":{n},"b":1}}"#)));
    body.push(Input::Run(run_of(&far, 1, &readings)));
    let mut one = both.clone();
    one.sources.remove(0);
    one.streams.remove(0);
    one.streams[0].sources = vec![0];
    let (done, answer) = tokio::sync::oneshot::channel();
    body.plans.blocking_send(NewPlan { plan: one.clone(), heartbeat: None, done }).unwrap();
    disk.wait_for_openings(4);
    assert_eq!(body.intake.messages(), 6, "they wait, with what opened");
    disk.trouble(Trouble::None);
    answer.blocking_recv().unwrap();
    body.wait_for_total(2 + 2 + 3);
    assert_eq!(far.committed(), 1);
    body.stop();
    let rig = Rig::open(disk, one).unwrap();
    let ledger = rig.pipeline.ledger();
    assert_eq!((ledger.counted, ledger.under(Reason::Unmatched)), (2 + 3, 2));
}

/// Nobody waits for ever: told to stop, the heart gives up on a broken disk, and does not acknowledge.
#[test]
fn stopping_on_a_broken_disk() {
    let disk = Disk::default();
    let mut body = Body::new(&disk, plan());
    disk.trouble(Trouble::Broken);
    body.send(0, &[("s/d1/t", 0)]);
    body.wait_for_failures(1);
    body.stop();
    assert_eq!(body.acknowledged(), 0);
}

/// Reads that fail while it is being reopened leave nothing behind.
#[test]
fn reopening_can_fail_anywhere() {
    let send = |rig: &mut Rig, n: u64| {
        let text = payload(1, 0, n);
        rig.commit(0, |step| step.message(&message(0, "s/d1/t", &text)), |_| {})
    };
    let mut failed = 0;
    for reads in 0..100 {
        let mut rig = Rig::new(plan());
        (0..3).for_each(|n| send(&mut rig, n).unwrap());
        rig.disk.trouble(Trouble::NoReadsAfter(reads));
        let opened = rig.store.reopen();
        rig.disk.trouble(Trouble::None);
        match opened {
            Ok(pipeline) => rig.pipeline = pipeline,
            Err(_) => {
                failed += 1;
                assert!(send(&mut rig, 99).is_err(), "after {reads} reads");
                rig.pipeline = rig.store.reopen().unwrap();
            }
        }
        send(&mut rig, 3).unwrap();
        assert_eq!(rig.restart().pipeline.ledger().counted, 4);
    }
    assert!(failed > 5, "{failed}");
}
