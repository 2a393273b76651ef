//! The kernel's queue of packets that wait for a word (`linux/netfilter/nfnetlink_queue.h`).
//!
//! The crate `nfq` speaks this as well, but has nothing to wait on together with other sockets, and panics where a message is
//! not what it expects; what is needed of it is two messages, of the same make as those of [`super::connection`].

use super::netlink::{self, attribute, attributes, kind, message, outcome, send, word};
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt::RcvBufForce};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// `NFNL_SUBSYS_QUEUE`, and its messages.
const PACKET: u16 = 3 << 8;
const VERDICT: u16 = 3 << 8 | 1;
const CONFIG: u16 = 3 << 8 | 2;
const NFQA_PACKET_HDR: u16 = 1;
const NFQA_VERDICT_HDR: u16 = 2;
const NFQA_PAYLOAD: u16 = 10;
const NFQA_CFG_CMD: u16 = 1;
const NFQA_CFG_PARAMS: u16 = 2;
const NFQA_CFG_QUEUE_MAXLEN: u16 = 3;
const NFQA_CFG_MASK: u16 = 4;
const NFQA_CFG_FLAGS: u16 = 5;
/// When there is no room, packets pass. What the network card or the host puts together stays together, as on the interface.
const FAIL_OPEN_AND_GSO: u32 = 1 | 4;
const BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
const NF_ACCEPT: u32 = 1;
/// More than the buffer below has room for, so that packets pass for one reason only, which is seen in their numbers.
const MOST: u32 = 65_535;
/// Bytes that the kernel keeps for us.
const BUFFER: usize = 2 << 20;
/// The largest packet, and what is said of it.
const LONGEST: usize = 65_535 + 4096;

/// A packet that waits.
#[derive(Debug, PartialEq, Eq)]
pub struct Waiting<'a> {
    /// By this it is let go.
    pub id: u32,
    /// From its IP header on.
    pub packet: &'a [u8],
}

/// The queue, and whoever has it: one process at a time.
#[derive(Debug)]
pub struct Queue {
    socket: OwnedFd,
    number: u16,
    buffer: Vec<u8>,
    /// The packet that came last.
    last: u32,
    missed: u64,
}

impl Queue {
    /// Becomes the one who is asked about packets in the queue of this number.
    pub fn open(number: u16) -> io::Result<Self> {
        let queue = Self {
            socket: netlink::open()?,
            number,
            buffer: vec![0; LONGEST],
            last: 0,
            missed: 0,
        };
        // Only the first user namespace's root may have more than others: it works with what there is as well.
        let _ = setsockopt(&queue.socket, RcvBufForce, &BUFFER);
        queue.configure(&attribute(NFQA_CFG_CMD, &[BIND, 0, 0, 0]))?;
        let mut range = 0xffff_u32.to_be_bytes().to_vec();
        range.push(COPY_PACKET);
        queue.configure(
            &[
                attribute(NFQA_CFG_PARAMS, &range),
                attribute(NFQA_CFG_QUEUE_MAXLEN, &MOST.to_be_bytes()),
                attribute(NFQA_CFG_FLAGS, &FAIL_OPEN_AND_GSO.to_be_bytes()),
                attribute(NFQA_CFG_MASK, &FAIL_OPEN_AND_GSO.to_be_bytes()),
            ]
            .concat(),
        )?;
        Ok(queue)
    }

    fn configure(&self, attributes: &[u8]) -> io::Result<()> {
        send(
            &self.socket,
            &message(CONFIG, 0, (0, self.number), attributes),
        )?;
        let mut answer = vec![0; LONGEST];
        loop {
            let length = recv(self.socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
            match outcome(answer.get(..length).unwrap_or_default()) {
                Some((_, 0)) => return Ok(()),
                Some((_, error)) => return Err(io::Error::from_raw_os_error(-error)),
                // No rule is there yet: another's packet, of an earlier run, passes when this one ends.
                None => {}
            }
        }
    }

    /// The next packet; none if none waits.
    pub fn take(&mut self) -> io::Result<Option<Waiting<'_>>> {
        let length = loop {
            match recv(
                self.socket.as_raw_fd(),
                &mut self.buffer,
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(length) if waiting(self.buffer.get(..length).unwrap_or_default()).is_some() => {
                    break length;
                }
                Err(nix::Error::EAGAIN) => return Ok(None),
                // No packet, but an error about one that is gone; or what there was no room for has passed, and its number is missing.
                Ok(_) | Err(nix::Error::EINTR | nix::Error::ENOBUFS) => {}
                Err(error) => return Err(error.into()),
            }
        };
        let Some(waiting) = waiting(self.buffer.get(..length).unwrap_or_default()) else {
            return Ok(None);
        };
        if self.last != 0 {
            self.missed += u64::from(waiting.id.wrapping_sub(self.last).saturating_sub(1));
        }
        self.last = waiting.id;
        Ok(Some(waiting))
    }

    /// Packets that passed since there was no room for them.
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// Lets a packet go its way.
    pub fn pass(&self, id: u32) -> io::Result<()> {
        let header = [NF_ACCEPT.to_be_bytes(), id.to_be_bytes()].concat();
        let attributes = attribute(NFQA_VERDICT_HDR, &header);
        send(&self.socket, &word(VERDICT, (0, self.number), &attributes))
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn waiting(message: &[u8]) -> Option<Waiting<'_>> {
    if kind(message)? != PACKET {
        return None;
    }
    let find = |wanted| {
        attributes(message)
            .find(|(kind, _)| *kind == wanted)
            .map(|(_, bytes)| bytes)
    };
    let id = find(NFQA_PACKET_HDR)?.get(..4)?.try_into().ok()?;
    Some(Waiting {
        id: u32::from_be_bytes(id),
        packet: find(NFQA_PAYLOAD).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_has_a_number_and_bytes() {
        let header = [0, 0, 1, 2, 8, 0, 2];
        let all = [
            attribute(NFQA_PACKET_HDR, &header),
            attribute(NFQA_PAYLOAD, b"abc"),
        ]
        .concat();
        let packet = word(PACKET, (2, 9), &all);
        assert_eq!(
            waiting(&packet),
            Some(Waiting {
                id: 0x102,
                packet: b"abc"
            })
        );
        assert_eq!(waiting(&word(CONFIG, (2, 9), &all)), None);
        assert_eq!(waiting(&packet[..22]), None);
        assert_eq!(waiting(&[]), None);
    }
}
