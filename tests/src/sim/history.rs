//! The history: everything that happened, in the order in which it did. Its digest tells whether two runs were the same.

use std::fmt::Write;

/// What happened, as a digest; and as text where somebody wants to read it.
#[derive(Debug)]
pub(super) struct History {
    digest: u64,
    text: Option<String>,
}

impl History {
    /// An empty one. `told`: as text too.
    pub(super) fn new(told: bool) -> History {
        // FNV-1a, 64 bits.
        History { digest: 0xcbf2_9ce4_8422_2325, text: told.then(String::new) }
    }

    /// At `at` µs `what` happened.
    pub(super) fn note(&mut self, at: u64, what: &str, numbers: &[u64]) {
        self.digest_bytes(what.as_bytes());
        for number in [at].iter().chain(numbers) {
            self.digest_bytes(&number.to_le_bytes());
        }
        if let Some(text) = &mut self.text {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{:>12.6} {what} {numbers:?}", at as f64 / 1e6);
        }
    }

    /// The same, with bytes that only the digest holds.
    pub(super) fn note_bytes(&mut self, at: u64, what: &str, bytes: &[u8]) {
        self.digest_bytes(bytes);
        self.note(at, what, &[bytes.len() as u64]);
    }

    /// What only a reader wants to know.
    pub(super) fn tell(&mut self, at: u64, what: &dyn std::fmt::Display) {
        if let Some(text) = &mut self.text {
            let _ = writeln!(text, "{:>12.6} {what}", at as f64 / 1e6);
        }
    }

    pub(super) fn is_told(&self) -> bool {
        self.text.is_some()
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    pub(super) fn into_text(self) -> String {
        self.text.unwrap_or_default()
    }

    fn digest_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}
