//! An inventory against records of ours.

use basalt_bom::{Origin, PackagedFile, Subject as About};

use super::*;
use crate::backports::backported_patches;
use crate::vex::parse_statements;
use crate::{openvex, sarif};

fn component(kind: ComponentKind, name: &str, version: &str, inside: &[(&str, &str)], source: &str) -> Component {
    let origin = (kind == ComponentKind::Package).then(|| Origin {
        package: source.to_owned(),
        upstream: source.to_owned(),
        version: version.split('-').next().unwrap_or_default().to_owned(),
        sources: Vec::new(),
    });
    let place = |(package, file): &(&str, &str)| PackagedFile {
        package: (*package).to_owned(),
        file: (*file).to_owned(),
    };
    let scheme = match kind {
        ComponentKind::Package => "rpm/basalt",
        ComponentKind::GoModule => "golang",
        ComponentKind::Crate => "cargo",
    };
    Component {
        kind,
        name: name.to_owned(),
        version: version.to_owned(),
        purl: format!("pkg:{scheme}/{name}@{version}"),
        cpe: None,
        licence: None,
        digest: None,
        go_sum: None,
        inside: inside.iter().map(place).collect(),
        origin,
    }
}

fn inventory() -> Inventory {
    let go = |name, version, inside: &[(&str, &str)]| component(ComponentKind::GoModule, name, version, inside, "");
    Inventory {
        subject: About {
            name: "node".to_owned(),
            version: "1".to_owned(),
            arch: "x86_64".to_owned(),
            image: true,
        },
        components: vec![
            component(ComponentKind::Package, "kernel", "6.12.107-1.bs1", &[], "kernel"),
            component(
                ComponentKind::Package,
                "kernel-modules",
                "6.12.107-1.bs1",
                &[],
                "kernel",
            ),
            component(ComponentKind::Package, "expat", "2.8.3-1.bs1", &[], "expat"),
            component(ComponentKind::Package, "runc", "1.5.2-1.bs1", &[], "runc"),
            component(ComponentKind::Package, "kubelet", "1.37.2-1.bs1", &[], "kubernetes"),
            component(ComponentKind::Package, "basalt-node", "0.1.0-1.bs1", &[], "basalt-node"),
            component(ComponentKind::Package, "strange", "1-1", &[], "strange"),
            go("github.com/opencontainers/runc", "v1.5.2", &[("runc", "/usr/bin/runc")]),
            go(
                "golang.org/x/net",
                "v0.55.0",
                &[("runc", "/usr/bin/runc"), ("kubelet", "/usr/bin/kubelet")],
            ),
            go("stdlib", "1.27.1", &[("kubelet", "/usr/bin/kubelet")]),
            component(
                ComponentKind::Crate,
                "serde",
                "1.0.229",
                &[("basalt-node", "/usr/bin/basalt-node")],
                "",
            ),
        ],
        relations: Vec::new(),
    }
}

const UPSTREAMS: &str = r#"
[[package]]
name = "kernel"
known_as = ["Linux/Kernel"]

[[package]]
name = "expat"
known_as = ["OSS-Fuzz/expat"]
repositories = ["https://github.com/libexpat/libexpat"]
tags = ["R_{version_}"]

[[package]]
name = "runc"
unmatched = "its Go modules are matched"

[[package]]
name = "kubernetes"
unmatched = "its Go modules are matched"

[[package]]
name = "basalt-node"
unmatched = "its crates are matched"
"#;

fn record(id: &str, aliases: &str, ecosystem: &str, name: &str, events: &str, severity: &str) -> (String, Vec<u8>) {
    let text = format!(
        r#"{{"id": "{id}", "modified": "2026-11-01T00:00:00Z", "aliases": [{aliases}], "summary": "About {name}",
            "affected": [{{"package": {{"ecosystem": "{ecosystem}", "name": "{name}"}},
                           "ranges": [{{"type": "SEMVER", "events": [{events}]}}]}}],
            "database_specific": {{"severity": "{severity}"}}}}"#
    );
    (format!("{id}.json"), text.into_bytes())
}

fn database() -> Database {
    let all = r#"{"introduced": "0"}"#;
    let git = r#"{"id": "CVE-2026-2000", "summary": "A parser", "affected": [{"versions": ["R_2_8_2", "R_2_8_3"],
        "ranges": [{"type": "GIT", "repo": "https://github.com/libexpat/libexpat.git", "events": [{"introduced": "0"}]}]}]}"#;
    let records = [
        record(
            "GO-2026-0001",
            r#""CVE-2026-1000""#,
            "Go",
            "github.com/opencontainers/runc",
            r#"{"introduced": "0"}, {"fixed": "1.5.3"}"#,
            "",
        ),
        // The same from another database, which knows how bad it is.
        record(
            "GHSA-aaaa-bbbb-cccc",
            r#""CVE-2026-1000""#,
            "Go",
            "github.com/opencontainers/runc",
            r#"{"introduced": "1.0.0"}, {"fixed": "1.5.3"}"#,
            "CRITICAL",
        ),
        record(
            "GO-2026-0002",
            r#""CVE-2026-1001""#,
            "Go",
            "golang.org/x/net",
            all,
            "MODERATE",
        ),
        record(
            "GO-2026-0003",
            "",
            "Go",
            "stdlib",
            r#"{"introduced": "0"}, {"fixed": "1.27.1"}"#,
            "HIGH",
        ),
        record("GO-2026-0004", "", "Go", "stdlib", r#"{"introduced": "1.27.0"}"#, ""),
        record(
            "RUSTSEC-2026-0001",
            "",
            "crates.io",
            "serde",
            r#"{"introduced": "0.0.0-0"}, {"fixed": "1.0.230"}"#,
            "LOW",
        ),
        record(
            "CVE-2026-3000",
            "",
            "Linux",
            "Kernel",
            r#"{"introduced": "6.1"}, {"fixed": "6.12.108"}"#,
            "HIGH",
        ),
        record("DSA-1", "", "Debian:12", "expat", all, "CRITICAL"),
    ];
    let mut files: Vec<(&str, &[u8])> = records
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    files.push(("CVE-2026-2000.json", git.as_bytes()));
    Database::of_records(files)
}

fn statements() -> VexStatements {
    let text = r#"
[[statement]]
id = "GO-2026-0002"
component = "golang.org/x/net"
status = "not_affected"
justification = "vulnerable_code_not_in_execute_path"
words = "runc serves no HTTP/2."
date = 2026-11-20

[[statement]]
id = "CVE-2026-1000"
status = "under_investigation"
words = "Upstream was asked on the first day."
date = 2026-11-21
"#;
    VexStatements {
        statements: parse_statements("runc", "distro/vex/runc.toml", text).expect("right"),
        patches: BTreeMap::from([(
            "kernel".to_owned(),
            backported_patches(["CVE-2026-3000-bounds.patch"], "Patch0: CVE-2026-3000-bounds.patch\n"),
        )]),
    }
}

fn audited() -> Audited {
    let upstreams = Upstreams::parse("upstreams.toml", UPSTREAMS).expect("right");
    audit(&inventory(), &database(), &upstreams, &statements())
}

fn line(found: &Match) -> String {
    let severity = found
        .severity
        .map_or("unrated".to_owned(), |severity| severity.level.to_string());
    let answer = found
        .answer
        .as_ref()
        .map_or(String::new(), |answer| format!(" [{}]", answer.status()));
    format!(
        "{severity} {} ({}) {}@{} in {} {:?} fixed in {}{answer}",
        found.id,
        found.aliases.join(", "),
        found.component,
        found.version,
        found.package,
        found.files,
        found.fixed.as_deref().unwrap_or("-"),
    )
}

#[test]
fn every_kind_of_component_is_found() {
    let audited = audited();
    let lines: Vec<_> = audited.matches.iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!(
        audited.unmatched.get("strange").map(String::as_str),
        Some("distro/upstreams.toml does not say what databases call it")
    );
}

#[test]
fn what_is_answered_fails_nothing() {
    let audited = audited();
    let failing = |level| {
        let failing = audited.matches.iter().filter(|found| found.fails(level));
        failing
            .map(|found| format!("{} {}", found.id, found.package))
            .collect::<Vec<_>>()
    };
    assert_eq!(failing(Level::Critical), ["CVE-2026-1000 runc"]);
    // What nobody rates counts as high: two of them.
    assert_eq!(
        failing(Level::High),
        ["CVE-2026-1000 runc", "CVE-2026-2000 expat", "GO-2026-0004 kubernetes"]
    );
    assert_eq!(failing(Level::Low).len(), 5);
}

#[test]
fn the_answers_are_documents_for_others() {
    let document = openvex(&inventory(), &statements());
    insta::assert_snapshot!("openvex", serde_json::to_string_pretty(&document).expect("JSON"));
    let log = sarif(&audited(), Level::High, |package| {
        format!("distro/packages/{package}/{package}.spec")
    });
    insta::assert_snapshot!("sarif", serde_json::to_string_pretty(&log).expect("JSON"));
}
