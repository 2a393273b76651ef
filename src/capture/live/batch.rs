//! Frames that were fetched together.

use crate::capture::{Frames, Record};
use crate::model::{LinkType, Timestamp};

/// A buffer that frames are copied into, out of the kernel's: that one is wanted for the next ones.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    records: Vec<Record>,
}

impl Batch {
    /// Adds a frame.
    pub fn push(&mut self, timestamp: Timestamp, link: LinkType, data: &[u8], wire_len: u32) {
        self.records.push(Record {
            timestamp,
            link,
            wire_len: wire_len.max(data.len() as u32),
            start: self.bytes.len(),
            len: data.len(),
        });
        self.bytes.extend_from_slice(data);
    }

    /// Forgets all frames.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
    }

    /// Number of frames.
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// Captured bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The frames.
    pub fn frames(&self) -> Frames<'_> {
        Frames::new(&self.bytes, &self.records)
    }
}
