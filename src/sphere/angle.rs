//! [`Angle`]: an angle that knows its unit.

use std::f64::consts::{PI, TAU};
use std::fmt::{self, Write as _};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{SphereError, wrap};

/// An angle. Its unit is named where it is made and where it is read, and nowhere else.
///
/// ```
/// use bunter::Angle;
///
/// let radius = Angle::from_arcmin(30.0);
/// assert_eq!(radius.degrees(), 0.5);
/// assert_eq!("10h00m24s".parse::<Angle>()?.to_string(), "150.1 deg");
/// assert_eq!("-0:30:00".parse::<Angle>().unwrap_err().to_string(), "no angle `-0:30:00`: a unit is missing \
///     (`12.5deg`, `3arcmin`, `5.2arcsec`, `0.1rad`, `12h30m00s`, `-5d12m00s`; `Angle::from_hms` and `from_dms` read colons)");
/// assert_eq!(Angle::from_dms("-0:30:00")?, -radius);
/// assert_eq!(Angle::from_hms("10:00:24")?.to_hms(2), "10:00:24.00");
/// assert_eq!(Angle::from_degrees(-90.0).normalized(), Angle::from_degrees(270.0));
/// # Ok::<(), bunter::SphereError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Angle {
    radians: f64,
}

const ARCMIN: f64 = 60.0;
const ARCSEC: f64 = 3600.0;

impl Angle {
    /// No angle.
    pub const ZERO: Self = Self { radians: 0.0 };
    /// A quarter of a turn.
    pub const QUARTER: Self = Self { radians: 0.5 * PI };
    /// Half a turn.
    pub const HALF: Self = Self { radians: PI };
    /// A whole turn.
    pub const TURN: Self = Self { radians: TAU };

    /// From radians.
    pub const fn from_radians(radians: f64) -> Self {
        Self { radians }
    }

    /// From degrees.
    pub const fn from_degrees(degrees: f64) -> Self {
        Self { radians: degrees.to_radians() }
    }

    /// From minutes of arc.
    pub const fn from_arcmin(minutes: f64) -> Self {
        Self::from_degrees(minutes / ARCMIN)
    }

    /// From seconds of arc.
    pub const fn from_arcsec(seconds: f64) -> Self {
        Self::from_degrees(seconds / ARCSEC)
    }

    /// From hours of 15 degrees.
    pub const fn from_hours(hours: f64) -> Self {
        Self::from_degrees(15.0 * hours)
    }

    /// Reads hours, minutes and seconds: `10:00:24.5`, `10 00 24.5`, `10h00m24.5s`.
    ///
    /// # Errors
    /// [`SphereError::NoAngle`].
    pub fn from_hms(text: &str) -> Result<Self, SphereError> {
        sexagesimal(text, 'h').map(Self::from_hours)
    }

    /// Reads degrees, minutes and seconds: `-5:12:00.5`, `-5 12 00.5`, `-5d12m00.5s`, `-5°12′00.5″`.
    ///
    /// # Errors
    /// [`SphereError::NoAngle`].
    pub fn from_dms(text: &str) -> Result<Self, SphereError> {
        sexagesimal(text, 'd').map(Self::from_degrees)
    }

    /// In radians.
    pub const fn radians(self) -> f64 {
        self.radians
    }

    /// In degrees.
    pub const fn degrees(self) -> f64 {
        self.radians.to_degrees()
    }

    /// In minutes of arc.
    pub const fn arcmin(self) -> f64 {
        self.degrees() * ARCMIN
    }

    /// In seconds of arc.
    pub const fn arcsec(self) -> f64 {
        self.degrees() * ARCSEC
    }

    /// In hours of 15 degrees.
    pub const fn hours(self) -> f64 {
        self.degrees() / 15.0
    }

    /// `hh:mm:ss` with so many digits behind the point; 24 hours are 0.
    pub fn to_hms(self, digits: usize) -> String {
        split(self.normalized().hours(), digits, Some(24)).trim_start_matches('+').to_owned()
    }

    /// `+dd:mm:ss` with so many digits behind the point, and always a sign.
    pub fn to_dms(self, digits: usize) -> String {
        split(self.degrees(), digits, None)
    }

    /// The same direction in `[0, 2 pi)`.
    #[must_use]
    pub fn normalized(self) -> Self {
        Self { radians: wrap(self.radians) }
    }

    /// The same direction in `[-pi, pi)`.
    #[must_use]
    pub fn signed(self) -> Self {
        let radians = wrap(self.radians);
        Self { radians: if radians >= PI { radians - TAU } else { radians } }
    }

    /// The angle without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self { radians: self.radians.abs() }
    }

    /// Whether it is a number, and no infinite one.
    pub const fn is_finite(self) -> bool {
        self.radians.is_finite()
    }

    /// Sine; the same last bit on every machine.
    pub fn sin(self) -> f64 {
        libm::sin(self.radians)
    }

    /// Cosine; the same last bit on every machine.
    pub fn cos(self) -> f64 {
        libm::cos(self.radians)
    }
}

/// `+dd:mm:ss.sss`; rounded as a whole, so that no minute has 60 seconds. Of `around` units none are left.
fn split(value: f64, digits: usize, around: Option<u64>) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let digits = digits.min(9);
    let unit = 10_f64.powi(digits as i32);
    let parts = (value.abs() * ARCSEC * unit).round() as u64;
    let (scale, sign) = (unit as u64, if value < 0.0 && parts > 0 { '-' } else { '+' });
    let (seconds, fraction) = (parts / scale, parts % scale);
    let first = seconds / 3600;
    let first = around.map_or(first, |around| first % around);
    let mut text = format!("{sign}{first:02}:{:02}:{:02}", seconds / 60 % 60, seconds % 60);
    if digits > 0 {
        let _ = write!(text, ".{fraction:0digits$}");
    }
    text
}

/// Three numbers (the last ones may be left out) between colons, blanks or the letters `unit`, `m`, `s`.
fn sexagesimal(text: &str, unit: char) -> Result<f64, SphereError> {
    let bad = |problem: &str| SphereError::NoAngle { text: text.to_owned(), problem: problem.to_owned() };
    let trimmed = text.trim();
    let (negative, rest) = match trimmed.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    // Each letter ends its own number only.
    let marks: [&[char]; 3] = match unit {
        'h' => [&['h', 'H'], &['m', 'M', '\''], &['s', 'S', '"']],
        _ => [&['d', 'D', '°'], &['m', 'M', '\'', '′'], &['s', 'S', '"', '″']],
    };
    let mut values = [0.0; 3];
    let mut left = rest.trim_start();
    let mut whole = true;
    for (i, value) in values.iter_mut().enumerate() {
        if left.is_empty() && i > 0 {
            break;
        }
        let end = left.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(left.len());
        let number = &left[..end];
        if !whole {
            return Err(bad("only the last number may have a fraction"));
        }
        *value = number.parse().map_err(|_| bad("expected up to three numbers such as `12:34:56.7`"))?;
        whole = !number.contains('.');
        if i > 0 && *value >= 60.0 {
            return Err(bad("minutes and seconds are below 60"));
        }
        let behind = left[end..].trim_start();
        left = behind
            .strip_prefix(marks[i])
            .or_else(|| behind.strip_prefix(':').filter(|_| i < 2))
            .unwrap_or(behind)
            .trim_start();
    }
    if !left.is_empty() {
        return Err(bad("something is left behind the seconds"));
    }
    let value = values[0] + values[1] / ARCMIN + values[2] / ARCSEC;
    Ok(if negative { -value } else { value })
}

/// Degrees, to the last digit: `150.1 deg`.
impl fmt::Display for Angle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(digits) = f.precision() {
            return write!(f, "{:.digits$} deg", self.degrees());
        }
        // The shortest number of degrees that is this angle.
        let degrees = self.degrees();
        let short = (12..16).map(|digits| format!("{degrees:.digits$e}")).find_map(|text| {
            let value: f64 = text.parse().ok()?;
            (value.to_radians().to_bits() == self.radians.to_bits()).then_some(value)
        });
        write!(f, "{} deg", short.unwrap_or(degrees))
    }
}

impl FromStr for Angle {
    type Err = SphereError;

    /// A number and its unit (`deg`, `d`, `°`, `arcmin`, `'`, `arcsec`, `"`, `mas`, `rad`, `h`), or `12h34m56.7s`, `-5d12m00s`.
    fn from_str(text: &str) -> Result<Self, SphereError> {
        let bad = |problem: &str| SphereError::NoAngle { text: text.to_owned(), problem: problem.to_owned() };
        let trimmed = text.trim();
        let number = |unit: &str| trimmed.strip_suffix(unit).and_then(|t| t.trim_end().parse::<f64>().ok());
        let units: [(&str, f64); 15] = [
            ("degrees", 1.0),
            ("degree", 1.0),
            ("deg", 1.0),
            ("d", 1.0),
            ("°", 1.0),
            ("arcmin", 1.0 / ARCMIN),
            ("'", 1.0 / ARCMIN),
            ("′", 1.0 / ARCMIN),
            ("milliarcsec", 1e-3 / ARCSEC),
            ("mas", 1e-3 / ARCSEC),
            ("arcsec", 1.0 / ARCSEC),
            ("\"", 1.0 / ARCSEC),
            ("″", 1.0 / ARCSEC),
            ("hours", 15.0),
            ("h", 15.0),
        ];
        let value = match number("radians").or_else(|| number("rad")) {
            Some(radians) => Some(Self { radians }),
            None => units.iter().find_map(|(unit, degrees)| {
                // 30 arcmin are half a degree: dividing rounds once.
                let per = (1.0 / degrees).round();
                number(unit).map(|v| Self::from_degrees(if *degrees < 1.0 { v / per } else { v * degrees }))
            }),
        };
        if let Some(angle) = value {
            return if angle.is_finite() { Ok(angle) } else { Err(bad("it is not finite")) };
        }
        if trimmed.contains(['h', 'H']) {
            return Self::from_hms(trimmed);
        }
        if trimmed.contains(['d', 'D', '°']) {
            return Self::from_dms(trimmed);
        }
        Err(bad(
            "a unit is missing (`12.5deg`, `3arcmin`, `5.2arcsec`, `0.1rad`, `12h30m00s`, `-5d12m00s`; `Angle::from_hms` and \
             `from_dms` read colons)",
        ))
    }
}

impl Add for Angle {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { radians: self.radians + other.radians }
    }
}

impl AddAssign for Angle {
    fn add_assign(&mut self, other: Self) {
        self.radians += other.radians;
    }
}

impl Sub for Angle {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { radians: self.radians - other.radians }
    }
}

impl SubAssign for Angle {
    fn sub_assign(&mut self, other: Self) {
        self.radians -= other.radians;
    }
}

impl Neg for Angle {
    type Output = Self;

    fn neg(self) -> Self {
        Self { radians: -self.radians }
    }
}

impl Mul<f64> for Angle {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self { radians: self.radians * factor }
    }
}

impl Mul<Angle> for f64 {
    type Output = Angle;

    fn mul(self, angle: Angle) -> Angle {
        angle * self
    }
}

impl Div<f64> for Angle {
    type Output = Self;

    fn div(self, divisor: f64) -> Self {
        Self { radians: self.radians / divisor }
    }
}

/// The ratio of two angles.
impl Div for Angle {
    type Output = f64;

    fn div(self, other: Self) -> f64 {
        self.radians / other.radians
    }
}

impl Sum for Angle {
    fn sum<I: Iterator<Item = Self>>(angles: I) -> Self {
        angles.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_meet() {
        for text in [
            "90deg",
            "90 degrees",
            "90d",
            "90°",
            "5400arcmin",
            "5400'",
            "324000 arcsec",
            "324000\"",
            "6h",
            "6h00m00s",
            "90d0m",
        ] {
            assert_eq!(text.parse::<Angle>().unwrap(), Angle::QUARTER, "{text}");
        }
        assert_eq!("0.25rad".parse::<Angle>().unwrap(), Angle::from_radians(0.25));
        assert!(("250mas".parse::<Angle>().unwrap().arcsec() - 0.25).abs() < 1e-15);
        assert_eq!(Angle::from_hms("6 0 0").unwrap(), Angle::QUARTER);
        assert!((Angle::from_dms("-00:00:01.5").unwrap().arcsec() + 1.5).abs() < 1e-12);
        assert_eq!(Angle::from_dms("\u{2212}5°30′").unwrap(), Angle::from_degrees(-5.5));
        assert_eq!((Angle::TURN / 4.0, Angle::TURN / Angle::HALF), (Angle::QUARTER, 2.0));
        assert_eq!([Angle::QUARTER; 3].into_iter().sum::<Angle>() - 2.0 * Angle::QUARTER, Angle::QUARTER);
        assert_eq!(Angle::from_degrees(270.0).signed(), -Angle::QUARTER);
        assert!((Angle::QUARTER.sin(), Angle::HALF.cos()) == (1.0, -1.0) && Angle::QUARTER < Angle::HALF);
    }

    #[test]
    fn rounding_carries() {
        assert_eq!(Angle::from_degrees(59.999_999_9 / 3600.0).to_dms(2), "+00:01:00.00");
        assert_eq!(Angle::from_hours(23.999_999_999).to_hms(1), "00:00:00.0");
        assert_eq!(Angle::from_degrees(-1e-12).to_dms(0), "+00:00:00");
        assert_eq!(Angle::from_degrees(-0.5).to_dms(0), "-00:30:00");
        assert_eq!(format!("{:.2} {}", Angle::from_degrees(1.239), Angle::from_degrees(2.2)), "1.24 deg 2.2 deg");
        assert_eq!(Angle::from_radians(f64::NAN).to_dms(2), "NaN");
    }

    #[test]
    fn what_is_no_angle_is_told() {
        for text in [
            "",
            "12",
            "deg",
            "1:2:3",
            "12 parsec",
            "NaN deg",
            "inf rad",
            "1h60m",
            "1h2m3s4",
            "1.5h2m",
            "--5d0m",
            "1d2h",
        ] {
            let error = text.parse::<Angle>().unwrap_err();
            assert!(error.to_string().starts_with(&format!("no angle `{text}`")), "{error}");
        }
        assert!(
            Angle::from_hms("1:2:3:4").is_err() && Angle::from_hms("").is_err() && Angle::from_dms("1h2m").is_err()
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(2), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn texts_read_back(degrees in -720.0..720.0_f64) {
            let angle = Angle::from_degrees(degrees);
            let near = |other: Angle, tolerance: f64| ((other - angle).signed().degrees()).abs() < tolerance;
            prop_assert!(near(angle.to_string().parse().unwrap(), 1e-12));
            prop_assert!(near(Angle::from_dms(&angle.to_dms(6)).unwrap(), 1e-9));
            prop_assert!(near(Angle::from_hms(&angle.to_hms(6)).unwrap(), 1e-8));
            prop_assert!((0.0..TAU).contains(&angle.normalized().radians()));
            prop_assert!((-PI..PI).contains(&angle.signed().radians()));
        }

        #[test]
        fn any_text_is_an_angle_or_an_error(text in "[-+0-9:.hdms °'\"a-c]{0,12}") {
            if let Ok(angle) = text.parse::<Angle>() {
                prop_assert!(angle.is_finite());
            }
            let _ = (Angle::from_hms(&text), Angle::from_dms(&text));
        }
    }
}
