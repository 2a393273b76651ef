//! Follows an ICQ session over UDP.

use super::datagram::{Datagram, Reader, Strength, command, is_uin, message, parse};
use super::message_kind;
use super::udp::format;
use super::v5::SERVER_HEADER;
use crate::classify::exploit;
use crate::classify::file::File;
use crate::classify::{Dissector, Events};
use crate::model::{
    Activity, Confidence, Direction, Endpoint, Event, Evidence, Format, Party, Service, Target,
    Unit, feature, risk, what,
};
use std::net::Ipv4Addr;

/// A multi packet holds server packets, and nothing deeper.
const MAX_PARTS: usize = 64;

/// Both sides of a session.
#[derive(Debug, Default)]
pub struct UdpDissector {
    uin: Option<u32>,
    /// The last datagram of each side: what an answer is held against.
    last: [Option<Seen>; 2],
    client_told: bool,
    confirmed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    version: u8,
    session: Option<u32>,
    uin: Option<u32>,
    sequence: u16,
    command: u16,
}

impl Seen {
    /// What a repeated datagram repeats.
    const fn unit(&self) -> (u16, u16) {
        (self.sequence, self.command)
    }
}

impl Dissector for UdpDissector {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let Some(datagram) = parse(bytes, bytes.len()) else {
            return;
        };
        if !self.client_told && datagram.strength > Strength::Weak {
            self.client_told = true;
            out.push(Event::ClientIs(if datagram.from_client {
                direction
            } else {
                direction.reverse()
            }));
        }
        if let Some(uin) = datagram.uin.filter(|uin| self.uin != Some(*uin)) {
            self.uin = Some(uin);
            out.push(Event::Account(uin.to_string()));
        }
        self.confirm(&datagram, out);
        let unit = Unit::Command(datagram.from_client, datagram.command);
        out.push(Event::Unit(unit));
        if datagram.from_client {
            client_says(&datagram, out);
        } else {
            self.server_says(
                datagram.version,
                datagram.command,
                &datagram.body,
                true,
                out,
            );
        }
    }
}

impl UdpDissector {
    /// A client that passed its self check, or an answer that repeats what was sent.
    fn confirm(&mut self, datagram: &Datagram, out: &mut Events) {
        let seen = Seen {
            version: datagram.version,
            session: datagram.session,
            uin: datagram.uin,
            sequence: datagram.sequence,
            command: datagram.command,
        };
        let [client, server] = &mut self.last;
        let (own, other) = if datagram.from_client {
            (client, server)
        } else {
            (server, client)
        };
        let answers = other.is_some_and(|other| fits(other, seen));
        // Two of one side with the same account and session; the same one twice is no more than one.
        let repeats = own
            .is_some_and(|own| own.version == seen.version && own.session == seen.session)
            && seen.session.is_some_and(|session| session != 0)
            && own.is_some_and(|own| own.uin == seen.uin && own.unit() != seen.unit());
        *own = Some(seen);
        if !self.confirmed && (datagram.strength == Strength::Proof || answers || repeats) {
            self.confirmed = true;
            let what = if answers {
                "an answer repeats"
            } else {
                "the datagrams prove"
            };
            let detail = format!("version {}: {what} account and session", datagram.version);
            out.identified(
                format(),
                Confidence::Confirmed,
                Evidence::payload("icq-session", detail),
            );
        }
    }

    fn server_says(
        &self,
        version: u8,
        number: u16,
        body: &[u8],
        outermost: bool,
        out: &mut Events,
    ) {
        let mut reader = Reader(body);
        match number {
            command::HELLO => out.push(Event::Feature(feature::SIGN_ON)),
            command::USER_OFFLINE | command::USER_STATUS => {
                out.push(Event::Feature(feature::PRESENCE));
                if let Some(uin) = reader.uin() {
                    let status = match number {
                        command::USER_OFFLINE => Some("offline"),
                        _ => reader.long().and_then(status),
                    };
                    let changed = Activity::new(what::STATUS).by(uin.to_string());
                    out.done(changed.maybe("status", status));
                }
            }
            command::WRONG_PASSWORD => {
                let failed = Activity::new(what::SIGN_ON_FAILED).by(Party::Own);
                out.done(failed.with("reason", "bad password"));
            }
            command::LIST_DONE => out.push(Event::Feature(feature::CONTACT_LIST)),
            command::USER_ONLINE => {
                out.push(Event::Feature(feature::PRESENCE));
                self.online(&mut reader, out);
            }
            command::MESSAGE => {
                if let Some(sender) = reader.uin() {
                    told_message(sender, false, message(&mut reader), out);
                }
            }
            command::STORED_MESSAGE => {
                if let (Some(sender), Some(_date)) = (reader.uin(), reader.take(6)) {
                    told_message(sender, false, message(&mut reader), out);
                }
            }
            command::MULTI if outermost && version == 5 => self.parts(&mut reader, out),
            _ => {}
        }
    }

    /// A count, then packets with their length before each.
    fn parts(&self, reader: &mut Reader<'_>, out: &mut Events) {
        let count = reader.byte().map_or(0, usize::from).min(MAX_PARTS);
        for _ in 0..count {
            let Some(part) = reader
                .short()
                .and_then(|length| reader.take(usize::from(length)))
            else {
                return;
            };
            match parse(part, part.len()) {
                // Nothing but its length is asked of it.
                None if part.get(7..9) == Some(&command::META.to_le_bytes()) => {
                    exploit::icq_names(part.get(SERVER_HEADER..).unwrap_or_default(), out);
                }
                Some(inner) if !inner.from_client => {
                    self.server_says(inner.version, inner.command, &inner.body, false, out);
                }
                _ => {}
            }
        }
    }

    /// Somebody came online: account, address, port. The server tells where to reach them directly.
    fn online(&self, reader: &mut Reader<'_>, out: &mut Events) {
        let (Some(uin), Some(address), Some(port)) =
            (reader.uin(), reader.address(), reader.short())
        else {
            return;
        };
        let changed = Activity::new(what::STATUS).by(uin.to_string());
        out.done(changed.with("status", "online"));
        if !reaches(address) {
            return;
        }
        let place = Endpoint::new(address.into(), port).to_string();
        out.push(Event::Exposed(risk::ADDRESS_REVEALED, place));
        if port != 0 {
            out.push(Event::Redirect {
                target: Target::Address(address.into(), Some(port)),
                format: Format::messenger(Service::ICQ, "icq-direct", "peer"),
                opener: Some(self.uin.unwrap_or(uin).to_string()),
                with: Some(uin.to_string()),
                token: None,
            });
        }
    }
}

/// Whether two datagrams of opposite sides belong together: same session, or (before version 5) the same
/// sequence number, which an acknowledgement repeats, and no other account.
fn fits(one: Seen, other: Seen) -> bool {
    one.version == other.version
        && one.session == other.session
        && match one.session {
            Some(session) => session != 0 && one.uin == other.uin,
            None => {
                one.sequence == other.sequence
                    && (one.uin.is_none() || other.uin.is_none() || one.uin == other.uin)
            }
        }
}

/// Whether somebody could be reached there.
pub fn reaches(address: Ipv4Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_broadcast()
        || address.is_multicast())
}

fn client_says(datagram: &Datagram, out: &mut Events) {
    let mut reader = Reader(&datagram.body);
    match datagram.command {
        command::LOGIN => {
            out.push(Event::Feature(feature::SIGN_ON));
            out.push(Event::SignOn(match datagram.version {
                2 => "icq-udp-v2",
                3 => "icq-udp-v3",
                _ => "icq-udp-v5",
            }));
            // Version 5 scrambles it with a key that lies beside it; before, it is in clear.
            out.push(Event::Risk(password(datagram.version)));
        }
        // Both hold the password as well.
        command::PRE_LOGIN => out.push(Event::Risk(password(datagram.version))),
        command::SET_PASSWORD => {
            out.push(Event::Risk(password(datagram.version)));
            out.done(Activity::new(what::PASSWORD_CHANGE).by(Party::Own));
        }
        command::LOGOFF => out.done(Activity::new(what::SIGN_OFF).by(Party::Own)),
        command::SEND_MESSAGE => {
            if let Some(recipient) = reader.uin() {
                told_message(recipient, true, message(&mut reader), out);
            }
        }
        command::CONTACT_LIST => {
            out.push(Event::Feature(feature::CONTACT_LIST));
            let count = reader.byte().unwrap_or_default();
            for uin in (0..count).map_while(|_| reader.uin()) {
                contact(uin, "listed", out);
            }
        }
        command::USER_ADD => {
            out.push(Event::Feature(feature::CONTACT_LIST));
            if let Some(uin) = reader.uin() {
                contact(uin, "added", out);
            }
        }
        command::SET_STATUS => {
            out.push(Event::Feature(feature::PRESENCE));
            let changed = Activity::new(what::STATUS).by(Party::Own);
            out.done(changed.maybe("status", reader.long().and_then(status)));
        }
        _ => {}
    }
}

fn contact(uin: u32, change: &'static str, out: &mut Events) {
    let contact = Activity::new(what::CONTACT).by(Party::Own);
    out.done(contact.to(uin.to_string()).with("change", change));
}

/// Before version 5 the password is there as it is.
const fn password(version: u8) -> &'static str {
    if version < 5 {
        risk::CLEARTEXT_PASSWORD
    } else {
        risk::REVERSIBLE_PASSWORD
    }
}

const fn status(number: u32) -> Option<&'static str> {
    Some(match number & 0xFFFF {
        0x00 => "online",
        0x01 => "away",
        0x02 | 0x13 => "do-not-disturb",
        0x04 | 0x05 => "not-available",
        0x10 | 0x11 => "occupied",
        0x20 => "free-for-chat",
        0x100 => "invisible",
        _ => return None,
    })
}

fn told_message(peer: u32, by_client: bool, message: Option<(u16, &[u8])>, out: &mut Events) {
    let Some((kind, text)) = message.filter(|_| is_uin(peer)) else {
        return;
    };
    out.push(Event::Peer(peer.to_string()));
    let between = |what| Activity::between(what, by_client, Some(peer.to_string()));
    let kind = kind & 0x7FFF;
    exploit::icq_message(kind, text, out);
    match kind {
        3 => {
            let name = text.split(|byte| *byte == 0).next().unwrap_or_default();
            File::new(name, None).tell(between(what::FILE_OFFER), out);
        }
        2 => out.push(Event::Feature(feature::CHAT_ROOM)),
        // Authorisation, "you were added", contacts.
        6..=9 | 0x0C | 0x13 => {
            out.push(Event::Feature(feature::CONTACT_LIST));
            out.done(between(what::INVITATION).maybe("kind", message_kind(kind)));
        }
        _ => {
            out.push(Event::Feature(feature::MESSAGE));
            out.push(Event::Risk(risk::CLEARTEXT_MESSAGES));
            let length = text.strip_suffix(b"\0").unwrap_or(text).len();
            let word = message_kind(kind).filter(|_| kind != 1);
            out.done(
                between(what::MESSAGE)
                    .with("length", length)
                    .maybe("kind", word),
            );
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::classify::icq::testing::{DELIVERED_V5, LOGIN_V2, LOGIN_V5, MESSAGE_V5, hex};
    use crate::classify::icq::v5::testing::{client, server};

    const UP: Direction = Direction::ToServer;
    const DOWN: Direction = Direction::ToClient;

    fn run(datagrams: &[(Direction, Vec<u8>)]) -> Vec<Event> {
        let mut dissector = UdpDissector::default();
        let mut out = Events::default();
        for (direction, bytes) in datagrams {
            dissector.feed(*direction, bytes, &mut out);
        }
        crate::classify::testing::facts(out.drain())
    }

    fn confirmed(told: &[Event]) -> usize {
        told.iter()
            .filter(|event| matches!(event, Event::Identified { .. }))
            .count()
    }

    fn has(told: &[Event], wanted: &[Event]) {
        for event in wanted {
            assert!(told.contains(event), "{event:?} not in {told:?}");
        }
    }

    #[test]
    fn a_version_5_session() {
        let told = run(&[
            (UP, hex(LOGIN_V5)),
            (UP, hex(MESSAGE_V5)),
            (DOWN, hex(DELIVERED_V5)),
        ]);
        has(
            &told,
            &[
                Event::ClientIs(UP),
                Event::Account("123456".into()),
                Event::Peer("654321".into()),
                Event::SignOn("icq-udp-v5"),
                Event::Feature(feature::SIGN_ON),
                Event::Feature(feature::MESSAGE),
                Event::Risk(risk::REVERSIBLE_PASSWORD),
                Event::Risk(risk::CLEARTEXT_MESSAGES),
            ],
        );
        assert_eq!(confirmed(&told), 1);
        assert!(
            !told
                .iter()
                .any(|event| format!("{event:?}").contains("secret12"))
        );
    }

    #[test]
    fn a_server_alone_is_confirmed_by_its_second_datagram() {
        let first = server(1_000_001, 7, 0x000A, b"", false);
        let second = server(1_000_001, 7, 0x0078, &1_000_002_u32.to_le_bytes(), false);
        assert_eq!(confirmed(&run(&[(DOWN, first.clone())])), 0);
        let other = server(1_000_001, 8, 0x0078, &1_000_002_u32.to_le_bytes(), false);
        assert_eq!(confirmed(&run(&[(DOWN, first.clone()), (DOWN, other)])), 0);
        assert_eq!(confirmed(&run(&[(DOWN, first), (DOWN, second)])), 1);
    }

    #[test]
    fn the_wrong_way_round() {
        let told = run(&[(DOWN, client(1_000_001, 7, 0x042E, b""))]);
        has(
            &told,
            &[Event::ClientIs(DOWN), Event::Account("1000001".into())],
        );
    }

    #[test]
    fn version_2_is_confirmed_by_the_acknowledgement() {
        let message = hex("0200 0e01 0200 41420f00 f1fb0900 0100 0300 686900");
        assert_eq!(confirmed(&run(&[(UP, message.clone())])), 0);
        assert_eq!(
            confirmed(&run(&[(UP, message.clone()), (DOWN, hex("02000a000300"))])),
            0
        );
        let told = run(&[(UP, message), (DOWN, hex("02000a000200"))]);
        assert_eq!(confirmed(&told), 1);
        has(
            &told,
            &[
                Event::Account("1000001".into()),
                Event::Peer("654321".into()),
            ],
        );
        has(
            &run(&[(UP, hex(LOGIN_V2))]),
            &[
                Event::SignOn("icq-udp-v2"),
                Event::Risk(risk::CLEARTEXT_PASSWORD),
            ],
        );
    }

    #[test]
    fn coming_online_reveals_an_address_and_the_next_flow() {
        let mut body = 1_000_002_u32.to_le_bytes().to_vec();
        body.extend([192, 0, 2, 7, 0x05, 0x04, 0, 0, 10, 0, 0, 5, 4]);
        body.extend([0; 28]);
        let online = server(1_000_001, 7, 0x006E, &body, true);
        let redirect = Event::Redirect {
            target: Target::Address(Ipv4Addr::new(192, 0, 2, 7).into(), Some(0x0405)),
            format: Format::messenger(Service::ICQ, "icq-direct", "peer"),
            opener: Some("1000001".into()),
            with: None,
            token: None,
        };
        let told = run(&[(DOWN, online.clone())]);
        has(
            &told,
            &[
                redirect.clone(),
                Event::Risk(risk::ADDRESS_REVEALED),
                Event::Feature(feature::PRESENCE),
            ],
        );
        // Within a multi packet too.
        let mut multi = vec![1];
        multi.extend(u16::try_from(online.len()).unwrap().to_le_bytes());
        multi.extend(online);
        has(
            &run(&[(DOWN, server(1_000_001, 7, 0x0212, &multi, false))]),
            &[redirect],
        );
        // Servers that hide addresses send zeros.
        body[4..8].fill(0);
        let told = run(&[(DOWN, server(1_000_001, 7, 0x006E, &body, true))]);
        assert!(!told.contains(&Event::Risk(risk::ADDRESS_REVEALED)));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, version in 0_u8..6, number in 0_usize..20) {
            const COMMANDS: [u16; 20] = [
                0x0A, 0x5A, 0x64, 0x6E, 0x78, 0xDC, 0xE6, 0xF0, 0x104, 0x1A4, 0x212, 0x21C, 0x10E, 0x3E8, 0x3F2, 0x406,
                0x438, 0x49C, 0x4D8, 0x53C,
            ];
            let [low, high] = COMMANDS[number].to_le_bytes();
            let clear = [&[version, 0, low, high, 1, 0, 0x41, 0x42, 0x0F, 0], &bytes[..]].concat();
            let told = run(&[
                (UP, bytes.clone()),
                (UP, clear),
                (UP, client(1_000_001, 7, COMMANDS[number], &bytes)),
                (DOWN, server(1_000_001, 7, COMMANDS[number], &bytes, true)),
            ]);
            // From 0x010E on the commands are a client's, and its datagram passes its own check.
            proptest::prop_assert!(number < 12 || told.contains(&Event::Account("1000001".into())));
        }
    }

    #[test]
    fn hostile_multi_packets_end() {
        let mut nested = vec![0xFF; 200];
        for _ in 0..20 {
            let mut outer = vec![0xFF];
            outer.extend(u16::try_from(nested.len()).unwrap().to_le_bytes());
            outer.extend(&nested);
            nested = server(1_000_001, 7, 0x0212, &outer, false);
        }
        let told = run(&[(DOWN, nested)]);
        assert!(
            !told
                .iter()
                .any(|event| matches!(event, Event::Redirect { .. } | Event::Peer(_)))
        );
    }

    #[test]
    fn files_and_requests_are_not_messages() {
        let body = |kind: u16| {
            let mut body = 654_321_u32.to_le_bytes().to_vec();
            body.extend(kind.to_le_bytes());
            body.extend([3, 0, b'x', b'y', 0]);
            client(1_000_001, 7, 0x010E, &body)
        };
        has(&run(&[(UP, body(3))]), &[Event::Risk(risk::FILE_TRANSFER)]);
        let told = run(&[(UP, body(6))]);
        assert!(!told.contains(&Event::Feature(feature::MESSAGE)));
    }
}
