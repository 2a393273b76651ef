//! The bytes of a group of flows: where each stands, and how it is changed everywhere at once.

use super::select::Taken;
use crate::capture::Record;
use crate::classify::icq;
use crate::model::{FlowKey, Packet, Transport, TransportHeader};
use crate::packet::{Decoded, FrameMeta, decode};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// Where a byte stands in [`Material::bytes`].
pub type Place = usize;

/// The frames, and behind them the plain text of what is scrambled in them.
pub struct Material {
    pub bytes: Vec<u8>,
    original: Vec<u8>,
    /// Payload bytes, each once, in the order of the capture. A byte that was sent twice stands here once.
    cells: Vec<Place>,
    /// Where else a byte stands: segments are sent again.
    copies: HashMap<Place, Vec<Place>>,
    /// The same bytes in the order of their streams, one for each direction of a connection and each datagram.
    streams: Vec<Vec<Place>>,
    scrambled: Vec<Scrambled>,
    sums: Vec<Sum>,
}

/// A datagram that hides its content from nobody.
struct Scrambled {
    plain: Range<usize>,
    payload: Range<usize>,
}

/// The checksum of a segment or datagram.
struct Sum {
    header: Place,
    at: Place,
    payload: Range<usize>,
}

impl Material {
    /// Takes frames apart.
    pub fn new(bytes: Vec<u8>, frames: &[Taken]) -> Self {
        let mut material = Self {
            original: Vec::new(),
            cells: Vec::new(),
            copies: HashMap::new(),
            streams: Vec::new(),
            scrambled: Vec::new(),
            sums: Vec::new(),
            bytes,
        };
        let mut directions = Directions::default();
        for frame in frames {
            material.take(frame, &mut directions);
        }
        let streams = directions.streams.into_values();
        let streams = streams.map(|stream| stream.bytes.into_values().collect());
        material.streams.extend(streams);
        material.original.clone_from(&material.bytes);
        material
    }

    fn take(&mut self, taken: &Taken, directions: &mut Directions) {
        let record = taken.record;
        let end = record.start + record.len;
        let Some(part) = self
            .bytes
            .get(record.start..end)
            .and_then(|frame| Part::of(taken, frame))
        else {
            return;
        };
        match &part {
            Part::Packet { payload, .. } | Part::Datagram { payload, .. } => {
                // Behind what the headers count there is padding, in which old senders leaked their memory.
                if let Some(bytes) = self.bytes.get_mut(payload.end..end) {
                    bytes.fill(0);
                }
            }
            Part::Fragment(_) => {}
        }
        match part {
            Part::Packet {
                key,
                seq,
                payload,
                sum,
            } => {
                self.sums.extend(sum);
                self.segment(directions.of(key), seq, payload);
            }
            Part::Datagram {
                plain: Some(plain),
                payload,
                sum,
            } => {
                let begin = self.bytes.len();
                self.bytes.extend(plain);
                let plain = begin..self.bytes.len();
                self.whole(plain.clone());
                self.scrambled.push(Scrambled { plain, payload });
                self.sums.extend(sum);
            }
            Part::Datagram { payload, sum, .. } => {
                self.whole(payload);
                self.sums.extend(sum);
            }
            Part::Fragment(payload) => self.whole(payload),
        }
    }

    /// A stream of its own.
    fn whole(&mut self, places: Range<usize>) {
        self.cells.extend(places.clone());
        self.streams.push(places.collect());
    }

    fn segment(&mut self, stream: &mut Stream, seq: u32, payload: Range<usize>) {
        let base = *stream.base.get_or_insert(seq);
        let first = i64::from(seq.wrapping_sub(base).cast_signed());
        for (at, place) in (first..).zip(payload) {
            let known = stream.bytes.get(&at).copied();
            let same = known.filter(|known| self.bytes.get(*known) == self.bytes.get(place));
            if let Some(known) = same {
                self.copies.entry(known).or_default().push(place);
            } else {
                self.cells.push(place);
                // Two contents for one place: the second stands alone.
                stream.bytes.entry(at).or_insert(place);
            }
        }
    }

    /// All payload bytes, in the order of the capture.
    pub fn cells(&self) -> &[Place] {
        &self.cells
    }

    /// The same, stream by stream.
    pub fn streams(&self) -> &[Vec<Place>] {
        &self.streams
    }

    /// The bytes as they were.
    pub fn undo(self) -> Vec<u8> {
        self.original
    }

    /// What stands there now.
    pub fn at(&self, place: Place) -> u8 {
        self.bytes.get(place).copied().unwrap_or_default()
    }

    /// Whether it is as it was.
    pub fn is_original(&self, place: Place) -> bool {
        self.bytes.get(place) == self.original.get(place)
    }

    /// Puts a byte there and wherever it stands as well.
    pub fn set(&mut self, place: Place, value: u8) {
        let copies = self.copies.get(&place).into_iter().flatten();
        for place in std::iter::once(&place).chain(copies) {
            if let Some(byte) = self.bytes.get_mut(*place) {
                *byte = value;
            }
        }
    }

    /// Scrambles again what is scrambled; what is as it was, as it was.
    pub fn settle(&mut self) {
        for Scrambled { plain, payload } in &self.scrambled {
            let now = self.bytes.get(plain.clone());
            let bytes = if now == self.original.get(plain.clone()) {
                self.original.get(payload.clone()).map(<[u8]>::to_vec)
            } else {
                now.and_then(icq::scramble)
            };
            if let Some(bytes) = bytes
                && let Some(payload) = self.bytes.get_mut(payload.clone())
                && payload.len() == bytes.len()
            {
                payload.copy_from_slice(&bytes);
            }
        }
    }

    /// Puts the checksums right: what was wrong before stays wrong by as much.
    pub fn sum_up(&mut self) {
        for Sum {
            header,
            at,
            payload,
        } in &self.sums
        {
            let old = self
                .original
                .get(*at..)
                .and_then(|bytes| bytes.first_chunk());
            let Some(old) = old.copied().map(u16::from_be_bytes) else {
                continue;
            };
            // RFC 1624: the sum's complement changes by what the words change by.
            let mut sum = u64::from(!old);
            for place in payload.clone() {
                let value = |bytes: &[u8]| {
                    let byte = bytes.get(place).copied().unwrap_or_default();
                    let word = if (place - header) % 2 == 0 {
                        [byte, 0]
                    } else {
                        [0, byte]
                    };
                    u16::from_be_bytes(word)
                };
                sum += u64::from(!value(&self.original)) + u64::from(value(&self.bytes));
            }
            while sum > 0xFFFF {
                sum = (sum & 0xFFFF) + (sum >> 16);
            }
            let new = !(sum as u16);
            if let Some(bytes) = self.bytes.get_mut(*at..*at + 2) {
                bytes.copy_from_slice(&new.to_be_bytes());
            }
        }
    }
}

/// What a frame holds, by where it stands in the group's bytes.
enum Part {
    Packet {
        key: (FlowKey, bool),
        /// Of the payload's first byte.
        seq: u32,
        payload: Range<usize>,
        sum: Option<Sum>,
    },
    Datagram {
        /// What is scrambled in it.
        plain: Option<Vec<u8>>,
        payload: Range<usize>,
        sum: Option<Sum>,
    },
    Fragment(Range<usize>),
}

impl Part {
    fn of(taken: &Taken, frame: &[u8]) -> Option<Self> {
        let Record {
            timestamp,
            link,
            wire_len,
            start,
            ..
        } = taken.record;
        let meta = FrameMeta {
            number: taken.number,
            timestamp,
            link,
            wire_len,
        };
        let within = |part: &[u8]| {
            let begin = start + (part.as_ptr() as usize - frame.as_ptr() as usize);
            begin..begin + part.len()
        };
        match &decode(meta, frame) {
            Decoded::Packet(packet) => {
                let payload = within(packet.payload);
                let sum = sum(frame, start, packet, &payload);
                Some(match packet.header {
                    TransportHeader::Tcp(tcp) => Self::Packet {
                        key: FlowKey::of_packet(Transport::Tcp, packet.src, packet.dst),
                        seq: tcp.seq.wrapping_add(tcp.flags.syn.into()),
                        payload,
                        sum,
                    },
                    TransportHeader::Udp => Self::Datagram {
                        plain: icq::unscramble(packet.payload),
                        payload,
                        sum,
                    },
                })
            }
            Decoded::Fragment(fragment) => {
                let header = match (fragment.offset, fragment.protocol) {
                    (0, 6) => 20,
                    (0, 17) => 8,
                    _ => 0,
                };
                Some(Self::Fragment(within(fragment.payload.get(header..)?)))
            }
            Decoded::Ignored(_) => None,
        }
    }
}

/// Where the checksum of a packet stands, if it has one.
fn sum(frame: &[u8], start: usize, packet: &Packet<'_>, payload: &Range<usize>) -> Option<Sum> {
    let end = payload.start - start;
    let ports = [packet.src.port.to_be_bytes(), packet.dst.port.to_be_bytes()].concat();
    let (header, at) = match packet.header {
        TransportHeader::Udp => (end.checked_sub(8)?, 6),
        TransportHeader::Tcp(tcp) => {
            let begin = [ports.as_slice(), &tcp.seq.to_be_bytes()].concat();
            // With its options a header has 20 to 60 bytes, and says how many.
            let header = (5..=15).find_map(|words: usize| {
                let header = end.checked_sub(4 * words)?;
                let bytes = frame.get(header..end)?;
                let says = bytes.get(12).map(|byte| usize::from(byte >> 4));
                (bytes.starts_with(&begin) && says == Some(words)).then_some(header)
            });
            (header?, 16)
        }
    };
    let sum = frame.get(header + at..header + at + 2)?;
    let none = sum == [0, 0] && packet.transport() == Transport::Udp;
    (!none).then(|| Sum {
        header: start + header,
        at: start + header + at,
        payload: payload.clone(),
    })
}

/// The directions of connections.
#[derive(Default)]
struct Directions {
    streams: BTreeMap<usize, Stream>,
    known: HashMap<(FlowKey, bool), usize>,
}

#[derive(Default)]
struct Stream {
    base: Option<u32>,
    /// By where they stand in the direction, as far as that is known from its first packet.
    bytes: BTreeMap<i64, Place>,
}

impl Directions {
    fn of(&mut self, key: (FlowKey, bool)) -> &mut Stream {
        let next = self.known.len();
        let number = *self.known.entry(key).or_insert(next);
        self.streams.entry(number).or_default()
    }
}
