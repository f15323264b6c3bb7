//! The check: what must be true when the faults have stopped and time has passed.

use super::cloud::Mood;
use super::oracle::{FIVE, Place, Windows, Wrong};
use super::setup::{self, OUTPUTS};
use super::world::{START_US, World, secs};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tidegate::config::model::WhenFull;
use tidegate::store::{Letter, OutputRow, Store};

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
            // Where it may have been dropped nobody can say.
            if self.excuse(output) != Ok(Some(0)) {
                continue;
            }
            let missing = self.probes.iter().filter(|&&probe| counted[probe] == 0).count();
            if missing > 0 {
                let problems = self.gateway.process.as_ref().map(|process| process.health.problems());
                let text = format!(
                    "{missing} readings were new when all was well, and are not at {} {} s later; {problems:?}",
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
        self.note_buffer();
        self.check_raw(account.ledger.counted)?;
        for (output, name) in OUTPUTS.into_iter().enumerate() {
            let minutes = self.counted(output, 0)?;
            let fives = self.counted(output, 1)?;
            let excuse = self.excuse(output)?;
            let lost = self.judge_all(output, &minutes, 0)? + self.judge_all(output, &fives, 1)?;
            if excuse.is_some_and(|windows| lost > windows) {
                return Err(format!(
                    "{lost} windows lack readings at {name}, and by the accounts {excuse:?} do"
                ));
            }
            let most: u64 = minutes.iter().zip(&fives).map(|(a, b)| u64::from(*a.max(b))).sum();
            let less = most < account.ledger.counted && !self.weeks_off && excuse == Some(0);
            if most > account.ledger.counted || less {
                return Err(format!(
                    "the ledger says {} counted, and at {} there are {most}",
                    account.ledger.counted, name
                ));
            }
        }
        Ok(())
    }

    /// What became of a full buffer, among the faults.
    fn note_buffer(&mut self) {
        let Some(process) = &self.gateway.process else { return };
        let outputs = process.shared.outputs();
        let merged = outputs.values().map(|row| row.counts.merged).sum();
        let dropped = outputs.values().filter_map(|row| row.counts.dropped.get("full")).sum();
        self.toll.faults_of("buffer full: events merged", merged);
        self.toll.faults_of("buffer full: events dropped", dropped);
    }

    /// The windows that are open, for whoever wonders why.
    fn open_windows(&self) -> String {
        let opener = self.gateway.disk.after_kill().opener();
        let Ok(opened) = Store::open("disk", opener, "sim", |name| setup::plan(0, self.setup.raw, name))
        else {
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

    /// Windows are as long as is said, or a multiple where they may be merged; and those that are current do not overlap,
    /// but for what came late for where there was none.
    fn check_lengths(&self, windows: &Windows, length: u64) -> Result<(), String> {
        let length = length.cast_signed();
        let mut before: Option<Place> = None;
        for &(series, start, end) in windows.keys() {
            let long = end - start;
            if long != length && !(self.setup.rolls_up() && long > 0 && long % length == 0) {
                return Err(format!("a window of {long} µs where {length} is said"));
            }
            let others = before.filter(|(other, ..)| *other == series);
            if let Some((_, first, last)) = others.filter(|(_, _, last)| start < *last)
                && !(self.setup.clocks || self.setup.changes)
            {
                let late = |from, upto| !self.oracle.has_in_time(series, (from, upto), length.unsigned_abs());
                // Nobody knows any more what was told of a time that is forgotten.
                let known = !self.oracle.is_forgotten(last.min(end));
                if known && !(late(first, last) || late(start, end)) {
                    return Err(format!(
                        "windows of {} overlap: {first} to {last}, and {start} to {end}",
                        self.oracle.series[series].device
                    ));
                }
            }
            if others.is_none_or(|(_, _, last)| last < end) {
                before = Some((series, start, end));
            }
        }
        Ok(())
    }

    /// How many windows an output may lack by its account; `None` where nobody knows.
    fn excuse(&self, output: usize) -> Result<Option<u64>, String> {
        let Some(process) = &self.gateway.process else { return Ok(None) };
        let outputs = process.shared.outputs();
        let Some(row) = outputs.get(OUTPUTS[output]) else { return Ok(Some(0)) };
        let dropped = |row: &OutputRow| row.counts.dropped.values().sum::<u64>();
        let all = outputs.values().map(dropped).sum();
        if all > 0 && self.setup.buffer.is_none_or(|buffer| buffer.when_full != WhenFull::DropOldest) {
            return Err(format!("{all} events were dropped, and nobody wanted that"));
        }
        // A small buffer has little room for dead letters, and says nothing more of those that it gave up.
        let letters = self.letters(OUTPUTS[output])?.len() as u64;
        if letters < row.counts.refused && self.setup.buffer.is_some() {
            return Ok(None);
        }
        // What comes late for a window that was dropped at one is told at none.
        Ok(Some(all))
    }

    /// Looks at every reading: in how many windows some are missing, where that may be.
    pub(super) fn judge_all(&mut self, output: usize, counted: &[u32], family: usize) -> Result<u64, String> {
        let orderly = self.setup.is_orderly();
        let may_lack = self.excuse(output)? != Some(0);
        let (mut first, mut lacking) = (None, BTreeSet::new());
        for (at, &times) in counted.iter().enumerate() {
            if let Some(wrong) = self.oracle.judge(at, times, orderly) {
                if wrong == Wrong::Lost && may_lack {
                    let reading = &self.oracle.readings[at];
                    let length = FAMILIES[family].1.cast_signed();
                    lacking.extend(reading.time.map(|time| (reading.series, time.div_euclid(length))));
                    continue;
                }
                match wrong {
                    Wrong::Lost => self.toll.lost += 1,
                    Wrong::Double => self.toll.double += 1,
                    Wrong::Invented => self.toll.invented += 1,
                }
                first.get_or_insert((at, times, wrong));
            }
        }
        let Some((at, times, wrong)) = first else { return Ok(lacking.len() as u64) };
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
        self.check_lengths(&windows, length)?;
        self.oracle.fold(&windows)
    }

    /// Events that the output refused: they are kept as dead letters.
    pub(super) fn letters(&self, output: &str) -> Result<Vec<Vec<u8>>, String> {
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

    /// The series, and the start and end of the window by the world's time.
    pub(super) fn place(&self, data: &Value) -> Option<Place> {
        let series = self.oracle.find(data["tags"]["device"].as_str()?, data["metric"].as_str()?)?;
        let at = |name| {
            let time: jiff::Timestamp = data["window"][name].as_str()?.parse().ok()?;
            Some(time.as_microsecond() - START_US)
        };
        Some((series, at("start")?, at("end")?))
    }

    fn breaks(&mut self, text: String) {
        debug_assert!(self.cloud.iter().all(|function| function.mood == Mood::Well));
        self.broken.get_or_insert(text);
    }
}
