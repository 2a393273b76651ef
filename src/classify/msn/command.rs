//! Cuts one direction of a stream into commands.

use super::grammar;
use super::line::Line;
use memchr::memchr;

/// The longest line: libpurple's buffer, and far more than any line seen.
const MAX_LINE: usize = 8 * 1024;

/// How much of a payload is kept. Messages have 1664 bytes at most; of longer payloads (policies, contact
/// lists) only the beginning is of interest.
const KEEP: usize = 4 * 1024;

/// How many places in one line are tried when looking for the next command.
const MAX_TRIES: usize = 16;

/// A command and what is kept of its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command<'a> {
    /// The line.
    pub line: Line<'a>,
    /// The first bytes of the payload.
    pub payload: &'a [u8],
    /// Whether that is all of it.
    pub whole: bool,
    /// Where it begins, seen from the first byte fed last; before it, if negative.
    pub start: isize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// At the start of a line.
    Line,
    /// Inside a payload: bytes to come, and whether some were lost.
    Payload { left: usize, holed: bool },
    /// Somewhere: looking for a valid command.
    Seek,
}

/// Reads commands from pieces of any size.
#[derive(Debug)]
pub(super) struct Reader {
    mode: Mode,
    line: Vec<u8>,
    /// The line is over the limit: drop it to its end.
    overlong: bool,
    payload: Vec<u8>,
    /// Where the command begins, counted as [`Command::start`].
    start: isize,
}

impl Reader {
    /// Bytes held on the heap.
    pub const fn memory(&self) -> usize {
        self.line.capacity() + self.payload.capacity()
    }

    pub fn new() -> Self {
        Self {
            mode: Mode::Line,
            line: Vec::new(),
            overlong: false,
            payload: Vec::new(),
            start: 0,
        }
    }

    /// Takes the next bytes and passes on each command that is now complete.
    pub fn feed(&mut self, all: &[u8], sink: &mut dyn FnMut(Command<'_>)) {
        let mut bytes = all;
        while !bytes.is_empty() {
            if self.line.is_empty() && !matches!(self.mode, Mode::Payload { .. }) {
                self.start = (all.len() - bytes.len()).cast_signed();
            }
            if let Mode::Payload { left, holed } = self.mode {
                let (now, later) = bytes.split_at(left.min(bytes.len()));
                if !holed {
                    let room = KEEP.saturating_sub(self.payload.len());
                    self.payload
                        .extend_from_slice(now.get(..room).unwrap_or(now));
                }
                self.mode = Mode::Payload {
                    left: left - now.len(),
                    holed,
                };
                if left == now.len() {
                    self.deliver(sink);
                }
                bytes = later;
            } else if let Some(end) = memchr(b'\n', bytes) {
                let (now, later) = bytes.split_at(end);
                self.keep_line(now);
                self.end_line(sink);
                bytes = later.get(1..).unwrap_or_default();
            } else {
                self.keep_line(bytes);
                break;
            }
        }
        // The next bytes are counted from their own first one.
        self.start = self.start.saturating_sub_unsigned(all.len());
    }

    /// Bytes were lost: passes over them inside a payload, else looks for the next command.
    pub fn gap(&mut self, missing: u64, sink: &mut dyn FnMut(Command<'_>)) {
        if let Mode::Payload { left, .. } = self.mode {
            match usize::try_from(missing)
                .ok()
                .and_then(|missing| left.checked_sub(missing))
            {
                Some(0) => {
                    self.mode = Mode::Payload {
                        left: 0,
                        holed: true,
                    };
                    self.deliver(sink);
                    return;
                }
                Some(left) => {
                    self.mode = Mode::Payload { left, holed: true };
                    return;
                }
                None => self.finish(sink),
            }
        }
        self.line.clear();
        self.overlong = false;
        self.mode = Mode::Seek;
    }

    /// The stream ended: a payload that was cut short still tells its beginning.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Command<'_>)) {
        if let Mode::Payload { left, .. } = self.mode {
            self.mode = Mode::Payload { left, holed: true };
            self.deliver(sink);
        }
        self.line.clear();
        self.overlong = false;
    }

    /// Whether a command has begun and not ended.
    pub fn is_inside(&self) -> bool {
        matches!(self.mode, Mode::Payload { .. }) || !self.line.is_empty()
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        self.line.capacity().saturating_add(self.payload.capacity())
    }

    fn keep_line(&mut self, bytes: &[u8]) {
        if self.overlong || self.line.len() + bytes.len() > MAX_LINE {
            self.line.clear();
            self.overlong = true;
            self.mode = Mode::Seek;
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, sink: &mut dyn FnMut(Command<'_>)) {
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        self.overlong = false;
        if self.line.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(&self.line);
        let here = Line::parse(&text).filter(|line| self.mode == Mode::Line && trusted(line));
        let found = if here.is_some() {
            Some(0)
        } else {
            seek(&self.line)
        };
        let length = found.and_then(|start| {
            let text = String::from_utf8_lossy(self.line.get(start..)?);
            Line::parse(&text)?.payload_len()
        });
        if let (Some(start), Some(left)) = (found, length) {
            self.line.drain(..start);
            self.start = self.start.saturating_add_unsigned(start);
            self.mode = Mode::Payload { left, holed: false };
            if left == 0 {
                self.deliver(sink);
            }
        } else {
            self.line.clear();
            self.mode = Mode::Seek;
        }
    }

    /// Passes on the command that `line` and `payload` hold.
    fn deliver(&mut self, sink: &mut dyn FnMut(Command<'_>)) {
        let text = String::from_utf8_lossy(&self.line);
        if let Some(line) = Line::parse(&text) {
            let (length, holed) = match self.mode {
                Mode::Payload { holed, .. } => (line.payload_len().unwrap_or(0), holed),
                Mode::Line | Mode::Seek => (0, false),
            };
            sink(Command {
                line,
                payload: &self.payload,
                whole: !holed && self.payload.len() == length,
                start: self.start,
            });
        }
        self.line.clear();
        self.payload.clear();
        self.mode = Mode::Line;
    }
}

/// A line in the form of a command is taken for one even if its verb is unknown (a later dialect's), but
/// before bytes are passed over as a message the line must be a message in every part.
fn trusted(line: &Line<'_>) -> bool {
    line.verb() != "MSG" || grammar::shape(line).is_some()
}

/// Where in a line the first valid command begins. Not only at its start: a payload ends without a line end,
/// so behind a gap the next command may follow a message's last word.
fn seek(line: &[u8]) -> Option<usize> {
    let starts = line
        .windows(3)
        .enumerate()
        .filter(|(_, verb)| verb.iter().all(u8::is_ascii_uppercase));
    let mut likely = starts.map(|(start, _)| start).filter(|start| {
        let rest = line.get(*start..).unwrap_or_default();
        grammar::viable(rest) || matches!(rest, b"PNG" | b"OUT")
    });
    likely.by_ref().take(MAX_TRIES).find(|start| {
        let text = String::from_utf8_lossy(line.get(*start..).unwrap_or_default());
        Line::parse(&text).is_some_and(|line| grammar::shape(&line).is_some())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{MAX_LINE, Reader};

    fn read(reader: &mut Reader, bytes: &[u8], step: usize) -> Vec<(String, usize, bool)> {
        let mut seen = Vec::new();
        for piece in bytes.chunks(step) {
            reader.feed(piece, &mut |command| {
                seen.push((
                    command.line.verb().to_owned(),
                    command.payload.len(),
                    command.whole,
                ));
            });
        }
        seen
    }

    const STREAM: &[u8] =
        b"MSG 96 N 9\r\nHey\r\nBob!MSG 97 U 3\r\nabcACK 97\r\nADL 7 OK\r\nCHG 8 NLN 0\r\n";

    #[test]
    fn a_payload_has_no_line_end_and_may_hold_some() {
        for step in [1, 3, 5, STREAM.len()] {
            let seen = read(&mut Reader::new(), STREAM, step);
            let verbs: Vec<_> = seen
                .iter()
                .map(|(verb, length, whole)| (verb.as_str(), *length, *whole))
                .collect();
            assert_eq!(
                verbs,
                [
                    ("MSG", 9, true),
                    ("MSG", 3, true),
                    ("ACK", 0, true),
                    ("ADL", 0, true),
                    ("CHG", 0, true)
                ],
                "pieces of {step}"
            );
        }
    }

    #[test]
    fn a_gap_inside_a_payload_costs_only_that_payload() {
        let mut reader = Reader::new();
        assert!(read(&mut reader, b"MSG 96 N 9\r\nHey", 64).is_empty());
        let mut cut = Vec::new();
        reader.gap(6, &mut |command| {
            cut.push((command.payload.to_vec(), command.whole));
        });
        assert_eq!(cut, [(b"Hey".to_vec(), false)]);
        assert_eq!(read(&mut reader, b"ACK 97\r\n", 64).len(), 1);
    }

    #[test]
    fn after_a_larger_gap_the_next_command_is_found_even_behind_text() {
        for step in [1, 3, 99] {
            let mut reader = Reader::new();
            read(&mut reader, b"MSG 96 N 9\r\nHey", step);
            reader.gap(500, &mut |_| ());
            let seen = read(
                &mut reader,
                b"some text\r\nand a wordMSG 98 N 2\r\nokPNG\r\n",
                step,
            );
            assert_eq!(
                seen,
                [("MSG".to_owned(), 2, true), ("PNG".to_owned(), 0, true)]
            );
        }
    }

    #[test]
    fn a_line_without_end_is_dropped_and_the_stream_goes_on() {
        for step in [1, 1000, 100_000] {
            let mut stream = vec![b'A'; 3 * MAX_LINE];
            stream.extend_from_slice(b"\r\nFLN bob@example.com\r\n");
            let mut reader = Reader::new();
            assert_eq!(
                read(&mut reader, &stream, step),
                [("FLN".to_owned(), 0, true)]
            );
            assert!(reader.line.capacity() <= 2 * MAX_LINE);
        }
    }

    #[test]
    fn a_length_out_of_bounds_is_no_payload() {
        let seen = read(
            &mut Reader::new(),
            b"MSG 96 N 99999999\r\nFLN bob@example.com\r\n",
            7,
        );
        assert_eq!(seen, [("FLN".to_owned(), 0, true)]);
    }

    #[test]
    fn the_end_tells_what_is_there() {
        let mut reader = Reader::new();
        read(&mut reader, b"MSG 96 N 99\r\nHey", 64);
        let mut cut = Vec::new();
        reader.finish(&mut |command| cut.push(command.whole));
        assert_eq!(cut, [false]);
    }
}
