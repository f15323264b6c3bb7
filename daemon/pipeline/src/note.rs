//! What a decision does to the state: the same whether it was made just now or is read from the journal.

use crate::clean;
use crate::dedupe::Seen;
use crate::dedupe::content::Session;
use crate::entry::{Entry, Event, Part, Reading};
use crate::pipeline::Pipeline;
use crate::series::Series;
use crate::state::{Heard, KnownSession};
use crate::time::Time;
use crate::verdict::{Reason, Verdict};

impl Pipeline {
    /// Does what `entry` says was done. Decides nothing and emits nothing.
    pub fn replay(&mut self, entry: &Entry) {
        let mut events = entry.events.iter().peekable();
        let mut readings = entry.readings.iter();
        for (index, part) in entry.parts.iter().enumerate() {
            while let Some((_, event)) = events.next_if(|(at, _)| *at as usize <= index) {
                self.note_event(event);
            }
            let gap = self.note_part(part);
            for reading in readings.by_ref().take(part.readings as usize) {
                let ran = clean::ran(reading.value, reading.verdict);
                let cleaned = ran.then(|| self.clean(reading.series, reading.value, reading.time).ok());
                self.note_reading(reading, cleaned.flatten().unwrap_or(reading.value), gap, part.arrival);
            }
        }
        events.for_each(|(_, event)| self.note_event(event));
        let mut taken = std::mem::take(&mut self.taken);
        for closing in &entry.closings {
            self.take_windows(closing, entry.now, &mut taken);
            taken.clear();
        }
        self.taken = taken;
        self.ripe.clear();
        self.note_forgotten(entry.forgotten);
        self.note_released(entry.released);
        entry.held.iter().for_each(|held| self.state.held.push(held.clone()));
        if let Some(clock) = &entry.clock {
            self.note_clock(clock);
        }
    }

    pub(crate) fn note_forgotten(&mut self, forgotten: Option<Time>) {
        if let Some(forgotten) = forgotten {
            self.state.forgotten = self.state.forgotten.max(Some(forgotten));
            self.state.retired.forget(self.state.forgotten);
        }
    }

    /// Folds a reading into the state as its verdict says. `value` is the cleaned value.
    pub(crate) fn note_reading(&mut self, reading: &Reading, value: f64, gap: u32, arrival: Time) {
        if let Verdict::Rejected(reason) | Verdict::DeadLettered(reason) = reading.verdict {
            let rejections = &mut self.state.series[reading.series as usize].rejections;
            rejections.add(reason);
            self.worst.note(reading.series, rejections);
        }
        if let Some(device) = self.device {
            self.state.devices.decided(device, reading.verdict);
        }
        self.record(reading, arrival);
        self.wait_raw(reading, arrival);
        crate::fold::fold(self, reading, value, gap, arrival);
    }

    pub(crate) fn note_event(&mut self, event: &Event) {
        match event {
            Event::Series { stream, metric, tags } => {
                self.add_series(*stream, metric, tags);
            }
            Event::Counter { name, kind } => self.add_counter(name, *kind),
            Event::Clock { slot, name, resolution } => self.add_clock(*slot, name, *resolution),
            Event::Tick { clock, tick } => {
                if let Some(known) = self.state.clocks.get_mut(*clock as usize) {
                    known.clock.note(tick);
                }
            }
            Event::Sparkplug(change) => self.state.births.note(change),
            Event::ForgetSeries { series } => self.forget_series(*series),
            Event::ForgetCounter { counter } => self.forget_counter(*counter),
            Event::Backlog { source, on } => {
                if let Some(state) = self.state.sources.get_mut(usize::from(*source)) {
                    state.backlog = *on;
                }
            }
            Event::Session { source, slot, name } => {
                let (name, session) = (name.clone(), Session::default());
                let session = KnownSession { name: name.clone(), source: *source, heard: Time::MIN, session };
                match self.state.sessions.get_mut(*slot as usize) {
                    Some(place) => {
                        self.session_index.remove(place.name.as_str());
                        *place = session;
                    }
                    None => self.state.sessions.push(session),
                }
                self.session_index.insert(name.as_str().into(), *slot);
                self.last_session = None;
            }
            Event::Opened { session, doubt_max } => {
                if let Some(known) = self.state.sessions.get_mut(*session as usize) {
                    known.session.open(*doubt_max);
                }
            }
            Event::Settled { session, but } => {
                if let Some(known) = self.state.sessions.get_mut(*session as usize) {
                    known.session.settle(*but);
                }
            }
            Event::Remember { keep } => self.remember(*keep),
            Event::Presence { presence, online, at } => self.note_presence(*presence, *online, *at),
            Event::Alert { watch, change } => {
                self.note_alert(*watch, *change);
            }
            Event::Captured { watch } => {
                if let Some(known) = self.state.watches.get_mut(*watch as usize) {
                    known.capture = None;
                }
            }
            Event::Account { verdict, count } => self.state.ledger.add(*verdict, *count),
            Event::Raw { raw, readings } => self.state.raw.cut(*raw, *readings),
            Event::Device { clock, change } => self.state.devices.note(*clock, *change),
        }
    }

    /// Notes fingerprint and sequence number; says how many numbers were skipped before it.
    pub(crate) fn note_part(&mut self, part: &Part) -> u32 {
        self.heard = Heard::default();
        self.device = None;
        if let Some(known) = self.state.sessions.get_mut(part.session as usize) {
            known.heard = part.arrival;
            if let Some((print, cancelled)) = part.print {
                known.session.note(print, cancelled);
            }
            if let Some(source) = self.state.sources.get_mut(usize::from(known.source)) {
                source.hear(part.arrival);
                self.heard = Heard { source: known.source, connected: source.connected };
            }
        }
        let Some(mark) = &part.mark else { return 0 };
        self.device = mark.boot.and_then(|_| self.device_of(mark.counter));
        let Some(known) = self.state.counters.get_mut(mark.counter as usize) else { return 0 };
        known.heard = self.heard;
        match known.counter.note(mark) {
            Seen::New { gap } => {
                if let (Some(device), Some(boot)) = (self.device, mark.boot) {
                    self.state.devices.came(device, boot, mark.sequence);
                }
                gap
            }
            _ => 0,
        }
    }

    /// The cleaned value, or why a step rejects it. Steps remember what they saw.
    pub(crate) fn clean(&mut self, series: u32, value: f64, time: Time) -> Result<f64, Reason> {
        let Series { stream, metric, tags, cleaning, .. } = &mut self.state.series[series as usize];
        let steps = &self.plan.streams[usize::from(*stream)].clean;
        let sample = clean::Sample { value, time, zone: &self.zone, tags };
        clean::run(steps, metric, cleaning, sample)
    }
}
