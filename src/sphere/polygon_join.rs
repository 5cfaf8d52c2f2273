//! All pairs of polygons of two columns that touch, at once or in chunks.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::polygon_index::{Bounds, bounds_of, check_row};
use super::{PolygonColumns, PolygonIndex, SphereError};

/// Pairs of rows, as two columns of equal length, sorted by left, then right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolygonPairs {
    /// Row of the left polygon.
    pub left: Vec<u32>,
    /// Row of the right polygon.
    pub right: Vec<u32>,
}

impl PolygonPairs {
    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.left.len()
    }

    /// Whether nothing touches.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }
}

/// All pairs of a left and a right polygon that share a point, exactly, touching included; on all threads of the current rayon
/// pool. The result does not depend on their number.
///
/// ```
/// use bunter::{ConvexPolygon, PolygonBuffer, join_polygons};
///
/// let square = |lon: f64| ConvexPolygon::from_degrees(&[(lon, 0.0), (lon + 1.0, 0.0), (lon + 1.0, 1.0), (lon, 1.0)]);
/// let left: PolygonBuffer = [square(0.0)?, square(7.5)?].iter().collect();
/// let right: PolygonBuffer = [square(8.0)?, square(1.0)?, square(7.0)?].iter().collect();
/// let pairs = join_polygons(&left.columns()?, &right.columns()?)?;
/// assert_eq!((pairs.left, pairs.right), (vec![0, 1, 1], vec![1, 0, 2]));
/// # Ok::<(), bunter::SphereError>(())
/// ```
///
/// # Errors
/// [`SphereError::BadColumns`] for more than 2^32 polygons.
pub fn join_polygons(left: &PolygonColumns<'_>, right: &PolygonColumns<'_>) -> Result<PolygonPairs, SphereError> {
    // The index goes over the smaller side; pairs found from the other one are turned round.
    if left.len() >= right.len() / 4 {
        return PolygonIndex::build(right)?.join(right, left);
    }
    let PolygonPairs { left: from, right: to } = PolygonIndex::build(left)?.join(left, right)?;
    let mut next = vec![0_usize; left.len() + 1];
    for row in &to {
        next[*row as usize + 1] += 1;
    }
    for i in 0..left.len() {
        next[i + 1] += next[i];
    }
    let mut pairs = PolygonPairs { left: vec![0; to.len()], right: vec![0; to.len()] };
    // Rows of the right side come in order, and keep it.
    for (right, left) in from.iter().zip(&to) {
        let at = &mut next[*left as usize];
        (pairs.left[*at], pairs.right[*at]) = (*left, *right);
        *at += 1;
    }
    Ok(pairs)
}

/// [`join_polygons`] in bounded memory: `emit` is given `chunk` pairs at a time, fewer at the end, in the order of the whole. It
/// runs beside the search for the next ones.
///
/// # Errors
/// The first error of `emit`, and those of [`join_polygons`].
pub fn join_polygons_chunks<E: From<SphereError> + Send>(
    left: &PolygonColumns<'_>,
    right: &PolygonColumns<'_>,
    chunk: usize,
    emit: impl FnMut(PolygonPairs) -> Result<(), E> + Send,
) -> Result<(), E> {
    PolygonIndex::build(right)?.join_chunks(right, left, chunk, emit)
}

impl PolygonIndex<'_> {
    /// All pairs of a polygon of `left` and an indexed one, of the columns `right`, that share a point; as [`join_polygons`].
    ///
    /// # Errors
    /// [`SphereError::BadColumns`] when this cannot be the index of `right`.
    pub fn join(&self, right: &PolygonColumns<'_>, left: &PolygonColumns<'_>) -> Result<PolygonPairs, SphereError> {
        let mut all = PolygonPairs::default();
        self.join_chunks(right, left, usize::MAX, |pairs| -> Result<(), SphereError> {
            all = pairs;
            Ok(())
        })?;
        Ok(all)
    }

    /// [`join`](Self::join) in bounded memory; as [`join_polygons_chunks`].
    ///
    /// # Errors
    /// The first error of `emit`, and those of [`join`](Self::join).
    pub fn join_chunks<E: From<SphereError> + Send>(
        &self,
        right: &PolygonColumns<'_>,
        left: &PolygonColumns<'_>,
        chunk: usize,
        mut emit: impl FnMut(PolygonPairs) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        self.check_length(right)?;
        if u32::try_from(left.len()).is_err() {
            let problem = format!("{} polygons are more than a join numbers, 2^32", left.len());
            return Err(SphereError::BadColumns { problem }.into());
        }
        let work = |rows: Range<usize>, space: &mut Space, out: &mut [Vec<u32>; 2], limit: usize| {
            Block { index: self, left, right, limit }.join(rows, space, out).map_err(E::from)
        };
        stream(left.len(), chunk, work, |[left, right]| emit(PolygonPairs { left, right }))
    }
}

/// Space used again and again.
#[derive(Default)]
struct Space {
    bounds: Vec<Bounds>,
    groups: Vec<u32>,
}

/// A few left polygons at a time: those that lie together look at the same groups of the index.
struct Block<'j> {
    index: &'j PolygonIndex<'j>,
    left: &'j PolygonColumns<'j>,
    right: &'j PolygonColumns<'j>,
    limit: usize,
}

/// More groups than this are too many for all polygons of a block to look at.
const GROUPS: usize = 24;

impl Block<'_> {
    fn join(&self, rows: Range<usize>, space: &mut Space, out: &mut [Vec<u32>; 2]) -> Result<usize, SphereError> {
        space.bounds.clear();
        space.bounds.extend(rows.clone().map(|row| bounds_of(self.left, row)));
        self.part(rows.start, rows.clone(), space, out)
    }

    /// Returns the row after the last one that was done: fewer than asked for when there are more than `limit` pairs.
    fn part(
        &self,
        first: usize,
        rows: Range<usize>,
        space: &mut Space,
        out: &mut [Vec<u32>; 2],
    ) -> Result<usize, SphereError> {
        let bounds = &space.bounds[rows.start - first..rows.end - first];
        let all = bounds.iter().fold(
            [f32::INFINITY, f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY],
            |all, b| std::array::from_fn(|i| if i < 3 { all[i].min(b[i]) } else { all[i].max(b[i]) }),
        );
        space.groups.clear();
        let few = self.index.groups(&all, GROUPS, &mut space.groups);
        if !few && rows.len() > 1 {
            let middle = usize::midpoint(rows.start, rows.end);
            let done = self.part(first, rows.start..middle, space, out)?;
            if done < middle || out[0].len() > self.limit {
                return Ok(done);
            }
            return self.part(first, middle..rows.end, space, out);
        }
        let [left, right] = out;
        for (row, bounds) in rows.clone().zip(bounds) {
            let start = right.len();
            if few {
                let mut bad = None;
                for group in &space.groups {
                    self.index.members(*group, bounds, |other| {
                        if let Err(error) = check_row(self.right, other) {
                            bad = Some(error);
                        } else if self.left.relate(row, self.right, other as usize).intersects() {
                            right.push(other);
                        }
                    });
                }
                if let Some(error) = bad {
                    return Err(error);
                }
                right[start..].sort_unstable();
            } else {
                self.index.query_polygon(self.right, &self.left.polygon(row), right)?;
            }
            left.resize(right.len(), row as u32);
            if right.len() > self.limit {
                return Ok(row + 1);
            }
        }
        Ok(rows.end)
    }
}

/// Rows that one thread takes at a time, and those that `work` is given at once.
const GRAIN: usize = 2048;
const BLOCK: usize = 32;
/// Values that may wait to be handed on, all threads together; 8 or 12 bytes each.
const WAITING: usize = 16 << 20;

/// A range of rows, and what its first rows gave.
struct Piece<const N: usize> {
    rows: Range<usize>,
    out: [Vec<u32>; N],
}

/// Runs `work` over `0..rows` on all threads and hands what it appends to `N` columns of equal length to `emit`, in the order of the rows,
/// `chunk` entries at a time. At most some ten million entries wait, plus those of one row a thread.
///
/// `work` is given rows, space of its own, the columns, and a length from which on it should stop early; it returns
/// the first row that it did not do, and does at least one.
pub(crate) fn stream<const N: usize, S: Default + Send, E: Send>(
    rows: usize,
    chunk: usize,
    work: impl Fn(Range<usize>, &mut S, &mut [Vec<u32>; N], usize) -> Result<usize, E> + Sync,
    emit: impl FnMut([Vec<u32>; N]) -> Result<(), E> + Send,
) -> Result<(), E> {
    stream_within(WAITING, rows, chunk, work, emit)
}

fn stream_within<const N: usize, S: Default + Send, E: Send>(
    most: usize,
    rows: usize,
    chunk: usize,
    work: impl Fn(Range<usize>, &mut S, &mut [Vec<u32>; N], usize) -> Result<usize, E> + Sync,
    emit: impl FnMut([Vec<u32>; N]) -> Result<(), E> + Send,
) -> Result<(), E> {
    let width = 16 * rayon::current_num_threads();
    let mut chunks = Chunks { size: chunk.max(1), held: std::array::from_fn(|_| Vec::new()), emit };
    let mut pieces: VecDeque<Piece<N>> = VecDeque::new();
    let mut next = 0;
    let mut ready: Vec<[Vec<u32>; N]> = Vec::new();
    loop {
        while pieces.len() < width && next < rows {
            let end = (next + GRAIN).min(rows);
            pieces.push_back(Piece { rows: next..end, out: std::array::from_fn(|_| Vec::new()) });
            next = end;
        }
        let waiting = AtomicUsize::new(pieces.iter().map(|p| p.out[0].len()).sum());
        let compute = || -> Result<(), E> {
            let one = |space: &mut S, (place, piece): (usize, &mut Piece<N>)| -> Result<(), E> {
                // The first piece can always be handed on; the others stop when too much waits for it.
                while !piece.rows.is_empty() && (place == 0 || waiting.load(Ordering::Relaxed) < most) {
                    let before = piece.out[0].len();
                    if place == 0 && before >= most {
                        break;
                    }
                    let block = piece.rows.start..piece.rows.end.min(piece.rows.start + BLOCK);
                    piece.rows.start = work(block, space, &mut piece.out, most)?.max(piece.rows.start + 1);
                    waiting.fetch_add(piece.out[0].len() - before, Ordering::Relaxed);
                }
                Ok(())
            };
            pieces.par_iter_mut().enumerate().with_max_len(1).try_for_each_init(S::default, one)
        };
        let hand_on = || ready.drain(..).try_for_each(|part| chunks.add(part));
        let (computed, handed) = rayon::join(compute, hand_on);
        handed?;
        computed?;
        while let Some(piece) = pieces.front_mut() {
            ready.push(std::mem::replace(&mut piece.out, std::array::from_fn(|_| Vec::new())));
            if !piece.rows.is_empty() {
                break;
            }
            pieces.pop_front();
        }
        if pieces.is_empty() && next >= rows {
            ready.drain(..).try_for_each(|part| chunks.add(part))?;
            return chunks.finish();
        }
    }
}

/// Columns cut to one length.
struct Chunks<const N: usize, F> {
    size: usize,
    held: [Vec<u32>; N],
    emit: F,
}

impl<const N: usize, E, F: FnMut([Vec<u32>; N]) -> Result<(), E>> Chunks<N, F> {
    fn add(&mut self, part: [Vec<u32>; N]) -> Result<(), E> {
        let mut from = 0;
        loop {
            let take = (part[0].len() - from).min(self.size - self.held[0].len());
            for (held, part) in self.held.iter_mut().zip(&part) {
                held.extend_from_slice(&part[from..from + take]);
            }
            from += take;
            if self.held[0].len() < self.size {
                return Ok(());
            }
            let full = std::mem::replace(&mut self.held, std::array::from_fn(|_| Vec::with_capacity(self.size)));
            (self.emit)(full)?;
        }
    }

    fn finish(mut self) -> Result<(), E> {
        if self.held[0].is_empty() { Ok(()) } else { (self.emit)(self.held) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row `r` gives `r % 7` entries, and every 5,000th row 3,000.
    fn entries(row: usize) -> usize {
        if row % 5000 == 4999 { 3000 } else { row % 7 }
    }

    #[test]
    fn chunks_are_the_whole_whatever_may_wait() {
        const ROWS: usize = 40_000;
        let whole: Vec<u32> = (0..ROWS).flat_map(|row| std::iter::repeat_n(row as u32, entries(row))).collect();
        let work = |rows: Range<usize>, (): &mut (), out: &mut [Vec<u32>; 1], limit: usize| {
            for row in rows.clone() {
                out[0].resize(out[0].len() + entries(row), row as u32);
                if out[0].len() > limit {
                    return Ok(row + 1);
                }
            }
            Ok(rows.end)
        };
        for (most, chunk) in [(1, 1000), (100, 1), (5000, 4096), (1 << 20, 100_000), (1 << 20, usize::MAX)] {
            let mut all = Vec::new();
            let done: Result<(), ()> = stream_within(most, ROWS, chunk, work, |[part]| {
                assert!(part.len() == chunk || all.len() + part.len() == whole.len());
                all.extend(part);
                Ok(())
            });
            assert!(done.is_ok() && all == whole, "{most} {chunk}");
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        let work = |rows: Range<usize>, (): &mut (), out: &mut [Vec<u32>; 1], _: usize| {
            if rows.contains(&9000) {
                return Err("work");
            }
            out[0].extend(rows.clone().map(|r| r as u32));
            Ok(rows.end)
        };
        assert_eq!(stream(10_000, 100, work, |_| Ok(())), Err("work"));
        let mut told = 0;
        let emit = |_: [Vec<u32>; 1]| {
            told += 1;
            Err("emit")
        };
        assert_eq!(stream(8000, 100, work, emit), Err("emit"));
        assert_eq!(told, 1);
    }
}
