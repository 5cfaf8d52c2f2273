//! Arrow arrays in and out.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Int64Array, PrimitiveArray, RecordBatch, StringArray, UInt64Array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Int32Type};

use super::column::PackColumn;
use super::error::{BadRows, PackError};
use super::packer::{OnError, Packer, UnpackedColumn};
use crate::dimension::DataId;

impl Packer {
    /// Packs the columns of a table that have the names of this packer's fields; others are left aside. `constants` stand in
    /// for columns. With [`OnError::Mask`] rows that do not fit are null.
    ///
    /// The array is of `Int64`, or `UInt64` for a packer of 64 bits.
    ///
    /// # Errors
    /// As [`pack_columns`](Packer::pack_columns).
    pub fn pack_batch(
        &self,
        batch: &RecordBatch,
        constants: &DataId,
        on_error: OnError,
    ) -> Result<(ArrayRef, Option<BadRows>), PackError> {
        let schema = batch.schema_ref();
        let mut columns: Vec<(&str, PackColumn<'_>)> =
            constants.iter().map(|(name, value)| (name, PackColumn::value(value.clone()))).collect();
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            let name = field.name().as_str();
            if self.plan.target(name).is_some() && constants.get(name).is_none() {
                columns.push((name, PackColumn::arrow(name, array.as_ref())?));
            }
        }
        let rows = batch.num_rows();
        let mut bad = (on_error == OnError::Mask).then(|| vec![false; rows]);
        let (array, faults): (ArrayRef, _) = if self.packed_type() == DataType::Int64 {
            let mut ids = vec![0_i64; rows];
            let faults = self.pack_into(&columns, ids.as_mut_slice(), bad.as_deref_mut())?;
            (Arc::new(Int64Array::new(ids.into(), nulls(bad.as_deref(), faults.is_some()))), faults)
        } else {
            let mut ids = vec![0_u64; rows];
            let faults = self.pack_into(&columns, ids.as_mut_slice(), bad.as_deref_mut())?;
            (Arc::new(UInt64Array::new(ids.into(), nulls(bad.as_deref(), faults.is_some()))), faults)
        };
        Ok((array, faults))
    }

    /// Unpacks an array of integers to arrays: `Int64` for integers and dates, dictionaries of texts for names. `names` are
    /// those wanted; empty means [`default_columns`](Packer::default_columns). With [`OnError::Mask`] rows that do not fit are null.
    ///
    /// # Errors
    /// As [`unpack_columns`](Packer::unpack_columns).
    pub fn unpack_array(
        &self,
        ids: &dyn Array,
        names: &[&str],
        on_error: OnError,
    ) -> Result<(Vec<(Field, ArrayRef)>, Option<BadRows>), PackError> {
        let column = PackColumn::arrow("the packed integers", ids)?;
        let unpacked = self.unpack_columns(&column, names, on_error)?;
        let nulls = nulls(unpacked.bad.as_deref(), unpacked.faults.is_some());
        let arrays = unpacked.columns.into_iter().map(|(name, column)| {
            let array = arrow(column, nulls.clone());
            (Field::new(&*name, array.data_type().clone(), true), array)
        });
        Ok((arrays.collect(), unpacked.faults))
    }

    /// The fields that [`unpack_array`](Self::unpack_array) makes for `names`.
    ///
    /// # Errors
    /// [`PackError::UnknownColumn`], [`PackError::Twice`].
    pub fn unpacked_fields(&self, names: &[&str]) -> Result<Vec<Field>, PackError> {
        let none: [u64; 0] = [];
        let unpacked = self.unpack_columns(&PackColumn::from(none.as_slice()), names, OnError::Fail)?;
        let fields = unpacked.columns.into_iter().map(|(name, column)| {
            let data_type = arrow(column, None).data_type().clone();
            Field::new(&*name, data_type, true)
        });
        Ok(fields.collect())
    }

    /// The type of [`pack_batch`](Self::pack_batch)'s array.
    pub fn packed_type(&self) -> DataType {
        if i64::try_from(self.max()).is_ok() { DataType::Int64 } else { DataType::UInt64 }
    }
}

fn nulls(bad: Option<&[bool]>, any: bool) -> Option<NullBuffer> {
    let bad = bad.filter(|_| any)?;
    Some(NullBuffer::new(BooleanBuffer::collect_bool(bad.len(), |i| !bad[i])))
}

fn arrow(column: UnpackedColumn, nulls: Option<NullBuffer>) -> ArrayRef {
    match column {
        UnpackedColumn::Integers(values) => Arc::new(Int64Array::new(values.into(), nulls)),
        UnpackedColumn::Unsigned(values) => Arc::new(UInt64Array::new(values.into(), nulls)),
        UnpackedColumn::Names { keys, names } => {
            // A null is a null of the keys, not an entry of the dictionary: not every reader knows the latter.
            let null = names.iter().position(Option::is_none).map(|p| p as i32);
            let nulls = match null {
                Some(null) => {
                    let valid = NullBuffer::new(BooleanBuffer::collect_bool(keys.len(), |i| keys[i] != null));
                    NullBuffer::union(nulls.as_ref(), Some(&valid)).filter(|n| n.null_count() > 0)
                }
                None => nulls,
            };
            let values: StringArray = names.iter().map(|n| Some(n.as_deref().unwrap_or(""))).collect();
            let keys = PrimitiveArray::<Int32Type>::new(keys.into(), nulls);
            match DictionaryArray::try_new(keys, Arc::new(values)) {
                Ok(array) => Arc::new(array),
                // Keys are positions in the very table.
                Err(_) => arrow::array::new_empty_array(&DataType::Null),
            }
        }
    }
}
