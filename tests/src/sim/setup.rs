//! The configuration under test, in its variants, and what else a seed decides before anything happens.

use super::world::secs;
use fastrand::Rng;
use std::path::Path;
use std::sync::OnceLock;
use tidegate::config::model::WhenFull;
use tidegate::config::{self, Environment};
use tidegate_pipeline::plan::Plan;

/// Names of the outputs.
pub(super) const OUTPUTS: [&str; 2] = ["a", "b"];
/// How long windows can be amended, in µs.
pub(super) const AMEND: u64 = secs(3_600);
/// The variant that names a summary anew. It is not left again: under its old name, within `amend`, a summary begins anew and
/// gives windows that it had closed the same keys with revision 0, which is known and not mended.
pub(super) const RENAMED: usize = 1;
/// How long what comes without a clock is held, less what makes it certain, in µs.
pub(super) const HOLD_CERTAIN: u64 = secs(115);
/// How many variants of the configuration there are.
pub(super) const VARIANTS: usize = 3;

/// One seed in so many has a buffer that fills.
const BUFFER: u64 = 3;

/// One seed in so many, and which, sends raw readings, too, where its buffer does not fill: then none may be missing.
const RAW: (u64, u64) = (7, 4);

/// A buffer that has room for less than what waits in the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    /// The size that the file may have.
    pub(super) bytes_max: u64,
    /// What is done near it.
    pub(super) when_full: WhenFull,
    /// The functions fail until all is well.
    pub(super) leaves: bool,
}

impl Buffer {
    /// The others keep their course: it draws from a chance of its own.
    fn draw(seed: u64) -> Option<Buffer> {
        let mut random = Rng::with_seed(!seed);
        (seed % BUFFER == BUFFER - 1).then(|| Buffer {
            bytes_max: random.u64(200 << 10..600 << 10),
            when_full: match random.u32(..6) {
                0 => WhenFull::DropOldest,
                1 => WhenFull::Refuse,
                _ => WhenFull::RollUp,
            },
            leaves: random.u32(..3) > 0,
        })
    }
}

/// What a seed decides about the surroundings.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// Messages that the broker has in flight at most.
    pub(super) in_flight: usize,
    /// What we tell it.
    pub(super) receive_max: u16,
    /// It delivers what it has at once after a reconnect, whatever the limit.
    pub(super) exceeds: bool,
    /// It marks what it delivers again.
    pub(super) marks: bool,
    /// It gives new identifiers to what it delivers again.
    pub(super) renumbers: bool,
    /// It delivers again in another order.
    pub(super) reorders: bool,
    /// It may lose its sessions.
    pub(super) forgets: bool,
    /// Sensors send again what they think was lost.
    pub(super) repeats: bool,
    /// The clock may be wrong.
    pub(super) clocks: bool,
    /// The configuration may change.
    pub(super) changes: bool,
    /// Events in one request, by output; 1 for single ones.
    pub(super) batch: [usize; 2],
    /// Requests that may be under way at a time, by output.
    pub(super) lanes: [usize; 2],
    /// The newest summaries go first, by output.
    pub(super) newest: [bool; 2],
    /// Journal bytes that are worth a checkpoint.
    pub(super) checkpoint: u64,
    /// For how long both functions are away in the end, in µs.
    pub(super) away: u64,
    /// How many faults.
    pub(super) faults: u32,
    /// Where it is small.
    pub(super) buffer: Option<Buffer>,
    /// Readings are sent raw, too.
    pub(super) raw: bool,
}

impl Setup {
    pub(super) fn draw(seed: u64, random: &mut Rng) -> Setup {
        let orderly = random.u32(..3) == 0;
        let mut may = |one_in: u32| !orderly && random.u32(..one_in) == 0;
        let (exceeds, reorders, forgets, repeats) = (may(3), may(4), may(2), may(2));
        let mut setup = Setup {
            exceeds,
            reorders,
            forgets,
            repeats,
            in_flight: random.usize(1..40),
            receive_max: random.u16(40..200),
            marks: random.bool(),
            renumbers: random.bool(),
            clocks: random.u32(..3) == 0,
            changes: random.u32(..3) == 0,
            batch: [random.usize(2..30), 1],
            newest: [seed % 7 == 5, seed % 9 == 7],
            lanes: [1 + (seed / 2 % 4) as usize, 1 + (seed / 3 % 3) as usize],
            checkpoint: [2_000, 20_000, 4 << 20][random.usize(..3)],
            away: if random.u32(..50) == 0 { secs(random.u64(3_600..3 * 86_400)) } else { 0 },
            faults: random.u32(2..12),
            buffer: Buffer::draw(seed),
            raw: false,
        };
        setup.raw = seed % RAW.0 == RAW.1 && setup.buffer.is_none();
        if setup.buffer.is_some() {
            // It is full soon enough.
            setup.away = 0;
        }
        setup
    }

    /// Whether what waits may be merged.
    pub(super) fn rolls_up(&self) -> bool {
        self.buffer.is_some_and(|buffer| buffer.when_full == WhenFull::RollUp)
    }

    /// Whether repeated deliveries are of the kind that even content alone tells apart: each as often as before, in the
    /// order of before, to a session that the broker has kept.
    pub(super) fn is_orderly(&self) -> bool {
        !(self.exceeds || self.reorders || self.forgets || self.repeats)
    }
}

/// The plan of a variant, with raw readings or without, for a store of this name.
pub(super) fn plan(variant: usize, raw: bool, store: &str) -> Plan {
    static PLANS: OnceLock<Vec<Plan>> = OnceLock::new();
    let plans = PLANS.get_or_init(|| (0..VARIANTS).map(parsed).collect());
    let mut plan = Plan { source: format!("/gateways/simulated/{store}"), ..plans[variant].clone() };
    if !raw {
        plan.raw.clear();
    }
    plan
}

/// Where the broker stands among the sources of a variant.
pub(super) fn source(variant: usize) -> u16 {
    u16::from(variant == RENAMED)
}

fn parsed(variant: usize) -> Plan {
    // The first variant is the plain one. The second renames a summary and renumbers the sources; the third computes
    // more of the other summary, under the same keys.
    let minute = if variant == RENAMED { "minutely" } else { "minute" };
    let spare = if variant == RENAMED {
        "[sources.aa]\nurl = \"mqtt://127.0.0.1:2\"\nclient_id = \"aa\"\n"
    } else {
        ""
    };
    let (raw, every) = if variant == RENAMED { ("every", "40s") } else { ("all", "15s") };
    let more = if variant == 2 { ", \"max\"" } else { "" };
    let text = format!(
        r#"
[gateway]
id = "simulated"
data_dir = "/nowhere"
timezone = "UTC"
[clock]
hold_max = "2m"
{spare}
[sources.broker]
url = "mqtt://127.0.0.1:1"
client_id = "gateway"
[streams.booted]
sources = "broker"
topic = "booted/{{device}}"
time = {{ at = "/ts", format = "ms" }}
sequence = {{ at = "/n", boot = "/boot", per = ["device"] }}
[streams.booted.metrics]
x = {{ at = "/x" }}
y = {{ at = "/y" }}
[streams.numbered]
sources = "broker"
topic = "numbered/{{device}}/{{metric}}"
value = "/v"
time = {{ at = "/ts", format = "ms" }}
sequence = "/n"
[streams.stamped]
sources = "broker"
topic = "stamped/{{device}}/{{metric}}"
value = "/v"
time = {{ at = "/ts", format = "ms" }}
unique = "time"
[streams.plain]
sources = "broker"
topic = "plain/{{device}}/{{metric}}"
value = "/v"
time = {{ at = "/ts", format = "ms" }}
[streams.text]
sources = "broker"
topic = "text/{{device}}/{{metric}}"
format = "text"
[summaries.{minute}]
window = "1m"
lateness = "10s"
amend = "1h"
aggregates = ["count", "sum"]
[summaries.five]
window = "5m"
lateness = "10s"
amend = "1h"
aggregates = ["count", "sum"{more}]
[raw.{raw}]
every = "{every}"
[outputs.a]
url = "http://127.0.0.1:1/"
batch = {{ events = 20, bytes = "64KiB", linger = "1s" }}
[outputs.b]
url = "http://127.0.0.1:1/"
"#
    );
    let env = Environment { hostname: Some("simulated".into()), ..Environment::default() };
    config::parse(&text, "simulated.toml", Path::new("/nowhere"), &env).unwrap().config.plan
}
