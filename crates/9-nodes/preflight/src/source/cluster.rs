//! Objects of a cluster, listed read-only and page by page. Our own client: what is needed is GET with a client certificate or
//! a token, and `ureq` with rustls is in the command anyway; kube-rs would bring an asynchronous runtime and types of all kinds.

use std::time::Duration;

use basalt_join::exchange::message_of;
use basalt_process::{ProcessError, interrupt, wait};
use serde_json::Value;

use super::connection::{PageAnswer, UnansweredRequest};
use super::{ApiConnection, ObjectSource, UnreadSource, defect};
use crate::{ManifestObject, PreflightError};

/// Objects per page.
const PAGE: usize = 500;
/// Times that a list is begun anew when its page token has expired (HTTP status 410).
const RESTARTS: usize = 3;
/// Requests for one page at most, where the API server is busy or fails.
const TRIES: u32 = 5;
/// Pause after the first of them that failed; it doubles after each.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Least and most of a pause that the API server asks for (Retry-After).
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

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
    /// Answer of the API server.
    Refused {
        status: u16,
        message: String,
        retry_after: Option<Duration>,
    },
    /// No answer.
    Unanswered(UnansweredRequest),
    /// Ctrl-C, or a signal to end.
    Interrupted(ProcessError),
}

impl Failure {
    /// Pause before a request is sent again, by the number of its failures; `None` where that would change nothing.
    fn pause(&self, failures: u32) -> Option<Duration> {
        let Self::Refused {
            status, retry_after, ..
        } = self
        else {
            return None;
        };
        let may_pass = *status == 429 || *status >= 500;
        let doubled = || FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        let pause = retry_after.unwrap_or_else(doubled);
        (may_pass && failures < TRIES).then(|| pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
    }
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
            let page = match self.page_patiently(kind, &token) {
                // The token of a list that took too long: what came before may have changed.
                Err(Failure::Refused { status: 410, .. }) if restarts < RESTARTS => {
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

    /// A page, asked for again where the API server is busy or fails.
    fn page_patiently(&self, kind: &ListedKind, token: &str) -> Result<Value, Failure> {
        let mut failures = 0;
        loop {
            interrupt::check().map_err(Failure::Interrupted)?;
            let answer = self.page(kind, token);
            failures += 1;
            let pause = answer.as_ref().err().and_then(|failure| failure.pause(failures));
            match pause {
                Some(pause) => wait::sleep(pause).map_err(Failure::Interrupted)?,
                None => return answer,
            }
        }
    }

    fn page(&self, kind: &ListedKind, token: &str) -> Result<Value, Failure> {
        let limit = PAGE.to_string();
        let mut query = vec![("limit", limit.as_str())];
        if !token.is_empty() {
            query.push(("continue", token));
        }
        let answer = self.connection.get(&kind.path(), &query);
        let PageAnswer {
            status,
            retry_after,
            text,
        } = answer.map_err(Failure::Unanswered)?;
        let value: Value = match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(error) if status == 200 => {
                let reason = format!("the answer is not JSON: {error}");
                return Err(Failure::Unanswered(UnansweredRequest::new(reason)));
            }
            Err(_) => Value::Null,
        };
        if status == 200 {
            return Ok(value);
        }
        Err(Failure::Refused {
            status,
            message: message_of(&value).to_owned(),
            retry_after,
        })
    }
}

impl ObjectSource for ClusterSource {
    fn read(&mut self) -> Result<(Vec<ManifestObject>, Vec<UnreadSource>), PreflightError> {
        let mut objects = Vec::new();
        let mut unread = Vec::new();
        for kind in &KINDS {
            let reason = match self.list(kind) {
                Ok(listed) => {
                    for object in listed {
                        match defect::without_list(&object) {
                            Some(defect) => unread.push(UnreadSource {
                                source: kind.resource.to_owned(),
                                reason: defect.reason,
                            }),
                            None => objects.push(object),
                        }
                    }
                    continue;
                }
                // A cluster without the kind has no such objects.
                Err(Failure::Refused { status: 404, .. }) => continue,
                Err(Failure::Refused {
                    status: 403, message, ..
                }) => {
                    format!("{message} (`basalt preflight --rbac` shows what is needed)")
                }
                Err(Failure::Refused {
                    status: 401, message, ..
                }) => return Err(self.refused(&message)),
                Err(Failure::Refused { status, message, .. }) => format!("HTTP status {status}: {message}"),
                Err(Failure::Unanswered(request)) => return Err(self.unanswered(kind, request)),
                Err(Failure::Interrupted(error)) => return Err(error.into()),
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

    fn unanswered(&self, kind: &ListedKind, request: UnansweredRequest) -> PreflightError {
        PreflightError::Cluster {
            what: kind.resource.to_owned(),
            server: self.connection.server().to_owned(),
            reason: request.reason,
            help: request.help.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_asked_for_again_and_not_for_ever() {
        let seconds = |seconds: f64| Some(Duration::from_secs_f64(seconds));
        // Status, Retry-After, failures, and the pause.
        for (status, wish, failures, expected) in [
            (429, None, 1, seconds(0.5)),
            (503, None, 2, seconds(1.0)),
            (500, None, 4, seconds(4.0)),
            (500, None, 5, None),
            (429, Some(7), 1, seconds(7.0)),
            (429, Some(7), 5, None),
            (429, Some(0), 1, seconds(0.1)),
            (503, Some(3600), 1, seconds(30.0)),
            (403, Some(1), 1, None),
            (410, None, 1, None),
        ] {
            let failure = Failure::Refused {
                status,
                message: String::new(),
                retry_after: wish.map(Duration::from_secs),
            };
            assert_eq!(failure.pause(failures), expected, "{status}, {wish:?}, {failures}");
        }
        assert_eq!(
            Failure::Unanswered(UnansweredRequest::new(String::new())).pause(1),
            None
        );
    }
}
