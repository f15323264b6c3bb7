//! The life of a package on a gateway: installed, configured, at work, killed, upgraded, removed, purged.

use crate::traffic::{Ports, Traffic};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tidegate_tests::machine::Machine;
use tidegate_tests::machine::emulator::Emulator;
use tidegate_tests::{field, wait};

/// What `systemd-analyze security` may say at most, in tenths.
const EXPOSURE: &str = "12";

/// A gateway with what surrounds it.
pub(crate) struct Site<'a> {
    pub(crate) machine: &'a dyn Machine,
    pub(crate) traffic: Traffic,
}

/// As they are on the gateway, which a container shares.
pub(crate) const OWN: Ports = Ports { broker: 1883, listener: 1884, status: 8380 };

/// All of it.
pub(crate) fn whole(machine: &dyn Machine, deb: &Path, newer: &Path) {
    let mut site = Site::new(machine, OWN);
    site.installs(deb);
    site.takes_a_configuration();
    site.is_hardened();
    site.traffic.flows();
    site.outlives_a_kill();
    site.refuses_a_wrong_configuration();
    site.is_upgraded(newer);
    site.is_removed(newer);
    site.is_purged();
}

impl<'a> Site<'a> {
    pub(crate) fn new(machine: &'a dyn Machine, ports: Ports) -> Site<'a> {
        Site { machine, traffic: Traffic::new(ports, machine.patience()) }
    }

    /// With apt, as people do. Nothing runs before there is a configuration.
    pub(crate) fn installs(&self, deb: &Path) {
        self.apt_install(deb);
        assert_eq!(self.machine.attempt("systemctl is-enabled tidegate").1.trim(), "disabled");
        assert_eq!(self.machine.attempt("systemctl is-active tidegate").1.trim(), "inactive");
        let shown = self.machine.run("stat -c '%U:%G %a %n' /etc/tidegate /etc/tidegate/tidegate.toml");
        assert_eq!(shown, "root:tidegate 750 /etc/tidegate\nroot:tidegate 640 /etc/tidegate/tidegate.toml");
        self.machine.run("tidegate check");
        self.machine.run("test -s /usr/share/man/man1/tidegate.1.gz");
        self.machine.run("test -s /usr/share/bash-completion/completions/tidegate");
        self.machine.run("ls /usr/share/doc/tidegate*/examples/functions/aws/handler.py");
    }

    /// The port of the listener is systemd's.
    pub(crate) fn takes_a_configuration(&self) {
        let url = self.traffic.function.url().replace("127.0.0.1", self.machine.host());
        let sources =
            "[clock]\nunsynchronised = \"trust\"\n\n[sources.local]\nurl = \"mqtt://127.0.0.1:1883\"\n\n";
        let listener = field::listener(1884).replace("127.0.0.1", "0.0.0.0");
        let status = "[status]\nlisten = \"0.0.0.0:8380\"\n\n";
        let output = format!("[outputs.function]\nurl = \"{url}\"\n");
        let text = format!("{status}{sources}{listener}{}{output}", field::SECONDS);
        self.machine.write("/etc/tidegate/tidegate.toml", &text);
        self.machine.run("tidegate check");
        // Nothing of this is the package's to change.
        self.machine
            .run("mkdir -m 750 /etc/tidegate/certs && install -m 600 /dev/null /etc/tidegate/certs/key.pem");
        self.machine.run("mkdir -p /etc/systemd/system/tidegate.socket.d");
        let port = "[Socket]\nListenStream=\nListenStream=0.0.0.0:1884\n";
        self.machine.write("/etc/systemd/system/tidegate.socket.d/override.conf", port);
        self.machine.run("systemctl daemon-reload");
        self.is_enabled();
        self.waits_until_it_is_ready();
    }

    pub(crate) fn is_enabled(&self) {
        self.machine.run("systemctl enable --now tidegate.socket tidegate.service");
    }

    fn waits_until_it_is_ready(&self) {
        self.traffic.waits_until_it_is_ready();
        assert_eq!(self.machine.run("systemctl is-active tidegate"), "active");
    }

    /// The kernel says so of the process itself.
    pub(crate) fn is_hardened(&self) {
        let line = "cat /proc/$(systemctl show -P MainPID tidegate)/status";
        let process = self.machine.run(line);
        let field = |name: &str| {
            let line = process.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_else(|| panic!("no {name} in {process}")).split_whitespace().next().unwrap()
        };
        assert_ne!(field("Uid"), "0");
        assert_eq!(field("CapEff").trim_start_matches('0'), "");
        assert_eq!(field("CapBnd").trim_start_matches('0'), "");
        assert_eq!(field("NoNewPrivs"), "1");
        assert_eq!(field("Seccomp"), "2");
        let line = format!("systemd-analyze security --no-pager --threshold={EXPOSURE} tidegate.service");
        self.machine.run(&line);
    }

    /// systemd starts it again.
    pub(crate) fn outlives_a_kill(&mut self) {
        let sensors = self.traffic.sensors();
        self.traffic.some_more();
        let before = self.machine.run("systemctl show -P MainPID tidegate");
        self.machine.run("systemctl kill --signal=KILL tidegate");
        wait::until("systemd to start it again", self.machine.patience(), || {
            let now = self.machine.run("systemctl show -P MainPID tidegate");
            if now != before && now != "0" { Ok(()) } else { Err(now) }
        });
        self.waits_until_it_is_ready();
        self.traffic.some_more();
        self.traffic.finish(sensors);
        self.traffic.holds_everything();
    }

    /// What was acknowledged is there when the power is back. Sensors of the listener, as what a broker acknowledges is the broker's.
    pub(crate) fn outlives_a_power_cut(&mut self, board: &Emulator) {
        let sensor = self.traffic.sensor(self.traffic.ports.listener);
        self.traffic.some_more();
        board.cut_power();
        board.power_on();
        self.waits_until_it_is_ready();
        self.traffic.some_more();
        self.traffic.finish(vec![sensor]);
        self.traffic.holds_everything();
    }

    /// It says 78, and systemd does not try again.
    fn refuses_a_wrong_configuration(&mut self) {
        self.machine.run(
            "cp -p /etc/tidegate/tidegate.toml /root/kept && echo 'wrong = 1' >>/etc/tidegate/tidegate.toml",
        );
        self.machine.run("! systemctl restart tidegate");
        let shown = |name: &str| self.machine.run(&format!("systemctl show -P {name} tidegate"));
        // Where it would try again, it is `activating`.
        assert_eq!((shown("ExecMainStatus").as_str(), shown("ActiveState").as_str()), ("78", "failed"));
        // A sensor that connects has it started again, but not so often that systemd gives up; once it is mended that does.
        let sensor = self.traffic.sensor(self.traffic.ports.listener);
        for _ in 0..2 {
            let before = shown("ExecMainStartTimestampMonotonic");
            wait::until_true("another start", self.machine.patience(), || {
                shown("ExecMainStartTimestampMonotonic") != before
            });
        }
        self.machine.run("cp -p /root/kept /etc/tidegate/tidegate.toml");
        self.traffic.waits_until_it_is_ready();
        assert_eq!(self.machine.run("systemctl is-active tidegate.socket"), "active");
        self.traffic.finish(vec![sensor]);
        self.traffic.holds_everything();
    }

    pub(crate) fn is_upgraded(&mut self, newer: &Path) {
        let version = || self.machine.run("dpkg-query -W -f '${Version}' 'tidegate*'");
        let before = version();
        self.is_replaced(|site| site.apt_install(newer));
        assert_ne!(version(), before);
    }

    /// By what `install` does, while sensors publish. None is refused, nothing is lost, and the configuration is the one that was.
    pub(crate) fn is_replaced(&mut self, install: impl FnOnce(&Site<'_>)) {
        let sensors = self.traffic.sensors();
        self.traffic.some_more();
        let listed = "find /etc/tidegate -name '*.new' -o -printf '%m %u:%g %p\\n' | sort; md5sum /etc/tidegate/tidegate.toml";
        let configured = self.machine.run(listed);
        let pid = self.machine.run("systemctl show -P MainPID tidegate");
        let (ended, listener) = (AtomicBool::new(false), self.traffic.ports.listener);
        std::thread::scope(|scope| {
            let visitor = scope.spawn(|| {
                let mut visits = 0;
                while !ended.load(Ordering::Relaxed) {
                    let address = SocketAddr::from(([127, 0, 0, 1], listener));
                    TcpStream::connect_timeout(&address, Duration::from_secs(30)).expect("nobody is refused");
                    visits += 1;
                    std::thread::sleep(Duration::from_millis(2));
                }
                visits
            });
            install(self);
            ended.store(true, Ordering::Relaxed);
            assert!(visitor.join().unwrap() > 10);
        });
        assert_ne!(self.machine.run("systemctl show -P MainPID tidegate"), pid);
        assert_eq!(self.machine.run(listed), configured);
        self.waits_until_it_is_ready();
        self.traffic.some_more();
        self.traffic.finish(sensors);
        self.traffic.holds_everything();
    }

    fn is_removed(&mut self, deb: &Path) {
        self.goes_on_after(|site| {
            site.machine.run("apt-get remove -y 'tidegate*'");
            site.is_gone();
            site.apt_install(deb);
        });
    }

    /// Removed and installed again, it goes on where it was.
    pub(crate) fn goes_on_after(&mut self, again: impl FnOnce(&Site<'_>)) {
        let counted = self.traffic.status().unwrap().ledger("counted");
        again(self);
        self.waits_until_it_is_ready();
        assert_eq!(self.traffic.status().unwrap().ledger("counted"), counted);
        self.traffic.flows();
    }

    /// The programs are, and what people made is not.
    pub(crate) fn is_gone(&self) {
        assert!(!self.machine.attempt("systemctl is-active tidegate").0);
        self.machine.run("test ! -e /usr/bin/tidegate && test ! -e /usr/lib/systemd/system/tidegate.service");
        self.machine.run("test -s /etc/tidegate/tidegate.toml && test -s /var/lib/tidegate/tidegate.redb");
    }

    pub(crate) fn is_purged(&self) {
        self.machine.run("apt-get purge -y 'tidegate*'");
        self.left_nothing();
    }

    /// The account stays, as Debian's do; nothing else does that was not somebody else's.
    pub(crate) fn left_nothing(&self) {
        self.machine
            .run("rm -rf /root/*.deb /root/kept /root/unpacked /etc/systemd/system/tidegate.socket.d");
        let left = "find / -xdev -path /proc -prune -o -path /sys -prune -o -iname '*tidegate*' -print";
        assert_eq!(self.machine.run(left), "");
        assert!(!self.machine.attempt("systemctl cat tidegate.service").0);
        self.machine.run("passwd -S tidegate | grep -q '^tidegate L'");
    }

    fn apt_install(&self, deb: &Path) {
        let there = format!("/root/{}", deb.file_name().unwrap().to_str().unwrap());
        self.machine.put(deb, &there);
        self.machine.run(&format!("apt-get install -y --no-install-recommends {there}"));
    }
}
