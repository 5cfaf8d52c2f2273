//! The known name that a mistyped one was probably meant to be.

/// The nearest of `known` to `name`, when near enough to be a slip of the fingers (Damerau-Levenshtein distance of at
/// most a third of the length, or equal but for case, or one the beginning of the other).
pub(crate) fn near_miss<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Distances are quadratic in length: nobody mistypes a name of a thousand letters.
    if name.len() > 256 {
        return None;
    }
    let lower = name.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let other = candidate.to_lowercase();
        let distance = if other == lower {
            0
        } else if lower.len() >= 3 && (other.starts_with(&lower) || lower.starts_with(&other) && other.len() >= 3) {
            1
        } else {
            strsim::damerau_levenshtein(&lower, &other)
        };
        let allowed = (lower.chars().count().max(other.chars().count()) / 3).max(1);
        if distance <= allowed && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate.to_owned())
}

/// `": did you mean `visit`?"`, or nothing.
pub(crate) fn did_you_mean(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!(": did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["visit", "detector", "band", "physical_filter"];
        assert_eq!(near_miss("vist", known).as_deref(), Some("visit"));
        assert_eq!(near_miss("VISIT", known).as_deref(), Some("visit"));
        assert_eq!(near_miss("physical", known).as_deref(), Some("physical_filter"));
        assert_eq!(near_miss("dectetor", known).as_deref(), Some("detector"));
        assert_eq!(near_miss("airmass", known), None);
        assert_eq!(near_miss(&"v".repeat(100_000), known), None);
    }
}
