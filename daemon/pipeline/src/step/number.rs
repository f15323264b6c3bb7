//! Sequence numbers: which counter a message belongs to, and what it says of the number.

use super::Step;
use super::message::Origin;
use crate::decode::{Cycle, Record, Sent};
use crate::dedupe::{CounterKind, Mark, Seen, content};
use crate::entry::Event;
use crate::plan::Unique;
use crate::route::RoutePart;

/// What a message says of its place in its sender's numbering.
#[derive(Clone, Copy)]
pub(super) enum Numbered {
    /// Nothing: the stream does not ask, or it does not matter now.
    No,
    /// It should have a number and has none that can be read.
    Unreadable,
    /// There is no room for another counter.
    Full,
    /// Its number, and whether it was seen before.
    Yes(Mark, Seen),
}

impl Numbered {
    pub(super) fn mark(self) -> Option<Mark> {
        match self {
            Numbered::Yes(mark, _) => Some(mark),
            _ => None,
        }
    }
}

impl Step<'_> {
    /// The message's number, and what its counter says of it.
    pub(super) fn number(
        &mut self,
        origin: &Origin<'_>,
        part: &mut RoutePart,
        unique: &Unique,
        tags: &[(String, String)],
        record: &Record<'_, '_>,
        (cycle, sent): (Option<&Cycle>, Option<&Sent>),
    ) -> Numbered {
        if let Some(cycle) = cycle {
            return self.cycle(part, cycle);
        }
        let shape = &self.core.shapes[usize::from(part.stream)];
        let from_payload = !shape.tags.is_empty();
        let whole = |slot: Option<usize>| slot.and_then(|slot| record.slot(slot).whole());
        let (per, with_boot, sequence, boot) = match unique {
            Unique::Sequence { per, .. } => {
                (per, shape.boot.is_some(), whole(shape.sequence), whole(shape.boot))
            }
            Unique::Numbered { per } => {
                (per, true, record.numbered().map(|own| own.sequence), sent.map(|sent| sent.boot))
            }
            Unique::Content | Unique::Time => return Numbered::No,
        };
        let Some(sequence) = sequence else { return Numbered::Unreadable };
        if with_boot && boot.is_none() {
            return Numbered::Unreadable;
        }
        let kind = if with_boot { CounterKind::Boots } else { CounterKind::Recent };
        let counter = part.counter.or_else(|| {
            let mut name = std::mem::take(&mut self.core.name);
            sender_name(&mut name, part.stream, per.as_deref(), origin, tags);
            self.counter(name, kind)
        });
        let Some(counter) = counter else { return Numbered::Full };
        // With tags from the payload the next message of this topic can be another counter's.
        part.counter = (!from_payload).then_some(counter);
        #[expect(clippy::cast_possible_truncation, reason = "half of the hash is enough beside the number")]
        let hash = content::print(b"", origin.message.payload) as u32;
        let mark = Mark { counter, boot, sequence, hash };
        Numbered::Yes(mark, self.core.state.counters[counter as usize].counter.look(&mark))
    }

    /// A number that the format itself gives its messages.
    fn cycle(&mut self, part: &mut RoutePart, cycle: &Cycle) -> Numbered {
        let counter = part.counter.or_else(|| {
            let mut name = std::mem::take(&mut self.core.name);
            crate::series::name(&mut name, part.stream, &cycle.sender, std::iter::empty());
            self.counter(name, CounterKind::Cycle)
        });
        let Some(counter) = counter else { return Numbered::No };
        part.counter = Some(counter);
        let boot = cycle.start.map(u64::from);
        let mark = Mark { counter, boot, sequence: cycle.sequence.into(), hash: 0 };
        Numbered::Yes(mark, self.core.state.counters[counter as usize].counter.look(&mark))
    }

    /// The number of the counter `name`, made if it is new and there is room. The name's buffer is the core's.
    fn counter(&mut self, name: String, kind: CounterKind) -> Option<u32> {
        let known = self.core.counter_index.get(name.as_str()).copied();
        // Who numbers has a series, or will be refused one: there is no need for more counters.
        let (all, vacant) = (self.core.state.counters.len(), self.core.state.vacant_counters.len());
        let room = all - vacant < self.core.plan.series_max as usize;
        let counter = known.or_else(|| {
            room.then(|| {
                let counter = self.core.next_counter();
                self.event(Event::Counter { name: name.clone(), kind });
                counter
            })
        });
        self.core.name = name;
        counter
    }
}

/// Who counts: the sender that some tags or the topic make.
pub(super) fn sender_name(
    name: &mut String,
    stream: u16,
    per: Option<&[String]>,
    origin: &Origin<'_>,
    tags: &[(String, String)],
) {
    match per {
        Some(per) => {
            let value = |tag: &str| tags.iter().find(|(name, _)| name == tag).map(|(_, v)| v.as_str());
            crate::series::name(name, stream, "", per.iter().map(|tag| (tag.as_str(), value(tag))));
        }
        None => {
            let topic = String::from_utf8_lossy(origin.message.topic);
            crate::series::name(name, stream, &topic, std::iter::empty());
        }
    }
}
