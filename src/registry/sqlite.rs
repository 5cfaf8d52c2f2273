//! [`Sqlite`]: the registry in one file.
//!
//! * Journal: write-ahead log, so that readers never wait for a writer. It wants shared memory among all processes, which
//!   network file systems do not give: there the rollback journal is used, and readers and writers wait for each other.
//! * A write that returned survives a power cut. With the write-ahead log the commit itself only appends to the log
//!   (`synchronous = NORMAL`); the lock is let go, and then the log is synced by the file system's own call, so that many
//!   processes wait for the disk side by side and share what it does, instead of one after the other under the lock. Others
//!   may see rows some milliseconds before they are safe from a power cut, as nothing that comes later in the log can outlive
//!   them: what was made of them goes with them. With the rollback journal, on network file systems, it is
//!   `synchronous = FULL` as ever.
//! * `foreign_keys = ON`; a writer takes the lock when it begins, so that waiting cannot end in a deadlock. Who waits asks
//!   often, and the more often the longer it has waited, so that nobody waits for ever beside others that come and go.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};

use super::RegistryError;
use super::database::{Access, Database, EachRow, Row, Value};
use super::lock_holder::lock_holder;

/// How long a writer waits for another before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(120);

thread_local! {
    /// How long the call under way may wait for others, and since when it does. The database asks a plain function.
    static PATIENCE: Cell<(Duration, Option<Instant>)> = const { Cell::new((Duration::ZERO, None)) };
}

/// Waits a little for whoever has the lock; false when that was long enough.
fn wait(times: i32) -> bool {
    let (timeout, since) = PATIENCE.get();
    let since = since.filter(|_| times > 0).unwrap_or_else(Instant::now);
    PATIENCE.set((timeout, Some(since)));
    let waited = since.elapsed();
    if waited >= timeout {
        return false;
    }
    // A write of one row takes less than a millisecond; after some seconds it is a long one that is waited for.
    let pause = match waited.as_millis() {
        0..2 => 50,
        2..50 => 500,
        50..3000 => 150,
        _ => 5000,
    };
    std::thread::sleep(Duration::from_micros(pause).min(timeout.saturating_sub(waited)));
    true
}

/// A connection to an `SQLite` file.
pub(super) struct Sqlite {
    connection: Connection,
    path: PathBuf,
    location: String,
    timeout: Duration,
    /// The write-ahead log, opened when there was first something to sync, with its inode; none without such a log.
    log: Option<(File, u64)>,
    /// Whether a commit does not sync by itself.
    syncs_later: bool,
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Int(v) => ValueRef::Integer(v),
            Self::Float(v) => ValueRef::Real(v),
            Self::Text(s) => ValueRef::Text(s.as_bytes()),
            Self::Bytes(b) => ValueRef::Blob(b),
        }))
    }
}

impl Row for rusqlite::Row<'_> {
    fn get(&self, column: usize) -> Value<'_> {
        match self.get_ref(column) {
            Ok(ValueRef::Integer(v)) => Value::Int(v),
            Ok(ValueRef::Real(v)) => Value::Float(v),
            // What is not UTF-8 was not written by us: bytes where a text should be are refused further up.
            Ok(ValueRef::Text(t)) => std::str::from_utf8(t).map_or(Value::Bytes(t), Value::Text),
            Ok(ValueRef::Blob(b)) => Value::Bytes(b),
            Ok(ValueRef::Null) | Err(_) => Value::Null,
        }
    }
}

impl Sqlite {
    /// A database that lives as long as the connection.
    pub(super) fn in_memory() -> Result<Self, RegistryError> {
        let connection = Connection::open_in_memory().map_err(|e| store("cannot open a registry in memory", e))?;
        Self::prepare(connection, PathBuf::from(":memory:"))
    }

    /// An existing file.
    pub(super) fn open(path: &Path, read_only: bool) -> Result<Self, RegistryError> {
        // `SQLite` would say "unable to open database file" to all of these.
        let metadata =
            std::fs::metadata(path).map_err(|e| store(&format!("cannot open registry {}", path.display()), e))?;
        if metadata.is_dir() {
            return Err(RegistryError::Damaged {
                location: path.display().to_string(),
                what: "it is a folder".to_owned(),
            });
        }
        let access = if read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
        let open = |name: &Path, flags| {
            Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                .map_err(|e| store(&format!("cannot open registry {}", path.display()), e))
        };
        let connection = open(path, access)?;
        if read_only
            && connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).is_err_and(|e| cannot_log(&e))
        {
            // A write-ahead log wants files beside the database even for reading. In a folder that is read-only, and without
            // a log that holds newer rows, the file can be taken for what nobody changes.
            let log = std::fs::metadata(log_path(path)).map_or(0, |m| m.len());
            if log == 0 {
                let uri = immutable_uri(path);
                return Self::prepare(open(Path::new(&uri), access | OpenFlags::SQLITE_OPEN_URI)?, path.to_path_buf());
            }
        }
        Self::prepare(connection, path.to_path_buf())
    }

    fn prepare(connection: Connection, path: PathBuf) -> Result<Self, RegistryError> {
        connection.set_prepared_statement_cache_capacity(128);
        let location = path.display().to_string();
        let mut database = Self { connection, path, location, timeout: BUSY_TIMEOUT, log: None, syncs_later: false };
        database.set_busy_timeout(BUSY_TIMEOUT)?;
        // Statistics are taken from a sample, so that refreshing them is quick on any size.
        database.execute_script(
            "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -65536; PRAGMA mmap_size = 268435456; PRAGMA analysis_limit = 1000;
             PRAGMA trusted_schema = OFF;",
        )?;
        database.sync_as_the_journal_wants()?;
        Ok(database)
    }

    /// Leaves the syncing of commits to [`Database::make_durable`] where there is a write-ahead log.
    fn sync_as_the_journal_wants(&mut self) -> Result<(), RegistryError> {
        let mut mode = String::new();
        self.query("PRAGMA journal_mode", &[], &mut |row| {
            mode.push_str(row.text(0)?);
            Ok(())
        })?;
        self.syncs_later = mode == "wal";
        if self.syncs_later { self.execute_script("PRAGMA synchronous = NORMAL") } else { Ok(()) }
    }

    /// Syncs the write-ahead log. What a checkpoint has already taken out of it, the checkpoint has synced.
    fn sync_log(&mut self) -> std::io::Result<()> {
        let path = log_path(&self.path);
        // While this connection is open, the log keeps its file; but it may not have been there when it opened.
        let (file, _) = match self.log.take() {
            Some(log) if std::fs::metadata(&path).is_ok_and(|m| m.ino() == log.1) => self.log.insert(log),
            _ => match File::open(&path) {
                Ok(file) => {
                    let inode = file.metadata()?.ino();
                    self.log.insert((file, inode))
                }
                // Another process has emptied and removed it, and synced the database before.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            },
        };
        file.sync_data()
    }

    /// Chooses the journal that the file system can bear. Kept in the file.
    pub(super) fn choose_journal(&mut self) -> Result<(), RegistryError> {
        let mode = if on_network(&self.path) { "DELETE" } else { "WAL" };
        self.query(&format!("PRAGMA journal_mode = {mode}"), &[], &mut |_| Ok(()))?;
        self.sync_as_the_journal_wants()
    }

    fn failure(&self, doing: &str, error: rusqlite::Error) -> RegistryError {
        let location = self.location.clone();
        let Some(code) = error.sqlite_error_code() else {
            return store(&format!("cannot {doing} registry {location}"), error);
        };
        match code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                RegistryError::Busy { holder: lock_holder(&self.path), location, waited_s: self.timeout.as_secs_f64() }
            }
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => RegistryError::ReadOnly { location },
            ErrorCode::DiskFull => RegistryError::DiskFull { location },
            ErrorCode::NotADatabase => {
                RegistryError::Damaged { location, what: "it is not an SQLite database".to_owned() }
            }
            ErrorCode::DatabaseCorrupt => RegistryError::Damaged {
                what: format!("{error}; see `sqlite3 FILE .recover`, or restore a copy"),
                location,
            },
            _ => store(&format!("cannot {doing} registry {location}"), error),
        }
    }
}

impl Database for Sqlite {
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, RegistryError> {
        PATIENCE.set((self.timeout, None));
        let run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            for (i, value) in values.iter().enumerate() {
                statement.raw_bind_parameter(i + 1, value)?;
            }
            statement.raw_execute()
        };
        run().map(|n| n as u64).map_err(|e| self.failure("write to", e))
    }

    fn query(&mut self, sql: &str, values: &[Value<'_>], each: EachRow<'_>) -> Result<(), RegistryError> {
        PATIENCE.set((self.timeout, None));
        let fail = |e| self.failure("read", e);
        let mut statement = self.connection.prepare_cached(sql).map_err(fail)?;
        for (i, value) in values.iter().enumerate() {
            statement.raw_bind_parameter(i + 1, value).map_err(fail)?;
        }
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(fail)? {
            each(row).map_err(|e| e.at(&self.location))?;
        }
        Ok(())
    }

    fn execute_script(&mut self, sql: &str) -> Result<(), RegistryError> {
        PATIENCE.set((self.timeout, None));
        self.connection.execute_batch(sql).map_err(|e| self.failure("write to", e))
    }

    fn has_table(&mut self, name: &str) -> Result<bool, RegistryError> {
        let mut found = false;
        let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        self.query(sql, &[Value::Text(name)], &mut |_| {
            found = true;
            Ok(())
        })?;
        Ok(found)
    }

    fn begin(&mut self, access: Access) -> Result<(), RegistryError> {
        let begun = self.execute(
            match access {
                Access::Read => "BEGIN",
                Access::Write => "BEGIN IMMEDIATE",
            },
            &[],
        );
        begun.map(drop)
    }

    fn commit(&mut self) -> Result<(), RegistryError> {
        self.execute("COMMIT", &[]).map(drop)
    }

    fn make_durable(&mut self) -> Result<(), RegistryError> {
        if !self.syncs_later {
            return Ok(());
        }
        self.sync_log().map_err(|e| match e.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                RegistryError::DiskFull { location: self.location.clone() }
            }
            _ => store(&format!("cannot make durable what was written to registry {}", self.location), e),
        })
    }

    fn rollback(&mut self) {
        // Some failures (a full disk) have rolled back already.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::warn!("cannot roll back in registry {}: {error}", self.location);
        }
    }

    fn optimize(&mut self) {
        // Nobody waits for statistics: if another process is writing, that one will refresh them.
        PATIENCE.set((Duration::ZERO, None));
        if self.connection.execute_batch("PRAGMA optimize = 0x10002").is_err() {
            tracing::debug!("statistics of registry {} were not refreshed", self.location);
        }
    }

    fn set_busy_timeout(&mut self, timeout: Duration) -> Result<(), RegistryError> {
        self.timeout = timeout.min(Duration::from_secs(24 * 3600));
        self.connection.busy_handler(Some(wait)).map_err(|e| self.failure("open", e))
    }

    fn location(&self) -> &str {
        &self.location
    }

    fn serial(&self) -> &'static str {
        "INTEGER PRIMARY KEY"
    }

    fn clustered(&self) -> &'static str {
        " WITHOUT ROWID"
    }

    fn glob(&self, text: &str, pattern: &str) -> String {
        format!("{text} GLOB {pattern}")
    }

    fn glob_pattern(&self, pattern: &str) -> String {
        // `SQLite` knows sets of characters too, which are not ours.
        pattern.replace('[', "[[]")
    }

    fn forget_on_change(&self, table: &str, source: &str, derived: &str, unknown: i64) -> String {
        let forget = format!("UPDATE \"{table}\" SET {derived} = {unknown} WHERE rowid = NEW.rowid");
        format!(
            "CREATE TRIGGER {table}_{derived}_update AFTER UPDATE OF {source} ON \"{table}\"
             WHEN NEW.{source} IS NOT OLD.{source} AND NEW.{derived} IS OLD.{derived} AND NEW.{derived} IS NOT {unknown}
             BEGIN {forget}; END;
             CREATE TRIGGER {table}_{derived}_insert AFTER INSERT ON \"{table}\"
             WHEN NEW.{source} IS NOT NULL AND NEW.{derived} IS NULL
             BEGIN {forget}; END;"
        )
    }

    fn in_json_array(&self, value: &str, array: &str, _: bool) -> String {
        format!("{value} IN (SELECT value FROM json_each({array}))")
    }
}

fn store(doing: &str, source: impl std::error::Error + Send + Sync + 'static) -> RegistryError {
    RegistryError::Store { doing: doing.to_owned(), source: Box::new(source) }
}

/// Whether a read failed because the files of a write-ahead log could not be made.
fn cannot_log(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// The write-ahead log of a database.
fn log_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

fn immutable_uri(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push_str("?immutable=1");
    uri
}

/// Whether a path is on a file system that several machines share. Unknown file systems count as local.
fn on_network(path: &Path) -> bool {
    // NFS, Lustre, GPFS, CephFS, BeeGFS, SMB, CIFS, AFS, Coda, FUSE (sshfs and the like), Panasas.
    const NETWORK: [u64; 12] = [
        0x6969,
        0x0bd0_0bd0,
        0x4750_4653,
        0x00c3_6400,
        0x1983_0326,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x5346_414f,
        0x7375_7245,
        0x6573_5546,
        0xaad7_aaea,
    ];
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    rustix::fs::statfs(folder).is_ok_and(|s| NETWORK.contains(&(s.f_type as u64 & 0xffff_ffff)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_survive_a_uri() {
        assert_eq!(immutable_uri(Path::new("/a b/c?d#é%.db")), "file:/a%20b/c%3Fd%23%C3%A9%25.db?immutable=1");
    }

    #[test]
    fn patterns_have_no_sets() {
        let mut database = Sqlite::in_memory().unwrap();
        let pattern = database.glob_pattern("a[b]*");
        let sql = format!("SELECT {}", database.glob("?1", "?2"));
        let mut matches = |text: &str| {
            let mut answer = 0;
            database
                .query(&sql, &[Value::Text(text), Value::Text(&pattern)], &mut |row| {
                    answer = row.int(0)?;
                    Ok(())
                })
                .unwrap();
            answer == 1
        };
        assert!(matches("a[b]c"));
        assert!(!matches("abc"));
        assert!(!matches("A[b]c"));
    }
}
