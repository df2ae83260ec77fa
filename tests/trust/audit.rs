//! `basalt audit` on the real node, against made-up advisories about what is really in it.

use std::io::Write as _;

use basalt_test_environment::{Failed, TestDirectory, ensure, has_all};
use serde_json::{Value, json};

use crate::fixture::{Fixture, TIMEOUT};

/// A record about a version range of a package. They are all made up.
fn record(id: &str, aliases: &[&str], ecosystem: &str, name: &str, events: &Value, severity: &str) -> String {
    json!({
        "schema_version": "1.7.4", "id": id, "modified": "2026-11-20T00:00:00Z", "aliases": aliases,
        "summary": format!("A made-up weakness of {name}"),
        "affected": [{
            "package": { "ecosystem": ecosystem, "name": name },
            "ranges": [{ "type": if ecosystem == "Linux" { "ECOSYSTEM" } else { "SEMVER" }, "events": events }],
        }],
        "database_specific": { "severity": severity },
    })
    .to_string()
}

/// OSV records by file name: two that affect the node and are high or critical, two of low severity, and two that do
/// not affect it.
fn records() -> Vec<(&'static str, String)> {
    let all = json!([{ "introduced": "0" }, { "fixed": "99999.0.0" }]);
    let past = json!([{ "introduced": "0" }, { "fixed": "0.0.1" }]);
    let git = json!({
        "id": "CVE-2026-90004", "modified": "2026-11-20T00:00:00Z",
        "affected": [{
            "versions": ["R_2_8_2", "R_2_8_3"],
            "ranges": [{ "type": "GIT", "repo": "https://github.com/libexpat/libexpat", "events": [{ "introduced": "0" }] }],
        }],
        "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:L" }],
    });
    vec![
        (
            "GO-2026-90001.json",
            record(
                "GO-2026-90001",
                &["CVE-2026-90001"],
                "Go",
                "github.com/opencontainers/runc",
                &all,
                "HIGH",
            ),
        ),
        (
            "CVE-2026-90002.json",
            record("CVE-2026-90002", &[], "Linux", "Kernel", &all, "CRITICAL"),
        ),
        (
            "RUSTSEC-2026-90003.json",
            record("RUSTSEC-2026-90003", &[], "crates.io", "serde_json", &all, "LOW"),
        ),
        ("CVE-2026-90004.json", git.to_string()),
        (
            "GO-2026-90005.json",
            record(
                "GO-2026-90005",
                &[],
                "Go",
                "github.com/opencontainers/runc",
                &past,
                "CRITICAL",
            ),
        ),
        (
            "DSA-2026-90006.json",
            record("DSA-2026-90006", &[], "Debian:13", "systemd", &all, "CRITICAL"),
        ),
    ]
}

fn database(fixture: &Fixture<'_>, name: &str) -> Result<camino::Utf8PathBuf, Failed> {
    let records = records();
    let files: Vec<(&str, &str)> = records.iter().map(|(name, text)| (*name, text.as_str())).collect();
    fixture.folder(name, &files)
}

fn found<'r>(report: &'r Value, id: &str) -> Option<&'r Value> {
    let matches = report["subjects"][0]["audit"]["matches"].as_array()?;
    matches.iter().find(|found| found["id"] == id)
}

pub fn what_is_known_is_found(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let database = database(fixture, "osv")?;
    let report = fixture.json(&["audit", "node", "--database", database.as_str()], 1)?;
    let runc = found(&report, "CVE-2026-90001").ok_or_else(|| format!("{report:#}"))?;
    ensure(
        runc["package"] == "runc"
            && runc["files"] == json!(["/usr/bin/runc"])
            && runc["aliases"] == json!(["GO-2026-90001"]),
        || format!("{runc:#}"),
    )?;
    let kernel = found(&report, "CVE-2026-90002").ok_or_else(|| format!("{report:#}"))?;
    ensure(kernel["package"] == "kernel" && kernel["fixed"] == "99999.0.0", || {
        format!("{kernel:#}")
    })?;
    let expat = found(&report, "CVE-2026-90004").ok_or_else(|| format!("{report:#}"))?;
    ensure(
        expat["package"] == "expat" && expat["severity"]["level"] == "low",
        || format!("{expat:#}"),
    )?;
    let json = found(&report, "RUSTSEC-2026-90003").ok_or_else(|| format!("{report:#}"))?;
    ensure(json["package"] == "basalt-node", || format!("{json:#}"))?;
    ensure(report["failing"] == 2, || format!("{report:#}"))?;
    for id in ["GO-2026-90005", "DSA-2026-90006"] {
        ensure(found(&report, id).is_none(), || {
            format!("{id} does not concern the node")
        })?;
    }
    let components = report["subjects"][0]["audit"]["components"]
        .as_u64()
        .unwrap_or_default();
    ensure(components > 150, || format!("only {components} components"))?;
    let shown = fixture
        .run(&["audit", "node", "--database", database.as_str()], 1)?
        .stdout;
    has_all(
        &shown,
        &[
            "SEVERITY",
            "CVE-2026-90001 (GO-2026-90001)",
            "github.com/opencontainers/runc@v1.",
            "2 to act on (high and above)",
            "Entries of ecosystems whose versions are not upstream's: 1.",
        ],
    )
}

pub fn levels_decide(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let records = records();
    let low: Vec<(&str, &str)> = records
        .iter()
        .filter(|(name, _)| ["RUSTSEC-2026-90003.json", "GO-2026-90005.json"].contains(name))
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let database = fixture.folder("low", &low)?;
    let database = database.as_str();
    fixture.run(&["audit", "--database", database], 0)?;
    fixture.run(&["audit", "--database", database, "--fail-on", "medium"], 0)?;
    fixture.run(&["audit", "--database", database, "--fail-on", "low"], 1)?;
    // A package alone, and one without that component.
    fixture.run(&["audit", "basalt-node", "--database", database, "--fail-on", "low"], 1)?;
    fixture.run(&["audit", "zlib", "--database", database, "--fail-on", "low"], 0)?;
    let wrong = fixture
        .run(&["audit", "--database", database, "--fail-on", "dreadful"], 2)?
        .stderr;
    has_all(&wrong, &["dreadful", "is not low, medium, high or critical"])?;
    let unknown = fixture.run(&["audit", "nod", "--database", database], 1)?.stderr;
    has_all(
        &unknown,
        &["there is no image and no package `nod`", "did you mean `node`?"],
    )
}

pub fn archives_are_read(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let folder = fixture.directory.folder("archives")?;
    let path = folder.join("all.tar.zst");
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in records() {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, name, text.as_bytes())?;
    }
    let packed = zstd::encode_all(tar.into_inner()?.as_slice(), 3)?;
    fs_err::File::create(&path)?.write_all(&packed)?;
    let report = fixture.json(&["audit", "node", "--database", path.as_str()], 1)?;
    ensure(report["failing"] == 2, || format!("{report:#}"))
}

const ANSWERS: &str = r#"
[[statement]]
id = "GO-2026-90001"
component = "github.com/opencontainers/runc"
status = "not_affected"
justification = "vulnerable_code_not_in_execute_path"
words = "It was made up for a test, and is in no path."
date = 2026-11-21
"#;

pub fn answers_count(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let database = database(fixture, "answered")?;
    let fixed = "[[statement]]\nid = \"CVE-2026-90002\"\nstatus = \"fixed\"\nwords = \"The kernel was never broken.\"\ndate = 2026-11-21\n";
    let cli = fixture.checkout("answers", &[("vex/runc.toml", ANSWERS), ("vex/kernel.toml", fixed)])?;
    let ran = cli
        .run(&["audit", "node", "--database", database.as_str()], TIMEOUT)?
        .ended_with(0)?;
    has_all(
        &ran.stdout,
        &["not affected: It was made up for a test", "2 answered, 0 to act on"],
    )?;
    // What is not decided yet takes nothing away.
    let open = ANSWERS
        .replace("not_affected", "under_investigation")
        .replace("justification = \"vulnerable_code_not_in_execute_path\"\n", "");
    let cli = fixture.checkout("open", &[("vex/runc.toml", &open), ("vex/kernel.toml", fixed)])?;
    let ran = cli
        .run(&["audit", "node", "--database", database.as_str()], TIMEOUT)?
        .ended_with(1)?;
    has_all(&ran.stdout, &["under investigation: It was made up", "1 to act on"])
}

pub fn a_wrong_answer_is_told(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let database = database(fixture, "wrong")?;
    let text = ANSWERS.replace("vulnerable_code_not_in_execute_path", "trust_us");
    let cli = fixture.checkout("wrong-answer", &[("vex/runc.toml", &text)])?;
    let ran = cli
        .run(&["audit", "node", "--database", database.as_str()], TIMEOUT)?
        .ended_with(1)?;
    has_all(
        &ran.stderr,
        &[
            "distro/vex/runc.toml",
            "unknown variant `trust_us`",
            "vulnerable_code_not_present",
        ],
    )?;
    let cli = fixture.checkout("wrong-package", &[("vex/rnuc.toml", ANSWERS)])?;
    let ran = cli
        .run(&["audit", "node", "--database", database.as_str()], TIMEOUT)?
        .ended_with(1)?;
    has_all(&ran.stderr, &["rnuc.toml", "did you mean `runc.toml`?"])
}

pub fn hostile_databases_fail(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let whole = records()[4].1.clone();
    let (cut, _) = whole.split_at(whole.len() / 2);
    // One truncated record among good ones: the audit ends, and does not call anything safe.
    let folder = fixture.folder("hostile", &[("good.json", whole.as_str()), ("cut.json", cut)])?;
    let ran = fixture.run(&["audit", "node", "--database", folder.as_str()], 1)?;
    has_all(&ran.stderr, &["cut.json is no OSV record: EOF", "so this audit fails"])?;
    // Control characters do not reach the terminal.
    let escape = whole
        .replace("GO-2026-90005", "GO-2026-\\u001b[2J90005")
        .replace("0.0.1", "99999.0.0");
    let folder = fixture.folder("escape", &[("escape.json", escape.as_str())])?;
    let ran = fixture.run(&["audit", "node", "--database", folder.as_str()], 1)?;
    ensure(!ran.stdout.contains('\u{1b}'), || format!("{:?}", ran.stdout))?;
    let deep = format!(r#"{{"id": "X-1", "database_specific": {}"#, r#"{"a":"#.repeat(200_000));
    let folder = fixture.folder("deep", &[("deep.json", deep.as_str())])?;
    has_all(
        &fixture
            .run(&["audit", "node", "--database", folder.as_str()], 1)?
            .stderr,
        &["recursion limit"],
    )?;
    let folder = fixture.folder("nothing", &[("README", "no record")])?;
    has_all(
        &fixture
            .run(&["audit", "node", "--database", folder.as_str()], 1)?
            .stderr,
        &[
            "has no OSV record in it",
            "An audit against nothing would say that all is well",
        ],
    )?;
    let folder = fixture.folder("cut-archive", &[("all.zip", "PK\u{3}\u{4}and no more")])?;
    has_all(
        &fixture
            .run(&["audit", "node", "--database", folder.join("all.zip").as_str()], 1)?
            .stderr,
        &["cannot be read as a database of OSV records"],
    )
}

pub fn documents_are_written(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let database = database(fixture, "documents")?;
    let folder = fixture.directory.folder("written")?;
    let (vex, sarif) = (folder.join("node.openvex.json"), folder.join("node.sarif"));
    let cli = fixture.checkout("documents-checkout", &[("vex/runc.toml", ANSWERS)])?;
    let arguments = [
        "audit",
        "node",
        "--database",
        database.as_str(),
        "--vex",
        vex.as_str(),
        "--sarif",
        sarif.as_str(),
    ];
    cli.run(&arguments, TIMEOUT)?.ended_with(1)?;
    let vex: Value = serde_json::from_str(&fs_err::read_to_string(&vex)?)?;
    ensure(
        vex["@context"] == "https://openvex.dev/ns/v0.2.0"
            && vex["statements"][0]["status"] == "not_affected"
            && vex["statements"][0]["products"][0]["@id"]
                .as_str()
                .is_some_and(|purl| purl.starts_with("pkg:rpm/")),
        || format!("{vex:#}"),
    )?;
    let sarif: Value = serde_json::from_str(&fs_err::read_to_string(&sarif)?)?;
    let results = sarif["runs"][0]["results"]
        .as_array()
        .ok_or_else(|| format!("{sarif:#}"))?;
    let suppressed = results
        .iter()
        .filter(|result| result.get("suppressions").is_some())
        .count();
    ensure(results.len() == 4 && suppressed == 1, || format!("{sarif:#}"))
}

pub fn every_package_is_listed(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let text = fixture.text("distro/upstreams.toml")?;
    let upstreams =
        basalt_advisories::Upstreams::parse("distro/upstreams.toml", &text).map_err(basalt_test_environment::shown)?;
    let listed: std::collections::BTreeSet<&str> = upstreams.packages().collect();
    let mut missing = fixture.packages()?;
    missing.retain(|package| !listed.contains(package.as_str()));
    ensure(missing.is_empty(), || {
        format!("distro/upstreams.toml says nothing about {missing:?}")
    })
}
