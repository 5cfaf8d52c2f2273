//! [`Relation`]: from names of dimensions to SQL: which tables to join, and [`Expression`]s over them.

use std::fmt::Write as _;

use super::RegistryError;
use super::database::{Database, Value};
use super::schema::quoted;
use crate::dimension::{
    Comparison, Element, ElementStorage, Expression, InItem, Literal, Operand, ResolvedColumn, Scope, Universe,
};

/// A parameter of a statement that is being composed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Parameter {
    Int(i64),
    Float(f64),
    Text(String),
}

impl Parameter {
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Int(v) => Value::Int(*v),
            Self::Float(v) => Value::Float(*v),
            Self::Text(s) => Value::Text(s),
        }
    }
}

/// Lists longer than this travel as one parameter.
const INLINE_LIST: usize = 32;
/// Databases take about 32,000 parameters in a statement.
const MAX_PARAMETERS: usize = 30_000;

/// A table with rows of a group of dimensions, and what must be joined to it for the names that are used.
pub(super) struct Relation<'a> {
    scope: &'a Scope,
    database: &'a dyn Database,
    /// The base table's name in the statement.
    base: &'a str,
    /// The dimensions that are columns of the base table.
    own: Vec<&'static str>,
    joined: Vec<&'static str>,
    joins: String,
    parameters: Vec<Parameter>,
}

impl<'a> Relation<'a> {
    /// A base table called `base` in the statement, with columns for the dimensions `own`. If it is an element's own table,
    /// `base` is the element's name, and its metadata are taken from it.
    pub(super) fn new(scope: &'a Scope, database: &'a dyn Database, base: &'a str, own: Vec<&'static str>) -> Self {
        Self { scope, database, base, own, joined: Vec::new(), joins: String::new(), parameters: Vec::new() }
    }

    /// The joins that the names used so far want.
    pub(super) fn joins(&self) -> &str {
        &self.joins
    }

    /// The values of `?1`, `?2` …
    pub(super) fn into_parameters(self) -> Vec<Parameter> {
        self.parameters
    }

    /// A new parameter's mark.
    pub(super) fn bind(&mut self, parameter: Parameter) -> Result<String, RegistryError> {
        if self.parameters.len() >= MAX_PARAMETERS {
            return Err(RegistryError::Invalid {
                what: "the filter".to_owned(),
                reason: format!("it has more than {MAX_PARAMETERS} values; ask in several parts"),
            });
        }
        self.parameters.push(parameter);
        Ok(format!("?{}", self.parameters.len()))
    }

    /// The SQL of a dimension's value, joining the tables that lead to it.
    pub(super) fn dimension(&mut self, name: &str) -> Result<String, RegistryError> {
        if self.own.contains(&name) {
            return Ok(format!("\"{}\".\"{name}\"", self.base));
        }
        // Some element of the group fixes it: a visit its filter, a filter its band.
        let holder = self.scope.group().elements().find(|e| e.implied.contains(&name));
        let Some(holder) = holder else {
            return Err(RegistryError::Invalid {
                what: format!("a filter by `{name}`"),
                reason: format!("nothing among {} leads to it", self.scope.group()),
            });
        };
        self.join(holder)?;
        Ok(format!("\"{}\".\"{name}\"", holder.name))
    }

    fn join(&mut self, element: &'static Element) -> Result<(), RegistryError> {
        if element.name == self.base || self.joined.contains(&element.name) {
            return Ok(());
        }
        if element.storage != ElementStorage::Table {
            return Err(RegistryError::VirtualElement {
                element: element.name.to_owned(),
                hint: "filter by its number, or ask the sky map",
            });
        }
        self.joined.push(element.name);
        let mut conditions = Vec::new();
        for key in element.required {
            let value = self.dimension(key)?;
            conditions.push(format!("\"{}\".\"{key}\" = {value}", element.name));
        }
        // Dimensions are there, for rows refer to them; a combination's records may not be.
        let how = if element.is_dimension() { "JOIN" } else { "LEFT JOIN" };
        let _ = write!(self.joins, " {how} \"{}\" ON {}", element.name, conditions.join(" AND "));
        Ok(())
    }

    /// The SQL of a column.
    pub(super) fn column(&mut self, column: &ResolvedColumn) -> Result<String, RegistryError> {
        match column.column {
            None => self.dimension(column.element.name),
            Some(metadata) => {
                self.join(column.element)?;
                Ok(format!("\"{}\".\"{}\"", column.element.name, metadata.name))
            }
        }
    }

    /// The SQL of an identifier.
    pub(super) fn identifier(&mut self, element: &str, field: Option<&str>) -> Result<String, RegistryError> {
        let column = self.scope.resolve(element, field)?;
        self.column(&column)
    }

    /// The SQL of a whole filter, checked.
    pub(super) fn filter(&mut self, expression: &Expression) -> Result<String, RegistryError> {
        self.scope.check(expression)?;
        self.condition(expression)
    }

    /// Goes down a chain of hundreds of conditions: what it needs on the stack at each is little, for the rest is done in `leaf`.
    fn condition(&mut self, expression: &Expression) -> Result<String, RegistryError> {
        match expression {
            Expression::And(a, b) => self.both(a, " AND ", b),
            Expression::Or(a, b) => self.both(a, " OR ", b),
            Expression::Not(a) => self.condition(a).map(|sql| format!("(NOT {sql})")),
            leaf => self.leaf(leaf),
        }
    }

    fn both(&mut self, a: &Expression, word: &str, b: &Expression) -> Result<String, RegistryError> {
        let mut sql = self.condition(a)?;
        let second = self.condition(b)?;
        sql.insert(0, '(');
        sql.push_str(word);
        sql.push_str(&second);
        sql.push(')');
        Ok(sql)
    }

    fn leaf(&mut self, expression: &Expression) -> Result<String, RegistryError> {
        Ok(match expression {
            Expression::And(..) | Expression::Or(..) | Expression::Not(_) => self.condition(expression)?,
            Expression::Compare(comparison, a, b) => {
                let (a, b) = (self.operand(a)?, self.operand(b)?);
                let sign = match comparison {
                    Comparison::Eq => "=",
                    Comparison::Ne => "<>",
                    Comparison::Lt => "<",
                    Comparison::Le => "<=",
                    Comparison::Gt => ">",
                    Comparison::Ge => ">=",
                };
                format!("({a} {sign} {b})")
            }
            Expression::In { operand, items, negated } => {
                let inside = self.list(operand, items)?;
                if *negated { format!("(NOT {inside})") } else { inside }
            }
            Expression::Glob(operand, pattern) => {
                let text = self.operand(operand)?;
                let pattern = self.bind(Parameter::Text(self.database.glob_pattern(pattern)))?;
                format!("({})", self.database.glob(&text, &pattern))
            }
            Expression::IsNull { operand, negated } => {
                format!("({} IS {}NULL)", self.operand(operand)?, if *negated { "NOT " } else { "" })
            }
            Expression::Constant(value) => if *value { "(1 = 1)" } else { "(1 = 0)" }.to_owned(),
        })
    }

    fn operand(&mut self, operand: &Operand) -> Result<String, RegistryError> {
        match operand {
            Operand::Identifier { element, field } => self.identifier(element, field.as_deref()),
            Operand::Literal(literal) => self.bind(parameter(literal)),
        }
    }

    fn list(&mut self, operand: &Operand, items: &[InItem]) -> Result<String, RegistryError> {
        let value = self.operand(operand)?;
        let mut alternatives = Vec::new();
        let literals: Vec<&Literal> =
            items.iter().filter_map(|i| if let InItem::Value(v) = i { Some(v) } else { None }).collect();
        let (reals, exact): (Vec<_>, Vec<_>) = literals.into_iter().partition(|l| matches!(l, Literal::Float(_)));
        if exact.len() > INLINE_LIST {
            let json = serde_json::Value::Array(
                exact
                    .iter()
                    .map(|l| match l {
                        Literal::Int(v) => (*v).into(),
                        Literal::Float(v) => (*v).into(),
                        Literal::Str(s) => s.as_str().into(),
                    })
                    .collect(),
            );
            let array = self.bind(Parameter::Text(json.to_string()))?;
            let texts = exact.iter().any(|l| matches!(l, Literal::Str(_)));
            alternatives.push(self.database.in_json_array(&value, &array, texts));
        } else {
            self.inline_list(&value, &exact, &mut alternatives)?;
        }
        self.inline_list(&value, &reals, &mut alternatives)?;
        for item in items {
            if let InItem::Range { start, stop, step } = item {
                self.range(&value, *start, *stop, *step, &mut alternatives)?;
            }
        }
        Ok(any_of(&alternatives))
    }

    fn inline_list(
        &mut self,
        value: &str,
        literals: &[&Literal],
        alternatives: &mut Vec<String>,
    ) -> Result<(), RegistryError> {
        if literals.is_empty() {
            return Ok(());
        }
        let marks = literals.iter().map(|l| self.bind(parameter(l))).collect::<Result<Vec<_>, _>>()?;
        alternatives.push(format!("{value} IN ({})", marks.join(", ")));
        Ok(())
    }

    fn range(
        &mut self,
        value: &str,
        start: i64,
        stop: i64,
        step: i64,
        alternatives: &mut Vec<String>,
    ) -> Result<(), RegistryError> {
        if stop < start || step < 1 {
            return Ok(());
        }
        if step > 1 && stop.checked_sub(start).is_none() {
            // The distance from the start would overflow: the part below zero, and the rest.
            let past = (-1 - i128::from(start)) / i128::from(step) + 1;
            self.range(value, start, -1, step, alternatives)?;
            if let Ok(next) = i64::try_from(i128::from(start) + past * i128::from(step)) {
                self.range(value, next, stop, step, alternatives)?;
            }
            return Ok(());
        }
        let (first, last) = (self.bind(Parameter::Int(start))?, self.bind(Parameter::Int(stop))?);
        let mut condition = format!("{value} BETWEEN {first} AND {last}");
        if step > 1 {
            let step = self.bind(Parameter::Int(step))?;
            let _ = write!(condition, " AND ({value} - {first}) % {step} = 0");
        }
        alternatives.push(format!("({condition})"));
        Ok(())
    }
}

/// Alternatives as a balanced tree: databases bound the depth of a condition.
fn any_of(alternatives: &[String]) -> String {
    match alternatives {
        [] => "(1 = 0)".to_owned(),
        [one] => format!("({one})"),
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            format!("({} OR {})", any_of(left), any_of(right))
        }
    }
}

fn parameter(literal: &Literal) -> Parameter {
    match literal {
        Literal::Int(v) => Parameter::Int(*v),
        Literal::Float(v) => Parameter::Float(*v),
        Literal::Str(s) => Parameter::Text(s.clone()),
    }
}

/// What an element's records are selected from: its table, or the distinct keys in another's.
pub(super) fn element_source(element: &Element) -> Result<String, RegistryError> {
    match element.storage {
        ElementStorage::Table => Ok(format!("\"{0}\" AS \"{0}\"", element.name)),
        ElementStorage::ViewOf(other) => {
            let keys = quoted(element.required);
            Ok(format!("(SELECT DISTINCT {keys} FROM \"{other}\") AS \"{}\"", element.name))
        }
        ElementStorage::Virtual => Err(RegistryError::VirtualElement {
            element: element.name.to_owned(),
            hint: "ask the sky map, whose definition is a record of `skymap`",
        }),
    }
}

/// The dimensions that are columns of an element's own records.
pub(super) fn own_dimensions(element: &Element) -> Vec<&'static str> {
    Universe::builtin()
        .dimensions()
        .map(|d| d.name)
        .filter(|name| element.required.contains(name) || element.implied.contains(name))
        .collect()
}
