//! Which collections a search goes through, in order.

use super::mask::glob;
use crate::dataset::{Collection, CollectionType};
use crate::dimension::near_miss;
use crate::registry::RegistryError;

/// Positions in `known` (sorted by name) of the collections that are searched, without CHAINED ones and repetitions.
///
/// Patterns have no search order, and without a time nothing of a CALIBRATION collection is found: with `find_first` the one
/// is refused, the other passed over. `known` may lack members of a chain: the snapshot was made without them, and they are passed over.
pub(super) fn expand(known: &[Collection], names: &[&str], find_first: bool) -> Result<Vec<usize>, RegistryError> {
    let mut path = Vec::with_capacity(names.len());
    for name in names {
        if name.contains(['*', '?']) {
            if find_first {
                return Err(RegistryError::PatternInSearch { pattern: (*name).to_owned() });
            }
            let pattern: Vec<char> = name.chars().collect();
            for (at, _) in known.iter().enumerate().filter(|(_, c)| glob(&pattern, &c.name)) {
                append(known, at, &mut path, &mut Vec::new());
            }
        } else if let Some(at) = position(known, name) {
            append(known, at, &mut path, &mut Vec::new());
        } else {
            return Err(RegistryError::UnknownCollection {
                name: (*name).to_owned(),
                near: near_miss(name, known.iter().map(|c| &*c.name)),
            });
        }
    }
    if find_first {
        path.retain(|at| known[*at].collection_type != CollectionType::Calibration);
    }
    Ok(path)
}

fn position(known: &[Collection], name: &str) -> Option<usize> {
    known.binary_search_by(|c| (*c.name).cmp(name)).ok()
}

/// `open` has the chains that are being walked: one that contains itself, in a hostile file, ends there.
fn append(known: &[Collection], at: usize, path: &mut Vec<usize>, open: &mut Vec<usize>) {
    let Some(collection) = known.get(at) else { return };
    if collection.collection_type != CollectionType::Chained {
        if !path.contains(&at) {
            path.push(at);
        }
        return;
    }
    if open.contains(&at) {
        return;
    }
    open.push(at);
    for child in &collection.children {
        if let Some(child) = position(known, child) {
            append(known, child, path, open);
        }
    }
    // A chain once walked adds nothing when it is met again, so it stays in `open`.
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_walked_depth_first_once_and_loops_end() {
        let make = |name: &str, children: &[&str]| Collection {
            name: name.into(),
            collection_type: if children.is_empty() { CollectionType::Run } else { CollectionType::Chained },
            children: children.iter().map(|c| (*c).into()).collect(),
        };
        let known = [
            make("a", &["r3", "b", "r1"]),
            make("b", &["r2", "a", "r3", "absent"]),
            make("r1", &[]),
            make("r2", &[]),
            make("r3", &[]),
        ];
        assert_eq!(expand(&known, &["a"], true).unwrap(), [4, 3, 2]);
        assert_eq!(expand(&known, &["r1", "a"], true).unwrap(), [2, 4, 3]);
        assert_eq!(expand(&known, &["r?"], false).unwrap(), [2, 3, 4]);
        assert!(matches!(expand(&known, &["r?"], true), Err(RegistryError::PatternInSearch { .. })));
        assert!(matches!(expand(&known, &["r11"], true), Err(RegistryError::UnknownCollection { near: Some(_), .. })));
    }
}
