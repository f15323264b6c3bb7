//! Joins typed trees, and refuses what does not fit, with words for the person who wrote it.

use super::function::FUNCTIONS;
use super::parse::{Operand, fail};
use super::token::Sign;
use super::tree::{Arithmetic, Comparison, Number, Text, Truth, Typed};
use super::{ExprError, Kind};
use std::ops::Range;

/// `left sign right`.
pub(super) fn join(sign: Sign, left: Operand, right: Operand) -> Result<Operand, ExprError> {
    let at = left.at.start..right.at.end;
    let arithmetic = |operator, left, right| {
        let pair = (number(left, "arithmetic")?, number(right, "arithmetic")?);
        Ok(Typed::Number(Number::Arithmetic(operator, Box::new(pair))))
    };
    let tree = match sign {
        Sign::Or => Typed::Truth(Truth::Or(Box::new((truth(left, "`or`")?, truth(right, "`or`")?)))),
        Sign::And => Typed::Truth(Truth::And(Box::new((truth(left, "`and`")?, truth(right, "`and`")?)))),
        Sign::Plus => arithmetic(Arithmetic::Add, left, right)?,
        Sign::Minus => arithmetic(Arithmetic::Subtract, left, right)?,
        Sign::Times => arithmetic(Arithmetic::Multiply, left, right)?,
        Sign::Divide => arithmetic(Arithmetic::Divide, left, right)?,
        Sign::Remainder => arithmetic(Arithmetic::Remainder, left, right)?,
        _ => Typed::Truth(compare(sign, left, right)?),
    };
    Ok(Operand { tree, at })
}

fn compare(sign: Sign, left: Operand, right: Operand) -> Result<Truth, ExprError> {
    let comparison = match sign {
        Sign::Less => Comparison::Less,
        Sign::AtMost => Comparison::AtMost,
        Sign::Greater => Comparison::Greater,
        Sign::AtLeast => Comparison::AtLeast,
        Sign::NotEqual => Comparison::NotEqual,
        _ => Comparison::Equal,
    };
    let kinds = (left.tree.kind(), right.tree.kind());
    match comparison {
        Comparison::Equal | Comparison::NotEqual
            if matches!(kinds, (Kind::Text, Kind::Number) | (Kind::Number, Kind::Text)) =>
        {
            never_equal(left, right)
        }
        Comparison::Equal | Comparison::NotEqual if kinds.0 == Kind::Text => {
            let same = Truth::Same(Box::new((text(left, "`==`")?, text(right, "`==`")?)));
            Ok(if comparison == Comparison::Equal { same } else { Truth::Not(Box::new(same)) })
        }
        _ => {
            let pair = (number(left, "comparing")?, number(right, "comparing")?);
            Ok(Truth::Compare(comparison, Box::new(pair)))
        }
    }
}

/// A text and a number: what was probably meant.
fn never_equal(left: Operand, right: Operand) -> Result<Truth, ExprError> {
    let constant =
        |tree: &Typed| matches!(tree, Typed::Number(Number::Constant(_)) | Typed::Text(Text::Constant(_)));
    let odd = if constant(&left.tree) { left } else { right };
    match odd.tree {
        Typed::Text(Text::Constant(_)) => {
            fail("a text never equals a number: write it without quotes", odd.at)
        }
        Typed::Number(Number::Constant(_)) => {
            fail("a number never equals a tag, which is text: write it in quotes", odd.at)
        }
        _ => fail("a number never equals a text", odd.at),
    }
}

pub(super) fn choice(arguments: Vec<Operand>, at: &Range<usize>) -> Result<Typed, ExprError> {
    let Ok([condition, then, otherwise]) = <[Operand; 3]>::try_from(arguments) else {
        return fail("`if` takes three: `if(condition, then, else)`", at.clone());
    };
    let condition = truth(condition, "the condition of `if`")?;
    let as_before = "the second result of `if`, as the first is one,";
    Ok(match then.tree {
        Typed::Number(then) => {
            Typed::Number(Number::If(Box::new((condition, then, number(otherwise, as_before)?))))
        }
        Typed::Truth(then) => {
            Typed::Truth(Truth::If(Box::new((condition, then, truth(otherwise, as_before)?))))
        }
        Typed::Text(then) => Typed::Text(Text::If(Box::new((condition, then, text(otherwise, as_before)?)))),
    })
}

pub(super) fn has(arguments: Vec<Operand>, at: &Range<usize>) -> Result<Typed, ExprError> {
    let mut trees = arguments.into_iter().map(|argument| argument.tree);
    match (trees.next(), trees.next()) {
        (Some(Typed::Text(Text::Tag(name))), None) => Ok(Typed::Truth(Truth::HasTag(name))),
        (Some(Typed::Number(Number::Metric(name))), None) => Ok(Typed::Truth(Truth::HasMetric(name))),
        _ => fail("`has` takes the name of one tag or metric: `has(room)`", at.clone()),
    }
}

pub(super) fn function(name: &str, arguments: Vec<Operand>, at: &Range<usize>) -> Result<Typed, ExprError> {
    let known = FUNCTIONS.iter().find(|(known, ..)| *known == name);
    let Some(&(_, function, least, most)) = known else {
        let names: Vec<_> = FUNCTIONS.iter().map(|(name, ..)| *name).collect();
        return fail(
            format!("there is no function `{name}`; known are {}, has, if", names.join(", ")),
            at.clone(),
        );
    };
    if !(least..=most).contains(&arguments.len()) {
        let count = match (least, most) {
            (1, 1) => "one number".to_owned(),
            (least, most) if least == most => format!("{least} numbers"),
            (least, most) => format!("{least} to {most} numbers"),
        };
        return fail(format!("`{name}` takes {count}"), at.clone());
    }
    let whose = format!("`{name}`");
    let numbers =
        arguments.into_iter().map(|argument| number(argument, &whose)).collect::<Result<Vec<_>, _>>()?;
    Ok(Typed::Number(Number::Call(function, numbers.into())))
}

pub(super) fn number(operand: Operand, whose: &str) -> Result<Number, ExprError> {
    match operand.tree {
        Typed::Number(number) => Ok(number),
        other => wrong_kind(&other, "a number", whose, operand.at),
    }
}

pub(super) fn truth(operand: Operand, whose: &str) -> Result<Truth, ExprError> {
    match operand.tree {
        Typed::Truth(truth) => Ok(truth),
        other => wrong_kind(&other, "a condition", whose, operand.at),
    }
}

pub(super) fn text(operand: Operand, whose: &str) -> Result<Text, ExprError> {
    match operand.tree {
        Typed::Text(text) => Ok(text),
        other => wrong_kind(&other, "a text", whose, operand.at),
    }
}

fn wrong_kind<T>(found: &Typed, wanted: &str, whose: &str, at: Range<usize>) -> Result<T, ExprError> {
    let (found, help) = match (found, wanted) {
        (Typed::Number(_), "a text") => ("a number", ": a text stands in quotes"),
        (Typed::Number(_), _) => ("a number", ": compare it with something, as in `value > 60`"),
        (Typed::Text(Text::Tag(_)), _) => {
            ("a tag, and tags are texts", ": compare it with a text, as in `channel == '2'`")
        }
        (Typed::Text(_), _) => ("a text", ": write numbers without quotes"),
        (Typed::Truth(_), "a number") => ("true or false", ": write 1 or 0, or `if(condition, 1, 0)`"),
        (Typed::Truth(_), _) => ("true or false", ""),
    };
    fail(format!("{whose} needs {wanted}, and this is {found}{help}"), at)
}
