//! The queue: readings in a fixed piece of memory, packed as frames, until they are acknowledged. Pure: time is an argument.
//!
//! New readings are *open* until there are enough for a frame; then they are *sealed* behind the others, in a tenth of the
//! room. When they are sent, sealed frames are read again and written into one, with the uptime of that moment.
//!
//! A reading's number is final when it is first sent. Until then merging may give it a later one, so that what is left of
//! several frames is numbered without gaps inside, and the numbers that are missing are as many as were given up.

mod boots;
mod full;
mod image;
mod packed;

use crate::channel::Channel;
use crate::health::Health;
use boots::Boots;
use core::fmt;
use heapless::Vec;
pub use image::QUEUE_BYTES_MIN;
use packed::{Flags, Packed};
use tidegate_wire::{Encoder, Frame, Head, READINGS_MAX};

/// Readings that are not packed yet.
const OPEN_MAX: usize = 32;
/// A sealed frame is not longer, in bytes. A buffer to send from has to take one with its status.
pub const SEALED_BYTES_MAX: usize = 256;

/// What gives way when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Neighbours of a channel become one, the oldest of the finest first: an outage of any length fits, evenly coarser.
    /// What was sent or survived a reset is not merged; where nothing else is left, the oldest is dropped.
    #[default]
    Merge,
    /// The oldest readings are dropped.
    DropOldest,
}

/// The buffer does not take the oldest frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall;

impl fmt::Display for TooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the buffer to send from is too small for a frame of the queue: see SEALED_BYTES_MAX")
    }
}

impl core::error::Error for TooSmall {}

/// A frame that is about to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its length in bytes.
    pub len: usize,
    /// How many readings it holds.
    pub readings: usize,
    /// Whether some of them were sent before.
    pub again: bool,
}

/// Readings that wait to be acknowledged, in `BYTES` bytes of packed frames.
pub struct Queue<const BYTES: usize> {
    packed: Packed<BYTES>,
    open: Vec<Open, OPEN_MAX>,
    boots: Boots,
    /// The number of the next reading.
    next: u64,
    /// Packed frames at the front that are under way.
    in_flight: usize,
    /// What their status told as given up.
    telling: u32,
    channels: &'static [Channel],
    when_full: WhenFull,
    merged: u32,
    given_up: u32,
    /// Numbers that were not final have changed since the last image.
    renumbered: bool,
    starts: u32,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    channel: Channel,
    ms: u64,
    value: i64,
}

impl<const BYTES: usize> Queue<BYTES> {
    /// An empty queue of this start. `channels` are those of which [`WhenFull::Merge`] has to know how; others are merged by
    /// their mean.
    pub const fn new(boot: u32, channels: &'static [Channel], when_full: WhenFull) -> Queue<BYTES> {
        const { assert!(BYTES >= QUEUE_BYTES_MIN, "a queue needs QUEUE_BYTES_MIN bytes") };
        Queue {
            packed: Packed::new(),
            open: Vec::new(),
            boots: Boots::new(boot),
            next: 0,
            in_flight: 0,
            telling: 0,
            channels,
            when_full,
            merged: 0,
            given_up: 0,
            renumbered: false,
            starts: 1,
        }
    }

    /// Takes a reading, at an uptime of `ms` milliseconds. It always does; older ones may have to give way.
    pub fn push(&mut self, channel: Channel, ms: u64, value: i64) {
        if self.open.is_full() {
            self.seal(ms, true);
        }
        self.next += 1;
        if self.open.push(Open { channel, ms, value }).is_err() {
            self.give_up(self.boot(), 1);
        }
    }

    /// How many readings wait.
    pub fn len(&self) -> u32 {
        let open = u32::try_from(self.open.len()).unwrap_or(u32::MAX);
        self.packed.records().fold(open, |sum, record| sum.saturating_add(record.count()))
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.packed.len() == 0
    }

    /// The boot number of this start.
    pub fn boot(&self) -> u32 {
        self.boots.current.boot
    }

    /// The number that the next reading gets.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Readings given up since the start, and how many of them live on in a neighbour.
    pub fn given_up_and_merged(&self) -> (u32, u32) {
        (self.given_up, self.merged)
    }

    /// The uptime of the oldest reading, 0 where it is of an earlier start.
    pub fn oldest_ms(&self) -> Option<u64> {
        let Some(record) = self.packed.at(0) else { return self.open.first().map(|open| open.ms) };
        let own = record.frame().filter(|frame| frame.head.boot == self.boot());
        Some(own.and_then(|frame| frame.readings().next()).map_or(0, |reading| reading.ticks))
    }

    /// Writes the oldest readings into `out`, as a frame that is sent at an uptime of `ms`; as many as fit, in the order of
    /// their numbers. They stay in the queue until [`Queue::acknowledged`]. `None` where none waits.
    ///
    /// # Errors
    /// When `out` is too small for one frame.
    pub fn frame(&mut self, out: &mut [u8], ms: u64, health: &Health) -> Result<Option<Outgoing>, TooSmall> {
        self.abandon();
        // What was sent without an answer goes first, and alone: sealing at each try would make many short frames.
        if !self.packed.records().any(|record| record.flags.is_sent()) {
            self.seal(ms, false);
        }
        self.remove_damaged();
        let mut most = usize::MAX;
        loop {
            match self.encode(out, ms, health, most)? {
                Encoded::Nothing => return Ok(None),
                Encoded::Without(frames) => most = frames,
                Encoded::Whole { frames, len, readings } => {
                    return Ok(Some(Outgoing { len, readings, again: self.mark(frames) }));
                }
            }
        }
    }

    /// The frame that was made last was acknowledged: its readings leave. Says how many.
    pub fn acknowledged(&mut self) -> u32 {
        let mut readings: u32 = 0;
        for _ in 0..core::mem::take(&mut self.in_flight) {
            let Some(record) = self.packed.at(0) else { break };
            readings = readings.saturating_add(record.count());
            if let Some(boot) = record.frame().map(|frame| frame.head.boot) {
                self.boots.of_mut(boot).told = self.telling;
            }
            self.packed.remove(0);
        }
        self.tidy();
        readings
    }

    /// No answer will come for the frame that was made last. It is sent again under the same numbers.
    pub fn abandon(&mut self) {
        self.in_flight = 0;
    }

    /// Packs what is open behind the rest. Where there is no room, something gives way, or else it stays open.
    fn seal(&mut self, ms: u64, at_any_price: bool) {
        let mut scratch = [0; SEALED_BYTES_MAX];
        let Some((len, count)) = self.encode_open(&mut scratch, ms) else {
            // Nothing of it can be written: it must not stand in the way for ever.
            let lost = self.open.len();
            self.open.clear();
            return self.give_up(self.boot(), u32::try_from(lost).unwrap_or(u32::MAX));
        };
        if count == 0 {
            return;
        }
        if !at_any_price && !self.has_room(len, image::RESERVE) {
            return;
        }
        let frame = scratch.get(..len).unwrap_or_default();
        if !self.make_room(len, image::RESERVE) || !self.packed.push(Flags::NEW, frame) {
            self.give_up(self.boot(), u32::try_from(count).unwrap_or(u32::MAX));
        }
        let mut packed = 0..count;
        self.open.retain(|_| packed.next().is_none());
    }

    /// The open readings, as many as fit, as a frame of so many bytes with so many readings. `None` where the first does not
    /// fit, which no reading that is possible does.
    fn encode_open(&self, out: &mut [u8], ms: u64) -> Option<(usize, usize)> {
        let Some(first) = self.open.first() else { return Some((0, 0)) };
        let sequence = self.next.saturating_sub(self.open.len() as u64);
        let head = Head { boot: self.boot(), sequence, hz: crate::HZ };
        let mut frame = Encoder::new(out, head).ok()?;
        let mut latest = first.ms;
        for open in &self.open {
            if frame.push(open.channel.place, open.ms, open.value).is_err() {
                break;
            }
            latest = latest.max(open.ms);
        }
        let count = frame.len();
        Some((frame.finish(ms.max(latest), None).ok()?.len(), count))
    }

    /// The first frames of the queue as one, at most so many, with the status.
    fn encode(&self, out: &mut [u8], ms: u64, health: &Health, most: usize) -> Result<Encoded, TooSmall> {
        let Some(first) = self.packed.at(0).and_then(|record| record.frame()) else {
            return Ok(Encoded::Nothing);
        };
        let (head, boot) = (first.head, self.boots.of(first.head.boot));
        let mut into = Encoder::new(out, head).map_err(|_| TooSmall)?;
        let (mut frames, mut bytes, mut latest) = (0, 0, 0);
        for record in self.packed.records().take(most) {
            bytes += record.bytes.len();
            let Some(frame) = record.frame() else { break };
            let next =
                frame.head.boot == head.boot && frame.head.sequence == head.sequence + into.len() as u64;
            // A third of the memory at most is under way, so that the rest can give way.
            let fits = into.len() + frame.len() <= READINGS_MAX && (frames == 0 || bytes <= BYTES / 3);
            if !next || !fits {
                break;
            }
            let all = frame.readings().all(|reading| {
                latest = latest.max(reading.ticks);
                into.push(reading.channel, reading.ticks, reading.raw).is_ok()
            });
            if !all {
                return if frames == 0 { Err(TooSmall) } else { Ok(Encoded::Without(frames)) };
            }
            frames += 1;
        }
        let readings = into.len();
        let behind = self.len().saturating_sub(u32::try_from(readings).unwrap_or(u32::MAX));
        // What is known of the device is known of now.
        let own = boot.boot == self.boot();
        let status = if own { *health } else { Health::default() }.status(behind, boot.dropped);
        let sent = boot.ahead_ms.saturating_add(ms).max(latest);
        let len = into.finish(sent, Some(&status)).map_err(|_| TooSmall)?.len();
        Ok(Encoded::Whole { frames, len, readings })
    }

    /// The first `frames` are under way. Says whether one of them was before.
    fn mark(&mut self, frames: usize) -> bool {
        let (mut again, mut at) = (false, 0);
        for _ in 0..frames {
            let Some((end, flags)) = self.packed.at(at).map(|record| (record.end(), record.flags)) else {
                break;
            };
            again |= flags.is_sent();
            self.packed.set_flags(at, flags.sent());
            at = end;
        }
        self.in_flight = frames;
        let first = self.packed.at(0).and_then(|record| record.frame()).map(|frame| frame.head.boot);
        self.telling = self.boots.of(first.unwrap_or(self.boot())).dropped;
        again
    }

    /// A frame that cannot be read was damaged in memory. It is given up rather than standing in the way for ever.
    fn remove_damaged(&mut self) {
        while let Some(record) = self.packed.at(0) {
            if record.frame().is_some() {
                break;
            }
            let count = record.count();
            self.packed.remove(0);
            self.give_up(self.boot(), count.max(1));
        }
    }

    fn give_up(&mut self, boot: u32, readings: u32) {
        let boot = self.boots.of_mut(boot);
        boot.dropped = boot.dropped.saturating_add(readings);
        self.given_up = self.given_up.saturating_add(readings);
    }

    fn tidy(&mut self) {
        if !self.boots.past.is_empty() {
            let packed = &self.packed;
            let boots = |record: packed::Record<'_>| record.frame().map(|frame: Frame<'_>| frame.head.boot);
            self.boots.tidy(|boot| packed.records().filter_map(boots).any(|other| other == boot));
        }
    }
}

enum Encoded {
    Nothing,
    /// More than so many do not fit.
    Without(usize),
    Whole {
        frames: usize,
        len: usize,
        readings: usize,
    },
}
