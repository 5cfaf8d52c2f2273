//! The coadd build as a whole: the same bits on any number of ranks and after any interruption, and right pixels.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails with its test")]

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bunter::datastore::Dataset;
use bunter::{Butler, DataId, Exposure, LonLat, Query};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use program::{
    Coadds, assert_same, build, bunter, coadds, files, folder, has_mpirun, ingested, mpirun, on_ranks, program, run,
    simulate, text, tiny_repository, wait,
};

/// The tiny survey built in one go, alone.
fn uninterrupted() -> &'static Coadds {
    static COADDS: OnceLock<Coadds> = OnceLock::new();
    COADDS.get_or_init(|| {
        let repo = tiny_repository("uninterrupted");
        bunter(&build(&repo, "coadds")).ok().says(&["coadds built"]);
        let coadds = coadds(&repo, "coadds");
        assert!((4..=9).contains(&coadds.len()), "{} patches", coadds.len());
        coadds
    })
}

#[test]
fn the_same_bits_on_any_number_of_ranks() {
    if !has_mpirun() {
        return;
    }
    let repo = tiny_repository("ranks");
    for ranks in [1, 2, 3, 5] {
        let output = format!("ranks-{ranks}");
        mpirun(ranks, &build(&repo, &output)).ok();
        assert_same(uninterrupted(), &coadds(&repo, &output));
    }
    bunter(&["verify", text(&repo)]).ok().says(&["0 damaged, 0 orphan files"]);
}

#[test]
fn what_is_there_is_not_built_again_and_what_is_out_of_date_is() {
    let repo = tiny_repository("again");
    let count = uninterrupted().len();
    bunter(&build(&repo, "coadds")).ok();
    let before = files(&repo.join("coadds"), ".h5");
    assert_eq!(before.len(), count);
    for _ in 0..2 {
        let again = bunter(&build(&repo, "coadds")).ok().says(&["0 coadds built"]);
        assert!(again.err.contains(&format!("{count} coadds were there already")), "{}", again.err);
        assert_eq!(files(&repo.join("coadds"), ".h5"), before);
    }
    let mut median = build(&repo, "coadds");
    median.extend(["--statistic", "median"]);
    bunter(&median).ok().says(&[&format!("{count} coadds were out of date, and are replaced")]);
    let after = coadds(&repo, "coadds");
    assert_eq!(after.len(), count);
    assert!(after.iter().any(|(key, coadd)| coadd.image != uninterrupted()[key].image));
    assert_eq!(files(&repo.join("coadds"), ".h5").len(), count, "files of replaced coadds are gone");
    // And back: the same bits as ever.
    bunter(&build(&repo, "coadds")).ok();
    assert_same(uninterrupted(), &coadds(&repo, "coadds"));
    bunter(&["verify", text(&repo)]).ok();
}

/// Waits until a build has put down `count` coadds, or has ended.
fn until(child: &mut std::process::Child, output: &Path, count: usize) {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() && files(output, ".h5").len() < count {
        assert!(begun.elapsed() < Duration::from_secs(120), "the build hangs");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have ended by itself.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

/// The ranks that an mpirun has started: its children that run this program.
fn ranks_of(mpirun: u32) -> Vec<u32> {
    let mut found = vec![];
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // `pid (name) state parent …`; the name may have spaces and parentheses.
        let Some((head, tail)) = stat.rsplit_once(')') else { continue };
        if head.contains("(bunter") && tail.split_whitespace().nth(1) == Some(&mpirun.to_string()) {
            found.push(pid);
        }
    }
    found
}

/// After a killed build the same command makes it whole.
fn restart(repo: &Path, what: &str) {
    let again = bunter(&build(repo, "coadds")).ok();
    assert_same(uninterrupted(), &coadds(repo, "coadds"));
    // What was whole when the job died was kept, or swept now.
    bunter(&["verify", text(repo), "--repair"]).ok().says(&[" 0 damaged"]);
    bunter(&["verify", text(repo)]).ok().says(&["0 damaged, 0 orphan files"]);
    assert_eq!(files(&repo.join("coadds"), ".h5").len(), uninterrupted().len(), "{what}: {}", again.err);
    assert_eq!(files(&repo.join(".bunter"), ".bnj"), Vec::<PathBuf>::new(), "{what}");
    bunter(&build(repo, "coadds")).ok().says(&["0 coadds built"]);
}

#[test]
fn a_killed_serial_build_is_made_whole() {
    let _ = uninterrupted();
    for count in [0, 1, 4, 8] {
        let repo = tiny_repository(&format!("killed-{count}"));
        let mut child =
            program().args(build(&repo, "coadds")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until(&mut child, &repo.join("coadds"), count);
        child.kill().unwrap();
        child.wait().unwrap();
        restart(&repo, &format!("killed at {count} coadds"));
    }
}

#[test]
fn a_killed_parallel_build_is_made_whole() {
    if !has_mpirun() {
        return;
    }
    let _ = uninterrupted();
    // All ranks at once, as a batch system does; or one of them alone.
    for (count, who) in [(1, None), (4, None), (2, Some(0)), (3, Some(2))] {
        let repo = tiny_repository(&format!("killed-ranks-{count}"));
        let mut command = on_ranks(3, Path::new(env!("CARGO_BIN_EXE_bunter")));
        command.args(build(&repo, "coadds")).stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        until(&mut child, &repo.join("coadds"), count);
        let ranks = ranks_of(child.id());
        for (rank, pid) in ranks.iter().enumerate() {
            if who.is_none_or(|who| who == rank) {
                kill(*pid);
            }
        }
        let ended = wait(child).expect("a job whose rank is killed ends");
        assert!(ranks.is_empty() || ended.code != 0 || ended.err.contains("coadds built"), "{ended:?}");
        restart(&repo, &format!("{who:?} killed at {count} coadds"));
    }
}

#[test]
fn two_builds_of_one_run_do_not_meet() {
    let repo = tiny_repository("busy");
    let mut first =
        program().args(build(&repo, "coadds")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until(&mut first, &repo.join("coadds"), 1);
    let second = bunter(&build(&repo, "coadds"));
    let still = first.try_wait().unwrap().is_none();
    wait(first).unwrap().ok();
    // When the first was quicker than the second's start, there was nothing left to do.
    assert!(if still { second.code == 1 || second.code == 0 } else { second.code == 0 }, "{second:?}");
    if second.code == 1 {
        second.says(&["run `coadds` is being built by another job", "choose another --output"]);
    }
    assert_same(uninterrupted(), &coadds(&repo, "coadds"));
}

#[test]
fn a_lost_input_costs_its_patches_only() {
    let repo = tiny_repository("lost");
    let total = uninterrupted().len();
    // The corner-most image: the fewest patches want it.
    let counts = bunter(&["query-overlaps", text(&repo), "--skymap", "demo", "--format", "json"]).ok().json();
    let mut wanted = std::collections::BTreeMap::<(i64, i64), usize>::new();
    for row in counts.as_array().unwrap() {
        *wanted.entry((row["visit"].as_i64().unwrap(), row["detector"].as_i64().unwrap())).or_default() += 1;
    }
    let (&(visit, detector), &patches) = wanted.iter().min_by_key(|(_, n)| **n).unwrap();
    assert!(patches < total);
    let lost = files(&repo.join("exposures"), ".fits")
        .into_iter()
        .find(|p| text(p).contains(&format!("_{visit}_{detector}_")))
        .expect("the template names visit and detector");
    let name = lost.file_name().unwrap().to_str().unwrap().to_owned();
    let aside = repo.join("aside");
    fs::rename(&lost, &aside).unwrap();
    let verify = bunter(&["verify", text(&repo)]).exits(1);
    assert!(verify.out.contains(&name), "{}", verify.out);
    let failed = bunter(&build(&repo, "coadds")).exits(1).says(&[&name, "the same command again tries the rest"]);
    let there = coadds(&repo, "coadds");
    assert!(there.len() < total && there.len() >= total - patches, "{} of {total}: {}", there.len(), failed.err);
    let missing = total - there.len();
    assert_eq!(failed.err.matches("failed on rank 0").count(), missing, "{}", failed.err);
    // Nothing changes while it is away.
    bunter(&build(&repo, "coadds")).exits(1).says(&["0 coadds built", &name]);
    // A truncated file is told from a whole one.
    let bytes = fs::read(&aside).unwrap();
    fs::write(&lost, &bytes[..bytes.len() / 2]).unwrap();
    bunter(&build(&repo, "coadds")).exits(1).says(&["0 coadds built", &name]);
    fs::remove_file(&lost).unwrap();
    fs::rename(&aside, &lost).unwrap();
    bunter(&build(&repo, "coadds")).ok().says(&[&format!("{missing} coadds built")]);
    assert_same(uninterrupted(), &coadds(&repo, "coadds"));
    bunter(&["verify", text(&repo)]).ok();
}

#[test]
fn the_example_builds_the_same() {
    if !has_mpirun() {
        return;
    }
    let own = std::env::current_exe().unwrap();
    let profile = own.parent().and_then(Path::parent).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--example", "coadd_build", "--target-dir"]).arg(profile.parent().unwrap());
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    let example = profile.join("examples/coadd_build");
    let repo = tiny_repository("example");
    let ran = run(on_ranks(2, &example).args([text(&repo), "demo", "exposures", "coadds"])).ok();
    let count = uninterrupted().len();
    assert!(
        ran.out.ends_with(&format!("{count} of {count} quanta done, 0 failed, 0 not tried, 0 were there already\n"))
    );
    assert!(ran.out.starts_with("tract patch band inputs rank file\n    0 "), "{}", ran.out);
    assert_same(uninterrupted(), &coadds(&repo, "coadds"));
    run(on_ranks(2, &example).args([text(&repo), "dema", "exposures", "coadds"]))
        .exits(1)
        .says(&["did you mean `demo`"]);
    run(on_ranks(2, &example).arg("alone")).exits(2).says(&["usage: coadd_build"]);
}

/// The exposures of a survey as they are on disk, by the datasets of a repository.
fn exposures(repo: &Path) -> Vec<Exposure> {
    let butler = Butler::open(repo).unwrap();
    let rows = butler.query_datasets("calexp", &["exposures"], &Query::all(), false).unwrap();
    let ints = |name: &str| rows.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    let (visit, detector) = (ints("visit"), ints("detector"));
    (0..rows.num_rows())
        .map(|row| {
            let id = DataId::new()
                .with("instrument", "SimCam")
                .with("visit", visit.value(row))
                .with("detector", detector.value(row));
            match butler.get("calexp", &id, &["exposures"], None).unwrap() {
                Dataset::Exposure(exposure) => *exposure,
                other => panic!("{}", other.kind()),
            }
        })
        .collect()
}

#[test]
fn counts_of_inputs_are_those_of_the_masks_and_no_junk_leaks() {
    let _ = uninterrupted();
    let exposures = exposures(&tiny_repository("counts"));
    assert_eq!(exposures.len(), 12);
    // The brightest good pixel at the coadd's zero point.
    let (mut brightest, mut darkest) = (0.0_f64, 0.0_f64);
    for e in &exposures {
        let bad = e.mask_planes.bits(&["BAD", "SAT", "CR", "NO_DATA"]);
        let scale = 10_f64.powf(0.4 * (27.0 - e.zero_point));
        for (value, _) in e.image.iter().zip(&e.mask).filter(|(v, m)| *m & bad == 0 && v.is_finite()) {
            brightest = brightest.max(f64::from(*value) * scale);
            darkest = darkest.min(f64::from(*value) * scale);
        }
    }
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (mut compared, mut seen) = (0, std::collections::BTreeSet::new());
    for (key, coadd) in uninterrupted() {
        let shape = coadd.bbox.shape();
        for _ in 0..3000 {
            let (x, y) = ((random.next_u64() % shape.1 as u64) as usize, (random.next_u64() % shape.0 as u64) as usize);
            let sky = coadd
                .wcs
                .pixel_to_sky(f64::from(coadd.bbox.x0) + x as f64, f64::from(coadd.bbox.y0) + y as f64)
                .unwrap();
            // An exposure counts when all pixels about the nearest one are good, and not when none is there and good.
            let expected: Option<u16> = exposures.iter().map(|e| neighbourhood(e, sky).map(u16::from)).sum();
            let Some(expected) = expected else { continue };
            let found = coadd.n_image[[y, x]];
            assert_eq!(found, expected, "pixel {x}, {y} of {key:?}");
            assert_eq!(coadd.image[[y, x]].is_finite(), found > 0, "pixel {x}, {y} of {key:?}");
            assert_eq!(coadd.weight[[y, x]] > 0.0, found > 0);
            compared += 1;
            seen.insert(found);
        }
        for value in coadd.image.iter().filter(|v| v.is_finite()) {
            let value = f64::from(*value);
            // Lanczos rings by less than a quarter on either side of a star.
            assert!(value < 1.25 * brightest && value > darkest - 0.25 * brightest, "{value} in {key:?}");
            assert!(value > -5000.0 / 4.0, "a bad column leaks: {value}");
        }
    }
    assert!(compared > 3000 && seen.len() > 4, "{compared} positions with {seen:?} inputs");
}

/// Whether the 7 x 7 pixels about a position are all good (`true`), all bad or off the detector (`false`), or neither.
fn neighbourhood(e: &Exposure, sky: LonLat) -> Option<bool> {
    let bad = e.mask_planes.bits(&["BAD", "SAT", "CR", "NO_DATA"]);
    let (ny, nx) = e.image.dim();
    let Some((x, y)) = e.wcs.sky_to_pixel(sky) else { return Some(false) };
    let (x, y) = (x.round() as i64, y.round() as i64);
    let mut good = 0;
    for (dy, dx) in (-3..=3).flat_map(|dy| (-3..=3).map(move |dx| (dy, dx))) {
        let (x, y) = (x + dx, y + dy);
        if (0..nx as i64).contains(&x) && (0..ny as i64).contains(&y) {
            let at = [y as usize, x as usize];
            good += u8::from(e.mask[at] & bad == 0 && e.image[at].is_finite() && e.variance[at] > 0.0);
        }
    }
    match good {
        49 => Some(true),
        0 => Some(false),
        _ => None,
    }
}

/// A survey of few stars, so that most are isolated, and its coadds in run `coadds`.
fn few_stars(name: &str, options: &str) -> (PathBuf, PathBuf) {
    let folder = folder(name);
    let (survey, repo) = (folder.join("survey"), folder.join("repo"));
    simulate(&survey, &format!("--visits 6 --ccds 1 --nx 400 --ny 400 --bands r {options}"));
    ingested(&repo, &survey, "--patch-size 400 --patch-border 40");
    (survey, repo)
}

#[test]
fn stars_come_out_as_bright_as_they_are_and_where_they_are() {
    for (name, options) in
        [("sip", "--wcs sip"), ("tpv", "--wcs tpv"), ("tan", "--wcs tan"), ("strong-sip", "--wcs sip --sip 5")]
    {
        let (survey, repo) = few_stars(name, &format!("--stars 90 {options}"));
        bunter(&build(&repo, "coadds")).ok();
        let truth = survey.join("truth.csv");
        let measured = bunter(&[
            "measure-stars",
            text(&repo),
            "--skymap",
            "demo",
            "--collections",
            "coadds",
            "--truth",
            text(&truth),
            "--format",
            "json",
        ]);
        // The verdict of few stars may be `wrong` by chance: here the numbers count.
        assert!(measured.code == 0 || measured.code == 1, "{measured:?}");
        let row = &measured.json()[0];
        let number = |name: &str| row[name].as_f64().unwrap_or(f64::NAN);
        let (ratio, error) = (number("flux_ratio"), number("flux_ratio_err"));
        assert!(number("stars") >= 15.0, "{name}: {row}");
        assert!((ratio - 1.0).abs() <= (3.0 * error).max(0.002) && error < 0.005, "{name}: {row}");
        assert!((0.5..1.6).contains(&number("scatter_over_error")), "{name}: {row}");
        assert!(number("bright_stars") >= 3.0 && number("centroid_offset_px") < 0.05, "{name}: {row}");
    }
}

#[test]
fn clipping_removes_what_only_one_image_has() {
    let (_, clean) = few_stars("clean", "--stars 60");
    // The same stars and the same noise: the artefacts are drawn last.
    let (_, dirty) = few_stars("dirty", "--stars 60 --unflagged-cr 20 --trail");
    let built = |repo: &Path, statistic: &str| {
        let mut command = build(repo, statistic);
        command.extend(["--statistic", statistic]);
        bunter(&command).ok();
        coadds(repo, statistic)
    };
    let reference = built(&clean, "mean");
    // Pixels that differ from the survey without artefacts by more than 8 sigma.
    let wrong = |found: &Coadds| -> (usize, usize) {
        let (mut wrong, mut all) = (0, 0);
        for (key, coadd) in found {
            let clean = &reference[key];
            for (at, value) in coadd.image.indexed_iter().filter(|(at, _)| clean.n_image[*at] >= 5) {
                all += 1;
                wrong += usize::from((value - clean.image[at]).abs() > 8.0 * clean.variance[at].sqrt());
            }
        }
        (wrong, all)
    };
    let ((mean, all), (clipped, _)) = (wrong(&built(&dirty, "mean")), wrong(&built(&dirty, "clipped-mean")));
    assert!(mean > 1000 && all > 50_000, "{mean} of {all} pixels have artefacts");
    assert!(clipped * 200 < mean, "{clipped} of {mean} pixels with artefacts are left");
}

#[test]
fn astropy_reads_what_is_written() {
    let python = std::env::var("BUNTER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if !run(Command::new("env").args([&python, "-c", "import astropy, numpy"])).code.eq(&0) {
        eprintln!("skipped: {python} has no astropy (BUNTER_PYTHON names another)");
        return;
    }
    let repo = tiny_repository("astropy");
    bunter(&build(&repo, "coadds")).ok();
    let ((_, patch, _), coadd) = uninterrupted().iter().max_by_key(|(_, c)| c.n_image.iter().max()).unwrap();
    let path = repo.join("coadd.fits");
    let (patch, output) = (format!("patch={patch}"), text(&path));
    let id = ["skymap=demo", "tract=0", &patch, "band=r"];
    bunter(&[&["get", text(&repo), "deepCoadd"], &id[..], &["--as", "fits", "--output", output]].concat()).ok();
    let script = "
import sys, numpy as np
from astropy.io import fits
from astropy.wcs import WCS
with fits.open(sys.argv[1]) as hdus:
    hdus.verify('exception')
    image = hdus['IMAGE']
    wcs = WCS(image.header)
    sky = wcs.pixel_to_world_values(10, 20)
    print(*image.data.shape, repr(float(np.nansum(image.data, dtype='f8'))), int(hdus['N_IMAGE'].data.sum(dtype='i8')),
          int(hdus['MASK'].data.sum(dtype='i8')), repr(float(sky[0])), repr(float(sky[1])))
";
    let ran = run(Command::new(&python).args(["-c", script, output])).ok();
    let words: Vec<f64> = ran.out.split_whitespace().map(|w| w.parse().unwrap()).collect();
    let sum: f64 = coadd.image.iter().filter(|v| v.is_finite()).map(|v| f64::from(*v)).sum();
    assert_eq!((words[0] as usize, words[1] as usize), coadd.image.dim());
    assert!((words[2] - sum).abs() <= 1e-9 * sum.abs(), "{} and {sum}", words[2]);
    assert_eq!(words[3] as u64, coadd.n_image.iter().map(|n| u64::from(*n)).sum::<u64>());
    assert_eq!(words[4] as i64, coadd.mask.iter().map(|n| i64::from(*n)).sum::<i64>());
    let sky = coadd.wcs.pixel_to_sky(f64::from(coadd.bbox.x0 + 10), f64::from(coadd.bbox.y0 + 20)).unwrap();
    assert!((words[5] - sky.lon_deg()).abs() < 1e-9 && (words[6] - sky.lat_deg()).abs() < 1e-9, "{words:?} {sky:?}");
}
