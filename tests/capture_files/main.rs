//! Saved captures, built byte by byte from the formats' specifications and read through the public door: from
//! a file (mapped), from a pipe, and from a pipe that gives one byte at a time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod absurd;
mod build;
mod compressed;
mod folders;
mod foreign;
mod hostile;
mod pcap;
mod pcapng;
mod windows;

use imwarden::capture::{CaptureError, FrameSource, SourceStats, open, open_reader};
use imwarden::model::LinkType;
use std::io::{Cursor, Read, Write};

/// A frame that outlives its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) nanos: i64,
    pub(crate) link: LinkType,
    pub(crate) data: Vec<u8>,
    pub(crate) wire_len: u32,
}

#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) frames: Vec<Seen>,
    pub(crate) error: Option<CaptureError>,
    pub(crate) stats: SourceStats,
}

impl Outcome {
    /// Offset, needed and present bytes of a capture that breaks off.
    pub(crate) fn truncated(&self) -> Option<(u64, u64, u64)> {
        match &self.error {
            Some(CaptureError::Truncated {
                place,
                needed,
                have,
            }) => Some((place.offset, *needed, *have)),
            _ => None,
        }
    }

    /// Offset and words about a damaged record.
    pub(crate) fn corrupt(&self) -> Option<(u64, &str)> {
        match &self.error {
            Some(CaptureError::Corrupt { place, what }) => Some((place.offset, what)),
            _ => None,
        }
    }

    pub(crate) fn payloads(&self) -> Vec<&[u8]> {
        self.frames
            .iter()
            .map(|frame| frame.data.as_slice())
            .collect()
    }
}

/// Gives one byte a call, with an interruption before each.
struct Dripping(Cursor<Vec<u8>>, bool);

impl Read for Dripping {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        let n = buffer.len().min(1);
        self.0.read(&mut buffer[..n])
    }
}

pub(crate) fn drain(source: Result<Box<dyn FrameSource>, CaptureError>, limit: usize) -> Outcome {
    let mut source = match source {
        Ok(source) => source,
        Err(error) => {
            return Outcome {
                frames: Vec::new(),
                error: Some(error),
                stats: SourceStats::default(),
            };
        }
    };
    let mut frames = Vec::new();
    let error = loop {
        assert!(
            frames.len() <= limit,
            "more frames than the input has bytes"
        );
        match source.next_frame() {
            Ok(Some(frame)) => frames.push(Seen {
                nanos: frame.timestamp.as_nanos(),
                link: frame.link,
                data: frame.data.to_vec(),
                wire_len: frame.wire_len,
            }),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let stats = source.stats();
    // Whatever happened: it stays at that.
    for _ in 0..3 {
        assert!(matches!(source.next_frame(), Ok(None)));
    }
    assert_eq!(stats.frames, frames.len() as u64);
    assert_eq!(
        stats.bytes,
        frames
            .iter()
            .map(|frame| frame.data.len() as u64)
            .sum::<u64>()
    );
    assert!(
        frames
            .iter()
            .all(|frame| frame.wire_len as usize >= frame.data.len())
    );
    Outcome {
        frames,
        error,
        stats,
    }
}

/// Reads the same bytes in three ways, which must agree.
pub(crate) fn read(bytes: &[u8]) -> Outcome {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    // Closed: a file that somebody may write to is not mapped.
    let path = file.into_temp_path();
    let limit = bytes.len();
    let mapped = drain(open(&path), limit);
    let piped = drain(
        open_reader(Box::new(Cursor::new(bytes.to_vec())), "pipe"),
        limit,
    );
    let dripped = drain(
        open_reader(
            Box::new(Dripping(Cursor::new(bytes.to_vec()), false)),
            "drip",
        ),
        limit,
    );
    for other in [&piped, &dripped] {
        assert_eq!(mapped.frames, other.frames);
        assert_eq!(mapped.truncated(), other.truncated());
        assert_eq!(mapped.corrupt(), other.corrupt());
        assert_eq!(mapped.error.is_some(), other.error.is_some());
    }
    mapped
}

/// Cuts the capture behind every one of its bytes. `ends` are the ends of its records (the first one the
/// file's header), each with the number of frames up to there.
pub(crate) fn cut_everywhere(bytes: &[u8], ends: &[(usize, usize)]) {
    assert_eq!(ends.last().map(|end| end.0), Some(bytes.len()));
    let whole = read(bytes);
    assert!(whole.error.is_none(), "{:?}", whole.error);
    for cut in 1..bytes.len() {
        let outcome = read(&bytes[..cut]);
        let (start, frames) = ends
            .iter()
            .rev()
            .find(|end| end.0 <= cut)
            .copied()
            .unwrap_or_default();
        assert_eq!(outcome.frames, whole.frames[..frames], "cut at {cut}");
        if start == cut {
            assert!(outcome.error.is_none(), "cut at {cut}: {:?}", outcome.error);
        } else {
            let (offset, needed, have) = outcome
                .truncated()
                .unwrap_or_else(|| panic!("{cut}: {:?}", outcome.error));
            assert_eq!(
                (offset, have),
                (start as u64, (cut - start) as u64),
                "cut at {cut}"
            );
            assert!(needed > have);
        }
    }
}
