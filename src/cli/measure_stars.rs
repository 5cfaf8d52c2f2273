//! `bunter measure-stars`: the verdict on a coadd of known stars.

use std::fs::File;
use std::io::Seek;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Float64Type};
use arrow::record_batch::RecordBatch;
use clap::Args;

use super::CliError;
use super::output::{OutputFormat, write_rows};
use super::select::Collections;
use crate::butler::{Butler, floats, ints, texts};
use crate::coadd::{KnownStar, StarAperture, StarCheck};
use crate::dataset::Coadd;
use crate::datastore::Dataset;
use crate::dimension::DataId;
use crate::registry::Query;
use crate::sphere::LonLat;
use crate::wcs::HeaderValue;

/// Measure stars of known position and flux on coadds, and say whether they come out right.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bunter measure-stars REPO --skymap demo --collections coadds --truth sim/truth.csv\n\n\
                  The table has columns ra, dec (degrees), flux27_BAND (counts of zero point 27), and optionally isolated (0 or 1)."
)]
pub(crate) struct MeasureStars {
    /// The repository.
    repository: PathBuf,
    /// The sky map.
    #[arg(long, value_name = "NAME")]
    skymap: String,
    /// The table of known stars (CSV).
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// Dataset type of the coadds.
    #[arg(long, default_value = "deepCoadd")]
    dataset_type: String,
    #[command(flatten)]
    collections: Collections,
    /// Radius of the aperture, arcsec [default: 2.5 times the worst seeing of the images].
    #[arg(long, value_name = "ARCSEC")]
    radius: Option<f64>,
    /// How the table is written.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

/// What must hold: the mean flux ratio is 1 within this,
const RATIO: f64 = 0.002;
/// the scatter over the error is 1 within this factor,
const SCATTER: f64 = 1.25;
/// and the centroid is within this of the truth, pixels.
const CENTROID: f64 = 0.05;

/// The table of known stars.
struct Truth {
    sky: Vec<LonLat>,
    isolated: Vec<bool>,
    batch: RecordBatch,
}

impl MeasureStars {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let truth = self.truth()?;
        let butler = Butler::open(&self.repository)?;
        let names = self.collections.names(&butler)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let rows = butler.query_datasets(&self.dataset_type, &names, &Query::all(), true)?;
        let (skymap, tract, patch, band) =
            (texts(&rows, "skymap")?, ints(&rows, "tract")?, ints(&rows, "patch")?, texts(&rows, "band")?);
        let seeing = worst_seeing(&butler)?;
        let mut checks: Vec<(String, StarCheck)> = Vec::new();
        for row in (0..rows.num_rows()).filter(|row| skymap.value(*row) == self.skymap) {
            let id = DataId::new()
                .with("skymap", self.skymap.as_str())
                .with("tract", tract.value(row))
                .with("patch", patch.value(row))
                .with("band", band.value(row));
            let Dataset::Coadd(coadd) = butler.get(&self.dataset_type, &id, &names, None)? else { continue };
            let geometry = butler.sky_map(&self.skymap)?.tract(tract.value(row) as u32)?;
            let inner = geometry.patch(patch.value(row) as u32)?.inner_bbox();
            let check = self.measure(&coadd, inner, band.value(row), &truth, seeing)?;
            match checks.iter_mut().find(|(name, _)| name == band.value(row)) {
                Some((_, sum)) => sum.merge(check),
                None => checks.push((band.value(row).to_owned(), check)),
            }
        }
        checks.sort_by(|a, b| a.0.cmp(&b.0));
        if checks.iter().all(|(_, check)| check.stars() == 0) {
            return Err(CliError::Failed(format!(
                "no star of {} could be measured on `{}` of sky map `{}`: compare their positions with the coadds'",
                self.truth.display(),
                self.dataset_type,
                self.skymap
            )));
        }
        write_rows(&table(&checks)?, self.format)?;
        let wrong: Vec<&str> = checks.iter().filter(|(_, c)| !passes(c)).map(|(band, _)| band.as_str()).collect();
        let limits = format!(
            "flux ratio 1 within {} %, scatter / error within a factor {SCATTER}, centroids within {CENTROID} pixel",
            RATIO * 100.0
        );
        if wrong.is_empty() {
            eprintln!("verdict: right ({limits})");
            return Ok(());
        }
        Err(CliError::Failed(format!("verdict: wrong in band {} ({limits})", wrong.join(", "))))
    }

    fn truth(&self) -> Result<Truth, CliError> {
        let path = self.truth.display().to_string();
        let io = |source| CliError::File { doing: "read", path: path.clone(), source };
        let mut file = File::open(&self.truth).map_err(io)?;
        let format = Format::default().with_header(true);
        let (schema, _) = format.infer_schema(&mut file, Some(1000))?;
        file.rewind().map_err(io)?;
        let schema = Arc::new(schema);
        let reader = ReaderBuilder::new(Arc::clone(&schema)).with_header(true).build(file)?;
        let batches = reader.collect::<Result<Vec<_>, _>>()?;
        let batch = arrow::compute::concat_batches(&schema, &batches)?;
        let column = |name: &str| numbers(&batch, name, &path);
        let sky =
            column("ra")?.into_iter().zip(column("dec")?).map(|(ra, dec)| LonLat::from_degrees(ra, dec)).collect();
        let isolated = match batch.column_by_name("isolated") {
            Some(_) => column("isolated")?.into_iter().map(|v| v != 0.0).collect(),
            None => vec![true; batch.num_rows()],
        };
        Ok(Truth { sky, isolated, batch })
    }

    /// The stars in the inner part of a patch, so that each is measured once.
    fn measure(
        &self,
        coadd: &Coadd,
        inner: crate::wcs::PixelBox,
        band: &str,
        truth: &Truth,
        seeing: f64,
    ) -> Result<StarCheck, CliError> {
        let mut check = StarCheck::default();
        let path = self.truth.display().to_string();
        let flux = numbers(&truth.batch, &format!("flux27_{band}"), &path)?;
        let [cx, cy] = [inner.x0 + inner.width as i32 / 2, inner.y0 + inner.height as i32 / 2].map(f64::from);
        let scale = coadd.wcs.pixel_scale(cx, cy).unwrap_or(f64::NAN);
        let to_counts = 10_f64.powf(0.4 * (coadd.zero_point - 27.0));
        let aperture = StarAperture {
            radius: self.radius.unwrap_or(2.5 * seeing) / scale,
            fwhm: seeing / scale,
            noise_correlation: coadd.metadata.get("NOISECOR").and_then(HeaderValue::as_f64).unwrap_or(1.0),
            bad: coadd.mask_planes.bits(&["SAT", "NO_DATA"]),
        };
        for ((sky, isolated), flux) in truth.sky.iter().zip(&truth.isolated).zip(flux) {
            if !isolated {
                continue;
            }
            let Some((x, y)) = coadd.wcs.sky_to_pixel(*sky) else { continue };
            let (column, row) = ((x + 0.5).floor(), (y + 0.5).floor());
            if column.abs() > 1e9 || row.abs() > 1e9 || !inner.contains(column as i32, row as i32) {
                continue;
            }
            let star =
                KnownStar { x: x - f64::from(coadd.bbox.x0), y: y - f64::from(coadd.bbox.y0), flux: flux * to_counts };
            check.add(coadd.image.view(), coadd.variance.view(), coadd.mask.view(), star, aperture)?;
        }
        Ok(check)
    }
}

/// Worst seeing of any image, arcsec; 1 where none is known.
fn worst_seeing(butler: &Butler) -> Result<f64, CliError> {
    let records = butler.query_dimension_records("visit_detector", &Query::all())?;
    let worst = floats(&records, "seeing")?.iter().flatten().fold(0.0, f64::max);
    Ok(if worst > 0.0 { worst } else { 1.0 })
}

fn numbers(batch: &RecordBatch, name: &str, path: &str) -> Result<Vec<f64>, CliError> {
    let Some(column) = batch.column_by_name(name) else {
        let known: Vec<String> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
        return Err(CliError::Failed(format!("{path} has no column `{name}`; it has {}", known.join(", "))));
    };
    let column = arrow::compute::cast(column, &DataType::Float64)?;
    Ok(column.as_primitive::<Float64Type>().iter().map(|v| v.unwrap_or(f64::NAN)).collect())
}

fn passes(check: &StarCheck) -> bool {
    let scatter = check.scatter();
    check.stars() == 0
        || ((check.flux_ratio().0 - 1.0).abs() <= RATIO
            && (1.0 / SCATTER..=SCATTER).contains(&scatter)
            && (check.centroid_offset().0 <= CENTROID || check.centroid_offset().1 == 0))
}

fn table(checks: &[(String, StarCheck)]) -> Result<RecordBatch, CliError> {
    let ints = |value: &dyn Fn(&StarCheck) -> usize| -> ArrayRef {
        Arc::new(checks.iter().map(|(_, c)| value(c) as i64).collect::<Int64Array>())
    };
    let reals = |value: &dyn Fn(&StarCheck) -> f64| -> ArrayRef {
        Arc::new(checks.iter().map(|(_, c)| value(c)).collect::<Float64Array>())
    };
    Ok(RecordBatch::try_from_iter([
        ("band", Arc::new(StringArray::from_iter_values(checks.iter().map(|(band, _)| band))) as ArrayRef),
        ("stars", ints(&StarCheck::stars)),
        ("skipped", ints(&|c| c.skipped)),
        ("flux_ratio", reals(&|c| c.flux_ratio().0)),
        ("flux_ratio_err", reals(&|c| c.flux_ratio().1)),
        ("scatter_over_error", reals(&StarCheck::scatter)),
        ("centroid_offset_px", reals(&|c| c.centroid_offset().0)),
        ("bright_stars", ints(&|c| c.centroid_offset().1)),
    ])?)
}
