//! Writing datasets and where their bytes are.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::changes::{ChangeKind, Entry, record, record_removed};
use super::database::{Database, Value};
use super::dataset_types::{self, DatasetTypeRow};
use super::dimension_records::{exists, hash_of};
use super::members::{self, Finder};
use super::{Inserted, Registry, RegistryError, collections, guards, schema};
use crate::dataset::{CollectionType, DatasetRef, FileRecord, Format, PathTemplate};
use crate::dimension::{DimensionValue, Element};

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
        self.has_written(inserted.new);
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

/// Datasets that are looked at together.
const AT_ONCE: usize = 512;
/// Records known to be there, at most.
const MAX_SEEN: usize = 1 << 20;

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
    for same_type in datasets.chunk_by(|a, b| a.dataset.dataset_type == b.dataset.dataset_type) {
        for some in same_type.chunks(AT_ONCE) {
            writer.write(some, &mut inserted)?;
        }
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
    columns: Vec<&'static str>,
    /// Other tables, in which the identities must not be.
    elsewhere: Vec<String>,
    parents: Vec<(&'static Element, String)>,
    /// Hashes of the parents that were found.
    seen: HashSet<u128>,
    scratch: Vec<u8>,
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
        let columns: Vec<&'static str> = ["uuid", "dataset_type", "run", "size", "checksum", "format", "path"]
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
                .map(|t| format!("SELECT uuid FROM {t} WHERE uuid IN"))
                .collect(),
            columns,
            seen: HashSet::new(),
            scratch: Vec::new(),
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
            let mut found = None;
            // It is mostly there.
            for attempt in 0..2 {
                if attempt == 1 {
                    self.database.execute(&insert, &[Value::Int(hash), Value::Text(&json)])?;
                }
                let sql = "SELECT id, json FROM file_format WHERE hash = ?1";
                self.database.query(sql, &[Value::Int(hash)], &mut |row| {
                    found = Some((row.int(0)?, row.text(1)? == json));
                    Ok(())
                })?;
                if found.is_some() {
                    break;
                }
            }
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

    /// Writes datasets of one type.
    fn write(&mut self, all: &[NewDataset], inserted: &mut Inserted) -> Result<(), RegistryError> {
        let Some(first) = all.first() else { return Ok(()) };
        let name = &first.dataset.dataset_type;
        self.prepare(name)?;
        let mut values = Vec::with_capacity(all.len() * 12);
        for new in all {
            self.row(name, new, &mut values)?;
        }
        let Self { database, types, added, .. } = self;
        let Some(kind) = types.get(name) else { return Err(lost_type()) };
        let mut came = |dataset: &DatasetRef| match added.get_mut(&(name.clone(), dataset.run.clone())) {
            Some(count) => *count += 1,
            None => {
                added.insert((name.clone(), dataset.run.clone()), 1);
            }
        };
        let ids: Vec<_> = all.iter().map(|new| Value::Bytes(new.dataset.id.as_bytes())).collect();
        for sql in &kind.elsewhere {
            if let Some(id) = first_of(*database, sql, &ids)?
                && let Some(new) = all.iter().find(|new| new.dataset.id == id)
            {
                return Err(taken(&new.dataset, "an identity that stands for a dataset of another type"));
            }
        }
        if all.len() > 1 && database.rows_at_once() > 1 {
            database.execute("SAVEPOINT datasets", &[])?;
            if database.insert_rows(&kind.row.table, &kind.columns, &values)? == all.len() as u64 {
                database.execute("RELEASE SAVEPOINT datasets", &[])?;
                inserted.new += all.len();
                for new in all {
                    came(&new.dataset);
                }
                return Ok(());
            }
            // One by one it is seen which were there, and whether they are the same.
            database.execute("ROLLBACK TO SAVEPOINT datasets", &[])?;
        }
        for (new, values) in all.iter().zip(values.chunks(kind.columns.len())) {
            let is_new = database.execute(&kind.insert, values)? > 0;
            if is_new {
                came(&new.dataset);
            } else {
                kind.compare(*database, &new.dataset, values)?;
            }
            inserted.count(is_new);
        }
        Ok(())
    }

    /// The values of a dataset's row, checked.
    fn row<'d>(
        &mut self,
        name: &Arc<str>,
        new: &'d NewDataset,
        values: &mut Vec<Value<'d>>,
    ) -> Result<(), RegistryError> {
        let NewDataset { dataset, file } = new;
        let run = self.run(&dataset.run)?;
        let format = self.format(&file.format)?;
        let Self { database, types, .. } = self;
        let Some(kind) = types.get_mut(name) else { return Err(lost_type()) };
        check_path(dataset, file)?;
        kind.row.group.check_exact(&dataset.data_id)?;
        kind.check_records(*database, dataset)?;
        let path = match kind.template.path(dataset) {
            Ok(path) if path == file.path => Value::Null,
            // The template may want what the data ID has not: then the file is where it is.
            _ => Value::Text(&file.path),
        };
        values.extend([
            Value::Bytes(dataset.id.as_bytes()),
            Value::Int(kind.row.id),
            Value::Int(run),
            Value::Int(file.size as i64),
            Value::Int(file.checksum as i64),
            Value::Int(format),
            path,
        ]);
        // A data ID's values are sorted by name, as the required dimensions are.
        values.extend(dataset.data_id.iter().map(|(_, v)| value(v)));
        Ok(())
    }
}

fn lost_type() -> RegistryError {
    RegistryError::damaged("a dataset type was prepared and is not there")
}

/// One of the identities that a table has, if any. `sql` ends where their list begins.
fn first_of(database: &mut dyn Database, sql: &str, ids: &[Value<'_>]) -> Result<Option<Uuid>, RegistryError> {
    // Lists of two lengths only, so that the statements are kept: what is too short repeats its last.
    let length = if ids.len() == 1 { 1 } else { AT_ONCE };
    let filled: Vec<_> = (0..length).filter_map(|i| ids.get(i).or(ids.last())).copied().collect();
    let marks: Vec<_> = (1..=length).map(|i| format!("?{i}")).collect();
    let mut found = None;
    database.query(&format!("{sql} ({})", marks.join(", ")), &filled, &mut |row| {
        found = Some(row.uuid(0)?);
        Ok(())
    })?;
    Ok(found)
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
    /// Fails unless the row that is there is this one.
    fn compare(
        &self,
        database: &mut dyn Database,
        dataset: &DatasetRef,
        values: &[Value<'_>],
    ) -> Result<(), RegistryError> {
        let mut same = None;
        database.query(&self.by_id, &[Value::Bytes(dataset.id.as_bytes())], &mut |row| {
            let differs = (0..values.len()).find(|i| row.get(*i) != values[*i]);
            same = Some(differs.map(|i| (i, row.get(i).shown(), values[i].shown())));
            Ok(())
        })?;
        match same {
            Some(None) => Ok(()),
            Some(Some((i, existing, new))) => Err(RegistryError::Conflict {
                what: format!("dataset {} ({dataset})", dataset.id),
                existing: format!("{} {existing}", column_name(i, &self.row)),
                new,
            }),
            None => {
                let (fixed, keys) = values.split_at_checked(7).unwrap_or((values, &[]));
                let name: Vec<_> = fixed.iter().skip(1).take(2).chain(keys).copied().collect();
                let mut other = None;
                database.query(&self.by_name, &name, &mut |row| {
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

    /// Checks that a data ID's dimension records exist, and that its tract and patch are ones of its sky map.
    fn check_records(&mut self, database: &mut dyn Database, dataset: &DatasetRef) -> Result<(), RegistryError> {
        let data_id = &dataset.data_id;
        if self.seen.len() > MAX_SEEN {
            self.seen.clear();
        }
        for (i, (parent, sql)) in self.parents.iter().enumerate() {
            let hash = hash_of(&mut self.scratch, i, parent.required.iter().filter_map(|k| data_id.get(k)).map(value));
            if self.seen.contains(&hash) {
                continue;
            }
            let keys: Vec<_> = parent.required.iter().filter_map(|k| data_id.get(k)).map(value).collect();
            let mut found = false;
            database.query(sql, &keys, &mut |_| {
                found = true;
                Ok(())
            })?;
            if !found {
                let named = data_id.subset(parent.required.iter().copied());
                return Err(RegistryError::Missing {
                    what: format!("dataset {dataset}"),
                    missing: format!("{} {named}", parent.name),
                    hint: "insert its dimension record first",
                });
            }
            self.seen.insert(hash);
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
