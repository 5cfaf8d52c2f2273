//! Reading tables out of HDF5: compound datasets, and groups of columns.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, make_array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt8Type};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::util::display::array_value_to_string;
use hdf5::LocationType;

use super::hdf5_raw::{RawTable, attribute, is_compound, member_names};
use super::nested::{element_of, flatten, wrap};
use super::reader::{clamp, projection};
use super::{BatchSource, TableOptions};
use crate::datastore::error::{DatastoreError, Result};

/// Bytes of a batch at most, unless a single row has more.
const BATCH_BYTES: usize = 128 << 20;
/// Bytes of chunks that are kept unpacked, a dataset: a chunk that is parted by two batches is unpacked once.
const CHUNK_CACHE: usize = 64 << 20;
/// Objects of a file that are looked at to find its table.
const OBJECTS: usize = 10_000;
const DEPTH: usize = 16;
/// astropy keeps a table's units in a dataset beside it.
const ASTROPY: &str = ".__table_column_meta__";
/// What the library, `PyTables` and Bunter keep for themselves.
const OWN: [&str; 13] = [
    "CLASS",
    "VERSION",
    "NROWS",
    "DIMENSION_LIST",
    "REFERENCE_LIST",
    "_Netcdf4Dimid",
    "_Netcdf4Coordinates",
    "column",
    "type",
    "arrow_type",
    "nullable",
    "rows",
    "version",
];

pub(super) struct Hdf5Source {
    path: PathBuf,
    object: String,
    columns: Vec<Column>,
    tables: Vec<RawTable>,
    schema: SchemaRef,
    total: u64,
    rows: Range<u64>,
    batch_rows: usize,
}

/// A column of the table that is read.
struct Column {
    /// The dataset among those read, and the column there.
    table: usize,
    at: usize,
    /// The dataset that says which values there are.
    valid: Option<usize>,
    /// Logicals that are kept as bytes.
    logical: bool,
    /// The type of the writer, where HDF5 has none like it.
    cast: Option<DataType>,
}

/// A column as it is found.
struct Found {
    name: String,
    dataset: hdf5::Dataset,
    /// The place of a member in its compound.
    member: usize,
    object: String,
}

impl Hdf5Source {
    pub(super) fn open(path: &Path, object: Option<&str>, options: &TableOptions) -> Result<Self> {
        let file = hdf5::File::with_options()
            .with_fapl(|p| p.file_locking(false).chunk_cache(521, CHUNK_CACHE, 1.0))
            .open(path)
            .map_err(|e| DatastoreError::hdf5(path, "/", &e))?;
        let object = match object {
            Some(object) => named(path, &file, object)?,
            None => only(path, &file)?,
        };
        let failed = |e: &hdf5::Error| DatastoreError::hdf5(path, object.clone(), e);
        let kind = file.loc_type_by_name(&object).map_err(|e| failed(&e))?;
        let mut metadata = HashMap::new();
        let found = if kind == LocationType::Dataset {
            let dataset = file.dataset(&object).map_err(|e| failed(&e))?;
            metadata.extend(attributes(&dataset));
            let names = member_names(&dataset).map_err(|e| failed(&e))?;
            let found = |(member, name): (usize, String)| Found {
                object: format!("{object}/{name}"),
                name,
                dataset: dataset.clone(),
                member,
            };
            names.into_iter().enumerate().map(found).collect()
        } else {
            let group = file.group(&object).map_err(|e| failed(&e))?;
            metadata.extend(attributes(&group));
            group_columns(&group, &object).map_err(|e| failed(&e))?
        };
        let total = found.first().map_or(0, |f| f.dataset.shape().first().copied().unwrap_or(0) as u64);
        // A table without columns has its number of rows beside.
        let rows = file.group(&object).ok().and_then(|g| g.attr("rows").and_then(|a| a.read_scalar::<u64>()).ok());
        let total = if found.is_empty() { rows.unwrap_or(0) } else { total };
        if let Some(other) = found.iter().find(|f| f.dataset.shape().first().copied().unwrap_or(0) as u64 != total) {
            let reason = format!("{:?} values in a table of {total} rows", other.dataset.shape());
            return Err(DatastoreError::damaged(path, other.object.clone(), reason));
        }
        // Rows that were never written read as zeros: a hostile number of them would go on for ever.
        let length = std::fs::metadata(path).map_or(0, |m| m.len());
        for column in &found {
            let dataset = &column.dataset;
            let shrunk = match dataset.filters().as_slice() {
                _ if !dataset.is_chunked() => 1,
                [] | [hdf5::filters::Filter::Shuffle] => 1,
                // Deflate shrinks to a thousandth at best; of others nothing is known.
                filters if filters.iter().any(|f| matches!(f, hdf5::filters::Filter::Deflate(_))) => 1100,
                _ => 1 << 20,
            };
            let bytes = dataset
                .shape()
                .iter()
                .try_fold(dataset.dtype().map_or(1, |t| t.size()) as u64, |n, side| n.checked_mul(*side as u64));
            if bytes.is_none_or(|b| b > length.saturating_mul(shrunk)) {
                let reason = format!("truncated: its shape {:?} needs more bytes than the file has", dataset.shape());
                return Err(DatastoreError::damaged(path, column.object.clone(), reason));
            }
        }
        let known: Vec<&str> = found.iter().map(|f| f.name.as_str()).collect();
        let wanted = projection(path, &known, options.columns.as_deref())?;
        let units = astropy_units(&file, &object);
        let mut source = Self {
            path: path.to_owned(),
            object,
            columns: Vec::new(),
            tables: Vec::new(),
            schema: Arc::new(Schema::empty()),
            total,
            rows: clamp(options.rows.as_ref(), total),
            batch_rows: 1,
        };
        let fields = source.add(&file, kind == LocationType::Dataset, &found, &wanted, &units)?;
        source.schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        let row: usize = source.tables.iter().map(|t| t.pitch).sum();
        source.batch_rows = options.batch_rows.clamp(1, (BATCH_BYTES / row.max(1)).max(1));
        Ok(source)
    }

    /// Prepares the columns that are wanted.
    fn add(
        &mut self,
        file: &hdf5::File,
        compound: bool,
        found: &[Found],
        wanted: &[usize],
        units: &HashMap<String, String>,
    ) -> Result<Vec<Field>> {
        let path = self.path.clone();
        let refused = |object: &str| {
            let object = object.to_owned();
            let path = path.clone();
            move |(column, what): (String, String)| {
                let name = if column.is_empty() { object } else { column };
                DatastoreError::unsupported(&path, format!("column `{name}` is {what}, which cannot be read"))
            }
        };
        if compound && let Some(first) = found.first() {
            let members: Vec<usize> = wanted.iter().map(|w| found[*w].member).collect();
            let mut unique = members.clone();
            unique.sort_unstable();
            unique.dedup();
            let table = RawTable::new(first.dataset.clone(), &unique).map_err(refused(&self.object))?;
            let fields = members.iter().map(|member| {
                let at = unique.partition_point(|u| u < member);
                self.columns.push(Column { table: 0, at, valid: None, logical: false, cast: None });
                let column = &table.columns[at];
                let mut field = Field::new(&column.name, column.data_type(), true);
                if let Some(unit) = units.get(&column.name) {
                    field.set_metadata(HashMap::from([("unit".to_owned(), unit.clone())]));
                }
                field
            });
            let fields = fields.collect();
            self.tables.push(table);
            return Ok(fields);
        }
        let mut fields = Vec::new();
        for at in wanted {
            let Found { name, dataset, object, .. } = &found[*at];
            let table = RawTable::new(dataset.clone(), &[]).map_err(refused(object))?;
            let text = |attr: &str| dataset.attr(attr).ok().as_ref().and_then(attribute).and_then(|a| display(&a));
            let logical = text("type").as_deref() == Some("Boolean")
                && *element_of(&table.columns[0].data_type()).0 == DataType::UInt8;
            let mut data_type = table.columns[0].data_type();
            if logical {
                data_type = super::nested::wrapped_type(&DataType::Boolean, &table.columns[0].dims);
            }
            let cast = match text("arrow_type") {
                Some(name) => {
                    let wanted = name.parse::<DataType>().ok();
                    let wanted = wanted.filter(|w| arrow::compute::can_cast_types(&data_type, w)).ok_or_else(|| {
                        let reason = format!("its attribute arrow_type, `{name}`, is no type that {data_type} becomes");
                        DatastoreError::damaged(&path, object.clone(), reason)
                    })?;
                    data_type = wanted.clone();
                    Some(wanted)
                }
                None => None,
            };
            let shape = dataset.shape();
            self.tables.push(table);
            let column = self.tables.len() - 1;
            let mut valid = None;
            let flags = format!("{object}.valid");
            if dataset.attr("column").is_ok() && file.link_exists(&flags) {
                let dataset = file.dataset(&flags).map_err(|e| DatastoreError::hdf5(&path, flags.clone(), &e))?;
                if dataset.shape() != shape && dataset.shape() != shape[..1] {
                    let reason = format!("flags of shape {:?} for values of shape {shape:?}", dataset.shape());
                    return Err(DatastoreError::damaged(&path, flags, reason));
                }
                let table = RawTable::new(dataset, &[]).map_err(refused(&flags))?;
                if *element_of(&table.columns[0].data_type()).0 != DataType::UInt8 {
                    return Err(DatastoreError::damaged(&path, flags, "flags are bytes"));
                }
                self.tables.push(table);
                valid = Some(self.tables.len() - 1);
            }
            let declared = dataset.attr("nullable").and_then(|a| a.read_scalar::<u8>()).map_or(true, |n| n != 0);
            let mut metadata = attributes(dataset);
            // Units have two names in the wild.
            if let Some(units) = metadata.remove("units") {
                metadata.entry("unit".to_owned()).or_insert(units);
            }
            fields.push(Field::new(name, data_type, declared || valid.is_some()).with_metadata(metadata));
            self.columns.push(Column { table: column, at: 0, valid, logical, cast });
        }
        Ok(fields)
    }

    fn column(&self, n: usize, rows: &[super::hdf5_raw::RawRows<'_>]) -> Result<ArrayRef> {
        let column = &self.columns[n];
        let field = self.schema.field(n);
        let bad = |(row, problem): (usize, String)| DatastoreError::BadRow {
            path: self.path.clone(),
            row: self.rows.start + row as u64 + 1,
            column: field.name().clone(),
            problem,
        };
        let damaged = |e: arrow::error::ArrowError| {
            DatastoreError::damaged(&self.path, format!("{}/{}", self.object, field.name()), e.to_string())
        };
        let mut array = rows[column.table].column(column.at).map_err(bad)?;
        let count = array.len();
        if column.logical || column.valid.is_some() {
            let dims = self.tables[column.table].columns[column.at].dims.clone();
            let mut flat = flatten(&array).map_err(damaged)?;
            if column.logical {
                flat = arrow::compute::cast(&flat, &DataType::Boolean).map_err(damaged)?;
            }
            if let Some(valid) = column.valid {
                let flags = flatten(&rows[valid].column(0).map_err(bad)?).map_err(damaged)?;
                let flags = flags.as_primitive::<UInt8Type>();
                let each = (flat.len() / flags.len().max(1)).max(1);
                let valid = BooleanBuffer::collect_bool(flat.len(), |i| flags.value(i / each) != 0);
                let data = flat.to_data().into_builder().nulls(Some(NullBuffer::new(valid)));
                flat = make_array(data.build().map_err(damaged)?);
            }
            array = wrap(flat, &dims, count).map_err(damaged)?;
        }
        match &column.cast {
            Some(wanted) => arrow::compute::cast(&array, wanted).map_err(damaged),
            None => Ok(array),
        }
    }
}

impl BatchSource for Hdf5Source {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn rows(&self) -> Option<u64> {
        Some(self.total)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let left = self.rows.end.saturating_sub(self.rows.start);
        if left == 0 {
            return Ok(None);
        }
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(self.batch_rows);
        let damaged = |e: String| DatastoreError::damaged(&self.path, self.object.clone(), e);
        let rows =
            self.tables.iter().map(|t| t.read(self.rows.start, count).map_err(damaged)).collect::<Result<Vec<_>>>()?;
        let arrays = (0..self.columns.len()).map(|n| self.column(n, &rows)).collect::<Result<Vec<_>>>()?;
        drop(rows);
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(|e| DatastoreError::damaged(&self.path, self.object.clone(), e.to_string()))?;
        self.rows.start += count as u64;
        Ok(Some(batch))
    }
}

fn join(group: &str, name: &str) -> String {
    format!("{}/{name}", group.trim_end_matches('/'))
}

/// The table that is meant by a name.
fn named(path: &Path, file: &hdf5::File, object: &str) -> Result<String> {
    let object = format!("/{}", object.trim_matches('/'));
    let Ok(kind) = file.loc_type_by_name(&object) else {
        let tables = candidates(file);
        let what = match tables.as_slice() {
            [] => "and no other table".to_owned(),
            tables => format!("its tables are {}", tables.join(", ")),
        };
        return Err(DatastoreError::unsupported(path, format!("has no object `{object}`; {what}")));
    };
    let not = |why: String| Err(DatastoreError::unsupported(path, format!("`{object}` is no table: {why}")));
    if kind == LocationType::Dataset {
        return match file.dataset(&object) {
            Ok(dataset) if is_compound(&dataset) && dataset.ndim() == 1 => Ok(object),
            Ok(dataset) if is_compound(&dataset) => not(format!("its rows are in {} dimensions", dataset.ndim())),
            Ok(_) => not("a dataset of one number a row is a column; name its group".to_owned()),
            Err(e) => Err(DatastoreError::hdf5(path, object, &e)),
        };
    }
    if kind != LocationType::Group {
        return not("neither a dataset nor a group".to_owned());
    }
    let group = file.group(&object).map_err(|e| DatastoreError::hdf5(path, object.clone(), &e))?;
    // PyTables and pandas put the table itself into a group of its name.
    let inner = join(&object, "table");
    if file.dataset(&inner).is_ok_and(|d| is_compound(&d) && d.ndim() == 1) {
        return Ok(inner);
    }
    if group.link_exists("axis0") && group.link_exists("block0_values") {
        return not("pandas has written it with format=\"fixed\"; write it with format=\"table\"".to_owned());
    }
    match group_columns(&group, &object) {
        Ok(columns) if columns.is_empty() && group.attr("rows").is_err() => not("it has no columns".to_owned()),
        Ok(_) => Ok(object),
        Err(e) => Err(DatastoreError::hdf5(path, object, &e)),
    }
}

/// The one table of a file.
fn only(path: &Path, file: &hdf5::File) -> Result<String> {
    let tables = candidates(file);
    match tables.as_slice() {
        [table] => named(path, file, table),
        [] => Err(DatastoreError::unsupported(
            path,
            "has no table: neither a compound dataset, nor a group of columns of the same length",
        )),
        several => {
            let shown: Vec<&str> = several.iter().take(8).map(String::as_str).collect();
            let what = format!(
                "has {} tables, name one of them as `{}#{}`: {}",
                several.len(),
                path.display(),
                shown[0],
                shown.join(", ")
            );
            Err(DatastoreError::unsupported(path, what))
        }
    }
}

/// All tables of a file.
fn candidates(file: &hdf5::File) -> Vec<String> {
    let (mut found, mut waiting, mut looked) = (Vec::new(), vec![("/".to_owned(), 0)], 0);
    while let Some((name, depth)) = waiting.pop() {
        let Ok(group) = file.group(&name) else { continue };
        let Ok(columns) = group_columns(&group, &name) else { continue };
        let rows = |f: &Found| f.dataset.shape().first().copied();
        let equal = columns.windows(2).all(|w| rows(&w[0]) == rows(&w[1]));
        // Images alone are no table.
        let ours = group.attr("rows").is_ok();
        if ours || equal && columns.iter().any(|f| f.dataset.ndim() == 1) {
            found.push(name.clone());
        }
        for member in group.member_names().unwrap_or_default() {
            looked += 1;
            if looked > OBJECTS {
                return found;
            }
            let object = join(&name, &member);
            match file.loc_type_by_name(&object) {
                Ok(LocationType::Group) if depth < DEPTH && !member.starts_with("_i_") => {
                    waiting.push((object, depth + 1));
                }
                Ok(LocationType::Dataset) if file.dataset(&object).is_ok_and(|d| is_compound(&d) && d.ndim() == 1) => {
                    found.push(object);
                }
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// The columns of a group: its datasets, in the order that Bunter has noted, else that of their names.
fn group_columns(group: &hdf5::Group, object: &str) -> hdf5::Result<Vec<Found>> {
    let mut columns = BTreeMap::new();
    let names = group.member_names()?;
    for (n, name) in names.iter().enumerate() {
        let plain = name.strip_suffix(".valid").is_none_or(|of| !names.iter().any(|other| other == of));
        if !plain || name.ends_with(ASTROPY) || !matches!(group.loc_type_by_name(name), Ok(LocationType::Dataset)) {
            continue;
        }
        let dataset = group.dataset(name)?;
        if is_compound(&dataset) || dataset.ndim() == 0 {
            continue;
        }
        let place = dataset.attr("column").and_then(|a| a.read_scalar::<u32>()).unwrap_or(u32::MAX);
        let found = Found { name: name.clone(), dataset, member: 0, object: join(object, name) };
        columns.insert((place, n), found);
    }
    Ok(columns.into_values().collect())
}

/// The attributes of an object that say something of its contents, as texts.
fn attributes(object: &hdf5::Location) -> HashMap<String, String> {
    let mut all = HashMap::new();
    for name in object.attr_names().unwrap_or_default() {
        let own = OWN.contains(&name.as_str()) || (name.starts_with("FIELD_") && name.ends_with(['E', 'L']));
        // Bunter's own name for the file.
        if own || name == "format" && object.name() == "/" {
            continue;
        }
        if let Some(text) = object.attr(&name).ok().as_ref().and_then(attribute).and_then(|a| display(&a)) {
            all.insert(name, text);
        }
    }
    all
}

/// An attribute as a text; several values in brackets.
fn display(array: &ArrayRef) -> Option<String> {
    if array.len() == 1 {
        return array_value_to_string(array, 0).ok();
    }
    let values = (0..array.len()).map(|i| array_value_to_string(array, i).ok()).collect::<Option<Vec<_>>>()?;
    Some(format!("[{}]", values.join(", ")))
}

/// The units that astropy keeps beside a dataset, by column. Only what it writes itself is understood:
/// `- {name: ra, unit: deg, …}` or `- name: ra` with `unit: …` on a line below.
fn astropy_units(file: &hdf5::File, object: &str) -> HashMap<String, String> {
    let mut units = HashMap::new();
    let Ok(dataset) = file.dataset(&format!("{object}{ASTROPY}")) else { return units };
    let Ok(table) = RawTable::new(dataset, &[]) else { return units };
    let rows = table.read(0, table_rows(file, object));
    let Ok(lines) = rows.and_then(|r| r.column(0).map_err(|(_, e)| e)) else { return units };
    let Some(lines) = lines.as_string_opt::<i32>() else { return units };
    let mut name = String::new();
    let value = |text: &str, key: &str| {
        let at = text.find(key)? + key.len();
        let rest = text[at..].trim_start().trim_start_matches("!astropy.units.Unit {unit:").trim_start();
        let end = rest.find([',', '}']).unwrap_or(rest.len());
        Some(rest[..end].trim().trim_matches(['\'', '"']).to_owned()).filter(|v| !v.is_empty())
    };
    for line in lines.iter().flatten() {
        if let Some(found) = value(line, "name:") {
            name = found;
        }
        if let Some(unit) = value(line, "unit:") {
            units.insert(name.clone(), unit);
        }
    }
    units
}

fn table_rows(file: &hdf5::File, object: &str) -> usize {
    let rows = file.dataset(&format!("{object}{ASTROPY}")).map_or(0, |d| d.size());
    rows.min(1 << 16)
}
