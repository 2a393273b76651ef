//! Frames that are in memory already.

use super::{CaptureError, FrameSource, Frames, Record, SourceStats};

/// Frames of a buffer, lent in order.
#[derive(Clone, Debug)]
pub struct Memory<'a> {
    bytes: &'a [u8],
    records: &'a [Record],
    at: usize,
}

impl<'a> Memory<'a> {
    /// Frames of this buffer.
    pub const fn new(bytes: &'a [u8], records: &'a [Record]) -> Self {
        Self {
            bytes,
            records,
            at: 0,
        }
    }
}

impl FrameSource for Memory<'_> {
    fn next_frames(&mut self, most: usize) -> Result<Frames<'_>, CaptureError> {
        let end = self.records.len().min(self.at.saturating_add(most));
        let records = self.records.get(self.at..end).unwrap_or_default();
        self.at = end;
        Ok(Frames::new(self.bytes, records))
    }

    fn stats(&self) -> SourceStats {
        SourceStats::default()
    }
}
