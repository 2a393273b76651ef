//! What a block says. All offsets count from the block's first byte, its type.

use super::super::order::Order;
use super::interface::Interface;
use super::options::options;
use crate::model::{LinkType, Timestamp};
use std::ops::Range;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
/// Obsolete, but there are old files.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// Statistics options: packets dropped by the interface, and by the operating system.
const ISB_IFDROP: u16 = 5;
const ISB_OSDROP: u16 = 7;

pub(super) enum Block {
    Section,
    Interface(Interface),
    Packet(Located),
    Statistics {
        interface: usize,
        /// `None` when the block does not count them.
        lost: Option<u64>,
    },
    Other,
}

/// A packet, by its place in its block.
pub(super) struct Located {
    /// `None` for a simple packet block.
    pub timestamp: Option<Timestamp>,
    pub link: LinkType,
    pub data: Range<usize>,
    pub wire_len: u32,
    /// Packets lost between the one before and this one.
    pub dropped: u64,
}

/// Reads a block, given without its final length. An error is a sentence's end: "at byte 28: ...".
pub(super) fn parse(
    kind: u32,
    order: Order,
    body: &[u8],
    interfaces: &[Interface],
) -> Result<Block, String> {
    match kind {
        SECTION_HEADER => section(order, body),
        INTERFACE_DESCRIPTION => Interface::parse(order, body)
            .map(Block::Interface)
            .ok_or_else(|| short("an interface description")),
        ENHANCED_PACKET => {
            let interface = order.u32(body, 8).ok_or_else(|| short("a packet block"))?;
            packet(order, body, interface, 0, interfaces)
        }
        PACKET => {
            let (Some(interface), Some(dropped)) = (order.u16(body, 8), order.u16(body, 10)) else {
                return Err(short("a packet block"));
            };
            // 0xffff stands for "unknown".
            let dropped = if dropped == u16::MAX { 0 } else { dropped };
            packet(
                order,
                body,
                u32::from(interface),
                u64::from(dropped),
                interfaces,
            )
        }
        SIMPLE_PACKET => simple_packet(order, body, interfaces),
        INTERFACE_STATISTICS => Ok(statistics(order, body)),
        _ => Ok(Block::Other),
    }
}

fn short(what: &str) -> String {
    format!("{what} that is too short for its kind")
}

fn section(order: Order, body: &[u8]) -> Result<Block, String> {
    // Type, length, magic, version, section length (8 bytes, of no use: blocks are walked one by one).
    match (order.u16(body, 12), order.u64(body, 16)) {
        (Some(1), Some(_)) => Ok(Block::Section),
        (Some(major), Some(_)) => Err(format!(
            "a section of pcapng version {major}, when only 1 is known"
        )),
        _ => Err(short("a section header")),
    }
}

fn known(interface: u32, interfaces: &[Interface]) -> Result<&Interface, String> {
    usize::try_from(interface)
        .ok()
        .and_then(|i| interfaces.get(i))
        .ok_or_else(|| {
            format!(
                "a packet from interface {interface}, when {} are described",
                interfaces.len()
            )
        })
}

/// The enhanced packet block and its predecessor: after the interface both have time, lengths and data.
fn packet(
    order: Order,
    body: &[u8],
    interface: u32,
    dropped: u64,
    interfaces: &[Interface],
) -> Result<Block, String> {
    let interface = known(interface, interfaces)?;
    let (Some(high), Some(low), Some(captured), Some(wire_len)) = (
        order.u32(body, 12),
        order.u32(body, 16),
        order.u32(body, 20),
        order.u32(body, 24),
    ) else {
        return Err(short("a packet block"));
    };
    Ok(Block::Packet(Located {
        timestamp: Some(interface.clock.time(u64::from(high) << 32 | u64::from(low))),
        link: interface.link,
        data: within(body, 28, captured)?,
        wire_len: wire_len.max(captured),
        dropped,
    }))
}

/// No time, no interface (it is the first), no captured length: that is the least of what was on the wire,
/// the interface's snap length and the room in the block.
fn simple_packet(order: Order, body: &[u8], interfaces: &[Interface]) -> Result<Block, String> {
    let interface = known(0, interfaces)?;
    let wire_len = order.u32(body, 8).ok_or_else(|| short("a packet block"))?;
    let snaplen = if interface.snaplen == 0 {
        u32::MAX
    } else {
        interface.snaplen
    };
    let room = u32::try_from(body.len().saturating_sub(12)).unwrap_or(u32::MAX);
    Ok(Block::Packet(Located {
        timestamp: None,
        link: interface.link,
        data: within(body, 12, wire_len.min(snaplen).min(room))?,
        wire_len,
        dropped: 0,
    }))
}

fn within(body: &[u8], start: usize, length: u32) -> Result<Range<usize>, String> {
    start
        .checked_add(length as usize)
        .filter(|end| *end <= body.len())
        .map(|end| start..end)
        .ok_or_else(|| {
            format!(
                "a packet of {length} bytes in a block with room for {}",
                body.len().saturating_sub(start)
            )
        })
}

fn statistics(order: Order, body: &[u8]) -> Block {
    let Some(interface) = order.u32(body, 8).and_then(|i| usize::try_from(i).ok()) else {
        return Block::Other;
    };
    let lost = options(order, body, 20)
        .filter(|(code, _)| matches!(*code, ISB_IFDROP | ISB_OSDROP))
        .filter_map(|(_, value)| order.u64(value, 0))
        .reduce(u64::saturating_add);
    Block::Statistics { interface, lost }
}
