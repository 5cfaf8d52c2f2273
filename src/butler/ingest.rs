//! Ingest: files become dimension records, regions and datasets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use uuid::Uuid;

use super::exposure_file::{Folder, Folders, expand, translate};
use super::observation::{Measured, measure};
use super::records::{Value, record_batch};
use super::{Butler, ButlerError};
use crate::camera::{Cameras, ObservationInfo};
use crate::dataset::{DatasetRef, DatasetType, FileRecord, FitsLayout, Format, PathTemplate, StorageClass, codec};
use crate::datastore::{Dataset, StorageOptions, Transfer};
use crate::registry::{NewDataset, Query};

/// Files that are prepared together: enough for all cores, few enough for the memory.
const BATCH: usize = 64;
/// The name space of dataset identities that are made from names (version 5).
const NAMESPACE: Uuid = Uuid::from_u128(0x2c4b_5dd0_86a5_4e7f_9c61_6275_6e74_6572);

/// How exposures are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// As the FITS files they came in.
    #[default]
    Fits,
    /// Expanded: one page-aligned HDF5 composite an exposure, whose pixels are read in place.
    Hdf5,
}

/// How an ingest is done.
#[derive(Debug)]
pub struct IngestOptions {
    /// The RUN collection that the datasets go to.
    pub run: String,
    /// The dataset type.
    pub dataset_type: String,
    /// How the FITS files come into the repository; without meaning for [`Storage::Hdf5`].
    pub transfer: Transfer,
    /// How the exposures are kept.
    pub storage: Storage,
    /// Register instruments that are met and not registered.
    pub register_instruments: bool,
    /// The cameras that are known.
    pub cameras: Cameras,
}

/// What happens during an ingest.
#[derive(Debug)]
pub enum IngestEvent<'a> {
    /// So many files will be looked at.
    Start(usize),
    /// This many of them have been.
    Files(usize),
    /// A default was used where a header is silent.
    Warning(&'a Path, &'a str),
}

/// A file that was not ingested.
#[derive(Debug)]
pub struct IngestFailure {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub cause: ButlerError,
}

/// What an ingest did.
#[derive(Debug, Default)]
pub struct IngestReport {
    /// Files that were looked at.
    pub files: usize,
    /// Datasets that are new.
    pub new: usize,
    /// Exposures that had been ingested before.
    pub existing: usize,
    /// Files that are masks or weights of others.
    pub companions: usize,
    /// Files that were not ingested; all others were.
    pub failures: Vec<IngestFailure>,
}

/// One exposure on its way in.
struct Arrival {
    path: PathBuf,
    info: ObservationInfo,
    dataset: DatasetRef,
}

/// One exposure whose bytes are in place.
struct Stored {
    path: PathBuf,
    info: ObservationInfo,
    measured: Measured,
    dataset: NewDataset,
}

impl Butler {
    /// Takes exposures in: reads headers with the camera's translator, works out regions, keeps the bytes, and enters it
    /// all in the registry. A file that cannot be ingested is reported, and the others go on. Doing it twice changes
    /// nothing: an exposure has the same identity each time.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] for an unknown dataset type or a name that no run can have; [`ButlerError::Question`] for
    /// a dataset type that is not of exposures. Errors of single paths are in the report.
    pub fn ingest(
        &self,
        paths: &[PathBuf],
        options: &IngestOptions,
        heard: &mut dyn FnMut(IngestEvent<'_>),
    ) -> Result<IngestReport, ButlerError> {
        let registry = self.registry()?;
        let dataset_type = self.reader().dataset_type(&options.dataset_type)?;
        check_type(&dataset_type)?;
        let template = registry.path_template(&dataset_type.name)?;
        let mut report = IngestReport::default();
        let files = expand(paths, &mut report.failures);
        registry.register_run(&options.run)?;
        report.files = files.len() + report.failures.len();
        heard(IngestEvent::Start(files.len()));
        let mut folders = Folders::default();
        let mut seen = 0;
        for batch in files.chunks(BATCH) {
            self.ingest_batch(batch, &mut folders, options, &dataset_type, &template, &mut report, heard)?;
            seen += batch.len();
            heard(IngestEvent::Files(seen));
        }
        Ok(report)
    }

    #[expect(clippy::too_many_arguments, reason = "the loop body of `ingest`, split off to be read")]
    fn ingest_batch(
        &self,
        files: &[PathBuf],
        folders: &mut Folders,
        options: &IngestOptions,
        dataset_type: &DatasetType,
        template: &PathTemplate,
        report: &mut IngestReport,
        heard: &mut dyn FnMut(IngestEvent<'_>),
    ) -> Result<(), ButlerError> {
        let mut found: Vec<(PathBuf, Result<Arc<Folder>, ButlerError>)> = Vec::with_capacity(files.len());
        for path in files {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let folder = folders.beside(&path, &options.cameras);
            found.push((path, folder));
        }
        let translated: Vec<_> = found
            .into_par_iter()
            .map(|(path, folder)| {
                let infos = folder.and_then(|folder| translate(&path, &folder, &options.cameras));
                (path, infos)
            })
            .collect();
        let mut arrivals = Vec::new();
        for (path, infos) in translated {
            match infos {
                Ok(infos) if infos.is_empty() => report.companions += 1,
                Ok(infos) => {
                    if let Some(cause) = ambiguous(&path, &infos) {
                        report.failures.push(IngestFailure { path, cause });
                        continue;
                    }
                    for info in infos {
                        for warning in &info.warnings {
                            heard(IngestEvent::Warning(&path, warning));
                        }
                        let dataset = identity(&info, dataset_type, &options.run);
                        arrivals.push(Arrival { path: path.clone(), info, dataset });
                    }
                }
                Err(cause) => report.failures.push(IngestFailure { path, cause }),
            }
        }

        let ids: Vec<Uuid> = arrivals.iter().map(|a| a.dataset.id).collect();
        let known = self.reader().file_records(&ids)?;
        let mut taken = BTreeSet::new();
        let mut fresh = Vec::new();
        for (arrival, known) in arrivals.into_iter().zip(known) {
            if known.is_some() {
                report.existing += 1;
            } else if taken.insert(arrival.dataset.id) {
                fresh.push(arrival);
            } else {
                let message = format!("another file of this ingest has {} already", arrival.dataset.data_id);
                let cause = ButlerError::Exposure { path: arrival.path.clone(), message };
                report.failures.push(IngestFailure { path: arrival.path, cause });
            }
        }
        self.check_instruments(&fresh, options)?;

        let stored: Vec<_> = fresh
            .into_par_iter()
            .map(|arrival| {
                let path = arrival.path.clone();
                self.keep(arrival, options, template).map_err(|cause| IngestFailure { path, cause })
            })
            .collect();
        let mut whole = Vec::with_capacity(stored.len());
        for result in stored {
            match result {
                Ok(stored) => whole.push(stored),
                Err(failure) => report.failures.push(failure),
            }
        }
        self.enter_all(whole, report)
    }

    /// Sees to it that every instrument met is registered.
    fn check_instruments(&self, arrivals: &[Arrival], options: &IngestOptions) -> Result<(), ButlerError> {
        let known = self.reader().dimension_records("instrument", &Query::all())?;
        let known: BTreeSet<&str> = super::columns::texts(&known, "instrument")?.iter().flatten().collect();
        let met: BTreeSet<&str> = arrivals.iter().map(|a| a.info.instrument.as_str()).collect();
        for name in met.difference(&known) {
            if !options.register_instruments {
                return Err(ButlerError::Question(format!(
                    "instrument `{name}` is not registered: `bunter register-instrument {} {name}`, or ingest with \
                     --register-instruments",
                    self.root().display()
                )));
            }
            match options.cameras.instrument(name) {
                Ok(instrument) => self.register_instrument(instrument)?,
                Err(_) => self.register_instrument(&crate::camera::Instrument::open(name))?,
            };
        }
        Ok(())
    }

    /// Looks at the pixels and brings the bytes into place.
    fn keep(&self, arrival: Arrival, options: &IngestOptions, template: &PathTemplate) -> Result<Stored, ButlerError> {
        let Arrival { path, mut info, dataset } = arrival;
        let (exposure, measured) = measure(&path, &mut info)?;
        let file = match options.storage {
            Storage::Hdf5 => {
                let whole = Dataset::from(exposure);
                self.datastore().put(&template.path(&dataset)?, &whole, &StorageOptions::default())?
            }
            Storage::Fits => self.transfer(&path, &template.path(&dataset)?, options.transfer, &info.layout)?,
        };
        Ok(Stored { path, info, measured, dataset: NewDataset { dataset, file } })
    }

    /// Brings a FITS file in, and the files beside it that hold its mask and variance. They keep their names, for the layout
    /// knows them by these.
    fn transfer(
        &self,
        source: &Path,
        path: &str,
        mode: Transfer,
        layout: &FitsLayout,
    ) -> Result<FileRecord, ButlerError> {
        let format = Format::FitsExposure(Box::new(layout.clone()));
        // The template names an HDF5 file.
        let name = source.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let ending =
            name.split_once(".fits").map_or(".fits", |(_, tail)| if tail == ".fz" { ".fits.fz" } else { ".fits" });
        let path = format!("{}{ending}", path.strip_suffix(".h5").unwrap_or(path));
        if mode != Transfer::Direct {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            for sibling in layout.siblings() {
                let target = format!("{folder}/{sibling}");
                self.datastore().ingest(&source.with_file_name(sibling), &target, mode, Format::Json, false)?;
            }
        }
        Ok(self.datastore().ingest(source, &path, mode, format, true)?)
    }

    /// Enters what is in place, all in one go; when the registry refuses, one by one, so that one bad exposure does not
    /// keep the others out.
    fn enter_all(&self, stored: Vec<Stored>, report: &mut IngestReport) -> Result<(), ButlerError> {
        if self.enter(&stored).is_ok() {
            report.new += stored.len();
            return Ok(());
        }
        for one in stored {
            match self.enter(std::slice::from_ref(&one)) {
                Ok(()) => report.new += 1,
                Err(cause) => {
                    // Nobody's bytes, now; those that were left where they are stay there.
                    self.datastore().remove(&one.dataset.file)?;
                    report.failures.push(IngestFailure { path: one.path, cause });
                }
            }
        }
        Ok(())
    }

    fn enter(&self, stored: &[Stored]) -> Result<(), ButlerError> {
        let registry = self.registry()?;
        let unique = |key: &dyn Fn(&Stored) -> String| -> Vec<&Stored> {
            stored.iter().map(|s| (key(s), s)).rev().collect::<BTreeMap<_, _>>().into_values().collect()
        };
        let filters = unique(&|s| format!("{}\0{}", s.info.instrument, s.info.physical_filter));
        registry.insert_dimension_records(
            "physical_filter",
            &record_batch("physical_filter", filters.len(), |row, column| match column {
                "instrument" => Value::from(filters[row].info.instrument.as_str()),
                "physical_filter" => Value::from(filters[row].info.physical_filter.as_str()),
                "band" => Value::from(filters[row].info.band.as_str()),
                _ => Value::Null,
            })?,
        )?;
        self.enter_unlisted_detectors(stored)?;
        let visits = unique(&|s| format!("{}\0{}", s.info.instrument, s.info.visit));
        for visit in &visits {
            check_visit(visit, stored)?;
        }
        registry.insert_dimension_records(
            "visit",
            &record_batch("visit", visits.len(), |row, column| {
                let info = &visits[row].info;
                match column {
                    "instrument" => Value::from(info.instrument.as_str()),
                    "visit" => Value::from(info.visit),
                    "physical_filter" => Value::from(info.physical_filter.as_str()),
                    "day_obs" => Value::from(info.mjd_begin.map_or(0, day_obs)),
                    "exposure_time" => Value::from(info.exposure_time),
                    "timespan_begin" => Value::from(info.mjd_begin),
                    "timespan_end" => {
                        Value::from(info.mjd_begin.zip(info.exposure_time).map(|(begin, s)| begin + s / 86_400.0))
                    }
                    _ => Value::Null,
                }
            })?,
        )?;
        let wcs = stored
            .iter()
            .map(|s| {
                codec::encode(&s.info.wcs)
                    .map_err(|e| ButlerError::Exposure { path: s.path.clone(), message: e.to_string() })
            })
            .collect::<Result<Vec<_>, _>>()?;
        registry.insert_dimension_records(
            "visit_detector",
            &record_batch("visit_detector", stored.len(), |row, column| {
                let Stored { info, measured, .. } = &stored[row];
                match column {
                    "instrument" => Value::from(info.instrument.as_str()),
                    "visit" => Value::from(info.visit),
                    "detector" => Value::from(info.detector),
                    "region" => Value::Bytes(measured.region.clone()),
                    "wcs" => Value::Bytes(wcs[row].clone()),
                    "width" => Value::from(info.shape.1 as i64),
                    "height" => Value::from(info.shape.0 as i64),
                    "zero_point" => Value::from(info.zero_point),
                    "mean_variance" => Value::from(measured.mean_variance),
                    "seeing" => Value::from(info.seeing),
                    _ => Value::Null,
                }
            })?,
        )?;
        let datasets: Vec<NewDataset> = stored.iter().map(|s| s.dataset.clone()).collect();
        registry.insert_datasets(&datasets)?;
        Ok(())
    }

    /// Detectors of cameras whose detectors nobody has listed are entered as they are met.
    fn enter_unlisted_detectors(&self, stored: &[Stored]) -> Result<(), ButlerError> {
        let known = self.reader().dimension_records("detector", &Query::all())?;
        let known: BTreeSet<(&str, i64)> = super::columns::texts(&known, "instrument")?
            .iter()
            .flatten()
            .zip(super::columns::ints(&known, "detector")?.iter().flatten())
            .collect();
        let met: BTreeSet<(&str, i64)> = stored.iter().map(|s| (s.info.instrument.as_str(), s.info.detector)).collect();
        let new: Vec<_> = met.difference(&known).collect();
        self.registry()?.insert_dimension_records(
            "detector",
            &record_batch("detector", new.len(), |row, column| match column {
                "instrument" => Value::from(new[row].0),
                "detector" => Value::from(new[row].1),
                _ => Value::Null,
            })?,
        )?;
        Ok(())
    }
}

/// A file with two images of one name: which of them is meant, and what the other one is, nobody can tell.
fn ambiguous(path: &Path, infos: &[ObservationInfo]) -> Option<ButlerError> {
    let mut names = BTreeSet::new();
    let twice = infos.iter().find(|i| !names.insert((i.instrument.as_str(), i.visit, i.detector)))?;
    let message = format!(
        "two of its images are {}: no part of it is ingested; a camera description (--camera) can tell images from masks",
        twice.data_id()
    );
    Some(ButlerError::Exposure { path: path.to_owned(), message })
}

/// Only exposures have the headers that an ingest reads its dimension values from.
pub(super) fn check_type(dataset_type: &DatasetType) -> Result<(), ButlerError> {
    let fits = dataset_type.storage_class == StorageClass::Exposure
        && dataset_type.dimensions.iter().all(|d| matches!(&**d, "instrument" | "visit" | "detector"))
        && dataset_type.dimensions.len() == 3;
    if fits {
        return Ok(());
    }
    Err(ButlerError::Question(format!(
        "dataset type `{}` is a {} of {}; exposures go to one of storage class Exposure and dimensions instrument, visit, \
         detector, such as calexp",
        dataset_type.name,
        dataset_type.storage_class,
        dataset_type.dimensions.join(", ")
    )))
}

/// The images of one visit must agree on what they say of it.
fn check_visit(visit: &Stored, stored: &[Stored]) -> Result<(), ButlerError> {
    let facts = |info: &ObservationInfo| (info.physical_filter.clone(), info.mjd_begin.map(day_obs));
    let of = |s: &&Stored| s.info.visit == visit.info.visit && s.info.instrument == visit.info.instrument;
    match stored.iter().filter(of).find(|s| facts(&s.info) != facts(&visit.info)) {
        None => Ok(()),
        Some(other) => Err(ButlerError::Exposure {
            path: other.path.clone(),
            message: format!(
                "visit {} of {} has filter {} and day {:?} here, but {} and {:?} in {}",
                visit.info.visit,
                visit.info.instrument,
                other.info.physical_filter,
                other.info.mjd_begin.map(day_obs),
                visit.info.physical_filter,
                visit.info.mjd_begin.map(day_obs),
                visit.path.display()
            ),
        }),
    }
}

/// The same exposure, type and run have the same identity wherever and whenever they are ingested.
fn identity(info: &ObservationInfo, dataset_type: &DatasetType, run: &str) -> DatasetRef {
    let data_id = info.data_id();
    let name = format!("{}\0{data_id}\0{run}", dataset_type.name);
    DatasetRef {
        id: Uuid::new_v5(&NAMESPACE, name.as_bytes()),
        dataset_type: dataset_type.name.clone(),
        data_id,
        run: run.into(),
    }
}

/// The observing night as the number YYYYMMDD, which changes at noon: the civil date 12 hours earlier.
pub(super) fn day_obs(mjd: f64) -> i64 {
    // Civil date from a day count: Howard Hinnant, "chrono-compatible low-level date algorithms".
    let days = (mjd - 0.5).floor() as i64 - 40_587 + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    year * 10_000 + month * 100 + day
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nights_change_at_noon() {
        // MJD 60000 is 2023-02-25.
        assert_eq!(day_obs(60_000.49), 20_230_224);
        assert_eq!(day_obs(60_000.51), 20_230_225);
        assert_eq!(day_obs(51_544.6), 20_000_101);
        assert_eq!(day_obs(59_640.0), 20_220_301);
    }
}
