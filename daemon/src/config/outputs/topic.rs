//! `topic` of an output: text with places in braces.

use crate::config::field::Field;
use crate::config::model::{Piece, TopicTemplate};

/// Tells every series from every other.
pub(super) const DEFAULT: &str = "tidegate/{gateway}/{kind}/{name}/{metric}/{tags}";

pub(super) fn read(field: &Field<'_>, gateway: &str) -> Option<TopicTemplate> {
    let text = field.filled()?;
    field.parsed(
        text,
        parse(text, gateway),
        "a topic to publish at",
        &format!("the default is \"{DEFAULT}\""),
    )
}

/// The gateway is known, so that it is text from here on.
pub(super) fn parse(text: &str, gateway: &str) -> Result<TopicTemplate, String> {
    if text.contains(['+', '#']) || text.chars().any(char::is_control) {
        return Err("nobody can publish at a topic with `+` or `#`; places are in braces: {metric}".into());
    }
    let levels: Result<Vec<_>, _> = text.split('/').map(|part| level(part, gateway)).collect();
    levels.map(TopicTemplate)
}

fn level(part: &str, gateway: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = part;
    while let Some(open) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(open);
        push_text(&mut pieces, before);
        let inner = from.strip_prefix('{').ok_or("a `}` without its `{`")?;
        let (name, behind) = inner.split_once('}').ok_or("a `{` without its `}`")?;
        match name {
            "gateway" => push_text(&mut pieces, gateway),
            "kind" => pieces.push(Piece::Kind),
            "name" => pieces.push(Piece::Name),
            "metric" => pieces.push(Piece::Metric),
            "tags" if pieces.is_empty() && behind.is_empty() => pieces.push(Piece::Tags),
            "tags" => return Err("{tags} is several levels, so it stands alone between slashes".into()),
            "" => return Err("there is no name between the braces".into()),
            tag => pieces.push(Piece::Tag(tag.to_owned())),
        }
        rest = behind;
    }
    push_text(&mut pieces, rest);
    Ok(pieces)
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Text(last)) => last.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let text = |text: &str| Piece::Text(text.into());
        let check = |topic: &str, expected: Result<Vec<Vec<Piece>>, &str>| {
            let expected = expected.map(TopicTemplate).map_err(str::to_owned);
            assert_eq!(parse(topic, "pi"), expected, "{topic}");
        };
        check(
            DEFAULT,
            Ok(vec![
                vec![text("tidegate")],
                vec![text("pi")],
                vec![Piece::Kind],
                vec![Piece::Name],
                vec![Piece::Metric],
                vec![Piece::Tags],
            ]),
        );
        let tag = Piece::Tag("device".into());
        check("gw-{gateway}-x", Ok(vec![vec![text("gw-pi-x")]]));
        check("{device}_{metric}/", Ok(vec![vec![tag, text("_"), Piece::Metric], vec![]]));
        check("a/{tags}/b", Ok(vec![vec![text("a")], vec![Piece::Tags], vec![text("b")]]));
        check("a/x{tags}", Err("{tags} is several levels, so it stands alone between slashes"));
        check("a/{}", Err("there is no name between the braces"));
        check("a/{b", Err("a `{` without its `}`"));
        check("a/b}", Err("a `}` without its `{`"));
        check("a/#", Err("nobody can publish at a topic with `+` or `#`; places are in braces: {metric}"));
    }
}
