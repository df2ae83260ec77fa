//! Go modules, as the module cache that `go.mod` and `go.sum` describe.

use crate::source_lock::GoModules;
use basalt_action::{Action, Node};
use basalt_process::{Command, tool};
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_sandbox::{Mount, Network};
use basalt_store::{Store, StoreError, write};
use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::input::file_node;
use crate::{SourceSet, SourcesError, Tools};

/// Variables that tell how a machine reaches its module proxy.
const SETTINGS: &[&str] = &["GOPROXY", "GONOPROXY", "GOPRIVATE", "GOINSECURE"];
/// Variables of proxies, each of them in upper or in lower case.
const PROXIES: &[&str] = &["https_proxy", "http_proxy", "no_proxy"];
/// Where Debian's Go is, in the SDK.
const GO: &str = "/usr/lib/go-1.27/bin/go";

/// Go modules of a package: the text of its `go.mod` and `go.sum`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoSource {
    module: Vec<u8>,
    /// A module without dependencies has none.
    sums: Option<Vec<u8>>,
}

impl GoSource {
    pub(crate) fn read(set: &SourceSet, modules: &GoModules) -> Result<Self, SourcesError> {
        let folder = set.folder().join(clean(&modules.dir));
        let sums = folder.join("go.sum");
        Ok(Self {
            module: set.read(&folder.join("go.mod"))?,
            sums: sums.exists().then(|| set.read(&sums)).transpose()?,
        })
    }

    /// The action that fetches: `go.mod` and `go.sum` decide what comes, Go how it is laid out.
    pub(crate) fn action(&self, set: &SourceSet, tools: &Tools) -> Result<Action, SourcesError> {
        let module = ("go.mod", file_node(&self.module));
        let sums = self.sums.as_ref().map(|sums| ("go.sum", file_node(sums)));
        let sdk = ("sdk", Node::Tree(tools.sdk.root));
        let inputs = set.action_inputs([module, sdk].into_iter().chain(sums))?;
        Ok(Action::function("fetch-go-modules", &[include_str!("go.rs")], inputs))
    }

    /// Fills `tree`, which is empty, with the module cache: by the SDK's Go, through the machine's proxy. Go checks every
    /// module against go.sum.
    ///
    /// # Errors
    /// When a module cannot be had, or is not what go.sum says.
    pub fn fill(
        &self,
        tree: &Utf8Path,
        package: &str,
        store: &Store,
        tools: &Tools,
        reporter: &dyn Reporter,
    ) -> Result<(), SourcesError> {
        let task = reporter.task(&format!("{package}: Go modules"), Unit::Items, None);
        let workspace = store.workspace()?;
        let module = workspace.path().join("module");
        self.write(&module)?;
        let bind = |from: Utf8PathBuf, to: &str| Mount::Bind {
            from,
            to: to.into(),
            writable: true,
        };
        let mut sandbox = (tools.sdk.sandbox())
            .network(Network::Inherited)
            .mount(bind(module, "/module"))
            .mount(bind(tree.to_owned(), "/cache"))
            .env("GOMODCACHE", "/cache")
            .env("GOFLAGS", "-mod=readonly -modcacherw")
            .env("GOTOOLCHAIN", "local")
            .env("GOSUMDB", "off")
            .current_dir("/module");
        for file in ["/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt"] {
            if Utf8Path::new(file).exists() {
                sandbox = sandbox.show(file);
            }
        }
        for (name, value) in settings() {
            sandbox = sandbox.env(name, value);
        }
        let failed = |source| SourcesError::Modules {
            what: "Go modules",
            package: package.to_owned(),
            source: Box::new(source),
        };
        sandbox.command(GO, ["mod", "download"]).output().map_err(failed)?;
        // The archives have served their purpose; builds read what was unpacked from them.
        trim(tree)?;
        task.finish(Outcome::Done);
        Ok(())
    }

    fn write(&self, folder: &Utf8Path) -> Result<(), StoreError> {
        write::atomically(&folder.join("go.mod"), &self.module)?;
        match &self.sums {
            Some(sums) => write::atomically(&folder.join("go.sum"), sums),
            None => Ok(()),
        }
    }
}

/// A path without `.` in it, as a snapshot has it.
fn clean(path: &Utf8Path) -> Utf8PathBuf {
    path.components()
        .filter(|part| *part != Utf8Component::CurDir)
        .collect()
}

/// Without the archives, a module cache is half the size. Their digests and `.mod` files stay: Go asks for them.
///
/// No link is followed, neither on the way to the archives nor among them: the program that filled the tree had the
/// network, and its links may lead to files of the host.
fn trim(tree: &Utf8Path) -> Result<(), StoreError> {
    let cache = tree.join("cache");
    let archives = cache.join("download");
    let is_folder = |path: &Utf8PathBuf| path.symlink_metadata().is_ok_and(|found| found.is_dir());
    let mut rest = Vec::new();
    if [&cache, &archives].into_iter().all(is_folder) {
        rest.push(archives);
    }
    while let Some(folder) = rest.pop() {
        let Ok(entries) = folder.read_dir_utf8() else { continue };
        for entry in entries {
            let entry = entry.map_err(StoreError::io("cannot list", &folder))?;
            let kind = entry
                .file_type()
                .map_err(StoreError::io("cannot look at", entry.path()))?;
            if kind.is_dir() {
                rest.push(entry.path().to_owned());
            } else if matches!(entry.path().extension(), Some("zip" | "lock")) {
                fs_err::remove_file(entry.path()).map_err(StoreError::io("cannot remove", entry.path()))?;
            }
        }
    }
    Ok(())
}

/// The machine's settings: its variables, else those that its own Go tells.
fn settings() -> Vec<(String, String)> {
    let from_go = |name: &str| {
        let told = Command::tool(tool::GO).args(["env", name]).output().ok()?.text();
        (!told.is_empty()).then_some(told)
    };
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let go = SETTINGS.iter().filter_map(|name| {
        let value = variable(name).or_else(|| from_go(name));
        value.map(|value| ((*name).to_owned(), value))
    });
    go.chain(proxies(variable)).collect()
}

/// Proxies in both spellings, whichever of them is set: Go and the programs that it calls each read another one.
fn proxies(variable: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let both = |name: &&str| {
        let upper = name.to_ascii_uppercase();
        let value = variable(name).or_else(|| variable(&upper))?;
        Some([((*name).to_owned(), value.clone()), (upper, value)])
    };
    PROXIES.iter().filter_map(both).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a folder `download` with the archive of a module and its `.mod` file.
    fn download(in_folder: &Utf8Path) -> Utf8PathBuf {
        let folder = in_folder.join("download");
        fs_err::create_dir_all(&folder).expect("made");
        for name in ["v1.zip", "v1.mod", "list.lock"] {
            fs_err::write(folder.join(name), "").expect("written");
        }
        folder
    }

    fn names(folder: &Utf8Path) -> Vec<String> {
        let entries = folder.read_dir_utf8().expect("listed");
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn archives_are_removed_and_links_not_followed() {
        let guard = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(guard.path()).expect("UTF-8");
        let host = download(&root.join("host"));
        let tree = root.join("tree");
        let inside = download(&tree.join("cache"));
        fs_err::os::unix::fs::symlink(&host, inside.join("link")).expect("linked");
        trim(&tree).expect("trimmed");
        assert_eq!(names(&inside), ["link", "v1.mod"]);
        // The folders above the archives are the sandbox's as well.
        for (number, (link, to)) in [("cache", root.join("host")), ("cache/download", host.clone())]
            .iter()
            .enumerate()
        {
            let tree = root.join(format!("tree{number}"));
            let link = tree.join(link);
            fs_err::create_dir_all(link.parent().expect("a parent")).expect("made");
            fs_err::os::unix::fs::symlink(to, &link).expect("linked");
            trim(&tree).expect("trimmed");
        }
        assert_eq!(names(&host), ["list.lock", "v1.mod", "v1.zip"]);
    }

    #[test]
    fn proxies_are_given_in_both_spellings() {
        let only = |known: &'static str| move |name: &str| (name == known).then(|| "http://p:1".to_owned());
        for known in ["https_proxy", "HTTPS_PROXY"] {
            let given = proxies(only(known));
            let names: Vec<_> = given.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["https_proxy", "HTTPS_PROXY"]);
            assert!(given.iter().all(|(_, value)| value == "http://p:1"));
        }
    }
}
