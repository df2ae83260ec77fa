//! apt in a folder of its own: the machine's settings and mirror, but neither its package lists nor its installed packages.

use basalt_process::{Command, tool::Tool};
use basalt_store::{Store, StoreError, Workspace, write};
use camino::Utf8Path;

use crate::{SdkError, archive};

/// Debian's keys, with which the archive's indexes are verified.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An apt that knows some suites of the archive.
#[derive(Debug)]
pub(crate) struct PrivateApt {
    workspace: Workspace,
    pub(crate) mirror: String,
}

/// What apt is to know about a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Index {
    /// Its binary packages.
    Packages,
    /// Its source packages.
    Sources,
}

impl Index {
    fn word(self) -> &'static str {
        match self {
            Self::Packages => "deb",
            Self::Sources => "deb-src",
        }
    }
}

impl PrivateApt {
    /// Sets it up; [`Self::update`] fetches the lists.
    pub(crate) fn new(store: &Store, index: Index, suites: &[String]) -> Result<Self, SdkError> {
        let apt = Self {
            workspace: store.workspace()?,
            mirror: archive::mirror()?,
        };
        let root = apt.workspace.path();
        let word = index.word();
        let sources: String = suites
            .iter()
            .map(|suite| format!("{word} [signed-by={KEYRING}] {} {suite} main\n", apt.mirror))
            .collect();
        write::atomically(&root.join("sources.list"), sources)?;
        write::atomically(&root.join("status"), "")?;
        for folder in ["state/lists/partial", "cache/archives/partial", "parts"] {
            let folder = root.join(folder);
            fs_err::create_dir_all(&folder).map_err(StoreError::io("cannot create", &folder))?;
        }
        Ok(apt)
    }

    /// A program of apt with these settings.
    pub(crate) fn command(&self, tool: Tool) -> Command {
        let root = self.workspace.path();
        let path = |name: &str| root.join(name).into_string();
        let option = |name: &str, value: String| format!("-o{name}={value}");
        Command::tool(tool).args([
            option("Dir::Etc::sourcelist", path("sources.list")),
            option("Dir::Etc::sourceparts", path("parts")),
            option("Dir::State", path("state")),
            option("Dir::State::status", path("status")),
            option("Dir::Cache", path("cache")),
            option("APT::Architecture", "amd64".to_owned()),
            option("APT::Architectures", "amd64".to_owned()),
            option("APT::Sandbox::User", String::new()),
            option("Acquire::Languages", "none".to_owned()),
            // Many containers keep their lists compressed; ours are read.
            option("Acquire::GzipIndexes", "false".to_owned()),
            option("Acquire::ForceHash", "SHA256".to_owned()),
            option("Debug::NoLocking", "true".to_owned()),
        ])
    }

    /// Fetches the lists.
    pub(crate) fn update(&self) -> Result<(), SdkError> {
        self.command(basalt_process::tool::APT_GET).arg("update").output()?;
        Ok(())
    }

    /// The folder of the lists.
    pub(crate) fn lists(&self) -> camino::Utf8PathBuf {
        Utf8Path::join(self.workspace.path(), "state/lists")
    }
}
