//! Fixture of a test case: a folder with the inputs of a cluster, and `up` as a process of its own.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use basalt_cluster::{ClusterError, ClusterInputs, ClusterSize, LocalCluster};
use basalt_process::{Command, chain, interrupt};
use basalt_progress::{Reporter, Silent, Task, Unit};
use basalt_release::Arch;
use basalt_sandbox::namespace::{self, Kinds};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use libtest_mimic::Failed;
use rustix::mount::MountFlags;
use serde_json::{Value, json};

use crate::fakes;

const UP: &str = "__up";
/// Output of `up` when it was interrupted.
pub const INTERRUPTED: &str = "interrupted";

/// Inputs of a test cluster, in a temporary folder. Dropping them ends the cluster.
pub struct Fixture {
    folder: tempfile::TempDir,
    sdk: Utf8PathBuf,
}

/// Tree with `usr/sbin/ip`: that of `BASALT_SDK`, or this machine's.
pub fn tree_with_ip() -> Option<Utf8PathBuf> {
    let named = std::env::var("BASALT_SDK").ok().map(Utf8PathBuf::from);
    named
        .into_iter()
        .chain(["/".into()])
        .find(|tree: &Utf8PathBuf| tree.join("usr/sbin/ip").exists())
}

impl Fixture {
    pub fn new(sdk: Utf8PathBuf) -> Result<Self, Failed> {
        let fixture = Self {
            folder: tempfile::tempdir()?,
            sdk,
        };
        let tree = fixture.path().join("control-plane");
        fs::create_dir_all(tree.join("usr/bin"))?;
        let ourselves = crate::ourselves()?;
        for name in fakes::PROGRAMS {
            fs::copy(&ourselves, tree.join("usr/bin").join(name))?;
        }
        for library in libraries()? {
            let copy = tree.join(library.as_str().trim_start_matches('/'));
            fs::create_dir_all(copy.parent().ok_or("no folder")?)?;
            fs::copy(&library, &copy)?;
            fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755))?;
        }
        fs::create_dir_all(fixture.path().join("registry"))?;
        fs::create_dir_all(fixture.path().join("manifests"))?;
        fs::write(
            fixture.path().join("manifests/a.yaml"),
            "nodes: ${nodes}\nimage: ${image_web}\n",
        )?;
        fs::write(fixture.path().join("node.raw"), "an image")?;
        Ok(fixture)
    }

    pub fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).unwrap_or(Utf8Path::new("/nowhere"))
    }

    /// The folder of the cluster's state.
    pub fn state(&self) -> Utf8PathBuf {
        self.path().join("cluster")
    }

    pub fn cluster(&self) -> Result<LocalCluster, Failed> {
        Ok(LocalCluster::open(self.state())?)
    }

    /// Sets the fault to inject into the fake programs; empty for none.
    pub fn set_fault(&self, word: &str) -> Result<(), Failed> {
        let path = self
            .path()
            .join("control-plane")
            .join(fakes::FAULTS.trim_start_matches('/'));
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        Ok(fs::write(path, word)?)
    }

    fn inputs(&self) -> ClusterInputs {
        ClusterInputs {
            sdk: self.sdk.clone(),
            node_image: self.path().join("node.raw"),
            node_image_qcow2: false,
            node_config: None,
            control_plane: self.path().join("control-plane"),
            registry: self.path().join("registry"),
            images: [("web".to_owned(), "web:1".to_owned())].into(),
            manifests: self.path().join("manifests"),
            cache: self.path().to_owned(),
        }
    }

    /// Starts `up`. With a size in KiB, the cluster's folder is on a disk of that size.
    pub fn up(&self, nodes: u8, disk: Option<u64>) -> Result<UpProcess, Failed> {
        self.up_with(nodes, disk, "")
    }

    /// Starts `up` with a value of `BASALT_WIRE`: the kind of the nodes' connection.
    pub fn up_with(&self, nodes: u8, disk: Option<u64>, wire: &str) -> Result<UpProcess, Failed> {
        self.start(
            &json!({ "state": self.state(), "inputs": self.inputs(), "nodes": nodes, "disk": disk }),
            wire,
        )
    }

    /// Starts `up` with a reader of its output that is gone when the task of this number, from 1, is told.
    pub fn up_to_closed_pipe(&self, nodes: u8, task: u64) -> Result<UpProcess, Failed> {
        self.start(
            &json!({ "state": self.state(), "inputs": self.inputs(), "nodes": nodes, "closed_at": task }),
            "",
        )
    }

    fn start(&self, job: &Value, wire: &str) -> Result<UpProcess, Failed> {
        let child = Command::new(crate::ourselves()?)
            .args([UP, &job.to_string()])
            .env("BASALT_WIRE", wire)
            .to_std()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(UpProcess { child })
    }

    /// Ids and command lines of the processes that name this folder.
    pub fn processes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let id = entry.file_name().to_string_lossy().into_owned();
            if id.parse::<u32>().is_err() || id == std::process::id().to_string() {
                continue;
            }
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(self.path().as_str()) {
                found.push(format!("{id} {}", line.chars().take(120).collect::<String>()));
            }
        }
        found
    }

    /// Waits for the end of all processes of the cluster; an error when some are left after `within`.
    pub fn expect_quiet(&self, within: Duration) -> Result<(), Failed> {
        let began = Instant::now();
        loop {
            let left = self.processes();
            if left.is_empty() {
                return Ok(());
            }
            if began.elapsed() > within {
                return Err(format!("still running after {} s:\n{}", within.as_secs(), left.join("\n")).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Checks that neither processes nor files of the cluster are left.
    pub fn expect_nothing(&self) -> Result<(), Failed> {
        self.expect_quiet(Duration::from_secs(2))?;
        if self.state().exists() {
            return Err(format!("{} is still there: {:?}", self.state(), files(&self.state())).into());
        }
        Ok(())
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // A test case that failed may have left a cluster.
        drop(self.cluster().map(|cluster| cluster.down(&Silent)));
    }
}

fn files(folder: &Utf8Path) -> Vec<String> {
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_owned()).collect()
}

/// Running process of `up`.
pub struct UpProcess {
    child: Child,
}

impl UpProcess {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: rustix::process::Signal) -> Result<(), Failed> {
        let id = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        Ok(rustix::process::kill_process(id.ok_or("no process")?, signal)?)
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Waits for the end of `up`; returns its report, or its error as text.
    pub fn end(self) -> Result<Result<Value, String>, Failed> {
        let output = self.child.wait_with_output()?;
        let text = String::from_utf8(output.stdout)?;
        Ok(match serde_json::from_str::<Value>(&text) {
            Ok(report) => Ok(report),
            Err(_) => Err(text),
        })
    }
}

/// Runs `up` and exits, if this process was started for it.
#[expect(clippy::print_stdout, reason = "the test reads it")]
pub fn run_up_if_asked() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_none_or(|first| first != UP) {
        return;
    }
    match run_up(&arguments[2]) {
        Ok(report) => println!("{report}"),
        Err(error) => {
            let message = match error.downcast_ref::<ClusterError>() {
                Some(error) if error.is_interrupt() => INTERRUPTED.to_owned(),
                _ => chain(&*error),
            };
            println!("{message}");
        }
    }
    std::process::exit(0);
}

fn run_up(job: &str) -> Result<Value, Box<dyn std::error::Error>> {
    let job: Value = serde_json::from_str(job)?;
    let state = Utf8PathBuf::from(job["state"].as_str().ok_or("no folder")?);
    if let Some(size) = job["disk"].as_u64() {
        fs::create_dir_all(&state)?;
        namespace::enter_new(Kinds::default())?;
        let options = std::ffi::CString::new(format!("size={size}k"))?;
        rustix::mount::mount(
            "tmpfs",
            state.as_std_path(),
            "tmpfs",
            MountFlags::empty(),
            Some(options.as_c_str()),
        )?;
    }
    interrupt::install()?;
    let nodes = u8::try_from(job["nodes"].as_u64().unwrap_or(1))?;
    let size = ClusterSize {
        nodes,
        ..ClusterSize::default()
    };
    let reporter = ClosedPipe {
        at: job["closed_at"].as_u64(),
        tasks: AtomicU64::new(0),
    };
    let report = LocalCluster::open(state)?.up(
        serde_json::from_value(job["inputs"].clone())?,
        size,
        Arch::X86_64,
        &reporter,
    )?;
    Ok(serde_json::to_value(report)?)
}

/// Reporter that does as the command's when it writes to a pipe that nobody reads: it asks for the end.
struct ClosedPipe {
    /// Number of the task with which the pipe is closed; none for a reader that stays.
    at: Option<u64>,
    tasks: AtomicU64,
}

impl Reporter for ClosedPipe {
    fn task(&self, _: &str, _: Unit, _: Option<u64>) -> Box<dyn Task> {
        if self.at == Some(self.tasks.fetch_add(1, Ordering::SeqCst) + 1) {
            interrupt::request();
        }
        Box::new(Silent)
    }

    fn note(&self, _: &str) {}

    fn warn(&self, _: &str) {}
}

/// Shared libraries that this executable has loaded.
fn libraries() -> Result<Vec<Utf8PathBuf>, Failed> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mut libraries: Vec<_> = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .filter(|path| path.starts_with('/') && path.contains(".so"))
        .map(Utf8PathBuf::from)
        .collect();
    libraries.sort();
    libraries.dedup();
    // The dynamic linker is looked up under its official path.
    libraries.extend(["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"].map(Utf8PathBuf::from));
    libraries.retain(|path| path.exists());
    Ok(libraries)
}
