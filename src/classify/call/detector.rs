//! Recognises STUN, which is no messenger by itself.

use super::FORMAT;
use super::connection::{Flow, Turn};
use super::stun::{Beginning, Message};
use crate::classify::{Claim, Detector, Dissector, Probe, ProbeInput, Start};
use crate::model::{Evidence, Format, Transport};
use crate::ruleset::StunMessage;

/// What is said of a message that the capture has cut.
const CUT: &str = "beginning of a message with the magic cookie";

fn claim(message: &Message<'_>, cut: bool) -> Claim {
    let what = match message.has_cookie() {
        true if cut => CUT,
        true => "message with the magic cookie",
        false => "message of RFC 3489",
    };
    Claim {
        format: Format::other(FORMAT),
        offset: 0,
        sender_is_client: None,
        evidence: Evidence::payload(FORMAT, what),
    }
}

/// STUN over UDP.
pub(super) struct Datagrams;

impl Detector for Datagrams {
    fn name(&self) -> &'static str {
        "stun"
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        match Message::datagram(input.bytes) {
            Some(message) if message.length != input.wire_len => Probe::No,
            Some(message) if message.has_cookie() => {
                let cut = input.bytes.len() < input.wire_len;
                Probe::Certain(claim(&message, cut))
            }
            Some(message) => Probe::Likely(claim(&message, false)),
            None => Probe::No,
        }
    }

    fn dissector(&self, claim: &Claim) -> Box<dyn Dissector> {
        Box::new(Flow::new(claim.evidence.detail == CUT))
    }
}

/// STUN and TURN over TCP.
pub(super) struct Stream;

impl Detector for Stream {
    fn name(&self) -> &'static str {
        "stun-tcp"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        if input.start == Start::Later {
            return Probe::No;
        }
        match Message::begin(input.bytes) {
            Beginning::Message(message, _) => Probe::Certain(claim(&message, false)),
            Beginning::Short(total) => Probe::NeedMore { from: 0, total },
            Beginning::Other => Probe::No,
        }
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Turn::default())
    }
}
