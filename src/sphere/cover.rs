//! Which cells of a quad tree on the sphere touch a region, and which lie inside it?

use super::RangeSet;

/// How a cell lies to the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They share no point.
    Outside,
    /// They share a point; or so nearly that it cannot be told.
    Partial,
    /// The cell is a subset of the region.
    Inside,
}

/// A tree of cells, asked about one region. The cells below cell `i` are `4 i` to `4 i + 3`.
pub(super) trait Cells {
    type Cell;

    /// The cells of level 0 with their indices, ascending.
    fn roots(&self) -> impl Iterator<Item = (u64, Self::Cell)>;

    /// The four cells below, in the order of their indices.
    fn split(&self, cell: &Self::Cell) -> [Self::Cell; 4];

    fn judge(&self, cell: &Self::Cell) -> Verdict;
}

/// Which cells are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// All that touch the region.
    Envelope,
    /// All inside it.
    Interior,
}

/// The cells of a level that touch the region or lie inside it, in at most `limit` ranges.
///
/// With a limit the tree is descended only until there are some times more ranges than asked for: the work is bounded at
/// any level.
pub(super) fn cover<C: Cells>(cells: &C, level: u8, limit: Option<usize>, side: Side) -> RangeSet {
    let Some(limit) = limit else {
        return at_depth(cells, level, 0, side);
    };
    let mut set = RangeSet::new();
    for depth in 0..=level {
        set = at_depth(cells, depth, level - depth, side);
        if set.len() > limit.saturating_mul(4) {
            break;
        }
    }
    match side {
        Side::Envelope => set.filled(limit),
        Side::Interior => set.longest(limit),
    }
}

/// The cells found by descending to `depth`, as ranges of a level `below` deeper.
fn at_depth<C: Cells>(cells: &C, depth: u8, below: u8, side: Side) -> RangeSet {
    let mut set = RangeSet::new();
    for (index, cell) in cells.roots() {
        visit(cells, index, &cell, depth, below, side, &mut set);
    }
    set
}

fn visit<C: Cells>(cells: &C, index: u64, cell: &C::Cell, left: u8, below: u8, side: Side, set: &mut RangeSet) {
    let all = |set: &mut RangeSet| {
        let bits = 2 * u32::from(left + below);
        set.append(index << bits..(index + 1) << bits);
    };
    match cells.judge(cell) {
        Verdict::Outside => {}
        Verdict::Inside => all(set),
        Verdict::Partial if left == 0 => {
            if side == Side::Envelope {
                all(set);
            }
        }
        Verdict::Partial => {
            for (child, cell) in (0..).zip(cells.split(cell)) {
                visit(cells, 4 * index + child, &cell, left - 1, below, side, set);
            }
        }
    }
}
