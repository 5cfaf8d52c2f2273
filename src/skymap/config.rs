//! [`SkyMapConfig`]: what a sky map is made from, and its reading from TOML.

use serde::{Deserialize, Serialize};

use super::error::nearest;
use super::{Projection, SkyMapError, TractBuilder};

/// Everything that defines a sky map; two maps of equal configuration have the same tracts and patches.
///
/// Written in TOML, with these names or those of the reference implementation (`numRings`, `raStart`, ...):
///
/// ```
/// use bunter::SkyMapConfig;
///
/// let config = SkyMapConfig::from_toml(
///     r#"
///     kind = "rings"
///     num_rings = 120
///     tract_overlap_deg = 0.016666666666666666
///     pixel_scale_arcsec = 0.168
///     tract_builder = { kind = "legacy", patch_inner_dimensions = [4000, 4000], patch_border = 100 }
///     "#,
/// )?;
/// assert_eq!(SkyMapConfig::from_toml(&config.to_toml()?)?, config);
/// # Ok::<(), bunter::SkyMapError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SkyMapConfig {
    /// How tracts are laid out.
    #[serde(flatten)]
    pub layout: Layout,
    /// How far tracts reach over each other, degrees.
    pub tract_overlap_deg: f64,
    /// Size of a pixel at the tract's reference point, arc seconds.
    pub pixel_scale_arcsec: f64,
    /// Projection of every tract.
    pub projection: Projection,
    /// Rotation of the pixel axes, degrees.
    pub rotation_deg: f64,
    /// How tracts are divided.
    #[serde(default)]
    pub tract_builder: TractBuilder,
}

/// How tracts are laid out on the sky.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Layout {
    /// Rings of constant declination and two polar caps (`RingsSkyMap`, numbering version 1).
    Rings {
        /// Number of rings, the polar caps not counted.
        num_rings: u32,
        /// Right ascension of the centre of the first tract of each ring, degrees.
        #[serde(default)]
        ra_start_deg: f64,
    },
    /// Tracts at given places (`DiscreteSkyMap`).
    Discrete {
        /// Right ascensions of the centres, degrees.
        ra_deg: Vec<f64>,
        /// Declinations of the centres, degrees.
        dec_deg: Vec<f64>,
        /// Radii of the circles that the tracts enclose, degrees.
        radius_deg: Vec<f64>,
    },
    /// One tract for each `HEALPix` pixel (`HealpixSkyMap`).
    ///
    /// As in the reference, tract `p` lies at the north-south mirror image of `HEALPix` pixel `p`.
    Healpix {
        /// Base-2 logarithm of nside.
        log2_nside: u32,
        /// Nested numbering, instead of rings.
        #[serde(default)]
        nest: bool,
    },
    /// A belt of equal tracts (`EquatSkyMap`).
    Equatorial {
        /// Number of tracts around the belt.
        num_tracts: u32,
        /// Lower and upper declination of the belt, degrees.
        dec_range_deg: [f64; 2],
    },
    /// One tract with a given pixel grid: that of a FITS header, as `SWarp` and Montage take it. Not in the reference.
    Grid {
        /// Right ascension of the reference pixel, degrees.
        ra_deg: f64,
        /// Declination of the reference pixel, degrees.
        dec_deg: f64,
        /// The reference pixel, zero-based (FITS `CRPIX` minus 1).
        crpix: [f64; 2],
        /// Columns and rows. The tract is as large or larger: a whole number of patches.
        size: [u32; 2],
    },
    /// Twelve tracts on the faces of a dodecahedron (`DodecaSkyMap`).
    Dodecahedron {
        /// Whether two tracts are centred on the poles, instead of vertices.
        #[serde(default)]
        tracts_on_poles: bool,
    },
}

impl Layout {
    /// The word for it in TOML.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Rings { .. } => "rings",
            Self::Discrete { .. } => "discrete",
            Self::Healpix { .. } => "healpix",
            Self::Equatorial { .. } => "equatorial",
            Self::Grid { .. } => "grid",
            Self::Dodecahedron { .. } => "dodecahedron",
        }
    }
}

const KINDS: &[&str] = &["rings", "discrete", "healpix", "equatorial", "dodecahedron", "grid"];
const COMMON: &[&str] =
    &["kind", "tract_overlap_deg", "pixel_scale_arcsec", "projection", "rotation_deg", "tract_builder"];
const LEGACY: &[&str] = &["kind", "patch_inner_dimensions", "patch_border"];
const CELLS: &[&str] =
    &["kind", "cell_inner_dimensions", "cell_border", "num_cells_per_patch_inner", "num_cells_in_patch_border"];

/// The reference's names for our fields.
const ALIASES: &[(&str, &str)] = &[
    ("numRings", "num_rings"),
    ("raStart", "ra_start_deg"),
    ("raList", "ra_deg"),
    ("decList", "dec_deg"),
    ("radiusList", "radius_deg"),
    ("log2NSide", "log2_nside"),
    ("numTracts", "num_tracts"),
    ("decRange", "dec_range_deg"),
    ("withTractsOnPoles", "tracts_on_poles"),
    ("tractOverlap", "tract_overlap_deg"),
    ("pixelScale", "pixel_scale_arcsec"),
    ("rotation", "rotation_deg"),
    ("tractBuilder", "tract_builder"),
    ("patchInnerDimensions", "patch_inner_dimensions"),
    ("patchBorder", "patch_border"),
    ("cellInnerDimensions", "cell_inner_dimensions"),
    ("cellBorder", "cell_border"),
    ("numCellsPerPatchInner", "num_cells_per_patch_inner"),
    ("numCellsInPatchBorder", "num_cells_in_patch_border"),
];

impl SkyMapConfig {
    /// Reads TOML. Fields left out take the reference's defaults where it has one for that kind of map (`rotation_deg`, `projection`,
    /// `tract_builder`); the overlap and the pixel scale must be given.
    ///
    /// # Errors
    /// [`SkyMapError::BadToml`], [`SkyMapError::UnknownField`], [`SkyMapError::BadConfig`].
    pub fn from_toml(text: &str) -> Result<Self, SkyMapError> {
        let bad = |e: &dyn std::fmt::Display| SkyMapError::BadToml { problem: e.to_string().trim_end().to_owned() };
        let mut table: toml::Table = text.parse().map_err(|e| bad(&e))?;
        rename(&mut table);
        let kind = check_kind(&table, KINDS, "rings")?;
        let own: &[&str] = match kind {
            "rings" => &["num_rings", "ra_start_deg"],
            "discrete" => &["ra_deg", "dec_deg", "radius_deg"],
            "healpix" => &["log2_nside", "nest"],
            "equatorial" => &["num_tracts", "dec_range_deg"],
            "grid" => &["ra_deg", "dec_deg", "crpix", "size"],
            _ => &["tracts_on_poles"],
        };
        let known: Vec<_> = COMMON.iter().chain(own).copied().collect();
        check_fields(&table, &known, &format!("a sky map of kind `{kind}`"))?;
        let projection = match kind {
            "equatorial" => "CEA",
            "dodecahedron" => "STG",
            _ => "TAN",
        };
        table.entry("projection").or_insert_with(|| projection.into());
        let rotation = if kind == "healpix" { 45.0 } else { 0.0 };
        table.entry("rotation_deg").or_insert_with(|| rotation.into());
        if let Some(toml::Value::Table(builder)) = table.get_mut("tract_builder") {
            rename(builder);
            let kind = check_kind(builder, &["legacy", "cells"], "legacy")?;
            let known = if kind == "legacy" { LEGACY } else { CELLS };
            check_fields(builder, known, &format!("a tract builder of kind `{kind}`"))?;
        }
        // From text again, so that the reader names the line of a wrong type.
        Self::deserialize(toml::Value::Table(table)).map_err(|e| bad(&e))
    }

    /// Writes TOML that [`from_toml`](Self::from_toml) reads back to the same configuration.
    ///
    /// # Errors
    /// [`SkyMapError::BadToml`], for numbers that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, SkyMapError> {
        toml::to_string(self).map_err(|e| SkyMapError::BadToml { problem: e.to_string() })
    }
}

fn rename(table: &mut toml::Table) {
    for (theirs, ours) in ALIASES {
        if !table.contains_key(*ours)
            && let Some(value) = table.remove(*theirs)
        {
            table.insert((*ours).to_owned(), value);
        }
    }
}

fn check_kind<'k>(table: &toml::Table, kinds: &[&'k str], example: &str) -> Result<&'k str, SkyMapError> {
    let problem = match table.get("kind") {
        Some(toml::Value::String(kind)) => match kinds.iter().find(|k| *k == kind) {
            Some(known) => return Ok(known),
            None => format!("is `{kind}`"),
        },
        Some(other) => format!("is {other}"),
        None => format!("is missing (for example `kind = \"{example}\"`)"),
    };
    let list: Vec<_> = kinds.iter().map(|k| format!("`{k}`")).collect();
    Err(SkyMapError::BadConfig { field: "kind", problem: format!("{problem}; it can be {}", list.join(", ")) })
}

fn check_fields(table: &toml::Table, known: &[&'static str], place: &str) -> Result<(), SkyMapError> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(field) => Err(SkyMapError::UnknownField {
            place: place.to_owned(),
            field: field.clone(),
            near: nearest(field, known),
            known: known.to_vec(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_fields_are_refused_with_the_near_miss() {
        let message = |text: &str| SkyMapConfig::from_toml(text).unwrap_err().to_string();
        let text = message("kind = 'rings'\nnum_ring = 120\ntract_overlap_deg = 0.1\npixel_scale_arcsec = 0.2");
        assert!(text.contains("no field `num_ring` (did you mean `num_rings`?)"), "{text}");
        let text = message("kind = 'healpix'\nnum_rings = 120");
        assert!(text.contains("`healpix` has no field `num_rings`; it has `kind`"), "{text}");
        assert!(message("kind = 'ring'").contains("it can be `rings`, `discrete`"));
        assert!(message("").contains("`kind` is missing"));
        assert!(message("kind = 'rings'\nnum_rings = 120\npixel_scale_arcsec = 0.2").contains("tract_overlap_deg"));
        assert!(message("kind = [").contains("TOML parse error"));
        let text = message(
            "kind = 'rings'\nnum_rings = 120\ntractOverlap = 0.1\npixelScale = 0.2\ntract_builder = {kind = 'cells', patch_border = 4}",
        );
        assert!(text.contains("a tract builder of kind `cells` has no field `patch_border`"), "{text}");
        assert!(message("kind = 'rings'\nnum_rings = -1\ntractOverlap = 0.1\npixelScale = 0.2").contains("-1"));
    }

    #[test]
    fn defaults_are_the_references() {
        let config = SkyMapConfig::from_toml(
            "kind = 'equatorial'\nnumTracts = 4\ndecRange = [-1.25, 1.25]\ntractOverlap = 1.0\npixelScale = 0.333",
        )
        .unwrap();
        assert_eq!(config.projection, Projection::Cea);
        assert_eq!(config.tract_builder, TractBuilder::default());
        let config = SkyMapConfig::from_toml("kind = 'healpix'\nlog2NSide = 3\ntractOverlap = 1\npixelScale = 0.333");
        assert!((config.unwrap().rotation_deg - 45.0).abs() < 1e-12);
    }
}
