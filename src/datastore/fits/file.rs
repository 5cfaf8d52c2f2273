//! [`FitsFile`]: the header-data units of a FITS file, found without reading pixels.

use std::path::Path;

use super::card::{CARD, is_end, parse_header};
use crate::datastore::error::{DatastoreError, Result};
use crate::datastore::mapped::MappedFile;
use crate::wcs::Header;

/// FITS files are made of blocks of this many bytes.
pub(crate) const BLOCK: u64 = 2880;

/// The pixel types of the standard: bits a pixel, negative for reals.
const BITPIX: [i64; 6] = [8, 16, 32, 64, -32, -64];

/// What a header-data unit holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HduKind {
    /// A header alone (`NAXIS = 0`, or an axis of length 0).
    Empty,
    /// A plain image: `BITPIX` and the lengths of its axes in the order of an array, slowest first (`[.., y, x]`).
    Image {
        /// 8, 16, 32, 64, -32 or -64.
        bitpix: i64,
        /// Lengths of the axes, slowest first.
        shape: Vec<u64>,
    },
    /// A tile-compressed image, kept as a binary table.
    CompressedImage {
        /// `BITPIX` of the image within.
        bitpix: i64,
        /// Lengths of its axes, slowest first.
        shape: Vec<u64>,
    },
    /// A binary table, or another extension that is no image.
    Table {
        /// `XTENSION`.
        extension: String,
    },
}

/// One header-data unit.
#[derive(Clone, Debug)]
pub struct Hdu {
    /// 0 is the primary.
    pub index: usize,
    /// `EXTNAME`, possibly empty.
    pub name: String,
    /// What it holds.
    pub kind: HduKind,
    pub(in crate::datastore) header_start: u64,
    pub(in crate::datastore) header_len: u64,
    pub(in crate::datastore) data_start: u64,
    pub(in crate::datastore) data_len: u64,
    pub(super) scale: f64,
    pub(super) zero: f64,
    pub(super) blank: Option<i64>,
}

impl Hdu {
    #[expect(clippy::float_cmp, reason = "the defaults are exact, and any other scale is applied")]
    pub(super) fn is_unscaled(&self) -> bool {
        self.scale == 1.0 && self.zero == 0.0
    }
}

/// A FITS file opened for reading: its headers are read by an own parser through a memory map.
///
/// ```no_run
/// let file = bunter::datastore::FitsFile::open("calexp.fits".as_ref())?;
/// for hdu in file.hdus()? {
///     println!("{} {} {:?}", hdu.index, hdu.name, hdu.kind);
/// }
/// let exposure_time = file.header(0)?.f64("EXPTIME");
/// # Ok::<(), bunter::datastore::DatastoreError>(())
/// ```
#[derive(Debug)]
pub struct FitsFile {
    pub(in crate::datastore) file: MappedFile,
}

impl FitsFile {
    /// Opens a FITS file. Only its first bytes are looked at.
    ///
    /// # Errors
    /// [`DatastoreError::NotFound`], [`DatastoreError::Io`]; [`DatastoreError::Unsupported`] for a file that is no FITS file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = MappedFile::open(path)?;
        if !file.bytes().starts_with(b"SIMPLE  =") {
            let what = if file.bytes().starts_with(&[0x1f, 0x8b]) {
                "a gzip file; unpack it first, or keep it as a tile-compressed FITS file, of which parts can be read"
            } else {
                "not a FITS file (its first keyword is not SIMPLE)"
            };
            return Err(DatastoreError::unsupported(path, what));
        }
        Ok(Self { file })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// All header-data units.
    ///
    /// # Errors
    /// [`DatastoreError::Damaged`] for a header that has no end or contradicts itself.
    pub fn hdus(&self) -> Result<Vec<Hdu>> {
        self.scan().collect()
    }

    /// All header-data units of a file that has all their bytes: what a copy that was cut off has not.
    ///
    /// # Errors
    /// [`DatastoreError::Damaged`] as for [`hdus`](Self::hdus), and for a unit whose data the file ends within.
    pub fn whole_hdus(&self) -> Result<Vec<Hdu>> {
        let hdus = self.hdus()?;
        for hdu in &hdus {
            self.file.range(hdu.data_start, hdu.data_len, || format!("the data of HDU {}", hdu.index))?;
        }
        Ok(hdus)
    }

    /// One header-data unit; those behind it are not looked at.
    ///
    /// # Errors
    /// [`DatastoreError::NoSuchHdu`], [`DatastoreError::Damaged`].
    pub fn hdu(&self, index: usize) -> Result<Hdu> {
        let mut count = 0;
        for hdu in self.scan() {
            let hdu = hdu?;
            count += 1;
            if hdu.index == index {
                return Ok(hdu);
            }
        }
        Err(DatastoreError::NoSuchHdu { path: self.path().to_owned(), hdu: index, count })
    }

    /// The header of a unit, with every value typed. Of a tile-compressed image this is the table's header, in which the
    /// image's own keywords stand among those of the compression.
    ///
    /// # Errors
    /// [`DatastoreError::NoSuchHdu`], [`DatastoreError::Damaged`].
    pub fn header(&self, index: usize) -> Result<Header> {
        self.header_of(&self.hdu(index)?)
    }

    pub(in crate::datastore) fn header_of(&self, hdu: &Hdu) -> Result<Header> {
        Ok(parse_header(
            self.file.range(hdu.header_start, hdu.header_len, || format!("the header of HDU {}", hdu.index))?,
        ))
    }

    fn scan(&self) -> Scan<'_> {
        Scan { file: &self.file, index: 0, offset: 0, finished: false }
    }
}

/// Walks from unit to unit.
struct Scan<'a> {
    file: &'a MappedFile,
    index: usize,
    offset: u64,
    finished: bool,
}

impl Iterator for Scan<'_> {
    type Item = Result<Hdu>;

    fn next(&mut self) -> Option<Self::Item> {
        const NEXT: &[u8] = b"XTENSION=";
        let rest = self.file.bytes().get(usize::try_from(self.offset).ok()?..)?;
        // Behind the last unit the standard allows "special records"; anything that does not begin like an extension
        // ends the walk.
        let another = rest.starts_with(NEXT) || NEXT.starts_with(rest);
        if self.finished || rest.is_empty() || (self.index > 0 && !another) {
            return None;
        }
        let hdu = self.read(rest);
        match &hdu {
            Ok(hdu) => {
                self.index += 1;
                self.offset = hdu.data_start.saturating_add(hdu.data_len.div_ceil(BLOCK).saturating_mul(BLOCK));
            }
            Err(_) => self.finished = true,
        }
        Some(hdu)
    }
}

impl Scan<'_> {
    fn damaged(&self, reason: impl Into<String>) -> DatastoreError {
        DatastoreError::damaged(self.file.path(), format!("the header of HDU {}", self.index), reason)
    }

    fn read(&self, rest: &[u8]) -> Result<Hdu> {
        let mut keys = Keys::default();
        let mut cards = 0;
        let mut ended = false;
        for card in rest.chunks_exact(CARD) {
            cards += 1;
            if is_end(card) {
                ended = true;
                break;
            }
            keys.take(card);
        }
        if !ended {
            return Err(self.damaged("truncated: it has no END card"));
        }
        let header_len = (cards * CARD) as u64;
        let data_start = self.offset + header_len.div_ceil(BLOCK) * BLOCK;
        if data_start > self.file.len() {
            return Err(self.damaged("truncated: its last block is not whole"));
        }
        let bitpix = keys.bitpix.ok_or_else(|| self.damaged("no BITPIX card"))?;
        if !BITPIX.contains(&bitpix) {
            return Err(self.damaged(format!("BITPIX is {bitpix}; the standard knows 8, 16, 32, 64, -32, -64")));
        }
        let shape = self.shape(keys.naxis.ok_or_else(|| self.damaged("no NAXIS card"))?, &keys.axes, "NAXIS")?;
        let product = |axes: &[u64]| axes.iter().try_fold(1_u64, |n, axis| n.checked_mul(*axis));
        let elements = if shape.is_empty() { Some(0) } else { product(&shape) };
        let [pcount, gcount] = [(keys.pcount, 0), (keys.gcount, 1)].map(|(v, d)| u64::try_from(v.unwrap_or(d)));
        let (Ok(pcount), Ok(gcount)) = (pcount, gcount) else {
            return Err(self.damaged("PCOUNT or GCOUNT is negative"));
        };
        // Size of the data, FITS standard 4.0, equation 2.
        let data_len = elements
            .and_then(|n| n.checked_add(pcount)?.checked_mul(gcount)?.checked_mul(bitpix.unsigned_abs() / 8))
            .filter(|n| *n < 1 << 60)
            .ok_or_else(|| self.damaged("its axes give more bytes than any file has"))?;
        let image = self.index == 0 || keys.extension == "IMAGE";
        let kind = if keys.compressed {
            let shape = self.shape(keys.znaxis.unwrap_or(0), &keys.zaxes, "ZNAXIS")?;
            let bitpix = keys.zbitpix.filter(|bitpix| BITPIX.contains(bitpix));
            let bitpix = bitpix.ok_or_else(|| self.damaged("a compressed image without a valid ZBITPIX"))?;
            HduKind::CompressedImage { bitpix, shape }
        } else if !image {
            HduKind::Table { extension: keys.extension }
        } else if elements == Some(0) {
            HduKind::Empty
        } else {
            HduKind::Image { bitpix, shape }
        };
        Ok(Hdu {
            index: self.index,
            name: keys.name,
            kind,
            header_start: self.offset,
            header_len,
            data_start,
            data_len,
            scale: keys.scale.unwrap_or(1.0),
            zero: keys.zero.unwrap_or(0.0),
            blank: keys.blank,
        })
    }

    /// The lengths of the axes, slowest first.
    fn shape(&self, naxis: i64, axes: &[(usize, i64)], keyword: &str) -> Result<Vec<u64>> {
        if !(0..=999).contains(&naxis) {
            return Err(self.damaged(format!("{keyword} is {naxis}; the standard allows 0 to 999")));
        }
        let length = |n: usize| {
            let length = axes.iter().find(|(axis, _)| *axis == n).map(|(_, v)| *v);
            let length = length.ok_or_else(|| self.damaged(format!("no {keyword}{n} card")))?;
            u64::try_from(length).map_err(|_| self.damaged(format!("{keyword}{n} is {length}")))
        };
        (1..=naxis as usize).rev().map(length).collect()
    }
}

/// The keywords that lay a unit out, read without building a header.
#[derive(Default)]
struct Keys {
    extension: String,
    name: String,
    bitpix: Option<i64>,
    naxis: Option<i64>,
    axes: Vec<(usize, i64)>,
    pcount: Option<i64>,
    gcount: Option<i64>,
    scale: Option<f64>,
    zero: Option<f64>,
    blank: Option<i64>,
    compressed: bool,
    zbitpix: Option<i64>,
    znaxis: Option<i64>,
    zaxes: Vec<(usize, i64)>,
}

impl Keys {
    fn take(&mut self, card: &[u8]) {
        let Some(keyword) = card.get(..8).map(<[u8]>::trim_ascii_end) else { return };
        // Most cards are none of these: their first letters decide, before anything is parsed.
        if !matches!(keyword.first(), Some(b'B' | b'N' | b'P' | b'G' | b'X' | b'E' | b'Z')) {
            return;
        }
        let parsed = || parse_header(card).cards().first().map(|c| c.value.clone());
        let integer = || parsed().and_then(|v| v.as_i64());
        let real = || parsed().and_then(|v| v.as_f64());
        let text = || parsed().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        match keyword {
            b"XTENSION" => self.extension = text(),
            b"EXTNAME" => self.name = text(),
            b"BITPIX" => self.bitpix = integer(),
            b"NAXIS" => self.naxis = integer(),
            b"PCOUNT" => self.pcount = integer(),
            b"GCOUNT" => self.gcount = integer(),
            b"BSCALE" => self.scale = real(),
            b"BZERO" => self.zero = real(),
            b"BLANK" => self.blank = integer(),
            b"ZIMAGE" => self.compressed = parsed().and_then(|v| v.as_bool()).unwrap_or(false),
            b"ZBITPIX" => self.zbitpix = integer(),
            b"ZNAXIS" => self.znaxis = integer(),
            _ => {
                let axis = |stem: &[u8]| std::str::from_utf8(keyword.strip_prefix(stem)?).ok()?.parse::<usize>().ok();
                if let (Some(n), Some(length)) = (axis(b"NAXIS"), integer()) {
                    self.axes.push((n, length));
                } else if let (Some(n), Some(length)) = (axis(b"ZNAXIS"), integer()) {
                    self.zaxes.push((n, length));
                }
            }
        }
    }
}
