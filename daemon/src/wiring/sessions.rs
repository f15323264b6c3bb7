//! The sessions that brokers keep for the sources of the configuration.

use super::Daemon;
use crate::config::Config;
use crate::config::model::{Mqtt, Source, SourceKind};
use crate::ingest::sessions::Filters;

impl Daemon {
    /// Writes down what the sessions will hold, before anything is asked for; and that there are no others.
    pub(super) fn expect_sessions(&self) {
        let (expected, left) = expected(&self.sessions.known(), &self.config);
        for session in left {
            tracing::warn!(
                session,
                "no source has this session (client id @ broker) any more: if no other client has it, the broker keeps messages for it \
                 until it expires there. To end it at once, connect with this client id and a clean session"
            );
        }
        self.sessions.replace(expected);
    }
}

/// What the sessions of the configuration may hold, and the sessions that nobody in it has any more.
///
/// Those with one client id may be one session, of a broker that is called otherwise now or has another port: taking out what
/// is not there changes nothing.
fn expected(known: &Filters, config: &Config) -> (Filters, Vec<String>) {
    let is_of = |session: &str, cfg: &Mqtt| {
        session.rsplit_once('@').is_some_and(|(client_id, _)| client_id == cfg.client_id)
    };
    let mut expected = Filters::new();
    for (_, cfg) in persistent(config) {
        let held = known.iter().filter(|(session, _)| is_of(session, cfg)).flat_map(|(_, filters)| filters);
        let filters: &mut Vec<String> = expected.entry(cfg.session()).or_default();
        for filter in held.cloned().chain(cfg.subscriptions()) {
            if !filters.contains(&filter) {
                filters.push(filter);
            }
        }
    }
    let left = known.keys().filter(|session| !brokers(config).any(|(_, cfg)| is_of(session, cfg)));
    (expected, left.cloned().collect())
}

/// The sources with a session that outlives the connection.
fn persistent(config: &Config) -> impl Iterator<Item = (&Source, &Mqtt)> {
    brokers(config).filter(|(_, cfg)| cfg.session_expiry.is_some())
}

fn brokers(config: &Config) -> impl Iterator<Item = (&Source, &Mqtt)> {
    config.sources.iter().filter_map(|source| match &source.kind {
        SourceKind::Mqtt(cfg) => Some((source, cfg)),
        SourceKind::Listen(_) => None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};
    use std::path::Path;

    fn config(sources: &str) -> Config {
        let text = format!("{sources}[streams.s]\ntopic = \"s/{{device}}\"\nvalue = \"/v\"\n");
        config::parse(&text, "test", Path::new("/"), &Environment::from_system()).unwrap().config
    }

    fn known(sessions: &[(&str, &[&str])]) -> Filters {
        let owned = |filters: &[&str]| filters.iter().map(|&filter| filter.to_owned()).collect();
        sessions.iter().map(|(session, filters)| ((*session).to_owned(), owned(filters))).collect()
    }

    #[test]
    fn a_session_goes_with_its_client_id() {
        let source = |client_id: &str, url: &str| {
            config(&format!("[sources.a]\nurl = \"{url}\"\nclient_id = \"{client_id}\"\n"))
        };
        let before = known(&[("one@localhost:1883", &["old/#", "s/+"])]);
        let check = |config: Config, filters: &[(&str, &[&str])], left: &[&str]| {
            let found = expected(&before, &config);
            assert_eq!(
                (found.0, found.1.iter().map(String::as_str).collect::<Vec<_>>()),
                (known(filters), left.to_vec())
            );
        };
        check(source("one", "mqtt://localhost"), &[("one@localhost:1883", &["old/#", "s/+"])], &[]);
        check(source("one", "mqtt://127.0.0.1"), &[("one@127.0.0.1:1883", &["old/#", "s/+"])], &[]);
        check(
            source("two", "mqtt://localhost"),
            &[("two@localhost:1883", &["s/+"])],
            &["one@localhost:1883"],
        );
        let listener = "[sources.a]\ntype = \"listen\"\nlisten = \"127.0.0.1:1\"\n";
        check(config(listener), &[], &["one@localhost:1883"]);
    }
}
