//! Numbers as few bytes, in rows that may be damaged: LEB128 varints, signed ones zigzag.

use super::JournalError;

/// A row that is being written.
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            #[expect(clippy::cast_possible_truncation, reason = "seven bits")]
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 128")]
        self.0.push(value as u8);
    }

    pub(super) fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    /// Something rare, by postcard, with its length before it.
    pub(super) fn rare<T: serde::Serialize>(&mut self, value: &T) {
        // Serialising to memory fails only for types that postcard cannot hold, and these it can.
        let bytes = postcard::to_stdvec(value).unwrap_or_default();
        self.unsigned(bytes.len() as u64);
        self.0.extend_from_slice(&bytes);
    }
}

/// What is left of a row that is being read.
pub(super) struct Reader<'b>(pub(super) &'b [u8]);

impl<'b> Reader<'b> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'b [u8], JournalError> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(JournalError::Damaged)?;
        self.0 = tail;
        Ok(head)
    }

    pub(super) fn byte(&mut self) -> Result<u8, JournalError> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn raw(&mut self) -> Result<u64, JournalError> {
        self.take(8)?.try_into().map(u64::from_le_bytes).map_err(|_| JournalError::Damaged)
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, JournalError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(JournalError::Damaged)
    }

    pub(super) fn signed(&mut self) -> Result<i64, JournalError> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    pub(super) fn small(&mut self) -> Result<u32, JournalError> {
        u32::try_from(self.unsigned()?).map_err(|_| JournalError::Damaged)
    }

    /// A number of things of which each takes at least one byte.
    pub(super) fn count(&mut self) -> Result<usize, JournalError> {
        let count = usize::try_from(self.unsigned()?).map_err(|_| JournalError::Damaged)?;
        if count > self.0.len() { Err(JournalError::Damaged) } else { Ok(count) }
    }

    pub(super) fn rare<T: for<'d> serde::Deserialize<'d>>(&mut self) -> Result<T, JournalError> {
        let length = self.count()?;
        postcard::from_bytes(self.take(length)?).map_err(|_| JournalError::Damaged)
    }
}
