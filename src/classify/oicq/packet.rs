//! One packet: a mark, a version, a command, a number that the answer repeats, and an encrypted rest behind it.

use super::names::{SERVER, command, is_command, is_version};

/// The first byte and the last one.
const MARK: u8 = 0x02;
const END: u8 = 0x03;
/// Mark, version, command, sequence.
const HEADER: usize = 7;
/// The account's number.
const NUMBER: usize = 4;
/// What a client since 2009 puts behind the number: a kind, what program it is, and which build.
const PROGRAM: usize = 11;
/// What a server since 2009 puts there.
const ZEROS: usize = 3;
/// So much from the mark on says what a packet is.
pub(super) const HEAD: usize = HEADER + NUMBER + PROGRAM;
/// The shortest text is two blocks of the cipher.
const BLOCK: usize = 8;
const SHORTEST: usize = 2 * BLOCK;
/// Numbers are given out from here on.
const FIRST_NUMBER: u32 = 10_000;
/// Versions since 2009, which count on; commands have twelve bits.
const LATE_VERSIONS: std::ops::RangeInclusive<u16> = 0x1400..=0x3fff;
const LATE_COMMANDS: std::ops::RangeInclusive<u16> = 1..=0x0fff;

/// Who made a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// A client before 2009, or a server that answers one. Its shape is one of a few, and no proof.
    Early,
    /// Since then.
    Late,
}

/// What a packet says in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) age: Age,
    pub(super) by_client: bool,
    pub(super) version: u16,
    pub(super) command: u16,
    pub(super) sequence: u16,
    /// The account, where the packet has a place for it; zero before somebody signs on.
    pub(super) number: Option<u32>,
    /// The program is TIM, QQ's other client.
    pub(super) is_tim: bool,
    /// Whether it was seen to end as it must.
    pub(super) ends: bool,
}

impl Packet {
    /// Whether one packet is proof: what such clients say of themselves nobody else says.
    pub(super) fn is_unmistakable(&self) -> bool {
        self.age == Age::Late && self.by_client
    }

    /// The account, once somebody has signed on.
    pub(super) fn account(&self) -> Option<u32> {
        self.number.filter(|number| *number != 0)
    }
}

/// How long the whole packet is, from the mark to the end, and how that is known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    /// So long, and it is seen whether it ends there, if all of it is there.
    Seen(usize),
    /// So long, which a stream says by where the next one begins.
    Framed(usize),
    /// The capture may have cut it.
    Unknown,
}

impl Length {
    const fn known(self) -> Option<usize> {
        match self {
            Self::Seen(length) | Self::Framed(length) => Some(length),
            Self::Unknown => None,
        }
    }
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*bytes))
}

fn number(bytes: &[u8]) -> Option<u32> {
    let bytes = bytes.get(HEADER..)?.first_chunk()?;
    let number = u32::from_be_bytes(*bytes);
    (number == 0 || number >= FIRST_NUMBER).then_some(number)
}

/// Takes a packet apart that begins there.
pub(super) fn read(bytes: &[u8], length: Length) -> Option<Packet> {
    if bytes.first() != Some(&MARK) {
        return None;
    }
    let (version, command, sequence) = (short(bytes, 1)?, short(bytes, 3)?, short(bytes, 5)?);
    let last = length
        .known()
        .and_then(|length| bytes.get(length.checked_sub(1)?));
    let ends = match (last, length) {
        (Some(last), _) if *last != END => return None,
        (Some(_), _) | (None, Length::Framed(_)) => true,
        (None, _) => false,
    };
    let packet = Packet {
        age: Age::Late,
        by_client: true,
        version,
        command,
        sequence,
        number: None,
        is_tim: false,
        ends,
    };
    let late = LATE_VERSIONS.contains(&version) && LATE_COMMANDS.contains(&command);
    if late && let Some(is_tim) = program(bytes) {
        let number = Some(number(bytes)?);
        return Some(Packet {
            number,
            is_tim,
            ..packet
        });
    }
    if let Some(length) = length.known().filter(|_| ends)
        && let Some(packet) = early(bytes, length, &packet)
    {
        return Some(packet);
    }
    let fits = length.known().is_none_or(|length| {
        let text = length.checked_sub(HEADER + NUMBER + ZEROS + 1);
        text.is_some_and(is_text)
    });
    let zeros = bytes.get(HEADER + NUMBER..)?.starts_with(&[0; ZEROS]);
    let sure = ends || length.known().is_none();
    (late && fits && zeros && sure).then_some(Packet {
        by_client: false,
        number: Some(number(bytes)?),
        ..packet
    })
}

/// Whether a text may be so long: the cipher fills it up.
const fn is_text(length: usize) -> bool {
    length >= SHORTEST && length.is_multiple_of(BLOCK)
}

/// Whether a client of after 2008 says what it is, and whether it is TIM: a kind, zeros, type 1.1 or 46.1, a build.
fn program(bytes: &[u8]) -> Option<bool> {
    match bytes.get(HEADER + NUMBER..HEAD)? {
        [
            2..=4,
            0,
            0,
            0,
            1,
            kind @ (0x01 | 0x2e),
            1,
            0,
            0,
            0x60..=0x6f,
            _,
        ] => Some(*kind == 0x2e),
        _ => None,
    }
}

/// A packet of before 2009. The lengths tell who sent it: a client's has its number in front of the text.
fn early(bytes: &[u8], length: usize, packet: &Packet) -> Option<Packet> {
    if !is_command(packet.command) {
        return None;
    }
    let early = Packet {
        age: Age::Early,
        ..packet.clone()
    };
    let asks = packet.command == command::TOKEN;
    let behind = |start: usize| length.checked_sub(start + 1);
    let request =
        asks && behind(HEADER + NUMBER) == Some(1) && bytes.get(HEADER + NUMBER) == Some(&0);
    if is_version(packet.version)
        && (request || behind(HEADER + NUMBER).is_some_and(is_text))
        && let Some(number) = number(bytes).filter(|number| *number != 0)
    {
        return Some(Packet {
            number: Some(number),
            ..early
        });
    }
    // A token in clear: zero, its length, itself.
    let token = || match bytes.get(HEADER..)? {
        [0, long @ 16..=64, ..] => Some(behind(HEADER)? == 2 + usize::from(*long)),
        _ => None,
    };
    let answer = (asks && token() == Some(true)) || behind(HEADER).is_some_and(is_text);
    let version = is_version(packet.version) || packet.version == SERVER;
    (version && answer).then_some(Packet {
        by_client: false,
        ..early
    })
}
