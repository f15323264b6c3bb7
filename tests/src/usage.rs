//! What processes use, from `/proc` (see proc(5)), and which machine this is.

use std::fs;
use std::path::Path;
use std::process::Command;

/// What one process used since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time of all its threads, user and system, in microseconds. The kernel counts in steps of 10 ms.
    pub cpu_us: u64,
    /// Bytes that it caused to be written to the disk (`write_bytes` in `/proc/PID/io`).
    pub written_bytes: u64,
}

impl Usage {
    /// Of the process `pid`; zeros when it is gone.
    pub fn of(pid: u32) -> Usage {
        Usage { cpu_us: cpu_us(&pid.to_string()), written_bytes: written_bytes(pid) }
    }

    /// What was used since `earlier`.
    pub fn since(self, earlier: Usage) -> Usage {
        Usage {
            cpu_us: self.cpu_us.saturating_sub(earlier.cpu_us),
            written_bytes: self.written_bytes.saturating_sub(earlier.written_bytes),
        }
    }
}

/// Processor time of this process, in microseconds.
pub fn own_cpu_us() -> u64 {
    cpu_us("self")
}

fn cpu_us(process: &str) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    ticks(&stat).unwrap_or(0) * 1_000_000 / rustix::param::clock_ticks_per_second()
}

/// `utime` + `stime`: fields 14 and 15. The command's name, field 2, may hold spaces and brackets.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let user: u64 = fields.nth(11)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn written_bytes(pid: u32) -> u64 {
    number_after(&format!("/proc/{pid}/io"), "write_bytes:")
}

/// Resident memory of a process, in KiB.
pub fn rss_kib(pid: u32) -> u64 {
    number_after(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// The most that it was, in KiB.
pub fn peak_rss_kib(pid: u32) -> u64 {
    number_after(&format!("/proc/{pid}/status"), "VmHWM:")
}

fn number_after(path: &str, label: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(label))
        .and_then(|rest| rest.split_ascii_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// Processor, cores, memory, kernel, distribution and the file system under `dir`, in one line.
pub fn machine(dir: &Path) -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        cpus.lines()
            .find(|l| l.starts_with(name))
            .and_then(|l| l.split_once(':'))
            .map(|(_, v)| v.trim().to_owned())
    };
    let model =
        field("model name").or_else(|| field("Model")).unwrap_or_else(|| std::env::consts::ARCH.into());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = number_after("/proc/meminfo", "MemTotal:") as f64 / 1024.0 / 1024.0;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system =
        release.lines().find_map(|l| l.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux").trim_matches('"');
    format!(
        "{model}, {cores} cores ({}), {memory:.0} GiB, Linux {}, {system}, {} under the store",
        std::env::consts::ARCH,
        kernel.trim(),
        file_system(dir)
    )
}

fn file_system(dir: &Path) -> String {
    let found = Command::new("df").arg("--output=fstype").arg(dir).output();
    let text = found.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.lines().nth(1).unwrap_or("an unknown file system").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_behind_a_strange_name() {
        let line = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 17 5 0 0 20 0 4 0 1 1 1 1";
        assert_eq!(ticks(line), Some(22));
        assert_eq!(ticks("42 (a"), None);
    }
}
