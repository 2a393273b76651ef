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

use super::super::{CaptureError, Frame, FrameSource, SourceStats};
use super::order::Order;
use super::window::{Origin, Window, peek, peek_or_end};
use crate::model::{LinkType, Timestamp};

const FILE_HEADER: usize = 24;

/// More than any link can carry (Linux merges segments to at most 512 KiB), so a longer record is a length
/// gone wrong. libpcap draws the line at 256 KiB and 1 MiB, depending on the link.
const MAX_RECORD: u32 = 1 << 20;

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

pub(super) struct PcapReader<W> {
    window: W,
    origin: Origin,
    variant: Variant,
    link: LinkType,
    frames: u64,
    bytes: u64,
    /// The end, or an error that was told.
    ended: bool,
}

/// A record that is there in full.
struct Record {
    timestamp: Timestamp,
    captured: usize,
    wire_len: u32,
}

impl<W: Window> PcapReader<W> {
    pub fn new(mut window: W, origin: Origin) -> Result<Self, CaptureError> {
        let head = peek(&mut window, &origin, FILE_HEADER)?;
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
        window.take(FILE_HEADER);
        // The upper half says whether frames end with a checksum; IP's own length leaves that out anyway.
        let link = LinkType(link & 0xffff);
        Ok(Self {
            window,
            origin,
            variant,
            link,
            frames: 0,
            bytes: 0,
            ended: false,
        })
    }

    fn locate(&mut self) -> Result<Option<Record>, CaptureError> {
        let Variant {
            order,
            unit,
            record_header,
        } = self.variant;
        let offset = self.window.offset();
        let Some(header) = peek_or_end(&mut self.window, &self.origin, record_header)? else {
            return Ok(None);
        };
        let fields = || {
            Some((
                order.u32(header, 0)?,
                order.u32(header, 4)?,
                order.u32(header, 8)?,
                order.u32(header, 12)?,
            ))
        };
        let Some((seconds, fraction, captured, wire_len)) = fields() else {
            return Ok(None);
        };
        if captured > MAX_RECORD {
            let what =
                format!("a packet of {captured} bytes, when none is longer than {MAX_RECORD}");
            return Err(self.origin.corrupt(offset, what));
        }
        peek(
            &mut self.window,
            &self.origin,
            record_header + captured as usize,
        )?;
        Ok(Some(Record {
            // Cannot overflow: 2^32 s are 4.3e18 ns, and the fraction, even a false one, at most 4.3e12.
            timestamp: Timestamp::from_nanos(
                i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * unit,
            ),
            captured: captured as usize,
            // Some writers leave the original length 0.
            wire_len: wire_len.max(captured),
        }))
    }
}

impl<W: Window> FrameSource for PcapReader<W> {
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        if self.ended {
            return Ok(None);
        }
        let record = match self.locate() {
            Ok(Some(record)) => record,
            other => {
                self.ended = true;
                return other.map(|_| None);
            }
        };
        self.frames += 1;
        self.bytes += record.captured as u64;
        let whole = self
            .window
            .take(self.variant.record_header + record.captured);
        Ok(Some(Frame {
            timestamp: record.timestamp,
            link: self.link,
            data: whole.get(self.variant.record_header..).unwrap_or_default(),
            wire_len: record.wire_len,
        }))
    }

    fn stats(&self) -> SourceStats {
        SourceStats {
            frames: self.frames,
            bytes: self.bytes,
            position: self.window.position(),
            total: self.window.total(),
            skipped_blocks: 0,
            dropped: 0,
        }
    }
}
