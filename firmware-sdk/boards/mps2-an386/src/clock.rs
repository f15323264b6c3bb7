//! embassy's clock on SysTick, a millisecond per tick.

use core::cell::RefCell;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Waker;
use cortex_m::peripheral::syst::SystClkSource;
use critical_section::Mutex;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

/// The AN386's system clock.
const CLOCK_HZ: u32 = 25_000_000;

struct SysTick {
    queue: Mutex<RefCell<Queue>>,
    low: AtomicU32,
    high: AtomicU32,
}

embassy_time_driver::time_driver_impl!(static DRIVER: SysTick = SysTick {
    queue: Mutex::new(RefCell::new(Queue::new())),
    low: AtomicU32::new(0),
    high: AtomicU32::new(0),
});

impl Driver for SysTick {
    fn now(&self) -> u64 {
        critical_section::with(|_| {
            u64::from(self.high.load(Ordering::Relaxed)) << 32 | u64::from(self.low.load(Ordering::Relaxed))
        })
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
    if let Some(mut core) = cortex_m::Peripherals::take() {
        core.SYST.set_clock_source(SystClkSource::Core);
        core.SYST.set_reload(CLOCK_HZ / 1_000 - 1);
        core.SYST.clear_current();
        core.SYST.enable_counter();
        core.SYST.enable_interrupt();
    }
}

#[cortex_m_rt::exception]
fn SysTick() {
    critical_section::with(|cs| {
        let low = DRIVER.low.load(Ordering::Relaxed).wrapping_add(1);
        DRIVER.low.store(low, Ordering::Relaxed);
        if low == 0 {
            DRIVER.high.store(DRIVER.high.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
        let now = DRIVER.now();
        DRIVER.queue.borrow_ref_mut(cs).next_expiration(now);
    });
}
