//! [`ExposureFile`]: what a translator may look at, and how it is looked up.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::error::nearest;
use super::expression::{EvaluateError, Scope, Value, from_header};
use super::sidecar::Sidecar;
use crate::wcs::{Header, Wcs};

/// One header-data unit as a translator sees it.
#[derive(Clone, Debug, Default)]
pub struct HduInfo {
    /// The header; of a tile-compressed image that of the image, or that of the table it is stored in.
    pub header: Header,
    /// `(rows, columns)` of a two-dimensional image; `None` for anything else.
    pub shape: Option<(usize, usize)>,
}

impl HduInfo {
    /// Finds the shape in the header: `NAXIS1`, `NAXIS2`, or `ZNAXIS1`, `ZNAXIS2` of a tile-compressed image.
    pub fn from_header(header: Header) -> Self {
        let side = |keyword: &str| usize::try_from(header.i64(keyword).ok()?).ok().filter(|n| *n > 0);
        let compressed = header.get("ZIMAGE").and_then(crate::wcs::HeaderValue::as_bool) == Some(true);
        let table = header.str("XTENSION").is_ok_and(|kind| kind.trim().ends_with("TABLE"));
        let shape = match (compressed, table) {
            (true, _) if header.i64("ZNAXIS") == Ok(2) => side("ZNAXIS2").zip(side("ZNAXIS1")),
            (false, false) if header.i64("NAXIS") == Ok(2) => side("NAXIS2").zip(side("NAXIS1")),
            _ => None,
        };
        Self { header, shape }
    }

    fn is_named(&self, name: &str) -> bool {
        self.header.str("EXTNAME").is_ok_and(|n| n.trim().eq_ignore_ascii_case(name))
    }
}

/// A FITS file as a translator sees it: headers and neighbours, no pixels. Whoever has the file fills it in.
#[derive(Clone, Copy, Debug)]
pub struct ExposureFile<'a> {
    /// Its path; the part behind the last `/` is the file's name.
    pub path: &'a str,
    /// All its header-data units, the primary first.
    pub hdus: &'a [HduInfo],
    /// The tables that lie beside it.
    pub sidecars: &'a [Sidecar],
    /// The names of the files beside it, where they are known. Then a mask or weight that is not there is an error now, and
    /// not when it is read.
    pub siblings: Option<&'a BTreeSet<String>>,
}

impl<'a> ExposureFile<'a> {
    /// The file's name without its folders.
    pub fn name(&self) -> &'a str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }

    /// Index of the unit of that `EXTNAME` (any case).
    pub(super) fn hdu_named(&self, name: &str) -> Option<usize> {
        self.hdus.iter().position(|h| h.is_named(name))
    }
}

/// The table beside a file, as expressions see it.
#[derive(Clone, Copy)]
pub(super) struct SidecarScope<'a> {
    /// What expressions call it.
    pub(super) name: &'a str,
    /// Its file's name.
    pub(super) file: &'a str,
    /// The table, and the row of the image; `None` where either is missing.
    pub(super) row: Option<(&'a Sidecar, usize)>,
}

/// The scope of expressions about one image of a file.
pub(super) struct FileScope<'a> {
    pub(super) file: ExposureFile<'a>,
    /// Index of the image's unit.
    pub(super) image: usize,
    /// Centre scale (arcsec) and position (degrees), once the WCS is known.
    pub(super) wcs: Option<(f64, f64, f64)>,
    pub(super) sidecar: Option<SidecarScope<'a>>,
    pub(super) warnings: RefCell<Vec<String>>,
}

impl<'a> FileScope<'a> {
    pub(super) fn new(file: ExposureFile<'a>, image: usize) -> Self {
        Self { file, image, wcs: None, sidecar: None, warnings: RefCell::default() }
    }

    pub(super) fn set_wcs(&mut self, wcs: &Wcs, shape: (usize, usize)) {
        let (x, y) = ((shape.1 as f64 - 1.0) / 2.0, (shape.0 as f64 - 1.0) / 2.0);
        if let (Some(scale), Some(sky)) = (wcs.pixel_scale(x, y), wcs.pixel_to_sky(x, y)) {
            self.wcs = Some((scale, sky.lon.to_degrees(), sky.lat.to_degrees()));
        }
    }

    fn header(&self, index: usize) -> Option<&'a Header> {
        self.file.hdus.get(index).map(|h| &h.header)
    }

    fn in_header(&self, index: usize, label: &str, keyword: &str) -> Result<Value, EvaluateError> {
        let Some(header) = self.header(index) else {
            return Err(missing(format!("header-data unit {index} ({label})"), None));
        };
        let near = || nearest(keyword, header.cards().iter().map(|c| c.keyword.as_str()));
        header
            .get(keyword)
            .and_then(from_header)
            .ok_or_else(|| missing(format!("keyword `{keyword}` ({label} header)"), near()))
    }

    fn in_sidecar(&self, column: &str) -> Result<Value, EvaluateError> {
        let Some(SidecarScope { name, file, row }) = self.sidecar else {
            return Err(missing(format!("column `{column}`"), None));
        };
        let Some((table, row)) = row else {
            return Err(missing(format!("the row of this image in {file} (`{name}.{column}`)"), None));
        };
        match table.cell(row, column) {
            Some("") => Err(missing(format!("the value of `{name}.{column}` in row {} of {file}", row + 1), None)),
            Some(text) => Ok(Value::Text(text.to_owned())),
            None => {
                let near = nearest(column, table.columns().iter().map(String::as_str));
                Err(missing(format!("column `{column}` of {file}"), near))
            }
        }
    }

    fn of_file(&self, name: &str) -> Result<Value, EvaluateError> {
        let file = self.file.name();
        Ok(match name {
            "name" => Value::Text(file.to_owned()),
            "stem" => Value::Text(file.split('.').next().unwrap_or(file).to_owned()),
            "hdu" => Value::Int(self.image as i64),
            _ => return Err(missing(format!("`file.{name}` (there are file.name, file.stem, file.hdu)"), None)),
        })
    }

    fn of_wcs(&self, name: &str) -> Result<Value, EvaluateError> {
        match (name, self.wcs) {
            ("pixel_scale", Some((scale, ..))) => Ok(Value::Real(scale)),
            ("ra", Some((_, ra, _))) => Ok(Value::Real(ra)),
            ("dec", Some((.., dec))) => Ok(Value::Real(dec)),
            ("pixel_scale" | "ra" | "dec", None) => Err(missing("the WCS at the image's centre".to_owned(), None)),
            _ => Err(missing(format!("`wcs.{name}` (there are wcs.pixel_scale, wcs.ra, wcs.dec)"), None)),
        }
    }
}

impl Scope for FileScope<'_> {
    fn look_up(&self, scope: Option<&str>, name: &str) -> Result<Value, EvaluateError> {
        match scope {
            None => match self.in_header(self.image, "image", name) {
                Err(in_image) if self.image != 0 => self.in_header(0, "primary", name).map_err(|in_primary| {
                    let near = [in_image, in_primary].into_iter().find_map(|e| match e {
                        EvaluateError::Missing { near, .. } => near,
                        _ => None,
                    });
                    missing(format!("keyword `{name}` (image and primary header)"), near)
                }),
                found => found,
            },
            Some("file") => self.of_file(name),
            Some("wcs") => self.of_wcs(name),
            Some("primary") => self.in_header(0, "primary", name),
            Some("image") => self.in_header(self.image, "image", name),
            Some(part) if self.sidecar.is_some_and(|table| table.name == part) => self.in_sidecar(name),
            Some(part) => match part.strip_prefix("hdu").and_then(|digits| digits.parse().ok()) {
                Some(index) => self.in_header(index, part, name),
                None => match self.file.hdu_named(part) {
                    Some(index) => self.in_header(index, part, name),
                    None => Err(missing(format!("header-data unit `{part}` (for `{part}.{name}`)"), None)),
                },
            },
        }
    }

    fn has_hdu(&self, name: &str) -> bool {
        self.file.hdu_named(name).is_some()
    }

    fn warn(&self, message: String) {
        self.warnings.borrow_mut().push(message);
    }
}

fn missing(what: String, near: Option<String>) -> EvaluateError {
    EvaluateError::Missing { what, near }
}
