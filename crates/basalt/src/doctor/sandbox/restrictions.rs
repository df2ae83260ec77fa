//! Restrictions that this process is under, and settings of the kernel that forbid namespaces: they explain a sandbox that
//! could not be made, and choose what helps. None of them decides whether one can be made.

use super::super::report::{BUILDING, CheckFinding, CheckStatus};

const NAME: &str = "restrictions";

/// Settings of the kernel that forbid user namespaces with a value, and the value that allows them.
const SETTINGS: &[(&str, u64, &str)] = &[
    ("kernel.apparmor_restrict_unprivileged_userns", 1, "0"),
    ("kernel.unprivileged_userns_clone", 0, "1"),
    ("user.max_user_namespaces", 0, "15000"),
    ("user.max_mnt_namespaces", 0, "15000"),
    ("user.max_pid_namespaces", 0, "15000"),
    ("user.max_net_namespaces", 0, "15000"),
];

/// Restrictions of this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restrictions {
    /// `true` under a seccomp filter.
    seccomp: bool,
    /// `true` if programs gain no privileges by execve: set-user-ID programs, such as newuidmap, do not work.
    no_new_privileges: bool,
    /// Label of the security module, such as `docker-default (enforce)`; `None` when unconfined.
    label: Option<String>,
    /// Settings that forbid namespaces, as indices into the table.
    forbidding: Vec<usize>,
}

impl Restrictions {
    /// Reads the restrictions; what cannot be read counts as none.
    pub fn read() -> Self {
        let read = |path: &str| fs_err::read_to_string(path).unwrap_or_default();
        let setting = |name: &str| read(&format!("/proc/sys/{}", name.replace('.', "/")));
        Self::parse(&read("/proc/self/status"), &read("/proc/self/attr/current"), setting)
    }

    fn parse(status: &str, label: &str, setting: impl Fn(&str) -> String) -> Self {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim).unwrap_or_default()
        };
        let label = label.trim_end_matches(['\n', '\0']);
        let forbidding = SETTINGS.iter().enumerate().filter_map(|(index, (name, forbids, _))| {
            let value: u64 = setting(name).trim().parse().ok()?;
            (value == *forbids).then_some(index)
        });
        Self {
            seccomp: field("Seccomp:") == "2",
            no_new_privileges: field("NoNewPrivs:") == "1",
            label: (!label.is_empty() && !label.starts_with("unconfined")).then(|| label.to_owned()),
            forbidding: forbidding.collect(),
        }
    }

    /// Returns `true` if set-user-ID programs do not work.
    pub fn no_new_privileges(&self) -> bool {
        self.no_new_privileges
    }

    /// Commands that allow namespaces.
    pub fn help(&self) -> String {
        let settings = self.forbidding.iter().filter_map(|index| SETTINGS.get(*index));
        let mut lines: Vec<_> = settings
            .map(|(name, _, allows)| format!("sudo sysctl -w {name}={allows}"))
            .collect();
        if lines.is_empty() {
            lines.push("docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined".to_owned());
            lines.push("RestrictNamespaces=no    # in a service of systemd".to_owned());
        }
        lines.join("\n")
    }

    /// Assesses the restrictions, which matter only where a sandbox failed.
    pub fn assess(&self, sandboxes_work: bool) -> CheckFinding {
        let tried = "read /proc/self/status, /proc/self/attr/current, /proc/sys";
        let mut found: Vec<String> = Vec::new();
        found.extend(self.seccomp.then(|| "a seccomp filter".to_owned()));
        found.extend(self.no_new_privileges.then(|| "no_new_privs".to_owned()));
        found.extend(self.label.as_ref().map(|label| format!("the security label `{label}`")));
        let settings = self.forbidding.iter().filter_map(|index| SETTINGS.get(*index));
        found.extend(settings.map(|(name, value, _)| format!("{name}={value}")));
        let result = if found.is_empty() {
            "none".to_owned()
        } else {
            found.join(", ")
        };
        if sandboxes_work || found.is_empty() {
            return CheckFinding::passed(NAME, tried, result);
        }
        CheckFinding::new(NAME, CheckStatus::Warning, tried, result)
            .means(BUILDING, "this may be why a sandbox could not be made")
            .help(self.help())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restrictions_are_parsed() {
        let none = Restrictions::parse("Seccomp:\t0\nNoNewPrivs:\t0\n", "unconfined\n", |_| String::new());
        assert_eq!(none, Restrictions::default());
        let setting = |name: &str| match name {
            "kernel.apparmor_restrict_unprivileged_userns" => "1\n".to_owned(),
            "user.max_user_namespaces" => "31254\n".to_owned(),
            _ => String::new(),
        };
        let all = Restrictions::parse("NoNewPrivs:\t1\nSeccomp:\t2\n", "docker-default (enforce)\n", setting);
        assert!(all.seccomp && all.no_new_privileges, "{all:?}");
        assert_eq!(all.label.as_deref(), Some("docker-default (enforce)"));
        assert_eq!(
            all.help(),
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        );
        assert_eq!(Restrictions::parse("", "", |_| String::new()), none);
    }

    #[test]
    fn restrictions_matter_only_where_a_sandbox_failed() {
        let restricted = Restrictions {
            seccomp: true,
            ..Restrictions::default()
        };
        assert_eq!(restricted.assess(true).status, CheckStatus::Passed);
        assert_eq!(restricted.assess(false).status, CheckStatus::Warning);
        assert_eq!(Restrictions::default().assess(false).status, CheckStatus::Passed);
    }
}
