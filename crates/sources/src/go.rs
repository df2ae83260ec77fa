//! Go modules, as the module cache that `go.mod` and `go.sum` describe.

use basalt_action::{Action, Node};
use basalt_model::source_lock::GoModules;
use basalt_process::{Command, tool};
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_sandbox::{Mount, Network};
use basalt_store::{Store, StoreError};
use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::input::file_node;
use crate::{SourceSet, SourcesError, Tools};

/// Variables that tell how a machine reaches its module proxy.
const SETTINGS: &[&str] = &[
    "GOPROXY",
    "GONOPROXY",
    "GOPRIVATE",
    "GOINSECURE",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
];
/// Where Debian's Go is, in the SDK.
const GO: &str = "/usr/lib/go-1.27/bin/go";

/// The action that fetches: `go.mod` and `go.sum` decide what comes, Go how it is laid out.
pub(crate) fn action(set: &SourceSet, modules: &GoModules, tools: &Tools) -> Result<Action, SourcesError> {
    let files = module_files(set, modules)?;
    let nodes = files.iter().map(|(name, content)| (*name, file_node(content)));
    let inputs = set.action_inputs(nodes.chain([("sdk", Node::Tree(tools.sdk.root))]))?;
    Ok(Action::function("fetch-go-modules", &[include_str!("go.rs")], inputs))
}

/// `go.mod`, and `go.sum` where there is one: a module without dependencies has none.
fn module_files(set: &SourceSet, modules: &GoModules) -> Result<Vec<(&'static str, Vec<u8>)>, SourcesError> {
    let folder = set.folder.join(clean(&modules.dir));
    let mut files = vec![("go.mod", set.read(&folder.join("go.mod"))?)];
    let sums = folder.join("go.sum");
    if sums.exists() {
        files.push(("go.sum", set.read(&sums)?));
    }
    Ok(files)
}

/// A path without `.` in it, as a snapshot has it.
fn clean(path: &Utf8Path) -> Utf8PathBuf {
    path.components()
        .filter(|part| *part != Utf8Component::CurDir)
        .collect()
}

/// Fills the module cache, by the SDK's Go through the machine's proxy. `go.sum` is checked by Go for every module.
pub(crate) fn fill(
    set: &SourceSet,
    modules: &GoModules,
    tree: &Utf8Path,
    store: &Store,
    tools: &Tools,
    reporter: &dyn Reporter,
) -> Result<(), SourcesError> {
    let task = reporter.task(&format!("{}: Go modules", set.package), Unit::Items, None);
    let workspace = store.workspace()?;
    let module = workspace.path().join("module");
    for (name, content) in module_files(set, modules)? {
        basalt_store::write::atomically(&module.join(name), content)?;
    }
    let mut sandbox = tools
        .sdk
        .sandbox()
        .network(Network::Inherited)
        .mount(Mount::Bind {
            from: module,
            to: "/module".into(),
            writable: true,
        })
        .mount(Mount::Bind {
            from: tree.to_owned(),
            to: "/cache".into(),
            writable: true,
        })
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
        package: set.package.clone(),
        source: Box::new(source),
    };
    sandbox.command(GO, ["mod", "download"]).output().map_err(failed)?;
    // The archives have served their purpose; builds read what was unpacked from them.
    trim(tree)?;
    task.finish(Outcome::Done);
    Ok(())
}

/// Without the archives, a module cache is half the size. Their digests and `.mod` files stay: Go asks for them.
fn trim(tree: &Utf8Path) -> Result<(), StoreError> {
    let mut rest = vec![tree.join("cache/download")];
    while let Some(folder) = rest.pop() {
        let Ok(entries) = folder.read_dir_utf8() else { continue };
        for entry in entries {
            let entry = entry.map_err(StoreError::io("cannot list", &folder))?;
            if entry.path().is_dir() {
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
    SETTINGS
        .iter()
        .filter_map(|name| {
            let value = std::env::var(name)
                .ok()
                .or_else(|| if name.starts_with("GO") { from_go(name) } else { None });
            value.map(|value| ((*name).to_owned(), value))
        })
        .collect()
}
