//! What is written on a node for a NodeConfig: golden files.

#![cfg(test)]

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use basalt_node::facts::Facts;
use basalt_node::plan::plan;
use basalt_node_config::{Clock, NodeConfig, check};

const CA: &str = include_str!("../../node-config/tests/certificates/ca.pem");

fn checked(text: &str) -> NodeConfig {
    // 2030, when the certificates of these tests are valid.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    match check("node.yaml", text, Clock::Right(now)) {
        Ok((config, _)) => config,
        Err(problems) => panic!("{}", problems.brief()),
    }
}

/// The least that a NodeConfig can be, with something more at its end.
fn least(more: &str) -> NodeConfig {
    let ca: String = CA.lines().map(|line| format!("    {line}\n")).collect();
    checked(&format!(
        "apiVersion: basalt.dev/v1\nkind: NodeConfig\ncluster:\n  endpoint: https://10.87.0.1:6443\n  \
         bootstrapToken: abcdef.0123456789abcdef\n  ca: |\n{ca}{more}"
    ))
}

/// All that is planned, certificates apart: those are the same everywhere.
fn planned(config: &NodeConfig) -> String {
    let facts = Facts {
        machine_id: Some("0123456789abcdef0123456789abcdef".to_owned()),
    };
    let plan = plan(config, &facts);
    let mut text = format!("{} joins {}\n", plan.hostname, plan.endpoint);
    for (path, value) in &plan.sysctls {
        let _ = writeln!(text, "/proc/sys/{path} = {value}");
    }
    for file in &plan.files {
        let _ = writeln!(text, "\n=== {} {:04o}\n{}", file.path, file.mode, short(&file.content));
    }
    text
}

/// Long words, which only certificates have, in few letters.
fn short(content: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in content.lines() {
        let mut words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        for word in words.iter_mut().filter(|word| word.len() > 200) {
            *word = format!("({} letters)", word.len());
        }
        lines.push(words.join(" "));
    }
    lines.join("\n").replace(CA.trim(), "(the certificate)")
}

#[test]
fn of_the_example() {
    let text = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/examples/node.yaml"));
    insta::assert_snapshot!(planned(&checked(&text.unwrap())));
}

#[test]
fn of_the_least() {
    insta::assert_snapshot!(planned(&least("")));
}

#[test]
fn of_registries() {
    let text = "\
registries:
  - { host: a.example, mirrors: [{ url: 'https://m1.example' }, { url: 'http://m2.example/v2/p', overridePath: true }] }
  - { host: b.example, mirrors: [{ url: 'https://m1.example' }, { url: 'https://m2.example' }], mirrorsOnly: true }
  - { host: 'c.example:5000', plainHttp: true, auth: { username: u, password: p } }
  - { host: '*', mirrors: [{ url: 'https://m3.example' }] }
";
    let plan = plan(&least(text), &Facts { machine_id: None });
    let mut shown = String::new();
    for file in plan.files.iter().filter(|file| file.path.ends_with("hosts.toml")) {
        let _ = writeln!(shown, "=== {} {:04o}\n{}", file.path, file.mode, file.content);
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn one_image_at_a_time() {
    let plan = plan(
        &least("kubelet: { maxParallelImagePulls: 1 }\n"),
        &Facts { machine_id: None },
    );
    let file = plan
        .files
        .iter()
        .find(|file| file.path.ends_with("kubelet/config.json"))
        .unwrap();
    let config: serde_json::Value = serde_json::from_str(&file.content).unwrap();
    assert_eq!(
        (&config["serializeImagePulls"], &config["maxParallelImagePulls"]),
        (&true.into(), &1.into())
    );
}

#[test]
fn secrets_are_for_root_only() {
    let config = least("registries: [{ host: a.example, auth: { username: u, password: p4ssw0rd } }]\n");
    let plan = plan(&config, &Facts { machine_id: None });
    let encoded = "dTpwNHNzdzByZA==";
    for file in &plan.files {
        let secret = ["0123456789abcdef", "p4ssw0rd", encoded]
            .iter()
            .any(|word| file.content.contains(word));
        assert_eq!(file.mode & 0o077 == 0, secret, "{}", file.path);
    }
}
