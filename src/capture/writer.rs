//! Writes a capture: pcapng, so that frames of several link types fit in and each can carry a comment.

use super::Frame;
use crate::model::LinkType;
use std::io::{self, Write};

const SECTION: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

/// Option codes.
mod option {
    pub const COMMENT: u16 = 1;
    /// Of a section: the program.
    pub const USER_APPLICATION: u16 = 4;
    /// Of an interface: the clock's resolution.
    pub const TIME_RESOLUTION: u16 = 9;
}

/// Writes frames as they come; the caller flushes what it writes to.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    /// Link types that have an interface, by its number.
    interfaces: Vec<LinkType>,
    frames: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a capture.
    pub fn new(mut out: W) -> io::Result<Self> {
        let mut body = Vec::new();
        // Byte order, version 1.0, unknown length.
        body.extend(0x1A2B_3C4D_u32.to_le_bytes());
        body.extend([1, 0, 0, 0]);
        body.extend(u64::MAX.to_le_bytes());
        let program = concat!("imwarden ", env!("CARGO_PKG_VERSION"));
        put_option(&mut body, option::USER_APPLICATION, program.as_bytes());
        end_options(&mut body);
        block(&mut out, SECTION, &body)?;
        Ok(Self {
            out,
            interfaces: Vec::new(),
            frames: 0,
        })
    }

    /// Frames written.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Writes one frame, with what is to be said of it.
    pub fn frame(&mut self, frame: &Frame<'_>, comment: Option<&str>) -> io::Result<()> {
        let known = self.interfaces.iter().position(|link| *link == frame.link);
        let interface = match known {
            Some(interface) => interface,
            None => self.interface(frame.link)?,
        };
        let nanos = frame.timestamp.as_nanos().cast_unsigned();
        let mut body = Vec::with_capacity(frame.data.len() + 64);
        body.extend((interface as u32).to_le_bytes());
        body.extend(((nanos >> 32) as u32).to_le_bytes());
        body.extend((nanos as u32).to_le_bytes());
        body.extend((frame.data.len() as u32).to_le_bytes());
        body.extend(frame.wire_len.to_le_bytes());
        body.extend(frame.data);
        pad(&mut body);
        if let Some(comment) = comment {
            put_option(&mut body, option::COMMENT, comment.as_bytes());
            end_options(&mut body);
        }
        self.frames += 1;
        block(&mut self.out, ENHANCED_PACKET, &body)
    }

    /// What it is written to.
    pub const fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Ends the capture and gives back what it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn interface(&mut self, link: LinkType) -> io::Result<usize> {
        let mut body = Vec::new();
        body.extend((link.0 as u16).to_le_bytes());
        // Reserved; no snap length.
        body.extend([0; 6]);
        // Nanoseconds.
        put_option(&mut body, option::TIME_RESOLUTION, &[9]);
        end_options(&mut body);
        block(&mut self.out, INTERFACE, &body)?;
        self.interfaces.push(link);
        Ok(self.interfaces.len() - 1)
    }
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

fn put_option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    pad(body);
}

fn end_options(body: &mut Vec<u8>) {
    body.extend([0; 4]);
}

fn block(out: &mut impl Write, kind: u32, body: &[u8]) -> io::Result<()> {
    let length = (body.len() as u32 + 12).to_le_bytes();
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&length)?;
    out.write_all(body)?;
    out.write_all(&length)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Writer;
    use crate::capture::{Frame, open_reader};
    use crate::model::{LinkType, Timestamp};
    use std::io::Cursor;

    #[test]
    fn what_is_written_is_read_again() {
        let frames = [
            (LinkType::ETHERNET, vec![1; 61], 1500),
            (LinkType::RAW, vec![2; 40], 40),
            (LinkType::ETHERNET, vec![], 60),
        ];
        let mut writer = Writer::new(Vec::new()).unwrap();
        for (number, (link, data, wire_len)) in (1_i64..).zip(&frames) {
            let frame = Frame {
                timestamp: Timestamp::from_nanos(number * 1_000_000_007),
                link: *link,
                data,
                wire_len: *wire_len,
            };
            writer.frame(&frame, Some("aim, flow 3")).unwrap();
        }
        assert_eq!(writer.frames(), 3);
        let bytes = writer.finish().unwrap();
        let mut source = open_reader(Box::new(Cursor::new(bytes)), "written").unwrap();
        for (number, (link, data, wire_len)) in (1_i64..).zip(&frames) {
            let frame = source.next_frame().unwrap().unwrap();
            assert_eq!(frame.timestamp.as_nanos(), number * 1_000_000_007);
            assert_eq!((frame.link, frame.wire_len), (*link, *wire_len));
            assert_eq!(frame.data, data);
        }
        assert!(source.next_frame().unwrap().is_none());
    }
}
