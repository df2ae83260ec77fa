//! Steps of the phase Retiring: the machine of a node that is done ends, if the user said so.
//!
//! Nothing is ended on a node that has pods again, and of a machine that was installed anew. What cannot be taken back is
//! written down before it is asked for.

use crate::drain::PodVerdict;
use crate::facts::{MigrationStep, RetirementMode, RetirementState};
use crate::model::NodeReadiness;
use crate::record::MigrationPhase;

use super::{Machine, listed, wait};

impl Machine<'_> {
    /// Returns `true` if the user wants the machine ended, and it is not one that was installed anew.
    pub(super) fn ends_machine(&self) -> bool {
        self.policy.retirement != RetirementMode::Keep && !self.is_in_place()
    }

    pub(super) fn retire(&self) -> MigrationStep {
        if !self.ends_machine() {
            return self.enter(MigrationPhase::Done);
        }
        let is_asked_for = self.record.retired.is_some();
        match &self.facts.retirement {
            RetirementState::Pending { reason } => wait(reason.clone()),
            RetirementState::Failed { reason } => self.stop(&format!("the machine could not be retired: {reason}")),
            RetirementState::Open => match self.pods_again() {
                Some(reason) => self.stop(&reason),
                None if self.policy.retirement == RetirementMode::ByHand => self.delete_when_off(),
                None if is_asked_for => MigrationStep::Retire,
                None => self.write(|record| record.retired = Some(self.facts.now)),
            },
            RetirementState::Over if !is_asked_for => {
                self.stop("the machine could not be retired: there is none any more where it is looked for")
            }
            RetirementState::Over if self.policy.delete_node_object => self.delete_when_off(),
            RetirementState::Over => self.enter(MigrationPhase::Done),
        }
    }

    /// Deletes the Node object when the control plane has not heard of its kubelet for a while.
    fn delete_when_off(&self) -> MigrationStep {
        match self.node.readiness {
            NodeReadiness::Unreachable => MigrationStep::DeleteNode,
            NodeReadiness::Ready | NodeReadiness::NotReady => wait(format!(
                "switch the machine of {} off: its Node object is deleted when its kubelet is not heard of any more",
                self.facts.name
            )),
        }
    }

    /// Reason against the end of a machine on which pods are that would have been evicted.
    fn pods_again(&self) -> Option<String> {
        let pods = self.facts.pods.iter();
        let pods = pods.filter(|pod| !matches!(pod.verdict, PodVerdict::Stays(_)));
        let names: Vec<String> = pods.map(|pod| format!("pod {}", pod.name)).collect();
        (!names.is_empty()).then(|| {
            format!(
                "the node has pods again, and its machine is not retired: {}",
                listed(&names)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::facts::{MigrationFacts, MigrationPolicy};
    use crate::transition::next_step;
    use crate::transition::tests::{MINUTE, facts, pod, policy, shown, start};

    use super::*;

    /// Next step of a node whose machine is to end, after some changes.
    fn step(
        mode: RetirementMode,
        phase: MigrationPhase,
        change: impl FnOnce(&mut MigrationPolicy, &mut MigrationFacts),
    ) -> String {
        let (mut policy, mut facts) = (policy(), facts(phase));
        policy.retirement = mode;
        change(&mut policy, &mut facts);
        shown(&next_step(&policy, &facts))
    }

    fn asked(facts: &mut MigrationFacts) {
        facts.record.as_mut().expect("a record").retired = Some(start());
    }

    fn pending() -> RetirementState {
        RetirementState::Pending {
            reason: "Machine a/b is being deleted".to_owned(),
        }
    }

    #[test]
    fn a_machine_ends_after_the_soak_and_only_when_told() {
        use MigrationPhase::{Done, Soaking};
        let soaked = |mode| step(mode, Soaking, |_, facts| facts.now = start() + MINUTE + MINUTE);
        assert_eq!(soaked(RetirementMode::Keep), "Done");
        assert_eq!(soaked(RetirementMode::ClusterApi), "Retiring");
        // A node that an earlier run left is retired by a later one, once.
        assert_eq!(step(RetirementMode::Keep, Done, |_, _| {}), "over");
        assert_eq!(step(RetirementMode::Command, Done, |_, _| {}), "Retiring");
        assert_eq!(step(RetirementMode::Command, Done, |_, facts| asked(facts)), "over");
        // A run that is not told any more ends it here.
        assert_eq!(step(RetirementMode::Keep, MigrationPhase::Retiring, |_, _| {}), "Done");
    }

    #[test]
    fn it_is_written_down_before_it_is_asked_for() {
        let mode = RetirementMode::ClusterApi;
        let phase = MigrationPhase::Retiring;
        let (mut policy, mut facts) = (policy(), facts(phase));
        policy.retirement = mode;
        let MigrationStep::Write { record, unschedulable } = next_step(&policy, &facts) else {
            panic!("it writes");
        };
        assert_eq!((record.retired, unschedulable), (Some(facts.now), None));
        facts.record = Some(*record);
        assert_eq!(shown(&next_step(&policy, &facts)), "retire");
        facts.retirement = pending();
        assert_eq!(shown(&next_step(&policy, &facts)), "wait: Machine a/b is being deleted");
        facts.retirement = RetirementState::Over;
        assert_eq!(shown(&next_step(&policy, &facts)), "Done");
        facts.node = None;
        assert_eq!(shown(&next_step(&policy, &facts)), "gone");
    }

    #[test]
    fn a_machine_that_is_in_use_or_not_there_is_left_alone() {
        let retiring = |change: fn(&mut MigrationFacts)| {
            step(RetirementMode::ClusterApi, MigrationPhase::Retiring, |_, facts| {
                change(facts)
            })
        };
        assert_eq!(
            retiring(|facts| facts.pods = vec![pod("web-1")]),
            "Stopped: the node has pods again, and its machine is not retired: pod shop/web-1"
        );
        assert!(retiring(|facts| facts.retirement = RetirementState::Over).contains("there is none any more"));
        let refused = |facts: &mut MigrationFacts| {
            facts.retirement = RetirementState::Failed {
                reason: "no Machine".to_owned(),
            }
        };
        assert_eq!(
            retiring(refused),
            "Stopped: the machine could not be retired: no Machine"
        );
        // What stops here is empty: it stays cordoned.
        let late = |facts: &mut MigrationFacts| {
            facts.retirement = pending();
            facts.now = start() + MINUTE.saturating_mul(10);
        };
        assert_eq!(
            retiring(late),
            "Stopped: the deadline of the phase Retiring passed: Machine a/b is being deleted"
        );
        let uncordoned = |facts: &mut MigrationFacts| facts.node.as_mut().expect("a node").unschedulable = false;
        assert!(retiring(uncordoned).starts_with("Stopped: somebody un-cordoned"));
    }

    #[test]
    fn an_object_is_deleted_when_its_kubelet_is_silent() {
        let off = |facts: &mut MigrationFacts| {
            facts.node.as_mut().expect("a node").readiness = NodeReadiness::Unreachable;
        };
        let by_hand = |change: fn(&mut MigrationFacts)| {
            step(RetirementMode::ByHand, MigrationPhase::Retiring, |_, facts| {
                change(facts)
            })
        };
        assert!(by_hand(|_| {}).starts_with("wait: switch the machine of old off"));
        assert_eq!(by_hand(off), "delete the node");
        let over = |delete: bool, is_off: bool| {
            step(RetirementMode::Command, MigrationPhase::Retiring, |policy, facts| {
                policy.delete_node_object = delete;
                asked(facts);
                facts.retirement = RetirementState::Over;
                if is_off {
                    off(facts);
                }
            })
        };
        assert_eq!(over(false, true), "Done");
        assert!(over(true, false).starts_with("wait: switch the machine"));
        assert_eq!(over(true, true), "delete the node");
    }

    #[test]
    fn a_machine_that_was_installed_anew_stays() {
        let in_place = |phase| {
            step(RetirementMode::ClusterApi, phase, |_, facts| {
                facts.node.as_mut().expect("a node").is_replaced_in_place = true;
                facts.record.as_mut().expect("a record").replacement = Some("old".to_owned());
                facts.now = start() + MINUTE + MINUTE;
            })
        };
        assert_eq!(in_place(MigrationPhase::Soaking), "Done");
        assert_eq!(in_place(MigrationPhase::Done), "over");
        assert_eq!(in_place(MigrationPhase::Retiring), "Done");
    }
}
