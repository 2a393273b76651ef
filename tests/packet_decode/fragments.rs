//! Datagrams in pieces.

use super::build::{
    ACK, TCP, UDP, authentication, ethernet, extension, fragment, ipv4_with, ipv6, tag, tcp, udp,
};
use imwarden::model::{LinkType, Packet, Timestamp, Transport};
use imwarden::packet::{Decoded, Defragmenter, FrameMeta, Reason, decode};

pub(crate) const MEMORY: usize = 1 << 20;

/// What a packet said, to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) number: u64,
    pub(crate) src: String,
    pub(crate) transport: Transport,
    pub(crate) payload: Vec<u8>,
    pub(crate) cut: usize,
    pub(crate) wire_len: u32,
    pub(crate) path: String,
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
pub(crate) struct Wire {
    pub(crate) link: LinkType,
    pub(crate) defragmenter: Defragmenter,
    pub(crate) number: u64,
    pub(crate) millis: i64,
    pub(crate) seen: Vec<Seen>,
}

impl Wire {
    pub(crate) fn new(link: LinkType) -> Self {
        Self::with_memory(link, MEMORY)
    }

    pub(crate) fn with_memory(link: LinkType, memory: usize) -> Self {
        Self {
            link,
            defragmenter: Defragmenter::new(memory),
            number: 0,
            millis: 1_000_000,
            seen: Vec::new(),
        }
    }

    pub(crate) fn frame(&mut self, frame: &[u8]) -> &mut Self {
        self.cut_frame(frame, frame.len())
    }

    /// A frame of which the snap length kept so many bytes.
    pub(crate) fn cut_frame(&mut self, frame: &[u8], kept: usize) -> &mut Self {
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

    pub(crate) fn frames<'a>(
        &mut self,
        frames: impl IntoIterator<Item = &'a Vec<u8>>,
    ) -> &mut Self {
        for frame in frames {
            self.frame(frame);
        }
        self
    }

    pub(crate) fn wait(&mut self, millis: i64) -> &mut Self {
        self.millis += millis;
        let now = Timestamp::from_nanos(self.millis * 1_000_000);
        let seen = &mut self.seen;
        self.defragmenter
            .tick(now, &mut |packet| seen.push(Seen::of(packet)));
        self
    }

    pub(crate) fn end(&mut self) -> &mut Self {
        let seen = &mut self.seen;
        self.defragmenter
            .finish(&mut |packet| seen.push(Seen::of(packet)));
        assert_eq!(self.defragmenter.used(), 0);
        self
    }

    pub(crate) fn payloads(&self) -> Vec<&[u8]> {
        self.seen.iter().map(|seen| &seen.payload[..]).collect()
    }

    /// Frames that came to nothing because they were pieces only.
    pub(crate) fn unusable(&self) -> u64 {
        self.ignored(Reason::IpFragment)
    }

    pub(crate) fn ignored(&self, reason: Reason) -> u64 {
        let stats = self.defragmenter.stats();
        let mut counts = stats.ignored().filter(|(counted, _)| *counted == reason);
        counts.next().map_or(0, |(_, count)| count)
    }

    pub(crate) fn overlaps(&self) -> u64 {
        self.defragmenter.stats().overlaps
    }
}

/// Bytes that differ everywhere, so that a wrong place shows.
pub(crate) fn text(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n / 8 * 7 + n % 8) as u8).collect()
}

/// An IPv4 datagram from 10.0.0.5 to 192.0.2.9.
pub(crate) fn v4(id: u16, protocol: u8, offset: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    let field = u16::try_from(offset / 8).unwrap() | if more { 0x2000 } else { 0 };
    let mut frame = ipv4_with(protocol, &[], field, None, payload);
    frame[4..6].copy_from_slice(&id.to_be_bytes());
    frame
}

/// An IPv6 datagram with a fragment header.
pub(crate) fn v6(id: u16, next: u8, offset: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut piece = fragment(next, u16::try_from(offset / 8).unwrap(), more, payload);
    piece[6..8].copy_from_slice(&id.to_be_bytes());
    ipv6(44, &piece)
}

pub(crate) type Build = fn(u16, u8, usize, bool, &[u8]) -> Vec<u8>;
pub(crate) const VERSIONS: [Build; 2] = [v4, v6];

/// A datagram's payload in pieces that begin at these offsets.
pub(crate) fn pieces(
    build: Build,
    id: u16,
    protocol: u8,
    payload: &[u8],
    cuts: &[usize],
) -> Vec<Vec<u8>> {
    let ends = cuts[1..].iter().copied().chain([payload.len()]);
    let piece = |(&from, to)| build(id, protocol, from, to < payload.len(), &payload[from..to]);
    cuts.iter().zip(ends).map(piece).collect()
}

pub(crate) fn permutations(n: usize) -> Vec<Vec<usize>> {
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
        wire.frames(pieces.iter().flat_map(|piece| [piece, piece]))
            .end();
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
        for (text, doubled) in [
            ("first datagram of all", false),
            ("second one, as long!!", true),
        ] {
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

/// A piece of a UDP datagram whose payload is so many units of 8 bytes: one letter a unit, the first is the header.
fn units(build: Build, total: usize, (at, letters): (usize, &str)) -> Vec<u8> {
    let header = udp(&vec![0; 8 * total])[..8].to_vec();
    let unit = |letter| match letter {
        'H' => header.clone(),
        letter => vec![letter as u8; 8],
    };
    let bytes: Vec<u8> = letters.chars().flat_map(unit).collect();
    build(1, UDP, 8 * at, at + letters.len() <= total, &bytes)
}

/// Pieces in the order in which they are sent, the payload, and how many of them overlap.
type Case = (&'static [(usize, &'static str)], &'static str, u64);

#[test]
fn of_overlapping_bytes_the_first_copy_stays() {
    let cases: [Case; 9] = [
        (&[(0, "Hab"), (2, "XYc"), (5, "d")], "abYcd", 1),
        (&[(0, "H"), (3, "cd"), (1, "XYZ"), (5, "e")], "XYcde", 1),
        (&[(0, "Ha"), (4, "d"), (1, "VWXYZ")], "aWXdZ", 1),
        (&[(0, "Habc"), (2, "X"), (4, "d")], "abcd", 1),
        (&[(1, "a"), (3, "c"), (0, "HWXYZ"), (5, "e")], "aXcZe", 1),
        (&[(5, "e"), (3, "c"), (1, "a"), (0, "HUVWX")], "aVcXe", 1),
        (&[(0, "Hab"), (0, "Hxy"), (1, "xy"), (3, "c")], "abc", 2),
        (&[(4, "d"), (4, "e"), (0, "Habc")], "abcd", 1),
        // Later pieces may also bring the header, if it was not there before.
        (&[(1, "ab"), (0, "HX"), (3, "c")], "abc", 1),
    ];
    for build in VERSIONS {
        for (sent, expected, overlaps) in cases {
            let mut wire = Wire::new(LinkType::RAW);
            for &piece in sent {
                assert!(wire.seen.is_empty(), "{expected}: whole before {piece:?}");
                wire.frame(&units(build, expected.len(), piece));
            }
            wire.end();
            let expected: Vec<u8> = expected.bytes().flat_map(|letter| [letter; 8]).collect();
            assert_eq!(wire.payloads(), [&expected[..]], "{sent:?}");
            assert_eq!(
                (wire.overlaps(), wire.unusable()),
                (overlaps, 0),
                "{sent:?}"
            );
        }
    }
}

#[test]
pub(crate) fn pieces_of_different_datagrams_are_kept_apart() {
    let data = text(40);
    let right = pieces(v4, 1, UDP, &udp(&data), &[0, 24]);
    // Everything but one thing is the same.
    let mut source = right[1].clone();
    source[15] = 6;
    let mut destination = right[1].clone();
    destination[19] = 10;
    for (what, link, first, second) in [
        (
            "identification",
            LinkType::RAW,
            right[0].clone(),
            v4(2, UDP, 24, false, &text(24)),
        ),
        (
            "protocol",
            LinkType::RAW,
            right[0].clone(),
            v4(1, TCP, 24, false, &text(24)),
        ),
        ("source", LinkType::RAW, right[0].clone(), source),
        ("destination", LinkType::RAW, right[0].clone(), destination),
        (
            "path",
            LinkType::ETHERNET,
            ethernet(0x8100, &tag(7, 0x0800, &right[0])),
            ethernet(0x8100, &tag(8, 0x0800, &right[1])),
        ),
    ] {
        let mut wire = Wire::new(link);
        wire.frame(&first).frame(&second);
        assert!(wire.seen.is_empty(), "{what}");
        wire.end();
        assert_eq!(wire.payloads(), [&data[..16]], "{what}");
        assert_eq!(wire.unusable(), 1, "{what}");
    }
    // Of IPv6 only the first fragment says what is inside.
    let data = udp(&data);
    let mut wire = Wire::new(LinkType::RAW);
    wire.frame(&v6(1, TCP, 24, false, &data[24..]));
    wire.frame(&v6(1, UDP, 0, true, &data[..24]));
    assert_eq!(wire.payloads(), [&data[8..]]);
}

#[test]
fn the_path_leads_to_the_packet() {
    let data = text(90);
    let payload = udp(&data);
    let mut wire = Wire::new(LinkType::ETHERNET);
    for piece in pieces(v4, 1, UDP, &payload, &[0, 48]) {
        // Ethernet pads what is short; that is nothing of the fragment.
        let mut frame = ethernet(0x88a8, &tag(3, 0x8100, &tag(7, 0x0800, &piece)));
        frame.resize(frame.len().max(100), 0xff);
        wire.frame(&frame);
    }
    assert_eq!(wire.payloads(), [&data[..]]);
    assert_eq!(wire.seen[0].path, "vlan 3 > vlan 7");
    assert_eq!(wire.seen[0].src, "10.0.0.5:50211");
}

#[test]
fn extension_headers_before_and_behind_the_fragment_header() {
    let data = text(70);
    // Destination options are allowed in both places; the second ones are cut like data.
    let inside = authentication(60, &extension(UDP, 1, &udp(&data)));
    let mut wire = Wire::new(LinkType::RAW);
    for (at, to) in [(0, 16), (16, 48), (48, inside.len())] {
        let piece = fragment(
            51,
            at / 8,
            usize::from(to as u8) < inside.len(),
            &inside[usize::from(at)..to],
        );
        wire.frame(&ipv6(
            0,
            &extension(60, 0, &extension(43, 0, &extension(44, 2, &piece))),
        ));
    }
    assert_eq!(wire.payloads(), [&data[..]]);
    // IPv4 signs first and cuts then, too.
    let inside = authentication(TCP, &tcp(ACK, &[], &data));
    let mut wire = Wire::new(LinkType::RAW);
    wire.frames(&pieces(v4, 9, 51, &inside, &[0, 8, 24, 40]));
    assert_eq!(wire.payloads(), [&data[..]]);
}

#[test]
fn fragments_of_fragments_are_nothing() {
    // RFC 8200 does not forbid it in so many words, receivers do.
    let inner = fragment(UDP, 0, true, &udp(&text(40)));
    let mut wire = Wire::new(LinkType::RAW);
    wire.frames(&pieces(v6, 1, 44, &inner, &[0, 24])).end();
    assert!(wire.seen.is_empty());
    assert_eq!(wire.ignored(Reason::Malformed), 2);
}

#[test]
fn whole_datagrams_of_other_protocols_are_counted_as_such() {
    for build in VERSIONS {
        let mut wire = Wire::new(LinkType::RAW);
        // OSPF; each of the frames counts.
        wire.frames(&pieces(build, 1, 89, &text(100), &[0, 40, 80]))
            .end();
        assert!(wire.seen.is_empty());
        assert_eq!(wire.ignored(Reason::UnsupportedIpProtocol), 3);
        assert_eq!(wire.unusable(), 0);
    }
}

#[test]
fn the_longest_datagram_in_the_smallest_pieces_in_any_order() {
    let data = text(65_535 - 20 - 8);
    let payload = udp(&data);
    let cuts: Vec<usize> = (0..payload.len()).step_by(8).collect();
    let pieces = pieces(v4, 1, UDP, &payload, &cuts);
    let forwards: Vec<usize> = (0..pieces.len()).collect();
    let backwards: Vec<usize> = forwards.iter().rev().copied().collect();
    let (even, odd): (Vec<usize>, Vec<usize>) = forwards.iter().partition(|n| *n % 2 == 0);
    for order in [forwards, backwards, [even, odd].concat()] {
        let mut wire = Wire::new(LinkType::RAW);
        wire.frames(order.iter().map(|&n| &pieces[n])).end();
        assert!(wire.payloads() == [&data[..]]);
        assert_eq!((wire.overlaps(), wire.unusable()), (0, 0));
    }
}

#[test]
fn datagrams_that_contradict_themselves_are_dropped() {
    for build in VERSIONS {
        let payload = udp(&text(56));
        let piece = |from: usize, to: usize, more| build(1, UDP, from, more, &payload[from..to]);
        for frames in [
            // Two ends.
            vec![
                piece(8, 24, true),
                piece(24, 48, false),
                piece(24, 40, false),
            ],
            vec![piece(48, 56, false), piece(56, 64, false)],
            // Something behind the end.
            vec![piece(40, 64, true), piece(24, 32, false)],
            vec![piece(24, 32, false), piece(40, 48, true)],
            vec![piece(24, 48, false), piece(40, 56, true)],
        ] {
            let mut wire = Wire::new(LinkType::RAW);
            wire.frames(&frames);
            assert_eq!(wire.unusable(), frames.len() as u64);
            assert_eq!(wire.defragmenter.used(), 0);
            wire.end();
            assert!(wire.seen.is_empty());
        }
    }
}
/// An IP-in-IP tunnel (RFC 2003) around each of the frames, cut into pieces itself.
fn tunnel(frames: &[Vec<u8>], id: u16, cuts: &[usize]) -> Vec<Vec<u8>> {
    let outer = |(n, frame): (usize, &Vec<u8>)| {
        let cuts: Vec<usize> = cuts
            .iter()
            .copied()
            .filter(|cut| *cut < frame.len())
            .collect();
        pieces(v4, id + n as u16, 4, frame, &cuts)
    };
    frames.iter().enumerate().flat_map(outer).collect()
}

#[test]
fn fragments_in_a_tunnel_that_was_fragmented() {
    let data = text(200);
    let inner = pieces(v4, 1, UDP, &udp(&data), &[0, 64, 128]);
    let frames = tunnel(&inner, 100, &[0, 40]);
    assert_eq!(frames.len(), 6);
    let total: usize = frames.iter().map(Vec::len).sum();
    for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [4, 1, 2, 5, 0, 3]] {
        let mut wire = Wire::new(LinkType::RAW);
        wire.frames(order.iter().map(|&n: &usize| &frames[n])).end();
        assert_eq!(wire.payloads(), [&data[..]]);
        assert_eq!((wire.seen[0].number, wire.seen[0].cut), (6, 0));
        // Every frame's bytes once.
        assert_eq!(wire.seen[0].wire_len as usize, total);
        assert_eq!((wire.unusable(), wire.overlaps()), (0, 0));
    }
    // One of the outer pieces is lost, and with it the inner piece it was of.
    let mut wire = Wire::new(LinkType::RAW);
    wire.frames(
        frames
            .iter()
            .enumerate()
            .filter(|(n, _)| *n != 3)
            .map(|(_, frame)| frame),
    );
    wire.end();
    assert_eq!(wire.payloads(), [&data[..56]]);
    assert_eq!(wire.seen[0].cut, 200 - 56);
}

#[test]
fn tunnels_in_pieces_in_tunnels_in_pieces_end_somewhere() {
    let data = text(100);
    for (depth, found) in [(8, true), (9, false)] {
        let mut frames = pieces(v4, 1, UDP, &udp(&data), &[0, 40]);
        for level in 0..depth {
            frames = tunnel(&frames, 1_000 * (level + 1), &[0, 24]);
        }
        let mut wire = Wire::new(LinkType::RAW);
        wire.frames(&frames).end();
        assert_eq!(
            wire.payloads(),
            if found { vec![&data[..]] } else { vec![] }
        );
        assert_eq!(wire.ignored(Reason::TooManyLayers) > 0, !found);
    }
}

#[test]
fn beginnings_that_are_fragments_themselves_are_no_way_to_more_work_than_frames() {
    // First fragments of tunnels with a first fragment of a tunnel inside and so on, 16 deep.
    let mut frame = v4(1, UDP, 0, true, &udp(&[0; 24]));
    for _ in 0..16 {
        let length = frame.len() / 8 * 8;
        frame = v4(1, 4, 0, true, &frame[..length]);
    }
    let mut wire = Wire::with_memory(LinkType::RAW, 16 << 10);
    for n in 0..2_000_u16 {
        frame[4..6].copy_from_slice(&n.to_be_bytes());
        wire.frame(&frame);
        assert!(wire.defragmenter.used() <= 16 << 10);
    }
    wire.end();
    // Beyond 8 tunnels nothing is followed.
    assert!(wire.seen.is_empty());
    let stats = wire.defragmenter.stats();
    let frames: u64 = stats.ignored().map(|(_, frames)| frames).sum();
    assert_eq!(frames, 2_000);
}
