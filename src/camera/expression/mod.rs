//! The small language of camera definitions: an expression over the headers of a file and the tables beside it.
//!
//! | written | means |
//! |---|---|
//! | `EXPNUM`, `MJD-OBS` | a header keyword: of the image's header, else of the primary one. A hyphen without blanks belongs to the keyword; to subtract, write blanks: `A - B` |
//! | `` `ESO DET CHIP NO` `` | a keyword that is not one word, in back quotes |
//! | `primary.VISIT`, `image.CCDNUM`, `hdu2.GAIN`, `MASK.MP_BAD` | a keyword of the primary header, the image's, of unit 2, of the unit with that `EXTNAME` |
//! | `ccds.ccdzpt` | a column of the table beside the file whose row belongs to the image |
//! | `file.name`, `file.stem`, `file.hdu` | the file's name, the name before its first dot, the index of the image's unit |
//! | `wcs.pixel_scale`, `wcs.ra`, `wcs.dec` | arcsec a pixel (geometric mean) and degrees ICRS, at the image's centre |
//! | `12`, `1.5e3`, `"text"`, `'text'`, `true`, `false` | constants |
//! | `+ - * / ^`, `== != < <= > >=`, `and or not` | operators, by their usual precedence; `^` groups from the right |
//! | `log10 sqrt abs min max round floor int` | numbers |
//! | `lower upper trim replace(s, a, b) before(s, a) after(s, a) contains(s, a) text(a, b, …)` | texts |
//! | `mjd(DATE-OBS)` | an ISO 8601 date as modified Julian date |
//! | `hash(s)` | a number below 2^31 that depends on the text alone (xxh3) |
//! | `glob(s, "*_ooi_*")`, `version_less(PLVER, "3.5")` | tests |
//! | `match(v, k1, r1, k2, r2, …[, default])` | a look-up table |
//! | `has(K)`, `has_hdu("MASK")` | whether a keyword, a header-data unit is there |
//! | `if_missing(a, b, …)` | the first argument whose keywords and columns are all there |
//! | `or_warn(a, b, "message")` | `a`, or where something in it is missing `b` and a warning |
//!
//! Texts that read as numbers are numbers where a number is wanted. Any other mixture is an error that names it.

mod evaluate;
mod functions;
mod lexer;
mod parser;
mod value;

use std::str::FromStr;

use functions::Function;

pub(in crate::camera) use evaluate::Scope;
pub use value::Value;
pub(in crate::camera) use value::from_header;

/// Why a text is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}, at character {position} of `{text}`")]
pub struct ParseError {
    /// The text.
    pub text: String,
    /// Where, in characters from 1.
    pub position: usize,
    /// What is wrong.
    pub message: String,
}

impl ParseError {
    fn new(text: &str, index: usize, message: String) -> Self {
        Self { text: text.to_owned(), position: index + 1, message }
    }
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// A keyword, column or header-data unit is not there. `if_missing` and `or_warn` catch this one, and no other.
    #[error("{what} is missing{}", near.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    Missing {
        /// Which, and where it was sought.
        what: String,
        /// Something there that is spelled nearly the same.
        near: Option<String>,
    },
    /// A value is of another type.
    #[error("`{whom}` wants {expected}, found {found}")]
    Type {
        /// The operator or function.
        whom: String,
        /// The type wanted.
        expected: &'static str,
        /// The value found, with its type.
        found: String,
    },
    /// A number that does not exist (the logarithm of zero, an overflow), a key that a table does not have.
    #[error("{0}")]
    Math(String),
}

/// A parsed expression over the headers of a file; see the room's `expression` module for the language.
///
/// ```
/// use bunter::camera::HeaderExpression;
///
/// let zero_point: HeaderExpression = "MAGZERO + 2.5 * log10(EXPTIME)".parse()?;
/// assert_eq!(zero_point.to_string(), "MAGZERO + 2.5 * log10(EXPTIME)");
/// let error = "2.5 * lg10(EXPTIME)".parse::<HeaderExpression>().unwrap_err();
/// assert!(error.to_string().contains("did you mean `log10`?"));
/// # Ok::<(), bunter::camera::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderExpression {
    text: String,
    root: Node,
}

impl FromStr for HeaderExpression {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Ok(Self { text: text.to_owned(), root: parser::parse(text)? })
    }
}

/// The text it was parsed from.
impl std::fmt::Display for HeaderExpression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for HeaderExpression {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// TOML writers put plain numbers and logicals without quotes.
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Bool(bool),
            Int(i64),
            Real(f64),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Text(s) => s,
            Written::Bool(b) => b.to_string(),
            Written::Int(v) => v.to_string(),
            Written::Real(v) => v.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Constant(Value),
    Keyword { scope: Option<String>, name: String },
    Negative(Box<Node>),
    Not(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
}
