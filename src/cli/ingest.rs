//! `bunter ingest`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::CliError;
use super::progress::bar;
use crate::butler::{Butler, IngestEvent, IngestOptions, Storage};
use crate::camera::Cameras;
use crate::datastore::Transfer;

/// Take exposures in: FITS files become datasets with regions on the sky.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bunter ingest REPO night1/ --run DECam/night1 --register-instruments\n  \
                  bunter ingest REPO *.fits.fz --run HSC/calexp --storage hdf5\n  \
                  bunter ingest REPO /archive/vista --run VIRCAM/raw --transfer direct\n\n\
                  Cameras are described in TOML (header keywords to dimension values); --camera adds one of your own.")]
pub(crate) struct Ingest {
    /// The repository.
    repository: PathBuf,
    /// FITS files, and folders with FITS files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The run that the datasets go to.
    #[arg(long)]
    run: String,
    /// Their dataset type.
    #[arg(long, default_value = "calexp")]
    dataset_type: String,
    /// How FITS files come into the repository: direct leaves them where they are.
    #[arg(long, value_enum, default_value = "copy")]
    transfer: TransferName,
    /// How exposures are kept: fits as they came, hdf5 expanded into page-aligned composites.
    #[arg(long, value_enum, default_value = "fits")]
    storage: StorageName,
    /// Register instruments that are met and are not registered.
    #[arg(long)]
    register_instruments: bool,
    /// TOML description of a camera, asked before the built-in ones.
    #[arg(long, value_name = "FILE")]
    camera: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TransferName {
    Copy,
    Move,
    Hardlink,
    Symlink,
    Direct,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StorageName {
    Fits,
    Hdf5,
}

impl Ingest {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let cameras = cameras(&self.camera)?;
        let options = IngestOptions {
            run: self.run.clone(),
            dataset_type: self.dataset_type.clone(),
            transfer: match self.transfer {
                TransferName::Copy => Transfer::Copy,
                TransferName::Move => Transfer::Move,
                TransferName::Hardlink => Transfer::Hardlink,
                TransferName::Symlink => Transfer::Symlink,
                TransferName::Direct => Transfer::Direct,
            },
            storage: match self.storage {
                StorageName::Fits => Storage::Fits,
                StorageName::Hdf5 => Storage::Hdf5,
            },
            register_instruments: self.register_instruments,
            cameras,
        };
        let butler = Butler::open(&self.repository)?;
        let bar = bar(0, "ingesting {bar:40} {pos}/{len} files, {eta} left");
        let report = butler.ingest(&self.files, &options, &mut |event| match event {
            IngestEvent::Start(files) => bar.set_length(files as u64),
            IngestEvent::Files(files) => bar.set_position(files as u64),
            IngestEvent::Warning(path, warning) => {
                bar.suspend(|| eprintln!("warning: {}: {warning}", path.display()));
            }
        })?;
        bar.finish_and_clear();
        for failure in &report.failures {
            let text = failure.cause.to_string();
            let path = failure.path.display().to_string();
            if text.contains(&path) { eprintln!("error: {text}") } else { eprintln!("error: {path}: {text}") }
        }
        eprintln!(
            "{} files: {} exposures ingested into {}, {} there already, {} masks and weights of others, {} failed",
            report.files,
            report.new,
            self.run,
            report.existing,
            report.companions,
            report.failures.len()
        );
        match report.failures.len() {
            0 => Ok(()),
            n if n < report.files => {
                Err(CliError::Failed(format!("{n} of {} files were not ingested; all others were", report.files)))
            }
            n => Err(CliError::Failed(format!("{n} of {n} files were not ingested"))),
        }
    }
}

/// The built-in cameras, and those that a person has described.
pub(super) fn cameras(files: &[PathBuf]) -> Result<Cameras, CliError> {
    let mut cameras = Cameras::built_in()?;
    for path in files {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| CliError::File {
            doing: "read",
            path: name.clone(),
            source,
        })?;
        cameras.add_toml(&name, &text)?;
    }
    Ok(cameras)
}
