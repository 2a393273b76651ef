//! The one thing the format readers ask of an input: so many bytes in a row, at the current position.

use super::super::{CaptureError, Place};
use std::io;

/// A position in a run of bytes, mapped or streamed.
pub(super) trait Window: Send {
    /// Exactly `n` bytes from the current position on, without moving.
    fn peek(&mut self, n: usize) -> Result<&[u8], Shortage>;

    /// Moves on by `n` bytes, which were looked at before, and lends them.
    fn take(&mut self, n: usize) -> &[u8];

    /// Bytes taken so far.
    fn offset(&self) -> u64;

    /// Bytes of the input file used up, which differs from [`offset`](Self::offset) when it is compressed.
    fn position(&self) -> u64;

    /// Length of the input file.
    fn total(&self) -> Option<u64>;

    /// The next `n` bytes or what there is of them, and whether the input was cut off there.
    fn head(&mut self, n: usize) -> io::Result<(&[u8], bool)> {
        let (n, cut) = match self.peek(n) {
            Ok(_) => (n, false),
            Err(Shortage::End { have, cut }) => (have, cut),
            Err(Shortage::Failed(error)) => return Err(error),
        };
        Ok((self.peek(n).unwrap_or_default(), cut))
    }
}

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
pub(super) fn peek_or_end<'w, W: Window>(
    window: &'w mut W,
    origin: &Origin,
    n: usize,
) -> Result<Option<&'w [u8]>, CaptureError> {
    let offset = window.offset();
    match window.peek(n) {
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
pub(super) fn peek<'w, W: Window>(
    window: &'w mut W,
    origin: &Origin,
    n: usize,
) -> Result<&'w [u8], CaptureError> {
    let offset = window.offset();
    match peek_or_end(window, origin, n) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(origin.truncated(offset, n, 0)),
        Err(error) => Err(error),
    }
}
