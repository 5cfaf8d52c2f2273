//! Reading FITS binary tables through a memory map.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder, GenericListArray, PrimitiveArray, StringBuilder};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema,
    SchemaRef, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use flate2::bufread::MultiGzDecoder;
use rayon::prelude::*;

use super::fits_form::{Element, FIELD_METADATA, FitsColumn, KEPT, RAW, column};
use super::nested::wrap;
use super::reader::{clamp, projection};
use super::{BatchSource, TableOptions};
use crate::datastore::error::{DatastoreError, Result};
use crate::datastore::fits::{CARD, FitsFile, Hdu, HduKind, is_end, is_structural};

/// Bytes of a batch at most, unless a single row has more.
const BATCH_BYTES: u64 = 256 << 20;
/// The schema's metadata of other origin, one JSON object.
pub(super) const TABLE_METADATA: &str = "SMETA";
/// The cards of a table's header that do not lay it out, line by line.
pub(super) const CARDS: &str = "fits:header";
/// The name of the extension.
pub(super) const NAME: &str = "EXTNAME";

pub(super) struct FitsSource {
    path: PathBuf,
    file: FitsFile,
    hdu: usize,
    columns: Vec<FitsColumn>,
    schema: SchemaRef,
    /// Bytes of a row.
    pitch: usize,
    data: u64,
    heap: u64,
    heap_len: u64,
    total: u64,
    rows: Range<u64>,
    batch_rows: usize,
}

impl FitsSource {
    pub(super) fn open(path: &Path, object: Option<&str>, zipped: bool, options: &TableOptions) -> Result<Self> {
        let file = if zipped { FitsFile::open(&inflated(path)?.0)? } else { FitsFile::open(path)? };
        let hdus = file.hdus()?;
        let hdu = select(path, &hdus, object)?;
        let place = format!("the header of HDU {}", hdu.index);
        let damaged = |reason: String| DatastoreError::damaged(path, place.clone(), reason);
        let header = file.header_of(hdu)?;
        let bytes = file.file.range(hdu.header_start, hdu.header_len, || place.clone())?;
        let number = |keyword: &str, default: Option<i64>| -> Result<u64> {
            let value = header.get(keyword).map_or(default, crate::wcs::HeaderValue::as_i64);
            let value = value.and_then(|v| u64::try_from(v).ok());
            value.ok_or_else(|| damaged(format!("no {keyword} card that is a count")))
        };
        if number("NAXIS", None)? != 2 || number("BITPIX", None)? != 8 || number("GCOUNT", Some(1))? != 1 {
            return Err(damaged("a binary table has BITPIX = 8, NAXIS = 2 and GCOUNT = 1".to_owned()));
        }
        let (pitch, total, pcount) = (number("NAXIS1", None)?, number("NAXIS2", None)?, number("PCOUNT", Some(0))?);
        let fields = number("TFIELDS", None)?;
        if fields > 999 {
            return Err(damaged(format!("TFIELDS is {fields}; the standard allows up to 999")));
        }
        let (kept, mut further) = cards(bytes, fields as usize);
        let (mut columns, mut offset) = (Vec::new(), 0_usize);
        for n in 1..=fields as usize {
            let column = column(&header, n, offset, further.remove(&n).unwrap_or_default()).map_err(damaged)?;
            offset = offset
                .checked_add(column.width)
                .ok_or_else(|| damaged("its columns give more bytes than a row can have".to_owned()))?;
            columns.push(column);
        }
        if offset as u64 != pitch {
            return Err(damaged(format!("NAXIS1 is {pitch} bytes a row, its columns have {offset}")));
        }
        if pitch == 0 && total > u64::from(u32::MAX) {
            return Err(damaged(format!("NAXIS2 is {total} rows of no bytes")));
        }
        // Both products are known to be of a size that files have: the walk over the units has checked their sum.
        let main = pitch.checked_mul(total).ok_or_else(|| damaged("its rows overflow".to_owned()))?;
        file.file.range(hdu.data_start, hdu.data_len, || format!("the data of HDU {}", hdu.index))?;
        let start = number("THEAP", Some(main as i64))?;
        let heap_len = (main + pcount).checked_sub(start).filter(|_| start >= main || pcount == 0);
        let heap_len = heap_len.ok_or_else(|| damaged(format!("THEAP is {start}, outside of the data")))?;
        let mut metadata = HashMap::new();
        if let Some(text) = header.get(TABLE_METADATA).and_then(|v| v.as_str()) {
            let more: HashMap<String, String> =
                serde_json::from_str(text).map_err(|e| damaged(format!("{TABLE_METADATA} is no JSON: {e}")))?;
            metadata.extend(more);
        }
        if !kept.is_empty() {
            metadata.insert(CARDS.to_owned(), kept);
        }
        if !hdu.name.is_empty() {
            metadata.insert(NAME.to_owned(), hdu.name.clone());
        }
        let known: Vec<&str> = columns.iter().map(|c| c.field.name().as_str()).collect();
        let wanted = projection(path, &known, options.columns.as_deref())?;
        let columns: Vec<FitsColumn> = wanted.into_iter().map(|at| columns[at].clone()).collect();
        let fields: Vec<Field> = columns.iter().map(|c| c.field.clone()).collect();
        // What a row becomes in memory: logicals shrink, scaled bytes grow to eight times their size.
        let row: u64 = columns.iter().map(|c| 8 + c.width as u64 * 2).sum();
        Ok(Self {
            path: path.to_owned(),
            hdu: hdu.index,
            schema: Arc::new(Schema::new_with_metadata(fields, metadata)),
            columns,
            pitch: pitch as usize,
            data: hdu.data_start,
            heap: hdu.data_start.saturating_add(start),
            heap_len,
            total,
            rows: clamp(options.rows.as_ref(), total),
            batch_rows: options.batch_rows.clamp(1, usize::try_from((BATCH_BYTES / row.max(1)).max(1)).unwrap_or(1)),
            file,
        })
    }

    /// Where the cells of a row in the heap are, in bytes of the heap, and their elements.
    fn descriptor(column: &FitsColumn, wide: bool, row: &[u8]) -> Option<(u64, u64)> {
        let cell = row.get(column.offset..column.offset + column.width)?;
        Some(if cell.is_empty() {
            (0, 0)
        } else if wide {
            (u64::from_be_bytes(cell.get(..8)?.try_into().ok()?), u64::from_be_bytes(cell.get(8..)?.try_into().ok()?))
        } else {
            let part = |range: Range<usize>| Some(u64::from(u32::from_be_bytes(cell.get(range)?.try_into().ok()?)));
            (part(0..4)?, part(4..8)?)
        })
    }

    /// The bytes of a cell in the heap.
    fn in_heap(&self, column: &FitsColumn, wide: bool, row: &[u8], number: u64) -> Result<(&[u8], usize)> {
        let wrong = |problem: String| DatastoreError::BadRow {
            path: self.path.clone(),
            row: number + 1,
            column: column.field.name().clone(),
            problem,
        };
        let (length, offset) =
            Self::descriptor(column, wide, row).ok_or_else(|| wrong("its descriptor is cut".to_owned()))?;
        if length == 0 {
            return Ok((&[], 0));
        }
        let bytes = match column.element {
            Element::Bit => Some(length.div_ceil(8)),
            Element::Text(_) => Some(length),
            // Complex numbers are pairs.
            element => length.checked_mul(element.size() as u64 * if column.dims.is_empty() { 1 } else { 2 }),
        };
        let inside = bytes.filter(|b| offset.checked_add(*b).is_some_and(|end| end <= self.heap_len));
        let bytes = inside.ok_or_else(|| {
            wrong(format!("{length} elements at byte {offset} are not inside the heap of {} bytes", self.heap_len))
        })?;
        let place = || format!("the heap of HDU {}", self.hdu);
        Ok((self.file.file.range(self.heap.saturating_add(offset), bytes, place)?, length as usize))
    }

    /// So many of the rows that their cells in the heap stay within the bytes of a batch.
    fn bounded(&self, rows: &[u8], count: usize) -> usize {
        let heaped: Vec<_> = self.columns.iter().filter_map(|c| Some((c, c.heap?))).collect();
        if heaped.is_empty() {
            return count;
        }
        let mut bytes = 0_u64;
        for (at, row) in rows.chunks_exact(self.pitch).enumerate() {
            for (column, wide) in &heaped {
                let length = Self::descriptor(column, *wide, row).map_or(0, |(length, _)| length);
                bytes = bytes.saturating_add(length.saturating_mul(column.element.size().max(1) as u64));
            }
            if bytes > BATCH_BYTES {
                return at.max(1);
            }
        }
        count
    }

    fn read(&self, column: &FitsColumn, rows: &[u8], count: usize, first: u64) -> Result<ArrayRef> {
        let damaged = |e: String| {
            DatastoreError::damaged(&self.path, format!("column `{}`, row {}", column.field.name(), first + 1), e)
        };
        let bad_text = |row: usize| DatastoreError::BadRow {
            path: self.path.clone(),
            row: first + row as u64 + 1,
            column: column.field.name().clone(),
            problem: "is no UTF-8 text".to_owned(),
        };
        let array: ArrayRef = if let Some(wide) = column.heap {
            let mut cells = Vec::with_capacity(count);
            let mut offsets = vec![0_i32];
            let mut end = 0_i32;
            for (at, row) in rows.chunks_exact(self.pitch).enumerate() {
                let (cell, length) = self.in_heap(column, wide, row, first + at as u64)?;
                end = i32::try_from(length).ok().and_then(|n| end.checked_add(n)).ok_or_else(|| {
                    damaged("a batch of its cells has more than 2^31 elements; read fewer rows at a time".to_owned())
                })?;
                offsets.push(end);
                cells.push(cell);
            }
            if matches!(column.element, Element::Text(_)) {
                texts(cells.into_iter(), column.field.is_nullable(), usize::MAX).map_err(bad_text)?
            } else if column.element == Element::Bit {
                let lengths: Vec<usize> = offsets.windows(2).map(|w| (w[1] - w[0]) as usize).collect();
                let mut bits = BooleanBufferBuilder::new(end as usize);
                for (cell, length) in cells.iter().zip(lengths) {
                    (0..length).for_each(|k| bits.append(cell[k / 8] & (0x80 >> (k % 8)) != 0));
                }
                list(Arc::new(BooleanArray::new(bits.finish(), None)), offsets).map_err(damaged)?
            } else {
                let pair = if column.dims.is_empty() { 1 } else { 2 };
                let flat = flat(column, cells.iter().copied(), end as usize * pair);
                let flat = wrap(flat, &column.dims, end as usize).map_err(|e| damaged(e.to_string()))?;
                list(flat, offsets).map_err(damaged)?
            }
        } else {
            let range = column.offset..column.offset + column.width;
            // A row without bytes has no chunks.
            let cells = (0..count).map(|r| &rows[r * self.pitch..(r + 1) * self.pitch][range.clone()]);
            let flat = match column.element {
                Element::Text(width) => {
                    let each = column.repeat;
                    let cells = cells.flat_map(|cell| (0..each).map(move |k| &cell[k * width..(k + 1) * width]));
                    texts(cells, true, width).map_err(|at| bad_text(at / each.max(1)))?
                }
                Element::Bit => {
                    let bit = |i: usize| {
                        let (row, k) = (i / column.repeat, i % column.repeat);
                        rows[row * self.pitch + column.offset + k / 8] & (0x80 >> (k % 8)) != 0
                    };
                    Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(count * column.repeat, bit), None))
                }
                _ => flat(column, cells, count * column.repeat),
            };
            wrap(flat, &column.dims, count).map_err(|e| damaged(e.to_string()))?
        };
        match &column.arrow {
            Some(wanted) => arrow::compute::cast(&array, wanted).map_err(|e| damaged(e.to_string())),
            None => Ok(array),
        }
    }
}

impl BatchSource for FitsSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn rows(&self) -> Option<u64> {
        Some(self.total)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let left = self.rows.end.saturating_sub(self.rows.start);
        if left == 0 {
            return Ok(None);
        }
        let first = self.rows.start;
        let mut count = usize::try_from(left).unwrap_or(usize::MAX).min(self.batch_rows);
        let place = || format!("row {} of HDU {}", first + 1, self.hdu);
        let start = self.data.saturating_add(first.saturating_mul(self.pitch as u64));
        let mut rows = self.file.file.range(start, (count * self.pitch) as u64, place)?;
        count = self.bounded(rows, count);
        rows = &rows[..count * self.pitch];
        let arrays =
            self.columns.par_iter().map(|c| self.read(c, rows, count, first)).collect::<Result<Vec<ArrayRef>>>()?;
        self.rows.start += count as u64;
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map(Some)
            .map_err(|e| DatastoreError::damaged(&self.path, place(), e.to_string()))
    }
}

/// A list of cells.
fn list(flat: ArrayRef, offsets: Vec<i32>) -> Result<ArrayRef, String> {
    let field = Arc::new(Field::new_list_field(flat.data_type().clone(), true));
    let list = GenericListArray::<i32>::try_new(field, OffsetBuffer::new(offsets.into()), flat, None);
    Ok(Arc::new(list.map_err(|e| e.to_string())?))
}

/// All elements of cells that are numbers or logicals.
fn flat<'a>(column: &FitsColumn, cells: impl Iterator<Item = &'a [u8]> + Clone, total: usize) -> ArrayRef {
    macro_rules! integers {
        ($arrow:ty, $stored:ty, $turn:expr) => {{
            // The stored number, of which TNULL speaks, and the value.
            let null = column.null.and_then(|n| <$stored>::try_from(n).ok());
            numbers::<$arrow, { size_of::<$stored>() }>(
                cells,
                total,
                |b| (<$stored>::from_be_bytes(b) ^ $turn) as <$arrow as ArrowPrimitiveType>::Native,
                null.map(|n| move |b| <$stored>::from_be_bytes(b) == n),
            )
        }};
    }
    macro_rules! scaled {
        ($stored:ty, $real:expr, $scale:expr, $zero:expr) => {{
            let null = column.null;
            numbers::<Float64Type, { size_of::<$stored>() }>(
                cells,
                total,
                |b| $real(<$stored>::from_be_bytes(b)) * $scale + $zero,
                null.map(|n| move |b| i128::from(<$stored>::from_be_bytes(b)) == i128::from(n)),
            )
        }};
    }
    let none = None::<fn([u8; 8]) -> bool>;
    match column.element {
        Element::Logical => {
            let bytes: Vec<u8> = cells.flatten().copied().collect();
            let values = BooleanBuffer::collect_bool(bytes.len(), |i| bytes[i] == b'T');
            let valid = bytes.iter().any(|b| !matches!(b, b'T' | b'F'));
            let valid = valid.then(|| BooleanBuffer::collect_bool(bytes.len(), |i| matches!(bytes[i], b'T' | b'F')));
            Arc::new(BooleanArray::new(values, valid.map(NullBuffer::new)))
        }
        Element::Integer { bytes, turned } => match (bytes, turned) {
            (1, false) => integers!(UInt8Type, u8, 0),
            (1, true) => integers!(Int8Type, u8, 0x80),
            (2, false) => integers!(Int16Type, i16, 0),
            (2, true) => integers!(UInt16Type, i16, i16::MIN),
            (4, false) => integers!(Int32Type, i32, 0),
            (4, true) => integers!(UInt32Type, i32, i32::MIN),
            (_, false) => integers!(Int64Type, i64, 0),
            (_, true) => integers!(UInt64Type, i64, i64::MIN),
        },
        // The NaN of ones alone stands for no value, any other one for itself.
        Element::F32 => numbers::<Float32Type, 4>(cells, total, f32::from_be_bytes, Some(|b: [u8; 4]| b == [0xff; 4])),
        Element::F64 => numbers::<Float64Type, 8>(cells, total, f64::from_be_bytes, Some(|b: [u8; 8]| b == [0xff; 8])),
        Element::Scaled { bytes, scale, zero } => match bytes {
            1 => scaled!(u8, f64::from, scale, zero),
            2 => scaled!(i16, f64::from, scale, zero),
            4 => scaled!(i32, f64::from, scale, zero),
            8 => scaled!(i64, |v: i64| v as f64, scale, zero),
            -4 => numbers::<Float64Type, 4>(
                cells,
                total,
                |b| f64::from(f32::from_be_bytes(b)) * scale + zero,
                None::<fn([u8; 4]) -> bool>,
            ),
            _ => numbers::<Float64Type, 8>(cells, total, |b| f64::from_be_bytes(b) * scale + zero, none),
        },
        // Read by others.
        Element::Bit | Element::Text(_) => arrow::array::new_empty_array(&DataType::Null),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "cells are gone over again and again")]
fn numbers<'a, T: ArrowPrimitiveType, const N: usize>(
    cells: impl Iterator<Item = &'a [u8]> + Clone,
    total: usize,
    value: impl Fn([u8; N]) -> T::Native,
    null: Option<impl Fn([u8; N]) -> bool>,
) -> ArrayRef {
    let mut values = Vec::with_capacity(total);
    cells.clone().for_each(|cell| values.extend(cell.as_chunks::<N>().0.iter().map(|b| value(*b))));
    let all = || cells.clone().flat_map(|cell| cell.as_chunks::<N>().0);
    let valid = null.filter(|null| all().any(|b| null(*b))).map(|null| {
        let mut valid = BooleanBufferBuilder::new(total);
        all().for_each(|b| valid.append(!null(*b)));
        NullBuffer::new(valid.finish())
    });
    Arc::new(PrimitiveArray::<T>::new(values.into(), valid))
}

/// Texts up to their NUL, else without the blanks at their end; no text at all before the NUL is none. On error, which is no UTF-8.
fn texts<'a>(cells: impl Iterator<Item = &'a [u8]>, nullable: bool, width: usize) -> Result<ArrayRef, usize> {
    let mut builder = StringBuilder::new();
    for (at, cell) in cells.enumerate() {
        let end = cell.iter().position(|b| *b == 0);
        let text = match end {
            Some(end) => &cell[..end],
            None if width == usize::MAX => cell,
            None => {
                let blanks = cell.iter().rev().take_while(|b| **b == b' ').count();
                &cell[..cell.len() - blanks]
            }
        };
        if nullable && (end == Some(0) || width == 0) {
            builder.append_null();
        } else {
            builder.append_value(std::str::from_utf8(text).map_err(|_| at)?);
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// The table that is asked for, else the first one.
fn select<'a>(path: &Path, hdus: &'a [Hdu], object: Option<&str>) -> Result<&'a Hdu> {
    let is_table = |hdu: &Hdu| matches!(&hdu.kind, HduKind::Table { extension } if matches!(extension.as_str(), "BINTABLE" | "A3DTABLE"));
    let found = match object.map(str::trim) {
        None => hdus.iter().find(|h| is_table(h)),
        Some(object) => match object.parse::<usize>() {
            Ok(index) => Some(hdus.get(index).ok_or_else(|| DatastoreError::NoSuchHdu {
                path: path.to_owned(),
                hdu: index,
                count: hdus.len(),
            })?),
            Err(_) => hdus.iter().find(|h| h.name.eq_ignore_ascii_case(object)),
        },
    };
    let names = || {
        let tables: Vec<String> =
            hdus.iter().filter(|h| is_table(h)).map(|h| format!("{} `{}`", h.index, h.name)).collect();
        if tables.is_empty() {
            "it has no binary table".to_owned()
        } else {
            format!("its tables are {}", tables.join(", "))
        }
    };
    match found {
        Some(hdu) if is_table(hdu) => Ok(hdu),
        Some(hdu) => {
            let what = match &hdu.kind {
                HduKind::Table { extension } if extension == "TABLE" => {
                    "is an ASCII table, which is not read; convert it to a binary table".to_owned()
                }
                HduKind::CompressedImage { .. } => format!("is a compressed image; {}", names()),
                _ => format!("is no binary table; {}", names()),
            };
            Err(DatastoreError::fits(path, hdu.index, what))
        }
        None => Err(DatastoreError::unsupported(
            path,
            match object {
                Some(object) => format!("has no extension `{object}`; {}", names()),
                None => names(),
            },
        )),
    }
}

/// The cards that do not lay the table out, line by line; those of column `n` that have no meaning here, by their stems.
fn cards(header: &[u8], fields: usize) -> (String, HashMap<usize, HashMap<String, String>>) {
    let (mut kept, mut columns) = (Vec::new(), HashMap::<usize, HashMap<String, String>>::new());
    let mut keep = false;
    for card in header.chunks(CARD) {
        if is_end(card) {
            break;
        }
        let text = String::from_utf8_lossy(card);
        let keyword = text.get(..8).unwrap_or_default().trim_end();
        if keyword != "CONTINUE" {
            let digits = keyword.len() - keyword.trim_end_matches(|c: char| c.is_ascii_digit()).len();
            let (stem, n) = keyword.split_at(keyword.len() - digits);
            let n = n.parse().ok().filter(|n| (1..=fields).contains(n) && stem.starts_with('T') && stem.len() > 3);
            let own = KEPT.iter().any(|(k, _)| *k == stem) || matches!(stem, FIELD_METADATA | TABLE_METADATA);
            keep = !keyword.is_empty() && !own && !is_structural(keyword) && n.is_none();
            if let (Some(n), false) = (n, own || is_structural(keyword)) {
                let value = text.get(10..).unwrap_or_default().trim().to_owned();
                columns.entry(n).or_default().insert(format!("{RAW}{stem}"), value);
            }
        }
        if keep {
            kept.push(text.trim_end().to_owned());
        }
    }
    (kept.join("\n"), columns)
}

/// A gzipped file, unpacked to one without a name.
fn inflated(path: &Path) -> Result<(PathBuf, tempfile::TempPath)> {
    let io = |e| DatastoreError::io("unpack", path, e);
    let file = File::open(path).map_err(|e| DatastoreError::io("open", path, e))?;
    let mut plain = tempfile::NamedTempFile::new().map_err(io)?;
    std::io::copy(&mut MultiGzDecoder::new(BufReader::with_capacity(1 << 20, file)), &mut plain).map_err(io)?;
    plain.flush().map_err(io)?;
    let temporary = plain.into_temp_path();
    Ok((temporary.to_path_buf(), temporary))
}
