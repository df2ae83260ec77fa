//! Cases of the state machine, one by one.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::*;
use crate::drain::{DrainPolicy, DrainRefusal, StayReason};
use crate::facts::{RetirementMode, RetirementState, WorkloadState};
use crate::model::PodDeletion;

pub(super) const MINUTE: SignedDuration = SignedDuration::from_secs(60);

pub(super) fn start() -> Timestamp {
    "2026-11-29T16:00:00Z".parse().expect("a time")
}

pub(super) fn policy() -> MigrationPolicy {
    MigrationPolicy {
        order: ReplacementOrder::BeforeEviction,
        mode: ReplacementMode::ByHand,
        drain: DrainPolicy::default(),
        deadline: Duration::from_secs(600),
        soak: Duration::from_secs(120),
        undo_on_stop: true,
        replacement: "a Ready node that runs Basalt Linux".to_owned(),
        retirement: RetirementMode::Keep,
        delete_node_object: false,
    }
}

/// Facts of a cordoned node in a phase that has lasted for a minute.
pub(super) fn facts(phase: MigrationPhase) -> MigrationFacts {
    let mut record = MigrationRecord::begun(phase, start(), Some(start()));
    record.replacement = (phase != MigrationPhase::Replacing).then(|| "new".to_owned());
    record.workloads = Some(vec![WorkloadBaseline {
        workload: web(),
        ready: 2,
    }]);
    MigrationFacts {
        now: start() + MINUTE,
        name: "old".to_owned(),
        node: Some(MigratedNode {
            unschedulable: true,
            readiness: NodeReadiness::Ready,
            is_replaced_in_place: false,
        }),
        record: Some(record),
        candidates: vec![ReplacementCandidate {
            name: "new".to_owned(),
            ready: true,
            replaces: Some("old".to_owned()),
        }],
        probe: ProbeState::Absent,
        request_failure: None,
        pods: Vec::new(),
        workloads: vec![state(2)],
        retirement: RetirementState::Open,
    }
}

pub(super) fn web() -> WorkloadReference {
    WorkloadReference {
        kind: "Deployment".to_owned(),
        name: NamespacedName::new("shop", "web"),
        uid: "u-web".to_owned(),
    }
}

fn state(ready: u32) -> WorkloadState {
    WorkloadState {
        workload: web(),
        ready: Some(ready),
        desired: Some(2),
    }
}

pub(super) fn pod(name: &str) -> DrainingPod {
    DrainingPod {
        name: NamespacedName::new("shop", name),
        uid: format!("u-{name}"),
        verdict: PodVerdict::Goes,
        ready: true,
        deletion: None,
        workload: Some(web()),
    }
}

fn terminating(name: &str, due: Timestamp, finalizers: &[&str]) -> DrainingPod {
    DrainingPod {
        deletion: Some(PodDeletion {
            due,
            finalizers: finalizers.iter().map(|one| (*one).to_owned()).collect(),
        }),
        ..pod(name)
    }
}

/// Short form of a step, for tables.
pub(super) fn shown(step: &MigrationStep) -> String {
    let names = |pods: &[(NamespacedName, String)]| {
        let names: Vec<&str> = pods.iter().map(|(pod, _)| pod.name.as_str()).collect();
        names.join(",")
    };
    match step {
        MigrationStep::Write { record, unschedulable } => {
            let cordon = match unschedulable {
                Some(true) => " cordon",
                Some(false) => " uncordon",
                None => "",
            };
            let reason = record.reason.as_ref().map(|reason| format!(": {reason}"));
            format!("{}{cordon}{}", record.phase, reason.unwrap_or_default())
        }
        MigrationStep::Request => "request".to_owned(),
        MigrationStep::Claim { node } => format!("claim {node}"),
        MigrationStep::CreateProbe { node } => format!("probe {node}"),
        MigrationStep::RemoveProbe => "remove probe".to_owned(),
        MigrationStep::Evict { pods } => format!("evict {}", names(pods)),
        MigrationStep::Delete { pods } => format!("delete {}", names(pods)),
        MigrationStep::Retire => "retire".to_owned(),
        MigrationStep::DeleteNode => "delete the node".to_owned(),
        MigrationStep::Wait { reason } => format!("wait: {reason}"),
        MigrationStep::Gone => "gone".to_owned(),
        MigrationStep::Over => "over".to_owned(),
    }
}

fn step(change: impl FnOnce(&mut MigrationPolicy, &mut MigrationFacts), phase: MigrationPhase) -> String {
    let (mut policy, mut facts) = (policy(), facts(phase));
    change(&mut policy, &mut facts);
    shown(&next_step(&policy, &facts))
}

fn edit(facts: &mut MigrationFacts, change: impl FnOnce(&mut MigrationRecord)) {
    change(facts.record.as_mut().expect("a record"));
}

#[test]
fn the_first_step_cordons_what_is_not_cordoned() {
    let mut facts = facts(MigrationPhase::Replacing);
    facts.record = None;
    let MigrationStep::Write { record, unschedulable } = begin(&policy(), &facts) else {
        panic!("it writes");
    };
    assert_eq!((record.cordoned, unschedulable), (None, None));
    facts.node.as_mut().expect("a node").unschedulable = false;
    let after = MigrationPolicy {
        order: ReplacementOrder::AfterEviction,
        ..policy()
    };
    let MigrationStep::Write { record, unschedulable } = begin(&after, &facts) else {
        panic!("it writes");
    };
    assert_eq!((record.cordoned, unschedulable), (Some(facts.now), Some(true)));
    assert_eq!(record.phase, MigrationPhase::Evicting);
}

#[test]
fn a_replacement_is_found_claimed_or_asked_for() {
    use MigrationPhase::Replacing;
    use ReplacementMode::{ByHand, Existing, Requested};
    let with = |mode, ready, replaces: Option<&str>| {
        step(
            |policy, facts| {
                policy.mode = mode;
                facts.candidates[0].ready = ready;
                facts.candidates[0].replaces = replaces.map(str::to_owned);
            },
            Replacing,
        )
    };
    assert_eq!(with(ByHand, true, Some("old")), "Replacing");
    assert_eq!(with(ByHand, true, None), "claim new");
    assert_eq!(with(Existing, true, Some("other")), "Replacing");
    assert_eq!(with(Requested, true, None), "claim new");
    assert_eq!(with(Requested, false, None), "request");
    let by_hand = "wait: join a Ready node that runs Basalt Linux by hand: it takes the place of old";
    assert_eq!(with(ByHand, true, Some("other")), by_hand);
    assert_eq!(with(ByHand, false, None), by_hand);
    assert_eq!(
        with(Existing, false, None),
        "wait: there has to be a Ready node that runs Basalt Linux"
    );
    let failed = step(
        |policy, facts| {
            policy.mode = Requested;
            facts.candidates.clear();
            facts.request_failure = Some("exit status 1".to_owned());
        },
        Replacing,
    );
    assert_eq!(
        failed,
        "Stopped uncordon: the replacement could not be made: exit status 1"
    );
}

#[test]
fn a_probe_is_made_waited_for_and_left() {
    use MigrationPhase::{Probing, Settling};
    let with = |probe: ProbeState| step(|_, facts| facts.probe = probe, Probing);
    let reason = || "ErrImagePull".to_owned();
    assert_eq!(with(ProbeState::Absent), "probe new");
    assert_eq!(
        with(ProbeState::Pending { reason: reason() }),
        "wait: the probe pod on new is not Ready: ErrImagePull"
    );
    assert_eq!(
        with(ProbeState::Ending),
        "wait: the probe pod of before is still being deleted"
    );
    assert_eq!(with(ProbeState::Ready), "Evicting");
    assert_eq!(
        with(ProbeState::Failed { reason: reason() }),
        "Stopped uncordon: the probe pod on new failed: ErrImagePull"
    );
    // Whatever the phase is, a probe that is not needed goes.
    assert_eq!(
        step(|_, facts| facts.probe = ProbeState::Ready, MigrationPhase::Stopped),
        "remove probe"
    );
    assert_eq!(
        step(|_, facts| facts.probe = ProbeState::Ready, Settling),
        "remove probe"
    );
    assert_eq!(step(|_, facts| facts.candidates.clear(), Probing), "Replacing");
}

#[test]
fn pods_go_one_of_each_workload() {
    use MigrationPhase::Evicting;
    let with = |change: &dyn Fn(&mut MigrationFacts)| {
        step(
            |_, facts| {
                facts.pods = vec![pod("web-1"), pod("web-2")];
                change(facts);
            },
            Evicting,
        )
    };
    assert_eq!(with(&|_| {}), "evict web-1");
    // One that is not Ready serves nobody.
    assert_eq!(with(&|facts| facts.pods[1].ready = false), "evict web-1,web-2");
    assert_eq!(with(&|facts| facts.pods[1].workload = None), "evict web-1,web-2");
    let waiting = with(&|facts| facts.workloads = vec![state(1)]);
    assert!(waiting.starts_with("wait: pod shop/web-1 waits for Deployment shop/web: 1 of 2 pods are Ready; "));
    let soon = start() + MINUTE + MINUTE;
    assert_eq!(
        with(&|facts| facts.pods[0] = terminating("web-1", soon, &[])),
        "wait: pod shop/web-1 is terminating; pod shop/web-2 is still there"
    );
    // The workload never had more Ready pods, so that waiting for more is in vain.
    let broken = with(&|facts| {
        facts.workloads = vec![state(0)];
        edit(facts, |record| record.workloads.as_mut().unwrap()[0].ready = 0);
    });
    assert_eq!(broken, "evict web-1");
}

#[test]
fn workloads_are_counted_before_the_first_eviction() {
    let mut facts = facts(MigrationPhase::Evicting);
    edit(&mut facts, |record| record.workloads = None);
    facts.pods = vec![pod("web-1")];
    let MigrationStep::Write { record, .. } = next_step(&policy(), &facts) else {
        panic!("it writes");
    };
    assert_eq!(record.workloads.expect("counted")[0].ready, 2);
    assert_eq!(record.phase, MigrationPhase::Evicting);
}

#[test]
fn an_empty_node_leaves_the_eviction() {
    let stays = |facts: &mut MigrationFacts| {
        facts.pods = vec![pod("ds-1")];
        facts.pods[0].verdict = PodVerdict::Stays(StayReason::DaemonSet);
    };
    assert_eq!(step(|_, facts| stays(facts), MigrationPhase::Evicting), "Settling");
    let after = step(
        |policy, facts| {
            policy.order = ReplacementOrder::AfterEviction;
            stays(facts);
        },
        MigrationPhase::Evicting,
    );
    assert_eq!(after, "Replacing");
    let refused = step(
        |_, facts| {
            facts.pods = vec![pod("bare")];
            facts.pods[0].verdict = PodVerdict::Refused(DrainRefusal::NoController);
        },
        MigrationPhase::Evicting,
    );
    assert_eq!(
        refused,
        "Stopped uncordon: pod shop/bare has no controller and is not made anew (--force agrees)"
    );
}

#[test]
fn what_holds_a_pod_is_named() {
    let due = start() - MINUTE;
    let with = |pod: DrainingPod| step(|_, facts| facts.pods = vec![pod], MigrationPhase::Evicting);
    assert_eq!(
        with(terminating("web-1", due, &["example.org/a", "example.org/b"])),
        "wait: pod shop/web-1 is held by finalizers since 2026-11-29T15:59:00Z: example.org/a, example.org/b"
    );
    assert_eq!(
        with(terminating("web-1", due, &[])),
        "wait: pod shop/web-1 is terminating and overdue since 2026-11-29T15:59:00Z"
    );
    let unreachable = step(
        |_, facts| {
            facts.pods = vec![terminating("web-1", due, &[])];
            facts.node.as_mut().unwrap().readiness = NodeReadiness::Unreachable;
        },
        MigrationPhase::Evicting,
    );
    assert_eq!(
        unreachable,
        "wait: the node is unreachable: nothing confirms the end of its 1 pods"
    );
}

#[test]
fn a_passed_deadline_stops_and_deletes_only_when_told() {
    let late = |policy: &mut MigrationPolicy, facts: &mut MigrationFacts| {
        facts.now = start() + MINUTE.saturating_mul(10);
        facts.pods = vec![pod("web-1")];
        policy.undo_on_stop = false;
        edit(facts, |record| {
            record.blocked = Some(BlockedSince {
                since: start(),
                reason: "budget web".to_owned(),
            });
        });
    };
    let reason = "Stopped: the deadline of the phase Evicting passed: pod shop/web-1 is still there \
                  (since 2026-11-29T16:00:00Z: budget web)";
    assert_eq!(step(late, MigrationPhase::Evicting), reason);
    let told = |extra: i64| {
        step(
            |policy, facts| {
                late(policy, facts);
                policy.drain.delete_refused = true;
                facts.now += MINUTE.saturating_mul(i32::try_from(extra).unwrap());
            },
            MigrationPhase::Evicting,
        )
    };
    assert_eq!(told(0), "delete web-1");
    let stuck = step(
        |policy, facts| {
            late(policy, facts);
            policy.drain.delete_refused = true;
            facts.now += MINUTE.saturating_mul(10);
            facts.pods = vec![terminating("web-1", start(), &["example.org/a"])];
        },
        MigrationPhase::Evicting,
    );
    assert!(stuck.starts_with("Stopped: the deadline of the phase Evicting passed: pod shop/web-1 is held by"));
    for phase in [MigrationPhase::Replacing, MigrationPhase::Settling] {
        let stopped = step(
            |_, facts| {
                facts.now = start() + MINUTE.saturating_mul(10);
                facts.candidates.clear();
                facts.workloads = vec![state(0)];
            },
            phase,
        );
        assert!(
            stopped.starts_with(&format!("Stopped uncordon: the deadline of the phase {phase} passed: ")),
            "{stopped}"
        );
    }
}

#[test]
fn workloads_settle_soak_and_may_relapse() {
    use MigrationPhase::{Settling, Soaking};
    let workloads =
        |ready: u32| move |_: &mut MigrationPolicy, facts: &mut MigrationFacts| facts.workloads = vec![state(ready)];
    assert_eq!(step(workloads(2), Settling), "Soaking");
    assert_eq!(
        step(workloads(1), Settling),
        "wait: Deployment shop/web: 1 of 2 pods are Ready"
    );
    assert_eq!(step(workloads(1), Soaking), "Settling");
    let soaking = step(workloads(2), Soaking);
    assert_eq!(soaking, "wait: the workloads are watched until 2026-11-29T16:02:00Z");
    let soaked = step(|_, facts| facts.now = start() + MINUTE + MINUTE, Soaking);
    assert_eq!(soaked, "Done");
    let relapsed = step(
        |_, facts| {
            facts.workloads = vec![state(1)];
            edit(facts, |record| record.relapses = RELAPSE_LIMIT);
        },
        Soaking,
    );
    assert!(
        relapsed.starts_with("Stopped uncordon: workloads do not stay Ready: "),
        "{relapsed}"
    );
    // Scaled down or deleted since: no reason to wait.
    let smaller = |change: fn(&mut WorkloadState)| {
        step(
            move |_, facts| {
                facts.workloads = vec![state(1)];
                change(&mut facts.workloads[0]);
            },
            Settling,
        )
    };
    assert_eq!(smaller(|state| state.desired = Some(1)), "Soaking");
    assert_eq!(smaller(|state| state.ready = None), "Soaking");
}

#[test]
fn an_uncordoned_node_is_a_veto() {
    for phase in [
        MigrationPhase::Replacing,
        MigrationPhase::Evicting,
        MigrationPhase::Soaking,
    ] {
        let stopped = step(|_, facts| facts.node.as_mut().unwrap().unschedulable = false, phase);
        assert_eq!(
            stopped,
            "Stopped: somebody un-cordoned the node, which is taken as a veto"
        );
    }
}

#[test]
fn a_cordon_of_others_is_never_taken_back() {
    let stopped = step(
        |_, facts| {
            facts.probe = ProbeState::Absent;
            facts.candidates.clear();
            facts.now = start() + MINUTE.saturating_mul(10);
            edit(facts, |record| record.cordoned = None);
        },
        MigrationPhase::Replacing,
    );
    assert!(stopped.starts_with("Stopped: "), "{stopped}");
}

#[test]
fn a_machine_installed_anew_is_its_own_replacement() {
    let in_place = |change: fn(&mut MigrationFacts), phase| {
        step(
            |policy, facts| {
                policy.order = ReplacementOrder::AfterEviction;
                facts.candidates.clear();
                facts.node.as_mut().unwrap().is_replaced_in_place = true;
                edit(facts, |record| record.replacement = Some("old".to_owned()));
                change(facts);
            },
            phase,
        )
    };
    let unclaimed = |facts: &mut MigrationFacts| edit(facts, |record| record.replacement = None);
    assert_eq!(in_place(unclaimed, MigrationPhase::Replacing), "Replacing");
    assert_eq!(in_place(|_| {}, MigrationPhase::Replacing), "Probing");
    assert_eq!(
        in_place(|facts| facts.probe = ProbeState::Ready, MigrationPhase::Probing),
        "Settling uncordon"
    );
    let settled = |facts: &mut MigrationFacts| facts.node.as_mut().unwrap().unschedulable = false;
    assert_eq!(in_place(settled, MigrationPhase::Settling), "Soaking");
}

#[test]
fn a_node_that_is_gone_leaves_no_probe() {
    let gone = |probe: ProbeState| {
        step(
            |_, facts| {
                facts.node = None;
                facts.probe = probe;
            },
            MigrationPhase::Probing,
        )
    };
    assert_eq!(gone(ProbeState::Ready), "remove probe");
    assert_eq!(gone(ProbeState::Absent), "gone");
    assert_eq!(gone(ProbeState::Ending), "gone");
}

#[test]
fn a_wait_is_news_only_when_its_reason_is() {
    let record = facts(MigrationPhase::Evicting).record.expect("a record");
    let noted = with_wait(&record, Some(("budget web", start()))).expect("news");
    assert_eq!(with_wait(&noted, Some(("budget web", start() + MINUTE))), None);
    assert_eq!(with_wait(&noted, None).expect("news").blocked, None);
    assert_eq!(with_wait(&record, None), None);
}
