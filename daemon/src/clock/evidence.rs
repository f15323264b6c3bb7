//! Who vouches for the system's clock: the kernel, systemd-timesyncd, a real-time clock with a battery, or the host of a
//! virtual machine.

use super::{Clock, TimeSource};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::path::{Path, PathBuf};
use tidegate_pipeline::time::{Span, Time};

/// 2026-11-01T00:00:00Z: no tidegate ran before. A real-time clock that says so has lost its battery.
const EARLIEST: Time = Time::from_millis(1_793_491_200_000);

/// How far the system's clock may be from the real-time clock that it was set by.
const RTC_NEAR: Span = Span::from_secs(60);

/// Time since the machine started, time asleep included, in whole milliseconds: finer costs journal bytes and says
/// nothing of an arrival.
pub fn uptime() -> Span {
    let since = clock_gettime(ClockId::Boottime);
    Span::from_millis(since.tv_sec.saturating_mul(1_000).saturating_add(since.tv_nsec / 1_000_000))
}

/// This machine.
#[derive(Debug)]
pub struct System {
    root: PathBuf,
    boot: u64,
}

impl System {
    /// This machine.
    pub fn new() -> System {
        System::at(Path::new("/"))
    }

    fn at(root: &Path) -> System {
        // Without the name of the boot, what an earlier run of this machine held might be given a wrong time. So each
        // start of the daemon counts as a boot then: what was held is believed less than it could be, never more.
        let name = fs::read_to_string(root.join("proc/sys/kernel/random/boot_id"));
        let boot = name.ok().and_then(|name| boot_of(&name)).unwrap_or_else(|| fastrand::u64(..));
        System { root: root.to_owned(), boot }
    }

    /// systemd-timesyncd makes this file when it has set the clock (systemd-timesyncd.service(8)).
    fn timesyncd(&self) -> bool {
        self.root.join("run/systemd/timesync/synchronized").exists()
    }

    /// A process that may ask the kernel has asked it: `systemd/tidegate-clock.service` does where the unit of the daemon forbids
    /// the system call.
    fn marked(&self) -> bool {
        self.root.join("run/tidegate-clock/synchronized").exists()
    }

    /// Whether this is a virtual machine that was given the time of day by its host when it started: what its kernel counts
    /// time by says so (`kvm-clock`, `xen`, `hyperv_clocksource…`).
    fn is_guest(&self) -> bool {
        let path = "sys/devices/system/clocksource/clocksource0/available_clocksource";
        let text = fs::read_to_string(self.root.join(path)).unwrap_or_default();
        text.split_whitespace().any(|name| matches!(name, "kvm-clock" | "xen") || name.starts_with("hyperv"))
    }

    /// What the real-time clock says that sets the system's clock at boot.
    fn rtc(&self) -> Option<Time> {
        let text = fs::read_to_string(self.root.join("sys/class/rtc/rtc0/since_epoch")).ok()?;
        text.trim().parse().ok().map(|secs: i64| Time::from_millis(secs.saturating_mul(1_000)))
    }
}

impl Default for System {
    fn default() -> System {
        System::new()
    }
}

impl TimeSource for System {
    fn uptime(&mut self) -> Span {
        uptime()
    }

    fn wall(&mut self) -> Time {
        Clock.now()
    }

    fn vouched(&mut self, last: Time) -> Option<&'static str> {
        let rtc = || self.rtc().filter(|rtc| rtc_vouches(*rtc, Clock.now(), last));
        if kernel_vouches() || self.marked() {
            Some("the kernel")
        } else if self.timesyncd() {
            Some("systemd-timesyncd")
        } else if rtc().is_some() {
            Some("the real-time clock")
        } else {
            // It stands in for the real-time clock that such a machine does not have.
            (self.is_guest() && Clock.now() > last.max(EARLIEST)).then_some("the virtual machine's host")
        }
    }

    fn boot(&self) -> u64 {
        self.boot
    }
}

/// The first half of a UUID, which is random (random(4), `boot_id`).
fn boot_of(name: &str) -> Option<u64> {
    let digits: String = name.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 16)
}

/// What an NTP client has told the kernel. Where asking is forbidden, it does not vouch.
pub fn kernel_vouches() -> bool {
    kernel::vouches()
}

#[cfg(not(target_pointer_width = "32"))]
mod kernel {
    use rtime_clock::adjtime::{Timex, adjtimex};

    /// `STA_UNSYNC` of adjtimex(2): the clock is unsynchronised.
    const STA_UNSYNC: i32 = 0x40;
    /// `TIME_ERROR` of adjtimex(2): the same, or an error beyond 16 s.
    const TIME_ERROR: i32 = 5;

    pub(super) fn vouches() -> bool {
        let mut query = Timex::new();
        adjtimex(&mut query).is_ok_and(|state| state != TIME_ERROR && query.0.status & STA_UNSYNC == 0)
    }
}

/// Nothing that asks the kernel without `unsafe` here compiles on 32 bits: the others vouch.
#[cfg(target_pointer_width = "32")]
mod kernel {
    pub(super) fn vouches() -> bool {
        false
    }
}

/// Whether a real-time clock has gone on while the power was off, and the system's clock was set by it.
fn rtc_vouches(rtc: Time, wall: Time, last: Time) -> bool {
    rtc > last.max(EARLIEST) && wall.since(rtc).0.saturating_abs() <= RTC_NEAR.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_time_clock_vouches_when_it_went_on() {
        let at = |secs: i64| EARLIEST.plus(Span::from_secs(secs));
        for (rtc, wall, last, expected) in [
            (100, 100, 50, true),
            (100, 130, 50, true),
            // Behind what was seen, or not the clock's own time.
            (100, 100, 150, false),
            (100, 4_000, 50, false),
            (-100, -100, -200, false),
        ] {
            assert_eq!(rtc_vouches(at(rtc), at(wall), at(last)), expected, "{rtc} {wall} {last}");
        }
        assert!(!rtc_vouches(Time(0), Time(0), Time::MIN), "a flat battery");
    }

    #[test]
    fn files_say_who_vouches() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("proc/sys/kernel/random/boot_id", "f6d6c5a0-8c1f-4d0f-bd3c-0b3f6d3e8a11\n");
        let system = || System::at(root.path());
        assert_eq!(system().boot(), system().boot());
        assert!(!system().timesyncd());
        assert_eq!(system().rtc(), None);
        assert!(!system().is_guest());
        put("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm \n");
        assert!(!system().is_guest());
        put("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc kvm-clock \n");
        assert!(system().is_guest());
        assert!(!system().marked());
        put("run/tidegate-clock/synchronized", "");
        assert!(system().marked());
        put("run/systemd/timesync/synchronized", "");
        put("sys/class/rtc/rtc0/since_epoch", "1795341600\n");
        assert!(system().timesyncd());
        assert_eq!(system().rtc(), Some(Time::from_millis(1_795_341_600_000)));
        put("sys/class/rtc/rtc0/since_epoch", "no number\n");
        assert_eq!(system().rtc(), None);
    }

    #[test]
    fn another_boot_has_another_name() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = (System::at(root.path()), System::at(root.path()));
        assert_ne!(one.boot(), two.boot(), "where boots have no names, nothing is the same boot");
    }

    #[test]
    fn uptime_goes_on() {
        let before = uptime();
        assert!(before > Span::ZERO && uptime() >= before);
    }
}
