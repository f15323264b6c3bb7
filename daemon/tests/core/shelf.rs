//! A medium with room beside the store, so that a damaged one can be replaced.

use crate::rig::{Rig, plan};
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex};
use tidegate::store::Medium;
use tidegate_medium::Disk;

/// A medium with room beside the store.
#[derive(Clone, Debug, Default)]
pub struct Shelf(Arc<Mutex<Files>>);

#[derive(Debug, Default)]
struct Files {
    store: Disk,
    beside: Disk,
    damaged: u32,
}

impl Shelf {
    pub fn holding(bytes: Vec<u8>) -> Shelf {
        let shelf = Shelf::default();
        shelf.0.lock().unwrap().store = Disk::holding(bytes);
        shelf
    }

    /// How often a damaged one was put aside.
    pub fn damaged(&self) -> u32 {
        self.0.lock().unwrap().damaged
    }

    pub fn store(&self) -> Disk {
        self.0.lock().unwrap().store.clone()
    }

    pub fn rig(&self) -> Rig {
        Rig::on(self.store(), self.clone(), "fresh", plan()).unwrap()
    }
}

impl Medium for Shelf {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(self.store()))
    }

    fn beside(&self) -> io::Result<Box<dyn StorageBackend>> {
        let mut files = self.0.lock().unwrap();
        files.beside = Disk::default();
        Ok(Box::new(files.beside.clone()))
    }

    fn replace(&self) -> io::Result<String> {
        let mut files = self.0.lock().unwrap();
        files.store = std::mem::take(&mut files.beside);
        files.damaged += 1;
        Ok("aside".into())
    }
}
