//! What has to happen right before the kubelet starts, when `/var` is there and the network comes up.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::apply::{self, Applied, ApplyError, below};
use crate::paths;
use crate::plan::PlannedFile;

/// Whose certificates the kubelet keeps on the state partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Joined {
    authority: String,
    hostname: String,
    endpoint: String,
}

/// Takes away what the kubelet must not use any more.
///
/// The kubelet goes on with a client certificate as long as it has not expired. If the machine was given to another
/// cluster or another name, it would knock with the old one for ever and never use its token.
pub fn forget_other_clusters(root: &Path, applied: &Applied) -> Result<bool, ApplyError> {
    let now = Joined {
        authority: applied.authority.clone(),
        hostname: applied.hostname.clone(),
        endpoint: applied.endpoint.clone(),
    };
    let recorded = std::fs::read(below(root, paths::JOINED)).ok();
    let recorded = recorded.and_then(|bytes| serde_json::from_slice::<Joined>(&bytes).ok());
    if recorded.as_ref() == Some(&now) {
        return Ok(false);
    }
    let remove = |path: std::path::PathBuf| match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ApplyError::Write { path, source: error }),
        _ => Ok(()),
    };
    // The kubelet makes its kubeconfig anew from the one for the first contact.
    remove(below(root, paths::KUBECONFIG))?;
    let moved = recorded
        .as_ref()
        .is_some_and(|joined| (&joined.authority, &joined.hostname) == (&now.authority, &now.hostname));
    if !moved {
        let entries = std::fs::read_dir(below(root, paths::KUBELET_PKI))
            .into_iter()
            .flatten()
            .flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("kubelet-")) {
            remove(entry.path())?;
        }
    }
    let content = serde_json::to_string_pretty(&now).unwrap_or_default() + "\n";
    apply::write(
        root,
        &PlannedFile {
            path: paths::JOINED.to_owned(),
            mode: 0o600,
            content,
        },
    )?;
    Ok(recorded.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Wanted;

    fn applied(authority: &str, hostname: &str, endpoint: &str) -> Applied {
        Applied {
            origin: "test".to_owned(),
            hostname: hostname.to_owned(),
            endpoint: endpoint.to_owned(),
            wanted: Wanted::default(),
            authority: authority.to_owned(),
            files: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn certificates_of_another_cluster_go() {
        let root = tempfile::tempdir().unwrap();
        let certificate = below(root.path(), paths::KUBELET_PKI).join("kubelet-client-current.pem");
        let kubeconfig = below(root.path(), paths::KUBECONFIG);
        let there = || {
            fs_err::create_dir_all(certificate.parent().unwrap()).unwrap();
            fs_err::write(&certificate, "").unwrap();
            fs_err::write(&kubeconfig, "").unwrap();
        };
        let left = |applied: &Applied| {
            there();
            forget_other_clusters(root.path(), applied).unwrap();
            (certificate.exists(), kubeconfig.exists())
        };
        // Of the first contact nothing is known: what is there is of no use.
        assert_eq!(left(&applied("a", "n", "e")), (false, false));
        assert_eq!(left(&applied("a", "n", "e")), (true, true));
        // The same cluster under another address: the certificate is still good.
        assert_eq!(left(&applied("a", "n", "other")), (true, false));
        assert_eq!(left(&applied("a", "other", "other")), (false, false));
        assert_eq!(left(&applied("b", "other", "other")), (false, false));
        assert_eq!(left(&applied("b", "other", "other")), (true, true));
    }
}
