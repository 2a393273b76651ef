//! What a dissector tells about a stream.

use super::{Activity, Confidence, Direction, Endpoint, Evidence, Format, Service, SessionKey};
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;

/// How strong a hint is that an OSCAR flow is AIM or ICQ; a lower variant beats a higher one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceHint {
    /// The sign-on name: all digits is an ICQ UIN, anything else an AIM screen name.
    SignOnName,
    /// The flow that announced this one.
    Teacher,
    /// The messenger's own units: SNAC family 0x15, ICQ capabilities, client string.
    OwnUnits,
    /// A host name.
    Host,
    /// Other flows of the same client host.
    SameHost,
}

/// Where a coming flow will go, as a redirect or an offer says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An address; `None` as port means "the port of this connection".
    Address(IpAddr, Option<u16>),
    /// A host name, to be met again in DNS; `None` as port means "the port of this connection".
    Host(String, Option<u16>),
}

impl Target {
    /// Reads `host`, `host:port`, `ip`, `ip:port` or `[ipv6]:port`, the form of OSCAR TLV 5 and MSN XFR.
    /// `None` when the text is neither an address nor a plausible host name.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
            return Some(Self::Address(socket.ip(), Some(socket.port())));
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Some(Self::Address(ip, None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (
                host,
                Some(port.parse::<u16>().ok().filter(|port| *port != 0)?),
            ),
            None => (text, None),
        };
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Some(Self::Address(ip, port));
        }
        let plausible = !host.is_empty()
            && host.len() <= 253
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-' || b == b'_');
        plausible.then(|| Self::Host(host.to_ascii_lowercase(), port))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip, Some(port)) => write!(f, "{}", Endpoint::new(*ip, *port)),
            Self::Address(ip, None) => write!(f, "{ip}"),
            Self::Host(name, Some(port)) => write!(f, "{name}:{port}"),
            Self::Host(name, None) => f.write_str(name),
        }
    }
}

/// Something that one flow gives out and another one shows: a cookie, a ticket, a nonce. Only its hash is kept, since
/// whoever has the thing itself can be that user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u64);

impl Token {
    /// Of these bytes; `None` for what cannot be told from a placeholder.
    pub fn of(format: &str, bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 2 || bytes.iter().all(|byte| *byte == 0) {
            return None;
        }
        let mut hasher = foldhash::quality::FixedState::default().build_hasher();
        format.hash(&mut hasher);
        bytes.hash(&mut hasher);
        Some(Self(hasher.finish()))
    }
}

/// A unit of a messenger's protocol, as its documents and other programs name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// OSCAR: family and subtype.
    Snac(u16, u16),
    /// MSNP: the verb.
    Verb([u8; 3]),
    /// YMSG: the service.
    Service(u16),
    /// ICQ over UDP: the command; `true` from the client.
    Command(bool, u16),
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Snac(family, subtype) => write!(f, "{family:04x}/{subtype:04x}"),
            Self::Verb(verb) => verb
                .iter()
                .try_for_each(|byte| write!(f, "{}", char::from(*byte))),
            Self::Service(service) => write!(f, "{service:#04x}"),
            Self::Command(true, command) => write!(f, "client {command:04x}"),
            Self::Command(false, command) => write!(f, "server {command:04x}"),
        }
    }
}

/// One fact about a stream. Message text, passwords, cookies and file content never enter an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The stream was recognised. May be said again with a better role, format or confidence; the highest
    /// confidence stays, the last format stays.
    Identified {
        /// What it is.
        format: Format,
        /// How sure.
        confidence: Confidence,
        /// Why.
        evidence: Evidence,
    },
    /// The sender of this direction (as the dissector was fed) is the client, whatever was assumed.
    ClientIs(Direction),
    /// AIM or ICQ, and how we know.
    ServiceHint(Service, ServiceHint),
    /// An account of the client host signed on, or was named as the owner of this connection.
    Account(String),
    /// Somebody the client's user talked to.
    Peer(String),
    /// The client program's own words about itself.
    Client(String),
    /// How the user signed on: `xor`, `md5`, `md5-v2`, `cookie`, `twn`, `sso`, `sha`, `plain`, `yahoo-v12`, ...
    SignOn(&'static str),
    /// Something the messenger was used for, from [`super::feature`].
    Feature(&'static str),
    /// Something the flow exposes, from [`super::risk`]. Said each time it is met.
    Risk(&'static str),
    /// The same, with what exactly was seen.
    Exposed(&'static str, String),
    /// A unit of the protocol went by.
    Unit(Unit),
    /// Somebody did something.
    Done(Box<Activity>),
    /// The client is told, or will be told by its peer, to open a connection there.
    Redirect {
        /// Where to.
        target: Target,
        /// What it will be.
        format: Format,
        /// Whoever opens it: `None` means this flow's client; `Some(account)` means anybody (a peer).
        opener: Option<String>,
        /// A connection between users: the other one, as seen from this flow's user.
        with: Option<String>,
        /// What the announced flow will show to prove that it is the one.
        token: Option<Token>,
    },
    /// The flow shows what another flow gave out, by which the two belong together.
    Shows(Token),
    /// A host name that this stream carries: DNS question, TLS SNI, HTTP Host or CONNECT.
    Host {
        /// The name, lower case, without a final dot.
        name: String,
        /// `tls-sni`, `http-host`, `http-connect`, or the SOCKS that was asked for it.
        via: &'static str,
    },
    /// The hosts that the server's certificate in TLS is for, in lower case, one or more; a wildcard stands as it is. Anybody can
    /// write a certificate, and the client's own word comes before it.
    Certificate(Vec<String>),
    /// A DNS answer: `name` (the name asked for) has these addresses.
    Resolved {
        /// The question's name, lower case, without a final dot.
        name: String,
        /// Addresses in the answer, after following CNAMEs.
        addresses: Vec<IpAddr>,
        /// The names that the CNAMEs led over, in order.
        aliases: Vec<String>,
        /// How long that holds, in seconds: the least time to live on the way.
        lifetime: u32,
    },
    /// A protocol that the client offers in TLS, other than the web's.
    Alpn(String),
    /// The JA4 of the client's hello. Told before the name that the hello asks for, and only if some rule is about one.
    Ja4(String),
    /// A carrier unwrapped an inner stream: a further step of the flow's path, such as `http-connect`.
    Carried(&'static str),
    /// A proxy was asked to connect there: what was announced of that endpoint holds for what runs inside.
    Through(Target),
    /// The flow carries a part of this session, which other flows carry as well.
    PartOf(SessionKey),
}
