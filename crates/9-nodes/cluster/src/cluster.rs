//! Operations on a local cluster: start, stop, status, logs, kubectl.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant, SystemTime};

use basalt_machine::{AcceleratorChoice, Files};
use basalt_process::Command;
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_release::Arch;
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use crate::api::Api;
use crate::control::{ComponentReport, Control, MachineReport, Order};
use crate::lock::{self, Lock};
use crate::observe::{self, Pod};
use crate::pki::{self, Pki};
use crate::plan::{ClusterInputs, ClusterPlan, ClusterSize, check_path};
use crate::up::{self, UpReport};
use crate::{ClusterError, Layout, forward};

/// Time for machines to shut down by themselves. Zero, because nothing that they would save outlives them, and no other
/// host notices their end.
const GRACE: Duration = Duration::ZERO;
/// Time-out for the end of a supervisor that was asked to stop or that no process holds.
const ENDING: Duration = Duration::from_secs(10);

/// Local cluster in a folder, running or not.
#[derive(Debug, Clone)]
pub struct LocalCluster {
    layout: Layout,
}

/// Status of a running cluster.
#[derive(Debug, Clone, Serialize)]
pub struct ClusterStatus {
    /// Process id of the supervisor.
    pub supervisor: String,
    /// URL of the API server on the host.
    pub endpoint: String,
    /// Host and port of the registry on the host.
    pub registry: String,
    /// Path of the administrator's kubeconfig.
    pub kubeconfig: Utf8PathBuf,
    /// Age of the cluster, in seconds.
    pub seconds: u64,
    /// Accelerator of the machines, with the reason for its choice.
    pub accelerator: Option<AcceleratorChoice>,
    /// Components of the control plane.
    pub components: Vec<ComponentReport>,
    /// Nodes of the cluster.
    pub nodes: Vec<NodeStatus>,
    /// Pods of all namespaces; `None` when the API server did not answer.
    pub pods: Option<Vec<Pod>>,
}

/// Status of a node.
#[derive(Debug, Clone, Serialize)]
pub struct NodeStatus {
    /// State of the node's machine.
    #[serde(flatten)]
    pub machine: MachineReport,
    /// Condition Ready of the node; `None` when it has not registered.
    pub ready: Option<bool>,
}

impl LocalCluster {
    /// Opens the cluster in a folder, running or not. Nothing is made or changed.
    ///
    /// # Errors
    /// When the folder's path is too long for what is in it.
    pub fn open(folder: impl Into<Utf8PathBuf>) -> Result<Self, ClusterError> {
        let folder = folder.into();
        check_path(&folder)?;
        Ok(Self {
            layout: Layout::new(folder),
        })
    }

    /// Paths of the cluster's files.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Starts the cluster, and returns when its web server has answered; without nodes, when the initial objects are
    /// applied. After a failure or an interruption no process is left; after a failure the logs are kept.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub fn up(
        &self,
        inputs: ClusterInputs,
        size: ClusterSize,
        arch: Arch,
        reporter: &dyn Reporter,
    ) -> Result<UpReport, ClusterError> {
        let began = Instant::now();
        let _lock = self.lock()?;
        self.await_supervisor_end(&inputs, size)?;
        if self.clear(&[])? {
            reporter.note("removed what an earlier cluster left behind");
        }
        let result = up::run(&self.layout, inputs, size, arch, reporter, began);
        if let Err(error) = &result {
            self.end_supervisor(Duration::ZERO)?;
            let kept = self.layout.logs();
            let keep: &[&Utf8Path] = if error.is_interrupt() { &[] } else { &[&kept] };
            self.clear(keep)?;
            if keep.is_empty() {
                self.remove_folder()?;
            }
        }
        result
    }

    /// Stops the cluster and removes all of its files; `false` when there was none.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn down(&self, reporter: &dyn Reporter) -> Result<bool, ClusterError> {
        if !self.layout.root().exists() {
            return Ok(false);
        }
        let _lock = self.lock()?;
        let was_running = lock::is_held(&self.layout.supervisor_lock());
        if was_running {
            let task = reporter.task("ending the cluster", Unit::Items, None);
            self.end_supervisor(GRACE)?;
            task.finish(Outcome::Done);
        }
        let removed = self.clear(&[])?;
        self.remove_folder()?;
        Ok(was_running || removed)
    }

    /// Reads the status of the cluster; `None` when it is not running.
    ///
    /// # Errors
    /// When the supervisor does not answer, or a certificate is invalid.
    pub fn status(&self) -> Result<Option<ClusterStatus>, ClusterError> {
        let (Some(plan), true) = (
            ClusterPlan::read(&self.layout)?,
            lock::is_held(&self.layout.supervisor_lock()),
        ) else {
            return Ok(None);
        };
        let report = Control::connect(&self.layout)?.report()?;
        let api = self.api()?;
        // An API server that does not answer is part of the status, not an error.
        let registered = api
            .get("/api/v1/nodes")
            .map(|list| observe::nodes(&list))
            .unwrap_or_default();
        let pods = api.get("/api/v1/pods").map(|list| observe::pods(&list)).ok();
        let ready = |name: &str| {
            registered
                .iter()
                .find(|(node, _)| node == name)
                .map(|(_, ready)| *ready)
        };
        let nodes = report.machines.into_iter().map(|machine| NodeStatus {
            ready: ready(&machine.name),
            machine,
        });
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Ok(Some(ClusterStatus {
            supervisor: lock::holder(&self.layout.supervisor_lock()),
            endpoint: plan.host_endpoint(),
            registry: plan.host_registry(),
            kubeconfig: self.layout.kubeconfig(pki::ADMIN),
            seconds: now.saturating_sub(Duration::from_millis(report.began)).as_secs(),
            accelerator: report.accelerator,
            components: report.components,
            nodes: nodes.collect(),
            pods,
        }))
    }

    /// URL of the running cluster's registry on the host, without a path. [`crate::registry::repository`] defines the
    /// names in it.
    ///
    /// # Errors
    /// When no cluster is running.
    pub fn registry(&self) -> Result<String, ClusterError> {
        let plan = self.running_plan()?;
        Ok(format!("http://{}:{}", Ipv4Addr::LOCALHOST, plan.registry_port))
    }

    /// Checks for an image that the running cluster's own pods run, by its repository and tag in the registry.
    ///
    /// # Errors
    /// When no cluster is running.
    pub fn runs_image(&self, repository: &str, tag: &str) -> Result<bool, ClusterError> {
        Ok(self.running_plan()?.runs_image(repository, tag))
    }

    /// Returns the path of the administrator's kubeconfig of the running cluster.
    ///
    /// # Errors
    /// When no cluster is running, or a certificate is invalid.
    pub fn kubeconfig(&self) -> Result<Utf8PathBuf, ClusterError> {
        if !lock::is_held(&self.layout.supervisor_lock()) {
            return Err(ClusterError::Stopped);
        }
        pki::check(&Pki::new(self.layout.pki()), SystemTime::now())?;
        Ok(self.layout.kubeconfig(pki::ADMIN))
    }

    /// Makes a command that runs kubectl, from Basalt's packages, on the running cluster. It runs on the host, where
    /// the user's files are.
    ///
    /// # Errors
    /// As [`LocalCluster::kubeconfig`].
    pub fn kubectl<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<Command, ClusterError> {
        let kubeconfig = self.kubeconfig()?;
        let plan = self.running_plan()?;
        Ok(plan
            .kubectl(&self.layout)
            .env("KUBECONFIG", kubeconfig)
            .args(arguments.into_iter().map(|a| a.as_ref().to_owned())))
    }

    /// Reference of one of the distribution's container images in the running cluster's registry, as pods name it; `None`
    /// when the cluster does not have it.
    ///
    /// # Errors
    /// When no cluster is running.
    pub fn image(&self, name: &str) -> Result<Option<String>, ClusterError> {
        let plan = self.running_plan()?;
        let reference = plan.inputs.images.get(name);
        Ok(reference.map(|reference| format!("{}/{reference}", crate::topology::REGISTRY)))
    }

    /// Sends an HTTP request to a web server inside the cluster, by the address of a Service or a node. Returns the
    /// status and the body.
    ///
    /// # Errors
    /// When no cluster is running, or the server does not answer.
    pub fn ask(&self, address: Ipv4Addr, port: u16, path: &str) -> Result<(u16, String), ClusterError> {
        up::ask(&mut Control::connect(&self.layout)?, address, port, path)
    }

    /// Forwards a port of the host's loopback device to a TCP server inside the cluster, as long as this process runs.
    /// Returns the port, which was free.
    ///
    /// # Errors
    /// When no cluster is running, or no port is free.
    pub fn forward(&self, address: Ipv4Addr, port: u16) -> Result<u16, ClusterError> {
        self.running_plan()?;
        let listening = |listener: std::io::Result<TcpListener>| {
            let listener = listener?;
            let own = listener.local_addr()?.port();
            Ok((listener, own))
        };
        let (listener, own) = listening(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .map_err(ClusterError::file("listen on a port of this machine"))?;
        let layout = self.layout.clone();
        forward::serve_with(listener, move |mut client| {
            let control = Control::connect(&layout).map_err(std::io::Error::other)?;
            let (server, early) = control.connect_to(address, port).map_err(std::io::Error::other)?;
            client.set_nodelay(true)?;
            client.write_all(&early)?;
            forward::relay(client, &server)
        });
        Ok(own)
    }

    /// Lists the existing logs, by name: components of the control plane, supervisor, consoles of the nodes.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn logs(&self) -> Result<Vec<(String, Utf8PathBuf)>, ClusterError> {
        let mut logs = Vec::new();
        for path in entries(&self.layout.logs())?
            .into_iter()
            .chain(entries(self.layout.root())?)
        {
            let console = Files::new(&path).console_log();
            match (path.extension(), path.file_stem()) {
                (Some("log"), Some(name)) => logs.push((name.to_owned(), path)),
                (None, Some(name)) if console.exists() => logs.push((name.to_owned(), console)),
                _ => {}
            }
        }
        logs.sort();
        Ok(logs)
    }

    /// Returns the path of one log, by its name.
    ///
    /// # Errors
    /// [`ClusterError::NoLog`], with the existing names; [`ClusterError::Stopped`] when there are no logs at all.
    pub fn log(&self, name: &str) -> Result<Utf8PathBuf, ClusterError> {
        let logs = self.logs()?;
        if logs.is_empty() {
            return Err(ClusterError::Stopped);
        }
        let names: Vec<_> = logs.iter().map(|(name, _)| name.as_str()).collect();
        let known = names.join(", ");
        let found = logs.into_iter().find(|(known, _)| known == name).map(|(_, path)| path);
        found.ok_or(ClusterError::NoLog {
            name: name.to_owned(),
            known,
        })
    }

    /// Client of the running cluster's API server, as its administrator.
    pub(crate) fn api(&self) -> Result<Api, ClusterError> {
        let plan = self.running_plan()?;
        let pki = Pki::new(self.layout.pki());
        pki::check(&pki, SystemTime::now())?;
        Api::new(&pki, pki::ADMIN, plan.host_endpoint())
    }

    /// Plan of the running cluster; an error when none is running.
    fn running_plan(&self) -> Result<ClusterPlan, ClusterError> {
        if !lock::is_held(&self.layout.supervisor_lock()) {
            return Err(ClusterError::Stopped);
        }
        ClusterPlan::read(&self.layout)?.ok_or(ClusterError::Stopped)
    }

    fn lock(&self) -> Result<Lock, ClusterError> {
        crate::secret::make_private_folder(self.layout.root())?;
        let path = self.layout.change_lock();
        lock::take(&path)?.ok_or_else(|| ClusterError::Busy {
            holder: lock::holder(&path),
        })
    }

    /// Waits for the supervisor of an `up` that was killed, which ends by itself; an error when it keeps running.
    fn await_supervisor_end(&self, inputs: &ClusterInputs, size: ClusterSize) -> Result<(), ClusterError> {
        let path = self.layout.supervisor_lock();
        let released = Control::connect(&self.layout)
            .and_then(|mut control| control.report())
            .is_ok();
        let timeout = if released { Duration::from_secs(2) } else { ENDING };
        let began = Instant::now();
        while lock::is_held(&path) {
            if began.elapsed() > timeout {
                let plan = ClusterPlan::read(&self.layout)?;
                return Err(ClusterError::Running {
                    supervisor: lock::holder(&path),
                    differences: plan.map(|plan| plan.differences(inputs, size)).unwrap_or_default(),
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Asks the supervisor to stop everything, and kills it when it does not end in time.
    fn end_supervisor(&self, grace: Duration) -> Result<(), ClusterError> {
        let path = self.layout.supervisor_lock();
        if !lock::is_held(&path) {
            return Ok(());
        }
        if let Ok(mut control) = Control::connect(&self.layout) {
            let stop = Order::Stop {
                grace_seconds: grace.as_secs(),
            };
            // The answer is not needed: the lock shows the end of the supervisor. One that is busy starting a machine is killed.
            drop(control.order_within(&stop, grace + ENDING));
        }
        let began = Instant::now();
        while lock::is_held(&path) {
            if began.elapsed() > ENDING {
                // Only the supervisor takes this lock, so that the process id in it is the supervisor's.
                let id = lock::holder(&path).parse().ok().and_then(Pid::from_raw);
                if let Some(id) = id {
                    let _ = kill_process(id, Signal::KILL);
                }
                std::thread::sleep(Duration::from_millis(500));
                break;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        Ok(())
    }

    /// Removes all files but those to `keep` and the held lock; `true` when there were any.
    fn clear(&self, keep: &[&Utf8Path]) -> Result<bool, ClusterError> {
        let mut removed = false;
        for path in entries(self.layout.root())? {
            if path == self.layout.change_lock() || keep.contains(&path.as_path()) {
                continue;
            }
            let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
            let outcome = if is_folder {
                fs_err::remove_dir_all(&path)
            } else {
                fs_err::remove_file(&path)
            };
            outcome.map_err(ClusterError::file("remove the cluster's files"))?;
            removed = true;
        }
        Ok(removed)
    }

    /// Removes the folder with the lock in it. A process that waits for the lock notices that its file is not the one
    /// in the folder.
    fn remove_folder(&self) -> Result<(), ClusterError> {
        fs_err::remove_dir_all(self.layout.root()).map_err(ClusterError::file("remove the cluster's folder"))
    }
}

fn entries(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, ClusterError> {
    let read = || {
        folder
            .read_dir_utf8()?
            .map(|entry| entry.map(camino::Utf8DirEntry::into_path))
            .collect()
    };
    match read() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries.map_err(ClusterError::file(format!("read the folder {folder}"))),
    }
}
