//! What client and proxy say before the inner bytes begin.
//!
//! SOCKS 4 is Ying-Da Lee's "SOCKS: A protocol for TCP proxy across firewalls", 4a its extension for names that the
//! proxy resolves; SOCKS 5 is RFC 1928, its passwords RFC 1929.

use crate::model::Target;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest user name of SOCKS 4 that is waited for: as long as one of SOCKS 5 can be.
const MAX_USER: usize = 255;
/// More methods than anybody has implemented.
const MAX_METHODS: u8 = 16;
/// No opening is longer: greeting, user name and password, request with a host name.
pub const MAX_OPENING: usize = 2 + MAX_METHODS as usize + 3 + 2 * 255 + 7 + 255;

const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD_FITS: u8 = 0xff;

/// What the beginning of a direction is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// An opening of that many bytes.
    Done(T, usize),
    /// It may become one.
    More,
    /// Something else.
    Wrong,
}

/// What the client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Open a connection.
    Connect,
    /// Wait for one, and say twice: where, and who came.
    Bind,
    /// Relay datagrams as long as this connection lasts.
    Associate,
}

/// The client's opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `socks4`, `socks4a` or `socks5`, as the flow's path says it.
    pub carrier: &'static str,
    /// What for.
    pub command: Command,
    /// Where to.
    pub target: Target,
    /// And its port.
    pub port: u16,
}

impl Request {
    /// Whether the opening alone is proof. That of SOCKS 4 without a name is mostly an address and a port,
    /// which any bytes are.
    pub fn is_proof(&self) -> bool {
        self.carrier != "socks4"
    }
}

/// The proxy's opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// `socks4` or `socks5`.
    pub carrier: &'static str,
    /// Whether the request was granted, and what runs inside can be read.
    pub granted: bool,
}

/// Why an opening ends early.
enum Stop {
    More,
    Wrong,
}

/// Reads bytes one after the other; where they end, more are needed.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..n).ok_or(Stop::More)?;
        self.at += n;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        self.take(N)?.try_into().map_err(|_| Stop::More)
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        self.array().map(|[byte]| byte)
    }

    fn port(&mut self) -> Result<u16, Stop> {
        self.array().map(u16::from_be_bytes)
    }

    /// Text up to a NUL.
    fn text(&mut self, most: usize) -> Result<&'a str, Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = memchr::memchr(0, rest);
        let text = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        // Names in the code page of the time are no ASCII, but no control characters either.
        if text.len() > most || text.iter().any(u8::is_ascii_control) {
            return Err(Stop::Wrong);
        }
        self.at += end.ok_or(Stop::More)? + 1;
        Ok(std::str::from_utf8(text).unwrap_or("?"))
    }
}

/// What the client says: everything up to its first inner byte.
pub fn client(bytes: &[u8]) -> Read<Request> {
    let mut cursor = Cursor::new(bytes);
    let read = match bytes.first() {
        Some(4) => client_4(&mut cursor),
        Some(5) => client_5(&mut cursor),
        Some(_) => Err(Stop::Wrong),
        None => Err(Stop::More),
    };
    concluded(read, &cursor)
}

/// What the proxy says, up to its first inner byte; `binds` when the client asked it to listen.
pub fn proxy(bytes: &[u8], binds: bool) -> Read<Answer> {
    let mut cursor = Cursor::new(bytes);
    let read = match bytes.first() {
        Some(0) => proxy_4(&mut cursor, binds),
        Some(5) => proxy_5(&mut cursor, binds),
        Some(_) => Err(Stop::Wrong),
        None => Err(Stop::More),
    };
    concluded(read, &cursor)
}

fn concluded<T>(read: Result<T, Stop>, cursor: &Cursor<'_>) -> Read<T> {
    match read {
        Ok(found) => Read::Done(found, cursor.at),
        Err(Stop::Wrong) => Read::Wrong,
        Err(Stop::More) => Read::More,
    }
}

/// `4, command, port, address, user name, 0`, and for 4a a host name and another 0.
fn client_4(cursor: &mut Cursor<'_>) -> Result<Request, Stop> {
    cursor.byte()?;
    let command = match cursor.byte()? {
        1 => Command::Connect,
        2 => Command::Bind,
        _ => return Err(Stop::Wrong),
    };
    let port = cursor.port()?;
    let address: [u8; 4] = cursor.array()?;
    // 4a: an address that cannot be, 0.0.0.x, says that a name follows.
    let named = matches!(address, [0, 0, 0, last] if last != 0);
    let ip = Ipv4Addr::from(address);
    let plausible = named || !(address[0] == 0 || ip.is_multicast() || ip.is_broadcast());
    if port == 0 || !plausible {
        return Err(Stop::Wrong);
    }
    cursor.text(MAX_USER)?;
    let target = if named {
        host(cursor.text(255)?).ok_or(Stop::Wrong)?
    } else {
        Target::Address(IpAddr::V4(ip), None)
    };
    Ok(Request {
        carrier: if named { "socks4a" } else { "socks4" },
        command,
        target: with_port(target, port),
        port,
    })
}

/// Greeting, user name and password if the proxy wants them, request (RFC 1928, 3 and 4; RFC 1929).
fn client_5(cursor: &mut Cursor<'_>) -> Result<Request, Stop> {
    cursor.byte()?;
    let count = cursor.byte()?;
    if count == 0 || count > MAX_METHODS {
        return Err(Stop::Wrong);
    }
    // Assigned by IANA up to 9, private from 0x80 on.
    let methods = cursor.take(usize::from(count))?;
    if methods
        .iter()
        .any(|method| matches!(*method, 10..=0x7f | NO_METHOD_FITS))
    {
        return Err(Stop::Wrong);
    }
    let mut next = cursor.byte()?;
    if next == 1 && methods.contains(&USER_AND_PASSWORD) {
        let length = cursor.byte()?;
        cursor.take(usize::from(length))?;
        let length = cursor.byte()?;
        cursor.take(usize::from(length))?;
        next = cursor.byte()?;
    }
    if next != 5 {
        return Err(Stop::Wrong);
    }
    let command = match cursor.byte()? {
        1 => Command::Connect,
        2 => Command::Bind,
        3 => Command::Associate,
        _ => return Err(Stop::Wrong),
    };
    if cursor.byte()? != 0 {
        return Err(Stop::Wrong);
    }
    let target = address(cursor)?;
    let port = cursor.port()?;
    // Who asks for datagrams or for a listener may not know the other's port yet.
    if port == 0 && command == Command::Connect {
        return Err(Stop::Wrong);
    }
    Ok(Request {
        carrier: "socks5",
        command,
        target: with_port(target, port),
        port,
    })
}

/// `0, 0x5a, port, address`; twice for a listener.
fn proxy_4(cursor: &mut Cursor<'_>, binds: bool) -> Result<Answer, Stop> {
    let mut granted = true;
    for _ in 0..=u8::from(binds) {
        if cursor.byte()? != 0 {
            return Err(Stop::Wrong);
        }
        granted = match cursor.byte()? {
            0x5a => true,
            0x5b..=0x5d => false,
            _ => return Err(Stop::Wrong),
        };
        cursor.take(6)?;
        if !granted {
            break;
        }
    }
    Ok(Answer {
        carrier: "socks4",
        granted,
    })
}

/// The method, whether the password was right, the reply; two replies for a listener (RFC 1928, 3 and 6).
fn proxy_5(cursor: &mut Cursor<'_>, binds: bool) -> Result<Answer, Stop> {
    let refused = Answer {
        carrier: "socks5",
        granted: false,
    };
    cursor.byte()?;
    match cursor.byte()? {
        NO_AUTHENTICATION => {}
        USER_AND_PASSWORD => {
            if cursor.byte()? != 1 {
                return Err(Stop::Wrong);
            }
            if cursor.byte()? != 0 {
                return Ok(refused);
            }
        }
        // GSSAPI and the like wrap what runs inside so that nobody can read it.
        1 | 3..=9 | 0x80.. => return Ok(refused),
        _ => return Err(Stop::Wrong),
    }
    for _ in 0..=u8::from(binds) {
        if cursor.byte()? != 5 {
            return Err(Stop::Wrong);
        }
        match cursor.byte()? {
            0 => {}
            1..=8 => return Ok(refused),
            _ => return Err(Stop::Wrong),
        }
        if cursor.byte()? != 0 {
            return Err(Stop::Wrong);
        }
        address(cursor)?;
        cursor.port()?;
    }
    Ok(Answer {
        granted: true,
        ..refused
    })
}

/// Type and address (RFC 1928, 5), without the port.
fn address(cursor: &mut Cursor<'_>) -> Result<Target, Stop> {
    let ip = match cursor.byte()? {
        1 => IpAddr::V4(Ipv4Addr::from(cursor.array::<4>()?)),
        4 => IpAddr::V6(Ipv6Addr::from(cursor.array::<16>()?)),
        3 => {
            let length = cursor.byte()?;
            let name = cursor.take(usize::from(length))?;
            let name = std::str::from_utf8(name).ok();
            return name.and_then(host).ok_or(Stop::Wrong);
        }
        _ => return Err(Stop::Wrong),
    };
    Ok(Target::Address(ip, None))
}

/// A datagram's header, `0, 0, fragment, type, address, port` (RFC 1928, 7): its length. Fragments are not put
/// together: no implementation is known to send them.
pub fn datagram(bytes: &[u8]) -> Option<(u16, usize)> {
    let mut cursor = Cursor::new(bytes);
    if cursor.array().ok()? != [0, 0, 0] {
        return None;
    }
    address(&mut cursor).ok()?;
    let port = cursor.port().ok().filter(|port| *port != 0)?;
    Some((port, cursor.at))
}

/// A host name; a name that is an address is one.
fn host(name: &str) -> Option<Target> {
    let name = name.trim_end_matches('.');
    if let Ok(ip) = name.trim_matches(['[', ']']).parse() {
        return Some(Target::Address(ip, None));
    }
    Target::parse(name).filter(|target| matches!(target, Target::Host(_, None)))
}

fn with_port(target: Target, port: u16) -> Target {
    match target {
        Target::Address(ip, _) => Target::Address(ip, Some(port)),
        Target::Host(name, _) => Target::Host(name, Some(port)),
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::{Command, MAX_OPENING, Read, client, datagram, proxy};
    use crate::model::Target;

    /// Every beginning is `More`, the whole is `Done` and uses its own bytes only.
    fn whole<T: std::fmt::Debug>(bytes: &[u8], read: impl Fn(&[u8]) -> Read<T>) -> T {
        for end in 0..bytes.len() {
            assert!(
                matches!(read(&bytes[..end]), Read::More),
                "{:02x?}",
                &bytes[..end]
            );
        }
        assert!(bytes.len() <= MAX_OPENING);
        let longer = [bytes, b"VER 1 MSNP9 CVR0\r\n"].concat();
        match read(&longer) {
            Read::Done(found, used) => {
                assert_eq!(used, bytes.len());
                found
            }
            other => panic!("{other:?} of {bytes:02x?}"),
        }
    }

    fn asked(bytes: &[u8]) -> (&'static str, Command, Target, u16) {
        let request = whole(bytes, client);
        (
            request.carrier,
            request.command,
            request.target,
            request.port,
        )
    }

    fn to(text: &str) -> Target {
        Target::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn requests_of_every_version() {
        assert_eq!(
            asked(b"\x04\x01\x14\x46\xc6\x33\x64\x09alice\0"),
            ("socks4", Command::Connect, to("198.51.100.9:5190"), 5190)
        );
        assert_eq!(
            asked(b"\x04\x02\x07\x47\xc6\x33\x64\x09\0"),
            ("socks4", Command::Bind, to("198.51.100.9:1863"), 1863)
        );
        assert_eq!(
            asked(b"\x04\x01\x07\x47\0\0\0\x01\0messenger.example.com\0"),
            (
                "socks4a",
                Command::Connect,
                to("messenger.example.com:1863"),
                1863
            )
        );
        assert_eq!(
            asked(b"\x05\x01\0\x05\x01\0\x01\xc6\x33\x64\x09\x14\x46"),
            ("socks5", Command::Connect, to("198.51.100.9:5190"), 5190)
        );
        assert_eq!(
            asked(b"\x05\x02\0\x02\x01\x05alice\x06secret\x05\x01\0\x03\x0cscs.example.\x13\xba"),
            ("socks5", Command::Connect, to("scs.example:5050"), 5050)
        );
        assert_eq!(
            asked(&[&b"\x05\x01\0\x05\x03\0\x04"[..], &[0; 16], &[0, 0]].concat()).1,
            Command::Associate
        );
    }

    #[test]
    fn answers_of_every_version() {
        let answered = |bytes: &[u8], binds| whole(bytes, |bytes| proxy(bytes, binds)).granted;
        assert!(answered(b"\0\x5a\0\0\0\0\0\0", false));
        assert!(answered(
            b"\0\x5a\x14\x46\0\0\0\0\0\x5a\x14\x46\xc6\x33\x64\x09",
            true
        ));
        assert!(!answered(b"\0\x5b\0\0\0\0\0\0", true));
        assert!(answered(b"\x05\0\x05\0\0\x01\0\0\0\0\0\0", false));
        assert!(answered(
            b"\x05\x02\x01\0\x05\0\0\x03\x05a.net\x04\x38",
            false
        ));
        assert!(!answered(b"\x05\x02\x01\x01", false));
        assert!(!answered(b"\x05\xff", false));
        assert!(!answered(b"\x05\x01", false));
        assert!(!answered(b"\x05\0\x05\x05", false));
    }

    #[test]
    fn other_beginnings_are_wrong() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\x16\x03\x01\0\x05\x01",
            b"\x05\0",
            b"\x05\x01\x20",
            b"\x05\x01\0\x05\x04\0\x01",
            b"\x05\x01\0\x05\x01\x01\x01",
            b"\x05\x01\0\x05\x01\0\x02",
            b"\x05\x01\0\x05\x01\0\x01\x0a\0\0\x01\0\0",
            b"\x05\x01\0\x05\x01\0\x03\x06no way\0\x50",
            b"\x05\x01\0\x01\x01a\x01b\x05\x01\0",
            b"\x05\0\x0b\x03\x10\0\0\0",
            b"\x04\x03\0\x50\x0a\0\0\x01\0",
            b"\x04\x01\0\0\x0a\0\0\x01\0",
            b"\x04\x01\0\x50\xe0\0\0\x01\0",
            b"\x04\x01\0\x50\x0a\0\0\x01\x01\0",
            b"\x04\0\0\0foo\0",
        ] {
            assert_eq!(client(bytes), Read::Wrong, "{bytes:02x?}");
        }
        for bytes in [
            &b"\0\x50"[..],
            b"\0\x5e",
            b"\x05\x10",
            b"\x05\0\x05\0\x01",
            b"\x05\0\x06",
            b"SSH-",
        ] {
            assert_eq!(proxy(bytes, false), Read::Wrong, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_relayed_datagram_has_a_header() {
        assert_eq!(
            datagram(b"\0\0\0\x01\xc6\x33\x64\x09\x0f\xa0\x05\0"),
            Some((4000, 10))
        );
        for other in [
            &b"\0\0\x01\x01\xc6\x33\x64\x09\x0f\xa0"[..],
            b"\0\0\0\x02\xc6\x33\x64\x09\x0f\xa0",
            b"\0\0\0\x01\xc6\x33\x64\x09\0\0",
            b"\0\0\0\x01\xc6",
            b"\x05\0\0\0",
        ] {
            assert_eq!(datagram(other), None);
        }
    }
}
