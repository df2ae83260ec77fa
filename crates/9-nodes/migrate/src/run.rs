//! Entry points: connect, hold the Lease, plan, run, undo. The functions block, and have the asynchronous runtime inside.

use std::collections::BTreeMap;
use std::time::Duration;

use basalt_process::{ProcessError, interrupt};
use basalt_progress::Reporter;
use k8s_openapi::jiff::Timestamp;

use crate::api::ClusterApi;
use crate::clock::MigrationClock;
use crate::cluster_api;
use crate::error::MigrateError;
use crate::eviction::EvictionAnswer;
use crate::executor::{Executor, MigrationReport, NodeReport, Pace};
use crate::inspect::Inspector;
use crate::journal::Journal;
use crate::lease::HeldLease;
use crate::model::{ObservedCluster, ObservedNode, ObservedPod};
use crate::options::{ClusterConnection, MachineRetirement, MigrationOptions, NodeSelection, ReplacementSource};
use crate::plan::{self, MigrationPlan, PlanInputs};
use crate::record::{MigrationPhase, MigrationRecord};
use crate::replacement;

/// Longest time for giving the Lease back at the end.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);

/// Tries of a dry run that the API server is too busy for.
const DRY_RUN_TRIES: usize = 3;

/// Interval of looks at Ctrl-C.
const TICK: Duration = Duration::from_millis(100);

/// Plans a migration. Nothing is changed.
///
/// # Errors
/// When the cluster cannot be read, or the nodes are not what can be migrated.
pub fn plan_migration(
    connection: &ClusterConnection,
    options: &MigrationOptions,
) -> Result<MigrationPlan, MigrateError> {
    block_on(async {
        let migrator = Migrator::connect(connection, options).await?;
        migrator.plan(options).await.map_err(|error| migrator.located(error))
    })
}

/// Migrates nodes, and goes on with what an earlier run began.
///
/// # Errors
/// When another run holds the Lease, the API server stays away, or a permission is missing. A node that stopped is no error:
/// the report says why it did.
pub fn run_migration(
    connection: &ClusterConnection,
    options: &MigrationOptions,
    reporter: &dyn Reporter,
) -> Result<MigrationReport, MigrateError> {
    block_on(async {
        let migrator = Migrator::connect(connection, options).await?;
        let report = migrator.run(options, reporter).await;
        report.map_err(|error| migrator.located(error))
    })
}

/// Takes back what migrations did: to the nodes of the options, or to all nodes that are not done.
///
/// # Errors
/// When another run holds the Lease, or a request fails.
pub fn undo_migration(
    connection: &ClusterConnection,
    options: &MigrationOptions,
    reporter: &dyn Reporter,
) -> Result<Vec<NodeReport>, MigrateError> {
    block_on(async {
        let migrator = Migrator::connect(connection, options).await?;
        let reports = migrator.undo(options, reporter).await;
        reports.map_err(|error| migrator.located(error))
    })
}

/// Runs asynchronous work to its end, or to Ctrl-C.
fn block_on<T>(work: impl Future<Output = Result<T, MigrateError>>) -> Result<T, MigrateError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(MigrateError::Runtime)?.block_on(work)
}

/// Connection to the clusters of a migration.
pub struct Migrator {
    /// Cluster whose nodes are migrated.
    pub api: ClusterApi,
    /// Cluster with the objects of Cluster API.
    pub management: ClusterApi,
    /// Source of the present time.
    pub clock: MigrationClock,
    /// Name of this run in the Lease and in Events.
    pub identity: String,
}

impl Migrator {
    async fn connect(connection: &ClusterConnection, options: &MigrationOptions) -> Result<Self, MigrateError> {
        let api = ClusterApi::connect(connection).await?;
        let management = match &options.management {
            Some(other) => ClusterApi::connect(other).await?,
            None => api.clone(),
        };
        Ok(Self {
            api,
            management,
            clock: MigrationClock::System,
            identity: identity(),
        })
    }

    /// Adds the API server to a failed request, unless it may have been either of two.
    fn located(&self, error: MigrateError) -> MigrateError {
        if self.api.server == self.management.server {
            error.of_server(&self.api.server)
        } else {
            error
        }
    }

    /// Plans a migration.
    ///
    /// # Errors
    /// As [`plan_migration`].
    pub async fn plan(&self, options: &MigrationOptions) -> Result<MigrationPlan, MigrateError> {
        or_interrupted(self.make_plan(options)).await
    }

    async fn make_plan(&self, options: &MigrationOptions) -> Result<MigrationPlan, MigrateError> {
        let policy = options.policy();
        let cluster = self.api.cluster().await?;
        let selected = self.select(&options.nodes, &cluster.nodes).await?;
        if let ReplacementSource::MachineDeployment(name) = &options.replacement {
            cluster_api::scalable(&self.management, name).await?;
        }
        let selector = options.replacement_selector.as_deref();
        let replacements = replacement::names(&self.api, &cluster.nodes, selector).await?;
        let has_record = |name: &str| {
            let node = cluster.node(name);
            node.is_some_and(|node| !matches!(MigrationRecord::read(name, &node.annotations), Ok(None)))
        };
        let is_left = |name: &String| replacements.contains(name) && !has_record(name);
        let (left, migrated): (Vec<String>, Vec<String>) = selected.into_iter().partition(is_left);
        let now = self.clock.now();
        let mut answers = BTreeMap::new();
        for node in &migrated {
            for pod in plan::evictable(&policy, &cluster, node, now) {
                answers.insert(pod.uid.clone(), self.dry_run(pod).await?);
            }
        }
        let inputs = PlanInputs {
            cluster: &cluster,
            nodes: &migrated,
            replacements: &replacements,
            answers: &answers,
            now,
        };
        let mut plan = plan::build(&policy, &inputs);
        let left = left.into_iter();
        plan.warnings
            .extend(left.map(|name| format!("node {name} is a replacement already, and is left as it is")));
        for node in migrated.iter().filter_map(|name| cluster.node(name)) {
            match self.afterwards(options, node).await? {
                Ok(text) => plan.afterwards.push(format!("{}: {text}", node.name)),
                Err(refusal) => plan
                    .obstacles
                    .push(format!("{refusal}; --retire-machines cannot end its machine")),
            }
        }
        Ok(plan)
    }

    /// Says what becomes of the machine of a node that is done; a refusal where that cannot be.
    async fn afterwards(
        &self,
        options: &MigrationOptions,
        node: &ObservedNode,
    ) -> Result<Result<String, String>, MigrateError> {
        let record = MigrationRecord::read(&node.name, &node.annotations).ok().flatten();
        let is_in_place =
            |record: &MigrationRecord| record.phase == MigrationPhase::Done && record.is_in_place(&node.name);
        if record.as_ref().is_some_and(is_in_place) {
            return Ok(Ok("the machine was installed anew, and stays".to_owned()));
        }
        if record.is_some_and(|record| record.retired.is_some()) {
            return Ok(Ok("the end of its machine was asked for by an earlier run".to_owned()));
        }
        let then = match options.delete_node_objects {
            true => "; its Node object is deleted when its kubelet is not heard of any more",
            false => "; its Node object stays, unless the cloud's controller or the command deletes it",
        };
        Ok(match &options.retirement {
            MachineRetirement::ClusterApi => cluster_api::retirement_plan(&self.management, node).await?,
            MachineRetirement::Command(command) => Ok(format!("`{command}` is run, to end its machine{then}")),
            MachineRetirement::ByHand => Ok(format!("somebody switches its machine off{then}")),
            MachineRetirement::Keep => Ok("stays, empty and cordoned; its machine runs on".to_owned()),
        })
    }

    /// Asks what would come of an eviction.
    async fn dry_run(&self, pod: &ObservedPod) -> Result<EvictionAnswer, MigrateError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.api.evict(&pod.name, &pod.uid, None, true).await? {
                EvictionAnswer::Throttled { retry_after } if tries < DRY_RUN_TRIES => {
                    tokio::time::sleep(retry_after).await;
                }
                answer => return Ok(answer),
            }
        }
    }

    /// Migrates nodes.
    ///
    /// # Errors
    /// As [`run_migration`].
    pub async fn run(
        &self,
        options: &MigrationOptions,
        reporter: &dyn Reporter,
    ) -> Result<MigrationReport, MigrateError> {
        let nodes = self.api.nodes(None).await?;
        let selected = self.select(&options.nodes, &nodes).await?;
        let mut lease = self.lease(options, reporter).await?;
        let watch = lease.watch();
        let mut executor = Executor {
            api: self.api.guarded(watch.guard()),
            management: self.management.guarded(watch.guard()),
            options,
            policy: options.policy(),
            reporter,
            journal: self.journal(options),
            inspector: Inspector::new(&self.api, &self.management, &self.clock),
            lease: watch,
            selected,
            pace: Pace::default(),
        };
        let result = or_interrupted(lease.during(executor.run())).await;
        executor.end_commands().await;
        release(lease).await;
        result
    }

    /// Takes back what migrations did.
    ///
    /// # Errors
    /// As [`undo_migration`].
    pub async fn undo(
        &self,
        options: &MigrationOptions,
        reporter: &dyn Reporter,
    ) -> Result<Vec<NodeReport>, MigrateError> {
        let names = if options.nodes.is_empty() {
            Vec::new()
        } else {
            let nodes = self.api.nodes(None).await?;
            self.select(&options.nodes, &nodes).await?
        };
        let mut lease = self.lease(options, reporter).await?;
        let journal = self.journal(options);
        let api = self.api.guarded(lease.watch().guard());
        let undo = crate::undo::undo(&api, &journal, &options.namespace, &names, reporter);
        let result = or_interrupted(lease.during(undo)).await;
        release(lease).await;
        result
    }

    async fn lease(&self, options: &MigrationOptions, reporter: &dyn Reporter) -> Result<HeldLease, MigrateError> {
        let task = reporter.task("lease", basalt_progress::Unit::Items, None);
        let waiting = |holder: &str| task.detail(&format!("waiting to see if {holder} is still at work"));
        let lease = HeldLease::acquire(&self.api, &self.clock, &options.namespace, &self.identity, waiting);
        let lease = or_interrupted(lease).await?;
        task.finish(basalt_progress::Outcome::Done);
        Ok(lease)
    }

    fn journal(&self, options: &MigrationOptions) -> Journal {
        Journal::new(&self.api, &self.clock, &options.namespace, &self.identity)
    }

    /// Names of the selected nodes: those that were named, in their order, then those of the selector by name.
    async fn select(&self, selection: &NodeSelection, nodes: &[ObservedNode]) -> Result<Vec<String>, MigrateError> {
        let mut names = selection.names.clone();
        if let Some(selector) = &selection.selector {
            let mut selected: Vec<String> = self
                .api
                .nodes(Some(selector))
                .await?
                .into_iter()
                .map(|node| node.name)
                .collect();
            selected.sort();
            names.extend(selected);
        }
        let mut unique: Vec<String> = Vec::new();
        for name in names {
            if !unique.contains(&name) {
                unique.push(name);
            }
        }
        check_selection(&unique, nodes, selection.selector.as_deref())?;
        Ok(unique)
    }
}

fn check_selection(names: &[String], nodes: &[ObservedNode], selector: Option<&str>) -> Result<(), MigrateError> {
    let cluster = ObservedCluster {
        nodes: nodes.to_vec(),
        ..ObservedCluster::default()
    };
    let all = |test: fn(&ObservedNode) -> bool| {
        let names: Vec<&str> = nodes
            .iter()
            .filter(|node| test(node))
            .map(|node| node.name.as_str())
            .collect();
        names.join(", ")
    };
    if names.is_empty() {
        let others = all(|node| !node.is_control_plane() && !node.is_basalt());
        let candidates = if others.is_empty() {
            "every worker runs Basalt Linux already".to_owned()
        } else {
            format!("workers that do not run Basalt Linux: {others}")
        };
        return Err(match selector {
            Some(selector) => MigrateError::NoneSelected {
                selector: selector.to_owned(),
                candidates,
            },
            None => MigrateError::NoNodes { candidates },
        });
    }
    // A node whose object is gone is known by the replacement that has its place.
    let is_replaced = |name: &String| nodes.iter().any(|node| replacement::has_place_of(node, name));
    for name in names {
        match cluster.node(name) {
            None if is_replaced(name) => {}
            None => {
                return Err(MigrateError::UnknownNode {
                    name: name.clone(),
                    known: all(|_| true),
                });
            }
            Some(node) if node.is_control_plane() => return Err(MigrateError::ControlPlane { name: name.clone() }),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Gives the Lease back. If that fails, it runs out by itself.
async fn release(lease: HeldLease) {
    let released = tokio::time::timeout(RELEASE_LIMIT, lease.release()).await;
    if !matches!(released, Ok(Ok(()))) {
        tracing::warn!("the Lease could not be given back: the next run waits until it has run out");
    }
}

/// Does work until Ctrl-C.
async fn or_interrupted<T>(work: impl Future<Output = Result<T, MigrateError>>) -> Result<T, MigrateError> {
    let interrupted = async {
        while !interrupt::requested() {
            tokio::time::sleep(TICK).await;
        }
    };
    tokio::select! {
        result = work => result,
        () = interrupted => Err(ProcessError::Interrupted.into()),
    }
}

/// Name of this run: user, machine, process and time.
fn identity() -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned());
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    format!(
        "{user}@{host}, process {}, since {}",
        std::process::id(),
        Timestamp::now()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_that_matches_nothing_is_named() {
        let error = check_selection(&[], &[], Some("pool=x")).expect_err("none");
        assert_eq!(error.to_string(), "no node has the labels `pool=x`");
        assert!(error.is_wrong_argument());
        let error = check_selection(&[], &[], None).expect_err("none");
        assert_eq!(error.to_string(), "no node is named");
    }

    #[test]
    fn contexts_that_there_are_are_named() {
        let path = std::env::temp_dir().join(format!("basalt-migrate-{}.kubeconfig", std::process::id()));
        let text = "apiVersion: v1\nkind: Config\ncurrent-context: one\nclusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n\
                    users: [{name: u, user: {token: a}}]\n\
                    contexts: [{name: one, context: {cluster: c, user: u}}, {name: two, context: {cluster: c, user: u}}]\n";
        fs_err::write(&path, text).expect("written");
        let connection = ClusterConnection {
            kubeconfig: Some(path.clone()),
            context: Some("three".to_owned()),
        };
        let error = block_on(async { ClusterApi::connect(&connection).await.map(drop) }).expect_err("no such context");
        fs_err::remove_file(path).expect("removed");
        assert!(error.is_wrong_argument(), "{error:?}");
        let help = miette::Diagnostic::help(&error).expect("help").to_string();
        assert_eq!(help, "its contexts are: one, two");
    }
}
