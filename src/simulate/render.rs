//! The pixels of one exposure.

use std::f64::consts::{PI, SQRT_2};

use ndarray::{Array2, s};

use super::SimulateOptions;
use super::random::Stream;
use super::sky::Visit;
use crate::dataset::MaskPlanes;

/// Counts at which the detectors saturate.
const SATURATION: f32 = 60_000.0;
/// Width of the EDGE frame, pixels.
const EDGE: usize = 4;

/// `[y, x]`.
pub(super) struct Planes {
    pub(super) image: Array2<f32>,
    pub(super) mask: Array2<i32>,
    pub(super) variance: Array2<f32>,
}

/// A star on the pixels of a detector.
pub(super) struct Spot {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) flux: f64,
}

pub(super) fn render(o: &SimulateOptions, visit: &Visit, v: u32, detector: u32, spots: &[Spot]) -> Planes {
    let planes = MaskPlanes::default();
    let bits = |names: &[&str]| planes.bits(names);
    let (ny, nx) = (o.ny as usize, o.nx as usize);
    let mut g = Stream::new([o.seed, 2, u64::from(v), u64::from(detector)]);
    let mut image = Array2::<f32>::zeros((ny, nx));
    let sigma = visit.seeing / 2.3548 / o.scale;
    for spot in spots {
        add_star(&mut image, spot, sigma);
    }
    let (sky_variance, detection) = (visit.sky_sigma * visit.sky_sigma, 3.0 * visit.sky_sigma);
    let mut variance = Array2::<f32>::zeros((ny, nx));
    let mut mask = Array2::<i32>::zeros((ny, nx));
    let (detected, saturated) = (bits(&["DETECTED"]), bits(&["SAT"]));
    for ((pixel, variance), mask) in image.iter_mut().zip(&mut variance).zip(&mut mask) {
        let counts = f64::from(*pixel);
        *variance = (sky_variance + counts / visit.gain) as f32;
        let noise = f64::from(*variance).sqrt() * g.normal();
        *mask = if counts > detection { detected } else { 0 };
        if *pixel > SATURATION {
            *mask |= saturated;
            *pixel = SATURATION;
        } else {
            *pixel = (counts + noise) as f32;
        }
    }
    for _ in 0..(nx / 500).max(1) {
        let (column, height) = (g.below(0, nx), g.below(ny / 4, ny));
        let junk = if g.unit() < 0.5 { -5000.0 } else { 5000.0 };
        image.slice_mut(s![..height, column]).fill(junk);
        mask.slice_mut(s![..height, column]).mapv_inplace(|m| m | bits(&["BAD", "INTRP"]));
    }
    for i in 0..(nx * ny / 30_000).max(3) + o.unflagged_cr as usize {
        let flag = if i < (nx * ny / 30_000).max(3) { bits(&["CR"]) } else { 0 };
        cosmic_ray(&mut image, &mut mask, &mut g, flag);
    }
    if o.trail && v.is_multiple_of(5) {
        trail(&mut image, &mut g, 20.0 * visit.sky_sigma);
    }
    let edge = bits(&["EDGE"]);
    for part in [s![..EDGE, ..], s![ny - EDGE.., ..], s![.., ..EDGE], s![.., nx - EDGE..]] {
        mask.slice_mut(part).mapv_inplace(|m| m | edge);
    }
    let dead = (nx / 64).max(4).min(ny);
    image.slice_mut(s![..dead, ..dead]).fill(f32::NAN);
    variance.slice_mut(s![..dead, ..dead]).fill(f32::NAN);
    mask.slice_mut(s![..dead, ..dead]).mapv_inplace(|m| m | bits(&["NO_DATA"]));
    Planes { image, mask, variance }
}

/// Adds a Gaussian integrated over each pixel, out to six sigma.
fn add_star(image: &mut Array2<f32>, star: &Spot, sigma: f64) {
    let (ny, nx) = image.dim();
    let reach = (6.0 * sigma).ceil() + 1.0;
    let range = |centre: f64, n: usize| {
        let first = (centre.round() - reach).clamp(0.0, n as f64) as usize;
        let end = (centre.round() + reach + 1.0).clamp(0.0, n as f64) as usize;
        first..end
    };
    let fractions = |centre: f64, pixels: std::ops::Range<usize>| -> Vec<f64> {
        let k = 1.0 / (SQRT_2 * sigma);
        let edge = |i: usize| libm::erf((i as f64 - 0.5 - centre) * k);
        pixels.map(|i| 0.5 * (edge(i + 1) - edge(i))).collect()
    };
    let (xs, ys) = (range(star.x, nx), range(star.y, ny));
    let (fx, fy) = (fractions(star.x, xs.clone()), fractions(star.y, ys.clone()));
    for (mut row, fy) in image.slice_mut(s![ys, xs]).rows_mut().into_iter().zip(fy) {
        for (pixel, fx) in row.iter_mut().zip(&fx) {
            *pixel += (star.flux * fy * fx) as f32;
        }
    }
}

fn cosmic_ray(image: &mut Array2<f32>, mask: &mut Array2<i32>, g: &mut Stream, flag: i32) {
    let (ny, nx) = image.dim();
    let length = g.below(1, 25);
    let (sin, cos) = libm::sincos(g.uniform(0.0, PI));
    let (x, y) = (g.uniform(0.0, nx as f64), g.uniform(0.0, ny as f64));
    let counts = g.uniform(500.0, 20_000.0) as f32;
    let mut last = None;
    for t in 0..length {
        let (x, y) = ((x + t as f64 * cos).floor(), (y + t as f64 * sin).floor());
        if x < 0.0 || y < 0.0 || last == Some((x, y)) {
            continue;
        }
        last = Some((x, y));
        let at = [y as usize, x as usize];
        if let (Some(pixel), Some(mask)) = (image.get_mut(at), mask.get_mut(at)) {
            *pixel += counts;
            *mask |= flag;
        }
    }
}

fn trail(image: &mut Array2<f32>, g: &mut Stream, peak: f64) {
    let (ny, nx) = image.dim();
    let (sin, cos) = libm::sincos(g.uniform(0.2, 1.2));
    for ((y, x), pixel) in image.indexed_iter_mut() {
        let distance = (x as f64 - nx as f64 / 2.0) * sin - (y as f64 - ny as f64 / 2.0) * cos;
        // Beyond six sigma nothing is left.
        if distance.abs() < 12.0 {
            *pixel += (peak * libm::exp(-distance * distance / 8.0)) as f32;
        }
    }
}
