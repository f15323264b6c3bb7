//! Bytes in and out: LEB128 for whole numbers, zigzag before it for signed ones (as in Protocol Buffers).

use crate::FrameError;

/// Writes into a buffer of fixed size; what does not fit is not written at all.
pub(crate) struct Writer<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl<'b> Writer<'b> {
    pub(crate) fn new(buffer: &'b mut [u8]) -> Writer<'b> {
        Writer { buffer, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn room(&self) -> usize {
        self.buffer.len() - self.len
    }

    /// All or nothing; false when there is no room.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> bool {
        let Some(place) = self.buffer.get_mut(self.len..self.len + bytes.len()) else { return false };
        place.copy_from_slice(bytes);
        self.len += bytes.len();
        true
    }

    /// Overwrites a byte that was written.
    pub(crate) fn patch(&mut self, at: usize, byte: u8) {
        if let Some(place) = self.buffer.get_mut(at) {
            *place = byte;
        }
    }

    pub(crate) fn written(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn into_written(self) -> &'b [u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

/// A few bytes under construction: the caller knows that `N` is enough.
pub(crate) struct Chunk<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Chunk<N> {
    pub(crate) fn new() -> Chunk<N> {
        Chunk { bytes: [0; N], len: 0 }
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        debug_assert!(self.len < N, "a chunk is too small");
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    pub(crate) fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            #[expect(clippy::cast_possible_truncation, reason = "seven bits and a flag")]
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 128")]
        self.byte(value as u8);
    }

    pub(crate) fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    pub(crate) fn get(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Reads what a [`Chunk`] wrote, from bytes that anybody may have made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'b>(pub(crate) &'b [u8]);

impl Reader<'_> {
    pub(crate) fn byte(&mut self) -> Result<u8, FrameError> {
        let (first, rest) = self.0.split_first().ok_or(FrameError::Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(*first)
    }

    /// At most ten bytes; bits beyond the 64th must be 0.
    pub(crate) fn unsigned(&mut self) -> Result<u64, FrameError> {
        const TOO_GREAT: FrameError = FrameError::Malformed("a number is too great");
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(TOO_GREAT);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(TOO_GREAT)
    }

    pub(crate) fn signed(&mut self) -> Result<i64, FrameError> {
        let value = self.unsigned()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A number that has to fit a smaller type.
    pub(crate) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, FrameError> {
        T::try_from(self.unsigned()?).map_err(|_| FrameError::Malformed("a number is too great"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, -1, 63, -64, 64, 8_191, -8_192, i64::MAX, i64::MIN] {
            let mut chunk = Chunk::<10>::new();
            chunk.signed(value);
            let mut reader = Reader(chunk.get());
            assert_eq!((reader.signed(), reader.0.len()), (Ok(value), 0), "{value}");
        }
    }

    #[test]
    fn numbers_that_are_none() {
        for bytes in [
            &[][..],
            &[0x80],
            &[0xff; 9],
            &[0xff; 11],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        ] {
            assert!(Reader(bytes).unsigned().is_err(), "{bytes:?}");
        }
        assert!(Reader(&[0x80, 0x80, 0x04]).small::<u16>().is_err(), "2^16");
    }
}
