//! Operations against a fake kubectl (kubectl.sh): which calls are made, in which order, and what becomes of the answers.

#![cfg(test)]

mod fixture;

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use basalt_access::files::NodePath;
use basalt_access::logs::{LogOptions, LogQuery};
use basalt_access::{AccessError, RestartOptions};
use basalt_process::Cancellation;
use fixture::{BASALT, DEBIAN, Fixture, node};
use serde_json::json;

fn query(options: LogOptions) -> LogQuery {
    LogQuery::new(&options, SystemTime::now()).expect("a query")
}

#[test]
fn logs_of_the_kubelet_need_no_pod() {
    let fixture = Fixture::new(BASALT);
    fixture.write("logs", "Nov 29 kubelet: ready\n");
    let text = fixture
        .access()
        .logs(&node(), &query(LogOptions::default()))
        .expect("logs");
    assert_eq!(text, "Nov 29 kubelet: ready\n");
    let calls = fixture.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert!(
        calls[0].contains("/proxy/logs/?query=basalt%2Dnode&query=containerd&query=kubelet"),
        "{calls:?}"
    );
}

#[test]
fn without_the_kubelet_the_journal_is_read_in_a_pod_of_the_nodes_own_image() {
    // Forbidden, and a kubelet that lists its folder of logs.
    for listing in [None, Some("<pre>\n<a href=\"pods/\">pods/</a>\n</pre>\n")] {
        let fixture = Fixture::new(BASALT);
        if let Some(listing) = listing {
            fixture.write("logs", listing);
        }
        let options = LogOptions {
            boot: Some(-1),
            ..LogOptions::default()
        };
        let text = fixture.access().logs(&node(), &query(options)).expect("logs");
        assert!(
            text.starts_with("journal of journalctl --utc") && text.contains("--boot=-1"),
            "{text}"
        );
        assert_eq!(
            fixture.created()["spec"]["containers"][0]["image"],
            "basalt.local/pause:1"
        );
        assert!(
            fixture
                .calls()
                .iter()
                .any(|call| call.contains("-- /usr/bin/nsenter -t 1 -m -- journalctl"))
        );
        fixture.assert_pod_deleted();
    }
}

#[test]
fn unknown_units_are_named() {
    let fixture = Fixture::new(BASALT);
    fixture.write(
        "logs",
        "\noptions present and query resolved to log files for [nix]\ntry without specifying options\n",
    );
    let options = LogOptions {
        units: vec!["nix".to_owned()],
        tail: Some(5),
        ..LogOptions::default()
    };
    let error = fixture.access().logs(&node(), &query(options)).expect_err("no unit");
    assert!(
        matches!(&error, AccessError::NoLog { units, .. } if units == &["nix"]),
        "{error:?}"
    );
}

#[test]
fn a_node_that_is_not_there_is_named() {
    let fixture = Fixture::new(BASALT);
    let error = fixture
        .access()
        .node(&"other".parse().expect("a name"))
        .expect_err("no node");
    assert!(
        matches!(&error, AccessError::NoNode { name } if name == "other"),
        "{error:?}"
    );
    assert_eq!(fixture.access().nodes().expect("nodes").len(), 1);
}

#[test]
fn files_are_listed_shown_and_copied() {
    let fixture = Fixture::new(DEBIAN);
    fixture.write("root/var/log/a/one", "1\n");
    fixture.write("root/var/log/two", "22\n");
    let path = |text: &str| NodePath::parse(text).expect("a path");
    let access = fixture.access();
    let files = access.list_files(&node(), &path("/var/log")).expect("listed");
    let names: Vec<_> = files.iter().map(|file| (file.name.as_str(), file.size)).collect();
    assert_eq!((names[0].0, names[1]), ("a", ("two", 3)));
    let mut shown = Vec::new();
    access
        .show_file(&node(), &path("/var/log/two"), &mut shown)
        .expect("shown");
    assert_eq!(shown, b"22\n");
    let into = fixture.path("copies/of/log");
    let copied = access.copy_files(&node(), &path("/var/log"), &into).expect("copied");
    assert_eq!(copied.bytes, 5);
    assert_eq!(fs_err::read_to_string(into.join("log/a/one")).expect("read"), "1\n");
    // Neither over what is there, nor half of it when something fails.
    assert!(matches!(
        access.copy_files(&node(), &path("/var/log"), &into),
        Err(AccessError::Exists { .. })
    ));
    let error = access
        .copy_files(&node(), &path("/none"), &fixture.path("copies/none"))
        .expect_err("none");
    assert!(format!("{error:?}").contains("no such file on the node"), "{error:?}");
    let left = fs_err::read_dir(fixture.path("copies")).expect("read").count();
    assert_eq!(left, 1);
    fixture.assert_pod_deleted();
}

#[test]
fn a_refused_pod_shows_the_servers_words() {
    let fixture = Fixture::new(BASALT);
    fixture.write("refuse-pods", "");
    let error = fixture.access().processes(&node()).expect_err("refused");
    assert!(format!("{error:?}").contains("violates PodSecurity"), "{error:?}");
    // The request may have been carried out although its answer was lost.
    fixture.assert_pod_deleted();
}

#[test]
fn an_image_that_cannot_be_pulled_is_named() {
    let fixture = Fixture::new(BASALT);
    let waiting = json!({ "waiting": { "reason": "ErrImagePull", "message": "not found" } });
    fixture.set_pod("Pending", &waiting);
    let error = fixture.access().processes(&node()).expect_err("no image");
    let AccessError::Image { image, reason, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (image.as_str(), reason.as_str()),
        ("registry.example/debug:1", "ErrImagePull: not found")
    );
    fixture.assert_pod_deleted();
}

#[test]
fn processes_of_this_machine_are_read() {
    let fixture = Fixture::new(BASALT);
    let processes = fixture.access().processes(&node()).expect("processes");
    let own = processes
        .iter()
        .find(|process| process.pid == std::process::id())
        .expect("this process");
    assert!(
        own.threads >= 2 && own.resident > 0 && own.command.contains("operations"),
        "{own:?}"
    );
}

#[test]
fn usage_needs_no_pod() {
    let fixture = Fixture::new(BASALT);
    assert!(fixture.access().usage(&node()).is_err());
    fixture.write(
        "summary",
        r#"{"node":{"nodeName":"node-1","cpu":{"usageNanoCores":500000000}},"pods":[]}"#,
    );
    assert_eq!(fixture.access().usage(&node()).expect("usage").node.cpus, Some(0.5));
    assert!(!fixture.calls().iter().any(|call| call.starts_with("create")));
}

#[test]
fn a_restart_is_orderly_and_waits_for_another_boot() {
    let fixture = Fixture::new(BASALT);
    fixture.write("next-boot.json", &fixture::node_object(BASALT, "boot-2").to_string());
    let options = RestartOptions {
        cordon: true,
        no_wait: false,
    };
    fixture.access().reboot(&node(), options).expect("back");
    let calls = fixture.calls();
    let place = |start: &str| {
        let found = calls.iter().position(|call| call.starts_with(start));
        found.unwrap_or_else(|| panic!("no {start} in {calls:?}"))
    };
    let order = [
        place("create"),
        place("cordon node-1"),
        place("run /usr/bin/systemctl reboot"),
        place("delete pod"),
        place("uncordon"),
    ];
    assert!(order.is_sorted(), "{calls:?}");
}

#[test]
fn a_reset_marks_first_and_is_for_nodes_of_this_distribution() {
    let fixture = Fixture::new(BASALT);
    fixture.write("next-boot.json", &fixture::node_object(BASALT, "boot-2").to_string());
    fixture
        .access()
        .reset(&node(), RestartOptions::default())
        .expect("back");
    let runs: Vec<_> = fixture
        .calls()
        .into_iter()
        .filter(|call| call.starts_with("run "))
        .collect();
    assert_eq!(
        runs,
        [
            "run /usr/bin/basalt-node request-reset",
            "run /usr/bin/systemctl reboot"
        ]
    );
    let other = Fixture::new(DEBIAN);
    let error = other
        .access()
        .reset(&node(), RestartOptions::default())
        .expect_err("not Basalt");
    assert!(matches!(error, AccessError::NotBasalt { .. }), "{error:?}");
    assert_eq!(other.calls().len(), 1);
}

#[test]
fn a_program_in_a_shell_pod_has_its_own_exit_code() {
    let fixture = Fixture::new(BASALT);
    let run = |program: &[&str]| {
        let program: Vec<_> = program.iter().map(|word| (*word).to_owned()).collect();
        fixture.access().shell(&node(), false, &program).expect("ran").code()
    };
    assert_eq!(run(&["true"]), Some(0));
    assert_eq!(run(&["sh", "-c", "exit 7"]), Some(7));
    fixture.assert_pod_deleted();
}

#[test]
fn an_interruption_deletes_the_pod() {
    let fixture = Fixture::new(BASALT);
    fixture.set_pod("Pending", &json!({ "waiting": { "reason": "ContainerCreating" } }));
    let cancellation = Cancellation::default();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(800));
            cancellation.request();
        });
        cancellation.scope(|| fixture.access().processes(&node()))
    });
    assert!(outcome.as_ref().is_err_and(AccessError::is_interrupt), "{outcome:?}");
    fixture.assert_pod_deleted();
}

#[test]
fn a_bundle_has_what_works_and_says_what_does_not() {
    let fixture = Fixture::new(BASALT);
    fixture.write("events", "event with password=geheim123\n");
    let target = fixture.path("bundle.tar.gz");
    let report = fixture
        .access()
        .bundle(&node(), &target, SystemTime::now())
        .expect("written");
    // There is no /host on the machine that runs this.
    let failed = report.failed().map(|part| part.file.as_str());
    let failed: Vec<_> = failed.filter(|file| *file != "node/release.txt").collect();
    assert_eq!(
        failed,
        [
            "cluster/lease.yaml",
            "cluster/usage.json",
            "node/iptables.txt",
            "node/ip6tables.txt"
        ]
    );
    let files = fixture::unpack(&target);
    let file = |name: &str| {
        files
            .get(&format!("basalt-bundle-node-1/{name}"))
            .unwrap_or_else(|| panic!("no {name}"))
    };
    assert!(file("node/journal/kubelet.txt").contains("got [redacted]"));
    assert_eq!(file("cluster/events.txt"), "event with password=[redacted]\n");
    // A command that fails after it has said something is kept.
    assert_eq!(
        file("node/status.json"),
        "{\"joined\":false,\"token\":\"[redacted]\"}\n"
    );
    assert!(file("node/kernel.txt").contains("/proc/meminfo:MemTotal:"));
    let manifest = file("MANIFEST");
    for words in [
        "node/iptables.txt",
        "exec: no such program",
        "1 bootstrap tokens taken out",
        "private keys",
        "not whole",
    ] {
        assert!(manifest.contains(words), "{words}\n{manifest}");
    }
    assert!(
        !files
            .values()
            .any(|text| text.contains("geheim123") || text.contains("abcdef.0123"))
    );
    let mode = fs_err::metadata(&target).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = fixture.access().bundle(&node(), &target, SystemTime::now());
    assert!(matches!(again, Err(AccessError::Exists { .. })), "{again:?}");
    fixture.assert_pod_deleted();
}

#[test]
fn a_bundle_of_a_node_that_starts_no_pod_has_the_clusters_view() {
    let fixture = Fixture::new(BASALT);
    fixture.write("refuse-pods", "");
    let target = fixture.path("bundle.tar.gz");
    let report = fixture
        .access()
        .bundle(&node(), &target, SystemTime::now())
        .expect("written");
    assert!(report.failed().any(|part| part.file == "node/status.json"));
    assert!(fixture::unpack(&target).contains_key("basalt-bundle-node-1/cluster/node.yaml"));
}
