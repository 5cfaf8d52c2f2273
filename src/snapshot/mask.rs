//! Executes a `--where` expression over whole columns: three-valued truth, a row a bit.

use std::cmp::Ordering;
use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{and_kleene, is_not_null, is_null, not, or_kleene};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::error::ArrowError;

use super::keys;
use crate::dimension::{Comparison, Expression, InItem, Literal, Operand};

/// A column or a constant.
enum Values {
    Ints(Int64Array),
    Floats(Float64Array),
    Texts(StringArray),
    Coded(Int32Array, StringArray),
    Bytes(ArrayRef),
    Int(i64),
    Float(f64),
    Str(String),
}

#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

/// The values of an identifier, by element and field.
type Identifiers<'a, E> = dyn Fn(&str, Option<&str>) -> Result<ArrayRef, E> + 'a;

/// For each of `rows` rows whether the expression is true, false or unknown. `column` gives an identifier's values.
pub(super) fn evaluate<E: From<ArrowError>>(
    expression: &Expression,
    rows: usize,
    column: &Identifiers<'_, E>,
) -> Result<BooleanArray, E> {
    let values = |operand: &Operand| -> Result<Values, E> {
        Ok(match operand {
            Operand::Identifier { element, field } => Values::of(column(element, field.as_deref())?)?,
            Operand::Literal(Literal::Int(v)) => Values::Int(*v),
            Operand::Literal(Literal::Float(v)) => Values::Float(*v),
            Operand::Literal(Literal::Str(v)) => Values::Str(v.clone()),
        })
    };
    Ok(match expression {
        Expression::And(a, b) => and_kleene(&evaluate(a, rows, column)?, &evaluate(b, rows, column)?)?,
        Expression::Or(a, b) => or_kleene(&evaluate(a, rows, column)?, &evaluate(b, rows, column)?)?,
        Expression::Not(a) => not(&evaluate(a, rows, column)?)?,
        Expression::Compare(op, a, b) => compare(*op, &values(a)?, &values(b)?, rows)?,
        Expression::In { operand, items, negated } => {
            let found = contained(&values(operand)?, items, rows)?;
            if *negated { not(&found)? } else { found }
        }
        Expression::Glob(operand, pattern) => {
            let pattern: Vec<char> = pattern.chars().collect();
            values(operand)?.texts_that(rows, |text| glob(&pattern, text))?
        }
        Expression::IsNull { operand, negated } => match values(operand)?.array() {
            Some(array) if *negated => is_not_null(&array)?,
            Some(array) => is_null(&array)?,
            None => constant(*negated, rows),
        },
        Expression::Constant(truth) => constant(*truth, rows),
    })
}

fn constant(truth: bool, rows: usize) -> BooleanArray {
    BooleanArray::new(if truth { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) }, None)
}

fn incomparable() -> ArrowError {
    ArrowError::InvalidArgumentError("values without a common order are compared".to_owned())
}

impl Values {
    fn of(array: ArrayRef) -> Result<Self, ArrowError> {
        Ok(match array.data_type() {
            DataType::Int64 => Self::Ints(array.as_primitive::<Int64Type>().clone()),
            DataType::Float64 => Self::Floats(array.as_primitive::<Float64Type>().clone()),
            DataType::Utf8 => Self::Texts(array.as_string::<i32>().clone()),
            DataType::Dictionary(..) => {
                let (codes, texts) = keys::dictionary(&array).ok_or_else(incomparable)?;
                Self::Coded(codes, texts)
            }
            _ => Self::Bytes(array),
        })
    }

    fn array(&self) -> Option<ArrayRef> {
        Some(match self {
            Self::Ints(a) => std::sync::Arc::new(a.clone()),
            Self::Floats(a) => std::sync::Arc::new(a.clone()),
            Self::Texts(a) => std::sync::Arc::new(a.clone()),
            Self::Coded(codes, _) => std::sync::Arc::new(codes.clone()),
            Self::Bytes(a) => a.clone(),
            Self::Int(_) | Self::Float(_) | Self::Str(_) => return None,
        })
    }

    fn nulls(&self) -> Option<NullBuffer> {
        self.array().and_then(|a| a.nulls().cloned())
    }

    /// The number of a row; what stands in null rows does not matter. `None` when these are not numbers.
    fn number(&self, row: usize) -> Option<Number> {
        match self {
            Self::Ints(a) => Some(Number::Int(a.value(row))),
            Self::Floats(a) => Some(Number::Float(a.value(row))),
            Self::Int(v) => Some(Number::Int(*v)),
            Self::Float(v) => Some(Number::Float(*v)),
            _ => None,
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Ints(_) | Self::Floats(_) | Self::Int(_) | Self::Float(_))
    }

    /// The text of a row, empty where it is null. `None` when these are not texts.
    fn text(&self, row: usize) -> Option<&str> {
        match self {
            Self::Texts(a) => Some(a.value(row)),
            Self::Coded(codes, texts) if codes.is_valid(row) => Some(texts.value(codes.value(row) as usize)),
            Self::Coded(..) => Some(""),
            Self::Str(s) => Some(s),
            _ => None,
        }
    }

    /// The rows whose text is such; a dictionary is asked once a text.
    fn texts_that(&self, rows: usize, such: impl Fn(&str) -> bool) -> Result<BooleanArray, ArrowError> {
        let bits = match self {
            Self::Texts(a) => BooleanBuffer::collect_bool(rows, |row| such(a.value(row))),
            Self::Coded(codes, texts) => {
                let chosen: Vec<bool> = (0..texts.len()).map(|code| such(texts.value(code))).collect();
                // Codes of valid rows were checked when the table was read; others may be anything.
                BooleanBuffer::collect_bool(rows, |row| chosen.get(codes.value(row) as usize) == Some(&true))
            }
            Self::Str(s) if such(s) => BooleanBuffer::new_set(rows),
            Self::Str(_) => BooleanBuffer::new_unset(rows),
            _ => return Err(incomparable()),
        };
        Ok(BooleanArray::new(bits, self.nulls()))
    }
}

fn compare(op: Comparison, a: &Values, b: &Values, rows: usize) -> Result<BooleanArray, ArrowError> {
    let holds = |ordering: Ordering| match op {
        Comparison::Eq => ordering.is_eq(),
        Comparison::Ne => ordering.is_ne(),
        Comparison::Lt => ordering.is_lt(),
        Comparison::Le => ordering.is_le(),
        Comparison::Gt => ordering.is_gt(),
        Comparison::Ge => ordering.is_ge(),
    };
    let bits = match (a, b) {
        (Values::Ints(a), Values::Int(b)) => BooleanBuffer::collect_bool(rows, |row| holds(a.value(row).cmp(b))),
        (Values::Floats(a), Values::Float(b)) => {
            BooleanBuffer::collect_bool(rows, |row| a.value(row).partial_cmp(b).is_some_and(holds))
        }
        (_, Values::Str(b)) => return a.texts_that(rows, |text| holds(text.cmp(b))),
        (Values::Str(a), _) => return b.texts_that(rows, |text| holds(a.as_str().cmp(text))),
        _ if a.is_number() && b.is_number() => BooleanBuffer::collect_bool(rows, |row| {
            a.number(row).zip(b.number(row)).and_then(|(a, b)| order(a, b)).is_some_and(holds)
        }),
        _ => {
            if rows > 0 && a.text(0).zip(b.text(0)).is_none() {
                return Err(incomparable());
            }
            BooleanBuffer::collect_bool(rows, |row| a.text(row).zip(b.text(row)).is_some_and(|(a, b)| holds(a.cmp(b))))
        }
    };
    Ok(BooleanArray::new(bits, NullBuffer::union(a.nulls().as_ref(), b.nulls().as_ref())))
}

/// Compares by value, exactly: an integer is not rounded to a real.
fn order(a: Number, b: Number) -> Option<Ordering> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let mixed = |i: i64, f: f64| {
        if f.is_nan() {
            None
        } else if f >= LIMIT {
            Some(Ordering::Less)
        } else if f < -LIMIT {
            Some(Ordering::Greater)
        } else {
            i.cmp(&(f.trunc() as i64)).then(0.0.partial_cmp(&f.fract())?).into()
        }
    };
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
        (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b),
        (Number::Int(a), Number::Float(b)) => mixed(a, b),
        (Number::Float(a), Number::Int(b)) => mixed(b, a).map(Ordering::reverse),
    }
}

fn contained(values: &Values, items: &[InItem], rows: usize) -> Result<BooleanArray, ArrowError> {
    let is_empty = |item: &InItem| matches!(item, InItem::Range { start, stop, step } if stop < start || *step < 1);
    if items.iter().all(is_empty) {
        // Nothing is in nothing, not even what is unknown.
        return Ok(constant(false, rows));
    }
    if !values.is_number() {
        let texts: HashSet<&str> = items
            .iter()
            .filter_map(|item| match item {
                InItem::Value(Literal::Str(s)) => Some(s.as_str()),
                _ => None,
            })
            .collect();
        return values.texts_that(rows, |text| texts.contains(text));
    }
    let (mut integers, mut reals, mut ranges) = (HashSet::new(), Vec::new(), Vec::new());
    for item in items {
        match item {
            InItem::Value(Literal::Int(v)) => {
                integers.insert(*v);
            }
            InItem::Value(Literal::Float(v)) => reals.push(*v),
            InItem::Value(Literal::Str(_)) => return Err(incomparable()),
            // A range that ends before it starts, or does not go forward, has nothing.
            InItem::Range { start, stop, step } if start <= stop && *step > 0 => {
                ranges.push((*start, *stop, i128::from(*step)));
            }
            InItem::Range { .. } => {}
        }
    }
    let holds = |v: i64| {
        integers.contains(&v)
            || ranges.iter().any(|(start, stop, step)| {
                *start <= v && v <= *stop && (i128::from(v) - i128::from(*start)) % step == 0
            })
            || reals.iter().any(|f| order(Number::Int(v), Number::Float(*f)) == Some(Ordering::Equal))
    };
    let bits = BooleanBuffer::collect_bool(rows, |row| match values.number(row) {
        Some(Number::Int(v)) => holds(v),
        Some(Number::Float(f)) => {
            let integer = f.trunc() as i64;
            reals.contains(&f)
                || order(Number::Int(integer), Number::Float(f)) == Some(Ordering::Equal) && holds(integer)
        }
        None => false,
    });
    Ok(BooleanArray::new(bits, values.nulls()))
}

/// Whether a text is of a pattern in which `*` stands for any characters and `?` for one.
pub(super) fn glob(pattern: &[char], text: &str) -> bool {
    let (mut at, mut rest) = (0, text.chars());
    // Where to go on when what follows the last `*` does not fit: it then takes one character more.
    let mut star: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        let here = rest.clone();
        match (pattern.get(at), rest.next()) {
            (Some('*'), _) => {
                at += 1;
                star = Some((at, here.clone()));
                rest = here;
            }
            (Some(p), Some(c)) if *p == '?' || *p == c => at += 1,
            (None, None) => return true,
            (_, character) => match &mut star {
                Some((after, taken)) if character.is_some() || taken.clone().next().is_some() => {
                    if taken.next().is_none() {
                        return false;
                    }
                    (at, rest) = (*after, taken.clone());
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_agree_with_the_definition() {
        fn slow(pattern: &[char], text: &[char]) -> bool {
            match pattern {
                [] => text.is_empty(),
                ['*', rest @ ..] => (0..=text.len()).any(|n| slow(rest, &text[n..])),
                ['?', rest @ ..] => !text.is_empty() && slow(rest, &text[1..]),
                [c, rest @ ..] => text.first() == Some(c) && slow(rest, &text[1..]),
            }
        }
        let words = |letters: &[char], length: u32| -> Vec<Vec<char>> {
            let n = letters.len();
            (0..=length)
                .flat_map(|l| {
                    (0..n.pow(l)).map(move |mut k| {
                        (0..l)
                            .map(|_| {
                                let c = k % n;
                                k /= n;
                                c
                            })
                            .collect::<Vec<_>>()
                    })
                })
                .map(|word| word.into_iter().map(|i| letters[i]).collect())
                .collect()
        };
        for pattern in words(&['*', '?', 'a', 'é'], 5) {
            for text in words(&['a', 'é'], 5) {
                let joined: String = text.iter().collect();
                assert_eq!(glob(&pattern, &joined), slow(&pattern, &text), "{pattern:?} {joined}");
            }
        }
    }

    #[test]
    fn integers_and_reals_compare_by_value() {
        let int_float = |i, f| order(Number::Int(i), Number::Float(f));
        assert_eq!(int_float(i64::MAX, 2.0_f64.powi(63)), Some(Ordering::Less));
        assert_eq!(int_float(i64::MIN, -(2.0_f64.powi(63))), Some(Ordering::Equal));
        assert_eq!(int_float((1 << 53) + 1, 9_007_199_254_740_992.0), Some(Ordering::Greater));
        assert_eq!(int_float(-3, -3.5), Some(Ordering::Greater));
        assert_eq!(int_float(3, 3.5), Some(Ordering::Less));
        assert_eq!(int_float(3, f64::NAN), None);
    }
}
