//! Check of the namespace in which mmdebstrap makes the SDK: for an ordinary user, with the user's sub-ids (subuid(5)).

use std::time::Duration;

use basalt_process::{Command, tool};
use basalt_sdk::{NAMESPACE_OF_ROOT as ROOT, NAMESPACE_OF_USER as USER};

use super::Context;
use super::outcome::ProgramOutcome;
use super::report::{CheckFinding, CheckStatus};
use super::sandbox::restrictions::Restrictions;

const NAME: &str = "sub-ids";
/// Option of unshare that util-linux has from 2.38 on.
const AUTO: &str = "--map-auto";
/// Time to make a namespace, which takes milliseconds.
const LIMIT: Duration = Duration::from_secs(10);
/// Number of ids that a Debian system uses: the last one, `nobody`, is 65534.
const RANGE: u64 = 65_536;
/// Shows the ids that are mapped in the namespace (user_namespaces(7)).
const PROGRAM: &[&str] = &["--", "cat", "/proc/self/uid_map", "/proc/self/gid_map"];
/// First sub-id that useradd gives out.
const FIRST: u64 = 100_000;

/// Findings about an ordinary user's sub-ids.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SubIds {
    /// Name of the user, which `/etc/subuid` may use; `None` for an id without an entry in passwd(5).
    name: Option<String>,
    /// Numeric id of the user.
    id: u32,
    /// Text of `/etc/subuid`.
    users: String,
    /// Text of `/etc/subgid`.
    groups: String,
    /// Outcome of `newuidmap` without arguments; missing where there is no such program.
    newuidmap: ProgramOutcome,
    /// `true` if set-user-ID programs do not work for this process.
    no_new_privileges: bool,
    /// Outcome of the program that shows the mapped ids in the namespace.
    namespace: ProgramOutcome,
}

/// Makes the namespace.
pub fn examine(context: &Context) -> Vec<CheckFinding> {
    let fault = context.sdk_fault();
    let run = |program: &str, arguments: &[&str]| {
        let command = Command::new(program).args(arguments).time_limit(LIMIT);
        ProgramOutcome::from(command.output())
    };
    let unshare = |options: &[&str]| run("unshare", &[options, PROGRAM].concat());
    if rustix::process::geteuid().is_root() {
        return vec![assess_root(&unshare(ROOT), fault)];
    }
    let read = |path: &str| fs_err::read_to_string(path).unwrap_or_default();
    let found = SubIds {
        name: match run("id", &["--user", "--name"]) {
            ProgramOutcome::Succeeded(name) => Some(name),
            _ => None,
        },
        id: rustix::process::getuid().as_raw(),
        users: read("/etc/subuid"),
        groups: read("/etc/subgid"),
        newuidmap: run(tool::NEWUIDMAP.program, &[]),
        no_new_privileges: Restrictions::read().no_new_privileges(),
        namespace: unshare(USER),
    };
    vec![assess_user(&found, fault)]
}

/// Makes the namespace of an ordinary user. Left out are failures that need not keep mmdebstrap from making the SDK in a
/// namespace of its own: those of root, and of an unshare before util-linux 2.38.
pub fn obstacles(context: &Context) -> Vec<CheckFinding> {
    if rustix::process::geteuid().is_root() {
        return Vec::new();
    }
    let mut findings = examine(context);
    findings.retain(|finding| !finding.result.contains(AUTO));
    findings
}

/// Assesses the attempt as root; `fault` is the status of a failure.
fn assess_root(outcome: &ProgramOutcome, fault: CheckStatus) -> CheckFinding {
    let tried = tried(ROOT);
    match outcome.failure() {
        None => CheckFinding::passed(NAME, tried, "it works; root needs no sub-ids"),
        Some(failure) => CheckFinding::new(NAME, fault, tried, failure)
            .means(
                &["sdk", "build", "up"],
                "root may not mount here, as in a container: mmdebstrap cannot make the SDK",
            )
            .help(
                "docker run --cap-add SYS_ADMIN --security-opt apparmor=unconfined    # or run it as an ordinary user",
            ),
    }
}

/// Assesses the attempt as an ordinary user; `fault` is the status of a failure.
fn assess_user(found: &SubIds, fault: CheckStatus) -> CheckFinding {
    let tried = tried(USER);
    let (result, help) = match &found.namespace {
        ProgramOutcome::Succeeded(maps) if last_mapped(maps) >= RANGE - 2 => {
            return CheckFinding::passed(NAME, tried, "it works");
        }
        ProgramOutcome::Succeeded(_) => explain(found, "too few ids are mapped"),
        failed => explain(found, failed.failure().unwrap_or_default()),
    };
    CheckFinding::new(NAME, fault, tried, result)
        .means(&["sdk", "build", "up"], "mmdebstrap cannot make the SDK without root")
        .help(help)
}

fn tried(options: &[&str]) -> String {
    format!("unshare {} {}", options.join(" "), PROGRAM.join(" "))
}

/// Returns the last id that is mapped in every one of the maps, whose lines are `inside outside count`; 0 if there is none.
fn last_mapped(maps: &str) -> u64 {
    let mut ends: Vec<u64> = Vec::new();
    for line in maps.lines() {
        let mut numbers = line
            .split_whitespace()
            .map(|number| number.parse::<u64>().unwrap_or_default());
        let (Some(inside), Some(_), Some(count)) = (numbers.next(), numbers.next(), numbers.next()) else {
            continue;
        };
        let end = inside.saturating_add(count);
        match ends.last_mut() {
            // Each map begins with root.
            Some(last) if inside != 0 => *last = end.max(*last),
            _ => ends.push(end),
        }
    }
    ends.into_iter().min().unwrap_or_default().saturating_sub(1)
}

/// Finds the cause of a failure, and the command that helps.
fn explain(found: &SubIds, failure: &str) -> (String, String) {
    if found.newuidmap == ProgramOutcome::Missing {
        return (
            "there is no newuidmap".to_owned(),
            "sudo apt-get install uidmap    # Debian, Ubuntu".to_owned(),
        );
    }
    // unshare and mmdebstrap go by the first of several lines.
    let (users, groups) = (found.first_range(&found.users), found.first_range(&found.groups));
    let count = |range: &Option<Range<'_>>| range.as_ref().map_or(0, |range| range.count);
    if count(&users) < RANGE || count(&groups) < RANGE {
        let result = format!(
            "the first range of /etc/subuid has {} sub-ids, that of /etc/subgid {}; {RANGE} are needed",
            count(&users),
            count(&groups)
        );
        return (result, found.new_ranges(users.or(groups).map(|range| range.owner)));
    }
    let help = if found.no_new_privileges {
        "no_new_privs is set, so that newuidmap gets no privileges: run it outside of this container or service, or \
         without its option no-new-privileges"
    } else if failure.contains(AUTO) {
        "install util-linux 2.38 or newer; or, if the SDK fails with \"Permission denied\": chmod o+x ~"
    } else {
        "ls -l $(command -v newuidmap newgidmap)    # both need set-user-ID or capabilities: reinstall uidmap"
    };
    (failure.to_owned(), help.to_owned())
}

impl SubIds {
    /// Returns the first range of the user in the text of `/etc/subuid` or `/etc/subgid`.
    fn first_range<'t>(&self, text: &'t str) -> Option<Range<'t>> {
        let id = self.id.to_string();
        ranges(text).find(|range| Some(range.owner) == self.name.as_deref() || range.owner == id)
    }

    /// Returns the command that gives the user a range in both files; `owner` is the user in lines that it replaces.
    fn new_ranges(&self, owner: Option<&str>) -> String {
        let Some(name) = &self.name else {
            let (id, command) = (self.id, "useradd --create-home --uid");
            return format!("sudo {command} {id} <name>    # the user id {id} has no entry in /etc/passwd");
        };
        let first = free(&self.users).max(free(&self.groups));
        let range = format!("{first}-{}", first + RANGE - 1);
        let removal = owner.map(|owner| format!("sed -i '/^{owner}:/d' /etc/subuid /etc/subgid; "));
        let removal = removal.unwrap_or_default();
        format!(
            "sudo sh -c \"touch /etc/subuid /etc/subgid; {removal}usermod --add-subuids {range} --add-subgids {range} \
             {name}\""
        )
    }
}

/// Range of sub-ids: a line `owner:first:count`.
#[derive(Debug)]
struct Range<'a> {
    owner: &'a str,
    first: u64,
    count: u64,
}

fn ranges(text: &str) -> impl Iterator<Item = Range<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        Some(Range {
            owner: fields.next()?,
            first: fields.next()?.parse().ok()?,
            count: fields.next()?.parse().ok()?,
        })
    })
}

/// Returns the first sub-id after all ranges.
fn free(text: &str) -> u64 {
    let ends = ranges(text).map(|range| range.first.saturating_add(range.count));
    ends.max().unwrap_or_default().max(FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(users: &str) -> SubIds {
        SubIds {
            name: Some("me".to_owned()),
            id: 1000,
            users: users.to_owned(),
            groups: users.to_owned(),
            newuidmap: ProgramOutcome::Failed("usage".to_owned()),
            no_new_privileges: false,
            namespace: ProgramOutcome::Failed("unshare: failed".to_owned()),
        }
    }

    #[test]
    fn ranges_that_are_missing_or_small_are_named_with_the_command() {
        let usermod = |first: u64, removal: &str| {
            let range = format!("{first}-{}", first + 65_535);
            format!(
                "sudo sh -c \"touch /etc/subuid /etc/subgid; {removal}usermod --add-subuids {range} --add-subgids \
                 {range} me\""
            )
        };
        let removal = "sed -i '/^me:/d' /etc/subuid /etc/subgid; ";
        for (users, help) in [
            ("", usermod(100_000, "")),
            ("other:100000:65536\n", usermod(165_536, "")),
            ("me:100000:10\n", usermod(100_010, removal)),
            ("me:100000:1000\nme:200000:65536\n", usermod(265_536, removal)),
            ("nonsense\nme:x:65536\n", usermod(100_000, "")),
        ] {
            let finding = assess_user(&failing(users), CheckStatus::Failed);
            assert_eq!(finding.help.as_deref(), Some(help.as_str()), "{users}");
        }
        for users in ["me:100000:65536\n", "1000:100000:65536\n"] {
            let finding = assess_user(&failing(users), CheckStatus::Failed);
            assert!(finding.help.is_some_and(|help| help.contains("newgidmap")), "{users}");
        }
    }

    #[test]
    fn the_namespace_has_to_map_all_ids() {
        let whole = "0 1000 1\n1 100000 65536\n";
        let few = "0 1000 1\n1 100000 10\n";
        for (maps, status) in [
            (format!("{whole}{whole}"), CheckStatus::Passed),
            (format!("{whole}{few}"), CheckStatus::Failed),
            (format!("{few}{whole}"), CheckStatus::Failed),
            ("0 1000 1\n0 1000 1\n".to_owned(), CheckStatus::Failed),
            (String::new(), CheckStatus::Failed),
        ] {
            let found = SubIds {
                namespace: ProgramOutcome::Succeeded(maps),
                ..failing("me:100000:10\n")
            };
            let finding = assess_user(&found, CheckStatus::Failed);
            assert_eq!(finding.status, status, "{finding}");
        }
    }

    #[test]
    fn other_causes_are_told_apart() {
        let right = failing("me:100000:65536\n");
        let missing = SubIds {
            newuidmap: ProgramOutcome::Missing,
            ..right.clone()
        };
        let privileges = SubIds {
            no_new_privileges: true,
            ..right.clone()
        };
        let old = SubIds {
            namespace: ProgramOutcome::Failed("unshare: unrecognized option '--map-auto'".to_owned()),
            ..right.clone()
        };
        let nameless = SubIds {
            name: None,
            ..failing("")
        };
        for (found, named) in [
            (&missing, "uidmap"),
            (&privileges, "no-new-privileges"),
            (&old, "util-linux"),
            (&nameless, "/etc/passwd"),
        ] {
            let finding = assess_user(found, CheckStatus::Failed);
            assert_eq!(finding.status, CheckStatus::Failed);
            assert!(
                finding.help.as_ref().is_some_and(|help| help.contains(named)),
                "{finding}"
            );
        }
    }

    #[test]
    fn root_may_fail_too() {
        let refused = ProgramOutcome::Failed("unshare: unshare failed: Operation not permitted".to_owned());
        assert_eq!(assess_root(&refused, CheckStatus::Failed).status, CheckStatus::Failed);
        assert_eq!(assess_root(&refused, CheckStatus::Warning).status, CheckStatus::Warning);
        assert_eq!(
            assess_root(&ProgramOutcome::Succeeded(String::new()), CheckStatus::Failed).status,
            CheckStatus::Passed
        );
    }
}
