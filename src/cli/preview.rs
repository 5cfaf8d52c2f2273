//! `bunter preview`: coadds as a picture.

use std::path::{Path, PathBuf};

use clap::Args;
use ndarray::Array2;

use super::CliError;
use super::select::Collections;
use crate::butler::{Butler, ints, texts};
use crate::coadd::{AsinhStretch, asinh_rgb};
use crate::datastore::Dataset;
use crate::dimension::DataId;
use crate::registry::Query;
use crate::wcs::PixelBox;

/// Bands from blue to red, as far as they have customary names.
const WAVELENGTHS: &str = "uUBgGVrRiIzZyYJHK";

/// Write a picture of the coadds of a tract: asinh stretch, colour from up to three bands.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bunter preview REPO --skymap demo --collections coadds --output coadd.png")]
pub(crate) struct Preview {
    /// The repository.
    repository: PathBuf,
    /// The sky map.
    #[arg(long, value_name = "NAME")]
    skymap: String,
    /// The tract [default: the one with most coadds].
    #[arg(long)]
    tract: Option<i64>,
    /// Dataset type of the coadds.
    #[arg(long, default_value = "deepCoadd")]
    dataset_type: String,
    #[command(flatten)]
    collections: Collections,
    /// Longest side of the picture, pixels.
    #[arg(long, default_value_t = 1600)]
    size: u32,
    /// The PNG file that is written.
    #[arg(long, short)]
    output: PathBuf,
}

impl Preview {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::open(&self.repository)?;
        let names = self.collections.names(&butler)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let what = Picture {
            dataset_type: &self.dataset_type,
            collections: &names,
            sky_map: &self.skymap,
            tract: self.tract,
            size: self.size,
        };
        what.write(&butler, &self.output)
    }
}

/// Which coadds are shown, and how large.
pub(crate) struct Picture<'a> {
    pub(crate) dataset_type: &'a str,
    pub(crate) collections: &'a [&'a str],
    pub(crate) sky_map: &'a str,
    pub(crate) tract: Option<i64>,
    pub(crate) size: u32,
}

impl Picture<'_> {
    pub(crate) fn write(&self, butler: &Butler, path: &Path) -> Result<(), CliError> {
        let rows = butler.query_datasets(self.dataset_type, self.collections, &Query::all(), true)?;
        let (skymap, tract, patch, band) =
            (texts(&rows, "skymap")?, ints(&rows, "tract")?, ints(&rows, "patch")?, texts(&rows, "band")?);
        let mut coadds: Vec<(i64, i64, &str)> = (0..rows.num_rows())
            .filter(|row| skymap.value(*row) == self.sky_map)
            .map(|row| (tract.value(row), patch.value(row), band.value(row)))
            .collect();
        let count = |tract: i64| coadds.iter().filter(|c| c.0 == tract).count();
        let chosen = self.tract.or_else(|| coadds.iter().map(|c| c.0).max_by_key(|t| (count(*t), -t)));
        let Some(chosen) = chosen.filter(|t| count(*t) > 0) else {
            return Err(CliError::Failed(format!(
                "no `{}` of sky map `{}` to show in {}",
                self.dataset_type,
                self.sky_map,
                self.collections.join(", ")
            )));
        };
        coadds.retain(|c| c.0 == chosen);
        let bands = shown_bands(coadds.iter().map(|c| c.2));
        let geometry = butler.sky_map(self.sky_map)?;
        let tract = geometry.tract(u32::try_from(chosen).unwrap_or(u32::MAX))?;
        let mut inner = Vec::with_capacity(coadds.len());
        for (_, patch, _) in &coadds {
            inner.push(tract.patch(u32::try_from(*patch).unwrap_or(u32::MAX))?.inner_bbox());
        }
        let whole = hull(&inner);
        let block = (whole.width.max(whole.height)).div_ceil(self.size.max(1)).max(1) as usize;
        let shape = (whole.shape().0.div_ceil(block), whole.shape().1.div_ceil(block));
        let mut canvases: Vec<(Array2<f32>, Array2<f32>)> =
            bands.iter().map(|_| (Array2::zeros(shape), Array2::zeros(shape))).collect();
        for ((tract, patch, band), bbox) in coadds.iter().zip(inner) {
            let Some(at) = bands.iter().position(|b| b == band) else { continue };
            let id = DataId::new()
                .with("skymap", self.sky_map)
                .with("tract", *tract)
                .with("patch", *patch)
                .with("band", *band);
            let name = format!("{}.image", self.dataset_type);
            let Dataset::Image(image) = butler.get(&name, &id, self.collections, Some(bbox))? else { continue };
            let (sum, weight) = &mut canvases[at];
            let (x0, y0) = ((bbox.x0 - whole.x0) as usize, (bbox.y0 - whole.y0) as usize);
            for ((y, x), value) in image.indexed_iter().filter(|(_, v)| v.is_finite()) {
                let place = [(y0 + y) / block, (x0 + x) / block];
                sum[place] += value;
                weight[place] += 1.0;
            }
        }
        let planes: Vec<Array2<f32>> = canvases.into_iter().map(|(sum, weight)| sum / weight).collect();
        let views: Vec<_> = planes.iter().map(|plane| plane.view()).collect();
        let middle = &views[views.len() / 2];
        let picture = asinh_rgb(&views, AsinhStretch::for_image(*middle), self.size)?;
        picture.write_png(path)?;
        eprintln!("picture: {} (tract {chosen}, bands {})", path.display(), bands.join(", "));
        Ok(())
    }
}

/// Up to three bands, from blue to red.
fn shown_bands<'a>(bands: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut bands: Vec<&str> = bands.collect();
    bands.sort_by_key(|band| (WAVELENGTHS.find(band).unwrap_or(usize::MAX), *band));
    bands.dedup();
    match bands.len() {
        0..=3 => bands,
        n => vec![bands[0], bands[n / 2], bands[n - 1]],
    }
}

fn hull(boxes: &[PixelBox]) -> PixelBox {
    let x0 = boxes.iter().map(|b| b.x0).min().unwrap_or_default();
    let y0 = boxes.iter().map(|b| b.y0).min().unwrap_or_default();
    let side =
        |end: Option<i64>, start: i32| u32::try_from(end.unwrap_or_default() - i64::from(start)).unwrap_or_default();
    let width = side(boxes.iter().map(|b| b.x_end()).max(), x0);
    let height = side(boxes.iter().map(|b| b.y_end()).max(), y0);
    PixelBox::new(x0, y0, width, height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_go_from_blue_to_red() {
        assert_eq!(shown_bands(["i", "g", "r", "i"].into_iter()), ["g", "r", "i"]);
        assert_eq!(shown_bands(["y", "u", "g", "z", "r"].into_iter()), ["u", "r", "y"]);
        assert_eq!(shown_bands(["narrow", "H"].into_iter()), ["H", "narrow"]);
    }
}
