//! Processor architectures that Basalt is built for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Processor architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit x86, from x86-64-v2 on.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit Arm, from Armv8.0 on.
    Aarch64,
}

impl Arch {
    /// Returns the name in rpm and in the kernel's `uname -m`: `x86_64`, `aarch64`.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Returns the GNU triple of the distribution on this architecture: `x86_64-basalt-linux-gnu`.
    pub fn triple(self) -> String {
        format!("{}-basalt-linux-gnu", self.name())
    }

    /// Returns the name in Go (`GOARCH`) and in OCI images: `amd64`, `arm64`.
    pub fn goarch(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
