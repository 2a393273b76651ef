//! Datagrams in pieces.

use super::build::{
    ACK, TCP, UDP, authentication, ethernet, extension, fragment, ipv4_with, ipv6, tag, tcp, udp,
};
use imwarden::model::{LinkType, Packet, Timestamp, Transport};
use imwarden::packet::{Decoded, Defragmenter, FrameMeta, Reason, decode};

const MEMORY: usize = 1 << 20;

/// What a packet said, to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    number: u64,
    src: String,
    transport: Transport,
    payload: Vec<u8>,
    cut: usize,
    wire_len: u32,
    path: String,
}

impl Seen {
    fn of(packet: &Packet<'_>) -> Self {
        let path: Vec<_> = packet.path.iter().map(|layer| layer.to_string()).collect();
        Self {
            number: packet.number,
            src: packet.src.to_string(),
            transport: packet.transport(),
            payload: packet.payload.to_vec(),
            cut: packet.cut,
            wire_len: packet.wire_len,
            path: path.join(" > "),
        }
    }
}

/// A capture that is read frame by frame.
struct Wire {
    link: LinkType,
    defragmenter: Defragmenter,
    number: u64,
    millis: i64,
    seen: Vec<Seen>,
}

impl Wire {
    fn new(link: LinkType) -> Self {
        Self::with_memory(link, MEMORY)
    }

    fn with_memory(link: LinkType, memory: usize) -> Self {
        Self {
            link,
            defragmenter: Defragmenter::new(memory),
            number: 0,
            millis: 1_000_000,
            seen: Vec::new(),
        }
    }

    fn frame(&mut self, frame: &[u8]) -> &mut Self {
        self.cut_frame(frame, frame.len())
    }

    /// A frame of which the snap length kept so many bytes.
    fn cut_frame(&mut self, frame: &[u8], kept: usize) -> &mut Self {
        self.number += 1;
        let meta = FrameMeta {
            number: self.number,
            timestamp: Timestamp::from_nanos(self.millis * 1_000_000),
            link: self.link,
            wire_len: u32::try_from(frame.len()).unwrap(),
        };
        let seen = &mut self.seen;
        let mut deliver = |packet: &Packet<'_>| seen.push(Seen::of(packet));
        self.defragmenter.tick(meta.timestamp, &mut deliver);
        match decode(meta, &frame[..kept.min(frame.len())]) {
            Decoded::Packet(packet) => deliver(&packet),
            Decoded::Fragment(piece) => self.defragmenter.push(&piece, &mut deliver),
            Decoded::Ignored(reason) => panic!("{reason}"),
        }
        self
    }

    fn frames<'a>(&mut self, frames: impl IntoIterator<Item = &'a Vec<u8>>) -> &mut Self {
        for frame in frames {
            self.frame(frame);
        }
        self
    }

    fn wait(&mut self, millis: i64) -> &mut Self {
        self.millis += millis;
        let now = Timestamp::from_nanos(self.millis * 1_000_000);
        let seen = &mut self.seen;
        self.defragmenter
            .tick(now, &mut |packet| seen.push(Seen::of(packet)));
        self
    }

    fn end(&mut self) -> &mut Self {
        let seen = &mut self.seen;
        self.defragmenter
            .finish(&mut |packet| seen.push(Seen::of(packet)));
        assert_eq!(self.defragmenter.used(), 0);
        self
    }

    fn payloads(&self) -> Vec<&[u8]> {
        self.seen.iter().map(|seen| &seen.payload[..]).collect()
    }

    /// Frames that came to nothing because they were pieces only.
    fn unusable(&self) -> u64 {
        self.ignored(Reason::IpFragment)
    }

    fn ignored(&self, reason: Reason) -> u64 {
        let stats = self.defragmenter.stats();
        let mut counts = stats.ignored().filter(|(counted, _)| *counted == reason);
        counts.next().map_or(0, |(_, count)| count)
    }

    fn overlaps(&self) -> u64 {
        self.defragmenter.stats().overlaps
    }
}

/// Bytes that differ everywhere, so that a wrong place shows.
fn text(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n / 8 * 7 + n % 8) as u8).collect()
}

/// An IPv4 datagram from 10.0.0.5 to 192.0.2.9.
fn v4(id: u16, protocol: u8, offset: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    let field = u16::try_from(offset / 8).unwrap() | if more { 0x2000 } else { 0 };
    let mut frame = ipv4_with(protocol, &[], field, None, payload);
    frame[4..6].copy_from_slice(&id.to_be_bytes());
    frame
}

/// An IPv6 datagram with a fragment header.
fn v6(id: u16, next: u8, offset: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut piece = fragment(next, u16::try_from(offset / 8).unwrap(), more, payload);
    piece[6..8].copy_from_slice(&id.to_be_bytes());
    ipv6(44, &piece)
}

type Build = fn(u16, u8, usize, bool, &[u8]) -> Vec<u8>;
const VERSIONS: [Build; 2] = [v4, v6];

/// A datagram's payload in pieces that begin at these offsets.
fn pieces(build: Build, id: u16, protocol: u8, payload: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let ends = cuts[1..].iter().copied().chain([payload.len()]);
    let piece = |(&from, to)| build(id, protocol, from, to < payload.len(), &payload[from..to]);
    cuts.iter().zip(ends).map(piece).collect()
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for shorter in permutations(n - 1) {
        for at in 0..=shorter.len() {
            let mut longer = shorter.clone();
            longer.insert(at, n - 1);
            all.push(longer);
        }
    }
    all
}

#[test]
fn every_order_of_four_pieces() {
    let data = text(100);
    for build in VERSIONS {
        for (protocol, payload) in [(UDP, udp(&data)), (TCP, tcp(ACK, &[], &data))] {
            let pieces = pieces(build, 1, protocol, &payload, &[0, 24, 32, 80]);
            let total: usize = pieces.iter().map(Vec::len).sum();
            for order in permutations(4) {
                let mut wire = Wire::new(LinkType::RAW);
                wire.frames(order.iter().map(|&n| &pieces[n]));
                assert_eq!(wire.payloads(), [&data[..]], "{order:?}");
                let seen = wire.seen[0].clone();
                // The frame that completed it, and every byte of its frames.
                assert_eq!((seen.number, seen.cut), (4, 0));
                assert_eq!(seen.wire_len as usize, total);
                wire.end();
                assert_eq!(wire.seen.len(), 1);
                assert_eq!((wire.unusable(), wire.overlaps()), (0, 0));
            }
        }
    }
}

#[test]
fn duplicates_of_pieces_change_nothing() {
    let data = text(100);
    for build in VERSIONS {
        let pieces = pieces(build, 1, UDP, &udp(&data), &[0, 24, 80]);
        // Each one twice in a row, as when one frame is captured in two places.
        let mut wire = Wire::new(LinkType::RAW);
        wire.frames(pieces.iter().flat_map(|piece| [piece, piece])).end();
        assert_eq!(wire.payloads(), [&data[..]]);
        assert_eq!((wire.overlaps(), wire.unusable()), (3, 0));
        // All, and then all again.
        let mut wire = Wire::new(LinkType::RAW);
        wire.frames(pieces.iter().chain(&pieces)).end();
        assert_eq!(wire.payloads(), [&data[..]]);
        assert_eq!((wire.overlaps(), wire.unusable()), (3, 0));
    }
}

#[test]
fn an_identification_that_is_used_again_at_once_is_a_new_datagram() {
    for build in VERSIONS {
        let mut wire = Wire::new(LinkType::RAW);
        for (text, doubled) in [("first datagram of all", false), ("second one, as long!!", true)] {
            for piece in pieces(build, 1, UDP, &udp(text.as_bytes()), &[0, 16]) {
                wire.frame(&piece);
                if doubled {
                    wire.frame(&piece);
                }
            }
        }
        wire.end();
        let expected: [&[u8]; 2] = [b"first datagram of all", b"second one, as long!!"];
        assert_eq!(wire.payloads(), expected);
        assert_eq!((wire.overlaps(), wire.unusable()), (2, 0));
    }
}

#[test]
fn of_overlapping_bytes_the_first_copy_stays() {
    let payload = udp(&text(64));
    let other = vec![0xee; 72];
    for build in VERSIONS {
        let piece = |from: usize, to: usize| build(1, UDP, from, to < 72, &payload[from..to]);
        let wrong = |from: usize, to: usize| build(1, UDP, from, to < 72, &other[from..to]);
        for (name, frames, overlaps) in [
            ("over the end of the last one", vec![piece(0, 32), wrong(24, 40)], 1),
            ("over the beginning of the next", vec![piece(32, 64), wrong(16, 40)], 1),
            ("over both sides", vec![piece(0, 16), piece(32, 72), wrong(8, 40)], 1),
            ("inside", vec![piece(0, 72 - 8), wrong(16, 24)], 1),
            ("around two", vec![piece(8, 16), piece(24, 32), wrong(0, 40)], 1),
            ("the same twice over", vec![piece(0, 24), wrong(0, 24), wrong(0, 24)], 2),
        ] {
            let mut wire = Wire::new(LinkType::RAW);
            wire.frames(&frames);
            assert!(wire.seen.is_empty(), "{name}");
            assert_eq!(wire.overlaps(), overlaps, "{name}");
            // What nobody sent before, last, fills the rest: from here on every byte is right, where no wrong byte
            // was first.
            let mut first = vec![None; 72];
            for frame in &frames {
                let header = frame.len() - (frame.len() - 20).min(frame.len());
                let _ = header;
                let (at, bytes) = offset_and_bytes(frame);
                for (slot, byte) in first[at..].iter_mut().zip(bytes) {
                    slot.get_or_insert(*byte);
                }
            }
            wire.frame(&piece(0, 40)).frame(&piece(40, 72)).end();
            let expected: Vec<u8> = first
                .iter()
                .zip(&payload)
                .map(|(first, right)| first.unwrap_or(*right))
                .collect();
            // If a wrong copy was first in the UDP header there may be no such datagram.
            let udp_is_whole = expected[..8] == payload[..8];
            assert_eq!(wire.seen.len(), usize::from(udp_is_whole), "{name}");
            if udp_is_whole {
                assert_eq!(wire.seen[0].payload, expected[8..], "{name}");
            }
        }
    }
}

/// Where a frame built here has its piece, and the piece.
fn offset_and_bytes(frame: &[u8]) -> (usize, &[u8]) {
    let Decoded::Fragment(piece) = decode(super::meta(LinkType::RAW, frame.len()), frame) else {
        panic!()
    };
    (piece.offset, &frame[frame.len() - piece.payload.len()..])
}
