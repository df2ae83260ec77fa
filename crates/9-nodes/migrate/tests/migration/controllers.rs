//! What happens in the cluster as time passes: controllers, the scheduler, kubelets, Cluster API.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::server::{State, text};

/// Time from the binding of a pod to its readiness, in seconds.
const START: i64 = 5;

/// Time from the scaling of a MachineDeployment to the new node, in seconds.
const MACHINE: i64 = 40;

/// Time from the deletion of a Machine to the end of its node, in seconds.
const MACHINE_END: i64 = 20;

/// Annotation with the time at which a pod was bound.
const BOUND: &str = "test/bound";

impl State {
    /// Lets everything happen that is due.
    pub fn pass(&mut self) {
        // Nothing is due before the next second, unless something was written.
        let second = Timestamp::from_second(self.now.as_second()).expect("a time");
        if self.settled == Some((self.version, second)) {
            return;
        }
        self.end_pods();
        self.make_pods();
        self.schedule();
        self.start_pods();
        self.count();
        self.make_machines();
        self.choose_machines();
        self.end_machines();
        self.settled = Some((self.version, second));
    }

    /// Names and contents of all objects of a kind.
    pub fn all(&self, resource: &str) -> Vec<Value> {
        let all = self.objects.iter().filter(|((kind, _, _), _)| kind == resource);
        all.map(|(_, object)| object.clone()).collect()
    }

    fn node_is_ready(&self, name: &str) -> bool {
        let key = ("nodes".to_owned(), String::new(), name.to_owned());
        self.objects
            .get(&key)
            .is_some_and(|node| node["status"]["conditions"][0]["status"] == "True")
    }

    /// Kubelets remove pods whose grace period is over, and the garbage collector those of nodes that are gone.
    fn end_pods(&mut self) {
        for pod in self.all("pods") {
            let due = text(&pod, "/metadata/deletionTimestamp").parse::<Timestamp>();
            let Ok(due) = due else {
                continue;
            };
            let node = text(&pod, "/spec/nodeName");
            let exists = self
                .objects
                .contains_key(&("nodes".to_owned(), String::new(), node.to_owned()));
            let held = pod["metadata"]["finalizers"]
                .as_array()
                .is_some_and(|all| !all.is_empty());
            if due <= self.now && !held && (!exists || self.node_is_ready(node)) {
                self.objects.remove(&(
                    "pods".to_owned(),
                    text(&pod, "/metadata/namespace").to_owned(),
                    text(&pod, "/metadata/name").to_owned(),
                ));
            }
        }
    }

    /// Pods of a ReplicaSet that are not being deleted.
    fn active_pods(&self, set: &Value) -> Vec<Value> {
        let mut pods = self.all("pods");
        pods.retain(|pod| {
            pod["metadata"]["ownerReferences"][0]["uid"] == set["metadata"]["uid"]
                && text(pod, "/metadata/deletionTimestamp").is_empty()
        });
        pods
    }

    /// ReplicaSets make the pods that are missing.
    fn make_pods(&mut self) {
        for set in self.all("replicasets") {
            let wanted = set["spec"]["replicas"].as_u64().expect("replicas");
            let missing = wanted.saturating_sub(self.active_pods(&set).len() as u64);
            for _ in 0..missing {
                let serial = self.next_serial();
                let name = format!("{}-{serial}", text(&set, "/metadata/name"));
                let mut pod = set["spec"]["template"].clone();
                pod["metadata"]["name"] = json!(name);
                pod["metadata"]["ownerReferences"] = json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet",
                    "name": set["metadata"]["name"], "uid": set["metadata"]["uid"], "controller": true }]);
                pod["status"] = json!({ "phase": "Pending" });
                self.put("pods", text(&set, "/metadata/namespace"), pod);
            }
        }
    }

    /// The scheduler binds each pod to the node that has the fewest.
    fn schedule(&mut self) {
        for pod in self.all("pods") {
            if !text(&pod, "/spec/nodeName").is_empty() {
                continue;
            }
            let required = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";
            let wanted = text(&pod, required);
            let tolerates = pod["spec"]["tolerations"][0]["operator"] == "Exists";
            let mut nodes: Vec<(bool, usize, String)> = Vec::new();
            for node in self.all("nodes") {
                let name = text(&node, "/metadata/name").to_owned();
                let open = tolerates || node["spec"]["unschedulable"] != true;
                if open && self.node_is_ready(&name) && (wanted.is_empty() || wanted == name) {
                    let pods = self.all("pods");
                    let of_workloads = pods.iter().filter(|pod| text(pod, "/metadata/namespace") == "shop");
                    let count = of_workloads.filter(|pod| text(pod, "/spec/nodeName") == name).count();
                    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
                    let avoided = taints.filter(|taint| taint["effect"] == "PreferNoSchedule").count() > 0;
                    nodes.push((avoided, count, name));
                }
            }
            if let Some((_, _, node)) = nodes.into_iter().min() {
                let patch = json!({ "metadata": { "annotations": { BOUND: self.now.to_string() } }, "spec": { "nodeName": node } });
                self.edit(
                    "pods",
                    text(&pod, "/metadata/namespace"),
                    text(&pod, "/metadata/name"),
                    patch,
                );
            }
        }
    }

    /// Kubelets start pods.
    fn start_pods(&mut self) {
        for pod in self.all("pods") {
            let bound = pod["metadata"]["annotations"][BOUND].as_str();
            let bound = bound.and_then(|time| time.parse::<Timestamp>().ok());
            let due = bound.is_some_and(|bound| self.now >= bound + SignedDuration::from_secs(START));
            let broken = pod["metadata"]["annotations"]["test/broken"] == "true";
            if due
                && !broken
                && text(&pod, "/status/phase") == "Pending"
                && self.node_is_ready(text(&pod, "/spec/nodeName"))
            {
                let status =
                    json!({ "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] } });
                self.edit(
                    "pods",
                    text(&pod, "/metadata/namespace"),
                    text(&pod, "/metadata/name"),
                    status,
                );
            }
        }
    }

    /// Controllers count Ready pods into the status of ReplicaSets, Deployments and budgets.
    fn count(&mut self) {
        let is_ready = |pod: &&Value| pod["status"]["conditions"][0]["status"] == "True";
        for set in self.all("replicasets") {
            let ready = self.active_pods(&set).iter().filter(is_ready).count();
            let (namespace, name) = (text(&set, "/metadata/namespace"), text(&set, "/metadata/name"));
            if set["status"]["readyReplicas"] == ready {
                continue;
            }
            let status = json!({ "status": { "readyReplicas": ready, "replicas": set["spec"]["replicas"] } });
            self.edit("replicasets", namespace, name, status.clone());
            let deployment = set["metadata"]["ownerReferences"][0]["name"].as_str();
            if let Some(deployment) = deployment {
                self.edit("deployments", namespace, deployment, status);
            }
        }
        for budget in self.all("poddisruptionbudgets") {
            let namespace = text(&budget, "/metadata/namespace");
            let wanted = budget["spec"]["selector"]["matchLabels"].as_object().expect("labels");
            let mut pods = self.all("pods");
            pods.retain(|pod| {
                text(pod, "/metadata/namespace") == namespace
                    && text(pod, "/metadata/deletionTimestamp").is_empty()
                    && wanted
                        .iter()
                        .all(|(key, value)| pod["metadata"]["labels"][key] == *value)
            });
            let healthy = pods.iter().filter(is_ready).count() as u64;
            let desired = budget["spec"]["minAvailable"].as_u64().expect("a number");
            let status = json!({ "disruptionsAllowed": healthy.saturating_sub(desired), "currentHealthy": healthy,
                "desiredHealthy": desired, "expectedPods": pods.len() });
            if budget["status"] != status {
                let name = text(&budget, "/metadata/name");
                self.edit("poddisruptionbudgets", namespace, name, json!({ "status": status }));
            }
        }
    }

    /// Cluster API makes a machine for each replica, after a while.
    fn make_machines(&mut self) {
        for deployment in self.all("machinedeployments") {
            let (namespace, name) = (
                text(&deployment, "/metadata/namespace"),
                text(&deployment, "/metadata/name"),
            );
            let wanted = deployment["spec"]["replicas"].as_u64().expect("replicas");
            let made = deployment["status"]["replicas"].as_u64().unwrap_or_default();
            let status = &deployment["status"]["since"];
            if made >= wanted {
                continue;
            }
            let since = status.as_str().and_then(|time| time.parse::<Timestamp>().ok());
            match since {
                None => {
                    let patch = json!({ "status": { "since": self.now.to_string() } });
                    self.edit("machinedeployments", namespace, name, patch);
                }
                Some(since) if self.now >= since + SignedDuration::from_secs(MACHINE) => {
                    let patch =
                        json!({ "status": { "replicas": made + 1, "upToDateReplicas": made + 1, "since": null } });
                    self.edit("machinedeployments", namespace, name, patch);
                    let mut names = (made + 1..).map(|number| format!("machine-{number}"));
                    let is_new = |node: &String| {
                        let key = ("nodes".to_owned(), String::new(), node.clone());
                        !self.objects.contains_key(&key)
                    };
                    let node = names.find(is_new).expect("a name");
                    self.put("nodes", "", super::objects::basalt(&node));
                    let labels = json!({ "labels": { "cluster.x-k8s.io/deployment-name": name } });
                    super::objects::machine(self, &node, labels);
                }
                Some(_) => {}
            }
        }
    }

    /// Deletes a Machine of each owner that has more than replicas: a marked one first.
    fn choose_machines(&mut self) {
        for resource in ["machinedeployments", "machinesets"] {
            for owner in self.all(resource) {
                let name = text(&owner, "/metadata/name");
                let mut machines = self.all("machines");
                machines.retain(|machine| {
                    let by_label = &machine["metadata"]["labels"]["cluster.x-k8s.io/deployment-name"];
                    let by_reference = &machine["metadata"]["ownerReferences"][0]["name"];
                    let is_owned = by_label == name || by_reference == name;
                    is_owned && text(machine, "/metadata/deletionTimestamp").is_empty()
                });
                let wanted = owner["spec"]["replicas"].as_u64().expect("replicas");
                if machines.len() as u64 <= wanted {
                    continue;
                }
                let mark =
                    |machine: &Value| machine["metadata"]["annotations"]["cluster.x-k8s.io/delete-machine"] == "";
                machines.sort_by_key(|machine| !mark(machine));
                let due = (self.now + SignedDuration::from_secs(MACHINE_END)).to_string();
                let patch = json!({ "metadata": { "deletionTimestamp": due } });
                self.edit("machines", "clusters", text(&machines[0], "/metadata/name"), patch);
                let made = owner["status"]["replicas"].as_u64().unwrap_or_default();
                let left = made.saturating_sub(1);
                let status = json!({ "status": { "replicas": left, "upToDateReplicas": left } });
                self.edit(resource, "clusters", name, status);
            }
        }
    }

    /// Machines that were deleted end, and their nodes with them.
    fn end_machines(&mut self) {
        for machine in self.all("machines") {
            let due = text(&machine, "/metadata/deletionTimestamp").parse::<Timestamp>();
            if due.is_ok_and(|due| due <= self.now) {
                let name = text(&machine, "/metadata/name").to_owned();
                let node = text(&machine, "/status/nodeRef/name").to_owned();
                self.version += 1;
                self.objects
                    .remove(&("machines".to_owned(), "clusters".to_owned(), name));
                self.objects.remove(&("nodes".to_owned(), String::new(), node));
            }
        }
    }
}
