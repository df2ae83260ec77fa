//! The host on the network: a TCP/IP stack in a thread.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::wire::{HardwareAddress, IpCidr};

use super::frames::{self, Answer, Kind, LINK_LOCAL, MAC, Request};
use super::relay::Relay;
use super::services::Services;
use super::{ADDRESS, ADDRESS_V6, Arrival, Shared, Upstream, locked};

/// Longest pause between looks at connections, which are not waited for.
const PAUSE: Duration = Duration::from_millis(4);
/// Pause between advertisements that nobody asked for.
const ADVERTISING: Duration = Duration::from_secs(10);

/// Stack of the host.
pub struct Host {
    interface: Interface,
    wire: Wire,
    sockets: SocketSet<'static>,
    relay: Relay,
    services: Services,
    advertised: Option<Instant>,
}

/// Frames on their way from and to the stack.
#[derive(Default)]
struct Wire {
    received: VecDeque<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
}

struct Received(Vec<u8>);

struct Sending<'w>(&'w mut VecDeque<Vec<u8>>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut frame = vec![0; length];
        let result = fill(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Sending<'_>)> {
        let frame = self.received.pop_front()?;
        Some((Received(frame), Sending(&mut self.sent)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sending<'_>> {
        Some(Sending(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

impl Host {
    /// Makes the stack.
    pub fn new(upstreams: &[Upstream]) -> Self {
        let mut wire = Wire::default();
        let now = smoltcp::time::Instant::now();
        let mut interface = Interface::new(Config::new(HardwareAddress::Ethernet(MAC)), &mut wire, now);
        let addresses: [(IpAddr, u8); 3] = [(ADDRESS.into(), 24), (ADDRESS_V6.into(), 64), (LINK_LOCAL.into(), 64)];
        interface.update_ip_addrs(|list| {
            list.extend(addresses.map(|(address, length)| IpCidr::new(address.into(), length)));
        });
        let mut sockets = SocketSet::new(Vec::new());
        Self {
            interface,
            wire,
            relay: Relay::new(upstreams),
            services: Services::new(&mut sockets),
            sockets,
            advertised: None,
        }
    }

    /// Works until the network ends.
    pub fn work(mut self, shared: &Shared, arrivals: &Receiver<Arrival>) {
        while !shared.has_ended() {
            match arrivals.recv_timeout(PAUSE) {
                Ok(arrival) => {
                    self.take(shared, arrival);
                    while let Ok(more) = arrivals.try_recv() {
                        self.take(shared, more);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.poll();
            let connections = self.relay.tick(&mut self.sockets);
            locked(&shared.seen).connections += connections;
            self.services.tick(&mut self.sockets);
            self.poll();
            self.advertise(shared);
            for frame in self.wire.sent.drain(..) {
                shared.send(&frame, None);
            }
        }
    }

    fn poll(&mut self) {
        let now = smoltcp::time::Instant::now();
        self.interface.poll(now, &mut self.wire, &mut self.sockets);
    }

    /// Takes in a frame: the other cards get it, too, as behind a hub.
    fn take(&mut self, shared: &Shared, Arrival { port, frame }: Arrival) {
        shared.send(&frame, Some(port));
        let (kind, sender) = frames::read(&frame);
        if let Some(sender) = sender {
            locked(&shared.seen).heard.insert(sender, Instant::now());
        }
        let behaviour = locked(&shared.behaviour).clone();
        match kind {
            Kind::Dhcp(request) => match behaviour.lease {
                Some(lease) => self.lease(shared, &request, lease),
                None => locked(&shared.seen).unanswered += 1,
            },
            Kind::RouterSolicitation => self.advertised = None,
            Kind::Tcp if behaviour.is_away => {}
            Kind::Tcp | Kind::Other => self.wire.received.push_back(frame),
        }
    }

    fn lease(&mut self, shared: &Shared, request: &Request, lease: super::Lease) {
        let Some(answer) = frames::answer(request, lease) else {
            return;
        };
        let mut seen = locked(&shared.seen);
        match answer {
            Answer::Acknowledgement { is_renewal: true } => seen.renewals += 1,
            Answer::Acknowledgement { is_renewal: false } => seen.leases.push(lease.address),
            Answer::Offer | Answer::Refusal => {}
        }
        drop(seen);
        self.wire.sent.extend(frames::dhcp_frames(request, lease, answer));
    }

    fn advertise(&mut self, shared: &Shared) {
        let is_recent = self.advertised.is_some_and(|last| last.elapsed() < ADVERTISING);
        if !is_recent && locked(&shared.behaviour).advertises {
            self.advertised = Some(Instant::now());
            self.wire.sent.push_back(frames::advertisement());
        }
    }
}
