//! [`SkyMapError`]: why a sky map could not answer.

use crate::sphere::SphereError;

/// Why a sky map could not be made, or has no such tract or patch.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SkyMapError {
    /// A FITS header that is no tract.
    #[error("the header cannot be a tract: it {problem}", problem = problem)]
    BadHeader {
        /// What it has or lacks.
        problem: String,
    },
    /// No preset of this name.
    #[error("no sky map preset `{name}`{}; there are {}", hint(.near.as_ref()), list(.known))]
    UnknownPreset {
        /// The name asked for.
        name: String,
        /// The preset spelled most alike.
        near: Option<String>,
        /// All of them.
        known: Vec<&'static str>,
    },
    /// A tract number that the map does not have.
    #[error("tract {tract} out of range; the sky map has tracts 0..={}", .count.saturating_sub(1))]
    TractOutOfRange {
        /// The number asked for.
        tract: i64,
        /// How many tracts there are.
        count: u32,
    },
    /// A patch number or position that the tract does not have.
    #[error("patch {patch} out of range; tract {tract} has patches 0..={} ({nx} x {ny})", u64::from(*.nx) * u64::from(*.ny) - 1)]
    PatchOutOfRange {
        /// The tract.
        tract: u32,
        /// The patch asked for, as it was written.
        patch: String,
        /// Patches in x.
        nx: u32,
        /// Patches in y.
        ny: u32,
    },
    /// A patch name that is neither a number nor two.
    #[error("`{name}` is not a patch; expected a number such as `42` or a position such as `6,4`")]
    BadPatchName {
        /// The name.
        name: String,
    },
    /// A cell number that the patch does not have.
    #[error("cell {cell} out of range; patch {patch} of tract {tract} has {nx} x {ny} cells")]
    CellOutOfRange {
        /// The tract.
        tract: u32,
        /// The patch.
        patch: u32,
        /// The cell asked for.
        cell: u32,
        /// Cells in x, those of the border counted.
        nx: u32,
        /// Cells in y, those of the border counted.
        ny: u32,
    },
    /// The position is not in the tract.
    #[error("({lon_deg}, {lat_deg}) deg is not in tract {tract}")]
    OutsideTract {
        /// The tract.
        tract: u32,
        /// Right ascension, degrees.
        lon_deg: f64,
        /// Declination, degrees.
        lat_deg: f64,
    },
    /// A position that is not finite, or whose declination is beyond a pole.
    #[error("({lon_deg}, {lat_deg}) deg is not a position on the sky{}", .row.map(|r| format!(" (row {r})")).unwrap_or_default())]
    BadPosition {
        /// Right ascension, degrees.
        lon_deg: f64,
        /// Declination, degrees.
        lat_deg: f64,
        /// Its row, when it came in a column.
        row: Option<usize>,
    },
    /// Columns of positions of different lengths.
    #[error("columns of positions differ in length: {lon} longitudes, {lat} latitudes")]
    BadColumns {
        /// Length of the longitudes.
        lon: usize,
        /// Length of the latitudes.
        lat: usize,
    },
    /// A field that this kind of sky map does not have.
    #[error("sky map configuration: {place} has no field `{field}`{}; it has {}", hint(.near.as_ref()), list(.known))]
    UnknownField {
        /// Which table.
        place: String,
        /// The field.
        field: String,
        /// The field spelled most alike.
        near: Option<String>,
        /// All of them.
        known: Vec<&'static str>,
    },
    /// Text that is not TOML, or a field of the wrong type.
    #[error("sky map configuration: {problem}")]
    BadToml {
        /// What the reader says, and where.
        problem: String,
    },
    /// A value that makes no sky map.
    #[error("sky map configuration: `{field}` {problem}")]
    BadConfig {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A tract or patch whose corners form no polygon.
    #[error("corners of {what}: {source}")]
    Corners {
        /// Which tract or patch.
        what: String,
        /// What is wrong.
        source: SphereError,
    },
    /// A tract's WCS was refused.
    #[error("WCS of tract {tract}: {problem}")]
    Wcs {
        /// The tract.
        tract: u32,
        /// Why.
        problem: String,
    },
}

fn hint(near: Option<&String>) -> String {
    near.map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default()
}

fn list(known: &[&'static str]) -> String {
    known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")
}

/// The name among `known` that is spelled most like `name`, when one is near enough.
pub(super) fn nearest(name: &str, known: &[&'static str]) -> Option<String> {
    let name = name.to_lowercase();
    known
        .iter()
        .map(|k| (strsim::osa_distance(&k.to_lowercase(), &name), *k))
        .filter(|(distance, k)| *distance <= 2 + k.len() / 8)
        .min()
        .map(|(_, k)| k.to_owned())
}
