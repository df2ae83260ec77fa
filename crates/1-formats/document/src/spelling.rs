//! Suggestions for misspelled names.

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
}
