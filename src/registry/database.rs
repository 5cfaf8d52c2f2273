//! [`Database`]: the little that differs between SQL databases. All else in this room is portable SQL over it.

use super::RegistryError;

/// A value on its way into or out of the database.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Int(i64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl Value<'_> {
    /// Short, for messages.
    pub(super) fn shown(self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Int(v) => v.to_string(),
            Self::Float(v) => v.to_string(),
            Self::Text(s) if s.chars().count() > 60 => format!("`{}…`", s.chars().take(60).collect::<String>()),
            Self::Text(s) => format!("`{s}`"),
            Self::Bytes(b) => format!("{} bytes (xxh3 {:016x})", b.len(), xxhash_rust::xxh3::xxh3_64(b)),
        }
    }
}

/// A row of an answer.
pub(super) trait Row {
    /// The value of a column, counted from 0; null beyond the last.
    fn get(&self, column: usize) -> Value<'_>;

    /// The integer of a column that has nothing else.
    fn int(&self, column: usize) -> Result<i64, RegistryError> {
        match self.get(column) {
            Value::Int(v) => Ok(v),
            other => Err(RegistryError::unexpected("an integer", other)),
        }
    }

    /// The text of a column that has nothing else.
    fn text(&self, column: usize) -> Result<&str, RegistryError> {
        match self.get(column) {
            Value::Text(v) => Ok(v),
            other => Err(RegistryError::unexpected("a text", other)),
        }
    }

    /// The UUID of a column that has nothing else.
    fn uuid(&self, column: usize) -> Result<uuid::Uuid, RegistryError> {
        match self.get(column) {
            Value::Bytes(v) => {
                uuid::Uuid::from_slice(v).map_err(|_| RegistryError::unexpected("16 bytes", Value::Bytes(v)))
            }
            other => Err(RegistryError::unexpected("16 bytes", other)),
        }
    }
}

/// What is done with each row of an answer.
pub(super) type EachRow<'a> = &'a mut dyn FnMut(&dyn Row) -> Result<(), RegistryError>;

/// How a transaction is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// All reads see one moment.
    Read,
    /// The only writer from the first statement on.
    Write,
}

/// One connection to a database, and its dialect.
///
/// Statements are written once, for all databases: parameters are `?1`, `?2` …; keywords are written large, names are quoted
/// with `"` where they are keywords somewhere; columns are `INTEGER`, `BIGINT`, `DOUBLE PRECISION`, `TEXT` and `BLOB`. A
/// dialect turns them into its own ([`super::dialect`]). Text compares by bytes. Prepared statements are kept by their text.
///
/// What no statement may say, for some database knows it not: `IS DISTINCT FROM` ([`Database::differs`]), `ON CONFLICT`
/// ([`Database::insert_or_nothing`]), `GLOB`, JSON functions, `||`. An index over texts is a key of its `CREATE TABLE`. Tables
/// are made before anything is written in a transaction, or may be there without the rest of it: `MariaDB` keeps them.
pub(super) trait Database: Send {
    /// Runs a statement and says how many rows it changed.
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, RegistryError>;

    /// Runs a query and hands over its rows one by one.
    fn query(&mut self, sql: &str, values: &[Value<'_>], each: EachRow<'_>) -> Result<(), RegistryError>;

    /// Inserts rows that are new in all their keys, many at a time: `values` are those of the rows one after the other. Gives
    /// how many were inserted; where that is less than all, some were not new.
    fn insert_rows(&mut self, table: &str, columns: &[&str], values: &[Value<'_>]) -> Result<u64, RegistryError> {
        let sql = self.insert_or_nothing(table, columns);
        values.chunks(columns.len().max(1)).try_fold(0, |sum, row| Ok(sum + self.execute(&sql, row)?))
    }

    /// How many rows are best handed to [`Database::insert_rows`]; 1 where nothing is gained.
    fn rows_at_once(&self) -> usize {
        1
    }

    /// Runs several statements without parameters that make or change tables.
    fn execute_script(&mut self, sql: &str) -> Result<(), RegistryError>;

    /// Makes what a registry's tables are in, where that is something of its own.
    fn make_namespace(&mut self) -> Result<(), RegistryError> {
        Ok(())
    }

    /// Whether there is a table.
    fn has_table(&mut self, name: &str) -> Result<bool, RegistryError>;

    /// Begins a transaction, waiting for other writers as long as allowed.
    fn begin(&mut self, access: Access) -> Result<(), RegistryError>;

    /// Ends a transaction: durable when this returns, unless [`Database::make_durable`] says otherwise.
    fn commit(&mut self) -> Result<(), RegistryError>;

    /// Makes what was committed durable, where the commit has not; others may write meanwhile.
    fn make_durable(&mut self) -> Result<(), RegistryError> {
        Ok(())
    }

    /// Forgets a transaction.
    fn rollback(&mut self);

    /// Refreshes the statistics by which queries are planned, where that is due.
    fn optimize(&mut self);

    /// Waits at most so long for other writers.
    fn set_busy_timeout(&mut self, timeout: std::time::Duration) -> Result<(), RegistryError>;

    /// What to call it in messages.
    fn location(&self) -> &str;

    /// `INSERT` that does nothing where a row with the same key exists.
    fn insert_or_nothing(&self, table: &str, columns: &[&str]) -> String {
        let (names, marks) = names_and_marks(columns);
        format!("INSERT INTO \"{table}\" ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING")
    }

    /// Whether two values differ, where nothing is a value too.
    fn differs(&self, a: &str, b: &str) -> String {
        format!("{a} IS DISTINCT FROM {b}")
    }

    /// The type of an integer key that the database chooses.
    fn serial(&self) -> &'static str;

    /// What follows the columns of a table that is kept in the order of its key, without an index beside it.
    fn clustered(&self) -> &'static str;

    /// Whether a text matches a pattern of `*` and `?`; `pattern` is the parameter with [`Database::glob_pattern`].
    fn glob(&self, text: &str, pattern: &str) -> String;

    /// A pattern of `*` and `?` in the database's own form.
    fn glob_pattern(&self, pattern: &str) -> String;

    /// A statement that makes the database itself set `derived` to `unknown` wherever `source` gets another value and
    /// `derived` does not: what follows from a value is never that of an earlier one, whoever writes.
    fn forget_on_change(&self, table: &str, source: &str, derived: &str, unknown: i64) -> String;

    /// Whether a value is in a JSON array of integers, or of texts, which is one parameter.
    fn in_json_array(&self, value: &str, array: &str, texts: bool) -> String;
}

/// `"a", "b"` and `?1, ?2`.
pub(super) fn names_and_marks(columns: &[&str]) -> (String, String) {
    let names = columns.iter().map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join(", ");
    let marks = (1..=columns.len()).map(|i| format!("?{i}")).collect::<Vec<_>>().join(", ");
    (names, marks)
}
