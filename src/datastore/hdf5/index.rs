//! The index at the head of a composite: all that is not pixels, and where the pixels are, so that a box is read
//! without asking the HDF5 library (which takes longer to open a file than the copy of the box takes).
//!
//! HDF5 leaves the first bytes of a file, the *user block*, to the application. Bunter keeps there a copy of the small
//! components and the address of each array. The copy is used only while it is certain to be true: it carries the
//! length of the file, its own checksum, and a fingerprint of every byte of the file that is neither user block nor
//! pixels, which is all of HDF5's own bookkeeping, attributes and small datasets. Another program that changes any of
//! them, moves an array or appends to the file breaks the fingerprint, and the file is then read by the library. Pixels
//! changed in place stay where they are, and are read as they have become.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::dataset::{MaskPlanes, StorageClass};
use crate::datastore::mapped::MappedFile;
use crate::wcs::PixelBox;

const MAGIC: [u8; 16] = *b"BUNTER INDEX 1\n\0";
/// Magic, then five `u64`: checksum, file length, fingerprint, user block, payload length.
const HEAD: usize = 56;

/// The type of an array's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PixelType {
    F32,
    I32,
    U16,
}

impl PixelType {
    const ALL: [Self; 3] = [Self::F32, Self::I32, Self::U16];

    pub(crate) const fn size(self) -> u64 {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::U16 => 2,
        }
    }
}

/// Where an array's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Contiguous {
        offset: u64,
    },
    /// Chunks in the order of the grid, row after row: offset and size in the file.
    Chunked {
        chunk: (u32, u32),
        gzip: bool,
        chunks: Vec<(u64, u64)>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArrayEntry {
    pub(crate) name: String,
    pub(crate) pixel: PixelType,
    pub(crate) place: Place,
}

impl ArrayEntry {
    /// Offset and size of each piece.
    fn pieces(&self, bbox: PixelBox) -> Vec<(u64, u64)> {
        match &self.place {
            Place::Contiguous { offset } => vec![(*offset, bbox.area().saturating_mul(self.pixel.size()))],
            Place::Chunked { chunks, .. } => chunks.clone(),
        }
    }
}

/// All of a composite but its pixels (and a coadd's inputs).
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) class: StorageClass,
    pub(crate) bbox: PixelBox,
    pub(crate) zero_point: f64,
    pub(crate) planes: MaskPlanes,
    /// FITS cards, 80 bytes each.
    pub(crate) wcs: Vec<u8>,
    /// FITS cards, 80 bytes each.
    pub(crate) metadata: Vec<u8>,
    pub(crate) arrays: Vec<ArrayEntry>,
}

impl Index {
    /// The user block that has room for the index: a power of two, at least a page.
    pub(crate) fn user_block(&self, chunks: usize) -> u64 {
        ((HEAD + self.payload().len() + 16 * chunks) as u64).next_power_of_two().max(4096)
    }

    /// The bytes for the user block of `file`, or `None` when they do not fit (the library then reads the file).
    pub(crate) fn encode(&self, file: &MappedFile, user_block: u64) -> Option<Vec<u8>> {
        let payload = self.payload();
        let fingerprint = self.fingerprint(file, user_block)?;
        let mut out = MAGIC.to_vec();
        for number in [0, file.len(), fingerprint, user_block, payload.len() as u64] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&payload);
        let checksum = xxh3_64(&out);
        out.get_mut(16..24)?.copy_from_slice(&checksum.to_le_bytes());
        (out.len() as u64 <= user_block).then_some(out)
    }

    /// The index of a file, or `None` when there is none, or it is not certain to be true.
    pub(crate) fn decode(file: &MappedFile) -> Option<Self> {
        let bytes = file.bytes();
        let head = bytes.get(..HEAD)?;
        if !head.starts_with(&MAGIC) {
            return None;
        }
        let number = |n: usize| Some(u64::from_le_bytes(*head.get(16 + 8 * n..)?.first_chunk()?));
        let (checksum, len, fingerprint, user_block) = (number(0)?, number(1)?, number(2)?, number(3)?);
        let end = HEAD.checked_add(usize::try_from(number(4)?).ok()?)?;
        let payload = bytes.get(HEAD..end)?;
        let mut hash = Xxh3::new();
        hash.update(head.get(..16)?);
        hash.update(&[0; 8]);
        hash.update(head.get(24..)?);
        hash.update(payload);
        if hash.digest() != checksum || len != file.len() || end as u64 > user_block {
            return None;
        }
        let index = Self::from_payload(payload)?;
        (index.fingerprint(file, user_block)? == fingerprint).then_some(index)
    }

    /// xxh3-64 of all bytes that are neither user block nor pixels.
    fn fingerprint(&self, file: &MappedFile, user_block: u64) -> Option<u64> {
        let mut taken: Vec<_> = self.arrays.iter().flat_map(|array| array.pieces(self.bbox)).collect();
        taken.sort_unstable();
        taken.push((file.len(), 0));
        let mut hash = Xxh3::new();
        let mut at = user_block;
        for (start, size) in taken {
            hash.update(file.bytes().get(usize::try_from(at).ok()?..usize::try_from(start).ok()?)?);
            at = start.checked_add(size)?;
        }
        Some(hash.digest())
    }

    fn payload(&self) -> Vec<u8> {
        let mut out = vec![StorageClass::ALL.iter().position(|c| *c == self.class).unwrap_or(0) as u8];
        let bbox = self.bbox;
        out.extend_from_slice(&bbox.x0.to_le_bytes());
        out.extend_from_slice(&bbox.y0.to_le_bytes());
        out.extend_from_slice(&bbox.width.to_le_bytes());
        out.extend_from_slice(&bbox.height.to_le_bytes());
        out.extend_from_slice(&self.zero_point.to_le_bytes());
        let blob = |out: &mut Vec<u8>, bytes: &[u8]| {
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            out.extend_from_slice(bytes);
        };
        blob(&mut out, &self.wcs);
        blob(&mut out, &self.metadata);
        out.push(self.planes.iter().count() as u8);
        for (name, bit) in self.planes.iter() {
            out.push(bit);
            blob(&mut out, name.as_bytes());
        }
        out.push(self.arrays.len() as u8);
        for array in &self.arrays {
            blob(&mut out, array.name.as_bytes());
            out.push(array.pixel as u8);
            match &array.place {
                Place::Contiguous { offset } => {
                    out.push(0);
                    out.extend_from_slice(&offset.to_le_bytes());
                }
                Place::Chunked { chunk, gzip, chunks } => {
                    out.push(1 + u8::from(*gzip));
                    out.extend_from_slice(&chunk.0.to_le_bytes());
                    out.extend_from_slice(&chunk.1.to_le_bytes());
                    out.extend_from_slice(&(chunks.len() as u32).to_le_bytes());
                    for (offset, size) in chunks {
                        out.extend_from_slice(&offset.to_le_bytes());
                        out.extend_from_slice(&size.to_le_bytes());
                    }
                }
            }
        }
        out
    }

    fn from_payload(payload: &[u8]) -> Option<Self> {
        let mut input = Input(payload);
        let class = *StorageClass::ALL.get(usize::from(input.u8()?))?;
        let bbox = PixelBox::new(input.u32()? as i32, input.u32()? as i32, input.u32()?, input.u32()?);
        let zero_point = f64::from_bits(input.u64()?);
        let wcs = input.blob()?.to_vec();
        let metadata = input.blob()?.to_vec();
        let mut planes = Vec::new();
        for _ in 0..input.u8()? {
            let bit = input.u8()?;
            planes.push((input.text()?, bit));
        }
        let mut arrays = Vec::new();
        for _ in 0..input.u8()? {
            let name = input.text()?;
            let pixel = *PixelType::ALL.get(usize::from(input.u8()?))?;
            let place = match input.u8()? {
                0 => Place::Contiguous { offset: input.u64()? },
                kind @ (1 | 2) => {
                    let chunk = (input.u32()?, input.u32()?);
                    let grid = (bbox.height.div_ceil(chunk.0.max(1)), bbox.width.div_ceil(chunk.1.max(1)));
                    let count = input.u32()?;
                    if chunk.0 == 0 || chunk.1 == 0 || u64::from(grid.0) * u64::from(grid.1) != u64::from(count) {
                        return None;
                    }
                    let mut chunks = Vec::new();
                    for _ in 0..count {
                        chunks.push((input.u64()?, input.u64()?));
                    }
                    Place::Chunked { chunk, gzip: kind == 2, chunks }
                }
                _ => return None,
            };
            arrays.push(ArrayEntry { name, pixel, place });
        }
        Some(Self { class, bbox, zero_point, planes: MaskPlanes::new(planes), wcs, metadata, arrays })
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[b]| b)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn blob(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()? as usize;
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.blob()?.to_vec()).ok()
    }
}
