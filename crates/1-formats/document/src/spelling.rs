//! Suggestions for misspelled names.

use std::fmt::Display;

/// Returns the candidate that was most likely meant, if one is close: within a small edit distance (a transposition is
/// one edit), regardless of case, hyphens and underscores, or if one name is the beginning of the other.
pub fn closest<'w>(word: &str, candidates: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    // No name is that long, and the distance takes the product of two lengths.
    if word.len() > 200 {
        return None;
    }
    let plain = |word: &str| word.to_lowercase().replace(['-', '_'], "");
    let meant = plain(word);
    let near = |candidate: &&str| {
        let candidate = plain(candidate);
        let shared = meant.len() > 3 && (candidate.starts_with(&meant) || meant.starts_with(&candidate));
        let distance = strsim::osa_distance(&meant, &candidate);
        (distance <= 1 + candidate.len() / 5 || shared).then_some(distance)
    };
    candidates
        .filter_map(|candidate| Some((near(&candidate)?, candidate)))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Returns help on a name that is not known: the closest of the candidates, or else other advice.
pub fn suggestion<'w>(
    word: &str,
    candidates: impl Iterator<Item = &'w str>,
    otherwise: impl FnOnce() -> String,
) -> String {
    closest(word, candidates).map_or_else(otherwise, did_you_mean)
}

/// Returns the question whether a name was meant.
pub fn did_you_mean(guess: impl Display) -> String {
    format!("did you mean `{guess}`?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_meant() {
        let meant = |word| closest(word, ["zlib", "zlib-devel", "glibc", "node", "node-debug"].into_iter());
        assert_eq!(meant("zlibb"), Some("zlib"));
        assert_eq!(meant("zlib-devle"), Some("zlib-devel"));
        assert_eq!(meant("nod"), Some("node"));
        assert_eq!(meant("ndoe"), Some("node"));
        assert_eq!(meant("Node_Debug"), Some("node-debug"));
        assert_eq!(meant("kubernetes"), None);
    }

    #[test]
    fn a_suggestion_is_a_question_or_other_advice() {
        let help = |word| suggestion(word, ["zlib", "node"].into_iter(), || "see the list".to_owned());
        assert_eq!(help("zlibb"), "did you mean `zlib`?");
        assert_eq!(help("kubernetes"), "see the list");
    }
}
