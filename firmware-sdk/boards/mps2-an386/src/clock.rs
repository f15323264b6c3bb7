//! embassy's clock, a millisecond per tick: SysTick wakes, and a timer that never stops says how late it is. So no time is lost
//! where interrupts come late, as they do in an emulator whose host is busy.

use core::cell::{Cell, RefCell};
use core::task::Waker;
use cortex_m::peripheral::syst::SystClkSource;
use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

/// The AN386's system clock.
const CLOCK_HZ: u32 = 25_000_000;
const PER_MS: u32 = CLOCK_HZ / 1_000;

/// CMSDK APB timer 0 (Arm DDI 0479, section 4.4), which counts down.
const TIMER: usize = 0x4000_0000;
const VALUE: usize = TIMER + 4;
const RELOAD: usize = TIMER + 8;

struct Clock {
    queue: Mutex<RefCell<Queue>>,
    /// Milliseconds, cycles beyond them, and where the timer stood then.
    time: Mutex<Cell<(u64, u32, u32)>>,
}

embassy_time_driver::time_driver_impl!(static DRIVER: Clock = Clock {
    queue: Mutex::new(RefCell::new(Queue::new())),
    time: Mutex::new(Cell::new((0, 0, u32::MAX))),
});

impl Clock {
    /// It has to be asked once in 171 s, for then the timer begins anew; SysTick does a thousand times a second.
    fn read(&self, cs: CriticalSection<'_>) -> u64 {
        let time = self.time.borrow(cs);
        let (ms, rest, before) = time.get();
        // SAFETY: a register of a timer that every AN386 has at this address.
        let value = unsafe { core::ptr::read_volatile(VALUE as *const u32) };
        let cycles = u64::from(before.wrapping_sub(value)) + u64::from(rest);
        let ms = ms + cycles / u64::from(PER_MS);
        time.set((ms, (cycles % u64::from(PER_MS)) as u32, value));
        ms
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.read(cs))
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            // Looked at by the next tick: no alarm has to be set.
            self.queue.borrow_ref_mut(cs).schedule_wake(at, waker);
        });
    }
}

/// Starts it.
pub fn start() {
    // SAFETY: as above; nobody else uses this timer.
    unsafe {
        core::ptr::write_volatile(RELOAD as *mut u32, u32::MAX);
        core::ptr::write_volatile(VALUE as *mut u32, u32::MAX);
        core::ptr::write_volatile(TIMER as *mut u32, 1);
    }
    if let Some(mut core) = cortex_m::Peripherals::take() {
        core.SYST.set_clock_source(SystClkSource::Core);
        core.SYST.set_reload(PER_MS - 1);
        core.SYST.clear_current();
        core.SYST.enable_counter();
        core.SYST.enable_interrupt();
    }
}

#[cortex_m_rt::exception]
fn SysTick() {
    critical_section::with(|cs| {
        let now = DRIVER.read(cs);
        DRIVER.queue.borrow_ref_mut(cs).next_expiration(now);
    });
}
