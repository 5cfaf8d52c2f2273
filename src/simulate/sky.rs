//! Stars, visits, and the WCS of a detector.

use std::f64::consts::TAU;

use super::random::Stream;
use super::{SimulateOptions, SimulatedWcs};
use crate::sphere::LonLat;
use crate::wcs::Header;

/// The true stars.
pub(super) struct Stars {
    pub(super) sky: Vec<LonLat>,
    /// By band, then star.
    pub(super) magnitudes: Vec<Vec<f64>>,
    /// No other star within 6 arcsec.
    pub(super) isolated: Vec<bool>,
}

pub(super) fn flux(magnitude: f64, zero_point: f64) -> f64 {
    libm::pow(10.0, -0.4 * (magnitude - zero_point))
}

pub(super) fn stars(o: &SimulateOptions) -> Stars {
    let mut g = Stream::new([o.seed, 0, 0, 0]);
    let half = 0.75 * f64::from(o.patch_pixels()) * o.patch_arcsec() / 3600.0;
    let cos_dec = libm::cos(o.dec.to_radians());
    let n = o.star_count();
    let mut sky = Vec::with_capacity(n);
    let mut magnitudes = vec![Vec::with_capacity(n); o.bands.len()];
    let mut plane = Vec::with_capacity(n);
    for _ in 0..n {
        let (u, v) = (g.uniform(-half, half), g.uniform(-half, half));
        sky.push(LonLat::from_degrees(o.ra + u / cos_dec, o.dec + v));
        plane.push((u * 3600.0, v * 3600.0));
        // 16.5 to 25, with rising counts; the brightest saturate.
        let m = 16.5 + 8.5 * g.unit().sqrt();
        let color = 0.4 + 0.3 * g.normal();
        for (i, band) in magnitudes.iter_mut().enumerate() {
            band.push(m + color * (0.5 - i as f64));
        }
    }
    Stars { sky, magnitudes, isolated: isolated(&plane, 6.0) }
}

/// Which points have no other within `radius`: a sweep over the points in order of y.
fn isolated(points: &[(f64, f64)], radius: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| points[a].1.total_cmp(&points[b].1));
    let mut alone = vec![true; points.len()];
    for (k, &i) in order.iter().enumerate() {
        for &j in &order[k + 1..] {
            let (dx, dy) = (points[j].0 - points[i].0, points[j].1 - points[i].1);
            if dy > radius {
                break;
            }
            if dx * dx + dy * dy <= radius * radius {
                alone[i] = false;
                alone[j] = false;
            }
        }
    }
    alone
}

/// How one visit was taken.
pub(super) struct Visit {
    pub(super) id: u64,
    pub(super) band: usize,
    pub(super) ra: f64,
    pub(super) dec: f64,
    pub(super) rot: f64,
    pub(super) mjd: f64,
    pub(super) exposure_time: f64,
    pub(super) zero_point: f64,
    pub(super) seeing: f64,
    pub(super) sky_sigma: f64,
    pub(super) gain: f64,
}

pub(super) fn visit(o: &SimulateOptions, v: u32) -> Visit {
    let mut g = Stream::new([o.seed, 1, u64::from(v), 0]);
    let radius = o.dither * f64::from(o.nx.min(o.ny)) * o.scale / 3600.0;
    let (sin, cos) = libm::sincos(g.uniform(0.0, TAU));
    let r = radius * g.unit().sqrt();
    Visit {
        id: 900_000 + u64::from(v),
        band: v as usize % o.bands.len(),
        ra: o.ra + r * cos / libm::cos(o.dec.to_radians()),
        dec: o.dec + r * sin,
        rot: g.uniform(-o.rot, o.rot),
        mjd: 60_800.0 + 0.7 * f64::from(v) + g.uniform(0.0, 0.1),
        exposure_time: 30.0,
        zero_point: 31.4 + 0.15 * g.normal(),
        seeing: (0.75 + 0.12 * g.normal()).clamp(0.5, 1.3),
        sky_sigma: (30.0 + 5.0 * g.normal()).clamp(18.0, 50.0),
        gain: 1.6,
    }
}

/// TAN with distortion about the boresight, on which the detectors lie in a grid. `kind` overrides the options' WCS.
pub(super) fn wcs_header(o: &SimulateOptions, visit: &Visit, detector: u32, kind: SimulatedWcs) -> Header {
    let (nx, ny) = (f64::from(o.nx), f64::from(o.ny));
    let columns = ((f64::from(o.ccds) * ny / nx).sqrt().ceil() as u32).clamp(1, o.ccds);
    let rows = o.ccds.div_ceil(columns);
    let gap = 20.0;
    let from_middle = |i: u32, n: u32| f64::from(i) - (f64::from(n) - 1.0) / 2.0;
    let x = from_middle(detector % columns, columns) * (nx + gap);
    let y = from_middle(detector / columns, rows) * (ny + gap);
    let s = o.scale / 3600.0;
    let (sin, cos) = libm::sincos(visit.rot.to_radians());
    // Cubic, like that of a lens, and a little quadratic.
    let (k3, k2) = (o.sip * 1.2e-10, o.sip * 4e-8);
    let mut h = Header::default();
    let ctype = match kind {
        SimulatedWcs::Sip => ["RA---TAN-SIP", "DEC--TAN-SIP"],
        SimulatedWcs::Tpv => ["RA---TPV", "DEC--TPV"],
        SimulatedWcs::Tan => ["RA---TAN", "DEC--TAN"],
    };
    h.set("WCSAXES", 2_i64);
    h.set("CTYPE1", ctype[0]);
    h.set("CTYPE2", ctype[1]);
    for (keyword, value) in [
        ("CRVAL1", visit.ra.rem_euclid(360.0)),
        ("CRVAL2", visit.dec),
        ("CRPIX1", 0.5 * (nx + 1.0) - x),
        ("CRPIX2", 0.5 * (ny + 1.0) - y),
        ("CD1_1", -s * cos),
        ("CD1_2", s * sin),
        ("CD2_1", s * sin),
        ("CD2_2", s * cos),
    ] {
        h.set(keyword, value);
    }
    h.set("CUNIT1", "deg");
    h.set("CUNIT2", "deg");
    h.set("RADESYS", "ICRS");
    match kind {
        SimulatedWcs::Tan => {}
        SimulatedWcs::Sip => {
            h.set("A_ORDER", 3_i64);
            h.set("B_ORDER", 3_i64);
            for (keyword, value) in [
                ("A_3_0", k3),
                ("A_1_2", k3),
                ("A_2_0", k2),
                ("A_1_1", -0.5 * k2),
                ("B_0_3", k3),
                ("B_2_1", k3),
                ("B_0_2", -k2),
                ("B_1_1", 0.5 * k2),
            ] {
                h.set(keyword, value);
            }
        }
        SimulatedWcs::Tpv => {
            // TPV works in degrees.
            let q3 = k3 / (s * s);
            for (term, value) in [("0", 0.0), ("1", 1.0), ("7", q3), ("9", q3)] {
                h.set(&format!("PV1_{term}"), value);
                h.set(&format!("PV2_{term}"), value);
            }
        }
    }
    h
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isolation_against_all_pairs() {
        let mut g = Stream::new([7; 4]);
        let points: Vec<_> = (0..400).map(|_| (g.uniform(0.0, 200.0), g.uniform(0.0, 200.0))).collect();
        let slow: Vec<bool> = (0..points.len())
            .map(|i| {
                (0..points.len()).all(|j| {
                    let (dx, dy) = (points[i].0 - points[j].0, points[i].1 - points[j].1);
                    i == j || dx * dx + dy * dy > 36.0
                })
            })
            .collect();
        assert_eq!(isolated(&points, 6.0), slow);
        assert!(slow.contains(&true) && slow.contains(&false));
    }
}
