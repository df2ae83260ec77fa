//! Sysctls of pods: those that have a namespace, so that a pod can have a value of its own.

use crate::finder::Finder;
use basalt_document::{Finding, Path};

/// Namespaced sysctls, and the beginnings that Kubernetes takes for several (`nameToNamespace` of
/// `k8s.io/component-helpers/node/util/sysctl/namespace.go`, 1.37.2).
const NAMES: &[&str] = &[
    "kernel.domainname",
    "kernel.msg",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shm",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
];

/// Beginnings of names all of which are namespaced (`prefixToNamespace`).
const PREFIXES: &[&str] = &["fs.mqueue.", "net.", "user."];

/// The longest name (`sysctlMaxLength`).
const LONGEST: usize = 253;

/// Patterns of `allowedUnsafeSysctls`: `NewAllowlist` of `pkg/kubelet/sysctl/allowlist.go`.
pub(super) fn patterns(finder: &mut Finder<'_>, path: &Path, patterns: &[String]) {
    for (index, pattern) in patterns.iter().enumerate() {
        let name = pattern.strip_suffix('*').unwrap_or(pattern);
        // The last part may consist of `*` alone.
        let whole = name
            .strip_suffix(['.', '/'])
            .filter(|_| name != pattern)
            .unwrap_or(name);
        let finding = if !is_name(whole) {
            misspelt(pattern)
        } else if !is_namespaced(&normalized(name)) {
            without_namespace(pattern)
        } else {
            continue;
        };
        finder.say(&path.index(index), finding);
    }
}

/// Objection to a sysctl that all pods shall have (`defaultPodSysctls` in
/// `pkg/kubelet/apis/config/validation/validation.go`).
pub(super) fn wrong_default(name: &str) -> Option<Finding> {
    if !is_name(name) {
        return Some(misspelt(name));
    }
    (!is_namespaced(&normalized(name))).then(|| without_namespace(name))
}

fn misspelt(pattern: &str) -> Finding {
    Finding::error(format!("`{pattern}` is not the name of a sysctl"), "not a name")
        .with_help("write lower-case words with dots between them: `net.core.somaxconn`, `net.ipv4.*`")
}

fn without_namespace(pattern: &str) -> Finding {
    let finding = Finding::error(
        format!("`{pattern}` is not of a namespace: no pod can have a value of its own"),
        "the kubelet would not start",
    );
    finding.with_help(
        "pods may set `kernel.shm*`, `kernel.msg*`, `kernel.sem`, `fs.mqueue.*` and `net.*`; \
         write others below `sysctls`, for the whole node",
    )
}

/// The name with dots between its parts. As with `sysctl`, the first of `.` and `/` says which of them parts it.
pub(super) fn normalized(name: &str) -> String {
    let swapped = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    match name.chars().find(|c| matches!(c, '.' | '/')) {
        Some('/') => name.chars().map(swapped).collect(),
        _ => name.to_owned(),
    }
}

fn is_namespaced(name: &str) -> bool {
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Returns `true` if a name is made of words of lower-case letters, digits, and `-` and `_` within.
fn is_name(name: &str) -> bool {
    let word = |word: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        word.starts_with(outer) && word.ends_with(outer) && word.chars().all(inner)
    };
    name.len() < LONGEST && name.split(['.', '/']).all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in [
            "net.core.somaxconn",
            "net/ipv4/conf/eth0.1/rp_filter",
            "kernel.shm_rmid_forced",
        ] {
            assert!(wrong_default(good).is_none(), "{good}");
        }
        for bad in [
            "",
            "net.",
            "vm.swappiness",
            "kernel.shmm",
            "net.Core",
            "net core",
            "net",
        ] {
            assert!(wrong_default(bad).is_some(), "{bad}");
        }
    }
}
