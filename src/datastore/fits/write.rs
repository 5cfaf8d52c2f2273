//! Exposures and coadds as FITS files in the manner of an LSST `calexp`.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use super::card::{is_structural, is_wcs};
use super::writer::FitsWriter;
use crate::dataset::{Coadd, Exposure, MaskPlanes};
use crate::datastore::error::{DatastoreError, Result};
use crate::datastore::local::write_new;
use crate::wcs::{Header, PixelBox, Wcs};

/// Writes an exposure as a new FITS file: a primary header with the metadata and `ZP` (magnitude of one count), and the
/// extensions `IMAGE` (f32), `MASK` (i32, planes named by `MP_` keywords) and `VARIANCE` (f32).
///
/// The WCS in each extension counts pixels from the extension's own first one; `LTV1`, `LTV2` give the way back to the
/// parent's pixels (`parent = local - LTV`, zero-based), and `BBOX_X0`, `BBOX_Y0` in the primary header say the same.
///
/// # Errors
/// [`DatastoreError::AlreadyExists`], [`DatastoreError::Io`], [`DatastoreError::Inconsistent`] when the arrays are not of the shape of
/// the box. A file is there whole or not at all.
pub fn write_fits_exposure(path: &Path, exposure: &Exposure) -> Result<()> {
    check_shapes(
        path,
        exposure.bbox,
        &[("image", exposure.image.dim()), ("mask", exposure.mask.dim()), ("variance", exposure.variance.dim())],
    )?;
    let local = local_wcs(&exposure.wcs, exposure.bbox);
    write_new(path, |temporary| {
        fill(temporary, |writer| {
            writer.primary(&primary(&exposure.metadata, exposure.zero_point, exposure.bbox))?;
            writer.image_f32("IMAGE", &local, &exposure.image)?;
            writer.image_i32("MASK", &with_planes(&local, &exposure.mask_planes), &exposure.mask)?;
            writer.image_f32("VARIANCE", &local, &exposure.variance)
        })
    })
}

/// Writes a coadd as a new FITS file: as [`write_fits_exposure`], with `N_IMAGE` (u16), `WEIGHT` (f32) and the binary
/// table `INPUTS` in addition.
///
/// # Errors
/// As [`write_fits_exposure`], and for an `inputs` column that FITS cannot hold.
pub fn write_fits_coadd(path: &Path, coadd: &Coadd) -> Result<()> {
    check_shapes(
        path,
        coadd.bbox,
        &[
            ("image", coadd.image.dim()),
            ("mask", coadd.mask.dim()),
            ("variance", coadd.variance.dim()),
            ("n_image", coadd.n_image.dim()),
            ("weight", coadd.weight.dim()),
        ],
    )?;
    let local = local_wcs(&coadd.wcs, coadd.bbox);
    write_new(path, |temporary| {
        fill(temporary, |writer| {
            writer.primary(&primary(&coadd.metadata, coadd.zero_point, coadd.bbox))?;
            writer.image_f32("IMAGE", &local, &coadd.image)?;
            writer.image_i32("MASK", &with_planes(&local, &coadd.mask_planes), &coadd.mask)?;
            writer.image_f32("VARIANCE", &local, &coadd.variance)?;
            writer.image_u16("N_IMAGE", &local, &coadd.n_image)?;
            writer.image_f32("WEIGHT", &local, &coadd.weight)?;
            writer.table("INPUTS", &Header::default(), &coadd.inputs)
        })
    })
}

fn fill(path: &Path, write: impl FnOnce(&mut FitsWriter<BufWriter<File>>) -> io::Result<()>) -> Result<()> {
    let written = File::options().write(true).open(path).and_then(|file| {
        let mut writer = FitsWriter::new(BufWriter::with_capacity(1 << 23, file));
        write(&mut writer)?;
        writer.finish().map(drop)
    });
    written.map_err(|e| DatastoreError::io("write", path, e))
}

/// Every array must have the shape of the box.
pub(crate) fn check_shapes(path: &Path, bbox: PixelBox, arrays: &[(&str, (usize, usize))]) -> Result<()> {
    for (name, shape) in arrays {
        if *shape != bbox.shape() {
            let (rows, columns) = shape;
            let reason = format!("`{name}` is {columns}x{rows}, the box is {bbox}");
            return Err(DatastoreError::inconsistent(path, reason));
        }
    }
    Ok(())
}

fn primary(metadata: &Header, zero_point: f64, bbox: PixelBox) -> Header {
    let mut header = metadata.clone();
    header.retain(|card| !is_structural(&card.keyword) && !is_wcs(&card.keyword));
    header.set_commented("ZP", zero_point, "[mag] magnitude of one count");
    header.set_commented("BBOX_X0", bbox.x0, "[pixel] first column in the parent, zero-based");
    header.set_commented("BBOX_Y0", bbox.y0, "[pixel] first row in the parent, zero-based");
    header
}

/// The WCS in pixels counted from the first one of the box.
fn local_wcs(wcs: &Wcs, bbox: PixelBox) -> Header {
    let mut header = wcs.to_header();
    header.retain(|card| !is_structural(&card.keyword));
    for (keyword, ltv, start) in [("CRPIX1", "LTV1", bbox.x0), ("CRPIX2", "LTV2", bbox.y0)] {
        if let Ok(reference) = header.f64(keyword) {
            header.set(keyword, reference - f64::from(start));
        }
        header.set_commented(ltv, -f64::from(start), "[pixel] local = parent + LTV");
    }
    header
}

fn with_planes(local: &Header, planes: &MaskPlanes) -> Header {
    let mut header = local.clone();
    for (name, bit) in planes.iter() {
        header.set(&format!("MP_{name}"), i64::from(bit));
    }
    header
}
