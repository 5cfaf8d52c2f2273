//! [`CollectionSearch`]: where datasets of each type are looked for.

use std::fmt;
use std::str::FromStr;

use super::{Collection, CollectionType};

/// Where datasets are looked for, in order, for each dataset type by itself.
///
/// Its text is entries with commas between, each a collection's name or `TYPE=NAME`:
///
/// * `NAME` is searched for datasets of every type, at its place in the order;
/// * `TYPE=NAME` only for one type, or for the types that a pattern with `*` and `?` matches. Several entries of one type are
///   its own search path, in their order;
/// * `*=NAME` is for all types that have no `TYPE=NAME` of their own.
///
/// A collection with `=` in its name is written `*=NAME`. Everything that takes a list of collections takes such entries, in a
/// registry and in a snapshot alike.
///
/// ```
/// use bunter::CollectionSearch;
///
/// let search: CollectionSearch = "calexp=HSC/runs/w30,*=HSC/runs/w28,HSC/defaults".parse()?;
/// assert_eq!(search.of("calexp"), ["HSC/runs/w30", "HSC/defaults"]);
/// assert_eq!(search.of("src"), ["HSC/runs/w28", "HSC/defaults"]);
/// assert_eq!(search.to_string(), "calexp=HSC/runs/w30,*=HSC/runs/w28,HSC/defaults");
/// assert!("calexp=".parse::<CollectionSearch>().is_err());
/// # Ok::<(), bunter::CollectionSearchError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CollectionSearch {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    /// A dataset type or a pattern of such; none for every type.
    kind: Option<String>,
    collection: String,
}

/// Why a text says not where to search.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{entry:?} is no part of a search path: {reason}; expected a collection, or TYPE=COLLECTION such as calexp=HSC/runs/w30"
)]
pub struct CollectionSearchError {
    /// The entry.
    pub entry: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// A collection that is searched, and the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchStep {
    /// The collection, of any type but CHAINED.
    pub collection: Collection,
    /// The names from the entry of the search to the collection, each a member of the one before.
    pub route: Vec<String>,
}

impl CollectionSearch {
    /// A search through entries, each as in the text.
    ///
    /// # Errors
    /// [`CollectionSearchError`] for an entry without a collection, or of what can be no dataset type.
    pub fn parse(entries: &[impl AsRef<str>]) -> Result<Self, CollectionSearchError> {
        entries.iter().map(|e| Entry::parse(e.as_ref())).collect::<Result<_, _>>().map(|entries| Self { entries })
    }

    /// The collections, or patterns of such, that are searched for datasets of a type.
    pub fn of(&self, dataset_type: &str) -> Vec<&str> {
        let own = self.has_own(dataset_type);
        self.entries.iter().filter(|e| e.serves(dataset_type, own)).map(|e| &*e.collection).collect()
    }

    /// Whether a type has a search path of its own.
    fn has_own(&self, dataset_type: &str) -> bool {
        self.entries.iter().any(|e| e.kind.as_deref().is_some_and(|k| k != "*" && glob(k, dataset_type)))
    }

    /// Of a list of entries the names that are searched for a type: what everything that takes collections does with them.
    ///
    /// # Errors
    /// [`CollectionSearchError`] as [`CollectionSearch::parse`].
    pub fn names_for<'a>(entries: &[&'a str], dataset_type: &str) -> Result<Vec<&'a str>, CollectionSearchError> {
        if entries.iter().all(|e| !e.contains('=')) {
            return Ok(entries.to_vec());
        }
        let search = Self::parse(entries)?;
        let own = search.has_own(dataset_type);
        let chosen = search.entries.iter().zip(entries).filter(|(entry, _)| entry.serves(dataset_type, own));
        Ok(chosen.map(|(_, text)| text.split_once('=').map_or(*text, |(_, name)| name).trim()).collect())
    }

    /// All collections that are searched for some type, each once.
    pub fn all(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for entry in &self.entries {
            if !names.contains(&&*entry.collection) {
                names.push(&entry.collection);
            }
        }
        names
    }

    /// Whether all types are searched for in the same collections.
    pub fn is_uniform(&self) -> bool {
        self.entries.iter().all(|e| e.kind.is_none())
    }

    /// The collections that a search for a type goes through one after the other, with the ways to them: depth first through
    /// chains, each collection where it comes first. `known` are all collections; unknown names and patterns lead nowhere.
    pub fn steps(&self, dataset_type: &str, known: &[Collection]) -> Vec<SearchStep> {
        let find = |name: &str| known.iter().position(|c| &*c.name == name);
        let mut open: Vec<(usize, Vec<String>)> = Vec::new();
        for name in self.of(dataset_type).into_iter().rev() {
            open.extend(find(name).map(|at| (at, vec![name.to_owned()])));
        }
        let mut seen = vec![false; known.len()];
        let mut steps = Vec::new();
        while let Some((at, route)) = open.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            let collection = &known[at];
            if collection.collection_type != CollectionType::Chained {
                steps.push(SearchStep { collection: collection.clone(), route });
                continue;
            }
            for child in collection.children.iter().rev() {
                let mut longer = route.clone();
                longer.push(child.to_string());
                open.extend(find(child).map(|at| (at, longer)));
            }
        }
        steps
    }
}

impl Entry {
    /// Whether it is searched for a type, which has a path of its own or not.
    fn serves(&self, dataset_type: &str, has_own: bool) -> bool {
        match self.kind.as_deref() {
            None => true,
            Some("*") => !has_own,
            Some(kind) => glob(kind, dataset_type),
        }
    }

    fn parse(text: &str) -> Result<Self, CollectionSearchError> {
        let wrong = |reason| CollectionSearchError { entry: text.chars().take(80).collect(), reason };
        let text = text.trim();
        let Some((kind, collection)) = text.split_once('=') else {
            return if text.is_empty() {
                Err(wrong("it is empty"))
            } else {
                Ok(Self { kind: None, collection: text.to_owned() })
            };
        };
        let (kind, collection) = (kind.trim(), collection.trim());
        if collection.is_empty() {
            return Err(wrong("no collection follows the `=`"));
        }
        if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"_*?".contains(&b)) {
            return Err(wrong("what stands before the `=` can be no dataset type"));
        }
        Ok(Self { kind: Some(kind.to_owned()), collection: collection.to_owned() })
    }
}

impl FromStr for CollectionSearch {
    type Err = CollectionSearchError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(&text.split(',').collect::<Vec<_>>())
    }
}

impl fmt::Display for CollectionSearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, entry) in self.entries.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            match &entry.kind {
                Some(kind) => write!(f, "{comma}{kind}={}", entry.collection)?,
                None => write!(f, "{comma}{}", entry.collection)?,
            }
        }
        Ok(())
    }
}

/// Whether a pattern of `*` and `?` matches an ASCII text: linear but for the last `*`.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, met)) = star else { return false };
                star = Some((at, met + 1));
                p = at + 1;
                t = met + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_paths_beat_the_rest() {
        let search: CollectionSearch = "flat=calib/2025b,bias=calib/2024a,f*=x,*=rest,last".parse().unwrap();
        assert_eq!(search.of("flat"), ["calib/2025b", "x", "last"]);
        assert_eq!(search.of("fringe"), ["x", "last"]);
        assert_eq!(search.of("bias"), ["calib/2024a", "last"]);
        assert_eq!(search.of("dark"), ["rest", "last"]);
        assert_eq!(search.all(), ["calib/2025b", "calib/2024a", "x", "rest", "last"]);
        assert!(!search.is_uniform());
    }

    #[test]
    fn what_is_no_search_is_refused() {
        for bad in ["", "a,,b", "=x", "calexp=", "cal exp=x", "HSC/x=y", "a b=c"] {
            assert!(bad.parse::<CollectionSearch>().is_err(), "{bad}");
        }
        assert_eq!("*=a=b".parse::<CollectionSearch>().unwrap().of("t"), ["a=b"]);
    }

    #[test]
    fn patterns_match_as_shells_do() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("?x", "ax", true),
            ("?x", "x", false),
            ("*a*b", "xaab", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
