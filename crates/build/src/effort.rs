//! How much work each package is: measured on this machine where possible, else from `distro/packages/effort.toml`.

use std::collections::BTreeMap;

use basalt_model::digest::{Digest, Hasher};
use basalt_store::Store;
use serde::{Deserialize, Serialize};

use crate::schedule::Effort;

/// What the file says: a table for each package that is more than small.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Efforts(BTreeMap<String, Estimate>);

/// What one package takes, on two cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Estimate {
    seconds: u64,
    #[serde(default = "small_memory")]
    memory_mib: u64,
}

/// What a small package takes.
const SMALL: Effort = Effort {
    seconds: 10,
    memory: 512,
};

fn small_memory() -> u64 {
    SMALL.memory
}

/// What a build took here, kept in the store.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Measured {
    seconds: u64,
}

impl Efforts {
    /// Reads the text of the file.
    ///
    /// # Errors
    /// When it is not as described; the error tells the place.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// What a package takes. Memory is always the file's: it is not measured.
    pub fn of(&self, package: &str, store: &Store) -> Effort {
        let estimate = self.0.get(package).map_or(SMALL, |estimate| Effort {
            seconds: estimate.seconds,
            memory: estimate.memory_mib,
        });
        let measured = store.result::<Measured>(&key(package));
        Effort {
            seconds: measured.map_or(estimate.seconds, |measured| measured.seconds),
            ..estimate
        }
    }
}

/// Remembers what a package took.
pub(crate) fn remember(package: &str, seconds: u64, store: &Store) {
    if let Err(error) = store.set_result(&key(package), &Measured { seconds }) {
        tracing::debug!(%error, "the next plan goes by the estimate");
    }
}

fn key(package: &str) -> Digest {
    let mut hasher = Hasher::new();
    hasher.fact("effort of package", package);
    hasher.finish()
}
