//! Environment of a build: properties that are not inputs and must not change the result.

use std::collections::BTreeMap;

use basalt_release::Arch;
use basalt_release::BUILD_TIME;
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// Top folder of rpmbuild.
pub(crate) const TOP: &str = "/build";
/// Variable that holds the number of processes that a build may run at once.
const JOBS: &str = "BASALT_JOBS";
/// Variable that holds the flags for make and ninja: `-j<jobs>`, or nothing where a jobserver limits the processes.
const MAKE_FLAGS: &str = "BASALT_MAKE_FLAGS";

/// Environment of a build: folder, user, host name, processors and the like. The result must not depend on it: `basalt
/// verify` builds in others and compares. The ordinary one is part of every action, except for `jobs`, `has_jobserver`,
/// `processor`, `in_memory` and `variables`, which are in no key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildEnvironment {
    /// Top folder of rpmbuild.
    pub directory: Utf8PathBuf,
    /// Host name.
    pub host_name: String,
    /// Id of the user and of the user's group.
    pub user: u32,
    /// Umask; one other than 022 restricts the modes of the checkout's files, too.
    pub umask: u32,
    /// Number of processes that the build may run at once.
    pub jobs: usize,
    /// `true` if the build is a client of a GNU jobserver, which limits its processes.
    pub has_jobserver: bool,
    /// The only processor that the build may use, if it is pinned to one.
    pub processor: Option<usize>,
    /// Value of `HOME`.
    pub home: Utf8PathBuf,
    /// Value of `LC_ALL`.
    pub locale: String,
    /// Value of `TZ`.
    pub time_zone: String,
    /// `true` if sources are unpacked and built in memory rather than on the store's disk: another file system, with
    /// another order of directory entries.
    pub in_memory: bool,
    /// Further variables.
    pub variables: Vec<(String, String)>,
}

impl BuildEnvironment {
    /// Returns the environment of ordinary builds, with so many processes at once.
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

    /// Returns the variables that are part of an action.
    pub fn action_variables(&self, arch: Arch) -> BTreeMap<String, String> {
        let variables = [
            ("PATH", format!("/opt/{}/bin:/usr/bin:/usr/sbin", arch.triple())),
            ("HOME", self.home.to_string()),
            ("LC_ALL", self.locale.clone()),
            ("TZ", self.time_zone.clone()),
            ("SOURCE_DATE_EPOCH", BUILD_TIME.to_string()),
            // As root, tar keeps upstream's permissions; as another user, it applies the umask: packages must not show
            // who built them.
            ("TAR_OPTIONS", "--no-same-permissions".to_owned()),
        ];
        let variables = variables.into_iter();
        variables.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Returns the variables that are not part of an action: they describe the build machine.
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

    /// Returns the arguments of rpm besides the distribution's macros. The arguments do not depend on the number of
    /// processors, which comes from a variable.
    pub(crate) fn rpm_arguments(&self, arch: Arch) -> Vec<String> {
        let define = |text: String| ["--define".to_owned(), text];
        let mut arguments = vec!["--target".to_owned(), arch.name().to_owned()];
        arguments.extend(define(format!("_topdir {}", self.directory)));
        arguments.extend(define(format!("_smp_build_ncpus %{{getenv:{JOBS}}}")));
        arguments.extend(define(format!("_smp_mflags %{{getenv:{MAKE_FLAGS}}}")));
        arguments
    }
}
