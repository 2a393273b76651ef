//! MSNFTP: the file transfer of MSN Messenger 1 to 6, over a connection between two users.
//!
//! The receiver dials and says `VER MSNFTP`, `USR passport cookie`, `TFR`, `BYE code`; the sender answers
//! `VER MSNFTP`, `FIL size` and then sends blocks of up to 2045 bytes behind a header of 3 bytes.

use super::invite::token;
use super::line::{is_digits, passport};
use super::notes::Notes;
use super::{FTP, claim, more};
use crate::classify::file::{File, Passing};
use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start};
use crate::model::{Confidence, Direction, Event, Evidence, Token, Transport, feature, risk, what};

/// The longest line: a passport and a cookie.
const MAX_LINE: usize = 256;

/// How many bytes other programs put before the protocol's name.
const MAX_VERSION: usize = 72;

/// The header of a block of 2045 bytes.
const BLOCK: &[u8] = &[0, 0xFD, 0x07];

/// Recognises MSNFTP.
pub(super) struct MsnFtp;

impl Detector for MsnFtp {
    fn name(&self) -> &'static str {
        "msnftp"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let expected = input.expected == Some(FTP.app_proto);
        let (bytes, known) = (input.bytes, b"VER ".as_slice());
        if input.start == Start::Later {
            return Probe::No;
        }
        // A full block: nothing without the offer that announced this connection.
        if expected && input.start == Start::Joined {
            if bytes.starts_with(BLOCK) {
                return Probe::Likely(claim(
                    FTP,
                    Some(false),
                    "msnftp-block",
                    "full block of an announced transfer",
                ));
            }
            if BLOCK.starts_with(bytes) && !input.ended {
                return more(bytes.len());
            }
        }
        let prefix = bytes.get(..known.len()).unwrap_or(bytes);
        let begun = |word: &[u8]| word.starts_with(bytes.get(..word.len()).unwrap_or(bytes));
        if !known.starts_with(prefix) && !(expected && (begun(b"USR ") || begun(b"FIL "))) {
            return Probe::No;
        }
        let window = bytes.get(..MAX_VERSION).unwrap_or(bytes);
        let Some(end) = window.iter().position(u8::is_ascii_control) else {
            return if input.ended || window.len() == MAX_VERSION {
                Probe::No
            } else {
                more(bytes.len())
            };
        };
        match bytes.get(end..) {
            Some([b'\r', b'\n', ..]) => {}
            Some([b'\r']) if !input.ended => return more(bytes.len()),
            _ => return Probe::No,
        }
        match bytes.get(..end).and_then(Line::parse) {
            Some(Line::Version) => Probe::Likely(claim(FTP, None, "msnftp-version", "VER MSNFTP")),
            Some(Line::User(..)) if expected => {
                Probe::Likely(claim(FTP, Some(true), "msnftp-user", "USR"))
            }
            Some(Line::File(_)) if expected => {
                Probe::Likely(claim(FTP, Some(false), "msnftp-file", "FIL"))
            }
            _ => Probe::No,
        }
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Transfer::default())
    }
}

enum Line {
    Version,
    User(String, Option<Token>),
    File(Option<u64>),
    Start,
    Stop,
}

impl Line {
    fn parse(line: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?;
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        match verb {
            // Some programs put words before the name (Trillian).
            "VER" if rest.split(' ').next_back() == Some("MSNFTP") => Some(Self::Version),
            "USR" => {
                let (name, cookie) = rest.split_once(' ')?;
                is_digits(cookie)
                    .then(|| passport(name))
                    .flatten()
                    .map(|name| Self::User(name, token(cookie)))
            }
            "FIL" if is_digits(rest) => Some(Self::File(rest.parse().ok())),
            "TFR" | "CCL" if rest.is_empty() => Some(if verb == "TFR" {
                Self::Start
            } else {
                Self::Stop
            }),
            "BYE" if is_digits(rest) => Some(Self::Stop),
            _ => None,
        }
    }
}

/// Follows a transfer.
#[derive(Default)]
struct Transfer {
    lines: [Vec<u8>; 2],
    /// This direction carries blocks now, or lost its place.
    silent: [bool; 2],
    confirmed: bool,
    blocks: Option<Blocks>,
    notes: Notes,
}

/// The file's bytes: blocks behind 0, low and high byte of their length.
struct Blocks {
    /// The sender's.
    direction: Direction,
    head: Vec<u8>,
    left: usize,
    size: u64,
    passing: Passing,
    over: bool,
}

impl Blocks {
    fn new(direction: Direction, size: u64) -> Self {
        Self {
            direction,
            head: Vec::new(),
            left: 0,
            size,
            passing: Passing::new(size),
            over: false,
        }
    }

    /// Takes the next bytes; tells when the file is complete.
    fn feed(&mut self, mut bytes: &[u8], out: &mut Events) {
        while !self.over && !bytes.is_empty() {
            if self.left == 0 {
                let (now, later) = bytes.split_at((3 - self.head.len().min(3)).min(bytes.len()));
                self.head.extend_from_slice(now);
                bytes = later;
                if let [kind, low, high] = *self.head.as_slice() {
                    self.head.clear();
                    self.left = usize::from(u16::from_le_bytes([low, high]));
                    // 1: the sender stops.
                    self.over = kind != 0 || self.left == 0;
                }
                continue;
            }
            let (now, later) = bytes.split_at(self.left.min(bytes.len()));
            self.passing.take(now);
            self.left -= now.len();
            bytes = later;
            if let Some(sha256) = self.passing.sha256() {
                self.over = true;
                let file = File {
                    size: Some(self.size),
                    sha256: Some(sha256),
                    ..File::default()
                };
                let by_client = self.direction == Direction::ToServer;
                file.between(what::FILE_SENT, by_client, None, out);
            }
        }
    }
}

impl Transfer {
    fn line(&mut self, direction: Direction, line: &[u8], out: &mut Events) {
        let Some(line) = Line::parse(line) else {
            self.silence(direction);
            return;
        };
        let client = match &line {
            Line::User(..) | Line::Start => Some(direction),
            Line::File(_) => Some(direction.reverse()),
            Line::Version | Line::Stop => None,
        };
        if let Some(client) = client
            && !self.confirmed
        {
            self.confirmed = true;
            out.push(Event::ClientIs(client));
            out.identified(
                FTP,
                Confidence::Confirmed,
                Evidence::payload("msnftp-dialogue", "VER and USR, FIL or TFR"),
            );
        }
        match line {
            Line::User(name, token) => {
                self.notes.account(name, out);
                if let Some(token) = token {
                    out.push(Event::Shows(token));
                }
            }
            Line::File(size) => {
                self.silence(direction);
                self.blocks = size.map(|size| Blocks::new(direction, size));
                let file = File {
                    size,
                    ..File::default()
                };
                file.between(
                    what::FILE_OFFER,
                    direction == Direction::ToServer,
                    None,
                    out,
                );
            }
            Line::Version | Line::Start | Line::Stop => {}
        }
        self.notes.feature(feature::FILE_TRANSFER, out);
        out.push(Event::Risk(risk::FILE_TRANSFER));
    }

    /// Blocks follow, of which nothing is needed.
    fn silence(&mut self, direction: Direction) {
        if let (Some(silent), Some(line)) = (
            self.silent.get_mut(direction.index()),
            self.lines.get_mut(direction.index()),
        ) {
            *silent = true;
            *line = Vec::new();
        }
    }
}

impl Dissector for Transfer {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        for (at, byte) in bytes.iter().enumerate() {
            if self.silent.get(direction.index()) != Some(&false) {
                if let Some(blocks) = &mut self.blocks
                    && blocks.direction == direction
                {
                    blocks.feed(bytes.get(at..).unwrap_or_default(), out);
                }
                return;
            }
            let Some(line) = self.lines.get_mut(direction.index()) else {
                return;
            };
            if *byte != b'\n' {
                line.push(*byte);
                if line.len() > MAX_LINE {
                    self.silence(direction);
                }
                continue;
            }
            let mut line = std::mem::take(line);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            self.line(direction, &line, out);
        }
    }

    fn gap(&mut self, direction: Direction, _: u64, _: &mut Events) {
        self.silence(direction);
        self.blocks.take_if(|blocks| blocks.direction == direction);
    }

    fn is_done(&self) -> bool {
        self.silent == [true; 2] && self.blocks.as_ref().is_none_or(|blocks| blocks.over)
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.lines.iter().map(Vec::capacity).sum::<usize>()
    }
}
