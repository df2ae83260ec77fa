//! `basalt check`: validates files before anything is built or booted from them.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::SystemTime;

use basalt_document::problem::{Problem, Problems};
use basalt_document::report::{CheckReport, FileReport};
use basalt_document::{Document, Finding, Path};
use basalt_node_config::pin::CaPin;
use basalt_node_config::token::BootstrapToken;
use basalt_node_config::{ApiServerTrust, Clock, KubeletMinor, NodeConfig};
use basalt_preflight::EXAMPLE_TOKEN;
use camino::Utf8PathBuf;
use miette::Result;

use super::{answer, answer_json};
use crate::text_file::read_text_or_input;

/// Checks every file; the exit code is 0 if all of them are valid.
pub fn run(files: &[Utf8PathBuf], kubelet: KubeletMinor, json: bool) -> Result<ExitCode> {
    let mut report = CheckReport::new(files.len());
    for path in files {
        let (name, text) = read_text_or_input(path)?;
        match check(&name, &text, kubelet) {
            Ok((what, warnings)) => {
                if let Some(warnings) = warnings.filter(|warnings| !warnings.is_empty()) {
                    if !json {
                        crate::show_problems(&warnings);
                    }
                    report.warnings.push(FileReport::new(&warnings));
                }
                if !json {
                    answer(format!("{name} is right: {what}"));
                }
            }
            Err(problems) => {
                if !json {
                    crate::show_problems(&problems);
                }
                report.wrong.push(FileReport::new(&problems));
            }
        }
    }
    if json {
        answer_json(&report);
    }
    Ok(if report.wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Checks one file, whose kind is determined by `apiVersion`, which image definitions do not have; returns a
/// description of the file with warnings, or its problems.
fn check(name: &str, text: &str, kubelet: KubeletMinor) -> Result<(String, Option<Problems>), Problems> {
    if !text.lines().any(|line| line.starts_with("apiVersion:")) && text.lines().any(|line| line.starts_with("name:")) {
        let checked = basalt_image::definition::check(name, text);
        return checked.map(|definition| (format!("the definition of the image {}", definition.name), None));
    }
    let document = basalt_node_config::document(name, text)?;
    let (config, warnings) = basalt_node_config::check_document(&document, Clock::Right(SystemTime::now()), kubelet)?;
    let mut found: Vec<_> = warnings.iter().cloned().collect();
    found.extend(placeholders(&document, &config));
    let what = format!(
        "a NodeConfig for {}, with a kubelet of {kubelet}",
        config.cluster.endpoint
    );
    Ok((what, Some(document.problems(found))))
}

/// Warnings of values that stand in documentation, and in what `basalt preflight node` writes, for those of a cluster.
fn placeholders(document: &Document, config: &NodeConfig) -> Vec<Problem> {
    let cluster = document.root().get("cluster");
    let is_given = |key: &str| cluster.is_some_and(|cluster| cluster.value.get(key).is_some());
    // A kubeconfig has all of it.
    let place = |key: &str| {
        let key = if is_given(key) { key } else { "kubeconfig" };
        Path::root().key("cluster").key(key)
    };
    let is_example = |token: &BootstrapToken| token.reveal() == EXAMPLE_TOKEN;
    let mut found = Vec::new();
    let mut say = |place: &Path, message: String, help: &str| {
        let finding = Finding::warning(message, "to be filled in").with_help(help);
        found.push(document.at(place, finding));
    };
    let host = &config.cluster.endpoint.host;
    if is_of_documentation(host) {
        let message = format!("`{host}` is an address for documentation, and no API server has it");
        say(
            &place("endpoint"),
            message,
            "write the address of yours: `kubectl cluster-info` shows it",
        );
    }
    let help =
        "make one: `kubeadm token create --print-join-command` on a control-plane node shows address and pin, too";
    if is_example(&config.cluster.bootstrap_token) {
        let message = "this is the bootstrap token of the documentation".to_owned();
        say(&place("bootstrapToken"), message, help);
    }
    if let ApiServerTrust::Pins { pins, token } = &config.cluster.trust {
        if is_given("discoveryToken") && is_example(token) {
            let message = "this is the bootstrap token of the documentation".to_owned();
            say(&place("discoveryToken"), message, help);
        }
        for (index, _) in pins.iter().enumerate().filter(|(_, pin)| **pin == CaPin::new([0; 32])) {
            let message = "this pin has zeros only, and no public key has it".to_owned();
            let help = "write that of your cluster: `kubeadm token create --print-join-command` on a control-plane node shows it";
            say(&place("caCertHashes").index(index), message, help);
        }
    }
    found
}

/// Returns `true` for names and addresses that are reserved for documentation (RFC 2606, 3849, 5737).
fn is_of_documentation(host: &str) -> bool {
    const NAMES: [&str; 5] = ["example", "example.com", "example.net", "example.org", "invalid"];
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_documentation(),
        Ok(IpAddr::V6(address)) => matches!(address.segments(), [0x2001, 0x0db8, ..]),
        Err(_) => {
            let host = host.to_ascii_lowercase();
            let is_below = |name: &str| {
                host.strip_suffix(name)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            };
            NAMES.into_iter().any(is_below)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use basalt_document::schema::published;
    use basalt_inventory::HostInventory;
    use basalt_preflight::{HostExamination, NodeFacts};

    use super::*;

    #[test]
    fn the_published_schema_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/check.json");
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            fs_err::write(&path, published::<CheckReport>()).unwrap();
        }
        let text = fs_err::read_to_string(&path).unwrap_or_default();
        assert!(
            text == published::<CheckReport>(),
            "{} is out of date: run the tests with UPDATE_SCHEMAS=1",
            path.display()
        );
    }

    #[test]
    fn values_of_the_documentation_are_warned_of() {
        let config = |host: &str, token: &str, pin: &str| {
            format!(
                "apiVersion: basalt.dev/v1\nkind: NodeConfig\ncluster:\n  endpoint: https://{host}:6443\n  bootstrapToken: \
                 {token}\n  caCertHashes: ['sha256:{pin}']\n"
            )
        };
        let warned = |text: &str| {
            let (_, warnings) = check("node.yaml", text, KubeletMinor::NEWEST).unwrap();
            warnings.unwrap().iter().map(|problem| problem.line).collect::<Vec<_>>()
        };
        let (token, pin) = ("a1b2c3.0123456789abcdef", "ab".repeat(32));
        assert_eq!(warned(&config("api.corp.internal", token, &pin)), [] as [usize; 0]);
        let all = config("kubernetes.example.com", EXAMPLE_TOKEN, &"0".repeat(64));
        assert_eq!(warned(&all), [4, 5, 6]);
        for host in ["API.example", "192.0.2.10", "[2001:db8::1]"] {
            assert_eq!(warned(&config(host, token, &pin)), [4], "{host}");
        }
        assert_eq!(warned(&config("notexample.com", token, &pin)), [] as [usize; 0]);
        // No message shows a token.
        let (_, warnings) = check("node.yaml", &all, KubeletMinor::NEWEST).unwrap();
        assert!(!warnings.unwrap().brief().contains("0123456789abcdef"));
    }

    #[test]
    fn what_preflight_leaves_to_be_filled_in_is_warned_of() {
        let facts = include_str!("../../../9-nodes/preflight/tests/node-facts.json");
        let node: NodeFacts = serde_json::from_str(facts).unwrap();
        let made = HostExamination::new(&HostInventory::default(), &node).node_config();
        let (_, warnings) = check("node.yaml", &made.unwrap().text, KubeletMinor::NEWEST).unwrap();
        let brief = warnings.unwrap().brief();
        for words in [
            "no API server has it",
            "the bootstrap token of the documentation",
            "no public key has it",
        ] {
            assert!(brief.contains(words), "{words}: {brief}");
        }
    }

    #[test]
    fn a_file_of_another_kind_has_one_problem() {
        let text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n";
        let problems = check("join.yaml", text, KubeletMinor::NEWEST).unwrap_err();
        let report = FileReport::new(&problems);
        assert_eq!((report.file.as_str(), report.problems.len()), ("join.yaml", 1));
        let help = report.problems[0].help.as_deref().unwrap_or_default();
        assert!(help.starts_with("`basalt config from-join"), "{help}");
    }
}
