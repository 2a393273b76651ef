//! MSN webcam streams, between two users or over Microsoft's reflector.

use super::line::is_digits;
use super::notes::Notes;
use super::{CAM_PEER, CAM_REFLECTOR, claim, more};
use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start};
use crate::model::{
    Activity, Confidence, Direction, Event, Evidence, Format, Transport, feature, what,
};

/// The longest line: two session numbers, or a reflector's ticket.
const MAX_LINE: usize = 128;

/// Header before each picture: 0x18, pause, width, height, key frame, length, `ML20`, ...
const FRAME: usize = 24;

/// Recognises webcam streams.
pub(super) struct Webcam;

/// What a stream begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// `recipientid=97&sessionid=2001`: the dialler.
    Recipient,
    /// `connected`: the listener, or the dialler's second line.
    Connected,
    /// `PROD tid TSP/1.0`, `VIEW tid TSP/1.0`: to a reflector.
    Ask,
    /// `TSP/1.0 200 OK`: from a reflector.
    Answer,
}

const STARTS: [(&[u8], Opening); 5] = [
    (b"recipientid=", Opening::Recipient),
    (b"connected\r\n\r\n", Opening::Connected),
    (b"PROD ", Opening::Ask),
    (b"VIEW ", Opening::Ask),
    (b"TSP/1.0 ", Opening::Answer),
];

/// An opening and its length with the empty line; `None` while it is incomplete, `Err` if it is none.
fn opening(bytes: &[u8]) -> Result<Option<(Opening, usize)>, ()> {
    let begun = |start: &[u8]| start.starts_with(bytes.get(..start.len()).unwrap_or(bytes));
    let (start, kind) = STARTS.iter().find(|(start, _)| begun(start)).ok_or(())?;
    if bytes.len() < start.len() {
        return Ok(None);
    }
    let window = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let Some(end) = window.iter().position(u8::is_ascii_control) else {
        return if window.len() == MAX_LINE {
            Err(())
        } else {
            Ok(None)
        };
    };
    let line = bytes
        .get(..end)
        .and_then(|line| std::str::from_utf8(line).ok())
        .ok_or(())?;
    let mut words = line.split(' ');
    let valid = match kind {
        Opening::Recipient => line
            .strip_prefix("recipientid=")
            .and_then(|rest| rest.split_once("&sessionid="))
            .is_some_and(|(recipient, session)| is_digits(recipient) && is_digits(session)),
        Opening::Connected => line == "connected",
        Opening::Ask => {
            words.nth(1).is_some_and(|ticket| !ticket.is_empty()) && words.eq(["TSP/1.0"])
        }
        Opening::Answer => line == "TSP/1.0 200 OK",
    };
    if !valid {
        return Err(());
    }
    let tail = bytes.get(end..).unwrap_or_default();
    let want = b"\r\n\r\n";
    if tail.starts_with(want) {
        return Ok(Some((*kind, end + want.len())));
    }
    // The answer may have fields between its first line and the empty one.
    if *kind == Opening::Answer && tail.starts_with(b"\r\n") {
        return Ok(Some((*kind, end + 2)));
    }
    if want.starts_with(tail) {
        Ok(None)
    } else {
        Err(())
    }
}

/// Whether a picture's header begins here; `None` while it is incomplete.
fn frame(bytes: &[u8]) -> Option<bool> {
    let known = |at: usize, wanted: &[u8]| {
        bytes
            .get(at..)
            .is_none_or(|have| have.iter().zip(wanted).all(|(a, b)| a == b))
    };
    if !known(0, &[0x18]) || !known(12, b"ML20") {
        return Some(false);
    }
    bytes.get(..FRAME).map(|_| true)
}

impl Detector for Webcam {
    fn name(&self) -> &'static str {
        "msn-webcam"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let bytes = input.bytes;
        let undecided = || {
            if input.ended {
                Probe::No
            } else {
                more(bytes.len())
            }
        };
        let likely = |format: Format, client, what| {
            Probe::Likely(claim(format, client, what, "webcam stream"))
        };
        if input.start == Start::Later {
            return Probe::No;
        }
        match opening(bytes) {
            Ok(None) => undecided(),
            Ok(Some((Opening::Recipient, _))) => likely(CAM_PEER, Some(true), "webcam-recipient"),
            Ok(Some((Opening::Ask, _))) => likely(CAM_REFLECTOR, Some(true), "webcam-reflector"),
            Ok(Some((Opening::Answer, _))) => {
                likely(CAM_REFLECTOR, Some(false), "webcam-reflector")
            }
            // One word is too little: a picture must follow.
            Ok(Some((Opening::Connected, length))) => {
                match frame(bytes.get(length..).unwrap_or_default()) {
                    Some(true) => likely(CAM_PEER, Some(false), "webcam-frame"),
                    Some(false) => Probe::No,
                    None => undecided(),
                }
            }
            Err(()) if input.start == Start::Joined => match frame(bytes) {
                Some(true) => likely(CAM_PEER, None, "webcam-frame"),
                Some(false) => Probe::No,
                None => undecided(),
            },
            Err(()) => Probe::No,
        }
    }

    fn dissector(&self, claim: &Claim) -> Box<dyn Dissector> {
        Box::new(Stream {
            format: claim.format.clone(),
            heads: Default::default(),
            done: [false; 2],
            seen: 0,
            notes: Notes::default(),
        })
    }
}

/// Follows a webcam stream as far as its openings and first pictures.
struct Stream {
    format: Format,
    heads: [Vec<u8>; 2],
    done: [bool; 2],
    /// Openings and pictures seen.
    seen: u8,
    notes: Notes,
}

impl Stream {
    /// Takes one unit off the start of what is kept; `None` if there is none yet.
    fn next(&mut self, direction: Direction, out: &mut Events) -> Option<()> {
        let head = self.heads.get_mut(direction.index())?;
        let done = self.done.get_mut(direction.index())?;
        let (opening, length) = if let Ok(found) = opening(head) {
            found?
        } else {
            let picture = frame(head)?;
            *done = true;
            *head = Vec::new();
            if picture {
                let by_client = direction == Direction::ToServer;
                let shown = Activity::between_peers(what::STREAM, by_client);
                out.done(shown.with("kind", "webcam"));
                self.count(out);
            }
            return None;
        };
        head.drain(..length);
        match opening {
            Opening::Recipient | Opening::Ask => out.push(Event::ClientIs(direction)),
            Opening::Answer => {
                out.push(Event::ClientIs(direction.reverse()));
                *done = true;
                *head = Vec::new();
            }
            Opening::Connected => {}
        }
        self.count(out);
        Some(())
    }

    fn count(&mut self, out: &mut Events) {
        self.notes.feature(feature::VIDEO, out);
        self.seen = self.seen.saturating_add(1);
        if self.seen == 2 {
            let evidence = Evidence::payload("webcam-dialogue", "opening and answer or picture");
            out.identified(self.format.clone(), Confidence::Confirmed, evidence);
        }
    }
}

impl Dissector for Stream {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        // One byte at a time is enough work here: only the first few hundred bytes are ever looked at.
        for byte in bytes {
            if self.done.get(direction.index()) != Some(&false) {
                return;
            }
            if let Some(head) = self.heads.get_mut(direction.index()) {
                head.push(*byte);
            }
            while self.next(direction, out).is_some() {}
        }
    }

    fn gap(&mut self, direction: Direction, _: u64, _: &mut Events) {
        if let (Some(done), Some(head)) = (
            self.done.get_mut(direction.index()),
            self.heads.get_mut(direction.index()),
        ) {
            *done = true;
            *head = Vec::new();
        }
    }

    fn is_done(&self) -> bool {
        self.done == [true; 2]
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.heads.iter().map(Vec::capacity).sum::<usize>()
    }
}
