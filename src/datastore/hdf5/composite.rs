//! [`Composite`]: a composite opened for reading, each component on its own.

use std::path::Path;

use flate2::read::ZlibDecoder;
use hdf5::H5Type;
use ndarray::{Array2, s};
use rayon::prelude::*;

use super::index::{ArrayEntry, Index, PixelType, Place};
use super::library;
use super::table::read_columns;
use crate::dataset::{Coadd, Exposure, MaskPlanes, StorageClass};
use crate::datastore::error::{DatastoreError, Result};
use crate::datastore::fits::parse_header;
use crate::datastore::mapped::{ByteOrder, MappedFile, Pixel, Window, read_window};
use crate::datastore::value::Dataset;
use crate::wcs::{Header, PixelBox, Wcs};

/// A composite opened for reading.
pub(crate) struct Composite {
    file: MappedFile,
    index: Index,
    /// The library's file, when the index could not be trusted.
    library: Option<hdf5::File>,
}

/// A pixel type that composites hold.
pub(crate) trait Stored: Pixel + H5Type {
    const TYPE: PixelType;
}

impl Stored for f32 {
    const TYPE: PixelType = PixelType::F32;
}
impl Stored for i32 {
    const TYPE: PixelType = PixelType::I32;
}
impl Stored for u16 {
    const TYPE: PixelType = PixelType::U16;
}

impl Composite {
    /// Opens a composite of storage class `wanted`.
    pub(crate) fn open(path: &Path, wanted: StorageClass) -> Result<Self> {
        let file = MappedFile::open(path)?;
        let composite = if let Some(index) = Index::decode(&file) {
            Self { file, index, library: None }
        } else {
            Self::open_by_library(file)?
        };
        if composite.index.class != wanted {
            let (wanted, found) = (wanted.to_string(), composite.index.class.to_string());
            return Err(DatastoreError::WrongStorageClass { path: path.to_owned(), wanted, found });
        }
        Ok(composite)
    }

    /// Opens a composite without trusting its index.
    pub(crate) fn open_by_library(file: MappedFile) -> Result<Self> {
        let library = library::open(file.path())?;
        let index = library::read_index(file.path(), &library)?;
        Ok(Self { file, index, library: Some(library) })
    }

    fn path(&self) -> &Path {
        self.file.path()
    }

    #[cfg(test)]
    pub(crate) const fn is_indexed(&self) -> bool {
        self.library.is_none()
    }

    pub(crate) const fn zero_point(&self) -> f64 {
        self.index.zero_point
    }

    pub(crate) fn metadata(&self) -> Header {
        parse_header(&self.index.metadata)
    }

    pub(crate) fn wcs(&self) -> Result<Wcs> {
        Wcs::from_header(&parse_header(&self.index.wcs)).map_err(|e| DatastoreError::wcs(self.path(), "wcs", e))
    }

    /// The box to read and its place in the arrays.
    fn window(&self, subset: Option<PixelBox>) -> Result<(PixelBox, Window)> {
        let held = self.index.bbox;
        let wanted = subset.unwrap_or(held);
        if !held.contains_box(wanted) {
            let path = self.path().to_owned();
            return Err(DatastoreError::OutsideImage { path, place: "the composite".to_owned(), wanted, held });
        }
        let (height, width) = wanted.shape();
        let start = |v: i32, first: i32| if wanted.is_empty() { 0 } else { v.abs_diff(first) as usize };
        Ok((wanted, Window { x: start(wanted.x0, held.x0), y: start(wanted.y0, held.y0), width, height }))
    }

    pub(crate) fn array<T: Stored>(&self, name: &str, subset: Option<PixelBox>) -> Result<Array2<T>> {
        let (_, window) = self.window(subset)?;
        if let Some(library) = &self.library {
            return library::read_array(self.path(), library, name, self.index.bbox, window);
        }
        let entry = self.index.arrays.iter().find(|array| array.name == name && array.pixel == T::TYPE);
        let entry = entry.ok_or_else(|| DatastoreError::damaged(self.path(), name, "the index has no such array"))?;
        match &entry.place {
            Place::Contiguous { offset } => {
                let place = || format!("object `{name}`");
                self.file.range(*offset, self.index.bbox.area().saturating_mul(T::SIZE as u64), place)?;
                read_window(&self.file, *offset, self.index.bbox.width as usize, window, ByteOrder::Little, place)
            }
            Place::Chunked { chunk, gzip, chunks } => self.chunked(entry, *chunk, *gzip, chunks, window),
        }
    }

    /// The chunks that a window touches, unpacked side by side on all threads.
    fn chunked<T: Stored>(
        &self,
        entry: &ArrayEntry,
        (rows, columns): (u32, u32),
        gzip: bool,
        chunks: &[(u64, u64)],
        window: Window,
    ) -> Result<Array2<T>> {
        let mut out = Array2::default((window.height, window.width));
        if out.is_empty() {
            return Ok(out);
        }
        let (rows, columns) = (rows as usize, columns as usize);
        let across = (self.index.bbox.width as usize).div_ceil(columns);
        let first = (window.y / rows, window.x / columns);
        let last = ((window.y + window.height - 1) / rows, (window.x + window.width - 1) / columns);
        // A band of chunks lies in rows of the output of its own: bands need no lock between them.
        let mut bands = Vec::new();
        let mut rest = out.view_mut();
        for band in first.0..=last.0 {
            let end = ((band + 1) * rows).min(window.y + window.height) - window.y;
            let start = (band * rows).max(window.y) - window.y;
            let (head, tail) = rest.split_at(ndarray::Axis(0), end - start);
            bands.push((band, head));
            rest = tail;
        }
        let place = |band: usize, n: usize| format!("object `{}`, chunk ({band}, {n})", entry.name);
        bands.into_par_iter().try_for_each(|(band, mut pixels)| -> Result<()> {
            let unpacked: Vec<(usize, Array2<T>)> = (first.1..=last.1)
                .into_par_iter()
                .map(|n| {
                    let place = || place(band, n);
                    let damaged = |reason: &str| DatastoreError::damaged(self.path(), place(), reason);
                    let (offset, size) =
                        *chunks.get(band * across + n).ok_or_else(|| damaged("the index has no such chunk"))?;
                    let packed = self.file.range(offset, size, place)?;
                    let bytes = unpack(packed, gzip, rows * columns, T::SIZE)
                        .ok_or_else(|| damaged("its bytes do not unpack to a chunk"))?;
                    let mut values = vec![T::default(); rows * columns];
                    T::read_row(&bytes, ByteOrder::Little, &mut values);
                    let chunk = Array2::from_shape_vec((rows, columns), values).map_err(|_| damaged("short chunk"))?;
                    Ok((n, chunk))
                })
                .collect::<Result<_>>()?;
            let (y0, y1) = ((band * rows).max(window.y), ((band + 1) * rows).min(window.y + window.height));
            for (n, chunk) in unpacked {
                let (x0, x1) = ((n * columns).max(window.x), ((n + 1) * columns).min(window.x + window.width));
                let from = chunk.slice(s![y0 - band * rows..y1 - band * rows, x0 - n * columns..x1 - n * columns]);
                pixels.slice_mut(s![.., x0 - window.x..x1 - window.x]).assign(&from);
            }
            Ok(())
        })?;
        Ok(out)
    }

    pub(crate) fn inputs(&self) -> Result<arrow::record_batch::RecordBatch> {
        match &self.library {
            Some(library) => read_columns(library, "inputs", self.path()),
            None => read_columns(&library::open(self.path())?, "inputs", self.path()),
        }
    }

    pub(crate) fn exposure(&self, subset: Option<PixelBox>) -> Result<Exposure> {
        Ok(Exposure {
            bbox: self.window(subset)?.0,
            image: self.array("image", subset)?,
            mask: self.array("mask", subset)?,
            variance: self.array("variance", subset)?,
            mask_planes: self.mask_planes(),
            wcs: self.wcs()?,
            zero_point: self.zero_point(),
            metadata: self.metadata(),
        })
    }

    pub(crate) fn mask_planes(&self) -> MaskPlanes {
        self.index.planes.clone()
    }

    pub(crate) fn coadd(&self, subset: Option<PixelBox>) -> Result<Coadd> {
        Ok(Coadd {
            bbox: self.window(subset)?.0,
            image: self.array("image", subset)?,
            mask: self.array("mask", subset)?,
            variance: self.array("variance", subset)?,
            n_image: self.array("n_image", subset)?,
            weight: self.array("weight", subset)?,
            mask_planes: self.mask_planes(),
            wcs: self.wcs()?,
            zero_point: self.zero_point(),
            inputs: self.inputs()?,
            metadata: self.metadata(),
        })
    }

    /// One component, without reading the others; the name was checked.
    pub(crate) fn component(&self, name: &str, subset: Option<PixelBox>) -> Result<Dataset> {
        Ok(match name {
            "mask" => Dataset::Mask(self.array(name, subset)?),
            "n_image" => Dataset::NImage(self.array(name, subset)?),
            "inputs" => Dataset::Table(self.inputs()?),
            "wcs" => Dataset::Wcs(self.wcs()?),
            "bbox" => Dataset::Box(self.window(subset)?.0),
            "zero_point" => Dataset::Number(self.zero_point()),
            "metadata" => Dataset::Metadata(self.metadata()),
            _ => Dataset::Image(self.array(name, subset)?),
        })
    }
}

/// Undoes gzip and shuffle. `None` when the bytes are not those of a chunk of `count` numbers.
pub(crate) fn unpack(packed: &[u8], gzip: bool, count: usize, size: usize) -> Option<Vec<u8>> {
    use std::io::Read;

    let len = count.checked_mul(size)?;
    // gzip shrinks to a thousandth at best: a chunk that claims more is not worth its memory.
    if len > packed.len().saturating_mul(1100) {
        return None;
    }
    if !gzip {
        return (packed.len() == len).then(|| packed.to_vec());
    }
    let mut shuffled = vec![0; len];
    ZlibDecoder::new(packed).read_exact(&mut shuffled).ok()?;
    let mut out = vec![0; len];
    // First the lowest bytes of all numbers, then the next …
    match size {
        4 => {
            let (a, rest) = shuffled.split_at_checked(count)?;
            let (b, rest) = rest.split_at_checked(count)?;
            let (c, d) = rest.split_at_checked(count)?;
            let bytes = a.iter().zip(b).zip(c.iter().zip(d));
            out.as_chunks_mut().0.iter_mut().zip(bytes).for_each(|(o, ((a, b), (c, d)))| *o = [*a, *b, *c, *d]);
        }
        2 => {
            let (a, b) = shuffled.split_at_checked(count)?;
            out.as_chunks_mut().0.iter_mut().zip(a.iter().zip(b)).for_each(|(o, (a, b))| *o = [*a, *b]);
        }
        _ => return None,
    }
    Some(out)
}

/// Reads an exposure from an HDF5 composite: all of it, or the `subset` of it, in the parent's pixels.
///
/// # Errors
/// [`DatastoreError::NotFound`], [`DatastoreError::WrongStorageClass`], [`DatastoreError::OutsideImage`] (a box is never clipped),
/// [`DatastoreError::Damaged`] or [`DatastoreError::Hdf5`] for a truncated or damaged file.
pub fn read_exposure(path: &Path, subset: Option<PixelBox>) -> Result<Exposure> {
    Composite::open(path, StorageClass::Exposure)?.exposure(subset)
}

/// Reads a coadd from an HDF5 composite: all of it, or the `subset` of it, in the tract's pixels.
///
/// # Errors
/// As [`read_exposure`].
pub fn read_coadd(path: &Path, subset: Option<PixelBox>) -> Result<Coadd> {
    Composite::open(path, StorageClass::Coadd)?.coadd(subset)
}

/// Reads one component of an HDF5 composite without the others. `subset` (in the parent's pixels) cuts arrays and the
/// box, and means nothing to the rest.
///
/// # Errors
/// [`DatastoreError::UnknownComponent`], and as [`read_exposure`].
pub fn read_component(path: &Path, class: StorageClass, component: &str, subset: Option<PixelBox>) -> Result<Dataset> {
    if !class.components().contains(&component) {
        return Err(DatastoreError::unknown_component(component, class));
    }
    Composite::open(path, class)?.component(component, subset)
}

#[cfg(test)]
mod tests {
    use super::super::options::StorageOptions;
    use super::super::write::write_exposure;
    use super::*;

    fn exposure() -> Exposure {
        let bbox = PixelBox::new(3, -4, 120, 90);
        let wcs: Header = [("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN")].into_iter().collect();
        let mut wcs = wcs;
        for (keyword, value) in
            [("CRVAL1", 1.0), ("CRVAL2", 2.0), ("CRPIX1", 0.0), ("CRPIX2", 0.0), ("CD1_1", -1e-4), ("CD2_2", 1e-4)]
        {
            wcs.set(keyword, value);
        }
        Exposure {
            bbox,
            image: Array2::from_shape_fn(bbox.shape(), |(y, x)| (x * y) as f32),
            mask: Array2::from_shape_fn(bbox.shape(), |(y, x)| (x + y) as i32),
            variance: Array2::ones(bbox.shape()),
            mask_planes: MaskPlanes::default(),
            wcs: Wcs::from_header(&wcs).unwrap(),
            zero_point: 27.0,
            metadata: Header::default(),
        }
    }

    #[test]
    fn index_and_library_read_the_same_and_pixels_lie_on_pages() {
        let folder = tempfile::tempdir().unwrap();
        for (n, options) in [StorageOptions::Contiguous, StorageOptions::COMPRESSED].iter().enumerate() {
            let path = folder.path().join(n.to_string());
            write_exposure(&path, &exposure(), options).unwrap();
            let fast = Composite::open(&path, StorageClass::Exposure).unwrap();
            assert!(fast.is_indexed());
            for array in &fast.index.arrays {
                if let Place::Contiguous { offset } = array.place {
                    assert_eq!(offset % 4096, 0, "{}", array.name);
                }
            }
            let slow = Composite::open_by_library(MappedFile::open(&path).unwrap()).unwrap();
            let subset = Some(PixelBox::new(10, 0, 70, 30));
            assert_eq!(fast.array::<f32>("image", subset).unwrap(), slow.array::<f32>("image", subset).unwrap());
            assert_eq!(fast.array::<i32>("mask", None).unwrap(), slow.array::<i32>("mask", None).unwrap());
            assert_eq!(fast.mask_planes(), slow.mask_planes());
            assert_eq!(fast.metadata(), slow.metadata());
            assert_eq!(fast.wcs().unwrap().to_header(), slow.wcs().unwrap().to_header());
        }
    }

    #[test]
    fn an_index_that_is_not_certain_to_be_true_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.h5");
        write_exposure(&path, &exposure(), &StorageOptions::Contiguous).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let indexed = |bytes: &[u8]| {
            let copy = folder.path().join("copy.h5");
            std::fs::write(&copy, bytes).unwrap();
            Index::decode(&MappedFile::open(&copy).unwrap()).is_some()
        };
        assert!(indexed(&bytes));
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(!indexed(&longer));
        assert!(!indexed(&bytes[..bytes.len() - 1]));
        let index = Index::decode(&MappedFile::open(&path).unwrap()).unwrap();
        let Place::Contiguous { offset } = index.arrays[0].place else { panic!("not contiguous") };
        // Every byte before the pixels belongs to the index, its padding, or the library: the padding alone is free.
        let mut used = 0;
        for at in (0..offset as usize).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            used += usize::from(!indexed(&damaged));
            if !(56..4096).contains(&at) {
                assert!(!indexed(&damaged), "byte {at}");
            }
        }
        assert!(used > 20, "{used}");
        let mut pixels = bytes;
        pixels[offset as usize + 5] ^= 1;
        assert!(indexed(&pixels), "a pixel changed in place is no reason to distrust addresses");
    }
}
