//! Arrow columns to and from rows.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, FixedSizeBinaryBuilder, Float64Array, Float64Builder,
    Int64Array, Int64Builder, RecordBatch, StringArray, StringBuilder,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};

use super::RegistryError;
use super::database::Value;
use crate::dimension::{ColumnType, DimensionError, Element, near_miss};

/// A column that is being filled.
pub(super) struct ColumnBuilder {
    name: String,
    nullable: bool,
    builder: Builder,
}

enum Builder {
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Uuid(FixedSizeBinaryBuilder),
}

impl ColumnBuilder {
    pub(super) fn new(name: impl Into<String>, kind: ColumnType, nullable: bool) -> Self {
        let builder = match kind {
            ColumnType::Int => Builder::Int(Int64Builder::new()),
            ColumnType::Float => Builder::Float(Float64Builder::new()),
            ColumnType::Text => Builder::Text(StringBuilder::new()),
            ColumnType::Bytes => Builder::Bytes(BinaryBuilder::new()),
        };
        Self { name: name.into(), nullable, builder }
    }

    /// A column of UUIDs.
    pub(super) fn uuid(name: impl Into<String>, nullable: bool) -> Self {
        Self { name: name.into(), nullable, builder: Builder::Uuid(FixedSizeBinaryBuilder::new(16)) }
    }

    /// Appends a value.
    pub(super) fn push(&mut self, value: Value<'_>) -> Result<(), RegistryError> {
        // Arrow's offsets are 32 bits wide, and its builders panic beyond.
        let fits = |held: usize, more: usize| {
            if held + more > i32::MAX as usize {
                return Err(RegistryError::AnswerTooLarge { column: self.name.clone() });
            }
            Ok(())
        };
        match (&mut self.builder, value) {
            (Builder::Int(b), Value::Int(v)) => b.append_value(v),
            (Builder::Float(b), Value::Float(v)) => b.append_value(v),
            (Builder::Float(b), Value::Int(v)) => b.append_value(v as f64),
            (Builder::Text(b), Value::Text(v)) => {
                fits(b.values_slice().len(), v.len())?;
                b.append_value(v);
            }
            (Builder::Bytes(b), Value::Bytes(v)) => {
                fits(b.values_slice().len(), v.len())?;
                b.append_value(v);
            }
            (Builder::Uuid(b), Value::Bytes(v)) if v.len() == 16 => {
                b.append_value(v).map_err(|e| RegistryError::damaged(e.to_string()))?;
            }
            (builder, Value::Null) if self.nullable => match builder {
                Builder::Int(b) => b.append_null(),
                Builder::Float(b) => b.append_null(),
                Builder::Text(b) => b.append_null(),
                Builder::Bytes(b) => b.append_null(),
                Builder::Uuid(b) => b.append_null(),
            },
            (_, other) => return Err(RegistryError::unexpected(&format!("a value of `{}`", self.name), other)),
        }
        Ok(())
    }

    fn finish(mut self) -> (Field, ArrayRef) {
        let array: ArrayRef = match &mut self.builder {
            Builder::Int(b) => Arc::new(b.finish()),
            Builder::Float(b) => Arc::new(b.finish()),
            Builder::Text(b) => Arc::new(b.finish()),
            Builder::Bytes(b) => Arc::new(b.finish()),
            Builder::Uuid(b) => Arc::new(b.finish()),
        };
        (Field::new(self.name, array.data_type().clone(), self.nullable), array)
    }
}

/// The columns as a table.
pub(super) fn table(columns: Vec<ColumnBuilder>) -> Result<RecordBatch, RegistryError> {
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().map(ColumnBuilder::finish).unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|e| RegistryError::damaged(e.to_string()))
}

/// A column that is to be written, in the type it is stored in.
pub(super) enum Cells {
    Int(Int64Array),
    Float(Float64Array),
    Text(StringArray),
    Bytes(BinaryArray),
}

impl Cells {
    /// The value of a row. NaN is absent: no database keeps it faithfully.
    pub(super) fn get(&self, row: usize) -> Value<'_> {
        let absent = match self {
            Self::Int(a) => a.is_null(row),
            Self::Float(a) => a.is_null(row) || a.value(row).is_nan(),
            Self::Text(a) => a.is_null(row),
            Self::Bytes(a) => a.is_null(row),
        };
        match self {
            _ if absent => Value::Null,
            Self::Int(a) => Value::Int(a.value(row)),
            Self::Float(a) => Value::Float(a.value(row)),
            Self::Text(a) => Value::Text(a.value(row)),
            Self::Bytes(a) => Value::Bytes(a.value(row)),
        }
    }
}

/// The columns of an element's records in a table, by name: those that are there, with the metadata that is absent left out.
/// Other widths of integers, other encodings of texts are converted.
pub(super) fn element_cells(
    element: &'static Element,
    batch: &RecordBatch,
) -> Result<Vec<(&'static str, Cells)>, RegistryError> {
    let invalid = |reason: String| RegistryError::Invalid { what: format!("records of `{}`", element.name), reason };
    let schema = batch.schema();
    for field in schema.fields() {
        if !element.columns().any(|(name, ..)| name == field.name()) {
            let known: Vec<_> = element.columns().map(|c| c.0).collect();
            return Err(RegistryError::Dimension(DimensionError::UnknownColumn {
                element: element.name.to_owned(),
                name: field.name().clone(),
                near: near_miss(field.name(), known.iter().copied()),
                known: known.join(", "),
            }));
        }
    }
    let mut cells = Vec::with_capacity(schema.fields().len());
    for (name, kind, nullable) in element.columns() {
        let mut found = schema.fields().iter().zip(batch.columns()).filter(|(field, _)| field.name() == name);
        let Some((field, array)) = found.next() else {
            if nullable {
                continue;
            }
            return Err(invalid(format!("column `{name}` is absent")));
        };
        if found.next().is_some() {
            return Err(invalid(format!("column `{name}` is there twice")));
        }
        let wrong = || invalid(format!("column `{name}` is {}, not {}", field.data_type(), kind.name()));
        if !castable(array.data_type(), kind) {
            return Err(wrong());
        }
        // Not `safe`: a number that does not fit is an error, not a null.
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let array = cast_with_options(array, &kind.arrow(), &options)
            .map_err(|e| invalid(format!("column `{name}` is not {} throughout: {e}", kind.name())))?;
        if !nullable && array.null_count() > 0 {
            return Err(invalid(format!("column `{name}` lacks {} of {} values", array.null_count(), array.len())));
        }
        let column = match kind {
            ColumnType::Int => array.as_primitive_opt::<Int64Type>().cloned().map(Cells::Int),
            ColumnType::Float => array.as_primitive_opt::<Float64Type>().cloned().map(Cells::Float),
            ColumnType::Text => array.as_string_opt::<i32>().cloned().map(Cells::Text),
            ColumnType::Bytes => array.as_binary_opt::<i32>().cloned().map(Cells::Bytes),
        };
        cells.push((name, column.ok_or_else(wrong)?));
    }
    Ok(cells)
}

/// Whether values mean the same after a cast: `'5'` is not taken for 5, nor 5.5 for 5.
fn castable(from: &DataType, to: ColumnType) -> bool {
    match (from, to) {
        (DataType::Dictionary(_, values), _) => castable(values, to),
        (DataType::Null, _) => true,
        (from, ColumnType::Int) => from.is_integer(),
        (from, ColumnType::Float) => {
            from.is_numeric() && !matches!(from, DataType::Decimal128(..) | DataType::Decimal256(..))
        }
        (from, ColumnType::Text) => matches!(from, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
        (from, ColumnType::Bytes) => matches!(
            from,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
        ),
    }
}
