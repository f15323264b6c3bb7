//! Publishing to a broker that fails.

use crate::broker::Mode;
use crate::world::{COUNTED, ONE, Publisher, Readings, Task, World, now_ms, pass, poll, settings};
use embassy_time::{Duration, MockDriver};
use std::pin::pin;
use std::task::Poll;
use tidegate_firmware::{Keep, Settings, Trouble, WhenFull};

const SECOND: Duration = Duration::from_secs(1);

/// One reading a second for `seconds`, while the publisher runs.
fn measure(outbox: &Readings, task: &mut Task<'_>, seconds: i64) {
    for _ in 0..seconds {
        pass(task, 1, SECOND);
        outbox.put(ONE, (now_ms() / 1_000) as i64);
        let _forever = poll(task);
    }
}

/// Ten seconds of trouble amid readings: everything arrives, once, in order, under the numbers that it had.
#[test]
fn all_that_can_go_wrong() {
    for mode in [
        Mode::Away,
        Mode::Mute,
        Mode::Refuse(0x87),
        Mode::LoseAcks,
        Mode::HoldAcks,
        Mode::RefusePublish(0x97),
        Mode::CutPublish,
        Mode::Babble,
    ] {
        let world = World::new();
        let mut memory = world.boot(WhenFull::DropOldest, Keep::NEVER);
        let outbox = memory.start(&COUNTED);
        world.publish(outbox, settings(), |task| {
            measure(outbox, task, 20);
            world.broker().close();
            world.mode(mode);
            measure(outbox, task, 60);
            world.mode(Mode::Serve);
            measure(outbox, task, 200);
            pass(task, 30, SECOND);
        });
        let broker = world.broker();
        let values = broker.gateway.values(1_000);
        assert_eq!(values, (1..=280).collect::<Vec<i64>>(), "{mode:?}");
        let report = outbox.report();
        assert_eq!((report.queued, report.delivered, report.dropped), (0, 280, 0), "{mode:?}: {report:?}");
        assert!(report.failures > 0 && broker.connections > 1, "{mode:?}: {report:?}");
        // What arrived twice was sent again because nobody had acknowledged it.
        let doubles = matches!(mode, Mode::LoseAcks | Mode::HoldAcks);
        assert_eq!(
            (broker.gateway.again > 0, doubles && report.resent > 0),
            (doubles, doubles),
            "{mode:?}: {report:?}"
        );
        assert!(broker.topics.iter().all(|topic| topic == "field/d1"));
    }
}

/// A frame that is sent again says when it is sent again, not when it was first.
#[test]
fn sent_again_is_sent_now() {
    let world = World::new();
    let mut memory = world.boot(WhenFull::DropOldest, Keep::NEVER);
    let outbox = memory.start(&COUNTED);
    world.mode(Mode::LoseAcks);
    outbox.put(ONE, 1);
    world.publish(outbox, settings(), |task| {
        pass(task, 3_600, SECOND);
        world.mode(Mode::Serve);
        pass(task, 300, SECOND);
    });
    let broker = world.broker();
    let sent: Vec<u64> = broker.gateway.frames.iter().map(|frame| frame.2).collect();
    assert!(sent.len() > 10 && sent.windows(2).all(|two| two[0] < two[1]), "{sent:?}");
    assert!(broker.gateway.frames.iter().all(|frame| (frame.0, frame.1, frame.3) == (1_000, 0, 1)));
}

/// An hour without a broker: tries grow rare, and no two devices try at the same moments.
#[test]
fn tries_grow_rare() {
    let of = |client_id| {
        let world = World::new();
        let mut memory = world.boot(WhenFull::DropOldest, Keep::NEVER);
        let outbox = memory.start(&COUNTED);
        world.mode(Mode::Away);
        let mut tries = Vec::new();
        world.publish(outbox, Settings { client_id, ..settings() }, |task| {
            for _ in 0..36_000 {
                let before = outbox.report().failures;
                pass(task, 1, Duration::from_millis(100));
                if outbox.report().failures > before {
                    tries.push(now_ms());
                }
            }
        });
        tries
    };
    let (one, two) = (of("d1"), of("d2"));
    // At most two minutes lie between two, one on average.
    assert!((40..90).contains(&one.len()), "{one:?}");
    assert!(one.windows(2).all(|two| two[1] - two[0] <= 120_200), "{one:?}");
    assert_ne!(one, two);
}

/// Without readings the connection is kept alive; a broker that does not answer that is left.
#[test]
fn keep_alive() {
    let world = World::new();
    let mut memory = world.boot(WhenFull::DropOldest, Keep::NEVER);
    let outbox = memory.start(&COUNTED);
    world.publish(outbox, settings(), |task| {
        pass(task, 600, SECOND);
        let pings = world.broker().pings;
        assert!((9..=12).contains(&pings), "{pings} pings in ten minutes, at 60 s");
        world.mode(Mode::Mute);
        pass(task, 80, SECOND);
    });
    assert!(outbox.report().failures > 0);
}

/// With the radio on for a moment only.
#[test]
fn deliver_once() {
    let world = World::new();
    let mut memory = world.boot(WhenFull::DropOldest, Keep::NEVER);
    let outbox = memory.start(&COUNTED);
    let mut publisher = Publisher::new(outbox, settings());
    for (mode, expected) in [
        (Mode::Away, Err(Trouble::Network)),
        (Mode::Mute, Err(Trouble::NoAnswer)),
        (Mode::Refuse(0x86), Err(Trouble::Refused(0x86))),
        (Mode::RefusePublish(0x97), Err(Trouble::Refused(0x97))),
        (Mode::LoseAcks, Err(Trouble::Closed)),
        (Mode::HoldAcks, Err(Trouble::NoAnswer)),
        (Mode::Babble, Err(Trouble::Protocol)),
        (Mode::Serve, Ok(())),
    ] {
        outbox.put(ONE, 7);
        world.mode(mode);
        let mut line = world.line.clone();
        let mut task = pin!(publisher.deliver(&mut line));
        let ended = (0..60).find_map(|_| {
            MockDriver::get().advance(SECOND);
            match poll(&mut task) {
                Poll::Ready(ended) => Some(ended),
                Poll::Pending => None,
            }
        });
        assert_eq!(ended, Some(expected), "{mode:?}");
    }
    assert_eq!((outbox.report().queued, outbox.report().delivered), (0, 8));
    assert_eq!(world.broker().gateway.numbers(1_000).len(), 8);
}

/// A buffer that is too small for topic and frame is said, not suffered in silence.
#[test]
fn a_buffer_that_is_too_small() {
    let world = World::new();
    let mut memory = world.boot(WhenFull::DropOldest, Keep::NEVER);
    let outbox = memory.start(&COUNTED);
    let mut publisher = tidegate_firmware::Publisher::<_, _, _, 128>::new(outbox, settings());
    outbox.put(ONE, 7);
    let mut line = world.line.clone();
    let mut task = pin!(publisher.deliver(&mut line));
    let ended = poll(&mut task);
    assert_eq!(ended, Poll::Ready(Err(Trouble::Settings)));
    assert_eq!(outbox.report().queued, 1);
}
