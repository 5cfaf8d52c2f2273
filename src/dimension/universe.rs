//! [`Universe`]: all dimensions there are.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::{Column, ColumnType, DimensionError, DimensionGroup, Element, ElementStorage, near_miss};

/// All dimensions and their relations: [`Universe::builtin`], whose words are the ones of Rubin's butler, or that with what
/// a repository declares besides, [`Universe::with`].
///
/// A universe lives as long as the process, and two of the same declaration are one and the same.
///
/// ```
/// use bunter::Universe;
///
/// let universe = Universe::builtin();
/// let group = universe.group(["visit", "detector"])?;
/// assert_eq!(group.required(), ["detector", "instrument", "visit"]);
/// assert_eq!(group.implied(), ["band", "day_obs", "physical_filter"]);
/// assert!(universe.element("vist").unwrap_err().to_string().contains("did you mean `visit`?"));
/// # Ok::<(), bunter::DimensionError>(())
/// ```
pub struct Universe {
    elements: &'static [Element],
    declaration: &'static str,
}

const fn column(
    name: &'static str,
    column_type: ColumnType,
    nullable: bool,
    unit: &'static str,
    doc: &'static str,
) -> Column {
    Column { name, column_type, nullable, unit, doc }
}

use ColumnType::{Bytes, Float, Int, Text};
use ElementStorage::{Table, ViewOf, Virtual};

const REGION: &str = "Convex spherical polygon that the pixels lie in, bytes of `sphere`'s encoding.";

static ELEMENTS: [Element; 10] = [
    Element {
        name: "instrument",
        key: Some(Text),
        required: &["instrument"],
        implied: &[],
        key_types: &[Text],
        metadata: &[
            column("detector_max", Int, true, "", "One more than the largest detector number."),
            column("visit_max", Int, true, "", "One more than the largest visit number; what packed IDs are sized by."),
            column("translator", Text, true, "", "The camera description that reads its headers."),
        ],
        spatial: false,
        temporal: false,
        storage: Table,
        doc: "A camera on a telescope, `HSC`.",
    },
    Element {
        name: "band",
        key: Some(Text),
        required: &["band"],
        implied: &[],
        key_types: &[Text],
        metadata: &[],
        spatial: false,
        temporal: false,
        storage: ViewOf("physical_filter"),
        doc: "A wavelength range by its customary letter, `r`, common to all instruments.",
    },
    Element {
        name: "physical_filter",
        key: Some(Text),
        required: &["instrument", "physical_filter"],
        implied: &["band"],
        key_types: &[Text, Text, Text],
        metadata: &[],
        spatial: false,
        temporal: false,
        storage: Table,
        doc: "A piece of glass, `HSC-R2`.",
    },
    Element {
        name: "detector",
        key: Some(Int),
        required: &["instrument", "detector"],
        implied: &[],
        key_types: &[Text, Int],
        metadata: &[
            column("full_name", Text, true, "", "The instrument's name for it, `R22_S11`."),
            column("raft", Text, true, "", "The group it belongs to."),
            column("name_in_raft", Text, true, "", "Its slot there, `S11`."),
            column("purpose", Text, true, "", "SCIENCE, GUIDE, FOCUS or WAVEFRONT."),
        ],
        spatial: false,
        temporal: false,
        storage: Table,
        doc: "A detector of a camera, by its number.",
    },
    Element {
        name: "day_obs",
        key: Some(Int),
        required: &["instrument", "day_obs"],
        implied: &[],
        key_types: &[Text, Int],
        metadata: &[],
        spatial: false,
        temporal: false,
        storage: ViewOf("visit"),
        doc: "An observing night, as the number YYYYMMDD.",
    },
    Element {
        name: "visit",
        key: Some(Int),
        required: &["instrument", "visit"],
        implied: &["day_obs", "physical_filter"],
        key_types: &[Text, Int, Int, Text],
        metadata: &[
            column("name", Text, true, "", "The observatory's name for it."),
            column("exposure_time", Float, true, "s", "Time the shutter was open."),
            column("target_name", Text, true, "", "What was pointed at."),
            column("science_program", Text, true, "", "Proposal or programme."),
            column("ra_deg", Float, true, "deg", "ICRS right ascension of the boresight, 0 to 360."),
            column("dec_deg", Float, true, "deg", "ICRS declination of the boresight, -90 to 90."),
            column("rotation_deg", Float, true, "deg", "Angle from north through east to the camera's +y."),
            column("airmass", Float, true, "", "At mid-exposure."),
            column("seeing", Float, true, "arcsec", "Full width at half maximum of the point-spread function."),
            column("zero_point", Float, true, "mag", "Magnitude of one count."),
            column("sky_level", Float, true, "count", "Median sky in a pixel."),
            column("timespan_begin", Float, true, "MJD TAI", "Shutter opens."),
            column("timespan_end", Float, true, "MJD TAI", "Shutter closes."),
        ],
        spatial: false,
        temporal: true,
        storage: Table,
        doc: "One pointing of a camera, by its number.",
    },
    Element {
        name: "visit_detector",
        key: None,
        required: &["instrument", "visit", "detector"],
        implied: &[],
        key_types: &[Text, Int, Int],
        metadata: &[
            column("region", Bytes, true, "", REGION),
            column("wcs", Bytes, true, "", "World coordinate system, bincode; opaque to the registry."),
            column("width", Int, true, "pixel", "Number of columns."),
            column("height", Int, true, "pixel", "Number of rows."),
            column("zero_point", Float, true, "mag", "Magnitude of one count."),
            column("mean_variance", Float, true, "count^2", "Mean variance of a pixel."),
            column("seeing", Float, true, "arcsec", "Full width at half maximum of the point-spread function."),
        ],
        spatial: true,
        temporal: false,
        storage: Table,
        doc: "What one detector saw in one visit: where it lies on the sky, and how good it is.",
    },
    Element {
        name: "skymap",
        key: Some(Text),
        required: &["skymap"],
        implied: &[],
        key_types: &[Text],
        metadata: &[
            column("definition", Text, false, "", "The configuration, TOML; tracts and patches are computed from it."),
            column("hash", Bytes, false, "", "SHA-1 of the definition, 20 bytes, as Rubin's sky maps have it."),
            column("tract_max", Int, false, "", "Number of tracts; tracts are 0 .. tract_max."),
            column("patch_nx_max", Int, false, "", "Most patches of any tract along x."),
            column("patch_ny_max", Int, false, "", "Most patches of any tract along y."),
        ],
        spatial: false,
        temporal: false,
        storage: Table,
        doc: "A way to cut the sky into tracts and patches.",
    },
    Element {
        name: "tract",
        key: Some(Int),
        required: &["skymap", "tract"],
        implied: &[],
        key_types: &[Text, Int],
        metadata: &[
            column("region", Bytes, false, "", REGION),
            column("ra_deg", Float, true, "deg", "ICRS right ascension of its centre, 0 to 360."),
            column("dec_deg", Float, true, "deg", "ICRS declination of its centre, -90 to 90."),
        ],
        spatial: true,
        temporal: false,
        storage: Virtual,
        doc: "A piece of the sky with one projection, by its number.",
    },
    Element {
        name: "patch",
        key: Some(Int),
        required: &["skymap", "tract", "patch"],
        implied: &[],
        key_types: &[Text, Int, Int],
        metadata: &[
            column("cell_x", Int, false, "", "Column of the patch in its tract."),
            column("cell_y", Int, false, "", "Row of the patch in its tract."),
            column("region", Bytes, false, "", REGION),
            column("ra_deg", Float, true, "deg", "ICRS right ascension of the middle of its inner box, 0 to 360."),
            column("dec_deg", Float, true, "deg", "ICRS declination of the middle of its inner box, -90 to 90."),
        ],
        spatial: true,
        temporal: false,
        storage: Virtual,
        doc: "A rectangle of a tract's pixels, by its sequential number, row by row.",
    },
];

/// Words of earlier butlers that mean a dimension.
static ALIASES: [(&str, &str); 9] = [
    ("ccd", "detector"),
    ("ccdnum", "detector"),
    ("sensor", "detector"),
    ("exposure", "visit"),
    ("expnum", "visit"),
    ("filter", "physical_filter"),
    ("dateObs", "day_obs"),
    ("skyMap", "skymap"),
    ("camera", "instrument"),
];

impl Universe {
    /// The universe of a repository that declares nothing.
    pub const fn builtin() -> &'static Self {
        static UNIVERSE: Universe = Universe { elements: &ELEMENTS, declaration: "" };
        &UNIVERSE
    }

    /// A universe of these elements. It is never given back; [`Universe::with`] makes one only once.
    pub(super) const fn new(elements: &'static [Element], declaration: &'static str) -> Self {
        Self { elements, declaration }
    }

    /// What is declared beside the built-in dimensions, TOML in the one form that [`Universe::with`] reads to the same
    /// universe; empty where nothing is.
    pub const fn declaration(&self) -> &'static str {
        self.declaration
    }

    /// All elements.
    pub const fn elements(&self) -> &'static [Element] {
        self.elements
    }

    /// The dimensions, which are the elements with a key of their own.
    pub fn dimensions(&self) -> impl Iterator<Item = &'static Element> {
        self.elements.iter().filter(|e| e.is_dimension())
    }

    /// Whether a name is taken by an element or an earlier butler's word for one.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.elements.iter().any(|e| e.name == name)
            || ALIASES.iter().any(|(alias, _)| alias.eq_ignore_ascii_case(name))
    }

    /// An element by its name, or by a word that earlier butlers had for it (`ccd` for `detector`).
    ///
    /// # Errors
    /// [`DimensionError::UnknownDimension`] with the nearest name.
    pub fn element(&self, name: &str) -> Result<&'static Element, DimensionError> {
        let wanted = self.canonical_name(name);
        self.elements.iter().find(|e| e.name == wanted).ok_or_else(|| DimensionError::UnknownDimension {
            name: name.to_owned(),
            near: near_miss(name, self.elements.iter().map(|e| e.name)),
            known: self.elements.iter().map(|e| e.name).collect::<Vec<_>>().join(", "),
        })
    }

    /// A dimension, which is an element with a key.
    ///
    /// # Errors
    /// [`DimensionError::UnknownDimension`], also for a combination such as `visit_detector`.
    pub fn dimension(&self, name: &str) -> Result<(&'static Element, ColumnType), DimensionError> {
        let unknown = || DimensionError::UnknownDimension {
            name: name.to_owned(),
            near: near_miss(name, self.dimensions().map(|e| e.name)),
            known: self.dimensions().map(|e| e.name).collect::<Vec<_>>().join(", "),
        };
        let element = self.element(name).map_err(|_| unknown())?;
        element.key.map(|key| (element, key)).ok_or_else(unknown)
    }

    /// The present name of a dimension: `detector` for `ccd`. Names without a successor come back as they are.
    pub fn canonical_name<'a>(&self, name: &'a str) -> &'a str {
        ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, canonical)| canonical)
    }

    /// The group that contains these dimensions and all that they need.
    ///
    /// # Errors
    /// [`DimensionError::UnknownDimension`].
    pub fn group<'a>(
        &'static self,
        dimensions: impl IntoIterator<Item = &'a str>,
    ) -> Result<DimensionGroup, DimensionError> {
        DimensionGroup::new(self, dimensions)
    }
}

impl fmt::Debug for Universe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.elements.iter().map(|e| e.name).collect();
        write!(f, "Universe({})", names.join(", "))
    }
}

/// There is one of each, so that they are compared by where they are.
impl PartialEq for Universe {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Universe {}

impl Hash for Universe {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::from_ref(self).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_elements_is_consistent() {
        let universe = Universe::builtin();
        for (i, element) in universe.elements().iter().enumerate() {
            assert!(universe.elements()[..i].iter().all(|e| e.name != element.name), "{} twice", element.name);
            for name in element.required.iter().chain(element.implied) {
                assert!(universe.dimension(name).is_ok(), "{}: {name}", element.name);
            }
            let keys = element.required.iter().chain(element.implied).map(|name| universe.dimension(name).unwrap().1);
            assert_eq!(keys.collect::<Vec<_>>(), element.key_types, "{}", element.name);
            assert_eq!(element.is_dimension(), element.required.last() == Some(&element.name));
            assert_eq!(element.spatial, element.metadata.iter().any(|c| c.name == "region"), "{}", element.name);
            assert_eq!(element.temporal, element.metadata.iter().any(|c| c.name == "timespan_end"));
            assert!(!element.doc.is_empty() && element.metadata.iter().all(|c| !c.doc.is_empty()));
            let mut names: Vec<_> = element.columns().map(|c| c.0).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), element.schema().fields().len());
        }
        for (alias, name) in ALIASES {
            assert!(universe.elements().iter().all(|e| e.name != alias));
            assert_eq!(universe.element(alias).unwrap().name, name);
        }
    }

    #[test]
    fn combinations_are_not_dimensions() {
        assert!(Universe::builtin().dimension("visit_detector").is_err());
        assert!(Universe::builtin().element("visit_detector").is_ok());
    }
}
