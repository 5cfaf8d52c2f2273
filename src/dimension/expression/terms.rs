//! What an expression is made of: its terms, the elements that it names, and names of patches.

use std::collections::BTreeSet;

use super::{Comparison, Expression, InItem, Literal, Operand};
use crate::dimension::Universe;

impl Expression {
    /// The terms that must all hold: what stands between the outermost `AND`s, from left to right.
    pub fn terms(&self) -> Vec<&Self> {
        let (mut terms, mut stack) = (Vec::new(), vec![self]);
        while let Some(expression) = stack.pop() {
            match expression {
                Self::And(a, b) => stack.extend([&**b, &**a]),
                other => terms.push(other),
            }
        }
        terms
    }

    /// The expression that is true where all terms are; `None` of no terms.
    ///
    /// ```
    /// use bunter::Expression;
    ///
    /// let filter = Expression::parse("tract = 5 AND (visit > 3 AND band = 'r')")?;
    /// assert_eq!(filter.terms().len(), 3);
    /// let again = Expression::all_of(filter.terms().into_iter().cloned());
    /// assert_eq!(again.unwrap().to_string(), "tract = 5 AND visit > 3 AND band = 'r'");
    /// # Ok::<(), bunter::ExpressionError>(())
    /// ```
    pub fn all_of(terms: impl IntoIterator<Item = Self>) -> Option<Self> {
        terms.into_iter().reduce(|a, b| Self::And(Box::new(a), Box::new(b)))
    }

    /// The elements that the expression names, by their present names: of a column without its element (`exposure_time`)
    /// the element that has it, where only one does. Unknown names are left out: [`Scope`](super::Scope) tells of them.
    pub fn elements(&self) -> BTreeSet<&'static str> {
        let mut found = BTreeSet::new();
        self.visit_operands(&mut |operand| {
            if let Operand::Identifier { element, field } = operand {
                found.extend(element_of(element, field.as_deref()));
            }
        });
        found
    }

    /// The integers that this term names one by one for a dimension: `tract = 5`, `tract IN (3, 5)`, not `tract IN (3..5)`.
    pub(crate) fn numbers_named(&self, dimension: &str) -> Vec<i64> {
        match self {
            Self::Compare(Comparison::Eq, a, Operand::Literal(Literal::Int(v)))
            | Self::Compare(Comparison::Eq, Operand::Literal(Literal::Int(v)), a)
                if a.is_dimension(dimension) =>
            {
                vec![*v]
            }
            Self::In { operand, items, negated: false } if operand.is_dimension(dimension) => {
                let numbers = items.iter().filter_map(|item| match item {
                    InItem::Value(Literal::Int(v)) => Some(*v),
                    _ => None,
                });
                numbers.collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether all that the expression names are values of these dimensions, and no other columns.
    pub(crate) fn names_only(&self, dimensions: &[&str]) -> bool {
        let mut only = true;
        self.visit_operands(&mut |operand| {
            let literal = matches!(operand, Operand::Literal(_));
            only &= literal || dimensions.iter().any(|d| operand.is_dimension(d));
        });
        only
    }

    fn visit_operands(&self, visit: &mut impl FnMut(&Operand)) {
        match self {
            Self::And(a, b) | Self::Or(a, b) => {
                a.visit_operands(visit);
                b.visit_operands(visit);
            }
            Self::Not(a) => a.visit_operands(visit),
            Self::Compare(_, a, b) => {
                visit(a);
                visit(b);
            }
            Self::In { operand, .. } | Self::IsNull { operand, .. } | Self::Glob(operand, _) => visit(operand),
            Self::Constant(_) => {}
        }
    }

    /// The only values of a dimension of texts for which the expression can be true, sorted; `None` where it does not say.
    /// As [`Expression::values_of`] for integers.
    pub fn texts_of(&self, dimension: &str) -> Option<Vec<&str>> {
        let sorted = |mut values: Vec<_>| {
            values.sort_unstable();
            values.dedup();
            values
        };
        match self {
            Self::And(a, b) => match (a.texts_of(dimension), b.texts_of(dimension)) {
                (Some(mut a), Some(b)) => {
                    a.retain(|v| b.binary_search(v).is_ok());
                    Some(a)
                }
                (a, b) => a.or(b),
            },
            Self::Or(a, b) => {
                let mut all = a.texts_of(dimension)?;
                all.extend(b.texts_of(dimension)?);
                Some(sorted(all))
            }
            Self::Compare(Comparison::Eq, a, Operand::Literal(Literal::Str(v)))
            | Self::Compare(Comparison::Eq, Operand::Literal(Literal::Str(v)), a)
                if a.is_dimension(dimension) =>
            {
                Some(vec![v])
            }
            Self::In { operand, items, negated: false } if operand.is_dimension(dimension) => {
                let texts = items.iter().filter_map(|item| match item {
                    InItem::Value(Literal::Str(v)) => Some(v.as_str()),
                    _ => None,
                });
                Some(sorted(texts.collect()))
            }
            _ => None,
        }
    }

    /// This expression with names of patches that are texts (`patch = '3,5'`, `patch IN ('3,5', 7)`) replaced by what
    /// `meaning` says that they mean. Nothing but a sky map knows the number of such a patch.
    ///
    /// # Errors
    /// Those of `meaning`.
    pub fn with_patches<E>(&self, meaning: &mut impl FnMut(&str) -> Result<Self, E>) -> Result<Self, E> {
        let not = |tree: Self, negated: bool| if negated { Self::Not(Box::new(tree)) } else { tree };
        Ok(match self {
            Self::And(a, b) => {
                Self::And(Box::new(a.with_patches(meaning)?), Box::new(b.with_patches(meaning)?))
            }
            Self::Or(a, b) => Self::Or(Box::new(a.with_patches(meaning)?), Box::new(b.with_patches(meaning)?)),
            Self::Not(a) => Self::Not(Box::new(a.with_patches(meaning)?)),
            Self::Compare(
                comparison @ (Comparison::Eq | Comparison::Ne),
                Operand::Literal(Literal::Str(name)),
                operand,
            )
            | Self::Compare(
                comparison @ (Comparison::Eq | Comparison::Ne),
                operand,
                Operand::Literal(Literal::Str(name)),
            ) if operand.is_dimension("patch") => not(meaning(name)?, *comparison == Comparison::Ne),
            Self::In { operand, items, negated } if operand.is_dimension("patch") && items.iter().any(is_text) => {
                let (texts, numbers): (Vec<_>, Vec<_>) = items.iter().cloned().partition(is_text);
                let mut any = Self::In { operand: operand.clone(), items: numbers, negated: false };
                for item in &texts {
                    if let InItem::Value(Literal::Str(name)) = item {
                        any = Self::Or(Box::new(any), Box::new(meaning(name)?));
                    }
                }
                not(any, *negated)
            }
            other => other.clone(),
        })
    }
}

fn is_text(item: &InItem) -> bool {
    matches!(item, InItem::Value(Literal::Str(_)))
}

impl Operand {
    /// Whether it is the value of a dimension: `tract`, `tract.id`, or another word for it (`ccd` for `detector`).
    pub(crate) fn is_dimension(&self, dimension: &str) -> bool {
        match self {
            Self::Identifier { element, field } => {
                Universe::builtin().canonical_name(element) == dimension
                    && field.as_deref().is_none_or(|f| f == "id" || f == dimension)
            }
            Self::Literal(_) => false,
        }
    }
}

/// The element that an identifier is of.
fn element_of(element: &str, field: Option<&str>) -> Option<&'static str> {
    let universe = Universe::builtin();
    if let Ok(found) = universe.element(element) {
        return Some(found.name);
    }
    let column = match (element, field) {
        ("timespan", Some(field)) => format!("timespan_{field}"),
        (name, None) => name.to_owned(),
        _ => return None,
    };
    let mut holders = universe.elements().iter().filter(|e| e.metadata.iter().any(|c| c.name == column));
    match (holders.next(), holders.next()) {
        (Some(holder), None) => Some(holder.name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Expression {
        Expression::parse(text).unwrap()
    }

    #[test]
    fn elements_are_found_behind_every_name() {
        let names = |text: &str| parse(text).elements().into_iter().collect::<Vec<_>>();
        assert_eq!(names("ccd = 5 OR NOT visit.seeing < 1"), ["detector", "visit"]);
        assert_eq!(names("exposure_time > 30 AND timespan.begin < 6"), ["visit"]);
        assert_eq!(names("seeing > 30 AND nonsense = 6"), [""; 0]);
        assert_eq!(names("patch IN (3) OR band GLOB 'r*' OR 5 = tract.id"), ["band", "patch", "tract"]);
    }

    #[test]
    fn texts_are_known_where_they_are_certain() {
        let texts = |text: &str| {
            parse(text).texts_of("skymap").map(|v| v.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let some = |v: &[&str]| Some(v.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(texts("skymap = 'b' OR 'a' = skyMap"), some(&["a", "b"]));
        assert_eq!(texts("skymap IN ('b', 'a') AND skymap != 'b'"), some(&["a", "b"]));
        assert_eq!(texts("skymap = 'a' AND skymap = 'b'"), some(&[]));
        assert_eq!(texts("skymap = 'a' OR tract = 5"), None);
        assert_eq!(texts("skymap NOT IN ('a')"), None);
    }

    #[test]
    fn names_of_patches_are_replaced_and_nothing_else() {
        let mut meaning = |name: &str| match name {
            "3,5" => Ok(parse("patch = 48")),
            other => Err(other.to_owned()),
        };
        for (text, expected) in [
            ("patch = '3,5'", "patch = 48"),
            ("'3,5' != patch.id", "NOT patch = 48"),
            ("patch IN ('3,5', 7) AND band = '3,5'", "(patch IN (7) OR patch = 48) AND band = '3,5'"),
            ("NOT patch NOT IN ('3,5')", "NOT NOT (patch IN () OR patch = 48)"),
            ("patch < '3,5' OR patch = 6", "patch < '3,5' OR patch = 6"),
        ] {
            assert_eq!(parse(text).with_patches(&mut meaning).unwrap().to_string(), expected, "{text}");
        }
        assert_eq!(parse("visit = 5 OR patch = 'x'").with_patches(&mut meaning), Err("x".to_owned()));
    }
}
