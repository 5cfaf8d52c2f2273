//! [`Radial`]: how far from the boresight a point of the focal plane sees.

/// One radian in arcseconds.
const ARCSEC: f64 = std::f64::consts::PI / 648_000.0;
/// How far beyond the outermost corner the law is said to hold, where it goes on rising that far.
const MARGIN: f64 = 1.1;
/// How often an interval is halved to prove that a polynomial rises in it.
const DEPTH: u32 = 18;

/// From the distance to the optical axis in the focal plane (mm) to the gnomonic radius on the sky (radians), and back.
///
/// The law is proven to rise over the whole field when it is made, so that its inverse exists.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Radial {
    law: Law,
    /// The largest distance for which the law holds, mm.
    limit_mm: f64,
    /// The gnomonic radius there.
    limit_rad: f64,
}

/// The form in which a law is given.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Law {
    /// Radius (radians) as a polynomial of mm.
    Sky(Rising),
    /// `scale` (radians a mm) times mm as a polynomial of the angle (radians): FITS `ZPN`.
    Zpn { rising: Rising, scale: f64 },
}

/// A polynomial without constant term, `p(t) = t (c1 + c2 t + …)`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rising {
    /// `c1, c2, …`
    coefficients: Box<[f64]>,
    /// `c1, c3, …` where all others are zero: a polynomial of the square, which wants no root.
    odd: Option<Box<[f64]>>,
}

impl Rising {
    fn new(coefficients: &[f64], scale: f64) -> Result<Self, String> {
        let [zero, first, ..] = coefficients else {
            return Err(format!("needs at least two coefficients, has {}", coefficients.len()));
        };
        if let Some(k) = coefficients.iter().position(|c| !(c * scale).is_finite()) {
            return Err(format!("coefficient {k} is {}", coefficients[k]));
        }
        if *zero != 0.0 {
            return Err(format!("coefficient 0 is {zero}: the optical axis must see the boresight"));
        }
        if *first * scale <= 0.0 {
            return Err(format!("coefficient 1 is {first}: it must be positive (mirror images are made by `flip_x`)"));
        }
        let rest: Box<[f64]> = coefficients[1..].iter().map(|c| c * scale).collect();
        let is_odd = rest.iter().skip(1).step_by(2).all(|c| *c == 0.0);
        let odd = is_odd.then(|| rest.iter().step_by(2).copied().collect());
        Ok(Self { coefficients: rest, odd })
    }

    /// `p(t) / t` from `t * t`.
    #[inline]
    fn factor(&self, t2: f64) -> f64 {
        let horner = |all: &[f64], t: f64| all.iter().rev().fold(0.0, |sum, c| sum * t + c);
        match &self.odd {
            Some(odd) => horner(odd, t2),
            None => horner(&self.coefficients, t2.sqrt()),
        }
    }

    fn value(&self, t: f64) -> f64 {
        t * self.factor(t * t)
    }

    fn slope(&self, t: f64) -> f64 {
        self.coefficients.iter().enumerate().rev().fold(0.0, |sum, (k, c)| sum * t + (k + 1) as f64 * c)
    }

    /// Whether the slope is positive in all of `[low, high]`; on the way there the first place found where it is not.
    fn rises(&self, low: f64, high: f64, depth: u32) -> Result<(), f64> {
        // Interval arithmetic: a term is least at one of the ends.
        let least: f64 = self
            .coefficients
            .iter()
            .enumerate()
            .map(|(k, c)| (k + 1) as f64 * c * if *c > 0.0 { low } else { high }.powi(k as i32))
            .sum();
        if least > 0.0 {
            return Ok(());
        }
        let middle = 0.5 * (low + high);
        if self.slope(middle) <= 0.0 || depth == 0 {
            return Err(middle);
        }
        self.rises(low, middle, depth - 1)?;
        self.rises(middle, high, depth - 1)
    }

    /// The `t` in `[0, limit]` with `p(t) = value`.
    fn solve(&self, value: f64, limit: f64) -> f64 {
        let (mut low, mut high) = (0.0, limit);
        let mut t = (value / self.coefficients[0]).clamp(0.0, limit);
        // Newton's steps where they stay in the bracket, which shrinks each time; halves otherwise.
        for _ in 0..80 {
            let error = self.value(t) - value;
            if error == 0.0 {
                break;
            }
            if error > 0.0 {
                high = t;
            } else {
                low = t;
            }
            let step = t - error / self.slope(t);
            let next = if step > low && step < high { step } else { 0.5 * (low + high) };
            if (next - t).abs() <= 4e-16 * t {
                return next;
            }
            t = next;
        }
        t
    }
}

impl Radial {
    /// `plate_scale` arcsec a mm times a polynomial of mm.
    pub(super) fn relative(plate_scale: f64, coefficients: &[f64]) -> Result<Law, String> {
        check_scale(plate_scale)?;
        Ok(Law::Sky(Rising::new(coefficients, plate_scale * ARCSEC)?))
    }

    /// A polynomial of mm with coefficients in radians.
    pub(super) fn radians(coefficients: &[f64]) -> Result<Law, String> {
        Ok(Law::Sky(Rising::new(coefficients, 1.0)?))
    }

    /// FITS `ZPN`: coefficients `PV2_0, PV2_1, …`.
    pub(super) fn zpn(plate_scale: f64, coefficients: &[f64]) -> Result<Law, String> {
        check_scale(plate_scale)?;
        Ok(Law::Zpn { rising: Rising::new(coefficients, 1.0)?, scale: plate_scale * ARCSEC })
    }

    /// The law for a field that reaches `field_mm` from the axis.
    pub(super) fn new(law: Law, field_mm: f64) -> Result<Self, String> {
        if !(field_mm > 0.0 && field_mm.is_finite()) {
            return Err(format!("the outermost corner of the detectors is {field_mm} mm from the axis"));
        }
        for margin in [MARGIN, 1.03, 1.0 + 1e-9] {
            let limit_mm = margin * field_mm;
            match law.limit(limit_mm) {
                Ok(limit_rad) => return Ok(Self { law, limit_mm, limit_rad }),
                Err(reason) if margin < 1.01 => return Err(reason),
                Err(_) => {}
            }
        }
        Err("the distortion cannot be followed over the field".to_owned())
    }

    /// The largest distance from the axis for which the law holds, mm.
    pub(super) fn limit_mm(&self) -> f64 {
        self.limit_mm
    }

    /// Gnomonic radius divided by mm, from the square of the mm.
    #[inline]
    pub(super) fn outward(&self, r2: f64) -> f64 {
        match &self.law {
            Law::Sky(rising) => rising.factor(r2),
            Law::Zpn { rising, scale } => {
                let plane = r2.sqrt() * scale;
                if plane == 0.0 {
                    return scale / rising.coefficients[0];
                }
                let angle = rising.solve(plane, libm::atan(self.limit_rad) * (1.0 + 1e-12));
                libm::tan(angle) / r2.sqrt()
            }
        }
    }

    /// Mm divided by gnomonic radius, from the radius; `None` beyond the limit.
    #[inline]
    pub(super) fn inward(&self, radius: f64) -> Option<f64> {
        // The limit itself is in.
        if radius.is_nan() || radius > self.limit_rad {
            return None;
        }
        Some(match &self.law {
            Law::Sky(rising) if rising.coefficients.len() == 1 || radius == 0.0 => 1.0 / rising.coefficients[0],
            Law::Sky(rising) => rising.solve(radius, self.limit_mm) / radius,
            Law::Zpn { rising, scale } if radius == 0.0 => rising.coefficients[0] / scale,
            Law::Zpn { rising, scale } => rising.value(libm::atan(radius)) / (scale * radius),
        })
    }
}

impl Law {
    /// The gnomonic radius at `limit_mm`, if the law rises up to there.
    fn limit(&self, limit_mm: f64) -> Result<f64, String> {
        let turns = |mm: f64| {
            format!(
                "the distortion turns back {mm:.1} mm from the axis, inside of the field: its radius must grow all the way \
                 to the outermost corner"
            )
        };
        match self {
            Self::Sky(rising) => {
                rising.rises(0.0, limit_mm, DEPTH).map_err(turns)?;
                let radius = rising.value(limit_mm);
                // 80 degrees: the tangent plane ends at 90.
                if radius < 5.7 { Ok(radius) } else { Err(beyond(libm::atan(radius), limit_mm)) }
            }
            Self::Zpn { rising, scale } => {
                // First an angle beyond the limit, then the angle itself.
                let wanted = limit_mm * scale;
                let mut end = wanted / rising.coefficients[0];
                for _ in 0..60 {
                    rising.rises(0.0, end, DEPTH).map_err(|at| turns(rising.value(at) / scale))?;
                    if rising.value(end) >= wanted {
                        break;
                    }
                    end *= 1.5;
                }
                let angle = rising.solve(wanted, end);
                if angle < 1.4 { Ok(libm::tan(angle)) } else { Err(beyond(angle, limit_mm)) }
            }
        }
    }
}

fn check_scale(plate_scale: f64) -> Result<(), String> {
    if plate_scale > 0.0 && plate_scale.is_finite() {
        return Ok(());
    }
    Err(format!("the plate scale is {plate_scale} arcsec a mm, expected a positive number"))
}

fn beyond(angle: f64, mm: f64) -> String {
    format!(
        "the field reaches {:.0} degrees from the boresight at {mm:.1} mm: a tangent plane cannot hold it (is the plate scale in \
         arcsec a mm?)",
        angle.to_degrees()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both_ways(radial: &Radial, field_mm: f64) {
        let mut last = 0.0;
        for i in 0..=1000 {
            let mm = field_mm * f64::from(i) / 1000.0;
            let radius = mm * radial.outward(mm * mm);
            assert!(radius > last || i == 0);
            last = radius;
            let back = radius * radial.inward(radius).unwrap();
            assert!((back - mm).abs() < 1e-12 * field_mm, "{mm} {back}");
        }
        assert!(radial.inward(radial.limit_rad).is_some());
        assert!(radial.inward(radial.limit_rad * 1.001).is_none());
        assert!(radial.inward(f64::NAN).is_none());
    }

    #[test]
    fn there_and_back() {
        let laws = [
            Radial::relative(20.0, &[0.0, 1.0]),
            Radial::relative(20.005_867_576_692_737, &[0.0, 1.0, 0.0, -8.337_139_91e-9, 0.0, -1.413_898_58e-15]),
            Radial::relative(20.0, &[0.0, 1.0, -2e-5, 3e-8]),
            Radial::radians(&[0.0, 8.516_497_674_138_379e-5, 0.0, -4.501_399_132_955_917e-12]),
            Radial::zpn(17.07, &[0.0, 1.0, 0.0, 44.0, 0.0, -10_300.0]),
        ];
        for law in laws {
            both_ways(&Radial::new(law.unwrap(), 220.0).unwrap(), 220.0);
        }
    }

    #[test]
    fn zpn_is_the_inverse_of_its_polynomial() {
        let radial = Radial::new(Radial::zpn(17.07, &[0.0, 1.0, 0.0, 44.0]).unwrap(), 150.0).unwrap();
        let angle = 0.01_f64;
        let mm = (angle + 44.0 * angle.powi(3)) / (17.07 * ARCSEC);
        assert!((mm * radial.outward(mm * mm) - angle.tan()).abs() < 1e-16);
    }

    #[test]
    fn laws_that_have_no_inverse_are_refused() {
        let of = |law: Result<Law, String>, mm: f64| Radial::new(law?, mm).map(|_| ());
        for (law, mm, part) in [
            (Radial::relative(20.0, &[0.0, 1.0, 0.0, -1e-5]), 200.0, "turns back"),
            (Radial::relative(20.0, &[0.0, 1.0, 0.0, -1e-5]), f64::NAN, "NaN mm"),
            (Radial::relative(0.0, &[0.0, 1.0]), 200.0, "plate scale"),
            (Radial::relative(20.0, &[1.0, 1.0]), 200.0, "coefficient 0"),
            (Radial::relative(20.0, &[0.0, -1.0]), 200.0, "flip_x"),
            (Radial::relative(20.0, &[0.0]), 200.0, "at least two"),
            (Radial::relative(20.0, &[0.0, 1.0, f64::NAN]), 200.0, "coefficient 2 is NaN"),
            (Radial::relative(20_000.0, &[0.0, 1.0]), 200.0, "degrees from the boresight"),
            (Radial::zpn(17.0, &[0.0, 1.0, 0.0, -20_000.0]), 200.0, "turns back"),
            (Radial::radians(&[0.0, 1e-4, -1e-6, 3.3e-9]), 200.0, "turns back"),
        ] {
            let error = of(law, mm).unwrap_err();
            assert!(error.contains(part), "{part}: {error}");
        }
        // Turning just outside of the field is allowed: the law then ends there.
        let turn_mm = (1.0_f64 / 3e-5).sqrt();
        let radial = Radial::new(Radial::relative(20.0, &[0.0, 1.0, 0.0, -1e-5]).unwrap(), turn_mm / 1.05).unwrap();
        assert!(radial.limit_mm() < turn_mm);
    }
}
