//! Numbers for people.

/// `1234567` as `1,234,567`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes with a binary unit and one decimal.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1_024 {
        return format!("{count} B");
    }
    let mut value = count as f64;
    let mut unit = "B";
    for name in UNITS {
        if value < 1_024.0 {
            break;
        }
        value /= 1_024.0;
        unit = name;
    }
    format!("{value:.1} {unit}")
}

/// The two greatest units of so many seconds: `3 d 4 h`.
pub fn duration(seconds: u64) -> String {
    let (d, h, m, s) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s} s"),
        (0, 0, _) => format!("{m} min {s} s"),
        (0, _, _) => format!("{h} h {m} min"),
        _ => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(count), text);
        }
        for (count, text) in [(0, "0 B"), (1_023, "1023 B"), (1_536, "1.5 KiB"), (512 << 20, "512.0 MiB")] {
            assert_eq!(bytes(count), text);
        }
        assert!(bytes(u64::MAX).ends_with(" PiB"));
        for (s, text) in [(5, "5 s"), (65, "1 min 5 s"), (3_700, "1 h 1 min"), (90_000, "1 d 1 h")] {
            assert_eq!(duration(s), text);
        }
    }
}
