//! [`MappedFile`]: the bytes of a file through a read-only memory map, and windows of pixels out of it.
//!
//! Every range is checked against the length that the file had when it was opened, so a file that is *already*
//! truncated is an error. What remains: a file that another program truncates *while* it is mapped kills the process
//! with SIGBUS when a page behind the new end is touched. Bunter itself never shortens a file: final files are
//! read-only (mode 0444) and are replaced by new names, never in place.
#![expect(unsafe_code, reason = "pixels are read in place through a memory map")]

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use ndarray::Array2;
use pulp::{Arch, NullaryFnOnce};

use super::error::{DatastoreError, Result};

/// A file of a length known at opening, readable as a slice of bytes.
#[derive(Debug)]
pub(crate) struct MappedFile {
    path: PathBuf,
    map: Option<Mmap>,
}

impl MappedFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| DatastoreError::io("open", path, e))?;
        let metadata = file.metadata().map_err(|e| DatastoreError::io("inspect", path, e))?;
        if !metadata.is_file() {
            return Err(DatastoreError::unsupported(path, "not a regular file"));
        }
        let len = usize::try_from(metadata.len())
            .map_err(|_| DatastoreError::unsupported(path, "larger than the address space"))?;
        let map = if len == 0 {
            None
        } else {
            let mut options = memmap2::MmapOptions::new();
            // SAFETY: the map is read-only and exactly as long as the file was when it was opened a moment ago; see the
            // file's head for what remains.
            Some(unsafe { options.len(len).map(&file) }.map_err(|e| DatastoreError::io("map", path, e))?)
        };
        Ok(Self { path: path.to_owned(), map })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }

    pub(crate) fn len(&self) -> u64 {
        self.bytes().len() as u64
    }

    /// The bytes `[offset, offset + len)`, or an error that names `place`.
    pub(crate) fn range(&self, offset: u64, len: u64, place: impl Fn() -> String) -> Result<&[u8]> {
        let end = offset.checked_add(len);
        let range = end.and_then(|end| Some(usize::try_from(offset).ok()?..usize::try_from(end).ok()?));
        range.and_then(|range| self.bytes().get(range)).ok_or_else(|| {
            let reason =
                format!("needs bytes {offset} to {}, the file ends at {}", offset.saturating_add(len), self.len());
            DatastoreError::damaged(&self.path, place(), format!("truncated: {reason}"))
        })
    }
}

/// A pixel type as it lies in files.
pub(crate) trait Pixel: Copy + Default + Send + Sync + 'static {
    const SIZE: usize;
    /// Reads as many numbers as both sides hold.
    fn read_row(row: &[u8], order: ByteOrder, out: &mut [Self]);
}

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    /// Most significant first: FITS.
    Big,
    /// Least significant first: Bunter's HDF5.
    Little,
}

macro_rules! pixel {
    ($($type:ty),*) => {$(
        impl Pixel for $type {
            const SIZE: usize = size_of::<$type>();
            #[inline(always)]
            fn read_row(row: &[u8], order: ByteOrder, out: &mut [Self]) {
                let (numbers, _) = row.as_chunks::<{ size_of::<$type>() }>();
                let pairs = out.iter_mut().zip(numbers);
                // Loops, not `for_each`: its closure would be compiled on its own, without the caller's vectors.
                match order {
                    ByteOrder::Big => {
                        for (value, bytes) in pairs {
                            *value = <$type>::from_be_bytes(*bytes);
                        }
                    }
                    ByteOrder::Little => {
                        for (value, bytes) in pairs {
                            *value = <$type>::from_le_bytes(*bytes);
                        }
                    }
                }
            }
        }
    )*};
}
pixel!(u8, u16, i16, i32, i64, f32, f64);

/// A window of a plane, in pixels of the plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// Copies a window out of a plane of `plane_width` columns whose first byte is at `offset` of the file.
pub(crate) fn read_window<T: Pixel>(
    file: &MappedFile,
    offset: u64,
    plane_width: usize,
    window: Window,
    order: ByteOrder,
    place: impl Fn() -> String,
) -> Result<Array2<T>> {
    let shape = (window.height, window.width);
    let too_large = || DatastoreError::damaged(file.path(), place(), "the size of the image overflows");
    if window.width == 0 || window.height == 0 {
        return Ok(Array2::default(shape));
    }
    let pitch = plane_width.checked_mul(T::SIZE).ok_or_else(too_large)?;
    let skip = window.y.checked_mul(pitch).and_then(|n| n.checked_add(window.x.checked_mul(T::SIZE)?));
    let span = (window.height - 1).checked_mul(pitch).and_then(|n| n.checked_add(window.width.checked_mul(T::SIZE)?));
    let (skip, span) = skip.zip(span).ok_or_else(too_large)?;
    let start = offset.checked_add(skip as u64).ok_or_else(too_large)?;
    let bytes = file.range(start, span as u64, &place)?;
    // The pages are left to the kernel's own fault-around: asking for all of them at once (MADV_POPULATE_READ) is no faster
    // for files in large folios, and twice as slow for others.
    // Zeroed memory comes from the system as it is: no pixel is written twice.
    let mut pixels = vec![T::default(); window.width * window.height];
    Arch::new().dispatch(Rows { bytes, pitch, order, width: window.width, out: &mut pixels });
    Array2::from_shape_vec(shape, pixels)
        .map_err(|_| DatastoreError::damaged(file.path(), place(), "rows of unequal length"))
}

/// The copying loop, compiled once for each width of vectors and chosen by this machine: byte swaps then run at the
/// speed of memory.
struct Rows<'a, T> {
    bytes: &'a [u8],
    pitch: usize,
    order: ByteOrder,
    width: usize,
    out: &'a mut [T],
}

impl<T: Pixel> NullaryFnOnce for Rows<'_, T> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "the loop must be compiled within the function that has the vectors")]
    #[inline(always)]
    fn call(self) {
        for (row, out) in self.bytes.chunks(self.pitch).zip(self.out.chunks_exact_mut(self.width)) {
            T::read_row(row, self.order, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn windows_equal_slices_and_short_files_are_errors() {
        let (width, height) = (7_usize, 5_usize);
        let plane = Array2::from_shape_fn((height, width), |(y, x)| (100 * y + x) as f32);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[9; 13]).unwrap();
        for v in &plane {
            file.write_all(&v.to_be_bytes()).unwrap();
        }
        let mapped = MappedFile::open(file.path()).unwrap();
        let place = || "pixels".to_owned();
        for y in 0..=height {
            for x in 0..=width {
                for (w, h) in [(0, 1), (1, 1), (width - x, height - y)] {
                    let window = Window { x, y, width: w.min(width - x), height: h.min(height - y) };
                    let read = read_window::<f32>(&mapped, 13, width, window, ByteOrder::Big, place).unwrap();
                    let wanted = plane.slice(ndarray::s![y..y + window.height, x..x + window.width]).to_owned();
                    assert_eq!(read, wanted);
                }
            }
        }
        let whole = Window { x: 0, y: 0, width, height };
        let error = read_window::<f32>(&mapped, 14, width, whole, ByteOrder::Big, place).unwrap_err().to_string();
        assert!(error.contains("pixels: truncated: needs bytes 14 to 154, the file ends at 153"), "{error}");
        assert!(read_window::<f32>(&mapped, u64::MAX, usize::MAX, whole, ByteOrder::Big, place).is_err());
    }

    #[test]
    fn an_empty_file_maps_to_no_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(MappedFile::open(file.path()).unwrap().bytes(), b"");
        assert!(MappedFile::open(std::env::temp_dir().as_path()).is_err());
    }
}
