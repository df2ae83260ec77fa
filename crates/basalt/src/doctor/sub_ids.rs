//! Check of the namespace in which mmdebstrap makes the SDK: for an ordinary user, with the user's sub-ids (subuid(5)).

use std::time::Duration;

use basalt_process::{Command, tool};

use super::Context;
use super::outcome::Outcome;
use super::report::{Finding, Status};
use super::sandbox::restrictions::Restrictions;

const NAME: &str = "sub-ids";
/// Time to make a namespace, which takes milliseconds.
const LIMIT: Duration = Duration::from_secs(10);
/// Number of ids that a Debian system uses.
const RANGE: u64 = 65_536;
/// First sub-id that useradd gives out.
const FIRST: u64 = 100_000;

/// Options of unshare(1) for an ordinary user, as the SDK's installation uses them.
const USER: &[&str] = &[
    "--user",
    "--map-root-user",
    "--map-auto",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
];
/// Options for root.
const ROOT: &[&str] = &["--mount"];

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
    newuidmap: Outcome,
    /// `true` if set-user-ID programs do not work for this process.
    no_new_privileges: bool,
    /// Outcome of a program in the namespace.
    namespace: Outcome,
}

/// Makes the namespace.
pub fn examine(context: &Context) -> Vec<Finding> {
    let fault = context.sdk_fault();
    let run = |program: &str, arguments: &[&str]| {
        let command = Command::new(program).args(arguments).time_limit(LIMIT);
        Outcome::from(command.output())
    };
    let unshare = |options: &[&str]| run("unshare", &[options, &["--", "true"]].concat());
    if rustix::process::geteuid().is_root() {
        return vec![judge_root(&unshare(ROOT), fault)];
    }
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let found = SubIds {
        name: match run("id", &["--user", "--name"]) {
            Outcome::Succeeded(name) => Some(name),
            _ => None,
        },
        id: rustix::process::getuid().as_raw(),
        users: read("/etc/subuid"),
        groups: read("/etc/subgid"),
        newuidmap: run(tool::NEWUIDMAP.program, &[]),
        no_new_privileges: Restrictions::read().no_new_privileges(),
        namespace: unshare(USER),
    };
    vec![judge_user(&found, fault)]
}

/// Judges the attempt as root; `fault` is the status of a failure.
fn judge_root(outcome: &Outcome, fault: Status) -> Finding {
    let tried = format!("unshare {} -- true", ROOT.join(" "));
    match outcome.failure() {
        None => Finding::passed(NAME, tried, "it works; root needs no sub-ids"),
        Some(failure) => Finding::new(NAME, fault, tried, failure)
            .means(
                &["sdk", "build", "up"],
                "root may not mount here, as in a container: mmdebstrap cannot make the SDK",
            )
            .help(
                "docker run --cap-add SYS_ADMIN --security-opt apparmor=unconfined    # or run it as an ordinary user",
            ),
    }
}

/// Judges the attempt as an ordinary user; `fault` is the status of a failure.
fn judge_user(found: &SubIds, fault: Status) -> Finding {
    let tried = format!("unshare {} -- true", USER.join(" "));
    let Some(failure) = found.namespace.failure() else {
        return Finding::passed(NAME, tried, "it works");
    };
    let (result, help) = explain(found, failure);
    Finding::new(NAME, fault, tried, result)
        .means(&["sdk", "build", "up"], "mmdebstrap cannot make the SDK without root")
        .help(help)
}

/// Finds the cause of a failure, and the command that helps.
fn explain(found: &SubIds, failure: &str) -> (String, String) {
    if found.newuidmap == Outcome::Missing {
        return (
            "there is no newuidmap".to_owned(),
            "sudo apt-get install uidmap    # Debian, Ubuntu".to_owned(),
        );
    }
    let name = found.name.clone().unwrap_or_else(|| found.id.to_string());
    let largest = |text: &str| {
        let own = ranges(text).filter(|range| range.owner == name || range.owner == found.id.to_string());
        own.map(|range| range.count).max().unwrap_or_default()
    };
    let (users, groups) = (largest(&found.users), largest(&found.groups));
    if users < RANGE || groups < RANGE {
        let result = format!(
            "{name} has {users} sub-ids in one range of /etc/subuid and {groups} of /etc/subgid; {RANGE} are needed"
        );
        if found.name.is_none() {
            let help = "give the user an entry in /etc/passwd, then: sudo usermod --add-subuids ...".to_owned();
            return (result + ", and the id has no entry in /etc/passwd", help);
        }
        let first = free(&found.users).max(free(&found.groups));
        let range = format!("{first}-{}", first + RANGE - 1);
        return (
            result,
            format!("sudo usermod --add-subuids {range} --add-subgids {range} {name}"),
        );
    }
    if found.no_new_privileges {
        return (
            format!("{failure}\nno_new_privs is set: newuidmap gets no privileges"),
            "run it outside of this container or service, or without its option no-new-privileges".to_owned(),
        );
    }
    if failure.contains("--map-auto") {
        return (
            failure.to_owned(),
            "install util-linux 2.38 or newer; or, if the SDK fails with \"Permission denied\": chmod o+x ~".to_owned(),
        );
    }
    (
        failure.to_owned(),
        "ls -l $(command -v newuidmap newgidmap)    # both need set-user-ID or capabilities: reinstall uidmap"
            .to_owned(),
    )
}

/// Range of sub-ids: a line `owner:first:count`.
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
            newuidmap: Outcome::Failed("usage".to_owned()),
            no_new_privileges: false,
            namespace: Outcome::Failed("unshare: failed".to_owned()),
        }
    }

    #[test]
    fn options_are_those_of_the_installation() {
        let source = include_str!("../../../sdk/src/installation.rs");
        for option in USER.iter().chain(ROOT) {
            assert!(source.contains(&format!("\"{option}\"")), "{option}");
        }
    }

    #[test]
    fn ranges_that_are_missing_or_small_are_named_with_the_command() {
        let usermod = |first: u64| {
            let last = first + 65_535;
            format!("sudo usermod --add-subuids {first}-{last} --add-subgids {first}-{last} me")
        };
        for (users, help) in [
            ("", usermod(100_000)),
            ("other:100000:65536\n", usermod(165_536)),
            ("me:100000:10\n", usermod(100_010)),
            ("me:100000:1000\nme:200000:1000\n", usermod(201_000)),
            ("nonsense\nme:x:65536\n", usermod(100_000)),
        ] {
            let finding = judge_user(&failing(users), Status::Failed);
            assert_eq!(finding.help.as_deref(), Some(help.as_str()), "{users}");
        }
        for users in ["me:100000:65536\n", "1000:100000:65536\n"] {
            let finding = judge_user(&failing(users), Status::Failed);
            assert!(finding.help.is_some_and(|help| help.contains("newgidmap")), "{users}");
        }
    }

    #[test]
    fn other_causes_are_told_apart() {
        let right = failing("me:100000:65536\n");
        let missing = SubIds {
            newuidmap: Outcome::Missing,
            ..right.clone()
        };
        let privileges = SubIds {
            no_new_privileges: true,
            ..right.clone()
        };
        let old = SubIds {
            namespace: Outcome::Failed("unshare: unrecognized option '--map-auto'".to_owned()),
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
            let finding = judge_user(found, Status::Failed);
            assert_eq!(finding.status, Status::Failed);
            assert!(
                finding.help.as_ref().is_some_and(|help| help.contains(named)),
                "{finding}"
            );
        }
        let works = SubIds {
            namespace: Outcome::Succeeded(String::new()),
            ..failing("")
        };
        assert_eq!(judge_user(&works, Status::Failed).status, Status::Passed);
    }

    #[test]
    fn root_may_fail_too() {
        let refused = Outcome::Failed("unshare: unshare failed: Operation not permitted".to_owned());
        assert_eq!(judge_root(&refused, Status::Failed).status, Status::Failed);
        assert_eq!(judge_root(&refused, Status::Warning).status, Status::Warning);
        assert_eq!(
            judge_root(&Outcome::Succeeded(String::new()), Status::Failed).status,
            Status::Passed
        );
    }
}
