//! The packages of a checkout: their folders, and what their specs say.

use std::collections::BTreeMap;
use std::sync::Mutex;

use basalt_model::digest::{Digest, Hasher};
use basalt_model::spelling::closest;
use basalt_sandbox::Mount;
use basalt_store::{Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};

use crate::conditions::Conditions;
use crate::effort::Efforts;
use crate::graph::Graph;
use crate::root::{Ground, package_files};
use crate::spec::{BINARY_FORMAT, Folder, SOURCE_FORMAT, SPECS, SourcePackage};
use crate::{BuildError, parallel};

/// A distribution as its folder describes it.
#[derive(Debug)]
pub struct Distribution {
    /// The packages, in the order of the graph's indexes.
    pub folders: Vec<Folder>,
    /// For each package, the digest of its folder's files.
    pub digests: Vec<Digest>,
    /// What they need of each other.
    pub graph: Graph,
    /// What work they are.
    pub efforts: Efforts,
}

impl Distribution {
    /// Reads all specs below `packages`. What a spec says is remembered in the store under the digest of its folder and
    /// of `ground_digest`, so that only changed ones are read again.
    ///
    /// # Errors
    /// When a spec cannot be read, or when they do not fit together.
    pub fn read(
        packages: &Utf8Path,
        ground: &Ground,
        ground_digest: &Digest,
        store: &Store,
    ) -> Result<Self, BuildError> {
        let folders = folders(packages)?;
        let mut digests = Vec::new();
        for folder in &folders {
            digests.push(digest(folder)?);
        }
        let efforts_path = packages.join("effort.toml");
        let efforts = match fs_err::read_to_string(&efforts_path) {
            Ok(text) => Efforts::parse(&text).map_err(|source| BuildError::Efforts {
                path: efforts_path,
                source: Box::new(source),
            })?,
            Err(_) => Efforts::default(),
        };
        let read = Mutex::new(BTreeMap::new());
        parallel::each(folders.len(), |index| {
            let package = read_spec(&folders[index], &digests[index], ground, ground_digest, store)?;
            if let Ok(mut read) = read.lock() {
                read.insert(index, package);
            }
            Ok::<_, BuildError>(())
        })?;
        let packages = read.into_inner().unwrap_or_default().into_values().collect();
        Ok(Self {
            folders,
            digests,
            graph: Graph::new(packages)?,
            efforts,
        })
    }

    /// The index of a package by the name of its source or of what it makes.
    ///
    /// # Errors
    /// When there is none.
    pub fn package(&self, name: &str) -> Result<usize, BuildError> {
        let known = self.graph.index(name).or_else(|| self.graph.maker(name));
        known.ok_or_else(|| BuildError::NoSuchPackage {
            name: name.to_owned(),
            help: match closest(name, self.graph.names()) {
                Some(guess) => format!("did you mean `{guess}`?"),
                None => "the packages that are there: `ls distro/packages`".to_owned(),
            },
        })
    }
}

/// The folders that hold a package, sorted by name.
fn folders(packages: &Utf8Path) -> Result<Vec<Folder>, BuildError> {
    let failed = || StoreError::io("cannot list", packages);
    let mut folders = Vec::new();
    for entry in packages.read_dir_utf8().map_err(failed())? {
        let path = entry.map_err(failed())?.into_path();
        let Some(name) = path.file_name().filter(|name| path.is_dir() && !name.starts_with('.')) else {
            continue;
        };
        let folder = Folder {
            name: name.to_owned(),
            path: path.clone(),
        };
        if !folder.spec().is_file() {
            return Err(BuildError::BadSpec {
                path: folder.spec(),
                what: "is not there".to_owned(),
                remedy: "every folder of distro/packages holds a spec file of its own name".to_owned(),
            });
        }
        folders.push(folder);
    }
    folders.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(folders)
}

/// The digest of everything in a package's folder: names, modes that matter, content.
fn digest(folder: &Folder) -> Result<Digest, StoreError> {
    let mut hasher = Hasher::new();
    for (name, path) in package_files(folder)? {
        let content = fs_err::read(&path).map_err(StoreError::io("cannot read", &path))?;
        hasher.fact(name.as_str(), content);
    }
    Ok(hasher.finish())
}

fn read_spec(
    folder: &Folder,
    digest: &Digest,
    ground: &Ground,
    ground_digest: &Digest,
    store: &Store,
) -> Result<SourcePackage, BuildError> {
    let mut hasher = Hasher::new();
    hasher
        .fact("what a spec says", "3")
        .fact("folder", digest.as_bytes())
        .fact("ground", ground_digest.as_bytes());
    let key = hasher.finish();
    if let Some(known) = store.result(&key) {
        return Ok(known);
    }
    let conditions = Conditions::ordinary(ground.jobs);
    let sandbox = ground
        .sandbox(&conditions, None)
        .mount(Mount::Bind {
            from: folder.path.clone(),
            to: SPECS.into(),
            writable: false,
        })
        .mount(Mount::Bind {
            from: folder.path.clone(),
            to: "/build/SOURCES".into(),
            writable: false,
        });
    let ask = |mode: &str, format: &str| {
        let mut arguments = vec!["-q".to_owned(), mode.to_owned(), "--qf".to_owned(), format.to_owned()];
        arguments.extend(ground.rpm_arguments(&conditions));
        arguments.push(format!("{SPECS}/{}.spec", folder.name));
        let output = sandbox.command("rpmspec", &arguments).output();
        output.map(|output| output.text()).map_err(|source| BuildError::Spec {
            path: folder.spec(),
            source: Box::new(source),
        })
    };
    let bad = |what: String, remedy: &str| BuildError::BadSpec {
        path: folder.spec(),
        what,
        remedy: remedy.to_owned(),
    };
    let package = SourcePackage::parse(&ask("--srpm", SOURCE_FORMAT)?, &ask("--builtrpms", BINARY_FORMAT)?)
        .map_err(|what| bad(what, "this is a bug in basalt, or a new format of rpm"))?;
    if package.name != folder.name {
        let what = format!("its Name is `{}`", package.name);
        return Err(bad(
            what,
            "a package's Name, its spec file and its folder have the same name",
        ));
    }
    store.set_result(&key, &package)?;
    Ok(package)
}

/// The files of the distribution that every build sees, as a tree: macros where rpm looks for them.
///
/// # Errors
/// When they cannot be copied.
pub fn platform(macros: &Utf8Path, store: &Store) -> Result<(Utf8PathBuf, Digest), StoreError> {
    let files = package_files(&Folder {
        name: "macros".to_owned(),
        path: macros.to_owned(),
    })?;
    let mut hasher = Hasher::new();
    let mut contents = Vec::new();
    for (name, path) in files {
        let content = fs_err::read(&path).map_err(StoreError::io("cannot read", &path))?;
        hasher.fact(name.as_str(), &content);
        contents.push((name, content));
    }
    let key = hasher.finish();
    let tree = store.tree_or_make::<StoreError>(&key, |tree| {
        for (name, content) in &contents {
            basalt_store::write::atomically(&tree.join("etc/rpm").join(name), content)?;
        }
        Ok(())
    })?;
    Ok((tree, key))
}
