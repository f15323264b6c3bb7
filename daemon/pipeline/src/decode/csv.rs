//! CSV (RFC 4180, with other delimiters), by `csv-core`: each row is a record, each column a place such as `/temperature`.

use super::walk::put;
use super::{DecodeError, Found, Scalar, Shape};
use crate::limits::{CSV_COLUMNS_MAX, READINGS_PER_MESSAGE_MAX};
use crate::plan::Csv;
use csv_core::{ReadRecordResult, ReaderBuilder};
use std::borrow::Cow;

pub(super) fn decode<'p>(
    csv: &Csv,
    shape: &Shape,
    payload: &'p [u8],
    found: &mut Found<'p>,
) -> Result<(), DecodeError> {
    let payload = std::str::from_utf8(payload).map_err(|_| DecodeError::NotUtf8)?;
    let mut rows = Rows::new(csv.delimiter, payload);
    let mut header = Vec::new();
    if csv.header {
        rows.next()?;
        header = rows.cells().map(|cell| cell.trim().to_owned()).collect();
    }
    let columns = if csv.columns.is_empty() { &header } else { &csv.columns };
    while rows.next()? {
        if rows.count != columns.len() {
            let why =
                format!("row {} has {} cells, there are {} columns", rows.row, rows.count, columns.len());
            return Err(DecodeError::Malformed("CSV", why));
        }
        found.record(shape)?;
        for (column, cell) in columns.iter().zip(rows.cells()) {
            // A column without a name is one that nobody wants.
            if !column.is_empty() {
                put(shape, found, [column.as_str()], Scalar::Text(Cow::Owned(cell.to_owned())))?;
            }
        }
        found.extend();
    }
    Ok(())
}

/// Row after row, in the same buffers.
struct Rows<'p> {
    reader: csv_core::Reader,
    rest: &'p [u8],
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Cells of the present row.
    count: usize,
    /// Its number, from 1; empty lines do not count.
    row: usize,
}

impl<'p> Rows<'p> {
    fn new(delimiter: u8, payload: &'p str) -> Rows<'p> {
        Rows {
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            rest: payload.as_bytes(),
            // A row without its quotes is not longer than the payload.
            text: vec![0; payload.len()],
            ends: vec![0; CSV_COLUMNS_MAX],
            count: 0,
            row: 0,
        }
    }

    /// Whether there is another row.
    fn next(&mut self) -> Result<bool, DecodeError> {
        let (mut texts, mut ends) = (0, 0);
        loop {
            let (result, read, written, ended) =
                self.reader.read_record(self.rest, &mut self.text[texts..], &mut self.ends[ends..]);
            self.rest = &self.rest[read..];
            texts += written;
            ends += ended;
            match result {
                // The next call is with an empty rest, which says that there is no more.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record => {
                    self.count = ends;
                    self.row += 1;
                    if self.row > READINGS_PER_MESSAGE_MAX + 1 {
                        return Err(DecodeError::TooMany);
                    }
                    return Ok(true);
                }
                ReadRecordResult::End => return Ok(false),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    let why = format!("row {} has more than {CSV_COLUMNS_MAX} cells", self.row + 1);
                    return Err(DecodeError::Malformed("CSV", why));
                }
            }
        }
    }

    fn cells(&self) -> impl Iterator<Item = &str> {
        (0..self.count).map(|at| {
            let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
            // The payload is UTF-8, and cells are cut where there is a character of ASCII.
            std::str::from_utf8(&self.text[start..self.ends[at]]).unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Expected, check, everything, listed};
    use crate::plan::{Csv, Format, StreamPlan, TagPlan};

    fn plan(delimiter: u8, decimal: char, columns: &[&str], header: bool) -> StreamPlan {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        everything(Format::Csv(Csv { delimiter, decimal, columns, header }))
    }

    fn csv(plan: &StreamPlan, payload: &str, expected: Expected<'_>) {
        check(plan, payload.as_bytes(), expected);
    }

    #[test]
    fn rows() {
        let header = plan(b',', '.', &[], true);
        csv(&header, "t, h \n21.5,48\n21.6,on\r\n", Ok("t=21.5 h=48 | t=21.6 h=1"));
        csv(&header, "t,name\n21.5,\"a, \"\"b\"\"\"", Ok("t=21.5"));
        csv(&header, "\n\nt\n\n1\n", Ok("t=1"));
        csv(&header, "\u{feff}t\n1", Ok("t=1"));
        csv(&header, "t\n", Ok("no records"));
        csv(&header, "", Ok("no records"));
        let german = plan(b';', ',', &["t", "", "h"], false);
        csv(&german, "21,5;x;48", Ok("t=21.5 h=48"));
        // A point is a separator of thousands there, perhaps: no number.
        csv(&german, "1.234;x;48", Ok("h=48"));
        csv(&plan(b'\t', '.', &["a", "b"], true), "x\ty\n1\t2", Ok("a=1 b=2"));
    }

    #[test]
    fn places_of_columns() {
        let mut plan = plan(b',', '.', &["t", "room", "n/m", "x"], false);
        plan.fields =
            listed(Format::Json, &[("t", None), ("m", Some("/n~1m")), ("x", None), ("y", None)], false)
                .fields;
        plan.tags = vec![("room".into(), TagPlan::At(crate::plan::Pointer::parse("/room").unwrap()))];
        csv(&plan, "1,007,2,\n", Ok("t=1 m=2 x!no_value [room=007]"));
        csv(&plan, "nan,a,inf,x\n", Ok("t!not_finite m!not_finite x!not_a_number [room=a]"));
    }

    #[test]
    fn what_is_refused() {
        let header = plan(b',', '.', &[], true);
        csv(&header, "a,b\n1\n", Err("row 2 has 1 cells, there are 2 columns"));
        csv(&header, "a\n1,2\n", Err("row 2 has 2 cells, there are 1 columns"));
        csv(&header, &"a,".repeat(300), Err("row 1 has more than 256 cells"));
        csv(&header, &format!("a\n{}", "1\n".repeat(1_001)), Err("more readings"));
        check(&header, b"a\n\xff", Err("UTF-8"));
    }
}
