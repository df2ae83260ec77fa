//! Answers of the API server to an eviction, told apart.
//!
//! A refusal by a PodDisruptionBudget and one by priority and fairness are both 429; only the first has a cause
//! `DisruptionBudget`, and only that one says something about the pod. Pure: the request is made in [`api`](crate::api).

use std::fmt;
use std::time::Duration;

use kube::core::Status;
use serde::Serialize;

/// Cause in `details.causes` of a refusal by a budget.
const BUDGET_CAUSE: &str = "DisruptionBudget";

/// Pause after a 429 that names none.
const DEFAULT_RETRY: Duration = Duration::from_secs(5);

/// Longest pause that is obeyed, so that a wrong header cannot hold up a drain.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Most characters of a message that are kept: it goes into an annotation, and a webhook may say anything.
const LONGEST_MESSAGE: usize = 500;

/// Answer of the API server to an eviction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "answer", rename_all = "camelCase")]
pub enum EvictionAnswer {
    /// The pod is being deleted; of a dry run: it would be.
    Accepted,
    /// There is no such pod any more: gone, or another one of the same name.
    Gone,
    /// A PodDisruptionBudget allows no eviction now.
    Budget {
        /// Message of the API server.
        message: String,
    },
    /// Several budgets cover the pod, or the budget is broken: it stays refused until somebody changes the budgets.
    Misconfigured {
        /// Message of the API server.
        message: String,
    },
    /// The API server is busy (priority and fairness), which says nothing about the pod.
    Throttled {
        /// Pause that the API server asks for.
        #[serde(skip)]
        retry_after: Duration,
    },
    /// The user may not evict, or an admission controller does not want it.
    Forbidden {
        /// Message of the API server.
        message: String,
    },
    /// The API server failed, or gave an answer that is not known here.
    Failed {
        /// HTTP status.
        code: u16,
        /// Message of the API server.
        message: String,
    },
}

impl EvictionAnswer {
    /// Reads an answer: the HTTP status, the header `Retry-After`, and the body.
    pub fn read(code: u16, retry_after: Option<&str>, body: &[u8]) -> Self {
        let status: Option<Status> = serde_json::from_slice(body).ok();
        let details = status.as_ref().and_then(|status| status.details.as_ref());
        let mut causes = details.into_iter().flat_map(|details| &details.causes);
        let cause = causes.find(|cause| cause.reason == BUDGET_CAUSE);
        let by_budget = cause.is_some();
        // The cause names the budget; the message of the status does not.
        let cause = cause.map(|cause| cause.message.clone()).filter(|text| !text.is_empty());
        let message = cause.unwrap_or_else(|| match &status {
            Some(status) => status.message.clone(),
            None => String::from_utf8_lossy(body).trim().to_owned(),
        });
        let message: String = message.chars().take(LONGEST_MESSAGE).collect();
        match code {
            200..=299 => Self::Accepted,
            // 409: the uid of the precondition is another pod's.
            404 | 409 => Self::Gone,
            429 if by_budget => Self::Budget { message },
            429 => Self::Throttled {
                retry_after: pause(retry_after, status.as_ref()),
            },
            403 if by_budget => Self::Misconfigured { message },
            403 => Self::Forbidden { message },
            500 if message.contains("more than one PodDisruptionBudget") => Self::Misconfigured { message },
            _ => Self::Failed { code, message },
        }
    }

    /// Returns `true` if the pod may not go, as far as the API server is concerned.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Budget { .. } | Self::Misconfigured { .. } | Self::Forbidden { .. }
        )
    }
}

/// Pause before another try, from the header or from the status.
fn pause(header: Option<&str>, status: Option<&Status>) -> Duration {
    let header = header.and_then(|text| text.trim().parse::<u64>().ok());
    let details = status.and_then(|status| status.details.as_ref());
    let seconds = header.or_else(|| details.map(|details| u64::from(details.retry_after_seconds)));
    match seconds {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds).min(LONGEST_RETRY),
        _ => DEFAULT_RETRY,
    }
}

impl fmt::Display for EvictionAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("may go"),
            Self::Gone => f.write_str("is gone"),
            Self::Budget { message } => write!(f, "a disruption budget allows no eviction now: {message}"),
            Self::Misconfigured { message } => write!(f, "its disruption budgets have to be changed first: {message}"),
            Self::Throttled { .. } => f.write_str("the API server is busy"),
            Self::Forbidden { message } => write!(f, "the eviction is forbidden: {message}"),
            Self::Failed { code, message } => write!(f, "the API server answers {code}: {message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(code: u16, message: &str, causes: serde_json::Value) -> Vec<u8> {
        let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "message": message, "reason": "TooManyRequests", "details": { "causes": causes } });
        serde_json::to_vec(&status).expect("JSON")
    }

    #[test]
    fn refusals_by_a_budget_have_its_cause() {
        let cause = json!([{ "reason": "DisruptionBudget", "message": "The disruption budget web needs 2 healthy pods and has 2 currently" }]);
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        let expected = "The disruption budget web needs 2 healthy pods and has 2 currently".to_owned();
        let answer = EvictionAnswer::read(429, None, &status(429, message, cause.clone()));
        assert_eq!(
            answer,
            EvictionAnswer::Budget {
                message: expected.clone()
            }
        );
        let answer = EvictionAnswer::read(403, None, &status(403, message, cause));
        assert_eq!(answer, EvictionAnswer::Misconfigured { message: expected });
    }

    #[test]
    fn a_busy_server_says_when_to_come_again() {
        let busy = |header, body: &[u8]| EvictionAnswer::read(429, header, body);
        let after = |seconds| EvictionAnswer::Throttled {
            retry_after: Duration::from_secs(seconds),
        };
        // Priority and fairness answers in plain text.
        assert_eq!(busy(Some("7"), b"Too many requests, please try again later."), after(7));
        assert_eq!(busy(None, b"Too many requests"), after(5));
        assert_eq!(busy(Some("soon"), b""), after(5));
        assert_eq!(busy(Some("86400"), b""), after(60));
        let body = json!({ "status": "Failure", "code": 429, "details": { "retryAfterSeconds": 3 } });
        assert_eq!(busy(None, body.to_string().as_bytes()), after(3));
    }

    #[test]
    fn other_answers_are_told_apart() {
        let several =
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        let read = |code, message| EvictionAnswer::read(code, None, &status(code, message, json!([])));
        assert!(matches!(read(500, several), EvictionAnswer::Misconfigured { .. }));
        assert!(matches!(
            read(500, "etcd is away"),
            EvictionAnswer::Failed { code: 500, .. }
        ));
        assert!(matches!(read(403, "no"), EvictionAnswer::Forbidden { .. }));
        assert_eq!(read(404, "not found"), EvictionAnswer::Gone);
        assert_eq!(read(409, "the UID in the precondition"), EvictionAnswer::Gone);
        assert_eq!(EvictionAnswer::read(201, None, b"{}"), EvictionAnswer::Accepted);
        let long = EvictionAnswer::read(403, None, &status(403, &"é".repeat(300_000), json!([])));
        assert!(long.to_string().len() < 1100);
        let html = EvictionAnswer::read(502, None, b"<html>bad gateway</html>\n");
        assert_eq!(html.to_string(), "the API server answers 502: <html>bad gateway</html>");
    }
}
