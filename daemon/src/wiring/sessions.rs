//! The sessions that brokers keep for the sources of the configuration.

use super::Daemon;
use crate::config::Config;
use crate::config::model::{Mqtt, Source, SourceKind};
use crate::ingest::sessions::Filters;

impl Daemon {
    /// Writes down what the sessions will hold, before anything is asked for; and that there are no others.
    pub(super) fn expect_sessions(&self) {
        let wanted: Vec<(String, Vec<String>)> =
            persistent(&self.config).map(|(_, cfg)| (cfg.session(), cfg.subscriptions())).collect();
        self.sessions.retain(|session| wanted.iter().any(|(known, _)| known == session));
        for (session, filters) in &wanted {
            self.sessions.may_hold(session, filters);
        }
    }
}

/// The sources with a session that outlives the connection.
fn persistent(config: &Config) -> impl Iterator<Item = (&Source, &Mqtt)> {
    config.sources.iter().filter_map(|source| match &source.kind {
        SourceKind::Mqtt(cfg) if cfg.session_expiry.is_some() => Some((source, cfg)),
        _ => None,
    })
}

/// Stores once had the names of sources, not of sessions. A name of a source has no `@`, that of a session has one.
pub(super) fn by_session(mut filters: Filters, config: &Config) -> Filters {
    for (source, cfg) in persistent(config) {
        if let Some(held) = filters.remove(&source.name) {
            filters.entry(cfg.session()).or_insert(held);
        }
    }
    filters
}
