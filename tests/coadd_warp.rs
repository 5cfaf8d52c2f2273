//! The warp against an obviously right slow one, and what it promises about bits, edges and bad pixels.

#![expect(clippy::unwrap_used, clippy::float_cmp, reason = "helpers of tests; bits are compared on purpose")]

use bunter::coadd::{
    CoaddError, CoaddPlanes, InputPixels, InputPlanes, Kernel, PixelMapping, Strip, WarpInput, WarpScratch,
};
use bunter::{MaskPlanes, PixelBox};
use ndarray::{Array2, s};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// `x_in = c0 + a u + b v + q u²` and the like, about a centre.
#[derive(Clone, Copy, Debug)]
struct Quadratic {
    out: (f64, f64),
    at: (f64, f64),
    m: [[f64; 2]; 2],
    q: f64,
}

impl Quadratic {
    fn shift(dx: f64, dy: f64) -> Self {
        Self { out: (0.0, 0.0), at: (dx, dy), m: [[1.0, 0.0], [0.0, 1.0]], q: 0.0 }
    }
    fn at(&self, x: f64, y: f64) -> (f64, f64, f64) {
        let (u, v) = (x - self.out.0, y - self.out.1);
        let [[a, b], [c, d]] = self.m;
        let (px, py) = (self.at.0 + a * u + b * v + self.q * u * u, self.at.1 + c * u + d * v + self.q * u * v);
        let jacobian = (a + 2.0 * self.q * u) * (d + self.q * u) - b * (c + self.q * v);
        (px, py, jacobian.abs())
    }
}

impl PixelMapping for Quadratic {
    fn row(&self, y: i32, x0: i32, xs: &mut [f64], ys: &mut [f64]) {
        for (i, (px, py)) in xs.iter_mut().zip(ys).enumerate() {
            (*px, *py, _) = self.at(f64::from(x0 + i as i32), f64::from(y));
        }
    }
    fn area_ratio_row(&self, y: i32, x0: i32, out: &mut [f64]) {
        for (i, r) in out.iter_mut().enumerate() {
            *r = self.at(f64::from(x0 + i as i32), f64::from(y)).2;
        }
    }
}

/// Positions as given, for one row.
struct Listed(Vec<(f64, f64)>);

impl PixelMapping for Listed {
    fn row(&self, _: i32, x0: i32, xs: &mut [f64], ys: &mut [f64]) {
        for (i, (px, py)) in xs.iter_mut().zip(ys).enumerate() {
            (*px, *py) = self.0[x0 as usize + i];
        }
    }
    fn area_ratio_row(&self, _: i32, _: i32, out: &mut [f64]) {
        out.fill(1.0);
    }
}

struct Random(ChaCha8Rng);

impl Random {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }
    fn uniform(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / 4_294_967_296.0
    }
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }
}

#[derive(Clone)]
struct Input {
    detector: PixelBox,
    image: Array2<f32>,
    mask: Array2<i32>,
    variance: Array2<f32>,
}

impl Input {
    fn pixels(&self) -> InputPixels<'_> {
        self.part(self.detector)
    }
    fn part(&self, bbox: PixelBox) -> InputPixels<'_> {
        let (x, y) = ((bbox.x0 - self.detector.x0) as usize, (bbox.y0 - self.detector.y0) as usize);
        let (h, w) = bbox.shape();
        InputPixels {
            bbox,
            detector: self.detector,
            image: self.image.part_of(x, y, h, w),
            mask: self.mask.part_of(x, y, h, w),
            variance: self.variance.part_of(x, y, h, w),
        }
    }
    /// Random values, a share of unusable pixels of every kind, and harmless mask bits.
    fn random(rng: &mut Random, width: u32, height: u32, share: f64) -> Self {
        let detector = PixelBox::new(-3, 7, width, height);
        let shape = detector.shape();
        let mut image = Array2::from_shape_simple_fn(shape, || rng.between(-50.0, 200.0) as f32);
        let mut variance = Array2::from_shape_simple_fn(shape, || rng.between(1.0, 90.0) as f32);
        let mut mask = Array2::zeros(shape);
        let names = MaskPlanes::default();
        for y in 0..shape.0 {
            for x in 0..shape.1 {
                if rng.uniform() < 0.1 {
                    mask[[y, x]] |= names.bits(&["DETECTED"]);
                }
                if rng.uniform() < 0.02 {
                    mask[[y, x]] |= names.bits(&["EDGE", "SUSPECT"]);
                }
                if rng.uniform() < share {
                    match (rng.uniform() * 8.0) as u32 {
                        0 => mask[[y, x]] |= names.bits(&["BAD"]),
                        1 => mask[[y, x]] |= names.bits(&["CR", "INTRP"]),
                        2 => mask[[y, x]] |= names.bits(&["SAT"]),
                        3 => image[[y, x]] = f32::NAN,
                        4 => image[[y, x]] = f32::INFINITY,
                        5 => variance[[y, x]] = f32::NAN,
                        6 => variance[[y, x]] = 0.0,
                        _ => variance[[y, x]] = -3.0,
                    }
                }
            }
        }
        Self { detector, image, mask, variance }
    }
}

trait SliceLike<T> {
    fn part_of(&self, x: usize, y: usize, h: usize, w: usize) -> ndarray::ArrayView2<'_, T>;
}

impl<T> SliceLike<T> for Array2<T> {
    fn part_of(&self, x: usize, y: usize, h: usize, w: usize) -> ndarray::ArrayView2<'_, T> {
        self.slice(s![y..y + h, x..x + w])
    }
}

fn planes() -> (CoaddPlanes, InputPlanes) {
    let mut coadd = CoaddPlanes::default();
    let input = coadd.add_input(&MaskPlanes::default()).unwrap();
    (coadd, input)
}

fn warp(pixels: &InputPixels, kernel: Kernel, mapping: &impl PixelMapping, scale: f64, bbox: PixelBox) -> Strip {
    let mut strip = Strip::new(bbox);
    let mut scratch = WarpScratch::default();
    let (_, planes) = planes();
    WarpInput::new(pixels, kernel, &planes, &mut scratch).unwrap().warp(mapping, scale, &mut strip).unwrap();
    strip
}

/// One output pixel by the words of the documentation, in f64: `(value, variance, mask)`.
fn slow_pixel(pixels: &InputPixels, kernel: Kernel, x: f64, y: f64, s: f64) -> (f64, f64, i32) {
    let names = CoaddPlanes::default().names().clone();
    let (no_data, edge, bad_bit) = (names.bits(&["NO_DATA"]), names.bits(&["EDGE"]), names.bits(&["BAD"]));
    let bad = names.bits(&CoaddPlanes::BAD);
    let detector = pixels.detector;
    let round = |v: f64| (v * 1_048_576.0).round_ties_even() / 1_048_576.0;
    let (x, y) = (round(x), round(y));
    let (fx, fy) = (x.floor() as i32, y.floor() as i32);
    if x.is_nan() || y.is_nan() || !detector.contains(fx, fy) {
        return (f64::NAN, f64::NAN, no_data);
    }
    let get = |px: i32, py: i32| {
        let index = [(py - pixels.bbox.y0) as usize, (px - pixels.bbox.x0) as usize];
        (f64::from(pixels.image[index]), pixels.mask[index], f64::from(pixels.variance[index]))
    };
    let usable = |(i, m, v): (f64, i32, f64)| m & bad == 0 && i.is_finite() && v.is_finite() && v > 0.0;
    let (wx, wy) = (kernel.weights(x - x.floor()), kernel.weights(y - y.floor()));
    let half = kernel.half_width() as i32;
    let (mut sum, mut value, mut square) = (0.0, 0.0, 0.0);
    let (mut bits, mut good_footprint) = (0, true);
    for py in fy - half + 1..=fy + half {
        for px in fx - half + 1..=fx + half {
            let footprint = (f64::from(px) - x).abs() < 1.0 && (f64::from(py) - y).abs() < 1.0;
            if !detector.contains(px, py) {
                bits |= edge;
                good_footprint &= !footprint;
                continue;
            }
            let (i, m, v) = get(px, py);
            if footprint {
                bits |= m;
            }
            if usable((i, m, v)) {
                let w = wx[(px - fx + 2) as usize] * wy[(py - fy + 2) as usize];
                sum += w;
                value += w * i;
                square += w * w * v;
            } else if footprint {
                good_footprint = false;
                if m & bad == 0 {
                    bits |= bad_bit;
                }
            }
        }
    }
    if good_footprint {
        (s * value / sum, s * s * square / (sum * sum), bits)
    } else {
        (f64::NAN, f64::NAN, bits | no_data)
    }
}

fn mappings(rng: &mut Random) -> Vec<Quadratic> {
    let mut list = vec![Quadratic::shift(0.0, 0.0), Quadratic::shift(4.0, 9.0), Quadratic::shift(0.5, 10.0)];
    for _ in 0..12 {
        let (sin, cos) = rng.between(0.0, std::f64::consts::TAU).sin_cos();
        let (scale, shear) = (rng.between(0.7, 1.4), rng.between(-0.2, 0.2));
        list.push(Quadratic {
            out: (20.0, 25.0),
            at: (rng.between(10.0, 25.0), rng.between(20.0, 40.0)),
            m: [[scale * cos, scale * (shear - sin)], [scale * sin, scale * cos]],
            q: rng.between(-1e-3, 1e-3),
        });
    }
    list
}

#[test]
fn agrees_with_the_slow_warp() {
    let mut rng = Random::new(11);
    let mut compared = 0;
    for share in [0.0, 0.03, 0.3] {
        let image = Input::random(&mut rng, 37, 45, share);
        for mapping in mappings(&mut rng) {
            for kernel in [Kernel::Lanczos3, Kernel::Bilinear] {
                let bbox = PixelBox::new(-4, 2, 52, 50);
                let strip = warp(&image.pixels(), kernel, &mapping, 1.7, bbox);
                for ((row, column), mask) in strip.mask().indexed_iter() {
                    let (x, y, ratio) = mapping.at(f64::from(bbox.x0 + column as i32), f64::from(bbox.y0 + row as i32));
                    let (value, variance, bits) = slow_pixel(&image.pixels(), kernel, x, y, 1.7 * ratio);
                    let (i, v) = (f64::from(strip.image()[[row, column]]), f64::from(strip.variance()[[row, column]]));
                    assert_eq!(*mask, bits, "mask at ({column}, {row}), {mapping:?}");
                    assert_eq!(i.is_nan(), value.is_nan());
                    assert_eq!(v.is_nan(), variance.is_nan());
                    if !value.is_nan() {
                        assert!((i - value).abs() < 2e-3, "{i} against {value}");
                        assert!((v / variance - 1.0).abs() < 2e-5, "{v} against {variance}");
                        compared += 1;
                    }
                }
            }
        }
    }
    assert!(compared > 20_000, "only {compared} pixels had values");
}

#[test]
fn a_whole_shift_copies_bits() {
    let mut rng = Random::new(2);
    let image = Input::random(&mut rng, 30, 20, 0.0);
    // Off by less than the rounding of positions, as a WCS would be.
    let strip = warp(
        &image.pixels(),
        Kernel::Lanczos3,
        &Quadratic::shift(2.0 + 1e-9, 12.0 - 1e-9),
        1.0,
        PixelBox::new(0, 0, 20, 10),
    );
    let (x, y) = (2 - image.detector.x0, 12 - image.detector.y0);
    let expected = image.image.slice(s![y..y + 10, x..x + 20]);
    assert_eq!(strip.image(), expected);
    assert_eq!(strip.variance(), image.variance.slice(s![y..y + 10, x..x + 20]));
}

#[test]
fn bits_do_not_depend_on_strips_or_on_the_box_read() {
    let mut rng = Random::new(3);
    let image = Input::random(&mut rng, 90, 80, 0.03);
    let mapping = Quadratic { out: (40.0, 40.0), at: (41.3, 45.1), m: [[0.97, 0.2], [-0.21, 0.98]], q: 2e-4 };
    let whole = PixelBox::new(0, 0, 85, 77);
    for kernel in [Kernel::Lanczos3, Kernel::Bilinear] {
        let all = warp(&image.pixels(), kernel, &mapping, 1.3, whole);
        for (height, width) in [(1, 85), (7, 85), (13, 11), (77, 3)] {
            for y0 in (0..77).step_by(height) {
                for x0 in (0..85).step_by(width) {
                    let part = PixelBox::new(x0, y0, width as u32, height as u32).intersection(whole).unwrap();
                    // Just the pixels in reach.
                    let mut reach: Option<(f64, f64, f64, f64)> = None;
                    for y in part.y0..part.y_end() as i32 {
                        for x in part.x0..part.x_end() as i32 {
                            let (px, py, _) = mapping.at(f64::from(x), f64::from(y));
                            let r = reach.unwrap_or((px, py, px, py));
                            reach = Some((r.0.min(px), r.1.min(py), r.2.max(px), r.3.max(py)));
                        }
                    }
                    let (a, b, c, d) = reach.unwrap();
                    let half = f64::from(kernel.half_width());
                    let held = PixelBox::covering(a - half, b - half, c + half, d + half)
                        .and_then(|held| held.intersection(image.detector))
                        .unwrap_or(PixelBox::new(image.detector.x0, image.detector.y0, 0, 0));
                    let strip = warp(&image.part(held), kernel, &mapping, 1.3, part);
                    let (y, x) = ((y0) as usize, x0 as usize);
                    let (h, w) = part.shape();
                    let same = |a: f32, b: f32| a.to_bits() == b.to_bits();
                    let cut = s![y..y + h, x..x + w];
                    assert!(strip.image().iter().zip(all.image().slice(cut)).all(|(a, b)| same(*a, *b)));
                    assert!(strip.variance().iter().zip(all.variance().slice(cut)).all(|(a, b)| same(*a, *b)));
                    assert_eq!(strip.mask(), all.mask().slice(cut));
                }
            }
        }
    }
}

#[test]
fn what_lies_in_bad_pixels_never_leaks() {
    let mut rng = Random::new(4);
    let clean = Input::random(&mut rng, 60, 60, 0.05);
    let bad = MaskPlanes::default().bits(&CoaddPlanes::BAD);
    let mapping = Quadratic { out: (30.0, 30.0), at: (27.3, 37.2), m: [[0.9, 0.4], [-0.4, 0.9]], q: 1e-4 };
    let bbox = PixelBox::new(0, 0, 60, 60);
    let reference = warp(&clean.pixels(), Kernel::Lanczos3, &mapping, 1.0, bbox);
    let mut junk = clean.clone();
    let mut changed = 0;
    for ((index, mask), value) in clean.mask.indexed_iter().zip(&mut junk.image) {
        if mask & bad != 0 {
            *value = [5000.0, -5000.0, f32::NAN, f32::MAX][changed % 4];
            junk.variance[index] = [1e9, f32::NAN, 1e-9, f32::MAX][changed / 4 % 4];
            changed += 1;
        }
    }
    assert!(changed > 50);
    let got = warp(&junk.pixels(), Kernel::Lanczos3, &mapping, 1.0, bbox);
    assert!(got.image().iter().zip(reference.image()).all(|(a, b)| a.to_bits() == b.to_bits()));
    assert!(got.variance().iter().zip(reference.variance()).all(|(a, b)| a.to_bits() == b.to_bits()));
    assert_eq!(got.mask(), reference.mask());
    // Huge values that are not masked are not usable either, and do not become infinities elsewhere.
    let mut huge = clean;
    huge.image[[30, 30]] = 3e38;
    huge.variance[[20, 20]] = 3e38;
    let got = warp(&huge.pixels(), Kernel::Lanczos3, &mapping, 1.0, bbox);
    assert!(got.image().iter().chain(got.variance()).all(|v| v.is_nan() || v.is_finite()));
    assert!(got.image().iter().all(|v| v.is_nan() || v.abs() < 2000.0));
}

#[test]
fn flux_of_stars_is_kept() {
    let detector = PixelBox::new(0, 0, 200, 200);
    // Bound the Gaussian's undersampling error: FWHM of 3.5 pixels, as good seeing on a survey camera.
    let sigma = 1.5;
    let stars = [(50.3, 60.7), (120.0, 130.5), (150.9, 41.2), (70.11, 151.77)];
    let density = |x: f64, y: f64| {
        let near = stars.iter().map(|(sx, sy)| (-((x - sx).powi(2) + (y - sy).powi(2)) / (2.0 * sigma * sigma)).exp());
        1000.0 * near.sum::<f64>() / (std::f64::consts::TAU * sigma * sigma)
    };
    let image = Input {
        detector,
        image: Array2::from_shape_fn(detector.shape(), |(y, x)| density(x as f64, y as f64) as f32),
        mask: Array2::zeros(detector.shape()),
        variance: Array2::from_elem(detector.shape(), 1.0),
    };
    for (angle, scale, q) in
        [(0.0, 1.0, 0.0), (5.0, 1.0, 2e-5), (33.0, 0.8, -1e-4), (90.0, 1.2, 1e-4), (201.0, 1.0, 0.0)]
    {
        let (sin, cos) = f64::to_radians(angle).sin_cos();
        let m = [[scale * cos, -scale * sin], [scale * sin, scale * cos]];
        let mapping = Quadratic { out: (120.0, 120.0), at: (100.37, 100.61), m, q };
        let strip = warp(&image.pixels(), Kernel::Lanczos3, &mapping, 2.0, PixelBox::new(0, 0, 240, 240));
        let total: f64 = strip.image().iter().filter(|v| !v.is_nan()).map(|v| f64::from(*v)).sum();
        // A grid coarser than the input's folds a little of the star's spectrum back.
        let tolerance = if scale > 1.0 { 1e-3 } else { 1e-4 };
        assert!((total / 8000.0 - 1.0).abs() < tolerance, "{angle} degrees, scale {scale}: {total}");
    }
}

#[test]
fn a_box_read_too_small_is_an_error_that_says_where() {
    let mut rng = Random::new(5);
    let image = Input::random(&mut rng, 60, 60, 0.0);
    let (_, planes) = planes();
    let mut scratch = WarpScratch::default();
    let held = PixelBox::new(10, 20, 20, 20);
    let pixels = image.part(held);
    let input = WarpInput::new(&pixels, Kernel::Lanczos3, &planes, &mut scratch).unwrap();
    // The kernel's window just fits, and then does not.
    let mut strip = Strip::new(PixelBox::new(0, 0, 15, 15));
    assert!(input.warp(&Quadratic::shift(12.4, 22.4), 1.0, &mut strip).is_ok());
    for (dx, dy) in [(11.4, 22.4), (12.4, 21.4), (13.4, 22.4), (12.4, 23.4), (-40.0, 22.4), (200.0, 22.4)] {
        let result = input.warp(&Quadratic::shift(dx, dy), 1.0, &mut strip);
        let off = !(-30.0..100.0).contains(&dx);
        assert_eq!(matches!(result, Err(CoaddError::MissingPixels { .. })), !off, "{dx} {dy}: {result:?}");
    }
    let message = input.warp(&Quadratic::shift(11.4, 22.4), 1.0, &mut strip).unwrap_err().to_string();
    assert!(message.contains("output pixel (0, 0) falls at (11.40, 22.40)"), "{message}");
}

#[test]
fn hostile_positions_have_no_data() {
    let mut rng = Random::new(6);
    let image = Input::random(&mut rng, 20, 20, 0.0);
    let nan = f64::NAN;
    let inf = f64::INFINITY;
    let list = vec![(nan, 10.0), (5.0, nan), (inf, 10.0), (-inf, 10.0), (1e300, 10.0), (-1e300, -1e300), (5.0, 12.0)];
    let strip = warp(&image.pixels(), Kernel::Lanczos3, &Listed(list), 1.0, PixelBox::new(0, 0, 7, 1));
    let no_data = planes().0.names().bits(&["NO_DATA"]);
    assert!(strip.image().iter().take(6).all(|v| v.is_nan()));
    assert!(strip.mask().iter().take(6).all(|m| *m == no_data));
    assert_eq!(strip.image()[[0, 6]], image.image[[5, 8]]);
}

#[test]
fn bad_calls_are_errors() {
    let mut rng = Random::new(7);
    let image = Input::random(&mut rng, 20, 20, 0.0);
    let (_, planes) = planes();
    let mut scratch = WarpScratch::default();
    let mut wrong = image.pixels();
    wrong.bbox = PixelBox::new(-3, 7, 20, 19);
    assert!(matches!(
        WarpInput::new(&wrong, Kernel::Lanczos3, &planes, &mut scratch),
        Err(CoaddError::Shape { array: "image", .. })
    ));
    let mut outside = image.pixels();
    outside.bbox = PixelBox::new(0, 7, 20, 20);
    assert!(matches!(
        WarpInput::new(&outside, Kernel::Lanczos3, &planes, &mut scratch),
        Err(CoaddError::OutsideDetector { .. })
    ));
    let mut columns = image.pixels();
    columns.variance = columns.variance.reversed_axes();
    assert!(matches!(
        WarpInput::new(&columns, Kernel::Lanczos3, &planes, &mut scratch),
        Err(CoaddError::Layout { array: "variance" })
    ));
    let pixels = image.pixels();
    let input = WarpInput::new(&pixels, Kernel::Lanczos3, &planes, &mut scratch).unwrap();
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let result = input.warp(&Quadratic::shift(0.0, 0.0), scale, &mut Strip::new(PixelBox::new(0, 0, 1, 1)));
        assert!(matches!(result, Err(CoaddError::NotPositive { .. })));
    }
    // An input that does not touch the patch, and a strip without pixels.
    let none = image.part(PixelBox::new(-3, 7, 0, 0));
    let input = WarpInput::new(&none, Kernel::Lanczos3, &planes, &mut scratch).unwrap();
    let mut strip = Strip::new(PixelBox::new(0, 0, 9, 9));
    assert_eq!(input.warp(&Quadratic::shift(500.0, 0.0), 1.0, &mut strip).unwrap().with_data, 0);
    assert!(input.warp(&Quadratic::shift(0.0, 0.0), 1.0, &mut Strip::new(PixelBox::new(0, 0, 0, 5))).is_ok());
}
