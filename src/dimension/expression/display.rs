//! From [`Expression`] to text that reads back as the same tree.

use std::fmt;

use super::{Expression, InItem, Literal, Operand};

/// How tightly the parts hold together: what stands inside something tighter wants parentheses.
const fn tightness(expression: &Expression) -> u8 {
    match expression {
        Expression::Or(..) => 0,
        Expression::And(..) => 1,
        Expression::Not(_) => 2,
        _ => 3,
    }
}

fn inside(f: &mut fmt::Formatter<'_>, expression: &Expression, at_least: u8) -> fmt::Result {
    if tightness(expression) < at_least { write!(f, "({expression})") } else { write!(f, "{expression}") }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(a, b) => {
                inside(f, a, 0)?;
                f.write_str(" OR ")?;
                inside(f, b, 1)
            }
            Self::And(a, b) => {
                inside(f, a, 1)?;
                f.write_str(" AND ")?;
                inside(f, b, 2)
            }
            Self::Not(a) => {
                f.write_str("NOT ")?;
                inside(f, a, 2)
            }
            Self::Compare(comparison, a, b) => write!(f, "{a} {comparison} {b}"),
            Self::In { operand, items, negated } => {
                write!(f, "{operand} {}IN (", if *negated { "NOT " } else { "" })?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
            Self::Glob(operand, pattern) => write!(f, "{operand} GLOB '{}'", pattern.replace('\'', "''")),
            Self::IsNull { operand, negated } => write!(f, "{operand} IS {}NULL", if *negated { "NOT " } else { "" }),
            Self::Constant(value) => f.write_str(if *value { "TRUE" } else { "FALSE" }),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identifier { element, field: None } => f.write_str(element),
            Self::Identifier { element, field: Some(field) } => write!(f, "{element}.{field}"),
            Self::Literal(literal) => literal.fmt(f),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(v) => write!(f, "{v}"),
            Self::Float(v) => write!(f, "{v:?}"),
            Self::Str(s) => write!(f, "'{}'", s.replace('\'', "''")),
        }
    }
}

impl fmt::Display for InItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Range { start, stop, step: 1 } => write!(f, "{start}..{stop}"),
            Self::Range { start, stop, step } => write!(f, "{start}..{stop}:{step}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dimension::Comparison;

    fn literal() -> impl Strategy<Value = Literal> {
        prop_oneof![
            any::<i64>().prop_map(Literal::Int),
            any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(Literal::Float),
            "[ -~äλ'\n]{0,12}".prop_map(Literal::Str),
        ]
    }

    fn operand() -> impl Strategy<Value = Operand> {
        // A leading letter that no keyword has, so that none is hit by chance.
        let name = "[z_][a-z0-9_]{0,8}";
        prop_oneof![
            literal().prop_map(Operand::Literal),
            (name, proptest::option::of(name)).prop_map(|(element, field)| Operand::Identifier { element, field }),
        ]
    }

    fn item() -> impl Strategy<Value = InItem> {
        prop_oneof![
            literal().prop_map(InItem::Value),
            (any::<i64>(), any::<i64>(), 1..i64::MAX).prop_map(|(a, b, step)| InItem::Range {
                start: a.min(b),
                stop: a.max(b),
                step
            }),
        ]
    }

    fn expression() -> impl Strategy<Value = Expression> {
        let comparison = prop_oneof![
            Just(Comparison::Eq),
            Just(Comparison::Ne),
            Just(Comparison::Lt),
            Just(Comparison::Le),
            Just(Comparison::Gt),
            Just(Comparison::Ge)
        ];
        let leaf = prop_oneof![
            (comparison, operand(), operand()).prop_map(|(c, a, b)| Expression::Compare(c, a, b)),
            (operand(), proptest::collection::vec(item(), 0..4), any::<bool>())
                .prop_map(|(operand, items, negated)| Expression::In { operand, items, negated }),
            (operand(), "[ -~']{0,8}").prop_map(|(o, p)| Expression::Glob(o, p)),
            (operand(), any::<bool>()).prop_map(|(operand, negated)| Expression::IsNull { operand, negated }),
            any::<bool>().prop_map(Expression::Constant),
        ];
        leaf.prop_recursive(6, 40, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| Expression::And(a.into(), b.into())),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| Expression::Or(a.into(), b.into())),
                inner.prop_map(|a| Expression::Not(a.into())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(tree in expression()) {
            prop_assert_eq!(Expression::parse(&tree.to_string()).unwrap(), tree);
        }

        #[test]
        fn no_text_panics(text in "[ -~äλ'().:,=<>!-]{0,60}") {
            let _ = Expression::parse(&text).map_err(|e| e.to_string());
        }
    }
}
