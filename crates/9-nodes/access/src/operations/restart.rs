//! Restarts of a node.

use std::time::{Duration, Instant};

use basalt_process::wait;
use basalt_progress::{Outcome, Unit};

use super::{NodeAccess, OPERATION};
use crate::AccessError;
use crate::image::ProgramNeed;
use crate::node::{NodeInfo, NodeName};
use crate::restart::{REBOOT, REQUEST_RESET, RETURN, RestartState, RestartWatch};

/// Interval of looks at a node that restarts.
const TICK: Duration = Duration::from_secs(2);

/// Choices for a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RestartOptions {
    /// Keep new pods away until the node is Ready again. Pods are not moved: `kubectl drain` does that.
    pub cordon: bool,
    /// Return once the order is given.
    pub no_wait: bool,
}

impl NodeAccess<'_> {
    /// Starts a node again in an orderly way, and waits until it is Ready in another boot.
    ///
    /// # Errors
    /// When the order cannot be given, or the node does not come back.
    pub fn reboot(&self, name: &NodeName, options: RestartOptions) -> Result<(), AccessError> {
        self.restart(name, options, false)
    }

    /// Starts a node again with a new state partition: images, containers, logs, volumes on the node and its certificate are
    /// gone, and it joins the cluster anew with its NodeConfig's token.
    ///
    /// # Errors
    /// As [`NodeAccess::reboot`]; and for nodes without Basalt's agent.
    pub fn reset(&self, name: &NodeName, options: RestartOptions) -> Result<(), AccessError> {
        self.restart(name, options, true)
    }

    fn restart(&self, name: &NodeName, options: RestartOptions, reset: bool) -> Result<(), AccessError> {
        let node = self.node(name)?;
        if reset && !node.is_basalt() {
            return Err(AccessError::NotBasalt {
                node: node.name,
                os: node.os,
            });
        }
        let pod = self.pod(&node, ProgramNeed::Node, OPERATION)?;
        // Who was cordoned before stays so.
        let cordon = options.cordon && !node.cordoned;
        if cordon {
            self.kubectl
                .output(format!("cordoning {name}"), ["cordon", name.as_str()])?;
        }
        if reset {
            let command = pod.exec_on_node(REQUEST_RESET);
            pod.output(format!("marking the state partition of {name}"), &command)?;
        }
        pod.end_node(format!("starting {name} again"), &pod.exec_on_node(REBOOT))?;
        // Nothing more is asked of the pod, and the kubelet ends it with all others.
        drop(pod);
        if options.no_wait {
            return Ok(());
        }
        self.wait_for_return(name, &node)?;
        if cordon {
            self.kubectl
                .output(format!("uncordoning {name}"), ["uncordon", name.as_str()])?;
        }
        Ok(())
    }

    fn wait_for_return(&self, name: &NodeName, before: &NodeInfo) -> Result<(), AccessError> {
        let task = self
            .reporter
            .task(&format!("{name}: starting again"), Unit::Items, None);
        let watch = RestartWatch::new(before);
        let began = Instant::now();
        let mut last = "not seen yet";
        let back = wait::until(Some(began + RETURN), TICK, || {
            // An API server that runs on this very node is away with it.
            let seen = match self.node(name) {
                Ok(node) => watch.observe(Some(&node)),
                Err(AccessError::NoNode { .. }) => watch.observe(None),
                Err(error) if error.is_interrupt() => return Err(error),
                Err(_) => RestartState::Waiting("the API server does not answer"),
            };
            match seen {
                RestartState::Back => Ok(Some(())),
                RestartState::Waiting(state) => {
                    task.detail(state);
                    last = state;
                    Ok(None)
                }
            }
        })?;
        back.ok_or_else(|| AccessError::NotBack {
            node: name.to_string(),
            waited: began.elapsed(),
            state: last.to_owned(),
        })?;
        task.finish(Outcome::Done);
        Ok(())
    }
}
