//! MSNSLP session requests: what two users set up, and where one of them listens.

use super::P2P;
use super::line::passport;
use super::mime::{self, Fields};
use super::notes::Notes;
use super::transfer::{Sessions, Use, answered, described};
use crate::classify::Events;
use crate::classify::file::File;
use crate::model::{Activity, Event, Target, Token, feature, risk, what};
use foldhash::fast::FixedState;
use std::hash::BuildHasher;
use std::net::IpAddr;

/// How many addresses of one answer are believed.
const MAX_ADDRESSES: usize = 4;

/// Keys of the addresses in a transport answer, and of their ports.
const ADDRESSES: &[(&str, &str)] = &[
    ("IPv4Internal-Addrs", "IPv4Internal-Port"),
    ("IPv4External-Addrs", "IPv4External-Port"),
    ("IPv6-Addrs", "IPv6-Port"),
];

/// A session request or the answer to one.
pub(super) struct Request<'a> {
    head: Fields<'a>,
    body: Fields<'a>,
}

impl<'a> Request<'a> {
    /// `None` if the text is none.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        if !is_start(text) {
            return None;
        }
        let (head, body) = mime::split(text);
        let body = body.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(Self {
            head,
            body: mime::fields(body),
        })
    }

    /// The account in `To` or `From`: `<msnmsgr:alice@example.com>`.
    pub fn party(&self, field: &str) -> Option<String> {
        let value = self
            .head
            .get(field)?
            .trim_start_matches('<')
            .trim_end_matches('>');
        let (scheme, name) = value.split_once(':')?;
        scheme
            .eq_ignore_ascii_case("msnmsgr")
            .then(|| passport(name))
            .flatten()
    }

    /// Tells what is set up, and where the sender listens. `from_client`: whether this flow's client sent it.
    pub fn tell(
        &self,
        from_client: bool,
        sessions: &mut Sessions,
        notes: &mut Notes,
        out: &mut Events,
    ) {
        let first = self.head.first_line();
        let call = hash(self.head.get("Call-ID").unwrap_or_default());
        if first.starts_with("INVITE ") {
            self.invitation(call, from_client, sessions, notes, out);
        } else if let Some(status) = first.strip_prefix("MSNSLP/1.0 ")
            && let Some(answer) =
                answered(status.get(..3).unwrap_or_default(), sessions.purpose(call))
        {
            let between = notes.done(answer.what, from_client);
            out.done(Activity {
                from: between.from,
                to: between.to,
                ..answer
            });
        }
        self.addresses(from_client, notes, out);
    }

    fn invitation(
        &self,
        call: u64,
        from_client: bool,
        sessions: &mut Sessions,
        notes: &mut Notes,
        out: &mut Events,
    ) {
        let Some(purpose) = self.body.get("EUF-GUID").and_then(Use::of) else {
            return;
        };
        let file = match purpose {
            Use::File => self.body.get("Context").map(described).unwrap_or_default(),
            _ => File::default(),
        };
        match purpose {
            Use::File => {
                let offer = notes.done(what::FILE_OFFER, from_client);
                file.tell(offer, out);
            }
            Use::Picture => notes.feature(feature::IMAGES, out),
            Use::Webcam => notes.feature(feature::VIDEO, out),
            Use::Game => notes.feature(feature::GAMES, out),
        }
        if !matches!(purpose, Use::File) {
            let invitation = notes.done(what::INVITATION, from_client);
            out.done(invitation.with("kind", purpose.name()));
        }
        let session = self.body.get("SessionID").and_then(|id| id.parse().ok());
        if let Some(session) = session {
            sessions.invited(call, session, purpose, from_client, file);
        }
    }

    fn addresses(&self, from_client: bool, notes: &mut Notes, out: &mut Events) {
        let listening = self
            .body
            .get("Listening")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let nonce = self.body.get("Nonce").and_then(nonce);
        for (addresses, port) in ADDRESSES {
            let port = self
                .body
                .get(port)
                .and_then(|port| port.parse::<u16>().ok())
                .filter(|port| *port != 0);
            let addresses = self
                .body
                .get(addresses)
                .unwrap_or_default()
                .split_ascii_whitespace();
            for address in addresses
                .filter_map(|text| text.parse::<IpAddr>().ok())
                .take(MAX_ADDRESSES)
            {
                let target = Target::Address(address, port);
                out.push(Event::Exposed(risk::ADDRESS_REVEALED, target.to_string()));
                if port.is_some() && listening && !address.is_unspecified() {
                    notes.redirect(target, P2P, (true, from_client), nonce, out);
                } else {
                    let revealed = notes.done(what::ADDRESS, from_client);
                    out.done(revealed.with("address", target.to_string()));
                }
            }
        }
    }
}

/// What links the answer to the connection: the number in `{...}` as the connection's bytes have it, its first three
/// groups in little-endian order.
fn nonce(text: &str) -> Option<Token> {
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let value = (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok())??;
    let mut bytes = value.to_be_bytes();
    for group in [0..4, 4..6, 6..8] {
        bytes.get_mut(group)?.reverse();
    }
    token(&bytes)
}

/// The nonce of a direct connection.
pub(super) fn token(nonce: &[u8]) -> Option<Token> {
    Token::of("msn-nonce", nonce)
}

fn hash(text: &str) -> u64 {
    FixedState::default().hash_one(text)
}

/// Whether a request begins so.
pub(super) fn is_start(text: &[u8]) -> bool {
    const STARTS: [&[u8]; 4] = [
        b"INVITE MSNMSGR:",
        b"MSNSLP/1.0 ",
        b"BYE MSNMSGR:",
        b"ACK MSNMSGR:",
    ];
    STARTS.iter().any(|start| text.starts_with(start))
}
