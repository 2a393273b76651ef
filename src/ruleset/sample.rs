//! What a rule file says of itself: traffic that it must recognise, and traffic that it must not.

use super::Origin;
use crate::model::{Confidence, Transport};

/// One sample.
#[derive(Clone, Debug)]
pub struct Sample {
    /// How sure the messenger must be named at least; `None` when it must not be named at all.
    pub expect: Option<Confidence>,
    /// The traffic.
    pub traffic: Traffic,
    /// What it shows.
    pub note: Option<String>,
    /// Where it stands.
    pub origin: Origin,
}

/// Traffic, as a rule file writes it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// A client that speaks TLS.
    Tls {
        /// The host that it asks for.
        host: Option<String>,
        /// The protocol that it asks for.
        alpn: Option<String>,
    },
    /// Bytes.
    Bytes {
        /// TCP or UDP.
        transport: Transport,
        /// The server's port.
        port: u16,
        /// What the client says first; it may be empty.
        client: Vec<u8>,
        /// What the server says then; it may be empty.
        server: Vec<u8>,
    },
    /// A capture file, relative to the rule file.
    Capture(String),
}
