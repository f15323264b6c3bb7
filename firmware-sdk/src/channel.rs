//! What a device measures, and how two readings of it become one.

use tidegate_wire::Channel as Place;

/// How the queue makes one reading of two neighbours when it is full ([`crate::WhenFull::Merge`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// Their mean, in the middle between them: for what is sampled.
    #[default]
    Mean,
    /// The smaller: for a minimum.
    Min,
    /// The greater: for a maximum.
    Max,
    /// The later: for meters that count up, and for states.
    Last,
}

/// Something that a device measures: a number that the configuration of tidegate names, and the decimals of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    pub(crate) place: Place,
    pub(crate) merge: Merge,
}

impl Channel {
    /// A channel with a number of its own, whose values are whole numbers of 10^-`decimals`: with 2, 2150 is 21.5.
    ///
    /// `None` where there are more than 12 decimals or fewer than -12. In a `const`, `.unwrap()` makes that an error of
    /// the compiler.
    pub const fn new(id: u16, decimals: i8) -> Option<Channel> {
        let most = tidegate_wire::DECIMALS_MAX;
        if decimals > most || decimals < -most {
            return None;
        }
        Some(Channel { place: Place { id, decimals }, merge: Merge::Mean })
    }

    /// The same channel, whose readings are merged in this way when the queue is full.
    #[must_use]
    pub const fn merged_by(self, merge: Merge) -> Channel {
        Channel { place: self.place, merge }
    }

    /// Its number.
    pub const fn id(self) -> u16 {
        self.place.id
    }

    /// A value as the whole number that is sent. What is not finite or does not fit is none: a sensor that gives it did not
    /// measure.
    pub fn whole(self, value: f32) -> Option<i64> {
        let steps = self.place.decimals.unsigned_abs();
        let power = (0..steps).fold(1.0_f32, |power, _| power * 10.0);
        let scaled = if self.place.decimals < 0 { value / power } else { value * power };
        // Beyond 2^53 nobody could tell one value from the next.
        if !scaled.is_finite() || scaled.abs() > 9.0e15 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "finite, below 2^53, and rounded half away from zero"
        )]
        Some((if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i64)
    }
}

impl Merge {
    /// One of two. Neither wraps nor rounds away from what lies between them.
    pub(crate) fn apply(self, earlier: i64, later: i64) -> i64 {
        match self {
            Merge::Mean => earlier.midpoint(later),
            Merge::Min => earlier.min(later),
            Merge::Max => earlier.max(later),
            Merge::Last => later,
        }
    }

    /// The uptime of the one.
    pub(crate) fn uptime(self, earlier: u64, later: u64) -> u64 {
        if self == Merge::Last { later } else { earlier.midpoint(later) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers() {
        let channel = |decimals| Channel::new(0, decimals).unwrap();
        for (decimals, value, expected) in [
            (2, 21.5, Some(2_150)),
            (2, -0.126, Some(-13)),
            (0, 0.49, Some(0)),
            (-2, 101_325.0, Some(1_013)),
            (0, f32::NAN, None),
            (0, f32::INFINITY, None),
            (12, 1.0e9, None),
        ] {
            assert_eq!(channel(decimals).whole(value), expected, "{value} with {decimals} decimals");
        }
        assert_eq!((Channel::new(0, 13), Channel::new(0, -128)), (None, None));
    }

    #[test]
    fn one_of_two() {
        for (merge, expected) in [
            (Merge::Mean, (4, 150)),
            (Merge::Min, (-2, 150)),
            (Merge::Max, (10, 150)),
            (Merge::Last, (-2, 200)),
        ] {
            assert_eq!((merge.apply(10, -2), merge.uptime(100, 200)), expected, "{merge:?}");
        }
        assert_eq!(Merge::Mean.apply(i64::MAX, i64::MAX), i64::MAX);
    }
}
