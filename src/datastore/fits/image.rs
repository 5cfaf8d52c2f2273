//! Pixels of an image extension: plain ones through the memory map, tile-compressed ones by the tiles that a box
//! touches; the two rare compressions that are not decoded here go through cfitsio.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ndarray::Array2;

use super::file::{FitsFile, Hdu, HduKind};
use super::tiles::Tiles;
use crate::datastore::error::{DatastoreError, Result};
use crate::datastore::mapped::{ByteOrder, Pixel, Window, read_window};
use crate::wcs::PixelBox;

/// cfitsio shares state between open files unless it was built to be reentrant.
static CFITSIO: Mutex<()> = Mutex::new(());

impl FitsFile {
    /// The box of a two-dimensional image, its first pixel at (0, 0).
    ///
    /// # Errors
    /// [`DatastoreError::NoSuchHdu`], [`DatastoreError::Damaged`]; [`DatastoreError::Fits`] when the unit holds no image of two
    /// dimensions (axes of length 1 before them are ignored).
    pub fn image_box(&self, index: usize) -> Result<PixelBox> {
        self.box_of(&self.hdu(index)?)
    }

    /// Pixels as `f32`, scaled by `BSCALE` and `BZERO`; `BLANK` pixels of integer images are NaN. `subset` is in the
    /// image's own pixels, zero-based; `None`: all.
    ///
    /// # Errors
    /// As [`image_box`](Self::image_box), and [`DatastoreError::OutsideImage`].
    pub fn read_f32(&self, index: usize, subset: Option<PixelBox>) -> Result<Array2<f32>> {
        self.read_f32_of(&self.hdu(index)?, subset)
    }

    /// Pixels as `i32`, for masks. Integers of 64 bits keep their low 32; reals are rounded.
    ///
    /// # Errors
    /// As [`read_f32`](Self::read_f32).
    pub fn read_i32(&self, index: usize, subset: Option<PixelBox>) -> Result<Array2<i32>> {
        self.read_i32_of(&self.hdu(index)?, subset)
    }

    pub(super) fn box_of(&self, hdu: &Hdu) -> Result<PixelBox> {
        let wrong = |message: String| DatastoreError::fits(self.path(), hdu.index, message);
        let (HduKind::Image { shape, .. } | HduKind::CompressedImage { shape, .. }) = &hdu.kind else {
            let found = match &hdu.kind {
                HduKind::Table { extension } => format!("is a {extension}"),
                _ => "has no pixels".to_owned(),
            };
            return Err(wrong(format!("{found}, not an image; name the HDU that holds the pixels")));
        };
        let [leading @ .., height, width] = shape.as_slice() else {
            return Err(wrong(format!("has {} dimension(s), an image needs 2", shape.len())));
        };
        if leading.iter().any(|n| *n != 1) {
            return Err(wrong(format!("has {} dimensions, an image needs 2", shape.len())));
        }
        let side = |n: &u64| i32::try_from(*n).ok().filter(|n| *n > 0).map(i32::cast_unsigned);
        match (side(width), side(height)) {
            (Some(width), Some(height)) => Ok(PixelBox::new(0, 0, width, height)),
            _ => Err(wrong(format!("is {width} by {height} pixels, which is no image that can be read"))),
        }
    }

    pub(super) fn subset_of(&self, hdu: &Hdu, subset: Option<PixelBox>) -> Result<(PixelBox, Window)> {
        let held = self.box_of(hdu)?;
        let wanted = subset.unwrap_or(held);
        if !held.contains_box(wanted) {
            let path = self.path().to_owned();
            return Err(DatastoreError::OutsideImage { path, place: format!("HDU {}", hdu.index), wanted, held });
        }
        let (height, width) = wanted.shape();
        let start = |v: i32| if wanted.is_empty() { 0 } else { v.unsigned_abs() as usize };
        Ok((held, Window { x: start(wanted.x0), y: start(wanted.y0), width, height }))
    }

    pub(super) fn read_f32_of(&self, hdu: &Hdu, subset: Option<PixelBox>) -> Result<Array2<f32>> {
        let (held, window) = self.subset_of(hdu, subset)?;
        let HduKind::Image { bitpix, .. } = hdu.kind else {
            return self.tiles(hdu, held, window, |v| v.map_or(f32::NAN, |v| v as f32));
        };
        let (scale, zero) = (hdu.scale, hdu.zero);
        let unscaled = hdu.is_unscaled();
        let integer = |v: i64| {
            if hdu.blank == Some(v) { f32::NAN } else { (v as f64 * scale + zero) as f32 }
        };
        let real = |v: f64| (v * scale + zero) as f32;
        Ok(match bitpix {
            -32 if unscaled => self.plain(hdu, held, window)?,
            -32 => self.plain::<f32>(hdu, held, window)?.mapv_into(|v| real(f64::from(v))),
            -64 => self.plain::<f64>(hdu, held, window)?.mapv(real),
            8 => self.plain::<u8>(hdu, held, window)?.mapv(|v| integer(v.into())),
            16 => self.plain::<i16>(hdu, held, window)?.mapv(|v| integer(v.into())),
            32 => self.plain::<i32>(hdu, held, window)?.mapv(|v| integer(v.into())),
            _ => self.plain::<i64>(hdu, held, window)?.mapv(integer),
        })
    }

    pub(super) fn read_i32_of(&self, hdu: &Hdu, subset: Option<PixelBox>) -> Result<Array2<i32>> {
        let (held, window) = self.subset_of(hdu, subset)?;
        let HduKind::Image { bitpix, .. } = hdu.kind else {
            return self.tiles(hdu, held, window, |v| v.map_or(0, |v| v.round() as i64 as i32));
        };
        let real = |v: f64| (v * hdu.scale + hdu.zero).round() as i64 as i32;
        let unscaled = hdu.is_unscaled();
        let integer = |v: i64| if unscaled { v as i32 } else { real(v as f64) };
        Ok(match bitpix {
            8 => self.plain::<u8>(hdu, held, window)?.mapv(|v| integer(v.into())),
            16 => self.plain::<i16>(hdu, held, window)?.mapv(|v| integer(v.into())),
            32 if unscaled => self.plain(hdu, held, window)?,
            32 => self.plain::<i32>(hdu, held, window)?.mapv(|v| integer(v.into())),
            64 => self.plain::<i64>(hdu, held, window)?.mapv(integer),
            -32 => self.plain::<f32>(hdu, held, window)?.mapv(|v| real(v.into())),
            _ => self.plain::<f64>(hdu, held, window)?.mapv(real),
        })
    }

    fn plain<T: Pixel>(&self, hdu: &Hdu, held: PixelBox, window: Window) -> Result<Array2<T>> {
        let place = || format!("the pixels of HDU {}", hdu.index);
        // A file that ends early is damaged wherever it is read.
        self.file.range(hdu.data_start, hdu.data_len, place)?;
        read_window(&self.file, hdu.data_start, held.width as usize, window, ByteOrder::Big, place)
    }

    /// Compressed pixels: by our own decoder, which trusts nothing, or else by cfitsio.
    fn tiles<T>(
        &self,
        hdu: &Hdu,
        held: PixelBox,
        window: Window,
        pixel: impl Fn(Option<f64>) -> T + Sync,
    ) -> Result<Array2<T>>
    where
        T: Copy + Default + Send,
        Vec<T>: fitsio::images::ReadImage,
    {
        match Tiles::new(self, hdu, held.shape())? {
            Some(tiles) => tiles.read(window, pixel),
            None => self.read_by_cfitsio(hdu, window),
        }
    }

    fn read_by_cfitsio<T>(&self, hdu: &Hdu, window: Window) -> Result<Array2<T>>
    where
        T: Clone + Default,
        Vec<T>: fitsio::images::ReadImage,
    {
        let shape = (window.height, window.width);
        let place = || format!("the compressed pixels of HDU {}", hdu.index);
        self.file.range(hdu.data_start, hdu.data_len, place)?;
        if window.width == 0 || window.height == 0 {
            return Ok(Array2::default(shape));
        }
        let failed = |e: fitsio::errors::Error| DatastoreError::damaged(self.path(), place(), e.to_string());
        let _lock = CFITSIO.lock().unwrap_or_else(PoisonError::into_inner);
        let (path, _open) = plain_name(self.path())?;
        let mut file = fitsio::FitsFile::open(&path).map_err(failed)?;
        let table = file.hdu(hdu.index).map_err(failed)?;
        let (columns, rows) = (window.x..window.x + window.width, window.y..window.y + window.height);
        // The axes of a region come in the order of FITS, fastest first.
        let pixels: Vec<T> = table.read_region(&mut file, &[&columns, &rows]).map_err(failed)?;
        Array2::from_shape_vec(shape, pixels)
            .map_err(|_| DatastoreError::damaged(self.path(), place(), "another number of pixels than its header says"))
    }
}

/// A name that cfitsio takes as it is: in others it reads brackets as filters and would run them.
fn plain_name(path: &Path) -> Result<(PathBuf, Option<std::fs::File>)> {
    use std::os::fd::AsRawFd;

    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-".contains(b);
    let text = path.as_os_str().as_encoded_bytes();
    if text.iter().all(plain) && !text.starts_with(b"-") && !text.windows(2).any(|w| w == b"//") {
        return Ok((path.to_owned(), None));
    }
    let file = std::fs::File::open(path).map_err(|e| DatastoreError::io("open", path, e))?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())), Some(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_decode_as_cfitsio_decodes_them() {
        let folder = std::env::var_os("BUNTER_IMAGES")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/images"), PathBuf::from);
        let path = folder.join("vircam_h/image_1.fits");
        let Ok(file) = FitsFile::open(&path) else {
            println!("skipped: no real image at {} (set BUNTER_IMAGES)", path.display());
            return;
        };
        let hdu = file.hdu(1).unwrap();
        let (_, window) = file.subset_of(&hdu, None).unwrap();
        let reference: Array2<f32> = file.read_by_cfitsio(&hdu, window).unwrap();
        let own = file.read_f32(1, None).unwrap();
        assert_eq!(own.mapv(f32::to_bits), reference.mapv(f32::to_bits));
    }
}
