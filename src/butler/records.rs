//! Builds the record batches that the registry takes: one value at a time, the columns and types as the element has them.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;

use super::ButlerError;
use crate::dimension::Universe;

/// One value of a dimension record.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Unknown.
    Null,
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Self::Int(v)
    }
}

impl From<f64> for Value {
    fn from(v: f64) -> Self {
        // Not a number means unknown.
        if v.is_nan() { Self::Null } else { Self::Float(v) }
    }
}

impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Self::Text(v.to_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Self::Null, Into::into)
    }
}

/// `rows` records of an element; `value` gives the value of a row in a column.
pub(super) fn record_batch(
    element: &str,
    rows: usize,
    value: impl Fn(usize, &str) -> Value,
) -> Result<RecordBatch, ButlerError> {
    let element = Universe::builtin().element(element)?;
    let schema = element.schema();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let name = field.name();
        macro_rules! column {
            ($builder:expr, $($variant:pat => $v:expr),+) => {{
                let mut builder = $builder;
                for row in 0..rows {
                    match value(row, name) {
                        $($variant => builder.append_value($v),)+
                        Value::Null => builder.append_null(),
                        other => {
                            return Err(ButlerError::Column {
                                name: format!("{}.{name}", element.name),
                                expected: "a value of its type",
                                found: format!("{other:?}"),
                            });
                        }
                    }
                }
                Arc::new(builder.finish())
            }};
        }
        columns.push(match field.data_type() {
            DataType::Int64 => column!(Int64Builder::with_capacity(rows), Value::Int(v) => v),
            DataType::Float64 => {
                column!(Float64Builder::with_capacity(rows), Value::Float(v) => v, Value::Int(v) => v as f64)
            }
            DataType::Binary => column!(BinaryBuilder::new(), Value::Bytes(v) => v),
            _ => column!(StringBuilder::new(), Value::Text(v) => v),
        });
    }
    Ok(RecordBatch::try_new(schema, columns)?)
}
