//! Kubeconfig files: API server, authorities and credentials of the current context. Bootstrap kubeconfigs in a NodeConfig, and
//! for joins discovery files, the one in `cluster-info`, and those of administrators.
//!
//! No other file that one names is read, and no program run.

use basalt_document::problem::{Problem, ProblemKind};
use basalt_document::{Document, Finding, Path, schema, secret};

use crate::address::Endpoint;
use crate::encoding::decode_base64;

mod raw;

/// Keys of a kubeconfig that have no secrets below them.
const PUBLIC: [&str; 5] = ["apiVersion", "kind", "clusters", "contexts", "current-context"];

/// Help on a path of another file.
const FLATTEN: &str = "write its content into the kubeconfig: `kubectl config view --raw --minify --flatten`";
/// Help on credentials that are not a bootstrap token, in a file for nodes.
const BOOTSTRAP_TOKEN: &str = "a node takes a bootstrap token alone: write `token:` with one in the place of this; `kubeadm token create` \
                               makes one";

/// API server of a kubeconfig, what vouches for it, and the credentials for it.
#[derive(Debug, Clone, PartialEq)]
pub struct KubeconfigAccess {
    /// API server.
    pub endpoint: Endpoint,
    /// Its authorities; `None` when the file has none.
    pub authorities: Option<AuthorityData>,
    /// Credentials of the user of the current context.
    pub credentials: Credentials,
}

/// Authorities as a kubeconfig has them.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthorityData {
    /// PEM in base64.
    pub data: String,
    /// Place in the kubeconfig.
    pub place: Path,
}

impl AuthorityData {
    /// PEM; nothing if the data is not text in base64.
    pub fn pem(&self) -> Option<String> {
        text_of_base64(&self.data)
    }
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

/// Context of a kubeconfig that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextChoice<'n> {
    /// The current one, in a file for one cluster.
    CurrentAlone,
    /// The current one, in a file of a user, who can name another one.
    Current,
    /// The one of this name.
    Named(&'n str),
}

/// Reads a kubeconfig for one cluster, with all findings about it.
///
/// As kubeadm does, a cluster without a name counts first (`cluster-info` has such a one), then that of the current
/// context.
pub fn read(document: &Document) -> (Option<KubeconfigAccess>, Vec<Problem>) {
    read_by(document, &ContextChoice::CurrentAlone)
}

/// Reads a kubeconfig by a context, with all findings about it. A cluster without a name counts first, unless a context is
/// named.
pub fn read_by(document: &Document, choice: &ContextChoice<'_>) -> (Option<KubeconfigAccess>, Vec<Problem>) {
    let (raw, found) = schema::decode_what_fits::<raw::Kubeconfig>(document);
    let all_fits = found.is_empty();
    let mut reader = Reader {
        document,
        found,
        all_fits,
        is_of_node: *choice == ContextChoice::CurrentAlone,
    };
    let access = raw.and_then(|raw| reader.access(&raw, choice));
    // A caller would tell that the access lacks what has another type.
    (access.filter(|_| all_fits), reader.found)
}

/// Reads a kubeconfig that is a value of another document. Findings have its lines in their words, and no secret.
pub(crate) fn read_embedded(text: &str) -> (Option<KubeconfigAccess>, Vec<Finding>) {
    let document = match Document::parse("kubeconfig", text) {
        Ok(document) => document,
        Err(problems) => {
            let finding = unreadable(problems.iter().next());
            return (None, vec![finding]);
        }
    };
    let (access, found) = read(&document);
    let is_public = |path: &Path| PUBLIC.contains(&path.to_string().as_str());
    let problems = secret::with_public(document, is_public).problems(found);
    let findings = problems.iter().map(|problem| Finding {
        severity: problem.severity,
        message: format!("the kubeconfig, line {}: {}", problem.line, problem.message),
        label: "in here".to_owned(),
        help: problem.help.clone(),
    });
    (access, findings.collect())
}

/// API server of a URL, as clients of Kubernetes take it: its port is 443 unless it is given.
///
/// # Errors
/// When it is no URL of an API server, or one that a node cannot be given.
pub fn endpoint_of(server: &str) -> Result<Endpoint, Finding> {
    let trimmed = server.trim_end_matches('/');
    let host = trimmed.strip_prefix("https://").unwrap_or_default();
    if host.contains('/') {
        let message = "the API server is below a path, as behind Rancher's proxy: a kubelet's node cannot be given one";
        let help = "use the address of the API server itself";
        return Err(Finding::error(message, "has a path").with_help(help));
    }
    let port = host.rsplit_once(':').map(|(_, port)| port);
    let has_port = port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    match host.is_empty() || has_port {
        true => trimmed.parse(),
        false => format!("{trimmed}:443").parse(),
    }
}

/// Finding about a text that cannot be read. Of the parser's words, those are repeated that have none of the text in them.
fn unreadable(problem: Option<&Problem>) -> Finding {
    let line = problem.map_or(1, |problem| problem.line);
    let kind = problem.map(|problem| problem.kind).unwrap_or_default();
    let (message, help) = match (kind, problem) {
        (ProblemKind::RefusedYaml, Some(problem)) => (
            format!("the kubeconfig, line {line}: {}", problem.message),
            "write each value where it belongs: `kubectl config view --raw --minify --flatten` does",
        ),
        (ProblemKind::DuplicateKey, _) => (
            format!("the kubeconfig, line {line}: a key is there twice"),
            "keep one of them",
        ),
        _ => (
            format!("the kubeconfig is not YAML: its line {line} cannot be read"),
            "paste it whole below `|`, with the same indentation in front of each line",
        ),
    };
    Finding::error(message, "in here").with_help(help)
}

/// Reader of one kubeconfig.
struct Reader<'d> {
    document: &'d Document,
    found: Vec<Problem>,
    /// `false` where a value has another type. It is told, and is not missing as well.
    all_fits: bool,
    /// `true` for a file of nodes, of which bootstrap tokens alone are taken.
    is_of_node: bool,
}

impl Reader<'_> {
    fn say(&mut self, place: &Path, finding: Finding) {
        self.found.push(self.document.at(place, finding));
    }

    /// Adds a finding about something that is missing, unless it may be there with another type.
    fn say_missing(&mut self, place: &Path, finding: Finding) {
        if self.all_fits {
            self.say(place, finding);
        }
    }

    fn access(&mut self, raw: &raw::Kubeconfig, choice: &ContextChoice<'_>) -> Option<KubeconfigAccess> {
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
            let place = Path::root().key("contexts");
            self.say_missing(&place, finding.with_help(format!("it has: {names}")));
            return None;
        }
        let wanted = context.and_then(|context| context.context.as_ref());
        let is_named = matches!(choice, ContextChoice::Named(_));
        let unnamed = clusters.iter().position(|cluster| cluster.name.is_empty() && !is_named);
        let named = wanted.and_then(|context| clusters.iter().position(|cluster| cluster.name == context.cluster));
        let place = Path::root().key("clusters");
        let index = unnamed.or(named);
        let Some((index, cluster)) = index.and_then(|index| Some((index, clusters.get(index)?.cluster.as_ref()?)))
        else {
            let message =
                "the kubeconfig names no cluster: `current-context` leads to none, and none is without a name";
            let help = match choice {
                ContextChoice::Current if !names.is_empty() => format!("name one with `--context`: {names}"),
                _ => "write one with `kubectl config view --raw --minify --flatten`".to_owned(),
            };
            self.say_missing(&place, Finding::error(message, "here").with_help(help));
            return None;
        };
        let place = place.index(index).key("cluster");
        let authorities = self.authorities(&place, cluster);
        let endpoint = endpoint_of(&cluster.server);
        let endpoint = endpoint.map_err(|finding| self.say(&place.key("server"), finding)).ok();
        let credentials = wanted.map_or(Some(Credentials::None), |context| {
            self.credentials(raw, context.user.as_deref().unwrap_or_default())
        });
        Some(KubeconfigAccess {
            endpoint: endpoint?,
            authorities,
            credentials: credentials?,
        })
    }

    fn authorities(&mut self, place: &Path, cluster: &raw::Cluster) -> Option<AuthorityData> {
        if cluster.insecure_skip_tls_verify == Some(true) {
            let message = "`insecure-skip-tls-verify` is set: nothing would vouch for the API server";
            let help = "remove it, and add `certificate-authority-data`";
            self.say(
                &place.key("insecure-skip-tls-verify"),
                Finding::error(message, "refused").with_help(help),
            );
        }
        if let Some(path) = &cluster.certificate_authority {
            self.refuse_file(&place.key("certificate-authority"), path, FLATTEN);
        }
        for (key, value) in [
            ("tls-server-name", &cluster.tls_server_name),
            ("proxy-url", &cluster.proxy_url),
        ] {
            if value.as_ref().is_some_and(|value| !value.is_empty()) {
                let message = format!("`{key}` is not supported: a NodeConfig has no setting for it");
                let help = "let the node reach the API server under a name that its certificate has";
                self.say(&place.key(key), Finding::error(message, "refused").with_help(help));
            }
        }
        let data = cluster
            .certificate_authority_data
            .as_ref()
            .filter(|data| !data.is_empty())?;
        Some(AuthorityData {
            data: data.clone(),
            place: place.key("certificate-authority-data"),
        })
    }

    /// Help on credentials that are not taken: in a file of a user, others may be.
    fn help_on_credentials(&self, of_user: &'static str) -> &'static str {
        if self.is_of_node { BOOTSTRAP_TOKEN } else { of_user }
    }

    fn refuse_file(&mut self, place: &Path, path: &str, help: &str) {
        let message = format!("`{path}` is another file, and none is read besides the kubeconfig");
        self.say(place, Finding::error(message, "a path").with_help(help));
    }

    /// Credentials of a user, by name.
    fn credentials(&mut self, raw: &raw::Kubeconfig, name: &str) -> Option<Credentials> {
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
                let help = self.help_on_credentials(FLATTEN);
                self.refuse_file(&place.key(key), path, help);
                return None;
            }
        }
        if !self.is_plain_user(&place, user) {
            return None;
        }
        if user.exec.is_some() || user.auth_provider.is_some() {
            let key = if user.exec.is_some() { "exec" } else { "auth-provider" };
            let message = format!("`{key}` gets credentials from a program, and none is run");
            let help = "use a kubeconfig with a token or a client certificate: `kubectl create token`, or admin.conf";
            let help = self.help_on_credentials(help);
            self.say(&place.key(key), Finding::error(message, "refused").with_help(help));
            return None;
        }
        let certificate = self.decoded(
            &place.key("client-certificate-data"),
            user.client_certificate_data.as_ref(),
        )?;
        let key = self.decoded(&place.key("client-key-data"), user.client_key_data.as_ref())?;
        Some(match (user.token.as_deref(), certificate, key) {
            (_, Some(certificate), Some(key)) => Credentials::Certificate { certificate, key },
            (Some(token), ..) if !token.is_empty() => Credentials::Token(token.to_owned()),
            _ => Credentials::None,
        })
    }

    /// `true` for a user without basic authentication and without requests in the name of somebody else, which are
    /// refused.
    fn is_plain_user(&mut self, place: &Path, user: &raw::User) -> bool {
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
                let help = self.help_on_credentials(help);
                self.say(&place.key(key), Finding::error(message, "refused").with_help(help));
                return false;
            }
        }
        true
    }

    /// Text in base64; the outer `None` stands for one that cannot be decoded.
    fn decoded(&mut self, place: &Path, data: Option<&String>) -> Option<Option<String>> {
        let Some(data) = data.filter(|data| !data.is_empty()) else {
            return Some(None);
        };
        match text_of_base64(data) {
            Some(text) => Some(Some(text)),
            None => {
                let finding = Finding::error("this is not text in base64", "not base64");
                self.say(place, finding.with_help("copy the whole value"));
                None
            }
        }
    }
}

/// Text in base64, with any white space in it.
fn text_of_base64(data: &str) -> Option<String> {
    String::from_utf8(decode_base64(data.as_bytes())?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A kubeconfig with a context, a user, and other settings of its cluster.
    fn kubeconfig(cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: c\n  cluster:\n    server: https://api.example.com\n    {cluster}\ncontexts:\n- name: a\n  context: {{cluster: c, user: u}}\nusers:\n- name: u\n  user:\n    {user}\n"
        )
    }

    fn said(text: &str) -> String {
        let (_, findings) = read_embedded(text);
        let lines = findings.iter().map(|finding| format!("{}\n", finding.message));
        lines.collect()
    }

    #[test]
    fn api_server_authorities_and_credentials() {
        let text = kubeconfig(
            "certificate-authority-data: aGVs bG8=",
            "token: abcdef.0123456789abcdef",
        );
        let (access, findings) = read_embedded(&text);
        assert!(findings.is_empty(), "{findings:?}");
        let access = access.unwrap();
        assert_eq!(access.endpoint.to_string(), "https://api.example.com:443");
        assert_eq!(access.authorities.as_ref().unwrap().pem().as_deref(), Some("hello"));
        assert!(!format!("{access:?}").contains("0123456789"));
        assert_eq!(
            access.credentials,
            Credentials::Token("abcdef.0123456789abcdef".to_owned())
        );
        let certificate = kubeconfig(
            "tls-server-name: ''",
            "{client-certificate-data: YQ==, client-key-data: Yg==}",
        );
        let access = read_embedded(&certificate).0.unwrap();
        let expected = Credentials::Certificate {
            certificate: "a".to_owned(),
            key: "b".to_owned(),
        };
        assert_eq!((access.credentials, access.authorities), (expected, None));
    }

    #[test]
    fn findings_have_lines_and_no_secrets() {
        let secret = "0123456789abcdef";
        for (cluster, user, expected) in [
            (
                "proxy-url: http://p:3128",
                "token: abcdef.0123456789abcdef",
                "line 8: `proxy-url` is not supported",
            ),
            (
                "extensions: []",
                "{token: abcdef.0123456789abcdef, as: x}",
                "line 15: requests in the name",
            ),
            (
                "extensions: []",
                "client-key-data: 0123456789abcdef0",
                "line 15: this is not text in base64",
            ),
            ("extensions: []", "tokenFile: /0123456789abcdef", "is another file"),
            ("extensions: []", "token: [0123456789abcdef]", "`users[0].user.token`"),
        ] {
            let text = kubeconfig(cluster, user);
            let said = said(&text);
            assert!(said.contains(expected) && !said.contains(secret), "{said}\n{text}");
        }
        let torn = kubeconfig("extensions: []", "token: 'abcdef.0123456789abcdef");
        let said = said(&torn);
        assert!(said.contains("is not YAML") && !said.contains(secret), "{said}");
        assert!(self::said("apiVersion: v1\nkind: Config\n").contains("names no cluster"));
    }

    #[test]
    fn helps_are_for_whoever_the_file_is_for() {
        let exec = kubeconfig("extensions: []", "{exec: {command: aws}}");
        let help = |choice: &ContextChoice<'_>| {
            let document = Document::parse("kubeconfig", &exec).unwrap();
            let found = read_by(&document, choice).1;
            found[0].help.clone().unwrap_or_default()
        };
        assert!(help(&ContextChoice::Current).contains("`kubectl create token`"));
        assert!(help(&ContextChoice::CurrentAlone).contains("`kubeadm token create`"));
    }

    #[test]
    fn yaml_that_is_not_taken_is_told_by_its_kind() {
        let token = "token: abcdef.0123456789abcdef";
        for (text, words) in [
            (
                kubeconfig("extensions: &a []", token),
                "line 8: anchors (`&name`) are not taken",
            ),
            (
                kubeconfig("server: https://hunter22", token),
                "line 8: a key is there twice",
            ),
            (kubeconfig("extensions: [", token), "is not YAML"),
        ] {
            let said = said(&text);
            assert!(said.contains(words) && !said.contains("hunter22"), "{said}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>(), user in any::<String>()) {
            let _ = read_embedded(&text);
            let _ = read_embedded(&kubeconfig("extensions: []", &user));
        }
    }
}
