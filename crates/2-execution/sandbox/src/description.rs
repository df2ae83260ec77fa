//! Description of a sandbox: root, mounts, network, identity, policy and limits.

use basalt_process::{Command, quote};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::policy::Policy;
use crate::{ConfinementLayer, OUTER, Relaxation, SandboxLimits};

/// A description of a sandbox and of the program to run in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sandbox {
    pub(crate) root: Root,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) network: Network,
    pub(crate) hostname: String,
    pub(crate) user: u32,
    pub(crate) umask: u32,
    pub(crate) processor: Option<usize>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) directory: Utf8PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) devices: Vec<Utf8PathBuf>,
    pub(crate) shown: Option<String>,
    pub(crate) policy: Policy,
    pub(crate) limits: SandboxLimits,
    pub(crate) report: Option<Utf8PathBuf>,
    /// Files and folders of the host that count against the limit of the disk besides those that the sandbox writes to.
    pub(crate) counted: Vec<Utf8PathBuf>,
    /// The process that starts it, and with which it ends.
    pub(crate) owner: u32,
}

/// Layers of the root file system, an overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Trees, the uppermost first. They are never written to.
    pub layers: Vec<Utf8PathBuf>,
    /// A folder on a disk for what the program writes, kept afterwards under `upper`; without one, writes go to memory.
    pub scratch: Option<Utf8PathBuf>,
}

/// Something that is mounted into the root. The mount points are made as needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mount {
    /// A file or folder of the host.
    Bind {
        /// On the host.
        from: Utf8PathBuf,
        /// In the sandbox.
        to: Utf8PathBuf,
        /// `true` if the program may write to it.
        writable: bool,
    },
    /// Trees stacked onto each other, the uppermost first; read-only.
    Stack {
        /// On the host.
        layers: Vec<Utf8PathBuf>,
        /// In the sandbox.
        to: Utf8PathBuf,
    },
    /// An empty folder in memory.
    Memory {
        /// In the sandbox.
        to: Utf8PathBuf,
    },
}

/// Network that the program sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// A loopback device and nothing else.
    None,
    /// The network namespace of the process that starts the sandbox.
    Inherited,
}

impl Sandbox {
    /// A sandbox with a root, no network, and nothing of the host.
    pub fn new(root: Root) -> Self {
        Self {
            root,
            mounts: Vec::new(),
            network: Network::None,
            hostname: "basalt".to_owned(),
            user: 0,
            umask: 0o022,
            processor: None,
            environment: Vec::new(),
            directory: "/".into(),
            arguments: Vec::new(),
            devices: Vec::new(),
            shown: None,
            policy: Policy::default(),
            limits: SandboxLimits::default(),
            report: None,
            counted: Vec::new(),
            owner: 0,
        }
    }

    /// Mounts something into it. Later mounts may lie within earlier ones.
    pub fn mount(mut self, mount: Mount) -> Self {
        self.mounts.push(mount);
        self
    }

    /// Shows a file or folder of the host at the same path, read-only.
    pub fn show(self, path: impl AsRef<Utf8Path>) -> Self {
        let path = path.as_ref().to_owned();
        self.mount(Mount::Bind {
            from: path.clone(),
            to: path,
            writable: false,
        })
    }

    /// Shows a file or folder of the host at the same path, for writing too.
    pub fn show_writable(self, path: impl AsRef<Utf8Path>) -> Self {
        let path = path.as_ref().to_owned();
        self.mount(Mount::Bind {
            from: path.clone(),
            to: path,
            writable: true,
        })
    }

    /// Adds a device node of the host beside the harmless ones that are always there; left out where the host has none.
    pub fn device(mut self, path: impl Into<Utf8PathBuf>) -> Self {
        self.devices.push(path.into());
        self
    }

    /// Chooses the network.
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Sets the host name in the sandbox's UTS namespace; `basalt` by default.
    pub fn hostname(mut self, name: impl Into<String>) -> Self {
        self.hostname = name.into();
        self
    }

    /// Sets the user and group id that the program runs under in its user namespace; 0 (root) by default. No id has
    /// capabilities, unless a [`Relaxation`] keeps some.
    pub fn user(mut self, id: u32) -> Self {
        self.user = id;
        self
    }

    /// The permissions that new files do not get, as `umask` takes them; 022 unless said.
    pub fn umask(mut self, umask: u32) -> Self {
        self.umask = umask;
        self
    }

    /// Keeps the program on one processor: that of this number among those that we may use, counted around.
    pub fn processor(mut self, number: usize) -> Self {
        self.processor = Some(number);
        self
    }

    /// Sets a variable. The program sees those that are set here and no others.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Runs the program in a folder of the sandbox.
    pub fn current_dir(mut self, directory: impl Into<Utf8PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Makes a named exception from the strict policy.
    pub fn relax(mut self, relaxation: Relaxation) -> Self {
        self.policy.relax(relaxation);
        self
    }

    /// Ends the sandbox when it uses more than this.
    pub fn limits(mut self, limits: SandboxLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Writes a [`SandboxReport`](crate::SandboxReport) to a file of the host when the sandbox ends.
    pub fn report(mut self, path: impl Into<Utf8PathBuf>) -> Self {
        self.report = Some(path.into());
        self
    }

    /// Counts a file or folder of the host against the limit of the disk, which the caller writes and the program makes
    /// large: a log of its output.
    pub fn count(mut self, path: impl Into<Utf8PathBuf>) -> Self {
        self.counted.push(path.into());
        self
    }

    /// For tests only: leaves a layer out, to show that what it stops would happen without it.
    pub fn without(mut self, layer: ConfinementLayer) -> Self {
        self.policy.leave_out(layer);
        self
    }

    /// Sets the text that errors show for the command; by default its arguments, quoted for a shell.
    pub fn shown_as(mut self, text: impl Into<String>) -> Self {
        self.shown = Some(text.into());
        self
    }

    /// The command that runs a program in this sandbox.
    ///
    /// Must be started and waited for by one thread: the sandbox ends when the thread that started it does.
    pub fn command<A: AsRef<str>>(&self, program: &str, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut sandbox = self.clone();
        sandbox.arguments = std::iter::once(program.to_owned())
            .chain(arguments.into_iter().map(|argument| argument.as_ref().to_owned()))
            .collect();
        let shown = sandbox.shown.take().unwrap_or_else(|| {
            let words: Vec<_> = sandbox.arguments.iter().map(quote).collect();
            words.join(" ")
        });
        sandbox.owner = std::process::id();
        let description = serde_json::to_vec(&sandbox).unwrap_or_default();
        Command::new("/proc/self/exe")
            .arg(OUTER)
            .sealed_input(description)
            .shown_as(shown)
            .named(Utf8Path::new(program).file_name().unwrap_or(program))
    }
}
