//! The layout of the file: prefix, header, columns. Described for other implementations in `docs/snapshot-format.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{ColumnKind, Primitive, SnapshotError};
use crate::dataset::codec;

const _: () = assert!(cfg!(target_endian = "little"), "columns are little-endian and are read in place");

/// Names of the properties that every snapshot of a registry has.
pub mod property {
    /// Address of the repository.
    pub const REPOSITORY: &str = "repository";
    /// The run that the snapshot was made for.
    pub const RUN: &str = "run";
    /// When it was made, ISO 8601, UTC.
    pub const MADE_AT: &str = "made_at";
    /// Version of the software that made it.
    pub const SOFTWARE_VERSION: &str = "software_version";
    /// State of the registry when it was read.
    pub const REGISTRY_STATE: &str = "registry_state";
    /// Which regions and WCSs of images it holds: a `RegionState` as text, `3-00c0ffee00c0ffee`.
    pub const REGION_STATE: &str = "region_state";
}

/// The first eight bytes.
pub(super) const MAGIC: [u8; 8] = *b"BUNTER\0\n";
/// The version of the format that is written and read.
pub(super) const VERSION: u32 = 1;
/// Bytes before the header.
pub(super) const PREFIX: usize = 64;
/// Every buffer begins at a multiple of this, counted from the start of the file.
pub(super) const ALIGNMENT: u64 = 64;
/// The largest header: far more tables than any survey has, and little enough to decode without fear.
pub(super) const MAX_HEADER: u64 = 16 << 20;

/// A range of bytes, counted from the start of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) length: u64,
    /// xxh3-64 of the bytes.
    pub(super) checksum: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ColumnEntry {
    pub(super) name: String,
    pub(super) kind: ColumnKind,
    pub(super) nullable: bool,
    pub(super) null_count: u64,
    /// As `ColumnKind::buffers` says. The validity has length zero when `null_count` is zero.
    pub(super) buffers: Vec<Extent>,
    pub(super) metadata: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TableEntry {
    pub(super) name: String,
    pub(super) rows: u64,
    pub(super) columns: Vec<ColumnEntry>,
    pub(super) metadata: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BlobEntry {
    pub(super) name: String,
    pub(super) extent: Extent,
}

/// Everything there is to know before the first column is read. Tables and blobs are sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) properties: BTreeMap<String, String>,
    pub(super) tables: Vec<TableEntry>,
    pub(super) blobs: Vec<BlobEntry>,
}

/// The next multiple of [`ALIGNMENT`], `None` beyond the range of `u64`.
pub(super) fn align(n: u64) -> Option<u64> {
    n.checked_next_multiple_of(ALIGNMENT)
}

/// The 64 bytes before a header of `header` bytes in a file of `file_length` bytes.
pub(super) fn prefix(header: &[u8], file_length: u64) -> [u8; PREFIX] {
    let mut prefix = [0; PREFIX];
    prefix[0..8].copy_from_slice(&MAGIC);
    prefix[8..12].copy_from_slice(&VERSION.to_le_bytes());
    prefix[16..24].copy_from_slice(&(header.len() as u64).to_le_bytes());
    prefix[24..32].copy_from_slice(&xxh3_64(header).to_le_bytes());
    prefix[32..40].copy_from_slice(&file_length.to_le_bytes());
    let checksum = xxh3_64(&prefix[..56]);
    prefix[56..64].copy_from_slice(&checksum.to_le_bytes());
    prefix
}

/// Reads and checks prefix and header. Returns the header and where the columns begin.
///
/// Cost: the header, whatever the number of rows. Afterwards every extent lies inside `bytes`, is aligned, overlaps no
/// other, and has the length that the type and the rows of its column ask for.
pub(super) fn read(bytes: &[u8], snapshot: &str) -> Result<(Header, usize), SnapshotError> {
    let damaged = |place: &str, reason: String| damaged(snapshot, place.to_owned(), reason);
    let magic = bytes.len().min(MAGIC.len());
    if magic == 0 || bytes.get(..magic) != MAGIC.get(..magic) {
        return Err(SnapshotError::NotASnapshot { snapshot: snapshot.to_owned() });
    }
    let Some((prefix, _)) = bytes.split_first_chunk::<PREFIX>() else {
        return Err(damaged(
            "the prefix",
            format!("the file has {} bytes, the prefix alone has {PREFIX}", bytes.len()),
        ));
    };
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&prefix[at..at + 8]);
        u64::from_le_bytes(word)
    };
    let version = word(8) as u32;
    if version != VERSION {
        return Err(SnapshotError::Version { snapshot: snapshot.to_owned(), found: version, supported: VERSION });
    }
    check_sum(&prefix[..56], word(56), || "the prefix".to_owned(), snapshot)?;
    if word(8) >> 32 != 0 || word(40) != 0 || word(48) != 0 {
        return Err(damaged("the prefix", "reserved bytes are not zero".to_owned()));
    }
    let (header_length, file_length) = (word(16), word(32));
    if file_length != bytes.len() as u64 {
        let reason = format!("the file has {} bytes, it should have {file_length}", bytes.len());
        return Err(damaged("its end", reason));
    }
    let end = PREFIX as u64 + header_length.min(MAX_HEADER);
    let data = align(end).filter(|d| header_length <= MAX_HEADER && *d <= file_length).and_then(|d| d.try_into().ok());
    let Some((data, header)) = data.zip(bytes.get(PREFIX..end as usize)) else {
        return Err(damaged("the prefix", format!("a header of {header_length} bytes does not fit")));
    };
    check_sum(header, word(24), || "the header".to_owned(), snapshot)?;
    let header: Header = codec::decode(header).map_err(|e| damaged("the header", e.to_string()))?;
    check(&header, file_length - data as u64, snapshot)?;
    Ok((header, data))
}

/// That the extents follow each other without gap or overlap, and have the lengths their columns ask for.
fn check(header: &Header, length: u64, snapshot: &str) -> Result<(), SnapshotError> {
    let mut end = 0;
    let mut follows = |extent: &Extent| {
        let start = align(end).filter(|s| *s == extent.offset)?;
        end = start.checked_add(extent.length).filter(|e| *e <= length)?;
        Some(())
    };
    for (table, next) in header.tables.iter().zip(header.tables.iter().skip(1)) {
        if table.name >= next.name {
            let reason = format!("table `{}` comes before table `{}`", table.name, next.name);
            return Err(damaged(snapshot, "the header".to_owned(), reason));
        }
    }
    for table in &header.tables {
        // An Arrow array has at most `isize::MAX` rows; no real one comes near, and sums of lengths cannot overflow.
        if table.rows > u64::from(u32::MAX) << 16 {
            let reason = format!("{} rows are more than any table has", table.rows);
            return Err(damaged(snapshot, format!("table `{}`", table.name), reason));
        }
        if table.columns.is_empty() && table.rows != 0 {
            let reason = format!("{} rows without columns", table.rows);
            return Err(damaged(snapshot, format!("table `{}`", table.name), reason));
        }
        for column in &table.columns {
            let place = |buffer: &str| buffer_place(&table.name, &column.name, buffer);
            let names = column.kind.buffers();
            if names.len() != column.buffers.len() {
                let reason = format!("a column of this type has {} buffers, not {}", names.len(), column.buffers.len());
                return Err(damaged(snapshot, place("header"), reason));
            }
            for (extent, name) in column.buffers.iter().zip(names) {
                if follows(extent).is_none() {
                    let reason = format!("bytes {} + {} are not where they should be", extent.offset, extent.length);
                    return Err(damaged(snapshot, place(name), reason));
                }
            }
            if let Err((name, reason)) = check_lengths(column, table.rows) {
                return Err(damaged(snapshot, place(name), reason));
            }
        }
    }
    for (blob, next) in header.blobs.iter().zip(header.blobs.iter().skip(1)) {
        if blob.name >= next.name {
            let reason = format!("blob `{}` comes before blob `{}`", blob.name, next.name);
            return Err(damaged(snapshot, "the header".to_owned(), reason));
        }
    }
    for blob in &header.blobs {
        if follows(&blob.extent).is_none() {
            let Extent { offset, length, .. } = blob.extent;
            let reason = format!("bytes {offset} + {length} are not where they should be");
            return Err(damaged(snapshot, format!("blob `{}`", blob.name), reason));
        }
    }
    if end != length {
        let reason = format!("the columns have {length} bytes, the header describes {end}");
        return Err(damaged(snapshot, "its end".to_owned(), reason));
    }
    Ok(())
}

/// That each buffer of a column has the length that the type and the number of rows ask for.
fn check_lengths(column: &ColumnEntry, rows: u64) -> Result<(), (&'static str, String)> {
    let length = |i: usize| column.buffers.get(i).map_or(0, |b| b.length);
    let exactly = |i: usize, name: &'static str, wanted: u64| match length(i) {
        found if found == wanted => Ok(()),
        found => Err((name, format!("{found} bytes, {rows} rows want {wanted}"))),
    };
    let whole = |i: usize, name: &'static str, width: u64| match length(i) {
        found if found.is_multiple_of(width) => Ok(()),
        found => Err((name, format!("{found} bytes are not whole values of {width} bytes"))),
    };
    if column.null_count > rows {
        return Err(("validity", format!("{} of {rows} rows are null", column.null_count)));
    }
    exactly(0, "validity", if column.null_count == 0 { 0 } else { rows.div_ceil(8) })?;
    let offsets = |large: bool| (rows + 1) * if large { 8 } else { 4 };
    match column.kind {
        ColumnKind::Bool => exactly(1, "values", rows.div_ceil(8)),
        ColumnKind::Primitive(p) => exactly(1, "values", rows * p.width() as u64),
        ColumnKind::FixedBinary(n) => {
            if n == 0 || i32::try_from(n).is_err() {
                return Err(("values", format!("a row cannot have {n} bytes")));
            }
            let Some(wanted) = rows.checked_mul(u64::from(n)) else {
                return Err(("values", format!("{rows} rows of {n} bytes are too many")));
            };
            exactly(1, "values", wanted)
        }
        ColumnKind::Utf8 { large } | ColumnKind::Binary { large } => exactly(1, "offsets", offsets(large)),
        ColumnKind::List { item, large, .. } => {
            exactly(1, "offsets", offsets(large))?;
            whole(2, "values", item.width() as u64)
        }
        ColumnKind::Dictionary => {
            exactly(1, "codes", rows * Primitive::I32.width() as u64)?;
            whole(2, "dictionary offsets", 4)?;
            if length(2) == 0 {
                return Err(("dictionary offsets", "there is not even the first".to_owned()));
            }
            Ok(())
        }
    }
}

/// How messages name a buffer.
pub(super) fn buffer_place(table: &str, column: &str, buffer: &str) -> String {
    format!("table `{table}`, column `{column}`, {buffer}")
}

pub(super) fn damaged(snapshot: &str, place: String, reason: String) -> SnapshotError {
    SnapshotError::Damaged { snapshot: snapshot.to_owned(), place, reason }
}

pub(super) fn check_sum(
    bytes: &[u8],
    recorded: u64,
    place: impl FnOnce() -> String,
    snapshot: &str,
) -> Result<(), SnapshotError> {
    match xxh3_64(bytes) {
        found if found == recorded => Ok(()),
        found => Err(SnapshotError::Checksum { snapshot: snapshot.to_owned(), place: place(), found, recorded }),
    }
}
