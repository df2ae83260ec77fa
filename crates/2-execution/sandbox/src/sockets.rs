//! Memory of the sockets of a network namespace. What was sent and not yet received belongs to no process.
//!
//! In a sandbox without a network the loopback device is down, so that only two kinds of sockets hold data: Unix
//! sockets, of which `sock_diag(7)` tells it, and those of netlink. A socket that was closed after it had sent appears in
//! neither list, and its data waits at the receiver; the kernel still counts it among the sockets of the namespace.

use std::os::fd::OwnedFd;
use std::{fs, io};

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, sockopt};

/// Bytes that the kernel keeps for each socket, besides its buffers: socket, inode and file.
const SOCKET: u64 = 4096;
/// Largest part of an answer that the kernel sends at once.
const PART: usize = 64 * 1024;
/// Size of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Size of `struct unix_diag_msg`, which follows it.
const UNIX_MESSAGE: usize = 16;
/// Type of a request to `sock_diag`, and of what it answers: SOCK_DIAG_BY_FAMILY.
const BY_FAMILY: u16 = 20;
/// NLM_F_REQUEST and NLM_F_DUMP.
const DUMP: u16 = 0x301;
/// NLMSG_ERROR.
const ERROR: u16 = 2;
/// NLMSG_DONE.
const DONE: u16 = 3;
/// UDIAG_SHOW_MEMINFO.
const SHOW_MEMORY: u32 = 0x20;
/// UNIX_DIAG_MEMINFO.
const MEMORY: u16 = 5;
/// Places in the array of UNIX_DIAG_MEMINFO: what waits to be received, what was sent and not received, options,
/// backlog (SK_MEMINFO_RMEM_ALLOC, _WMEM_ALLOC, _OPTMEM, _BACKLOG).
const HELD: [usize; 4] = [0, 2, 6, 7];

/// Sockets of a kind: their number, and the bytes in their buffers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sockets {
    number: u64,
    bytes: u64,
}

/// Connection to the kernel by which the sockets of our network namespace are measured.
pub(crate) struct SocketSampler {
    connection: OwnedFd,
    /// Most bytes that one socket may have sent and not yet be rid of.
    most: u64,
}

impl SocketSampler {
    /// # Errors
    /// When there is no descriptor or memory for a socket.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let kind = Some(netlink::SOCK_DIAG);
        let connection = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, kind)?;
        // More than `net.core.wmem_max` is cut to it, and what was set is answered.
        let probe = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_send_buffer_size(&probe, 1 << 30)?;
        let most = sockopt::socket_send_buffer_size(&probe)?;
        Ok(Self {
            connection,
            most: u64::try_from(most).unwrap_or(u64::MAX),
        })
    }

    /// Bytes of all sockets; no more are counted where their number alone makes more than `enough`.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub(crate) fn memory(&self, enough: u64) -> io::Result<u64> {
        let before = number_in_all()?;
        let sum = before.saturating_mul(SOCKET);
        if sum > enough {
            return Ok(sum);
        }
        let Some(unix) = self.unix()? else {
            return Ok(sum);
        };
        let netlink = netlink_sockets(&fs::read_to_string("/proc/net/netlink")?);
        // Sockets that come or go meanwhile are no closed ones.
        let number = before.min(number_in_all()?);
        let known = unix.number + netlink.number + number_of_internet()?;
        let closed = number.saturating_sub(known).saturating_mul(self.most);
        Ok(sum
            .saturating_add(unix.bytes)
            .saturating_add(netlink.bytes)
            .saturating_add(closed))
    }

    /// Unix sockets; none where the kernel has no diagnostics of them (CONFIG_UNIX_DIAG).
    fn unix(&self) -> io::Result<Option<Sockets>> {
        rustix::io::retry_on_intr(|| rustix::net::send(&self.connection, &unix_request(), SendFlags::empty()))?;
        let mut sockets = Sockets::default();
        let mut part = vec![0; PART];
        loop {
            let received = rustix::io::retry_on_intr(|| {
                rustix::net::recv(&self.connection, part.as_mut_slice(), RecvFlags::empty())
            });
            let (length, _) = received?;
            match take(part.get(..length).unwrap_or_default(), &mut sockets) {
                Ok(true) => return Ok(Some(sockets)),
                Ok(false) => {}
                Err(Errno::NOENT | Errno::OPNOTSUPP) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A request for the memory of all Unix sockets: `struct nlmsghdr` and `struct unix_diag_req`.
fn unix_request() -> Vec<u8> {
    let mut request = Vec::from(40_u32.to_ne_bytes());
    request.extend(BY_FAMILY.to_ne_bytes());
    request.extend(DUMP.to_ne_bytes());
    request.extend([0; 8]);
    request.extend([u8::try_from(libc::AF_UNIX).unwrap_or_default(), 0, 0, 0]);
    // In all states, of every inode.
    request.extend(u32::MAX.to_ne_bytes());
    request.extend([0; 4]);
    request.extend(SHOW_MEMORY.to_ne_bytes());
    request.extend([0; 8]);
    request
}

/// Adds the sockets of a part of an answer; `true` for the last part.
fn take(mut part: &[u8], sockets: &mut Sockets) -> rustix::io::Result<bool> {
    while let (Some(length), Some(kind)) = (u32_at(part, 0), u16_at(part, 4)) {
        let length = usize::try_from(length).unwrap_or_default();
        let message = part.get(..length).filter(|message| message.len() >= HEADER);
        let Some(message) = message else {
            return Err(Errno::BADMSG);
        };
        match kind {
            DONE => return Ok(true),
            ERROR => {
                let number = u32_at(message, HEADER).unwrap_or_default();
                return Err(Errno::from_raw_os_error(number.cast_signed().saturating_neg()));
            }
            BY_FAMILY => {
                sockets.number += 1;
                sockets.bytes += memory_of(message.get(HEADER + UNIX_MESSAGE..).unwrap_or_default());
            }
            _ => {}
        }
        part = part.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// Bytes that the attributes (`struct rtattr`) of one socket name.
fn memory_of(mut attributes: &[u8]) -> u64 {
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let length = usize::from(length).max(4);
        if kind == MEMORY {
            let values = attributes.get(4..length).unwrap_or_default();
            return HELD
                .iter()
                .filter_map(|place| u32_at(values, place * 4))
                .map(u64::from)
                .sum();
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    0
}

fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    let bytes = bytes.get(place..place + 4)?;
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

fn u16_at(bytes: &[u8], place: usize) -> Option<u16> {
    let bytes = bytes.get(place..place + 2)?;
    bytes.try_into().ok().map(u16::from_ne_bytes)
}

/// Netlink sockets of programs in `/proc/net/netlink`; those of the kernel itself have the port 0.
fn netlink_sockets(table: &str) -> Sockets {
    let mut sockets = Sockets::default();
    for line in table.lines().skip(1) {
        let fields: Vec<_> = line.split_whitespace().collect();
        let field = |place: usize| fields.get(place)?.parse::<u64>().ok();
        if field(2).is_some_and(|port| port != 0) {
            sockets.number += 1;
            sockets.bytes += field(4).unwrap_or_default() + field(5).unwrap_or_default();
        }
    }
    sockets
}

/// Number of sockets in our network namespace, with closed ones whose data was not received yet.
fn number_in_all() -> io::Result<u64> {
    Ok(in_use(&fs::read_to_string("/proc/net/sockstat")?, "sockets", "used"))
}

/// Number of sockets of TCP and UDP, which can hold nothing.
fn number_of_internet() -> io::Result<u64> {
    let four = fs::read_to_string("/proc/net/sockstat")?;
    let six = match fs::read_to_string("/proc/net/sockstat6") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    let of = |text, protocol| in_use(text, protocol, "inuse");
    Ok(of(&four, "TCP") + of(&four, "UDP") + of(&six, "TCP6") + of(&six, "UDP6"))
}

/// A number in a line like `TCP: inuse 1 orphan 0`.
fn in_use(text: &str, protocol: &str, name: &str) -> u64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(protocol)?.strip_prefix(':'));
    let mut words = line.unwrap_or_default().split_whitespace();
    words.find(|word| *word == name);
    words.next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + body.len()).expect("short");
        let mut message = Vec::from(length.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(body);
        message
    }

    #[test]
    fn what_sockets_hold_is_added_up() {
        let mut socket = vec![0; UNIX_MESSAGE];
        // Another attribute of five bytes, with what aligns it.
        socket.extend([9, 0, 1, 0, 1, 2, 3, 4, 5, 0, 0, 0]);
        socket.extend(40_u16.to_ne_bytes());
        socket.extend(MEMORY.to_ne_bytes());
        for value in [100_u32, 7777, 2000, 7777, 7777, 7777, 30_000, 400_000, 7777] {
            socket.extend(value.to_ne_bytes());
        }
        let mut sockets = Sockets::default();
        let part = [message(BY_FAMILY, &socket), message(BY_FAMILY, &[0; UNIX_MESSAGE])].concat();
        assert_eq!(take(&part, &mut sockets), Ok(false));
        assert_eq!(
            sockets,
            Sockets {
                number: 2,
                bytes: 432_100
            }
        );
        assert_eq!(take(&message(DONE, &[0; 4]), &mut sockets), Ok(true));
        let refused = message(ERROR, &(-libc::ENOENT).to_ne_bytes());
        assert_eq!(take(&refused, &mut sockets), Err(Errno::NOENT));
        assert_eq!(take(&part[..40], &mut sockets), Err(Errno::BADMSG));
    }

    #[test]
    fn numbers_are_read_from_the_tables() {
        let text = "sockets: used 36\nTCP: inuse 5 orphan 0 tw 0 alloc 1 mem 0\nUDP: inuse 0 mem 0\n";
        assert_eq!(in_use(text, "sockets", "used"), 36);
        assert_eq!(in_use(text, "TCP", "inuse"), 5);
        assert_eq!(in_use(text, "TCP6", "inuse"), 0);
        let table = "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode\n\
                     00 0   0   0000   9    9    0    2     0     31\n\
                     00 0   712 0000   5    6    0    2     0     31\n";
        assert_eq!(netlink_sockets(table), Sockets { number: 1, bytes: 11 });
    }

    #[test]
    fn what_nobody_received_counts() {
        let sampler = SocketSampler::new().expect("a socket");
        let (sender, _receiver) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .expect("a pair");
        let Some(before) = sampler.unix().expect("an answer") else {
            basalt_test_output::skip("what_nobody_received_counts", "the kernel has no CONFIG_UNIX_DIAG");
            return;
        };
        rustix::net::send(&sender, &[1; 100_000], SendFlags::empty()).expect("sent");
        let after = sampler.unix().expect("an answer").expect("as before");
        // Other tests of this machine have sockets as well.
        assert!(before.number >= 2 && after.bytes >= 100_000, "{before:?} {after:?}");
    }
}
