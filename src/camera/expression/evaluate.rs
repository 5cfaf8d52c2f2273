//! A tree to its value.

use std::cmp::Ordering;

use super::functions::{Function, number, real, wrong_type};
use super::{EvaluateError, HeaderExpression, Node, Operator, Value};

/// Where keywords are looked up.
pub(in crate::camera) trait Scope {
    /// The value of `name`, in the part called `scope` where one is given.
    fn look_up(&self, scope: Option<&str>, name: &str) -> Result<Value, EvaluateError>;
    /// Whether there is a header-data unit with that `EXTNAME`.
    fn has_hdu(&self, name: &str) -> bool;
    /// Takes note that a default was used.
    fn warn(&self, message: String);
}

impl HeaderExpression {
    pub(in crate::camera) fn evaluate(&self, scope: &dyn Scope) -> Result<Value, EvaluateError> {
        self.root.evaluate(scope)
    }
}

impl Node {
    fn evaluate(&self, scope: &dyn Scope) -> Result<Value, EvaluateError> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Keyword { scope: part, name } => scope.look_up(part.as_deref(), name),
            Self::Negative(inner) => match inner.evaluate(scope)? {
                Value::Int(v) => Ok(Value::Int(v.checked_neg().ok_or_else(|| overflow("-"))?)),
                value => Ok(Value::Real(-number("-", Some(&value))?)),
            },
            Self::Not(inner) => Ok(Value::Bool(!inner.truth("not", scope)?)),
            Self::Binary(operator, left, right) => binary(*operator, left, right, scope),
            Self::Call(function, arguments) => call(*function, arguments, scope),
        }
    }

    fn truth(&self, whom: &str, scope: &dyn Scope) -> Result<bool, EvaluateError> {
        match self.evaluate(scope)? {
            Value::Bool(b) => Ok(b),
            other => Err(wrong_type(whom, "true or false", Some(&other))),
        }
    }
}

fn binary(operator: Operator, left: &Node, right: &Node, scope: &dyn Scope) -> Result<Value, EvaluateError> {
    match operator {
        Operator::And => return Ok(Value::Bool(left.truth("and", scope)? && right.truth("and", scope)?)),
        Operator::Or => return Ok(Value::Bool(left.truth("or", scope)? || right.truth("or", scope)?)),
        _ => {}
    }
    let (a, b) = (left.evaluate(scope)?, right.evaluate(scope)?);
    match operator {
        Operator::Equal => Ok(Value::Bool(a.same(&b))),
        Operator::NotEqual => Ok(Value::Bool(!a.same(&b))),
        Operator::Less => compare("<", &a, &b, Ordering::is_lt),
        Operator::LessEqual => compare("<=", &a, &b, Ordering::is_le),
        Operator::Greater => compare(">", &a, &b, Ordering::is_gt),
        Operator::GreaterEqual => compare(">=", &a, &b, Ordering::is_ge),
        _ => arithmetic(operator, &a, &b),
    }
}

fn compare(whom: &str, a: &Value, b: &Value, test: fn(Ordering) -> bool) -> Result<Value, EvaluateError> {
    if let (Value::Text(a), Value::Text(b)) = (a, b)
        && (a.trim().parse::<f64>().is_err() || b.trim().parse::<f64>().is_err())
    {
        return Ok(Value::Bool(test(a.cmp(b))));
    }
    let order = number(whom, Some(a))?.partial_cmp(&number(whom, Some(b))?);
    Ok(Value::Bool(order.is_some_and(test)))
}

fn arithmetic(operator: Operator, a: &Value, b: &Value) -> Result<Value, EvaluateError> {
    let sign = match operator {
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        _ => "^",
    };
    if let (Some(a), Some(b)) = (whole(a), whole(b)) {
        let exact = match operator {
            Operator::Add => Some(a.checked_add(b)),
            Operator::Subtract => Some(a.checked_sub(b)),
            Operator::Multiply => Some(a.checked_mul(b)),
            Operator::Power => u32::try_from(b).ok().map(|b| a.checked_pow(b)),
            _ => None,
        };
        if let Some(exact) = exact {
            return exact.map(Value::Int).ok_or_else(|| overflow(sign));
        }
    }
    let (x, y) = (number(sign, Some(a))?, number(sign, Some(b))?);
    real(sign, x, |x| match operator {
        Operator::Add => x + y,
        Operator::Subtract => x - y,
        Operator::Multiply => x * y,
        Operator::Divide => x / y,
        _ => x.powf(y),
    })
}

/// An integer, or a text that reads as one: a table's cell `"99.0"` stays real.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(v) => Some(*v),
        Value::Text(s) => s.trim().parse().ok(),
        Value::Real(_) | Value::Bool(_) => None,
    }
}

fn overflow(sign: &str) -> EvaluateError {
    EvaluateError::Math(format!("`{sign}` leaves the range of a 64-bit integer"))
}

fn call(function: Function, arguments: &[Node], scope: &dyn Scope) -> Result<Value, EvaluateError> {
    match (function, arguments) {
        (Function::IfMissing, _) => {
            let mut first = None;
            for argument in arguments {
                match argument.evaluate(scope) {
                    Err(missing @ EvaluateError::Missing { .. }) => first = first.or(Some(missing)),
                    other => return other,
                }
            }
            Err(first.unwrap_or_else(|| EvaluateError::Math("`if_missing` without arguments".to_owned())))
        }
        (Function::OrWarn, [value, default, message]) => match value.evaluate(scope) {
            Err(EvaluateError::Missing { .. }) => {
                let default = default.evaluate(scope)?;
                scope.warn(message.evaluate(scope)?.to_string());
                Ok(default)
            }
            other => other,
        },
        (Function::Has, [value]) => match value.evaluate(scope) {
            Ok(_) => Ok(Value::Bool(true)),
            Err(EvaluateError::Missing { .. }) => Ok(Value::Bool(false)),
            Err(other) => Err(other),
        },
        (Function::HasHdu, [name]) => Ok(Value::Bool(scope.has_hdu(&name.evaluate(scope)?.to_string()))),
        _ => {
            let values: Result<Vec<_>, _> = arguments.iter().map(|a| a.evaluate(scope)).collect();
            function.apply(&values?)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// `A` = 3, `B` = 2.5, `S` = " Seven ", `Q` = "7", `DATE-OBS`, `ESO DET ID`; `t.col` = "9.5".
    #[derive(Default)]
    struct Fixture(RefCell<Vec<String>>);

    impl Scope for Fixture {
        fn look_up(&self, scope: Option<&str>, name: &str) -> Result<Value, EvaluateError> {
            Ok(match (scope, name) {
                (None, "A") => Value::Int(3),
                (None, "B") => Value::Real(2.5),
                (None, "S") => Value::Text(" Seven ".to_owned()),
                (None, "Q") => Value::Text("7".to_owned()),
                (None, "L") => Value::Bool(true),
                (None, "DATE-OBS") => Value::Text("2009-11-04T04:39:58.9047".to_owned()),
                (None | Some("image"), "ESO DET ID") => Value::Int(13),
                (Some("t"), "col") => Value::Text("9.5".to_owned()),
                _ => return Err(EvaluateError::Missing { what: format!("`{name}`"), near: None }),
            })
        }
        fn has_hdu(&self, name: &str) -> bool {
            name == "MASK"
        }
        fn warn(&self, message: String) {
            self.0.borrow_mut().push(message);
        }
    }

    fn value(text: &str) -> Value {
        evaluate(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn evaluate(text: &str) -> Result<Value, EvaluateError> {
        text.parse::<HeaderExpression>().unwrap_or_else(|e| panic!("{e}")).evaluate(&Fixture::default())
    }

    #[test]
    fn operators_bind_as_usual() {
        for (text, expected) in [
            ("1 + 2 * 3", 7),
            ("(1 + 2) * 3", 9),
            ("2 ^ 3 ^ 2", 512),
            ("-2 ^ 2", -4),
            ("2 ^ 2 * 3", 12),
            ("10 - 3 - 2", 5),
            ("- 3 - -2", -1),
            ("A*2+1", 7),
            ("`ESO DET ID` + image.`ESO DET ID`", 26),
            ("Q * 2", 14),
        ] {
            assert_eq!(value(text), Value::Int(expected), "{text}");
        }
        for (text, expected) in [
            ("7 / 2", 3.5),
            ("8 / 2 / 2", 2.0),
            ("2 ^ -1", 0.5),
            ("B ^ 2", 6.25),
            ("1e3 * .5", 500.0),
            ("t.col - B", 7.0),
            ("1E-2 + 1.5e+1", 15.01),
        ] {
            assert_eq!(value(text), Value::Real(expected), "{text}");
        }
    }

    #[test]
    fn logic_and_tests() {
        for (text, expected) in [
            ("A == 3 and not B > 3", true),
            ("1 == 2 or 2 == 2 and 1 == 2", false),
            ("Q == 7", true),
            ("S == \"Seven\"", false),
            ("trim(S) == 'Seven'", true),
            ("'abc' < 'abd'", true),
            ("'10' > '9'", true),
            ("L", true),
            ("has(A) and not has(NONE) and has_hdu('MASK') and not has_hdu('X')", true),
            ("glob('c4d_1_ooi_z.fits.fz', '*_ooi_*.fits*')", true),
            ("version_less('V3.4.9', '3.5') and not version_less('V3.5.0', '3.5')", true),
            ("version_less('V4.10', '4.9')", false),
            ("contains(S, 'eve')", true),
            ("false or A <= 3 and A >= 3 and A != 4", true),
            ("not A == 3", false),
            // The right side of a decided `or` and `and` is not looked at.
            ("true or NONE", true),
            ("false and NONE", false),
        ] {
            assert_eq!(value(text), Value::Bool(expected), "{text}");
        }
    }

    #[test]
    fn functions() {
        assert_eq!(value("log10(1000) + sqrt(16)"), Value::Real(7.0));
        assert_eq!(value("min(A, B, 9)"), Value::Real(2.5));
        assert_eq!(value("max(A, B)"), Value::Int(3));
        assert_eq!(value("round(B * 3)"), Value::Int(8));
        assert_eq!(value("floor(-B)"), Value::Int(-3));
        assert_eq!(value("before(\"g DECam SDSS\", \" \")"), Value::Text("g".to_owned()));
        assert_eq!(value("after('a=b=c', '=')"), Value::Text("b=c".to_owned()));
        assert_eq!(value("replace('a_ooi_b', '_ooi_', '_oow_')"), Value::Text("a_oow_b".to_owned()));
        assert_eq!(value("text(lower(trim(S)), '-', upper('x'), A)"), Value::Text("seven-X3".to_owned()));
        assert_eq!(value("match(A, 1, 'one', 3, 'three')"), Value::Text("three".to_owned()));
        assert_eq!(value("match(A, 1, 'one', 'other')"), Value::Text("other".to_owned()));
        assert_eq!(value("if_missing(NONE, NIL + 1, A)"), Value::Int(3));
        assert_eq!(value("int(Q) + abs(-3)"), Value::Int(10));
        assert_eq!(value("hash('a')"), Value::Int((xxhash_rust::xxh3::xxh3_64(b"a") & 0x7fff_ffff) as i64));
        let Value::Real(mjd) = value("mjd(DATE-OBS)") else { panic!("mjd is real") };
        assert!((mjd - 55_139.194_431_77).abs() < 1e-8, "{mjd}");
    }

    #[test]
    fn only_absence_is_caught() {
        assert!(
            matches!(evaluate("if_missing(NONE, NIL)"), Err(EvaluateError::Missing { what, .. }) if what == "`NONE`")
        );
        assert!(matches!(evaluate("if_missing(S + 1, 2)"), Err(EvaluateError::Type { .. })));
        let fixture = Fixture::default();
        let or_warn: HeaderExpression = "or_warn(NONE, 27, 'no zero point')".parse().expect("parses");
        assert_eq!(or_warn.evaluate(&fixture), Ok(Value::Int(27)));
        assert_eq!(*fixture.0.borrow(), ["no zero point"]);
    }

    #[test]
    fn errors_name_the_culprit() {
        for (text, message) in [
            ("S + 1", "`+` wants a number, found text \" Seven \""),
            ("log10(0)", "`log10` of 0 is not finite"),
            ("1 / 0", "`/` of 1 is not finite"),
            ("9223372036854775807 + 1", "`+` leaves the range of a 64-bit integer"),
            ("A and L", "`and` wants true or false, found integer \"3\""),
            ("match(A, 1, 'one', 2, 'two')", "`match` does not know \"3\"; it knows 1, 2"),
            ("mjd(S)", "`mjd`: \" Seven \" is not a date such as 2024-05-31T23:59:59.9"),
            ("round(1e300)", "no integer that a column can hold"),
            ("int(B)", "`int` wants an integer, found real \"2.5\""),
            ("glob(S, '[')", "`glob`: pattern \"[\""),
        ] {
            let found = evaluate(text).map_err(|e| e.to_string());
            assert!(matches!(&found, Err(e) if e.contains(message)), "{text}: {found:?}");
        }
    }

    #[test]
    fn what_does_not_parse_says_where() {
        for (text, position, message) in [
            ("", 1, "expected a value, a keyword or `(`, found the end"),
            ("1 +", 4, "found the end"),
            ("(1", 3, "expected `)`"),
            ("1 2", 3, "expected an operator or the end, found 2"),
            ("A = 3", 3, "to compare write `==`"),
            ("'abc", 1, "is not closed"),
            ("lg10(3)", 1, "did you mean `log10`?"),
            ("frobnicate(3)", 1, "there are log10, sqrt"),
            ("1 + log10(1, 2)", 5, "`log10` takes 1 argument(s), found 2"),
            ("match(1)", 1, "`match` takes at least 3 arguments"),
            ("image.", 7, "a keyword behind `image.`"),
            ("1.2.3", 1, "`1.2.3` is not a number"),
            ("99999999999999999999", 1, "is not a number"),
            ("A § B", 3, "means nothing here"),
        ] {
            let error = text.parse::<HeaderExpression>().expect_err(text);
            assert_eq!(error.position, position, "{text}: {error}");
            assert!(error.message.contains(message), "{text}: {error}");
        }
        let deep = "(".repeat(100_000);
        assert!(deep.parse::<HeaderExpression>().expect_err("too deep").message.contains("deep"));
        let minus = "-".repeat(100_000);
        assert!(minus.parse::<HeaderExpression>().is_err());
    }
}
