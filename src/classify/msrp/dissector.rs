//! Follows a session: who writes to whom, and how much.

use super::chunk::{Line, Look, MAX_HEAD, byte_range, end_line, field, look};
use crate::classify::sip;
use crate::classify::units::{Step, Units};
use crate::classify::{Dissector, Events};
use crate::model::{Activity, Direction, Event, feature, risk, what};

/// Texts of people.
const TEXTS: [&str; 3] = ["text/plain", "text/html", "text/enriched"];

/// One direction.
#[derive(Debug, Default)]
struct Side {
    units: Units,
    /// The line that ends what is carried, while that goes by.
    inside: Option<Vec<u8>>,
}

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    sides: [Side; 2],
}

impl Session {
    fn step(
        inside: &mut Option<Vec<u8>>,
        direction: Direction,
        held: &[u8],
        out: &mut Events,
    ) -> Step {
        if let Some(end) = inside {
            let step = pass(held, end);
            if matches!(step, Passed::End(_)) {
                *inside = None;
            }
            return step.into();
        }
        let line = match look(held) {
            Look::Msrp(line) => line,
            Look::Unclear => return Step::Wait,
            Look::Neither => return Step::Lost,
        };
        let end = end_line(line.transaction);
        let fields = &held[line.length - 2..];
        let carried = memchr::memmem::find(fields, b"\r\n\r\n");
        let ended = memchr::memmem::find(fields, &end);
        let (head, body) = match (carried, ended) {
            // No empty line: nothing is carried.
            (None, Some(_)) => return pass(held, &end).into(),
            (Some(carried), Some(ended)) if ended < carried => return pass(held, &end).into(),
            (Some(carried), ended) => {
                let body = fields.get(carried + 4..ended.unwrap_or(fields.len()));
                (&fields[..carried], body.unwrap_or_default())
            }
            (None, None) if held.len() < MAX_HEAD => return Step::Wait,
            (None, None) => return Step::Lost,
        };
        let wrapped = content_type(head) == "message/cpim";
        // What is wrapped has a head of its own.
        if wrapped && ended.is_none() && body.len() < MAX_HEAD {
            return Step::Wait;
        }
        carries(direction, line, head, body, out);
        // The empty line stays: an end may follow at once.
        let skipped = line.length - 2 + head.len() + 2;
        *inside = Some(end);
        Step::Past(skipped)
    }
}

/// How far something that is passed over was followed.
enum Passed {
    /// Its end was met, behind so many bytes.
    End(usize),
    /// So many bytes are not its end.
    Some(usize),
    More,
}

impl From<Passed> for Step {
    fn from(passed: Passed) -> Self {
        match passed {
            Passed::End(length) | Passed::Some(length) => Self::Past(length),
            Passed::More => Self::Wait,
        }
    }
}

/// Passes over what ends with this line, a flag and a line end.
fn pass(held: &[u8], end: &[u8]) -> Passed {
    match memchr::memmem::find(held, end) {
        Some(at) if held.len() < at + end.len() + 3 => Passed::More,
        Some(at) => Passed::End(at + end.len() + 3),
        None if held.len() >= end.len() => Passed::Some(held.len() + 1 - end.len()),
        None => Passed::More,
    }
}

fn content_type(head: &[u8]) -> String {
    let value = field(head, "content-type").unwrap_or_default();
    let word = value.split(';').next().unwrap_or_default();
    word.trim().to_ascii_lowercase()
}

/// Tells what a request carries, if that begins a message.
fn carries(direction: Direction, line: Line<'_>, head: &[u8], body: &[u8], out: &mut Events) {
    let range = field(head, "byte-range").and_then(byte_range);
    let (first, total) = range.unwrap_or((1, None));
    if line.method != Some("SEND") || first != 1 {
        return;
    }
    let by_client = direction == Direction::ToServer;
    let kind = content_type(head);
    let (mut kind, mut other, mut outer) = (kind.as_str(), None, 0);
    let inner;
    if kind == "message/cpim" {
        // Who writes to whom, then a head with a type of its own (RFC 3862).
        let (from, to) = (field(body, "from"), field(body, "to"));
        let [from, to] = [from, to].map(|value| value.and_then(sip::user));
        let (own, peer) = if by_client { (from, to) } else { (to, from) };
        other = peer.filter(|peer| Some(peer) != own.as_ref());
        if let Some(own) = own {
            out.push(Event::Account(own));
        }
        if let Some(other) = other.clone() {
            out.push(Event::Peer(other));
        }
        outer = body.len().saturating_sub(sip::inside(body));
        inner = content_type(&body[..outer]);
        kind = &inner;
    }
    let known = total.filter(|total| *total >= outer);
    if TEXTS.contains(&kind) {
        out.push(Event::Feature(feature::MESSAGE));
        out.push(Event::Risk(risk::CLEARTEXT_MESSAGES));
        let said = Activity::between(what::MESSAGE, by_client, other);
        out.done(match known {
            Some(total) => said.with("length", total - outer),
            None => said,
        });
    } else if kind == "application/im-iscomposing+xml" {
        out.done(Activity::between(what::TYPING, by_client, other));
    } else if field(head, "content-disposition").is_some_and(|it| it.starts_with("attachment")) {
        // RFC 5547: a file, in a session of its own.
        out.push(Event::Feature(feature::FILE_TRANSFER));
    }
}

impl Dissector for Session {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let Side { units, inside } = &mut self.sides[direction.index()];
        units.feed(bytes, MAX_HEAD, |held| {
            Self::step(inside, direction, held, out)
        });
    }

    fn gap(&mut self, direction: Direction, missing: u64, _: &mut Events) {
        self.sides[direction.index()].units.gap(missing);
    }

    fn is_done(&self) -> bool {
        self.sides.iter().all(|side| side.units.is_lost())
    }

    fn memory(&self) -> usize {
        let ends = self.sides.iter().filter_map(|side| side.inside.as_ref());
        let held = self.sides.iter().map(|side| side.units.memory());
        size_of_val(self) + held.sum::<usize>() + ends.map(Vec::capacity).sum::<usize>()
    }
}
