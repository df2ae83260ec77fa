//! Runs of the kubelet on what the agent makes of a NodeConfig.
//!
//! The kubelet reads and validates its configuration, sets up logs, TLS, tracing and its client of the API server, and
//! ends at the next thing that it lacks, which is made to be the socket of containerd. So it needs neither a node nor
//! privileges, and asks nobody: its API server is a closed port of the loopback.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use basalt_node::facts::MachineFacts;
use basalt_node::paths;
use basalt_node::plan::plan;
use basalt_node::size::Size;
use basalt_node_config::{KubeletMinor, NodeConfig};
use serde_json::{Value, json};

use crate::CA;

/// Environment variable that names the kubelet's program.
const KUBELET: &str = "BASALT_KUBELET";

/// End of a kubelet that took its configuration: nobody listens at containerd's socket.
const TAKEN: &str = "validate service connection";

/// Lines of a kubelet that did not. It panics where it does not know a feature gate, and only logs that it does not know
/// a field.
const REFUSED: [&str; 3] = ["strict decoding failed", "panic:", "command failed"];

const KUBECONFIG: &str = "\
apiVersion: v1
kind: Config
clusters: [{ name: cluster, cluster: { server: 'https://127.0.0.1:1' } }]
users: [{ name: node, user: { token: none } }]
contexts: [{ name: node, context: { cluster: cluster, user: node } }]
current-context: node
";

/// The kubelet, and a folder with a folder for each run.
pub struct Runs {
    program: PathBuf,
    folder: tempfile::TempDir,
    /// Its minor version.
    pub minor: KubeletMinor,
}

/// The kubelet of the environment. Without one, a line says that the test is skipped.
pub fn kubelet(test: &str) -> Option<Runs> {
    let Some(program) = std::env::var_os(KUBELET) else {
        basalt_test_output::skip(test, format!("{KUBELET} does not name a kubelet"));
        return None;
    };
    let mut runs = Runs {
        program: program.into(),
        folder: tempfile::tempdir().unwrap(),
        minor: KubeletMinor::NEWEST,
    };
    let version = runs.said(&["--version".into()]);
    let version = version.trim().strip_prefix("Kubernetes ");
    runs.minor = version.and_then(KubeletMinor::of_version).unwrap();
    Some(runs)
}

/// Configuration and arguments that the agent plans for the kubelet.
#[derive(Debug, Clone)]
pub struct Planned {
    pub configuration: Value,
    arguments: String,
}

impl Planned {
    pub fn of(config: &NodeConfig) -> Self {
        let facts = MachineFacts {
            machine_id: None,
            size: Some(Size {
                processors: 2,
                memory: 4 << 30,
            }),
            credential_providers: vec!["ecr".to_owned()],
        };
        let plan = plan(config, &facts);
        let file = |path: &str| {
            let file = plan.files.iter().find(|file| file.path == path);
            &file.unwrap_or_else(|| panic!("no {path} is planned")).content
        };
        Self {
            configuration: serde_json::from_str(file(paths::KUBELET_CONFIG)).unwrap(),
            arguments: file(paths::KUBELET_ARGUMENTS).clone(),
        }
    }

    /// The arguments of the agent but those that name files of a node.
    fn arguments(&self) -> impl Iterator<Item = &str> {
        let values = self.arguments.trim().strip_prefix("KUBELET_ARGUMENTS=").unwrap();
        let of_files = ["--config=", "--bootstrap-kubeconfig=", "--kubeconfig="];
        values
            .split(' ')
            .filter(move |argument| !of_files.iter().any(|name| argument.starts_with(name)))
    }
}

impl Runs {
    /// Objection of the kubelet, if it does not take what is planned. `name` is that of the run.
    pub fn objection(&self, name: &str, planned: &Planned) -> Option<String> {
        let folder = self.folder.path().join(name);
        fs_err::create_dir_all(&folder).unwrap();
        let mut configuration = planned.configuration.clone();
        let ca = folder.join("ca.crt");
        fs_err::write(&ca, CA).unwrap();
        configuration["authentication"]["x509"]["clientCAFile"] = json!(ca);
        configuration["containerRuntimeEndpoint"] = json!(format!("unix://{}", folder.join("none.sock").display()));
        if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            // A node has control groups of version 2; this machine does not.
            configuration["failCgroupV1"] = json!(false);
            configuration.as_object_mut().unwrap().remove("singleProcessOOMKill");
        }
        let (path, kubeconfig) = (folder.join("config.json"), folder.join("kubeconfig"));
        fs_err::write(&path, configuration.to_string()).unwrap();
        fs_err::write(&kubeconfig, KUBECONFIG).unwrap();
        let mut arguments: Vec<OsString> = planned.arguments().map(OsString::from).collect();
        for (name, path) in [
            ("config", &path),
            ("kubeconfig", &kubeconfig),
            ("root-dir", &folder),
            ("cert-dir", &folder),
        ] {
            arguments.push(format!("--{name}={}", path.display()).into());
        }
        let said = self.said(&arguments);
        fs_err::remove_dir_all(&folder).unwrap();
        objection(&said)
    }

    /// Output of the kubelet.
    #[expect(clippy::disallowed_methods, reason = "the agent's crate does without basalt-process")]
    pub fn said(&self, arguments: &[OsString]) -> String {
        let output = Command::new(&self.program)
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", self.program.display()));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        text(&output.stdout) + &text(&output.stderr)
    }
}

/// Objection in the output of a kubelet.
fn objection(said: &str) -> Option<String> {
    let line = |mark: &&str| said.lines().find(|line| line.contains(*mark) && !line.contains(TAKEN));
    match REFUSED.iter().find_map(line) {
        Some(line) => Some(line.to_owned()),
        None if said.contains(TAKEN) => None,
        None => Some(said.to_owned()),
    }
}
