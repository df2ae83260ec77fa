//! The configuration of the kernel in a set of RPMs: the file `config` beside its modules.

use std::io::Read as _;

use basalt_rpm::{Payload, read_package};
use camino::Utf8Path;
use serde::Serialize;

use crate::{HardeningError, Kconfig};

/// Bytes of a configuration that are read at most. Those of Linux 6.12 have up to 300 KiB.
const LARGEST: u64 = 4 << 20;

/// Kernel of a package, and its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackagedKernel {
    /// Package with its version: `kernel-6.12.107-1.bs1`.
    pub package: String,
    /// Release, as `uname -r` reports it.
    pub release: String,
    /// Configuration.
    #[serde(skip)]
    pub config: Kconfig,
}

/// Finds the kernel in a set of RPMs. Payloads of other packages are not read. `None` if no package has a kernel.
///
/// # Errors
/// When an RPM cannot be read, and when the configuration sets nothing.
pub fn find_kernel<'p>(rpms: impl IntoIterator<Item = &'p Utf8Path>) -> Result<Option<PackagedKernel>, HardeningError> {
    for path in rpms {
        let package = read_package(path)?;
        let release = package.files.iter().find_map(|file| release_of_config(file));
        if let Some(release) = release {
            let text = read_config(path)?;
            let config = Kconfig::parse(&text);
            let package = package.to_string();
            if config.is_empty() {
                return Err(HardeningError::Config { package });
            }
            return Ok(Some(PackagedKernel {
                package,
                release: release.to_owned(),
                config,
            }));
        }
    }
    Ok(None)
}

/// Release of the kernel that a path has the configuration of: `/usr/lib/modules/RELEASE/config`.
pub(crate) fn release_of_config(path: &str) -> Option<&str> {
    path.strip_prefix("/usr/lib/modules/")
        .and_then(|rest| rest.strip_suffix("/config"))
        .filter(|release| !release.contains('/'))
}

/// Text of the configuration in the payload of an RPM; empty if the payload lacks it.
fn read_config(rpm: &Utf8Path) -> Result<String, HardeningError> {
    let mut payload = Payload::open(rpm)?;
    while let Some(file) = payload.next()? {
        if !file.paths.iter().any(|path| release_of_config(path).is_some()) {
            continue;
        }
        let mut text = Vec::new();
        let read = (&mut payload).take(LARGEST).read_to_end(&mut text);
        read.map_err(|source| HardeningError::Read {
            path: rpm.to_owned(),
            source,
        })?;
        return Ok(String::from_utf8_lossy(&text).into_owned());
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_lies_beside_the_modules() {
        assert_eq!(
            release_of_config("/usr/lib/modules/6.12.107-1.bs1/config"),
            Some("6.12.107-1.bs1")
        );
        assert_eq!(release_of_config("/usr/lib/modules/6.12/kernel/config"), None);
        assert_eq!(release_of_config("/usr/lib/modules/config"), None);
        assert_eq!(release_of_config("/etc/config"), None);
    }
}
