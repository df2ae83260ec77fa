//! Frames that the host makes and understands itself: DHCP, and advertisements of a router.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Duration;
use smoltcp::wire::{
    DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr, NdiscPrefixInfoFlags,
    NdiscPrefixInformation, NdiscRepr, NdiscRouterFlags, UdpPacket, UdpRepr,
};

use super::{ADDRESS, ADDRESS_V6, Lease};

/// Hardware address of the host.
pub const MAC: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 0x87, 0, 1]);
/// Link-local address of the host.
pub const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0xff, 0xfe87, 1);
/// All nodes of a link, and their hardware address.
const ALL_NODES: (Ipv6Addr, EthernetAddress) = (
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    EthernetAddress([0x33, 0x33, 0, 0, 0, 1]),
);
/// Ports of DHCP: of servers, of clients.
const DHCP: (u16, u16) = (67, 68);
/// DHCP's option with time servers.
const TIME_SERVERS: u8 = 42;
/// Time for which an advertisement holds.
const ADVERTISED: Duration = Duration::from_secs(1800);

/// Kind of a frame, as far as it matters to the host.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// Message of a DHCP client.
    Dhcp(Request),
    /// Question for routers.
    RouterSolicitation,
    /// Segment of TCP.
    Tcp,
    /// Anything else.
    Other,
}

/// Message of a DHCP client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    kind: DhcpMessageType,
    transaction: u32,
    client: EthernetAddress,
    /// Address that the client has; unspecified when it has none.
    has: Ipv4Addr,
    /// Address that the client asks for.
    asks_for: Option<Ipv4Addr>,
}

/// Answer to a DHCP client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Offer of the lease.
    Offer,
    /// The lease is the client's: anew, or again.
    Acknowledgement {
        /// `true` if the client had it.
        is_renewal: bool,
    },
    /// Refusal: the client asks for another address.
    Refusal,
}

/// Kind and sender of a frame.
pub fn read(frame: &[u8]) -> (Kind, Option<IpAddr>) {
    let Ok(frame) = EthernetFrame::new_checked(frame) else {
        return (Kind::Other, None);
    };
    match frame.ethertype() {
        EthernetProtocol::Ipv4 => read_v4(frame.payload()),
        EthernetProtocol::Ipv6 => read_v6(frame.payload()),
        _ => (Kind::Other, None),
    }
}

fn read_v4(payload: &[u8]) -> (Kind, Option<IpAddr>) {
    let Ok(packet) = Ipv4Packet::new_checked(payload) else {
        return (Kind::Other, None);
    };
    let kind = match packet.next_header() {
        IpProtocol::Tcp => Kind::Tcp,
        IpProtocol::Udp => read_dhcp(packet.payload()).map_or(Kind::Other, Kind::Dhcp),
        _ => Kind::Other,
    };
    (kind, Some(packet.src_addr().into()))
}

fn read_v6(payload: &[u8]) -> (Kind, Option<IpAddr>) {
    let Ok(packet) = Ipv6Packet::new_checked(payload) else {
        return (Kind::Other, None);
    };
    // Type 133 of ICMPv6.
    let kind = match (packet.next_header(), packet.payload().first()) {
        (IpProtocol::Tcp, _) => Kind::Tcp,
        (IpProtocol::Icmpv6, Some(133)) => Kind::RouterSolicitation,
        _ => Kind::Other,
    };
    (kind, Some(packet.src_addr().into()))
}

fn read_dhcp(segment: &[u8]) -> Option<Request> {
    let segment = UdpPacket::new_checked(segment).ok()?;
    if segment.dst_port() != DHCP.0 {
        return None;
    }
    let packet = DhcpPacket::new_checked(segment.payload()).ok()?;
    let message = DhcpRepr::parse(&packet).ok()?;
    Some(Request {
        kind: message.message_type,
        transaction: message.transaction_id,
        client: message.client_hardware_address,
        has: message.client_ip,
        asks_for: message.requested_ip,
    })
}

/// Answer of a server with one lease; none to messages that want none.
pub fn answer(request: &Request, lease: Lease) -> Option<Answer> {
    match request.kind {
        DhcpMessageType::Discover => Some(Answer::Offer),
        DhcpMessageType::Request => {
            let is_renewal = !request.has.is_unspecified();
            let wanted = request.asks_for.unwrap_or(request.has);
            Some(if wanted == lease.address {
                Answer::Acknowledgement { is_renewal }
            } else {
                Answer::Refusal
            })
        }
        _ => None,
    }
}

/// Frames of an answer. A refusal goes to all, and to the client by itself: one that renews may listen at its address only.
pub fn dhcp_frames(request: &Request, lease: Lease, answer: Answer) -> Vec<Vec<u8>> {
    let has_address = !request.has.is_unspecified();
    let to_client = dhcp_frame(request, lease, answer, (request.client, request.has));
    let to_all = dhcp_frame(
        request,
        lease,
        answer,
        (EthernetAddress::BROADCAST, Ipv4Addr::BROADCAST),
    );
    match answer {
        Answer::Refusal if has_address => vec![to_client, to_all],
        _ if has_address => vec![to_client],
        _ => vec![to_all],
    }
}

fn dhcp_frame(request: &Request, lease: Lease, answer: Answer, to: (EthernetAddress, Ipv4Addr)) -> Vec<u8> {
    let message_type = match answer {
        Answer::Offer => DhcpMessageType::Offer,
        Answer::Acknowledgement { .. } => DhcpMessageType::Ack,
        Answer::Refusal => DhcpMessageType::Nak,
    };
    let is_refusal = answer == Answer::Refusal;
    let time_servers = [DhcpOption {
        kind: TIME_SERVERS,
        data: &ADDRESS.octets(),
    }];
    let given = |value: Ipv4Addr| (!is_refusal).then_some(value);
    let message = DhcpRepr {
        message_type,
        transaction_id: request.transaction,
        secs: 0,
        client_hardware_address: request.client,
        client_ip: if is_refusal { Ipv4Addr::UNSPECIFIED } else { request.has },
        your_ip: given(lease.address).unwrap_or(Ipv4Addr::UNSPECIFIED),
        server_ip: ADDRESS,
        router: given(ADDRESS),
        subnet_mask: given(Ipv4Addr::new(255, 255, 255, 0)),
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(ADDRESS),
        parameter_request_list: None,
        dns_servers: (!is_refusal).then(|| [ADDRESS].into_iter().collect()),
        max_size: None,
        lease_duration: (!is_refusal).then_some(lease.seconds),
        renew_duration: (!is_refusal).then_some(lease.seconds / 2),
        rebind_duration: (!is_refusal).then_some(lease.seconds / 8 * 7),
        additional_options: if is_refusal { &[] } else { &time_servers },
    };
    let mut payload = vec![0; message.buffer_len()];
    // The buffer has the length that the message wants.
    let _ = message.emit(&mut DhcpPacket::new_unchecked(&mut payload[..]));
    udp_frame(to, &payload)
}

/// Frame of the host's DHCP server with this payload.
fn udp_frame((mac, address): (EthernetAddress, Ipv4Addr), payload: &[u8]) -> Vec<u8> {
    let udp = UdpRepr {
        src_port: DHCP.0,
        dst_port: DHCP.1,
    };
    let length = udp.header_len() + payload.len();
    let ip = Ipv4Repr {
        src_addr: ADDRESS,
        dst_addr: address,
        next_header: IpProtocol::Udp,
        payload_len: length,
        hop_limit: 64,
    };
    let mut bytes = ethernet(mac, EthernetProtocol::Ipv4, ip.buffer_len() + length);
    let checksums = ChecksumCapabilities::default();
    let (_, packet) = bytes.split_at_mut(EthernetFrame::<&[u8]>::header_len());
    ip.emit(&mut Ipv4Packet::new_unchecked(&mut *packet), &checksums);
    let (_, segment) = packet.split_at_mut(ip.buffer_len());
    udp.emit(
        &mut UdpPacket::new_unchecked(segment),
        &ADDRESS.into(),
        &address.into(),
        payload.len(),
        |place| place.copy_from_slice(payload),
        &checksums,
    );
    bytes
}

/// Advertisement of the host as a router of its prefix.
pub fn advertisement() -> Vec<u8> {
    let prefix = NdiscPrefixInformation {
        prefix_len: 64,
        flags: NdiscPrefixInfoFlags::ON_LINK | NdiscPrefixInfoFlags::ADDRCONF,
        valid_lifetime: ADVERTISED,
        preferred_lifetime: ADVERTISED,
        prefix: Ipv6Addr::from_bits(ADDRESS_V6.to_bits() >> 64 << 64),
    };
    let message = Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
        hop_limit: 64,
        flags: NdiscRouterFlags::empty(),
        router_lifetime: ADVERTISED,
        reachable_time: Duration::ZERO,
        retrans_time: Duration::ZERO,
        lladdr: Some(MAC.into()),
        mtu: None,
        prefix_info: Some(prefix),
    });
    let (address, mac) = ALL_NODES;
    let ip = Ipv6Repr {
        src_addr: LINK_LOCAL,
        dst_addr: address,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        hop_limit: 255,
    };
    let mut bytes = ethernet(mac, EthernetProtocol::Ipv6, ip.buffer_len() + message.buffer_len());
    let (_, packet) = bytes.split_at_mut(EthernetFrame::<&[u8]>::header_len());
    ip.emit(&mut Ipv6Packet::new_unchecked(&mut *packet));
    let (_, payload) = packet.split_at_mut(ip.buffer_len());
    message.emit(
        &LINK_LOCAL,
        &address,
        &mut Icmpv6Packet::new_unchecked(payload),
        &ChecksumCapabilities::default(),
    );
    bytes
}

/// Frame of the host with room for a payload.
fn ethernet(to: EthernetAddress, ethertype: EthernetProtocol, payload: usize) -> Vec<u8> {
    let header = EthernetRepr {
        src_addr: MAC,
        dst_addr: to,
        ethertype,
    };
    let mut bytes = vec![0; EthernetFrame::<&[u8]>::buffer_len(payload)];
    header.emit(&mut EthernetFrame::new_unchecked(&mut bytes));
    bytes
}
