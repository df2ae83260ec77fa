//! A machine of the tests' own on the network: what a node asks of it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, TcpListener};
use std::time::Duration;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{dhcpv4, tcp, udp};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use super::*;

/// Time-out of everything here, on a loaded machine.
const SOON: Duration = Duration::from_secs(30);
const OWN: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 1, 2, 3]);

/// Card of the machine: the other end of the socket.
struct Card(UnixStream);

struct Taken(Vec<u8>);

struct Given<'c>(&'c mut UnixStream);

impl RxToken for Taken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl TxToken for Given<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut frame = vec![0; length];
        let result = fill(&mut frame);
        let length = u32::try_from(length).unwrap().to_be_bytes();
        self.0.write_all(&[&length[..], &frame].concat()).unwrap();
        result
    }
}

impl Device for Card {
    type RxToken<'a> = Taken;
    type TxToken<'a> = Given<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Taken, Given<'_>)> {
        let mut length = [0; 4];
        self.0.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        self.0.read_exact(&mut length).ok()?;
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        self.0.set_read_timeout(Some(SOON)).unwrap();
        self.0.read_exact(&mut frame).ok()?;
        Some((Taken(frame), Given(&mut self.0)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Given<'_>> {
        Some(Given(&mut self.0))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

struct Client {
    interface: Interface,
    card: Card,
    sockets: SocketSet<'static>,
}

impl Client {
    fn new(lan: &Lan) -> Self {
        let mut card = Card(UnixStream::connect(&lan.socket).unwrap());
        let now = smoltcp::time::Instant::now();
        let interface = Interface::new(Config::new(HardwareAddress::Ethernet(OWN)), &mut card, now);
        let sockets = SocketSet::new(Vec::new());
        Self {
            interface,
            card,
            sockets,
        }
    }

    fn with_addresses(mut self) -> Self {
        self.interface.update_ip_addrs(|list| {
            let six = Ipv6Addr::new(0xfd87, 0, 0, 0, 0, 0, 0, 9);
            let own = [
                IpCidr::new(Ipv4Addr::new(10, 87, 0, 9).into(), 24),
                IpCidr::new(six.into(), 64),
            ];
            list.extend(own);
        });
        self
    }

    /// Works until something is there.
    fn until<T>(&mut self, mut look: impl FnMut(&mut SocketSet<'static>) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < SOON, "in vain");
            let now = smoltcp::time::Instant::now();
            self.interface.poll(now, &mut self.card, &mut self.sockets);
            if let Some(found) = look(&mut self.sockets) {
                return found;
            }
        }
    }

    /// Answer of a service over UDP.
    fn ask(&mut self, port: u16, to: IpAddress, question: &[u8]) -> Vec<u8> {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(4000 + port).unwrap();
        socket.send_slice(question, (to, port)).unwrap();
        let handle = self.sockets.add(socket);
        self.until(|sockets| {
            let received = sockets.get_mut::<udp::Socket<'_>>(handle).recv();
            received.ok().map(|(answer, _)| answer.to_vec())
        })
    }

    /// Connection to a port of the host.
    fn connect(&mut self, to: IpAddress, port: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 4096]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.connect(self.interface.context(), (to, port), 4321).unwrap();
        self.sockets.add(socket)
    }
}

fn network(behaviour: Behaviour, upstreams: &[Upstream]) -> (tempfile::TempDir, Lan) {
    let folder = tempfile::tempdir().unwrap();
    let lan = Lan::start(Utf8Path::from_path(folder.path()).unwrap(), behaviour, upstreams).unwrap();
    (folder, lan)
}

fn lease(last: u8, seconds: u32) -> Option<Lease> {
    Some(Lease {
        address: Ipv4Addr::new(10, 87, 0, last),
        seconds,
    })
}

#[test]
fn leases_are_given_renewed_and_changed() {
    let behaviour = Behaviour {
        lease: lease(50, 4),
        ..Behaviour::default()
    };
    let (_folder, lan) = network(behaviour, &[]);
    let mut client = Client::new(&lan);
    let handle = client.sockets.add(dhcpv4::Socket::new());
    let next = |client: &mut Client| {
        client.until(|sockets| match sockets.get_mut::<dhcpv4::Socket<'_>>(handle).poll()? {
            dhcpv4::Event::Configured(config) => {
                Some((config.address, config.router, config.dns_servers.first().copied()))
            }
            dhcpv4::Event::Deconfigured => None,
        })
    };
    let (address, router, dns) = next(&mut client);
    assert_eq!(address.address(), Ipv4Addr::new(10, 87, 0, 50));
    assert_eq!((router, dns), (Some(ADDRESS), Some(ADDRESS)));
    // A renewal goes from the address that was given.
    client
        .interface
        .update_ip_addrs(|list| list.extend([IpCidr::Ipv4(address)]));
    client.until(|_| (lan.seen().renewals > 0).then_some(()));
    lan.behave(|behaviour| behaviour.lease = lease(60, 600));
    let (address, ..) = next(&mut client);
    assert_eq!(address.address(), Ipv4Addr::new(10, 87, 0, 60));
    let given = [50, 60].map(|last| Ipv4Addr::new(10, 87, 0, last));
    assert_eq!(lan.seen().leases, given);
}

#[test]
fn connections_of_both_families_are_passed_on_unless_the_host_is_away() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let upstream = Upstream {
        port: 6443,
        local: server.local_addr().unwrap().port(),
    };
    std::thread::spawn(move || {
        for mut connection in server.incoming().flatten() {
            let mut line = [0; 5];
            connection.read_exact(&mut line).unwrap();
            connection.write_all(&line).unwrap();
        }
    });
    let (_folder, lan) = network(Behaviour::default(), &[upstream]);
    let mut client = Client::new(&lan).with_addresses();
    for (number, address) in [IpAddr::from(ADDRESS), ADDRESS_V6.into()].into_iter().enumerate() {
        let handle = client.connect(address.into(), 6443);
        client.until(|sockets| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(handle);
            socket.can_send().then(|| socket.send_slice(b"hello").unwrap())
        });
        let answer = client.until(|sockets| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(handle);
            (socket.recv_queue() == 5).then(|| socket.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap())
        });
        assert_eq!(answer, b"hello");
        // The server ends first, the machine after it.
        client.until(|sockets| (!sockets.get::<tcp::Socket<'_>>(handle).may_recv()).then_some(()));
        assert_eq!(lan.seen().connections, number + 1);
        client.sockets.remove(handle);
    }
    lan.behave(|behaviour| behaviour.is_away = true);
    client.connect(IpAddr::from(ADDRESS).into(), 6443);
    let began = Instant::now();
    client.until(|_| (began.elapsed() > Duration::from_millis(500)).then_some(()));
    assert_eq!(lan.seen().connections, 2);
    assert!(lan.seen().heard.contains_key(&IpAddr::from([10, 87, 0, 9])));
}

#[test]
fn time_and_names_are_told() {
    let (_folder, lan) = network(Behaviour::default(), &[]);
    let mut client = Client::new(&lan).with_addresses();
    let mut question = [0; 48];
    question[0] = 0x23;
    question[40..].copy_from_slice(b"sent at.");
    let answer = client.ask(123, IpAddr::from(ADDRESS).into(), &question);
    assert_eq!((answer.len(), answer[0], &answer[24..32]), (48, 0x24, &b"sent at."[..]));
    let seconds = u32::from_be_bytes(*answer[40..].first_chunk().unwrap());
    // 2026 is in the first era of NTP.
    assert!(seconds > 3_900_000_000, "{seconds}");
    let mut question = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    question.extend(b"\x03api\x07example\0\0\x1c\0\x01");
    let answer = client.ask(53, IpAddr::from(ADDRESS_V6).into(), &question);
    assert_eq!(answer[..8], [0xab, 0xcd, 0x85, 0x80, 0, 1, 0, 1]);
    assert!(answer.ends_with(&ADDRESS_V6.octets()), "{answer:?}");
}

#[test]
fn routers_are_advertised_to_all() {
    let behaviour = Behaviour {
        advertises: true,
        ..Behaviour::default()
    };
    let (_folder, lan) = network(behaviour, &[]);
    let mut card = Card(UnixStream::connect(&lan.socket).unwrap());
    let began = Instant::now();
    let frame = loop {
        assert!(began.elapsed() < SOON, "in vain");
        if let Some((Taken(frame), _)) = card.receive(smoltcp::time::Instant::now()) {
            break frame;
        }
    };
    // ICMPv6 of type 134 to the group of all nodes, with the prefix.
    assert_eq!((frame[20], frame[54]), (58, 134));
    assert_eq!(frame[38..54], Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).octets());
    let prefix = &Ipv6Addr::new(0xfd87, 0, 0, 0, 0, 0, 0, 0).octets();
    assert!(frame.windows(16).any(|bytes| bytes == prefix), "{frame:?}");
}
