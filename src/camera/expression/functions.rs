//! The functions of the language: names, numbers of arguments, and those that need nothing but their values.

use super::{EvaluateError, Value};
use crate::camera::time::mjd_of_iso;

macro_rules! functions {
    ($($variant:ident $name:literal $least:literal $most:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Function { $($variant),* }

        impl Function {
            const ALL: &[(Self, &'static str, usize, usize)] = &[$((Self::$variant, $name, $least, $most)),*];
        }
    };
}

functions! {
    Log10 "log10" 1 1, Sqrt "sqrt" 1 1, Abs "abs" 1 1, Min "min" 1 99, Max "max" 1 99, Round "round" 1 1, Floor "floor" 1 1,
    Lower "lower" 1 1, Upper "upper" 1 1, Trim "trim" 1 1, Replace "replace" 3 3, Before "before" 2 2, After "after" 2 2,
    Text "text" 1 99, Int "int" 1 1, Hash "hash" 1 1, Mjd "mjd" 1 1, Contains "contains" 2 2,
    Glob "glob" 2 2, VersionLess "version_less" 2 2, Match "match" 3 999,
    IfMissing "if_missing" 2 99, OrWarn "or_warn" 3 3, Has "has" 1 1, HasHdu "has_hdu" 1 1,
}

impl Function {
    pub(super) fn named(name: &str) -> Result<Self, String> {
        if let Some((function, ..)) = Self::ALL.iter().find(|(_, n, ..)| *n == name) {
            return Ok(*function);
        }
        let near = Self::ALL.iter().map(|(_, n, ..)| (strsim::osa_distance(n, &name.to_lowercase()), n)).min();
        match near {
            Some((distance, near)) if distance <= 2 => Err(format!("no function `{name}`; did you mean `{near}`?")),
            _ => {
                let all: Vec<_> = Self::ALL.iter().map(|(_, n, ..)| *n).collect();
                Err(format!("no function `{name}`; there are {}", all.join(", ")))
            }
        }
    }

    pub(super) fn check(self, arguments: usize) -> Result<(), String> {
        let Some((_, name, least, most)) = Self::ALL.iter().find(|(f, ..)| *f == self) else { return Ok(()) };
        match arguments {
            n if n < *least && least == most => Err(format!("`{name}` takes {least} argument(s), found {n}")),
            n if n < *least => Err(format!("`{name}` takes at least {least} arguments, found {n}")),
            n if n > *most => Err(format!("`{name}` takes {most} argument(s), found {n}")),
            _ => Ok(()),
        }
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(f, ..)| *f == self).map_or("?", |(_, name, ..)| name)
    }

    /// The value of a function that looks at its argument values only.
    pub(super) fn apply(self, arguments: &[Value]) -> Result<Value, EvaluateError> {
        let number = |i: usize| number(self.name(), arguments.get(i));
        let text = |i: usize| arguments.get(i).map(ToString::to_string).unwrap_or_default();
        Ok(match self {
            Self::Log10 => real(self.name(), number(0)?, f64::log10)?,
            Self::Sqrt => real(self.name(), number(0)?, f64::sqrt)?,
            Self::Abs => match arguments.first() {
                Some(Value::Int(v)) => Value::Int(v.saturating_abs()),
                _ => Value::Real(number(0)?.abs()),
            },
            Self::Min | Self::Max => {
                let mut best = (0, number(0)?);
                for i in 1..arguments.len() {
                    let v = number(i)?;
                    if (self == Self::Min && v < best.1) || (self == Self::Max && v > best.1) {
                        best = (i, v);
                    }
                }
                arguments.get(best.0).cloned().unwrap_or(Value::Real(best.1))
            }
            Self::Round => integer(self.name(), number(0)?, number(0)?.round())?,
            Self::Floor => integer(self.name(), number(0)?, number(0)?.floor())?,
            Self::Int => match arguments.first().and_then(Value::as_i64) {
                Some(v) => Value::Int(v),
                None => return Err(wrong_type(self.name(), "an integer", arguments.first())),
            },
            Self::Lower => Value::Text(text(0).to_lowercase()),
            Self::Upper => Value::Text(text(0).to_uppercase()),
            Self::Trim => Value::Text(text(0).trim().to_owned()),
            Self::Replace => Value::Text(text(0).replace(&text(1), &text(2))),
            Self::Before => Value::Text(text(0).split_once(&text(1)).map_or(text(0), |(before, _)| before.to_owned())),
            Self::After => {
                Value::Text(text(0).split_once(&text(1)).map_or_else(String::new, |(_, after)| after.to_owned()))
            }
            Self::Contains => Value::Bool(text(0).contains(&text(1))),
            Self::Text => Value::Text(arguments.iter().map(ToString::to_string).collect()),
            // 31 bits: a positive number in any integer column of any program downstream.
            Self::Hash => Value::Int((xxhash_rust::xxh3::xxh3_64(text(0).as_bytes()) & 0x7fff_ffff) as i64),
            Self::Mjd => Value::Real(mjd_of_iso(&text(0)).ok_or_else(|| {
                EvaluateError::Math(format!("`mjd`: \"{}\" is not a date such as 2024-05-31T23:59:59.9", text(0)))
            })?),
            Self::Glob => {
                let pattern = text(1);
                let glob = globset::Glob::new(&pattern)
                    .map_err(|e| EvaluateError::Math(format!("`glob`: pattern \"{pattern}\": {}", e.kind())))?;
                Value::Bool(glob.compile_matcher().is_match(text(0)))
            }
            Self::VersionLess => Value::Bool(version(&text(0)) < version(&text(1))),
            Self::Match => return lookup(arguments),
            Self::IfMissing | Self::OrWarn | Self::Has | Self::HasHdu => {
                return Err(EvaluateError::Math(format!("`{}` was given values instead of names", self.name())));
            }
        })
    }
}

pub(super) fn wrong_type(whom: &str, expected: &'static str, found: Option<&Value>) -> EvaluateError {
    let found = found.map_or_else(|| "nothing".to_owned(), |v| format!("{} \"{v}\"", v.kind()));
    EvaluateError::Type { whom: whom.to_owned(), expected, found }
}

pub(super) fn number(whom: &str, value: Option<&Value>) -> Result<f64, EvaluateError> {
    value.and_then(Value::as_f64).ok_or_else(|| wrong_type(whom, "a number", value))
}

/// A result that must be finite.
pub(super) fn real(whom: &str, x: f64, f: impl Fn(f64) -> f64) -> Result<Value, EvaluateError> {
    let y = f(x);
    if y.is_finite() { Ok(Value::Real(y)) } else { Err(EvaluateError::Math(format!("`{whom}` of {x} is not finite"))) }
}

fn integer(whom: &str, x: f64, y: f64) -> Result<Value, EvaluateError> {
    if y.abs() < 9.0e15 {
        Ok(Value::Int(y as i64))
    } else {
        Err(EvaluateError::Math(format!("`{whom}` of {x} is no integer that a column can hold")))
    }
}

/// `match(value, key, result, key, result, …, [default])`.
fn lookup(arguments: &[Value]) -> Result<Value, EvaluateError> {
    let Some((value, table)) = arguments.split_first() else {
        return Err(EvaluateError::Math("`match` without arguments".to_owned()));
    };
    let pairs = table.chunks_exact(2);
    let default = pairs.remainder().first();
    let mut keys = Vec::new();
    for pair in pairs {
        if let [key, result] = pair {
            if value.same(key) {
                return Ok(result.clone());
            }
            keys.push(key.to_string());
        }
    }
    default
        .cloned()
        .ok_or_else(|| EvaluateError::Math(format!("`match` does not know \"{value}\"; it knows {}", keys.join(", "))))
}

/// The numbers in a version such as `V4.8.2a`.
fn version(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map_while(|part| part.parse().ok())
        .collect()
}
