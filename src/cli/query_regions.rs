//! `bunter query-regions`.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use clap::Args;

use super::CliError;
use super::output::{OutputFormat, write_rows};
use super::select::{Rows, Selection};
use crate::butler::Butler;
use crate::registry::RegionMoment;
use crate::sphere::{ConvexPolygon, Region};

/// List where images lie on the sky: now, at an earlier moment, or through all updates.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bunter query-regions REPO --id visit=1228 ccd=42 --history\n  \
                  bunter query-regions REPO --where 'visit < 2000' --as-of 3 --format csv\n  \
                  bunter query-regions REPO --as-of 2026-11-22T18:00:00\n  \
                  bunter query-regions REPO --as-of-run HSC/coadd\n  \
                  bunter query-regions REPO --events\n\n\
                  Times are UTC. Event 0 is before the first.")]
pub(crate) struct QueryRegions {
    /// The repository.
    repository: PathBuf,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    rows: Rows,
    /// All regions that an image has had, with the events between which each was valid.
    #[arg(long, conflicts_with_all = ["as_of", "as_of_run", "events"])]
    history: bool,
    /// Regions as they were after an event, by its number, or at a time.
    #[arg(long, value_name = "EVENT|TIME", conflicts_with_all = ["as_of_run", "events"])]
    as_of: Option<String>,
    /// Regions as they were when a run was planned last.
    #[arg(long, value_name = "RUN", conflicts_with = "events")]
    as_of_run: Option<String>,
    /// The events themselves: what changed, when, by whom, and why.
    #[arg(long)]
    events: bool,
    /// How rows are written.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

impl QueryRegions {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let butler = Butler::open(&self.repository)?;
        if self.events {
            return write_rows(&events(&butler)?, self.format);
        }
        let query = self.rows.query(&self.selection)?;
        if self.history {
            let history = butler.registry()?.region_history(&query)?;
            return write_rows(&versions(&butler, &history)?, self.format);
        }
        let moment = match (&self.as_of, &self.as_of_run) {
            (Some(text), _) => Some(moment(text)?),
            (None, Some(run)) => {
                let uses = butler.registry()?.region_uses(run)?;
                let last = uses.last().ok_or_else(|| {
                    CliError::Failed(format!(
                        "it is not known of which regions run `{run}` is: nothing was built in it since regions are kept"
                    ))
                })?;
                // The number alone could be that of another history, after a restored copy.
                butler.check_past(last.state, &format!("run `{run}`"))?;
                Some(RegionMoment::Event(last.state.number))
            }
            (None, None) => None,
        };
        let (state, records) = if let Some(moment) = moment {
            (butler.registry()?.region_state_at(moment)?, butler.regions_as_of(moment, &query)?)
        } else {
            let now = butler.at_this_moment()?;
            (now.reader().region_state()?, now.reader().dimension_records("visit_detector", &query)?)
        };
        eprintln!("region state {state}");
        self.rows.write(&regions(&records)?, self.format)
    }
}

/// The number of an event, or a time, UTC.
fn moment(text: &str) -> Result<RegionMoment, CliError> {
    if let Ok(number) = text.parse::<u64>() {
        return Ok(RegionMoment::Event(number));
    }
    match string_to_timestamp_nanos(text) {
        Ok(nanoseconds) => Ok(RegionMoment::Time(nanoseconds.div_euclid(1000))),
        Err(_) => Err(CliError::Usage(format!(
            "--as-of {text} is neither the number of an event (see --events) nor a time such as 2026-11-22T18:00:00"
        ))),
    }
}

fn column(batch: &RecordBatch, name: &str) -> Result<ArrayRef, CliError> {
    let found = batch.column_by_name(name).cloned();
    found.ok_or_else(|| CliError::Failed(format!("the answer has no column `{name}`")))
}

fn polygons(batch: &RecordBatch) -> Result<Vec<Option<ConvexPolygon>>, CliError> {
    let column = column(batch, "region")?;
    let none = BinaryArray::new_null(batch.num_rows());
    let regions = column.as_binary_opt::<i32>().unwrap_or(&none);
    let polygon = |bytes: Option<&[u8]>| match bytes.map(Region::from_bytes) {
        Some(Ok(Region::Polygon(polygon))) => Some(polygon),
        _ => None,
    };
    Ok(regions.iter().map(polygon).collect())
}

/// `ra dec;ra dec;…`, degrees, as `update-regions --table` reads it.
fn vertices(polygon: &ConvexPolygon) -> String {
    let points = polygon.vertices().iter().map(|v| {
        let p = v.to_lon_lat();
        format!("{} {}", p.lon_deg(), p.lat_deg())
    });
    points.collect::<Vec<_>>().join(";")
}

fn shapes(polygons: &[Option<ConvexPolygon>]) -> [(&'static str, ArrayRef); 4] {
    let number = |value: &dyn Fn(&ConvexPolygon) -> f64| -> ArrayRef {
        Arc::new(polygons.iter().map(|p| p.as_ref().map(value)).collect::<Float64Array>())
    };
    let square = std::f64::consts::PI / 180.0;
    [
        ("ra", number(&|p| p.centroid().to_lon_lat().lon_deg())),
        ("dec", number(&|p| p.centroid().to_lon_lat().lat_deg())),
        ("area_deg2", number(&|p| p.area() / (square * square))),
        ("vertices", Arc::new(polygons.iter().map(|p| p.as_ref().map(vertices)).collect::<StringArray>())),
    ]
}

fn keys(batch: &RecordBatch) -> Result<Vec<(&'static str, ArrayRef)>, CliError> {
    ["instrument", "visit", "detector"].into_iter().map(|name| Ok((name, column(batch, name)?))).collect()
}

/// One row an image.
fn regions(records: &RecordBatch) -> Result<RecordBatch, CliError> {
    let mut columns = keys(records)?;
    columns.extend(shapes(&polygons(records)?));
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))?)
}

/// One row a version: since when, until when, why, and how far the image moved with it.
fn versions(butler: &Butler, history: &RecordBatch) -> Result<RecordBatch, CliError> {
    let events = butler.registry()?.region_events()?;
    let (since, until) = (column(history, "since")?, column(history, "until")?);
    let numbers = since.as_primitive::<Int64Type>();
    // Events are numbered from 1 on, without gaps.
    let event = |number: i64| number.checked_sub(1).and_then(|at| events.get(usize::try_from(at).ok()?));
    let begun = numbers.values().iter().map(|n| event(*n));
    let at: TimestampMicrosecondArray = begun.clone().map(|e| e.map(|e| e.made_at_us)).collect();
    let message: StringArray = begun.clone().map(|e| e.map(|e| e.message.as_str())).collect();
    let source: StringArray = begun.map(|e| e.map(|e| e.source.as_str())).collect();
    let polygons = polygons(history)?;
    let key = keys(history)?;
    let same =
        |a: usize, b: usize| key.iter().all(|(_, column)| column.slice(a, 1).to_data() == column.slice(b, 1).to_data());
    let moved: Float64Array = (0..polygons.len())
        .map(|row| {
            let before = row.checked_sub(1).filter(|before| same(*before, row))?;
            let (from, to) = (polygons[before].as_ref()?, polygons[row].as_ref()?);
            Some(from.centroid().separation(to.centroid()).to_degrees() * 3600.0)
        })
        .collect();
    let has_wcs = |before: usize, row: usize| -> Result<bool, CliError> {
        let wcs = column(history, "wcs")?;
        Ok(wcs.slice(before, 1).to_data() != wcs.slice(row, 1).to_data())
    };
    let mut new_wcs = Vec::with_capacity(polygons.len());
    for row in 0..polygons.len() {
        let before = row.checked_sub(1).filter(|before| same(*before, row));
        new_wcs.push(before.map(|before| has_wcs(before, row)).transpose()?);
    }
    let mut columns = key.clone();
    columns.extend([
        ("since", since.clone()),
        ("until", until),
        ("since_utc", Arc::new(at) as ArrayRef),
        ("moved_arcsec", Arc::new(moved)),
        ("new_wcs", Arc::new(arrow::array::BooleanArray::from(new_wcs))),
        ("message", Arc::new(message)),
        ("source", Arc::new(source)),
    ]);
    columns.extend(shapes(&polygons));
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))?)
}

/// One row an event.
fn events(butler: &Butler) -> Result<RecordBatch, CliError> {
    let events = butler.registry()?.region_events()?;
    let text = |value: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..events.len()).map(value)))
    };
    let number = |value: &dyn Fn(usize) -> u64| -> ArrayRef {
        Arc::new((0..events.len()).map(|at| value(at).cast_signed()).collect::<Int64Array>())
    };
    let times: TimestampMicrosecondArray = events.iter().map(|e| Some(e.made_at_us)).collect();
    Ok(RecordBatch::try_from_iter([
        ("event", number(&|at| events[at].state.number)),
        ("kind", text(&|at| events[at].kind.to_string())),
        ("images", number(&|at| events[at].images)),
        ("time_utc", Arc::new(times) as ArrayRef),
        ("who", text(&|at| events[at].who.clone())),
        ("message", text(&|at| events[at].message.clone())),
        ("source", text(&|at| events[at].source.clone())),
        ("state", text(&|at| events[at].state.to_string())),
    ])?)
}
