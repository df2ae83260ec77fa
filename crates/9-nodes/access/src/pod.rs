//! Debug pods: a privileged pod on one node, for as long as an operation takes.
//!
//! The pod is bound to the node by name, past the scheduler, and tolerates every taint: it starts on nodes that are
//! cordoned, under pressure, or not Ready as long as their kubelet is reached. It ends by itself at its deadline, so that
//! nothing privileged is left when the process that made it was killed.

use std::time::{Duration, Instant};

use basalt_process::{Command, ProcessError, wait};
use basalt_progress::{Outcome, Reporter, Unit};
use serde_json::{Value, json};

use crate::AccessError;
use crate::image::DebugImage;
use crate::kubectl::Kubectl;
use crate::node::{NodeInfo, list, text};

/// Label of all debug pods (`app.kubernetes.io/name`).
pub const POD_LABEL: &str = "basalt-debug";
/// Name of the container.
const CONTAINER: &str = "debug";
/// Mount point of the node's root in the pod.
pub const HOST_ROOT: &str = "/host";
/// Time for the pod to start: the pull of a small image on a slow line, by a busy node.
const START: Duration = Duration::from_secs(300);
/// Interval of looks at the pod.
const TICK: Duration = Duration::from_millis(300);

/// Shape of a debug pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSpec {
    /// Name of the pod.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Name of the node.
    pub node: String,
    /// Architecture of the node, as Go names it.
    pub architecture: String,
    /// Image.
    pub image: DebugImage,
    /// Time after which the kubelet ends it.
    pub deadline: Duration,
}

impl PodSpec {
    /// Pod for a node, under a name of its own.
    pub fn new(node: &NodeInfo, namespace: &str, image: DebugImage, deadline: Duration) -> Self {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let id: String = id.chars().take(10).collect();
        Self {
            name: format!("{POD_LABEL}-{id}"),
            namespace: namespace.to_owned(),
            node: node.name.clone(),
            architecture: node.architecture.clone(),
            image,
            deadline,
        }
    }

    /// Manifest of the pod.
    pub fn manifest(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": {
                    "app.kubernetes.io/name": POD_LABEL,
                    "app.kubernetes.io/managed-by": "basalt",
                },
            },
            "spec": {
                "nodeName": self.node,
                "hostPID": true,
                "hostNetwork": true,
                "hostIPC": true,
                "dnsPolicy": "Default",
                "restartPolicy": "Never",
                "activeDeadlineSeconds": self.deadline.as_secs(),
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                // Admitted under pressure on memory, disk and the number of pods.
                "priorityClassName": "system-node-critical",
                "tolerations": [{ "operator": "Exists" }],
                "containers": [self.container()],
                "volumes": self.volumes(),
            },
        })
    }

    fn container(&self) -> Value {
        let mounts = self.mounts();
        let mounts: Vec<_> = mounts
            .iter()
            .map(|mount| {
                json!({
                    "name": mount.name,
                    "mountPath": mount.inside,
                    "readOnly": mount.read_only,
                    "mountPropagation": "HostToContainer",
                })
            })
            .collect();
        let mut container = json!({
            "name": CONTAINER,
            "image": self.image.reference(),
            "imagePullPolicy": "IfNotPresent",
            "securityContext": { "privileged": true, "runAsUser": 0, "runAsGroup": 0 },
            "volumeMounts": mounts,
        });
        if let (DebugImage::Tools(_), Some(fields)) = (&self.image, container.as_object_mut()) {
            // A number, since not every `sleep` knows `infinity`; as a child of the shell, since not every image has a file
            // of that name.
            let sleep = format!("sleep {}", self.deadline.as_secs());
            fields.insert("command".to_owned(), json!(["sh", "-c", sleep]));
        }
        container
    }

    fn volumes(&self) -> Vec<Value> {
        let volume = |mount: &HostMount| {
            json!({
                "name": mount.name,
                "hostPath": { "path": mount.outside, "type": "Directory" },
            })
        };
        self.mounts().iter().map(volume).collect()
    }

    fn mounts(&self) -> Vec<HostMount> {
        let mount = |name, outside, inside, read_only| HostMount {
            name,
            outside,
            inside,
            read_only,
        };
        match self.image {
            DebugImage::Tools(_) => vec![mount("host", "/", HOST_ROOT, false)],
            // The path of the dynamic linker, and the folder that it looks for libraries in.
            DebugImage::NodeOwn => vec![
                mount("programs", "/usr", "/usr", true),
                match self.architecture.as_str() {
                    "arm64" => mount("libraries", "/usr/lib", "/lib", true),
                    _ => mount("libraries", "/usr/lib64", "/lib64", true),
                },
            ],
        }
    }
}

/// Folder of the node in a debug pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HostMount {
    name: &'static str,
    outside: &'static str,
    inside: &'static str,
    read_only: bool,
}

/// Progress of a pod's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodProgress {
    /// Not running yet; with the reason.
    Starting(String),
    /// Its container runs.
    Running,
    /// The image cannot be had; with the kubelet's reason.
    NoImage(String),
    /// Refused, or ended; with the reason.
    Ended(String),
}

impl PodProgress {
    /// Reads a Pod object.
    pub fn of(pod: &Value) -> Self {
        let phase = text(pod, "/status/phase").unwrap_or_default();
        let status = list(pod, "/status/containerStatuses").next();
        let said =
            |value: Option<&Value>, pointer: &str| value.and_then(|value| text(value, pointer)).unwrap_or_default();
        let waiting = said(status, "/state/waiting/reason");
        let words = |reason: String, message: String| match message.is_empty() {
            true => reason,
            false => format!("{reason}: {message}"),
        };
        match (phase.as_str(), waiting.as_str()) {
            ("Failed" | "Succeeded", _) => {
                let reason = text(pod, "/status/reason").unwrap_or(phase);
                let code = status
                    .and_then(|status| status.pointer("/state/terminated/exitCode"))
                    .map(|code| format!("exit status {code}"))
                    .unwrap_or_default();
                Self::Ended(words(reason, text(pod, "/status/message").unwrap_or(code)))
            }
            (_, "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull") => {
                Self::NoImage(words(waiting, said(status, "/state/waiting/message")))
            }
            (_, "CreateContainerError" | "CreateContainerConfigError" | "RunContainerError") => {
                Self::Ended(words(waiting, said(status, "/state/waiting/message")))
            }
            ("Running", _) if status.is_some_and(|status| status.pointer("/state/running").is_some()) => Self::Running,
            (_, "") => Self::Starting("the node has not reported on it".to_owned()),
            (_, _) => Self::Starting(words(waiting, said(status, "/state/waiting/message"))),
        }
    }
}

/// Debug pod that runs. Dropping it deletes the pod, also after Ctrl-C.
#[derive(Debug)]
pub struct DebugPod {
    kubectl: Kubectl,
    spec: PodSpec,
}

impl DebugPod {
    /// Creates a pod and waits until it runs.
    ///
    /// # Errors
    /// When the API server refuses it, or the node does not start it.
    pub fn start(
        kubectl: &Kubectl,
        spec: PodSpec,
        node: &NodeInfo,
        reporter: &dyn Reporter,
    ) -> Result<Self, AccessError> {
        let task = reporter.task(&format!("{}: starting a debug pod", spec.node), Unit::Items, None);
        // First the guard: an interruption during the request may leave the pod behind.
        let pod = Self {
            kubectl: kubectl.clone(),
            spec,
        };
        let doing = format!("creating the pod {} in namespace {}", pod.spec.name, pod.spec.namespace);
        kubectl.create(doing, &pod.spec.manifest())?;
        pod.wait_until_running(node, &*task)?;
        task.finish(Outcome::Done);
        Ok(pod)
    }

    fn wait_until_running(&self, node: &NodeInfo, task: &dyn basalt_progress::Task) -> Result<(), AccessError> {
        let mut last = String::new();
        let began = Instant::now();
        let running = wait::until(Some(began + START), TICK, || {
            let doing = format!("reading the pod {}", self.spec.name);
            let namespace = format!("--namespace={}", self.spec.namespace);
            let pod = self.kubectl.json(doing, ["get", "pod", &self.spec.name, &namespace])?;
            match PodProgress::of(&pod) {
                PodProgress::Running => Ok(Some(())),
                PodProgress::Starting(state) => {
                    task.detail(&state);
                    last = state;
                    Ok(None)
                }
                PodProgress::NoImage(reason) => Err(AccessError::Image {
                    node: self.spec.node.clone(),
                    image: self.spec.image.reference().to_owned(),
                    reason,
                }),
                PodProgress::Ended(reason) => Err(AccessError::Pod {
                    node: self.spec.node.clone(),
                    reason,
                }),
            }
        })?;
        running.ok_or_else(|| AccessError::NoStart {
            node: self.spec.node.clone(),
            waited: began.elapsed(),
            state: last,
            ready: node.ready,
        })
    }

    /// Shape of the pod.
    pub fn spec(&self) -> &PodSpec {
        &self.spec
    }

    /// Command that runs a program in the pod. With an image of tools, the program may be one that is built into the shell.
    pub fn exec<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let shell: &[&str] = match self.spec.image {
            DebugImage::Tools(_) => &["sh", "-c", "\"$@\"", "sh"],
            DebugImage::NodeOwn => &[],
        };
        self.kubectl
            .command(self.exec_arguments(&[]))
            .args(shell)
            .args(arguments.into_iter().map(|argument| argument.as_ref().to_owned()))
    }

    /// Command that runs a program of the node in the node's own mount namespace.
    pub fn exec_on_node<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let enter = ["nsenter", "-t", "1", "-m", "--"].map(str::to_owned);
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned());
        let words: Vec<String> = enter.into_iter().chain(arguments).collect();
        match self.spec.image {
            DebugImage::Tools(_) => self.exec(words),
            // The runtime looks a program up in the image's PATH, which the pause image does not set.
            DebugImage::NodeOwn => self.exec(words.into_iter().map(|word| match word.as_str() {
                "nsenter" => "/usr/bin/nsenter".to_owned(),
                _ => word,
            })),
        }
    }

    /// Command that runs an interactive program in the pod, on this terminal.
    pub fn exec_interactive<A: AsRef<str>>(&self, tty: bool, arguments: impl IntoIterator<Item = A>) -> Command {
        let options: &[&str] = if tty { &["--stdin", "--tty"] } else { &["--stdin"] };
        self.kubectl
            .command(self.exec_arguments(options))
            .args(arguments.into_iter().map(|argument| argument.as_ref().to_owned()))
    }

    fn exec_arguments(&self, options: &[&str]) -> Vec<String> {
        let mut arguments = vec![
            "exec".to_owned(),
            format!("--namespace={}", self.spec.namespace),
            format!("--container={CONTAINER}"),
            "--quiet".to_owned(),
        ];
        arguments.extend(options.iter().map(|option| (*option).to_owned()));
        arguments.extend([self.spec.name.clone(), "--".to_owned()]);
        arguments
    }

    /// Runs a program in the pod and returns what it wrote to standard output. `doing` is for errors.
    pub(crate) fn output(&self, doing: impl Into<String>, command: &Command) -> Result<Vec<u8>, AccessError> {
        let output = command.output().map_err(AccessError::kubectl(doing))?;
        Ok(output.stdout)
    }

    /// Runs the node's program that ends the node, and with it this connection.
    pub(crate) fn end_node(&self, doing: impl Into<String>, command: &Command) -> Result<(), AccessError> {
        match command.output() {
            Ok(_) => Ok(()),
            // The stream broke because the order was carried out; one that was not shows in the wait that follows.
            Err(ProcessError::Failed { tail, .. }) if tail.iter().any(|line| is_broken_stream(line)) => Ok(()),
            Err(error) => Err(AccessError::kubectl(doing)(error)),
        }
    }
}

impl Drop for DebugPod {
    fn drop(&mut self) {
        let namespace = format!("--namespace={}", self.spec.namespace);
        let arguments = [
            "delete",
            "pod",
            &self.spec.name,
            &namespace,
            "--ignore-not-found",
            "--grace-period=0",
            "--force",
            "--wait=false",
        ];
        self.kubectl.clean_up(arguments);
    }
}

/// Words of kubectl about a connection that ended before the program's exit status came.
fn is_broken_stream(line: &str) -> bool {
    let words = [
        "EOF",
        "connection reset",
        "closed network connection",
        "code 137",
        "close 1006",
    ];
    words.iter().any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(image: DebugImage, architecture: &str) -> PodSpec {
        PodSpec {
            name: "basalt-debug-0".to_owned(),
            namespace: "kube-system".to_owned(),
            node: "node-1".to_owned(),
            architecture: architecture.to_owned(),
            image,
            deadline: Duration::from_secs(600),
        }
    }

    #[test]
    fn manifest_of_a_pod_with_tools() {
        let manifest = spec(DebugImage::Tools("registry.example/debug:1".to_owned()), "amd64").manifest();
        insta::assert_snapshot!(format!("{manifest:#}"));
    }

    #[test]
    fn the_nodes_own_image_runs_the_nodes_programs() {
        for (architecture, linker) in [("amd64", "/lib64"), ("arm64", "/lib")] {
            let manifest = spec(DebugImage::NodeOwn, architecture).manifest();
            let container = &manifest["spec"]["containers"][0];
            assert_eq!(container["image"], crate::image::CARRIED_IMAGE);
            assert_eq!(container["command"], Value::Null);
            let mounts = &container["volumeMounts"];
            assert_eq!(mounts[0]["mountPath"], "/usr");
            assert_eq!(mounts[1]["mountPath"], linker);
            assert!(list(&manifest, "/spec/containers/0/volumeMounts").all(|mount| mount["readOnly"] == true));
        }
    }

    #[test]
    fn names_differ() {
        let node = NodeInfo::parse(&json!({ "metadata": { "name": "n" } })).expect("a node");
        let make = || PodSpec::new(&node, "kube-system", DebugImage::NodeOwn, Duration::from_secs(1)).name;
        assert_ne!(make(), make());
        assert!(make().starts_with("basalt-debug-") && make().len() < 63);
    }

    #[test]
    fn progress_is_read_from_the_status() {
        let waiting = |reason: &str, message: &str| {
            json!({ "status": { "phase": "Pending", "containerStatuses": [
                { "state": { "waiting": { "reason": reason, "message": message } } } ] } })
        };
        for (pod, expected) in [
            (
                json!({}),
                PodProgress::Starting("the node has not reported on it".into()),
            ),
            (
                waiting("ContainerCreating", ""),
                PodProgress::Starting("ContainerCreating".into()),
            ),
            (
                waiting("ErrImagePull", "not found"),
                PodProgress::NoImage("ErrImagePull: not found".into()),
            ),
            (
                waiting("ImagePullBackOff", ""),
                PodProgress::NoImage("ImagePullBackOff".into()),
            ),
            (
                waiting("RunContainerError", "no sh"),
                PodProgress::Ended("RunContainerError: no sh".into()),
            ),
            (
                json!({ "status": { "phase": "Running", "containerStatuses": [{ "state": { "running": {} } }] } }),
                PodProgress::Running,
            ),
            (
                json!({ "status": { "phase": "Failed", "reason": "OutOfpods", "message": "Node didn't have enough" } }),
                PodProgress::Ended("OutOfpods: Node didn't have enough".into()),
            ),
            (
                json!({ "status": { "phase": "Succeeded", "containerStatuses": [{ "state": { "terminated": { "exitCode": 0 } } }] } }),
                PodProgress::Ended("Succeeded: exit status 0".into()),
            ),
        ] {
            assert_eq!(PodProgress::of(&pod), expected, "{pod}");
        }
    }

    #[test]
    fn ends_of_connections_are_recognized() {
        for line in [
            "error: EOF",
            "error: websocket: close 1006 (abnormal closure)",
            "command terminated with exit code 137",
        ] {
            assert!(is_broken_stream(line), "{line}");
        }
        assert!(!is_broken_stream(
            "Failed to connect to system scope bus: Permission denied"
        ));
    }
}
