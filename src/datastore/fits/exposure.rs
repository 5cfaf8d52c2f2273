//! A FITS file, by its [`FitsLayout`], as an [`Exposure`].

use std::path::{Path, PathBuf};

use ndarray::{Array2, Zip};

use super::card::{is_structural, is_wcs};
use super::file::{FitsFile, Hdu};
use crate::dataset::{Exposure, FitsLayout, FitsPlane, FitsVariance, MaskMeaning, MaskPlanes};
use crate::datastore::error::{DatastoreError, Result};
use crate::wcs::{Header, PixelBox, Wcs};

/// A FITS exposure whose planes are found by a layout; each part is read on its own.
///
/// The parent plane is the FITS image itself: its first pixel is (0, 0), `LTV` and `LTM` keywords are not looked at, and
/// the WCS is that of the header as it stands.
pub(crate) struct FitsExposure<'a> {
    path: &'a Path,
    layout: &'a FitsLayout,
    main: FitsFile,
    image: Hdu,
}

impl<'a> FitsExposure<'a> {
    pub(crate) fn open(path: &'a Path, layout: &'a FitsLayout) -> Result<Self> {
        let main = FitsFile::open(&plane_path(path, &layout.image)?)?;
        let image = main.hdu(layout.image.hdu)?;
        Ok(Self { path, layout, main, image })
    }

    pub(crate) fn bbox(&self) -> Result<PixelBox> {
        self.main.box_of(&self.image)
    }

    /// The box that a subset reads, checked.
    pub(crate) fn box_of(&self, subset: Option<PixelBox>) -> Result<PixelBox> {
        self.main.subset_of(&self.image, subset)?;
        subset.map_or_else(|| self.bbox(), Ok)
    }

    /// The pixels as they are in the file.
    fn raw_image(&self, subset: Option<PixelBox>) -> Result<Array2<f32>> {
        self.main.read_f32_of(&self.image, subset)
    }

    pub(crate) fn image(&self, subset: Option<PixelBox>) -> Result<Array2<f32>> {
        let mut image = self.raw_image(subset)?;
        self.subtract_background(&mut image);
        Ok(image)
    }

    fn subtract_background(&self, image: &mut Array2<f32>) {
        let background = self.layout.background as f32;
        if background != 0.0 {
            image.mapv_inplace(|v| v - background);
        }
    }

    /// A plane of the size of the image.
    fn plane<T>(
        &self,
        plane: &FitsPlane,
        subset: Option<PixelBox>,
        read: impl Fn(&FitsFile, &Hdu, Option<PixelBox>) -> Result<T>,
    ) -> Result<(T, FitsFile, Hdu)> {
        let file = FitsFile::open(&plane_path(self.path, plane)?)?;
        let hdu = file.hdu(plane.hdu)?;
        let (held, wanted) = (file.box_of(&hdu)?, self.bbox()?);
        if held != wanted {
            let message = format!("holds {held}, the image {wanted}: mask, variance and image must have one size");
            return Err(DatastoreError::fits(file.path(), plane.hdu, message));
        }
        let pixels = read(&file, &hdu, subset)?;
        Ok((pixels, file, hdu))
    }

    /// The variance where the file holds it; `None` where it is modelled from the image.
    fn stored_variance(&self, subset: Option<PixelBox>) -> Result<Option<Array2<f32>>> {
        match &self.layout.variance {
            FitsVariance::Plane(plane) => Ok(Some(self.plane(plane, subset, FitsFile::read_f32_of)?.0)),
            FitsVariance::Inverse(plane) => {
                let mut inverse = self.plane(plane, subset, FitsFile::read_f32_of)?.0;
                inverse.mapv_inplace(|w| if w > 0.0 { w.recip() } else { f32::NAN });
                Ok(Some(inverse))
            }
            FitsVariance::SkyAndGain { .. } => Ok(None),
        }
    }

    /// The variance by the model of sky noise and photon noise; `image` is without its sky.
    fn modelled_variance(&self, image: &Array2<f32>) -> Array2<f32> {
        let FitsVariance::SkyAndGain { sky_variance, gain } = self.layout.variance else {
            return Array2::from_elem(image.raw_dim(), f32::NAN);
        };
        let (sky, per_count) = (sky_variance as f32, gain.recip() as f32);
        image.mapv(|v| if v.is_nan() { f32::NAN } else { sky + v.max(0.0) * per_count })
    }

    pub(crate) fn variance(&self, subset: Option<PixelBox>) -> Result<Array2<f32>> {
        match self.stored_variance(subset)? {
            Some(variance) => Ok(variance),
            None => Ok(self.modelled_variance(&self.image(subset)?)),
        }
    }

    fn mask_with(
        &self,
        subset: Option<PixelBox>,
        raw: &Array2<f32>,
        stored_variance: Option<&Array2<f32>>,
    ) -> Result<(Array2<i32>, MaskPlanes)> {
        let (mut mask, mut planes) = match &self.layout.mask {
            Some(layout) => {
                let (mask, file, hdu) = self.plane(&layout.plane, subset, FitsFile::read_i32_of)?;
                match &layout.meaning {
                    MaskMeaning::Planes => (mask, named_planes(&file.header_of(&hdu)?)),
                    MaskMeaning::Codes(codes) => by_codes(mask, codes),
                    MaskMeaning::Bits(bits) => by_bits(&mask, bits),
                }
            }
            None => (Array2::zeros(raw.raw_dim()), MaskPlanes::default()),
        };
        let full = || DatastoreError::fits(self.path, self.layout.image.hdu, "all 31 mask bits are taken");
        let mut bit = |name| planes.add(name).map(|bit| 1_i32 << bit).ok_or_else(full);
        let (no_data, bad, saturated) = (bit("NO_DATA")?, bit("BAD")?, bit("SAT")?);
        let own = self.layout.mask.is_none();
        let high = self.layout.saturation.filter(|_| own).unwrap_or(f64::INFINITY) as f32;
        let low = (self.layout.low.filter(|_| own).unwrap_or(f64::NEG_INFINITY) + self.layout.background) as f32;
        let high = if high.is_finite() { high } else { f32::NAN };
        let flag = |set: bool, bits: i32| if set { bits } else { 0 };
        // A comparison with NaN is false: no limit flags nothing.
        Zip::from(&mut mask).and(raw).for_each(|mask, v| {
            *mask |= flag(v.is_nan(), no_data) | flag(*v >= high, saturated) | flag(*v < low, bad);
        });
        if let (FitsVariance::Inverse(_), Some(variance)) = (&self.layout.variance, stored_variance) {
            Zip::from(&mut mask).and(variance).for_each(|mask, v| *mask |= flag(v.is_nan(), bad));
        }
        Ok((mask, planes))
    }

    pub(crate) fn mask(&self, subset: Option<PixelBox>) -> Result<(Array2<i32>, MaskPlanes)> {
        let raw = self.raw_image(subset)?;
        let variance = match self.layout.variance {
            FitsVariance::Inverse(_) => self.stored_variance(subset)?,
            _ => None,
        };
        self.mask_with(subset, &raw, variance.as_ref())
    }

    /// Primary header and image header as one; the image's records win.
    fn header(&self) -> Result<Header> {
        let own = self.main.header_of(&self.image)?;
        if self.image.index == 0 {
            return Ok(own);
        }
        let mut header = self.main.header(0)?;
        header.retain(|card| own.cards().iter().all(|c| c.keyword != card.keyword));
        own.cards().iter().for_each(|card| header.push(card.clone()));
        Ok(header)
    }

    fn wcs_of(&self, header: &Header) -> Result<Wcs> {
        let place = || format!("HDU {}", self.image.index);
        let mut wcs = header.clone();
        wcs.retain(|card| !is_structural(&card.keyword));
        Wcs::from_header(&wcs).map_err(|e| DatastoreError::wcs(self.main.path(), place(), e))
    }

    pub(crate) fn wcs(&self) -> Result<Wcs> {
        self.wcs_of(&self.header()?)
    }

    pub(crate) fn metadata(&self) -> Result<Header> {
        let mut header = self.header()?;
        header.retain(|card| !is_structural(&card.keyword) && !is_wcs(&card.keyword));
        Ok(header)
    }

    pub(crate) fn exposure(&self, subset: Option<PixelBox>) -> Result<Exposure> {
        let mut image = self.raw_image(subset)?;
        let variance = self.stored_variance(subset)?;
        let (mask, mask_planes) = self.mask_with(subset, &image, variance.as_ref())?;
        self.subtract_background(&mut image);
        let variance = variance.unwrap_or_else(|| self.modelled_variance(&image));
        let mut metadata = self.header()?;
        let wcs = self.wcs_of(&metadata)?;
        metadata.retain(|card| !is_structural(&card.keyword) && !is_wcs(&card.keyword));
        let bbox = self.box_of(subset)?;
        Ok(Exposure { bbox, image, mask, variance, mask_planes, wcs, zero_point: self.layout.zero_point, metadata })
    }
}

/// The planes that a mask's header names: `MP_BAD = 0`.
fn named_planes(header: &Header) -> MaskPlanes {
    MaskPlanes::new(header.cards().iter().filter_map(|card| {
        let name = card.keyword.strip_prefix("MP_")?;
        Some((name.to_owned(), u8::try_from(card.value.as_i64()?).ok()?))
    }))
}

fn by_codes(mask: Array2<i32>, codes: &[(i64, Vec<String>)]) -> (Array2<i32>, MaskPlanes) {
    let mut planes = MaskPlanes::default();
    let mut table: Vec<(i64, i32)> = Vec::with_capacity(codes.len());
    for (code, names) in codes {
        let bits = names.iter().filter_map(|name| planes.add(name)).fold(0, |all, bit| all | 1 << bit);
        table.push((*code, bits));
    }
    let meaning = |code: i32| table.iter().find(|(c, _)| *c == i64::from(code)).map_or(0, |(_, bits)| *bits);
    let small: [i32; 256] = std::array::from_fn(|code| meaning(code as i32));
    let mask = mask.mapv_into(|code| match usize::try_from(code).ok().and_then(|c| small.get(c)) {
        Some(bits) => *bits,
        None => meaning(code),
    });
    (mask, planes)
}

fn by_bits(mask: &Array2<i32>, bits: &[(u8, String)]) -> (Array2<i32>, MaskPlanes) {
    let mut planes = MaskPlanes::default();
    let pairs: Vec<(i32, i32)> = bits
        .iter()
        .filter(|(bit, _)| *bit < 32)
        .filter_map(|(bit, name)| Some((1_i32.wrapping_shl((*bit).into()), 1_i32 << planes.add(name)?)))
        .collect();
    let meaning = |v: i32| pairs.iter().filter(|(from, _)| v & from != 0).fold(0, |all, (_, to)| all | to);
    (mask.mapv(|v| if v == 0 { 0 } else { meaning(v) }), planes)
}

/// The file of a plane: the dataset's own, or one beside it.
fn plane_path(path: &Path, plane: &FitsPlane) -> Result<PathBuf> {
    let Some(name) = &plane.file else { return Ok(path.to_owned()) };
    if name.is_empty() || name == ".." || name.contains(['/', '\0']) {
        let reason = "the file of a plane lies beside the image's: give its name without a folder";
        return Err(DatastoreError::BadPath { path: name.clone(), reason });
    }
    Ok(path.with_file_name(name))
}

/// Reads a FITS exposure by its layout: all of it, or the `subset` of it, in the image's zero-based pixels.
///
/// The background is subtracted from the image. NaN pixels are flagged `NO_DATA`. Variances that are not finite or not
/// positive are kept as they are; an inverse variance of zero or less gives NaN and the flag `BAD`. Planes `NO_DATA`,
/// `BAD` and `SAT` are always there. `metadata` holds the primary header and the image's, without the keywords of the
/// file's structure and of the WCS.
///
/// # Errors
/// [`DatastoreError::NotFound`] for a missing file or sibling, [`DatastoreError::NoSuchHdu`], [`DatastoreError::Fits`] for a unit that
/// is no image or of another size, [`DatastoreError::OutsideImage`], [`DatastoreError::Damaged`], [`DatastoreError::Wcs`] for a
/// header without a WCS.
pub fn read_fits_exposure(path: &Path, layout: &FitsLayout, subset: Option<PixelBox>) -> Result<Exposure> {
    FitsExposure::open(path, layout)?.exposure(subset)
}
