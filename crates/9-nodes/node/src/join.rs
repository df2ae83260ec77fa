//! Work right before the kubelet starts, when `/var` is there and the network comes up.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use crate::apply::{self, Applied, ApplyError, below};
use crate::identity::{self, ClusterAuthority, Membership, Misfit, NodeCertificate};
use crate::join_plan::{JoinOutcome, JoinPlan};
use crate::join_record::JoinRecord;
use crate::joining::{self, BootClock, Join, JoinError};
use crate::plan::PlannedFile;
use crate::{address, client_certificate, https, kubelet_version, paths};

/// Files of the kubelet that say which processors and memory containers have. It refuses to start when its policy, the
/// reserved processors or the machine's processors are others than when they were written.
const ALLOCATIONS: [&str; 2] = ["cpu_manager_state", "memory_manager_state"];

/// Beginnings of the names of the kubelet's certificates: of all, of those that it shows to the API server, and of those that
/// it serves with.
const CERTIFICATES: &str = "kubelet-";
const CLIENT: &str = "kubelet-client-";
const SERVER: &str = "kubelet-server-";

/// Time for which a way out of this machine is waited for before the cluster is asked.
const PATIENCE_FOR_NETWORK: Duration = Duration::from_secs(60);

/// Time in which the cluster is asked anew in one start of the kubelet's unit. What has begun by then goes on.
const PATIENCE_FOR_CLUSTER: Duration = Duration::from_secs(45);

/// The most exchanges of one try: two of discovery, the version, the name, two of settings.
const EXCHANGES: u32 = 6;

/// Time for which an address is waited for; the kubelet starts without one after that.
pub const PATIENCE_FOR_ADDRESS: Duration = Duration::from_secs(120);

/// The longest time that all waits of `basalt-node join` take together. The time-out of the kubelet's unit is longer.
pub const LONGEST: Duration = PATIENCE_FOR_NETWORK
    .saturating_add(PATIENCE_FOR_CLUSTER)
    .saturating_add(https::LIMITS.answer.saturating_mul(EXCHANGES))
    .saturating_add(PATIENCE_FOR_ADDRESS)
    .saturating_add(client_certificate::PATIENCE.whole);

/// Finds the cluster where the NodeConfig leaves something to be found, and writes what follows; returns what there is to
/// say about it. Where it does not, nothing is asked of anybody.
///
/// # Errors
/// When the cluster is not found, or refuses the node, or the kubelet does not tell its version.
pub fn find_cluster(root: &Path, applied: &mut Applied) -> Result<Vec<String>, JoinError> {
    let mut told = Vec::new();
    match restore_certificate(root) {
        Ok(restored) => told.extend(restored),
        Err(error) => told.push(error.to_string()),
    }
    let Some(plan) = JoinPlan::read(root) else {
        return Ok(told);
    };
    let kubelet = kubelet_version::installed()?;
    address::wait_for_way_out(PATIENCE_FOR_NETWORK);
    let record = match JoinRecord::usable(root, &plan) {
        Some(record) if plan.asks_for_settings() => match joining::refresh(root, &record, kubelet) {
            Ok(fresh) => {
                fresh.write(root)?;
                fresh
            }
            Err(why) => {
                told.push(format!(
                    "the cluster's kubelet-config is that of the last time, since it cannot be read now: {why}"
                ));
                record
            }
        },
        Some(record) => record,
        None => {
            let machine = joining::machine_identity(root, plan.written.provider_id.clone());
            let join = Join {
                root,
                plan: &plan,
                kubelet,
                machine,
            };
            join.run(&BootClock, PATIENCE_FOR_CLUSTER)?
        }
    };
    if record.server != plan.endpoint {
        told.push(format!(
            "the cluster names {} for its nodes, not {}",
            record.server, plan.endpoint
        ));
    }
    let JoinOutcome { files, warnings } = plan.outcome(&record);
    for file in &files {
        apply::write(root, file)?;
    }
    take_in(applied, &plan, &record, &warnings);
    apply::write_applied(root, applied)?;
    told.extend(warnings);
    Ok(told)
}

/// Adds what was found to the record of this boot: warnings, and the families of the cluster's addresses.
fn take_in(applied: &mut Applied, plan: &JoinPlan, record: &JoinRecord, warnings: &[String]) {
    for warning in warnings {
        if !applied.warnings.contains(warning) {
            applied.warnings.push(warning.clone());
        }
    }
    let settings = record
        .settings
        .as_ref()
        .filter(|_| plan.asks_for_settings() && plan.family_is_found);
    let servers = settings.map(|settings| settings.cluster_dns()).unwrap_or_default();
    let servers: Vec<IpAddr> = servers.iter().filter_map(|server| server.parse().ok()).collect();
    applied.wanted.take_families(&servers);
}

/// Puts the client certificate of before in the place of one that a power cut has torn, and returns what was done, in words.
///
/// The kubelet keeps the certificates that it has rotated, and rotates long before they expire. Without the one of before, a
/// node whose bootstrap token has expired could not join anew.
///
/// # Errors
/// When the link to it cannot be written.
pub fn restore_certificate(root: &Path) -> Result<Option<String>, ApplyError> {
    let (folder, current) = (below(root, paths::KUBELET_PKI), below(root, paths::CLIENT_CERTIFICATE));
    let is_whole = |path: &Path| identity::is_whole(&fs_err::read_to_string(path).unwrap_or_default());
    if fs_err::symlink_metadata(&current).is_err() || is_whole(&current) {
        return Ok(None);
    }
    // kubelet-client-2026-11-30-03-48-00.pem
    let is_dated = |name: &String| {
        let date = name.strip_prefix(CLIENT).and_then(|name| name.strip_suffix(".pem"));
        date.is_some_and(|date| date.starts_with(|first: char| first.is_ascii_digit()))
    };
    let entries = fs_err::read_dir(&folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(is_dated).collect();
    names.sort();
    let Some(name) = names.into_iter().rev().find(|name| is_whole(&folder.join(name))) else {
        return Ok(None);
    };
    client_certificate::make_current(root, &name)?;
    Ok(Some(format!(
        "the certificate's file was cut short, by a power cut perhaps: the one of before takes its place ({name})"
    )))
}

/// Takes away what the kubelet must not use any more, and returns what that was, in words.
///
/// Nothing on a full or damaged `/var` keeps the kubelet from being started: what cannot be done is told.
pub fn settle_identity(root: &Path, applied: &Applied) -> Result<Vec<String>, ApplyError> {
    let pem = |path: &Path| fs_err::read_to_string(path).unwrap_or_default();
    let authorities = ClusterAuthority::read_all(&pem(&below(root, paths::CLUSTER_CA)));
    let wanted = Membership::new(&applied.hostname, &applied.endpoint, &authorities);
    let recorded = fs_err::read(below(root, paths::JOINED)).ok();
    let recorded = recorded.and_then(|bytes| serde_json::from_slice::<Membership>(&bytes).ok());
    let [client, server] = [paths::CLIENT_CERTIFICATE, paths::SERVER_CERTIFICATE].map(|path| below(root, path));
    let is_torn = |path: &Path| path.exists() && !identity::is_whole(&pem(path));
    let certificate = NodeCertificate::read(&pem(&client));
    let misfit = match certificate {
        _ if is_torn(&client) => Some(Misfit::Torn),
        Some(certificate) => identity::misfit(&certificate, &wanted, &authorities, recorded.as_ref()),
        None => None,
    };
    let mut told = Vec::new();
    if let Some(misfit) = &misfit {
        set_aside(root)?;
        told.push(format!("{misfit}: it is set aside, and the node joins anew"));
    } else if is_torn(&server) {
        // The client certificate is worth more than its file: the token that it was got with has expired.
        move_aside(root, SERVER)?;
        told.push(
            "the certificate that the kubelet serves with was cut short, by a power cut perhaps: it is set aside, and the \
             kubelet asks for another"
                .to_owned(),
        );
    }
    if let Some(Misfit::OtherCluster(_)) = misfit {
        forget_add_ons(root)?;
    }
    if misfit.is_some() || recorded.as_ref() != Some(&wanted) {
        // The kubelet makes its kubeconfig anew, from the one for the first contact and the certificate that it has.
        apply::remove(below(root, paths::KUBECONFIG))?;
        let content = serde_json::to_string_pretty(&wanted).unwrap_or_default() + "\n";
        let path = paths::JOINED.to_owned();
        let record = apply::write(
            root,
            &PlannedFile {
                path,
                mode: 0o600,
                content,
            },
        );
        if let Err(error @ ApplyError::Write { .. }) = record {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            told.push(format!("{error}: {}", source.unwrap_or_default()));
        }
    }
    Ok(told)
}

/// Moves the kubelet's certificates to a folder beside them, where the ones that were set aside before are replaced.
pub fn set_aside(root: &Path) -> Result<(), ApplyError> {
    move_aside(root, CERTIFICATES)
}

/// Moves the certificates whose files' names begin so.
fn move_aside(root: &Path, beginning: &str) -> Result<(), ApplyError> {
    let folder = below(root, paths::KUBELET_PKI);
    let aside = folder.join("set-aside");
    let failed = |path: &Path, source| ApplyError::Write {
        path: path.to_owned(),
        source,
    };
    match fs_err::remove_dir_all(&aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&aside, error)),
        _ => {}
    }
    fs_err::create_dir_all(&aside).map_err(|error| failed(&aside, error))?;
    for entry in fs_err::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(beginning) {
            fs_err::rename(entry.path(), aside.join(&name)).map_err(|error| failed(&entry.path(), error))?;
        }
    }
    Ok(())
}

/// Takes away what add-ons of another cluster have left: the configuration of its pod network, with which this node
/// would be Ready and its pods nowhere, and pods that run without a cluster.
fn forget_add_ons(root: &Path) -> Result<(), ApplyError> {
    for folder in [paths::CNI_CONFIG, paths::STATIC_PODS] {
        for entry in fs_err::read_dir(below(root, folder)).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| !kind.is_dir()) {
                apply::remove(entry.path())?;
            }
        }
    }
    Ok(())
}

/// Takes away the kubelet's record of allocations to containers of an earlier boot, once in each boot.
///
/// With a record of containers that are gone, the kubelet refuses to start when the NodeConfig or the machine has
/// changed. Later in the same boot, the record is of containers that run.
pub fn forget_allocations(root: &Path) -> Result<(), ApplyError> {
    let done = below(root, paths::ALLOCATIONS_FORGOTTEN);
    if done.exists() {
        return Ok(());
    }
    for name in ALLOCATIONS {
        apply::remove(below(root, paths::KUBELET_STATE).join(name))?;
    }
    apply::write(
        root,
        &PlannedFile {
            path: paths::ALLOCATIONS_FORGOTTEN.to_owned(),
            mode: 0o644,
            content: String::new(),
        },
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::address::Wanted;

    fn applied(hostname: &str, endpoint: &str) -> Applied {
        Applied {
            origin: "test".to_owned(),
            hostname: hostname.to_owned(),
            endpoint: endpoint.to_owned(),
            wanted: Wanted::default(),
            files: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Two certificates of the checks of NodeConfigs; here each stands for the authority of a cluster.
    const CA: &str = include_str!("../../node-config/tests/certificates/ca.pem");
    const OTHER_CA: &str = include_str!("../../node-config/tests/certificates/leaf.pem");

    /// A certificate for a node, signed by nobody that is known here, and its key.
    fn certificate(node: &str) -> String {
        let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        let name = format!("system:node:{node}");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().pem() + &key.serialize_pem()
    }

    struct Node(tempfile::TempDir);

    impl Node {
        /// A node that has joined, with a kubeconfig and a certificate and what the kubelet calls it by.
        fn new(certificate: &str) -> Self {
            let node = Self(tempfile::tempdir().unwrap());
            let pki = node.path(paths::KUBELET_PKI);
            fs_err::create_dir_all(&pki).unwrap();
            fs_err::write(pki.join("kubelet-client-2026.pem"), certificate).unwrap();
            let current = node.path(paths::CLIENT_CERTIFICATE);
            fs_err::os::unix::fs::symlink("kubelet-client-2026.pem", current).unwrap();
            fs_err::write(node.path(paths::KUBECONFIG), "").unwrap();
            fs_err::create_dir_all(node.path(paths::CLUSTER_CA).parent().unwrap()).unwrap();
            fs_err::write(node.path(paths::CLUSTER_CA), CA).unwrap();
            node
        }

        fn path(&self, path: &str) -> PathBuf {
            below(self.0.path(), path)
        }

        fn settle(&self, applied: &Applied) -> Vec<String> {
            settle_identity(self.0.path(), applied).unwrap()
        }

        /// Presence of the certificate and of the kubeconfig.
        fn left(&self) -> (bool, bool) {
            let there = |path| self.path(path).exists();
            (there(paths::CLIENT_CERTIFICATE), there(paths::KUBECONFIG))
        }
    }

    #[test]
    fn a_torn_certificate_is_set_aside() {
        let whole = certificate("n");
        for length in [0, 40, whole.len() - 40] {
            let node = Node::new(whole.get(..length).unwrap());
            let told = node.settle(&applied("n", "e"));
            assert!(matches!(&told[..], [line] if line.contains("cut short")), "{told:?}");
            assert_eq!(node.left(), (false, false));
        }
        // The one that it serves with costs no other.
        let node = Node::new(&whole);
        fs_err::write(node.path(paths::SERVER_CERTIFICATE), "").unwrap();
        let told = node.settle(&applied("n", "e"));
        assert!(matches!(&told[..], [line] if line.contains("serves with")), "{told:?}");
        assert!(node.left().0 && !node.path(paths::SERVER_CERTIFICATE).exists());
    }

    #[test]
    fn the_certificate_of_before_takes_the_place_of_a_torn_one() {
        let whole = certificate("n");
        let node = Node::new(whole.get(..40).unwrap());
        let restore = || restore_certificate(node.0.path()).unwrap();
        let pki = node.path(paths::KUBELET_PKI);
        for (name, content) in [("2024", "torn"), ("updated", whole.as_str())] {
            fs_err::write(pki.join(format!("kubelet-client-{name}.pem")), content).unwrap();
        }
        assert_eq!(restore(), None);
        fs_err::write(pki.join("kubelet-client-2025.pem"), &whole).unwrap();
        assert!(restore().unwrap().contains("(kubelet-client-2025.pem)"));
        assert_eq!(
            fs_err::read_to_string(node.path(paths::CLIENT_CERTIFICATE)).unwrap(),
            whole
        );
        assert_eq!(restore(), None);
        assert!(node.settle(&applied("n", "e")).is_empty());
        assert!(node.left().0);
        // A link to a file that never reached the disk.
        fs_err::rename(pki.join("kubelet-client-2025.pem"), pki.join("kubelet-client-2023.pem")).unwrap();
        assert!(restore().is_some());
        assert!(node.left().0);
        // A node that has not joined yet.
        fs_err::remove_file(node.path(paths::CLIENT_CERTIFICATE)).unwrap();
        assert_eq!(restore(), None);
    }

    #[test]
    fn a_certificate_of_another_node_is_set_aside_and_not_deleted() {
        let content = certificate("m");
        let node = Node::new(&content);
        let told = node.settle(&applied("n", "e"));
        assert!(matches!(&told[..], [line] if line.contains("of node m")), "{told:?}");
        assert_eq!(node.left(), (false, false));
        let aside = node.path(paths::KUBELET_PKI).join("set-aside/kubelet-client-2026.pem");
        assert_eq!(fs_err::read_to_string(aside).unwrap(), content);
        // And again, with one set aside already.
        set_aside(node.0.path()).unwrap();
    }

    #[test]
    fn the_kubeconfig_follows_the_endpoint_and_the_certificate_the_cluster() {
        let node = Node::new(&certificate("n"));
        node.settle(&applied("n", "e"));
        for (endpoint, kubeconfig) in [("e", true), ("f", false), ("f", true)] {
            fs_err::write(node.path(paths::KUBECONFIG), "").unwrap();
            assert!(node.settle(&applied("n", endpoint)).is_empty());
            assert_eq!(node.left(), (true, kubeconfig), "{endpoint}");
        }
        let pod_network = node.path(paths::CNI_CONFIG).join("10-flannel.conflist");
        fs_err::create_dir_all(pod_network.parent().unwrap()).unwrap();
        fs_err::write(&pod_network, "{}").unwrap();
        // Another authority besides, then instead, then at another place.
        for (authorities, endpoint, certificate) in [
            ([CA, OTHER_CA].concat(), "f", true),
            (OTHER_CA.to_owned(), "g", true),
            (CA.to_owned(), "h", false),
        ] {
            fs_err::write(node.path(paths::CLUSTER_CA), authorities).unwrap();
            node.settle(&applied("n", endpoint));
            assert_eq!(
                (node.left().0, pod_network.exists()),
                (certificate, certificate),
                "{endpoint}"
            );
        }
    }

    #[test]
    fn a_lost_record_costs_the_kubeconfig_only() {
        let node = Node::new(&certificate("n"));
        node.settle(&applied("n", "e"));
        fs_err::write(node.path(paths::JOINED), "{ torn").unwrap();
        fs_err::write(node.path(paths::KUBECONFIG), "").unwrap();
        node.settle(&applied("n", "e"));
        assert_eq!(node.left(), (true, false));
    }

    #[test]
    fn allocations_are_forgotten_once_in_a_boot() {
        let root = tempfile::tempdir().unwrap();
        let state = below(root.path(), paths::KUBELET_STATE);
        fs_err::create_dir_all(&state).unwrap();
        let left = || ALLOCATIONS.map(|name| state.join(name).exists());
        let write = || {
            for name in ALLOCATIONS {
                fs_err::write(state.join(name), "{}").unwrap();
            }
        };
        for boot in 0..2 {
            let _ = fs_err::remove_dir_all(below(root.path(), "/run"));
            write();
            forget_allocations(root.path()).unwrap();
            assert_eq!(left(), [false, false], "boot {boot}");
            write();
            forget_allocations(root.path()).unwrap();
            assert_eq!(left(), [true, true], "boot {boot}");
        }
    }
}
