//! `basalt kubeconfig`: credentials of the running cluster, for other programs.

use std::process::ExitCode;

use basalt_cluster::LocalCluster;
use basalt_cluster::kubeconfig::CONTEXT;
use basalt_store::write;
use camino::{Utf8Path, Utf8PathBuf};
use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};

use super::{answer, answer_json};
use crate::checkout::Checkout;
use crate::environment::variable;

/// Prints the administrator's kubeconfig, or merges it into the user's own.
pub fn run(checkout: &Checkout, merge: bool, json: bool) -> Result<ExitCode> {
    let cluster = LocalCluster::open(checkout.cluster_state())?;
    let own = cluster.kubeconfig()?;
    if !merge {
        let text = fs_err::read_to_string(&own).into_diagnostic()?;
        answer(text.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let target = target(variable("KUBECONFIG")?, variable("HOME")?)?;
    merge_into(&cluster, &own, &target)?;
    if json {
        answer_json(&serde_json::json!({ "kubeconfig": target, "context": CONTEXT }));
    } else {
        answer(format!(
            "the context `{CONTEXT}` is in {target}, and is the current one: kubectl get nodes\n\
             after `basalt down`, kubectl config delete-context {CONTEXT} takes it out again"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// File that kubectl would write to: of those in KUBECONFIG the first that exists, or else the last; without the variable,
/// ~/.kube/config.
fn target(listed: Option<String>, home: Option<String>) -> Result<Utf8PathBuf> {
    let listed = listed.unwrap_or_default();
    let paths: Vec<_> = listed
        .split(':')
        .filter(|path| !path.is_empty())
        .map(Utf8PathBuf::from)
        .collect();
    let existing = paths.iter().find(|path| path.exists());
    if let Some(path) = existing.or(paths.last()) {
        return Ok(path.clone());
    }
    match home.filter(|home| !home.is_empty()) {
        Some(home) => Ok(Utf8PathBuf::from(home).join(".kube/config")),
        None => Err(miette!(
            code = "kubeconfig::home",
            help = "set KUBECONFIG to the file that is to be changed",
            "neither KUBECONFIG nor HOME is set"
        )),
    }
}

/// Merges a kubeconfig into another one, in which entries of the same names are replaced. kubectl does it, whose format it
/// is.
fn merge_into(cluster: &LocalCluster, own: &Utf8Path, target: &Utf8Path) -> Result<()> {
    if let Some(parent) = target.parent().filter(|parent| !parent.as_str().is_empty()) {
        fs_err::create_dir_all(parent).into_diagnostic()?;
    }
    // The file that a link leads to is replaced, and not the link.
    let target = if target.exists() {
        target.canonicalize_utf8().into_diagnostic()?
    } else {
        target.to_owned()
    };
    if let Some(path) = [own, &target].into_iter().find(|path| path.as_str().contains(':')) {
        return Err(miette!(
            code = "kubeconfig::path",
            help = "`basalt kubeconfig > FILE` writes one of its own",
            "`{path}` has a colon in its path, which separates the files of KUBECONFIG"
        ));
    }
    let _lock = FileLock::take(&target)?;
    let view = cluster.kubectl(["config", "view", "--raw", "--output=yaml"])?;
    // Of what is in both, the first file counts: names, and the current context.
    let merged = view.env("KUBECONFIG", format!("{own}:{target}")).output()?;
    write::with_mode(&target, merged.stdout, 0o600)?;
    Ok(())
}

/// Lock file of a kubeconfig, as kubectl takes it. Removed when dropped.
struct FileLock(Utf8PathBuf);

impl FileLock {
    fn take(config: &Utf8Path) -> Result<Self> {
        let path = Utf8PathBuf::from(format!("{config}.lock"));
        let taken = fs_err::OpenOptions::new().write(true).create_new(true).open(&path);
        match taken {
            Ok(_) => Ok(Self(path)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(miette!(
                code = "kubeconfig::locked",
                help = "try again; if no kubectl is running, remove that file",
                "another program changes {config} at this moment: there is `{path}`"
            )),
            Err(error) => Err(error).into_diagnostic().wrap_err("cannot lock the kubeconfig"),
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Another one cannot have taken it, and a file that stays is named by the next error.
        drop(fs_err::remove_file(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_the_one_that_kubectl_writes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| Utf8PathBuf::try_from(folder.path().join(name)).expect("UTF-8");
        fs_err::write(path("b"), "").expect("written");
        let (a, b, c) = (path("a"), path("b"), path("c"));
        let home = || Some("/home/me".to_owned());
        for (listed, expected) in [
            (None, "/home/me/.kube/config".to_owned()),
            (Some(String::new()), "/home/me/.kube/config".to_owned()),
            (Some(a.to_string()), a.to_string()),
            (Some(format!("{a}:{b}:{c}")), b.to_string()),
            (Some(format!(":{a}:{c}:")), c.to_string()),
        ] {
            assert_eq!(target(listed, home()).expect("a file"), expected);
        }
        assert!(target(None, None).is_err());
    }

    #[test]
    fn a_lock_is_taken_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Utf8PathBuf::try_from(folder.path().join("config")).expect("UTF-8");
        let lock = FileLock::take(&config).expect("free");
        assert!(FileLock::take(&config).is_err());
        drop(lock);
        assert!(FileLock::take(&config).is_ok());
    }
}
