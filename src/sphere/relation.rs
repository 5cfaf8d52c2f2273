//! [`Relation`]: how two closed regions lie to each other.

use std::fmt;

/// How region `a` lies to region `b`. Regions are closed sets: sharing one boundary point is an intersection.
///
/// ```
/// use bunter::Relation;
///
/// let equal = Relation::CONTAINS | Relation::WITHIN;
/// assert!(equal.intersects() && equal.contains() && equal.within());
/// assert_eq!(equal.to_string(), "CW");
/// assert!(!Relation::DISJOINT.intersects());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Relation(u8);

impl Relation {
    /// They share a point, and neither contains the other.
    pub const INTERSECTS: Self = Self(0);
    /// They share no point.
    pub const DISJOINT: Self = Self(1);
    /// `b` is a subset of `a`.
    pub const CONTAINS: Self = Self(2);
    /// `a` is a subset of `b`.
    pub const WITHIN: Self = Self(4);

    /// Whether they share no point.
    pub const fn disjoint(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether they share a point.
    pub const fn intersects(self) -> bool {
        !self.disjoint()
    }

    /// Whether `b` is a subset of `a`.
    pub const fn contains(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether `a` is a subset of `b`.
    pub const fn within(self) -> bool {
        self.0 & 4 != 0
    }

    /// The relation of `b` to `a`.
    #[must_use]
    pub const fn inverse(self) -> Self {
        Self((self.0 & 1) | ((self.0 & 2) << 1) | ((self.0 & 4) >> 1))
    }
}

impl std::ops::BitOr for Relation {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The letters the reference implementation uses: `D`, `C`, `W`, `CW` for equal, nothing for a plain intersection.
impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (is, letter) in [(self.disjoint(), "D"), (self.contains(), "C"), (self.within(), "W")] {
            if is {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Relation;

    #[test]
    fn inverse_swaps_contains_and_within() {
        assert_eq!(Relation::CONTAINS.inverse(), Relation::WITHIN);
        assert_eq!(Relation::WITHIN.inverse(), Relation::CONTAINS);
        assert_eq!(Relation::DISJOINT.inverse(), Relation::DISJOINT);
        let equal = Relation::CONTAINS | Relation::WITHIN;
        assert_eq!(equal.inverse(), equal);
        assert_eq!(Relation::INTERSECTS.to_string(), "");
    }
}
