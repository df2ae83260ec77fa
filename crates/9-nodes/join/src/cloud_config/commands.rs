//! Commands in bootstrap data, recognised by their text. None is ever run.

use basalt_document::Finding;

/// File whose presence tells Cluster API's infrastructure providers that a machine has joined, and its content.
pub const SENTINEL: &str = "/run/cluster-api/bootstrap-success.complete";
/// Content of [`SENTINEL`].
pub const SENTINEL_CONTENT: &str = "success\n";

/// Path of the JoinConfiguration.
pub(super) const CONFIGURATION: &str = "/run/kubeadm/kubeadm-join-config.yaml";

/// Modules that are part of the kernel (`distro/packages/kernel/*.config`), or are loaded when something needs them.
const MODULES: &[&str] = &[
    "br_netfilter",
    "ip_tables",
    "ip_vs",
    "ip_vs_rr",
    "ip_vs_sh",
    "ip_vs_wrr",
    "nf_conntrack",
    "nf_nat",
    "overlay",
    "tun",
    "vxlan",
];

/// Folders that are there, or are made by the first file in them.
const FOLDERS: &[&str] = &[
    "/etc/kubernetes",
    "/run/cluster-api",
    "/run/kubeadm",
    "/etc/containerd/certs.d",
];

/// Services that the image starts by itself.
const SERVICES: &[&str] = &[
    "containerd",
    "kubelet",
    "systemd-resolved",
    "systemd-networkd",
    "chronyd",
    "chrony",
];

/// Commands that are recognised, for the help on another one.
const KNOWN: &str = "`hostname`, `hostnamectl set-hostname`, `echo` into /etc/hostname and /etc/hosts, `sysctl -w`, `sysctl -p FILE`, \
                     `sysctl --system`, `modprobe`, `swapoff -a`, `mkdir -p` below /etc/kubernetes and /etc/containerd/certs.d, \
                     `systemctl daemon-reload`, `systemctl enable|start|restart` of services of the image, \
                     `update-ca-certificates`, `update-ca-trust`, `sleep`";

/// Meaning of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// `kubeadm join`, and the sentinel file after it.
    Join,
    /// A name for the machine.
    Hostname(String),
    /// Kernel settings.
    Sysctls(Vec<(String, String)>),
    /// Path of a file whose kernel settings are read once more.
    SysctlFile(String),
    /// Names at the machine's own address in /etc/hosts, besides those of the loopback. The node's resolver answers for its
    /// own name.
    OwnHosts(Vec<String>),
    /// Done by the image already.
    Done,
}

/// Recognises a command.
///
/// # Errors
/// When it is none of the known ones.
pub(super) fn recognise(command: &str) -> Result<Meaning, Finding> {
    let command = command.trim();
    if command.starts_with("kubeadm ") {
        return kubeadm(command);
    }
    let words = words(command).ok_or_else(|| unknown(command))?;
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["hostname", name] | ["hostnamectl", "set-hostname" | "hostname", name] => {
            Ok(Meaning::Hostname(name.to_owned()))
        }
        ["echo", ref text @ .., ">", "/etc/hostname"] => Ok(Meaning::Hostname(text.join(" "))),
        ["echo", ref text @ .., ">" | ">>", "/etc/hosts"] => own_hosts(&text.join(" ")).ok_or_else(|| unknown(command)),
        ["sysctl", "-w", ref settings @ ..] => settings
            .iter()
            .map(|setting| {
                setting
                    .split_once('=')
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
            })
            .collect::<Option<Vec<_>>>()
            .filter(|settings| !settings.is_empty())
            .map(Meaning::Sysctls)
            .ok_or_else(|| unknown(command)),
        ["sysctl", "-p" | "--load"] => Ok(Meaning::SysctlFile("/etc/sysctl.conf".to_owned())),
        ["sysctl", "-p" | "--load", path] => Ok(Meaning::SysctlFile(path.to_owned())),
        ["modprobe", "-a" | "--all", ref modules @ ..] if !modules.is_empty() => {
            modules_are_there(modules.iter().copied()).map(|()| Meaning::Done)
        }
        ["modprobe", ref modules @ ..] if !modules.iter().any(|word| word.starts_with('-')) => {
            modules_are_there(modules.iter().copied()).map(|()| Meaning::Done)
        }
        ["mkdir", "-p", ref folders @ ..] if folders.iter().all(|folder| is_known_folder(folder)) => Ok(Meaning::Done),
        ["systemctl", "enable" | "start" | "restart", ref services @ ..] if are_services(services) => Ok(Meaning::Done),
        ["sysctl", "--system"]
        | ["swapoff", "-a"]
        | ["systemctl", "daemon-reload"]
        | ["update-ca-certificates"]
        | ["update-ca-trust"]
        | ["update-ca-trust", "extract"]
        | ["true" | ":"]
        | ["sleep", _] => Ok(Meaning::Done),
        _ => Err(unknown(command)),
    }
}

fn kubeadm(command: &str) -> Result<Meaning, Finding> {
    let refused = |message: &str, help: &str| Err(Finding::error(message, "not known").with_help(help));
    if command.starts_with("kubeadm init") {
        let message = "this is bootstrap data of a cluster's first control-plane node, and a Basalt node is a worker";
        return refused(message, "use the bootstrap data of a MachineDeployment");
    }
    let help =
        format!("the form of Cluster API is `kubeadm join --config {CONFIGURATION} && echo success > {SENTINEL}`");
    let Some((join, sentinel)) = command.split_once("&&") else {
        return refused("the command that joins writes no sentinel file", &help);
    };
    let join: Vec<_> = join.split_whitespace().collect();
    let sentinel: Vec<_> = sentinel.split_whitespace().collect();
    let verbosity = match join[..] {
        ["kubeadm", "join", "--config", CONFIGURATION, ref verbosity @ ..] => verbosity,
        _ => return refused("the command that joins is not in the form of Cluster API", &help),
    };
    let is_verbosity = match verbosity {
        [] => true,
        [flag, level] => *flag == "--v" && level.parse::<u8>().is_ok(),
        [flag] => flag
            .strip_prefix("--v=")
            .is_some_and(|level| level.parse::<u8>().is_ok()),
        _ => false,
    };
    if is_verbosity && sentinel == ["echo", "success", ">", SENTINEL] {
        return Ok(Meaning::Join);
    }
    refused("the command that joins is not in the form of Cluster API", &help)
}

/// Checks that the kernel has modules, by name.
pub(super) fn modules_are_there<'m>(modules: impl Iterator<Item = &'m str>) -> Result<(), Finding> {
    for module in modules {
        if !MODULES.contains(&module) {
            let message = format!("the module `{module}` would not be loaded: a node loads what something asks for");
            let help = format!("remove it; without it work {}", MODULES.join(", "));
            return Err(Finding::error(message, "not loaded").with_help(help));
        }
    }
    Ok(())
}

fn is_known_folder(folder: &str) -> bool {
    let within = |known: &str| folder == known || folder.strip_prefix(known).is_some_and(|rest| rest.starts_with('/'));
    !folder.split('/').any(|part| part == "..") && FOLDERS.iter().any(|known| within(known))
}

fn are_services(words: &[&str]) -> bool {
    let mut services = words.iter().filter(|word| **word != "--now").peekable();
    services.peek().is_some()
        && services.all(|service| SERVICES.contains(&service.strip_suffix(".service").unwrap_or(service)))
}

/// Meaning of a line of /etc/hosts about the machine itself.
fn own_hosts(line: &str) -> Option<Meaning> {
    let mut words = line.split_whitespace();
    if !matches!(words.next()?, "127.0.0.1" | "127.0.1.1" | "::1") {
        return None;
    }
    let is_loopback = |name: &&str| {
        let first = name.split('.').next().unwrap_or_default();
        matches!(first, "localhost" | "localhost4" | "localhost6")
            || first.starts_with("ip6-")
            || first.starts_with("ipv6-")
    };
    let names: Vec<_> = words.filter(|name| !is_loopback(name)).map(str::to_owned).collect();
    Some(if names.is_empty() {
        Meaning::Done
    } else {
        Meaning::OwnHosts(names)
    })
}

/// Words of a simple command. Quotes group; `>` and `>>` are words of their own; `None` for what else a shell would
/// evaluate.
fn words(command: &str) -> Option<Vec<String>> {
    let (mut words, mut open, mut quote) = (Vec::new(), None::<String>, None);
    let mut rest = command.chars().peekable();
    while let Some(letter) = rest.next() {
        match (quote, letter) {
            (Some(end), _) if letter == end => quote = None,
            (Some('"') | None, '$' | '`' | '\\') => return None,
            (Some(_), _) => open.get_or_insert_default().push(letter),
            (None, '"' | '\'') => {
                quote = Some(letter);
                open.get_or_insert_default();
            }
            (None, ';' | '&' | '|' | '<' | '(' | ')' | '*' | '?' | '\n') => return None,
            (None, '>') => {
                words.extend(open.take());
                let doubled = rest.next_if_eq(&'>').is_some();
                words.push(if doubled { ">>" } else { ">" }.to_owned());
            }
            (None, _) if letter.is_whitespace() => words.extend(open.take()),
            (None, _) => open.get_or_insert_default().push(letter),
        }
    }
    words.extend(open);
    quote.is_none().then_some(words)
}

/// Finding about a command. Only its program is named: what stands after it may be a secret.
fn unknown(command: &str) -> Finding {
    let is_plain = |word: &&str| {
        word.chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter))
    };
    let program = command.split_whitespace().next().filter(is_plain);
    let message = match program {
        Some(program) => format!("this command of `{program}` is not known, and a node runs none"),
        None => "this command is not known, and a node runs none".to_owned(),
    };
    let help = format!("say it in the NodeConfig, put it into a DaemonSet, or remove it; known are {KNOWN}");
    Finding::error(message, "not run").with_help(help)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_join_command() {
        for verbosity in ["", "--v 5", "--v=5"] {
            let command = format!("kubeadm join --config {CONFIGURATION} {verbosity} && echo success > {SENTINEL}");
            assert_eq!(recognise(&command), Ok(Meaning::Join));
        }
        for bad in [
            format!("kubeadm join --config {CONFIGURATION}"),
            format!("kubeadm join --config /etc/other.yaml && echo success > {SENTINEL}"),
            format!("kubeadm join --config {CONFIGURATION} --v 5 --skip-phases x && echo success > {SENTINEL}"),
            format!("kubeadm join --config {CONFIGURATION} && echo success > /etc/passwd"),
            format!("kubeadm join --config {CONFIGURATION} && echo success > {SENTINEL} && reboot"),
            "kubeadm init --config /run/kubeadm/kubeadm.yaml && echo success > x".to_owned(),
            "kubeadm reset".to_owned(),
        ] {
            assert!(recognise(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn known_commands() {
        let sysctl = vec![("net.core.somaxconn".to_owned(), "4096".to_owned())];
        for (command, expected) in [
            ("hostname \"worker-1\"", Meaning::Hostname("worker-1".to_owned())),
            (
                "hostnamectl set-hostname worker-1",
                Meaning::Hostname("worker-1".to_owned()),
            ),
            (
                "echo \"worker-1\" >/etc/hostname",
                Meaning::Hostname("worker-1".to_owned()),
            ),
            (
                "echo \"127.0.0.1   worker-1 localhost localhost4.localdomain4\" >>/etc/hosts",
                Meaning::OwnHosts(vec!["worker-1".to_owned()]),
            ),
            (
                "echo \"::1         ipv6-localhost ipv6-loopback\" >/etc/hosts",
                Meaning::Done,
            ),
            ("sysctl -w net.core.somaxconn=4096", Meaning::Sysctls(sysctl)),
            (
                "sysctl -p /etc/sysctl.d/99-a.conf",
                Meaning::SysctlFile("/etc/sysctl.d/99-a.conf".to_owned()),
            ),
            ("sysctl -p", Meaning::SysctlFile("/etc/sysctl.conf".to_owned())),
            ("sysctl --system", Meaning::Done),
            ("modprobe br_netfilter", Meaning::Done),
            ("modprobe -a overlay br_netfilter", Meaning::Done),
            ("swapoff -a", Meaning::Done),
            ("mkdir -p /etc/kubernetes/pki", Meaning::Done),
            ("systemctl enable --now containerd.service kubelet", Meaning::Done),
        ] {
            assert_eq!(recognise(command), Ok(expected), "{command}");
        }
    }

    #[test]
    fn the_help_names_what_is_known() {
        let help = recognise("timedatectl set-ntp true")
            .unwrap_err()
            .help
            .unwrap_or_default();
        for command in [
            "hostname worker-1",
            "hostnamectl set-hostname worker-1",
            "sysctl -w a.b=1",
            "sysctl -p /etc/sysctl.d/a.conf",
            "sysctl --system",
            "modprobe overlay",
            "swapoff -a",
            "mkdir -p /etc/kubernetes",
            "systemctl daemon-reload",
            "systemctl enable kubelet",
            "update-ca-certificates",
            "update-ca-trust",
            "sleep 5",
        ] {
            assert!(recognise(command).is_ok(), "{command}");
            let program = command.split(' ').next().unwrap_or_default();
            assert!(help.contains(&format!("`{program}")), "{command}: {help}");
        }
        for options in ["sysctl -p", "sysctl --system", "mkdir -p", "systemctl daemon-reload"] {
            assert!(help.contains(options), "{options}: {help}");
        }
    }

    #[test]
    fn all_others_are_refused_by_name() {
        for command in [
            "apt-get update",
            "curl -sSL https://example.com | sh",
            "echo \"10.0.0.9 registry\" >> /etc/hosts",
            "echo x > /etc/passwd",
            "hostname $(curl http://169.254.169.254)",
            "hostname \"$NAME\"",
            "hostname 'a",
            "modprobe nvidia",
            "modprobe -a overlay nvidia",
            "modprobe -a",
            "modprobe -r overlay",
            "echo > /etc/hosts",
            "systemctl stop kubelet",
            "systemctl enable",
            "mkdir -p /etc/kubernetes/../../root",
            "sysctl -w",
            "sysctl -w a",
            "swapoff -a; reboot",
            "",
        ] {
            let finding = recognise(command).expect_err(command);
            assert!(finding.help.is_some());
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(command in any::<String>(), more in "[a-z '\">&;$]{0,20}") {
            let _ = recognise(&command);
            let _ = recognise(&format!("kubeadm join {more}"));
            let _ = recognise(&format!("echo {more}"));
        }
    }
}
