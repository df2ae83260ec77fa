//! Secrets of bootstrap data, JoinConfigurations and kubeconfigs, which no report shows.

use basalt_document::problem::Problems;
use basalt_document::{Document, Path, secret};

pub use basalt_document::redaction::redact;

/// Paths of values that are shown; `*` is any item of a list, and what is below one is shown, too. Nobody knows what else
/// holds a secret: contents of files, accounts, directives of cloud-init that a node does not follow.
const PUBLIC: &[&str] = &[
    // Bootstrap data.
    "write_files.*.path",
    "write_files.*.encoding",
    "write_files.*.owner",
    "write_files.*.permissions",
    "write_files.*.append",
    "ntp",
    "users.*.name",
    // JoinConfiguration.
    "apiVersion",
    "kind",
    "dryRun",
    "caCertPath",
    "nodeRegistration",
    "skipPhases",
    "timeouts",
    "discovery.timeout",
    "discovery.file.kubeConfigPath",
    "discovery.bootstrapToken.apiServerEndpoint",
    "discovery.bootstrapToken.caCertHashes",
    "discovery.bootstrapToken.unsafeSkipCAVerification",
    // Kubeconfig.
    "clusters",
    "contexts",
    "current-context",
    "users.*.user.tokenFile",
    "users.*.user.client-certificate",
    "users.*.user.client-key",
    "users.*.user.exec.command",
];

/// Problems that show no secret, neither in the text of the document nor in their words.
pub(crate) fn without_secrets(problems: &Problems) -> Problems {
    let found: Vec<_> = problems.iter().cloned().collect();
    match Document::parse(problems.name(), problems.source().text()) {
        Ok(document) => secret::with_public(document, is_public).problems(found),
        Err(_) => problems.clone().outlined(is_key),
    }
}

/// Returns `true` for a key that stands before public values.
pub(crate) fn is_key(word: &str) -> bool {
    PUBLIC.iter().any(|public| public.split('.').any(|key| key == word))
}

fn is_public(path: &Path) -> bool {
    let path = path.to_string();
    // `users[0].name`, of which `users.*.name` is the pattern.
    let steps = path.split('.').flat_map(|step| {
        let (key, item) = step.split_once('[').map_or((step, None), |(key, _)| (key, Some("*")));
        std::iter::once(key).chain(item)
    });
    PUBLIC.iter().any(|public| public.split('.').eq(steps.clone()))
}

#[cfg(test)]
mod tests {
    use basalt_document::Finding;
    use proptest::prelude::*;

    use super::*;
    use crate::{access, cloud_config, configuration};

    /// All that is reported about a text as each kind of document, and about each of its lines.
    fn reported(text: &str) -> String {
        let instance = cloud_config::InstanceData::of_hostname("worker-1");
        let mut all = vec![
            cloud_config::read("a", text, &instance).map_or_else(|problems| problems, |(_, warnings)| warnings),
            configuration::read("a", text).map_or_else(|problems| problems, |(_, warnings)| warnings),
            access::read("a", text).map_or_else(|problems| problems, |(_, warnings)| warnings),
        ];
        if let Ok(document) = Document::parse("a", text) {
            let found = vec![document.at(&Path::root(), Finding::error("here", "here"))];
            all.push(without_secrets(&document.problems(found)));
        }
        let shown = all.iter().map(|problems| format!("{}{problems:?}", problems.brief()));
        shown.collect()
    }

    #[test]
    fn values_that_may_be_secrets_are_masked() {
        for text in [
            "#cloud-config\nwrite_files:\n  - path: /etc/kubernetes/azure.json\n    content: |\n      hunter22\n",
            "#cloud-config\nwrite_files:\n  - { path: a, encoding: base64, content: hunter22 }\n",
            "#cloud-config\nwrite_files:\n  - { path: a, contents: hunter22 }\n",
            "#cloud-config\nusers:\n  - { name: x, passwd: hunter22 }\nx: 1\n",
            "#cloud-config\npassword: hunter22\nchpasswd: { list: ['root:hunter22'] }\n",
            "#cloud-config\npassword: hunter22: x\n",
            "#cloud-config\nruncmd:\n  - echo root:hunter22 | chpasswd\n  - [curl, -u, 'a:hunter22', b]\n",
            "#cloud-config\nbootcmd: ['TOKEN=hunter22 register']\n",
            "password: hunter22\n",
            "## template: jinja\n#cloud-config\nx: hunter22\n{% if x %}\npassword: hunter22\n{% endif %}\n",
            "kind: JoinConfiguration\ndiscovery: { tlsBootstrapToken: hunter22, bootstrapToken: { token: hunter22 } }\n",
            "kind: JoinConfiguration\ndiscovery: { tocken: hunter22 }\n",
            "kind: JoinConfiguration\ndiscovery: { file: { kubeConfig: { user: { token: hunter22 } } } }\n",
            "kind: JoinConfiguration\ndiscovery: { token: hunter22\n",
            "kind: Config\nusers: [{ name: a, user: { token: hunter22, password: hunter22 } }]\n",
            "kind: Config\nusers: [{ name: a, user: { exec: { command: a, args: [hunter22] } } }]\n",
            "kind: Config\nusers: 12345678\n# hunter22\n",
        ] {
            let shown = reported(text);
            assert!(
                !shown.contains("hunter22") && !shown.contains("12345678"),
                "{text}\n{shown}"
            );
        }
    }

    #[test]
    fn the_rest_is_shown() {
        let shown = reported(
            "kind: JoinConfiguration\nnodeRegistration:\n  taints: [{ key: front }]\nntp: { enabled: true }\n",
        );
        for part in ["kind: JoinConfiguration", "[{ key: front }]", "enabled: true"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = reported(&text);
        }
    }
}
