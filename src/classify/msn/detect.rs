//! Recognises notification server and switchboard streams.

use super::grammar::{self, Place, Side, Weight};
use super::line::Line;
use super::session::Msnp as Stream;
use super::{NOTIFICATION, SWITCHBOARD};
use crate::classify::{Claim, Detector, Dissector, Probe, ProbeInput, Start};
use crate::model::{Evidence, Transport};
use memchr::memchr;
use memchr::memmem;

/// How far to look. A switchboard payload has at most 1664 bytes, so a stream joined in the middle shows the
/// start of a command well before that; two of them and a payload fit too.
const WINDOW: usize = 4096;

/// The longest line accepted as evidence; sign-on tickets have some 1300 bytes.
const MAX_LINE: usize = 2048;

/// Every message begins so; without it `MSG a b 12` could be a NATS delivery.
const MIME: &[u8] = b"MIME-Version: 1.0\r\nContent-Type: ";

/// What the XML payload of a command begins with.
const ROOTS: &[&[u8]] = &[
    b"<Data>",
    b"<EndpointData",
    b"<NOTIFICATION",
    b"<Policies",
    b"<Policy",
    b"<PrivateEndpointData",
    b"<config",
    b"<ml",
];

/// Enough of a payload to see its root.
const ROOT: usize = 20;

/// The detector of NS and SB streams.
pub(super) struct Msnp;

impl Detector for Msnp {
    fn name(&self) -> &'static str {
        "msnp"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let bytes = input.bytes;
        let more_from = |from| Probe::NeedMore {
            from,
            total: bytes.len() + 1,
        };
        // Behind what was passed over, the first byte is there to say whether the second one begins a line.
        let mut next = match input.start {
            Start::Beginning | Start::Joined => Some(0),
            Start::Later => first_candidate(bytes),
        };
        while let Some(mut at) = next {
            // At the start of a stream one signature is enough; a line in the middle of something unknown
            // may be a quotation, so there it takes company.
            let alone = at == 0 && input.start != Start::Later;
            let rest = bytes.get(at..).unwrap_or_default();
            let window = rest.get(..WINDOW).unwrap_or(rest);
            match chain(window, alone) {
                Step::Hit(hit) => return hit.probe(at),
                Step::Pending if window.len() < WINDOW && !input.ended => {
                    let start = input.start == Start::Beginning;
                    return more_from(if start { 0 } else { at.saturating_sub(1) });
                }
                Step::Pending | Step::Fail(_) if input.start == Start::Beginning => {
                    return Probe::No;
                }
                Step::Pending => {}
                Step::Fail(judged) => at += judged,
            }
            next = next_candidate(bytes, at + 1);
        }
        if input.ended {
            return Probe::No;
        }
        // The last byte stays, so that the next call knows whether a line begins behind it.
        let tail = (1..=3)
            .rev()
            .find(|n| bytes.ends_with(b"MSG ".get(..*n).unwrap_or_default()))
            .unwrap_or(1);
        more_from(bytes.len().saturating_sub(tail))
    }

    fn dissector(&self, claim: &Claim) -> Box<dyn Dissector> {
        Box::new(Stream::new(claim.format.clone()))
    }
}

/// The same for bytes that begin anywhere.
fn first_candidate(bytes: &[u8]) -> Option<usize> {
    let line = memchr(b'\n', bytes).map(|found| found + 1);
    let message = memmem::find(bytes, b"MSG ");
    line.into_iter().chain(message).min()
}

/// The next place at or after `at` where a command may begin: behind a line end, or a message anywhere,
/// because the payload before it ends without one.
fn next_candidate(window: &[u8], at: usize) -> Option<usize> {
    let before = at.checked_sub(1)?;
    let line = memchr(b'\n', window.get(before..)?).map(|found| before + found + 1);
    let message = memmem::find(window.get(at..)?, b"MSG ").map(|found| at + found);
    line.into_iter().chain(message).min()
}

/// What a chain of lines proves.
struct Hit {
    certain: bool,
    side: Side,
    place: Place,
    what: &'static str,
    detail: String,
}

impl Hit {
    fn probe(self, offset: usize) -> Probe {
        // `USR tr OK passport nick` is a switchboard's answer, or one of an old notification server, which
        // would have begun with `VER`.
        let format = if self.place == Place::Notification {
            NOTIFICATION
        } else {
            SWITCHBOARD
        };
        let sender_is_client = match self.side {
            Side::Client => Some(true),
            Side::Server => Some(false),
            Side::Either => None,
        };
        let claim = Claim {
            format,
            offset,
            sender_is_client,
            evidence: Evidence::payload(self.what, self.detail),
        };
        if self.certain {
            Probe::Certain(claim)
        } else {
            Probe::Likely(claim)
        }
    }
}

enum Step {
    Hit(Hit),
    Pending,
    /// The line that begins there is no command; all before it was judged.
    Fail(usize),
}

/// What the lines of a chain have shown so far.
struct Seen<'a> {
    verbs: Vec<&'a str>,
    structured: usize,
    score: usize,
    side: Side,
    place: Place,
}

impl<'a> Seen<'a> {
    fn add(&mut self, verb: &'a str, shape: grammar::Shape, weight: Weight) {
        if self.side == Side::Either {
            self.side = shape.side;
        }
        if self.place == Place::Either {
            self.place = shape.place;
        }
        if self.verbs.contains(&verb) {
            return;
        }
        self.verbs.push(verb);
        self.structured += usize::from(weight >= Weight::Structured);
        self.score += match weight {
            Weight::Filler => 0,
            Weight::Structured => 1,
            Weight::Signature | Weight::Proof => 2,
        };
    }

    fn hit(&self, certain: bool, what: &'static str) -> Step {
        let detail = self.verbs.join(", ");
        Step::Hit(Hit {
            certain,
            side: self.side,
            place: self.place,
            what,
            detail,
        })
    }
}

/// Judges the lines that begin at the start of `bytes`. With `alone` one signature, or two commands of which
/// one has structure, are enough.
fn chain(bytes: &[u8], alone: bool) -> Step {
    let mut seen = Seen {
        verbs: Vec::new(),
        structured: 0,
        score: 0,
        side: Side::Either,
        place: Place::Either,
    };
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let (line, length) = match next_line(rest, at > 0) {
            Next::Line(line, length) => (line, length),
            Next::Pending => return Step::Pending,
            Next::Invalid => return Step::Fail(at),
        };
        let Some(shape) = grammar::shape(&line) else {
            // An error between two commands is no evidence, but no contradiction either.
            let error = line.verb().bytes().all(|b| b.is_ascii_digit());
            match line.payload_len().filter(|_| error) {
                Some(payload) => at = at.saturating_add(length).saturating_add(payload),
                None => return Step::Fail(at),
            }
            if at > bytes.len() {
                return Step::Pending;
            }
            continue;
        };
        let Some(announced) = line.payload_len() else {
            return Step::Fail(at);
        };
        let payload = rest.get(length..).unwrap_or_default();
        let payload = payload.get(..announced).unwrap_or(payload);
        let mut weight = shape.weight;
        if line.verb() == "MSG" {
            let here = payload.get(..MIME.len()).unwrap_or(payload);
            if announced < MIME.len() || !MIME.starts_with(here) {
                return Step::Fail(at);
            }
            if here.len() < MIME.len() {
                return Step::Pending;
            }
            seen.add("MSG", shape, Weight::Signature);
            return seen.hit(alone, "msnp-message");
        }
        if announced > 0 {
            let here = payload.get(..ROOT.min(announced)).unwrap_or(payload);
            if here.len() < ROOT.min(announced) {
                return Step::Pending;
            }
            match judge_payload(line.verb(), here) {
                Some(true) => weight = Weight::Signature,
                Some(false) => {}
                None => return Step::Fail(at),
            }
        }
        let verb = line.verb();
        seen.add(verb, shape, weight);
        match weight {
            Weight::Proof if alone => return seen.hit(true, "msnp-version"),
            Weight::Signature if alone => return seen.hit(false, "msnp-command"),
            _ if seen.verbs.len() < 2 => {}
            _ if alone && seen.structured >= 2 => return seen.hit(true, "msnp-chain"),
            _ if alone && seen.structured >= 1 || seen.score >= 3 => {
                return seen.hit(false, "msnp-chain");
            }
            _ => {}
        }
        at = at.saturating_add(length).saturating_add(announced);
        if at > bytes.len() {
            return Step::Pending;
        }
    }
}

/// Whether a payload's first bytes suit the verb: `Some(true)` if they are unmistakable.
fn judge_payload(verb: &str, here: &[u8]) -> Option<bool> {
    match verb {
        "ADL" | "RML" | "FQY" | "UUX" | "UBX" | "NOT" | "GCF" => {
            let known = ROOTS.iter().any(|root| here.starts_with(root));
            (known || here.first() == Some(&b'<')).then_some(known)
        }
        "QRY" => here.iter().all(u8::is_ascii_hexdigit).then_some(true),
        "SDG" | "PUT" | "NFY" | "DEL" => Some(here.starts_with(b"Routing: 1.0\r\n")),
        _ => Some(false),
    }
}

enum Next<'a> {
    /// A line, and its length with the line end.
    Line(Line<'a>, usize),
    Pending,
    Invalid,
}

/// The line at the start of `bytes`. With `chained` it may be an error: at the start of a chain that would be
/// an SMTP or FTP greeting.
fn next_line(bytes: &[u8], chained: bool) -> Next<'_> {
    let error = chained && bytes.iter().take(3).all(u8::is_ascii_digit);
    if !grammar::viable(bytes) && !error {
        return Next::Invalid;
    }
    let window = bytes.get(..MAX_LINE).unwrap_or(bytes);
    match window.iter().position(u8::is_ascii_control) {
        None if window.len() == MAX_LINE => Next::Invalid,
        None => Next::Pending,
        Some(end) => match window.get(end..) {
            Some([b'\r', b'\n', ..]) => {
                let text = window
                    .get(..end)
                    .and_then(|line| std::str::from_utf8(line).ok());
                text.and_then(Line::parse)
                    .map_or(Next::Invalid, |line| Next::Line(line, end + 2))
            }
            Some([b'\r']) if window.len() < MAX_LINE => Next::Pending,
            _ => Next::Invalid,
        },
    }
}
