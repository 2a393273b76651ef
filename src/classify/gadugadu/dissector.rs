//! Follows a session: sign-on, messages, files, status.

use super::packet::{HEADER, Sign, header, kind, login, number, uin};
use crate::classify::file::File;
use crate::classify::units::{Sides, Step};
use crate::classify::{Dissector, Events};
use crate::model::{Activity, Confidence, Direction, Event, Evidence, Party, feature, risk, what};

/// Longest packet that is read; of a longer one this much is.
const MAX_READ: usize = 4096;
/// Longer than any packet.
const MAX_PACKET: usize = 1 << 20;
/// Types beyond this are none: nobody knows where a packet begins.
const MAX_KIND: u32 = 0x200;
/// Contacts of a list are a number and a byte each.
const CONTACT: usize = 5;

/// What is known of a connection.
#[derive(Default)]
struct Known {
    /// Which direction is the client's: the bytes say so.
    client: Option<Direction>,
    /// What speaks for it from the other side.
    signed: bool,
    welcomed: bool,
    confirmed: bool,
}

impl Known {
    /// Whether bytes of this direction are the client's. A greeting and a sign-on say so by themselves.
    fn is_client(&mut self, direction: Direction, bytes: &[u8]) -> bool {
        let client = *self.client.get_or_insert_with(|| {
            let greets = bytes.starts_with(&kind::WELCOME.to_le_bytes());
            let signs = matches!(login(bytes), Sign::On(_));
            match (greets, signs) {
                (true, _) => direction.reverse(),
                (_, true) => direction,
                _ => Direction::ToServer,
            }
        });
        client == direction
    }

    fn packet(&mut self, by_client: bool, of: u32, body: &[u8], whole: &[u8], out: &mut Events) {
        match (by_client, of) {
            (true, _) if !self.signed && matches!(login(whole), Sign::On(_)) => {
                if let Sign::On(login) = login(whole) {
                    self.signed = true;
                    if let Some(uin) = login.uin {
                        out.push(Event::Account(uin));
                    }
                    out.push(Event::SignOn(login.method));
                    out.push(Event::Feature(feature::SIGN_ON));
                    // The seed crossed as well: passwords can be tried.
                    out.push(Event::Risk(risk::WEAK_SIGN_ON));
                }
            }
            (false, kind::WELCOME) if body.len() == 4 => self.welcomed = true,
            (false, kind::LOGIN_FAILED | kind::LOGIN_80_FAILED) => {
                out.done(Activity::new(what::SIGN_ON_FAILED).by(Party::Own));
            }
            (true, kind::SEND_MSG) => said(true, body, 12, None, out),
            (false, kind::RECV_MSG) => said(false, body, 16, None, out),
            (true, kind::SEND_MSG_80) => said(true, body, 20, number(body, 12), out),
            (false, kind::RECV_MSG_80) => said(false, body, 24, number(body, 16), out),
            (true, kind::SEND_MSG_110) => super::eleven::said(true, body, out),
            (false, kind::RECV_MSG_110) => super::eleven::said(false, body, out),
            (_, kind::TYPING) => {
                let other = number(body, 2).and_then(uin);
                out.done(Activity::between(what::TYPING, by_client, other));
            }
            (
                true,
                kind::NEW_STATUS
                | kind::NEW_STATUS_80_BETA
                | kind::NEW_STATUS_80
                | kind::NEW_STATUS_105,
            ) => {
                out.push(Event::Feature(feature::PRESENCE));
                out.done(Activity::new(what::STATUS).by(Party::Own));
            }
            (true, kind::NOTIFY_FIRST | kind::NOTIFY_LAST) if body.len() >= CONTACT => {
                out.push(Event::Feature(feature::CONTACT_LIST));
            }
            (_, kind::FILE_NEW) => offered(by_client, body, out),
            _ => {}
        }
        if self.signed && self.welcomed && !self.confirmed {
            self.confirmed = true;
            out.identified(
                super::format(),
                Confidence::Confirmed,
                Evidence::payload("gadu-gadu", "sign-on to a greeting with a seed"),
            );
        }
    }
}

/// Somebody said something; its length is told, never its text. The text stands behind the fixed part, or where that
/// says.
fn said(by_client: bool, body: &[u8], fixed: usize, plain: Option<u32>, out: &mut Events) {
    let at = plain.map_or(fixed, |at| at as usize);
    let Some(text) = body.get(at.max(fixed)..) else {
        return;
    };
    let length = text.iter().take_while(|byte| **byte != 0).count();
    let other = number(body, 0).and_then(uin);
    // From number 0 the system speaks.
    let Some(other) = other else {
        return;
    };
    out.push(Event::Risk(risk::CLEARTEXT_MESSAGES));
    out.push(Event::Feature(feature::MESSAGE));
    out.push(Event::Peer(other.clone()));
    out.done(Activity::between(what::MESSAGE, by_client, Some(other)).with("length", length));
}

/// A file or a call is offered: id, who, to whom, which of both, a name, a length.
fn offered(by_client: bool, body: &[u8], out: &mut Events) {
    let other = number(body, if by_client { 12 } else { 8 }).and_then(uin);
    if let Some(other) = other.clone() {
        out.push(Event::Peer(other));
    }
    match number(body, 16) {
        Some(1) => {
            out.push(Event::Feature(feature::VOICE));
            out.done(Activity::between(what::INVITATION, by_client, other).with("kind", "voice"));
        }
        Some(4) => {
            let name = body.get(20..).unwrap_or_default();
            let name = name.iter().take(255).take_while(|byte| **byte != 0);
            let name: Vec<u8> = name.copied().collect();
            let size = number(body, 20 + 255).map(u64::from);
            File::new(&name, size).between(what::FILE_OFFER, by_client, other, out);
        }
        _ => {}
    }
}

impl Known {
    /// The next packet.
    fn step(&mut self, direction: Direction, held: &[u8], out: &mut Events) -> Step {
        let Some((of, length)) = header(held) else {
            return Step::Wait;
        };
        let whole = HEADER.saturating_add(length);
        if whole > MAX_PACKET || of > MAX_KIND {
            return Step::Lost;
        }
        let Some(packet) = held.get(..whole.min(MAX_READ)) else {
            return Step::WaitFor(whole.min(MAX_READ));
        };
        let by_client = self.is_client(direction, packet);
        self.packet(by_client, of, &packet[HEADER..], packet, out);
        Step::Past(whole)
    }
}

/// One connection.
#[derive(Default)]
pub(super) struct Session {
    known: Known,
    sides: Sides,
}

impl Dissector for Session {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        self.sides.feed(direction, bytes, MAX_READ, |held| {
            self.known.step(direction, held, out)
        });
    }

    fn gap(&mut self, direction: Direction, missing: u64, _: &mut Events) {
        self.sides.gap(direction, missing);
    }

    fn is_done(&self) -> bool {
        self.sides.are_lost()
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.sides.memory()
    }
}
