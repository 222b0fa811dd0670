//! A row of an answer, read the same on every database.

use rusqlite::types::ValueRef;

use crate::{Error, FromValue, Result, Value, postgres::RawRow};

/// One row of an answer.
pub struct Row<'a>(pub(crate) Source<'a>);

/// Where a row comes from.
pub(crate) enum Source<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a RawRow),
}

impl<'a> Row<'a> {
    pub(crate) fn sqlite(row: &'a rusqlite::Row<'a>) -> Self {
        Self(Source::Sqlite(row))
    }

    pub(crate) fn postgres(row: &'a RawRow) -> Self {
        Self(Source::Postgres(row))
    }

    /// The value of a column, counted from 0.
    pub fn get<T: FromValue>(&self, column: usize) -> Result<T> {
        let value = self.value_as(column, T::EXPECTED)?;
        T::from_value(value).ok_or_else(|| Error::Column {
            column,
            expected: T::EXPECTED,
            found: kind_of(value).to_owned(),
        })
    }

    /// The value of a column as it is stored, counted from 0.
    pub fn value(&self, column: usize) -> Result<Value<'_>> {
        self.value_as(column, "a number, a text or bytes")
    }

    fn value_as(&self, column: usize, expected: &'static str) -> Result<Value<'_>> {
        let wrong = |found: String| Error::Column {
            column,
            expected,
            found,
        };
        match &self.0 {
            Source::Postgres(row) => row.value(column).map_err(wrong),
            Source::Sqlite(row) => Ok(match row.get_ref(column)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => Value::Integer(number),
                ValueRef::Blob(bytes) => Value::Bytes(bytes),
                ValueRef::Text(text) => match std::str::from_utf8(text) {
                    Ok(text) => Value::Text(text),
                    Err(_) => return Err(wrong("a text that is not UTF-8".to_owned())),
                },
                ValueRef::Real(number) => return Err(wrong(format!("the number {number}"))),
            }),
        }
    }
}

fn kind_of(value: Value<'_>) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Integer(_) => "a number",
        Value::Text(_) => "a text",
        Value::Bytes(_) => "bytes",
    }
}
