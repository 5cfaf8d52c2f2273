//! [`Expression::values_of`]: which values of a dimension an expression leaves open.

use super::{Comparison, Expression, InItem, Literal, Operand};

/// Lists longer than this are no shorter way to find rows than looking at all.
const MOST_VALUES: usize = 1 << 20;

impl Expression {
    /// The only values of an integer dimension for which the expression can be true, sorted; `None` where it does not say.
    ///
    /// For whoever computes rows instead of looking them up: `tract = 9813 AND patch < 5` needs one tract of a sky map, not
    /// all. The expression must still be asked about each row.
    ///
    /// ```
    /// let filter = bunter::Expression::parse("tract IN (3..5, 9) AND patch < 5")?;
    /// assert_eq!(filter.values_of("tract"), Some(vec![3, 4, 5, 9]));
    /// assert_eq!(filter.values_of("patch"), None);
    /// # Ok::<(), bunter::ExpressionError>(())
    /// ```
    pub fn values_of(&self, dimension: &str) -> Option<Vec<i64>> {
        let is = |operand: &Operand| operand.is_dimension(dimension);
        match self {
            Self::And(a, b) => match (a.values_of(dimension), b.values_of(dimension)) {
                (Some(mut a), Some(b)) => {
                    a.retain(|v| b.binary_search(v).is_ok());
                    Some(a)
                }
                (a, b) => a.or(b),
            },
            Self::Or(a, b) => {
                let mut all = a.values_of(dimension)?;
                all.extend(b.values_of(dimension)?);
                Some(sorted(all))
            }
            Self::Compare(Comparison::Eq, a, Operand::Literal(Literal::Int(v))) if is(a) => Some(vec![*v]),
            Self::Compare(Comparison::Eq, Operand::Literal(Literal::Int(v)), b) if is(b) => Some(vec![*v]),
            Self::In { operand, items, negated: false } if is(operand) => {
                let mut all = Vec::new();
                for item in items {
                    match item {
                        InItem::Value(Literal::Int(v)) => all.push(*v),
                        InItem::Value(_) => {}
                        InItem::Range { start, stop, step } => {
                            let values = (*start..=*stop).step_by(usize::try_from(*step).ok()?.max(1));
                            all.extend(values.take(MOST_VALUES));
                        }
                    }
                    if all.len() >= MOST_VALUES {
                        return None;
                    }
                }
                Some(sorted(all))
            }
            _ => None,
        }
    }
}

fn sorted(mut values: Vec<i64>) -> Vec<i64> {
    values.sort_unstable();
    values.dedup();
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certain() {
        let values = |text: &str| Expression::parse(text).unwrap().values_of("tract");
        assert_eq!(values("tract = 3 OR tract = 1"), Some(vec![1, 3]));
        assert_eq!(values("tract = 3 OR patch = 1"), None);
        assert_eq!(values("tract = 3 AND tract IN (4..6)"), Some(vec![]));
        assert_eq!(values("tract != 3"), None);
        assert_eq!(values("tract NOT IN (3)"), None);
        assert_eq!(values("tract IN (0..9000000000000000000)"), None);
    }
}
