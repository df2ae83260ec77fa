//! The kubeadm cluster itself: that it is what upstream's tools make, before anything joins it.

use std::time::Duration;

use basalt_node_config::{Clock, check};
use basalt_test_environment::{Failed, ensure, has_all, until_every};

use crate::cluster::{TICK, is_ready, items};
use crate::control_plane::COMPONENTS;
use crate::fixture::Fixture;

/// Time-out of the node's readiness from power-on, and of the pods' after it, on a busy machine without KVM.
const READY: Duration = Duration::from_secs(1200);
/// Time-out of composing images from packages that are built.
const COMPOSING: Duration = Duration::from_secs(900);
/// Time-out of operations that need no boot.
const SOON: Duration = Duration::from_secs(120);

pub fn the_kubeadm_cluster_is_ready(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    let all_ready = |kind: &[&str], least: usize| {
        let list = cluster.get(kind).unwrap_or_default();
        items(&list).len() >= least && items(&list).iter().all(is_ready)
    };
    until_every(TICK, "the node is Ready", READY, || all_ready(&["nodes"], 1))?;
    // kube-proxy, flannel and two of CoreDNS.
    until_every(TICK, "its pods are Ready", READY, || {
        all_ready(&["pods", "--namespace", "kube-system"], 4)
    })?;
    let nodes = cluster.get(&["nodes"])?;
    let [node] = items(&nodes) else {
        return Err(format!("one node was expected: {nodes:#}").into());
    };
    let info = &node["status"]["nodeInfo"];
    let system = info["osImage"].as_str().unwrap_or_default();
    ensure(
        node["metadata"]["name"] == cluster.node.as_str()
            && info["kubeletVersion"] == cluster.version.as_str()
            && system.starts_with("Debian GNU/Linux 13"),
        || format!("{node:#}"),
    )
}

pub fn its_control_plane_is_upstreams(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    for component in COMPONENTS {
        let manifest = fixture.control_plane.manifest(component)?;
        let container = &manifest["spec"]["containers"][0];
        let image = format!("registry.k8s.io/{component}:{}", cluster.version);
        ensure(container["image"] == image.as_str(), || format!("{container:#}"))?;
    }
    let version = cluster.raw("/version")?;
    ensure(version["gitVersion"] == cluster.version.as_str(), || {
        format!("{version:#}")
    })
}

pub fn its_configuration_is_where_joins_look_for_it(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    let map = |namespace: &str, name: &str, key: &str| -> Result<String, Failed> {
        let map = cluster.get(&["configmap", name, "--namespace", namespace])?;
        let text = map["data"][key].as_str();
        Ok(text.ok_or_else(|| format!("no {key}: {map:#}"))?.to_owned())
    };
    has_all(
        &map("kube-system", "kubeadm-config", "ClusterConfiguration")?,
        &[
            "kind: ClusterConfiguration",
            &format!("kubernetesVersion: {}", cluster.version),
        ],
    )?;
    has_all(
        &map("kube-system", "kubelet-config", "kubelet")?,
        &["kind: KubeletConfiguration", "10.96.0.10", "rotateCertificates: true"],
    )?;
    has_all(
        &map("kube-public", "cluster-info", "kubeconfig")?,
        &[
            &format!("server: https://{}", cluster.endpoint),
            "certificate-authority-data:",
        ],
    )?;
    let (id, _) = cluster.token()?;
    // Signed by the controller manager, a moment after the token was made.
    until_every(TICK, "cluster-info is signed with the token", SOON, || {
        map("kube-public", "cluster-info", &format!("jws-kubeconfig-{id}")).is_ok()
    })?;
    let secret = cluster.get(&["secret", &format!("bootstrap-token-{id}"), "--namespace", "kube-system"])?;
    ensure(secret["type"] == "bootstrap.kubernetes.io/token", || {
        "the token's Secret has another type".to_owned()
    })
}

pub fn its_join_command_makes_a_node_config(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    let (command, endpoint) = (&cluster.join_command, &cluster.endpoint);
    ensure(command.starts_with(&format!("kubeadm join {endpoint} ")), || {
        "the join command does not begin with the API server".to_owned()
    })?;
    let words = ["config", "from-join", command, "--hostname", "worker-1"];
    let ran = fixture.run_inside(&words, SOON)?.ended_with(0)?;
    let checked = check("made", &ran.stdout, Clock::Right(std::time::SystemTime::now()));
    let (config, _) = checked.map_err(|problems| problems.brief())?;
    ensure(config.hostname.is_some_and(|name| name.as_str() == "worker-1"), || {
        "the NodeConfig has another host name".to_owned()
    })?;
    has_all(
        &ran.stdout,
        &[
            endpoint,
            "BEGIN CERTIFICATE",
            cluster.token()?.0,
            "kubeletConfig: fromCluster",
        ],
    )?;
    // A token that the cluster does not have is refused before anything is written.
    let wrong = command.replacen(cluster.token()?.0, "zzzzzz", 1);
    let words = ["config", "from-join", &wrong, "--patience", "2"];
    let refused = fixture.run_inside(&words, SOON)?;
    ensure(refused.code != 0 && refused.stdout.is_empty(), || {
        "a token of nobody made a NodeConfig".to_owned()
    })
}

pub fn no_image_contains_kubeadm(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.checkout().join("distro");
    // Images of Kubernetes' end-to-end suite are none of ours in what they have, and the suite takes long to build.
    let of_suite = fs_err::read_to_string(distro.join("conformance.toml"))?;
    let mut names = Vec::new();
    for file in distro.join("images").read_dir_utf8()? {
        let file = file?;
        let name = file.file_name().strip_suffix(".yaml");
        let name = name.filter(|name| *name != "conformance" && !of_suite.contains(&format!("ours = \"{name}\"")));
        names.extend(name.map(str::to_owned));
    }
    let words: Vec<_> = std::iter::once("build")
        .chain(names.iter().map(String::as_str))
        .collect();
    let built = fixture.cli.json(&words, COMPOSING, 0)?;
    let images = built["images"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure(!images.is_empty() && images.len() == names.len(), || {
        format!("{} images of {names:?}", images.len())
    })?;
    for image in images {
        let packages = image["facts"]["packages"].as_array().into_iter().flatten();
        let names: Vec<_> = packages.filter_map(|package| package["name"].as_str()).collect();
        ensure(!names.is_empty() && !names.contains(&"kubeadm"), || {
            format!("{}: {names:?}", image["name"])
        })?;
    }
    Ok(())
}
