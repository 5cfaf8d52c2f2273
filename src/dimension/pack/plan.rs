//! [`Plan`]: a layout, checked and ready for use.

use std::sync::Arc;

use super::calendar::Calendar;
use super::digits::{Digit, Kind, Limit, Segment};
use super::identifier::Identifier;
use super::layout::{FieldLayout, FieldOrder, PackLayout};
use super::names::NameTable;

/// More fields than this are not laid out into 64 bits.
pub(super) const MOST_FIELDS: usize = 32;
/// Fields that are looked at together with others: parts of identifiers, limits by another field.
pub(super) const MOST_SLOTS: usize = 8;

/// A layout, checked and ready for use.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: Arc<str>,
    /// All fields, the least significant first.
    pub(super) digits: Vec<Digit>,
    pub(super) segments: Vec<Segment>,
    pub(super) identifiers: Vec<Identifier>,
    /// Bits that integers are said to have.
    pub(super) bits: u32,
    /// Bits that belong to some field.
    pub(super) used: u64,
    /// The largest integer there is.
    pub(super) most: u64,
    /// What is unpacked unless the caller says otherwise.
    pub(super) output: Vec<Target>,
}

/// What a column holds: a field or an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Digit(usize),
    Identifier(usize),
}

/// A number of values, less one, so that 2^64 fits.
fn room_of(field: &FieldLayout) -> Result<u64, String> {
    match (field.radix, field.bits) {
        (Some(0), None) => Err(format!("field `{}` has radix 0: there must be at least one value", field.name)),
        (Some(radix), None) => Ok(radix - 1),
        (None, Some(bits @ 1..=64)) => Ok(u64::MAX >> (64 - bits)),
        (None, Some(bits)) => Err(format!("field `{}` has {bits} bits, expected 1 to 64", field.name)),
        (Some(_), Some(_)) => Err(format!("field `{}` has `radix` and `bits`: give one of them", field.name)),
        (None, None) => Err(format!("field `{}` has neither `radix` nor `bits`: give one of them", field.name)),
    }
}

fn digit_of(field: &FieldLayout) -> Result<Digit, String> {
    let name = &field.name;
    if name.is_empty() {
        return Err("a field has no name".to_owned());
    }
    let room = room_of(field)?;
    let mut top = match field.limit {
        Some(0) => return Err(format!("field `{name}` has limit 0: there must be at least one value")),
        Some(limit) if limit - 1 > room => {
            return Err(format!("field `{name}` has limit {limit}, but room for {} values only", room + 1));
        }
        Some(limit) => limit - 1,
        None => room,
    };
    let of_field = |problem: String| format!("field `{name}`: {problem}");
    let kind = match (&field.names, field.epoch) {
        (Some(_), Some(_)) => {
            return Err(of_field("values are dates (`epoch`) or texts (`names`), not both".to_owned()));
        }
        (Some(names), None) => {
            let radix = top.checked_add(1).unwrap_or(u64::MAX);
            let table = NameTable::new(names, field.null, radix.min(room.saturating_add(1))).map_err(of_field)?;
            Kind::Names(table)
        }
        (None, _) if field.null.is_some() => {
            return Err(of_field("`null` is for fields of texts (`names`)".to_owned()));
        }
        (None, Some(epoch)) => {
            let days = top.saturating_add(1);
            Kind::Date(Calendar::new(epoch, days).map_err(of_field)?)
        }
        (None, None) => Kind::Integer,
    };
    if field.first != 0 && !matches!(kind, Kind::Integer) {
        return Err(of_field("`first` is for integers, not for dates and texts".to_owned()));
    }
    // All values are i64, or all are u64: no column type holds others.
    let last = i128::from(field.first) + i128::from(top);
    let most = if field.first < 0 { i128::from(i64::MAX) } else { i128::from(u64::MAX) };
    if last > most {
        let lost = u64::try_from(last - most).unwrap_or(u64::MAX);
        if field.limit.is_some() || lost > top {
            return Err(of_field(format!("its last value is {last}, which is not a 64-bit integer")));
        }
        top -= lost;
    }
    let mut digit = Digit {
        name: Arc::from(name.as_str()),
        room,
        top,
        weight: 0,
        first: field.first,
        kind,
        missing: None,
        constant: None,
        limit: None,
        slot: None,
    };
    let null = digit.names().and_then(|n| n.null);
    digit.missing = field.default.as_ref().map(|v| digit.code_of(v)).transpose()?.or(null);
    digit.constant = field.constant.as_ref().map(|v| digit.code_of(v)).transpose()?;
    if field.default.is_some() && digit.constant.is_some() {
        return Err(of_field("has `default` and `constant`: give one of them".to_owned()));
    }
    Ok(digit)
}

/// Bits of the numbers 0 to `top`.
fn bits_of(top: u128) -> u32 {
    128 - top.leading_zeros()
}

impl Plan {
    /// Checks a layout.
    pub(super) fn new(layout: &PackLayout) -> Result<Self, String> {
        let mut fields: Vec<&FieldLayout> = layout.fields.iter().collect();
        if layout.order == FieldOrder::Most {
            fields.reverse();
        }
        if fields.is_empty() {
            return Err("it has no fields".to_owned());
        }
        if fields.len() > MOST_FIELDS {
            return Err(format!("it has {} fields, expected at most {MOST_FIELDS}", fields.len()));
        }
        let mut digits = fields.iter().map(|f| digit_of(f)).collect::<Result<Vec<_>, _>>()?;
        let names = || digits.iter().map(|d| &*d.name).chain(layout.identifiers.iter().map(|i| i.name.as_str()));
        for (i, name) in names().chain(layout.fixed.keys().map(String::as_str)).enumerate() {
            if names().take(i).any(|other| other == name) {
                return Err(format!("`{name}` is there twice"));
            }
        }
        let segments = lay_out(&fields, &mut digits)?;
        let used = segments.iter().fold(0, |used, s| used | s.mask << s.shift);
        let needed = 64 - used.leading_zeros();
        let bits = layout.bits.unwrap_or(needed);
        if bits < needed || bits > 64 {
            return Err(format!("`bits` is {bits}, expected {needed} (which the fields need) to 64"));
        }
        for (i, field) in fields.iter().enumerate() {
            let Some(limit) = &field.limit_by else { continue };
            let Some(other) = digits.iter().position(|d| *d.name == limit.field).filter(|o| *o != i) else {
                return Err(format!("field `{}` is limited by `{}`, which is no other field", field.name, limit.field));
            };
            if limit.counts.len() as u64 <= digits[other].top {
                let (have, want) = (limit.counts.len(), u128::from(digits[other].top) + 1);
                return Err(format!(
                    "`limit_by` of field `{}` has {have} counts, but `{}` has {want} values",
                    field.name, limit.field
                ));
            }
            digits[i].limit = Some(Limit { other, counts: limit.counts.as_slice().into() });
        }
        let identifiers =
            layout.identifiers.iter().map(|i| Identifier::new(i, &digits)).collect::<Result<Vec<_>, _>>()?;
        give_slots(&mut digits, &identifiers)?;
        let most = digits.iter().fold(0, |most: u64, d| most.saturating_add(d.constant.unwrap_or(d.top) * d.weight));
        let mut plan = Self {
            name: Arc::from(if layout.name.is_empty() { "(unnamed)" } else { &layout.name }),
            digits,
            segments,
            identifiers,
            bits,
            used,
            most,
            output: Vec::new(),
        };
        plan.output = if layout.output.is_empty() {
            (0..plan.digits.len()).filter(|i| plan.digits[*i].is_column()).map(Target::Digit).collect()
        } else {
            let find = |n: &String| plan.target(n).ok_or_else(|| format!("`output` names `{n}`, which is no field"));
            layout.output.iter().map(find).collect::<Result<_, _>>()?
        };
        Ok(plan)
    }

    /// The field or identifier of that name.
    pub(super) fn target(&self, name: &str) -> Option<Target> {
        let digit = self.digits.iter().position(|d| &*d.name == name).map(Target::Digit);
        digit.or_else(|| self.identifiers.iter().position(|i| &*i.name == name).map(Target::Identifier))
    }

    /// The name of a field or identifier.
    pub(super) fn target_name(&self, target: Target) -> &Arc<str> {
        match target {
            Target::Digit(i) => &self.digits[i].name,
            Target::Identifier(i) => &self.identifiers[i].name,
        }
    }

    /// All names that columns may have.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let digits = self.digits.iter().filter(|d| d.is_column()).map(|d| &*d.name);
        digits.chain(self.identifiers.iter().map(|i| &*i.name))
    }
}

/// Gives every field its bits: neighbours with a radix share theirs.
fn lay_out(fields: &[&FieldLayout], digits: &mut [Digit]) -> Result<Vec<Segment>, String> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut used = 0_u64;
    let mut next = 0;
    let mut i = 0;
    while i < fields.len() {
        let mut end = i + 1;
        if fields[i].radix.is_some() {
            while end < fields.len() && fields[end].radix.is_some() && fields[end].shift.is_none() {
                end += 1;
            }
        }
        let mut product = 1_u128;
        let shift = fields[i].shift.unwrap_or(next);
        for digit in &mut digits[i..end] {
            // The weight within the bits; they may be too many still, which is found below.
            digit.weight = u64::try_from(product).unwrap_or(u64::MAX);
            product = product.saturating_mul(u128::from(digit.room) + 1);
        }
        let width = bits_of(product - 1);
        let what = || match &fields[i..end] {
            [one] => format!("field `{}`", one.name),
            [first, .., last] => format!("the mixed radix of `{}` to `{}`", first.name, last.name),
            [] => String::new(),
        };
        if u64::from(shift) + u64::from(width) > 64 {
            return Err(format!("{} needs {width} bits from bit {shift} on, beyond the 64 there are", what()));
        }
        // A field with one value takes no bits, wherever it is.
        let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
        let bits = mask.checked_shl(shift).unwrap_or(0);
        if used & bits != 0 {
            return Err(format!("{} overlaps another field: bits {shift} to {} are taken", what(), shift + width - 1));
        }
        used |= bits;
        for digit in &mut digits[i..end] {
            digit.weight = if width == 0 { 0 } else { digit.weight << shift };
        }
        let shift = if width == 0 { 0 } else { shift };
        segments.push(Segment { shift, mask, top: (product - 1) as u64, first: i, end });
        next = if width == 0 { next } else { shift + width };
        i = end;
    }
    Ok(segments)
}

/// Gives a place for codes to fields that are looked at together.
fn give_slots(digits: &mut [Digit], identifiers: &[Identifier]) -> Result<(), String> {
    let mut together: Vec<usize> = identifiers.iter().flat_map(Identifier::parts).collect();
    for (i, digit) in digits.iter().enumerate() {
        if let Some(limit) = &digit.limit {
            together.extend([i, limit.other]);
        }
    }
    together.sort_unstable();
    together.dedup();
    if together.len() > MOST_SLOTS {
        return Err(format!("{} fields depend on each other, expected at most {MOST_SLOTS}", together.len()));
    }
    for (slot, digit) in together.into_iter().enumerate() {
        digits[digit].slot = Some(slot);
    }
    Ok(())
}
