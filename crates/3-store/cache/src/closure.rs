//! Closure of an [`ActionResult`]: the blobs that it references, directly and through its directories.

use std::collections::BTreeSet;

use bazel_remote_apis::build::bazel::remote::execution::v2::{self as reapi, ActionResult, Directory, Tree};

use basalt_action::{Blob, InvalidBlob};

/// Blobs that one result may stand on, at most.
const MOST_BLOBS: usize = 2_000_000;

/// A result whose blobs cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClosureError {
    /// A digest that is none.
    #[error(transparent)]
    Digest(#[from] InvalidBlob),
    /// An output without a digest.
    #[error("an output has no digest")]
    NoDigest,
    /// A `Tree` or `Directory` that cannot be had.
    #[error("the directory {0} is not there")]
    Missing(Blob),
    /// A `Tree` or `Directory` that cannot be decoded.
    #[error("{0} is not a directory")]
    Malformed(Blob),
    /// More blobs than a result may reference.
    #[error("more than {MOST_BLOBS} blobs")]
    TooMany,
}

/// Blobs that the result itself names: outputs, `Tree` and root `Directory` messages, logs. Nothing is read.
///
/// # Errors
/// When a digest is missing or malformed.
pub fn named(result: &ActionResult) -> Result<BTreeSet<Blob>, ClosureError> {
    let mut blobs = BTreeSet::new();
    for file in &result.output_files {
        blobs.insert(required(file.digest.as_ref())?);
    }
    for directory in &result.output_directories {
        if directory.tree_digest.is_none() && directory.root_directory_digest.is_none() {
            return Err(ClosureError::NoDigest);
        }
        for digest in [&directory.tree_digest, &directory.root_directory_digest]
            .into_iter()
            .flatten()
        {
            blobs.insert(Blob::try_from(digest)?);
        }
    }
    for digest in [&result.stdout_digest, &result.stderr_digest].into_iter().flatten() {
        blobs.insert(Blob::try_from(digest)?);
    }
    Ok(blobs)
}

/// Returns all blobs that the result references, directly and through its directories. `read` returns the verified
/// content of a `Tree` or `Directory` message, or `None` if it is missing.
///
/// An output with a `Tree` costs one read; without one, its `Directory` messages are followed one by one.
///
/// # Errors
/// See [`ClosureError`].
pub fn complete(
    result: &ActionResult,
    read: &mut dyn FnMut(&Blob) -> Option<Vec<u8>>,
) -> Result<BTreeSet<Blob>, ClosureError> {
    let mut blobs = named(result)?;
    for output in &result.output_directories {
        let with_directories = output.root_directory_digest.is_some();
        match (&output.tree_digest, &output.root_directory_digest) {
            (Some(tree), _) => {
                let tree: Tree = decode(&Blob::try_from(tree)?, read)?;
                for directory in tree.root.iter().chain(&tree.children) {
                    add_directory(directory, with_directories, &mut blobs)?;
                }
            }
            (None, Some(root)) => walk(Blob::try_from(root)?, read, &mut blobs)?,
            (None, None) => return Err(ClosureError::NoDigest),
        }
    }
    Ok(blobs)
}

fn walk(
    root: Blob,
    read: &mut dyn FnMut(&Blob) -> Option<Vec<u8>>,
    blobs: &mut BTreeSet<Blob>,
) -> Result<(), ClosureError> {
    let mut visited = BTreeSet::from([root]);
    let mut pending = vec![root];
    while let Some(next) = pending.pop() {
        let directory: Directory = decode(&next, read)?;
        add_directory(&directory, true, blobs)?;
        for child in &directory.directories {
            let child = required(child.digest.as_ref())?;
            if visited.insert(child) {
                pending.push(child);
            }
        }
    }
    Ok(())
}

fn add_directory(
    directory: &Directory,
    with_directories: bool,
    blobs: &mut BTreeSet<Blob>,
) -> Result<(), ClosureError> {
    for file in &directory.files {
        blobs.insert(required(file.digest.as_ref())?);
    }
    for child in directory.directories.iter().filter(|_| with_directories) {
        blobs.insert(required(child.digest.as_ref())?);
    }
    match blobs.len() > MOST_BLOBS {
        true => Err(ClosureError::TooMany),
        false => Ok(()),
    }
}

fn decode<M: prost::Message + Default>(
    blob: &Blob,
    read: &mut dyn FnMut(&Blob) -> Option<Vec<u8>>,
) -> Result<M, ClosureError> {
    let content = match *blob == Blob::empty() {
        true => Vec::new(),
        false => read(blob).ok_or(ClosureError::Missing(*blob))?,
    };
    M::decode(&*content).map_err(|_| ClosureError::Malformed(*blob))
}

fn required(digest: Option<&reapi::Digest>) -> Result<Blob, ClosureError> {
    Ok(Blob::try_from(digest.ok_or(ClosureError::NoDigest)?)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bazel_remote_apis::build::bazel::remote::execution::v2::{
        DirectoryNode, FileNode, OutputDirectory, OutputFile,
    };

    use prost::Message as _;

    use super::*;

    fn file(name: &str) -> FileNode {
        FileNode {
            name: name.to_owned(),
            digest: Some(Blob::of(name).to_proto()),
            ..Default::default()
        }
    }

    /// `/a`, `/sub/b` as `Directory` messages and as a `Tree`.
    fn tree() -> (Tree, Blob, Blob, BTreeMap<Blob, Vec<u8>>) {
        let sub = Directory {
            files: vec![file("b")],
            ..Default::default()
        };
        let sub_blob = Blob::of(sub.encode_to_vec());
        let root = Directory {
            files: vec![file("a")],
            directories: vec![DirectoryNode {
                name: "sub".to_owned(),
                digest: Some(sub_blob.to_proto()),
            }],
            ..Default::default()
        };
        let root_blob = Blob::of(root.encode_to_vec());
        let tree = Tree {
            root: Some(root.clone()),
            children: vec![sub.clone()],
        };
        let messages = [root.encode_to_vec(), sub.encode_to_vec(), tree.encode_to_vec()];
        let content = messages.into_iter().map(|bytes| (Blob::of(&bytes), bytes)).collect();
        (tree, root_blob, sub_blob, content)
    }

    fn result(tree: Option<Blob>, root: Option<Blob>) -> ActionResult {
        ActionResult {
            output_directories: vec![OutputDirectory {
                path: "out".to_owned(),
                tree_digest: tree.map(Blob::to_proto),
                root_directory_digest: root.map(Blob::to_proto),
                ..Default::default()
            }],
            output_files: vec![OutputFile {
                path: "log".to_owned(),
                digest: Some(Blob::of("log").to_proto()),
                ..Default::default()
            }],
            stdout_digest: Some(Blob::of("out").to_proto()),
            ..Default::default()
        }
    }

    #[test]
    fn a_tree_and_its_directories_name_the_same_files() {
        let (tree, root, sub, content) = tree();
        let tree = Blob::of(tree.encode_to_vec());
        let outputs = [Blob::of("log"), Blob::of("out"), Blob::of("a"), Blob::of("b")];
        let mut read = |blob: &Blob| content.get(blob).cloned();
        let by_tree = complete(&result(Some(tree), None), &mut read).expect("complete");
        assert_eq!(by_tree, outputs.into_iter().chain([tree]).collect());
        let by_directories = complete(&result(None, Some(root)), &mut read).expect("complete");
        assert_eq!(by_directories, outputs.into_iter().chain([root, sub]).collect());
        let both = complete(&result(Some(tree), Some(root)), &mut read).expect("complete");
        assert_eq!(both, outputs.into_iter().chain([tree, root, sub]).collect());
    }

    #[test]
    fn what_cannot_be_told_is_an_error() {
        let (_, root, sub, mut content) = tree();
        content.remove(&sub);
        let walked = complete(&result(None, Some(root)), &mut |blob| content.get(blob).cloned());
        assert_eq!(walked, Err(ClosureError::Missing(sub)));
        let noise = complete(&result(Some(Blob::of("x")), None), &mut |_| Some(vec![0xff]));
        assert_eq!(noise, Err(ClosureError::Malformed(Blob::of("x"))));
        assert_eq!(named(&result(None, None)), Err(ClosureError::NoDigest));
    }
}
