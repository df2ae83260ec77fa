//! Results of actions: REAPI's `ActionResult`.

use bazel_remote_apis::google::protobuf::{Any, Timestamp};
use miette::Diagnostic;
use prost::Message as _;
use thiserror::Error;

use crate::{Blob, proto};

/// Type of the auxiliary metadata that holds an [`Execution`]'s resources.
const USAGE: &str = "type.basalt-linux.org/basalt.action.v1.ResourceUsage";

/// Type of the auxiliary metadata that holds a result's signer.
const SIGNER: &str = "type.basalt-linux.org/basalt.action.v1.Signer";

/// Outputs of an action that succeeded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ActionResult {
    /// The files, in the order of their paths.
    pub files: Vec<OutputFile>,
    /// The directories, in the order of their paths.
    pub directories: Vec<OutputDirectory>,
    /// Standard output, where that is the result.
    pub stdout: Vec<u8>,
    /// Circumstances of the run. They are no part of what the action's key decides.
    pub execution: Execution,
    /// Public key that has signed the result, in the text form of the cache's keys, `NAME:BASE64`; none of a result
    /// that was made here.
    pub signer: Option<String>,
}

/// A file that an action made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    /// Path below the working directory.
    pub path: String,
    /// Digest and size of the content.
    pub blob: Blob,
    /// `true` if the file is executable.
    pub is_executable: bool,
}

/// A directory that an action made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputDirectory {
    /// Path below the working directory; empty when the whole of it is the output.
    pub path: String,
    /// The `Tree` message with all directories in it.
    pub tree: Blob,
    /// The `Directory` message of its root: what names the directory.
    pub root: Blob,
}

/// Times and resource use of an action's run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Execution {
    /// Seconds since 1970 at its start.
    pub started: i64,
    /// Seconds since 1970 at its end.
    pub ended: i64,
    /// Seconds of processor time, of all its processes.
    pub cpu_seconds: f64,
    /// The most memory that a process of it had, in bytes.
    pub peak_memory: u64,
}

/// A message that is no result of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[error("the action result cannot be read: {0}")]
#[diagnostic(code(action::result), help("it counts as unknown, and the action is run again"))]
pub struct MalformedResult(pub String);

/// Resources as they are written.
#[derive(Clone, Copy, PartialEq, ::prost::Message)]
struct ResourceUsage {
    #[prost(double, tag = "1")]
    cpu_seconds: f64,
    #[prost(uint64, tag = "2")]
    peak_memory_bytes: u64,
}

/// Signer as it is written.
#[derive(Clone, PartialEq, ::prost::Message)]
struct Signer {
    #[prost(string, tag = "1")]
    key: String,
}

impl Execution {
    /// Seconds from start to end.
    pub fn seconds(&self) -> u64 {
        u64::try_from(self.ended.saturating_sub(self.started)).unwrap_or(0)
    }

    fn to_proto(self) -> proto::ExecutedActionMetadata {
        let usage = ResourceUsage {
            cpu_seconds: self.cpu_seconds,
            peak_memory_bytes: self.peak_memory,
        };
        proto::ExecutedActionMetadata {
            execution_start_timestamp: Some(timestamp(self.started)),
            execution_completed_timestamp: Some(timestamp(self.ended)),
            auxiliary_metadata: vec![Any {
                type_url: USAGE.to_owned(),
                value: usage.encode_to_vec(),
            }],
            ..Default::default()
        }
    }

    fn from_proto(message: &proto::ExecutedActionMetadata) -> Self {
        let usage = message.auxiliary_metadata.iter().find(|any| any.type_url == USAGE);
        // What it took is told to people and decides nothing: where it cannot be read, it is left out.
        let usage = usage.and_then(|any| ResourceUsage::decode(any.value.as_slice()).ok());
        let seconds = |stamp: &Option<Timestamp>| stamp.as_ref().map_or(0, |stamp| stamp.seconds);
        Self {
            started: seconds(&message.execution_start_timestamp),
            ended: seconds(&message.execution_completed_timestamp),
            cpu_seconds: usage.map_or(0.0, |usage| usage.cpu_seconds),
            peak_memory: usage.map_or(0, |usage| usage.peak_memory_bytes),
        }
    }
}

/// Reads the signer of a result. One that cannot be read is a key that nobody trusts.
fn signer(message: &proto::ExecutedActionMetadata) -> Option<String> {
    let any = message.auxiliary_metadata.iter().find(|any| any.type_url == SIGNER)?;
    Some(Signer::decode(any.value.as_slice()).unwrap_or_default().key)
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

impl ActionResult {
    /// The output file at a path.
    pub fn file(&self, path: &str) -> Option<&OutputFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The output directory, of an action that makes one.
    pub fn directory(&self) -> Option<&OutputDirectory> {
        self.directories.first()
    }

    /// Every blob that the result names, those inside of directories left out.
    pub fn blobs(&self) -> impl Iterator<Item = Blob> {
        let directories = self.directories.iter().map(|directory| directory.tree);
        self.files.iter().map(|file| file.blob).chain(directories)
    }

    /// The message in its canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    /// REAPI's message.
    pub fn to_proto(&self) -> proto::ActionResult {
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let mut directories: Vec<_> = self.directories.iter().collect();
        directories.sort_by(|one, other| one.path.cmp(&other.path));
        let file = |file: &OutputFile| proto::OutputFile {
            path: file.path.clone(),
            digest: Some(file.blob.to_proto()),
            is_executable: file.is_executable,
            ..Default::default()
        };
        let directory = |directory: &OutputDirectory| proto::OutputDirectory {
            path: directory.path.clone(),
            tree_digest: Some(directory.tree.to_proto()),
            is_topologically_sorted: false,
            root_directory_digest: Some(directory.root.to_proto()),
        };
        let mut execution = self.execution.to_proto();
        if let Some(key) = self.signer.clone() {
            execution.auxiliary_metadata.push(Any {
                type_url: SIGNER.to_owned(),
                value: Signer { key }.encode_to_vec(),
            });
        }
        proto::ActionResult {
            output_files: files.into_iter().map(file).collect(),
            output_directories: directories.into_iter().map(directory).collect(),
            stdout_raw: self.stdout.clone(),
            execution_metadata: Some(execution),
            ..Default::default()
        }
    }

    /// Reads bytes of a message.
    ///
    /// # Errors
    /// When they are no `ActionResult`, or one of an action that failed.
    pub fn decode(bytes: &[u8]) -> Result<Self, MalformedResult> {
        let message = proto::ActionResult::decode(bytes).map_err(|error| MalformedResult(error.to_string()))?;
        Self::from_proto(&message)
    }

    /// Reads REAPI's message.
    ///
    /// # Errors
    /// When it names outputs without a digest, or when its action failed.
    pub fn from_proto(message: &proto::ActionResult) -> Result<Self, MalformedResult> {
        if message.exit_code != 0 {
            return Err(MalformedResult(format!("its action ended with {}", message.exit_code)));
        }
        let blob = |digest: &Option<proto::Digest>, path: &str| {
            let blob = digest.as_ref().and_then(|digest| Blob::try_from(digest).ok());
            blob.ok_or_else(|| MalformedResult(format!("the output `{path}` has no digest")))
        };
        let file = |file: &proto::OutputFile| {
            Ok(OutputFile {
                path: file.path.clone(),
                blob: blob(&file.digest, &file.path)?,
                is_executable: file.is_executable,
            })
        };
        let directory = |directory: &proto::OutputDirectory| {
            Ok(OutputDirectory {
                path: directory.path.clone(),
                tree: blob(&directory.tree_digest, &directory.path)?,
                root: blob(&directory.root_directory_digest, &directory.path)?,
            })
        };
        let execution = message.execution_metadata.as_ref();
        Ok(Self {
            files: message.output_files.iter().map(file).collect::<Result<_, _>>()?,
            directories: message
                .output_directories
                .iter()
                .map(directory)
                .collect::<Result<_, _>>()?,
            stdout: message.stdout_raw.clone(),
            execution: execution.map(Execution::from_proto).unwrap_or_default(),
            signer: execution.and_then(signer),
        })
    }
}
