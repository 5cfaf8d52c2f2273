//! [`Postgres`]: the registry in a schema of a `PostgreSQL` database.
//!
//! * One writer at a time, by an advisory lock that ends with its transaction: what two writers read and then write cannot
//!   cross, and nothing ends in a deadlock. Waiting for it is bounded, and says who holds it.
//! * Readers see one moment (`REPEATABLE READ`) and wait for nobody. Durable is what the server's own settings say.
//! * Texts are in the collation `"C"`: they compare by bytes whatever the database's locale.
//! * A connection that is lost is made anew when the next transaction begins.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator as _;
use postgres::types::private::BytesMut;
use postgres::types::{FromSql, IsNull, ToSql, Type};
use postgres::{Client, Config, NoTls, Statement};
use xxhash_rust::xxh3::xxh3_64;

use super::RegistryError;
use super::address::{RegistryAddress, ServerAddress};
use super::database::{Access, Database, EachRow, Row, Value};
use super::dialect::{Token, like_pattern, tokens};
use super::passwords;

/// How long a writer waits for another before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(120);
/// The schema where none is named.
const SCHEMA: &str = "bunter";
/// Statements of more texts than this are forgotten all at once.
const MAX_STATEMENTS: usize = 1000;
/// What a text can never have, in place of a NUL, which the server does not take.
const NO_TEXT: &str = "\u{10ffff}";

/// A connection to a `PostgreSQL` database.
pub(super) struct Postgres {
    client: Client,
    address: ServerAddress,
    location: String,
    timeout: Duration,
    read_only: bool,
    in_transaction: bool,
    /// By text, and by the types of the values.
    statements: HashMap<String, Vec<(Vec<u8>, Statement)>>,
    kept: usize,
}

impl ToSql for Value<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(v) => v.to_sql(&Type::INT8, out),
            Self::Float(v) => v.to_sql(&Type::FLOAT8, out),
            Self::Text(v) => v.to_sql(&Type::TEXT, out),
            Self::Bytes(v) => v.to_sql(&Type::BYTEA, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        // Every parameter is cast to the type of its value in the statement.
        true
    }

    fn to_sql_checked(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.to_sql(kind, out)
    }
}

/// A column of many values.
enum Many<'a> {
    Ints(Vec<Option<i64>>),
    Floats(Vec<Option<f64>>),
    Texts(Vec<Option<&'a str>>),
    Bytes(Vec<Option<&'a [u8]>>),
}

impl<'a> Many<'a> {
    /// `None` for values of several types, which no column has.
    fn of(values: impl Iterator<Item = Value<'a>> + Clone) -> Option<Self> {
        macro_rules! column {
            ($many:ident, $value:ident) => {
                values
                    .map(|v| match v {
                        Value::Null => Some(None),
                        Value::$value(v) => Some(Some(v)),
                        _ => None,
                    })
                    .collect::<Option<Vec<_>>>()
                    .map(Self::$many)
            };
        }
        match values.clone().find(|v| *v != Value::Null) {
            Some(Value::Int(_)) => column!(Ints, Int),
            Some(Value::Float(_)) => column!(Floats, Float),
            Some(Value::Bytes(_)) => column!(Bytes, Bytes),
            Some(Value::Text(_) | Value::Null) | None => column!(Texts, Text),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Ints(_) => "int8[]",
            Self::Floats(_) => "float8[]",
            Self::Texts(_) => "text[]",
            Self::Bytes(_) => "bytea[]",
        }
    }

    fn parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Ints(v) => v,
            Self::Floats(v) => v,
            Self::Texts(v) => v,
            Self::Bytes(v) => v,
        }
    }
}

impl<'a> FromSql<'a> for Value<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *kind {
            Type::INT8 => Self::Int(i64::from_sql(kind, raw)?),
            Type::INT4 => Self::Int(i32::from_sql(kind, raw)?.into()),
            Type::INT2 => Self::Int(i16::from_sql(kind, raw)?.into()),
            Type::BOOL => Self::Int(bool::from_sql(kind, raw)?.into()),
            Type::FLOAT8 => Self::Float(f64::from_sql(kind, raw)?),
            Type::FLOAT4 => Self::Float(f32::from_sql(kind, raw)?.into()),
            Type::NUMERIC => whole_number(raw).map_or(Self::Bytes(raw), Self::Int),
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
                std::str::from_utf8(raw).map_or(Self::Bytes(raw), Self::Text)
            }
            _ => Self::Bytes(raw),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A `NUMERIC` without a fraction, which sums of integers are: digits of base 10,000.
fn whole_number(raw: &[u8]) -> Option<i64> {
    let word = |i: usize| raw.get(2 * i..2 * i + 2)?.try_into().ok().map(i16::from_be_bytes);
    let (digits, weight, sign) = (word(0)?, word(1)?, word(2)?);
    if digits > weight + 1 || !matches!(sign, 0 | 0x4000) {
        return None;
    }
    let mut number = 0_i64;
    for i in 0..=weight.max(-1) {
        let digit = if i < digits { word(4 + usize::try_from(i).ok()?)? } else { 0 };
        number = number.checked_mul(10_000)?.checked_add(digit.into())?;
    }
    Some(if sign == 0 { number } else { -number })
}

impl Row for postgres::Row {
    fn get(&self, column: usize) -> Value<'_> {
        self.try_get(column).unwrap_or(Value::Null)
    }
}

impl Postgres {
    /// Connects to a registry, or to where one is to be made.
    pub(super) fn open(address: &ServerAddress, read_only: bool) -> Result<Self, RegistryError> {
        let location = RegistryAddress::Postgres(address.clone()).to_string();
        let client = connect(address, &location)?;
        Ok(Self {
            client,
            address: address.clone(),
            location,
            timeout: BUSY_TIMEOUT,
            read_only,
            in_transaction: false,
            statements: HashMap::new(),
            kept: 0,
        })
    }

    /// The number of the lock of those who write.
    fn lock(&self) -> i64 {
        xxh3_64(format!("bunter registry {}", schema_of(&self.address)).as_bytes()).cast_signed()
    }

    fn prepared(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Statement, RegistryError> {
        let kinds: Vec<u8> = values.iter().map(|v| kind(*v).0).collect();
        if let Some((_, statement)) =
            self.statements.get(sql).and_then(|known| known.iter().find(|(types, _)| *types == kinds))
        {
            return Ok(statement.clone());
        }
        let own = in_own_words(sql, values);
        let statement = match self.client.prepare(&own) {
            Ok(statement) => statement,
            Err(error) => return Err(self.failure("ask", &error)),
        };
        if self.kept >= MAX_STATEMENTS {
            self.statements.clear();
            self.kept = 0;
        }
        self.kept += 1;
        self.statements.entry(sql.to_owned()).or_default().push((kinds, statement.clone()));
        Ok(statement)
    }

    fn failure(&mut self, doing: &str, error: &postgres::Error) -> RegistryError {
        let location = self.location.clone();
        let Some(said) = error.as_db_error() else {
            if error.is_closed() || self.client.is_closed() {
                return gone(location, error.to_string(), self.in_transaction);
            }
            return other(doing, &location, said_by(error));
        };
        let message = said.message().to_owned();
        match said.code() {
            c if *c == SqlState::LOCK_NOT_AVAILABLE => {
                let waited_s = self.timeout.as_secs_f64();
                RegistryError::Busy { holder: self.holder(), location, waited_s }
            }
            c if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(c) => {
                RegistryError::Contention { location, cause: message }
            }
            c if *c == SqlState::DISK_FULL => RegistryError::DiskFull { location },
            c if [SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::INSUFFICIENT_PRIVILEGE].contains(c) => {
                tracing::debug!("registry {location}: {message}");
                RegistryError::ReadOnly { location }
            }
            c if [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW].contains(c) => {
                gone(location, message, self.in_transaction)
            }
            _ => other(doing, &location, message),
        }
    }

    /// Who holds the lock that was waited for in vain.
    fn holder(&mut self) -> String {
        // A transaction that failed answers no question.
        self.in_transaction = true;
        self.rollback();
        let lock = self.lock();
        let sql = "SELECT a.application_name, a.usename::text, a.pid::int8,
                COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - a.xact_start), 0)::float8
             FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
             WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_database
                WHERE datname = current_database()) AND l.classid::int8 = $1 AND l.objid::int8 = $2";
        let (high, low) = (lock >> 32 & 0xffff_ffff, lock & 0xffff_ffff);
        match self.client.query_opt(sql, &[&high, &low]) {
            Ok(Some(row)) => {
                let name: String = row.try_get(0).unwrap_or_default();
                let user: String = row.try_get(1).unwrap_or_default();
                let pid: i64 = row.try_get(2).unwrap_or_default();
                let age: f64 = row.try_get(3).unwrap_or_default();
                let name = if name.is_empty() { "a program without a name".to_owned() } else { name };
                format!("held by {name} (user {user}, server process {pid}) for {age:.0} s")
            }
            _ => "whose holder has just let go".to_owned(),
        }
    }

    fn reconnect(&mut self) -> Result<(), RegistryError> {
        self.statements.clear();
        self.kept = 0;
        self.in_transaction = false;
        self.client = connect(&self.address, &self.location)?;
        Ok(())
    }

    fn start(&mut self, access: Access) -> Result<(), postgres::Error> {
        let sql = match access {
            Access::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned(),
            Access::Write => format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {}; SELECT pg_advisory_xact_lock({})",
                self.timeout.as_millis().clamp(1, 86_400_000),
                self.lock()
            ),
        };
        self.client.batch_execute(&sql)
    }
}

impl Database for Postgres {
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, RegistryError> {
        if values.iter().any(|v| matches!(v, Value::Text(text) if text.contains('\0'))) {
            return Err(RegistryError::Invalid {
                what: "a text".to_owned(),
                reason: "it has a NUL in it, which PostgreSQL does not take".to_owned(),
            });
        }
        let statement = self.prepared(sql, values)?;
        let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|v| v as &(dyn ToSql + Sync)).collect();
        self.client.execute(&statement, &parameters).map_err(|e| self.failure("write to", &e))
    }

    fn query(&mut self, sql: &str, values: &[Value<'_>], each: EachRow<'_>) -> Result<(), RegistryError> {
        let replaced: Vec<Value<'_>> = values
            .iter()
            .map(|v| match v {
                Value::Text(text) if text.contains('\0') => Value::Text(NO_TEXT),
                other => *other,
            })
            .collect();
        let statement = self.prepared(sql, &replaced)?;
        let parameters: Vec<&(dyn ToSql + Sync)> = replaced.iter().map(|v| v as &(dyn ToSql + Sync)).collect();
        let mut refused = None;
        let ask = || {
            let mut rows = self.client.query_raw(&statement, parameters)?;
            while let Some(row) = rows.next()? {
                if let Err(error) = each(&row) {
                    refused = Some(error);
                    break;
                }
            }
            Ok::<(), postgres::Error>(())
        };
        let asked = ask();
        if let Some(error) = refused {
            return Err(error.at(&self.location));
        }
        asked.map_err(|e| self.failure("read", &e))
    }

    fn insert_rows(&mut self, table: &str, columns: &[&str], values: &[Value<'_>]) -> Result<u64, RegistryError> {
        let width = columns.len().max(1);
        let many: Option<Vec<Many<'_>>> =
            (0..columns.len()).map(|c| Many::of(values.iter().skip(c).step_by(width).copied())).collect();
        let nul = values.iter().any(|v| matches!(v, Value::Text(text) if text.contains('\0')));
        let (Some(many), false) = (many, nul) else {
            // Row by row it is said what is wrong.
            let sql = self.insert_or_nothing(table, columns);
            return values.chunks(width).try_fold(0, |sum, row| Ok(sum + self.execute(&sql, row)?));
        };
        let names = super::schema::quoted(columns);
        let mut sql = format!("INSERT INTO \"{table}\" ({names}) SELECT * FROM unnest(");
        for (i, column) in many.iter().enumerate() {
            let _ = write!(sql, "{}${}::{}", if i == 0 { "" } else { ", " }, i + 1, column.kind());
        }
        sql.push_str(") ON CONFLICT DO NOTHING");
        let statement = self.prepared(&sql, &[])?;
        let parameters: Vec<_> = many.iter().map(Many::parameter).collect();
        self.client.execute(&statement, &parameters).map_err(|e| self.failure("write to", &e))
    }

    fn rows_at_once(&self) -> usize {
        2000
    }

    fn execute_script(&mut self, sql: &str) -> Result<(), RegistryError> {
        let own = with_own_types(sql);
        self.client.batch_execute(&own).map_err(|e| self.failure("write to", &e))
    }

    fn make_namespace(&mut self) -> Result<(), RegistryError> {
        let schema = schema_of(&self.address);
        self.execute_script(&format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\""))
    }

    fn has_table(&mut self, name: &str) -> Result<bool, RegistryError> {
        let mut found = false;
        let sql = "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = ?1 AND tablename = ?2";
        let schema = schema_of(&self.address);
        self.query(sql, &[Value::Text(&schema), Value::Text(name)], &mut |_| {
            found = true;
            Ok(())
        })?;
        Ok(found)
    }

    fn begin(&mut self, access: Access) -> Result<(), RegistryError> {
        if self.read_only && access == Access::Write {
            return Err(RegistryError::ReadOnly { location: self.location.clone() });
        }
        if self.client.is_closed() {
            self.reconnect()?;
        }
        let begun = match self.start(access) {
            // The server went away since the last transaction: nothing is lost yet.
            Err(error) if error.is_closed() || self.client.is_closed() => {
                self.reconnect()?;
                self.start(access)
            }
            other => other,
        };
        match begun {
            Ok(()) => {
                self.in_transaction = true;
                Ok(())
            }
            Err(error) => {
                let failure = self.failure("begin a transaction in", &error);
                // It may have begun and failed at the lock.
                self.in_transaction = true;
                self.rollback();
                Err(failure)
            }
        }
    }

    fn commit(&mut self) -> Result<(), RegistryError> {
        let done = self.client.batch_execute("COMMIT");
        let failure = done.err().map(|e| match self.failure("write to", &e) {
            RegistryError::ServerGone { location, cause, .. } => RegistryError::ServerGone {
                location,
                cause,
                outcome: "it may have been written or not; repeat, for what is there already is no error",
            },
            other => other,
        });
        self.in_transaction = false;
        failure.map_or(Ok(()), Err)
    }

    fn rollback(&mut self) {
        if self.in_transaction
            && !self.client.is_closed()
            && let Err(error) = self.client.batch_execute("ROLLBACK")
        {
            tracing::debug!("cannot roll back in registry {}: {error}", self.location);
        }
        self.in_transaction = false;
    }

    fn optimize(&mut self) {
        // The server's own housekeeping comes later; plans are needed now.
        let schema = schema_of(&self.address);
        let tables = "SELECT relname::text FROM pg_stat_user_tables WHERE schemaname = $1
             AND n_mod_since_analyze > 1000 AND n_mod_since_analyze > 0.1 * n_live_tup";
        let found = self.client.query(tables, &[&schema]).unwrap_or_default();
        for row in found {
            let name: String = row.try_get(0).unwrap_or_default();
            if let Err(error) = self.client.batch_execute(&format!("ANALYZE \"{}\"", name.replace('"', "\"\""))) {
                tracing::debug!("statistics of registry {} were not refreshed: {error}", self.location);
            }
        }
    }

    fn set_busy_timeout(&mut self, timeout: Duration) -> Result<(), RegistryError> {
        self.timeout = timeout;
        Ok(())
    }

    fn location(&self) -> &str {
        &self.location
    }

    fn serial(&self) -> &'static str {
        "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
    }

    fn clustered(&self) -> &'static str {
        ""
    }

    fn glob(&self, text: &str, pattern: &str) -> String {
        format!("{text} LIKE {pattern} ESCAPE '|'")
    }

    fn glob_pattern(&self, pattern: &str) -> String {
        like_pattern(pattern)
    }

    fn forget_on_change(&self, table: &str, source: &str, derived: &str, unknown: i64) -> String {
        let name = format!("{table}_{derived}_forget");
        format!(
            "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF TG_OP = 'INSERT' THEN
                     IF NEW.{source} IS NOT NULL AND NEW.{derived} IS NULL THEN NEW.{derived} := {unknown}; END IF;
                 ELSIF NEW.{source} IS DISTINCT FROM OLD.{source} AND NEW.{derived} IS NOT DISTINCT FROM OLD.{derived}
                 THEN NEW.{derived} := {unknown};
                 END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON \"{table}\" FOR EACH ROW EXECUTE FUNCTION {name}()"
        )
    }

    fn in_json_array(&self, value: &str, array: &str, texts: bool) -> String {
        let kind = if texts { "text" } else { "int8" };
        format!("{value} IN (SELECT j.value::{kind} FROM jsonb_array_elements_text({array}::jsonb) AS j (value))")
    }
}

fn schema_of(address: &ServerAddress) -> String {
    address.namespace.clone().unwrap_or_else(|| SCHEMA.to_owned())
}

fn connect(address: &ServerAddress, location: &str) -> Result<Client, RegistryError> {
    let user = address.user.clone().or_else(|| passwords::variable("PGUSER")).unwrap_or_else(passwords::login);
    let mut config = Config::new();
    match (&address.socket, &address.host) {
        (Some(folder), _) => config.host_path(folder),
        (None, Some(host)) => config.host(host),
        (None, None) => config.host("localhost"),
    };
    if let Some(port) = address.port {
        config.port(port);
    }
    if let Some(password) = passwords::postgres(address, &user) {
        config.password(password);
    }
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    config
        .user(&user)
        .dbname(&address.database)
        // Shown to whoever waits for this process.
        .application_name(&format!("bunter {}@{host}", std::process::id()))
        .connect_timeout(Duration::from_secs(10))
        .tcp_user_timeout(Duration::from_secs(60))
        .keepalives_idle(Duration::from_secs(60));
    let refused = |error: &postgres::Error| RegistryError::Connect {
        location: location.to_owned(),
        cause: said_by(error),
        hint: "see that the server runs there and lets this user in; passwords are looked for in PGPASSWORD, PGPASSFILE \
               and ~/.pgpass",
    };
    let mut client = config.connect(NoTls).map_err(|e| refused(&e))?;
    client
        .batch_execute(&format!("SET search_path TO \"{}\"; SET client_min_messages TO warning", schema_of(address)))
        .map_err(|e| refused(&e))?;
    Ok(client)
}

/// The text of an error with its causes, of which the outermost says little.
fn said_by(error: &postgres::Error) -> String {
    let mut text = error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned());
    let mut cause = std::error::Error::source(error).filter(|_| error.as_db_error().is_none());
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            let _ = write!(text, ": {more}");
        }
        cause = inner.source();
    }
    text
}

fn gone(location: String, cause: String, in_transaction: bool) -> RegistryError {
    let outcome = if in_transaction {
        "nothing of this step was written; repeat it when the server is back"
    } else {
        "repeat when it is back"
    };
    RegistryError::ServerGone { location, cause, outcome }
}

fn other(doing: &str, location: &str, said: String) -> RegistryError {
    RegistryError::Store { doing: format!("cannot {doing} registry {location}"), source: said.into() }
}

/// A number for the type of a value, and the type's name.
fn kind(value: Value<'_>) -> (u8, &'static str) {
    match value {
        Value::Null => (0, ""),
        Value::Int(_) => (1, "::int8"),
        Value::Float(_) => (2, "::float8"),
        Value::Text(_) => (3, "::text"),
        Value::Bytes(_) => (4, "::bytea"),
    }
}

/// A statement with `$1::int8` for `?1`, by the values that it gets.
fn in_own_words(sql: &str, values: &[Value<'_>]) -> String {
    let mut own = String::with_capacity(sql.len() + 8 * values.len());
    for token in tokens(sql) {
        match token {
            Token::Mark(n) => {
                let cast = n.checked_sub(1).and_then(|i| values.get(i)).map_or("", |v| kind(*v).1);
                let _ = write!(own, "${n}{cast}");
            }
            other => own.push_str(other.text()),
        }
    }
    own
}

/// A script with this database's types of columns.
fn with_own_types(sql: &str) -> String {
    let mut own = String::with_capacity(sql.len() * 5 / 4);
    for token in tokens(sql) {
        own.push_str(match token {
            Token::Word("INTEGER") => "BIGINT",
            Token::Word("BLOB") => "BYTEA",
            Token::Word("TEXT") => "TEXT COLLATE \"C\"",
            other => other.text(),
        });
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_in_own_words() {
        let sql = "SELECT '?1' FROM t WHERE a = ?2 AND \"b\" IN (?1, ?3)";
        let own = in_own_words(sql, &[Value::Text("x"), Value::Int(1), Value::Null]);
        assert_eq!(own, "SELECT '?1' FROM t WHERE a = $2::int8 AND \"b\" IN ($1::text, $3)");
        assert_eq!(with_own_types("a TEXT, \"TEXT\" BLOB"), "a TEXT COLLATE \"C\", \"TEXT\" BYTEA");
    }

    #[test]
    fn whole_numerics() {
        let raw = |words: &[i16]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>();
        assert_eq!(whole_number(&raw(&[0, 0, 0, 0])), Some(0));
        assert_eq!(whole_number(&raw(&[2, 1, 0, 0, 12, 3456])), Some(123_456));
        assert_eq!(whole_number(&raw(&[1, 1, 0x4000, 0, 12])), Some(-120_000));
        assert_eq!(whole_number(&raw(&[2, 0, 0, 1, 1, 5000])), None);
        assert_eq!(whole_number(&raw(&[6, 5, 0, 0, 9999, 9999, 9999, 9999, 9999, 9999])), None);
        assert_eq!(whole_number(b"x"), None);
    }
}
