//! [`PackedTable`]: tables with a column of packed integers, batch by batch.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::column::PackColumn;
use super::error::{BadRows, PackError};
use super::packer::{OnError, Packer};
use crate::dimension::{DataId, near_miss};

/// How a packer's integers and values stand in a table: which columns they are. Batches of a table go through it one by one, and
/// keep all their other columns.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// use bunter::{BandCodes, PackedTable, Packer};
///
/// let packer = Packer::sky_map("hsc_rings_v1", 18938, 81, &BandCodes::None)?;
/// let table = PackedTable::new(packer, "object").with_columns(&[("tract", "tract"), ("patch", "p")])?;
/// let object: ArrayRef = Arc::new(Int64Array::from(vec![31 + 81 * 9813, 7]));
/// let batch = RecordBatch::try_from_iter([("object", object.clone()), ("flux", object)])?;
/// let (unpacked, _) = table.unpack(&batch)?;
/// let names: Vec<_> = unpacked.schema_ref().fields().iter().map(|f| f.name().clone()).collect();
/// assert_eq!(names, ["object", "flux", "tract", "p"]);
/// let (packed, _) = table.pack(&unpacked)?;
/// assert_eq!(packed.column(0), unpacked.column(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PackedTable {
    packer: Packer,
    id: String,
    /// Fields and the columns that hold them; empty: the packer's default columns under their own names.
    columns: Vec<(String, String)>,
    constants: DataId,
    on_error: OnError,
    drop_id: bool,
}

impl PackedTable {
    /// Packed integers in the column `id`, values in columns that have the fields' names.
    pub fn new(packer: Packer, id: &str) -> Self {
        Self {
            packer,
            id: id.to_owned(),
            columns: Vec::new(),
            constants: DataId::new(),
            on_error: OnError::Fail,
            drop_id: false,
        }
    }

    /// These fields in these columns: when unpacking only they are written, when packing the others are found by their names.
    ///
    /// # Errors
    /// [`PackError::UnknownColumn`], [`PackError::Twice`].
    pub fn with_columns(mut self, columns: &[(&str, &str)]) -> Result<Self, PackError> {
        self.packer.targets(columns.iter().map(|(field, _)| *field))?;
        for (i, (_, column)) in columns.iter().enumerate() {
            if *column == self.id || columns[..i].iter().any(|(_, other)| other == column) {
                return Err(PackError::Twice { name: (*column).to_owned() });
            }
        }
        self.columns = columns.iter().map(|(field, column)| ((*field).to_owned(), (*column).to_owned())).collect();
        Ok(self)
    }

    /// Values that stand in every row when packing, in place of columns.
    #[must_use]
    pub fn with_constants(mut self, constants: DataId) -> Self {
        self.constants = constants;
        self
    }

    /// What happens to rows that do not fit; with [`OnError::Mask`] what is written there is null.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// Leaves the column of packed integers out of unpacked tables.
    #[must_use]
    pub fn without_id(mut self) -> Self {
        self.drop_id = true;
        self
    }

    /// The packer.
    pub fn packer(&self) -> &Packer {
        &self.packer
    }

    /// Fields to unpack and the columns that take them.
    fn outputs(&self) -> Vec<(&str, &str)> {
        if self.columns.is_empty() {
            return self.packer.default_columns().map(|name| (name, name)).collect();
        }
        self.columns.iter().map(|(field, column)| (field.as_str(), column.as_str())).collect()
    }

    /// The schema of unpacked batches: columns that have the names of unpacked ones are replaced where they are, the others are
    /// added behind.
    ///
    /// # Errors
    /// [`PackError::NoColumn`] when the table has no such column of packed integers.
    pub fn unpacked_schema(&self, schema: &Schema) -> Result<SchemaRef, PackError> {
        let id = Self::find(schema, &self.id)?;
        let outputs = self.outputs();
        let names: Vec<&str> = outputs.iter().map(|(field, _)| *field).collect();
        let fields = self.packer.unpacked_fields(&names)?;
        let fields = fields.into_iter().zip(outputs).map(|(field, (_, column))| field.with_name(column));
        let mut all = placed(schema.fields().iter().map(|f| f.as_ref().clone()), fields, Field::name);
        if self.drop_id && id < all.len() {
            all.remove(id);
        }
        Ok(Arc::new(Schema::new_with_metadata(all, schema.metadata().clone())))
    }

    /// A batch with its integers unpacked, in the schema of [`unpacked_schema`](Self::unpacked_schema).
    ///
    /// # Errors
    /// [`PackError::Rows`] when rows do not fit and nulls were not asked for; [`PackError::NoColumn`],
    /// [`PackError::WrongType`].
    pub fn unpack(&self, batch: &RecordBatch) -> Result<(RecordBatch, Option<BadRows>), PackError> {
        let schema = batch.schema_ref();
        let id = Self::find(schema, &self.id)?;
        let outputs = self.outputs();
        let names: Vec<&str> = outputs.iter().map(|(field, _)| *field).collect();
        let (arrays, faults) = self.packer.unpack_array(batch.column(id).as_ref(), &names, self.on_error)?;
        let new = arrays.into_iter().zip(outputs).map(|((_, array), (_, column))| (column.to_owned(), array));
        let old = schema.fields().iter().zip(batch.columns()).map(|(f, c)| (f.name().clone(), Arc::clone(c)));
        let mut all = placed(old, new, |(name, _)| name);
        if self.drop_id && id < all.len() {
            all.remove(id);
        }
        Ok((self.batch(self.unpacked_schema(schema)?, all, batch.num_rows())?, faults))
    }

    /// The schema of packed batches: all columns, that of the packed integers replaced where it is or added behind.
    pub fn packed_schema(&self, schema: &Schema) -> SchemaRef {
        let field = Field::new(&self.id, self.packer.packed_type(), true);
        let all = placed(schema.fields().iter().map(|f| f.as_ref().clone()), [field].into_iter(), Field::name);
        Arc::new(Schema::new_with_metadata(all, schema.metadata().clone()))
    }

    /// A batch with its columns packed, in the schema of [`packed_schema`](Self::packed_schema).
    ///
    /// # Errors
    /// [`PackError::Rows`] when rows do not fit and nulls were not asked for; [`PackError::MissingColumn`],
    /// [`PackError::NoColumn`], [`PackError::WrongType`].
    pub fn pack(&self, batch: &RecordBatch) -> Result<(RecordBatch, Option<BadRows>), PackError> {
        let schema = batch.schema_ref();
        let mut columns: Vec<(&str, PackColumn<'_>)> =
            self.constants.iter().map(|(name, value)| (name, PackColumn::value(value.clone()))).collect();
        for (field, column) in &self.columns {
            let array = batch.column(Self::find(schema, column)?);
            columns.push((field, PackColumn::arrow(column, array.as_ref())?));
        }
        for name in self.packer.columns() {
            let taken = columns.iter().any(|(other, _)| *other == name);
            // An identifier speaks for its parts, and is not needed where they are.
            let place = schema.fields().iter().position(|f| f.name() == name && *f.name() != self.id);
            if let Some(place) = place.filter(|_| !taken) {
                columns.push((name, PackColumn::arrow(name, batch.column(place).as_ref())?));
            }
        }
        let (array, faults) = self.packer.pack_arrow(&columns, batch.num_rows(), self.on_error)?;
        let old = schema.fields().iter().zip(batch.columns()).map(|(f, c)| (f.name().clone(), Arc::clone(c)));
        let all = placed(old, [(self.id.clone(), array)].into_iter(), |(name, _)| name);
        Ok((self.batch(self.packed_schema(schema), all, batch.num_rows())?, faults))
    }

    fn batch(
        &self,
        schema: SchemaRef,
        columns: Vec<(String, ArrayRef)>,
        rows: usize,
    ) -> Result<RecordBatch, PackError> {
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema, columns, &options)
            .map_err(|e| PackError::Layout { packer: self.packer.name().to_owned(), problem: e.to_string() })
    }

    fn find(schema: &Schema, name: &str) -> Result<usize, PackError> {
        schema.fields().iter().position(|f| f.name() == name).ok_or_else(|| PackError::NoColumn {
            name: name.to_owned(),
            near: near_miss(name, schema.fields().iter().map(|f| f.name().as_str())),
            known: schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", "),
        })
    }
}

/// `new` in the places of those `old` that have their names, the rest behind.
fn placed<T>(old: impl Iterator<Item = T>, new: impl Iterator<Item = T>, name: impl Fn(&T) -> &String) -> Vec<T> {
    let mut all: Vec<T> = old.collect();
    for item in new {
        match all.iter().position(|other| name(other) == name(&item)) {
            Some(place) => all[place] = item,
            None => all.push(item),
        }
    }
    all
}
