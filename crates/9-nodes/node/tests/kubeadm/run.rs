//! Joins of a case: by kubeadm, and by the agent.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use basalt_document::Document;
use basalt_join::existing_node::MachineIdentity;
use basalt_join::kubelet_config::KubeletSettings;
use basalt_join::skew::KubernetesVersion;
use basalt_join::{configuration, conversion};
use basalt_node::facts::MachineFacts;
use basalt_node::join_plan::JoinPlan;
use basalt_node::joining::{Join, JoinError};
use basalt_node::plan::plan;
use basalt_node::{apply, paths};
use basalt_node_config::{Clock, check};
use serde_json::{Value, json};

use crate::api_server::{Answer, Authority, TOKEN, cluster_info, serve};
use crate::clock::TestClock;

/// Environment variable that names kubeadm's program.
const KUBEADM: &str = "BASALT_KUBEADM";

/// Machine id of the agent's machine.
pub const MACHINE_ID: &str = "0123456789abcdef0123456789abcdef";

/// Name of the node.
const NODE: &str = "worker-1";

/// A cluster, and a node that is to join it.
pub struct Case {
    pub name: &'static str,
    /// End of the ClusterConfiguration.
    pub cluster: &'static str,
    /// KubeletConfiguration of the cluster.
    pub kubelet: String,
    /// Lines of `nodeRegistration`.
    pub registration: &'static str,
    /// Patch of the KubeletConfiguration, for kubeadm.
    pub patch: &'static str,
    /// Part `kubelet` of the NodeConfig, over what follows from the JoinConfiguration.
    pub own: Value,
    /// Node of this name that the cluster has.
    pub node: Value,
    /// Token of the join. The cluster has signed with [`TOKEN`].
    pub token: &'static str,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            name: "",
            cluster: "",
            kubelet: String::new(),
            registration: "",
            patch: "",
            own: json!({}),
            node: Value::Null,
            token: TOKEN,
        }
    }
}

impl Case {
    /// Starts the API server of the cluster.
    pub fn serve(&self, authority: &Authority) -> SocketAddr {
        let (pem, node) = (authority.pem.clone(), self.node.clone());
        let cluster = format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.37.2\n{}",
            self.cluster
        );
        let kubelet = self.kubelet.clone();
        serve(authority, &["127.0.0.1"], "127.0.0.1", &[], move |_, head, own| {
            let path = head.split([' ', '?']).nth(1).unwrap_or_default();
            match path.rsplit('/').next().unwrap_or_default() {
                "cluster-info" => (200, cluster_info(&pem, own)),
                "version" => (200, json!({ "gitVersion": "v1.37.2", "major": "1", "minor": "37" })),
                "kubeadm-config" => config_map("ClusterConfiguration", &cluster),
                "kubelet-config" => config_map("kubelet", &kubelet),
                NODE if !node.is_null() => (200, node.clone()),
                _ => missing(),
            }
        })
    }

    fn join_configuration(&self, pinned: &Authority, server: SocketAddr) -> String {
        let pins: Vec<_> = pinned.pins().iter().map(ToString::to_string).collect();
        format!(
            "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery:\n  bootstrapToken: {{ apiServerEndpoint: \
             '{server}', token: {}, caCertHashes: {pins:?} }}\nnodeRegistration:\n  name: {NODE}\n  criSocket: \
             unix://{}\n{}",
            self.token,
            paths::CONTAINERD_SOCKET,
            self.registration
        )
    }
}

fn config_map(key: &str, text: &str) -> Answer {
    (
        200,
        json!({ "kind": "ConfigMap", "apiVersion": "v1", "data": { key: text } }),
    )
}

fn missing() -> Answer {
    let status =
        json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404 });
    (404, status)
}

/// kubeadm.
pub struct Kubeadm {
    program: PathBuf,
    /// Its version, which is that of its kubelet, too.
    pub version: KubernetesVersion,
}

#[expect(clippy::disallowed_methods, reason = "the agent's crate does without basalt-process")]
fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

impl Kubeadm {
    /// The kubeadm of the environment. Without one, or where there are no user namespaces, a line says that the test is
    /// skipped.
    pub fn of_environment(test: &str) -> Option<Self> {
        let Some(program) = std::env::var_os(KUBEADM) else {
            basalt_test_output::skip(test, format!("{KUBEADM} does not name a kubeadm"));
            return None;
        };
        if let Err(why) = output(command("unshare").args(["--user", "--map-root-user", "true"])) {
            basalt_test_output::skip(test, format!("no user namespaces: {why}"));
            return None;
        }
        let version = output(command(&program).args(["version", "--output=short"])).unwrap();
        Some(Self {
            program: program.into(),
            version: version.parse().unwrap(),
        })
    }

    /// The KubeletConfiguration that it uploads to a cluster unless it is told otherwise.
    pub fn default_configuration(&self) -> String {
        let mut command = command(&self.program);
        let said = output(command.args([
            "config",
            "print",
            "init-defaults",
            "--component-configs=KubeletConfiguration",
        ]));
        let said = said.unwrap();
        let found = said
            .split("---\n")
            .find(|document| document.contains("kind: KubeletConfiguration"));
        found.unwrap().to_owned()
    }

    /// Joins: the phase that writes the files of a worker.
    pub fn join(&self, case: &Case, pinned: &Authority, server: SocketAddr) -> Result<Joined, String> {
        let root = tempfile::tempdir().unwrap();
        for folder in ["etc/kubernetes", "patches", "tmp", "var/lib/kubelet"] {
            fs_err::create_dir_all(root.path().join(folder)).unwrap();
        }
        let mut configuration = case.join_configuration(pinned, server);
        configuration += "timeouts: { discovery: 2s }\n";
        if !case.patch.is_empty() {
            configuration += "patches: { directory: /patches }\n";
            fs_err::write(root.path().join("patches/kubeletconfiguration.yaml"), case.patch).unwrap();
        }
        fs_err::write(root.path().join("join.yaml"), configuration).unwrap();
        let mut command = command("unshare");
        command.args(["--user", "--map-root-user"]).arg(&self.program);
        command.arg("--rootfs").arg(root.path());
        command.args(["join", "phase", "kubelet-start", "--config=/join.yaml"]);
        // No proxy between it and the loopback device.
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"] {
            command.env_remove(name);
        }
        output(&mut command)?;
        Ok(Joined { root, settings: None })
    }
}

/// Standard output of a command, or what it wrote when it failed.
fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// Joins as the agent does, by the NodeConfig that the JoinConfiguration stands for. Returns the state of a join that has not
/// come to its end.
pub fn join(kubeadm: &Kubeadm, case: &Case, pinned: &Authority, server: SocketAddr) -> Result<Joined, String> {
    let text = case.join_configuration(pinned, server);
    let (request, _) =
        configuration::read("join.yaml", &text).unwrap_or_else(|problems| panic!("{}", problems.brief()));
    let config = conversion::undiscovered(&request, None).unwrap();
    let mut config = serde_json::to_value(&config).unwrap();
    for (key, value) in case.own.as_object().unwrap() {
        config["kubelet"][key] = value.clone();
    }
    // A NodeConfig may not name the loopback, where the tests' server is.
    let endpoint = std::mem::replace(&mut config["cluster"]["endpoint"], "https://10.0.0.1:6443".into());
    let checked = check("node.yaml", &config.to_string(), Clock::Unsure(SystemTime::now()));
    let (mut config, _) = checked.unwrap_or_else(|problems| panic!("{}", problems.brief()));
    config.cluster.endpoint = endpoint.as_str().unwrap().parse().unwrap();
    let root = tempfile::tempdir().unwrap();
    let facts = MachineFacts {
        machine_id: Some(MACHINE_ID.to_owned()),
        size: None,
        credential_providers: Vec::new(),
    };
    for file in plan(&config, &facts).files {
        apply::write(root.path(), &file).unwrap();
    }
    let plan = JoinPlan::read(root.path()).unwrap();
    let machine = MachineIdentity {
        machine_id: MACHINE_ID.to_owned(),
        ..MachineIdentity::default()
    };
    let join = Join {
        root: root.path(),
        plan: &plan,
        kubelet: kubeadm.version,
        machine,
    };
    let record = match join.run(&TestClock::at(Duration::ZERO), Duration::from_secs(45)) {
        Ok(record) => record,
        Err(JoinError::NotYet(state)) => return Err(state.to_string()),
        Err(error) => panic!("{error:?}"),
    };
    for file in plan.outcome(&record).files {
        apply::write(root.path(), &file).unwrap();
    }
    Ok(Joined {
        root,
        settings: record.settings,
    })
}

/// Root of a machine that has joined as far as its kubelet can start.
#[derive(Debug)]
pub struct Joined {
    root: tempfile::TempDir,
    /// Settings of the cluster that the agent found.
    pub settings: Option<KubeletSettings>,
}

impl Joined {
    pub fn read(&self, path: &str) -> String {
        fs_err::read_to_string(apply::below(self.root.path(), path)).unwrap()
    }

    /// Paths of all files below `/etc` and `/var`.
    pub fn files(&self) -> BTreeSet<String> {
        let mut folders = vec![
            apply::below(self.root.path(), "/etc"),
            apply::below(self.root.path(), "/var"),
        ];
        let mut files = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(folder).into_iter().flatten().flatten() {
                match entry.path().is_dir() {
                    true => folders.push(entry.path()),
                    false => drop(files.insert(inside(self.root.path(), &entry.path()))),
                }
            }
        }
        files
    }

    /// Arguments of the kubelet in kubeadm-flags.env, and those that are fields of the configuration with the agent.
    pub fn arguments(&self) -> BTreeSet<String> {
        let text = self.read(paths::KUBEADM_FLAGS);
        let words = text.trim().strip_prefix("KUBELET_KUBEADM_ARGS=\"").unwrap();
        let words = words.trim_end_matches('"').split(' ').filter(|word| !word.is_empty());
        let config = parsed(&self.read(paths::KUBEADM_CONFIG));
        let taints = config["registerWithTaints"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let taints: Vec<_> = taints.iter().map(taint).collect();
        let fields = [
            ("register-with-taints", Some(taints.join(","))),
            ("provider-id", config["providerID"].as_str().map(str::to_owned)),
        ];
        let fields = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
        let fields = fields.map(|(name, value)| format!("--{name}={value}"));
        words.map(str::to_owned).chain(fields).collect()
    }
}

/// Taint as an argument has it.
fn taint(taint: &Value) -> String {
    let part = |key: &str| taint[key].as_str().unwrap_or_default();
    match part("value") {
        "" => format!("{}:{}", part("key"), part("effect")),
        value => format!("{}={value}:{}", part("key"), part("effect")),
    }
}

fn inside(root: &Path, path: &Path) -> String {
    format!("/{}", path.strip_prefix(root).unwrap().display())
}

/// Content of a YAML file.
pub fn parsed(text: &str) -> Value {
    let document = Document::parse("file", text).unwrap_or_else(|problems| panic!("{}", problems.brief()));
    document.root().to_json()
}

/// Fields of a KubeletConfiguration by their dotted paths, but those that are zero: kubeadm writes all of some types, and the
/// kubelet takes zero for its default. Switches count whatever they are.
pub fn fields(value: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    collect("", value, &mut found);
    found
}

fn collect(path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            let place = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            collect(&place, value, found);
        }),
        value => {
            let zeros = [json!("0s"), json!("0"), json!(0), json!(""), json!(null), json!([])];
            if !zeros.contains(value) {
                found.insert(path.to_owned(), value.clone());
            }
        }
    }
}
