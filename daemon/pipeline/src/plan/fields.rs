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

    /// The names of the tags that places of metrics give.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.listed().iter().filter_map(|metric| metric.at.as_ref()).flat_map(PointerPattern::captures)
    }
}

/// One `[streams.NAME.metrics] NAME = …`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricPlan {
    /// The metric's name.
    pub name: String,
    /// Where its value is; `None` where the topic names the metric, or for a leaf of that name.
    pub at: Option<PointerPattern>,
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
        Pointer::split(text)?.map(unescape).collect::<Result<_, _>>().map(Pointer)
    }

    /// The tokens as they are written in a pointer.
    fn split(text: &str) -> Result<impl Iterator<Item = &str>, String> {
        let rest = match text.strip_prefix('/') {
            None if text.is_empty() => None,
            None => return Err(not_a_pointer(text)),
            rest => rest,
        };
        Ok(rest.into_iter().flat_map(|rest| rest.split('/')))
    }

    /// The last token: how the value is called where it stands.
    pub fn last(&self) -> Option<&str> {
        self.0.last().map(String::as_str)
    }
}

/// A JSON pointer whose tokens can have a part that stands for anything and becomes a tag: `/params/switch:{channel}/apower`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PointerPattern(pub Vec<Token>);

/// One token of a [`PointerPattern`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Token {
    /// Exactly this.
    Exact(String),
    /// `before{name}after`: what stands between, at least one character, is the tag `name`.
    Capture {
        /// What the token begins with.
        before: String,
        /// The tag.
        name: String,
        /// What it ends with.
        after: String,
    },
}

impl PointerPattern {
    /// Parses `/params/switch:{channel}/apower`.
    ///
    /// # Errors
    /// A sentence, as for [`Pointer::parse`], and when braces are not one pair around a name.
    pub fn parse(text: &str) -> Result<PointerPattern, String> {
        let pattern = PointerPattern(Pointer::split(text)?.map(token).collect::<Result<_, _>>()?);
        let mut names: Vec<_> = pattern.captures().collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("`{{{}}}` stands in it twice", pair[0])),
            None => Ok(pattern),
        }
    }

    /// The names of the tags that it gives, in the order of the pattern.
    pub fn captures(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().filter_map(|token| match token {
            Token::Exact(_) => None,
            Token::Capture { name, .. } => Some(name.as_str()),
        })
    }

    /// The pointer that this is, where nothing in it is captured.
    pub fn exact(&self) -> Option<Pointer> {
        let tokens = self.0.iter().map(|token| match token {
            Token::Exact(text) => Some(text.clone()),
            Token::Capture { .. } => None,
        });
        tokens.collect::<Option<_>>().map(Pointer)
    }
}

fn token(text: &str) -> Result<Token, String> {
    let Some((before, rest)) = text.split_once('{') else {
        return if text.contains('}') { Err(BRACES.into()) } else { unescape(text).map(Token::Exact) };
    };
    let (name, after) = rest.split_once('}').ok_or(BRACES)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(plain) || after.contains(['{', '}']) {
        return Err(BRACES.into());
    }
    Ok(Token::Capture { before: unescape(before)?, name: name.into(), after: unescape(after)? })
}

const BRACES: &str = "between two slashes there can be one `{name}`, made of letters, digits, `_` and `-`";

/// What to write instead of JSONPath (`$.a.b`) or of names with dots.
fn not_a_pointer(text: &str) -> String {
    let path = text.strip_prefix('$').map(|path| path.strip_prefix('.').unwrap_or(path));
    let slashed = path.unwrap_or(text).replace(['.', '['], "/").replace(']', "");
    let slashed = slashed.trim_matches('/');
    match path {
        Some(_) => format!("this is JSONPath, and a JSON pointer starts with `/`: write `/{slashed}`"),
        None if text.contains(['.', '[']) => format!(
            "a JSON pointer starts with `/`: write `/{slashed}`, or `/{text}` if the name itself has a `.` or `[`"
        ),
        None => format!("a JSON pointer starts with `/`: write `/{text}`"),
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

    #[test]
    fn patterns() {
        let ok = |text: &str, tags: &[&str], exact: bool| {
            let pattern = PointerPattern::parse(text).unwrap();
            assert_eq!(pattern.captures().collect::<Vec<_>>(), tags, "{text}");
            assert_eq!(pattern.exact().is_some(), exact, "{text}");
        };
        ok("/params/switch:{channel}/apower", &["channel"], false);
        ok("/{a}/x{b}y", &["a", "b"], false);
        ok("/a~1b", &[], true);
        for text in ["x", "/{a}/{a}", "/{a}{b}", "/{}", "/{a", "/a}", "/{a b}", "/~{a}"] {
            assert!(PointerPattern::parse(text).is_err(), "{text}");
        }
    }
}
