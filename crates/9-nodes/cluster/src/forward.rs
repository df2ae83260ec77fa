//! Port forwarding into the namespace: a listener that was bound outside passes each connection on to a server inside.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;

use rustix::net::{Shutdown, shutdown};

/// Forwards connections until the process ends.
pub(crate) fn serve(listener: TcpListener, target: SocketAddr) {
    serve_with(listener, move |client| pass_on(client, target));
}

/// Calls a function with each connection, in a thread of its own, until the process ends.
pub(crate) fn serve_with(
    listener: TcpListener,
    serve_one: impl Fn(&TcpStream) -> io::Result<()> + Clone + Send + 'static,
) {
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            match connection {
                Ok(client) => {
                    let serve_one = serve_one.clone();
                    std::thread::spawn(move || {
                        // The client notices the end of its connection.
                        if let Err(error) = serve_one(&client) {
                            tracing::debug!(%error, "a connection ended");
                        }
                    });
                }
                // Out of file descriptors, perhaps: others may end meanwhile.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
            }
        }
    });
}

fn pass_on(client: &TcpStream, target: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(target)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    relay(client, &server)
}

/// Copies bytes in both directions until both sides have closed.
pub(crate) fn relay<'s, A, B>(client: &'s A, server: &'s B) -> io::Result<()>
where
    A: AsFd + Sync,
    B: AsFd + Sync,
    &'s A: io::Read + io::Write,
    &'s B: io::Read + io::Write,
{
    std::thread::scope(|scope| {
        let up = scope.spawn(move || copy(client, server));
        let down = copy(server, client);
        up.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())).and(down)
    })
}

/// Copies bytes to the end, and passes the end on.
pub(crate) fn copy(mut from: impl io::Read + AsFd, mut to: impl io::Write + AsFd) -> io::Result<()> {
    let result = io::copy(&mut from, &mut to).map(drop);
    // One side may be done while the other still sends. After a failure both directions are closed.
    let how = if result.is_ok() {
        Shutdown::Write
    } else {
        Shutdown::Both
    };
    // A side that is gone needs no end.
    let _ = shutdown(&to, how);
    if result.is_err() {
        let _ = shutdown(&from, Shutdown::Both);
    }
    result
}

/// Finds two free ports on the host's loopback device: the usual ones if possible, any others if not.
pub(crate) fn free_ports(usual: [u16; 2]) -> io::Result<[u16; 2]> {
    let bind = |port: u16| TcpListener::bind(("127.0.0.1", port)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    // Bound at the same time, so that they differ.
    let (one, other) = (bind(usual[0])?, bind(usual[1])?);
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn bytes_go_both_ways_and_ends_are_passed_on() {
        let inside = TcpListener::bind("127.0.0.1:0").expect("bound");
        let outside = TcpListener::bind("127.0.0.1:0").expect("bound");
        let (target, entrance) = (
            inside.local_addr().expect("known"),
            outside.local_addr().expect("known"),
        );
        serve(outside, target);
        let server = std::thread::spawn(move || {
            let (mut connection, _) = inside.accept().expect("accepted");
            let mut asked = String::new();
            connection.read_to_string(&mut asked).expect("read to the end");
            connection.write_all(asked.to_uppercase().as_bytes()).expect("answered");
        });
        let mut client = TcpStream::connect(entrance).expect("connected");
        let question = "question ".repeat(20_000);
        client.write_all(question.as_bytes()).expect("asked");
        client.shutdown(std::net::Shutdown::Write).expect("said all");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("answered");
        assert_eq!(answer, question.to_uppercase());
        server.join().expect("ended well");
    }

    #[test]
    fn nobody_inside_means_the_connection_ends() {
        let closed = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("bound");
        let outside = TcpListener::bind("127.0.0.1:0").expect("bound");
        let entrance = outside.local_addr().expect("known");
        serve(outside, closed);
        let mut client = TcpStream::connect(entrance).expect("connected");
        let mut nothing = Vec::new();
        assert!(matches!(client.read_to_end(&mut nothing), Ok(0) | Err(_)));
    }

    #[test]
    fn a_taken_port_is_avoided() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("bound");
        let usual = taken.local_addr().expect("known").port();
        let [one, other] = free_ports([usual, usual]).expect("others");
        assert!(one != usual && other != usual && one != other, "{one}, {other}");
    }
}
