//! Carrying out of a join that asks the cluster for more than a certificate.
//!
//! ```text
//! JoinPlan ──▶ JoinState ──Discover──▶ cluster-info ──▶ TrustedCluster ──Request──▶ kubelet-config ──▶ JoinRecord
//!                 ▲  │
//!                 └──┴── what went wrong, and a pause (basalt_join::state)
//! ```
//!
//! The state is in `/run` after each step, for `basalt-node status` and the console. The certificate is requested when
//! the record is there ([`crate::client_certificate`]).

use std::path::Path;
use std::time::Duration;

use basalt_join::access::Credentials;
use basalt_join::authorities::ClusterAuthorities;
use basalt_join::cluster_info::TrustedCluster;
use basalt_join::exchange;
use basalt_join::existing_node::{self, MachineIdentity, NameVerdict};
use basalt_join::request::TokenDiscovery;
use basalt_join::skew::KubernetesVersion;
use basalt_join::state::{JoinAction, JoinEvent, JoinState, Refusal, Transition};

use crate::apply::{self, ApplyError, below};
use crate::cluster_requests::{ClusterRequests, RequestError};
use crate::join_plan::{JoinPlan, PlannedTrust, pin_set};
use crate::join_record::JoinRecord;
use crate::kubelet_version::KubeletVersionError;
use crate::plan::PlannedFile;
use crate::{machine_id, paths};

/// Clock and pauses of a join; tests have their own.
pub trait JoinClock {
    /// Time since boot.
    fn now(&self) -> Duration;
    /// Waits.
    fn pause(&self, time: Duration);
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct BootClock;

impl JoinClock for BootClock {
    fn now(&self) -> Duration {
        let uptime = fs_err::read_to_string("/proc/uptime").unwrap_or_default();
        let seconds = uptime.split('.').next().and_then(|seconds| seconds.parse().ok());
        Duration::from_secs(seconds.unwrap_or_default())
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// A join that has not come to its end.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum JoinError {
    /// Not yet, or not at all.
    #[error("this node has not joined: {0}")]
    #[diagnostic(help("`basalt-node status` and the console show the same; the kubelet's unit tries again"))]
    NotYet(JoinState),
    /// The kubelet does not say which versions of control planes it goes with.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Kubelet(#[from] KubeletVersionError),
    /// A file could not be written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Write(#[from] ApplyError),
}

/// A join, with what it needs to know of its machine.
#[derive(Debug)]
pub struct Join<'j> {
    /// Root of the machine.
    pub root: &'j Path,
    /// Plan of the join.
    pub plan: &'j JoinPlan,
    /// Version of the kubelet in this image.
    pub kubelet: KubernetesVersion,
    /// Identity of the machine, for a node of the same name.
    pub machine: MachineIdentity,
}

impl Join<'_> {
    /// Asks the cluster, again and again for as long as `patience`, and returns what was found.
    ///
    /// # Errors
    /// When the cluster is not found in that time, or refuses the node.
    pub fn run(&self, clock: &impl JoinClock, patience: Duration) -> Result<JoinRecord, JoinError> {
        let end = clock.now() + patience;
        let mut next = self.resume(clock.now());
        let mut cluster = None;
        loop {
            self.write_state(&next.state)?;
            if next.action == JoinAction::Rest || clock.now() + next.after > end {
                return Err(JoinError::NotYet(next.state));
            }
            clock.pause(next.after);
            // A pause of a refusal is over, and the state has to hear of it.
            if matches!(next.state, JoinState::Refused { .. }) {
                next = next.state.on(JoinEvent::TimePassed, clock.now());
                continue;
            }
            let event = match (&next.action, &cluster) {
                (JoinAction::Discover, _) | (_, None) => match self.discover() {
                    Ok(found) => {
                        cluster = Some(found);
                        JoinEvent::Trusted
                    }
                    Err(error) => self.discovery_failed(error),
                },
                (_, Some(cluster)) => match self.ask(cluster) {
                    Ok(record) => {
                        record.write(self.root)?;
                        return Ok(record);
                    }
                    Err(event) => event,
                },
            };
            next = next.state.on(event, clock.now());
        }
    }

    /// The step to go on with after an earlier run of this boot, whose refusal may still hold.
    fn resume(&self, now: Duration) -> Transition {
        let id = self.plan.token_id().to_owned();
        match read_state(self.root) {
            // A token that was refused is not tried again.
            Some(
                refused @ JoinState::Refused {
                    refusal: Refusal::Token { .. },
                    ..
                },
            ) => refused.on(JoinEvent::TokenGiven { id }, now),
            // Another server may answer at the address by now.
            Some(JoinState::Refused {
                refusal: Refusal::Untrusted(_),
                ..
            }) => JoinState::begin(now),
            Some(refused @ JoinState::Refused { .. }) => refused.on(JoinEvent::TimePassed, now),
            Some(JoinState::Discovering(tries)) => Transition {
                state: JoinState::Discovering(tries),
                action: JoinAction::Discover,
                after: Duration::ZERO,
            },
            _ => JoinState::begin(now),
        }
    }

    fn write_state(&self, state: &JoinState) -> Result<(), ApplyError> {
        let content = serde_json::to_string(state).unwrap_or_default() + "\n";
        apply::write(self.root, &PlannedFile::public(paths::JOIN_STATE, content))
    }

    fn discover(&self) -> Result<TrustedCluster, RequestError> {
        let endpoint = self.plan.endpoint.parse();
        let endpoint = endpoint.map_err(|_| RequestError::Plan("the endpoint".to_owned()))?;
        match &self.plan.trust {
            PlannedTrust::Authorities(pem) => {
                let authorities = ClusterAuthorities::from_pem(pem);
                Ok(TrustedCluster {
                    endpoint,
                    authorities: authorities.map_err(|error| RequestError::Plan(error.to_string()))?,
                    unpinned: Vec::new(),
                })
            }
            PlannedTrust::Pins { pins, token } => {
                let token = token.parse().map_err(|_| RequestError::Plan("the token".to_owned()))?;
                let pins = pin_set(pins);
                let discovery = TokenDiscovery { endpoint, token, pins };
                exchange::discover(&ClusterRequests, &discovery)
            }
        }
    }

    /// Asks a trusted cluster what the node needs to know before its kubelet starts.
    fn ask(&self, cluster: &TrustedCluster) -> Result<JoinRecord, JoinEvent> {
        let credentials = self.plan.credentials();
        let failed = |error| self.question_failed(error);
        exchange::check_skew(&ClusterRequests, cluster, &credentials, self.kubelet).map_err(failed)?;
        self.check_name(cluster, &credentials)?;
        let settings = match self.plan.asks_for_settings() {
            true => Some(exchange::settings(&ClusterRequests, cluster, &credentials, self.kubelet).map_err(failed)?),
            false => None,
        };
        Ok(JoinRecord {
            asked: self.plan.endpoint.clone(),
            server: cluster.endpoint.to_string(),
            authorities: cluster.authorities.pem().to_owned(),
            settings,
        })
    }

    /// Checks that no other machine has the name. A cluster that does not say passes: kubeadm's own rules let it say.
    fn check_name(&self, cluster: &TrustedCluster, credentials: &Credentials) -> Result<(), JoinEvent> {
        use exchange::ApiRequests as _;
        let path = existing_node::path(&self.plan.hostname);
        let authorities = Some(&cluster.authorities);
        let answer = match ClusterRequests.get(&cluster.endpoint, authorities, credentials, &path) {
            Ok(answer) => answer,
            Err(error) if ClusterRequests::is_missing(&error) => return Ok(()),
            Err(error) => return Err(self.question_failed(error)),
        };
        match existing_node::judge(Some(&answer), &self.machine) {
            Ok(NameVerdict::Taken { other }) => Err(JoinEvent::NameTaken {
                name: self.plan.hostname.clone(),
                other,
            }),
            _ => Ok(()),
        }
    }

    /// Meaning of a failure of discovery.
    fn discovery_failed(&self, error: RequestError) -> JoinEvent {
        error.of_discovery(&self.plan.endpoint)
    }

    /// Meaning of a failure of a question with the token.
    fn question_failed(&self, error: RequestError) -> JoinEvent {
        error.of_token(self.plan.token_id())
    }
}

/// Settings of the cluster as they are now, asked for with the node's own certificate.
///
/// # Errors
/// When there is no answer, in words.
pub fn refresh(root: &Path, record: &JoinRecord, kubelet: KubernetesVersion) -> Result<JoinRecord, String> {
    let pem = fs_err::read_to_string(below(root, paths::CLIENT_CERTIFICATE)).map_err(|error| error.to_string())?;
    // Both are in one file.
    let credentials = Credentials::Certificate {
        certificate: pem,
        key: String::new(),
    };
    let cluster = record.cluster().ok_or("the record of the join cannot be read")?;
    let settings = exchange::settings(&ClusterRequests, &cluster, &credentials, kubelet);
    let settings = settings.map_err(|error| error.to_string())?;
    Ok(JoinRecord {
        settings: Some(settings),
        ..record.clone()
    })
}

/// State of the join in this boot, if it has one to tell of.
pub fn read_state(root: &Path) -> Option<JoinState> {
    serde_json::from_slice(&fs_err::read(below(root, paths::JOIN_STATE)).ok()?).ok()
}

/// Identity of a machine as its kubelet reports it.
pub fn machine_identity(root: &Path, provider_id: Option<String>) -> MachineIdentity {
    let line = |path: &str| {
        let text = fs_err::read_to_string(below(root, path)).unwrap_or_default();
        text.trim().to_owned()
    };
    MachineIdentity {
        machine_id: line(paths::MACHINE_ID),
        // One that many boards have makes no two of them the same machine.
        system_uuid: machine_id::firmware_uuid(root),
        provider_id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_that_many_boards_have_is_no_identity() {
        let root = tempfile::tempdir().unwrap();
        let file = below(root.path(), "/sys/class/dmi/id/product_uuid");
        fs_err::create_dir_all(file.parent().unwrap()).unwrap();
        let unique = "EC2A1B3C-89AB-CDEF-0123-456789ABCDEF";
        for (uuid, expected) in [
            ("03000200-0400-0500-0006-000700080009", ""),
            ("00000000-0000-0000-0000-000000000000", ""),
            (unique, unique),
        ] {
            fs_err::write(&file, format!("{uuid}\n")).unwrap();
            assert_eq!(machine_identity(root.path(), None).system_uuid, expected, "{uuid}");
        }
    }
}
