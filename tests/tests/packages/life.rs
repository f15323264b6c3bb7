//! The life of a package on a gateway: installed, configured, at work, killed, upgraded, removed, purged.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tidegate_tests::daemon::status_at;
use tidegate_tests::function::Function;
use tidegate_tests::machine::Machine;
use tidegate_tests::machine::emulator::Emulator;
use tidegate_tests::oracle::Reading;
use tidegate_tests::publisher::{Running, Sensor};
use tidegate_tests::status::Status;
use tidegate_tests::{events, field, oracle, wait};

/// What `systemd-analyze security` may say at most, in tenths.
const EXPOSURE: &str = "12";

/// A gateway with what surrounds it.
pub(crate) struct Site<'a> {
    machine: &'a dyn Machine,
    function: Function,
    /// Where this machine reaches mosquitto, the listener and the status page of the gateway.
    pub(crate) ports: Ports,
    /// All that was acknowledged so far.
    readings: Vec<Reading>,
    /// Numbers sensors, so that each starts its own sequence.
    sensors: usize,
}

/// Ports on 127.0.0.1 of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) broker: u16,
    pub(crate) listener: u16,
    pub(crate) status: u16,
}

/// As they are on the gateway, which a container shares.
pub(crate) const OWN: Ports = Ports { broker: 1883, listener: 1884, status: 8380 };

/// All of it.
pub(crate) fn whole(machine: &dyn Machine, deb: &Path, newer: &Path) {
    let mut site = Site::new(machine, OWN);
    site.installs(deb);
    site.takes_a_configuration();
    site.is_hardened();
    site.works();
    site.outlives_a_kill();
    site.refuses_a_wrong_configuration();
    site.is_upgraded(newer);
    site.is_removed(newer);
    site.is_purged();
}

impl<'a> Site<'a> {
    pub(crate) fn new(machine: &'a dyn Machine, ports: Ports) -> Site<'a> {
        Site { machine, function: Function::start(), ports, readings: Vec::new(), sensors: 0 }
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
        let url = self.function.url().replace("127.0.0.1", self.machine.host());
        let sources =
            "[clock]\nunsynchronised = \"trust\"\n\n[sources.local]\nurl = \"mqtt://127.0.0.1:1883\"\n\n";
        let listener = field::listener(1884).replace("127.0.0.1", "0.0.0.0");
        let status = "[status]\nlisten = \"0.0.0.0:8380\"\n\n";
        let output = format!("[outputs.function]\nurl = \"{url}\"\n");
        let text = format!("{status}{sources}{listener}{}{output}", field::SECONDS);
        self.machine.write("/etc/tidegate/tidegate.toml", &text);
        self.machine.run("tidegate check");
        self.machine.run("mkdir -p /etc/systemd/system/tidegate.socket.d");
        let port = "[Socket]\nListenStream=\nListenStream=0.0.0.0:1884\n";
        self.machine.write("/etc/systemd/system/tidegate.socket.d/override.conf", port);
        self.machine.run("systemctl daemon-reload");
        self.machine.run("systemctl enable --now tidegate.socket tidegate.service");
        self.waits_until_it_is_ready();
    }

    fn waits_until_it_is_ready(&self) {
        self.wait_for("the daemon to be connected", |status| status.is_connected());
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

    /// Readings go through the broker and through the listener, and all of them arrive.
    pub(crate) fn works(&mut self) {
        let sensors = self.sensors();
        self.wait_for("deliveries", |status| status.output("function", "delivered") > 4);
        self.finish(sensors);
        self.holds_everything();
    }

    /// systemd starts it again.
    pub(crate) fn outlives_a_kill(&mut self) {
        let sensors = self.sensors();
        self.some_more();
        let before = self.machine.run("systemctl show -P MainPID tidegate");
        self.machine.run("systemctl kill --signal=KILL tidegate");
        wait::until("systemd to start it again", self.machine.patience(), || {
            let now = self.machine.run("systemctl show -P MainPID tidegate");
            if now != before && now != "0" { Ok(()) } else { Err(now) }
        });
        self.waits_until_it_is_ready();
        self.some_more();
        self.finish(sensors);
        self.holds_everything();
    }

    /// What was acknowledged is there when the power is back. Sensors of the listener, as what a broker acknowledges is the broker's.
    pub(crate) fn outlives_a_power_cut(&mut self, board: &Emulator) {
        let sensor = self.sensor(self.ports.listener);
        self.some_more();
        board.cut_power();
        board.power_on();
        self.waits_until_it_is_ready();
        self.some_more();
        self.finish(vec![sensor]);
        self.holds_everything();
    }

    /// It says 78, and systemd does not try again.
    fn refuses_a_wrong_configuration(&self) {
        self.machine.run(
            "cp -p /etc/tidegate/tidegate.toml /root/kept && echo 'wrong = 1' >>/etc/tidegate/tidegate.toml",
        );
        self.machine.run("! systemctl restart tidegate");
        let shown = |name: &str| self.machine.run(&format!("systemctl show -P {name} tidegate"));
        // Where it would try again, it is `activating`.
        assert_eq!((shown("ExecMainStatus").as_str(), shown("ActiveState").as_str()), ("78", "failed"));
        self.machine.run("cp -p /root/kept /etc/tidegate/tidegate.toml");
        self.machine.run("systemctl restart tidegate");
        self.waits_until_it_is_ready();
    }

    /// While sensors publish. None is refused, nothing is lost, and the configuration is the one that was.
    pub(crate) fn is_upgraded(&mut self, newer: &Path) {
        let before = self.machine.run("dpkg-query -W -f '${Version}' 'tidegate*'");
        let sensors = self.sensors();
        self.some_more();
        let configured = self.machine.run("md5sum /etc/tidegate/tidegate.toml");
        let pid = self.machine.run("systemctl show -P MainPID tidegate");
        let (ended, listener) = (AtomicBool::new(false), self.ports.listener);
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
            self.apt_install(newer);
            ended.store(true, Ordering::Relaxed);
            assert!(visitor.join().unwrap() > 10);
        });
        assert_ne!(self.machine.run("dpkg-query -W -f '${Version}' 'tidegate*'"), before);
        assert_ne!(self.machine.run("systemctl show -P MainPID tidegate"), pid);
        assert_eq!(self.machine.run("md5sum /etc/tidegate/tidegate.toml"), configured);
        self.waits_until_it_is_ready();
        self.some_more();
        self.finish(sensors);
        self.holds_everything();
    }

    /// Then installed again, it goes on where it was.
    fn is_removed(&mut self, deb: &Path) {
        let counted = self.status().unwrap().ledger("counted");
        self.machine.run("apt-get remove -y 'tidegate*'");
        assert!(!self.machine.attempt("systemctl is-active tidegate").0);
        self.machine.run("test ! -e /usr/bin/tidegate && test ! -e /usr/lib/systemd/system/tidegate.service");
        self.machine.run("test -s /etc/tidegate/tidegate.toml && test -s /var/lib/tidegate/tidegate.redb");
        self.apt_install(deb);
        self.machine.run("systemctl enable --now tidegate.socket tidegate");
        self.waits_until_it_is_ready();
        assert_eq!(self.status().unwrap().ledger("counted"), counted);
        self.works();
    }

    /// The account stays, as Debian's do; nothing else does that was not somebody else's.
    pub(crate) fn is_purged(&self) {
        self.machine.run("apt-get purge -y 'tidegate*'");
        self.machine.run("rm -rf /root/*.deb /root/kept /etc/systemd/system/tidegate.socket.d");
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

    /// One that publishes to the broker, and one to the gateway itself.
    fn sensors(&mut self) -> Vec<Running> {
        vec![self.sensor(self.ports.broker), self.sensor(self.ports.listener)]
    }

    fn sensor(&mut self, port: u16) -> Running {
        self.sensors += 1;
        let sensor = field::sensor(&format!("dev{}", self.sensors));
        Sensor { seed: self.sensors as u64, ..sensor }.start(port)
    }

    fn finish(&mut self, sensors: Vec<Running>) {
        self.readings.extend(sensors.into_iter().flat_map(Running::finish));
    }

    fn some_more(&self) {
        let before = self.status().unwrap().ledger("counted");
        self.wait_for("more readings", |status| status.ledger("counted") > before + 50);
    }

    /// Each reading once, and nothing else.
    fn holds_everything(&self) {
        let expected = oracle::windows(&self.readings, 1_000);
        wait::until("every window", self.machine.patience(), || {
            events::compare(&self.function.events(), &expected)
        });
        events::check_ids(&self.function.events()).unwrap();
        let status = self
            .wait_for("an empty queue", |s| s.output("function", "queued") == 0 && s.ledger("pending") == 0);
        assert_eq!(status.ledger("counted"), self.readings.len() as u64, "{}", status.0["ledger"]);
    }

    fn status(&self) -> Result<Status, String> {
        status_at(SocketAddr::from(([127, 0, 0, 1], self.ports.status)))
    }

    fn wait_for(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        wait::until(what, self.machine.patience(), || {
            let status = self.status()?;
            status.balance().unwrap_or_else(|problem| panic!("{problem}"));
            if wanted(&status) { Ok(status) } else { Err(status.0.to_string()) }
        })
    }
}
