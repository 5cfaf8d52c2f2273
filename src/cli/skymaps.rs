//! `bunter register-skymap`, `make-discrete-skymap`.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use super::select::{Collections, Selection};
use crate::butler::{Butler, DiscreteSkyMapOptions};
use crate::skymap::{SkyMap, SkyMapConfig};

/// Register a sky map: a way to cut the sky into tracts and patches.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bunter register-skymap REPO hsc_rings_v1\n  \
                  bunter register-skymap REPO mine --config skymap.toml\n  \
                  bunter register-skymap REPO field --header target.hdr --patch-size 2000")]
pub(crate) struct RegisterSkymap {
    /// The repository.
    repository: PathBuf,
    /// The name it is registered under; without another option a preset: hsc_rings_v1, lsst_cells_v1, DC2.
    name: String,
    /// TOML configuration of the sky map.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["header", "preset"])]
    config: Option<PathBuf>,
    /// A preset to be registered under another name.
    #[arg(long, conflicts_with = "header")]
    preset: Option<String>,
    /// One tract with the pixel grid of this FITS header (text, as for SWarp's .head and Montage).
    #[arg(long, value_name = "FILE")]
    header: Option<PathBuf>,
    /// Pixels on a side of a patch, with --header [default: one patch].
    #[arg(long, value_name = "PIXELS", requires = "header")]
    patch_size: Option<u32>,
}

impl RegisterSkymap {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|source| CliError::File {
                doing: "read",
                path: path.display().to_string(),
                source,
            })
        };
        let sky_map = if let Some(path) = &self.config {
            SkyMap::from_toml(&read(path)?)?
        } else if let Some(path) = &self.header {
            SkyMap::new(SkyMapConfig::from_fits_header(&read(path)?, self.patch_size)?)?
        } else {
            SkyMap::preset(self.preset.as_deref().unwrap_or(&self.name))?
        };
        let inserted = Butler::open(&self.repository)?.register_sky_map(&self.name, &sky_map)?;
        told(&self.name, &sky_map, inserted.new > 0);
        Ok(())
    }
}

/// Make a sky map of one tract that covers the images of a repository, and register it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bunter make-discrete-skymap REPO field --collections exposures --pixel-scale 0.2")]
pub(crate) struct MakeDiscreteSkymap {
    /// The repository.
    repository: PathBuf,
    /// The name it is registered under.
    name: String,
    /// The dataset type of the images.
    #[arg(long, default_value = "calexp")]
    dataset_type: String,
    #[command(flatten)]
    collections: Collections,
    #[command(flatten)]
    selection: Selection,
    /// Pixel scale, arcsec [default: that of the images].
    #[arg(long, value_name = "ARCSEC")]
    pixel_scale: Option<f64>,
    /// Pixels on a side of a patch, without its border.
    #[arg(long, value_name = "PIXELS", default_value_t = 4000)]
    patch_size: u32,
    /// Pixels by which a patch reaches into its neighbours.
    #[arg(long, value_name = "PIXELS", default_value_t = 100)]
    patch_border: u32,
}

impl MakeDiscreteSkymap {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::open(&self.repository)?;
        let options = DiscreteSkyMapOptions {
            dataset_type: self.dataset_type.clone(),
            collections: self.collections.names(&butler)?,
            filter: self.selection.filter()?,
            pixel_scale: self.pixel_scale,
            patch_size: self.patch_size,
            patch_border: self.patch_border,
        };
        let sky_map = butler.make_discrete_sky_map(&options)?;
        let inserted = butler.register_sky_map(&self.name, &sky_map)?;
        told(&self.name, &sky_map, inserted.new > 0);
        Ok(())
    }
}

fn told(name: &str, sky_map: &SkyMap, new: bool) {
    let (nx, ny) = sky_map.max_patches();
    let tracts = sky_map.len();
    eprintln!(
        "sky map {name}: {tracts} tract{} of up to {nx} x {ny} patches, {}",
        if tracts == 1 { "" } else { "s" },
        if new { "registered" } else { "was registered already" }
    );
}
