//! Recognises IRC by its registration, or by what a server passes on.

use super::dissector::Session;
use super::line::{Line, is_nick};
use crate::classify::{Claim, Detector, Dissector, Probe, ProbeInput, Start};
use crate::model::{Evidence, Transport};

/// Lines before a side must have shown itself: capabilities and notices come first.
const MAX_LINES: usize = 24;
/// Bytes in them.
const MAX_BYTES: usize = 4096;

/// What a client may say before it is registered.
const BEFORE: [&str; 8] = [
    "CAP",
    "PASS",
    "NICK",
    "USER",
    "AUTHENTICATE",
    "WEBIRC",
    "PING",
    "PONG",
];
/// What a server may say by then.
const GREETING: [&str; 6] = ["NOTICE", "CAP", "AUTHENTICATE", "PING", "PONG", "ERROR"];
/// What users do, as a server passes it on.
const PASSED: [&str; 9] = [
    "PRIVMSG", "NOTICE", "JOIN", "PART", "QUIT", "NICK", "MODE", "TOPIC", "KICK",
];

/// IRC over TCP.
pub(super) struct Irc;

/// What the lines so far say.
enum Said {
    No,
    NeedMore,
    /// By the client?
    Irc(bool, &'static str),
}

fn said(bytes: &[u8], joined: bool) -> Said {
    let (mut nick, mut user) = (false, false);
    let mut from = 0;
    for count in 0.. {
        let rest = &bytes[from..];
        let Some(end) = memchr::memchr(b'\n', rest) else {
            return if count >= MAX_LINES || !may_begin(rest) || bytes.len() > MAX_BYTES {
                Said::No
            } else {
                Said::NeedMore
            };
        };
        if count >= MAX_LINES {
            return Said::No;
        }
        let Some(line) = Line::parse(&rest[..end]) else {
            return Said::No;
        };
        from += end + 1;
        match line.prefix {
            None => {
                let command = line.command.to_ascii_uppercase();
                match command.as_str() {
                    "NICK" => {
                        nick |= line.param(0).is_some_and(is_nick) && line.params().count() <= 2;
                    }
                    "USER" => user |= line.params().count() == 4,
                    command if BEFORE.contains(&command) || GREETING.contains(&command) => continue,
                    _ => return Said::No,
                }
                if nick && user {
                    return Said::Irc(true, "NICK and USER");
                }
            }
            Some(_) if is_welcome(line) => return Said::Irc(false, "reply 001"),
            Some(_) if line.nick().is_some() && PASSED.contains(&line.command) && joined => {
                return Said::Irc(false, "what a user does, passed on");
            }
            Some(name) if name.contains('.') && (joined || GREETING.contains(&line.command)) => {}
            Some(_) => return Said::No,
        }
    }
    Said::NeedMore
}

/// `:server 001 nick :Welcome ...`
fn is_welcome(line: Line<'_>) -> bool {
    line.command == "001"
        && line.prefix.is_some_and(|name| !name.contains('!'))
        && line.param(0).is_some_and(is_nick)
        && line.params().count() == 2
}

/// Whether a line without its end can become one of the protocol.
fn may_begin(bytes: &[u8]) -> bool {
    match bytes.first() {
        None | Some(b':' | b'@') => true,
        Some(_) => {
            let word = bytes.split(|byte| *byte == b' ').next().unwrap_or_default();
            let word = word
                .strip_suffix(b"\r")
                .unwrap_or(word)
                .to_ascii_uppercase();
            let whole = word.len() < bytes.len();
            BEFORE.iter().chain(&GREETING).any(|command| {
                command.as_bytes() == word || (!whole && command.as_bytes().starts_with(&word))
            })
        }
    }
}

impl Detector for Irc {
    fn name(&self) -> &'static str {
        "irc"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        if input.start == Start::Later {
            return Probe::No;
        }
        match said(input.bytes, input.start == Start::Joined) {
            Said::No => Probe::No,
            Said::NeedMore => Probe::NeedMore {
                from: 0,
                total: input.bytes.len() + 1,
            },
            Said::Irc(by_client, what) => Probe::Likely(Claim {
                format: super::format("session"),
                offset: 0,
                sender_is_client: Some(by_client),
                evidence: Evidence::payload("irc", what),
            }),
        }
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Session::default())
    }
}
