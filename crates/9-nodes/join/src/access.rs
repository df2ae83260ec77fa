//! Kubeconfig files of joins, with the pins of their authorities: the one in `cluster-info`, discovery files, bootstrap
//! kubeconfigs, and those of administrators.

use basalt_document::problem::Problems;
use basalt_document::{Document, Finding};
use basalt_node_config::address::Endpoint;
use basalt_node_config::kubeconfig::{self, AuthorityData, ContextChoice};

pub use basalt_node_config::kubeconfig::Credentials;

use crate::authorities::ClusterAuthorities;
use crate::findings::Findings;

/// API server of a kubeconfig, its authorities, and the credentials for it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterAccess {
    /// API server.
    pub endpoint: Endpoint,
    /// Its authorities; `None` when the file has none.
    pub authorities: Option<ClusterAuthorities>,
    /// Credentials of the user of the current context.
    pub credentials: Credentials,
}

/// Reads a kubeconfig; `name` is what errors call the file.
///
/// # Errors
/// When the file is no kubeconfig, or names other files: none is read besides it.
pub fn read(name: &str, text: &str) -> Result<(ClusterAccess, Problems), Problems> {
    read_by(name, text, &ContextChoice::CurrentAlone)
}

/// Reads the kubeconfig of a user, by the context of a name, or by its current one.
///
/// # Errors
/// Those of [`read`], and when there is no such context.
pub fn read_context(name: &str, text: &str, context: Option<&str>) -> Result<(ClusterAccess, Problems), Problems> {
    let choice = context.map_or(ContextChoice::Current, ContextChoice::Named);
    read_by(name, text, &choice)
}

fn read_by(name: &str, text: &str, choice: &ContextChoice<'_>) -> Result<(ClusterAccess, Problems), Problems> {
    let document = Document::parse(name, text).map_err(|problems| crate::redaction::without_secrets(&problems))?;
    let (access, found) = kubeconfig::read_by(&document, choice);
    let mut findings = Findings::new(&document, found);
    let access = access.map(|access| ClusterAccess {
        endpoint: access.endpoint,
        authorities: access.authorities.and_then(|data| authorities(&mut findings, &data)),
        credentials: access.credentials,
    });
    findings.conclude(access)
}

fn authorities(findings: &mut Findings<'_>, data: &AuthorityData) -> Option<ClusterAuthorities> {
    match ClusterAuthorities::from_base64(&data.data) {
        Ok(authorities) => Some(authorities),
        Err(error) => {
            let finding = Finding::error(error.to_string(), "not a certificate authority");
            let help = "copy the whole value of `certificate-authority-data`";
            findings.say(&data.place, finding.with_help(help));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLUSTER_INFO: &str = include_str!("../tests/vectors/cluster-info.yaml");

    /// A kubeconfig with a context, a user, and other settings of its cluster.
    fn kubeconfig(cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: c\n  cluster:\n    server: https://api.example.com\n    {cluster}\ncontexts:\n- name: a\n  context: {{cluster: c, user: u}}\nusers:\n- name: u\n  user:\n    {user}\n"
        )
    }

    fn said(text: &str) -> String {
        match read("file", text) {
            Ok((_, problems)) | Err(problems) => problems.brief(),
        }
    }

    #[test]
    fn the_kubeconfig_of_cluster_info_is_read() {
        let (access, warnings) = read("cluster-info", CLUSTER_INFO).unwrap();
        assert!(warnings.is_empty());
        assert_eq!(access.endpoint.to_string(), "https://192.0.2.10:6443");
        assert_eq!(access.authorities.unwrap().iter().count(), 1);
        assert_eq!(access.credentials, Credentials::None);
    }

    #[test]
    fn ports_and_tokens() {
        let (access, _) = read(
            "file",
            &kubeconfig("tls-server-name: ''", "token: abcdef.0123456789abcdef"),
        )
        .unwrap();
        assert_eq!(access.endpoint.to_string(), "https://api.example.com:443");
        assert_eq!(
            access.credentials,
            Credentials::Token("abcdef.0123456789abcdef".to_owned())
        );
        assert!(!format!("{access:?}").contains("0123456789"));
    }

    #[test]
    fn settings_that_a_node_cannot_have_are_refused_with_their_places() {
        for (cluster, user, expected) in [
            ("insecure-skip-tls-verify: true", "{}", "insecure-skip-tls-verify"),
            ("certificate-authority: /etc/ca.crt", "{}", "/etc/ca.crt"),
            ("certificate-authority-data: '%'", "{}", "base64"),
            ("proxy-url: http://proxy:3128", "{}", "proxy-url"),
            ("tls-server-name: other", "{}", "tls-server-name"),
            ("{}", "exec: {command: aws}", "exec"),
            ("{}", "tokenFile: /token", "/token"),
            ("{}", "{username: a, password: b}", "basic authentication"),
            ("{}", "{password: b}", "basic authentication"),
            ("{}", "{token: t, as: system:admin}", "in the name of another user"),
            ("{}", "{token: t, as-groups: [a]}", "in the name of another user"),
            ("{}", "client-certificate-data: '%'", "base64"),
        ] {
            let cluster = if cluster == "{}" { "extensions: []" } else { cluster };
            let user = if user == "{}" { "token: ''" } else { user };
            let said = said(&kubeconfig(cluster, user));
            assert!(
                said.contains(": error: ") && said.contains(expected) && !said.contains("another machine"),
                "{cluster} {user}: {said}"
            );
        }
        let rancher = CLUSTER_INFO.replace(
            "https://192.0.2.10:6443",
            "https://rancher.example.com/k8s/clusters/c-1",
        );
        assert!(said(&rancher).contains("below a path"), "{}", said(&rancher));
        let plain = CLUSTER_INFO.replace("https://", "http://");
        assert!(said(&plain).contains("https://"), "{}", said(&plain));
        assert!(said("apiVersion: v1\nkind: Config\n").contains("names no cluster"));
    }

    #[test]
    fn contexts_are_named() {
        let text = kubeconfig("extensions: []", "token: hunter22").replace("current-context: a", "current-context: ''");
        let (access, _) = read_context("file", &text, Some("a")).unwrap();
        assert_eq!(access.credentials, Credentials::Token("hunter22".to_owned()));
        let said = |context| format!("{:?}", read_context("file", &text, context).unwrap_err());
        assert!(said(None).contains("name one with `--context`: a"), "{}", said(None));
        let missing = said(Some("b"));
        assert!(
            missing.contains("has no context `b`") && missing.contains("it has: a"),
            "{missing}"
        );
        // Of a discovery file, nobody names one.
        let alone = format!("{:?}", read("file", &text).unwrap_err());
        assert!(alone.contains("--minify") && !alone.contains("--context"), "{alone}");
        // A name counts before the cluster without one, that of `cluster-info`.
        let text = kubeconfig("extensions: []", "token: hunter22").replace(
            "clusters:\n",
            "clusters:\n- {name: '', cluster: {server: 'https://other.example:1'}}\n",
        );
        let (access, _) = read_context("file", &text, Some("a")).unwrap();
        assert_eq!(access.endpoint.to_string(), "https://api.example.com:443");
        let (access, _) = read_context("file", &text, None).unwrap();
        assert_eq!(access.endpoint.to_string(), "https://other.example:1");
    }

    #[test]
    fn no_error_shows_a_token() {
        let text = kubeconfig("proxy-url: http://p", "token: abcdef.0123456789abcdef");
        let problems = read("file", &text).unwrap_err();
        assert!(!format!("{problems:?}").contains("0123456789abcdef"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>(), server in "[a-z:/.\\[\\]0-9]{0,30}") {
            let _ = read("file", &text);
            let _ = read("file", &kubeconfig(&format!("server: '{server}'"), "{}"));
            let _ = read("file", &CLUSTER_INFO.replace("https://192.0.2.10:6443", &format!("'{server}'")));
        }
    }
}
