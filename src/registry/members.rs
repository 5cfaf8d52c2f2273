//! The tables of which datasets are in TAGGED and CALIBRATION collections, and what all who change them share.

use super::collections::CollectionRow;
use super::database::{Database, Value};
use super::dataset_types::{self, DatasetTypeRow};
use super::{RegistryError, quantum};
use crate::dataset::DatasetRef;
use crate::dimension::DataId;
use uuid::Uuid;

/// Makes the tables. A data ID is its JSON text, so that one table serves datasets of all dimensions and the database itself
/// sees that no two of a type are under one name; `dataset` is the number in the type's table of datasets.
pub(super) fn create(database: &mut dyn Database) -> Result<(), RegistryError> {
    let clustered = database.clustered();
    database.execute_script(&format!(
        "CREATE TABLE tagged (
             collection INTEGER NOT NULL REFERENCES collection (id),
             dataset_type INTEGER NOT NULL REFERENCES dataset_type (id),
             data_id TEXT NOT NULL,
             dataset BIGINT NOT NULL,
             PRIMARY KEY (collection, dataset_type, data_id),
             UNIQUE (dataset_type, dataset, collection)){clustered};
         CREATE TABLE calibration (
             collection INTEGER NOT NULL REFERENCES collection (id),
             dataset_type INTEGER NOT NULL REFERENCES dataset_type (id),
             data_id TEXT NOT NULL,
             valid_from BIGINT NOT NULL,
             valid_until BIGINT NOT NULL,
             dataset BIGINT NOT NULL,
             PRIMARY KEY (collection, dataset_type, data_id, valid_from),
             UNIQUE (dataset_type, dataset, collection, valid_from)){clustered};"
    ))
}

/// A dataset as the tables of members refer to it.
pub(super) struct Member {
    pub(super) dataset: DatasetRef,
    /// The number of its type, and its own in the table of its type.
    pub(super) kind: i64,
    pub(super) number: i64,
    pub(super) key: String,
}

/// Finds datasets by identity, statements prepared once.
pub(super) struct Finder {
    types: Vec<DatasetTypeRow>,
    /// For each table of datasets: its name and dimensions.
    tables: Vec<(String, Vec<&'static str>)>,
}

impl Finder {
    pub(super) fn new(database: &mut dyn Database) -> Result<Self, RegistryError> {
        let tables = dataset_types::tables(database)?;
        let tables = tables.into_iter().map(|(table, group)| (table, group.required().to_vec())).collect();
        Ok(Self { types: dataset_types::all(database)?, tables })
    }

    /// A dataset, if there is one. Batches are mostly of one type, so the table met last comes first.
    pub(super) fn find(&mut self, database: &mut dyn Database, id: Uuid) -> Result<Option<Member>, RegistryError> {
        for at in 0..self.tables.len() {
            let (table, keys) = &self.tables[at];
            let names: Vec<String> = keys.iter().map(|k| format!(", d.\"{k}\"")).collect();
            let sql = format!(
                "SELECT d.id, d.dataset_type, c.name{} FROM {table} AS d JOIN collection AS c ON c.id = d.run WHERE d.uuid = ?1",
                names.concat()
            );
            let mut found = None;
            database.query(&sql, &[Value::Bytes(id.as_bytes())], &mut |row| {
                let mut data_id = DataId::new();
                for (i, key) in keys.iter().enumerate() {
                    match row.get(3 + i) {
                        Value::Int(v) => data_id.set(key, v),
                        Value::Text(s) => data_id.set(key, s),
                        other => return Err(RegistryError::unexpected(&format!("a value of `{key}`"), other)),
                    }
                }
                found = Some((row.int(0)?, row.int(1)?, row.text(2)?.to_owned(), data_id));
                Ok(())
            })?;
            let Some((number, kind, run, data_id)) = found else { continue };
            let name = self.types.iter().find(|t| t.id == kind).map(|t| t.dataset_type.name.clone());
            let name =
                name.ok_or_else(|| RegistryError::damaged(format!("dataset {id} has a type that does not exist")))?;
            self.tables.swap(0, at);
            let key = quantum::to_json(&data_id);
            let dataset = DatasetRef { id, dataset_type: name, data_id, run: run.into() };
            return Ok(Some(Member { dataset, kind, number, key }));
        }
        Ok(None)
    }

    /// A dataset that must be there.
    pub(super) fn get(&mut self, database: &mut dyn Database, id: Uuid, into: &str) -> Result<Member, RegistryError> {
        self.find(database, id)?.ok_or_else(|| RegistryError::Missing {
            what: format!("a member of collection `{into}`"),
            missing: format!("dataset {id}"),
            hint: "list what there is with `bunter query-datasets`",
        })
    }

    /// The dataset of a number, for messages.
    pub(super) fn shown(&self, database: &mut dyn Database, kind: i64, number: i64) -> Result<String, RegistryError> {
        let Some(row) = self.types.iter().find(|t| t.id == kind) else { return Ok(format!("dataset number {number}")) };
        let sql = format!(
            "SELECT d.uuid, c.name FROM {} AS d JOIN collection AS c ON c.id = d.run WHERE d.id = ?1",
            row.table
        );
        let mut text = format!("dataset number {number}");
        database.query(&sql, &[Value::Int(number)], &mut |found| {
            text = format!("{} of run `{}`", found.uuid(0)?, found.text(1)?);
            Ok(())
        })?;
        Ok(text)
    }
}

/// The collections that hold a dataset, beside its run.
pub(super) fn holders(database: &mut dyn Database, member: &Member) -> Result<Vec<String>, RegistryError> {
    let mut names = Vec::new();
    for table in ["tagged", "calibration"] {
        let sql = format!(
            "SELECT DISTINCT c.name, c.type FROM {table} AS m JOIN collection AS c ON c.id = m.collection
             WHERE m.dataset_type = ?1 AND m.dataset = ?2 ORDER BY c.name"
        );
        database.query(&sql, &[Value::Int(member.kind), Value::Int(member.number)], &mut |row| {
            names.push(row.text(0)?.to_owned());
            Ok(())
        })?;
    }
    Ok(names)
}

/// Takes a dataset out of all collections but its run.
pub(super) fn forget(database: &mut dyn Database, member: &Member) -> Result<(), RegistryError> {
    for table in ["tagged", "calibration"] {
        let sql = format!("DELETE FROM {table} WHERE dataset_type = ?1 AND dataset = ?2");
        database.execute(&sql, &[Value::Int(member.kind), Value::Int(member.number)])?;
    }
    Ok(())
}

/// The rows of a type in collections that are not all runs: `uuid`, `run`, the dimensions and `collection`, as a table.
pub(super) fn source(row: &DatasetTypeRow, collections: &[CollectionRow]) -> String {
    use crate::dataset::CollectionType as Type;
    let keys: Vec<String> = row.group.required().iter().map(|k| format!(", d.\"{k}\"")).collect();
    let (keys, kind, table) = (keys.concat(), row.id, &row.table);
    let of = |wanted: Type| {
        let ids: Vec<_> = collections.iter().filter(|c| c.kind == wanted).map(|c| c.id.to_string()).collect();
        (!ids.is_empty()).then(|| ids.join(", "))
    };
    let mut parts = Vec::new();
    if let Some(runs) = of(Type::Run) {
        parts.push(format!(
            "SELECT d.uuid, d.run{keys}, d.run AS collection FROM {table} AS d WHERE d.dataset_type = {kind} AND d.run IN ({runs})"
        ));
    }
    for (wanted, members) in [(Type::Tagged, "tagged"), (Type::Calibration, "calibration")] {
        if let Some(ids) = of(wanted) {
            parts.push(format!(
                "SELECT d.uuid, d.run{keys}, m.collection AS collection FROM {members} AS m JOIN {table} AS d ON d.id = m.dataset
                 WHERE m.dataset_type = {kind} AND m.collection IN ({ids})"
            ));
        }
    }
    parts.join(" UNION ALL ")
}
