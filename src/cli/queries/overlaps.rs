//! `bunter query-overlaps`.

use std::path::PathBuf;

use arrow::record_batch::RecordBatch;
use clap::Args;

use crate::butler::{Butler, OverlapQuery};
use crate::cli::CliError;
use crate::cli::output::{OutputFormat, printable};
use crate::cli::select::{Collections, Selection, SkyRegion};
use crate::cli::table_output::TableOutput;

/// List what touches what on the sky: images of visits and detectors, tracts and patches, and either with a region.
///
/// Rows are written as they are found, so that an answer may be larger than memory.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bunter query-overlaps REPO --where 'tract = 9813 AND patch = 40'\n  \
                  bunter query-overlaps REPO --skymap hsc_rings_v1 --id visit=1228 ccd=42 --dimensions tract,patch,band\n  \
                  bunter query-overlaps REPO --circle 150.1 2.2 0.5 --dimensions visit,detector --format csv\n  \
                  bunter query-overlaps REPO --region 'POLYGON 149 1 151 1 151 3 149 3' --output overlaps.parquet")]
pub(crate) struct QueryOverlaps {
    /// The repository.
    repository: PathBuf,
    /// Name of the sky map [default: the only one that is registered].
    #[arg(long, value_name = "NAME")]
    skymap: Option<String>,
    /// The columns wanted; of rows that are the same in them one is listed. Without any of tract and patch, or of visit,
    /// detector and band, only the other side is looked at [default: all of them].
    #[arg(long, value_name = "NAMES", num_args = 1.., value_delimiter = ',')]
    dimensions: Vec<String>,
    /// Only images that have a dataset of this type.
    #[arg(long, value_name = "TYPE")]
    dataset_type: Option<String>,
    #[command(flatten)]
    collections: Collections,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    region: SkyRegion,
    /// List what the reference implementation's findTractPatchList lists for the corners of an image, to compare: it misses
    /// true overlaps, and has some that are none.
    #[arg(long)]
    reference_behaviour: bool,
    /// At most so many rows.
    #[arg(long, value_name = "ROWS")]
    limit: Option<usize>,
    /// Write the rows to this file: .csv or .parquet.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How rows are written to standard output.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

impl QueryOverlaps {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let (region, filter) = (self.region.region()?, self.selection.filter()?);
        let butler = Butler::open(&self.repository)?.at_this_moment()?;
        let datasets = match &self.dataset_type {
            Some(name) => Some((name.clone(), self.collections.names(&butler)?)),
            None => None,
        };
        let dimensions: Vec<String> = self.dimensions.iter().filter(|d| !d.is_empty()).cloned().collect();
        let query = OverlapQuery {
            sky_map: self.skymap.clone(),
            filter,
            datasets,
            region,
            dimensions: (!dimensions.is_empty()).then_some(dimensions),
            reference_behaviour: self.reference_behaviour,
        };
        let stream = butler.stream_overlaps(&query)?;
        if let (None, Some(name)) = (&self.skymap, stream.sky_map()) {
            eprintln!("sky map: {name}");
        }
        // Identities are texts, in files too.
        let empty = printable(&RecordBatch::new_empty(stream.schema()))?;
        let mut out = TableOutput::new(self.output.as_deref(), self.format, empty.schema())?;
        let mut left = self.limit.unwrap_or(usize::MAX);
        let mut rows = 0;
        for batch in stream {
            if left == 0 {
                break;
            }
            let batch = batch?;
            let batch = printable(&batch.slice(0, left.min(batch.num_rows())))?;
            left -= batch.num_rows();
            rows += batch.num_rows();
            out.write(&batch)?;
        }
        if rows == 0 {
            out.write(&empty)?;
        }
        out.finish()?;
        if let Some(path) = &self.output {
            eprintln!("wrote {rows} rows to {}", path.display());
        }
        Ok(())
    }
}
