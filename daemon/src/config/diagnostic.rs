//! What is wrong with a configuration: each finding with the place, the line, a caret and what to do next.

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::limits::CONFIG_FINDINGS_MAX;

/// The configuration file as it was read. Literal secrets in it are masked before anything is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SourceFile {
    pub(super) name: String,
    pub(super) text: String,
}

/// Whether the configuration can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but look at this.
    Warning,
}

/// One thing that is wrong, or that deserves a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it keeps the configuration from being used.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    pub(super) file: Arc<SourceFile>,
    /// What it is about, in bytes of the file; `None` when it is about the file as a whole.
    pub(super) span: Option<Range<usize>>,
    pub(super) label: String,
    pub(super) also: Option<(Range<usize>, String)>,
    pub(super) trust: Trust,
}

/// How much a finding is worth when the file could not be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// It is why.
    Syntax,
    /// As much as what stands above it.
    Presence,
    /// Nothing: it says that something is not there.
    Absence,
}

impl Diagnostic {
    pub(super) fn new(file: &Arc<SourceFile>, severity: Severity, message: String) -> Diagnostic {
        Diagnostic {
            severity,
            message,
            help: None,
            file: file.clone(),
            span: None,
            label: String::new(),
            also: None,
            trust: Trust::Presence,
        }
    }

    /// The line in the file that it is about, from 1.
    pub fn line(&self) -> Option<usize> {
        let at = self.span.as_ref()?.start.min(self.file.text.len());
        Some(1 + self.file.text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count())
    }

    /// For a log: `tidegate.toml:7: unknown key `urll`: did you mean `url`?`, in one line.
    pub fn one_line(&self) -> String {
        let place = match self.line() {
            Some(line) => format!("{}:{line}", self.file.name),
            None => self.file.name.clone(),
        };
        match self.label.as_str() {
            "" => format!("{place}: {}", self.message),
            label => format!("{place}: {}: {label}", self.message),
        }
    }

    /// For a terminal: message, place, line and caret, and what to do. Ends with a newline.
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(&self.message);
        let mut group = match &self.span {
            Some(span) => title.element(self.snippet(span)),
            None => title.element(Origin::path(&self.file.name)),
        };
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = renderer.render(&[group]);
        text.push('\n');
        text
    }

    fn snippet(&self, span: &Range<usize>) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        let primary = AnnotationKind::Primary.span(self.first_line(span));
        let primary = if self.label.is_empty() { primary } else { primary.label(&self.label) };
        let snippet = Snippet::source(&self.file.text).path(&self.file.name).annotation(primary);
        match &self.also {
            Some((span, label)) => {
                snippet.annotation(AnnotationKind::Context.span(self.first_line(span)).label(label))
            }
            None => snippet,
        }
    }

    /// A caret under one line is easier to read than a bracket around many.
    fn first_line(&self, span: &Range<usize>) -> Range<usize> {
        let text = &self.file.text;
        let start = floor_char(text, span.start);
        let end = floor_char(text, span.end).max(start);
        let length = text[start..end].find(['\n', '\r']).unwrap_or(end - start);
        start..start + length
    }
}

fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// Why a configuration cannot be used: every error at once, and the warnings. In the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// At least one of them is an error.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|found| found.severity == Severity::Error).count()
    }

    /// For a terminal: everything, then a line that counts.
    pub fn render(&self, color: bool) -> String {
        let mut text = String::new();
        for found in self.diagnostics.iter().take(CONFIG_FINDINGS_MAX) {
            text.push_str(&found.render(color));
            text.push('\n');
        }
        let errors = self.errors();
        let name = self.diagnostics.first().map_or("", |found| found.file.name.as_str());
        text.push_str(&format!("{name}: {}", count(errors, "error")));
        let warnings = self.diagnostics.len() - errors;
        if warnings > 0 {
            text.push_str(&format!(", {}", count(warnings, "warning")));
        }
        if self.diagnostics.len() > CONFIG_FINDINGS_MAX {
            text.push_str(&format!(" (the first {CONFIG_FINDINGS_MAX} are shown)"));
        }
        text.push('\n');
        text
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}
