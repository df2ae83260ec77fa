//! Runs of containerd and crictl, in a user namespace and below a temporary folder.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use basalt_node::paths;
use basalt_node::plan::plan;

use crate::node_config::{UNKNOWN, least};
use crate::registry::Registry;

/// Time in which containerd answers on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Programs of the environment.
pub struct Programs {
    containerd: PathBuf,
    crictl: PathBuf,
}

/// The programs of the environment. Without them, a line says that the test is skipped.
pub fn containerd(test: &str) -> Option<Programs> {
    let program = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let programs = program("BASALT_CONTAINERD").zip(program("BASALT_CRICTL"));
    if programs.is_none() {
        basalt_test_output::skip(test, "BASALT_CONTAINERD and BASALT_CRICTL do not name the programs");
    }
    programs.map(|(containerd, crictl)| Programs { containerd, crictl })
}

/// A containerd, which ends with it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Files that the agent plans for containerd, with all folders below another one.
fn write_configuration(folder: &Path, registry: &Registry, auth: &str) -> PathBuf {
    let config = least(&format!(
        "registries:\n  - host: '{}'\n    plainHttp: true\n    auth: {{ {auth} }}\n",
        registry.host()
    ));
    let root = |path: &str| format!("{}{path}", folder.display());
    // The configuration's own folder is below /run, too.
    let moved = |text: &str| {
        ["/run/", "/var/lib/", "/etc/", "/opt/", "/usr/libexec/"]
            .into_iter()
            .fold(text.to_owned(), |text, path| {
                text.replace(&format!("'{path}"), &format!("'{}", root(path)))
            })
    };
    let of_containerd = Path::new(paths::CONTAINERD_CONFIG).parent().unwrap();
    for file in plan(&config, &UNKNOWN).files {
        if Path::new(&file.path).starts_with(of_containerd) {
            let path = root(&file.path);
            fs_err::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
            fs_err::write(path, moved(&file.content)).unwrap();
        }
    }
    root(paths::CONTAINERD_CONFIG).into()
}

impl Programs {
    /// Pulls the image of a registry with credentials, by a containerd of its own; or the words with which that failed.
    #[expect(clippy::disallowed_methods, reason = "the agent's crate does without basalt-process")]
    pub fn pull(&self, registry: &Registry, auth: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let configuration = write_configuration(folder.path(), registry, auth);
        let socket = PathBuf::from(format!("{}{}", folder.path().display(), paths::CONTAINERD_SOCKET));
        let log = folder.path().join("log");
        // Overlays and the owners of files ask for privileges, which a user namespace has for what is its own.
        let child = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount"])
            .arg(&self.containerd)
            .arg("--config")
            .arg(configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs_err::File::create(&log).unwrap().into_file())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {} by unshare: {error}", self.containerd.display()));
        let mut running = Running(child);
        let start = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            let ended = running.0.try_wait().unwrap();
            assert!(
                ended.is_none() && start.elapsed() < PATIENCE,
                "containerd does not answer ({ended:?}): {}",
                fs_err::read_to_string(&log).unwrap()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        let endpoint = format!("unix://{}", socket.display());
        let output = Command::new(&self.crictl)
            .args(["--runtime-endpoint", &endpoint, "--image-endpoint", &endpoint, "pull"])
            .arg(format!("{}/app:1", registry.host()))
            .output()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", self.crictl.display()));
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}
