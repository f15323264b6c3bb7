//! What stands for flash: a file of the machine that runs QEMU, by semihosting (Arm IHI 0103). It survives the end of QEMU,
//! however sudden, as flash survives a power cut.

use semihosting::fs::{self, File};
use semihosting::io::{Error, Read, Write};
use tidegate_firmware::Storage;

/// The image of the queue, and the one that is being written.
const IMAGE: &core::ffi::CStr = c"queue.image";
const NEXT: &core::ffi::CStr = c"queue.next";

/// The file.
pub struct Nonvolatile;

impl Storage for Nonvolatile {
    type Error = Error;

    fn load(&mut self, image: &mut [u8]) -> Result<usize, Error> {
        // A first start has none. What else may be wrong with the file shows when the queue is saved.
        let Ok(mut file) = File::open(IMAGE) else { return Ok(0) };
        let mut len = 0;
        while let Some(rest) = image.get_mut(len..) {
            match file.read(rest)? {
                0 => break,
                more => len += more,
            }
        }
        Ok(len)
    }

    fn save(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        let mut file = File::create(NEXT)?;
        for part in parts.iter().filter(|part| !part.is_empty()) {
            file.write_all(part)?;
        }
        drop(file);
        // Now it is whole; until now the last one was.
        fs::rename(NEXT, IMAGE)
    }
}
