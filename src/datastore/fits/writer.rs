//! [`FitsWriter`]: plain FITS files with the same bytes on every machine.

use std::io::{self, Write};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow::record_batch::RecordBatch;
use ndarray::Array2;

use super::card::{CARD, format_header, is_structural};
use super::file::BLOCK;
use crate::wcs::{Card, Header, HeaderValue};

/// Writes plain FITS, one header-data unit after the other. No dates and no machine names: the same input gives the
/// same bytes everywhere.
///
/// ```
/// use bunter::Header;
/// use bunter::datastore::FitsWriter;
/// use ndarray::Array2;
///
/// let mut writer = FitsWriter::new(Vec::new());
/// writer.primary(&[("EXPTIME", 30.0)].into_iter().collect::<Header>())?;
/// writer.image_f32("IMAGE", &Header::default(), &Array2::zeros((20, 30)))?;
/// let bytes = writer.finish()?;
/// assert_eq!(bytes.len() % 2880, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct FitsWriter<W: Write> {
    out: W,
    units: usize,
}

impl<W: Write> FitsWriter<W> {
    /// Begins a file. Give a buffered writer: rows are written one at a time.
    pub const fn new(out: W) -> Self {
        Self { out, units: 0 }
    }

    /// Writes the primary header, without pixels. Keywords of structure in `header` are left out.
    ///
    /// # Errors
    /// [`io::Error`] of the writer; of kind `InvalidInput` when it is not the first unit.
    pub fn primary(&mut self, header: &Header) -> io::Result<()> {
        if self.units > 0 {
            return Err(invalid("the primary header is the first unit of a file".to_owned()));
        }
        self.header(
            vec![
                card("SIMPLE", true, "conforms to FITS standard 4.0"),
                card("BITPIX", 8, ""),
                card("NAXIS", 0, ""),
                card("EXTEND", true, ""),
            ],
            header,
        )
    }

    /// Writes an image extension of `f32`, `[y, x]`.
    ///
    /// # Errors
    /// [`io::Error`] of the writer.
    pub fn image_f32(&mut self, name: &str, header: &Header, pixels: &Array2<f32>) -> io::Result<()> {
        self.image(name, header, pixels, -32, &[], |v: f32| v.to_be_bytes())
    }

    /// Writes an image extension of `i32`, `[y, x]`.
    ///
    /// # Errors
    /// [`io::Error`] of the writer.
    pub fn image_i32(&mut self, name: &str, header: &Header, pixels: &Array2<i32>) -> io::Result<()> {
        self.image(name, header, pixels, 32, &[], |v: i32| v.to_be_bytes())
    }

    /// Writes an image extension of `u16`, `[y, x]`, as FITS keeps unsigned integers: with `BZERO = 32768`.
    ///
    /// # Errors
    /// [`io::Error`] of the writer.
    pub fn image_u16(&mut self, name: &str, header: &Header, pixels: &Array2<u16>) -> io::Result<()> {
        let scaling = [card("BZERO", 32_768.0, "unsigned integers"), card("BSCALE", 1.0, "")];
        self.image(name, header, pixels, 16, &scaling, |v: u16| (v ^ 0x8000).to_be_bytes())
    }

    fn image<T: Copy, const N: usize>(
        &mut self,
        name: &str,
        header: &Header,
        pixels: &Array2<T>,
        bitpix: i64,
        scaling: &[Card],
        bytes: impl Fn(T) -> [u8; N],
    ) -> io::Result<()> {
        let mut structure = vec![
            card("XTENSION", "IMAGE", ""),
            card("BITPIX", bitpix, ""),
            card("NAXIS", 2, ""),
            card("NAXIS1", pixels.ncols() as i64, ""),
            card("NAXIS2", pixels.nrows() as i64, ""),
            card("PCOUNT", 0, ""),
            card("GCOUNT", 1, ""),
        ];
        structure.extend_from_slice(scaling);
        structure.push(card("EXTNAME", name, ""));
        self.header(structure, header)?;
        let mut line = Vec::with_capacity(N * pixels.ncols());
        for row in pixels.rows() {
            line.clear();
            line.extend(row.iter().flat_map(|v| bytes(*v)));
            self.out.write_all(&line)?;
        }
        self.pad((N * pixels.len()) as u64, 0)
    }

    /// Writes a binary table extension: numbers, logicals and texts of fixed width. Null numbers become NaN or 0, null
    /// texts empty ones; `u64` columns keep all their bits (`TZERO = 2^63`).
    ///
    /// # Errors
    /// [`io::Error`] of the writer; of kind `InvalidInput` for a column of another type.
    pub fn table(&mut self, name: &str, header: &Header, table: &RecordBatch) -> io::Result<()> {
        let schema = table.schema();
        let columns = schema
            .fields()
            .iter()
            .zip(table.columns())
            .map(|(field, array)| Column::new(field.name(), array.as_ref()))
            .collect::<io::Result<Vec<_>>>()?;
        let width: usize = columns.iter().map(|c| c.width).sum();
        let mut structure = vec![
            card("XTENSION", "BINTABLE", ""),
            card("BITPIX", 8, ""),
            card("NAXIS", 2, ""),
            card("NAXIS1", width as i64, "bytes a row"),
            card("NAXIS2", table.num_rows() as i64, "rows"),
            card("PCOUNT", 0, ""),
            card("GCOUNT", 1, ""),
            card("TFIELDS", columns.len() as i64, "columns"),
        ];
        for (n, column) in (1..).zip(&columns) {
            structure.push(card(&format!("TTYPE{n}"), column.name, ""));
            structure.push(card(&format!("TFORM{n}"), column.form.as_str(), ""));
            if let Some(zero) = column.zero.clone() {
                structure.push(card(&format!("TSCAL{n}"), 1_i64, ""));
                // An integer card: no real holds 2^63 exactly in text that every reader takes for one.
                structure.push(Card { keyword: format!("TZERO{n}"), value: zero, comment: String::new() });
            }
        }
        structure.push(card("EXTNAME", name, ""));
        self.header(structure, header)?;
        let mut line = Vec::with_capacity(width);
        for row in 0..table.num_rows() {
            line.clear();
            for column in &columns {
                column.write(row, &mut line);
            }
            self.out.write_all(&line)?;
        }
        self.pad((width * table.num_rows()) as u64, 0)
    }

    /// Ends the file and gives the writer back, flushed.
    ///
    /// # Errors
    /// [`io::Error`] of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn header(&mut self, structure: Vec<Card>, further: &Header) -> io::Result<()> {
        self.units += 1;
        let mut header = Header::default();
        for card in structure {
            header.push(card);
        }
        let kept =
            |c: &&Card| !is_structural(&c.keyword) || c.keyword.starts_with("MP_") || c.keyword.starts_with("LT");
        further.cards().iter().filter(kept).for_each(|c| header.push(c.clone()));
        let mut bytes = format_header(&header);
        bytes.extend_from_slice(format!("{:<CARD$}", "END").as_bytes());
        self.out.write_all(&bytes)?;
        self.pad(bytes.len() as u64, b' ')
    }

    fn pad(&mut self, written: u64, with: u8) -> io::Result<()> {
        let missing = written.next_multiple_of(BLOCK) - written;
        self.out.write_all(&vec![with; missing as usize])
    }
}

fn card(keyword: &str, value: impl Into<HeaderValue>, comment: &str) -> Card {
    Card { keyword: keyword.to_owned(), value: value.into(), comment: comment.to_owned() }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// A column of a binary table, FITS standard 4.0 section 7.3.
struct Column<'a> {
    name: &'a str,
    array: &'a dyn Array,
    form: String,
    width: usize,
    zero: Option<HeaderValue>,
}

impl<'a> Column<'a> {
    fn new(name: &'a str, array: &'a dyn Array) -> io::Result<Self> {
        let plain = |form: &str, width| (form.to_owned(), width, None);
        let shifted = |form: &str, width, zero: HeaderValue| (form.to_owned(), width, Some(zero));
        let (form, width, zero) = match array.data_type() {
            DataType::Boolean => plain("L", 1),
            DataType::UInt8 => plain("B", 1),
            DataType::Int8 => shifted("B", 1, HeaderValue::Integer(-128)),
            DataType::Int16 => plain("I", 2),
            DataType::UInt16 => shifted("I", 2, HeaderValue::Integer(1 << 15)),
            DataType::Int32 => plain("J", 4),
            DataType::UInt32 => shifted("J", 4, HeaderValue::Integer(1 << 31)),
            DataType::Int64 => plain("K", 8),
            // 2^63 is one more than an `i64` holds; as a real it is exact.
            DataType::UInt64 => shifted("K", 8, HeaderValue::Real(9_223_372_036_854_775_808.0)),
            DataType::Float32 => plain("E", 4),
            DataType::Float64 => plain("D", 8),
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                let longest = (0..texts.len()).map(|row| texts.value(row).len()).max().unwrap_or(0).max(1);
                (format!("{longest}A"), longest, None)
            }
            other => {
                return Err(invalid(format!(
                    "column `{name}` of type {other} has no form in a FITS binary table; cast it to a number, logical or text"
                )));
            }
        };
        Ok(Self { name, array, form, width, zero })
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        let array = self.array;
        let valid = array.is_valid(row);
        macro_rules! number {
            ($type:ty, $null:expr, $map:expr) => {{
                let value = if valid { array.as_primitive::<$type>().value(row) } else { $null };
                out.extend_from_slice(&$map(value).to_be_bytes());
            }};
        }
        match array.data_type() {
            DataType::Boolean => out.push(match valid.then(|| array.as_boolean().value(row)) {
                Some(true) => b'T',
                Some(false) => b'F',
                None => 0,
            }),
            DataType::UInt8 => number!(UInt8Type, 0, |v| v),
            DataType::Int8 => number!(Int8Type, 0, |v: i8| v ^ i8::MIN),
            DataType::Int16 => number!(Int16Type, 0, |v| v),
            DataType::UInt16 => number!(UInt16Type, 0, |v: u16| v ^ (1 << 15)),
            DataType::Int32 => number!(Int32Type, 0, |v| v),
            DataType::UInt32 => number!(UInt32Type, 0, |v: u32| v ^ (1 << 31)),
            DataType::Int64 => number!(Int64Type, 0, |v| v),
            DataType::UInt64 => number!(UInt64Type, 0, |v: u64| v ^ (1 << 63)),
            DataType::Float32 => number!(Float32Type, f32::NAN, |v| v),
            DataType::Float64 => number!(Float64Type, f64::NAN, |v| v),
            _ => {
                let start = out.len();
                if valid {
                    let text = array.as_string::<i32>().value(row);
                    out.extend(text.bytes().map(|b| if matches!(b, b' '..=b'~') { b } else { b'?' }));
                }
                out.resize(start + self.width, 0);
            }
        }
    }
}
