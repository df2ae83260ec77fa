//! Facts from the payloads of an image's packages.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};

use basalt_hardening::Kconfig;
use basalt_image::definition::ImageDefinition;
use basalt_image::{Content, ContentKind, ImagePackage};
use basalt_node::host_paths::FOLDERS;

use super::boot::{SocketUnit, add_tmpfiles, api_file_systems, mount_of, socket_of, value_of};
use super::{FileTree, KernelFacts, MountPoint, NodeFacts, Storage, TreeEntry, agent};
use crate::PreflightError;

/// Bytes of a configuration file that are read at most. A kernel's configuration has 300 KiB.
const LARGEST: u64 = 4 << 20;
/// Folders whose files no manifest names.
const UNNAMED: [&str; 2] = ["/usr/share/licenses/", "/usr/share/sbom/"];
/// Profile that containerd makes and loads for containers without a profile of their own.
const CONTAINERD_PROFILE: &str = "cri-containerd.apparmor.d";
/// Ports of the kubelet (its configuration's defaults) and of systemd-resolved's stub, which no unit of the image names: port,
/// program in words, its path, its addresses on loopback (none: it listens on all addresses).
const PORTS: [(u16, &str, &str, &[IpAddr]); 3] = [
    (10250, "the kubelet", "/usr/bin/kubelet", &[]),
    (10248, "the kubelet's healthz", "/usr/bin/kubelet", &[loopback(1)]),
    (
        53,
        "systemd-resolved, on 127.0.0.53",
        "/usr/lib/systemd/systemd-resolved",
        &[loopback(53), loopback(54)],
    ),
];
/// Folders and sockets that programs of the node make when they start: the kubelet (pkg/kubelet/config/defaults.go of
/// Kubernetes), containerd, systemd.
const MADE_BY_PROGRAMS: [(&str, TreeEntry); 14] = [
    ("/run/containerd", TreeEntry::Directory),
    ("/run/machine-id", TreeEntry::File),
    ("/run/nri", TreeEntry::Directory),
    ("/run/systemd/resolve/resolv.conf", TreeEntry::File),
    ("/run/systemd/private", TreeEntry::Socket),
    ("/run/udev/data", TreeEntry::Directory),
    ("/run/xtables.lock", TreeEntry::File),
    (
        "/var/lib/containerd/io.containerd.content.v1.content",
        TreeEntry::Directory,
    ),
    ("/var/lib/kubelet/device-plugins/kubelet.sock", TreeEntry::Socket),
    ("/var/lib/kubelet/pki", TreeEntry::Directory),
    ("/var/lib/kubelet/plugins", TreeEntry::Directory),
    ("/var/lib/kubelet/plugins_registry", TreeEntry::Directory),
    ("/var/lib/kubelet/pod-resources/kubelet.sock", TreeEntry::Socket),
    ("/var/lib/kubelet/pods", TreeEntry::Directory),
];

const fn loopback(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, host))
}

/// Files that facts are made from, by kind; the order of tmpfiles.d and sysctl.d is that of the file names.
#[derive(Default)]
struct Gathered {
    tree: FileTree,
    config: Option<(String, Kconfig)>,
    modules: BTreeSet<String>,
    os_release: String,
    sysctls: BTreeMap<String, String>,
    tmpfiles: BTreeMap<String, String>,
    mounts: Vec<String>,
    sockets: Vec<(String, SocketUnit)>,
    journald: Vec<String>,
    profiles: BTreeSet<String>,
}

impl NodeFacts {
    /// Reads the packages that an image installs. `config` is the name and the text of the nodes' NodeConfig.
    ///
    /// # Errors
    /// When packages are damaged or at odds, the image has no kernel, or the NodeConfig is wrong.
    pub fn of_image(
        definition: &ImageDefinition,
        rpms: &[ImagePackage<'_>],
        config: Option<(&str, &str)>,
    ) -> Result<Self, PreflightError> {
        let agent = agent::read(config)?;
        let gathered = RefCell::new(Gathered::default());
        let look = &mut |content: &Content<'_>, bytes: &mut dyn Read| gathered.borrow_mut().look(content, bytes);
        basalt_image::contents(definition, rpms, look)?;
        let gathered = gathered.into_inner();
        let facts = gathered.finish(&definition.name, agent)?;
        Ok(Self {
            has_node_config: config.is_some(),
            ..facts
        })
    }
}

impl Gathered {
    fn look(&mut self, content: &Content<'_>, bytes: &mut dyn Read) -> std::io::Result<()> {
        let path = content.path;
        if let Some((release, below)) = of_modules(path) {
            return self.look_at_modules(release, below, bytes);
        }
        if UNNAMED.iter().any(|folder| path.starts_with(folder)) {
            return Ok(());
        }
        let entry = match content.kind {
            ContentKind::Directory => TreeEntry::Directory,
            ContentKind::Symlink(target) => TreeEntry::Link(target.to_owned()),
            ContentKind::File(_) | ContentKind::HardLink(_) => TreeEntry::File,
        };
        let is_file = matches!(content.kind, ContentKind::File(_));
        self.tree.add(path, entry);
        if is_file && is_read(path) {
            let text = read_text(bytes)?;
            self.keep(path, text);
        }
        Ok(())
    }

    /// Keeps what a file below `/usr/lib/modules/RELEASE/` says.
    fn look_at_modules(&mut self, release: &str, below: &str, bytes: &mut dyn Read) -> std::io::Result<()> {
        self.tree
            .add(&format!("/usr/lib/modules/{release}"), TreeEntry::Directory);
        match below {
            "config" => self.config = Some((release.to_owned(), Kconfig::parse(&read_text(bytes)?))),
            "modules.builtin" => self.modules.extend(read_text(bytes)?.lines().filter_map(module)),
            _ => self.modules.extend(module(below)),
        }
        Ok(())
    }

    /// Keeps the text of a file, by its folder.
    fn keep(&mut self, path: &str, text: String) {
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        if path == "/usr/lib/os-release" {
            self.os_release = text;
        } else if path.contains("/sysctl.d/") {
            keep_first(&mut self.sysctls, path, name, text);
        } else if path.contains("/tmpfiles.d/") {
            keep_first(&mut self.tmpfiles, path, name, text);
        } else if path.starts_with("/etc/apparmor.d/") {
            self.profiles.extend(text.lines().filter_map(profile));
        } else if path.contains("/journald.conf") {
            self.journald.push(text);
        } else if path.ends_with(".mount") {
            self.mounts.push(text);
        } else if path.ends_with(".socket") {
            self.sockets.push((name, socket_of(&text)));
        }
    }

    fn finish(mut self, image: &str, agent: agent::AgentFacts) -> Result<NodeFacts, PreflightError> {
        let Some((release, config)) = self.config.take() else {
            return Err(PreflightError::NoKernel {
                image: image.to_owned(),
            });
        };
        let mounts = self.boot(&agent);
        let (ports, port_addresses) = self.listening();
        let mut sysctls: BTreeMap<String, String> = self.sysctls.values().flat_map(|text| sysctls_of(text)).collect();
        sysctls.extend(agent.sysctls);
        let mut apparmor_profiles = self.profiles;
        apparmor_profiles.insert(CONTAINERD_PROFILE.to_owned());
        let storage = self
            .journald
            .iter()
            .find_map(|text| value_of(text, "Journal", "Storage"));
        Ok(NodeFacts {
            image: image.to_owned(),
            os_release: self.os_release.lines().filter_map(assignment).collect(),
            kernel: KernelFacts {
                release,
                options: config
                    .iter()
                    .map(|(option, value)| (option.to_owned(), value.to_owned()))
                    .collect(),
                modules: self.modules,
            },
            sysctls,
            apparmor_profiles,
            // The default of journald.conf(5).
            journal_storage: storage.unwrap_or("auto").to_owned(),
            mounts,
            ports,
            port_addresses,
            kubelet: agent.kubelet,
            containerd: agent.containerd,
            has_node_config: false,
            kernel_requirements: None,
            tree: self.tree,
        })
    }

    /// Programs that listen, by port, and the addresses of those that do not listen on all.
    fn listening(&self) -> (BTreeMap<u16, String>, BTreeMap<u16, Vec<IpAddr>>) {
        let mut programs = BTreeMap::new();
        let mut addresses: BTreeMap<u16, Vec<IpAddr>> = BTreeMap::new();
        let mut everywhere = BTreeSet::new();
        for (unit, socket) in &self.sockets {
            for &(port, address) in &socket.ports {
                programs.insert(port, unit.clone());
                match address {
                    Some(address) => addresses.entry(port).or_default().push(address),
                    None => {
                        everywhere.insert(port);
                    }
                }
            }
        }
        for (port, name, program, own) in PORTS {
            if self.tree.entry(program).is_some() {
                programs.insert(port, name.to_owned());
                addresses.insert(port, own.to_vec());
            }
        }
        addresses.retain(|port, own| !own.is_empty() && !everywhere.contains(port));
        (programs, addresses)
    }

    /// Adds what is made at boot to the tree; returns what is mounted.
    fn boot(&mut self, agent: &agent::AgentFacts) -> Vec<MountPoint> {
        let mut mounts = api_file_systems();
        for mount in self.mounts.iter().filter_map(|unit| mount_of(unit)) {
            mounts.retain(|other| other.path != mount.path);
            mounts.push(mount);
        }
        mounts.extend(FOLDERS.iter().map(|(folder, _, _)| MountPoint {
            path: (*folder).to_owned(),
            storage: Storage::State,
            options: Vec::new(),
        }));
        mounts.sort_by(|one, other| one.path.cmp(&other.path));
        for mount in &mounts {
            self.tree.add(&mount.path, TreeEntry::Directory);
        }
        for text in self.tmpfiles.values() {
            add_tmpfiles(&mut self.tree, text);
        }
        for (path, entry) in MADE_BY_PROGRAMS {
            self.tree.add(path, entry);
        }
        let socket = &agent.containerd.socket;
        for socket in [socket.clone(), format!("{socket}.ttrpc")] {
            self.tree.add(&socket, TreeEntry::Socket);
        }
        if self
            .journald
            .iter()
            .any(|text| value_of(text, "Journal", "Storage") == Some("persistent"))
        {
            self.tree.add("/var/log/journal", TreeEntry::Directory);
        }
        for path in self.sockets.iter().flat_map(|(_, socket)| &socket.paths) {
            self.tree.add(path, TreeEntry::Socket);
        }
        mounts
    }
}

/// Release and path below it, of a path below `/usr/lib/modules/RELEASE/`.
fn of_modules(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("/usr/lib/modules/")?.split_once('/')
}

/// Name of the module in a path: `kernel/fs/nfs/nfs.ko.zst`.
fn module(path: &str) -> Option<String> {
    let name = path.trim().rsplit('/').next()?;
    let (name, _) = name.split_once(".ko")?;
    Some(name.replace('-', "_"))
}

/// Returns `true` for files whose text is read.
fn is_read(path: &str) -> bool {
    let is_unit = path.starts_with("/usr/lib/systemd/system/");
    path == "/usr/lib/os-release"
        || path.ends_with(".conf") && (path.contains("/sysctl.d/") || path.contains("/tmpfiles.d/"))
        || path.contains("/journald.conf")
        || path.starts_with("/etc/apparmor.d/")
        || is_unit && (path.ends_with(".mount") || path.ends_with(".socket"))
}

/// Keeps a file of /etc before one of the same name elsewhere.
fn keep_first(files: &mut BTreeMap<String, String>, path: &str, name: String, text: String) {
    if path.starts_with("/etc/") || !files.contains_key(&name) {
        files.insert(name, text);
    }
}

/// Name of the AppArmor profile that a line begins: `profile name /path flags=(...) {`.
fn profile(line: &str) -> Option<String> {
    let name = line.strip_prefix("profile ")?.split_whitespace().next()?;
    line.trim_end()
        .ends_with('{')
        .then(|| name.trim_matches('"').to_owned())
}

/// Settings of a file of sysctl.d; a minus before a key means that it may be missing.
fn sysctls_of(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let settings = lines.filter_map(|line| line.split_once('='));
    settings
        .map(|(key, value)| {
            (
                key.trim().trim_start_matches('-').replace('/', "."),
                value.trim().to_owned(),
            )
        })
        .collect()
}

/// Name and value of a line of os-release.
fn assignment(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once('=')?;
    Some((name.to_owned(), value.trim_matches('"').to_owned()))
}

fn read_text(bytes: &mut dyn Read) -> std::io::Result<String> {
    let mut text = Vec::new();
    bytes.take(LARGEST).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_have_underscores() {
        assert_eq!(
            module("kernel/net/netfilter/ipset/ip-set.ko.zst").as_deref(),
            Some("ip_set")
        );
        assert_eq!(module("kernel/fs/ext4/ext4.ko").as_deref(), Some("ext4"));
        assert_eq!(module("modules.dep"), None);
        assert_eq!(of_modules("/usr/lib/modules/6.12/config"), Some(("6.12", "config")));
    }

    #[test]
    fn programs_listen_on_some_addresses_or_on_all() {
        let socket = |unit: &str, text: &str| (unit.to_owned(), socket_of(&format!("[Socket]\n{text}")));
        let mut gathered = Gathered {
            sockets: vec![
                socket("a.socket", "ListenStream=127.0.0.1:80\nListenStream=[::1]:80\n"),
                socket("b.socket", "ListenStream=81\n"),
                socket("c.socket", "ListenStream=127.0.0.1:81\n"),
            ],
            ..Gathered::default()
        };
        gathered.tree.add("/usr/bin/kubelet", TreeEntry::File);
        let (programs, addresses) = gathered.listening();
        assert_eq!(programs.into_keys().collect::<Vec<_>>(), [80, 81, 10248, 10250]);
        let both = vec![loopback(1), IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)];
        assert_eq!(addresses, BTreeMap::from([(80, both), (10248, vec![loopback(1)])]));
    }

    #[test]
    fn profiles_have_names() {
        assert_eq!(
            profile("profile \"a\" /usr/bin/a flags=(complain) {").as_deref(),
            Some("a")
        );
        assert_eq!(profile("profile b {").as_deref(), Some("b"));
        assert_eq!((profile("# profile c {"), profile("profile d")), (None, None));
    }

    #[test]
    fn settings_are_read() {
        assert_eq!(
            sysctls_of("# a\nkernel.panic = 10\n-net/bridge/x=1\n"),
            [
                ("kernel.panic".to_owned(), "10".to_owned()),
                ("net.bridge.x".to_owned(), "1".to_owned())
            ]
        );
        assert_eq!(
            assignment("ID=\"basalt\""),
            Some(("ID".to_owned(), "basalt".to_owned()))
        );
    }
}
