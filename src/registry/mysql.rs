//! [`Mysql`]: the registry in tables of a `MariaDB` (10.6 or newer) or `MySQL` (8.0 or newer) database.
//!
//! * One writer at a time, by a named lock of the server that ends with its connection. Waiting for it is bounded, and says
//!   who holds it.
//! * Readers see one moment and wait for nobody.
//! * Texts have a binary collation without padding: they compare by bytes, blanks at the end included.
//! * Making a table ends a transaction there, so that a registry is whole only when its version is written, which comes last.
//! * References between tables are not declared: each would want an index of its own, and what is written is checked before,
//!   under the lock.
//! * A real number cannot be infinite there: the largest number stands for it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use mysql::consts::ColumnType;
use mysql::prelude::Queryable as _;
use mysql::{Conn, Error, OptsBuilder, Params, Statement};
use xxhash_rust::xxh3::xxh3_64;

use super::RegistryError;
use super::address::{RegistryAddress, ServerAddress};
use super::database::{Access, Database, EachRow, Row, Value};
use super::dialect::{Token, like_pattern, statements, tokens};
use super::passwords;

/// How long a writer waits for another before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(120);
/// Statements of more texts than this are forgotten all at once.
const MAX_STATEMENTS: usize = 500;
/// Bytes of the columns of a key, by the server's own limit, and of a sign.
const MAX_KEY: usize = 3072;
/// Signs of a text in a key, where there is room for so many.
const MAX_KEY_TEXT: usize = 383;

/// A connection to a `MariaDB` or `MySQL` database.
pub(super) struct Mysql {
    connection: Conn,
    address: ServerAddress,
    location: String,
    collation: &'static str,
    timeout: Duration,
    read_only: bool,
    /// The transaction that is open.
    open: Option<Access>,
    lost: bool,
    /// By text: the statement, and which value each of its marks stands for.
    statements: HashMap<String, (Statement, Vec<usize>)>,
}

fn out_value(value: Value<'_>) -> mysql::Value {
    match value {
        Value::Null => mysql::Value::NULL,
        Value::Int(v) => mysql::Value::Int(v),
        Value::Float(v) => mysql::Value::Double(v.clamp(f64::MIN, f64::MAX)),
        Value::Text(v) => mysql::Value::Bytes(v.as_bytes().to_vec()),
        Value::Bytes(v) => mysql::Value::Bytes(v.to_vec()),
    }
}

impl Row for mysql::Row {
    fn get(&self, column: usize) -> Value<'_> {
        let (Some(value), Some(about)) = (self.as_ref(column), self.columns_ref().get(column)) else {
            return Value::Null;
        };
        match value {
            mysql::Value::NULL | mysql::Value::Date(..) | mysql::Value::Time(..) => Value::Null,
            mysql::Value::Int(v) => Value::Int(*v),
            mysql::Value::UInt(v) => i64::try_from(*v).map_or(Value::Null, Value::Int),
            mysql::Value::Float(v) => Value::Float((*v).into()),
            mysql::Value::Double(v) if *v >= f64::MAX => Value::Float(f64::INFINITY),
            mysql::Value::Double(v) if *v <= f64::MIN => Value::Float(f64::NEG_INFINITY),
            mysql::Value::Double(v) => Value::Float(*v),
            mysql::Value::Bytes(bytes) => {
                let text = std::str::from_utf8(bytes);
                match (about.column_type(), text) {
                    // Sums of integers.
                    (ColumnType::MYSQL_TYPE_NEWDECIMAL | ColumnType::MYSQL_TYPE_DECIMAL, Ok(text)) => text
                        .parse()
                        .map(Value::Int)
                        .or_else(|_| text.parse().map(Value::Float))
                        .unwrap_or(Value::Bytes(bytes)),
                    // 63 is the character set of what is no text.
                    (_, Ok(text)) if about.character_set() != 63 => Value::Text(text),
                    _ => Value::Bytes(bytes),
                }
            }
        }
    }
}

impl Mysql {
    /// Connects to a registry, or to where one is to be made.
    pub(super) fn open(address: &ServerAddress, read_only: bool) -> Result<Self, RegistryError> {
        let location = RegistryAddress::Mysql(address.clone()).to_string();
        let (connection, collation) = connect(address, &location)?;
        Ok(Self {
            connection,
            address: address.clone(),
            location,
            collation,
            timeout: BUSY_TIMEOUT,
            read_only,
            open: None,
            lost: false,
            statements: HashMap::new(),
        })
    }

    fn prefix(&self) -> &str {
        self.address.namespace.as_deref().unwrap_or_default()
    }

    /// The name of the lock of those who write.
    fn lock(&self) -> String {
        let name = format!("{}/{}", self.address.database, self.prefix());
        format!("bunter.{:016x}", xxh3_64(name.as_bytes()))
    }

    fn prepared(&mut self, sql: &str) -> Result<(Statement, Vec<usize>), RegistryError> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        let (own, order) = in_own_words(sql, self.prefix());
        let statement = match self.connection.prep(&own) {
            Ok(statement) => statement,
            Err(error) => return Err(self.failure("ask", &error)),
        };
        if self.statements.len() >= MAX_STATEMENTS {
            for (_, (old, _)) in self.statements.drain() {
                let _ = self.connection.close(old);
            }
        }
        self.statements.insert(sql.to_owned(), (statement.clone(), order.clone()));
        Ok((statement, order))
    }

    fn failure(&mut self, doing: &str, error: &Error) -> RegistryError {
        let location = self.location.clone();
        let said = match error {
            Error::MySqlError(said) => said,
            Error::IoError(_) | Error::CodecError(_) | Error::DriverError(_) => {
                self.lost = true;
                let outcome = if self.open.is_some() {
                    "nothing of this step was written; repeat it when the server is back"
                } else {
                    "repeat when it is back"
                };
                return RegistryError::ServerGone { location, cause: error.to_string(), outcome };
            }
            other => {
                let doing = format!("cannot {doing} registry {location}");
                return RegistryError::Store { doing, source: other.to_string().into() };
            }
        };
        let cause = said.message.clone();
        match said.code {
            1205 => {
                let waited_s = self.timeout.as_secs_f64();
                RegistryError::Busy { holder: "on a row or table of it".to_owned(), location, waited_s }
            }
            1213 | 1020 => RegistryError::Contention { location, cause },
            1021 | 1114 => RegistryError::DiskFull { location },
            // The server's own words for a full disk: error 28 from the storage engine.
            1030 | 1026 if cause.contains("28") => RegistryError::DiskFull { location },
            1142 | 1290 | 1792 | 1836 => RegistryError::ReadOnly { location },
            1406 | 1366 => RegistryError::Invalid { what: "a value".to_owned(), reason: cause },
            1053 | 1927 | 1077 | 1079 => {
                self.lost = true;
                RegistryError::ServerGone { location, cause, outcome: "nothing of this step was written; repeat it" }
            }
            _ => RegistryError::Store { doing: format!("cannot {doing} registry {location}"), source: cause.into() },
        }
    }

    /// Who holds the lock that was waited for in vain.
    fn holder(&mut self) -> String {
        let lock = self.lock();
        let holder: Option<Option<u64>> =
            self.connection.exec_first("SELECT IS_USED_LOCK(?)", (lock,)).unwrap_or_default();
        let Some(id) = holder.flatten() else { return "whose holder has just let go".to_owned() };
        let sql = "SELECT USER, HOST FROM information_schema.PROCESSLIST WHERE ID = ?";
        let found: Option<(String, String)> = self.connection.exec_first(sql, (id,)).unwrap_or_default();
        match found {
            Some((user, host)) => format!("held by connection {id} of user {user} from {host}"),
            None => format!("held by connection {id} of another user"),
        }
    }

    fn reconnect(&mut self) -> Result<(), RegistryError> {
        self.statements.clear();
        self.open = None;
        (self.connection, self.collation) = connect(&self.address, &self.location)?;
        self.lost = false;
        Ok(())
    }

    fn start(&mut self, access: Access) -> Result<bool, Error> {
        if access == Access::Write {
            let lock = self.lock();
            let wait = self.timeout.as_secs_f64();
            let got: Option<Option<i64>> = self.connection.exec_first("SELECT GET_LOCK(?, ?)", (lock, wait))?;
            if got.flatten() != Some(1) {
                return Ok(false);
            }
        }
        self.connection.query_drop(start_of(access))?;
        Ok(true)
    }

    fn release(&mut self) {
        if self.open == Some(Access::Write) && !self.lost {
            let lock = self.lock();
            if let Err(error) = self.connection.exec_drop("DO RELEASE_LOCK(?)", (lock,)) {
                // Then the connection is no more, and the lock with it.
                self.lost = true;
                tracing::debug!("cannot let go of registry {}: {error}", self.location);
            }
        }
        self.open = None;
    }
}

fn start_of(access: Access) -> &'static str {
    match access {
        Access::Read => "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        Access::Write => "START TRANSACTION",
    }
}

impl Database for Mysql {
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, RegistryError> {
        if values.is_empty() && !sql.contains('?') {
            let (own, _) = in_own_words(sql, self.prefix());
            let done = self.connection.query_iter(own).map(|answer| answer.affected_rows());
            return done.map_err(|e| self.failure("write to", &e));
        }
        let (statement, order) = self.prepared(sql)?;
        let parameters = in_order(values, &order);
        let done = self.connection.exec_iter(&statement, parameters).map(|answer| answer.affected_rows());
        done.map_err(|e| self.failure("write to", &e))
    }

    fn query(&mut self, sql: &str, values: &[Value<'_>], each: EachRow<'_>) -> Result<(), RegistryError> {
        let (statement, order) = self.prepared(sql)?;
        let parameters = in_order(values, &order);
        let mut refused = None;
        let ask = || {
            let mut answer = self.connection.exec_iter(&statement, parameters)?;
            if let Some(rows) = answer.iter() {
                for row in rows {
                    if let Err(error) = each(&row?) {
                        refused = Some(error);
                        break;
                    }
                }
            }
            Ok::<(), Error>(())
        };
        let asked = ask();
        if let Some(error) = refused {
            return Err(error.at(&self.location));
        }
        asked.map_err(|e| self.failure("read", &e))
    }

    fn insert_rows(&mut self, table: &str, columns: &[&str], values: &[Value<'_>]) -> Result<u64, RegistryError> {
        let width = columns.len().max(1);
        let (mut inserted, mut rest) = (0, values);
        // Statements of few lengths, so that they are kept.
        let mut rows = self.rows_at_once();
        while !rest.is_empty() {
            while rows > 1 && rows * width > rest.len() {
                rows /= 2;
            }
            let (now, later) = rest.split_at_checked(rows * width).unwrap_or((rest, &[]));
            let names = super::schema::quoted(columns);
            let mut mark = 0;
            let marks: Vec<String> = (0..rows)
                .map(|_| {
                    let row: Vec<_> = columns
                        .iter()
                        .map(|_| {
                            mark += 1;
                            format!("?{mark}")
                        })
                        .collect();
                    format!("({})", row.join(", "))
                })
                .collect();
            let first = columns.first().copied().unwrap_or_default();
            let sql = format!(
                "INSERT INTO \"{table}\" ({names}) VALUES {} ON DUPLICATE KEY UPDATE \"{first}\" = \"{first}\"",
                marks.join(", ")
            );
            inserted += self.execute(&sql, now)?;
            rest = later;
        }
        Ok(inserted)
    }

    fn rows_at_once(&self) -> usize {
        1024
    }

    fn execute_script(&mut self, sql: &str) -> Result<(), RegistryError> {
        for statement in statements(sql) {
            let own = definition(statement, self.prefix(), self.collation);
            self.connection.query_drop(own).map_err(|e| self.failure("write to", &e))?;
        }
        // Changes of tables have ended the transaction.
        if let Some(access) = self.open {
            self.connection.query_drop(start_of(access)).map_err(|e| self.failure("write to", &e))?;
        }
        Ok(())
    }

    fn has_table(&mut self, name: &str) -> Result<bool, RegistryError> {
        let name = if self.prefix().is_empty() { name.to_owned() } else { format!("{}_{name}", self.prefix()) };
        let sql = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?";
        let count: Result<Option<u64>, Error> = self.connection.exec_first(sql, (name,));
        count.map(|n| n.is_some_and(|n| n > 0)).map_err(|e| self.failure("read", &e))
    }

    fn begin(&mut self, access: Access) -> Result<(), RegistryError> {
        if self.read_only && access == Access::Write {
            return Err(RegistryError::ReadOnly { location: self.location.clone() });
        }
        if self.lost {
            self.reconnect()?;
        }
        let begun = match self.start(access) {
            // The server went away since the last transaction: nothing is lost yet.
            Err(Error::IoError(_) | Error::CodecError(_) | Error::DriverError(_)) => {
                self.reconnect()?;
                self.start(access)
            }
            other => other,
        };
        match begun {
            Ok(true) => {
                self.open = Some(access);
                Ok(())
            }
            Ok(false) => Err(RegistryError::Busy {
                holder: self.holder(),
                location: self.location.clone(),
                waited_s: self.timeout.as_secs_f64(),
            }),
            Err(error) => Err(self.failure("begin a transaction in", &error)),
        }
    }

    fn commit(&mut self) -> Result<(), RegistryError> {
        let done = self.connection.query_drop("COMMIT");
        let failure = done.err().map(|e| match self.failure("write to", &e) {
            RegistryError::ServerGone { location, cause, .. } => RegistryError::ServerGone {
                location,
                cause,
                outcome: "it may have been written or not; repeat, for what is there already is no error",
            },
            other => other,
        });
        self.release();
        failure.map_or(Ok(()), Err)
    }

    fn rollback(&mut self) {
        if self.open.is_some()
            && !self.lost
            && let Err(error) = self.connection.query_drop("ROLLBACK")
        {
            self.lost = true;
            tracing::debug!("cannot roll back in registry {}: {error}", self.location);
        }
        self.release();
    }

    fn optimize(&mut self) {
        // The server samples its tables by itself as they grow, but not at once.
        let prefix = if self.prefix().is_empty() { String::new() } else { format!("{}_", self.prefix()) };
        let sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()
             AND TABLE_NAME IN (CONCAT(?, 'visit'), CONCAT(?, 'visit_detector')) OR TABLE_SCHEMA = DATABASE()
             AND TABLE_NAME LIKE CONCAT(REPLACE(?, '_', '|_'), 'dataset|_%') ESCAPE '|'";
        let found: Vec<String> =
            self.connection.exec(sql, (prefix.clone(), prefix.clone(), prefix)).unwrap_or_default();
        for name in found {
            let analyze = format!("ANALYZE TABLE \"{}\"", name.replace('"', "\"\""));
            if let Err(error) = self.connection.query_drop(analyze) {
                tracing::debug!("statistics of registry {} were not refreshed: {error}", self.location);
            }
        }
    }

    fn set_busy_timeout(&mut self, timeout: Duration) -> Result<(), RegistryError> {
        self.timeout = timeout.min(Duration::from_secs(24 * 3600));
        Ok(())
    }

    fn location(&self) -> &str {
        &self.location
    }

    fn insert_or_nothing(&self, table: &str, columns: &[&str]) -> String {
        let (names, marks) = super::database::names_and_marks(columns);
        // `INSERT IGNORE` would pass over every other error as well.
        let first = columns.first().copied().unwrap_or_default();
        format!("INSERT INTO \"{table}\" ({names}) VALUES ({marks}) ON DUPLICATE KEY UPDATE \"{first}\" = \"{first}\"")
    }

    fn differs(&self, a: &str, b: &str) -> String {
        format!("(NOT ({a} <=> {b}))")
    }

    fn serial(&self) -> &'static str {
        "BIGINT AUTO_INCREMENT PRIMARY KEY"
    }

    fn clustered(&self) -> &'static str {
        // Every table is.
        ""
    }

    fn glob(&self, text: &str, pattern: &str) -> String {
        format!("{text} LIKE {pattern} ESCAPE '|'")
    }

    fn glob_pattern(&self, pattern: &str) -> String {
        like_pattern(pattern)
    }

    fn forget_on_change(&self, table: &str, source: &str, derived: &str, unknown: i64) -> String {
        format!(
            "CREATE TRIGGER {table}_{derived}_update BEFORE UPDATE ON \"{table}\" FOR EACH ROW
             SET NEW.{derived} = CASE WHEN NOT (NEW.{source} <=> OLD.{source}) AND NEW.{derived} <=> OLD.{derived}
                 THEN {unknown} ELSE NEW.{derived} END;
             CREATE TRIGGER {table}_{derived}_insert BEFORE INSERT ON \"{table}\" FOR EACH ROW
             SET NEW.{derived} = CASE WHEN NEW.{source} IS NOT NULL AND NEW.{derived} IS NULL
                 THEN {unknown} ELSE NEW.{derived} END"
        )
    }

    fn in_json_array(&self, value: &str, array: &str, texts: bool) -> String {
        let (kind, collate) = if texts {
            ("VARCHAR(1000) CHARACTER SET utf8mb4", format!(" COLLATE {}", self.collation))
        } else {
            ("BIGINT", String::new())
        };
        format!("{value} IN (SELECT j.v{collate} FROM JSON_TABLE({array}, '$[*]' COLUMNS (v {kind} PATH '$')) AS j)")
    }
}

fn connect(address: &ServerAddress, location: &str) -> Result<(Conn, &'static str), RegistryError> {
    let (user, password) = passwords::mysql(address);
    let host = address.host.clone().unwrap_or_else(|| "localhost".to_owned());
    let options = OptsBuilder::new()
        .user(Some(user.unwrap_or_else(passwords::login)))
        .pass(password)
        .db_name(Some(&address.database))
        .ip_or_hostname(Some(host))
        .tcp_port(address.port.unwrap_or(3306))
        .socket(address.socket.clone())
        .prefer_socket(address.socket.is_some())
        .tcp_connect_timeout(Some(Duration::from_secs(10)))
        .tcp_keepalive_time_ms(Some(60_000))
        // Statements are kept here, by the text before it is turned into the server's own.
        .stmt_cache_size(Some(0));
    let refused = |error: Error| RegistryError::Connect {
        location: location.to_owned(),
        cause: error.to_string(),
        hint: "see that the server runs there, that the database exists, and that this user is let in; passwords are \
               looked for in MYSQL_PWD and ~/.my.cnf",
    };
    let mut connection = Conn::new(options).map_err(refused)?;
    let version: Option<String> = connection.query_first("SELECT VERSION()").map_err(refused)?;
    let collation =
        if version.is_some_and(|v| v.contains("MariaDB")) { "utf8mb4_nopad_bin" } else { "utf8mb4_0900_bin" };
    connection
        .query_drop(format!("SET NAMES utf8mb4 COLLATE {collation}"))
        .and_then(|()| {
            connection.query_drop(
                "SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,STRICT_ALL_TABLES,\
                 NO_ENGINE_SUBSTITUTION,NO_ZERO_DATE', SESSION transaction_isolation = 'REPEATABLE-READ',
                 SESSION innodb_lock_wait_timeout = 60, SESSION lock_wait_timeout = 60",
            )
        })
        .or_else(|_| {
            // Older servers have the isolation under its older name.
            connection.query_drop(
                "SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,STRICT_ALL_TABLES,\
                 NO_ENGINE_SUBSTITUTION', SESSION tx_isolation = 'REPEATABLE-READ',
                 SESSION innodb_lock_wait_timeout = 60, SESSION lock_wait_timeout = 60",
            )
        })
        .map_err(refused)?;
    Ok((connection, collation))
}

fn in_order(values: &[Value<'_>], order: &[usize]) -> Params {
    if order.is_empty() {
        return Params::Empty;
    }
    let value = |n: &usize| n.checked_sub(1).and_then(|i| values.get(i)).copied().map_or(mysql::Value::NULL, out_value);
    Params::Positional(order.iter().map(value).collect())
}

/// A statement with `?` for `?1`, and which value each stands for; names of tables with the prefix.
fn in_own_words(sql: &str, prefix: &str) -> (String, Vec<usize>) {
    let mut order = Vec::new();
    let mut own = String::with_capacity(sql.len() + 32);
    for token in prefixed(tokens(sql), prefix) {
        match token {
            Piece::Token(Token::Mark(n)) => {
                order.push(n);
                own.push('?');
            }
            Piece::Token(token) => own.push_str(token.text()),
            Piece::Made(text) => own.push_str(&text),
        }
    }
    (own, order)
}

enum Piece<'a> {
    Token(Token<'a>),
    Made(String),
}

/// Puts the prefix before the names of tables: what follows `FROM`, `JOIN`, `INTO`, `UPDATE`, `TABLE` and, where something is
/// made, `ON` and `TRIGGER`. In a `SELECT` the table keeps its own name for the columns.
fn prefixed<'a>(tokens: Vec<Token<'a>>, prefix: &str) -> Vec<Piece<'a>> {
    if prefix.is_empty() {
        return tokens.into_iter().map(Piece::Token).collect();
    }
    let makes = tokens.iter().find(|t| !t.is_blank()).is_some_and(|t| t.is("CREATE"));
    let deletes = tokens.iter().find(|t| !t.is_blank()).is_some_and(|t| t.is("DELETE"));
    let mut pieces = Vec::with_capacity(tokens.len() + 8);
    let (mut expected, mut aliased, mut before) = (false, false, None::<Token<'a>>);
    for (i, token) in tokens.iter().enumerate() {
        let token = *token;
        if token.is_blank() {
            pieces.push(Piece::Token(token));
            continue;
        }
        if expected && !["IF", "NOT", "EXISTS", "OF", "OR"].iter().any(|word| token.is(word)) {
            expected = false;
            let mut next = tokens.iter().skip(i + 1).filter(|t| !t.is_blank());
            let (next, second) = (next.next(), next.next());
            let calls = next == Some(&Token::Other("(")) && before.is_some_and(|b| b.is("FROM") || b.is("JOIN"));
            if let (Some(name), false) = (token.name(), calls) {
                pieces.push(Piece::Made(format!("\"{prefix}_{name}\"")));
                let own_alias = next.is_some_and(|t| t.is("AS")) && second.is_some();
                if aliased && !own_alias {
                    pieces.push(Piece::Made(format!(" AS \"{name}\"")));
                }
                before = Some(token);
                continue;
            }
        }
        let follows_key = before.is_some_and(|b| b.is("KEY") || b.is("BEFORE") || b.is("AFTER") || b.is("OR"));
        let select = token.is("FROM") || token.is("JOIN");
        if select
            || token.is("INTO")
            || token.is("TABLE")
            || (token.is("UPDATE") && !follows_key)
            || (makes && (token.is("ON") || token.is("TRIGGER")))
        {
            expected = true;
            aliased = select && !deletes;
        }
        pieces.push(Piece::Token(token));
        before = Some(token);
    }
    pieces
}

/// A statement that makes or changes a table, in this database's types.
fn definition(sql: &str, prefix: &str, collation: &str) -> String {
    let words = tokens(sql);
    let makes_table = words.iter().filter(|t| !t.is_blank()).take(2).map(|t| t.text()).eq(["CREATE", "TABLE"]);
    let own = if makes_table { table(&words) } else { changed(&words) };
    let (own, _) = in_own_words(&own, prefix);
    if makes_table {
        format!("{own} ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE {collation}")
    } else {
        own
    }
}

/// The types of columns that are added.
fn changed(words: &[Token<'_>]) -> String {
    words
        .iter()
        .map(|t| match *t {
            Token::Word("INTEGER") => "BIGINT",
            Token::Word("BLOB") => "LONGBLOB",
            Token::Word("TEXT") => "LONGTEXT",
            other => other.text(),
        })
        .collect()
}

fn first<'a>(item: &[Token<'a>]) -> Option<Token<'a>> {
    item.iter().find(|t| !t.is_blank()).copied()
}

/// `CREATE TABLE` with types that keys may be of, and without references.
fn table(words: &[Token<'_>]) -> String {
    let Some(start) = words.iter().position(|t| *t == Token::Other("(")) else { return changed(words) };
    let Some(end) = words.iter().rposition(|t| *t == Token::Other(")")) else { return changed(words) };
    let (head, body) = (words.get(..=start).unwrap_or_default(), words.get(start + 1..end).unwrap_or_default());
    let (mut items, mut depth) = (vec![Vec::new()], 0_i32);
    for token in body {
        match token {
            Token::Other("(") => depth += 1,
            Token::Other(")") => depth -= 1,
            Token::Other(",") if depth == 0 => {
                items.push(Vec::new());
                continue;
            }
            _ => {}
        }
        if let Some(item) = items.last_mut() {
            item.push(*token);
        }
    }
    let is_key = |item: &[Token<'_>]| first(item).is_some_and(|t| t.is("PRIMARY") || t.is("UNIQUE"));
    let names = |item: &[Token<'_>]| -> Vec<String> {
        let inside = item.iter().skip_while(|t| **t != Token::Other("("));
        inside.filter_map(|t| t.name()).map(str::to_owned).collect()
    };
    let keys: Vec<Vec<String>> = items.iter().filter(|item| is_key(item)).map(|item| names(item)).collect();
    let kind = |name: &str| {
        let item = items.iter().find(|item| first(item).and_then(Token::name) == Some(name));
        item.and_then(|item| item.iter().filter(|t| !t.is_blank()).nth(1)).copied()
    };
    // The widest texts that fit into all keys.
    let width = keys.iter().filter_map(|key| {
        let texts = key.iter().filter(|name| kind(name).is_some_and(|k| k.is("TEXT"))).count();
        let others = key.len() - texts;
        (MAX_KEY.saturating_sub(64 * others)).checked_div(4 * texts)
    });
    let width = width.min().unwrap_or(MAX_KEY_TEXT).min(MAX_KEY_TEXT);
    let mut lines = Vec::new();
    for item in &items {
        let Some(name) = first(item) else { continue };
        if name.is("FOREIGN") {
            continue;
        }
        if is_key(item) {
            lines.push(item.iter().map(|t| t.text()).collect::<String>());
            continue;
        }
        let own = item.iter().any(|t| t.is("UNIQUE") || t.is("PRIMARY"));
        let in_key = own || keys.iter().flatten().any(|key| Some(key.as_str()) == name.name());
        let mut line = String::new();
        for token in item {
            match *token {
                // The rest is the table and the column that it refers to.
                Token::Word("REFERENCES") => break,
                Token::Word("INTEGER") => line.push_str("BIGINT"),
                Token::Word("TEXT") if in_key => {
                    let _ = write!(line, "VARCHAR({width})");
                }
                Token::Word("TEXT") => line.push_str("LONGTEXT"),
                Token::Word("BLOB") if in_key => line.push_str("VARBINARY(64)"),
                Token::Word("BLOB") => line.push_str("LONGBLOB"),
                other => line.push_str(other.text()),
            }
        }
        lines.push(line);
    }
    let head: String = head.iter().map(|t| t.text()).collect();
    format!("{head}{})", lines.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_prefixes() {
        let (own, order) = in_own_words("UPDATE t SET a = ?2, b = '?1' WHERE c = ?1 AND d = ?2", "");
        assert_eq!((own.as_str(), order), ("UPDATE t SET a = ?, b = '?1' WHERE c = ? AND d = ?", vec![2, 1, 2]));
        for (sql, own) in [
            ("SELECT a FROM t WHERE t.x = 1", "SELECT a FROM \"p_t\" AS \"t\" WHERE t.x = 1"),
            (
                "SELECT a FROM \"t\" AS \"d\" JOIN u AS v ON d.x = v.y",
                "SELECT a FROM \"p_t\" AS \"d\" JOIN \"p_u\" AS v ON d.x = v.y",
            ),
            ("SELECT a FROM (SELECT b FROM t) AS x", "SELECT a FROM (SELECT b FROM \"p_t\" AS \"t\") AS x"),
            ("DELETE FROM t WHERE a = 1", "DELETE FROM \"p_t\" WHERE a = 1"),
            (
                "INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = a",
                "INSERT INTO \"p_t\" (a) VALUES (1) ON DUPLICATE KEY UPDATE a = a",
            ),
            ("UPDATE t SET a = 1", "UPDATE \"p_t\" SET a = 1"),
            ("CREATE INDEX i ON \"t\" (a)", "CREATE INDEX i ON \"p_t\" (a)"),
            (
                "CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW SET NEW.a = 1",
                "CREATE TRIGGER \"p_g\" BEFORE UPDATE ON \"p_t\" FOR EACH ROW SET NEW.a = 1",
            ),
            ("DROP TABLE IF EXISTS t", "DROP TABLE IF EXISTS \"p_t\""),
            ("SELECT 1 FROM JSON_TABLE(x)", "SELECT 1 FROM JSON_TABLE(x)"),
        ] {
            assert_eq!(in_own_words(sql, "p").0, own);
        }
    }

    #[test]
    fn tables_have_keys_that_fit() {
        let sql =
            "CREATE TABLE t (a TEXT NOT NULL, b INTEGER NOT NULL REFERENCES u (id), c TEXT, d BLOB NOT NULL UNIQUE,
            PRIMARY KEY (a, b), FOREIGN KEY (a) REFERENCES u (a))";
        let own = definition(sql, "", "x");
        assert!(own.contains("a VARCHAR(383) NOT NULL, b BIGINT NOT NULL , c LONGTEXT, d VARBINARY(64)"), "{own}");
        assert!(own.contains("PRIMARY KEY (a, b))") && !own.contains("FOREIGN"), "{own}");
        let four = "CREATE TABLE t (a TEXT, b TEXT, c TEXT, d TEXT, e INTEGER, UNIQUE (a, b, c, d, e))";
        assert!(definition(four, "", "x").contains("a VARCHAR(188)"), "{}", definition(four, "", "x"));
    }
}
