//! A stream of bytes that knows how much of the file it has used up.

use super::map::{Window, Windows};
use std::fs::File;
use std::io::{self, Read};

/// What a [`Stream`](super::stream::Stream) reads from: the file itself or a decompressor over it.
pub(super) trait Input: Read + Send {
    /// Bytes of the file read so far, before decompression.
    fn consumed(&self) -> u64;

    /// More was wanted from the file when it had come to its end.
    fn ended(&self) -> bool;

    /// Length of the file.
    fn total(&self) -> Option<u64>;

    /// What lies at `offset`, a window long, if the input is a file that can be mapped there.
    fn window(&mut self, offset: u64) -> Option<Window> {
        let _ = offset;
        None
    }

    /// Reads on from `offset`. Only called after windows.
    fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        let _ = offset;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The file as it is, with the possibility to look at its first bytes.
pub(super) struct Raw {
    /// Bytes looked at and not yet read; their number.
    ahead: Vec<u8>,
    reader: Box<dyn Read + Send>,
    /// The same file, if it is one.
    windows: Option<Windows>,
    consumed: u64,
    ended: bool,
    total: Option<u64>,
}

impl Raw {
    pub fn new(reader: Box<dyn Read + Send>, total: Option<u64>) -> Self {
        Self {
            ahead: Vec::new(),
            reader,
            windows: None,
            consumed: 0,
            ended: false,
            total,
        }
    }

    /// A file in which one can go to and fro.
    pub fn regular(file: File, length: u64) -> io::Result<Self> {
        let same = file.try_clone()?;
        Ok(Self {
            windows: Some(Windows::new(same)),
            ..Self::new(Box::new(file), Some(length))
        })
    }

    /// The first `n` bytes, fewer if there are fewer.
    pub fn peek(&mut self, n: usize) -> io::Result<&[u8]> {
        while self.ahead.len() < n && !self.ended {
            let mut some = [0; 64];
            let want = some.len().min(n - self.ahead.len());
            let read = self.fetch(some.get_mut(..want).unwrap_or_default())?;
            self.ahead
                .extend_from_slice(some.get(..read).unwrap_or_default());
        }
        Ok(&self.ahead)
    }

    fn fetch(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.reader.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => {
                    self.ended |= !buffer.is_empty();
                    return Ok(0);
                }
                other => return other,
            }
        }
    }
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = if self.ahead.is_empty() {
            self.fetch(buffer)?
        } else {
            let read = self.ahead.as_slice().read(buffer)?;
            self.ahead.drain(..read);
            read
        };
        self.consumed += read as u64;
        Ok(read)
    }
}

impl Input for Raw {
    fn consumed(&self) -> u64 {
        self.consumed
    }

    fn ended(&self) -> bool {
        self.ended && self.ahead.is_empty()
    }

    fn total(&self) -> Option<u64> {
        self.total
    }

    fn window(&mut self, offset: u64) -> Option<Window> {
        self.windows.as_mut()?.at(offset)
    }

    fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        if let Some(windows) = &mut self.windows {
            windows.seek(offset)?;
        }
        self.consumed = offset;
        Ok(())
    }
}
