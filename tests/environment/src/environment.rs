//! Environment and working directory of the tests of one process.

use basalt_content::{ContentFile, DistributionContent};
use basalt_sdk::SdkTree;
use basalt_store::{FileError, Store, StoreError, Workspace};
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

/// Reasons for which there is no environment of the tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentError {
    /// A variable is not set: the tests were started without `./basalt test`.
    Unset {
        /// Name of the variable.
        name: &'static str,
        /// Description of the file that it names.
        what: &'static str,
    },
    /// A variable names a file that is not there.
    Missing {
        /// Name of the variable.
        name: &'static str,
        /// Its value.
        path: Utf8PathBuf,
    },
}

impl std::fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unset { name, what } => {
                write!(f, "{name} does not say where {what} is; ./basalt test does")
            }
            Self::Missing { name, path } => write!(f, "{name} is {path}, which is not there"),
        }
    }
}

impl TestEnvironment {
    /// Reads the variables.
    ///
    /// # Errors
    /// When a variable is not set, or names nothing.
    pub fn read() -> Result<Self, EnvironmentError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(value: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let file = |name: &'static str, what: &'static str| {
            let path = value(name).map(Utf8PathBuf::from);
            match path.ok_or(EnvironmentError::Unset { name, what })? {
                path if path.exists() => Ok(path),
                path => Err(EnvironmentError::Missing { name, path }),
            }
        };
        let manifest = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
        Ok(Self {
            program: file("BASALT_PROGRAM", "the basalt command")?,
            sdk: file("BASALT_SDK", "the tree of the SDK")?,
            checkout: manifest.ancestors().nth(2).unwrap_or(manifest).to_owned(),
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
        let content = DistributionContent::of_checkout(&environment.checkout);
        let lock = content.file(ContentFile::SdkLock).path;
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

    /// A store in a folder of that name, which shares what is built with the user's; its cluster is one of its own.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn shared_store(&self, name: &str) -> Result<Utf8PathBuf, StoreError> {
        let path = self.folder(name)?;
        // A folder with something in it does not become a store.
        drop(Store::open(&path)?);
        for part in ["objects", "trees", "actions", "results"] {
            let (own, shared) = (path.join(part), self.store.root().join(part));
            fs_err::remove_dir(&own)
                .and_then(|()| fs_err::os::unix::fs::symlink(shared, &own))
                .map_err(FileError::new("cannot share", &own))?;
        }
        Ok(path)
    }

    /// A new folder in it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> Result<Utf8PathBuf, FileError> {
        let path = self.workspace.path().join(name);
        fs_err::create_dir_all(&path).map_err(FileError::new("cannot create", &path))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_names_nothing_is_no_reason_to_skip() {
        let read = |program: Option<&str>| {
            TestEnvironment::from_variables(|name| match name {
                "BASALT_PROGRAM" => program.map(str::to_owned),
                _ => Some("/".to_owned()),
            })
        };
        assert!(read(Some("/")).is_ok());
        let unset = read(None).unwrap_err();
        assert!(matches!(
            unset,
            EnvironmentError::Unset {
                name: "BASALT_PROGRAM",
                ..
            }
        ));
        let deleted = read(Some("/proc/basalt (deleted)")).unwrap_err();
        assert_eq!(
            deleted.to_string(),
            "BASALT_PROGRAM is /proc/basalt (deleted), which is not there"
        );
    }
}
