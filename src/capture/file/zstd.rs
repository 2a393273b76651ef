//! Zstandard (RFC 8878): any number of frames one behind the other, skippable ones among them.

use super::input::{Input, Raw};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufRead, BufReader, Read};

/// The largest window that `zstd` itself accepts without being told: what it costs us at most in memory.
const MAX_WINDOW: u64 = 128 << 20;

pub(super) struct Zstd {
    source: BufReader<Raw>,
    decoder: FrameDecoder,
    /// A frame was begun and not all of it handed out.
    in_frame: bool,
}

impl Zstd {
    pub fn new(raw: Raw) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self {
            source: BufReader::with_capacity(64 << 10, raw),
            decoder,
            in_frame: false,
        }
    }

    /// Goes to the next frame that holds data; `false` when there is none.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let skipped = io::copy(
                        &mut self.source.by_ref().take(u64::from(length)),
                        &mut io::sink(),
                    )?;
                    if skipped < u64::from(length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(damaged(&error)),
            }
        }
    }

    /// The decoder leaves it to its user to compare the checksum.
    fn finish_frame(&mut self) -> io::Result<()> {
        self.in_frame = false;
        match (
            self.decoder.get_checksum_from_data(),
            self.decoder.get_calculated_checksum(),
        ) {
            (Some(stored), Some(calculated)) if stored != calculated => {
                Err(damaged(&"wrong checksum"))
            }
            _ => Ok(()),
        }
    }
}

fn damaged(reason: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the zstd data is damaged ({reason})"),
    )
}

impl Read for Zstd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.in_frame {
                if !self.next_frame()? {
                    return Ok(0);
                }
                self.in_frame = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(|error| damaged(&error))?;
            }
            match self.decoder.read(buffer)? {
                // Not a sign of the end of all: frames may be empty.
                0 => self.finish_frame()?,
                read => return Ok(read),
            }
        }
    }
}

impl Input for Zstd {
    fn consumed(&self) -> u64 {
        self.source.get_ref().consumed()
    }

    fn ended(&self) -> bool {
        self.source.get_ref().ended()
    }

    fn total(&self) -> Option<u64> {
        self.source.get_ref().total()
    }
}
