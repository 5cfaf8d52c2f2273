//! Runs the program as a person does, alone and under mpirun, on small surveys.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bunter::datastore::Dataset;
use bunter::{Butler, Coadd, DataId, Query};

/// No command here takes more than seconds; one that hangs is ended after this.
const DEADLINE: Duration = Duration::from_secs(180);

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Fails the test unless the command has succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits(0)
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Fails the test unless standard error has each of these words, and nobody has panicked.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not in:\n{}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// The program, with nothing from outside that would change what it says.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bunter"));
    command.env_remove("BUNTER_LOG").env("NO_COLOR", "1");
    command
}

/// `bunter` with these arguments.
#[track_caller]
pub(crate) fn bunter<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Ran {
    run(program().args(arguments))
}

/// A program on `ranks` ranks.
pub(crate) fn on_ranks(ranks: usize, program: &Path) -> Command {
    let mut command = Command::new("mpirun");
    command.args(["-n", &ranks.to_string()]).arg(program);
    // For Open MPI on few cores, and in containers; MPICH does not look at them.
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command.env("OMPI_MCA_rmaps_base_oversubscribe", "1").env_remove("BUNTER_LOG");
    command
}

pub(crate) fn mpirun(ranks: usize, arguments: &[&str]) -> Ran {
    run(on_ranks(ranks, Path::new(env!("CARGO_BIN_EXE_bunter"))).args(arguments))
}

/// Whether ranks can be started; says so when not.
pub(crate) fn has_mpirun() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let found =
            cfg!(feature = "mpi") && Command::new("mpirun").arg("--version").output().is_ok_and(|o| o.status.success());
        if !found {
            eprintln!("skipped: there is no mpirun here");
        }
        found
    })
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ran {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait(child).unwrap_or_else(|| panic!("{command:?} hangs"))
}

/// Waits for a process whose outputs are pipes; `None` when it had to be killed.
pub(crate) fn wait(mut child: Child) -> Option<Ran> {
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = |pipe: &mut dyn Read| {
        let mut bytes = vec![];
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    };
    std::thread::scope(|s| {
        let out = s.spawn(move || read(&mut out));
        let err = s.spawn(move || read(&mut err));
        let begun = Instant::now();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if begun.elapsed() < DEADLINE => std::thread::park_timeout(Duration::from_millis(5)),
                None => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break None;
                }
            }
        };
        let (stdout, stderr) = (out.join().unwrap(), err.join().unwrap());
        status.map(|status| Output { status, stdout, stderr }.into())
    })
}

/// An empty folder of this name for this test program; it stays after the tests, to be looked at.
pub(crate) fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME")).join(name);
    if path.exists() {
        fs::remove_dir_all(&path).unwrap();
    }
    fs::create_dir_all(&path).unwrap();
    path
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Simulates a survey.
pub(crate) fn simulate(out: &Path, options: &str) {
    bunter(&[&["simulate", text(out)], options.split_whitespace().collect::<Vec<_>>().as_slice()].concat()).ok();
}

/// A repository with a survey in run `exposures` and the sky map `demo`.
pub(crate) fn ingested(repository: &Path, survey: &Path, patches: &str) {
    let repo = text(repository);
    bunter(&["create", repo]).ok();
    bunter(&["register-instrument", repo, "SimCam"]).ok();
    bunter(&["ingest", repo, text(survey), "--run", "exposures"]).ok();
    let patches = patches.split_whitespace().collect::<Vec<_>>();
    bunter(&[&["make-discrete-skymap", repo, "demo", "--collections", "exposures"], &*patches].concat()).ok();
}

/// The tiny survey: 12 exposures of 200 x 220 pixels, made once.
pub(crate) fn tiny_survey() -> &'static Path {
    static SURVEY: OnceLock<PathBuf> = OnceLock::new();
    SURVEY.get_or_init(|| {
        let path = folder("tiny-survey");
        simulate(&path, "--visits 6 --nx 200 --ny 220 --bands r");
        path
    })
}

/// A repository of its own with the tiny survey; at most 3 x 3 patches.
pub(crate) fn tiny_repository(name: &str) -> PathBuf {
    static FIRST: OnceLock<PathBuf> = OnceLock::new();
    let first = FIRST.get_or_init(|| {
        let path = folder("tiny-repository");
        ingested(&path, tiny_survey(), "--patch-size 200 --patch-border 20");
        path
    });
    let path = folder(name);
    copy_folder(first, &path);
    path
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// All files below a folder that end so.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // A folder that is not there (yet) has no files.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if text(&path).ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn build<'a>(repository: &'a Path, run: &'a str) -> Vec<&'a str> {
    vec!["build-coadds", text(repository), "--skymap", "demo", "--input", "exposures", "--output", run]
}

pub(crate) type Coadds = BTreeMap<(i64, i64, String), Coadd>;

/// All coadds of a run, read through the butler.
pub(crate) fn coadds(repository: &Path, run: &str) -> Coadds {
    let butler = Butler::open(repository).unwrap();
    let rows = butler.query_datasets("deepCoadd", &[run], &Query::all(), false).unwrap();
    let ints = |name: &str| rows.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    let band = rows.column_by_name("band").unwrap().as_string::<i32>();
    let (tract, patch) = (ints("tract"), ints("patch"));
    let mut all = Coadds::new();
    for row in 0..rows.num_rows() {
        let id = DataId::new()
            .with("skymap", "demo")
            .with("tract", tract.value(row))
            .with("patch", patch.value(row))
            .with("band", band.value(row));
        let Dataset::Coadd(coadd) = butler.get("deepCoadd", &id, &[run], None).unwrap() else {
            panic!("{id} is no coadd")
        };
        let key = (tract.value(row), patch.value(row), band.value(row).to_owned());
        assert!(all.insert(key, *coadd).is_none(), "{id} is there twice");
    }
    all
}

/// Equal to the last bit, every plane and the table of inputs.
#[track_caller]
pub(crate) fn assert_same(a: &Coadds, b: &Coadds) {
    assert!(!a.is_empty());
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (key, a) in a {
        let b = &b[key];
        assert_eq!((a.bbox, a.zero_point), (b.bbox, b.zero_point), "{key:?}");
        for (plane, a, b) in
            [("image", &a.image, &b.image), ("variance", &a.variance, &b.variance), ("weight", &a.weight, &b.weight)]
        {
            let same = a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{plane} of {key:?}");
        }
        assert!(a.mask == b.mask, "mask of {key:?}");
        assert_eq!(a.mask_planes, b.mask_planes);
        assert!(a.n_image == b.n_image, "n_image of {key:?}");
        assert_eq!(a.inputs, b.inputs, "inputs of {key:?}");
        assert_eq!(a.metadata, b.metadata, "{key:?}");
    }
}
