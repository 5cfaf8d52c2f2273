//! Typed looks at the columns of a record batch.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, FixedSizeBinaryArray, Float64Array, Int64Array, StringArray,
};
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::record_batch::RecordBatch;

use super::ButlerError;

/// Finds a column and checks its type: an absent column or another type is an error that names both.
fn typed<'a, T: 'static>(
    batch: &'a RecordBatch,
    name: &str,
    expected: &'static str,
    cast: impl Fn(&'a ArrayRef) -> Option<&'a T>,
) -> Result<&'a T, ButlerError> {
    let column = batch.column_by_name(name).ok_or_else(|| ButlerError::Column {
        name: name.to_owned(),
        expected,
        found: format!(
            "absent among {}",
            batch.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", ")
        ),
    })?;
    cast(column).ok_or_else(|| ButlerError::Column {
        name: name.to_owned(),
        expected,
        found: column.data_type().to_string(),
    })
}

pub(crate) fn ints<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Int64Array, ButlerError> {
    typed(batch, name, "Int64", |c| c.as_primitive_opt::<Int64Type>())
}

pub(crate) fn floats<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Float64Array, ButlerError> {
    typed(batch, name, "Float64", |c| c.as_primitive_opt::<Float64Type>())
}

pub(crate) fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray, ButlerError> {
    typed(batch, name, "Utf8", |c| c.as_string_opt::<i32>())
}

pub(crate) fn binaries<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a BinaryArray, ButlerError> {
    typed(batch, name, "Binary", |c| c.as_binary_opt::<i32>())
}

pub(crate) fn ids<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a FixedSizeBinaryArray, ButlerError> {
    typed(batch, name, "FixedSizeBinary(16)", |c| c.as_fixed_size_binary_opt().filter(|a| a.value_length() == 16))
}
