//! [`CameraError`].

use super::expression::ParseError;
use crate::wcs::WcsError;

/// Why a camera definition or a file's headers could not be made sense of.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// A definition is not TOML, or not of the form of a camera definition.
    #[error("camera definition {origin}: {message}")]
    Definition {
        /// File or built-in definition.
        origin: String,
        /// What is wrong and where.
        message: String,
    },
    /// A pattern of file names does not parse.
    #[error("camera definition {origin}: file name pattern `{pattern}`: {reason}")]
    Pattern {
        /// File or built-in definition.
        origin: String,
        /// The pattern.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// An expression does not parse.
    #[error(transparent)]
    Expression(#[from] ParseError),
    /// No instrument of that name.
    #[error("no instrument `{name}`{}; there are {}", near(nearest.as_deref()), known.join(", "))]
    UnknownInstrument {
        /// The name asked for.
        name: String,
        /// One that is spelled nearly the same.
        nearest: Option<String>,
        /// All names.
        known: Vec<String>,
    },
    /// No translator recognises a file.
    #[error(
        "{file}: not an exposure of a camera known here.\n{}\nDescribe the camera in a TOML file and name it with \
         --camera.", tried.iter().map(|t| format!("  {t}")).collect::<Vec<_>>().join("\n")
    )]
    Unrecognised {
        /// The file.
        file: String,
        /// Each translator with the first of its conditions that does not hold.
        tried: Vec<String>,
    },
    /// A field has no value, or one that makes no sense.
    #[error("{file}: {field}: {reason}{}", expression.as_ref().map(|e| format!(" (translator {translator}: `{e}`)")).unwrap_or_default())]
    Field {
        /// The file.
        file: String,
        /// The translator at work.
        translator: String,
        /// The field, such as `visit`.
        field: &'static str,
        /// The expression that was evaluated for it.
        expression: Option<String>,
        /// What is wrong and what would help.
        reason: String,
    },
    /// The image's header has no celestial WCS, or one that is not understood.
    #[error("{file}: HDU {hdu}: no usable WCS: {source}")]
    Wcs {
        /// The file.
        file: String,
        /// Index of the header-data unit.
        hdu: usize,
        /// What is wrong.
        source: WcsError,
    },
    /// The table beside the files is damaged.
    #[error("{file}, line {line}: {reason}")]
    Sidecar {
        /// The table's file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Background and noise cannot be measured: the image has no finite pixels.
    #[error("{file}: the image has no finite pixels to measure its background from")]
    NoPixels {
        /// The file.
        file: String,
    },
}

pub(super) fn near(nearest: Option<&str>) -> String {
    nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default()
}

/// The candidate that is spelled most like `wanted`, if one is near.
pub(super) fn nearest<'a>(wanted: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let lower = wanted.to_lowercase();
    candidates
        .map(|c| (strsim::osa_distance(&c.to_lowercase(), &lower), c))
        .filter(|(distance, _)| *distance <= 1 + wanted.len() / 6)
        .min()
        .map(|(_, c)| c.to_owned())
}
