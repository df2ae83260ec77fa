//! Network connection of nodes where tap devices cannot be made, because this user may not open /dev/net/tun or it does
//! not exist. Each node has a veth pair: one end is on the bridge, and frames are relayed between the other end and
//! QEMU's stream socket.
//!
//! The kernel leaves the checksums of the frames that it sends to the network card (checksum offloading); the relay
//! computes them.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

use camino::Utf8Path;
use internet_checksum::Checksum;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, bind, socket};

use crate::ClusterError;

/// Largest frame that the kernel delivers, in bytes. On QEMU's socket the length precedes each frame: 4 bytes,
/// big-endian.
const LARGEST: usize = 1 << 16;
/// Requested size of the card's receive buffer, in bytes. The kernel may grant less.
const WAITING: usize = 4 << 20;

/// Relays frames between a card and the clients of a Unix socket, until the process ends.
pub(crate) fn carry(card: &str, path: &Utf8Path) -> Result<(), ClusterError> {
    let failed = || ClusterError::file(format!("connect the card {card}"));
    let card = Arc::new(open(card).map_err(failed())?);
    let listener = UnixListener::bind(path).map_err(failed())?;
    std::thread::spawn(move || {
        for machine in listener.incoming().flatten() {
            let card = Arc::clone(&card);
            let Ok(sends) = machine.try_clone() else { continue };
            let takes = Arc::clone(&card);
            // The thread ends when QEMU closes the connection; its error needs no report.
            std::thread::spawn(move || drop(from_machine(sends, &card)));
            std::thread::spawn(move || drop(to_machine(&takes, machine)));
        }
    });
    Ok(())
}

/// Opens a packet socket on a card: each read or write is one frame.
fn open(name: &str) -> io::Result<File> {
    let cards = nix::ifaddrs::getifaddrs()?;
    let address = cards
        .filter(|card| card.interface_name == name)
        .find_map(|card| card.address.and_then(|address| address.as_link_addr().copied()))
        .ok_or(io::ErrorKind::NotFound)?;
    let card = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::EthAll,
    )?;
    bind(card.as_raw_fd(), &address)?;
    // With less, bursts are lost and sent again.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&card, WAITING);
    Ok(File::from(card))
}

fn to_machine(mut card: &File, mut machine: UnixStream) -> io::Result<()> {
    let mut buffer = vec![0; 4 + LARGEST];
    loop {
        let (head, frame) = buffer.split_at_mut(4);
        let length = card.read(frame)?;
        finish(frame.get_mut(..length).ok_or(io::ErrorKind::InvalidData)?);
        head.copy_from_slice(&u32::try_from(length).unwrap_or_default().to_be_bytes());
        machine.write_all(buffer.get(..4 + length).ok_or(io::ErrorKind::InvalidData)?)?;
    }
}

fn from_machine(machine: UnixStream, mut card: &File) -> io::Result<()> {
    let mut machine = BufReader::with_capacity(4 * LARGEST, machine);
    let mut frame = vec![0; LARGEST];
    loop {
        let mut head = [0; 4];
        machine.read_exact(&mut head)?;
        let length = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
        let frame = frame.get_mut(..length).ok_or(io::ErrorKind::InvalidData)?;
        machine.read_exact(frame)?;
        // A frame that cannot be sent is lost, as on any cable.
        if let Err(error) = card.write(frame) {
            tracing::debug!(%error, "a frame was lost");
        }
    }
}

/// Computes the checksum of a TCP or UDP segment over IPv4 and writes it into the frame; leaves other frames as they
/// are.
fn finish(frame: &mut [u8]) {
    let Some((ethernet, packet)) = frame.split_at_mut_checked(14) else {
        return;
    };
    let Some(fixed) = packet.first_chunk::<20>().copied() else {
        return;
    };
    let length = u16::from_be_bytes([fixed[2], fixed[3]]);
    let is_fragment = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x3fff != 0;
    if !ethernet.ends_with(&[8, 0]) || fixed[0] >> 4 != 4 || is_fragment {
        return;
    }
    let protocol = fixed[9];
    let place = match protocol {
        6 => 16,
        17 => 6,
        _ => return,
    };
    let bounds = usize::from(fixed[0] & 15) * 4..usize::from(length);
    let Some(segment) = packet.get_mut(bounds) else {
        return;
    };
    let Some(field) = segment.get_mut(place..place + 2) else {
        return;
    };
    field.fill(0);
    let mut sum = Checksum::new();
    sum.add_bytes(&fixed[12..20]);
    sum.add_bytes(&[0, protocol]);
    sum.add_bytes(&u16::try_from(segment.len()).unwrap_or_default().to_be_bytes());
    sum.add_bytes(segment);
    let mut sum = sum.checksum();
    if sum == [0, 0] && protocol == 17 {
        // For UDP, nothing means that there is no checksum.
        sum = [0xff, 0xff];
    }
    if let Some(field) = segment.get_mut(place..place + 2) {
        field.copy_from_slice(&sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds an Ethernet frame with an IPv4 packet.
    fn frame(protocol: u8, segment: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0]);
        frame.extend(u16::try_from(20 + segment.len()).expect("short").to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 87, 0, 1, 10, 87, 0, 11]);
        frame.extend(segment);
        frame
    }

    #[test]
    fn checksums_are_put_in_and_padding_is_not_counted() {
        // 10.87.0.1:53 to 10.87.0.11:1234 "hi", with something else where the sum belongs.
        let segment = [0, 53, 0x04, 0xd2, 0, 10, 0xaa, 0xaa, b'h', b'i'];
        let mut padded = frame(17, &segment);
        padded.resize(60, 0xee);
        finish(&mut padded);
        let (expected, rest) = ([0x7d, 0xb0], &padded[14 + 20 + 8..14 + 20 + 10]);
        assert_eq!(padded[14 + 20 + 6..14 + 20 + 8], expected);
        assert_eq!(rest, b"hi");
        assert!(padded[44..].iter().all(|byte| *byte == 0xee));
    }

    #[test]
    fn what_is_not_understood_stays_as_it_is() {
        let icmp = frame(1, &[8, 0, 0xaa, 0xaa, 0, 0, 0, 0]);
        let mut fragment = frame(17, &[0; 16]);
        fragment[14 + 6] = 0x20;
        let mut longer_than_it_is = frame(6, &[0xaa; 20]);
        longer_than_it_is[14 + 2] = 0xff;
        for given in [
            icmp,
            fragment,
            longer_than_it_is,
            vec![0xaa; 13],
            vec![0xaa; 60],
            Vec::new(),
        ] {
            let mut frame = given.clone();
            finish(&mut frame);
            assert_eq!(frame, given);
        }
    }
}
