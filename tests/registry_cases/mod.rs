//! A small survey, and the cases that every registry must pass on it.

pub(crate) mod calibrations;
pub(crate) mod changes;
pub(crate) mod collections;
pub(crate) mod databases;
pub(crate) mod datasets;
pub(crate) mod filters;
pub(crate) mod guards;
pub(crate) mod provenance;
pub(crate) mod quanta;
pub(crate) mod reading;
pub(crate) mod records;
mod sqlite_faults;
pub(crate) mod tagged;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use bunter::{
    DataId, DatasetRef, DatasetType, Expression, FileRecord, Format, NewDataset, Query, Registry, RegistryError,
    RegistryReader, StorageClass,
};
use uuid::Uuid;

pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

pub(crate) fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

pub(crate) fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

pub(crate) fn floats(values: impl IntoIterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Float64Array>())
}

pub(crate) const VISITS: i64 = 20;
pub(crate) const DETECTORS: i64 = 4;

/// Visits 100 to 119: even ones in g, odd ones in r (i from 115 on); exposure time is the visit less 90; the seeing of every
/// fifth is unknown. The last detector has no `visit_detector` records.
pub(crate) fn fill(registry: &Registry) {
    registry.insert_dimension_records("instrument", &batch(vec![("instrument", texts(["HSC"]))])).unwrap();
    let filters = batch(vec![
        ("instrument", texts(["HSC"; 3])),
        ("physical_filter", texts(["HSC-G", "HSC-R2", "HSC-I2"])),
        ("band", texts(["g", "r", "i"])),
    ]);
    registry.insert_dimension_records("physical_filter", &filters).unwrap();
    let detectors = batch(vec![
        ("instrument", texts(["HSC"; DETECTORS as usize])),
        ("detector", ints(0..DETECTORS)),
        ("full_name", texts(["1_53", "1_54", "1_[55]", "2*"])),
    ]);
    registry.insert_dimension_records("detector", &detectors).unwrap();
    registry.insert_dimension_records("visit", &visits()).unwrap();
    registry.insert_dimension_records("visit_detector", &visit_detectors(0.25)).unwrap();
    registry.register_sky_map("rings", "name = 'rings'", &[7; 20], 100, (9, 9)).unwrap();
    registry.register_dataset_type(&calexp(), None).unwrap();
    registry.register_dataset_type(&coadd(), None).unwrap();
    for run in ["runs/a", "runs/b"] {
        registry.register_run(run).unwrap();
    }
}

/// [`fill`], and all [`exposures`].
pub(crate) fn fill_with_datasets(registry: &Registry) {
    fill(registry);
    registry.insert_datasets(&exposures()).unwrap();
}

pub(crate) fn filter_of(visit: i64) -> &'static str {
    match visit {
        v if v >= 115 => "HSC-I2",
        v if v % 2 == 0 => "HSC-G",
        _ => "HSC-R2",
    }
}

pub(crate) fn seeing_of(visit: i64) -> Option<f64> {
    (visit % 5 != 0).then_some(0.5 + (visit - 100) as f64 / 100.0)
}

pub(crate) fn visits() -> RecordBatch {
    let all = || 100..100 + VISITS;
    batch(vec![
        ("instrument", texts(["HSC"; VISITS as usize])),
        ("visit", ints(all())),
        ("day_obs", ints(all().map(|v| 20_140_300 + v / 10))),
        ("physical_filter", texts(all().map(filter_of))),
        ("exposure_time", floats(all().map(|v| Some((v - 90) as f64)))),
        ("seeing", floats(all().map(seeing_of))),
        ("timespan_begin", floats(all().map(|v| Some(56_000.0 + v as f64)))),
        ("timespan_end", floats(all().map(|v| Some(56_000.01 + v as f64)))),
    ])
}

pub(crate) fn visit_detectors(variance: f64) -> RecordBatch {
    let all = || (100..100 + VISITS).flat_map(|v| (0..DETECTORS - 1).map(move |d| (v, d)));
    let regions: Vec<Vec<u8>> = all().map(|(v, d)| vec![v as u8, d as u8, 0, 255]).collect();
    batch(vec![
        ("instrument", texts(all().map(|_| "HSC"))),
        ("visit", ints(all().map(|v| v.0))),
        ("detector", ints(all().map(|v| v.1))),
        ("region", Arc::new(BinaryArray::from_iter_values(regions))),
        ("mean_variance", floats(all().map(|_| Some(variance)))),
    ])
}

pub(crate) fn dataset_type(name: &str, dimensions: &[&str], storage_class: StorageClass) -> DatasetType {
    DatasetType { name: name.into(), dimensions: dimensions.iter().map(|d| (*d).into()).collect(), storage_class }
}

pub(crate) fn calexp() -> DatasetType {
    dataset_type("calexp", &["detector", "instrument", "visit"], StorageClass::Exposure)
}

pub(crate) fn coadd() -> DatasetType {
    dataset_type("coadd", &["band", "patch", "skymap", "tract"], StorageClass::Coadd)
}

pub(crate) fn new(number: u128, kind: &str, data_id: DataId, run: &str) -> NewDataset {
    let dataset = DatasetRef { id: Uuid::from_u128(number), dataset_type: kind.into(), data_id, run: run.into() };
    let path = format!("/data/{number}.h5");
    NewDataset { dataset, file: FileRecord { path, format: Format::Hdf5, size: 4096, checksum: u64::MAX - 1 } }
}

pub(crate) fn exposure(number: u128, visit: i64, detector: i64, run: &str) -> NewDataset {
    new(number, "calexp", DataId::new().with("instrument", "HSC").with("visit", visit).with("detector", detector), run)
}

pub(crate) fn patch(number: u128, tract: i64, patch: i64, band: &str, run: &str) -> NewDataset {
    let id = DataId::new().with("skymap", "rings").with("tract", tract).with("patch", patch).with("band", band);
    new(number, "coadd", id, run)
}

/// All exposures in `runs/a`, with identities visit × 10 + detector, and those of visits 110 on again in `runs/b`, 100000 up.
pub(crate) fn exposures() -> Vec<NewDataset> {
    let all = |from: i64, more: u128, run: &'static str| {
        (from..100 + VISITS)
            .flat_map(move |v| (0..DETECTORS).map(move |d| exposure(more + v as u128 * 10 + d as u128, v, d, run)))
    };
    all(100, 0, "runs/a").chain(all(110, 100_000, "runs/b")).collect()
}

pub(crate) fn query(text: &str) -> Query {
    Query::filtered(Expression::parse(text).unwrap())
}

pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a Int64Array {
    batch.column_by_name(name).unwrap().as_primitive::<Int64Type>()
}

pub(crate) fn visits_where(registry: &Registry, text: &str) -> Vec<i64> {
    column(&registry.dimension_records("visit", &query(text)).unwrap(), "visit").values().to_vec()
}

/// Number of datasets in `runs/a`.
pub(crate) fn count(registry: &Registry, kind: &str, text: &str) -> usize {
    registry.datasets(kind, &["runs/a"], &query(text), false).unwrap().num_rows()
}

/// Identities of an answer.
pub(crate) fn numbers(batch: &RecordBatch) -> Vec<u128> {
    let ids = batch.column_by_name("id").unwrap().as_fixed_size_binary();
    ids.iter().map(|id| Uuid::from_slice(id.unwrap()).unwrap().as_u128()).collect()
}

pub(crate) fn message<T: std::fmt::Debug>(result: Result<T, RegistryError>) -> String {
    result.unwrap_err().to_string()
}
