//! Visits without images: where each detector looked, by the camera's model.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Float64Array, Int64Array, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::record_batch::RecordBatch;

use super::ingest::day_obs;
use super::records::{Value, record_batch};
use super::{Butler, ButlerError};
use crate::camera::{FocalPlane, Instrument, Pointings};
use crate::dimension::{did_you_mean, near_miss};
use crate::registry::{Inserted, RecordBatchOf};

/// Rows of `visit_detector` that are made at a time.
const ROWS: usize = 200_000;
/// Bytes of a polygon of four vertices: a letter and twelve doubles.
const REGION: usize = 1 + 4 * 3 * 8;
/// MJD of a time that makes sense: years 1858 to 2500.
const MJD: std::ops::Range<f64> = 0.0..235_000.0;

/// The names that a column of a table of visits may have, the first the one that messages use.
const VISIT: &[&str] = &["visit", "expnum", "exposure", "visit_id", "visitId", "observationId"];
const BAND: &[&str] = &["band"];
const FILTER: &[&str] = &["physical_filter", "filter"];
const RA: &[&str] = &["ra_deg", "ra", "fieldRA", "s_ra"];
const DEC: &[&str] = &["dec_deg", "dec", "fieldDec", "s_dec"];
const ROTATION: &[&str] = &["rot_deg", "rotation_deg", "rotation", "rotSkyPos", "sky_rotation"];
const BEGIN: &[&str] = &["mjd", "mjd_begin", "timespan_begin", "observationStartMJD"];
const EXPOSURE_TIME: &[&str] = &["exptime_s", "exposure_time", "exptime", "visitExposureTime", "exp_time"];
const NIGHT: &[&str] = &["day_obs", "night", "dateObs"];
const TARGET: &[&str] = &["target_name", "target"];

/// How visits are registered.
#[derive(Clone, Debug)]
pub struct VisitOptions {
    /// Only detectors of these purposes.
    pub purposes: Vec<String>,
    /// The rotation (degrees) of visits of which the table has none.
    pub rotation: f64,
}

impl Default for VisitOptions {
    /// Science detectors, rotation 0.
    fn default() -> Self {
        Self { purposes: vec!["SCIENCE".to_owned()], rotation: 0.0 }
    }
}

/// How far a registration is.
#[derive(Clone, Copy, Debug)]
pub struct VisitProgress {
    /// Visits whose detectors are written.
    pub done: usize,
    /// All visits.
    pub visits: usize,
}

/// What a registration did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VisitReport {
    /// Visits.
    pub visits: Inserted,
    /// Detectors of visits, each with a region.
    pub detectors: Inserted,
    /// Detectors of the camera that were taken for each visit.
    pub detectors_each: usize,
    /// Visits of which the table has no rotation.
    pub without_rotation: usize,
    /// Visits of which the table has no band or filter: they have the filter `unknown`.
    pub without_filter: usize,
}

impl Butler {
    /// Registers visits of which there are no images here, from a table with a row each: `visit` records, and for every
    /// detector of the camera a `visit_detector` record with the region on the sky that the camera's model says. One
    /// transaction, in bounded memory. Doing it twice changes nothing, and detectors that have a region already (from their
    /// image, or an improved one) keep it.
    ///
    /// Columns: `visit`; `band` or `physical_filter`; `ra_deg`, `dec_deg` (or `ra`, `dec`; degrees, ICRS); and, where there
    /// are, `rot_deg` (or `rotation`; degrees, see [`Pointing`](crate::camera::Pointing)), `mjd` (begin of the exposure, TAI),
    /// `exptime_s`, `night` (as `YYYYMMDD` or the MJD of its evening; else it follows from `mjd`), `target`. Other columns are
    /// left alone. Numbers may be of any width, absent values null.
    ///
    /// # Errors
    /// [`ButlerError::Question`] for an absent column (with the near one) and for bad values, with the row;
    /// [`ButlerError::Camera`] for a camera whose detectors have no places, positions that are not finite or beyond a pole;
    /// [`ButlerError::Registry`] when a visit is there and differs. Nothing is written then.
    pub fn register_visits(
        &self,
        instrument: &Instrument,
        table: &RecordBatch,
        options: &VisitOptions,
        heard: &mut dyn FnMut(VisitProgress),
    ) -> Result<VisitReport, ButlerError> {
        let plane = instrument.focal_plane()?;
        let detectors = chosen(instrument, &options.purposes)?;
        let visits = Visits::read(instrument, table, options)?;
        let registry = self.registry()?;
        self.register_instrument(instrument)?;
        let total = visits.visit.len();
        let block = (ROWS / detectors.len()).max(1);
        heard(VisitProgress { done: 0, visits: total });
        let (filters, records) = (visits.filter_records()?, visits.visit_records()?);
        let of =
            |element, records, keep_existing| Ok::<_, ButlerError>(RecordBatchOf { element, records, keep_existing });
        let regions = (0..total).step_by(block).map(|from| {
            let to = (from + block).min(total);
            let records = visits.detector_records(plane, &detectors, from, to)?;
            heard(VisitProgress { done: to, visits: total });
            of("visit_detector", records, true)
        });
        let batches = [of("physical_filter", filters, false), of("visit", records, false)].into_iter().chain(regions);
        let written: Vec<Inserted> = registry.insert_record_batches(batches)?;
        let sum = |of: &[Inserted]| Inserted {
            new: of.iter().map(|i| i.new).sum(),
            existing: of.iter().map(|i| i.existing).sum(),
        };
        Ok(VisitReport {
            visits: written.get(1).copied().unwrap_or_default(),
            detectors: sum(written.get(2..).unwrap_or_default()),
            detectors_each: detectors.len(),
            without_rotation: visits.without_rotation,
            without_filter: visits.without_filter,
        })
    }
}

/// Numbers of the detectors of these purposes.
fn chosen(instrument: &Instrument, purposes: &[String]) -> Result<Vec<i64>, ButlerError> {
    let mut known: Vec<&str> = instrument.detectors.iter().map(|d| d.purpose.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    if let Some(unknown) = purposes.iter().find(|p| !known.contains(&p.as_str())) {
        return Err(ButlerError::Question(format!(
            "{} has no detectors of purpose {unknown}{}; there are {}",
            instrument.name,
            did_you_mean(near_miss(unknown, known.iter().copied()).as_deref()),
            known.join(", ")
        )));
    }
    let ids: Vec<i64> = instrument.detectors.iter().filter(|d| purposes.contains(&d.purpose)).map(|d| d.id).collect();
    if ids.is_empty() {
        return Err(ButlerError::Question(format!("say of which detectors: {}", known.join(", "))));
    }
    Ok(ids)
}

/// The columns of a table of visits, read.
struct Visits<'a> {
    instrument: &'a Instrument,
    visit: Int64Array,
    physical_filter: StringArray,
    bands: BTreeMap<String, String>,
    ra: Float64Array,
    dec: Float64Array,
    rotation: Vec<f64>,
    pointings: Pointings,
    begin: Option<Float64Array>,
    exposure_time: Option<Float64Array>,
    day_obs: Vec<i64>,
    target: Option<StringArray>,
    without_rotation: usize,
    without_filter: usize,
}

impl<'a> Visits<'a> {
    fn read(instrument: &'a Instrument, table: &RecordBatch, options: &VisitOptions) -> Result<Self, ButlerError> {
        let visit = whole(table, VISIT)?;
        refuse(&visit, |row| visit.value(row) < 0, "visit", "is negative")?;
        let mut seen: Vec<_> = (0..visit.len()).map(|row| (visit.value(row), row)).collect();
        seen.sort_unstable();
        if let Some(pair) = seen.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let ((visit, first), (_, second)) = (pair[0], pair[1]);
            return Err(ButlerError::Question(format!("visit {visit} is there twice, in rows {first} and {second}")));
        }
        let (ra, dec) = (real(table, RA)?, real(table, DEC)?);
        let ra_row = |row: usize| !ra.value(row).is_finite();
        refuse(&ra, ra_row, RA[0], "is not a number")?;
        refuse(&dec, |row| !dec.value(row).is_finite(), DEC[0], "is not a number")?;
        let given = optional(table, ROTATION, &DataType::Float64)?;
        let given = given.as_ref().map(AsArray::as_primitive::<Float64Type>);
        let mut without_rotation = 0;
        let rotation: Vec<f64> = (0..visit.len())
            .map(|row| match given {
                Some(column) if column.is_valid(row) && !column.value(row).is_nan() => column.value(row),
                _ => {
                    without_rotation += 1;
                    options.rotation
                }
            })
            .collect();
        let pointings = Pointings::from_degrees(ra.values(), dec.values(), &rotation)?;
        let reals = |names| -> Result<Option<Float64Array>, ButlerError> {
            Ok(optional(table, names, &DataType::Float64)?.map(|c| c.as_primitive::<Float64Type>().clone()))
        };
        let (begin, exposure_time) = (reals(BEGIN)?, reals(EXPOSURE_TIME)?);
        if let Some(begin) = &begin {
            let bad =
                |row: usize| begin.is_valid(row) && !begin.value(row).is_nan() && !MJD.contains(&begin.value(row));
            refuse_where(begin.len(), bad, |row| format!("mjd is {}, no modified Julian date", begin.value(row)))?;
        }
        if let Some(time) = &exposure_time {
            let bad = |row: usize| {
                time.is_valid(row)
                    && !time.value(row).is_nan()
                    && !(time.value(row) >= 0.0 && time.value(row).is_finite())
            };
            refuse_where(time.len(), bad, |row| format!("the exposure time is {} s", time.value(row)))?;
        }
        let day_obs = nights(table, begin.as_ref(), visit.len())?;
        let target = optional(table, TARGET, &DataType::Utf8)?.map(|c| c.as_string::<i32>().clone());
        let (physical_filter, bands, without_filter) = filters(instrument, table)?;
        Ok(Self {
            instrument,
            visit,
            physical_filter,
            bands,
            ra,
            dec,
            rotation,
            pointings,
            begin,
            exposure_time,
            day_obs,
            target,
            without_rotation,
            without_filter,
        })
    }

    fn filter_records(&self) -> Result<RecordBatch, ButlerError> {
        let pairs: Vec<_> = self.bands.iter().collect();
        record_batch("physical_filter", pairs.len(), |row, column| match column {
            "instrument" => Value::from(self.instrument.name.as_str()),
            "physical_filter" => Value::from(pairs[row].0.as_str()),
            "band" => Value::from(pairs[row].1.as_str()),
            _ => Value::Null,
        })
    }

    fn visit_records(&self) -> Result<RecordBatch, ButlerError> {
        let at = |column: &Option<Float64Array>, row: usize| {
            column.as_ref().filter(|c| c.is_valid(row)).map(|c| c.value(row)).filter(|v| !v.is_nan())
        };
        record_batch("visit", self.visit.len(), |row, column| match column {
            "instrument" => Value::from(self.instrument.name.as_str()),
            "visit" => Value::from(self.visit.value(row)),
            "physical_filter" => Value::from(self.physical_filter.value(row)),
            "day_obs" => Value::from(self.day_obs[row]),
            "exposure_time" => Value::from(at(&self.exposure_time, row)),
            "target_name" => Value::from(self.target.as_ref().filter(|t| t.is_valid(row)).map(|t| t.value(row))),
            "ra_deg" => Value::from(self.ra.value(row).rem_euclid(360.0)),
            "dec_deg" => Value::from(self.dec.value(row)),
            "rotation_deg" => Value::from(self.rotation[row]),
            "timespan_begin" => Value::from(at(&self.begin, row)),
            "timespan_end" => {
                let span = at(&self.begin, row).zip(at(&self.exposure_time, row));
                Value::from(span.map(|(begin, seconds)| begin + seconds / 86_400.0))
            }
            _ => Value::Null,
        })
    }

    /// The detectors of some of the visits, with their regions.
    fn detector_records(
        &self,
        plane: &FocalPlane,
        detectors: &[i64],
        from: usize,
        to: usize,
    ) -> Result<RecordBatch, ButlerError> {
        let (x, y, z, _) = plane.footprints(&self.pointings.slice(from..to), detectors)?.into_parts();
        let rows = (to - from) * detectors.len();
        let mut bytes = Vec::with_capacity(rows * REGION);
        for row in 0..rows {
            bytes.push(b'p');
            for i in 4 * row..4 * row + 4 {
                for v in [x[i], y[i], z[i]] {
                    bytes.extend_from_slice(&v.to_le_bytes());
                }
            }
        }
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(REGION, rows));
        let regions = BinaryArray::try_new(offsets, Buffer::from_vec(bytes), None)?;
        let of_visit = |row: usize| from + row / detectors.len();
        let sizes: Vec<(u32, u32)> = detectors.iter().map(|d| plane.size(*d)).collect::<Result<_, _>>()?;
        let of_detector = |pick: &dyn Fn(usize) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values((0..rows).map(|row| pick(row % detectors.len()))))
        };
        let name = std::iter::repeat_n(self.instrument.name.as_str(), rows);
        let visits = Int64Array::from_iter_values((0..rows).map(|row| self.visit.value(of_visit(row))));
        Ok(RecordBatch::try_from_iter([
            ("instrument", Arc::new(StringArray::from_iter_values(name)) as ArrayRef),
            ("visit", Arc::new(visits)),
            ("detector", of_detector(&|d| detectors[d])),
            ("region", Arc::new(regions)),
            ("width", of_detector(&|d| i64::from(sizes[d].0))),
            ("height", of_detector(&|d| i64::from(sizes[d].1))),
        ])?)
    }
}

/// The night of each visit, from the table or from the time.
fn nights(table: &RecordBatch, begin: Option<&Float64Array>, rows: usize) -> Result<Vec<i64>, ButlerError> {
    let given = optional(table, NIGHT, &DataType::Int64)?;
    let given = given.as_ref().map(AsArray::as_primitive::<Int64Type>);
    (0..rows)
        .map(|row| match given.filter(|c| c.is_valid(row)).map(|c| c.value(row)) {
            Some(date @ 18_000_101..=25_000_101) => Ok(date),
            // The date of that day, for the night that begins on it.
            Some(mjd @ 30_000..=200_000) => Ok(day_obs(mjd as f64 + 0.5)),
            Some(other) => Err(ButlerError::Question(format!(
                "row {row}: the night is {other}, expected YYYYMMDD or a modified Julian date"
            ))),
            None => {
                let begin = begin.filter(|b| b.is_valid(row)).map(|b| b.value(row)).filter(|v| v.is_finite());
                Ok(begin.map_or(0, day_obs))
            }
        })
        .collect()
}

/// The physical filter of each visit, the bands of all that occur, and how many visits have none.
fn filters(
    instrument: &Instrument,
    table: &RecordBatch,
) -> Result<(StringArray, BTreeMap<String, String>, usize), ButlerError> {
    let (column, by_band) = match (optional(table, FILTER, &DataType::Utf8)?, optional(table, BAND, &DataType::Utf8)?) {
        (Some(filter), _) => (filter, false),
        (None, Some(band)) => (band, true),
        (None, None) => return Err(absent(table, &[BAND, FILTER])),
    };
    let column = column.as_string::<i32>();
    let mut known: BTreeMap<&str, (String, String)> = BTreeMap::new();
    let mut bands = BTreeMap::new();
    let mut without = 0;
    let mut names = Vec::with_capacity(column.len());
    for row in 0..column.len() {
        let text = if column.is_valid(row) { column.value(row).trim() } else { "" };
        let pair = if let Some(pair) = known.get(text) {
            pair
        } else {
            let pair = if text.is_empty() {
                ("unknown".to_owned(), "unknown".to_owned())
            } else {
                resolve(instrument, text, by_band).map_err(|e| ButlerError::Question(format!("row {row}: {e}")))?
            };
            bands.insert(pair.0.clone(), pair.1.clone());
            known.entry(text).or_insert(pair)
        };
        without += usize::from(text.is_empty());
        names.push(pair.0.clone());
    }
    Ok((StringArray::from(names), bands, without))
}

/// Physical filter and band of a filter's name, or of a band: the first filter of that band.
fn resolve(instrument: &Instrument, text: &str, by_band: bool) -> Result<(String, String), String> {
    if by_band && let Some(filter) = instrument.filters.iter().find(|f| f.band == text) {
        return Ok((filter.name.clone(), filter.band.clone()));
    }
    instrument.resolve_filter(text)
}

/// The column of one of these names.
fn find<'t>(table: &'t RecordBatch, names: &[&str]) -> Option<(&'t ArrayRef, String)> {
    let schema = table.schema();
    names.iter().find_map(|name| {
        let at = schema.fields().iter().position(|f| f.name().trim().eq_ignore_ascii_case(name))?;
        Some((table.column(at), schema.field(at).name().clone()))
    })
}

fn absent(table: &RecordBatch, wanted: &[&[&str]]) -> ButlerError {
    let schema = table.schema();
    let there: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let names: Vec<&str> = wanted.iter().flat_map(|w| w.iter().copied()).collect();
    let near = wanted.iter().flat_map(|w| w.iter()).find_map(|name| near_miss(name, there.iter().copied()));
    let near = near.map_or_else(String::new, |n| format!("; is it `{n}`?"));
    ButlerError::Question(format!(
        "the table of visits has no column `{}` (also understood: {}){near} It has {}",
        names.first().copied().unwrap_or_default(),
        names.get(1..).unwrap_or_default().join(", "),
        there.join(", ")
    ))
}

/// A column as another type; values that are not of it are errors.
fn as_type(column: &ArrayRef, name: &str, wanted: &DataType) -> Result<ArrayRef, ButlerError> {
    let cast = match (column.data_type(), wanted) {
        // Integers that were written as 1.0 are integers, 1.5 is none.
        (DataType::Float32 | DataType::Float64, DataType::Int64) => {
            let reals = cast(column, &DataType::Float64)?;
            let reals = reals.as_primitive::<Float64Type>();
            let odd =
                |row: usize| reals.is_valid(row) && (reals.value(row).fract() != 0.0 || reals.value(row).abs() > 9e15);
            refuse_where(reals.len(), odd, |row| format!("{name} is {}, no whole number", reals.value(row)))?;
            cast(column, wanted)?
        }
        _ => cast(column, wanted)?,
    };
    // A column without any value has no type.
    if column.data_type() == &DataType::Null {
        return Ok(cast);
    }
    // What a cast cannot read it makes null.
    let lost = |row: usize| {
        cast.is_null(row)
            && column.is_valid(row)
            && !(column.as_string_opt::<i32>().is_some_and(|t| t.value(row).trim().is_empty()))
    };
    refuse_where(column.len(), lost, |_| format!("{name} cannot be read as {wanted}"))?;
    Ok(cast)
}

fn optional(table: &RecordBatch, names: &[&str], wanted: &DataType) -> Result<Option<ArrayRef>, ButlerError> {
    find(table, names).map(|(column, name)| as_type(column, &name, wanted)).transpose()
}

fn required(table: &RecordBatch, names: &[&str], wanted: &DataType) -> Result<ArrayRef, ButlerError> {
    let column = optional(table, names, wanted)?.ok_or_else(|| absent(table, &[names]))?;
    refuse_where(column.len(), |row| column.is_null(row), |_| format!("{} is empty", names[0]))?;
    Ok(column)
}

fn whole(table: &RecordBatch, names: &[&str]) -> Result<Int64Array, ButlerError> {
    Ok(required(table, names, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

fn real(table: &RecordBatch, names: &[&str]) -> Result<Float64Array, ButlerError> {
    Ok(required(table, names, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

fn refuse(column: &dyn Array, bad: impl Fn(usize) -> bool, name: &str, what: &'static str) -> Result<(), ButlerError> {
    refuse_where(column.len(), bad, |_| format!("{name} {what}"))
}

/// The first bad row is an error.
fn refuse_where(rows: usize, bad: impl Fn(usize) -> bool, text: impl Fn(usize) -> String) -> Result<(), ButlerError> {
    match (0..rows).find(|row| bad(*row)) {
        Some(row) => Err(ButlerError::Question(format!("row {row}: {}", text(row)))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nights_are_dates_or_days() {
        let table = |night: Vec<Option<i64>>| {
            RecordBatch::try_from_iter([("night", Arc::new(Int64Array::from(night)) as ArrayRef)]).unwrap()
        };
        let begin = Float64Array::from(vec![60_000.2, f64::NAN]);
        // MJD 60000 is 2023-02-25; its early hours belong to the night before.
        let found = nights(&table(vec![Some(20_210_219), Some(60_000)]), Some(&begin), 2).unwrap();
        assert_eq!(found, [20_210_219, 20_230_225]);
        assert_eq!(nights(&table(vec![None, None]), Some(&begin), 2).unwrap(), [20_230_224, 0]);
        assert!(nights(&table(vec![Some(7)]), None, 1).unwrap_err().to_string().contains("night is 7"));
    }
}
