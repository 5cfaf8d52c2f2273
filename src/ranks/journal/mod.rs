//! Journals: what a rank has done, one whole record at a time, through any crash.
//!
//! A journal `*.bnj` is written by one process and never written to again. It begins with a header of 24 bytes:
//! the magic `BNTRJRNL`, the format version (`u32`), the schema of its records (`u32`), and the XXH3 checksum of these
//! 16 bytes (`u64`). Records follow: the length of the payload (`u32`), a checksum (`u64`), and the payload, encoded by
//! [`codec`](crate::dataset::codec). The checksum is the XXH3 of the length and the payload, seeded with the record's
//! place in the file, so that a record proves that it is whole, and where it was written. All integers are
//! little-endian.
//!
//! What follows the last whole record is a torn tail, which a crash may leave, and is cut off on reading. What cannot
//! be read but has whole records behind it is damage, and an error.

mod reader;
mod writer;

pub use reader::{Damage, JournalReader, Salvage};
pub use writer::{JournalWriter, SyncPolicy};

use serde::{Serialize, de::DeserializeOwned};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// What a journal holds.
pub trait JournalRecord: Serialize + DeserializeOwned {
    /// Number of the record's layout. Raise it with every change of the type: a journal of another schema is refused.
    const SCHEMA: u32;
}

/// Longest record a journal takes, encoded: 64 MiB.
pub const RECORD_LIMIT: usize = 64 << 20;

const MAGIC: &[u8; 8] = b"BNTRJRNL";
const VERSION: u32 = 1;
const HEADER: usize = 24;
const PREFIX: usize = 12;

fn header(version: u32, schema: u32) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    let fields = [MAGIC.as_slice(), &version.to_le_bytes(), &schema.to_le_bytes()].concat();
    let checksum = xxh3_64(&fields).to_le_bytes();
    for (to, from) in bytes.iter_mut().zip(fields.iter().chain(&checksum)) {
        *to = *from;
    }
    bytes
}

/// Checksum of the record whose first byte is at `offset`.
fn checksum(offset: u64, length: u32, payload: &[u8]) -> u64 {
    let mut hash = Xxh3::with_seed(offset);
    hash.update(&length.to_le_bytes());
    hash.update(payload);
    hash.digest()
}

/// Length and checksum in front of a payload.
fn prefix(bytes: &[u8]) -> Option<(u32, u64)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, _) = rest.split_first_chunk::<8>()?;
    Some((u32::from_le_bytes(*length), u64::from_le_bytes(*checksum)))
}
