//! Recognises the opening of an XML stream.

use super::tags::{Tag, end_of};
use crate::classify::carrier::Nothing;
use crate::classify::{Claim, Detector, Dissector, Probe, ProbeInput, Start};
use crate::model::{Evidence, Format, Transport};

/// Longest opening: a declaration and a tag with a few attributes.
const MAX_OPENING: usize = 2048;
const DECLARATION: &[u8] = b"<?xml";
const STREAM: &[u8] = b"<stream:stream";

/// XMPP over TCP.
pub(super) struct Streams;

/// What an opening says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    No,
    NeedMore,
    /// Whose stream: clients' or servers'.
    Stream(&'static str),
    /// Other XML: named, so that a port or an address alone does not make a messenger of it.
    Other,
}

/// Reads an opening: an optional declaration, then `<stream:stream ...>` of a known kind (RFC 6120, 4.7 and 4.8).
pub(super) fn opening(bytes: &[u8]) -> Opening {
    let mut rest = bytes.trim_ascii_start();
    let mut other = Opening::No;
    if let Some(behind) = rest.strip_prefix(DECLARATION) {
        if behind
            .first()
            .is_some_and(|byte| !byte.is_ascii_whitespace())
        {
            return Opening::No;
        }
        match end_of(behind) {
            Some(end) => {
                rest = behind[end + 1..].trim_ascii_start();
                other = Opening::Other;
            }
            None => return unfinished(bytes),
        }
    } else if DECLARATION.starts_with(rest) {
        return unfinished(bytes);
    }
    if !rest.starts_with(STREAM) {
        return if STREAM.starts_with(rest) {
            unfinished(bytes)
        } else {
            other
        };
    }
    let Some(end) = end_of(rest) else {
        return unfinished(bytes);
    };
    let Some(tag) = Tag::parse(&rest[1..end]).filter(|tag| tag.name() == "stream:stream") else {
        return other;
    };
    match tag.attribute("xmlns") {
        Some("jabber:client") => Opening::Stream("client"),
        Some("jabber:server") => Opening::Stream("server"),
        _ => other,
    }
}

/// Whether what is there of an opening says more than that it is XML: no other format has this element, whose namespace
/// comes late in it.
fn is_header(bytes: &[u8]) -> bool {
    let rest = bytes.trim_ascii_start();
    let rest = match rest.strip_prefix(DECLARATION).map(|it| (it, end_of(it))) {
        Some((declaration, Some(end))) => declaration[end + 1..].trim_ascii_start(),
        Some((_, None)) => return false,
        None => rest,
    };
    rest.strip_prefix(STREAM)
        .and_then(<[u8]>::first)
        .is_some_and(u8::is_ascii_whitespace)
}

fn unfinished(bytes: &[u8]) -> Opening {
    if bytes.len() < MAX_OPENING {
        Opening::NeedMore
    } else {
        Opening::No
    }
}

impl Detector for Streams {
    fn name(&self) -> &'static str {
        "xmpp"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        if input.start == Start::Later {
            return Probe::No;
        }
        match opening(input.bytes) {
            Opening::No => Probe::No,
            Opening::NeedMore if input.ended && is_header(input.bytes) => Probe::Likely(Claim {
                format: super::format(None),
                offset: 0,
                sender_is_client: None,
                evidence: Evidence::payload("xml-stream", "a stream's header, cut"),
            }),
            Opening::NeedMore => Probe::NeedMore {
                from: 0,
                total: input.bytes.len() + 1,
            },
            Opening::Other => Probe::Certain(Claim {
                format: Format::other("xml"),
                offset: 0,
                sender_is_client: None,
                evidence: Evidence::payload("opening", "xml"),
            }),
            Opening::Stream(role) => Probe::Likely(Claim {
                format: super::format(Some(role)),
                offset: 0,
                sender_is_client: None,
                evidence: Evidence::payload("xml-stream", format!("jabber:{role}")),
            }),
        }
    }

    fn dissector(&self, claim: &Claim) -> Box<dyn Dissector> {
        match claim.format.service {
            Some(_) => Box::new(super::dissector::Session::new(claim.format.role)),
            None => Box::new(Nothing),
        }
    }
}
