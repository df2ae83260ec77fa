//! Version skew policy of Kubernetes: a kubelet is never newer than its API server, and at most three minors older.

use std::fmt;
use std::str::FromStr;

use basalt_document::Finding;
use basalt_node_config::KubeletMinor;

/// Most minors that a kubelet may be older than its API server, since Kubernetes 1.28.
const OLDEST: u32 = 3;

/// Version of Kubernetes: `v1.37.2`. What vendors append (`-gke.100`, `+k3s1`) does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubernetesVersion {
    /// Major.
    pub major: u32,
    /// Minor.
    pub minor: u32,
    /// Patch.
    pub patch: u32,
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for KubernetesVersion {
    type Err = Finding;

    fn from_str(text: &str) -> Result<Self, Finding> {
        let wrong = || {
            let finding = Finding::error(format!("`{text}` is not a version of Kubernetes"), "not a version");
            finding.with_help("write `v1.37.2`")
        };
        let numbers = text.trim().trim_start_matches('v');
        let numbers = numbers.split(['-', '+']).next().unwrap_or_default();
        let numbers: Result<Vec<u32>, _> = numbers.split('.').map(str::parse).collect();
        match numbers.map_err(|_| wrong())?[..] {
            [major, minor] => Ok(Self { major, minor, patch: 0 }),
            [major, minor, patch] => Ok(Self { major, minor, patch }),
            _ => Err(wrong()),
        }
    }
}

/// Verdict on a kubelet and a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionSkew {
    /// Supported, by so many minors older.
    Supported(u32),
    /// The kubelet is newer.
    KubeletNewer,
    /// The kubelet is too old, by so many minors.
    KubeletTooOld(u32),
    /// Another major version, of which nothing is known.
    OtherMajor,
}

/// Verdict of the skew policy.
pub fn skew(kubelet: KubernetesVersion, control_plane: KubernetesVersion) -> VersionSkew {
    if kubelet.major != control_plane.major {
        return VersionSkew::OtherMajor;
    }
    match control_plane.minor.checked_sub(kubelet.minor) {
        None => VersionSkew::KubeletNewer,
        Some(older) if older <= OLDEST => VersionSkew::Supported(older),
        Some(older) => VersionSkew::KubeletTooOld(older),
    }
}

impl VersionSkew {
    /// `true` if the node may join.
    pub fn is_supported(self) -> bool {
        matches!(self, Self::Supported(_))
    }

    /// The verdict in a sentence, with what to do about it.
    pub fn sentence(self, kubelet: KubernetesVersion, control_plane: KubernetesVersion) -> String {
        let versions = format!("the kubelet is {kubelet} and the control plane {control_plane}");
        let image = image_for(control_plane);
        match (self, image) {
            (Self::Supported(0), _) => format!("{versions}: the same minor version"),
            (Self::Supported(older), _) => {
                format!("{versions}: {older} minor versions older, of {OLDEST} that are supported")
            }
            (Self::KubeletNewer, Some(image)) => format!(
                "{versions}: a kubelet must not be newer than its API server; upgrade the control plane first, or use {image}"
            ),
            (Self::KubeletNewer, None) => format!(
                "{versions}: a kubelet must not be newer than its API server, and no image has one that old; upgrade the control \
                 plane first, to {} at least",
                KubeletMinor::OLDEST
            ),
            (Self::KubeletTooOld(older), Some(image)) => {
                format!("{versions}: {older} minor versions older, and {OLDEST} are supported; use {image}")
            }
            (Self::KubeletTooOld(older), None) => format!(
                "{versions}: {older} minor versions older, and {OLDEST} are supported; no image has a kubelet for it yet, the newest \
                 is {}",
                KubeletMinor::NEWEST
            ),
            (Self::OtherMajor, _) => {
                format!("{versions}: nothing is known of this pair, and no image has another kubelet")
            }
        }
    }
}

/// Image with the newest kubelet that goes with a control plane, in words.
fn image_for(control_plane: KubernetesVersion) -> Option<String> {
    let goes = |minor: &KubeletMinor| {
        let kubelet = KubernetesVersion {
            major: 1,
            minor: minor.number(),
            patch: 0,
        };
        skew(kubelet, control_plane).is_supported()
    };
    let minor = KubeletMinor::ALL.into_iter().rev().find(goes)?;
    Some(format!("the image `{}` (`--kubelet {minor}`)", minor.image()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> KubernetesVersion {
        text.parse().unwrap()
    }

    #[test]
    fn versions() {
        for (text, expected) in [
            ("v1.37.2", "v1.37.2"),
            ("1.37", "v1.37.0"),
            ("v1.30.4-gke.1348000", "v1.30.4"),
            ("v1.29.0+k3s1", "v1.29.0"),
            ("v1.38.0-alpha.1", "v1.38.0"),
            ("1.37+", "v1.37.0"),
        ] {
            assert_eq!(version(text).to_string(), expected);
        }
        for bad in ["", "v", "1", "a.b", "1.2.3.4", "1..2", "stable"] {
            assert!(bad.parse::<KubernetesVersion>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_policy() {
        let kubelet = version("v1.37.2");
        for (control_plane, expected) in [
            ("v1.37.0", VersionSkew::Supported(0)),
            ("v1.38.1", VersionSkew::Supported(1)),
            ("v1.40.0", VersionSkew::Supported(3)),
            ("v1.41.0", VersionSkew::KubeletTooOld(4)),
            ("v1.36.9", VersionSkew::KubeletNewer),
            ("v1.33.0", VersionSkew::KubeletNewer),
            ("v2.37.0", VersionSkew::OtherMajor),
        ] {
            let control_plane = version(control_plane);
            let found = skew(kubelet, control_plane);
            assert_eq!(found, expected, "{control_plane}");
            let sentence = found.sentence(kubelet, control_plane);
            assert!(
                sentence.contains("v1.37.2") && sentence.contains(&control_plane.to_string()),
                "{sentence}"
            );
        }
    }

    #[test]
    fn images_are_those_that_there_are() {
        for (kubelet, control_plane, expected) in [
            (
                "v1.37.2",
                "v1.36.4",
                "or use the image `node-kubelet-1.36` (`--kubelet 1.36`)",
            ),
            (
                "v1.37.2",
                "v1.35.0",
                "or use the image `node-kubelet-1.35` (`--kubelet 1.35`)",
            ),
            (
                "v1.37.2",
                "v1.33.0",
                "no image has one that old; upgrade the control plane first, to 1.35 at least",
            ),
            (
                "v1.35.5",
                "v1.40.0",
                "3 are supported; use the image `node` (`--kubelet 1.37`)",
            ),
            (
                "v1.37.2",
                "v1.41.0",
                "no image has a kubelet for it yet, the newest is 1.37",
            ),
            ("v1.37.2", "v2.0.0", "no image has another kubelet"),
        ] {
            let (kubelet, control_plane) = (version(kubelet), version(control_plane));
            let sentence = skew(kubelet, control_plane).sentence(kubelet, control_plane);
            assert!(sentence.ends_with(expected), "{sentence}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>(), one in any::<(u32, u32)>(), other in any::<(u32, u32)>()) {
            let _ = text.parse::<KubernetesVersion>();
            let of = |(major, minor)| KubernetesVersion { major, minor, patch: 0 };
            let verdict = skew(of(one), of(other));
            let _ = verdict.sentence(of(one), of(other));
            // Never both ways, but for the same minor.
            if one.1 != other.1 {
                prop_assert!(!(verdict.is_supported() && skew(of(other), of(one)).is_supported()));
            }
        }
    }
}
