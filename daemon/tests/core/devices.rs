//! Devices that send frames, in the store: what is known of one is the same wherever the power goes.

use crate::rig::{Rig, at, idle, message, plan};
use std::ops::Range;
use tidegate::store::StoreError;
use tidegate_medium::{Disk, Trouble};
use tidegate_pipeline::devices::Lost;
use tidegate_pipeline::message::Message;
use tidegate_pipeline::plan::{Fields, Format, Plan, StreamPlan, TicksPlan, Unique};
use tidegate_pipeline::topic::TopicPattern;
use tidegate_wire::{Channel, Encoder, Head, Status};

/// By step: boot, numbers, and how many the device has given up. 4 to 7 are lost, 12 and 13 were given up, 20 to 22 come
/// late, after a restart; of that boot 0 and 1 are lost, and 8 to 10 were given up.
const SCRIPT: [(u32, Range<u64>, u32); 9] = [
    (1, 0..4, 0),
    (1, 8..12, 0),
    (1, 14..18, 2),
    (1, 18..20, 2),
    (1, 23..25, 2),
    (2, 2..6, 0),
    (1, 20..23, 2),
    (2, 6..8, 0),
    (2, 11..13, 3),
];

pub fn frames() -> Plan {
    let before = plan();
    let stream = StreamPlan {
        topics: vec![TopicPattern::parse("f/{device}").unwrap()],
        format: Format::Tidegate,
        fields: Fields::default(),
        time: None,
        ticks: Some(TicksPlan::default()),
        unique: Unique::Numbered { per: None },
        ..before.streams[0].clone()
    };
    Plan { streams: vec![stream], ..before }
}

/// A frame with readings of these numbers, a second apart, and a status block.
pub fn frame(boot: u32, numbers: Range<u64>, dropped: u32) -> Vec<u8> {
    let mut buffer = [0; 512];
    let head = Head { boot, sequence: numbers.start, hz: 1_000 };
    let mut frame = Encoder::new(&mut buffer, head).unwrap();
    for number in numbers.clone() {
        frame.push(Channel { id: 0, decimals: 0 }, number * 1_000, 1).unwrap();
    }
    let status = Status { dropped: Some(dropped), queued: Some(0), ..Status::default() };
    frame.finish(numbers.end * 1_000, Some(&status)).unwrap().to_vec()
}

fn step(rig: &mut Rig, number: usize) -> Result<(), StoreError> {
    let (boot, numbers, dropped) = SCRIPT[number].clone();
    let payload = frame(boot, numbers, dropped);
    let secs = 100 + i64::try_from(number).unwrap();
    let send = |step: &mut tidegate_pipeline::Step<'_>| {
        step.message(&Message { payload: &payload, arrival: at(secs), ..message(secs, "f/d", "") });
    };
    rig.commit(secs, send, |commit| commit.waiting = idle(&["out"]))
}

fn open(disk: Disk) -> Result<Rig, StoreError> {
    let mut rig = Rig::open(disk, frames())?;
    rig.store.checkpoint_from(1);
    Ok(rig)
}

/// What the account says in the end, whatever came twice.
fn check(rig: &Rig, what: &str) {
    let devices = rig.pipeline.devices(&rig.pipeline.devices_of_note(9));
    let [device] = devices.as_slice() else { panic!("{what}: {devices:?}") };
    // Given up: 2 and 3. Lost: 4 to 7, and 0 and 1 after the restart.
    assert_eq!((device.lost, device.numbers), (Lost { sensor: 5, air: 6 }, 27), "{what}");
    assert_eq!((device.health.unwrap().dropped, device.estimate.boot), (Some(3), 2), "{what}");
    let readings = device.counted + device.duplicate;
    assert_eq!(rig.pipeline.ledger().total(), readings, "{what}");
    let totals = rig.pipeline.state().devices.totals();
    assert_eq!((totals.sensor, totals.air, totals.gateway), (5, 6, 0), "{what}");
}

/// After the cut the device sends again what was not acknowledged, and the frame before, whose acknowledgement was cut off.
#[test]
fn a_power_cut_at_every_write() {
    let run = |disk: &Disk| {
        let Ok(mut rig) = open(disk.clone()) else { return 0 };
        (0..SCRIPT.len()).take_while(|number| step(&mut rig, *number).is_ok()).count()
    };
    let disk = Disk::default();
    assert_eq!(run(&disk), SCRIPT.len());
    let calls = disk.calls();
    assert!(calls > 50, "{calls}");
    for call in 1..=calls {
        let disk = Disk::default();
        disk.trouble(Trouble::CutAt(call));
        let done = run(&disk);
        let mut rig = open(disk.after_cut(call)).unwrap();
        (done.saturating_sub(1)..SCRIPT.len()).for_each(|number| step(&mut rig, number).unwrap());
        check(&rig, &format!("call {call} of {calls}"));
        check(&rig.restart(), "and again");
    }
}
