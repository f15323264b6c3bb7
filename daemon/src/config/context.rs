//! What every reader of a section needs: where findings go, and what the machine is like.

use super::diagnostic::{Diagnostic, Severity, SourceFile, Trust};
use super::environment::Environment;
use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Collects findings while the file is read.
pub(super) struct Context<'a> {
    pub(super) env: &'a Environment,
    base_dir: &'a Path,
    file: Arc<SourceFile>,
    found: RefCell<Vec<Diagnostic>>,
    secrets: RefCell<Vec<Range<usize>>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(file_name: &str, text: &str, base_dir: &'a Path, env: &'a Environment) -> Context<'a> {
        let file = Arc::new(SourceFile { name: file_name.into(), text: text.into() });
        Context { env, base_dir, file, found: RefCell::default(), secrets: RefCell::default() }
    }

    /// A path of the file: relative ones begin at the folder of the configuration file.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.base_dir.join(text)
    }

    pub(super) fn text(&self) -> &str {
        &self.file.text
    }

    /// Begins an error about `span`.
    pub(super) fn error(&self, span: Range<usize>, message: impl Into<String>) -> Draft<'_> {
        self.draft(Severity::Error, Some(span), message.into())
    }

    /// Begins a warning about `span`.
    pub(super) fn warning(&self, span: Range<usize>, message: impl Into<String>) -> Draft<'_> {
        self.draft(Severity::Warning, Some(span), message.into())
    }

    /// Begins an error about the file as a whole.
    pub(super) fn file_error(&self, message: impl Into<String>) -> Draft<'_> {
        self.draft(Severity::Error, None, message.into())
    }

    /// Begins a warning about the file as a whole.
    pub(super) fn file_warning(&self, message: impl Into<String>) -> Draft<'_> {
        self.draft(Severity::Warning, None, message.into())
    }

    /// What stands at `span` is a secret: no message may show it, wherever it is about.
    pub(super) fn mask(&self, span: Range<usize>) {
        self.secrets.borrow_mut().push(span);
    }

    /// Whether anything was reported so far that keeps the configuration from being used.
    pub(super) fn has_errors(&self) -> bool {
        self.found.borrow().iter().any(|found| found.severity == Severity::Error)
    }

    fn draft(&self, severity: Severity, span: Option<Range<usize>>, message: String) -> Draft<'_> {
        let mut diagnostic = Diagnostic::new(&self.file, severity, message);
        diagnostic.span = span;
        Draft { found: &self.found, diagnostic }
    }

    /// All findings, in the order of the file; those about the whole file come last.
    ///
    /// After a syntax error at `broken`, only what was found above it counts, and nothing that says that something is
    /// missing: the rest of the file was guessed at.
    pub(super) fn finish(self, broken: Option<usize>) -> Vec<Diagnostic> {
        let mut found = self.found.into_inner();
        if let Some(broken) = broken {
            let above = |one: &Diagnostic| one.span.as_ref().is_some_and(|span| span.start < broken);
            found.retain(|one| one.trust == Trust::Syntax || (one.trust == Trust::Presence && above(one)));
        }
        let secrets = self.secrets.into_inner();
        if !secrets.is_empty() {
            let text = masked(&self.file.text, &secrets);
            let file = Arc::new(SourceFile { name: self.file.name.clone(), text });
            found.iter_mut().for_each(|one| one.file = file.clone());
        }
        found.sort_by_key(|one| one.span.as_ref().map_or(usize::MAX, |span| span.start));
        found
    }
}

/// The same text, of the same length, with stars at `secrets`.
fn masked(text: &str, secrets: &[Range<usize>]) -> String {
    let mut hidden = vec![false; text.len()];
    for span in secrets {
        hidden.get_mut(span.clone()).into_iter().flatten().for_each(|byte| *byte = true);
    }
    let mut shown = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            // Quotes and line ends stay, so that the line looks like what it is.
            '\n' | '\r' | '"' | '\'' => shown.push(c),
            _ if hidden[at] => shown.extend(std::iter::repeat_n('*', c.len_utf8())),
            _ => shown.push(c),
        }
    }
    shown
}

/// A finding that is not reported yet.
#[must_use = "call report()"]
pub(super) struct Draft<'a> {
    found: &'a RefCell<Vec<Diagnostic>>,
    diagnostic: Diagnostic,
}

impl Draft<'_> {
    /// What is said beside the caret.
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.diagnostic.label = label.into();
        self
    }

    /// What to do.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.diagnostic.help = Some(help.into());
        self
    }

    /// A second place that belongs to it.
    pub(super) fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.diagnostic.also = Some((span, label.into()));
        self
    }

    /// It is about something that is not there.
    pub(super) fn absence(mut self) -> Self {
        self.diagnostic.trust = Trust::Absence;
        self
    }

    /// It is about what is not TOML.
    pub(super) fn syntax(mut self) -> Self {
        self.diagnostic.trust = Trust::Syntax;
        self
    }

    pub(super) fn report(self) {
        self.found.borrow_mut().push(self.diagnostic);
    }
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn masks_keep_the_length() {
        let (first, second) = (4..9, 14..16);
        assert_eq!(masked("a = \"hé\"\nb = 'x'\n", &[first, second]), "a = \"***\"\nb = '*'\n");
    }
}
