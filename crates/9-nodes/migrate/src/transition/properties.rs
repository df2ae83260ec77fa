//! Rules of the state machine that hold in any cluster: a small world with random events, and a run to its end.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::tests::{policy, start, web};
use super::*;
use crate::drain::PodVerdict;
use crate::facts::{RetirementMode, RetirementState, WorkloadState};
use crate::model::PodDeletion;

/// Event between two looks.
#[derive(Debug, Clone, Copy)]
enum WorldEvent {
    Nothing,
    ReplacementJoins,
    ReplacementLeaves,
    ProbeBecomesReady,
    ProbeFails,
    BudgetAllows,
    BudgetForbids,
    PodEnds,
    WorkloadRecovers,
    WorkloadLosesAPod,
    SomebodyUncordons,
    NodeIsDeleted,
    MachineEnds,
    MachineIsSwitchedOff,
}

/// Cluster with one node to migrate, one workload and at most one replacement.
#[derive(Debug)]
struct World {
    policy: MigrationPolicy,
    now: Timestamp,
    facts: MigrationFacts,
    allows: bool,
    deletes: usize,
    /// `true` once somebody un-cordoned the node: a later cordon is the migration's own.
    released: bool,
    /// Times that the end of the machine was asked for.
    retirements: usize,
    /// Phase in which the migration stopped.
    stopped_in: Option<MigrationPhase>,
}

fn world(policy: MigrationPolicy, pods: usize, cordoned: bool) -> World {
    let facts = MigrationFacts {
        now: start(),
        name: "old".to_owned(),
        node: Some(MigratedNode {
            unschedulable: cordoned,
            readiness: NodeReadiness::Ready,
            is_replaced_in_place: false,
        }),
        record: None,
        candidates: Vec::new(),
        probe: ProbeState::Absent,
        request_failure: None,
        pods: (0..pods)
            .map(|index| super::tests::pod(&format!("web-{index}")))
            .collect(),
        workloads: vec![WorkloadState {
            workload: web(),
            ready: u32::try_from(pods).ok(),
            desired: u32::try_from(pods).ok(),
        }],
        retirement: RetirementState::Open,
    };
    World {
        policy,
        now: start(),
        facts,
        allows: true,
        deletes: 0,
        released: false,
        retirements: 0,
        stopped_in: None,
    }
}

impl World {
    fn happen(&mut self, event: WorldEvent) {
        let facts = &mut self.facts;
        let desired = facts.workloads[0].desired.expect("counted");
        let ready = facts.workloads[0].ready.as_mut().expect("counted");
        match event {
            WorldEvent::Nothing => {}
            WorldEvent::ReplacementJoins if facts.candidates.is_empty() => {
                facts.candidates.push(ReplacementCandidate {
                    name: "new".to_owned(),
                    ready: true,
                    replaces: None,
                })
            }
            WorldEvent::ReplacementJoins => facts.candidates[0].ready = true,
            WorldEvent::ReplacementLeaves => facts.candidates.clear(),
            WorldEvent::ProbeBecomesReady if facts.probe != ProbeState::Absent => facts.probe = ProbeState::Ready,
            WorldEvent::ProbeFails if facts.probe != ProbeState::Absent => {
                facts.probe = ProbeState::Failed {
                    reason: "gone".to_owned(),
                }
            }
            WorldEvent::ProbeBecomesReady | WorldEvent::ProbeFails => {}
            WorldEvent::BudgetAllows => self.allows = true,
            WorldEvent::BudgetForbids => self.allows = false,
            WorldEvent::PodEnds => facts.pods.retain(|pod| pod.deletion.is_none()),
            WorldEvent::WorkloadRecovers => *ready = desired,
            WorldEvent::WorkloadLosesAPod => *ready = ready.saturating_sub(1),
            WorldEvent::SomebodyUncordons => {
                self.released = true;
                if let Some(node) = &mut facts.node {
                    node.unschedulable = false;
                }
            }
            WorldEvent::NodeIsDeleted => facts.node = None,
            WorldEvent::MachineEnds => {
                if matches!(facts.retirement, RetirementState::Pending { .. }) {
                    facts.retirement = RetirementState::Over;
                }
            }
            WorldEvent::MachineIsSwitchedOff => {
                if let Some(node) = &mut facts.node {
                    node.readiness = NodeReadiness::Unreachable;
                }
            }
        }
    }

    /// Makes one step, after the rules that hold for it are checked. Returns `false` at the end.
    fn advance(&mut self) -> bool {
        self.facts.now = self.now;
        let step = match &self.facts.record {
            None => begin(&self.policy, &self.facts),
            Some(_) => next_step(&self.policy, &self.facts),
        };
        self.check(&step);
        match step {
            MigrationStep::Write { record, unschedulable } => {
                if let (Some(value), Some(node)) = (unschedulable, &mut self.facts.node) {
                    node.unschedulable = value;
                }
                if record.phase == MigrationPhase::Stopped {
                    self.stopped_in = self.facts.record.as_ref().map(|record| record.phase);
                }
                self.facts.record = Some(*record);
            }
            MigrationStep::Request => {
                let now = self.now;
                self.facts.record.as_mut().expect("a record").requested = Some(now);
            }
            MigrationStep::Claim { node } => {
                let old = self.facts.name.clone();
                let candidate = self.facts.candidates.iter_mut().find(|one| one.name == node);
                candidate.expect("it is there").replaces = Some(old);
            }
            MigrationStep::CreateProbe { .. } => {
                self.facts.probe = ProbeState::Pending {
                    reason: "Pending".to_owned(),
                }
            }
            MigrationStep::RemoveProbe => self.facts.probe = ProbeState::Absent,
            MigrationStep::Evict { pods } => self.end(&pods, self.allows),
            MigrationStep::Delete { pods } => {
                self.deletes += pods.len();
                self.end(&pods, true);
            }
            MigrationStep::Retire => {
                self.retirements += 1;
                self.facts.retirement = RetirementState::Pending {
                    reason: "the machine is being deleted".to_owned(),
                };
            }
            MigrationStep::DeleteNode => self.facts.node = None,
            MigrationStep::Wait { .. } => {}
            MigrationStep::Gone | MigrationStep::Over => return false,
        }
        true
    }

    fn end(&mut self, pods: &[(NamespacedName, String)], allowed: bool) {
        let due = self.now;
        for pod in self.facts.pods.iter_mut().filter(|_| allowed) {
            if pods.iter().any(|(_, uid)| *uid == pod.uid) {
                pod.deletion = Some(PodDeletion {
                    due,
                    finalizers: Vec::new(),
                });
                let ready = self.facts.workloads[0].ready.as_mut().expect("counted");
                *ready = ready.saturating_sub(1);
            }
        }
    }

    fn check(&self, step: &MigrationStep) {
        let record = self.facts.record.as_ref();
        match step {
            MigrationStep::Write {
                record: new,
                unschedulable,
            } => {
                if let Some(old) = record {
                    assert!(may_follow(old.phase, new.phase), "{} after {}", new.phase, old.phase);
                    let retires = old.phase == MigrationPhase::Done && new.phase == MigrationPhase::Retiring;
                    assert!(!old.phase.is_final() || retires, "a final record is rewritten");
                }
                if *unschedulable == Some(false) {
                    let ours = record.is_some_and(|record| record.cordoned.is_some());
                    assert!(ours, "a cordon of somebody else is taken back");
                }
                if new.phase == MigrationPhase::Stopped {
                    assert!(new.reason.is_some(), "a stop without a reason");
                }
            }
            MigrationStep::Retire | MigrationStep::DeleteNode => {
                let node = self.facts.node.expect("a node");
                let record = record.expect("a record");
                assert_ne!(
                    self.policy.retirement,
                    RetirementMode::Keep,
                    "a machine is ended without consent"
                );
                assert!(
                    node.unschedulable && self.facts.pods.is_empty(),
                    "a machine in use is ended"
                );
                assert_eq!(record.phase, MigrationPhase::Retiring);
                if *step == MigrationStep::Retire {
                    assert!(record.retired.is_some(), "it is not written down before");
                } else {
                    assert!(self.policy.delete_node_object, "an object is deleted without consent");
                    assert_eq!(node.readiness, NodeReadiness::Unreachable);
                }
            }
            MigrationStep::Evict { pods } | MigrationStep::Delete { pods } => {
                let node = self.facts.node.expect("a node");
                assert!(node.unschedulable, "pods are evicted from a node that takes new ones");
                assert_eq!(record.map(|record| record.phase), Some(MigrationPhase::Evicting));
                assert!(!pods.is_empty());
                for (_, uid) in pods {
                    let pod = self.facts.pods.iter().find(|pod| pod.uid == *uid).expect("it is there");
                    assert!(pod.deletion.is_none() && pod.verdict == PodVerdict::Goes);
                }
                if matches!(step, MigrationStep::Delete { .. }) {
                    let since = record.expect("a record").since;
                    let deadline = SignedDuration::try_from(self.policy.deadline).expect("short");
                    assert!(self.policy.drain.delete_refused, "a pod is deleted without consent");
                    assert!(
                        self.now.duration_since(since) >= deadline,
                        "a pod is deleted before the deadline"
                    );
                } else {
                    let ready = pods.iter().filter(|(_, uid)| {
                        let mut all = self.facts.pods.iter();
                        all.any(|pod| pod.uid == *uid && pod.ready)
                    });
                    assert!(ready.count() <= 1, "two Ready pods of one workload go at once");
                }
            }
            _ => {}
        }
    }
}

/// Edges of the state machine.
fn may_follow(old: MigrationPhase, new: MigrationPhase) -> bool {
    use MigrationPhase::{Done, Evicting, Probing, Replacing, Retiring, Settling, Soaking, Stopped};
    old == new
        || new == Stopped
        || matches!(
            (old, new),
            (Replacing, Probing)
                | (Probing, Replacing | Evicting | Settling)
                | (Evicting, Settling | Replacing)
                | (Settling, Soaking)
                | (Soaking, Settling | Retiring | Done)
                | (Retiring, Done)
                | (Done, Retiring)
        )
}

fn events() -> impl Strategy<Value = Vec<(WorldEvent, u16)>> {
    use WorldEvent::*;
    let event = prop_oneof![
        4 => Just(Nothing),
        4 => Just(ReplacementJoins),
        1 => Just(ReplacementLeaves),
        4 => Just(ProbeBecomesReady),
        1 => Just(ProbeFails),
        3 => Just(BudgetAllows),
        2 => Just(BudgetForbids),
        4 => Just(PodEnds),
        4 => Just(WorkloadRecovers),
        1 => Just(WorkloadLosesAPod),
        1 => Just(SomebodyUncordons),
        1 => Just(NodeIsDeleted),
        4 => Just(MachineEnds),
        1 => Just(MachineIsSwitchedOff),
    ];
    // Seconds until the next look, some of them long.
    let pause = prop_oneof![8 => 1_u16..30, 1 => 100_u16..400];
    proptest::collection::vec((event, pause), 0..120)
}

fn policies() -> impl Strategy<Value = MigrationPolicy> {
    let order = prop_oneof![
        Just(ReplacementOrder::BeforeEviction),
        Just(ReplacementOrder::AfterEviction)
    ];
    let mode = prop_oneof![
        Just(ReplacementMode::Existing),
        Just(ReplacementMode::ByHand),
        Just(ReplacementMode::Requested)
    ];
    let retirement = prop_oneof![
        2 => Just((RetirementMode::Keep, false)),
        1 => Just((RetirementMode::ByHand, true)),
        1 => any::<bool>().prop_map(|delete| (RetirementMode::Command, delete)),
        1 => any::<bool>().prop_map(|delete| (RetirementMode::ClusterApi, delete)),
    ];
    let flags = (any::<bool>(), any::<bool>());
    (order, mode, flags, 0_u64..300, retirement).prop_map(|(order, mode, (delete, undo), soak, retirement)| {
        let mut policy = MigrationPolicy {
            order,
            mode,
            undo_on_stop: undo,
            soak: Duration::from_secs(soak),
            retirement: retirement.0,
            delete_node_object: retirement.1,
            ..policy()
        };
        policy.drain.delete_refused = delete;
        policy
    })
}

proptest! {
    #[test]
    fn rules_hold_and_every_run_ends(policy in policies(), events in events(), pods in 0_usize..4, cordoned in any::<bool>()) {
        let mut world = world(policy, pods, cordoned);
        for (event, pause) in events {
            world.happen(event);
            world.now += SignedDuration::from_secs(i64::from(pause));
            if !world.advance() {
                break;
            }
        }
        // Left alone, a run ends: each phase has its deadline, and each step leads on.
        let mut looks = 0;
        while world.advance() {
            world.now += SignedDuration::from_secs(10);
            looks += 1;
            prop_assert!(looks < 2000, "no end after {looks} looks: {:?}", world.facts);
        }
        prop_assert_eq!(&world.facts.probe, &ProbeState::Absent);
        prop_assert!(world.retirements <= 1, "a machine is ended twice");
        if let (Some(node), Some(record)) = (world.facts.node, &world.facts.record) {
            prop_assert!(record.phase.is_final());
            if cordoned && !world.released {
                prop_assert!(node.unschedulable, "a cordon of others was taken back");
            }
            let is_retiring = world.stopped_in == Some(MigrationPhase::Retiring);
            if record.phase == MigrationPhase::Stopped && world.policy.undo_on_stop && !is_retiring {
                prop_assert!(!node.unschedulable || record.cordoned.is_none(), "a cordon was left");
            }
            if record.phase == MigrationPhase::Done {
                prop_assert!(world.facts.pods.is_empty(), "done with pods on the node");
            }
        }
    }

    #[test]
    fn a_friendly_cluster_always_leads_to_done(mut policy in policies(), pods in 0_usize..4, cordoned in any::<bool>()) {
        policy.soak = Duration::from_secs(60);
        let mut world = world(policy, pods, cordoned);
        while world.advance() {
            world.now += SignedDuration::from_secs(2);
            for event in [
                WorldEvent::PodEnds,
                WorldEvent::WorkloadRecovers,
                WorldEvent::ReplacementJoins,
                WorldEvent::ProbeBecomesReady,
                WorldEvent::MachineEnds,
            ] {
                world.happen(event);
            }
            let phase = world.facts.record.as_ref().map(|record| record.phase);
            if phase == Some(MigrationPhase::Retiring) {
                world.happen(WorldEvent::MachineIsSwitchedOff);
            }
        }
        prop_assert_eq!(world.deletes, 0);
        let record = world.facts.record.expect("a record");
        match world.facts.node {
            Some(node) => {
                prop_assert_eq!(record.phase, MigrationPhase::Done);
                prop_assert!(node.unschedulable);
            }
            // Its object was deleted at the end, as the user wanted.
            None => prop_assert!(world.policy.delete_node_object && record.phase == MigrationPhase::Retiring),
        }
        let asks = matches!(world.policy.retirement, RetirementMode::Command | RetirementMode::ClusterApi);
        prop_assert_eq!(world.retirements, usize::from(asks));
    }
}
