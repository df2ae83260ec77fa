//! Commands of the user: those that make replacements, and those that end machines. They run beside the rounds, and end with the
//! run.

use std::collections::BTreeMap;

use basalt_process::Cancellation;
use tokio::task::JoinHandle;

use super::Executor;
use crate::error::MigrateError;
use crate::inspect::CommandEnds;
use crate::model::ObservedNode;
use crate::replacement;

/// Purpose of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CommandKind {
    /// Makes the replacement of a node.
    Replacement,
    /// Ends the machine of a node.
    Retirement,
}

impl CommandKind {
    /// Reason of the journal's entry.
    fn reason(self) -> &'static str {
        match self {
            Self::Replacement => "Requested",
            Self::Retirement => "Retiring",
        }
    }

    /// Name in a sentence.
    fn words(self) -> &'static str {
        match self {
            Self::Replacement => "the command for the replacement",
            Self::Retirement => "the command that ends the machine",
        }
    }
}

/// Commands of a run, by purpose and node.
#[derive(Default)]
pub(super) struct UserCommands {
    running: BTreeMap<(CommandKind, String), JoinHandle<Result<(), String>>>,
    /// Ends of commands, which are not run again: noting that one has ended may have failed.
    ended: BTreeMap<(CommandKind, String), Result<(), String>>,
    /// End of all of them.
    cancellation: Cancellation,
}

impl UserCommands {
    /// Ends of the commands for a node.
    pub(super) fn ends(&self, name: &str) -> CommandEnds {
        let end = |kind| self.ended.get(&(kind, name.to_owned())).cloned();
        CommandEnds {
            request_failure: end(CommandKind::Replacement).and_then(Result::err),
            retirement: end(CommandKind::Retirement),
        }
    }
}

impl Executor<'_> {
    /// Starts a command for a node, or takes its result. `None` while it runs.
    pub(super) async fn command_end(
        &mut self,
        kind: CommandKind,
        node: &ObservedNode,
        command: &str,
    ) -> Result<Option<Result<(), String>>, MigrateError> {
        let key = (kind, node.name.clone());
        if let Some(end) = self.pace.commands.ended.get(&key) {
            return Ok(Some(end.clone()));
        }
        let Some(running) = self.pace.commands.running.remove(&key) else {
            let started = self.start_command(node, command)?;
            self.pace.commands.running.insert(key, started);
            self.tell(node, kind.reason(), &format!("{} is run", kind.words()))
                .await;
            return Ok(None);
        };
        if !running.is_finished() {
            self.pace.commands.running.insert(key, running);
            self.task(&node.name).detail(&format!("{} is running", kind.words()));
            return Ok(None);
        }
        let end = running.await.unwrap_or_else(|error| Err(error.to_string()));
        self.pace.commands.ended.insert(key, end.clone());
        Ok(Some(end))
    }

    /// Starts a command for a node, which ends with the run at the latest.
    fn start_command(
        &self,
        node: &ObservedNode,
        command: &str,
    ) -> Result<JoinHandle<Result<(), String>>, MigrateError> {
        self.api.may_write()?;
        let (command, node, limit) = (command.to_owned(), node.clone(), self.options.deadline);
        let cancellation = self.pace.commands.cancellation.clone();
        let run = move || cancellation.scope(|| replacement::run_command(&command, &node, limit));
        Ok(tokio::task::spawn_blocking(run))
    }

    /// Ends the commands that still run: nothing of a run acts when its Lease is not its own any more.
    pub(crate) async fn end_commands(&mut self) {
        self.pace.commands.cancellation.request();
        for running in std::mem::take(&mut self.pace.commands.running).into_values() {
            // What came of it does not matter any more.
            drop(running.await);
        }
    }
}
