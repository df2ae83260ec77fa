//! Packages: the part of an RPM header that solving and listing need.

use std::fmt;

use camino::Utf8Path;
use rpm::{DependencyFlags, IndexTag, PackageMetadata};
use serde::{Deserialize, Serialize};

use crate::{Capability, Dependency, Operator, RpmError, header};

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
    /// Dependencies of the package, without those of rpm itself (`rpmlib(...)`).
    pub requires: Vec<Dependency>,
    /// Capabilities that the package cannot be installed with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Dependency>,
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

    /// The package itself as a capability: `name = epoch:version-release`.
    pub fn capability(&self) -> Capability {
        Capability {
            name: self.name.clone(),
            version: Some((Operator::Equal, self.evr())),
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
    let dependencies = |value: Result<Vec<rpm::Dependency>, rpm::Error>| {
        let mut found = Vec::new();
        for dependency in value.map_err(&wrong)? {
            // `rpmlib(...)` requires a feature of the rpm program. The same requirement may be listed once for each
            // phase of the transaction in which it counts.
            if dependency.flags.contains(DependencyFlags::RPMLIB) {
                continue;
            }
            let parsed =
                Dependency::from_header(&dependency).map_err(|error| RpmError::malformed(path, error.to_string()))?;
            if !found.contains(&parsed) {
                found.push(parsed);
            }
        }
        Ok::<_, RpmError>(found)
    };
    // Expressions are for dependencies: nothing can provide or obsolete one.
    let capabilities = |value: Result<Vec<rpm::Dependency>, rpm::Error>| {
        let capability = |dependency| match dependency {
            Dependency::Capability(capability) => Ok(capability),
            other => Err(RpmError::malformed(
                path,
                format!("it provides or obsoletes the expression `{other}`"),
            )),
        };
        dependencies(value)?
            .into_iter()
            .map(capability)
            .collect::<Result<Vec<_>, _>>()
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
        requires: dependencies(header.get_requires())?,
        conflicts: dependencies(header.get_conflicts())?,
        obsoletes: capabilities(header.get_obsoletes())?,
        files: files
            .into_iter()
            .map(|file| file.to_string_lossy().into_owned())
            .collect(),
        scriptlets: scriptlets(&header),
    })
}

/// Scriptlets and triggers, with the tags of the header that show them. A scriptlet with `-p` and no body has only the tag
/// of its program.
const SCRIPTLETS: [(&str, &[IndexTag]); 12] = [
    ("%pre", &[IndexTag::RPMTAG_PREIN, IndexTag::RPMTAG_PREINPROG]),
    ("%post", &[IndexTag::RPMTAG_POSTIN, IndexTag::RPMTAG_POSTINPROG]),
    ("%preun", &[IndexTag::RPMTAG_PREUN, IndexTag::RPMTAG_PREUNPROG]),
    ("%postun", &[IndexTag::RPMTAG_POSTUN, IndexTag::RPMTAG_POSTUNPROG]),
    ("%pretrans", &[IndexTag::RPMTAG_PRETRANS, IndexTag::RPMTAG_PRETRANSPROG]),
    (
        "%posttrans",
        &[IndexTag::RPMTAG_POSTTRANS, IndexTag::RPMTAG_POSTTRANSPROG],
    ),
    (
        "%preuntrans",
        &[IndexTag::RPMTAG_PREUNTRANS, IndexTag::RPMTAG_PREUNTRANSPROG],
    ),
    (
        "%postuntrans",
        &[IndexTag::RPMTAG_POSTUNTRANS, IndexTag::RPMTAG_POSTUNTRANSPROG],
    ),
    (
        "%verifyscript",
        &[IndexTag::RPMTAG_VERIFYSCRIPT, IndexTag::RPMTAG_VERIFYSCRIPTPROG],
    ),
    (
        "%trigger",
        &[
            IndexTag::RPMTAG_TRIGGERNAME,
            IndexTag::RPMTAG_TRIGGERSCRIPTS,
            IndexTag::RPMTAG_TRIGGERSCRIPTPROG,
        ],
    ),
    (
        "%filetrigger",
        &[
            IndexTag::RPMTAG_FILETRIGGERNAME,
            IndexTag::RPMTAG_FILETRIGGERSCRIPTS,
            IndexTag::RPMTAG_FILETRIGGERSCRIPTPROG,
        ],
    ),
    (
        "%transfiletrigger",
        &[
            IndexTag::RPMTAG_TRANSFILETRIGGERNAME,
            IndexTag::RPMTAG_TRANSFILETRIGGERSCRIPTS,
            IndexTag::RPMTAG_TRANSFILETRIGGERSCRIPTPROG,
        ],
    ),
];

fn scriptlets(header: &PackageMetadata) -> Vec<String> {
    let is_there = |tags: &[IndexTag]| tags.iter().any(|tag| header.header.entry_is_present(*tag));
    let found = SCRIPTLETS.iter().filter(|(_, tags)| is_there(tags));
    found.map(|(name, _)| (*name).to_owned()).collect()
}
