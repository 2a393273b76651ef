//! Messages to the kernel's netfilter, and its answers (`linux/netlink.h`, `linux/netfilter/nfnetlink.h`).

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sendto, socket,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// An attribute that holds others.
pub(super) const NESTED: u16 = 1 << 15;
const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;
/// The two headers before the attributes.
pub(super) const HEAD: usize = 20;

/// A socket for them.
pub(super) fn open() -> io::Result<OwnedFd> {
    Ok(socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?)
}

/// To the kernel.
pub(super) fn send(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    let kernel = NetlinkAddr::new(0, 0);
    sendto(socket.as_raw_fd(), message, &kernel, MsgFlags::empty())?;
    Ok(())
}

/// One attribute: length, kind, bytes, up to a whole word.
pub(super) fn attribute(kind: u16, bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(bytes.len() + 8);
    all.extend(((bytes.len() + 4) as u16).to_ne_bytes());
    all.extend(kind.to_ne_bytes());
    all.extend(bytes);
    all.resize(all.len().next_multiple_of(4), 0);
    all
}

/// A message that is answered with [`outcome`].
pub(super) fn message(kind: u16, number: u32, about: (u8, u16), attributes: &[u8]) -> Vec<u8> {
    flagged(kind, ACK, number, about, attributes)
}

/// A message that is not.
pub(super) fn word(kind: u16, about: (u8, u16), attributes: &[u8]) -> Vec<u8> {
    flagged(kind, 0, 0, about, attributes)
}

/// `about` is a family, and what a resource is called, such as a queue.
fn flagged(
    kind: u16,
    flags: u16,
    number: u32,
    (family, resource): (u8, u16),
    attributes: &[u8],
) -> Vec<u8> {
    let mut all = Vec::with_capacity(HEAD + attributes.len());
    all.extend((HEAD as u32 + attributes.len() as u32).to_ne_bytes());
    all.extend(kind.to_ne_bytes());
    all.extend((REQUEST | flags).to_ne_bytes());
    all.extend(number.to_ne_bytes());
    // From whom: the kernel knows.
    all.extend([0; 4]);
    all.extend([family, 0]);
    all.extend(resource.to_be_bytes());
    all.extend(attributes);
    all
}

/// The kind of a message.
pub(super) fn kind(message: &[u8]) -> Option<u16> {
    Some(u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?))
}

/// The number and the error of an `NLMSG_ERROR`.
pub(super) fn outcome(answer: &[u8]) -> Option<(u32, i32)> {
    let word = |at: usize| -> Option<[u8; 4]> { answer.get(at..at + 4)?.try_into().ok() };
    (i32::from(kind(answer)?) == libc::NLMSG_ERROR)
        .then(|| Some((u32::from_ne_bytes(word(8)?), i32::from_ne_bytes(word(16)?))))?
}

/// The attributes behind the headers: kinds and bytes.
pub(super) fn attributes(message: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = message.get(HEAD..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (head, _) = rest.split_at_checked(4)?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let kind = u16::from_ne_bytes([head[2], head[3]]) & !NESTED;
        let bytes = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, bytes))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_comes_apart() {
        let all = [
            attribute(1, b"abcde"),
            attribute(NESTED | 7, b""),
            attribute(3, &[9; 8]),
        ]
        .concat();
        let message = message(0x301, 5, (2, 77), &all);
        assert_eq!(kind(&message), Some(0x301));
        let apart: Vec<_> = attributes(&message).collect();
        assert_eq!(apart, [(1, &b"abcde"[..]), (7, b""), (3, &[9; 8])]);
        assert_eq!(message[18..20], [0, 77]);
        assert_eq!(outcome(&message), None);
    }

    #[test]
    fn nonsense_comes_to_an_end() {
        for bytes in [&[][..], &[0; 20], &[0; 24], &[0xff; 23], &[0xff; 64]] {
            assert_eq!(attributes(bytes).count(), 0);
            assert_eq!(outcome(bytes), None);
        }
        // One that says it is longer than there is.
        let mut message = message(1, 1, (0, 0), &attribute(1, b"abcd"));
        message[20] = 200;
        assert_eq!(attributes(&message).count(), 0);
    }
}
