//! Observation of one node for the state machine: only what its phase asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::api::ClusterApi;
use crate::clock::MigrationClock;
use crate::cluster_api;
use crate::drain::judge;
use crate::error::MigrateError;
use crate::facts::{
    DrainingPod, MigratedNode, MigrationFacts, MigrationPolicy, ProbeState, RetirementMode, RetirementState,
    WorkloadState,
};
use crate::model::{ObservedCluster, ObservedNode};
use crate::probe::ObservedProbe;
use crate::record::{MigrationPhase, MigrationRecord, WorkloadReference};
use crate::replacement;

/// Time for which the volumes of the cluster are not read again.
const VOLUMES_FRESH: Duration = Duration::from_secs(60);

/// Objects that are read once for all nodes.
pub(crate) struct Overview {
    /// All nodes.
    pub(crate) nodes: Vec<ObservedNode>,
    /// Names of those that are replacements.
    pub(crate) replacements: BTreeSet<String>,
    /// All probe pods.
    pub(crate) probes: Vec<ObservedProbe>,
}

impl Overview {
    pub(crate) async fn read(
        api: &ClusterApi,
        namespace: &str,
        replacement_selector: Option<&str>,
    ) -> Result<Self, MigrateError> {
        let nodes = api.nodes(None).await?;
        Ok(Self {
            replacements: replacement::names(api, &nodes, replacement_selector).await?,
            nodes,
            probes: crate::probe::list(api, namespace).await?,
        })
    }

    pub(crate) fn node(&self, name: &str) -> Option<&ObservedNode> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// Probe pod of a node that is migrated, unless it is being deleted.
    pub(crate) fn probe(&self, migrated: &str) -> Option<&ObservedProbe> {
        let mut probes = self.probes.iter();
        probes.find(|probe| probe.migrated == migrated && probe.state != ProbeState::Ending)
    }

    /// State of the probe pod of a node that is migrated.
    fn probe_state(&self, migrated: &str) -> ProbeState {
        let ending = || self.probes.iter().find(|probe| probe.migrated == migrated);
        let probe = self.probe(migrated).or_else(ending);
        probe.map_or(ProbeState::Absent, |probe| probe.state.clone())
    }
}

/// Ends of commands of this run for a node.
#[derive(Debug, Clone, Default)]
pub(crate) struct CommandEnds {
    /// Failure of the one that makes the replacement.
    pub(crate) request_failure: Option<String>,
    /// End of the one that ends the machine.
    pub(crate) retirement: Option<Result<(), String>>,
}

/// Reader of facts. What it keeps never changes (the owner of a ReplicaSet) or costs nothing when it is old.
pub(crate) struct Inspector {
    pub(crate) api: ClusterApi,
    /// Cluster with the objects of Cluster API.
    management: ClusterApi,
    pub(crate) clock: MigrationClock,
    /// Workload of a controller, by the controller's unique identifier.
    owners: BTreeMap<String, WorkloadReference>,
    volumes: Option<(Instant, ObservedCluster)>,
}

impl Inspector {
    pub(crate) fn new(api: &ClusterApi, management: &ClusterApi, clock: &MigrationClock) -> Self {
        Self {
            api: api.clone(),
            management: management.clone(),
            clock: clock.clone(),
            owners: BTreeMap::new(),
            volumes: None,
        }
    }

    /// Gathers the facts about a node.
    pub(crate) async fn facts(
        &mut self,
        policy: &MigrationPolicy,
        overview: &Overview,
        migrated: &[String],
        name: &str,
        ends: CommandEnds,
    ) -> Result<MigrationFacts, MigrateError> {
        let node = overview.node(name);
        let record = match node {
            Some(node) => MigrationRecord::read(name, &node.annotations)?,
            None => None,
        };
        let phase = record.as_ref().map(|record| record.phase);
        let pods = match phase {
            Some(MigrationPhase::Evicting | MigrationPhase::Retiring) => self.pods(policy, name).await?,
            _ => Vec::new(),
        };
        let workloads = match phase {
            Some(MigrationPhase::Evicting | MigrationPhase::Settling | MigrationPhase::Soaking) => {
                self.workloads(record.as_ref(), &pods).await?
            }
            _ => Vec::new(),
        };
        let retirement = match (phase, node) {
            (Some(MigrationPhase::Retiring), Some(node)) => self.retirement(policy, node, ends.retirement).await?,
            _ => RetirementState::Open,
        };
        Ok(MigrationFacts {
            now: self.clock.now(),
            name: name.to_owned(),
            node: node.map(|node| MigratedNode {
                unschedulable: node.unschedulable,
                readiness: node.readiness,
                is_replaced_in_place: overview.replacements.contains(name),
            }),
            record,
            candidates: replacement::candidates(&overview.nodes, &overview.replacements, migrated),
            probe: overview.probe_state(name),
            request_failure: ends.request_failure,
            pods,
            workloads,
            retirement,
        })
    }

    /// End of a node's machine.
    async fn retirement(
        &self,
        policy: &MigrationPolicy,
        node: &ObservedNode,
        command: Option<Result<(), String>>,
    ) -> Result<RetirementState, MigrateError> {
        Ok(match (policy.retirement, command) {
            (RetirementMode::ClusterApi, _) => cluster_api::retirement_state(&self.management, node).await?,
            (RetirementMode::Command, Some(Ok(()))) => RetirementState::Over,
            (RetirementMode::Command, Some(Err(reason))) => RetirementState::Failed { reason },
            (RetirementMode::Command, None) | (RetirementMode::Keep | RetirementMode::ByHand, _) => {
                RetirementState::Open
            }
        })
    }

    async fn pods(&mut self, policy: &MigrationPolicy, node: &str) -> Result<Vec<DrainingPod>, MigrateError> {
        let pods = self.api.pods_on(node).await?;
        let volumes = if pods.iter().any(|pod| !pod.claims.is_empty()) {
            Some(self.volumes().await?.clone())
        } else {
            None
        };
        let none = ObservedCluster::default();
        let volumes = volumes.as_ref().unwrap_or(&none);
        let now = self.clock.now();
        let mut draining = Vec::new();
        for pod in pods {
            let workload = match &pod.controller {
                Some(controller) => match self.owners.get(&controller.uid) {
                    Some(known) => Some(known.clone()),
                    None => {
                        let found = self.api.workload_of(&pod).await?;
                        let uid = controller.uid.clone();
                        found.inspect(|found| drop(self.owners.insert(uid, found.clone())))
                    }
                },
                None => None,
            };
            draining.push(DrainingPod {
                verdict: judge(&policy.drain, &pod, &volumes.local_volumes(&pod), now),
                workload: workload.filter(|workload| workload.kind != "DaemonSet"),
                name: pod.name,
                uid: pod.uid,
                ready: pod.ready,
                deletion: pod.deletion,
            });
        }
        Ok(draining)
    }

    /// Volumes of the cluster, not older than a minute.
    async fn volumes(&mut self) -> Result<&ObservedCluster, MigrateError> {
        let fresh = self.volumes.take().filter(|(read, _)| read.elapsed() < VOLUMES_FRESH);
        let volumes = match fresh {
            Some(fresh) => fresh,
            None => (Instant::now(), self.api.volumes().await?),
        };
        Ok(&self.volumes.insert(volumes).1)
    }

    /// States of the workloads of some pods and of a record.
    async fn workloads(
        &self,
        record: Option<&MigrationRecord>,
        pods: &[DrainingPod],
    ) -> Result<Vec<WorkloadState>, MigrateError> {
        let recorded = record
            .and_then(|record| record.workloads.as_ref())
            .into_iter()
            .flatten();
        let mut all: BTreeSet<&WorkloadReference> = recorded.map(|baseline| &baseline.workload).collect();
        all.extend(pods.iter().filter_map(|pod| pod.workload.as_ref()));
        let mut states = Vec::new();
        for workload in all {
            states.push(self.api.workload_state(workload).await?);
        }
        Ok(states)
    }
}
