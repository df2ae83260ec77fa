//! Packages: the part of an RPM header that solving and listing need.

use std::fmt;

use camino::Utf8Path;
use rpm::{DependencyFlags, PackageMetadata};
use serde::{Deserialize, Serialize};

use crate::{Capability, RpmError, header};

/// Metadata of a binary RPM, as far as solving and listing need them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Name of the binary package.
    pub name: String,
    /// Epoch: raised only when a version scheme goes backwards.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub epoch: u32,
    /// Upstream version.
    pub version: String,
    /// Release of the packaging: `1.bs1`.
    pub release: String,
    /// Architecture, or `noarch`.
    pub arch: String,
    /// Licence, an SPDX expression.
    pub license: String,
    /// Summary, one line.
    pub summary: String,
    /// File name of the source package.
    pub source: String,
    /// Installed size in bytes.
    pub size: u64,
    /// Capabilities that the package provides; among them its own name with its version.
    pub provides: Vec<Capability>,
    /// Capabilities that the package requires, without those of rpm itself (`rpmlib(...)`).
    pub requires: Vec<Capability>,
    /// Capabilities that the package cannot be installed with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Capability>,
    /// Packages that this one replaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obsoletes: Vec<Capability>,
    /// Absolute paths of the files, directories and links.
    pub files: Vec<String>,
    /// Names of scriptlets (`%post`), which Basalt's packages must not have: they are never run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scriptlets: Vec<String>,
}

/// Capability of packages that are of use only while others are built: their programs run on the build machine.
const BUILD_TOOL: &str = "build-tool";

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Package {
    /// Epoch (when there is one), version and release: `1.3.1-1.bs1`.
    pub fn evr(&self) -> String {
        match self.epoch {
            0 => format!("{}-{}", self.version, self.release),
            epoch => format!("{epoch}:{}-{}", self.version, self.release),
        }
    }

    /// Name, version, release and architecture: `zlib-1.3.1-1.bs1.x86_64`.
    pub fn nevra(&self) -> String {
        format!("{}-{}.{}", self.name, self.evr(), self.arch)
    }

    /// Returns `true` if the package holds programs for the build machine only: it provides `build-tool`.
    pub fn is_build_tool(&self) -> bool {
        self.provides.iter().any(|capability| capability.name == BUILD_TOOL)
    }
}

impl AsRef<Self> for Package {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.name, self.evr())
    }
}

/// Reads a package's metadata from the header of an RPM. The payload is not read.
///
/// # Errors
/// When the file cannot be read or is not an RPM.
pub fn read_package(path: &Utf8Path) -> Result<Package, RpmError> {
    let wrong = RpmError::header(path);
    let header = header::read_header(path)?;
    let text = |value: Result<&str, rpm::Error>| value.map(str::to_owned).map_err(&wrong);
    let capabilities = |value: Result<Vec<rpm::Dependency>, rpm::Error>| -> Result<Vec<Capability>, RpmError> {
        let mut found = Vec::new();
        for dependency in value.map_err(&wrong)? {
            let capability = Capability::from_header(&dependency);
            // `rpmlib(...)` requires a feature of the rpm program. The same requirement may be listed once for each
            // phase of the transaction in which it counts.
            if !dependency.flags.contains(DependencyFlags::RPMLIB) && !found.contains(&capability) {
                found.push(capability);
            }
        }
        Ok(found)
    };
    let files = header.get_file_paths().map_err(&wrong)?;
    Ok(Package {
        name: text(header.get_name())?,
        epoch: header.get_epoch().unwrap_or(0),
        version: text(header.get_version())?,
        release: text(header.get_release())?,
        arch: text(header.get_arch())?,
        license: text(header.get_license())?,
        summary: text(header.get_summary())?,
        source: header.get_source_rpm().unwrap_or_default().to_owned(),
        size: header.get_installed_size().map_err(&wrong)?,
        provides: capabilities(header.get_provides())?,
        requires: capabilities(header.get_requires())?,
        conflicts: capabilities(header.get_conflicts())?,
        obsoletes: capabilities(header.get_obsoletes())?,
        files: files
            .into_iter()
            .map(|file| file.to_string_lossy().into_owned())
            .collect(),
        scriptlets: scriptlets(&header),
    })
}

fn scriptlets(header: &PackageMetadata) -> Vec<String> {
    let mut found: Vec<String> = [
        ("%pre", header.get_pre_install_script().is_ok()),
        ("%post", header.get_post_install_script().is_ok()),
        ("%preun", header.get_pre_uninstall_script().is_ok()),
        ("%postun", header.get_post_uninstall_script().is_ok()),
        ("%pretrans", header.get_pre_trans_script().is_ok()),
        ("%posttrans", header.get_post_trans_script().is_ok()),
    ]
    .into_iter()
    .filter(|(_, present)| *present)
    .map(|(name, _)| name.to_owned())
    .collect();
    let triggers = [
        header.get_triggers(),
        header.get_file_triggers(),
        header.get_trans_file_triggers(),
    ];
    if triggers
        .iter()
        .any(|kind| kind.as_ref().is_ok_and(|list| !list.is_empty()))
    {
        found.push("a trigger".to_owned());
    }
    found
}
