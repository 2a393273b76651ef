//! QUIC: the server's name and the protocols out of the client's first packets.
//!
//! Initial packets are encrypted with keys that anybody can derive who sees the first of them (RFC 9001, 5.2; RFC 9369, 3.3). Those
//! of drafts and of vendors' versions have other salts. Google's versions before that begin in clear text.

mod crypto;
mod google;
mod initial;
#[cfg(test)]
mod tests;
mod version;

use super::hello::{self, Answer};
use super::ja4::Over;
use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput};
use crate::model::{Direction, Event, Evidence, Format, Transport};
use crypto::Crypto;
use initial::{Keys, Packet, packets};
use version::Version;

/// Datagrams that are looked at for a hello.
const DATAGRAMS: u8 = 16;

/// QUIC over UDP.
pub struct Quic;

impl Detector for Quic {
    fn name(&self) -> &'static str {
        "quic"
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let evidence = if let Some(packet) = packets(input.bytes).next() {
            Evidence::payload("quic", packet.version.name())
        } else if let Some(first) = google::first(input.bytes) {
            Evidence::payload("quic", format!("CHLO, version Q{:03}", first.version))
        } else {
            return Probe::No;
        };
        Probe::Likely(Claim {
            format: Format::other("quic"),
            offset: 0,
            sender_is_client: None,
            evidence,
        })
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Connection::default())
    }
}

/// Puts the client's first handshake message together.
#[derive(Default)]
struct Connection {
    /// Of the first Initial packet, or of the first behind a Retry.
    keys: Option<(Version, Keys)>,
    crypto: Crypto,
    datagrams: u8,
    done: bool,
}

impl Connection {
    /// Reads an Initial packet, if it can be opened.
    fn packet(&mut self, packet: &Packet<'_>, out: &mut Events) {
        let known = self
            .keys
            .as_ref()
            .filter(|(version, _)| *version == packet.version);
        let opened = known.and_then(|(_, keys)| keys.open(packet));
        let opened = if let Some(opened) = opened {
            opened
        } else {
            // The first one, or the server asked for another destination.
            let keys = Keys::of_client(packet.version, packet.destination);
            let Some(opened) = keys.open(packet) else {
                return;
            };
            self.keys = Some((packet.version, keys));
            self.crypto = Crypto::default();
            opened
        };
        self.crypto
            .take_frames(&opened, packet.version.crypto_frame());
        if packet.version == Version::Q050 {
            self.google(out);
            return;
        }
        let asked = out.fingerprints();
        let asked = asked.as_deref().map(|asked| (Over::Quic, asked));
        match hello::read(self.crypto.beginning(), asked) {
            Answer::NeedMore => self.done |= self.crypto.is_full(),
            Answer::None => self.done = true,
            Answer::Hello(hello) => {
                hello.tell("quic-sni", out);
                self.done = true;
            }
        }
    }
}

impl Connection {
    /// What Google's own handshake, out of Initial packets, asks for.
    fn google(&mut self, out: &mut Events) {
        let name = google::server_name(self.crypto.beginning()).and_then(hello::host_name);
        self.done = name.is_some() || self.crypto.is_full();
        tell(name, out);
    }
}

fn tell(name: Option<String>, out: &mut Events) {
    if let Some(name) = name {
        let via = "quic-sni";
        out.push(Event::Host { name, via });
    }
}

impl Dissector for Connection {
    fn feed(&mut self, _: Direction, bytes: &[u8], out: &mut Events) {
        if self.is_done() {
            return;
        }
        self.datagrams += 1;
        if let Some(first) = google::first(bytes) {
            let name = google::server_name(first.hello).and_then(hello::host_name);
            self.done = name.is_some();
            tell(name, out);
            return;
        }
        for packet in packets(bytes) {
            self.packet(&packet, out);
            if self.done {
                // Whatever comes is encrypted with keys that nobody else has.
                self.crypto = Crypto::default();
                return;
            }
        }
    }

    fn is_done(&self) -> bool {
        self.done || self.datagrams >= DATAGRAMS
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.crypto.memory()
    }
}
