//! [`NameTable`]: texts and the integers that stand for them.

use std::collections::HashMap;
use std::sync::Arc;

use super::layout::NameCodes;

/// More codes than this are no dictionary.
pub(super) const MOST_CODES: u64 = 1 << 16;

/// No name has this code.
pub(super) const NO_NAME: u32 = u32::MAX;

/// Texts and the integers that stand for them, both ways.
#[derive(Debug)]
pub(super) struct NameTable {
    /// By ascending code; `None` is the null.
    pub(super) names: Arc<[Option<Arc<str>>]>,
    /// The code of each name.
    pub(super) codes: Vec<u64>,
    /// For each code its position in `names`, or [`NO_NAME`].
    pub(super) positions: Vec<u32>,
    /// The codes by text.
    pub(super) by_text: HashMap<Arc<str>, u64>,
    /// The code of the null.
    pub(super) null: Option<u64>,
    /// Whether codes are positions: 0, 1, 2, … without a gap.
    pub(super) dense: bool,
}

impl NameTable {
    /// The table of a field with `radix` codes, or what is wrong.
    pub(super) fn new(names: &NameCodes, null: Option<u64>, radix: u64) -> Result<Self, String> {
        if radix > MOST_CODES {
            return Err(format!("a field of names has at most {MOST_CODES} codes, not {radix}"));
        }
        let mut pairs: Vec<(u64, Option<Arc<str>>)> = match names {
            NameCodes::List(list) => (0..).zip(list.iter().map(|n| Some(Arc::from(n.as_str())))).collect(),
            NameCodes::Codes(map) => map.iter().map(|(n, c)| (*c, Some(Arc::from(n.as_str())))).collect(),
        };
        pairs.extend(null.map(|code| (code, None)));
        if pairs.is_empty() {
            return Err("`names` is empty".to_owned());
        }
        pairs.sort_by_key(|(code, _)| *code);
        let shown = |name: &Option<Arc<str>>| name.as_deref().map_or("null".to_owned(), |n| format!("{n:?}"));
        for pair in pairs.windows(2) {
            if pair[0].0 == pair[1].0 {
                return Err(format!("{} and {} both have code {}", shown(&pair[0].1), shown(&pair[1].1), pair[0].0));
            }
        }
        let mut positions = vec![NO_NAME; radix as usize];
        let mut by_text = HashMap::with_capacity(pairs.len());
        for (i, (code, name)) in pairs.iter().enumerate() {
            let Some(position) = positions.get_mut(*code as usize) else {
                return Err(format!("{} has code {code}, but the field has codes 0 to {}", shown(name), radix - 1));
            };
            *position = i as u32;
            if let Some(name) = name {
                if name.is_empty() {
                    return Err("a name is empty".to_owned());
                }
                if by_text.insert(Arc::clone(name), *code).is_some() {
                    return Err(format!("{name:?} is listed twice"));
                }
            }
        }
        let dense = pairs.iter().zip(0..).all(|((code, _), i)| *code == i);
        let codes = pairs.iter().map(|(code, _)| *code).collect();
        Ok(Self { names: pairs.into_iter().map(|(_, name)| name).collect(), codes, positions, by_text, null, dense })
    }

    /// Whether every code up to `top` has a name.
    pub(super) fn is_full(&self, top: u64) -> bool {
        self.dense && self.names.len() as u64 == top + 1
    }

    /// The name of a code: `None` when it has none, `Some(None)` for the null.
    pub(super) fn name(&self, code: u64) -> Option<&Option<Arc<str>>> {
        let position = *self.positions.get(usize::try_from(code).ok()?)?;
        self.names.get(position as usize)
    }

    /// All names, for messages.
    pub(super) fn list(&self) -> String {
        let names: Vec<_> = self.names.iter().flatten().take(40).map(|n| &**n).collect();
        names.join(", ")
    }
}
