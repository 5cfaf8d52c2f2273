//! Journals against crashes, damage and full disks.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails with its test")]

use bunter::ranks::{Damage, JournalReader, JournalRecord, JournalWriter, RECORD_LIMIT, RanksError, SyncPolicy};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    quantum: u64,
    cause: String,
}

impl JournalRecord for Entry {
    const SCHEMA: u32 = 3;
}

fn entry(i: u64) -> Entry {
    Entry { quantum: i, cause: "x".repeat((i * 37 % 101) as usize + 1) }
}

/// A journal of `n` entries, and the offset at which each ends.
fn written(path: &Path, n: u64) -> Vec<u64> {
    let mut journal = JournalWriter::create(path, SyncPolicy::AtEnd).unwrap();
    let end = |path: &Path| std::fs::metadata(path).unwrap().len();
    let mut ends = vec![end(path)];
    for i in 0..n {
        journal.append(&entry(i)).unwrap();
        ends.push(end(path));
    }
    journal.finish().unwrap();
    ends
}

fn read(path: &Path) -> Result<(Vec<Entry>, u64), RanksError> {
    let mut reader = JournalReader::<Entry>::open(path)?;
    let records = reader.by_ref().collect::<Result<Vec<_>, _>>()?;
    Ok((records, reader.torn()))
}

fn entries(n: usize) -> Vec<Entry> {
    (0..n as u64).map(entry).collect()
}

#[test]
fn torn_at_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.bnj");
    let ends = written(&path, 6);
    let bytes = std::fs::read(&path).unwrap();
    let torn = folder.path().join("torn.bnj");
    for n in 0..=bytes.len() {
        std::fs::write(&torn, &bytes[..n]).unwrap();
        let whole = ends.iter().filter(|end| **end <= n as u64).count();
        let end = if whole == 0 { 0 } else { ends[whole - 1] };
        assert_eq!(read(&torn).unwrap(), (entries(whole.saturating_sub(1)), n as u64 - end), "{n} bytes");
        // The same with what a crashed machine may leave: the length without the bytes.
        if n >= 24 {
            let mut zeros = bytes[..n].to_vec();
            zeros.resize(bytes.len() + 100, 0);
            std::fs::write(&torn, &zeros).unwrap();
            assert_eq!(read(&torn).unwrap().0, entries(whole - 1), "{n} bytes and zeros");
        }
    }
    std::fs::write(&torn, [0; 500]).unwrap();
    assert_eq!(read(&torn).unwrap(), (vec![], 500));
}

#[test]
fn flipped_bits_never_give_a_wrong_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.bnj");
    let ends = written(&path, 5);
    let bytes = std::fs::read(&path).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for bit in (0..bytes.len() * 8).step_by(3) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // Now and then a second one.
        if random.random_bool(0.3) {
            flipped[random.random_range(24..bytes.len())] ^= 0x10;
        }
        if flipped == bytes {
            continue;
        }
        std::fs::write(&path, &flipped).unwrap();
        match read(&path) {
            Ok((records, torn)) => {
                assert!(bit / 8 >= 24 && torn > 0, "bit {bit}");
                assert!(entries(5).starts_with(&records) && records.len() < 5, "bit {bit}");
            }
            Err(RanksError::JournalDamaged { offset, .. }) => {
                assert!(offset == 0 || ends.contains(&offset), "bit {bit}: offset {offset}");
            }
            Err(RanksError::NotAJournal { .. }) => assert!(bit / 8 < 8, "bit {bit}"),
            Err(other) => panic!("bit {bit}: {other}"),
        }
    }
}

#[test]
fn damage_in_the_middle_names_its_place_and_the_rest_can_be_salvaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.bnj");
    let ends = written(&path, 8);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[ends[2] as usize + 14] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let mut reader = JournalReader::<Entry>::open(&path).unwrap();
    assert_eq!(reader.next().unwrap().unwrap(), entry(0));
    assert_eq!(reader.next().unwrap().unwrap(), entry(1));
    let said = reader.next().unwrap().unwrap_err().to_string();
    assert!(said.contains("a.bnj is damaged at byte") && said.contains(&ends[2].to_string()), "{said}");
    assert!(reader.next().is_none());
    bytes.truncate(bytes.len() - 3);
    std::fs::write(&path, &bytes).unwrap();
    let salvage = JournalReader::<Entry>::open(&path).unwrap().salvage().unwrap();
    assert_eq!(salvage.records, [0, 1, 3, 4, 5, 6].map(entry));
    assert_eq!(salvage.damage, [Damage { offset: ends[2], bytes: ends[3] - ends[2] }]);
    assert_eq!(salvage.torn, ends[8] - ends[7] - 3);
}

#[test]
fn hostile_lengths_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.bnj");
    for length in [u32::MAX, RECORD_LIMIT as u32 + 1, RECORD_LIMIT as u32, 1000] {
        let _ = std::fs::remove_file(&path);
        let ends = written(&path, 3);
        let whole = std::fs::read(&path).unwrap();
        // In the last record it is a torn tail, in front of others damage.
        for (record, torn) in [(2, true), (1, false)] {
            let mut bytes = whole.clone();
            bytes[ends[record] as usize..][..4].copy_from_slice(&length.to_le_bytes());
            std::fs::write(&path, &bytes).unwrap();
            match read(&path) {
                Ok((records, _)) => assert!(torn && records == entries(2)),
                Err(RanksError::JournalDamaged { offset, .. }) => assert!(!torn && offset == ends[1]),
                Err(other) => panic!("{other}"),
            }
        }
    }
    // A file full of lengths that fit: an error or a torn tail, in bounded time.
    let mut bytes = std::fs::read(&path).unwrap()[..24].to_vec();
    bytes.extend([0, 0, 0x40, 0].repeat(3 << 18));
    std::fs::write(&path, &bytes).unwrap();
    let _ = read(&path);
    // Sparse, and longer than any memory.
    std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 42).unwrap();
    assert!(matches!(read(&path), Err(RanksError::JournalDamaged { .. })));
}

#[test]
fn other_files_versions_and_schemas_are_refused() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Newer(u64);
    impl JournalRecord for Newer {
        const SCHEMA: u32 = 4;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.bnj");
    written(&path, 1);
    let said = JournalReader::<Newer>::open(&path).unwrap_err().to_string();
    assert!(said.contains("schema 3, not 4"), "{said}");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8..12].copy_from_slice(&2_u32.to_le_bytes());
    let checksum = xxhash_rust::xxh3::xxh3_64(&bytes[..16]);
    bytes[16..24].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let said = read(&path).unwrap_err().to_string();
    assert!(said.contains("format version 2, this program reads version 1"), "{said}");
    std::fs::write(&path, "SIMPLE  =                    T").unwrap();
    assert!(matches!(read(&path), Err(RanksError::NotAJournal { .. })));
    assert!(matches!(read(folder.path()), Err(RanksError::JournalIo { .. })));
    assert!(matches!(read(&folder.path().join("none")), Err(RanksError::JournalIo { .. })));
}

/// Not a test of its own: the process that the next test kills while it writes.
#[test]
fn child_that_writes() {
    let Some(path) = std::env::var_os("BUNTER_TEST_JOURNAL") else { return };
    let mut journal = JournalWriter::create(path, SyncPolicy::AtEnd).unwrap();
    for i in 0.. {
        journal.append(&entry(i)).unwrap();
        println!("appended {i}");
    }
}

#[test]
fn a_killed_writer_loses_nothing_it_said_it_had_appended() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(11);
    for round in 0..20 {
        let path = folder.path().join(format!("{round}.bnj"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes", "--nocapture"])
            .env("BUNTER_TEST_JOURNAL", &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let wanted = random.random_range(1..400);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines.map_while(Result::ok).filter(|line| line.contains("appended")).take(wanted).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(said, wanted);
        let (records, _) = read(&path).unwrap();
        assert!(records.len() >= wanted, "{} of {wanted}", records.len());
        assert_eq!(records, entries(records.len()));
    }
}

#[test]
fn a_full_disk_keeps_every_whole_record() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(folder.path())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    if !mounted {
        return eprintln!("skipped: cannot mount a small tmpfs here");
    }
    let path = folder.path().join("a.bnj");
    let result = std::panic::catch_unwind(|| {
        let filler = folder.path().join("filler");
        std::fs::write(&filler, vec![0; 8192]).unwrap();
        let mut journal = JournalWriter::create(&path, SyncPolicy::EveryRecord).unwrap();
        let mut whole = 0;
        let error = loop {
            match journal.append(&entry(whole)) {
                Ok(()) => whole += 1,
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("the disk is full"), "{error}");
        assert_eq!(read(&path).unwrap(), (entries(whole as usize), 0), "no half record is left");
        assert_eq!(journal.len(), whole);
        // With room again the same journal goes on.
        std::fs::remove_file(filler).unwrap();
        journal.append(&entry(whole)).unwrap();
        journal.finish().unwrap();
        assert_eq!(read(&path).unwrap(), (entries(whole as usize + 1), 0));
        // Nothing is left of a journal that could not even begin.
        let mut n = 0;
        while std::fs::write(folder.path().join(format!("{n}")), vec![1; 4096]).is_ok() {
            n += 1;
        }
        let late = folder.path().join("late.bnj");
        assert!(JournalWriter::<Entry>::create(&late, SyncPolicy::AtEnd).is_err());
        assert!(!late.exists());
    });
    assert!(Command::new("umount").arg(folder.path()).status().unwrap().success());
    result.unwrap();
}
