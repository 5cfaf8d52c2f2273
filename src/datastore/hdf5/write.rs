//! Exposures and coadds as HDF5 composites.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use arrow::record_batch::RecordBatch;
use hdf5::plist::dataset_create::{AllocTime, FillTime};
use hdf5::types::{FixedAscii, VarLenUnicode};
use hdf5::{Dataset, DatasetBuilder, H5Type};
use ndarray::{Array2, CowArray, Ix2};

use super::composite::unpack;
use super::index::{ArrayEntry, Index, PixelType, Place};
use super::options::StorageOptions;
use super::table::write_columns;
use crate::dataset::{Coadd, Exposure, StorageClass};
use crate::datastore::error::{DatastoreError, Result};
use crate::datastore::fits::{CARD, check_shapes, format_header};
use crate::datastore::local::write_new;
use crate::datastore::mapped::MappedFile;

/// The version of the composites' layout, in the attribute `version` of each file.
pub(crate) const VERSION: u32 = 1;

/// Writes an exposure as a new HDF5 composite.
///
/// The root group has the attributes `format` (`bunter-Exposure`), `version`, `zero_point` (magnitude of one count) and
/// `x0`, `y0`, `width`, `height` (the box, in the parent's zero-based pixels). The datasets are `image` (f32, counts),
/// `mask` (i32, with one attribute `MP_<plane>` a plane: its bit), `variance` (f32, counts squared), all `[y, x]`, and `wcs`
/// and `metadata`: FITS cards, 80 characters each. The same exposure gives the same bytes on every run.
///
/// # Errors
/// [`DatastoreError::AlreadyExists`], [`DatastoreError::Io`], [`DatastoreError::Hdf5`]; [`DatastoreError::Inconsistent`] when there are no
/// pixels or the arrays are not of the shape of the box. The file is there whole or not at all.
pub fn write_exposure(path: &Path, exposure: &Exposure, options: &StorageOptions) -> Result<()> {
    check_shapes(
        path,
        exposure.bbox,
        &[("image", exposure.image.dim()), ("mask", exposure.mask.dim()), ("variance", exposure.variance.dim())],
    )?;
    let index = Index {
        class: StorageClass::Exposure,
        bbox: exposure.bbox,
        zero_point: exposure.zero_point,
        planes: exposure.mask_planes.clone(),
        wcs: format_header(&exposure.wcs.to_header()),
        metadata: format_header(&exposure.metadata),
        arrays: Vec::new(),
    };
    let arrays = [
        ("image", Pixels::F32(&exposure.image)),
        ("mask", Pixels::I32(&exposure.mask)),
        ("variance", Pixels::F32(&exposure.variance)),
    ];
    write_composite(path, index, &arrays, None, *options)
}

/// Writes a coadd as a new HDF5 composite: as [`write_exposure`] (`format` is `bunter-Coadd`), with the datasets `n_image` (u16) and `weight`
/// (f32, 1 / counts squared) and the group `inputs` of one-dimensional datasets, one a column, in addition.
///
/// # Errors
/// As [`write_exposure`]; [`DatastoreError::Unsupported`] for a column of `inputs` that is no number, logical or text.
pub fn write_coadd(path: &Path, coadd: &Coadd, options: &StorageOptions) -> Result<()> {
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
    let index = Index {
        class: StorageClass::Coadd,
        bbox: coadd.bbox,
        zero_point: coadd.zero_point,
        planes: coadd.mask_planes.clone(),
        wcs: format_header(&coadd.wcs.to_header()),
        metadata: format_header(&coadd.metadata),
        arrays: Vec::new(),
    };
    let arrays = [
        ("image", Pixels::F32(&coadd.image)),
        ("mask", Pixels::I32(&coadd.mask)),
        ("variance", Pixels::F32(&coadd.variance)),
        ("n_image", Pixels::U16(&coadd.n_image)),
        ("weight", Pixels::F32(&coadd.weight)),
    ];
    write_composite(path, index, &arrays, Some(&coadd.inputs), *options)
}

#[derive(Clone, Copy)]
enum Pixels<'a> {
    F32(&'a Array2<f32>),
    I32(&'a Array2<i32>),
    U16(&'a Array2<u16>),
}

impl Pixels<'_> {
    /// The first pixels as they lie in the file, at most `columns` of them.
    fn first_row(&self, columns: u32) -> Vec<u8> {
        let columns = columns as usize;
        match self {
            Self::F32(a) => a.iter().take(a.ncols().min(columns)).flat_map(|v| v.to_le_bytes()).collect(),
            Self::I32(a) => a.iter().take(a.ncols().min(columns)).flat_map(|v| v.to_le_bytes()).collect(),
            Self::U16(a) => a.iter().take(a.ncols().min(columns)).flat_map(|v| v.to_le_bytes()).collect(),
        }
    }
}

/// Makes the addresses of an array count from the start of the file, and sees to it that its first pixels are there.
/// Some versions of HDF5 give addresses of chunks that count from the end of the user block.
fn settle(entry: &mut ArrayEntry, sample: &[u8], file: &MappedFile, user_block: u64) -> bool {
    for base in [0, user_block] {
        let mut moved = entry.clone();
        match &mut moved.place {
            Place::Contiguous { offset } => *offset += base,
            Place::Chunked { chunks, .. } => chunks.iter_mut().for_each(|(offset, _)| *offset += base),
        }
        if first_bytes(&moved, file, sample.len()).is_some_and(|bytes| bytes.starts_with(sample)) {
            *entry = moved;
            return true;
        }
    }
    false
}

fn first_bytes(entry: &ArrayEntry, file: &MappedFile, len: usize) -> Option<Vec<u8>> {
    let slice = |offset: u64, len: u64| file.range(offset, len, String::new).ok();
    match &entry.place {
        Place::Contiguous { offset } => slice(*offset, len as u64).map(<[u8]>::to_vec),
        Place::Chunked { chunk, gzip, chunks } => {
            let (offset, size) = *chunks.first()?;
            unpack(slice(offset, size)?, *gzip, chunk.0 as usize * chunk.1 as usize, entry.pixel.size() as usize)
        }
    }
}

fn write_composite(
    path: &Path,
    mut index: Index,
    arrays: &[(&str, Pixels<'_>)],
    inputs: Option<&RecordBatch>,
    options: StorageOptions,
) -> Result<()> {
    if index.bbox.is_empty() {
        return Err(DatastoreError::inconsistent(path, format!("the box {} holds no pixel", index.bbox)));
    }
    let grid = match options {
        StorageOptions::Contiguous => None,
        StorageOptions::Chunked { chunk: (rows, columns), .. } => {
            let chunk = (rows.clamp(1, index.bbox.height), columns.clamp(1, index.bbox.width));
            Some((chunk, index.bbox.height.div_ceil(chunk.0) as usize * index.bbox.width.div_ceil(chunk.1) as usize))
        }
    };
    // Room for names and addresses, which are not known before the arrays are written.
    let user_block = index.user_block((grid.map_or(1, |(_, chunks)| chunks) + 4) * arrays.len());
    write_new(path, |temporary| {
        let failed = |object: &str, e: &hdf5::Error| DatastoreError::hdf5(path, object, e);
        let file = create(temporary, user_block).map_err(|e| failed("/", &e))?;
        let mut samples = Vec::with_capacity(arrays.len());
        for (name, pixels) in arrays {
            let (dataset, pixel) = match pixels {
                Pixels::F32(a) => (write_pixels(&file, name, a, grid.map(|g| g.0), options), PixelType::F32),
                Pixels::I32(a) => (write_pixels(&file, name, a, grid.map(|g| g.0), options), PixelType::I32),
                Pixels::U16(a) => (write_pixels(&file, name, a, grid.map(|g| g.0), options), PixelType::U16),
            };
            let dataset = dataset.map_err(|e| failed(name, &e))?;
            if *name == "mask" {
                for (plane, bit) in index.planes.iter() {
                    attribute(&dataset, &format!("MP_{plane}"), &bit).map_err(|e| failed(name, &e))?;
                }
            }
            // Chunks get their place when they are written, which may fail for want of room.
            file.flush().map_err(|e| failed(name, &e))?;
            let place = place_of(&dataset, index.bbox.width, options)
                .ok_or_else(|| DatastoreError::damaged(path, *name, "HDF5 gave the array no place in the file"))?;
            index.arrays.push(ArrayEntry { name: (*name).to_owned(), pixel, place });
            samples.push(pixels.first_row(grid.map_or(u32::MAX, |((_, columns), _)| columns)));
        }
        write_small(&file, &index).map_err(|e| failed("/", &e))?;
        if let Some(inputs) = inputs {
            write_columns(&file, "inputs", inputs, path)?;
        }
        file.close().map_err(|e| failed("/", &e))?;
        let bytes = MappedFile::open(temporary)?;
        // Without an index the library reads the file: slower, never wrong.
        let found =
            index.arrays.iter_mut().zip(&samples).all(|(entry, sample)| settle(entry, sample, &bytes, user_block));
        if let Some(head) = index.encode(&bytes, user_block).filter(|_| found) {
            File::options()
                .write(true)
                .open(temporary)
                .and_then(|f| f.write_all_at(&head, 0))
                .map_err(|e| DatastoreError::io("write", path, e))?;
        }
        Ok(())
    })
}

/// A new HDF5 file whose bytes depend on its contents alone: no times are kept.
pub(crate) fn create(path: &Path, user_block: u64) -> hdf5::Result<hdf5::File> {
    hdf5::File::with_options()
        // Version 1.10 checksums all of its bookkeeping, and every reader of the last ten years knows it. Locks are not
        // needed for a name nobody else knows, and not to be had on many a parallel file system.
        .with_fapl(|p| p.alignment(4096, 4096).libver_v110().file_locking(false))
        .with_fcpl(|p| p.userblock(user_block).obj_track_times(false).attr_phase_change(64, 32))
        .create(path)
}

fn builder(file: &hdf5::Group) -> DatasetBuilder {
    file.new_dataset_builder()
        .alloc_time(Some(AllocTime::Early))
        .fill_time(FillTime::Never)
        .obj_track_times(false)
        .attr_phase_change(64, 32)
}

fn write_pixels<T: H5Type + Clone>(
    file: &hdf5::File,
    name: &str,
    pixels: &Array2<T>,
    chunk: Option<(u32, u32)>,
    options: StorageOptions,
) -> hdf5::Result<Dataset> {
    let pixels: CowArray<'_, T, Ix2> = pixels.as_standard_layout();
    let mut builder = builder(file);
    builder = match (chunk, options) {
        (Some((rows, columns)), StorageOptions::Chunked { gzip, .. }) => {
            let chunked = builder.chunk((rows as usize, columns as usize));
            if gzip > 0 { chunked.shuffle().deflate(gzip.min(9)) } else { chunked }
        }
        _ => builder.no_chunk(),
    };
    builder.with_data(pixels.view()).create(name)
}

/// A dataset of texts of variable length, for which HDF5 insists on a fill value.
pub(crate) fn write_texts(group: &hdf5::Group, name: &str, values: &[VarLenUnicode]) -> hdf5::Result<Dataset> {
    builder(group).fill_time(FillTime::IfSet).no_chunk().with_data(values).create(name)
}

/// A dataset of one column, of a header or of a table.
pub(crate) fn write_vector<T: H5Type>(group: &hdf5::Group, name: &str, values: &[T]) -> hdf5::Result<Dataset> {
    builder(group).no_chunk().with_data(values).create(name)
}

pub(crate) fn attribute<T: H5Type>(object: &hdf5::Location, name: &str, value: &T) -> hdf5::Result<()> {
    object.new_attr::<T>().create(name)?.write_scalar(value)
}

/// Marks what a file is.
pub(crate) fn write_format(file: &hdf5::File, class: StorageClass) -> hdf5::Result<()> {
    attribute(file, "format", &super::format_name(class))?;
    attribute(file, "version", &VERSION)
}

fn write_small(file: &hdf5::File, index: &Index) -> hdf5::Result<()> {
    write_format(file, index.class)?;
    attribute(file, "zero_point", &index.zero_point)?;
    attribute(file, "x0", &index.bbox.x0)?;
    attribute(file, "y0", &index.bbox.y0)?;
    attribute(file, "width", &index.bbox.width)?;
    attribute(file, "height", &index.bbox.height)?;
    for (name, cards) in [("wcs", &index.wcs), ("metadata", &index.metadata)] {
        let cards: Vec<FixedAscii<CARD>> =
            cards.chunks(CARD).filter_map(|card| FixedAscii::from_ascii(card).ok()).collect();
        write_vector(file, name, &cards)?;
    }
    Ok(())
}

fn place_of(dataset: &Dataset, width: u32, options: StorageOptions) -> Option<Place> {
    let StorageOptions::Chunked { gzip, .. } = options else {
        return Some(Place::Contiguous { offset: dataset.offset()? });
    };
    let shape = dataset.chunk()?;
    let [rows, columns] = *shape.as_slice() else { return None };
    let across = (width as usize).div_ceil(columns);
    let mut chunks = vec![(0, 0); dataset.num_chunks()?];
    for n in 0..chunks.len() {
        let info = dataset.chunk_info(n)?;
        let [y, x] = *info.offset.as_slice() else { return None };
        let at = (y as usize / rows) * across + x as usize / columns;
        // A filter may leave a chunk as it was when it does not shrink; the index knows no such chunk.
        if info.filter_mask != 0 {
            return None;
        }
        *chunks.get_mut(at)? = (info.addr, info.size);
    }
    Some(Place::Chunked { chunk: (rows as u32, columns as u32), gzip: gzip > 0, chunks })
}
