//! Tables of every type through every format, in batches of every size: what is written is what is read.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, FixedSizeListArray, GenericListArray, PrimitiveArray,
    RecordBatch, StringArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{
    DataType, Date32Type, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema,
    TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use bunter::datastore::{DatastoreError, TableFormat, TableOptions, TableReader, TableWriter};
use proptest::prelude::*;

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }

    /// Bits that are often those at the edges.
    fn bits(&mut self) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << 63,
            3 => u64::MAX >> 1,
            4 => 1,
            5 => [0x7f, 0x80, 0x7fff, 0x8000, 0x7fff_ffff, 0x8000_0000][self.below(6) as usize],
            _ => self.next(),
        }
    }
}

fn numbers<T: ArrowPrimitiveType>(
    n: usize,
    nulls: bool,
    rng: &mut Numbers,
    value: impl Fn(u64) -> T::Native,
) -> ArrayRef {
    let one = |_| {
        let bits = rng.bits();
        (!nulls || rng.below(4) > 0).then(|| value(bits))
    };
    Arc::new((0..n).map(one).collect::<PrimitiveArray<T>>())
}

fn texts(n: usize, nulls: bool, unicode: bool, rng: &mut Numbers) -> ArrayRef {
    let one = |_| {
        let words = ["", " ", "a", "star  ", "  x", "NGC 224", "a,b\"c\"", "a much longer name than all the others"];
        let others = ["ü", "Ω≈1\n", "\u{10348}"];
        let at = rng.below(if unicode { 11 } else { 8 }) as usize;
        let text = if at < 8 { words[at] } else { others[at - 8] };
        (!nulls || rng.below(4) > 0).then(|| text.to_owned())
    };
    Arc::new((0..n).map(one).collect::<StringArray>())
}

fn vectors(flat: ArrayRef, size: i32) -> ArrayRef {
    let field = Arc::new(Field::new_list_field(flat.data_type().clone(), true));
    Arc::new(FixedSizeListArray::try_new(field, size, flat, None).unwrap())
}

const KINDS: usize = 22;

/// A column of a kind; whether FITS can hold nulls of it.
fn column(kind: usize, n: usize, nulls: bool, ascii: bool, rng: &mut Numbers) -> ArrayRef {
    match kind {
        0 => numbers::<Int8Type>(n, nulls, rng, |b| b as i8),
        1 => numbers::<Int16Type>(n, nulls, rng, |b| b as i16),
        2 => numbers::<Int32Type>(n, nulls, rng, |b| b as i32),
        3 => numbers::<Int64Type>(n, nulls, rng, |b| b as i64),
        4 => numbers::<UInt8Type>(n, nulls, rng, |b| b as u8),
        5 => numbers::<UInt16Type>(n, nulls, rng, |b| b as u16),
        6 => numbers::<UInt32Type>(n, nulls, rng, |b| b as u32),
        7 => numbers::<UInt64Type>(n, nulls, rng, |b| b),
        8 => numbers::<Float32Type>(n, nulls, rng, |b| f32::from_bits(b as u32 & 0xff7f_ffff)),
        9 => numbers::<Float64Type>(n, nulls, rng, |b| f64::from_bits(b & 0xffef_ffff_ffff_ffff)),
        10 => {
            let one = |_| (!nulls || rng.below(4) > 0).then(|| rng.below(2) > 0);
            Arc::new((0..n).map(one).collect::<Vec<Option<bool>>>().into_iter().collect::<BooleanArray>())
        }
        11 => texts(n, nulls, !ascii, rng),
        12 => {
            let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            cast(&texts(n, nulls, !ascii, rng), &dictionary).unwrap()
        }
        13 => numbers::<Date32Type>(n, nulls, rng, |b| (b % 40_000) as i32),
        14 => numbers::<TimestampNanosecondType>(n, nulls, rng, |b| (b >> 2) as i64),
        15 => vectors(numbers::<Int32Type>(3 * n, nulls, rng, |b| b as i32), 3),
        16 => vectors(vectors(numbers::<Float64Type>(6 * n, nulls, rng, |b| (b % 1000) as f64), 2), 3),
        17 => vectors(texts(2 * n, nulls, !ascii, rng), 2),
        18 => {
            let lengths: Vec<usize> = (0..n).map(|_| rng.below(5) as usize).collect();
            let flat = numbers::<UInt16Type>(lengths.iter().sum(), false, rng, |b| b as u16);
            let field = Arc::new(Field::new_list_field(DataType::UInt16, true));
            Arc::new(GenericListArray::<i32>::new(field, OffsetBuffer::from_lengths(lengths), flat, None))
        }
        19 => cast(&texts(n, nulls, !ascii, rng), &DataType::LargeUtf8).unwrap(),
        20 => vectors(numbers::<UInt64Type>(2 * n, nulls, rng, |b| b), 2),
        _ => vectors(numbers::<UInt8Type>(2 * n, false, rng, |b| b as u8), 2),
    }
}

fn table(kinds: &[usize], n: usize, nulls: bool, ascii: bool, rng: &mut Numbers) -> RecordBatch {
    let arrays: Vec<ArrayRef> = kinds.iter().map(|k| column(*k, n, nulls, ascii, rng)).collect();
    let field = |(i, array): (usize, &ArrayRef)| {
        let metadata = [("unit".to_owned(), "mJy/beam".to_owned()), ("other".to_owned(), "é \"x\" &".to_owned())];
        let field = Field::new(format!("Column {i}"), array.data_type().clone(), true);
        if i % 2 == 0 {
            field.with_metadata(metadata.into_iter().collect::<std::collections::HashMap<_, _>>())
        } else {
            field
        }
    };
    let fields: Vec<Field> = arrays.iter().enumerate().map(field).collect();
    let metadata = [("history".to_owned(), "made\nby hand".to_owned()), ("empty".to_owned(), String::new())];
    let metadata = metadata.into_iter().collect::<std::collections::HashMap<_, _>>();
    RecordBatch::try_new(Arc::new(Schema::new_with_metadata(fields, metadata)), arrays).unwrap()
}

fn write(path: &Path, table: &RecordBatch, step: usize) -> Result<(), DatastoreError> {
    let mut writer = TableWriter::create(path, table.schema())?;
    for at in (0..table.num_rows()).step_by(step) {
        writer.write(&table.slice(at, step.min(table.num_rows() - at)))?;
    }
    assert_eq!(writer.finish()?, table.num_rows() as u64);
    Ok(())
}

fn read(path: &Path, rows: usize) -> RecordBatch {
    let mut options = TableOptions::default();
    options.batch_rows = rows;
    let reader = TableReader::open(path, options).unwrap();
    let (schema, total) = (reader.schema(), reader.num_rows());
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    assert!(batches.iter().all(|b| b.num_rows() <= rows && b.num_rows() > 0));
    let table = concat_batches(&schema, &batches).unwrap();
    assert_eq!(total, Some(table.num_rows() as u64));
    table
}

/// Equal names, types, metadata and values; dictionaries by their values, reals to the last bit.
#[track_caller]
fn assert_same(ours: &RecordBatch, theirs: &RecordBatch) {
    let names = |b: &RecordBatch| b.schema_ref().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    assert_eq!(names(ours), names(theirs));
    assert_eq!(ours.num_rows(), theirs.num_rows());
    for (i, (a, b)) in ours.columns().iter().zip(theirs.columns()).enumerate() {
        assert_eq!(a.data_type(), b.data_type());
        let plain = |array: &ArrayRef| match array.data_type() {
            DataType::Dictionary(_, values) => cast(array, values).unwrap(),
            _ => Arc::clone(array),
        };
        assert_eq!(&plain(a), &plain(b), "column {i}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn written_is_read(
        kinds in prop::collection::vec(0..KINDS, 1..6),
        (rows, step, batch) in (0_usize..200, 1_usize..250, 1_usize..250),
        (nulls, seed) in (any::<bool>(), 1_u64..u64::MAX),
    ) {
        let folder = tempfile::tempdir().unwrap();
        for ending in ["parquet", "h5", "fits"] {
            let table = table(&kinds, rows, nulls, ending == "fits", &mut Numbers(seed));
            let path = folder.path().join(format!("t.{ending}"));
            write(&path, &table, step).unwrap();
            let back = read(&path, batch);
            assert_same(&back, &table);
            prop_assert_eq!(back.schema_ref().metadata(), table.schema_ref().metadata());
            for (a, b) in back.schema_ref().fields().iter().zip(table.schema_ref().fields()) {
                for (key, value) in b.metadata() {
                    prop_assert_eq!(a.metadata().get(key), Some(value));
                }
            }
            // Parts, by rows and by columns.
            let mut options = TableOptions::default();
            options.rows = Some(rows as u64 / 3..rows as u64 / 2);
            options.batch_rows = batch;
            options.columns = Some(vec![format!("Column {}", kinds.len() - 1), "Column 0".to_owned()]);
            let reader = TableReader::open(&path, options).unwrap();
            prop_assert_eq!(reader.pieces().iter().sum::<u64>(), rows as u64);
            let schema = reader.schema();
            let part = concat_batches(&schema, &reader.map(Result::unwrap).collect::<Vec<_>>()).unwrap();
            assert_same(&part, &table.project(&[kinds.len() - 1, 0]).unwrap().slice(rows / 3, rows / 2 - rows / 3));
        }
    }
}

#[test]
fn every_kind_over_many_rows() {
    let folder = tempfile::tempdir().unwrap();
    // More than one chunk of HDF5, one buffer of FITS, one batch.
    // Bytes with nulls have all their values in so many rows, which FITS refuses.
    let kinds: Vec<usize> = (0..KINDS).filter(|k| !matches!(k, 0 | 4)).collect();
    for ending in ["parquet", "h5", "fits"] {
        let table = table(&kinds, 70_001, true, ending == "fits", &mut Numbers(11));
        let path = folder.path().join(format!("t.{ending}"));
        write(&path, &table, 30_000).unwrap();
        assert_same(&read(&path, 65_536), &table);
    }
}

#[test]
fn texts_that_grow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.fits");
    let text = |row: usize| if row % 7 == 3 { String::new() } else { "x".repeat(1 + row / 100) };
    let texts: ArrayRef = Arc::new(StringArray::from((0..2000).map(text).collect::<Vec<_>>()));
    let ids = numbers::<Int64Type>(2000, true, &mut Numbers(3), |b| b as i64);
    let table = RecordBatch::try_from_iter([("id", ids.clone()), ("text", texts), ("again", ids)]).unwrap();
    write(&path, &table, 90).unwrap();
    assert_same(&read(&path, 1000), &table);
    // A cell is as wide as the longest of them.
    let width = std::fs::metadata(&path).unwrap().len();
    assert!(width < 2000 * (16 + 21) + 4 * 2880, "{width}");
}

#[test]
fn all_bytes_and_nulls_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.fits");
    let values = |n: u8| (0..=n).map(Some).chain([None]).collect::<PrimitiveArray<UInt8Type>>();
    let all: ArrayRef = Arc::new(values(255));
    let table = RecordBatch::try_from_iter([("flags", all)]).unwrap();
    let error = write(&path, &table, 10).unwrap_err().to_string();
    assert!(error.contains("`flags` has nulls") && !path.exists(), "{error}");
    // All but one go, whichever it is.
    for gone in [0_u8, 7, 255] {
        let some = (0..=255).filter(|v| *v != gone).map(Some).chain([None, None]);
        let table =
            RecordBatch::try_from_iter([("flags", Arc::new(some.collect::<PrimitiveArray<UInt8Type>>()) as ArrayRef)]);
        let table = table.unwrap();
        write(&path, &table, 10).unwrap();
        assert_same(&read(&path, 1000), &table);
    }
}

#[test]
fn what_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["plain", "größer"]));
    let table = RecordBatch::try_from_iter([("name", texts)]).unwrap();
    let error = write(&folder.path().join("t.fits"), &table, 10).unwrap_err().to_string();
    assert!(error.contains("row 2, column `name`: `größer` is not ASCII"), "{error}");
    let names = RecordBatch::try_from_iter([("a/b", Arc::clone(table.column(0)))]).unwrap();
    let error = write(&folder.path().join("t.h5"), &names, 10).unwrap_err().to_string();
    assert!(error.contains("`a/b` has a name that HDF5 cannot hold"), "{error}");
    let bytes: ArrayRef = Arc::new(arrow::array::BinaryArray::from(vec![&b"x"[..]]));
    let table = RecordBatch::try_from_iter([("blob", bytes)]).unwrap();
    for ending in ["fits", "h5"] {
        let error = write(&folder.path().join(format!("t.{ending}")), &table, 1).unwrap_err().to_string();
        assert!(error.contains("column `blob` is Binary"), "{error}");
    }
    let error = TableWriter::create(folder.path().join("t.fits.gz"), table.schema()).unwrap_err().to_string();
    assert!(error.contains("compressed"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn tables_are_named_within_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let table = table(&[3, 9], 5, false, true, &mut Numbers(5));
    write(&at("a.h5#/data/objects"), &table, 10).unwrap();
    write(&at("a.fits[OBJECTS]"), &table, 10).unwrap();
    for name in
        ["a.h5", "a.h5#/data/objects", "a.h5[data/objects]", "a.fits", "a.fits[1]", "a.fits[objects]", "a.fits#OBJECTS"]
    {
        assert_same(&read(&at(name), 10), &table);
    }
    let schema = TableReader::open(at("a.fits"), TableOptions::default()).unwrap().schema();
    assert_eq!(schema.metadata().get("EXTNAME").map(String::as_str), Some("OBJECTS"));
    let refused = |name: &str, words: &[&str]| {
        let error = TableReader::open(at(name), TableOptions::default()).unwrap_err().to_string();
        assert!(words.iter().all(|w| error.contains(w)), "{error}");
    };
    refused("a.h5#/data/object", &["no object `/data/object`", "/data/objects"]);
    refused("a.h5#/data", &["`/data` is no table"]);
    refused("a.fits[0]", &["HDU 0", "no binary table", "1 `OBJECTS`"]);
    refused("a.fits[2]", &["no HDU 2: it has 2"]);
    refused("a.fits[SRC]", &["no extension `SRC`", "1 `OBJECTS`"]);
    assert_eq!(TableFormat::of_name(&at("a.fits[SRC]")).unwrap(), TableFormat::Fits);
    std::fs::write(at("a.csv"), "x\n1\n").unwrap();
    refused("a.csv#x", &["CSV, which has no table `x`"]);
}
