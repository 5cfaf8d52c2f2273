//! Tile-compressed images (FITS standard 4.0, section 10): the tiles that a window touches are unpacked, on all threads.
//!
//! Decoded here: `RICE_1`, `GZIP_1`, `GZIP_2`, `NOCOMPRESS`, quantized reals with and without subtractive dither, and
//! lossless tiles among lossy ones. `PLIO_1` and `HCOMPRESS_1` are left to cfitsio.

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use ndarray::{Array2, s};
use rayon::prelude::*;

use super::file::{FitsFile, Hdu, HduKind};
use super::rice;
use crate::datastore::error::{DatastoreError, Result};
use crate::datastore::mapped::Window;
use crate::wcs::Header;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Rice { byte_pix: u32, block: usize },
    Gzip,
    GzipShuffled,
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dither {
    None,
    Subtractive,
    /// As `Subtractive`, and exact zeros are kept.
    SubtractiveZeros,
}

/// A number of the table: a column's place in a row, or one value for all rows.
#[derive(Clone, Copy, Debug)]
enum Number {
    Column(Column),
    Constant(f64),
}

/// A column: where it begins in a row, its type, and the bytes of an element of its arrays in the heap.
#[derive(Clone, Copy, Debug)]
struct Column {
    offset: usize,
    code: u8,
    element: usize,
}

/// A compressed image's table, laid out.
pub(super) struct Tiles<'a> {
    path: &'a Path,
    hdu: usize,
    rows: &'a [u8],
    heap: &'a [u8],
    row_len: usize,
    code: Code,
    bitpix: i64,
    image: (usize, usize),
    tile: (usize, usize),
    packed: Column,
    gzipped: Option<Column>,
    unpacked: Option<Column>,
    scale: Option<Number>,
    zero: Option<Number>,
    blank: Option<Number>,
    dither: Dither,
    dither_start: usize,
    pixel_scale: (f64, f64),
}

impl<'a> Tiles<'a> {
    /// `None` when the compression is one that is left to cfitsio.
    pub(super) fn new(file: &'a FitsFile, hdu: &Hdu, (height, width): (usize, usize)) -> Result<Option<Self>> {
        let header = file.header_of(hdu)?;
        let damaged =
            |reason: String| DatastoreError::damaged(file.path(), format!("the header of HDU {}", hdu.index), reason);
        let integer = |keyword: &str| header.i64(keyword).map_err(|e| damaged(e.to_string()));
        let integer_or = |keyword: &str, default: usize| match header.get(keyword) {
            None => Ok(default),
            Some(value) => value
                .as_i64()
                .and_then(|v| usize::try_from(v).ok())
                .ok_or_else(|| damaged(format!("{keyword} is {value}"))),
        };
        let HduKind::CompressedImage { bitpix, .. } = hdu.kind else {
            return Err(damaged("no compressed image".to_owned()));
        };
        let tile = (integer_or("ZTILE2", 1)?, integer_or("ZTILE1", width)?);
        if tile.0 == 0 || tile.1 == 0 {
            return Err(damaged("a tile of no pixels".to_owned()));
        }
        let tile = (tile.0.min(height), tile.1.min(width));
        let side = |keyword| {
            integer(keyword).and_then(|v| usize::try_from(v).map_err(|_| damaged(format!("{keyword} is {v}"))))
        };
        let (row_len, count) = (side("NAXIS1")?, side("NAXIS2")?);
        let wanted = height.div_ceil(tile.0).checked_mul(width.div_ceil(tile.1));
        if wanted != Some(count) {
            return Err(damaged(format!(
                "{count} rows do not make an image of {width} by {height} pixels in tiles of {} by {}",
                tile.1, tile.0
            )));
        }
        let table = row_len.checked_mul(count).ok_or_else(|| damaged("the table's size overflows".to_owned()))?;
        let data =
            file.file.range(hdu.data_start, hdu.data_len, || format!("the compressed pixels of HDU {}", hdu.index))?;
        let (Some(rows), Some(heap)) = (data.get(..table), data.get(integer_or("THEAP", table)?..)) else {
            return Err(damaged("the table or its heap lies behind its end".to_owned()));
        };
        let code = match header.str("ZCMPTYPE").map_err(|e| damaged(e.to_string()))? {
            "RICE_1" | "RICE_ONE" => Code::Rice {
                byte_pix: parameter(&header, "BYTEPIX").unwrap_or(4) as u32,
                block: parameter(&header, "BLOCKSIZE").unwrap_or(32) as usize,
            },
            "GZIP_1" => Code::Gzip,
            "GZIP_2" => Code::GzipShuffled,
            "NOCOMPRESS" => Code::Plain,
            // Its table and tiles were checked above: cfitsio divides by what it reads.
            _ => return Ok(None),
        };
        let columns = columns(&header).ok_or_else(|| damaged("a column without a valid TFORM".to_owned()))?;
        let column = |name: &str| columns.iter().find(|(n, _)| n == name).map(|(_, column)| *column);
        let number = |name: &str| {
            column(name).map(Number::Column).or_else(|| Some(Number::Constant(header.get(name)?.as_f64()?)))
        };
        let packed = column("COMPRESSED_DATA").ok_or_else(|| damaged("no column COMPRESSED_DATA".to_owned()))?;
        Ok(Some(Self {
            path: file.path(),
            hdu: hdu.index,
            rows,
            heap,
            row_len,
            code,
            bitpix,
            image: (height, width),
            tile,
            packed,
            gzipped: column("GZIP_COMPRESSED_DATA"),
            unpacked: column("UNCOMPRESSED_DATA"),
            scale: number("ZSCALE"),
            zero: number("ZZERO"),
            blank: number("ZBLANK").or_else(|| Some(Number::Constant(header.get("BLANK")?.as_f64()?))),
            dither: match header.get("ZQUANTIZ").and_then(|v| v.as_str()) {
                Some("SUBTRACTIVE_DITHER_1") => Dither::Subtractive,
                Some("SUBTRACTIVE_DITHER_2") => Dither::SubtractiveZeros,
                _ => Dither::None,
            },
            dither_start: integer_or("ZDITHER0", 1)?.max(1),
            pixel_scale: (hdu.scale, hdu.zero),
        }))
    }

    /// A window of the image; `pixel` makes pixels of what the tiles hold (`None`: no value there).
    pub(super) fn read<T: Copy + Default + Send>(
        &self,
        window: Window,
        pixel: impl Fn(Option<f64>) -> T + Sync,
    ) -> Result<Array2<T>> {
        let mut out = Array2::default((window.height, window.width));
        if out.is_empty() {
            return Ok(out);
        }
        let (rows, columns) = self.tile;
        let across = self.image.1.div_ceil(columns);
        let first = (window.y / rows, window.x / columns);
        let last = ((window.y + window.height - 1) / rows, (window.x + window.width - 1) / columns);
        // A band of tiles lies in rows of the output of its own: bands need no lock between them.
        let mut bands = Vec::new();
        let mut rest = out.view_mut();
        for band in first.0..=last.0 {
            let (y0, y1) = ((band * rows).max(window.y), ((band + 1) * rows).min(window.y + window.height));
            let (head, tail) = rest.split_at(ndarray::Axis(0), y1 - y0);
            bands.push((band, y0 - band * rows, head));
            rest = tail;
        }
        bands.into_par_iter().try_for_each(|(band, skip, mut pixels)| -> Result<()> {
            for n in first.1..=last.1 {
                let size = (rows.min(self.image.0 - band * rows), columns.min(self.image.1 - n * columns));
                let index = band * across + n;
                let values = self.values(index, size.0 * size.1).ok_or_else(|| {
                    let place = format!("tile {} of HDU {}", index + 1, self.hdu);
                    DatastoreError::damaged(self.path, place, "its bytes do not unpack to its pixels")
                })?;
                let (x0, x1) = ((n * columns).max(window.x), (n * columns + size.1).min(window.x + window.width));
                let mut target = pixels.slice_mut(s![.., x0 - window.x..x1 - window.x]);
                let lines = values.chunks_exact(size.1).skip(skip);
                for (mut to, line) in target.rows_mut().into_iter().zip(lines) {
                    let line = line.get(x0 - n * columns..x1 - n * columns).unwrap_or_default();
                    to.iter_mut().zip(line).for_each(|(to, v)| *to = pixel(*v));
                }
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// The values of a tile, scaled.
    fn values(&self, index: usize, count: usize) -> Option<Vec<Option<f64>>> {
        let row = self.rows.get(index.checked_mul(self.row_len)?..)?.get(..self.row_len)?;
        let packed = self.array(row, self.packed)?;
        let blank = match self.blank {
            Some(number) => Some(number.value(row)?),
            None => None,
        };
        if packed.is_empty() {
            // A tile that would not quantize is kept without loss beside the others.
            if let Some(bytes) = self.gzipped.and_then(|c| self.array(row, c)).filter(|b| !b.is_empty()) {
                return self.raw(&gunzip(bytes, count, self.size())?, count, blank);
            }
            let bytes = self.unpacked.and_then(|c| self.array(row, c))?;
            return self.raw(bytes, count, blank);
        }
        let quantized = self.bitpix < 0 && self.scale.is_some();
        let size = if quantized { 4 } else { self.size() };
        let unpacked;
        let bytes = match self.code {
            Code::Rice { byte_pix, block } => {
                let pixels = rice::decode(packed, count, byte_pix, block)?;
                return if quantized {
                    self.dequantize(row, index, pixels.into_iter(), blank)
                } else if self.bitpix > 0 {
                    Some(pixels.into_iter().map(|v| self.integer(f64::from(v), blank)).collect())
                } else {
                    None
                };
            }
            Code::Gzip => {
                unpacked = gunzip(packed, count, size)?;
                &unpacked
            }
            Code::GzipShuffled => {
                let shuffled = gunzip(packed, count, size)?;
                unpacked = (0..count * size)
                    .map(|n| shuffled.get(n % size * count + n / size).copied())
                    .collect::<Option<Vec<u8>>>()?;
                &unpacked
            }
            Code::Plain => packed,
        };
        if !quantized {
            return self.raw(bytes, count, blank);
        }
        let (numbers, _) = bytes.get(..count.checked_mul(4)?)?.as_chunks();
        self.dequantize(row, index, numbers.iter().map(|b| i32::from_be_bytes(*b)), blank)
    }

    /// Bytes a pixel.
    const fn size(&self) -> usize {
        self.bitpix.unsigned_abs() as usize / 8
    }

    fn integer(&self, v: f64, blank: Option<f64>) -> Option<f64> {
        (blank != Some(v)).then_some(v * self.pixel_scale.0 + self.pixel_scale.1)
    }

    /// Pixels as a plain image has them.
    fn raw(&self, bytes: &[u8], count: usize, blank: Option<f64>) -> Option<Vec<Option<f64>>> {
        let bytes = bytes.get(..count.checked_mul(self.size())?)?;
        let real = |v: f64| Some(v * self.pixel_scale.0 + self.pixel_scale.1);
        Some(match self.bitpix {
            8 => bytes.iter().map(|b| self.integer((*b).into(), blank)).collect(),
            16 => bytes.as_chunks().0.iter().map(|b| self.integer(i16::from_be_bytes(*b).into(), blank)).collect(),
            32 => bytes.as_chunks().0.iter().map(|b| self.integer(i32::from_be_bytes(*b).into(), blank)).collect(),
            64 => bytes.as_chunks().0.iter().map(|b| self.integer(i64::from_be_bytes(*b) as f64, blank)).collect(),
            -32 => bytes.as_chunks().0.iter().map(|b| real(f32::from_be_bytes(*b).into())).collect(),
            _ => bytes.as_chunks().0.iter().map(|b| real(f64::from_be_bytes(*b))).collect(),
        })
    }

    /// Reals out of their quanta, with the dither taken away again.
    fn dequantize(
        &self,
        row: &[u8],
        index: usize,
        quanta: impl Iterator<Item = i32>,
        blank: Option<f64>,
    ) -> Option<Vec<Option<f64>>> {
        let scale = self.scale?.value(row)?;
        let zero = self.zero.map_or(Some(0.0), |number| number.value(row))?;
        // The convention's own value for "no data", also where the header forgets to say so.
        let blank = Some(blank.unwrap_or(f64::from(i32::MIN)));
        let is_blank = |q: i32| Some(f64::from(q)) == blank;
        if self.dither == Dither::None {
            return Some(quanta.map(|q| (!is_blank(q)).then(|| f64::from(q) * scale + zero)).collect());
        }
        let random = dither_sequence();
        let mut seed = (index + self.dither_start - 1) % random.len();
        let start = |seed: usize| Some((random.get(seed)? * 500.0) as usize);
        let mut next = start(seed)?;
        let mut values = Vec::with_capacity(quanta.size_hint().0);
        for q in quanta {
            values.push(if is_blank(q) {
                None
            } else if self.dither == Dither::SubtractiveZeros && q == i32::MIN + 2 {
                Some(0.0)
            } else {
                Some((f64::from(q) - f64::from(*random.get(next)?) + 0.5) * scale + zero)
            });
            next += 1;
            if next == random.len() {
                seed = (seed + 1) % random.len();
                next = start(seed)?;
            }
        }
        Some(values)
    }

    /// The bytes of a variable-length array in the heap.
    fn array(&self, row: &[u8], column: Column) -> Option<&'a [u8]> {
        let at = row.get(column.offset..)?;
        let (count, offset) = if column.code == b'Q' {
            (u64::from_be_bytes(*at.first_chunk()?), u64::from_be_bytes(*at.get(8..)?.first_chunk()?))
        } else {
            (u32::from_be_bytes(*at.first_chunk()?).into(), u32::from_be_bytes(*at.get(4..)?.first_chunk()?).into())
        };
        let (count, offset) = (usize::try_from(count).ok()?, usize::try_from(offset).ok()?);
        if count == 0 {
            return Some(&[]);
        }
        self.heap.get(offset..)?.get(..count.checked_mul(column.element)?)
    }
}

impl Number {
    fn value(self, row: &[u8]) -> Option<f64> {
        let column = match self {
            Self::Constant(value) => return Some(value),
            Self::Column(column) => column,
        };
        let at = row.get(column.offset..)?;
        Some(match column.code {
            b'D' => f64::from_be_bytes(*at.first_chunk()?),
            b'E' => f32::from_be_bytes(*at.first_chunk()?).into(),
            b'J' => i32::from_be_bytes(*at.first_chunk()?).into(),
            b'I' => i16::from_be_bytes(*at.first_chunk()?).into(),
            b'K' => i64::from_be_bytes(*at.first_chunk()?) as f64,
            _ => return None,
        })
    }
}

/// A parameter of the compression: `ZNAMEn`, `ZVALn`.
fn parameter(header: &Header, name: &str) -> Option<i64> {
    let n = (1..=20).find(|n| header.get(&format!("ZNAME{n}")).and_then(|v| v.as_str()) == Some(name))?;
    header.get(&format!("ZVAL{n}"))?.as_i64()
}

/// Names and places of the table's columns.
fn columns(header: &Header) -> Option<Vec<(String, Column)>> {
    let mut offset = 0_usize;
    let mut columns = Vec::new();
    for n in 1..=header.get("TFIELDS")?.as_i64()?.clamp(0, 999) {
        let form = header.get(&format!("TFORM{n}"))?.as_str()?.trim();
        let digits = form.bytes().take_while(u8::is_ascii_digit).count();
        let repeat: usize = if digits == 0 { 1 } else { form.get(..digits)?.parse().ok()? };
        let code = *form.as_bytes().get(digits)?;
        let size = size_of_type(code)?;
        let element = match code {
            b'P' | b'Q' => size_of_type(*form.as_bytes().get(digits + 1)?)?,
            _ => size,
        };
        let name = header.get(&format!("TTYPE{n}")).and_then(|v| v.as_str()).unwrap_or_default();
        columns.push((name.to_ascii_uppercase(), Column { offset, code, element }));
        offset = offset.checked_add(repeat.checked_mul(size)?)?;
    }
    Some(columns)
}

/// Bytes of a value of a binary table (FITS standard 4.0, table 18).
const fn size_of_type(code: u8) -> Option<usize> {
    Some(match code {
        b'L' | b'B' | b'A' => 1,
        b'I' => 2,
        b'J' | b'E' => 4,
        b'K' | b'D' | b'C' | b'P' => 8,
        b'M' | b'Q' => 16,
        _ => return None,
    })
}

fn gunzip(bytes: &[u8], count: usize, size: usize) -> Option<Vec<u8>> {
    let len = count.checked_mul(size)?;
    // gzip shrinks to a thousandth at best: a tile that claims more is not worth its memory.
    if len > bytes.len().saturating_mul(1100) {
        return None;
    }
    let mut out = vec![0; len];
    GzDecoder::new(bytes).read_exact(&mut out).ok()?;
    Some(out)
}

/// The sequence of random numbers that dither is made from (FITS standard 4.0, appendix I).
fn dither_sequence() -> &'static [f32] {
    static SEQUENCE: std::sync::LazyLock<Vec<f32>> = std::sync::LazyLock::new(|| {
        let (a, m) = (16_807.0_f64, 2_147_483_647.0_f64);
        let mut seed = 1.0_f64;
        let next = || {
            let product = a * seed;
            seed = product - m * (product / m).floor();
            (seed / m) as f32
        };
        std::iter::repeat_with(next).take(10_000).collect()
    });
    &SEQUENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dither_sequence_ends_as_the_standard_says() {
        // The last seed must be 1043618065.
        let expected = (1_043_618_065.0_f64 / 2_147_483_647.0) as f32;
        assert_eq!(dither_sequence().last().map(|v| v.to_bits()), Some(expected.to_bits()));
        assert_eq!(dither_sequence().len(), 10_000);
    }
}
