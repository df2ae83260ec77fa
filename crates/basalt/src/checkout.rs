//! A checkout of Basalt, with the store and everything that verbs need to work on it.

use std::sync::Arc;

use basalt_bom::Catalogue;
use basalt_build::{BuildBase, Distribution, Engine};
use basalt_content::{ContentFile, ContentFolder, DistributionContent};
use basalt_process::Cancellation;
use basalt_progress::Reporter;
use basalt_release::Arch;
use basalt_sdk::SdkTree;
use basalt_sources::Tools;
use basalt_store::{SharedCache, Store};
use camino::{Utf8Path, Utf8PathBuf};
use miette::{IntoDiagnostic as _, Result, miette};

use crate::doctor;
use crate::environment::variable;
use crate::memory;
use crate::team_cache::{self, TeamCache};
use crate::terminal::Terminal;
pub use crate::text_file::read_text;

/// Checkout, and the user's store.
pub struct Checkout {
    /// Root folder of the checkout.
    pub root: Utf8PathBuf,
    /// Store of the user.
    pub store: Store,
    /// Shared cache of a team, beneath the store.
    pub cache: Option<Arc<TeamCache>>,
    /// Receiver of progress.
    pub terminal: Arc<Terminal>,
}

/// Tools and packages of a checkout, ready for building.
pub struct BuildContext {
    /// Tree of build tools.
    pub sdk: SdkTree,
    /// Layers below every build root.
    pub base: BuildBase,
    /// Packages of the checkout.
    pub distribution: Distribution,
    /// Means to fetch sources.
    pub tools: Tools,
}

/// Selection of packages whose plain source files are fetched while the SDK is made.
#[derive(Debug, Clone, Copy)]
pub enum Ahead<'a> {
    /// None: it is not certain that anything is built.
    Nothing,
    /// These packages. Their dependencies are not known without the SDK.
    Packages(&'a [&'a str]),
    /// All packages.
    All,
}

impl Ahead<'_> {
    fn wants(self, package: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Packages(names) => names.contains(&package),
            Self::All => true,
        }
    }
}

impl Checkout {
    /// Opens the checkout that the launcher was started from, or the one around the current folder.
    pub fn open(quiet: bool, cache: Option<&str>) -> Result<Self> {
        let root = root()?;
        let terminal = Arc::new(Terminal::new(quiet));
        // Also where no cache is named: results of an earlier time count no longer than their signers are trusted.
        let trusted = team_cache::trusted()?;
        let store = open_store(terminal.as_ref())?;
        let mut store = store.with_trusted_signers(trusted.iter().map(|key| key.to_string()));
        let cache = team_cache::open(cache, Arc::clone(&terminal) as Arc<dyn Reporter>)?;
        if let Some(cache) = &cache {
            store = store.with_shared(Arc::clone(cache) as Arc<dyn SharedCache>);
        }
        Ok(Self {
            root,
            store,
            cache,
            terminal,
        })
    }

    /// Returns the distribution's content.
    pub fn content(&self) -> DistributionContent {
        content(&self.root)
    }

    /// Returns the folder of the local cluster's state.
    pub fn cluster_state(&self) -> Utf8PathBuf {
        self.store.root().join("cluster")
    }

    /// Makes the SDK and the toolchain if need be, and reads the packages.
    pub fn build_context(&self) -> Result<BuildContext> {
        self.sdk()?;
        let context = self.lookup_context(Ahead::Nothing)?;
        context.base.materialize(&self.store, self.reporter())?;
        Ok(context)
    }

    /// Reads the packages, by digests of the SDK and the toolchain where the store or the shared cache knows these. The
    /// engine makes them when a program has to be run in them; others call [`BuildBase::materialize`] first. Where the SDK
    /// has to be made, sources are fetched meanwhile.
    pub fn lookup_context(&self, ahead: Ahead<'_>) -> Result<BuildContext> {
        let (sdk, base) = self.base(ahead)?;
        let distribution = Distribution::read(&self.content(), &base, &self.store, self.reporter())?;
        let tools = Tools::new(&self.root, &sdk);
        Ok(BuildContext {
            sdk,
            base,
            distribution,
            tools,
        })
    }

    /// Returns the tree of build tools and the build base, by digests as far as these are known.
    fn base(&self, ahead: Ahead<'_>) -> Result<(SdkTree, BuildBase)> {
        let store = self.store.clone().digests_only();
        let make = |sdk: &SdkTree| BuildBase::make(&self.content(), sdk, Arch::X86_64, &store);
        if let Some(sdk) = self.known_sdk(&store)? {
            match make(&sdk) {
                Ok(base) => return Ok((sdk, base)),
                // The toolchain is not known, and is made from files of the SDK.
                Err(error) if !sdk.path.is_dir() => {
                    tracing::debug!(%error, "the toolchain needs the content of the SDK")
                }
                Err(error) => return Err(error.into()),
            }
        }
        let sdk = self.sdk_and_files(ahead)?;
        let base = make(&sdk)?;
        Ok((sdk, base))
    }

    /// Returns the tree of build tools, which is made if need be.
    pub fn sdk(&self) -> Result<SdkTree> {
        if self.known_sdk(&self.store)?.is_none() {
            self.check_machine()?;
        }
        self.tree(None)
    }

    /// Checks what builds need of the store's file system and of the machine, before minutes go into the SDK.
    fn check_machine(&self) -> Result<()> {
        let root = self.store.root();
        if basalt_sandbox::is_overlayfs(root) {
            return Err(miette!(
                code = "store::overlayfs",
                help = basalt_sandbox::OVERLAYFS_HELP,
                "nothing can be built in the store `{root}`"
            ));
        }
        match doctor::sdk_obstacles(&self.store)? {
            Some(obstacles) => Err(obstacles.into()),
            None => Ok(()),
        }
    }

    /// Returns the tree of build tools. While it is made, plain files among the sources of packages are fetched, which
    /// need no SDK.
    fn sdk_and_files(&self, ahead: Ahead<'_>) -> Result<SdkTree> {
        if let Some(sdk) = self.known_sdk(&self.store)? {
            return Ok(sdk);
        }
        self.check_machine()?;
        let content = self.content();
        let ended = Cancellation::default();
        let wanted = |name: &str| ahead.wants(name);
        std::thread::scope(|scope| {
            scope.spawn(|| basalt_build::prefetch(&content, wanted, &self.store, self.reporter(), &ended));
            let sdk = self.tree(None);
            ended.request();
            sdk
        })
    }

    /// Returns the tree of build tools if a store has it.
    pub fn known_sdk(&self, store: &Store) -> Result<Option<SdkTree>> {
        Ok(SdkTree::find(store, &self.tree_lock(None)?)?)
    }

    /// Lists the definitions of trees: `sdk`, with which everything is built, and others.
    pub fn trees(&self) -> Result<Vec<Utf8PathBuf>> {
        let definitions = self.content().files(ContentFolder::Sdk, "toml")?;
        Ok(definitions.into_values().map(|file| file.path).collect())
    }

    /// Returns the path of the definition of a tree.
    pub fn tree_definition(&self, name: &str) -> Result<Utf8PathBuf> {
        let trees = self.trees()?;
        let known = trees.iter().find(|path| path.file_stem() == Some(name));
        known.cloned().ok_or_else(|| {
            let names: Vec<_> = trees.iter().filter_map(|path| path.file_stem()).collect();
            miette!(
                code = "sdk::unknown",
                help = format!("what there is: {}", names.join(", ")),
                "there is no tree `{name}`"
            )
        })
    }

    /// Returns the tree of a name, which is made if need be; the one of build tools, if no name is given.
    pub fn tree(&self, name: Option<&str>) -> Result<SdkTree> {
        let lock = self.tree_lock(name)?;
        Ok(basalt_sdk::ensure(&self.store, &lock, self.terminal.as_ref())?)
    }

    /// Returns the path of the lock of a tree; of the one of build tools, if no name is given.
    fn tree_lock(&self, name: Option<&str>) -> Result<Utf8PathBuf> {
        match name {
            None => Ok(self.content().file(ContentFile::SdkLock).path),
            Some(name) => Ok(self.tree_definition(name)?.with_extension("lock")),
        }
    }

    /// Reads the catalogue: facts about packages that are not in the packages themselves.
    pub fn catalogue(&self) -> Result<Catalogue> {
        let folders = self.content().folders(ContentFolder::Packages);
        Ok(Catalogue::read(folders.iter().map(|folder| folder.path.as_path()))?)
    }

    /// Returns the receiver of progress.
    pub fn reporter(&self) -> &dyn Reporter {
        self.terminal.as_ref()
    }
}

impl BuildContext {
    /// Returns the engine that builds these packages.
    pub fn engine<'a>(&'a self, checkout: &'a Checkout) -> Engine<'a> {
        Engine::new(
            &checkout.store,
            &self.distribution,
            &self.base,
            &self.tools,
            checkout.terminal.as_ref(),
            memory::for_builds(),
        )
    }
}

/// Returns the content of the distribution in a checkout. The only place that decides which trees it has.
pub fn content(root: &Utf8Path) -> DistributionContent {
    DistributionContent::of_checkout(root)
}

/// Returns the root folder of the checkout that the launcher was started from, or else of the one around the current
/// folder.
pub fn root() -> Result<Utf8PathBuf> {
    match variable("BASALT_ROOT")? {
        Some(root) => Ok(Utf8PathBuf::from(root)),
        None => find_root(),
    }
}

/// Returns the nearest folder at or above the current one that holds a checkout.
fn find_root() -> Result<Utf8PathBuf> {
    let here = std::env::current_dir().into_diagnostic()?;
    let here = Utf8PathBuf::from_path_buf(here).map_err(|path| miette!("`{}` is not UTF-8", path.display()))?;
    here.ancestors()
        .find(|folder| DistributionContent::is_checkout(folder))
        .map(Utf8Path::to_owned)
        .ok_or_else(|| {
            miette!(
                help = "run it as ./basalt, from a checkout",
                "`{here}` is not in a checkout of Basalt"
            )
        })
}

/// Opens the store of the user, and shows its path where BASALT_STORE leaves that to the current folder.
pub fn open_store(reporter: &dyn Reporter) -> Result<Store> {
    let store = Store::open(&Store::default_path()?)?;
    let named = variable("BASALT_STORE")?.unwrap_or_default();
    if !named.is_empty() && Utf8Path::new(&named).is_relative() {
        reporter.note(&format!(
            "BASALT_STORE is a relative path, `{named}`: from this folder, the store is {}",
            store.root()
        ));
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_of_the_sdk_needs_no_definition() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
        for file in ["sdk.lock", "reference.lock", "reference.toml"] {
            let path = root.join("distro/sdk").join(file);
            fs_err::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs_err::write(path, "").expect("written");
        }
        let checkout = Checkout {
            store: Store::open(&root.join("store")).expect("opens"),
            root: root.clone(),
            cache: None,
            terminal: Arc::new(Terminal::new(true)),
        };
        let lock = |name| checkout.tree_lock(name).map_err(|error| error.to_string());
        assert_eq!(lock(None), Ok(root.join("distro/sdk/sdk.lock")));
        assert_eq!(lock(Some("reference")), Ok(root.join("distro/sdk/reference.lock")));
        assert_eq!(lock(Some("other")), Err("there is no tree `other`".to_owned()));
    }
}
