//! Headers, boxes and `Wcs`.

use bunter::{Card, Header, HeaderValue, LonLat, PixelBox, Wcs};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::arrays::{Pair, column, reals, shaped};
use crate::data_id::{integer, kind_of};
use crate::errors::{OrRaise, usage, wrong_type};
use crate::run::run;

/// The header as a dictionary: of repeated keywords the first.
pub(crate) fn header_to_dict<'py>(py: Python<'py>, header: &Header) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for card in header.cards() {
        if !dict.contains(&card.keyword)? {
            dict.set_item(&card.keyword, header_value(py, &card.value)?)?;
        }
    }
    Ok(dict)
}

/// The header as a list of (keyword, value, comment), which says all of it.
pub(crate) fn header_to_list<'py>(py: Python<'py>, header: &Header) -> PyResult<Bound<'py, PyList>> {
    let cards = header.cards().iter().map(|card| {
        let value = header_value(py, &card.value)?;
        PyTuple::new(
            py,
            [PyString::new(py, &card.keyword).into_any(), value, PyString::new(py, &card.comment).into_any()],
        )
    });
    PyList::new(py, cards.collect::<PyResult<Vec<_>>>()?)
}

fn header_value<'py>(py: Python<'py>, value: &HeaderValue) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        HeaderValue::Logical(v) => PyBool::new(py, *v).to_owned().into_any(),
        HeaderValue::Integer(v) => v.into_pyobject(py)?.into_any(),
        HeaderValue::Real(v) => PyFloat::new(py, *v).into_any(),
        HeaderValue::Text(v) => PyString::new(py, v).into_any(),
        HeaderValue::Undefined => py.None().into_bound(py),
    })
}

/// A header of a dictionary, an `astropy.io.fits.Header`, or tuples (keyword, value[, comment]).
pub(crate) fn header(value: &Bound<'_, PyAny>) -> PyResult<Header> {
    let mut header = Header::default();
    let mut push = |keyword: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>, comment: String| -> PyResult<()> {
        let keyword: String = keyword
            .extract()
            .map_err(|_| wrong_type(format!("a header keyword is a text, not {}", kind_of(keyword))))?;
        if !matches!(keyword.as_str(), "" | "COMMENT" | "HISTORY") {
            let value = to_header_value(&keyword, value)?;
            header.push(Card { keyword, value, comment });
        }
        Ok(())
    };
    if value.hasattr("cards")? {
        for card in value.getattr("cards")?.try_iter()? {
            let card = card?;
            push(&card.getattr("keyword")?, &card.getattr("value")?, card.getattr("comment")?.str()?.to_string())?;
        }
    } else if let Ok(dict) = value.cast::<PyDict>() {
        for (keyword, value) in dict.iter() {
            push(&keyword, &value, String::new())?;
        }
    } else {
        let not = || {
            wrong_type(format!(
                "a header is a dictionary or a list of (keyword, value, comment), not {}",
                kind_of(value)
            ))
        };
        for card in value.try_iter().map_err(|_| not())? {
            let card = card?;
            let card = card.cast::<PyTuple>().map_err(|_| not())?;
            match card.len() {
                2 => push(&card.get_item(0)?, &card.get_item(1)?, String::new())?,
                3 => push(&card.get_item(0)?, &card.get_item(1)?, card.get_item(2)?.str()?.to_string())?,
                _ => return Err(not()),
            }
        }
    }
    Ok(header)
}

fn to_header_value(keyword: &str, value: &Bound<'_, PyAny>) -> PyResult<HeaderValue> {
    let wrong = || {
        wrong_type(format!(
            "header keyword `{keyword}`: a number, a text, a boolean or None is needed, not {}",
            kind_of(value)
        ))
    };
    // numpy's scalars are what they hold.
    let plain = if value.hasattr("item")? { value.call_method0("item").map_err(|_| wrong())? } else { value.clone() };
    if plain.is_none() || plain.get_type().name()?.to_str()? == "Undefined" {
        Ok(HeaderValue::Undefined)
    } else if let Ok(v) = plain.cast::<PyBool>() {
        Ok(HeaderValue::Logical(v.is_true()))
    } else if plain.is_instance_of::<PyInt>() {
        Ok(HeaderValue::Integer(integer(&plain, keyword)?))
    } else if let Ok(v) = plain.cast::<PyFloat>() {
        Ok(HeaderValue::Real(v.value()))
    } else if let Ok(v) = plain.extract::<String>() {
        Ok(HeaderValue::Text(v))
    } else {
        Err(wrong())
    }
}

/// `bunter.Box`.
pub(crate) fn box_to_python(py: Python<'_>, b: PixelBox) -> PyResult<Bound<'_, PyAny>> {
    py.import("bunter._box")?.getattr("Box")?.call1((b.x0, b.y0, b.width, b.height))
}

/// A box of anything with four integers `x0, y0, width, height`.
pub(crate) fn pixel_box(value: &Bound<'_, PyAny>) -> PyResult<PixelBox> {
    let not = || wrong_type(format!("a box is four integers (x0, y0, width, height), not {}", kind_of(value)));
    if value.is_instance_of::<PyString>() {
        return Err(not());
    }
    let items: Vec<Bound<'_, PyAny>> = value.try_iter().map_err(|_| not())?.collect::<PyResult<_>>()?;
    let [x0, y0, width, height] = items.as_slice() else { return Err(not()) };
    let start = |v: &Bound<'_, PyAny>, name| {
        let v = integer(v, name)?;
        i32::try_from(v).map_err(|_| usage(format!("`{name}` of the box is {v}, which is no pixel coordinate")))
    };
    let side = |v: &Bound<'_, PyAny>, name| {
        let v = integer(v, name)?;
        let side = u32::try_from(v).ok().filter(|v| *v > 0 && i32::try_from(*v).is_ok());
        side.ok_or_else(|| {
            usage(format!("`{name}` of the box is {v}, but a box has at least one pixel, and at most 2147483647"))
        })
    };
    Ok(PixelBox::new(start(x0, "x0")?, start(y0, "y0")?, side(width, "width")?, side(height, "height")?))
}

/// From zero-based pixel positions to the sky (ICRS) and back, as a FITS header says.
///
/// Reads TAN, STG, ZPN and CEA projections with SIP and TPV distortions; agrees with wcslib (astropy) within 1e-8 pixel. An
/// integer pixel coordinate is the centre of a pixel; the first pixel is 0.
///
/// Parameters
/// ----------
/// header : dict, astropy.io.fits.Header or list of tuple
///     The keywords of the WCS.
///
/// Examples
/// --------
/// >>> wcs = bunter.Wcs({
/// ...     "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0, "CRPIX1": 1.0, "CRPIX2": 1.0,
/// ...     "CD1_1": -5e-5, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 5e-5,
/// ... })
/// >>> ra, dec = wcs.pixel_to_sky([0, 100], [0, 100])
/// >>> dec.round(6)
/// array([2.   , 2.005])
#[pyclass(module = "bunter", name = "Wcs", frozen)]
#[derive(Clone)]
pub(crate) struct PyWcs {
    pub(crate) inner: Wcs,
}

impl From<Wcs> for PyWcs {
    fn from(inner: Wcs) -> Self {
        Self { inner }
    }
}

impl PyWcs {
    /// A `Wcs`, an `astropy.wcs.WCS`, or a header.
    pub(crate) fn of(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(wcs) = value.cast::<Self>() {
            return Ok(wcs.get().clone());
        }
        if value.hasattr("to_header")? && value.hasattr("wcs")? {
            // Without `relax`, astropy leaves distortions out.
            let keywords = PyDict::new(value.py());
            keywords.set_item("relax", true)?;
            return Self::of(&value.call_method("to_header", (), Some(&keywords))?);
        }
        Ok(Self { inner: Wcs::from_header(&header(value)?).or_raise()? })
    }
}

#[pymethods]
impl PyWcs {
    #[new]
    fn new(header: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::of(header)
    }

    /// Sky positions of zero-based pixel positions.
    ///
    /// Parameters
    /// ----------
    /// x, y : float or array_like
    ///     Pixel positions, of shapes that broadcast.
    ///
    /// Returns
    /// -------
    /// ra, dec : float or numpy.ndarray
    ///     Degrees, ICRS; NaN where there is no position.
    fn pixel_to_sky<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let pair = Pair::new(reals(x, "x")?, reals(y, "y")?, ["x", "y"])?;
        let ((x, y), wcs) = (pair.slices()?, &self.inner);
        let (lon, lat) = run(py, || {
            let (mut lon, mut lat) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            wcs.pixels_to_sky(x, y, &mut lon, &mut lat)?;
            for v in lon.iter_mut().chain(&mut lat) {
                *v = v.to_degrees();
            }
            Ok::<_, bunter::WcsError>((lon, lat))
        })?;
        Ok((shaped(py, lon, &pair.shape)?, shaped(py, lat, &pair.shape)?))
    }

    /// Zero-based pixel positions of sky positions.
    ///
    /// Parameters
    /// ----------
    /// ra, dec : float, array_like or astropy.units.Quantity
    ///     Degrees, ICRS, of shapes that broadcast.
    ///
    /// Returns
    /// -------
    /// x, y : float or numpy.ndarray
    ///     Pixel positions; NaN where there is none.
    fn sky_to_pixel<'py>(
        &self,
        py: Python<'py>,
        ra: &Bound<'py, PyAny>,
        dec: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let pair = Pair::sky(ra, dec)?;
        let ((ra, dec), wcs) = (pair.slices()?, &self.inner);
        let (x, y) = run(py, || {
            let positions = ra
                .iter()
                .zip(dec)
                .map(|(ra, dec)| wcs.sky_to_pixel(LonLat::from_degrees(*ra, *dec)).unwrap_or((f64::NAN, f64::NAN)));
            Ok::<(Vec<f64>, Vec<f64>), bunter::WcsError>(positions.unzip())
        })?;
        Ok((shaped(py, x, &pair.shape)?, shaped(py, y, &pair.shape)?))
    }

    /// Side of a square of a pixel's area at a position (the reference pixel unless told), arcsec; NaN where there is none.
    #[pyo3(signature = (x=None, y=None))]
    fn pixel_scale(&self, x: Option<f64>, y: Option<f64>) -> f64 {
        let [x0, y0] = self.inner.reference_pixel();
        let scale = self.inner.pixel_scale(x.unwrap_or(x0), y.unwrap_or(y0));
        scale.unwrap_or(f64::NAN)
    }

    /// The keywords of a FITS header, as a dictionary.
    fn to_header<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        header_to_dict(py, &self.inner.to_header())
    }

    /// The same as an `astropy.wcs.WCS`. Needs astropy.
    fn to_astropy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("bunter._convert")?.call_method1("wcs_to_astropy", (slf,))
    }

    /// The corners of a box of pixels on the sky: ``(ra, dec)``, four each, degrees.
    fn corners<'py>(
        &self,
        py: Python<'py>,
        bbox: &Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let corners = self.inner.corners(pixel_box(bbox)?);
        let corners = corners.ok_or_else(|| usage("a corner of the box has no position on the sky"))?;
        let (ra, dec) = corners.iter().map(|p| (p.lon_deg(), p.lat_deg())).unzip();
        Ok((column::<f64>(py, ra), column::<f64>(py, dec)))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().inner == self.inner)
    }

    fn __repr__(&self) -> String {
        let header = self.inner.to_header();
        let sky = self.inner.reference_sky();
        let [x, y] = self.inner.reference_pixel();
        let kind = header.str("CTYPE1").unwrap_or_default().to_owned();
        format!("Wcs({kind}, ({:.6}, {:.6}) deg at pixel ({x:.2}, {y:.2}))", sky.lon_deg(), sky.lat_deg())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let cards = header_to_list(py, &self.inner.to_header())?;
        Ok((py.get_type::<Self>().into_any(), PyTuple::new(py, [cards])?))
    }
}
