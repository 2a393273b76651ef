//! Fragments of IP datagrams (RFC 791 section 3.2, RFC 8200 section 4.5), and how they become datagrams again.
//!
//! [`decode`](super::decode) gives a [`Fragment`] wherever it meets one, also inside tunnels. A [`Defragmenter`] takes
//! it and gives back packets.

mod defragmenter;
#[cfg(test)]
mod defragmenter_tests;
mod pieces;
#[cfg(test)]
mod pieces_tests;
mod table;
mod unfinished;

pub use defragmenter::{Defragmenter, FragmentStats};

use super::FrameMeta;
use super::ip::{Piece, is_sound};
use crate::model::LayerPath;
use std::net::IpAddr;

/// One of the pieces that a datagram's payload was cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The frame that brought it. If it was itself inside fragments: the frame that completed them, and the length
    /// of them all.
    pub meta: FrameMeta,
    /// Frames that brought it: more than one if it was itself inside fragments.
    pub frames: u32,
    /// What it was wrapped in.
    pub path: LayerPath,
    /// Who sent it.
    pub src: IpAddr,
    /// To whom.
    pub dst: IpAddr,
    /// What is inside: IP's protocol number, or that of the next IPv6 header. Of an IPv6 datagram, only the first
    /// fragment's counts.
    pub protocol: u8,
    /// Same for all fragments of a datagram.
    pub identification: u32,
    /// Where the piece belongs in the datagram's payload, in bytes.
    pub offset: usize,
    /// It is not the last one.
    pub more: bool,
    /// The captured bytes.
    pub payload: &'a [u8],
    /// Bytes that were on the wire behind them but that the capture's snap length cut off.
    pub cut: usize,
}

impl<'a> Fragment<'a> {
    pub(super) fn new(meta: FrameMeta, path: LayerPath, piece: &Piece<'a>) -> Self {
        Self {
            meta,
            frames: 1,
            path,
            src: piece.datagram.addresses.src(),
            dst: piece.datagram.addresses.dst(),
            protocol: piece.datagram.protocol.0,
            identification: piece.identification,
            offset: piece.offset,
            more: piece.more,
            payload: piece.datagram.payload.data(),
            cut: piece.datagram.payload.missing(),
        }
    }
    /// `decode` makes no others; whoever makes one by hand may.
    fn is_sound(&self) -> bool {
        let length = self.payload.len().saturating_add(self.cut);
        self.offset.is_multiple_of(8) && is_sound(self.offset, length, self.more)
    }
}
