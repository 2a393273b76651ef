//! Follows a FLAP stream, OSCAR or TOC, in both directions.

use super::flap::{Channel, Frame, FrameReader, Start};
use super::snac::{Snac, family};
use super::tell::{Teller, Told};
use super::toc::{self, Side};
use super::{generic, signon};
use crate::classify::{Dissector, Events};
use crate::model::{Confidence, Direction, Evidence, Format, Service, Unit};

/// The part that an OSCAR connection plays, in the order in which facts overrule each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Nothing seen that tells.
    #[default]
    Unknown,
    /// One service beside the session: icons, chat, search, administration.
    Service,
    /// The session.
    Bos,
    /// Where names and passwords are checked.
    Authoriser,
}

impl Role {
    /// What these SNACs are only met on.
    pub const fn of_family(id: u16) -> Self {
        match id {
            family::SIGN_ON | family::KERBEROS => Self::Authoriser,
            family::LOCATE
            | family::BUDDY
            | family::ICBM
            | family::PRIVACY
            | family::FEEDBAG
            | family::ICQ => Self::Bos,
            family::ADMIN | family::CHAT_NAV | family::CHAT | family::DIRECTORY | family::ICONS => {
                Self::Service
            }
            _ => Self::Unknown,
        }
    }

    /// The format of a connection with this part.
    pub const fn format(self) -> Format {
        let role = match self {
            Self::Unknown => None,
            Self::Service => Some("service"),
            Self::Bos => Some("bos"),
            Self::Authoriser => Some("authoriser"),
        };
        Format {
            service: Some(Service::OSCAR),
            app_proto: "oscar",
            role,
        }
    }
}

/// The format of a TOC connection.
pub const fn toc_format() -> Format {
    Format::messenger(Service::AIM, "toc", "session")
}

/// Follows a FLAP stream.
#[derive(Debug, Default)]
pub struct FlapDissector {
    readers: [FrameReader; 2],
    facts: Facts,
}

impl FlapDissector {
    /// What was told so far is to be told again when it is met again.
    pub fn tell_again(&mut self) {
        self.facts.told = Told::default();
        self.facts.role = Role::default();
    }
}

impl Dissector for FlapDissector {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let Self { readers, facts } = self;
        reader(readers, direction).feed(bytes, |frame| facts.frame(direction, frame, out));
    }

    fn gap(&mut self, direction: Direction, missing: u64, out: &mut Events) {
        let Self { readers, facts } = self;
        reader(readers, direction).gap(missing, |frame| facts.frame(direction, frame, out));
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.readers.iter().map(FrameReader::memory).sum::<usize>()
    }
}

const fn reader(readers: &mut [FrameReader; 2], direction: Direction) -> &mut FrameReader {
    let [to_server, to_client] = readers;
    match direction {
        Direction::ToServer => to_server,
        Direction::ToClient => to_client,
    }
}

/// What the frames said so far.
#[derive(Debug, Default)]
struct Facts {
    told: Told,
    role: Role,
    toc: bool,
    /// Frames of a known form.
    frames: u32,
    proven: bool,
}

impl Facts {
    fn frame(&mut self, direction: Direction, frame: Frame<'_>, out: &mut Events) {
        out.at(frame.start);
        let told = &mut self.told;
        let mut tell = Teller::new(told, out);
        match frame.channel {
            Channel::SignOn => {
                let Some(hello) = signon::hello(frame.payload) else {
                    return;
                };
                self.frames = self.frames.saturating_add(1);
                match hello {
                    signon::Hello::Bare => {}
                    signon::Hello::Server => tell.client_is(direction.reverse()),
                    _ => tell.client_is(direction),
                }
                signon::hello_facts(frame.payload, &mut tell);
                if hello == signon::Hello::Roast {
                    self.role(
                        Role::Authoriser,
                        || "sign-on with a password in FLAP channel 1".to_owned(),
                        out,
                    );
                }
            }
            Channel::Data => match toc::starts(frame.payload) {
                Start::Yes(side) => {
                    tell.client_is(if side == Side::Client {
                        direction
                    } else {
                        direction.reverse()
                    });
                    toc::line(frame.payload, side, &mut tell);
                    self.frames = self.frames.saturating_add(1);
                    self.toc_line(out);
                }
                _ => {
                    if let Some(snac) = Snac::read(frame.payload) {
                        let whole = frame.whole;
                        self.snac(direction, &Snac { whole, ..snac }, out);
                    }
                }
            },
            // Looks like the end, but may be the answer to an old sign-on.
            Channel::Close if signon::is_answer(frame.payload) => {
                tell.client_is(direction.reverse());
                signon::answer_facts(frame.payload, &mut tell);
                self.frames = self.frames.saturating_add(1);
                self.role(
                    Role::Authoriser,
                    || "answer to a sign-on in FLAP channel 4".to_owned(),
                    out,
                );
            }
            Channel::Close => signon::goodbye(frame.payload, direction, &mut tell),
            Channel::KeepAlive | Channel::Error => {}
        }
    }

    fn snac(&mut self, direction: Direction, snac: &Snac<'_>, out: &mut Events) {
        self.frames = self.frames.saturating_add(1);
        let mut tell = Teller::new(&mut self.told, out);
        match snac.header.sender_is_client() {
            Some(true) => tell.client_is(direction),
            Some(false) => tell.client_is(direction.reverse()),
            None => {}
        }
        tell.unit(Unit::Snac(snac.header.family, snac.header.subtype));
        let from_client = tell.is_client(direction);
        generic::unit(snac, from_client, &mut tell);
        let role = generic::hosted_families(snac).map_or_else(
            || Role::of_family(snac.header.family),
            |mut families| {
                if families.any(|id| id == family::ICBM) {
                    Role::Bos
                } else {
                    Role::Service
                }
            },
        );
        // Asked for seldom: most SNACs say nothing new.
        let (family, subtype) = (snac.header.family, snac.header.subtype);
        let what = || format!("SNAC {family:04x}/{subtype:04x}");
        self.role(role, what, out);
        if !self.proven && self.frames >= 2 {
            self.proven = true;
            let evidence = Evidence::payload(
                "flap-chain",
                format!("{} in a chain of FLAP frames", what()),
            );
            out.identified(self.role.format(), Confidence::Confirmed, evidence);
        }
    }

    /// A better known part is told; a lesser fact does not overrule a greater one.
    fn role(&mut self, role: Role, why: impl FnOnce() -> String, out: &mut Events) {
        if self.toc || role <= self.role {
            return;
        }
        self.role = role;
        self.proven = self.confidence() == Confidence::Confirmed;
        let evidence = Evidence::payload("oscar-role", why());
        out.identified(role.format(), self.confidence(), evidence);
    }

    fn toc_line(&mut self, out: &mut Events) {
        let certain = self.confidence() == Confidence::Confirmed;
        if self.toc && (self.proven || !certain) {
            return;
        }
        self.toc = true;
        self.proven = certain;
        let evidence = Evidence::payload("toc-line", "line of TOC in a FLAP frame");
        out.identified(toc_format(), self.confidence(), evidence);
    }

    const fn confidence(&self) -> Confidence {
        if self.frames >= 2 {
            Confidence::Confirmed
        } else {
            Confidence::Probable
        }
    }
}
