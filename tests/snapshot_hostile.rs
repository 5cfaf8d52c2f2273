//! Damaged and hostile bytes: an error, never a panic, and never more memory than a constant times the bytes.
//!
//! A program of its own, because it limits its own address space to catch an allocation that hostile bytes ask for.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Float64Array, Int64Array,
    LargeStringArray, ListArray, StringArray,
};
use arrow::datatypes::{Float64Type, Int32Type};
use arrow::record_batch::RecordBatch;
use bunter::{Snapshot, SnapshotBuilder, SnapshotError};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use xxhash_rust::xxh3::xxh3_64;

/// Address space the tests may take beyond what the process has when it starts, bytes. The files have few kilobytes.
const ALLOWANCE: u64 = 1 << 30;

fn limit_memory() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let used = pages.split(' ').next().unwrap().parse::<u64>().unwrap() * 4096;
    let maximum = getrlimit(Resource::As).maximum;
    setrlimit(Resource::As, Rlimit { current: Some(used + ALLOWANCE), maximum }).unwrap();
}

fn snapshot(rows: usize) -> Vec<u8> {
    let keep = |i: usize| i % 4 != 2;
    let texts = || (0..rows).map(|i| keep(i).then(|| "čéß".repeat(i % 3)));
    let lists = (0..rows).map(|i| keep(i).then(|| vec![Some(i as f64); i % 3]));
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "id",
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size((0..rows).map(|i| Some([i as u8; 16])), 16)
                    .unwrap(),
            ),
        ),
        ("bool", Arc::new((0..rows).map(|i| keep(i).then_some(i % 2 == 0)).collect::<BooleanArray>())),
        ("i64", Arc::new((0..rows).map(|i| keep(i).then_some(i as i64)).collect::<Int64Array>())),
        ("f64", Arc::new((0..rows).map(|i| Some(i as f64)).collect::<Float64Array>())),
        ("utf8", Arc::new(texts().collect::<StringArray>())),
        ("large", Arc::new(texts().collect::<LargeStringArray>())),
        (
            "dict",
            Arc::new(
                texts()
                    .map(|t| t.map(|t| t + "x"))
                    .collect::<Vec<_>>()
                    .iter()
                    .map(Option::as_deref)
                    .collect::<DictionaryArray<Int32Type>>(),
            ),
        ),
        ("bin", Arc::new(texts().map(|t| t.map(String::into_bytes)).collect::<BinaryArray>())),
        ("list", Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(lists))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let mut builder = SnapshotBuilder::new();
    builder.set_property("run", "r").add_table("a", &batch).unwrap().add_table("none", &batch.slice(0, 0)).unwrap();
    builder.add_blob("blob", b"bytes".to_vec()).unwrap();
    builder.to_bytes().unwrap()
}

/// Looks at everything a snapshot has, in every way; the number of values that could be read.
fn exercise(bytes: Vec<u8>) -> Result<usize, SnapshotError> {
    let length = bytes.len();
    let snapshot = Snapshot::from_bytes(bytes)?;
    let mut read = 0;
    for table in snapshot.tables() {
        for column in table.columns() {
            read += column.values::<i64>().map_or(0, |v| v.iter().filter(|v| **v > 0).count());
            read += column.values::<f64>().map_or(0, |v| v.iter().filter(|v| **v > 0.0).count());
            read += column.fixed::<16>().map_or(0, |v| v.iter().map(|u| usize::from(u[15])).sum());
            for row in (0..table.rows().min(length + 1)).chain([usize::MAX]) {
                read += usize::from(column.is_null(row)) + usize::from(column.bool(row).is_ok_and(|b| b));
                read += column.texts().and_then(|c| c.get(row)).map_or(0, |t| t.chars().count());
                read += column.blobs().and_then(|c| c.get(row)).map_or(0, <[u8]>::len);
            }
            if let Ok(dictionary) = column.dictionary() {
                read += (0..dictionary.len()).map(|i| dictionary.get(i).map_or(0, str::len)).sum::<usize>();
            }
        }
        if let Ok(batch) = table.to_record_batch() {
            // Arrow's own, independent check of every value.
            for column in batch.columns() {
                column.to_data().validate_full().unwrap();
            }
            read += format!("{batch:?}").len();
        }
    }
    read += snapshot.blobs().filter_map(|b| snapshot.blob(b).ok()).map(<[u8]>::len).sum::<usize>();
    snapshot.verify()?;
    Ok(read)
}

/// Makes the checksums of prefix and header right again, so that what is behind them is reached.
fn sign(bytes: &mut [u8]) {
    let header = u64::from_le_bytes(bytes[16..24].try_into().unwrap());
    if let Some(header) = usize::try_from(header).ok().and_then(|n| bytes.get(64..64_usize.checked_add(n)?)) {
        let checksum = xxh3_64(header);
        bytes[24..32].copy_from_slice(&checksum.to_le_bytes());
    }
    let checksum = xxh3_64(&bytes[..56]);
    bytes[56..64].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn every_truncation_and_every_addition_is_an_error() {
    limit_memory();
    let whole = snapshot(9);
    assert!(exercise(whole.clone()).unwrap() > 100);
    for end in 0..whole.len() {
        assert!(Snapshot::from_bytes(whole[..end].to_vec()).is_err(), "{end} of {}", whole.len());
        if end >= 64 {
            let mut cut = whole[..end].to_vec();
            cut[32..40].copy_from_slice(&(end as u64).to_le_bytes());
            sign(&mut cut);
            assert!(Snapshot::from_bytes(cut).is_err(), "{end} of {}, signed", whole.len());
        }
    }
    for more in [1, 63, 64, 4096] {
        let mut longer = whole.clone();
        longer.resize(whole.len() + more, 0);
        assert!(Snapshot::from_bytes(longer.clone()).is_err());
        let length = longer.len() as u64;
        longer[32..40].copy_from_slice(&length.to_le_bytes());
        sign(&mut longer);
        assert!(Snapshot::from_bytes(longer).is_err());
    }
}

#[test]
fn a_flipped_bit_is_found() {
    limit_memory();
    let whole = snapshot(9);
    let header = 64 + u64::from_le_bytes(whole[16..24].try_into().unwrap()) as usize;
    let mut unseen = 0;
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        match exercise(bytes) {
            Err(_) => {}
            Ok(_) if at < header => panic!("byte {at} of the header was changed unseen"),
            Ok(_) => {
                assert_eq!(whole[at], 0, "byte {at} was changed unseen and is not padding");
                unseen += 1;
            }
        }
    }
    // Padding carries nothing and has no checksum: at most 63 bytes before each of the 46 buffers.
    assert!(unseen < 46 * 64, "{unseen}");
}

#[test]
fn random_mutations_never_panic() {
    limit_memory();
    let mut random = ChaCha8Rng::seed_from_u64(20_261_122);
    let wholes = [snapshot(9), snapshot(0), snapshot(70)];
    let (mut opened, mut refused) = (0, 0);
    for round in 0..100_000_usize {
        let mut bytes = wholes[[0, 0, 0, 0, 0, 0, 0, 1, 1, 2][round % 10]].clone();
        let header = 64 + u64::from_le_bytes(bytes[16..24].try_into().unwrap()) as usize;
        for _ in 0..=random.next_u32() % 3 {
            // Half of the damage is in the header, where the lengths are.
            let end = if random.next_u32().is_multiple_of(2) { header } else { bytes.len() };
            let at = random.next_u32() as usize % end;
            let special = [0, 1, 0x7f, 0x80, 0xff, 0x40, 0xc0, 8];
            match random.next_u32() % 4 {
                0 => bytes[at] = special[random.next_u32() as usize % special.len()],
                1 => bytes[at] ^= 1 << (random.next_u32() % 8),
                2 => bytes[at] = random.next_u32() as u8,
                _ => {
                    let word = random.next_u64() >> (random.next_u32() % 64);
                    let n = 8.min(bytes.len() - at);
                    bytes[at..at + n].copy_from_slice(&word.to_le_bytes()[..n]);
                }
            }
        }
        if !round.is_multiple_of(8) {
            sign(&mut bytes);
        }
        match exercise(bytes) {
            Ok(_) => opened += 1,
            Err(e) => {
                refused += 1;
                assert!(e.to_string().contains("received bytes"), "{e}");
            }
        }
    }
    assert!(opened > 1000 && refused > 50_000, "{opened} opened, {refused} refused: the mutations test nothing");
}

#[test]
fn a_header_that_promises_the_moon_is_refused() {
    limit_memory();
    let mut bytes = snapshot(9);
    for length in [u64::MAX, u64::MAX - 63, 1 << 63, 1 << 40, bytes.len() as u64] {
        bytes[16..24].copy_from_slice(&length.to_le_bytes());
        sign(&mut bytes);
        assert!(matches!(
            Snapshot::from_bytes(bytes.clone()),
            Err(SnapshotError::Damaged { .. } | SnapshotError::Checksum { .. })
        ));
    }
}
