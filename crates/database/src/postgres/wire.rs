//! Messages of PostgreSQL's protocol 3.0, as much of it as is used here.
//!
//! Parameters and answers travel in binary. The type of each parameter is
//! stated with the statement, so nothing is left to be guessed.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

use super::fault::ServerError;
use crate::{ToValue, Value, ValueKind};

/// The largest message that is believed; a row holds a manifest, at the most.
const LARGEST_MESSAGE: usize = 256 * 1024 * 1024;

/// Messages on their way to the server.
#[derive(Debug, Default)]
pub(super) struct Outgoing(pub(super) Vec<u8>);

impl Outgoing {
    fn message(&mut self, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
        self.0.push(tag);
        self.counted(body);
    }

    fn counted(&mut self, body: impl FnOnce(&mut Vec<u8>)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        body(&mut self.0);
        // Parameters are bounded by the domains, far below 2 GiB.
        let length = (self.0.len() - start) as u32;
        self.0[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    pub(super) fn startup(&mut self, parameters: &[(&str, &str)]) {
        self.counted(|out| {
            out.extend_from_slice(&0x0003_0000u32.to_be_bytes());
            for (name, value) in parameters {
                text(out, name);
                text(out, value);
            }
            out.push(0);
        });
    }

    pub(super) fn ask_for_tls(&mut self) {
        self.counted(|out| out.extend_from_slice(&80_877_103u32.to_be_bytes()));
    }

    pub(super) fn password(&mut self, password: &str) {
        self.message(b'p', |out| text(out, password));
    }

    pub(super) fn sasl_start(&mut self, mechanism: &str, data: &[u8]) {
        self.message(b'p', |out| {
            text(out, mechanism);
            out.extend_from_slice(&(data.len() as u32).to_be_bytes());
            out.extend_from_slice(data);
        });
    }

    pub(super) fn sasl_continue(&mut self, data: &[u8]) {
        self.message(b'p', |out| out.extend_from_slice(data));
    }

    /// One or more statements without parameters.
    pub(super) fn query(&mut self, sql: &str) {
        self.message(b'Q', |out| text(out, sql));
    }

    /// Prepares a statement, and asks for its columns.
    pub(super) fn prepare(&mut self, name: &str, sql: &str, kinds: &[ValueKind]) {
        self.parse(name, sql, kinds);
        self.message(b'D', |out| {
            out.push(b'S');
            text(out, name);
        });
    }

    pub(super) fn parse(&mut self, name: &str, sql: &str, kinds: &[ValueKind]) {
        self.message(b'P', |out| {
            text(out, name);
            out.extend_from_slice(dialect(sql).as_bytes());
            out.push(0);
            out.extend_from_slice(&(kinds.len() as u16).to_be_bytes());
            for kind in kinds {
                out.extend_from_slice(&Type::of(*kind).oid().to_be_bytes());
            }
        });
    }

    /// Binds values that [`encode`] wrote to a statement.
    pub(super) fn bind(&mut self, portal: &str, statement: &str, values: &[u8]) {
        self.message(b'B', |out| {
            text(out, portal);
            text(out, statement);
            out.extend_from_slice(values);
            // All columns in binary.
            out.extend_from_slice(&[0, 1, 0, 1]);
        });
    }

    /// Runs a portal; up to `rows`, 0 for all.
    pub(super) fn execute(&mut self, portal: &str, rows: u32) {
        self.message(b'E', |out| {
            text(out, portal);
            out.extend_from_slice(&rows.to_be_bytes());
        });
    }

    pub(super) fn close_portal(&mut self, portal: &str) {
        self.message(b'C', |out| {
            out.push(b'P');
            text(out, portal);
        });
    }

    pub(super) fn sync(&mut self) {
        self.message(b'S', |_| {});
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

/// The values of parameters as a bind carries them.
pub(super) fn encode(params: &[&dyn ToValue]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + 48 * params.len());
    // All parameters in binary.
    out.extend_from_slice(&[0, 1, 0, 1]);
    out.extend_from_slice(&(params.len() as u16).to_be_bytes());
    for param in params {
        match param.to_value() {
            Value::Null => out.extend_from_slice(&u32::MAX.to_be_bytes()),
            Value::Integer(number) => {
                out.extend_from_slice(&8u32.to_be_bytes());
                out.extend_from_slice(&number.to_be_bytes());
            }
            Value::Text(text) => counted_bytes(&mut out, text.as_bytes()),
            Value::Bytes(bytes) => counted_bytes(&mut out, bytes),
        }
    }
    out
}

fn counted_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// The statement with PostgreSQL's sign for parameters: `$1` for `?1`.
fn dialect(sql: &str) -> String {
    let mut quoted = false;
    let mut out = String::with_capacity(sql.len());
    let mut letters = sql.chars().peekable();
    while let Some(letter) = letters.next() {
        quoted ^= letter == '\'';
        let parameter =
            letter == '?' && !quoted && letters.peek().is_some_and(char::is_ascii_digit);
        out.push(if parameter { '$' } else { letter });
    }
    out
}

/// A message from the server: its tag and its body.
pub(super) struct Message {
    pub(super) tag: u8,
    pub(super) body: Bytes,
}

impl Message {
    /// Takes the next message, if all of it has arrived.
    pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<Self>, String> {
        if buffer.len() < 5 {
            return Ok(None);
        }
        let length = u32::from_be_bytes([buffer[1], buffer[2], buffer[3], buffer[4]]) as usize;
        if !(4..=LARGEST_MESSAGE).contains(&length) {
            return Err(format!("a message of {length} bytes"));
        }
        if buffer.len() < length + 1 {
            return Ok(None);
        }
        let tag = buffer[0];
        let mut body = buffer.split_to(length + 1).freeze();
        body.advance(5);
        Ok(Some(Self { tag, body }))
    }

    /// An error or a notice.
    pub(super) fn error(&self) -> ServerError {
        let mut error = ServerError::default();
        for field in self.body.split(|byte| *byte == 0) {
            let Some((kind, value)) = field.split_first() else {
                continue;
            };
            let value = String::from_utf8_lossy(value).into_owned();
            match kind {
                b'V' => error.severity = value,
                b'C' => error.code = value,
                b'M' => error.message = value,
                _ => {}
            }
        }
        error
    }

    /// The rows that a statement changed, from its closing message.
    pub(super) fn changed(&self) -> u64 {
        let text = self.body.strip_suffix(&[0]).unwrap_or(&self.body);
        let last = text.rsplit(|byte| *byte == b' ').next();
        last.and_then(|number| std::str::from_utf8(number).ok())
            .and_then(|number| number.parse().ok())
            .unwrap_or(0)
    }

    /// The types of the columns, from the description of a statement.
    pub(super) fn columns(&self) -> Result<Arc<[Type]>, String> {
        let mut body = self.body.clone();
        let short = |_| "a description that is cut off".to_owned();
        let count = body.try_get_u16().map_err(short)?;
        let mut types = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let name = body.iter().position(|byte| *byte == 0);
            let name = name.ok_or("a column without a name")?;
            body.advance(name + 1);
            if body.len() < 18 {
                return Err("a description that is cut off".to_owned());
            }
            body.advance(6);
            types.push(Type::from_oid(body.get_u32()));
            body.advance(8);
        }
        Ok(types.into())
    }
}

/// The types of columns that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int2,
    Int4,
    Int8,
    Text,
    Bytea,
    Numeric,
    Other(u32),
}

impl Type {
    fn of(kind: ValueKind) -> Self {
        match kind {
            ValueKind::Integer => Self::Int8,
            ValueKind::Text => Self::Text,
            ValueKind::Bytes => Self::Bytea,
        }
    }

    fn oid(self) -> u32 {
        match self {
            Self::Bool => 16,
            Self::Bytea => 17,
            Self::Int8 => 20,
            Self::Int2 => 21,
            Self::Int4 => 23,
            Self::Text => 25,
            Self::Numeric => 1700,
            Self::Other(oid) => oid,
        }
    }

    fn from_oid(oid: u32) -> Self {
        match oid {
            16 => Self::Bool,
            17 => Self::Bytea,
            20 => Self::Int8,
            21 => Self::Int2,
            23 => Self::Int4,
            // text, name, varchar, and a literal of which nobody said what it is.
            25 | 19 | 1043 | 705 => Self::Text,
            1700 => Self::Numeric,
            other => Self::Other(other),
        }
    }
}

/// A row as it came, and what its columns are.
#[derive(Debug, Clone)]
pub(crate) struct RawRow {
    pub(super) columns: Arc<[Type]>,
    pub(super) body: Bytes,
}

impl RawRow {
    /// The value of a column, or what was found instead.
    pub(crate) fn value(&self, column: usize) -> Result<Value<'_>, String> {
        let absent = || "no such column".to_owned();
        let kind = *self.columns.get(column).ok_or_else(absent)?;
        let mut rest = self.body.get(2..).ok_or_else(absent)?;
        for _ in 0..column {
            let (_, after) = field(rest).ok_or_else(absent)?;
            rest = after;
        }
        let (bytes, _) = field(rest).ok_or_else(absent)?;
        let Some(bytes) = bytes else {
            return Ok(Value::Null);
        };
        let wrong = || format!("{} bytes of the type {}", bytes.len(), kind.oid());
        match kind {
            Type::Text => std::str::from_utf8(bytes)
                .map(Value::Text)
                .map_err(|_| "a text that is not UTF-8".to_owned()),
            Type::Bytea => Ok(Value::Bytes(bytes)),
            Type::Bool | Type::Int2 | Type::Int4 | Type::Int8 => {
                integer(bytes).map(Value::Integer).ok_or_else(wrong)
            }
            Type::Numeric => whole(bytes)
                .map(Value::Integer)
                .ok_or_else(|| "a number with a fraction, or too large".to_owned()),
            Type::Other(_) => Err(wrong()),
        }
    }
}

/// The first field, `None` in it for null, and what follows.
fn field(rest: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = rest.split_first_chunk::<4>()?;
    match u32::from_be_bytes(*length) {
        u32::MAX => Some((None, rest)),
        length => {
            let (bytes, rest) = rest.split_at_checked(length as usize)?;
            Some((Some(bytes), rest))
        }
    }
}

fn integer(bytes: &[u8]) -> Option<i64> {
    match *bytes {
        [byte] => Some(i64::from(byte != 0)),
        [a, b] => Some(i16::from_be_bytes([a, b]).into()),
        [a, b, c, d] => Some(i32::from_be_bytes([a, b, c, d]).into()),
        _ => bytes.try_into().map(i64::from_be_bytes).ok(),
    }
}

/// A number without fraction, which is what a sum of whole numbers is: digits
/// to the base of 10,000 behind four fields of 16 bits (how many digits, the
/// power of the first, the sign, the digits behind the point).
fn whole(bytes: &[u8]) -> Option<i64> {
    let (header, digits) = bytes.split_first_chunk::<8>()?;
    let power = i16::from_be_bytes([header[2], header[3]]);
    let sign = u16::from_be_bytes([header[4], header[5]]);
    let mut number: i128 = 0;
    let mut exponent = i32::from(power);
    for digit in digits.chunks_exact(2) {
        let digit = i128::from(u16::from_be_bytes([digit[0], digit[1]]));
        if exponent < 0 {
            if digit != 0 {
                return None;
            }
        } else {
            let unit = 10_000i128.checked_pow(exponent.unsigned_abs())?;
            number = number.checked_add(digit.checked_mul(unit)?)?;
        }
        exponent -= 1;
    }
    match sign {
        0 => number.try_into().ok(),
        0x4000 => (-number).try_into().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_get_the_sign_of_postgresql_outside_of_quotes() {
        assert_eq!(
            dialect("select '?1', name from t where a = ?1 and b ? 'x' limit ?12"),
            "select '?1', name from t where a = $1 and b ? 'x' limit $12"
        );
    }

    #[test]
    fn sums_are_numbers() {
        let numeric = |digits: &[u16], power: i16, sign: u16| {
            let mut bytes = Vec::new();
            for field in [digits.len() as u16, power as u16, sign, 0] {
                bytes.extend_from_slice(&field.to_be_bytes());
            }
            for digit in digits {
                bytes.extend_from_slice(&digit.to_be_bytes());
            }
            whole(&bytes)
        };
        assert_eq!(numeric(&[], 0, 0), Some(0));
        assert_eq!(numeric(&[12, 3456], 1, 0), Some(123_456));
        assert_eq!(numeric(&[7], 2, 0x4000), Some(-700_000_000));
        assert_eq!(numeric(&[1, 5000], 0, 0), None, "one and a half");
        assert_eq!(numeric(&[9999; 8], 7, 0), None, "too large");
        assert_eq!(numeric(&[], 0, 0xC000), None, "not a number");
    }

    #[test]
    fn a_message_is_taken_whole_or_not_at_all() {
        let mut buffer = BytesMut::from(&b"Z\0\0\0\x05IC\0\0\0\x0bINSE"[..]);
        let message = Message::take(&mut buffer).expect("whole");
        assert_eq!(message.map(|message| message.tag), Some(b'Z'));
        assert!(Message::take(&mut buffer).expect("cut off").is_none());
        buffer.extend_from_slice(b"RT\0");
        let message = Message::take(&mut buffer).expect("whole").expect("all");
        assert_eq!((message.tag, message.changed()), (b'C', 0));
        let mut buffer = BytesMut::from(&b"D\xff\xff\xff\xff"[..]);
        assert!(Message::take(&mut buffer).is_err());
    }
}
