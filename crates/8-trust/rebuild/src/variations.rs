//! Conditions of a second build that must not change its result.

use basalt_build::{BuildBase, BuildEnvironment};
use basalt_digest::{Digest, Hasher};
use basalt_sdk::SdkTree;
use basalt_store::{FileError, Store, StoreError, Workspace, write};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::{RebuildError, clock};

/// Deeper and longer than `/build`.
const DIRECTORY: &str = "/home/rebuilder/another/place";
const HOME: &str = "/home/rebuilder";
const USER: u32 = 1000;
const NAME: &str = "rebuilder";
const UMASK: u32 = 0o077;

/// A condition that is varied, with its values in both builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Varied {
    /// Name of the condition.
    pub what: &'static str,
    /// Value in an ordinary build.
    pub first: String,
    /// Value in the second build.
    pub second: String,
}

/// A build environment that differs from the ordinary one in all that must not change a result.
#[derive(Debug)]
pub struct Variations {
    upper: Vec<Utf8PathBuf>,
    environment: BuildEnvironment,
    ordinary: BuildEnvironment,
    _workspace: Workspace,
}

impl Variations {
    /// Prepares the environment: the library for the clock, and the user's entries in `/etc/passwd` and `/etc/group`.
    ///
    /// # Errors
    /// When files cannot be written or the library cannot be compiled.
    pub fn prepare(base: &BuildBase, sdk: &SdkTree, store: &Store) -> Result<Self, RebuildError> {
        let clock = clock::tree(sdk, store)?;
        let ordinary = BuildEnvironment::ordinary(base.jobs);
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let environment = BuildEnvironment {
            directory: DIRECTORY.into(),
            host_name: "elsewhere".to_owned(),
            user: USER,
            umask: UMASK,
            // One where there are several; several where there is one.
            jobs: if base.jobs == 1 { 3 } else { 1 },
            has_jobserver: false,
            processor: None,
            home: HOME.into(),
            locale: "C".to_owned(),
            time_zone: "ELSE-9:30".to_owned(),
            in_memory: false,
            variables: vec![
                variable("USER", NAME),
                variable("LOGNAME", NAME),
                variable("LD_PRELOAD", &format!("/{}", clock::LIBRARY)),
            ],
        };
        let workspace = store.workspace()?;
        let own = workspace.path().join("elsewhere");
        let layers: Vec<_> = base.layers.iter().map(|layer| layer.path.clone()).collect();
        introduce(&layers, &own)?;
        Ok(Self {
            upper: vec![own, clock],
            environment,
            ordinary,
            _workspace: workspace,
        })
    }

    /// The folders that are laid over all others.
    pub(crate) fn upper(&self) -> &[Utf8PathBuf] {
        &self.upper
    }

    /// The environment for one worker of several, each of which is kept to one processor when there are several.
    pub(crate) fn environment(&self, worker: usize, in_memory: bool) -> BuildEnvironment {
        let mut environment = self.environment.clone();
        environment.processor = (self.ordinary.jobs > 1).then_some(worker);
        environment.in_memory = in_memory;
        environment
    }

    /// The digest of what is varied, apart from which processor it is and where the files lie.
    pub(crate) fn digest(&self) -> Digest {
        let mut hasher = Hasher::new();
        for varied in self.varied() {
            hasher.fact(varied.what, varied.second);
        }
        hasher.finish()
    }

    /// Returns the conditions that differ from those of an ordinary build, as reports show them.
    pub fn varied(&self) -> Vec<Varied> {
        let (first, second) = (&self.ordinary, &self.environment);
        let varied = |what, first: &dyn ToString, second: &dyn ToString| Varied {
            what,
            first: first.to_string(),
            second: second.to_string(),
        };
        let processors = |jobs: usize| if jobs == 1 { "one".to_owned() } else { "all".to_owned() };
        vec![
            varied("build folder", &first.directory, &second.directory),
            varied("clock", &"now", &format!("{} days ahead", clock::DAYS)),
            varied("host name", &first.host_name, &second.host_name),
            varied("user and group", &first.user, &second.user),
            varied(
                "umask",
                &format!("{:03o}", first.umask),
                &format!("{:03o}", second.umask),
            ),
            varied("processes at once", &first.jobs, &second.jobs),
            varied("processors", &"all", &processors(second.jobs)),
            varied("home", &first.home, &second.home),
            varied("locale", &first.locale, &second.locale),
            varied("time zone", &first.time_zone, &second.time_zone),
            varied("build file system", &"the store's disk", &"memory, if there is enough"),
        ]
    }
}

/// Makes the user known: programs ask for the name of whoever runs them.
fn introduce(layers: &[Utf8PathBuf], own: &Utf8Path) -> Result<(), StoreError> {
    for (file, line) in [
        ("etc/passwd", format!("{NAME}:x:{USER}:{USER}::{HOME}:/bin/sh\n")),
        ("etc/group", format!("{NAME}:x:{USER}:\n")),
    ] {
        let known = layers.iter().map(|layer| layer.join(file)).find(|path| path.is_file());
        let mut text = match &known {
            Some(path) => fs_err::read_to_string(path).map_err(FileError::new("cannot read", path))?,
            None => String::new(),
        };
        text += &line;
        write::atomically(&own.join(file), text)?;
    }
    Ok(())
}
