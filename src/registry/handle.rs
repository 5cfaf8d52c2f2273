//! [`Registry`]: opening, and transactions.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::address::RegistryAddress;
use super::database::{Access, Database};
#[cfg(feature = "mysql")]
use super::mysql::Mysql;
#[cfg(feature = "postgres")]
use super::postgres::Postgres;
use super::schema::Migration;
use super::sqlite::Sqlite;
use super::{RegistryError, schema};

/// What exists: dimension records, collections, dataset types, datasets and where their bytes are, quanta.
///
/// One connection to an SQL database. Every method that writes is one transaction: when it returns `Ok` all is durable, when
/// it returns an error, or the process is killed, nothing is. Writers of several processes wait for each other
/// ([`Registry::set_busy_timeout`]); readers wait for nobody. Everything may be called from several threads, one at a time.
///
/// Behind it is `SQLite`, `PostgreSQL`, or `MariaDB` and `MySQL` ([`RegistryAddress`]), which behave alike.
///
/// Writing what is there already is fine and counted ([`Inserted::existing`]); writing something else under the same name is
/// [`RegistryError::Conflict`], and what was there stays.
///
/// ```
/// use bunter::{Registry, RegistryReader};
///
/// let registry = Registry::in_memory()?;
/// registry.register_run("HSC/runs/w30")?;
/// registry.set_collection_chain("HSC/defaults", &["HSC/runs/w30"])?;
/// let error = registry.register_run("HSC/defaults").unwrap_err();
/// assert_eq!(error.to_string(), "collection `HSC/defaults` is CHAINED, not RUN");
/// assert_eq!(registry.collections()?.len(), 2);
/// # Ok::<(), bunter::RegistryError>(())
/// ```
pub struct Registry {
    database: Mutex<Box<dyn Database>>,
    location: String,
    /// To connect once more; none for a registry in memory.
    address: Option<RegistryAddress>,
    /// Whether a transaction for reading is open as long as this lives.
    one_moment: bool,
    /// Who writes.
    user: String,
    /// Rows written since statistics were refreshed.
    written: AtomicUsize,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("location", &self.location).finish_non_exhaustive()
    }
}

/// How many things were written, and how many were there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inserted {
    /// Written now.
    pub new: usize,
    /// There before, and the same.
    pub existing: usize,
}

impl Inserted {
    pub(super) fn count(&mut self, is_new: bool) {
        if is_new {
            self.new += 1;
        } else {
            self.existing += 1;
        }
    }
}

impl Registry {
    /// Makes a registry in a new `SQLite` file. The file appears whole or not at all.
    ///
    /// # Errors
    /// [`RegistryError::AlreadyExists`]; [`RegistryError::Store`] where the folder cannot be written to.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, RegistryError> {
        let path = path.as_ref();
        let failed = |source: std::io::Error| RegistryError::Store {
            doing: format!("cannot create registry {}", path.display()),
            source: source.into(),
        };
        let exists = || RegistryError::AlreadyExists { location: path.display().to_string() };
        if path.try_exists().map_err(failed)? {
            return Err(exists());
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".registry-").tempfile_in(folder).map_err(failed)?;
        let mut database = Sqlite::open(file.path(), false)?;
        database.begin(Access::Write)?;
        schema::create(&mut database)?;
        database.commit()?;
        database.make_durable()?;
        database.choose_journal()?;
        // The last connection to close empties the write-ahead log and removes it.
        drop(database);
        let mut permissions = file.as_file().metadata().map_err(failed)?.permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o664);
        std::fs::set_permissions(file.path(), permissions).map_err(failed)?;
        file.persist_noclobber(path).map_err(|e| match e.error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(),
            _ => failed(e.error),
        })?;
        Self::open(path)
    }

    /// Opens a registry for reading and writing.
    ///
    /// # Errors
    /// [`RegistryError::Store`] where there is no file; [`RegistryError::Damaged`] for a file that is not a registry;
    /// [`RegistryError::SchemaVersion`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RegistryError> {
        Self::open_at(&RegistryAddress::Sqlite(path.as_ref().to_owned()))
    }

    /// Opens a registry for reading. A file in a folder that cannot be written to is fine.
    ///
    /// # Errors
    /// As [`Registry::open`]. What writes gives [`RegistryError::ReadOnly`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, RegistryError> {
        Self::open_read_only_at(&RegistryAddress::Sqlite(path.as_ref().to_owned()))
    }

    /// Makes a registry at an address: all of it or nothing, but for `MariaDB` and `MySQL`, where what an interrupted creation
    /// leaves is refused as half made.
    ///
    /// # Errors
    /// [`RegistryError::AlreadyExists`]; [`RegistryError::Connect`]; [`RegistryError::ReadOnly`] for a user who may not make
    /// tables; [`RegistryError::Invalid`] for a kind of database that this program was built without.
    pub fn create_at(address: &RegistryAddress) -> Result<Self, RegistryError> {
        if let RegistryAddress::Sqlite(path) = address {
            return Self::create(path);
        }
        let mut database = connect(address, false)?;
        let mut work = || {
            database.begin(Access::Write)?;
            database.make_namespace()?;
            if schema::is_there(database.as_mut())? {
                // A half made one says so.
                schema::check_version(database.as_mut())?;
                return Err(RegistryError::AlreadyExists { location: database.location().to_owned() });
            }
            schema::create(database.as_mut())?;
            database.commit()
        };
        let done = work();
        if done.is_err() {
            database.rollback();
        }
        done?;
        Self::checked(database, Some(address.clone()))
    }

    /// Opens a registry at an address for reading and writing.
    ///
    /// # Errors
    /// As [`Registry::open`]; [`RegistryError::Connect`].
    pub fn open_at(address: &RegistryAddress) -> Result<Self, RegistryError> {
        Self::checked(connect(address, false)?, Some(address.clone()))
    }

    /// Opens a registry at an address for reading.
    ///
    /// # Errors
    /// As [`Registry::open_at`]. What writes gives [`RegistryError::ReadOnly`].
    pub fn open_read_only_at(address: &RegistryAddress) -> Result<Self, RegistryError> {
        Self::checked(connect(address, true)?, Some(address.clone()))
    }

    /// Brings the tables of a registry that an older version of the program made to this version's, in one transaction; or
    /// with `dry_run` says what that would do. Keep a copy before.
    ///
    /// # Errors
    /// [`RegistryError::SchemaVersion`] for one from which no steps lead here; as [`Registry::open_at`].
    pub fn migrate(address: &RegistryAddress, dry_run: bool) -> Result<Migration, RegistryError> {
        schema::migrate(connect(address, dry_run)?.as_mut(), dry_run)
    }

    /// A registry that is gone when it is dropped: for tests, and for trying things out.
    ///
    /// # Errors
    /// [`RegistryError::Store`] when memory runs out.
    pub fn in_memory() -> Result<Self, RegistryError> {
        let mut database = Sqlite::in_memory()?;
        schema::create(&mut database)?;
        Self::checked(Box::new(database), None)
    }

    fn checked(mut database: Box<dyn Database>, address: Option<RegistryAddress>) -> Result<Self, RegistryError> {
        schema::check_version(database.as_mut())?;
        let location = database.location().to_owned();
        Ok(Self {
            database: Mutex::new(database),
            location,
            address,
            one_moment: false,
            user: super::guards::user_name(),
            written: AtomicUsize::new(0),
        })
    }

    /// This registry as it is now: whatever is written later, by whomever, all answers are of this moment. What would write
    /// gives [`RegistryError::ReadOnly`].
    ///
    /// For work that asks several questions whose answers must fit together, such as a join and the WCSs of what it found.
    /// Writers do not wait for it, but on a network file system, where they do: drop it soon.
    ///
    /// # Errors
    /// [`RegistryError::Store`] for a registry in memory, which has one connection only, and as [`Registry::open`].
    pub fn at_this_moment(&self) -> Result<Self, RegistryError> {
        let Some(address) = &self.address else {
            return Err(RegistryError::Store {
                doing: "cannot read a registry at one moment".to_owned(),
                source: "it is in memory, and has one connection only".into(),
            });
        };
        let registry = Self { one_moment: true, ..Self::open_read_only_at(address)? };
        {
            let mut database = registry.database.lock().unwrap_or_else(PoisonError::into_inner);
            database.begin(Access::Read)?;
            // The moment is that of the first look.
            schema::check_version(database.as_mut())?;
        }
        Ok(registry)
    }

    /// Waits at most so long (two minutes unless told) for another process that is writing, then gives
    /// [`RegistryError::Busy`], which says who it is.
    ///
    /// # Errors
    /// [`RegistryError::Store`] when the connection is broken.
    pub fn set_busy_timeout(&self, timeout: Duration) -> Result<(), RegistryError> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner).set_busy_timeout(timeout)
    }

    /// Writes as another user than the one who runs the program: what is owned by whom is a guard against mistakes, not
    /// against people.
    #[must_use]
    pub fn acting_as(mut self, user: &str) -> Self {
        user.clone_into(&mut self.user);
        self
    }

    /// The user who owns what is made through this registry.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The file, or what else the registry is called in messages.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// All that `ask` reads is of one moment.
    pub(super) fn read<T>(
        &self,
        ask: impl FnOnce(&mut dyn Database) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.transaction(Access::Read, ask)
    }

    /// All that `change` writes is there afterwards, or nothing.
    pub(super) fn write<T>(
        &self,
        change: impl FnOnce(&mut dyn Database) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        self.transaction(Access::Write, change)
    }

    /// Counts rows that were written, and refreshes the statistics when they are many, in one write or in thousands.
    pub(super) fn has_written(&self, rows: usize) {
        if self.written.fetch_add(rows, Ordering::Relaxed) + rows >= 1000 {
            self.written.store(0, Ordering::Relaxed);
            self.optimize();
        }
    }

    /// Refreshes the statistics by which queries are planned; after much was written.
    pub(super) fn optimize(&self) {
        self.database.lock().unwrap_or_else(PoisonError::into_inner).optimize();
    }

    fn transaction<T>(
        &self,
        access: Access,
        work: impl FnOnce(&mut dyn Database) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        if self.one_moment {
            return match access {
                Access::Read => work(database.as_mut()).map_err(|e| e.at(&self.location)),
                Access::Write => Err(RegistryError::ReadOnly { location: self.location.clone() }),
            };
        }
        // A thread that panicked in a transaction left it open.
        database.rollback();
        database.begin(access)?;
        let result = work(database.as_mut()).and_then(|value| {
            database.commit()?;
            if access == Access::Write {
                database.make_durable()?;
            }
            Ok(value)
        });
        if result.is_err() {
            database.rollback();
        }
        result.map_err(|e| e.at(&self.location))
    }
}

/// A connection to a database of whatever kind.
fn connect(address: &RegistryAddress, read_only: bool) -> Result<Box<dyn Database>, RegistryError> {
    match address {
        RegistryAddress::Sqlite(path) => Ok(Box::new(Sqlite::open(path, read_only)?)),
        #[cfg(feature = "postgres")]
        RegistryAddress::Postgres(server) => Ok(Box::new(Postgres::open(server, read_only)?)),
        #[cfg(feature = "mysql")]
        RegistryAddress::Mysql(server) => Ok(Box::new(Mysql::open(server, read_only)?)),
        #[cfg(not(all(feature = "postgres", feature = "mysql")))]
        other => Err(RegistryError::Invalid {
            what: format!("a connection to {other}"),
            reason: "this bunter was built without such databases: build it with the features `postgres` and `mysql`"
                .to_owned(),
        }),
    }
}
