//! Frames, built byte by byte from the protocols' specifications, and what they say.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod build;
mod cut;
mod fragments;
mod fragments_lost;
mod hostile;
mod ip;
mod link;
mod transport;
mod tunnel;

use imwarden::model::{Layer, LinkType, Packet, Timestamp};
use imwarden::packet::{Decoded, FrameMeta, Reason, decode};

pub(crate) fn meta(link: LinkType, wire_len: usize) -> FrameMeta {
    FrameMeta {
        number: 7,
        timestamp: Timestamp::from_nanos(1_000),
        link,
        wire_len: u32::try_from(wire_len).unwrap(),
    }
}

/// The packet in a frame that was captured whole.
pub(crate) fn packet(link: LinkType, frame: &[u8]) -> Packet<'_> {
    match decode(meta(link, frame.len()), frame) {
        Decoded::Packet(packet) => packet,
        Decoded::Fragment(fragment) => panic!("{fragment:?}"),
        Decoded::Ignored(reason) => panic!("ignored: {reason}"),
    }
}

/// Why a frame that was captured whole is no packet.
pub(crate) fn ignored(link: LinkType, frame: &[u8]) -> Reason {
    match decode(meta(link, frame.len()), frame) {
        Decoded::Packet(packet) => panic!("{packet:?}"),
        Decoded::Fragment(fragment) => panic!("{fragment:?}"),
        Decoded::Ignored(reason) => reason,
    }
}

pub(crate) fn path(packet: &Packet<'_>) -> Vec<Layer> {
    packet.path.iter().collect()
}
