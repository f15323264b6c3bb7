//! Rows: values with a version, a length and a checksum, compressed where that wins.
//!
//! redb finds a torn page; it does not find a flipped bit in a cleanly closed file. So each value carries its own CRC-32.
//! Layout: version (1 byte) · CRC-32 of the rest (4, little endian) · uncompressed length (4, 0: not compressed) · bytes.

use super::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of the framing.
const VERSION: u8 = 1;
const HEADER: usize = 9;
/// Rows longer than this were not written by us: a damaged length must not allocate.
const UNPACKED_MAX: usize = 1 << 30;
/// Values take a power-of-two run of pages, so that one byte above a power of two costs double (redb 4.6). Chunks stay
/// below 64 KiB with room for the page's own bookkeeping.
pub(super) const CHUNK: usize = 60_000;

/// Frames `bytes`.
pub(super) fn pack(bytes: &[u8]) -> Vec<u8> {
    let packed = lz4_flex::block::compress(bytes);
    let (length, body) = match u32::try_from(bytes.len()) {
        Ok(length) if packed.len() < bytes.len() => (length, packed.as_slice()),
        _ => (0, bytes),
    };
    let mut row = Vec::with_capacity(HEADER + body.len());
    row.push(VERSION);
    row.extend_from_slice(&[0; 4]);
    row.extend_from_slice(&length.to_le_bytes());
    row.extend_from_slice(body);
    let sum = crc32fast::hash(&row[5..]).to_le_bytes();
    row[1..5].copy_from_slice(&sum);
    row
}

/// What [`pack`] framed.
///
/// # Errors
/// [`StoreError::Damaged`] with `what` in its words.
pub(super) fn unpack(row: &[u8], what: &'static str) -> Result<Vec<u8>, StoreError> {
    let damaged = || StoreError::Damaged(what);
    let word = |at: usize| row.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    if row.first() != Some(&VERSION) || word(1) != Some(crc32fast::hash(row.get(5..).unwrap_or_default())) {
        return Err(damaged());
    }
    let length = word(5).ok_or_else(damaged)? as usize;
    let body = &row[HEADER..];
    match length {
        0 => Ok(body.to_vec()),
        _ if length > UNPACKED_MAX => Err(damaged()),
        _ => lz4_flex::block::decompress(body, length).map_err(|_| damaged()),
    }
}

/// Frames a value in postcard.
pub(super) fn pack_value<T: Serialize>(value: &T) -> Vec<u8> {
    // Serialising to memory fails only for types that postcard cannot hold, and the store has none.
    pack(&postcard::to_stdvec(value).unwrap_or_default())
}

/// What [`pack_value`] framed.
///
/// # Errors
/// As [`unpack`].
pub(super) fn unpack_value<T: DeserializeOwned>(row: &[u8], what: &'static str) -> Result<T, StoreError> {
    postcard::from_bytes(&unpack(row, what)?).map_err(|_| StoreError::Damaged(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_damage() {
        for bytes in [vec![], vec![7], vec![0; 10_000], (0..=255).collect::<Vec<u8>>()] {
            let row = pack(&bytes);
            assert_eq!(unpack(&row, "test").unwrap(), bytes);
            for at in 0..row.len() {
                let mut row = row.clone();
                row[at] ^= 0x10;
                assert!(unpack(&row, "test").is_err(), "byte {at} of {}", row.len());
            }
            assert!(unpack(&row[..row.len() - 1], "test").is_err());
        }
    }
}
