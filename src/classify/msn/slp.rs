//! MSNSLP session requests: what two users set up, and where one of them listens.

use super::P2P;
use super::line::passport;
use super::mime::{self, Fields};
use super::notes::Notes;
use crate::classify::Events;
use crate::model::{Target, feature, risk};
use std::net::IpAddr;

/// How many addresses of one answer are believed.
const MAX_ADDRESSES: usize = 4;

/// Keys of the addresses in a transport answer, and of their ports.
const ADDRESSES: &[(&str, &str)] = &[
    ("IPv4Internal-Addrs", "IPv4Internal-Port"),
    ("IPv4External-Addrs", "IPv4External-Port"),
    ("IPv6-Addrs", "IPv6-Port"),
];

/// A session request or the answer to one.
pub(super) struct Request<'a> {
    head: Fields<'a>,
    body: Fields<'a>,
}

impl<'a> Request<'a> {
    /// `None` if the text is none.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        if !is_start(text) {
            return None;
        }
        let (head, body) = mime::split(text);
        let body = body.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(Self {
            head,
            body: mime::fields(body),
        })
    }

    /// The account in `To` or `From`: `<msnmsgr:alice@example.com>`.
    pub fn party(&self, field: &str) -> Option<String> {
        let value = self
            .head
            .get(field)?
            .trim_start_matches('<')
            .trim_end_matches('>');
        let (scheme, name) = value.split_once(':')?;
        scheme
            .eq_ignore_ascii_case("msnmsgr")
            .then(|| passport(name))
            .flatten()
    }

    /// Tells what is set up, and where the sender listens. `from_client`: whether this flow's client sent it.
    pub fn tell(&self, from_client: bool, notes: &mut Notes, out: &mut Events) {
        if self.head.first_line().starts_with("INVITE ") {
            let guid = self
                .body
                .get("EUF-GUID")
                .unwrap_or_default()
                .trim_matches(['{', '}'])
                .to_ascii_uppercase();
            match guid.as_str() {
                "5D3E02AB-6190-11D3-BBBB-00C04F795683" => notes.file_transfer(out),
                // A user's picture or emoticon; photo sharing.
                "A4268EEC-FEC5-49E5-95C3-F126696BDBF6" | "41D3E74E-04A2-4B37-96F8-08ACDB610874" => {
                    notes.feature(feature::IMAGES, out);
                }
                // A webcam is shown; a webcam is asked for.
                "4BD96FC0-AB17-4425-A14A-439185962DC8" | "1C9AA97E-9C05-4583-A3BD-908A196F1E92" => {
                    notes.feature(feature::VIDEO, out);
                }
                "6A13AF9C-5308-4F35-923A-67E8DDA40C2F" => notes.feature(feature::GAMES, out),
                _ => {}
            }
        }
        let listening = self
            .body
            .get("Listening")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        for (addresses, port) in ADDRESSES {
            let port = self
                .body
                .get(port)
                .and_then(|port| port.parse::<u16>().ok())
                .filter(|port| *port != 0);
            let addresses = self
                .body
                .get(addresses)
                .unwrap_or_default()
                .split_ascii_whitespace();
            for address in addresses
                .filter_map(|text| text.parse::<IpAddr>().ok())
                .take(MAX_ADDRESSES)
            {
                notes.risk(risk::ADDRESS_REVEALED, out);
                if port.is_some() && listening && !address.is_unspecified() {
                    notes.redirect(Target::Address(address, port), P2P, from_client, out);
                }
            }
        }
    }
}

/// Whether a request begins so.
pub(super) fn is_start(text: &[u8]) -> bool {
    const STARTS: [&[u8]; 4] = [
        b"INVITE MSNMSGR:",
        b"MSNSLP/1.0 ",
        b"BYE MSNMSGR:",
        b"ACK MSNMSGR:",
    ];
    STARTS.iter().any(|start| text.starts_with(start))
}
