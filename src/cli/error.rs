//! [`CliError`]: how a failure is told, and with which exit code.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use crate::butler::ButlerError;
use crate::camera::CameraError;
use crate::coadd::CoaddError;
use crate::datastore::DatastoreError;
use crate::dimension::{DimensionError, ExpressionError};
use crate::ranks::{BuildError, RanksError};
use crate::registry::RegistryError;
use crate::simulate::SimulateError;
use crate::skymap::SkyMapError;
use crate::sphere::SphereError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command line has no meaning.
    #[error("{0}")]
    Usage(String),
    /// The work was done in part, or a check did not hold; what failed was told already.
    #[error("{0}")]
    Failed(String),
    /// Another rank tells why.
    #[error("")]
    Silent,
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// A file of the person's own cannot be read or written.
    #[error("cannot {doing} {path}: {source}")]
    File { doing: &'static str, path: String, source: io::Error },
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    #[error(transparent)]
    Butler(#[from] ButlerError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Ranks(#[from] RanksError),
    #[error(transparent)]
    Camera(#[from] CameraError),
    #[error(transparent)]
    SkyMap(#[from] SkyMapError),
    #[error(transparent)]
    Sphere(#[from] SphereError),
    #[error(transparent)]
    Coadd(#[from] CoaddError),
    #[error(transparent)]
    Datastore(#[from] DatastoreError),
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    #[error(transparent)]
    Dimension(#[from] DimensionError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl CliError {
    /// Tells the person: what, then each cause that the text does not name already.
    pub(crate) fn report(&self) {
        if matches!(self, Self::Silent) {
            return;
        }
        let mut told = self.to_string();
        eprintln!("error: {told}");
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !told.contains(&text) {
                eprintln!("  caused by: {text}");
            }
            told.push_str(&text);
            cause = error.source();
        }
    }

    /// 2 for a command that was not understood, 1 for one that failed.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Expression(_) => ExitCode::from(2),
            _ => ExitCode::from(1),
        }
    }
}
