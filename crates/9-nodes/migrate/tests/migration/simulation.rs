//! Simulated cluster with a client: time, faults, and the observation of what a workload's clients would notice.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use basalt_migrate::api::ClusterApi;
use basalt_migrate::clock::MigrationClock;
use basalt_migrate::drain::DrainPolicy;
use basalt_migrate::facts::ReplacementOrder;
use basalt_migrate::{
    MachineRetirement, MigrateError, MigrationOptions, MigrationPlan, MigrationReport, Migrator, NodeSelection,
    ReplacementSource,
};
use basalt_progress::{Reporter, Silent, Task, Unit};
use http::{Request, Response};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::server::{Answer, Call, State, text};

/// Change of the cluster at a time.
type Event = (i64, Box<dyn FnOnce(&mut State) + Send>);

/// Answer to a request in place of the API server's.
type Fault = Box<dyn FnMut(&Call) -> Option<Response<Body>> + Send>;

/// Disturbance of every request, drawn from a seed.
#[derive(Debug, Clone, Copy)]
pub struct Disturbance {
    seed: u64,
    /// Requests of a hundred that are disturbed.
    percent: u64,
}

impl Disturbance {
    /// Returns a disturbance.
    pub fn new(seed: u64, percent: u64) -> Self {
        Self {
            seed: seed | 1,
            percent,
        }
    }

    /// Number below a bound (xorshift).
    fn draw(&mut self, bound: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % bound
    }
}

/// Parts that requests share.
#[derive(Default)]
struct Shared {
    state: State,
    events: Vec<Event>,
    faults: Vec<Fault>,
    kill_at: Option<usize>,
    disturbance: Option<Disturbance>,
    /// Time that a request is on its way.
    latency: Duration,
    /// Number of runs so far.
    runs: usize,
    /// Writes that were done, except to the journal: the process and the resource, in their order.
    writes: Vec<(String, String)>,
    /// Fewest Ready pods of each ReplicaSet since it had all of them.
    fewest: BTreeMap<String, u64>,
}

/// Simulated cluster.
#[derive(Clone)]
pub struct Simulation {
    shared: Arc<Mutex<Shared>>,
    killed: Arc<Notify>,
    start: Timestamp,
    since: Instant,
}

impl Simulation {
    /// Returns a cluster whose workloads have settled.
    pub fn new(set_up: impl FnOnce(&mut State)) -> Self {
        let start: Timestamp = "2026-11-29T16:00:00Z".parse().expect("a time");
        let mut shared = Shared::default();
        shared.state.now = start - SignedDuration::from_secs(60);
        set_up(&mut shared.state);
        shared.state.pass();
        shared.state.now = start;
        shared.state.pass();
        shared.state.writes = 0;
        Self {
            shared: Arc::new(Mutex::new(shared)),
            killed: Arc::default(),
            start,
            since: Instant::now(),
        }
    }

    /// Lets something happen some seconds after the start.
    pub fn at(&self, seconds: i64, event: impl FnOnce(&mut State) + Send + 'static) {
        let mut shared = self.shared.lock().expect("unpoisoned");
        shared.events.push((seconds, Box::new(event)));
    }

    /// Answers requests in place of the API server, where the function has an answer.
    pub fn fault(&self, fault: impl FnMut(&Call) -> Option<Response<Body>> + Send + 'static) {
        self.shared.lock().expect("unpoisoned").faults.push(Box::new(fault));
    }

    /// Disturbs requests from now on.
    pub fn disturb(&self, disturbance: Option<Disturbance>) {
        self.shared.lock().expect("unpoisoned").disturbance = disturbance;
    }

    /// Has every request from now on take a time until it arrives.
    pub fn slow_down(&self, latency: Duration) {
        self.shared.lock().expect("unpoisoned").latency = latency;
    }

    /// Writes so far, except to the journal: the process and the resource, in their order.
    pub fn writes(&self) -> Vec<(String, String)> {
        self.shared.lock().expect("unpoisoned").writes.clone()
    }

    /// Looks at the cluster, and may change it.
    pub fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.shared.lock().expect("unpoisoned").state)
    }

    /// Fewest Ready pods that a ReplicaSet has had.
    pub fn fewest(&self, set: &str) -> u64 {
        *self
            .shared
            .lock()
            .expect("unpoisoned")
            .fewest
            .get(set)
            .expect("observed")
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> i64 {
        i64::try_from(self.since.elapsed().as_secs()).expect("short")
    }

    async fn answer(self, client: String, request: Request<Body>) -> Result<Response<Body>, std::io::Error> {
        let call = Call::read(client, request).await;
        let latency = self.shared.lock().expect("unpoisoned").latency;
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let response = {
            let mut shared = self.shared.lock().expect("unpoisoned");
            shared.pass(self.start + SignedDuration::try_from(self.since.elapsed()).expect("short"));
            shared.respond(&call)
        };
        match response {
            Some(response) => response,
            None => {
                // The process is killed after the write, and never sees the answer.
                self.killed.notify_one();
                std::future::pending::<Result<Infallible, _>>()
                    .await
                    .map(|never| match never {})
            }
        }
    }

    /// Returns a new process: a migrator with a client of its own.
    pub fn migrator(&self, identity: &str) -> Migrator {
        let simulation = self.clone();
        let client = identity.to_owned();
        let service = tower::service_fn(move |request| simulation.clone().answer(client.clone(), request));
        let api = ClusterApi::with_client(Client::new(service, "default"));
        Migrator {
            management: api.clone(),
            api,
            clock: MigrationClock::Simulated {
                start: self.start,
                since: self.since,
            },
            identity: identity.to_owned(),
        }
    }

    /// Plans a migration.
    pub async fn plan(&self, options: &MigrationOptions) -> Result<MigrationPlan, MigrateError> {
        self.migrator("planner").plan(options).await
    }

    /// Runs a migration to its end.
    pub async fn run(&self, options: &MigrationOptions) -> Result<MigrationReport, MigrateError> {
        self.run_with(options, &Silent).await
    }

    /// Runs a migration to its end, with a reporter.
    pub async fn run_with(
        &self,
        options: &MigrationOptions,
        reporter: &dyn Reporter,
    ) -> Result<MigrationReport, MigrateError> {
        let number = {
            let mut shared = self.shared.lock().expect("unpoisoned");
            shared.runs += 1;
            shared.runs
        };
        let identity = format!("run {number} at {}", self.seconds());
        self.migrator(&identity).run(options, reporter).await
    }

    /// Runs a migration until a number of writes more were made. Returns nothing if it was killed then.
    pub async fn run_until_kill(
        &self,
        options: &MigrationOptions,
        writes: usize,
    ) -> Option<Result<MigrationReport, MigrateError>> {
        {
            let mut shared = self.shared.lock().expect("unpoisoned");
            shared.kill_at = Some(shared.state.writes + writes);
        }
        let ended = tokio::select! {
            result = self.run(options) => Some(result),
            () = self.killed.notified() => None,
        };
        self.shared.lock().expect("unpoisoned").kill_at = None;
        ended
    }

    /// Lets what was begun come to its end: pods that are terminating, pods that start.
    pub async fn settle(&self) {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_secs(10)).await;
            let elapsed = SignedDuration::try_from(self.since.elapsed()).expect("short");
            self.shared.lock().expect("unpoisoned").pass(self.start + elapsed);
        }
    }

    /// End state, without what differs between runs that come to the same: times, versions, names of pods.
    pub fn summary(&self) -> BTreeMap<String, String> {
        self.state(|state| {
            let mut summary = BTreeMap::new();
            for node in state.all("nodes") {
                let name = text(&node, "/metadata/name").to_owned();
                let mut annotations = node["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
                annotations.retain(|key, _| !key.starts_with("test/"));
                for key in ["since", "cordoned", "requested", "retired"] {
                    if let Some(value) = annotations.get_mut(&format!("basalt.dev/migrate-{key}")) {
                        *value = Value::from("a time");
                    }
                }
                let cordoned = node["spec"]["unschedulable"] == true;
                // Where the scheduler puts a pod among the others depends on the order.
                let pods = state.all("pods");
                let pods = pods
                    .iter()
                    .filter(|pod| cordoned && text(pod, "/spec/nodeName") == name);
                let pods: Vec<&str> = pods.map(|pod| text(pod, "/metadata/labels/app")).collect();
                let taints = &node["spec"]["taints"];
                let taints = taints.as_array().map_or(0, Vec::len);
                let line = format!("cordoned {cordoned}, {taints} taints, {annotations:?}, pods {pods:?}");
                summary.insert(name, line);
            }
            let pods = state.all("pods");
            let mut apps: Vec<&str> = pods.iter().map(|pod| text(pod, "/metadata/labels/app")).collect();
            apps.sort_unstable();
            summary.insert("pods".to_owned(), apps.join(" "));
            let probes = state
                .objects
                .keys()
                .filter(|(_, namespace, _)| namespace == "kube-system");
            let left: Vec<String> = probes.map(|(kind, _, name)| format!("{kind}/{name}")).collect();
            summary.insert("kube-system".to_owned(), left.join(" "));
            let deployments = state.all("machinedeployments");
            let replicas: Vec<String> = deployments
                .iter()
                .map(|one| format!("{} {}", text(one, "/metadata/name"), one["spec"]["replicas"]))
                .collect();
            summary.insert("replicas".to_owned(), replicas.join(", "));
            summary.insert("machines".to_owned(), state.all("machines").len().to_string());
            summary.insert("evictions".to_owned(), state.evicted.len().to_string());
            summary.insert("deletions".to_owned(), {
                let own = state.deleted.iter().filter(|name| !name.contains("probe"));
                own.count().to_string()
            });
            summary
        })
    }
}

impl Shared {
    /// Lets time pass until now.
    fn pass(&mut self, now: Timestamp) {
        let start: Timestamp = "2026-11-29T16:00:00Z".parse().expect("a time");
        self.state.now = now;
        let elapsed = now.duration_since(start).as_secs();
        let (due, later) = std::mem::take(&mut self.events)
            .into_iter()
            .partition(|(at, _)| *at <= elapsed);
        self.events = later;
        let due: Vec<Event> = due;
        for (_, event) in due {
            event(&mut self.state);
        }
        self.state.pass();
        self.observe();
    }

    fn observe(&mut self) {
        for set in self.state.all("replicasets") {
            let ready = set["status"]["readyReplicas"].as_u64().unwrap_or_default();
            let fewest = self
                .fewest
                .entry(text(&set, "/metadata/name").to_owned())
                .or_insert(ready);
            *fewest = ready.min(*fewest);
        }
    }

    /// Answers a request; nothing if the process is killed at it.
    fn respond(&mut self, call: &Call) -> Option<Result<Response<Body>, std::io::Error>> {
        for fault in &mut self.faults {
            if let Some(response) = fault(call) {
                return Some(Ok(response));
            }
        }
        let kind = self.disturbance.as_mut().and_then(|disturbance| {
            let hit = disturbance.draw(100) < disturbance.percent;
            hit.then(|| disturbance.draw(5))
        });
        match kind {
            Some(0) => {
                return Some(Ok(Answer::status(
                    500,
                    "InternalError",
                    "etcdserver: request timed out",
                )
                .response()));
            }
            Some(1) => return Some(Ok(busy("1"))),
            Some(2) => return Some(Err(std::io::Error::other("connection refused"))),
            // Somebody else writes the object first.
            Some(3) if call.is_write() && call.resource == "nodes" => {
                let name = call.name.clone().expect("a name");
                self.state
                    .edit("nodes", "", &name, serde_json::json!({ "status": { "seen": true } }));
            }
            _ => {}
        }
        let answer = self.state.answer(call);
        if call.is_write() && !matches!(call.resource.as_str(), "events" | "configmaps") {
            self.writes.push((call.client.clone(), call.resource.clone()));
        }
        self.state.pass();
        self.observe();
        if call.is_write() && self.kill_at.is_some_and(|limit| self.state.writes >= limit) {
            return None;
        }
        if kind == Some(4) {
            // Done, and the answer is lost.
            return Some(Err(std::io::Error::other("connection reset by peer")));
        }
        Some(Ok(answer.response()))
    }
}

/// Answer of priority and fairness, in plain text.
pub fn busy(retry_after: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(b"Too many requests, please try again later.\n".to_vec()));
    *response.status_mut() = http::StatusCode::TOO_MANY_REQUESTS;
    let value = retry_after.parse().expect("a header");
    response.headers_mut().insert("retry-after", value);
    response
}

/// Options of a migration of some nodes, with nodes that join by hand.
pub fn options(nodes: &[&str]) -> MigrationOptions {
    MigrationOptions {
        nodes: NodeSelection {
            names: nodes.iter().map(|name| (*name).to_owned()).collect(),
            selector: None,
        },
        replacement: ReplacementSource::ByHand,
        order: ReplacementOrder::BeforeEviction,
        replacement_selector: None,
        drain: DrainPolicy {
            ignore_daemonsets: true,
            ..DrainPolicy::default()
        },
        at_once: 1,
        deadline: Duration::from_secs(600),
        soak: Duration::from_secs(30),
        undo_on_stop: true,
        namespace: "kube-system".to_owned(),
        probe_image: "registry.k8s.io/pause:3.10".to_owned(),
        retirement: MachineRetirement::Keep,
        delete_node_objects: false,
        management: None,
    }
}

/// Reporter that keeps what it is told.
#[derive(Debug, Clone, Default)]
pub struct Recorded(Arc<Mutex<Vec<String>>>);

impl Recorded {
    /// Lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().expect("unpoisoned").clone()
    }

    fn push(&self, text: String) {
        self.0.lock().expect("unpoisoned").push(text);
    }
}

impl Reporter for Recorded {
    fn task(&self, _: &str, _: Unit, _: Option<u64>) -> Box<dyn Task> {
        Box::new(Silent)
    }
    fn note(&self, text: &str) {
        self.push(text.to_owned());
    }
    fn warn(&self, text: &str) {
        self.push(format!("warning: {text}"));
    }
}
