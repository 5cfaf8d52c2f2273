//! Patches named by their place, `3,5`: the number is the sky map's to say.

use std::collections::BTreeMap;

use super::{Butler, ButlerError};
use crate::dimension::{Comparison, DataId, DimensionValue, Expression, InItem, Literal, Operand};
use crate::skymap::{SkyMap, SkyMapError};

impl Butler {
    /// This data ID with the patch by its number. A patch may be named as `x,y` (column and row in its tract) where the tract
    /// is given, and the sky map too or there is only one.
    ///
    /// # Errors
    /// [`ButlerError::SkyMap`] for a tract or patch that is out of range (it says the range) or no name of a patch;
    /// [`ButlerError::Registry`] for an unknown sky map, with the near one; [`ButlerError::Question`] for a patch without its
    /// tract.
    pub fn standard_data_id(&self, data_id: &DataId) -> Result<DataId, ButlerError> {
        let Some(name) = data_id.str("patch") else { return Ok(data_id.clone()) };
        let (sky_map, map) = self.one_sky_map(data_id.str("skymap"), None)?;
        let tract = match data_id.get("tract") {
            Some(DimensionValue::Int(tract)) => *tract,
            _ => {
                return Err(ButlerError::Question(format!(
                    "patch `{name}` is a place in a tract of `{sky_map}`: say which tract, such as tract=9813"
                )));
            }
        };
        let patch = number(&map, tract, name)?;
        Ok(data_id.clone().with("patch", i64::from(patch)))
    }

    /// A filter with patches by their numbers.
    ///
    /// # Errors
    /// As [`standard_data_id`](Self::standard_data_id).
    pub(super) fn with_patch_numbers(
        &self,
        filter: Option<&Expression>,
        sky_map: Option<&str>,
    ) -> Result<Option<Expression>, ButlerError> {
        let Some(filter) = filter else { return Ok(None) };
        let mut known = None;
        let replaced = filter.with_patches(&mut |name| {
            if known.is_none() {
                known = Some(self.one_sky_map(sky_map, Some(filter))?);
            }
            match &known {
                Some((sky_map, map)) => meaning(sky_map, map, filter, name),
                None => Ok(Expression::Constant(false)),
            }
        })?;
        Ok(Some(replaced))
    }
}

/// What the name of a patch means among the tracts that a filter leaves open.
fn meaning(sky_map: &str, map: &SkyMap, filter: &Expression, name: &str) -> Result<Expression, ButlerError> {
    let Some(tracts) = filter.values_of("tract") else {
        let patch = number(map, 0, name)?;
        // A place has one number wherever tracts have as many patches in a row.
        let (nx, ny) = map.num_patches(0)?;
        let uniform = (0..map.len()).all(|tract| map.num_patches(tract) == Ok((nx, ny)));
        if uniform || !name.contains(',') {
            return Ok(is("patch", i64::from(patch)));
        }
        return Err(ButlerError::Question(format!(
            "patch '{name}' has another number from tract to tract of `{sky_map}`: say which tract, such as \"tract = 3 AND \
             patch = '{name}'\""
        )));
    };
    let mut numbers: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    let mut refused = None;
    for tract in tracts {
        match number(map, tract, name) {
            Ok(patch) => numbers.entry(patch).or_default().push(tract),
            Err(error) if refused.is_none() => refused = Some(error),
            Err(_) => {}
        }
    }
    let mut alternatives = numbers.into_iter().map(|(patch, tracts)| {
        let items = tracts.into_iter().map(|tract| InItem::Value(Literal::Int(tract))).collect();
        let tracts = Expression::In { operand: dimension("tract"), items, negated: false };
        (is("patch", i64::from(patch)), tracts)
    });
    match (alternatives.next(), refused) {
        (None, Some(error)) => Err(error.into()),
        (None, None) => Ok(Expression::Constant(false)),
        (Some((patch, tracts)), refused) => {
            let both = |patch, tracts| Expression::And(Box::new(patch), Box::new(tracts));
            let rest: Vec<_> = alternatives.collect();
            if rest.is_empty() && refused.is_none() {
                return Ok(patch);
            }
            let all = rest.into_iter().map(|(patch, tracts)| both(patch, tracts));
            Ok(all.fold(both(patch, tracts), |any, one| Expression::Or(Box::new(any), Box::new(one))))
        }
    }
}

fn number(map: &SkyMap, tract: i64, name: &str) -> Result<u32, SkyMapError> {
    let found = u32::try_from(tract).ok().filter(|t| *t < map.len());
    let tract = found.ok_or(SkyMapError::TractOutOfRange { tract, count: map.len() })?;
    map.tract(tract)?.parse_patch(name)
}

fn dimension(name: &str) -> Operand {
    Operand::Identifier { element: name.to_owned(), field: None }
}

pub(super) fn is(name: &str, value: i64) -> Expression {
    Expression::Compare(Comparison::Eq, dimension(name), Operand::Literal(Literal::Int(value)))
}
