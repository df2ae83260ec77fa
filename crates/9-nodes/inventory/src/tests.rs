//! Inventories of small machines.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

/// Machine with some files.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new(files: &[(&str, &str)]) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            machine.write(path, text);
        }
        machine
    }

    fn write(&self, path: &str, text: &str) {
        let place = self.0.path().join(path.trim_start_matches('/'));
        fs_err::create_dir_all(place.parent().unwrap()).unwrap();
        fs_err::write(place, text).unwrap();
    }

    fn inventory(&self) -> NodeInventory {
        NodeInventory::read(self.0.path())
    }
}

fn shown(entries: &[HostSetting]) -> Vec<String> {
    let entries = entries.iter();
    entries.map(|one| format!("{}: {}", one.file, one.entry)).collect()
}

#[test]
fn a_machine_without_anything_has_an_empty_inventory() {
    let inventory = Machine::new(&[]).inventory();
    let empty = NodeInventory {
        version: VERSION,
        ..NodeInventory::default()
    };
    assert_eq!(inventory, empty);
    assert_eq!(NodeInventory::from_json(&inventory.to_json()), Ok(empty));
    assert!(NodeInventory::from_json("{}").is_err());
    let newer = inventory.to_json().replace("\"version\": 1", "\"version\": 2");
    assert!(
        NodeInventory::from_json(&newer)
            .unwrap_err()
            .contains("its version is 2")
    );
}

#[test]
fn system_modules_and_settings() {
    let machine = Machine::new(&[
        (
            "/etc/os-release",
            "NAME=\"Ubuntu\"\nPRETTY_NAME=\"Ubuntu 24.04.3 LTS\"\n",
        ),
        ("/proc/sys/kernel/hostname", "worker-1\n"),
        ("/proc/sys/kernel/osrelease", "6.8.0-71-generic\n"),
        (
            "/proc/modules",
            "nf_tables 372736 0 - Live 0x0\noverlay 151552 9 - Live 0x0\n",
        ),
        ("/etc/modules-load.d/rbd.conf", "# ceph\nrbd\n\nceph foo=1\n"),
        ("/etc/modules", "dm_crypt\n"),
        (
            "/etc/sysctl.d/10-own.conf",
            "net.core.somaxconn=4096\n-vm.swappiness = 1\n",
        ),
        ("/etc/sysctl.d/20-of-package.conf", "kernel.printk = 4\n"),
        ("/run/sysctl.d/10-own.conf", "net.core.somaxconn = 1\n"),
        (
            "/etc/sysctl.conf",
            "; the last word\nvm/swappiness = 10\n#vm.max_map_count = 1\n",
        ),
        (
            "/var/lib/dpkg/info/procps.list",
            "/.\n/etc/sysctl.d/20-of-package.conf\n",
        ),
    ]);
    let inventory = machine.inventory();
    assert_eq!(
        (
            inventory.hostname.as_str(),
            inventory.os.as_str(),
            inventory.kernel.as_str()
        ),
        ("worker-1", "Ubuntu 24.04.3 LTS", "6.8.0-71-generic")
    );
    assert!(inventory.modules.contains("nf_tables") && inventory.modules.len() == 2);
    assert_eq!(
        shown(&inventory.wanted_modules),
        [
            "/etc/modules-load.d/rbd.conf: rbd",
            "/etc/modules-load.d/rbd.conf: ceph",
            "/etc/modules: dm_crypt"
        ]
    );
    // A name in /etc hides the same in /run; /etc/sysctl.conf counts last.
    assert_eq!(
        shown(&inventory.sysctls),
        [
            "/etc/sysctl.d/10-own.conf: net.core.somaxconn = 4096",
            "/etc/sysctl.conf: vm.swappiness = 10"
        ]
    );
}

#[test]
fn mounts_of_people_alone() {
    let mounts = "\
/dev/sda1 / ext4 rw 0 0
proc /proc proc rw 0 0
/dev/sda2 /boot/efi vfat rw 0 0
/dev/sdb1 /data xfs rw 0 0
nas:/export /mnt/my\\040files nfs4 rw 0 0
tmpfs /run/user/1000 tmpfs rw 0 0
/dev/sdc /var/lib/kubelet/pods/a/volumes/x ext4 rw 0 0
/dev/loop0 /snap/core/1 squashfs ro 0 0
";
    let swaps = "Filename Type Size Used Priority\n/swap.img file 4194300 0 -2\n";
    let inventory = Machine::new(&[("/proc/self/mounts", mounts), ("/proc/swaps", swaps)]).inventory();
    let found: Vec<String> = inventory
        .mounts
        .iter()
        .map(|mount| format!("{} {} {}", mount.source, mount.path, mount.kind))
        .collect();
    assert_eq!(found, ["/dev/sdb1 /data xfs", "nas:/export /mnt/my files nfs4"]);
    assert_eq!(inventory.swaps, ["/swap.img"]);
}

#[test]
fn proxies_mirrors_and_authorities_without_passwords() {
    let machine = Machine::new(&[
        ("/etc/environment", "PATH=\"/bin\"\nhttp_proxy=\"http://proxy:3128\"\n"),
        (
            "/etc/systemd/system/containerd.service.d/proxy.conf",
            "[Service]\nEnvironment=\"HTTPS_PROXY=http://me:hunter22@proxy:3128\" \"NO_PROXY=10.0.0.0/8,.svc\"\n",
        ),
        (
            "/etc/containerd/certs.d/docker.io/hosts.toml",
            "server = \"https://docker.io\"\n[host.\"https://user:hunter22@mirror.example\"]\n",
        ),
        (
            "/etc/containerd/config.toml",
            "[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"quay.io\"]\n  password = \"hunter22\"\n",
        ),
        (
            "/etc/docker/daemon.json",
            "{\"registry-mirrors\": [\"https://other.example\"]}",
        ),
        ("/usr/local/share/ca-certificates/corp/root.crt", "x"),
        ("/usr/local/share/ca-certificates/readme.txt", "x"),
        ("/etc/containerd/certs.d/docker.io/ca.crt", "x"),
    ]);
    let inventory = machine.inventory();
    assert_eq!(
        shown(&inventory.proxies),
        [
            "/etc/environment: http_proxy=http://proxy:3128",
            "/etc/systemd/system/containerd.service.d/proxy.conf: HTTPS_PROXY=http://…@proxy:3128",
            "/etc/systemd/system/containerd.service.d/proxy.conf: NO_PROXY=10.0.0.0/8,.svc",
        ]
    );
    assert_eq!(
        shown(&inventory.mirrors),
        [
            "/etc/containerd/certs.d/docker.io/hosts.toml: docker.io by https://…@mirror.example",
            "/etc/containerd/config.toml: quay.io by mirrors of this file",
            "/etc/docker/daemon.json: docker.io by https://other.example",
        ]
    );
    assert_eq!(
        inventory.certificates,
        [
            "/usr/local/share/ca-certificates/corp/root.crt",
            "/etc/containerd/certs.d/docker.io/ca.crt"
        ]
    );
    assert!(!inventory.to_json().contains("hunter22"));
}

#[test]
fn what_runs_beside_kubernetes() {
    let machine = Machine::new(&[
        ("/etc/kubernetes/manifests/haproxy.yaml", "x"),
        ("/etc/kubernetes/manifests/.swp", "x"),
        (
            "/etc/crontab",
            "SHELL=/bin/sh\n17 * * * * root cd / && run-parts /etc/cron.hourly\n5 4 * * 0 root /opt/scrub --token hunter22\n",
        ),
        ("/etc/cron.d/own", "x"),
        ("/etc/cron.d/.placeholder", "x"),
        ("/etc/cron.daily/logrotate", "x"),
        ("/var/lib/dpkg/info/logrotate.list", "/etc/cron.daily/logrotate\n"),
        (
            "/var/spool/cron/crontabs/jane",
            "# m h\n@daily /home/jane/backup.sh now\n",
        ),
        ("/etc/systemd/system/backup.timer", "x"),
        ("/etc/systemd/system/agent.service", "x"),
        ("/etc/systemd/system/kubelet.service", "x"),
        ("/usr/lib/systemd/system/ssh.service", "x"),
    ]);
    let alias = machine.0.path().join("etc/systemd/system/sshd.service");
    symlink("/usr/lib/systemd/system/ssh.service", alias).unwrap();
    let inventory = machine.inventory();
    assert_eq!(inventory.static_pods, ["/etc/kubernetes/manifests/haproxy.yaml"]);
    assert_eq!(
        shown(&inventory.schedules),
        [
            "/etc/crontab: 5 4 * * 0 root /opt/scrub",
            "/etc/cron.d/own: job own",
            "/var/spool/cron/crontabs/jane: @daily /home/jane/backup.sh",
            "/etc/systemd/system/backup.timer: timer backup.timer",
        ]
    );
    assert_eq!(inventory.services, ["/etc/systemd/system/agent.service"]);
    assert!(!inventory.to_json().contains("hunter22"));
}

#[test]
fn what_cannot_be_read_is_named() {
    let machine = Machine::new(&[
        // A folder where a file belongs is no absence.
        ("/etc/sysctl.conf/x", ""),
        ("/var/spool/cron/crontabs/jane", "@daily x\n"),
    ]);
    let folder = machine.0.path().join("var/spool/cron/crontabs");
    fs_err::set_permissions(&folder, std::fs::Permissions::from_mode(0o000)).unwrap();
    let inventory = machine.inventory();
    fs_err::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    let unread: Vec<&str> = inventory.unread.iter().map(|one| one.path.as_str()).collect();
    assert!(unread.contains(&"/etc/sysctl.conf"), "{unread:?}");
    // Root may read all.
    assert_eq!(
        unread.contains(&"/var/spool/cron/crontabs"),
        inventory.schedules.is_empty(),
        "{unread:?}"
    );
}
