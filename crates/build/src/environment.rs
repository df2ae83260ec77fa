//! Circumstances of a build that are no part of what it is made from.

use std::collections::BTreeMap;

use basalt_model::BUILD_TIME;
use basalt_model::arch::Arch;
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// The folder in which rpmbuild works.
pub(crate) const TOP: &str = "/build";
/// The variable that tells a build how many processes it may run at once.
const JOBS: &str = "BASALT_JOBS";
/// The variable with the flags that make and ninja are given: `-j<jobs>`, or nothing where a jobserver counts for them.
const MAKE_FLAGS: &str = "BASALT_MAKE_FLAGS";

/// Circumstances of a build: folder, user, host name, processors and the like. What comes out of a build may not depend on
/// them: `basalt verify` builds under others and compares. The ordinary ones are part of every action, apart from
/// `jobs` and `variables`, which are in no key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildEnvironment {
    /// The folder in which rpmbuild works.
    pub directory: Utf8PathBuf,
    /// The name of the host.
    pub host_name: String,
    /// The id of the user and of the user's group.
    pub user: u32,
    /// The permissions that new files do not get; other than 022, those of the checkout's files are narrowed by it, too.
    pub umask: u32,
    /// The number of processes that the build may run at once.
    pub jobs: usize,
    /// Whether the build is a client of a GNU jobserver, which bounds its processes.
    pub has_jobserver: bool,
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

impl BuildEnvironment {
    /// That of every build, with so many processes at once.
    pub fn ordinary(jobs: usize) -> Self {
        Self {
            directory: TOP.into(),
            host_name: "basalt".to_owned(),
            user: 0,
            umask: 0o022,
            jobs,
            has_jobserver: false,
            processor: None,
            home: TOP.into(),
            locale: "C.UTF-8".to_owned(),
            time_zone: "UTC".to_owned(),
            in_memory: false,
            variables: Vec::new(),
        }
    }

    /// The variables that are part of an action.
    pub fn action_variables(&self, arch: Arch) -> BTreeMap<String, String> {
        let variables = [
            ("PATH", format!("/opt/{}/bin:/usr/bin:/usr/sbin", arch.triple())),
            ("HOME", self.home.to_string()),
            ("LC_ALL", self.locale.clone()),
            ("TZ", self.time_zone.clone()),
            ("SOURCE_DATE_EPOCH", BUILD_TIME.to_string()),
            // Root's tar keeps upstream's permissions, anybody else's applies the umask: packages must not tell who built them.
            ("TAR_OPTIONS", "--no-same-permissions".to_owned()),
        ];
        let variables = variables.into_iter();
        variables.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The variables that are not: they tell of the machine that builds.
    pub(crate) fn machine_variables(&self) -> Vec<(String, String)> {
        let jobs = (JOBS.to_owned(), self.jobs.to_string());
        // With a jobserver, make counts by its tokens: a number on its command line would overrule that.
        let flags = if self.has_jobserver {
            String::new()
        } else {
            format!("-j{}", self.jobs)
        };
        [jobs, (MAKE_FLAGS.to_owned(), flags)]
            .into_iter()
            .chain(self.variables.iter().cloned())
            .collect()
    }

    /// The arguments that rpm is given besides the macros of the distribution. They are the same for any number of
    /// processors: that one comes from a variable.
    pub(crate) fn rpm_arguments(&self, arch: Arch) -> Vec<String> {
        let define = |text: String| ["--define".to_owned(), text];
        let mut arguments = vec!["--target".to_owned(), arch.name().to_owned()];
        arguments.extend(define(format!("_topdir {}", self.directory)));
        arguments.extend(define(format!("_smp_build_ncpus %{{getenv:{JOBS}}}")));
        arguments.extend(define(format!("_smp_mflags %{{getenv:{MAKE_FLAGS}}}")));
        arguments
    }
}
