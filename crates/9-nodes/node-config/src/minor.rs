//! Minor versions of Kubernetes whose kubelets a NodeConfig can be checked for.

use std::fmt;

/// Minor version of the kubelet in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KubeletMinor {
    /// Kubernetes 1.35.
    V1_35,
    /// Kubernetes 1.36.
    V1_36,
    /// Kubernetes 1.37.
    V1_37,
}

impl KubeletMinor {
    /// All minors, the oldest first.
    pub const ALL: [Self; 3] = [Self::V1_35, Self::V1_36, Self::V1_37];
    /// Oldest minor.
    pub const OLDEST: Self = Self::V1_35;
    /// Minor of the kubelet that images have unless they are variants with another one.
    pub const NEWEST: Self = Self::V1_37;

    /// Returns the minor of a version: `1.36`, `v1.36.3`, `1.36.3-gke.100`. None for any that there are no kubelets of.
    pub fn of_version(version: &str) -> Option<Self> {
        let mut numbers = version.trim_start_matches('v').splitn(3, '.');
        let (major, minor) = (numbers.next()?, numbers.next()?);
        let number: u32 = minor.parse().ok()?;
        Self::ALL
            .into_iter()
            .find(|known| major == "1" && known.number() == number)
    }

    /// Returns the minor 1.N, or the nearest one that there is a kubelet of.
    pub fn nearest(number: u32) -> Self {
        let not_newer = Self::ALL.into_iter().rev().find(|known| known.number() <= number);
        not_newer.unwrap_or(Self::OLDEST)
    }

    /// Returns the name of the image of nodes with this kubelet: `node`, or one of its variants.
    pub fn image(self) -> String {
        match self {
            Self::NEWEST => "node".to_owned(),
            other => format!("node-kubelet-{other}"),
        }
    }

    /// Returns the N of 1.N.
    pub fn number(self) -> u32 {
        match self {
            Self::V1_35 => 35,
            Self::V1_36 => 36,
            Self::V1_37 => 37,
        }
    }
}

/// Writes `1.36`.
impl fmt::Display for KubeletMinor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::KubeletMinor;

    #[test]
    fn images_are_variants_of_the_node() {
        let definition = include_str!("../../../../distro/images/node.yaml");
        assert_eq!(KubeletMinor::ALL.first(), Some(&KubeletMinor::OLDEST));
        for minor in KubeletMinor::ALL {
            let variant = format!("\n  kubelet-{minor}: ");
            assert_eq!(minor.image() == "node", !definition.contains(&variant), "{minor}");
        }
        assert_eq!(KubeletMinor::V1_36.image(), "node-kubelet-1.36");
    }

    #[test]
    fn versions() {
        for minor in KubeletMinor::ALL {
            assert_eq!(KubeletMinor::of_version(&minor.to_string()), Some(minor));
            assert_eq!(KubeletMinor::nearest(minor.number()), minor);
        }
        let of_version = KubeletMinor::of_version;
        assert_eq!(of_version("v1.36.3"), Some(KubeletMinor::V1_36));
        assert_eq!(of_version("1.35.5-gke.100"), Some(KubeletMinor::V1_35));
        for other in ["", "1", "36", "2.36", "1.34.0", "1.38", "1.x", "1.36+"] {
            assert_eq!(of_version(other), None, "{other}");
        }
        assert_eq!(KubeletMinor::nearest(20), KubeletMinor::V1_35);
        assert_eq!(KubeletMinor::nearest(40), KubeletMinor::NEWEST);
    }
}
