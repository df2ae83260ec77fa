//! Requests to the API server: every read and every write of a migration.
//!
//! The verbs that are used here are those of docs/migrate/rbac.yaml; a test holds the two together.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod, Taint};
use k8s_openapi::api::policy::v1::{Eviction, PodDisruptionBudget};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::{NamespaceResourceScope, Request};
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Map, json};

use crate::error::MigrateError;
use crate::eviction::EvictionAnswer;
use crate::facts::WorkloadState;
use crate::failure::{self, RequestFailure};
use crate::lease::LeaseGuard;
use crate::model::{NamespacedName, NodeChange, ObservedBudget, ObservedCluster, ObservedNode, ObservedPod};
use crate::observe;
use crate::options::ClusterConnection;
use crate::record::WorkloadReference;

/// Name under which fields are managed and events are reported.
pub const MANAGER: &str = "basalt-migrate";

/// Objects of one page of a list.
const PAGE: u32 = 500;

/// Longest time for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Client of a cluster.
#[derive(Clone)]
pub struct ClusterApi {
    client: Client,
    /// Permission for writes; nothing where no Lease is asked for: plans and dry runs, the Lease itself, the journal.
    guard: Option<LeaseGuard>,
    /// URL of the API server, for messages; empty for the client of a test.
    pub(crate) server: String,
}

/// Wraps the failure of a request.
pub(crate) fn failed(action: impl Into<String>) -> impl FnOnce(kube::Error) -> MigrateError {
    let action = action.into();
    move |error| MigrateError::Request {
        help: failure::help(&error),
        action,
        source: Box::new(RequestFailure::new(error)),
    }
}

/// Pauses before a read is tried again when the API server is away, busy or failing.
const READ_AGAIN: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// Sends a request that changes nothing, and again after failures that may pass: an answer of the whole cluster takes many
/// requests, and one failure among them is no reason to begin anew.
async fn read<T, F>(action: &str, mut request: impl FnMut() -> F) -> Result<T, MigrateError>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    for pause in READ_AGAIN {
        match request().await.map_err(failed(action)) {
            Err(error) if error.is_transient() => tokio::time::sleep(pause).await,
            answer => return answer,
        }
    }
    request().await.map_err(failed(action))
}

impl ClusterApi {
    /// Connects to a cluster.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used. The API server is not asked yet.
    pub async fn connect(connection: &ClusterConnection) -> Result<Self, MigrateError> {
        let mut config = configuration(connection).await?;
        // Refusals of evictions are 429, too: kube would try them again by itself.
        config.default_retry = false;
        config.read_timeout = Some(ANSWER_LIMIT);
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(failed("set up the connection"))?;
        Ok(Self {
            client,
            guard: None,
            server,
        })
    }

    /// Returns the client of a test.
    pub fn with_client(client: Client) -> Self {
        Self {
            client,
            guard: None,
            server: String::new(),
        }
    }

    /// Returns the same client for work whose writes need a Lease.
    pub(crate) fn guarded(&self, guard: LeaseGuard) -> Self {
        Self {
            guard: Some(guard),
            ..self.clone()
        }
    }

    /// Allows a write now. Every write but those of the Lease and the journal asks this first.
    pub(crate) fn may_write(&self) -> Result<(), MigrateError> {
        self.guard.as_ref().map_or(Ok(()), LeaseGuard::check)
    }

    /// Client for objects that only one module has to do with.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns all nodes, or those with certain labels.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn nodes(&self, selector: Option<&str>) -> Result<Vec<ObservedNode>, MigrateError> {
        let params = selector.map_or_else(ListParams::default, |selector| ListParams::default().labels(selector));
        let nodes = self.list::<Node>(Api::all(self.client()), params, "list nodes").await?;
        Ok(nodes.into_iter().map(observe::node).collect())
    }

    /// Returns the pods that are bound to a node.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn pods_on(&self, node: &str) -> Result<Vec<ObservedPod>, MigrateError> {
        let params = ListParams::default().fields(&format!("spec.nodeName={node}"));
        let pods = self.list::<Pod>(Api::all(self.client()), params, "list pods").await?;
        Ok(pods.into_iter().map(observe::pod).collect())
    }

    /// Returns everything that a plan needs.
    ///
    /// # Errors
    /// When a request fails.
    pub async fn cluster(&self) -> Result<ObservedCluster, MigrateError> {
        let pods = self.list::<Pod>(Api::all(self.client()), ListParams::default(), "list pods");
        Ok(ObservedCluster {
            nodes: self.nodes(None).await?,
            pods: pods.await?.into_iter().map(observe::pod).collect(),
            budgets: self.budgets().await?,
            ..self.volumes().await?
        })
    }

    async fn budgets(&self) -> Result<Vec<ObservedBudget>, MigrateError> {
        let api = Api::<PodDisruptionBudget>::all(self.client());
        let budgets = self.list(api, ListParams::default(), "list pod disruption budgets");
        Ok(budgets.await?.into_iter().map(observe::budget).collect())
    }

    /// Returns a cluster of which only the bound volumes are known.
    ///
    /// # Errors
    /// When a request fails.
    pub async fn volumes(&self) -> Result<ObservedCluster, MigrateError> {
        let claims = Api::<PersistentVolumeClaim>::all(self.client());
        let claims = self.list(claims, ListParams::default(), "list persistent volume claims");
        let volumes = Api::<PersistentVolume>::all(self.client());
        let volumes = self.list(volumes, ListParams::default(), "list persistent volumes");
        Ok(ObservedCluster {
            volumes: observe::bound_volumes(claims.await?, volumes.await?),
            ..ObservedCluster::default()
        })
    }

    /// Reads all pages of a list.
    async fn list<K>(&self, api: Api<K>, params: ListParams, action: &str) -> Result<Vec<K>, MigrateError>
    where
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let mut params = params.limit(PAGE);
        let mut all = Vec::new();
        loop {
            let page = read(action, || api.list(&params)).await?;
            all.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(all),
            }
        }
    }

    /// Changes a node in one patch. Fails with a conflict when somebody else wrote the node since it was read.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn patch_node(&self, node: &ObservedNode, change: NodeChange) -> Result<(), MigrateError> {
        let mut spec = Map::new();
        if let Some(unschedulable) = change.unschedulable {
            spec.insert("unschedulable".to_owned(), json!(unschedulable));
        }
        if let Some(taints) = change.taints {
            let taints: Vec<_> = taints.into_iter().map(Taint::from).collect();
            spec.insert("taints".to_owned(), json!(taints));
        }
        let patch = json!({
            "metadata": { "resourceVersion": node.resource_version, "annotations": change.annotations },
            "spec": spec,
        });
        self.may_write()?;
        let api = Api::<Node>::all(self.client());
        let patched = api.patch(&node.name, &manager(), &Patch::Merge(&patch)).await;
        patched.map(drop).map_err(failed(format!("change node {}", node.name)))
    }

    /// Evicts a pod, or asks what would come of it. `uid` keeps another pod of the same name from harm.
    ///
    /// # Errors
    /// When there is no answer. Refusals are answers.
    pub async fn evict(
        &self,
        pod: &NamespacedName,
        uid: &str,
        grace_period: Option<u32>,
        dry_run: bool,
    ) -> Result<EvictionAnswer, MigrateError> {
        if !dry_run {
            self.may_write()?;
        }
        // kube's own `evict` writes `delete_options`, which the API server ignores, and hides the header Retry-After.
        let eviction = Eviction {
            metadata: meta::ObjectMeta {
                name: Some(pod.name.clone()),
                namespace: Some(pod.namespace.clone()),
                ..meta::ObjectMeta::default()
            },
            delete_options: Some(meta::DeleteOptions {
                dry_run: dry_run.then(|| vec!["All".to_owned()]),
                grace_period_seconds: grace_period.map(i64::from),
                preconditions: Some(meta::Preconditions {
                    uid: Some(uid.to_owned()),
                    ..meta::Preconditions::default()
                }),
                ..meta::DeleteOptions::default()
            }),
        };
        let action = || format!("evict pod {pod}");
        let body = serde_json::to_vec(&eviction).map_err(kube::Error::SerdeError);
        let body = body.map_err(failed(action()))?;
        let params = PostParams {
            dry_run,
            field_manager: None,
        };
        let path = Pod::url_path(&(), Some(&pod.namespace));
        let request = Request::new(path).create_subresource("eviction", &pod.name, &params, body);
        let request = request.map_err(kube::Error::BuildRequest).map_err(failed(action()))?;
        let response = self
            .client
            .send(request.map(Body::from))
            .await
            .map_err(failed(action()))?;
        let code = response.status().as_u16();
        let header = response.headers().get("retry-after");
        let header = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.into_body().collect_bytes().await.map_err(failed(action()))?;
        Ok(EvictionAnswer::read(code, header.as_deref(), &body))
    }

    /// Deletes a pod. One that is gone, or has been replaced by another, is no failure.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn delete_pod(&self, pod: &NamespacedName, uid: &str, grace: Option<u32>) -> Result<(), MigrateError> {
        let params = DeleteParams {
            grace_period_seconds: grace,
            ..deletion_of(Some(uid.to_owned()), None)
        };
        self.may_write()?;
        let api = Api::<Pod>::namespaced(self.client(), &pod.namespace);
        match api
            .delete(&pod.name, &params)
            .await
            .map_err(failed(format!("delete pod {pod}")))
        {
            Err(error) if error.is_code(&[404, 409]) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Deletes the object of a node as it was read: not one that its kubelet has written since, nor another of its name.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn delete_node(&self, node: &ObservedNode) -> Result<(), MigrateError> {
        let params = deletion_of(Some(node.uid.clone()), Some(node.resource_version.clone()));
        self.may_write()?;
        let deleted = Api::<Node>::all(self.client()).delete(&node.name, &params).await;
        match deleted.map_err(failed(format!("delete node {}", node.name))) {
            Err(error) if error.is_code(&[404]) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Returns the pods with certain labels in a namespace.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn labelled_pods(&self, namespace: &str, labels: &str) -> Result<Vec<Pod>, MigrateError> {
        let api = Api::namespaced(self.client(), namespace);
        self.list(api, ListParams::default().labels(labels), "list pods").await
    }

    /// Returns the workload that a pod belongs to: its Deployment for a pod of a ReplicaSet that has one.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn workload_of(&self, pod: &ObservedPod) -> Result<Option<WorkloadReference>, MigrateError> {
        let Some(controller) = &pod.controller else {
            return Ok(None);
        };
        let namespace = &pod.name.namespace;
        let own = WorkloadReference {
            kind: controller.kind.clone(),
            name: NamespacedName::new(namespace, &controller.name),
            uid: controller.uid.clone(),
        };
        if controller.kind != "ReplicaSet" {
            return Ok(Some(own));
        }
        let owners = self.get::<ReplicaSet>(&own.name).await?;
        let owners = owners.and_then(|set| set.metadata.owner_references).unwrap_or_default();
        let deployment = owners.into_iter().find(|owner| owner.kind == "Deployment");
        Ok(Some(deployment.map_or(own, |owner| WorkloadReference {
            kind: owner.kind,
            name: NamespacedName::new(namespace, owner.name),
            uid: owner.uid,
        })))
    }

    /// Returns the number of Ready pods of a workload, and of those that it should have.
    ///
    /// # Errors
    /// When a request fails.
    pub async fn workload_state(&self, workload: &WorkloadReference) -> Result<WorkloadState, MigrateError> {
        let name = &workload.name;
        let (ready, desired) = match workload.kind.as_str() {
            "Deployment" => numbers(self.get::<Deployment>(name).await?.map(|object| {
                let (spec, status) = (object.spec.unwrap_or_default(), object.status.unwrap_or_default());
                (spec.replicas, status.ready_replicas)
            })),
            "ReplicaSet" => numbers(self.get::<ReplicaSet>(name).await?.map(|object| {
                let (spec, status) = (object.spec.unwrap_or_default(), object.status.unwrap_or_default());
                (spec.replicas, status.ready_replicas)
            })),
            "StatefulSet" => numbers(self.get::<StatefulSet>(name).await?.map(|object| {
                let (spec, status) = (object.spec.unwrap_or_default(), object.status.unwrap_or_default());
                (spec.replicas, status.ready_replicas)
            })),
            // A Job's pods end, and are never Ready for good.
            "Job" => (None, None),
            _ => (Some(self.ready_pods(workload).await?), None),
        };
        Ok(WorkloadState {
            workload: workload.clone(),
            ready,
            desired,
        })
    }

    /// Counts the Ready pods of a controller whose kind is not known here.
    async fn ready_pods(&self, workload: &WorkloadReference) -> Result<u32, MigrateError> {
        let api = Api::<Pod>::namespaced(self.client(), &workload.name.namespace);
        let pods = self.list(api, ListParams::default(), "list pods").await?;
        let pods = pods.into_iter().map(observe::pod);
        let ready = pods.filter(|pod| {
            let owned = pod.controller.as_ref().is_some_and(|owner| owner.uid == workload.uid);
            owned && pod.ready && pod.deletion.is_none()
        });
        Ok(u32::try_from(ready.count()).unwrap_or(u32::MAX))
    }

    /// Reads an object; nothing if there is none.
    pub(crate) async fn get<K>(&self, name: &NamespacedName) -> Result<Option<K>, MigrateError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let api = Api::<K>::namespaced(self.client(), &name.namespace);
        let action = || format!("get {} {name}", K::plural(&()));
        api.get_opt(&name.name).await.map_err(failed(action()))
    }
}

/// Ready and desired pods; nothing for an object that is gone.
fn numbers(object: Option<(Option<i32>, Option<i32>)>) -> (Option<u32>, Option<u32>) {
    let Some((desired, ready)) = object else {
        return (None, None);
    };
    let count = |number: i32| u32::try_from(number).unwrap_or_default();
    (
        Some(count(ready.unwrap_or_default())),
        Some(count(desired.unwrap_or(1))),
    )
}

/// Patch by this program.
pub(crate) fn manager() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

/// Deletion of one object: that with a UID, and as it was at a resource version if there is one.
pub(crate) fn deletion_of(uid: Option<String>, resource_version: Option<String>) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version }),
        ..DeleteParams::default()
    }
}

/// Names of the contexts that there are.
fn contexts(connection: &ClusterConnection) -> String {
    let kubeconfig = match &connection.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let contexts = kubeconfig.map(|kubeconfig| kubeconfig.contexts).unwrap_or_default();
    let names: Vec<String> = contexts.into_iter().map(|context| context.name).collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}

async fn configuration(connection: &ClusterConnection) -> Result<Config, MigrateError> {
    let wrong = |error: KubeconfigError| match error {
        KubeconfigError::LoadContext(name) => MigrateError::UnknownContext {
            name,
            known: contexts(connection),
        },
        other => MigrateError::kubeconfig(other),
    };
    let options = KubeConfigOptions {
        context: connection.context.clone(),
        ..KubeConfigOptions::default()
    };
    if let Some(path) = &connection.kubeconfig {
        let kubeconfig = Kubeconfig::read_from(path).map_err(wrong)?;
        return Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(wrong);
    }
    match Config::from_kubeconfig(&options).await {
        Ok(config) => Ok(config),
        // Without a kubeconfig, a pod has a service account.
        Err(error) => match Config::incluster() {
            Ok(config) if connection.context.is_none() => Ok(config),
            _ => Err(wrong(error)),
        },
    }
}
