//! Kubelets and kubeadms of all minors, for the tests that compare with them.

use std::collections::BTreeSet;

use basalt_build::BuildError;
use basalt_node_config::KubeletMinor;
use basalt_rpm::unpack;
use basalt_store::Workspace;
use camino::Utf8PathBuf;
use miette::{Result, miette};

use crate::checkout::{Ahead, Checkout};
use crate::commands::selection::Selection;

/// Programs, each of which is a package of its own name.
const PROGRAMS: [&str; 2] = ["kubelet", "kubeadm"];

/// Programs of one minor of Kubernetes, in a temporary folder.
#[derive(Debug)]
pub(super) struct KubernetesPrograms {
    /// Minor version of both.
    pub(super) minor: KubeletMinor,
    folder: Workspace,
}

impl KubernetesPrograms {
    /// Builds the packages of all minors, unless they are built already, and unpacks them.
    ///
    /// # Errors
    /// When a package is missing, cannot be built, or has no program of its name.
    pub(super) fn all(checkout: &Checkout) -> Result<Vec<Self>> {
        let context = checkout.lookup_context(Ahead::All)?;
        let makers = names(&KubeletMinor::ALL).map(|name| context.distribution.find(&name));
        let selection = Selection {
            images: Vec::new(),
            packages: makers.collect::<Result<BTreeSet<_>, BuildError>>()?,
        };
        let built = selection.provide(checkout, &context, &context.engine(checkout))?;
        let rpms: Vec<_> = built.chosen.packages.iter().flat_map(|built| &built.rpms).collect();
        let unpacked = KubeletMinor::ALL.map(|minor| {
            let folder = checkout.store.workspace()?;
            for name in names(&[minor]) {
                let rpm = rpms.iter().find(|rpm| rpm.package.name == name);
                let rpm = rpm.ok_or_else(|| miette!("no RPM `{name}` is built"))?;
                unpack(&rpm.path(&checkout.store), folder.path())?;
            }
            Ok(Self { minor, folder })
        });
        unpacked.into_iter().collect()
    }

    /// Returns the path of a program.
    pub(super) fn program(&self, name: &str) -> Utf8PathBuf {
        self.folder.path().join("usr/bin").join(name)
    }
}

/// Names of the packages of some minors.
fn names(minors: &[KubeletMinor]) -> impl Iterator<Item = String> {
    minors.iter().flat_map(|minor| {
        PROGRAMS.iter().map(move |program| match *minor {
            KubeletMinor::NEWEST => (*program).to_owned(),
            older => format!("{program}{older}"),
        })
    })
}
