//! Resets, and storage that fails.

use crate::broker::Mode;
use crate::shelf::Broken;
use crate::world::{COUNTED, ONE, Readings, World, pass, settings};
use embassy_time::Duration;
use tidegate_firmware::{Channel, Identity, Keep, WhenFull};

const SECOND: Duration = Duration::from_secs(1);

/// `count` readings a second apart, while the publisher runs, from `value` on.
fn run(world: &World, outbox: &Readings, value: i64, count: i64) {
    world.publish(outbox, settings(), |task| {
        for value in value..value + count {
            pass(task, 1, SECOND);
            outbox.put(ONE, value);
        }
        pass(task, 1, SECOND);
    });
}

/// Five starts without a broker, then one with: of each start everything, under its boot.
#[test]
fn readings_of_earlier_starts() {
    let world = World::new();
    world.mode(Mode::Away);
    for start in 0..4 {
        let mut memory = world.boot(WhenFull::DropOldest, Keep::ALWAYS);
        run(&world, memory.start(&COUNTED), start * 100, 50);
    }
    world.mode(Mode::Serve);
    let mut memory = world.boot(WhenFull::DropOldest, Keep::ALWAYS);
    let outbox = memory.start(&COUNTED);
    assert_eq!((outbox.report().restored, outbox.boot()), (200, 1_004));
    run(&world, outbox, 400, 100);
    let broker = world.broker();
    for start in 0..4_i64 {
        let boot = 1_000 + start as u32;
        assert_eq!(broker.gateway.values(boot), (start * 100..start * 100 + 50).collect::<Vec<_>>());
        assert_eq!((broker.gateway.missing(boot, 50), broker.gateway.dropped(boot)), (0, 0));
    }
    assert!(broker.gateway.values(1_004).len() > 90);
    assert_eq!(broker.gateway.status[&1_004].resets, Some(5));
}

/// Of a fifth earlier start nothing can be kept: it is counted.
#[test]
fn more_starts_than_are_remembered() {
    let world = World::new();
    world.mode(Mode::Away);
    for start in 0..6 {
        let mut memory = world.boot(WhenFull::DropOldest, Keep::ALWAYS);
        run(&world, memory.start(&COUNTED), start * 100, 10);
    }
    world.mode(Mode::Serve);
    let mut memory = world.boot(WhenFull::DropOldest, Keep::ALWAYS);
    let outbox = memory.start(&COUNTED);
    assert_eq!((outbox.report().restored, outbox.report().dropped), (40, 10));
    run(&world, outbox, 0, 10);
    let broker = world.broker();
    let told: u64 = (1_000..1_007).map(|boot| broker.gateway.dropped(boot)).sum();
    assert_eq!((told, broker.gateway.numbers(1_001).len(), broker.gateway.numbers(1_002).len()), (20, 0, 10));
}

/// The uptime at sending of what an earlier start left: its clock as the last image knew it, and what passed since.
#[test]
fn clocks_of_earlier_starts() {
    let world = World::new();
    world.mode(Mode::Away);
    let mut memory = world.boot(WhenFull::DropOldest, Keep::ALWAYS);
    run(&world, memory.start(&COUNTED), 0, 100);
    let mut memory = world.boot(WhenFull::DropOldest, Keep::ALWAYS);
    run(&world, memory.start(&COUNTED), 0, 50);
    world.mode(Mode::Serve);
    let mut memory = world.boot(WhenFull::DropOldest, Keep::ALWAYS);
    run(&world, memory.start(&COUNTED), 0, 20);
    let broker = world.broker();
    let sent = |boot| broker.gateway.frames.iter().find(|frame| frame.0 == boot).unwrap().2;
    // Readings at second 1 to 100, then at 1 to 50; the third start sends after its first five seconds.
    assert!((154_000..=157_000).contains(&sent(1_000)), "{}", sent(1_000));
    assert!((54_000..=57_000).contains(&sent(1_001)), "{}", sent(1_001));
}

/// While storage fails nothing is lost that RAM holds, it is counted, and boot numbers do not come again.
#[test]
fn storage_that_fails() {
    let world = World::new();
    let mut memory = world.boot(WhenFull::DropOldest, Keep::ALWAYS);
    world.shelf.0.borrow_mut().fails = true;
    let outbox = memory.start(&Identity::Counted { otherwise: 77 });
    assert_eq!((outbox.boot(), outbox.report().storage_failures), (77, 1));
    assert_eq!(outbox.save(), Err(Broken));
    world.mode(Mode::Away);
    run(&world, outbox, 0, 50);
    world.mode(Mode::Serve);
    run(&world, outbox, 50, 200);
    let report = outbox.report();
    assert!(report.storage_failures > 200 && report.dropped == 0, "{report:?}");
    assert!(world.broker().gateway.values(77).into_iter().eq(0..i64::from(report.delivered)));
    assert!(report.delivered > 190, "{report:?}");

    // It can be read again, but not be written: the next start would count to the same number.
    world.shelf.0.borrow_mut().fails = false;
    assert_eq!(world.boot(WhenFull::DropOldest, Keep::ALWAYS).start(&COUNTED).boot(), 1_000);
    assert_eq!(world.boot(WhenFull::DropOldest, Keep::ALWAYS).start(&COUNTED).boot(), 1_001);
    world.shelf.0.borrow_mut().worn = true;
    assert_eq!(
        world.boot(WhenFull::DropOldest, Keep::ALWAYS).start(&Identity::Counted { otherwise: 9 }).boot(),
        9
    );
}

/// Readings of which hardly any fit into a frame are in the image, too.
#[test]
fn long_readings_are_kept() {
    let world = World::new();
    let mut memory = world.boot(WhenFull::DropOldest, Keep::NEVER);
    let outbox = memory.start(&COUNTED);
    for id in 0..31_u16 {
        outbox.put(Channel::new(60_000 + id, 12).unwrap(), i64::MIN / 3 * 2 + i64::from(id));
    }
    outbox.save().unwrap();
    let mut memory = world.boot(WhenFull::DropOldest, Keep::NEVER);
    assert_eq!(memory.start(&COUNTED).report().restored, 31);
}

/// A queue that came back may fill its memory to the brim: what is read after that is in the next image, too.
#[test]
fn a_full_queue_comes_back_again() {
    let put = |outbox: &Readings, count: i64| (0..count).for_each(|value| outbox.put(ONE, value << 40));
    for (first, later) in (500..532).flat_map(|first| [1, 16, 32].map(|later| (first, later))) {
        let world = World::new();
        let mut memory = world.boot(WhenFull::DropOldest, Keep::NEVER);
        let outbox = memory.start(&COUNTED);
        put(outbox, first);
        outbox.save().unwrap();
        let mut memory = world.boot(WhenFull::DropOldest, Keep::NEVER);
        let outbox = memory.start(&COUNTED);
        put(outbox, later);
        outbox.save().unwrap();
        let queued = outbox.report().queued;
        let mut memory = world.boot(WhenFull::DropOldest, Keep::NEVER);
        let outbox = memory.start(&COUNTED);
        assert_eq!((outbox.report().restored, outbox.boot()), (queued, 1_002), "{first}, then {later}");
    }
}

/// Whatever is wrong with an image, it is not taken for readings, and the queue works.
#[test]
fn images_that_are_none() {
    let world = World::new();
    world.mode(Mode::Away);
    let mut memory = world.boot(WhenFull::DropOldest, Keep::ALWAYS);
    run(&world, memory.start(&COUNTED), 0, 40);
    let good = world.shelf.0.borrow().image.clone();
    let cut = |len: usize| good[..len].to_vec();
    let mut bad: Vec<Vec<u8>> = vec![Vec::new(), vec![0xff; 4_096], vec![0xff; 2_048], vec![0; 300]];
    bad.extend((0..good.len()).step_by(7).map(cut));
    for at in (0..good.len()).step_by(3) {
        let mut flipped = good.clone();
        flipped[at] ^= 0x10;
        bad.push(flipped);
    }
    for image in bad {
        world.shelf.0.borrow_mut().image = image;
        let mut memory = world.boot(WhenFull::DropOldest, Keep::NEVER);
        let outbox = memory.start(&Identity::Random(5));
        assert_eq!((outbox.report().restored, outbox.boot()), (0, 5));
        outbox.put(ONE, 1);
        assert_eq!(outbox.report().queued, 1);
    }
    world.shelf.0.borrow_mut().image = good;
    let mut memory = world.boot(WhenFull::DropOldest, Keep::NEVER);
    // A boot number that storage knows as an earlier one is not taken again.
    assert_eq!(memory.start(&Identity::Random(1_000)).boot(), 1_001);
}

/// An image of before a merge must not come back when what was merged is out: the gateway would have both, under numbers with two
/// contents, which it does not take here.
#[test]
fn images_of_before_a_merge() {
    let world = World::new();
    world.mode(Mode::Away);
    let seldom = Keep { at_risk: 0, spacing_ms: 1_000_000 };
    let mut memory = world.boot(WhenFull::Merge, seldom);
    let outbox = memory.start(&COUNTED);
    run(&world, outbox, 0, 2_900);
    let saves = world.shelf.0.borrow().saves;
    world.mode(Mode::Serve);
    run(&world, outbox, 2_900, 5);
    let report = outbox.report();
    assert!(report.merged > 500 && report.delivered > 0, "{report:?}");
    assert_eq!(world.shelf.0.borrow().saves, saves + 1);
    // Power is lost before anything else is saved.
    let mut memory = world.boot(WhenFull::Merge, seldom);
    let outbox = memory.start(&COUNTED);
    assert!(outbox.report().restored > 0);
    run(&world, outbox, 0, 100);
    let broker = world.broker();
    assert!(
        broker.gateway.again > 0 && broker.gateway.missing(1_000, 2_905) <= u64::from(report.merged) + 10
    );
}

/// What comes back may have gone out after the image was made: its numbers are final, whatever has to be merged later.
#[test]
fn what_comes_back_is_not_merged() {
    let world = World::new();
    world.mode(Mode::Away);
    let seldom = Keep { at_risk: 0, spacing_ms: 1_000_000 };
    let mut memory = world.boot(WhenFull::Merge, seldom);
    let outbox = memory.start(&COUNTED);
    run(&world, outbox, 0, 200);
    outbox.save().unwrap();
    world.mode(Mode::Serve);
    run(&world, outbox, 200, 60);
    assert!(outbox.report().delivered >= 200);
    // Back with the image of before, into an outage that needs all the room.
    world.mode(Mode::Away);
    let mut memory = world.boot(WhenFull::Merge, seldom);
    let outbox = memory.start(&COUNTED);
    assert_eq!(outbox.report().restored, 200);
    run(&world, outbox, 0, 6_000);
    assert!(outbox.report().merged > 3_000, "{:?}", outbox.report());
    world.mode(Mode::Serve);
    run(&world, outbox, 6_000, 300);
    // The gateway checked that no number came with two contents.
    let broker = world.broker();
    assert_eq!(broker.gateway.values(1_000)[..200], (0..200).collect::<Vec<i64>>());
    assert_eq!(broker.gateway.again, 200);
    assert_eq!(broker.gateway.dropped(1_001), u64::from(outbox.report().dropped));
}

/// Flash is written as seldom as was asked for, and an image of a backlog that is gone does not stay.
#[test]
fn flash_is_spared() {
    let world = World::new();
    let mut memory = world.boot(WhenFull::DropOldest, Keep::FLASH);
    let outbox = memory.start(&COUNTED);
    run(&world, outbox, 0, 1_000);
    assert_eq!(world.shelf.0.borrow().saves, 1, "the boot number, and nothing while all is well");
    world.mode(Mode::Away);
    run(&world, outbox, 1_000, 3_600);
    let saves = world.shelf.0.borrow().saves;
    assert!((6..=8).contains(&saves), "{saves} in an hour");
    world.mode(Mode::Serve);
    run(&world, outbox, 5_000, 1_300);
    let mut memory = world.boot(WhenFull::DropOldest, Keep::FLASH);
    assert!(memory.start(&COUNTED).report().restored <= 60);
}
