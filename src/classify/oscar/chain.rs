//! Proves that bytes are FLAP: a chain of frames whose contents are in order, walked without state.
//!
//! The answer is the first proof that the bytes hold, so it is the same for every longer input.

use super::dissector::{Role, toc_format};
use super::flap::{Channel, HEADER, Header, Start};
use super::signon::{self, Hello};
use super::snac::{self, Reading, Snac};
use super::tlv;
use super::toc::{self, Side};
use crate::model::Format;

/// How much of a direction the engine keeps while it is undecided.
const WINDOW: usize = 16 * 1024;
/// A frame longer than this leaves no room for the header behind it.
const LONG: usize = WINDOW - 64;
/// Sign-ons met have 4 to some 700 bytes.
const LONGEST_HELLO: usize = 8 * 1024;
/// Farewells met have up to some 400 bytes.
const LONGEST_CLOSE: usize = 2 * 1024;
/// Keep-alives carry nothing, errors little; a few bytes are let pass.
const LONGEST_KEEP_ALIVE: usize = 16;
/// Frames that a walk goes through at most.
const MOST_FRAMES: usize = 8;

/// FLAP, and which kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// OSCAR or TOC, with the part played if known.
    pub format: Format,
    /// Proven, or one signature only.
    pub certain: bool,
    /// Whether only a client, or only a server, sends this.
    pub sender_is_client: Option<bool>,
    /// Identifier of the evidence.
    pub what: &'static str,
    /// For people.
    pub detail: String,
}

/// What a walk found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Walk {
    /// FLAP.
    Proven(Proof),
    /// Frames as far as they go; that many bytes would tell more.
    More(usize),
    /// Not FLAP, or nothing but frames that prove nothing.
    Broken,
}

/// Where the bytes of a walk lie in their direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The very first: every FLAP connection, from either side, begins with a sign-on frame.
    Beginning,
    /// The first that the capture has: likely the start of a frame.
    Joined,
    /// Anywhere.
    Anywhere,
}

/// What is known beside the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Where they lie.
    pub place: Place,
    /// The client's TOC greeting was in front.
    pub greeted: bool,
    /// The stream was announced as OSCAR.
    pub expected: bool,
    /// No more bytes will come.
    pub ended: bool,
}

/// The frames walked over so far.
#[derive(Default)]
struct Trail {
    frames: usize,
    snac: Option<snac::Header>,
    keep_alives: usize,
    sequence: Option<u16>,
    sender_is_client: Option<bool>,
}

/// Walks the frames at the start of `bytes`.
pub fn walk(bytes: &[u8], context: Context) -> Walk {
    let mut trail = Trail::default();
    let mut at = 0_usize;
    while trail.frames < MOST_FRAMES {
        let rest = bytes.get(at..).unwrap_or_default();
        let more = |need: usize| more(&trail, at.saturating_add(need), rest.is_empty(), context);
        let header = match Header::read(rest) {
            Start::Yes(header) => header,
            Start::No => return Walk::Broken,
            Start::Short(need) => return more(need),
        };
        if trail.frames == 0
            && context.place == Place::Beginning
            && header.channel != Channel::SignOn
        {
            return Walk::Broken;
        }
        let after = rest.get(HEADER..).unwrap_or_default();
        let end = HEADER.saturating_add(header.len);
        let whole = after.get(..header.len);
        let step = match header.channel {
            Channel::SignOn => sign_on(&header, after, whole, &trail, context),
            Channel::Data => data(&header, after, whole, &trail, context),
            Channel::Close => close(&header, after, whole, &trail, context),
            Channel::KeepAlive | Channel::Error if header.len <= LONGEST_KEEP_ALIVE => {
                Step::bare(whole)
            }
            Channel::KeepAlive | Channel::Error => Step::Break,
        };
        let (snac, sender_is_client) = match step {
            Step::Prove(proof) => return Walk::Proven(proof),
            Step::Break => return Walk::Broken,
            Step::Wait(need) => return more(need.min(end)),
            Step::Pass {
                snac,
                sender_is_client,
            } => (snac, sender_is_client),
        };
        trail.sender_is_client = trail.sender_is_client.or(sender_is_client);
        // A SNAC, and another frame exactly behind it.
        if let (Some(first), true) = (trail.snac, snac.is_none()) {
            return Walk::Proven(chain_of_snacs(first, trail.sender_is_client));
        }
        trail.step(&header, snac);
        if trail.keep_alives >= 3 {
            return Walk::Proven(Proof {
                format: Role::Unknown.format(),
                certain: false,
                sender_is_client: None,
                what: "flap-keep-alive",
                detail: "three FLAP keep-alives in a row".to_owned(),
            });
        }
        at = at.saturating_add(end);
    }
    Walk::Broken
}

impl Trail {
    fn step(&mut self, header: &Header, snac: Option<snac::Header>) {
        let follows = self
            .sequence
            .is_some_and(|last| header.sequence == last.wrapping_add(1));
        self.keep_alives = match header.channel {
            Channel::KeepAlive if header.len == 0 => {
                if follows {
                    self.keep_alives + 1
                } else {
                    1
                }
            }
            _ => 0,
        };
        self.sequence = Some(header.sequence);
        self.snac = self.snac.or(snac);
        self.frames += 1;
    }
}

/// The walk needs more bytes. When none will come, what there is must do.
fn more(trail: &Trail, total: usize, on_boundary: bool, context: Context) -> Walk {
    if !context.ended {
        return Walk::More(total);
    }
    match trail.snac {
        Some(header) if context.place == Place::Joined && on_boundary => Walk::Proven(Proof {
            format: Role::of_family(header.family).format(),
            certain: false,
            sender_is_client: trail.sender_is_client,
            what: "flap-snac",
            detail: format!("one FLAP frame with SNAC {}", name(header)),
        }),
        _ => Walk::Broken,
    }
}

enum Step {
    /// That settles it.
    Prove(Proof),
    /// In order; go on behind it.
    Pass {
        snac: Option<snac::Header>,
        sender_is_client: Option<bool>,
    },
    /// In order as far as it goes; that many bytes of the frame are needed.
    Wait(usize),
    /// Not in order.
    Break,
}

impl Step {
    const fn bare(whole: Option<&[u8]>) -> Self {
        match whole {
            Some(_) => Self::Pass {
                snac: None,
                sender_is_client: None,
            },
            None => Self::Wait(usize::MAX),
        }
    }
}

fn name(header: snac::Header) -> String {
    format!("{:04x}/{:04x}", header.family, header.subtype)
}

fn chain_of_snacs(first: snac::Header, sender_is_client: Option<bool>) -> Proof {
    Proof {
        format: Role::of_family(first.family).format(),
        certain: true,
        sender_is_client,
        what: "flap-chain",
        detail: format!("chained FLAP frames with SNAC {}", name(first)),
    }
}

fn sign_on(
    header: &Header,
    after: &[u8],
    whole: Option<&[u8]>,
    trail: &Trail,
    context: Context,
) -> Step {
    if !(4..=LONGEST_HELLO).contains(&header.len)
        || super::flap::prefix(after, &super::flap::VERSION) == Start::No
    {
        return Step::Break;
    }
    let Some(payload) = whole else {
        return Step::Wait(usize::MAX);
    };
    let Some(hello) = signon::hello(payload) else {
        return Step::Break;
    };
    let sender_is_client = match hello {
        Hello::Bare => None,
        Hello::Server => Some(false),
        Hello::Name | Hello::Roast | Hello::Cookie => Some(true),
    };
    let prove = |format: Format, certain, what, detail: &str| {
        Step::Prove(Proof {
            format,
            certain,
            sender_is_client,
            what,
            detail: detail.to_owned(),
        })
    };
    if context.greeted {
        return prove(
            toc_format(),
            true,
            "toc-greeting",
            "FLAPON and a FLAP sign-on",
        );
    }
    match hello {
        Hello::Cookie => prove(
            Role::Unknown.format(),
            true,
            "flap-sign-on",
            "FLAP sign-on with a cookie",
        ),
        Hello::Roast => prove(
            Role::Authoriser.format(),
            true,
            "flap-sign-on",
            "FLAP sign-on with a name and a roasted password",
        ),
        _ if context.expected && trail.frames == 0 => prove(
            Role::Unknown.format(),
            false,
            "flap-hello",
            "FLAP hello where OSCAR was announced",
        ),
        _ => Step::Pass {
            snac: None,
            sender_is_client,
        },
    }
}

fn close(
    header: &Header,
    after: &[u8],
    whole: Option<&[u8]>,
    trail: &Trail,
    context: Context,
) -> Step {
    // The first TLV is looked at before the rest is there, so that noise is not waited for.
    let payload = after.get(..header.len).unwrap_or(after);
    let odd = payload
        .split_first_chunk::<2>()
        .is_some_and(|(kind, _)| u16::from_be_bytes(*kind) >= 0x100);
    if header.len > LONGEST_CLOSE || odd {
        return Step::Break;
    }
    let Some(payload) = whole else {
        return Step::Wait(usize::MAX);
    };
    if !tlv::tiles(payload) {
        return Step::Break;
    }
    // The hello in front of an answer proves it; an answer alone is one signature.
    if signon::is_answer(payload) && (trail.frames > 0 || context.place == Place::Joined) {
        return Step::Prove(Proof {
            format: Role::Authoriser.format(),
            certain: trail.frames > 0,
            sender_is_client: Some(false),
            what: "flap-answer",
            detail: "answer to a sign-on in FLAP channel 4".to_owned(),
        });
    }
    Step::Pass {
        snac: None,
        sender_is_client: None,
    }
}

fn data(
    header: &Header,
    after: &[u8],
    whole: Option<&[u8]>,
    trail: &Trail,
    context: Context,
) -> Step {
    let payload = whole.unwrap_or(after).get(..header.len).unwrap_or(after);
    let line = toc::starts(payload);
    if let Start::Yes(side) = line {
        return toc_line(side, whole, trail);
    }
    let snac = match (snac::Header::read(payload), line) {
        (Reading::Known(snac), _) => snac,
        (Reading::Short, _) if header.len >= snac::HEADER => {
            return Step::Wait(HEADER + snac::HEADER);
        }
        // No SNAC, but perhaps a line.
        (_, Start::Short(need)) if need <= header.len => {
            return Step::Wait(HEADER.saturating_add(need));
        }
        _ => return Step::Break,
    };
    let sender_is_client = snac.sender_is_client();
    if trail.frames > 0 {
        let mut proof = chain_of_snacs(
            trail.snac.unwrap_or(snac),
            trail.sender_is_client.or(sender_is_client),
        );
        proof.format = match Role::of_family(snac.family) {
            Role::Unknown => proof.format,
            role => role.format(),
        };
        return Step::Prove(proof);
    }
    if header.len > LONG {
        // The frame behind this one will never be seen. Some fifty bits of the first one are fixed, which is
        // enough at the one place where a frame is likely to start, and not at each byte of a stream.
        if context.place != Place::Joined {
            return Step::Break;
        }
        return Step::Prove(Proof {
            format: Role::of_family(snac.family).format(),
            certain: false,
            sender_is_client,
            what: "flap-snac",
            detail: format!("long FLAP frame with SNAC {}", name(snac)),
        });
    }
    match whole.map(Snac::read) {
        None => Step::Wait(usize::MAX),
        Some(Some(unit)) if unit.proves_itself() => Step::Prove(Proof {
            format: Role::of_family(snac.family).format(),
            certain: true,
            sender_is_client,
            what: "snac-body",
            detail: format!("FLAP frame with a whole SNAC {}", name(snac)),
        }),
        Some(_) => Step::Pass {
            snac: Some(snac),
            sender_is_client,
        },
    }
}

fn toc_line(side: Side, whole: Option<&[u8]>, trail: &Trail) -> Step {
    let proof = |certain, detail: &str| {
        Step::Prove(Proof {
            format: toc_format(),
            certain,
            sender_is_client: Some(side == Side::Client),
            what: "toc-line",
            detail: detail.to_owned(),
        })
    };
    if trail.frames > 0 {
        return proof(true, "line of TOC in a chain of FLAP frames");
    }
    match whole {
        None => Step::Wait(usize::MAX),
        Some(payload) if !toc::is_line(payload, side) => Step::Break,
        // Client lines end with NUL exactly where the frame ends.
        Some(_) => proof(side == Side::Client, "FLAP frame with a line of TOC"),
    }
}
