//! `rename`: other names for values of tags.

use crate::config::field::Field;

type Table = Vec<(String, String)>;

/// By tag, what it was and what it becomes; both sorted. `tags` are those that the stream has.
pub(super) fn read(field: &Field<'_>, tags: &[&str]) -> Vec<(String, Table)> {
    let mut renames: Vec<_> = field
        .entries("rename = { device = { \"0x00158d0001a2b3c4\" = \"kitchen\" } }")
        .unwrap_or_default()
        .into_iter()
        .filter_map(|entry| {
            field.cx.resolve(entry.name, entry.at.clone(), tags, "tag")?;
            Some((entry.name.to_owned(), table(&entry.field)?))
        })
        .collect();
    renames.sort();
    renames
}

fn table(field: &Field<'_>) -> Option<Table> {
    if field.value.as_table().is_none() {
        field.wrong_type(
            "a table of names",
            "write rename = { device = { \"0x00158d0001a2b3c4\" = \"kitchen\" } }",
        );
    }
    let entries = field.entries_quietly()?;
    let pair = |entry: &crate::config::reader::Named<'_>| {
        Some((entry.name.to_owned(), entry.field.filled()?.to_owned()))
    };
    let mut table: Table = entries.iter().filter_map(pair).collect();
    table.sort();
    Some(table)
}
