//! From tokens to a typed tree, by binding power (V. Pratt, "Top down operator precedence", 1973).

use super::part::PARTS;
use super::token::{Sign, Token, tokens};
use super::tree::{Number, Text, Truth, Typed};
use super::typing::{choice, function, has, join, number, text, truth};
use super::{ExprError, Kind, Metrics, Names};
use std::ops::Range;

/// Binding powers: what binds stronger is greater.
const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const COMPARE: u8 = 4;
const SUM: u8 = 5;
const PRODUCT: u8 = 6;
const PREFIX: u8 = 7;

/// The names of tags.
pub(super) type Tags = Box<[Box<str>]>;

/// The tree of `text`, and the tags that it names.
pub(super) fn parse(text: &str, names: &Names<'_>) -> Result<(Typed, Tags), ExprError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, next: 0, end: text.len(), names, tags: Vec::new() };
    let whole = parser.expression(OR)?;
    match parser.peek() {
        None => Ok((whole.tree, parser.tags.into())),
        Some((Token::Sign(Sign::Close | Sign::CloseList), at)) => {
            fail("this closes nothing: an opening one is missing before it", at)
        }
        Some((_, at)) => fail("nothing joins this to what is before it: write `and`, `or` or a sign", at),
    }
}

struct Parser<'t> {
    tokens: &'t [(Token<'t>, Range<usize>)],
    next: usize,
    /// Where the text ends.
    end: usize,
    names: &'t Names<'t>,
    tags: Vec<Box<str>>,
}

/// A part of the tree, and where it stands.
pub(super) struct Operand {
    pub(super) tree: Typed,
    pub(super) at: Range<usize>,
}

pub(super) fn fail<T>(message: impl Into<String>, at: Range<usize>) -> Result<T, ExprError> {
    Err(ExprError { message: message.into(), at })
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<(Token<'t>, Range<usize>)> {
        self.tokens.get(self.next).cloned()
    }

    fn take(&mut self, sign: Sign) -> bool {
        let here = matches!(self.peek(), Some((Token::Sign(found), _)) if found == sign);
        self.next += usize::from(here);
        here
    }

    fn need(&mut self, sign: Sign, message: &str) -> Result<usize, ExprError> {
        let (found, at) = self.peek().map_or((None, self.end..self.end), |(token, at)| (Some(token), at));
        if found != Some(Token::Sign(sign)) {
            return fail(message, at);
        }
        self.next += 1;
        Ok(at.end)
    }

    /// An expression whose operators all bind at least as strongly as `least`. The recursion is bounded by the number
    /// of tokens.
    fn expression(&mut self, least: u8) -> Result<Operand, ExprError> {
        let mut left = self.operand()?;
        while let Some((Token::Sign(sign), at)) = self.peek() {
            let Some(power) = power(sign).filter(|power| *power >= least) else { break };
            self.next += 1;
            left = match sign {
                Sign::In => self.among(left)?,
                _ => {
                    let right = self.expression(power + 1)?;
                    join(sign, left, right)?
                }
            };
            if power == COMPARE
                && let Some((Token::Sign(again), _)) = self.peek()
                && self::power(again) == Some(COMPARE)
            {
                return fail("compare two at a time: `1 < value and value < 5`", at);
            }
        }
        Ok(left)
    }

    /// What an expression begins with.
    fn operand(&mut self) -> Result<Operand, ExprError> {
        let Some((token, at)) = self.peek() else {
            let message = if self.tokens.is_empty() {
                "the expression is empty"
            } else {
                "something is missing at the end"
            };
            return fail(message, self.end..self.end);
        };
        self.next += 1;
        let tree = match token {
            Token::Number(number) => Typed::Number(Number::Constant(number)),
            Token::Text(text) => Typed::Text(Text::Constant(text.into())),
            Token::Quoted(name) => self.tag_or_metric(name, &at)?,
            Token::Name(name) => return self.named(name, at),
            Token::Sign(Sign::Minus) => {
                return self.prefixed(at, PREFIX, |inner| {
                    let number = number(inner, "`-`")?;
                    Ok(Typed::Number(Number::Negated(Box::new(number))))
                });
            }
            Token::Sign(sign @ (Sign::Not | Sign::Bang)) => {
                let power = if sign == Sign::Not { NOT } else { PREFIX };
                return self.prefixed(at, power, |inner| {
                    let truth = truth(inner, "`not`")?;
                    Ok(Typed::Truth(Truth::Not(Box::new(truth))))
                });
            }
            Token::Sign(Sign::Open) => {
                let inner = self.expression(OR)?;
                let end = self.need(Sign::Close, "a closing `)` is missing")?;
                return Ok(Operand { tree: inner.tree, at: at.start..end });
            }
            Token::Sign(_) => return fail("a value is missing before this", at),
        };
        Ok(Operand { tree, at })
    }

    fn prefixed(
        &mut self,
        at: Range<usize>,
        power: u8,
        make: impl FnOnce(Operand) -> Result<Typed, ExprError>,
    ) -> Result<Operand, ExprError> {
        let inner = self.expression(power)?;
        let at = at.start..inner.at.end;
        Ok(Operand { tree: make(inner)?, at })
    }

    /// A name of the language, a function with its arguments, a tag or a metric.
    fn named(&mut self, name: &'t str, at: Range<usize>) -> Result<Operand, ExprError> {
        if self.take(Sign::Open) {
            return self.call(name, at);
        }
        let part = PARTS.iter().find(|(known, _)| *known == name);
        let tree = match (name, part) {
            ("true", _) => Typed::Truth(Truth::Constant(true)),
            ("false", _) => Typed::Truth(Truth::Constant(false)),
            ("value", _) if self.names.value => Typed::Number(Number::Value),
            (_, Some((_, part))) => Typed::Number(Number::Part(*part)),
            _ => self.tag_or_metric(name, &at)?,
        };
        Ok(Operand { tree, at })
    }

    fn tag_or_metric(&mut self, name: &str, at: &Range<usize>) -> Result<Typed, ExprError> {
        if self.names.tags.contains(&name) {
            if !self.tags.iter().any(|known| **known == *name) {
                self.tags.push(name.into());
            }
            return Ok(Typed::Text(Text::Tag(name.into())));
        }
        let known = match self.names.metrics {
            Metrics::None => false,
            Metrics::These(metrics) => metrics.contains(&name),
            Metrics::Any => true,
        };
        if known {
            return Ok(Typed::Number(Number::Metric(name.into())));
        }
        fail(format!("there is no `{name}` here; known are {}", self.known()), at.clone())
    }

    /// Every name that could have been meant.
    fn known(&self) -> String {
        let value = self.names.value.then_some("value");
        let metrics = match self.names.metrics {
            Metrics::These(metrics) => metrics,
            Metrics::None | Metrics::Any => &[],
        };
        let parts = PARTS.iter().map(|(name, _)| *name);
        let names = value.into_iter().chain(metrics.iter().copied()).chain(self.names.tags.iter().copied());
        names.chain(parts).collect::<Vec<_>>().join(", ")
    }

    fn call(&mut self, name: &str, at: Range<usize>) -> Result<Operand, ExprError> {
        let mut arguments = Vec::new();
        if !self.take(Sign::Close) {
            loop {
                arguments.push(self.expression(OR)?);
                if !self.take(Sign::Comma) {
                    break;
                }
            }
            self.need(Sign::Close, "a `,` or the closing `)` is missing")?;
        }
        let at = at.start..self.tokens[self.next - 1].1.end;
        let tree = match name {
            "if" => choice(arguments, &at)?,
            "has" => has(arguments, &at)?,
            _ => function(name, arguments, &at)?,
        };
        Ok(Operand { tree, at })
    }

    /// The list after `in`.
    fn among(&mut self, left: Operand) -> Result<Operand, ExprError> {
        self.need(Sign::OpenList, "after `in` comes a list: `hour in [22, 23]`")?;
        let mut list = Vec::new();
        loop {
            list.push(self.expression(OR)?);
            if !self.take(Sign::Comma) {
                break;
            }
        }
        let end = self.need(Sign::CloseList, "a `,` or the closing `]` is missing")?;
        let at = left.at.start..end;
        let tree = if left.tree.kind() == Kind::Text {
            let list =
                list.into_iter().map(|one| text(one, "this list of texts")).collect::<Result<_, _>>()?;
            Truth::AmongTexts(Box::new((text(left, "`in`")?, list)))
        } else {
            let list =
                list.into_iter().map(|one| number(one, "this list of numbers")).collect::<Result<_, _>>()?;
            Truth::AmongNumbers(Box::new((number(left, "`in`")?, list)))
        };
        Ok(Operand { tree: Typed::Truth(tree), at })
    }
}

fn power(sign: Sign) -> Option<u8> {
    match sign {
        Sign::Or => Some(OR),
        Sign::And => Some(AND),
        Sign::Less
        | Sign::AtMost
        | Sign::Greater
        | Sign::AtLeast
        | Sign::Equal
        | Sign::NotEqual
        | Sign::In => Some(COMPARE),
        Sign::Plus | Sign::Minus => Some(SUM),
        Sign::Times | Sign::Divide | Sign::Remainder => Some(PRODUCT),
        Sign::Not
        | Sign::Bang
        | Sign::Open
        | Sign::Close
        | Sign::OpenList
        | Sign::CloseList
        | Sign::Comma => None,
    }
}
