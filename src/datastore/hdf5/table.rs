//! Arrow record batches as groups of one-dimensional datasets, one a column.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    StringArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use hdf5::types::VarLenUnicode;

use super::write::{attribute, create, write_format, write_texts, write_vector};
use crate::dataset::StorageClass;
use crate::datastore::error::{DatastoreError, Result};
use crate::datastore::local::write_new;

/// Writes a table as a new HDF5 file: the group `table` with a one-dimensional dataset a column.
///
/// Each dataset has the attributes `column` (its place, from 0) and `type` (its Arrow type). A column with nulls has a
/// second dataset `<column>.valid` (u8, 1 where there is a value). Logicals are u8, texts UTF-8 of variable length.
///
/// # Errors
/// [`DatastoreError::AlreadyExists`], [`DatastoreError::Io`], [`DatastoreError::Hdf5`]; [`DatastoreError::Unsupported`] for a column that is no
/// number, logical or text, or has no name that HDF5 takes.
pub fn write_table(path: &Path, table: &RecordBatch) -> Result<()> {
    write_new(path, |temporary| {
        let failed = |e: hdf5::Error| DatastoreError::hdf5(path, "/", &e);
        let file = create(temporary, 0).map_err(failed)?;
        write_format(&file, StorageClass::Table).map_err(failed)?;
        write_columns(&file, "table", table, path)?;
        file.close().map_err(failed)
    })
}

/// Reads a table written by [`write_table`].
///
/// # Errors
/// [`DatastoreError::NotFound`], [`DatastoreError::Hdf5`], [`DatastoreError::Damaged`], [`DatastoreError::WrongStorageClass`].
pub fn read_table(path: &Path) -> Result<RecordBatch> {
    let file = super::library::open(path)?;
    super::library::expect_class(path, &file, StorageClass::Table)?;
    read_columns(&file, "table", path)
}

pub(crate) fn write_columns(file: &hdf5::File, name: &str, table: &RecordBatch, path: &Path) -> Result<()> {
    let failed = |object: String| move |e: hdf5::Error| DatastoreError::hdf5(path, object, &e);
    let group = file
        .create_group_builder()
        .with_gcpl(|p| p.obj_track_times(false))
        .create(name)
        .map_err(failed(name.to_owned()))?;
    attribute(&group, "rows", &(table.num_rows() as u64)).map_err(failed(name.to_owned()))?;
    for (place, (field, array)) in (0_u32..).zip(table.schema().fields().iter().zip(table.columns())) {
        let column = field.name();
        if column.is_empty() || column.contains(['/', '\0']) || matches!(column.as_str(), "." | "..") {
            return Err(DatastoreError::unsupported(
                path,
                format!("`{column}` cannot name a column in HDF5; rename it"),
            ));
        }
        let object = format!("{name}/{column}");
        let dataset = write_column(&group, column, array).map_err(failed(object.clone()))?.ok_or_else(|| {
            let what =
                format!("column `{column}` of `{name}` is {}; cast it to a number, logical or text", field.data_type());
            DatastoreError::unsupported(path, what)
        })?;
        let write = || -> hdf5::Result<()> {
            attribute(&dataset, "column", &place)?;
            attribute(&dataset, "type", &ascii(&field.data_type().to_string()))?;
            attribute(&dataset, "nullable", &u8::from(field.is_nullable()))?;
            if array.null_count() > 0 {
                let valid: Vec<u8> = (0..array.len()).map(|row| u8::from(array.is_valid(row))).collect();
                write_vector(&group, &format!("{column}.valid"), &valid)?;
            }
            Ok(())
        };
        write().map_err(failed(object))?;
    }
    Ok(())
}

fn ascii(text: &str) -> hdf5::types::FixedAscii<16> {
    hdf5::types::FixedAscii::from_ascii(text).unwrap_or_default()
}

fn write_column(group: &hdf5::Group, name: &str, array: &ArrayRef) -> hdf5::Result<Option<hdf5::Dataset>> {
    macro_rules! numbers {
        ($type:ty) => {
            write_vector(group, name, array.as_primitive::<$type>().values())
        };
    }
    Ok(Some(match array.data_type() {
        DataType::Int8 => numbers!(Int8Type)?,
        DataType::Int16 => numbers!(Int16Type)?,
        DataType::Int32 => numbers!(Int32Type)?,
        DataType::Int64 => numbers!(Int64Type)?,
        DataType::UInt8 => numbers!(UInt8Type)?,
        DataType::UInt16 => numbers!(UInt16Type)?,
        DataType::UInt32 => numbers!(UInt32Type)?,
        DataType::UInt64 => numbers!(UInt64Type)?,
        DataType::Float32 => numbers!(Float32Type)?,
        DataType::Float64 => numbers!(Float64Type)?,
        DataType::Boolean => {
            let values: Vec<u8> = array.as_boolean().values().iter().map(u8::from).collect();
            write_vector(group, name, &values)?
        }
        DataType::Utf8 => {
            let texts: Vec<VarLenUnicode> = array
                .as_string::<i32>()
                .iter()
                .map(|text| VarLenUnicode::from_str(text.unwrap_or_default()))
                .collect::<Result<_, _>>()
                .map_err(|_| hdf5::Error::from("a text holds a NUL character, which HDF5 cannot keep"))?;
            write_texts(group, name, &texts)?
        }
        _ => return Ok(None),
    }))
}

pub(crate) fn read_columns(file: &hdf5::File, name: &str, path: &Path) -> Result<RecordBatch> {
    let failed = |object: &str, e: &hdf5::Error| DatastoreError::hdf5(path, object.to_owned(), e);
    let damaged = |object: &str, reason: String| DatastoreError::damaged(path, object.to_owned(), reason);
    let group = file.group(name).map_err(|e| failed(name, &e))?;
    let rows: u64 = super::library::attribute(path, &group, name, "rows")?;
    let mut columns = Vec::new();
    for member in group.member_names().map_err(|e| failed(name, &e))? {
        let object = format!("{name}/{member}");
        let dataset = group.dataset(&member).map_err(|e| failed(&object, &e))?;
        if dataset.attr("column").is_err() {
            continue;
        }
        let place: u32 = super::library::attribute(path, &dataset, &object, "column")?;
        let kind: hdf5::types::FixedAscii<16> = super::library::attribute(path, &dataset, &object, "type")?;
        let nullable: u8 = super::library::attribute(path, &dataset, &object, "nullable")?;
        let len = super::library::checked_len(path, &object, &dataset)?;
        if len as u64 != rows {
            return Err(damaged(&object, format!("{len} values in a table of {rows} rows")));
        }
        let validity = format!("{member}.valid");
        let valid = if group.link_exists(&validity) {
            let flags = group.dataset(&validity).and_then(|d| d.read_raw::<u8>()).map_err(|e| failed(&object, &e))?;
            if flags.len() != len {
                return Err(damaged(&validity, format!("{} flags for {len} values", flags.len())));
            }
            Some(NullBuffer::from(flags.into_iter().map(|f| f != 0).collect::<Vec<_>>()))
        } else {
            None
        };
        let array = read_column(&dataset, kind.as_str(), valid)
            .map_err(|e| failed(&object, &e))?
            .ok_or_else(|| damaged(&object, format!("a column of unknown type `{kind}`")))?;
        columns.push((
            place,
            Field::new(member, array.data_type().clone(), nullable != 0 || array.null_count() > 0),
            array,
        ));
    }
    columns.sort_by_key(|(place, ..)| *place);
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().map(|(_, field, array)| (field, array)).unzip();
    let options = RecordBatchOptions::new().with_row_count(usize::try_from(rows).ok());
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|e| damaged(name, e.to_string()))
}

fn read_column(dataset: &hdf5::Dataset, kind: &str, valid: Option<NullBuffer>) -> hdf5::Result<Option<ArrayRef>> {
    macro_rules! numbers {
        ($array:ty) => {
            Arc::new(<$array>::new(dataset.read_raw()?.into(), valid)) as ArrayRef
        };
    }
    Ok(Some(match kind {
        "Int8" => numbers!(Int8Array),
        "Int16" => numbers!(Int16Array),
        "Int32" => numbers!(Int32Array),
        "Int64" => numbers!(Int64Array),
        "UInt8" => numbers!(UInt8Array),
        "UInt16" => numbers!(UInt16Array),
        "UInt32" => numbers!(UInt32Array),
        "UInt64" => numbers!(UInt64Array),
        "Float32" => numbers!(Float32Array),
        "Float64" => numbers!(Float64Array),
        "Boolean" => {
            let values: Vec<bool> = dataset.read_raw::<u8>()?.into_iter().map(|v| v != 0).collect();
            Arc::new(BooleanArray::new(values.into(), valid)) as ArrayRef
        }
        "Utf8" => {
            let texts = dataset.read_raw::<VarLenUnicode>()?;
            let is_valid = |row| valid.as_ref().is_none_or(|v| v.is_valid(row));
            let texts = texts.iter().enumerate().map(|(row, text)| is_valid(row).then_some(text.as_str()));
            Arc::new(texts.collect::<StringArray>()) as ArrayRef
        }
        _ => return Ok(None),
    }))
}
