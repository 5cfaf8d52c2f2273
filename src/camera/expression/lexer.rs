//! Text to tokens.

use super::ParseError;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name: a function, a logical word, or a keyword with hyphens (`MJD-OBS`).
    Name(String),
    /// A keyword in back quotes.
    Quoted(String),
    Text(String),
    Int(i64),
    Real(f64),
    /// An operator or punctuation.
    Sign(&'static str),
    End,
}

const SIGNS: [&str; 14] = ["==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "^", "(", ")", ","];

/// Tokens with the character position (from 1) where they begin; the last one is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, ParseError> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut i = 0;
    while let Some(&c) = chars.get(i) {
        let start = i;
        let token = if c.is_whitespace() {
            i += 1;
            continue;
        } else if c.is_ascii_alphabetic() || c == '_' {
            i = name_end(&chars, i);
            Token::Name(chars[start..i].iter().collect())
        } else if c.is_ascii_digit() || (c == '.' && chars.get(i + 1).is_some_and(char::is_ascii_digit)) {
            i = number_end(&chars, i);
            let digits: String = chars[start..i].iter().collect();
            number(&digits).ok_or_else(|| ParseError::new(text, start, format!("`{digits}` is not a number")))?
        } else if matches!(c, '"' | '\'' | '`') {
            let Some(length) = chars[i + 1..].iter().position(|&d| d == c) else {
                return Err(ParseError::new(text, start, format!("the quote {c} is not closed")));
            };
            let inside: String = chars[i + 1..=i + length].iter().collect();
            i += length + 2;
            if c == '`' { Token::Quoted(inside) } else { Token::Text(inside) }
        } else if c == '.' {
            i += 1;
            Token::Sign(".")
        } else {
            let found = SIGNS.iter().find(|s| s.chars().enumerate().all(|(k, d)| chars.get(i + k) == Some(&d)));
            let Some(sign) = found else {
                let hint = if c == '=' { "; to compare write `==`" } else { "" };
                return Err(ParseError::new(text, start, format!("`{c}` means nothing here{hint}")));
            };
            i += sign.len();
            Token::Sign(sign)
        };
        tokens.push((token, start + 1));
    }
    tokens.push((Token::End, chars.len() + 1));
    Ok(tokens)
}

/// A name goes on over letters, digits, underscores, and hyphens that stand between two of them.
fn name_end(chars: &[char], mut i: usize) -> usize {
    let part = |c: Option<&char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_');
    while part(chars.get(i)) || (chars.get(i) == Some(&'-') && part(chars.get(i + 1))) {
        i += 1;
    }
    i
}

fn number_end(chars: &[char], mut i: usize) -> usize {
    let digit = |c: Option<&char>| c.is_some_and(char::is_ascii_digit);
    while digit(chars.get(i)) || chars.get(i) == Some(&'.') {
        i += 1;
    }
    if matches!(chars.get(i), Some('e' | 'E')) {
        let sign = usize::from(matches!(chars.get(i + 1), Some('+' | '-')));
        if digit(chars.get(i + 1 + sign)) {
            i += 1 + sign;
            while digit(chars.get(i)) {
                i += 1;
            }
        }
    }
    i
}

fn number(digits: &str) -> Option<Token> {
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return digits.parse().ok().map(Token::Int);
    }
    digits.parse().ok().filter(|v: &f64| v.is_finite()).map(Token::Real)
}
