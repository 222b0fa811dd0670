//! What commands print: tables for people, JSON for programs.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::cli::Format;

/// Columns of a terminal that nothing is known of.
const WIDTH: usize = 80;

/// Writes a line to standard output. A reader that went away is no error.
pub(crate) fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Writes a line to standard error.
pub(crate) fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints a value as JSON.
pub(crate) fn json(value: &Value) {
    line(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Prints a listing: rows of cells under a header, or the items as they came.
pub(crate) fn listing(
    format: Format,
    items: &[Value],
    header: &[&str],
    row: impl Fn(&Value) -> Vec<String>,
) {
    if format == Format::Json {
        return json(&Value::Array(items.to_vec()));
    }
    if items.is_empty() {
        return warn("nothing to list");
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if !table.is_tty() {
        table.set_width(WIDTH as u16);
    }
    table.set_header(header);
    for item in items {
        table.add_row(row(item));
    }
    line(&table.trim_fmt());
}

/// Prints one thing: names and values that are not empty, or the value as it
/// came. What is too wide stands on a line of its own.
pub(crate) fn details(format: Format, value: &Value, rows: &[(&str, String)]) {
    if format == Format::Json {
        return json(value);
    }
    let width = rows
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();
    for (name, text) in rows.iter().filter(|(_, text)| !text.is_empty()) {
        if width + 2 + text.chars().count() <= WIDTH {
            line(&format!("{name:width$}  {text}"));
        } else {
            line(&format!("{name}\n  {text}"));
        }
    }
}

/// Tells what was done: a sentence, or the answer as it came.
pub(crate) fn done(format: Format, answer: &Value, sentence: &str) {
    match format {
        Format::Json => json(answer),
        Format::Table => line(sentence),
    }
}

/// Tells what was deleted.
pub(crate) fn deleted(format: Format, what: &str) {
    let answer = serde_json::json!({ "deleted": what });
    done(format, &answer, &format!("deleted {what}"));
}

/// The text of a field, or nothing.
pub(crate) fn text(value: &Value, field: &str) -> String {
    match &value[field] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The number of a field, or 0.
pub(crate) fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_default()
}

/// The bytes of a field, as people read them.
pub(crate) fn bytes(value: &Value, field: &str) -> String {
    DecimalBytes(number(value, field)).to_string()
}

/// A digest that fits into a table: its algorithm and twelve digits.
pub(crate) fn short_digest(digest: &str) -> String {
    match digest.split_once(':') {
        Some((algorithm, hex)) => format!("{algorithm}:{}", &hex[..hex.len().min(12)]),
        None => digest.to_owned(),
    }
}

/// An instant without its fraction: `2026-11-24 14:18:56`.
pub(crate) fn time(value: &Value, field: &str) -> String {
    let text = text(value, field);
    text.split_once('.')
        .map_or(text.clone(), |(time, _)| time.replace('T', " "))
}

/// A bar on standard error; it draws nothing where that is no terminal.
pub(crate) fn progress(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
