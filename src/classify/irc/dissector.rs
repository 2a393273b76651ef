//! Follows an IRC connection.

use super::line::{Line, MAX_LINE, is_channel, is_nick};
use crate::classify::{Dissector, Events};
use crate::model::{
    Activity, Confidence, Direction, Event, Evidence, Party, Target, feature, risk, what,
};
use std::net::{IpAddr, Ipv4Addr};

/// One connection. Which side is the client is read from the lines.
#[derive(Default)]
pub(super) struct Session {
    held: [Vec<u8>; 2],
    /// In a line that is too long.
    skipping: [bool; 2],
    nick: Option<String>,
    /// NICK and USER were said, and what a server says, too.
    registered: bool,
    served: bool,
    confirmed: bool,
}

impl Session {
    fn line(&mut self, bytes: &[u8], out: &mut Events) {
        let Some(line) = Line::parse(bytes) else {
            return;
        };
        let command = line.command.to_ascii_uppercase();
        // A client gives no prefix that counts (RFC 2812, 2.3); a server gives one with nearly everything.
        if line.prefix.is_some() {
            self.served = true;
            self.said_by_server(line, &command, out);
        } else {
            self.said_by_client(line, &command, out);
        }
        if self.registered && self.served && !self.confirmed {
            self.confirmed = true;
            out.identified(
                super::format("session"),
                Confidence::Confirmed,
                Evidence::payload("irc", "registration and its answer"),
            );
        }
    }

    fn said_by_client(&mut self, line: Line<'_>, command: &str, out: &mut Events) {
        match command {
            "PASS" => out.push(Event::Risk(risk::CLEARTEXT_PASSWORD)),
            "NICK" => {
                if let Some(nick) = line.param(0).filter(|nick| is_nick(nick)) {
                    self.nick = Some(nick.to_owned());
                    out.push(Event::Account(nick.to_owned()));
                }
            }
            "USER" => {
                self.registered = true;
                out.push(Event::Feature(feature::SIGN_ON));
            }
            "JOIN" => {
                out.push(Event::Feature(feature::CHAT_ROOM));
                out.done(Activity::new(what::CHAT_JOIN).by(Party::Own));
            }
            "PRIVMSG" => self.message(true, line.param(0), line.param(1), out),
            _ => {}
        }
    }

    fn said_by_server(&mut self, line: Line<'_>, command: &str, out: &mut Events) {
        match (command, line.nick()) {
            ("001", _) => {
                if let Some(nick) = line.param(0).filter(|nick| is_nick(nick)) {
                    self.registered = true;
                    self.nick = Some(nick.to_owned());
                    out.push(Event::Account(nick.to_owned()));
                }
            }
            ("PRIVMSG", Some(sender)) => {
                let to = line.param(0).unwrap_or_default();
                // To a channel, or to this user: who said it counts, either way.
                let other = if is_channel(to) {
                    Some(to)
                } else {
                    Some(sender)
                };
                self.message(false, other, line.param(1), out);
            }
            _ => {}
        }
    }

    fn message(&self, by_client: bool, other: Option<&str>, text: Option<&str>, out: &mut Events) {
        let (Some(other), Some(text)) = (other, text) else {
            return;
        };
        if let Some(request) = text.strip_prefix('\u{1}') {
            let request = request.trim_end_matches('\u{1}');
            if let Some(offer) = request.strip_prefix("DCC ") {
                self.direct(by_client, other, offer, out);
            }
            // ACTION is a message; other requests are a program's, not a person's.
            if !request.starts_with("ACTION ") {
                return;
            }
        }
        out.push(Event::Risk(risk::CLEARTEXT_MESSAGES));
        if is_channel(other) {
            out.push(Event::Feature(feature::CHAT_ROOM));
            let said = Activity::new(what::CHAT_MESSAGE).with("length", text.len());
            out.done(if by_client { said.by(Party::Own) } else { said });
            return;
        }
        if !is_nick(other) {
            return;
        }
        let first = text.split(' ').next().unwrap_or_default();
        let service = other.eq_ignore_ascii_case("NickServ");
        if by_client && service && first.eq_ignore_ascii_case("IDENTIFY") {
            out.push(Event::Risk(risk::CLEARTEXT_PASSWORD));
            return;
        }
        out.push(Event::Feature(feature::MESSAGE));
        out.push(Event::Peer(other.to_owned()));
        let other = Some(other.to_owned());
        out.done(Activity::between(what::MESSAGE, by_client, other).with("length", text.len()));
    }

    /// `SEND name address port size` or `CHAT chat address port`: the sender listens there.
    fn direct(&self, by_client: bool, other: &str, offer: &str, out: &mut Events) {
        let kind = offer.split(' ').next().unwrap_or_default();
        let role = match kind {
            "SEND" | "SSEND" => feature::FILE_TRANSFER,
            "CHAT" | "SCHAT" => feature::DIRECT_CONNECTION,
            _ => return,
        };
        out.push(Event::Feature(role));
        if role == feature::FILE_TRANSFER {
            out.push(Event::Risk(risk::FILE_TRANSFER));
        }
        // A file's name may hold blanks and be quoted: the numbers stand at the end, and a size behind them.
        let mut words: Vec<&str> = offer.split(' ').collect();
        if role == feature::FILE_TRANSFER && words.len() > 4 {
            words.pop();
        }
        let (Some(port), Some(address)) = (words.pop(), words.pop()) else {
            return;
        };
        let address = address
            .parse::<u32>()
            .map(|number| IpAddr::V4(Ipv4Addr::from(number)))
            .or_else(|_| address.parse());
        // Port 0: the other one shall listen ("passive").
        let (Ok(address), Ok(port @ 1..)) = (address, port.parse::<u16>()) else {
            return;
        };
        let other = is_nick(other).then(|| other.to_owned());
        let (opener, with) = if by_client {
            (other, self.nick.clone())
        } else {
            (self.nick.clone(), other)
        };
        out.push(Event::Redirect {
            target: Target::Address(address, Some(port)),
            format: crate::model::Format {
                app_proto: "irc-dcc",
                ..super::format("peer")
            },
            opener: Some(opener.unwrap_or_default()),
            with,
            token: None,
        });
    }
}

impl Dissector for Session {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let side = direction.index();
        let mut held = std::mem::take(&mut self.held[side]);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if !self.skipping[side] {
                held.extend_from_slice(&piece[..piece.len().min(MAX_LINE + 1)]);
            }
            if piece.ends_with(b"\n") {
                if !std::mem::take(&mut self.skipping[side]) && held.len() <= MAX_LINE {
                    self.line(&held, out);
                }
                held.clear();
            } else if held.len() > MAX_LINE {
                self.skipping[side] = true;
                held.clear();
            }
        }
        self.held[side] = held;
    }

    fn gap(&mut self, direction: Direction, _: u64, _: &mut Events) {
        self.held[direction.index()].clear();
        self.skipping[direction.index()] = true;
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.held.iter().map(Vec::capacity).sum::<usize>()
    }
}
