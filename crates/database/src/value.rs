//! Values that cross between Rust and a row, the same on every database.

use landfall_clock::Timestamp;
use landfall_ids::{Id, Kind};
use rusqlite::types::{ToSqlOutput, ValueRef};

/// A value as the database stores it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// `BIGINT`: numbers, instants in microseconds, truth as 0 and 1.
    Integer(i64),
    /// `TEXT`.
    Text(&'a str),
    /// `BYTEA`: contents and identifiers.
    Bytes(&'a [u8]),
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// The kind of a value, known also where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// `BIGINT`.
    Integer,
    /// `TEXT`.
    Text,
    /// `BYTEA`.
    Bytes,
}

/// A type whose values are of one kind.
pub trait HasKind {
    /// The kind of column that takes them.
    const KIND: ValueKind;
}

/// Something that can be a parameter of a statement, also across threads.
pub trait ToValue: Sync {
    /// The value to bind.
    fn to_value(&self) -> Value<'_>;
    /// The kind of the value, also of one that is not there.
    fn kind(&self) -> ValueKind;
}

/// Something that can be read from a column.
pub trait FromValue: Sized {
    /// What is expected, for the message when something else is there.
    const EXPECTED: &'static str;
    /// Reads the value, or `None` if it is of another kind.
    fn from_value(value: Value<'_>) -> Option<Self>;
}

macro_rules! has_kind {
    ($($type:ty: $kind:ident),+) => {$(
        impl HasKind for $type {
            const KIND: ValueKind = ValueKind::$kind;
        }
    )+};
}
has_kind!(bool: Integer, Timestamp: Integer, str: Text, String: Text, [u8]: Bytes, Vec<u8>: Bytes);

macro_rules! integers {
    ($($number:ty),+) => {$(
        has_kind!($number: Integer);
        impl ToValue for $number {
            fn to_value(&self) -> Value<'_> {
                // Sizes and counts; none comes near 2^63.
                Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
            }
            fn kind(&self) -> ValueKind {
                Self::KIND
            }
        }
        impl FromValue for $number {
            const EXPECTED: &'static str = stringify!($number);
            fn from_value(value: Value<'_>) -> Option<Self> {
                match value {
                    Value::Integer(number) => number.try_into().ok(),
                    _ => None,
                }
            }
        }
    )+};
}
integers!(i64, u64, u32, usize);

impl ToValue for bool {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(i64::from(*self))
    }
    fn kind(&self) -> ValueKind {
        Self::KIND
    }
}
impl FromValue for bool {
    const EXPECTED: &'static str = "0 or 1";
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Integer(0) => Some(false),
            Value::Integer(1) => Some(true),
            _ => None,
        }
    }
}

impl ToValue for Timestamp {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(self.unix_micros())
    }
    fn kind(&self) -> ValueKind {
        Self::KIND
    }
}
impl FromValue for Timestamp {
    const EXPECTED: &'static str = "an instant";
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).map(Self::from_unix_micros)
    }
}

impl ToValue for str {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
    fn kind(&self) -> ValueKind {
        Self::KIND
    }
}
impl ToValue for String {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
    fn kind(&self) -> ValueKind {
        Self::KIND
    }
}
impl FromValue for String {
    const EXPECTED: &'static str = "a text";
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl ToValue for [u8] {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
    fn kind(&self) -> ValueKind {
        Self::KIND
    }
}
impl ToValue for Vec<u8> {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
    fn kind(&self) -> ValueKind {
        Self::KIND
    }
}
impl FromValue for Vec<u8> {
    const EXPECTED: &'static str = "bytes";
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes.to_owned()),
            _ => None,
        }
    }
}

impl<K: Kind> HasKind for Id<K> {
    const KIND: ValueKind = ValueKind::Bytes;
}
impl<K: Kind> ToValue for Id<K> {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self.as_bytes())
    }
    fn kind(&self) -> ValueKind {
        Self::KIND
    }
}
impl<K: Kind> FromValue for Id<K> {
    const EXPECTED: &'static str = K::NAME;
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Self::from_bytes(bytes).ok(),
            _ => None,
        }
    }
}

impl<T: HasKind + ?Sized> HasKind for &T {
    const KIND: ValueKind = T::KIND;
}
impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
    fn kind(&self) -> ValueKind {
        (**self).kind()
    }
}
impl<T: ToValue + HasKind> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
    fn kind(&self) -> ValueKind {
        T::KIND
    }
}
impl<T: FromValue> FromValue for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// The parameters of a statement: `params![repository, &name]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::ToValue),*] as &[&dyn $crate::ToValue]
    };
}

/// `?3, ?4, ?5` for `placeholders(3, 3)`: the places of a list of parameters.
pub fn placeholders(first: usize, count: usize) -> String {
    let places: Vec<_> = (first..first + count)
        .map(|place| format!("?{place}"))
        .collect();
    places.join(", ")
}
