//! What both sides expect of the next reading, so that only the difference has to be sent.
//!
//! A channel is expected after as long as the last time (delta of deltas, as in T. Pelkonen et al., "Gorilla: A Fast,
//! Scalable, In-Memory Time Series Database", VLDB 2015, section 4.1) and with the value that it had.

use crate::CHANNELS_MAX;
use crate::channel::Channel;

/// Ticks fit with room to add two differences in 64 bits with a sign.
pub(crate) const TICKS_MAX: u64 = (1 << 62) - 1;

/// The channels of a frame, in the order in which they come up.
#[derive(Clone, Debug)]
pub(crate) struct Channels {
    known: [Known; CHANNELS_MAX],
    count: usize,
    /// Of the last reading of any channel.
    ticks: i64,
    /// Between the last two readings of a channel, whichever came last: a new channel's first guess.
    interval: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    channel: Channel,
    ticks: i64,
    interval: Option<i64>,
    value: i64,
}

impl Channels {
    pub(crate) fn new(base: i64) -> Channels {
        Channels { known: [Known::default(); CHANNELS_MAX], count: 0, ticks: base, interval: 0 }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn find(&self, channel: Channel) -> Option<usize> {
        self.known.iter().take(self.count).position(|known| known.channel == channel)
    }

    pub(crate) fn channel(&self, slot: usize) -> Option<Channel> {
        self.known.get(slot).filter(|_| slot < self.count).map(|known| known.channel)
    }

    /// The ticks of the reading before, where a new channel's are counted from.
    pub(crate) fn before(&self) -> i64 {
        self.ticks
    }

    /// The ticks and the value that are expected of a channel.
    pub(crate) fn expect(&self, slot: usize) -> (i64, i64) {
        let known = self.known.get(slot).copied().unwrap_or_default();
        // Below 2^63: ticks are below 2^62, and so are intervals.
        (known.ticks + known.interval.unwrap_or(self.interval), known.value)
    }

    pub(crate) fn add(&mut self, channel: Channel, ticks: i64, value: i64) {
        if let Some(place) = self.known.get_mut(self.count) {
            *place = Known { channel, ticks, interval: None, value };
            self.count += 1;
        }
        self.ticks = ticks;
    }

    pub(crate) fn note(&mut self, slot: usize, ticks: i64, value: i64) {
        let Some(known) = self.known.get_mut(slot) else { return };
        self.interval = ticks - known.ticks;
        *known = Known { ticks, interval: Some(self.interval), value, ..*known };
        self.ticks = ticks;
    }
}
