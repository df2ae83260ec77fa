//! Files in bootstrap data, recognised by their paths.

use std::io::Read as _;

use basalt_document::Finding;
use basalt_node_config::certificate::Authorities;
use basalt_node_config::encoding::decode_base64;
use basalt_node_config::raw::{Proxy, Registry};
use flate2::read::GzDecoder;

use super::commands::{CONFIGURATION, modules_are_there};
use super::{hosts_file, node_file, proxy, raw};

/// Most bytes of a file. User data of clouds has at most 64 KiB.
const LARGEST: u64 = 1 << 20;

/// Place of a file with kernel settings among others: sysctl.d(5) sorts them by name, and `sysctl --system` reads
/// `/etc/sysctl.conf` after them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SysctlOrder {
    /// File of `/etc/sysctl.d`, by its whole name.
    Named(String),
    /// `/etc/sysctl.conf`.
    Last,
}

/// File with kernel settings.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SysctlFile {
    /// Place among such files: they count in the order of their names.
    pub(super) order: SysctlOrder,
    /// Settings in the order of the file.
    pub(super) settings: Vec<SysctlLine>,
}

/// Line of a file with kernel settings.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SysctlLine {
    /// Name as it is written.
    pub(super) name: String,
    /// Value.
    pub(super) value: String,
    /// Line and column in the content, both counted from 1.
    pub(super) place: (usize, usize),
}

/// Meaning of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Meaning {
    /// JoinConfiguration.
    Configuration(String),
    /// Name of the machine.
    Hostname(String),
    /// Kernel settings.
    Sysctls {
        /// The settings.
        file: SysctlFile,
        /// Content that they are from.
        content: String,
    },
    /// Mirrors of a registry.
    Registry(Box<Registry>),
    /// Proxy of containerd or the kubelet.
    Proxy(Box<Proxy>),
    /// Parts of a NodeConfig.
    NodeFile(String),
    /// Certificate authorities in PEM.
    Authorities(String),
    /// File below /etc/kubernetes, for pods that read it there.
    Kubernetes {
        /// Absolute path.
        path: String,
        /// Content.
        content: String,
        /// Mode.
        mode: u32,
    },
    /// Nothing that a node needs.
    Nothing,
}

/// Path of a file as the kernel reads it: several slashes are one.
///
/// # Errors
/// When it is not absolute, or cannot be that of a file.
pub(super) fn absolute(path: &str) -> Result<String, Finding> {
    let refused = |what: &str| {
        let finding = Finding::error(format!("`{path}` is {what}"), "not a path");
        Err(finding.with_help("write the whole path of a file: `/etc/kubernetes/azure.json`"))
    };
    if path.split('/').any(|part| part == ".." || part == ".") || !path.starts_with('/') {
        return refused("not an absolute path");
    }
    if path.ends_with('/') {
        return refused("a folder");
    }
    if path.contains(char::is_control) {
        return refused("no path: it has control characters");
    }
    let parts = path.split('/').filter(|part| !part.is_empty());
    Ok(parts.flat_map(|part| ["/", part]).collect())
}

/// Recognises a file.
///
/// # Errors
/// When its path is not a known one, or its content is not what belongs there.
pub(super) fn recognise(file: &raw::WriteFile) -> Result<Meaning, Finding> {
    let path = absolute(&file.path)?;
    let content = content(file)?;
    let path = path.as_str();
    let append = file.append == Some(true);
    let below = |folder: &str, suffix: &str| below(path, folder, suffix);
    match path {
        CONFIGURATION => return Ok(Meaning::Configuration(content)),
        node_file::PATH if !append => return Ok(Meaning::NodeFile(content)),
        "/run/cluster-api/placeholder" => return Ok(Meaning::Nothing),
        "/run/kubeadm/kubeadm.yaml" => {
            let message =
                "this is bootstrap data of a cluster's first control-plane node, and a Basalt node is a worker";
            return Err(Finding::error(message, "refused").with_help("use the bootstrap data of a MachineDeployment"));
        }
        "/etc/hostname" if !append => return Ok(Meaning::Hostname(content.trim().to_owned())),
        _ => {}
    }
    if let Some(order) = sysctl_order(path) {
        let settings = sysctls(&content)?;
        let file = SysctlFile { order, settings };
        return Ok(Meaning::Sysctls { file, content });
    }
    if below("/etc/modules-load.d/", ".conf").is_some() {
        let modules = content.lines().map(str::trim);
        let modules = modules.filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
        return modules_are_there(modules).map(|()| Meaning::Nothing);
    }
    if proxy::is_drop_in(path) {
        return proxy::read(path, &content).map(|proxy| Meaning::Proxy(Box::new(proxy)));
    }
    if let Some(host) = hosts_folder(path) {
        return hosts_file::read(host, &content).map(|registry| Meaning::Registry(Box::new(registry)));
    }
    let authorities = below("/usr/local/share/ca-certificates/", ".crt");
    if authorities
        .or_else(|| below("/etc/pki/ca-trust/source/anchors/", ""))
        .is_some()
    {
        content.parse::<Authorities>()?;
        return Ok(Meaning::Authorities(content));
    }
    kubernetes(file, path, content)
}

/// Name of a file in a folder, without what it ends in.
fn below<'p>(path: &'p str, folder: &str, suffix: &str) -> Option<&'p str> {
    path.strip_prefix(folder)
        .and_then(|name| name.strip_suffix(suffix))
        .filter(|name| !name.is_empty() && !name.contains('/'))
}

/// Place of a path among the files with kernel settings; `None` for another file.
pub(super) fn sysctl_order(path: &str) -> Option<SysctlOrder> {
    let named = below(path, "/etc/sysctl.d/", ".conf").map(|name| SysctlOrder::Named(format!("{name}.conf")));
    named.or_else(|| (path == "/etc/sysctl.conf").then_some(SysctlOrder::Last))
}

/// Registry of `/etc/containerd/certs.d/REGISTRY/hosts.toml`.
fn hosts_folder(path: &str) -> Option<&str> {
    let host = path
        .strip_prefix("/etc/containerd/certs.d/")?
        .strip_suffix("/hosts.toml")?;
    (!host.is_empty() && !host.contains('/')).then_some(host)
}

fn kubernetes(file: &raw::WriteFile, path: &str, content: String) -> Result<Meaning, Finding> {
    let refused = |message: String, help: &str| Err(Finding::error(message, "not written").with_help(help));
    let Some(name) = path.strip_prefix("/etc/kubernetes/") else {
        let help = "write it as a setting of /etc/basalt/node.yaml, or let a DaemonSet have it as a ConfigMap; known are /etc/hostname, \
                    /etc/sysctl.d, /etc/modules-load.d, /etc/containerd/certs.d, /usr/local/share/ca-certificates, drop-ins of \
                    containerd.service with a proxy, and /etc/kubernetes";
        return refused(
            format!("the file `{path}` is not known, and the image is read-only"),
            help,
        );
    };
    match name.split('/').next() {
        Some("manifests") => {
            let help = "deploy it as a DaemonSet; static pods of a control plane belong to control-plane nodes";
            return refused(format!("`{path}` is a static pod"), help);
        }
        Some("kubelet.conf" | "bootstrap-kubelet.conf" | "pki") => {
            return refused(format!("`{path}` is a file that joining makes"), "remove it");
        }
        _ => {}
    }
    if file.append == Some(true) {
        return refused(
            format!("`{path}` would be appended to a file that is not there"),
            "remove `append`",
        );
    }
    if !matches!(file.owner.as_deref(), None | Some("" | "root" | "root:root")) {
        return refused(format!("`{path}` would not be root's"), "write `owner: root:root`");
    }
    let permissions = file
        .permissions
        .as_deref()
        .filter(|mode| !mode.is_empty())
        .unwrap_or("0644");
    match u32::from_str_radix(permissions, 8) {
        Ok(mode) if mode <= 0o777 => Ok(Meaning::Kubernetes {
            path: path.to_owned(),
            content,
            mode,
        }),
        _ => refused(format!("`{permissions}` is not a mode"), "write it in octal: `0640`"),
    }
}

/// Decoded content of a file.
fn content(file: &raw::WriteFile) -> Result<String, Finding> {
    let text = file.content.as_deref().unwrap_or_default();
    let wrong = |what: &str| {
        Finding::error(
            format!("the content of `{}` is not {what}", file.path),
            "cannot be decoded",
        )
    };
    let decoded = || decode_base64(text.as_bytes()).ok_or_else(|| wrong("base64"));
    let bytes = match file.encoding.as_deref() {
        None | Some("" | "text/plain") => return Ok(text.to_owned()),
        Some("base64" | "b64") => decoded()?,
        Some("gzip+base64" | "gz+base64" | "gzip+b64" | "gz+b64") => {
            let mut bytes = Vec::new();
            let compressed = decoded()?;
            let read = GzDecoder::new(compressed.as_slice())
                .take(LARGEST + 1)
                .read_to_end(&mut bytes);
            read.map_err(|_| wrong("compressed by gzip"))?;
            bytes
        }
        Some(other) => {
            let message = format!("the encoding `{other}` of `{}` is not known", file.path);
            let help = "write `base64`, `gzip+base64`, or no encoding";
            return Err(Finding::error(message, "unknown").with_help(help));
        }
    };
    if bytes.len() as u64 > LARGEST {
        return Err(wrong("less than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| wrong("text"))
}

/// Lines of sysctl.d: `name = value`. A `-` before the name says that failures do not count.
fn sysctls(content: &str) -> Result<Vec<SysctlLine>, Finding> {
    let mut settings = Vec::new();
    for (number, whole) in (1..).zip(content.lines()) {
        let line = whole.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let pair = line.trim_start_matches('-').split_once('=');
        let (name, value) = pair.ok_or_else(|| {
            Finding::error(format!("`{line}` is not a kernel setting"), "not a setting")
                .with_help("write `net.core.somaxconn = 4096`")
        })?;
        settings.push(SysctlLine {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            place: (number, whole.chars().take_while(|c| c.is_whitespace()).count() + 1),
        });
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    const CA: &str = include_str!("../../tests/vectors/ca.pem");

    fn file(path: &str, content: &str) -> raw::WriteFile {
        raw::WriteFile {
            path: path.to_owned(),
            encoding: None,
            owner: None,
            permissions: None,
            append: None,
            content: Some(content.to_owned()),
        }
    }

    #[test]
    fn known_files() {
        let settings = SysctlFile {
            order: SysctlOrder::Named("99-x.conf".to_owned()),
            settings: vec![SysctlLine {
                name: "net.core.somaxconn".to_owned(),
                value: "4096".to_owned(),
                place: (2, 1),
            }],
        };
        for (path, content, expected) in [
            ("/etc/hostname", "worker-1\n", Meaning::Hostname("worker-1".to_owned())),
            (
                "/etc/sysctl.d/99-x.conf",
                "# a\n-net.core.somaxconn = 4096\n",
                Meaning::Sysctls {
                    file: settings,
                    content: "# a\n-net.core.somaxconn = 4096\n".to_owned(),
                },
            ),
            (
                "/etc/modules-load.d/k8s.conf",
                "overlay\nbr_netfilter\n",
                Meaning::Nothing,
            ),
            ("/run/cluster-api/placeholder", "", Meaning::Nothing),
            (
                "/usr/local/share/ca-certificates/a.crt",
                CA,
                Meaning::Authorities(CA.to_owned()),
            ),
            (
                "//etc/kubernetes///azure.json",
                "{}",
                Meaning::Kubernetes {
                    path: "/etc/kubernetes/azure.json".to_owned(),
                    content: "{}".to_owned(),
                    mode: 0o644,
                },
            ),
        ] {
            assert_eq!(recognise(&file(path, content)), Ok(expected), "{path}");
        }
        let registry = recognise(&file(
            "/etc/containerd/certs.d/docker.io/hosts.toml",
            "[host.\"http://10.0.0.1:5000\"]\n",
        ));
        assert!(matches!(registry, Ok(Meaning::Registry(registry)) if registry.host == "docker.io"));
        assert!(SysctlOrder::Named("zz".to_owned()) < SysctlOrder::Last);
    }

    #[test]
    fn other_files_are_refused_by_name() {
        for path in [
            "/etc/passwd",
            "/etc/kubernetes/manifests/evil.yaml",
            "/etc/kubernetes/../shadow",
            "/etc/kubernetes/kubelet.conf",
            "/etc/kubernetes/pki/ca.crt",
            "/etc/kubernetes//manifests/evil.yaml",
            "/etc/kubernetes/manifests//evil.yaml",
            "/etc/kubernetes/manifests",
            "/etc/kubernetes//pki/ca.crt",
            "//etc//kubernetes//kubelet.conf",
            "/etc/kubernetes/kubelet.conf/x",
            "/etc/kubernetes/",
            "/etc/kubernetes",
            "/etc/kubernetes/a/",
            "/etc/kubernetes/a\u{0}b",
            "/etc/containerd/config.toml",
            "/etc/systemd/system/docker.service.d/http-proxy.conf",
            "/etc/containerd/certs.d/a/b/hosts.toml",
            "/run/kubeadm/kubeadm.yaml",
            "etc/hostname",
            "",
        ] {
            let finding = recognise(&file(path, "x")).expect_err(path);
            let named = absolute(path).unwrap_or_else(|_| path.to_owned());
            assert!(
                finding.message.contains(&named) || path.ends_with("kubeadm.yaml"),
                "{finding:?}"
            );
        }
        let modules = recognise(&file("/etc/modules-load.d/a.conf", "nvidia\n"));
        assert!(modules.unwrap_err().message.contains("nvidia"));
        let authority = recognise(&file("/usr/local/share/ca-certificates/a.crt", "x"));
        assert!(authority.unwrap_err().message.contains("no certificate in PEM"));
    }

    #[test]
    fn encodings() {
        use std::io::Write as _;
        let encoded = |encoding: &str, content: &str| {
            let mut file = file("/etc/hostname", content);
            file.encoding = Some(encoding.to_owned());
            recognise(&file)
        };
        let named = Ok(Meaning::Hostname("worker-1".to_owned()));
        assert_eq!(encoded("base64", "d29ya2Vy\nLTEK\n"), named);
        let compress = |bytes: &[u8]| {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            writer.write_all(bytes).unwrap();
            STANDARD.encode(writer.finish().unwrap())
        };
        assert_eq!(encoded("gzip+base64", &compress(b"worker-1\n")), named);
        // 16 MiB in 16 KiB.
        assert!(encoded("gz+b64", &compress(&vec![b'a'; 16 << 20])).is_err());
        for (encoding, content) in [
            ("base64", "%"),
            ("base64", "/w=="),
            ("gzip+base64", "AAAA"),
            ("gzip", "x"),
            ("rot13", "x"),
        ] {
            assert!(encoded(encoding, content).is_err(), "{encoding}");
        }
    }

    proptest! {
        #[test]
        fn paths_have_single_slashes(path in "[a./]{0,12}") {
            if let Ok(path) = absolute(&path) {
                prop_assert!(path.starts_with('/') && !path.contains("//") && !path.ends_with('/'));
                prop_assert_eq!(absolute(&path).unwrap(), path);
            }
        }

        #[test]
        fn nothing_panics(path in any::<String>(), content in any::<String>(), encoding in "(base64|gzip\\+base64|)") {
            for path in [path.as_str(), "/etc/sysctl.d/a.conf", "/etc/containerd/certs.d/a/hosts.toml"] {
                let mut file = file(path, &content);
                file.encoding = Some(encoding.clone());
                let _ = recognise(&file);
            }
        }
    }
}
