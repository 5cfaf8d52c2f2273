//! Tokens to a tree: a Pratt parser.

use super::functions::Function;
use super::lexer::{Token, tokens};
use super::{Node, Operator, ParseError, Value};

/// Deeper nesting than this is refused: no header needs it, and a hostile definition could exhaust the stack.
const MAX_DEPTH: usize = 64;

pub(super) fn parse(text: &str) -> Result<Node, ParseError> {
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0 };
    let root = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(root),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn error(&self, message: String) -> ParseError {
        let position = self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |(_, position)| *position);
        ParseError { text: self.text.to_owned(), position, message }
    }

    fn unexpected(&self, wanted: &str) -> ParseError {
        let found = match self.peek() {
            Token::Name(s) | Token::Quoted(s) => format!("`{s}`"),
            Token::Text(s) => format!("the text \"{s}\""),
            Token::Int(v) => format!("{v}"),
            Token::Real(v) => format!("{v}"),
            Token::Sign(s) => format!("`{s}`"),
            Token::End => "the end".to_owned(),
        };
        self.error(format!("expected {wanted}, found {found}"))
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(s) if *s == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), ParseError> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    /// Everything that binds more tightly than `power`.
    fn expression(&mut self, power: u8) -> Result<Node, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("nested more than {MAX_DEPTH} deep")));
        }
        let mut left = self.operand()?;
        while let Some((operator, left_power, right_power)) = infix(self.peek()) {
            if left_power < power {
                break;
            }
            self.at += 1;
            let right = self.expression(right_power)?;
            left = Node::Binary(operator, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Node, ParseError> {
        if self.take("(") {
            let inside = self.expression(0)?;
            self.expect(")")?;
            return Ok(inside);
        }
        if self.take("-") {
            // Below `^`: -2^2 is -4, as in Fortran and Python.
            return Ok(Node::Negative(Box::new(self.expression(11)?)));
        }
        if self.take("+") {
            return self.expression(11);
        }
        match self.peek() {
            Token::Int(_) | Token::Real(_) | Token::Text(_) => Ok(Node::Constant(match self.next() {
                Token::Int(v) => Value::Int(v),
                Token::Real(v) => Value::Real(v),
                Token::Text(s) => Value::Text(s),
                _ => return Err(self.unexpected("a value")),
            })),
            Token::Name(name) if name == "not" => {
                self.at += 1;
                Ok(Node::Not(Box::new(self.expression(5)?)))
            }
            Token::Name(name) if name == "true" || name == "false" => {
                let value = name == "true";
                self.at += 1;
                Ok(Node::Constant(Value::Bool(value)))
            }
            Token::Name(_) | Token::Quoted(_) => self.keyword_or_call(),
            _ => Err(self.unexpected("a value, a keyword or `(`")),
        }
    }

    fn keyword_or_call(&mut self) -> Result<Node, ParseError> {
        let start = self.at;
        let quoted = matches!(self.peek(), Token::Quoted(_));
        let (Token::Name(first) | Token::Quoted(first)) = self.next() else {
            return Err(self.unexpected("a keyword"));
        };
        if !quoted && self.take("(") {
            let arguments = self.arguments()?;
            let made = Function::named(&first).and_then(|function| function.check(arguments.len()).map(|()| function));
            return match made {
                Ok(function) => Ok(Node::Call(function, arguments)),
                Err(message) => {
                    self.at = start;
                    Err(self.error(message))
                }
            };
        }
        if !self.take(".") {
            return Ok(Node::Keyword { scope: None, name: first });
        }
        match self.next() {
            Token::Name(name) | Token::Quoted(name) => Ok(Node::Keyword { scope: Some(first), name }),
            _ => {
                self.at -= 1;
                Err(self.unexpected(&format!("a keyword behind `{first}.`")))
            }
        }
    }

    fn arguments(&mut self) -> Result<Vec<Node>, ParseError> {
        let mut arguments = Vec::new();
        if self.take(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            if !self.take(",") {
                self.expect(")")?;
                return Ok(arguments);
            }
        }
    }
}

/// Operator with its left and right binding power.
fn infix(token: &Token) -> Option<(Operator, u8, u8)> {
    Some(match token {
        Token::Name(name) if name == "or" => (Operator::Or, 1, 2),
        Token::Name(name) if name == "and" => (Operator::And, 3, 4),
        Token::Sign("==") => (Operator::Equal, 6, 7),
        Token::Sign("!=") => (Operator::NotEqual, 6, 7),
        Token::Sign("<") => (Operator::Less, 6, 7),
        Token::Sign("<=") => (Operator::LessEqual, 6, 7),
        Token::Sign(">") => (Operator::Greater, 6, 7),
        Token::Sign(">=") => (Operator::GreaterEqual, 6, 7),
        Token::Sign("+") => (Operator::Add, 8, 9),
        Token::Sign("-") => (Operator::Subtract, 8, 9),
        Token::Sign("*") => (Operator::Multiply, 10, 11),
        Token::Sign("/") => (Operator::Divide, 10, 11),
        // Right to left.
        Token::Sign("^") => (Operator::Power, 13, 12),
        _ => return None,
    })
}
