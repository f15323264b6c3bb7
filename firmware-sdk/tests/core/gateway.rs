//! What a gateway makes of frames: each reading once, by boot and number.

use std::collections::BTreeMap;
use tidegate_firmware::wire::{Frame, Status};

/// A reading as it came: channel, uptime, value.
pub(crate) type Reading = (u16, u64, i64);

#[derive(Debug, Default)]
pub(crate) struct Gateway {
    /// By boot and number.
    pub(crate) readings: BTreeMap<(u32, u64), Reading>,
    /// The last status of each boot.
    pub(crate) status: BTreeMap<u32, Status>,
    /// Readings that came again.
    pub(crate) again: usize,
    /// Boot, first number, uptime at sending and readings of each frame.
    pub(crate) frames: Vec<(u32, u64, u64, usize)>,
}

impl Gateway {
    /// Takes a frame. A number that comes again has to mean what it meant.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        let frame = Frame::parse(bytes).unwrap();
        self.frames.push((frame.head.boot, frame.head.sequence, frame.sent(), frame.len()));
        for reading in frame.readings() {
            let found = (reading.channel.id, reading.ticks, reading.raw);
            assert!(reading.ticks <= frame.sent());
            let key = (frame.head.boot, reading.sequence);
            match self.readings.insert(key, found) {
                Some(before) => {
                    assert_eq!(before, found, "{key:?} came with another content");
                    self.again += 1;
                }
                None => {
                    let later = self.readings.range(key..).nth(1);
                    assert!(later.is_none_or(|(other, _)| other.0 != key.0), "{key:?} came after {later:?}");
                }
            }
        }
        if let Some(status) = frame.status {
            self.status.insert(frame.head.boot, status);
        }
    }

    pub(crate) fn numbers(&self, boot: u32) -> Vec<u64> {
        self.readings.range((boot, 0)..=(boot, u64::MAX)).map(|((_, number), _)| *number).collect()
    }

    pub(crate) fn values(&self, boot: u32) -> Vec<i64> {
        self.readings.range((boot, 0)..=(boot, u64::MAX)).map(|(_, (_, _, value))| *value).collect()
    }

    /// Numbers of a boot below `next` that never came.
    pub(crate) fn missing(&self, boot: u32, next: u64) -> u64 {
        next - self.numbers(boot).len() as u64
    }

    pub(crate) fn dropped(&self, boot: u32) -> u64 {
        self.status.get(&boot).and_then(|status| status.dropped).unwrap_or(0).into()
    }
}
