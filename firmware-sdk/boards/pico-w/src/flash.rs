//! The queue's image in the last two sectors of flash, in turn: the one before is there until the new one is whole.

use embassy_rp::flash::{Blocking, ERASE_SIZE, Error, Flash as Chip};
use embassy_rp::peripherals::FLASH;
use tidegate_firmware::Storage;

const FLASH_BYTES: usize = 2 << 20;
const SECTOR: u32 = ERASE_SIZE as u32;
const FIRST: u32 = FLASH_BYTES as u32 - 2 * SECTOR;

/// `TGFL`, a number that rises, the length; written after the image, so that an image without its head is none.
const HEAD_BYTES: usize = 12;
const MAGIC: [u8; 4] = *b"TGFL";

/// What fits into a sector.
pub const IMAGE_BYTES_MAX: usize = ERASE_SIZE - HEAD_BYTES;

/// The two sectors.
pub struct Flash {
    /// The number of the last image.
    turn: u32,
}

struct Head {
    turn: u32,
    len: u32,
}

impl Flash {
    /// The sectors as they are; nothing is read yet.
    pub const fn new() -> Flash {
        Flash { turn: 0 }
    }

    fn chip() -> Chip<'static, FLASH, Blocking, FLASH_BYTES> {
        // SAFETY: nobody else in this program uses the flash peripheral.
        Chip::new_blocking(unsafe { FLASH::steal() })
    }

    fn sector(turn: u32) -> u32 {
        FIRST + (turn % 2) * SECTOR
    }

    fn head(chip: &mut Chip<'static, FLASH, Blocking, FLASH_BYTES>, at: u32) -> Result<Option<Head>, Error> {
        let mut bytes = [0; HEAD_BYTES];
        chip.blocking_read(at, &mut bytes)?;
        let [m0, m1, m2, m3, t0, t1, t2, t3, l0, l1, l2, l3] = bytes;
        let head =
            Head { turn: u32::from_le_bytes([t0, t1, t2, t3]), len: u32::from_le_bytes([l0, l1, l2, l3]) };
        Ok(Some(head).filter(|head| [m0, m1, m2, m3] == MAGIC && head.len as usize <= IMAGE_BYTES_MAX))
    }
}

impl Storage for Flash {
    type Error = Error;

    fn load(&mut self, image: &mut [u8]) -> Result<usize, Error> {
        let mut chip = Flash::chip();
        let (a, b) = (Flash::head(&mut chip, FIRST)?, Flash::head(&mut chip, FIRST + SECTOR)?);
        let Some(last) = a.into_iter().chain(b).max_by_key(|head| head.turn) else { return Ok(0) };
        self.turn = last.turn;
        let Some(place) = image.get_mut(..last.len as usize) else { return Ok(0) };
        chip.blocking_read(Flash::sector(last.turn) + HEAD_BYTES as u32, place)?;
        Ok(place.len())
    }

    fn save(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if len > IMAGE_BYTES_MAX {
            return Err(Error::OutOfBounds);
        }
        let (mut chip, turn) = (Flash::chip(), self.turn.wrapping_add(1));
        let sector = Flash::sector(turn);
        chip.blocking_erase(sector, sector + SECTOR)?;
        let mut at = sector + HEAD_BYTES as u32;
        for part in parts {
            chip.blocking_write(at, part)?;
            at += part.len() as u32;
        }
        let mut head = [0; HEAD_BYTES];
        let fields = MAGIC.into_iter().chain(turn.to_le_bytes()).chain((len as u32).to_le_bytes());
        head.iter_mut().zip(fields).for_each(|(place, byte)| *place = byte);
        chip.blocking_write(sector, &head)?;
        self.turn = turn;
        Ok(())
    }
}
