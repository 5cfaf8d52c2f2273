//! `--id visit=12^14..20:2 ccd=0..8`: the selections of earlier butlers, as an [`Expression`].

use super::{Comparison, Expression, ExpressionError, InItem, Literal, Operand};
use crate::dimension::{ColumnType, Universe};

impl Expression {
    /// Reads the words of one `--id` option: each `dimension=values`, with values separated by `^` and ranges
    /// `start..stop` or `start..stop:step`, both ends included. All words must hold. The old names of dimensions (`ccd`,
    /// `filter`) are understood. A patch may be named by its place, `patch=3,5`: [`Expression::with_patches`].
    ///
    /// # Errors
    /// [`ExpressionError`] with the place in the word: unknown dimension, value of the wrong type, dimension named twice,
    /// no words.
    ///
    /// ```
    /// use bunter::Expression;
    ///
    /// let tree = Expression::parse_ids(&["visit=12^14..20:2", "ccd=0..8"])?;
    /// assert_eq!(tree.to_string(), "visit IN (12, 14..20:2) AND detector IN (0..8)");
    /// # Ok::<(), bunter::ExpressionError>(())
    /// ```
    pub fn parse_ids(words: &[&str]) -> Result<Self, ExpressionError> {
        let mut tree: Option<Self> = None;
        let mut seen: Vec<&'static str> = Vec::new();
        for word in words {
            let (name, part) = parse_word(word)?;
            if seen.contains(&name) {
                return Err(ExpressionError::new(word, 0, format!("`{name}` is given twice"))
                    .with_hint(format!("separate values by `^`: {name}=12^14..20")));
            }
            seen.push(name);
            tree = Some(match tree {
                Some(tree) => Self::And(Box::new(tree), Box::new(part)),
                None => part,
            });
        }
        tree.ok_or_else(|| {
            ExpressionError::new("", 0, "there is nothing after --id")
                .with_hint("write --id visit=12^14..20:2 ccd=0..8")
        })
    }
}

fn parse_word(word: &str) -> Result<(&'static str, Expression), ExpressionError> {
    let Some((name, values)) = word.split_once('=') else {
        return Err(ExpressionError::new(word, word.len(), "expected `=`").with_hint("write visit=12^14..20:2"));
    };
    let (element, key) =
        Universe::builtin().dimension(name).map_err(|e| ExpressionError::new(word, 0, e.to_string()))?;
    let mut items = Vec::new();
    let mut at = name.len() + 1;
    for value in values.split('^') {
        items.push(match key {
            // The sky map knows its number.
            _ if element.name == "patch" && value.contains(',') && !value.contains("..") => InItem::Value(Literal::Str(value.to_owned())),
            ColumnType::Int => integers(word, at, value, element.name)?,
            _ if value.is_empty() => return Err(ExpressionError::new(word, at, "expected a value")),
            _ => InItem::Value(Literal::Str(value.to_owned())),
        });
        at += value.len() + 1;
    }
    let operand = Operand::Identifier { element: element.name.to_owned(), field: None };
    let part = match items.as_slice() {
        [InItem::Value(value)] => Expression::Compare(Comparison::Eq, operand, Operand::Literal(value.clone())),
        _ => Expression::In { operand, items, negated: false },
    };
    Ok((element.name, part))
}

fn integers(word: &str, at: usize, value: &str, name: &str) -> Result<InItem, ExpressionError> {
    let integer = |text: &str| {
        text.parse::<i64>().map_err(|_| {
            let error = ExpressionError::new(word, at, format!("`{text}` is not an integer, as `{name}` is"));
            match name {
                "day_obs" if text.contains('-') => error.with_hint("nights are numbers: day_obs=20140328"),
                _ => error.with_hint(format!("write {name}=12^14..20:2")),
            }
        })
    };
    let Some((start, rest)) = value.split_once("..") else {
        return Ok(InItem::Value(Literal::Int(integer(value)?)));
    };
    let (stop, step) = rest.split_once(':').unwrap_or((rest, "1"));
    let (start, stop, step) = (integer(start)?, integer(stop)?, integer(step)?);
    if step < 1 || stop < start {
        return Err(ExpressionError::new(word, at, "this range is empty")
            .with_hint("write start..stop:step, with stop not below start and step above 0"));
    }
    Ok(InItem::Range { start, stop, step })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_of_earlier_butlers() {
        for (words, expected) in [
            (&["visit=1228"][..], "visit = 1228"),
            (&["filter=HSC-I^HSC-R", "tract=9813"], "physical_filter IN ('HSC-I', 'HSC-R') AND tract = 9813"),
            (&["visit=-3..5"], "visit IN (-3..5)"),
            (&["patch=3,5^7"], "patch IN ('3,5', 7)"),
            (&["instrument=a'b=c"], "instrument = 'a''b=c'"),
        ] {
            let tree = Expression::parse_ids(words).unwrap();
            assert_eq!(tree.to_string(), expected);
            assert_eq!(Expression::parse(expected).unwrap(), tree);
        }
    }

    #[test]
    fn mistakes_are_told() {
        for (words, part) in [
            (&["vist=12"][..], "did you mean `visit`?"),
            (&["visit"], "expected `=`"),
            (&["visit="], "not an integer"),
            (&["visit=12^^13"], "not an integer"),
            (&["visit=20..12"], "empty"),
            (&["visit=1..2:0"], "empty"),
            (&["visit=1", "visit=2"], "given twice"),
            (&["ccd=1", "detector=2"], "given twice"),
            (&["patch=4..6,5"], "not an integer"),
            (&["tract=4,5"], "not an integer"),
            (&["band="], "expected a value"),
            (&["visit_detector=1"], "unknown dimension"),
            (&[], "nothing"),
        ] {
            let error = Expression::parse_ids(words).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
