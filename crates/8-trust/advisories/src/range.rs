//! Evaluation of affected versions: the algorithm of the OSV schema ("Evaluation").

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::record::{Affected, Range, RangeEvent};
use crate::version::{Scheme, compare, plain};

/// Result of evaluating a version against a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Evaluation {
    /// The version is not affected.
    Unaffected,
    /// The version is affected.
    Affected {
        /// The first later version without the vulnerability.
        fixed: Option<String>,
    },
    /// The version cannot be evaluated. Treat it as affected.
    Undecided {
        /// Reason in words.
        why: String,
    },
}

impl Affected {
    /// Evaluates a version. `names` are the names that a list of versions may have it under: the version itself, a tag.
    pub fn verdict(&self, version: &str, names: &[String], scheme: Scheme) -> Evaluation {
        let mut fixed = None;
        let mut affected = false;
        let mut undecided = None;
        for range in &self.ranges {
            match range.verdict(version, scheme) {
                Evaluation::Unaffected => {}
                Evaluation::Affected { fixed: later } => {
                    affected = true;
                    fixed = fixed.or(later);
                }
                Evaluation::Undecided { why } => undecided = Some(why),
            }
        }
        affected |= self.lists(version, names);
        match (affected, undecided) {
            (true, _) => Evaluation::Affected {
                fixed: fixed.or_else(|| self.fix_after(version, scheme)),
            },
            (false, Some(why)) => Evaluation::Undecided { why },
            (false, None) => Evaluation::Unaffected,
        }
    }

    fn lists(&self, version: &str, names: &[String]) -> bool {
        let is = |listed: &String| plain(listed) == plain(version) || names.contains(listed);
        self.versions.iter().any(is)
    }

    /// The first fix after a version, from whatever range.
    fn fix_after(&self, version: &str, scheme: Scheme) -> Option<String> {
        let fixes = self.ranges.iter().filter_map(|range| range.fix_after(version, scheme));
        fixes.min_by(|one, other| compare(scheme, one, other).unwrap_or(Ordering::Equal))
    }
}

impl Range {
    fn verdict(&self, version: &str, scheme: Scheme) -> Evaluation {
        let scheme = self.scheme(version, scheme);
        match self.contains(version, scheme) {
            Some(false) => Evaluation::Unaffected,
            Some(true) => Evaluation::Affected {
                fixed: self.fix_after(version, scheme),
            },
            None => Evaluation::Undecided {
                why: format!("{version} cannot be compared with the versions of the record"),
            },
        }
    }

    /// Semantic versions are compared as such where ours is one too.
    fn scheme(&self, version: &str, scheme: Scheme) -> Scheme {
        let comparable =
            |event: &RangeEvent| is_extreme(text(event)) || compare(Scheme::SemVer, version, text(event)).is_some();
        if self.semantic && self.events.iter().all(comparable) {
            return Scheme::SemVer;
        }
        scheme
    }

    /// Returns `true` if the range contains the version; `None` if versions cannot be compared.
    fn contains(&self, version: &str, scheme: Scheme) -> Option<bool> {
        let reached = |event: &RangeEvent| order(scheme, version, event).map(Ordering::is_ge);
        let mut limits = self
            .events
            .iter()
            .filter(|event| matches!(event, RangeEvent::Limit(_)))
            .peekable();
        if limits.peek().is_some() {
            let mut before = false;
            for limit in limits {
                before |= !reached(limit)?;
            }
            if !before {
                return Some(false);
            }
        }
        let mut timeline: Vec<&RangeEvent> = self
            .events
            .iter()
            .filter(|event| !matches!(event, RangeEvent::Limit(_)))
            .collect();
        // An insertion sort, which keeps what is equal in its order and stops where something cannot be compared.
        for end in 1..timeline.len() {
            let mut place = end;
            while let Some(before) = place.checked_sub(1)
                && let Some([earlier, event]) = timeline.get(before..=place)
                && order_of(scheme, event, earlier)? == Ordering::Less
            {
                timeline.swap(before, place);
                place = before;
            }
        }
        // A range that does not say where it begins begins at the beginning.
        let mut affected =
            !timeline.iter().any(|event| matches!(event, RangeEvent::Introduced(_))) && !timeline.is_empty();
        for event in timeline {
            match (event, order(scheme, version, event)?) {
                (RangeEvent::Introduced(_), Ordering::Equal | Ordering::Greater) => affected = true,
                (RangeEvent::Fixed(_), Ordering::Equal | Ordering::Greater)
                | (RangeEvent::LastAffected(_), Ordering::Greater) => {
                    affected = false;
                }
                _ => {}
            }
        }
        Some(affected)
    }

    fn fix_after(&self, version: &str, scheme: Scheme) -> Option<String> {
        let later = self.events.iter().filter_map(|event| match event {
            RangeEvent::Fixed(fixed) if compare(scheme, version, fixed) == Some(Ordering::Less) => Some(fixed),
            _ => None,
        });
        later
            .min_by(|one, other| compare(scheme, one, other).unwrap_or(Ordering::Equal))
            .cloned()
    }
}

fn text(event: &RangeEvent) -> &str {
    match event {
        RangeEvent::Introduced(text)
        | RangeEvent::Fixed(text)
        | RangeEvent::LastAffected(text)
        | RangeEvent::Limit(text) => text,
    }
}

fn is_extreme(text: &str) -> bool {
    text == "0" || text == "*"
}

/// Compares a version with an event: `0` is before all versions, `*` after all.
fn order(scheme: Scheme, version: &str, event: &RangeEvent) -> Option<Ordering> {
    match text(event) {
        "0" => Some(Ordering::Greater),
        "*" => Some(Ordering::Less),
        other => compare(scheme, version, other),
    }
}

fn order_of(scheme: Scheme, one: &RangeEvent, other: &RangeEvent) -> Option<Ordering> {
    match (text(one), text(other)) {
        (one, other) if one == other => Some(Ordering::Equal),
        ("0", _) | (_, "*") => Some(Ordering::Less),
        (_, "0") | ("*", _) => Some(Ordering::Greater),
        (one, other) => compare(scheme, one, other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(text: &str) -> Vec<RangeEvent> {
        let event = |word: &str| {
            let (sign, version) = word.split_at(1);
            let version = version.to_owned();
            match sign {
                "+" => RangeEvent::Introduced(version),
                "-" => RangeEvent::Fixed(version),
                "=" => RangeEvent::LastAffected(version),
                _ => RangeEvent::Limit(version),
            }
        };
        text.split_whitespace().map(event).collect()
    }

    fn affected(semantic: bool, text: &str, versions: &[&str]) -> Affected {
        Affected {
            ecosystem: "Go".into(),
            name: "m".into(),
            severity: None,
            ranges: vec![Range {
                semantic,
                events: events(text),
            }],
            versions: versions.iter().map(|version| (*version).to_owned()).collect(),
            commits: false,
        }
    }

    fn fixed(version: &str) -> Evaluation {
        Evaluation::Affected {
            fixed: (!version.is_empty()).then(|| version.to_owned()),
        }
    }

    #[test]
    fn ranges_of_each_ecosystem() {
        // + introduced, - fixed, = last affected, < limit.
        let table: &[(Scheme, bool, &str, &str, Evaluation)] = &[
            (Scheme::SemVer, true, "+0", "v1.2.3", fixed("")),
            (Scheme::SemVer, true, "+0 -1.2.4", "v1.2.3", fixed("1.2.4")),
            (Scheme::SemVer, true, "+0 -1.2.3", "v1.2.3", Evaluation::Unaffected),
            (Scheme::SemVer, true, "+1.2.3 -1.3.0", "v1.2.3", fixed("1.3.0")),
            (
                Scheme::SemVer,
                true,
                "+1.2.3-0 -1.3.0",
                "v1.2.2",
                Evaluation::Unaffected,
            ),
            (
                Scheme::SemVer,
                true,
                "+1.0.0 -1.0.2 +3.0.0 -3.2.5",
                "3.2.4",
                fixed("3.2.5"),
            ),
            (
                Scheme::SemVer,
                true,
                "+1.0.0 -1.0.2 +3.0.0 -3.2.5",
                "2.0.0",
                Evaluation::Unaffected,
            ),
            // Out of order, as some databases write them.
            (
                Scheme::SemVer,
                true,
                "-3.2.5 +3.0.0 -1.0.2 +1.0.0",
                "1.0.1",
                fixed("1.0.2"),
            ),
            (Scheme::SemVer, true, "+0 =1.2.3", "1.2.3", fixed("")),
            (Scheme::SemVer, true, "+0 =1.2.3", "1.2.4", Evaluation::Unaffected),
            (Scheme::SemVer, true, "+0 <2.0.0", "1.9.9", fixed("")),
            (Scheme::SemVer, true, "+0 <2.0.0", "2.0.0", Evaluation::Unaffected),
            (Scheme::SemVer, true, "+0 <*", "9.0.0", fixed("")),
            (Scheme::SemVer, true, "-2.0.0", "1.0.0", fixed("2.0.0")),
            (Scheme::SemVer, true, "", "1.0.0", Evaluation::Unaffected),
            (
                Scheme::SemVer,
                true,
                "+0 -0.0.0-20260101000000-abcdefabcdef",
                "v0.0.0-20250101000000-abcdefabcdef",
                fixed("0.0.0-20260101000000-abcdefabcdef"),
            ),
            (
                Scheme::SemVer,
                true,
                "+0 -0.0.0-20260101000000-abcdefabcdef",
                "v0.0.0-20270101000000-abcdefabcdef",
                Evaluation::Unaffected,
            ),
            // Linux: versions of an upstream.
            (
                Scheme::Upstream,
                false,
                "+6.1 -6.6.50 +6.7 -6.12.108",
                "6.12.107",
                fixed("6.12.108"),
            ),
            (
                Scheme::Upstream,
                false,
                "+6.13-rc1 -6.14",
                "6.12.107",
                Evaluation::Unaffected,
            ),
            // SEMVER of a package whose version is none: as rpm compares.
            (Scheme::Upstream, true, "+0 -2026.2.0", "2026c", fixed("2026.2.0")),
        ];
        for (scheme, semantic, range, version, verdict) in table {
            let found = affected(*semantic, range, &[]).verdict(version, &[], *scheme);
            assert_eq!(found, *verdict, "{version} in {range}");
        }
    }

    #[test]
    fn lists_of_versions_count_too() {
        let listed = affected(true, "+2.0.0 -2.0.1", &["v1.2.3", "openssl-3.5.0"]);
        assert_eq!(listed.verdict("1.2.3", &[], Scheme::SemVer), fixed("2.0.1"));
        assert_eq!(listed.verdict("3.5.0", &[], Scheme::SemVer), Evaluation::Unaffected);
        assert_eq!(
            listed.verdict("3.5.0", &["openssl-3.5.0".to_owned()], Scheme::SemVer),
            fixed("")
        );
    }

    #[test]
    fn what_cannot_be_compared_is_undecided_and_not_safe() {
        let range = affected(true, "+0 -not.a.version", &[]);
        assert!(matches!(
            range.verdict("1.2.3", &[], Scheme::SemVer),
            Evaluation::Undecided { .. }
        ));
    }

    proptest! {
        #[test]
        fn introduced_to_fixed_without_the_latter(
            mut bounds in prop::collection::btree_set(any::<[u8; 3]>(), 2..8),
            version in any::<[u8; 3]>(),
            seed in any::<u64>(),
        ) {
            if bounds.len() % 2 == 1 {
                bounds.pop_last();
            }
            let bounds: Vec<_> = bounds.into_iter().collect();
            let text = |parts: [u8; 3]| format!("{}.{}.{}", parts[0], parts[1], parts[2]);
            let mut list: Vec<RangeEvent> = bounds.iter().enumerate().map(|(index, bound)| match index % 2 {
                0 => RangeEvent::Introduced(text(*bound)),
                _ => RangeEvent::Fixed(text(*bound)),
            }).collect();
            // The order of the events in the record does not matter.
            let turn = usize::try_from(seed % list.len() as u64).unwrap_or_default();
            list.rotate_left(turn);
            let mut range = affected(true, "", &[]);
            range.ranges[0].events = list;
            let inside = bounds.chunks(2).any(|pair| pair[0] <= version && version < pair[1]);
            for scheme in [Scheme::SemVer, Scheme::Upstream] {
                let verdict = range.verdict(&text(version), &[], scheme);
                prop_assert_eq!(matches!(verdict, Evaluation::Affected { .. }), inside);
            }
        }
    }
}
