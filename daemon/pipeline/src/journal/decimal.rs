//! Values as short decimals: 21.53 is 2153 with two of them.

/// The greatest number of decimals that is tried.
const DECIMALS_MAX: u8 = 9;

const POWERS: [f64; DECIMALS_MAX as usize + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// The value as a whole number of so many decimals, where that is exact to the bit. `guess` is tried first.
pub(super) fn shorten(value: f64, guess: u8) -> Option<(u8, i64)> {
    std::iter::once(guess).chain(0..=DECIMALS_MAX).find_map(|decimals| {
        let scaled = (value * POWERS[usize::from(decimals)]).round();
        if scaled.is_nan() || scaled.abs() > 9.0e15 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
        let mantissa = scaled as i64;
        let same = |back: f64| back.to_bits() == value.to_bits();
        lengthen(decimals, mantissa).is_some_and(same).then_some((decimals, mantissa))
    })
}

/// The value that was a whole number of so many decimals; `None` where there are never so many.
#[expect(clippy::cast_precision_loss, reason = "a mantissa written by `shorten` is below 2^53")]
pub(super) fn lengthen(decimals: u8, mantissa: i64) -> Option<f64> {
    Some(mantissa as f64 / POWERS.get(usize::from(decimals))?)
}
