//! What the SDK costs, in instructions: under `-icount shift=0` QEMU lets a nanosecond pass with each, and the timer counts 40 of them
//! at a time. `./tests/run firmware` shows the table.

#![no_std]
#![no_main]

use core::hint::black_box;
use semihosting::println;
use tidegate_firmware::wire::{Encoder, Frame, Head};
use tidegate_firmware::{Channel, Health, Queue, WhenFull, wire};

/// CMSDK APB timer 0 (Arm DDI 0479, section 4.4), which counts down.
const TIMER: usize = 0x4000_0000;
const NANOSECONDS: u32 = 40;
const ROUNDS: u32 = 200;

fn timer() -> u32 {
    // SAFETY: a register of a timer that every AN386 has at this address.
    unsafe { core::ptr::read_volatile((TIMER + 4) as *const u32) }
}

/// Instructions of one round.
fn count(mut round: impl FnMut()) -> u32 {
    let before = timer();
    (0..ROUNDS).for_each(|_| round());
    before.wrapping_sub(timer()).wrapping_mul(NANOSECONDS) / ROUNDS
}

/// A 12-bit sensor that changes slowly.
fn value(second: u64) -> i64 {
    2_048 + (second as i64 * 7 % 5) - 2
}

#[cortex_m_rt::entry]
fn main() -> ! {
    // SAFETY: as above; nobody else uses this timer.
    unsafe {
        core::ptr::write_volatile((TIMER + 8) as *mut u32, u32::MAX);
        core::ptr::write_volatile((TIMER + 4) as *mut u32, u32::MAX);
        core::ptr::write_volatile(TIMER as *mut u32, 1);
    }
    const SENSOR: wire::Channel = wire::Channel { id: 0, decimals: 0 };
    let head = Head { boot: 7, sequence: 100, hz: 1_000 };
    let mut buffer = [0; 512];
    let mut len = 0;
    let encode = count(|| {
        let Ok(mut frame) = Encoder::new(&mut buffer, black_box(head)) else { return };
        for second in 0..60 {
            let _fits = frame.push(SENSOR, second * 1_000, value(second));
        }
        len = frame.finish(60_020, None).map_or(0, <[u8]>::len);
    });
    let frame = buffer.get(..len).unwrap_or_default();
    let decode = count(|| {
        let readings =
            Frame::parse(black_box(frame)).map(|frame| frame.readings().map(|r| r.raw).sum::<i64>());
        black_box(readings.unwrap_or(0));
    });
    println!("instructions to write a frame of 60 readings: {encode}, {} a reading", encode / 60);
    println!("instructions to read it: {decode}, {} a reading", decode / 60);

    let channel = const { Channel::new(0, 0).unwrap() };
    for (name, when_full) in [("drops", WhenFull::DropOldest), ("merges", WhenFull::Merge)] {
        let mut queue = Queue::<2_048>::new(7, &[], when_full);
        let mut second = 0;
        let mut push = |queue: &mut Queue<2_048>| {
            queue.push(channel, second * 1_000, value(second));
            second += 1;
        };
        let fresh = count(|| push(&mut queue));
        (0..5_000).for_each(|_| push(&mut queue));
        let full = count(|| push(&mut queue));
        println!("instructions to queue a reading: {fresh}, where it {name}: {full}");
        let mut readings = 0;
        let sent = count(|| {
            let frame = queue.frame(black_box(&mut buffer), 1 << 40, &Health::default());
            readings = frame.ok().flatten().map_or(0, |frame| frame.readings);
        });
        println!("instructions to make a frame of the oldest {readings}, where it {name}: {sent}");
    }
    semihosting::process::exit(0)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    semihosting::process::exit(1)
}
