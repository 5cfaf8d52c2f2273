//! Reading a composite through the HDF5 library: for files that another program has changed, and for tables.
//!
//! The library runs one call at a time: its lock is taken inside the `hdf5` crate, call by call.

use std::path::Path;

use hdf5::types::FixedAscii;
use hdf5::{H5Type, Hyperslab};
use ndarray::{Array2, s};

use super::index::Index;
use super::write::VERSION;
use crate::dataset::{MaskPlanes, StorageClass};
use crate::datastore::error::{DatastoreError, Result};
use crate::datastore::fits::CARD;
use crate::datastore::mapped::Window;
use crate::wcs::PixelBox;

pub(crate) fn open(path: &Path) -> Result<hdf5::File> {
    // The library's own message for a missing file is a page long.
    std::fs::metadata(path).map_err(|e| DatastoreError::io("open", path, e))?;
    hdf5::File::with_options()
        .with_fapl(|p| p.file_locking(false))
        .open(path)
        .map_err(|e| DatastoreError::hdf5(path, "/", &e))
}

pub(crate) fn attribute<T: H5Type>(path: &Path, object: &hdf5::Location, place: &str, name: &str) -> Result<T> {
    let read = object.attr(name).and_then(|a| a.read_scalar());
    read.map_err(|e| DatastoreError::hdf5(path, format!("{place} attribute {name}"), &e))
}

/// The storage class of a file of Bunter's.
pub(crate) fn class_of(path: &Path, file: &hdf5::File) -> Result<StorageClass> {
    let format: FixedAscii<32> = attribute(path, file, "/", "format")?;
    let version: u32 = attribute(path, file, "/", "version")?;
    if version > VERSION {
        let what = format!("version {version} of its format; this program reads up to {VERSION}: use a newer one");
        return Err(DatastoreError::unsupported(path, what));
    }
    let class = StorageClass::ALL.into_iter().find(|class| super::format_name(*class) == format);
    class.ok_or_else(|| {
        DatastoreError::unsupported(path, format!("no composite of Bunter's (its format is `{format}`)"))
    })
}

pub(crate) fn expect_class(path: &Path, file: &hdf5::File, wanted: StorageClass) -> Result<()> {
    let found = class_of(path, file)?;
    if found == wanted {
        return Ok(());
    }
    Err(DatastoreError::WrongStorageClass {
        path: path.to_owned(),
        wanted: wanted.to_string(),
        found: found.to_string(),
    })
}

/// Number of elements, when the file can hold as many: a hostile size must not reach the allocator.
pub(crate) fn checked_len(path: &Path, name: &str, dataset: &hdf5::Dataset) -> Result<usize> {
    let len = dataset.shape().iter().try_fold(1_usize, |n, side| n.checked_mul(*side));
    let size = dataset.dtype().map_or(1, |t| t.size());
    let file = std::fs::metadata(path).map_or(0, |m| m.len());
    // gzip shrinks to a thousandth at best.
    let limit = file.saturating_mul(if dataset.is_chunked() { 1100 } else { 1 });
    len.filter(|n| n.checked_mul(size).is_some_and(|bytes| bytes as u64 <= limit)).ok_or_else(|| {
        DatastoreError::damaged(
            path,
            name,
            format!("truncated: its shape {:?} needs more bytes than the file has", dataset.shape()),
        )
    })
}

/// Everything but the arrays, which are left in the library's hands.
pub(crate) fn read_index(path: &Path, file: &hdf5::File) -> Result<Index> {
    let class = class_of(path, file)?;
    let number = |name| attribute::<i32>(path, file, "/", name);
    let side = |name| attribute::<u32>(path, file, "/", name);
    let bbox = PixelBox::new(number("x0")?, number("y0")?, side("width")?, side("height")?);
    let zero_point = attribute(path, file, "/", "zero_point")?;
    let cards = |name: &str| -> Result<Vec<u8>> {
        let failed = |e: &hdf5::Error| DatastoreError::hdf5(path, name, e);
        let dataset = file.dataset(name).map_err(|e| failed(&e))?;
        checked_len(path, name, &dataset)?;
        let cards = dataset.read_raw::<FixedAscii<CARD>>().map_err(|e| failed(&e))?;
        let mut bytes = Vec::with_capacity(CARD * cards.len());
        for card in cards {
            bytes.extend_from_slice(card.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(CARD), b' ');
        }
        Ok(bytes)
    };
    let (wcs, metadata) = if class == StorageClass::Exposure || class == StorageClass::Coadd {
        (cards("wcs")?, cards("metadata")?)
    } else {
        (Vec::new(), Vec::new())
    };
    let mask = file.dataset("mask").map_err(|e| DatastoreError::hdf5(path, "mask", &e))?;
    let mut planes = Vec::new();
    for name in mask.attr_names().map_err(|e| DatastoreError::hdf5(path, "mask", &e))? {
        if let Some(plane) = name.strip_prefix("MP_") {
            planes.push((plane.to_owned(), attribute::<u8>(path, &mask, "mask", &name)?));
        }
    }
    planes.sort_by_key(|(_, bit)| *bit);
    Ok(Index { class, bbox, zero_point, planes: MaskPlanes::new(planes), wcs, metadata, arrays: Vec::new() })
}

/// A window of an array, by hyperslab.
pub(crate) fn read_array<T: H5Type>(
    path: &Path,
    file: &hdf5::File,
    name: &str,
    bbox: PixelBox,
    window: Window,
) -> Result<Array2<T>> {
    let failed = |e: &hdf5::Error| DatastoreError::hdf5(path, name, e);
    let dataset = file.dataset(name).map_err(|e| failed(&e))?;
    let (rows, columns) = bbox.shape();
    if dataset.shape() != [rows, columns] {
        let reason = format!("its shape is {:?}, the box is {bbox}", dataset.shape());
        return Err(DatastoreError::damaged(path, name, reason));
    }
    checked_len(path, name, &dataset)?;
    let slab = s![window.y..window.y + window.height, window.x..window.x + window.width];
    let slab = Hyperslab::try_new(slab).map_err(|e| failed(&e))?;
    dataset.read_slice_2d(slab).map_err(|e| failed(&e))
}
