//! [`PathTemplate`]: where in a repository the file of a dataset goes.

use std::fmt::Write as _;

use super::{DatasetRef, DatasetType, StorageClass};
use crate::dimension::{ColumnType, DimensionError, DimensionValue, Universe, near_miss};

/// A path with fields in braces: `{run}/{dataset_type}/{tract}/{dataset_type}_{tract}_{patch}_{band}_{id}.h5`.
///
/// Fields are `run`, `dataset_type`, `id` (the dataset's UUID) and the dimensions of the dataset type; `{visit:08}` pads an
/// integer with zeros. Values cannot lead out of their place: what is not a letter, a digit, `-`, `_` or an inner `.` is
/// written as `%` and two hexadecimal digits, so that different values give different paths. (The slashes of a run's name
/// stay, as [`check_collection_name`](super::check_collection_name) allows them.)
///
/// ```
/// use bunter::{DatasetType, PathTemplate, StorageClass};
///
/// let calexp = DatasetType {
///     name: "calexp".into(),
///     dimensions: ["detector", "instrument", "visit"].map(Into::into).to_vec(),
///     storage_class: StorageClass::Exposure,
/// };
/// PathTemplate::parse("{run}/{dataset_type}/{instrument}/{visit:08}/{detector}.h5", &calexp)?;
/// let error = PathTemplate::parse("{run}/{dataset_type}/{instrument}/{vist}/{detector}.h5", &calexp).unwrap_err();
/// assert!(error.to_string().contains("did you mean `visit`?"));
/// # Ok::<(), bunter::TemplateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
    /// One list of pieces for each part between slashes.
    components: Vec<Vec<Piece>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Field { name: String, width: usize },
}

/// What is wrong with a template, or with a value that should go into one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace without its partner, or an empty field.
    #[error("template `{template}`: {reason}")]
    Syntax {
        /// The template.
        template: String,
        /// What is wrong.
        reason: String,
    },
    /// A field that the dataset type has not.
    #[error(
        "template `{template}`: unknown field `{field}`{} (known: {known})",
        near.as_ref().map_or_else(String::new, |n| format!(": did you mean `{n}`?"))
    )]
    UnknownField {
        /// The template.
        template: String,
        /// The field.
        field: String,
        /// The nearest known field.
        near: Option<String>,
        /// All known fields.
        known: String,
    },
    /// Two datasets could get the same path.
    #[error("template `{template}` does not tell datasets apart: add {missing}, or `{{id}}`")]
    NotUnique {
        /// The template.
        template: String,
        /// The fields that cannot be told from the path.
        missing: String,
    },
    /// A data ID without a value for a field.
    #[error("template `{template}` needs `{field}`, which {dataset} has not")]
    MissingValue {
        /// The template.
        template: String,
        /// The field.
        field: String,
        /// The dataset.
        dataset: String,
    },
    /// A path that file systems refuse.
    #[error("template `{template}` makes a path that is too long ({length} bytes) of {dataset}")]
    TooLong {
        /// The template.
        template: String,
        /// The dataset.
        dataset: String,
        /// Bytes of the longest part, or of the path.
        length: usize,
    },
    /// Dimensions that do not exist.
    #[error(transparent)]
    Dimension(#[from] DimensionError),
}

/// Longest part of a path that common file systems take.
const MAX_COMPONENT: usize = 255;
/// Longest path.
const MAX_PATH: usize = 1024;

impl PathTemplate {
    /// Reads a template for a dataset type.
    ///
    /// # Errors
    /// [`TemplateError::Syntax`], also for templates that are absolute or have empty, `.` or `..` parts;
    /// [`TemplateError::UnknownField`] with the nearest; [`TemplateError::NotUnique`] when the path does not tell run,
    /// dataset type and all required dimensions apart. Two texts in one part between slashes (`{band}_{instrument}`) cannot
    /// be told apart, as either may have any separator in it.
    pub fn parse(template: &str, dataset_type: &DatasetType) -> Result<Self, TemplateError> {
        let group = Universe::builtin().group(dataset_type.dimensions.iter().map(|d| &**d))?;
        let syntax = |reason: String| TemplateError::Syntax { template: template.to_owned(), reason };
        let mut components = Vec::new();
        for part in template.split('/') {
            match part {
                "" => return Err(syntax("a slash must stand between two words, for the path is relative".to_owned())),
                "." | ".." => return Err(syntax("`.` and `..` would lead elsewhere".to_owned())),
                _ => components.push(pieces(part).map_err(syntax)?),
            }
        }
        let known: Vec<&str> = ["run", "dataset_type", "id"].into_iter().chain(group.all()).collect();
        for piece in components.iter().flatten() {
            if let Piece::Field { name, width } = piece {
                if !known.contains(&name.as_str()) {
                    return Err(TemplateError::UnknownField {
                        template: template.to_owned(),
                        field: name.clone(),
                        near: near_miss(name, known.iter().copied()),
                        known: known.join(", "),
                    });
                }
                if *width > 0 && !is_integer(name) {
                    return Err(syntax(format!("`{name}` is a text and cannot be padded with zeros")));
                }
            }
        }
        let told = told_apart(&components);
        let wanted = ["run", "dataset_type"].into_iter().chain(group.required().iter().copied());
        let missing: Vec<_> = wanted.filter(|w| !told.contains(w)).map(|w| format!("`{{{w}}}`")).collect();
        if !missing.is_empty() && !told.contains(&"id") {
            return Err(TemplateError::NotUnique { template: template.to_owned(), missing: missing.join(", ") });
        }
        Ok(Self { text: template.to_owned(), components })
    }

    /// The template that a dataset type gets when none is given: folders by run, dataset type and all but the last
    /// dimension, and the identity in the file's name, so that no two datasets ever meet.
    ///
    /// # Errors
    /// [`TemplateError::Dimension`] for a dataset type with unknown dimensions.
    pub fn default_for(dataset_type: &DatasetType) -> Result<Self, TemplateError> {
        let group = Universe::builtin().group(dataset_type.dimensions.iter().map(|d| &**d))?;
        // Outermost first, as in the universe: instrument, visit, detector; skymap, tract, patch; the band last.
        let mut dimensions: Vec<_> =
            Universe::builtin().dimensions().map(|e| e.name).filter(|d| group.required().contains(d)).collect();
        let rank = |d: &str| match d {
            "visit" => 1,
            "detector" => 2,
            "band" => 3,
            _ => 0,
        };
        dimensions.sort_by_key(|d| rank(d));
        let mut text = String::from("{run}/{dataset_type}/");
        for dimension in dimensions.iter().rev().skip(1).rev() {
            let _ = write!(text, "{{{dimension}}}/");
        }
        text.push_str("{dataset_type}_");
        for dimension in &dimensions {
            let _ = write!(text, "{{{dimension}}}_");
        }
        let suffix = match dataset_type.storage_class {
            StorageClass::Json => "json",
            StorageClass::Exposure | StorageClass::Coadd | StorageClass::Table => "h5",
        };
        let _ = write!(text, "{{id}}.{suffix}");
        Self::parse(&text, dataset_type)
    }

    /// The template's text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path of a dataset, relative to the repository's root, with `/`.
    ///
    /// # Errors
    /// [`TemplateError::MissingValue`] when the data ID lacks a field; [`TemplateError::TooLong`] for parts of more than 255
    /// bytes or paths of more than 1024.
    pub fn path(&self, dataset: &DatasetRef) -> Result<String, TemplateError> {
        let mut path = String::with_capacity(128);
        let mut longest = 0;
        for (i, component) in self.components.iter().enumerate() {
            if i > 0 {
                path.push('/');
            }
            let start = path.len();
            for piece in component {
                self.write_piece(piece, dataset, start, &mut path)?;
            }
            longest = longest.max(path.get(start..).map_or(0, |c| c.split('/').map(str::len).max().unwrap_or(0)));
        }
        if longest > MAX_COMPONENT || path.len() > MAX_PATH {
            let length = if longest > MAX_COMPONENT { longest } else { path.len() };
            return Err(TemplateError::TooLong { template: self.text.clone(), dataset: dataset.to_string(), length });
        }
        Ok(path)
    }

    fn write_piece(
        &self,
        piece: &Piece,
        dataset: &DatasetRef,
        start: usize,
        path: &mut String,
    ) -> Result<(), TemplateError> {
        match piece {
            Piece::Literal(text) => path.push_str(text),
            Piece::Field { name, width } => match name.as_str() {
                "run" => {
                    for (i, part) in dataset.run.split('/').enumerate() {
                        if i > 0 {
                            path.push('/');
                        }
                        write_safe(part, i > 0 || path.len() == start, path);
                    }
                }
                "dataset_type" => write_safe(&dataset.dataset_type, path.len() == start, path),
                "id" => {
                    let _ = write!(path, "{}", dataset.id);
                }
                dimension => match dataset.data_id.get(dimension) {
                    Some(DimensionValue::Int(v)) => {
                        let _ = write!(path, "{v:0width$}");
                    }
                    Some(DimensionValue::Str(s)) => write_safe(s, path.len() == start, path),
                    None => {
                        return Err(TemplateError::MissingValue {
                            template: self.text.clone(),
                            field: dimension.to_owned(),
                            dataset: dataset.to_string(),
                        });
                    }
                },
            },
        }
        Ok(())
    }
}

fn pieces(part: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = part;
    while !rest.is_empty() {
        let at = rest.find(['{', '}']).unwrap_or(rest.len());
        let (literal, tail) = rest.split_at(at);
        if !literal.is_empty() {
            if literal.chars().any(|c| c.is_control() || matches!(c, '%' | '\\')) {
                return Err("control characters, `%` and `\\` cannot stand in a path".to_owned());
            }
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        if tail.is_empty() {
            break;
        }
        let Some((field, after)) = tail.strip_prefix('{').and_then(|t| t.split_once('}')) else {
            return Err("a brace has no partner (fields do not contain slashes)".to_owned());
        };
        let (name, width) = match field.split_once(':') {
            Some((name, format)) => {
                let digits = format.strip_suffix('d').unwrap_or(format);
                let width = digits.strip_prefix('0').and_then(|w| w.parse().ok()).filter(|w| (1..=20).contains(w));
                (name, width.ok_or_else(|| format!("`{field}`: the only format is zeros in front, {{visit:08}}"))?)
            }
            None => (field, 0),
        };
        pieces.push(Piece::Field { name: name.to_owned(), width });
        rest = after;
    }
    Ok(pieces)
}

fn is_integer(field: &str) -> bool {
    Universe::builtin().dimension(field).is_ok_and(|(_, key)| key == ColumnType::Int)
}

/// The fields whose values can be read back from the path: those of parts where each two fields have something between
/// them and at most one is a text.
fn told_apart(components: &[Vec<Piece>]) -> Vec<&str> {
    let mut told = Vec::new();
    for component in components {
        let fields = || {
            component.iter().filter_map(|p| match p {
                Piece::Field { name, .. } => Some(name.as_str()),
                Piece::Literal(_) => None,
            })
        };
        // An identity has a fixed length and is its own proof.
        told.extend(fields().filter(|name| *name == "id"));
        let mut texts: Vec<_> = fields().filter(|name| !is_integer(name)).collect();
        texts.dedup();
        let touching = component.windows(2).any(|pair| matches!(pair, [Piece::Field { .. }, Piece::Field { .. }]));
        // A digit beside a number would be read as a part of it; so would a minus that may be a text's last letter.
        let bad_edge = component.windows(2).any(|pair| match pair {
            [Piece::Literal(text), Piece::Field { name, .. }] if is_integer(name) => {
                text.ends_with(|c: char| c.is_ascii_digit() || (c == '-' && !texts.is_empty()))
            }
            [Piece::Field { name, .. }, Piece::Literal(text)] if is_integer(name) => {
                text.starts_with(|c: char| c.is_ascii_digit())
            }
            _ => false,
        });
        if texts.len() <= 1 && !touching && !bad_edge {
            told.extend(fields());
        }
    }
    told
}

/// Appends a value that cannot lead out of its place. A dot stays where it does not begin a part, so that neither `..` nor
/// a hidden file comes of it.
fn write_safe(value: &str, begins: bool, path: &mut String) {
    for (i, byte) in value.bytes().enumerate() {
        let dot = byte == b'.' && !(begins && i == 0);
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' || dot {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::dimension::DataId;

    fn dataset_type(dimensions: &[&str]) -> DatasetType {
        DatasetType {
            name: "coadd".into(),
            dimensions: dimensions.iter().map(|d| (*d).into()).collect(),
            storage_class: StorageClass::Coadd,
        }
    }

    fn coadd(band: &str, run: &str) -> DatasetRef {
        DatasetRef {
            id: Uuid::from_u128(7),
            dataset_type: "coadd".into(),
            data_id: DataId::new().with("skymap", "rings").with("tract", 9813).with("patch", 42).with("band", band),
            run: run.into(),
        }
    }

    const COADD: [&str; 4] = ["band", "patch", "skymap", "tract"];

    #[test]
    fn paths_of_coadds() {
        let kind = dataset_type(&COADD);
        let template = PathTemplate::parse("{run}/{dataset_type}/{tract:06}/{patch}/{band}_{id}.h5", &kind).unwrap();
        assert_eq!(
            template.path(&coadd("r", "u/me/dr1")).unwrap(),
            "u/me/dr1/coadd/009813/42/r_00000000-0000-0000-0000-000000000007.h5"
        );
        let standard = PathTemplate::default_for(&kind).unwrap();
        assert_eq!(
            standard.as_str(),
            "{run}/{dataset_type}/{skymap}/{tract}/{patch}/{dataset_type}_{skymap}_{tract}_{patch}_{band}_{id}.h5"
        );
        for dimensions in
            [&[][..], &["visit", "detector", "instrument"], &["instrument"], &["physical_filter", "instrument"]]
        {
            PathTemplate::default_for(&dataset_type(dimensions)).unwrap();
        }
    }

    #[test]
    fn hostile_values_stay_in_their_place() {
        let template = PathTemplate::default_for(&dataset_type(&COADD)).unwrap();
        for band in
            ["..", "../../etc/passwd", "/etc", "a\0b", "a b", "%2F", ".", "é", "a.fits[1]", "~", "-rf", "a'; DROP"]
        {
            let path = template.path(&coadd(band, "run")).unwrap();
            assert_eq!(path.split('/').count(), 6, "{path}");
            assert!(path.split('/').all(|part| !part.is_empty() && part != "." && part != ".."), "{path}");
            assert!(path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/%-_.".contains(&b)), "{path}");
        }
        // Even a run name that was never checked stays inside.
        let path = template.path(&coadd("r", "../../etc")).unwrap();
        assert!(path.starts_with("%2E./%2E./etc/"), "{path}");
        assert!(matches!(template.path(&coadd(&"x".repeat(255), "r")), Err(TemplateError::TooLong { .. })));
    }

    #[test]
    fn mistakes_are_told() {
        let kind = dataset_type(&COADD);
        for (text, part) in [
            ("{run}/{datasettype}/{id}", "did you mean `dataset_type`?"),
            ("{run}/{dataset_type}/{visit}_{id}", "unknown field `visit`"),
            ("{run}/{dataset_type}/{tract", "partner"),
            ("{run}/tract}/{id}", "partner"),
            ("/{run}/{id}", "relative"),
            ("{run}//{id}", "relative"),
            ("{run}/../{id}", "elsewhere"),
            ("{run}/{tract:x}/{id}", "zeros"),
            ("{run}/{band:04}/{id}", "padded"),
            ("{run}/100%/{id}", "cannot stand"),
            ("{run}/{dataset_type}/{tract}/{patch}.h5", "add `{band}`, `{skymap}`, or `{id}`"),
            ("{run}/{dataset_type}/{skymap}/{band}/{tract}{patch}.h5", "add `{patch}`, `{tract}`"),
            ("{run}/{dataset_type}/{skymap}_{band}/{tract}_{patch}.h5", "add `{band}`, `{skymap}`"),
        ] {
            let error = PathTemplate::parse(text, &kind).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        PathTemplate::parse("{run}/{dataset_type}/{skymap}/{band}/{tract}_{patch}.fits", &kind).unwrap();
        let template = PathTemplate::default_for(&kind).unwrap();
        let mut dataset = coadd("r", "run");
        dataset.data_id = DataId::new();
        assert!(matches!(template.path(&dataset), Err(TemplateError::MissingValue { .. })));
    }

    proptest! {
        /// Without an identity in the path, different data IDs still have different paths.
        #[test]
        fn paths_are_unique(
            ids in proptest::collection::vec(("[ab_./%]{1,3}", "[ab_/]{1,3}", -12_i64..120, -12_i64..120), 2..40)
        ) {
            let template =
                PathTemplate::parse("{run}/{dataset_type}/{skymap}/{band}/x{tract}_{patch}.h5", &dataset_type(&COADD)).unwrap();
            let mut seen = HashMap::new();
            for (skymap, band, tract, patch) in ids {
                let mut dataset = coadd(&band, "run");
                dataset.data_id.set("skymap", skymap);
                dataset.data_id.set("tract", tract);
                dataset.data_id.set("patch", patch);
                let path = template.path(&dataset).unwrap();
                let other = seen.entry(path).or_insert_with(|| dataset.clone());
                prop_assert_eq!(&other.data_id, &dataset.data_id);
            }
        }
    }
}
