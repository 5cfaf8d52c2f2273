//! [`Scope`]: which names an expression may use, and what they mean.

use super::{Expression, InItem, Literal, Operand};
use crate::dimension::{Column, ColumnType, DimensionError, DimensionGroup, Element, near_miss};

/// The names that an expression over a group of dimensions may use. Every executor resolves names through this, so that
/// all agree in meaning and in what they refuse.
///
/// ```
/// use bunter::{Expression, Scope, Universe};
///
/// let scope = Scope::new(Universe::builtin().group(["visit"])?, "visit records");
/// scope.check(&Expression::parse("exposure_time > 30 AND band = 'r'").unwrap())?;
/// let error = scope.check(&Expression::parse("visit.exposuretime > 30").unwrap()).unwrap_err();
/// assert!(error.to_string().contains("did you mean `exposure_time`?"));
/// # Ok::<(), bunter::DimensionError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scope {
    group: DimensionGroup,
    what: String,
}

/// What an identifier means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolvedColumn {
    /// The element.
    pub element: &'static Element,
    /// Its metadata column; `None`: the key of the dimension itself.
    pub column: Option<&'static Column>,
    /// The type of the values.
    pub column_type: ColumnType,
}

impl ResolvedColumn {
    /// The name of the column in the element's records.
    pub fn name(&self) -> &'static str {
        self.column.map_or(self.element.name, |c| c.name)
    }
}

impl Scope {
    /// The names that concern `group`; `what` says in messages what is filtered: `calexp {detector, instrument, visit}`.
    pub fn new(group: DimensionGroup, what: impl Into<String>) -> Self {
        Self { group, what: what.into() }
    }

    /// The group of dimensions.
    pub const fn group(&self) -> &DimensionGroup {
        &self.group
    }

    /// What an identifier means: `visit`, `visit.exposure_time`, `exposure_time` where only one element has it, or an
    /// earlier butler's word (`ccd`).
    ///
    /// # Errors
    /// [`DimensionError::UnknownDimension`], [`DimensionError::UnknownColumn`], [`DimensionError::AmbiguousColumn`],
    /// [`DimensionError::OutOfScope`].
    pub fn resolve(&self, element: &str, field: Option<&str>) -> Result<ResolvedColumn, DimensionError> {
        let universe = self.group.universe();
        let found = match universe.element(element) {
            Ok(found) => found,
            Err(unknown) if field.is_none() => return self.bare(element, unknown),
            // `timespan.begin` without its element looks like a field of an element `timespan`.
            Err(unknown) if element == "timespan" => {
                return self.bare(&format!("timespan_{}", field.unwrap_or_default()), unknown);
            }
            Err(unknown) => return Err(unknown),
        };
        if !self.group.elements().any(|e| e.name == found.name) {
            return Err(DimensionError::OutOfScope {
                name: element.to_owned(),
                what: self.what.clone(),
                known: self.group.elements().map(|e| format!("`{}`", e.name)).collect::<Vec<_>>().join(", "),
            });
        }
        match (field, found.key) {
            (None, Some(key)) => Ok(ResolvedColumn { element: found, column: None, column_type: key }),
            (None, None) => Err(universe.dimension(element).err().unwrap_or_else(|| {
                DimensionError::UnknownDimension { name: element.to_owned(), near: None, known: String::new() }
            })),
            (Some(field), key) => {
                // `visit.id` and `visit.visit` are the key itself, as in Rubin's expressions.
                if let Some(key) = key
                    && (field == found.name || field == "id" || field == "name" && found.column("name").is_err())
                {
                    return Ok(ResolvedColumn { element: found, column: None, column_type: key });
                }
                let column = found.column(field)?;
                Ok(ResolvedColumn { element: found, column: Some(column), column_type: column.column_type })
            }
        }
    }

    fn bare(&self, name: &str, unknown: DimensionError) -> Result<ResolvedColumn, DimensionError> {
        let mut holders = self.group.elements().filter_map(|e| e.column(name).ok().map(|c| (e, c)));
        let Some((element, column)) = holders.next() else {
            let columns = self.group.elements().flat_map(|e| e.metadata).map(|c| c.name);
            return Err(match unknown {
                DimensionError::UnknownDimension { name, near: None, known } => {
                    DimensionError::UnknownDimension { near: near_miss(&name, columns), name, known }
                }
                other => other,
            });
        };
        let others: Vec<_> = holders.map(|(e, c)| format!("`{}.{}`", e.name, c.name)).collect();
        if others.is_empty() {
            return Ok(ResolvedColumn { element, column: Some(column), column_type: column.column_type });
        }
        Err(DimensionError::AmbiguousColumn {
            name: name.to_owned(),
            choices: format!("`{}.{}` or {}", element.name, column.name, others.join(" or ")),
        })
    }

    /// The type of an operand.
    ///
    /// # Errors
    /// Those of [`Scope::resolve`].
    pub fn operand_type(&self, operand: &Operand) -> Result<ColumnType, DimensionError> {
        Ok(match operand {
            Operand::Identifier { element, field } => self.resolve(element, field.as_deref())?.column_type,
            Operand::Literal(literal) => literal_type(literal),
        })
    }

    /// Checks that all names of an expression are known and that what is compared can be.
    ///
    /// # Errors
    /// Those of [`Scope::resolve`], and [`DimensionError::Incomparable`].
    pub fn check(&self, expression: &Expression) -> Result<(), DimensionError> {
        let comparable = |left: ColumnType, right: ColumnType| {
            if left.is_comparable(right) {
                return Ok(());
            }
            Err(DimensionError::Incomparable {
                left: left.name(),
                right: right.name(),
                expression: expression.to_string().chars().take(120).collect(),
            })
        };
        match expression {
            Expression::And(a, b) | Expression::Or(a, b) => {
                self.check(a)?;
                self.check(b)
            }
            Expression::Not(a) => self.check(a),
            Expression::Compare(_, a, b) => comparable(self.operand_type(a)?, self.operand_type(b)?),
            Expression::In { operand, items, .. } => {
                let left = self.operand_type(operand)?;
                items.iter().try_for_each(|item| match item {
                    InItem::Value(value) => comparable(left, literal_type(value)),
                    InItem::Range { .. } if left == ColumnType::Int => Ok(()),
                    InItem::Range { .. } => Err(DimensionError::Incomparable {
                        left: left.name(),
                        right: "a range of integers",
                        expression: expression.to_string().chars().take(120).collect(),
                    }),
                })
            }
            Expression::Glob(operand, _) => comparable(self.operand_type(operand)?, ColumnType::Text),
            Expression::IsNull { operand, .. } => self.operand_type(operand).map(|_| ()),
            Expression::Constant(_) => Ok(()),
        }
    }
}

const fn literal_type(literal: &Literal) -> ColumnType {
    match literal {
        Literal::Int(_) => ColumnType::Int,
        Literal::Float(_) => ColumnType::Float,
        Literal::Str(_) => ColumnType::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dimension::Universe;

    fn check(dimensions: &[&str], text: &str) -> Result<(), String> {
        let group = Universe::builtin().group(dimensions.iter().copied()).unwrap();
        Scope::new(group, "things").check(&Expression::parse(text).unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn names_and_types() {
        let calexp = &["visit", "detector"];
        for text in [
            "visit = 5 AND detector.full_name GLOB 'R22*'",
            "exposure_time > 30 AND ccd IN (1..5)",
            "visit.timespan.begin < 60000",
            "timespan.begin < 60000.5",
            "visit.id = 3 AND visit.name = 'x' AND band.name = 'r'",
            "visit_detector.seeing IS NOT NULL",
            "visit_detector.region IS NULL",
            "exposure_time > airmass",
        ] {
            check(calexp, text).unwrap_or_else(|e| panic!("{text}: {e}"));
        }
        for (text, part) in [
            ("vist = 5", "did you mean `visit`?"),
            ("exposuretime > 5", "did you mean `exposure_time`?"),
            ("seeing < 1", "ambiguous: write `visit.seeing` or `visit_detector.seeing`"),
            ("tract = 5", "`tract` does not concern things: it can be filtered by `instrument`"),
            ("visit = '5'", "cannot compare an integer with a text"),
            ("band IN ('r', 5)", "cannot compare a text with an integer"),
            ("airmass IN (1..2)", "cannot compare a number with a range of integers"),
            ("visit GLOB '5*'", "cannot compare an integer with a text"),
            ("visit_detector.region = 'x'", "cannot compare bytes"),
            ("visit_detector = 5", "unknown dimension `visit_detector`"),
            ("timespan.middle = 5", "unknown dimension"),
        ] {
            let error = check(calexp, text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
