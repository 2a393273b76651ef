//! TOC and TOC2: lines of text in FLAP frames, AOL's open protocol for AIM.
//!
//! `FLAPON`, a FLAP sign-on, then `toc_signon` with the password under XOR. The client ends its lines with
//! NUL, the server does not.

use super::bytes::Bytes;
use super::flap::{Start, prefix};
use super::names;
use super::rendezvous::{self, Capability, Offer, Parties};
use super::tell::Teller;
use crate::classify::exploit;
use crate::model::{Activity, Party, feature, risk, what};
use std::net::IpAddr;

/// What a TOC client says before its first frame; both line ends are in use.
const GREETINGS: [&[u8]; 2] = [b"FLAPON\r\n\r\n", b"FLAPON\n\n"];

/// Everything a server may begin a line with. `PAUSE` stands alone and is left out: it says nothing.
const SERVER_WORDS: &[&str] = &[
    "SIGN_ON",
    "CONFIG",
    "CONFIG2",
    "NICK",
    "IM_IN",
    "IM_IN2",
    "IM_IN_ENC",
    "IM_IN_ENC2",
    "UPDATE_BUDDY",
    "UPDATE_BUDDY2",
    "ERROR",
    "EVILED",
    "CHAT_JOIN",
    "CHAT_IN",
    "CHAT_IN_ENC",
    "CHAT_UPDATE_BUDDY",
    "CHAT_INVITE",
    "CHAT_LEFT",
    "GOTO_URL",
    "DIR_STATUS",
    "ADMIN_NICK_STATUS",
    "ADMIN_PASSWD_STATUS",
    "RVOUS_PROPOSE",
    "CLIENT_EVENT2",
    "NEW_BUDDY_REPLY2",
    "BUDDY_CAPS2",
    "INSERTED2",
    "DELETED2",
    "UPDATED2",
];

/// The longest of these, with its colon.
const LONGEST_WORD: usize = 20;

/// Who said a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `toc_...`
    Client,
    /// `WORD:...`
    Server,
}

/// Whether the stream begins with a client's greeting; its length.
pub fn greeting(bytes: &[u8]) -> Start<usize> {
    let mut answer = Start::No;
    for wanted in GREETINGS {
        match prefix(bytes, wanted) {
            Start::Yes(()) => return Start::Yes(wanted.len()),
            Start::Short(need) => answer = Start::Short(need.min(bytes.len().saturating_add(1))),
            Start::No => {}
        }
    }
    answer
}

/// Whether a payload begins as a line of TOC.
pub fn starts(payload: &[u8]) -> Start<Side> {
    let more = Start::Short(payload.len().saturating_add(1));
    let client = [&b"toc_"[..], b"toc2_"].map(|wanted| prefix(payload, wanted));
    if client.contains(&Start::Yes(())) {
        return Start::Yes(Side::Client);
    }
    let head = payload.get(..LONGEST_WORD).unwrap_or(payload);
    if let Some(colon) = memchr::memchr(b':', head) {
        let word = head.get(..colon).unwrap_or_default();
        let known = SERVER_WORDS.iter().any(|known| known.as_bytes() == word);
        return if known {
            Start::Yes(Side::Server)
        } else {
            Start::No
        };
    }
    let possible = client.iter().any(|start| matches!(start, Start::Short(_)))
        || (payload.len() < LONGEST_WORD
            && SERVER_WORDS
                .iter()
                .any(|known| known.as_bytes().starts_with(payload)));
    if possible { more } else { Start::No }
}

/// Whether a whole payload is one line, of the form that its side uses.
pub fn is_line(payload: &[u8], side: Side) -> bool {
    match side {
        Side::Client => {
            let Some((0, text)) = payload.split_last() else {
                return false;
            };
            let verb = text.split(|b| *b == b' ').next().unwrap_or_default();
            verb.iter()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_')
                && !text.contains(&0)
        }
        Side::Server => !payload.contains(&0),
    }
}

/// Tells what a line says.
pub fn line(payload: &[u8], side: Side, tell: &mut Teller<'_>) {
    match side {
        Side::Client => client_line(payload, tell),
        Side::Server => server_line(payload, tell),
    }
}

fn client_line(payload: &[u8], tell: &mut Teller<'_>) {
    let mut words = Words(payload);
    let Some(verb) = words.next() else { return };
    match verb.as_slice() {
        // toc_signon host port name password language client ...; host and port are the client's own text,
        // often login.oscar.aol.com 5190 wherever the connection really goes: nothing to learn from them.
        b"toc_signon" | b"toc2_signon" | b"toc2_login" => {
            let name = words.nth(2).and_then(|name| names::account(&name));
            let Some(name) = name else { return };
            tell.account(name);
            tell.feature(feature::SIGN_ON);
            if words
                .next()
                .is_some_and(|password| password.starts_with(b"0x"))
            {
                tell.sign_on("toc-roast");
                tell.risk(risk::REVERSIBLE_PASSWORD);
            }
            if let Some(client) = words.nth(1).and_then(|client| names::text(&client)) {
                tell.client(client);
            }
        }
        b"toc_send_im" | b"toc2_send_im" | b"toc2_send_im_enc" => {
            if let Some(peer) = words.next().and_then(|name| names::account(&name)) {
                tell.peer(peer.clone());
                let text = words.next().unwrap_or_default();
                message(&text, true, peer, tell);
            }
        }
        b"toc_add_buddy" | b"toc_remove_buddy" | b"toc_set_config" | b"toc2_set_config"
        | b"toc2_new_group" | b"toc2_del_group" | b"toc2_new_buddies" | b"toc2_remove_buddy" => {
            tell.feature(feature::CONTACT_LIST);
        }
        b"toc_set_away" => {
            let status = if words.next().is_some() {
                "away"
            } else {
                "back"
            };
            own_status(status, tell);
        }
        b"toc_set_idle" => {
            let status = match words.next().as_deref() {
                Some(b"0") => "active",
                _ => "idle",
            };
            own_status(status, tell);
        }
        b"toc_chat_send" | b"toc_chat_send_enc" => {
            tell.feature(feature::CHAT_ROOM);
            tell.risk(risk::CLEARTEXT_MESSAGES);
            let text = words.nth(1).unwrap_or_default();
            let said = Activity::new(what::CHAT_MESSAGE).by(Party::Own);
            tell.done(said.with("length", text.len()));
        }
        b"toc_chat_leave" => tell.done(Activity::new(what::CHAT_LEAVE).by(Party::Own)),
        b"toc_get_info" | b"toc_get_dir" | b"toc_get_status" => {
            let whom = words.next().and_then(|name| names::account(&name));
            tell.done(
                Activity::new(what::QUERY)
                    .by(Party::Own)
                    .with("kind", "user-info")
                    .maybe_to(whom),
            );
        }
        b"toc_chat_join" | b"toc_chat_accept" | b"toc_chat_invite" => {
            tell.feature(feature::CHAT_ROOM);
        }
        // Whose offer, its cookie, what it was for.
        b"toc_rvous_accept" | b"toc_rvous_cancel" => {
            tell.feature(feature::FILE_TRANSFER);
            let what = if verb == b"toc_rvous_accept" {
                what::ACCEPTED
            } else {
                what::CANCELLED
            };
            let whom = words.next().and_then(|name| names::account(&name));
            tell.done(Activity::new(what).by(Party::Own).maybe_to(whom));
        }
        // toc_change_passwd old new, both as they are.
        b"toc_change_passwd" => {
            tell.risk(risk::CLEARTEXT_PASSWORD);
            tell.done(Activity::new(what::PASSWORD_CHANGE).by(Party::Own));
        }
        _ => {}
    }
}

fn server_line(payload: &[u8], tell: &mut Teller<'_>) {
    let mut fields = payload.split(|b| *b == b':');
    let Some(word) = fields.next() else { return };
    match word {
        b"NICK" => {
            if let Some(name) = fields.next().and_then(names::account) {
                tell.account(name);
            }
        }
        b"IM_IN" | b"IM_IN2" | b"IM_IN_ENC" | b"IM_IN_ENC2" => {
            if let Some(peer) = fields.next().and_then(names::account) {
                tell.peer(peer.clone());
                // Automatic or not, then in the newer forms more of that, then the text to the line's end, which may
                // hold colons of its own.
                let skipped = match word {
                    b"IM_IN" => 1,
                    b"IM_IN2" => 2,
                    _ => 7,
                };
                let rest: Vec<&[u8]> = fields.skip(skipped).collect();
                message(&rest.join(&b':'), false, peer, tell);
            }
        }
        // Name, T or F, and more.
        b"UPDATE_BUDDY" | b"UPDATE_BUDDY2" => {
            tell.feature(feature::PRESENCE);
            let name = fields.next().and_then(names::account);
            let status = match fields.next() {
                Some(b"T") => "online",
                _ => "offline",
            };
            if let Some(name) = name {
                tell.done(Activity::new(what::STATUS).by(name).with("status", status));
            }
        }
        b"ERROR" => {
            if let Some(code @ 980..=989) = fields.next().and_then(number::<u16>) {
                let failed = Activity::new(what::SIGN_ON_FAILED).by(Party::Own);
                tell.done(failed.with("code", u64::from(code)));
            }
        }
        // Room, who, whispered or not, text.
        b"CHAT_IN" | b"CHAT_IN_ENC" => {
            tell.feature(feature::CHAT_ROOM);
            tell.risk(risk::CLEARTEXT_MESSAGES);
            let who = fields.nth(1).and_then(names::account);
            let mut said = Activity::new(what::CHAT_MESSAGE);
            said.from = who.map(Party::Account);
            tell.done(said);
        }
        b"CONFIG2" => tell.feature(feature::CONTACT_LIST),
        b"CHAT_JOIN" => {
            tell.feature(feature::CHAT_ROOM);
            tell.done(Activity::new(what::CHAT_JOIN).by(Party::Own));
        }
        b"CHAT_INVITE" => tell.feature(feature::CHAT_ROOM),
        b"RVOUS_PROPOSE" => proposal(fields, tell),
        _ => {}
    }
}

/// user : UUID : cookie : sequence : rendezvous IP : proposer IP : verified IP : port : TLVs
fn proposal<'a>(mut fields: impl Iterator<Item = &'a [u8]>, tell: &mut Teller<'_>) {
    let peer = fields.next().and_then(names::account);
    let kind = fields
        .next()
        .and_then(uuid)
        .and_then(|uuid| Capability::of(&uuid));
    let (Some(peer), Some(kind)) = (peer, kind) else {
        return;
    };
    tell.peer(peer.clone());
    let addresses = fields
        .by_ref()
        .skip(2)
        .take(3)
        .filter_map(number::<IpAddr>)
        .collect();
    let offer = Offer {
        addresses,
        port: fields.next().and_then(number::<u16>),
        ..Offer::default()
    };
    let parties = Parties {
        from_client: false,
        peer: peer.clone(),
    };
    // What is offered stands in TLVs under base64, which nobody wrote down.
    let offered = match kind {
        Capability::SendFile => what::FILE_OFFER,
        _ => what::INVITATION,
    };
    tell.done(Activity::between(offered, false, Some(peer)).with("kind", kind.name()));
    if kind == Capability::SendFile {
        tell.risk(risk::FILE_TRANSFER);
    }
    rendezvous::leads_to(kind, &offer, &parties, tell);
}

fn own_status(status: &'static str, tell: &mut Teller<'_>) {
    tell.feature(feature::PRESENCE);
    tell.done(
        Activity::new(what::STATUS)
            .by(Party::Own)
            .with("status", status),
    );
}

fn number<T: std::str::FromStr>(field: &[u8]) -> Option<T> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// `09461343-4C7F-11D1-8222-444553540000`
fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let text = std::str::from_utf8(text).ok()?;
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let value = (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok())??;
    Some(value.to_be_bytes())
}

fn message(text: &[u8], by_client: bool, peer: String, tell: &mut Teller<'_>) {
    tell.feature(feature::MESSAGE);
    tell.risk(risk::CLEARTEXT_MESSAGES);
    exploit::aim_urls(text, tell.out());
    let message = Activity::between(what::MESSAGE, by_client, Some(peer));
    tell.done(message.with("length", text.len()));
}

/// The words of a client's line: separated by spaces, `"` around words with spaces, `\` before a special
/// character, the end at NUL.
struct Words<'a>(&'a [u8]);

/// The longest word: a message, which TOC limits to 2 KiB.
const MAX_WORD: usize = 8 * 1024;

impl Iterator for Words<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut bytes = Bytes::new(self.0.trim_ascii_start());
        let mut word = Vec::new();
        let mut quoted = false;
        let mut any = false;
        while let Some(byte) = bytes.u8() {
            let literal = match byte {
                0 => {
                    bytes = Bytes::new(&[]);
                    break;
                }
                b'"' => {
                    quoted = !quoted;
                    any = true;
                    continue;
                }
                b' ' if !quoted => break,
                b'\\' => bytes.u8()?,
                other => other,
            };
            any = true;
            if word.len() < MAX_WORD {
                word.push(literal);
            }
        }
        self.0 = bytes.rest();
        any.then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::{SERVER_WORDS, Side, Words, greeting, is_line, starts};
    use crate::classify::oscar::flap::Start;

    #[test]
    fn both_line_ends_greet() {
        assert_eq!(greeting(b"FLAPON\r\n\r\n*"), Start::Yes(10));
        assert_eq!(greeting(b"FLAPON\n\n"), Start::Yes(8));
        assert!(matches!(greeting(b""), Start::Short(_)));
        assert!(matches!(greeting(b"FLAPON"), Start::Short(_)));
        assert!(matches!(greeting(b"FLAPON\r"), Start::Short(_)));
        assert_eq!(greeting(b"FLAPON\r\r"), Start::No);
        assert_eq!(greeting(b"FLAP ON\n\n"), Start::No);
    }

    #[test]
    fn lines_show_their_side() {
        assert_eq!(starts(b"toc_signon a"), Start::Yes(Side::Client));
        assert_eq!(starts(b"toc2_"), Start::Yes(Side::Client));
        assert_eq!(starts(b"IM_IN2:bob"), Start::Yes(Side::Server));
        assert_eq!(starts(b"SIGN_ON:TOC1.0"), Start::Yes(Side::Server));
        assert_eq!(starts(b"tocsin"), Start::No);
        assert_eq!(starts(b"HELLO:bob"), Start::No);
        assert_eq!(starts(b"\x00\x04\x00\x06"), Start::No);
    }

    #[test]
    fn every_beginning_of_a_line_is_undecided() {
        for word in SERVER_WORDS {
            assert_eq!(
                starts(format!("{word}:x").as_bytes()),
                Start::Yes(Side::Server),
                "{word}"
            );
            for len in 0..=word.len() {
                let part = word.as_bytes().get(..len).unwrap_or_default();
                assert!(matches!(starts(part), Start::Short(_)), "{word} at {len}");
            }
        }
    }

    #[test]
    fn words_are_cut_as_the_server_does() {
        let words: Vec<_> =
            Words(b"toc_send_im \"alice b\" \"he said \\\"hi\\\"\" auto\0 x").collect();
        assert_eq!(
            words,
            [&b"toc_send_im"[..], b"alice b", b"he said \"hi\"", b"auto"]
        );
        assert_eq!(Words(b"   ").count(), 0);
        assert_eq!(
            Words(b"a \"\" b").count(),
            3,
            "an empty word in quotes is a word"
        );
    }

    #[test]
    fn only_whole_lines_count_as_lines() {
        assert!(is_line(b"toc_init_done\0", Side::Client));
        assert!(!is_line(b"toc_init_done", Side::Client));
        assert!(!is_line(b"toc_INIT\x01 x\0", Side::Client));
        assert!(is_line(b"NICK:alice", Side::Server));
        assert!(!is_line(b"NICK:\0\0", Side::Server));
    }
}
