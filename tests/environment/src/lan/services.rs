//! Services of the host over UDP: the time, and names, each of which is the host.

use std::time::SystemTime;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket};

use super::{ADDRESS, ADDRESS_V6};

/// Seconds from the era of NTP, 1900, to that of Unix.
const ERA: u64 = 2_208_988_800;
/// Most bytes of a message.
const LARGEST: usize = 1500;

/// Sockets of the services.
pub struct Services {
    time: SocketHandle,
    names: SocketHandle,
}

impl Services {
    /// Opens them.
    pub fn new(sockets: &mut SocketSet<'static>) -> Self {
        let mut open = |port: u16| {
            let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; 16], vec![0; 16 * LARGEST]);
            let mut socket = Socket::new(buffer(), buffer());
            // A port that is not 0, of a socket that has none, can be had.
            let _ = socket.bind(port);
            sockets.add(socket)
        };
        Self {
            time: open(123),
            names: open(53),
        }
    }

    /// Answers all questions.
    pub fn tick(&self, sockets: &mut SocketSet<'static>) {
        serve(sockets.get_mut(self.time), |question| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
            time_answer(question, now)
        });
        serve(sockets.get_mut(self.names), name_answer);
    }
}

fn serve(socket: &mut Socket<'_>, answer: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    while let Ok((question, from)) = socket.recv() {
        if let Some(answer) = answer(question) {
            let _ = socket.send_slice(&answer, from);
        }
    }
}

/// Answer of a time server (RFC 5905), whose clock is this machine's.
fn time_answer(question: &[u8], now: std::time::Duration) -> Option<Vec<u8>> {
    let question = question.get(..48)?;
    let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
    let stamp = ((now.as_secs() + ERA) << 32 | fraction).to_be_bytes();
    // No leap second, version 4, server; stratum 1, the interval of the question, 2^-20 s of precision.
    let mut answer = vec![0x24, 1, *question.get(2)?, 0xec];
    answer.extend([0; 8]);
    answer.extend(b"TEST");
    // Last set, asked at, received at, sent at.
    for stamp in [&stamp[..], question.get(40..48)?, &stamp, &stamp] {
        answer.extend(stamp);
    }
    Some(answer)
}

/// Answer of a name server (RFC 1035): whatever the name, it is the host's.
fn name_answer(question: &[u8]) -> Option<Vec<u8>> {
    let labels = question.get(12..)?;
    let mut end = 0;
    while let length @ 1.. = *labels.get(end)? {
        end += usize::from(length) + 1;
    }
    let asked = labels.get(..end + 5)?;
    let kind = u16::from_be_bytes(*asked.get(end + 1..)?.first_chunk()?);
    let address: &[u8] = match kind {
        1 => &ADDRESS.octets(),
        28 => &ADDRESS_V6.octets(),
        _ => &[],
    };
    let count = u8::from(!address.is_empty());
    // The identifier; an answer with authority; one question, so many answers.
    let mut answer = question.get(..2)?.to_vec();
    answer.extend([0x85, 0x80, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(asked);
    if count > 0 {
        // The name of the question, its type, the class of the Internet, a minute.
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 60, 0]);
        answer.push(u8::try_from(address.len()).ok()?);
        answer.extend(address);
    }
    Some(answer)
}
