//! Filters of an earlier configuration: taken out of a session that the broker has kept, once nothing is lost by that.
//!
//! What is published to a topic that an old and a new filter both match must come by one of them at every moment. So an old one
//! goes when all new ones that overlap with it are granted, and stays while one of them is refused. In between, which is one
//! answer of the broker, both are there, and a broker may deliver a message once for each (3.1.1 section 3.3.5, 5.0 section
//! 3.3.4). A message that was lost would never come again.

use super::Client;
use super::progress::Progress;
use crate::config::subscriptions::overlap;
use crate::limits;
use crate::mqtt::connection::Connection;
use crate::wire::encode;

impl Client {
    /// What the session that was resumed, or is new, holds and should not.
    pub(super) fn look_for_unwanted(&self, session_present: bool, progress: &mut Progress) {
        if self.cfg.session_expiry.is_none() {
            // It ends with the connection.
            return;
        }
        if session_present {
            progress.unwanted = self.context.sessions.unwanted(&self.session, &self.subscriptions);
        } else {
            self.context.sessions.holds(&self.session, &self.subscriptions);
        }
    }

    /// Takes out what can be taken out by now, a few at a time.
    pub(super) fn let_go(&self, connection: &mut Connection, progress: &mut Progress) -> Result<(), String> {
        if progress.going.is_some() {
            return Ok(());
        }
        let needed = |old: &str| progress.ungranted().any(|new| overlap(unshared(old), unshared(new)));
        let free = progress.unwanted.iter().filter(|old| !needed(old));
        let filters: Vec<String> = free.take(limits::FILTERS_PER_PACKET_MAX).cloned().collect();
        if !filters.is_empty() {
            let id = progress.next_id();
            encode::unsubscribe(self.version, id, &filters, &mut connection.wire.out)
                .map_err(|fault| fault.to_string())?;
            progress.going = Some((id, filters));
        }
        Ok(())
    }

    /// What the broker says to one UNSUBSCRIBE.
    pub(super) fn gone(
        &self,
        id: u16,
        connection: &mut Connection,
        progress: &mut Progress,
    ) -> Result<(), String> {
        let Some((_, gone)) = progress.going.take_if(|(going, _)| *going == id) else { return Ok(()) };
        progress.unwanted.retain(|filter| !gone.contains(filter));
        if progress.unwanted.is_empty() {
            self.context.sessions.holds(&self.session, &self.subscriptions);
        }
        self.let_go(connection, progress)
    }
}

/// The topics that a subscription is for, shared or not.
fn unshared(subscription: &str) -> &str {
    let rest = subscription.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
    rest.map_or(subscription, |(_, filter)| filter)
}
