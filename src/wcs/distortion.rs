//! [`Distortion`]: the polynomial part between pixels and the projection plane, SIP or TPV.

use serde::{Deserialize, Serialize};

use super::polynomial::{Jet, Polynomial};

/// What bends the pixel grid before or after the linear part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Distortion {
    None,
    Sip(Box<Sip>),
    Tpv(Box<Tpv>),
}

/// Simple Imaging Polynomial: `u' = u + A(u, v)`, `v' = v + B(u, v)`, in pixels from the reference pixel.
///
/// Shupe et al. 2005, ASP Conf. Ser. 347, 491.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sip {
    pub(super) a: Polynomial,
    pub(super) b: Polynomial,
    /// `AP`, `BP`: the header's own approximate inverse; a first guess only, see [`Sip::inverse`].
    pub(super) guess: Option<(Polynomial, Polynomial)>,
}

/// The highest `A_ORDER` the convention knows.
pub(super) const SIP_MAX_ORDER: u8 = 9;

impl Sip {
    #[inline]
    pub(super) fn forward(&self, u: f64, v: f64) -> (f64, f64) {
        (u + self.a.value(u, v), v + self.b.value(u, v))
    }

    /// The true inverse of [`Sip::forward`], by Newton's method.
    pub(super) fn inverse(&self, u: f64, v: f64) -> Option<(f64, f64)> {
        let map = |x: f64, y: f64| {
            let (mut a, mut b) = (self.a.jet(x, y), self.b.jet(x, y));
            a.value += x;
            a.du += 1.0;
            b.value += y;
            b.dv += 1.0;
            [a, b]
        };
        let guessed =
            self.guess.as_ref().and_then(|(ap, bp)| newton(map, (u, v), (u + ap.value(u, v), v + bp.value(u, v))));
        guessed.or_else(|| newton(map, (u, v), (u, v)))
    }

    pub(super) fn is_whole(&self) -> bool {
        let guess = self.guess.as_ref().is_none_or(|(a, b)| a.is_whole(SIP_MAX_ORDER) && b.is_whole(SIP_MAX_ORDER));
        guess && self.a.is_whole(SIP_MAX_ORDER) && self.b.is_whole(SIP_MAX_ORDER)
    }
}

/// Polynomial with radial terms on the projection plane, in degrees: the TPV convention of the FITS registry
/// (and of old SCAMP headers, which write it as TAN).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tpv {
    pub(super) lon: TpvAxis,
    pub(super) lat: TpvAxis,
}

/// One axis: a polynomial in its own coordinate (first) and the other axis's, and radial terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TpvAxis {
    polynomial: Polynomial,
    /// Of `r, r^3, r^5, r^7`, unless all are zero.
    radial: Option<[f64; 4]>,
}

/// Number of TPV coefficients of an axis, `PVi_0` to `PVi_39`.
pub(super) const TPV_TERMS: usize = 40;
/// The first index of each order from 0 to 7; between the orders sit the radial terms.
const TPV_ORDER_START: [u8; 8] = [0, 1, 4, 7, 12, 17, 24, 31];
const TPV_RADIAL: [usize; 4] = [3, 11, 23, 39];

fn tpv_index(p: u8, q: u8) -> usize {
    usize::from(TPV_ORDER_START.get(usize::from(p + q)).copied().unwrap_or_default() + q)
}

impl TpvAxis {
    /// From the coefficients `PVi_0` to `PVi_39`.
    pub(super) fn new(pv: &[f64; TPV_TERMS]) -> Self {
        let coefficient = |p: u8, q: u8| pv.get(tpv_index(p, q)).copied().unwrap_or_default();
        let used = |order: u8| (0..=order).any(|q| coefficient(order - q, q) != 0.0);
        let order = (1..=7).rev().find(|n| used(*n)).unwrap_or(1);
        let polynomial = Polynomial::from_fn(order, |p, q| Ok::<_, std::convert::Infallible>(coefficient(p, q)));
        let Ok(polynomial) = polynomial;
        let radial = TPV_RADIAL.map(|i| pv.get(i).copied().unwrap_or_default());
        Self { polynomial, radial: radial.iter().any(|c| *c != 0.0).then_some(radial) }
    }

    /// `(index, value)` of the coefficients that are not zero, and always of index 1, whose default is one.
    pub(super) fn terms(&self) -> Vec<(usize, f64)> {
        let plane = self.polynomial.terms().map(|(p, q, c)| (tpv_index(p, q), c));
        let mut terms: Vec<_> = plane.chain(TPV_RADIAL.into_iter().zip(self.radial.unwrap_or_default())).collect();
        terms.retain(|(index, c)| *c != 0.0 || *index == 1);
        terms.sort_by_key(|(index, _)| *index);
        terms
    }

    #[inline]
    fn value(&self, own: f64, other: f64) -> f64 {
        let plane = self.polynomial.value(own, other);
        let Some([c1, c3, c5, c7]) = self.radial else { return plane };
        let r2 = own * own + other * other;
        plane + r2.sqrt() * (c1 + r2 * (c3 + r2 * (c5 + r2 * c7)))
    }

    #[inline]
    fn jet(&self, own: f64, other: f64) -> Jet {
        let mut jet = self.polynomial.jet(own, other);
        if let Some([c1, c3, c5, c7]) = self.radial {
            let r2 = own * own + other * other;
            let r = r2.sqrt();
            jet.value += r * (c1 + r2 * (c3 + r2 * (c5 + r2 * c7)));
            if r > 0.0 {
                let slope = (c1 + r2 * (3.0 * c3 + r2 * (5.0 * c5 + r2 * 7.0 * c7))) / r;
                jet.du += slope * own;
                jet.dv += slope * other;
            }
        }
        jet
    }

    fn is_whole(&self) -> bool {
        self.polynomial.is_whole(7) && self.radial.iter().flatten().all(|c| c.is_finite())
    }
}

impl Tpv {
    #[inline]
    pub(super) fn forward(&self, x: f64, y: f64) -> (f64, f64) {
        (self.lon.value(x, y), self.lat.value(y, x))
    }

    /// The inverse of [`Tpv::forward`], by Newton's method.
    pub(super) fn inverse(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let map = |x: f64, y: f64| {
            let lat = self.lat.jet(y, x);
            [self.lon.jet(x, y), Jet { value: lat.value, du: lat.dv, dv: lat.du }]
        };
        newton(map, (x, y), (x, y))
    }

    pub(super) fn is_whole(&self) -> bool {
        self.lon.is_whole() && self.lat.is_whole()
    }
}

/// Solves `map(x, y) = target` from a start. `None` when it does not converge.
///
/// A step that makes matters worse is halved, so that a start far off does not jump about. Convergence is quadratic: a
/// last step below 1e-12 of the coordinates leaves an error at the level of rounding.
fn newton(map: impl Fn(f64, f64) -> [Jet; 2], target: (f64, f64), start: (f64, f64)) -> Option<(f64, f64)> {
    const MAX_STEPS: usize = 40;
    const LAST_STEP: f64 = 1e-12;
    let (mut x, mut y) = start;
    let (mut dx, mut dy, mut before) = (0.0, 0.0, f64::INFINITY);
    for _ in 0..MAX_STEPS {
        let [f, g] = map(x, y);
        let (rf, rg) = (f.value - target.0, g.value - target.1);
        let residual = rf.abs() + rg.abs();
        if residual > before {
            (dx, dy) = (0.5 * dx, 0.5 * dy);
            (x, y) = (x + dx, y + dy);
            continue;
        }
        before = residual;
        let det = f.du * g.dv - f.dv * g.du;
        (dx, dy) = ((rf * g.dv - rg * f.dv) / det, (rg * f.du - rf * g.du) / det);
        (x, y) = (x - dx, y - dy);
        if !(x.is_finite() && y.is_finite()) {
            return None;
        }
        if dx.abs() + dy.abs() <= LAST_STEP * (1.0 + x.abs() + y.abs()) {
            return Some((x, y));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tpv_terms_stand_where_the_convention_puts_them() {
        let mut pv = [0.0; TPV_TERMS];
        for (i, c) in pv.iter_mut().enumerate() {
            *c = i as f64 + 1.0;
        }
        let axis = TpvAxis::new(&pv);
        let (x, y) = (0.3_f64, -0.2_f64);
        let r = (x * x + y * y).sqrt();
        let powers = [
            vec![1.0, x, y, r, x * x, x * y, y * y, x.powi(3), x * x * y, x * y * y, y.powi(3), r.powi(3)],
            (0..=4).map(|q| x.powi(4 - q) * y.powi(q)).collect(),
            (0..=5).map(|q| x.powi(5 - q) * y.powi(q)).chain([r.powi(5)]).collect(),
            (0..=6).map(|q| x.powi(6 - q) * y.powi(q)).collect(),
            (0..=7).map(|q| x.powi(7 - q) * y.powi(q)).chain([r.powi(7)]).collect(),
        ]
        .concat();
        assert_eq!(powers.len(), TPV_TERMS);
        let expected: f64 = powers.iter().zip(pv).map(|(term, c)| term * c).sum();
        assert!((axis.value(x, y) - expected).abs() < 1e-12);
        assert!((axis.jet(x, y).value - expected).abs() < 1e-12);
        assert_eq!(axis.terms().len(), TPV_TERMS);
        let h = 1e-6;
        let slope = (axis.value(x + h, y) - axis.value(x - h, y)) / (2.0 * h);
        assert!((axis.jet(x, y).du - slope).abs() < 1e-7);
    }

    #[test]
    fn a_map_without_a_solution_gives_none() {
        // u + A = u + u^2 never falls below -1/4.
        let a = Polynomial::from_fn(2, |p, _| Ok::<_, ()>(if p == 2 { 1.0 } else { 0.0 })).unwrap();
        let b = Polynomial::from_fn(0, |_, _| Ok::<_, ()>(0.0)).unwrap();
        let sip = Sip { a, b, guess: None };
        assert_eq!(sip.inverse(-1.0, 0.0), None);
        let (u, v) = sip.inverse(0.75, 2.0).unwrap();
        assert!((u - 0.5).abs() < 1e-15 && (v - 2.0).abs() < 1e-15);
    }
}
