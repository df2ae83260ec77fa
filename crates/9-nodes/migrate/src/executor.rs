//! Executor: observes, asks the state machine, makes one step, and begins again.
//!
//! Nothing that decides is kept in memory. What is kept paces (when an eviction is tried again), belongs to a child process
//! of this run, or is for the terminal. So a run may end at any request, and the next one goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use basalt_process::{interrupt, plain_text};
use basalt_progress::{Outcome, Reporter, Task, Unit};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, json};
use tokio::time::Instant;

use crate::api::ClusterApi;
use crate::error::MigrateError;
use crate::eviction::EvictionAnswer;
use crate::facts::{MigrationPolicy, MigrationStep, RetirementMode};
use crate::inspect::{Inspector, Overview};
use crate::journal::Journal;
use crate::lease::LeaseWatch;
use crate::model::{NamespacedName, NodeChange, ObservedNode};
use crate::options::{MigrationOptions, ReplacementSource};
use crate::outage::Outage;
use crate::record::{MigrationPhase, MigrationRecord, REPLACES};
use crate::transition::{begin, listed, next_step, with_wait};
use crate::{cluster_api, pending, probe};

mod commands;
mod retirement;

use commands::{CommandKind, UserCommands};

/// Pause between two looks while nothing happens.
const IDLE: Duration = Duration::from_secs(2);

/// Pause after a step, whose effect is looked for.
const BUSY: Duration = Duration::from_millis(200);

/// Pause before an eviction that was refused is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// The same, where somebody has to change the budgets first.
const SLOW_RETRY: Duration = Duration::from_secs(30);

/// Time after which a wait is written down and announced.
const NOTICE: SignedDuration = SignedDuration::from_secs(15);

/// Outcome for one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeReport {
    /// Name.
    pub name: String,
    /// Phase; nothing for a node that was not begun, or whose object is gone.
    pub phase: Option<MigrationPhase>,
    /// Node that took its place.
    pub replacement: Option<String>,
    /// Reason of a stop, or of there being nothing to do.
    pub reason: Option<String>,
}

/// Outcome of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MigrationReport {
    /// Nodes, in their order.
    pub nodes: Vec<NodeReport>,
    /// `true` if every node is done, gone, or was a replacement before.
    pub complete: bool,
}

/// Part of a node in the run at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Pending,
    /// Done by an earlier run, and its machine is to end.
    Left,
    Active,
    Over,
    Gone,
}

/// Run of a migration.
pub(crate) struct Executor<'a> {
    pub(crate) api: ClusterApi,
    pub(crate) management: ClusterApi,
    pub(crate) options: &'a MigrationOptions,
    pub(crate) policy: MigrationPolicy,
    pub(crate) reporter: &'a dyn Reporter,
    pub(crate) journal: Journal,
    pub(crate) inspector: Inspector,
    pub(crate) lease: LeaseWatch,
    pub(crate) selected: Vec<String>,
    pub(crate) pace: Pace,
}

/// State of this run that paces, and decides nothing.
#[derive(Default)]
pub(crate) struct Pace {
    /// Nodes that stopped in this run: they are not begun again.
    stopped: BTreeSet<String>,
    /// Nodes that were done in this run.
    done: BTreeSet<String>,
    /// Commands of the user.
    commands: UserCommands,
    /// Time before which a pod is not evicted again, and the last answer.
    evictions: BTreeMap<String, (Instant, String)>,
    /// Present wait of a node, and when it was seen first.
    waits: BTreeMap<String, (String, Timestamp)>,
    tasks: BTreeMap<String, Box<dyn Task>>,
}

impl Executor<'_> {
    /// Migrates all nodes.
    pub(crate) async fn run(&mut self) -> Result<MigrationReport, MigrateError> {
        let mut outage = Outage::default();
        loop {
            interrupt::check()?;
            let pause = match self.round().await {
                Ok(Round::Finished(report)) => return Ok(report),
                Ok(Round::Stepped) => BUSY,
                Ok(Round::Waiting) => IDLE,
                // Somebody wrote the object since it was read: it is read again.
                Err(error) if error.is_conflict() => BUSY,
                Err(error) if error.is_transient() => {
                    if !outage.is_on() {
                        self.reporter.warn(&basalt_process::chain(&error));
                    }
                    outage.endure(error)?;
                    tokio::time::sleep(IDLE).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            outage.end();
            tokio::time::sleep(pause).await;
        }
    }

    /// Makes one step of every node that is under way, and begins others.
    async fn round(&mut self) -> Result<Round, MigrateError> {
        // What is read from here on is written about while the Lease is held without a gap.
        let guard = self.lease.guard();
        self.api = self.api.guarded(guard.clone());
        self.management = self.management.guarded(guard);
        let options = self.options;
        let selector = options.replacement_selector.as_deref();
        let overview = Overview::read(&self.api, &options.namespace, selector).await?;
        let mut active = Vec::new();
        let mut pending = Vec::new();
        let mut left = BTreeSet::new();
        for name in self.selected.clone() {
            match self.standing(&overview, &name)? {
                Standing::Active => active.push(name),
                Standing::Pending => pending.push(name),
                Standing::Left => {
                    left.insert(name.clone());
                    pending.push(name);
                }
                // What a killed run left is taken away.
                Standing::Over | Standing::Gone if overview.probe(&name).is_some() => active.push(name),
                Standing::Gone => self.note_gone(&name),
                Standing::Over => {}
            }
        }
        // After a stop, what is under way goes on, and nothing is begun.
        if !self.pace.stopped.is_empty() {
            pending.clear();
        }
        let begun = options.at_once.saturating_sub(active.len()).min(pending.len());
        let later = pending.split_off(begun).into_iter();
        let later = later.filter(|name| !left.contains(name)).collect();
        let mut stepped = pending::mark(&self.api, &overview, &self.selected, &later).await?;
        if active.is_empty() && pending.is_empty() && !stepped {
            return self.report(&overview).map(Round::Finished);
        }
        for (name, begins) in active
            .iter()
            .map(|name| (name, false))
            .chain(pending.iter().map(|name| (name, !left.contains(name))))
        {
            match self.advance(&overview, name, begins).await {
                Ok(step) => stepped |= step,
                Err(error) if error.is_conflict() => stepped = true,
                Err(error) => return Err(error),
            }
        }
        Ok(if stepped { Round::Stepped } else { Round::Waiting })
    }

    fn standing(&self, overview: &Overview, name: &str) -> Result<Standing, MigrateError> {
        let Some(node) = overview.node(name) else {
            return Ok(Standing::Gone);
        };
        let record = MigrationRecord::read(name, &node.annotations)?;
        let is_replacement = overview.replacements.contains(name);
        let is_in_place = record.as_ref().is_some_and(|record| record.is_in_place(name));
        // Somebody has taken it into service again since an earlier run.
        let is_back = !node.unschedulable && !is_replacement && !is_in_place && !self.pace.done.contains(name);
        let Some(record) = record else {
            // It was installed anew, and joined as another object.
            return Ok(match is_replacement {
                true => Standing::Over,
                false => Standing::Pending,
            });
        };
        Ok(match record.phase {
            MigrationPhase::Stopped if !self.pace.stopped.contains(name) => Standing::Pending,
            MigrationPhase::Done if is_back => Standing::Pending,
            MigrationPhase::Done if self.is_to_retire(name, &record) => Standing::Left,
            phase if phase.is_final() => Standing::Over,
            _ => Standing::Active,
        })
    }

    /// Returns `true` if the machine of a node that is done is to end, and nobody has asked for that yet.
    fn is_to_retire(&self, name: &str, record: &MigrationRecord) -> bool {
        self.policy.retirement != RetirementMode::Keep && record.retired.is_none() && !record.is_in_place(name)
    }

    /// Tells of the end of a node that was under way.
    fn note_gone(&mut self, name: &str) {
        if let Some(task) = self.pace.tasks.remove(name) {
            self.reporter.note(&format!("{name}: its object is gone"));
            task.finish(Outcome::Done);
        }
    }

    /// Makes the next step of a node. Returns `true` unless it waits.
    async fn advance(&mut self, overview: &Overview, name: &str, begins: bool) -> Result<bool, MigrateError> {
        let ends = self.pace.commands.ends(name);
        let facts = self
            .inspector
            .facts(&self.policy, overview, &self.selected, name, ends)
            .await?;
        let step = if begins {
            begin(&self.policy, &facts)
        } else {
            next_step(&self.policy, &facts)
        };
        let (Some(node), record) = (overview.node(name), facts.record.as_ref()) else {
            if let (MigrationStep::RemoveProbe, Some(probe)) = (step, overview.probe(name)) {
                self.api.delete_pod(&probe.name, &probe.uid, None).await?;
            }
            return Ok(true);
        };
        match step {
            MigrationStep::Write {
                record: new,
                unschedulable,
            } => {
                if new.retired.is_some() && record.is_some_and(|old| old.retired.is_none()) {
                    self.remember(overview, name, &new).await?;
                }
                self.write(node, record, &new, unschedulable).await?;
            }
            MigrationStep::Request => return self.request(node, record).await,
            MigrationStep::Claim { node: chosen } => {
                if let Some(chosen) = overview.node(&chosen) {
                    let annotations = Map::from_iter([(REPLACES.to_owned(), json!(name))]);
                    let change = NodeChange::of_annotations(annotations);
                    self.api.patch_node(chosen, change).await?;
                }
            }
            MigrationStep::CreateProbe { node: on } => {
                let (namespace, image) = (&self.options.namespace, &self.options.probe_image);
                probe::create(&self.api, namespace, image, (name, &node.uid), &on).await?;
            }
            MigrationStep::RemoveProbe => {
                if let Some(probe) = overview.probe(name) {
                    self.api.delete_pod(&probe.name, &probe.uid, None).await?;
                }
            }
            MigrationStep::Evict { pods } => return self.evict(node, record, &pods).await,
            MigrationStep::Delete { pods } => return self.delete(node, &pods).await,
            MigrationStep::Retire => return self.retire(node).await,
            MigrationStep::DeleteNode => self.delete_node(overview, node, record).await?,
            MigrationStep::Wait { reason } => {
                self.wait(node, record, &reason).await?;
                return Ok(false);
            }
            MigrationStep::Gone | MigrationStep::Over => return Ok(false),
        }
        Ok(true)
    }

    /// Writes a record, and tells of a new phase.
    async fn write(
        &mut self,
        node: &ObservedNode,
        old: Option<&MigrationRecord>,
        new: &MigrationRecord,
        unschedulable: Option<bool>,
    ) -> Result<(), MigrateError> {
        let change = NodeChange {
            annotations: new.annotations(),
            unschedulable,
            taints: None,
        };
        self.api.patch_node(node, change).await?;
        let name = &node.name;
        match new.phase {
            MigrationPhase::Stopped => drop(self.pace.stopped.insert(name.clone())),
            MigrationPhase::Done => drop(self.pace.done.insert(name.clone())),
            _ => {}
        }
        if old.is_some_and(|old| old.phase == new.phase) {
            return Ok(());
        }
        self.pace.waits.remove(name);
        let cordon = match unschedulable {
            Some(true) => "; the node is cordoned",
            Some(false) => "; the node is un-cordoned",
            None => "",
        };
        let replacement = new.replacement.as_ref();
        let replacement = replacement
            .map(|name| format!("; replacement {name}"))
            .unwrap_or_default();
        let reason = new
            .reason
            .as_ref()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        let text = format!("{}{reason}{replacement}{cordon}", new.phase);
        self.tell(node, new.phase.name(), &text).await;
        let outcome = match new.phase {
            MigrationPhase::Done => Outcome::Done,
            MigrationPhase::Stopped => Outcome::Failed,
            _ => {
                self.task(name).detail(new.phase.name());
                return Ok(());
            }
        };
        if let Some(task) = self.pace.tasks.remove(name) {
            task.finish(outcome);
        }
        Ok(())
    }

    /// Writes to the journal and to the terminal. A journal that cannot be written stops nothing.
    async fn tell(&self, node: &ObservedNode, reason: &str, text: &str) {
        // Names and messages come from the cluster.
        let line = format!("{}: {}", node.name, plain_text(text));
        if matches!(reason, "Stopped" | "Waiting" | "Deleting") {
            self.reporter.warn(&line);
        } else {
            self.reporter.note(&line);
        }
        if let Err(error) = self.journal.write(node, reason, text).await {
            self.reporter.warn(&basalt_process::chain(&error));
        }
    }

    fn task(&mut self, name: &str) -> &dyn Task {
        let reporter = self.reporter;
        let task = self.pace.tasks.entry(name.to_owned());
        &**task.or_insert_with(|| reporter.task(name, Unit::Items, None))
    }

    /// Asks for a replacement, and notes that it was asked for. Returns `false` while its command runs.
    async fn request(&mut self, node: &ObservedNode, record: Option<&MigrationRecord>) -> Result<bool, MigrateError> {
        match &self.options.replacement {
            ReplacementSource::Command(command) => {
                let end = self.command_end(CommandKind::Replacement, node, command).await?;
                if end.is_none_or(|end| end.is_err()) {
                    return Ok(false);
                }
            }
            ReplacementSource::MachineDeployment(deployment) => {
                let since = record.map(|record| format!("@{}", record.since)).unwrap_or_default();
                cluster_api::scale_up(&self.management, deployment, &format!("{}{since}", node.name)).await?;
            }
            ReplacementSource::Existing | ReplacementSource::ByHand => {}
        }
        self.note_request(node, record).await?;
        Ok(true)
    }

    async fn note_request(&self, node: &ObservedNode, record: Option<&MigrationRecord>) -> Result<(), MigrateError> {
        if let Some(record) = record {
            let requested = MigrationRecord {
                requested: Some(self.inspector.clock.now()),
                ..record.clone()
            };
            let change = NodeChange::of_annotations(requested.annotations());
            self.api.patch_node(node, change).await?;
        }
        Ok(())
    }

    /// Evicts pods whose time has come; the answers of the others are still known.
    async fn evict(
        &mut self,
        node: &ObservedNode,
        record: Option<&MigrationRecord>,
        pods: &[(NamespacedName, String)],
    ) -> Result<bool, MigrateError> {
        let mut reasons = Vec::new();
        let mut stepped = false;
        for (pod, uid) in pods {
            let known = self.pace.evictions.get(uid);
            if let Some((_, answer)) = known.filter(|(time, _)| *time > Instant::now()) {
                reasons.push(answer.clone());
                continue;
            }
            let grace = self.options.drain.grace_period;
            let answer = self.api.evict(pod, uid, grace, false).await?;
            let pause = match &answer {
                EvictionAnswer::Accepted | EvictionAnswer::Gone => {
                    self.pace.evictions.remove(uid);
                    stepped = true;
                    continue;
                }
                EvictionAnswer::Throttled { retry_after } => *retry_after,
                EvictionAnswer::Misconfigured { .. } | EvictionAnswer::Forbidden { .. } => SLOW_RETRY,
                EvictionAnswer::Budget { .. } | EvictionAnswer::Failed { .. } => RETRY,
            };
            let text = format!("pod {pod}: {answer}");
            self.pace
                .evictions
                .insert(uid.clone(), (Instant::now() + pause, text.clone()));
            reasons.push(text);
        }
        if !reasons.is_empty() {
            self.wait(node, record, &listed(&reasons)).await?;
        }
        Ok(stepped)
    }

    /// Deletes the pods that eviction refuses. It is asked once more about each: one that waited for another pod of its
    /// workload was never refused, and goes by eviction. Returns `false` while their time has not come.
    async fn delete(&mut self, node: &ObservedNode, pods: &[(NamespacedName, String)]) -> Result<bool, MigrateError> {
        let grace = self.options.drain.grace_period;
        let mut stepped = false;
        for (pod, uid) in pods {
            let known = self.pace.evictions.get(uid);
            if known.is_some_and(|(time, _)| *time > Instant::now()) {
                continue;
            }
            match self.api.evict(pod, uid, grace, false).await? {
                EvictionAnswer::Accepted | EvictionAnswer::Gone => {}
                // It says nothing about the pod.
                EvictionAnswer::Throttled { retry_after } => {
                    let again = (Instant::now() + retry_after, String::new());
                    self.pace.evictions.insert(uid.clone(), again);
                    continue;
                }
                _ => {
                    let text = format!("pod {pod} is deleted: eviction refused it until the deadline");
                    self.tell(node, "Deleting", &text).await;
                    self.api.delete_pod(pod, uid, grace).await?;
                }
            }
            self.pace.evictions.remove(uid);
            stepped = true;
        }
        Ok(stepped)
    }

    /// Shows a wait, and writes it down with its beginning once it lasts.
    async fn wait(
        &mut self,
        node: &ObservedNode,
        record: Option<&MigrationRecord>,
        reason: &str,
    ) -> Result<(), MigrateError> {
        let now = self.inspector.clock.now();
        let name = &node.name;
        let known = self.pace.waits.get(name).filter(|(known, _)| known == reason);
        let since = known.map_or(now, |(_, since)| *since);
        self.pace.waits.insert(name.clone(), (reason.to_owned(), since));
        self.task(name).detail(&plain_text(reason));
        let Some(record) = record.filter(|record| record.phase != MigrationPhase::Soaking) else {
            return Ok(());
        };
        if now.duration_since(since) < NOTICE {
            return Ok(());
        }
        if let Some(noted) = with_wait(record, Some((reason, since))) {
            let change = NodeChange::of_annotations(noted.annotations());
            self.api.patch_node(node, change).await?;
            let limit = SignedDuration::try_from(self.options.deadline).unwrap_or(SignedDuration::MAX);
            let until = record.since.saturating_add(limit).unwrap_or(record.since);
            let text = format!("{} waits since {since}, until {until} at most: {reason}", record.phase);
            self.tell(node, "Waiting", &text).await;
        }
        Ok(())
    }

    fn report(&self, overview: &Overview) -> Result<MigrationReport, MigrateError> {
        let mut nodes = Vec::new();
        let mut complete = true;
        for name in &self.selected {
            let node = overview.node(name);
            let record = match node {
                Some(node) => MigrationRecord::read(name, &node.annotations)?,
                None => None,
            };
            let none = match node {
                None => "its object is gone".to_owned(),
                Some(_) if overview.replacements.contains(name) => "it is a replacement already".to_owned(),
                Some(_) => "it was not begun".to_owned(),
            };
            let standing = self.standing(overview, name)?;
            let stopped = record
                .as_ref()
                .is_some_and(|record| record.phase == MigrationPhase::Stopped);
            complete &= !matches!(standing, Standing::Pending | Standing::Left) && !stopped;
            nodes.push(NodeReport {
                name: name.clone(),
                phase: record.as_ref().map(|record| record.phase),
                replacement: record.as_ref().and_then(|record| record.replacement.clone()),
                reason: record.map_or(Some(none), |record| record.reason),
            });
        }
        Ok(MigrationReport { nodes, complete })
    }
}

/// Outcome of one round.
enum Round {
    Stepped,
    Waiting,
    Finished(MigrationReport),
}
