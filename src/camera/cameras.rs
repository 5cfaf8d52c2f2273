//! [`Cameras`]: all the instruments and translators that are known.

use std::borrow::Cow;

use super::definition::Definition;
use super::error::nearest;
use super::{CameraError, ExposureFile, Instrument, ObservationInfo, Translator};

const BUILT_IN: [(&str, &str); 8] = [
    ("calexp.toml", include_str!("instruments/calexp.toml")),
    ("simcam.toml", include_str!("instruments/simcam.toml")),
    ("decam.toml", include_str!("instruments/decam.toml")),
    ("vircam.toml", include_str!("instruments/vircam.toml")),
    ("hsc.toml", include_str!("instruments/hsc.toml")),
    ("lsstcam.toml", include_str!("instruments/lsstcam.toml")),
    ("lsstcomcam.toml", include_str!("instruments/lsstcomcam.toml")),
    // Last: it takes any image with a WCS.
    ("generic.toml", include_str!("instruments/generic.toml")),
];

/// The instruments and translators that are known: those that come with the program, and those of a user's files, which
/// are asked first.
#[derive(Debug)]
pub struct Cameras {
    instruments: Vec<Instrument>,
    translators: Vec<Translator>,
}

/// What a file is to a camera.
#[derive(Clone, Copy, Debug)]
pub enum Recognition<'a> {
    /// An exposure, or several.
    Exposure(&'a Translator),
    /// A mask or weight of an exposure: nothing to ingest by itself.
    Companion(&'a Translator),
}

impl Cameras {
    /// Those that come with the program: `DECam`, `VIRCAM`, `HSC`, `LSSTCam`, `LSSTComCam`, `SimCam`; files in the layout of an LSST
    /// calexp of any of them; and images with a WCS of any other camera.
    ///
    /// # Errors
    /// None that its tests would let pass.
    pub fn built_in() -> Result<Self, CameraError> {
        let mut cameras = Self { instruments: Vec::new(), translators: Vec::new() };
        for (origin, text) in BUILT_IN.iter().rev() {
            cameras.add_toml(origin, text)?;
        }
        Ok(cameras)
    }

    /// Adds a definition, in front of those there are: it replaces an instrument of the same name, and its translators
    /// are asked first. `origin` names it in errors. Nothing is changed by a definition with an error.
    ///
    /// ```
    /// use bunter::camera::Cameras;
    ///
    /// let mut cameras = Cameras::built_in()?;
    /// cameras.add_toml("my.toml", r#"
    ///     [instrument]
    ///     name = "MyCam"
    ///     detectors = [{ first = 0, names = ["north", "south"] }]
    ///     filters = [{ name = "MyCam-R", band = "r", aliases = ["R"] }]
    /// "#)?;
    /// assert_eq!(cameras.instrument("mycam")?.filter("R").map(|f| f.band.as_str()), Some("r"));
    /// # Ok::<(), bunter::camera::CameraError>(())
    /// ```
    ///
    /// # Errors
    /// [`CameraError::Definition`], [`CameraError::Pattern`].
    pub fn add_toml(&mut self, origin: &str, text: &str) -> Result<(), CameraError> {
        let fail = |message: String| CameraError::Definition { origin: origin.to_owned(), message };
        let definition: Definition = toml::from_str(text).map_err(|e| fail(with_near_miss(&e.to_string())))?;
        if definition.instrument.is_none() && definition.translators.is_empty() {
            return Err(fail("holds neither an [instrument] nor a [[translator]]".to_owned()));
        }
        if definition.instrument.is_none() && definition.focal_plane.is_some() {
            return Err(fail("has a [focal_plane] without an [instrument]".to_owned()));
        }
        let (plane, source) = (definition.focal_plane, text);
        let instrument = definition.instrument.map(|i| i.build(plane, source)).transpose().map_err(fail)?;
        let translators: Result<Vec<_>, _> =
            definition.translators.into_iter().map(|rules| Translator::new(rules, origin)).collect();
        self.translators.splice(0..0, translators?);
        if let Some(instrument) = instrument {
            self.instruments.retain(|i| i.name != instrument.name);
            self.instruments.insert(0, instrument);
        }
        Ok(())
    }

    /// All instruments.
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// All translators, in the order in which they are asked.
    pub fn translators(&self) -> &[Translator] {
        &self.translators
    }

    /// File names of the tables that translators may want; read those that lie beside a file.
    pub fn sidecar_names(&self) -> Vec<&str> {
        self.translators.iter().filter_map(Translator::sidecar).collect()
    }

    /// The instrument of that name or alias (any case).
    ///
    /// # Errors
    /// [`CameraError::UnknownInstrument`].
    pub fn instrument(&self, name: &str) -> Result<&Instrument, CameraError> {
        self.instruments.iter().find(|i| i.is_called(name)).ok_or_else(|| CameraError::UnknownInstrument {
            name: name.to_owned(),
            nearest: nearest(name, self.instruments.iter().map(|i| i.name.as_str())),
            known: self.instruments.iter().map(|i| i.name.clone()).collect(),
        })
    }

    /// Which translator knows a file.
    ///
    /// # Errors
    /// [`CameraError::Unrecognised`] with what each translator misses.
    pub fn recognise(&self, file: ExposureFile<'_>) -> Result<Recognition<'_>, CameraError> {
        let mut tried = Vec::new();
        for translator in &self.translators {
            match translator.recognises(file) {
                Ok(()) if translator.is_companion(file.name()) => return Ok(Recognition::Companion(translator)),
                Ok(()) => return Ok(Recognition::Exposure(translator)),
                Err(reason) => tried.push(format!("{}: {reason}", translator.name())),
            }
        }
        Err(CameraError::Unrecognised { file: file.path.to_owned(), tried })
    }

    /// What the headers say about each exposure in a file: one an image extension, none for a companion.
    ///
    /// # Errors
    /// [`CameraError::Unrecognised`], [`CameraError::Field`], [`CameraError::Wcs`].
    pub fn translate(&self, file: ExposureFile<'_>) -> Result<Vec<ObservationInfo>, CameraError> {
        match self.recognise(file)? {
            Recognition::Companion(_) => Ok(Vec::new()),
            Recognition::Exposure(translator) => translator.translate(file, &|name| match self.instrument(name) {
                Ok(instrument) => Cow::Borrowed(instrument),
                Err(_) => Cow::Owned(Instrument::open(name)),
            }),
        }
    }
}

/// What the reader of TOML says, and of an unknown key the known one that was probably meant.
fn with_near_miss(message: &str) -> String {
    let near = message.split_once("unknown field `").and_then(|(_, rest)| {
        let (wanted, known) = rest.split_once('`')?;
        nearest(wanted, known.split('`').skip(1).step_by(2))
    });
    format!("{}{}", message.trim_end(), super::error::near(near.as_deref()))
}
