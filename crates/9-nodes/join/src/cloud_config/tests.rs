use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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

mod sysctls;
mod templates;

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
    assert_eq!(config.cluster.endpoint.as_deref(), Some("https://192.0.2.10:6443"));
    assert_eq!(
        config.cluster.bootstrap_token.as_deref(),
        Some("abcdef.0123456789abcdef")
    );
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
        ("cloud-init-per", "`cloud-init-per`"),
        ("curl -sSL", "`curl`"),
        ("apt-get install", "`apt-get`"),
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
        ("", "is empty"),
        ("\n \n", "is empty"),
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
fn base64_that_was_not_decoded_is_told() {
    let encoded = STANDARD.encode(PLAIN);
    let lines: Vec<_> = encoded
        .as_bytes()
        .chunks(76)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    for text in [&encoded, &format!("{}\n", lines.join("\n"))] {
        let problems = read("user-data", text, &instance()).unwrap_err();
        assert!(problems.source().text().len() <= 100, "the line is shown whole");
        assert!(said(text).contains("base64 that was not decoded"), "{}", said(text));
    }
    for other in ["abcd", "hunter22", &STANDARD.encode("a password")] {
        assert!(said(other).contains("something else"), "{}", said(other));
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
fn values_that_are_no_secrets_are_told_however_they_are_written() {
    let from = PLAIN.find("      ---\n").unwrap();
    let to = PLAIN.find("-   path: /run/cluster-api/placeholder").unwrap();
    let wrong = PLAIN
        .replace("'{{ ds.meta_data.local_hostname }}'", "Worker_1")
        .replace("token: abcdef.0123456789abcdef", "token: hunter22");
    let to = to + wrong.len() - PLAIN.len();
    let lines = wrong.get(from..to).unwrap();
    let block: String = lines
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("      ").unwrap()))
        .collect();
    let encoded = wrong.replacen(lines, "", 1).replacen(
        "    content: |\n",
        &format!("    encoding: base64\n    content: {}\n", STANDARD.encode(block)),
        1,
    );
    for text in [&wrong, &encoded] {
        let said = said(text);
        assert!(said.contains("`Worker_1`"), "{said}");
        assert!(!said.contains("hunter22"), "{said}");
    }
    let place = format!("user-data:{}:", line(&wrong, "Worker_1"));
    assert!(said(&wrong).contains(&place), "{}", said(&wrong));
    // A version, and a name in a file of its own.
    let text = PLAIN.replace("kubeadm.k8s.io/v1beta4", "kubeadm.k8s.io/v1beta9");
    assert!(said(&text).contains("`kubeadm.k8s.io/v1beta9`"), "{}", said(&text));
    for content in ["content: Worker_1", "content: |\n      Worker_1\n"] {
        let text = with_files(&format!("-   path: /etc/hostname\n    {content}\n"));
        must_tell(&text, "/etc/hostname", "error", "`Worker_1`");
    }
}

#[test]
fn of_a_command_the_program_is_told_and_no_argument() {
    let command = PLAIN.lines().find(|line| line.contains("kubeadm join")).unwrap();
    for (more, program) in [
        ("reboot", "`reboot`"),
        ("\"reboot\"", "`reboot`"),
        ("useradd -p hunter22 ops", "`useradd`"),
        ("/opt/register --token=hunter22", "`/opt/register`"),
        ("TOKEN=hunter22 register", "this command is not known"),
    ] {
        let text = PLAIN.replace(command, &format!("  - {more}\n{command}"));
        must_tell(&text, more, "error", program);
        let told = read("user-data", &text, &instance()).unwrap_err();
        let shown = format!("{}{told:?}", told.brief());
        assert!(!shown.contains("hunter22"), "{shown}");
    }
}

/// Bootstrap data with more files.
fn with_files(files: &str) -> String {
    PLAIN.replacen("write_files:\n", &format!("write_files:\n{files}"), 1)
}

/// Fails unless an error or a warning with these words is told at the line of a text that contains a part.
fn must_tell(text: &str, part: &str, severity: &str, words: &str) {
    let (said, place) = (said(text), format!("user-data:{}:", line(text, part)));
    let mut lines = said.lines();
    let found =
        lines.any(|line| line.starts_with(&place) && line.contains(&format!(": {severity}: ")) && line.contains(words));
    assert!(found, "{place} {severity} {words}\n{said}");
}

#[test]
fn proxies_of_containerd_are_taken_over() {
    let drop_in = |unit: &str, proxy: &str| {
        format!(
            "-   path: /etc/systemd/system/{unit}.service.d/http-proxy.conf\n    content: |\n      [Service]\n      \
             Environment=\"HTTP_PROXY={proxy}\"\n      Environment=\"NO_PROXY=10.0.0.0/8,.svc\"\n"
        )
    };
    let one = drop_in("containerd", "http://robot:hunter22@proxy.corp:3128");
    let same = one.replace("containerd", "kubelet");
    let (data, warnings) = data(&with_files(&format!("{one}{same}")));
    assert_eq!(warnings, "");
    assert!(!format!("{data:?}").contains("hunter22"));
    let config = crate::conversion::undiscovered(&data.request, Some(&data)).unwrap();
    let proxy = config.proxy.unwrap();
    assert_eq!(proxy.http.as_deref(), Some("http://robot:hunter22@proxy.corp:3128"));
    assert_eq!(proxy.no_proxy, ["10.0.0.0/8", ".svc"]);
    let other = drop_in("kubelet", "http://hunter22.corp:3128");
    let text = with_files(&format!("{one}{other}"));
    must_tell(&text, "kubelet.service.d", "error", "`HTTP_PROXY` is another one");
    assert!(!said(&text).contains("hunter22"), "{}", said(&text));
    // What the check finds in it has its place.
    let text = with_files(&drop_in("containerd", "proxy.corp:3128"));
    let (data, _) = self::data(&text);
    let config = crate::conversion::undiscovered(&data.request, Some(&data)).unwrap();
    let (told, rest) = data.origins.tell_errors(&config);
    assert_eq!(rest.errors(), 0, "{}", rest.brief());
    assert!(
        told.brief()
            .starts_with(&format!("user-data:{}:", line(&text, "http-proxy.conf"))),
        "{}",
        told.brief()
    );
}

/// Bootstrap data with `/etc/basalt/node.yaml`.
fn with_node_file(lines: &[&str]) -> String {
    let head =
        "-   path: /etc/basalt/node.yaml\n    content: |\n      apiVersion: basalt.dev/v1\n      kind: NodeConfig\n";
    let lines: String = lines.iter().map(|line| format!("      {line}\n")).collect();
    with_files(&format!("{head}{lines}"))
}

#[test]
fn parts_of_a_node_config_come_by_a_file() {
    let text = with_node_file(&[
        "network: { interfaces: [{ name: eth0, dhcp: false, addresses: [10.0.0.11/24] }] }",
        "registries: [{ host: registry.example, auth: { username: robot, password: hunter22 } }]",
        "proxy: { http: 'http://proxy.corp:3128' }",
        "prepull: [registry.example/app:1]",
    ]);
    let (data, warnings) = data(&text);
    assert_eq!(warnings, "");
    assert!(!format!("{data:?}").contains("hunter22"));
    let config = crate::conversion::undiscovered(&data.request, Some(&data)).unwrap();
    assert!(config.network.is_some() && config.proxy.is_some());
    assert_eq!(config.prepull, ["registry.example/app:1"]);
    assert_eq!(config.registries[0].host, "registry.example");
    assert_eq!(config.hostname.as_deref(), Some("worker-1"));
}

#[test]
fn what_a_node_file_cannot_say_is_refused_at_its_line() {
    for (part, words) in [
        ("cluster: { endpoint: hunter22 }", "`cluster` is not taken from"),
        ("kubelet: { maxPods: 50 }", "`kubelet` is not taken from"),
        ("caCertificates: hunter22", "`caCertificates` is not taken from"),
        ("networks: {}", "unknown key"),
        ("registries: [{ host: a, auth: hunter22 }]", "registries"),
    ] {
        let text = with_node_file(&[part]);
        must_tell(&text, part, "error", words);
        assert!(!said(&text).contains("hunter22"), "{}", said(&text));
    }
}

#[test]
fn slashes_do_not_hide_a_path() {
    for (path, words) in [
        (
            "/etc/kubernetes//manifests/evil.yaml",
            "`/etc/kubernetes/manifests/evil.yaml` is a static pod",
        ),
        (
            "/etc/kubernetes//pki/ca.crt",
            "`/etc/kubernetes/pki/ca.crt` is a file that joining makes",
        ),
        (
            "//etc/kubernetes//kubelet.conf",
            "`/etc/kubernetes/kubelet.conf` is a file that joining makes",
        ),
        ("/etc/kubernetes/", "`/etc/kubernetes/` is a folder"),
    ] {
        let text = with_files(&format!("-   path: {path}\n    content: x\n"));
        must_tell(&text, path, "error", words);
    }
    let (data, _) = data(&with_files("-   path: //etc/kubernetes//a.json\n    content: x\n"));
    assert_eq!(data.files[0].path, "/etc/kubernetes/a.json");
    let both =
        with_files("-   path: /etc/kubernetes/a\n    content: x\n-   path: /etc/kubernetes/a/b\n    content: x\n");
    must_tell(&both, "kubernetes/a/b", "error", "cannot both be files");
}

#[test]
fn kernel_settings_count_in_the_order_of_their_files() {
    let file = |path: &str, more: &str, value: &str| {
        format!("-   path: {path}\n{more}    content: vm.max_map_count={value}\n")
    };
    let of = |files: &[String]| data(&with_files(&files.concat()));
    // sysctl.d(5) sorts files by name, whatever the order in which they were written.
    let named = [
        file("/etc/sysctl.d/99-a.conf", "", "1"),
        file("/etc/sysctl.d/10-b.conf", "", "262144"),
    ];
    assert_eq!(of(&named).0.sysctls["vm.max_map_count"], "1");
    let last = [
        file("/etc/sysctl.conf", "", "2"),
        file("/etc/sysctl.d/99-a.conf", "", "1"),
    ];
    assert_eq!(of(&last).0.sysctls["vm.max_map_count"], "2");
    // The whole name counts: `-` comes before `.`.
    let signs = [
        file("/etc/sysctl.d/a.conf", "", "1"),
        file("/etc/sysctl.d/a-b.conf", "", "2"),
    ];
    assert_eq!(of(&signs).0.sysctls["vm.max_map_count"], "1");
    let appended = [
        file("/etc/sysctl.d/a.conf", "", "1"),
        file("/etc/sysctl.d/a.conf", "    append: true\n", "2"),
    ];
    assert_eq!(of(&appended).0.sysctls["vm.max_map_count"], "2");
    assert_eq!(of(&appended).1, "");
}

#[test]
fn of_two_files_of_one_path_the_later_one_counts() {
    let text = with_files(
        "-   path: /etc/sysctl.d/a.conf\n    content: vm.max_map_count=1\n-   path: /etc/sysctl.d//a.conf\n    content: vm.swappiness=10\n",
    );
    let (data, _) = data(&text);
    assert_eq!(data.sysctls.keys().collect::<Vec<_>>(), ["vm.swappiness"]);
    let words = format!(
        "is written again in line {}, which counts",
        line(&text, "sysctl.d//a.conf")
    );
    must_tell(&text, "sysctl.d/a.conf", "warning", &words);
    let hosts = |append: &str| {
        let path = "/etc/containerd/certs.d/docker.io/hosts.toml";
        with_files(&format!(
            "-   path: {path}\n    content: '[host.\"https://a.example\"]'\n-   path: {path}\n{append}    content: '[host.\"https://b.example\"]'\n"
        ))
    };
    let (data, _) = self::data(&hosts(""));
    assert_eq!(data.registries.len(), 1);
    assert_eq!(data.registries[0].mirrors.as_ref().unwrap()[0].url, "https://b.example");
    assert!(said(&hosts("    append: true\n")).contains("a second `hosts.toml` of `docker.io`"));
}

#[test]
fn statements_of_jinja_are_named_and_not_what_yaml_makes_of_them() {
    for statement in ["{% if v1.cloud_name == 'aws' %}", "{# note #}"] {
        let text = PLAIN.replacen("#cloud-config\n", &format!("#cloud-config\n{statement}\n"), 1);
        must_tell(&text, statement, "error", "no statements, comments");
        assert!(!said(&text).contains("not YAML"), "{}", said(&text));
    }
    // Without a template, YAML has the word.
    let text = PLAIN.replacen("## template: jinja\n#cloud-config\n", "#cloud-config\n{% if x %}\n", 1);
    assert!(said(&text).contains("not YAML"), "{}", said(&text));
}

#[test]
fn two_join_configurations_in_one_file_are_refused_at_the_second() {
    let from = PLAIN.find("      apiVersion: kubeadm").unwrap();
    let to = PLAIN.find("-   path: /run/cluster-api/placeholder").unwrap();
    let one = PLAIN.get(from..to).unwrap();
    let second = one
        .replace("192.0.2.10", "192.0.2.99")
        .replace("kind: J", "kind: \"J")
        .replace("Configuration\n", "Configuration\"\n");
    let text = PLAIN.replacen(one, &format!("{}\n      ---\n{second}", one.trim_end()), 1);
    must_tell(
        &text,
        "kind: \"JoinConfiguration\"",
        "error",
        "a second JoinConfiguration",
    );
}

#[test]
fn other_documents_beside_a_join_configuration_have_no_effect_with_a_warning() {
    let to = PLAIN.find("-   path: /run/cluster-api/placeholder").unwrap();
    let (before, after) = PLAIN.split_at(to);
    let kubelet = "apiVersion: kubelet.config.k8s.io/v1beta1\n      kind: KubeletConfiguration\n      maxPods: 50";
    let text = format!("{}\n      ---\n      {kubelet}\n{after}", before.trim_end());
    must_tell(
        &text,
        "kind: KubeletConfiguration",
        "warning",
        "`KubeletConfiguration` beside a JoinConfiguration has no effect",
    );
    assert_eq!(data(&text).0.request, data(PLAIN).0.request);
}

#[test]
fn names_of_others_are_not_the_machines_own() {
    let with = |command: &str| WORKER.replace("swapoff -a", command);
    for own in [
        "worker-1",
        "worker-1.example.com localhost",
        "ip6-localhost ip6-loopback",
    ] {
        let (_, warnings) = data(&with(&format!("echo '127.0.0.1 {own}' >> /etc/hosts")));
        assert!(!warnings.contains("error"), "{warnings}");
    }
    for other in ["registry.internal", "worker-10", "worker-1 registry.internal"] {
        let text = with(&format!("echo '127.0.0.1 {other}' >> /etc/hosts"));
        must_tell(&text, other, "error", "is not a name of the machine");
    }
}

#[test]
fn findings_of_the_last_check_have_the_lines_of_the_bootstrap_data() {
    let text = WORKER
        .replace(
            "cloud-provider\n          value: external",
            "eviction-hard\n          value: bogus<1Gi",
        )
        .replace("net.core.somaxconn = 4096", "net.ipv4.ip_forward = 0");
    let (data, _) = data(&text);
    let config = crate::conversion::undiscovered(&data.request, Some(&data)).unwrap();
    let (told, rest) = data.origins.tell_errors(&config);
    assert_eq!(rest.errors(), 0, "{}", rest.brief());
    let told = told.brief();
    for part in ["- name: eviction-hard", "net.ipv4.ip_forward = 0"] {
        assert!(
            told.contains(&format!("user-data:{}:", line(&text, part))),
            "{part}: {told}"
        );
    }
    assert!(!format!("{told}{data:?}").contains("0123456789abcdef"));
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
