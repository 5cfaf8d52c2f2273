//! [`SimulateError`].

use std::path::PathBuf;

/// Why a survey could not be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// An option makes no sense.
    #[error("--{option} {value}: {reason}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What it was set to.
        value: String,
        /// What it must be.
        reason: String,
    },
    /// The survey would not fit on the disk.
    #[error("{exposures} exposures take {needed_gb:.1} GB, and {} has {free_gb:.1} GB left", out.display())]
    TooLarge {
        /// Number of exposures.
        exposures: u64,
        /// What they take, 10^9 bytes.
        needed_gb: f64,
        /// What there is, 10^9 bytes.
        free_gb: f64,
        /// The folder.
        out: PathBuf,
    },
    /// The folder holds a survey already.
    #[error("{} holds a simulated survey already ({found}); choose another folder, or --overwrite", out.display())]
    Occupied {
        /// The folder.
        out: PathBuf,
        /// A file found there.
        found: String,
    },
    /// A file could not be written. What was being written is taken away again; whole files stay.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The options describe no usable WCS (a pole inside the field, distortion beyond all bounds).
    #[error("no usable WCS: {0}")]
    Wcs(#[from] crate::wcs::WcsError),
}
