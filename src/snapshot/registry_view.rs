//! [`RegistryView`]: a snapshot that answers a registry's questions.

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, RecordBatch, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use uuid::Uuid;

use super::keys::{KeyColumn, Keys};
use super::rows::{Rows, ordered};
use super::sky_rows::SkyIndex;
use super::{Snapshot, SnapshotError, names, property, search_path};
use crate::dataset::{Collection, CollectionSearch, CollectionType, DatasetRef, DatasetType, FileRecord, StorageClass};
use crate::dimension::{DataId, DimensionGroup, DimensionValue, Element, Scope, Universe, near_miss};
use crate::registry::{Query, RegionState, RegistryError, RegistryReader, VisitDetectorQuery};

/// A snapshot that answers the questions of [`RegistryReader`], from the tables that [`Snapshot::build`] stored.
///
/// It knows what the snapshot was made for: dataset types, collections and files that were left out are unknown. Records of
/// an element that was left out are an error that says so. Making a view costs no pass over rows; a table's texts and
/// codes are checked when a question first needs it.
#[derive(Debug)]
pub struct RegistryView {
    snapshot: Snapshot,
    types: Vec<TypeEntry>,
    collections: Vec<Collection>,
    elements: Vec<(&'static Element, OnceLock<(RecordBatch, Keys)>)>,
    sky: OnceLock<SkyIndex>,
}

#[derive(Debug)]
struct TypeEntry {
    dataset_type: DatasetType,
    group: DimensionGroup,
    table: OnceLock<DatasetTable>,
}

/// The datasets of one type: a row for each collection that each is in, sorted by data ID, then by collection.
#[derive(Debug)]
struct DatasetTable {
    /// As a registry answers: id, run, dimensions; texts by dictionary.
    batch: RecordBatch,
    ids: FixedSizeBinaryArray,
    keys: Keys,
    runs: KeyColumn,
    run_names: Vec<Arc<str>>,
    /// For every row the position of its collection in `RegistryView::collections`, through `collection_of_code`.
    collections: KeyColumn,
    collection_of_code: Vec<Option<usize>>,
    implied: Vec<(&'static str, KeyColumn)>,
}

impl Snapshot {
    /// This snapshot as something that answers a registry's questions.
    ///
    /// # Errors
    /// [`RegistryError::Store`] when the snapshot was not made by [`Snapshot::build`], or is damaged.
    pub fn registry(&self) -> Result<RegistryView, RegistryError> {
        RegistryView::new(self.clone())
    }

    /// Which regions and WCSs of images it holds; `None` when it does not say, having none. A registry that has moved on is
    /// told by [`Registry::check_region_state`](crate::registry::Registry::check_region_state).
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] when what it says is no region state.
    pub fn region_state(&self) -> Result<Option<RegionState>, RegistryError> {
        self.property(property::REGION_STATE).map(str::parse).transpose()
    }
}

impl RegistryView {
    fn new(snapshot: Snapshot) -> Result<Self, RegistryError> {
        let types = read_types(&snapshot).map_err(|e| store("reading the dataset types of a snapshot", e))?;
        let collections = read_collections(&snapshot).map_err(|e| store("reading the collections of a snapshot", e))?;
        let types = types.into_iter().map(|dataset_type| {
            let group = Universe::builtin().group(dataset_type.dimensions.iter().map(|d| &**d))?;
            Ok(TypeEntry { dataset_type, group, table: OnceLock::new() })
        });
        let types = types.collect::<Result<_, RegistryError>>()?;
        let elements = Universe::builtin().elements().iter().map(|e| (e, OnceLock::new())).collect();
        Ok(Self { snapshot, types, collections, elements, sky: OnceLock::new() })
    }

    /// The snapshot.
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Where the images are, once that was asked for.
    pub(super) const fn sky(&self) -> &OnceLock<SkyIndex> {
        &self.sky
    }

    /// The stored records of an element with its keys.
    pub(super) fn records(&self, element: &'static Element) -> Result<&(RecordBatch, Keys), RegistryError> {
        if element.is_virtual() {
            let hint = "ask the sky map, whose definition is a record of `skymap`";
            return Err(RegistryError::VirtualElement { element: element.name.to_owned(), hint });
        }
        let doing = || {
            format!(
                "reading records of `{}` from snapshot `{}` (were they selected when it was made?)",
                element.name,
                self.snapshot.name()
            )
        };
        let cell = self.elements.iter().find(|(e, _)| e.name == element.name).map(|(_, cell)| cell);
        let Some(cell) = cell else { return Err(store(doing(), "there is no such element")) };
        if let Some(records) = cell.get() {
            return Ok(records);
        }
        let batch = self.snapshot.to_record_batch(&names::element(element.name)).map_err(|e| store(doing(), e))?;
        let keys = Keys::of(&batch, element.required).map_err(|e| store(doing(), e))?;
        if let Some((name, ..)) = element.columns().find(|c| batch.column_by_name(c.0).is_none()) {
            return Err(store(doing(), format!("column `{name}` is absent")));
        }
        Ok(cell.get_or_init(|| (batch, keys)))
    }

    pub(super) const fn known_collections(&self) -> &Vec<Collection> {
        &self.collections
    }

    fn entry(&self, name: &str) -> Result<&TypeEntry, RegistryError> {
        match self.types.binary_search_by(|t| (*t.dataset_type.name).cmp(name)) {
            Ok(at) => Ok(&self.types[at]),
            Err(_) => Err(RegistryError::UnknownDatasetType {
                name: name.to_owned(),
                near: near_miss(name, self.types.iter().map(|t| &*t.dataset_type.name)),
            }),
        }
    }

    fn table<'a>(&self, entry: &'a TypeEntry) -> Result<&'a DatasetTable, RegistryError> {
        if let Some(table) = entry.table.get() {
            return Ok(table);
        }
        let name = &entry.dataset_type.name;
        let doing = || format!("reading datasets `{name}` from snapshot `{}`", self.snapshot.name());
        let batch = self.snapshot.to_record_batch(&names::datasets(name)).map_err(|e| store(doing(), e))?;
        let table = self.dataset_table(&batch, &entry.group).map_err(|e| store(doing(), e))?;
        Ok(entry.table.get_or_init(|| table))
    }

    fn dataset_table(&self, batch: &RecordBatch, group: &DimensionGroup) -> Result<DatasetTable, String> {
        let column = |name: &str| KeyColumn::of(batch, name);
        let texts = |column: &KeyColumn, name: &str| match column {
            KeyColumn::Text(_, texts) => Ok(texts.clone()),
            KeyColumn::Int(_) => Err(format!("column `{name}` has no texts")),
        };
        let ids = batch.column_by_name("id").and_then(|a| a.as_fixed_size_binary_opt());
        let ids = ids.filter(|a| a.value_length() == 16 && a.null_count() == 0).ok_or("there are no identities")?;
        let (runs, collections) = (column("run")?, column(names::COLLECTION)?);
        let run_names = texts(&runs, "run")?.iter().flatten().map(Arc::from).collect();
        let collection_of_code = texts(&collections, names::COLLECTION)?;
        let collection_of_code = collection_of_code.iter().flatten();
        let find = |name: &str| self.collections.binary_search_by(|c| (*c.name).cmp(name)).ok();
        let answer: Vec<usize> =
            (0..batch.num_columns()).filter(|i| batch.schema_ref().field(*i).name() != names::COLLECTION).collect();
        Ok(DatasetTable {
            ids: ids.clone(),
            keys: Keys::of(batch, group.required())?,
            runs,
            run_names,
            collection_of_code: collection_of_code.map(find).collect(),
            collections,
            implied: group.implied().iter().map(|d| Ok((*d, column(d)?))).collect::<Result<_, String>>()?,
            batch: batch.project(&answer).map_err(|e| e.to_string())?,
        })
    }
}

impl DatasetTable {
    /// The dataset of a row, whose data ID is known when it has just the required values.
    fn dataset(&self, entry: &TypeEntry, row: usize, known: Option<&DataId>) -> DatasetRef {
        let required = entry.group.required();
        let data_id = match known {
            Some(id) if id.len() == required.len() => id.clone(),
            _ => required.iter().zip(&self.keys.columns).map(|(name, column)| (*name, column.value(row))).collect(),
        };
        let run = self.run_names.get(self.runs.code(row) as usize).cloned().unwrap_or_default();
        let id = Uuid::from_slice(self.ids.value(row)).unwrap_or_default();
        DatasetRef { id, dataset_type: entry.dataset_type.name.clone(), data_id, run }
    }

    /// For each code of the `collection` column, where the search path has it.
    fn ranks(&self, path: &[usize]) -> Vec<Option<usize>> {
        let rank = |at: &Option<usize>| at.and_then(|at| path.iter().position(|p| *p == at));
        self.collection_of_code.iter().map(rank).collect()
    }

    fn rank(&self, ranks: &[Option<usize>], row: usize) -> Option<usize> {
        ranks.get(self.collections.code(row) as usize).copied().flatten()
    }

    /// Rows in the default order: by data ID, then by the search path. A dataset that is in several of the collections comes
    /// once, where it is met first.
    fn rows(&self, path: &[usize], find_first: bool) -> Vec<u64> {
        let ranks = self.ranks(path);
        let mut rows = Vec::new();
        let mut group: Vec<(usize, usize)> = Vec::new();
        let mut start = 0;
        while start < self.keys.rows {
            let mut end = start + 1;
            while end < self.keys.rows && self.keys.same(start, end) {
                end += 1;
            }
            group.clear();
            group.extend((start..end).filter_map(|row| Some((self.rank(&ranks, row)?, row))));
            group.sort_unstable();
            let first_of_group = rows.len();
            for (_, row) in &group {
                let met = |other: &u64| self.ids.value(*other as usize) == self.ids.value(*row);
                if !rows[first_of_group..].iter().any(met) {
                    rows.push(*row as u64);
                }
                if find_first {
                    break;
                }
            }
            start = end;
        }
        rows
    }
}

impl RegistryReader for RegistryView {
    fn dataset_types(&self) -> Result<Vec<DatasetType>, RegistryError> {
        Ok(self.types.iter().map(|t| t.dataset_type.clone()).collect())
    }

    fn dataset_type(&self, name: &str) -> Result<DatasetType, RegistryError> {
        Ok(self.entry(name)?.dataset_type.clone())
    }

    fn collections(&self) -> Result<Vec<Collection>, RegistryError> {
        Ok(self.collections.clone())
    }

    fn dimension_records(&self, element: &str, query: &Query) -> Result<RecordBatch, RegistryError> {
        let element = Universe::builtin().element(element)?;
        let (batch, _) = self.records(element)?;
        let group = Universe::builtin().group(element.required.iter().copied())?;
        let scope = Scope::new(group, format!("`{}` records", element.name));
        let rows = Rows::new(self, &scope, batch, Some(element));
        let chosen = rows.chosen(query, None)?;
        let schema = element.schema();
        let columns = schema.fields().iter().map(|field| plain(batch, field.name(), &chosen));
        columns
            .collect::<Result<Vec<_>, _>>()
            .and_then(|columns| RecordBatch::try_new(schema.clone(), columns))
            .map_err(|e| store(format!("reading records of `{}` from a snapshot", element.name), e))
    }

    fn visit_detectors(&self, query: &VisitDetectorQuery) -> Result<RecordBatch, RegistryError> {
        self.find_visit_detectors(query)
    }

    fn datasets(
        &self,
        dataset_type: &str,
        collections: &[&str],
        query: &Query,
        find_first: bool,
    ) -> Result<RecordBatch, RegistryError> {
        let entry = self.entry(dataset_type)?;
        let names = CollectionSearch::names_for(collections, dataset_type)?;
        let path = search_path::expand(&self.collections, &names, find_first)?;
        let table = self.table(entry)?;
        let scope = Scope::new(entry.group.clone(), format!("`{dataset_type}` {}", entry.group));
        let rows = Rows::new(self, &scope, &table.batch, None);
        let chosen = rows.chosen(query, Some(table.rows(&path, find_first)))?;
        let fields = table.batch.schema_ref().fields().iter();
        let fields = fields.map(|f| Field::new(f.name(), names::plain_type(f.data_type()), f.is_nullable()));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let columns = schema.fields().iter().map(|field| plain(&table.batch, field.name(), &chosen));
        columns
            .collect::<Result<Vec<_>, _>>()
            .and_then(|columns| RecordBatch::try_new(schema.clone(), columns))
            .map_err(|e| store(format!("reading datasets `{dataset_type}` from a snapshot"), e))
    }

    fn find_dataset(
        &self,
        dataset_type: &str,
        data_id: &DataId,
        collections: &[&str],
    ) -> Result<Option<DatasetRef>, RegistryError> {
        let entry = self.entry(dataset_type)?;
        entry.group.check_at_least(data_id)?;
        let names = CollectionSearch::names_for(collections, dataset_type)?;
        let path = search_path::expand(&self.collections, &names, true)?;
        let table = self.table(entry)?;
        let mut codes = [0; 16];
        let mut used = 0;
        for ((name, column), code) in entry.group.required().iter().zip(&table.keys.columns).zip(&mut codes) {
            let Some(found) = data_id.get(name).and_then(|value| column.code_of(value)) else { return Ok(None) };
            *code = found;
            used += 1;
        }
        let agrees = |row: usize| {
            table.implied.iter().all(|(name, column)| data_id.get(name).is_none_or(|v| column.value(row) == *v))
        };
        let best = table.keys.range(&codes[..used]).filter_map(|row| {
            let at = (*table.collection_of_code.get(table.collections.code(row) as usize)?)?;
            Some((path.iter().position(|p| *p == at)?, row))
        });
        let best = best.min().filter(|(_, row)| agrees(*row));
        Ok(best.map(|(_, row)| table.dataset(entry, row, Some(data_id))))
    }

    fn calibrations(
        &self,
        dataset_type: &str,
        collections: &[&str],
        query: &Query,
    ) -> Result<RecordBatch, RegistryError> {
        self.find_valid(dataset_type, collections, query)
    }

    fn dataset(&self, id: Uuid) -> Result<Option<DatasetRef>, RegistryError> {
        let doing = || format!("looking for dataset {id} in snapshot `{}`", self.snapshot.name());
        let index = self.snapshot.table(names::DATASET_IDS).map_err(|e| store(doing(), e))?;
        let find = || -> Result<Option<(String, usize)>, SnapshotError> {
            let Ok(at) = index.column_uuid("id")?.binary_search(id.as_bytes()) else { return Ok(None) };
            let row = index.column_u64("row")?.get(at).copied().unwrap_or(u64::MAX);
            Ok(Some((index.column_str("dataset_type")?.get(at)?.to_owned(), row as usize)))
        };
        let Some((dataset_type, row)) = find().map_err(|e| store(doing(), e))? else { return Ok(None) };
        let entry = self.entry(&dataset_type)?;
        let table = self.table(entry)?;
        if row >= table.keys.rows {
            return Err(store(doing(), format!("row {row} is beyond the end of `{dataset_type}`")));
        }
        Ok(Some(table.dataset(entry, row, None)))
    }

    fn file_records(&self, ids: &[Uuid]) -> Result<Vec<Option<FileRecord>>, RegistryError> {
        let doing = || format!("looking for files in snapshot `{}` (were they selected?)", self.snapshot.name());
        let read = || -> Result<Vec<Option<FileRecord>>, SnapshotError> {
            let files = self.snapshot.table(names::FILES)?;
            let (keys, paths, formats) =
                (files.column_uuid("id")?, files.column_str("path")?, files.column_str("format")?);
            let (sizes, checksums) = (files.column_u64("size")?, files.column_u64("checksum")?);
            let mut last: Option<(&str, crate::dataset::Format)> = None;
            let mut record = |id: &Uuid| {
                let Ok(row) = keys.binary_search(id.as_bytes()) else { return Ok(None) };
                let text = formats.get(row)?;
                let format = match &last {
                    Some((same, format)) if *same == text => format.clone(),
                    _ => serde_json::from_str(text).map_err(|e| {
                        let place = format!("table `{}`, column `format`, row {row}", names::FILES);
                        super::format::damaged(self.snapshot.name(), place, e.to_string())
                    })?,
                };
                last = Some((text, format.clone()));
                let number = |column: &[u64]| column.get(row).copied().unwrap_or_default();
                let (size, checksum) = (number(sizes), number(checksums));
                Ok(Some(FileRecord { path: paths.get(row)?.to_owned(), format, size, checksum }))
            };
            ids.iter().map(&mut record).collect()
        };
        read().map_err(|e| store(doing(), e))
    }

    fn sky_map_definition(&self, name: &str) -> Result<String, RegistryError> {
        let (batch, keys) = self.records(Universe::builtin().element("skymap")?)?;
        let key = keys.columns.first();
        let code = key.and_then(|column| column.code_of(&DimensionValue::from(name)));
        if let Some(row) = code.and_then(|code| keys.first(&[code]))
            && let Some(texts) = batch.column_by_name("definition").and_then(|a| a.as_string_opt::<i32>())
        {
            return Ok(texts.value(row).to_owned());
        }
        let known = match key {
            Some(KeyColumn::Text(_, texts)) => near_miss(name, texts.iter().flatten()),
            _ => None,
        };
        Err(RegistryError::UnknownSkyMap { name: name.to_owned(), near: known })
    }

    fn region_state(&self) -> Result<RegionState, RegistryError> {
        let doing = || format!("asking snapshot `{}` for its region state", self.snapshot.name());
        self.snapshot.region_state()?.ok_or_else(|| store(doing(), "it does not say: it was made by an older bunter"))
    }
}

/// Rows of a column as a registry answers them: texts plain.
pub(super) fn plain(batch: &RecordBatch, name: &str, rows: &UInt64Array) -> Result<ArrayRef, ArrowError> {
    let column = batch.column_by_name(name);
    let column = column.ok_or_else(|| ArrowError::SchemaError(format!("there is no column `{name}`")))?;
    let all = rows.len() == column.len() && ordered(rows);
    let taken = if all { column.clone() } else { take(column, rows, None)? };
    match super::keys::dictionary(&taken) {
        Some((codes, texts)) => take(&texts, &codes, None),
        None => Ok(taken),
    }
}

/// The error of a store that cannot be read.
pub(super) fn store(
    doing: impl Into<String>,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> RegistryError {
    RegistryError::Store { doing: doing.into(), source: source.into() }
}

fn read_types(snapshot: &Snapshot) -> Result<Vec<DatasetType>, SnapshotError> {
    let table = snapshot.table(names::DATASET_TYPES)?;
    let (name, dimensions, class) =
        (table.column_str("name")?, table.column_str("dimensions")?, table.column_str("storage_class")?);
    let read = |row: usize| {
        let class = class.get(row)?;
        let storage_class = StorageClass::ALL.into_iter().find(|c| c.name() == class).ok_or_else(|| {
            let place = format!("table `{}`, row {row}", names::DATASET_TYPES);
            super::format::damaged(snapshot.name(), place, format!("there is no storage class `{class}`"))
        })?;
        let dimensions = dimensions.get(row)?.split(',').filter(|d| !d.is_empty()).map(Arc::from).collect();
        Ok(DatasetType { name: name.get(row)?.into(), dimensions, storage_class })
    };
    let mut types = (0..table.rows()).map(read).collect::<Result<Vec<_>, SnapshotError>>()?;
    types.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(types)
}

fn read_collections(snapshot: &Snapshot) -> Result<Vec<Collection>, SnapshotError> {
    let table = snapshot.table(names::COLLECTIONS)?;
    let (name, code) = (table.column_str("name")?, table.column_i64("type")?);
    let mut collections = Vec::new();
    for (row, code) in code.iter().enumerate() {
        let collection_type = CollectionType::from_code(*code).ok_or_else(|| {
            let place = format!("table `{}`, row {row}", names::COLLECTIONS);
            super::format::damaged(snapshot.name(), place, format!("there is no collection type {code}"))
        })?;
        collections.push(Collection { name: name.get(row)?.into(), collection_type, children: Vec::new() });
    }
    collections.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let chains = snapshot.table(names::CHAINS)?;
    let (parent, child) = (chains.column_str("parent")?, chains.column_str("child")?);
    for row in 0..chains.rows() {
        let parent = parent.get(row)?;
        if let Ok(at) = collections.binary_search_by(|c| (*c.name).cmp(parent)) {
            collections[at].children.push(child.get(row)?.into());
        }
    }
    Ok(collections)
}
