//! [`Aliases`]: the names that cameras give to dimensions.

use super::{ColumnType, Universe, near_miss};

/// The names that cameras give to dimensions and to what is known of them: `chip` for `detector`, `bay` for `detector.raft`.
///
/// ```
/// use bunter::Aliases;
///
/// let aliases = Aliases::new("MyCam", &[("chip".into(), "detector".into()), ("bay".into(), "detector.raft".into())])?;
/// assert_eq!(aliases.get("bay").map(|a| (a.element, a.field)), Some(("detector", Some("raft"))));
/// assert!(Aliases::new("MyCam", &[("chip".into(), "detectr".into())]).unwrap_err().contains("did you mean `detector`?"));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases {
    all: Vec<Alias>,
}

/// What a camera's name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The camera's name for it.
    pub name: String,
    /// The camera.
    pub camera: String,
    /// The dimension.
    pub element: &'static str,
    /// A column of its records; `None` for the dimension's own value.
    pub field: Option<&'static str>,
}

impl Aliases {
    /// The aliases of one camera, as pairs of a name and what it stands for.
    ///
    /// # Errors
    /// A text for a name that is taken by a dimension, and for a meaning that is no dimension or column.
    pub fn new(camera: &str, pairs: &[(String, String)]) -> Result<Self, String> {
        let universe = Universe::builtin();
        let mut all = Vec::with_capacity(pairs.len());
        for (name, meaning) in pairs {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(word) || name.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(format!("`{name}` is no name: letters, digits and `_`, a letter first"));
            }
            let (element, field) = match meaning.split_once('.') {
                Some((element, field)) => (element, Some(field)),
                None => (meaning.as_str(), None),
            };
            let (element, _) = universe.dimension(element).map_err(|e| format!("`{name}`: {e}"))?;
            let field = field.map(|f| element.column(f)).transpose().map_err(|e| format!("`{name}`: {e}"))?;
            let known = universe.elements().iter().any(|e| e.name == name);
            let another = |e: &super::Element| e.name != element.name || field.is_none_or(|f| f.name != name);
            let column = universe.elements().iter().any(|e| e.column(name).is_ok() && another(e));
            let taken =
                known || column || universe.element(name).is_ok_and(|e| e.name != element.name || field.is_some());
            if taken {
                return Err(format!("`{name}` is the name of something else already: choose another"));
            }
            if field.is_some_and(|f| f.column_type == ColumnType::Bytes) {
                return Err(format!("`{name}`: {meaning} is bytes, which nothing is compared with"));
            }
            let (camera, element, field) = (camera.to_owned(), element.name, field.map(|f| f.name));
            all.push(Alias { name: name.clone(), camera, element, field });
        }
        Ok(Self { all })
    }

    /// Those that need no camera: `raft` and `slot` of detectors.
    pub fn common() -> Self {
        let alias = |name: &str, field| Alias {
            name: name.to_owned(),
            camera: String::new(),
            element: "detector",
            field: Some(field),
        };
        Self { all: vec![alias("raft", "raft"), alias("slot", "name_in_raft")] }
    }

    /// Adds those of another camera.
    pub fn extend(&mut self, other: Self) {
        for alias in other.all {
            if !self.all.contains(&alias) {
                self.all.push(alias);
            }
        }
    }

    /// What a name means, when all cameras that have it agree.
    pub fn get(&self, name: &str) -> Option<&Alias> {
        let mut found = self.all.iter().filter(|a| a.name == name);
        let first = found.next()?;
        found.all(|a| (a.element, a.field) == (first.element, first.field)).then_some(first)
    }

    /// The alias that is spelled nearly as `name`.
    pub fn near(&self, name: &str) -> Option<String> {
        near_miss(name, self.all.iter().map(|a| a.name.as_str()))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Alias> {
        self.all.iter()
    }
}
