//! `bunter certify-calibrations`, `decertify-calibrations`, `query-calibrations`.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{Field, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use clap::Args;

use super::chosen;
use crate::butler::Butler;
use crate::cli::CliError;
use crate::cli::output::{OutputFormat, write_rows};
use crate::cli::select::{Rows, Selection, data_id};
use crate::dataset::Timespan;
use crate::dimension::DataId;

/// `--begin`, `--end`.
#[derive(Debug, Args)]
struct Validity {
    /// The beginning of the validity: an ISO date or time (TAI), or an MJD [default: always].
    #[arg(long, value_name = "TIME")]
    begin: Option<String>,
    /// The first time that is no longer in it [default: for ever].
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
}

impl Validity {
    fn span(&self) -> Result<Timespan, CliError> {
        let text = |bound: &Option<String>| bound.clone().unwrap_or_default();
        Timespan::parse(&text(&self.begin), &text(&self.end)).map_err(|e| CliError::Usage(e.to_string()))
    }
}

/// Make calibrations valid for a span of time.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bunter certify-calibrations REPO u/me/flats calib/2025b flat --begin 2025-02-01 --end 2025-03-01"
)]
pub(crate) struct CertifyCalibrations {
    /// The repository.
    repository: PathBuf,
    /// Where the datasets are: a collection.
    input: String,
    /// The CALIBRATION collection; it is made when it is not there.
    output: String,
    /// Dataset types.
    #[arg(value_delimiter = ',', required = true)]
    dataset_types: Vec<String>,
    #[command(flatten)]
    validity: Validity,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    rows: Rows,
}

impl CertifyCalibrations {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let span = self.validity.span()?;
        let butler = Butler::open(&self.repository)?;
        let query = self.rows.query(&self.selection)?;
        let ids = chosen(&butler, &self.dataset_types, std::slice::from_ref(&self.input), &query, true)?;
        if ids.is_empty() {
            let types = self.dataset_types.join(", ");
            return Err(CliError::Failed(format!("there are no {types} in {} to certify", self.input)));
        }
        let registry = butler.registry()?;
        registry.register_calibration(&self.output)?;
        let done = registry.certify(&self.output, &ids, span)?;
        eprintln!("{}: {} datasets certified for {span}, {} were so already", self.output, done.new, done.existing);
        Ok(())
    }
}

/// Take a span of time from the validity of calibrations.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bunter decertify-calibrations REPO calib/2025b flat --begin 2025-02-10 --end 2025-02-12 --id instrument=HSC --id detector=3"
)]
pub(crate) struct DecertifyCalibrations {
    /// The repository.
    repository: PathBuf,
    /// The CALIBRATION collection.
    collection: String,
    /// The dataset type.
    dataset_type: String,
    #[command(flatten)]
    validity: Validity,
    /// Only this data ID, a value each time: instrument=HSC [default: all].
    #[arg(long, value_name = "DIMENSION=VALUE")]
    id: Vec<String>,
}

impl DecertifyCalibrations {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let span = self.validity.span()?;
        let butler = Butler::open(&self.repository)?;
        let ids: Vec<DataId> = if self.id.is_empty() { Vec::new() } else { vec![data_id(&self.id)?] };
        let touched = butler.registry()?.decertify(&self.collection, &self.dataset_type, span, &ids)?;
        eprintln!("{}: {touched} validity ranges shortened, cut or removed", self.collection);
        Ok(())
    }
}

/// List what is valid when, or find what is valid at a time or for a visit.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bunter query-calibrations REPO flat --collections calib/2025b\n  \
                        bunter query-calibrations REPO flat --collections flat=calib/2025b,*=calib/2024a --at 2025-02-10T03:00:00\n  \
                        bunter query-calibrations REPO bias --collections calib/2025b --visit 1228 --instrument HSC")]
pub(crate) struct QueryCalibrations {
    /// The repository.
    repository: PathBuf,
    /// The dataset type.
    dataset_type: String,
    /// Collections to search, in this order.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
    collections: Vec<String>,
    /// Only what is valid at this time: an ISO date or time (TAI), or an MJD.
    #[arg(long, value_name = "TIME", conflicts_with = "visit")]
    at: Option<String>,
    /// Only what is valid during this visit or exposure.
    #[arg(long, value_name = "VISIT", requires = "instrument")]
    visit: Option<i64>,
    /// The instrument of the visit.
    #[arg(long, value_name = "NAME")]
    instrument: Option<String>,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    rows: Rows,
    /// How rows are written.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

impl QueryCalibrations {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::open(&self.repository)?;
        let time = match (&self.at, self.visit, &self.instrument) {
            (Some(text), ..) => Some(Timespan::instant(text).map_err(|e| CliError::Usage(e.to_string()))?),
            (None, Some(visit), Some(instrument)) => {
                let id = DataId::new().with("instrument", instrument.as_str()).with("visit", visit);
                butler.reader().timespans(&[id])?.pop()
            }
            _ => None,
        };
        let names: Vec<&str> = self.collections.iter().map(String::as_str).collect();
        let mut query = self.rows.query(&self.selection)?;
        let limit = query.limit.take();
        let table = butler.reader().calibrations(&self.dataset_type, &names, &query)?;
        let ends = |name: &str| table.column_by_name(name).and_then(|a| a.as_primitive_opt::<Int64Type>()).cloned();
        let (Some(begin), Some(end)) = (ends("begin"), ends("end")) else { return Ok(()) };
        let bound = |a: &arrow::array::Int64Array, row: usize| a.is_valid(row).then(|| a.value(row));
        let span = |row: usize| Timespan { begin: bound(&begin, row), end: bound(&end, row) };
        let rows = (0..table.num_rows()).filter(|row| time.is_none_or(|t| span(*row).overlaps(t)));
        let rows: Vec<usize> = rows.take(limit.unwrap_or(usize::MAX)).collect();
        let indices: arrow::array::UInt64Array = rows.iter().map(|r| Some(*r as u64)).collect();
        let chosen = arrow::compute::take_record_batch(&table, &indices)?;
        let mut columns = chosen.columns().to_vec();
        let mut fields: Vec<Arc<Field>> = chosen.schema_ref().fields().iter().cloned().collect();
        for name in ["begin", "end"] {
            let Ok(at) = chosen.schema_ref().index_of(name) else { continue };
            let texts: StringArray = rows
                .iter()
                .map(|row| {
                    let edge = if name == "begin" { span(*row).begin } else { span(*row).end };
                    edge.map(|t| Timespan { begin: Some(t), end: None }.to_string())
                })
                .map(|text| text.map(|t| t.trim_start_matches('[').split(',').next().unwrap_or_default().to_owned()))
                .collect();
            fields[at] = Arc::new(Field::new(name, arrow::datatypes::DataType::Utf8, true));
            columns[at] = Arc::new(texts) as ArrayRef;
        }
        write_rows(&RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?, self.format)
    }
}
