//! [`Selection`]: what of a registry a snapshot is made of, and [`Snapshot::build`], which makes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, LargeStringArray, RecordBatch, StringArray, UInt64Array, UInt64Builder,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use rayon::prelude::*;
use uuid::Uuid;

use super::keys::{self, Keys};
use super::registry_view::store;
use super::{Snapshot, SnapshotBuilder, names, property, search_path};
use crate::dataset::{Collection, CollectionSearch, CollectionType, DatasetType};
use crate::dimension::{Element, Expression, Universe};
use crate::registry::{Query, RegistryError, RegistryReader};

/// What of a registry a snapshot is made of.
///
/// ```
/// use bunter::{Expression, snapshot::Selection};
///
/// let filter = Expression::parse("visit.exposure_time > 30").unwrap();
/// let selection = Selection::new(["HSC/runs/w30"])
///     .with_datasets("calexp", Some(filter))
///     .with_datasets("calibrateImage_metadata", None);
/// assert_eq!(selection.dataset_types().count(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    collections: Vec<String>,
    datasets: BTreeMap<String, Option<Expression>>,
    elements: BTreeMap<String, Option<Expression>>,
    no_files: bool,
}

impl Selection {
    /// Nothing yet, of these collections: names, CHAINED ones with all that they lead to, or patterns.
    pub fn new(collections: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { collections: collections.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// With the datasets of a type, or those for which an expression is true. Their types' dimensions come with them: the
    /// records of all stored elements that an expression over these datasets may name.
    #[must_use]
    pub fn with_datasets(mut self, dataset_type: impl Into<String>, filter: Option<Expression>) -> Self {
        self.datasets.insert(dataset_type.into(), filter);
        self
    }

    /// With the records of an element, or those for which an expression is true. For an element that comes with the
    /// datasets, this narrows what comes.
    #[must_use]
    pub fn with_records(mut self, element: impl Into<String>, filter: Option<Expression>) -> Self {
        self.elements.insert(element.into(), filter);
        self
    }

    /// Without the file records of the datasets.
    #[must_use]
    pub fn without_files(mut self) -> Self {
        self.no_files = true;
        self
    }

    /// The dataset types selected.
    pub fn dataset_types(&self) -> impl Iterator<Item = &str> {
        self.datasets.keys().map(String::as_str)
    }
}

/// File records asked for at once: bounds the size of a statement and of what is in memory twice.
const FILES_AT_ONCE: usize = 10_000;
/// How often a snapshot is begun anew because regions changed while they were read.
const TRIES: usize = 3;

impl Snapshot {
    /// Makes a snapshot of a selection. To the builder returned the caller adds properties and own tables, and writes it;
    /// [`Snapshot::registry`] then answers as `reader` does for what was selected, and [`Snapshot::region_state`] says of
    /// which regions it is.
    ///
    /// A registry that others write to meanwhile is best asked [at one moment](crate::registry::Registry::at_this_moment).
    ///
    /// # Errors
    /// Those of `reader`; [`RegistryError::Store`] when an answer cannot be stored; [`RegistryError::StaleRegions`] when the
    /// regions changed, time and again, while they were read.
    pub fn build(reader: &dyn RegistryReader, selection: &Selection) -> Result<SnapshotBuilder, RegistryError> {
        let mut state = reader.region_state()?;
        for _ in 0..TRIES {
            let mut builder = Self::gather(reader, selection)?;
            let after = reader.region_state()?;
            if after == state {
                builder.set_property(property::REGION_STATE, state.to_string());
                return Ok(builder);
            }
            state = after;
        }
        Err(RegistryError::StaleRegions {
            what: "what was read for a snapshot".to_owned(),
            from: state,
            to: reader.region_state()?,
            since: "they change faster than they are read".to_owned(),
            hint: "make the snapshot of `Registry::at_this_moment`, or when the writer has finished",
        })
    }

    /// One pass over the questions that the tables answer.
    fn gather(reader: &dyn RegistryReader, selection: &Selection) -> Result<SnapshotBuilder, RegistryError> {
        let mut builder = SnapshotBuilder::new();
        let collections = selected_collections(reader, selection)?;
        add_collections(&mut builder, &collections)?;
        let types = selection.dataset_types().map(|name| reader.dataset_type(name)).collect::<Result<Vec<_>, _>>()?;
        add_types(&mut builder, &types)?;

        let universe = Universe::builtin();
        let mut elements: BTreeMap<&str, &'static Element> = BTreeMap::new();
        // Sky maps are few, and everything that is coadded needs theirs.
        for name in selection.elements.keys().map(String::as_str).chain(["skymap"]) {
            let element = universe.element(name)?;
            elements.insert(element.name, element);
        }
        let mut identities: Vec<([u8; 16], u32, u64)> = Vec::new();
        for (number, dataset_type) in types.iter().enumerate() {
            let group = universe.group(dataset_type.dimensions.iter().map(|d| &**d))?;
            elements.extend(group.elements().filter(|e| !e.is_virtual()).map(|e| (e.name, e)));
            let filter = selection.datasets.get(&*dataset_type.name).cloned().flatten();
            let batch = datasets(reader, dataset_type, &collections, filter, group.required())?;
            let ids = batch.column_by_name("id").and_then(|a| a.as_fixed_size_binary_opt());
            let ids = ids.filter(|a| a.value_length() == 16).ok_or_else(|| store(MAKING, "datasets have no `id`"))?;
            let mut id = [0; 16];
            for row in 0..ids.len() {
                id.copy_from_slice(ids.value(row));
                identities.push((id, number as u32, row as u64));
            }
            add(&mut builder, &names::datasets(&dataset_type.name), &batch)?;
            add_calibrations(&mut builder, reader, dataset_type, &collections, selection)?;
        }
        identities.par_sort_unstable();
        // A dataset in several collections has a row in each; its first stands for it.
        identities.dedup_by_key(|(id, ..)| *id);
        add_identities(&mut builder, &identities, &types)?;
        for element in elements.values() {
            let filter = selection.elements.get(element.name).cloned().flatten();
            let batch = reader.dimension_records(element.name, &Query { filter, ..Query::default() })?;
            let keys: Vec<&str> = element.required.iter().chain(element.implied).copied().collect();
            add(&mut builder, &names::element(element.name), &coded(&batch, &keys).map_err(|e| store(MAKING, e))?)?;
        }
        if !selection.no_files {
            add_files(&mut builder, reader, &identities)?;
        }
        Ok(builder)
    }
}

const MAKING: &str = "making a snapshot";

fn add(builder: &mut SnapshotBuilder, name: &str, batch: &RecordBatch) -> Result<(), RegistryError> {
    builder.add_table(name, batch).map(drop).map_err(|e| store(MAKING, e))
}

/// All collections that are searched, with the chains that lead to them.
fn selected_collections(reader: &dyn RegistryReader, selection: &Selection) -> Result<Vec<Collection>, RegistryError> {
    let mut known = reader.collections()?;
    known.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let search = CollectionSearch::parse(&selection.collections)?;
    let wanted = search.all();
    let mut chosen: Vec<bool> = vec![false; known.len()];
    for at in search_path::expand(&known, &wanted, false)? {
        chosen[at] = true;
    }
    // A chain is kept when it was asked for, or when all that it leads to is here: its answers are then the registry's.
    for (at, collection) in known.iter().enumerate() {
        if collection.collection_type == CollectionType::Chained {
            let reached = search_path::expand(&known, &[&*collection.name], false)?;
            chosen[at] = wanted.contains(&&*collection.name) || reached.iter().all(|member| chosen[*member]);
        }
    }
    let mut keep = chosen.into_iter();
    known.retain(|_| keep.next().unwrap_or(false));
    Ok(known)
}

/// The validity ranges of a type's datasets in the CALIBRATION collections, where there are such.
fn add_calibrations(
    builder: &mut SnapshotBuilder,
    reader: &dyn RegistryReader,
    dataset_type: &DatasetType,
    collections: &[Collection],
    selection: &Selection,
) -> Result<(), RegistryError> {
    let of_calibrations = collections.iter().filter(|c| c.collection_type == CollectionType::Calibration);
    let entries: Vec<String> = of_calibrations.map(|c| format!("*={}", c.name)).collect();
    if entries.is_empty() {
        return Ok(());
    }
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    let filter = selection.datasets.get(&*dataset_type.name).cloned().flatten();
    let batch = reader.calibrations(&dataset_type.name, &entries, &Query { filter, ..Query::default() })?;
    add(builder, &names::calibrations(&dataset_type.name), &coded(&batch, &ALL).map_err(|e| store(MAKING, e))?)
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<StringArray>())
}

fn table<const N: usize>(columns: [(&str, ArrayRef); N]) -> Result<RecordBatch, RegistryError> {
    let fields = columns.iter().map(|(name, a)| Field::new(*name, a.data_type().clone(), false)).collect::<Vec<_>>();
    let arrays = columns.into_iter().map(|(_, a)| a).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|e| store(MAKING, e))
}

fn add_collections(builder: &mut SnapshotBuilder, collections: &[Collection]) -> Result<(), RegistryError> {
    let codes: Int64Array = collections.iter().map(|c| Some(c.collection_type.code())).collect();
    let batch = table([("name", texts(collections.iter().map(|c| &*c.name))), ("type", Arc::new(codes))])?;
    add(builder, names::COLLECTIONS, &batch)?;
    let links = || collections.iter().flat_map(|c| c.children.iter().map(|child| (&*c.name, &**child)));
    let batch = table([("parent", texts(links().map(|l| l.0))), ("child", texts(links().map(|l| l.1)))])?;
    add(builder, names::CHAINS, &batch)
}

fn add_types(builder: &mut SnapshotBuilder, types: &[DatasetType]) -> Result<(), RegistryError> {
    let dimensions: Vec<String> = types.iter().map(|t| t.dimensions.join(",")).collect();
    let batch = table([
        ("name", texts(types.iter().map(|t| &*t.name))),
        ("dimensions", texts(dimensions.iter().map(String::as_str))),
        ("storage_class", texts(types.iter().map(|t| t.storage_class.name()))),
    ])?;
    add(builder, names::DATASET_TYPES, &batch)
}

fn add_identities(
    builder: &mut SnapshotBuilder,
    identities: &[([u8; 16], u32, u64)],
    types: &[DatasetType],
) -> Result<(), RegistryError> {
    let type_names = identities.iter().filter_map(|(_, number, _)| types.get(*number as usize)).map(|t| Some(&*t.name));
    let dataset_type: ArrayRef = Arc::new(keys::encode(&type_names.collect()));
    let rows: UInt64Array = identities.iter().map(|i| Some(i.2)).collect();
    let batch = table([("id", uuids(identities)?), ("dataset_type", dataset_type), ("row", Arc::new(rows))])?;
    add(builder, names::DATASET_IDS, &batch)
}

fn uuids(identities: &[([u8; 16], u32, u64)]) -> Result<ArrayRef, RegistryError> {
    let bytes: Vec<u8> = identities.iter().flat_map(|i| i.0).collect();
    let array = arrow::array::FixedSizeBinaryArray::try_new(16, bytes.into(), None);
    array.map(|a| Arc::new(a) as ArrayRef).map_err(|e| store(MAKING, e))
}

/// The datasets of a type: a row for each collection that each is in, sorted by data ID, then by collection.
fn datasets(
    reader: &dyn RegistryReader,
    dataset_type: &DatasetType,
    collections: &[Collection],
    filter: Option<Expression>,
    required: &[&'static str],
) -> Result<RecordBatch, RegistryError> {
    let query = Query { filter, ..Query::default() };
    let ask = |collections: &[&str]| {
        let entries: Vec<String> = collections.iter().map(|name| format!("*={name}")).collect();
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        reader.datasets(&dataset_type.name, &entries, &query, false)
    };
    let of = |kind: CollectionType| collections.iter().filter(move |c| c.collection_type == kind).map(|c| &*c.name);
    let runs: Vec<&str> = of(CollectionType::Run).collect();
    // A dataset is in its run and nowhere else of that kind: one question answers for all runs.
    let in_runs = ask(&runs)?;
    let mut parts = Vec::new();
    let run = in_runs.column_by_name("run").cloned().ok_or_else(|| store(MAKING, "datasets have no `run`"))?;
    parts.push(with_collection(&in_runs, run)?);
    for name in of(CollectionType::Tagged).chain(of(CollectionType::Calibration)) {
        let members = ask(&[name])?;
        let column = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(name, members.num_rows())));
        parts.push(with_collection(&members, column)?);
    }
    let sorted = || -> Result<RecordBatch, ArrowError> {
        let all = concat_batches(parts[0].schema_ref(), &parts)?;
        let coded = coded(&all, &ALL)?;
        let by = [required, &[names::COLLECTION]].concat();
        let keys = Keys::of(&coded, &by).map_err(ArrowError::InvalidArgumentError)?;
        let mut order: Vec<u64> = (0..coded.num_rows() as u64).collect();
        let key = |row: u64| keys.columns.iter().map(move |c| c.code(row as usize));
        if !order.is_sorted_by(|a, b| key(*a).le(key(*b))) {
            order.par_sort_by(|a, b| key(*a).cmp(key(*b)));
            return take_record_batch(&coded, &UInt64Array::from(order));
        }
        Ok(coded)
    };
    sorted().map_err(|e| store(MAKING, e))
}

/// Marks that all columns of texts are to be coded.
const ALL: [&str; 0] = [];

fn with_collection(batch: &RecordBatch, collection: ArrayRef) -> Result<RecordBatch, RegistryError> {
    let mut fields: Vec<_> = batch.schema_ref().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(names::COLLECTION, DataType::Utf8, false)));
    let columns = batch.columns().iter().cloned().chain([collection]).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|e| store(MAKING, e))
}

/// The batch with its columns of texts among `columns` (or all of them) by sorted dictionary.
fn coded(batch: &RecordBatch, columns: &[&str]) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let wanted = columns.is_empty() || columns.contains(&field.name().as_str());
        let array: ArrayRef = match array.as_string_opt::<i32>() {
            Some(texts) if wanted => Arc::new(keys::encode(texts)),
            _ => array.clone(),
        };
        fields.push(Field::new(field.name(), array.data_type().clone(), field.is_nullable()));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

fn add_files(
    builder: &mut SnapshotBuilder,
    reader: &dyn RegistryReader,
    identities: &[([u8; 16], u32, u64)],
) -> Result<(), RegistryError> {
    let mut present: Vec<([u8; 16], u32, u64)> = Vec::new();
    let mut paths = arrow::array::LargeStringBuilder::new();
    let mut formats: Vec<Arc<str>> = Vec::new();
    let (mut sizes, mut checksums) = (UInt64Builder::new(), UInt64Builder::new());
    for chunk in identities.chunks(FILES_AT_ONCE) {
        let ids: Vec<Uuid> = chunk.iter().map(|i| Uuid::from_bytes(i.0)).collect();
        for (identity, record) in chunk.iter().zip(reader.file_records(&ids)?) {
            let Some(record) = record else { continue };
            present.push(*identity);
            paths.append_value(&record.path);
            let format = serde_json::to_string(&record.format).map_err(|e| store(MAKING, e))?;
            match formats.last() {
                Some(last) if **last == *format => formats.push(last.clone()),
                _ => formats.push(format.into()),
            }
            sizes.append_value(record.size);
            checksums.append_value(record.checksum);
        }
    }
    let format: ArrayRef = Arc::new(keys::encode(&formats.iter().map(|f| Some(&**f)).collect()));
    let paths: LargeStringArray = paths.finish();
    let batch = table([
        ("id", uuids(&present)?),
        ("path", Arc::new(paths)),
        ("format", format),
        ("size", Arc::new(sizes.finish())),
        ("checksum", Arc::new(checksums.finish())),
    ])?;
    add(builder, names::FILES, &batch)
}
