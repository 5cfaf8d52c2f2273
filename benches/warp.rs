//! Warping speed: million input pixels (image, variance and mask together) per CPU second of one core.
//!
//! `cargo bench --bench warp`. Beside it: copying the same three arrays, the limit that memory sets. The mapping is a
//! rotation by 5 degrees with a quadratic distortion, evaluated by the row; its own cost is shown and is not subtracted.
//!
//! Rows of 2048 pixels, as detectors have them, are the hard case: all rows of the kernel's window share one set of the
//! first-level cache. Rows of 2072 pixels are warped a third faster.

#![expect(clippy::expect_used, reason = "a bench may stop at the first error")]

use std::hint::black_box;

use bunter::coadd::{CoaddPlanes, InputPixels, Kernel, PixelMapping, Strip, WarpInput, WarpScratch};
use bunter::{MaskPlanes, PixelBox};
use ndarray::Array2;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rustix::time::{ClockId, clock_gettime};

const WIDTH: usize = 2048;
const HEIGHT: usize = 4096;
const STRIP: u32 = 64;

struct Rotation;

impl Rotation {
    fn constants() -> (f64, f64, f64) {
        let (sin, cos) = 5_f64.to_radians().sin_cos();
        (sin, cos, 2e-6)
    }
}

impl PixelMapping for Rotation {
    fn row(&self, y: i32, x0: i32, xs: &mut [f64], ys: &mut [f64]) {
        let (sin, cos, q) = Self::constants();
        let v = f64::from(y) - 2048.0;
        for (i, (x, y)) in xs.iter_mut().zip(ys).enumerate() {
            let u = f64::from(x0) + i as f64 - 1024.0;
            *x = 1024.0 + cos * u - sin * v + q * u * u;
            *y = 2048.0 + sin * u + cos * v + q * u * v;
        }
    }
    fn area_ratio_row(&self, y: i32, x0: i32, out: &mut [f64]) {
        let (sin, cos, q) = Self::constants();
        let v = f64::from(y) - 2048.0;
        for (i, out) in out.iter_mut().enumerate() {
            let u = f64::from(x0) + i as f64 - 1024.0;
            *out = ((cos + 2.0 * q * u) * (cos + q * u) + sin * (sin + q * v)).abs();
        }
    }
}

fn cpu_seconds() -> f64 {
    let t = clock_gettime(ClockId::ProcessCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}

/// The least CPU time of several runs.
fn best(mut work: impl FnMut()) -> f64 {
    let time = |_| {
        let start = cpu_seconds();
        work();
        cpu_seconds() - start
    };
    (0..7).map(time).fold(f64::INFINITY, f64::min)
}

struct Detector {
    image: Array2<f32>,
    mask: Array2<i32>,
    variance: Array2<f32>,
}

fn detector(bad: bool) -> Detector {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut uniform = move || f64::from(rng.next_u32()) / 4_294_967_296.0;
    let image = Array2::from_shape_simple_fn((HEIGHT, WIDTH), || (uniform() * 100.0) as f32);
    let mut mask = Array2::zeros((HEIGHT, WIDTH));
    // One pixel in ten is part of a detected object.
    for _ in 0..HEIGHT * WIDTH / 1000 {
        let (x, y) = ((uniform() * (WIDTH - 10) as f64) as usize, (uniform() * (HEIGHT - 10) as f64) as usize);
        mask.slice_mut(ndarray::s![y..y + 10, x..x + 10]).fill(1 << 5);
    }
    if bad {
        // One per cent in columns, one per cent in streaks of six pixels.
        for _ in 0..WIDTH / 100 {
            let x = (uniform() * WIDTH as f64) as usize;
            mask.column_mut(x).mapv_inplace(|m: i32| m | 1);
        }
        for _ in 0..HEIGHT * WIDTH / 600 {
            let (x, y) = ((uniform() * (WIDTH - 3) as f64) as usize, (uniform() * (HEIGHT - 2) as f64) as usize);
            mask.slice_mut(ndarray::s![y..y + 2, x..x + 3]).mapv_inplace(|m: i32| m | 1 << 3);
        }
    }
    Detector { variance: image.mapv(|v| v + 50.0), image, mask }
}

fn main() {
    let megapixels = (WIDTH * HEIGHT) as f64 * 1e-6;
    let planes = CoaddPlanes::default().add_input(&MaskPlanes::default()).expect("standard planes");
    let mut scratch = WarpScratch::default();
    let whole = PixelBox::new(0, 0, WIDTH as u32, HEIGHT as u32);
    println!("input {WIDTH} x {HEIGHT}, output strips of {WIDTH} x {STRIP}; Mpix of input per CPU second, one core");
    for (name, bad) in [("no bad pixels", false), ("2 % bad pixels", true)] {
        let Detector { image, mask, variance } = detector(bad);
        let pixels = InputPixels {
            bbox: whole,
            detector: whole,
            image: image.view(),
            mask: mask.view(),
            variance: variance.view(),
        };
        for kernel in [Kernel::Lanczos3, Kernel::Bilinear] {
            let mut strip = Strip::new(PixelBox::new(0, 0, WIDTH as u32, STRIP));
            let mut counts = (0, 0);
            let seconds = best(|| {
                counts = (0, 0);
                let input = WarpInput::new(&pixels, kernel, &planes, &mut scratch).expect("a whole detector");
                for y0 in (0..HEIGHT as i32).step_by(STRIP as usize) {
                    strip.reset(PixelBox::new(0, y0, WIDTH as u32, STRIP));
                    let done = input.warp(&Rotation, 1.25, &mut strip).expect("a whole detector");
                    counts = (counts.0 + done.with_data, counts.1 + done.with_dropped);
                }
                black_box(&strip);
            });
            println!(
                "  {kernel:?}, {name}: {:.1} ({:.1} % of output with data, {:.1} % with dropped taps)",
                megapixels / seconds,
                counts.0 as f64 / (WIDTH * HEIGHT) as f64 * 100.0,
                counts.1 as f64 / (WIDTH * HEIGHT) as f64 * 100.0
            );
        }
        let seconds = best(|| {
            black_box(WarpInput::new(&pixels, Kernel::Lanczos3, &planes, &mut scratch).expect("a whole detector"));
        });
        println!("  looking over the input alone: {:.0}", megapixels / seconds);
    }
    let (mut x, mut y, mut r) = (vec![0.0; WIDTH], vec![0.0; WIDTH], vec![0.0; WIDTH]);
    let seconds = best(|| {
        for row in 0..HEIGHT as i32 {
            Rotation.row(row, 0, &mut x, &mut y);
            Rotation.area_ratio_row(row, 0, &mut r);
            black_box((&x, &y, &r));
        }
    });
    println!("  the mapping alone: {:.0}", megapixels / seconds);
    let Detector { image, mask, variance } = detector(false);
    let mut to = (image.clone(), mask.clone(), variance.clone());
    let seconds = best(|| {
        to.0.assign(&image);
        to.1.assign(&mask);
        to.2.assign(&variance);
        black_box(&to);
    });
    println!(
        "  copying image, mask and variance: {:.0} ({:.1} GB/s)",
        megapixels / seconds,
        megapixels * 12e-3 / seconds
    );
}
