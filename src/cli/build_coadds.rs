//! `bunter build-coadds`: one program, alone or as the ranks of an MPI job.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;

use super::CliError;
use super::output::{OutputFormat, write_rows};
use super::preview::Picture;
use super::progress::bar;
use super::select::Selection;
use crate::butler::Butler;
use crate::coadd::{CoaddConfig, Kernel, Statistic};
use crate::dataset::MaskPlanes;
use crate::ranks::{BuildOptions, BuildReport, Counts, PatchReport, Progress, World, build_coadds, stop_on_signals};

/// Build the coadds of all patches that the images touch: alone, or as ranks under mpirun or srun.
///
/// What is there, made of the same images in the same way, is not built again. A job that was killed is simply started again.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bunter build-coadds REPO --skymap hsc_rings_v1 --input HSC/calexp --output HSC/coadd --where 'tract = 9813'\n  \
                  mpirun -n 64 bunter build-coadds REPO --skymap demo --input exposures --output coadds\n  \
                  sbatch slurm/build-coadds.sbatch REPO demo exposures coadds"
)]
pub(crate) struct BuildCoadds {
    /// The repository.
    repository: PathBuf,
    /// The sky map whose patches are built.
    #[arg(long, value_name = "NAME")]
    skymap: String,
    /// Collections to search for images, in this order.
    #[arg(long, value_name = "COLLECTIONS", value_delimiter = ',', required = true)]
    input: Vec<String>,
    /// The run that the coadds go to.
    #[arg(long, value_name = "RUN")]
    output: String,
    /// Dataset type of the images.
    #[arg(long, default_value = "calexp")]
    dataset_type: String,
    /// Dataset type of the coadds.
    #[arg(long, default_value = "deepCoadd")]
    output_type: String,
    #[command(flatten)]
    selection: Selection,
    /// How images are interpolated.
    #[arg(long, value_enum, default_value = "lanczos3")]
    kernel: KernelName,
    /// How the images' values of a pixel become one.
    #[arg(long, value_enum, default_value = "mean")]
    statistic: StatisticName,
    /// Magnitude of one count of the coadds.
    #[arg(long, value_name = "MAG", default_value_t = 27.0, allow_negative_numbers = true)]
    zero_point: f64,
    /// Mask planes whose pixels are never used.
    #[arg(long, value_name = "PLANES", value_delimiter = ',', default_value = "BAD,SAT,CR,NO_DATA")]
    bad_planes: Vec<String>,
    /// Stop dealing work after so many failed patches [default: never].
    #[arg(long, value_name = "PATCHES")]
    max_failures: Option<usize>,
    /// How many times a patch that failed is tried again: last, and on another rank where there is one.
    #[arg(long, value_name = "TIMES", default_value_t = 0)]
    retries: usize,
    /// Be finished after this time (seconds, or 1:30:00): nothing is begun that could take longer [default: no limit].
    ///
    /// SIGTERM, SIGUSR1 and SIGINT stop the dealing as well. What is begun is brought to its end; the same command again does the rest.
    #[arg(long, value_name = "TIME", value_parser = time)]
    time_limit: Option<Duration>,
    /// Write a picture of the coadds here (PNG).
    #[arg(long, value_name = "FILE")]
    preview: Option<PathBuf>,
    /// How the table of what was built is written.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KernelName {
    Lanczos3,
    Bilinear,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StatisticName {
    /// Weighted mean.
    Mean,
    /// Weighted mean of the images that agree (3 sigma, 2 rounds).
    ClippedMean,
    /// Median, without weights.
    Median,
}

impl BuildCoadds {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let world = World::detect()?;
        let options = self.options()?;
        if world.is_root() {
            for warning in self.bad_planes.iter().filter_map(|plane| unusual(plane)) {
                eprintln!("warning: {warning}");
            }
        }
        let mut shown = Shown::new(world.is_root());
        let result = build_coadds(world.communicator(), &options, &mut shown);
        shown.finish();
        let report = match result {
            Ok(report) => report,
            // Every rank has the same error; one is enough to tell it.
            Err(_) if !world.is_root() => return Err(CliError::Silent),
            Err(error) => return Err(error.into()),
        };
        if !world.is_root() {
            return if report.verdict.is_success() { Ok(()) } else { Err(CliError::Silent) };
        }
        self.tell(&report, world.size())?;
        if let Some(path) = &self.preview {
            let butler = Butler::open(&self.repository)?;
            let what = Picture {
                dataset_type: &self.output_type,
                collections: &[&self.output],
                sky_map: &self.skymap,
                tract: None,
                size: 1600,
            };
            what.write(&butler, path)?;
        }
        if report.verdict.is_success() {
            return Ok(());
        }
        Err(CliError::Failed(format!(
            "{} of {} patches failed, {} were not tried; the others are built, and the same command again tries the rest",
            report.verdict.failed, report.verdict.total, report.verdict.left
        )))
    }

    fn options(&self) -> Result<BuildOptions, CliError> {
        if !self.zero_point.is_finite() {
            return Err(CliError::Usage(format!("--zero-point {} is not a finite number", self.zero_point)));
        }
        let input: Vec<&str> = self.input.iter().map(String::as_str).collect();
        let mut options = BuildOptions::new(&self.repository, &self.skymap, &input, &self.output);
        options.dataset_type.clone_from(&self.dataset_type);
        options.output_type.clone_from(&self.output_type);
        options.filter = self.selection.filter()?;
        options.run.max_failures = self.max_failures;
        options.run.retries = self.retries;
        options.run.deadline = self.time_limit.and_then(|limit| Instant::now().checked_add(limit));
        options.run.stop = Some(stop_on_signals()?);
        options.config = CoaddConfig {
            kernel: match self.kernel {
                KernelName::Lanczos3 => Kernel::Lanczos3,
                KernelName::Bilinear => Kernel::Bilinear,
            },
            statistic: match self.statistic {
                StatisticName::Mean => Statistic::WeightedMean,
                StatisticName::ClippedMean => Statistic::CLIPPED_MEAN,
                StatisticName::Median => Statistic::Median,
            },
            zero_point: self.zero_point,
            bad_planes: self.bad_planes.clone(),
            ..CoaddConfig::default()
        };
        Ok(options)
    }

    /// The table, then what to know of it.
    fn tell(&self, report: &BuildReport, ranks: usize) -> Result<(), CliError> {
        if !report.built.is_empty() || self.format != OutputFormat::Table {
            write_rows(&rows(report)?, self.format)?;
        }
        let mut out = io::stderr().lock();
        let mut say = |line: String| writeln!(out, "{line}").map_err(CliError::Output);
        for done in &report.built {
            for warning in &done.result.warnings {
                say(format!(
                    "warning: tract {} patch {} {}: {warning}",
                    done.result.tract, done.result.patch, done.result.band
                ))?;
            }
        }
        for (data_id, failed) in &report.failed {
            say(format!("error: {data_id} failed on rank {}: {}", failed.rank, failed.cause))?;
        }
        if report.recovered > 0 {
            say(format!("{} coadds of a build that was cut off were whole, and are kept", report.recovered))?;
        }
        if report.existing > 0 {
            say(format!("{} coadds were there already, made of the same images in the same way", report.existing))?;
        }
        if report.replaced > 0 {
            say(format!("{} coadds were out of date, and are replaced", report.replaced))?;
        }
        if report.removed > 0 {
            say(format!("{} coadds are removed, for no image touches their patch any more", report.removed))?;
        }
        if report.regions_now != report.regions {
            say(format!(
                "warning: the regions changed while this was built, from state {} to {}: the same command again builds \
                 what that concerns",
                report.regions, report.regions_now
            ))?;
        }
        let mpix = report.built.iter().map(|d| d.result.warped_pixels).sum::<u64>() as f64 / 1e6;
        say(format!(
            "{} coadds built in {:.2} s on {ranks} rank{}: {mpix:.1} Mpix warped, {:.1} Mpix/s",
            report.built.len(),
            report.seconds,
            if ranks == 1 { "" } else { "s" },
            mpix / report.seconds.max(1e-9)
        ))?;
        let folder = self.repository.join(&self.output).join(&self.output_type);
        say(format!("coadds: {} (run {}, dataset type {})", folder.display(), self.output, self.output_type))
    }
}

/// `90`, `1:30`, `1:30:00`: seconds, or minutes and hours before them.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: seconds, `MINUTES:SECONDS` or `HOURS:MINUTES:SECONDS`");
    let mut seconds = 0_u64;
    for (i, part) in text.split(':').enumerate() {
        let number: u64 = part.parse().map_err(|_| wrong())?;
        if i > 2 || (i > 0 && number > 59) {
            return Err(wrong());
        }
        seconds = seconds.checked_mul(60).and_then(|s| s.checked_add(number)).ok_or_else(wrong)?;
    }
    Ok(Duration::from_secs(seconds))
}

/// A word on a mask plane that is almost a customary one: with a typing error, bad pixels would be used.
fn unusual(plane: &str) -> Option<String> {
    let known = MaskPlanes::STANDARD.map(|(name, _)| name);
    if known.contains(&plane) {
        return None;
    }
    let near = known.into_iter().find(|name| strsim::damerau_levenshtein(name, &plane.to_uppercase()) <= 1)?;
    Some(format!("--bad-planes {plane}: did you mean `{near}`?"))
}

/// One row a coadd: tract, patch, band, inputs, Mpix warped, seconds, rank.
fn rows(report: &BuildReport) -> Result<RecordBatch, CliError> {
    let mut built: Vec<_> = report.built.iter().collect();
    built.sort_by_key(|d| (d.result.tract, d.result.patch, d.result.band.clone()));
    let ints = |value: &dyn Fn(&PatchReport) -> i64| -> ArrayRef {
        Arc::new(built.iter().map(|d| value(&d.result)).collect::<Int64Array>())
    };
    Ok(RecordBatch::try_from_iter([
        ("tract", ints(&|p| i64::from(p.tract))),
        ("patch", ints(&|p| i64::from(p.patch))),
        ("band", Arc::new(StringArray::from_iter_values(built.iter().map(|d| &d.result.band))) as ArrayRef),
        ("inputs", ints(&|p| i64::from(p.inputs))),
        ("mpix_warped", Arc::new(built.iter().map(|d| d.result.warped_pixels as f64 / 1e6).collect::<Float64Array>())),
        ("seconds", Arc::new(built.iter().map(|d| (d.seconds * 1e3).round() / 1e3).collect::<Float64Array>())),
        ("rank", Arc::new(built.iter().map(|d| d.rank as i64).collect::<Int64Array>())),
    ])?)
}

/// The bar on a terminal, or a line now and then where there is none.
struct Shown {
    bar: Option<ProgressBar>,
    start: Instant,
    last_line: Instant,
    total: usize,
    done: usize,
    failed: usize,
    pixels: u64,
}

impl Shown {
    fn new(is_root: bool) -> Self {
        let now = Instant::now();
        let bar = is_root.then(|| bar(0, "coadds {bar:32} {pos}/{len} {msg}"));
        Self { bar, start: now, last_line: now, total: 0, done: 0, failed: 0, pixels: 0 }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn show(&mut self) {
        let Some(bar) = &self.bar else { return };
        let seconds = self.start.elapsed().as_secs_f64();
        let rate = self.pixels as f64 / 1e6 / seconds.max(1e-9);
        let finished = self.done + self.failed;
        let left = match finished {
            0 => String::new(),
            n => format!(", {:.0} s left", seconds / n as f64 * self.total.saturating_sub(n) as f64),
        };
        let message = format!("{} failed, {rate:.1} Mpix/s{left}", self.failed);
        bar.set_position(finished as u64);
        bar.set_message(message.clone());
        // In a batch log: when something has happened, but no more than a line in ten seconds.
        if !io::stderr().is_terminal() && self.last_line.elapsed() > Duration::from_secs(10) {
            self.last_line = Instant::now();
            eprintln!("coadds {finished}/{}: {message}", self.total);
        }
    }
}

impl Progress<PatchReport> for Shown {
    fn on_start(&mut self, total: usize, _ranks: usize) {
        self.total = total;
        self.start = Instant::now();
        if let Some(bar) = &self.bar {
            bar.set_length(total as u64);
        }
    }

    fn on_done(&mut self, _rank: usize, _quantum: usize, result: &PatchReport, _seconds: f64) {
        self.done += 1;
        self.pixels += result.warped_pixels;
        self.show();
    }

    fn on_retry(&mut self, rank: usize, _quantum: usize, cause: &str) {
        if let Some(bar) = &self.bar {
            bar.suspend(|| eprintln!("warning: a patch failed on rank {rank} and will be tried again: {cause}"));
        }
    }

    fn on_failed(&mut self, _rank: usize, _quantum: usize, _cause: &str) {
        self.failed += 1;
        self.show();
    }

    fn on_lost(&mut self, rank: usize, cause: &str) {
        if let Some(bar) = &self.bar {
            bar.suspend(|| eprintln!("warning: rank {rank} has left: {cause}"));
        }
    }

    fn tick(&mut self, _counts: Counts) {
        if let Some(bar) = &self.bar {
            bar.tick();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_with_minutes_and_hours_before_them() {
        let seconds = |text| time(text).map(|t| t.as_secs());
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("1:30"), Ok(90));
        assert_eq!(seconds("12:00:05"), Ok(43_205));
        for wrong in ["", "1h", "-1", "1:60", "1:0:60", "1:2:3:4", "99999999999999999999", "400000000000000000:0:0"] {
            assert!(time(wrong).unwrap_err().contains("is no time"), "{wrong}");
        }
    }
}
