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
            .is_some_and(|kind| kind == "service" || kind == "socket")
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
        "basalt-ready.service",
        &format!("ConditionPathExists={}", paths::APPLIED),
    );
    has(
        "basalt-images.socket",
        &format!("ListenStream={}", paths::IMAGES_ADDRESS),
    );
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

#[test]
fn a_reset_is_asked_for_by_one_name() {
    use basalt_node::reset;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/packages/kubernetes-node");
    let rules = std::fs::read_to_string(folder.join("state-reset.rules")).unwrap();
    let link = reset::STATE_DEVICE.strip_prefix("/dev/").unwrap();
    for part in [
        format!("SYMLINK==\"{link}\""),
        format!("ENV{{ID_FS_LABEL}}==\"{}\"", reset::MARK),
        format!("SYMLINK+=\"{link}-reset\""),
    ] {
        assert!(rules.contains(&part), "{part}");
    }
    has(
        "basalt-state-reset.service",
        &format!("ConditionPathExists={}-reset", reset::STATE_DEVICE),
    );
    has("basalt-state-reset.service", "Before=basalt-state-check.service");
}
