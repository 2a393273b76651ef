//! Wires that a conversation runs over before it becomes packets: ports, proxies, cuts, and captures of a part of it.

use super::scenario::socks::{behind, opening_4, opening_5};
use super::scenario::talk::{Message, Scenario, Shown, Side, Talk, Transport};

/// Formats between two users, whose address and port another flow announced.
const PEER_FORMATS: [&str; 5] = ["oft", "odc", "icq-direct", "msnftp", "msn-p2p"];

fn tcp(scenario: &mut Scenario) -> impl Iterator<Item = &mut Talk> {
    let talks = scenario.talks.iter_mut();
    talks.filter(|talk| talk.transport == Transport::Tcp)
}

/// Every server listens elsewhere, but for those that were announced.
pub fn port(scenario: &mut Scenario, port: u16) {
    for talk in tcp(scenario) {
        let truth = talk.truth.as_ref().and_then(|truth| truth.app_proto);
        if !truth.is_some_and(|format| PEER_FORMATS.contains(&format)) {
            talk.server.set_port(port);
        }
    }
}

/// What is said comes in segments of so many bytes.
pub fn pieces(scenario: &mut Scenario, size: usize) {
    for talk in tcp(scenario) {
        let whole = std::mem::take(&mut talk.messages);
        talk.messages = whole
            .into_iter()
            .flat_map(|message| cut(&message, size))
            .collect();
    }
}

fn cut(message: &Message, size: usize) -> Vec<Message> {
    let piece = |(number, bytes): (usize, &[u8])| Message {
        from: message.from,
        bytes: bytes.to_vec(),
        after_ms: if number == 0 { message.after_ms } else { 0 },
    };
    message.bytes.chunks(size).enumerate().map(piece).collect()
}

/// The capture begins behind the handshakes, and so many messages later.
pub fn joined(scenario: &mut Scenario, skipped: usize) {
    for talk in tcp(scenario) {
        talk.shown = Shown::WithoutOpening;
        talk.messages.drain(..skipped.min(talk.messages.len()));
    }
}

/// The capture has what one side says only.
pub fn one_side(scenario: &mut Scenario, side: Side) {
    for talk in &mut scenario.talks {
        talk.messages.retain(|message| message.from == side);
    }
}

/// Every TCP connection goes through a proxy at the server's address.
fn proxied(scenario: &mut Scenario, port: u16, opening: impl Fn(&Talk) -> Vec<(Side, Vec<u8>)>) {
    for talk in &mut scenario.talks {
        if talk.transport == Transport::Udp || talk.shown == Shown::Refused {
            continue;
        }
        *talk = behind(opening(talk), talk.clone());
        talk.server.set_port(port);
    }
}

/// A web proxy that was asked for a tunnel.
pub fn connect(scenario: &mut Scenario) {
    proxied(scenario, 3128, |talk| {
        let target = talk.server;
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
        let granted = b"HTTP/1.1 200 Connection established\r\n\r\n";
        vec![
            (Side::Client, request.into_bytes()),
            (Side::Server, granted.to_vec()),
        ]
    });
}

/// SOCKS 4.
pub fn socks4(scenario: &mut Scenario) {
    proxied(scenario, 1080, |talk| {
        let port = usize::from(talk.server.port());
        opening_4(&talk.server.ip().to_string(), port, "carol")
    });
}

/// SOCKS 4a, which asks for a name.
pub fn socks4a(scenario: &mut Scenario) {
    proxied(scenario, 1080, |talk| {
        opening_4("host.example.com", usize::from(talk.server.port()), "")
    });
}

/// SOCKS 5, with a password or without.
pub fn socks5(scenario: &mut Scenario, user: Option<(&str, &str)>) {
    proxied(scenario, 1080, |talk| {
        let port = usize::from(talk.server.port());
        opening_5(&talk.server.ip().to_string(), port, user, 0)
    });
}
