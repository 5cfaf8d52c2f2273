//! [`Column`]: one column of a table, its values in place, without a pass over the rows.
//!
//! Numbers are slices. Texts and byte strings are looked up a row at a time ([`StrColumn`], [`BytesColumn`]), and what a
//! row says (offsets, code, UTF-8) is checked when it is read; whole columns of them are read through
//! [`Snapshot::to_record_batch`].

use super::error::SnapshotError;
use super::format::{self, ColumnEntry, Extent, TableEntry};
use super::{ColumnKind, Primitive, Snapshot};

mod sealed {
    pub trait Sealed {}
}

/// The Rust type of a column of numbers.
pub trait Native: bytemuck::AnyBitPattern + bytemuck::NoUninit + sealed::Sealed {
    /// The type in the file.
    const PRIMITIVE: Primitive;
}

macro_rules! native {
    ($($type:ty => $primitive:ident),*) => {
        $(impl sealed::Sealed for $type {}
        impl Native for $type { const PRIMITIVE: Primitive = Primitive::$primitive; })*
    };
}
native!(i8 => I8, i16 => I16, i32 => I32, i64 => I64, u8 => U8, u16 => U16, u32 => U32, u64 => U64, f32 => F32, f64 => F64);

/// One column of a table.
#[derive(Clone, Copy)]
pub struct Column<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) table: &'a TableEntry,
    pub(super) entry: &'a ColumnEntry,
}

impl<'a> Column<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        &self.entry.name
    }

    /// Its type.
    pub fn kind(&self) -> ColumnKind {
        self.entry.kind
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.table.rows as usize
    }

    /// Number of null rows, as the header says.
    pub fn null_count(&self) -> usize {
        self.entry.null_count as usize
    }

    /// Whether a row is null. A row beyond the end is not.
    pub fn is_null(&self, row: usize) -> bool {
        row < self.rows() && self.buffer(0).get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 0)
    }

    /// The numbers, one a row, in place. What stands in null rows is unspecified. Times ([`Primitive::Nanoseconds`]) are
    /// read as `i64`.
    ///
    /// # Errors
    /// [`SnapshotError::WrongType`].
    pub fn values<T: Native>(&self) -> Result<&'a [T], SnapshotError> {
        match self.kind() {
            ColumnKind::Primitive(p) if p == T::PRIMITIVE || (p, T::PRIMITIVE) == TIME => self.cast(1),
            _ => Err(self.wrong_type(ColumnKind::Primitive(T::PRIMITIVE).to_string())),
        }
    }

    /// The truth value of a row; what stands in null rows is unspecified.
    ///
    /// # Errors
    /// [`SnapshotError::WrongType`], [`SnapshotError::NoRow`].
    pub fn bool(&self, row: usize) -> Result<bool, SnapshotError> {
        if self.kind() != ColumnKind::Bool {
            return Err(self.wrong_type(ColumnKind::Bool.to_string()));
        }
        match self.buffer(1).get(row / 8) {
            Some(byte) if row < self.rows() => Ok(byte >> (row % 8) & 1 == 1),
            _ => Err(self.no_row(row)),
        }
    }

    /// The values of a column of `N` bytes a row, in place: UUIDs with `N = 16`.
    ///
    /// # Errors
    /// [`SnapshotError::WrongType`].
    pub fn fixed<const N: usize>(&self) -> Result<&'a [[u8; N]], SnapshotError> {
        match self.kind() {
            ColumnKind::FixedBinary(n) if n as usize == N => Ok(self.buffer(1).as_chunks().0),
            _ => Err(self.wrong_type(format!("FixedSizeBinary({N})"))),
        }
    }

    /// The codes of a column of texts by dictionary, one a row, in place and unchecked. What stands in null rows is
    /// unspecified.
    ///
    /// # Errors
    /// [`SnapshotError::WrongType`].
    pub fn codes(&self) -> Result<&'a [i32], SnapshotError> {
        match self.kind() {
            ColumnKind::Dictionary => self.cast(1),
            _ => Err(self.wrong_type(ColumnKind::Dictionary.to_string())),
        }
    }

    /// The texts of the dictionary, indexed by code.
    ///
    /// # Errors
    /// [`SnapshotError::WrongType`].
    pub fn dictionary(&self) -> Result<StrColumn<'a>, SnapshotError> {
        self.codes()?;
        Ok(StrColumn {
            codes: None,
            pool: Pool { offsets: Offsets::I32(self.cast(2)?), values: self.buffer(3) },
            column: *self,
        })
    }

    /// The texts, plain or by dictionary.
    ///
    /// # Errors
    /// [`SnapshotError::WrongType`].
    pub fn texts(&self) -> Result<StrColumn<'a>, SnapshotError> {
        match self.kind() {
            ColumnKind::Utf8 { large } => Ok(StrColumn { codes: None, pool: self.pool(large)?, column: *self }),
            ColumnKind::Dictionary => Ok(StrColumn { codes: Some(self.codes()?), ..self.dictionary()? }),
            _ => Err(self.wrong_type("Utf8".to_owned())),
        }
    }

    /// The byte strings.
    ///
    /// # Errors
    /// [`SnapshotError::WrongType`].
    pub fn blobs(&self) -> Result<BytesColumn<'a>, SnapshotError> {
        match self.kind() {
            ColumnKind::Binary { large } => Ok(BytesColumn { pool: self.pool(large)?, column: *self }),
            _ => Err(self.wrong_type("Binary".to_owned())),
        }
    }

    fn pool(&self, large: bool) -> Result<Pool<'a>, SnapshotError> {
        let offsets = if large { Offsets::I64(self.cast(1)?) } else { Offsets::I32(self.cast(1)?) };
        Ok(Pool { offsets, values: self.buffer(2) })
    }

    fn extent(&self, index: usize) -> Extent {
        self.entry.buffers.get(index).copied().unwrap_or(Extent { offset: 0, length: 0, checksum: 0 })
    }

    fn buffer(&self, index: usize) -> &'a [u8] {
        self.snapshot.slice(&self.extent(index))
    }

    fn cast<T: bytemuck::AnyBitPattern>(&self, index: usize) -> Result<&'a [T], SnapshotError> {
        // Lengths and alignment were checked when the header was read: this does not fail.
        bytemuck::try_cast_slice(self.buffer(index)).map_err(|e| self.damaged(None, e.to_string()))
    }

    fn damaged(&self, row: Option<usize>, reason: String) -> SnapshotError {
        let row = row.map(|r| format!(", row {r}")).unwrap_or_default();
        let place = format!("table `{}`, column `{}`{row}", self.table.name, self.entry.name);
        format::damaged(self.snapshot.name(), place, reason)
    }

    fn no_row(&self, row: usize) -> SnapshotError {
        SnapshotError::NoRow {
            snapshot: self.snapshot.name().to_owned(),
            table: self.table.name.clone(),
            row,
            rows: self.rows(),
        }
    }

    fn wrong_type(&self, expected: String) -> SnapshotError {
        SnapshotError::WrongType {
            snapshot: self.snapshot.name().to_owned(),
            table: self.table.name.clone(),
            column: self.entry.name.clone(),
            expected,
            found: self.kind().to_string(),
        }
    }
}

const TIME: (Primitive, Primitive) = (Primitive::Nanoseconds, Primitive::I64);

#[derive(Clone, Copy)]
enum Offsets<'a> {
    I32(&'a [i32]),
    I64(&'a [i64]),
}

/// Byte strings one after the other.
#[derive(Clone, Copy)]
struct Pool<'a> {
    offsets: Offsets<'a>,
    values: &'a [u8],
}

impl<'a> Pool<'a> {
    fn len(&self) -> usize {
        match self.offsets {
            Offsets::I32(o) => o.len().saturating_sub(1),
            Offsets::I64(o) => o.len().saturating_sub(1),
        }
    }

    fn get(&self, row: usize) -> Option<&'a [u8]> {
        let (start, end) = match self.offsets {
            Offsets::I32(o) => (i64::from(*o.get(row)?), i64::from(*o.get(row + 1)?)),
            Offsets::I64(o) => (*o.get(row)?, *o.get(row + 1)?),
        };
        self.values.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    }
}

/// The texts of a column, checked as they are read.
#[derive(Clone, Copy)]
pub struct StrColumn<'a> {
    codes: Option<&'a [i32]>,
    pool: Pool<'a>,
    column: Column<'a>,
}

impl<'a> StrColumn<'a> {
    /// Number of texts: rows, or for [`Column::dictionary`] the number of codes.
    pub fn len(&self) -> usize {
        self.codes.map_or(self.pool.len(), <[i32]>::len)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of a row, empty where the row is null.
    ///
    /// # Errors
    /// [`SnapshotError::NoRow`]; [`SnapshotError::Damaged`]: its code, offsets or UTF-8.
    pub fn get(&self, row: usize) -> Result<&'a str, SnapshotError> {
        if row >= self.len() {
            return Err(self.column.no_row(row));
        }
        let damaged = |reason: String| self.column.damaged(Some(row), reason);
        let index = match self.codes {
            None => row,
            Some(_) if self.column.is_null(row) => return Ok(""),
            Some(codes) => {
                let code = codes.get(row).copied().unwrap_or(-1);
                usize::try_from(code).map_err(|_| damaged(format!("code {code} is negative")))?
            }
        };
        let Some(bytes) = self.pool.get(index) else {
            return Err(damaged(format!("text {index} is not within the pool of {} bytes", self.pool.values.len())));
        };
        std::str::from_utf8(bytes).map_err(|e| damaged(e.to_string()))
    }
}

/// The byte strings of a column, checked as they are read.
#[derive(Clone, Copy)]
pub struct BytesColumn<'a> {
    pool: Pool<'a>,
    column: Column<'a>,
}

impl<'a> BytesColumn<'a> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.pool.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The byte string of a row, empty where the row is null.
    ///
    /// # Errors
    /// [`SnapshotError::NoRow`]; [`SnapshotError::Damaged`]: its offsets.
    pub fn get(&self, row: usize) -> Result<&'a [u8], SnapshotError> {
        if row >= self.len() {
            return Err(self.column.no_row(row));
        }
        let reason = || format!("its bytes are not within the pool of {} bytes", self.pool.values.len());
        self.pool.get(row).ok_or_else(|| self.column.damaged(Some(row), reason()))
    }
}
