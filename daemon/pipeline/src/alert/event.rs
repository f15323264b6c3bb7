//! `tidegate.alert.v1`: what a function is told of an alert (CloudEvents 1.0, structured mode, JSON).

use super::{Active, Outgoing, Raised, Watch, Why};
use crate::event::{Envelope, Tags, escape, tags_of_subject};
use crate::plan::{AlertPlan, Plan};
use crate::time::Time;
use serde::Serialize;

/// Everything that an event about an alert is made of.
pub(crate) struct Telling<'t> {
    pub(crate) plan: &'t Plan,
    pub(crate) watch: &'t Watch,
    pub(crate) raised: Raised,
    /// When it was cleared; `None` while it is raised.
    pub(crate) cleared: Option<Time>,
    /// The value that decided, or else the last one.
    pub(crate) value: Option<f64>,
}

impl Telling<'_> {
    fn alert(&self) -> &AlertPlan {
        &self.plan.alerts[usize::from(self.watch.alert)]
    }

    /// `alert/metric/tags`, each part percent-encoded.
    pub(crate) fn subject(&self) -> String {
        let mut text = String::new();
        escape(&mut text, &self.alert().name);
        text.push('/');
        match &self.watch.metric {
            Some(metric) => escape(&mut text, metric),
            None => text.push('-'),
        }
        tags_of_subject(&mut text, &self.watch.tags);
        text
    }

    /// What names this alert from its raise to its end.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}/alert{}", self.subject(), self.raised.at.rfc3339(), self.raised.ordinal)
    }

    /// The event.
    pub(crate) fn render(&self) -> Outgoing {
        let (alert, key, subject) = (self.alert(), self.key(), self.subject());
        let revision = u32::from(self.cleared.is_some());
        let id = format!("{key}/r{revision}");
        let condition = self.raised.why == Why::Condition;
        let text = |expression: &Option<crate::expr::Expr>| {
            expression.as_ref().filter(|_| condition).map(|expression| expression.text().to_owned())
        };
        let tags = self.tags();
        let event = Envelope {
            specversion: "1.0",
            r#type: "tidegate.alert.v1",
            source: &self.plan.source,
            id: &id,
            subject: &subject,
            time: self.cleared.unwrap_or(self.raised.at).rfc3339(),
            datacontenttype: "application/json",
            data: Data {
                key: &key,
                revision,
                replaces: [],
                alert: &alert.name,
                state: if self.cleared.is_some() { "cleared" } else { "raised" },
                reason: self.raised.why.name(),
                stream: self.plan.stream_names(&self.watch.streams),
                metric: self.watch.metric.as_deref(),
                unit: self.unit(),
                tags: Tags(&tags),
                value: self.value,
                since: self.raised.since.rfc3339(),
                raised_at: self.raised.at.rfc3339(),
                cleared_at: self.cleared.map(Time::rfc3339),
                when: text(&alert.when),
                clear: text(&alert.clear),
            },
        };
        let event = event.render();
        Outgoing { id, event, to: alert.to.clone() }
    }

    /// For people.
    pub(crate) fn active(&self) -> Active {
        Active {
            key: self.key(),
            alert: self.alert().name.clone(),
            metric: self.watch.metric.clone(),
            tags: self.tags(),
            raised: self.raised,
            value: self.value,
        }
    }

    /// The tags of its key, by name.
    fn tags(&self) -> Vec<(String, String)> {
        let names = self.alert().key_tags(&self.plan.streams);
        let pairs = names.iter().zip(&self.watch.tags);
        pairs.filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?))).collect()
    }

    fn unit(&self) -> Option<&str> {
        self.plan.unit(&self.watch.streams, self.watch.metric.as_deref()?)
    }
}

#[derive(Serialize)]
struct Data<'e> {
    key: &'e str,
    revision: u32,
    replaces: [&'e str; 0],
    alert: &'e str,
    state: &'static str,
    reason: &'static str,
    stream: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'e str>,
    tags: Tags<'e>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    since: String,
    raised_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cleared_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clear: Option<String>,
}
