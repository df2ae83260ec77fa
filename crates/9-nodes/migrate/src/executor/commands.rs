//! Commands of the user: those that make replacements. They run beside the rounds, and end with the run.

use tokio::task::JoinHandle;

use super::Executor;
use crate::error::MigrateError;
use crate::model::ObservedNode;
use crate::replacement;

impl Executor<'_> {
    /// Starts the command for a node, or takes its result. Returns `true` once it has succeeded.
    pub(super) async fn command_succeeded(&mut self, node: &ObservedNode, command: &str) -> Result<bool, MigrateError> {
        let name = &node.name;
        if self.pace.made.contains(name) {
            return Ok(true);
        }
        let Some(running) = self.pace.commands.remove(name) else {
            let started = self.start_command(node, command)?;
            self.pace.commands.insert(name.clone(), started);
            self.tell(node, "Requested", "the command for the replacement is run")
                .await;
            return Ok(false);
        };
        if !running.is_finished() {
            self.pace.commands.insert(name.clone(), running);
            self.task(name).detail("the command for the replacement is running");
            return Ok(false);
        }
        let failure = match running.await {
            Ok(Ok(())) => {
                self.pace.made.insert(name.clone());
                return Ok(true);
            }
            Ok(Err(failure)) => failure,
            Err(error) => error.to_string(),
        };
        self.pace.failures.insert(name.clone(), failure);
        Ok(false)
    }

    /// Starts a command for a node, which ends with the run at the latest.
    pub(super) fn start_command(
        &self,
        node: &ObservedNode,
        command: &str,
    ) -> Result<JoinHandle<Result<(), String>>, MigrateError> {
        self.api.may_write()?;
        let (command, node, limit) = (command.to_owned(), node.clone(), self.options.deadline);
        let cancellation = self.pace.cancellation.clone();
        let run = move || cancellation.scope(|| replacement::run_command(&command, &node, limit));
        Ok(tokio::task::spawn_blocking(run))
    }

    /// Ends the commands that still run: nothing of a run acts when its Lease is not its own any more.
    pub(crate) async fn end_commands(&mut self) {
        self.pace.cancellation.request();
        let commands = std::mem::take(&mut self.pace.commands).into_values();
        let retirements = std::mem::take(&mut self.pace.retirements).into_values();
        for running in commands.chain(retirements) {
            // What came of it does not matter any more.
            drop(running.await);
        }
    }
}
