//! The celestial WCS keywords of a FITS header, read and written.

use super::distortion::{Distortion, SIP_MAX_ORDER, Sip, TPV_TERMS, Tpv, TpvAxis};
use super::pole::{default_lonpole, sincos_deg};
use super::polynomial::Polynomial;
use super::projection::{Projection, ZPN_TERMS};
use super::wcs::Parameters;
use super::{CelestialFrame, Header, HeaderError, WcsError};

/// `PVi_m` of one axis, by `m`, in no order.
type Pv = Vec<(usize, f64)>;

pub(super) fn read(header: &Header) -> Result<Parameters, WcsError> {
    let Axes { lon, lat, code, sip_suffix } = Axes::read(header)?;
    refuse_others(header, lon, lat)?;
    let frame = frame(header)?;
    let crval = [number(header, &format!("CRVAL{lon}"))?, number(header, &format!("CRVAL{lat}"))?];
    latitude(&format!("CRVAL{lat}"), crval[1])?;
    let crpix = [number(header, "CRPIX1")?, number(header, "CRPIX2")?];
    let cd = matrix(header, lon, lat)?;

    let (pv_lon, pv_lat) = (pv(header, lon)?, pv(header, lat)?);
    let sip = sip(header)?;
    let has_sip = sip.is_some();
    let (projection, tpv) = match code.as_str() {
        "TAN" => (Projection::Tan, !has_sip && !sip_suffix && is_scamp(&pv_lon, &pv_lat)),
        "TPV" if has_sip => {
            let reason =
                "A_ORDER stands beside a TPV projection; a WCS has one distortion, SIP or TPV: remove the other";
            return Err(WcsError::Unsupported { keyword: format!("CTYPE{lon}"), reason });
        }
        "TPV" => (Projection::Tan, true),
        "STG" => (Projection::Stg, false),
        "ZPN" => (Projection::Zpn(zpn(lat, &pv_lat)?), false),
        "CEA" => (Projection::Cea(lambda(lat, &pv_lat)?), false),
        _ => return Err(WcsError::UnknownProjection { keyword: format!("CTYPE{lon}"), code }),
    };
    // Terms of a TPV, and what is left of them beside SIP, are no parameters of the pole.
    let pv_pole =
        if code == "TPV" || (code == "TAN" && is_scamp(&pv_lon, &pv_lat)) { Pv::new() } else { pv_lon.clone() };
    let find = |m: usize| pv_pole.iter().find(|(n, _)| *n == m).map(|(_, value)| *value);
    if find(0).is_some_and(|offset| offset != 0.0) {
        let reason = "moves the reference point away from the plane's origin, which is not built";
        return Err(WcsError::Unsupported { keyword: format!("PV{lon}_0"), reason });
    }
    let natural = projection.reference();
    let reference = [find(1).unwrap_or(natural[0]), find(2).unwrap_or(natural[1])];
    latitude(&format!("PV{lon}_2"), reference[1])?;
    let pole = |m: usize, keyword: &str, default: f64| match find(m) {
        Some(value) => Ok(value),
        None if header.contains(keyword) => number(header, keyword),
        None => Ok(default),
    };
    let distortion = match sip {
        Some(sip) => Distortion::Sip(Box::new(sip)),
        None if tpv => Distortion::Tpv(Box::new(Tpv { lon: tpv_axis(lon, &pv_lon)?, lat: tpv_axis(lat, &pv_lat)? })),
        None => Distortion::None,
    };
    Ok(Parameters {
        crpix,
        cd,
        crval,
        reference,
        lonpole: pole(3, "LONPOLE", default_lonpole(crval[1], reference))?,
        latpole: pole(4, "LATPOLE", 90.0)?,
        projection,
        distortion,
        frame,
        lat_first: lat == 1,
    })
}

pub(super) fn write(wcs: &Parameters) -> Header {
    let (lon, lat) = if wcs.lat_first { (2, 1) } else { (1, 2) };
    let (code, suffix) = match (&wcs.projection, &wcs.distortion) {
        (_, Distortion::Tpv(_)) => ("TPV", ""),
        (Projection::Tan, distortion) => ("TAN", sip_suffix(distortion)),
        (Projection::Stg, distortion) => ("STG", sip_suffix(distortion)),
        (Projection::Zpn(_), distortion) => ("ZPN", sip_suffix(distortion)),
        (Projection::Cea(_), distortion) => ("CEA", sip_suffix(distortion)),
    };
    let mut header = Header::default();
    header.set_commented("WCSAXES", 2_i64, "number of WCS axes");
    match wcs.frame {
        CelestialFrame::Icrs => header.set("RADESYS", "ICRS"),
        CelestialFrame::Fk5 => {
            header.set("RADESYS", "FK5");
            header.set("EQUINOX", 2000.0);
        }
    }
    for axis in [1, 2] {
        let (name, row) = if axis == lon { ("RA---", 0) } else { ("DEC--", 1) };
        header.set(&format!("CTYPE{axis}"), format!("{name}{code}{suffix}"));
        header.set(&format!("CUNIT{axis}"), "deg");
        header.set_commented(&format!("CRPIX{axis}"), wcs.crpix[axis - 1], "reference pixel, first pixel is 1");
        header.set(&format!("CRVAL{axis}"), wcs.crval[row]);
        for pixel in [1, 2] {
            header.set(&format!("CD{axis}_{pixel}"), wcs.cd[row][pixel - 1]);
        }
    }
    header.set_commented("LONPOLE", wcs.lonpole, "native longitude of the celestial pole");
    header.set_commented("LATPOLE", wcs.latpole, "native latitude of the celestial pole");
    if wcs.reference.map(f64::to_bits) != wcs.projection.reference().map(f64::to_bits) {
        header.set(&format!("PV{lon}_1"), wcs.reference[0]);
        header.set(&format!("PV{lon}_2"), wcs.reference[1]);
    }
    match &wcs.projection {
        Projection::Zpn(coefficients) => {
            for (m, c) in coefficients.iter().enumerate() {
                header.set(&format!("PV{lat}_{m}"), *c);
            }
        }
        Projection::Cea(lambda) => header.set(&format!("PV{lat}_1"), *lambda),
        Projection::Tan | Projection::Stg => {}
    }
    match &wcs.distortion {
        Distortion::None => {}
        Distortion::Sip(sip) => {
            write_sip(&mut header, "A", &sip.a);
            write_sip(&mut header, "B", &sip.b);
            if let Some((ap, bp)) = &sip.guess {
                write_sip(&mut header, "AP", ap);
                write_sip(&mut header, "BP", bp);
            }
        }
        Distortion::Tpv(tpv) => {
            for (axis, terms) in [(lon, tpv.lon.terms()), (lat, tpv.lat.terms())] {
                for (m, c) in terms {
                    header.set(&format!("PV{axis}_{m}"), c);
                }
            }
        }
    }
    header
}

fn sip_suffix(distortion: &Distortion) -> &'static str {
    if matches!(distortion, Distortion::Sip(_)) { "-SIP" } else { "" }
}

fn write_sip(header: &mut Header, name: &str, polynomial: &Polynomial) {
    header.set(&format!("{name}_ORDER"), i64::from(polynomial.order()));
    for (p, q, c) in polynomial.terms().filter(|(_, _, c)| *c != 0.0) {
        header.set(&format!("{name}_{p}_{q}"), c);
    }
}

/// Which axis is which, and the projection both name.
struct Axes {
    lon: usize,
    lat: usize,
    code: String,
    sip_suffix: bool,
}

impl Axes {
    fn read(header: &Header) -> Result<Self, WcsError> {
        let ctype = [header.str("CTYPE1")?, header.str("CTYPE2")?].map(|c| c.trim().to_ascii_uppercase());
        let not_equatorial = || WcsError::NotEquatorial { ctype1: ctype[0].clone(), ctype2: ctype[1].clone() };
        let split = |c: &str| {
            let (kind, code) = c.split_once('-').unwrap_or((c, ""));
            (kind.to_owned(), code.trim_start_matches('-').to_owned())
        };
        let [(kind1, code1), (kind2, code2)] = [split(&ctype[0]), split(&ctype[1])];
        let (lon, lat) = match (kind1.as_str(), kind2.as_str()) {
            ("RA", "DEC") => (1, 2),
            ("DEC", "RA") => (2, 1),
            _ => return Err(not_equatorial()),
        };
        if code1 != code2 {
            let reason = "differs in its projection from that of the other axis";
            return Err(WcsError::Unsupported { keyword: "CTYPE2".to_owned(), reason });
        }
        let sip_suffix = code1.ends_with("-SIP");
        let code = code1.strip_suffix("-SIP").unwrap_or(&code1).to_owned();
        Ok(Self { lon, lat, code, sip_suffix })
    }
}

/// Refuses units and corrections that would change positions if they were passed over in silence.
fn refuse_others(header: &Header, lon: usize, lat: usize) -> Result<(), WcsError> {
    for axis in [lon, lat] {
        let keyword = format!("CUNIT{axis}");
        if header.contains(&keyword) {
            let value = header.str(&keyword)?.trim();
            if !["", "deg", "degree", "degrees"].iter().any(|known| value.eq_ignore_ascii_case(known)) {
                return Err(WcsError::Unit { keyword, value: value.to_owned() });
            }
        }
    }
    for name in ["CPDIS", "CQDIS", "D2IMDIS"] {
        let asks = |keyword: &String| header.contains(keyword);
        if let Some(keyword) = [1, 2].map(|axis| format!("{name}{axis}")).into_iter().find(asks) {
            return Err(WcsError::Unsupported { keyword, reason: "tabulated and general distortions are not read" });
        }
    }
    Ok(())
}

fn frame(header: &Header) -> Result<CelestialFrame, WcsError> {
    let equinox = || -> Result<Option<f64>, WcsError> {
        if !header.contains("EQUINOX") {
            return Ok(None);
        }
        let text = header.str("EQUINOX").ok().and_then(|t| t.trim().trim_start_matches(['J', 'B']).parse().ok());
        text.map_or_else(|| number(header, "EQUINOX"), Ok).map(Some)
    };
    // RADECSYS is the keyword's name of before 2002, still written.
    let keyword = if header.contains("RADESYS") { "RADESYS" } else { "RADECSYS" };
    let named = if header.contains(keyword) { header.str(keyword)?.trim().to_ascii_uppercase() } else { String::new() };
    match named.as_str() {
        "ICRS" => Ok(CelestialFrame::Icrs),
        "" | "FK5" => match equinox()? {
            None if named.is_empty() => Ok(CelestialFrame::Icrs),
            None => Ok(CelestialFrame::Fk5),
            Some(year) if (year - 2000.0).abs() < 1e-6 => Ok(CelestialFrame::Fk5),
            Some(year) => Err(WcsError::Frame { keyword: "EQUINOX".to_owned(), value: year.to_string() }),
        },
        _ => Err(WcsError::Frame { keyword: keyword.to_owned(), value: named }),
    }
}

/// The matrix from pixels to the plane, rows longitude and latitude.
fn matrix(header: &Header, lon: usize, lat: usize) -> Result<[[f64; 2]; 2], WcsError> {
    let has = |name: &str| [1, 2].iter().any(|i| [1, 2].iter().any(|j| header.contains(&format!("{name}{i}_{j}"))));
    let element = |name: &str, i: usize, j: usize, default: f64| number_or(header, &format!("{name}{i}_{j}"), default);
    if has("CD") {
        let row = |i| Ok::<_, WcsError>([element("CD", i, 1, 0.0)?, element("CD", i, 2, 0.0)?]);
        return Ok([row(lon)?, row(lat)?]);
    }
    let (cdelt_lon, cdelt_lat) = (format!("CDELT{lon}"), format!("CDELT{lat}"));
    if has("PC") {
        let row = |i: usize, cdelt: &str| {
            let cdelt = number_or(header, cdelt, 1.0)?;
            let unit = |j: usize| if i == j { 1.0 } else { 0.0 };
            Ok::<_, WcsError>([cdelt * element("PC", i, 1, unit(1))?, cdelt * element("PC", i, 2, unit(2))?])
        };
        return Ok([row(lon, &cdelt_lon)?, row(lat, &cdelt_lat)?]);
    }
    if !header.contains(&cdelt_lon) && !header.contains(&cdelt_lat) {
        // By the standard a pixel would be one degree; no image is meant so.
        return Err(HeaderError::Missing { keyword: "CD1_1".to_owned(), near: None }.into());
    }
    let (cdelt_lon, cdelt_lat) = (number(header, &cdelt_lon)?, number(header, &cdelt_lat)?);
    let (sin, cos) = sincos_deg(number_or(header, &format!("CROTA{lat}"), 0.0)?);
    let (own, cross) = ([cdelt_lon * cos, cdelt_lat * cos], [-cdelt_lat * sin, cdelt_lon * sin]);
    Ok(if lon == 1 { [[own[0], cross[0]], [cross[1], own[1]]] } else { [[cross[0], own[0]], [own[1], cross[1]]] })
}

fn pv(header: &Header, axis: usize) -> Result<Pv, WcsError> {
    let prefix = format!("PV{axis}_");
    let mut found = Pv::new();
    for card in header.cards() {
        let keyword = card.keyword.to_ascii_uppercase();
        let Some(m) = keyword.strip_prefix(&prefix).and_then(|m| m.parse().ok()) else { continue };
        if header.contains(&keyword) && !found.iter().any(|(n, _)| *n == m) {
            found.push((m, number(header, &keyword)?));
        }
    }
    Ok(found)
}

/// Whether the `PV` terms of a TAN are a distortion (SCAMP's way before TPV was registered), not the pole's parameters:
/// an index only TPV knows, or terms on the latitude axis as well, where a TAN has none.
fn is_scamp(pv_lon: &Pv, pv_lat: &Pv) -> bool {
    pv_lon.iter().chain(pv_lat).any(|(m, _)| *m >= 5) || !(pv_lon.is_empty() || pv_lat.is_empty())
}

fn coefficients<const N: usize>(axis: usize, pv: &Pv, reason: &'static str) -> Result<[f64; N], WcsError> {
    let mut dense = [0.0; N];
    for (m, value) in pv {
        match dense.get_mut(*m) {
            Some(c) => *c = *value,
            None => return Err(WcsError::OutOfRange { keyword: format!("PV{axis}_{m}"), value: *value, reason }),
        }
    }
    Ok(dense)
}

fn tpv_axis(axis: usize, pv: &Pv) -> Result<TpvAxis, WcsError> {
    let mut dense: [f64; TPV_TERMS] = coefficients(axis, pv, "TPV knows the terms 0 to 39")?;
    // The default of the convention's text; wcslib takes zero when the keyword is left out.
    if !pv.iter().any(|(m, _)| *m == 1) {
        dense[1] = 1.0;
    }
    Ok(TpvAxis::new(&dense))
}

fn zpn(axis: usize, pv: &Pv) -> Result<Vec<f64>, WcsError> {
    if pv.is_empty() {
        // Radius equals colatitude, as a ZPN without terms is meant.
        return Ok(vec![0.0, 1.0]);
    }
    let dense: [f64; ZPN_TERMS] = coefficients(axis, pv, "ZPN knows the terms 0 to 29")?;
    let end = dense.iter().rposition(|c| *c != 0.0).map_or(0, |last| last + 1);
    match dense.iter().enumerate().skip(1).find(|(_, c)| **c != 0.0) {
        Some((_, c)) if *c > 0.0 => Ok(dense.into_iter().take(end).collect()),
        first => {
            let (m, value) = first.map_or((1, 0.0), |(m, c)| (m, *c));
            let reason =
                "the radius of a ZPN must grow from the pole (the VIRCAM and WFCAM convention sets term 1 to 1)";
            Err(WcsError::OutOfRange { keyword: format!("PV{axis}_{m}"), value, reason })
        }
    }
}

fn lambda(axis: usize, pv: &Pv) -> Result<f64, WcsError> {
    let lambda = pv.iter().find(|(m, _)| *m == 1).map_or(1.0, |(_, value)| *value);
    if lambda > 0.0 && lambda <= 1.0 {
        return Ok(lambda);
    }
    let reason = "lambda of a CEA must be above 0 and at most 1";
    Err(WcsError::OutOfRange { keyword: format!("PV{axis}_1"), value: lambda, reason })
}

fn sip(header: &Header) -> Result<Option<Sip>, WcsError> {
    if !header.contains("A_ORDER") && !header.contains("B_ORDER") {
        return Ok(None);
    }
    let (a, b) = (sip_polynomial(header, "A")?, sip_polynomial(header, "B")?);
    let guess = if header.contains("AP_ORDER") && header.contains("BP_ORDER") {
        Some((sip_polynomial(header, "AP")?, sip_polynomial(header, "BP")?))
    } else {
        None
    };
    Ok(Some(Sip { a, b, guess }))
}

fn sip_polynomial(header: &Header, name: &str) -> Result<Polynomial, WcsError> {
    let keyword = format!("{name}_ORDER");
    let value = header.i64(&keyword)?;
    let order = u8::try_from(value).ok().filter(|order| *order <= SIP_MAX_ORDER).ok_or(WcsError::OutOfRange {
        keyword,
        value: value as f64,
        reason: "the order of a SIP polynomial is 0 to 9",
    })?;
    Polynomial::from_fn(order, |p, q| number_or(header, &format!("{name}_{p}_{q}"), 0.0))
}

fn number(header: &Header, keyword: &str) -> Result<f64, WcsError> {
    finite(keyword, header.f64(keyword)?)
}

fn number_or(header: &Header, keyword: &str, default: f64) -> Result<f64, WcsError> {
    finite(keyword, header.f64_or(keyword, default)?)
}

pub(super) fn finite(keyword: &str, value: f64) -> Result<f64, WcsError> {
    if value.is_finite() { Ok(value) } else { Err(WcsError::NotFinite { keyword: keyword.to_owned(), value }) }
}

pub(super) fn latitude(keyword: &str, value: f64) -> Result<f64, WcsError> {
    if value.abs() <= 90.0 {
        return Ok(value);
    }
    let reason = "a latitude is between -90 and 90 degrees";
    Err(WcsError::OutOfRange { keyword: keyword.to_owned(), value, reason })
}
