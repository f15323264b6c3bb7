//! The queue's image in a file.

use std::fs::{self, File};
use std::io::{Error, ErrorKind, Read, Write};
use std::path::PathBuf;
use tidegate_firmware::Storage;

/// A file, and one beside it that is being written.
pub struct Disk(PathBuf);

impl Disk {
    /// It need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Disk {
        Disk(path.into())
    }
}

impl Storage for Disk {
    type Error = Error;

    fn load(&mut self, image: &mut [u8]) -> Result<usize, Error> {
        let mut file = match File::open(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            file => file?,
        };
        let mut len = 0;
        while len < image.len() {
            match file.read(&mut image[len..])? {
                0 => break,
                more => len += more,
            }
        }
        Ok(len)
    }

    fn save(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        let next = self.0.with_extension("next");
        let mut file = File::create(&next)?;
        for part in parts {
            file.write_all(part)?;
        }
        file.sync_all()?;
        // Now it is whole; until now the last one was.
        fs::rename(next, &self.0)
    }
}
