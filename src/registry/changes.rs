//! The sequence of changes: a number a transaction, and what each brought and took.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::columns::{ColumnBuilder, table};
use super::database::{Database, Value};
use super::region_state::{now_us, whoami};
use super::{Registry, RegistryError, dataset_types};
use crate::dimension::ColumnType;

/// What a change was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// Datasets came into a run.
    Added,
    /// Datasets were forgotten.
    Removed,
    /// A collection was made.
    CollectionMade,
    /// A chain got other members.
    ChainEdited,
    /// A collection was removed.
    CollectionRemoved,
    /// Datasets came into a TAGGED collection.
    Associated,
    /// Datasets were taken out of a TAGGED collection.
    Disassociated,
    /// Datasets became valid in a CALIBRATION collection.
    Certified,
    /// Validity was taken from datasets of a CALIBRATION collection.
    Decertified,
    /// A run was sealed, opened again, or given to another.
    StateChanged,
}

impl ChangeKind {
    const ALL: [(Self, i64, &'static str); 10] = [
        (Self::Added, 1, "added"),
        (Self::Removed, 2, "removed"),
        (Self::CollectionMade, 3, "collection made"),
        (Self::ChainEdited, 4, "chain edited"),
        (Self::CollectionRemoved, 5, "collection removed"),
        (Self::Associated, 6, "associated"),
        (Self::Disassociated, 7, "disassociated"),
        (Self::Certified, 8, "certified"),
        (Self::Decertified, 9, "decertified"),
        (Self::StateChanged, 10, "state changed"),
    ];

    fn row(self) -> (Self, i64, &'static str) {
        Self::ALL.into_iter().find(|(kind, ..)| *kind == self).unwrap_or(Self::ALL[0])
    }

    /// The name, as shown.
    pub fn name(self) -> &'static str {
        self.row().2
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The number of the transaction, from 1.
    pub number: u64,
    /// When, microseconds since 1970 UTC.
    pub made_at_us: i64,
    /// Who, `user@host`.
    pub who: String,
    /// What.
    pub kind: ChangeKind,
    /// The collection it was about.
    pub collection: Arc<str>,
    /// Of how many datasets; 0 for what is of none.
    pub count: usize,
}

/// What has changed since a number.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The number of the latest change: ask with it next time.
    pub number: u64,
    /// The changes, oldest first.
    pub changes: Vec<Change>,
    /// The datasets that came and are still there: `id` (`FixedSizeBinary(16)`), `dataset_type`, `run` (`Utf8`), `number`
    /// (`Int64`, of the change that brought it).
    pub added: RecordBatch,
    /// The datasets that went and did not come back, in the same columns; `number` is that of the change that took it.
    pub removed: RecordBatch,
}

/// Makes the tables. A change that brings datasets has a row for each type and run, with the first and the last number of
/// their rows: as much for one dataset as for a million.
pub(super) fn create(database: &mut dyn Database) -> Result<(), RegistryError> {
    let clustered = database.clustered();
    database.execute_script(&format!(
        "CREATE TABLE registry_change (
             number BIGINT NOT NULL,
             place INTEGER NOT NULL,
             made_at BIGINT NOT NULL,
             who TEXT NOT NULL,
             kind INTEGER NOT NULL,
             subject TEXT NOT NULL,
             amount BIGINT NOT NULL,
             dataset_type BIGINT NOT NULL,
             run BIGINT NOT NULL,
             first_id BIGINT NOT NULL,
             last_id BIGINT NOT NULL,
             PRIMARY KEY (number, place)){clustered};
         CREATE TABLE removed_dataset (
             number BIGINT NOT NULL,
             place INTEGER NOT NULL,
             dataset BLOB NOT NULL,
             dataset_type TEXT NOT NULL,
             run TEXT NOT NULL,
             PRIMARY KEY (number, place)){clustered};"
    ))
}

/// A row of a change that is about to be written.
pub(super) struct Entry<'a> {
    pub(super) kind: ChangeKind,
    pub(super) subject: &'a str,
    pub(super) count: usize,
    /// Type, run, first and last number of datasets that came.
    pub(super) added: [i64; 4],
}

impl<'a> Entry<'a> {
    pub(super) fn of_collection(kind: ChangeKind, subject: &'a str) -> Self {
        Self { kind, subject, count: 0, added: [0; 4] }
    }
}

/// The number of the latest change.
fn latest(database: &mut dyn Database) -> Result<i64, RegistryError> {
    let mut last = 0;
    database.query("SELECT number FROM registry_change ORDER BY number DESC LIMIT 1", &[], &mut |row| {
        last = row.int(0)?;
        Ok(())
    })?;
    Ok(last)
}

/// Writes a change within its transaction, which is the only one that writes; gives its number.
pub(super) fn record(database: &mut dyn Database, entries: &[Entry<'_>]) -> Result<i64, RegistryError> {
    let number = latest(database)? + 1;
    let insert = database.insert_or_nothing(
        "registry_change",
        &[
            "number",
            "place",
            "made_at",
            "who",
            "kind",
            "subject",
            "amount",
            "dataset_type",
            "run",
            "first_id",
            "last_id",
        ],
    );
    let (now, who) = (now_us(), whoami());
    for (place, entry) in entries.iter().enumerate() {
        let [kind, run, first, last] = entry.added;
        database.execute(
            &insert,
            &[
                Value::Int(number),
                Value::Int(place as i64),
                Value::Int(now),
                Value::Text(&who),
                Value::Int(entry.kind.row().1),
                Value::Text(entry.subject),
                Value::Int(entry.count as i64),
                Value::Int(kind),
                Value::Int(run),
                Value::Int(first),
                Value::Int(last),
            ],
        )?;
    }
    Ok(number)
}

/// Writes which datasets a change took.
pub(super) fn record_removed(
    database: &mut dyn Database,
    number: i64,
    place: usize,
    dataset: &crate::dataset::DatasetRef,
) -> Result<(), RegistryError> {
    let insert = database.insert_or_nothing("removed_dataset", &["number", "place", "dataset", "dataset_type", "run"]);
    let values = [
        Value::Int(number),
        Value::Int(place as i64),
        Value::Bytes(dataset.id.as_bytes()),
        Value::Text(&dataset.dataset_type),
        Value::Text(&dataset.run),
    ];
    database.execute(&insert, &values).map(drop)
}

fn columns() -> [ColumnBuilder; 4] {
    [
        ColumnBuilder::uuid("id", false),
        ColumnBuilder::new("dataset_type", ColumnType::Text, false),
        ColumnBuilder::new("run", ColumnType::Text, false),
        ColumnBuilder::new("number", ColumnType::Int, false),
    ]
}

impl Registry {
    /// The number of the latest change; 0 before the first.
    ///
    /// # Errors
    /// [`RegistryError`] when the store cannot be read.
    pub fn change_number(&self) -> Result<u64, RegistryError> {
        self.read(|database| Ok(latest(database)? as u64))
    }

    /// What has changed after the change of a number: 0 for everything since the registry was made (or brought to schema
    /// version 3). All of one moment.
    ///
    /// A dataset that came and went again is in neither table; one that went and came back under its identity is among those
    /// that came.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] for a number that is not reached yet: it is of another registry.
    pub fn changes_since(&self, number: u64) -> Result<Changes, RegistryError> {
        self.read(|database| {
            let last = latest(database)?;
            let since = i64::try_from(number).unwrap_or(i64::MAX);
            if since > last {
                return Err(RegistryError::Invalid {
                    what: format!("what changed since change {number}"),
                    reason: format!("the latest change is {last}: the number is of another registry"),
                });
            }
            let (mut changes, mut ranges) = (Vec::new(), Vec::new());
            database.query(
                "SELECT number, made_at, who, kind, subject, amount, dataset_type, run, first_id, last_id
                 FROM registry_change WHERE number > ?1 ORDER BY number, place",
                &[Value::Int(since)],
                &mut |row| {
                    let code = row.int(3)?;
                    let kind = ChangeKind::ALL.into_iter().find(|(_, c, _)| *c == code).map(|(kind, ..)| kind);
                    let kind = kind.ok_or_else(|| RegistryError::damaged(format!("{code} is no kind of change")))?;
                    let collection: Arc<str> = row.text(4)?.into();
                    if kind == ChangeKind::Added {
                        ranges.push((
                            row.int(0)?,
                            collection.clone(),
                            [row.int(6)?, row.int(7)?, row.int(8)?, row.int(9)?],
                        ));
                    }
                    changes.push(Change {
                        number: row.int(0)? as u64,
                        made_at_us: row.int(1)?,
                        who: row.text(2)?.to_owned(),
                        kind,
                        collection,
                        count: usize::try_from(row.int(5)?).unwrap_or(0),
                    });
                    Ok(())
                },
            )?;
            let types = dataset_types::all(database)?;
            let mut added = columns();
            let mut seen: HashSet<[u8; 16]> = HashSet::new();
            // The latest first: a number that was given twice belongs to the change that gave it last.
            for (change, run_name, [kind, run, first, last]) in ranges.iter().rev() {
                let Some(row) = types.iter().find(|t| t.id == *kind) else { continue };
                let sql = format!(
                    "SELECT uuid FROM {} WHERE id BETWEEN ?1 AND ?2 AND dataset_type = ?3 AND run = ?4 ORDER BY id",
                    row.table
                );
                let values = [Value::Int(*first), Value::Int(*last), Value::Int(*kind), Value::Int(*run)];
                database.query(&sql, &values, &mut |found| {
                    let id = found.uuid(0)?;
                    if seen.insert(*id.as_bytes()) {
                        added[0].push(Value::Bytes(id.as_bytes()))?;
                        added[1].push(Value::Text(&row.dataset_type.name))?;
                        added[2].push(Value::Text(run_name))?;
                        added[3].push(Value::Int(*change))?;
                    }
                    Ok(())
                })?;
            }
            let removed = removed_since(database, since, &seen)?;
            Ok(Changes { number: last as u64, changes, added: table(added.into())?, removed })
        })
    }
}

/// What was taken since and is not there.
fn removed_since(
    database: &mut dyn Database,
    since: i64,
    there: &HashSet<[u8; 16]>,
) -> Result<RecordBatch, RegistryError> {
    let mut removed = columns();
    let mut told: HashSet<[u8; 16]> = HashSet::new();
    database.query(
        "SELECT dataset, dataset_type, run, number FROM removed_dataset WHERE number > ?1 ORDER BY number DESC, place",
        &[Value::Int(since)],
        &mut |row| {
            let id = *row.uuid(0)?.as_bytes();
            if !there.contains(&id) && told.insert(id) {
                removed.iter_mut().enumerate().try_for_each(|(i, column)| column.push(row.get(i)))?;
            }
            Ok(())
        },
    )?;
    table(removed.into())
}
