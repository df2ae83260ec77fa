//! JoinConfiguration: the file of `kubeadm join --config`, which Cluster API writes, too.

use basalt_document::problem::{Problem, Problems};
use basalt_document::schema::{self, Decoded};
use basalt_document::{Document, Finding, Path};
use basalt_node_config::raw as node_config;

use crate::findings::{Findings, problems_of};
use crate::kubelet_flags::{KubeletFlags, is_runtime_endpoint, setting_of, taint_effect};
use crate::origins::{Origins, setting};
use crate::pin::{CaPin, PinSet};
use crate::request::{Discovery, DiscoveryFile, JoinRequest, Registration, TokenDiscovery};
use crate::{command_line, redaction};

mod documents;
mod raw;

use documents::OtherDocument;

/// Group and versions that are read.
const V1BETA4: &str = "kubeadm.k8s.io/v1beta4";
const V1BETA3: &str = "kubeadm.k8s.io/v1beta3";

/// Reads a file with a JoinConfiguration; `name` is what errors call it. Other objects in it have no effect, as for
/// `kubeadm join`, which warns of each, and reads no file in which something is no object.
///
/// # Errors
/// With all that is wrong, each at its place.
pub fn read(name: &str, text: &str) -> Result<(JoinRequest, Problems), Problems> {
    read_placed(name, text).map(|(request, _, warnings)| (request, warnings))
}

/// Reads such a file, with the places that settings come from.
///
/// # Errors
/// With all that is wrong, each at its place.
pub fn read_placed(name: &str, text: &str) -> Result<(JoinRequest, Origins, Problems), Problems> {
    let alone = documents::only(text, "JoinConfiguration")
        .map_err(|(span, finding)| problems_of(name, text, vec![Problem::at(text, span, finding)]))?;
    let document = Document::parse(name, &alone.text).map_err(|problems| redaction::without_secrets(&problems))?;
    let Decoded {
        value: raw,
        mut found,
        unfit,
    } = schema::decode_with_advice::<raw::JoinConfiguration>(&document, &|_, _| None);
    let others = alone.others.into_iter();
    found.extend(others.map(|(place, other)| document.at_span(place, beside(&other))));
    let mut findings = Findings::new(&document, found).with_unfit(unfit);
    let request = raw.and_then(|raw| request(&mut findings, &raw));
    let origins = findings.take_origins();
    let (request, warnings) = findings.conclude(request)?;
    Ok((request, origins, warnings))
}

/// Finding about a document beside the JoinConfiguration. kubeadm ignores objects, and reads no file with something else.
fn beside(other: &OtherDocument) -> Finding {
    let kind = match other {
        OtherDocument::Object(kind) => kind.as_str(),
        OtherDocument::Untyped => {
            let message = "this document beside a JoinConfiguration names no `kind`, or no `apiVersion` with a group: `kubeadm \
                           join` refuses the file";
            let help = "write both (`apiVersion: kubelet.config.k8s.io/v1beta1`, `kind: KubeletConfiguration`), or remove the document";
            return Finding::error(message, "no object").with_help(help);
        }
        OtherDocument::Unreadable => {
            let message = "this document beside a JoinConfiguration is not YAML: `kubeadm join` refuses the file";
            let help = "look for brackets and quotes left open, tabs and indentation in it, or remove the document";
            return Finding::error(message, "cannot be read").with_help(help);
        }
    };
    let message = format!("`{kind}` beside a JoinConfiguration has no effect: `kubeadm join` ignores it, too");
    let help = match kind {
        "KubeletConfiguration" => {
            "kubelets have the cluster's ConfigMap `kubelet-config`; write what differs on this node into \
             `nodeRegistration.kubeletExtraArgs`, or into the part `kubelet` of a NodeConfig"
        }
        "KubeProxyConfiguration" => "kube-proxy has the cluster's ConfigMap `kube-proxy`; remove it here",
        "ClusterConfiguration" | "InitConfiguration" => {
            "it is for `kubeadm init`, of which a node that joins finds all it needs in the cluster; remove it here"
        }
        _ => "remove it",
    };
    Finding::warning(message, "ignored").with_help(help)
}

fn request(findings: &mut Findings<'_>, raw: &raw::JoinConfiguration) -> Option<JoinRequest> {
    let root = Path::root();
    version(findings, raw)?;
    if raw.control_plane.is_some() {
        let message = "`controlPlane` makes a control-plane node, and a Basalt node is a worker";
        let finding = Finding::error(message, "refused").with_help("leave it out to join as a worker");
        findings.say(&root.key("controlPlane"), finding);
    }
    if raw.patches.is_some() {
        let message = "patches of kubeadm are not read: they are files of another machine";
        let help = "write what they change in the part `kubelet` of the NodeConfig, or in `kubeletExtraArgs`";
        findings.say(&root.key("patches"), Finding::error(message, "refused").with_help(help));
    }
    without_effect(findings, raw);
    let registration = registration(findings, &root.key("nodeRegistration"), raw.node_registration.as_ref());
    let place = root.key("discovery");
    let discovery = discovery(findings, &place, &raw.discovery);
    let token = raw
        .discovery
        .tls_bootstrap_token
        .as_ref()
        .filter(|token| !token.is_empty());
    let token = match token {
        Some(token) => Some(findings.parse(&place.key("tlsBootstrapToken"), token)?),
        None => None,
    };
    let discovery = discovery?;
    let token = token.or_else(|| match &discovery {
        Discovery::Token(discovery) => Some(discovery.token.clone()),
        Discovery::File(_) => None,
    });
    Some(JoinRequest {
        discovery,
        tls_bootstrap_token: token,
        registration,
    })
}

/// Refuses other versions, and fields in versions that do not have them.
fn version(findings: &mut Findings<'_>, raw: &raw::JoinConfiguration) -> Option<()> {
    let root = Path::root();
    if raw.kind != "JoinConfiguration" {
        let message = format!("this is a {}, not a JoinConfiguration", raw.kind);
        let help = "give the file of `kubeadm join --config`";
        findings.say(
            &root.key("kind"),
            Finding::error(message, "another kind").with_help(help),
        );
        return None;
    }
    let arguments = raw
        .node_registration
        .as_ref()
        .and_then(|node| node.kubelet_extra_args.as_ref());
    let place = Path::from("nodeRegistration.kubeletExtraArgs");
    let of_version = |what: &str, version: &str| {
        Finding::error(format!("{what} is not of {}", raw.api_version), "not of this version")
            .with_help(format!("it is of {version}: `kubeadm config migrate` changes files"))
    };
    match (raw.api_version.as_str(), arguments) {
        (V1BETA4, Some(raw::KubeletExtraArgs::Map(_))) => {
            findings.say(&place, of_version("a map of arguments", V1BETA3));
        }
        (V1BETA3, Some(raw::KubeletExtraArgs::List(_))) => {
            findings.say(&place, of_version("a list of arguments", V1BETA4));
        }
        (V1BETA4 | V1BETA3, _) => {}
        (other, _) => {
            let message = format!("the version `{other}` of JoinConfiguration is not known");
            let help = format!("write it as {V1BETA4}: `kubeadm config migrate` changes files");
            findings.say(
                &root.key("apiVersion"),
                Finding::error(message, "unknown").with_help(help),
            );
            return None;
        }
    }
    if raw.api_version == V1BETA4 && raw.discovery.timeout.is_some() {
        findings.say(&Path::from("discovery.timeout"), of_version("`timeout`", V1BETA3));
    }
    if raw.api_version == V1BETA3 && raw.timeouts.is_some() {
        findings.say(&root.key("timeouts"), of_version("`timeouts`", V1BETA4));
    }
    Some(())
}

/// Warnings of settings of kubeadm itself. Time-outs are left without one: they end a program that is not run.
fn without_effect(findings: &mut Findings<'_>, raw: &raw::JoinConfiguration) {
    let node = raw.node_registration.as_ref();
    let is_given = |list: Option<&Vec<String>>| list.is_some_and(|list| !list.is_empty());
    for (place, given, reason) in [
        (
            "dryRun",
            raw.dry_run == Some(true),
            "a NodeConfig changes nothing until a machine has it",
        ),
        (
            "skipPhases",
            is_given(raw.skip_phases.as_ref()),
            "kubeadm's phases are not run",
        ),
        (
            "caCertPath",
            raw.ca_cert_path
                .as_deref()
                .is_some_and(|path| path != "/etc/kubernetes/pki/ca.crt"),
            "the image has a place for the authority",
        ),
        (
            "nodeRegistration.ignorePreflightErrors",
            is_given(node.and_then(|node| node.ignore_preflight_errors.as_ref())),
            "kubeadm's checks are not run; the image has what they ask for",
        ),
    ] {
        if given {
            let message = format!("`{place}` has no effect: {reason}");
            findings.say(&Path::from(place), Finding::warning(message, "ignored"));
        }
    }
}

fn registration(findings: &mut Findings<'_>, place: &Path, raw: Option<&raw::NodeRegistration>) -> Registration {
    let Some(raw) = raw else {
        return Registration::default();
    };
    findings.origin(setting(&["hostname"]), &place.key("name"));
    let name = raw.name.as_ref().filter(|name| !name.is_empty());
    let name = name.and_then(|name| findings.parse(&place.key("name"), name));
    if let Some(socket) = raw
        .cri_socket
        .as_ref()
        .filter(|socket| !is_runtime_endpoint(socket) && !socket.is_empty())
    {
        let message = format!("the container runtime of a Basalt node is containerd, not `{socket}`");
        let finding = Finding::error(message, "another runtime").with_help("remove this line");
        findings.say(&place.key("criSocket"), finding);
    }
    let mut kubelet = KubeletFlags::default();
    findings.origin(setting(&["taints"]), &place.key("taints"));
    taints(findings, &place.key("taints"), raw.taints.as_deref(), &mut kubelet);
    let place = place.key("kubeletExtraArgs");
    match &raw.kubelet_extra_args {
        Some(raw::KubeletExtraArgs::List(arguments)) => {
            for (index, argument) in arguments.iter().enumerate() {
                let place = place.index(index).key("name");
                self::argument(findings, &place, &mut kubelet, (&argument.name, &argument.value));
            }
        }
        Some(raw::KubeletExtraArgs::Map(arguments)) => {
            for (name, value) in arguments {
                self::argument(findings, &place.key(name), &mut kubelet, (name, value));
            }
        }
        None => {}
    }
    Registration { name, kubelet }
}

/// Takes over an argument of the kubelet: its name and its value.
fn argument(findings: &mut Findings<'_>, place: &Path, kubelet: &mut KubeletFlags, (name, value): (&str, &str)) {
    if let Some(setting) = setting_of(name) {
        findings.origin(setting, place);
    }
    if let Err(finding) = kubelet.set(name, value) {
        findings.say(place, finding);
    }
}

fn taints(findings: &mut Findings<'_>, place: &Path, raw: Option<&[raw::Taint]>, kubelet: &mut KubeletFlags) {
    for (index, taint) in raw.unwrap_or_default().iter().enumerate() {
        let place = place.index(index);
        match taint_effect(&taint.effect) {
            Ok(effect) => kubelet.add_taint(node_config::Taint {
                key: taint.key.clone(),
                value: taint.value.clone().filter(|value| !value.is_empty()),
                effect,
            }),
            Err(finding) => findings.say(&place.key("effect"), finding),
        }
        findings.parse::<basalt_node_config::name::LabelKey>(&place.key("key"), &taint.key);
    }
}

fn discovery(findings: &mut Findings<'_>, place: &Path, raw: &raw::Discovery) -> Option<Discovery> {
    match (&raw.bootstrap_token, &raw.file) {
        (Some(token), None) => by_token(findings, &place.key("bootstrapToken"), token).map(Discovery::Token),
        (None, Some(file)) => by_file(findings, &place.key("file"), file).map(Discovery::File),
        (given, _) => {
            let message = match given {
                Some(_) => "discovery is by token or by file, not by both",
                None => "discovery has neither `bootstrapToken` nor `file`",
            };
            let missing = ["bootstrapToken", "file"].map(|key| place.key(key));
            let finding = Finding::error(message, "here").with_help("give one of them");
            findings.say_missing(place, &missing, finding);
            None
        }
    }
}

fn by_file(findings: &mut Findings<'_>, place: &Path, raw: &raw::FileDiscovery) -> Option<DiscoveryFile> {
    if raw.kube_config.is_some() {
        let message = "`kubeConfig` is a field of Cluster API's KubeadmConfig, and no JoinConfiguration has it";
        let help = "give the bootstrap data, in which its controller has made a file of it (`--bootstrap-data`), or \
                    write `kubeConfigPath`; a NodeConfig takes the text itself: `cluster.kubeconfig`";
        findings.say(
            &place.key("kubeConfig"),
            Finding::error(message, "not of kubeadm").with_help(help),
        );
        return None;
    }
    let Some(path) = &raw.kube_config_path else {
        let finding = Finding::error("`kubeConfigPath` is missing in `discovery.file`", "in here");
        let missing = [place.key("kubeConfigPath")];
        findings.say_missing(place, &missing, finding.with_help("add it: the path of a kubeconfig"));
        return None;
    };
    command_line::discovery_file(path)
        .map_err(|finding| findings.say(&place.key("kubeConfigPath"), finding))
        .ok()
}

fn by_token(findings: &mut Findings<'_>, place: &Path, raw: &raw::BootstrapTokenDiscovery) -> Option<TokenDiscovery> {
    let token = findings.parse(&place.key("token"), &raw.token);
    let endpoint = match &raw.api_server_endpoint {
        Some(endpoint) => {
            let place = place.key("apiServerEndpoint");
            findings.origin(setting(&["cluster", "endpoint"]), &place);
            command_line::endpoint(endpoint)
                .map_err(|finding| findings.say(&place, finding))
                .ok()
        }
        None => {
            let finding = Finding::error("`apiServerEndpoint` is missing", "in here");
            let missing = [place.key("apiServerEndpoint")];
            findings.say_missing(
                place,
                &missing,
                finding.with_help("add it: `apiServerEndpoint: HOST:PORT`"),
            );
            None
        }
    };
    let hashes = raw.ca_cert_hashes.as_deref().unwrap_or_default();
    let mut pins: Vec<CaPin> = Vec::new();
    for (index, hash) in hashes.iter().enumerate() {
        pins.extend(findings.parse::<CaPin>(&place.key("caCertHashes").index(index), hash));
    }
    if hashes.is_empty() {
        let message = "nothing vouches for the API server: `caCertHashes` is missing";
        let help = "whoever has the token could pass for the API server; add the hash that `kubeadm token create --print-join-command` shows";
        let missing = [place.key("caCertHashes")];
        let place = match raw.unsafe_skip_ca_verification {
            Some(true) => place.key("unsafeSkipCAVerification"),
            _ => place.clone(),
        };
        findings.say_missing(&place, &missing, Finding::error(message, "unpinned").with_help(help));
    }
    Some(TokenDiscovery {
        endpoint: endpoint?,
        token: token?,
        pins: Some(PinSet::new(pins)).filter(|pins| !pins.is_empty())?,
    })
}

#[cfg(test)]
mod tests;
