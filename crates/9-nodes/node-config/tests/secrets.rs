//! No report about a NodeConfig shows a secret of it, whatever is wrong.

#![cfg(test)]

use std::time::{Duration, SystemTime};

use basalt_document::problem::Problems;
use basalt_document::redaction::redact;
use basalt_node_config::{Clock, KubeletMinor, LARGEST, check_for, json_schema, kubelet_extra_fields, raw};
use miette::NarratableReportHandler;
use proptest::prelude::*;

const CA: &str = include_str!("certificates/ca.pem");

/// Words that stand for secrets: of the token, a discovery token, a password, an identity token, a key, a proxy.
const SECRETS: [&str; 6] = [
    "0123456789abcdef",
    "fedcba9876543210",
    "correct-horse",
    "battery.staple",
    "TUlJQmpEQ0NBVEdn",
    "troubadour",
];

/// A NodeConfig with all of them, in the styles of YAML.
fn whole() -> String {
    let ca: String = CA.lines().map(|line| format!("    {line}\n")).collect();
    let [token, discovery, password, identity, key, proxy] = SECRETS;
    format!(
        "apiVersion: basalt.dev/v1
kind: NodeConfig
hostname: worker-1
cluster:
  endpoint: https://10.87.0.1:6443
  bootstrapToken: abcdef.{token}
  discoveryToken: \"fedcba.{discovery}\"
  ca: |
{ca}registries:
  - host: docker.io
    auth: {{ username: puller, password: {password} }}
    mirrors:
      - url: https://mirror.example
        auth:
          identityToken: >-
            {identity}
  - host: b.example
    clientCertificate:
      certificate: |
        -----BEGIN CERTIFICATE-----
      key: |
        -----BEGIN PRIVATE KEY-----
        {key}
        -----END PRIVATE KEY-----
labels: {{ tier: front }}
sysctls: {{ vm.swappiness: 10 }}
proxy:
  http: 'http://u:{proxy}@proxy.example:3128'
# An earlier one: password: {password}
"
    )
}

fn problems(text: &str) -> Problems {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    let checked = check_for("node.yaml", text, Clock::Right(now), KubeletMinor::NEWEST);
    checked.map_or_else(|problems| problems, |(_, warnings)| warnings)
}

/// Report for people.
fn rendered(problems: &Problems) -> String {
    let mut shown = String::new();
    NarratableReportHandler::new()
        .render_report(&mut shown, problems)
        .unwrap();
    shown
}

/// All that is reported about a text: for people and for programs, and by `Debug`.
fn reported(text: &str) -> String {
    let problems = problems(text);
    format!("{}{problems:?}{}", problems.brief(), rendered(&problems))
}

fn assert_no_secret(text: &str) -> String {
    let shown = reported(text);
    for secret in SECRETS {
        assert!(!shown.contains(secret), "{secret}\n{text}\n{shown}");
    }
    shown
}

#[test]
fn warnings_and_errors_show_none() {
    let shown = assert_no_secret(&whole());
    assert!(
        shown.contains("there is no certificate in PEM") || shown.contains("not a certificate"),
        "{shown}"
    );
    // One problem at each line, by a key that is not known.
    let text = whole();
    for line in 0..text.lines().count() {
        for added in [
            "colour: green",
            "  colour: green",
            "    colour: green",
            "\tcolour",
            "]",
            "'",
        ] {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.insert(line, added);
            assert_no_secret(&lines.join("\n"));
        }
    }
}

#[test]
fn secrets_of_another_kind_show_none() {
    for (before, after) in [
        ("password: correct-horse", "pasword: correct-horse"),
        ("password: correct-horse", "password:correct-horse"),
        ("password: correct-horse", "correct-horse"),
        ("password: correct-horse", "password: [correct-horse]"),
        ("password: correct-horse", "password: #correct-horse"),
        ("{ username: puller, password: correct-horse }", "correct-horse"),
        (
            "{ username: puller, password: correct-horse }",
            "[puller, correct-horse]",
        ),
        ("username: puller", "username: correct-horse"),
        ("bootstrapToken: abcdef.", "bootstrapToken: "),
        ("bootstrapToken: abcdef.", "bootstraptoken: x"),
        ("bootstrapToken: abcdef.", "token: abcdef-"),
        ("http: 'http://", "http: '"),
        ("http: 'http://", "noProxy: 'http://"),
        ("https://mirror.example", "https://u:troubadour@mirror.example"),
        ("host: b.example", "host: https://u:troubadour@b.example"),
        ("https://10.87.0.1:6443", "http://u:troubadour@10.87.0.1:6443"),
        (
            "vm.swappiness: 10",
            "vm.swappiness: 10 }, password: correct-horse, x: {",
        ),
    ] {
        let text = whole();
        assert!(text.contains(before), "{before}");
        assert_no_secret(&text.replacen(before, after, 1));
    }
}

#[test]
fn what_is_no_secret_is_shown() {
    let shown = reported(&whole().replace("tier: front", "tier: -front"));
    for part in ["labels: { tier: -front }", "sysctls: { vm.swappiness: 10 }", "`-front`"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn secrets_are_marked_in_the_schema() {
    let schema: serde_json::Value = serde_json::from_str(&json_schema()).unwrap();
    for (object, key) in [
        ("Cluster", "bootstrapToken"),
        ("Cluster", "discoveryToken"),
        ("Cluster", "kubeconfig"),
        ("RegistryAuth", "username"),
        ("RegistryAuth", "password"),
        ("RegistryAuth", "identityToken"),
        ("ClientCertificate", "key"),
        ("Proxy", "http"),
        ("Proxy", "https"),
    ] {
        let marked = schema.pointer(&format!("/$defs/{object}/properties/{key}/writeOnly"));
        assert_eq!(marked, Some(&serde_json::Value::Bool(true)), "{object} {key}");
    }
}

#[test]
fn the_written_form_shows_none_in_debug_output() {
    let [token, discovery, password, identity, key, proxy] = SECRETS;
    // Every field that the schema marks as a secret has one.
    let config: raw::NodeConfig = serde_json::from_value(serde_json::json!({
        "apiVersion": "basalt.dev/v1",
        "kind": "NodeConfig",
        "cluster": {
            "endpoint": format!("https://u:{password}@10.87.0.1:6443"),
            "bootstrapToken": format!("abcdef.{token}"),
            "discoveryToken": format!("fedcba.{discovery}"),
            "kubeconfig": format!("users: [{{ name: u, user: {{ token: {identity} }} }}]"),
        },
        "registries": [{
            "host": "docker.io",
            "auth": { "username": password, "password": password, "identityToken": identity },
            "clientCertificate": { "certificate": "public", "key": key },
        }],
        "proxy": { "http": format!("http://u:{proxy}@proxy.example"), "https": format!("http://u:{proxy}@proxy.example") },
    }))
    .unwrap();
    let shown = format!("{config:?} {config:#?}");
    for secret in SECRETS {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
    assert!(
        shown.contains("10.87.0.1:6443") && shown.contains("docker.io"),
        "{shown}"
    );
    // That a token is there is no secret.
    assert!(shown.contains("bootstrap_token: Some"), "{shown}");
}

/// Collects the keys of all objects in a schema.
fn keys(schema: &serde_json::Value, found: &mut Vec<String>) {
    if let Some(properties) = schema.get("properties").and_then(serde_json::Value::as_object) {
        found.extend(properties.keys().cloned());
    }
    let members = schema.as_object().into_iter().flat_map(|members| members.values());
    let items = schema.as_array().into_iter().flatten();
    members.chain(items).for_each(|part| keys(part, found));
}

#[test]
fn names_of_keys_are_not_taken_for_tokens() {
    let mut found = Vec::new();
    keys(&serde_json::from_str(&json_schema()).unwrap(), &mut found);
    found.extend(kubelet_extra_fields(KubeletMinor::NEWEST).map(str::to_owned));
    assert!(found.len() > 150, "only {} keys", found.len());
    // Parents that are as long as the id of a token, or nearly so.
    let parents: Vec<_> = found.iter().filter(|key| (5..=7).contains(&key.len())).collect();
    assert!(parents.iter().any(|parent| *parent == "kubelet"), "{parents:?}");
    for (parent, key) in parents
        .iter()
        .flat_map(|parent| found.iter().map(move |key| (parent, key)))
    {
        let path = format!("`{parent}.{key}`");
        assert_eq!(redact(&path), path);
    }
}

#[test]
fn large_files_are_answered_at_once() {
    let text = whole();
    let huge = format!("{text}{}", " ".repeat(LARGEST));
    assert!(reported(&huge).contains("at most 1048576 bytes (1 MiB)"));
    // Quadratic time would be minutes, in a debug build.
    let began = std::time::Instant::now();
    let labels = |value: &str| {
        (0..20_000)
            .map(|number| format!("  k{number}: {value}\n"))
            .collect::<String>()
    };
    let base = text.replace("labels: { tier: front }\n", "");
    assert!(!reported(&format!("{base}labels:\n{}", labels("a"))).contains("`a`"));
    let shown = reported(&format!("{base}labels:\n{}", labels("'-'")));
    assert!(shown.contains("more, which are not shown"), "{shown:.3000}");
    let flow = labels("'-'").replace('\n', ",");
    let problems = problems(&format!("{base}labels: {{ {flow} }}\n"));
    assert!(problems.errors() > 20_000);
    let length = rendered(&problems).len() + problems.brief().len();
    assert!(length < 100_000, "{length}");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_damage_shows_a_secret(at in 0usize..2000, put in "[\\-:{}\\[\\], \n\t'\"a#|>]{0,3}", take in 0usize..6) {
        let mut text: Vec<char> = whole().chars().collect();
        let at = at.min(text.len());
        let end = (at + take).min(text.len());
        text.splice(at..end, put.chars());
        let text: String = text.into_iter().collect();
        let shown = reported(&text);
        for secret in SECRETS {
            prop_assert!(!shown.contains(secret), "{}\n{}\n{}", secret, text, shown);
        }
    }
}
