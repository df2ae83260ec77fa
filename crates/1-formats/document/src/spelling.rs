//! What somebody meant who wrote a word that there is not.

/// The candidate that a person most likely meant, if one is near: a few letters away (two that changed places are one),
/// without regard to case and hyphens, or a longer or shorter form of the same word.
pub fn closest<'w>(word: &str, candidates: impl Iterator<Item = &'w str>) -> Option<&'w str> {
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
