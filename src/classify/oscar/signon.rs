//! Signing on: FLAP channel 1, SNAC family 0017, and the answers that name the next server.

use super::snac::Snac;
use super::tell::Teller;
use super::{flap, names, tlv};
use crate::model::{
    Activity, Direction, Format, Party, Service, ServiceHint, Target, Token, feature, risk, what,
};

/// TLVs of a sign-on and of its answer.
mod kind {
    pub const NAME: u16 = 0x01;
    /// Password under AOL's XOR key.
    pub const ROAST: u16 = 0x02;
    pub const CLIENT: u16 = 0x03;
    /// Host and port of the next server.
    pub const SERVER: u16 = 0x05;
    pub const COOKIE: u16 = 0x06;
    pub const ERROR: u16 = 0x08;
    /// Why the server ends the connection.
    pub const DISCONNECTED: u16 = 0x09;
    /// The same password by older clients.
    pub const OLD_ROAST: u16 = 0x12;
    pub const MD5: u16 = 0x25;
    /// Empty: the password was hashed before it was hashed with the key.
    pub const MD5_TWICE: u16 = 0x4C;
    /// The next server speaks TLS, unless 0.
    pub const TLS: u16 = 0x8E;
    /// Limits, from the server's greeting.
    pub const SERVER_LIMITS: u16 = 0x8001;
}

/// What a channel 1 payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hello {
    /// The version and nothing that says more; OSCAR and TOC, client and server say it alike.
    Bare,
    /// The same with the server's limits.
    Server,
    /// A name alone: the old sign-on of TOC.
    Name,
    /// Name and password under XOR.
    Roast,
    /// The cookie of an earlier sign-on.
    Cookie,
}

/// Reads a channel 1 payload; `None` if it is not one.
pub fn hello(payload: &[u8]) -> Option<Hello> {
    let tlvs = flap::sign_on_tlvs(payload)?;
    if !tlv::tiles(tlvs) {
        return None;
    }
    let filled = |kind| tlv::find(tlvs, kind).is_some_and(|value| !value.is_empty());
    let named = tlv::find(tlvs, kind::NAME).is_some_and(|name| names::account(name).is_some());
    Some(
        if named && (filled(kind::ROAST) || filled(kind::OLD_ROAST)) {
            Hello::Roast
        } else if filled(kind::COOKIE) {
            Hello::Cookie
        } else if named {
            Hello::Name
        } else if tlv::has(tlvs, kind::SERVER_LIMITS) {
            Hello::Server
        } else {
            Hello::Bare
        },
    )
}

/// Whether a channel 4 payload answers an old sign-on: TLVs, with a name and either where to go and a
/// cookie, or an error.
pub fn is_answer(payload: &[u8]) -> bool {
    tlv::tiles(payload)
        && tlv::find(payload, kind::NAME).is_some_and(|name| names::account(name).is_some())
        && (tlv::has(payload, kind::ERROR)
            || (tlv::has(payload, kind::SERVER) && tlv::has(payload, kind::COOKIE)))
}

/// Tells what a channel 1 payload says.
pub fn hello_facts(payload: &[u8], tell: &mut Teller<'_>) {
    let Some(tlvs) = flap::sign_on_tlvs(payload) else {
        return;
    };
    match hello(payload) {
        Some(Hello::Roast) => {
            tell.sign_on("xor");
            tell.risk(risk::REVERSIBLE_PASSWORD);
        }
        Some(Hello::Cookie) => {
            tell.sign_on("cookie");
            tell.risk(risk::CLEARTEXT_COOKIE);
            tell.shows(tlv::find(tlvs, kind::COOKIE).and_then(cookie));
        }
        // TOC signs on twice; its second way says how.
        Some(Hello::Name) => {}
        _ => return,
    }
    tell.feature(feature::SIGN_ON);
    who(tlvs, tell);
}

/// Tells what a SNAC of family 0017 says.
pub fn unit(snac: &Snac<'_>, tell: &mut Teller<'_>) {
    match snac.header.subtype {
        0x02 => {
            tell.feature(feature::SIGN_ON);
            if tlv::has(snac.body, kind::MD5) {
                tell.sign_on(if tlv::has(snac.body, kind::MD5_TWICE) {
                    "md5-v2"
                } else {
                    "md5"
                });
                tell.risk(risk::WEAK_SIGN_ON);
            }
            who(snac.body, tell);
        }
        0x06 => {
            tell.feature(feature::SIGN_ON);
            who(snac.body, tell);
        }
        // 0017/0007 is a u16 length and a text, not a TLV; it names nobody.
        0x03 => answer_facts(snac.body, tell),
        _ => {}
    }
}

/// Tells what the answer to a sign-on says, in 0017/0003 or in channel 4.
pub fn answer_facts(tlvs: &[u8], tell: &mut Teller<'_>) {
    if let Some(name) = tlv::find(tlvs, kind::NAME).and_then(names::account) {
        tell.account(name);
    }
    if tlv::find(tlvs, kind::COOKIE).is_some_and(|cookie| !cookie.is_empty()) {
        tell.feature(feature::SIGN_ON);
        redirect(tlvs, "bos", tell);
    } else if let Some(code) = tlv::find_be16(tlvs, kind::ERROR) {
        let failed = Activity::new(what::SIGN_ON_FAILED).by(Party::Own);
        tell.done(
            failed
                .with("reason", reason(code))
                .with("code", u64::from(code)),
        );
    }
}

/// What the error codes of a sign-on mean.
const fn reason(code: u16) -> &'static str {
    match code {
        0x01 => "bad name or password",
        0x05 => "bad password",
        0x07 => "no such account",
        0x08 => "deleted account",
        0x09 => "expired account",
        0x11 => "suspended account",
        0x19 => "warned too often",
        0x1D => "too many attempts",
        0x20 => "SecurID wanted",
        0x22 => "too young",
        _ => "refused",
    }
}

/// Tells of a channel 4 frame that answers no sign-on: the end, with a reason when the server sends the client away.
pub fn goodbye(payload: &[u8], direction: Direction, tell: &mut Teller<'_>) {
    let reason = tlv::find_be16(payload, kind::DISCONNECTED);
    if reason.is_none() && direction == Direction::ToClient {
        return;
    }
    let reason = reason.map(|code| match code {
        1 => "signed on elsewhere",
        _ => "sent away by the server",
    });
    tell.done(
        Activity::new(what::SIGN_OFF)
            .by(Party::Own)
            .maybe("reason", reason),
    );
}

/// What links a sign-on to the connection that it leads to.
pub fn cookie(bytes: &[u8]) -> Option<Token> {
    Token::of("oscar-cookie", bytes)
}

/// Tells where the client is sent, and that the cookie for it crossed in clear.
pub fn redirect(tlvs: &[u8], role: &'static str, tell: &mut Teller<'_>) {
    if tlv::find(tlvs, kind::COOKIE).is_some_and(|cookie| !cookie.is_empty()) {
        tell.risk(risk::CLEARTEXT_COOKIE);
    }
    // A connection under TLS will not look like this one.
    if tlv::find(tlvs, kind::TLS).is_some_and(|state| state.iter().any(|byte| *byte != 0)) {
        return;
    }
    let target = tlv::find(tlvs, kind::SERVER)
        .and_then(|text| std::str::from_utf8(text).ok())
        .and_then(|text| Target::parse(text.trim_matches(['\0', ' '])));
    if let Some(target) = target {
        tell.redirect(
            target,
            Format::messenger(Service::OSCAR, "oscar", role),
            (None, None),
            tlv::find(tlvs, kind::COOKIE).and_then(cookie),
        );
    }
}

fn who(tlvs: &[u8], tell: &mut Teller<'_>) {
    if let Some(name) = tlv::find(tlvs, kind::NAME).and_then(names::account) {
        tell.account(name);
    }
    if let Some(client) = tlv::find(tlvs, kind::CLIENT).and_then(names::text) {
        // `ICQ Inc. - Product of ICQ (TM)...`, `ICQBasic`, `ICQ Client`. The names of AIM's programs say
        // nothing: programs that speak both give them for ICQ numbers too.
        if client
            .get(..3)
            .is_some_and(|start| start.eq_ignore_ascii_case("icq"))
        {
            tell.hint(Service::ICQ, ServiceHint::OwnUnits);
        }
        tell.client(client);
    }
}
