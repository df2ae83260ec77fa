//! Processes of a node, from its `/proc`, each with the unit or the pod that it belongs to.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::node::{list, text};

/// Script that prints what [`parse`] reads. In a pod with the host's process ids, `/proc` is the node's.
///
/// `grep -H` puts the path before every line: a process whose name or command has a line break in it cannot pass for
/// another one. Processes that end meanwhile are left out (`-s`).
pub const SCRIPT: &str = "\
grep -aHs '' /proc/[0-9]*/stat
grep -aHsE '^(Uid|VmRSS):' /proc/[0-9]*/status
grep -aHs '^0::' /proc/[0-9]*/cgroup
echo --commands--
ps -e -o pid,args";

/// Ticks of a second in `/proc/PID/stat` (USER_HZ), the same on all of Linux's architectures that nodes run on.
const TICKS: u64 = 100;

/// Owner of a process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ProcessOwner {
    /// Thread of the kernel.
    Kernel,
    /// Unit of systemd.
    Unit(String),
    /// Pod: namespace and name, or its UID where the API server does not know it.
    Pod(String),
    /// Something else, by its control group.
    ControlGroup(String),
}

impl ProcessOwner {
    /// Text for a table.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Kernel => "(kernel)",
            Self::Unit(name) | Self::Pod(name) | Self::ControlGroup(name) => name,
        }
    }
}

/// Process of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessInfo {
    /// Process id on the node.
    pub pid: u32,
    /// Process id of the parent.
    pub parent: u32,
    /// User id on the node.
    pub user: u32,
    /// State, a letter of proc_pid_stat(5): `R`, `S`, `D`, `Z`.
    pub state: char,
    /// Number of threads.
    pub threads: u32,
    /// Processor time since its start, in milliseconds.
    pub cpu_milliseconds: u64,
    /// Memory that is resident, in bytes.
    pub resident: u64,
    /// Unit or pod.
    pub owner: ProcessOwner,
    /// Command with its arguments; the name in brackets for threads of the kernel.
    pub command: String,
}

/// Names of pods by their UIDs, from a list of Pod objects.
pub fn pod_names(pods: &Value) -> BTreeMap<String, String> {
    let name = |pod: &Value| {
        let uid = text(pod, "/metadata/uid")?;
        let name = format!("{}/{}", text(pod, "/metadata/namespace")?, text(pod, "/metadata/name")?);
        Some((uid, name))
    };
    list(pods, "/items").filter_map(name).collect()
}

/// Lines of one process.
#[derive(Debug, Default)]
struct Lines {
    stat: String,
    user: Option<u32>,
    resident: u64,
    cgroup: Option<String>,
}

/// Reads what [`SCRIPT`] printed. Lines that make no sense are left out: processes come and go meanwhile.
pub fn parse(text: &str, pods: &BTreeMap<String, String>) -> Vec<ProcessInfo> {
    let (facts, commands) = text.split_once("\n--commands--\n").unwrap_or((text, ""));
    let mut processes: BTreeMap<u32, Lines> = BTreeMap::new();
    for line in facts.lines() {
        let Some((pid, file, content)) = split(line) else {
            continue;
        };
        let lines = processes.entry(pid).or_default();
        match file {
            "stat" if lines.stat.is_empty() => content.clone_into(&mut lines.stat),
            // The rest of a name with a line break in it.
            "stat" => lines.stat = format!("{} {content}", lines.stat),
            "cgroup" => lines.cgroup = content.strip_prefix("0::").map(str::to_owned),
            _ => status(lines, content),
        }
    }
    let commands = commands_by_pid(commands);
    let info = |(pid, lines): (u32, Lines)| process(pid, &lines, &commands, pods);
    processes.into_iter().filter_map(info).collect()
}

/// Process id, file and content of a line that `grep -H` printed.
fn split(line: &str) -> Option<(u32, &str, &str)> {
    let (pid, rest) = line.strip_prefix("/proc/")?.split_once('/')?;
    let (file, content) = rest.split_once(':')?;
    Some((pid.parse().ok()?, file, content))
}

fn status(lines: &mut Lines, content: &str) {
    let mut words = content.split_whitespace();
    let key = words.next();
    let first = words.next();
    match key {
        Some("Uid:") => lines.user = first.and_then(|uid| uid.parse().ok()),
        Some("VmRSS:") => {
            let kib: Option<u64> = first.and_then(|kib| kib.parse().ok());
            lines.resident = kib.unwrap_or_default().saturating_mul(1024);
        }
        _ => {}
    }
}

fn commands_by_pid(text: &str) -> BTreeMap<u32, &str> {
    let line = |line: &'_ str| -> Option<(u32, usize)> {
        let trimmed = line.trim_start();
        let (pid, _) = trimmed.split_once(' ')?;
        Some((pid.parse().ok()?, line.len() - trimmed.len() + pid.len() + 1))
    };
    text.lines()
        .filter_map(|whole| {
            let (pid, start) = line(whole)?;
            Some((pid, whole.get(start..)?.trim()))
        })
        .collect()
}

fn process(
    pid: u32,
    lines: &Lines,
    commands: &BTreeMap<u32, &str>,
    pods: &BTreeMap<String, String>,
) -> Option<ProcessInfo> {
    // The name is in parentheses and may have some of its own: fields begin after the last one.
    let (before, fields) = lines.stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // Field 3 of proc_pid_stat(5) is the first one after the name.
    let number = |field: usize| -> Option<u64> { fields.get(field.checked_sub(3)?)?.parse().ok() };
    let flags = number(9)?;
    let is_kernel_thread = flags & 0x0020_0000 != 0;
    let command = match commands.get(&pid).filter(|command| !command.is_empty()) {
        Some(command) if !is_kernel_thread => (*command).to_owned(),
        _ => format!("[{name}]"),
    };
    Some(ProcessInfo {
        pid,
        parent: u32::try_from(number(4)?).ok()?,
        user: lines.user.unwrap_or_default(),
        state: fields.first()?.chars().next()?,
        threads: u32::try_from(number(20)?).ok()?,
        cpu_milliseconds: (number(14)?.saturating_add(number(15)?)).saturating_mul(1000 / TICKS),
        resident: lines.resident,
        owner: match is_kernel_thread {
            true => ProcessOwner::Kernel,
            false => owner(lines.cgroup.as_deref().unwrap_or("/"), pods),
        },
        command,
    })
}

/// Owner of a control group: the kubelet's folders have the UID of a pod in them, with underscores under systemd's driver.
fn owner(path: &str, pods: &BTreeMap<String, String>) -> ProcessOwner {
    let pod = path.split('/').find_map(|part| {
        let part = part.strip_suffix(".slice").unwrap_or(part);
        let (_, uid) = part.rsplit_once("pod")?;
        let uid = uid.replace('_', "-");
        (path.contains("kubepods") && uid.len() >= 32).then_some(uid)
    });
    if let Some(uid) = pod {
        return ProcessOwner::Pod(pods.get(&uid).cloned().unwrap_or(uid));
    }
    let is_unit = |part: &&str| part.ends_with(".service") || part.ends_with(".scope") || part.ends_with(".socket");
    match path.split('/').rev().find(is_unit) {
        Some(unit) => ProcessOwner::Unit(unit.to_owned()),
        None => ProcessOwner::ControlGroup(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const UID: &str = "0a1b2c3d-1111-2222-3333-444455556666";

    fn stat(pid: u32, name: &str, flags: u64) -> String {
        format!("/proc/{pid}/stat:{pid} ({name}) S 1 1 1 0 -1 {flags} 0 0 0 0 250 50 0 0 20 0 7 0 100 0 0\n")
    }

    fn sample() -> String {
        let mut text = stat(1, "systemd", 0x40_0100) + &stat(2, "kthreadd", 0x0020_8040);
        text += &stat(40, "a) (b", 0x40_0100);
        text += "/proc/50/stat:50 (evil\n/proc/50/stat:/proc/1/stat:1 (x) R 1) S 1 1 1 0 -1 4194560 0 0 0 0 1 1 0 0 20 0 1 0\n";
        text += "/proc/1/status:Uid:\t0\t0\t0\t0\n/proc/1/status:VmRSS:\t   12000 kB\n/proc/40/status:Uid:\t65532\t0\t0\t0\n";
        text += "/proc/1/cgroup:0::/init.scope\n/proc/2/cgroup:0::/\n";
        text += "/proc/40/cgroup:0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_1111_2222_3333_444455556666.slice/cri-containerd-abc.scope\n";
        text += "/proc/50/cgroup:0::/system.slice/kubelet.service\n--commands--\n";
        text + "  PID COMMAND\n    1 /usr/bin/init splash\n    2 [kthreadd]\n   40 /app --port=80\n"
    }

    #[test]
    fn processes_have_owners_and_commands() {
        let pods = json!({ "items": [{ "metadata": { "uid": UID, "namespace": "default", "name": "web-0" } }] });
        let processes = parse(&sample(), &pod_names(&pods));
        let shown: Vec<_> = processes
            .iter()
            .map(|process| (process.pid, process.owner.as_str(), process.command.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                (1, "init.scope", "/usr/bin/init splash"),
                (2, "(kernel)", "[kthreadd]"),
                (40, "default/web-0", "/app --port=80"),
                (50, "kubelet.service", "[evil /proc/1/stat:1 (x) R 1]"),
            ]
        );
        let first = processes.first().expect("one");
        assert_eq!(
            (first.resident, first.cpu_milliseconds, first.threads),
            (12_288_000, 3000, 7)
        );
        assert_eq!(processes.get(2).map(|process| process.user), Some(65532));
    }

    #[test]
    fn pods_that_are_not_known_have_their_uid() {
        let processes = parse(&sample(), &BTreeMap::new());
        assert_eq!(processes.get(2).map(|process| process.owner.as_str()), Some(UID));
        // The driver without systemd.
        let path = format!("/kubepods/besteffort/pod{UID}/abc");
        assert_eq!(owner(&path, &BTreeMap::new()), ProcessOwner::Pod(UID.to_owned()));
        assert_eq!(
            owner("/custom", &BTreeMap::new()),
            ProcessOwner::ControlGroup("/custom".to_owned())
        );
    }

    proptest! {
        /// Whatever a process calls itself, no line of it makes another one.
        #[test]
        fn names_do_not_make_processes(name in "[ -~\n]{0,40}") {
            let lines: Vec<_> = format!("7 ({name}) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0")
                .lines()
                .map(|line| format!("/proc/7/stat:{line}"))
                .collect();
            let processes = parse(&(lines.join("\n") + "\n--commands--\n"), &BTreeMap::new());
            prop_assert!(processes.iter().all(|process| process.pid == 7) && processes.len() <= 1);
        }

        #[test]
        fn anything_is_parsed(text in "(/proc/[0-9]{1,3}/(stat|status|cgroup):)?[ -~\n]{0,60}") {
            parse(&text, &BTreeMap::new());
        }
    }
}
