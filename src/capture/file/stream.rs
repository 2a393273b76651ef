//! A file, a pipe or a decompressor, through one buffer that only grows to the largest record asked for, or through windows.
//!
//! Reading goes through memory that stays in the processor's cache, which beats touching each page of a map for the first time,
//! unless whoever reads knows which few bytes of a window it will need (see [`touch`](super::touch)) and asks for windows.

use super::input::Input;
use super::map::Window;
use super::origin::Shortage;
use std::io;

/// Room at the start: half of what a processor core of today keeps close (its second cache).
const INITIAL: usize = 512 << 10;

pub(super) struct Stream {
    input: Box<dyn Input>,
    buffer: Vec<u8>,
    /// Lies in front of the buffer, if there is one.
    window: Option<Window>,
    /// Windows are wanted, and were not refused.
    in_windows: bool,
    refused: bool,
    /// A window was opened and not told of.
    fresh: bool,
    /// What of window or buffer is there and not yet taken.
    start: usize,
    end: usize,
    offset: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The input ended; `cut` if in the middle of its compression.
    Ended {
        cut: bool,
    },
    /// It failed; the error was handed out.
    Failed,
}

impl Stream {
    pub fn new(input: Box<dyn Input>) -> Self {
        Self {
            input,
            buffer: vec![0; INITIAL],
            window: None,
            in_windows: false,
            refused: false,
            fresh: false,
            start: 0,
            end: 0,
            offset: 0,
            state: State::Open,
        }
    }

    /// Whether the input is to be looked at through windows, where it can be, from the bytes on that are there already.
    pub const fn prefer_windows(&mut self, wanted: bool) {
        self.in_windows = wanted && !self.refused;
    }

    /// Whether a window was opened since this was asked last.
    pub const fn is_fresh(&mut self) -> bool {
        std::mem::replace(&mut self.fresh, false)
    }

    /// Opens the window from the current position on; without one, the rest is read.
    fn open_window(&mut self, n: usize) -> io::Result<()> {
        let was_open = self.window.take().is_some();
        if self.in_windows {
            let window = self.input.window(self.offset);
            self.window = window.filter(|window| window.len() >= n);
            self.refused = self.window.is_none();
            self.in_windows = !self.refused;
            self.fresh = self.in_windows;
        }
        if let Some(window) = &self.window {
            (self.start, self.end) = (0, window.len());
        } else if was_open {
            (self.start, self.end) = (0, 0);
            self.input.skip_to(self.offset)?;
        }
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        self.window.as_deref().unwrap_or(&self.buffer)
    }

    /// Reads until `n` bytes are there, and no longer: a live pipe must not be waited for without need.
    #[cold]
    fn fill(&mut self, n: usize) -> Result<(), Shortage> {
        if (self.in_windows || self.window.is_some())
            && let Err(error) = self.open_window(n)
        {
            self.state = State::Failed;
            return Err(Shortage::Failed(error));
        }
        while self.end - self.start < n {
            let have = self.end - self.start;
            match self.state {
                State::Open => {}
                State::Ended { cut } => return Err(Shortage::End { have, cut }),
                State::Failed => return Err(Shortage::End { have, cut: true }),
            }
            self.make_room(n);
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.input.read(room) {
                Ok(0) => self.state = State::Ended { cut: false },
                Ok(read) => self.end = self.buffer.len().min(self.end + read),
                // A decompressor that wanted more when there was no more.
                Err(error)
                    if error.kind() == io::ErrorKind::UnexpectedEof || self.input.ended() =>
                {
                    self.state = State::Ended { cut: true };
                }
                Err(error) => {
                    self.state = State::Failed;
                    return Err(Shortage::Failed(error));
                }
            }
        }
        Ok(())
    }

    /// Makes sure that there is room behind `end`. The buffer doubles as bytes come in, so a length that a
    /// record merely claims costs nothing.
    fn make_room(&mut self, n: usize) {
        if self.start + n <= self.buffer.len() && self.end < self.buffer.len() {
            return;
        }
        // Only now, when the rest is less than one record, and only once for it.
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    /// Exactly `n` bytes from the current position on, without moving.
    pub fn peek(&mut self, n: usize) -> Result<&[u8], Shortage> {
        if self.end - self.start < n {
            self.fill(n)?;
        }
        Ok(self
            .bytes()
            .get(self.start..self.start + n)
            .unwrap_or_default())
    }

    /// What is there from the current position on, without reading more.
    pub fn ready(&self) -> &[u8] {
        self.bytes().get(self.start..self.end).unwrap_or_default()
    }

    /// Moves on by `n` bytes, which were looked at before, and lends them.
    pub fn take(&mut self, n: usize) -> &[u8] {
        let start = self.start;
        self.start = self.end.min(start + n);
        self.offset += (self.start - start) as u64;
        self.bytes().get(start..self.start).unwrap_or_default()
    }

    /// The next `n` bytes or what there is of them, and whether the input was cut off there.
    pub fn head(&mut self, n: usize) -> io::Result<(&[u8], bool)> {
        let cut = match self.peek(n) {
            Ok(_) => false,
            Err(Shortage::End { cut, .. }) => cut,
            Err(Shortage::Failed(error)) => return Err(error),
        };
        let ready = self.ready();
        Ok((ready.get(..n).unwrap_or(ready), cut))
    }

    /// Bytes taken so far.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes of the input file used up, which differs from [`offset`](Self::offset) when it is compressed.
    pub fn position(&self) -> u64 {
        match self.window {
            Some(_) => self.offset,
            None => self.input.consumed(),
        }
    }

    /// Length of the input file.
    pub fn total(&self) -> Option<u64> {
        self.input.total()
    }
}
