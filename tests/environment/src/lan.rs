//! A network between machines and the test: a host of its own, without privileges on the machine that tests.
//!
//! ```text
//! QEMU --(frames on a Unix socket)--> ports, a hub --> Host: ARP, NDP, ping; DHCP; router advertisements; time; names
//!                                                        └--(TCP)--> upstreams: the local cluster's API server, its registry
//! ```
//!
//! The host has the addresses [`ADDRESS`] and [`ADDRESS_V6`]; what it does besides follows [`Behaviour`], which a test
//! changes while machines run, and what it saw is [`Seen`].

mod frames;
mod host;
mod relay;
mod services;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use basalt_machine::NetworkDevice;
use camino::{Utf8Path, Utf8PathBuf};

use self::host::Host;
use crate::Failed;

/// Address of the host: that of the local cluster's control plane, which its API server's certificate has.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 87, 0, 1);
/// Address of the host in the other family.
pub const ADDRESS_V6: Ipv6Addr = Ipv6Addr::new(0xfd87, 0, 0, 0, 0, 0, 0, 1);
/// Frames that wait for a machine which does not take them; more are lost.
const WAITING: usize = 1024;
/// Largest frame that QEMU sends, in bytes.
const LARGEST: usize = 1 << 16;

/// Behaviour of the host.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// Lease that it gives; without one, it is silent.
    pub lease: Option<Lease>,
    /// `true` when it is a router of the prefix of [`ADDRESS_V6`], and says so.
    pub advertises: bool,
    /// `true` when its TCP ports are as those of a machine whose cable is out.
    pub is_away: bool,
}

/// Lease of DHCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Address for whoever asks.
    pub address: Ipv4Addr,
    /// Duration in seconds; it is renewed after half of it.
    pub seconds: u32,
}

/// Observations of the host.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Addresses of leases in the order in which they were given, without renewals.
    pub leases: Vec<Ipv4Addr>,
    /// Number of renewals.
    pub renewals: usize,
    /// Number of requests for DHCP that had no answer.
    pub unanswered: usize,
    /// Number of connections that were passed on.
    pub connections: usize,
    /// Times of the last frame from each address.
    pub heard: BTreeMap<IpAddr, Instant>,
}

/// A network, until it is dropped.
#[derive(Debug)]
pub struct Lan {
    socket: Utf8PathBuf,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// State that the test shares with the threads of the network.
#[derive(Debug, Default)]
struct Shared {
    behaviour: Mutex<Behaviour>,
    seen: Mutex<Seen>,
    ports: Mutex<Vec<Port>>,
    has_ended: AtomicBool,
}

/// Connection to a card.
#[derive(Debug)]
struct Port {
    number: usize,
    frames: SyncSender<Vec<u8>>,
}

/// Frame from a card.
struct Arrival {
    port: usize,
    frame: Vec<u8>,
}

/// TCP port of the host, and the port of this machine's loopback device that its connections are passed on to.
#[derive(Debug, Clone, Copy)]
pub struct Upstream {
    /// Port of the host.
    pub port: u16,
    /// Port on 127.0.0.1.
    pub local: u16,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lan {
    /// Makes a network with its socket in a folder.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn start(folder: &Utf8Path, behaviour: Behaviour, upstreams: &[Upstream]) -> Result<Self, Failed> {
        fs_err::create_dir_all(folder)?;
        let socket = folder.join("lan.sock");
        let listener = UnixListener::bind(&socket)?;
        let shared = Arc::new(Shared::default());
        *locked(&shared.behaviour) = behaviour;
        let (sender, arrivals) = mpsc::channel();
        let (accepting, working) = (Arc::clone(&shared), Arc::clone(&shared));
        let host = Host::new(upstreams);
        let threads = vec![
            std::thread::spawn(move || accept(&listener, &accepting, &sender)),
            std::thread::spawn(move || host.work(&working, &arrivals)),
        ];
        Ok(Self {
            socket,
            shared,
            threads,
        })
    }

    /// Card of a machine on this network.
    pub fn card(&self, mac: String) -> NetworkDevice {
        NetworkDevice::Stream {
            socket: self.socket.clone(),
            listens: false,
            mac,
        }
    }

    /// Changes the behaviour of the host.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut locked(&self.shared.behaviour));
    }

    /// Observations so far.
    pub fn seen(&self) -> Seen {
        locked(&self.shared.seen).clone()
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        drop(UnixStream::connect(&self.socket));
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
        drop(fs_err::remove_file(&self.socket));
    }
}

impl Shared {
    fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }

    /// Sends a frame to all ports but one. A port whose machine is gone is forgotten.
    fn send(&self, frame: &[u8], except: Option<usize>) {
        locked(&self.ports).retain(|port| {
            Some(port.number) == except
                || !matches!(
                    port.frames.try_send(frame.to_vec()),
                    Err(mpsc::TrySendError::Disconnected(_))
                )
        });
    }
}

/// Accepts the connections of QEMU, each a port, whose threads end with it.
fn accept(listener: &UnixListener, shared: &Arc<Shared>, arrivals: &Sender<Arrival>) {
    for (number, card) in listener.incoming().flatten().enumerate() {
        if shared.has_ended() {
            return;
        }
        let Ok(writer) = card.try_clone() else { continue };
        let (sender, frames) = mpsc::sync_channel(WAITING);
        locked(&shared.ports).push(Port { number, frames: sender });
        let arrivals = arrivals.clone();
        std::thread::spawn(move || drop(read_frames(card, number, &arrivals)));
        std::thread::spawn(move || drop(write_frames(writer, &frames)));
    }
}

/// Reads frames, which have their length before them: 4 bytes, big-endian.
fn read_frames(card: UnixStream, port: usize, arrivals: &Sender<Arrival>) -> std::io::Result<()> {
    let mut card = BufReader::with_capacity(4 * LARGEST, card);
    loop {
        let mut length = [0; 4];
        card.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > LARGEST {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let mut frame = vec![0; length];
        card.read_exact(&mut frame)?;
        if arrivals.send(Arrival { port, frame }).is_err() {
            return Ok(());
        }
    }
}

fn write_frames(mut card: UnixStream, frames: &Receiver<Vec<u8>>) -> std::io::Result<()> {
    for frame in frames {
        let length = u32::try_from(frame.len()).map_err(std::io::Error::other)?;
        card.write_all(&[&length.to_be_bytes()[..], &frame].concat())?;
    }
    Ok(())
}
