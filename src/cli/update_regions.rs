//! `bunter update-regions`.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use clap::Args;

use super::CliError;
use super::ingest::cameras;
use super::output::{OutputFormat, write_rows};
use super::select::Selection;
use crate::butler::{Butler, RegionSource, UpdateRegionsOptions};
use crate::datastore::{TableOptions, TableReader};

/// Give images better regions and WCSs, all in one transaction; what they had is kept.
///
/// The registry has of each image a region, by which overlaps are found, and a WCS, by which build-coadds warps its pixels.
/// An improved WCS takes the place of both; a polygon (--table with vertices), or --regions-only, that of the region alone. The
/// image files are not touched: `bunter get calexp.wcs` still gives what the file says. Coadds whose images or WCSs have changed
/// are built again by the next build-coadds. query-regions shows what there was before.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bunter update-regions REPO --from jointcal/ --message 'joint fit of tract 9813'\n  \
                  bunter update-regions REPO --table solutions.parquet --instrument DECam\n  \
                  bunter update-regions REPO --dataset-type calexp --collections HSC/jointcal --where 'tract = 9813'\n\n\
                  A table has a row an image: instrument, visit, detector, and vertices (ra dec;ra dec;…), header (FITS\n\
                  cards), or columns named CTYPE1, CRVAL1, CRPIX1, CD1_1, PV1_1, A_0_2 …"
)]
pub(crate) struct UpdateRegions {
    /// The repository.
    repository: PathBuf,
    /// FITS files, and folders of them, whose headers have the improved WCS.
    #[arg(long, value_name = "FILES", num_args = 1.., help_heading = "Source (one of)")]
    from: Vec<PathBuf>,
    /// A table, CSV or Parquet.
    #[arg(long, value_name = "FILE", conflicts_with = "from", help_heading = "Source (one of)")]
    table: Option<PathBuf>,
    /// Datasets of this type, whose files have the improved WCS.
    #[arg(long, value_name = "TYPE", conflicts_with_all = ["from", "table"], requires = "collections", help_heading = "Source (one of)")]
    dataset_type: Option<String>,
    /// Where these datasets are searched, in this order.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        requires = "dataset_type",
        help_heading = "Source (one of)"
    )]
    collections: Vec<String>,
    #[command(flatten)]
    selection: Selection,
    /// The instrument of a table without such a column [default: the only one of the repository].
    #[arg(long, value_name = "NAME", requires = "table")]
    instrument: Option<String>,
    /// TOML description of a camera, asked before the built-in ones.
    #[arg(long, value_name = "FILE", requires = "from")]
    camera: Vec<PathBuf>,
    /// Why, for whoever asks later.
    #[arg(short, long, default_value = "")]
    message: String,
    /// Only the regions: pixels are warped by the WCSs of before.
    #[arg(long)]
    regions_only: bool,
    /// Leave out images that the repository does not have, instead of refusing all.
    #[arg(long)]
    skip_missing: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// How the summary is written.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

impl UpdateRegions {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::open(&self.repository)?;
        let cameras = cameras(&self.camera)?;
        let filter = self.selection.filter()?;
        if filter.is_some() && self.dataset_type.is_none() {
            return Err(CliError::Usage("--where and --id select datasets: they go with --dataset-type".to_owned()));
        }
        let (source, words) = match (&self.table, &self.dataset_type) {
            (Some(path), _) => {
                let reader = TableReader::open(path, TableOptions::default())?;
                let batches = Box::new(reader.map(|batch| batch.map_err(Into::into)));
                (RegionSource::Table { batches, instrument: self.instrument.clone() }, path.display().to_string())
            }
            (None, Some(dataset_type)) => {
                let (dataset_type, collections) = (dataset_type.clone(), self.collections.clone());
                (RegionSource::Datasets { dataset_type, collections, filter }, String::new())
            }
            (None, None) if self.from.is_empty() => {
                return Err(CliError::Usage(
                    "where do the regions come from? --from FILES, --table FILE, or --dataset-type TYPE --collections NAMES"
                        .to_owned(),
                ));
            }
            (None, None) => {
                let words: Vec<_> = self.from.iter().map(|p| p.display().to_string()).collect();
                let paths = self.from.clone();
                let words = if words.len() <= 3 {
                    words.join(", ")
                } else {
                    format!("{}, … ({} paths)", words[0], words.len())
                };
                (RegionSource::Files { paths, cameras: &cameras }, words)
            }
        };
        let options = UpdateRegionsOptions {
            message: self.message.clone(),
            source: words,
            skip_missing: self.skip_missing,
            regions_only: self.regions_only,
            dry_run: self.dry_run,
        };
        let report = butler.update_regions(source, &options)?;
        for text in &report.missing_first {
            eprintln!("warning: left out {text}");
        }
        let would = if self.dry_run { "would be " } else { "" };
        let left_out = if report.missing > 0 { format!(", {} left out", report.missing) } else { String::new() };
        if report.changed == 0 {
            eprintln!("nothing changed: {} images have these regions already{left_out}", report.unchanged);
        } else {
            eprintln!(
                "{} images {would}updated, {} have these regions already{left_out}: region state {} to {}",
                report.changed, report.unchanged, report.before, report.after
            );
        }
        let int = |value: u64| Arc::new(Int64Array::from(vec![value.cast_signed()])) as ArrayRef;
        let text = |value: String| Arc::new(StringArray::from(vec![value])) as ArrayRef;
        let rows = RecordBatch::try_from_iter([
            ("event", int(report.after.number)),
            ("before", text(report.before.to_string())),
            ("after", text(report.after.to_string())),
            ("rows", int(report.rows)),
            ("changed", int(report.changed)),
            ("unchanged", int(report.unchanged)),
            ("missing", int(report.missing)),
        ])?;
        write_rows(&rows, self.format)
    }
}
