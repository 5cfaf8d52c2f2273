//! xxh3-64 of whole files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use crate::datastore::error::{DatastoreError, Result};

/// Size in bytes and xxh3-64 of a file.
///
/// # Errors
/// [`DatastoreError::NotFound`], [`DatastoreError::Io`].
pub fn checksum(path: &Path) -> Result<(u64, u64)> {
    let failed = |e| DatastoreError::io("read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let mut hash = Xxh3::new();
    let mut size = 0;
    let mut buffer = vec![0; 1 << 18];
    loop {
        let n = match file.read(&mut buffer) {
            Ok(0) => return Ok((size, hash.digest())),
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(failed(e)),
        };
        hash.update(buffer.get(..n).unwrap_or_default());
        size += n as u64;
    }
}
