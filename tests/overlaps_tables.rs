//! Tables of a person's own: reading and writing them, `find-patches`, `overlaps`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod program;
mod sky_golden;

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Schema};
use bunter::SkyMap;
use bunter::datastore::{DatastoreError, TableOptions, TableReader, TableWriter};
use program::{bunter, folder, text};
use sky_golden::Table;

/// Maps whose true overlaps are known, and that are presets.
const PRESETS: [&str; 3] = ["hsc_rings_v1", "lsst_cells_v1", "DC2"];

fn read(path: &Path) -> RecordBatch {
    let reader = TableReader::open(path, TableOptions::default()).unwrap();
    let schema = reader.schema();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

fn write(path: &Path, batch: &RecordBatch) {
    let mut writer = TableWriter::create(path, batch.schema()).unwrap();
    writer.write(batch).unwrap();
    assert_eq!(writer.finish().unwrap(), batch.num_rows() as u64);
}

fn ints(batch: &RecordBatch, name: &str) -> Vec<i64> {
    let column = arrow::compute::cast(batch.column_by_name(name).unwrap(), &DataType::Int64).unwrap();
    column.as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
}

/// The polygons of a golden table as CSV, and the pairs that are true.
fn golden(folder: &Path, map: &str) -> (PathBuf, BTreeSet<(i64, i64, i64)>) {
    let path = folder.join(format!("{map}.csv"));
    let mut csv = String::from("poly,kind,vertices\n");
    for row in Table::read(&format!("skymap/{map}/polygons.csv.gz")).rows() {
        writeln!(csv, "{},{},{}", row.text("poly"), row.text("kind"), row.text("vertices")).unwrap();
    }
    fs::write(&path, csv).unwrap();
    let mut pairs = BTreeSet::new();
    for row in Table::read(&format!("skymap/{map}/overlaps_exact.csv.gz")).rows() {
        let (poly, tract) = (row.text("poly").parse().unwrap(), row.text("tract").parse().unwrap());
        for patch in row.text("patches").split(';').filter(|p| !p.is_empty()) {
            pairs.insert((poly, tract, patch.parse().unwrap()));
        }
    }
    assert!(pairs.len() > 500, "{}", pairs.len());
    (path, pairs)
}

fn triples(batch: &RecordBatch) -> Vec<(i64, i64, i64)> {
    let (poly, tract, patch) = (ints(batch, "poly"), ints(batch, "tract"), ints(batch, "patch"));
    (0..batch.num_rows()).map(|i| (poly[i], tract[i], patch[i])).collect()
}

#[test]
fn overlaps_with_a_sky_map_are_the_true_ones() {
    let folder = folder("skymap");
    for map in PRESETS {
        let (polygons, expected) = golden(&folder, map);
        for output in ["pairs.csv", "pairs.parquet"] {
            let output = folder.join(output);
            let ran = bunter(&["overlaps", text(&polygons), "--skymap", map, "--output", text(&output)]).ok();
            ran.says(&["left rows", "tracts", &format!("{} pairs", expected.len())]);
            let found = triples(&read(&output));
            assert!(found.is_sorted());
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "{map}");
        }
    }
}

#[test]
fn overlaps_of_two_tables_are_the_true_ones() {
    let folder = folder("tables");
    let map = "hsc_rings_v1";
    let (polygons, expected) = golden(&folder, map);
    // All patches of the tracts that take part, and of the ones beside them.
    let sky_map = SkyMap::preset(map).unwrap();
    let near: BTreeSet<u32> =
        expected.iter().flat_map(|e| [e.1 - 1, e.1, e.1 + 1]).filter_map(|t| u32::try_from(t).ok()).collect();
    let (mut tracts, mut patches, mut vertices) = (vec![], vec![], vec![]);
    for tract in near.into_iter().filter(|t| *t < sky_map.len()) {
        let info = sky_map.tract(tract).unwrap();
        let (nx, ny) = info.num_patches();
        for patch in 0..nx * ny {
            let polygon = info.patch(patch).unwrap();
            let corners = polygon.outer_polygon().vertices().iter().map(|v| v.to_lon_lat());
            let corners: Vec<_> = corners.map(|p| format!("{} {}", p.lon_deg(), p.lat_deg())).collect();
            tracts.push(i64::from(tract));
            patches.push(i64::from(patch));
            vertices.push(corners.join(";"));
        }
    }
    let right = RecordBatch::try_from_iter([
        ("tract", Arc::new(Int64Array::from(tracts)) as ArrayRef),
        ("patch", Arc::new(Int64Array::from(patches))),
        ("vertices", Arc::new(StringArray::from(vertices))),
    ])
    .unwrap();
    let mut bytes = Vec::new();
    for ending in ["csv", "parquet"] {
        let (patches, output) = (folder.join(format!("patches.{ending}")), folder.join(format!("pairs.{ending}")));
        write(&patches, &right);
        bunter(&["overlaps", text(&polygons), text(&patches), "--output", text(&output)]).ok();
        let pairs = read(&output);
        let names: Vec<_> = pairs.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["poly", "kind", "tract", "patch"]);
        assert_eq!(triples(&pairs).into_iter().collect::<BTreeSet<_>>(), expected);
        assert_eq!(pairs.num_rows(), expected.len());
        // The other way round: the same pairs.
        let turned = folder.join("turned.parquet");
        bunter(&["overlaps", text(&patches), text(&polygons), "-o", text(&turned)]).ok();
        assert_eq!(triples(&read(&turned)).into_iter().collect::<BTreeSet<_>>(), expected);
        bytes.push(fs::read(turned).unwrap());
    }
    let stdout = bunter(&["overlaps", text(&polygons), text(&folder.join("patches.csv")), "--format", "csv"]).ok();
    assert_eq!(stdout.out, fs::read_to_string(folder.join("pairs.csv")).unwrap());
}

#[test]
fn ids_are_carried_and_clashing_names_told_apart() {
    let folder = folder("ids");
    let (left, right) = (folder.join("left.csv"), folder.join("right.parquet"));
    // Either direction of going round, a closed ring, blanks, a semicolon at the end.
    fs::write(
        &left,
        "id,name,VERTICES\n7,a,0 0;1 0;1 1;0 1\n8,,0 0;0 1;1 1;1 0\n9,\"c,d\",0.5 0.5 ; 2 0.5; 2 2 ;0.5 0.5;\n10,far,50 0;51 0;51 1\n",
    )
    .unwrap();
    let kind: DictionaryArray<Int32Type> = [Some("x"), None, Some("x")].into_iter().collect();
    let right_batch = RecordBatch::try_from_iter([
        (
            "vertices",
            Arc::new(StringArray::from(vec!["1 1;2 1;2 2", "-1 -1;0 -1;0 0", "100 0;101 0;101 1"])) as ArrayRef,
        ),
        ("id", Arc::new(Float32Array::from(vec![Some(0.1), None, Some(3.0)]))),
        ("kind", Arc::new(kind)),
    ])
    .unwrap();
    write(&right, &right_batch);
    let output = folder.join("pairs.parquet");
    bunter(&["overlaps", text(&left), text(&right), "--output", text(&output)]).ok();
    let pairs = read(&output);
    let names: Vec<_> = pairs.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["left_id", "name", "right_id", "kind"]);
    // Corners alone touch too.
    assert_eq!(ints(&pairs, "left_id"), [7, 7, 8, 8, 9]);
    assert_eq!(pairs.column(1).null_count(), 2);
    assert_eq!(pairs.column(2).null_count(), 2);
    assert!(matches!(pairs.schema().field(3).data_type(), DataType::Dictionary(..)));
    let out = bunter(&["overlaps", text(&left), text(&right), "--format", "csv"]).ok().out;
    assert_eq!(out, "left_id,name,right_id,kind\n7,a,0.1,x\n7,a,,\n8,,0.1,x\n8,,,\n9,\"c,d\",0.1,x\n",);
    let json = bunter(&["overlaps", text(&left), text(&right), "--format", "json"]).ok().json();
    assert_eq!(json.as_array().unwrap().len(), 5);
    // Without IDs rows are numbered.
    let bare = folder.join("bare.csv");
    fs::write(&bare, "vertices\n40 0;41 0;41 1\n0 0;1 0;1 1\n").unwrap();
    let out = bunter(&["overlaps", text(&bare), text(&bare), "--format", "csv"]).ok().out;
    assert_eq!(out, "left_row,right_row\n1,1\n2,2\n");
    let none = bunter(&["overlaps", text(&bare), text(&right), "--vertices", "verts"]).exits(1);
    none.says(&["no column `verts`", "it has vertices"]);
}

#[test]
fn bad_polygons_are_errors_that_name_file_row_and_problem() {
    let folder = folder("bad");
    let good = folder.join("good.csv");
    fs::write(&good, "id,vertices\n1,0 0;1 0;1 1\n").unwrap();
    let output = folder.join("out.csv");
    for (vertices, problem) in [
        ("0 0;2 0;1 0.5;2 2;0 2", "do not go around a convex polygon"),
        ("0 0;1 1;1 0;0 1", "do not go around a convex polygon"),
        ("0 0;120 0;240 0", "great circle"),
        ("0 10;120 10;240 10;0 -80", "hemisphere"),
        ("0 0;10 0;20 0", "needs an area"),
        ("0 0;1 0", "needs 3 different vertices"),
        ("0 0;nan 0;1 1", "vertex 2 is `nan 0`: not finite"),
        ("0 0;1 inf;1 1", "vertex 2 is `1 inf`: not finite"),
        ("0 0;1 0;1 90.5", "vertex 3 has declination 90.5"),
        ("0 0;1 0;1", "vertex 3 is `1`, expected `ra dec`"),
        ("0 0;1 0;1 x", "`x` of vertex 3 is not a number"),
        ("", "there are no vertices"),
    ] {
        let bad = folder.join("bad.csv");
        fs::write(&bad, format!("id,vertices\n1,0 0;1 0;1 1\n2,{vertices}\n")).unwrap();
        for (left, right) in [(&bad, &good), (&good, &bad)] {
            let ran = bunter(&["overlaps", text(left), text(right), "--output", text(&output)]).exits(1);
            ran.says(&["bad.csv`, row 2, column `vertices`", problem]);
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "{problem}: something was left");
        }
        let skip = bunter(&["overlaps", text(&bad), text(&good), "--on-error", "skip", "--format", "csv"]).ok();
        assert!(skip.out.starts_with("left_id,right_id\n1,1\n"), "{}", skip.out);
    }
    bunter(&["overlaps", text(&good)]).exits(2).says(&["RIGHT"]);
    bunter(&["overlaps", text(&good), "--skymap", "hsc_ring_v1"]).exits(1).says(&["did you mean `hsc_rings_v1`?"]);
    bunter(&["overlaps", text(&good), "absent.csv"]).exits(1).says(&["no file `absent.csv`"]);
    bunter(&["overlaps", text(&good), text(&good), "-o", "out.xls"])
        .exits(1)
        .says(&["`out.xls`: tables are `.csv`, `.tsv`, `.parquet`, `.h5` or `.fits`"]);
}

#[test]
fn patches_are_found_as_in_the_golden_tables() {
    let folder = folder("find");
    for map in PRESETS {
        let table = Table::read(&format!("skymap/{map}/find_tract.csv.gz"));
        let points = folder.join("points.csv");
        let mut csv = String::from("kind,RA,Dec,tract\n");
        for row in table.rows() {
            writeln!(csv, "{},{},{},old", row.text("kind"), row.text("ra"), row.text("dec")).unwrap();
        }
        fs::write(&points, csv).unwrap();
        for ending in ["csv", "parquet"] {
            let output = folder.join(format!("found.{ending}"));
            let ran = bunter(&["find-patches", map, "--points", text(&points), "--output", text(&output)]).ok();
            ran.says(&[&format!("{} rows", table.len())]);
            let found = read(&output);
            let names: Vec<_> = found.schema().fields().iter().map(|f| f.name().clone()).collect();
            assert_eq!(names, ["kind", "RA", "Dec", "input_tract", "tract", "patch", "patch_x", "patch_y"]);
            let column =
                |name: &str| arrow::compute::cast(found.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
            let columns = ["tract", "patch", "patch_x", "patch_y"].map(|n| (n, column(n)));
            for (i, row) in table.rows().enumerate().filter(|(_, row)| row.text("kind") != "edge") {
                for (name, values) in &columns {
                    let values = values.as_string::<i32>();
                    let value = if values.is_null(i) { "-1" } else { values.value(i) };
                    assert_eq!(value, row.text(name), "{map} row {i} {name}");
                }
            }
            let ra = found.column(1).as_primitive::<Float64Type>();
            assert!(table.rows().enumerate().all(|(i, row)| ra.value(i).to_bits() == row.f64("ra").to_bits()));
        }
    }
    // A map of a person's own that does not cover the sky.
    let map = folder.join("field.toml");
    fs::write(&map, "kind = 'discrete'\nra_deg = [10.0]\ndec_deg = [0.0]\nradius_deg = [1.0]\ntract_overlap_deg = 0.0\npixel_scale_arcsec = 0.2\n").unwrap();
    let points = folder.join("few.csv");
    fs::write(&points, "ra,dec\n10,0\n200,0\n").unwrap();
    let ran = bunter(&["find-patches", text(&map), "--points", text(&points), "--format", "csv"]).ok();
    assert!(ran.out.contains("\n200,0,0,,,\n"), "{}", ran.out);
    ran.says(&["2 rows, 1 outside of their tract's pixels"]);
}

#[test]
fn bad_points_are_named_or_masked() {
    let folder = folder("points");
    let (csv, output) = (folder.join("p.csv"), folder.join("out.parquet"));
    fs::write(&csv, "id,ra,dec\n1,10,20\n2,,5\n3,nan,5\n4,5,90.01\n5,inf,0\n6,7,-91\n7,8,\n8,1,1\n").unwrap();
    let ran = bunter(&["find-patches", "DC2", "--points", text(&csv), "--output", text(&output)]).exits(1);
    ran.says(&[
        "p.csv",
        "row 2: ra = null, dec = 5",
        "row 3: ra = NaN",
        "row 4: ra = 5",
        "dec = 90.01",
        "and 1 more",
        "--on-error mask",
    ]);
    assert!(!output.exists());
    bunter(&["find-patches", "DC2", "--points", text(&csv), "--output", text(&output), "--on-error", "mask"])
        .ok()
        .says(&["8 rows, 6 without a position"]);
    let found = read(&output);
    assert_eq!(found.column_by_name("tract").unwrap().null_count(), 6);
    assert_eq!(found.num_rows(), 8);
    // One word among the numbers: the row is still named.
    fs::write(&csv, "id,ra,dec\n1,10,20\n2,x,5\n").unwrap();
    bunter(&["find-patches", "DC2", "--points", text(&csv)]).exits(1).says(&["row 2: ra = x, dec = 5"]);
    bunter(&["find-patches", "DC2", "--points", text(&csv), "--ra", "raj2000"])
        .exits(1)
        .says(&["no column `raj2000`", "it has id, ra, dec"]);
    bunter(&["find-patches", "absent.toml", "--points", text(&csv)]).exits(1).says(&["absent.toml"]);
    for format in ["table", "json", "csv"] {
        fs::write(&csv, "ra,dec\n150.1,2.2\n").unwrap();
        let out = bunter(&["find-patches", "hsc_rings_v1", "--points", text(&csv), "--format", format]).ok().out;
        assert!(out.contains("9813") && out.contains("41"), "{out}");
    }
}

#[test]
fn csv_has_types_names_and_no_surprises() {
    let folder = folder("csv");
    let path = folder.join("t.csv");
    let open = |content: &[u8], infer: Option<usize>, columns: Option<Vec<String>>| {
        fs::write(&path, content).unwrap();
        let mut options = TableOptions::default();
        (options.infer_rows, options.batch_rows, options.columns) = (infer, 2, columns);
        TableReader::open(&path, options).and_then(|reader| {
            let schema = reader.schema();
            let batches = reader.collect::<Result<Vec<_>, _>>()?;
            assert!(batches.iter().all(|b| b.num_rows() <= 2 && b.schema() == schema));
            Ok(arrow::compute::concat_batches(&schema, &batches).unwrap())
        })
    };
    let content = b"\xef\xbb\xbf# made by hand\n# twice\nid, x ,flag,name,big\n1,0.1,true,a,9223372036854775808\n2,,false,\"b\nc\",1\n\
        -3,1e-300,,007,2\n";
    let batch = open(content, None, None).unwrap();
    let types: Vec<_> = batch.schema().fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect();
    let expected = [
        ("id", DataType::Int64),
        ("x", DataType::Float64),
        ("flag", DataType::Boolean),
        ("name", DataType::Utf8),
        ("big", DataType::UInt64),
    ];
    assert_eq!(types, expected.map(|(n, t)| (n.to_owned(), t)));
    assert_eq!(batch.column(3).as_string::<i32>().value(1), "b\nc");
    let some = open(content, None, Some(vec!["big".into(), "id".into(), "big".into()])).unwrap();
    let names: Vec<_> = some.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["big", "id", "big"]);
    assert_eq!(ints(&some, "id"), [1, 2, -3]);

    let message = |content: &[u8], infer| open(content, infer, None).unwrap_err().to_string();
    let late = message(b"id,x\n1,1\n2,2\n3,4\n4,x5\n", Some(3));
    assert!(
        late.contains("row 4, column `x`: `x5` is not an integer; its first 3 rows made the column Int64"),
        "{late}"
    );
    let ragged = message(b"id,x\n1,1\n2\n", None);
    assert!(ragged.contains("t.csv` is damaged at line 3") && ragged.contains("wrong number of cells"), "{ragged}");
    assert!(message(b"id,x,id\n", None).contains("two columns are called `id`"));
    assert!(message(b"", None).contains("line of column names"));
    let said = message(b"\x89HDF\r\n\x1a\n....", None);
    assert!(said.contains("t.csv") && said.contains("HDF5"), "{said}");
    assert!(message(b"a,b\n\xff\xfe,1\n", None).contains("t.csv"));
    assert!(matches!(
        open(b"a\n1\n", None, Some(vec!["aa".into()])),
        Err(DatastoreError::NoSuchColumn { near: Some(_), .. })
    ));
    assert_eq!(open(b"a,b\n", None, None).unwrap().num_rows(), 0);

    // Gzip, tabs, and a pipe.
    let zipped = folder.join("t.csv.gz");
    let mut encoder = flate2::write::GzEncoder::new(fs::File::create(&zipped).unwrap(), flate2::Compression::fast());
    encoder.write_all(b"a,b\n1,2\n3,4.5\n").unwrap();
    encoder.finish().unwrap();
    assert_eq!(read(&zipped).schema().field(1).data_type(), &DataType::Float64);
    let tabs = folder.join("t.tsv");
    fs::write(&tabs, "a\tb\n1\t2,5\n").unwrap();
    assert_eq!(read(&tabs).column(1).as_string::<i32>().value(0), "2,5");
    let pipe = folder.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let feed = pipe.clone();
    let feeder = std::thread::spawn(move || fs::write(feed, "a,b\n1,2\n3,4\n").unwrap());
    assert_eq!(ints(&read(&pipe), "b"), [2, 4]);
    feeder.join().unwrap();
}

#[test]
fn tables_come_back_as_they_were_written() {
    let folder = folder("round");
    let floats = vec![Some(0.1), None, Some(f64::MAX), Some(-0.0), Some(5e-324), Some(1.0 / 3.0), Some(f64::INFINITY)];
    let names: DictionaryArray<Int32Type> = ["a", "b", "a", "a", "b", "c", "a"].into_iter().collect();
    let fields = vec![
        Field::new("x", DataType::Float64, true),
        Field::new("name", names.data_type().clone(), false)
            .with_metadata(HashMap::from([("unit".to_owned(), "none".to_owned())])),
    ];
    let schema = Schema::new_with_metadata(fields, HashMap::from([("survey".to_owned(), "demo".to_owned())]));
    let batch =
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Float64Array::from(floats.clone())), Arc::new(names)])
            .unwrap();
    let parquet = folder.join("t.parquet");
    write(&parquet, &batch);
    assert_eq!(read(&parquet), batch);
    assert_eq!(TableReader::open(&parquet, TableOptions::default()).unwrap().num_rows(), Some(7));
    let csv = folder.join("t.csv");
    write(&csv, &batch);
    let back = read(&csv);
    let bits = |b: &RecordBatch| {
        b.column(0).as_primitive::<Float64Type>().iter().map(|v| v.map(f64::to_bits)).collect::<Vec<_>>()
    };
    assert_eq!(bits(&back), bits(&batch));
    // As any new file.
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&csv).unwrap().permissions());
    assert_eq!(mode & 0o600, 0o600);

    // Dropped, or begun with other columns: nothing is there, and what was there stays.
    let before = fs::read(&csv).unwrap();
    let mut writer = TableWriter::create(&csv, batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    assert!(matches!(writer.write(&batch.project(&[0]).unwrap()), Err(DatastoreError::Inconsistent { .. })));
    drop(writer);
    assert_eq!(fs::read(&csv).unwrap(), before);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    let error = |path: &Path| TableWriter::create(path, batch.schema()).unwrap_err().to_string();
    fs::create_dir(folder.join("folder.csv")).unwrap();
    assert!(error(&folder.join("folder.csv")).contains("no ordinary file"));
    assert!(error(&folder.join("absent/t.csv")).contains("absent"));
    assert!(error(&folder.join("t.fit5")).contains("`.csv`, `.tsv`, `.parquet`, `.h5` or `.fits`"));
    // A link stays one.
    let link = folder.join("link.csv");
    std::os::unix::fs::symlink(&csv, &link).unwrap();
    write(&link, &batch.slice(0, 1));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(read(&csv).num_rows(), 1);
}

#[test]
fn damaged_parquet_is_an_error() {
    let folder = folder("parquet");
    let path = folder.join("t.parquet");
    let numbers: Vec<i64> = (0..2000).map(|i| i * i).collect();
    let words: Vec<String> = (0..2000).map(|i| format!("w{}", i % 37)).collect();
    let batch = RecordBatch::try_from_iter([
        ("n", Arc::new(Int64Array::from(numbers)) as ArrayRef),
        ("w", Arc::new(StringArray::from(words))),
    ])
    .unwrap();
    write(&path, &batch);
    let whole = fs::read(&path).unwrap();
    let (mut refused, mut same) = (0, 0);
    let mut seed = 1_u64;
    for round in 0..400 {
        let mut bytes = whole.clone();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (seed >> 33) as usize % bytes.len();
        if round % 4 == 0 {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << (seed >> 60 & 7);
        }
        fs::write(&path, bytes).unwrap();
        let read = TableReader::open(&path, TableOptions::default()).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        match read {
            Err(error) => {
                assert!(error.to_string().contains("t.parquet"), "{error}");
                refused += 1;
            }
            Ok(_) => same += 1,
        }
    }
    assert!(refused > 110, "{refused} refused, {same} read");
}
