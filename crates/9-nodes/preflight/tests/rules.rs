//! Examples and counter-examples of all rules, and the page that lists the rules.

#![cfg(test)]

mod fixture;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use basalt_preflight::{NodeFacts, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict, rules};

use fixture::{node, result, root};

/// Node of an example.
fn node_of(example: &RuleExample, node: &NodeFacts) -> NodeFacts {
    let mut node = node.clone();
    example.changes.iter().for_each(|change| change.apply(&mut node));
    node
}

/// Rules that report something about an example.
fn reporting(example: &RuleExample, node: &NodeFacts) -> BTreeSet<&'static str> {
    let result = result("example.yaml", &example.manifest(), &node_of(example, node));
    result.findings.iter().map(|finding| finding.rule.id).collect()
}

#[test]
fn every_rule_reports_its_examples() {
    let node = node();
    let mut missed = Vec::new();
    for rule in rules() {
        assert!(!rule.examples.is_empty(), "{} has no example", rule.id);
        for example in rule.examples {
            let found = reporting(example, &node);
            if !found.contains(rule.id) {
                missed.push(format!("{} ({found:?}):\n{}", rule.id, example.manifest()));
            }
        }
    }
    assert!(missed.is_empty(), "not reported by\n{}", missed.join("\n"));
}

#[test]
fn no_rule_reports_its_counter_examples() {
    let node = node();
    let mut reported = Vec::new();
    for rule in rules() {
        assert!(!rule.counter_examples.is_empty(), "{} has no counter-example", rule.id);
        for example in rule.counter_examples {
            if reporting(example, &node).contains(rule.id) {
                reported.push(format!("{}:\n{}", rule.id, example.manifest()));
            }
        }
    }
    assert!(reported.is_empty(), "reported by\n{}", reported.join("\n"));
}

#[test]
fn a_missing_shell_hides_its_own_script_alone() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  hostPID: true\n  containers:\n    \
               - {name: a, image: a, command: [nsenter, -m/p/1/ns/mnt, --, sh, -c, 'iscsiadm --version']}\n    \
               - {name: b, image: b, command: [nsenter, -m/p/1/ns/mnt, --, multipath, -ll]}\n    \
               - {name: c, image: c, command: [nsenter, -m/p/1/ns/mnt, --, /usr/bin/test, -f, /var/run/x]}\n";
    let found = result("a.yaml", pod, &node()).findings;
    let of_rule: Vec<_> = found
        .iter()
        .filter(|finding| finding.rule.id == "host-program")
        .collect();
    let messages: Vec<_> = of_rule.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "the node has no sh",
            "the node has no multipath",
            "the node has no /usr/bin/test"
        ]
    );
    // What only looks at files needs no program of the node.
    let help = of_rule.last().map(|finding| finding.help.as_str());
    assert!(help.is_some_and(|help| help.contains("hostPath volume")), "{help:?}");
}

#[test]
fn the_sentinel_of_kured_is_named() {
    let message = |rest: &str| {
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  containers:\n    - name: a\n      \
             image: ghcr.io/kubereboot/kured:1.20.0\n{rest}"
        );
        let found = result("a.yaml", &pod, &node()).findings;
        let messages = found.into_iter().filter(|finding| finding.rule.id == "reboot-sentinel");
        messages.map(|finding| finding.message).collect::<Vec<_>>().join("; ")
    };
    for (rest, sentinel) in [
        ("", "/var/run/reboot-required"),
        ("      args: [--reboot-sentinel=/sentinel/x]\n", "/sentinel/x"),
        ("      args: [--reboot-sentinel, /sentinel/x]\n", "/sentinel/x"),
        (
            "      env: [{name: KURED_REBOOT_SENTINEL, value: /sentinel/x}]\n",
            "/sentinel/x",
        ),
        (
            "      args: ['--reboot-sentinel-command=sh -c \"! needs-restarting -r\"']\n",
            "`sh -c \"! needs-restarting -r\"`",
        ),
    ] {
        let message = message(rest);
        assert!(message.contains(sentinel) && !message.contains("; "), "{message}");
    }
}

#[test]
fn rules_have_names_sources_and_texts() {
    let mut ids = BTreeSet::new();
    for rule in rules() {
        let is_name = rule
            .id
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-');
        assert!(is_name && ids.insert(rule.id), "{}", rule.id);
        assert!(rule.source.starts_with("https://"), "{}", rule.id);
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
        let file = root().join(format!(
            "crates/9-nodes/preflight/src/rules/{}.rs",
            rule.id.replace('-', "_")
        ));
        assert!(file.is_file(), "{} has no file of its own", rule.id);
    }
    assert!(ids.len() >= 35, "only {} rules", ids.len());
}

const PAGE: &str = "docs/preflight/rules.md";

#[test]
fn the_page_has_the_rules() {
    let path = root().join(PAGE);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs_err::write(&path, page()).expect("written");
    }
    let published = fs_err::read_to_string(&path).unwrap_or_default();
    assert!(
        published == page(),
        "{PAGE} is out of date: run the tests of basalt-preflight with UPDATE_DOCS=1"
    );
}

/// Page with all rules, in Markdown.
fn page() -> String {
    let mut text = String::from(
        "# Rules of `basalt preflight`\n\n<!-- Generated from crates/9-nodes/preflight/src/rules: run the tests of basalt-preflight with \
         UPDATE_DOCS=1. -->\n\nEach rule compares with what the image of the node has; where the node can do what a workload asks for, there is \
         no finding. How to use the command is on [another page](README.md).\n\n| rule | finds | verdict |\n| --- | --- | --- |\n",
    );
    for topic in RuleTopic::ALL {
        for rule in of_topic(topic) {
            let _ = writeln!(text, "| [`{0}`](#{0}) | {1} | {2} |", rule.id, rule.title, rule.verdict);
        }
    }
    for topic in RuleTopic::ALL {
        let _ = writeln!(text, "\n## {}", topic.title());
        for rule in of_topic(topic) {
            let example = rule.examples.first().map(RuleExample::manifest).unwrap_or_default();
            let _ = write!(
                text,
                "\n### `{}`\n\n**{}** ({}). {}\n\n[Source]({})\n\n```yaml\n{example}```\n",
                rule.id, rule.title, rule.verdict, rule.reason, rule.source
            );
        }
    }
    text
}

fn of_topic(topic: RuleTopic) -> impl Iterator<Item = &'static PreflightRule> {
    rules().iter().filter(move |rule| rule.topic == topic)
}

#[test]
fn verdicts_have_an_order_and_names() {
    assert!(
        WorkloadVerdict::Note < WorkloadVerdict::RunsOtherwise
            && WorkloadVerdict::RunsOtherwise < WorkloadVerdict::WillNotRun
    );
    for verdict in WorkloadVerdict::ALL {
        assert_eq!(verdict.name().parse(), Ok(verdict));
    }
    assert!("worse".parse::<WorkloadVerdict>().is_err());
}
