//! Recognises SIP, which is no messenger by itself.

use super::ID;
use super::dissector::{Connection, Flow};
use super::message::{Look, Message, look};
use crate::classify::{Claim, Detector, Dissector, Probe, ProbeInput, Start};
use crate::model::{Evidence, Format, Transport};

fn claim() -> Claim {
    Claim {
        format: Format::other(ID),
        offset: 0,
        sender_is_client: None,
        evidence: Evidence::payload(ID, "start line"),
    }
}

/// SIP over UDP.
pub(super) struct Datagrams;

impl Detector for Datagrams {
    fn name(&self) -> &'static str {
        "sip"
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        match look(input.bytes) {
            Look::Sip if Message::parse(input.bytes).is_some() => Probe::Certain(claim()),
            Look::Sip => Probe::Likely(claim()),
            Look::Unclear | Look::Neither => Probe::No,
        }
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Flow::default())
    }
}

/// SIP over TCP.
pub(super) struct Stream;

impl Detector for Stream {
    fn name(&self) -> &'static str {
        "sip-tcp"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        if input.start == Start::Later {
            return Probe::No;
        }
        match look(input.bytes) {
            Look::Sip => Probe::Certain(claim()),
            Look::Unclear => Probe::NeedMore {
                from: 0,
                total: input.bytes.len() + 1,
            },
            Look::Neither => Probe::No,
        }
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Connection::default())
    }
}
