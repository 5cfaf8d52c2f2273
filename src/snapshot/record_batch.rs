//! A stored table as an Arrow record batch over the same bytes, after every value has been checked.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, FixedSizeBinaryArray, GenericByteArray, GenericListArray, OffsetSizeTrait,
    PrimitiveArray, StringArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, BinaryType, ByteArrayType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, LargeBinaryType, LargeUtf8Type, Schema, TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type, Utf8Type,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::format::{self, ColumnEntry, TableEntry};
use super::{ColumnKind, Primitive, Snapshot, SnapshotError};

/// The table as a record batch, all of whose values are sound.
pub(super) fn checked(snapshot: &Snapshot, table: &TableEntry) -> Result<RecordBatch, SnapshotError> {
    let rows = table.rows as usize;
    let mut fields = Vec::with_capacity(table.columns.len());
    let mut arrays = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        let array = array(snapshot, column, rows).map_err(|e| {
            let place = format!("table `{}`, column `{}`", table.name, column.name);
            format::damaged(snapshot.name(), place, e.to_string())
        })?;
        let metadata: HashMap<String, String> = column.metadata.clone().into_iter().collect();
        fields.push(Field::new(&column.name, column.kind.data_type(), column.nullable).with_metadata(metadata));
        arrays.push(array);
    }
    let schema = Schema::new(fields).with_metadata(table.metadata.clone().into_iter().collect::<HashMap<_, _>>());
    if arrays.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::new(schema)));
    }
    RecordBatch::try_new(Arc::new(schema), arrays)
        .map_err(|e| format::damaged(snapshot.name(), format!("table `{}`", table.name), e.to_string()))
}

fn array(snapshot: &Snapshot, column: &ColumnEntry, rows: usize) -> Result<ArrayRef, ArrowError> {
    // The header was checked: the column has its buffers, and they have the lengths that `rows` asks for.
    let buffer = |i: usize| column.buffers.get(i).map_or_else(Buffer::default, |e| snapshot.buffer(e));
    let nulls = if column.null_count == 0 {
        None
    } else {
        let nulls = NullBuffer::new(BooleanBuffer::new(buffer(0), 0, rows));
        if nulls.null_count() as u64 != column.null_count {
            let message = format!("{} rows are null, recorded are {}", nulls.null_count(), column.null_count);
            return Err(ArrowError::InvalidArgumentError(message));
        }
        Some(nulls)
    };
    Ok(match column.kind {
        ColumnKind::Bool => Arc::new(BooleanArray::new(BooleanBuffer::new(buffer(1), 0, rows), nulls)),
        ColumnKind::Primitive(p) => primitive(p, buffer(1), nulls)?,
        ColumnKind::FixedBinary(n) => {
            let width = i32::try_from(n).map_err(|e| ArrowError::InvalidArgumentError(e.to_string()))?;
            Arc::new(FixedSizeBinaryArray::try_new(width, buffer(1), nulls)?)
        }
        ColumnKind::Utf8 { large: false } => pooled::<Utf8Type>(buffer(1), buffer(2), nulls)?,
        ColumnKind::Utf8 { large: true } => pooled::<LargeUtf8Type>(buffer(1), buffer(2), nulls)?,
        ColumnKind::Binary { large: false } => pooled::<BinaryType>(buffer(1), buffer(2), nulls)?,
        ColumnKind::Binary { large: true } => pooled::<LargeBinaryType>(buffer(1), buffer(2), nulls)?,
        ColumnKind::Dictionary => {
            let keys = PrimitiveArray::<Int32Type>::try_new(scalars(buffer(1)), nulls)?;
            let values = StringArray::try_new(offsets(buffer(2))?, buffer(3), None)?;
            Arc::new(DictionaryArray::try_new(keys, Arc::new(values))?)
        }
        ColumnKind::List { item, nullable, large: false } => list::<i32>(item, nullable, &buffer, nulls)?,
        ColumnKind::List { item, nullable, large: true } => list::<i64>(item, nullable, &buffer, nulls)?,
    })
}

fn scalars<T: arrow::datatypes::ArrowNativeType>(buffer: Buffer) -> ScalarBuffer<T> {
    let length = buffer.len() / size_of::<T>();
    ScalarBuffer::new(buffer, 0, length)
}

/// Offsets that begin at zero or later and never fall.
fn offsets<O: OffsetSizeTrait>(buffer: Buffer) -> Result<OffsetBuffer<O>, ArrowError> {
    let offsets: ScalarBuffer<O> = scalars(buffer);
    if offsets.first().is_none_or(|first| *first < O::zero()) {
        return Err(ArrowError::InvalidArgumentError("the first offset is absent or negative".to_owned()));
    }
    if let Some(row) = offsets.windows(2).position(|w| matches!(w, [a, b] if a > b)) {
        return Err(ArrowError::InvalidArgumentError(format!("row {row}: its end comes before its start")));
    }
    Ok(OffsetBuffer::new(offsets))
}

fn primitive(p: Primitive, values: Buffer, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
    fn typed<T: ArrowPrimitiveType>(values: Buffer, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(PrimitiveArray::<T>::try_new(scalars(values), nulls)?))
    }
    match p {
        Primitive::I8 => typed::<Int8Type>(values, nulls),
        Primitive::I16 => typed::<Int16Type>(values, nulls),
        Primitive::I32 => typed::<Int32Type>(values, nulls),
        Primitive::I64 => typed::<Int64Type>(values, nulls),
        Primitive::U8 => typed::<UInt8Type>(values, nulls),
        Primitive::U16 => typed::<UInt16Type>(values, nulls),
        Primitive::U32 => typed::<UInt32Type>(values, nulls),
        Primitive::U64 => typed::<UInt64Type>(values, nulls),
        Primitive::F32 => typed::<Float32Type>(values, nulls),
        Primitive::F64 => typed::<Float64Type>(values, nulls),
        Primitive::Nanoseconds => typed::<TimestampNanosecondType>(values, nulls),
    }
}

fn pooled<T: ByteArrayType>(ends: Buffer, values: Buffer, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(GenericByteArray::<T>::try_new(offsets(ends)?, values, nulls)?))
}

fn list<O: OffsetSizeTrait>(
    item: Primitive,
    nullable: bool,
    buffer: &dyn Fn(usize) -> Buffer,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let field = Arc::new(Field::new_list_field(item.data_type(), nullable));
    let values = primitive(item, buffer(2), None)?;
    Ok(Arc::new(GenericListArray::<O>::try_new(field, offsets(buffer(1))?, values, nulls)?))
}
