//! [`RangeSet`]: sets of pixel indices.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitXor, Range, Sub};

use serde::{Deserialize, Serialize};

use super::SphereError;

/// A set of integers as sorted half-open ranges that neither overlap nor touch.
///
/// Pixel indices of a region on the sky ([`Pixelization::envelope`](super::Pixelization::envelope)) are few ranges of
/// many integers. Union, intersection and the other set operations take one walk over both sets. The largest integer
/// that a set can hold is 2^64 - 2.
///
/// Its numbers agree with `lsst.sphgeom.RangeSet`.
///
/// ```
/// use bunter::RangeSet;
///
/// let a = RangeSet::from_ranges([10..20, 3..5, 4..7]);
/// assert_eq!(a.to_string(), "3-7;10-20");
/// let b = RangeSet::from(5..12);
/// assert_eq!((&a & &b).to_string(), "5-7;10-12");
/// assert_eq!((&a - &b).to_string(), "3-5;12-20");
/// assert_eq!(a.cardinality(), 14);
/// assert!(a.contains(19) && !a.contains(20));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Range<u64>>", into = "Vec<Range<u64>>")]
pub struct RangeSet {
    ranges: Vec<Range<u64>>,
}

impl RangeSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// From ranges in any order, which may overlap; empty ones are left out. `O(n log n)`, and linear when they are
    /// sorted.
    pub fn from_ranges(ranges: impl IntoIterator<Item = Range<u64>>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().filter(|r| r.start < r.end).collect();
        if !ranges.is_sorted_by_key(|r| r.start) {
            ranges.sort_unstable_by_key(|r| r.start);
        }
        let mut kept = 0_usize;
        for i in 0..ranges.len() {
            let Range { start, end } = ranges[i].clone();
            match kept.checked_sub(1).map(|last| &mut ranges[last]) {
                Some(last) if start <= last.end => last.end = last.end.max(end),
                _ => {
                    ranges[kept] = start..end;
                    kept += 1;
                }
            }
        }
        ranges.truncate(kept);
        Self { ranges }
    }

    /// Adds a range that begins at or behind the last one's start: the fast way to build a set in order.
    pub(super) fn append(&mut self, range: Range<u64>) {
        match self.ranges.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => self.ranges.push(range),
        }
    }

    /// Adds one range. Linear in the number of ranges at worst; many are added at once by
    /// [`from_ranges`](Self::from_ranges) and [`union`](Self::union).
    pub fn insert(&mut self, range: Range<u64>) {
        if range.start >= range.end {
            return;
        }
        let first = self.ranges.partition_point(|r| r.end < range.start);
        let behind = self.ranges.partition_point(|r| r.start <= range.end);
        let joined = match self.ranges.get(first..behind) {
            Some([one]) => one.start.min(range.start)..one.end.max(range.end),
            Some([a, .., b]) => a.start.min(range.start)..b.end.max(range.end),
            _ => range,
        };
        self.ranges.splice(first..behind, [joined]);
    }

    /// The ranges, ascending; each ends before the next one begins.
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// Number of ranges.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Number of integers.
    pub fn cardinality(&self) -> u64 {
        // The ranges are disjoint and below 2^64: the sum fits.
        self.ranges.iter().map(|r| r.end - r.start).sum()
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Range<u64>> + DoubleEndedIterator + '_ {
        self.ranges.iter().cloned()
    }

    /// The integers, ascending.
    pub fn values(&self) -> impl Iterator<Item = u64> + '_ {
        self.ranges.iter().cloned().flatten()
    }

    /// The smallest range that holds the set.
    pub fn bounds(&self) -> Option<Range<u64>> {
        Some(self.ranges.first()?.start..self.ranges.last()?.end)
    }

    /// Whether the integer is in the set.
    pub fn contains(&self, value: u64) -> bool {
        let behind = self.ranges.partition_point(|r| r.start <= value);
        behind > 0 && value < self.ranges[behind - 1].end
    }

    /// Whether the whole range is in the set. The empty range is in every set.
    pub fn contains_range(&self, range: Range<u64>) -> bool {
        let behind = self.ranges.partition_point(|r| r.start <= range.start);
        range.is_empty() || (behind > 0 && range.end <= self.ranges[behind - 1].end)
    }

    /// Whether the set holds an integer of the range.
    pub fn intersects_range(&self, range: Range<u64>) -> bool {
        let at = self.ranges.partition_point(|r| r.end <= range.start);
        !range.is_empty() && self.ranges.get(at).is_some_and(|r| r.start < range.end)
    }

    /// Whether every integer of `other` is in this set.
    pub fn contains_set(&self, other: &Self) -> bool {
        let mut at = 0;
        other.ranges.iter().all(|r| {
            while self.ranges.get(at).is_some_and(|own| own.end < r.end) {
                at += 1;
            }
            self.ranges.get(at).is_some_and(|own| own.start <= r.start)
        })
    }

    /// Whether every integer of this set is in `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        other.contains_set(self)
    }

    /// Whether the sets share an integer.
    pub fn intersects(&self, other: &Self) -> bool {
        let (mut i, mut j) = (0, 0);
        while let (Some(a), Some(b)) = (self.ranges.get(i), other.ranges.get(j)) {
            if a.end <= b.start {
                i += 1;
            } else if b.end <= a.start {
                j += 1;
            } else {
                return true;
            }
        }
        false
    }

    /// Whether the sets share no integer.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        !self.intersects(other)
    }

    /// Integers in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a | b)
    }

    /// Integers in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a & b)
    }

    /// Integers in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a & !b)
    }

    /// Integers in one of the sets and not in both.
    #[must_use]
    pub fn symmetric_difference(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a ^ b)
    }

    /// Integers of `universe` that are not in this set.
    #[must_use]
    pub fn complement(&self, universe: Range<u64>) -> Self {
        Self::from(universe).difference(self)
    }

    /// One walk over the borders of both sets. `keep` is asked whether an integer stays that is or is not in either; not
    /// that which is in neither.
    fn combine(&self, other: &Self, keep: impl Fn(bool, bool) -> bool) -> Self {
        // Borders 2 k and 2 k + 1 are begin and end of range k: behind an odd number of borders lies the inside.
        let border = |set: &Self, k: usize| {
            let range = set.ranges.get(k / 2)?;
            Some(if k.is_multiple_of(2) { range.start } else { range.end })
        };
        let mut result = Vec::with_capacity(self.len().max(other.len()));
        let (mut i, mut j, mut begin) = (0, 0, None);
        let (mut a, mut b) = (border(self, 0), border(other, 0));
        loop {
            let at = match (a, b) {
                (Some(a), Some(b)) => a.min(b),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => return Self { ranges: result },
            };
            if a == Some(at) {
                i += 1;
                a = border(self, i);
            }
            if b == Some(at) {
                j += 1;
                b = border(other, j);
            }
            match (keep(i % 2 == 1, j % 2 == 1), begin) {
                (true, None) => begin = Some(at),
                (false, Some(from)) => {
                    result.push(from..at);
                    begin = None;
                }
                _ => {}
            }
        }
    }

    /// Begin and end of each range multiplied: pixels of one level as pixels of a deeper one (a factor of 4 a level).
    ///
    /// # Errors
    /// [`SphereError::BadIndex`] when an end leaves 64 bits.
    pub fn scaled(&self, factor: u64) -> Result<Self, SphereError> {
        let times = |v: u64| {
            let expected = || format!("{} at most, to be multiplied by {factor}", u64::MAX / factor);
            v.checked_mul(factor).ok_or_else(|| SphereError::BadIndex { scheme: "a range set", index: v, expected: expected() })
        };
        let mut scaled = Self { ranges: Vec::with_capacity(self.len()) };
        for r in self.ranges.iter().filter(|_| factor > 0) {
            scaled.append(times(r.start)?..times(r.end)?);
        }
        Ok(scaled)
    }

    /// The set widened to multiples of `2^bits`: fewer ranges that hold at least the same integers. Beyond 2^64 - 1 an end
    /// stays there.
    #[must_use]
    pub fn simplified(&self, bits: u32) -> Self {
        let Some(mask) = 1_u64.checked_shl(bits).map(|unit| unit - 1) else {
            return Self::from_ranges(self.bounds().map(|_| 0..u64::MAX));
        };
        let mut result = Self { ranges: Vec::with_capacity(self.len()) };
        for r in &self.ranges {
            result.append(r.start & !mask..r.end.checked_add(mask).map_or(u64::MAX, |end| end & !mask));
        }
        result
    }

    /// The set of `value >> bits`: pixels of one level as the pixels around them of a higher one (2 bits a level).
    #[must_use]
    pub fn coarsened(&self, bits: u32) -> Self {
        let mut result = Self { ranges: Vec::with_capacity(self.len()) };
        for r in &self.ranges {
            let shift = |v: u64| v.checked_shr(bits).unwrap_or(0);
            result.append(shift(r.start)..shift(r.end - 1) + 1);
        }
        result
    }

    /// The set in at most `limit` ranges (1 at least): the narrowest gaps are filled.
    #[must_use]
    pub fn filled(&self, limit: usize) -> Self {
        let limit = limit.max(1);
        if self.len() <= limit {
            return self.clone();
        }
        let mut gaps: Vec<_> = self.ranges.windows(2).map(|pair| pair[1].start - pair[0].end).collect();
        let fill = self.len() - limit;
        let (_, widest, _) = gaps.select_nth_unstable(fill - 1);
        let widest = *widest;
        let narrower = self.ranges.windows(2).filter(|pair| pair[1].start - pair[0].end < widest).count();
        let mut as_wide = fill - narrower;
        let mut result = Self { ranges: Vec::with_capacity(limit) };
        for r in &self.ranges {
            let Some(last) = result.ranges.last_mut() else {
                result.ranges.push(r.clone());
                continue;
            };
            let gap = r.start - last.end;
            let equal = gap == widest && as_wide > 0;
            as_wide -= usize::from(equal);
            if gap < widest || equal {
                last.end = r.end;
            } else {
                result.ranges.push(r.clone());
            }
        }
        result
    }

    /// The longest `limit` ranges of the set.
    #[must_use]
    pub fn longest(&self, limit: usize) -> Self {
        if self.len() <= limit {
            return self.clone();
        }
        let mut ranges = self.ranges.clone();
        ranges.sort_by_key(|r| std::cmp::Reverse(r.end - r.start));
        ranges.truncate(limit);
        Self::from_ranges(ranges)
    }
}

impl From<Range<u64>> for RangeSet {
    fn from(range: Range<u64>) -> Self {
        Self::from_ranges([range])
    }
}

impl From<Vec<Range<u64>>> for RangeSet {
    fn from(ranges: Vec<Range<u64>>) -> Self {
        Self::from_ranges(ranges)
    }
}

impl From<RangeSet> for Vec<Range<u64>> {
    fn from(set: RangeSet) -> Self {
        set.ranges
    }
}

impl FromIterator<Range<u64>> for RangeSet {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        Self::from_ranges(ranges)
    }
}

/// The integers one by one, in any order; 2^64 - 1 is left out.
impl FromIterator<u64> for RangeSet {
    fn from_iter<I: IntoIterator<Item = u64>>(values: I) -> Self {
        Self::from_ranges(values.into_iter().map(|v| v..v.saturating_add(1)))
    }
}

impl<'s> IntoIterator for &'s RangeSet {
    type Item = Range<u64>;
    type IntoIter = std::iter::Cloned<std::slice::Iter<'s, Range<u64>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.ranges.iter().cloned()
    }
}

impl BitOr for &RangeSet {
    type Output = RangeSet;

    fn bitor(self, other: Self) -> RangeSet {
        self.union(other)
    }
}

impl BitAnd for &RangeSet {
    type Output = RangeSet;

    fn bitand(self, other: Self) -> RangeSet {
        self.intersection(other)
    }
}

impl Sub for &RangeSet {
    type Output = RangeSet;

    fn sub(self, other: Self) -> RangeSet {
        self.difference(other)
    }
}

impl BitXor for &RangeSet {
    type Output = RangeSet;

    fn bitxor(self, other: Self) -> RangeSet {
        self.symmetric_difference(other)
    }
}

/// `begin-end;begin-end`, ends excluded.
impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, r) in self.ranges.iter().enumerate() {
            let semicolon = if i == 0 { "" } else { ";" };
            write!(f, "{semicolon}{}-{}", r.start, r.end)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    type Ranges = Vec<(u64, u64)>;

    fn set(ranges: &Ranges) -> (RangeSet, BTreeSet<u64>) {
        let set = RangeSet::from_ranges(ranges.iter().map(|(at, n)| *at..at + n));
        (set, ranges.iter().flat_map(|(at, n)| *at..at + n).collect())
    }

    fn is(set: &RangeSet, expected: &BTreeSet<u64>) -> bool {
        let sorted = set.ranges().windows(2).all(|pair| pair[0].end < pair[1].start);
        sorted && set.ranges().iter().all(|r| r.start < r.end) && set.values().eq(expected.iter().copied())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        #[test]
        fn algebra_agrees_with_sets_of_integers(
            a in proptest::collection::vec((0_u64..120, 0_u64..12), 0..14),
            b in proptest::collection::vec((0_u64..120, 0_u64..12), 0..14),
            bits in 0_u32..5, limit in 1_usize..6,
        ) {
            let ((a, slow_a), (b, slow_b)) = (set(&a), set(&b));
            prop_assert!(is(&a, &slow_a));
            prop_assert!(is(&(&a | &b), &(&slow_a | &slow_b)));
            prop_assert!(is(&(&a & &b), &(&slow_a & &slow_b)));
            prop_assert!(is(&(&a - &b), &(&slow_a - &slow_b)));
            prop_assert!(is(&(&a ^ &b), &(&slow_a ^ &slow_b)));
            prop_assert!(is(&a.complement(5..130), &(5..130).filter(|v| !slow_a.contains(v)).collect()));
            prop_assert_eq!(a.contains_set(&b), slow_b.is_subset(&slow_a));
            prop_assert_eq!(a.is_within(&b), slow_a.is_subset(&slow_b));
            prop_assert_eq!(a.is_disjoint(&b), slow_a.is_disjoint(&slow_b));
            prop_assert_eq!(a.cardinality(), slow_a.len() as u64);
            prop_assert!((0..140).all(|v| a.contains(v) == slow_a.contains(&v)));
            for r in &b {
                prop_assert_eq!(a.contains_range(r.clone()), r.clone().all(|v| slow_a.contains(&v)));
                prop_assert_eq!(a.intersects_range(r.clone()), r.clone().any(|v| slow_a.contains(&v)));
            }
            let unit = 1 << bits;
            let wide = slow_a.iter().flat_map(|v| { let at = v / unit * unit; at..at + unit }).collect();
            prop_assert!(is(&a.simplified(bits), &wide));
            prop_assert!(is(&a.coarsened(bits), &slow_a.iter().map(|v| v >> bits).collect()));
            prop_assert_eq!(a.scaled(unit).unwrap().coarsened(bits), a.clone());
            let mut inserted = a.clone();
            b.iter().for_each(|r| inserted.insert(r));
            prop_assert_eq!(inserted, &a | &b);
            let (filled, longest) = (a.filled(limit), a.longest(limit));
            prop_assert!(filled.len() <= limit && longest.len() <= limit);
            prop_assert!(filled.contains_set(&a) && a.contains_set(&longest));
            prop_assert_eq!(filled.len(), a.len().min(limit));
            prop_assert_eq!(RangeSet::from_iter(slow_a.iter().copied()), a);
        }
    }

    #[test]
    fn the_edges_of_64_bits() {
        let end = RangeSet::from(u64::MAX - 3..u64::MAX);
        assert_eq!(end.simplified(4), RangeSet::from(u64::MAX - 15..u64::MAX));
        assert_eq!(end.simplified(64), RangeSet::from(0..u64::MAX));
        assert_eq!(end.coarsened(64), RangeSet::from(0..1));
        assert!(end.scaled(2).unwrap_err().to_string().contains("at most"));
        assert_eq!(end.scaled(0).unwrap(), RangeSet::new());
        assert_eq!(end.complement(0..u64::MAX).cardinality(), u64::MAX - 3);
        assert_eq!(RangeSet::from_iter([u64::MAX, 3]).cardinality(), 1);
        assert_eq!(RangeSet::new().simplified(70), RangeSet::new());
        #[expect(clippy::reversed_empty_ranges, reason = "what is refused")]
        let reversed = RangeSet::from(7..3);
        assert!(reversed.is_empty());
    }
}
