//! What is said over the supervisor's socket: one JSON object per line, an order and its answer.

use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::ClusterError;
use crate::layout::Layout;
use crate::topology::NodeNumber;

/// How long an answer may take. Stopping takes the longest.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the supervisor is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// Tell how everything is.
    Status,
    /// From now on, end everything when this connection ends.
    Hold,
    /// No longer do so: the cluster outlives whoever started it.
    Release,
    /// End everything. The answer comes when the machines are off.
    Stop {
        /// How long the machines may take to shut down by themselves.
        grace_seconds: u64,
    },
    /// Start one more node.
    AddNode {
        /// In what its machine differs from those of the plan.
        #[serde(default, skip_serializing_if = "Variant::is_plain")]
        variant: Variant,
    },
    /// Ask a web server inside the cluster.
    Ask {
        /// The address of a Service, a pod or a node.
        address: Ipv4Addr,
        /// The port.
        port: u16,
        /// The path, with its slash.
        path: String,
    },
}

/// In what the machine of one node differs from those of the plan: for comparisons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Another raw disk image than the plan's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Utf8PathBuf>,
    /// More words for its kernel, where systemd-stub starts it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_arguments: Vec<String>,
}

impl Variant {
    /// Whether it differs in nothing.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// What the supervisor says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// It was done.
    Done,
    /// How everything is.
    Status(Report),
    /// The number of the new node.
    Node {
        /// Its number.
        number: NodeNumber,
    },
    /// What the web server said.
    Page {
        /// The HTTP status.
        status: u16,
        /// The text.
        body: String,
    },
    /// It was not done.
    Refused {
        /// Why.
        reason: String,
    },
}

/// How everything is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// When the supervisor began, in milliseconds since 1970.
    pub began: u64,
    /// How the machines' processors are run, and why so.
    pub accelerator: Option<basalt_machine::Verdict>,
    /// The parts of the control plane.
    pub components: Vec<ComponentReport>,
    /// The nodes' machines.
    pub machines: Vec<MachineReport>,
}

/// How a part of the control plane is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentReport {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: ComponentState,
    /// How often it was started again.
    pub restarts: u32,
    /// How long after the supervisor's beginning it was first ready, in milliseconds.
    pub ready_after: Option<u64>,
}

/// What a part of the control plane is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentState {
    /// It waits for another part.
    Waiting,
    /// It was started.
    Starting,
    /// It works.
    Ready,
    /// It ended, and will be started again.
    Ended {
        /// How.
        status: String,
    },
    /// It ended too often.
    Failed {
        /// How.
        status: String,
    },
}

impl fmt::Display for ComponentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting"),
            Self::Starting => f.write_str("starting"),
            Self::Ready => f.write_str("ready"),
            Self::Ended { status } => write!(f, "ended ({status}), will be started again"),
            Self::Failed { status } => write!(f, "ended too often ({status})"),
        }
    }
}

/// How a node's machine is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineReport {
    /// The node.
    pub node: NodeNumber,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// What it is doing.
    pub state: MachineState,
    /// When it was switched on, in milliseconds after the supervisor's beginning.
    pub power_on: Option<u64>,
}

/// What a machine is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineState {
    /// It is about to be switched on.
    Off,
    /// It runs.
    Running,
    /// It ended, or could not be started.
    Ended {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for MachineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Running => f.write_str("running"),
            Self::Ended { reason } => write!(f, "ended: {reason}"),
        }
    }
}

/// A connection to the supervisor.
#[derive(Debug)]
pub struct Control {
    stream: BufReader<UnixStream>,
}

impl Control {
    /// Connects, if there is a supervisor.
    ///
    /// # Errors
    /// [`ClusterError::Stopped`] when there is none.
    pub fn connect(layout: &Layout) -> Result<Self, ClusterError> {
        let stream = UnixStream::connect(layout.control_socket()).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => ClusterError::Stopped,
            _ => ClusterError::file("reach the cluster's supervisor")(error),
        })?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .map_err(ClusterError::file("reach the cluster's supervisor"))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Gives an order and waits for the answer.
    ///
    /// # Errors
    /// When the supervisor went away, or refused.
    pub fn order(&mut self, order: &Order) -> Result<Answer, ClusterError> {
        let talk = |stream: &mut BufReader<UnixStream>| -> std::io::Result<Answer> {
            let mut line = serde_json::to_string(order)?;
            line.push('\n');
            stream.get_mut().write_all(line.as_bytes())?;
            let mut answer = String::new();
            if stream.read_line(&mut answer)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            Ok(serde_json::from_str(&answer)?)
        };
        match talk(&mut self.stream).map_err(ClusterError::file("talk to the cluster's supervisor"))? {
            Answer::Refused { reason } => Err(ClusterError::Refused { answer: reason }),
            answer => Ok(answer),
        }
    }

    /// Asks how everything is.
    ///
    /// # Errors
    /// As [`Control::order`].
    pub fn report(&mut self) -> Result<Report, ClusterError> {
        match self.order(&Order::Status)? {
            Answer::Status(report) => Ok(report),
            other => Err(ClusterError::Refused {
                answer: format!("{other:?}"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_read_as_people_would_write_them() {
        for (order, text) in [
            (Order::Status, r#"{"order":"status"}"#),
            (
                Order::AddNode {
                    variant: Variant::default(),
                },
                r#"{"order":"add-node"}"#,
            ),
            (
                Order::Stop { grace_seconds: 5 },
                r#"{"order":"stop","grace_seconds":5}"#,
            ),
            (
                Order::Ask {
                    address: Ipv4Addr::new(10, 96, 0, 7),
                    port: 80,
                    path: "/".into(),
                },
                r#"{"order":"ask","address":"10.96.0.7","port":80,"path":"/"}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&order).expect("JSON"), text);
            assert_eq!(serde_json::from_str::<Order>(text).expect("understood"), order);
        }
        assert!(serde_json::from_str::<Order>(r#"{"order":"stop","gracee":5}"#).is_err());
    }

    #[test]
    fn answers_survive_the_journey() {
        let report = Report {
            machines: vec![MachineReport {
                node: NodeNumber::first(1).next().expect("one"),
                name: "node-1".into(),
                address: Ipv4Addr::new(10, 87, 0, 11),
                state: MachineState::Ended {
                    reason: "power cut".into(),
                },
                power_on: Some(3),
            }],
            ..Report::default()
        };
        let answer = Answer::Status(report);
        let text = serde_json::to_string(&answer).expect("JSON");
        assert_eq!(serde_json::from_str::<Answer>(&text).expect("understood"), answer);
    }
}
