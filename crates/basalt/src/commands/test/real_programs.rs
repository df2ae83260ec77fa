//! Programs of the distribution, for the tests that give them what the agent makes.

use std::collections::BTreeSet;

use basalt_build::BuildError;
use basalt_node_config::KubeletMinor;
use basalt_rpm::unpack;
use basalt_store::Workspace;
use camino::Utf8PathBuf;
use miette::{Result, miette};

use crate::checkout::{Ahead, Checkout};
use crate::commands::selection::Selection;

/// Programs of Kubernetes, each of which is a package of its own name in each minor.
const OF_KUBERNETES: [&str; 2] = ["kubelet", "kubeadm"];

/// Packages with containerd and the program that asks it for images.
const OF_CONTAINERD: [&str; 2] = ["containerd", "crictl"];

/// Programs in a temporary folder.
#[derive(Debug)]
pub(super) struct RealPrograms(Workspace);

impl RealPrograms {
    /// The kubelet and kubeadm of each minor, built unless they are.
    ///
    /// # Errors
    /// When a package is missing or cannot be built.
    pub(super) fn of_kubernetes(checkout: &Checkout) -> Result<Vec<(KubeletMinor, Self)>> {
        let names = KubeletMinor::ALL.map(|minor| {
            OF_KUBERNETES.map(|program| match minor {
                KubeletMinor::NEWEST => program.to_owned(),
                older => format!("{program}{older}"),
            })
        });
        Ok(KubeletMinor::ALL.into_iter().zip(Self::of(checkout, &names)?).collect())
    }

    /// containerd and crictl, built unless they are.
    ///
    /// # Errors
    /// When a package is missing or cannot be built.
    pub(super) fn of_containerd(checkout: &Checkout) -> Result<Self> {
        let programs = Self::of(checkout, &[OF_CONTAINERD.map(str::to_owned)])?;
        let first = programs.into_iter().next();
        first.ok_or_else(|| miette!("no package of containerd is built"))
    }

    /// Builds the packages of all groups, unless they are built already, and unpacks each group by itself.
    fn of<const N: usize>(checkout: &Checkout, groups: &[[String; N]]) -> Result<Vec<Self>> {
        let context = checkout.lookup_context(Ahead::All)?;
        let makers = groups.iter().flatten().map(|name| context.distribution.find(name));
        let selection = Selection {
            images: Vec::new(),
            packages: makers.collect::<Result<BTreeSet<_>, BuildError>>()?,
        };
        let built = selection.provide(checkout, &context, &context.engine(checkout))?;
        let rpms: Vec<_> = built.chosen.packages.iter().flat_map(|built| &built.rpms).collect();
        let unpacked = groups.iter().map(|names| {
            let folder = checkout.store.workspace()?;
            for name in names {
                let rpm = rpms.iter().find(|rpm| rpm.package.name == *name);
                let rpm = rpm.ok_or_else(|| miette!("no RPM `{name}` is built"))?;
                unpack(&rpm.path(&checkout.store), folder.path())?;
            }
            Ok(Self(folder))
        });
        unpacked.collect()
    }

    /// Returns the path of a program.
    pub(super) fn program(&self, name: &str) -> Utf8PathBuf {
        self.0.path().join("usr/bin").join(name)
    }
}
