//! The words of a statement: what a dialect turns into its own.
//!
//! All statements of this room are written once, in the SQL that `SQLite` understands (see [`Database`](super::database::Database)).
//! Other databases read them through these words: marks of parameters get their types or lose their numbers, types of columns
//! their names. A text or a quoted name is one word, and never looked into.

/// A piece of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword, a name without quotes, a number.
    Word(&'a str),
    /// A name in `"`, with them.
    Quoted(&'a str),
    /// `?7`.
    Mark(usize),
    /// Blanks, signs, texts in `'`.
    Other(&'a str),
}

impl<'a> Token<'a> {
    /// As it was written; not of a mark.
    pub(super) fn text(self) -> &'a str {
        match self {
            Self::Word(text) | Self::Quoted(text) | Self::Other(text) => text,
            Self::Mark(_) => "?",
        }
    }

    /// Whether it is a keyword. Keywords are written large.
    pub(super) fn is(self, word: &'static str) -> bool {
        matches!(self, Self::Word(found) if found == word)
    }

    /// The name that it is, without quotes.
    pub(super) fn name(self) -> Option<&'a str> {
        match self {
            Self::Word(name) => Some(name),
            Self::Quoted(name) => name.get(1..name.len().saturating_sub(1)),
            _ => None,
        }
    }

    pub(super) fn is_blank(self) -> bool {
        matches!(self, Self::Other(text) if text.chars().all(char::is_whitespace))
    }
}

/// The words of a statement, blanks among them: put together again they are the statement.
pub(super) fn tokens<'a>(sql: &'a str) -> Vec<Token<'a>> {
    let bytes = sql.as_bytes();
    let end_of = |from: usize, inside: fn(u8) -> bool| {
        from + bytes.iter().skip(from).position(|b| !inside(*b)).unwrap_or(bytes.len() - from)
    };
    let mut found = Vec::with_capacity(sql.len() / 4);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let (end, make): (usize, fn(&'a str) -> Token<'a>) = match byte {
            quote @ (b'"' | b'\'') => {
                // A doubled quote ends one text and begins the next, which comes to the same.
                let end = bytes.iter().skip(at + 1).position(|b| b == quote).map_or(bytes.len(), |n| at + n + 2);
                (end, if *quote == b'"' { Token::Quoted } else { Token::Other })
            }
            b'?' => (end_of(at + 1, |b| b.is_ascii_digit()), |text| {
                text.get(1..).and_then(|n| n.parse().ok()).map_or(Token::Other(text), Token::Mark)
            }),
            b if is_word(*b) => (end_of(at, is_word), Token::Word),
            b if b.is_ascii_whitespace() => (end_of(at, |b| b.is_ascii_whitespace()), Token::Other),
            // One sign, whatever its length in bytes.
            _ => (at + sql.get(at..).and_then(|s| s.chars().next()).map_or(1, char::len_utf8), Token::Other),
        };
        match sql.get(at..end) {
            Some(text) => found.push(make(text)),
            None => break,
        }
        at = end;
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The statements of a script. A statement holds no `;` of its own, but in texts.
#[cfg(feature = "mysql")]
pub(super) fn statements(script: &str) -> Vec<&str> {
    let (mut found, mut start, mut at) = (Vec::new(), 0, 0);
    for token in tokens(script) {
        let length = match token {
            Token::Mark(n) => 1 + n.to_string().len(),
            other => other.text().len(),
        };
        if token == Token::Other(";") {
            found.extend(script.get(start..at));
            start = at + length;
        }
        at += length;
    }
    found.extend(script.get(start..));
    found.into_iter().map(str::trim).filter(|s| !s.is_empty()).collect()
}

/// A pattern of `*` and `?` as one for `LIKE … ESCAPE '|'`.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) fn like_pattern(pattern: &str) -> String {
    let mut like = String::with_capacity(pattern.len() + 8);
    for c in pattern.chars() {
        match c {
            '*' => like.push('%'),
            '?' => like.push('_'),
            '%' | '_' | '|' => like.extend(['|', c]),
            other => like.push(other),
        }
    }
    like
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_put_together_are_the_statement() {
        let sql = "SELECT \"a?1\", 'it''s ?2', x.y FROM t WHERE (é <> ?12) -- ?";
        let found = tokens(sql);
        let again: String =
            found.iter().map(|t| if let Token::Mark(n) = t { format!("?{n}") } else { t.text().to_owned() }).collect();
        assert_eq!(again, sql);
        let marks: Vec<_> = found.iter().filter(|t| matches!(t, Token::Mark(_))).collect();
        assert_eq!(marks, [&Token::Mark(12)]);
        assert_eq!(tokens("'open"), [Token::Other("'open")]);
        assert_eq!(Token::Quoted("\"rank\"").name(), Some("rank"));
    }

    #[cfg(feature = "mysql")]
    #[test]
    fn scripts_are_taken_apart_at_their_semicolons() {
        assert_eq!(statements("A ?1; B ';' \";\" ;\n C;"), ["A ?1", "B ';' \";\"", "C"]);
    }

    #[cfg(any(feature = "postgres", feature = "mysql"))]
    #[test]
    fn patterns_mean_the_same() {
        assert_eq!(like_pattern("a*b?c%_|"), "a%b_c|%|_||");
    }
}
