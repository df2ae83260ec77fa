//! Server of the control socket: a thread for each connection, which answers what it can and passes on the rest.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use basalt_process::without_path;

use crate::ClusterError;
use crate::api;
use crate::control::{Order, OrderResponse, SupervisorReport};
use crate::forward;
use crate::layout::Layout;

/// Time-out of a connection to a server inside the cluster.
const CONNECTING: Duration = Duration::from_secs(10);

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
            Ok(Order::Connect { address, port }) => match connect(address, port) {
                Ok(server) => return pass_on(stream.into_inner(), &server),
                Err(error) => OrderResponse::Refused {
                    reason: format!("{address}:{port}: {error}"),
                },
            },
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

/// Connects to a server inside the cluster.
fn connect(address: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let server = TcpStream::connect_timeout(&(address, port).into(), CONNECTING)?;
    server.set_nodelay(true)?;
    Ok(server)
}

/// Answers that the server is connected, and copies bytes in both directions until both sides have closed.
fn pass_on(mut client: UnixStream, server: &TcpStream) {
    let passed = serde_json::to_string(&OrderResponse::Done)
        .map_err(io::Error::from)
        .and_then(|text| client.write_all(format!("{text}\n").as_bytes()))
        .and_then(|()| forward::relay(&client, server));
    if let Err(error) = passed {
        tracing::debug!(%error, "a connection ended");
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
        // Taken out before: the rest of its connection is no order.
        Order::Connect { .. } => ending(),
        order @ (Order::Stop { .. }
        | Order::AddNode { .. }
        | Order::Reboot { .. }
        | Order::ShutDown { .. }
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{Shutdown, TcpListener};
    use std::sync::mpsc::channel;

    use super::*;

    /// Connection to a server of the control socket, after an order, with its answer.
    fn ordered(order: &Order) -> (BufReader<UnixStream>, OrderResponse) {
        let (client, connection) = UnixStream::pair().expect("a pair");
        let (messages, _inbox) = channel();
        std::thread::spawn(move || serve(connection, &Status::default(), &messages));
        let mut client = BufReader::new(client);
        let text = serde_json::to_string(order).expect("JSON");
        writeln!(client.get_mut(), "{text}").expect("written");
        let mut answer = String::new();
        client.read_line(&mut answer).expect("read");
        let answer = serde_json::from_str(&answer).expect("an answer");
        (client, answer)
    }

    fn order_to(listener: &TcpListener) -> Order {
        Order::Connect {
            address: Ipv4Addr::LOCALHOST,
            port: listener.local_addr().expect("known").port(),
        }
    }

    #[test]
    fn a_connection_becomes_one_to_a_server() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let order = order_to(&listener);
        let server = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().expect("accepted");
            // A server that speaks first, as one of SSH does.
            connection.write_all(b"hello ").expect("written");
            let mut asked = String::new();
            connection.read_to_string(&mut asked).expect("read to the end");
            connection.write_all(asked.as_bytes()).expect("answered");
        });
        let (mut client, answer) = ordered(&order);
        assert_eq!(answer, OrderResponse::Done);
        client.get_mut().write_all(b"world").expect("written");
        client.get_mut().shutdown(Shutdown::Write).expect("said all");
        let mut text = String::new();
        client.read_to_string(&mut text).expect("answered");
        assert_eq!(text, "hello world");
        server.join().expect("ended well");
    }

    #[test]
    fn a_server_that_is_not_there_is_a_refusal() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let order = order_to(&listener);
        drop(listener);
        let (_, answer) = ordered(&order);
        assert!(matches!(answer, OrderResponse::Refused { .. }), "{answer:?}");
    }
}
