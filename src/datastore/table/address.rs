//! A file, and which of its tables is meant: `catalog.h5#/data/objects`, `catalog.fits[2]`.

use std::path::{Path, PathBuf};

use super::TableFormat;

/// Parts `file#object` and `file[object]`. A file that is called so is meant itself; anything before `#` or `[` that is neither
/// there nor ends like a file of several tables makes it an ordinary name.
pub(super) fn split(path: &Path) -> (PathBuf, Option<String>) {
    let whole = || (path.to_owned(), None);
    let Some(text) = path.to_str() else { return whole() };
    let bracket = text.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
    let Some((file, object)) = bracket.or_else(|| text.split_once('#')) else { return whole() };
    let several = matches!(TableFormat::of_file(Path::new(file)), Some(TableFormat::Hdf5 | TableFormat::Fits));
    if file.is_empty() || path.exists() || !(several || Path::new(file).exists()) {
        return whole();
    }
    (PathBuf::from(file), Some(object.to_owned()).filter(|o| !o.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_objects() {
        let parted = |text: &str| {
            let (file, object) = split(Path::new(text));
            (file.to_str().unwrap().to_owned(), object)
        };
        let some = |o: &str| Some(o.to_owned());
        assert_eq!(parted("no/a.h5#/data/x#1"), ("no/a.h5".to_owned(), some("/data/x#1")));
        assert_eq!(parted("no/a.fits[2]"), ("no/a.fits".to_owned(), some("2")));
        assert_eq!(parted("no/a#1.csv"), ("no/a#1.csv".to_owned(), None));
        assert_eq!(parted("no/a[1]"), ("no/a[1]".to_owned(), None));
        assert_eq!(parted("no/a.h5#"), ("no/a.h5".to_owned(), None));
        assert_eq!(parted("Cargo.toml#x"), ("Cargo.toml".to_owned(), some("x")));
    }
}
