//! The readers of capture files.

use super::script::{Cuts, hash};
use imwarden::capture::{FrameSource, open_reader};
use imwarden::model::{LinkType, Timestamp};
use std::collections::VecDeque;
use std::io::{self, Read};

/// Frames looked at: what a small compressed file unpacks to is nearly endless.
const MOST_FRAMES: usize = 10_000;

/// Classic pcap. The bytes are the file; whatever its magic number says, the readers of other formats get it as well.
pub fn pcap(data: &[u8]) {
    capture(data);
}

/// pcapng.
pub fn pcapng(data: &[u8]) {
    capture(data);
}

/// A capture inside gzip or zstd.
pub fn compressed(data: &[u8]) {
    capture(data);
}

/// However the pipe hands the bytes out, the same frames and the same error come of them.
fn capture(data: &[u8]) {
    let whole = read(data, Cuts::Whole);
    for cuts in [Cuts::Ones, Cuts::Random(hash(data))] {
        assert_eq!(read(data, cuts), whole, "{cuts:?}");
    }
}

type Seen = (Timestamp, LinkType, u32, u64);

/// Frames and the error, as text.
fn read(data: &[u8], mut cuts: Cuts) -> (Vec<Seen>, Option<String>) {
    let pieces = cuts.pieces(data).into_iter().map(<[u8]>::to_vec).collect();
    let mut source = match open_reader(Box::new(Dripping(pieces)), "input") {
        Ok(source) => source,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    let mut frames = Vec::new();
    let error = loop {
        match source.next_frame() {
            Ok(Some(frame)) => {
                assert!(frame.wire_len as usize >= frame.data.len());
                // Only what is the same however it is read.
                frames.push((
                    frame.timestamp,
                    frame.link,
                    frame.wire_len,
                    hash(frame.data),
                ));
            }
            Ok(None) => break None,
            Err(error) => {
                assert!(
                    matches!(source.next_frame(), Ok(None)),
                    "an error comes once"
                );
                break Some(error.to_string());
            }
        }
        if frames.len() == MOST_FRAMES {
            break None;
        }
    };
    check_stats(source.as_ref(), data.len(), frames.len());
    (frames, error)
}

fn check_stats(source: &dyn FrameSource, length: usize, frames: usize) {
    let stats = source.stats();
    assert!(
        stats.position <= length as u64,
        "{stats:?} of {length} bytes"
    );
    assert_eq!(stats.frames, frames as u64);
}

/// A pipe that gives one piece after the other.
struct Dripping(VecDeque<Vec<u8>>);

impl Read for Dripping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.0.front_mut() else {
            return Ok(0);
        };
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        piece.drain(..length);
        if piece.is_empty() {
            self.0.pop_front();
        }
        Ok(length)
    }
}
