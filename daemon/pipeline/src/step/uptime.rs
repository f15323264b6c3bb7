//! Times from uptimes: whose clock a record goes by, and what it says.

use super::Step;
use super::message::Origin;
use super::number::sender_name;
use crate::decode::{Found, Record, Shape};
use crate::entry::Event;
use crate::limits::CLOCKS_MAX;
use crate::pipeline::number;
use crate::plan::TicksPlan;
use crate::ticks::{Clock, Tick, TickUnit, UPTIME_MAX};
use crate::time::{Span, Time};
use crate::verdict::Reason;
use std::sync::Arc;

/// What a clock was told by the message at hand: its number, and boot and uptime.
pub(super) type Told = Option<(u32, u64, i64)>;

impl Step<'_> {
    /// The time of a record that says the uptime of its sender. The clock is told first: by the greatest uptime of the message,
    /// which is nearest to that of sending.
    pub(super) fn time_by_uptime(
        &mut self,
        origin: &Origin<'_>,
        stream: u16,
        plan: &TicksPlan,
        tags: &[(String, String)],
        (found, record): (&Found<'_>, &Record<'_, '_>),
        told: &mut Told,
    ) -> Result<Time, Reason> {
        let shapes = Arc::clone(&self.core.shapes);
        let (shape, arrival) = (&shapes[usize::from(stream)], origin.message.arrival);
        let resolution = match (&plan.places, &found.sent) {
            (Some(places), _) => places.unit.span(),
            (None, Some(sent)) => sent.resolution,
            (None, None) => return Err(Reason::BadTime),
        };
        let mut name = std::mem::take(&mut self.core.name);
        sender_name(&mut name, stream, plan.per.as_deref(), origin, tags);
        // A record that says no uptime makes no clock.
        let known = self.core.clock_index.get(name.as_str()).copied();
        let clock = known.and_then(|at| self.core.state.clocks.get(at as usize));
        let said = uptime(found, record, shape, clock.map(|known| &known.clock), arrival);
        let slot = match (said, known) {
            (Ok(_), None) => Some(self.add_clock(&name, resolution)),
            (_, known) => known,
        };
        self.core.name = name;
        let ((boot, own), Some(slot)) = (said?, slot) else { return Err(Reason::BadTime) };
        let is_news = told.is_none_or(|(clock, of, most)| (clock, of) != (slot, boot) || most < own);
        if is_news {
            let clock = &self.core.state.clocks[slot as usize].clock;
            let uptime = sent(found, shape, clock, boot, own, arrival);
            self.event(Event::Tick { clock: slot, tick: Tick { boot, uptime, arrival } });
            *told = Some((slot, boot, uptime));
        }
        let clock = &self.core.state.clocks[slot as usize].clock;
        clock.time(boot, own, arrival).ok_or(Reason::BadTime)
    }

    fn add_clock(&mut self, name: &str, resolution: Span) -> u32 {
        let clocks = &self.core.state.clocks;
        let slot = match clocks.len() {
            len if len < CLOCKS_MAX => len,
            len => (0..len).min_by_key(|&at| clocks[at].clock.heard()).unwrap_or(0),
        };
        let slot = number(slot);
        self.event(Event::Clock { slot, name: name.to_owned(), resolution });
        slot
    }
}

/// Boot and uptime of a record, the latter in microseconds.
fn uptime(
    found: &Found<'_>,
    record: &Record<'_, '_>,
    shape: &Shape,
    clock: Option<&Clock>,
    arrival: Time,
) -> Result<(u64, i64), Reason> {
    if let (Some(sent), Some(own)) = (&found.sent, record.numbered()) {
        return Ok((sent.boot, own.uptime));
    }
    let (at, boot, unit) = shape.ticks.ok_or(Reason::BadTime)?;
    let count = record.slot(at).whole().ok_or(Reason::BadTime)?;
    let boot = record.slot(boot).whole().ok_or(Reason::BadTime)?;
    let count = match clock {
        Some(clock) if unit == TickUnit::Millis => clock.unwrap_millis(boot, count, arrival),
        _ => count,
    };
    let micros = i64::try_from(count).ok().and_then(|count| count.checked_mul(unit.span().0));
    micros.filter(|micros| *micros < UPTIME_MAX).map(|micros| (boot, micros)).ok_or(Reason::BadTime)
}

/// The uptime at sending: the format says it, or it is taken to be the greatest of the message.
fn sent(found: &Found<'_>, shape: &Shape, clock: &Clock, boot: u64, own: i64, arrival: Time) -> i64 {
    if let Some(sent) = &found.sent {
        return sent.uptime;
    }
    // With tags from the payload each record can be another device's.
    if !shape.tags.is_empty() {
        return own;
    }
    let all =
        found.records(shape).filter_map(|record| uptime(found, &record, shape, Some(clock), arrival).ok());
    all.filter(|(of, _)| *of == boot).map(|(_, uptime)| uptime).max().unwrap_or(own)
}
