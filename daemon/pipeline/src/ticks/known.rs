//! The clocks that a pipeline knows, for people.

use super::Estimate;
use crate::pipeline::Pipeline;

/// A device that says its uptime, and how its clock stands to ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Sender {
    /// The stream that it sends to.
    pub stream: String,
    /// Its topic, or its tags as `device=d1`.
    pub sender: String,
    /// Its clock.
    pub estimate: Estimate,
}

impl Pipeline {
    /// Devices whose uptime says the time, in the order in which they were met; `max` of them at most.
    pub fn clocks(&self, max: usize) -> Vec<Sender> {
        let sender = |known: &crate::state::KnownClock| {
            let (stream, sender) = shown(&known.name)?;
            let stream = self.plan.streams.get(stream)?.name.clone();
            Some(Sender { stream, sender, estimate: known.clock.estimate()? })
        };
        self.state.clocks.iter().filter_map(sender).take(max).collect()
    }
}

/// Index of the stream, and the sender in words: the other way round from [`crate::series::name`].
pub(crate) fn shown(name: &str) -> Option<(usize, String)> {
    let mut parts = name.split('\u{1}');
    let stream = parts.next()?.parse().ok()?;
    let topic = parts.nth(1)?;
    let rest: Vec<_> = parts.collect();
    let tags = rest.chunks(2).map(|pair| {
        let tag = pair[0].rsplit_once('=').map_or(pair[0], |(tag, _)| tag);
        format!("{tag}={}", pair.get(1).unwrap_or(&""))
    });
    let words = Some(topic.to_owned()).filter(|topic| !topic.is_empty()).into_iter().chain(tags);
    Some((stream, words.collect::<Vec<_>>().join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_in_words() {
        let check = |topic: &str, tags: &[(&str, Option<&str>)], expected: &str| {
            let mut name = String::new();
            crate::series::name(&mut name, 3, topic, tags.iter().copied());
            assert_eq!(shown(&name), Some((3, expected.to_owned())));
        };
        check("field/d1", &[], "field/d1");
        check("", &[("device", Some("d1")), ("room", Some("a=b"))], "device=d1 room=a=b");
        check("", &[("device", None)], "device=");
        assert_eq!(shown(""), None);
    }
}
