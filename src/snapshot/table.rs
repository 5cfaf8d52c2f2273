//! [`Table`]: one table of a snapshot, and its columns by name and type.

use arrow::record_batch::RecordBatch;

use super::format::TableEntry;
use super::{BytesColumn, Column, Native, Snapshot, SnapshotError, StrColumn};
use crate::dimension::near_miss;

/// One table of a snapshot. Looking at it costs nothing; its values are read where they are.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) entry: &'a TableEntry,
}

impl<'a> Table<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        &self.entry.name
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.entry.rows as usize
    }

    /// The columns, in order.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = Column<'a>> {
        let Self { snapshot, entry: table } = *self;
        table.columns.iter().map(move |entry| Column { snapshot, table, entry })
    }

    /// The column of this name.
    ///
    /// # Errors
    /// [`SnapshotError::NoColumn`].
    pub fn column(&self, name: &str) -> Result<Column<'a>, SnapshotError> {
        self.columns().find(|c| c.name() == name).ok_or_else(|| SnapshotError::NoColumn {
            snapshot: self.snapshot.name().to_owned(),
            table: self.name().to_owned(),
            column: name.to_owned(),
            near: near_miss(name, self.columns().map(|c| c.name())),
        })
    }

    /// The numbers of a column, one a row, in place. What stands in null rows is unspecified ([`Column::is_null`]).
    ///
    /// # Errors
    /// [`SnapshotError::NoColumn`], [`SnapshotError::WrongType`].
    pub fn column_values<T: Native>(&self, name: &str) -> Result<&'a [T], SnapshotError> {
        self.column(name)?.values()
    }

    /// The numbers of a column of 32-bit integers, in place.
    ///
    /// # Errors
    /// As [`Self::column_values`].
    pub fn column_i32(&self, name: &str) -> Result<&'a [i32], SnapshotError> {
        self.column_values(name)
    }

    /// The numbers of a column of 64-bit integers, in place.
    ///
    /// # Errors
    /// As [`Self::column_values`].
    pub fn column_i64(&self, name: &str) -> Result<&'a [i64], SnapshotError> {
        self.column_values(name)
    }

    /// The numbers of a column of unsigned 64-bit integers, in place.
    ///
    /// # Errors
    /// As [`Self::column_values`].
    pub fn column_u64(&self, name: &str) -> Result<&'a [u64], SnapshotError> {
        self.column_values(name)
    }

    /// The numbers of a column of single precision, in place.
    ///
    /// # Errors
    /// As [`Self::column_values`].
    pub fn column_f32(&self, name: &str) -> Result<&'a [f32], SnapshotError> {
        self.column_values(name)
    }

    /// The numbers of a column of double precision, in place.
    ///
    /// # Errors
    /// As [`Self::column_values`].
    pub fn column_f64(&self, name: &str) -> Result<&'a [f64], SnapshotError> {
        self.column_values(name)
    }

    /// The values of a column of UUIDs, 16 bytes a row, in place.
    ///
    /// # Errors
    /// As [`Self::column_values`].
    pub fn column_uuid(&self, name: &str) -> Result<&'a [[u8; 16]], SnapshotError> {
        self.column(name)?.fixed()
    }

    /// The texts of a column, plain or by dictionary.
    ///
    /// # Errors
    /// [`SnapshotError::NoColumn`], [`SnapshotError::WrongType`].
    pub fn column_str(&self, name: &str) -> Result<StrColumn<'a>, SnapshotError> {
        self.column(name)?.texts()
    }

    /// The byte strings of a column.
    ///
    /// # Errors
    /// [`SnapshotError::NoColumn`], [`SnapshotError::WrongType`].
    pub fn column_bytes(&self, name: &str) -> Result<BytesColumn<'a>, SnapshotError> {
        self.column(name)?.blobs()
    }

    /// The table as an Arrow record batch: [`Snapshot::to_record_batch`].
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`].
    pub fn to_record_batch(&self) -> Result<RecordBatch, SnapshotError> {
        self.snapshot.to_record_batch(self.name())
    }
}
