//! A TLS `ClientHello`: the server's name and the protocols that are asked for. TLS over TCP and QUIC carry the same one.

use super::ja4::{Fingerprints, Over};
use crate::classify::Events;
use crate::model::Event;
use std::net::IpAddr;
use tls_parser::{SNIType, TlsExtension, TlsMessage, TlsMessageHandshake};

/// Protocols told of one hello, and how long their names may be.
const MAX_PROTOCOLS: usize = 8;
const MAX_PROTOCOL: usize = 64;
/// The web's own say nothing.
const WEB: [&str; 5] = ["h2", "h3", "http/1.1", "http/1.0", "h3-29"];

/// What a client asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The server's name, in lower case, without a final dot.
    pub name: Option<String>,
    /// The protocols offered, other than the web's.
    pub protocols: Vec<String>,
    /// Its JA4, if it is one that is asked for.
    pub ja4: Option<String>,
}

/// How far the reading came.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The message goes on behind these bytes.
    NeedMore,
    /// The hello.
    Hello(Hello),
    /// It is none.
    None,
}

impl Hello {
    /// Tells what it asks for; whether that is a server's name. (An address names nobody.)
    pub fn tell(self, via: &'static str, out: &mut Events) -> bool {
        let name = self.name.as_deref();
        let named = name.is_some_and(|name| name.parse::<IpAddr>().is_err());
        // Before the name, which is judged by it.
        if let Some(ja4) = self.ja4 {
            out.push(Event::Ja4(ja4));
        }
        if let Some(name) = self.name {
            out.push(Event::Host { name, via });
        }
        for protocol in self.protocols {
            out.push(Event::Alpn(protocol));
        }
        named
    }
}

/// Reads a handshake message from its first byte; with what it came over and those that are asked for, its JA4 as well if it is
/// one of them.
pub fn read(handshake: &[u8], asked: Option<(Over, &Fingerprints)>) -> Answer {
    let [1, a, b, c, body @ ..] = handshake else {
        let short = handshake.len() < 4 && handshake.first().is_none_or(|kind| *kind == 1);
        return if short {
            Answer::NeedMore
        } else {
            Answer::None
        };
    };
    let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
    if body.len() < length {
        return Answer::NeedMore;
    }
    let Ok((_, TlsMessage::Handshake(TlsMessageHandshake::ClientHello(hello)))) =
        tls_parser::parse_tls_message_handshake(handshake)
    else {
        return Answer::None;
    };
    let Ok((_, extensions)) =
        tls_parser::parse_tls_client_hello_extensions(hello.ext.unwrap_or_default())
    else {
        return Answer::None;
    };
    let mut told = Hello {
        ja4: asked.and_then(|(over, asked)| asked.find(over, &hello)),
        ..Hello::default()
    };
    for extension in &extensions {
        match extension {
            TlsExtension::SNI(names) if told.name.is_none() => {
                let hosts = names.iter().filter(|(kind, _)| *kind == SNIType::HostName);
                let mut names = hosts.filter_map(|(_, name)| std::str::from_utf8(name).ok());
                told.name = names.next().and_then(host_name);
            }
            TlsExtension::ALPN(protocols) => {
                let names = protocols
                    .iter()
                    .filter_map(|name| std::str::from_utf8(name).ok())
                    .filter(|name| is_plain(name, MAX_PROTOCOL) && !WEB.contains(name));
                told.protocols = names.take(MAX_PROTOCOLS).map(str::to_owned).collect();
            }
            _ => {}
        }
    }
    Answer::Hello(told)
}

/// A server's name as it is told, if it is one.
pub fn host_name(name: &str) -> Option<String> {
    is_plain(name, 253).then(|| name.trim_end_matches('.').to_ascii_lowercase())
}

fn is_plain(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
