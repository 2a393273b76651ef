//! Where frames come from.
//!
//! A [`FrameSource`] lends frames, a few at a time, and never copies them. Saved captures are opened with
//! [`open`] (a file), [`open_reader`] (a pipe) and found in folders with [`expand`]: pcap and pcapng in every
//! byte order and clock resolution, plain or compressed with gzip or zstd, told by content and never by name.
//!
//! Nothing in a file is believed: every length is checked against a limit before a byte is fetched for it, and
//! a file that is cut or damaged gives all its frames up to that place and then one error that names the place.

mod error;
mod file;
pub mod live;
mod memory;
mod writer;

pub use error::{CaptureError, Place};
pub use file::{expand, open, open_reader};
pub use memory::Memory;
pub use writer::Writer;

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

/// Frames that lie in one buffer, lent until the next ones are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    records: &'a [Record],
}

/// What is known of a frame, and where in the buffer it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was captured.
    pub timestamp: Timestamp,
    /// What its first header is.
    pub link: LinkType,
    /// How long it was on the wire; never less than was captured.
    pub wire_len: u32,
    /// Its first byte in the buffer.
    pub start: usize,
    /// Bytes captured.
    pub len: usize,
}

impl<'a> Frames<'a> {
    /// Frames of a buffer, in order.
    pub const fn new(bytes: &'a [u8], records: &'a [Record]) -> Self {
        Self { bytes, records }
    }

    /// A copy of them, to be lent out again by [`Self::new`].
    pub fn copied(&self) -> (Vec<u8>, Vec<Record>) {
        (self.bytes.to_vec(), self.records.to_vec())
    }

    /// Those that are wanted, in the same buffer; `kept` has room for what is known of them.
    pub fn only<'b>(
        &self,
        wanted: &mut dyn FnMut(&Frame<'a>) -> bool,
        kept: &'b mut Vec<Record>,
    ) -> Frames<'b>
    where
        'a: 'b,
    {
        kept.clear();
        let both = self.iter().zip(self.records);
        kept.extend(
            both.filter(|(frame, _)| wanted(frame))
                .map(|(_, record)| *record),
        );
        Frames::new(self.bytes, kept)
    }

    /// Whether there are none: the source has come to its end.
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The frames, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Frame<'a>> + use<'a> {
        let bytes = self.bytes;
        self.records.iter().map(|record| Frame {
            timestamp: record.timestamp,
            link: record.link,
            data: bytes
                .get(record.start..record.start + record.len)
                .unwrap_or_default(),
            wire_len: record.wire_len,
        })
    }
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
    /// The next frames, at most `most` of them; none at the end, or in a [`Self::pause`]. Waits for the first one only: more come with it when they
    /// are at hand already. After an error there are no more frames: it is told once, behind all that was whole.
    fn next_frames(&mut self, most: usize) -> Result<Frames<'_>, CaptureError>;

    /// The next frame, or `None` at the end.
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        self.next_frames(1).map(|frames| frames.iter().next())
    }

    /// The time, of a source that goes on although it has no frames at hand: no frames are a pause then, not the end.
    fn pause(&self) -> Option<Timestamp> {
        None
    }

    /// How far it has come.
    fn stats(&self) -> SourceStats;
}
