//! [`Identifier`]: Rubin's exposure and visit numbers, which are made of several fields.

use std::sync::Arc;

use super::digits::{Digit, Kind};
use super::layout::{IdentifierKind, IdentifierLayout};

/// Letters of Rubin's controllers in the order of the thousands that they add to the year.
const CONTROLLERS: [&str; 6] = ["O", "C", "H", "P", "Q", "S"];
/// Decimal places of the sequence number.
const SEQUENCES: u64 = 100_000;
/// What a leading 9 adds to an exposure of 13 digits.
const NINE: u64 = 90_000_000_000_000;
/// Numbers of 14 digits end here.
const END: u64 = 100_000_000_000_000;
/// What the next controller adds to `YYYYMMDD`.
const CONTROLLER: u64 = 10_000_000;
/// No code.
pub(super) const NONE: u64 = u64::MAX;

/// Several fields under one name.
#[derive(Debug)]
pub(super) struct Identifier {
    pub(super) name: Arc<str>,
    /// The digits of day, sequence number, controller and one-to-one flag.
    day: usize,
    sequence: usize,
    controller: Option<usize>,
    flag: Option<usize>,
    /// The code of each of [`CONTROLLERS`], or [`NONE`].
    codes: [u64; 6],
    /// The controller of each code.
    letters: Vec<usize>,
    /// Code of the first day on which a controller is left out, by controller.
    dropped: [u64; 6],
}

/// The codes of an identifier's fields: day, sequence number, controller, flag.
pub(super) type Parts = [u64; 4];

impl Identifier {
    pub(super) fn new(layout: &IdentifierLayout, digits: &[Digit]) -> Result<Self, String> {
        if layout.name.is_empty() {
            return Err("an identifier has no name".to_owned());
        }
        let find = |name: &str| digits.iter().position(|d| &*d.name == name);
        let need =
            |name: &str| find(name).ok_or_else(|| format!("identifier `{}` needs a field `{name}`", layout.name));
        let wrong =
            |name: &str, should: &str| Err(format!("identifier `{}` needs `{name}` to be {should}", layout.name));
        let (day, sequence, controller) = (need("day_obs")?, need("seq_num")?, find("controller"));
        let Kind::Date(calendar) = &digits[day].kind else { return wrong("day_obs", "dates (`epoch`)") };
        // Four figures of the year, the first of them 2.
        if calendar.dates().first().is_none_or(|d| *d < 20_000_101)
            || calendar.dates().last().is_none_or(|d| *d > 29_991_231)
        {
            return wrong("day_obs", "between 20000101 and 29991231");
        }
        let plain = |i: usize, most: u64| {
            matches!(digits[i].kind, Kind::Integer) && digits[i].first == 0 && digits[i].top < most
        };
        if !plain(sequence, SEQUENCES) {
            return wrong("seq_num", "numbers from 0 to at most 99999");
        }
        let flag = match layout.kind {
            IdentifierKind::RubinExposure => None,
            IdentifierKind::RubinVisit => Some(need("one_to_one")?),
        };
        if flag.is_some_and(|f| !plain(f, 2)) {
            return wrong("one_to_one", "0 or 1");
        }
        let mut codes = [0, NONE, NONE, NONE, NONE, NONE];
        let mut letters = vec![0];
        if let Some(controller) = controller {
            let Kind::Names(names) = &digits[controller].kind else {
                return wrong("controller", "texts (`names`)");
            };
            codes = CONTROLLERS.map(|letter| names.by_text.get(letter).copied().unwrap_or(NONE));
            letters = vec![usize::MAX; names.positions.len()];
            for (letter, code) in codes.iter().enumerate().filter(|(_, code)| **code != NONE) {
                letters[*code as usize] = letter;
            }
            if names.names.iter().any(|n| n.as_deref().is_none_or(|n| !CONTROLLERS.contains(&n))) {
                return wrong("controller", "some of O, C, H, P, Q, S");
            }
        }
        // The first day whose numbers do not have the controller any more.
        let until = |date: u32| calendar.dates().partition_point(|d| *d <= date) as u64;
        let (cameras, simulated) = (until(20_231_004), until(20_250_417));
        let dropped = [NONE, cameras, NONE, simulated, simulated, simulated];
        Ok(Self { name: layout.name.as_str().into(), day, sequence, controller, flag, codes, letters, dropped })
    }

    /// The digits it is made of.
    pub(super) fn parts(&self) -> impl Iterator<Item = usize> {
        [Some(self.day), Some(self.sequence), self.controller, self.flag].into_iter().flatten()
    }

    /// The digits of day, sequence number, controller, flag, where there are such fields.
    pub(super) fn digits(&self) -> [Option<usize>; 4] {
        [Some(self.day), Some(self.sequence), self.controller, self.flag]
    }

    /// The codes of an identifier; [`NONE`] for those that cannot be.
    #[inline(always)]
    pub(super) fn split(&self, id: u64, digits: &[Digit]) -> Parts {
        let flagged = self.flag.is_some() && (NINE..END).contains(&id);
        let exposure = if flagged { id - NINE } else { id };
        let (date, sequence) = (exposure / SEQUENCES, exposure % SEQUENCES);
        // The year is 2010 or later; each controller adds a thousand to it.
        let letter = (date / CONTROLLER).wrapping_sub(2);
        let Some(controller) = self.codes.get(letter as usize).filter(|_| letter < 6) else { return [NONE; 4] };
        let day = match digits.get(self.day).map(|d| &d.kind) {
            Some(Kind::Date(calendar)) => calendar.day(date.wrapping_sub(letter.wrapping_mul(CONTROLLER))),
            _ => NONE,
        };
        [day, sequence, *controller, u64::from(flagged)]
    }

    /// The identifier of codes that are allowed.
    #[inline(always)]
    pub(super) fn join(&self, parts: Parts, digits: &[Digit]) -> u64 {
        let date = match digits.get(self.day).map(|d| &d.kind) {
            Some(Kind::Date(calendar)) => calendar.date(parts[0]),
            _ => 0,
        };
        let letter = self.letters.get(parts[2] as usize).copied().unwrap_or(0);
        let kept = self.dropped.get(letter).is_some_and(|first| parts[0] < *first);
        let year = if kept { CONTROLLER.wrapping_mul(letter as u64) } else { 0 };
        let exposure = date.wrapping_add(year).wrapping_mul(SEQUENCES).wrapping_add(parts[1]);
        if self.flag.is_some() && parts[3] == 1 { exposure.wrapping_add(NINE) } else { exposure }
    }

    /// The values there are, for messages.
    pub(super) fn expected(&self, digits: &[Digit]) -> String {
        let day = &digits[self.day];
        let letters: Vec<_> = CONTROLLERS.iter().zip(self.codes).filter(|(_, c)| *c != NONE).map(|(l, _)| *l).collect();
        let nine = if self.flag.is_some() { ", with or without a 9 before it" } else { "" };
        format!(
            "YYYYMMDDnnnnn from {} to {} with numbers up to {} of controllers {}{nine}",
            day.value(0),
            day.value(day.top),
            digits[self.sequence].top,
            letters.join(", ")
        )
    }
}
