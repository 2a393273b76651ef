//! What the one that listens and the one that may change the firewall say to each other: fixed in size, and checked.
//!
//! Whoever listens reads what strangers send. So it can name a connection, and nothing else: no text of its goes anywhere.

use crate::model::{Endpoint, Transport};
use crate::policy::live::{Narrow, Order, Spared};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::net::UnixStream;

/// Bytes of a request.
const REQUEST: usize = 40;
/// Bytes of an answer.
const ANSWER: usize = 512;
/// Requests that are answered together, at most.
pub const TOGETHER: usize = 32;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Load the rules.
    Begin,
    /// End a connection.
    Cut(Order),
    /// Nothing more will come: take the rules away.
    End,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The rules are loaded, or taken away; in words.
    Done(String),
    /// It failed.
    Failed {
        /// A right is missing.
        permission: bool,
        /// In words.
        what: String,
    },
    /// About a connection.
    Acted(Acted),
    /// It was dealt with before, a moment ago.
    Already,
    /// Nothing was done.
    Spared(Spared),
    /// Nothing was done: there are too many.
    TooMany,
    /// Nobody asked: what the enforcer has to say by itself.
    Word(String),
}

/// What was done about a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acted {
    /// The kernel knew the connection, and it is marked.
    pub cut: bool,
    /// The server is refused to everybody from now on. If not, why not.
    pub place: Result<(), Open>,
    /// What would have been done, as commands (`--dry-run`).
    pub words: String,
}

/// Why a server stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Others need it.
    Narrow(Narrow),
    /// There is no room for more.
    Full,
    /// It was refused before.
    Refused,
}

fn put(bytes: &mut Vec<u8>, end: Endpoint) {
    let ip = match end.ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    bytes.extend(ip.octets());
    bytes.extend(end.port.to_be_bytes());
}

fn take(bytes: &[u8], v4: bool) -> Option<Endpoint> {
    let (ip, port) = (bytes.get(..16)?, bytes.get(16..18)?);
    let ip: [u8; 16] = ip.try_into().ok()?;
    let ip = Ipv6Addr::from(ip);
    let ip = if v4 {
        IpAddr::V4(ip.to_ipv4_mapped()?)
    } else {
        IpAddr::V6(ip)
    };
    Some(Endpoint::new(ip, u16::from_be_bytes(port.try_into().ok()?)))
}

impl Request {
    fn bytes(self) -> Vec<u8> {
        let mut bytes = match self {
            Self::Begin => vec![b'B'],
            Self::End => vec![b'E'],
            Self::Cut(order) => {
                let udp = u8::from(order.transport == Transport::Udp);
                let narrow = u8::from(order.only_connection) << 1;
                let v4 = u8::from(order.server.ip.is_ipv4()) << 2;
                let mut bytes = vec![b'C', udp | narrow | v4];
                put(&mut bytes, order.client);
                put(&mut bytes, order.server);
                bytes
            }
        };
        bytes.resize(REQUEST, 0);
        bytes
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        match kind {
            b'B' => Some(Self::Begin),
            b'E' => Some(Self::End),
            b'C' => {
                let (flags, ends) = rest.split_first()?;
                let v4 = flags & 4 != 0;
                let order = Order {
                    transport: if flags & 1 == 0 {
                        Transport::Tcp
                    } else {
                        Transport::Udp
                    },
                    client: take(ends, v4)?,
                    server: take(ends.get(18..)?, v4)?,
                    only_connection: flags & 2 != 0,
                };
                (*flags < 8).then_some(Self::Cut(order))
            }
            _ => None,
        }
    }

    /// Sends several at once.
    pub fn send(requests: &[Self], socket: &mut UnixStream) -> io::Result<()> {
        let bytes: Vec<u8> = requests.iter().flat_map(|it| it.bytes()).collect();
        socket.write_all(&bytes)
    }
}

/// Requests as they come in.
#[derive(Debug, Default)]
pub struct Inbox {
    waiting: Vec<u8>,
}

impl Inbox {
    /// The next ones, at least one; none at all when nobody is there any more.
    pub fn receive(&mut self, socket: &mut UnixStream) -> io::Result<Vec<Request>> {
        while self.waiting.len() < REQUEST {
            let mut piece = [0; TOGETHER * REQUEST];
            let read = socket.read(&mut piece)?;
            if read == 0 {
                return Ok(Vec::new());
            }
            self.waiting.extend(piece.get(..read).unwrap_or_default());
        }
        let whole = self.waiting.len() / REQUEST * REQUEST;
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "this is no request");
        let taken: Vec<u8> = self.waiting.drain(..whole).collect();
        taken
            .chunks(REQUEST)
            .map(|bytes| Request::of(bytes).ok_or_else(wrong))
            .collect()
    }
}

impl Answer {
    /// Sends it.
    pub fn send(&self, socket: &mut UnixStream) -> io::Result<()> {
        let mut text = "";
        let head = match self {
            Self::Done(what) => {
                text = what;
                [b'D', 0, 0]
            }
            Self::Failed { permission, what } => {
                text = what;
                [b'F', u8::from(*permission), 0]
            }
            Self::Word(what) => {
                text = what;
                [b'W', 0, 0]
            }
            Self::Already => [b'R', 0, 0],
            Self::TooMany => [b'M', 0, 0],
            Self::Spared(why) => [b'S', number(&Spared::ALL, why), 0],
            Self::Acted(acted) => {
                text = &acted.words;
                let open = match acted.place {
                    Ok(()) => 0,
                    Err(Open::Full) => 1,
                    Err(Open::Refused) => 2,
                    Err(Open::Narrow(why)) => 3 + number(&Narrow::ALL, &why),
                };
                [b'A', u8::from(acted.cut), open]
            }
        };
        let mut bytes = head.to_vec();
        let mut most = ANSWER - bytes.len();
        while !text.is_char_boundary(most.min(text.len())) {
            most -= 1;
        }
        bytes.extend(text.as_bytes().iter().take(most));
        bytes.resize(ANSWER, 0);
        socket.write_all(&bytes)
    }

    /// The next one.
    pub fn receive(socket: &mut UnixStream) -> io::Result<Self> {
        let mut bytes = [0; ANSWER];
        socket.read_exact(&mut bytes)?;
        Self::of(&bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "this is no answer"))
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let (head, text) = bytes.split_at_checked(3)?;
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = || String::from_utf8_lossy(text).into_owned();
        Some(match *head {
            [b'D', _, _] => Self::Done(text()),
            [b'F', permission, _] => Self::Failed {
                permission: permission != 0,
                what: text(),
            },
            [b'W', _, _] => Self::Word(text()),
            [b'R', _, _] => Self::Already,
            [b'M', _, _] => Self::TooMany,
            [b'S', why, _] => Self::Spared(*Spared::ALL.get(usize::from(why))?),
            [b'A', cut, open] => Self::Acted(Acted {
                cut: cut != 0,
                place: match open {
                    0 => Ok(()),
                    1 => Err(Open::Full),
                    2 => Err(Open::Refused),
                    why => Err(Open::Narrow(*Narrow::ALL.get(usize::from(why) - 3)?)),
                },
                words: text(),
            }),
            _ => return None,
        })
    }
}

fn number<T: PartialEq>(all: &[T], it: &T) -> u8 {
    all.iter().position(|one| one == it).unwrap_or(0) as u8
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn order(client: &str, server: &str) -> Order {
        let end = |text: &str| {
            let address: std::net::SocketAddr = text.parse().unwrap();
            Endpoint::new(address.ip(), address.port())
        };
        Order {
            transport: Transport::Udp,
            client: end(client),
            server: end(server),
            only_connection: true,
        }
    }

    #[test]
    fn what_is_said_is_heard() {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        let requests = [
            Request::Begin,
            Request::Cut(order("192.0.2.1:50000", "198.51.100.1:5190")),
            Request::Cut(order("[2001:db8::1]:50000", "[2001:db8::2]:5190")),
            Request::Cut(Order {
                transport: Transport::Tcp,
                only_connection: false,
                ..order("192.0.2.1:1", "198.51.100.1:65535")
            }),
            Request::End,
        ];
        Request::send(&requests, &mut here).unwrap();
        let mut inbox = Inbox::default();
        assert_eq!(inbox.receive(&mut there).unwrap(), requests);
        let mut answers = vec![
            Answer::Done("by nftables".into()),
            Answer::Failed {
                permission: true,
                what: "nft: no".into(),
            },
            Answer::Already,
            Answer::TooMany,
            Answer::Word("somebody took the rules away".into()),
        ];
        answers.extend(Spared::ALL.map(Answer::Spared));
        let opens = Narrow::ALL.map(Open::Narrow).into_iter();
        for place in opens
            .chain([Open::Full, Open::Refused])
            .map(Err)
            .chain([Ok(())])
        {
            answers.push(Answer::Acted(Acted {
                cut: place.is_ok(),
                place,
                words: "a b".into(),
            }));
        }
        for answer in answers {
            answer.send(&mut there).unwrap();
            assert_eq!(Answer::receive(&mut here).unwrap(), answer);
        }
        drop(here);
        assert_eq!(inbox.receive(&mut there).unwrap(), []);
    }

    #[test]
    fn long_words_are_cut_between_letters() {
        let (mut here, mut there) = UnixStream::pair().unwrap();
        Answer::Done("ä".repeat(400)).send(&mut here).unwrap();
        let Answer::Done(text) = Answer::receive(&mut there).unwrap() else {
            panic!("no text");
        };
        assert_eq!(text, "ä".repeat((ANSWER - 3) / 2));
    }

    #[test]
    fn nonsense_is_refused() {
        let mut good = Request::Cut(order("192.0.2.1:50000", "198.51.100.1:5190")).bytes();
        assert!(Request::of(&good).is_some());
        for (at, wrong) in [(0, b'X'), (1, 8), (1, 0xff), (2, 1)] {
            let was = std::mem::replace(&mut good[at], wrong);
            assert_eq!(Request::of(&good), None, "{at}");
            good[at] = was;
        }
        assert_eq!(Request::of(&[]), None);
        assert_eq!(Request::of(&good[..20]), None);
        for bytes in [[b'X'; ANSWER], [b'S'; ANSWER], [b'A'; ANSWER]] {
            assert_eq!(Answer::of(&bytes), None);
        }
        let (mut here, mut there) = UnixStream::pair().unwrap();
        here.write_all(&[b'X'; REQUEST]).unwrap();
        assert!(Inbox::default().receive(&mut there).is_err());
    }
}
