//! Folding on the sensor: several samples of a channel become their least, their mean and their greatest.

use crate::channel::{Channel, Merge};

/// One input of a [`crate::Sampler`]: what becomes of its samples.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    mean: Channel,
    /// The channels of least and greatest, and how many samples are folded.
    fold: Option<(Channel, Channel, u32)>,
    so_far: Fold,
}

#[derive(Clone, Copy, Debug, Default)]
struct Fold {
    count: u32,
    sum: i128,
    least: i64,
    greatest: i64,
    first_ms: u64,
}

/// A reading that is finished: channel, uptime in milliseconds, value.
pub(crate) type Made = (Channel, u64, i64);

impl Input {
    /// Every sample is a reading.
    pub const fn each(channel: Channel) -> Input {
        Input { mean: channel, fold: None, so_far: Fold::NONE }
    }

    /// Every `samples` samples become three readings, each in a channel of its own: the least, the mean and the greatest.
    /// They have the uptime of the middle of what they stand for. Fewer than 2 samples are taken for 2.
    pub const fn folded(least: Channel, mean: Channel, greatest: Channel, samples: u32) -> Input {
        let (least, greatest) = (least.merged_by(Merge::Min), greatest.merged_by(Merge::Max));
        let samples = if samples < 2 { 2 } else { samples };
        Input { mean, fold: Some((least, greatest, samples)), so_far: Fold::NONE }
    }

    /// What a sample makes: one reading, three, or none yet.
    pub(crate) fn take(&mut self, ms: u64, value: i64) -> [Option<Made>; 3] {
        let Some((least, greatest, samples)) = self.fold else {
            return [None, Some((self.mean, ms, value)), None];
        };
        let fold = &mut self.so_far;
        fold.add(ms, value);
        if fold.count < samples {
            return [None; 3];
        }
        let fold = core::mem::take(fold);
        let ms = fold.first_ms.midpoint(ms);
        [
            Some((least, ms, fold.least)),
            Some((self.mean, ms, fold.mean())),
            Some((greatest, ms, fold.greatest)),
        ]
    }
}

impl Fold {
    const NONE: Fold = Fold { count: 0, sum: 0, least: 0, greatest: 0, first_ms: 0 };

    fn add(&mut self, ms: u64, value: i64) {
        if self.count == 0 {
            *self = Fold { least: value, greatest: value, first_ms: ms, ..Fold::NONE };
        }
        self.count += 1;
        self.sum += i128::from(value);
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
    }

    /// Rounded half away from zero; between the least and the greatest, so it fits.
    fn mean(&self) -> i64 {
        let count = i128::from(self.count.max(1));
        let half = if self.sum < 0 { -(count / 2) } else { count / 2 };
        i64::try_from((self.sum + half) / count).unwrap_or(self.greatest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Channel = Channel::new(1, 0).unwrap();
    const MEAN: Channel = Channel::new(0, 0).unwrap();
    const GREATEST: Channel = Channel::new(2, 0).unwrap();

    fn fold(samples: &[(u64, i64)]) -> Option<[(u64, i64); 3]> {
        let mut input = Input::folded(LEAST, MEAN, GREATEST, samples.len() as u32);
        let mut last = [None; 3];
        for (at, &(ms, value)) in samples.iter().enumerate() {
            assert_eq!(last, [None; 3], "before sample {at}");
            last = input.take(ms, value);
        }
        let made: Option<heapless::Vec<_, 3>> =
            last.into_iter().map(|made| made.map(|(_, ms, v)| (ms, v))).collect();
        made.and_then(|made| made.into_array().ok())
    }

    #[test]
    fn several_are_three() {
        for (samples, expected) in [
            (&[(0, 5), (1_000, 7), (2_000, 9)][..], [(1_000, 5), (1_000, 7), (1_000, 9)]),
            (&[(0, -1), (10, -2)], [(5, -2), (5, -2), (5, -1)]),
            (&[(0, 1), (10, 2)], [(5, 1), (5, 2), (5, 2)]),
            (&[(0, i64::MAX), (2, i64::MAX)], [(1, i64::MAX); 3]),
            (&[(0, i64::MIN), (2, i64::MIN)], [(1, i64::MIN); 3]),
        ] {
            assert_eq!(fold(samples), Some(expected), "{samples:?}");
        }
    }

    #[test]
    fn each_is_one() {
        let mut input = Input::each(MEAN);
        assert_eq!(input.take(7, 3), [None, Some((MEAN, 7, 3)), None]);
    }
}
