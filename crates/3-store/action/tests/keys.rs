//! Keys: any change of an action is another key, and the encoding is REAPI's canonical one.

#![cfg(test)]

use std::collections::BTreeMap;

use basalt_action::{
    Action, ActionLimits, ActionResult, Blob, Directory, Execution, Node, OutputDirectory, OutputFile, proto,
};
use bazel_remote_apis as _;
use proptest::prelude::*;
use prost::Message as _;

/// A file tree: paths with content and mode.
type Files = BTreeMap<String, (String, u32)>;

fn directory(files: &Files) -> Directory {
    let mut directory = Directory::new();
    for (path, (content, mode)) in files {
        let blob = Blob::of(content);
        directory
            .insert(path, Node::File { blob, mode: *mode })
            .expect("paths of the strategy are no prefixes of each other");
    }
    directory
}

fn files() -> impl Strategy<Value = Files> {
    // Folders and files have names of their own, so that no file is in the way of a folder.
    let path = "([a-c]{1,2}/){0,2}[x-z]{1,3}";
    let mode = prop::sample::select(vec![0o644_u32, 0o755, 0o600, 0o444, 0o4755]);
    prop::collection::btree_map(path, ("[a-z]{0,5}", mode), 1..8)
}

fn limits() -> impl Strategy<Value = ActionLimits> {
    let some = || prop::option::of(1_u64..1_000_000);
    (some(), some(), some(), some()).prop_map(|(seconds, memory, processes, disk)| ActionLimits {
        seconds,
        memory,
        processes,
        disk,
    })
}

fn actions() -> impl Strategy<Value = Action> {
    let strings = || prop::collection::vec("[a-z-]{1,6}", 0..4);
    let map = || prop::collection::btree_map("[A-Z]{1,4}", "[a-z]{0,4}", 0..4);
    (strings(), map(), "[a-z]{0,4}", files(), strings(), limits(), map()).prop_map(
        |(arguments, environment, working_directory, files, outputs, limits, platform)| Action {
            arguments,
            environment,
            working_directory,
            inputs: directory(&files),
            outputs: outputs.into_iter().collect(),
            limits,
            platform,
        },
    )
}

/// Every action that differs from one in a single part.
fn changed(action: &Action) -> Vec<(&'static str, Action)> {
    let mut all = Vec::new();
    let mut add = |what, change: &dyn Fn(&mut Action)| {
        let mut other = action.clone();
        change(&mut other);
        all.push((what, other));
    };
    add("an argument", &|action| action.arguments.push("more".to_owned()));
    add("the order of arguments", &|action| {
        action.arguments.splice(0..0, ["one".to_owned(), "two".to_owned()]);
    });
    add("the other order of arguments", &|action| {
        action.arguments.splice(0..0, ["two".to_owned(), "one".to_owned()]);
    });
    add("a variable", &|action| {
        action.environment.insert("MORE".to_owned(), String::new());
    });
    add("a variable's value", &|action| {
        action.environment.insert("MORE".to_owned(), "x".to_owned());
    });
    add("the working directory", &|action| action.working_directory.push('x'));
    add("an output", &|action| {
        action.outputs.insert("more".to_owned());
    });
    add("a property", &|action| {
        action.platform.insert("more".to_owned(), String::new());
    });
    for (what, limit) in [
        (
            "time",
            (|limits| &mut limits.seconds) as fn(&mut ActionLimits) -> &mut Option<u64>,
        ),
        ("memory", |limits| &mut limits.memory),
        ("processes", |limits| &mut limits.processes),
        ("disk", |limits| &mut limits.disk),
    ] {
        add(what, &|action| *limit(&mut action.limits) = Some(2_000_000));
    }
    add("a file", &|action| insert(action, "more", Blob::of("a"), 0o644));
    add("a file's content", &|action| {
        insert(action, "more", Blob::of("b"), 0o644)
    });
    add("a file's mode", &|action| insert(action, "more", Blob::of("a"), 0o755));
    add("a file's other mode", &|action| {
        insert(action, "more", Blob::of("a"), 0o600)
    });
    add("a file's place", &|action| {
        insert(action, "further/more", Blob::of("a"), 0o644)
    });
    add("a link", &|action| {
        let target = "a".to_owned();
        action
            .inputs
            .insert("more", Node::Symlink { target })
            .expect("a new name");
    });
    add("a directory", &|action| {
        let node = Node::Directory(Directory::new());
        action.inputs.insert("more", node).expect("a new name");
    });
    add("a directory's mode", &|action| {
        let mut directory = Directory::new();
        directory.set_mode(0o700);
        action
            .inputs
            .insert("more", Node::Directory(directory))
            .expect("a new name");
    });
    all
}

fn insert(action: &mut Action, path: &str, blob: Blob, mode: u32) {
    action
        .inputs
        .insert(path, Node::File { blob, mode })
        .expect("a new name");
}

proptest! {
    /// A change of any one part is another key, and no two changes are the same key.
    #[test]
    fn any_change_is_another_key(action in actions()) {
        let mut keys = BTreeMap::from([(action.key(), "nothing")]);
        for (what, other) in changed(&action) {
            if let Some(same) = keys.insert(other.key(), what) {
                prop_assert!(false, "{what} and {same} have one key");
            }
        }
    }

    /// A change of any one file among many is another key.
    #[test]
    fn any_file_counts(files in files(), pick in any::<prop::sample::Index>(), mode in prop::bool::ANY) {
        let path = pick.get(&files.keys().cloned().collect::<Vec<_>>()).clone();
        let before = directory(&files).blob();
        let mut changed = files;
        let (content, modes) = changed.get_mut(&path).expect("picked");
        if mode { *modes ^= 0o100 } else { content.push('!') }
        prop_assert_ne!(directory(&changed).blob(), before);
    }

    /// The encoding is canonical: what was encoded is decoded and encoded to the same bytes, with everything sorted.
    #[test]
    fn the_encoding_is_canonical(action in actions()) {
        let encoded = action.encode();
        let message = |blob: &Blob| &encoded.messages[blob];
        let decoded = proto::Action::decode(message(&encoded.key).as_slice()).expect("an Action");
        prop_assert_eq!(&decoded.encode_to_vec(), message(&encoded.key));
        let command = proto::Command::decode(message(&encoded.command).as_slice()).expect("a Command");
        let names: Vec<_> = command.environment_variables.iter().map(|variable| &variable.name).collect();
        prop_assert!(names.is_sorted());
        prop_assert!(command.output_paths.is_sorted());
        for (blob, bytes) in &encoded.messages {
            prop_assert_eq!(*blob, Blob::of(bytes));
        }
        let root = proto::Directory::decode(message(&encoded.input_root).as_slice()).expect("a Directory");
        prop_assert!(root.files.iter().map(|node| &node.name).is_sorted());
        prop_assert!(root.directories.iter().map(|node| &node.name).is_sorted());
    }

    /// A directory is the same after its way through a Tree message.
    #[test]
    fn a_directory_survives_its_message(files in files()) {
        let directory = directory(&files);
        let tree = directory.merkle_tree();
        prop_assert_eq!(Directory::from_tree(&tree.tree).expect("a Tree"), directory);
    }

    /// Messages of others are read or refused, never more.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Directory::from_tree(&bytes));
        drop(ActionResult::decode(&bytes));
    }
}

/// Length of a message of fewer than 128 bytes, as a varint.
fn length(message: &[u8]) -> u8 {
    u8::try_from(message.len()).expect("short")
}

#[test]
fn the_key_is_the_one_that_others_compute() {
    // The empty Directory of REAPI is the empty message: its digest is that of no bytes.
    assert_eq!(Directory::new().blob(), Blob::of(""));
    // `FileNode` by hand: field 1 (name), 2 (digest: hash, size), 4 (is_executable).
    let mut directory = Directory::new();
    let blob = Blob::of("x");
    directory.insert("a", Node::File { blob, mode: 0o755 }).expect("a name");
    let mut digest = vec![0x0a, 64];
    digest.extend(blob.digest.to_hex().bytes());
    digest.extend([0x10, 1]);
    let mut file = vec![0x0a, 1, b'a', 0x12, length(&digest)];
    file.extend(&digest);
    file.extend([0x20, 1]);
    let mut message = vec![0x0a, length(&file)];
    message.extend(&file);
    assert_eq!(directory.blob(), Blob::of(message));
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    for path in ["", "/a", "a//b", "..", "a/../b", "./a", "a/", "a\0b"] {
        let node = Node::Symlink { target: "x".to_owned() };
        assert!(Directory::new().insert(path, node).is_err(), "{path:?}");
    }
    let mut directory = Directory::new();
    let file = || Node::File {
        blob: Blob::of(""),
        mode: 0o644,
    };
    directory.insert("a", file()).expect("new");
    assert!(directory.insert("a", file()).is_err());
    assert!(directory.insert("a/b", file()).is_err());
}

#[test]
fn a_result_survives_its_message() {
    let result = ActionResult {
        files: vec![OutputFile {
            path: "build/RPMS/a.rpm".to_owned(),
            blob: Blob::of("rpm"),
            is_executable: false,
        }],
        directories: vec![OutputDirectory {
            path: String::new(),
            tree: Blob::of("tree"),
            root: Blob::of("root"),
        }],
        stdout: b"words".to_vec(),
        execution: Execution {
            started: 100,
            ended: 160,
            cpu_seconds: 90.5,
            peak_memory: 1 << 30,
        },
        signer: Some("team:cvIScA+F".to_owned()),
    };
    assert_eq!(ActionResult::decode(&result.encode()).expect("read"), result);
    let unsigned = ActionResult {
        signer: None,
        ..result.clone()
    };
    assert_eq!(ActionResult::decode(&unsigned.encode()).expect("read"), unsigned);
    assert_eq!(result.execution.seconds(), 60);
    let failed = proto::ActionResult {
        exit_code: 1,
        ..result.to_proto()
    };
    assert!(ActionResult::decode(&failed.encode_to_vec()).is_err());
}
