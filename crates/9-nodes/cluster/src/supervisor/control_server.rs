//! Server of the control socket: a thread for each connection, which answers what it can and passes on the rest.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use basalt_process::without_path;

use crate::ClusterError;
use crate::api;
use crate::control::{Order, OrderResponse, SupervisorReport};
use crate::layout::Layout;

/// Message to the main thread.
pub(super) enum Message {
    /// A connection holds the cluster.
    Held,
    /// The hold was cancelled.
    Released,
    /// The connection that held the cluster has closed.
    Abandoned,
    /// Order that the main thread carries out, with the channel for its answer.
    Order(Order, SyncSender<OrderResponse>),
}

/// Last state of all components and machines, published by the main thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Status(Arc<Mutex<SupervisorReport>>);

impl Status {
    pub(super) fn show(&self, report: SupervisorReport) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = report;
    }

    fn read(&self) -> SupervisorReport {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Opens the control socket and serves it until the process ends.
pub(super) fn open(layout: &Layout, status: Status, messages: Sender<Message>) -> Result<(), ClusterError> {
    let path = layout.control_socket();
    let failed = || ClusterError::file(format!("open the socket {path}"));
    match fs_err::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed()(without_path(error, &path))),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(failed())?;
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let (status, messages) = (status.clone(), messages.clone());
            std::thread::spawn(move || serve(connection, &status, &messages));
        }
    });
    Ok(())
}

fn serve(connection: UnixStream, status: &Status, messages: &Sender<Message>) {
    let mut holds = false;
    let mut stream = BufReader::new(connection);
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|length| length > 0) {
        let answer = match serde_json::from_str(&line) {
            Ok(order) => carry_out(order, &mut holds, status, messages),
            Err(error) => OrderResponse::Refused {
                reason: format!("that is no order: {error}"),
            },
        };
        line.clear();
        let Ok(mut text) = serde_json::to_string(&answer) else {
            break;
        };
        text.push('\n');
        if stream.get_mut().write_all(text.as_bytes()).is_err() {
            break;
        }
    }
    if holds {
        // Sending fails only when the main thread has ended, and with it the cluster.
        drop(messages.send(Message::Abandoned));
    }
}

fn carry_out(order: Order, holds: &mut bool, status: &Status, messages: &Sender<Message>) -> OrderResponse {
    let send = |message| match messages.send(message) {
        Ok(()) => OrderResponse::Done,
        Err(_) => ending(),
    };
    match order {
        Order::Status => OrderResponse::Status(status.read()),
        Order::Hold => {
            *holds = true;
            send(Message::Held)
        }
        Order::Release => {
            *holds = false;
            send(Message::Released)
        }
        Order::Ask { address, port, path } => match api::page(&format!("http://{address}:{port}{path}")) {
            Ok((status, body)) => OrderResponse::Page { status, body },
            Err(error) => OrderResponse::Refused {
                reason: error.to_string(),
            },
        },
        order @ (Order::Stop { .. }
        | Order::AddNode { .. }
        | Order::Reboot { .. }
        | Order::CutPower { .. }
        | Order::RemoveNode { .. }) => {
            let (reply, answer) = sync_channel(1);
            match send(Message::Order(order, reply)) {
                OrderResponse::Done => answer.recv().unwrap_or_else(|_| ending()),
                refusal => refusal,
            }
        }
    }
}

fn ending() -> OrderResponse {
    OrderResponse::Refused {
        reason: "the cluster is ending".to_owned(),
    }
}
