//! [`SnapshotBuilder`]: collects tables and blobs, and writes them.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, GenericByteArray, GenericListArray, OffsetSizeTrait};
use arrow::buffer::{BooleanBuffer, Buffer, OffsetBuffer};
use arrow::datatypes::{BinaryType, ByteArrayType, Int32Type, LargeBinaryType, LargeUtf8Type, Utf8Type};
use arrow::record_batch::RecordBatch;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::format::{self, BlobEntry, ColumnEntry, Extent, Header, TableEntry};
use super::{ColumnKind, SnapshotError, property};
use crate::dataset::codec;

/// Collects tables and blobs for a snapshot, sharing their memory, and writes them as a stream.
///
/// The same tables, blobs and properties give the same bytes, in whatever order they were added.
#[derive(Clone, Debug)]
pub struct SnapshotBuilder {
    properties: BTreeMap<String, String>,
    tables: BTreeMap<String, PendingTable>,
    blobs: BTreeMap<String, Buffer>,
}

#[derive(Clone, Debug)]
struct PendingTable {
    rows: u64,
    columns: Vec<PendingColumn>,
    metadata: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct PendingColumn {
    name: String,
    kind: ColumnKind,
    nullable: bool,
    null_count: u64,
    buffers: Vec<Buffer>,
    metadata: BTreeMap<String, String>,
}

impl Default for SnapshotBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl SnapshotBuilder {
    /// A builder without tables, whose only property is the version of this software.
    pub fn new() -> Self {
        let version = (property::SOFTWARE_VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        Self { properties: BTreeMap::from([version]), tables: BTreeMap::new(), blobs: BTreeMap::new() }
    }

    /// Sets a property; see [`property`] for the names every snapshot of a registry has.
    pub fn set_property(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// Adds a table. Its columns are shared, not copied; only bits, and offsets of sliced arrays, are made anew.
    ///
    /// # Errors
    /// [`SnapshotError::Duplicate`]; [`SnapshotError::Unsupported`]: a column's type is not one of [`ColumnKind`], or the
    /// table has rows but no columns.
    pub fn add_table(&mut self, name: &str, batch: &RecordBatch) -> Result<&mut Self, SnapshotError> {
        if self.tables.contains_key(name) {
            return Err(SnapshotError::Duplicate { what: "table", name: name.to_owned() });
        }
        if batch.num_columns() == 0 && batch.num_rows() > 0 {
            return Err(unsupported(name, "", "rows without columns", "at least one column"));
        }
        let schema = batch.schema_ref();
        let mut columns: Vec<PendingColumn> = Vec::with_capacity(batch.num_columns());
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            if columns.iter().any(|c| c.name == *field.name()) {
                return Err(SnapshotError::Duplicate { what: "column", name: field.name().clone() });
            }
            let found = || field.data_type().to_string();
            let kind = ColumnKind::of(field.data_type()).filter(|k| *k != ColumnKind::FixedBinary(0));
            let kind = kind.ok_or_else(|| unsupported(name, field.name(), &found(), ADVICE))?;
            let values = value_buffers(array, kind)
                .ok_or_else(|| unsupported(name, field.name(), &format!("{} with nulls inside", found()), ADVICE))?;
            let null_count = array.null_count() as u64;
            let validity = match array.nulls() {
                Some(nulls) if null_count > 0 => bits(nulls.inner()),
                _ => Buffer::default(),
            };
            let mut buffers = vec![validity];
            buffers.extend(values);
            columns.push(PendingColumn {
                name: field.name().clone(),
                kind,
                nullable: field.is_nullable(),
                null_count,
                buffers,
                metadata: field.metadata().iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            });
        }
        let metadata = schema.metadata().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        self.tables.insert(name.to_owned(), PendingTable { rows: batch.num_rows() as u64, columns, metadata });
        Ok(self)
    }

    /// Adds bytes of any meaning under a name: a stored index, an encoded region.
    ///
    /// # Errors
    /// [`SnapshotError::Duplicate`].
    pub fn add_blob(&mut self, name: &str, bytes: Vec<u8>) -> Result<&mut Self, SnapshotError> {
        if self.blobs.contains_key(name) {
            return Err(SnapshotError::Duplicate { what: "blob", name: name.to_owned() });
        }
        self.blobs.insert(name.to_owned(), Buffer::from_vec(bytes));
        Ok(self)
    }

    /// Writes the snapshot to a file: under a temporary name in the same folder, synced, then renamed, so that a reader
    /// sees the old file or the whole new one.
    ///
    /// # Errors
    /// [`SnapshotError::Io`] (nothing is left behind), [`SnapshotError::Header`].
    pub fn write_to(&self, path: impl AsRef<Path>) -> Result<(), SnapshotError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let plan = self.plan(&name)?;
        let io = |source| SnapshotError::Io { action: "write", snapshot: name.clone(), source };
        let folder = match path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        // Readable by whom the umask lets: a temporary file is otherwise its owner's alone.
        let file = tempfile::Builder::new()
            .prefix(".snapshot-")
            .suffix(".tmp")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map_err(io)?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        plan.write(&mut out).map_err(io)?;
        let file = out.into_inner().map_err(|e| io(e.into_error()))?;
        file.as_file().sync_all().map_err(io)?;
        file.persist(path).map_err(|e| io(e.error))?;
        File::open(folder).and_then(|f| f.sync_all()).map_err(io)
    }

    /// Writes the snapshot to any stream, such as a socket; the caller flushes.
    ///
    /// # Errors
    /// [`SnapshotError::Io`], [`SnapshotError::Header`].
    pub fn write(&self, out: &mut impl Write) -> Result<(), SnapshotError> {
        let io = |source| SnapshotError::Io { action: "write", snapshot: STREAM.to_owned(), source };
        self.plan(STREAM)?.write(out).map_err(io)
    }

    /// The snapshot as bytes.
    ///
    /// # Errors
    /// [`SnapshotError::Header`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, SnapshotError> {
        let plan = self.plan(STREAM)?;
        let mut out = Vec::with_capacity(plan.length as usize);
        plan.write(&mut out).map_err(|source| SnapshotError::Io {
            action: "write",
            snapshot: STREAM.to_owned(),
            source,
        })?;
        Ok(out)
    }

    /// Decides where everything goes, and computes all checksums (on all cores).
    fn plan(&self, snapshot: &str) -> Result<Plan<'_>, SnapshotError> {
        let buffers: Vec<&Buffer> = (self.tables.values().flat_map(|t| &t.columns).flat_map(|c| &c.buffers))
            .chain(self.blobs.values())
            .collect();
        let checksums: Vec<u64> = buffers.par_iter().map(|b| xxh3_64(b)).collect();
        let too_long = || header_error(snapshot, "the snapshot is longer than 2^64 bytes");
        let mut end = 0_u64;
        let mut extents = Vec::with_capacity(buffers.len());
        for (buffer, checksum) in buffers.iter().zip(checksums) {
            let length = buffer.len() as u64;
            let offset = format::align(end).ok_or_else(too_long)?;
            end = offset.checked_add(length).ok_or_else(too_long)?;
            extents.push(Extent { offset, length, checksum });
        }
        let mut extents = extents.into_iter();
        let tables = self.tables.iter().map(|(name, table)| TableEntry {
            name: name.clone(),
            rows: table.rows,
            columns: table.columns.iter().map(|c| c.entry(&mut extents)).collect(),
            metadata: table.metadata.clone(),
        });
        let tables = tables.collect();
        let blobs = self.blobs.keys().zip(extents).map(|(name, extent)| BlobEntry { name: name.clone(), extent });
        let header = Header { properties: self.properties.clone(), tables, blobs: blobs.collect() };
        let header = codec::encode(&header).map_err(|e| header_error(snapshot, &e.to_string()))?;
        if header.len() as u64 > format::MAX_HEADER {
            let reason = format!("{} bytes are more than the {} allowed", header.len(), format::MAX_HEADER);
            return Err(header_error(snapshot, &reason));
        }
        let data = format::align((format::PREFIX + header.len()) as u64).ok_or_else(too_long)?;
        Ok(Plan { header, buffers, length: data.checked_add(end).ok_or_else(too_long)? })
    }
}

const STREAM: &str = "bytes to be sent";
const ADVICE: &str = "a boolean, number, text, byte string, dictionary of texts with 32-bit codes, or list of numbers";

/// A snapshot that is ready to be written.
struct Plan<'a> {
    header: Vec<u8>,
    buffers: Vec<&'a Buffer>,
    /// Of the whole file, bytes.
    length: u64,
}

impl Plan<'_> {
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let padding = |length: usize| &[0; format::ALIGNMENT as usize][..length.next_multiple_of(64) - length];
        out.write_all(&format::prefix(&self.header, self.length))?;
        out.write_all(&self.header)?;
        let mut last = format::PREFIX + self.header.len();
        for buffer in &self.buffers {
            out.write_all(padding(last))?;
            out.write_all(buffer)?;
            last = buffer.len();
        }
        // Without any buffer the columns begin, and the file ends, at the next boundary.
        if self.buffers.is_empty() { out.write_all(padding(last)) } else { Ok(()) }
    }
}

impl PendingColumn {
    fn entry(&self, extents: &mut impl Iterator<Item = Extent>) -> ColumnEntry {
        ColumnEntry {
            name: self.name.clone(),
            kind: self.kind,
            nullable: self.nullable,
            null_count: self.null_count,
            buffers: extents.take(self.buffers.len()).collect(),
            metadata: self.metadata.clone(),
        }
    }
}

/// The buffers of an array after its validity, `None` when lists or the dictionary hold nulls.
fn value_buffers(array: &ArrayRef, kind: ColumnKind) -> Option<Vec<Buffer>> {
    Some(match kind {
        ColumnKind::Bool => vec![bits(array.as_boolean().values())],
        ColumnKind::Primitive(p) => vec![fixed(array, p.width())?],
        ColumnKind::FixedBinary(n) => vec![fixed(array, n as usize)?],
        ColumnKind::Utf8 { large: false } => pooled::<Utf8Type>(array.as_bytes()),
        ColumnKind::Utf8 { large: true } => pooled::<LargeUtf8Type>(array.as_bytes()),
        ColumnKind::Binary { large: false } => pooled::<BinaryType>(array.as_bytes()),
        ColumnKind::Binary { large: true } => pooled::<LargeBinaryType>(array.as_bytes()),
        ColumnKind::Dictionary => {
            let dictionary = array.as_dictionary::<Int32Type>();
            let values = dictionary.values().as_string_opt::<i32>().filter(|v| v.null_count() == 0)?;
            let mut buffers = vec![primitive::<Int32Type>(dictionary.keys())];
            buffers.extend(pooled(values));
            buffers
        }
        ColumnKind::List { item, large: false, .. } => list(array.as_list::<i32>(), item.width())?,
        ColumnKind::List { item, large: true, .. } => list(array.as_list::<i64>(), item.width())?,
    })
}

fn primitive<T: ArrowPrimitiveType>(array: &arrow::array::PrimitiveArray<T>) -> Buffer {
    array.values().inner().clone()
}

/// The values of an array whose type has a fixed width, without the rows that a slice leaves out.
fn fixed(array: &dyn Array, width: usize) -> Option<Buffer> {
    let data = array.to_data();
    let (start, length) = (data.offset() * width, data.len() * width);
    let values = data.buffers().first()?;
    (start + length <= values.len()).then(|| values.slice_with_length(start, length))
}

/// Bits from bit zero of the first byte on, with zeros behind the last.
fn bits(bits: &BooleanBuffer) -> Buffer {
    let mut words: Vec<u64> = bits.bit_chunks().iter_padded().collect();
    words.truncate(bits.len().div_ceil(64));
    Buffer::from_vec(words).slice_with_length(0, bits.len().div_ceil(8))
}

/// Offsets that begin at zero, and the range of values they are of.
fn rebased<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> (Buffer, usize, usize) {
    let (first, last) = (offsets.first(), offsets.last());
    let buffer = if first == O::zero() {
        offsets.inner().inner().clone()
    } else {
        Buffer::from_vec(offsets.iter().map(|o| *o - first).collect::<Vec<O>>())
    };
    (buffer, first.as_usize(), last.as_usize())
}

fn pooled<T: ByteArrayType>(array: &GenericByteArray<T>) -> Vec<Buffer> {
    let (offsets, first, last) = rebased(array.offsets());
    vec![offsets, array.values().slice_with_length(first, last - first)]
}

fn list<O: OffsetSizeTrait>(array: &GenericListArray<O>, width: usize) -> Option<Vec<Buffer>> {
    let (offsets, first, last) = rebased(array.offsets());
    let values = array.values().slice(first, last - first);
    (values.null_count() == 0).then_some(())?;
    Some(vec![offsets, fixed(&values, width)?])
}

fn unsupported(table: &str, column: &str, found: &str, advice: &'static str) -> SnapshotError {
    SnapshotError::Unsupported { table: table.to_owned(), column: column.to_owned(), found: found.to_owned(), advice }
}

fn header_error(snapshot: &str, reason: &str) -> SnapshotError {
    SnapshotError::Header { snapshot: snapshot.to_owned(), reason: reason.to_owned() }
}
