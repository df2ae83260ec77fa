//! Ways out by sockets.

use std::io;
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::Mutex;

use basalt_sandbox::{ConfinementLayer, Network};

use crate::fixture::done;
use crate::{Attempt, AttemptTarget};

/// Layers that keep a program from raw access to a network.
const RAW: &[ConfinementLayer] = &[
    ConfinementLayer::SystemCalls,
    ConfinementLayer::Capabilities,
    ConfinementLayer::UserNamespace,
];

pub fn attempts() -> Vec<Attempt> {
    vec![
        Attempt {
            loosen: |sandbox, _| sandbox.network(Network::Inherited),
            ..Attempt::new("the_hosts_loopback_is_connected_to", &[], |target| {
                TcpStream::connect(("127.0.0.1", target.port)).map(drop)
            })
        },
        Attempt {
            prepare: |sandbox, _| {
                listen();
                sandbox
            },
            loosen: |sandbox, _| sandbox.network(Network::Inherited),
            ..Attempt::new(
                "an_abstract_socket_is_connected_to",
                &[ConfinementLayer::Landlock],
                connect_abstract,
            )
        },
        Attempt {
            prepare: |sandbox, _| {
                listen();
                sandbox.network(Network::Inherited)
            },
            ..Attempt::new(
                "an_abstract_socket_is_connected_to_by_a_service",
                &[ConfinementLayer::Landlock],
                connect_abstract,
            )
        },
        Attempt::new("a_raw_socket_is_opened", RAW, |_| {
            socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)
        }),
        Attempt::new("a_packet_socket_is_opened", RAW, |_| {
            socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0)
        }),
        Attempt::new(
            "events_of_devices_are_listened_to",
            &[ConfinementLayer::SystemCalls],
            |_| socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_KOBJECT_UEVENT),
        ),
    ]
}

fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<()> {
    // SAFETY: it takes no pointer.
    done(unsafe { libc::socket(family, kind, protocol) })
}

fn address(process: u32) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("basalt-escape-{process}"))
}

/// The test listens on one abstract socket from here on.
fn listen() {
    static LISTENER: Mutex<Option<UnixListener>> = Mutex::new(None);
    LISTENER.lock().expect("not poisoned").get_or_insert_with(|| {
        let address = address(std::process::id()).expect("an address");
        UnixListener::bind_addr(&address).expect("bound")
    });
}

fn connect_abstract(target: &AttemptTarget) -> io::Result<()> {
    UnixStream::connect_addr(&address(target.process.unsigned_abs())?).map(drop)
}
