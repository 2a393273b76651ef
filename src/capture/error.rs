//! What can go wrong with a capture: each error says what, where, and what to do about it.

use std::{fmt, io};
use thiserror::Error;

/// A place in an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The input's name, as the user gave it.
    pub name: String,
    /// Where the record begins, in bytes from the start.
    pub offset: u64,
    /// `offset` counts in the data after decompression, not in the file.
    pub decompressed: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: at byte {}", self.name, self.offset)?;
        if self.decompressed {
            f.write_str(" of the decompressed data")
        } else {
            Ok(())
        }
    }
}

/// Why a capture could not be read, or not to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The input could not be opened at all.
    #[error("{name}: cannot open it: {source}")]
    Open {
        /// The input's name.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A folder was given where a file was wanted.
    #[error("{name} is a folder, not a capture file")]
    Folder {
        /// Its name.
        name: String,
    },
    /// A folder holds no capture.
    #[error(
        "{name}: no capture among the {files} files in this folder (looked for pcap and pcapng, plain, gzip or zstd)"
    )]
    NoCaptures {
        /// The folder's name.
        name: String,
        /// How many files were looked at.
        files: u64,
    },
    /// There is not a single byte.
    #[error(
        "{name} is empty (0 bytes): the capture was never written; check the disk and the capturing program's rights"
    )]
    Empty {
        /// The input's name.
        name: String,
    },
    /// Something else than a capture.
    #[error(
        "{name} is not a packet capture: it looks like {found} (wanted: pcap or pcapng, plain, gzip or zstd)"
    )]
    NotACapture {
        /// The input's name.
        name: String,
        /// What it looks like instead.
        found: String,
    },
    /// The input ends inside a record. What came before is whole, so its findings stand.
    #[error(
        "{place}: the capture breaks off inside a record ({have} of {needed} bytes); all before it was read. Copy or record it again if the end matters"
    )]
    Truncated {
        /// Where the unfinished record begins.
        place: Place,
        /// Bytes that the record needs, as far as it is known.
        needed: u64,
        /// Bytes that are there.
        have: u64,
    },
    /// A record contradicts itself or the format. What came before it was delivered.
    #[error(
        "{place}: {what}; all before it was read. The file is damaged from there on: copy or record it again"
    )]
    Corrupt {
        /// Where the record begins.
        place: Place,
        /// What is wrong with it.
        what: String,
    },
    /// The system or a decompressor failed while reading.
    #[error("{place}: cannot read on: {source}; all before it was read")]
    Read {
        /// Where the record that was being read begins.
        place: Place,
        /// The reason.
        source: io::Error,
    },
    /// None of the interfaces gives packets any more, however often it is tried.
    #[error("cannot listen any more: {reasons}; all before it was read")]
    Interfaces {
        /// Each interface with what it says.
        reasons: String,
    },
}

impl CaptureError {
    /// Whether the input ended too early, and nothing else is wrong with it.
    pub const fn is_truncated(&self) -> bool {
        matches!(self, Self::Truncated { .. })
    }

    /// Where in the data, when the error has a place.
    pub const fn place(&self) -> Option<&Place> {
        match self {
            Self::Truncated { place, .. }
            | Self::Corrupt { place, .. }
            | Self::Read { place, .. } => Some(place),
            _ => None,
        }
    }
}
