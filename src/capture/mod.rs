//! Where frames come from.
//!
//! A [`FrameSource`] lends one frame after the other and never copies it. Saved captures are opened with
//! [`open`] (a file), [`open_reader`] (a pipe) and found in folders with [`expand`]: pcap and pcapng in every
//! byte order and clock resolution, plain or compressed with gzip or zstd, told by content and never by name.
//!
//! Nothing in a file is believed: every length is checked against a limit before a byte is fetched for it, and
//! a file that is cut or damaged gives all its frames up to that place and then one error that names the place.

mod error;
mod file;
pub mod live;

pub use error::{CaptureError, Place};
pub use file::{expand, open, open_reader};

use crate::model::{LinkType, Timestamp};

/// One captured frame, lent until the next one is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it was captured.
    pub timestamp: Timestamp,
    /// What its first header is.
    pub link: LinkType,
    /// The bytes that were captured.
    pub data: &'a [u8],
    /// How long it was on the wire; never less than `data`.
    pub wire_len: u32,
}

/// How far a source has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceStats {
    /// Frames delivered.
    pub frames: u64,
    /// Captured bytes in them.
    pub bytes: u64,
    /// Bytes of the input used up; for compressed input, bytes before decompression. A stream may have
    /// been read ahead by a buffer.
    pub position: u64,
    /// Length of the input, when it is known: with `position`, the progress.
    pub total: Option<u64>,
    /// Blocks of a kind that says nothing about packets, passed over (pcapng).
    pub skipped_blocks: u64,
    /// Packets that the capture itself says it lost (pcapng interface statistics, the kernel's count when live).
    pub dropped: u64,
}

/// Something that frames can be taken from: a file, a pipe, an interface.
pub trait FrameSource: Send {
    /// The next frame, or `None` at the end. After an error there are no more frames: it is told once, then
    /// comes `None`.
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError>;

    /// How far it has come.
    fn stats(&self) -> SourceStats;
}
