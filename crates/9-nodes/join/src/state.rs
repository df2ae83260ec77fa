//! State machine of a join, for the agent: pure, so that it can be tested by table.
//!
//! ```text
//!              trusted                requested                     issued
//! Discovering ────────▶ Bootstrapping ─────────▶ WaitingForApproval ──────▶ Joined
//!      ▲  │                   │                          │                    │
//!      │  └───────────────────┴────── refused ───────────┘                    │
//!      │                               │                                      │
//!      ├── another token, or a while ──┘                                      │
//!      └───────────────────── certificate rejected ───────────────────────────┘
//! ```
//!
//! Time is given by whoever calls: the time since boot, which no time server moves.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Time that a cluster has to sign `cluster-info` with a new token, as for kubeadm.
pub const SIGNING: Duration = Duration::from_secs(300);

/// Time for which an API server has to refuse a token: one that has just started, or was not told yet of a token that was just
/// made, answers 401 for a moment.
pub const REFUSAL: Duration = Duration::from_secs(20);

/// Shortest and longest time between two tries.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);

/// Tries at the shortest distance, before distances double.
const QUICK_TRIES: u32 = 3;

/// Tries of one step.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tries {
    /// Time since boot at which the step began.
    pub since: Duration,
    /// Tries that failed.
    pub failed: u32,
    /// Reason of the last failure.
    pub last: Option<String>,
}

/// State of a join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JoinState {
    /// `cluster-info` is read and verified.
    Discovering(Tries),
    /// The API server is trusted; a certificate is asked for with the token.
    Bootstrapping(Tries),
    /// The certificate is asked for; the cluster has to approve.
    WaitingForApproval {
        /// Name of the CertificateSigningRequest.
        request: String,
        /// Tries to see what became of it.
        tries: Tries,
    },
    /// The node has its certificate.
    Joined,
    /// The cluster or the node said no.
    Refused {
        /// Reason.
        refusal: Refusal,
        /// Time since boot.
        at: Duration,
    },
}

/// Reason for which a node does not join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Refusal {
    /// The token has expired, or was never one of this cluster.
    Token {
        /// Public part of the token.
        id: String,
    },
    /// The API server cannot be trusted.
    Untrusted(String),
    /// A Ready node of another machine has the name.
    NameTaken {
        /// Name.
        name: String,
        /// Identity of the other machine.
        other: String,
    },
    /// The versions do not go together; in a sentence.
    VersionSkew(String),
    /// Somebody denied the certificate.
    Denied(String),
    /// The token may not ask for certificates.
    Forbidden(String),
    /// A ConfigMap that a join needs is not there, or cannot be used; in a sentence.
    Unusable(String),
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinEvent {
    /// `cluster-info` was verified.
    Trusted,
    /// `cluster-info` without a signature by the token, yet or any more.
    Unsigned {
        /// Public part of the token.
        id: String,
    },
    /// An API server that cannot be trusted.
    Untrusted(String),
    /// No answer, or one that says to try again (429, 5xx).
    Unreachable(String),
    /// The node's name belongs to another machine.
    NameTaken {
        /// Name.
        name: String,
        /// Identity of the other machine.
        other: String,
    },
    /// The skew policy forbids the join.
    VersionSkew(String),
    /// The token is not accepted (401).
    TokenRejected {
        /// Public part of the token.
        id: String,
    },
    /// The token has no right to do so (403).
    Forbidden(String),
    /// A ConfigMap that a join needs is not there, or cannot be used.
    Unusable(String),
    /// A CertificateSigningRequest was made.
    Requested {
        /// Name of the request.
        request: String,
    },
    /// A request that waits for approval still.
    Pending,
    /// A request that is gone: the cluster removes those that nobody approves.
    RequestGone,
    /// A request that was denied, or whose signer failed.
    Denied(String),
    /// The certificate is there.
    Issued,
    /// The node's certificate is not accepted any more (401).
    CertificateRejected,
    /// The NodeConfig gives a token.
    TokenGiven {
        /// Public part of the token.
        id: String,
    },
    /// The time of the last action has come.
    TimePassed,
}

/// Next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinAction {
    /// Read and verify `cluster-info`.
    Discover,
    /// Ask for a certificate.
    Request,
    /// See what became of the request.
    Look,
    /// Nothing, until something happens.
    Rest,
}

/// State after an event, the next action, and the time until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// State.
    pub state: JoinState,
    /// Next thing to do.
    pub action: JoinAction,
    /// Time to wait before.
    pub after: Duration,
}

impl JoinState {
    /// First state of a join.
    pub fn begin(now: Duration) -> Transition {
        at_once(Self::Discovering(Tries::at(now)), JoinAction::Discover)
    }

    /// State after an event. What an event means nothing for stays as it is.
    pub fn on(self, event: JoinEvent, now: Duration) -> Transition {
        match (self, event) {
            (Self::Refused { refusal, at }, event) => refused(refusal, at, event, now),
            (Self::Joined, JoinEvent::CertificateRejected) => Self::begin(now),
            (Self::Joined, _) => rest(Self::Joined),
            (_, JoinEvent::Issued) => rest(Self::Joined),
            (_, JoinEvent::Untrusted(why)) => refuse(Refusal::Untrusted(why), now),
            (_, JoinEvent::NameTaken { name, other }) => refuse(Refusal::NameTaken { name, other }, now),
            (_, JoinEvent::VersionSkew(sentence)) => refuse(Refusal::VersionSkew(sentence), now),
            (Self::Bootstrapping(tries), JoinEvent::TokenRejected { id })
                if now.saturating_sub(tries.since) < REFUSAL =>
            {
                let why = format!("the API server does not accept the token {id}");
                again(Self::Bootstrapping, tries.failed(why), JoinAction::Request)
            }
            (_, JoinEvent::TokenRejected { id }) => refuse(Refusal::Token { id }, now),
            (_, JoinEvent::Forbidden(why)) => refuse(Refusal::Forbidden(why), now),
            (_, JoinEvent::Unusable(why)) => refuse(Refusal::Unusable(why), now),
            (_, JoinEvent::Denied(why)) => refuse(Refusal::Denied(why), now),
            (Self::Discovering(tries), event) => discovering(tries, event, now),
            (Self::Bootstrapping(tries), event) => bootstrapping(tries, event, now),
            (Self::WaitingForApproval { request, tries }, event) => waiting(request, tries, event, now),
        }
    }
}

impl Tries {
    fn at(now: Duration) -> Self {
        Self {
            since: now,
            ..Self::default()
        }
    }

    fn failed(self, why: String) -> Self {
        Self {
            failed: self.failed.saturating_add(1),
            last: Some(why),
            ..self
        }
    }

    /// Time until the next try.
    fn delay(&self) -> Duration {
        let doublings = self.failed.saturating_sub(QUICK_TRIES).min(4);
        SHORTEST.saturating_mul(1 << doublings).min(LONGEST)
    }
}

impl Refusal {
    /// Time after which the cluster may have changed its mind; `None` when only another NodeConfig helps.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NameTaken { .. } | Self::Forbidden(_) | Self::Unusable(_) => Some(LONGEST),
            Self::VersionSkew(_) => Some(SIGNING),
            Self::Token { .. } | Self::Untrusted(_) | Self::Denied(_) => None,
        }
    }
}

fn at_once(state: JoinState, action: JoinAction) -> Transition {
    Transition {
        state,
        action,
        after: Duration::ZERO,
    }
}

fn rest(state: JoinState) -> Transition {
    at_once(state, JoinAction::Rest)
}

fn refuse(refusal: Refusal, now: Duration) -> Transition {
    let after = refusal.retry_after();
    Transition {
        state: JoinState::Refused { refusal, at: now },
        action: if after.is_some() {
            JoinAction::Discover
        } else {
            JoinAction::Rest
        },
        after: after.unwrap_or_default(),
    }
}

fn refused(refusal: Refusal, at: Duration, event: JoinEvent, now: Duration) -> Transition {
    let is_other_token = match (&refusal, &event) {
        (Refusal::Token { id: refused }, JoinEvent::TokenGiven { id }) => refused != id,
        (_, JoinEvent::TokenGiven { .. }) => true,
        _ => false,
    };
    let retry = refusal.retry_after();
    let is_time = event == JoinEvent::TimePassed && retry.is_some_and(|retry| now.saturating_sub(at) >= retry);
    if is_other_token || is_time {
        return JoinState::begin(now);
    }
    Transition {
        action: if retry.is_some() {
            JoinAction::Discover
        } else {
            JoinAction::Rest
        },
        after: retry.map_or(Duration::ZERO, |retry| retry.saturating_sub(now.saturating_sub(at))),
        state: JoinState::Refused { refusal, at },
    }
}

fn discovering(tries: Tries, event: JoinEvent, now: Duration) -> Transition {
    match event {
        JoinEvent::Trusted => at_once(JoinState::Bootstrapping(Tries::at(now)), JoinAction::Request),
        JoinEvent::Unsigned { id } if now.saturating_sub(tries.since) >= SIGNING => refuse(Refusal::Token { id }, now),
        JoinEvent::Unsigned { id } => again(
            JoinState::Discovering,
            tries.failed(format!("cluster-info is not signed by the token {id}")),
            JoinAction::Discover,
        ),
        // The time in which a cluster has to sign begins with its first answer.
        JoinEvent::Unreachable(why) => again(
            JoinState::Discovering,
            Tries {
                since: now,
                ..tries.failed(why)
            },
            JoinAction::Discover,
        ),
        JoinEvent::TokenGiven { .. } => JoinState::begin(now),
        _ => at_once(JoinState::Discovering(tries), JoinAction::Discover),
    }
}

fn bootstrapping(tries: Tries, event: JoinEvent, now: Duration) -> Transition {
    match event {
        JoinEvent::Requested { request } => Transition {
            state: JoinState::WaitingForApproval {
                request,
                tries: Tries::at(now),
            },
            action: JoinAction::Look,
            after: SHORTEST,
        },
        JoinEvent::Unreachable(why) => again(JoinState::Bootstrapping, tries.failed(why), JoinAction::Request),
        // The token of another NodeConfig may be of another cluster.
        JoinEvent::TokenGiven { .. } | JoinEvent::Unsigned { .. } => JoinState::begin(now),
        _ => at_once(JoinState::Bootstrapping(tries), JoinAction::Request),
    }
}

fn waiting(request: String, tries: Tries, event: JoinEvent, now: Duration) -> Transition {
    let keep = |tries| JoinState::WaitingForApproval { request, tries };
    match event {
        JoinEvent::Unreachable(why) => again(keep, tries.failed(why), JoinAction::Look),
        JoinEvent::Pending => again(
            keep,
            tries.failed("nobody has approved it yet".to_owned()),
            JoinAction::Look,
        ),
        JoinEvent::RequestGone => at_once(JoinState::Bootstrapping(Tries::at(now)), JoinAction::Request),
        JoinEvent::TokenGiven { .. } => JoinState::begin(now),
        _ => at_once(keep(tries), JoinAction::Look),
    }
}

fn again(state: impl FnOnce(Tries) -> JoinState, tries: Tries, action: JoinAction) -> Transition {
    Transition {
        after: tries.delay(),
        action,
        state: state(tries),
    }
}

/// For `basalt-node status` and the console: one line, with what to do.
impl fmt::Display for JoinState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tries = |f: &mut fmt::Formatter<'_>, tries: &Tries| match (&tries.last, tries.failed) {
            (Some(last), failed) => write!(f, " ({failed} tries failed, the last one: {last})"),
            (None, _) => Ok(()),
        };
        match self {
            Self::Discovering(of) => {
                f.write_str("asking the API server for cluster-info")?;
                tries(f, of)
            }
            Self::Bootstrapping(of) => {
                f.write_str("asking the API server for a certificate")?;
                tries(f, of)
            }
            Self::WaitingForApproval { request, tries: of } => {
                write!(
                    f,
                    "waiting for approval of the certificate: `kubectl certificate approve {request}`"
                )?;
                tries(f, of)
            }
            Self::Joined => f.write_str("joined"),
            Self::Refused { refusal, .. } => write!(f, "refused: {refusal}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { id } => write!(
                f,
                "the token {id} has expired, or is of another cluster; make one with `kubeadm token create` and give the node a \
                 NodeConfig with it"
            ),
            Self::Untrusted(why) => write!(f, "the API server cannot be trusted: {why}"),
            Self::NameTaken { name, other } => write!(
                f,
                "the cluster has a Ready node called {name}, of another machine ({other}); give this one another hostname, or run \
                 `kubectl delete node {name}`"
            ),
            Self::VersionSkew(sentence) | Self::Unusable(sentence) => f.write_str(sentence),
            Self::Denied(why) => write!(
                f,
                "the certificate was denied: {why}; give the node a NodeConfig with a new token"
            ),
            Self::Forbidden(why) => write!(
                f,
                "the token may not do so: {why}; on a control-plane node, `kubeadm init phase bootstrap-token` makes the rules"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
