//! `bunter pack`, `bunter unpack` and the example `decode_catalog` over tables.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use bunter::datastore::{TableOptions, TableReader, TableWriter};
use bunter::{DataId, packer_of};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use program::{bunter, folder, has_mpirun, on_ranks, run, text};

fn read(path: &Path) -> RecordBatch {
    let reader = TableReader::open(path, TableOptions::default()).unwrap();
    let schema = reader.schema();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

fn ints(batch: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    let column = batch.column_by_name(name).unwrap_or_else(|| panic!("`{name}` is there"));
    arrow::compute::cast(column, &DataType::Int64).unwrap().as_primitive::<Int64Type>().iter().collect()
}

/// Objects with record IDs; every tenth row has one that cannot be, when wanted.
fn objects(rows: usize, bad: bool) -> RecordBatch {
    let packer = packer_of("record:skymap:hsc_rings_v1,bands=default").unwrap();
    let id = |i: usize| {
        let id = DataId::new().with("tract", (i * 37 % 18938) as i64).with("patch", (i % 81) as i64);
        let id = id.with("band", ["g", "r", "N921"][i % 3]).with("counter", i as i64).with("release", 5);
        if bad && i % 10 == 9 { -1 } else { packer.pack(&id).unwrap() as i64 }
    };
    let ids: ArrayRef = Arc::new(Int64Array::from((0..rows).map(id).collect::<Vec<_>>()));
    let flux: ArrayRef = Arc::new(Float64Array::from((0..rows).map(|i| i as f64 / 3.0).collect::<Vec<_>>()));
    let name: ArrayRef = Arc::new(StringArray::from((0..rows).map(|i| format!("star {i}")).collect::<Vec<_>>()));
    RecordBatch::try_from_iter([("object_id", ids), ("flux", flux), ("tract", name)]).unwrap()
}

fn write(path: &Path, batch: &RecordBatch, group: usize) {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

const PACKER: &str = "record:skymap:hsc_rings_v1,bands=default";

#[test]
fn there_and_back() {
    let folder = folder("there");
    let (input, unpacked, packed) = (folder.join("in.parquet"), folder.join("un.parquet"), folder.join("back.csv"));
    let rows = 70_000;
    let objects = objects(rows, false);
    write(&input, &objects, 20_000);
    let ran =
        bunter(&["unpack", text(&input), "--packer", PACKER, "--id", "object_id", "--output", text(&unpacked)]).ok();
    assert!(ran.err.contains("unpack: 70000 rows"), "{}", ran.err);
    let table = read(&unpacked);
    let names: Vec<_> = table.schema_ref().fields().iter().map(|f| f.name().clone()).collect();
    // `tract` is replaced where it was, what is new stands behind.
    assert_eq!(names, ["object_id", "flux", "tract", "counter", "patch", "band", "release"]);
    assert_eq!(table.column(1), objects.column(1));
    let (tract, patch, counter) = (ints(&table, "tract"), ints(&table, "patch"), ints(&table, "counter"));
    for i in 0..rows {
        assert_eq!(
            (tract[i], patch[i], counter[i]),
            (Some((i * 37 % 18938) as i64), Some((i % 81) as i64), Some(i as i64))
        );
    }
    let bands = arrow::compute::cast(table.column_by_name("band").unwrap(), &DataType::Utf8).unwrap();
    assert!((0..rows).all(|i| bands.as_string::<i32>().value(i) == ["g", "r", "N921"][i % 3]));
    // Packed again, through CSV, into a column of another name.
    bunter(&["pack", text(&unpacked), "--packer", PACKER, "--id", "again", "--output", text(&packed)]).ok();
    let table = read(&packed);
    assert_eq!(ints(&table, "again"), ints(&objects, "object_id"));
    assert_eq!(table.num_columns(), 8);
}

#[test]
fn rows_that_do_not_fit() {
    let folder = folder("bad");
    let (input, output) = (folder.join("in.csv"), folder.join("out.csv"));
    fs::write(&input, "id,name\n31,a\n,b\n-5,c\n1533977,d\n1533978,e\n").unwrap();
    let unpack = ["unpack", text(&input), "--packer", "skymap:hsc_rings_v1", "--id", "id", "--output", text(&output)];
    let ran = bunter(&unpack).exits(1).says(&[
        "3 of 5 rows cannot be unpacked by skymap:hsc_rings_v1",
        "row 1: the packed integer is null",
        "row 2: -5 is negative",
        "row 4: 1533978",
        "--on-error mask",
    ]);
    assert!(ran.out.is_empty() && !output.exists());
    bunter(&[&unpack[..], &["--on-error", "mask", "--column", "tract", "--drop-id"]].concat())
        .ok()
        .says(&["3 that do not fit"]);
    assert_eq!(fs::read_to_string(&output).unwrap(), "name,tract\na,0\nb,\nc,\nd,18937\ne,\n");
    bunter(&["unpack", text(&input), "--packer", "skymap:hsc_rings_v1", "--id", "di"])
        .exits(1)
        .says(&["did you mean `id`?"]);
    bunter(&["unpack", text(&input), "--packer", "skymap:hsc_rings_v2", "--id", "id"]).exits(1).says(&["did you mean"]);
    bunter(&["unpack", text(&input), "--id", "id"]).exits(2);
    let pack = [
        "pack",
        text(&input),
        "--packer",
        "skymap:hsc_rings_v1",
        "--set",
        "tract=3",
        "--column",
        "patch=id",
        "--format",
        "csv",
    ];
    bunter(&pack).exits(1).says(&["row 1: `patch` is null", "row 2: `patch` is -5, expected 0 to 80"]);
    let ran = bunter(&[&pack[..], &["--on-error", "mask"]].concat()).ok();
    assert_eq!(ran.out, "id,name,packed\n31,a,274\n,b,\n-5,c,\n1533977,d,\n1533978,e,\n");
}

#[test]
fn a_repository_makes_the_packer() {
    let folder = folder("repository");
    let repository = folder.join("repo");
    bunter(&["create", text(&repository)]).ok();
    bunter(&["register-skymap", text(&repository), "hsc_rings_v1"]).ok();
    let input = folder.join("in.csv");
    fs::write(&input, "tract,patch,band\n9813,31,r\n9813,32,i\n").unwrap();
    let ran = bunter(&[
        "pack",
        text(&input),
        "--repository",
        text(&repository),
        "--dimensions",
        "tract,patch,band",
        "--format",
        "csv",
    ])
    .ok();
    assert_eq!(ran.out, "tract,patch,band,packed\n9813,31,r,5396818\n9813,32,i,6930797\n");
    let layout = folder.join("mine.toml");
    fs::write(&layout, "name = 'mine'\nfield = [{ name = 'patch', bits = 7 }, { name = 'tract', bits = 15 }]\n")
        .unwrap();
    let ran = bunter(&["pack", text(&input), "--packer", text(&layout), "--format", "csv"]).ok();
    assert!(ran.out.contains(&format!("9813,31,r,{}\n", 9813 << 7 | 31)), "{}", ran.out);
}

/// The same catalog in every format, unpacked into every format, packed again from there into every format: the same integers, and every other
/// column as it was.
#[test]
fn every_pair_of_formats() {
    const ENDINGS: [&str; 4] = ["csv", "parquet", "h5", "fits"];
    let folder = folder("pairs");
    let rows = 500;
    let catalog = objects(rows, true);
    let plain = |batch: &RecordBatch, name: &str| {
        let column = batch.column_by_name(name).unwrap_or_else(|| panic!("`{name}` is there"));
        arrow::compute::cast(column, &DataType::Utf8).unwrap()
    };
    for from in ENDINGS {
        let input = folder.join(format!("in.{from}"));
        let mut writer = TableWriter::create(&input, catalog.schema()).unwrap();
        writer.write(&catalog).unwrap();
        writer.finish().unwrap();
        for to in ENDINGS {
            let unpacked = folder.join(format!("{from}.{to}"));
            let unpack = ["unpack", text(&input), "--packer", PACKER, "--id", "object_id", "--output", text(&unpacked)];
            bunter(&unpack).exits(1).says(&["row 9: -1 is negative", "--on-error mask"]);
            assert!(!unpacked.exists());
            bunter(&[&unpack[..], &["--on-error", "mask"]].concat()).ok().says(&["50 that do not fit"]);
            let table = read(&unpacked);
            let names: Vec<_> = table.schema_ref().fields().iter().map(|f| f.name().clone()).collect();
            assert_eq!(names, ["object_id", "flux", "tract", "counter", "patch", "band", "release"]);
            for kept in ["object_id", "flux"] {
                assert_eq!(&plain(&table, kept), &plain(&catalog, kept), "{from} to {to}: {kept}");
            }
            let masked = (0..rows).map(|i| (i % 10 != 9).then_some((i * 37 % 18938) as i64)).collect::<Vec<_>>();
            assert_eq!(ints(&table, "tract"), masked, "{from} to {to}");
            let packed = folder.join(format!("packed.{from}"));
            let pack = ["pack", text(&unpacked), "--packer", PACKER, "--id", "again", "--output", text(&packed)];
            bunter(&[&pack[..], &["--on-error", "mask"]].concat()).ok().says(&["50 that do not fit"]);
            let wanted = ints(&catalog, "object_id").into_iter().map(|id| id.filter(|id| *id >= 0)).collect::<Vec<_>>();
            assert_eq!(ints(&read(&packed), "again"), wanted, "{to} to {from}");
        }
    }
    // Tables by their names within a file.
    let (input, output) = (folder.join("in.fits[1]"), folder.join("out.h5#/a/b"));
    bunter(&[
        "unpack",
        text(&input),
        "--packer",
        PACKER,
        "--id",
        "object_id",
        "--on-error",
        "mask",
        "--output",
        text(&output),
    ])
    .ok();
    assert_eq!(read(&output).num_rows(), rows);
}

/// The example's program, built if need be.
fn decode_catalog() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let profile = own.parent().and_then(|p| p.parent()).unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--example", "decode_catalog", "--target-dir"]).arg(profile.parent().unwrap());
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    profile.join("examples/decode_catalog")
}

#[test]
fn ranks_decode_row_groups() {
    let folder = folder("ranks");
    let objects = objects(25_000, true);
    let files = [folder.join("a.parquet"), folder.join("b.parquet")];
    write(&files[0], &objects.slice(0, 10_000), 3000);
    write(&files[1], &objects.slice(10_000, 15_000), 4000);
    let program = decode_catalog();
    let mut whole: Option<RecordBatch> = None;
    for ranks in [0, 1, 3, 12] {
        if ranks > 0 && !has_mpirun() {
            continue;
        }
        let output = folder.join(format!("decoded{ranks}"));
        let mut command = if ranks == 0 { Command::new(&program) } else { on_ranks(ranks, &program) };
        let done = run(command.args([PACKER, "object_id"]).arg(&output).args(&files)).ok();
        assert!(done.out.contains("25000 rows of 8 pieces") && done.out.contains("2500 do not fit"), "{}", done.out);
        let mut parts: Vec<PathBuf> = fs::read_dir(&output).unwrap().map(|e| e.unwrap().path()).collect();
        parts.sort();
        assert!(parts.len() <= ranks.max(1) && (ranks < 8 || parts.len() == 8), "{parts:?}");
        let tables: Vec<_> = parts.iter().map(|p| read(p)).collect();
        let table = arrow::compute::concat_batches(&tables[0].schema(), &tables).unwrap();
        assert_eq!(ints(&table, "object_id"), ints(&objects, "object_id"));
        assert_eq!(ints(&table, "counter").iter().filter(|c| c.is_none()).count(), 2500);
        match &whole {
            None => whole = Some(table),
            Some(whole) => assert_eq!(&table, whole),
        }
        // Pieces of the other formats, mixed.
        let mixed = [folder.join("a.h5"), folder.join("b.fits")];
        if ranks <= 1 {
            for (file, rows) in mixed.iter().zip([0..10_000, 10_000..25_000]) {
                let mut writer = TableWriter::create(file, objects.schema()).unwrap();
                writer.write(&objects.slice(rows.start, rows.len())).unwrap();
                writer.finish().unwrap();
            }
        }
        let output = folder.join(format!("mixed{ranks}"));
        let mut command = if ranks == 0 { Command::new(&program) } else { on_ranks(ranks, &program) };
        let done = run(command.args([PACKER, "object_id"]).arg(&output).args(&mixed)).ok();
        assert!(done.out.contains("25000 rows of 2 pieces"), "{}", done.out);
        // Twice into the same folder is refused.
        if ranks == 0 {
            run(Command::new(&program).args([PACKER, "object_id"]).arg(&output).args(&mixed)).exits(1);
        }
    }
}
