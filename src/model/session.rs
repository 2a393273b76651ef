//! Sessions that a messenger spreads over many connections.

use std::fmt;
use std::net::IpAddr;

/// Longest id that is remembered; those of messengers have 4 to 40 bytes.
const MAX_ID: usize = 64;

/// The id by which a messenger finds a session again. Whoever knows it can take the session over, so it is never
/// shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId {
    format: &'static str,
    id: Box<[u8]>,
}

impl SessionId {
    /// The id as a messenger that speaks `format` sends it; `None` for one that cannot be.
    pub fn new(format: &'static str, id: &[u8]) -> Option<Self> {
        (1..=MAX_ID).contains(&id.len()).then(|| Self {
            format,
            id: id.into(),
        })
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} session", self.format)
    }
}

/// A session of one client host. Servers choose ids for themselves: two of them may choose the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionKey {
    /// The host that sends the requests.
    pub client: Option<IpAddr>,
    /// Its session.
    pub id: SessionId,
}
