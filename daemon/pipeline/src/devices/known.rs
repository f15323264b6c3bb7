//! The devices that a pipeline knows, for people; and whose counter is whose.

use super::{Health, Lost};
use crate::pipeline::Pipeline;
use crate::plan::Unique;
use crate::ticks::{Estimate, shown};
use crate::verdict::Reason;

/// A device that sends frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// The stream that it sends to.
    pub stream: String,
    /// Its topic, or its tags as `device=d1`.
    pub sender: String,
    /// Its clock.
    pub estimate: Estimate,
    /// Numbers that came: its readings, each once.
    pub numbers: u64,
    /// Readings that were counted, those of its health included.
    pub counted: u64,
    /// Readings that came again.
    pub duplicate: u64,
    /// What came and was not counted, by reason.
    pub refused: Vec<(Reason, u32)>,
    /// What did not come, over all boots.
    pub lost: Lost,
    /// What it told last about itself.
    pub health: Option<Health>,
}

impl Pipeline {
    /// The clocks of the devices that have lost the most, at most `max`, in the order in which they were met. Looks at all
    /// of them.
    pub fn devices_of_note(&self, max: usize) -> Vec<u32> {
        let accounts = self.state.devices.accounts.iter().zip(0..).filter(|(account, _)| !account.is_blank());
        let mut all: Vec<(u64, u32)> = accounts.map(|(account, clock)| (account.all_lost(), clock)).collect();
        if all.len() > max {
            all.select_nth_unstable_by_key(max, |&(lost, clock)| (std::cmp::Reverse(lost), clock));
            all.truncate(max);
        }
        let mut clocks: Vec<u32> = all.into_iter().map(|(_, clock)| clock).collect();
        clocks.sort_unstable();
        clocks
    }

    /// The devices with these clocks.
    pub fn devices(&self, clocks: &[u32]) -> Vec<Device> {
        let device = |&clock: &u32| {
            let known = self.state.clocks.get(clock as usize)?;
            let account = self.state.devices.accounts.get(clock as usize)?;
            let (stream, sender) = shown(&known.name)?;
            let stream = self.plan.streams.get(stream)?.name.clone();
            let estimate = known.clock.estimate()?;
            (!account.is_blank()).then(|| account.shown(stream, sender, estimate))
        };
        clocks.iter().filter_map(device).collect()
    }

    /// The clock of the device that a counter belongs to, where it sends frames: both have one name.
    pub(crate) fn device_of(&mut self, counter: u32) -> Option<u32> {
        if let Some((last, device)) = self.last_counter
            && last == counter
        {
            return device;
        }
        let device = self.find_device(counter);
        self.last_counter = Some((counter, device));
        device
    }

    fn find_device(&self, counter: u32) -> Option<u32> {
        let name = &self.state.counters.get(counter as usize)?.name;
        let (stream, _) = name.split_once('\u{1}')?;
        let stream = self.plan.streams.get(stream.parse::<usize>().ok()?)?;
        let Unique::Numbered { .. } = &stream.unique else { return None };
        self.clock_index.get(name.as_str()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn those_that_lost_the_most() {
        let mut pipeline = Pipeline::new(Plan::default());
        // Each lost as many as it sends of; the third sent nothing.
        for (clock, lost) in [(0, 3), (1, 9), (2, 0), (3, 9), (4, 0)] {
            pipeline.state.devices.met(clock);
            if clock != 2 {
                [0, lost + 1].into_iter().for_each(|number| pipeline.state.devices.came(clock, 1, number));
            }
        }
        for (max, expected) in [(9, vec![0, 1, 3, 4]), (3, vec![0, 1, 3]), (1, vec![1]), (0, vec![])] {
            assert_eq!(pipeline.devices_of_note(max), expected, "{max}");
        }
        assert_eq!(pipeline.state.devices.known(), 4);
    }
}
