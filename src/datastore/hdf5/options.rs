//! [`StorageOptions`]: how the pixels of a composite are laid out.

use serde::{Deserialize, Serialize};

/// How the pixels of a composite are laid out in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StorageOptions {
    /// Row after row, from a page boundary on, so that boxes are read through a memory map. The default.
    #[default]
    Contiguous,
    /// In chunks, shuffled and compressed by gzip, which any HDF5 tool reads without a plugin.
    Chunked {
        /// Rows and columns of a chunk; at least 1, cut to the image.
        chunk: (u32, u32),
        /// 1 (fast) to 9 (small); 0 for chunks without compression.
        gzip: u8,
    },
}

impl StorageOptions {
    /// Chunks of 256 by 256 pixels, gzip level 4.
    pub const COMPRESSED: Self = Self::Chunked { chunk: (256, 256), gzip: 4 };
}
