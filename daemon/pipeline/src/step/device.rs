//! What a message says of the device that sent it, besides its readings.

use super::Step;
use super::message::Origin;
use super::number::sender_name;
use super::record::is_unwanted;
use super::uptime::Told;
use crate::decode::Found;
use crate::devices::Change;
use crate::entry::Event;
use crate::plan::Unique;
use crate::route::RoutePart;
use crate::verdict::Verdict;

impl Step<'_> {
    /// How the device is. After its readings: what their numbers leave out is held against it.
    pub(super) fn tell_health(&mut self, told: Told, found: &Found<'_>) {
        let sent = found.sent.as_ref().and_then(|sent| Some((sent, sent.health?)));
        let (Some((clock, ..)), Some((sent, health)), None) = (told, sent, self.retrying) else { return };
        if self.core.state.devices.is_news(clock, sent.boot, sent.uptime) {
            let change = Change::Health { boot: sent.boot, uptime: sent.uptime, health };
            self.event(Event::Device { clock, change });
        }
    }

    /// A reading of the part at hand has no series to be accounted under.
    pub(super) fn decided_without_series(&mut self, verdict: Verdict) {
        if let Some(clock) = self.core.device {
            self.event(Event::Device { clock, change: Change::Decided(verdict) });
        }
    }

    /// A message that cannot be read does not say who sent it. Its topic does, where that is a device that is known.
    pub(super) fn unread_of_device(&mut self, origin: &Origin<'_>, part: &RoutePart, verdict: Verdict) {
        let stream = &self.core.plan.streams[usize::from(part.stream)];
        if is_unwanted(origin, stream) || self.retrying.is_some() {
            return;
        }
        let Unique::Numbered { per } = &stream.unique else { return };
        let mut name = std::mem::take(&mut self.core.name);
        sender_name(&mut name, part.stream, per.as_deref(), origin, &part.tags);
        let known = self.core.clock_index.get(name.as_str()).copied();
        self.core.name = name;
        if let Some(clock) = known {
            self.event(Event::Device { clock, change: Change::Decided(verdict) });
        }
    }
}
