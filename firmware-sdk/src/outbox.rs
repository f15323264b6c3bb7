//! What sampling and publishing share: the queue, its storage, and a bell between them.

use crate::channel::Channel;
use crate::health::Health;
use crate::identity::Identity;
use crate::queue::{Outgoing, Queue, TooSmall, WhenFull};
use crate::report::Report;
use crate::storage::{Keep, Storage};
use core::cell::RefCell;
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_sync::signal::Signal;

/// The readings of a device on their way out, in `BYTES` bytes.
///
/// `M` says who may use it: `NoopRawMutex` where all tasks are on one executor, `CriticalSectionRawMutex` elsewhere. With that,
/// interrupts wait while a frame is packed (a fraction of a millisecond) and while storage is written.
pub struct Outbox<M: RawMutex, S, const BYTES: usize> {
    inner: Mutex<M, RefCell<Inner<S, BYTES>>>,
    more: Signal<M, ()>,
}

struct Inner<S, const BYTES: usize> {
    queue: Queue<BYTES>,
    storage: S,
    keep: Keep,
    health: Health,
    report: Report,
    saved_ms: Option<u64>,
    /// How many readings the last image holds.
    image: u32,
}

/// When there is something to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Now,
    /// At this uptime, if nothing more comes.
    At(u64),
    Never,
}

/// The memory of an outbox before its device has a boot number. It is made at compile time, so that it is never on the stack:
/// `static MEMORY: ConstStaticCell<OutboxMemory<…>> = ConstStaticCell::new(OutboxMemory::new(…))`.
pub struct OutboxMemory<M: RawMutex, S, const BYTES: usize>(Outbox<M, S, BYTES>);

impl<M: RawMutex, S: Storage, const BYTES: usize> OutboxMemory<M, S, BYTES> {
    /// Empty memory. `channels` are those whose readings are not merged by their mean ([`WhenFull::Merge`]).
    pub const fn new(storage: S, channels: &'static [Channel], when_full: WhenFull, keep: Keep) -> Self {
        let inner = Inner {
            queue: Queue::new(0, channels, when_full),
            storage,
            keep,
            health: Health { resets: None, rssi_dbm: None, battery_mv: None },
            report: Report::NONE,
            saved_ms: None,
            image: 0,
        };
        OutboxMemory(Outbox { inner: Mutex::new(RefCell::new(inner)), more: Signal::new() })
    }

    /// Takes up what the last start left in storage, and begins to queue. Once per start of the device: another call would
    /// take what is in storage for that of an earlier start.
    pub fn start(&mut self, identity: &Identity<'_>) -> &Outbox<M, S, BYTES> {
        self.0.with(|inner| {
            match inner.queue.restore(&mut inner.storage, identity) {
                Ok(restored) => inner.report.restored = restored,
                Err(_) => inner.report.storage_failures = 1,
            }
            inner.health.resets = matches!(identity, Identity::Counted { .. }).then(|| inner.queue.starts());
            inner.image = inner.queue.len();
        });
        &self.0
    }
}

impl<M: RawMutex, S: Storage, const BYTES: usize> Outbox<M, S, BYTES> {
    /// Takes a reading of now.
    pub fn put(&self, channel: Channel, value: i64) {
        self.put_at(channel, crate::sampler::now_ms(), value);
    }

    /// Takes a reading that was taken at an uptime of `ms` milliseconds (embassy's clock, not later than now).
    pub fn put_at(&self, channel: Channel, ms: u64, value: i64) {
        self.with(|inner| {
            let now = crate::sampler::now_ms();
            inner.queue.push(channel, ms.min(now), value);
            inner.save_when_due(now);
        });
        self.more.signal(());
    }

    /// Says how the device is. It goes with every frame from here on.
    pub fn set_health(&self, change: impl FnOnce(&mut Health)) {
        self.with(|inner| change(&mut inner.health));
    }

    /// Saves the queue now, whatever [`Keep`] says: before a planned reset, or a sleep that ends in one.
    ///
    /// # Errors
    /// When storage does not take it. What waits is still in RAM.
    pub fn save(&self) -> Result<(), S::Error> {
        self.with(|inner| inner.save(crate::sampler::now_ms())).unwrap_or(Ok(()))
    }

    /// What happened since the start.
    pub fn report(&self) -> Report {
        self.with(|inner| {
            let (dropped, merged) = inner.queue.given_up_and_merged();
            Report { queued: inner.queue.len(), dropped, merged, ..inner.report }
        })
        .unwrap_or_default()
    }

    /// The boot number of this start.
    pub fn boot(&self) -> u32 {
        self.with(|inner| inner.queue.boot()).unwrap_or_default()
    }

    /// The storage, for what else the board keeps there.
    pub fn with_storage<R>(&self, act: impl FnOnce(&mut S) -> R) -> Option<R> {
        self.with(|inner| act(&mut inner.storage))
    }

    /// Returns when a reading came since the last call.
    pub(crate) async fn more(&self) {
        self.more.wait().await;
    }

    pub(crate) fn due(&self, now: u64, gather_ms: u64, enough: u32) -> Due {
        self.with(|inner| {
            let Some(oldest) = inner.queue.oldest_ms() else { return Due::Never };
            let at = oldest.saturating_add(gather_ms);
            if at <= now || inner.queue.len() >= enough { Due::Now } else { Due::At(at) }
        })
        .unwrap_or(Due::Never)
    }

    pub(crate) fn frame(&self, out: &mut [u8], now: u64) -> Result<Option<Outgoing>, TooSmall> {
        self.with(|inner| {
            if inner.queue.needs_saving() && inner.image > 0 {
                // It goes out all the same if that fails: a double in a mean after the next reset is less than silence.
                let _counted = inner.save(now);
            }
            let frame = inner.queue.frame(out, now, &inner.health)?;
            inner.report.resent += u32::from(frame.is_some_and(|frame| frame.again));
            Ok(frame)
        })
        .unwrap_or(Ok(None))
    }

    pub(crate) fn acknowledged(&self) {
        self.with(|inner| {
            let delivered = inner.queue.acknowledged();
            inner.report.delivered = inner.report.delivered.saturating_add(delivered);
            inner.save_when_due(crate::sampler::now_ms());
        });
    }

    pub(crate) fn connected(&self) {
        self.with(|inner| inner.report.connections = inner.report.connections.saturating_add(1));
    }

    pub(crate) fn disconnected(&self) {
        self.with(|inner| {
            inner.queue.abandon();
            inner.report.failures = inner.report.failures.saturating_add(1);
        });
    }

    /// `None` only from within `act` of another call, which nothing here does; but a panic would be the alternative.
    fn with<R>(&self, act: impl FnOnce(&mut Inner<S, BYTES>) -> R) -> Option<R> {
        self.inner.lock(|inner| inner.try_borrow_mut().ok().map(|mut inner| act(&mut inner)))
    }
}

impl<S: Storage, const BYTES: usize> Inner<S, BYTES> {
    fn save_when_due(&mut self, now: u64) {
        let (waits, keep) = (self.queue.len(), self.keep);
        // An image of a backlog that is gone would all be sent again after a reset.
        let wanted = waits > keep.at_risk || self.image > keep.at_risk;
        let due = self.saved_ms.is_none_or(|saved| now >= saved.saturating_add(keep.spacing_ms));
        if wanted && due {
            let _counted = self.save(now);
        }
    }

    fn save(&mut self, now: u64) -> Result<(), S::Error> {
        self.saved_ms = Some(now);
        let saved = self.queue.save(&mut self.storage, now);
        match saved {
            Ok(()) => self.image = self.queue.len(),
            Err(_) => self.report.storage_failures = self.report.storage_failures.saturating_add(1),
        }
        saved
    }
}
