//! Cross toolchains: files of the SDK below a prefix of their own.

use std::collections::BTreeMap;

use basalt_action::{Action, Blob, Directory, Node};
use basalt_release::Arch;

use basalt_store::{Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::{SdkError, SdkTree};

/// Tree with `/opt/<triple>`.
#[derive(Debug, Clone)]
pub struct Toolchain {
    /// Folder in the store.
    pub path: Utf8PathBuf,
    /// Digest of the content: of the root's `Directory` message.
    pub root: Blob,
    /// Key of the action that made the toolchain.
    pub key: Blob,
}

/// Source text of the module that makes a toolchain; part of the action's key.
const CODE: [&str; 1] = [include_str!("toolchain.rs")];

/// Content of `toolchain.toml`: the list `file`, and a table for each architecture.
#[derive(Debug, Deserialize)]
struct Description {
    /// Files to write for every architecture. `@TRIPLE@` and `@ARCH@` in paths and texts are replaced.
    file: Vec<Written>,
    #[serde(flatten)]
    architectures: BTreeMap<String, Architecture>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Architecture {
    copy: Vec<Copied>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Copied {
    from: String,
    to: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    path: String,
    mode: u32,
    text: String,
}

/// Returns the toolchain for an architecture; makes it if it is not in the store.
///
/// # Errors
/// When the description cannot be parsed, or names a file that is not in the SDK.
pub fn toolchain(store: &Store, sdk: &SdkTree, description: &Utf8Path, arch: Arch) -> Result<Toolchain, SdkError> {
    let text = fs_err::read_to_string(description).map_err(StoreError::io("cannot read", description))?;
    let wrong = |message: String| SdkError::File {
        path: description.to_owned(),
        message,
        remedy: "it holds a table with `copy` for each architecture, and a list `file`",
    };
    let parsed: Description = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let parts = parsed
        .architectures
        .get(arch.name())
        .ok_or_else(|| wrong(format!("it has no table `{arch}`")))?;
    let action = action(&text, sdk, arch)?;
    let directory = store.made_directory(&action, |tree| make(parts, &parsed.file, tree, &sdk.path, arch))?;
    Ok(Toolchain {
        path: store.directory_path(&directory.root.digest),
        root: directory.root,
        key: action.key(),
    })
}

fn action(description: &str, sdk: &SdkTree, arch: Arch) -> Result<Action, SdkError> {
    let mut inputs = Directory::new();
    let blob = Blob::of(description);
    let nodes = [
        ("toolchain.toml", Node::File { blob, mode: 0o644 }),
        ("sdk", Node::Tree(sdk.root)),
    ];
    for (name, node) in nodes {
        inputs
            .insert(name, node)
            .map_err(|source| SdkError::Inputs { source })?;
    }
    let mut action = Action::function("make-toolchain", &CODE, inputs);
    action.platform.insert("arch".to_owned(), arch.name().to_owned());
    Ok(action)
}

fn make(parts: &Architecture, files: &[Written], tree: &Utf8Path, sdk: &Utf8Path, arch: Arch) -> Result<(), SdkError> {
    let prefix = tree.join("opt").join(arch.triple());
    let fill = |text: &str| text.replace("@TRIPLE@", &arch.triple()).replace("@ARCH@", arch.name());
    for Copied { from, to } in &parts.copy {
        let source = follow(sdk, from).ok_or_else(|| SdkError::ToolchainPart { path: from.clone() })?;
        copy(&source, &prefix.join(fill(to)))?;
    }
    for Written { path, mode, text } in files {
        basalt_store::write::with_mode(&prefix.join(fill(path)), fill(text), *mode)?;
    }
    Ok(())
}

/// Returns a file of the SDK, with its links followed inside the SDK; `None` if it does not exist.
fn follow(sdk: &Utf8Path, path: &str) -> Option<Utf8PathBuf> {
    let mut path = Utf8PathBuf::from(path);
    for _ in 0..16 {
        let place = sdk.join(path.as_str().trim_start_matches('/'));
        match place.read_link_utf8() {
            Ok(target) => path = path.parent()?.join(target),
            Err(_) => return place.exists().then_some(place),
        }
    }
    None
}

fn copy(from: &Utf8Path, to: &Utf8Path) -> Result<(), StoreError> {
    if let Some(parent) = to.parent() {
        fs_err::create_dir_all(parent).map_err(StoreError::io("cannot create", parent))?;
    }
    fs_err::copy(from, to)
        .map(drop)
        .map_err(StoreError::io("cannot copy to", to))
}
