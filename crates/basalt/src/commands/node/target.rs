//! Choice of the cluster whose nodes a verb is about.

use basalt_access::kubectl::Kubectl;
use basalt_cluster::{ClusterError, LocalCluster};
use basalt_process::{Command, tool};
use camino::Utf8Path;
use miette::{Result, miette};

use crate::arguments::node::ClusterChoice;
use crate::checkout::Checkout;
use crate::environment::variable;

/// Name of the image of debug pods, in distro/images.
const DEBUG_IMAGE: &str = "debug";

/// Cluster that was chosen.
pub(super) enum Target {
    /// Local cluster, which runs.
    Local(LocalCluster),
    /// Cluster that a kubeconfig leads to: arguments of kubectl.
    Other(Vec<String>),
}

impl Target {
    /// Chooses: what the options name; else the local cluster, if it runs; else what kubectl would choose.
    pub(super) fn choose(checkout: &Checkout, choice: &ClusterChoice) -> Result<Self> {
        if let Some(arguments) = arguments(choice) {
            return Ok(Self::Other(arguments));
        }
        let local = LocalCluster::open(checkout.cluster_state())?;
        match local.kubeconfig() {
            Ok(_) => return Ok(Self::Local(local)),
            Err(ClusterError::Stopped) => {}
            Err(error) => return Err(error.into()),
        }
        if has_kubeconfig(variable("KUBECONFIG")?, variable("HOME")?) {
            return Ok(Self::Other(Vec::new()));
        }
        Err(miette!(
            code = "node::no_cluster",
            help = "`./basalt up` starts one on this machine; --kubeconfig FILE or KUBECONFIG names another one",
            "no cluster is running here, and there is no kubeconfig"
        ))
    }

    /// Local cluster, for verbs about machines.
    pub(super) fn local(&self) -> Result<&LocalCluster> {
        match self {
            Self::Local(cluster) => Ok(cluster),
            Self::Other(_) => Err(miette!(
                code = "node::not_local",
                help = "leave --kubeconfig and --context out, with the local cluster running (`./basalt up`); elsewhere, whoever \
                        runs the machines adds, removes and switches them off",
                "this verb is about machines of the local cluster"
            )),
        }
    }

    /// kubectl for the cluster.
    pub(super) fn kubectl(&self) -> Result<Kubectl> {
        let command = match self {
            Self::Local(cluster) => cluster.kubectl(std::iter::empty::<&str>())?,
            Self::Other(arguments) => Command::tool(tool::KUBECTL).args(arguments),
        };
        Ok(Kubectl::new(command))
    }

    /// Image for debug pods that the cluster serves.
    pub(super) fn served_image(&self) -> Result<Option<String>> {
        match self {
            Self::Local(cluster) => Ok(cluster.image(DEBUG_IMAGE)?),
            Self::Other(_) => Ok(None),
        }
    }
}

/// Arguments of kubectl for the options; `None` when there is none.
fn arguments(choice: &ClusterChoice) -> Option<Vec<String>> {
    let kubeconfig = choice.kubeconfig.as_ref().map(|file| format!("--kubeconfig={file}"));
    let context = choice.context.as_ref().map(|name| format!("--context={name}"));
    let arguments: Vec<_> = kubeconfig.into_iter().chain(context).collect();
    (!arguments.is_empty()).then_some(arguments)
}

/// Checks whether kubectl would find a kubeconfig by itself.
fn has_kubeconfig(listed: Option<String>, home: Option<String>) -> bool {
    let listed = listed.filter(|listed| !listed.is_empty());
    match (listed, home) {
        (Some(listed), _) => listed
            .split(':')
            .any(|path| !path.is_empty() && Utf8Path::new(path).exists()),
        (None, Some(home)) => Utf8Path::new(&home).join(".kube/config").exists(),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_arguments() {
        let choice = |kubeconfig: Option<&str>, context: Option<&str>| ClusterChoice {
            kubeconfig: kubeconfig.map(Into::into),
            context: context.map(Into::into),
        };
        assert_eq!(arguments(&choice(None, None)), None);
        assert_eq!(
            arguments(&choice(None, Some("a"))),
            Some(vec!["--context=a".to_owned()])
        );
        let both = arguments(&choice(Some("/k"), Some("a"))).unwrap_or_default();
        assert_eq!(both, ["--kubeconfig=/k", "--context=a"]);
    }

    #[test]
    fn kubeconfigs_are_found_as_kubectl_finds_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().to_str().expect("UTF-8").to_owned();
        let file = format!("{home}/.kube/config");
        assert!(!has_kubeconfig(None, Some(home.clone())));
        fs_err::create_dir(folder.path().join(".kube")).expect("made");
        fs_err::write(&file, "").expect("written");
        for (listed, home, expected) in [
            (None, Some(home.clone()), true),
            (Some(String::new()), Some(home.clone()), true),
            (Some("/none".to_owned()), Some(home.clone()), false),
            (Some(format!("/none:{file}")), None, true),
            (None, None, false),
        ] {
            assert_eq!(has_kubeconfig(listed.clone(), home), expected, "{listed:?}");
        }
    }
}
