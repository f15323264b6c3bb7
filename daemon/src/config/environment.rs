//! What defaults are made of besides the file. An argument, so that tests do not depend on the machine.

use std::path::PathBuf;

/// What the machine and the service manager tell us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The host name.
    pub hostname: Option<String>,
    /// The text of `/etc/machine-id` (machine-id(5)).
    pub machine_id: Option<String>,
    /// `$STATE_DIRECTORY`, as systemd sets it for `StateDirectory=` (systemd.exec(5)).
    pub state_directory: Option<PathBuf>,
    /// The name of the machine's time zone, from where `/etc/localtime` points to (localtime(5)).
    pub timezone: Option<String>,
}

impl Environment {
    /// What this machine says.
    pub fn from_system() -> Environment {
        let line = |path: &str| {
            let text = std::fs::read_to_string(path).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        Environment {
            hostname: line("/proc/sys/kernel/hostname").or_else(|| line("/etc/hostname")),
            machine_id: line("/etc/machine-id"),
            // With several directories systemd separates them by colons; the first is ours.
            state_directory: std::env::var_os("STATE_DIRECTORY")
                .and_then(|list| std::env::split_paths(&list).next())
                .filter(|path| !path.as_os_str().is_empty()),
            timezone: std::fs::read_link("/etc/localtime").ok().and_then(|path| zone_of(&path)),
        }
    }

    /// `<host name>-<4 hex digits of the machine id>`, or the host name alone on a machine without an id.
    ///
    /// The digits are a checksum, because machine-id(5) asks not to show the id itself.
    pub(super) fn gateway_id(&self) -> String {
        let host: String =
            self.hostname.as_deref().unwrap_or("gateway").chars().map(plain).take(48).collect();
        match &self.machine_id {
            Some(id) => format!("{host}-{:04x}", crc32fast::hash(id.as_bytes()) & 0xffff),
            None => host,
        }
    }
}

/// `Europe/Amsterdam` of `/usr/share/zoneinfo/Europe/Amsterdam`.
fn zone_of(path: &std::path::Path) -> Option<String> {
    path.to_str()?.split_once("/zoneinfo/").map(|(_, name)| name.to_owned())
}

fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(zone_of(path.as_ref()).as_deref(), expected, "{path}");
        };
        check("/usr/share/zoneinfo/Europe/Amsterdam", Some("Europe/Amsterdam"));
        check("../usr/share/zoneinfo/Etc/UTC", Some("Etc/UTC"));
        check("/etc/somewhere", None);
    }

    #[test]
    fn gateway_ids() {
        let check = |hostname: Option<&str>, machine_id: Option<&str>, expected: &str| {
            let env = Environment {
                hostname: hostname.map(Into::into),
                machine_id: machine_id.map(Into::into),
                ..Environment::default()
            };
            assert_eq!(env.gateway_id(), expected);
        };
        check(Some("pi"), Some("0123456789abcdef0123456789abcdef"), "pi-b50e");
        check(Some("pi"), None, "pi");
        check(Some("my pi"), None, "my-pi");
        check(None, None, "gateway");
    }
}
