//! A whole coadd build beside `SWarp`: exposures on disk in, one coadd on disk out.
//!
//! `cargo bench --bench coadd`. Both sides have the same exposures, output grid, kernel (Lanczos3) and zero points, leave
//! out the same bad pixels, and read files that are in the page cache. Their runs take turns. CPU is user and system
//! seconds of the whole tree of processes (ticks of 10 ms), memory the high-water mark of the largest process,
//! looked at every 20 ms.
//!
//! What differs, and is said here because it is not in the numbers: Bunter also writes the mask, the number of inputs, the
//! table of inputs and a checksum, syncs the file, and weights an exposure by one number; `SWarp` weights by pixel, and
//! writes resampled exposures to disk on the way. Its input (an image and an inverse variance for each exposure) is made
//! beforehand and not timed.
//!
//! Environment: `BUNTER_BENCH_EXPOSURES` (40), `BUNTER_BENCH_NX` (2048), `BUNTER_BENCH_NY` (4096),
//! `BUNTER_BENCH_ROUNDS` (3), `BUNTER_BENCH_DIR` (where a temporary folder of some 8 GB is made and removed).

#![expect(clippy::expect_used, reason = "a bench may stop at the first error")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bunter::datastore::{FitsFile, FitsWriter, read_fits_exposure};
use bunter::simulate::{SimulateOptions, SimulatedWcs, simulate};
use bunter::{FitsLayout, FitsMask, FitsPlane, FitsVariance, MaskMeaning};

const BUNTER: &str = env!("CARGO_BIN_EXE_bunter");
/// Zero point of the coadds.
const ZERO_POINT: f64 = 27.0;
const BAD: [&str; 4] = ["BAD", "SAT", "CR", "NO_DATA"];

fn number(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default).max(1)
}

/// What one run took.
#[derive(Clone, Copy, Debug)]
struct Cost {
    wall: f64,
    cpu: f64,
    peak_mb: f64,
}

/// Runs a program to its end.
fn cost(command: &mut Command) -> Cost {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    let (before, start) = (children_cpu(), Instant::now());
    let mut child = command.spawn().expect("the program starts");
    let mut peaks: BTreeMap<u32, f64> = BTreeMap::new();
    let status = loop {
        if let Some(status) = child.try_wait().expect("the program can be waited for") {
            break status;
        }
        watch(child.id(), &mut peaks);
        std::thread::sleep(Duration::from_millis(20));
    };
    let wall = start.elapsed().as_secs_f64();
    if !status.success() {
        let mut text = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut stderr, &mut text);
        }
        eprintln!("error: {command:?}: {status}\n{text}");
        std::process::exit(1);
    }
    Cost { wall, cpu: children_cpu() - before, peak_mb: peaks.values().copied().fold(0.0, f64::max) }
}

/// CPU seconds of all children that have ended, and theirs.
fn children_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |field: usize| after_name.split_whitespace().nth(field).and_then(|t| t.parse::<f64>().ok());
    (ticks(13).unwrap_or_default() + ticks(14).unwrap_or_default()) / 100.0
}

/// Notes the high-water marks of a process and its descendants.
fn watch(process: u32, peaks: &mut BTreeMap<u32, f64>) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mark: Option<f64> =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    if let Some(kilobytes) = mark {
        let peak = peaks.entry(process).or_default();
        *peak = peak.max(kilobytes * 1.024e-3);
    }
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return };
    for thread in threads.flatten() {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.split_whitespace().filter_map(|id| id.parse().ok()).for_each(|id| watch(id, peaks));
    }
}

fn bunter(arguments: &[&str]) {
    cost(Command::new(BUNTER).args(arguments));
}

/// The exposures of a folder as `SWarp` wants them: `name.fits`, and `name.weight.fits` with 0 at bad pixels.
fn prepare(survey: &Path, out: &Path) -> Vec<PathBuf> {
    let plane = |hdu| FitsPlane { file: None, hdu };
    let mut files: Vec<PathBuf> = fs::read_dir(survey).expect("the survey").flatten().map(|e| e.path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "fits"));
    files.sort();
    let mut prepared = Vec::new();
    for file in files {
        let header = FitsFile::open(&file).and_then(|f| f.header(0)).expect("a header");
        let layout = FitsLayout {
            image: plane(1),
            mask: Some(FitsMask { plane: plane(2), meaning: MaskMeaning::Planes }),
            variance: FitsVariance::Plane(plane(3)),
            background: 0.0,
            zero_point: header.f64("PHOTZP").expect("a zero point"),
            saturation: None,
            low: None,
        };
        let exposure = read_fits_exposure(&file, &layout, None).expect("an exposure");
        let bad = exposure.mask_planes.bits(&BAD);
        let mut weight = exposure.variance;
        weight.zip_mut_with(&exposure.mask, |v, m| *v = if *v > 0.0 && m & bad == 0 { v.recip() } else { 0.0 });
        let mut header = exposure.wcs.to_header();
        header.set("FLXSCALE", 10_f64.powf(0.4 * (ZERO_POINT - layout.zero_point)));
        let image = exposure.image.mapv(|v| if v.is_finite() { v } else { 0.0 });
        let path = out.join(file.file_name().expect("a name"));
        for (path, pixels) in [(path.clone(), image), (path.with_extension("weight.fits"), weight)] {
            let mut writer = FitsWriter::new(BufWriter::new(File::create(path).expect("a file")));
            let written = writer
                .primary(&bunter::Header::default())
                .and_then(|()| writer.image_f32("IMAGE", &header, &pixels))
                .and_then(|()| writer.finish());
            written.expect("the disk has room");
        }
        prepared.push(path);
    }
    prepared
}

fn swarp(exposures: &[PathBuf], folder: &Path, threads: u32) -> Command {
    let mut command = Command::new("SWarp");
    command.current_dir(folder).args(exposures);
    let options = "-COMBINE_TYPE WEIGHTED -WEIGHT_TYPE MAP_WEIGHT -RESCALE_WEIGHTS N -RESAMPLING_TYPE LANCZOS3 \
                   -OVERSAMPLING 1 -SUBTRACT_BACK N -FSCALE_KEYWORD FLXSCALE -IMAGEOUT_NAME coadd.fits \
                   -WEIGHTOUT_NAME coadd.weight.fits -WRITE_XML N -VERBOSE_TYPE QUIET -MEM_MAX 2048 \
                   -COMBINE_BUFSIZE 1024 -DELETE_TMPFILES Y -c /dev/null";
    command.args(options.split_whitespace()).arg("-NTHREADS").arg(threads.to_string());
    command
}

fn main() {
    let exposures = number("BUNTER_BENCH_EXPOSURES", 40);
    let rounds = number("BUNTER_BENCH_ROUNDS", 3);
    let place = std::env::var_os("BUNTER_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(place).expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let mut options = SimulateOptions::new(path("survey"));
    (options.visits, options.ccds) = (exposures.div_ceil(2), exposures.min(2));
    (options.nx, options.ny) = (number("BUNTER_BENCH_NX", 2048), number("BUNTER_BENCH_NY", 4096));
    (options.bands, options.wcs) = (vec!["r".to_owned()], SimulatedWcs::Tpv);
    simulate(&options, &|_| {}).expect("a survey");
    let megapixels = f64::from(options.nx) * f64::from(options.ny) * 1e-6;
    let survey = path("survey");
    let header = survey.join("target.hdr");
    fs::create_dir(path("swarp")).expect("a folder");
    fs::copy(&header, path("swarp").join("coadd.head")).expect("a header");
    let prepared = prepare(&survey, &path("swarp"));
    let peer = Command::new("SWarp").arg("-v").output().is_ok();
    if !peer {
        println!("peer skipped: there is no program SWarp (Debian: apt-get install swarp)");
    }
    println!("{} exposures of {} x {} pixels, TPV, Lanczos3, weighted mean", prepared.len(), options.nx, options.ny);

    // Repositories of a quarter, half and all of the exposures: memory must not follow.
    let mut repositories = Vec::new();
    for count in [prepared.len().div_ceil(4), prepared.len().div_ceil(2), prepared.len()] {
        let repository = path(&format!("repo{count}")).display().to_string();
        let grid = header.display().to_string();
        bunter(&["create", &repository]);
        bunter(&["register-instrument", &repository, "SimCam"]);
        bunter(&["register-skymap", &repository, "one", "--header", &grid]);
        // Two ranks need two patches at least.
        let side = longest_side(&header).div_ceil(2).to_string();
        bunter(&["register-skymap", &repository, "four", "--header", &grid, "--patch-size", &side]);
        let files: Vec<String> =
            prepared[..count].iter().filter_map(|f| Some(survey.join(f.file_name()?).display().to_string())).collect();
        let mut ingest: Vec<&str> = vec!["ingest", &repository, "--run", "exposures", "--transfer", "direct"];
        ingest.extend(files.iter().map(String::as_str));
        bunter(&ingest);
        repositories.push((count, repository));
    }
    let mut runs = 0;
    let mut build = |repository: &str, sky_map: &str, ranks: u32| {
        runs += 1;
        let mut command = if ranks == 1 { Command::new(BUNTER) } else { Command::new("mpirun") };
        if ranks > 1 {
            command.args(["-n", &ranks.to_string(), "--oversubscribe", BUNTER]);
        }
        let output = format!("coadds/{runs}");
        command.args(["build-coadds", repository, "--skymap", sky_map, "--input", "exposures", "--output", &output]);
        let cost = cost(&mut command);
        let _ = fs::remove_dir_all(Path::new(repository).join(&output));
        cost
    };

    for (count, repository) in &repositories[..2] {
        tell(&format!("bunter, serial, {count} exposures"), &[build(repository, "one", 1)], *count, megapixels);
    }
    let (count, all) = &repositories[2];
    let mut costs: [Vec<Cost>; 4] = Default::default();
    for _ in 0..rounds {
        costs[0].push(build(all, "one", 1));
        if peer {
            costs[1].push(cost(&mut swarp(&prepared, &path("swarp"), 1)));
        }
        costs[2].push(build(all, "four", 2));
        if peer {
            costs[3].push(cost(&mut swarp(&prepared, &path("swarp"), 2)));
        }
    }
    let names = ["bunter, serial", "SWarp, 1 thread", "bunter, 2 ranks of 4 patches", "SWarp, 2 threads"];
    for (name, costs) in names.iter().zip(&costs).filter(|(_, costs)| !costs.is_empty()) {
        tell(&format!("{name}, {count} exposures"), costs, *count, megapixels);
    }
    if peer {
        for (ours, theirs) in [(0, 1), (2, 3)] {
            let ratio = |of: fn(&Cost) -> f64| median(&costs[ours], of) / median(&costs[theirs], of);
            let (cpu, wall, peak) = (ratio(|c| c.cpu), ratio(|c| c.wall), ratio(|c| c.peak_mb));
            println!("{} / {}: CPU {cpu:.2}, wall {wall:.2}, memory {peak:.2}", names[ours], names[theirs]);
        }
    }
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn tell(name: &str, costs: &[Cost], exposures: usize, megapixels: f64) {
    let (cpu, wall, peak) = (median(costs, |c| c.cpu), median(costs, |c| c.wall), median(costs, |c| c.peak_mb));
    let speed = exposures as f64 * megapixels / cpu;
    println!("{name:<46} CPU {cpu:7.2} s  wall {wall:7.2} s  peak {peak:5.0} MB  {speed:5.1} Mpix of input per CPU s");
}

/// The longer side of the grid of a text header.
fn longest_side(header: &Path) -> u32 {
    let text = fs::read_to_string(header).expect("a header");
    let side = |line: &str| line.strip_prefix("NAXIS")?.split_once('=')?.1.trim().parse().ok();
    text.lines().filter_map(side).max().expect("a grid")
}
