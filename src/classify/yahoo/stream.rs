//! One direction of a YMSG connection: bytes in, packets out.

use super::body::{Body, Fields};
use super::ymsg::{HEADER, Header, MAGIC};
use memchr::memchr;

/// A packet, complete as far as it was captured.
#[derive(Debug)]
pub struct Packet {
    /// Its header.
    pub header: Header,
    /// What its body said.
    pub fields: Fields,
    /// All of it was captured.
    pub whole: bool,
}

/// Cuts a direction into packets. Holds at most a header and the fields of one packet.
#[derive(Debug, Default)]
pub struct Stream {
    head: [u8; HEADER],
    filled: usize,
    body: Option<(Header, Body)>,
    /// Out of step: only a plausible header counts.
    lost: bool,
}

impl Stream {
    /// Bytes held on the heap.
    pub fn memory(&self) -> usize {
        self.body.as_ref().map_or(0, |(_, body)| body.memory())
    }

    /// Reads on; returns the next packet, if one is complete, and the bytes behind it.
    pub fn next<'a>(&mut self, mut bytes: &'a [u8]) -> Option<(Packet, &'a [u8])> {
        loop {
            if self.body.is_none() {
                bytes = self.read_head(bytes)?;
            }
            if let Some((_, body)) = &mut self.body {
                bytes = body.feed(bytes);
            }
            if let Some(packet) = self.take_finished() {
                return Some((packet, bytes));
            }
            if bytes.is_empty() {
                return None;
            }
        }
    }

    /// Bytes were not captured. If they reach beyond the current packet, what is known of it is returned.
    pub fn gap(&mut self, missing: u64) -> Option<Packet> {
        if let Some((_, body)) = &mut self.body {
            let within = usize::try_from(missing)
                .ok()
                .filter(|missing| *missing <= body.remaining());
            if let Some(within) = within {
                body.skip(within);
                return self.take_finished();
            }
        }
        self.lost = true;
        self.filled = 0;
        self.body.take().map(|(header, body)| Packet {
            header,
            fields: body.finish(),
            whole: false,
        })
    }

    fn take_finished(&mut self) -> Option<Packet> {
        let (header, body) = self.body.take_if(|(_, body)| body.remaining() == 0)?;
        let whole = !body.is_holed();
        Some(Packet {
            header,
            fields: body.finish(),
            whole,
        })
    }

    /// Fills the header; `None` when the bytes do not suffice.
    fn read_head<'a>(&mut self, mut bytes: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            if self.filled == 0 && self.lost {
                bytes = bytes.get(memchr(MAGIC[0], bytes)?..)?;
            }
            let (mine, rest) = bytes.split_at(bytes.len().min(HEADER - self.filled));
            for (slot, byte) in self.head.iter_mut().skip(self.filled).zip(mine) {
                *slot = *byte;
            }
            self.filled += mine.len();
            bytes = rest;
            while !self.starts_like_magic() {
                self.realign();
            }
            if self.filled == HEADER {
                match Header::parse(&self.head) {
                    // In step, a service that we do not know is still a packet.
                    Some(header) if !self.lost || header.is_plausible() => {
                        self.filled = 0;
                        self.lost = false;
                        self.body = Some((header, Body::new(header.length)));
                        return Some(bytes);
                    }
                    _ => self.realign(),
                }
            } else if bytes.is_empty() {
                return None;
            }
        }
    }

    fn starts_like_magic(&self) -> bool {
        self.head
            .iter()
            .take(self.filled)
            .zip(MAGIC)
            .all(|(have, want)| have == want)
    }

    /// Drops the first byte and all others before one that may begin a packet.
    fn realign(&mut self) {
        self.lost = true;
        let held = self.head.get(1..self.filled).unwrap_or_default();
        let from = 1 + memchr(MAGIC[0], held).unwrap_or(held.len());
        self.head.copy_within(from..self.filled, 0);
        self.filled -= from;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::classify::yahoo::testing::packet;

    fn services(stream: &mut Stream, mut bytes: &[u8]) -> Vec<u16> {
        let mut found = Vec::new();
        while let Some((packet, rest)) = stream.next(bytes) {
            found.push(packet.header.service);
            bytes = rest;
        }
        found
    }

    #[test]
    fn packets_however_they_are_cut() {
        let mut bytes = packet(16, 0x4C, 0, b"");
        bytes.extend(packet(16, 0x57, 0, b"1\xC0\x80alice\xC0\x80"));
        // In step, an unknown service does not matter.
        bytes.extend(packet(16, 0x0999, 0, b"1\xC0\x80alice\xC0\x80"));
        bytes.extend(packet(16, 0x8A, 0, b""));
        for step in [1, 3, 4, 20, bytes.len()] {
            let mut stream = Stream::default();
            let found: Vec<u16> = bytes
                .chunks(step)
                .flat_map(|piece| services(&mut stream, piece))
                .collect();
            assert_eq!(found, [0x4C, 0x57, 0x0999, 0x8A]);
        }
    }

    #[test]
    fn the_longest_packet() {
        let bytes = packet(16, 0x06, 0, &vec![b'1'; 65_535]);
        assert_eq!(services(&mut Stream::default(), &bytes), [0x06]);
    }

    #[test]
    fn a_gap_within_a_body_keeps_step() {
        let first = packet(16, 0x06, 0, &[b'1'; 500]);
        let mut stream = Stream::default();
        assert!(services(&mut stream, &first[..100]).is_empty());
        assert!(stream.gap(200).is_none());
        let mut rest = first[300..].to_vec();
        rest.extend(packet(16, 0x0999, 0, b"")); // unknown, yet in step
        assert_eq!(services(&mut stream, &rest), [0x06, 0x0999]);
    }

    #[test]
    fn finds_the_way_again_behind_a_gap_and_noise() {
        let mut stream = Stream::default();
        assert!(services(&mut stream, &packet(16, 0x06, 0, &[b'1'; 50])[..40]).is_empty());
        assert_eq!(stream.gap(100).unwrap().header.service, 0x06);
        let mut rest = b"YMYMSG YMSG rocks and rolls YYMS".to_vec();
        rest.extend(packet(0, 0x02, 1, b"7\xC0\x80bob\xC0\x80"));
        for step in [1, rest.len()] {
            let mut again = Stream {
                lost: true,
                ..Stream::default()
            };
            let found: Vec<u16> = rest
                .chunks(step)
                .flat_map(|piece| services(&mut again, piece))
                .collect();
            assert_eq!(found, [0x02]);
        }
    }
}
