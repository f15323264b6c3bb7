//! The state: everything that a checkpoint holds.

use crate::alert::{Recorder, Watch};
use crate::clock::{ClockState, Hold};
use crate::decode::sparkplug::Births;
use crate::dedupe::{Counter, content::Session};
use crate::devices::Devices;
use crate::ledger::Ledger;
use crate::presence::Presence;
use crate::raw::Raw;
use crate::retired::Retired;
use crate::series::{Group, Series};
use crate::ticks::Clock;
use crate::time::{Span, Time};
use serde::{Deserialize, Serialize};

/// What the pipeline remembers between steps. Numbers in the journal are indices into its vectors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// By index in the plan.
    pub sources: Vec<SourceState>,
    /// By series number. Some are vacant: see [`Series::is_vacant`].
    pub series: Vec<Series>,
    /// Numbers that no series has now, the next to be given last.
    pub vacant_series: Vec<u32>,
    /// What alerts look at. Some are vacant: see [`Watch::is_vacant`].
    pub watches: Vec<Watch>,
    /// The last readings of the series that alerts with `capture` watch.
    pub recorder: Recorder,
    /// Which sensors are there. Some are vacant: those without a name.
    pub presences: Vec<Presence>,
    /// Places that no presence has now.
    pub vacant_presences: Vec<u32>,
    /// Places that no watch has now.
    pub vacant_watches: Vec<u32>,
    /// Some are vacant: those without a summary.
    pub groups: Vec<NumberedGroup>,
    /// Places that no group has now.
    pub vacant_groups: Vec<u32>,
    /// The number that the next group gets. Never falls: closed windows in the store carry it.
    pub next_group: u32,
    /// By counter number. Some are vacant: those without a name.
    pub counters: Vec<KnownCounter>,
    /// Numbers that no counter has now.
    pub vacant_counters: Vec<u32>,
    /// By session number.
    pub sessions: Vec<KnownSession>,
    /// Clocks of devices, by number.
    pub clocks: Vec<KnownClock>,
    /// What Sparkplug nodes and devices call their metrics.
    pub births: Births,
    /// What became of all readings.
    pub ledger: Ledger,
    /// Windows that end at or before this are not in the store any more and can't be amended.
    pub forgotten: Option<Time>,
    /// What is known of the time.
    pub clock: ClockState,
    /// What waits until more is known of it.
    pub held: Hold,
    /// Raw readings that are in no event yet. A checkpoint keeps it behind the rest: see [`crate::checkpoint`].
    #[serde(skip)]
    pub raw: Raw,
    /// What became of the readings of devices. Behind that.
    #[serde(skip)]
    pub devices: Devices,
    /// Groups of summaries that are others now. Behind that.
    #[serde(skip)]
    pub retired: Retired,
}

/// What is remembered of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// The latest arrival.
    pub last: Option<Time>,
    /// How long it has been connected, as far as arrivals show: see `SourceState::hear`.
    pub connected: Span,
    /// It is delivering what waited for us.
    pub backlog: bool,
}

/// A silence of a source counts as connected time up to here: a longer one may have been an outage.
const SILENCE_MAX: Span = Span::from_secs(60);

impl SourceState {
    /// Something arrived. Silence counts as connected time for a minute at most, so that an outage ages nothing.
    pub(crate) fn hear(&mut self, arrival: Time) {
        let silence = self.last.map_or(Span::ZERO, |last| arrival.since(last));
        self.connected.0 += silence.0.clamp(0, SILENCE_MAX.0);
        self.last = self.last.max(Some(arrival));
    }
}

/// Where and when something was heard last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Index of the source.
    pub source: u16,
    /// Its connected time then.
    pub connected: Span,
}

/// A sender's numbering.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownCounter {
    /// Stream and topic or tags; empty where the place is vacant.
    pub name: String,
    /// When it counted last.
    pub heard: Heard,
    /// What is remembered.
    pub counter: Counter,
}

/// A device whose uptime says the time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownClock {
    /// Stream and topic or tags.
    pub name: String,
    /// What is known of it.
    pub clock: Clock,
}

/// A session of a broker or client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownSession {
    /// Source and client.
    pub name: String,
    /// Index of the source.
    pub source: u16,
    /// When it was last heard.
    pub heard: Time,
    /// The deliveries that can be in doubt.
    pub session: Session,
}

/// A group and its permanent number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberedGroup {
    /// The number in keys of closed windows.
    pub number: u32,
    /// The group.
    pub group: Group,
}
