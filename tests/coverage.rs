//! Coverage maps: complete, tight, and equal to what the Centre de Données astronomiques de Strasbourg's own library makes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use bunter::plot::{Coverage, CoverageFormat, CoverageKind};
use bunter::{LonLat, Region, UnitVector};

fn region(text: &str) -> Region {
    text.parse().unwrap()
}

/// Cells of one depth.
fn count(coverage: &Coverage) -> u64 {
    let shift = 2 * (29 - u32::from(coverage.depth()));
    coverage.ranges().map(|r| (r.end - r.start) >> shift).sum()
}

/// Cells at one depth by mocpy 0.21.0: `MOC.from_polygon_skycoord(…, max_depth)`, which is exact for these, and
/// `MOC.from_cone(…, max_depth, delta_depth=5)`, which takes a few cells too many.
#[test]
fn as_many_cells_as_mocpy() {
    let polygons = [
        ("POLYGON 150 2 151 2 151 3 150 3", 10, 362),
        ("POLYGON 359 -1 1 -1 1 1 359 1", 9, 362),
        ("POLYGON 10 80 100 80 190 80 280 80", 7, 1052),
        ("POLYGON 40 -41.8 41 -41.2 40.4 -40.9", 11, 361),
    ];
    for (text, depth, cells) in polygons {
        assert_eq!(count(&Coverage::new(&[region(text)], depth, CoverageKind::Envelope).unwrap()), cells, "{text}");
    }
    let cones = [
        ("CIRCLE 150.1 2.2 0.5", 10, 280),
        ("CIRCLE 150.1 2.2 0.5", 12, 3975),
        ("CIRCLE 0 0 3", 8, 600),
        ("CIRCLE 10 89 3", 8, 604),
        ("CIRCLE 200 -45 20", 6, 1570),
    ];
    for (text, depth, cells) in cones {
        let ours = count(&Coverage::new(&[region(text)], depth, CoverageKind::Envelope).unwrap());
        assert!(ours <= cells && ours + 3 >= cells, "{text}: {ours}, mocpy {cells}");
    }
}

#[test]
fn every_point_is_covered_and_the_area_is_bounded() {
    let mut state = 99_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut regions: Vec<Region> = Vec::new();
    for i in 0..60 {
        let (lon, lat, size) = (360.0 * random(), 178.0 * random() - 89.0, 0.05 + 2.0 * random());
        let wide = size / lat.to_radians().cos().max(0.05);
        regions.push(if i % 3 == 0 {
            region(&format!("CIRCLE {lon} {lat} {size}"))
        } else {
            let (s, n) = ((lat - size).max(-89.9), (lat + size).min(89.9));
            region(&format!("POLYGON {lon} {s} {} {s} {} {n} {lon} {n}", lon + wide, lon + 0.9 * wide))
        });
    }
    let depth = 9;
    let side = Coverage::cell_side(depth);
    for region in &regions {
        let envelope = Coverage::new(std::slice::from_ref(region), depth, CoverageKind::Envelope).unwrap();
        let interior = Coverage::new(std::slice::from_ref(region), depth, CoverageKind::Interior).unwrap();
        assert!(interior.minus(&envelope).is_empty());
        let reach = region.bounding_circle();
        let mut inside = 0;
        for _ in 0..2000 {
            // Evenly over the cap around the region.
            let z = 1.0 - random() * (1.0 - reach.radius().cos());
            let (s, c) = (std::f64::consts::TAU * random()).sin_cos();
            let r = (1.0 - z * z).max(0.0).sqrt();
            let p = turned(reach.centre(), (r * c, r * s, z));
            if region.contains(p) {
                inside += 1;
                assert!(envelope.contains(p), "{region}: {:?}", p.to_lon_lat());
            } else {
                assert!(!interior.contains(p), "{region}: {:?}", p.to_lon_lat());
            }
        }
        assert!(inside > 200, "{region}: {inside}");
        // Between the area and that of a border as wide as a cell's diagonal on each side.
        let border = 2.0 * side * (8.0 * reach.radius() + 8.0 * side);
        let area = region.area();
        assert!(envelope.area() >= area && envelope.area() < area + border, "{region}");
        assert!(interior.area() <= area && interior.area() > area - border, "{region}");
    }
    // All together, in any order.
    let all = Coverage::new(&regions, depth, CoverageKind::Envelope).unwrap();
    regions.reverse();
    assert_eq!(all, Coverage::new(&regions, depth, CoverageKind::Envelope).unwrap());
    let sum = regions.iter().fold(Coverage::new(&[], depth, CoverageKind::Envelope).unwrap(), |sum, r| {
        sum.union(&Coverage::new(std::slice::from_ref(r), depth, CoverageKind::Envelope).unwrap())
    });
    assert_eq!(all, sum);
}

/// A direction given around the z axis, around another axis.
fn turned(axis: UnitVector, (x, y, z): (f64, f64, f64)) -> UnitVector {
    let helper = if axis.z.abs() < 0.9 { (0.0, 0.0, 1.0) } else { (1.0, 0.0, 0.0) };
    let helper = UnitVector { x: helper.0, y: helper.1, z: helper.2 };
    let (ex, ey, ez) = helper.cross(axis);
    let e = UnitVector::normalized(ex, ey, ez).unwrap();
    let (nx, ny, nz) = axis.cross(e);
    UnitVector::normalized(x * e.x + y * nx + z * axis.x, x * e.y + y * ny + z * axis.y, x * e.z + y * nz + z * axis.z)
        .unwrap()
}

fn bunter(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bunter")).args(arguments).current_dir(folder).output().unwrap()
}

#[test]
fn the_program_writes_and_joins_coverage_maps() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = |arguments: &[&str]| {
        let output = bunter(arguments, folder);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let cone = ["coverage", "--region", "CIRCLE 150.1 2.2 0.5"];
    let with = |more: &[&'static str]| [&cone[..], more].concat();
    for name in ["a.fits", "a.json", "a.txt"] {
        let (_, text) = run(&with(&["--max-depth", "10", "-o", name]));
        assert!(text.contains("0.917977 square degrees, 2.2252e-5 of the sky") && text.contains("depth 10"), "{text}");
    }
    let read = |name: &str| Coverage::read(&folder.join(name)).unwrap();
    assert_eq!(read("a.fits"), read("a.json"));
    assert_eq!(read("a.fits"), read("a.txt"));
    assert!(read("a.fits").contains(LonLat::from_degrees(150.1, 2.2).to_unit()));
    // 12.9 arcsec is depth 14; what is taken away is gone, what is kept is kept.
    run(&with(&["--resolution", "13", "--interior", "-o", "b.fits"]));
    assert_eq!(read("b.fits").depth(), 14);
    let (out, text) = run(&with(&["--max-depth", "10", "--minus", "a.fits", "--as", "json"]));
    assert!(text.contains("nothing is covered") && out.contains("10"), "{out} {text}");
    let (out, _) = run(&[
        "coverage",
        "--region",
        "RANGE 0 360 -90 90",
        "--max-depth",
        "8",
        "--intersect",
        "a.txt",
        "--as",
        "ascii",
    ]);
    std::fs::write(folder.join("c.txt"), out).unwrap();
    assert!((read("c.txt").area() - read("a.fits").area()).abs() < 1e-15);
    run(&["coverage", "--region", "CIRCLE 10 10 1", "--max-depth", "10", "--union", "a.json", "-o", "d.moc"]);
    let d = read("d.moc");
    assert!(d.intersection(&read("a.fits")) == read("a.fits") && d.area() > 4.0 * read("a.fits").area());
    // Regions of a tract's patches for DS9.
    let (_, text) = run(&["coverage", "--skymap", "hsc_rings_v1", "--tract", "9813", "--of", "patches", "-o", "p.reg"]);
    assert_eq!(text, "coverage: p.reg (81 regions)\n");
    let text = std::fs::read_to_string(folder.join("p.reg")).unwrap();
    assert_eq!(text.lines().filter(|l| l.starts_with("polygon(") && l.contains("text={tract=9813 patch=")).count(), 81);
    // A table's rows, as ever.
    std::fs::write(folder.join("t.csv"), "visit,vertices\n1,0 0;1 0;1 1;0 1\n2,0 0;0 1;1 1;1 0\n").unwrap();
    run(&["coverage", "--table", "t.csv", "-o", "t.fits"]);
    assert!((read("t.fits").area().to_degrees().to_degrees() - 1.0).abs() < 0.07);
}

#[test]
fn the_program_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("junk.fits"), "SIMPLE  = junk").unwrap();
    let cone = "CIRCLE 1 2 3";
    let cases: [(&[&str], i32, &str); 11] = [
        (&["coverage", "--region", "CIRCLE 1 95 3", "-o", "a.fits"], 2, "beyond a pole"),
        (&["coverage", "--region", "CIRCLE 1 NaN 3", "-o", "a.fits"], 2, "not a region"),
        (&["coverage", "--region", cone, "-o", "a.xyz"], 2, "it can be fits, json, txt"),
        (&["coverage", "--region", cone], 2, "--as json"),
        (&["coverage", "--region", cone, "--max-depth", "30", "-o", "a.fits"], 2, "0..=29"),
        (&["coverage", "--region", cone, "--resolution", "NaN", "-o", "a.fits"], 2, "the resolution is NaN"),
        (&["coverage", "--region", cone, "--minus", "junk.fits", "-o", "a.fits"], 1, "not a coverage map (MOC)"),
        (&["coverage", "--region", cone, "--minus", "none.fits", "-o", "a.fits"], 1, "none.fits"),
        (&["coverage", "--region", cone, "--minus", "junk.fits", "-o", "a.reg"], 2, "make coverage maps"),
        (&["coverage", "--skymap", "DC3", "-o", "a.fits"], 1, "did you mean `DC2`?"),
        (&["coverage", "--skymap", "DC2", "--tract", "5", "--of", "detectors", "-o", "a.fits"], 1, "nothing to cover"),
    ];
    for (arguments, code, words) in cases {
        let output = bunter(arguments, folder);
        let text = String::from_utf8(output.stderr).unwrap();
        let said = output.status.code() == Some(code) && text.contains(words) && !text.contains("panicked");
        assert!(said, "{arguments:?}: {:?} {text}", output.status.code());
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn formats_have_their_marks() {
    let coverage = Coverage::new(&[region("CIRCLE 150.1 2.2 0.5")], 10, CoverageKind::Envelope).unwrap();
    let fits = coverage.to_bytes(CoverageFormat::Fits).unwrap();
    assert_eq!(fits.len() % 2880, 0);
    let header = String::from_utf8_lossy(&fits);
    for card in [
        "MOCVERS = '2.0'",
        "MOCDIM  = 'SPACE'",
        "ORDERING= 'NUNIQ'",
        "COORDSYS= 'C'",
        "MOCORD_S= 10",
        "XTENSION= 'BINTABLE'",
    ] {
        assert!(header.contains(card), "{card}");
    }
    let json: serde_json::Value = serde_json::from_slice(&coverage.to_bytes(CoverageFormat::Json).unwrap()).unwrap();
    assert!(json["10"].as_array().is_some_and(|cells| !cells.is_empty()));
    let ascii = String::from_utf8(coverage.to_bytes(CoverageFormat::Ascii).unwrap()).unwrap();
    assert!(ascii.contains("10/") && ascii.ends_with('\n'));
}
