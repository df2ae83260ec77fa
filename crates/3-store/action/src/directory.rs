//! Directories by their content: REAPI's `Directory`, a Merkle tree.
//!
//! Modes are those that programs can see: 0644 for files, 0755 for executable files and for folders are the ordinary ones and
//! are not written (a file's `is_executable` says which); any other mode is the node property `unix_mode`. Owners, times and
//! extended attributes are no part of a directory.

use std::collections::{BTreeMap, HashMap};

use bazel_remote_apis::google::protobuf::UInt32Value;
use miette::Diagnostic;
use prost::Message as _;
use thiserror::Error;

use crate::{Blob, proto};

/// The mode of a file that is not executable, unless said otherwise.
const FILE_MODE: u32 = 0o644;
/// The mode of folders and of executable files, unless said otherwise.
const EXECUTABLE_MODE: u32 = 0o755;

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    File {
        /// Digest and size of the content.
        blob: Blob,
        /// Permission bits, `0o7777` at most.
        mode: u32,
    },
    /// A symbolic link.
    Symlink {
        /// Target of the link, unchanged.
        target: String,
    },
    /// A directory that is put together here.
    Directory(Directory),
    /// A directory that is known by the digest of its `Directory` message only.
    Tree(Blob),
}

/// A directory that is put together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    mode: Option<u32>,
    entries: BTreeMap<String, Node>,
}

/// Encoded messages of a directory.
#[derive(Debug, Clone)]
pub struct MerkleTree {
    /// Name of the root's message: what names the directory.
    pub root: Blob,
    /// The root's message and those of all directories below that were put together, by their digests.
    pub messages: HashMap<Blob, Vec<u8>>,
    /// The same directories as one `Tree` message; without those that are known by their digest only.
    pub tree: Vec<u8>,
}

/// A path that cannot be in a directory.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
pub enum DirectoryError {
    /// An empty part, `.`, `..`, or a NUL in a path.
    #[error("`{path}` is no path below a directory")]
    #[diagnostic(code(action::path), help("paths are relative, without empty parts, `.` and `..`"))]
    Path {
        /// The path.
        path: String,
    },
    /// An entry where there is one already.
    #[error("`{path}` is in the directory already")]
    #[diagnostic(code(action::twice), help("two inputs have the same name: rename one of them"))]
    Twice {
        /// The path.
        path: String,
    },
}

impl Directory {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the permission bits of the directory itself.
    pub fn set_mode(&mut self, mode: u32) {
        self.mode = (mode != EXECUTABLE_MODE).then_some(mode);
    }

    /// Permission bits of the directory itself.
    pub fn mode(&self) -> u32 {
        self.mode.unwrap_or(EXECUTABLE_MODE)
    }

    /// The entries by name.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.entries.iter().map(|(name, node)| (name.as_str(), node))
    }

    /// The entry at a path below the directory, not looking into trees that are known by their digest only.
    pub fn get(&self, path: &str) -> Option<&Node> {
        let (name, rest) = split(path);
        match (self.entries.get(name)?, rest) {
            (node, None) => Some(node),
            (Node::Directory(directory), Some(rest)) => directory.get(rest),
            _ => None,
        }
    }

    /// Adds an entry at a path below the directory; the directories on the way to it are made.
    ///
    /// # Errors
    /// When the path is none, or when there is such an entry.
    pub fn insert(&mut self, path: &str, node: Node) -> Result<(), DirectoryError> {
        self.place(path, path, node)
    }

    fn place(&mut self, whole: &str, path: &str, node: Node) -> Result<(), DirectoryError> {
        let twice = || DirectoryError::Twice { path: whole.to_owned() };
        let (name, rest) = split(path);
        if matches!(name, "" | "." | "..") || name.contains('\0') {
            return Err(DirectoryError::Path { path: whole.to_owned() });
        }
        let Some(rest) = rest else {
            return match self.entries.insert(name.to_owned(), node) {
                None => Ok(()),
                Some(_) => Err(twice()),
            };
        };
        let below = self.entries.entry(name.to_owned());
        match below.or_insert_with(|| Node::Directory(Self::new())) {
            Node::Directory(directory) => directory.place(whole, rest, node),
            _ => Err(twice()),
        }
    }

    /// The messages of the directory and of all that is put together in it.
    pub fn merkle_tree(&self) -> MerkleTree {
        let mut collected = Collected::default();
        let (root, message) = self.collect(&mut collected);
        let tree = proto::Tree {
            root: Some(message),
            children: collected.children,
        };
        MerkleTree {
            root,
            messages: collected.messages,
            tree: tree.encode_to_vec(),
        }
    }

    /// Name of the directory: that of its root's message.
    pub fn blob(&self) -> Blob {
        self.messages(&mut HashMap::new())
    }

    /// Adds the messages of the directory and of all that is put together in it; returns the name of its own.
    pub(crate) fn messages(&self, messages: &mut HashMap<Blob, Vec<u8>>) -> Blob {
        let message = self.message(|below| below.messages(messages));
        let bytes = message.encode_to_vec();
        let blob = Blob::of(&bytes);
        messages.insert(blob, bytes);
        blob
    }

    fn collect(&self, collected: &mut Collected) -> (Blob, proto::Directory) {
        let message = self.message(|directory| {
            let (blob, below) = directory.collect(collected);
            // REAPI's Tree holds each directory once, however often it appears.
            if collected.listed.insert(blob) {
                collected.children.push(below);
            }
            blob
        });
        let bytes = message.encode_to_vec();
        let blob = Blob::of(&bytes);
        collected.messages.insert(blob, bytes);
        (blob, message)
    }

    /// The directory's own message; `name_of` names those of directories that are put together in it.
    fn message(&self, mut name_of: impl FnMut(&Self) -> Blob) -> proto::Directory {
        let mut message = proto::Directory {
            node_properties: self.mode.map(unix_mode),
            ..Default::default()
        };
        for (name, node) in &self.entries {
            let name = name.clone();
            match node {
                Node::File { blob, mode } => message.files.push(file_node(name, *blob, *mode)),
                Node::Symlink { target } => message.symlinks.push(proto::SymlinkNode {
                    name,
                    target: target.clone(),
                    node_properties: None,
                }),
                Node::Tree(blob) => message.directories.push(directory_node(name, *blob)),
                Node::Directory(directory) => {
                    let blob = name_of(directory);
                    message.directories.push(directory_node(name, blob));
                }
            }
        }
        message
    }

    /// Reads a `Tree` message, whose directories must all be in it.
    ///
    /// # Errors
    /// Describes what is malformed: such a message was not made by this crate, or was damaged.
    pub fn from_tree(tree: &[u8]) -> Result<Self, String> {
        let tree = proto::Tree::decode(tree).map_err(|error| error.to_string())?;
        let known: HashMap<Blob, proto::Directory> = tree
            .children
            .into_iter()
            .map(|child| (Blob::of(child.encode_to_vec()), child))
            .collect();
        let root = tree.root.ok_or("the message has no root")?;
        Self::from_message(&root, &known, 0)
    }

    fn from_message(
        message: &proto::Directory,
        known: &HashMap<Blob, proto::Directory>,
        depth: usize,
    ) -> Result<Self, String> {
        /// Deeper than any file system lets a path be.
        const DEEPEST: usize = 2048;
        if depth > DEEPEST {
            return Err("directories are nested too deeply".to_owned());
        }
        let mut directory = Self {
            mode: message.node_properties.as_ref().and_then(mode_of),
            entries: BTreeMap::new(),
        };
        let digest = |digest: &Option<proto::Digest>, name: &str| {
            let blob = digest.as_ref().and_then(|digest| Blob::try_from(digest).ok());
            blob.ok_or_else(|| format!("`{name}` has no digest"))
        };
        for file in &message.files {
            let ordinary = if file.is_executable { EXECUTABLE_MODE } else { FILE_MODE };
            let mode = file.node_properties.as_ref().and_then(mode_of).unwrap_or(ordinary);
            let blob = digest(&file.digest, &file.name)?;
            directory.add(&file.name, Node::File { blob, mode })?;
        }
        for link in &message.symlinks {
            let target = link.target.clone();
            directory.add(&link.name, Node::Symlink { target })?;
        }
        for below in &message.directories {
            let blob = digest(&below.digest, &below.name)?;
            let message = known
                .get(&blob)
                .ok_or_else(|| format!("the directory `{}` is not in the message", below.name))?;
            directory.add(
                &below.name,
                Node::Directory(Self::from_message(message, known, depth + 1)?),
            )?;
        }
        Ok(directory)
    }

    /// Adds an entry by a name that came from outside.
    fn add(&mut self, name: &str, node: Node) -> Result<(), String> {
        if name.contains('/') {
            return Err(format!("`{name}` is no name"));
        }
        self.insert(name, node).map_err(|error| error.to_string())
    }
}

#[derive(Default)]
struct Collected {
    messages: HashMap<Blob, Vec<u8>>,
    children: Vec<proto::Directory>,
    listed: std::collections::HashSet<Blob>,
}

/// The first part of a path, and what follows it.
fn split(path: &str) -> (&str, Option<&str>) {
    match path.split_once('/') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    }
}

fn file_node(name: String, blob: Blob, mode: u32) -> proto::FileNode {
    let is_executable = mode & 0o111 != 0;
    let ordinary = if is_executable { EXECUTABLE_MODE } else { FILE_MODE };
    proto::FileNode {
        name,
        digest: Some(blob.to_proto()),
        is_executable,
        node_properties: (mode != ordinary).then(|| unix_mode(mode)),
    }
}

fn directory_node(name: String, blob: Blob) -> proto::DirectoryNode {
    proto::DirectoryNode {
        name,
        digest: Some(blob.to_proto()),
    }
}

fn unix_mode(mode: u32) -> proto::NodeProperties {
    proto::NodeProperties {
        unix_mode: Some(UInt32Value { value: mode }),
        ..Default::default()
    }
}

fn mode_of(properties: &proto::NodeProperties) -> Option<u32> {
    properties.unix_mode.as_ref().map(|mode| mode.value & 0o7777)
}
