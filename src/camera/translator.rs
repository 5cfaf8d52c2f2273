//! [`Translator`]: from the headers of one kind of file to dimension values.

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::definition::{HduRule, MaskRule, MeaningRule, PlaneRule, TranslatorDefinition, VarianceKind, VarianceRule};
use super::exposure_file::{ExposureFile, FileScope, SidecarScope};
use super::expression::{EvaluateError, HeaderExpression, Value};
use super::{CameraError, Instrument, ObservationInfo, ToMeasure, time};
use crate::dataset::{FitsLayout, FitsMask, FitsPlane, FitsVariance, MaskMeaning};
use crate::wcs::{Header, Wcs};

/// Knows one kind of file: how it is recognised, what its headers call things, and where its planes are.
#[derive(Debug)]
pub struct Translator {
    rules: TranslatorDefinition,
    exposures: GlobSet,
    companions: GlobSet,
}

impl Translator {
    pub(super) fn new(rules: TranslatorDefinition, origin: &str) -> Result<Self, CameraError> {
        let (exposures, companions) = (globs(&rules.exposures, origin)?, globs(&rules.companions, origin)?);
        Ok(Self { rules, exposures, companions })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.rules.name
    }

    /// Whether a file of that name belongs to an exposure instead of being one (a mask, a weight).
    pub fn is_companion(&self, file_name: &str) -> bool {
        self.companions.is_match(file_name) || (!self.exposures.is_empty() && !self.exposures.is_match(file_name))
    }

    /// The file name of the table that may lie beside its files.
    pub fn sidecar(&self) -> Option<&str> {
        self.rules.sidecar.as_ref().map(|rule| rule.file.as_str())
    }

    /// `Ok` when the file is of this kind, otherwise why it is not.
    pub(super) fn recognises(&self, file: ExposureFile<'_>) -> Result<(), String> {
        let images = self.images(file);
        let Some(&image) = images.first() else {
            return Err(match &self.rules.image {
                HduRule::Name(name) if name != "each" && name != "first" => format!("no image in a unit named {name}"),
                _ => "no two-dimensional image".to_owned(),
            });
        };
        let scope = FileScope::new(file, image);
        for condition in &self.rules.when {
            match condition.evaluate(&scope) {
                Ok(Value::Bool(true)) => {}
                Ok(_) => return Err(format!("`{condition}` does not hold")),
                Err(e) => return Err(format!("`{condition}`: {e}")),
            }
        }
        Ok(())
    }

    /// Indices of the units that are images.
    fn images(&self, file: ExposureFile<'_>) -> Vec<usize> {
        let all = || (0..file.hdus.len()).filter(|&i| is_image(file, i));
        match &self.rules.image {
            HduRule::Index(i) => Some(*i).filter(|&i| is_image(file, i)).into_iter().collect(),
            HduRule::Name(name) if name == "each" => all().collect(),
            HduRule::Name(name) if name != "first" => {
                file.hdu_named(name).filter(|&i| is_image(file, i)).into_iter().collect()
            }
            _ => all().take(1).collect(),
        }
    }

    /// One observation an image. `instrument` finds the instrument that a header names.
    pub(super) fn translate<'i>(
        &self,
        file: ExposureFile<'_>,
        instrument: &dyn Fn(&str) -> std::borrow::Cow<'i, Instrument>,
    ) -> Result<Vec<ObservationInfo>, CameraError> {
        self.images(file).into_iter().map(|image| self.translate_image(file, image, instrument)).collect()
    }

    fn translate_image<'i>(
        &self,
        file: ExposureFile<'_>,
        image: usize,
        instrument: &dyn Fn(&str) -> std::borrow::Cow<'i, Instrument>,
    ) -> Result<ObservationInfo, CameraError> {
        let Some((hdu, shape)) = file.hdus.get(image).and_then(|hdu| Some((hdu, hdu.shape?))) else {
            return Err(self.field(file, "image", None, format!("header-data unit {image} is no image")));
        };
        let wcs = Wcs::from_header(&hdu.header).map_err(|source| CameraError::Wcs {
            file: file.path.to_owned(),
            hdu: image,
            source,
        })?;
        let mut scope = FileScope::new(file, image);
        scope.set_wcs(&wcs, shape);
        self.find_row(&mut scope)?;

        let at = Evaluator { translator: self, scope: &scope };
        let instrument = instrument(&at.text("instrument", &self.rules.instrument)?);
        let rules = &self.rules;
        let visit = at.checked("visit", &rules.visit, "a whole number that is not negative", |v| {
            v.as_i64().filter(|v| *v >= 0)
        })?;
        let detector = at.value("detector", &rules.detector)?;
        let detector = instrument
            .resolve_detector(detector.as_i64(), &detector.to_string())
            .map_err(|reason| self.field(file, "detector", Some(&rules.detector), reason))?;
        let (physical_filter, band) =
            instrument
                .resolve_filter(&at.text("physical_filter", &rules.physical_filter)?)
                .map_err(|reason| self.field(file, "physical_filter", Some(&rules.physical_filter), reason))?;
        let zero_point = at.number("zero_point", &rules.zero_point)?;
        let (layout, to_measure) = self.layout(&at, image, zero_point)?;
        let mut metadata = Header::default();
        for (keyword, expression) in &rules.metadata {
            if let Some(value) = at.optional("metadata", Some(expression))? {
                metadata.set(keyword, value);
            }
        }
        let observation = ObservationInfo {
            instrument: instrument.name.clone(),
            translator: rules.name.clone(),
            visit,
            detector,
            physical_filter,
            band,
            mjd_begin: self.mjd_begin(&at)?,
            exposure_time: at.optional_number("exposure_time", rules.exposure_time.as_ref(), |v| v >= 0.0)?,
            seeing: at.optional_number("seeing", rules.seeing.as_ref(), |v| v > 0.0)?,
            zero_point,
            wcs,
            shape,
            layout,
            to_measure,
            metadata,
            warnings: Vec::new(),
        };
        Ok(ObservationInfo { warnings: scope.warnings.into_inner(), ..observation })
    }

    fn find_row<'a>(&'a self, scope: &mut FileScope<'a>) -> Result<(), CameraError> {
        let Some(rule) = &self.rules.sidecar else { return Ok(()) };
        let row = match scope.file.sidecars.iter().find(|s| s.name() == rule.file) {
            None => None,
            Some(table) => {
                let at = Evaluator { translator: self, scope };
                let mut keys = Vec::new();
                for (column, expression) in &rule.keys {
                    keys.push((column.clone(), at.text("sidecar", expression)?));
                }
                table.find(&keys).map(|row| (table, row))
            }
        };
        scope.sidecar = Some(SidecarScope { name: &rule.name, file: &rule.file, row });
        Ok(())
    }

    fn mjd_begin(&self, at: &Evaluator<'_>) -> Result<Option<f64>, CameraError> {
        let Some(mjd) = at.optional_number("mjd_begin", self.rules.mjd_begin.as_ref(), |v| v > -2e5 && v < 4e6)? else {
            return Ok(None);
        };
        let scale = match &self.rules.time_scale {
            None => time::TimeScale::Utc,
            Some(expression) => time::scale(&at.text("time_scale", expression)?)
                .map_err(|reason| self.field(at.scope.file, "time_scale", Some(expression), reason))?,
        };
        Ok(Some(scale.to_tai(mjd)))
    }

    fn layout(
        &self,
        at: &Evaluator<'_>,
        image: usize,
        zero_point: f64,
    ) -> Result<(FitsLayout, ToMeasure), CameraError> {
        let rules = &self.rules;
        let mut to_measure = ToMeasure::default();
        let background = match &rules.background {
            None => 0.0,
            Some(expression) if expression.to_string() == "median" => {
                to_measure.background = true;
                0.0
            }
            Some(expression) => at.number("background", expression)?,
        };
        let variance = self.variance(at, image, &mut to_measure)?;
        let mask = self.mask(at, image)?;
        let finite = |v: f64| v.is_finite();
        let layout = FitsLayout {
            image: FitsPlane { file: None, hdu: image },
            mask,
            variance,
            background,
            zero_point,
            saturation: at.optional_number("saturation", rules.saturation.as_ref(), finite)?,
            low: at.optional_number("low", rules.low.as_ref(), finite)?,
        };
        Ok((layout, to_measure))
    }

    fn mask(&self, at: &Evaluator<'_>, image: usize) -> Result<Option<FitsMask>, CameraError> {
        for MaskRule { when, file, hdu, meaning } in &self.rules.mask {
            if !at.holds("mask", when.as_ref())? {
                continue;
            }
            let Ok(plane) = plane(at, image, "mask", file.as_ref(), hdu)? else { continue };
            let meaning = match meaning.clone() {
                MeaningRule::Planes => MaskMeaning::Planes,
                MeaningRule::Codes { codes } => MaskMeaning::Codes(codes),
                MeaningRule::Bits { bits } => MaskMeaning::Bits(bits),
            };
            return Ok(Some(FitsMask { plane, meaning }));
        }
        Ok(None)
    }

    fn variance(
        &self,
        at: &Evaluator<'_>,
        image: usize,
        to_measure: &mut ToMeasure,
    ) -> Result<FitsVariance, CameraError> {
        let mut tried = Vec::new();
        for VarianceRule { when, kind } in &self.rules.variance {
            if !at.holds("variance", when.as_ref())? {
                continue;
            }
            match kind {
                VarianceKind::Plane(PlaneRule { file, hdu }) | VarianceKind::Inverse(PlaneRule { file, hdu }) => {
                    match plane(at, image, "variance", file.as_ref(), hdu)? {
                        Ok(plane) if matches!(kind, VarianceKind::Plane(_)) => return Ok(FitsVariance::Plane(plane)),
                        Ok(plane) => return Ok(FitsVariance::Inverse(plane)),
                        Err(absent) => tried.push(absent),
                    }
                }
                VarianceKind::SkyAndGain { sky_variance, gain } => {
                    let gain = at.number("gain", gain)?;
                    if gain <= 0.0 {
                        return Err(self.field(at.scope.file, "gain", None, format!("{gain} is not positive")));
                    }
                    let sky_variance = if sky_variance.to_string() == "measured" {
                        to_measure.sky_variance = true;
                        0.0
                    } else {
                        at.checked("sky_variance", sky_variance, "a positive number", |v| {
                            v.as_f64().filter(|v| *v > 0.0 && v.is_finite())
                        })?
                    };
                    return Ok(FitsVariance::SkyAndGain { sky_variance, gain });
                }
            }
        }
        Err(self.field(at.scope.file, "variance", None, format!("not to be found: {}", tried.join("; "))))
    }

    fn field(
        &self,
        file: ExposureFile<'_>,
        field: &'static str,
        expression: Option<&HeaderExpression>,
        reason: String,
    ) -> CameraError {
        CameraError::Field {
            file: file.path.to_owned(),
            translator: self.rules.name.clone(),
            field,
            expression: expression.map(ToString::to_string),
            reason,
        }
    }
}

fn is_image(file: ExposureFile<'_>, hdu: usize) -> bool {
    file.hdus.get(hdu).is_some_and(|h| h.shape.is_some())
}

fn globs(patterns: &[String], origin: &str) -> Result<GlobSet, CameraError> {
    let fail = |pattern: &str, e: &globset::Error| CameraError::Pattern {
        origin: origin.to_owned(),
        pattern: pattern.to_owned(),
        reason: e.kind().to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).map_err(|e| fail(pattern, &e))?);
    }
    set.build().map_err(|e| fail(&patterns.join(", "), &e))
}

/// The plane, or in words what is absent.
fn plane(
    at: &Evaluator<'_>,
    image: usize,
    field: &'static str,
    file: Option<&HeaderExpression>,
    hdu: &HduRule,
) -> Result<Result<FitsPlane, String>, CameraError> {
    let this = at.scope.file;
    let beside = match file {
        None => None,
        Some(expression) => match at.optional(field, Some(expression))? {
            None => return Ok(Err(format!("`{expression}` has no value"))),
            Some(name) => Some(name.to_string()).filter(|name| name != this.name()),
        },
    };
    if file.is_some() && beside.is_none() {
        return Ok(Err("its file would be the image's own".to_owned()));
    }
    if let (Some(name), Some(siblings)) = (&beside, this.siblings)
        && !siblings.contains(name)
    {
        return Ok(Err(format!("there is no file {name} beside it")));
    }
    let index = match hdu {
        HduRule::Index(index) => Some(*index),
        HduRule::Name(name) if name != "same" => match beside {
            // Only the headers of the file itself are known.
            Some(_) => Some(image),
            None => this.hdu_named(name),
        },
        _ => Some(image),
    };
    let shape_of = |i: usize| this.hdus.get(i).and_then(|h| h.shape);
    match index {
        None => Ok(Err(format!("the file has no such unit {hdu:?}"))),
        Some(index) if beside.is_none() && shape_of(index).is_none() => Ok(Err(format!("unit {index} is no image"))),
        Some(index) if beside.is_none() && shape_of(index) != shape_of(image) => {
            let reason =
                format!("unit {index} is {:?} and the image {:?} (rows, columns)", shape_of(index), shape_of(image));
            Err(at.translator.field(this, field, None, reason))
        }
        Some(hdu) => Ok(Ok(FitsPlane { file: beside, hdu })),
    }
}

/// Evaluates fields and names them in errors.
struct Evaluator<'a> {
    translator: &'a Translator,
    scope: &'a FileScope<'a>,
}

impl Evaluator<'_> {
    fn error(&self, field: &'static str, expression: &HeaderExpression, reason: String) -> CameraError {
        self.translator.field(self.scope.file, field, Some(expression), reason)
    }

    fn value(&self, field: &'static str, expression: &HeaderExpression) -> Result<Value, CameraError> {
        expression.evaluate(self.scope).map_err(|e| self.error(field, expression, e.to_string()))
    }

    fn text(&self, field: &'static str, expression: &HeaderExpression) -> Result<String, CameraError> {
        self.value(field, expression).map(|v| v.to_string())
    }

    /// A value that is read by `read`.
    fn checked<T>(
        &self,
        field: &'static str,
        expression: &HeaderExpression,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, CameraError> {
        let value = self.value(field, expression)?;
        read(&value).ok_or_else(|| {
            self.error(field, expression, format!("expected {expected}, found {} \"{value}\"", value.kind()))
        })
    }

    fn number(&self, field: &'static str, expression: &HeaderExpression) -> Result<f64, CameraError> {
        self.checked(field, expression, "a finite number", |v| v.as_f64().filter(|v| v.is_finite()))
    }

    /// `None` where the expression or something in it is missing.
    fn optional(
        &self,
        field: &'static str,
        expression: Option<&HeaderExpression>,
    ) -> Result<Option<Value>, CameraError> {
        let Some(expression) = expression else { return Ok(None) };
        match expression.evaluate(self.scope) {
            Ok(value) => Ok(Some(value)),
            Err(EvaluateError::Missing { .. }) => Ok(None),
            Err(e) => Err(self.error(field, expression, e.to_string())),
        }
    }

    /// A value out of range is left out with a warning: a wrong seeing is no reason to turn an image away.
    fn optional_number(
        &self,
        field: &'static str,
        expression: Option<&HeaderExpression>,
        sensible: impl Fn(f64) -> bool,
    ) -> Result<Option<f64>, CameraError> {
        let Some(value) = self.optional(field, expression)? else { return Ok(None) };
        let number = value.as_f64().filter(|v| sensible(*v));
        if number.is_none() {
            self.scope.warnings.borrow_mut().push(format!("{field} \"{value}\" makes no sense and is left out"));
        }
        Ok(number)
    }

    fn holds(&self, field: &'static str, condition: Option<&HeaderExpression>) -> Result<bool, CameraError> {
        match condition {
            None => Ok(true),
            Some(condition) => self.checked(field, condition, "true or false", |v| match v {
                Value::Bool(b) => Some(*b),
                _ => None,
            }),
        }
    }
}
