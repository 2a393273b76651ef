//! Whether interfaces are up and have a link, as the kernel tells everybody who listens for it (rtnetlink(7)).
//!
//! A cable that was pulled out is no error to a packet socket: nothing comes any more, and that is all it shows.

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, netdevice, recv, send,
    socket_with,
};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

/// Group of those who hear about interfaces.
const LINK_GROUP: u32 = 1;
/// Kinds of messages, and what a question is marked with: it is one, and it is about all interfaces.
const NEW_LINK: u16 = 16;
const DELETED_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const REQUEST_ALL: u16 = 0x1 | 0x300;
/// A message's own head, and that of what it says of an interface.
const HEAD: usize = 16;
const ABOUT: usize = 16;
/// Flags of an interface: somebody switched it on; its carrier is there.
const UP: u32 = 0x1;
const LOWER_UP: u32 = 0x1_0000;
/// Longest of the kernel's answers.
const LONGEST: usize = 32 * 1024;

/// How an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It works.
    Up,
    /// Switched on, and nothing is at the other end: a cable pulled out, the other side switched off.
    NoCarrier,
    /// Switched off.
    Down,
}

/// All interfaces of this network namespace. The socket is opened once: later none may be opened any more.
#[derive(Debug)]
pub struct Links {
    socket: OwnedFd,
    known: BTreeMap<u32, Link>,
    buffer: Vec<u8>,
}

impl Links {
    /// Begins to listen for news about interfaces, and asks how they are now.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // No protocol is that of routes and interfaces.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, LINK_GROUP))?;
        let mut links = Self {
            socket,
            known: BTreeMap::new(),
            buffer: vec![0; LONGEST],
        };
        links.ask()?;
        links.update();
        Ok(links)
    }

    /// How this interface is, as far as it is known.
    pub fn of(&self, index: u32) -> Option<Link> {
        self.known.get(&index).copied()
    }

    /// The same, by its name.
    pub fn named(&self, name: &str) -> Option<Link> {
        self.of(netdevice::name_to_index(&self.socket, name).ok()?)
    }

    /// Takes in what was told since last time.
    pub fn update(&mut self) {
        loop {
            match recv(&self.socket, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((length, _)) => take_in(
                    self.buffer.get(..length).unwrap_or_default(),
                    &mut self.known,
                ),
                Err(Errno::INTR) => {}
                // Too much was told at once, and some of it is lost: from the beginning.
                Err(Errno::NOBUFS) => {
                    self.known.clear();
                    if self.ask().is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }

    fn ask(&self) -> io::Result<()> {
        let mut question = Vec::with_capacity(HEAD + ABOUT);
        question.extend(((HEAD + ABOUT) as u32).to_ne_bytes());
        question.extend(GET_LINK.to_ne_bytes());
        question.extend(REQUEST_ALL.to_ne_bytes());
        // Number, sender, and an interface of no kind: all of them.
        question.resize(HEAD + ABOUT, 0);
        send(&self.socket, &question, SendFlags::empty())?;
        Ok(())
    }
}

/// Reads messages, one behind the other.
fn take_in(mut messages: &[u8], known: &mut BTreeMap<u32, Link>) {
    while let Some(length) = number(messages, 0) {
        let length = length as usize;
        let (Some(message), Some(kind)) = (messages.get(..length), short(messages, 4)) else {
            return;
        };
        if length < HEAD {
            return;
        }
        // Bridges tell of their ports by the same kinds: of the family that is no family's are the interfaces themselves.
        if let (Some(0), Some(index), Some(flags)) = (
            message.get(HEAD),
            number(message, HEAD + 4),
            number(message, HEAD + 8),
        ) {
            match kind {
                NEW_LINK => {
                    known.insert(index, link(flags));
                }
                DELETED_LINK => {
                    known.remove(&index);
                }
                _ => {}
            }
        }
        messages = messages
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
}

const fn link(flags: u32) -> Link {
    match (flags & UP, flags & LOWER_UP) {
        (0, _) => Link::Down,
        (_, 0) => Link::NoCarrier,
        _ => Link::Up,
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|it| u32::from_ne_bytes(*it))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|it| u16::from_ne_bytes(*it))
}

#[cfg(test)]
mod tests {
    use super::{DELETED_LINK, Link, NEW_LINK, take_in};
    use std::collections::BTreeMap;

    fn message(kind: u16, family: u8, index: u32, flags: u32) -> Vec<u8> {
        // With an attribute of five bytes, so that the next message begins behind padding.
        let mut bytes = 37_u32.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend([family, 0, 0, 0]);
        bytes.extend(index.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend([5, 0, 3, 0, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn news_of_interfaces_are_read_and_those_of_bridges_ports_are_not() {
        let mut known = BTreeMap::new();
        let told = [
            message(NEW_LINK, 0, 2, 0x1_1043),
            message(NEW_LINK, 0, 3, 0x1003),
            message(NEW_LINK, 0, 4, 0x1002),
            message(NEW_LINK, 0, 5, 0x1_1043),
            message(DELETED_LINK, 0, 5, 0),
            // It leaves its bridge and is still there.
            message(DELETED_LINK, 7, 2, 0x1_1043),
        ];
        take_in(&told.concat(), &mut known);
        let expected = [(2, Link::Up), (3, Link::NoCarrier), (4, Link::Down)];
        assert_eq!(known.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_cut_off_is_not_read() {
        let whole = message(NEW_LINK, 0, 2, 0x1_1043);
        for length in 0..37 {
            let mut known = BTreeMap::new();
            take_in(&whole[..length], &mut known);
            assert!(known.is_empty(), "{length}");
        }
        let mut known = BTreeMap::new();
        take_in(&[0; 64], &mut known);
        assert!(known.is_empty());
    }
}
