//! Objects of a cluster, listed read-only and page by page. Our own client: what is needed is GET with a client certificate or
//! a token, and `ureq` with rustls is in the command anyway; kube-rs would bring an asynchronous runtime and types of all kinds.

use serde_json::Value;

use super::{ApiConnection, ObjectSource, UnreadSource};
use crate::{ManifestObject, PreflightError};

/// Objects per page.
const PAGE: usize = 500;
/// Times that a list is begun anew when its page token has expired (HTTP status 410).
const RESTARTS: usize = 3;

/// Kind of objects that is listed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListedKind {
    /// `apps/v1`.
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    /// Name in paths: `daemonsets`.
    pub(crate) resource: &'static str,
}

impl ListedKind {
    const fn new(api_version: &'static str, kind: &'static str, resource: &'static str) -> Self {
        Self {
            api_version,
            kind,
            resource,
        }
    }

    /// API group; empty for the core group.
    pub(crate) fn group(&self) -> &'static str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    fn path(&self) -> String {
        let root = if self.group().is_empty() { "/api" } else { "/apis" };
        format!("{root}/{}/{}", self.api_version, self.resource)
    }
}

/// Kinds that rules read; the ClusterRole of `--rbac` has the same.
pub(crate) const KINDS: [ListedKind; 13] = [
    ListedKind::new("apps/v1", "DaemonSet", "daemonsets"),
    ListedKind::new("apps/v1", "Deployment", "deployments"),
    ListedKind::new("apps/v1", "ReplicaSet", "replicasets"),
    ListedKind::new("apps/v1", "StatefulSet", "statefulsets"),
    ListedKind::new("batch/v1", "CronJob", "cronjobs"),
    ListedKind::new("batch/v1", "Job", "jobs"),
    ListedKind::new("node.k8s.io/v1", "RuntimeClass", "runtimeclasses"),
    ListedKind::new("storage.k8s.io/v1", "StorageClass", "storageclasses"),
    ListedKind::new("v1", "ConfigMap", "configmaps"),
    ListedKind::new("v1", "PersistentVolume", "persistentvolumes"),
    ListedKind::new("v1", "Pod", "pods"),
    ListedKind::new("v1", "PodTemplate", "podtemplates"),
    ListedKind::new("v1", "ReplicationController", "replicationcontrollers"),
];

/// Objects of a cluster.
#[derive(Debug)]
pub struct ClusterSource {
    connection: ApiConnection,
}

/// Failure to list a kind.
#[derive(Debug)]
enum Failure {
    /// Answer of the API server: status and message.
    Refused(u16, String),
    /// No answer.
    Unreachable(String),
}

impl ClusterSource {
    /// Source of a connection.
    pub fn new(connection: ApiConnection) -> Self {
        Self { connection }
    }

    /// All objects of a kind.
    fn list(&self, kind: &ListedKind) -> Result<Vec<ManifestObject>, Failure> {
        let mut restarts = 0;
        let mut objects = Vec::new();
        let mut token = String::new();
        loop {
            let page = match self.page(kind, &token) {
                // The token of a list that took too long: what came before may have changed.
                Err(Failure::Refused(410, _)) if restarts < RESTARTS => {
                    restarts += 1;
                    objects.clear();
                    token.clear();
                    continue;
                }
                page => page?,
            };
            objects.extend(ManifestObject::of_answer(&page, kind.kind, kind.api_version));
            let next = page
                .pointer("/metadata/continue")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if next.is_empty() {
                return Ok(objects);
            }
            token = next.to_owned();
        }
    }

    fn page(&self, kind: &ListedKind, token: &str) -> Result<Value, Failure> {
        let limit = PAGE.to_string();
        let mut query = vec![("limit", limit.as_str())];
        if !token.is_empty() {
            query.push(("continue", token));
        }
        let (status, text) = self
            .connection
            .get(&kind.path(), &query)
            .map_err(Failure::Unreachable)?;
        let value: Value = match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(error) if status == 200 => {
                return Err(Failure::Unreachable(format!("the answer is not JSON: {error}")));
            }
            Err(_) => Value::Null,
        };
        if status == 200 {
            return Ok(value);
        }
        let message = value
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or("no reason is given");
        Err(Failure::Refused(status, message.to_owned()))
    }
}

impl ObjectSource for ClusterSource {
    fn read(&mut self) -> Result<(Vec<ManifestObject>, Vec<UnreadSource>), PreflightError> {
        let mut objects = Vec::new();
        let mut unread = Vec::new();
        for kind in &KINDS {
            let reason = match self.list(kind) {
                Ok(listed) => {
                    objects.extend(listed);
                    continue;
                }
                // A cluster without the kind has no such objects.
                Err(Failure::Refused(404, _)) => continue,
                Err(Failure::Refused(403, message)) => {
                    format!("{message} (`basalt preflight --rbac` shows what is needed)")
                }
                Err(Failure::Refused(401, message)) => return Err(self.refused(&message)),
                Err(Failure::Refused(status, message)) => format!("HTTP status {status}: {message}"),
                Err(Failure::Unreachable(reason)) => return Err(self.unreachable(kind, reason)),
            };
            unread.push(UnreadSource {
                source: kind.resource.to_owned(),
                reason,
            });
        }
        Ok((objects, unread))
    }
}

impl ClusterSource {
    fn refused(&self, message: &str) -> PreflightError {
        PreflightError::Cluster {
            what: "objects".to_owned(),
            server: self.connection.server().to_owned(),
            reason: format!("the API server does not know this user: {message}"),
            help: "renew the credentials of the kubeconfig: tokens and certificates end".to_owned(),
        }
    }

    fn unreachable(&self, kind: &ListedKind, reason: String) -> PreflightError {
        PreflightError::Cluster {
            what: kind.resource.to_owned(),
            server: self.connection.server().to_owned(),
            reason,
            help: "does `kubectl --kubeconfig FILE get nodes` work from here?".to_owned(),
        }
    }
}
