//! How long a position takes: the exact way by projection and distortion, and a row of the grid mapping.
//!
//! `cargo bench --bench wcs`; divan prints pixels a second beside each time.

#![expect(clippy::expect_used, reason = "a bench that cannot set up fails loudly")]

use bunter::{DEFAULT_TOLERANCE_PX, GridMapping, LonLat, PixelBox, UnitVector, Wcs};
use divan::{Bencher, black_box, counter::ItemsCount};

const SCALE: f64 = 0.2 / 3600.0;
const KINDS: [&str; 6] = ["TAN", "TAN-SIP", "TPV", "ZPN", "STG", "CEA"];
const N: usize = 4096;

fn main() {
    divan::main();
}

fn wcs(kind: &str) -> Wcs {
    let terms: &[(&str, f64)] = match kind {
        "TAN-SIP" => &[
            ("A_ORDER", 4.0),
            ("B_ORDER", 4.0),
            ("A_2_0", 2e-7),
            ("A_0_3", -3e-11),
            ("A_2_2", 1e-14),
            ("B_1_1", -2e-7),
            ("B_3_0", 4e-11),
        ],
        "TPV" => &[
            ("PV1_1", 1.0068),
            ("PV1_4", -0.0027),
            ("PV1_7", -0.0016),
            ("PV1_10", 0.0013),
            ("PV2_1", 1.0054),
            ("PV2_5", -0.0017),
            ("PV2_7", -0.0073),
        ],
        "ZPN" => &[("PV2_1", 1.0), ("PV2_3", 44.0), ("PV2_5", -10_300.0)],
        _ => &[],
    };
    let centre = LonLat::from_degrees(150.0, 2.0);
    let mut header =
        Wcs::tan(centre, [-3000.0, 2000.0], [[-SCALE, 1e-7], [1e-7, SCALE]]).expect("a matrix").to_header();
    header.set("CTYPE1", format!("RA---{kind}"));
    header.set("CTYPE2", format!("DEC--{kind}"));
    header.remove("LONPOLE");
    for (keyword, value) in terms {
        header.set(keyword, *value);
    }
    Wcs::from_header(&header).expect("a WCS")
}

fn pixels() -> (Vec<f64>, Vec<f64>) {
    (0..N).map(|i| ((i * 37 % 2048) as f64, (i * 91 % 4096) as f64)).unzip()
}

#[divan::bench(args = KINDS)]
fn pixels_to_sky(bencher: Bencher<'_, '_>, kind: &str) {
    let (wcs, (x, y)) = (wcs(kind), pixels());
    let (mut lon, mut lat) = (vec![0.0; N], vec![0.0; N]);
    bencher.counter(ItemsCount::new(N)).bench_local(|| wcs.pixels_to_sky(black_box(&x), &y, &mut lon, &mut lat));
}

#[divan::bench(args = KINDS)]
fn sky_to_pixels(bencher: Bencher<'_, '_>, kind: &str) {
    let (wcs, (mut x, mut y)) = (wcs(kind), pixels());
    let (mut lon, mut lat) = (vec![0.0; N], vec![0.0; N]);
    wcs.pixels_to_sky(&x, &y, &mut lon, &mut lat).expect("equal lengths");
    bencher.counter(ItemsCount::new(N)).bench_local(|| wcs.sky_to_pixels(black_box(&lon), &lat, &mut x, &mut y));
}

#[divan::bench(args = KINDS)]
fn units_to_pixels(bencher: Bencher<'_, '_>, kind: &str) {
    let (wcs, (mut x, mut y)) = (wcs(kind), pixels());
    let mut units = vec![UnitVector { x: 0.0, y: 0.0, z: 0.0 }; N];
    wcs.pixels_to_units(&x, &y, &mut units).expect("equal lengths");
    bencher.counter(ItemsCount::new(N)).bench_local(|| wcs.units_to_pixels(black_box(&units), &mut x, &mut y));
}

/// A patch of a tract and a detector that covers it.
fn mapping(kind: &str) -> (GridMapping, PixelBox) {
    let patch = PixelBox::new(-1000, -500, 4200, 4200);
    let centre = LonLat::from_degrees(150.1, 2.1);
    let tract = Wcs::tan(centre, [-4000.0, 1500.0], [[-SCALE, 0.0], [0.0, SCALE]]).expect("a matrix");
    (GridMapping::new(&tract, patch, &wcs(kind), DEFAULT_TOLERANCE_PX).expect("a mapping"), patch)
}

#[divan::bench(args = KINDS)]
fn mapping_new(bencher: Bencher<'_, '_>, kind: &str) {
    bencher.counter(ItemsCount::new(4200_u64 * 4200)).bench_local(|| mapping(black_box(kind)));
}

#[divan::bench(args = KINDS)]
fn mapping_rows(bencher: Bencher<'_, '_>, kind: &str) {
    let (mapping, patch) = mapping(kind);
    let (mut xs, mut ys) = (vec![0.0; 4200], vec![0.0; 4200]);
    let mut rows = (patch.y0..patch.y0 + 4200).cycle();
    bencher.counter(ItemsCount::new(4200_u64)).bench_local(|| {
        mapping.row(rows.next().unwrap_or_default(), patch.x0, &mut xs, &mut ys);
        black_box((&xs, &ys));
    });
}

#[divan::bench]
fn mapping_area_rows(bencher: Bencher<'_, '_>) {
    let (mapping, patch) = mapping("TPV");
    let mut ratios = vec![0.0; 4200];
    let mut rows = (patch.y0..patch.y0 + 4200).cycle();
    bencher.counter(ItemsCount::new(4200_u64)).bench_local(|| {
        mapping.area_ratio_row(rows.next().unwrap_or_default(), patch.x0, &mut ratios);
        black_box(&ratios);
    });
}
