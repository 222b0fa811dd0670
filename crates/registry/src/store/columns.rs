//! Columns that hold the text of a parsed thing.

use std::str::FromStr;

use landfall_database::{Error, Result, Row};

/// Reads a text column and parses it. A text that does not parse was not
/// written by Landfall, and is an error, not a panic.
pub(super) fn parsed<T: FromStr>(row: &Row<'_>, column: usize) -> Result<T> {
    let text: String = row.get(column)?;
    parse(&text, column)
}

/// As [`parsed`], where the column may be null.
pub(super) fn parsed_if_any<T: FromStr>(row: &Row<'_>, column: usize) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| parse(&text, column)).transpose()
}

fn parse<T: FromStr>(text: &str, column: usize) -> Result<T> {
    text.parse().map_err(|_| Error::Column {
        column,
        expected: std::any::type_name::<T>(),
        found: format!("`{}`", text.chars().take(80).collect::<String>()),
    })
}
