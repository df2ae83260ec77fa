//! The kubelet that the images install, for the tests that give it configurations.

use basalt_rpm::unpack;
use basalt_store::{Store, Workspace};
use camino::{Utf8Path, Utf8PathBuf};
use miette::{Result, miette};

use crate::checkout::Checkout;
use crate::commands::images::Assembled;

/// Name of the package, and path of the program in it.
const PACKAGE: &str = "kubelet";
const PROGRAM: &str = "usr/bin/kubelet";

/// Returns the path of the RPM of the kubelet that images install.
///
/// # Errors
/// When no image installs one.
pub(super) fn rpm(checkout: &Checkout, images: &[Assembled]) -> Result<Utf8PathBuf> {
    let mut rpms = images.iter().flat_map(|image| &image.parts.rpms);
    let kubelet = rpms.find(|rpm| rpm.package.name == PACKAGE).ok_or_else(|| {
        miette!(
            help = "add `kubelet` to the packages of an image in distro/images",
            "no image installs the package `{PACKAGE}`, with which NodeConfigs are tested"
        )
    })?;
    Ok(kubelet.path(&checkout.store))
}

/// The kubelet's program in a temporary folder.
#[derive(Debug)]
pub(super) struct UnpackedKubelet(Workspace);

impl UnpackedKubelet {
    /// Unpacks the RPM.
    ///
    /// # Errors
    /// When the RPM is damaged, or has no kubelet in it.
    pub(super) fn from_rpm(store: &Store, rpm: &Utf8Path) -> Result<Self> {
        let kubelet = Self(store.workspace()?);
        // The folder of a workspace exists already, empty.
        unpack(rpm, kubelet.0.path())?;
        if !kubelet.program().is_file() {
            return Err(miette!(
                help = "its files are listed in distro/packages/kubernetes/kubernetes.spec",
                "the package `{PACKAGE}` has no /{PROGRAM}"
            ));
        }
        Ok(kubelet)
    }

    /// Returns the path of the program.
    pub(super) fn program(&self) -> Utf8PathBuf {
        self.0.path().join(PROGRAM)
    }
}
