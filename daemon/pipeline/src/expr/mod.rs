//! Expressions: conditions and formulas that a configuration gives as text, such as `value > 60 and device == 'pump'`.
//!
//! The language is described in docs/expressions.md, and why it is our own in docs/decisions/0004-expressions.md. It has
//! numbers (64-bit floating point), texts and truth values, told apart when the text is parsed, so that evaluating can
//! fail in two ways only: something is not there, or a number is not finite. There are no loops, no variables and no
//! clock; the work is bounded by the number of tokens.
//!
//! `token.rs` cuts the text, `parse.rs` and `typing.rs` make a typed tree of it, `tree.rs` evaluates that, `function.rs` and
//! `part.rs` are the tables of functions and of parts of the time.

mod function;
mod parse;
mod part;
mod token;
mod tree;
mod typing;

use crate::time::Time;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Range;
use tree::Typed;

/// A parsed expression. In a plan it stands as its text.
#[derive(Clone)]
pub struct Expr {
    text: Box<str>,
    /// The names in it that are tags: the text alone does not tell a tag from a metric.
    tags: parse::Tags,
    tree: Typed,
}

/// What an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A 64-bit floating point number.
    Number,
    /// True or false.
    Truth,
    /// Text: only to compare with.
    Text,
}

/// Which names an expression may use, besides the parts of the time, which are always there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'n> {
    /// Whether `value` is there.
    pub value: bool,
    /// Names of tags: texts. A tag hides a metric of the same name.
    pub tags: &'n [&'n str],
    /// Names of metrics of the same message: numbers.
    pub metrics: Metrics<'n>,
}

/// Which names are metrics.
#[derive(Clone, Copy, Debug, Default)]
pub enum Metrics<'n> {
    /// None: the expression is about one value.
    #[default]
    None,
    /// These.
    These(&'n [&'n str]),
    /// Every name that is nothing else: the configuration does not list the metrics.
    Any,
}

impl<'n> Names<'n> {
    /// Of one reading: its value, its time and its tags.
    pub fn reading(tags: &'n [&'n str]) -> Names<'n> {
        Names { value: true, tags, metrics: Metrics::None }
    }

    /// Of one message: its metrics, its time and its tags.
    pub fn message(tags: &'n [&'n str], metrics: Metrics<'n>) -> Names<'n> {
        Names { value: false, tags, metrics }
    }
}

/// What an expression is about.
#[derive(Clone, Copy)]
pub struct Env<'e> {
    /// `value`.
    pub value: f64,
    /// Where `hour`, `weekday` and so on come from.
    pub time: Time,
    /// In which zone these are read.
    pub zone: &'e TimeZone,
    /// Tags with their names.
    pub tags: &'e [(String, String)],
    /// Finds a metric of the same message.
    pub metrics: &'e dyn Fn(&str) -> Option<f64>,
}

impl<'e> Env<'e> {
    /// One reading, with times read in UTC.
    pub fn new(value: f64, time: Time, tags: &'e [(String, String)]) -> Env<'e> {
        Env { value, time, zone: const { &TimeZone::UTC }, tags, metrics: &|_| None }
    }
}

/// What is wrong with an expression's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// A sentence for the person who wrote it, which says what to write where that is known.
    pub message: String,
    /// The bytes of the text that it is about; empty at the end of the text.
    pub at: Range<usize>,
}

/// Why an expression has no result for this reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoResult {
    /// A tag or metric that the expression names is not there.
    #[error("a tag or metric that the expression names is missing")]
    Missing,
    /// A number on the way is NaN or infinite: divided by zero, or the root of a negative number.
    #[error("a number in the expression is not finite")]
    NotFinite,
}

impl Expr {
    /// Parses `text`.
    ///
    /// # Errors
    /// What is wrong and where: the text is no expression, names what is not among `names`, or mixes kinds.
    pub fn parse(text: &str, names: &Names<'_>) -> Result<Expr, ExprError> {
        let (tree, tags) = parse::parse(text, names)?;
        Ok(Expr { text: text.into(), tags, tree })
    }

    /// Parses `text`, which has to be true or false.
    ///
    /// # Errors
    /// As [`Expr::parse`], and when it gives a number or a text.
    pub fn condition(text: &str, names: &Names<'_>) -> Result<Expr, ExprError> {
        let hint = "a condition is true or false: compare with something, as in `value > 60`";
        Expr::parse(text, names)?.expect(Kind::Truth, hint)
    }

    /// Parses `text`, which has to be a number.
    ///
    /// # Errors
    /// As [`Expr::parse`], and when it gives a truth value or a text.
    pub fn formula(text: &str, names: &Names<'_>) -> Result<Expr, ExprError> {
        let hint = "this has to give a number: for a condition write `if(condition, 1, 0)`";
        Expr::parse(text, names)?.expect(Kind::Number, hint)
    }

    fn expect(self, kind: Kind, hint: &str) -> Result<Expr, ExprError> {
        if self.kind() == kind {
            return Ok(self);
        }
        Err(ExprError { message: hint.to_owned(), at: 0..self.text.len() })
    }

    /// What it gives.
    pub fn kind(&self) -> Kind {
        self.tree.kind()
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the condition holds. An expression that gives no truth value never holds.
    ///
    /// # Errors
    /// Why nobody can say.
    pub fn test(&self, env: &Env<'_>) -> Result<bool, NoResult> {
        match &self.tree {
            Typed::Truth(truth) => truth.of(env),
            Typed::Number(_) | Typed::Text(_) => Ok(false),
        }
    }

    /// The number that it gives, which is finite.
    ///
    /// # Errors
    /// Why there is none. An expression that gives no number gives [`NoResult::Missing`].
    pub fn number(&self, env: &Env<'_>) -> Result<f64, NoResult> {
        match &self.tree {
            Typed::Number(number) => tree::finite(number.of(env)?),
            Typed::Truth(_) | Typed::Text(_) => Err(NoResult::Missing),
        }
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Expr) -> bool {
        self.text == other.text && self.tags == other.tags
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({:?})", self.text)
    }
}

impl Serialize for Expr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.text, &self.tags).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Expr {
    /// Parses it again. What it may name was checked when it was written, so that everything is allowed here.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Expr, D::Error> {
        let (text, tags) = <(String, Vec<String>)>::deserialize(deserializer)?;
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let names = Names { value: true, tags: &tags, metrics: Metrics::Any };
        Expr::parse(&text, &names).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
