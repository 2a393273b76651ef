//! gzip (RFC 1952), with as many members one behind the other as there are.

use super::input::{Input, Raw};
use flate2::{Decompress, FlushDecompress, Status};
use std::io::{self, BufRead, BufReader, Read};

/// Base-2 logarithm of deflate's window: there is only one size in gzip.
const WINDOW_BITS: u8 = 15;

/// Members are unpacked one call at a time and not by one of flate2's readers: those drop what a call has unpacked
/// when it also meets damage, which is up to a whole buffer of good frames.
pub(super) struct Gzip {
    packed: BufReader<Raw>,
    inflate: Decompress,
    /// The last member is complete, and no byte of a next one was seen.
    between: bool,
    /// Damage that was met behind bytes which are handed out first.
    damage: Option<io::Error>,
}

impl Gzip {
    pub fn new(raw: Raw) -> Self {
        Self {
            packed: BufReader::with_capacity(64 << 10, raw),
            inflate: Decompress::new_gzip(WINDOW_BITS),
            between: false,
            damage: None,
        }
    }
}

impl Read for Gzip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = self.damage.take() {
            return Err(error);
        }
        while !buffer.is_empty() {
            let packed = self.packed.fill_buf()?;
            let ended = packed.is_empty();
            if self.between {
                if ended {
                    break;
                }
                self.inflate = Decompress::new_gzip(WINDOW_BITS);
                self.between = false;
            }
            let before = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(packed, buffer, FlushDecompress::None);
            let read = (self.inflate.total_in() - before.0) as usize;
            let unpacked = (self.inflate.total_out() - before.1) as usize;
            self.packed.consume(read);
            if let Ok(status) = status {
                self.between = status == Status::StreamEnd;
            } else {
                // What exactly zlib stumbles over depends on how much it was given.
                let text = "the gzip data is damaged";
                let error = io::Error::new(io::ErrorKind::InvalidData, text);
                if unpacked == 0 {
                    return Err(error);
                }
                self.damage = Some(error);
            }
            if unpacked > 0 {
                return Ok(unpacked);
            }
            if ended && !self.between {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(0)
    }
}

impl Input for Gzip {
    fn consumed(&self) -> u64 {
        self.packed.get_ref().consumed()
    }

    /// The decoder says so itself, by `UnexpectedEof`; a wrong checksum at the end is no cut.
    fn ended(&self) -> bool {
        false
    }

    fn total(&self) -> Option<u64> {
        self.packed.get_ref().total()
    }
}
