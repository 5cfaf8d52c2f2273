//! What a repository declares beside the built-in dimensions: [`Universe::with`], [`UniverseChanges`].

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Column, ColumnType, DimensionError, Element, ElementStorage, Universe, near_miss};

/// Most dimensions, and most columns of one, that are declared.
const MOST: usize = 64;

/// Names that a declared dimension or column cannot have: keywords of expressions, and tables and columns of registries.
const RESERVED: [&str; 29] = [
    "and",
    "or",
    "not",
    "in",
    "glob",
    "is",
    "null",
    "true",
    "false",
    "overlaps",
    "timespan",
    "region",
    "sky_key",
    "first_event",
    "id",
    "uuid",
    "run",
    "size",
    "checksum",
    "format",
    "path",
    "collection",
    "collection_chain",
    "dataset_type",
    "dimension_group",
    "file_format",
    "quantum",
    "calibration",
    "tagged",
];

/// The universes made so far: few in a process, and never given back.
static MADE: Mutex<Vec<&'static Universe>> = Mutex::new(Vec::new());

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    dimension: BTreeMap<String, DeclaredDimension>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, BTreeMap<String, DeclaredColumn>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeclaredDimension {
    key: DeclaredType,
    #[serde(default)]
    requires: Vec<String>,
    #[serde(default)]
    implies: Vec<String>,
    doc: String,
    #[serde(default)]
    metadata: BTreeMap<String, DeclaredColumn>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeclaredColumn {
    #[serde(rename = "type")]
    column_type: DeclaredType,
    #[serde(default)]
    unit: String,
    doc: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DeclaredType {
    Int,
    Float,
    Text,
}

impl DeclaredType {
    const fn column_type(self) -> ColumnType {
        match self {
            Self::Int => ColumnType::Int,
            Self::Float => ColumnType::Float,
            Self::Text => ColumnType::Text,
        }
    }
}

fn wrong(place: impl Into<String>, reason: impl Into<String>) -> DimensionError {
    DimensionError::Declaration { place: place.into(), reason: reason.into() }
}

impl Universe {
    /// The built-in universe and what a repository declares besides: dimensions of its own, and further metadata of built-in
    /// ones. The same declaration, however it is laid out, gives the same universe; an empty one the built-in.
    ///
    /// A dimension has a `key` (`int` or `text`), a `doc`, and maybe the dimensions it `requires` (to be named by) and
    /// `implies` (that it fixes), and `metadata`, which is `int`, `float` or `text` and may be absent from a record.
    ///
    /// # Errors
    /// [`DimensionError::Declaration`] for what is not TOML or has unknown fields, names that are taken, reserved or not of
    /// `a-z`, `0-9` and `_`, unknown dimensions (with the nearest), circles, and metadata of what is not stored.
    ///
    /// ```
    /// use bunter::Universe;
    ///
    /// let universe = Universe::with("
    ///     [dimension.plate]
    ///     key = 'int'
    ///     requires = ['instrument']
    ///     implies = ['physical_filter']
    ///     doc = 'A photographic plate.'
    ///     metadata.emulsion = { type = 'text', doc = 'What it is coated with.' }
    ///     [metadata.visit]
    ///     moon_phase = { type = 'float', unit = 'deg', doc = 'Elongation of the moon.' }
    /// ")?;
    /// assert_eq!(universe.group(["plate"])?.implied(), ["band", "physical_filter"]);
    /// assert!(universe.element("visit")?.column("moon_phase").is_ok());
    /// assert!(std::ptr::eq(universe, Universe::with(universe.declaration())?));
    /// # Ok::<(), bunter::DimensionError>(())
    /// ```
    pub fn with(declaration: &str) -> Result<&'static Self, DimensionError> {
        let declared: Declaration = toml::from_str(declaration).map_err(|e| wrong("not readable", e.to_string()))?;
        if declared == Declaration::default() {
            return Ok(Self::builtin());
        }
        check(&declared)?;
        let order = order(&declared)?;
        let text = toml::to_string(&declared).map_err(|e| wrong("not writable", e.to_string()))?;
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.iter().find(|u| u.declaration() == text) {
            return Ok(known);
        }
        let mut elements = Self::builtin().elements().to_vec();
        for element in &mut elements {
            if let Some(more) = declared.metadata.get(element.name) {
                element.metadata = Vec::leak([element.metadata, &columns(more)].concat());
            }
        }
        for name in order {
            if let Some(dimension) = declared.dimension.get(name) {
                let element = element(name, dimension, &elements)?;
                elements.push(element);
            }
        }
        let universe = Box::leak(Box::new(Self::new(Vec::leak(elements), leak(&text))));
        made.push(universe);
        Ok(universe)
    }

    /// What this universe has that `stored` has not, for a registry that was made with `stored`.
    ///
    /// # Errors
    /// [`DimensionError::Declaration`] for what cannot be brought over without loss: a dimension or a column that is gone,
    /// has another type, or is named by other dimensions.
    pub fn changes_since(&'static self, stored: &Self) -> Result<UniverseChanges, DimensionError> {
        let mut changes = UniverseChanges { elements: Vec::new(), columns: Vec::new() };
        for old in stored.elements() {
            let Some(new) = self.elements().iter().find(|e| e.name == old.name) else {
                let reason = "the registry has this dimension, and records of it may exist: declare it again";
                return Err(wrong(format!("`{}`", old.name), reason));
            };
            if (new.key, new.required, new.implied, new.storage) != (old.key, old.required, old.implied, old.storage) {
                let names = |e: &Element| format!("({}) fixing ({})", e.required.join(", "), e.implied.join(", "));
                let kind = |e: &Element| e.key.map_or("no key", ColumnType::name);
                return Err(wrong(
                    format!("`{}`", old.name),
                    format!(
                        "the registry has it as {} named by {}, the declaration as {} named by {}: a dimension's key cannot \
                         be changed",
                        kind(old),
                        names(old),
                        kind(new),
                        names(new)
                    ),
                ));
            }
            for column in old.metadata {
                let place = || format!("`{}.{}`", old.name, column.name);
                match new.metadata.iter().find(|c| c.name == column.name) {
                    None => return Err(wrong(place(), "the registry has this column: declare it again")),
                    Some(c) if c.column_type != column.column_type => {
                        let (new, old) = (c.column_type.name(), column.column_type.name());
                        return Err(wrong(place(), format!("it is {old} in the registry, and {new} as declared")));
                    }
                    Some(_) => {}
                }
            }
            let added = new.metadata.iter().filter(|c| old.metadata.iter().all(|o| o.name != c.name));
            changes.columns.extend(added.map(|column| (new, column)));
        }
        changes.elements.extend(self.elements().iter().filter(|e| stored.elements().iter().all(|o| o.name != e.name)));
        Ok(changes)
    }
}

/// What one universe has more than another: tables to make, and columns to add to tables that are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniverseChanges {
    /// Elements that are new, after those they need.
    pub elements: Vec<&'static Element>,
    /// Columns that are new, of elements that are not.
    pub columns: Vec<(&'static Element, &'static Column)>,
}

impl UniverseChanges {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.elements.is_empty() && self.columns.is_empty()
    }
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn columns(declared: &BTreeMap<String, DeclaredColumn>) -> Vec<Column> {
    let column = |(name, column): (&String, &DeclaredColumn)| Column {
        name: leak(name),
        column_type: column.column_type.column_type(),
        nullable: true,
        unit: leak(&column.unit),
        doc: leak(&column.doc),
    };
    declared.iter().map(column).collect()
}

/// The element of a declared dimension, all that it needs being among `known`.
fn element(name: &str, declared: &DeclaredDimension, known: &[Element]) -> Result<Element, DimensionError> {
    let find = |wanted: &str| {
        known.iter().find(|e| e.name == wanted && e.is_dimension()).ok_or_else(|| {
            let near = near_miss(wanted, known.iter().filter(|e| e.is_dimension()).map(|e| e.name));
            let hint = near.map_or(String::new(), |near| format!(": did you mean `{near}`?"));
            wrong(format!("[dimension.{name}]"), format!("unknown dimension `{wanted}`{hint}"))
        })
    };
    let mut required: Vec<(&'static str, ColumnType)> = Vec::new();
    for wanted in &declared.requires {
        let other = find(wanted)?;
        let keys = other.required.iter().copied().zip(other.key_types.iter().copied());
        for key in keys {
            if !required.contains(&key) {
                required.push(key);
            }
        }
    }
    let key = declared.key.column_type();
    let own = leak(name);
    required.push((own, key));
    let mut implied: Vec<(&'static str, ColumnType)> = Vec::new();
    for wanted in &declared.implies {
        let other = find(wanted)?;
        if required.iter().chain(&implied).any(|(known, _)| *known == other.name) {
            let reason = format!("`{wanted}` is required or implied already: leave it out of `implies`");
            return Err(wrong(format!("[dimension.{name}]"), reason));
        }
        // Its record is found by these.
        let outside =
            other.required.iter().find(|r| **r != other.name && required.iter().all(|(known, _)| known != *r));
        if let Some(outside) = outside {
            let reason = format!("`{wanted}` is named by `{outside}` too: add it to `requires`");
            return Err(wrong(format!("[dimension.{name}]"), reason));
        }
        implied.push((other.name, other.key.unwrap_or(ColumnType::Text)));
    }
    let names = |keys: &[(&'static str, ColumnType)]| -> &'static [&'static str] {
        Vec::leak(keys.iter().map(|(name, _)| *name).collect())
    };
    Ok(Element {
        name: own,
        key: Some(key),
        required: names(&required),
        implied: names(&implied),
        key_types: Vec::leak(required.iter().chain(&implied).map(|(_, key)| *key).collect()),
        metadata: Vec::leak(columns(&declared.metadata)),
        spatial: false,
        temporal: false,
        storage: ElementStorage::Table,
        doc: leak(&declared.doc),
    })
}

/// Refuses names and texts that cannot be, before anything is made of them.
fn check(declared: &Declaration) -> Result<(), DimensionError> {
    let builtin = Universe::builtin();
    if declared.dimension.len() > MOST {
        return Err(wrong("[dimension]", format!("more than {MOST} dimensions")));
    }
    for (name, dimension) in &declared.dimension {
        let place = format!("[dimension.{name}]").escape_debug().to_string();
        check_name(&place, name)?;
        if builtin.has_name(name) {
            return Err(wrong(place, format!("there is a dimension `{name}`: add columns to it in [metadata.{name}]")));
        }
        if name.starts_with("dataset_") || name.starts_with("region_") || name.starts_with("bunter_") {
            return Err(wrong(place, "names with this beginning are the registry's own"));
        }
        if dimension.key == DeclaredType::Float {
            return Err(wrong(place, "a key is an `int` or a `text`"));
        }
        check_doc(&place, &dimension.doc)?;
        check_columns(&place, &dimension.metadata, |column| {
            column == name || dimension.requires.iter().chain(&dimension.implies).any(|d| d == column)
        })?;
    }
    for (name, columns) in &declared.metadata {
        let place = format!("[metadata.{name}]").escape_debug().to_string();
        let Some(element) = builtin.elements().iter().find(|e| e.name == name) else {
            let near = near_miss(name, builtin.elements().iter().map(|e| e.name));
            let hint = near.map_or(String::new(), |near| format!(": did you mean `{near}`?"));
            return Err(wrong(place, format!("there is no such built-in dimension{hint}")));
        };
        if element.storage != ElementStorage::Table {
            return Err(wrong(place, "its records follow from others, so that there is nowhere to keep it"));
        }
        check_columns(&place, columns, |column| element.columns().any(|(known, ..)| known == column))?;
    }
    Ok(())
}

fn check_columns(
    place: &str,
    columns: &BTreeMap<String, DeclaredColumn>,
    is_taken: impl Fn(&str) -> bool,
) -> Result<(), DimensionError> {
    if columns.len() > MOST {
        return Err(wrong(place, format!("more than {MOST} columns")));
    }
    for (name, column) in columns {
        check_name(place, name)?;
        if is_taken(name) || Universe::builtin().has_name(name) {
            return Err(wrong(place, format!("the name `{name}` is taken: choose another for the column")));
        }
        check_doc(place, &column.doc)?;
        if column.unit.len() > 64 || column.unit.chars().any(char::is_control) {
            return Err(wrong(
                place,
                format!("the unit of `{name}` is longer than 64 bytes or has control characters"),
            ));
        }
    }
    Ok(())
}

fn check_name(place: &str, name: &str) -> Result<(), DimensionError> {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !plain || name.len() > 48 {
        let reason = "names are of a-z, 0-9 and _, begin with a letter and have at most 48 characters";
        return Err(wrong(place, reason));
    }
    if RESERVED.contains(&name) {
        return Err(wrong(place, format!("the name `{name}` is reserved: choose another")));
    }
    Ok(())
}

fn check_doc(place: &str, doc: &str) -> Result<(), DimensionError> {
    if doc.trim().is_empty() || doc.len() > 1000 || doc.contains('\0') {
        return Err(wrong(place, "`doc` says in 1 to 1000 bytes what it is"));
    }
    Ok(())
}

/// The declared dimensions, each after those that it needs.
fn order(declared: &Declaration) -> Result<Vec<&str>, DimensionError> {
    let mut done: Vec<&str> = Vec::new();
    while done.len() < declared.dimension.len() {
        let is_ready = |needed: &String| !declared.dimension.contains_key(needed) || done.contains(&needed.as_str());
        let ready = declared.dimension.iter().find(|(name, dimension)| {
            !done.contains(&name.as_str()) && dimension.requires.iter().chain(&dimension.implies).all(is_ready)
        });
        let Some((name, _)) = ready else {
            let left = declared.dimension.keys().filter(|name| !done.contains(&name.as_str()));
            let left = left.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            return Err(wrong("[dimension]", format!("these need each other in a circle: {left}")));
        };
        done.push(name);
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dimension::{DataId, Expression, Scope};

    const PLATES: &str = "
        [dimension.plate]
        key = 'int'
        requires = ['cabinet']
        implies = ['physical_filter']
        doc = 'A photographic plate.'
        metadata.emulsion = { type = 'text', doc = 'What it is coated with.' }
        [dimension.cabinet]
        key = 'text'
        requires = ['instrument']
        doc = 'Where plates are kept.'
        [metadata.visit]
        moon_phase = { type = 'float', unit = 'deg', doc = 'Elongation of the moon.' }
    ";

    #[test]
    fn a_declaration_makes_one_universe() {
        use ColumnType::{Int, Text};

        let universe = Universe::with(PLATES).unwrap();
        let plate = universe.element("plate").unwrap();
        assert_eq!(plate.required, ["instrument", "cabinet", "plate"]);
        let columns: Vec<_> = plate.columns().map(|(name, kind, _)| (name, kind)).collect();
        assert_eq!(
            columns,
            [("instrument", Text), ("cabinet", Text), ("plate", Int), ("physical_filter", Text), ("emulsion", Text)]
        );
        assert_eq!(universe, Universe::with(universe.declaration()).unwrap());
        assert_eq!(universe, Universe::with(&format!("# the same\n{PLATES}")).unwrap());
        assert_ne!(universe, Universe::builtin());
        assert_eq!(Universe::with(" # nothing\n[dimension]").unwrap(), Universe::builtin());
    }

    #[test]
    fn groups_and_scopes_are_of_their_universe() {
        let universe = Universe::with(PLATES).unwrap();
        let group = universe.group(["plate"]).unwrap();
        assert_eq!(group.required(), ["cabinet", "instrument", "plate"]);
        assert_eq!(group.implied(), ["band", "physical_filter"]);
        let id = DataId::new().with("instrument", "Schmidt").with("cabinet", "C4").with("plate", 7);
        group.check_exact(&id).unwrap();
        group.check_exact(&id.with("plate", "seven")).unwrap_err();
        let scope = Scope::new(group, "plates");
        scope.check(&Expression::parse("plate > 5 AND emulsion GLOB 'IIIa*' AND band = 'r'").unwrap()).unwrap();
        let error = scope.check(&Expression::parse("plat = 5").unwrap()).unwrap_err().to_string();
        assert!(error.contains("did you mean `plate`?"), "{error}");
        let visits = universe.group(["visit"]).unwrap();
        assert_ne!(visits, Universe::builtin().group(["visit"]).unwrap());
        let moon = Expression::parse("moon_phase > 90").unwrap();
        Scope::new(visits, "visits").check(&moon).unwrap();
        Scope::new(Universe::builtin().group(["visit"]).unwrap(), "visits").check(&moon).unwrap_err();
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let dimension = |name: &str, rest: &str| format!("[dimension.{name}]\nkey = 'int'\ndoc = 'x'\n{rest}");
        for (text, part) in [
            ("[dimension".to_owned(), "not readable"),
            ("[dimensions.x]\nkey = 'int'\ndoc = 'x'".to_owned(), "unknown field `dimensions`"),
            (dimension("plate", "require = ['visit']"), "unknown field `require`"),
            (dimension("visit", ""), "there is a dimension `visit`"),
            (dimension("ccd", ""), "there is a dimension `ccd`"),
            (dimension("Plate", ""), "names are of a-z"),
            (dimension("'a\"; DROP TABLE visit; --'", ""), "names are of a-z"),
            (dimension("quantum", ""), "reserved"),
            (dimension("dataset_3", ""), "the registry's own"),
            (dimension("plate", "requires = ['vist']"), "did you mean `visit`?"),
            (dimension("plate", "requires = ['visit_detector']"), "unknown dimension `visit_detector`"),
            (dimension("plate", "requires = ['plate']"), "circle: `plate`"),
            (dimension("plate", "implies = ['physical_filter']"), "`instrument` too"),
            (dimension("plate", "requires = ['visit']\nimplies = ['instrument']"), "already"),
            (dimension("plate", "metadata.plate = { type = 'int', doc = 'x' }"), "`plate` is taken"),
            (dimension("plate", "metadata.band = { type = 'int', doc = 'x' }"), "`band` is taken"),
            (dimension("plate", "metadata.x = { type = 'bool', doc = 'x' }"), "unknown variant `bool`"),
            (dimension("plate", "metadata.x = { type = 'int', doc = ' ' }"), "`doc` says"),
            ("[dimension.plate]\nkey = 'float'\ndoc = 'x'".to_owned(), "a key is an `int` or a `text`"),
            ("[metadata.visi.x]\ntype = 'int'\ndoc = 'x'".to_owned(), "did you mean `visit`?"),
            ("[metadata.tract.x]\ntype = 'int'\ndoc = 'x'".to_owned(), "nowhere to keep it"),
            ("[metadata.visit.seeing]\ntype = 'int'\ndoc = 'x'".to_owned(), "`seeing` is taken"),
            (
                format!("{}\n{}", dimension("a", "requires = ['b']"), dimension("b", "requires = ['a']")),
                "circle: `a`, `b`",
            ),
        ] {
            let error = Universe::with(&text).expect_err(&text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn changes_are_additions_or_refused() {
        let (old, new) = (Universe::builtin(), Universe::with(PLATES).unwrap());
        let changes = new.changes_since(old).unwrap();
        assert_eq!(changes.elements.iter().map(|e| e.name).collect::<Vec<_>>(), ["cabinet", "plate"]);
        assert_eq!(
            changes.columns.iter().map(|(e, c)| (e.name, c.name)).collect::<Vec<_>>(),
            [("visit", "moon_phase")]
        );
        assert!(new.changes_since(new).unwrap().is_empty());
        for (text, part) in [
            (String::new(), "`visit.moon_phase`: the registry has this column"),
            (
                PLATES.replace("type = 'float'", "type = 'int'"),
                "it is a number in the registry, and an integer as declared",
            ),
            (PLATES.replace("dimension.cabinet", "dimension.drawer").replace("'cabinet'", "'drawer'"), "`cabinet`"),
            (PLATES.replace("key = 'int'", "key = 'text'"), "cannot be changed"),
            (PLATES.replace("metadata.emulsion", "metadata.coating"), "`plate.emulsion`"),
        ] {
            let error = Universe::with(&text).unwrap().changes_since(new).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
