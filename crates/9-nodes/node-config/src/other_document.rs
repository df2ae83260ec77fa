//! Recognition of files that were given in place of a NodeConfig: of kubeadm, Cluster API, cloud-init, netplan and Kubernetes.
//!
//! Their keys are unknown one by one; what helps is to say once what the file is.

use basalt_document::Finding;
use basalt_document::spelling::closest;

use crate::kubeconfig::{self, Credentials};
use crate::token::BootstrapToken;

/// Kinds of objects, with what leads from one to a NodeConfig. Of several in a file, the first of this list counts.
const KINDS: &[(&str, &str)] = &[
    (
        "JoinConfiguration",
        "`basalt config from-join 'kubeadm join --config FILE'` makes a NodeConfig of it",
    ),
    (
        "InitConfiguration",
        "it is a control plane's: there, `kubeadm token create --print-join-command` prints what `basalt config from-join` \
         makes a NodeConfig of",
    ),
    (
        "ClusterConfiguration",
        "it is the cluster's: on a control-plane node, `kubeadm token create --print-join-command` prints what `basalt \
         config from-join` makes a NodeConfig of",
    ),
    (
        "KubeletConfiguration",
        "its fields are a part of a NodeConfig: those that have a key below `kubelet`, and the others below \
         `kubelet.extraConfig`",
    ),
    (
        "KubeadmConfig",
        "Cluster API makes bootstrap data of it, and `basalt config from-join --bootstrap-data FILE` a NodeConfig of that",
    ),
    (
        "KubeadmConfigTemplate",
        "Cluster API makes bootstrap data of it, and `basalt config from-join --bootstrap-data FILE` a NodeConfig of that",
    ),
    (
        "Config",
        "`basalt config from-join --kubeconfig FILE` makes a NodeConfig with the rights of an administrator's kubeconfig; a discovery \
         file is the text of `cluster.kubeconfig`, or `kubeadm join --discovery-file FILE --tls-bootstrap-token TOKEN` for `from-join`",
    ),
    (
        "Secret",
        "bootstrap data in it is in base64: `kubectl get secret NAME -o jsonpath='{.data.value}' | base64 -d` prints it, for \
         `basalt config from-join --bootstrap-data FILE`",
    ),
];

/// Help on a kubeconfig that is for new nodes.
const BOOTSTRAP_KUBECONFIG: &str = "write its text as `cluster.kubeconfig` of a NodeConfig, below `|`; or let `basalt config from-join \
                                    kubeadm join --discovery-file FILE` make one of it";

/// Finding about a text that is no NodeConfig but a file of another kind, if it is one of those that are known.
pub(super) fn finding(text: &str) -> Option<Finding> {
    let (kinds, versions) = (values(text, "kind"), values(text, "apiVersion"));
    if kinds.contains(&"NodeConfig") || versions.iter().any(|version| version.starts_with("basalt.dev/")) {
        return None;
    }
    if let Some((kind, help)) = KINDS.iter().find(|(kind, _)| kinds.contains(kind)) {
        let help = match *kind == "Config" && has_bootstrap_token(text) {
            true => BOOTSTRAP_KUBECONFIG,
            false => *help,
        };
        return Some(other(&format!("a `{kind}`"), help));
    }
    if is_cloud_config(text) {
        let help = "if it is bootstrap data of Cluster API, `basalt config from-join --bootstrap-data FILE` makes a NodeConfig \
                    of it; docs/node/from-ubuntu.md says where else its settings go";
        return Some(other("cloud-config", help));
    }
    if is_user_data(text) {
        let help =
            "`basalt config from-join --offline --hostname NAME --bootstrap-data FILE` shows what a node makes of it";
        return Some(other("user data of a machine", help));
    }
    if kinds.is_empty() && versions.is_empty() && is_netplan(text) {
        let help = "write it as `network` of a NodeConfig: docs/node/network.md";
        return Some(other("a configuration of netplan", help));
    }
    let (kind, version) = (kinds.first()?, versions.first()?);
    let is_misspelt = closest(kind, ["NodeConfig"].into_iter()).is_some();
    (is_word(kind) && is_word(version) && !is_misspelt).then(|| {
        let help = "a NodeConfig begins with `apiVersion: basalt.dev/v1` and `kind: NodeConfig`";
        other(&format!("a `{kind}` of `{version}`"), help)
    })
}

fn other(what: &str, help: &str) -> Finding {
    Finding::error(format!("this is {what}, and no NodeConfig"), "another kind of file").with_help(help)
}

/// Values of a key at the beginnings of lines: of each document in a file, and whether the rest can be read or not.
fn values<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    let of_line = |line: &'t str| {
        let value = line.strip_prefix(key)?.strip_prefix(':')?;
        let value = value.split(" #").next().unwrap_or_default().trim();
        Some(value.trim_matches(['"', '\'']))
    };
    text.lines().filter_map(of_line).collect()
}

/// Returns `true` for a kubeconfig whose current context has a bootstrap token.
fn has_bootstrap_token(text: &str) -> bool {
    let (access, _) = kubeconfig::read_embedded(text);
    access.is_some_and(|access| match access.credentials {
        Credentials::Token(token) => token.parse::<BootstrapToken>().is_ok(),
        Credentials::None | Credentials::Certificate { .. } => false,
    })
}

fn is_cloud_config(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    first == "#cloud-config" || first == "## template: jinja" && lines.next() == Some("#cloud-config")
}

/// Returns `true` for a text that cloud-init or Ignition would read, and that is no NodeConfig: cloud-config, a template, a
/// script, a MIME message, Ignition's JSON.
pub fn is_user_data(text: &str) -> bool {
    const STARTS: [&str; 7] = [
        "#cloud-config",
        "## template:",
        "#!",
        "#include",
        "#cloud-boothook",
        "Content-Type:",
        "MIME-Version:",
    ];
    let is_ignition = text.starts_with('{') && text.contains("\"ignition\"");
    is_ignition || STARTS.iter().any(|start| text.starts_with(start))
}

fn is_netplan(text: &str) -> bool {
    let has_network = text.lines().any(|line| line.starts_with("network:"));
    has_network && (text.contains("ethernets:") || text.contains("renderer:"))
}

/// Returns `true` for what can be repeated: a word as kinds and versions are.
fn is_word(text: &str) -> bool {
    let is_part = |character: char| character.is_ascii_alphanumeric() || "-./".contains(character);
    (1..=63).contains(&text.len()) && text.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let finding = finding(text).unwrap_or_else(|| panic!("not recognized: {text}"));
        format!("{}: {}", finding.message, finding.help.unwrap_or_default())
    }

    #[test]
    fn files_of_other_kinds() {
        for (text, words) in [
            (
                "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\nnodeRegistration: { name: w1 }\n",
                "this is a `JoinConfiguration`, and no NodeConfig: `basalt config from-join 'kubeadm join --config FILE'`",
            ),
            (
                "kind: KubeletConfiguration\n---\n\"a\": 1\n---\nkind: 'JoinConfiguration' # of kubeadm\n",
                "this is a `JoinConfiguration`",
            ),
            ("#cloud-config\nruncmd: [kubeadm join]\n", "--bootstrap-data"),
            (
                "## template: jinja\n#cloud-config\nwrite_files:\n  {{ x }}\n",
                "cloud-config",
            ),
            (
                "network:\n  version: 2\n  ethernets:\n    ens3: { dhcp4: true }\n",
                "netplan",
            ),
            ("apiVersion: v1\nkind: Config\nclusters: []\n", "from-join --kubeconfig"),
            ("#!/bin/sh\n", "user data of a machine"),
            ("#cloud-config-archive\n- a\n", "user data of a machine"),
            ("{\"ignition\": {\"version\": \"3.4.0\"}}", "user data of a machine"),
            ("MIME-Version: 1.0\n", "user data of a machine"),
            (
                "apiVersion: apps/v1\nkind: Deployment\n",
                "this is a `Deployment` of `apps/v1`, and no NodeConfig",
            ),
        ] {
            assert!(said(text).contains(words), "{text}{}", said(text));
        }
    }

    #[test]
    fn kubeconfigs_for_nodes_are_told_from_others() {
        let kubeconfig = |user: &str| {
            format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: c\n  cluster: {{ server: 'https://a.example' }}\n\
                 contexts:\n- name: a\n  context: {{ cluster: c, user: u }}\nusers:\n- name: u\n  user: {user}\n"
            )
        };
        let for_nodes = said(&kubeconfig("{ token: \"abcdef.0123456789abcdef\" }"));
        assert!(
            for_nodes.contains("`cluster.kubeconfig` of a NodeConfig, below `|`"),
            "{for_nodes}"
        );
        for user in [
            "{ token: eyJhbGciOiJSUzI1NiJ9 }",
            "{ client-certificate-data: YQ==, client-key-data: Yg== } # was token: abcdef.0123456789abcdef",
            "{ token: eyJhbGciOiJSUzI1NiJ9 }\n- name: other\n  user: { token: abcdef.0123456789abcdef }",
            "{ token: [",
        ] {
            let text = kubeconfig(user);
            assert!(said(&text).contains("from-join --kubeconfig"), "{text}{}", said(&text));
        }
    }

    #[test]
    fn user_data_is_told_from_a_node_config() {
        for text in [
            "#cloud-config\nruncmd: [kubeadm join]\n",
            "## template: jinja\n#cloud-config\n",
            "#!/bin/sh\n",
            "{\"ignition\":{\"version\":\"3.4.0\"}}",
            "Content-Type: multipart/mixed",
            "#include\nhttps://example.com",
        ] {
            assert!(is_user_data(text), "{text}");
        }
        for text in [
            "apiVersion: basalt.dev/v1\n",
            "# a comment\napiVersion: x",
            "{\"apiVersion\": \"basalt.dev/v1\"}",
            "",
        ] {
            assert!(!is_user_data(text), "{text}");
        }
    }

    #[test]
    fn what_may_be_meant_as_a_node_config_is_none_of_them() {
        for text in [
            "",
            "a: 1\n",
            "kind: NodeConfig\n",
            "#cloud-config\napiVersion: basalt.dev/v1\nkind: NodeConfig\n",
            "apiVersion: basalt.dev/v1\nkind: Node\n",
            "apiVersion: v1\nkind: NodeConfiguration\n",
            "apiVersion: kubeadm.k8s.io/v1beta4\n",
            "network:\n  interfaces: []\n",
            // A key of something else.
            "  kind: JoinConfiguration\n",
            "apiVersion: v1\nkind: correct horse\n",
        ] {
            assert_eq!(finding(text), None, "{text}");
        }
    }
}
