//! One value of the file with its place, and what can be made of it.

use super::context::Context;
use super::reader::{Named, Section};
use super::schema::{self, Schema};
use super::suggest::{either, meant};
use super::synonyms;
use super::units;
use crate::limits::CONFIG_LIST_MAX;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;
use tidegate_pipeline::plan::{Pointer, PointerPattern};
use toml::de::DeValue;

/// The value of a key, or of one element of its list.
#[derive(Clone)]
pub(super) struct Field<'a> {
    pub(super) cx: &'a Context<'a>,
    pub(super) key: &'a str,
    pub(super) value: &'a DeValue<'a>,
    pub(super) span: Range<usize>,
}

impl<'a> Field<'a> {
    pub(super) fn text(&self) -> Option<&'a str> {
        let Some(text) = self.value.as_str() else {
            let help = match self.value {
                DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                    format!("write it in quotes: {} = \"{}\"", self.key, self.raw())
                }
                _ => format!("write text in quotes: {} = \"…\"", self.key),
            };
            self.wrong_type("text", &help);
            return None;
        };
        Some(text)
    }

    /// Text that is not empty.
    pub(super) fn filled(&self) -> Option<&'a str> {
        let text = self.text()?;
        if text.is_empty() {
            self.bad("is empty", "write something between the quotes, or remove the key");
            return None;
        }
        Some(text)
    }

    pub(super) fn integer(&self, allowed: RangeInclusive<i64>) -> Option<i64> {
        let DeValue::Integer(integer) = self.value else {
            self.wrong_type(
                "a whole number",
                &format!("write it without quotes: {} = {}", self.key, allowed.start()),
            );
            return None;
        };
        match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) if allowed.contains(&number) => Some(number),
            _ => {
                self.bad(
                    &format!("has to be between {} and {}", allowed.start(), allowed.end()),
                    "take a number within these bounds",
                );
                None
            }
        }
    }

    /// A finite number, whole or with decimals.
    pub(super) fn number(&self) -> Option<f64> {
        let text = match self.value {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            _ => {
                self.wrong_type("a number", &format!("write it without quotes: {} = 1.5", self.key));
                return None;
            }
        };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Some(number),
            _ => {
                self.bad("has to be a finite number", "leave a bound out where there is none");
                None
            }
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        let DeValue::Boolean(yes) = self.value else {
            self.wrong_type("true or false", &format!("write it without quotes: {} = true", self.key));
            return None;
        };
        Some(*yes)
    }

    pub(super) fn duration(&self, allowed: RangeInclusive<Duration>) -> Option<Duration> {
        const HOW: &str =
            "write whole numbers with a unit, us, ms, s, m, h or d: \"250ms\", \"10s\", \"1h30m\"";
        let text = self.quantity("a length of time", "s", HOW)?;
        let span = self.parsed(text, units::duration(text), "a length of time", HOW)?;
        self.within(span, allowed, units::duration_text)
    }

    pub(super) fn size(&self, allowed: RangeInclusive<u64>) -> Option<u64> {
        const HOW: &str =
            "write a whole number with a unit, B, kB, MB, GB, KiB, MiB or GiB: \"256KiB\", \"2GB\"";
        let text = self.quantity("a size", "MiB", HOW)?;
        let bytes = self.parsed(text, units::size(text), "a size", HOW)?;
        self.within(bytes, allowed, units::size_text)
    }

    pub(super) fn within<T: PartialOrd + Copy>(
        &self,
        value: T,
        allowed: RangeInclusive<T>,
        show: fn(T) -> String,
    ) -> Option<T> {
        if allowed.contains(&value) {
            return Some(value);
        }
        let (least, most) = (show(*allowed.start()), show(*allowed.end()));
        self.bad(&format!("has to be between {least} and {most}"), "take a value within these bounds");
        None
    }

    fn quantity(&self, what: &str, unit: &str, how: &str) -> Option<&'a str> {
        if let DeValue::Integer(integer) = self.value {
            let help = format!("write a unit and quotes: {} = \"{}{unit}\"", self.key, integer.as_str());
            self.wrong_type(what, &help);
            return None;
        }
        if self.value.as_str().is_none() {
            self.wrong_type(what, how);
        }
        self.value.as_str()
    }

    /// What a parser made of the text; its complaint becomes the label.
    pub(super) fn parsed<T>(
        &self,
        text: &str,
        result: Result<T, String>,
        what: &str,
        how: &str,
    ) -> Option<T> {
        result
            .map_err(|why| {
                self.cx
                    .error(self.span.clone(), format!("`{text}` is not {what}"))
                    .label(why)
                    .help(how)
                    .report();
            })
            .ok()
    }

    pub(super) fn pointer(&self) -> Option<Pointer> {
        let text = self.text()?;
        let how = "it says where a value stands in a JSON document: \"/t\" in {\"t\": 1}, \"/a/b\" in {\"a\": {\"b\": 1}}";
        self.parsed(text, Pointer::parse(text), "a JSON pointer", how)
    }

    /// The name of a time zone, as the bundled database writes it.
    pub(super) fn zone(&self) -> Option<String> {
        let text = self.filled()?;
        match jiff::tz::TimeZone::get(text) {
            Ok(zone) => Some(zone.iana_name().unwrap_or(text).to_owned()),
            Err(_) => {
                self.cx
                    .error(self.span.clone(), format!("there is no time zone `{text}`"))
                    .label("not in the IANA time zone database")
                    .help("write a name such as Europe/Amsterdam or UTC; `timedatectl list-timezones` lists them")
                    .report();
                None
            }
        }
    }

    /// A pointer whose parts can be captured.
    pub(super) fn pattern(&self) -> Option<PointerPattern> {
        let text = self.text()?;
        let how = "it says where a value stands: \"/a/b\" in {\"a\": {\"b\": 1}}, \"/switch:{channel}/power\" for each of several";
        self.parsed(text, PointerPattern::parse(text), "a JSON pointer", how)
    }

    pub(super) fn flag(&self) -> Option<bool> {
        let flag = self.value.as_bool();
        if flag.is_none() {
            self.wrong_type("true or false", &format!("write it without quotes: {} = true", self.key));
        }
        flag
    }

    /// One of a few words. `place` is where words of later versions and of other tools are listed.
    pub(super) fn choice<T: Clone>(&self, place: &str, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(value.clone());
        }
        if schema::is_later(place, text) {
            self.cx.not_yet(self.span.clone(), text);
            return None;
        }
        let words = words.iter().map(|(word, _)| *word);
        let help = format!("it can be {}", either(words.clone()));
        self.unknown_word(place, text, words, help);
        None
    }

    /// Reports a word that is none of `words`.
    pub(super) fn unknown_word(
        &self,
        place: &str,
        text: &str,
        words: impl Iterator<Item = &'static str> + Clone,
        help: String,
    ) {
        let error = self.cx.error(self.span.clone(), format!("unknown `{}`: `{text}`", self.key));
        let error = match meant(place, text, words) {
            Some(near) => error.label(format!("did you mean `{near}`?")),
            None => error.label("not known here"),
        };
        error.help(help).report();
    }

    /// The elements of a list; a single value is a list of one.
    pub(super) fn elements(&self) -> Vec<Field<'a>> {
        let DeValue::Array(array) = self.value else { return vec![self.clone()] };
        let element = |value: &'a toml::Spanned<DeValue<'a>>| Field {
            cx: self.cx,
            key: self.key,
            value: value.get_ref(),
            span: value.span(),
        };
        if array.len() > CONFIG_LIST_MAX {
            self.bad(&format!("has more than {CONFIG_LIST_MAX} elements"), "a pattern can stand for many");
        }
        array.iter().take(CONFIG_LIST_MAX).map(element).collect()
    }

    /// Texts with their places: a list of at least one, none twice, none empty; a single text is a list of one.
    pub(super) fn words(&self) -> Vec<(&'a str, Range<usize>)> {
        let mut words: Vec<(&'a str, Range<usize>)> = Vec::new();
        let elements = self.elements();
        if elements.is_empty() {
            self.bad("is an empty list", "list at least one, or remove the key to get the default");
        }
        for element in elements {
            let Some(word) = element.filled() else { continue };
            if let Some((_, first)) = words.iter().find(|(known, _)| *known == word) {
                self.cx
                    .error(element.span.clone(), format!("`{word}` is listed twice in `{}`", self.key))
                    .label("again here")
                    .also(first.clone(), "first here")
                    .help("remove one of them")
                    .report();
                continue;
            }
            words.push((word, element.span));
        }
        words
    }

    /// A table with known keys.
    pub(super) fn section(&self, schema: &'static Schema, example: &str) -> Option<Section<'a>> {
        let Some(table) = self.value.as_table() else {
            match schema::table_of(schema.place, self.key) {
                Some(outer) => self.unnamed(outer),
                None => self.wrong_type("a table", &format!("write {example}")),
            }
            return None;
        };
        Some(Section::new(self.cx, schema, table, self.span.clone()))
    }

    /// A key of `[streams.NAME]` in `[streams]`: who wrote it left the name out.
    fn unnamed(&self, outer: &str) {
        let Field { cx, key, span, .. } = self;
        self.mask_secret();
        cx.error(span.clone(), format!("`{key}` stands in [{outer}], where there are only names"))
            .label(format!("belongs into [{outer}.NAME]"))
            .help(format!("put a name of your choice into the header above it: [{outer}.main]"))
            .report();
    }

    /// A value that is not read where it stands may be a secret all the same.
    fn mask_secret(&self) {
        if synonyms::is_secret(self.key) {
            self.cx.mask(self.span.clone());
        }
    }

    /// The entries of a table with free names, in the order of the file. `example` is one, for who wrote something else.
    pub(super) fn entries(&self, example: &str) -> Option<Vec<Named<'a>>> {
        if self.value.as_table().is_none() {
            self.wrong_type("a table of names", &format!("write {example}"));
        }
        self.entries_quietly()
    }

    /// The same, without a word when the value is no table.
    pub(super) fn entries_quietly(&self) -> Option<Vec<Named<'a>>> {
        let table = self.value.as_table()?;
        let named =
            |(key, value): (&'a toml::Spanned<toml::de::DeString<'a>>, &'a toml::Spanned<DeValue<'a>>)| {
                let name = key.get_ref().as_ref();
                let field = Field { cx: self.cx, key: name, value: value.get_ref(), span: value.span() };
                Named { name, at: key.span(), field }
            };
        let mut entries: Vec<Named<'a>> = table.iter().map(named).collect();
        entries.sort_by_key(|entry| entry.at.start);
        Some(entries)
    }

    /// Reports that the value cannot be used: `what` follows the key in the message.
    pub(super) fn bad(&self, what: &str, help: &str) {
        self.cx.error(self.span.clone(), format!("`{}` {what}", self.key)).help(help).report();
    }

    pub(super) fn wrong_type(&self, expected: &str, help: &str) {
        let found = match self.value {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.mask_secret();
        self.cx
            .error(self.span.clone(), format!("`{}` has to be {expected}", self.key))
            .label(format!("this is {found}"))
            .help(help)
            .report();
    }

    /// As it stands in the file.
    pub(super) fn raw(&self) -> &str {
        self.cx.text().get(self.span.clone()).unwrap_or_default()
    }

    /// The place of a part of the text, when it stands in the file as it is read, without escapes.
    pub(super) fn inner(&self, part: Range<usize>) -> Range<usize> {
        let plain = self.value.as_str().is_some_and(|text| {
            let quoted = self.raw().get(1..self.raw().len().saturating_sub(1));
            quoted == Some(text) && part.end <= text.len()
        });
        if !plain || part.is_empty() {
            return self.span.clone();
        }
        self.span.start + 1 + part.start..self.span.start + 1 + part.end
    }
}
