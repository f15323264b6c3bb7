//! Channels: what a device measures, by number.

/// Most decimals of a channel, and most zeros.
pub const DECIMALS_MAX: i8 = 12;

/// Something that a device measures. tidegate's configuration gives it a name and a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// Its number, which never means anything else in this device's firmware.
    pub id: u16,
    /// Values are sent as whole numbers of 10^-decimals: with 2, 2150 is 21.5. From -12 to 12.
    pub decimals: i8,
}

const POWERS: [f64; DECIMALS_MAX as usize + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

impl Channel {
    pub(crate) const fn is_valid(self) -> bool {
        self.decimals.unsigned_abs() <= DECIMALS_MAX.unsigned_abs()
    }

    /// The value that `raw` stands for: the number of 64 bits that is nearest to it, for a `raw` below 2^53.
    pub fn value(self, raw: i64) -> f64 {
        let power = POWERS.get(usize::from(self.decimals.unsigned_abs())).copied().unwrap_or(f64::NAN);
        #[expect(clippy::cast_precision_loss, reason = "measured values are 64-bit floating point")]
        let raw = raw as f64;
        // A division by an exact power is rounded once, a multiplication by its inverse would be rounded twice.
        if self.decimals < 0 { raw * power } else { raw / power }
    }
}
