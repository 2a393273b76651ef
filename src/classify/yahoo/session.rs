//! What YMSG packets mean: who signs on, who talks to whom, what is exposed, which flow comes next.

use super::activity::{activities, between, file, oversized};
use super::address::{http_target, peer_address};
use super::stream::Packet;
use super::ymsg::{Version, service};
use crate::classify::Events;
use crate::model::{
    Confidence, Direction, Event, Evidence, Format, Service, Target, Token, Unit, feature, risk,
    what,
};

/// The port peers listen on: no field carries it.
const PEER_PORT: u16 = 5101;

/// Who sent a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// What is known of a conversation, whatever carries it.
#[derive(Debug)]
pub struct Session {
    format: Format,
    /// The direction that the client was proven to send.
    client: Option<Direction>,
    /// HTTP: the carrier knows the sides, the packets need not prove them.
    sides_known: bool,
    packets: u32,
    confirmed: bool,
    /// An account server takes part, so this is no connection between peers.
    served: bool,
    method: Option<&'static str>,
}

impl Session {
    /// A connection of its own.
    pub fn tcp() -> Self {
        Self::new(Format::messenger(Service::YAHOO, "ymsg", "session"), false)
    }

    /// Packets within HTTP messages.
    pub fn http(role: &'static str) -> Self {
        Self::new(Format::messenger(Service::YAHOO, "ymsg-http", role), true)
    }

    fn new(format: Format, sides_known: bool) -> Self {
        Self {
            format,
            client: None,
            sides_known,
            packets: 0,
            confirmed: false,
            served: sides_known,
            method: None,
        }
    }

    /// Takes in one packet.
    pub fn packet(&mut self, direction: Direction, packet: &Packet, out: &mut Events) {
        self.packets = self.packets.saturating_add(1);
        out.push(Event::Unit(Unit::Service(packet.header.service)));
        self.confirm(packet, out);
        let side = self.side(direction, packet, out);
        sign_on(self, side, packet, out);
        people(side, packet, out);
        if let Some(name) = feature_of(packet) {
            out.push(Event::Feature(name));
        }
        transfers(side, packet, out);
        exposed(side, packet, out);
        activities(side, packet, out);
        oversized(packet, out);
    }

    /// A header that fits is a good sign; a body that parses, or a second packet exactly behind the first or
    /// in answer to it, is proof.
    fn confirm(&mut self, packet: &Packet, out: &mut Events) {
        let header = &packet.header;
        if matches!(
            header.service,
            service::AUTH | service::AUTH_RESPONSE | service::LIST | service::VERIFY
        ) {
            self.served = true;
        }
        let parses = packet.fields.pairs > 0 && header.version != Version::Unknown;
        let peer = header.service == service::P2P_FILE_TRANSFER
            && packet.fields.get(49) == Some("PEERTOPEER")
            && !self.served
            && self.format.role != Some("peer");
        if peer {
            self.format.role = Some("peer");
            let evidence = Evidence::payload("ymsg-peer", "service 0x4d with key 49 PEERTOPEER");
            out.identified(self.format.clone(), Confidence::Confirmed, evidence);
            out.push(Event::Feature(feature::DIRECT_CONNECTION));
            self.confirmed = true;
        } else if !self.confirmed && (parses || self.packets > 1) {
            self.confirmed = true;
            let evidence = Evidence::payload(
                "ymsg-chain",
                format!(
                    "{} packets, service 0x{:02x}, {} pairs",
                    self.packets, header.service, packet.fields.pairs
                ),
            );
            out.identified(self.format.clone(), Confidence::Confirmed, evidence);
        }
    }

    fn side(&mut self, direction: Direction, packet: &Packet, out: &mut Events) -> Side {
        let fields = &packet.fields;
        let proven = match packet.header.service {
            _ if self.sides_known => None,
            // Key 13 of the peers' handshake counts its steps; the dialler begins.
            service::P2P_FILE_TRANSFER if self.format.role == Some("peer") => {
                (fields.get(13) == Some("1")).then_some(true)
            }
            _ if self.format.role == Some("peer") => None,
            service::AUTH_RESPONSE if fields.has(6) || fields.has(277) || fields.has(307) => {
                Some(true)
            }
            // To the server a message names the recipient only (5); from it the sender too (4).
            service::MESSAGE if self.served => match (fields.has(5), fields.has(4)) {
                (true, false) => Some(true),
                (_, true) => Some(false),
                _ => None,
            },
            _ => packet.header.sender_is_client(),
        };
        if let Some(is_client) = proven {
            let client = if is_client {
                direction
            } else {
                direction.reverse()
            };
            if self.client.is_none() {
                self.client = Some(client);
                out.push(Event::ClientIs(client));
            }
            return if is_client {
                Side::Client
            } else {
                Side::Server
            };
        }
        if direction == self.client.unwrap_or(Direction::ToServer) {
            Side::Client
        } else {
            Side::Server
        }
    }
}

fn sign_on(session: &mut Session, side: Side, packet: &Packet, out: &mut Events) {
    let fields = &packet.fields;
    let mut method = None;
    match (packet.header.service, side) {
        (service::AUTH, Side::Client) => owner(packet, &[1, 0], out),
        (service::AUTH, Side::Server) => {
            owner(packet, &[1], out);
            if fields.has(94) {
                // Key 13: absent or 0 the MD5 scheme, 1 the arithmetic one, 2 a token fetched over HTTPS.
                method = match fields.get(13) {
                    None | Some("0") => Some("yahoo-md5"),
                    Some("1") => Some("yahoo-v12"),
                    Some("2") => Some("yahoo-token"),
                    Some(_) => None,
                };
            }
        }
        (service::AUTH_RESPONSE, Side::Client) => {
            owner(packet, &[0, 1], out);
            if let Some(version) = fields.get(135).filter(|text| is_version(text)) {
                out.push(Event::Client(format!("Yahoo! Messenger {version}")));
            }
            if fields.has(277) || fields.has(307) {
                method = Some("yahoo-token");
            } else if fields.has(6) && fields.has(96) {
                // With the challenge they can be tried against guessed passwords, in peace and offline.
                out.push(Event::Risk(risk::WEAK_SIGN_ON));
                method = Some(if fields.formula {
                    "yahoo-v12"
                } else {
                    "yahoo-md5"
                });
            }
        }
        (service::WEB_LOGIN, Side::Client) => {
            owner(packet, &[0, 1], out);
            method = Some("yahoo-web");
        }
        // Key 89: the identities of the account, separated by commas.
        (service::LIST, Side::Server) => {
            owner(packet, &[1], out);
            for name in fields
                .all(89)
                .flat_map(|list| list.split(','))
                .filter_map(account)
                .take(8)
            {
                out.push(Event::Account(name));
            }
        }
        (service::LOGON, Side::Server) => return owner(packet, &[0, 1], out),
        _ => return,
    }
    out.push(Event::Feature(feature::SIGN_ON));
    if let Some(method) = method.filter(|method| session.method != Some(*method)) {
        session.method = Some(method);
        out.push(Event::SignOn(method));
    }
}

/// The first account under these keys, and an alias under a further one, belong to the client's user.
fn owner(packet: &Packet, keys: &[u16], out: &mut Events) {
    let mut told: Option<String> = None;
    for name in keys
        .iter()
        .filter_map(|key| packet.fields.get(*key))
        .filter_map(account)
    {
        if told.as_ref() != Some(&name) {
            out.push(Event::Account(name.clone()));
            told = Some(name);
        }
    }
}

/// Services that go from one user to another: key 5 is the recipient, key 4 (or 1, before the server passes
/// it on) the sender.
fn people(side: Side, packet: &Packet, out: &mut Events) {
    let personal = matches!(
        packet.header.service,
        service::MESSAGE
            | service::MASS_MESSAGE
            | service::NOTIFY
            | service::FILE_TRANSFER
            | service::P2P_FILE_TRANSFER
            | service::PEER_TO_PEER
            | service::VOICE_CHAT
            | service::WEBCAM
            | service::FILE_OFFER_15
            | service::FILE_INFO_15
            | service::FILE_ACCEPT_15
    );
    // The server gives an undeliverable invitation back with another status: there sender and recipient
    // are not what they seem.
    let bounced = packet.header.service == service::PEER_TO_PEER
        && side == Side::Server
        && packet.header.status != 1;
    let fields = &packet.fields;
    if personal && !bounced {
        let (own, peers): (&[u16], u16) = match side {
            Side::Client => (&[1, 4, 0], 5),
            Side::Server => (&[5], 4),
        };
        if let Some(name) = own
            .iter()
            .find_map(|key| fields.get(*key))
            .and_then(account)
        {
            out.push(Event::Account(name));
        }
        for name in fields.all(peers).filter_map(account) {
            out.push(Event::Peer(name));
        }
    }
    // Conference: 52 is invited, 53 takes part.
    if matches!(packet.header.service, 0x18..=0x1D) {
        for name in fields.all(52).chain(fields.all(53)).filter_map(account) {
            out.push(Event::Peer(name));
        }
    }
}

fn feature_of(packet: &Packet) -> Option<&'static str> {
    let fields = &packet.fields;
    Some(match packet.header.service {
        service::MESSAGE | service::MASS_MESSAGE if fields.has(14) => feature::MESSAGE,
        // Away, back, idle, stealth, visibility, status; 0x01 and 0x02 tell of buddies (key 7).
        0x03..=0x05 | 0x07..=0x08 | 0x0A | 0xB9 | 0xBA | 0xC5 | 0xC6 | 0xF0 => feature::PRESENCE,
        0x01 | 0x02 if fields.has(7) => feature::PRESENCE,
        service::LIST
        | service::LIST_15
        | 0x0F
        | 0x13
        | 0x6D
        | 0x83..=0x86
        | 0x89
        | 0xD6
        | 0xE7 => feature::CONTACT_LIST,
        0x0C | 0x18..=0x20 | 0x96..=0x99 | 0x9B | 0x9D | 0xA0 | 0xA8 => feature::CHAT_ROOM,
        0x28..=0x2A | 0xB7 => feature::GAMES,
        service::NOTIFY => match fields.get(49) {
            Some("GAME") => feature::GAMES,
            Some("WEBCAMINVITE") => feature::VIDEO,
            _ => return None,
        },
        service::VOICE_CHAT => feature::VOICE,
        service::WEBCAM => feature::VIDEO,
        service::PHOTO_SHARE => feature::IMAGES,
        service::PEER_TO_PEER => feature::DIRECT_CONNECTION,
        service::FILE_TRANSFER
        | service::FILE_OFFER_15
        | service::FILE_INFO_15
        | service::FILE_ACCEPT_15 => feature::FILE_TRANSFER,
        service::P2P_FILE_TRANSFER if offers_file(packet) => feature::FILE_TRANSFER,
        _ => return None,
    })
}

/// Service 0x4D is the peers' handshake, an `IMVironment`, or the offer of a file that the sender's own machine
/// serves: only the last names a file and its size or place.
fn offers_file(packet: &Packet) -> bool {
    let fields = &packet.fields;
    fields.has(27) && (fields.has(28) || fields.has(20))
}

/// Files and direct connections: what they expose and where they will go.
fn transfers(side: Side, packet: &Packet, out: &mut Events) {
    let fields = &packet.fields;
    let recipient = fields.get(5).and_then(account);
    match packet.header.service {
        service::PEER_TO_PEER if matches!(fields.get(49), None | Some("PEERTOPEER")) => {
            if let Some(address) = fields.get(12).and_then(peer_address) {
                let target = Target::Address(address.into(), Some(PEER_PORT));
                out.push(Event::Exposed(risk::ADDRESS_REVEALED, target.to_string()));
                out.push(Event::Redirect {
                    target,
                    format: Format::messenger(Service::YAHOO, "ymsg", "peer"),
                    opener: recipient,
                    with: None,
                    token: None,
                });
            }
        }
        service::P2P_FILE_TRANSFER if !offers_file(packet) => {}
        service::FILE_TRANSFER | service::P2P_FILE_TRANSFER => {
            if fields.has(27) || fields.has(28) || fields.has(20) {
                file(packet).tell(between(what::FILE_OFFER, side, packet), out);
            }
            // Key 20: where the file waits on the server, told to the recipient.
            if let Some(target) = fields.get(20).and_then(http_target) {
                out.push(redirect_http(target, "file-transfer", None, None));
            }
        }
        // Key 222: 1 offered, 2 withdrawn, 3 accepted, 4 refused.
        service::FILE_OFFER_15 => {
            let answer = match fields.get(222) {
                Some("1") => {
                    return file(packet).tell(between(what::FILE_OFFER, side, packet), out);
                }
                Some("2") => what::CANCELLED,
                Some("3") => what::ACCEPTED,
                Some("4") => what::REFUSED,
                _ => return,
            };
            if answer == what::ACCEPTED {
                out.push(Event::Risk(risk::FILE_TRANSFER));
            }
            out.done(between(answer, side, packet).with("kind", "file"));
        }
        // Key 249: 1 or 2, the sender of this packet listens at the URL in key 250; 3, a relay does. The
        // recipient of the packet dials; with a relay both do.
        service::FILE_INFO_15 | service::FILE_ACCEPT_15 => {
            let Some(target) = fields.get(250).and_then(http_target) else {
                return;
            };
            match fields.get(249) {
                Some("1" | "2") => {
                    if matches!(target, Target::Address(..)) {
                        let place = target.to_string();
                        out.push(Event::Exposed(risk::ADDRESS_REVEALED, place));
                    }
                    out.push(redirect_http(target, "file-transfer", recipient, None));
                }
                Some("3") => {
                    let token = fields.get(251).and_then(relay_token);
                    out.push(redirect_http(target, "relay", recipient, token));
                }
                _ => {}
            }
        }
        _ => {}
    }
}

/// What the relay is shown by both sides.
pub fn relay_token(token: &str) -> Option<Token> {
    Token::of("yahoo-relay", token.as_bytes())
}

fn redirect_http(
    target: Target,
    role: &'static str,
    opener: Option<String>,
    token: Option<Token>,
) -> Event {
    Event::Redirect {
        target,
        format: Format::messenger(Service::YAHOO, "ymsg-http", role),
        opener,
        with: None,
        token,
    }
}

fn exposed(side: Side, packet: &Packet, out: &mut Events) {
    let fields = &packet.fields;
    let text = matches!(
        packet.header.service,
        service::MESSAGE
            | service::MASS_MESSAGE
            | service::CONFERENCE_MESSAGE
            | service::OLD_CHAT_MESSAGE
            | service::CHAT_MESSAGE
    );
    if text && fields.has(14) {
        out.push(Event::Risk(risk::CLEARTEXT_MESSAGES));
    }
    // 277 and 278 are the cookies Y and T of a token sign-on; the web messenger signs on with them in key 6.
    let cookie = fields.session_cookie()
        || fields.has(277)
        || fields.has(278)
        || (packet.header.service == service::WEB_LOGIN && side == Side::Client && fields.has(6));
    if cookie {
        out.push(Event::Risk(risk::CLEARTEXT_COOKIE));
    }
}

/// A name that may be shown: not empty, not absurdly long. Control characters are ruled out before.
pub fn account(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text.len() <= 96).then(|| text.to_owned())
}

fn is_version(text: &str) -> bool {
    text.len() <= 32
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b',' | b'.' | b' '))
}

/// For people: the version as far as it means something.
pub fn describe(version: Version) -> String {
    match version {
        Version::Client(number) => format!("version {number}"),
        Version::Server => "a server's version field".to_owned(),
        Version::Unknown => "an unknown version".to_owned(),
    }
}
