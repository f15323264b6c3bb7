//! What was probably meant: a word of other tools, or a near miss.

use super::synonyms;

/// The known word that `word` at `place` probably stands for. `place` is a table of `schema.rs`, or one of its keys.
pub(super) fn meant<'k>(
    place: &str,
    word: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
) -> Option<&'k str> {
    synonyms::ours(place, word, known.clone()).or_else(|| nearest(word, known))
}

/// The known word that `word` is most likely a misspelling of.
///
/// Words of up to five letters may be one edit away, longer ones more (Damerau-Levenshtein: a swap is one edit).
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = fold(word);
    let allowed = (word.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|candidate| (distance(&word, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits between the two; a beginning of three letters or more is as good as one edit.
fn distance(word: &str, candidate: &str) -> usize {
    if word.len() >= 3 && candidate.starts_with(word) {
        1
    } else {
        strsim::damerau_levenshtein(word, candidate)
    }
}

/// Case and the kind of dash are never what makes the difference.
pub(super) fn fold(word: &str) -> String {
    word.chars().take(64).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// `a`, `b` or `c`, each between back-quotes.
pub(super) fn either<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses() {
        let check = |word: &str, known: &[&'static str], expected: Option<&str>| {
            assert_eq!(nearest(word, known.iter().copied()), expected, "{word}");
        };
        check("tubling", &["tumbling", "hopping"], Some("tumbling"));
        check("urll", &["type", "url"], Some("url"));
        check("Flash-Budget", &["flash_budget"], Some("flash_budget"));
        check("topci", &["topic", "to"], Some("topic"));
        check("3.1", &["5", "3.1.1"], Some("3.1.1"));
        check("x", &["at", "to", "y"], None);
        check("colour", &["url", "batch"], None);
    }

    #[test]
    fn alternatives() {
        assert_eq!(either(["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(either(["a"]), "`a`");
    }
}
