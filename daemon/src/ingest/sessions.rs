//! The sessions that brokers keep for us, and the topic filters that each of them may hold.
//!
//! A persistent session outlives the process and its configuration: a filter that nobody wants any more is delivered until it is
//! taken out. So it is written down which there may be, before they are asked for, and forgotten only when the broker has said
//! that they are gone. A filter that is named and not there does no harm: taking it out once more changes nothing.

use crate::ingest::mailbox::Mailbox;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// By session, see [`Mqtt::session`](crate::config::model::Mqtt::session): the filters that it may hold.
pub type Filters = BTreeMap<String, Vec<String>>;

/// All sessions. What changes goes to the writer.
#[derive(Debug)]
pub struct Sessions {
    known: Mutex<Filters>,
    mailbox: Arc<Mailbox>,
}

impl Sessions {
    /// As they are written down.
    pub fn new(known: Filters, mailbox: Arc<Mailbox>) -> Sessions {
        Sessions { known: Mutex::new(known), mailbox }
    }

    /// The session may hold these, and no others.
    pub fn holds(&self, session: &str, filters: &[String]) {
        self.change(|known| {
            known.insert(session.to_owned(), filters.to_vec());
        });
    }

    /// There are these, and no others.
    pub fn replace(&self, with: Filters) {
        self.change(|known| *known = with);
    }

    /// All of them.
    pub fn known(&self) -> Filters {
        self.lock().clone()
    }

    /// What the session may hold though it is not `wanted`.
    pub fn unwanted(&self, session: &str, wanted: &[String]) -> Vec<String> {
        let known = self.lock();
        let held = known.get(session).into_iter().flatten();
        held.filter(|filter| !wanted.contains(filter)).cloned().collect()
    }

    fn change(&self, change: impl FnOnce(&mut Filters)) {
        let mut known = self.lock();
        let before = known.clone();
        change(&mut known);
        if *known != before {
            // Under the lock: of two changes the later one is written last.
            self.mailbox.remember(known.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Filters> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::intake::Intake;

    #[test]
    fn a_filter_is_known_until_it_is_gone() {
        let filters = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let mailbox = Mailbox::new(Intake::new(10, 1_000));
        let written = || mailbox.take().0.subscriptions.map(|known| known.into_iter().collect::<Vec<_>>());
        let sessions = Sessions::new(Filters::from([("s".into(), filters("a b"))]), Arc::clone(&mailbox));
        sessions.holds("s", &filters("a b c"));
        assert_eq!(written(), Some(vec![("s".into(), filters("a b c"))]));
        // A second change, before the first one was made: nothing is forgotten.
        sessions.holds("s", &filters("a b c d"));
        assert_eq!(sessions.unwanted("s", &filters("d")), filters("a b c"));
        assert_eq!(sessions.unwanted("t", &filters("d")), filters(""));
        sessions.holds("s", &filters("d"));
        sessions.holds("t", &filters("e"));
        assert_eq!(written(), Some(vec![("s".into(), filters("d")), ("t".into(), filters("e"))]));
        sessions.holds("s", &filters("d"));
        assert_eq!(written(), None, "nothing changed");
        sessions.replace(Filters::from([("t".into(), filters("e"))]));
        assert_eq!(written(), Some(vec![("t".into(), filters("e"))]));
    }
}
