//! From text to [`Expression`].

use super::token::{Token, tokens};
use super::{Comparison, Expression, ExpressionError, InItem, Literal, Operand};
use crate::dimension::near_miss;

/// Deepest nesting of parentheses and NOT: what is read recursively must not exhaust a thread's stack.
const MAX_NESTING: usize = 100;
/// Deepest tree, chains of AND and OR included. `SQLite` refuses 1000.
const MAX_DEPTH: usize = 400;

const KEYWORDS: [&str; 10] = ["AND", "OR", "NOT", "IN", "GLOB", "IS", "NULL", "TRUE", "FALSE", "OVERLAPS"];

impl Expression {
    /// Reads an expression.
    ///
    /// Loosest first: `OR`, `AND`, `NOT`, then `a < b` (also `<= > >= = !=`), `x IN (1, 3..7, 10..20:2)` with inclusive
    /// ranges, `x NOT IN (…)`, `x GLOB 'a*'`, `x IS NULL`, `x IS NOT NULL`, `TRUE`, `FALSE`, parentheses. Texts are in
    /// single quotes, with a quote inside written twice. `T'2025-01-01T12:00:00'` is a moment of TAI (also `T'60676.5'`, a
    /// modified Julian date), and `visit.timespan OVERLAPS (T'2025-01-01', T'2025-02-01')` is true for what was open between
    /// the two, the second not included. Keywords are read in either case. Names are not checked here but
    /// where the expression is used ([`Scope`](super::Scope)).
    ///
    /// # Errors
    /// [`ExpressionError`] with the place and mostly a hint. Nesting deeper than 100 and chains of more than 400 are errors
    /// too.
    ///
    /// ```
    /// use bunter::Expression;
    ///
    /// let tree = Expression::parse("visit.exposure_time>30 and band IN ('g', 'r')")?;
    /// assert_eq!(tree.to_string(), "visit.exposure_time > 30 AND band IN ('g', 'r')");
    /// assert!(Expression::parse("visit = ").unwrap_err().to_string().contains("expected a value"));
    /// # Ok::<(), bunter::ExpressionError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        Self::parse_with(text, &[])
    }

    /// [`parse`](Self::parse), with values for the names that stand in the text behind a colon: `visit > :first`. A value is
    /// never read as a part of the expression, whatever is in it. Values that are not asked for are no error.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and for a name that has no value, with the nearest one that has.
    ///
    /// ```
    /// use bunter::{Expression, Literal};
    ///
    /// let values = [("name".to_owned(), Literal::Str("Barnard's star".to_owned()))];
    /// let tree = Expression::parse_with("visit.target_name = :name", &values)?;
    /// assert_eq!(tree.to_string(), "visit.target_name = 'Barnard''s star'");
    /// # Ok::<(), bunter::ExpressionError>(())
    /// ```
    pub fn parse_with(text: &str, values: &[(String, Literal)]) -> Result<Self, ExpressionError> {
        let mut parser = Parser { text, values, tokens: tokens(text)?, at: 0, nesting: 0 };
        if parser.token() == &Token::End {
            return Err(parser.error("it is empty").with_hint("write something like: visit > 1000 AND band = 'r'"));
        }
        let (tree, _) = parser.or()?;
        if parser.token() == &Token::End {
            return Ok(tree);
        }
        let error = parser.error(format!("expected AND, OR or the end, found {}", parser.token().shown()));
        Err(match parser.token() {
            Token::Word(word) => match near_miss(word, ["AND", "OR"]) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error,
            },
            Token::Symbol(")") => error.with_hint("there is one `)` too many"),
            _ => error,
        })
    }
}

struct Parser<'a> {
    text: &'a str,
    values: &'a [(String, Literal)],
    tokens: Vec<(usize, Token)>,
    at: usize,
    nesting: usize,
}

/// A tree and how deep it is.
type Tree = (Expression, usize);

impl Parser<'_> {
    fn token(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(_, token)| token)
    }

    fn next(&mut self) -> Token {
        let token = self.token().clone();
        self.at += 1;
        token
    }

    fn error(&self, message: impl Into<String>) -> ExpressionError {
        let offset = self.tokens.get(self.at).map_or(self.text.len(), |(offset, _)| *offset);
        ExpressionError::new(self.text, offset, message)
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = self.token().is_keyword(keyword);
        self.at += usize::from(found);
        found
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.token(), Token::Symbol(s) if *s == symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ExpressionError> {
        if self.symbol(symbol) {
            return Ok(());
        }
        Err(self.error(format!("expected `{symbol}`, found {}", self.token().shown())))
    }

    fn or(&mut self) -> Result<Tree, ExpressionError> {
        let mut tree = self.and()?;
        while self.keyword("OR") {
            let right = self.and()?;
            tree = self.join(Expression::Or, tree, right)?;
        }
        Ok(tree)
    }

    fn and(&mut self) -> Result<Tree, ExpressionError> {
        let mut tree = self.not()?;
        while self.keyword("AND") {
            let right = self.not()?;
            tree = self.join(Expression::And, tree, right)?;
        }
        Ok(tree)
    }

    fn join(
        &self,
        how: fn(Box<Expression>, Box<Expression>) -> Expression,
        left: Tree,
        right: Tree,
    ) -> Result<Tree, ExpressionError> {
        let depth = left.1.max(right.1) + 1;
        if depth > MAX_DEPTH {
            return Err(self
                .error(format!("more than {MAX_DEPTH} conditions in a chain"))
                .with_hint("list values as visit IN (1, 2, 5..9)"));
        }
        Ok((how(Box::new(left.0), Box::new(right.0)), depth))
    }

    fn not(&mut self) -> Result<Tree, ExpressionError> {
        if self.keyword("NOT") {
            let (inner, depth) = self.nested(Self::not)?;
            return Ok((Expression::Not(Box::new(inner)), depth + 1));
        }
        if self.symbol("(") {
            let tree = self.nested(Self::or)?;
            self.expect(")")?;
            return Ok(tree);
        }
        Ok((self.condition()?, 1))
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Tree, ExpressionError>) -> Result<Tree, ExpressionError> {
        if self.nesting >= MAX_NESTING {
            return Err(self.error(format!("nested deeper than {MAX_NESTING}")));
        }
        self.nesting += 1;
        let tree = read(self);
        self.nesting -= 1;
        tree
    }

    fn condition(&mut self) -> Result<Expression, ExpressionError> {
        if self.keyword("TRUE") {
            return Ok(Expression::Constant(true));
        }
        if self.keyword("FALSE") {
            return Ok(Expression::Constant(false));
        }
        let operand = self.operand()?;
        if self.keyword("IS") {
            let negated = self.keyword("NOT");
            if !self.keyword("NULL") {
                return Err(self.error(format!("expected NULL, found {}", self.token().shown())));
            }
            return Ok(Expression::IsNull { operand, negated });
        }
        if self.keyword("OVERLAPS") {
            return self.overlaps(&operand);
        }
        let negated = self.keyword("NOT");
        if self.keyword("IN") {
            return Ok(Expression::In { operand, items: self.items()?, negated });
        }
        if self.keyword("GLOB") {
            let Token::Str(pattern) = self.token().clone() else {
                return Err(self.error(format!("expected a pattern in quotes, found {}", self.token().shown())));
            };
            self.at += 1;
            let glob = Expression::Glob(operand, pattern);
            return Ok(if negated { Expression::Not(Box::new(glob)) } else { glob });
        }
        if negated {
            return Err(self.error(format!("expected IN or GLOB, found {}", self.token().shown())));
        }
        let comparison = match self.token() {
            Token::Symbol("=") => Comparison::Eq,
            Token::Symbol("!=") => Comparison::Ne,
            Token::Symbol("<") => Comparison::Lt,
            Token::Symbol("<=") => Comparison::Le,
            Token::Symbol(">") => Comparison::Gt,
            Token::Symbol(">=") => Comparison::Ge,
            other => {
                let error = self.error(format!("expected a comparison, found {}", other.shown()));
                return Err(match other {
                    Token::Word(w) if w.eq_ignore_ascii_case("LIKE") => {
                        error.with_hint("write GLOB, with * for any text and ? for any character")
                    }
                    Token::Word(w) if w.eq_ignore_ascii_case("BETWEEN") => {
                        error.with_hint("write x >= 1 AND x <= 5, or x IN (1..5)")
                    }
                    _ => error.with_hint("write something like: visit = 1228, band IN ('g', 'r'), visit.seeing < 1"),
                });
            }
        };
        self.at += 1;
        Ok(Expression::Compare(comparison, operand, self.operand()?))
    }

    /// What is behind `x.timespan OVERLAPS`: a moment or two of them. Spans are half open, so the tree is two comparisons,
    /// which every executor knows.
    fn overlaps(&mut self, operand: &Operand) -> Result<Expression, ExpressionError> {
        let end = |which: &str| match operand {
            Operand::Identifier { element, field: None } if element == "timespan" => {
                Some(Operand::Identifier { element: element.clone(), field: Some(which.to_owned()) })
            }
            Operand::Identifier { element, field: Some(field) } if field == "timespan" => {
                Some(Operand::Identifier { element: element.clone(), field: Some(format!("timespan_{which}")) })
            }
            _ => None,
        };
        let (Some(begin), Some(stop)) = (end("begin"), end("end")) else {
            return Err(self.error("only spans of time overlap in an expression").with_hint(
                "write visit.timespan OVERLAPS (T'2025-01-01', T'2025-02-01'); for the sky there is --region",
            ));
        };
        let both = |before: Comparison, last: f64, first: f64| {
            let literal = |v| Operand::Literal(Literal::Float(v));
            Expression::And(
                Box::new(Expression::Compare(before, begin, literal(last))),
                Box::new(Expression::Compare(Comparison::Gt, stop, literal(first))),
            )
        };
        if !self.symbol("(") {
            let moment = self.moment()?;
            return Ok(both(Comparison::Le, moment, moment));
        }
        let start_at = self.at;
        let first = self.moment()?;
        self.expect(",")?;
        let last = self.moment()?;
        self.expect(")")?;
        if last <= first {
            self.at = start_at;
            return Err(self.error("this span of time is empty").with_hint("write the earlier moment first"));
        }
        Ok(both(Comparison::Lt, last, first))
    }

    fn moment(&mut self) -> Result<f64, ExpressionError> {
        let start_at = self.at;
        if matches!(self.token(), Token::Time(_) | Token::Symbol(":"))
            && let Literal::Float(moment) = self.literal()?
        {
            return Ok(moment);
        }
        self.at = start_at;
        Err(self.error(format!("expected a time, found {}", self.token().shown())).with_hint("write T'2025-01-01'"))
    }

    /// `:name`, where a value may be given for it.
    fn bound(&mut self) -> Result<Literal, ExpressionError> {
        let Some((_, Token::Word(name))) = self.tokens.get(self.at + 1) else {
            return Err(self.error("expected a value, found `:`").with_hint("a name stands behind it: visit > :first"));
        };
        let Some((_, value)) = self.values.iter().find(|(known, _)| known == name) else {
            let error = self.error(format!("`:{name}` has no value"));
            return Err(match near_miss(name, self.values.iter().map(|(known, _)| known.as_str())) {
                Some(near) => error.with_hint(format!("did you mean `:{near}`?")),
                None => error.with_hint(format!("give it one: --bind {name}=VALUE")),
            });
        };
        if matches!(value, Literal::Float(v) if !v.is_finite()) {
            return Err(self.error(format!("the value of `:{name}` is not a finite number")));
        }
        self.at += 2;
        Ok(value.clone())
    }

    fn operand(&mut self) -> Result<Operand, ExpressionError> {
        if let Token::Word(word) = self.token() {
            if KEYWORDS.iter().any(|k| word.eq_ignore_ascii_case(k)) {
                return Err(self.error(format!("expected a value, found `{word}`")));
            }
            let (element, field) = match word.split_once('.') {
                Some((element, field)) => (element.to_owned(), Some(field.to_owned())),
                None => (word.clone(), None),
            };
            self.at += 1;
            return Ok(Operand::Identifier { element, field });
        }
        Ok(Operand::Literal(self.literal()?))
    }

    fn literal(&mut self) -> Result<Literal, ExpressionError> {
        match self.token() {
            Token::Str(_) => match self.next() {
                Token::Str(text) => Ok(Literal::Str(text)),
                other => Err(self.error(format!("expected a value, found {}", other.shown()))),
            },
            Token::Symbol(":") => self.bound(),
            Token::Float(v) | Token::Time(v) => {
                let value = *v;
                self.at += 1;
                Ok(Literal::Float(value))
            }
            Token::Symbol("-") if matches!(self.tokens.get(self.at + 1), Some((_, Token::Float(_)))) => {
                self.at += 1;
                let Literal::Float(v) = self.literal()? else { return Err(self.error("expected a number")) };
                Ok(Literal::Float(-v))
            }
            _ => Ok(Literal::Int(self.integer()?)),
        }
    }

    fn integer(&mut self) -> Result<i64, ExpressionError> {
        let start = self.at;
        let negative = self.symbol("-");
        let Token::Int(magnitude) = *self.token() else {
            let what = if negative { "a number" } else { "a value" };
            let error = self.error(format!("expected {what}, found {}", self.token().shown()));
            return Err(match self.token() {
                Token::Word(w) => error.with_hint(format!("texts are written in single quotes: '{w}'")),
                _ => error,
            });
        };
        let value = if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() };
        let Some(value) = value else {
            self.at = start;
            return Err(self.error("this number is too large"));
        };
        self.at += 1;
        Ok(value)
    }

    fn items(&mut self) -> Result<Vec<InItem>, ExpressionError> {
        self.expect("(").map_err(|e| e.with_hint("write IN (1, 2, 5..9)"))?;
        let mut items = Vec::new();
        if self.symbol(")") {
            return Ok(items);
        }
        loop {
            let start_at = self.at;
            let value = self.literal()?;
            if self.symbol("..") {
                let Literal::Int(start) = value else {
                    self.at = start_at;
                    return Err(self.error("ranges are of integers"));
                };
                let stop = self.integer()?;
                let step = if self.symbol(":") { self.integer()? } else { 1 };
                if step < 1 || stop < start {
                    self.at = start_at;
                    return Err(self.error("this range is empty").with_hint(
                        "write start..stop or start..stop:step, with stop not below start and step above 0",
                    ));
                }
                items.push(InItem::Range { start, stop, step });
            } else {
                items.push(InItem::Value(value));
            }
            if self.symbol(")") {
                return Ok(items);
            }
            if !self.symbol(",") {
                return Err(self.error(format!("expected `,` or `)`, found {}", self.token().shown())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(text: &str) -> ExpressionError {
        Expression::parse(text).expect_err(text)
    }

    #[test]
    fn precedence() {
        let same = |a: &str, b: &str| assert_eq!(Expression::parse(a), Expression::parse(b), "{a}");
        same("a=1 OR b=2 AND c=3", "a=1 OR (b=2 AND c=3)");
        same("NOT a=1 AND b=2", "(NOT a=1) AND b=2");
        same("a=1 AND b=2 AND c=3", "((a=1 AND b=2) AND c=3)");
        same("a not in (1) or not b is not null", "(a NOT IN (1)) OR (NOT (b IS NOT NULL))");
        same("a == 1 and b <> 2", "a = 1 AND b != 2");
        same("x NOT GLOB 'a*'", "NOT x GLOB 'a*'");
        assert_ne!(Expression::parse("a=1 AND (b=2 AND c=3)"), Expression::parse("a=1 AND b=2 AND c=3"));
    }

    #[test]
    fn ranges_and_numbers() {
        let Expression::In { items, .. } = Expression::parse("visit IN (1..5, -3..-1:2, 7, 1.5e3, 'x''y')").unwrap()
        else {
            panic!("not an IN")
        };
        assert_eq!(
            items,
            [
                InItem::Range { start: 1, stop: 5, step: 1 },
                InItem::Range { start: -3, stop: -1, step: 2 },
                InItem::Value(Literal::Int(7)),
                InItem::Value(Literal::Float(1500.0)),
                InItem::Value(Literal::Str("x'y".to_owned())),
            ]
        );
        assert!(Expression::parse("a = -9223372036854775808").is_ok());
        assert!(fails("a = 9223372036854775808").message().contains("too large"));
        assert!(fails("a = 1e999").message().contains("too large"));
    }

    #[test]
    fn errors_point_at_the_place() {
        for (text, offset, message) in [
            ("", 0, "empty"),
            ("visit = AND band = 'r'", 8, "expected a value"),
            ("visit = 12 and", 14, "expected a value"),
            ("band = 'r", 7, "never closed"),
            ("band = \"r\"", 7, "unexpected character"),
            ("visit IN (5..1)", 10, "empty"),
            ("visit IN (1..5:0)", 10, "empty"),
            ("visit IN ('a'..'b')", 10, "integers"),
            ("visit IN 5", 9, "expected `(`"),
            ("visit IN (5", 11, "expected `,` or `)`"),
            ("(visit = 5", 10, "expected `)`"),
            ("visit = 5)", 9, "expected AND"),
            ("visit = 5 adn band = 'r'", 10, "expected AND"),
            ("visit", 5, "expected a comparison"),
            ("name LIKE 'x'", 5, "expected a comparison"),
            ("12abc = 3", 0, "runs into"),
            ("visit = 1 = 2", 10, "expected AND"),
            ("visit NOT = 1", 10, "expected IN or GLOB"),
            ("ä = ü ! é", 8, "unexpected character"),
        ] {
            let error = fails(text);
            assert_eq!(error.offset(), offset, "{error}");
            assert!(error.message().contains(message), "{error}");
        }
        let shown = fails("visit = AND").to_string();
        assert_eq!(shown, "cannot read expression: expected a value, found `AND`\n  visit = AND\n          ^");
        assert!(fails("visit = 5 adn band = 'r'").hint().unwrap().contains("AND"));
        assert!(fails(&format!("{} =", "x".repeat(1_000_000))).to_string().len() < 400);
    }

    #[test]
    fn values_are_bound_and_never_read() {
        let values = [
            ("first".to_owned(), Literal::Int(-5)),
            ("name".to_owned(), Literal::Str("x' OR TRUE OR 'y".to_owned())),
            ("begin".to_owned(), Literal::Float(60000.5)),
            ("bad".to_owned(), Literal::Float(f64::NAN)),
        ];
        let shown = |text: &str| Expression::parse_with(text, &values).map(|tree| tree.to_string());
        assert_eq!(
            shown("visit > :first AND a IN (:first, :name)").unwrap(),
            "visit > -5 AND a IN (-5, 'x'' OR TRUE OR ''y')"
        );
        assert_eq!(shown("timespan OVERLAPS :begin"), shown("timespan OVERLAPS T'60000.5'"));
        assert!(shown("visit IN (1..9:2, :first)").is_ok());
        for (text, part) in [
            ("visit = :frist", "did you mean `:first`?"),
            ("visit = :nothing_like_it", "--bind nothing_like_it=VALUE"),
            ("visit = :", "expected a value"),
            ("visit = :bad", "finite"),
            ("visit = -:first", "expected a number"),
        ] {
            let error = shown(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(fails("visit = :first").to_string().contains("has no value"));
    }

    #[test]
    fn spans_of_time_are_comparisons() {
        let same = |a: &str, b: &str| assert_eq!(Expression::parse(a).unwrap(), Expression::parse(b).unwrap(), "{a}");
        same(
            "visit.timespan OVERLAPS (T'2025-01-01', T'2025-01-02T12:00')",
            "visit.timespan_begin < 60677.5 AND visit.timespan_end > 60676.0",
        );
        same("timespan overlaps t'60676'", "timespan.begin <= 60676.0 AND timespan.end > 60676.0");
        same(
            "NOT timespan OVERLAPS T'60676' OR a = 1",
            "NOT (timespan.begin <= 60676.0 AND timespan.end > 60676.0) OR a = 1",
        );
        for (text, part) in [
            ("timespan OVERLAPS (T'2025-01-02', T'2025-01-01')", "empty"),
            ("timespan OVERLAPS (T'2025-01-02', T'2025-01-02')", "empty"),
            ("timespan OVERLAPS 5", "expected a time, found `5`"),
            ("timespan OVERLAPS (T'2025-01-02')", "expected `,`"),
            ("visit_detector.region OVERLAPS CIRCLE(1, 2, 3)", "--region"),
            ("5 OVERLAPS T'2025-01-01'", "only spans"),
            ("visit.timespan_begin > T'2025-02-30'", "no such day"),
            ("visit.timespan_begin > T'", "never closed"),
            ("visit.timespan_begin > -T'60676'", "expected a number"),
        ] {
            let error = fails(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn hostile_nesting_is_an_error_not_an_overflow() {
        for n in [101, 1_000_000] {
            fails(&"(".repeat(n));
            fails(&"NOT ".repeat(n));
            fails(&format!("{}a=1{}", "(".repeat(n), ")".repeat(n)));
        }
        fails(&vec!["a=1"; 100_000].join(" OR "));
        fails(&vec!["a=1"; 100_000].join(" AND "));
        assert!(Expression::parse(&vec!["a=1"; 400].join(" OR ")).is_ok());
        let n = 99;
        assert!(Expression::parse(&format!("{}a=1{}", "(".repeat(n), ")".repeat(n))).is_ok());
    }
}
