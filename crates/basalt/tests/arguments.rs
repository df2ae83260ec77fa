//! Arguments of verbs: names and paths that do not exist cost nothing, ranges, answers in JSON, help without a cluster.

#![cfg(test)]

mod fixture;

use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use fixture::Fixture;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Mirror that refuses connections: nobody listens on the port of tcpmux.
const DEAD_MIRROR: &str = "http://127.0.0.1:1/debian";
/// Spec of the one package of the checkout.
const SPEC: &str = "Name: zlib\nVersion: 1\n%package devel\n";

impl Fixture {
    /// A checkout with a package and two images, an empty store, and no network.
    fn with_content() -> Self {
        let fixture = Self::new(&["checkout/distro/packages/zlib", "checkout/distro/images"]);
        let content = fixture.path().join("checkout/distro");
        let source = "[[file]]\nfile = \"zlib.tar.gz\"\nurl = \"http://127.0.0.1:1/zlib.tar.gz\"\n";
        for (name, text) in [
            ("packages/zlib/zlib.spec", SPEC),
            ("packages/zlib/sources.toml", source),
            ("images/node.yaml", "name: node\nkind: disk\npackages: [zlib]\n"),
            (
                "images/web.yaml",
                "name: web\nkind: container\npackages: [zlib]\nentrypoint: [/usr/bin/web]\n",
            ),
            ("upstreams.toml", ""),
        ] {
            fs_err::write(content.join(name), text).expect("written");
        }
        fixture
    }

    /// The command with nothing in its environment but the folders of the test case.
    fn basalt(&self, arguments: &[&str]) -> Command {
        let mut command = basalt_process::Command::new(env!("CARGO_BIN_EXE_basalt")).to_std();
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path())
            .env("BASALT_ROOT", self.path().join("checkout"))
            .env("BASALT_STORE", self.path().join("store"))
            .env("BASALT_DEBIAN_MIRROR", DEAD_MIRROR)
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.basalt(arguments).output().expect("started");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (status.code(), text(stdout), text(stderr))
    }

    /// Fails unless a call ends with an error of these words, and nothing was fetched or made.
    fn refuses(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let (ended, _, stderr) = self.run(arguments);
        assert_eq!(ended, Some(code), "{arguments:?}: {stderr}");
        for word in words {
            assert!(stderr.contains(word), "{arguments:?}: `{word}` is not in: {stderr}");
        }
        for folder in ["objects", "trees", "actions"] {
            let entries = self.path().join("store").join(folder).read_dir_utf8();
            let count = entries.map_or(0, |entries| entries.count());
            assert_eq!(count, 0, "{arguments:?}: {folder}");
        }
    }
}

#[test]
fn names_that_do_not_exist_are_refused_before_anything_is_fetched() {
    let fixture = Fixture::with_content();
    let package = ["there is no package `zlibb`", "did you mean `zlib`?"];
    let image = ["there is no image `nod`", "did you mean `node`?"];
    let either = ["there is no image and no package `nod`", "did you mean `node`?"];
    let cases: &[(i32, &[&str], [&str; 2])] = &[
        (1, &["build", "zlib", "nod"], either),
        (1, &["build", "--explain", "zlibb"], package),
        (1, &["shell", "zlibb"], package),
        (1, &["sources", "fetch", "zlibb"], package),
        (1, &["sources", "check", "zlibb"], package),
        (1, &["sources", "lock", "zlibb"], package),
        (1, &["verify", "nod"], either),
        (1, &["verify", "node", "--without", "zlibb"], package),
        (1, &["provenance", "nod"], either),
        (1, &["bom", "nod"], either),
        (1, &["licenses", "nod"], either),
        (1, &["audit", "nod", "-d", "/nonexistent"], either),
        (1, &["cache", "push", "nod"], either),
        (1, &["cache", "pull", "nod"], either),
        (1, &["repo", "publish", "nod"], either),
        (1, &["run", "nod"], image),
        (1, &["up", "--image", "nod"], image),
        (1, &["why", "/usr/bin/x", "--image", "nod"], image),
        (1, &["harden", "node", "nod"], image),
        (1, &["addons", "--image", "nod"], image),
        (2, &["preflight", "checkout/distro/images", "--image", "nod"], image),
    ];
    for (code, arguments, words) in cases {
        fixture.refuses(arguments, *code, words);
    }
}

#[test]
fn paths_and_images_that_cannot_be_used_are_refused_before_anything_is_fetched() {
    let fixture = Fixture::with_content();
    let cases: &[(&[&str], &[&str])] = &[
        (&["provenance", "/no.rpm"], &["/no.rpm", "No such file"]),
        (&["audit", "-d", "/nonexistent"], &["/nonexistent"]),
        (&["run", "web"], &["`web` is not a disk"]),
        (&["up", "--image", "web"], &["`web` is not a disk"]),
        (
            &["up", "--image", "missing.qcow2"],
            &["missing.qcow2", "cannot be read"],
        ),
        (&["run", "node", "--config", "/nonexistent"], &["/nonexistent"]),
    ];
    for (arguments, words) in cases {
        fixture.refuses(arguments, 1, words);
    }
}

#[test]
fn names_that_exist_pass() {
    let fixture = Fixture::with_content();
    // The next thing that is needed is the lock of the SDK, which the checkout does not have.
    for arguments in [
        &["build", "zlib"][..],
        &["build", "zlib-devel"],
        &["build", "node"],
        &["shell", "zlib-devel"],
    ] {
        fixture.refuses(arguments, 1, &["sdk.lock"]);
    }
}

#[test]
fn ranges_of_machines_are_the_same_for_all_verbs() {
    let fixture = Fixture::with_content();
    for verb in ["run", "up"] {
        for (option, value) in [("--cpus", "0"), ("--cpus", "65"), ("--memory", "1")] {
            fixture.refuses(&[verb, option, value], 2, &[value, option]);
        }
    }
}

#[test]
fn results_are_json_where_that_is_asked_for() {
    let fixture = Fixture::with_content();
    let json = |arguments: &[&str]| -> Value {
        let (code, stdout, stderr) = fixture.run(&[&["--json"], arguments].concat());
        assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {stdout}"))
    };
    assert_eq!(json(&["store", "path"])["path"], fixture.path().join("store").as_str());
    assert_eq!(json(&["preflight", "--rbac"])["kind"], "ClusterRole");
    fixture.refuses(
        &["repo", "keys", "export"],
        1,
        &["no trusted key to export", "keys new"],
    );
    json(&["repo", "keys", "new", "--user", "test"]);
    let keys = json(&["repo", "keys", "export"]);
    let text = keys[0]["armored"].as_str().expect("a key");
    assert!(text.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK"), "{text}");
}

#[test]
fn kubectl_without_a_cluster_has_our_help() {
    let fixture = Fixture::with_content();
    for option in ["--help", "-h"] {
        let (code, stdout, stderr) = fixture.run(&["kubectl", option]);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stdout.contains("Usage: basalt kubectl"), "{stdout}");
    }
    fixture.refuses(&["kubectl", "get", "pods"], 1, &["no cluster is running"]);
}

#[test]
fn a_cache_that_is_not_there_is_not_made_by_reading() {
    let fixture = Fixture::with_content();
    let missing = fixture.path().join("mistyped");
    for verb in [&["cache", "status"][..], &["cache", "gc", "--days", "1"]] {
        let (code, stdout, stderr) = fixture.run(&[&["--cache", missing.as_str()], verb].concat());
        assert_eq!(code, Some(1), "{verb:?}: {stdout}{stderr}");
        assert!(
            format!("{stdout}{stderr}").contains(missing.as_str()),
            "{verb:?}: {stdout}{stderr}"
        );
        assert!(!missing.exists(), "{verb:?} made it");
    }
    let there = fixture.path().join("there");
    fs_err::create_dir(&there).expect("made");
    let (code, stdout, _) = fixture.run(&["--cache", there.as_str(), "cache", "status"]);
    assert_eq!(code, Some(0), "{stdout}");
    assert!(stdout.contains("0 results"), "{stdout}");
}

#[test]
fn preflight_names_all_that_it_can_look_at() {
    let fixture = Fixture::with_content();
    fixture.refuses(&["preflight"], 2, &["PATHS", "--kubeconfig", "--rbac"]);
    fixture.refuses(&["preflight", "a.yaml", "--rbac"], 2, &["cannot be used with"]);
    let both = ["preflight", "a.yaml", "--facts", "f.json", "--image", "node"];
    fixture.refuses(&both, 2, &["cannot be used with"]);
    // A NodeConfig goes with facts: the manifests are what is missing.
    let with_config = ["preflight", "/no.yaml", "--facts", "f.json", "--config", "node.yaml"];
    fixture.refuses(&with_config, 2, &["cannot read `/no.yaml`"]);
    fixture.refuses(
        &["preflight", "--context", "x", "a.yaml"],
        2,
        &["--context", "cannot be used with"],
    );
    fixture.refuses(&["preflight", "--context", "x"], 2, &["--kubeconfig"]);
    fixture.refuses(&["preflight", "node", "a.json", "--here"], 2, &["cannot be used with"]);
    fixture.refuses(&["preflight", "node", "/nonexistent.json"], 2, &["/nonexistent.json"]);
    fixture.refuses(&["preflight", "node", "--root", "/nonexistent"], 2, &["/nonexistent"]);
}

/// Waits until a process handles SIGTERM by itself (`SigCgt` in proc_pid_status(5)).
fn await_handler(child: &Child) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let handled = || {
        let status = fs_err::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & (1 << (Signal::TERM.as_raw() - 1)) != 0)
    };
    while !handled() {
        assert!(Instant::now() < deadline, "it does not handle SIGTERM");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_interrupted_preflight_ends_with_130() {
    let fixture = Fixture::with_content();
    let mut child = fixture
        .basalt(&["preflight", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    await_handler(&child);
    kill_process(Pid::from_child(&child), Signal::TERM).expect("sent");
    // The end of its input lets it look at the signal.
    let mut input = child.stdin.take().expect("a pipe");
    input
        .write_all(b"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n")
        .expect("written");
    drop(input);
    let output = child.wait_with_output().expect("ended");
    assert_eq!(
        output.status.code(),
        Some(130),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
