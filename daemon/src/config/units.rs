//! Values with units: `"1h30m"`, `"256KiB"`, `"2GB/day"`.

use std::time::Duration;

const TIME_UNITS: &[(&str, u64)] = &[
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Units as others write them, in small letters.
const TIME_NAMES: &[(&str, &[&str])] = &[
    ("us", &["µs", "usec", "microsecond", "microseconds"]),
    ("ms", &["msec", "milli", "millis", "millisecond", "milliseconds"]),
    ("s", &["sec", "secs", "second", "seconds"]),
    ("m", &["min", "mins", "minute", "minutes"]),
    ("h", &["hr", "hrs", "hour", "hours"]),
    ("d", &["day", "days"]),
];

/// See [`TIME_NAMES`].
const SIZE_NAMES: &[(&str, &[&str])] = &[
    ("B", &["b", "byte", "bytes"]),
    ("KiB", &["k", "kib", "kb"]),
    ("MiB", &["m", "mib", "mb"]),
    ("GiB", &["g", "gib", "gb"]),
    ("TiB", &["t", "tib", "tb"]),
];

/// A length of time: one or more whole numbers with `us`, `ms`, `s`, `m`, `h` or `d`, added up. `"0"` needs no unit.
///
/// # Errors
/// What is wrong, in a few words.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut micros = 0_u64;
    while !rest.is_empty() || text.is_empty() {
        let (number, unit, left) = quantity(rest)?;
        let factor = find(TIME_UNITS, unit).ok_or_else(|| match unit {
            "" => format!("`{number}` has no unit"),
            _ => match find_name(TIME_NAMES, unit) {
                Some(ours) => format!("`{unit}` is written `{ours}`: `{number}{ours}`"),
                None => format!("`{unit}` is not a unit of time"),
            },
        })?;
        let part = number.checked_mul(factor).and_then(|part| micros.checked_add(part));
        micros = part.ok_or("it is too long")?;
        rest = left;
    }
    Ok(Duration::from_micros(micros))
}

/// A size in bytes: one whole number with `B`, `kB`, `MB`, `GB` (powers of 1,000), `KiB`, `MiB` or `GiB` (of 1,024).
///
/// # Errors
/// What is wrong, in a few words.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (number, unit, rest) = quantity(text)?;
    if !rest.is_empty() {
        return Err(format!("`{rest}` after the unit cannot be read"));
    }
    let factor = find(SIZE_UNITS, unit).ok_or_else(|| match unit {
        "" => format!("`{number}` has no unit"),
        _ => match find_name(SIZE_NAMES, unit) {
            Some(ours) => format!("`{unit}` is not a unit of size: did you mean `{number}{ours}`?"),
            None => format!("`{unit}` is not a unit of size"),
        },
    })?;
    number.checked_mul(factor).ok_or_else(|| "it is too large".into())
}

/// A number, the letters behind it, and what follows.
fn quantity(text: &str) -> Result<(u64, &str, &str), String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    match rest.chars().next() {
        Some('.' | ',') => return Err("it has to be a whole number, with a smaller unit if need be".into()),
        Some('-') if number.is_empty() => return Err("it cannot be negative".into()),
        Some(' ') if !number.is_empty() => {
            let unit = rest.trim_start();
            let known = find(TIME_UNITS, unit).or_else(|| find(SIZE_UNITS, unit)).map(|_| unit);
            let ours = known.or_else(|| find_name(TIME_NAMES, unit)).or_else(|| find_name(SIZE_NAMES, unit));
            let write = ours.map(|ours| format!(": write `{number}{ours}`")).unwrap_or_default();
            return Err(format!("there is a space before the unit{write}"));
        }
        _ if number.is_empty() => return Err("it does not start with a number".into()),
        _ => {}
    }
    let number = number.parse().map_err(|_| "the number is too large")?;
    let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    Ok((number, unit, rest))
}

/// Our unit for what others call it.
fn find_name(names: &'static [(&'static str, &'static [&'static str])], unit: &str) -> Option<&'static str> {
    let unit = unit.to_ascii_lowercase();
    names.iter().find(|(_, others)| others.contains(&unit.as_str())).map(|(ours, _)| *ours)
}

fn find(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor)
}

/// A length of time as one would write it in the file: `1h30m`.
pub(crate) fn duration_text(span: Duration) -> String {
    let mut micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    if micros == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    for (unit, factor) in TIME_UNITS.iter().rev() {
        if micros >= *factor {
            text.push_str(&format!("{}{unit}", micros / factor));
            micros %= factor;
        }
    }
    text
}

/// A size as one would write it in the file, in the greatest unit that leaves a whole number.
pub(super) fn size_text(bytes: u64) -> String {
    let whole = SIZE_UNITS.iter().filter(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    match whole.max_by_key(|(_, factor)| *factor) {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => "0B".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, expected: Result<u64, &str>| {
            let found = duration(text).map(|span| u64::try_from(span.as_micros()).unwrap());
            assert_eq!(found, expected.map_err(String::from), "{text}");
        };
        check("10s", Ok(10_000_000));
        check("250ms", Ok(250_000));
        check("1h30m", Ok(5_400_000_000));
        check("7d", Ok(604_800_000_000));
        check("500us", Ok(500));
        check("0", Ok(0));
        check("0s", Ok(0));
        check("", Err("it does not start with a number"));
        check("10", Err("`10` has no unit"));
        check("10 s", Err("there is a space before the unit: write `10s`"));
        check("10minutes", Err("`minutes` is written `m`: `10m`"));
        check("1.5h", Err("it has to be a whole number, with a smaller unit if need be"));
        check("-1s", Err("it cannot be negative"));
        check("99999999999999999999s", Err("the number is too large"));
        check("99999999999d", Err("it is too long"));
        check("1h30", Err("`30` has no unit"));
    }

    #[test]
    fn sizes() {
        let check = |text: &str, expected: Result<u64, &str>| {
            assert_eq!(size(text), expected.map_err(String::from), "{text}");
        };
        check("256KiB", Ok(262_144));
        check("2GB", Ok(2_000_000_000));
        check("0B", Ok(0));
        check("2 GB", Err("there is a space before the unit: write `2GB`"));
        check("512", Err("`512` has no unit"));
        check("512M", Err("`M` is not a unit of size: did you mean `512MiB`?"));
        check("1MB2", Err("`2` after the unit cannot be read"));
        check("99999999999TB", Err("it is too large"));
    }

    #[test]
    fn texts_read_back() {
        for text in ["1h30m", "7d", "250ms", "10s", "1s500ms", "1us"] {
            assert_eq!(duration_text(duration(text).unwrap()), text);
        }
        for text in ["256KiB", "2GB", "8MiB", "1500B"] {
            assert_eq!(size(&size_text(size(text).unwrap())), size(text));
        }
    }
}
