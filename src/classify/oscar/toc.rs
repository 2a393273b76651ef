//! TOC and TOC2: lines of text in FLAP frames, AOL's open protocol for AIM.
//!
//! `FLAPON`, a FLAP sign-on, then `toc_signon` with the password under XOR. The client ends its lines with
//! NUL, the server does not.

use super::bytes::Bytes;
use super::flap::{Start, prefix};
use super::names;
use super::rendezvous::{self, Capability};
use super::tell::Teller;
use crate::model::{feature, risk};
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
                tell.peer(peer);
                message(tell);
            }
        }
        b"toc_add_buddy" | b"toc_remove_buddy" | b"toc_set_config" | b"toc2_set_config"
        | b"toc2_new_group" | b"toc2_del_group" | b"toc2_new_buddies" | b"toc2_remove_buddy" => {
            tell.feature(feature::CONTACT_LIST);
        }
        b"toc_set_away" | b"toc_set_idle" => tell.feature(feature::PRESENCE),
        b"toc_chat_join" | b"toc_chat_send" | b"toc_chat_send_enc" | b"toc_chat_accept"
        | b"toc_chat_invite" => {
            tell.feature(feature::CHAT_ROOM);
        }
        b"toc_rvous_accept" => tell.feature(feature::FILE_TRANSFER),
        // toc_change_passwd old new, both as they are.
        b"toc_change_passwd" => tell.risk(risk::REVERSIBLE_PASSWORD),
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
                tell.peer(peer);
                message(tell);
            }
        }
        b"UPDATE_BUDDY" | b"UPDATE_BUDDY2" => tell.feature(feature::PRESENCE),
        b"CONFIG2" => tell.feature(feature::CONTACT_LIST),
        b"CHAT_JOIN" | b"CHAT_IN" | b"CHAT_IN_ENC" | b"CHAT_INVITE" => {
            tell.feature(feature::CHAT_ROOM);
        }
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
    tell.peer(peer);
    let addresses: Vec<_> = fields
        .by_ref()
        .skip(2)
        .take(3)
        .filter_map(number::<IpAddr>)
        .collect();
    let port = fields.next().and_then(number::<u16>);
    rendezvous::offer(kind, &addresses, port, None, tell);
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

fn message(tell: &mut Teller<'_>) {
    tell.feature(feature::MESSAGE);
    tell.risk(risk::CLEARTEXT_MESSAGES);
}

/// The words of a client's line: separated by spaces, `"` around words with spaces, `\` before a special
/// character, the end at NUL.
struct Words<'a>(&'a [u8]);

/// No word that is looked at is longer; what is beyond belongs to message text.
const MAX_WORD: usize = 256;

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
