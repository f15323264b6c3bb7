//! Keeping the queue over a reset. What keeps it (flash, FRAM, RAM that survives, a file) is the board's.

use core::fmt::Debug;

/// A place for one image of the queue.
///
/// Calls block: flash of microcontrollers does, too. While one runs nothing else uses the outbox.
pub trait Storage {
    /// Why it failed.
    type Error: Debug;

    /// Reads the image that was saved last into `image` and gives its length; 0 where there is none. An image that is longer
    /// than `image`, or that was not written to its end, is none; the queue checks what it gets by a checksum of its own.
    ///
    /// # Errors
    /// When the place cannot be read.
    fn load(&mut self, image: &mut [u8]) -> Result<usize, Self::Error>;

    /// Writes an image, which is `parts` one after the other, over the last one. If power fails meanwhile, the one before
    /// should still be there: use two places in turn.
    ///
    /// # Errors
    /// When it was not written, or perhaps not to its end.
    fn save(&mut self, parts: &[&[u8]]) -> Result<(), Self::Error>;
}

/// No storage: what waits is lost with a reset.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStorage;

impl Storage for NoStorage {
    type Error = core::convert::Infallible;

    fn load(&mut self, _: &mut [u8]) -> Result<usize, Self::Error> {
        Ok(0)
    }

    fn save(&mut self, _: &[&[u8]]) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// When the queue is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// So many readings may be lost with a reset: it is saved only while more wait.
    pub at_risk: u32,
    /// Between two saves lie at least so many milliseconds: the wear of flash.
    pub spacing_ms: u64,
}

impl Keep {
    /// After every reading: for FRAM, and RAM that survives.
    pub const ALWAYS: Keep = Keep { at_risk: 0, spacing_ms: 0 };
    /// For flash: while an hour of readings a minute waits, every ten minutes. Online it is hardly ever written; a sector with
    /// 100,000 cycles lasts two years of outages.
    pub const FLASH: Keep = Keep { at_risk: 60, spacing_ms: 600_000 };
    /// Only when it is asked for: [`crate::Outbox::save`], before a planned reset.
    pub const NEVER: Keep = Keep { at_risk: u32::MAX, spacing_ms: 0 };
}
