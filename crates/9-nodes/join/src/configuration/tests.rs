use basalt_node_config::raw::CloudProvider;
use proptest::prelude::*;

use super::*;

const PIN: &str = "sha256:75bce4f40d74e730c3d05a111b76d3b1c1fdd60379e09bf5dfb8a588ce6dd821";

/// A JoinConfiguration of a version, with more fields at its end.
fn configuration(version: &str, registration: &str, more: &str) -> String {
    format!(
        "apiVersion: kubeadm.k8s.io/{version}\nkind: JoinConfiguration\ndiscovery:\n  bootstrapToken:\n    token: abcdef.0123456789abcdef\n    apiServerEndpoint: 192.0.2.10:6443\n    caCertHashes: [{PIN:?}]\nnodeRegistration:\n  name: worker-1\n{registration}{more}"
    )
}

fn said(text: &str) -> String {
    match read("join.yaml", text) {
        Ok((_, problems)) | Err(problems) => problems.brief(),
    }
}

#[test]
fn both_versions_say_the_same() {
    let new = configuration(
        "v1beta4",
        "  criSocket: unix:///var/run/containerd/containerd.sock\n  taints: [{key: a, effect: NoSchedule}]\n  kubeletExtraArgs:\n  - {name: provider-id, value: x:///1}\n  - {name: node-labels, value: a=b}\n",
        "timeouts: {discovery: 5m0s}\n",
    );
    let old = configuration(
        "v1beta3",
        "  taints: [{key: a, effect: NoSchedule}]\n  kubeletExtraArgs:\n    provider-id: x:///1\n    node-labels: a=b\n",
        "",
    )
    .replace("nodeRegistration", "  timeout: 5m0s\nnodeRegistration");
    let (one, warnings) = read("join.yaml", &new).unwrap();
    assert!(warnings.is_empty(), "{}", warnings.brief());
    let (other, _) = read("join.yaml", &old).unwrap();
    assert_eq!(one, other);
    assert_eq!(one.registration.node_name().unwrap().as_str(), "worker-1");
    assert_eq!(one.registration.kubelet.taints.len(), 1);
    assert_eq!(one.registration.kubelet.kubelet.provider_id.as_deref(), Some("x:///1"));
    assert_eq!(one.tls_bootstrap_token.unwrap().id(), "abcdef");
}

#[test]
fn a_field_of_another_type_is_not_missing_as_well() {
    let text = configuration("v1beta4", "", "");
    for (right, wrong) in [
        (format!("caCertHashes: [{PIN:?}]"), format!("caCertHashes: {PIN}")),
        (
            "apiServerEndpoint: 192.0.2.10:6443".to_owned(),
            "apiServerEndpoint: 6443".to_owned(),
        ),
    ] {
        let said = said(&text.replace(&right, &wrong));
        assert_eq!(said.matches(": error: ").count(), 1, "{said}");
        assert!(said.contains("must be"), "{said}");
    }
}

#[test]
fn null_and_empty_taints_are_none() {
    for taints in ["  taints: null\n", "  taints: []\n", ""] {
        let (request, _) = read("join.yaml", &configuration("v1beta4", taints, "")).unwrap();
        assert!(request.registration.kubelet.taints.is_empty());
    }
}

#[test]
fn the_last_of_an_argument_counts_and_hostname_override_before_the_name() {
    let arguments = "  kubeletExtraArgs:\n  - {name: hostname-override, value: other}\n  - {name: cloud-provider, value: external}\n  - {name: v, value: '2'}\n  - {name: v, value: '4'}\n";
    let (request, _) = read("join.yaml", &configuration("v1beta4", arguments, "")).unwrap();
    assert_eq!(request.registration.node_name().unwrap().as_str(), "other");
    let kubelet = request.registration.kubelet.kubelet;
    assert_eq!(
        (kubelet.verbosity, kubelet.cloud_provider),
        (Some(4), Some(CloudProvider::External))
    );
}

#[test]
fn other_documents_have_no_effect_with_a_warning() {
    let text = format!(
        "---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 50\n---\n{}---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n---\n# nothing\n",
        configuration("v1beta4", "", "skipPhases: [preflight]\n")
    );
    let (request, warnings) = read("join.yaml", &text).unwrap();
    let (alone, _) = read("join.yaml", &configuration("v1beta4", "", "")).unwrap();
    assert_eq!(request, alone);
    let brief = warnings.brief();
    // `skipPhases`, too; lines are those of the file, not of the document.
    assert_eq!(warnings.warnings(), 4, "{brief}");
    for (line, words) in [
        (3, "`KubeletConfiguration` beside a JoinConfiguration has no effect"),
        (15, "`skipPhases` has no effect"),
        (18, "`KubeProxyConfiguration` beside"),
        (21, "`ClusterConfiguration` beside"),
    ] {
        let place = format!("join.yaml:{line}:");
        let found = brief
            .lines()
            .any(|told| told.starts_with(&place) && told.contains(": warning: ") && told.contains(words));
        assert!(found, "{place} {words}\n{brief}");
    }
    assert!(
        brief.contains("ConfigMap `kubelet-config`") && brief.contains("kubeletExtraArgs"),
        "{brief}"
    );
}

#[test]
fn documents_that_kubeadm_cannot_read_are_refused_as_by_kubeadm() {
    let one = configuration("v1beta4", "", "");
    let line = one.lines().count() + 2;
    for (other, words) in [
        ("a: [unclosed\n", "is not YAML"),
        ("a: 1\n", "names no `kind`"),
        ("apiVersion: v1\nkind: ConfigMap\n", "names no `kind`"),
    ] {
        let said = said(&format!("{one}---\n{other}"));
        let line = line + usize::from(other.contains("kind"));
        let found = said
            .lines()
            .any(|told| told.starts_with(&format!("join.yaml:{line}:1: error: ")) && told.contains(words));
        assert!(found, "{words}: {said}");
    }
}

#[test]
fn two_join_configurations_in_one_file_are_refused() {
    let one = configuration("v1beta4", "", "");
    let text = format!("{one}---\n{}", one.replace("192.0.2.10", "192.0.2.99"));
    let line = one.lines().count() + 3;
    assert!(
        said(&text).starts_with(&format!("join.yaml:{line}:1: error: a second JoinConfiguration")),
        "{}",
        said(&text)
    );
    assert!(!format!("{:?}", read("join.yaml", &text)).contains("0123456789abcdef"));
}

#[test]
fn another_kind_is_named() {
    let text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n";
    let expected = "join.yaml:2:1: error: this is InitConfiguration and ClusterConfiguration, not JoinConfiguration";
    assert!(said(text).starts_with(expected), "{}", said(text));
    assert_eq!(said(text).matches(": error: ").count(), 1, "{}", said(text));
}

#[test]
fn settings_have_the_places_of_their_arguments() {
    let arguments =
        "  kubeletExtraArgs:\n  - {name: eviction-hard, value: bogus<1Gi}\n  - {name: event-qps, value: '-1'}\n";
    let (request, origins, _) = read_placed("join.yaml", &configuration("v1beta4", arguments, "")).unwrap();
    let config = crate::conversion::undiscovered(&request, None).unwrap();
    let (told, rest) = origins.tell_errors(&config);
    assert!(rest.is_empty(), "{}", rest.brief());
    let told = told.brief();
    assert!(
        told.contains("join.yaml:11:12: error: `bogus` is not an eviction signal"),
        "{told}"
    );
    assert!(
        told.contains("join.yaml:12:12: error: -1 is out of range for `eventRecordQPS`"),
        "{told}"
    );
}

#[test]
fn an_address_that_no_node_reaches_has_its_place() {
    let tunnel = configuration("v1beta4", "", "").replace("192.0.2.10:6443", "127.0.0.1:6443");
    let (request, origins, _) = read_placed("join.yaml", &tunnel).unwrap();
    let config = crate::conversion::undiscovered(&request, None).unwrap();
    let (told, rest) = origins.tell_errors(&config);
    assert!(rest.is_empty(), "{}", rest.brief());
    let expected = "join.yaml:6:24: error: no node reaches the API server at this address";
    assert!(told.brief().starts_with(expected), "{}", told.brief());
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (text, expected) in [
        (configuration("v1beta4", "", "controlPlane: {}\n"), "controlPlane"),
        (configuration("v1beta4", "", "patches: {directory: /p}\n"), "patches"),
        (configuration("v1beta2", "", ""), "v1beta2"),
        (
            configuration("v1beta4", "", "").replace("JoinConf", "InitConf"),
            "InitConfiguration",
        ),
        (configuration("v1beta4", "", "unknown: 1\n"), "unknown"),
        (
            configuration("v1beta4", "  kubeletExtraArgs: {v: '1'}\n", ""),
            "not of kubeadm.k8s.io/v1beta4",
        ),
        (
            configuration("v1beta3", "  kubeletExtraArgs: [{name: v, value: '1'}]\n", ""),
            "not of kubeadm.k8s.io/v1beta3",
        ),
        (configuration("v1beta3", "", "timeouts: {}\n"), "`timeouts` is not of"),
        (configuration("v1beta4", "", "").replace(PIN, "sha256:00"), "digits"),
        (
            configuration("v1beta4", "", "").replace(&format!("[{PIN:?}]"), "[]"),
            "vouches",
        ),
        (
            configuration("v1beta4", "", "").replace("worker-1", "Worker_1"),
            "Worker_1",
        ),
        (
            configuration("v1beta4", "  criSocket: unix:///run/crio/crio.sock\n", ""),
            "crio",
        ),
        (
            configuration("v1beta4", "  kubeletExtraArgs: [{name: root-dir, value: /d}]\n", ""),
            "root-dir",
        ),
        (
            configuration("v1beta4", "  taints: [{key: a, effect: Never}]\n", ""),
            "Never",
        ),
        (
            configuration("v1beta4", "", "").replace("192.0.2.10:6443", "https://a:1"),
            "scheme",
        ),
        (
            configuration("v1beta4", "", "").replace("    apiServerEndpoint: 192.0.2.10:6443\n", ""),
            "apiServerEndpoint",
        ),
        (
            configuration("v1beta4", "", "").replace("abcdef.0123456789abcdef", "abcdef"),
            "token",
        ),
    ] {
        let said = said(&text);
        assert!(
            said.contains(": error: ") && said.contains(expected),
            "{expected}: {said}"
        );
        assert!(!said.contains("0123456789abcdef"), "{said}");
    }
}

#[test]
fn a_kubeconfig_in_the_place_of_its_path_is_of_cluster_api() {
    let file = |file: &str| {
        let text = format!("apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery:\n  file: {file}\n");
        said(&text)
    };
    let inline = file("{kubeConfig: {cluster: {server: 'https://a'}, user: {token: abcdef.0123456789abcdef}}}");
    assert!(
        inline.contains("KubeadmConfig") && inline.contains("cluster.kubeconfig"),
        "{inline}"
    );
    assert!(!inline.contains("0123456789abcdef"), "{inline}");
    assert!(file("{}").contains("`kubeConfigPath` is missing"), "{}", file("{}"));
    assert!(!file("{kubeConfigPath: /etc/discovery.conf}").contains("error"));
}

proptest! {
    #[test]
    fn nothing_panics(text in any::<String>(), at in 0usize..300, more in "[ -~\n]{0,20}") {
        let _ = read("join.yaml", &text);
        let mut whole = configuration("v1beta4", "", "");
        whole.insert_str(at.min(whole.len()), &more);
        let _ = read("join.yaml", &whole);
    }
}
