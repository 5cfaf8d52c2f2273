//! [`ExpressionError`]: what is wrong with the text of an expression, and where.

use std::fmt;

/// A text that is not an expression. Shown with the place marked:
///
/// ```text
/// cannot read expression: expected a value, found `AND`
///   visit = AND band = 'r'
///           ^
///   hint: …
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    message: String,
    text: String,
    offset: usize,
    hint: Option<String>,
}

/// Characters shown on each side of the place.
const CONTEXT: usize = 48;

impl ExpressionError {
    pub(super) fn new(text: &str, offset: usize, message: impl Into<String>) -> Self {
        Self { message: message.into(), text: text.to_owned(), offset: offset.min(text.len()), hint: None }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where in the text: number of bytes before the place.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        let before: Vec<char> =
            self.text.char_indices().take_while(|(i, _)| *i < self.offset).map(|(_, c)| printable(c)).collect();
        let start = before.len().saturating_sub(CONTEXT);
        let after = self.text.char_indices().skip_while(|(i, _)| *i < self.offset).map(|(_, c)| printable(c));
        write!(f, "cannot read expression: {}\n  ", self.message)?;
        let dots = if start > 0 { "…" } else { "" };
        let line: String = before.iter().skip(start).copied().chain(after.take(CONTEXT)).collect();
        write!(f, "{dots}{line}\n  {:width$}^", "", width = before.len() - start + dots.chars().count())?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ExpressionError {}
