//! The pcapng format (draft-ietf-opsawg-pcapng): blocks, each with its type, its length before and after, and
//! between them whatever the type says, padded to 4 bytes.
//!
//! ```text
//! type u32 | total length u32 | body ... | total length u32
//! ```
//!
//! A file is one or more sections. A section header says the byte order of its section and makes all earlier
//! interface descriptions void; interfaces are numbered from 0 in the order of their descriptions. A packet
//! block names its interface, and with it link type and clock resolution. Unknown blocks are passed over by
//! their length.

mod block;
mod interface;
mod options;

use super::super::{CaptureError, FrameSource, Frames, Record, SourceStats};
use super::order::Order;
use super::origin::{Origin, peek, peek_or_end};
use super::stream::Stream;
use crate::model::Timestamp;
use block::Block;
use interface::Interface;

/// A block longer than this is a length gone wrong; the limit is Wireshark's.
const MAX_BLOCK: u32 = 16 << 20;
/// Interfaces in one section. Nothing in the format limits them, so a file could make us remember 2^32.
const MAX_INTERFACES: usize = 1 << 16;

const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// Whether this is the beginning of a section, by its type and byte-order magic.
pub(super) fn starts_section(head: &[u8]) -> bool {
    head.starts_with(&SECTION_HEADER) && section_order(head).is_some()
}

/// Whether a section may begin with these bytes, too few to be sure.
pub(super) fn may_begin_with(head: &[u8]) -> bool {
    let magic = head.get(8..).unwrap_or_default();
    SECTION_HEADER.iter().zip(head).all(|(a, b)| a == b)
        && (BYTE_ORDER_MAGIC.to_le_bytes().starts_with(magic)
            || BYTE_ORDER_MAGIC.to_be_bytes().starts_with(magic))
}

fn section_order(block: &[u8]) -> Option<Order> {
    [Order::Little, Order::Big]
        .into_iter()
        .find(|order| order.u32(block, 8) == Some(BYTE_ORDER_MAGIC))
}

pub(super) struct PcapngReader {
    stream: Stream,
    origin: Origin,
    order: Order,
    interfaces: Vec<Interface>,
    /// Time of the last packet, which a simple packet block, having none, inherits.
    last: Timestamp,
    frames: u64,
    bytes: u64,
    skipped_blocks: u64,
    /// Lost packets of finished sections, and those that packet blocks count themselves.
    dropped: u64,
    /// The packets lent last.
    records: Vec<Record>,
    /// The end, or an error that was told.
    ended: bool,
}

impl PcapngReader {
    /// A reader over a stream that [`starts_section`].
    pub fn new(stream: Stream, origin: Origin) -> Self {
        Self {
            stream,
            origin,
            order: Order::Little,
            interfaces: Vec::new(),
            last: Timestamp::default(),
            frames: 0,
            bytes: 0,
            skipped_blocks: 0,
            dropped: 0,
            records: Vec::new(),
            ended: false,
        }
    }

    /// Reads blocks up to the next one that holds a packet, which is left in the stream; whether there is one.
    fn locate(&mut self) -> Result<bool, CaptureError> {
        loop {
            let offset = self.stream.offset();
            let Some(head) = peek_or_end(&mut self.stream, &self.origin, 12)? else {
                return Ok(false);
            };
            if head.starts_with(&SECTION_HEADER) {
                let Some(order) = section_order(head) else {
                    return Err(self
                        .origin
                        .corrupt(offset, "a section header without byte-order magic"));
                };
                self.order = order;
            }
            let order = self.order;
            let Some(length) = order.u32(head, 4) else {
                return Ok(false);
            };
            if !is_block_length(length) {
                let what = format!(
                    "a block of {length} bytes, when lengths go from 12 to {MAX_BLOCK} in steps of 4"
                );
                return Err(self.origin.corrupt(offset, what));
            }
            let bytes = peek(&mut self.stream, &self.origin, length as usize)?;
            let Some((kind, body)) = whole_block(order, bytes) else {
                return Err(self
                    .origin
                    .corrupt(offset, "a block whose two lengths differ"));
            };
            let parsed = block::parse(kind, order, body, &self.interfaces);
            match parsed.map_err(|what| self.origin.corrupt(offset, what))? {
                Block::Packet(_) => return Ok(true),
                Block::Section => {
                    self.dropped = self.lost();
                    self.interfaces.clear();
                }
                Block::Interface(_) if self.interfaces.len() >= MAX_INTERFACES => {
                    let what = format!("more than {MAX_INTERFACES} interfaces in one section");
                    return Err(self.origin.corrupt(offset, what));
                }
                Block::Interface(interface) => self.interfaces.push(interface),
                Block::Statistics { interface, lost } => {
                    // Each block counts from the start of the capture, so the last one holds.
                    if let (Some(interface), Some(lost)) =
                        (self.interfaces.get_mut(interface), lost)
                    {
                        interface.lost = lost;
                    }
                }
                Block::Other => self.skipped_blocks += 1,
            }
            self.stream.take(length as usize);
        }
    }

    fn lost(&self) -> u64 {
        self.interfaces.iter().fold(self.dropped, |sum, interface| {
            sum.saturating_add(interface.lost)
        })
    }
}

const fn is_block_length(length: u32) -> bool {
    length >= 12 && length.is_multiple_of(4) && length <= MAX_BLOCK
}

/// Type and contents of the block at the start of these bytes, without its final length, if it is whole.
fn whole_block(order: Order, bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (kind, length) = (order.u32(bytes, 0)?, order.u32(bytes, 4)?);
    let body_end = (length as usize).checked_sub(4)?;
    let fits = is_block_length(length) && order.u32(bytes, body_end)? == length;
    Some((kind, bytes.get(..body_end)?)).filter(|_| fits)
}

impl FrameSource for PcapngReader {
    fn next_frames(&mut self, most: usize) -> Result<Frames<'_>, CaptureError> {
        self.records.clear();
        self.ended = self.ended || !self.locate().inspect_err(|_| self.ended = true)?;
        if self.ended {
            return Ok(Frames::default());
        }
        let (ready, mut at) = (self.stream.ready(), 0);
        // Whatever is no whole block with a packet is looked at when it is the first.
        while self.records.len() < most
            && let Some((kind, body)) = whole_block(self.order, ready.get(at..).unwrap_or_default())
            && let Ok(Block::Packet(packet)) =
                block::parse(kind, self.order, body, &self.interfaces)
        {
            self.last = packet.timestamp.unwrap_or(self.last);
            self.dropped = self.dropped.saturating_add(packet.dropped);
            self.bytes += packet.data.len() as u64;
            self.records.push(Record {
                timestamp: self.last,
                link: packet.link,
                wire_len: packet.wire_len,
                start: at + packet.data.start,
                len: packet.data.len(),
            });
            at += body.len() + 4;
        }
        self.frames += self.records.len() as u64;
        Ok(Frames::new(self.stream.take(at), &self.records))
    }

    fn stats(&self) -> SourceStats {
        SourceStats {
            frames: self.frames,
            bytes: self.bytes,
            position: self.stream.position(),
            total: self.stream.total(),
            skipped_blocks: self.skipped_blocks,
            dropped: self.lost(),
        }
    }
}
