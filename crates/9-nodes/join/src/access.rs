//! Kubeconfig files: the one in `cluster-info`, discovery files, bootstrap kubeconfigs, and those of administrators.

use basalt_document::problem::Problems;
use basalt_document::{Document, Finding, Path, schema};
use basalt_node_config::address::Endpoint;

use crate::authorities::ClusterAuthorities;
use crate::findings::Findings;

mod raw;

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

/// Credentials in a kubeconfig.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// None: requests are anonymous.
    None,
    /// A bearer token, such as a bootstrap token.
    Token(String),
    /// A client certificate and its key, both in PEM.
    Certificate {
        /// Certificate, with its chain.
        certificate: String,
        /// Private key.
        key: String,
    },
}

/// Shows the kind, never a secret.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Token(_) => "Token(…)",
            Self::Certificate { .. } => "Certificate(…)",
        })
    }
}

/// Reads a kubeconfig; `name` is what errors call the file.
///
/// As kubeadm does, a cluster without a name counts first (`cluster-info` has such a one), then that of the current
/// context.
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

/// Context that counts.
enum ContextChoice<'n> {
    /// The current one, in a file for one cluster.
    CurrentAlone,
    /// The current one, in a file of a user, who can name another one.
    Current,
    /// The one of this name.
    Named(&'n str),
}

fn read_by(name: &str, text: &str, choice: &ContextChoice<'_>) -> Result<(ClusterAccess, Problems), Problems> {
    let document = Document::parse(name, text).map_err(|problems| crate::redaction::without_secrets(&problems))?;
    let (raw, found) = schema::decode_what_fits::<raw::Kubeconfig>(&document);
    let mut findings = Findings::new(&document, found);
    let access = raw.and_then(|raw| access(&mut findings, &raw, choice));
    findings.conclude(access)
}

fn access(findings: &mut Findings<'_>, raw: &raw::Kubeconfig, choice: &ContextChoice<'_>) -> Option<ClusterAccess> {
    let clusters = raw.clusters.as_deref().unwrap_or_default();
    let contexts = raw.contexts.as_deref().unwrap_or_default();
    let current = match choice {
        ContextChoice::Named(name) => *name,
        ContextChoice::Current | ContextChoice::CurrentAlone => raw.current_context.as_deref().unwrap_or_default(),
    };
    let context = contexts.iter().find(|context| context.name == current);
    let names = contexts.iter().map(|context| context.name.as_str());
    let names = names.collect::<Vec<_>>().join(", ");
    if let (ContextChoice::Named(name), None) = (choice, context) {
        let finding = Finding::error(format!("the kubeconfig has no context `{name}`"), "here");
        findings.say(
            &Path::root().key("contexts"),
            finding.with_help(format!("it has: {names}")),
        );
        return None;
    }
    let wanted = context.and_then(|context| context.context.as_ref());
    let is_named = matches!(choice, ContextChoice::Named(_));
    let unnamed = clusters.iter().position(|cluster| cluster.name.is_empty() && !is_named);
    let named = wanted.and_then(|context| clusters.iter().position(|cluster| cluster.name == context.cluster));
    let place = Path::root().key("clusters");
    let index = unnamed.or(named);
    let Some((index, cluster)) = index.and_then(|index| Some((index, clusters.get(index)?.cluster.as_ref()?))) else {
        let message = "the kubeconfig names no cluster: `current-context` leads to none, and none is without a name";
        let help = match choice {
            ContextChoice::Current if !names.is_empty() => format!("name one with `--context`: {names}"),
            _ => "write one with `kubectl config view --raw --minify --flatten`".to_owned(),
        };
        findings.say(&place, Finding::error(message, "here").with_help(help));
        return None;
    };
    let place = place.index(index).key("cluster");
    let authorities = authorities(findings, &place, cluster);
    let endpoint = endpoint(findings, &place.key("server"), &cluster.server);
    let credentials = wanted.map_or(Some(Credentials::None), |context| {
        credentials(findings, raw, context.user.as_deref().unwrap_or_default())
    });
    Some(ClusterAccess {
        endpoint: endpoint?,
        authorities,
        credentials: credentials?,
    })
}

/// API server of a URL, whose port is 443 unless it is given.
fn endpoint(findings: &mut Findings<'_>, place: &Path, server: &str) -> Option<Endpoint> {
    let trimmed = server.trim_end_matches('/');
    let host = trimmed.strip_prefix("https://").unwrap_or_default();
    if host.contains('/') {
        let message = "the API server is below a path, as behind Rancher's proxy: a kubelet's node cannot be given one";
        let help = "use the address of the API server itself";
        findings.say(place, Finding::error(message, "has a path").with_help(help));
        return None;
    }
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    if host.is_empty() || has_port {
        return findings.parse(place, trimmed);
    }
    findings.parse(place, &format!("{trimmed}:443"))
}

fn authorities(findings: &mut Findings<'_>, place: &Path, cluster: &raw::Cluster) -> Option<ClusterAuthorities> {
    if cluster.insecure_skip_tls_verify == Some(true) {
        let message = "`insecure-skip-tls-verify` is set: nothing would vouch for the API server";
        let help = "remove it, and add `certificate-authority-data`";
        findings.say(
            &place.key("insecure-skip-tls-verify"),
            Finding::error(message, "refused").with_help(help),
        );
    }
    if let Some(path) = &cluster.certificate_authority {
        files_are_refused(findings, &place.key("certificate-authority"), path);
    }
    for (key, value) in [
        ("tls-server-name", &cluster.tls_server_name),
        ("proxy-url", &cluster.proxy_url),
    ] {
        if value.as_ref().is_some_and(|value| !value.is_empty()) {
            let message = format!("`{key}` is not supported: a NodeConfig has no setting for it");
            let help = "let the node reach the API server under a name that its certificate has";
            findings.say(&place.key(key), Finding::error(message, "refused").with_help(help));
        }
    }
    let data = cluster
        .certificate_authority_data
        .as_ref()
        .filter(|data| !data.is_empty())?;
    match ClusterAuthorities::from_base64(data) {
        Ok(authorities) => Some(authorities),
        Err(error) => {
            let finding = Finding::error(error.to_string(), "not a certificate authority");
            let help = "copy the whole value of `certificate-authority-data`";
            findings.say(&place.key("certificate-authority-data"), finding.with_help(help));
            None
        }
    }
}

fn files_are_refused(findings: &mut Findings<'_>, place: &Path, path: &str) {
    let message = format!("`{path}` is another file, and none is read besides the kubeconfig");
    let help = "write its content into the kubeconfig: `kubectl config view --raw --minify --flatten`";
    findings.say(place, Finding::error(message, "a path").with_help(help));
}

/// Credentials of a user, by name.
fn credentials(findings: &mut Findings<'_>, raw: &raw::Kubeconfig, name: &str) -> Option<Credentials> {
    let users = raw.users.as_deref().unwrap_or_default();
    let Some(index) = users.iter().position(|user| user.name == name) else {
        return Some(Credentials::None);
    };
    let place = Path::root().key("users").index(index).key("user");
    let Some(user) = users.get(index).and_then(|user| user.user.as_ref()) else {
        return Some(Credentials::None);
    };
    for (key, path) in [
        ("tokenFile", &user.token_file),
        ("client-certificate", &user.client_certificate),
        ("client-key", &user.client_key),
    ] {
        if let Some(path) = path {
            files_are_refused(findings, &place.key(key), path);
            return None;
        }
    }
    if !is_plain_user(findings, &place, user) {
        return None;
    }
    if user.exec.is_some() || user.auth_provider.is_some() {
        let key = if user.exec.is_some() { "exec" } else { "auth-provider" };
        let message = format!("`{key}` gets credentials from a program, and none is run");
        let help = "use a kubeconfig with a token or a client certificate: `kubectl create token`, or admin.conf";
        findings.say(&place.key(key), Finding::error(message, "refused").with_help(help));
        return None;
    }
    let certificate = decoded(
        findings,
        &place.key("client-certificate-data"),
        user.client_certificate_data.as_ref(),
    )?;
    let key = decoded(findings, &place.key("client-key-data"), user.client_key_data.as_ref())?;
    Some(match (user.token.as_deref(), certificate, key) {
        (_, Some(certificate), Some(key)) => Credentials::Certificate { certificate, key },
        (Some(token), ..) if !token.is_empty() => Credentials::Token(token.to_owned()),
        _ => Credentials::None,
    })
}

/// `true` for a user without basic authentication and without requests in the name of somebody else, which are refused.
fn is_plain_user(findings: &mut Findings<'_>, place: &Path, user: &raw::User) -> bool {
    let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let basic =
        "`username` and `password` are not taken: no API server has had basic authentication since Kubernetes 1.19";
    let other = "requests in the name of another user (`as`) are not supported";
    for (key, given, message, help) in [
        (
            "username",
            is_given(&user.username),
            basic,
            "use a token or a client certificate",
        ),
        (
            "password",
            is_given(&user.password) && !is_given(&user.username),
            basic,
            "use a token or a client certificate",
        ),
        ("as", is_given(&user.impersonate), other, "use credentials of that user"),
        (
            "as-groups",
            user.as_groups.is_some() && !is_given(&user.impersonate),
            other,
            "use credentials of a user in these groups",
        ),
    ] {
        if given {
            findings.say(&place.key(key), Finding::error(message, "refused").with_help(help));
            return false;
        }
    }
    true
}

/// Text in base64; the outer `None` stands for one that cannot be decoded.
fn decoded(findings: &mut Findings<'_>, place: &Path, data: Option<&String>) -> Option<Option<String>> {
    use base64::Engine as _;
    let Some(data) = data.filter(|data| !data.is_empty()) else {
        return Some(None);
    };
    let bytes = base64::engine::general_purpose::STANDARD.decode(data.trim());
    match bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(text) => Some(Some(text)),
        None => {
            let finding = Finding::error("this is not text in base64", "not base64");
            findings.say(place, finding.with_help("copy the whole value"));
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
