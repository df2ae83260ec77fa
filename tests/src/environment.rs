//! Environment and working directory of the tests of one process.

use basalt_sdk::SdkTree;
use basalt_store::{Store, StoreError, Workspace};
use camino::{Utf8Path, Utf8PathBuf};

use crate::Cli;

/// Environment of the tests, from variables that `./basalt test` sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestEnvironment {
    /// `BASALT_PROGRAM`: the `basalt` command that is tested.
    pub program: Utf8PathBuf,
    /// `BASALT_SDK`: the tree of build tools.
    pub sdk: Utf8PathBuf,
    /// Root of the checkout: the one in which the tests were compiled.
    pub checkout: Utf8PathBuf,
}

/// A folder for the tests of one process, on the disk of the user's store, gone when dropped. What a killed test leaves
/// there is swept by the next `basalt`.
#[derive(Debug)]
pub struct TestDirectory {
    /// Environment of the tests.
    pub environment: TestEnvironment,
    /// The user's store.
    pub store: Store,
    /// The tree of build tools, in the user's store.
    pub sdk: SdkTree,
    workspace: Workspace,
}

impl TestEnvironment {
    /// Reads the variables.
    ///
    /// # Errors
    /// Text that names the variable that is missing.
    pub fn read() -> Result<Self, String> {
        let variable = |name: &str, what: &str| {
            std::env::var(name)
                .ok()
                .map(Utf8PathBuf::from)
                .filter(|path| path.exists())
                .ok_or_else(|| format!("{name} does not say where {what} is; ./basalt test does"))
        };
        let checkout = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
        Ok(Self {
            program: variable("BASALT_PROGRAM", "the basalt command")?,
            sdk: variable("BASALT_SDK", "the tree of the SDK")?,
            checkout: checkout.parent().unwrap_or(checkout).to_owned(),
        })
    }

    /// The `basalt` command on the checkout and the user's store.
    pub fn cli(&self) -> Cli {
        Cli::new(&self.program, &self.checkout)
    }
}

impl TestDirectory {
    /// Makes the folder.
    ///
    /// # Errors
    /// When the store cannot be opened, and when `BASALT_SDK` is not the tree that the checkout asks for.
    pub fn make(environment: TestEnvironment) -> Result<Self, miette::Report> {
        let store = Store::open(&Store::default_path()?)?;
        let lock = environment.checkout.join("distro/sdk/sdk.lock");
        let sdk = SdkTree::find(&store, &lock)?.filter(|sdk| sdk.path == environment.sdk);
        let sdk = sdk.ok_or_else(|| {
            miette::miette!(
                help = "`./basalt sdk build` makes it and shows where it is",
                "BASALT_SDK is not the tree of {lock} in the store {}",
                store.root()
            )
        })?;
        let workspace = store.workspace()?;
        Ok(Self {
            environment,
            store,
            sdk,
            workspace,
        })
    }

    /// A new folder in it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> Result<Utf8PathBuf, StoreError> {
        let path = self.workspace.path().join(name);
        fs_err::create_dir_all(&path).map_err(StoreError::io("cannot create", &path))?;
        Ok(path)
    }
}
