//! What a dissector tells about a stream.

use super::{Confidence, Direction, Evidence, Format, Service, SessionKey};
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
    /// Something the flow exposes, from [`super::risk`].
    Risk(&'static str),
    /// The client is told, or will be told by its peer, to open a connection there.
    Redirect {
        /// Where to.
        target: Target,
        /// What it will be.
        format: Format,
        /// Whoever opens it: `None` means this flow's client; `Some(account)` means anybody (a peer).
        opener: Option<String>,
    },
    /// A host name that this stream carries: DNS question, TLS SNI, HTTP Host or CONNECT.
    Host {
        /// The name, lower case, without a final dot.
        name: String,
        /// `tls-sni`, `http-host`, `http-connect`, or the SOCKS that was asked for it.
        via: &'static str,
    },
    /// A DNS answer: `name` (the name asked for) has these addresses.
    Resolved {
        /// The question's name, lower case, without a final dot.
        name: String,
        /// Addresses in the answer, after following CNAMEs.
        addresses: Vec<IpAddr>,
    },
    /// A carrier unwrapped an inner stream: a further step of the flow's path, such as `http-connect`.
    Carried(&'static str),
    /// A proxy was asked to connect there: what was announced of that endpoint holds for what runs inside.
    Through(Target),
    /// The flow carries a part of this session, which other flows carry as well.
    PartOf(SessionKey),
}
