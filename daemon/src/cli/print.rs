//! What commands print: aligned, without control characters, and quiet when nobody reads any more.
#![expect(clippy::print_stderr, reason = "notes of a command, beside its answer")]

use super::exit::{self, Exit};
use std::io::{self, ErrorKind, Write};

/// Writes to standard output. A reader that left, such as `head`, ends the command without a word.
///
/// # Errors
/// How to end when standard output takes no more.
pub(super) fn out(text: &str) -> Result<(), Exit> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Exit::OK,
        _ => exit::failed(exit::IO, &format!("cannot write the answer: {error}")),
    })
}

/// A note to standard error.
pub(super) fn note(text: &str) {
    eprintln!("tidegate: {text}");
}

/// One JSON value in one line.
///
/// # Errors
/// As [`out`].
pub(super) fn json(value: &impl serde::Serialize) -> Result<(), Exit> {
    let text = serde_json::to_string(value).map_err(|error| {
        exit::failed(exit::SOFTWARE, &format!("cannot write the answer as JSON: {error}"))
    })?;
    out(&format!("{text}\n"))
}

/// What a terminal could take for a command is shown as a replacement character. Payloads come from anybody.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Rows in aligned columns, indented. Columns whose cells below the head are all numbers are aligned to the right.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let width = |column| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let is_number = |cell: &String| cell.chars().all(|c| c.is_ascii_digit() || c == ',') && !cell.is_empty();
    let shape: Vec<(usize, bool)> = (0..columns)
        .map(|column| (width(column), rows.len() > 1 && cells(column).skip(1).all(is_number)))
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (cell, (width, right)) in row.iter().zip(&shape) {
            let room = " ".repeat(width.saturating_sub(cell.chars().count()));
            line.push(' ');
            line.push_str(&if *right { format!("{room}{cell}") } else { format!("{cell}{room}") });
            line.push(' ');
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let rows = [["name", "made", "note"], ["a", "1,000", "x"], ["longer", "7", ""]];
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(String::from).to_vec()).collect();
        assert_eq!(table(&rows), "  name     made  note\n  a       1,000  x\n  longer      7\n");
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn terminals_get_no_commands() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
