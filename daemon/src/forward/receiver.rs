//! What is said of whoever gets the events, in the words of its kind.

use crate::limits;

/// The kind of an output, as far as people are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A function behind an HTTP address.
    Function,
    /// An MQTT broker.
    Broker,
    /// A file, which takes all or nothing.
    File,
}

impl Receiver {
    /// It fails on many events at once and takes single ones.
    pub(super) fn takes_single_events(self) -> &'static str {
        match self {
            Receiver::Function => {
                "the function fails on batches but takes single events, so they go one by one; lower `batch.events`"
            }
            Receiver::Broker => {
                "the broker is too slow for many messages at once but takes single events, so they go one by one; look into its \
                 log, or raise `timeout`"
            }
            Receiver::File => "the file takes single events only, so they go one by one",
        }
    }

    /// It took nothing of what was sent, and wants all of it again.
    pub(super) fn asks_for_all_again(self) -> &'static str {
        match self {
            Receiver::Function => {
                "answered 2xx, but asks for every event again: look into the function's own log"
            }
            Receiver::Broker => "took no event of those that were published: look into the broker's log",
            Receiver::File => "took no event of those that were written",
        }
    }

    /// So much was refused, and nothing taken in between, that it is not the events. The same text each time: `words` are
    /// those of one event.
    pub(super) fn refuses_all(self, words: &str) -> String {
        let most = limits::REFUSALS_MAX;
        match self {
            Receiver::Function => {
                let status = words.split(':').next().unwrap_or_default();
                format!(
                    "refused {most} single events in a row ({status}), so the function is taken to be at fault: correct it, or \
                     `url`. Everything is kept"
                )
            }
            Receiver::Broker => format!(
                "refused {most} single events in a row, so the broker is taken to be at fault, or the topic: what it said last is \
                 `last_error` in the status; correct `topic`, or the broker. Everything is kept"
            ),
            Receiver::File => {
                format!("refused {most} single events in a row: correct `path`. Everything is kept")
            }
        }
    }
}
