//! Files and folders that a content tree may have.

/// Single file of a content tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentFile {
    /// Requirements of the Kernel Self Protection Project on the kernel.
    KernelHardening,
    /// Kernel options that add-ons document.
    KernelRequirements,
    /// Compilers and their options that programs may be made with.
    Compilers,
    /// Exceptions from the rules of hardening.
    HardeningExceptions,
    /// Names of packages in databases of vulnerabilities.
    Upstreams,
    /// Digests of the SDK's packages.
    SdkLock,
    /// Sources of the compilers.
    Toolchain,
    /// Estimates and limits of package builds.
    Resources,
    /// Licences that were found in sources.
    Licences,
    /// Images that Kubernetes' end-to-end suite runs.
    Conformance,
}

/// Folder of a content tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentFolder {
    /// Packages: one folder each, with a spec and its sources.
    Packages,
    /// Image definitions.
    Images,
    /// RPM macros.
    Macros,
    /// Definitions and locks of trees of build tools.
    Sdk,
    /// Statements about vulnerabilities of packages (VEX).
    Vex,
    /// Advisories of the distribution.
    Advisories,
    /// Kubernetes objects of the local cluster.
    Cluster,
    /// Packages and files of a Debian machine that is a node.
    Debian,
}

impl ContentFile {
    /// Path below the root of a tree.
    pub const fn path(self) -> &'static str {
        match self {
            Self::KernelHardening => "kspp.toml",
            Self::KernelRequirements => "kernel-requirements.toml",
            Self::Compilers => "makers.toml",
            Self::HardeningExceptions => "hardening.toml",
            Self::Upstreams => "upstreams.toml",
            Self::SdkLock => "sdk/sdk.lock",
            Self::Toolchain => "toolchain/toolchain.toml",
            Self::Resources => "packages/resources.toml",
            Self::Licences => "packages/licences.lock",
            Self::Conformance => "conformance.toml",
        }
    }
}

impl ContentFolder {
    /// Path below the root of a tree.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Packages => "packages",
            Self::Images => "images",
            Self::Macros => "macros",
            Self::Sdk => "sdk",
            Self::Vex => "vex",
            Self::Advisories => "advisories",
            Self::Cluster => "cluster",
            Self::Debian => "debian",
        }
    }

    /// Returns `true` for a folder that a distribution can do without.
    pub const fn is_optional(self) -> bool {
        matches!(self, Self::Vex | Self::Advisories)
    }
}
