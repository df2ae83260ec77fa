use proptest::prelude::*;

use super::*;

/// Bootstrap data by the generator of Cluster API 1.14.2 (`tests/oracle/bootstrap-data/main.go`).
const PLAIN: &str = include_str!("../../tests/bootstrap-data/plain.yaml");
const V1BETA3: &str = include_str!("../../tests/bootstrap-data/v1beta3.yaml");
const WORKER: &str = include_str!("../../tests/bootstrap-data/worker.yaml");
const REFUSED: &str = include_str!("../../tests/bootstrap-data/refused.yaml");
const FILES: &str = include_str!("../../tests/bootstrap-data/files.yaml");
const USERS: &str = include_str!("../../tests/bootstrap-data/users.yaml");
const DISCOVERY_FILE: &str = include_str!("../../tests/bootstrap-data/discovery-file.yaml");
const CONTROL_PLANE_JOIN: &str = include_str!("../../tests/bootstrap-data/control-plane-join.yaml");
const CONTROL_PLANE_INIT: &str = include_str!("../../tests/bootstrap-data/control-plane-init.yaml");
const IGNITION: &str = include_str!("../../tests/bootstrap-data/ignition.json");

fn instance() -> InstanceData {
    InstanceData::of_hostname("worker-1")
}

fn data(text: &str) -> (BootstrapData, String) {
    match read("user-data", text, &instance()) {
        Ok((data, warnings)) => (data, warnings.brief()),
        Err(problems) => panic!("{}", problems.brief()),
    }
}

fn said(text: &str) -> String {
    match read("user-data", text, &instance()) {
        Ok((_, problems)) | Err(problems) => problems.brief(),
    }
}

/// The line of a text that contains a part, from 1.
fn line(text: &str, part: &str) -> usize {
    let found = text.lines().position(|line| line.contains(part));
    found.unwrap_or_else(|| panic!("{part} is not there")) + 1
}

#[test]
fn what_cluster_api_writes_is_understood_in_both_versions() {
    let (plain, warnings) = data(PLAIN);
    assert_eq!(warnings, "");
    let (old, warnings) = data(V1BETA3);
    assert_eq!(warnings, "");
    assert!(V1BETA3.contains("v1beta3") && PLAIN.contains("v1beta4"));
    assert_eq!(plain.request, old.request);
    let registration = &plain.request.registration;
    assert_eq!(registration.node_name().unwrap().as_str(), "worker-1");
    assert_eq!(registration.kubelet.taints[0].key, UNINITIALIZED_TAINT);
    assert_eq!(
        registration.kubelet.kubelet.provider_id.as_deref(),
        Some("vsphere://4203-0001")
    );
    assert_eq!(plain.request.tls_bootstrap_token.unwrap().id(), "abcdef");
}

#[test]
fn what_users_added_is_understood() {
    let (data, warnings) = data(WORKER);
    assert!(warnings.contains("`users` has no effect (capv)"), "{warnings}");
    assert_eq!(warnings.matches("warning").count(), 1, "{warnings}");
    assert_eq!(data.hostname.unwrap().as_str(), "worker-1");
    assert_eq!(data.time_servers, ["time.example.com"]);
    assert_eq!(data.sysctls["net.core.somaxconn"], "4096");
    assert_eq!(
        data.registries[0].mirrors.as_ref().unwrap()[0].url,
        "http://10.0.0.1:5000"
    );
    assert!(data.files.is_empty());
}

#[test]
fn files_in_each_encoding_are_read() {
    let (data, warnings) = data(FILES);
    assert_eq!(warnings, "");
    assert_eq!(data.sysctls["vm.max_map_count"], "300000");
    assert_eq!(data.sysctls["fs.inotify.max_user_watches"], "600000");
    assert_eq!(data.hostname.unwrap().as_str(), "worker-1");
    // `ntp` is off.
    assert!(data.time_servers.is_empty());
    let [file] = &data.files[..] else {
        panic!("{:?}", data.files);
    };
    assert_eq!((file.path.as_str(), file.mode), ("/etc/kubernetes/azure.json", 0o600));
    assert!(file.content.contains("AzurePublicCloud"));
    assert_eq!(file.line, line(FILES, "azure.json"));
    assert!(!format!("{file:?}").contains("a secret"));
}

#[test]
fn users_are_named_in_a_warning() {
    let (with, warnings) = data(USERS);
    assert!(warnings.contains("`users` has no effect (ops, audit)"), "{warnings}");
    assert!(!warnings.contains("$6$"), "{warnings}");
    assert_eq!(with.request, data(PLAIN).0.request);
}

#[test]
fn a_discovery_file_among_the_files_is_used() {
    use crate::conversion::undiscovered;
    let (data, warnings) = data(DISCOVERY_FILE);
    assert_eq!(warnings, "");
    let config = undiscovered(&data.request, Some(&data)).unwrap();
    assert_eq!(config.cluster.endpoint, "https://192.0.2.10:6443");
    assert_eq!(config.cluster.bootstrap_token, "abcdef.0123456789abcdef");
    assert!(config.cluster.ca.is_some_and(|ca| ca.contains("BEGIN CERTIFICATE")));
}

#[test]
fn control_planes_and_ignition_are_refused_by_name() {
    for (text, part, words) in [
        (CONTROL_PLANE_JOIN, "controlPlane:", "makes a control-plane node"),
        (
            CONTROL_PLANE_JOIN,
            "pki/ca.key",
            "`/etc/kubernetes/pki/ca.key` is a file that joining makes",
        ),
        (
            CONTROL_PLANE_INIT,
            "kubeadm.yaml",
            "a cluster's first control-plane node",
        ),
        (IGNITION, "ignition", "Ignition"),
    ] {
        let said = said(text);
        let place = format!("user-data:{}:", line(text, part));
        let found = said
            .lines()
            .any(|line| line.starts_with(&place) && line.contains(words));
        assert!(found, "{place} {words}\n{said}");
        assert!(!said.contains("0123456789abcdef"), "{said}");
    }
}

#[test]
fn what_a_node_cannot_follow_is_refused_by_name_with_its_line() {
    let said = said(REFUSED);
    for (part, name) in [
        ("/etc/audit/rules.d/x.rules", "/etc/audit/rules.d/x.rules"),
        ("cloud-init-per", "cloud-init-per once x touch /x"),
        ("curl -sSL", "curl -sSL https://example.com/install.sh | bash"),
        ("apt-get install", "apt-get install -y nfs-common"),
        ("disk_setup:", "`disk_setup`"),
        ("fs_setup:", "`fs_setup`"),
        ("mounts:", "`mounts`"),
    ] {
        let expected = format!("user-data:{}:", line(REFUSED, part));
        let found = said
            .lines()
            .any(|line| line.starts_with(&expected) && line.contains(name));
        assert!(found, "{expected} {name}\n{said}");
    }
    assert_eq!(said.matches(": error: ").count(), 7, "{said}");
}

#[test]
fn problems_of_the_configuration_are_told_at_their_lines_of_the_whole() {
    let text = PLAIN.replace("192.0.2.10:6443", "https://192.0.2.10:6443");
    let said = said(&text);
    let number = line(&text, "https://192.0.2.10:6443");
    let place = text.lines().nth(number - 1).unwrap();
    let column = place.find("https://").unwrap() + 1;
    assert!(
        said.starts_with(&format!("user-data:{number}:{column}: error: ")),
        "{said}\n{place}"
    );
    assert!(!said.contains("0123456789abcdef"));
}

#[test]
fn other_user_data_is_refused() {
    for (text, expected) in [
        ("#!/bin/sh\nkubeadm join\n", "a script"),
        ("{\"ignition\":{\"version\":\"2.3.0\"}}", "Ignition"),
        ("Content-Type: multipart/mixed; boundary=x\n", "MIME"),
        // As Karpenter writes it for Amazon Linux.
        (
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"//\"\n\n--//\nContent-Type: text/x-shellscript; \
             charset=\"us-ascii\"\n\n#!/bin/bash\n--//--\n",
            "a MIME message of several parts: text/x-shellscript in line 5",
        ),
        ("#include\nhttps://example.com\n", "addresses"),
        ("", "something else"),
        ("## template: jinja\n", "something else"),
        ("#cloud-config\n", "empty"),
        ("#cloud-config\npackages: [nginx]\n", "packages"),
        (
            "#cloud-config\nruncmd: []\n",
            "no file `/run/kubeadm/kubeadm-join-config.yaml`",
        ),
        ("#cloud-config\nruncmd: [[sh, -c, reboot]]\n", "runcmd"),
        ("#cloud-config\nwrite_files: &a []\n", "anchors"),
    ] {
        let said = said(text);
        assert!(said.contains(": error: ") && said.contains(expected), "{text}: {said}");
    }
}

#[test]
fn joining_is_asked_for_once_and_wholly() {
    let command = PLAIN.lines().find(|line| line.contains("kubeadm join")).unwrap();
    let none = PLAIN.replace(command, "  - \"swapoff -a\"");
    assert!(said(&none).contains("no command that joins"), "{}", said(&none));
    let twice = PLAIN.replace(command, &format!("{command}\n{command}"));
    assert!(said(&twice).contains("a second command that joins"), "{}", said(&twice));
    let renamed = WORKER.replace("hostname \\\"{{ ds.meta_data.hostname }}\\\"", "hostname other");
    let (data, _) = data(&renamed);
    // The configuration names the node, and the command the machine.
    assert_eq!(data.hostname.unwrap().as_str(), "other");
    let again = WORKER.replace("swapoff -a", "hostname another");
    assert!(said(&again).contains("`worker-1` before"), "{}", said(&again));
}

#[test]
fn variables_without_values_are_refused() {
    let text = PLAIN.replace("ds.meta_data.local_hostname", "ds.meta_data.unknown");
    let said = said(&text);
    assert!(said.contains("ds.meta_data.unknown"), "{said}");
    // Without the first line, it is no template, and the braces are text.
    let plain = PLAIN.replacen("## template: jinja\n", "", 1);
    assert!(self::said(&plain).contains("{{"), "{}", self::said(&plain));
}

proptest! {
    #[test]
    fn nothing_panics(text in any::<String>(), at in 0usize..1500, more in "[ -~\n]{0,20}", removed in 0usize..40) {
        let _ = read("user-data", &text, &instance());
        let _ = read("user-data", &format!("#cloud-config\n{text}"), &instance());
        let mut changed = WORKER.to_owned();
        let at = at.min(changed.len());
        changed.replace_range(at..(at + removed).min(changed.len()), &more);
        let _ = read("user-data", &changed, &instance());
    }
}
