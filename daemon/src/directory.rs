//! Names on disk: a file that is synced may still be gone after a power cut while the directory that names it is not synced
//! (fsync(2)).

use rustix::io::Errno;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes the name of `path` durable: syncs the directory that it stands in.
///
/// # Errors
/// When the directory cannot be read or synced. One whose file system knows no such thing counts as synced.
pub fn sync_name(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(parent)?.sync_all() {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => Ok(()),
        synced => synced,
    }
}

/// Makes a directory and those above it, durably.
///
/// # Errors
/// When one cannot be made.
pub fn make(path: &Path) -> io::Result<()> {
    let above = path.ancestors().filter(|above| !above.as_os_str().is_empty());
    let missing: Vec<&Path> = above.take_while(|above| !above.exists()).collect();
    fs::create_dir_all(path)?;
    missing.into_iter().try_for_each(sync_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_with_all_above() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        make(&deep).unwrap();
        make(&deep).unwrap();
        assert!(deep.is_dir());
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(make(&dir.path().join("file/a")).is_err());
        assert!(sync_name(&dir.path().join("nowhere/a")).is_err());
    }
}
