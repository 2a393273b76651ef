//! So many bytes in a row, and what errors say when there are fewer.

use super::super::{CaptureError, Place};
use super::stream::Stream;
use std::io;

/// Why there are not that many bytes.
#[derive(Debug)]
pub(super) enum Shortage {
    /// The input ends before.
    End {
        /// Bytes that are there.
        have: usize,
        /// A compressed input that broke off, so that even `have == 0` is no proper end.
        cut: bool,
    },
    /// Reading failed.
    Failed(io::Error),
}

/// What errors say about where they come from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub name: String,
    pub decompressed: bool,
}

impl Origin {
    fn place(&self, offset: u64) -> Place {
        Place {
            name: self.name.clone(),
            offset,
            decompressed: self.decompressed,
        }
    }

    #[cold]
    pub fn unreadable(&self, offset: u64, source: io::Error) -> CaptureError {
        CaptureError::Read {
            place: self.place(offset),
            source,
        }
    }

    #[cold]
    pub fn truncated(&self, offset: u64, needed: usize, have: usize) -> CaptureError {
        CaptureError::Truncated {
            place: self.place(offset),
            needed: needed as u64,
            have: have as u64,
        }
    }

    pub fn corrupt(&self, offset: u64, what: impl Into<String>) -> CaptureError {
        CaptureError::Corrupt {
            place: self.place(offset),
            what: what.into(),
        }
    }
}

/// The next `n` bytes; `None` at the proper end of the input.
#[inline]
pub(super) fn peek_or_end<'s>(
    stream: &'s mut Stream,
    origin: &Origin,
    n: usize,
) -> Result<Option<&'s [u8]>, CaptureError> {
    let offset = stream.offset();
    match stream.peek(n) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Shortage::End {
            have: 0,
            cut: false,
        }) => Ok(None),
        Err(Shortage::End { have, .. }) => Err(origin.truncated(offset, n, have)),
        Err(Shortage::Failed(source)) => Err(origin.unreadable(offset, source)),
    }
}

/// The next `n` bytes, in the middle of a record: the end is an error here.
#[inline]
pub(super) fn peek<'s>(
    stream: &'s mut Stream,
    origin: &Origin,
    n: usize,
) -> Result<&'s [u8], CaptureError> {
    let offset = stream.offset();
    match peek_or_end(stream, origin, n) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(origin.truncated(offset, n, 0)),
        Err(error) => Err(error),
    }
}
