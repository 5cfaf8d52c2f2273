//! The container: every type comes back as it went in, and nothing that is done to the bytes does more than an error.
#![allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, LargeBinaryArray, LargeListArray, LargeStringArray, ListArray,
    StringArray, TimestampNanosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Schema};
use arrow::record_batch::RecordBatch;
use bunter::snapshot::{ColumnKind, Primitive, property};
use bunter::{Snapshot, SnapshotBuilder, SnapshotError};

const TEXTS: [Option<&str>; 7] =
    [Some("HSC-I"), None, Some(""), Some("λ Orionis ☉"), Some("HSC-I"), Some("\u{10ffff}\0"), None];

/// All types that a snapshot holds, with nulls where `nulls`, 7 rows.
fn every_type(nulls: bool) -> RecordBatch {
    let keep = |row: usize| !nulls || row % 3 != 1;
    macro_rules! numbers {
        ($array:ty, $type:ty) => {
            Arc::new(<$array>::from_iter((0..7_usize).map(|i| keep(i).then_some((i as f64 * 17.0 - 3.0) as $type))))
        };
    }
    let texts = || TEXTS.iter().map(|t| if nulls { *t } else { Some(t.unwrap_or("i")) });
    let lists = || (0..7_usize).map(|i| keep(i).then(|| (0..i % 4).map(|k| Some(k as f64 * 0.25)).collect::<Vec<_>>()));
    let uuids = (0..7_u8).map(|i| keep(usize::from(i)).then_some([i.wrapping_mul(37); 16]));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("bool", Arc::new((0..7).map(|i| keep(i).then_some(i % 2 == 0)).collect::<BooleanArray>())),
        ("i8", numbers!(Int8Array, i8)),
        ("i16", numbers!(Int16Array, i16)),
        ("i32", numbers!(Int32Array, i32)),
        ("i64", numbers!(Int64Array, i64)),
        ("u8", numbers!(UInt8Array, u8)),
        ("u16", numbers!(UInt16Array, u16)),
        ("u32", numbers!(UInt32Array, u32)),
        ("u64", numbers!(UInt64Array, u64)),
        ("f32", numbers!(Float32Array, f32)),
        ("f64", numbers!(Float64Array, f64)),
        ("time", numbers!(TimestampNanosecondArray, i64)),
        ("uuid", Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids, 16).unwrap())),
        ("utf8", Arc::new(texts().collect::<StringArray>())),
        ("large_utf8", Arc::new(texts().collect::<LargeStringArray>())),
        ("dictionary", Arc::new(texts().collect::<DictionaryArray<Int32Type>>())),
        ("binary", Arc::new(texts().map(|t| t.map(str::as_bytes)).collect::<BinaryArray>())),
        ("large_binary", Arc::new(texts().map(|t| t.map(str::as_bytes)).collect::<LargeBinaryArray>())),
        ("list", Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(lists()))),
        ("large_list", Arc::new(LargeListArray::from_iter_primitive::<Float64Type, _, _>(lists()))),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, a)| Field::new(*name, a.data_type().clone(), nulls))
        .map(|f| f.with_metadata([("unit".to_owned(), "deg".to_owned())]))
        .collect();
    let schema = Schema::new(fields).with_metadata([("element".to_owned(), "visit".to_owned())]);
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, a)| a).collect()).unwrap()
}

fn small() -> Vec<u8> {
    let mut builder = SnapshotBuilder::new();
    builder.set_property(property::RUN, "HSC/runs/w30").set_property("ascii?", "nein: ß");
    builder.add_table("nulls", &every_type(true)).unwrap();
    builder.add_table("dense", &every_type(false)).unwrap();
    builder.add_table("empty", &every_type(true).slice(3, 0)).unwrap();
    builder.add_blob("index", vec![1, 2, 3]).unwrap().add_blob("nothing", vec![]).unwrap();
    builder.to_bytes().unwrap()
}

#[test]
fn every_type_comes_back_in_memory_and_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.bnt");
    let batches = [
        ("dense", every_type(false)),
        ("nulls", every_type(true)),
        ("no_rows", every_type(false).slice(0, 0)),
        ("a_slice", every_type(true).slice(2, 4)),
        ("last", every_type(true).slice(6, 1)),
        ("no_columns", RecordBatch::new_empty(Arc::new(Schema::empty()))),
    ];
    let mut builder = SnapshotBuilder::new();
    builder.set_property(property::REPOSITORY, "/data/hsc").set_property("empty", "");
    for (name, batch) in &batches {
        builder.add_table(name, batch).unwrap();
    }
    builder.add_blob("regions", b"\0\xff".to_vec()).unwrap();
    builder.write_to(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), builder.to_bytes().unwrap());
    let entries = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(entries, 1, "a temporary file was left behind");

    for snapshot in [Snapshot::open(&path).unwrap(), Snapshot::from_bytes(builder.to_bytes().unwrap()).unwrap()] {
        snapshot.verify().unwrap();
        assert_eq!(snapshot.tables().len(), batches.len());
        for (name, batch) in &batches {
            assert_eq!(&snapshot.to_record_batch(name).unwrap(), batch, "{name}");
            assert_eq!(snapshot.to_record_batch(name).unwrap().schema(), batch.schema(), "{name}");
        }
        assert_eq!(snapshot.blob("regions").unwrap(), b"\0\xff");
        assert_eq!(snapshot.property(property::REPOSITORY), Some("/data/hsc"));
        assert_eq!(snapshot.property("empty"), Some(""));
        assert_eq!(snapshot.property("absent"), None);
    }
}

#[test]
fn columns_are_read_in_place() {
    let snapshot = Snapshot::from_bytes(small()).unwrap();
    let inside = snapshot.as_bytes().as_ptr_range();
    let table = snapshot.table("nulls").unwrap();
    let values = table.column_i64("i64").unwrap();
    assert!(inside.contains(&values.as_ptr().cast()));
    assert_eq!((values.len(), values[2], values[5]), (7, 31, 82));
    assert!(table.column("i64").unwrap().is_null(1) && !table.column("i64").unwrap().is_null(2));
    assert_eq!(table.column("i64").unwrap().null_count(), 2);
    let batch = snapshot.to_record_batch("nulls").unwrap();
    for column in batch.columns() {
        for buffer in column.to_data().buffers().iter().filter(|b| !b.is_empty()) {
            assert!(inside.contains(&buffer.as_ptr()), "{} was copied", column.data_type());
        }
    }

    assert_eq!(table.column_uuid("uuid").unwrap()[3], [111; 16]);
    assert_eq!(table.column_values::<i64>("time").unwrap()[2], 31);
    assert_eq!(table.column_f32("f32").unwrap()[6], 99.0);
    for name in ["utf8", "large_utf8", "dictionary"] {
        let texts = table.column_str(name).unwrap();
        let all: Vec<&str> = (0..texts.len()).map(|i| texts.get(i).unwrap()).collect();
        assert_eq!(all, TEXTS.map(Option::unwrap_or_default), "{name}");
        assert!(matches!(texts.get(7), Err(SnapshotError::NoRow { row: 7, rows: 7, .. })));
    }
    for name in ["binary", "large_binary"] {
        assert_eq!(table.column_bytes(name).unwrap().get(3).unwrap(), "λ Orionis ☉".as_bytes());
    }
    let dictionary = table.column("dictionary").unwrap().dictionary().unwrap();
    assert_eq!((dictionary.len(), dictionary.get(0).unwrap()), (4, "HSC-I"));
    let bools = snapshot.table("dense").unwrap().column("bool").unwrap();
    assert_eq!([0, 1, 6].map(|i| bools.bool(i).unwrap()), [true, false, true]);
    assert!(bools.bool(7).is_err());
}

#[test]
fn batches_outlive_the_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.bnt");
    std::fs::write(&path, small()).unwrap();
    let batch = Snapshot::open(&path).unwrap().to_record_batch("nulls").unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(batch, every_type(true));
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let mut other = SnapshotBuilder::new();
    // A longer table cut to size has other buffers, other offsets, and other bits behind its end.
    let long =
        arrow::compute::concat_batches(&every_type(true).schema(), &[every_type(true), every_type(true)]).unwrap();
    let numbers: Vec<usize> = vec![3, 4, 8, 9, 10, 11, 12];
    let cut = long.slice(7, 7).project(&numbers).unwrap();
    let plain = every_type(true).project(&numbers).unwrap();
    other.add_table("b", &plain).unwrap().add_table("a", &cut).unwrap();
    let mut one = SnapshotBuilder::new();
    one.add_table("a", &plain).unwrap().add_table("b", &cut).unwrap();
    assert_eq!(one.to_bytes().unwrap(), other.to_bytes().unwrap());
}

#[test]
fn an_empty_snapshot_is_one() {
    let bytes = SnapshotBuilder::new().to_bytes().unwrap();
    let snapshot = Snapshot::from_bytes(bytes).unwrap();
    snapshot.verify().unwrap();
    assert_eq!(snapshot.tables().len(), 0);
    assert_eq!(snapshot.property(property::SOFTWARE_VERSION), Some(env!("CARGO_PKG_VERSION")));
}

#[test]
fn messages_say_what_where_and_what_was_meant() {
    let snapshot = Snapshot::from_bytes(small()).unwrap();
    let said = |e: Result<(), SnapshotError>| e.unwrap_err().to_string();
    assert_eq!(
        said(snapshot.table("denses").map(drop)),
        "snapshot `received bytes` has no table `denses`: did you mean `dense`?"
    );
    assert_eq!(
        said(snapshot.blob("indx").map(drop)),
        "snapshot `received bytes` has no blob `indx`: did you mean `index`?"
    );
    let table = snapshot.table("dense").unwrap();
    assert_eq!(
        said(table.column_i64("large_lst").map(drop)),
        "table `dense` of snapshot `received bytes` has no column `large_lst`: did you mean `large_list`?"
    );
    assert_eq!(
        said(table.column_i64("u64").map(drop)),
        "column `u64` of table `dense` in snapshot `received bytes` is UInt64, asked for was Int64"
    );
    assert!(matches!(Snapshot::open("/nowhere/run.bnt"), Err(SnapshotError::Io { action: "open", .. })));
    assert!(matches!(Snapshot::open("/"), Err(SnapshotError::Io { .. })));
    let nowhere = SnapshotBuilder::new().write_to("/nowhere/run.bnt");
    assert!(matches!(nowhere, Err(SnapshotError::Io { action: "write", .. })));
}

#[test]
fn what_a_snapshot_cannot_hold_is_refused() {
    let mut builder = SnapshotBuilder::new();
    let dates: ArrayRef = Arc::new(arrow::array::Date32Array::from(vec![1]));
    let e = builder.add_table("t", &RecordBatch::try_from_iter([("day", dates)]).unwrap()).unwrap_err();
    assert!(e.to_string().starts_with("column `day` of table `t` has type Date32"), "{e}");
    let holes = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]);
    let holes: ArrayRef = Arc::new(holes);
    let holes = RecordBatch::try_from_iter([("holes", holes)]).unwrap();
    assert!(matches!(builder.add_table("t", &holes), Err(SnapshotError::Unsupported { .. })));
    builder.add_table("t", &every_type(true)).unwrap();
    let twice = builder.add_table("t", &every_type(true));
    assert!(matches!(twice, Err(SnapshotError::Duplicate { what: "table", .. })));
    assert_eq!(ColumnKind::of(&DataType::Int64), Some(ColumnKind::Primitive(Primitive::I64)));
}

#[test]
fn misaligned_bytes_are_read_all_the_same() {
    struct Window(Vec<u8>, usize);
    impl AsRef<[u8]> for Window {
        fn as_ref(&self) -> &[u8] {
            &self.0[self.1..]
        }
    }
    for shift in 0..16 {
        let bytes = [vec![0; shift], small()].concat();
        let snapshot = Snapshot::from_bytes(Window(bytes, shift)).unwrap();
        snapshot.verify().unwrap();
        assert_eq!(snapshot.to_record_batch("nulls").unwrap(), every_type(true), "{shift}");
        assert_eq!(snapshot.table("dense").unwrap().column_f64("f64").unwrap()[0], -3.0);
    }
}

#[test]
fn another_version_is_refused_with_advice() {
    let mut bytes = small();
    bytes[8] = 2;
    let e = Snapshot::from_bytes(bytes).unwrap_err();
    assert!(matches!(e, SnapshotError::Version { found: 2, supported: 1, .. }), "{e}");
    assert!(e.to_string().contains("make the snapshot again"), "{e}");
    let e = Snapshot::from_bytes(b"SQLite format 3\0".to_vec()).unwrap_err();
    assert!(matches!(e, SnapshotError::NotASnapshot { .. }), "{e}");
}
