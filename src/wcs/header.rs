//! [`Header`]: the keyword records of a FITS header as typed values.
//!
//! Holds and looks up values; reads and writes no file (`datastore` does). Camera translators and the WCS read headers
//! through the typed look-ups, which say what is missing or of the wrong type instead of guessing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The value of one keyword record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HeaderValue {
    /// `T` or `F`.
    Logical(bool),
    /// An integer.
    Integer(i64),
    /// A real number. FITS knows no NaN; a header that was built in memory may hold one.
    Real(f64),
    /// A character string, without its quotes and trailing blanks.
    Text(String),
    /// A keyword with `=` and no value ("undefined" in FITS).
    Undefined,
}

impl HeaderValue {
    /// The value as a number: an integer or a real, or a text that reads as one (some archives quote their numbers).
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(v) => Some(*v as f64),
            Self::Real(v) => Some(*v),
            // FITS allows `D` for the exponent of a double.
            Self::Text(s) => s.trim().replace(['D', 'd'], "E").parse().ok(),
            Self::Logical(_) | Self::Undefined => None,
        }
    }

    /// The value as an integer: an integer, a real without fraction, or a text that reads as an integer.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Integer(v) => Some(*v),
            Self::Real(v) => (v.fract() == 0.0 && v.abs() < 9.0e15).then_some(*v as i64),
            Self::Text(s) => s.trim().parse().ok(),
            Self::Logical(_) | Self::Undefined => None,
        }
    }

    /// The text, when it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(s) => Some(s),
            _ => None,
        }
    }

    /// The logical value, when it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Logical(b) => Some(*b),
            _ => None,
        }
    }

    /// What kind of value this is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Logical(_) => "logical",
            Self::Integer(_) => "integer",
            Self::Real(_) => "real",
            Self::Text(_) => "text",
            Self::Undefined => "undefined",
        }
    }
}

impl fmt::Display for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Logical(b) => f.write_str(if *b { "T" } else { "F" }),
            Self::Integer(v) => write!(f, "{v}"),
            Self::Real(v) => write!(f, "{v:?}"),
            Self::Text(s) => write!(f, "'{}'", s.replace('\'', "''")),
            Self::Undefined => Ok(()),
        }
    }
}

macro_rules! from_value {
    ($($type:ty => $variant:ident),* $(,)?) => {
        $(impl From<$type> for HeaderValue {
            fn from(v: $type) -> Self { Self::$variant(v.into()) }
        })*
    };
}
from_value!(bool => Logical, i64 => Integer, i32 => Integer, u32 => Integer, f64 => Real, String => Text, &str => Text);

/// One keyword record: keyword, value, comment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// The keyword, upper case, without `HIERARCH`.
    pub keyword: String,
    /// The value.
    pub value: HeaderValue,
    /// The comment behind the slash, possibly empty.
    pub comment: String,
}

/// Why a header look-up failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HeaderError {
    /// The keyword is not in the header.
    #[error("header has no keyword `{keyword}`{}", near.as_ref().map(|n| format!(" (it has `{n}`)")).unwrap_or_default())]
    Missing {
        /// The keyword asked for.
        keyword: String,
        /// A keyword of the header that is spelled nearly the same.
        near: Option<String>,
    },
    /// The keyword is there, but its value is of another type.
    #[error("header keyword `{keyword}` is {found} ({value}), expected {expected}")]
    WrongType {
        /// The keyword asked for.
        keyword: String,
        /// The kind of value wanted.
        expected: &'static str,
        /// The kind of value found.
        found: &'static str,
        /// The value found.
        value: String,
    },
}

/// The keyword records of one header, in order. Commentary (`COMMENT`, `HISTORY`, blank) is left out.
///
/// ```
/// use bunter::Header;
///
/// let mut header = Header::default();
/// header.set("EXPTIME", 30.0);
/// assert_eq!(header.f64("EXPTIME")?, 30.0);
/// assert_eq!(header.f64("EXPTIM").unwrap_err().to_string(), "header has no keyword `EXPTIM` (it has `EXPTIME`)");
/// # Ok::<(), bunter::HeaderError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Header {
    cards: Vec<Card>,
}

impl Header {
    /// The records, in order.
    pub fn cards(&self) -> &[Card] {
        &self.cards
    }

    /// The value of `keyword` (any case), or `None` when it is absent or undefined. Of repeated keywords, the first.
    pub fn get(&self, keyword: &str) -> Option<&HeaderValue> {
        let card = self.cards.iter().find(|c| c.keyword.eq_ignore_ascii_case(keyword))?;
        (card.value != HeaderValue::Undefined).then_some(&card.value)
    }

    /// Whether `keyword` is there with a value.
    pub fn contains(&self, keyword: &str) -> bool {
        self.get(keyword).is_some()
    }

    /// Sets `keyword`, in place when it is there, at the end otherwise.
    pub fn set(&mut self, keyword: &str, value: impl Into<HeaderValue>) {
        self.set_commented(keyword, value, "");
    }

    /// Sets `keyword` with a comment.
    pub fn set_commented(&mut self, keyword: &str, value: impl Into<HeaderValue>, comment: &str) {
        let value = value.into();
        match self.cards.iter_mut().find(|c| c.keyword.eq_ignore_ascii_case(keyword)) {
            Some(card) => {
                card.value = value;
                if !comment.is_empty() {
                    comment.clone_into(&mut card.comment);
                }
            }
            None => self.cards.push(Card { keyword: keyword.to_ascii_uppercase(), value, comment: comment.to_owned() }),
        }
    }

    /// Adds a record at the end as it is, without looking for one of the same keyword: for readers of files, where a
    /// keyword may be repeated and hundreds of look-ups would cost more than the reading.
    pub fn push(&mut self, card: Card) {
        self.cards.push(card);
    }

    /// Takes all records of `keyword` out.
    pub fn remove(&mut self, keyword: &str) {
        self.cards.retain(|c| !c.keyword.eq_ignore_ascii_case(keyword));
    }

    /// Keeps only the records for which `keep` is true.
    pub fn retain(&mut self, keep: impl FnMut(&Card) -> bool) {
        self.cards.retain(keep);
    }

    /// Adds the records of `other`, replacing those of the same keyword.
    pub fn merge(&mut self, other: &Self) {
        for card in &other.cards {
            self.set_commented(&card.keyword, card.value.clone(), &card.comment);
        }
    }

    /// A number.
    ///
    /// # Errors
    /// [`HeaderError::Missing`], [`HeaderError::WrongType`].
    pub fn f64(&self, keyword: &str) -> Result<f64, HeaderError> {
        self.typed(keyword, "a number", HeaderValue::as_f64)
    }

    /// An integer.
    ///
    /// # Errors
    /// [`HeaderError::Missing`], [`HeaderError::WrongType`].
    pub fn i64(&self, keyword: &str) -> Result<i64, HeaderError> {
        self.typed(keyword, "an integer", HeaderValue::as_i64)
    }

    /// A text.
    ///
    /// # Errors
    /// [`HeaderError::Missing`], [`HeaderError::WrongType`].
    pub fn str(&self, keyword: &str) -> Result<&str, HeaderError> {
        self.typed(keyword, "a text", HeaderValue::as_str)
    }

    /// A number, or `default` when the keyword is absent.
    ///
    /// # Errors
    /// [`HeaderError::WrongType`].
    pub fn f64_or(&self, keyword: &str, default: f64) -> Result<f64, HeaderError> {
        if self.contains(keyword) { self.f64(keyword) } else { Ok(default) }
    }

    fn typed<'a, T>(
        &'a self,
        keyword: &str,
        expected: &'static str,
        read: impl Fn(&'a HeaderValue) -> Option<T>,
    ) -> Result<T, HeaderError> {
        let Some(value) = self.get(keyword) else {
            let near = self.near(keyword);
            return Err(HeaderError::Missing { keyword: keyword.to_owned(), near });
        };
        read(value).ok_or_else(|| HeaderError::WrongType {
            keyword: keyword.to_owned(),
            expected,
            found: value.kind(),
            value: value.to_string(),
        })
    }

    fn near(&self, keyword: &str) -> Option<String> {
        let wanted = keyword.to_ascii_uppercase();
        self.cards
            .iter()
            .map(|c| (strsim::osa_distance(&c.keyword, &wanted), &c.keyword))
            .filter(|(distance, _)| *distance <= 1 + wanted.len() / 8)
            .min()
            .map(|(_, k)| k.clone())
    }
}

impl<K: AsRef<str>, V: Into<HeaderValue>> FromIterator<(K, V)> for Header {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(records: I) -> Self {
        let mut header = Self::default();
        for (keyword, value) in records {
            header.set(keyword.as_ref(), value);
        }
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_and_double_numbers_are_numbers() {
        assert_eq!(HeaderValue::from("1.5D+02").as_f64(), Some(150.0));
        assert_eq!(HeaderValue::from("42").as_i64(), Some(42));
        assert_eq!(HeaderValue::Real(3.0).as_i64(), Some(3));
        assert_eq!(HeaderValue::Real(3.5).as_i64(), None);
        assert_eq!(HeaderValue::Logical(true).as_f64(), None);
    }

    #[test]
    fn a_wrong_type_says_what_was_found() {
        let header: Header = [("CRVAL1", "east")].into_iter().collect();
        let message = header.f64("crval1").unwrap_err().to_string();
        assert_eq!(message, "header keyword `crval1` is text ('east'), expected a number");
        assert_eq!(header.f64_or("CRVAL2", 7.0), Ok(7.0));
    }

    #[test]
    fn setting_twice_keeps_place_and_comment() {
        let mut header = Header::default();
        header.set_commented("A", 1_i64, "first");
        header.set("B", 2_i64);
        header.set("a", 3_i64);
        assert_eq!(header.cards().len(), 2);
        assert_eq!(header.cards()[0].value, HeaderValue::Integer(3));
        assert_eq!(header.cards()[0].comment, "first");
    }
}
