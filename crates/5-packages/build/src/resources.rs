//! Resource estimates and limits of packages: `distro/packages/resources.toml`, and durations measured on this machine.

use std::collections::BTreeMap;

use basalt_action::ActionLimits;
use basalt_digest::{Digest, Hasher};
use basalt_schedule::Estimate;
use basalt_store::Store;
use serde::{Deserialize, Serialize};

/// Default limits of a package's build.
const LIMITS: PackageLimits = PackageLimits {
    minutes: 120,
    memory_mib: 8 * 1024,
    processes: 2048,
    disk_mib: 8 * 1024,
};

/// Content of the file: a table for each package that is not small.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ResourceEstimates(BTreeMap<String, Resources>);

/// Resources of one package's build, on two cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resources {
    seconds: u64,
    #[serde(default = "small_memory")]
    memory_mib: u64,
    #[serde(default)]
    limits: PackageLimits,
}

/// Limits of one package's build. A build that reaches one is ended with an error that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PackageLimits {
    /// Duration from start to end, in minutes.
    minutes: u64,
    /// Memory of all processes together, in MiB.
    memory_mib: u64,
    /// Processes and threads at the same time.
    processes: u64,
    /// Size of files that the build has written and not removed, in MiB.
    disk_mib: u64,
}

impl Default for PackageLimits {
    fn default() -> Self {
        LIMITS
    }
}

impl PackageLimits {
    fn to_limits(self) -> ActionLimits {
        const MIB: u64 = 1024 * 1024;
        ActionLimits {
            seconds: Some(self.minutes.saturating_mul(60)),
            memory: Some(self.memory_mib.saturating_mul(MIB)),
            processes: Some(self.processes),
            disk: Some(self.disk_mib.saturating_mul(MIB)),
        }
    }
}

/// Estimate for a small package.
const SMALL: Estimate = Estimate {
    seconds: 10,
    memory_mib: 512,
};

fn small_memory() -> u64 {
    SMALL.memory_mib
}

/// Measured duration of a build on this machine, in seconds, kept in the store.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Measured {
    seconds: u64,
}

impl ResourceEstimates {
    /// Parses the text of the file.
    ///
    /// # Errors
    /// When the text is not valid; the error shows the position.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Returns the estimate for a package: seconds as measured on this machine, else as in the file; memory as in the
    /// file.
    pub fn of(&self, package: &str, store: &Store) -> Estimate {
        let estimate = self.estimate(package);
        let measured = store.result::<Measured>(&key(package));
        Estimate {
            seconds: measured.map_or(estimate.seconds, |measured| measured.seconds),
            ..estimate
        }
    }

    /// Returns the estimate for a package in the file, or that of a small package.
    pub fn estimate(&self, package: &str) -> Estimate {
        self.0.get(package).map_or(SMALL, |resources| Estimate {
            seconds: resources.seconds,
            memory_mib: resources.memory_mib,
        })
    }

    /// Returns the limits of a package's build.
    pub fn limits(&self, package: &str) -> ActionLimits {
        let resources = self.0.get(package);
        resources.map_or(LIMITS, |resources| resources.limits).to_limits()
    }
}

/// Records the measured duration of a package's build, in seconds.
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
