//! What peers say to each other on a direct connection, behind the introductions: messages, requests and answers to them,
//! files.
//!
//! Facts: licq and mICQ write and read these frames.

mod key;

use self::key::plain;
use super::datagram::Reader;
use super::message_kind;
use crate::classify::file::{File, Passing};
use crate::classify::{Events, exploit};
use crate::model::{Activity, Direction, Event, feature, risk, what};

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Start,
    Answer,
    Cancel,
}

/// A message, a request, or an answer to one.
struct Said<'a> {
    command: Command,
    kind: u16,
    status: u16,
    /// Without its final NUL.
    text: &'a [u8],
    /// How long it is, though not all of it may be kept.
    length: usize,
    /// Behind the text and what follows every text.
    more: Reader<'a>,
}

fn said(version: u16, sender: u32, body: &[u8]) -> Option<Said<'_>> {
    let mut reader = Reader(body);
    let old = version < 6;
    let command = if old {
        reader.long().filter(|uin| *uin == sender)?;
        reader.short()?;
        if version > 3 {
            reader.long()?;
        }
        u16::try_from(reader.long()?).ok()?
    } else {
        reader.long()?;
        reader.short()?
    };
    let command = match command {
        0x07EE => Command::Start,
        0x07DA => Command::Answer,
        0x07D0 => Command::Cancel,
        _ => return None,
    };
    let mut status = 0;
    let kind = if old {
        reader.long().filter(|uin| *uin == sender)?;
        reader.short()?
    } else {
        // 0E: the connection for messages; others (12) are for pictures and phone books.
        (reader.short()? == 0x0E).then_some(())?;
        // Sequence, twelve zeros.
        reader.take(14)?;
        let kind = reader.short()?;
        status = reader.short()?;
        reader.short()?;
        kind
    };
    let length = usize::from(reader.short()?);
    let text = reader.take(length.min(reader.0.len()))?;
    if old {
        // Both addresses, a port, how to be reached.
        if reader.take(13).is_some() {
            status = reader.short().unwrap_or_default();
            reader.short();
        }
    }
    Some(Said {
        command,
        // The highest bit says that others got it as well.
        kind: kind & 0x7FFF,
        status,
        text: text.strip_suffix(b"\0").unwrap_or(text),
        length: length.saturating_sub(1),
        more: reader,
    })
}

/// Tells what a frame says; whether it was a message.
pub fn message(
    version: u16,
    sender: u32,
    direction: Direction,
    (frame, length): (&[u8], usize),
    out: &mut Events,
) -> bool {
    let body = plain(version, frame, length);
    let Some(mut said) = body.as_deref().and_then(|body| said(version, sender, body)) else {
        return false;
    };
    let between = |what| Activity::between_peers(what, direction == Direction::ToServer);
    let word = message_kind(said.kind);
    match (said.command, said.kind) {
        (Command::Start, 3) => {
            // Port, name, size, port.
            said.more.long();
            let name = said.more.string(1, 256).unwrap_or_default();
            let size = said.more.long().map(u64::from);
            File::new(name, size).tell(between(what::FILE_OFFER), out);
        }
        (Command::Start, 0x01 | 0x04 | 0x0D | 0x0E | 0x13) => {
            exploit::icq_message(said.kind, said.text, out);
            out.push(Event::Feature(feature::MESSAGE));
            out.push(Event::Risk(risk::CLEARTEXT_MESSAGES));
            out.done(
                between(what::MESSAGE)
                    .with("length", said.length)
                    .maybe("kind", word.filter(|_| said.kind != 1)),
            );
        }
        (Command::Start, 0x03E8..=0x03EC) => {
            out.done(between(what::QUERY).with("kind", "away-message"));
        }
        (Command::Start, _) => {
            if said.kind == 2 {
                out.push(Event::Feature(feature::CHAT_ROOM));
            }
            if word.is_some() {
                out.done(between(what::INVITATION).maybe("kind", word));
            }
        }
        // Whether somebody accepts is asked of requests only; everything else is answered as received.
        (Command::Answer, 2 | 3) => {
            let answer = if said.status == 1 {
                what::REFUSED
            } else {
                what::ACCEPTED
            };
            out.done(between(answer).maybe("kind", word));
        }
        (Command::Answer, _) => {}
        (Command::Cancel, _) => out.done(between(what::CANCELLED).maybe("kind", word)),
    }
    true
}

/// A connection that carries files: what its sender says of them, and their bytes.
pub struct Files {
    sender: Direction,
    file: File,
    passing: Option<Passing>,
}

impl Files {
    /// The first frame of such a connection: how many files, how many bytes, how fast, who sends.
    pub fn start(direction: Direction, frame: &[u8]) -> Option<Self> {
        let mut reader = Reader(frame);
        (reader.byte()? == 0 && reader.long()? == 0).then_some(())?;
        reader.long().filter(|files| (1..=0xFFFF).contains(files))?;
        reader.long()?;
        reader.long().filter(|speed| *speed <= 100)?;
        reader.string(1, 256)?;
        reader.end()?;
        Some(Self {
            sender: direction,
            file: File::default(),
            passing: None,
        })
    }

    /// Whether the frame that begins so, in this direction, holds bytes of the file.
    pub fn is_data(&self, direction: Direction, kind: u8) -> bool {
        kind == 6 && self.sender == direction
    }

    /// A frame about the file.
    pub fn frame(&mut self, direction: Direction, frame: &[u8], out: &mut Events) {
        let mut reader = Reader(frame);
        match reader.byte() {
            // Name, an empty name, size.
            Some(2) if direction == self.sender => {
                reader.byte();
                let name = reader.string(1, 256).unwrap_or_default();
                reader.string(1, 256);
                let Some(size) = reader.long() else { return };
                self.file = File::new(name, Some(size.into()));
                self.passing = Some(Passing::new(size.into()));
                let offer = direction == Direction::ToServer;
                self.file
                    .tell(Activity::between_peers(what::FILE_OFFER, offer), out);
            }
            // From which byte on: only what comes whole can be hashed.
            Some(3) if direction != self.sender => {
                let from = reader.long().unwrap_or_default();
                if let Some(passing) = &mut self.passing {
                    passing.left_out(from.into());
                }
            }
            _ => {}
        }
    }

    /// The next bytes of the file.
    pub fn data(&mut self, bytes: &[u8], out: &mut Events) {
        let Some(passing) = &mut self.passing else {
            return;
        };
        passing.take(bytes);
        if let Some(sha256) = passing.sha256() {
            self.passing = None;
            self.file.sha256 = Some(sha256);
            let by_client = self.sender == Direction::ToServer;
            self.file
                .tell(Activity::between_peers(what::FILE_SENT, by_client), out);
        }
    }

    /// Bytes of this direction were lost.
    pub fn gap(&mut self, direction: Direction) {
        if direction == self.sender {
            self.passing = None;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing {
    use super::key::CLEAR;

    /// The plain body of a message.
    pub fn body(
        version: u16,
        sender: u32,
        (command, kind, status): (u16, u16, u16),
        text: &str,
        more: &[u8],
    ) -> Vec<u8> {
        let mut body = Vec::new();
        let text = [text.as_bytes(), b"\0"].concat();
        let length = u16::try_from(text.len()).unwrap();
        if version < 6 {
            body.extend(sender.to_le_bytes());
            body.extend(version.to_le_bytes());
            if version > 3 {
                assert_eq!(body.len(), CLEAR);
                body.extend([0; 4]);
            }
            body.extend(u32::from(command).to_le_bytes());
            body.extend(sender.to_le_bytes());
            body.extend(kind.to_le_bytes());
            body.extend(length.to_le_bytes());
            body.extend(text);
            body.extend([192, 168, 1, 5, 192, 168, 1, 5, 0x34, 0x12, 0, 0, 4]);
            body.extend(status.to_le_bytes());
            body.extend([0x10, 0]);
            body.extend(more);
            body.extend([1, 0, 0, 0]);
        } else {
            body.extend([0; 4]);
            body.extend(command.to_le_bytes());
            body.extend([0x0E, 0, 0xFE, 0xFF]);
            body.extend([0; 12]);
            body.extend(kind.to_le_bytes());
            body.extend(status.to_le_bytes());
            body.extend([0x10, 0]);
            body.extend(length.to_le_bytes());
            body.extend(text);
            body.extend(more);
        }
        body
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::key::testing::frame;
    use super::key::{check_at, plain};
    use super::testing::body;
    use super::{Direction, Events, message};
    use crate::model::{Detail, Event, what};

    const OWN: u32 = 1_000_001;

    fn tell(version: u16, frame: &[u8]) -> Vec<Event> {
        let mut out = Events::default();
        let frame = frame.get(2..).unwrap_or_default();
        message(
            version,
            OWN,
            Direction::ToServer,
            (frame, frame.len()),
            &mut out,
        );
        out.drain().collect()
    }

    fn activity(told: &[Event]) -> Option<(&'static str, Vec<(&'static str, Detail)>)> {
        told.iter().find_map(|event| match event {
            Event::Done(activity) => Some((activity.what, activity.details.clone())),
            _ => None,
        })
    }

    #[test]
    fn messages_of_every_version_are_read_and_prove_themselves() {
        for version in 2..=8 {
            for text in [
                "hi",
                "a longer message, of which more than a quarter is scrambled ... "
                    .repeat(6)
                    .as_str(),
            ] {
                let plain_body = body(version, OWN, (0x07EE, 1, 0), text, &[0; 8]);
                for (at, index) in [(12, 3), (20, 200)] {
                    let whole = frame(version, &plain_body, at, index);
                    let told = tell(version, &whole);
                    let length = Detail::Number(text.len() as u64);
                    assert_eq!(
                        activity(&told),
                        Some((what::MESSAGE, vec![("length", length)])),
                        "{version}"
                    );
                    assert!(!format!("{told:?}").contains("longer"));
                }
            }
        }
    }

    #[test]
    fn one_wrong_bit_is_no_message() {
        for version in [4, 6, 8] {
            let whole = frame(
                version,
                &body(version, OWN, (0x07EE, 1, 0), "hello there", &[0; 8]),
                14,
                9,
            );
            let start = if version > 6 { 3 } else { 2 };
            // In what the check code covers: itself, the bytes that it repeats.
            for at in check_at(version)..check_at(version) + 4 {
                let mut wrong = whole.clone();
                wrong[start + at] ^= 0x10;
                assert_eq!(tell(version, &wrong), [], "version {version}, byte {at}");
            }
            for length in 0..12 {
                assert_eq!(
                    plain(version, &whole[start..start + length], whole.len() - start),
                    None
                );
            }
        }
        // Of the versions that hide nothing, the sender stands there twice.
        let other = frame(3, &body(3, OWN + 1, (0x07EE, 1, 0), "hello", &[]), 0, 0);
        assert_eq!(tell(3, &other), []);
    }

    #[test]
    fn requests_have_names_and_answers_say_whether() {
        let file = [
            &[0, 0, 0, 0, 11, 0][..],
            b"report.exe\0",
            &[0, 1, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        for version in [3, 5, 6, 8] {
            let offer = frame(
                version,
                &body(version, OWN, (0x07EE, 3, 0), "look", &file),
                11,
                1,
            );
            let (what, details) = activity(&tell(version, &offer)).unwrap();
            assert_eq!(what, what::FILE_OFFER);
            assert!(
                details.contains(&("file", Detail::Text("report.exe".into()))),
                "{details:?}"
            );
            assert!(details.contains(&("size", Detail::Number(256))));
            for (status, answer) in [(0, what::ACCEPTED), (1, what::REFUSED)] {
                let frame = frame(
                    version,
                    &body(version, OWN, (0x07DA, 3, status), "", &[0; 19]),
                    11,
                    1,
                );
                assert_eq!(activity(&tell(version, &frame)).unwrap().0, answer);
            }
            let away = frame(
                version,
                &body(version, OWN, (0x07EE, 0x03E8, 0), "", &[0; 8]),
                11,
                1,
            );
            assert_eq!(activity(&tell(version, &away)).unwrap().0, what::QUERY);
            let received = frame(
                version,
                &body(version, OWN, (0x07DA, 1, 0), "", &[0; 8]),
                11,
                1,
            );
            assert_eq!(activity(&tell(version, &received)), None);
        }
    }
}
