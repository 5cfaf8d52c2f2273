//! Where detectors are: the published layouts, sky corners of the reference implementation, and the ways between pixels and sky.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type};
use bunter::camera::{CameraError, Cameras, FocalPlane, Instrument, Pointing, Pointings};
use bunter::datastore::FitsFile;
use bunter::{ConvexPolygon, LonLat, UnitVector, Wcs};

const ARCSEC: f64 = std::f64::consts::PI / 648_000.0;

/// Rows of a golden table, each a map from column to text.
fn golden(name: &str) -> Vec<HashMap<String, String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cameras").join(name);
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines.map(|l| header.iter().map(|h| (*h).to_owned()).zip(l.split(',').map(str::to_owned)).collect()).collect()
}

fn number(row: &HashMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column}: {}", row[column]))
}

fn instrument(name: &str) -> Instrument {
    Cameras::built_in().unwrap().instrument(name).unwrap().clone()
}

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn pointing(&mut self) -> (f64, f64, f64) {
        (360.0 * self.next(), (2.0 * self.next() - 1.0).asin().to_degrees(), 720.0 * self.next() - 360.0)
    }
}

#[test]
fn layouts_are_the_published_ones() {
    let mut detectors = 0;
    for camera in ["LSSTCam", "LSSTComCam", "HSC", "DECam"] {
        let instrument = instrument(camera);
        let plane = instrument.focal_plane().unwrap();
        let rows = golden(&format!("{camera}.csv.gz"));
        assert_eq!((plane.len(), instrument.detectors.len()), (rows.len(), rows.len()), "{camera}");
        assert!(instrument.warnings().is_empty(), "{:?}", instrument.warnings());
        for row in &rows {
            let id = row["detector"].parse().unwrap();
            let detector = instrument.detector(id).unwrap();
            let text = |t: &Option<String>| t.clone().unwrap_or_default();
            assert_eq!(detector.name, row["name"]);
            assert_eq!([&text(&detector.raft), &text(&detector.slot)], [&row["raft"], &row["slot"]]);
            assert_eq!((&detector.purpose, &text(&detector.physical_type)), (&row["type"], &row["physical_type"]));
            let size = (row["nx"].parse().unwrap(), row["ny"].parse().unwrap());
            assert_eq!((detector.size, plane.size(id).unwrap()), (Some(size), size));
            for (k, (x, y)) in plane.corners_mm(id).unwrap().into_iter().enumerate() {
                let (dx, dy) = (x - number(row, &format!("c{k}x_mm")), y - number(row, &format!("c{k}y_mm")));
                assert!(dx.abs() <= 5.1e-7 && dy.abs() <= 5.1e-7, "{camera} {id} corner {k}: {dx} {dy}");
            }
            let (at, offset) = (number(row, "refpix_x"), number(row, "offset_x_mm"));
            let (x, y) = plane.pixels_to_focal_plane(id, &[at], &[number(row, "refpix_y")]).unwrap();
            assert_eq!((x[0], y[0]), (offset, number(row, "offset_y_mm")));
            detectors += 1;
        }
    }
    assert_eq!(detectors, 388);
}

#[test]
fn sky_corners_are_those_of_the_reference_implementation() {
    let cameras = Cameras::built_in().unwrap();
    let rows = golden("sky_corners.csv.gz");
    assert_eq!(rows.len(), 1940);
    let (mut worst, mut worst_pixel) = (0.0_f64, 0.0_f64);
    for row in &rows {
        let plane = cameras.instrument(&row["camera"]).unwrap().focal_plane().unwrap();
        let pointing = Pointing::from_degrees(
            number(row, "boresight_ra"),
            number(row, "boresight_dec"),
            number(row, "rot_sky_deg"),
        )
        .unwrap();
        let id = row["detector"].parse().unwrap();
        let corners: Vec<UnitVector> = row["corners"]
            .split(';')
            .map(|c| {
                let (ra, dec) = c.split_once(' ').unwrap();
                LonLat::from_degrees(ra.parse().unwrap(), dec.parse().unwrap()).to_unit()
            })
            .collect();
        // The polygon has the same corners, counter-clockwise: the other way round for all but the flipped camera.
        let footprint = plane.footprint(id, &pointing).unwrap();
        let order = if row["camera"] == "DECam" { [0, 1, 2, 3] } else { [0, 3, 2, 1] };
        for (vertex, k) in footprint.vertices().iter().zip(order) {
            worst = worst.max(vertex.separation(corners[k]) / ARCSEC);
        }
        // And so say the columns from pixels to sky, which round nothing.
        let (nx, ny) = plane.size(id).unwrap();
        let (x, y) = (f64::from(nx) - 0.5, f64::from(ny) - 0.5);
        let (lon, lat) = plane.pixels_to_sky(id, &pointing, &[-0.5, x, x, -0.5], &[-0.5, -0.5, y, y]).unwrap();
        for (k, corner) in corners.iter().enumerate() {
            worst_pixel = worst_pixel.max(LonLat::new(lon[k], lat[k]).to_unit().separation(*corner) / ARCSEC);
        }
    }
    eprintln!("worst corner: {worst:e} arcsec, by way of pixels {worst_pixel:e} arcsec");
    assert!(worst < 2e-9, "{worst:e} arcsec");
    // The table was made from corners rounded to the nanometre.
    assert!(worst_pixel < 2e-5, "{worst_pixel:e} arcsec");
}

#[test]
fn bulk_footprints_are_single_footprints() {
    let mut numbers = Numbers(7);
    for camera in ["LSSTCam", "LSSTComCam", "HSC", "DECam", "VIRCAM"] {
        let instrument = instrument(camera);
        let plane = instrument.focal_plane().unwrap();
        let mut rows: Vec<_> = (0..200).map(|_| numbers.pointing()).collect();
        rows.extend([(0.0, 90.0, 0.0), (10.0, -90.0, 30.0), (359.999_99, 0.0, 90.0), (-720.0, 89.999, 1e6)]);
        let column = |pick: fn(&(f64, f64, f64)) -> f64| rows.iter().map(pick).collect::<Vec<_>>();
        let pointings = Pointings::from_degrees(&column(|r| r.0), &column(|r| r.1), &column(|r| r.2)).unwrap();
        // Any choice, in any order.
        let mut ids: Vec<i64> = plane.ids().collect();
        ids.reverse();
        ids.truncate(17);
        let buffer = plane.footprints(&pointings, &ids).unwrap();
        let polygons = buffer.columns().unwrap();
        assert_eq!(polygons.len(), rows.len() * ids.len());
        for (p, row) in rows.iter().enumerate() {
            let pointing = Pointing::from_degrees(row.0, row.1, row.2).unwrap();
            let hull = plane.hull(&pointing).unwrap();
            let circle = plane.bounding_circle(&pointing).unwrap();
            for (d, id) in ids.iter().enumerate() {
                let polygon = polygons.polygon(p * ids.len() + d);
                assert_eq!(polygon, plane.footprint(*id, &pointing).unwrap(), "{camera} {id} at {row:?}");
                assert!(hull.relate(&polygon).contains(), "{camera} {id} at {row:?}");
                assert!(polygon.vertices().iter().all(|v| circle.contains(*v)));
            }
        }
        let hulls = plane.hulls(&pointings).unwrap();
        assert_eq!(hulls.columns().unwrap().len(), rows.len());
        assert!(plane.footprints(&Pointings::default(), &ids).unwrap().is_empty());
        assert!(plane.footprints(&pointings, &[]).unwrap().is_empty());
    }
}

#[test]
fn footprints_do_not_depend_on_the_number_of_threads() {
    let instrument = instrument("DECam");
    let plane = instrument.focal_plane().unwrap();
    let mut numbers = Numbers(3);
    let rows: Vec<_> = (0..1000).map(|_| numbers.pointing()).collect();
    let column = |pick: fn(&(f64, f64, f64)) -> f64| rows.iter().map(pick).collect::<Vec<_>>();
    let pointings = Pointings::from_degrees(&column(|r| r.0), &column(|r| r.1), &column(|r| r.2)).unwrap();
    let ids: Vec<i64> = plane.ids().collect();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| plane.footprints(&pointings, &ids).unwrap().into_parts())
    };
    assert_eq!(with(1), with(3));
}

/// Points all over a detector, corners included.
fn over(plane: &FocalPlane, id: i64, numbers: &mut Numbers) -> (Vec<f64>, Vec<f64>) {
    let (nx, ny) = plane.size(id).unwrap();
    let (nx, ny) = (f64::from(nx), f64::from(ny));
    let mut points = vec![(-0.5, -0.5), (nx - 0.5, -0.5), (nx - 0.5, ny - 0.5), (-0.5, ny - 0.5)];
    points.extend((0..20).map(|_| (nx * numbers.next() - 0.5, ny * numbers.next() - 0.5)));
    points.into_iter().unzip()
}

#[test]
fn pixels_to_sky_and_back() {
    let mut numbers = Numbers(11);
    for camera in ["LSSTCam", "LSSTComCam", "HSC", "DECam", "VIRCAM"] {
        let instrument = instrument(camera);
        let plane = instrument.focal_plane().unwrap();
        let (mut worst, mut count) = (0.0_f64, 0);
        for id in plane.ids() {
            let (ra, dec, rotation) = numbers.pointing();
            let pointing = Pointing::from_degrees(ra, dec, rotation).unwrap();
            let (x, y) = over(plane, id, &mut numbers);
            let (lon, lat) = plane.pixels_to_sky(id, &pointing, &x, &y).unwrap();
            let (bx, by) = plane.sky_to_pixels(id, &pointing, &lon, &lat).unwrap();
            let found = plane.find_detectors(&pointing, &lon, &lat).unwrap();
            let (detectors, fx, fy) = (
                found["detector"].as_primitive::<Int64Type>(),
                found["x"].as_primitive::<Float64Type>(),
                found["y"].as_primitive::<Float64Type>(),
            );
            for i in 0..x.len() {
                worst = worst.max((bx[i] - x[i]).abs()).max((by[i] - y[i]).abs());
                assert_eq!(detectors.value(i), id, "{camera} {id} pixel {} {}", x[i], y[i]);
                assert_eq!((fx.value(i), fy.value(i)), (bx[i], by[i]));
                count += 1;
            }
            // The steps one by one.
            let (mx, my) = plane.pixels_to_focal_plane(id, &x, &y).unwrap();
            let (ax, ay) = plane.focal_plane_to_field(&mx, &my).unwrap();
            let (nx, ny) = plane.field_to_focal_plane(&ax, &ay).unwrap();
            let (px, py) = plane.focal_plane_to_pixels(id, &nx, &ny).unwrap();
            for i in 0..x.len() {
                assert!((px[i] - x[i]).abs() < 1e-7 && (py[i] - y[i]).abs() < 1e-7, "{camera} {id}");
            }
        }
        eprintln!("{camera}: {worst:e} pixel over {count} points");
        assert!(worst < 1e-6, "{camera}: {worst:e} pixel");
    }
}

#[test]
fn finding_detectors_is_asking_each() {
    let mut numbers = Numbers(5);
    for camera in ["LSSTCam", "DECam", "HSC", "VIRCAM"] {
        let instrument = instrument(camera);
        let plane = instrument.focal_plane().unwrap();
        let (ra, dec, rotation) = numbers.pointing();
        let pointing = Pointing::from_degrees(ra, dec, rotation).unwrap();
        let centre = pointing.boresight();
        let radius = 1.3 * plane.radius();
        let (lon, lat): (Vec<f64>, Vec<f64>) = (0..3000)
            .map(|_| {
                let lat = (centre.lat + radius * (2.0 * numbers.next() - 1.0)).clamp(-1.57, 1.57);
                (centre.lon + radius * (2.0 * numbers.next() - 1.0) / lat.cos(), lat)
            })
            .unzip();
        let found = plane.find_detectors(&pointing, &lon, &lat).unwrap();
        let found = found["detector"].as_primitive::<Int64Type>();
        let (mut slow, mut hits) = (vec![None; lon.len()], 0);
        let ids: Vec<i64> = plane.ids().collect();
        let footprints: Vec<ConvexPolygon> = ids.iter().map(|id| plane.footprint(*id, &pointing).unwrap()).collect();
        for (id, footprint) in ids.iter().zip(&footprints).rev() {
            let (x, y) = plane.sky_to_pixels(*id, &pointing, &lon, &lat).unwrap();
            let (nx, ny) = plane.size(*id).unwrap();
            for i in 0..lon.len() {
                let (right, top) = (f64::from(nx) - 0.5, f64::from(ny) - 0.5);
                let inside = |by: f64| x[i] >= -0.5 - by && y[i] >= -0.5 - by && x[i] <= right + by && y[i] <= top + by;
                if inside(0.0) {
                    slow[i] = Some(*id);
                    hits += 1;
                }
                // The footprint is that area, but for the bend of the border.
                let held = footprint.contains(LonLat::new(lon[i], lat[i]).to_unit());
                assert!(if held { inside(3.0) } else { !inside(-3.0) }, "{camera} {id} {} {}", x[i], y[i]);
            }
        }
        assert!(hits > 300, "{hits}");
        for (i, expected) in slow.iter().enumerate() {
            assert_eq!(found.is_valid(i).then(|| found.value(i)), *expected);
        }
    }
}

#[test]
fn what_cannot_be_seen_is_said() {
    let instrument = instrument("LSSTCam");
    let plane = instrument.focal_plane().unwrap();
    let pointing = Pointing::from_degrees(10.0, 20.0, 0.0).unwrap();
    let text = |e: CameraError| e.to_string();
    assert!(text(plane.footprint(205, &pointing).unwrap_err()).contains("no detector 205"));
    assert!(text(plane.footprint(-1, &pointing).unwrap_err()).contains("205 detectors from 0 (R01_S00) to 204"));
    let error = text(plane.pixels_to_sky(94, &pointing, &[0.0, 1e6], &[0.0, 0.0]).unwrap_err());
    assert!(error.contains("row 1") && error.contains("outside of the field of LSSTCam"), "{error}");
    let error = text(plane.pixels_to_sky(94, &pointing, &[0.0], &[f64::NAN]).unwrap_err());
    assert!(error.contains("row 0") && error.contains("NaN"), "{error}");
    let error = text(plane.sky_to_pixels(94, &pointing, &[0.0], &[1.6]).unwrap_err());
    assert!(error.contains("declination"), "{error}");
    assert!(plane.sky_to_pixels(94, &pointing, &[0.0, 1.0], &[1.5]).is_err());
    // The other side of the sky is in nobody's pixels.
    let (x, y) = plane.sky_to_pixels(94, &pointing, &[190.0_f64.to_radians()], &[-0.349]).unwrap();
    assert!(x[0].is_nan() && y[0].is_nan());
    let found = plane.find_detectors(&pointing, &[3.0, f64::INFINITY], &[0.0, 0.0]).unwrap_err();
    assert!(text(found).contains("row 1"));
    let error = text(Cameras::built_in().unwrap().instrument("SimCam").unwrap().focal_plane().unwrap_err());
    assert!(error.contains("[focal_plane]"), "{error}");
}

#[test]
fn a_tangent_plane_is_a_first_guess() {
    let pointing = Pointing::from_degrees(83.0, -61.0, 123.0).unwrap();
    for (camera, id, pixels) in [("LSSTCam", 94, 0.5), ("LSSTCam", 0, 3.0), ("DECam", 28, 1.0), ("DECam", 1, 15.0)] {
        let instrument = instrument(camera);
        let plane = instrument.focal_plane().unwrap();
        let wcs = plane.tan_wcs(id, &pointing).unwrap();
        let (nx, ny) = plane.size(id).unwrap();
        let (x, y) = ([0.0, f64::from(nx) / 2.0, f64::from(nx)], [0.0, f64::from(ny) / 2.0, f64::from(ny)]);
        let (lon, lat) = plane.pixels_to_sky(id, &pointing, &x, &y).unwrap();
        for i in 0..3 {
            let (px, py) = wcs.sky_to_pixel(LonLat::new(lon[i], lat[i])).unwrap();
            let off = (px - x[i]).hypot(py - y[i]);
            let allowed = if i == 1 { 1e-3 } else { pixels };
            assert!(off < allowed, "{camera} {id}: {off}");
        }
    }
}

/// `VIRCAM`'s detector 13 against the WCSs of real images. A telescope's pointing is not as good as a star catalogue, so that the
/// boresight and rotation are fitted: what is left is the model's scale, distortion and shape within the detector.
#[test]
fn vircam_is_near_its_images() {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/images");
    let folder = std::env::var_os("BUNTER_IMAGES").map_or_else(default, std::path::PathBuf::from);
    if !folder.is_dir() {
        eprintln!("skipped: no images at {} (set BUNTER_IMAGES)", folder.display());
        return;
    }
    let instrument = instrument("VIRCAM");
    let plane = instrument.focal_plane().unwrap();
    let grid: Vec<f64> = (0..5).map(|i| 511.75 * f64::from(i)).collect();
    let (x, y): (Vec<f64>, Vec<f64>) = grid.iter().flat_map(|y| grid.iter().map(move |x| (*x, *y))).unzip();
    for i in 1..=8 {
        let file = FitsFile::open(&folder.join(format!("vircam_h/image_{i}.fits"))).unwrap();
        let header = file.header(1).unwrap();
        let wcs = Wcs::from_header(&header).unwrap();
        // The images are cut out of the detector.
        let (cut_x, cut_y) = (header.f64("XCUTLO").unwrap() - 1.0, header.f64("YCUTLO").unwrap() - 1.0);
        let sky: Vec<LonLat> = x.iter().zip(&y).map(|(x, y)| wcs.pixel_to_sky(x - cut_x, y - cut_y).unwrap()).collect();
        let (lon, lat): (Vec<f64>, Vec<f64>) = sky.iter().map(|p| (p.lon, p.lat)).unzip();
        // Differences in pixels for a boresight and rotation.
        let off = |p: [f64; 3]| {
            let pointing = Pointing::from_degrees(p[0], p[1], p[2]).unwrap();
            let (px, py) = plane.sky_to_pixels(13, &pointing, &lon, &lat).unwrap();
            let both = px.iter().zip(&x).chain(py.iter().zip(&y));
            both.map(|(found, wanted)| found - wanted).collect::<Vec<f64>>()
        };
        let start = wcs.reference_sky();
        let mut p = [start.lon_deg(), start.lat_deg(), 0.0];
        let raw = off(p);
        for _ in 0..6 {
            p = gauss_newton(p, &off);
        }
        let fitted = off(p);
        let n = x.len();
        let length = |all: &[f64]| (0..n).map(|k| all[k].hypot(all[n + k])).fold(0.0, f64::max);
        let rms = (fitted.iter().map(|v| v * v).sum::<f64>() / n as f64).sqrt();
        eprintln!(
            "image {i}: rms {rms:.2}, worst {:.2} pixel; with CRVAL as the boresight {:.0} pixel",
            length(&fitted),
            length(&raw)
        );
        assert!(rms < 0.8 && length(&fitted) < 1.5, "image {i}: {rms} {}", length(&fitted));
        assert!(length(&raw) < 150.0, "image {i}: {}", length(&raw));
        assert!(p[2].abs() < 0.3, "image {i} is turned by {}", p[2]);
    }
}

/// One step of least squares in three parameters.
fn gauss_newton(p: [f64; 3], off: &impl Fn([f64; 3]) -> Vec<f64>) -> [f64; 3] {
    let here = off(p);
    let slopes: Vec<Vec<f64>> = (0..3)
        .map(|k| {
            let mut q = p;
            q[k] += 1e-5;
            off(q).iter().zip(&here).map(|(b, a)| (b - a) / 1e-5).collect()
        })
        .collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut m: Vec<[f64; 4]> = (0..3)
        .map(|i| {
            let [a, b, c] = [0, 1, 2].map(|j: usize| dot(&slopes[i], &slopes[j]));
            [a, b, c, -dot(&slopes[i], &here)]
        })
        .collect();
    for i in 0..3 {
        let pivot = (i..3).max_by(|a, b| m[*a][i].abs().total_cmp(&m[*b][i].abs())).unwrap();
        m.swap(i, pivot);
        for j in 0..3 {
            if j != i {
                let factor = m[j][i] / m[i][i];
                let row = m[i];
                m[j].iter_mut().zip(row).for_each(|(v, r)| *v -= factor * r);
            }
        }
    }
    [0, 1, 2].map(|i: usize| p[i] + m[i][3] / m[i][i])
}
