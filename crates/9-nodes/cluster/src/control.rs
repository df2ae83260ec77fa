//! Protocol of the supervisor's control socket: one JSON object per line, an order and its answer.

use std::collections::BTreeMap;
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

/// Time-out of an answer. Stopping takes the longest.
const TIMEOUT: Duration = Duration::from_secs(90);

/// Order to the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// Report the state of all components and machines.
    Status,
    /// End the cluster when this connection closes.
    Hold,
    /// Cancel `Hold`: the cluster outlives the process that started it.
    Release,
    /// End the cluster. The answer comes when the machines are off.
    Stop {
        /// Time for the machines to shut down by themselves, in seconds.
        grace_seconds: u64,
    },
    /// Start one more node.
    AddNode {
        /// Differences of the node's machine from those of the plan.
        #[serde(default, skip_serializing_if = "Variant::is_plain")]
        variant: Variant,
    },
    /// Shut a node's machine down and start it again; start it, where it is off or has ended. The answer comes before.
    Reboot {
        /// Number of the node.
        node: NodeNumber,
    },
    /// Shut a node's machine down, and leave it off with its disk; `Reboot` starts it. The answer comes before.
    ShutDown {
        /// Number of the node.
        node: NodeNumber,
    },
    /// Switch a node's machine off at once, as a power cut does. Its disk stays.
    CutPower {
        /// Number of the node.
        node: NodeNumber,
    },
    /// Shut a node's machine down, and remove it with its disk and its port on the bridge. The answer comes before.
    RemoveNode {
        /// Number of the node.
        node: NodeNumber,
    },
    /// Send an HTTP request to a web server inside the cluster.
    Ask {
        /// Address of a Service, a pod or a node.
        address: Ipv4Addr,
        /// TCP port of the server.
        port: u16,
        /// Path of the request, with its leading slash.
        path: String,
    },
    /// Connect to a TCP server inside the cluster. After the answer, the connection carries its bytes in both directions.
    Connect {
        /// Address of a Service, a pod or a node.
        address: Ipv4Addr,
        /// TCP port of the server.
        port: u16,
    },
}

/// Differences of one node's machine from those of the plan, for comparisons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Raw disk image in place of the plan's image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Utf8PathBuf>,
    /// Additional kernel arguments, where systemd-stub starts the kernel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_arguments: Vec<String>,
    /// More credentials. One under the name of the NodeConfig's takes its place.
    #[serde(default, skip_serializing_if = "MachineCredentials::is_empty")]
    pub credentials: MachineCredentials,
}

/// Credentials of a machine, by name: text that systemd in it passes to services. Messages show the names alone, for there
/// may be tokens in the text.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineCredentials(BTreeMap<String, String>);

impl MachineCredentials {
    /// Checks for the absence of credentials.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and texts, in the order of the names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }
}

impl<const N: usize> From<[(String, String); N]> for MachineCredentials {
    fn from(credentials: [(String, String); N]) -> Self {
        Self(credentials.into())
    }
}

impl fmt::Debug for MachineCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Variant {
    /// Checks that nothing differs from the plan.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// Answer of the supervisor to an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum OrderResponse {
    /// The order was carried out.
    Done,
    /// State of all components and machines.
    Status(SupervisorReport),
    /// A node was started.
    Node {
        /// Number of the new node.
        number: NodeNumber,
    },
    /// Response of the web server.
    Page {
        /// HTTP status code.
        status: u16,
        /// Body of the response, as text.
        body: String,
    },
    /// The order was not carried out.
    Refused {
        /// Reason for the refusal.
        reason: String,
    },
}

/// State of all components and machines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SupervisorReport {
    /// Start of the supervisor, in milliseconds since the Unix epoch.
    pub began: u64,
    /// Accelerator of the machines, with the reason for its choice.
    pub accelerator: Option<basalt_machine::AcceleratorChoice>,
    /// Components of the control plane.
    pub components: Vec<ComponentReport>,
    /// Machines of the nodes.
    pub machines: Vec<MachineReport>,
}

/// State of one component of the control plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentReport {
    /// Name of the component.
    pub name: String,
    /// Phase of the component's life.
    pub state: ComponentState,
    /// Number of restarts.
    pub restarts: u32,
    /// Time from the start of the supervisor to the component's first readiness, in milliseconds.
    pub ready_after: Option<u64>,
}

/// Phase of a component's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentState {
    /// Not started: the component that it depends on is not ready.
    Waiting,
    /// Started, but not ready yet.
    Starting,
    /// Running; its readiness probe has succeeded.
    Ready,
    /// Ended, with a restart to come.
    Ended {
        /// Exit status, as `exit status: 1` or `signal: 9 (SIGKILL)`.
        status: String,
    },
    /// Ended too often; not restarted any more.
    Failed {
        /// Exit status of the last run.
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

/// State of one node's machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineReport {
    /// Number of the node.
    pub node: NodeNumber,
    /// Name of the node.
    pub name: String,
    /// Address of the node on the bridge.
    pub address: Ipv4Addr,
    /// Phase of the machine's life.
    pub state: MachineState,
    /// Time of power-on, in milliseconds after the start of the supervisor.
    pub power_on: Option<u64>,
}

/// Phase of a machine's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineState {
    /// Not switched on, or switched off.
    Off,
    /// Shutting down: to be started again, to stay off or to be removed.
    ShuttingDown,
    /// Running.
    Running,
    /// Ended, or failed to start.
    Ended {
        /// Reason of the end, with its causes.
        reason: String,
    },
}

impl fmt::Display for MachineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::ShuttingDown => f.write_str("shutting down"),
            Self::Running => f.write_str("running"),
            Self::Ended { reason } => write!(f, "ended: {reason}"),
        }
    }
}

/// Connection to the supervisor's control socket.
#[derive(Debug)]
pub struct Control {
    stream: BufReader<UnixStream>,
}

impl Control {
    /// Connects to the supervisor of a cluster.
    ///
    /// # Errors
    /// [`ClusterError::Stopped`] when no supervisor is running.
    pub fn connect(layout: &Layout) -> Result<Self, ClusterError> {
        let stream = UnixStream::connect(layout.control_socket()).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => ClusterError::Stopped,
            _ => ClusterError::file("reach the cluster's supervisor")(error),
        })?;
        stream
            .set_read_timeout(Some(TIMEOUT))
            .map_err(ClusterError::file("reach the cluster's supervisor"))?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Sends an order and waits for the answer.
    ///
    /// # Errors
    /// When the connection breaks, no answer comes in time, or the supervisor refuses.
    pub fn order(&mut self, order: &Order) -> Result<OrderResponse, ClusterError> {
        let talk = |stream: &mut BufReader<UnixStream>| -> std::io::Result<OrderResponse> {
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
            OrderResponse::Refused { reason } => Err(ClusterError::Refused { answer: reason }),
            answer => Ok(answer),
        }
    }

    /// Does the same as [`Control::order`], with another time-out of the answer.
    ///
    /// # Errors
    /// As [`Control::order`].
    pub fn order_within(&mut self, order: &Order, timeout: Duration) -> Result<OrderResponse, ClusterError> {
        self.stream
            .get_ref()
            .set_read_timeout(Some(timeout))
            .map_err(ClusterError::file("reach the cluster's supervisor"))?;
        self.order(order)
    }

    /// Connects to a TCP server inside the cluster; the connection to the supervisor becomes one to that server. Returns
    /// it with the bytes that the server has sent already.
    ///
    /// # Errors
    /// As [`Control::order`], and when the server does not accept the connection.
    pub(crate) fn connect_to(mut self, address: Ipv4Addr, port: u16) -> Result<(UnixStream, Vec<u8>), ClusterError> {
        self.order(&Order::Connect { address, port })?;
        let early = self.stream.buffer().to_vec();
        let stream = self.stream.into_inner();
        stream
            .set_read_timeout(None)
            .map_err(ClusterError::file("reach the cluster's supervisor"))?;
        Ok((stream, early))
    }

    /// Asks for the state of all components and machines.
    ///
    /// # Errors
    /// As [`Control::order`].
    pub fn report(&mut self) -> Result<SupervisorReport, ClusterError> {
        match self.order(&Order::Status)? {
            OrderResponse::Status(report) => Ok(report),
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
                Order::Reboot {
                    node: NodeNumber::first(1).next().expect("one"),
                },
                r#"{"order":"reboot","node":1}"#,
            ),
            (
                Order::ShutDown {
                    node: NodeNumber::first(1).next().expect("one"),
                },
                r#"{"order":"shut-down","node":1}"#,
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
    fn credentials_are_not_shown() {
        let order = Order::AddNode {
            variant: Variant {
                credentials: [("basalt.node".to_owned(), "token: secret".to_owned())].into(),
                ..Variant::default()
            },
        };
        let shown = format!("{order:?}");
        assert!(shown.contains("basalt.node") && !shown.contains("secret"), "{shown}");
        let text = serde_json::to_string(&order).expect("JSON");
        assert_eq!(serde_json::from_str::<Order>(&text).expect("understood"), order);
    }

    #[test]
    fn responses_survive_serialization() {
        let report = SupervisorReport {
            machines: vec![MachineReport {
                node: NodeNumber::first(1).next().expect("one"),
                name: "node-1".into(),
                address: Ipv4Addr::new(10, 87, 0, 11),
                state: MachineState::Ended {
                    reason: "power cut".into(),
                },
                power_on: Some(3),
            }],
            ..SupervisorReport::default()
        };
        let answer = OrderResponse::Status(report);
        let text = serde_json::to_string(&answer).expect("JSON");
        assert_eq!(
            serde_json::from_str::<OrderResponse>(&text).expect("understood"),
            answer
        );
    }
}
