//! What surrounds a build without being an ingredient of it.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// The folder in which rpmbuild works.
pub(crate) const TOP: &str = "/build";

/// What surrounds a build without being an ingredient of it: nothing of it may be seen in what comes out. So it is no part
/// of any key, and a package that is built again under other conditions has to be the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// The folder in which rpmbuild works.
    pub directory: Utf8PathBuf,
    /// The name of the host.
    pub host_name: String,
    /// The id of the user and of the user's group.
    pub user: u32,
    /// The permissions that new files do not get; other than 022, those of the checkout's files are narrowed by it too.
    pub umask: u32,
    /// How many processes the build may run at once.
    pub jobs: usize,
    /// The one processor that it may use, where it is kept to one.
    pub processor: Option<usize>,
    /// `HOME`.
    pub home: Utf8PathBuf,
    /// `LC_ALL`.
    pub locale: String,
    /// `TZ`.
    pub time_zone: String,
    /// Whether the sources are unpacked and built in memory rather than on the store's disk: another file system, which
    /// lists folders in another order.
    pub in_memory: bool,
    /// Variables besides.
    pub variables: Vec<(String, String)>,
}

impl Conditions {
    /// Those of every build.
    pub fn ordinary(jobs: usize) -> Self {
        Self {
            directory: TOP.into(),
            host_name: "basalt".to_owned(),
            user: 0,
            umask: 0o022,
            jobs,
            processor: None,
            home: TOP.into(),
            locale: "C.UTF-8".to_owned(),
            time_zone: "UTC".to_owned(),
            in_memory: false,
            variables: Vec::new(),
        }
    }

    /// The distribution's own text, with the build folder that it speaks of being ours: what compilers are told to leave
    /// out of their products has to follow the folder.
    pub fn relocate(&self, text: &str) -> String {
        text.replace(&format!("{TOP}/BUILD"), &format!("{}/BUILD", self.directory))
    }
}
