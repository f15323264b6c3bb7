//! Topic patterns: MQTT topic filters whose levels can have names.
//!
//! `sensors/{device}/{metric}` matches three levels and gives two tags. `{name#}` takes one level or more, anywhere in
//! the pattern; `+` and `#` are as in MQTT (\[MQTT-4.7.1\]): `#` only at the end, and there it also takes no level at all.
//! Topics that start with `$` are matched only by a pattern whose first level is written out (\[MQTT-4.7.2-1\]).

use serde::{Deserialize, Serialize};

/// One level of a pattern, or in the case of the last two a run of levels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Exactly this.
    Literal(String),
    /// `+`: any one level.
    Any,
    /// `{name}`: any one level, kept as a tag.
    Tag(String),
    /// `{name#}`: one level or more, kept as one tag with its slashes.
    TagRest(String),
    /// `#`: any number of levels, none included.
    Rest,
}

/// A parsed topic pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicPattern(pub Vec<Level>);

/// What can be wrong with a pattern: a sentence, and the byte range in the text that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// What is wrong and what to write instead.
    pub message: String,
    /// Where, as a byte range of the pattern's text.
    pub at: std::ops::Range<usize>,
}

impl TopicPattern {
    /// Parses a pattern as written in the configuration.
    ///
    /// # Errors
    /// The first thing that is wrong, with the place in `text`.
    pub fn parse(text: &str) -> Result<TopicPattern, PatternError> {
        let wrong = |message: &str, at: std::ops::Range<usize>| PatternError { message: message.into(), at };
        if text.is_empty() {
            return Err(wrong("a topic is at least one character long", 0..0));
        }
        let mut levels = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        let mut at = 0;
        let count = text.split('/').count();
        for (index, part) in text.split('/').enumerate() {
            let here = at..at + part.len();
            at = here.end + 1;
            let level = parse_level(part).map_err(|message| wrong(message, here.clone()))?;
            if let Level::Tag(name) | Level::TagRest(name) = &level {
                if names.contains(&name.as_str()) {
                    return Err(wrong("this name is already used in the pattern", here));
                }
                names.push(part.trim_matches(|c| matches!(c, '{' | '}' | '#')));
            }
            if matches!(level, Level::Rest) && index + 1 != count {
                return Err(wrong("`#` can only be the last level; in the middle write `{name#}`", here));
            }
            levels.push(level);
        }
        let runs = levels.iter().filter(|level| matches!(level, Level::TagRest(_) | Level::Rest)).count();
        if runs > 1 {
            return Err(wrong("only one part of a pattern can take several levels", 0..text.len()));
        }
        Ok(TopicPattern(levels))
    }

    /// The names that a match gives, in the order of the pattern.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|level| match level {
            Level::Tag(name) | Level::TagRest(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Matches `topic`; calls `found(name, value)` for each name, in order. No calls are made without a match.
    pub fn matches<'t>(&self, topic: &'t str, mut found: impl FnMut(&str, &'t str)) -> bool {
        if !self.covers(topic) {
            return false;
        }
        let total = topic.split('/').count();
        let mut rest = topic;
        for level in &self.0 {
            let take = match level {
                Level::TagRest(_) => total + 1 - self.0.len(),
                _ => 1,
            };
            let (value, left) = split_levels(rest, take);
            rest = left;
            if let Level::Tag(name) | Level::TagRest(name) = level {
                found(name, value);
            }
        }
        true
    }

    /// Whether `topic` matches.
    pub fn covers(&self, topic: &str) -> bool {
        if topic.starts_with('$') && !matches!(self.0.first(), Some(Level::Literal(_))) {
            return false;
        }
        let run = self.0.iter().position(|level| matches!(level, Level::TagRest(_) | Level::Rest));
        let Some(run) = run else {
            return topic.split('/').count() == self.0.len() && fits(&self.0, topic.split('/'));
        };
        let (head, tail) = (&self.0[..run], &self.0[run + 1..]);
        let least = usize::from(matches!(self.0[run], Level::TagRest(_)));
        topic.split('/').count() >= head.len() + tail.len() + least
            && fits(head, topic.split('/'))
            && fits_back(tail, topic.rsplit('/'))
    }

    /// The MQTT topic filter to subscribe to: the narrowest that covers the pattern.
    pub fn filter(&self) -> String {
        let mut levels = Vec::new();
        for level in &self.0 {
            match level {
                Level::Literal(text) => levels.push(text.as_str()),
                Level::Any | Level::Tag(_) => levels.push("+"),
                Level::TagRest(_) => {
                    levels.push("+");
                    levels.push("#");
                    break;
                }
                Level::Rest => levels.push("#"),
            }
        }
        levels.join("/")
    }
}

fn parse_level(part: &str) -> Result<Level, &'static str> {
    match part {
        "+" => return Ok(Level::Any),
        "#" => return Ok(Level::Rest),
        _ => {}
    }
    if let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let (name, rest) = match name.strip_suffix('#') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(plain) {
            return Err("a name in braces is made of letters, digits, `_` and `-`");
        }
        return Ok(if rest { Level::TagRest(name.into()) } else { Level::Tag(name.into()) });
    }
    if part.contains(['{', '}']) {
        return Err("braces take a whole level: `a/{name}/b`");
    }
    if part.contains(['+', '#']) {
        return Err("`+` and `#` take a whole level, as in MQTT");
    }
    if part.contains('\0') {
        return Err("a topic cannot hold the character NUL");
    }
    Ok(Level::Literal(part.into()))
}

fn fits<'t>(levels: &[Level], parts: impl Iterator<Item = &'t str>) -> bool {
    levels.iter().zip(parts).all(|(level, part)| one(level, part))
}

fn fits_back<'t>(levels: &[Level], parts: impl Iterator<Item = &'t str>) -> bool {
    levels.iter().rev().zip(parts).all(|(level, part)| one(level, part))
}

fn one(level: &Level, part: &str) -> bool {
    !matches!(level, Level::Literal(text) if text != part)
}

/// Splits off `take` levels: what they hold, and what follows the slash behind them.
fn split_levels(topic: &str, take: usize) -> (&str, &str) {
    let end = topic.match_indices('/').nth(take.saturating_sub(1)).map_or(topic.len(), |(at, _)| at);
    (&topic[..end], topic.get(end + 1..).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, topic: &str, expected: Option<&[(&str, &str)]>) {
        let pattern = TopicPattern::parse(pattern).unwrap();
        let mut tags = Vec::new();
        let matched = pattern.matches(topic, |name, value| tags.push((name.to_owned(), value.to_owned())));
        let tags: Vec<_> = tags.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(matched.then_some(tags.as_slice()), expected, "{pattern:?} on {topic}");
    }

    #[test]
    fn matching() {
        check("a/b", "a/b", Some(&[]));
        check("a/b", "a/c", None);
        check("a/+", "a/b", Some(&[]));
        check("a/+", "a", None);
        check("a/+", "a/b/c", None);
        check("a/#", "a", Some(&[]));
        check("a/#", "a/b/c", Some(&[]));
        check("#", "a/b", Some(&[]));
        check("#", "$SYS/x", None);
        check("+/x", "$SYS/x", None);
        check("$SYS/{x}", "$SYS/up", Some(&[("x", "up")]));
        check("s/{device}/{metric}", "s/d1/t", Some(&[("device", "d1"), ("metric", "t")]));
        check("s/{device}/{metric}", "s//t", Some(&[("device", ""), ("metric", "t")]));
        check("s/{path#}", "s/a/b/c", Some(&[("path", "a/b/c")]));
        check("s/{path#}", "s", None);
        check("{path#}/t", "a/b/t", Some(&[("path", "a/b")]));
        check("{path#}/t", "a/b/u", None);
        check("{path#}/t/{m}", "a/b/c/t/x", Some(&[("path", "a/b/c"), ("m", "x")]));
        check("x/{path#}/t", "x/t", None);
    }

    #[test]
    fn filters_cover_their_pattern() {
        for (pattern, filter) in
            [("a/{x}/b", "a/+/b"), ("a/{x#}", "a/+/#"), ("{x#}/b", "+/#"), ("a/#", "a/#"), ("+/b", "+/b")]
        {
            assert_eq!(TopicPattern::parse(pattern).unwrap().filter(), filter);
        }
    }

    #[test]
    fn errors_say_where() {
        for (pattern, at) in [
            ("", 0..0),
            ("a/b+/c", 2..4),
            ("a/{b c}", 2..7),
            ("a/#/b", 2..3),
            ("{a}/{a}", 4..7),
            ("x{a}", 0..4),
        ] {
            assert_eq!(TopicPattern::parse(pattern).unwrap_err().at, at, "{pattern}");
        }
        assert!(TopicPattern::parse("{a#}/{b#}").is_err());
    }
}
