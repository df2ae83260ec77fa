//! Examples and counter-examples of the rules about hosts.

#![cfg(test)]

mod host_cases;
mod host_parts;

use std::collections::BTreeSet;

use basalt_inventory::{HostBond, HostInterface, HostInventory, HostSwap};
use basalt_preflight::{HostExamination, NodeFacts, host_rules};

use host_cases::{CASES, Change, with_settings};
use host_parts::{account, interface, module};

/// Facts of the image `node`.
fn node() -> NodeFacts {
    serde_json::from_str(include_str!("node-facts.json")).expect("facts")
}

/// Rules that report something about a host.
fn reporting(change: Change, node: &NodeFacts) -> BTreeSet<&'static str> {
    let mut host = HostInventory::default();
    change(&mut host);
    HostExamination::new(&host, node)
        .findings(None)
        .iter()
        .map(|finding| finding.rule.id)
        .collect()
}

#[test]
fn every_rule_has_an_example_and_a_counter_example() {
    let node = node();
    let known: BTreeSet<_> = CASES.iter().map(|(rule, ..)| *rule).collect();
    let rules: BTreeSet<_> = host_rules().map(|rule| rule.id).collect();
    assert_eq!(known, rules);
    for (rule, example, counter_example) in CASES {
        let found = reporting(*example, &node);
        assert!(found.contains(rule), "{rule} does not report its example: {found:?}");
        assert!(
            !reporting(*counter_example, &node).contains(rule),
            "{rule} reports its counter-example"
        );
    }
}

#[test]
fn settings_that_are_not_read_are_named() {
    let mut host = HostInventory::default();
    host.network.bonds = vec![HostBond {
        name: "bond0".to_owned(),
        members: vec!["eth0".to_owned()],
        others: vec!["mii-monitor-interval".to_owned(), "*".to_owned()],
        ..HostBond::default()
    }];
    host.network.interfaces = vec![
        HostInterface {
            addresses: vec!["10.0.0.2/24".to_owned()],
            ..interface("bond0")
        },
        with_settings("eth1", &["dhcp4-overrides.use-dns", "optional"]),
    ];
    let findings = HostExamination::new(&host, &node()).findings(None);
    let findings = findings
        .iter()
        .filter(|finding| finding.rule.id == "host-network-setting");
    let messages: Vec<&str> = findings.map(|finding| finding.message.as_str()).collect();
    let wanted = [
        "eth1 has dhcp4-overrides.use-dns, optional",
        "the bond bond0 has mii-monitor-interval, words that are no settings",
    ];
    assert_eq!(messages, wanted);
}

#[test]
fn settings_that_a_node_config_has_are_told_no_more() {
    let mut host = HostInventory::default();
    host.network.interfaces = vec![
        with_settings("eth0", &["optional"]),
        HostInterface {
            mac: Some("52:54:00:12:34:56".to_owned()),
            ..with_settings("eth1", &["dhcp4-overrides.route-metric", "dhcp4-overrides.use-dns"])
        },
    ];
    let messages = |config: Option<&str>| {
        let findings = HostExamination::new(&host, &node()).findings(config);
        let findings = findings
            .into_iter()
            .filter(|finding| finding.rule.id == "host-network-setting");
        findings.map(|finding| finding.message).collect::<Vec<_>>()
    };
    let all = [
        "eth0 has optional",
        "eth1 has dhcp4-overrides.route-metric, dhcp4-overrides.use-dns",
    ];
    assert_eq!(messages(None), all);
    assert_eq!(
        messages(Some("network: {interfaces: [{name: eth0}, {name: eth1}]}\n")),
        all
    );
    let config = "network: {interfaces: [{name: eth0, optional: true}, {mac: '52:54:00:12:34:56', metric: 10}]}\n";
    assert_eq!(messages(Some(config)), ["eth1 has dhcp4-overrides.use-dns"]);
}

#[test]
fn arguments_have_no_hidden_values() {
    let helps = |options: &[&str], command_line: &[&str]| {
        let mut host = HostInventory::default();
        host.kernel.modules = vec![module("nf_conntrack", "", options)];
        host.kernel.command_line = command_line.iter().map(|word| (*word).to_owned()).collect();
        let findings = HostExamination::new(&host, &node()).findings(None);
        let helps = findings.into_iter().map(|finding| (finding.rule.id, finding.help));
        helps.collect::<std::collections::BTreeMap<_, _>>()
    };
    let some = helps(&["hashsize=1", "name=*"], &["isolcpus=2-7", "x=*", "*"]);
    for (rule, arguments) in [
        (
            "host-module-option",
            "`kernelArguments: [nf_conntrack.hashsize=1]`, and ",
        ),
        ("host-command-line", "`kernelArguments: [isolcpus=2-7]`, and "),
    ] {
        assert!(some[rule].contains(arguments), "{}", some[rule]);
    }
    let none = helps(&["*"], &["x=*"]);
    for rule in ["host-module-option", "host-command-line"] {
        assert!(
            !none[rule].contains('*') && !none[rule].contains("[]"),
            "{}",
            none[rule]
        );
    }
    let whole = helps(&["hashsize=1"], &["isolcpus=2-7"]);
    assert!(whole.values().all(|help| help.ends_with("]`")), "{whole:?}");
}

#[test]
fn swap_is_told_by_the_file_that_has_it() {
    for file in ["/etc/fstab", "/proc/swaps"] {
        let mut host = HostInventory::default();
        host.storage.swap = vec![HostSwap {
            source: "/swap.img".to_owned(),
            size_kib: Some(4096),
            file: file.to_owned(),
        }];
        assert_eq!(HostExamination::new(&host, &node()).findings(None)[0].place, file);
    }
}

#[test]
fn keys_are_counted_in_words() {
    for (keys, words) in [(1, "ada (1 key)"), (2, "ada (2 keys)")] {
        let host = HostInventory {
            accounts: vec![account("ada", 1001, Some(keys))],
            ..HostInventory::default()
        };
        assert!(
            HostExamination::new(&host, &node()).findings(None)[0]
                .message
                .ends_with(words)
        );
    }
}

#[test]
fn nothing_is_found_about_nothing() {
    assert_eq!(reporting(|_| {}, &node()), BTreeSet::new());
}

#[test]
fn the_node_decides() {
    let mut node = node();
    node.kernel.modules.insert("zfs".to_owned());
    node.containerd.handlers.insert("kata".to_owned());
    node.apparmor_profiles.insert("k8s-nginx".to_owned());
    node.sysctls.insert("vm.swappiness".to_owned(), "10".to_owned());
    node.tree.add("/usr/bin/mount.nfs", basalt_preflight::TreeEntry::File);
    for rule in [
        "host-module",
        "host-runtime-handler",
        "host-apparmor-profile",
        "host-sysctl",
        "host-helper",
    ] {
        let (_, example, _) = CASES.iter().find(|(id, ..)| *id == rule).expect("a case");
        assert!(!reporting(*example, &node).contains(rule), "{rule}");
    }
}

#[test]
fn rules_have_names_and_texts() {
    let mut ids = BTreeSet::new();
    for rule in host_rules() {
        assert!(rule.id.starts_with("host-") && ids.insert(rule.id), "{}", rule.id);
        assert!(
            !rule.title.ends_with('.') && rule.title.len() <= 90,
            "{}: {}",
            rule.id,
            rule.title
        );
        assert!(
            rule.reason.ends_with('.') && !rule.reason.contains("  "),
            "{}: {}",
            rule.id,
            rule.reason
        );
    }
}
