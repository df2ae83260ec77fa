//! Record of the latest build of each package, to show which input caused a rebuild.

use basalt_action::{Encoded, proto};
use basalt_digest::{Digest, Hasher};
use basalt_release::Arch;
use basalt_store::Store;
use prost::Message as _;
use serde::{Deserialize, Serialize};

/// An input that differs between two builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputDifference {
    /// Name of the input: an argument, a variable, a property, a limit, or the path of a file or folder.
    pub what: String,
    /// Earlier value: text, or the digest of a file or folder; none where the input is new.
    pub before: Option<String>,
    /// Current value; none where the input was removed.
    pub now: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Latest {
    action: Digest,
}

fn name(package: &str, arch: Arch) -> Digest {
    let mut hasher = Hasher::new();
    hasher.fact("latest build of", package).fact("arch", arch.name());
    hasher.finish()
}

/// Records the action that built a package.
pub(crate) fn remember(package: &str, arch: Arch, action: &Encoded, store: &Store) {
    let latest = Latest {
        action: action.key.digest,
    };
    if let Err(error) = store.set_result(&name(package, arch), &latest) {
        tracing::debug!(%error, "the next explanation has nothing to compare with");
    }
}

/// Returns the key of the action that built a package the last time in this store.
pub(crate) fn recall(package: &str, arch: Arch, store: &Store) -> Option<Digest> {
    let latest: Latest = store.result(&name(package, arch))?;
    Some(latest.action)
}

/// Reader of messages by their digests; none where a message is not kept.
pub(crate) type Messages<'a> = &'a dyn Fn(&Digest) -> Option<Vec<u8>>;

/// Returns the differences between two actions, part by part. Folders are compared entry by entry as far as their
/// messages are known; others are reported as different. None when one of the actions is not kept.
pub(crate) fn differences(before: &Digest, now: &Digest, messages: Messages<'_>) -> Option<Vec<InputDifference>> {
    let action = |digest: &Digest| proto::Action::decode(messages(digest)?.as_slice()).ok();
    let (before, now) = (action(before)?, action(now)?);
    let mut found = Vec::new();
    let of = |digest: &Option<proto::Digest>| digest.as_ref()?.hash.parse::<Digest>().ok();
    let command = |action: &proto::Action| {
        let bytes = messages(&of(&action.command_digest)?)?;
        proto::Command::decode(bytes.as_slice()).ok()
    };
    compare_commands(&command(&before)?, &command(&now)?, &mut found);
    compare_platforms(&before, &now, &mut found);
    let roots = (of(&before.input_root_digest)?, of(&now.input_root_digest)?);
    compare_folders("", &roots.0, &roots.1, messages, &mut found);
    Some(found)
}

fn compare_commands(before: &proto::Command, now: &proto::Command, found: &mut Vec<InputDifference>) {
    let join = |words: &[String]| words.iter().map(basalt_process::quote).collect::<Vec<_>>().join(" ");
    let variables = |command: &proto::Command| {
        let variables = command.environment_variables.iter();
        pairs(variables.map(|variable| (format!("variable {}", variable.name), variable.value.clone())))
    };
    let mut lists = (variables(before), variables(now));
    for (command, list) in [(before, &mut lists.0), (now, &mut lists.1)] {
        list.insert("arguments".to_owned(), join(&command.arguments));
        list.insert("outputs".to_owned(), join(&command.output_paths));
        list.insert("working directory".to_owned(), command.working_directory.clone());
    }
    compare(&lists.0, &lists.1, found);
}

fn compare_platforms(before: &proto::Action, now: &proto::Action, found: &mut Vec<InputDifference>) {
    let properties = |action: &proto::Action| {
        let properties = action.platform.iter().flat_map(|platform| &platform.properties);
        let mut list =
            pairs(properties.map(|property| (format!("platform {}", property.name), property.value.clone())));
        if let Some(timeout) = &action.timeout {
            list.insert("limit of time".to_owned(), format!("{} s", timeout.seconds));
        }
        list
    };
    compare(&properties(before), &properties(now), found);
}

type Pairs = std::collections::BTreeMap<String, String>;

fn pairs(items: impl Iterator<Item = (String, String)>) -> Pairs {
    items.collect()
}

fn compare(before: &Pairs, now: &Pairs, found: &mut Vec<InputDifference>) {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    for name in names {
        let (one, other) = (before.get(name), now.get(name));
        if one != other {
            found.push(InputDifference {
                what: name.clone(),
                before: one.cloned(),
                now: other.cloned(),
            });
        }
    }
}

fn compare_folders(
    path: &str,
    before: &Digest,
    now: &Digest,
    messages: Messages<'_>,
    found: &mut Vec<InputDifference>,
) {
    if before == now {
        return;
    }
    let read = |digest: &Digest| proto::Directory::decode(messages(digest)?.as_slice()).ok();
    let (Some(one), Some(other)) = (read(before), read(now)) else {
        found.push(InputDifference {
            what: path.to_owned(),
            before: Some(before.to_string()),
            now: Some(now.to_string()),
        });
        return;
    };
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}/{name}"),
    };
    let hash = |digest: &Option<proto::Digest>| digest.as_ref().map(|digest| digest.hash.clone()).unwrap_or_default();
    let entries = |directory: &proto::Directory| {
        let files = directory.files.iter().map(|file| {
            let mode = if file.is_executable { " (executable)" } else { "" };
            (below(&file.name), hash(&file.digest) + mode)
        });
        let links = directory.symlinks.iter();
        let links = links.map(|link| (below(&link.name), format!("link to {}", link.target)));
        pairs(files.chain(links))
    };
    compare(&entries(&one), &entries(&other), found);
    let folders = |directory: &proto::Directory| {
        let folders = directory.directories.iter();
        pairs(folders.map(|folder| (folder.name.clone(), hash(&folder.digest))))
    };
    let (one, other) = (folders(&one), folders(&other));
    let names: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for name in names {
        let digest = |list: &Pairs| list.get(name).and_then(|hash| hash.parse::<Digest>().ok());
        match (digest(&one), digest(&other)) {
            (Some(before), Some(now)) => compare_folders(&below(name), &before, &now, messages, found),
            (before, now) => found.push(InputDifference {
                what: below(name),
                before: before.map(|digest| digest.to_string()),
                now: now.map(|digest| digest.to_string()),
            }),
        }
    }
}
