//! Ordinary protocols, named so that a port or an address alone does not make a messenger of them.

use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start};
use crate::model::{Direction, Evidence, Format, Transport};

/// First bytes, the name, and whether the client says them. Only openings that no messenger shares.
const OPENINGS: [(&[u8], &str, Option<bool>); 15] = [
    (b"SSH-2.0-", "ssh", None),
    (b"SSH-1.", "ssh", None),
    (b"220 ", "greeting", Some(false)),
    (b"220-", "greeting", Some(false)),
    (b"EHLO ", "smtp", Some(true)),
    (b"HELO ", "smtp", Some(true)),
    (b"+OK ", "pop3", Some(false)),
    (b"* OK ", "imap", Some(false)),
    (b"*1\r\n$", "redis", Some(true)),
    (b"*2\r\n$", "redis", Some(true)),
    (b"*3\r\n$", "redis", Some(true)),
    (b"INFO {\"server_id\"", "nats", Some(false)),
    (b"\x13BitTorrent protocol", "bittorrent", None),
    (b"RFB 003.", "vnc", None),
    (b"\x05\x00\x0b\x03\x10\x00\x00\x00", "dce-rpc", Some(true)),
];

/// Where a stream is joined in the middle, a few bytes may be anything; so many are an opening.
const LONG: usize = 7;

/// The protocols of [`OPENINGS`].
pub struct Ordinary;

impl Detector for Ordinary {
    fn name(&self) -> &'static str {
        "ordinary"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let openings = OPENINGS.iter().filter(|(opening, ..)| match input.start {
            Start::Beginning => true,
            Start::Joined => opening.len() >= LONG,
            Start::Later => false,
        });
        let found = openings
            .clone()
            .find(|(opening, ..)| input.bytes.starts_with(opening));
        if let Some((_, name, sender_is_client)) = found {
            return Probe::Certain(Claim {
                format: Format::other(name),
                offset: 0,
                sender_is_client: *sender_is_client,
                evidence: Evidence::payload("opening", *name),
            });
        }
        let open = openings
            .into_iter()
            .any(|(opening, ..)| opening.starts_with(input.bytes));
        if open {
            Probe::NeedMore {
                from: 0,
                total: input.bytes.len() + 1,
            }
        } else {
            Probe::No
        }
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Nothing)
    }
}

/// Has nothing to tell.
pub struct Nothing;

impl Dissector for Nothing {
    fn feed(&mut self, _: Direction, _: &[u8], _: &mut Events) {}

    fn is_done(&self) -> bool {
        true
    }
}
