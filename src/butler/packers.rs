//! Packers of a repository's data IDs, and of specifications such as `record:skymap:hsc_rings_v1`.

use std::fs;
use std::path::Path;

use arrow::array::Array;

use super::columns::{ints, texts};
use super::{Butler, ButlerError};
use crate::camera::{Cameras, Instrument};
use crate::dimension::{BandCodes, DataId, PackError, Packer, RubinControllers, near_miss};
use crate::registry::Query;
use crate::skymap::SkyMap;

/// Kinds of specifications.
const KINDS: [&str; 6] = ["skymap", "observation", "exposure", "rubin", "record", "catalog"];
/// Releases of record IDs unless a specification says otherwise: the reference implementation's default.
const RELEASES: u64 = 64;

impl Butler {
    /// The packer of some dimensions: `tract,patch`, `tract,patch,band`, `visit,detector`, `exposure,detector`.
    ///
    /// The only sky map or instrument of the repository makes it; where there are several,
    /// [`packer_for`](Self::packer_for) says which. Bands have the codes of [`BandCodes::Default`].
    ///
    /// # Errors
    /// [`ButlerError::Question`] for other dimensions, and where the sky map or instrument is not clear.
    pub fn packer(&self, dimensions: &str) -> Result<Packer, ButlerError> {
        self.packer_for(dimensions, &DataId::new())
    }

    /// [`packer`](Self::packer) for the sky map or instrument of a data ID.
    ///
    /// # Errors
    /// Those of [`packer`](Self::packer); [`ButlerError::Registry`] for a sky map that there is not.
    pub fn packer_for(&self, dimensions: &str, of: &DataId) -> Result<Packer, ButlerError> {
        let mut wanted: Vec<&str> = dimensions.split([',', ' ']).filter(|d| !d.is_empty()).collect();
        wanted.retain(|d| !matches!(*d, "skymap" | "instrument"));
        wanted.sort_unstable();
        match wanted.as_slice() {
            ["patch", "tract"] => self.sky_map_packer(of, &BandCodes::None),
            ["band", "patch", "tract"] => self.sky_map_packer(of, &BandCodes::Default),
            ["detector", dimension @ ("visit" | "exposure")] => self.camera_packer(of, dimension),
            _ => {
                let known = ["tract", "patch", "band", "visit", "exposure", "detector"];
                let near = wanted.iter().filter(|w| !known.contains(w)).find_map(|w| near_miss(w, known));
                Err(ButlerError::Question(format!(
                    "no packer for `{dimensions}`{}; there are `tract,patch`, `tract,patch,band`, `visit,detector`, \
                     `exposure,detector`; for others write a layout in TOML",
                    crate::dimension::did_you_mean(near.as_deref())
                )))
            }
        }
    }

    fn sky_map_packer(&self, of: &DataId, bands: &BandCodes) -> Result<Packer, ButlerError> {
        let name = self.the_only("skymap", of)?;
        Ok(self.sky_map(&name)?.packer(&name, bands)?)
    }

    fn camera_packer(&self, of: &DataId, dimension: &str) -> Result<Packer, ButlerError> {
        let name = self.the_only("instrument", of)?;
        let cameras = Cameras::built_in()?;
        let instrument = cameras.instrument(&name).cloned().unwrap_or_else(|_| Instrument::open(&name));
        // What the registry knows of it goes first: a camera of the user's own, or limits set on purpose.
        let records = self.reader().dimension_records("instrument", &Query::all())?;
        let row = texts(&records, "instrument")?.iter().position(|n| n == Some(&name));
        let limit = |column: &str| -> Result<Option<u64>, ButlerError> {
            let values = ints(&records, column)?;
            Ok(row.filter(|row| values.is_valid(*row)).and_then(|row| u64::try_from(values.value(row)).ok()))
        };
        let (detector_max, observations) = (limit("detector_max")?, limit("visit_max")?);
        let detectors = self.reader().dimension_records("detector", &Query::all())?;
        let (of, ids) = (texts(&detectors, "instrument")?, ints(&detectors, "detector")?);
        let registered = of.iter().zip(ids).filter(|(of, _)| *of == Some(&name)).filter_map(|(_, id)| id).max();
        let registered = registered.and_then(|last| u64::try_from(last).ok()).map(|last| last + 1);
        Ok(instrument.packer(dimension, detector_max.max(registered), observations)?)
    }

    /// The value of a dimension in a data ID, or else the only one of the repository.
    fn the_only(&self, dimension: &str, of: &DataId) -> Result<String, ButlerError> {
        if let Some(name) = of.str(dimension) {
            return Ok(name.to_owned());
        }
        let records = self.reader().dimension_records(dimension, &Query::all())?;
        let names: Vec<_> = texts(&records, dimension)?.iter().flatten().collect();
        match names.as_slice() {
            [name] => Ok((*name).to_owned()),
            [] => Err(ButlerError::Question(format!("the repository has no {dimension}: register one"))),
            _ => {
                let names = names.join(", ");
                Err(ButlerError::Question(format!("the repository has more than one {dimension}, say which: {names}")))
            }
        }
    }
}

/// The packer of a specification:
///
/// * `skymap:NAME`, a preset sky map; `,bands=default` or `,bands=u+g+r+i+z+y` adds bands, `,room=8` leaves room for more;
/// * `observation:INSTRUMENT` (`exposure:INSTRUMENT` for exposures);
/// * `rubin:INSTRUMENT`; `,controllers=all` for the layout of 41 bits;
/// * `record:…` of one of these: with a counter below and a release above; `,releases=64`;
/// * `catalog:…`: with a release above only;
/// * the path of a layout, `FILE.toml`, which may stand after `record:` as well.
///
/// ```
/// use bunter::{DataId, packer_of};
///
/// let packer = packer_of("record:skymap:hsc_rings_v1,releases=64")?;
/// let id = packer.unpack(8031749440937132034_i64)?;
/// assert_eq!(id.to_string(), "{counter: 2, patch: 80, release: 55, skymap: hsc_rings_v1, tract: 18937}");
/// # Ok::<(), bunter::ButlerError>(())
/// ```
///
/// # Errors
/// [`ButlerError::Pack`] with the near miss; [`ButlerError::SkyMap`], [`ButlerError::Camera`] for unknown names;
/// [`ButlerError::Io`] for a file that cannot be read.
pub fn packer_of(specification: &str) -> Result<Packer, ButlerError> {
    let wrong =
        |problem: String| ButlerError::Pack(PackError::Specification { spec: specification.to_owned(), problem });
    let (mut what, options) = specification.split_once(',').unwrap_or((specification, ""));
    let mut given = Options::default();
    for option in options.split(',').filter(|o| !o.is_empty()) {
        let Some((key, value)) = option.split_once('=') else {
            return Err(wrong(format!("`{option}` is no option: write `KEY=VALUE`")));
        };
        given.set(key, value).map_err(wrong)?;
    }
    let record = what.strip_prefix("record:").map(|rest| what = rest).is_some();
    let catalog = !record && what.strip_prefix("catalog:").map(|rest| what = rest).is_some();
    let packer = match what.split_once(':') {
        _ if Path::new(what).extension().is_some_and(|e| e.eq_ignore_ascii_case("toml")) => {
            let path = Path::new(what);
            let io = |source| ButlerError::Io { doing: "read", path: path.to_owned(), source };
            Packer::from_toml(&fs::read_to_string(path).map_err(io)?)?
        }
        Some(("skymap", name)) => SkyMap::preset(name)?.packer(name, &given.take_bands())?,
        Some((kind @ ("observation" | "exposure"), name)) => {
            let dimension = if kind == "exposure" { "exposure" } else { "visit" };
            Cameras::built_in()?.instrument(name)?.packer(dimension, None, None)?
        }
        Some(("rubin", name)) => {
            let controllers = if given.controllers.take().unwrap_or(false) {
                RubinControllers::All
            } else {
                RubinControllers::Observatory
            };
            Packer::rubin(name, controllers)?
        }
        other => {
            let kind = other.map_or(what, |(kind, _)| kind);
            let near = crate::dimension::did_you_mean(near_miss(kind, KINDS).as_deref());
            return Err(wrong(format!(
                "`{kind}` is no kind of packer{near}; write `skymap:NAME`, `observation:INSTRUMENT`, \
                 `rubin:INSTRUMENT`, `record:` before one of these, or the name of a `.toml` file"
            )));
        }
    };
    let releases = given.releases.take();
    let packer = match (record, catalog) {
        (true, _) => packer.with_records(releases.unwrap_or(RELEASES))?,
        (_, true) => packer.with_releases(releases.unwrap_or(RELEASES))?,
        _ if releases.is_some() => return Err(wrong("`releases` is for `record:` and `catalog:`".to_owned())),
        _ => packer,
    };
    given.none_left().map_err(wrong)?;
    Ok(packer)
}

/// Options of a specification.
#[derive(Debug, Default)]
struct Options {
    bands: Option<BandCodes>,
    room: Option<u64>,
    controllers: Option<bool>,
    releases: Option<u64>,
}

impl Options {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let number = || value.parse::<u64>().map_err(|_| format!("`{key}` is `{value}`, expected a number"));
        match key {
            "bands" => {
                self.bands = Some(match value {
                    "none" => BandCodes::None,
                    "default" => BandCodes::Default,
                    list => BandCodes::Listed(list.split('+').map(str::to_owned).collect(), None),
                });
            }
            "room" => self.room = Some(number()?),
            "releases" => self.releases = Some(number()?),
            "controllers" => match value {
                "all" => self.controllers = Some(true),
                "O" => self.controllers = Some(false),
                _ => return Err(format!("`controllers` is `{value}`, expected `all` or `O`")),
            },
            _ => {
                let known = ["bands", "room", "releases", "controllers"];
                let near = crate::dimension::did_you_mean(near_miss(key, known).as_deref());
                return Err(format!("`{key}` is no option{near}; there are {}", known.join(", ")));
            }
        }
        Ok(())
    }

    fn take_bands(&mut self) -> BandCodes {
        match self.bands.take() {
            Some(BandCodes::Listed(list, _)) => BandCodes::Listed(list, self.room.take()),
            Some(bands) => bands,
            None => BandCodes::None,
        }
    }

    fn none_left(&self) -> Result<(), String> {
        let left = [
            ("bands", self.bands.is_some()),
            ("room", self.room.is_some()),
            ("controllers", self.controllers.is_some()),
        ];
        match left.into_iter().find(|(_, there)| *there) {
            Some((key, _)) => Err(format!("`{key}` has no meaning for this packer")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skymap::SkyMap;

    #[test]
    fn specifications() {
        let bits = |spec: &str| packer_of(spec).unwrap().bits();
        assert_eq!(bits("skymap:hsc_rings_v1"), 21);
        assert_eq!(bits("skymap:hsc_rings_v1,bands=default"), 26);
        assert_eq!(bits("skymap:hsc_rings_v1,bands=u+g+r+i+z+y,room=8"), 24);
        assert_eq!(bits("observation:HSC"), 32);
        assert_eq!(bits("rubin:LSSTCam"), 38);
        assert_eq!(bits("observation:LSSTCam"), 38);
        assert_eq!(bits("rubin:LSSTCam,controllers=all"), 41);
        assert_eq!(bits("record:rubin:LSSTCam,releases=4"), 63);
        assert_eq!(bits("catalog:observation:DECam"), 38);
        let message = |spec: &str| packer_of(spec).unwrap_err().to_string();
        assert!(message("skymaps:x").contains("did you mean `skymap`?"));
        assert!(message("skymap:hsc_ring_v1").contains("did you mean `hsc_rings_v1`?"));
        assert!(message("observation:HCS").contains("HSC"));
        assert!(message("observation:HSC,bands=default").contains("no meaning"));
        assert!(message("skymap:DC2,room=8").contains("no meaning"));
        assert!(message("skymap:DC2,releases=8").contains("`record:`"));
        assert!(message("record:skymap:DC2,release=8").contains("did you mean `releases`?"));
        assert!(message("record:skymap:DC2,releases=0").contains("at least one"));
        assert!(message("/nowhere/layout.toml").contains("cannot read"));
        assert!(message("").contains("no kind of packer"));
    }

    #[test]
    fn a_repository_makes_its_packers() {
        let folder = tempfile::tempdir().unwrap();
        let butler = Butler::create(folder.path()).unwrap();
        assert!(butler.packer("tract,patch").unwrap_err().to_string().contains("no skymap"));
        let map = SkyMap::preset("hsc_rings_v1").unwrap();
        butler.register_sky_map("hsc_rings_v1", &map).unwrap();
        butler.register_instrument(Cameras::built_in().unwrap().instrument("DECam").unwrap()).unwrap();
        let packer = butler.packer("tract,patch,band").unwrap();
        let id = DataId::new().with("tract", 9813).with("patch", 31).with("band", "r");
        assert_eq!(packer.pack(&id).unwrap(), 31 + 81 * (9813 + 18938 * 3));
        assert_eq!(butler.packer("visit, detector").unwrap(), packer_of("observation:DECam").unwrap());
        assert!(butler.packer("tract,patches").unwrap_err().to_string().contains("did you mean `patch`?"));
        butler.register_instrument(&Instrument::open("MyCam")).unwrap();
        assert!(butler.packer("visit,detector").unwrap_err().to_string().contains("say which: DECam, MyCam"));
        let mine = butler.packer_for("exposure,detector", &DataId::new().with("instrument", "MyCam")).unwrap();
        assert_eq!(mine.columns().collect::<Vec<_>>(), ["detector", "exposure"]);
    }
}
