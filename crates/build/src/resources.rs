//! Work that each package is, and bounds of it: `distro/packages/resources.toml`, and what this machine measured.

use std::collections::BTreeMap;

use basalt_action::Limits;
use basalt_model::digest::{Digest, Hasher};
use basalt_schedule::Estimate;
use basalt_store::Store;
use serde::{Deserialize, Serialize};

/// Bounds of a package that does not say otherwise.
const LIMITS: PackageLimits = PackageLimits {
    minutes: 120,
    memory_mib: 8 * 1024,
    processes: 2048,
    disk_mib: 8 * 1024,
};

/// The file: a table for each package that is more than small.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ResourceEstimates(BTreeMap<String, Resources>);

/// Work that one package is, on two cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resources {
    seconds: u64,
    #[serde(default = "small_memory")]
    memory_mib: u64,
    #[serde(default)]
    limits: PackageLimits,
}

/// Bounds of one package's build. Reaching one is an error that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PackageLimits {
    /// Minutes from start to end.
    minutes: u64,
    /// Memory of all processes together, in MiB.
    memory_mib: u64,
    /// Processes and threads at the same time.
    processes: u64,
    /// Files that it has written and not removed, in MiB.
    disk_mib: u64,
}

impl Default for PackageLimits {
    fn default() -> Self {
        LIMITS
    }
}

impl PackageLimits {
    fn to_limits(self) -> Limits {
        const MIB: u64 = 1024 * 1024;
        Limits {
            seconds: Some(self.minutes.saturating_mul(60)),
            memory: Some(self.memory_mib.saturating_mul(MIB)),
            processes: Some(self.processes),
            disk: Some(self.disk_mib.saturating_mul(MIB)),
        }
    }
}

/// Work of a small package.
const SMALL: Estimate = Estimate {
    seconds: 10,
    memory_mib: 512,
};

fn small_memory() -> u64 {
    SMALL.memory_mib
}

/// Seconds that a build took here, kept in the store.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Measured {
    seconds: u64,
}

impl ResourceEstimates {
    /// Reads the text of the file.
    ///
    /// # Errors
    /// When it is not as described; the error tells the place.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Work that a package is: seconds as measured here, else as estimated; memory as estimated.
    pub fn of(&self, package: &str, store: &Store) -> Estimate {
        let estimate = self.estimate(package);
        let measured = store.result::<Measured>(&key(package));
        Estimate {
            seconds: measured.map_or(estimate.seconds, |measured| measured.seconds),
            ..estimate
        }
    }

    /// Work that a package is, as the file estimates it.
    pub fn estimate(&self, package: &str) -> Estimate {
        self.0.get(package).map_or(SMALL, |resources| Estimate {
            seconds: resources.seconds,
            memory_mib: resources.memory_mib,
        })
    }

    /// Bounds of a package's build.
    pub fn limits(&self, package: &str) -> Limits {
        let resources = self.0.get(package);
        resources.map_or(LIMITS, |resources| resources.limits).to_limits()
    }
}

/// Remembers the seconds that a package took.
pub(crate) fn remember(package: &str, seconds: u64, store: &Store) {
    if let Err(error) = store.set_result(&key(package), &Measured { seconds }) {
        tracing::debug!(%error, "the next plan goes by the estimate");
    }
}

fn key(package: &str) -> Digest {
    let mut hasher = Hasher::new();
    hasher.fact("seconds of package", package);
    hasher.finish()
}
