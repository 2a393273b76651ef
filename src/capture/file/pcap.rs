//! The pcap format (draft-ietf-opsawg-pcap).
//!
//! A header of 24 bytes:
//!
//! ```text
//! magic u32 | major u16 | minor u16 | reserved i32 | reserved u32 | snaplen u32 | link type u32
//! ```
//!
//! The magic is a1b2c3d4 when records count microseconds and a1b23c4d for nanoseconds, in the byte order of
//! everything else. Then records: seconds u32, fraction u32, captured length u32, length on the wire u32, and
//! the captured bytes without padding. A patched libpcap of Linux 2.x days wrote a1b2cd34 and records with 8
//! bytes more (interface index, protocol, packet type).
//!
//! The snap length is not looked at: files say 0, or less than they hold, and are good nevertheless.

use super::super::{CaptureError, FrameSource, Frames, Record, SourceStats};
use super::order::Order;
use super::origin::{Origin, peek, peek_or_end};
use super::stream::Stream;
use super::touch::{Records, touch};
use crate::model::{LinkType, Timestamp};
use std::ops::Range;

const FILE_HEADER: usize = 24;

/// More than any link can carry (Linux merges segments to at most 512 KiB), so a longer record is a length
/// gone wrong. libpcap draws the line at 256 KiB and 1 MiB, depending on the link.
const MAX_RECORD: u32 = 1 << 20;

/// Of records that are longer on average most bytes are not needed, and need not be copied. Of shorter ones each cache line is
/// needed, and reading in one go is the fastest way to it.
const LONG: u64 = 256;

/// What the magic says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variant {
    order: Order,
    /// Nanoseconds in one unit of the fraction.
    unit: i64,
    record_header: usize,
}

impl Variant {
    const ALL: [(u32, i64, usize); 3] = [
        (0xa1b2_c3d4, 1000, 16),
        (0xa1b2_3c4d, 1, 16),
        (0xa1b2_cd34, 1000, 24),
    ];

    pub fn of(head: &[u8]) -> Option<Self> {
        [Order::Little, Order::Big].into_iter().find_map(|order| {
            let magic = order.u32(head, 0)?;
            let (_, unit, record_header) =
                Self::ALL.into_iter().find(|(known, ..)| *known == magic)?;
            Some(Self {
                order,
                unit,
                record_header,
            })
        })
    }

    /// Whether one of the magics begins with these bytes.
    pub fn may_begin_with(head: &[u8]) -> bool {
        Self::ALL.iter().any(|(magic, ..)| {
            magic.to_le_bytes().starts_with(head) || magic.to_be_bytes().starts_with(head)
        })
    }
}

pub(super) struct PcapReader {
    stream: Stream,
    origin: Origin,
    variant: Variant,
    link: LinkType,
    frames: u64,
    bytes: u64,
    /// Those lent last.
    records: Vec<Record>,
    /// The end, or an error that was told.
    ended: bool,
}

/// What a record's header says.
struct Header {
    timestamp: Timestamp,
    captured: u32,
    wire_len: u32,
}

impl Variant {
    #[inline]
    fn header(self, bytes: &[u8]) -> Option<Header> {
        let (numbers, _) = bytes.first_chunk::<16>()?.as_chunks::<4>();
        let mut numbers = [0, 1, 2, 3].map(|number| u32::from_le_bytes(numbers[number]));
        if self.order == Order::Big {
            numbers = numbers.map(u32::swap_bytes);
        }
        let [seconds, fraction, captured, wire_len] = numbers;
        Some(Header {
            // Cannot overflow: 2^32 s are 4.3e18 ns, and the fraction, even a false one, at most 4.3e12.
            timestamp: Timestamp::from_nanos(
                i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * self.unit,
            ),
            captured,
            // Some writers leave the original length 0.
            wire_len: wire_len.max(captured),
        })
    }
}

/// As far as one can tell.
impl Records for Variant {
    fn header(&self) -> usize {
        self.record_header
    }

    /// The upper half of the seconds, which are the same for half a day.
    fn mark(&self) -> Range<usize> {
        match self.order {
            Order::Little => 2..4,
            Order::Big => 0..2,
        }
    }

    #[inline]
    fn length(&self, bytes: &[u8]) -> Option<usize> {
        let header = Self::header(*self, bytes)?;
        let whole = self.record_header + header.captured as usize;
        // Never less than what was captured.
        (header.wire_len <= MAX_RECORD).then_some(whole)
    }
}

impl PcapReader {
    pub fn new(mut stream: Stream, origin: Origin) -> Result<Self, CaptureError> {
        let head = peek(&mut stream, &origin, FILE_HEADER)?;
        let fields = || {
            let variant = Variant::of(head)?;
            Some((
                variant,
                variant.order.u16(head, 4)?,
                variant.order.u16(head, 6)?,
                variant.order.u32(head, 20)?,
            ))
        };
        let Some((variant, major, minor, link)) = fields() else {
            return Err(origin.corrupt(0, "no pcap header"));
        };
        // 2.4 has been the only version since 1998; before 2.3 the two lengths stood the other way round.
        if major != 2 || minor < 3 {
            return Err(origin.corrupt(
                0,
                format!("pcap version {major}.{minor} where only 2.4 is in use"),
            ));
        }
        stream.take(FILE_HEADER);
        // The upper half says whether frames end with a checksum; IP's own length leaves that out anyway.
        let link = LinkType(link & 0xffff);
        Ok(Self {
            stream,
            origin,
            variant,
            link,
            frames: 0,
            bytes: 0,
            records: Vec::new(),
            ended: false,
        })
    }

    /// Waits for a whole record; whether there is one.
    fn wait(&mut self) -> Result<bool, CaptureError> {
        let record_header = self.variant.record_header;
        self.stream.prefer_windows(self.bytes > LONG * self.frames);
        let offset = self.stream.offset();
        let header = peek_or_end(&mut self.stream, &self.origin, record_header)?;
        let Some(Header { captured, .. }) = header.and_then(|bytes| self.variant.header(bytes))
        else {
            return Ok(false);
        };
        if captured > MAX_RECORD {
            let what =
                format!("a packet of {captured} bytes, when none is longer than {MAX_RECORD}");
            return Err(self.origin.corrupt(offset, what));
        }
        let whole = record_header + captured as usize;
        peek(&mut self.stream, &self.origin, whole)?;
        if self.stream.is_fresh() {
            touch(self.stream.ready(), &self.variant);
        }
        Ok(true)
    }
}

impl FrameSource for PcapReader {
    fn next_frames(&mut self, most: usize) -> Result<Frames<'_>, CaptureError> {
        self.records.clear();
        self.ended = self.ended || !self.wait().inspect_err(|_| self.ended = true)?;
        if self.ended {
            return Ok(Frames::default());
        }
        let (variant, ready) = (self.variant, self.stream.ready());
        let (mut at, mut bytes) = (0, 0);
        while self.records.len() < most
            && let Some(header) = ready.get(at..).and_then(|bytes| variant.header(bytes))
            // What is not whole, or no record, is waited for or complained of when it is the first.
            && header.captured <= MAX_RECORD
            && let start = at + variant.record_header
            && let end = start + header.captured as usize
            && end <= ready.len()
        {
            self.records.push(Record {
                timestamp: header.timestamp,
                link: self.link,
                wire_len: header.wire_len,
                start,
                len: header.captured as usize,
            });
            bytes += header.captured as usize;
            at = end;
        }
        self.bytes += bytes as u64;
        self.frames += self.records.len() as u64;
        Ok(Frames::new(self.stream.take(at), &self.records))
    }

    fn stats(&self) -> SourceStats {
        SourceStats {
            frames: self.frames,
            bytes: self.bytes,
            position: self.stream.position(),
            total: self.stream.total(),
            skipped_blocks: 0,
            dropped: 0,
        }
    }
}
