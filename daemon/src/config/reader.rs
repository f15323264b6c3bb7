//! Reads tables of the file: typed getters that report what they cannot use and go on.
//!
//! A getter gives `None` both where a key is absent and where its value was refused; the caller takes the default, and
//! the configuration is thrown away when anything was reported. So one run finds every error.

use super::context::Context;
use super::field::Field;
use super::schema::{self, Schema};
use super::suggest::{either, meant, nearest};
use super::synonyms;
use crate::limits::CONFIG_SECTIONS_MAX;
use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;
use toml::de::DeTable;

/// A table whose keys are known beforehand.
pub(super) struct Section<'a> {
    pub(super) cx: &'a Context<'a>,
    /// Where to point when something is missing: the table's header.
    pub(super) span: Range<usize>,
    schema: &'static Schema,
    table: &'a DeTable<'a>,
    asked: RefCell<Vec<&'static str>>,
}

/// An entry of a table whose keys are names that the user chose.
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    /// Where the name stands.
    pub(super) at: Range<usize>,
    pub(super) field: Field<'a>,
}

impl<'a> Section<'a> {
    pub(super) fn new(
        cx: &'a Context<'a>,
        schema: &'static Schema,
        table: &'a DeTable<'a>,
        span: Range<usize>,
    ) -> Section<'a> {
        Section { cx, span, schema, table, asked: RefCell::default() }
    }

    /// The same table, read by the keys of another `type`.
    pub(super) fn with_schema(self, schema: &'static Schema) -> Section<'a> {
        Section::new(self.cx, schema, self.table, self.span)
    }

    /// Whether the key is there, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value of `key`, of any type.
    pub(super) fn get(&self, key: &'static str) -> Option<Field<'a>> {
        debug_assert!(
            self.schema.keys.contains(&key),
            "`{key}` is not in the schema of {}",
            self.schema.place
        );
        self.asked.borrow_mut().push(key);
        let (key, value) = self.table.get_key_value(key)?;
        Some(Field { cx: self.cx, key: key.get_ref(), value: value.get_ref(), span: value.span() })
    }

    pub(super) fn duration(
        &self,
        key: &'static str,
        allowed: std::ops::RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.get(key)?.duration(allowed)
    }

    pub(super) fn size(&self, key: &'static str, allowed: std::ops::RangeInclusive<u64>) -> Option<u64> {
        self.get(key)?.size(allowed)
    }

    pub(super) fn integer(&self, key: &'static str, allowed: std::ops::RangeInclusive<i64>) -> Option<i64> {
        self.get(key)?.integer(allowed)
    }

    pub(super) fn number(&self, key: &'static str) -> Option<f64> {
        self.get(key)?.number()
    }

    /// One of a few words.
    pub(super) fn choice<T: Clone>(&self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let place = format!("{}.{key}", self.schema.place);
        self.get(key)?.choice(&place, words)
    }

    /// Reports that a key without a default is absent, unless another key looks like a misspelling of it.
    pub(super) fn require(&self, key: &'static str, example: &str) {
        if self.has(key) || self.misspelt(key) {
            return;
        }
        self.cx
            .error(self.span.clone(), format!("`{key}` is missing"))
            .label(format!("needs `{key}`"))
            .help(format!("add a line such as {example}"))
            .absence()
            .report();
    }

    /// Whether an unknown key was probably meant to be `key`.
    pub(super) fn misspelt(&self, key: &str) -> bool {
        let Schema { place, keys, .. } = self.schema;
        self.unknown().any(|(word, _)| meant(place, word, keys.iter().copied()) == Some(key))
    }

    /// The tables under `key`, whose names the user chose, in the order of the file.
    pub(super) fn named(&self, key: &'static str) -> Vec<Named<'a>> {
        let entries = self.get(key).and_then(|field| {
            let single = if field.value.as_array().is_some() { ", in single brackets" } else { "" };
            field.entries(&format!("[{key}.NAME] with a name of your choice on a line of its own{single}"))
        });
        let Some(entries) = entries else { return Vec::new() };
        if let Some(extra) = entries.get(CONFIG_SECTIONS_MAX) {
            self.cx
                .error(extra.at.clone(), format!("more than {CONFIG_SECTIONS_MAX} `{key}`"))
                .help("join some of them: a topic can be a pattern or a list")
                .report();
        }
        entries.iter().for_each(|entry| self.check_name(entry));
        entries
    }

    /// The same tables, when what is wrong with them has been said.
    pub(super) fn named_again(&self, key: &'static str) -> Vec<Named<'a>> {
        self.get(key).and_then(|field| field.entries_quietly()).unwrap_or_default()
    }

    /// Names become parts of keys, file names and metrics, so that a narrow alphabet spares surprises later.
    fn check_name(&self, entry: &Named<'_>) {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if !entry.name.is_empty() && entry.name.len() <= 64 && entry.name.chars().all(plain) {
            return;
        }
        let better: String =
            entry.name.to_lowercase().chars().map(|c| if plain(c) { c } else { '-' }).take(64).collect();
        let better = better.trim_matches('-');
        let better = if better.is_empty() { "climate" } else { better };
        self.cx
            .error(entry.at.clone(), format!("`{}` cannot be a name here", entry.name))
            .label("not made of a-z, 0-9, `_` and `-`, at most 64 of them")
            .help(format!("write `{better}`, for example"))
            .report();
    }

    /// Reports the keys that nobody knows. Call it when every key was asked for.
    pub(super) fn finish(self) {
        debug_assert!(
            self.schema.keys.iter().all(|key| self.asked.borrow().contains(key)),
            "a key of {} is never read",
            self.schema.place
        );
        for (word, span) in self.unknown() {
            self.report_unknown(word, span);
        }
    }

    /// Whether there is a key that is not in the schema. It is reported, so that what it stands for is not missed too.
    pub(super) fn has_unknown(&self) -> bool {
        self.unknown().next().is_some()
    }

    /// Where the name of an entry of a table with free names stands.
    pub(super) fn place_of(&self, key: &str, name: &str) -> Option<Range<usize>> {
        let (name, _) = self.table.get(key)?.get_ref().as_table()?.get_key_value(name)?;
        Some(name.span())
    }

    fn unknown(&self) -> impl Iterator<Item = (&'a str, Range<usize>)> {
        let keys = self.schema.keys;
        self.table
            .iter()
            .map(|(key, _)| (key.get_ref().as_ref(), key.span()))
            .filter(move |(word, _)| !keys.contains(word))
    }

    fn report_unknown(&self, word: &str, span: Range<usize>) {
        let Schema { place, kind, keys } = self.schema;
        if schema::is_later(place, word) {
            self.cx.not_yet(span, word);
            return;
        }
        // Whoever writes it does not want it in a log, whatever the right key is.
        if let Some(value) = self.table.get(word).filter(|_| synonyms::is_secret(word)) {
            self.cx.mask(value.span());
        }
        let error = self.cx.error(span, format!("unknown key `{word}`"));
        let other = schema::ALL.iter().find(|other| other.place == *place && other.keys.contains(&word));
        if let Some(Schema { kind: Some(other), .. }) = other {
            let mine = kind.unwrap_or_default();
            error
                .label(format!("belongs to type = \"{other}\""))
                .help(format!("this table is of type = \"{mine}\": remove the key or change the type"))
                .report();
            return;
        }
        let own = synonyms::ours(place, word, keys.iter().copied());
        let elsewhere = schema::elsewhere(place, word);
        if own.is_none() && !elsewhere.is_empty() {
            error
                .label(format!("belongs into {}", elsewhere.join(" or ")))
                .help("a line belongs to the [header] above it: move it below the right one, before the next header")
                .report();
            return;
        }
        let error = match meant(place, word, keys.iter().copied()) {
            Some(near) => error.label(format!("did you mean `{near}`?")),
            None => error.label("not a key of this table"),
        };
        error.help(format!("known here: {}", keys.join(", "))).report();
    }
}

impl Context<'_> {
    /// Reports what the design knows and this version does not.
    pub(super) fn not_yet(&self, span: Range<usize>, word: &str) {
        self.error(span, format!("`{word}` is not in this version yet"))
            .label("planned for a later version")
            .help(format!("tidegate {} does not have it: remove it for now", env!("CARGO_PKG_VERSION")))
            .report();
    }

    /// The index of `word` among `names`; reports it as unknown otherwise. `what` is the kind of name: `stream`.
    pub(super) fn resolve(&self, word: &str, span: Range<usize>, names: &[&str], what: &str) -> Option<u16> {
        if let Some(index) = names.iter().position(|name| *name == word) {
            return u16::try_from(index).ok();
        }
        let error = self.error(span, format!("there is no {what} `{word}`")).absence();
        let error = match nearest(word, names.iter().copied()) {
            Some(near) => error.label(format!("did you mean `{near}`?")),
            None => error.label(format!("no {what} of this name")),
        };
        match names {
            [] if what == "tag" => {
                error.help("a level of the topic in braces is a tag: sensors/{device}").report()
            }
            [] => error.help(format!("add [{what}s.{word}]")).report(),
            _ => error.help(format!("there is {}", either(names.iter().copied()))).report(),
        }
        None
    }
}
