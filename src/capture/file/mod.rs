//! Saved captures: which format is it, and who reads it.

mod expand;
mod gzip;
mod input;
mod magic;
mod map;
mod order;
mod origin;
mod pcap;
mod pcapng;
mod stream;
mod touch;
mod zstd;

pub use expand::expand;

use super::{CaptureError, FrameSource};
use input::{Input, Raw};
use magic::Kind;
use origin::Origin;
use pcap::PcapReader;
use pcapng::PcapngReader;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use stream::Stream;

/// Opens a capture file, whatever its name.
pub fn open(path: &Path) -> Result<Box<dyn FrameSource>, CaptureError> {
    let name = path.display().to_string();
    let failed = |source| CaptureError::Open {
        name: name.clone(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(CaptureError::Folder { name });
    }
    let raw = match metadata.len() {
        length @ 1.. if metadata.is_file() => Raw::regular(file, length).map_err(failed)?,
        // The length of /proc and other made-up files is 0 or a guess.
        _ => Raw::new(Box::new(file), None),
    };
    open_stream(raw, &name)
}

/// Opens a capture that comes through a pipe; `name` stands for it in errors.
pub fn open_reader(
    reader: Box<dyn Read + Send>,
    name: impl Into<String>,
) -> Result<Box<dyn FrameSource>, CaptureError> {
    open_stream(Raw::new(reader, None), &name.into())
}

fn open_stream(mut raw: Raw, name: &str) -> Result<Box<dyn FrameSource>, CaptureError> {
    let origin = |decompressed| Origin {
        name: name.to_owned(),
        decompressed,
    };
    let kind = magic::identify(
        raw.peek(magic::ENOUGH)
            .map_err(|source| origin(false).unreadable(0, source))?,
    );
    let mut unpacked = match kind {
        Kind::Gzip => Stream::new(Box::new(gzip::Gzip::new(raw))),
        Kind::Zstd => Stream::new(Box::new(zstd::Zstd::new(raw))),
        _ => {
            let mut stream = Stream::new(Box::new(raw));
            let kind = look(&mut stream, name)?;
            return read(stream, kind, origin(false));
        }
    };
    let found = |what: &str| CaptureError::NotACapture {
        name: name.to_owned(),
        found: format!("{kind} that holds {what}"),
    };
    match look(&mut unpacked, name) {
        Ok(Kind::Gzip | Kind::Zstd) => Err(found("yet another compressed file")),
        Ok(inner) => read(unpacked, inner, origin(true)),
        Err(CaptureError::Empty { .. }) => Err(found("nothing")),
        Err(CaptureError::NotACapture { found: what, .. }) => Err(found(&what)),
        Err(CaptureError::Read { mut place, source }) => {
            place.decompressed = true;
            Err(CaptureError::Read { place, source })
        }
        Err(CaptureError::Truncated {
            mut place,
            needed,
            have,
        }) => {
            place.decompressed = true;
            Err(CaptureError::Truncated {
                place,
                needed,
                have,
            })
        }
        Err(error) => Err(error),
    }
}

/// Which format the bytes at the start are of, or why they are of none.
fn look(stream: &mut Stream, name: &str) -> Result<Kind, CaptureError> {
    let origin = Origin {
        name: name.to_owned(),
        decompressed: false,
    };
    // As few bytes as will do: a pipe from a live capture may not have more for a long while.
    let (head, cut) = stream
        .head(magic::ENOUGH)
        .map_err(|source| origin.unreadable(0, source))?;
    let kind = magic::identify(head);
    if kind != Kind::Foreign {
        return Ok(kind);
    }
    if head.is_empty() && !cut {
        return Err(CaptureError::Empty {
            name: name.to_owned(),
        });
    }
    if cut || magic::may_become_a_capture(head) {
        return Err(origin.truncated(0, magic::ENOUGH, head.len()));
    }
    let (head, _) = stream
        .head(magic::HEAD)
        .map_err(|source| origin.unreadable(0, source))?;
    Err(CaptureError::NotACapture {
        name: name.to_owned(),
        found: magic::describe(head),
    })
}

fn read(stream: Stream, kind: Kind, origin: Origin) -> Result<Box<dyn FrameSource>, CaptureError> {
    Ok(match kind {
        Kind::Pcapng => Box::new(PcapngReader::new(stream, origin)),
        _ => Box::new(PcapReader::new(stream, origin)?),
    })
}

/// Whether the start of this file is that of a capture, compressed or not: what [`expand`] asks.
fn is_capture(path: &Path) -> std::io::Result<bool> {
    let mut raw = Raw::new(Box::new(File::open(path)?), None);
    let mut unpacked: Box<dyn Input> = match magic::identify(raw.peek(magic::ENOUGH)?) {
        Kind::Pcap | Kind::Pcapng => return Ok(true),
        Kind::Gzip => Box::new(gzip::Gzip::new(raw)),
        Kind::Zstd => Box::new(zstd::Zstd::new(raw)),
        Kind::Foreign => return Ok(false),
    };
    let mut head = [0; magic::ENOUGH];
    let mut have = 0;
    while let Some(room) = head.get_mut(have..).filter(|room| !room.is_empty()) {
        match unpacked.read(room) {
            // A compressed file that breaks off before it says what it is, is not known to be a capture.
            Ok(0) | Err(_) => break,
            Ok(n) => have += n,
        }
    }
    Ok(matches!(
        magic::identify(head.get(..have).unwrap_or_default()),
        Kind::Pcap | Kind::Pcapng
    ))
}
