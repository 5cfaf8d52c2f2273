//! The grid mapping against the exact way from pixel to sky to pixel.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use bunter::{DEFAULT_TOLERANCE_PX, GridMapping, Header, HeaderValue, LonLat, PixelBox, Wcs, WcsError};
use proptest::prelude::*;

const SCALE: f64 = 0.2 / 3600.0;

fn tan(lon: f64, lat: f64, crpix0: [f64; 2], angle: f64) -> Wcs {
    let (s, c) = angle.to_radians().sin_cos();
    Wcs::tan(LonLat::from_degrees(lon, lat), crpix0, [[-SCALE * c, SCALE * s], [SCALE * s, SCALE * c]]).unwrap()
}

/// A WCS of the projection `code` about the position, with the terms given.
fn wcs(code: &str, lon: f64, lat: f64, angle: f64, terms: &[(&str, HeaderValue)]) -> Wcs {
    let mut header = tan(lon, lat, [1023.5, 2047.5], angle).to_header();
    for (keyword, value) in terms {
        header.set(keyword, value.clone());
    }
    header.set("CTYPE1", format!("RA---{code}"));
    header.set("CTYPE2", format!("DEC--{code}"));
    header.remove("LONPOLE");
    header.remove("LATPOLE");
    Wcs::from_header(&header).unwrap()
}

fn strong_sip(lon: f64, lat: f64, angle: f64) -> Wcs {
    let mut header = Header::default();
    header.set("A_ORDER", 5_i64);
    header.set("B_ORDER", 4_i64);
    for (keyword, pixels, power) in [
        ("A_2_0", 40.0, 2),
        ("A_1_1", -25.0, 2),
        ("A_0_3", 30.0, 3),
        ("A_5_0", 12.0, 5),
        ("B_0_2", -35.0, 2),
        ("B_3_0", 18.0, 3),
        ("B_2_2", 20.0, 4),
    ] {
        header.set(keyword, pixels / 2500.0_f64.powi(power));
    }
    let terms: Vec<_> = header.cards().iter().map(|c| (c.keyword.as_str(), c.value.clone())).collect();
    wcs("TAN-SIP", lon, lat, angle, &terms)
}

fn all_projections(lon: f64, lat: f64, angle: f64) -> Vec<Wcs> {
    vec![
        tan(lon, lat, [1023.5, 2047.5], angle),
        strong_sip(lon, lat, angle),
        wcs(
            "TPV",
            lon,
            lat,
            angle,
            &[
                ("PV1_1", 1.006.into()),
                ("PV1_4", (-0.003).into()),
                ("PV1_7", (-0.02).into()),
                ("PV1_11", 0.03.into()),
                ("PV2_1", 1.005.into()),
                ("PV2_5", 0.002.into()),
                ("PV2_9", (-0.015).into()),
            ],
        ),
        wcs("ZPN", lon, lat, angle, &[("PV2_1", 1.0.into()), ("PV2_3", 44.0.into()), ("PV2_5", (-10_300.0).into())]),
        wcs("STG", lon, lat, angle, &[]),
        wcs("CEA", lon, lat.clamp(-60.0, 60.0), angle, &[("PV2_1", 0.8.into())]),
    ]
}

fn exact(output: &Wcs, input: &Wcs, x: f64, y: f64) -> Option<(f64, f64)> {
    input.unit_to_pixel(output.pixel_to_unit(x, y)?)
}

fn whole(mapping: &GridMapping) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let domain = mapping.domain();
    let n = domain.area() as usize;
    let (mut xs, mut ys, mut areas) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let width = domain.width as usize;
    for (j, y) in (domain.y0..).take(domain.height as usize).enumerate() {
        let row = j * width..(j + 1) * width;
        mapping.row(y, domain.x0, &mut xs[row.clone()], &mut ys[row.clone()]);
        mapping.area_ratio_row(y, domain.x0, &mut areas[row]);
    }
    (xs, ys, areas)
}

/// Area ratio by Richardson's extrapolation of central differences; `None` at the edge of where there are positions.
fn area_ratio(output: &Wcs, input: &Wcs, x: f64, y: f64) -> Option<f64> {
    let slope = |dx: f64, dy: f64| {
        let ((a, b), (c, d)) = (exact(output, input, x - dx, y - dy)?, exact(output, input, x + dx, y + dy)?);
        let h = 2.0 * (dx + dy);
        Some(((c - a) / h, (d - b) / h))
    };
    let fine = |dx: f64, dy: f64| {
        let (one, two) = (slope(dx, dy)?, slope(2.0 * dx, 2.0 * dy)?);
        Some(((4.0 * one.0 - two.0) / 3.0, (4.0 * one.1 - two.1) / 3.0))
    };
    let ((xt, yt), (xu, yu)) = (fine(0.5, 0.0)?, fine(0.0, 0.5)?);
    Some((xt * yu - xu * yt).abs())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    /// Every pair of projections, at random pixels.
    #[test]
    fn errors_stay_below_the_bound(
        lon in 0.0..360.0_f64,
        lat in -89.9..89.9_f64,
        offset in (-0.12..0.12_f64, -0.12..0.12_f64),
        angles in (0.0..360.0_f64, 0.0..360.0_f64),
        tolerance in prop::sample::select(vec![DEFAULT_TOLERANCE_PX, 1e-5, 0.1]),
        picks in prop::collection::vec((0..300_u32, 0..280_u32), 25),
    ) {
        let domain = PixelBox::new(900, 1900, 300, 280);
        let lat2 = (lat + offset.1).clamp(-90.0, 90.0);
        let lon2 = lon + offset.0 / lat.to_radians().cos();
        for output in all_projections(lon, lat, angles.0) {
            for input in all_projections(lon2, lat2, angles.1) {
                let mapping = GridMapping::new(&output, domain, &input, tolerance).unwrap();
                prop_assert!(mapping.max_error_px() <= tolerance);
                let (mut xs, mut ys, mut area) = ([0.0], [0.0], [0.0]);
                for (i, j) in &picks {
                    let (x, y) = (domain.x0 + *i as i32, domain.y0 + *j as i32);
                    mapping.row(y, x, &mut xs, &mut ys);
                    mapping.area_ratio_row(y, x, &mut area);
                    match exact(&output, &input, f64::from(x), f64::from(y)) {
                        Some((ex, ey)) => {
                            let error = (xs[0] - ex).hypot(ys[0] - ey);
                            prop_assert!(error <= mapping.max_error_px().max(1e-9), "{error:.1e} > {:.1e}", mapping.max_error_px());
                            // Far off the detector a strong SIP folds over, and differences mean nothing.
                            let near = (-300.0..2350.0).contains(&ex) && (-300.0..4400.0).contains(&ey);
                            if let Some(truth) = area_ratio(&output, &input, f64::from(x), f64::from(y)).filter(|_| near) {
                                prop_assert!((area[0] / truth - 1.0).abs() < 1e-5, "area {} is not {truth}", area[0]);
                            }
                        }
                        None => prop_assert!(xs[0].is_nan() && ys[0].is_nan() && area[0].is_nan()),
                    }
                }
            }
        }
    }

    /// Strips and tiles of any shape give the bits of the whole, and `input_box` holds them all.
    #[test]
    fn strips_are_the_whole(
        kind in 0..6_usize,
        strip in (-50..350_i32, -20..300_i32, 1..400_usize),
        within in (850..1250_i32, 1880..2200_i32, 1..200_u32, 1..200_u32),
    ) {
        let domain = PixelBox::new(900, 1900, 300, 280);
        let output = tan(150.0, 2.0, [1000.0, 2000.0], 10.0);
        let input = &all_projections(150.02, 2.03, 77.0)[kind];
        let mapping = GridMapping::new(&output, domain, input, DEFAULT_TOLERANCE_PX).unwrap();
        let (xs, ys, areas) = whole(&mapping);
        let at = |x: i32, y: i32| {
            domain.contains(x, y).then(|| (y - domain.y0) as usize * 300 + (x - domain.x0) as usize)
        };
        let (x0, y, n) = (domain.x0 + strip.0, domain.y0 + strip.1, strip.2);
        let (mut sx, mut sy, mut area) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        mapping.row(y, x0, &mut sx, &mut sy);
        mapping.area_ratio_row(y, x0, &mut area);
        for (i, x) in (x0..).take(n).enumerate() {
            let expected = at(x, y).map_or([f64::NAN; 3], |k| [xs[k], ys[k], areas[k]]);
            prop_assert_eq!([sx[i], sy[i], area[i]].map(f64::to_bits), expected.map(f64::to_bits));
        }
        let within = PixelBox::new(within.0, within.1, within.2, within.3);
        let input_box = mapping.input_box(within);
        match within.intersection(domain) {
            None => prop_assert_eq!(input_box, None),
            Some(inside) => {
                let input_box = input_box.unwrap();
                let mut tight = [f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY, f64::NEG_INFINITY];
                for y in (inside.y0..).take(inside.height as usize) {
                    for x in (inside.x0..).take(inside.width as usize) {
                        let k = at(x, y).unwrap();
                        prop_assert!(input_box.contains(xs[k].round() as i32, ys[k].round() as i32));
                        tight = [tight[0].min(xs[k]), tight[1].max(xs[k]), tight[2].min(ys[k]), tight[3].max(ys[k])];
                    }
                }
                prop_assert!(f64::from(input_box.width) <= tight[1] - tight[0] + 3.0, "{} for {:?}", input_box, tight);
                prop_assert!(f64::from(input_box.height) <= tight[3] - tight[2] + 3.0);
            }
        }
    }

    /// No pixel of the output whose position lies in the detector is outside the box of touched pixels.
    #[test]
    fn touched_pixels_are_all_found(
        kind in 0..6_usize,
        offset in (-0.3..0.3_f64, -0.3..0.3_f64),
        angle in 0.0..360.0_f64,
        size in (1..2048_u32, 1..4096_u32),
    ) {
        let output = tan(150.0, 2.0, [1000.0, 2000.0], 0.0);
        let within = PixelBox::new(-1000, 500, 4100, 4100);
        let detector = PixelBox::new(0, 0, size.0, size.1);
        let input = &all_projections(150.0 + offset.0, 2.0 + offset.1, angle)[kind];
        let touched = GridMapping::output_box(input, detector, &output, within);
        if let Some(touched) = touched {
            prop_assert!(within.contains_box(touched));
        }
        for y in (within.y0..).take(4100).step_by(41) {
            for x in (within.x0..).take(4100).step_by(41) {
                if let Some((px, py)) = exact(&output, input, f64::from(x), f64::from(y))
                    && detector.contains(px.round() as i32, py.round() as i32)
                {
                    prop_assert!(touched.is_some_and(|t| t.contains(x, y)), "({x}, {y}) is not in {touched:?}");
                }
            }
        }
    }
}

/// Coarse pixels, so that the edge of the hemisphere runs through the box.
fn coarse() -> (Wcs, Wcs) {
    let scale = 0.25;
    let matrix = [[-scale, 0.0], [0.0, scale]];
    let plane = Wcs::tan(LonLat::from_degrees(95.0, 0.0), [0.0, 0.0], matrix).unwrap();
    let mut header = Wcs::tan(LonLat::from_degrees(0.0, 0.0), [0.0, 0.0], matrix).unwrap().to_header();
    header.set("CTYPE1", "RA---STG");
    header.set("CTYPE2", "DEC--STG");
    (Wcs::from_header(&header).unwrap(), plane)
}

#[test]
fn the_edge_of_the_sky_is_exact() {
    let (output, input) = coarse();
    let domain = PixelBox::new(-300, -150, 600, 300);
    let mapping = GridMapping::new(&output, domain, &input, DEFAULT_TOLERANCE_PX).unwrap();
    let (xs, ys, areas) = whole(&mapping);
    let (mut here, mut nowhere) = (0, 0);
    for j in 0..300_usize {
        for i in 0..600_usize {
            let k = j * 600 + i;
            let (x, y) = (f64::from(domain.x0) + i as f64, f64::from(domain.y0) + j as f64);
            if let Some((x, y)) = exact(&output, &input, x, y) {
                here += 1;
                let error = (xs[k] - x).hypot(ys[k] - y);
                assert!(error <= DEFAULT_TOLERANCE_PX, "({i}, {j}): {error}");
            } else {
                nowhere += 1;
                assert!(xs[k].is_nan() && ys[k].is_nan() && areas[k].is_nan());
            }
        }
    }
    assert!(here > 10_000 && nowhere > 10_000);
    // Everything far on the wrong side: no positions at all, and no box.
    let far = GridMapping::new(&output, PixelBox::new(300, -64, 100, 128), &input, DEFAULT_TOLERANCE_PX).unwrap();
    assert!(whole(&far).0.iter().all(|x| x.is_nan()));
    assert_eq!(far.input_box(far.domain()), None);
    // An image that is partly below the horizon of the output plane may touch any pixel of it.
    let wide = PixelBox::new(-400, -50, 400, 100);
    assert_eq!(GridMapping::output_box(&output, wide, &input, domain), Some(domain));
    let behind = PixelBox::new(300, -50, 100, 100);
    assert_eq!(GridMapping::output_box(&output, behind, &input, domain), None);
}

#[test]
fn bad_boxes_and_tolerances_are_refused() {
    let wcs = tan(10.0, 10.0, [0.0, 0.0], 0.0);
    for tolerance in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let made = GridMapping::new(&wcs, PixelBox::new(0, 0, 10, 10), &wcs, tolerance);
        assert!(matches!(made, Err(WcsError::Tolerance { .. })));
    }
    for pixels in
        [PixelBox::new(0, 0, 0, 10), PixelBox::new(0, 0, u32::MAX, u32::MAX), PixelBox::new(i32::MAX, 0, 2, 2)]
    {
        assert!(matches!(GridMapping::new(&wcs, pixels, &wcs, 0.1), Err(WcsError::OutputBox { .. })));
    }
    let edge = PixelBox::new(i32::MAX - 9, i32::MIN, 10, 10);
    let mapping = GridMapping::new(&wcs, edge, &wcs, 0.1).unwrap();
    let (mut xs, mut ys) = ([0.0; 20], [0.0; 20]);
    mapping.row(i32::MIN, i32::MAX - 9, &mut xs, &mut ys);
    assert!(xs[10..].iter().all(|x| x.is_nan()));
}
