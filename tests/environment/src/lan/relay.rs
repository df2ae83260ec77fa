//! TCP connections to the host, passed on to ports of this machine.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};

use super::Upstream;

/// Sockets of each port that wait for a connection.
const LISTENING: usize = 8;
/// Sizes of the buffers of a connection, in bytes: of what the machine sends, of what it gets.
const BUFFERS: (usize, usize) = (64 << 10, 256 << 10);

/// Connections of all ports.
pub struct Relay {
    upstreams: Vec<Upstream>,
    connections: Vec<Connection>,
}

struct Connection {
    handle: SocketHandle,
    upstream: Upstream,
    server: Option<TcpStream>,
}

impl Relay {
    /// A relay without connections.
    pub fn new(upstreams: &[Upstream]) -> Self {
        Self {
            upstreams: upstreams.to_vec(),
            connections: Vec::new(),
        }
    }

    /// Moves what there is to move, and returns the number of new connections.
    pub fn tick(&mut self, sockets: &mut SocketSet<'static>) -> usize {
        let mut new = 0;
        self.connections.retain_mut(|connection| {
            let socket = sockets.get_mut::<Socket<'_>>(connection.handle);
            let before = connection.server.is_some();
            connection.tick(socket);
            new += usize::from(!before && connection.server.is_some());
            let is_over = matches!(socket.state(), State::Closed | State::TimeWait);
            if is_over {
                sockets.remove(connection.handle);
            }
            !is_over
        });
        for upstream in &self.upstreams {
            let of_port = self
                .connections
                .iter()
                .filter(|other| other.upstream.port == upstream.port);
            let waiting = of_port.filter(|other| sockets.get::<Socket<'_>>(other.handle).state() == State::Listen);
            for _ in waiting.count()..LISTENING {
                let (received, sent) = BUFFERS;
                let mut socket = Socket::new(SocketBuffer::new(vec![0; received]), SocketBuffer::new(vec![0; sent]));
                socket.set_nagle_enabled(false);
                if socket.listen(upstream.port).is_ok() {
                    self.connections.push(Connection {
                        handle: sockets.add(socket),
                        upstream: *upstream,
                        server: None,
                    });
                }
            }
        }
        new
    }
}

impl Connection {
    fn tick(&mut self, socket: &mut Socket<'_>) {
        if self.server.is_none() && socket.may_recv() && socket.may_send() {
            self.server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.upstream.local))
                .and_then(|server| server.set_nonblocking(true).map(|()| server))
                .ok();
            if self.server.is_none() {
                socket.abort();
            }
        }
        let Some(server) = &mut self.server else { return };
        if !to_server(socket, server) || !from_server(socket, server) {
            socket.abort();
        }
    }
}

/// Passes on what the machine has sent; `false` when the server does not take it any more.
fn to_server(socket: &mut Socket<'_>, server: &mut TcpStream) -> bool {
    while socket.can_recv() {
        let written = socket.recv(|bytes| match server.write(bytes) {
            Ok(length) => (length, Ok(length)),
            Err(error) => (0, Err(error)),
        });
        match written {
            Ok(Ok(length)) if length > 0 => {}
            Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => return true,
            _ => return false,
        }
    }
    if !socket.may_recv() {
        // The machine has said all; it may still be told something.
        drop(server.shutdown(Shutdown::Write));
    }
    true
}

/// Passes on what the server has sent; `false` when it broke the connection.
fn from_server(socket: &mut Socket<'_>, server: &mut TcpStream) -> bool {
    while socket.can_send() {
        let read = socket.send(|place| match server.read(place) {
            Ok(length) => (length, Ok(length)),
            Err(error) => (0, Err(error)),
        });
        match read {
            Ok(Ok(0)) => {
                socket.close();
                return true;
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => return true,
            _ => return false,
        }
    }
    true
}
