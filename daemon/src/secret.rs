//! Secrets: read from where the configuration says they are, never shown, wiped from memory when dropped.

use crate::config::model::Secret;
use std::fmt;
use std::fs::FileType;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Largest secret, in bytes: an MQTT password cannot be longer.
const SECRET_BYTES_MAX: u64 = 65_535;

/// The text of a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes a text as a secret.
    pub fn new(text: String) -> SecretText {
        SecretText(Zeroizing::new(text))
    }

    /// The text itself: for the wire, not for a log.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file is missing, or closed to us.
    #[error("cannot read the secret in {path}: {error}; {hint}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
        /// What to do next.
        hint: &'static str,
    },
    /// The file is not a secret.
    #[error("the secret in {path} is larger than {SECRET_BYTES_MAX} bytes: is it the right file?")]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// Whatever it is, nobody knows when reading it ends.
    #[error(
        "the secret in {path} is not in a regular file but in {what}: put it into a file, or use a systemd credential"
    )]
    NotFile {
        /// Which place.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// The bytes are not text.
    #[error("the secret in {place} is not UTF-8 text")]
    NotText {
        /// Which file or variable.
        place: String,
    },
    /// There is nothing in it.
    #[error("the secret in {place} is empty")]
    Empty {
        /// Which file or variable.
        place: String,
    },
    /// Not started by systemd, or without credentials.
    #[error(
        "there is no credential `{0}`: $CREDENTIALS_DIRECTORY is not set; \
         add `LoadCredential={0}:PATH` to the unit, or use {{ file = \"…\" }}"
    )]
    NoCredentials(String),
    /// A credential is one file name.
    #[error("`{0}` is not the name of a credential: it is one file name, without `/`")]
    CredentialName(String),
    /// The variable is not set.
    #[error("the environment variable {0}, which should hold a secret, is not set")]
    NoVariable(String),
}

/// Reads a secret; one newline at its end is not part of it. Blocks for as long as the file system does (see [`crate::files`]).
///
/// # Errors
/// Which place could not be read, why, and what to do next.
pub fn read(secret: &Secret) -> Result<SecretText, SecretError> {
    match secret {
        Secret::File(path) => read_file(path),
        Secret::Credential(name) => {
            if name.is_empty() || name.contains('/') || name == ".." {
                return Err(SecretError::CredentialName(name.clone()));
            }
            let directory = std::env::var_os("CREDENTIALS_DIRECTORY")
                .ok_or_else(|| SecretError::NoCredentials(name.clone()))?;
            read_file(&Path::new(&directory).join(name))
        }
        Secret::Env(name) => match std::env::var(name) {
            Ok(text) => checked(SecretText::new(text), || format!("the environment variable {name}")),
            Err(std::env::VarError::NotPresent) => Err(SecretError::NoVariable(name.clone())),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(SecretError::NotText { place: format!("the environment variable {name}") })
            }
        },
    }
}

fn read_file(path: &Path) -> Result<SecretText, SecretError> {
    let failed = |error: std::io::Error| {
        let hint = match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                "let the user that tidegate runs as read it (chown, chmod 0400), or use a systemd credential"
            }
            std::io::ErrorKind::NotFound => "create it, or correct the path",
            _ => "see that it is a regular file on a medium that works",
        };
        SecretError::Read { path: path.into(), error, hint }
    };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(SecretError::NotFile { path: path.into(), what: kind(metadata.file_type()) });
    }
    if metadata.len() > SECRET_BYTES_MAX + 2 {
        return Err(SecretError::TooLarge { path: path.into() });
    }
    let bytes = Zeroizing::new(std::fs::read(path).map_err(failed)?);
    let place = || path.display().to_string();
    let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::NotText { place: place() })?;
    checked(SecretText::new(text.to_owned()), place)
}

fn kind(of: FileType) -> &'static str {
    match of {
        of if of.is_dir() => "a directory",
        of if of.is_fifo() => "a pipe",
        of if of.is_socket() => "a socket",
        _ => "a device",
    }
}

fn checked(text: SecretText, place: impl Fn() -> String) -> Result<SecretText, SecretError> {
    let line = text.reveal();
    let line = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
    match line {
        "" => Err(SecretError::Empty { place: place() }),
        line => Ok(SecretText::new(line.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &[u8], expected: Result<&str, &str>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, content).unwrap();
        match (read(&Secret::File(path)), expected) {
            (Ok(text), expected) => assert_eq!(Ok(text.reveal()), expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (Err(error), Ok(_)) => panic!("{error}"),
        }
    }

    #[test]
    fn files() {
        check(b"abc", Ok("abc"));
        check(b"abc\n", Ok("abc"));
        check(b"abc\r\n", Ok("abc"));
        check(b"abc\n\n", Ok("abc\n"));
        check(b"\n", Err("is empty"));
        check(b"\xff", Err("not UTF-8"));
        check(&[b'x'; 70_000], Err("larger than"));
    }

    /// systemd's credentials, and secrets that a container mounts, are regular files, or links to them.
    #[test]
    fn only_a_regular_file_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let said = |path: PathBuf| read(&Secret::File(path)).unwrap_err().to_string();
        assert!(said(path("")).contains("in a directory"));
        assert!(said("/dev/null".into()).contains("in a device"));
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert!(said(path("socket")).contains("in a socket"));
        let pipe = path("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Read, it would hold this thread for as long as nobody writes.
        assert!(said(pipe).contains("in a pipe: put it into a file"));
        std::fs::write(path("token"), "abc").unwrap();
        std::os::unix::fs::symlink(path("token"), path("link")).unwrap();
        assert_eq!(read(&Secret::File(path("link"))).unwrap().reveal(), "abc");
    }

    #[test]
    fn what_is_missing_is_named() {
        let said = |secret| read(&secret).unwrap_err().to_string();
        assert!(said(Secret::File("/nonexistent/token".into())).contains("create it"));
        assert!(said(Secret::Env("TIDEGATE_NO_SUCH_VARIABLE".into())).contains("TIDEGATE_NO_SUCH_VARIABLE"));
        assert!(said(Secret::Credential("../shadow".into())).contains("one file name"));
    }

    #[test]
    fn never_shown() {
        assert_eq!(format!("{:?}", SecretText::new("hunter2".into())), "SecretText(…)");
    }
}
