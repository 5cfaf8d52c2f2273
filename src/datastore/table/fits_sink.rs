//! Writing FITS binary tables, row by row, before their number and the longest text are known.
//!
//! Rows go to their place in the file as they come. When a text does not fit into its column any more, the rows that are there are
//! spread out; cells of the heap wait in a file of their own; the header is written last, into the blocks that were left for it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::record_batch::RecordBatch;
use rayon::prelude::*;

use super::BatchSink;
use super::fits_form::{ARROW_TYPE, Element, FIELD_METADATA, KEPT, LETTER, RAW, WIDTH};
use super::fits_source::{CARDS, NAME, TABLE_METADATA};
use super::fits_sum::{FitsSum, encode};
use super::nested::{element_of, flatten, wrapped_type};
use crate::datastore::error::{DatastoreError, Result};
use crate::datastore::fits::{CARD, format_header, is_structural};
use crate::wcs::{Card, Header, HeaderValue};

const BLOCK: u64 = 2880;
/// Rows that are made at a time.
const ROWS: usize = 65_536;
/// Bytes that are gathered before they are written, and that are moved at a time.
const BUFFER: usize = 4 << 20;
/// Values that look like nulls and are remembered, before it is given up.
const COLLISIONS: usize = 1 << 20;

pub(super) struct FitsSink {
    path: PathBuf,
    file: File,
    columns: Vec<Column>,
    metadata: HashMap<String, String>,
    /// Bytes of a row.
    pitch: usize,
    rows: u64,
    /// Where the rows begin.
    start: u64,
    pending: Vec<u8>,
    heap: Option<BufWriter<File>>,
    heap_len: u64,
    sum: FitsSum,
    /// Rows were changed after they had been summed up.
    changed: bool,
}

struct Column {
    field: Field,
    element: Element,
    letter: char,
    dims: Vec<usize>,
    /// Elements of a cell in the row.
    each: usize,
    in_heap: bool,
    /// Elements of the longest cell in the heap.
    longest: u64,
    offset: usize,
    /// What the elements are cast to.
    stored: DataType,
    nulls: Option<Nulls>,
}

/// Which stored integer stands for null: one that no value has.
struct Nulls {
    sentinel: i64,
    bytes: u8,
    seen: bool,
    /// Of bytes all values; of others those 32 at either end.
    used: [u64; 4],
    /// Elements whose value is the sentinel.
    collisions: Vec<u64>,
}

impl Nulls {
    fn new(bytes: u8, turned: bool, wanted: Option<i64>) -> Self {
        let (least, most) = Self::limits(bytes);
        let first = match (bytes, turned) {
            (1, false) => most,
            (1, true) | (_, false) => least,
            (_, true) => most,
        };
        let sentinel = wanted.filter(|w| (least..=most).contains(w)).unwrap_or(first);
        Self { sentinel, bytes, seen: false, used: [0; 4], collisions: Vec::new() }
    }

    fn limits(bytes: u8) -> (i64, i64) {
        if bytes == 1 { (0, 255) } else { (i64::MIN >> (64 - 8 * bytes), i64::MAX >> (64 - 8 * bytes)) }
    }

    fn candidate(&self, place: u64) -> i64 {
        let (least, most) = Self::limits(self.bytes);
        match (self.bytes, place) {
            (1, _) => place as i64,
            (_, 0..32) => least + place as i64,
            _ => most - (place as i64 - 32),
        }
    }

    fn take(&mut self, stored: i64, element: u64) {
        if self.bytes == 1 {
            self.used[(stored as usize & 255) / 64] |= 1 << (stored & 63);
        } else {
            let (least, most) = Self::limits(self.bytes);
            let place = if stored < least + 32 {
                Some(stored - least)
            } else {
                (stored > most - 32).then(|| most - stored + 32)
            };
            if let Some(place) = place {
                self.used[0] |= 1 << place;
            }
        }
        if stored == self.sentinel && self.collisions.len() <= COLLISIONS {
            self.collisions.push(element);
        }
    }

    /// A value that is not used.
    fn free(&self) -> Option<i64> {
        let places = if self.bytes == 1 { 256 } else { 64 };
        let place = (0..places).find(|p| self.used[*p as usize / 64] & (1 << (p % 64)) == 0)?;
        Some(self.candidate(place))
    }
}

impl Column {
    fn new(path: &Path, field: &Field) -> Result<Self> {
        let name = field.name();
        let refused = |what: String| Err(DatastoreError::unsupported(path, format!("column `{name}` {what}")));
        if !name.bytes().all(|b| matches!(b, b' '..=b'~')) || name.is_empty() {
            return refused("has a name that FITS cannot hold, which is ASCII only; rename it".to_owned());
        }
        let (in_heap, cell) = match field.data_type() {
            DataType::List(inner) | DataType::LargeList(inner) => (true, inner.data_type()),
            other => (false, other),
        };
        let (inner, mut dims) = element_of(cell);
        let mut letter = field.metadata().get(LETTER).and_then(|l| l.chars().next());
        let Some((element, stored)) = stored(inner) else {
            return refused(format!(
                "is {}, which has no form in a FITS binary table; cast it to numbers, logicals or texts, or write `.parquet`",
                field.data_type()
            ));
        };
        if in_heap && (!dims.is_empty() || matches!(element, Element::Text(_))) {
            return refused(format!("is {}; FITS has lists of numbers and logicals only", field.data_type()));
        }
        let mut element = element;
        match letter {
            Some('X') if element == Element::Logical && !in_heap && dims.len() < 2 => element = Element::Bit,
            Some('C') if element == Element::F32 && dims.last() == Some(&2) => {}
            Some('M') if element == Element::F64 && dims.last() == Some(&2) => {}
            _ => letter = None,
        }
        if let (Element::Text(width), Some(wanted)) = (&mut element, field.metadata().get(WIDTH)) {
            *width = wanted.parse().ok().filter(|w| *w < 1 << 16).unwrap_or(0).max(*width);
        }
        let each = dims.iter().try_fold(1_usize, |a, b| a.checked_mul(*b)).unwrap_or(usize::MAX);
        if each > 1 << 28 {
            return refused("has vectors that are too long for a row".to_owned());
        }
        let letter = letter.unwrap_or(match element {
            Element::Logical => 'L',
            Element::Bit => 'X',
            Element::Integer { bytes: 1, .. } => 'B',
            Element::Integer { bytes: 2, .. } => 'I',
            Element::Integer { bytes: 4, .. } => 'J',
            Element::Integer { .. } => 'K',
            Element::F32 => 'E',
            Element::F64 | Element::Scaled { .. } => 'D',
            Element::Text(_) => 'A',
        });
        if matches!(letter, 'C' | 'M') {
            dims.pop();
        }
        let nulls = match element {
            Element::Integer { bytes, turned } if !in_heap && field_nullable(field) => {
                let wanted = field.metadata().get(&format!("{RAW}TNULL")).and_then(|n| n.parse().ok());
                Some(Nulls::new(bytes, turned, wanted))
            }
            _ => None,
        };
        Ok(Self { field: field.clone(), element, letter, dims, each, in_heap, longest: 0, offset: 0, stored, nulls })
    }

    fn width(&self) -> usize {
        match self.element {
            _ if self.in_heap => 16,
            Element::Bit => self.each.div_ceil(8),
            element => self.each * element.size(),
        }
    }

    /// The type that reads back without further ado.
    fn natural(&self) -> DataType {
        wrapped_type(&self.element.data_type(), &element_of(self.field.data_type()).1)
    }

    /// The cards of column `n`; with the card of nulls in any case where `reserve` is set.
    fn cards(&self, n: usize, reserve: bool, out: &mut Header) {
        let mut put = |stem: &str, value: HeaderValue| out.push(card(&format!("{stem}{n}"), value));
        put("TTYPE", self.field.name().as_str().into());
        let complex = matches!(self.letter, 'C' | 'M');
        let form = match self.element {
            _ if self.in_heap => format!("1Q{}({})", self.letter, self.longest),
            Element::Text(width) => format!("{}A", self.each * width),
            _ if self.each == 1 => self.letter.to_string(),
            _ => format!("{}{}", if complex { self.each / 2 } else { self.each }, self.letter),
        };
        put("TFORM", form.as_str().into());
        let fast: Vec<String> = self.dims.iter().rev().map(ToString::to_string).collect();
        match self.element {
            Element::Text(width) if !self.dims.is_empty() => {
                put("TDIM", format!("({width},{})", fast.join(",")).as_str().into());
            }
            _ if self.dims.len() > 1 => put("TDIM", format!("({})", fast.join(",")).as_str().into()),
            _ => {}
        }
        if let Element::Integer { bytes, turned: true } = self.element {
            put("TSCAL", 1_i64.into());
            // 2^63 is one more than an `i64` holds; as a real it is exact.
            let zero = match bytes {
                1 => HeaderValue::Integer(-128),
                8 => HeaderValue::Real(9_223_372_036_854_775_808.0),
                _ => HeaderValue::Integer(1 << (8 * bytes - 1)),
            };
            put("TZERO", zero);
        }
        if let Some(nulls) = self.nulls.as_ref().filter(|n| n.seen || reserve) {
            put("TNULL", nulls.sentinel.into());
        }
        let mut further = HashMap::new();
        for (key, value) in self.field.metadata() {
            let plain =
                value.bytes().all(|b| matches!(b, b' '..=b'~')) && !value.ends_with([' ', '&']) && !value.is_empty();
            match KEPT.iter().find(|(_, name)| name == key) {
                Some((stem, _)) if plain => put(stem, value.as_str().into()),
                None if key.starts_with(RAW) => {}
                _ => _ = further.insert(key.as_str(), value.as_str()),
            }
        }
        let arrow = self.field.data_type().to_string();
        if !self.in_heap && self.dims.is_empty() && self.each == 1 && *self.field.data_type() != self.natural() {
            further.insert(ARROW_TYPE, &arrow);
        }
        if !further.is_empty() {
            put(FIELD_METADATA, json(&further).as_str().into());
        }
    }

    /// Cards of other programs for column `n`, as they were.
    fn raw_cards(&self, n: usize) -> Vec<String> {
        let stems = self.field.metadata().iter().filter_map(|(k, v)| Some((k.strip_prefix(RAW)?, v)));
        let stems = stems.filter(|(stem, _)| stem.starts_with('T') && *stem != "TNULL");
        let mut cards: Vec<String> = stems
            .map(|(stem, value)| format!("{:<8}= {value}", format!("{stem}{n}")))
            .filter(|c| c.len() <= CARD && c.bytes().all(|b| matches!(b, b' '..=b'~')) && c.find('=') == Some(8))
            .collect();
        cards.sort_unstable();
        cards
    }

    /// The elements of all cells as they are stored.
    fn flat(&self, array: &ArrayRef) -> std::result::Result<ArrayRef, arrow::error::ArrowError> {
        let flat = flatten(array)?;
        if *flat.data_type() == self.stored { Ok(flat) } else { arrow::compute::cast(&flat, &self.stored) }
    }

    /// Notes nulls and values that could be taken for one, and finds the bytes that texts need. On error, the row and what is wrong with it.
    fn look(&mut self, flat: &ArrayRef, before: u64) -> std::result::Result<usize, (usize, String)> {
        let each = self.each.max(1);
        if let (Element::Integer { bytes, turned }, Some(nulls)) = (self.element, &mut self.nulls) {
            nulls.seen |= flat.null_count() > 0;
            let before = before * self.each as u64;
            macro_rules! take {
                ($arrow:ty, $stored:ty, $turn:expr) => {{
                    let values = flat.as_primitive::<$arrow>();
                    for (at, value) in values.values().iter().enumerate() {
                        if values.is_valid(at) {
                            nulls.take(i64::from(*value as $stored ^ $turn), before + at as u64);
                        }
                    }
                }};
            }
            match (bytes, turned) {
                (1, false) => take!(UInt8Type, u8, 0),
                (1, true) => take!(Int8Type, u8, 0x80),
                (2, false) => take!(Int16Type, i16, 0),
                (2, true) => take!(UInt16Type, i16, i16::MIN),
                (4, false) => take!(Int32Type, i32, 0),
                (4, true) => take!(UInt32Type, i32, i32::MIN),
                (_, false) => take!(Int64Type, i64, 0),
                (_, true) => take!(UInt64Type, i64, i64::MIN),
            }
            return Ok(0);
        }
        match self.element {
            Element::Bit if flat.null_count() > 0 => {
                let row = (0..flat.len()).find(|i| flat.is_null(*i)).unwrap_or(0) / each;
                Err((row, "is null, and bits cannot be".to_owned()))
            }
            Element::Text(_) => {
                let texts = flat.as_string::<i32>();
                let mut longest = 1;
                for (at, text) in texts.iter().enumerate() {
                    let Some(text) = text else { continue };
                    if !text.is_ascii() || text.contains('\0') {
                        let text: String = text.chars().take(40).collect();
                        let problem = format!("`{text}` is not ASCII, all that FITS holds; write `.parquet` or `.h5`");
                        return Err((at / each, problem));
                    }
                    // A blank at the end counts only before a NUL.
                    longest = longest.max(text.len() + usize::from(text.ends_with(' ')));
                }
                Ok(longest)
            }
            _ => Ok(0),
        }
    }

    /// Puts the cells of rows from `first` on into their places in `out`, rows of `pitch` bytes; a cell has `each` elements.
    fn put(&self, flat: &ArrayRef, first: usize, out: &mut [u8], pitch: usize, offset: usize, each: usize) {
        macro_rules! integers {
            ($arrow:ty, $stored:ty, $turn:expr) => {{
                let array = flat.as_primitive::<$arrow>();
                let values = array.values();
                let null = self.nulls.as_ref().map_or(0, |n| n.sentinel) as $stored;
                if array.null_count() == 0 {
                    cells(out, pitch, offset, each, |i| (values[first + i] as $stored ^ $turn).to_be_bytes());
                } else {
                    cells(out, pitch, offset, each, |i| {
                        let valid = array.is_valid(first + i);
                        (if valid { values[first + i] as $stored ^ $turn } else { null }).to_be_bytes()
                    });
                }
            }};
        }
        macro_rules! reals {
            ($arrow:ty, $n:literal) => {{
                let array = flat.as_primitive::<$arrow>();
                let values = array.values();
                cells(out, pitch, offset, each, |i| {
                    let bytes = values[first + i].to_be_bytes();
                    match (array.is_valid(first + i), bytes == [0xff; $n]) {
                        (true, false) => bytes,
                        // This one NaN is taken for null: a value gets its neighbour.
                        (true, true) => [0xff_u8; $n].map_last(0xfe),
                        (false, _) => [0xff; $n],
                    }
                });
            }};
        }
        match self.element {
            Element::Logical => {
                let array = flat.as_boolean();
                cells(out, pitch, offset, each, |i| {
                    let valid = array.is_valid(first + i);
                    [if !valid {
                        0
                    } else if array.value(first + i) {
                        b'T'
                    } else {
                        b'F'
                    }]
                });
            }
            Element::Bit => {
                let array = flat.as_boolean();
                for (row, bytes) in out.chunks_exact_mut(pitch.max(1)).enumerate() {
                    for k in (0..each).filter(|k| array.value(first + row * each + k)) {
                        bytes[offset + k / 8] |= 0x80 >> (k % 8);
                    }
                }
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
            Element::F32 => reals!(Float32Type, 4),
            Element::F64 | Element::Scaled { .. } => reals!(Float64Type, 8),
            Element::Text(width) => {
                let texts = flat.as_string::<i32>();
                for (row, bytes) in out.chunks_exact_mut(pitch.max(1)).enumerate() {
                    for (k, cell) in bytes[offset..offset + each * width].chunks_exact_mut(width).enumerate() {
                        let at = first + row * each + k;
                        if !texts.is_valid(at) {
                            continue;
                        }
                        match texts.value(at).as_bytes() {
                            [] => cell.fill(b' '),
                            text => cell[..text.len()].copy_from_slice(text),
                        }
                    }
                }
            }
        }
    }
}

/// The last byte of a number replaced.
trait MapLast {
    fn map_last(self, last: u8) -> Self;
}

impl<const N: usize> MapLast for [u8; N] {
    fn map_last(mut self, last: u8) -> Self {
        if let Some(byte) = self.last_mut() {
            *byte = last;
        }
        self
    }
}

fn cells<const N: usize>(out: &mut [u8], pitch: usize, offset: usize, each: usize, value: impl Fn(usize) -> [u8; N]) {
    for (row, bytes) in out.chunks_exact_mut(pitch.max(1)).enumerate() {
        for (k, cell) in bytes[offset..offset + each * N].as_chunks_mut::<N>().0.iter_mut().enumerate() {
            *cell = value(row * each + k);
        }
    }
}

/// Whether a column, or an element within its cells, may be null.
fn field_nullable(field: &Field) -> bool {
    field.is_nullable()
        || match field.data_type() {
            DataType::FixedSizeList(inner, _) => field_nullable(inner),
            _ => false,
        }
}

/// How elements of a type are stored, and the type they are cast to for it.
fn stored(data_type: &DataType) -> Option<(Element, DataType)> {
    let integer = |bytes, turned| Element::Integer { bytes, turned };
    let element = match data_type {
        DataType::Boolean | DataType::Null => Element::Logical,
        DataType::UInt8 => integer(1, false),
        DataType::Int8 => integer(1, true),
        DataType::Int16 => integer(2, false),
        DataType::UInt16 => integer(2, true),
        DataType::Int32 => integer(4, false),
        DataType::UInt32 => integer(4, true),
        DataType::Int64 => integer(8, false),
        DataType::UInt64 => integer(8, true),
        DataType::Float16 | DataType::Float32 => Element::F32,
        DataType::Float64 => Element::F64,
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..) => Element::Text(1),
        DataType::Dictionary(_, values) if !matches!(**values, DataType::Dictionary(..)) => return stored(values),
        _ => return None,
    };
    Some((element, element.data_type()))
}

fn card(keyword: &str, value: impl Into<HeaderValue>) -> Card {
    Card { keyword: keyword.to_owned(), value: value.into(), comment: String::new() }
}

/// JSON in ASCII, in the order of its keys.
fn json(map: &HashMap<&str, &str>) -> String {
    let sorted: std::collections::BTreeMap<_, _> = map.iter().collect();
    let text = serde_json::to_string(&sorted).unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, ' '..='~') {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // A string takes everything.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

impl FitsSink {
    pub(super) fn new(
        path: &Path,
        file: File,
        folder: &Path,
        object: Option<&str>,
        schema: &SchemaRef,
    ) -> Result<Self> {
        if schema.fields().len() > 999 {
            let what = format!("FITS tables have up to 999 columns, not {}; write `.parquet`", schema.fields().len());
            return Err(DatastoreError::unsupported(path, what));
        }
        let columns = schema.fields().iter().map(|f| Column::new(path, f)).collect::<Result<Vec<_>>>()?;
        let heap = if columns.iter().any(|c| c.in_heap) {
            let file = tempfile::tempfile_in(folder).map_err(|e| DatastoreError::io("create a file in", folder, e))?;
            Some(BufWriter::with_capacity(BUFFER, file))
        } else {
            None
        };
        let mut metadata: HashMap<String, String> = schema.metadata().clone().into();
        if let Some(name) = object {
            metadata.insert(NAME.to_owned(), name.to_owned());
        }
        let mut sink = Self {
            path: path.to_owned(),
            file,
            columns,
            metadata,
            pitch: 0,
            rows: 0,
            start: 0,
            pending: Vec::new(),
            heap,
            heap_len: 0,
            sum: FitsSum::default(),
            changed: false,
        };
        sink.place();
        sink.start = BLOCK + sink.header(true, 0).len() as u64;
        Ok(sink)
    }

    /// Gives the columns their places in a row.
    fn place(&mut self) {
        self.pitch = 0;
        for column in &mut self.columns {
            column.offset = self.pitch;
            self.pitch += column.width();
        }
    }

    fn io(&self, e: std::io::Error) -> DatastoreError {
        DatastoreError::io("write", &self.path, e)
    }

    /// The header, whole blocks; as long as it can become when `reserve` is set.
    fn header(&self, reserve: bool, datasum: u32) -> Vec<u8> {
        let mut header = Header::default();
        header.push(card("XTENSION", "BINTABLE"));
        header.push(card("BITPIX", 8_i64));
        header.push(card("NAXIS", 2_i64));
        header.push(card("NAXIS1", self.pitch as i64));
        header.push(card("NAXIS2", self.rows as i64));
        header.push(card("PCOUNT", self.heap_len as i64));
        header.push(card("GCOUNT", 1_i64));
        header.push(card("TFIELDS", self.columns.len() as i64));
        for (n, column) in (1..).zip(&self.columns) {
            column.cards(n, reserve, &mut header);
        }
        let mut further = HashMap::new();
        for (key, value) in &self.metadata {
            let plain =
                value.bytes().all(|b| matches!(b, b' '..=b'~')) && !value.ends_with([' ', '&']) && !value.is_empty();
            match key.as_str() {
                NAME if plain => header.push(card(NAME, value.as_str())),
                CARDS => {}
                _ => _ = further.insert(key.as_str(), value.as_str()),
            }
        }
        if !further.is_empty() {
            header.push(card(TABLE_METADATA, json(&further).as_str()));
        }
        let mut bytes = format_header(&header);
        let mut raw = |line: &str| bytes.extend_from_slice(format!("{line:<CARD$}").as_bytes());
        for (n, column) in (1..).zip(&self.columns) {
            column.raw_cards(n).iter().for_each(|c| raw(c));
        }
        for line in self.metadata.get(CARDS).map(String::as_str).unwrap_or_default().lines() {
            let fits = line.len() <= CARD && line.bytes().all(|b| matches!(b, b' '..=b'~'));
            let keyword = line.get(..line.len().min(8)).unwrap_or_default().trim_end();
            if fits && !keyword.is_empty() && keyword != "END" && !is_structural(keyword) {
                raw(line);
            }
        }
        let mut sums = |sum: &str| {
            let mut sums = Header::default();
            sums.push(card("DATASUM", datasum.to_string().as_str()));
            sums.push(card("CHECKSUM", sum));
            sums
        };
        finished(bytes, self.start.saturating_sub(BLOCK) as usize, &mut sums, datasum)
    }

    fn flush(&mut self) -> Result<()> {
        let at = self.start + self.rows * self.pitch as u64 - self.pending.len() as u64;
        self.file.write_all_at(&self.pending, at).map_err(|e| self.io(e))?;
        self.pending.clear();
        Ok(())
    }

    /// Makes room for longer texts: the rows that are there are spread out from the last one on, each over places that have been read.
    fn widen(&mut self, widths: &[usize]) -> Result<()> {
        self.flush()?;
        let old: Vec<(usize, usize)> = self.columns.iter().map(|c| (c.offset, c.element.size())).collect();
        let pitch = self.pitch;
        for (column, needed) in self.columns.iter_mut().zip(widths) {
            if let Element::Text(width) = &mut column.element {
                *width = (*width).max(*needed);
            }
        }
        self.place();
        if self.rows == 0 {
            return Ok(());
        }
        self.changed = true;
        let (step, columns, new) = ((BUFFER / self.pitch.max(1)).max(1), &self.columns, self.pitch);
        let mut end = self.rows;
        while end > 0 {
            let first = end.saturating_sub(step as u64);
            let count = (end - first) as usize;
            let mut rows = vec![0; count * pitch];
            self.file.read_exact_at(&mut rows, self.start + first * pitch as u64).map_err(|e| self.io(e))?;
            let mut spread = vec![0; count * new];
            for (from, to) in rows.chunks_exact(pitch).zip(spread.chunks_exact_mut(new)) {
                for (column, (offset, width)) in columns.iter().zip(&old) {
                    let Element::Text(wider) = column.element else {
                        let bytes = column.width();
                        to[column.offset..][..bytes].copy_from_slice(&from[*offset..][..bytes]);
                        continue;
                    };
                    for k in 0..column.each {
                        let text = &from[offset + k * width..][..*width];
                        let cell = &mut to[column.offset + k * wider..][..wider];
                        cell[..*width].copy_from_slice(text);
                        // Blanks alone are an empty text only when they fill the cell.
                        if text.iter().all(|b| *b == b' ') {
                            cell.fill(b' ');
                        }
                    }
                }
            }
            self.file.write_all_at(&spread, self.start + first * new as u64).map_err(|e| self.io(e))?;
            end = first;
        }
        Ok(())
    }

    /// Where a value is what nulls were written as, nulls become something that no value is.
    fn part_nulls(&mut self) -> Result<()> {
        for at in 0..self.columns.len() {
            let column = &self.columns[at];
            let Some(nulls) = column.nulls.as_ref().filter(|n| n.seen && !n.collisions.is_empty()) else { continue };
            let free = nulls.free().filter(|_| nulls.collisions.len() <= COLLISIONS);
            let Some(free) = free else {
                let what = format!(
                    "column `{}` has nulls, and values everywhere that FITS could take for one; cast it to a wider integer",
                    column.field.name()
                );
                return Err(DatastoreError::unsupported(&self.path, what));
            };
            let (old, bytes, offset, each) = (nulls.sentinel, usize::from(nulls.bytes), column.offset, column.each);
            let mut kept = nulls.collisions.iter().copied().peekable();
            let number = |v: i64| v.to_be_bytes()[8 - bytes..].to_vec();
            let (was, becomes) = (number(old), number(free));
            let step = ((BUFFER / self.pitch.max(1)).max(1)) as u64;
            for first in (0..self.rows).step_by(step as usize) {
                let count = step.min(self.rows - first) as usize;
                let mut rows = vec![0; count * self.pitch];
                let place = self.start + first * self.pitch as u64;
                self.file.read_exact_at(&mut rows, place).map_err(|e| self.io(e))?;
                for (row, cells) in rows.chunks_exact_mut(self.pitch).enumerate() {
                    for (k, cell) in cells[offset..offset + each * bytes].chunks_exact_mut(bytes).enumerate() {
                        let element = (first + row as u64) * each as u64 + k as u64;
                        if kept.next_if_eq(&element).is_none() && cell == was {
                            cell.copy_from_slice(&becomes);
                        }
                    }
                }
                self.file.write_all_at(&rows, place).map_err(|e| self.io(e))?;
            }
            self.changed = true;
            if let Some(nulls) = &mut self.columns[at].nulls {
                nulls.sentinel = free;
                nulls.collisions.clear();
            }
        }
        Ok(())
    }

    fn bad_row(&self, column: usize, row: usize, problem: String) -> DatastoreError {
        DatastoreError::BadRow {
            path: self.path.clone(),
            row: self.rows + row as u64 + 1,
            column: self.columns[column].field.name().clone(),
            problem,
        }
    }

    /// Appends the cells of a list to the heap; where each is, as descriptors.
    fn add_to_heap(&mut self, at: usize, array: &ArrayRef) -> Result<Vec<[u8; 16]>> {
        let failed = |e: arrow::error::ArrowError| DatastoreError::inconsistent(&self.path, e.to_string());
        let array = match array.data_type() {
            DataType::LargeList(inner) => {
                arrow::compute::cast(array, &DataType::List(inner.clone())).map_err(failed)?
            }
            _ => array.clone(),
        };
        let lists = array.as_list::<i32>();
        let column = &self.columns[at];
        let offsets = lists.offsets();
        let (begin, end) = (offsets[0] as usize, offsets[lists.len()] as usize);
        let flat = column.flat(&lists.values().slice(begin, end - begin)).map_err(failed)?;
        if matches!(column.element, Element::Integer { .. })
            && let Some(null) = (0..flat.len()).find(|i| flat.is_null(*i))
        {
            let row = offsets.partition_point(|o| *o as usize <= begin + null).saturating_sub(1);
            return Err(self.bad_row(
                at,
                row,
                "has a null within its list, which FITS cannot say of integers".to_owned(),
            ));
        }
        let size = column.element.size();
        let mut bytes = vec![0; flat.len() * size];
        if !bytes.is_empty() {
            let pitch = bytes.len();
            column.put(&flat, 0, &mut bytes, pitch, 0, flat.len());
        }
        let mut longest = column.longest;
        let descriptors = (0..lists.len())
            .map(|row| {
                let valid = lists.is_valid(row);
                let length = if valid { (offsets[row + 1] - offsets[row]) as u64 } else { 0 };
                let place = self.heap_len + ((offsets[row] as usize - begin) * size) as u64;
                longest = longest.max(length);
                let mut descriptor = [0; 16];
                descriptor[..8].copy_from_slice(&length.to_be_bytes());
                descriptor[8..].copy_from_slice(&place.to_be_bytes());
                descriptor
            })
            .collect();
        self.columns[at].longest = longest;
        self.heap_len += bytes.len() as u64;
        if let Some(heap) = &mut self.heap {
            heap.write_all(&bytes).map_err(|e| DatastoreError::io("write", &self.path, e))?;
        }
        Ok(descriptors)
    }

    fn write_rows(&mut self, batch: &RecordBatch) -> Result<()> {
        let failed = |e: arrow::error::ArrowError| DatastoreError::inconsistent(&self.path, e.to_string());
        let flats = self
            .columns
            .par_iter()
            .zip(batch.columns())
            .map(|(column, array)| if column.in_heap { Ok(array.clone()) } else { column.flat(array).map_err(failed) })
            .collect::<Result<Vec<_>>>()?;
        let before = self.rows;
        let looked: Vec<_> = self
            .columns
            .par_iter_mut()
            .zip(&flats)
            .map(|(column, flat)| if column.in_heap { Ok(0) } else { column.look(flat, before) })
            .collect();
        let mut widths = Vec::with_capacity(looked.len());
        for (at, look) in looked.into_iter().enumerate() {
            widths.push(look.map_err(|(row, problem)| self.bad_row(at, row, problem))?);
        }
        let narrow =
            |(column, needed): (&Column, &usize)| matches!(column.element, Element::Text(width) if width < *needed);
        if self.columns.iter().zip(&widths).any(narrow) {
            self.widen(&widths)?;
        }
        let mut descriptors = HashMap::new();
        for at in (0..self.columns.len()).filter(|at| self.columns[*at].in_heap).collect::<Vec<_>>() {
            descriptors.insert(at, self.add_to_heap(at, &flats[at])?);
        }
        let (pitch, columns) = (self.pitch, &self.columns);
        let mut rows = vec![0; pitch * batch.num_rows()];
        if pitch > 0 {
            rows.par_chunks_mut(pitch * 4096).enumerate().for_each(|(part, out)| {
                for (at, (column, flat)) in columns.iter().zip(&flats).enumerate() {
                    match descriptors.get(&at) {
                        Some(places) => cells(out, pitch, column.offset, 1, |row| places[part * 4096 + row]),
                        None => column.put(flat, part * 4096 * column.each, out, pitch, column.offset, column.each),
                    }
                }
            });
        }
        self.sum.add(&rows);
        self.rows += batch.num_rows() as u64;
        self.pending.extend_from_slice(&rows);
        if self.pending.len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }
}

/// A header with its sums and its end, blanks before them so that it has `length` bytes at least.
fn finished(mut bytes: Vec<u8>, length: usize, sums: &mut dyn FnMut(&str) -> Header, datasum: u32) -> Vec<u8> {
    let end = 3 * CARD;
    let total = (bytes.len() + end).next_multiple_of(BLOCK as usize).max(length);
    let blanks = total - BLOCK as usize;
    // Only whole blocks are filled up: behind the end there is never one without cards.
    if bytes.len() + end <= blanks {
        bytes.resize(blanks, b' ');
    }
    let mut with = |sum: &str| {
        let mut all = bytes.clone();
        all.extend_from_slice(&format_header(&sums(sum)));
        all.extend_from_slice(format!("{:<CARD$}", "END").as_bytes());
        all.resize(total, b' ');
        all
    };
    let mut sum = FitsSum::default();
    sum.add(&with("0000000000000000"));
    sum.add(&datasum.to_be_bytes());
    with(&encode(sum.value()))
}

impl BatchSink for FitsSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for first in (0..batch.num_rows()).step_by(ROWS) {
            self.write_rows(&batch.slice(first, ROWS.min(batch.num_rows() - first)))?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<File> {
        self.flush()?;
        self.part_nulls()?;
        let main = self.rows * self.pitch as u64;
        if self.changed {
            self.sum = FitsSum::default();
            let mut buffer = vec![0; BUFFER];
            let mut at = 0;
            while at < main {
                let part = &mut buffer[..usize::try_from(main - at).unwrap_or(BUFFER).min(BUFFER)];
                self.file
                    .read_exact_at(part, self.start + at)
                    .map_err(|e| DatastoreError::io("read", &self.path, e))?;
                self.sum.add(part);
                at += part.len() as u64;
            }
        }
        let io = |e| DatastoreError::io("write", &self.path, e);
        let mut end = self.start + main;
        if let Some(heap) = self.heap.take() {
            let mut heap = heap.into_inner().map_err(|e| io(e.into_error()))?;
            heap.seek(SeekFrom::Start(0)).map_err(io)?;
            let mut buffer = vec![0; BUFFER];
            loop {
                let read = heap.read(&mut buffer).map_err(io)?;
                if read == 0 {
                    break;
                }
                self.sum.add(&buffer[..read]);
                self.file.write_all_at(&buffer[..read], end).map_err(io)?;
                end += read as u64;
            }
        }
        let data = end - self.start;
        let padding = vec![0; (data.next_multiple_of(BLOCK) - data) as usize];
        self.sum.add(&padding);
        self.file.write_all_at(&padding, end).map_err(io)?;
        let mut primary = Header::default();
        primary.push(card("SIMPLE", true));
        primary.push(card("BITPIX", 8_i64));
        primary.push(card("NAXIS", 0_i64));
        primary.push(card("EXTEND", true));
        let mut sums = |sum: &str| {
            let mut sums = Header::default();
            sums.push(card("DATASUM", "0"));
            sums.push(card("CHECKSUM", sum));
            sums
        };
        let primary = finished(format_header(&primary), BLOCK as usize, &mut sums, 0);
        self.file.write_all_at(&primary, 0).map_err(io)?;
        let header = self.header(false, self.sum.value());
        self.file.write_all_at(&header, BLOCK).map_err(io)?;
        Ok(self.file)
    }
}
