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
/// Parameters are `?1`, `?2` …; names are quoted with `"`; text compares by bytes. Prepared statements are kept by their
/// text.
pub(super) trait Database: Send {
    /// Runs a statement and says how many rows it changed.
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, RegistryError>;

    /// Runs a query and hands over its rows one by one.
    fn query(&mut self, sql: &str, values: &[Value<'_>], each: EachRow<'_>) -> Result<(), RegistryError>;

    /// Runs several statements without parameters.
    fn execute_script(&mut self, sql: &str) -> Result<(), RegistryError>;

    /// Begins a transaction, waiting for other writers as long as allowed.
    fn begin(&mut self, access: Access) -> Result<(), RegistryError>;

    /// Ends a transaction: durable when this returns.
    fn commit(&mut self) -> Result<(), RegistryError>;

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

    /// The type of an integer key that the database chooses.
    fn serial(&self) -> &'static str;

    /// Whether a text matches a pattern of `*` and `?`; `pattern` is the parameter with [`Database::glob_pattern`].
    fn glob(&self, text: &str, pattern: &str) -> String;

    /// A pattern of `*` and `?` in the database's own form.
    fn glob_pattern(&self, pattern: &str) -> String;

    /// A statement that makes the database itself set `derived` to `unknown` wherever `source` gets another value and
    /// `derived` does not: what follows from a value is never that of an earlier one, whoever writes.
    fn forget_on_change(&self, table: &str, source: &str, derived: &str, unknown: i64) -> String;

    /// Whether a value is in a JSON array of integers or texts, which is one parameter.
    fn in_json_array(&self, value: &str, array: &str) -> String;
}

/// `"a", "b"` and `?1, ?2`.
pub(super) fn names_and_marks(columns: &[&str]) -> (String, String) {
    let names = columns.iter().map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join(", ");
    let marks = (1..=columns.len()).map(|i| format!("?{i}")).collect::<Vec<_>>().join(", ");
    (names, marks)
}
