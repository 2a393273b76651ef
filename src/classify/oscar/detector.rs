//! Recognises FLAP: OSCAR and TOC on any port, from the start or in the middle, from either side alone.

use super::chain::{Context, Place, Proof, Walk, walk};
use super::dissector::{FlapDissector, Role, toc_format};
use super::flap::{MARKER, Start as Found};
use super::names;
use super::toc;
use crate::classify::{Claim, Detector, Dissector, Probe, ProbeInput, Start};
use crate::model::{Evidence, Transport};

/// Recognises OSCAR and TOC, which share framing and greeting.
#[derive(Debug)]
pub struct Flap;

impl Detector for Flap {
    fn name(&self) -> &'static str {
        "flap"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let context = Context {
            place: match input.start {
                Start::Beginning => Place::Beginning,
                Start::Joined => Place::Joined,
                Start::Later => Place::Anywhere,
            },
            greeted: false,
            expected: matches!(input.expected, Some("oscar")),
            ended: input.ended,
        };
        if context.place != Place::Anywhere {
            match toc::greeting(input.bytes) {
                Found::Yes(len) => match greeted(input.bytes, len, context) {
                    // Bytes of the middle may look like a greeting: what is behind them counts as well.
                    Probe::No if input.start == Start::Joined => {}
                    probe => return probe,
                },
                Found::Short(total) if !input.ended && !input.bytes.is_empty() => {
                    return Probe::NeedMore { from: 0, total };
                }
                Found::Short(_) | Found::No => {}
            }
        }
        if input.start == Start::Beginning {
            return match answer(walk(input.bytes, context), 0) {
                Probe::No if input.ended && is_cut_sign_on(input.bytes, context) => claim(
                    Proof {
                        format: Role::Unknown.format(),
                        certain: false,
                        sender_is_client: Some(true),
                        what: "flap-sign-on",
                        detail: "FLAP sign-on with a name, cut".to_owned(),
                    },
                    0,
                    true,
                ),
                answer => answer,
            };
        }
        scan(input.bytes, context)
    }

    fn dissector(&self, _claim: &Claim) -> Box<dyn Dissector> {
        Box::new(FlapDissector::default())
    }
}

/// Whether a sign-on of before MD5 begins here, and its frame does not end: channel 1, version 1, a name (TLV 1), and a
/// password (TLV 2).
fn is_cut_sign_on(bytes: &[u8], context: Context) -> bool {
    let [
        MARKER,
        1,
        _,
        _,
        _,
        _,
        0,
        0,
        0,
        1,
        0,
        1,
        0,
        length,
        rest @ ..,
    ] = bytes
    else {
        return false;
    };
    let name = rest.get(..usize::from(*length)).and_then(names::account);
    let password = rest.get(usize::from(*length)..).unwrap_or_default();
    let running = Context {
        ended: false,
        ..context
    };
    name.is_some()
        && password.len() >= 4
        && password.starts_with(&[0, 2, 0])
        && matches!(walk(bytes, running), Walk::More(_))
}

/// Behind `FLAPON` comes a FLAP sign-on, or this is not TOC.
fn greeted(bytes: &[u8], len: usize, context: Context) -> Probe {
    let context = Context {
        greeted: true,
        ..context
    };
    let rest = bytes.get(len..).unwrap_or_default();
    match walk(rest, context) {
        Walk::Proven(proof) => claim(proof, 0, true),
        Walk::More(total) => Probe::NeedMore {
            from: 0,
            total: total.saturating_add(len),
        },
        // The greeting is AOL's own; nobody else says it.
        Walk::Broken if rest.is_empty() => claim(
            Proof {
                format: toc_format(),
                certain: false,
                sender_is_client: Some(true),
                what: "toc-greeting",
                detail: "FLAPON".to_owned(),
            },
            0,
            true,
        ),
        Walk::Broken => Probe::No,
    }
}

/// Tries every place where a frame could start.
fn scan(bytes: &[u8], context: Context) -> Probe {
    for at in memchr::memchr_iter(MARKER, bytes) {
        let candidate = bytes.get(at..).unwrap_or_default();
        let place = if at == 0 {
            context.place
        } else {
            Place::Anywhere
        };
        let context = Context { place, ..context };
        match answer(walk(candidate, context), at) {
            Probe::No => {}
            found => return found,
        }
    }
    if context.ended {
        return Probe::No;
    }
    Probe::NeedMore {
        from: bytes.len(),
        total: bytes.len().saturating_add(1),
    }
}

fn answer(walk: Walk, at: usize) -> Probe {
    match walk {
        Walk::Proven(proof) => claim(proof, at, false),
        Walk::More(total) => Probe::NeedMore {
            from: at,
            total: at.saturating_add(total),
        },
        Walk::Broken => Probe::No,
    }
}

fn claim(proof: Proof, offset: usize, from_client: bool) -> Probe {
    let claim = Claim {
        format: proof.format,
        offset,
        sender_is_client: if from_client {
            Some(true)
        } else {
            proof.sender_is_client
        },
        evidence: Evidence::payload(proof.what, proof.detail),
    };
    if proof.certain {
        Probe::Certain(claim)
    } else {
        Probe::Likely(claim)
    }
}
