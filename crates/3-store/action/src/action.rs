//! All that decides what a command makes: REAPI's `Action` and `Command`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use basalt_digest::Hasher;
use bazel_remote_apis::google::protobuf::Duration;
use prost::Message as _;

use crate::{Blob, Directory, proto};

/// A command with everything that decides what it makes. Two actions are the same if and only if they have the same key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Action {
    /// The program and its arguments. A function of this toolkit instead of a program is named `basalt:<function>`, and its
    /// code's digest stands in [`platform`](Self::platform).
    pub arguments: Vec<String>,
    /// The environment variables, all of them.
    pub environment: BTreeMap<String, String>,
    /// The folder that the command starts in, below the input root.
    pub working_directory: String,
    /// The input root.
    pub inputs: Directory,
    /// Paths of what it makes, below the working directory.
    pub outputs: BTreeSet<String>,
    /// The bounds within which it must stay.
    pub limits: ActionLimits,
    /// Platform that the action runs on: REAPI properties by name, such as `arch`.
    pub platform: BTreeMap<String, String>,
}

/// Bounds of a command; reaching one ends it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ActionLimits {
    /// Seconds from start to end.
    pub seconds: Option<u64>,
    /// Bytes of memory of all its processes together.
    pub memory: Option<u64>,
    /// Processes and threads at the same time.
    pub processes: Option<u64>,
    /// Bytes that it may have written and not removed.
    pub disk: Option<u64>,
}

/// An action as messages.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Name of the `Action` message: the key.
    pub key: Blob,
    /// Name of the `Command` message.
    pub command: Blob,
    /// Name of the input root's `Directory` message.
    pub input_root: Blob,
    /// All messages by their digests.
    pub messages: HashMap<Blob, Vec<u8>>,
}

impl ActionLimits {
    /// The bounds as platform properties; the time has a field of its own in the message.
    fn properties(&self) -> impl Iterator<Item = (String, String)> {
        [
            ("limit-memory-bytes", self.memory),
            ("limit-processes", self.processes),
            ("limit-disk-bytes", self.disk),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_string())))
    }
}

impl Action {
    /// A pure function of this toolkit, by name and by the source text of the modules that it is (`include_str!`): what it
    /// makes follows from these and from its inputs. So no version of a recipe has to be raised by hand.
    pub fn function(name: &str, code: &[&str], inputs: Directory) -> Self {
        let mut hasher = Hasher::new();
        for module in code {
            hasher.fact("module", module);
        }
        Self {
            arguments: vec![format!("basalt:{name}")],
            platform: BTreeMap::from([("code".to_owned(), hasher.finish().to_hex())]),
            inputs,
            ..Self::default()
        }
    }

    /// The messages in their canonical encoding: fields in order, variables, properties and paths sorted, defaults left out.
    pub fn encode(&self) -> Encoded {
        let mut messages = HashMap::new();
        let input_root = self.inputs.messages(&mut messages);
        let command = self.command().encode_to_vec();
        let command_blob = Blob::of(&command);
        messages.insert(command_blob, command);
        let action = proto::Action {
            command_digest: Some(command_blob.to_proto()),
            input_root_digest: Some(input_root.to_proto()),
            timeout: self.limits.seconds.map(|seconds| Duration {
                seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
                nanos: 0,
            }),
            platform: Some(self.properties()),
            ..Default::default()
        };
        let action = action.encode_to_vec();
        let key = Blob::of(&action);
        messages.insert(key, action);
        Encoded {
            key,
            command: command_blob,
            input_root,
            messages,
        }
    }

    /// Arguments of the action of that key, from its messages; none where they cannot be read.
    pub fn arguments_of(key: &Blob, read: impl Fn(&Blob) -> Option<Vec<u8>>) -> Option<Vec<String>> {
        let action = proto::Action::decode(read(key)?.as_slice()).ok()?;
        let command = Blob::try_from(action.command_digest.as_ref()?).ok()?;
        let command = proto::Command::decode(read(&command)?.as_slice()).ok()?;
        Some(command.arguments)
    }

    /// Name of the `Action` message.
    pub fn key(&self) -> Blob {
        self.encode().key
    }

    fn command(&self) -> proto::Command {
        let environment = self.environment.iter();
        proto::Command {
            arguments: self.arguments.clone(),
            environment_variables: environment
                .map(|(name, value)| proto::command::EnvironmentVariable {
                    name: name.clone(),
                    value: value.clone(),
                })
                .collect(),
            output_paths: self.outputs.iter().cloned().collect(),
            working_directory: self.working_directory.clone(),
            ..Default::default()
        }
    }

    fn properties(&self) -> proto::Platform {
        // A map sorts them by name, as the canonical encoding wants them.
        let mut properties = self.platform.clone();
        properties.extend(self.limits.properties());
        let properties = properties.into_iter();
        proto::Platform {
            properties: properties
                .map(|(name, value)| proto::platform::Property { name, value })
                .collect(),
        }
    }
}
