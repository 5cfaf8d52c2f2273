//! Writing datasets and where their bytes are.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::database::{Database, Value};
use super::dataset_types::{self, DatasetTypeRow};
use super::dimension_records::exists;
use super::{Inserted, Registry, RegistryError, collections, schema};
use crate::dataset::{CollectionType, DatasetRef, FileRecord, Format};
use crate::dimension::{DataId, DimensionValue, Element};

/// A dataset whose bytes are written, to be made known.
#[derive(Clone, Debug, PartialEq)]
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
        let inserted = self.write(|database| insert(database, datasets))?;
        if inserted.new >= 1000 {
            self.optimize();
        }
        Ok(inserted)
    }

    /// Forgets datasets, and says how many there were. Their bytes are not touched.
    ///
    /// # Errors
    /// [`RegistryError`] when the store cannot be written to.
    pub fn remove_datasets(&self, ids: &[Uuid]) -> Result<usize, RegistryError> {
        self.write(|database| {
            let deletes: Vec<_> = dataset_types::tables(database)?
                .into_iter()
                .map(|(table, _)| format!("DELETE FROM {table} WHERE uuid = ?1"))
                .collect();
            let mut removed = 0;
            for id in ids {
                for delete in &deletes {
                    removed += database.execute(delete, &[Value::Bytes(id.as_bytes())])?;
                }
            }
            Ok(usize::try_from(removed).unwrap_or(usize::MAX))
        })
    }
}

/// Writes datasets within a transaction.
pub(super) fn insert(database: &mut dyn Database, datasets: &[NewDataset]) -> Result<Inserted, RegistryError> {
    let tables = dataset_types::tables(database)?.into_iter().map(|(table, _)| table).collect();
    let mut writer = Writer { database, tables, types: HashMap::new(), runs: HashMap::new(), formats: Vec::new() };
    let mut inserted = Inserted::default();
    for dataset in datasets {
        inserted.count(writer.write(dataset)?);
    }
    Ok(inserted)
}

struct Writer<'a> {
    database: &'a mut dyn Database,
    tables: Vec<String>,
    types: HashMap<Arc<str>, TypeWriter>,
    runs: HashMap<Arc<str>, i64>,
    /// Formats met so far; files of a batch mostly share one, met last.
    formats: Vec<(Format, i64)>,
}

/// A dataset type with its statements.
struct TypeWriter {
    row: DatasetTypeRow,
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

impl Writer<'_> {
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
        let path = match kind.row.template.path(dataset) {
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
