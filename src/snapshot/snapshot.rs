//! [`Snapshot`]: an open snapshot.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use arrow::buffer::Buffer;
use arrow::record_batch::RecordBatch;
use rayon::prelude::*;

use super::format::{self, BlobEntry, Extent, Header, TableEntry};
use super::{SnapshotError, Table, bytes, record_batch};
use crate::dimension::near_miss;

/// Named tables and blobs as they were when the snapshot was made, read in place. Cloning shares the bytes.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{ArrayRef, Int64Array};
/// use arrow::record_batch::RecordBatch;
/// use bunter::{Snapshot, SnapshotBuilder};
///
/// let visits: ArrayRef = Arc::new(Int64Array::from(vec![1228, 1230]));
/// let mut builder = SnapshotBuilder::new();
/// builder.add_table("visits", &RecordBatch::try_from_iter([("visit", visits)])?)?;
/// let snapshot = Snapshot::from_bytes(builder.to_bytes()?)?;
/// assert_eq!(snapshot.table("visits")?.column_i64("visit")?, [1228, 1230]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Snapshot {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    header: Header,
    /// The whole file.
    bytes: Buffer,
    /// Where the columns begin.
    data: usize,
    /// Tables whose every value was checked, made when first asked for.
    batches: Vec<OnceLock<RecordBatch>>,
}

impl Snapshot {
    /// Opens a snapshot file through a memory map. Cost: the header, whatever the number of rows.
    ///
    /// The file must not be written to while it is open; a snapshot is replaced by renaming a new one over it, which is
    /// what [`SnapshotBuilder::write_to`](super::SnapshotBuilder::write_to) does.
    ///
    /// # Errors
    /// [`SnapshotError::Io`], [`SnapshotError::NotASnapshot`], [`SnapshotError::Version`], [`SnapshotError::Damaged`],
    /// [`SnapshotError::Checksum`] (of the header; columns are checked by [`Self::verify`]).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SnapshotError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        match bytes::map(path) {
            Ok(bytes) => Self::new(name, bytes),
            Err(source) => Err(SnapshotError::Io { action: "open", snapshot: name, source }),
        }
    }

    /// A snapshot in bytes that are in memory already: received from another rank, or a window of shared memory whose
    /// owner keeps it alive. Bytes that are aligned to eight are used where they are; others are copied once.
    ///
    /// # Errors
    /// As [`Self::open`], without `Io`.
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self, SnapshotError> {
        Self::new("received bytes".to_owned(), bytes::owned(bytes))
    }

    fn new(name: String, bytes: Buffer) -> Result<Self, SnapshotError> {
        let (header, data) = format::read(&bytes, &name)?;
        let batches = header.tables.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { inner: Arc::new(Inner { name, header, bytes, data, batches }) })
    }

    /// Its path, or `received bytes`.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The whole snapshot as bytes, to send to another rank or copy into shared memory.
    pub fn as_bytes(&self) -> &[u8] {
        &self.inner.bytes
    }

    /// A property, by one of the names in [`property`](super::property) or the caller's own.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.inner.header.properties.get(name).map(String::as_str)
    }

    /// All properties, sorted by name.
    pub fn properties(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.inner.header.properties.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// The tables, sorted by name.
    pub fn tables(&self) -> impl ExactSizeIterator<Item = Table<'_>> {
        self.inner.header.tables.iter().map(|entry| Table { snapshot: self, entry })
    }

    /// Whether there is a table of this name.
    pub fn has_table(&self, name: &str) -> bool {
        self.table_index(name).is_some()
    }

    /// The table of this name.
    ///
    /// # Errors
    /// [`SnapshotError::NoTable`].
    pub fn table(&self, name: &str) -> Result<Table<'_>, SnapshotError> {
        match self.table_index(name).and_then(|i| self.inner.header.tables.get(i)) {
            Some(entry) => Ok(Table { snapshot: self, entry }),
            None => Err(self.no_table(name)),
        }
    }

    /// The blob of this name.
    ///
    /// # Errors
    /// [`SnapshotError::NoBlob`].
    pub fn blob(&self, name: &str) -> Result<&[u8], SnapshotError> {
        let blobs = &self.inner.header.blobs;
        match blobs.binary_search_by(|b| b.name.as_str().cmp(name)).ok().and_then(|i| blobs.get(i)) {
            Some(blob) => Ok(self.slice(&blob.extent)),
            None => Err(SnapshotError::NoBlob {
                snapshot: self.name().to_owned(),
                blob: name.to_owned(),
                near: near_miss(name, self.blobs()),
            }),
        }
    }

    /// Names of the blobs, sorted.
    pub fn blobs(&self) -> impl Iterator<Item = &str> {
        self.inner.header.blobs.iter().map(|b| b.name.as_str())
    }

    /// A table as an Arrow record batch over the snapshot's own bytes, which it keeps alive.
    ///
    /// The first call for a table checks all of its values (offsets, UTF-8, dictionary codes, nulls), which costs a pass
    /// over the texts and codes; further calls share the result.
    ///
    /// # Errors
    /// [`SnapshotError::NoTable`], [`SnapshotError::Damaged`].
    pub fn to_record_batch(&self, table: &str) -> Result<RecordBatch, SnapshotError> {
        let index = self.table_index(table);
        let entry = index.and_then(|i| Some((self.inner.header.tables.get(i)?, self.inner.batches.get(i)?)));
        let Some((entry, cell)) = entry else { return Err(self.no_table(table)) };
        if let Some(batch) = cell.get() {
            return Ok(batch.clone());
        }
        let batch = record_batch::checked(self, entry)?;
        Ok(cell.get_or_init(|| batch).clone())
    }

    /// Checks everything: checksums of all columns and blobs (on all cores), and every value as
    /// [`Self::to_record_batch`] does.
    ///
    /// # Errors
    /// [`SnapshotError::Checksum`], [`SnapshotError::Damaged`].
    pub fn verify(&self) -> Result<(), SnapshotError> {
        let header = &self.inner.header;
        header.tables.par_iter().try_for_each(|table| self.verify_table(table))?;
        header.blobs.par_iter().try_for_each(|BlobEntry { name, extent }| {
            format::check_sum(self.slice(extent), extent.checksum, || format!("blob `{name}`"), self.name())
        })
    }

    fn verify_table(&self, table: &TableEntry) -> Result<(), SnapshotError> {
        table.columns.par_iter().try_for_each(|column| {
            column.buffers.par_iter().zip(column.kind.buffers()).try_for_each(|(extent, buffer)| {
                let place = || format::buffer_place(&table.name, &column.name, buffer);
                format::check_sum(self.slice(extent), extent.checksum, place, self.name())
            })
        })?;
        self.to_record_batch(&table.name).map(drop)
    }

    /// The bytes of an extent, which was checked to lie inside the file when the header was read.
    pub(super) fn slice(&self, extent: &Extent) -> &[u8] {
        let start = self.inner.data + extent.offset as usize;
        self.inner.bytes.get(start..start + extent.length as usize).unwrap_or_default()
    }

    /// The bytes of an extent as a buffer that keeps the snapshot's bytes alive.
    pub(super) fn buffer(&self, extent: &Extent) -> Buffer {
        self.inner.bytes.slice_with_length(self.inner.data + extent.offset as usize, extent.length as usize)
    }

    fn table_index(&self, name: &str) -> Option<usize> {
        self.inner.header.tables.binary_search_by(|t| t.name.as_str().cmp(name)).ok()
    }

    fn no_table(&self, name: &str) -> SnapshotError {
        SnapshotError::NoTable {
            snapshot: self.name().to_owned(),
            table: name.to_owned(),
            near: near_miss(name, self.tables().map(|t| t.name())),
        }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Snapshot");
        out.field("name", &self.inner.name).field("bytes", &self.inner.bytes.len());
        for table in self.tables() {
            out.field(table.name(), &table.rows());
        }
        out.finish()
    }
}
