//! What a capture is kept in.

use flate2::Compression;
use flate2::read::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::Read;

/// A frame: when it was seen, in microseconds, what was kept of it, and its length on the wire.
pub struct Record {
    pub micros: u64,
    pub data: Vec<u8>,
    pub wire_len: usize,
}

/// Frames of one link type.
pub struct Capture {
    pub link: u32,
    pub records: Vec<Record>,
}

fn word(value: usize) -> u32 {
    u32::try_from(value).unwrap()
}

impl Capture {
    /// Keeps so many bytes of each frame.
    pub fn snap(&mut self, length: usize) {
        for record in &mut self.records {
            record.data.truncate(length);
        }
    }

    /// Little-endian, microseconds.
    pub fn pcap(&self) -> Vec<u8> {
        let mut out = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, self.link]
            .map(u32::to_le_bytes)
            .concat();
        for record in &self.records {
            let (seconds, micros) = (record.micros / 1_000_000, record.micros % 1_000_000);
            let head = [
                seconds as u32,
                micros as u32,
                word(record.data.len()),
                word(record.wire_len),
            ];
            out.extend(head.map(u32::to_le_bytes).concat());
            out.extend(&record.data);
        }
        out
    }

    /// Big-endian, nanoseconds.
    pub fn nanosecond_pcap(&self) -> Vec<u8> {
        let mut out = [0xa1b2_3c4d_u32, 0x0002_0004, 0, 0, 262_144, self.link]
            .map(u32::to_be_bytes)
            .concat();
        for record in &self.records {
            let (seconds, micros) = (record.micros / 1_000_000, record.micros % 1_000_000);
            let head = [
                seconds as u32,
                micros as u32 * 1000,
                word(record.data.len()),
                word(record.wire_len),
            ];
            out.extend(head.map(u32::to_be_bytes).concat());
            out.extend(&record.data);
        }
        out
    }

    /// One section, one interface, enhanced packet blocks.
    pub fn pcapng(&self) -> Vec<u8> {
        let block = |kind: u32, mut body: Vec<u8>| {
            body.resize(body.len().next_multiple_of(4), 0);
            let length = word(body.len() + 12).to_le_bytes();
            [&kind.to_le_bytes()[..], &length, &body, &length].concat()
        };
        let section = [0x1a2b_3c4d_u32, 1, u32::MAX, u32::MAX];
        let mut out = block(0x0a0d_0d0a, section.map(u32::to_le_bytes).concat());
        out.extend(block(1, [self.link, 0].map(u32::to_le_bytes).concat()));
        for record in &self.records {
            let head = [
                0,
                (record.micros >> 32) as u32,
                record.micros as u32,
                word(record.data.len()),
                word(record.wire_len),
            ];
            let mut body = head.map(u32::to_le_bytes).concat();
            body.extend(&record.data);
            out.extend(block(6, body));
        }
        out
    }

    /// A compressed pcap file.
    pub fn gzip(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let plain = self.pcap();
        let mut packed = GzEncoder::new(&plain[..], Compression::fast());
        packed.read_to_end(&mut out).unwrap();
        out
    }

    /// The same, as pcapng, with Zstandard.
    pub fn zstandard(&self) -> Vec<u8> {
        compress_to_vec(&self.pcapng()[..], CompressionLevel::Fastest)
    }
}
