//! Which values a message carries, and where.

use serde::{Deserialize, Serialize};

/// Which values a message carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fields {
    /// One value; its metric is the topic's `{metric}`, or else `metric`.
    Value {
        /// Where it is in a JSON document; the root when `None`. Text ignores it.
        at: Option<Pointer>,
        /// The metric's name where the topic does not give one.
        metric: String,
        /// Units by metric, from `[streams.NAME.metrics]`. Empty: no unit known.
        listed: Vec<MetricPlan>,
        /// Whether metrics that are not listed are kept.
        rest: bool,
    },
    /// Several values: the listed ones, and with `rest` every other numeric or boolean leaf, nested names joined
    /// by `/`.
    Leaves {
        /// Metrics by name.
        listed: Vec<MetricPlan>,
        /// Whether leaves that are not listed are kept. True when nothing is listed.
        rest: bool,
    },
}

impl Default for Fields {
    /// Every leaf.
    fn default() -> Fields {
        Fields::Leaves { listed: Vec::new(), rest: true }
    }
}

impl Fields {
    /// The metrics that the configuration names.
    pub fn listed(&self) -> &[MetricPlan] {
        match self {
            Fields::Value { listed, .. } | Fields::Leaves { listed, .. } => listed,
        }
    }
}

/// One `[streams.NAME.metrics] NAME = …`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricPlan {
    /// The metric's name.
    pub name: String,
    /// Where its value is; `None` where the topic names the metric, or for a leaf of that name.
    pub at: Option<Pointer>,
    /// For people and functions; tidegate does not convert by it.
    pub unit: Option<String>,
    /// What its values are; chooses what is computed where a summary does not say.
    pub kind: Kind,
}

/// What the values of a metric are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A quantity at a moment: a temperature.
    #[default]
    Gauge,
    /// A meter that only rises, and may begin again at 0: an energy meter.
    Counter,
    /// One of a few values: a switch, an operating mode.
    State,
}

/// A JSON pointer (RFC 6901), split into its unescaped tokens. The empty pointer is the whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pointer(pub Vec<String>);

impl Pointer {
    /// Parses `/a/b~1c/0`.
    ///
    /// # Errors
    /// A sentence when `text` is neither empty nor starts with `/`, or has a `~` that is not `~0` or `~1`.
    pub fn parse(text: &str) -> Result<Pointer, String> {
        if text.is_empty() {
            return Ok(Pointer::default());
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(format!("a JSON pointer starts with `/`: write `/{text}`"));
        };
        rest.split('/').map(unescape).collect::<Result<_, _>>().map(Pointer)
    }

    /// The last token: how the value is called where it stands.
    pub fn last(&self) -> Option<&str> {
        self.0.last().map(String::as_str)
    }
}

fn unescape(token: &str) -> Result<String, String> {
    let plain = token.replace("~1", "").replace("~0", "");
    if plain.contains('~') {
        return Err("in a JSON pointer `~` is written `~0` and `/` is written `~1`".into());
    }
    Ok(token.replace("~1", "/").replace("~0", "~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers() {
        let ok = |text: &str, tokens: &[&str]| {
            assert_eq!(Pointer::parse(text).unwrap().0, tokens, "{text}");
        };
        ok("", &[]);
        ok("/", &[""]);
        ok("/a/b", &["a", "b"]);
        ok("/a~1b/m~0n", &["a/b", "m~n"]);
        ok("/~01", &["~1"]);
        assert!(Pointer::parse("a/b").unwrap_err().contains("`/a/b`"));
        assert!(Pointer::parse("/a~2").is_err());
    }
}
