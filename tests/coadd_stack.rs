//! Stacks against naive sums, mask planes of a coadd, and errors against the scatter of simulated noise.

use bunter::coadd::{
    CoaddError, CoaddPlanes, InputPixels, Kernel, PixelMapping, Stack, StackedStrip, Statistic, Strip, WarpInput,
    WarpScratch, aperture_flux,
};
use bunter::{MaskPlanes, PixelBox};
use ndarray::Array2;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

struct Random(ChaCha8Rng);

impl Random {
    fn uniform(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / 4_294_967_296.0
    }
    fn gauss(&mut self) -> f64 {
        let (u, v) = (self.uniform(), self.uniform());
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

const BOX: PixelBox = PixelBox::new(5, -3, 17, 11);

/// Random warps: holes of every cause, harmless bits.
fn random_strips(rng: &mut Random, names: &MaskPlanes, n: usize) -> Vec<Strip> {
    let one = |_| {
        let mut strip = Strip::new(BOX);
        let (mut image, mut variance, mut mask) = strip.arrays_mut();
        for ((i, v), m) in image.iter_mut().zip(&mut variance).zip(&mut mask) {
            *v = (1.0 + 3.0 * rng.uniform()) as f32;
            *i = (100.0 + f64::from(*v).sqrt() * rng.gauss()) as f32;
            *m = if rng.uniform() < 0.1 { names.bits(&["DETECTED"]) } else { 0 };
            let cause: &[&str] = match (rng.uniform() * 20.0) as u32 {
                0 => &["NO_DATA"],
                1 => &["NO_DATA", "SAT"],
                2 => &["NO_DATA", "BAD"],
                3 => &["NO_DATA", "EDGE"],
                4 => &["EDGE"],
                _ => &[],
            };
            *m |= names.bits(cause);
            if cause.contains(&"NO_DATA") {
                (*i, *v) = (f32::NAN, f32::NAN);
            }
        }
        strip
    };
    (0..n).map(one).collect()
}

#[test]
fn weighted_mean_is_the_naive_one_streamed_or_not() {
    let mut rng = Random(ChaCha8Rng::seed_from_u64(1));
    let planes = CoaddPlanes::default();
    let bit = |name: &str| planes.names().bits(&[name]);
    for n in [1, 2, 7, 40] {
        let strips = random_strips(&mut rng, planes.names(), n);
        let weights: Vec<f64> = (0..n).map(|_| 0.1 + rng.uniform()).collect();
        let mut stack = Stack::new(BOX, &planes);
        for (strip, weight) in strips.iter().zip(&weights) {
            stack.add(strip, *weight).unwrap();
        }
        let mut out = StackedStrip::default();
        stack.finish(&mut out);
        let mut at_once = StackedStrip::default();
        let borrowed: Vec<&Strip> = strips.iter().collect();
        stack.combine(Statistic::WeightedMean, &borrowed, &weights, &mut at_once).unwrap();
        assert_eq!(format!("{out:?}"), format!("{at_once:?}"));
        for ((y, x), image) in out.image().indexed_iter() {
            let (mut value, mut square, mut total, mut count) = (0.0, 0.0, 0.0, 0);
            let (mut mask, mut saturated, mut rejected) = (0, 0.0, 0.0);
            for (strip, w) in strips.iter().zip(&weights) {
                let (i, v, m) = (strip.image()[[y, x]], strip.variance()[[y, x]], strip.mask()[[y, x]]);
                if m & bit("EDGE") != 0 {
                    mask |= bit("SENSOR_EDGE") | bit("INEXACT_PSF");
                }
                if i.is_nan() {
                    if m & (bit("SAT") | bit("BAD")) != 0 {
                        mask |= bit("REJECTED") | bit("INEXACT_PSF");
                        rejected += w;
                        saturated += if m & bit("SAT") != 0 { *w } else { 0.0 };
                    }
                } else {
                    value += w * f64::from(i);
                    square += w * w * f64::from(v);
                    total += w;
                    count += 1;
                    mask |= m & bit("DETECTED");
                }
            }
            if count == 0 {
                assert!(image.is_nan() && out.variance()[[y, x]].is_nan());
                mask |= bit("NO_DATA");
            } else {
                assert!((f64::from(*image) - value / total).abs() < 1e-4);
                assert!((f64::from(out.variance()[[y, x]]) * total * total / square - 1.0).abs() < 1e-5);
            }
            if saturated > 0.1 * (total + rejected) {
                mask |= bit("SAT");
            }
            assert_eq!(out.mask()[[y, x]], mask);
            assert_eq!(out.n_image()[[y, x]], count);
            assert!((f64::from(out.weight()[[y, x]]) - total).abs() < 1e-5 * total.max(1.0));
        }
    }
}

#[test]
fn outliers_are_clipped_and_marked() {
    let mut rng = Random(ChaCha8Rng::seed_from_u64(2));
    let planes = CoaddPlanes::default();
    let bit = |name: &str| planes.names().bits(&[name]);
    let mut strips = random_strips(&mut rng, &MaskPlanes::new([]), 9);
    strips[4].arrays_mut().0[[3, 2]] = 9000.0;
    strips[5].arrays_mut().0[[4, 7]] = -9000.0;
    let borrowed: Vec<&Strip> = strips.iter().collect();
    let mut stack = Stack::new(BOX, &planes);
    let mut out = StackedStrip::default();
    stack.combine(Statistic::CLIPPED_MEAN, &borrowed, &[1.0; 9], &mut out).unwrap();
    for ((y, x), n) in out.n_image().indexed_iter() {
        assert!((out.image()[[y, x]] - 100.0).abs() < 4.0);
        let touched = [(3, 2), (4, 7)].contains(&(y, x));
        assert_eq!(out.mask()[[y, x]] & (bit("CLIPPED") | bit("INEXACT_PSF")) != 0, touched);
        assert!(!touched || *n + 1 == strips.iter().filter(|s| !s.image()[[y, x]].is_nan()).count() as u32);
    }
    stack.combine(Statistic::Median, &borrowed, &[1.0; 9], &mut out).unwrap();
    assert!(out.image().iter().all(|v| (v - 100.0).abs() < 4.0));
    assert!(out.mask().iter().all(|m| m & bit("CLIPPED") == 0));
}

#[test]
fn statistics_have_the_variance_they_claim() {
    let mut rng = Random(ChaCha8Rng::seed_from_u64(3));
    let planes = CoaddPlanes::default();
    let bbox = PixelBox::new(0, 0, 120, 120);
    for (statistic, n) in
        [(Statistic::WeightedMean, 4), (Statistic::CLIPPED_MEAN, 6), (Statistic::Median, 3), (Statistic::Median, 8)]
    {
        let one = |_| {
            let mut strip = Strip::new(bbox);
            let (mut image, mut variance, mut mask) = strip.arrays_mut();
            image.iter_mut().for_each(|i| *i = (2.0 * rng.gauss()) as f32);
            variance.fill(4.0);
            mask.fill(0);
            strip
        };
        let strips: Vec<Strip> = (0..n).map(one).collect();
        let mut out = StackedStrip::default();
        let borrowed: Vec<&Strip> = strips.iter().collect();
        Stack::new(bbox, &planes).combine(statistic, &borrowed, &vec![0.25; n], &mut out).unwrap();
        let scaled = out.image().iter().zip(out.variance()).map(|(i, v)| f64::from(i * i / v)).sum::<f64>();
        // 14400 values: the mean of chi square is good to 1.2 per cent.
        let mean = scaled / 14_400.0;
        assert!((mean - 1.0).abs() < 0.05, "{statistic:?} of {n}: {mean}");
    }
}

struct Turn {
    angle: f64,
    scale: f64,
    shift: (f64, f64),
}

impl PixelMapping for Turn {
    fn row(&self, y: i32, x0: i32, xs: &mut [f64], ys: &mut [f64]) {
        let (sin, cos) = self.angle.sin_cos();
        let v = f64::from(y) - 100.0;
        for (i, (x, y)) in xs.iter_mut().zip(ys).enumerate() {
            let u = f64::from(x0 + i as i32) - 100.0;
            *x = 130.0 + self.shift.0 + self.scale * (cos * u - sin * v);
            *y = 130.0 + self.shift.1 + self.scale * (sin * u + cos * v);
        }
    }
    fn area_ratio_row(&self, _: i32, _: i32, out: &mut [f64]) {
        out.fill(self.scale * self.scale);
    }
}

/// Noise through warp and stack, measured in apertures: errors must be the scatter. Without the correlation factor they
/// would be too small by a tenth, and more where the scale differs.
#[test]
fn aperture_errors_are_the_scatter() {
    let mut rng = Random(ChaCha8Rng::seed_from_u64(4));
    let mut planes = CoaddPlanes::default();
    let input_planes = planes.add_input(&MaskPlanes::default()).unwrap();
    let detector = PixelBox::new(0, 0, 260, 260);
    let bbox = PixelBox::new(0, 0, 200, 200);
    let mut scratch = WarpScratch::default();
    for (scale, tolerance) in [(1.0, 0.06), (0.8, 0.06)] {
        let (mut sum, mut count, mut uncorrected) = (0.0, 0.0, 0.0);
        for _ in 0..8 {
            let mut stack = Stack::new(bbox, &planes);
            for input in 0..3 {
                let sigma = 2.0 + f64::from(input);
                let image = Array2::from_shape_simple_fn(detector.shape(), || (sigma * rng.gauss()) as f32);
                let mask = Array2::zeros(detector.shape());
                let variance = Array2::from_elem(detector.shape(), (sigma * sigma) as f32);
                let pixels = InputPixels {
                    bbox: detector,
                    detector,
                    image: image.view(),
                    mask: mask.view(),
                    variance: variance.view(),
                };
                let mapping = Turn { angle: 6.0 * rng.uniform(), scale, shift: (rng.uniform(), rng.uniform()) };
                let mut strip = Strip::new(bbox);
                let warp = WarpInput::new(&pixels, Kernel::Lanczos3, &input_planes, &mut scratch).unwrap();
                warp.warp(&mapping, 1.5, &mut strip).unwrap();
                stack.add(&strip, 1.0 / (sigma * sigma)).unwrap();
            }
            let mut out = StackedStrip::default();
            stack.finish(&mut out);
            let factor = Kernel::Lanczos3.noise_correlation(scale * scale);
            for y in (50..150).step_by(12) {
                for x in (50..150).step_by(12) {
                    let centre = (f64::from(x) + 0.3, f64::from(y) - 0.2);
                    let measured = aperture_flux(out.image(), out.variance(), centre.0, centre.1, 5.0, factor).unwrap();
                    assert!(measured.missing_area < 1e-9);
                    sum += (measured.flux / measured.flux_err).powi(2);
                    uncorrected += (measured.flux / measured.flux_err).powi(2) * factor;
                    count += 1.0;
                }
            }
        }
        let (width, without): (f64, f64) = ((sum / count).sqrt(), (uncorrected / count).sqrt());
        assert!((width - 1.0).abs() < tolerance, "scale {scale}: width {width}, without the factor {without}");
        assert!(without > 1.06, "scale {scale}: the test would not notice a factor left out ({without})");
    }
}

#[test]
fn wrong_calls_are_errors() {
    let planes = CoaddPlanes::default();
    let mut stack = Stack::new(BOX, &planes);
    let strip = Strip::new(BOX);
    let other = Strip::new(PixelBox::new(0, 0, 17, 11));
    assert!(matches!(stack.add(&other, 1.0), Err(CoaddError::BoxMismatch { .. })));
    for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(stack.add(&strip, weight), Err(CoaddError::NotPositive { .. })));
    }
    let mut out = StackedStrip::default();
    let result = stack.combine(Statistic::Median, &[&strip], &[], &mut out);
    assert!(matches!(result, Err(CoaddError::WeightCount { strips: 1, weights: 0 })));
    // No inputs at all: a coadd without data.
    for statistic in [Statistic::WeightedMean, Statistic::CLIPPED_MEAN, Statistic::Median] {
        stack.combine(statistic, &[], &[], &mut out).unwrap();
        assert!(out.image().iter().all(|v| v.is_nan()));
        assert!(out.mask().iter().all(|m| *m == planes.names().bits(&["NO_DATA"])));
    }
}
