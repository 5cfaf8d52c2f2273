//! [`Polynomial`]: a polynomial in two variables, with its derivatives.

use serde::{Deserialize, Serialize};

/// The sum of `c[p, q] u^p v^q` over `p + q <= order`.
///
/// Coefficients are stored row by row: first all `q` of `p = 0` (`order + 1` of them), then those of `p = 1`, and so on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Polynomial {
    order: u8,
    coefficients: Vec<f64>,
}

/// Value and first derivatives at a point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jet {
    pub(super) value: f64,
    pub(super) du: f64,
    pub(super) dv: f64,
}

impl Polynomial {
    /// From a function that gives the coefficient of `u^p v^q`.
    pub(super) fn from_fn<E>(order: u8, mut term: impl FnMut(u8, u8) -> Result<f64, E>) -> Result<Self, E> {
        let mut coefficients = Vec::with_capacity(Self::len(order));
        for p in 0..=order {
            for q in 0..=order - p {
                coefficients.push(term(p, q)?);
            }
        }
        Ok(Self { order, coefficients })
    }

    /// The terms `(p, q, coefficient)`.
    pub(super) fn terms(&self) -> impl Iterator<Item = (u8, u8, f64)> {
        let powers = (0..=self.order).flat_map(|p| (0..=self.order - p).map(move |q| (p, q)));
        powers.zip(&self.coefficients).map(|((p, q), c)| (p, q, *c))
    }

    pub(super) fn order(&self) -> u8 {
        self.order
    }

    /// Whether the number of coefficients agrees with the order and all are finite.
    pub(super) fn is_whole(&self, max_order: u8) -> bool {
        self.order <= max_order
            && self.coefficients.len() == Self::len(self.order)
            && self.coefficients.iter().all(|c| c.is_finite())
    }

    fn len(order: u8) -> usize {
        let n = usize::from(order) + 1;
        n * (n + 1) / 2
    }

    /// The value, by Horner's rule in both variables.
    #[inline]
    pub(super) fn value(&self, u: f64, v: f64) -> f64 {
        let mut rest = self.coefficients.as_slice();
        let mut value = 0.0;
        for row in 1..=usize::from(self.order) + 1 {
            // The rows are peeled from the end: the highest power of `u` has one coefficient, the next two, ...
            let (head, tail) = rest.split_at(rest.len().saturating_sub(row));
            value = value * u + tail.iter().rev().fold(0.0, |sum, c| sum * v + c);
            rest = head;
        }
        value
    }

    /// The value and its derivatives, by Horner's rule in both variables.
    #[inline]
    pub(super) fn jet(&self, u: f64, v: f64) -> Jet {
        let mut rest = self.coefficients.as_slice();
        let mut jet = Jet { value: 0.0, du: 0.0, dv: 0.0 };
        for row in 1..=usize::from(self.order) + 1 {
            let (head, tail) = rest.split_at(rest.len().saturating_sub(row));
            let (mut value, mut dv) = (0.0, 0.0);
            for c in tail.iter().rev() {
                dv = dv * v + value;
                value = value * v + c;
            }
            jet.du = jet.du * u + jet.value;
            jet.value = jet.value * u + value;
            jet.dv = jet.dv * u + dv;
            rest = head;
        }
        jet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn horner_is_the_sum_of_powers() {
        let poly = Polynomial::from_fn(3, |p, q| Ok::<_, ()>(f64::from(p) * 10.0 + f64::from(q) + 0.5)).unwrap();
        let (u, v) = (1.25, -0.75);
        let power = |x: f64, n: u8| (0..n).fold(1.0, |product, _| product * x);
        let (mut value, mut du, mut dv) = (0.0, 0.0, 0.0);
        for (p, q, c) in poly.terms() {
            value += c * power(u, p) * power(v, q);
            du += if p > 0 { c * f64::from(p) * power(u, p - 1) * power(v, q) } else { 0.0 };
            dv += if q > 0 { c * f64::from(q) * power(u, p) * power(v, q - 1) } else { 0.0 };
        }
        let jet = poly.jet(u, v);
        assert!((jet.value - value).abs() < 1e-13 && (poly.value(u, v) - value).abs() < 1e-13);
        assert!((jet.du - du).abs() < 1e-13 && (jet.dv - dv).abs() < 1e-13);
    }

    #[test]
    fn a_wrong_length_is_noticed() {
        let poly = Polynomial { order: 2, coefficients: vec![0.0; 5] };
        assert!(!poly.is_whole(9));
        assert!(poly.value(1.0, 1.0).is_finite());
        assert!(!Polynomial { order: 0, coefficients: vec![f64::NAN] }.is_whole(9));
    }
}
