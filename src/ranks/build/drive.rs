//! [`build_coadds`]: all ranks together.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::fold::{self, RunLock};
use super::job::{Job, JobHeader, encode};
use super::plan::{Plan, TASK, plan};
use super::{BuildError, BuildRecord, PatchReport};
use crate::butler::{Butler, store};
use crate::coadd::{CoaddConfig, CoaddTask};
use crate::dataset::PathTemplate;
use crate::datastore::{Dataset, Datastore};
use crate::dimension::Expression;
use crate::ranks::{
    Communicator, Done, Failed, Failure, JournalWriter, Progress, RunOptions, SyncPolicy, Verdict, broadcast_result,
    run_quanta,
};
use crate::registry::{QuantumRecord, QuantumStatus, RegionState};
use crate::skymap::SkyMap;

/// What to build.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// The repository.
    pub repository: PathBuf,
    /// The sky map.
    pub sky_map: String,
    /// The dataset type of the inputs, `calexp`.
    pub dataset_type: String,
    /// Collections that the inputs are searched in, in this order.
    pub input: Vec<String>,
    /// The run that the coadds go to.
    pub output: String,
    /// The dataset type of the coadds, `deepCoadd`.
    pub output_type: String,
    /// Only these images and patches.
    pub filter: Option<Expression>,
    /// How coadds are made.
    pub config: CoaddConfig,
    /// How the work is dealt.
    pub run: RunOptions,
}

impl BuildOptions {
    /// The usual build: `calexp` of `input` into `deepCoadd` of `output`.
    pub fn new(repository: impl Into<PathBuf>, sky_map: &str, input: &[&str], output: &str) -> Self {
        Self {
            repository: repository.into(),
            sky_map: sky_map.to_owned(),
            dataset_type: "calexp".to_owned(),
            input: input.iter().map(|c| (*c).to_owned()).collect(),
            output: output.to_owned(),
            output_type: "deepCoadd".to_owned(),
            filter: None,
            config: CoaddConfig::default(),
            run: RunOptions::default(),
        }
    }
}

/// What a build did. Only the verdict is known on ranks other than 0.
#[derive(Clone, Debug)]
pub struct BuildReport {
    /// The same on every rank.
    pub verdict: Verdict,
    /// Coadds that were found done, and not built.
    pub existing: usize,
    /// Coadds that were replaced, since their inputs or the configuration had changed.
    pub replaced: usize,
    /// Coadds that were removed, since no image touches their patch any more.
    pub removed: usize,
    /// Coadds that a build before this one had finished but not entered.
    pub recovered: usize,
    /// The regions and WCSs of images that it was planned with.
    pub regions: RegionState,
    /// What the registry came to have while this went on, if not these: the same build again takes care of it.
    pub regions_now: RegionState,
    /// What was built.
    pub built: Vec<Done<PatchReport>>,
    /// What failed: data ID and cause.
    pub failed: Vec<(String, Failed)>,
    /// From start to end.
    pub seconds: f64,
}

/// What rank 0 has ready when the ranks come together.
struct Prepared {
    butler: Butler,
    plan: Plan,
    snapshot: Vec<u8>,
    recovered: usize,
    /// Held until the end.
    _lock: RunLock,
}

/// Builds the coadds of all patches that the images touch, on all ranks of `comm` together; a serial communicator does it
/// alone, with the same result to the bit.
///
/// Collective. Rank 0 alone opens the registry; the others get a snapshot of the job. Coadds that are there, made of the
/// same inputs in the same way, are not built again. A patch that fails is reported, and the others go on.
///
/// # Errors
/// The same on every rank: [`BuildError::NothingToDo`], [`BuildError::Busy`], unknown names, a repository that cannot be
/// read or written ([`BuildError::Ranks`] with rank 0's words on the others).
pub fn build_coadds(
    comm: &dyn Communicator,
    options: &BuildOptions,
    progress: &mut dyn Progress<PatchReport>,
) -> Result<BuildReport, BuildError> {
    let start = Instant::now();
    let (prepared, failure) = match (comm.rank() == 0).then(|| prepare(options)) {
        Some(Ok(prepared)) => (Some(prepared), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    let told = (comm.rank() == 0).then(|| match (&prepared, &failure) {
        (Some(prepared), _) => Ok(prepared.plan.coadds.len() as u64),
        (None, Some(error)) => Err(error.to_string()),
        (None, None) => Err("rank 0 has prepared nothing".to_owned()),
    });
    let quanta = match (broadcast_result(comm, told), failure) {
        (_, Some(error)) => return Err(error),
        (told, None) => told?,
    };
    let mut report = BuildReport {
        verdict: Verdict { total: 0, done: 0, failed: 0, left: 0 },
        existing: prepared.as_ref().map_or(0, |p| p.plan.done),
        replaced: prepared.as_ref().map_or(0, |p| p.plan.outdated.len()),
        removed: prepared.as_ref().map_or(0, |p| p.plan.abandoned.len()),
        recovered: prepared.as_ref().map_or(0, |p| p.recovered),
        regions: prepared.as_ref().map(|p| p.plan.regions).unwrap_or_default(),
        regions_now: prepared.as_ref().map(|p| p.plan.regions).unwrap_or_default(),
        built: Vec::new(),
        failed: Vec::new(),
        seconds: 0.0,
    };
    if quanta > 0 {
        let bytes = comm.broadcast_shared(prepared.as_ref().map(|p| &*p.snapshot))?;
        let job = agree(comm, Job::open(bytes))?;
        let rank = agree(comm, Rank::new(comm, &job))?;
        let summary = run_quanta(comm, &job.costs()?, |quantum| rank.build(quantum), progress, &options.run)?;
        // Every journal is closed before rank 0 reads them.
        agree(comm, rank.finish())?;
        let mut outcome = Ok(());
        if let Some(prepared) = &prepared {
            let failed: Vec<QuantumRecord> = summary.failed.iter().filter_map(|failed| rank.failure(failed)).collect();
            outcome = fold::fold(&prepared.butler, &options.output, &failed, false).map(|_| ());
            for failed in &summary.failed {
                let name =
                    job.quantum(failed.quantum).map_or_else(|_| "?".to_owned(), |(q, _)| q.data_id().to_string());
                report.failed.push((name, failed.clone()));
            }
        }
        let told = (comm.rank() == 0).then(|| outcome.as_ref().map_err(ToString::to_string).copied());
        match (broadcast_result(comm, told), outcome) {
            (_, Err(error)) => return Err(error),
            (told, Ok(())) => told?,
        }
        report.verdict = summary.verdict;
        report.built = summary.done;
    }
    if let Some(prepared) = &prepared {
        // All is built and entered: that the registry cannot be asked just now takes nothing from it.
        report.regions_now = prepared.butler.reader().region_state().unwrap_or(report.regions);
    }
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// A step that each rank takes for itself: when it fails on one, all of them end, instead of waiting for that one.
fn agree<T>(comm: &dyn Communicator, result: Result<T, BuildError>) -> Result<T, BuildError> {
    let mine = result.as_ref().err().map(|error| format!("rank {} ({}): {error}", comm.rank(), comm.host()));
    let all = comm.gather(mine.unwrap_or_default().as_bytes())?;
    let verdict = all.map(|all| match all.iter().find(|text| !text.is_empty()) {
        Some(text) => Err(String::from_utf8_lossy(text).into_owned()),
        None => Ok(()),
    });
    match (result, broadcast_result(comm, verdict)) {
        (Err(error), _) => Err(error),
        (Ok(value), told) => {
            told?;
            Ok(value)
        }
    }
}

/// Everything that rank 0 does alone before the work: what an earlier build left is entered, the work is planned, and
/// coadds that are out of date go.
fn prepare(options: &BuildOptions) -> Result<Prepared, BuildError> {
    let butler = Butler::open(&options.repository)?;
    let registry = butler.registry()?;
    registry.register_run(&options.output)?;
    let dataset_type = butler.reader().dataset_type(&options.output_type)?;
    let lock = RunLock::take(butler.root(), &options.output)?;
    let recovered = fold::fold(&butler, &options.output, &[], true)?.datasets.new;
    // Of one moment: an update of regions meanwhile concerns the next build.
    let plan = plan(&butler.at_this_moment()?, options)?;
    if !plan.coadds.is_empty() {
        registry.record_region_use(&options.output, TASK, plan.regions)?;
    }

    // The row goes first: a crash between leaves a file without a row, never a row without bytes.
    let gone = [plan.outdated.as_slice(), &plan.abandoned].concat();
    let files = butler.reader().file_records(&gone)?;
    registry.remove_datasets(&gone)?;
    for file in files.into_iter().flatten() {
        butler.datastore().remove(&file)?;
    }
    let header = JobHeader {
        root: butler.root().to_owned(),
        run: options.output.clone(),
        job: Uuid::now_v7(),
        template: registry.path_template(&dataset_type.name)?.as_str().to_owned(),
        dataset_type,
        sky_map: options.sky_map.clone(),
        sky_map_toml: butler.reader().sky_map_definition(&options.sky_map)?,
        config: options.config.clone(),
    };
    let snapshot = encode(&header, &plan)?;
    Ok(Prepared { butler, plan, snapshot, recovered, _lock: lock })
}

/// One rank at work.
struct Rank<'a> {
    job: &'a Job,
    number: usize,
    host: String,
    datastore: Datastore,
    sky_map: SkyMap,
    template: PathTemplate,
    task: CoaddTask,
    /// Made with the first coadd: a rank without work leaves nothing.
    journal: Mutex<Option<JournalWriter<BuildRecord>>>,
}

impl<'a> Rank<'a> {
    fn new(comm: &dyn Communicator, job: &'a Job) -> Result<Self, BuildError> {
        let header = &job.header;
        Ok(Self {
            job,
            number: comm.rank(),
            host: comm.host().to_owned(),
            datastore: Datastore::new(&header.root),
            sky_map: SkyMap::from_toml(&header.sky_map_toml)?,
            template: PathTemplate::parse(&header.template, &header.dataset_type)?,
            task: CoaddTask { config: header.config.clone() },
            journal: Mutex::new(None),
        })
    }

    /// Bytes first, then the journal.
    fn build(&self, index: usize) -> Result<PatchReport, Failure> {
        let header = &self.job.header;
        let start = Instant::now();
        let (quantum, fingerprint) = self.job.quantum(index)?;
        let (coadd, summary) = self.task.run(&self.datastore, &self.sky_map, &quantum)?;
        let dataset = store(
            &self.datastore,
            &Dataset::from(coadd),
            &header.dataset_type,
            &self.template,
            &quantum.data_id(),
            &header.run,
        )?;
        let report = PatchReport {
            tract: quantum.tract,
            patch: quantum.patch,
            band: quantum.band.to_string(),
            inputs: summary.inputs,
            warped_pixels: summary.warped_pixels,
            path: dataset.file.path.clone(),
            warnings: summary.warnings,
        };
        let record = BuildRecord {
            quantum: QuantumRecord {
                status: QuantumStatus::Done,
                cause: None,
                seconds: start.elapsed().as_secs_f64(),
                output: Some(dataset.dataset.id),
                ..self.record(quantum.data_id(), fingerprint)
            },
            dataset,
        };
        self.write(&record)?;
        Ok(report)
    }

    fn write(&self, record: &BuildRecord) -> Result<(), Failure> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let header = &self.job.header;
        if journal.is_none() {
            let path = fold::journal(&header.root, &header.run, header.job, self.number);
            // A rank that cannot write its journal can do no work: another one takes over.
            let created = JournalWriter::create(path, SyncPolicy::EveryRecord);
            *journal = Some(created.map_err(|e| Failure::of_rank(e.to_string()))?);
        }
        match journal.as_mut().map(|j| j.append(record)) {
            Some(Err(error)) => Err(Failure::from(error)),
            _ => Ok(()),
        }
    }

    /// A quantum that failed here or elsewhere, for the registry.
    fn failure(&self, failed: &Failed) -> Option<QuantumRecord> {
        let (quantum, fingerprint) = self.job.quantum(failed.quantum).ok()?;
        Some(QuantumRecord {
            status: QuantumStatus::Failed,
            cause: Some(failed.cause.clone()),
            rank: failed.rank as u32,
            ..self.record(quantum.data_id(), fingerprint)
        })
    }

    fn record(&self, data_id: crate::dimension::DataId, fingerprint: u64) -> QuantumRecord {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        QuantumRecord {
            run: self.job.header.run.as_str().into(),
            task: TASK.into(),
            data_id,
            fingerprint,
            status: QuantumStatus::Failed,
            cause: None,
            seconds: 0.0,
            rank: self.number as u32,
            host: self.host.as_str().into(),
            output: None,
            finished_at_us: now.as_micros() as i64,
        }
    }

    fn finish(&self) -> Result<(), BuildError> {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(journal.map_or(Ok(()), JournalWriter::finish)?)
    }
}
