//! `bunter overlaps`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, StringArray, UInt32Array};
use arrow::compute::{cast, concat_batches, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use clap::{Args, ValueEnum};
use rayon::prelude::*;

use super::CliError;
use super::find_patches::{column, sky_map};
use super::output::OutputFormat;
use super::table_output::{TableOutput, rows_bar};
use crate::datastore::{DatastoreError, TableOptions, TableReader};
use crate::skymap::SkyMap;
use crate::sphere::{ConvexPolygon, LonLat, PolygonBuffer, PolygonIndex, SphereError, UnitVector};

/// Pairs that are written at once.
const CHUNK: usize = 1 << 18;

/// Find all pairs of polygons of two tables that touch.
///
/// Each table has a column vertices that holds "ra dec;ra dec;…", degrees ICRS, the corners of a convex polygon one after the other, in either
/// direction. A pair is written when the two share a point: touching corners and edges count, decided exactly. All other columns are IDs
/// and are carried from both sides; a name that both sides have gets the prefixes left_ and right_. A table that has no other column gets
/// its row numbers, left_row or right_row, counted from 1. Pairs come in the order of LEFT, then of RIGHT. LEFT streams and may be larger than memory; RIGHT
/// is held in memory.
///
/// With --skymap in place of RIGHT, the right columns are tract and patch: the patches whose outer boxes touch.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bunter overlaps detectors.parquet patches.csv --output pairs.parquet\n  \
                  bunter overlaps detectors.csv --skymap hsc_rings_v1 --format csv | head")]
pub(crate) struct Overlaps {
    /// CSV or Parquet; the larger table.
    left: PathBuf,
    /// CSV or Parquet.
    #[arg(required_unless_present = "skymap", conflicts_with = "skymap")]
    right: Option<PathBuf>,
    /// A preset (hsc_rings_v1, lsst_cells_v1, DC2), a TOML file, or with --repository the name of a registered sky map.
    #[arg(long, value_name = "MAP")]
    skymap: Option<String>,
    /// The repository in which the sky map is registered.
    #[arg(long, value_name = "REPOSITORY", requires = "skymap")]
    repository: Option<PathBuf>,
    /// The column of polygons [default: vertices, in upper or lower case].
    #[arg(long, value_name = "COLUMN")]
    vertices: Option<String>,
    /// The file that is written, .csv or .parquet [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What becomes of rows whose vertices are no convex polygon.
    #[arg(long, value_enum, default_value_t)]
    on_error: OnError,
    /// How rows are written to standard output.
    #[arg(long, value_enum, default_value_t, conflicts_with = "output")]
    format: OutputFormat,
}

/// What becomes of rows whose vertices are no convex polygon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// Stop, name the first of them, write nothing.
    #[default]
    Fail,
    /// They touch nothing.
    Skip,
}

/// One side of the join, open.
struct Side {
    path: PathBuf,
    reader: TableReader,
    vertices: usize,
    /// Where the IDs are; empty when rows are numbered.
    ids: Vec<usize>,
    fields: Vec<FieldRef>,
    on_error: OnError,
    rows: u64,
    skipped: u64,
}

/// Rows of one side.
struct Part {
    ids: RecordBatch,
    polygons: PolygonBuffer,
}

/// What the left side is joined with.
enum Right {
    Table { ids: RecordBatch, polygons: PolygonBuffer },
    Map(SkyMap),
}

impl Overlaps {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let start = Instant::now();
        let mut left = Side::open(&self.left, self.vertices.as_deref(), self.on_error, "left_row")?;
        let (right, right_fields, right_told) = match (&self.right, &self.skymap) {
            (Some(path), _) => {
                let mut side = Side::open(path, self.vertices.as_deref(), self.on_error, "right_row")?;
                let fields = side.fields.clone();
                let (ids, polygons) = side.all()?;
                (Right::Table { ids, polygons }, fields, format!("{} right rows{}", side.rows, side.told()))
            }
            (None, name) => {
                let map = sky_map(name.as_deref().unwrap_or_default(), self.repository.as_deref())?;
                let fields = ["tract", "patch"].map(|n| Arc::new(Field::new(n, DataType::Int32, false))).to_vec();
                let told = format!("{} tracts", map.len());
                (Right::Map(map), fields, told)
            }
        };
        let schema = both(&left.fields, &right_fields)?;
        let mut out = TableOutput::new(self.output.as_deref(), self.format, schema.clone())?;
        let bar = rows_bar(left.reader.num_rows(), "overlaps");
        let mut pairs = 0_u64;
        {
            let mut write = |left: &RecordBatch, rows: Vec<u32>, right: Vec<ArrayRef>| -> Result<(), CliError> {
                let (count, rows) = (rows.len(), UInt32Array::from(rows));
                let mut columns = taken(left, &rows)?;
                columns.extend(right);
                let options = RecordBatchOptions::new().with_row_count(Some(count));
                out.write(&RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)?;
                pairs += count as u64;
                Ok(())
            };
            let map_columns = |numbers: Vec<u32>| -> ArrayRef {
                Arc::new(Int32Array::from_iter_values(numbers.into_iter().map(|n| n as i32)))
            };
            match &right {
                Right::Map(map) => {
                    while let Some(part) = left.next()? {
                        map.overlaps_chunks(&part.polygons.columns()?, CHUNK, |found| {
                            write(&part.ids, found.polygon, vec![map_columns(found.tract), map_columns(found.patch)])
                        })?;
                        bar.inc(part.ids.num_rows() as u64);
                    }
                }
                Right::Table { ids, polygons } => {
                    let columns = polygons.columns()?;
                    let index = PolygonIndex::build(&columns)?;
                    while let Some(part) = left.next()? {
                        index.join_chunks(&columns, &part.polygons.columns()?, CHUNK, |found| {
                            write(&part.ids, found.left, taken(ids, &UInt32Array::from(found.right))?)
                        })?;
                        bar.inc(part.ids.num_rows() as u64);
                    }
                }
            }
        }
        out.finish()?;
        bar.finish_and_clear();
        let seconds = start.elapsed().as_secs_f64();
        eprintln!("overlaps: {} left rows{}, {right_told}, {pairs} pairs, {seconds:.2} s", left.rows, left.told());
        Ok(())
    }
}

impl Side {
    fn open(path: &Path, vertices: Option<&str>, on_error: OnError, number: &str) -> Result<Self, CliError> {
        let options = TableOptions::default();
        let reader = TableReader::open(path, options)?;
        let schema = reader.schema();
        let vertices = column(path, &schema, vertices, "vertices")?;
        let ids: Vec<usize> = (0..schema.fields().len()).filter(|i| *i != vertices).collect();
        let fields = if ids.is_empty() {
            vec![Arc::new(Field::new(number, DataType::Int64, false))]
        } else {
            ids.iter().map(|i| schema.fields()[*i].clone()).collect()
        };
        Ok(Self { path: path.to_owned(), reader, vertices, ids, fields, on_error, rows: 0, skipped: 0 })
    }

    /// The next rows.
    fn next(&mut self) -> Result<Option<Part>, CliError> {
        let Some(batch) = self.reader.next().transpose()? else { return Ok(None) };
        let name = batch.schema_ref().field(self.vertices).name().clone();
        let texts = cast(batch.column(self.vertices), &DataType::Utf8)?;
        let (polygons, good) = polygons(texts.as_string(), self.on_error).map_err(|(row, problem)| {
            let row = self.rows + row as u64 + 1;
            DatastoreError::BadRow { path: self.path.clone(), row, column: name, problem }
        })?;
        let numbered: Vec<ArrayRef> = if self.ids.is_empty() {
            let first = self.rows as i64 + 1;
            vec![Arc::new(Int64Array::from_iter_values(first..first + batch.num_rows() as i64))]
        } else {
            self.ids.iter().map(|i| batch.column(*i).clone()).collect()
        };
        let mut ids = RecordBatch::try_new(Arc::new(Schema::new(self.fields.clone())), numbered)?;
        self.rows += batch.num_rows() as u64;
        if good.len() < batch.num_rows() {
            self.skipped += (batch.num_rows() - good.len()) as u64;
            ids = RecordBatch::try_new(ids.schema(), taken(&ids, &UInt32Array::from(good))?)?;
        }
        Ok(Some(Part { ids, polygons }))
    }

    /// All rows at once.
    fn all(&mut self) -> Result<(RecordBatch, PolygonBuffer), CliError> {
        let (mut batches, mut all) = (Vec::new(), PolygonBuffer::default());
        while let Some(part) = self.next()? {
            all.append(&part.polygons);
            batches.push(part.ids);
        }
        let ids = concat_batches(&Arc::new(Schema::new(self.fields.clone())), &batches)?;
        Ok((ids, all))
    }

    fn told(&self) -> String {
        if self.skipped == 0 { String::new() } else { format!(" ({} skipped)", self.skipped) }
    }
}

/// Rows of all columns.
fn taken(batch: &RecordBatch, rows: &UInt32Array) -> Result<Vec<ArrayRef>, CliError> {
    Ok(batch.columns().iter().map(|column| take(column, rows, None)).collect::<Result<_, _>>()?)
}

/// The columns of both sides; names that both have get prefixes.
fn both(left: &[FieldRef], right: &[FieldRef]) -> Result<SchemaRef, CliError> {
    let named = |fields: &[FieldRef], others: &[FieldRef], prefix: &str| -> Vec<Field> {
        let clash = |field: &FieldRef| others.iter().any(|o| o.name() == field.name());
        let name = |f: &FieldRef| if clash(f) { format!("{prefix}_{}", f.name()) } else { f.name().clone() };
        fields.iter().map(|f| f.as_ref().clone().with_name(name(f))).collect()
    };
    let mut fields = named(left, right, "left");
    fields.extend(named(right, left, "right"));
    for (i, field) in fields.iter().enumerate() {
        if fields[..i].iter().any(|f| f.name() == field.name()) {
            let name = field.name();
            return Err(CliError::Failed(format!("two columns would be called `{name}`; rename one of them")));
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The polygons of a column, on all threads, and the rows they are of; else the first bad row and what is wrong with it.
fn polygons(texts: &StringArray, on_error: OnError) -> Result<(PolygonBuffer, Vec<u32>), (usize, String)> {
    const ROWS: usize = 1024;
    let starts: Vec<usize> = (0..texts.len()).step_by(ROWS).collect();
    let parts: Vec<Result<(PolygonBuffer, Vec<u32>), (usize, String)>> = starts
        .into_par_iter()
        .map(|start| {
            let (mut buffer, mut good, mut ring) = (PolygonBuffer::default(), Vec::new(), Vec::new());
            for row in start..(start + ROWS).min(texts.len()) {
                let made = if texts.is_null(row) {
                    Err("there are no vertices".to_owned())
                } else {
                    polygon(texts.value(row), &mut ring)
                };
                match made {
                    Ok(polygon) => {
                        buffer.push(&polygon);
                        good.push(row as u32);
                    }
                    Err(_) if on_error == OnError::Skip => {}
                    Err(problem) => return Err((row, problem)),
                }
            }
            Ok((buffer, good))
        })
        .collect();
    let (mut all, mut rows) = (PolygonBuffer::default(), Vec::with_capacity(texts.len()));
    for part in parts {
        let (buffer, good) = part?;
        all.append(&buffer);
        rows.extend(good);
    }
    Ok((all, rows))
}

/// One polygon from `ra dec;ra dec;…`, degrees, in either direction; the first vertex may be repeated at the end.
fn polygon(text: &str, ring: &mut Vec<UnitVector>) -> Result<ConvexPolygon, String> {
    ring.clear();
    for (i, pair) in text.trim().trim_end_matches(';').split(';').enumerate() {
        let mut words = pair.split_ascii_whitespace();
        let (Some(ra), Some(dec), None) = (words.next(), words.next(), words.next()) else {
            return Err(format!("vertex {} is `{}`, expected `ra dec` in degrees", i + 1, pair.trim()));
        };
        let number = |word: &str| -> Result<f64, String> {
            let value: f64 = word.parse().map_err(|_| format!("`{word}` of vertex {} is not a number", i + 1))?;
            if value.is_finite() {
                Ok(value)
            } else {
                Err(format!("vertex {} is `{}`: not finite", i + 1, pair.trim()))
            }
        };
        let (ra, dec) = (number(ra)?, number(dec)?);
        if dec.abs() > 90.0 {
            return Err(format!("vertex {} has declination {dec}, expected -90 to 90", i + 1));
        }
        ring.push(LonLat::from_degrees(ra, dec).to_unit());
    }
    if ring.len() > 3 && ring.first() == ring.last() {
        ring.pop();
    }
    match ConvexPolygon::from_vertices(ring) {
        Err(SphereError::NotConvex { .. }) => {
            ring.reverse();
            ConvexPolygon::from_vertices(ring).map_err(|e| match e {
                SphereError::NotConvex { .. } => {
                    format!("the {} vertices do not go around a convex polygon", ring.len())
                }
                other => other.to_string(),
            })
        }
        other => other.map_err(|e| e.to_string()),
    }
}
