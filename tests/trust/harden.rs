//! `basalt harden` on the real images.

use basalt_test_environment::{Failed, TestDirectory, ensure, has_all};
use serde_json::Value;

use crate::fixture::{Fixture, TIMEOUT};

fn group<'r>(report: &'r Value, image: usize, check: &str) -> Result<&'r Value, Failed> {
    let groups = report["images"][image]["groups"]
        .as_array()
        .ok_or("a report has groups")?;
    let found = groups.iter().find(|group| group["check"] == check);
    found.ok_or_else(|| format!("nothing was looked at for `{check}`: {report:#}").into())
}

fn count(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| value.as_array().map_or(0, |list| list.len() as u64))
}

pub fn the_node_is_defended(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let report = fixture.json(&["harden", "node"], 0)?;
    ensure(report["wrong"] == 0, || format!("{report:#}"))?;
    // That nothing is wrong means something only where something was looked at.
    for (check, at_least) in [
        ("pie", 40),
        ("relro", 70),
        ("stack-protector", 70),
        ("fortify", 80),
        ("stack", 85),
        ("text-relocations", 85),
        ("search-path", 85),
        ("linkage", 70),
        ("maker", 90),
        ("setuid", 800),
        ("world-writable", 800),
        ("owner", 800),
        ("kernel-config", 65),
        ("kernel-argument", 4),
        ("sysctl", 12),
    ] {
        let fine = count(&group(&report, 0, check)?["fine"]);
        ensure(fine >= at_least, || format!("{check}: only {fine} are fine"))?;
    }
    ensure(count(&group(&report, 0, "setuid")?["excepted"]) == 0, || {
        "there are set-user-ID programs".to_owned()
    })?;
    for group in report["images"][0]["groups"].as_array().into_iter().flatten() {
        for excepted in group["excepted"].as_array().into_iter().flatten() {
            let reason = excepted["reason"].as_str().unwrap_or_default();
            ensure(reason.len() > 20, || format!("no reason: {excepted:#}"))?;
        }
    }
    let shown = fixture.run(&["harden"], 0)?.stdout;
    has_all(
        &shown,
        &[
            "NODE",
            "FINE",
            "EXCEPTED",
            "WRONG",
            "kernel-config",
            "are marked for branch tracking",
        ],
    )?;
    let reasons = fixture.run(&["harden", "--all", "node"], 0)?.stdout;
    has_all(
        &reasons,
        &[
            "excepted  pie: /usr/bin/kubelet",
            "because: Go without C is linked statically",
        ],
    )
}

pub fn other_images_are_looked_at(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let report = fixture.json(&["harden", "kube-proxy", "flannel", "coredns", "control-plane"], 0)?;
    ensure(count(&report["images"]) == 4, || format!("{report:#}"))?;
    // There is no kernel in a container.
    ensure(group(&report, 0, "kernel-config").is_err(), || format!("{report:#}"))?;
    let debug = fixture.json(&["harden", "node-debug"], 0)?;
    ensure(debug["wrong"] == 0, || format!("{debug:#}"))
}

pub fn an_exception_without_need_is_told(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let more = "\n[[exception]]\nchecks = [\"setuid\"]\nsubjects = [\"/usr/bin/sudo\"]\nreason = \"Somebody may want to be root.\"\n";
    let text = fixture.text("distro/hardening.toml")? + more;
    let cli = fixture.checkout("unused", &[("hardening.toml", &text)])?;
    let ran = cli.run(&["harden", "node"], TIMEOUT)?.ended_with(1)?;
    has_all(
        &ran.stderr,
        &[
            "nothing in the image node needs this exception for `/usr/bin/sudo`",
            "take this out",
        ],
    )
}

pub fn what_lacks_its_exception_fails(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let text = fixture
        .text("distro/hardening.toml")?
        .replacen("language = \"go\"", "language = \"cgo\"", 1);
    let cli = fixture.checkout("lacking", &[("hardening.toml", &text)])?;
    let ran = cli.run(&["harden", "node"], TIMEOUT)?.ended_with(1)?;
    has_all(
        &ran.stdout,
        &["wrong     pie: /usr/bin/kubelet (of kubelet) is always at the same address"],
    )
}
