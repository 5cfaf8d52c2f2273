//! [`DetectorIndex`]: which detectors may hold a point of the focal plane.

use super::placement::Placement;

/// A grid of cells over the focal plane, each with the detectors that reach into it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DetectorIndex {
    low: (f64, f64),
    cells_per_mm: (f64, f64),
    columns: usize,
    rows: usize,
    /// Where the detectors of a cell begin in `detectors`.
    begins: Vec<u32>,
    detectors: Vec<u32>,
}

impl DetectorIndex {
    pub(super) fn new(places: impl Iterator<Item = Placement>) -> Self {
        let boxes: Vec<_> = places.map(bounds).collect();
        let (mut low, mut high) = ((f64::INFINITY, f64::INFINITY), (f64::NEG_INFINITY, f64::NEG_INFINITY));
        for (a, b) in &boxes {
            low = (low.0.min(a.0), low.1.min(a.1));
            high = (high.0.max(b.0), high.1.max(b.1));
        }
        // About two cells a side of a detector.
        let side = (4 * boxes.len()).isqrt().clamp(1, 256);
        let per_mm = |low: f64, high: f64| if high > low { side as f64 / (high - low) } else { 0.0 };
        let cells_per_mm = (per_mm(low.0, high.0), per_mm(low.1, high.1));
        let mut index = Self { low, cells_per_mm, columns: side, rows: side, begins: vec![0], detectors: Vec::new() };
        let spans: Vec<_> = boxes.iter().map(|(a, b)| (index.clamped(a.0, a.1), index.clamped(b.0, b.1))).collect();
        for row in 0..side {
            for column in 0..side {
                for (i, (from, to)) in spans.iter().enumerate() {
                    if (from.0..=to.0).contains(&column) && (from.1..=to.1).contains(&row) {
                        index.detectors.push(i as u32);
                    }
                }
                index.begins.push(index.detectors.len() as u32);
            }
        }
        index
    }

    fn cell(&self, x: f64, y: f64) -> (f64, f64) {
        ((x - self.low.0) * self.cells_per_mm.0, (y - self.low.1) * self.cells_per_mm.1)
    }

    fn clamped(&self, x: f64, y: f64) -> (usize, usize) {
        let (column, row) = self.cell(x, y);
        // A negative number becomes 0.
        ((column as usize).min(self.columns - 1), (row as usize).min(self.rows - 1))
    }

    /// Indices of detectors, ascending, that may hold a point.
    #[inline]
    pub(super) fn candidates(&self, x: f64, y: f64) -> &[u32] {
        let (column, row) = self.cell(x, y);
        let outside = |cell: f64, cells: usize| cell < -1e-6 || cell > cells as f64 + 1e-6;
        if outside(column, self.columns) || outside(row, self.rows) {
            return &[];
        }
        let (column, row) = self.clamped(x, y);
        let cell = row * self.columns + column;
        &self.detectors[self.begins[cell] as usize..self.begins[cell + 1] as usize]
    }
}

/// A box around a detector, a little wider.
fn bounds(place: Placement) -> ((f64, f64), (f64, f64)) {
    const WIDER: f64 = 1e-6;
    let corners = place.corners();
    let fold = |pick: fn(&(f64, f64)) -> f64, best: fn(f64, f64) -> f64, start: f64| {
        corners.iter().map(pick).fold(start, best)
    };
    let low = (fold(|c| c.0, f64::min, f64::INFINITY), fold(|c| c.1, f64::min, f64::INFINITY));
    let high = (fold(|c| c.0, f64::max, f64::NEG_INFINITY), fold(|c| c.1, f64::max, f64::NEG_INFINITY));
    ((low.0 - WIDER, low.1 - WIDER), (high.0 + WIDER, high.1 + WIDER))
}

/// Pairs of detectors that lie over each other by more than rounding, with by how much (mm).
pub(super) fn overlapping(places: &[Placement]) -> Vec<(usize, usize, f64)> {
    let boxes: Vec<_> = places.iter().map(|p| bounds(*p)).collect();
    let mut pairs = Vec::new();
    for (i, a) in places.iter().enumerate() {
        for (j, b) in places.iter().enumerate().skip(i + 1) {
            let ((low, high), (from, to)) = (boxes[i], boxes[j]);
            let near = low.0 <= to.0 && from.0 <= high.0 && low.1 <= to.1 && from.1 <= high.1;
            if near {
                let depth = a.overlap(*b);
                if depth > 1e-3 {
                    pairs.push((i, j, depth));
                }
            }
        }
    }
    pairs
}
