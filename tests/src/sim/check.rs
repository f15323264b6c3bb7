//! The check: what must be true when the faults have stopped and time has passed.

use super::cloud::Mood;
use super::oracle::{FIVE, Windows, Wrong};
use super::setup::{self, OUTPUTS};
use super::world::{START_US, World, secs};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tidegate::store::{Letter, Store};

/// A reading that is new when all is well is at the function within so long, in µs: its window of a minute, the lateness,
/// a backlog that is waited for (30 s), an output that waits (60 s, or 90 s of `Retry-After`), a process that starts, and a
/// queue that is sent one by one.
pub(super) const ARRIVES_WITHIN: u64 = secs(60 + 10 + 30 + 90 + 30 + 60);

/// The summaries: names over all configurations, and the length of their windows, in µs.
pub(super) const FAMILIES: [(&[&str], u64); 2] = [(&["minute", "minutely"], secs(60)), (&["five"], FIVE)];

impl World {
    /// What was new when all was well has arrived, unless it was there before or its time went wrong.
    pub(super) fn check_arrived(&mut self) {
        for (output, name) in OUTPUTS.into_iter().enumerate() {
            let counted = match self.counted(output, 0) {
                Ok(counted) => counted,
                Err(text) => return self.breaks(text),
            };
            let missing = self.probes.iter().filter(|&&probe| counted[probe] == 0).count();
            if missing > 0 {
                let text = format!(
                    "{missing} readings were new when all was well, and are not at {} {} s later",
                    name,
                    ARRIVES_WITHIN / secs(1)
                );
                self.breaks(text);
            }
        }
    }

    /// Everything.
    pub(super) fn check_end(&mut self) {
        if let Err(text) = self.checked() {
            self.breaks(text);
        }
    }

    fn checked(&mut self) -> Result<(), String> {
        let Some(process) = &self.gateway.process else { return Err("nothing runs at the end".into()) };
        let (account, pending) = process.figures.account(&process.intake);
        let queued: u64 = process.shared.outputs().values().map(|row| row.counts.queued()).sum();
        let windows = process.figures.windows.load(std::sync::atomic::Ordering::Relaxed);
        let backlog = self.broker_backlog();
        let windows = if self.weeks_off { 0 } else { windows };
        if (queued, windows, pending, backlog) != (0, 0, 0, 0) {
            return Err(format!(
                "at the end {queued} events wait, {windows} windows are open, {pending} readings pend, and the broker \
                 keeps {backlog} messages{}",
                self.open_windows()
            ));
        }
        let (total, sure, given) = (account.ledger.total(), self.counts.committed, self.counts.given);
        if !(sure..=given).contains(&total) {
            return Err(format!("the ledger says {total}; {sure} are certain, and {given} were handed over"));
        }
        for (output, name) in OUTPUTS.into_iter().enumerate() {
            let minutes = self.counted(output, 0)?;
            let fives = self.counted(output, 1)?;
            self.judge_all(output, &minutes)?;
            self.judge_all(output, &fives)?;
            let most: u64 = minutes.iter().zip(&fives).map(|(a, b)| u64::from(*a.max(b))).sum();
            if most > account.ledger.counted || most < account.ledger.counted && !self.weeks_off {
                return Err(format!(
                    "the ledger says {} counted, and at {} there are {most}",
                    account.ledger.counted, name
                ));
            }
        }
        Ok(())
    }

    /// The windows that are open, for whoever wonders why.
    fn open_windows(&self) -> String {
        let opener = self.gateway.disk.after_kill().opener();
        let Ok(opened) = Store::open("disk", opener, "sim", |name| setup::plan(0, name)) else {
            return String::new();
        };
        let state = opened.pipeline.state();
        let mut text = format!("; {:?}", state.clock);
        for group in state.groups.iter().map(|numbered| &numbered.group) {
            for open in &group.open {
                let (summary, end, due) = (group.summary, open.end.rfc3339(), open.due.rfc3339());
                text += &format!("; {summary} {:?} u{:?}: ends {end}, due {due}", group.tags, group.epoch);
            }
        }
        text
    }

    fn judge_all(&mut self, output: usize, counted: &[u32]) -> Result<(), String> {
        let orderly = self.setup.is_orderly();
        let mut first = None;
        for (at, &times) in counted.iter().enumerate() {
            if let Some(wrong) = self.oracle.judge(at, times, orderly) {
                match wrong {
                    Wrong::Lost => self.toll.lost += 1,
                    Wrong::Double => self.toll.double += 1,
                    Wrong::Invented => self.toll.invented += 1,
                }
                first.get_or_insert((at, times, wrong));
            }
        }
        let Some((at, times, wrong)) = first else { return Ok(()) };
        let reading = &self.oracle.readings[at];
        let series = &self.oracle.series[reading.series];
        Err(format!(
            "{wrong:?}: at {} counted {times} times: {}/{} {reading:?}; in all {} lost, {} double, {} invented",
            OUTPUTS[output],
            series.device,
            series.metric,
            self.toll.lost,
            self.toll.double,
            self.toll.invented
        ))
    }

    /// How often each reading is in the summaries that an output holds, its dead letters included.
    fn counted(&self, output: usize, family: usize) -> Result<Vec<u32>, String> {
        let letters = self.letters(OUTPUTS[output])?;
        let events = self.cloud[output].events.values().map(Vec::as_slice);
        let (names, length) = FAMILIES[family];
        let windows = self.windows(events.chain(letters.iter().map(Vec::as_slice)), names)?;
        self.oracle.fold(&windows, length)
    }

    /// Events that the output refused: they are kept as dead letters.
    fn letters(&self, output: &str) -> Result<Vec<Vec<u8>>, String> {
        let Some(process) = &self.gateway.process else { return Ok(Vec::new()) };
        let letters = process.shared.letters(0, 10_000).map_err(|error| error.to_string())?;
        let of = |(_, letter)| match letter {
            Letter::Event { output: name, event, .. } if name == output => Some(event),
            _ => None,
        };
        Ok(letters.into_iter().filter_map(of).collect())
    }

    /// The highest revision of each key that is not replaced.
    fn windows<'e>(&self, events: impl Iterator<Item = &'e [u8]>, names: &[&str]) -> Result<Windows, String> {
        let mut best: BTreeMap<String, (u64, Value)> = BTreeMap::new();
        let mut replaced = BTreeSet::new();
        for event in events {
            let mut event: Value = serde_json::from_slice(event).map_err(|error| error.to_string())?;
            let data = event["data"].take();
            if !data["summary"].as_str().is_some_and(|name| names.contains(&name)) {
                continue;
            }
            let key = data["key"].as_str().unwrap_or_default().to_owned();
            for old in data["replaces"].as_array().into_iter().flatten() {
                replaced.insert(old.as_str().unwrap_or_default().to_owned());
            }
            let revision = data["revision"].as_u64().unwrap_or_default();
            if best.get(&key).is_none_or(|(highest, _)| *highest <= revision) {
                best.insert(key, (revision, data));
            }
        }
        let mut windows = Windows::new();
        for (key, (_, data)) in best {
            if replaced.contains(&key) {
                continue;
            }
            let whole = |value: &Value| value.as_f64().map(|value| value as u64);
            let (count, sum) = (whole(&data["values"]["count"]), whole(&data["values"]["sum"]));
            let place = self.place(&data);
            let (Some(place), Some(count), Some(sum)) = (place, count, sum) else {
                return Err(format!("an event that nobody can read: {data}"));
            };
            // The same window may have several keys: before and after a change, and by a clock that is not known.
            let all = windows.entry(place).or_default();
            (all.0, all.1) = (all.0 + count, all.1 + sum);
        }
        Ok(windows)
    }

    /// The series, and the start of the window by the world's time.
    pub(super) fn place(&self, data: &Value) -> Option<(usize, i64)> {
        let series = self.oracle.find(data["tags"]["device"].as_str()?, data["metric"].as_str()?)?;
        let start: jiff::Timestamp = data["window"]["start"].as_str()?.parse().ok()?;
        Some((series, start.as_microsecond() - START_US))
    }

    fn breaks(&mut self, text: String) {
        debug_assert!(self.cloud.iter().all(|function| function.mood == Mood::Well));
        self.broken.get_or_insert(text);
    }
}
