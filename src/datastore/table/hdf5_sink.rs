//! Writing tables to HDF5: a group of datasets, one a column, in chunks that are shuffled and packed by gzip side by side.

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use hdf5::types::{FloatSize, IntSize, TypeDescriptor, VarLenUnicode};
use rayon::prelude::*;

use super::BatchSink;
use super::hdf5_raw::{write_chunk, write_lists, write_texts};
use super::nested::{element_of, flatten};
use crate::dataset::StorageClass;
use crate::datastore::error::{DatastoreError, Result, no_space};
use crate::datastore::hdf5::{attribute, create, write_format};

/// Rows that are written together; every chunk's rows are a part of them.
const ROWS: usize = 65_536;
/// Bytes of a chunk at most.
const CHUNK: usize = 1 << 20;
/// The group, unless another one is named.
const GROUP: &str = "table";
const LEVEL: u32 = 1;

pub(super) struct Hdf5Sink {
    path: PathBuf,
    file: hdf5::File,
    group: hdf5::Group,
    object: String,
    schema: SchemaRef,
    columns: Vec<Column>,
    waiting: Vec<RecordBatch>,
    /// Rows that wait, and rows that are written.
    held: usize,
    rows: u64,
    temporary: File,
}

struct Column {
    name: String,
    /// What elements are cast to, and what they are in the file.
    stored: DataType,
    element: Element,
    dims: Vec<usize>,
    dataset: Option<hdf5::Dataset>,
    valid: Option<hdf5::Dataset>,
    /// Rows of a chunk.
    chunk: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Element {
    Numbers(Number),
    Logicals,
    Texts,
    Lists(Number),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Integer(IntSize),
    Unsigned(IntSize),
    Float(FloatSize),
}

impl Number {
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Int8 => Self::Integer(IntSize::U1),
            DataType::Int16 => Self::Integer(IntSize::U2),
            DataType::Int32 => Self::Integer(IntSize::U4),
            DataType::Int64 => Self::Integer(IntSize::U8),
            DataType::UInt8 => Self::Unsigned(IntSize::U1),
            DataType::UInt16 => Self::Unsigned(IntSize::U2),
            DataType::UInt32 => Self::Unsigned(IntSize::U4),
            DataType::UInt64 => Self::Unsigned(IntSize::U8),
            DataType::Float32 => Self::Float(FloatSize::U4),
            DataType::Float64 => Self::Float(FloatSize::U8),
            _ => return None,
        })
    }

    fn descriptor(self) -> TypeDescriptor {
        match self {
            Self::Integer(size) => TypeDescriptor::Integer(size),
            Self::Unsigned(size) => TypeDescriptor::Unsigned(size),
            Self::Float(size) => TypeDescriptor::Float(size),
        }
    }
}

/// What a type is cast to, and what that is in the file.
fn stored(data_type: &DataType) -> Option<(DataType, Element)> {
    let integer = |t: DataType| Number::of(&t).map(|n| (t, Element::Numbers(n)));
    Some(match data_type {
        DataType::Boolean | DataType::Null => (DataType::Boolean, Element::Logicals),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => (DataType::Utf8, Element::Texts),
        DataType::Float16 => return integer(DataType::Float32),
        DataType::Date32 | DataType::Time32(_) => return integer(DataType::Int32),
        DataType::Date64 | DataType::Time64(_) | DataType::Timestamp(..) | DataType::Duration(_) => {
            return integer(DataType::Int64);
        }
        DataType::Dictionary(_, values) if !matches!(**values, DataType::Dictionary(..)) => return stored(values),
        DataType::List(inner) | DataType::LargeList(inner) => {
            let number = Number::of(inner.data_type())?;
            (DataType::List(inner.clone()), Element::Lists(number))
        }
        other => (other.clone(), Element::Numbers(Number::of(other)?)),
    })
}

impl Column {
    fn new(path: &Path, field: &Field) -> Result<Self> {
        let name = field.name().clone();
        let refused = |what: String| Err(DatastoreError::unsupported(path, format!("column `{name}` {what}")));
        if name.is_empty() || name.contains(['/', '\0']) || matches!(name.as_str(), "." | "..") {
            return refused("has a name that HDF5 cannot hold; rename it".to_owned());
        }
        let (inner, dims) = element_of(field.data_type());
        let Some((stored, element)) = stored(inner).filter(|(_, e)| dims.is_empty() || !matches!(e, Element::Lists(_)))
        else {
            return refused(format!(
                "is {}, which has no form in HDF5 tables; cast it to numbers, logicals or texts, or write `.parquet`",
                field.data_type()
            ));
        };
        let bytes = dims.iter().product::<usize>().max(1).saturating_mul(8);
        let mut chunk = ROWS;
        while chunk > 1 && chunk.saturating_mul(bytes) > CHUNK {
            chunk /= 2;
        }
        Ok(Self { name, stored, element, dims, dataset: None, valid: None, chunk })
    }

    /// The type that reads back as it is.
    fn natural(&self) -> DataType {
        super::nested::wrapped_type(&self.stored, &self.dims)
    }

    fn shape(&self, rows: usize) -> Vec<usize> {
        std::iter::once(rows).chain(self.dims.iter().copied()).collect()
    }

    /// Makes a dataset that rows are appended to.
    fn create(
        &self,
        group: &hdf5::Group,
        name: &str,
        descriptor: TypeDescriptor,
        chunk: usize,
    ) -> hdf5::Result<hdf5::Dataset> {
        let flags = name != self.name;
        let lists = matches!(self.element, Element::Lists(_)) && flags;
        let shape = if lists { vec![0] } else { self.shape(0) };
        let mut chunks = if lists { vec![chunk] } else { self.shape(chunk) };
        for n in &mut chunks {
            *n = (*n).max(1);
        }
        let extents: Vec<hdf5::Extent> = shape
            .iter()
            .enumerate()
            .map(|(i, n)| if i == 0 { hdf5::Extent::resizable(0) } else { hdf5::Extent::fixed(*n) })
            .collect();
        let mut builder = group.new_dataset_builder().obj_track_times(false).attr_phase_change(64, 32);
        builder = builder.chunk(chunks).shuffle().deflate(LEVEL as u8);
        if flags {
            // Rows before the first null have none.
            builder = builder.fill_value(1_u8);
        }
        builder.empty_as(descriptor).shape(hdf5::Extents::from(hdf5::SimpleExtents::from_vec(extents))).create(name)
    }
}

impl Hdf5Sink {
    pub(super) fn new(
        path: &Path,
        at: &Path,
        temporary: File,
        object: Option<&str>,
        schema: &SchemaRef,
    ) -> Result<Self> {
        let object = object.map_or(GROUP, |o| o.trim_matches('/')).to_owned();
        if object.is_empty() || object.split('/').any(|part| matches!(part, "" | "." | "..")) || object.contains('\0') {
            return Err(DatastoreError::unsupported(path, format!("`{object}` cannot name a group of columns")));
        }
        let failed = |e: hdf5::Error| DatastoreError::hdf5(path, object.clone(), &e);
        let columns = schema.fields().iter().map(|f| Column::new(path, f)).collect::<Result<Vec<_>>>()?;
        for (i, column) in columns.iter().enumerate() {
            let clash = |other: &Column| {
                other.name == column.name || other.name.strip_suffix(".valid").is_some_and(|of| of == column.name)
            };
            if columns[..i].iter().chain(&columns[i + 1..]).any(clash) {
                let what = format!("two columns are, or would be, called `{}` in HDF5; rename one", column.name);
                return Err(DatastoreError::unsupported(path, what));
            }
        }
        let file = create(at, 0).map_err(failed)?;
        write_format(&file, StorageClass::Table).map_err(failed)?;
        let mut group = file.as_group().map_err(failed)?;
        for part in object.split('/') {
            group =
                group.create_group_builder().with_gcpl(|p| p.obj_track_times(false)).create(part).map_err(failed)?;
        }
        let mut metadata: Vec<_> = schema.metadata().iter().collect();
        metadata.sort();
        for (key, value) in metadata {
            text_attribute(&group, key, value).map_err(failed)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            group,
            object,
            schema: schema.clone(),
            columns,
            waiting: Vec::new(),
            held: 0,
            rows: 0,
            temporary,
        })
    }

    fn failed(&self, column: usize, message: String) -> DatastoreError {
        if message.contains("No space left") {
            let source = no_space();
            return DatastoreError::Io { action: "write", path: self.path.clone(), source };
        }
        let object = format!("{}/{}", self.object, self.columns[column].name);
        DatastoreError::Hdf5 { path: self.path.clone(), object, message }
    }

    /// Makes the datasets, when it is known whether there are as many rows as a chunk has.
    fn begin(&mut self, rows: usize) -> Result<()> {
        for at in 0..self.columns.len() {
            let column = &mut self.columns[at];
            column.chunk = column.chunk.min(rows.max(1));
            let descriptor = match column.element {
                Element::Numbers(number) => number.descriptor(),
                Element::Logicals => TypeDescriptor::Unsigned(IntSize::U1),
                Element::Texts => TypeDescriptor::VarLenUnicode,
                Element::Lists(number) => TypeDescriptor::VarLenArray(Box::new(number.descriptor())),
            };
            let field = self.schema.field(at);
            let make = || -> hdf5::Result<hdf5::Dataset> {
                let dataset = column.create(&self.group, &column.name, descriptor, column.chunk)?;
                attribute(&dataset, "column", &(at as u32))?;
                let own = match column.element {
                    Element::Lists(_) => "List".to_owned(),
                    _ => column.stored.to_string(),
                };
                attribute(&dataset, "type", &hdf5::types::FixedAscii::<16>::from_ascii(&own).unwrap_or_default())?;
                attribute(&dataset, "nullable", &u8::from(field.is_nullable()))?;
                if column.dims.is_empty()
                    && !matches!(column.element, Element::Lists(_))
                    && *field.data_type() != column.natural()
                {
                    text_attribute(&dataset, "arrow_type", &field.data_type().to_string())?;
                }
                let mut metadata: Vec<_> = field.metadata().iter().collect();
                metadata.sort();
                metadata.iter().try_for_each(|(key, value)| text_attribute(&dataset, key, value))?;
                Ok(dataset)
            };
            let dataset = make().map_err(|e| e.to_string());
            match dataset {
                Ok(dataset) => self.columns[at].dataset = Some(dataset),
                Err(e) => return Err(self.failed(at, e)),
            }
        }
        Ok(())
    }

    /// Writes the rows that wait, as far as chunks are full, or to the last one.
    fn write_out(&mut self, all: bool) -> Result<()> {
        if self.held < ROWS && !all {
            return Ok(());
        }
        let batch = concat_batches(&self.schema, &self.waiting)
            .map_err(|e| DatastoreError::inconsistent(&self.path, e.to_string()))?;
        self.waiting.clear();
        if self.rows == 0 && self.columns.iter().all(|c| c.dataset.is_none()) {
            self.begin(batch.num_rows())?;
        }
        let count = if all { batch.num_rows() } else { batch.num_rows() / ROWS * ROWS };
        for first in (0..count).step_by(ROWS) {
            self.write_rows(&batch.slice(first, ROWS.min(count - first)))?;
        }
        self.held = batch.num_rows() - count;
        if self.held > 0 {
            self.waiting.push(batch.slice(count, self.held));
        }
        Ok(())
    }

    fn write_rows(&mut self, batch: &RecordBatch) -> Result<()> {
        let flats = self
            .columns
            .par_iter()
            .zip(batch.columns())
            .map(|(column, array)| {
                let flat = flatten(array)?;
                let flat = if *flat.data_type() == column.stored {
                    flat
                } else {
                    arrow::compute::cast(&flat, &column.stored)?
                };
                Ok(flat)
            })
            .collect::<std::result::Result<Vec<ArrayRef>, arrow::error::ArrowError>>()
            .map_err(|e| DatastoreError::inconsistent(&self.path, e.to_string()))?;
        let packed: Vec<Vec<Vec<u8>>> = self
            .columns
            .par_iter()
            .zip(&flats)
            .map(|(column, flat)| match column.element {
                Element::Numbers(_) | Element::Logicals => chunks(column, flat, batch.num_rows()),
                _ => Vec::new(),
            })
            .collect();
        for (at, (flat, packed)) in flats.iter().zip(packed).enumerate() {
            self.append(at, flat, &packed, batch.num_rows()).map_err(|e| self.failed(at, e))?;
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn append(
        &mut self,
        at: usize,
        flat: &ArrayRef,
        packed: &[Vec<u8>],
        rows: usize,
    ) -> std::result::Result<(), String> {
        let (first, total) = (self.rows, self.rows as usize + rows);
        let group = self.group.clone();
        let column = &mut self.columns[at];
        let dataset = column.dataset.as_ref().ok_or("the dataset is not there")?;
        dataset.resize(column.shape(total)).map_err(|e| e.to_string())?;
        match column.element {
            Element::Numbers(_) | Element::Logicals => {
                for (n, bytes) in packed.iter().enumerate() {
                    write_chunk(dataset, first + (n * column.chunk) as u64, column.dims.len(), bytes)?;
                }
            }
            Element::Texts => {
                let texts = flat.as_string::<i32>().iter().map(|t| CString::new(t.unwrap_or_default()));
                let texts = texts
                    .collect::<std::result::Result<Vec<_>, _>>()
                    .map_err(|_| "a text holds a NUL character, which HDF5 cannot keep".to_owned())?;
                write_texts(dataset, first, rows, &column.dims, &texts)?;
            }
            Element::Lists(number) => {
                let lists = flat.as_list::<i32>();
                if lists.values().null_count() > 0 {
                    return Err("a list holds a null, which HDF5 cannot keep".to_owned());
                }
                let ranges: Vec<Range<usize>> = (0..rows)
                    .map(|row| {
                        let (start, end) = (lists.offsets()[row] as usize, lists.offsets()[row + 1] as usize);
                        if lists.is_valid(row) { start..end } else { start..start }
                    })
                    .collect();
                write_lists(dataset, number.descriptor(), first, &ranges, &bytes(lists.values()))?;
            }
        }
        if flat.null_count() == 0 && column.valid.is_none() {
            return Ok(());
        }
        if column.valid.is_none() {
            let name = format!("{}.valid", column.name);
            let made = column.create(&group, &name, TypeDescriptor::Unsigned(IntSize::U1), column.chunk);
            column.valid = Some(made.map_err(|e| e.to_string())?);
        }
        let valid = column.valid.as_ref().ok_or("the dataset of flags is not there")?;
        let dims = valid.ndim() - 1;
        let shape = if dims == 0 { vec![total] } else { column.shape(total) };
        valid.resize(shape).map_err(|e| e.to_string())?;
        let each = flat.len() / rows.max(1);
        let flags: Vec<u8> = (0..flat.len()).map(|i| u8::from(flat.is_valid(i))).collect();
        for (n, part) in flags.chunks((column.chunk * each).max(1)).enumerate() {
            write_chunk(valid, first + (n * column.chunk) as u64, dims, &pack(part.to_vec(), 1, column.chunk * each))?;
        }
        Ok(())
    }
}

/// A text as an attribute.
fn text_attribute(object: &hdf5::Location, name: &str, value: &str) -> hdf5::Result<()> {
    if name.is_empty() || name.contains('\0') {
        return Err(hdf5::Error::from("metadata without a name, or with a NUL in it"));
    }
    let text = VarLenUnicode::from_str(value).map_err(|e| hdf5::Error::from(format!("metadata `{name}`: {e}")))?;
    object.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&text)
}

/// The values of numbers and logicals as they lie in memory; what is null is zero.
fn bytes(array: &ArrayRef) -> Vec<u8> {
    macro_rules! numbers {
        ($type:ty) => {{
            let array = array.as_primitive::<$type>();
            let mut bytes =
                Vec::with_capacity(array.len() * size_of::<<$type as arrow::datatypes::ArrowPrimitiveType>::Native>());
            if array.null_count() == 0 {
                array.values().iter().for_each(|v| bytes.extend_from_slice(&v.to_ne_bytes()));
            } else {
                array.iter().for_each(|v| bytes.extend_from_slice(&v.unwrap_or_default().to_ne_bytes()));
            }
            bytes
        }};
    }
    match array.data_type() {
        DataType::Int8 => numbers!(Int8Type),
        DataType::Int16 => numbers!(Int16Type),
        DataType::Int32 => numbers!(Int32Type),
        DataType::Int64 => numbers!(Int64Type),
        DataType::UInt8 => numbers!(UInt8Type),
        DataType::UInt16 => numbers!(UInt16Type),
        DataType::UInt32 => numbers!(UInt32Type),
        DataType::UInt64 => numbers!(UInt64Type),
        DataType::Float32 => numbers!(Float32Type),
        DataType::Float64 => numbers!(Float64Type),
        DataType::Boolean => array.as_boolean().iter().map(|v| u8::from(v.unwrap_or_default())).collect(),
        _ => Vec::new(),
    }
}

/// The chunks of a column, through the filters of its dataset.
fn chunks(column: &Column, flat: &ArrayRef, rows: usize) -> Vec<Vec<u8>> {
    let each = flat.len() / rows.max(1);
    let step = column.chunk * each;
    let starts: Vec<usize> = (0..flat.len()).step_by(step.max(1)).collect();
    starts
        .par_iter()
        .map(|start| {
            let part = bytes(&flat.slice(*start, step.min(flat.len() - start)));
            let size = match column.element {
                Element::Numbers(number) => number.descriptor().size(),
                _ => 1,
            };
            pack(part, size, step * size)
        })
        .collect()
}

/// A chunk filled up to `length` bytes, shuffled and deflated as HDF5's filters do it.
fn pack(mut bytes: Vec<u8>, size: usize, length: usize) -> Vec<u8> {
    bytes.resize(length, 0);
    let shuffled = if size > 1 {
        let count = length / size;
        let mut out = vec![0; length];
        for (byte, plane) in out.chunks_exact_mut(count.max(1)).enumerate() {
            for (to, from) in plane.iter_mut().zip(bytes.iter().skip(byte).step_by(size)) {
                *to = *from;
            }
        }
        out
    } else {
        bytes
    };
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(length / 2), Compression::new(LEVEL));
    // Memory takes everything.
    let _ = encoder.write_all(&shuffled);
    encoder.finish().unwrap_or_default()
}

impl BatchSink for Hdf5Sink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() > 0 {
            self.waiting.push(batch.clone());
            self.held += batch.num_rows();
        }
        self.write_out(false)
    }

    fn finish(mut self: Box<Self>) -> Result<File> {
        self.write_out(true)?;
        let failed = |e: hdf5::Error| DatastoreError::hdf5(&self.path, self.object.clone(), &e);
        // Tables without columns have rows all the same.
        attribute(&self.group, "rows", &self.rows).map_err(failed)?;
        let Self { path, file, group, columns, object, temporary, .. } = *self;
        drop((columns, group));
        file.close().map_err(|e| DatastoreError::hdf5(&path, object, &e))?;
        Ok(temporary)
    }
}
