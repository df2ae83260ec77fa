//! Severity of a vulnerability, from CVSS vectors and words.

use std::fmt;
use std::str::FromStr;

use cvss::Cvss;
use serde::{Deserialize, Serialize};

/// The levels of the CVSS standard's qualitative scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// CVSS score below 4.
    Low,
    /// CVSS score from 4 to 6.9.
    Medium,
    /// CVSS score from 7 to 8.9.
    High,
    /// CVSS score from 9.
    Critical,
}

/// A level, and the score that it comes from where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Severity {
    /// The level.
    pub level: Level,
    /// The CVSS score, from 0 to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

impl Severity {
    /// Reads a severity of an OSV record: a vector for `CVSS_V2`, `CVSS_V3` and `CVSS_V4`, a word for `Ubuntu`. `None`
    /// when it is neither, or incomplete.
    pub(crate) fn read(kind: &str, score: &str) -> Option<Self> {
        if !kind.starts_with("CVSS") {
            return score.parse().ok().map(Self::of);
        }
        let score = score.trim();
        if !is_whole(score) {
            return None;
        }
        let vector = Cvss::from_str(score).ok()?;
        let level = match vector.severity() {
            cvss::Severity::None | cvss::Severity::Low => Level::Low,
            cvss::Severity::Medium => Level::Medium,
            cvss::Severity::High => Level::High,
            cvss::Severity::Critical => Level::Critical,
        };
        Some(Self {
            level,
            score: Some(vector.score()),
        })
    }

    pub(crate) fn of(level: Level) -> Self {
        Self { level, score: None }
    }

    /// The worse of two.
    pub(crate) fn worse(self, other: Self) -> Self {
        let key = |severity: Self| (severity.level, severity.score.unwrap_or_default());
        match key(self).partial_cmp(&key(other)) {
            Some(std::cmp::Ordering::Less) => other,
            _ => self,
        }
    }
}

/// Returns `true` if a vector has all base metrics. The parser takes a missing metric as harmless, so that a truncated
/// vector would rate a vulnerability as low.
fn is_whole(vector: &str) -> bool {
    let base: &[&str] = match vector.split('/').next() {
        Some(version) if version.starts_with("CVSS:3") => &["AV", "AC", "PR", "UI", "S", "C", "I", "A"],
        Some(version) if version.starts_with("CVSS:4") => {
            &["AV", "AC", "AT", "PR", "UI", "VC", "VI", "VA", "SC", "SI", "SA"]
        }
        _ => &["AV", "AC", "Au", "C", "I", "A"],
    };
    let names: Vec<&str> = vector.split('/').filter_map(|part| part.split(':').next()).collect();
    base.iter().all(|metric| names.contains(metric))
}

/// The worst of some.
pub(crate) fn worst(severities: impl Iterator<Item = Severity>) -> Option<Severity> {
    severities.reduce(Severity::worse)
}

impl FromStr for Level {
    type Err = String;

    /// Parses the level names of CVSS, GitHub, Red Hat and Ubuntu.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "none" | "negligible" | "unimportant" | "low" => Ok(Self::Low),
            "medium" | "moderate" => Ok(Self::Medium),
            "high" | "important" => Ok(Self::High),
            "critical" => Ok(Self::Critical),
            _ => Err(format!("`{text}` is not low, medium, high or critical")),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_and_words_have_levels() {
        let level = |kind, score| Severity::read(kind, score).map(|severity| severity.level);
        assert_eq!(
            level("CVSS_V3", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
            Some(Level::Critical)
        );
        assert_eq!(
            level("CVSS_V3", "CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"),
            Some(Level::Medium)
        );
        assert_eq!(
            level(
                "CVSS_V4",
                "CVSS:4.0/AV:L/AC:H/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
            ),
            Some(Level::High)
        );
        assert_eq!(level("CVSS_V2", "AV:N/AC:L/Au:N/C:C/I:C/A:C"), Some(Level::High));
        assert_eq!(level("Ubuntu", "negligible"), Some(Level::Low));
        assert_eq!(level("CVSS_V3", "CVSS:3.1/AV:N"), None);
        assert_eq!(level("CVSS_V3", "7.5"), None);
        assert_eq!("MODERATE".parse(), Ok(Level::Medium));
    }

    #[test]
    fn the_worst_counts() {
        let all = [Level::Low, Level::Critical, Level::High].map(Severity::of);
        assert_eq!(
            worst(all.into_iter()).map(|severity| severity.level),
            Some(Level::Critical)
        );
        assert_eq!(worst(std::iter::empty()), None);
    }

    proptest::proptest! {
        #[test]
        fn no_vector_is_a_panic(text in "(CVSS:[234].[01]/)?[A-Z:/a-z]{0,80}") {
            let _ = Severity::read("CVSS_V3", &text);
        }
    }
}
