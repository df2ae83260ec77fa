//! Capabilities that packages provide and require: a name, and optionally a range of versions.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use rpm::{Dependency, DependencyFlags};
use serde::{Deserialize, Serialize};

/// Comparison of a version in a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `=`
    Equal,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
}

impl Operator {
    fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        }
    }

    fn reaches_down(self) -> bool {
        matches!(self, Self::Less | Self::LessOrEqual)
    }

    fn reaches_up(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual)
    }

    fn includes_equal(self) -> bool {
        matches!(self, Self::LessOrEqual | Self::Equal | Self::GreaterOrEqual)
    }
}

/// A capability that a package provides, requires, conflicts with or obsoletes: `zlib`, `libz.so.1()(64bit)`,
/// `kernel-modules = 6.12.107-1.bs1`, `/usr/bin/mount`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Capability {
    /// The name, or the path of a file.
    pub name: String,
    /// The range of versions; none means any.
    pub version: Option<(Operator, String)>,
}

/// Text that is not a capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a package or capability: `name` or `name >= version` is expected")]
pub struct InvalidCapability(pub String);

impl Capability {
    /// A name without a version.
    pub fn any(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: None,
        }
    }

    pub(crate) fn from_header(dependency: &Dependency) -> Self {
        let has = |flag| dependency.flags.contains(flag);
        let operator = match (
            has(DependencyFlags::LESS),
            has(DependencyFlags::EQUAL),
            has(DependencyFlags::GREATER),
        ) {
            (true, false, _) => Some(Operator::Less),
            (true, true, _) => Some(Operator::LessOrEqual),
            (false, true, true) => Some(Operator::GreaterOrEqual),
            (false, false, true) => Some(Operator::Greater),
            (false, true, false) => Some(Operator::Equal),
            (false, false, false) => None,
        };
        let version = operator
            .filter(|_| !dependency.version.is_empty())
            .map(|operator| (operator, dependency.version.clone()));
        Self {
            name: dependency.name.clone(),
            version,
        }
    }

    /// Returns `true` if a package that provides `self` satisfies `wanted`: the names are equal and the ranges of
    /// versions intersect. A side without a version matches every version.
    pub fn satisfies(&self, wanted: &Self) -> bool {
        if self.name != wanted.name {
            return false;
        }
        let (Some((have, have_version)), Some((want, want_version))) = (&self.version, &wanted.version) else {
            return true;
        };
        match compare(have_version, want_version) {
            Ordering::Equal => {
                (have.includes_equal() && want.includes_equal())
                    || (have.reaches_up() && want.reaches_up())
                    || (have.reaches_down() && want.reaches_down())
            }
            Ordering::Less => have.reaches_up() || want.reaches_down(),
            Ordering::Greater => have.reaches_down() || want.reaches_up(),
        }
    }
}

/// Compares versions as rpm does: where one side has no release, releases do not count.
pub fn compare(one: &str, other: &str) -> Ordering {
    if one == other {
        return Ordering::Equal;
    }
    let (one, other) = (rpm_version::Evr::parse(one), rpm_version::Evr::parse(other));
    if !one.release().is_empty() && !other.release().is_empty() {
        return one.cmp(&other);
    }
    let without = |evr: &rpm_version::Evr<'_>| {
        rpm_version::Evr::new(evr.epoch().to_owned(), evr.version().to_owned(), String::new())
    };
    without(&one).cmp(&without(&other))
}

/// Returns the canonical path on a system with merged `/usr`: `/bin`, `/sbin`, `/lib` and `/lib64` are links into
/// `/usr`, and `/usr/sbin` and `/usr/lib64` are links to their siblings.
pub fn usr_merged(path: &str) -> String {
    const LINKS: [(&str, &str); 6] = [
        ("/bin/", "/usr/bin/"),
        ("/sbin/", "/usr/bin/"),
        ("/lib/", "/usr/lib/"),
        ("/lib64/", "/usr/lib/"),
        ("/usr/sbin/", "/usr/bin/"),
        ("/usr/lib64/", "/usr/lib/"),
    ];
    let moved = LINKS
        .iter()
        .find_map(|(from, to)| path.strip_prefix(from).map(|rest| format!("{to}{rest}")));
    moved.unwrap_or_else(|| path.to_owned())
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.version {
            Some((operator, version)) => write!(f, " {} {version}", operator.sign()),
            None => Ok(()),
        }
    }
}

impl FromStr for Capability {
    type Err = InvalidCapability;

    fn from_str(text: &str) -> Result<Self, InvalidCapability> {
        let wrong = || InvalidCapability(text.to_owned());
        // A boolean dependency, `(a if b)`: no package provides that name, and the solver will report it.
        if text.starts_with('(') && text.ends_with(')') {
            return Ok(Self::any(text));
        }
        let words: Vec<_> = text.split_whitespace().collect();
        match words.as_slice() {
            [name] => Ok(Self::any(*name)),
            [name, sign, version] => {
                let operator = match *sign {
                    "<" => Operator::Less,
                    "<=" => Operator::LessOrEqual,
                    "=" | "==" => Operator::Equal,
                    ">=" => Operator::GreaterOrEqual,
                    ">" => Operator::Greater,
                    _ => return Err(wrong()),
                };
                Ok(Self {
                    name: (*name).to_owned(),
                    version: Some((operator, (*version).to_owned())),
                })
            }
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Capability {
    type Error = InvalidCapability;

    fn try_from(text: String) -> Result<Self, InvalidCapability> {
        text.parse()
    }
}

impl From<Capability> for String {
    fn from(capability: Capability) -> Self {
        capability.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn satisfies(have: &str, want: &str) -> bool {
        let parse = |text: &str| text.parse::<Capability>().expect("a capability");
        parse(have).satisfies(&parse(want))
    }

    #[test]
    fn ranges_meet_as_in_rpm() {
        assert!(satisfies("a = 1.3.1-1.bs1", "a"));
        assert!(satisfies("a = 1.3.1-1.bs1", "a >= 1.3"));
        assert!(satisfies("a = 1.3.1-1.bs1", "a = 1.3.1"));
        assert!(!satisfies("a = 1.3.1-1.bs1", "a = 1.3.1-2.bs1"));
        assert!(!satisfies("a = 1.3.1-1.bs1", "a > 1.3.1"));
        assert!(!satisfies("a = 2:1.0-1", "a < 1:5"));
        assert!(satisfies("a", "a >= 7"));
        assert!(!satisfies("b = 1", "a"));
        assert!(satisfies("a >= 2", "a < 3"));
        assert!(!satisfies("a >= 3", "a < 3"));
    }

    #[test]
    fn text_and_back() {
        for text in [
            "zlib",
            "libc.so.6(GLIBC_2.34)(64bit)",
            "kernel = 6.12.107-1.bs1",
            "/usr/bin/mount",
            "(a if b)",
        ] {
            assert_eq!(text.parse::<Capability>().expect("a capability").to_string(), text);
        }
        assert!("a ~ 3".parse::<Capability>().is_err());
        assert!("".parse::<Capability>().is_err());
    }

    #[test]
    fn old_paths_mean_new_ones() {
        assert_eq!(usr_merged("/bin/sh"), "/usr/bin/sh");
        assert_eq!(usr_merged("/usr/sbin/sshd"), "/usr/bin/sshd");
        assert_eq!(usr_merged("/etc/bin/x"), "/etc/bin/x");
    }
}
