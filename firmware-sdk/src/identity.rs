//! The boot number: another one after each start, so that the gateway can tell a restart from an old message.

/// Where the boot number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity<'a> {
    /// A random number of 32 bits, of a hardware generator.
    Random(u32),
    /// Counted by the storage that keeps the queue. Where that cannot be written, the number would come again after the next
    /// start; so then it is `otherwise`, which should be random.
    Counted {
        /// The boot number where counting fails.
        otherwise: u32,
    },
    /// The chip's unique id, and a counter of its own that rises with each reset (a backup register, for example).
    Unique {
        /// The id, of any length.
        id: &'a [u8],
        /// Another number after each reset.
        resets: u32,
    },
}

impl Identity<'_> {
    /// The boot number, where storage is not asked: [`Identity::Counted`] gives `otherwise`.
    pub fn boot(&self) -> u32 {
        match *self {
            Identity::Random(random) => random,
            Identity::Counted { otherwise } => otherwise,
            // Numbers of one chip differ for 2^32 resets; those of another begin elsewhere.
            Identity::Unique { id, resets } => hash(id).wrapping_add(resets),
        }
    }
}

/// FNV-1a of 32 bits (draft-eastlake-fnv): nothing secret rests on it.
pub(crate) fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of draft-eastlake-fnv-17, appendix C.
    #[test]
    fn fnv() {
        for (text, expected) in [("", 0x811c_9dc5), ("a", 0xe40c_292c), ("foobar", 0xbf9c_f968)] {
            assert_eq!(hash(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn another_after_each_start() {
        let boot = |resets| Identity::Unique { id: &[1, 2, 3], resets }.boot();
        assert_ne!(boot(0), boot(1));
        assert_eq!(boot(u32::MAX).wrapping_add(1), boot(0), "past its end it goes round");
        assert_eq!((Identity::Random(7).boot(), Identity::Counted { otherwise: 9 }.boot()), (7, 9));
    }
}
