//! File systems, swap, arrays and volumes of a host.

use std::collections::BTreeMap;

use crate::host_files::{HostFiles, PathKind};
use crate::redaction::{HIDDEN, address, is_amount, lists};
use crate::syntax::lines;
use crate::{HostFilesystem, HostStorage, HostSwap};

/// File systems that the kernel, systemd and containers make; not those on disks or servers.
const OTHERS: [&str; 32] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.lxcfs",
    "fuse.gvfsd-fuse",
    "fuse.portal",
    "fuse.snapfuse",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "none",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "nfsd",
];
/// Folders of containers, whose mounts come and go with pods.
const OF_CONTAINERS: [&str; 7] = [
    "/run/containerd/",
    "/var/lib/kubelet/pods/",
    "/var/lib/kubelet/plugins/",
    "/var/lib/docker/",
    "/var/lib/containers/",
    "/run/docker/",
    "/var/snap/",
];

/// Options of mounts without a value.
const SWITCHES: &str = "_netdev ac acl allow_other async attr2 auto autodefrag barrier bg bind bsdgroups comment \
    cto default_permissions defaults degraded delalloc dev dirsync discard exec fg filestreams \
    flushoncommit forceuid forcegid fsc group grpid grpquota gquota guest hard inode32 inode64 intr journal_checksum \
    largeio lazytime lock mapposix mfsymlinks multiuser nbrl noac noacl noalign noatime noauto noattr2 nobarrier \
    nobootwait nobrl nocto nodelalloc nodev nodiratime nodiscard noexec nofail nogrpid nointr nolock nomapposix \
    nomblk_io_submit noperm noposix noquota noresvport noserverino nosharecache nosharesock nosoft nossd nosuid nounix \
    nouser nouser_xattr noxattr owner posix posixacl pquota prealloc private prjquota quiet quota rbind rdirplus relatime \
    remount resvport ro rprivate rshared rslave rw seal seclabel serverino sfu sharecache shared showexec slave soft ssd \
    strictatime suid sw swalloc sync sysvgroups tcp udp unix uquota user_xattr users usrquota utf8 \
    wsync x-gvfs-hide x-mount.mkdir x-systemd.automount x-systemd.growfs x-systemd.makefs xattr zfsutil";
/// Options with a value, which is shown where it is a number or one of the words.
const VALUED: &str = "acdirmax acdirmin acregmax acregmin actimeo cache codepage commit compress compress-force data \
    dir_mode dmask errors file_mode fmask gid iocharset local_lock logbsize logbufs lookupcache max_batch_time minorversion \
    mode mountport mountproto mountvers namlen nconnect nfsvers port pri proto retrans retry rsize sec shortname size \
    space_cache stripe subvolid sunit swidth timeo trunkdiscovery uid umask vers wsize x-systemd.device-timeout \
    x-systemd.idle-timeout x-systemd.mount-timeout";
/// Words that are shown as values of [`VALUED`].
const WORDS: &str = "all continue i krb5 krb5i krb5p journal loose lz4 lzo none ntlm ntlmi ntlmssp ntlmsspi ntlmv2 ordered panic \
    pos positive posix rdma remount-ro strict sys tcp tcp6 udp udp6 utf8 v1 v2 writeback zlib zstd";
/// Options whose values are left out.
const OTHER_VALUED: &str = "accesskey addr clientaddr cred credentials domain fsid helper_program ip mds_namespace name pass \
    passwd_file password prefixpath secret secretfile servern source subvol unc url user username workgroup x-systemd.after \
    x-systemd.before x-systemd.requires x-systemd.requires-mounts-for";

/// Reads what is on disks and servers.
pub(crate) fn read(files: &mut HostFiles<'_>) -> HostStorage {
    // Those of the first process are the host's, also where this program runs in a container; only root may read them.
    let mounted = match files.kind("/proc/1/mounts") {
        Some(PathKind::File) => files.text_up_to("/proc/1/mounts", 16 << 20),
        _ => None,
    };
    let mounted = mounted.or_else(|| files.text_up_to("/proc/self/mounts", 16 << 20));
    let configured = files.text("/etc/fstab").unwrap_or_default();
    let swaps = files.text("/proc/swaps").unwrap_or_default();
    let (filesystems, configured_swap) = filesystems(&mounted.unwrap_or_default(), &configured);
    let mut swap = swaps_of(&swaps);
    if swap.is_empty() {
        swap = configured_swap;
    }
    let mut volume_groups = files.names("/etc/lvm/backup");
    volume_groups.extend(files.names("/run/lvm/vgs_online"));
    volume_groups.sort();
    volume_groups.dedup();
    let mdstat = files.text("/proc/mdstat").unwrap_or_default();
    let crypttab = files.text("/etc/crypttab").unwrap_or_default();
    let exports = files.text("/etc/exports").unwrap_or_default();
    HostStorage {
        filesystems,
        swap,
        volume_groups,
        arrays: arrays(&mdstat),
        encrypted: volumes(&crypttab),
        has_multipath: files.has("/etc/multipath.conf") || files.has("/etc/multipath/bindings"),
        iscsi_targets: iscsi_targets(files),
        exports: folders(&exports),
    }
}

fn iscsi_targets(files: &mut HostFiles<'_>) -> Vec<String> {
    let mut found = files.names("/etc/iscsi/nodes");
    found.extend(files.names("/var/lib/iscsi/nodes"));
    found.sort();
    found.dedup();
    found
}

/// Names of the volumes of /etc/crypttab: lines of a name, a device and more.
fn volumes(text: &str) -> Vec<String> {
    let volumes = lines(text).filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, device) = (words.next()?, words.next()?);
        let is_kept = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
        (device.contains(['/', '=']) && name.chars().all(is_kept)).then(|| name.to_owned())
    });
    volumes.collect()
}

/// Folders of /etc/exports.
fn folders(text: &str) -> Vec<String> {
    let words = lines(text).filter_map(|line| line.split_whitespace().next());
    words
        .map(|word| word.trim_matches('"'))
        .filter(|word| word.starts_with('/'))
        .map(str::to_owned)
        .collect()
}

/// Option of a mount: what is known to be public. In a password, commas may stand.
fn option(text: &str) -> String {
    let kept = match text.split_once('=') {
        Some((name, value)) if lists(VALUED, name) && is_public(value) => text,
        Some((name, _)) if lists(VALUED, name) || lists(OTHER_VALUED, name) => name,
        None if lists(SWITCHES, text) || lists(VALUED, text) || lists(OTHER_VALUED, text) => text,
        _ => HIDDEN,
    };
    kept.to_owned()
}

fn is_public(value: &str) -> bool {
    // The level of a compression.
    let word = value.split(':').next().unwrap_or_default();
    is_amount(value) || lists(WORDS, word) && value.len() <= word.len() + 3
}

/// File systems of /proc/mounts and /etc/fstab, and swap of the latter.
fn filesystems(mounted: &str, configured: &str) -> (Vec<HostFilesystem>, Vec<HostSwap>) {
    let mut found: BTreeMap<String, HostFilesystem> = BTreeMap::new();
    let mut swap = Vec::new();
    for (text, is_mounted) in [(mounted, true), (configured, false)] {
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let mut fields = line.split_whitespace().map(unescaped);
            let (Some(source), Some(target), Some(kind)) = (fields.next(), fields.next(), fields.next()) else {
                continue;
            };
            let source = address(&source).0;
            if kind == "swap" {
                swap.push(HostSwap {
                    source,
                    size_kib: None,
                    file: "/etc/fstab".to_owned(),
                });
                continue;
            }
            if OTHERS.contains(&kind.as_str()) || OF_CONTAINERS.iter().any(|folder| target.starts_with(folder)) {
                continue;
            }
            let options = fields.next().unwrap_or_default();
            let options: Vec<String> = options
                .split(',')
                .filter(|option| !option.is_empty())
                .map(option)
                .collect();
            let entry = found.entry(target.clone()).or_default();
            entry.is_mounted |= is_mounted;
            entry.is_configured |= !is_mounted;
            // What fstab says is what somebody wanted; the kernel adds defaults.
            if entry.source.is_empty() || !is_mounted {
                entry.options = options;
            }
            if entry.source.is_empty() || is_mounted {
                entry.source = source;
                entry.kind = kind;
            }
            entry.target = target;
        }
    }
    (found.into_values().collect(), swap)
}

/// Text in which spaces and others are written as octal numbers: `\040`.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

/// Lines of /proc/swaps after the heading.
fn swaps_of(text: &str) -> Vec<HostSwap> {
    let lines = text.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (source, kind) = (unescaped(fields.next()?), fields.next()?);
        ["file", "partition"].contains(&kind).then(|| HostSwap {
            source,
            size_kib: fields.next().and_then(|size| size.parse().ok()),
            file: "/proc/swaps".to_owned(),
        })
    });
    lines.collect()
}

/// Names of arrays: `md0 : active raid1 sda1[0] sdb1[1]`.
fn arrays(text: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| {
        let (name, rest) = line.split_once(" : ")?;
        let level = rest
            .split_whitespace()
            .find(|word| word.starts_with("raid") || *word == "linear");
        (name.starts_with("md")).then(|| format!("{name} ({})", level.unwrap_or("inactive")))
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_joined() {
        let mounted = "/dev/sda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\nnas:/data /mnt/my\\040data nfs4 rw,vers=4.2,addr=10.0.0.1 0 0\n\
                       overlay /run/containerd/x overlay rw 0 0\n/dev/sdb /var/lib/kubelet/pods/1/v ext4 rw 0 0\n";
        let configured = "# comment\nUUID=1 / ext4 defaults 0 1\n//nas/s /srv cifs username=u,password=p,vers=3.0 0 0\n/swap.img none swap sw 0 0\n";
        let (found, swap) = filesystems(mounted, configured);
        let targets: Vec<_> = found.iter().map(|found| found.target.as_str()).collect();
        assert_eq!(targets, ["/", "/mnt/my data", "/srv"]);
        assert_eq!(
            (found[0].source.as_str(), &found[0].options[..]),
            ("/dev/sda1", &["defaults".to_owned()][..])
        );
        assert!(found[0].is_mounted && found[0].is_configured && !found[2].is_mounted);
        assert_eq!(found[2].options, ["username", "password", "vers=3.0"]);
        assert_eq!(
            (swap[0].source.as_str(), swap[0].file.as_str()),
            ("/swap.img", "/etc/fstab")
        );
    }

    #[test]
    fn options_are_shown_that_are_known() {
        for (text, kept) in [
            ("password=x", "password"),
            ("vers=4.2", "vers=4.2"),
            ("ro", "ro"),
            ("compress=zstd:3", "compress=zstd:3"),
            ("data=x", "data"),
            ("subvol=@x", "subvol"),
            ("hunter", "*"),
            ("hunter=x", "*"),
        ] {
            assert_eq!(option(text), kept);
        }
        let (found, _) = filesystems("", "//nas/s /mnt/a cifs username=u,password=ab,,hunter2,vers=3.0 0 0\n");
        assert_eq!(found[0].options, ["username", "password", "*", "vers=3.0"]);
        assert_eq!(
            volumes("vault UUID=1 /etc/keys/vault luks\naGVsbG8=\npassword: x\n"),
            ["vault"]
        );
        assert_eq!(folders("/srv *(rw)\n\"/srv/b\" x\naGVsbG8=\n"), ["/srv", "/srv/b"]);
    }

    #[test]
    fn options_are_in_one_list_each() {
        let mut names: Vec<&str> = [SWITCHES, VALUED, OTHER_VALUED]
            .into_iter()
            .flat_map(str::split_whitespace)
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        // Those with a value are shown without one, too.
        for option_alone in ["compress", "local_lock", "user"] {
            assert_eq!(option(option_alone), option_alone);
        }
    }

    #[test]
    fn arrays_and_swap_are_read() {
        let text =
            "Personalities : [raid1]\nmd0 : active raid1 sdb1[1] sda1[0]\n      1 blocks\nunused devices: <none>\n";
        assert_eq!(arrays(text), ["md0 (raid1)"]);
        let swap = swaps_of("Filename\tType\tSize\tUsed\tPriority\n/swap.img file 4194300 0 -2\n");
        assert_eq!(
            (swap[0].source.as_str(), swap[0].size_kib, swap[0].file.as_str()),
            ("/swap.img", Some(4_194_300), "/proc/swaps")
        );
        assert_eq!(swaps_of("Filename\npassword: x\naGVsbG8=\n"), []);
    }
}
