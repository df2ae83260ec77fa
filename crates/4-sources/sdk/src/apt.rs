//! apt with a state of its own: with the settings and mirrors of the machine's apt, without its package lists and
//! installed packages.

use basalt_process::{Command, tool::Tool};
use basalt_store::{FileError, Store, Workspace, write};
use camino::Utf8Path;

use crate::{SdkError, archive};

/// Keyring with Debian's keys, which verify the archive's indexes.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Instance of apt for some suites of the archive, in a workspace of its own.
#[derive(Debug)]
pub(crate) struct PrivateApt {
    workspace: Workspace,
    index: Index,
    suites: Vec<String>,
    mirrors: Vec<String>,
    /// URL of the mirror in use: the first, until [`Self::update`] has found one that has the lists.
    pub(crate) mirror: String,
}

/// Index of a suite that apt fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Index {
    /// Index of the binary packages (`deb`).
    Packages,
    /// Index of the source packages (`deb-src`).
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
    /// Writes configuration and state into a workspace; [`Self::update`] fetches the lists.
    pub(crate) fn new(store: &Store, index: Index, suites: &[String]) -> Result<Self, SdkError> {
        let mirrors = archive::mirrors()?;
        let apt = Self {
            workspace: store.workspace()?,
            index,
            suites: suites.to_vec(),
            mirror: mirrors.first().cloned().ok_or(SdkError::NoMirror)?,
            mirrors,
        };
        apt.write_sources()?;
        let root = apt.workspace.path();
        write::atomically(&root.join("status"), "")?;
        for folder in ["state/lists/partial", "cache/archives/partial", "parts"] {
            let folder = root.join(folder);
            fs_err::create_dir_all(&folder).map_err(FileError::new("cannot create", &folder))?;
        }
        Ok(apt)
    }

    fn write_sources(&self) -> Result<(), SdkError> {
        let word = self.index.word();
        let lines = self
            .suites
            .iter()
            .map(|suite| format!("{word} [signed-by={KEYRING}] {} {suite} main\n", self.mirror));
        Ok(write::atomically(
            &self.workspace.path().join("sources.list"),
            lines.collect::<String>(),
        )?)
    }

    /// Returns the command of a program of apt, with the settings of this instance.
    pub(crate) fn command(&self, tool: Tool) -> Command {
        let root = self.workspace.path();
        let path = |name: &str| root.join(name).into_string();
        let option = |name: &str, value: String| format!("-o{name}={value}");
        Command::tool(tool).args([
            option("Acquire::http::Timeout", "30".to_owned()),
            option("Acquire::Retries", "3".to_owned()),
            option("Dir::Etc::sourcelist", path("sources.list")),
            option("Dir::Etc::sourceparts", path("parts")),
            option("Dir::State", path("state")),
            option("Dir::State::status", path("status")),
            option("Dir::Cache", path("cache")),
            option("APT::Architecture", "amd64".to_owned()),
            option("APT::Architectures", "amd64".to_owned()),
            option("APT::Sandbox::User", String::new()),
            option("Acquire::Languages", "none".to_owned()),
            // Many containers configure compressed lists; these are read as text.
            option("Acquire::GzipIndexes", "false".to_owned()),
            option("Acquire::ForceHash", "SHA256".to_owned()),
            option("Debug::NoLocking", "true".to_owned()),
        ])
    }

    /// Fetches the lists, from the first mirror that has them.
    pub(crate) fn update(&mut self) -> Result<(), SdkError> {
        let mut first = None;
        for mirror in self.mirrors.clone() {
            self.mirror = mirror;
            self.write_sources()?;
            let update = self.command(basalt_process::tool::APT_GET);
            // By default, a missing list is only a warning.
            match update.args(["-oAPT::Update::Error-Mode=any", "update"]).output() {
                Ok(_) => return Ok(()),
                Err(error) if error.is_interrupt() => return Err(error.into()),
                Err(error) => {
                    tracing::debug!(mirror = self.mirror, %error, "this mirror does not help");
                    first = first.or(Some(error));
                }
            }
        }
        Err(first.map_or(SdkError::NoMirror, SdkError::from))
    }

    /// Returns the folder of the lists.
    pub(crate) fn lists(&self) -> camino::Utf8PathBuf {
        Utf8Path::join(self.workspace.path(), "state/lists")
    }
}
