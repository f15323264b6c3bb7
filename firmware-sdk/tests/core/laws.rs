//! Laws that hold whatever happens in whichever order.

use crate::gateway::Gateway;
use crate::shelf::Shelf;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tidegate_firmware::{Channel, Health, Identity, Queue, WhenFull};

#[derive(Clone, Debug)]
enum Happens {
    /// So many readings of a channel, so many milliseconds apart.
    Readings {
        channel: u16,
        count: u8,
        apart: u16,
        step: i32,
    },
    /// A frame is sent: it arrives or not, and so does its acknowledgement.
    Sent {
        arrives: bool,
        acknowledged: bool,
        room: u16,
    },
    Saved,
    /// Storage takes nothing, or takes things again.
    Storage {
        fails: bool,
    },
    /// Power is lost, right after the queue was saved where that works.
    Reset,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (0_u16..20, 1_u8..60, 0_u16..3_000, prop_oneof![4 => -300_i32..300, 1 => any::<i32>()])
            .prop_map(|(channel, count, apart, step)| Happens::Readings { channel, count, apart, step }),
        4 => (any::<bool>(), any::<bool>(), 330_u16..1_000)
            .prop_map(|(arrives, acknowledged, room)| Happens::Sent { arrives, acknowledged, room }),
        1 => Just(Happens::Saved),
        1 => any::<bool>().prop_map(|fails| Happens::Storage { fails }),
    ]
}

struct Device {
    queue: Queue<2_048>,
    when_full: WhenFull,
    shelf: Shelf,
    gateway: Gateway,
    ms: u64,
    /// What was pushed, by boot.
    pushed: BTreeMap<u32, u64>,
    /// A frame arrived whose acknowledgement did not.
    doubtful: bool,
}

impl Device {
    fn new(when_full: WhenFull) -> Device {
        let mut device = Device {
            queue: Queue::new(0, &[], when_full),
            when_full,
            shelf: Shelf::default(),
            gateway: Gateway::default(),
            ms: 0,
            pushed: BTreeMap::new(),
            doubtful: false,
        };
        device.start();
        device
    }

    fn start(&mut self) {
        self.queue = Queue::new(0, &[], self.when_full);
        self.ms = 0;
        let _fails = self.queue.restore(&mut self.shelf, &Identity::Counted { otherwise: 500 });
        self.pushed.entry(self.queue.boot()).or_default();
    }

    fn frame(&mut self, arrives: bool, acknowledged: bool, room: usize) -> bool {
        let mut buffer = vec![0; room];
        let Some(outgoing) = self.queue.frame(&mut buffer, self.ms, &Health::default()).unwrap() else {
            return false;
        };
        if arrives {
            self.gateway.take(&buffer[..outgoing.len]);
        }
        if arrives && acknowledged {
            assert_eq!(self.queue.acknowledged() as usize, outgoing.readings);
        } else {
            self.queue.abandon();
            self.doubtful |= arrives;
        }
        true
    }

    fn happen(&mut self, what: &Happens) {
        match *what {
            Happens::Readings { channel, count, apart, step } => {
                for n in 0..i64::from(count) {
                    self.ms += u64::from(apart);
                    // Great steps need many bytes: then not all that is open fits into one frame.
                    let value = n * i64::from(step) * if step.abs_diff(0) > 300 { 1 << 20 } else { 1 };
                    self.queue.push(Channel::new(channel, 1).unwrap(), self.ms, value);
                    *self.pushed.get_mut(&self.queue.boot()).unwrap() += 1;
                }
            }
            Happens::Sent { arrives, acknowledged, room } => {
                self.frame(arrives, acknowledged, room.into());
            }
            Happens::Saved => drop(self.queue.save(&mut self.shelf, self.ms)),
            Happens::Storage { fails } => self.shelf.0.borrow_mut().fails = fails,
            Happens::Reset => {
                self.shelf.0.borrow_mut().fails = false;
                self.queue.save(&mut self.shelf, self.ms).unwrap();
                self.start();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Numbers never change their content, come in order, and those that are missing are those that the status tells.
    #[test]
    fn missing_is_what_was_given_up(
        merge in any::<bool>(),
        events in prop::collection::vec(happens(), 1..80),
    ) {
        let mut device = Device::new(if merge { WhenFull::Merge } else { WhenFull::DropOldest });
        events.iter().for_each(|event| device.happen(event));
        // One more, so that there is a frame that tells.
        device.happen(&Happens::Readings { channel: 0, count: 1, apart: 1, step: 1 });
        while device.frame(true, true, 900) {}
        let boot = device.queue.boot();
        let next = device.pushed[&boot];
        let (given_up, merged) = device.queue.given_up_and_merged();
        prop_assert_eq!(device.gateway.missing(boot, next), u64::from(given_up));
        prop_assert_eq!(device.gateway.dropped(boot), u64::from(given_up));
        prop_assert!(merged <= given_up && (merge || merged == 0));
        prop_assert!(device.queue.is_empty());
        prop_assert_eq!(device.gateway.numbers(boot).last().copied(), Some(next - 1));
    }

    /// Over resets everything that was saved arrives; what is missing was given up and told, by the start that lost it or by one after it.
    #[test]
    fn saved_is_delivered(
        events in prop::collection::vec(prop_oneof![6 => happens(), 1 => Just(Happens::Reset)], 1..60),
    ) {
        let mut device = Device::new(WhenFull::DropOldest);
        events.iter().for_each(|event| device.happen(event));
        device.happen(&Happens::Reset);
        device.happen(&Happens::Readings { channel: 0, count: 1, apart: 1, step: 1 });
        while device.frame(true, true, 900) {}
        let missing: u64 = device.pushed.iter().map(|(boot, next)| device.gateway.missing(*boot, *next)).sum();
        let told: u64 = device.pushed.keys().map(|boot| device.gateway.dropped(*boot)).sum();
        // A reading that arrived, and whose acknowledgement did not, may be given up after a reset: told, and not missing.
        prop_assert!(missing <= told, "{} missing, {} told", missing, told);
        prop_assert!(device.doubtful || missing == told, "{} missing, {} told", missing, told);
    }
}
