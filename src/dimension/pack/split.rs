//! Long columns cut into parts, and the parts shared among threads.

#![expect(clippy::inline_always, reason = "what runs in SIMD must be compiled with the caller's instruction set")]

use std::ops::Range;

use ndarray::ArrayViewMut1;

use super::column::{Int, IntViewMut, with_view};
use super::kernels::STEP;
use super::rows::Faults;

/// Rows that one thread does without looking up: half a megabyte of integers.
const PART: usize = 64 * STEP;

/// Where to cut `rows` in two, when they are more than one thread's part.
pub(super) fn middle(rows: usize) -> Option<usize> {
    (rows > PART).then(|| (rows / 2).next_multiple_of(STEP))
}

/// The faults of both halves, done side by side when there are threads for it.
pub(super) fn joined<P: Copy + Send>(
    left: impl FnOnce() -> Faults<P> + Send,
    right: impl FnOnce() -> Faults<P> + Send,
) -> Faults<P> {
    let (left, right) = if rayon::current_num_threads() > 1 { rayon::join(left, right) } else { (left(), right()) };
    left.then(right)
}

/// Rows of a column as 64-bit numbers in place, when it is of such and they lie side by side.
#[inline(always)]
pub(super) fn contiguous<'a>(column: &'a mut IntViewMut<'_>, rows: Range<usize>) -> Option<&'a mut [u64]> {
    match column {
        IntViewMut::U64(v) => v.as_slice_mut().map(|v| &mut v[rows]),
        IntViewMut::I64(v) => v.as_slice_mut().map(|v| bytemuck::cast_slice_mut(&mut v[rows])),
        _ => None,
    }
}

/// Integers into a column of another type or with gaps.
#[inline(always)]
pub(super) fn store(ids: &[u64], out: &mut IntViewMut<'_>) {
    #[inline(always)]
    fn put<T: Int>(ids: &[u64], out: &mut ArrayViewMut1<'_, T>) {
        for (out, id) in out.iter_mut().zip(ids) {
            *out = T::narrow(*id);
        }
    }
    with_view!(IntViewMut, out, v => put(ids, v));
}

/// One integer into a column.
pub(super) fn put<T: Int>(view: &mut ArrayViewMut1<'_, T>, row: usize, value: u64) {
    if let Some(place) = view.get_mut(row) {
        *place = T::narrow(value);
    }
}
