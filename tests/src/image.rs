//! Linked images of firmware: what they take, and where they could panic.

use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of flash and of static RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// What is loaded: code, constants, and the first values of variables.
    pub flash: u64,
    /// Variables. The stack comes on top.
    pub ram: u64,
}

/// An image.
#[derive(Debug)]
pub struct Image {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// A section that is loaded (ELF, `SHF_ALLOC`).
const ALLOCATED: u64 = 2;

impl Image {
    /// Reads one.
    ///
    /// # Panics
    /// When it is not there; says how to build it.
    pub fn open(path: &Path) -> Image {
        let bytes = fs::read(path).unwrap_or_else(|error| {
            panic!("{}: {error}: `cargo build --release` in the folder of the board", path.display())
        });
        Image { path: path.into(), bytes }
    }

    fn file(&self) -> object::File<'_> {
        object::File::parse(&*self.bytes).expect("an ELF file")
    }

    /// What it takes.
    ///
    /// # Panics
    /// When it is no ELF file.
    pub fn size(&self) -> Size {
        let mut size = Size { flash: 0, ram: 0 };
        for section in self.file().sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            if sh_flags.0 & ALLOCATED == 0 {
                continue;
            }
            let in_ram = section.address() >= 0x2000_0000;
            let zeroed = section.kind() == SectionKind::UninitializedData;
            size.ram += if in_ram { section.size() } else { 0 };
            size.flash += if zeroed { 0 } else { section.size() };
        }
        size
    }

    /// How many calls there are that end in a panic, by the crate in whose source they are.
    ///
    /// Found by what `BL` and `B.W` of Thumb code lead to (Armv7-M reference manual, A7.7.12 and A7.7.18): first to the functions of
    /// `core` that panic, and to those of `core` that call them.
    ///
    /// # Panics
    /// When the image has no symbols or no line tables.
    pub fn panics(&self) -> BTreeMap<String, usize> {
        let file = self.file();
        let mut functions: BTreeMap<u64, String> = BTreeMap::new();
        for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
            let name = format!("{:#}", rustc_demangle::demangle(symbol.name().unwrap_or_default()));
            functions.insert(symbol.address() & !1, name);
        }
        let calls = self.calls();
        let inside = |at: u64| functions.range(..=at).next_back().map_or("", |(_, name)| name.as_str());
        let mut panicking: BTreeSet<u64> = functions
            .iter()
            .filter(|(_, name)| name.ends_with("panicking::panic_fmt"))
            .map(|(at, _)| *at)
            .collect();
        assert!(!panicking.is_empty() || calls.is_empty(), "an image without symbols");
        loop {
            let before = panicking.len();
            for (at, to) in &calls {
                let caller = functions.range(..=*at).next_back();
                if panicking.contains(to)
                    && let Some((start, name)) = caller
                    && is_cores_own(name)
                {
                    panicking.insert(*start);
                }
            }
            if panicking.len() == before {
                break;
            }
        }
        let lines = addr2line::Loader::new(&self.path).expect("line tables");
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        for (at, _) in calls.iter().filter(|(at, to)| panicking.contains(to) && !is_cores_own(inside(*at))) {
            *found.entry(crate_of(&lines, *at)).or_default() += 1;
        }
        found
    }

    /// All calls of Thumb code: from where, and to where.
    fn calls(&self) -> Vec<(u64, u64)> {
        let file = self.file();
        let mut calls = Vec::new();
        for section in file.sections().filter(|section| section.kind() == SectionKind::Text) {
            let data = section.data().expect("code");
            let half = |at: usize| data.get(at..at + 2).map(|two| u16::from_le_bytes([two[0], two[1]]));
            let mut at = 0;
            while let Some(first) = half(at) {
                let wide = first >> 11 >= 0b11101;
                if let (true, Some(second)) = (first >> 11 == 0b11110, half(at + 2))
                    && matches!(second & 0xd000, 0xd000 | 0x9000)
                {
                    let from = section.address() + at as u64;
                    calls.push((from, target(from, first, second)));
                }
                at += if wide { 4 } else { 2 };
            }
        }
        calls
    }
}

/// Encodings T1 of BL and T4 of B.
fn target(from: u64, first: u16, second: u16) -> u64 {
    let (first, second) = (i64::from(first), i64::from(second));
    let sign = first >> 10 & 1;
    let (i1, i2) = (1 ^ (second >> 13 & 1) ^ sign, 1 ^ (second >> 11 & 1) ^ sign);
    let offset = sign << 24 | i1 << 23 | i2 << 22 | (first & 0x3ff) << 12 | (second & 0x7ff) << 1;
    let offset = if sign == 1 { offset - (1 << 25) } else { offset };
    from.wrapping_add_signed(offset + 4)
}

/// Functions of `core` that do nothing but panic, whoever asked for them.
fn is_cores_own(name: &str) -> bool {
    ["core::panicking", "core::option::", "core::result::", "core::cell::", "core::slice::", "core::str::"]
        .iter()
        .any(|module| name.starts_with(module))
}

/// The crate whose source asked for it, or the file and line of a crate here: the innermost frame that is not of `core`. Without a
/// line it is the compiler who did: for a future that is polled when it has ended, or where it made one of several calls.
fn crate_of(lines: &addr2line::Loader, at: u64) -> String {
    let mut frames = lines.find_frames(at).expect("frames");
    while let Ok(Some(frame)) = frames.next() {
        let Some(location) = frame.location else { continue };
        let (file, line) = (location.file.unwrap_or_default(), location.line.unwrap_or(0));
        if file.is_empty() || file.contains("/library/") {
            continue;
        }
        return match file.split_once("/registry/src/") {
            Some((_, rest)) => rest.split('/').nth(1).unwrap_or(rest).to_owned(),
            None if line == 0 => "by the compiler".to_owned(),
            None => format!("{file}:{line}"),
        };
    }
    "core".into()
}

/// What a board may take, as its manifest says.
///
/// # Panics
/// When it says nothing.
pub fn budget(board: &Path) -> Size {
    let manifest = fs::read_to_string(board.join("Cargo.toml")).expect("the board's manifest");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let number = |name| {
        manifest["package"]["metadata"]["budget"][name]
            .as_integer()
            .and_then(|n| u64::try_from(n).ok())
            .expect("a budget")
    };
    Size { flash: number("flash"), ram: number("ram") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Assembled by LLVM: `bl .+4`, `bl .-4`, `bl .+0x1000`, `b.w .-0x100000`.
    #[test]
    fn targets() {
        for (first, second, expected) in [
            (0xf000, 0xf800, 0x10_0004),
            (0xf7ff, 0xfffe, 0x10_0000),
            (0xf000, 0xfffe, 0x10_1000),
            (0xf6ff, 0xbffe, 0x0),
        ] {
            assert_eq!(target(0x10_0000, first, second), expected, "{first:x} {second:x}");
        }
    }
}
