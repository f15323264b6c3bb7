//! A board on a clock of its own: its tasks are polled whenever time has gone on.

use crate::broker::{Broker, Line, Mode};
use crate::shelf::Shelf;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::{Duration, Instant, MockDriver};
use std::cell::RefMut;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tidegate_firmware::{Channel, Identity, Keep, Outbox, OutboxMemory, Settings, WhenFull};

pub(crate) const BYTES: usize = 2_048;
pub(crate) const ONE: Channel = Channel::new(1, 0).unwrap();
pub(crate) const TWO: Channel = Channel::new(2, 1).unwrap();

/// There is one clock: tests that use it take turns.
static CLOCK: Mutex<()> = Mutex::new(());

pub(crate) type Memory = OutboxMemory<NoopRawMutex, Shelf, BYTES>;
pub(crate) type Readings = Outbox<NoopRawMutex, Shelf, BYTES>;
pub(crate) type Publisher<'a> = tidegate_firmware::Publisher<'a, NoopRawMutex, Shelf, BYTES, 1_024>;

/// The publisher of a device, which never ends.
pub(crate) type Task<'a> = Pin<&'a mut dyn Future<Output = ()>>;

pub(crate) struct World {
    pub(crate) line: Line,
    pub(crate) shelf: Shelf,
    _clock: MutexGuard<'static, ()>,
}

impl World {
    pub(crate) fn new() -> World {
        let clock = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
        MockDriver::get().reset();
        World { line: Line::default(), shelf: Shelf::default(), _clock: clock }
    }

    /// The device starts anew: its clock begins at 0.
    pub(crate) fn boot(&self, when_full: WhenFull, keep: Keep) -> Memory {
        MockDriver::get().reset();
        OutboxMemory::new(self.shelf.clone(), &[], when_full, keep)
    }

    /// Publishes what is in `outbox` while `act` lets time go on.
    pub(crate) fn publish(&self, outbox: &Readings, settings: Settings<'_>, act: impl FnOnce(&mut Task<'_>)) {
        let mut publisher = Publisher::new(outbox, settings);
        let mut line = self.line.clone();
        let task = pin!(async {
            publisher.run(&mut line).await;
        });
        act(&mut { task })
    }

    pub(crate) fn broker(&self) -> RefMut<'_, Broker> {
        self.line.0.borrow_mut()
    }

    pub(crate) fn mode(&self, mode: Mode) {
        self.broker().mode = mode;
    }
}

pub(crate) const COUNTED: Identity<'static> = Identity::Counted { otherwise: 1_000 };

pub(crate) fn settings() -> Settings<'static> {
    Settings { gather: Duration::from_secs(5), ..Settings::new("d1", "field/d1") }
}

/// Polls a task so long as something moves at this moment.
pub(crate) fn poll<T>(task: &mut Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..4 {
        if let Poll::Ready(done) = task.as_mut().poll(&mut context) {
            return Poll::Ready(done);
        }
    }
    Poll::Pending
}

/// Lets time go on in steps, and polls the task after each.
pub(crate) fn pass(task: &mut Pin<&mut (impl Future<Output = ()> + ?Sized)>, steps: u32, step: Duration) {
    for _ in 0..steps {
        MockDriver::get().advance(step);
        let _forever = poll(task);
    }
}

pub(crate) fn now_ms() -> u64 {
    Instant::now().as_millis()
}
