//! Supervisor: the process under which everything of a cluster runs.
//!
//! `up` starts its own executable again, detached, as two processes:
//!
//! ```text
//! basalt __cluster-supervisor FOLDER         holds the cluster's lock, binds the ports on the host, enters the namespaces
//! └── basalt __cluster-supervisor-inner FOLDER      process 1 of the namespaces: bridge, control plane, machines
//!     ├── etcd, kube-apiserver, ...  each in a sandbox
//!     └── QEMU                       each in a sandbox
//! ```
//!
//! When either of the two ends, however it ends, the kernel ends everything below it.

mod children;
mod control_server;
mod inner;
mod machines;
mod router;

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use basalt_machine::QemuTools;
use basalt_process::{Command, interrupt};
use basalt_sandbox::namespace::{self, Kinds};
use camino::Utf8PathBuf;
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use crate::layout::Layout;
use crate::plan::ClusterPlan;
use crate::{ClusterError, lock};
use basalt_process::chain;

/// First argument that makes this executable the outer process.
pub(crate) const OUTER: &str = "__cluster-supervisor";
/// First argument that makes this executable the inner process.
const INNER: &str = "__cluster-supervisor-inner";

/// Runs the supervisor and exits, if this process was started as one; returns otherwise. Call it early in `main`, while
/// there is one thread.
///
/// `tools` gives QEMU and its firmware from the tree of build tools that the plan names. The supervisor's messages go
/// to `tracing`; its standard error is its log.
pub fn run_if_asked(tools: impl FnOnce(&ClusterPlan) -> Box<dyn QemuTools>) {
    let mut arguments = std::env::args_os().skip(1);
    let verb = arguments.next();
    let Some(stage) = verb.filter(|verb| verb == OUTER || verb == INNER) else {
        return;
    };
    let outcome = arguments.next().ok_or(ClusterError::Stopped).and_then(|folder| {
        // `up` starts this process with a path in UTF-8.
        let folder = Utf8PathBuf::from_path_buf(folder.into()).map_err(|_| ClusterError::Stopped)?;
        let layout = Layout::new(folder);
        let plan = ClusterPlan::read(&layout)?.ok_or(ClusterError::Stopped)?;
        interrupt::install().map_err(ClusterError::file("listen for signals"))?;
        if stage == OUTER {
            outer(&layout, &plan)
        } else {
            inner::run(&layout, &plan, &*tools(&plan)).map(|()| 0)
        }
    });
    match outcome {
        Ok(code) => std::process::exit(code),
        Err(error) => {
            print_error(&error);
            std::process::exit(1);
        }
    }
}

/// Prints an error to standard error, the log that `up` reads.
fn print_error(error: &ClusterError) {
    let mut text = format!("supervisor: {}", chain(error));
    if let Some(help) = miette::Diagnostic::help(error) {
        text += &format!("\nsupervisor: help: {help}");
    }
    // The reader of the log may be gone.
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// Runs the outer process: holds the lock and the ports on the host, and waits for the inner process.
fn outer(layout: &Layout, plan: &ClusterPlan) -> Result<i32, ClusterError> {
    // A session of its own: Ctrl-C in the terminal reaches `up` alone, and the supervisor outlives the terminal.
    // It fails for a process that leads a session already.
    let _ = rustix::process::setsid();
    let lock = lock::take(&layout.supervisor_lock())?;
    let Some(_lock) = lock else {
        return Err(ClusterError::Running {
            supervisor: lock::holder(&layout.supervisor_lock()),
            differences: Vec::new(),
        });
    };
    let (api_server, registry) = (bind(plan.port)?, bind(plan.registry_port)?);
    namespace::enter_new(Kinds {
        network: true,
        processes: true,
        identity: false,
    })?;
    // Standard input and output pass open files on without their numbers being arguments. Nothing is written to either:
    // messages go to standard error.
    let mut inner = Command::new("/proc/self/exe")
        .args([INNER, layout.root().as_str()])
        .to_std()
        .stdin(OwnedFd::from(api_server))
        .stdout(OwnedFd::from(registry))
        .spawn()
        .map_err(ClusterError::file("start the supervisor's inner process"))?;
    let id = i32::try_from(inner.id()).ok().and_then(Pid::from_raw);
    let mut asked = false;
    loop {
        let status = inner
            .try_wait()
            .map_err(ClusterError::file("wait for the supervisor's inner process"))?;
        if let Some(status) = status {
            return Ok(status
                .code()
                .or_else(|| status.signal().map(|signal| 128 + signal))
                .unwrap_or(1));
        }
        if interrupt::requested() && !asked {
            asked = true;
            if let Some(id) = id {
                // If the process has ended already, the next round notices.
                let _ = kill_process(id, Signal::TERM);
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Binds the port on the host; repeated for two seconds, as an earlier supervisor that is ending may still hold it.
fn bind(port: u16) -> Result<TcpListener, ClusterError> {
    let mut last = None;
    for _ in 0..20 {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let error = last.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into());
    Err(ClusterError::file(format!("listen on port {port} of this machine"))(
        error,
    ))
}

/// Arranges that the kernel kills the inner process when the outer one ends.
fn die_with_parent() -> Result<(), ClusterError> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| ClusterError::file("ask to end with the outer process")(error.into()))
}

/// Listeners that the outer process passed on: the API server's as standard input, the registry's as standard output.
fn inherited_listeners() -> Result<[TcpListener; 2], ClusterError> {
    use std::os::fd::AsFd as _;
    let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
    let api_server = stdin.as_fd().try_clone_to_owned();
    let registry = stdout.as_fd().try_clone_to_owned();
    let listeners = api_server.and_then(|api_server| Ok([TcpListener::from(api_server), TcpListener::from(registry?)]));
    listeners.map_err(ClusterError::file(
        "take over the ports of the API server and the registry",
    ))
}

/// Opens a log for appending, so that the output of earlier starts stays.
fn log_file(layout: &Layout, name: &str) -> Result<File, ClusterError> {
    fs_err::OpenOptions::new()
        .append(true)
        .create(true)
        .open(layout.log(name))
        .map(fs_err::File::into_file)
        .map_err(ClusterError::file("open a log"))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
