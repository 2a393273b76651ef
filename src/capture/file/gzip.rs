//! gzip (RFC 1952), with as many members one behind the other as there are.

use super::input::{Input, Raw};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufReader, Read};

pub(super) struct Gzip(MultiGzDecoder<BufReader<Raw>>);

impl Gzip {
    pub fn new(raw: Raw) -> Self {
        Self(MultiGzDecoder::new(BufReader::with_capacity(64 << 10, raw)))
    }
}

impl Read for Gzip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => error,
            kind => io::Error::new(kind, format!("the gzip data is damaged ({error})")),
        })
    }
}

impl Input for Gzip {
    fn consumed(&self) -> u64 {
        self.0.get_ref().get_ref().consumed()
    }

    /// The decoder says so itself, by `UnexpectedEof`; a wrong checksum at the end is no cut.
    fn ended(&self) -> bool {
        false
    }

    fn total(&self) -> Option<u64> {
        self.0.get_ref().get_ref().total()
    }
}
