//! What people do in YMSG packets: messages, files, conferences, calls, status, contacts.

use super::session::{Side, account};
use super::stream::Packet;
use super::ymsg::service;
use crate::classify::Events;
use crate::classify::exploit::exploit;
use crate::classify::file::File;
use crate::model::{Activity, Event, Party, risk, what};

/// What is offered or sent.
pub(super) fn file(packet: &Packet) -> File {
    let fields = &packet.fields;
    let number = |key| fields.get(key).and_then(|text| text.parse().ok());
    File {
        count: number(266).filter(|count| *count > 1),
        ..File::new(fields.get(27).unwrap_or_default().as_bytes(), number(28))
    }
}

/// Done by one user to the other, as keys 4 (or 1) and 5 name them.
pub(super) fn between(what: &'static str, side: Side, packet: &Packet) -> Activity {
    let by_client = side == Side::Client;
    let key = if by_client { 5 } else { 4 };
    let other = packet.fields.get(key).and_then(account);
    Activity::between(what, by_client, other)
}

/// What people did, as far as it is not told with a file or an address.
pub(super) fn activities(side: Side, packet: &Packet, out: &mut Events) {
    let fields = &packet.fields;
    let between = |what| between(what, side, packet);
    // What the server passes on names whoever did it; what the client sends was done by its user.
    let by = |what, key: u16| match (side, fields.get(key).and_then(account)) {
        (Side::Server, Some(name)) => Activity::new(what).by(name),
        (Side::Server, None) => Activity::new(what),
        (Side::Client, _) => Activity::new(what).by(Party::Own),
    };
    match packet.header.service {
        service::MESSAGE | service::MASS_MESSAGE => {
            if let Some(length) = fields.length(14) {
                let offline = packet.header.status == 5 && side == Side::Server;
                out.done(
                    between(what::MESSAGE)
                        .with("length", length)
                        .maybe("kind", offline.then_some("offline")),
                );
            }
        }
        service::CONFERENCE_MESSAGE | service::CHAT_MESSAGE | service::OLD_CHAT_MESSAGE => {
            let said = by(
                what::CHAT_MESSAGE,
                if packet.header.service == service::CONFERENCE_MESSAGE {
                    3
                } else {
                    109
                },
            );
            out.done(said.maybe("length", fields.length(14)));
        }
        0x18 | 0x1C => {
            for name in fields.all(52).filter_map(account) {
                let invited = by(what::INVITATION, 50).to(name);
                out.done(invited.with("kind", "conference"));
            }
        }
        0x19 => out.done(by(what::CHAT_JOIN, 53)),
        0x1A => out.done(by(what::REFUSED, 54).with("kind", "conference")),
        0x1B => out.done(by(what::CHAT_LEAVE, 56)),
        0x98 => out.done(by(what::CHAT_JOIN, 109)),
        0x9B | 0x99 => out.done(by(what::CHAT_LEAVE, 109)),
        service::NOTIFY => match fields.get(49) {
            Some("TYPING") => {
                let state = if fields.get(13) == Some("1") {
                    "begun"
                } else {
                    "stopped"
                };
                out.done(between(what::TYPING).with("state", state));
            }
            Some("GAME") => out.done(between(what::INVITATION).with("kind", "game")),
            Some("WEBCAMINVITE") => {
                out.done(between(what::INVITATION).with("kind", "webcam"));
            }
            _ => {}
        },
        service::VOICE_CHAT => {
            let what = match fields.get(13) {
                Some("3") => what::REFUSED,
                _ => what::INVITATION,
            };
            out.done(between(what).with("kind", "voice"));
        }
        service::WEBCAM => out.done(between(what::INVITATION).with("kind", "webcam")),
        0x02EA => out.done(between(what::SMS)),
        0x83 | 0x84 => {
            let change = if packet.header.service == 0x83 {
                "added"
            } else {
                "removed"
            };
            for name in fields.all(7).filter_map(account) {
                let contact = Activity::new(what::CONTACT).by(Party::Own).to(name);
                out.done(contact.with("change", change));
            }
        }
        service::LIST_15 => {
            for name in fields.all(7).filter_map(account) {
                let contact = Activity::new(what::CONTACT).by(Party::Own).to(name);
                out.done(contact.with("change", "listed"));
            }
        }
        0x03 | 0x04 | 0xC6 if side == Side::Client => {
            let status = if packet.header.service == 0x04 {
                Some("online")
            } else {
                fields.get(10).and_then(status)
            };
            out.done(
                Activity::new(what::STATUS)
                    .by(Party::Own)
                    .with("status", status.unwrap_or("away")),
            );
        }
        // Signing off; with a buddy (7) it is that one who left.
        0x02 if !fields.has(7) && packet.header.status != u32::MAX => {
            out.done(Activity::new(what::SIGN_OFF).by(Party::Own));
        }
        0x01 | 0x02 | 0x03 | 0x04 | 0xC6 | 0xF0 if side == Side::Server => buddies(packet, out),
        service::AUTH_RESPONSE if side == Side::Server => {
            let code = fields.get(66).and_then(|code| code.parse::<u64>().ok());
            let reason = match code {
                Some(3 | 1235) => Some("no such account"),
                Some(13) => Some("bad password"),
                Some(14) => Some("locked account"),
                _ => None,
            };
            let failed = Activity::new(what::SIGN_ON_FAILED).by(Party::Own);
            out.done(failed.maybe("reason", reason).maybe("code", code));
        }
        _ => {}
    }
}

/// Who of the list came, went or changed: key 7 a name, and behind it key 10 how it stands.
fn buddies(packet: &Packet, out: &mut Events) {
    let fields = &packet.fields;
    let gone = packet.header.service == 0x02;
    let mut states = fields.all(10).map(status);
    for name in fields.all(7).filter_map(account) {
        let state = states.next().flatten();
        let status = if gone {
            "offline"
        } else {
            state.unwrap_or("online")
        };
        out.done(Activity::new(what::STATUS).by(name).with("status", status));
    }
}

fn status(number: &str) -> Option<&'static str> {
    Some(match number {
        "0" => "online",
        "1" => "back-soon",
        "2" => "busy",
        "3" => "not-at-home",
        "4" => "not-at-desk",
        "5" => "not-in-the-office",
        "6" => "on-the-phone",
        "7" => "on-vacation",
        "8" => "out-to-lunch",
        "9" => "stepped-out",
        "12" => "invisible",
        "99" => "away",
        "999" => "idle",
        _ => return None,
    })
}

/// More than a client lets its user type.
const MAX_MESSAGE: usize = 8 * 1024;
const MAX_ENVIRONMENT: usize = 1024;
const MAX_GROUP: usize = 1024;

/// Fields by which clients were made to fall over, or worse.
pub(super) fn oversized(packet: &Packet, out: &mut Events) {
    let longer = |key, most| packet.fields.length(key).filter(|length| *length > most);
    if packet.header.service == service::MESSAGE {
        if let Some(length) = longer(14, MAX_MESSAGE) {
            exploit(format!("message of {length} bytes (CVE-2002-0320)"), out);
        }
        if let Some(length) = longer(63, MAX_ENVIRONMENT) {
            exploit(
                format!("IMVironment of {length} bytes (CVE-2002-0320)"),
                out,
            );
        }
    }
    if let Some(length) = longer(65, MAX_GROUP) {
        exploit(format!("group name of {length} bytes (CVE-2002-1665)"), out);
    }
    if packet.whole && packet.fields.pairs == 0 && packet.fields.malformed {
        let service = packet.header.service;
        let wrong = format!("service {service:#04x}: a body that holds no field");
        out.push(Event::Exposed(risk::MALFORMED, wrong));
    }
}
