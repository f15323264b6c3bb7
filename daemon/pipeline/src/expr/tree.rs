//! The typed tree of an expression, and its value.

use super::function::Function;
use super::part::Part;
use super::{Env, Kind, NoResult};
use std::cmp::Ordering;

/// A tree of any kind.
#[derive(Clone, Debug)]
pub(super) enum Typed {
    Number(Number),
    Truth(Truth),
    Text(Text),
}

/// Gives a number.
#[derive(Clone, Debug)]
pub(super) enum Number {
    Constant(f64),
    Value,
    Part(Part),
    Metric(Box<str>),
    Negated(Box<Number>),
    Arithmetic(Arithmetic, Box<(Number, Number)>),
    Call(Function, Box<[Number]>),
    If(Box<(Truth, Number, Number)>),
}

/// Gives true or false.
#[derive(Clone, Debug)]
pub(super) enum Truth {
    Constant(bool),
    Compare(Comparison, Box<(Number, Number)>),
    Same(Box<(Text, Text)>),
    AmongNumbers(Box<(Number, Vec<Number>)>),
    AmongTexts(Box<(Text, Vec<Text>)>),
    HasTag(Box<str>),
    HasMetric(Box<str>),
    Not(Box<Truth>),
    And(Box<(Truth, Truth)>),
    Or(Box<(Truth, Truth)>),
    If(Box<(Truth, Truth, Truth)>),
}

/// Gives a text.
#[derive(Clone, Debug)]
pub(super) enum Text {
    Constant(Box<str>),
    Tag(Box<str>),
    If(Box<(Truth, Text, Text)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    NotEqual,
}

/// The greatest number of arguments of a function: enough for each of the table.
const ARGUMENTS_MAX: usize = 16;

impl Typed {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Typed::Number(_) => Kind::Number,
            Typed::Truth(_) => Kind::Truth,
            Typed::Text(_) => Kind::Text,
        }
    }
}

impl Number {
    /// The number; perhaps not finite: that shows where it is used.
    pub(super) fn of(&self, env: &Env<'_>) -> Result<f64, NoResult> {
        Ok(match self {
            Number::Constant(number) => *number,
            Number::Value => env.value,
            Number::Part(part) => part.of(env),
            Number::Metric(name) => (env.metrics)(name).ok_or(NoResult::Missing)?,
            Number::Negated(number) => -number.of(env)?,
            Number::Arithmetic(operator, pair) => operator.of(pair.0.of(env)?, pair.1.of(env)?),
            Number::Call(function, arguments) => {
                let mut numbers = [0.0; ARGUMENTS_MAX];
                let count = arguments.len().min(ARGUMENTS_MAX);
                for (number, argument) in numbers.iter_mut().zip(arguments) {
                    *number = argument.of(env)?;
                }
                function.of(&numbers[..count])
            }
            Number::If(three) => if three.0.of(env)? { &three.1 } else { &three.2 }.of(env)?,
        })
    }
}

impl Truth {
    pub(super) fn of(&self, env: &Env<'_>) -> Result<bool, NoResult> {
        Ok(match self {
            Truth::Constant(truth) => *truth,
            Truth::Compare(comparison, pair) => comparison.of(pair.0.of(env)?, pair.1.of(env)?)?,
            Truth::Same(pair) => pair.0.of(env)? == pair.1.of(env)?,
            Truth::AmongNumbers(list) => {
                let number = finite(list.0.of(env)?)?;
                any(&list.1, |one| Comparison::Equal.of(number, one.of(env)?))?
            }
            Truth::AmongTexts(list) => {
                let text = list.0.of(env)?;
                any(&list.1, |one| Ok(one.of(env)? == text))?
            }
            Truth::HasTag(name) => tag(env, name).is_some(),
            Truth::HasMetric(name) => (env.metrics)(name).is_some(),
            Truth::Not(truth) => !truth.of(env)?,
            Truth::And(pair) => pair.0.of(env)? && pair.1.of(env)?,
            Truth::Or(pair) => pair.0.of(env)? || pair.1.of(env)?,
            Truth::If(three) => if three.0.of(env)? { &three.1 } else { &three.2 }.of(env)?,
        })
    }
}

impl Text {
    fn of<'e>(&'e self, env: &Env<'e>) -> Result<&'e str, NoResult> {
        match self {
            Text::Constant(text) => Ok(text),
            Text::Tag(name) => tag(env, name).ok_or(NoResult::Missing),
            Text::If(three) => if three.0.of(env)? { &three.1 } else { &three.2 }.of(env),
        }
    }
}

impl Arithmetic {
    fn of(self, left: f64, right: f64) -> f64 {
        match self {
            Arithmetic::Add => left + right,
            Arithmetic::Subtract => left - right,
            Arithmetic::Multiply => left * right,
            Arithmetic::Divide => left / right,
            Arithmetic::Remainder => left % right,
        }
    }
}

impl Comparison {
    /// Numbers that are not finite compare with nothing: a condition must not hold by accident.
    fn of(self, left: f64, right: f64) -> Result<bool, NoResult> {
        let order = finite(left)?.partial_cmp(&finite(right)?).ok_or(NoResult::NotFinite)?;
        Ok(match self {
            Comparison::Less => order == Ordering::Less,
            Comparison::AtMost => order != Ordering::Greater,
            Comparison::Greater => order == Ordering::Greater,
            Comparison::AtLeast => order != Ordering::Less,
            Comparison::Equal => order == Ordering::Equal,
            Comparison::NotEqual => order != Ordering::Equal,
        })
    }
}

pub(super) fn finite(number: f64) -> Result<f64, NoResult> {
    if number.is_finite() { Ok(number) } else { Err(NoResult::NotFinite) }
}

fn tag<'e>(env: &Env<'e>, name: &str) -> Option<&'e str> {
    env.tags.iter().find(|(tag, _)| tag == name).map(|(_, value)| value.as_str())
}

fn any<T>(list: &[T], holds: impl Fn(&T) -> Result<bool, NoResult>) -> Result<bool, NoResult> {
    for one in list {
        if holds(one)? {
            return Ok(true);
        }
    }
    Ok(false)
}
