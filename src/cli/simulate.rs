//! `bunter simulate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::CliError;
use super::progress::bar;
use crate::simulate::{SimulateOptions, SimulatedWcs, simulate};

/// Write a small survey of known stars: LSST-calexp-like FITS exposures and a truth table, the same bytes on every machine.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bunter simulate sim\n  bunter simulate bench --visits 20 --nx 2048 --ny 4096 --bands r --wcs tpv\n\n\
                  Written: calexp-VVVVVV-DD.fits, visits.csv, truth.csv, target.hdr, params.json."
)]
pub(crate) struct Simulate {
    /// Folder to write to.
    out: PathBuf,
    /// What all randomness comes from.
    #[arg(long, default_value_t = SimulateOptions::new("").seed)]
    seed: u64,
    /// Right ascension of the field, degrees.
    #[arg(long, default_value_t = SimulateOptions::new("").ra)]
    ra: f64,
    /// Declination of the field, degrees.
    #[arg(long, default_value_t = SimulateOptions::new("").dec, allow_negative_numbers = true)]
    dec: f64,
    /// Visits in all; bands take turns.
    #[arg(long, default_value_t = 24)]
    visits: u32,
    /// Detectors of a visit.
    #[arg(long, default_value_t = SimulateOptions::new("").ccds)]
    ccds: u32,
    /// Columns of a detector.
    #[arg(long, default_value_t = SimulateOptions::new("").nx)]
    nx: u32,
    /// Rows of a detector.
    #[arg(long, default_value_t = SimulateOptions::new("").ny)]
    ny: u32,
    /// Arcsec a pixel.
    #[arg(long, default_value_t = SimulateOptions::new("").scale)]
    scale: f64,
    /// Bands, comma-separated.
    #[arg(long, value_delimiter = ',', default_value = "r,i")]
    bands: Vec<String>,
    /// Stars; 0: 200 in 0.25 Mpix of the patch.
    #[arg(long, default_value_t = 0)]
    stars: u32,
    /// Radius of the dither, in short sides of a detector.
    #[arg(long, default_value_t = SimulateOptions::new("").dither)]
    dither: f64,
    /// Largest rotation of a visit, degrees.
    #[arg(long, default_value_t = SimulateOptions::new("").rot)]
    rot: f64,
    /// Projection and distortion.
    #[arg(long, value_enum, default_value = "sip")]
    wcs: WcsName,
    /// Strength of the distortion; 1: 1.5 pixels at the corner of a 2k x 4k detector.
    #[arg(long, default_value_t = SimulateOptions::new("").sip, allow_negative_numbers = true)]
    sip: f64,
    /// Cosmic rays of an exposure that the mask does not know.
    #[arg(long, default_value_t = 0)]
    unflagged_cr: u32,
    /// A satellite trail that the mask does not know in every fifth visit.
    #[arg(long)]
    trail: bool,
    /// Side of the patch of target.hdr, pixels; 0: 1.2 times the longer side of a detector.
    #[arg(long, default_value_t = 0)]
    patch: u32,
    /// Arcsec a pixel of that patch; 0: as --scale.
    #[arg(long, default_value_t = 0.0)]
    patch_scale: f64,
    /// Write over a survey that is there.
    #[arg(long)]
    overwrite: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WcsName {
    Sip,
    Tpv,
    Tan,
}

impl Simulate {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let options = SimulateOptions {
            overwrite: self.overwrite,
            seed: self.seed,
            ra: self.ra,
            dec: self.dec,
            visits: self.visits,
            ccds: self.ccds,
            nx: self.nx,
            ny: self.ny,
            scale: self.scale,
            bands: self.bands.clone(),
            stars: self.stars,
            dither: self.dither,
            rot: self.rot,
            wcs: match self.wcs {
                WcsName::Sip => SimulatedWcs::Sip,
                WcsName::Tpv => SimulatedWcs::Tpv,
                WcsName::Tan => SimulatedWcs::Tan,
            },
            sip: self.sip,
            unflagged_cr: self.unflagged_cr,
            trail: self.trail,
            patch: self.patch,
            patch_scale: self.patch_scale,
            ..SimulateOptions::new(&self.out)
        };
        let bar = bar(options.exposures(), "simulating {bar:40} {pos}/{len} exposures, {eta} left");
        let survey = simulate(&options, &|progress| bar.set_position(progress.done))?;
        bar.finish_and_clear();
        eprintln!(
            "{} exposures of {} x {} pixels, {} stars, {:.1} MB in {}",
            survey.files.len(),
            options.nx,
            options.ny,
            survey.stars,
            survey.bytes as f64 / 1e6,
            self.out.display()
        );
        Ok(())
    }
}
