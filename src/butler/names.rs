//! The cameras' own names: `chip=3`, `raft=R22 slot=S11`, `detector='N4'` become what the registry knows.

use std::borrow::Cow;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::columns::{ints, texts};
use super::{Butler, ButlerError};
use crate::camera::{Cameras, Instrument};
use crate::dimension::{
    Aliases, Column, ColumnType, Comparison, DataId, DimensionError, DimensionValue, Element, Expression, InItem,
    Literal, Operand, Universe, did_you_mean, near_miss,
};
use crate::registry::Query;

/// The folder of a repository with the definitions of its own cameras.
const FOLDER: &str = "cameras";

impl Butler {
    /// The cameras that are known here: those of the program, and those that were registered from a definition, which stand
    /// before them.
    ///
    /// # Errors
    /// [`ButlerError::Io`], [`ButlerError::Camera`] for a definition in the repository that cannot be read.
    pub fn cameras(&self) -> Result<Cameras, ButlerError> {
        let mut cameras = Cameras::built_in()?;
        let folder = self.root().join(FOLDER);
        let failed = |path: &PathBuf, source| ButlerError::Io { doing: "read", path: path.clone(), source };
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(cameras),
            Err(source) => return Err(failed(&folder, source)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| failed(&folder, source))?.path();
            if path.extension().is_some_and(|e| e == "toml") {
                paths.push(path);
            }
        }
        paths.sort();
        for path in paths {
            let text = fs::read_to_string(&path).map_err(|source| failed(&path, source))?;
            cameras.add_toml(&path.display().to_string(), &text)?;
        }
        Ok(cameras)
    }

    /// Keeps the definition of a camera that does not come with the program, so that its names are understood from now on.
    pub(super) fn keep_definition(&self, instrument: &Instrument) -> Result<(), ButlerError> {
        let Some(text) = instrument.definition() else { return Ok(()) };
        let built_in = Cameras::built_in()?;
        if built_in.instrument(&instrument.name).is_ok_and(|known| known.definition() == Some(text)) {
            return Ok(());
        }
        let folder = self.root().join(FOLDER);
        // Names may hold what file names cannot.
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
        let path = folder.join(format!("{}.toml", instrument.name.chars().map(plain).collect::<String>()));
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            return Ok(());
        }
        let failed = |source| ButlerError::Io { doing: "write", path: path.clone(), source };
        fs::create_dir_all(&folder).map_err(failed)?;
        let permissions = fs::Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(&folder).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|e| failed(e.error))?;
        Ok(())
    }

    /// The names that the registered cameras give to dimensions, beside those that all have (`raft`, `slot`).
    ///
    /// # Errors
    /// [`ButlerError::Registry`], and those of [`cameras`](Self::cameras).
    pub fn aliases(&self) -> Result<Aliases, ButlerError> {
        let mut all = Aliases::common();
        let records = self.reader().dimension_records("instrument", &Query::all())?;
        let cameras = self.cameras()?;
        for name in texts(&records, "instrument")?.iter().flatten() {
            // A camera may be registered of which only its name is known.
            let Ok(camera) = cameras.instrument(name) else { continue };
            let its = Aliases::new(&camera.name, &camera.dimension_aliases).map_err(ButlerError::Question)?;
            all.extend(its);
        }
        Ok(all)
    }

    /// A filter in the registry's own names. Cameras' aliases become dimensions or their columns, and a detector that is
    /// compared with a text is looked for by name. Other names are left for whoever executes the filter.
    ///
    /// # Errors
    /// [`ButlerError::Expression`] for a word of `--id` that cannot be read; [`ButlerError::Dimension`] for unknown names, with
    /// the near one; [`ButlerError::Question`] for a detector's name that no registered camera has, and for an alias that two
    /// cameras use differently.
    pub fn with_camera_names<'e>(&self, filter: &'e Expression) -> Result<Cow<'e, Expression>, ButlerError> {
        if !needs_names(filter) {
            return Ok(Cow::Borrowed(filter));
        }
        let names = Names { butler: self, aliases: self.aliases()? };
        Ok(Cow::Owned(names.expression(filter)?))
    }

    /// A data ID in the registry's own names: `ccd` and cameras' aliases for `detector` or `visit`; `raft` and `slot`, or the
    /// detector's name, for its number. What the names decide, the instrument among it, need not be given.
    ///
    /// # Errors
    /// [`ButlerError::Dimension`] for unknown names, with the near one; [`ButlerError::Question`] where no detector or more than
    /// one is meant.
    pub fn data_id_with_camera_names<'i>(&self, data_id: &'i DataId) -> Result<Cow<'i, DataId>, ButlerError> {
        let universe = Universe::builtin();
        let plain = |(name, value): (&str, &DimensionValue)| {
            universe.dimension(name).is_ok_and(|(e, _)| e.name == name)
                && !(name == "detector" && matches!(value, DimensionValue::Str(_)))
        };
        if data_id.iter().all(plain) {
            return Ok(Cow::Borrowed(data_id));
        }
        let names = Names { butler: self, aliases: self.aliases()? };
        names.data_id(data_id).map(Cow::Owned)
    }
}

/// Whether there is something in a filter that only cameras can say.
fn needs_names(filter: &Expression) -> bool {
    let known = |operand: &Operand| match operand {
        Operand::Literal(_) => true,
        // A column without its element is known to whoever executes the filter, and `timespan` is a part of two of them.
        Operand::Identifier { element, field } => {
            is_element(element) || field.is_some() || !columns_named(element).is_empty()
        }
    };
    match filter {
        Expression::And(a, b) | Expression::Or(a, b) => needs_names(a) || needs_names(b),
        Expression::Not(a) => needs_names(a),
        Expression::Compare(_, a, b) => {
            !known(a) || !known(b) || (is_detector(a) && is_text(b)) || (is_detector(b) && is_text(a))
        }
        Expression::In { operand, items, .. } => {
            let texts = items.iter().any(|i| matches!(i, InItem::Value(Literal::Str(_))));
            // It may be a word of `--id`, read without knowing what it means.
            let word = matches!(operand, Operand::Identifier { element, field: None } if !is_element(element));
            !known(operand) || texts && (word || is_detector(operand))
        }
        Expression::Glob(operand, _) => !known(operand) || is_detector(operand),
        Expression::IsNull { operand, .. } => !known(operand),
        Expression::Constant(_) => false,
    }
}

fn is_element(name: &str) -> bool {
    Universe::builtin().element(name).is_ok()
}

fn is_detector(operand: &Operand) -> bool {
    matches!(operand, Operand::Identifier { element, field: None } if Universe::builtin().canonical_name(element) == "detector")
}

fn is_text(operand: &Operand) -> bool {
    matches!(operand, Operand::Literal(Literal::Str(_)))
}

fn full_name() -> Operand {
    Operand::Identifier { element: "detector".to_owned(), field: Some("full_name".to_owned()) }
}

/// The names of the cameras of one repository.
struct Names<'b> {
    butler: &'b Butler,
    aliases: Aliases,
}

impl Names<'_> {
    fn expression(&self, expression: &Expression) -> Result<Expression, ButlerError> {
        let both =
            |a, b| -> Result<_, ButlerError> { Ok((Box::new(self.expression(a)?), Box::new(self.expression(b)?))) };
        Ok(match expression {
            Expression::And(a, b) => {
                let (a, b) = both(a, b)?;
                Expression::And(a, b)
            }
            Expression::Or(a, b) => {
                let (a, b) = both(a, b)?;
                Expression::Or(a, b)
            }
            Expression::Not(a) => Expression::Not(Box::new(self.expression(a)?)),
            Expression::Compare(how, a, b) => {
                let (a, b) = (self.operand(a)?, self.operand(b)?);
                match (how, &a, &b) {
                    (Comparison::Eq | Comparison::Ne, _, Operand::Literal(Literal::Str(name))) if is_detector(&a) => {
                        Expression::Compare(
                            *how,
                            full_name(),
                            Operand::Literal(Literal::Str(self.detector_name(name)?)),
                        )
                    }
                    (Comparison::Eq | Comparison::Ne, Operand::Literal(Literal::Str(name)), _) if is_detector(&b) => {
                        Expression::Compare(
                            *how,
                            full_name(),
                            Operand::Literal(Literal::Str(self.detector_name(name)?)),
                        )
                    }
                    _ => Expression::Compare(*how, a, b),
                }
            }
            Expression::In { operand, items, negated } => self.list(operand, items, *negated)?,
            Expression::Glob(operand, pattern) => {
                let operand = self.operand(operand)?;
                Expression::Glob(if is_detector(&operand) { full_name() } else { operand }, pattern.clone())
            }
            Expression::IsNull { operand, negated } => {
                Expression::IsNull { operand: self.operand(operand)?, negated: *negated }
            }
            Expression::Constant(value) => Expression::Constant(*value),
        })
    }

    fn list(&self, operand: &Operand, items: &[InItem], negated: bool) -> Result<Expression, ButlerError> {
        if let (Operand::Identifier { element, field: None }, [InItem::Value(Literal::Str(values))], false) =
            (operand, items, negated)
            && Universe::builtin().element(element).is_err()
        {
            return self.word(element, values);
        }
        let operand = self.operand(operand)?;
        if !is_detector(&operand) {
            return Ok(Expression::In { operand, items: items.to_vec(), negated });
        }
        let (mut names, mut numbers) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                InItem::Value(Literal::Str(name)) => names.push(InItem::Value(Literal::Str(self.detector_name(name)?))),
                other => numbers.push(other.clone()),
            }
        }
        let named = Expression::In { operand: full_name(), items: names, negated };
        if numbers.is_empty() {
            return Ok(named);
        }
        let numbered = Expression::In { operand, items: numbers, negated };
        let (numbered, named) = (Box::new(numbered), Box::new(named));
        Ok(if negated { Expression::And(numbered, named) } else { Expression::Or(numbered, named) })
    }

    /// A word of `--id` whose name was not known where it was read: `chip=1^4..6`.
    fn word(&self, name: &str, values: &str) -> Result<Expression, ButlerError> {
        let Some((element, column)) = self.meaning(name)? else {
            // A column that only one element has, `exposure_time`, is left for whoever executes the filter.
            if let [(element, column)] = columns_named(name)[..] {
                return Ok(comparison(element, Some(column), values));
            }
            if let Some(near) = self.aliases.near(name) {
                return Err(self.unknown(name, Some(near)).into());
            }
            return Ok(Expression::parse_ids(&[&format!("{name}={values}")])?);
        };
        if let Some(column) = column {
            return Ok(comparison(element, Some(column), values));
        }
        self.expression(&Expression::parse_ids(&[&format!("{}={values}", element.name)])?)
    }

    fn operand(&self, operand: &Operand) -> Result<Operand, ButlerError> {
        let Operand::Identifier { element, field: None } = operand else { return Ok(operand.clone()) };
        if Universe::builtin().element(element).is_ok() {
            return Ok(operand.clone());
        }
        if let Some((element, column)) = self.meaning(element)? {
            let field = column.map(|c| c.name.to_owned());
            return Ok(Operand::Identifier { element: element.name.to_owned(), field });
        }
        match self.aliases.near(element) {
            Some(near) if columns_named(element).is_empty() && element != "timespan" => {
                Err(self.unknown(element, Some(near)).into())
            }
            _ => Ok(operand.clone()),
        }
    }

    /// What an alias means.
    fn meaning(&self, name: &str) -> Result<Option<(&'static Element, Option<&'static Column>)>, ButlerError> {
        if let Some(alias) = self.aliases.get(name) {
            let element = Universe::builtin().element(alias.element)?;
            return Ok(Some((element, alias.field.map(|f| element.column(f)).transpose()?)));
        }
        let meanings: Vec<_> =
            self.aliases.iter().filter(|a| a.name == name).map(|a| format!("{} for {}", a.element, a.camera)).collect();
        if meanings.is_empty() {
            return Ok(None);
        }
        Err(ButlerError::Question(format!(
            "`{name}` is not the same for all cameras here ({}): use the other name",
            meanings.join(", ")
        )))
    }

    fn unknown(&self, name: &str, near: Option<String>) -> DimensionError {
        let own = self.aliases.iter().map(|a| a.name.clone());
        let known =
            Universe::builtin().dimensions().map(|e| e.name.to_owned()).chain(own).collect::<Vec<_>>().join(", ");
        DimensionError::UnknownDimension { name: name.to_owned(), near, known }
    }

    /// The name as it is written, of a detector that some camera here has.
    fn detector_name(&self, name: &str) -> Result<String, ButlerError> {
        let records = self.butler.reader().dimension_records("detector", &Query::all())?;
        let known = texts(&records, "full_name")?;
        if let Some(found) = known.iter().flatten().find(|k| *k == name) {
            return Ok(found.to_owned());
        }
        if let Some(found) = known.iter().flatten().find(|k| k.eq_ignore_ascii_case(name)) {
            return Ok(found.to_owned());
        }
        Err(ButlerError::Question(format!(
            "no detector of the registered instruments is called `{name}`{}",
            did_you_mean(near_miss(name, known.iter().flatten()).as_deref())
        )))
    }

    fn data_id(&self, given: &DataId) -> Result<DataId, ButlerError> {
        let universe = Universe::builtin();
        let mut id = DataId::new();
        let mut conditions: Vec<(&'static str, String)> = Vec::new();
        for (name, value) in given.iter() {
            let (element, column) = match universe.dimension(name) {
                Ok((element, _)) => (element, None),
                Err(unknown) => match self.meaning(name)? {
                    Some(meaning) => meaning,
                    None => match self.aliases.near(name) {
                        Some(near) => return Err(self.unknown(name, Some(near)).into()),
                        None => return Err(unknown.into()),
                    },
                },
            };
            if given.get(element.name).is_some() && element.name != name && column.is_none() {
                return Err(ButlerError::Question(format!(
                    "`{name}` and `{}` say the same: give one of them",
                    element.name
                )));
            }
            match (column, value) {
                (Some(column), _) if element.name == "detector" => conditions.push((column.name, value.to_string())),
                (Some(column), _) => {
                    return Err(ButlerError::Question(format!(
                        "`{name}` is `{}.{}`, which does not say which {} is meant",
                        element.name, column.name, element.name
                    )));
                }
                (None, DimensionValue::Str(text)) if element.key == Some(ColumnType::Int) => {
                    match text.parse::<i64>() {
                        Ok(number) => id.set(element.name, number),
                        Err(_) if element.name == "detector" => {
                            conditions.push(("full_name", self.detector_name(text)?));
                        }
                        Err(_) => id.set(element.name, &**text),
                    }
                }
                (None, value) => id.set(element.name, value.clone()),
            }
        }
        if !conditions.is_empty() {
            let (instrument, detector) = self.one_detector(&id, &conditions)?;
            id.set("instrument", instrument);
            id.set("detector", detector);
        }
        Ok(id)
    }

    /// The one detector for which all conditions hold.
    fn one_detector(&self, id: &DataId, conditions: &[(&'static str, String)]) -> Result<(String, i64), ButlerError> {
        let equal = |field: Option<&str>, element: &str, value: Literal| {
            let operand = Operand::Identifier { element: element.to_owned(), field: field.map(str::to_owned) };
            Expression::Compare(Comparison::Eq, operand, Operand::Literal(value))
        };
        let mut terms: Vec<_> = conditions
            .iter()
            .map(|(column, value)| equal(Some(column), "detector", Literal::Str(value.clone())))
            .collect();
        if let Some(instrument) = id.str("instrument") {
            terms.push(equal(None, "instrument", Literal::Str(instrument.to_owned())));
        }
        if let Some(detector) = id.int("detector") {
            terms.push(equal(None, "detector", Literal::Int(detector)));
        }
        let filter = terms.into_iter().reduce(|a, b| Expression::And(Box::new(a), Box::new(b)));
        let found = self.butler.reader().dimension_records("detector", &Query { filter, ..Query::default() })?;
        let (instruments, detectors, names) =
            (texts(&found, "instrument")?, ints(&found, "detector")?, texts(&found, "full_name")?);
        let said = || conditions.iter().map(|(c, v)| format!("{c} {v}")).collect::<Vec<_>>().join(", ");
        match found.num_rows() {
            1 => Ok((instruments.value(0).to_owned(), detectors.value(0))),
            0 => {
                let near = self.near_value(conditions)?;
                Err(ButlerError::Question(format!("no detector has {}{}", said(), did_you_mean(near.as_deref()))))
            }
            n => {
                let first: Vec<_> = (0..n.min(4))
                    .map(|i| format!("{} {} ({})", instruments.value(i), detectors.value(i), names.value(i)))
                    .collect();
                Err(ButlerError::Question(format!(
                    "{n} detectors have {}, such as {}: say which, by raft and slot, by name, or by number, and the instrument",
                    said(),
                    first.join(", ")
                )))
            }
        }
    }

    /// Of the conditions that nothing fulfils, the value that was probably meant.
    fn near_value(&self, conditions: &[(&'static str, String)]) -> Result<Option<String>, ButlerError> {
        let records = self.butler.reader().dimension_records("detector", &Query::all())?;
        for (column, value) in conditions {
            let known = texts(&records, column)?;
            if !known.iter().flatten().any(|k| k == value) {
                return Ok(near_miss(value, known.iter().flatten()));
            }
        }
        Ok(None)
    }
}

/// The metadata columns of that name.
fn columns_named(name: &str) -> Vec<(&'static Element, &'static Column)> {
    Universe::builtin().elements().iter().filter_map(|e| e.column(name).ok().map(|c| (e, c))).collect()
}

/// Values separated by `^`, for a column of metadata.
fn comparison(element: &'static Element, column: Option<&'static Column>, values: &str) -> Expression {
    let operand = Operand::Identifier { element: element.name.to_owned(), field: column.map(|c| c.name.to_owned()) };
    let kind = column.map_or(ColumnType::Text, |c| c.column_type);
    let read = |text: &str| match kind {
        ColumnType::Text | ColumnType::Bytes => Literal::Str(text.to_owned()),
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Literal::Int(number),
            (_, Ok(number)) => Literal::Float(number),
            // Whoever executes the filter says that a text is no number.
            _ => Literal::Str(text.to_owned()),
        },
    };
    let mut items: Vec<_> = values.split('^').map(read).collect();
    match (items.pop(), items.is_empty()) {
        (Some(only), true) => Expression::Compare(Comparison::Eq, operand, Operand::Literal(only)),
        (last, _) => {
            let items = items.into_iter().chain(last).map(InItem::Value).collect();
            Expression::In { operand, items, negated: false }
        }
    }
}
