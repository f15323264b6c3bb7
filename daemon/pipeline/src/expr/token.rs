//! Tokens: the words, numbers and signs of an expression's text.

use super::ExprError;
use crate::limits::{EXPRESSION_BYTES_MAX, EXPRESSION_TOKENS_MAX};
use std::ops::Range;

/// One token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'t> {
    Number(f64),
    /// In single or double quotes.
    Text(&'t str),
    /// A word.
    Name(&'t str),
    /// In backticks: never a word of the language.
    Quoted(&'t str),
    Sign(Sign),
}

/// A sign, or a word that stands for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Plus,
    Minus,
    Times,
    Divide,
    Remainder,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    NotEqual,
    And,
    Or,
    Not,
    Bang,
    In,
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
}

/// Longer signs first.
const SIGNS: &[(&str, Sign)] = &[
    ("<=", Sign::AtMost),
    (">=", Sign::AtLeast),
    ("==", Sign::Equal),
    ("!=", Sign::NotEqual),
    ("&&", Sign::And),
    ("||", Sign::Or),
    ("+", Sign::Plus),
    ("-", Sign::Minus),
    ("*", Sign::Times),
    ("/", Sign::Divide),
    ("%", Sign::Remainder),
    ("<", Sign::Less),
    (">", Sign::Greater),
    ("!", Sign::Bang),
    ("(", Sign::Open),
    (")", Sign::Close),
    ("[", Sign::OpenList),
    ("]", Sign::CloseList),
    (",", Sign::Comma),
];

const WORDS: &[(&str, Sign)] = &[("and", Sign::And), ("or", Sign::Or), ("not", Sign::Not), ("in", Sign::In)];

/// What people write out of habit, and what it is here.
const HABITS: &[(&str, &str)] = &[
    ("=", "write `==` to compare"),
    ("&", "write `and` or `&&`"),
    ("|", "write `or` or `||`"),
    ("^", "write `pow(x, y)` for a power"),
    ("?", "write `if(condition, then, else)`"),
];

pub(super) fn tokens(text: &str) -> Result<Vec<(Token<'_>, Range<usize>)>, ExprError> {
    let fail = |message: String, at| Err(ExprError { message, at });
    if text.len() > EXPRESSION_BYTES_MAX {
        return fail(format!("an expression has at most {EXPRESSION_BYTES_MAX} bytes"), 0..text.len());
    }
    let mut tokens = Vec::new();
    let mut start = skip_space(text, 0);
    while start < text.len() {
        let (token, length) = token(&text[start..])
            .map_err(|(message, length)| ExprError { message, at: start..start + length })?;
        let at = start..start + length;
        if tokens.len() == EXPRESSION_TOKENS_MAX {
            return fail(format!("an expression has at most {EXPRESSION_TOKENS_MAX} words and signs"), at);
        }
        start = skip_space(text, at.end);
        tokens.push((token, at));
    }
    Ok(tokens)
}

fn skip_space(text: &str, from: usize) -> usize {
    text.len() - text[from..].trim_start().len()
}

/// The first token of `rest`, which does not begin with a space, and its length; or a complaint about so many bytes.
fn token(rest: &str) -> Result<(Token<'_>, usize), (String, usize)> {
    let first = rest.chars().next().unwrap_or(' ');
    if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
        return number(rest);
    }
    if first.is_alphabetic() || first == '_' {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let word = &rest[..end];
        let sign = WORDS.iter().find(|(known, _)| *known == word);
        return Ok((sign.map_or(Token::Name(word), |(_, sign)| Token::Sign(*sign)), end));
    }
    if matches!(first, '\'' | '"' | '`') {
        let Some(end) = rest[1..].find(first) else {
            return Err((format!("the closing {first} is missing"), rest.len()));
        };
        let inner = &rest[1..=end];
        let token = if first == '`' { Token::Quoted(inner) } else { Token::Text(inner) };
        return Ok((token, end + 2));
    }
    if let Some((sign, known)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
        return Ok((Token::Sign(*known), sign.len()));
    }
    let habit = HABITS.iter().find(|(sign, _)| rest.starts_with(sign));
    let help = habit.map_or("a name with such characters stands in backticks: `a/b`", |(_, help)| help);
    Err((format!("`{first}` has no meaning here: {help}"), first.len_utf8()))
}

fn number(rest: &str) -> Result<(Token<'_>, usize), (String, usize)> {
    let digits = |from: usize| {
        rest[from..].find(|c: char| !c.is_ascii_digit() && c != '_').map_or(rest.len(), |n| from + n)
    };
    let mut end = digits(0);
    if rest[end..].starts_with('.') {
        end = digits(end + 1);
    }
    if let Some(exponent) = rest[end..].strip_prefix(['e', 'E']) {
        let sign = usize::from(exponent.starts_with(['+', '-']));
        if exponent[sign..].starts_with(|c: char| c.is_ascii_digit()) {
            end = digits(end + 1 + sign);
        }
    }
    let unit = rest[end..].find(|c: char| !c.is_alphanumeric() && c != '°').unwrap_or(rest.len() - end);
    if unit > 0 {
        let whole = &rest[..end + unit];
        return Err((
            format!("`{whole}` is not a number: write it without a unit, `{}`", &rest[..end]),
            end + unit,
        ));
    }
    match rest[..end].replace('_', "").parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((Token::Number(number), end)),
        _ => Err((format!("`{}` is too great for a number", &rest[..end]), end)),
    }
}
