//! Recognises a packet's shape. What later clients say of themselves is a signature; a packet of before 2009 only starts the
//! one who waits for more of them.

use super::packet::{HEAD, Length, Packet, read};
use super::session::{Exchange, Talk};
use crate::classify::{Claim, Detector, Dissector, Probe, ProbeInput, Start};
use crate::model::{Evidence, Format, Transport};

/// In front of a packet over TCP: the length of both.
pub(super) const PREFIX: usize = 2;
/// Nobody begins with a longer one.
const LONGEST: usize = 2048;

fn claim(packet: &Packet) -> Probe {
    let format = if packet.is_unmistakable() {
        super::format()
    } else {
        Format::UNTOLD
    };
    let Packet {
        version, command, ..
    } = packet;
    let what = format!("version 0x{version:04x}, command 0x{command:04x}");
    Probe::Likely(Claim {
        format,
        offset: 0,
        sender_is_client: Some(packet.by_client),
        evidence: Evidence::payload(super::FORMAT, what),
    })
}

/// OICQ in datagrams.
pub(super) struct Datagrams;

impl Detector for Datagrams {
    fn name(&self) -> &'static str {
        "oicq"
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let packet = read(input.bytes, Length::Seen(input.wire_len));
        packet.map_or(Probe::No, |packet| claim(&packet))
    }

    fn dissector(&self, claim: &Claim) -> Box<dyn Dissector> {
        Box::new(Exchange::new(claim.format.service.is_some()))
    }
}

/// OICQ over TCP.
pub(super) struct Stream;

impl Detector for Stream {
    fn name(&self) -> &'static str {
        "oicq-tcp"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let bytes = input.bytes;
        if input.start == Start::Later {
            return Probe::No;
        }
        let more = |total| Probe::NeedMore { from: 0, total };
        let length = match bytes {
            [high] if usize::from(*high) <= LONGEST >> 8 => return more(PREFIX + 1),
            [] | [_] => return Probe::No,
            [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
        };
        if !(PREFIX + 1..=LONGEST).contains(&length) || bytes.get(PREFIX).is_some_and(|it| *it != 2)
        {
            return Probe::No;
        }
        let head = length.min(PREFIX + HEAD);
        let Some(first) = bytes.get(PREFIX..head) else {
            return more(head);
        };
        match read(first, Length::Framed(length - PREFIX)) {
            Some(packet) if packet.is_unmistakable() => claim(&packet),
            Some(packet) => match bytes.get(length - 1) {
                Some(3) => claim(&packet),
                Some(_) => Probe::No,
                None => more(length),
            },
            None => Probe::No,
        }
    }

    fn dissector(&self, claim: &Claim) -> Box<dyn Dissector> {
        Box::new(Talk::new(claim.format.service.is_some()))
    }
}
