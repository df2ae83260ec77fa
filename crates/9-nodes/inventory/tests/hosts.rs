//! Inventories of whole hosts: of distributions, of an empty tree, and of trees of nonsense.

#![cfg(test)]

mod tree;

use std::path::Path;

use basalt_inventory::{HostInventory, InventoryError, UnobservedReason, VERSION, json_schema, read};
use proptest::prelude::*;

use tree::unpacked;

/// Words of the fixtures that no inventory may have.
const SECRETS: [&str; 8] = [
    "hunter2",
    "s3cr3t",
    "abcdef.0123456789abcdef",
    "AAAAC3Nza",
    "c2VjcmV0",
    "ops@example",
    "puller",
    "PRIVATE KEY",
];

/// Text of a host of the folder `hosts`.
fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/hosts/{name}.txt"));
    fs_err::read_to_string(path).expect("a host")
}

fn inventory(name: &str) -> HostInventory {
    let text = text(name);
    let inventory = read(unpacked(&text).path());
    let json = inventory.to_json();
    for secret in SECRETS {
        assert!(!json.contains(secret), "{name} has {secret}");
    }
    assert_eq!(HostInventory::parse(&json).expect("an inventory"), inventory);
    inventory
}

/// JSON without the version of the program.
fn golden(inventory: &HostInventory) -> String {
    let mut inventory = inventory.clone();
    inventory.program = "basalt-inventory".to_owned();
    inventory.to_json()
}

#[test]
fn ubuntu_with_kubeadm() {
    insta::assert_snapshot!(golden(&inventory("ubuntu-kubeadm")));
}

#[test]
fn debian_with_ifupdown() {
    insta::assert_snapshot!(golden(&inventory("debian")));
}

#[test]
fn gpus_behind_a_proxy() {
    let inventory = inventory("gpu-proxy");
    assert!(text("gpu-proxy").contains("hunter2"), "the fixture has secrets");
    insta::assert_snapshot!(golden(&inventory));
}

#[test]
fn an_empty_tree() {
    let root = tempfile::tempdir().expect("a folder");
    let inventory = read(root.path());
    let missed = inventory
        .unobserved
        .iter()
        .map(|missed| (missed.path.as_str(), missed.reason));
    assert_eq!(
        missed.collect::<Vec<_>>(),
        [("/proc", UnobservedReason::Empty), ("/sys", UnobservedReason::Empty)]
    );
    insta::assert_snapshot!(golden(&inventory));
    assert_eq!(read(Path::new("/nonexistent")).kernel.release, "");
}

/// Paths of a real host, with something else behind each.
fn nonsense() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let at = |path: &str| {
        let path = root.path().join(path);
        fs_err::create_dir_all(path.parent().expect("a folder")).expect("made");
        path
    };
    let write = |path: &str, bytes: &[u8]| fs_err::write(at(path), bytes).expect("written");
    write("etc/os-release", &[0xff, 0, 1, 2]);
    write("etc/fstab", &b"x ".repeat(1 << 20));
    write(
        "etc/hosts",
        &b"\x1b]0;title\x07 10.0.0.1 a\n10.0.0.1 \x1b[31mred\n".repeat(3),
    );
    write("etc/containerd/config.toml", b"plugins = [[[\n");
    write("etc/docker/daemon.json", b"{\"a\": ");
    write("etc/netplan/a.yaml", b"network: {ethernets: [*a]}\n\t- x");
    write("etc/netplan/b.yaml", b"network: 5\n");
    write("var/lib/kubelet/config.yaml", b"a: &a [1]\nb: *c\n");
    write("etc/kubernetes/manifests/deep.yaml", "[".repeat(5000).as_bytes());
    write("etc/kubernetes/manifests/list.yaml", b"- 1\n");
    write("etc/cni/net.d/a.conf", b"no JSON");
    write(
        "usr/local/share/ca-certificates/a.crt",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    write(
        "usr/local/share/ca-certificates/b.crt",
        b"-----BEGIN CERTIFICATE-----\n",
    );
    write("etc/crontab", b"* * * * *\n@\n= = =\n\xff\xfe a b c d e f\n");
    write("etc/passwd", b":::::::\na:b:c:d:e:f:g\nroot:x:0:0::relative:/bin/sh\n");
    write(
        "etc/sysctl.d/a.conf",
        b"= =\na..b=1\n/=/\nkernel.=\nnet.ipv4.tcp_fastopen_key = hunter2\n",
    );
    write("proc/modules", b"\n(x)\na\n");
    write("proc/1/mounts", b"a\nb c\nd /e\\040f ext4\n");
    write("etc/apt/sources.list", b"deb\ndeb ://\nURIs:\n");
    for folder in ["etc/modules-load.d", "etc/cron.d", "var/lib/dpkg/status"] {
        fs_err::create_dir_all(at(&format!("{folder}/x.conf"))).expect("made");
    }
    for (path, target) in [
        ("etc/resolv.conf", "resolv.conf"),
        ("etc/localtime", "/usr/share/zoneinfo/../../../etc/shadow"),
        ("etc/hostname", "../../../../../../etc/hostname"),
        ("etc/environment", "/proc/self/environ"),
        ("var/spool/cron/crontabs", "/etc/crontab"),
        ("usr/local/share/ca-certificates/loop", "."),
    ] {
        fs_err::os::unix::fs::symlink(target, at(path)).expect("linked");
    }
    for pipe in ["etc/exports", "etc/crypttab", "var/lib/kubelet/kubeadm-flags.env"] {
        rustix::fs::mkfifoat(rustix::fs::CWD, at(pipe), rustix::fs::Mode::RUSR).expect("a pipe");
    }
    for number in 0..5000 {
        write(&format!("etc/udev/rules.d/{number}.rules"), b"");
    }
    root
}

#[test]
fn nonsense_is_read_within_bounds() {
    let root = nonsense();
    let inventory = read(root.path());
    let json = inventory.to_json();
    assert!(json.len() < 2 << 20, "{} bytes", json.len());
    assert!(
        !json.contains('\u{1b}') && !json.contains("\\u001b"),
        "an escape sequence is kept"
    );
    assert!(!json.contains("hunter2"));
    let missed = |path: &str| {
        inventory
            .unobserved
            .iter()
            .find(|missed| missed.path == path)
            .map(|missed| missed.reason)
    };
    for (path, reason) in [
        ("/etc/os-release", UnobservedReason::NoText),
        ("/etc/fstab", UnobservedReason::TooLarge),
        ("/etc/containerd/config.toml", UnobservedReason::Malformed),
        ("/etc/docker/daemon.json", UnobservedReason::Malformed),
        ("/etc/netplan/a.yaml", UnobservedReason::Malformed),
        ("/etc/netplan/b.yaml", UnobservedReason::Malformed),
        ("/var/lib/kubelet/config.yaml", UnobservedReason::Malformed),
        ("/etc/kubernetes/manifests/deep.yaml", UnobservedReason::Malformed),
        ("/etc/cni/net.d/a.conf", UnobservedReason::Malformed),
        ("/usr/local/share/ca-certificates/a.crt", UnobservedReason::Malformed),
        ("/usr/local/share/ca-certificates/b.crt", UnobservedReason::Malformed),
        ("/var/lib/dpkg/status", UnobservedReason::OtherKind),
        ("/etc/resolv.conf", UnobservedReason::LinkLoop),
        ("/etc/exports", UnobservedReason::OtherKind),
        ("/etc/crypttab", UnobservedReason::OtherKind),
        ("/var/lib/kubelet/kubeadm-flags.env", UnobservedReason::OtherKind),
        ("/var/spool/cron/crontabs", UnobservedReason::OtherKind),
        ("/etc/udev/rules.d", UnobservedReason::TooMany),
    ] {
        assert_eq!(missed(path), Some(reason), "{path}");
    }
}

/// A file of less than a megabyte may have many lines.
#[test]
fn lists_have_bounds() {
    let root = tempfile::tempdir().expect("a folder");
    let write = |path: &str, line: &dyn Fn(usize) -> String| {
        let path = root.path().join(path);
        fs_err::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs_err::write(path, (0..5000).map(line).collect::<String>()).expect("written");
    };
    write("etc/environment", &|_| "http_proxy=http://p:3128\n".to_owned());
    write("etc/passwd", &|number| {
        format!("u{number}:x:{}:1::/home/u:/bin/sh\n", 1000 + number)
    });
    write("etc/network/interfaces", &|number| {
        format!("iface a.{number} inet manual\nbond-mode 1\n")
    });
    write("etc/default/kubelet", &|number| match number {
        0 => "KUBELET_EXTRA_ARGS=--v=1".to_owned(),
        _ => " --v=1".to_owned(),
    });
    write("etc/sysctl.d/a.conf", &|number| format!("net.a{number:04}=1\n"));
    write("etc/security/limits.conf", &|_| "* soft nofile 1\n".to_owned());
    let inventory = read(root.path());
    let network = &inventory.network;
    for (path, length) in [
        ("/etc/sysctl.d/a.conf", inventory.sysctls.len()),
        ("/etc/security/limits.conf", inventory.limits.len()),
        ("/etc/environment", inventory.proxies.len()),
        ("/etc/passwd", inventory.accounts.len()),
        ("/etc/network/interfaces", network.interfaces.len()),
        ("/etc/network/interfaces", network.bonds.len()),
        ("/etc/network/interfaces", network.vlans.len()),
        ("/etc/default/kubelet", inventory.kubelet.flags.len()),
    ] {
        assert_eq!(length, 4096, "{path}");
        let is_told = |missed: &&basalt_inventory::Unobserved| missed.path == path;
        let missed = inventory.unobserved.iter().find(is_told);
        assert_eq!(
            missed.map(|missed| missed.reason),
            Some(UnobservedReason::TooMany),
            "{path}"
        );
    }
}

#[test]
fn other_documents_are_refused() {
    for text in [
        "",
        "[]",
        "{}",
        "{\"version\": 1}",
        "{\"version\": 1, \"unobserved\": 5}",
    ] {
        assert!(
            matches!(HostInventory::parse(text), Err(InventoryError::Format { .. })),
            "{text}"
        );
    }
    let later = format!("{{\"version\": {}, \"unobserved\": []}}", VERSION + 1);
    assert!(matches!(
        HostInventory::parse(&later),
        Err(InventoryError::Version { found: 2 })
    ));
    let more = "{\"version\": 1, \"unobserved\": [], \"later\": {\"field\": 1}}";
    assert_eq!(HostInventory::parse(more).expect("an inventory").version, 1);
}

/// Texts of a written inventory reach a terminal and a NodeConfig as those of a host do.
#[test]
fn written_inventories_are_cleaned() {
    let text = serde_json::json!({
        "version": 1,
        "unobserved": [{"path": "/etc/\u{1b}]0;x\u{7}", "reason": "needs-root"}],
        "system": {"hostname": "w1\nregistries: [{host: docker.io}]\n#"},
        "packages": {"manual": {"a\u{2028}b": "1\r\n2"}},
        "registries": [{"host": "u:hunter2@r", "file": "/etc/x\n  will-not-run    fake finding"}],
    });
    let inventory = HostInventory::parse(&text.to_string()).expect("an inventory");
    assert_eq!(inventory.system.hostname, "w1\\nregistries: [{host: docker.io}]\\n#");
    assert_eq!(inventory.registries[0].host, "r");
    let shown = format!("{inventory:?}");
    for part in ["\\u{1b}", "\\u{7}", "\\u{2028}", "hunter2"] {
        assert!(!shown.contains(part), "{part}");
    }
    assert_eq!(
        HostInventory::parse(&inventory.to_json()).expect("an inventory"),
        inventory
    );
}

/// A line break is a letter of a name as others are.
#[test]
fn names_with_line_breaks_are_on_one_line() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root
        .path()
        .join("etc/containerd/certs.d/x.example\nsysctls:\n  vm.swappiness: 1\n#");
    fs_err::create_dir_all(&folder).expect("made");
    fs_err::write(folder.join("hosts.toml"), "[host.'https://m.example']\n").expect("written");
    let jobs = root.path().join("etc/cron.daily");
    fs_err::create_dir_all(&jobs).expect("made");
    fs_err::write(jobs.join("a\n  will-not-run    fake finding"), "").expect("written");
    let inventory = read(root.path());
    assert_eq!(
        inventory.registries[0].host,
        "x.example\\nsysctls:\\n  vm.swappiness: 1\\n#"
    );
    assert_eq!(
        inventory.cron[0].file,
        "/etc/cron.daily/a\\n  will-not-run    fake finding"
    );
}

/// A cut value would be taken for the whole one.
#[test]
fn values_are_whole() {
    let root = tempfile::tempdir().expect("a folder");
    let labels: Vec<String> = (0..40)
        .map(|number| format!("example.com/label-{number}=value"))
        .collect();
    let text = format!("KUBELET_EXTRA_ARGS=--node-labels={}\n", labels.join(","));
    fs_err::create_dir_all(root.path().join("etc/default")).expect("made");
    fs_err::write(root.path().join("etc/default/kubelet"), text).expect("written");
    assert_eq!(read(root.path()).kubelet.flags[0].value, labels.join(","));
}

#[test]
fn the_published_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../schemas/host-inventory.json");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs_err::write(&path, json_schema()).expect("written");
    }
    let published = fs_err::read_to_string(&path).unwrap_or_default();
    assert!(
        published == json_schema(),
        "{} is out of date: run the tests with UPDATE_SCHEMAS=1",
        path.display()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_read(text in "\\PC{0,200}(\n\\PC{0,80}){0,6}", path in prop::sample::select(vec![
        "etc/crontab", "etc/fstab", "etc/hosts", "etc/passwd", "etc/network/interfaces", "etc/netplan/a.yaml",
        "etc/containerd/config.toml", "etc/docker/daemon.json", "etc/sysctl.conf", "proc/cmdline", "proc/mdstat",
        "var/lib/dpkg/status", "var/lib/kubelet/config.yaml", "var/lib/kubelet/kubeadm-flags.env",
    ])) {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join(path);
        fs_err::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs_err::write(path, text).expect("written");
        let inventory = read(root.path());
        prop_assert_eq!(HostInventory::parse(&inventory.to_json()).expect("an inventory"), inventory);
    }
}
