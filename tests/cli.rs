//! The program as a person meets it: exit codes, help, formats, and bad input of every kind.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails with its test")]

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use program::{
    Ran, assert_same, build, bunter, coadds, copy_folder, files, folder, has_mpirun, mpirun, program, run, text,
    tiny_repository, tiny_survey,
};

const COMMANDS: &[&str] = &[
    "simulate",
    "create",
    "migrate",
    "register-instrument",
    "register-visits",
    "register-skymap",
    "make-discrete-skymap",
    "register-dataset-type",
    "ingest",
    "query-datasets",
    "query-dataset-types",
    "query-collections",
    "query-dimension-records",
    "query-data-ids",
    "query-overlaps",
    "find-patches",
    "overlaps",
    "query-regions",
    "update-regions",
    "query-camera",
    "plot",
    "coverage",
    "get",
    "build-coadds",
    "pack",
    "unpack",
    "preview",
    "measure-stars",
    "verify",
    "associate",
    "certify-calibrations",
    "collection-chain",
    "decertify-calibrations",
    "give-run",
    "provenance",
    "prune-datasets",
    "query-calibrations",
    "remove-collections",
    "seal-run",
    "watch",
];

#[test]
fn help_of_every_command_has_an_example() {
    let help = bunter(&["--help"]).ok().out;
    for command in COMMANDS {
        assert!(help.contains(&format!("  {command} ")), "{command} is not in:\n{help}");
        let one = bunter(&[command, "--help"]).ok().out;
        assert!(one.contains("Example") && one.contains(&format!("\n  bunter {command} ")), "{one}");
    }
    let listed = help.lines().filter(|l| l.starts_with("  ") && l.chars().nth(2).is_some_and(char::is_alphabetic));
    assert_eq!(listed.count(), COMMANDS.len() + 1, "a command is not tested here:\n{help}");
}

#[test]
fn what_is_not_understood_exits_with_2() {
    let repo = tiny_repository("usage");
    let repo = text(&repo);
    let image = ["get", repo, "calexp.image", "instrument=SimCam", "visit=900000", "detector=0"];
    let with = |more: &[&'static str]| [&image[..], more].concat();
    for (arguments, word) in [
        (vec![], "Usage"),
        (vec!["build-coads"], "build-coadds"),
        (vec!["query-datasets", repo, "calexp", "--format", "xml"], "csv"),
        (vec!["query-datasets", repo, "calexp", "--where", "visit ="], "expected a value"),
        (vec!["query-datasets", repo, "calexp", "--where", "visit = 'a"], "visit = 'a"),
        (with(&["--bbox", "1,2,3"]), "x0,y0,width,height"),
        (with(&["--bbox", "1,2,0,4", "-o", "x"]), "x0,y0,width,height"),
        (with(&[]), "--output"),
        (vec!["get", repo, "calexp", "visit", "-o", "x"], "dimension=value"),
        (vec!["get", repo, "calexp", "visit=one", "-o", "x"], "whole number"),
        (vec!["build-coadds", repo, "--skymap", "demo", "--output", "x"], "--input"),
        (vec!["register-dataset-type", repo, "x", "Exposur", "visit"], "Exposure"),
    ] {
        bunter(&arguments).exits(2).says(&[word]);
    }
    let mut zero = build(Path::new(repo), "x");
    zero.extend(["--zero-point", "inf"]);
    bunter(&zero).exits(2).says(&["not a finite number"]);
}

#[test]
fn names_that_are_not_there_are_answered_with_near_ones() {
    let repo = tiny_repository("names");
    let at = text(&repo);
    let get = |name: &'static str, id: &[&'static str]| [&["get", at, name][..], id, &["-o", "x.fits"]].concat();
    for (arguments, words) in [
        (vec!["query-datasets", at, "calex"], vec!["`calex`", "did you mean `calexp`"]),
        (vec!["query-datasets", at, "calexp", "--collections", "expsures"], vec!["did you mean `exposures`"]),
        (vec!["query-datasets", at, "calexp", "--where", "vist = 3"], vec!["did you mean `visit`"]),
        (vec!["query-datasets", at, "calexp", "--order-by", "vist"], vec!["did you mean `visit`"]),
        (vec!["query-dimension-records", at, "vist"], vec!["did you mean `visit`"]),
        (vec!["query-overlaps", at, "--skymap", "dem"], vec!["did you mean `demo`"]),
        (vec!["register-skymap", at, "hsc_rings_v2"], vec!["did you mean `hsc_rings_v1`"]),
        (vec!["register-instrument", at, "DECm"], vec!["did you mean `DECam`"]),
        (get("calexp.imge", &["instrument=SimCam", "visit=900000", "detector=0"]), vec!["did you mean `image`"]),
        (get("calexp", &["instrument=SimCam", "vist=900000", "detector=0"]), vec!["did you mean `visit`"]),
        (get("calexp", &["instrument=SimCam", "visit=1", "detector=0"]), vec!["no `calexp` with data ID", "visit: 1"]),
        (get("calexp", &["instrument=SimCam", "visit=900000"]), vec!["detector"]),
        (vec!["create", at], vec!["is a repository already"]),
        (vec!["query-datasets", text(tiny_survey()), "calexp"], vec!["is not a repository", "bunter create"]),
        (vec!["ingest", at, "/nowhere/at/all", "--run", "x"], vec!["/nowhere/at/all", "No such file"]),
        (vec!["ingest", at, text(tiny_survey()), "--run", "a/../b"], vec!["a/../b"]),
        (vec!["ingest", at, text(tiny_survey()), "--run", "x", "--dataset-type", "deepCoadd"], vec!["such as calexp"]),
        (
            vec![
                "build-coadds",
                at,
                "--skymap",
                "demo",
                "--input",
                "exposures",
                "--output",
                "x",
                "--where",
                "tract = 5",
            ],
            vec!["tract 5 out of range; the sky map has tracts 0..=0"],
        ),
        (vec!["preview", at, "--skymap", "demo", "-o", "x.png"], vec!["no `deepCoadd`"]),
    ] {
        bunter(&arguments).exits(1).says(&words);
    }
    let outside = get("calexp.image", &["instrument=SimCam", "visit=900000", "detector=0", "--bbox=150,150,100,100"]);
    bunter(&outside).exits(1).says(&["100x100 at (150, 150)", "not inside", "200x220 at (0, 0)"]);
    let mut typo = build(&repo, "typo");
    typo.extend(["--bad-planes", "BAD,STA,CR,NO_DATA"]);
    bunter(&typo).ok().says(&["did you mean `SAT`"]);
    assert!(!Path::new("x.fits").exists());
}

#[test]
fn every_query_speaks_every_format() {
    let repo = tiny_repository("formats");
    let at = text(&repo);
    for (query, rows, columns) in [
        (vec!["query-datasets", at, "calexp"], 12, "id,run,detector,instrument,visit,band,day_obs,physical_filter"),
        (vec!["query-dataset-types", at], 2, "name,storage_class,dimensions"),
        (vec!["query-collections", at], 1, "name,type,children"),
        (vec!["query-dimension-records", at, "visit"], 6, "instrument,visit,day_obs,physical_filter,"),
        (vec!["query-dimension-records", at, "patch"], 9, "skymap,tract,patch,cell_x,cell_y,region"),
        (vec!["query-overlaps", at, "--skymap", "demo"], 0, "skymap,tract,patch,band,instrument,visit,detector"),
    ] {
        let form = |format: &'static str| bunter(&[&query[..], &["--format", format]].concat()).ok();
        let (csv, json, table) = (form("csv").out, form("json").json(), form("table").out);
        let header = csv.lines().next().unwrap();
        assert!(header.starts_with(columns), "{header}");
        let count = json.as_array().unwrap().len();
        assert!(rows == 0 || count == rows, "{query:?}: {count} rows");
        assert!(count > 0);
        assert_eq!((csv.lines().count(), table.lines().count()), (count + 1, count + 1), "{query:?}");
        assert_eq!(table.split_whitespace().take(2).collect::<Vec<_>>(), header.split(',').take(2).collect::<Vec<_>>());
        let keys: Vec<&String> = json[0].as_object().unwrap().keys().collect();
        assert!(keys.iter().all(|key| header.split(',').any(|name| name == *key)), "{keys:?} {header}");
    }
    // No row: a table and a CSV of headers, and an empty array.
    let none = |format| bunter(&["query-datasets", at, "calexp", "--where", "visit = 1", "--format", format]).ok().out;
    assert_eq!((none("json").trim(), none("csv").lines().count()), ("[]", 1));
    let sorted = bunter(&[
        "query-datasets",
        at,
        "calexp",
        "--id",
        "visit=900001^900003",
        "detector=0",
        "--order-by",
        "-visit",
        "--format",
        "csv",
    ])
    .ok()
    .out;
    let visits: Vec<&str> = sorted.lines().skip(1).map(|l| l.split(',').nth(4).unwrap()).collect();
    assert_eq!(visits, ["900003", "900001"]);
    if has_mpirun() {
        let both = mpirun(2, &["query-datasets", at, "calexp", "--format", "csv"]).ok();
        assert_eq!(both.out.lines().filter(|l| l.contains("SimCam")).count(), 24);
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let repo = tiny_repository("pipe");
    bunter(&["register-skymap", text(&repo), "hsc_rings_v1"]).ok();
    for format in ["table", "json", "csv"] {
        // Far more than a pipe holds.
        let mut child = program()
            .args(["query-dimension-records", text(&repo), "patch", "--where", "tract = 9813", "--format", format])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() && err.is_empty(), "{format}: {:?} {err}", ended.status);
    }
}

/// A survey file with parts of its bytes replaced by others of the same length, each in its first place.
fn altered(replaced: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = fs::read(tiny_survey().join("calexp-900001-01.fits")).unwrap();
    for (from, to) in replaced {
        assert_eq!(from.len(), to.len());
        let at = find(&bytes, from, 0);
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

fn find(bytes: &[u8], what: &str, from: usize) -> usize {
    from + bytes[from..].windows(what.len()).position(|w| w == what.as_bytes()).unwrap()
}

#[test]
fn bad_files_are_named_and_the_good_ones_ingested() {
    let repo = folder("bad-files").join("repo");
    let night = folder("bad-files-night");
    bunter(&["create", text(&repo)]).ok();
    bunter(&["register-instrument", text(&repo), "SimCam"]).ok();
    for detector in ["00", "01"] {
        let name = format!("calexp-900000-{detector}.fits");
        fs::copy(tiny_survey().join(&name), night.join(&name)).unwrap();
    }
    let visit = |n: u32| ("VISIT   =               900001", format!("VISIT   =               {n}"));
    let mut bad: Vec<(&str, &str, Vec<u8>)> = vec![];
    let mut number = 900_100;
    let mut next = |name, word, replaced: &[(&str, &str)]| {
        number += 1;
        let (from, to) = visit(number);
        bad.push((name, word, altered(&[&[(from, to.as_str())], replaced].concat())));
    };
    next("no-wcs.fits", "no keyword `CTYPE1`", &[("CTYPE1  =", "XTYPE1  =")]);
    next("no-filter.fits", "FILTER", &[("FILTER  =", "FOLTER  =")]);
    let hsc = [("FILTER  = 'r       '", "FILTER  = 'qq      '"), ("INSTRUME= 'SimCam  '", "INSTRUME= 'HSC     '")];
    next("other-filter.fits", "HSC has no filter \"qq\"", &hsc);
    next("no-columns.fits", "no-columns.fits", &[("NAXIS1  =                  200", "NAXIS1  =                    0")]);
    next("huge.fits", "truncated", &[("NAXIS1  =                  200", "NAXIS1  =        2000000000000")]);
    next("nan.fits", "finite number", &[]);
    for name in ["cut-in-image.fits", "cut-in-mask.fits", "cut-in-variance.fits", "cut-after-mask.fits"] {
        next(name, if name == "cut-after-mask.fits" { "images are" } else { "truncated" }, &[]);
    }
    let nan = &mut bad[5].2;
    let end = find(nan, &format!("END{}", " ".repeat(77)), find(nan, "EXTNAME = 'IMAGE", 0));
    let data = (end / 2880 + 1) * 2880;
    nan[data..data + 200 * 220 * 4].fill(0xff);
    for (i, part) in [0.2, 0.5, 0.8].into_iter().enumerate() {
        let bytes = &mut bad[6 + i].2;
        bytes.truncate((bytes.len() as f64 * part) as usize);
    }
    let boundary = find(&bad[9].2, "EXTNAME = 'VARIANCE", 0) / 2880 * 2880;
    bad[9].2.truncate(boundary);
    bad.push(("empty.fits", "not a FITS file", vec![]));
    bad.push(("text.fits", "not a FITS file", b"hello\n".repeat(1000)));
    for (name, _, bytes) in &bad {
        fs::write(night.join(name), bytes).unwrap();
    }
    let ingest = ["ingest", text(&repo), text(&night), "--run", "exposures"];
    for time in 0..2 {
        let ran = bunter(&ingest).exits(1);
        for (name, word, _) in &bad {
            let line = ran.err.lines().find(|l| l.contains(name)).unwrap_or_else(|| panic!("{name}: {}", ran.err));
            let told = &ran.err[ran.err.find(line).unwrap()..];
            assert!(told.contains(word), "{name}: `{word}` in {told}");
        }
        let (new, there) = if time == 0 { (2, 0) } else { (0, 2) };
        let counted = format!("{} of {} files were not ingested", bad.len(), bad.len() + 2);
        ran.says(&[&format!("{new} exposures ingested into exposures, {there} there already"), &counted]);
    }
    bunter(&["verify", text(&repo)]).ok().says(&["2 datasets", "0 damaged, 0 orphan files"]);
    // An instrument that nobody registered.
    let other = folder("bad-files-other");
    fs::write(other.join("hsc.fits"), altered(&[("FILTER  = 'r       '", "FILTER  = 'HSC-R   '"), hsc[1]])).unwrap();
    bunter(&["ingest", text(&repo), text(&other), "--run", "x"]).exits(1).says(&["`HSC` is not registered"]);
}

#[test]
fn an_absent_path_does_not_stop_the_others() {
    let repo = folder("absent-path").join("repo");
    bunter(&["create", text(&repo)]).ok();
    bunter(&["register-instrument", text(&repo), "SimCam"]).ok();
    let absent = repo.join("night-2");
    let ingest = |paths: &[&Path]| {
        let mut words = vec!["ingest", text(&repo)];
        words.extend(paths.iter().map(|path| text(path)));
        bunter(&[&words[..], &["--run", "exposures"]].concat())
    };
    let both = ingest(&[&absent, tiny_survey()]).exits(1);
    both.says(&[
        text(&absent),
        "No such file",
        "12 exposures ingested",
        "1 of 13 files were not ingested; all others were",
    ]);
    ingest(&[&absent]).exits(1).says(&["1 of 1 files were not ingested"]);
}

#[test]
fn nothing_is_swept_while_a_job_may_need_it() {
    let repo = tiny_repository("sweep");
    let orphan = repo.join("exposures/left.hdf5");
    fs::write(&orphan, "half of a coadd").unwrap();
    let journals = repo.join(".bunter/a/run");
    fs::create_dir_all(&journals).unwrap();
    let journal = journals.join("1-rank-00000.bnj");
    fs::write(&journal, "").unwrap();
    bunter(&["verify", text(&repo), "--repair"]).exits(1).says(&[
        "1 orphan files",
        text(&journal),
        "nothing was removed",
    ]);
    assert!(orphan.exists());
    fs::remove_file(&journal).unwrap();
    bunter(&["verify", text(&repo), "--repair"]).ok().says(&["1 orphan files, 1 removed"]);
    assert!(!orphan.exists());
}

#[test]
fn folders_that_cannot_be_written() {
    let folder = folder("unwritable");
    let file = folder.join("file");
    fs::write(&file, "a file").unwrap();
    let below = file.join("repo");
    bunter(&["create", text(&below)]).exits(1).says(&[text(&below), "Not a directory"]);
    bunter(&["simulate", text(&below)]).exits(1).says(&[text(&below), "Not a directory"]);
    let repo = tiny_repository("unwritable-repo");
    let id = ["calexp", "instrument=SimCam", "visit=900000", "detector=0", "-o"];
    let to = file.join("x.fits");
    bunter(&[&["get", text(&repo)], &id[..], &[text(&to)]].concat()).exits(1).says(&[text(&file), "Not a directory"]);
    // A file where the run's folder would be.
    fs::write(repo.join("coadds"), "in the way").unwrap();
    bunter(&build(&repo, "coadds")).exits(1).says(&["coadds", "0 coadds built"]);
    fs::write(repo.join("more"), "in the way").unwrap();
    let ingest = ["ingest", text(&repo), text(tiny_survey()), "--run", "more"];
    bunter(&ingest).exits(1).says(&["more", "12 of 12 files were not ingested"]);
    fs::remove_file(repo.join("more")).unwrap();
    bunter(&ingest).ok();
    fs::remove_file(repo.join("coadds")).unwrap();
    bunter(&build(&repo, "coadds")).ok();
    bunter(&["verify", text(&repo)]).ok();
}

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(name: &str, size: &str) -> Option<Self> {
        let disk = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("small-disk-{name}")));
        fs::create_dir_all(&disk.0).unwrap();
        // What a test that was killed has left.
        let _ = Command::new("umount").arg(&disk.0).output();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(&disk.0).output();
        if mount.is_ok_and(|m| m.status.success()) {
            return Some(disk);
        }
        eprintln!("skipped: no file system can be mounted here");
        None
    }

    fn grow(&self) {
        assert_eq!(run(Command::new("mount").args(["-o", "remount,size=100m"]).arg(&self.0)).code, 0);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let Some(disk) = SmallDisk::new("full", "4m") else { return };
    let repo = disk.0.join("repo");
    bunter(&["create", text(&repo)]).ok();
    bunter(&["register-instrument", text(&repo), "SimCam"]).ok();
    let ingest = ["ingest", text(&repo), text(tiny_survey()), "--run", "exposures"];
    bunter(&ingest).exits(1).says(&["No space left on device", "calexp-9000"]);
    disk.grow();
    bunter(&["verify", text(&repo)]).ok().says(&["0 damaged, 0 orphan files"]);
    bunter(&ingest).ok().says(&[" 0 failed"]);
    bunter(&["verify", text(&repo)]).ok().says(&["12 datasets"]);
    bunter(&["make-discrete-skymap", text(&repo), "demo", "--patch-size", "200", "--patch-border", "20"]).ok();
    bunter(&build(&repo, "plenty")).ok();
    let used = files(&repo, "").iter().map(|f| f.metadata().unwrap().len()).sum::<u64>();
    // Room for some of the coadds.
    let size = format!("remount,size={}k", used / 1024 + 4000);
    assert_eq!(run(Command::new("mount").args(["-o", &size]).arg(&disk.0)).code, 0);
    // The coadds' own words, or the registry's when its part is what found no room.
    let full = bunter(&build(&repo, "coadds")).exits(1);
    let is_told =
        ["No space left on device", "is full: nothing was written"].iter().any(|words| full.err.contains(words));
    assert!(is_told, "{}", full.err);
    disk.grow();
    let again = bunter(&build(&repo, "coadds")).ok();
    let all = coadds(&repo, "coadds");
    assert!(!again.err.contains(&format!("{} coadds built", all.len())), "none was kept: {} {}", full.err, again.err);
    assert!(!again.err.contains("\n0 coadds built"), "there was room for all: {}", full.err);
    assert_same(&coadds(&repo, "plenty"), &all);
    bunter(&["verify", text(&repo), "--repair"]).ok().says(&[" 0 damaged"]);
    bunter(&["verify", text(&repo)]).ok().says(&["0 damaged, 0 orphan files"]);
}

/// Two pixel files as FITS with the same bytes.
fn pixels(repo: &Path, id: &[&str], component: &str) -> Vec<u8> {
    let output = repo.join("pixels.fits");
    let name = format!("calexp.{component}");
    bunter(&[&["get", text(repo), &name], id, &["-o", text(&output)]].concat()).ok();
    // A file that is there is never written over.
    bunter(&[&["get", text(repo), &name], id, &["-o", text(&output)]].concat()).exits(1).says(&["exists already"]);
    let bytes = fs::read(&output).unwrap();
    fs::remove_file(output).unwrap();
    bytes
}

#[test]
fn the_same_pixels_by_every_way_in() {
    let survey = folder("ways-survey");
    for name in ["calexp-900002-00.fits", "calexp-900003-01.fits"] {
        fs::copy(tiny_survey().join(name), survey.join(name)).unwrap();
    }
    let id = ["instrument=SimCam", "visit=900002", "detector=0"];
    let mut first: Option<Vec<Vec<u8>>> = None;
    let repo = folder("ways").join("repo");
    for way in [
        vec!["--transfer", "copy"],
        vec!["--transfer", "hardlink"],
        vec!["--transfer", "symlink"],
        vec!["--transfer", "direct"],
        vec!["--storage", "hdf5"],
        vec!["--transfer", "move"],
    ] {
        let _ = fs::remove_dir_all(&repo);
        bunter(&["create", text(&repo)]).ok();
        let ingest =
            [&["ingest", text(&repo), text(&survey), "--run", "r", "--register-instruments"], &way[..]].concat();
        bunter(&ingest).ok().says(&["2 exposures ingested"]);
        let planes: Vec<Vec<u8>> = ["image", "mask", "variance"].map(|c| pixels(&repo, &id, c)).into();
        assert_eq!(first.get_or_insert_with(|| planes.clone()), &planes, "{way:?}");
        bunter(&["verify", text(&repo)]).ok();
        let left = fs::read_dir(&survey).unwrap().count();
        assert_eq!(left, if way.contains(&"move") { 0 } else { 2 }, "{way:?}");
    }
}

#[test]
fn masks_and_weights_beside_real_images_go_along() {
    let images = std::env::var_os("BUNTER_IMAGES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/images"), PathBuf::from);
    let night = images.join("decam_mini/testcase4");
    if !night.is_dir() {
        eprintln!("skipped: {} is not there (BUNTER_IMAGES names another folder)", night.display());
        return;
    }
    let (from, repo) = (folder("decam-night"), folder("decam").join("repo"));
    let mut first: Option<(String, Vec<Vec<u8>>)> = None;
    for way in [
        vec!["--transfer", "copy"],
        vec!["--transfer", "hardlink"],
        vec!["--transfer", "symlink"],
        vec!["--transfer", "direct"],
        vec!["--storage", "hdf5"],
        vec!["--transfer", "move"],
    ] {
        let _ = fs::remove_dir_all(&repo);
        let _ = fs::remove_dir_all(&from);
        copy_folder(&night, &from);
        bunter(&["create", text(&repo)]).ok();
        let ingest = [&["ingest", text(&repo), text(&from), "--run", "r", "--register-instruments"], &way[..]].concat();
        bunter(&ingest).ok().says(&[" 0 failed"]);
        let rows: Ran =
            bunter(&["query-datasets", text(&repo), "calexp", "--order-by", "visit,detector", "--format", "json"]);
        let row = &rows.json()[0];
        let (visit, detector) = (format!("visit={}", row["visit"]), format!("detector={}", row["detector"]));
        let id = ["instrument=DECam", &visit, &detector];
        let planes: Vec<Vec<u8>> = ["image", "mask", "variance"].map(|c| pixels(&repo, &id, c)).into();
        assert_eq!(first.get_or_insert_with(|| (visit.clone(), planes.clone())), &(visit.clone(), planes), "{way:?}");
        bunter(&["verify", text(&repo)]).ok().says(&["0 damaged, 0 orphan files"]);
    }
}
