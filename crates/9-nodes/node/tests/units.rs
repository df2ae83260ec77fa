//! The units of a node name the same places as the agent (`distro/packages/kubernetes-node`).

use std::collections::BTreeMap;
use std::path::Path;

use basalt_node::paths;

/// The units by name.
fn units() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/packages/kubernetes-node");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let units = entries.filter(|path| {
        path.extension()
            .is_some_and(|kind| kind == "path" || kind == "service" || kind == "socket")
    });
    let named = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(path).unwrap())
    };
    units.map(named).collect()
}

#[track_caller]
fn has(unit: &str, line: &str) {
    let units = units();
    let text = units.get(unit).unwrap_or_else(|| panic!("there is no {unit}"));
    assert!(text.lines().any(|known| known == line), "{unit} has no line {line}");
}

#[test]
fn they_read_what_the_agent_writes() {
    has(
        "containerd.service",
        &format!("ExecStart=/usr/bin/containerd --config {}", paths::CONTAINERD_CONFIG),
    );
    has(
        "containerd.service",
        &format!("ConditionPathExists={}", paths::CONTAINERD_CONFIG),
    );
    has(
        "containerd.service",
        &format!("Environment=SSL_CERT_DIR={}", paths::CA_CERTIFICATES),
    );
    has(
        "containerd.service",
        &format!("EnvironmentFile=-{}", paths::CONTAINERD_ENVIRONMENT),
    );
    has("kubelet.service", &format!("ConditionPathExists={}", paths::APPLIED));
    has(
        "kubelet.service",
        &format!("EnvironmentFile={}", paths::KUBELET_ARGUMENTS),
    );
    has(
        "kubelet.service",
        &format!("EnvironmentFile=-{}", paths::KUBELET_ADDRESS),
    );
    has(
        "kubelet.service",
        &format!("EnvironmentFile=-{}", paths::KUBELET_ENVIRONMENT),
    );
    has(
        "basalt-ready.service",
        &format!("ConditionPathExists={}", paths::APPLIED),
    );
    has(
        "basalt-prepull.service",
        &format!("EnvironmentFile={}/units", paths::PREPULL),
    );
    has(
        "basalt-prepull@.service",
        &format!("EnvironmentFile={}/%i", paths::PREPULL),
    );
    has(
        "basalt-time-servers.path",
        &format!("PathChanged={}", paths::TIME_SERVERS_OF_DHCP),
    );
    has("basalt-follow.service", "OnSuccess=basalt-address-change.service");
    has(
        "basalt-images.socket",
        &format!("ListenStream={}", paths::IMAGES_ADDRESS),
    );
}

#[test]
fn the_network_is_followed_beside_the_kubelet() {
    let units = units();
    let mut wants = units["kubelet.service"].lines().filter_map(|line| line.strip_prefix("Wants="));
    assert!(wants.any(|wants| wants.split_whitespace().any(|unit| unit == "basalt-follow.service")));
    // Interfaces that come later belong to whoever attached them.
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/packages/basalt-defaults/network.rules");
    let rules = std::fs::read_to_string(rules).unwrap();
    assert!(rules.contains(&format!("TEST==\"{}\"", paths::KUBELET_ADDRESS)));
}

#[test]
fn time_servers_take_the_place_of_the_pool() {
    let chrony = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/packages/chrony");
    let conf = std::fs::read_to_string(chrony.join("chrony.conf")).unwrap();
    assert!(conf.lines().any(|line| line == "sourcedir /run/chrony.d /usr/lib/chrony/sources.d"));
    assert!(!conf.lines().any(|line| line.starts_with("pool") || line.starts_with("server")));
    // The name of the file that the agent writes; see the golden file of the example.
    assert!(chrony.join("default.sources").exists());
}

#[test]
fn there_is_no_shell_to_call() {
    for (name, text) in units() {
        for line in text.lines().filter(|line| line.starts_with("Exec")) {
            let command = line.split_once('=').unwrap().1;
            assert!(
                command.starts_with("/usr/bin/") && !command.contains("/sh "),
                "{name}: {line}"
            );
        }
    }
}

#[test]
fn nothing_waits_to_be_enabled() {
    for (name, text) in units() {
        assert!(
            !text.contains("[Install]"),
            "{name}: which units start is decided by links in the package"
        );
    }
}
