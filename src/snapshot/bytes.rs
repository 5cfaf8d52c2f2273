//! The bytes of a snapshot, wherever they live, as one Arrow buffer that keeps its owner alive.
#![expect(unsafe_code, reason = "mapping a file is unsafe: another process could change it")]

use std::fs::File;
use std::io;
use std::path::Path;

use arrow::buffer::Buffer;
use memmap2::Mmap;

/// Alignment that every column type is satisfied with.
const ALIGNMENT: usize = 8;

/// Maps a file read-only. The map lives as long as the buffer or any slice of it.
pub(super) fn map(path: &Path) -> io::Result<Buffer> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    // SAFETY: the map is private and read-only, so this process cannot write through it. A snapshot is written under a
    // temporary name and renamed when it is whole, and nothing in this crate opens one for writing: its bytes do not
    // change while they are mapped, unless somebody outside overwrites or truncates a finished snapshot in place, which
    // the format forbids (`docs/snapshot-format.md`). Texts and offsets are checked where they are used.
    let map = unsafe { Mmap::map(&file)? };
    Ok(owned(map))
}

/// Takes bytes over without a copy; copies them once when they are not aligned to eight bytes.
pub(super) fn owned(owner: impl AsRef<[u8]> + Send + Sync + 'static) -> Buffer {
    let buffer = Buffer::from(bytes::Bytes::from_owner(owner));
    if buffer.as_ptr().align_offset(ALIGNMENT) == 0 { buffer } else { Buffer::from_slice_ref(buffer.as_slice()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misaligned_bytes_are_copied_and_aligned_ones_are_not() {
        struct Window(Vec<u64>, usize);
        impl AsRef<[u8]> for Window {
            fn as_ref(&self) -> &[u8] {
                &bytemuck::cast_slice(&self.0)[self.1..]
            }
        }
        let words = vec![0x0807_0605_0403_0201_u64, 0x100f_0e0d_0c0b_0a09];
        let start = words.as_ptr().cast::<u8>();
        let aligned = owned(Window(words, 0));
        assert_eq!(aligned.as_ptr(), start);
        let misaligned = owned(Window(vec![0x0807_0605_0403_0201, 0x100f_0e0d_0c0b_0a09], 3));
        assert_eq!(misaligned.as_ptr().align_offset(ALIGNMENT), 0);
        assert_eq!(misaligned.as_slice(), &[4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    }
}
