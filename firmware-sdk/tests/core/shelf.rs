//! Storage of a test: an image on a shelf that outlives its board, and that fails on demand.

use std::cell::RefCell;
use std::rc::Rc;
use tidegate_firmware::Storage;

#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) image: Vec<u8>,
    pub(crate) fails: bool,
    /// It can be read, and not be written.
    pub(crate) worn: bool,
    pub(crate) saves: usize,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf(pub(crate) Rc<RefCell<Kept>>);

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl Storage for Shelf {
    type Error = Broken;

    fn load(&mut self, image: &mut [u8]) -> Result<usize, Broken> {
        let kept = self.0.borrow();
        if kept.fails {
            return Err(Broken);
        }
        let Some(place) = image.get_mut(..kept.image.len()) else { return Ok(0) };
        place.copy_from_slice(&kept.image);
        Ok(kept.image.len())
    }

    fn save(&mut self, parts: &[&[u8]]) -> Result<(), Broken> {
        let mut kept = self.0.borrow_mut();
        if kept.fails || kept.worn {
            return Err(Broken);
        }
        kept.image = parts.concat();
        kept.saves += 1;
        Ok(())
    }
}
