//! Bootstrap data of Cluster API's kubeadm provider (CABPK): a closed grammar, read and never executed.
//!
//! ```text
//! text --jinja--▶ text --YAML, raw--▶ files --files----▶ JoinConfiguration, settings
//!                                     commands --commands-▶ settings
//! ```
//!
//! What the provider writes by itself is understood. What a user added to it is understood if a node can follow it, and
//! refused by name with its line if not: a node that joins without a part of its configuration is worse than none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use basalt_document::problem::{Problem, Problems};
use basalt_document::{Document, Finding, Path, Step, schema};
use basalt_node_config::encoding::decode_base64;
use basalt_node_config::name::{HostName, ServerName};
use basalt_node_config::raw as node_config;
use miette::NamedSource;

use crate::findings::{Findings, problems_of};
use crate::origins::{Origins, setting};
use crate::request::JoinRequest;
use crate::{configuration, redaction};

mod collected;
mod commands;
mod content;
mod files;
mod hosts_file;
mod jinja;
mod node_file;
mod proxy;
mod raw;
mod sysctls;

use collected::{Collected, overwritten};
use sysctls::PlacedSysctl;

pub use commands::{SENTINEL, SENTINEL_CONTENT};
pub use jinja::InstanceData;

/// Taint that Cluster API lets workers register with, and removes when it has set their labels.
pub const UNINITIALIZED_TAINT: &str = "node.cluster.x-k8s.io/uninitialized";

/// Demands of bootstrap data.
#[derive(Debug, Clone, PartialEq)]
pub struct BootstrapData {
    /// The join.
    pub request: JoinRequest,
    /// Name of the machine, if a command or a file gives it one.
    pub hostname: Option<HostName>,
    /// Time servers.
    pub time_servers: Vec<String>,
    /// Kernel settings.
    pub sysctls: BTreeMap<String, String>,
    /// Mirrors of registries.
    pub registries: Vec<node_config::Registry>,
    /// Network interfaces and name servers.
    pub network: Option<node_config::Network>,
    /// Images to pull.
    pub prepull: Vec<String>,
    /// Proxy of image pulls.
    pub proxy: Option<node_config::Proxy>,
    /// Certificate authorities in PEM, one after the other.
    pub ca_certificates: String,
    /// Files below /etc/kubernetes.
    pub files: Vec<KubernetesFile>,
    /// Places that settings come from.
    pub origins: Origins,
}

/// A file below /etc/kubernetes, for pods that mount it.
#[derive(Clone, PartialEq, Eq)]
pub struct KubernetesFile {
    /// Absolute path.
    pub path: String,
    /// Mode.
    pub mode: u32,
    /// Content. It may hold credentials of a cloud.
    pub content: String,
    /// Line of the bootstrap data that names it, from 1.
    pub line: usize,
}

/// Shows no content.
impl std::fmt::Debug for KubernetesFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:o} {} (line {})", self.mode, self.path, self.line)
    }
}

/// Reads bootstrap data; `name` is what errors call it.
///
/// # Errors
/// With everything that a node cannot follow, each at its place.
pub fn read(name: &str, text: &str, instance: &InstanceData) -> Result<(BootstrapData, Problems), Problems> {
    if let Err(finding) = header(text) {
        return Err(problem_of_header(name, text, finding));
    }
    let (text, replaced) = match text.lines().next().map(str::trim_end) {
        Some(jinja::HEADER) => jinja::render(text, instance),
        _ => (text.to_owned(), jinja::misplaced_header(text).into_iter().collect()),
    };
    let document = match Document::parse(name, &text) {
        Ok(document) => document,
        // What is left of a template is seldom YAML, and no reader of YAML knows why.
        Err(_) if !replaced.is_empty() => {
            let found = replaced
                .into_iter()
                .map(|(span, finding)| Problem::at(&text, span, finding));
            return Err(problems_of(name, &text, found.collect()).outlined(redaction::is_key));
        }
        Err(problems) => return Err(redaction::without_secrets(&problems)),
    };
    let mut found: Vec<_> = replaced
        .into_iter()
        .map(|(span, finding)| document.at_span(span, finding))
        .collect();
    let of_template = found.len();
    let (raw, of_schema) = schema::decode_what_fits::<raw::CloudConfig>(&document);
    found.extend(of_schema);
    let mut reader = Reader {
        document: &document,
        text: &text,
        instance,
        findings: Findings::new(&document, found),
        data: Collected::default(),
    };
    let data = raw.and_then(|raw| reader.read(&raw));
    if of_template > 0 {
        // What follows from what is left of a template is of no use.
        let left: BTreeSet<_> = (1..)
            .zip(text.lines())
            .filter_map(|(number, line): (usize, &str)| jinja::is_left(line).then_some(number))
            .collect();
        reader
            .findings
            .leave_out(of_template, |problem| left.contains(&problem.line));
    }
    reader.findings.conclude(data)
}

/// Checks the lines by which cloud-init knows what follows.
fn header(text: &str) -> Result<(), Finding> {
    if text.trim().is_empty() {
        let help = "where it comes through a pipe, look at what the command before it prints: `kubectl get secret NAME -o \
                    jsonpath='{.data.value}'`";
        return Err(Finding::error("the bootstrap data is empty", "nothing here").with_help(help));
    }
    let mut lines = text.lines().map(str::trim_end);
    let first = lines.next().unwrap_or_default();
    let first = if first == jinja::HEADER {
        lines.next().unwrap_or_default()
    } else {
        first
    };
    if first == "#cloud-config" {
        return Ok(());
    }
    let what = match first {
        _ if first.starts_with("#!") => "a script, which a node does not run",
        _ if first.starts_with('{') => "Ignition, of which Cluster API's other format is made",
        _ if first.starts_with("Content-Type:") || first.starts_with("MIME-") => {
            let help = "set `amiFamily: Custom` in Karpenter's EC2NodeClass, or `cloudInit.insecureSkipSecretsManager: true` in an \
                        AWSMachineTemplate: the machine gets user data as it is then";
            let message = format!(
                "this is not `#cloud-config` but a MIME message of several parts{}",
                mime_parts(text)
            );
            return Err(Finding::error(message, "not known").with_help(help));
        }
        _ if first.starts_with("#include") => "a list of addresses of more user data",
        _ if is_encoded(text) => {
            let message = "this is not `#cloud-config` but base64 that was not decoded";
            let help =
                "decode it: `| base64 -d`, as in `kubectl get secret NAME -o jsonpath='{.data.value}' | base64 -d`";
            return Err(Finding::error(message, "base64").with_help(help));
        }
        _ => "something else",
    };
    let help = "set `format: cloud-config` in the KubeadmConfigTemplate; the first line is `#cloud-config`, after `## template: jinja`";
    Err(Finding::error(format!("this is not `#cloud-config` but {what}"), "not known").with_help(help))
}

/// Returns `true` for text in base64 that stands for other text, or for text compressed by gzip.
fn is_encoded(text: &str) -> bool {
    let bytes = decode_base64(text.as_bytes()).unwrap_or_default();
    let is_text = std::str::from_utf8(&bytes).is_ok_and(|text| text.starts_with('#') && text.lines().count() > 1);
    is_text || bytes.starts_with(&[0x1f, 0x8b])
}

/// Types of the parts of a MIME message, with their lines.
fn mime_parts(text: &str) -> String {
    let lines = text.lines().enumerate();
    let parts = lines.filter_map(|(index, line)| {
        let (name, value) = line.split_once(':')?;
        let kind = value.split(';').next()?.trim();
        let is_sign = |c: char| c.is_ascii_alphanumeric() || "/.+-".contains(c);
        let is_part = name.eq_ignore_ascii_case("content-type") && !kind.starts_with("multipart/");
        (is_part && kind.len() < 64 && kind.contains('/') && kind.chars().all(is_sign))
            .then(|| format!("{kind} in line {}", index + 1))
    });
    let parts: Vec<_> = parts.take(8).collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!(": {}", parts.join(", ")),
    }
}

/// The problem of a text that is perhaps not even YAML.
fn problem_of_header(name: &str, text: &str, finding: Finding) -> Problems {
    /// Most bytes that are shown: a text that was not decoded is one line.
    const WIDEST: usize = 80;
    let first = text.lines().next().unwrap_or_default();
    let (first, _) = first.split_at(first.floor_char_boundary(WIDEST));
    // What is no header may be anything, a password among it.
    let is_header = ["#", "{", "Content-Type:", "MIME-"]
        .iter()
        .any(|start| first.starts_with(start));
    let first: Arc<str> = match is_header {
        true => redaction::redact(first).into(),
        false => "*".repeat(first.len()).into(),
    };
    let problem = Problem::at(&first, 0..first.len(), finding);
    Problems::new(NamedSource::new(name, first), vec![problem])
}

struct Reader<'d> {
    document: &'d Document,
    text: &'d str,
    instance: &'d InstanceData,
    findings: Findings<'d>,
    data: Collected,
}

impl Reader<'_> {
    fn read(&mut self, raw: &raw::CloudConfig) -> Option<BootstrapData> {
        let overwritten = overwritten(&raw.write_files);
        for (index, file) in raw.write_files.iter().enumerate() {
            let place = Path::root().key("write_files").index(index);
            match overwritten.get(&index) {
                Some(later) => self.warn_of_overwritten(&place.key("path"), &file.path, *later),
                None => self.file(&place, file),
            }
        }
        for (key, commands) in [("bootcmd", &raw.bootcmd), ("runcmd", &raw.runcmd)] {
            for (index, command) in commands.iter().flatten().enumerate() {
                self.command(&Path::root().key(key).index(index), command);
            }
        }
        self.time_servers(raw.ntp.as_ref());
        self.accounts(raw.users.as_deref().unwrap_or_default());
        for (key, given) in [
            ("disk_setup", raw.disk_setup.is_some()),
            ("fs_setup", raw.fs_setup.is_some()),
            ("mounts", raw.mounts.is_some()),
        ] {
            if given {
                let message = format!("`{key}` is not taken over: a node partitions its own disk, and no other");
                let help = "remove it from the KubeadmConfigTemplate; volumes of pods are a storage driver's";
                self.findings.say(
                    &Path::root().key(key),
                    Finding::error(message, "refused").with_help(help),
                );
            }
        }
        self.conclude()
    }

    /// Warns of a file that a later one of the same path takes the place of.
    fn warn_of_overwritten(&mut self, place: &Path, path: &str, later: usize) {
        let later = Path::root().key("write_files").index(later).key("path");
        let line = self.findings.place(&later).line;
        let finding = Finding::warning(
            format!("`{path}` is written again in line {line}, which counts"),
            "overwritten",
        );
        self.findings.say(place, finding.with_help("keep one of them"));
    }

    fn conclude(&mut self) -> Option<BootstrapData> {
        self.check_own_hosts();
        let mut data = std::mem::take(&mut self.data);
        let files = std::mem::take(&mut data.sysctl_files).into_values().flatten();
        let mut sysctls = BTreeMap::new();
        for PlacedSysctl { name, value, place } in files.chain(std::mem::take(&mut data.sysctl_commands)) {
            self.findings.origin_at(setting(&["sysctls", &name]), place);
            sysctls.insert(name, value);
        }
        // Of one that is wrong, everything is said already.
        if !self.findings.is_refused() && (data.request.is_none() || !data.is_joining) {
            let missing = match data.request {
                None => format!("no file `{}`", commands::CONFIGURATION),
                Some(_) => "no command that joins".to_owned(),
            };
            let help = "use the `value` of the Secret that `status.dataSecretName` of a KubeadmConfig names";
            let finding = Finding::error(
                format!("this is not bootstrap data of a worker: it has {missing}"),
                "in here",
            );
            self.findings.say(&Path::root(), finding.with_help(help));
        }
        Some(BootstrapData {
            request: data.request?,
            hostname: data.hostname,
            time_servers: data.time_servers,
            sysctls,
            registries: data.registries,
            network: data.network,
            prepull: data.prepull,
            proxy: data.proxy,
            ca_certificates: data.ca_certificates,
            files: data.files,
            origins: self.findings.take_origins(),
        })
    }

    /// Refuses lines of /etc/hosts that give the machine names which are not its own.
    fn check_own_hosts(&mut self) {
        // Of a configuration that is wrong, the name is not known.
        let Some(request) = &self.data.request else { return };
        let configured = request.registration.node_name();
        let given = self.data.hostname.iter().chain(configured).map(HostName::as_str);
        let own: Vec<String> = given.chain(self.instance.hostnames()).map(str::to_owned).collect();
        // With a domain or without one, it is the same machine.
        let is_own = |name: &str| {
            let is_begin = |whole: &str, begin: &str| {
                whole
                    .strip_prefix(begin)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            own.iter().any(|own| is_begin(name, own) || is_begin(own, name))
        };
        for (place, names) in std::mem::take(&mut self.data.own_hosts) {
            for name in names.iter().filter(|name| !is_own(name)) {
                let message = format!("`{name}` is not a name of the machine, and nothing is added to its /etc/hosts");
                let help = "let a name server answer for it; the machine's own name and `localhost` are known";
                self.findings
                    .say(&place, Finding::error(message, "not written").with_help(help));
            }
        }
    }

    fn file(&mut self, place: &Path, file: &raw::WriteFile) {
        let meaning = match files::recognise(file) {
            Ok(meaning) => meaning,
            Err(finding) => return self.findings.say(&place.key("path"), finding),
        };
        match meaning {
            files::Meaning::Configuration(content) => self.configuration(place, &content),
            // The content is masked, and so would the name be.
            files::Meaning::Hostname(name) => self.hostname(&place.key("path"), &name),
            files::Meaning::Sysctls { file, content } => self.sysctl_file(place, &content, file),
            files::Meaning::Registry(registry) => self.registry(&place.key("path"), *registry),
            files::Meaning::Proxy(more) => self.proxy(&place.key("path"), *more),
            files::Meaning::NodeFile(content) => self.node_file(place, &content),
            files::Meaning::Authorities(pem) => {
                self.data.ca_certificates.push_str(&pem);
                self.data.ca_certificates.push('\n');
            }
            files::Meaning::Kubernetes { path, content, mode } => {
                let place = place.key("path");
                let line = self.findings.place(&place).line;
                let file = KubernetesFile {
                    path,
                    mode,
                    content,
                    line,
                };
                self.kubernetes_file(&place, file);
            }
            files::Meaning::Nothing => {}
        }
    }

    fn registry(&mut self, place: &Path, registry: node_config::Registry) {
        let registries = &mut self.data.registries;
        if registries.iter().any(|known| known.host == registry.host) {
            let message = format!(
                "a second `hosts.toml` of `{}`, or one beside `{}`",
                registry.host,
                node_file::PATH
            );
            let finding = Finding::error(message, "given again here").with_help("write all of it into one file");
            return self.findings.say(place, finding);
        }
        let index = registries.len();
        registries.push(registry);
        let mut of_registry = setting(&["registries"]);
        of_registry.push(Step::Index(index));
        self.findings.origin(of_registry, place);
    }

    fn kubernetes_file(&mut self, place: &Path, file: KubernetesFile) {
        let is_below = |one: &str, other: &str| one.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'));
        let mut known = self.data.files.iter();
        if let Some(other) = known.find(|other| is_below(&file.path, &other.path) || is_below(&other.path, &file.path))
        {
            let message = format!("`{}` and `{}` cannot both be files", other.path, file.path);
            let finding = Finding::error(message, "not written").with_help("give one of them another name");
            return self.findings.say(place, finding);
        }
        self.data.files.push(file);
    }

    fn configuration(&mut self, place: &Path, content: &str) {
        if self.data.request.is_some() {
            let finding = Finding::error("a second JoinConfiguration", "given again here");
            return self
                .findings
                .say(&place.key("path"), finding.with_help("keep one of them"));
        }
        let (request, origins, problems) = match configuration::read_placed("JoinConfiguration", content) {
            Ok((request, origins, warnings)) => (Some(request), origins, warnings),
            Err(problems) => (None, Origins::default(), problems),
        };
        let content = self.placed_content(place.key("content"), content);
        for (setting, of_content) in origins.into_places() {
            let of_whole = self.relocated(&content, &of_content);
            self.findings.origin_at(setting, of_whole);
        }
        for problem in problems.iter() {
            let problem = self.relocated(&content, problem);
            self.findings.add(problem);
        }
        self.data.request = request;
    }

    /// The problem with the whole line marked, at the same line and column. Of a place that is masked, a report repeats no word:
    /// here the words are known to be public, since what is secret in a file's content is masked in them already, and of a
    /// command the program alone is named.
    fn with_its_words(&self, problem: Problem) -> Problem {
        const WIDEST: usize = 150;
        let before = self.text.get(..problem.span.offset()).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = self
            .text
            .get(start..)
            .unwrap_or_default()
            .lines()
            .next()
            .unwrap_or_default();
        Problem {
            span: (start, line.floor_char_boundary(WIDEST)).into(),
            ..problem
        }
    }

    fn command(&mut self, place: &Path, command: &str) {
        match commands::recognise(command) {
            Ok(commands::Meaning::Join) if self.data.is_joining => {
                let finding = Finding::error("a second command that joins", "given again here");
                self.findings.say(place, finding.with_help("keep one of them"));
            }
            Ok(commands::Meaning::Join) => self.data.is_joining = true,
            Ok(commands::Meaning::Hostname(name)) => self.hostname(place, &name),
            Ok(commands::Meaning::Sysctls(settings)) => self.sysctl_command(place, settings),
            Ok(commands::Meaning::SysctlFile(path)) => self.sysctl_load(place, &path),
            Ok(commands::Meaning::OwnHosts(names)) => self.data.own_hosts.push((place.clone(), names)),
            Ok(commands::Meaning::Done) => {}
            Err(finding) => {
                let problem = self.with_its_words(self.document.at(place, finding));
                self.findings.add(problem);
            }
        }
    }

    fn hostname(&mut self, place: &Path, name: &str) {
        let Some(name) = self.findings.parse::<HostName>(place, name) else {
            return;
        };
        if let Some(earlier) = self
            .data
            .hostname
            .replace(name.clone())
            .filter(|earlier| *earlier != name)
        {
            let message = format!("the machine is called `{earlier}` before, and `{name}` here");
            self.findings.say(
                place,
                Finding::error(message, "another name").with_help("keep one of them"),
            );
        }
    }

    fn time_servers(&mut self, raw: Option<&raw::Ntp>) {
        let Some(raw) = raw.filter(|raw| raw.enabled != Some(false)) else {
            return;
        };
        let place = Path::from("ntp.servers");
        for (index, server) in raw.servers.iter().flatten().enumerate() {
            if self.findings.parse::<ServerName>(&place.index(index), server).is_some() {
                self.data.time_servers.push(server.clone());
            }
        }
    }

    fn accounts(&mut self, users: &[serde_json::Value]) {
        let names = users
            .iter()
            .map(|user| user.get("name").and_then(serde_json::Value::as_str));
        let names: Vec<_> = names.map(|name| name.unwrap_or("?")).collect();
        if !names.is_empty() {
            let message = format!("`users` has no effect ({}): nobody logs in to a node", names.join(", "));
            let help = "`basalt node shell NAME` opens a shell on a node";
            let finding = Finding::warning(message, "ignored").with_help(help);
            self.findings.say(&Path::root().key("users"), finding);
        }
    }
}

#[cfg(test)]
mod tests;
