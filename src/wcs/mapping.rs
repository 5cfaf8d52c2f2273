//! [`GridMapping`]: pixels of one WCS to pixels of another, fast.

use std::ops::Range;

use super::wcs::boundary_points;
use super::{PixelBox, Wcs, WcsError};

/// The tolerance coadds are warped with, pixels of the input: far below what any interpolation kernel can tell.
pub const DEFAULT_TOLERANCE_PX: f64 = 0.001;

/// Side of a block of output pixels, the coarsest cell.
const BLOCK: i64 = 128;
/// A block is cut into `2^level` by `2^level` cells; the finest have `128 / 2^4 = 8` pixels to a side.
const MAX_LEVEL: u8 = 4;
/// Largest relative error of the area ratio.
const AREA_TOLERANCE: f64 = 1e-5;
/// Measured errors count this many times.
const SAFETY: f64 = 2.0;
/// Largest number of pixels of an output box.
const MAX_PIXELS: u64 = 1 << 34;

/// Where each pixel of an output image (a patch of a tract) lies in an input image (a detector of an exposure).
///
/// The exact way from pixel to sky to pixel is taken at the nodes of a grid only; between them the position is a
/// quadratic polynomial in each coordinate. The grid hangs on the first pixel of the output box, in blocks of 128 by 128
/// pixels; where the error, measured inside every cell against the exact way and counted twice, is above the tolerance,
/// the cells of that block are halved, down to 8 pixels. Cells that fail even then, such as those on the edge of the
/// visible hemisphere, are computed exactly, pixel by pixel. A block without a position at any of its nine first nodes
/// has none at all.
///
/// A position depends on the two WCS, the output box of [`GridMapping::new`] and the pixel alone: rows may be asked for
/// in strips of any shape, in any order, and every bit is the same.
///
/// ```
/// use bunter::{DEFAULT_TOLERANCE_PX, GridMapping, LonLat, PixelBox, Wcs};
///
/// let scale = 0.2 / 3600.0;
/// let tract = Wcs::tan(LonLat::from_degrees(150.0, 2.0), [9000.0, 9000.0], [[-scale, 0.0], [0.0, scale]])?;
/// let detector = Wcs::tan(LonLat::from_degrees(150.1, 2.1), [1000.0, 1000.0], [[0.0, scale], [scale, 0.0]])?;
/// let patch = PixelBox::new(6000, 10_000, 500, 400);
/// let mapping = GridMapping::new(&tract, patch, &detector, DEFAULT_TOLERANCE_PX)?;
///
/// let (mut xs, mut ys) = (vec![0.0; 500], vec![0.0; 500]);
/// mapping.row(10_123, patch.x0, &mut xs, &mut ys);
/// let exact = detector.sky_to_pixel(tract.pixel_to_sky(6042.0, 10_123.0).unwrap()).unwrap();
/// assert!((xs[42] - exact.0).abs() < DEFAULT_TOLERANCE_PX && (ys[42] - exact.1).abs() < DEFAULT_TOLERANCE_PX);
/// # Ok::<(), bunter::WcsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GridMapping {
    exact: Exact,
    domain: PixelBox,
    tolerance_px: f64,
    /// Blocks in a row of blocks.
    columns: usize,
    blocks: Vec<Block>,
    cells: Vec<Cell>,
    max_error_px: f64,
}

/// The exact way from output to input.
#[derive(Clone, Debug)]
struct Exact {
    output: Wcs,
    input: Wcs,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    level: u8,
    /// Index of its first cell; they stand row by row.
    first: usize,
}

#[derive(Clone, Debug)]
enum Cell {
    Quadratic(Quadratic),
    Exact,
    Nowhere,
}

/// Input positions as quadratics in the offsets `t`, `u` from the cell's centre: `x[k][j]` belongs to `t^k u^j`.
#[derive(Clone, Debug)]
struct Quadratic {
    x: [[f64; 3]; 3],
    y: [[f64; 3]; 3],
}

/// A cell with the pixel at its centre and half its side.
struct Place<'a> {
    cell: &'a Cell,
    x: i64,
    y: i64,
    half: i64,
}

impl GridMapping {
    /// The mapping of the pixels of `output_box` into the pixel plane of `input`, within `tolerance_px` input pixels.
    ///
    /// Costs one or two milliseconds for a patch of 4200 by 4200 pixels. The input need not cover the output, but far off a
    /// detector its distortion polynomials run wild and cells grow small: restrict the output box by
    /// [`GridMapping::output_box`] first.
    ///
    /// # Errors
    /// [`WcsError::Tolerance`], [`WcsError::OutputBox`].
    pub fn new(output: &Wcs, output_box: PixelBox, input: &Wcs, tolerance_px: f64) -> Result<Self, WcsError> {
        if !(tolerance_px > 0.0 && tolerance_px.is_finite()) {
            return Err(WcsError::Tolerance { tolerance_px });
        }
        let ends = output_box.x_end().max(output_box.y_end());
        if output_box.is_empty() || output_box.area() > MAX_PIXELS || ends > i64::from(i32::MAX) + 1 {
            return Err(WcsError::OutputBox { output_box, max_pixels: MAX_PIXELS });
        }
        let columns = output_box.width.div_ceil(BLOCK as u32) as usize;
        let rows = output_box.height.div_ceil(BLOCK as u32) as usize;
        let mut mapping = Self {
            exact: Exact { output: output.clone(), input: input.clone() },
            domain: output_box,
            tolerance_px,
            columns,
            blocks: Vec::with_capacity(columns * rows),
            cells: Vec::with_capacity(columns * rows),
            max_error_px: 0.0,
        };
        for row in 0..rows {
            for column in 0..columns {
                let x = i64::from(output_box.x0) + BLOCK * column as i64;
                let y = i64::from(output_box.y0) + BLOCK * row as i64;
                mapping.push_block(x, y);
            }
        }
        Ok(mapping)
    }

    /// The input positions of the output pixels `(x0, y)`, `(x0 + 1, y)`, ... as many as both slices hold. NaN where
    /// there is no position, and outside the output box.
    pub fn row(&self, y: i32, x0: i32, xs: &mut [f64], ys: &mut [f64]) {
        for (range, place) in self.pieces(y, x0, xs.len().min(ys.len())) {
            let (xs, ys) = (&mut xs[range.clone()], &mut ys[range.clone()]);
            let x = i64::from(x0) + range.start as i64;
            match place {
                Some(Place { cell: Cell::Quadratic(q), x: cx, y: cy, .. }) => {
                    let (t, u) = ((x - cx) as i32, (i64::from(y) - cy) as f64);
                    fill(q.x.map(|c| along(c, u)), t, xs);
                    fill(q.y.map(|c| along(c, u)), t, ys);
                }
                Some(Place { cell: Cell::Exact, .. }) => {
                    for (i, (px, py)) in xs.iter_mut().zip(ys).enumerate() {
                        let (x, y) = ((x + i as i64) as f64, f64::from(y));
                        (*px, *py) = self.exact.position(x, y).unwrap_or((f64::NAN, f64::NAN));
                    }
                }
                Some(Place { cell: Cell::Nowhere, .. }) | None => {
                    xs.fill(f64::NAN);
                    ys.fill(f64::NAN);
                }
            }
        }
    }

    /// The area of input pixels to a pixel of output, `|d(x, y) input / d(x, y) output|`, for the output pixels `(x0, y)`,
    /// `(x0 + 1, y)`, ... Counts in a pixel warped by interpolation are multiplied by it.
    ///
    /// The relative error is below 1e-5. NaN where a pixel or its direct neighbours have no position, and outside the
    /// output box.
    pub fn area_ratio_row(&self, y: i32, x0: i32, out: &mut [f64]) {
        for (range, place) in self.pieces(y, x0, out.len()) {
            let out = &mut out[range.clone()];
            let x = i64::from(x0) + range.start as i64;
            match place {
                Some(Place { cell: Cell::Quadratic(q), x: cx, y: cy, .. }) => {
                    let (t0, u) = ((x - cx) as i32, (i64::from(y) - cy) as f64);
                    let slopes = |[_, c1, c2]: [f64; 3]| c1 + 2.0 * u * c2;
                    let ([_, x1, x2], [_, y1, y2]) = (q.x.map(|c| along(c, u)), q.y.map(|c| along(c, u)));
                    let (xu, yu) = (q.x.map(slopes), q.y.map(slopes));
                    for (i, ratio) in out.iter_mut().enumerate() {
                        let t = f64::from(t0 + i as i32);
                        let (xt, yt) = (x1 + 2.0 * t * x2, y1 + 2.0 * t * y2);
                        *ratio = (xt * along(yu, t) - along(xu, t) * yt).abs();
                    }
                }
                Some(Place { cell: Cell::Exact, .. }) => {
                    for (i, ratio) in out.iter_mut().enumerate() {
                        let (x, y) = ((x + i as i64) as f64, f64::from(y));
                        *ratio = self.exact.area_ratio(x, y).unwrap_or(f64::NAN);
                    }
                }
                Some(Place { cell: Cell::Nowhere, .. }) | None => out.fill(f64::NAN),
            }
        }
    }

    /// A box of input pixels that holds the positions of all output pixels in `within`, grown by the mapping's error.
    /// `None` when none of them has a position.
    ///
    /// It bounds the polynomials themselves, not samples of them. Grow it by the radius of the interpolation kernel to
    /// get the pixels to read; it is not cut to the input image. Positions beyond 2^30 count as that.
    pub fn input_box(&self, within: PixelBox) -> Option<PixelBox> {
        let within = within.intersection(self.domain)?;
        let mut bounds = Bounds::EMPTY;
        let blocks = |start: i32, end: i64, first: i32| {
            (i64::from(start) - i64::from(first)) / BLOCK..=(end - 1 - i64::from(first)) / BLOCK
        };
        for row in blocks(within.y0, within.y_end(), self.domain.y0) {
            for column in blocks(within.x0, within.x_end(), self.domain.x0) {
                let block = self.blocks[row as usize * self.columns + column as usize];
                let (cells, side) = (1_i64 << block.level, BLOCK >> block.level);
                for (j, i) in (0..cells).flat_map(|j| (0..cells).map(move |i| (j, i))) {
                    let half = side / 2;
                    let x = i64::from(self.domain.x0) + BLOCK * column + side * i + half;
                    let y = i64::from(self.domain.y0) + BLOCK * row + side * j + half;
                    let cell = &self.cells[block.first + (j * cells + i) as usize];
                    self.bound(&Place { cell, x, y, half }, within, &mut bounds);
                }
            }
        }
        bounds.covering(self.max_error_px)
    }

    /// The largest error of a position, input pixels: as measured inside every cell, counted twice. Zero when every
    /// cell is exact.
    pub fn max_error_px(&self) -> f64 {
        self.max_error_px
    }

    /// The output box the mapping was made for.
    pub fn domain(&self) -> PixelBox {
        self.domain
    }

    /// The pixels of `within` in the output that an input image of the pixels `input_box` can touch, or `None` when it
    /// touches none.
    ///
    /// Never too small: the image's edge is followed closely and its sag added, and an image that holds a point where
    /// the output projection has no inside and outside, or that lies partly off its sky, gives all of `within`.
    pub fn output_box(input: &Wcs, input_box: PixelBox, output: &Wcs, within: PixelBox) -> Option<PixelBox> {
        const POINTS_PER_SIDE: usize = 32;
        if input_box.is_empty() || within.is_empty() {
            return None;
        }
        let map = |(x, y): (f64, f64)| output.unit_to_pixel(input.pixel_to_unit(x, y)?);
        let [(x0, y0), _, (x1, y1), _] = input_box.corners();
        let holds_singular_point = output
            .singular_points()
            .filter_map(|p| input.unit_to_pixel(p))
            .any(|(x, y)| (x0..=x1).contains(&x) && (y0..=y1).contains(&y));
        if holds_singular_point {
            return Some(within);
        }
        let edge: Vec<_> = boundary_points(input_box, POINTS_PER_SIDE).map(map).collect();
        let inner = (1..8).flat_map(|j| (1..8).map(move |i| (f64::from(i) / 8.0, f64::from(j) / 8.0)));
        let inner: Vec<_> = inner.map(|(s, t)| map((x0 + s * (x1 - x0), y0 + t * (y1 - y0)))).collect();
        if edge.iter().chain(&inner).all(Option::is_none) {
            return None;
        }
        let (Some(edge), Some(inner)) =
            (edge.into_iter().collect::<Option<Vec<_>>>(), inner.into_iter().collect::<Option<Vec<_>>>())
        else {
            return Some(within);
        };
        let mut bounds = Bounds::EMPTY;
        edge.iter().chain(&inner).for_each(|(x, y)| bounds.add(*x, *y));
        let mut sag = 0.0_f64;
        for i in (0..edge.len()).step_by(2) {
            let (a, middle, b) = (edge[i], edge[i + 1], edge[(i + 2) % edge.len()]);
            sag = sag.max((middle.0 - 0.5 * (a.0 + b.0)).abs()).max((middle.1 - 0.5 * (a.1 + b.1)).abs());
        }
        bounds.covering(sag + 1.0)?.intersection(within)
    }

    fn push_block(&mut self, x: i64, y: i64) {
        let mut fallback = Cell::Exact;
        for level in 0..=MAX_LEVEL {
            let first = self.cells.len();
            let (cells, side) = (1_i64 << level, BLOCK >> level);
            let half = side / 2;
            let nodes = 2 * cells as usize + 1;
            let grid: Vec<_> = (0..nodes * nodes)
                .map(|n| ((x + half * (n % nodes) as i64) as f64, (y + half * (n / nodes) as i64) as f64))
                .map(|(x, y)| self.exact.position(x, y))
                .collect();
            if level == 0 && grid.iter().all(Option::is_none) {
                fallback = Cell::Nowhere;
                break;
            }
            let (mut max_error, mut failed, mut fitted) = (self.max_error_px, false, false);
            for (j, i) in (0..cells as usize).flat_map(|j| (0..cells as usize).map(move |i| (j, i))) {
                let node = |dj: usize, di: usize| grid[(2 * j + dj) * nodes + 2 * i + di];
                let centre = ((x + side * i as i64 + half) as f64, (y + side * j as i64 + half) as f64);
                if let Some((quadratic, error)) = self.fit(node, centre, half as f64) {
                    max_error = max_error.max(error);
                    fitted = true;
                    self.cells.push(Cell::Quadratic(quadratic));
                } else {
                    failed = true;
                    if level < MAX_LEVEL {
                        break;
                    }
                    self.cells.push(Cell::Exact);
                }
            }
            if !failed || (level == MAX_LEVEL && fitted) {
                self.max_error_px = max_error;
                self.blocks.push(Block { level, first });
                return;
            }
            self.cells.truncate(first);
        }
        self.blocks.push(Block { level: 0, first: self.cells.len() });
        self.cells.push(fallback);
    }

    /// The quadratic through nine nodes with its error, unless that is above the tolerance.
    fn fit(
        &self,
        node: impl Fn(usize, usize) -> Option<(f64, f64)>,
        centre: (f64, f64),
        half: f64,
    ) -> Option<(Quadratic, f64)> {
        // Where in the cell (in units of its half side) the exact way is taken again: near the largest error of a cubic.
        const PROBE: f64 = 0.6;
        // Error of a slope at the edge of a cell, to the error of the position at the probe, for a cubic (5.2) or quartic.
        const SLOPE: f64 = 8.0;
        let mut x = [[0.0; 3]; 3];
        let mut y = [[0.0; 3]; 3];
        for j in 0..3 {
            for i in 0..3 {
                (x[i][j], y[i][j]) = node(j, i)?;
            }
        }
        let quadratic = Quadratic { x: through(x, half), y: through(y, half) };
        let mut error = 0.0_f64;
        for (st, su) in [(PROBE, PROBE), (-PROBE, PROBE), (PROBE, -PROBE), (-PROBE, -PROBE)] {
            let (t, u) = (st * half, su * half);
            let exact = self.exact.position(centre.0 + t, centre.1 + u)?;
            let (x, y) = quadratic.at(t, u);
            error = error.max(libm::hypot(x - exact.0, y - exact.1));
        }
        let error = SAFETY * error;
        let (xt, xu, yt, yu) = (quadratic.x[1][0], quadratic.x[0][1], quadratic.y[1][0], quadratic.y[0][1]);
        let area_error = SLOPE * error / half * (xt.abs() + xu.abs() + yt.abs() + yu.abs());
        let fits = error <= self.tolerance_px && area_error <= AREA_TOLERANCE * (xt * yu - xu * yt).abs();
        fits.then_some((quadratic, error))
    }

    /// The row `(x0, y)`, ... of `length` pixels, cut where a cell ends; `None` outside the output box.
    fn pieces(&self, y: i32, x0: i32, length: usize) -> impl Iterator<Item = (Range<usize>, Option<Place<'_>>)> {
        let (first_x, first_y) = (i64::from(self.domain.x0), i64::from(self.domain.y0));
        let dy = i64::from(y) - first_y;
        let inside = (0..i64::from(self.domain.height)).contains(&dy);
        let mut start = 0;
        std::iter::from_fn(move || {
            if start >= length {
                return None;
            }
            let dx = i64::from(x0) + start as i64 - first_x;
            let (place, end) = if !inside || dx >= i64::from(self.domain.width) {
                (None, length)
            } else if dx < 0 {
                (None, start + dx.unsigned_abs() as usize)
            } else {
                let block = self.blocks[(dy / BLOCK) as usize * self.columns + (dx / BLOCK) as usize];
                let (side, half) = (BLOCK >> block.level, BLOCK >> block.level >> 1);
                let (i, j) = (dx % BLOCK / side, dy % BLOCK / side);
                let cell = &self.cells[block.first + ((j << block.level) + i) as usize];
                let end_dx = (dx - dx % side + side).min(i64::from(self.domain.width));
                let place =
                    Place { cell, x: first_x + dx - dx % side + half, y: first_y + dy - dy % side + half, half };
                (Some(place), start + (end_dx - dx) as usize)
            };
            let range = start..end.min(length);
            start = range.end;
            Some((range, place))
        })
    }

    /// Adds the input positions of the pixels of a cell that lie in `within`.
    fn bound(&self, place: &Place<'_>, within: PixelBox, bounds: &mut Bounds) {
        let Place { x, y, half, .. } = *place;
        let (x_low, x_high) = ((x - half).max(i64::from(within.x0)), (x + half).min(within.x_end()) - 1);
        let (y_low, y_high) = ((y - half).max(i64::from(within.y0)), (y + half).min(within.y_end()) - 1);
        if x_low > x_high || y_low > y_high {
            return;
        }
        match place.cell {
            Cell::Nowhere => {}
            Cell::Exact => {
                for (y, x) in (y_low..=y_high).flat_map(|y| (x_low..=x_high).map(move |x| (y, x))) {
                    if let Some((x, y)) = self.exact.position(x as f64, y as f64) {
                        bounds.add(x, y);
                    }
                }
            }
            Cell::Quadratic(q) => {
                let thirds = |low: i64, high: i64, centre: i64| {
                    let (low, high) = ((low - centre) as f64, (high - centre) as f64);
                    [low, 0.5 * (low + high), high]
                };
                let (ts, us) = (thirds(x_low, x_high, x), thirds(y_low, y_high, y));
                let (xs, ys) = (bernstein(&q.x, ts, us), bernstein(&q.y, ts, us));
                for (x, y) in xs.as_flattened().iter().zip(ys.as_flattened()) {
                    bounds.add(*x, *y);
                }
            }
        }
    }
}

impl Exact {
    #[inline]
    fn position(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        self.input.unit_to_pixel(self.output.pixel_to_unit(x, y)?)
    }

    /// By differences over one pixel.
    fn area_ratio(&self, x: f64, y: f64) -> Option<f64> {
        let difference = |dx: f64, dy: f64| {
            let (a, b) = (self.position(x - dx, y - dy)?, self.position(x + dx, y + dy)?);
            Some((b.0 - a.0, b.1 - a.1))
        };
        let ((xt, yt), (xu, yu)) = (difference(0.5, 0.0)?, difference(0.0, 0.5)?);
        Some((xt * yu - xu * yt).abs())
    }
}

impl Quadratic {
    fn at(&self, t: f64, u: f64) -> (f64, f64) {
        (along(self.x.map(|c| along(c, u)), t), along(self.y.map(|c| along(c, u)), t))
    }
}

/// A quadratic at `t`.
#[inline]
fn along([c0, c1, c2]: [f64; 3], t: f64) -> f64 {
    c0 + t * (c1 + t * c2)
}

/// A quadratic at the integers from `t0` on. Each value stands alone, so that no error builds up along a row and a row
/// may begin anywhere.
#[inline]
fn fill(c: [f64; 3], t0: i32, out: &mut [f64]) {
    for (i, value) in out.iter_mut().enumerate() {
        *value = along(c, f64::from(t0 + i as i32));
    }
}

/// The coefficients of the quadratic through values at `-half`, `0`, `half` in both directions.
fn through(values: [[f64; 3]; 3], half: f64) -> [[f64; 3]; 3] {
    let line = |[low, middle, high]: [f64; 3]| {
        [middle, (high - low) / (2.0 * half), (0.5 * (high + low) - middle) / (half * half)]
    };
    let [a, b, c] = values.map(line);
    let mut coefficients = [[0.0; 3]; 3];
    for j in 0..3 {
        let column = line([a[j], b[j], c[j]]);
        for (row, value) in coefficients.iter_mut().zip(column) {
            row[j] = value;
        }
    }
    coefficients
}

/// Bernstein coefficients of a quadratic over a rectangle given by its ends and middles: they enclose its values.
fn bernstein(coefficients: &[[f64; 3]; 3], ts: [f64; 3], us: [f64; 3]) -> [[f64; 3]; 3] {
    let line = |[low, middle, high]: [f64; 3]| [low, 2.0 * middle - 0.5 * (low + high), high];
    let values = us.map(|u| {
        let row = coefficients.map(|c| along(c, u));
        line(ts.map(|t| along(row, t)))
    });
    [0, 1, 2].map(|i: usize| line(values.map(|row| row[i])))
}

/// The smallest interval in both coordinates.
struct Bounds {
    low: (f64, f64),
    high: (f64, f64),
}

impl Bounds {
    const EMPTY: Self = Self { low: (f64::INFINITY, f64::INFINITY), high: (f64::NEG_INFINITY, f64::NEG_INFINITY) };

    fn add(&mut self, x: f64, y: f64) {
        self.low = (self.low.0.min(x), self.low.1.min(y));
        self.high = (self.high.0.max(x), self.high.1.max(y));
    }

    fn covering(&self, margin: f64) -> Option<PixelBox> {
        const FAR: f64 = (1_u32 << 30) as f64;
        if self.low.0 > self.high.0 {
            return None;
        }
        let cut = |v: f64| v.clamp(-FAR, FAR);
        PixelBox::covering(
            cut(self.low.0 - margin),
            cut(self.low.1 - margin),
            cut(self.high.0 + margin),
            cut(self.high.1 + margin),
        )
    }
}
