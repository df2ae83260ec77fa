//! Reports about whole hosts, NodeConfigs made from them, and the page of the rules.

#![cfg(test)]

#[path = "../../inventory/tests/tree/mod.rs"]
mod tree;

use std::fmt::Write as _;
use std::time::SystemTime;

use basalt_inventory::HostInventory;
use basalt_node_config::{Clock, check};
use basalt_preflight::{
    ExaminedHost, HostExamination, NodeFacts, PreflightDocument, WorkloadVerdict, host_rules, sarif, text,
};

/// Root of the checkout.
fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Facts of the image `node`.
fn node() -> NodeFacts {
    serde_json::from_str(include_str!("node-facts.json")).expect("facts")
}

fn host(name: &str) -> HostInventory {
    let path = root().join(format!("crates/9-nodes/inventory/tests/hosts/{name}.txt"));
    let text = fs_err::read_to_string(path).expect("a host");
    basalt_inventory::read(tree::unpacked(&text).path())
}

fn report(host: &HostInventory) -> PreflightDocument {
    let node = node();
    let findings = HostExamination::new(host, &node).findings(None);
    let examined = ExaminedHost {
        inventory: host,
        findings: &findings,
    };
    PreflightDocument::of_hosts(&[examined], &node)
}

/// Text of the report, then the NodeConfig, which `basalt check` accepts.
fn golden(host: &HostInventory) -> String {
    let report = text(&report(host)).replace(&node().kernel.release, "6.12");
    let config = HostExamination::new(host, &node()).node_config().expect("a NodeConfig");
    if let Err(problems) = check("node.yaml", &config.text, Clock::Unsure(SystemTime::now())) {
        panic!("{}\n{}", problems.brief(), config.text);
    }
    format!("{report}---\n{}", config.text)
}

#[test]
fn ubuntu_with_kubeadm() {
    insta::assert_snapshot!(golden(&host("ubuntu-kubeadm")));
}

#[test]
fn debian_with_ifupdown() {
    insta::assert_snapshot!(golden(&host("debian")));
}

#[test]
fn gpus_behind_a_proxy() {
    insta::assert_snapshot!(golden(&host("gpu-proxy")));
}

#[test]
fn an_empty_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = basalt_inventory::read(folder.path());
    assert_eq!(report(&host).worst(), None);
    insta::assert_snapshot!(golden(&host));
}

#[test]
fn what_was_not_looked_at_is_told() {
    let mut host = HostInventory::default();
    host.unobserved.push(basalt_inventory::Unobserved {
        path: "/etc/kubernetes/kubelet.conf".to_owned(),
        reason: basalt_inventory::UnobservedReason::NeedsRoot,
    });
    let report = report(&host);
    assert!(!report.is_complete());
    assert!(text(&report).contains("/etc/kubernetes/kubelet.conf: only root may read it"));
    let log = sarif(&report);
    assert_eq!(log["runs"][0]["invocations"][0]["executionSuccessful"], false);
}

#[test]
fn reports_have_all_formats() {
    let report = report(&host("gpu-proxy"));
    assert_eq!(report.worst(), Some(WorkloadVerdict::WillNotRun));
    let json = serde_json::to_string(&report).expect("JSON");
    assert_eq!(serde_json::from_str::<PreflightDocument>(&json).expect("read"), report);
    let log = sarif(&report);
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().expect("a list");
    assert!(rules.iter().any(|rule| rule["id"] == "host-gpu"));
    let results = log["runs"][0]["results"].as_array().expect("a list");
    assert!(!results.is_empty() && results.iter().all(|result| result["ruleIndex"].is_u64()));
}

/// A NodeConfig is made of whatever an inventory says; what is refused is left out, and nothing else is.
#[test]
fn what_is_refused_is_left_out_and_told() {
    let mut host = host("ubuntu-kubeadm");
    host.system.hostname = "Not A Name".to_owned();
    if let Some(fields) = host.kubelet.config.as_mut().and_then(serde_json::Value::as_object_mut) {
        fields.insert("podPidsLimit".to_owned(), "many".into());
    }
    for interface in &mut host.network.interfaces {
        if !interface.addresses.is_empty() {
            interface.addresses.push("no address".to_owned());
        }
    }
    let config = HostExamination::new(&host, &node())
        .node_config()
        .expect("a NodeConfig");
    let left_out: Vec<_> = config.left_out.iter().map(|entry| entry.path.as_str()).collect();
    let wanted = ["hostname", "kubelet.podPidsLimit", "network.interfaces[0].addresses[1]"];
    assert_eq!(left_out, wanted);
    let (read, _) = check("node.yaml", &config.text, Clock::Unsure(SystemTime::now())).expect("accepted");
    let network = read.network.expect("a network");
    assert_eq!(network.interfaces[0].addresses.len(), 1);
    let json = serde_json::to_string(&report(&host)).expect("JSON");
    for said in [config.text, text(&report(&host)), json] {
        assert!(
            said.contains("`network.interfaces[0].addresses[1]` (no address) is left out"),
            "{said}"
        );
    }
}

/// A NodeConfig made from a host silences what it does; what it lacks is still told.
#[test]
fn the_written_file_silences_what_it_does() {
    let needs = |name: &str| match name {
        // Credentials and an authority, which no inventory has.
        "gpu-proxy" => vec!["host-proxy", "host-registry"],
        _ => Vec::new(),
    };
    for name in ["ubuntu-kubeadm", "debian", "gpu-proxy"] {
        let host = host(name);
        let config = HostExamination::new(&host, &node())
            .node_config()
            .expect("a NodeConfig")
            .text;
        let node = node().with_config("node.yaml", &config).expect("accepted");
        let findings = HostExamination::new(&host, &node).findings(Some(&config));
        let findings = findings
            .iter()
            .filter(|finding| finding.rule.verdict > WorkloadVerdict::Note);
        let lines: Vec<_> = findings
            .filter(|finding| finding.lines.is_some())
            .map(|finding| finding.rule.id)
            .collect();
        assert_eq!(lines, needs(name), "{name}");
    }
}

/// With the credentials and the authority in it, the file silences the rest.
#[test]
fn what_is_added_to_the_file_counts() {
    let host = host("gpu-proxy");
    let config = HostExamination::new(&host, &node())
        .node_config()
        .expect("a NodeConfig")
        .text;
    let config = config.replace("http: http://proxy", "http: http://user:word@proxy");
    let auth = "    auth: {username: a, password: b}\n";
    let config = config.replace(
        "dockerhub\n    overridePath: true\n",
        &format!("dockerhub\n    overridePath: true\n{auth}"),
    );
    let findings = HostExamination::new(&host, &node()).findings(Some(&config));
    let rules: Vec<_> = findings.iter().map(|finding| finding.rule.id).collect();
    assert!(
        !rules.contains(&"host-proxy") && !rules.contains(&"host-registry-credentials"),
        "{rules:?}\n{config}"
    );
    let other = config.replace("user:word@", "");
    let findings = HostExamination::new(&host, &node()).findings(Some(&other));
    assert!(findings.iter().any(|finding| finding.rule.id == "host-proxy"));
}

/// A host that has nothing but what a NodeConfig can do has nothing to be told of a node with that NodeConfig.
#[test]
fn a_host_of_settings_comes_through() {
    let mut inventory = HostInventory::default();
    let whole = host("debian");
    inventory.system.hostname = "w1".to_owned();
    inventory.network.interfaces = whole.network.interfaces.clone();
    inventory.network.bonds = whole.network.bonds.clone();
    inventory.network.vlans = whole.network.vlans.clone();
    inventory.time = whole.time.clone();
    inventory.registries = host("gpu-proxy")
        .registries
        .into_iter()
        .filter(|registry| registry.host == "*")
        .collect();
    let ubuntu = host("ubuntu-kubeadm");
    inventory.kubelet.flags = ubuntu.kubelet.flags.clone();
    inventory.kubelet.flags.retain(|flag| flag.name != "node-ip");
    inventory.kernel.huge_pages = ubuntu.kernel.huge_pages.clone();
    inventory.sysctls = ubuntu.sysctls.clone();
    let report = |config: Option<&str>| {
        let node = node();
        let findings = HostExamination::new(&inventory, &node).findings(config);
        let examined = ExaminedHost {
            inventory: &inventory,
            findings: &findings,
        };
        PreflightDocument::of_hosts(&[examined], &node)
    };
    assert!(report(None).worst() > Some(WorkloadVerdict::Note));
    let config = HostExamination::new(&inventory, &node())
        .node_config()
        .expect("a NodeConfig")
        .text;
    let after = report(Some(&config));
    assert!(
        after.worst() <= Some(WorkloadVerdict::Note),
        "{}\n{config}",
        text(&after)
    );
}

/// Lines that are shown are lines that `basalt check` accepts.
#[test]
fn shown_lines_are_accepted() {
    for name in ["ubuntu-kubeadm", "debian", "gpu-proxy"] {
        let mut host = host(name);
        let flag = |name: &str, value: &str| basalt_inventory::HostFlag {
            name: name.to_owned(),
            value: value.to_owned(),
            file: "/etc/default/kubelet".to_owned(),
        };
        host.kubelet.flags.extend([
            flag("feature-gates", "Foo=true"),
            flag("node-labels", "node-role.kubernetes.io/worker=,a=b"),
            flag("registry-qps", "10"),
        ]);
        for finding in HostExamination::new(&host, &node()).findings(None) {
            let Some(lines) = finding.lines else { continue };
            let text = format!(
                "apiVersion: basalt.dev/v1\nkind: NodeConfig\ncluster:\n  endpoint: https://k.example.com:6443\n  \
                 bootstrapToken: abcdef.0123456789abcdef\n  caCertHashes: [\"sha256:{}\"]\n{lines}",
                "0".repeat(64)
            );
            if let Err(problems) = check("node.yaml", &text, Clock::Unsure(SystemTime::now())) {
                panic!("{name}: {}\n{text}", problems.brief());
            }
        }
    }
}

/// No value of an inventory begins a line of a report or of a NodeConfig, or reaches a terminal as more than text.
#[test]
fn values_stay_values() {
    let evil = "x\nregistries: [{host: docker.io, mirrors: [{url: 'http://evil.example'}]}]\n\u{1b}[31m#";
    let value = serde_json::to_value(host("gpu-proxy")).expect("JSON");
    let every = HostInventory::parse(&spoilt(value, evil).to_string()).expect("an inventory");
    let document = report(&every);
    let json = serde_json::to_value(&document).expect("JSON");
    let config = HostExamination::new(&every, &node())
        .node_config()
        .expect("a NodeConfig");
    for shown in [
        text(&document),
        sarif(&document)["runs"][0]["results"].to_string(),
        config.text.clone(),
    ] {
        assert!(
            !shown.contains('\u{1b}') && !shown.lines().any(|line| line.trim_start().starts_with("registries: [")),
            "{shown}"
        );
    }
    for finding in json["findings"].as_array().expect("findings") {
        for field in ["path", "message", "help"] {
            let shown = finding[field].as_str().expect("a text");
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
        }
    }
    let (read, _) = check("node.yaml", &config.text, Clock::Unsure(SystemTime::now())).expect("accepted");
    assert!(
        read.registries
            .iter()
            .all(|registry| !format!("{registry:?}").contains("evil"))
    );
}

/// The same with a text at the end of every text that is not a word of the format.
fn spoilt(value: serde_json::Value, end: &str) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => Value::String(text + end),
        Value::Array(items) => items.into_iter().map(|item| spoilt(item, end)).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| match key.as_str() {
                "topic" | "reason" => (key, value),
                _ => (key, spoilt(value, end)),
            });
            Value::Object(fields.collect())
        }
        other => other,
    }
}

const PAGE: &str = "docs/preflight/node.md";
const BEGIN: &str = "<!-- rules: begin, generated: run the tests of basalt-preflight with UPDATE_DOCS=1 -->\n";
const END: &str = "<!-- rules: end -->\n";

#[test]
fn the_page_has_the_rules() {
    let path = root().join(PAGE);
    let published = fs_err::read_to_string(&path).expect("the page");
    let (before, rest) = published.split_once(BEGIN).expect("the mark before the rules");
    let (_, after) = rest.split_once(END).expect("the mark after the rules");
    let wanted = format!("{before}{BEGIN}{}{END}{after}", rules());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs_err::write(&path, &wanted).expect("written");
        return;
    }
    assert!(
        published == wanted,
        "{PAGE} is out of date: run the tests of basalt-preflight with UPDATE_DOCS=1"
    );
}

/// Rules in Markdown.
fn rules() -> String {
    let mut text = String::from("\n| rule | finds | verdict |\n| --- | --- | --- |\n");
    for rule in host_rules() {
        let _ = writeln!(text, "| [`{0}`](#{0}) | {1} | {2} |", rule.id, rule.title, rule.verdict);
    }
    for rule in host_rules() {
        let _ = write!(
            text,
            "\n### `{}`\n\n**{}** ({}). {}\n",
            rule.id, rule.title, rule.verdict, rule.reason
        );
    }
    text + "\n"
}
