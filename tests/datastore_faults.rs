//! The datastore under faults: damaged files, full disks, races, killed processes. An error each time, never a panic,
//! and nothing half-written.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod datastore_support;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use bunter::PixelBox;
use bunter::datastore::{
    Datastore, DatastoreError, FitsFile, StorageOptions, read_exposure, write_exposure, write_fits_exposure,
};
use datastore_support::*;
use rand::RngExt;

const BOX: PixelBox = PixelBox::new(5, 6, 60, 40);

/// Reads all there is in a file that may be damaged; whether it was read without an error.
fn read_anything(path: &Path) -> bool {
    if path.extension().is_some_and(|e| e == "h5") {
        return read_exposure(path, None).is_ok();
    }
    let Ok(file) = FitsFile::open(path) else { return false };
    let Ok(hdus) = file.hdus() else { return false };
    hdus.iter().skip(1).all(|hdu| file.header(hdu.index).is_ok() && file.read_f32(hdu.index, None).is_ok())
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let whole = exposure(BOX, 1);
    let paths = ["a.h5", "b.h5", "c.fits"].map(|name| folder.join(name));
    write_exposure(&paths[0], &whole, &StorageOptions::Contiguous).unwrap();
    write_exposure(&paths[1], &whole, &StorageOptions::COMPRESSED).unwrap();
    write_fits_exposure(&paths[2], &whole).unwrap();
    paths.to_vec()
}

#[test]
fn truncated_files_are_errors_at_every_length() {
    let folder = tempfile::tempdir().unwrap();
    for path in files(folder.path()) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(read_anything(&path));
        let copy = folder.path().join("cut").with_extension(path.extension().unwrap());
        let pixels = if path.ends_with("c.fits") { 2880 } else { 0 };
        for len in (0..bytes.len() - pixels).step_by(311).chain([bytes.len() - pixels - 1]) {
            std::fs::write(&copy, &bytes[..len]).unwrap();
            // A FITS file cut between two units is a shorter FITS file, whose units must be as they were.
            if read_anything(&copy) {
                assert!(path.extension().unwrap() == "fits", "{} cut at {len}", path.display());
                let (short, long) = (FitsFile::open(&copy).unwrap(), FitsFile::open(&path).unwrap());
                let units = short.hdus().unwrap().len();
                assert!(units < long.hdus().unwrap().len(), "{} cut at {len}", path.display());
                for unit in 1..units {
                    assert_eq!(bits(&short.read_f32(unit, None).unwrap()), bits(&long.read_f32(unit, None).unwrap()));
                }
            }
        }
    }
}

#[test]
fn flipped_bits_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = rng(7);
    for path in files(folder.path()) {
        let bytes = std::fs::read(&path).unwrap();
        let copy = folder.path().join("flipped").with_extension(path.extension().unwrap());
        let mut errors = 0;
        for _ in 0..1500 {
            let mut damaged = bytes.clone();
            for _ in 0..rng.random_range(1..4) {
                // Half of the flips go where the structure is.
                let end = if rng.random_bool(0.5) { damaged.len().min(12_000) } else { damaged.len() };
                let at = rng.random_range(0..end);
                damaged[at] ^= 1 << rng.random_range(0..8);
            }
            std::fs::write(&copy, &damaged).unwrap();
            errors += i32::from(!read_anything(&copy));
        }
        println!("{}: {errors} of 1500 mutated files gave an error", path.display());
    }
}

#[test]
fn flipped_bits_in_tiles_never_panic() {
    let Some(images) = real_images() else { return };
    let bytes = std::fs::read(images.join("vircam_h/image_1.fits")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("tiles.fits");
    let subset = PixelBox::new(300, 900, 200, 60);
    let mut rng = rng(8);
    let mut errors = 0;
    for _ in 0..400 {
        let mut damaged = bytes.clone();
        for _ in 0..rng.random_range(1..200) {
            // Headers, then the table of tiles, then the tiles.
            let end = [30_000, 60_000, damaged.len()][rng.random_range(0..3)];
            let at = rng.random_range(2880..end);
            damaged[at] ^= 1 << rng.random_range(0..8);
        }
        std::fs::write(&copy, &damaged).unwrap();
        errors += i32::from(FitsFile::open(&copy).and_then(|f| f.read_f32(1, Some(subset))).is_err());
    }
    println!("{errors} of 400 mutated files gave an error");
}

#[test]
fn of_two_puts_of_one_name_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let store = Datastore::new(folder.path());
    for round in 0..20 {
        let path = format!("run/{round}.h5");
        let put = |seed| store.put_exposure(&path, &exposure(BOX, seed), &StorageOptions::default());
        let (a, b) = std::thread::scope(|scope| {
            let a = scope.spawn(|| put(1));
            let b = scope.spawn(|| put(2));
            (a.join().unwrap(), b.join().unwrap())
        });
        let (winner, seed, loser) = match (a, b) {
            (Ok(record), Err(e)) => (record, 1, e),
            (Err(e), Ok(record)) => (record, 2, e),
            other => panic!("{other:?}"),
        };
        assert!(matches!(loser, DatastoreError::AlreadyExists { .. }), "{loser}");
        assert_same(&store.get_exposure(&winner, None).unwrap(), &exposure(BOX, seed));
        let mode = std::fs::metadata(folder.path().join(&path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o444);
    }
    assert_eq!(store.orphans("run", []).unwrap().len(), 20);
}

#[test]
fn a_full_disk_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(folder.path()).output();
    if !mounted.is_ok_and(|m| m.status.success()) {
        println!("skipped: a small file system can be mounted by root only");
        return;
    }
    let outcome = std::panic::catch_unwind(|| {
        let store = Datastore::new(folder.path());
        let large = exposure(PixelBox::new(0, 0, 300, 200), 1);
        for (n, options) in [StorageOptions::Contiguous, StorageOptions::COMPRESSED].iter().enumerate() {
            let error = store.put_exposure(&format!("run/{n}.h5"), &large, options).unwrap_err();
            println!("{error}");
        }
        let error = write_fits_exposure(&folder.path().join("run/a.fits"), &large).unwrap_err();
        assert!(error.to_string().contains("space"), "{error}");
        assert!(store.orphans("run", []).unwrap().is_empty());
        // And the room is there again.
        store.put_exposure("run/small.h5", &exposure(PixelBox::new(0, 0, 40, 40), 1), &StorageOptions::default())
    });
    Command::new("umount").arg(folder.path()).status().unwrap();
    outcome.unwrap().unwrap();
}

#[test]
fn a_read_only_folder_is_said() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o555)).unwrap();
    if std::fs::write(folder.path().join("probe"), "").is_ok() {
        println!("skipped: this user writes to read-only folders");
        return;
    }
    let error = Datastore::new(folder.path()).put_exposure("a.h5", &exposure(BOX, 1), &StorageOptions::default());
    assert!(error.unwrap_err().to_string().contains("ermission denied"));
}

/// Not a test of its own: what the next one starts and kills.
#[test]
fn child_that_puts_until_it_is_killed() {
    let Some(folder) = std::env::var_os("BUNTER_TEST_PUT_INTO") else { return };
    let store = Datastore::new(folder);
    let whole = exposure(PixelBox::new(0, 0, 400, 300), 1);
    for n in 0..10_000 {
        println!("put {n}");
        store.put_exposure(&format!("run/{n}.h5"), &whole, &StorageOptions::default()).unwrap();
    }
}

#[test]
fn killed_puts_leave_no_partial_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = rng(3);
    for round in 0..8 {
        let root = folder.path().join(round.to_string());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_puts_until_it_is_killed", "--nocapture"])
            .env("BUNTER_TEST_PUT_INTO", &root)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Killed somewhere within a put, a random while of spinning after it began.
        let begun = rng.random_range(2..6);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.map(Result::unwrap).filter(|line| line.contains("put ")).nth(begun).unwrap();
        (0..rng.random_range(0..3_000_000_u32)).for_each(|n| {
            std::hint::black_box(n);
        });
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Datastore::new(&root);
        let mut whole = 0;
        for orphan in store.orphans("run", []).unwrap().into_iter().filter(|o| !o.temporary) {
            read_exposure(&root.join(&orphan.path), None).unwrap();
            whole += 1;
        }
        assert!(whole >= begun, "{whole} files are whole, {begun} puts were finished");
        store.sweep_temporaries("run", std::time::Duration::ZERO).unwrap();
        assert!(store.orphans("run", []).unwrap().iter().all(|o| !o.temporary));
    }
}
