//! State machine of one node's migration: from what is observed to the next step. Pure.
//!
//! ```text
//!   (none) ──cordon──▶ Replacing ─▶ Probing ─▶ Evicting ─▶ Settling ⇄ Soaking ─▶ Done      replacement before eviction
//!   (none) ──cordon──▶ Evicting ─▶ Replacing ─▶ Probing ─▶ Settling ⇄ Soaking ─▶ Done      replacement after eviction
//!                          Soaking, Done ──if the user wants the machine ended──▶ Retiring ─▶ Done, or the object is gone
//!                          every phase but Done ──deadline, un-cordoned by others, …──▶ Stopped
//! ```
//!
//! [`next_step`] is asked again after every step, with everything observed anew. So a step that was made and not
//! seen (a kill, a lost answer) is seen the next time, and one that was not made is asked for again.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::drain::PodVerdict;
use crate::facts::{
    DrainingPod, MigratedNode, MigrationFacts, MigrationPolicy, MigrationStep, ProbeState, ReplacementCandidate,
    ReplacementMode, ReplacementOrder,
};
use crate::model::{NamespacedName, NodeReadiness};
use crate::record::{BlockedSince, MigrationPhase, MigrationRecord, WorkloadBaseline, WorkloadReference};

mod retirement;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// Times that workloads may lose their readiness in the soak of one node.
pub const RELAPSE_LIMIT: u32 = 3;

/// Time after the end of its grace period at which a pod counts as held up.
const STUCK_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Returns the first step of a node without a record, or of one that stopped before.
pub fn begin(policy: &MigrationPolicy, facts: &MigrationFacts) -> MigrationStep {
    let Some(node) = facts.node else {
        return MigrationStep::Gone;
    };
    let before = facts.record.as_ref();
    let earlier = before.and_then(|record| record.cordoned);
    let phase = match policy.order {
        ReplacementOrder::BeforeEviction => MigrationPhase::Replacing,
        ReplacementOrder::AfterEviction => MigrationPhase::Evicting,
    };
    // Only a cordon of our own is ever taken back.
    let cordoned = if node.unschedulable { earlier } else { Some(facts.now) };
    let mut record = MigrationRecord::begun(phase, facts.now, cordoned);
    record.replacement = before.and_then(|record| record.replacement.clone());
    record.requested = before.and_then(|record| record.requested);
    record.retired = before.and_then(|record| record.retired);
    MigrationStep::Write {
        record: Box::new(record),
        unschedulable: (!node.unschedulable).then_some(true),
    }
}

/// Returns the next step of a node that has a record.
pub fn next_step(policy: &MigrationPolicy, facts: &MigrationFacts) -> MigrationStep {
    let has_probe = !matches!(facts.probe, ProbeState::Absent | ProbeState::Ending);
    let Some(node) = facts.node else {
        return if has_probe {
            MigrationStep::RemoveProbe
        } else {
            MigrationStep::Gone
        };
    };
    let Some(record) = &facts.record else {
        return MigrationStep::Over;
    };
    if has_probe && record.phase != MigrationPhase::Probing {
        return MigrationStep::RemoveProbe;
    }
    let machine = Machine {
        policy,
        facts,
        node,
        record,
    };
    machine.step()
}

/// Parts of a decision.
struct Machine<'a> {
    policy: &'a MigrationPolicy,
    facts: &'a MigrationFacts,
    node: MigratedNode,
    record: &'a MigrationRecord,
}

impl Machine<'_> {
    fn step(&self) -> MigrationStep {
        let phase = self.record.phase;
        if phase.is_final() {
            return match phase {
                MigrationPhase::Done if self.ends_machine() && self.record.retired.is_none() => {
                    self.enter(MigrationPhase::Retiring)
                }
                _ => MigrationStep::Over,
            };
        }
        if !self.node.unschedulable && !self.is_in_place() {
            return self.stop("somebody un-cordoned the node, which is taken as a veto");
        }
        let step = match phase {
            MigrationPhase::Replacing => self.replace(),
            MigrationPhase::Probing => self.probe(),
            MigrationPhase::Evicting => return self.evict(),
            MigrationPhase::Settling => self.settle(),
            MigrationPhase::Soaking => self.soak(),
            MigrationPhase::Retiring => self.retire(),
            MigrationPhase::Done | MigrationPhase::Stopped => MigrationStep::Over,
        };
        match step {
            MigrationStep::Wait { reason } if phase != MigrationPhase::Soaking && self.is_overdue(1) => {
                self.stop(&format!("the deadline of the phase {phase} passed: {reason}"))
            }
            step => step,
        }
    }

    /// Returns `true` if the machine itself was installed anew.
    fn is_in_place(&self) -> bool {
        self.record.is_in_place(&self.facts.name)
    }

    /// Returns `true` if the phase has lasted for a number of deadlines.
    fn is_overdue(&self, deadlines: i32) -> bool {
        let limit = signed(self.policy.deadline).saturating_mul(deadlines);
        self.facts.now.duration_since(self.record.since) >= limit
    }

    fn write(&self, change: impl FnOnce(&mut MigrationRecord)) -> MigrationStep {
        let mut record = self.record.clone();
        change(&mut record);
        MigrationStep::Write {
            record: Box::new(record),
            unschedulable: None,
        }
    }

    fn enter(&self, phase: MigrationPhase) -> MigrationStep {
        self.write(|record| entered(record, phase, self.facts.now))
    }

    /// Gives up: takes the cordon back, if it is ours and the user wants that. The probe pod is removed afterwards. A node
    /// that is empty already, and whose machine was to end, stays cordoned.
    fn stop(&self, reason: &str) -> MigrationStep {
        let ours = self.record.cordoned.is_some();
        let is_retiring = self.record.phase == MigrationPhase::Retiring;
        let uncordon = self.policy.undo_on_stop && ours && self.node.unschedulable && !is_retiring;
        let mut record = self.record.clone();
        entered(&mut record, MigrationPhase::Stopped, self.facts.now);
        record.reason = Some(reason.to_owned());
        if uncordon || !self.node.unschedulable {
            record.cordoned = None;
        }
        MigrationStep::Write {
            record: Box::new(record),
            unschedulable: uncordon.then_some(false),
        }
    }

    fn replace(&self) -> MigrationStep {
        let candidates = &self.facts.candidates;
        if let Some(name) = &self.record.replacement {
            return match candidates.iter().find(|candidate| candidate.name == *name) {
                Some(candidate) if candidate.ready => self.enter(MigrationPhase::Probing),
                Some(_) => wait(format!("the replacement {name} is not Ready yet")),
                None if self.is_in_place() && self.node.is_replaced_in_place => {
                    if self.node.readiness == NodeReadiness::Ready {
                        self.enter(MigrationPhase::Probing)
                    } else {
                        wait("the node was installed anew and is not Ready yet".to_owned())
                    }
                }
                None => self.write(|record| record.replacement = None),
            };
        }
        if self.node.is_replaced_in_place {
            let own = self.facts.name.clone();
            return self.write(|record| record.replacement = Some(own));
        }
        self.find_replacement()
    }

    fn find_replacement(&self) -> MigrationStep {
        let candidates = &self.facts.candidates;
        let ours = |candidate: &&ReplacementCandidate| candidate.replaces.as_ref() == Some(&self.facts.name);
        if let Some(claimed) = candidates.iter().find(ours) {
            let name = claimed.name.clone();
            return self.write(|record| record.replacement = Some(name));
        }
        let shared = self.policy.mode == ReplacementMode::Existing;
        let free = |candidate: &&ReplacementCandidate| candidate.ready && (shared || candidate.replaces.is_none());
        if let Some(free) = candidates.iter().find(free) {
            let name = free.name.clone();
            return match self.policy.mode {
                ReplacementMode::Existing => self.write(|record| record.replacement = Some(name)),
                _ => MigrationStep::Claim { node: name },
            };
        }
        let wanted = &self.policy.replacement;
        match self.policy.mode {
            ReplacementMode::Requested if self.record.requested.is_none() => match &self.facts.request_failure {
                Some(failure) => self.stop(&format!("the replacement could not be made: {failure}")),
                None => MigrationStep::Request,
            },
            ReplacementMode::Requested => wait(format!("the replacement was asked for: {wanted} has to appear")),
            ReplacementMode::ByHand => wait(format!(
                "join {wanted} by hand: it takes the place of {}",
                self.facts.name
            )),
            ReplacementMode::Existing => wait(format!("there has to be {wanted}")),
        }
    }

    fn probe(&self) -> MigrationStep {
        let Some(name) = &self.record.replacement else {
            return self.enter(MigrationPhase::Replacing);
        };
        let known = self.facts.candidates.iter().any(|candidate| candidate.name == *name);
        if !known && !self.is_in_place() {
            return match self.facts.probe {
                ProbeState::Absent | ProbeState::Ending => self.write(|record| {
                    record.replacement = None;
                    entered(record, MigrationPhase::Replacing, self.facts.now);
                }),
                _ => MigrationStep::RemoveProbe,
            };
        }
        match &self.facts.probe {
            ProbeState::Absent => MigrationStep::CreateProbe { node: name.clone() },
            ProbeState::Ending => wait("the probe pod of before is still being deleted".to_owned()),
            ProbeState::Pending { reason } => wait(format!("the probe pod on {name} is not Ready: {reason}")),
            ProbeState::Failed { reason } => self.stop(&format!("the probe pod on {name} failed: {reason}")),
            ProbeState::Ready => self.probed(),
        }
    }

    /// Leaves the probe behind. A machine that was installed anew takes pods again from now on.
    fn probed(&self) -> MigrationStep {
        let next = match self.policy.order {
            ReplacementOrder::BeforeEviction => MigrationPhase::Evicting,
            ReplacementOrder::AfterEviction => MigrationPhase::Settling,
        };
        let uncordon = self.is_in_place() && self.record.cordoned.is_some();
        let mut record = self.record.clone();
        entered(&mut record, next, self.facts.now);
        if uncordon {
            record.cordoned = None;
        }
        MigrationStep::Write {
            record: Box::new(record),
            unschedulable: uncordon.then_some(false),
        }
    }

    fn evict(&self) -> MigrationStep {
        if self.record.workloads.is_none() {
            let counted = self.facts.workloads.iter();
            let counted = counted.filter_map(|state| {
                let (workload, ready) = (state.workload.clone(), state.ready?);
                Some(WorkloadBaseline { workload, ready })
            });
            return self.write(|record| record.workloads = Some(counted.collect()));
        }
        let refused = self.facts.pods.iter().find_map(|pod| match &pod.verdict {
            PodVerdict::Refused(refusal) => Some(format!("pod {} {refusal}", pod.name)),
            _ => None,
        });
        if let Some(refusal) = refused {
            return self.stop(&refusal);
        }
        let going: Vec<&DrainingPod> = self
            .facts
            .pods
            .iter()
            .filter(|pod| pod.verdict == PodVerdict::Goes)
            .collect();
        if going.is_empty() {
            return self.enter(match self.policy.order {
                ReplacementOrder::BeforeEviction => MigrationPhase::Settling,
                ReplacementOrder::AfterEviction => MigrationPhase::Replacing,
            });
        }
        let staying: Vec<&DrainingPod> = going.iter().copied().filter(|pod| pod.deletion.is_none()).collect();
        let deletes = self.policy.drain.delete_refused && self.is_overdue(1);
        if deletes && !staying.is_empty() {
            return MigrationStep::Delete {
                pods: targets(&staying),
            };
        }
        let reason = self.drain_reason(&going);
        if self.is_overdue(if deletes { 2 } else { 1 }) {
            // What the API server answered last says more than the list of pods.
            let last = self.record.blocked.as_ref();
            let last = last.map(|wait| format!(" (since {}: {})", wait.since, wait.reason));
            return self.stop(&format!(
                "the deadline of the phase Evicting passed: {reason}{}",
                last.unwrap_or_default()
            ));
        }
        let open: Vec<&DrainingPod> = self.one_of_each_workload(&going);
        if open.is_empty() {
            wait(reason)
        } else {
            MigrationStep::Evict { pods: targets(&open) }
        }
    }

    /// Pods that may be evicted now. Of a workload, one Ready pod goes at a time, and none while the workload has fewer
    /// Ready pods than before; a pod that is not Ready serves nobody.
    fn one_of_each_workload<'a>(&self, going: &[&'a DrainingPod]) -> Vec<&'a DrainingPod> {
        let mut taken: Vec<&WorkloadReference> = Vec::new();
        for pod in going.iter().filter(|pod| pod.deletion.is_some()) {
            taken.extend(&pod.workload);
        }
        let mut open = Vec::new();
        for pod in going.iter().filter(|pod| pod.deletion.is_none()) {
            let Some(workload) = pod.workload.as_ref().filter(|_| pod.ready) else {
                open.push(*pod);
                continue;
            };
            if !taken.contains(&workload) && self.unready(workload).is_none() {
                taken.push(workload);
                open.push(*pod);
            }
        }
        open
    }

    /// Present and wanted number of Ready pods of a workload that has fewer than before.
    fn unready(&self, workload: &WorkloadReference) -> Option<(u32, u32)> {
        let baselines = self.record.workloads.iter().flatten();
        let before = baselines.into_iter().find(|one| one.workload == *workload)?.ready;
        let state = self.facts.workloads.iter().find(|state| state.workload == *workload)?;
        let (ready, wanted) = (state.ready?, state.wanted(before));
        (ready < wanted).then_some((ready, wanted))
    }

    /// Description of the pods that are still there.
    fn drain_reason(&self, going: &[&DrainingPod]) -> String {
        if self.node.readiness == NodeReadiness::Unreachable {
            let count = going.len();
            return format!("the node is unreachable: nothing confirms the end of its {count} pods");
        }
        let reasons: Vec<String> = going.iter().map(|pod| self.pod_reason(pod)).collect();
        listed(&reasons)
    }

    fn pod_reason(&self, pod: &DrainingPod) -> String {
        let name = &pod.name;
        if let Some(deletion) = &pod.deletion {
            let late = self.facts.now.duration_since(deletion.due) > STUCK_AFTER;
            return match (late, deletion.finalizers.as_slice()) {
                (false, _) => format!("pod {name} is terminating"),
                (true, []) => format!("pod {name} is terminating and overdue since {}", deletion.due),
                (true, finalizers) => {
                    let finalizers = finalizers.join(", ");
                    format!("pod {name} is held by finalizers since {}: {finalizers}", deletion.due)
                }
            };
        }
        match pod
            .workload
            .as_ref()
            .and_then(|workload| Some((workload, self.unready(workload)?)))
        {
            Some((workload, (ready, wanted))) => {
                format!("pod {name} waits for {workload}: {ready} of {wanted} pods are Ready")
            }
            None => format!("pod {name} is still there"),
        }
    }

    /// Workloads that have fewer Ready pods than before, described.
    fn unsettled(&self) -> Vec<String> {
        let baselines = self.record.workloads.iter().flatten();
        baselines
            .filter_map(|baseline| {
                let (ready, wanted) = self.unready(&baseline.workload)?;
                Some(format!("{}: {ready} of {wanted} pods are Ready", baseline.workload))
            })
            .collect()
    }

    fn settle(&self) -> MigrationStep {
        let unsettled = self.unsettled();
        if unsettled.is_empty() {
            self.enter(MigrationPhase::Soaking)
        } else {
            wait(listed(&unsettled))
        }
    }

    fn soak(&self) -> MigrationStep {
        let unsettled = self.unsettled();
        if !unsettled.is_empty() {
            let unsettled = listed(&unsettled);
            if self.record.relapses >= RELAPSE_LIMIT {
                return self.stop(&format!("workloads do not stay Ready: {unsettled}"));
            }
            return self.write(|record| {
                record.relapses += 1;
                entered(record, MigrationPhase::Settling, self.facts.now);
            });
        }
        let end = self.record.since.saturating_add(signed(self.policy.soak));
        match end {
            Ok(end) if self.facts.now < end => wait(format!("the workloads are watched until {end}")),
            _ if self.ends_machine() => self.enter(MigrationPhase::Retiring),
            _ => self.enter(MigrationPhase::Done),
        }
    }
}

fn entered(record: &mut MigrationRecord, phase: MigrationPhase, now: Timestamp) {
    record.phase = phase;
    record.since = now;
    record.blocked = None;
}

fn wait(reason: String) -> MigrationStep {
    MigrationStep::Wait { reason }
}

fn targets(pods: &[&DrainingPod]) -> Vec<(NamespacedName, String)> {
    pods.iter().map(|pod| (pod.name.clone(), pod.uid.clone())).collect()
}

/// The first three of some descriptions, and how many more there are.
pub(crate) fn listed(all: &[String]) -> String {
    let shown: Vec<&str> = all.iter().take(3).map(String::as_str).collect();
    let shown = shown.join("; ");
    match all.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

/// Returns a record with a wait, if that is news: another reason, or the end of one.
pub fn with_wait(record: &MigrationRecord, reason: Option<(&str, Timestamp)>) -> Option<MigrationRecord> {
    let present = record.blocked.as_ref().map(|wait| wait.reason.as_str());
    (present != reason.map(|(reason, _)| reason)).then(|| {
        let blocked = reason.map(|(reason, since)| BlockedSince {
            since,
            reason: reason.to_owned(),
        });
        MigrationRecord {
            blocked,
            ..record.clone()
        }
    })
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
