//! Inner process of the supervisor: process 1 of the cluster's namespaces.

use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use basalt_machine::QemuTools;
use basalt_process::interrupt;

use super::children::Children;
use super::control_server::{self, Message, Status};
use super::machines::{AfterShutdown, Machines};
use super::router;
use crate::control::{Order, OrderResponse, SupervisorReport, Variant};
use crate::layout::Layout;
use crate::plan::ClusterPlan;
use crate::routes::{self, RouteChange, Routes};
use crate::topology::{API_PORT, CONTROL_PLANE, REGISTRY_LISTEN, REGISTRY_PORT};
use crate::{ClusterError, forward, mirror, network, push};
use basalt_process::chain;

/// Interval of the main loop.
const TICK: Duration = Duration::from_millis(25);
/// Time within which `up` has to hold the cluster, before it is ended.
const UNHELD: Duration = Duration::from_secs(20);

/// Makes the cluster, and runs it until an order or a signal ends it.
pub(super) fn run(layout: &Layout, plan: &ClusterPlan, tools: &dyn QemuTools) -> Result<(), ClusterError> {
    super::die_with_parent()?;
    let began = Instant::now();
    let [api_server, registry] = super::inherited_listeners()?;
    let status = Status::default();
    let (sender, inbox) = mpsc::channel();
    control_server::open(layout, status.clone(), sender)?;

    let nodes = plan.nodes();
    let mut commands = network::bridge_commands();
    commands.extend(nodes.iter().flat_map(|node| network::node_commands(*node, plan.wire)));
    let routes = routes::changes(&Routes::new(), &routes::initial(nodes.first().copied()));
    commands.extend(routes.iter().map(RouteChange::to_string));
    network::ip(&plan.inputs.sdk, &commands)?;
    forward::serve(api_server, (CONTROL_PLANE, API_PORT).into());
    push::serve(registry, REGISTRY_LISTEN.into(), plan.own_images());
    let nodes_side = TcpListener::bind((CONTROL_PLANE, REGISTRY_PORT))
        .map_err(ClusterError::file("listen for pulls of the nodes"))?;
    mirror::serve(nodes_side, REGISTRY_LISTEN.into());
    router::start(layout, plan)?;

    let mut children = Children::new(layout, plan, began);
    // Components that wait for no other start now, while the machines are prepared.
    children.tick()?;
    let mut machines = Machines::new(layout, plan, tools, began)?;
    for node in nodes {
        // A start takes long on a loaded machine, and Ctrl-C must not wait for all of them.
        if interrupt::requested() {
            break;
        }
        machines.start(node, Variant::default())?;
        children.tick()?;
    }
    let mut supervisor = Supervisor {
        began_at: SystemTime::now() - began.elapsed(),
        status,
        inbox,
        children,
        machines,
        unheld_since: Some(Instant::now()),
    };
    supervisor.work()
}

struct Supervisor<'a> {
    began_at: SystemTime,
    status: Status,
    inbox: Receiver<Message>,
    children: Children<'a>,
    machines: Machines<'a>,
    /// Start of the wait for `up` to hold the cluster; `None` once it has.
    unheld_since: Option<Instant>,
}

impl Supervisor<'_> {
    fn work(&mut self) -> Result<(), ClusterError> {
        loop {
            self.children.tick()?;
            self.machines.tick()?;
            self.status.show(self.report());
            let ends = match self.inbox.recv_timeout(TICK) {
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            let forgotten = self.unheld_since.is_some_and(|since| since.elapsed() > UNHELD);
            if ends {
                return Ok(());
            }
            if forgotten || interrupt::requested() {
                tracing::info!(forgotten, "ending everything");
                self.stop(Duration::ZERO);
                return Ok(());
            }
        }
    }

    /// Handles a message; `true` when the cluster has ended.
    fn handle(&mut self, message: Message) -> bool {
        match message {
            Message::Held | Message::Released => self.unheld_since = None,
            Message::Abandoned => {
                tracing::info!("`up` is gone before the cluster was ready: ending everything");
                self.stop(Duration::ZERO);
                return true;
            }
            Message::Order(Order::Stop { grace_seconds }, reply) => {
                tracing::info!(grace_seconds, "asked to end everything");
                self.stop(Duration::from_secs(grace_seconds));
                // The client sees the end of the connection, if not the answer.
                drop(reply.send(OrderResponse::Done));
                std::thread::sleep(TICK);
                return true;
            }
            Message::Order(order, reply) => {
                let answer = self.carry_out(order);
                // Whoever asks next sees what was done.
                self.status.show(self.report());
                drop(reply.send(answer));
            }
        }
        false
    }

    /// Carries out an order about one node.
    fn carry_out(&mut self, order: Order) -> OrderResponse {
        tracing::info!(?order, "order");
        let done = |()| OrderResponse::Done;
        let outcome = match order {
            Order::AddNode { variant } => self.machines.add(variant).map(|number| OrderResponse::Node { number }),
            Order::Reboot { node } => self.machines.shut_down(node, AfterShutdown::Start).map(done),
            Order::ShutDown { node } => self.machines.shut_down(node, AfterShutdown::StayOff).map(done),
            Order::RemoveNode { node } => self.machines.shut_down(node, AfterShutdown::Remove).map(done),
            Order::CutPower { node } => self.machines.cut_power(node).map(done),
            other => {
                return OrderResponse::Refused {
                    reason: format!("{other:?} came to the wrong place"),
                };
            }
        };
        outcome.unwrap_or_else(|error| OrderResponse::Refused { reason: chain(&error) })
    }

    fn stop(&mut self, grace: Duration) {
        self.machines.stop(grace);
        self.children.stop();
    }

    fn report(&self) -> SupervisorReport {
        let began = self.began_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        SupervisorReport {
            began: super::milliseconds(began),
            accelerator: Some(self.machines.verdict.clone()),
            components: self.children.reports(),
            machines: self.machines.reports(),
        }
    }
}
