//! What status lists by name is text: it is not made for every transaction.

use crate::devices::{frame, frames};
use crate::heart::run_of;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tidegate::clock::{System, Timekeeper};
use tidegate::config::model::Buffer;
use tidegate::ingest::figures::{Figures, Lists};
use tidegate::ingest::heart::{Heart, Parts};
use tidegate::ingest::intake::{Input, Intake, Link};
use tidegate::store::{Opened, Store};
use tidegate_medium::Disk;
use tidegate_pipeline::time::Time;

/// A heart that turns when it is told to, and keeps all lists that it made: another list is never at the place of one that is
/// still there.
struct Lister {
    heart: Heart,
    intake: Arc<Intake>,
    figures: Arc<Figures>,
    link: Arc<Link>,
    began: Instant,
    made: Vec<Arc<Lists>>,
}

impl Lister {
    fn new() -> Lister {
        let Opened { store, pipeline } =
            Store::open("disk", Disk::default().opener(), "x", |_| frames()).unwrap();
        let clock = Timekeeper::new(System::new(), Time::MIN);
        let (parts, _) = Parts::new(store, pipeline, clock, Buffer::default());
        let (intake, figures) = (Arc::clone(&parts.intake), Arc::clone(&parts.figures));
        let began = Instant::now();
        let heart = Heart::new(parts, began);
        let made = vec![figures.lists()];
        // Whoever may have one message under way waits for its acknowledgement: each is a transaction.
        let link = Link::new(0, "sensor", 1);
        let lister = Lister { heart, intake, figures, link, began, made };
        lister.push(Input::Opened(Arc::clone(&lister.link)));
        lister
    }

    fn push(&self, input: Input) {
        assert!(self.intake.try_push(Some(input)).is_none(), "there is room");
    }

    /// A device that was never heard before sends a frame.
    fn send(&self, number: u64) {
        let frame = frame(1, 0..2, 0);
        self.push(Input::Run(run_of(&self.link, number, &[(&format!("f/d{number}"), frame)])));
    }

    /// The heart turns so long after the beginning. Says how many devices are listed.
    fn turn(&mut self, millis: u64) -> usize {
        let now = self.began + Duration::from_millis(millis);
        assert!(self.heart.turn(now).is_continue());
        self.heart.rest(now);
        let lists = self.figures.lists();
        if !self.made.iter().any(|made| Arc::ptr_eq(made, &lists)) {
            self.made.push(Arc::clone(&lists));
        }
        assert_eq!(lists.clocks.len(), lists.devices.shown.len());
        lists.clocks.len()
    }

    fn commits(&self) -> u64 {
        self.figures.commits.load(Ordering::Relaxed)
    }
}

#[test]
fn once_a_second_and_only_when_something_changed() {
    let mut lister = Lister::new();
    for number in 1..50 {
        let before = lister.commits();
        lister.send(number);
        assert_eq!(lister.turn(20 * number), 0);
        assert!(lister.commits() > before, "it waits for no other");
    }
    assert_eq!(lister.made.len(), 1, "49 transactions in a second, and no list");
    assert_eq!(lister.turn(1_000), 49, "all that was written");
    lister.send(50);
    assert_eq!(lister.turn(1_001), 49);
    assert_eq!(lister.turn(1_999), 49);
    assert_eq!(lister.turn(2_000), 50);
    assert_eq!((lister.turn(9_000), lister.made.len()), (50, 3), "nothing is new");
    lister.send(51);
    assert_eq!(lister.turn(9_001), 51, "after a quiet time it shows at once");
}
