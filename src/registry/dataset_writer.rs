//! Writing datasets and where their bytes are.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::changes::{ChangeKind, Entry, record, record_removed};
use super::database::{Database, Value};
use super::dataset_types::{self, DatasetTypeRow};
use super::dimension_records::exists;
use super::members::{self, Finder};
use super::{Inserted, Registry, RegistryError, collections, guards, schema};
use crate::dataset::{CollectionType, DatasetRef, FileRecord, Format, PathTemplate};
use crate::dimension::{DataId, DimensionValue, Element};

/// A dataset whose bytes are written, to be made known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewDataset {
    /// Its identity, type, name and run.
    pub dataset: DatasetRef,
    /// Where its bytes are.
    pub file: FileRecord,
}

impl Registry {
    /// Makes datasets known. Their types, runs and dimension records must exist.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`], which names both, when the identity stands for another dataset or file, or when type, data
    /// ID and run stand for another identity; [`RegistryError::Missing`] for a data ID without its dimension records (a
    /// visit nobody registered, a patch outside the sky map); [`RegistryError::UnknownDatasetType`];
    /// [`RegistryError::UnknownCollection`]; [`RegistryError::Dimension`] for a data ID that does not fit the type.
    pub fn insert_datasets(&self, datasets: &[NewDataset]) -> Result<Inserted, RegistryError> {
        let inserted = self.write(|database| insert(database, datasets, self.user()))?;
        if inserted.new >= 1000 {
            self.optimize();
        }
        Ok(inserted)
    }

    /// Forgets datasets, and says how many there were. Their bytes are not touched. See [`Registry::prune_datasets`].
    ///
    /// # Errors
    /// [`RegistryError::Refused`] as for pruning without unlinking.
    pub fn remove_datasets(&self, ids: &[Uuid]) -> Result<usize, RegistryError> {
        Ok(self.prune_datasets(ids, false)?.removed.len())
    }

    /// Forgets datasets, all or none; the report says where their bytes were, which are not touched. With `unlink`, they are
    /// taken out of the TAGGED and CALIBRATION collections that hold them.
    ///
    /// # Errors
    /// [`RegistryError::Refused`], which says who and what, for a dataset of a run that is sealed or another's, of a run that is a
    /// member of another's chain, or (without `unlink`) in a TAGGED or CALIBRATION collection; with it, for such a collection that
    /// is sealed or another's.
    pub fn prune_datasets(&self, ids: &[Uuid], unlink: bool) -> Result<PruneReport, RegistryError> {
        self.write(|database| {
            let mut finder = Finder::new(database)?;
            let mut found = Vec::new();
            for id in ids {
                found.extend(finder.find(database, *id)?);
            }
            let mut report = PruneReport::default();
            if found.is_empty() {
                return Ok(report);
            }
            let mut runs: Vec<&Arc<str>> = found.iter().map(|m| &m.dataset.run).collect();
            runs.sort_unstable();
            runs.dedup();
            for run in runs {
                let row = collections::find(database, run)?;
                guards::check_writable(database, &row, self.user())?;
                guards::check_chains(database, &row, self.user())?;
            }
            for member in &found {
                for holder in members::holders(database, member)? {
                    if !unlink {
                        return Err(RegistryError::Refused {
                            doing: format!("remove dataset {} ({})", member.dataset.id, member.dataset),
                            reason: format!("collection `{holder}` holds it"),
                            hint: "say --unlink to take it out of there".to_owned(),
                        });
                    }
                    let row = collections::find(database, &holder)?;
                    guards::check_writable(database, &row, self.user())?;
                    report.unlinked += 1;
                }
            }
            let mut entries: Vec<(Arc<str>, usize)> = Vec::new();
            for member in &found {
                match entries.iter_mut().find(|(run, _)| *run == member.dataset.run) {
                    Some((_, count)) => *count += 1,
                    None => entries.push((member.dataset.run.clone(), 1)),
                }
            }
            let entries: Vec<_> = entries
                .iter()
                .map(|(run, count)| Entry { count: *count, ..Entry::of_collection(ChangeKind::Removed, run) })
                .collect();
            let number = record(database, &entries)?;
            let tables: Vec<_> = dataset_types::all(database)?.into_iter().map(|row| (row.id, row.table)).collect();
            for (place, member) in found.into_iter().enumerate() {
                members::forget(database, &member)?;
                let table = tables.iter().find(|(kind, _)| *kind == member.kind).map(|(_, table)| table);
                let table = table.ok_or_else(|| RegistryError::damaged("a dataset has a type that does not exist"))?;
                let sql = format!("DELETE FROM {table} WHERE id = ?1");
                if database.execute(&sql, &[Value::Int(member.number)])? > 0 {
                    record_removed(database, number, place, &member.dataset)?;
                    report.removed.push(member.dataset);
                }
            }
            Ok(report)
        })
    }
}

/// What pruning did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PruneReport {
    /// The datasets that are forgotten.
    pub removed: Vec<DatasetRef>,
    /// How many memberships in TAGGED and CALIBRATION collections ended.
    pub unlinked: usize,
}

/// Writes datasets within a transaction.
pub(super) fn insert(
    database: &mut dyn Database,
    datasets: &[NewDataset],
    user: &str,
) -> Result<Inserted, RegistryError> {
    let tables = dataset_types::tables(database)?.into_iter().map(|(table, _)| table).collect();
    let mut writer = Writer {
        database,
        user,
        tables,
        types: HashMap::new(),
        runs: HashMap::new(),
        formats: Vec::new(),
        added: HashMap::new(),
    };
    let mut inserted = Inserted::default();
    for dataset in datasets {
        inserted.count(writer.write(dataset)?);
    }
    writer.record_change()?;
    Ok(inserted)
}

struct Writer<'a> {
    database: &'a mut dyn Database,
    user: &'a str,
    /// How many datasets came, by type and run.
    added: HashMap<(Arc<str>, Arc<str>), usize>,
    tables: Vec<String>,
    types: HashMap<Arc<str>, TypeWriter>,
    runs: HashMap<Arc<str>, i64>,
    /// Formats met so far; files of a batch mostly share one, met last.
    formats: Vec<(Format, i64)>,
}

/// A dataset type with its statements.
struct TypeWriter {
    row: DatasetTypeRow,
    /// The greatest number of a dataset before this transaction.
    last: i64,
    template: PathTemplate,
    insert: String,
    by_name: String,
    by_id: String,
    /// Other tables, in which the identity must not be.
    elsewhere: Vec<String>,
    parents: Vec<(&'static Element, String)>,
    /// For each parent the values last found.
    seen: Vec<DataId>,
    /// The sky map last asked for: name, tracts, patches.
    sky_map: Option<(String, i64, i64)>,
}

fn value(value: &DimensionValue) -> Value<'_> {
    match value {
        DimensionValue::Int(v) => Value::Int(*v),
        DimensionValue::Str(s) => Value::Text(s),
    }
}

/// The greatest number of a dataset in a table.
fn last_number(database: &mut dyn Database, table: &str) -> Result<i64, RegistryError> {
    let mut last = 0;
    database.query(&format!("SELECT id FROM {table} ORDER BY id DESC LIMIT 1"), &[], &mut |row| {
        last = row.int(0)?;
        Ok(())
    })?;
    Ok(last)
}

impl Writer<'_> {
    /// Writes what came as one change. Numbers grow, and nobody else writes: what came lies between those before and after.
    fn record_change(&mut self) -> Result<(), RegistryError> {
        if self.added.is_empty() {
            return Ok(());
        }
        let mut added: Vec<_> = self.added.iter().collect();
        added.sort_unstable();
        let mut entries = Vec::with_capacity(added.len());
        for ((kind, run), count) in added {
            let (Some(writer), Some(run_id)) = (self.types.get(kind), self.runs.get(run)) else { continue };
            let last = last_number(self.database, &writer.row.table)?;
            entries.push(Entry {
                kind: ChangeKind::Added,
                subject: run,
                count: *count,
                added: [writer.row.id, *run_id, writer.last + 1, last],
            });
        }
        record(self.database, &entries).map(drop)
    }

    fn prepare(&mut self, name: &Arc<str>) -> Result<(), RegistryError> {
        if self.types.contains_key(name) {
            return Ok(());
        }
        let row = dataset_types::find(self.database, name)?;
        let required = row.group.required();
        let columns: Vec<&str> = ["uuid", "dataset_type", "run", "size", "checksum", "format", "path"]
            .into_iter()
            .chain(required.iter().copied())
            .collect();
        let keys: Vec<_> = required.iter().enumerate().map(|(i, k)| format!(" AND \"{k}\" = ?{}", i + 3)).collect();
        let stored = schema::quoted(&columns);
        let parents: Vec<_> = schema::parents(required, &[]).into_iter().map(|p| (p, exists(p))).collect();
        let writer = TypeWriter {
            insert: self.database.insert_or_nothing(&row.table, &columns),
            by_name: format!("SELECT uuid FROM {} WHERE dataset_type = ?1 AND run = ?2{}", row.table, keys.concat()),
            by_id: format!("SELECT {stored} FROM {} WHERE uuid = ?1", row.table),
            elsewhere: self
                .tables
                .iter()
                .filter(|t| **t != row.table)
                .map(|t| format!("SELECT 1 FROM {t} WHERE uuid = ?1"))
                .collect(),
            seen: vec![DataId::new(); parents.len()],
            parents,
            sky_map: None,
            template: row.template()?,
            last: last_number(self.database, &row.table)?,
            row,
        };
        self.types.insert(name.clone(), writer);
        Ok(())
    }

    fn run(&mut self, name: &Arc<str>) -> Result<i64, RegistryError> {
        if let Some(id) = self.runs.get(name) {
            return Ok(*id);
        }
        let row = collections::find_of_type(self.database, name, CollectionType::Run)?;
        guards::check_writable(self.database, &row, self.user)?;
        self.runs.insert(name.clone(), row.id);
        Ok(row.id)
    }

    /// The number of a format. Formats are told apart by the hash of their JSON, and the rare twin takes the next number.
    fn format(&mut self, format: &Format) -> Result<i64, RegistryError> {
        if let Some((_, id)) = self.formats.iter().rev().find(|(known, _)| known == format) {
            return Ok(*id);
        }
        let json = serde_json::to_string(format)
            .map_err(|e| RegistryError::Invalid { what: "the format of a file".to_owned(), reason: e.to_string() })?;
        let insert = self.database.insert_or_nothing("file_format", &["hash", "json"]);
        let mut hash = xxh3_64(json.as_bytes()) as i64;
        loop {
            self.database.execute(&insert, &[Value::Int(hash), Value::Text(&json)])?;
            let mut found = None;
            self.database.query(
                "SELECT id, json FROM file_format WHERE hash = ?1",
                &[Value::Int(hash)],
                &mut |row| {
                    found = Some((row.int(0)?, row.text(1)? == json));
                    Ok(())
                },
            )?;
            match found {
                Some((id, true)) => {
                    if self.formats.len() >= 16 {
                        self.formats.remove(0);
                    }
                    self.formats.push((format.clone(), id));
                    return Ok(id);
                }
                Some((_, false)) => hash = hash.wrapping_add(1),
                None => return Err(RegistryError::damaged("a file format was written and is not there")),
            }
        }
    }

    /// Writes a dataset; false when it was there.
    fn write(&mut self, new: &NewDataset) -> Result<bool, RegistryError> {
        let NewDataset { dataset, file } = new;
        self.prepare(&dataset.dataset_type)?;
        let run = self.run(&dataset.run)?;
        let format = self.format(&file.format)?;
        let Self { database, types, .. } = self;
        let Some(kind) = types.get_mut(&dataset.dataset_type) else {
            return Err(RegistryError::damaged("a dataset type was prepared and is not there"));
        };
        check_path(dataset, file)?;
        kind.row.group.check_exact(&dataset.data_id)?;
        kind.check_records(*database, dataset)?;
        let path = match kind.template.path(dataset) {
            Ok(path) if path == file.path => Value::Null,
            // The template may want what the data ID has not: then the file is where it is.
            _ => Value::Text(&file.path),
        };
        let keys = || dataset.data_id.iter().map(|(_, v)| value(v));
        let mut values = vec![
            Value::Bytes(dataset.id.as_bytes()),
            Value::Int(kind.row.id),
            Value::Int(run),
            Value::Int(file.size as i64),
            Value::Int(file.checksum as i64),
            Value::Int(format),
            path,
        ];
        // A data ID's values are sorted by name, as the required dimensions are.
        values.extend(keys());
        let id = Value::Bytes(dataset.id.as_bytes());
        for sql in &kind.elsewhere {
            let mut found = false;
            database.query(sql, &[id], &mut |_| {
                found = true;
                Ok(())
            })?;
            if found {
                return Err(taken(dataset, "an identity that stands for a dataset of another type"));
            }
        }
        if database.execute(&kind.insert, &values)? > 0 {
            match self.added.get_mut(&(dataset.dataset_type.clone(), dataset.run.clone())) {
                Some(count) => *count += 1,
                None => {
                    self.added.insert((dataset.dataset_type.clone(), dataset.run.clone()), 1);
                }
            }
            return Ok(true);
        }
        let mut same = None;
        database.query(&kind.by_id, &[id], &mut |row| {
            let differs = (0..values.len()).find(|i| row.get(*i) != values[*i]);
            same = Some(differs.map(|i| (i, row.get(i).shown(), values[i].shown())));
            Ok(())
        })?;
        match same {
            Some(None) => Ok(false),
            Some(Some((i, existing, new))) => Err(RegistryError::Conflict {
                what: format!("dataset {} ({dataset})", dataset.id),
                existing: format!("{} {existing}", column_name(i, &kind.row)),
                new,
            }),
            None => {
                let name: Vec<_> = [Value::Int(kind.row.id), Value::Int(run)].into_iter().chain(keys()).collect();
                let mut other = None;
                database.query(&kind.by_name, &name, &mut |row| {
                    other = Some(row.uuid(0)?);
                    Ok(())
                })?;
                Err(RegistryError::Conflict {
                    what: format!("dataset {dataset}"),
                    existing: format!("the identity {}", other.unwrap_or_default()),
                    new: dataset.id.to_string(),
                })
            }
        }
    }
}

fn column_name(i: usize, row: &DatasetTypeRow) -> &'static str {
    const FIXED: [&str; 7] = ["identity", "type number", "run number", "size", "checksum", "format number", "path"];
    FIXED.get(i).copied().or_else(|| row.group.required().get(i - FIXED.len()).copied()).unwrap_or("value")
}

fn taken(dataset: &DatasetRef, existing: &str) -> RegistryError {
    RegistryError::Conflict {
        what: format!("dataset {}", dataset.id),
        existing: existing.to_owned(),
        new: dataset.to_string(),
    }
}

/// A path goes into commands and messages, and must not lead out of the repository unless it is absolute.
fn check_path(dataset: &DatasetRef, file: &FileRecord) -> Result<(), RegistryError> {
    let reason = if file.path.is_empty() {
        "its path is empty"
    } else if file.path.chars().any(char::is_control) {
        "its path has control characters"
    } else if file.path.len() > 4096 {
        "its path is longer than 4096 bytes"
    } else if file.path.split('/').any(|part| part == "..") {
        "its path has `..`"
    } else {
        return Ok(());
    };
    Err(RegistryError::Invalid { what: format!("dataset {dataset}"), reason: reason.to_owned() })
}

impl TypeWriter {
    /// Checks that a data ID's dimension records exist, and that its tract and patch are ones of its sky map.
    fn check_records(&mut self, database: &mut dyn Database, dataset: &DatasetRef) -> Result<(), RegistryError> {
        let data_id = &dataset.data_id;
        for ((parent, sql), seen) in self.parents.iter().zip(&mut self.seen) {
            let same = parent.required.iter().all(|k| seen.get(k) == data_id.get(k));
            if same {
                continue;
            }
            let keys: Vec<_> = parent.required.iter().filter_map(|k| data_id.get(k)).map(value).collect();
            let mut found = false;
            database.query(sql, &keys, &mut |_| {
                found = true;
                Ok(())
            })?;
            let named = data_id.subset(parent.required.iter().copied());
            if !found {
                return Err(RegistryError::Missing {
                    what: format!("dataset {dataset}"),
                    missing: format!("{} {named}", parent.name),
                    hint: "insert its dimension record first",
                });
            }
            *seen = named;
        }
        let Some(skymap) = data_id.str("skymap") else { return Ok(()) };
        if self.sky_map.as_ref().is_none_or(|(name, ..)| name != skymap) {
            let sql = "SELECT tract_max, patch_nx_max, patch_ny_max FROM skymap WHERE skymap = ?1";
            database.query(sql, &[Value::Text(skymap)], &mut |row| {
                self.sky_map = Some((skymap.to_owned(), row.int(0)?, row.int(1)?.saturating_mul(row.int(2)?)));
                Ok(())
            })?;
        }
        let (tracts, patches) = self.sky_map.as_ref().map_or((0, 0), |(_, tracts, patches)| (*tracts, *patches));
        for (dimension, end) in [("tract", tracts), ("patch", patches)] {
            if let Some(v) = data_id.int(dimension)
                && !(0..end).contains(&v)
            {
                return Err(RegistryError::Missing {
                    what: format!("dataset {dataset}"),
                    missing: format!("{dimension} {v}"),
                    hint: "the sky map has fewer; check its name",
                });
            }
        }
        Ok(())
    }
}
