//! Copies between the two databases, through a SQLite file: what a backup of a
//! PostgreSQL database is, and how one is put into PostgreSQL.
//!
//! The schema of a copy is made by the same migrations, so it is a database
//! that Landfall opens. Rows are read in one snapshot and written in one
//! transaction: a copy is whole or not there.

use std::path::Path;

use rusqlite::{Connection, types::ValueRef};

use crate::{
    Error, MigrationSet, ReadTransaction, Result, ToValue, Value, ValueKind, WriteTransaction,
    migrate, params, placeholders,
};

/// Rows that one statement inserts.
const ROWS: usize = 50;

/// A table and its columns, in the order in which rows may refer to rows.
struct Table {
    name: String,
    columns: Vec<String>,
}

impl Table {
    fn list(&self) -> String {
        self.columns.join(", ")
    }
}

/// The tables of a database that the migrations have made; their own apart.
fn tables(connection: &Connection) -> Result<Vec<Table>> {
    let mut names = connection.prepare(
        "select name from sqlite_schema
         where type = 'table' and name not like 'sqlite_%' and name <> 'schema_migration'
         order by rowid",
    )?;
    let names = names.query_map([], |row| row.get::<_, String>(0))?;
    let mut tables = Vec::new();
    for name in names {
        let name = name?;
        let mut columns = connection.prepare("select name from pragma_table_info(?1)")?;
        let columns = columns.query_map([&name], |row| row.get::<_, String>(0))?;
        tables.push(Table {
            columns: columns.collect::<rusqlite::Result<_>>()?,
            name,
        });
    }
    Ok(tables)
}

/// Writes what `from` sees to a new SQLite database at `path`.
pub(crate) fn to_sqlite(
    from: &ReadTransaction<'_>,
    path: &Path,
    sets: &[MigrationSet],
) -> Result<()> {
    let connection = Connection::open(path)?;
    connection.execute_batch("pragma foreign_keys = off; begin")?;
    migrate::run(&WriteTransaction::sqlite(&connection), sets)?;
    for table in tables(&connection)? {
        let (name, list) = (&table.name, table.list());
        connection.execute(&format!("delete from {name}"), [])?;
        let places = placeholders(1, table.columns.len());
        let mut insert =
            connection.prepare(&format!("insert into {name}({list}) values ({places})"))?;
        from.each(&format!("select {list} from {name}"), params![], |row| {
            for column in 0..table.columns.len() {
                insert.raw_bind_parameter(column + 1, row.value(column)?)?;
            }
            insert.raw_execute()?;
            Ok(())
        })?;
    }
    connection.execute_batch("commit")?;
    connection.close().map_err(|(_, error)| error)?;
    let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|_| Error::ReadOnly)
}

/// Puts the rows of the SQLite database at `path` into `to`, which has the same
/// schema and nothing in it.
pub(crate) fn from_sqlite(
    to: &WriteTransaction<'_>,
    path: &Path,
    sets: &[MigrationSet],
) -> Result<()> {
    let fresh = Connection::open_in_memory()?;
    migrate::run(&WriteTransaction::sqlite(&fresh), sets)?;
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let source = Connection::open_with_flags(path, flags)?;
    let tables = tables(&fresh)?;
    for Table { name, .. } in &tables {
        let count = format!("select count(*) from {name}");
        let made: i64 = fresh.query_row(&count, [], |row| row.get(0))?;
        if to.number(&count, params![])? != made as u64 {
            return Err(Error::Refused(format!(
                "the metadata database is not empty (table `{name}`); give an empty one"
            )));
        }
    }
    for Table { name, .. } in tables.iter().rev() {
        to.execute(&format!("delete from {name}"), params![])?;
    }
    for table in &tables {
        let sql = format!("select {} from {}", table.list(), table.name);
        let mut select = source.prepare(&sql)?;
        let mut rows = select.query([])?;
        let mut batch = Vec::new();
        while let Some(row) = rows.next()? {
            for column in 0..table.columns.len() {
                batch.push(Owned::from(row.get_ref(column)?)?);
            }
            if batch.len() == ROWS * table.columns.len() {
                insert(to, table, &batch)?;
                batch.clear();
            }
        }
        insert(to, table, &batch)?;
    }
    Ok(())
}

/// Inserts some rows, whose values lie one after the other.
fn insert(to: &WriteTransaction<'_>, table: &Table, values: &[Owned]) -> Result<()> {
    let mut params: Vec<&dyn ToValue> = Vec::with_capacity(values.len());
    let mut rows = Vec::new();
    for row in values.chunks(table.columns.len()) {
        let mut places = Vec::with_capacity(row.len());
        for value in row {
            if matches!(value, Owned::Null) {
                // Without a kind: it takes that of the column.
                places.push("null".to_owned());
            } else {
                params.push(value);
                places.push(placeholders(params.len(), 1));
            }
        }
        rows.push(format!("({})", places.join(", ")));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let (name, list, rows) = (&table.name, table.list(), rows.join(", "));
    let inserted = to.execute(
        &format!("insert into {name}({list}) values {rows}"),
        &params,
    );
    inserted.map(drop)
}

/// A value that outlives its row.
enum Owned {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Owned {
    fn from(value: ValueRef<'_>) -> Result<Self> {
        Ok(match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Text(text) => Self::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Self::Bytes(bytes.to_owned()),
            ValueRef::Real(number) => {
                return Err(Error::Failed(
                    format!("a copy holds the number {number}").into(),
                ));
            }
        })
    }
}

impl ToValue for Owned {
    fn to_value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => Value::Integer(*number),
            Self::Text(text) => Value::Text(text),
            Self::Bytes(bytes) => Value::Bytes(bytes),
        }
    }

    fn kind(&self) -> ValueKind {
        match self {
            Self::Integer(_) => ValueKind::Integer,
            Self::Null | Self::Text(_) => ValueKind::Text,
            Self::Bytes(_) => ValueKind::Bytes,
        }
    }
}
