//! The words of an expression.

use super::ExpressionError;

/// A word of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name with its dots, or a keyword.
    Word(String),
    /// Digits. 2^63 is the largest, which only a minus can make fit.
    Int(u64),
    /// A number with a point or an exponent.
    Float(f64),
    /// A text without its quotes.
    Str(String),
    /// `T'2025-01-01'`: a moment, the modified Julian date of TAI.
    Time(f64),
    /// Punctuation.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

impl Token {
    /// As it is shown in a message.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Word(w) => format!("`{w}`"),
            Self::Int(v) => format!("`{v}`"),
            Self::Float(v) => format!("`{v:?}`"),
            Self::Time(v) => format!("the time MJD {v:?}"),
            Self::Str(s) => format!("'{}'", s.chars().take(40).collect::<String>()),
            Self::Symbol(s) => format!("`{s}`"),
            Self::End => "the end".to_owned(),
        }
    }

    /// Whether it is this keyword, in either case.
    pub(super) fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(w) if w.eq_ignore_ascii_case(keyword))
    }
}

/// Longest first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 14] = ["..", "<=", ">=", "!=", "<>", "==", "=", "<", ">", "(", ")", ",", ":", "-"];

/// The words of `text`, each with the number of bytes before it. Ends with [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ExpressionError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = rest(text, at).chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (token, length) = if matches!(c, 'T' | 't') && rest(text, at + 1).starts_with('\'') {
            let (token, length) = string(text, at + 1)?;
            let Token::Str(value) = token else { return Err(ExpressionError::new(text, at, "expected a time")) };
            (
                Token::Time(super::moment::mjd(&value).map_err(|reason| super::moment::error(text, at, reason))?),
                length + 1,
            )
        } else if c == '\'' {
            string(text, at)?
        } else if c.is_ascii_digit() {
            number(text, at)?
        } else if c.is_alphabetic() || c == '_' {
            let length = word_length(rest(text, at));
            (Token::Word(rest(text, at).chars().take(length).collect()), bytes(rest(text, at), length))
        } else if let Some(symbol) = SYMBOLS.into_iter().find(|s| rest(text, at).starts_with(s)) {
            (
                Token::Symbol(match symbol {
                    "==" => "=",
                    "<>" => "!=",
                    other => other,
                }),
                symbol.len(),
            )
        } else {
            let error = ExpressionError::new(text, at, format!("unexpected character {c:?}"));
            return Err(match c {
                '"' | '`' => error.with_hint("texts are written in single quotes: 'HSC'"),
                '&' => error.with_hint("write AND"),
                '|' => error.with_hint("write OR"),
                '!' => error.with_hint("write NOT, or != for unequal"),
                '*' | '?' => error.with_hint("patterns are written in quotes: name GLOB 'COSMOS*'"),
                _ => error,
            });
        };
        found.push((at, token));
        at += length;
    }
    found.push((text.len(), Token::End));
    Ok(found)
}

fn rest(text: &str, at: usize) -> &str {
    text.get(at..).unwrap_or_default()
}

fn bytes(text: &str, characters: usize) -> usize {
    text.chars().take(characters).map(char::len_utf8).sum()
}

/// Characters of a name: letters, digits, underscores, and single dots between them.
fn word_length(text: &str) -> usize {
    let mut length = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let dot = c == '.' && chars.peek().is_some_and(|next| next.is_alphabetic() || *next == '_');
        if !(c.is_alphanumeric() || c == '_' || dot) {
            break;
        }
        length += 1;
    }
    length
}

fn string(text: &str, at: usize) -> Result<(Token, usize), ExpressionError> {
    let mut value = String::new();
    let mut chars = rest(text, at).char_indices().skip(1).peekable();
    while let Some((i, c)) = chars.next() {
        if c != '\'' {
            value.push(c);
        } else if chars.next_if(|(_, next)| *next == '\'').is_some() {
            value.push('\'');
        } else {
            return Ok((Token::Str(value), i + 1));
        }
    }
    Err(ExpressionError::new(text, at, "this quote is never closed")
        .with_hint("a quote inside a text is written twice: 'Barnard''s star'"))
}

fn number(text: &str, at: usize) -> Result<(Token, usize), ExpressionError> {
    let bytes = rest(text, at).as_bytes();
    let digits = |from: usize| bytes.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
    let is_digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    let mut length = digits(0);
    let mut real = false;
    // Two dots are a range: `1..5` is not `1.` and `.5`.
    if bytes.get(length) == Some(&b'.') && is_digit(length + 1) {
        real = true;
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        if is_digit(length + 1 + sign) {
            real = true;
            length += 1 + sign + digits(length + 1 + sign);
        }
    }
    let word = rest(text, at).get(..length).unwrap_or_default();
    if rest(text, at + length).starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return Err(ExpressionError::new(text, at, "a number runs into a name")
            .with_hint("names do not begin with a digit; texts are written in single quotes"));
    }
    let token = if real {
        word.parse().ok().filter(|v: &f64| v.is_finite()).map(Token::Float)
    } else {
        word.parse().ok().filter(|v| *v <= 1 << 63).map(Token::Int)
    };
    token.map(|token| (token, length)).ok_or_else(|| ExpressionError::new(text, at, "this number is too large"))
}
