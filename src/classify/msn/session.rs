//! What the commands of a notification server or switchboard session mean.

use super::command::{Command, Reader};
use super::grammar::{self, Place, Shape, Side, Weight, is_md5};
use super::line::{Line, decode, is_number, passport};
use super::message::{Message, Messages};
use super::notes::Notes;
use super::{NOTIFICATION, SWITCHBOARD, mime};
use crate::classify::{Dissector, Events};
use crate::model::{
    Activity, Confidence, Direction, Event, Evidence, Format, Party, Target, Token, Unit, feature,
    risk, what,
};

/// Follows an NS or SB stream.
pub(super) struct Msnp {
    readers: [Reader; 2],
    session: Session,
}

impl Msnp {
    pub fn new(format: Format) -> Self {
        Self {
            readers: [Reader::new(), Reader::new()],
            session: Session::new(format),
        }
    }

    fn with(
        &mut self,
        direction: Direction,
        out: &mut Events,
        act: impl FnOnce(&mut Reader, &mut dyn FnMut(Command<'_>)),
    ) {
        let Self {
            readers: [up, down],
            session,
        } = self;
        let reader = if direction == Direction::ToServer {
            up
        } else {
            down
        };
        act(reader, &mut |command| {
            session.command(direction, &command, out);
        });
    }
}

impl Dissector for Msnp {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        self.with(direction, out, |reader, sink| reader.feed(bytes, sink));
    }

    fn gap(&mut self, direction: Direction, missing: u64, out: &mut Events) {
        self.with(direction, out, |reader, sink| reader.gap(missing, sink));
    }

    fn end(&mut self, out: &mut Events) {
        for direction in Direction::BOTH {
            self.with(direction, out, |reader, sink| reader.finish(sink));
        }
    }

    fn memory(&self) -> usize {
        let readers: usize = self.readers.iter().map(Reader::memory).sum();
        size_of_val(self) + readers + self.session.memory()
    }
}

/// One session; also the inside of an HTTP gateway connection.
pub(super) struct Session {
    format: Format,
    /// Whether the role is settled: told by a command that only one kind of server knows, or given.
    settled: bool,
    confirmed: bool,
    /// The first command with structure.
    first: Option<(Direction, String)>,
    /// The direction the client sends in.
    client: Option<Direction>,
    pub notes: Notes,
    messages: Messages,
}

impl Session {
    /// Bytes held on the heap.
    pub fn memory(&self) -> usize {
        self.messages.memory()
    }

    pub fn new(format: Format) -> Self {
        let settled = format.app_proto != NOTIFICATION.app_proto;
        Self {
            format,
            settled,
            confirmed: false,
            first: None,
            client: None,
            notes: Notes::default(),
            messages: Messages::default(),
        }
    }

    /// Takes the next command of a direction.
    pub fn command(&mut self, direction: Direction, command: &Command<'_>, out: &mut Events) {
        out.at(command.start);
        let Some(shape) = grammar::shape(&command.line) else {
            if self.confirmed {
                error(command.line.verb(), out);
            }
            return;
        };
        if command.line.verb() == "MSG" && !command.payload.starts_with(b"MIME-Version:") {
            return;
        }
        if shape.weight >= Weight::Structured {
            self.learn(direction, &command.line, shape, out);
        }
        if let Some(verb) = command.line.verb().as_bytes().first_chunk::<3>() {
            out.push(Event::Unit(Unit::Verb(*verb)));
        }
        let from_client = match shape.side {
            Side::Client => true,
            Side::Server => false,
            Side::Either => direction == self.client.unwrap_or(Direction::ToServer),
        };
        match command.line.verb() {
            "MSG" => self.message(command, from_client, out),
            _ if from_client => self.of_client(command, out),
            _ => self.of_server(command, out),
        }
    }

    /// Sides, role and certainty.
    fn learn(&mut self, direction: Direction, line: &Line<'_>, shape: Shape, out: &mut Events) {
        let sender = match shape.side {
            Side::Client => Some(direction),
            Side::Server => Some(direction.reverse()),
            Side::Either => None,
        };
        if let (None, Some(client)) = (self.client, sender) {
            self.client = Some(client);
            if !self.in_http() {
                out.push(Event::ClientIs(client));
            }
        }
        if !self.settled && shape.place != Place::Either {
            self.settled = true;
            let format = if shape.place == Place::Switchboard {
                SWITCHBOARD
            } else {
                NOTIFICATION
            };
            if format != self.format {
                self.format = format.clone();
                let evidence = Evidence::payload("msnp-role", line.verb().to_owned());
                out.identified(format, Confidence::Probable, evidence);
            }
        }
        if self.confirmed {
            return;
        }
        let verb = line.verb();
        match &self.first {
            None => self.first = Some((direction, verb.to_owned())),
            Some((way, first)) if *way != direction || first != verb => {
                self.confirmed = true;
                let joint = if *way == direction {
                    "and"
                } else {
                    "answered by"
                };
                let evidence = Evidence::payload("msnp-chain", format!("{first} {joint} {verb}"));
                out.identified(self.format.clone(), Confidence::Confirmed, evidence);
            }
            Some(_) => {}
        }
    }

    fn in_http(&self) -> bool {
        self.format.app_proto != NOTIFICATION.app_proto
    }

    fn message(&mut self, command: &Command<'_>, from_client: bool, out: &mut Events) {
        let sender = command.line.param(0).unwrap_or_default();
        let from_user = from_client || sender != "Hotmail";
        if !from_client {
            self.peer(sender, out);
        }
        let Command {
            payload,
            whole,
            line,
            ..
        } = *command;
        let head = payload.len() - mime::split(payload).1.len();
        let message = Message {
            payload,
            whole,
            length: line.payload_len().unwrap_or_default().saturating_sub(head),
            from_client,
            from_user,
        };
        self.messages.read(&message, &mut self.notes, out);
    }

    fn of_client(&mut self, command: &Command<'_>, out: &mut Events) {
        let line = &command.line;
        let p = |n: usize| line.param(n).unwrap_or_default();
        match line.verb() {
            "CVR" => {
                let (name, version) = (decode(p(5)), decode(p(6)));
                self.notes
                    .client(format!("{name} {version}").chars().take(64).collect(), out);
                self.account(p(8), out);
            }
            "USR" => self.sign_on(line, out),
            "ANS" => {
                self.account(p(1), out);
                shows(p(2), out);
                out.done(Activity::new(what::CHAT_JOIN).by(Party::Own));
            }
            "CAL" => {
                self.peer(p(1), out);
                let called = Activity::new(what::INVITATION).by(Party::Own);
                out.done(called.maybe_to(passport(p(1))).with("kind", "chat"));
            }
            "CHG" => {
                self.notes.feature(feature::PRESENCE, out);
                has_status(Some(Party::Own), p(1), out);
            }
            "ADC" | "ADD" | "REM" => self.contact(line, out),
            "SYN" | "ADL" | "RML" => self.notes.feature(feature::CONTACT_LIST, out),
            "OUT" => out.done(Activity::new(what::SIGN_OFF).by(Party::Own)),
            "UUM" => self.federated(command, p(1), out),
            "SDG" => self.routed(command, out),
            _ => {}
        }
    }

    fn sign_on(&mut self, line: &Line<'_>, out: &mut Events) {
        let p = |n: usize| line.param(n).unwrap_or_default();
        let method = match p(1) {
            "MD5" => "md5",
            "TWN" => "twn",
            "SSO" => "sso",
            "SHA" => "sha",
            // At a switchboard.
            name => {
                self.account(name, out);
                return shows(p(2), out);
            }
        };
        // MSNP18 on: a ticket for circles, after the sign-on proper.
        if method != "sha" || !self.notes.signed_on() {
            self.notes.sign_on(method, out);
        }
        if p(2) == "I" {
            self.account(p(3), out);
        } else if method == "md5" && is_md5(p(3)) {
            out.push(Event::Risk(risk::WEAK_SIGN_ON));
        } else if method != "md5" {
            out.push(Event::Risk(risk::CLEARTEXT_COOKIE));
        }
    }

    fn of_server(&mut self, command: &Command<'_>, out: &mut Events) {
        let line = &command.line;
        let p = |n: usize| line.param(n).unwrap_or_default();
        match line.verb() {
            "USR" if p(1) == "OK" => self.account(p(2), out),
            "USR" => match p(1) {
                "MD5" => self.notes.sign_on("md5", out),
                "TWN" => self.notes.sign_on("twn", out),
                _ => self.notes.sign_on("sso", out),
            },
            "IRO" => self.joined(p(3), out),
            "JOI" => self.joined(p(0), out),
            "BYE" => {
                let who = passport(p(0)).map(Party::Account);
                out.done(Activity {
                    from: who,
                    ..Activity::new(what::CHAT_LEAVE)
                });
            }
            "RNG" => {
                self.peer(p(4), out);
                self.redirect(p(1), &SWITCHBOARD, token(p(3)), out);
            }
            "XFR" if p(1) == "SB" => self.redirect(p(2), &SWITCHBOARD, token(p(4)), out),
            "XFR" if p(1) == "NS" => self.redirect(p(2), &NOTIFICATION, None, out),
            "NLN" => self.presence(p(1), p(0), out),
            "ILN" => self.presence(p(2), p(1), out),
            "FLN" => self.presence(p(0), "FLN", out),
            "CHG" | "UBX" => self.notes.feature(feature::PRESENCE, out),
            "LST" => self.contact(line, out),
            "LSG" | "ADL" | "ADC" | "ADD" => self.notes.feature(feature::CONTACT_LIST, out),
            "OUT" => {
                let reason = match p(0) {
                    "OTH" => Some("signed on elsewhere"),
                    "SSD" => Some("server shuts down"),
                    _ => None,
                };
                let gone = Activity::new(what::SIGN_OFF).by(Party::Own);
                out.done(gone.maybe("reason", reason));
            }
            "UBM" => self.federated(command, p(0), out),
            "SDG" => self.routed(command, out),
            _ => {}
        }
    }

    /// A message to or from the other messenger that MSN was joined with (Yahoo, from MSNP14 on).
    fn federated(&mut self, command: &Command<'_>, peer: &str, out: &mut Events) {
        if mime::split(command.payload).0.content_type() == "text/plain" {
            self.peer(peer, out);
            self.said(command, command.line.verb() == "UUM", passport(peer), out);
        }
    }

    /// MSNP21 has no switchboards: messages go over the notification server, behind three headers.
    fn routed(&mut self, command: &Command<'_>, out: &mut Events) {
        if !command.payload.starts_with(b"Routing: 1.0\r\n") {
            return;
        }
        let (_, rest) = mime::split(command.payload);
        let (_, rest) = mime::split(rest);
        let messaging = mime::split(rest).0;
        if messaging
            .get("Message-Type")
            .is_some_and(|kind| kind.eq_ignore_ascii_case("Text"))
        {
            let from_client = command.line.param(0).is_some_and(|tr| tr != "0");
            self.said(command, from_client, None, out);
        }
    }

    fn said(
        &mut self,
        command: &Command<'_>,
        by_client: bool,
        other: Option<String>,
        out: &mut Events,
    ) {
        self.notes.feature(feature::MESSAGE, out);
        out.push(Event::Risk(risk::CLEARTEXT_MESSAGES));
        let head = command.payload.len() - mime::split(command.payload).1.len();
        let length = command.line.payload_len().unwrap_or_default();
        let said = Activity::between(what::MESSAGE, by_client, other);
        out.done(said.with("length", length.saturating_sub(head)));
    }

    /// Somebody is in the conversation.
    fn joined(&mut self, who: &str, out: &mut Events) {
        self.peer(who, out);
        if let Some(name) = passport(who) {
            out.done(Activity::new(what::CHAT_JOIN).by(name));
        }
    }

    fn presence(&mut self, who: &str, status: &str, out: &mut Events) {
        self.notes.feature(feature::PRESENCE, out);
        if let Some(name) = passport(who) {
            has_status(Some(Party::Account(name)), status, out);
        }
    }

    /// `ADD tr list passport nick`, `ADC tr list N=passport ...`, `REM tr list passport`; `LST passport nick lists ...`,
    /// `LST N=passport F=nick ...`, and before MSNP8 with the list's name before it.
    fn contact(&mut self, line: &Line<'_>, out: &mut Events) {
        self.notes.feature(feature::CONTACT_LIST, out);
        let name = line
            .params()
            .map(|param| param.strip_prefix("N=").unwrap_or(param))
            .find_map(passport);
        let change = match line.verb() {
            "LST" => "listed",
            "REM" => "removed",
            _ => "added",
        };
        if let Some(name) = name {
            let contact = Activity::new(what::CONTACT).by(Party::Own).to(name);
            out.done(contact.with("change", change));
        }
    }

    fn account(&mut self, param: &str, out: &mut Events) {
        if let Some(name) = passport(param) {
            self.notes.account(name, out);
        }
    }

    fn peer(&mut self, param: &str, out: &mut Events) {
        if let Some(name) = passport(param) {
            self.notes.peer(name, out);
        }
    }

    fn redirect(
        &mut self,
        endpoint: &str,
        format: &Format,
        ticket: Option<Token>,
        out: &mut Events,
    ) {
        if let Some(target) = Target::parse(endpoint) {
            self.notes
                .redirect(target, format.clone(), (false, false), ticket, out);
        }
    }
}

/// Somebody's status.
fn has_status(from: Option<Party>, status: &str, out: &mut Events) {
    let status = match status {
        "NLN" => "online",
        "FLN" => "offline",
        "BSY" => "busy",
        "IDL" => "idle",
        "BRB" => "back-soon",
        "AWY" => "away",
        "PHN" => "on-the-phone",
        "LUN" => "out-to-lunch",
        "HDN" => "invisible",
        _ => return,
    };
    let changed = Activity {
        from,
        ..Activity::new(what::STATUS)
    };
    out.done(changed.with("status", status));
}

/// A ticket is shown.
fn shows(ticket: &str, out: &mut Events) {
    if let Some(token) = token(ticket) {
        out.push(Event::Shows(token));
    }
}

/// An error of the server that ends a sign-on.
fn error(code: &str, out: &mut Events) {
    let reason = match code {
        "911" => "bad password",
        "928" => "bad ticket",
        "910" | "921" => "server busy",
        "601" => "server down",
        "800" => "too many attempts",
        _ => return,
    };
    let failed = Activity::new(what::SIGN_ON_FAILED).by(Party::Own);
    let code = code.parse::<u64>().ok();
    out.done(failed.with("reason", reason).maybe("code", code));
}

/// The ticket for a switchboard, from the server that gave it to the one that takes it.
fn token(ticket: &str) -> Option<Token> {
    Token::of("msn-ticket", ticket.as_bytes())
}

/// Whether a text begins with a valid command line. For bodies of HTTP messages.
pub(super) fn begins_with_command(body: &[u8]) -> bool {
    let end = memchr::memchr(b'\r', body).and_then(|end| body.get(..end));
    let line = end
        .and_then(|line| std::str::from_utf8(line).ok())
        .and_then(Line::parse);
    line.is_some_and(|line| grammar::shape(&line).is_some() || is_number(line.verb()))
}
