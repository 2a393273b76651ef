//! What the enforcer and the one that listens tell each other about packets that wait (`--inline`): over a socket of their own,
//! which keeps messages apart. Nobody waits to be heard.
//!
//! The one that listens can say that a packet is to wait for more, or that it need not, and nothing else: the worst that a lie
//! does is that packets pass, as they do without it.

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};
use std::io;
use std::os::fd::OwnedFd;

/// The largest packet, and what stands before it.
pub const LONGEST: usize = 65_535 + HEAD;
const HEAD: usize = 5;
const ANSWER: usize = 5;
/// Answers that go together.
pub const TOGETHER: usize = 256;

/// Two ends.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

/// What is said of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is to wait: for more, or for an end of its connection.
    Wait,
    /// It may go on.
    Pass,
    /// So may all that come behind it.
    Over,
}

/// How many packets of beginning connections there were, and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Looked at before they went on.
    pub asked: u64,
    /// Had to wait, for more or for an end of their connection.
    pub held: u64,
    /// Let go since they had waited for long enough.
    pub late: u64,
    /// Connections in which that happened until it was enough.
    pub given_up: u64,
    /// Went on without having been looked at.
    pub unheld: u64,
}

/// What the enforcer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip<'a> {
    /// A packet that waits for a word.
    Asked(u32, &'a [u8]),
    /// One that went on.
    Shown(&'a [u8]),
    /// How it goes.
    Numbers(Numbers),
}

impl<'a> Slip<'a> {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Asked(id, packet) => [b"A", &id.to_be_bytes()[..], packet].concat(),
            Self::Shown(packet) => [b"S\0\0\0\0", *packet].concat(),
            Self::Numbers(it) => {
                let all = [it.asked, it.held, it.late, it.given_up, it.unheld];
                let all = all.iter().flat_map(|number| number.to_be_bytes());
                b"N\0\0\0\0".iter().copied().chain(all).collect()
            }
        }
    }

    fn of(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let (kind, id) = head.split_first()?;
        Some(match kind {
            b'A' => Self::Asked(u32::from_be_bytes(id.try_into().ok()?), rest),
            b'S' => Self::Shown(rest),
            b'N' => {
                let mut numbers = rest
                    .chunks_exact(8)
                    .map(|it| it.try_into().map(u64::from_be_bytes));
                let mut next = || numbers.next()?.ok();
                Self::Numbers(Numbers {
                    asked: next()?,
                    held: next()?,
                    late: next()?,
                    given_up: next()?,
                    unheld: next()?,
                })
            }
            _ => return None,
        })
    }

    /// Says it; whether there was room.
    pub fn send(&self, socket: &OwnedFd) -> bool {
        send(socket, &self.bytes(), SendFlags::NOSIGNAL).is_ok()
    }

    /// The next one; none if there is none at the moment, or will be.
    pub fn receive(socket: &OwnedFd, buffer: &'a mut [u8]) -> Option<Self> {
        let (_, length) = recv(socket, &mut *buffer, RecvFlags::DONTWAIT).ok()?;
        Self::of(buffer.get(..length)?)
    }
}

/// Says what is to become of these packets.
pub fn answer(answers: &[(u32, Word)], socket: &OwnedFd) {
    for some in answers.chunks(TOGETHER) {
        let mut bytes = Vec::with_capacity(some.len() * ANSWER);
        for (id, word) in some {
            bytes.extend(id.to_be_bytes());
            bytes.push(match word {
                Word::Wait => b'W',
                Word::Pass => b'P',
                Word::Over => b'O',
            });
        }
        // One that is not heard lets its packets go by itself.
        let _ = send(socket, &bytes, SendFlags::NOSIGNAL);
    }
}

/// What was answered. An error is the end: nobody is there any more.
pub fn answers(socket: &OwnedFd) -> io::Result<Vec<(u32, Word)>> {
    let mut all = Vec::new();
    let mut buffer = [0; ANSWER * TOGETHER];
    loop {
        let length = match recv(socket, &mut buffer, RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((_, length)) => length,
            Err(rustix::io::Errno::AGAIN) => return Ok(all),
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        for answer in buffer
            .get(..length)
            .unwrap_or_default()
            .chunks_exact(ANSWER)
        {
            if let [a, b, c, d, word] = *answer {
                all.push((
                    u32::from_be_bytes([a, b, c, d]),
                    match word {
                        b'W' => Word::Wait,
                        b'O' => Word::Over,
                        _ => Word::Pass,
                    },
                ));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let (here, there) = pair().unwrap();
        let numbers = Numbers {
            asked: 1,
            held: 2,
            late: 3,
            given_up: 4,
            unheld: u64::MAX,
        };
        let large = vec![7; 65_535];
        let all = [
            Slip::Asked(77, b"packet"),
            Slip::Shown(b""),
            Slip::Numbers(numbers),
            Slip::Asked(u32::MAX, &large),
        ];
        let mut buffer = vec![0; LONGEST];
        for slip in all {
            assert!(slip.send(&here));
            assert_eq!(Slip::receive(&there, &mut buffer), Some(slip));
        }
        assert_eq!(Slip::receive(&there, &mut buffer), None);
        let said = [(1, Word::Wait), (2, Word::Pass), (u32::MAX, Word::Over)];
        answer(&said, &there);
        answer(&said[..1], &there);
        assert_eq!(
            answers(&here).unwrap(),
            [said[0], said[1], said[2], said[0]]
        );
        assert_eq!(answers(&here).unwrap(), []);
        drop(there);
        assert!(answers(&here).is_err());
    }

    #[test]
    fn nonsense_is_nothing_or_lets_pass() {
        for bytes in [&b""[..], b"A", b"X\0\0\0\0", b"N\0\0\0\0\0\0"] {
            assert_eq!(Slip::of(bytes), None);
        }
        let (here, there) = pair().unwrap();
        send(&there, b"\0\0\0\x05?\0\0", SendFlags::NOSIGNAL).unwrap();
        assert_eq!(answers(&here).unwrap(), [(5, Word::Pass)]);
    }

    #[test]
    fn nobody_waits_for_one_that_does_not_listen() {
        let (here, _there) = pair().unwrap();
        let large = vec![7; 60_000];
        assert!((0..1000).any(|id| !Slip::Asked(id, &large).send(&here)));
    }
}
