//! What two users set up by session requests: files, pictures, webcams, games; and the data that then crosses.

use super::chunk::Data;
use crate::classify::Events;
use crate::classify::exploit::exploit;
use crate::classify::file::{File, Passing};
use crate::model::{Activity, what};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;

/// Sessions of one stream that are remembered; a chat has a few.
const MAX_SESSIONS: usize = 16;

/// What is set up, by the EUF-GUID of the invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A file is sent.
    File,
    /// A user's picture or emoticon; photo sharing.
    Picture,
    /// A webcam is shown, or asked for.
    Webcam,
    /// A game, or another activity.
    Game,
}

impl Use {
    /// `None` for one that says nothing of interest.
    pub fn of(guid: &str) -> Option<Self> {
        match guid.trim_matches(['{', '}']).to_ascii_uppercase().as_str() {
            "5D3E02AB-6190-11D3-BBBB-00C04F795683" => Some(Self::File),
            "A4268EEC-FEC5-49E5-95C3-F126696BDBF6" | "41D3E74E-04A2-4B37-96F8-08ACDB610874" => {
                Some(Self::Picture)
            }
            "4BD96FC0-AB17-4425-A14A-439185962DC8" | "1C9AA97E-9C05-4583-A3BD-908A196F1E92" => {
                Some(Self::Webcam)
            }
            "6A13AF9C-5308-4F35-923A-67E8DDA40C2F" => Some(Self::Game),
            _ => None,
        }
    }

    /// As the event record calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Picture => "picture",
            Self::Webcam => "webcam",
            Self::Game => "game",
        }
    }
}

/// One session.
#[derive(Clone, Debug)]
struct Session {
    id: u32,
    call: u64,
    purpose: Use,
    /// The inviter is this stream's client.
    by_client: bool,
    file: File,
    /// The file's bytes, as far as they have come in order.
    passing: Option<(Passing, u64)>,
}

/// The sessions of one stream.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    list: Vec<Session>,
}

impl Sessions {
    /// Bytes held on the heap.
    pub const fn memory(&self) -> usize {
        self.list.capacity() * size_of::<Session>()
    }

    /// An invitation. `context` is the file's description.
    pub fn invited(&mut self, call: u64, id: u32, purpose: Use, by_client: bool, file: File) {
        self.list.retain(|known| known.call != call);
        if self.list.len() >= MAX_SESSIONS {
            self.list.remove(0);
        }
        self.list.push(Session {
            id,
            call,
            purpose,
            by_client,
            file,
            passing: None,
        });
    }

    /// What the call of that id is for.
    pub fn purpose(&self, call: u64) -> Option<Use> {
        self.list
            .iter()
            .find_map(|known| (known.call == call).then_some(known.purpose))
    }

    /// A piece of a file; tells when all of it has crossed.
    pub fn file_data(&mut self, data: &Data<'_>, from_client: bool, out: &mut Events) {
        let Some(session) = self.list.iter_mut().find(|known| known.id == data.session) else {
            // Sent after an invitation that was not seen: once is enough to say that there is a file.
            let file = File {
                size: data.total,
                ..File::default()
            };
            self.invited(
                u64::from(data.session),
                data.session,
                Use::File,
                from_client,
                file.clone(),
            );
            return file.between(what::FILE_OFFER, from_client, None, out);
        };
        let Some(size) = session.file.size.or(data.total) else {
            return;
        };
        let (passing, next) = session
            .passing
            .get_or_insert_with(|| (Passing::new(size), 0));
        // Version 1 says where a piece belongs; version 2 sends them in order.
        let offset = data.offset.unwrap_or(*next);
        if offset < *next {
            return;
        }
        if offset > *next || data.bytes.len() as u64 != data.size {
            passing.skip(offset.saturating_sub(*next));
        }
        passing.take(data.bytes);
        passing.left_out(data.size.saturating_sub(data.bytes.len() as u64));
        *next = offset.saturating_add(data.size);
        if *next >= size {
            let file = File {
                sha256: passing.sha256(),
                size: Some(size),
                ..session.file.clone()
            };
            let by_client = session.by_client;
            self.list.retain(|known| known.id != data.session);
            file.between(what::FILE_SENT, by_client, None, out);
        }
    }
}

/// What describes a file in an invitation: base64, then in little-endian order the length of this header u32, version
/// u32, size of the file u64, type u32, name in UTF-16.
pub(super) fn described(context: &str) -> File {
    // The first part holds all that is wanted; a preview picture may follow, which may have been cut.
    let text = context.trim_end_matches('=').as_bytes();
    let whole = text.len() - text.len() % 4;
    let decoded = text
        .get(..whole.min(1024))
        .and_then(|text| BASE64_STANDARD_NO_PAD.decode(text).ok())
        .unwrap_or_default();
    let size = decoded
        .get(8..)
        .and_then(|bytes| bytes.first_chunk::<8>())
        .map(|bytes| u64::from_le_bytes(*bytes));
    let units: Vec<u16> = decoded
        .get(20..)
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0)
        .take(260)
        .collect();
    File::new(String::from_utf16_lossy(&units).as_bytes(), size)
}

/// The beginning of a picture, as a client would get it from a stranger.
pub(super) fn picture(data: &[u8], out: &mut Events) {
    if data.starts_with(b"\x89PNG\r\n\x1a\n") {
        png(data, out);
    } else if data.starts_with(b"GIF8") {
        gif(data, out);
    }
}

/// libpng before 1.2.6 copied the transparency table of an indexed picture without a look at its length.
fn png(data: &[u8], out: &mut Events) {
    let indexed = data.get(25) == Some(&3);
    let Some(at) = memchr::memmem::find(data, b"tRNS").filter(|_| indexed) else {
        return;
    };
    let length = at
        .checked_sub(4)
        .and_then(|start| data.get(start..))
        .and_then(|bytes| bytes.first_chunk::<4>())
        .map(|bytes| u32::from_be_bytes(*bytes));
    if let Some(length) = length.filter(|length| *length > 256) {
        let what = format!("PNG with a transparency table of {length} bytes (CVE-2004-0597)");
        exploit(what, out);
    }
}

/// MSN Messenger 6.2 believed the first image's size rather than the picture's.
fn gif(data: &[u8], out: &mut Events) {
    let word = |at: usize| {
        data.get(at..)
            .and_then(|bytes| bytes.first_chunk::<2>())
            .map(|bytes| u16::from_le_bytes(*bytes))
    };
    let flags = data.get(10).copied().unwrap_or_default();
    let table = if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    };
    let image = 13 + table;
    if data.get(image) != Some(&0x2C) {
        return;
    }
    if let (Some(width), Some(height), Some(inner), Some(lower)) =
        (word(6), word(8), word(image + 5), word(image + 7))
        && (inner > width || lower > height)
    {
        let what = format!(
            "GIF of {width}x{height} with an image of {inner}x{lower} in it (CVE-2005-0562)"
        );
        exploit(what, out);
    }
}

/// An answer to an invitation, or its end.
pub(super) fn answered(status: &str, purpose: Option<Use>) -> Option<Activity> {
    let what = match status {
        "200" => what::ACCEPTED,
        "603" => what::REFUSED,
        _ => return None,
    };
    // Pictures are fetched without anybody being asked.
    let purpose = purpose.filter(|purpose| *purpose != Use::Picture)?;
    Some(Activity::new(what).with("kind", purpose.name()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Data, File, Sessions, Use, described, picture};
    use crate::classify::Events;
    use crate::model::{Detail, Event, what};
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    fn activities(out: &mut Events) -> Vec<(&'static str, Option<Detail>)> {
        out.drain()
            .filter_map(|event| match event {
                Event::Done(activity) => Some((activity.what, activity.detail("sha256").cloned())),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn the_description_names_the_file() {
        // As captured: header of 638 bytes, version 3, 21 bytes, no preview.
        let mut header = Vec::new();
        header.extend(638_u32.to_le_bytes());
        header.extend(3_u32.to_le_bytes());
        header.extend(21_u64.to_le_bytes());
        header.extend(1_u32.to_le_bytes());
        header.extend("notes.txt\0".encode_utf16().flat_map(u16::to_le_bytes));
        header.resize(638, 0);
        let context = BASE64_STANDARD.encode(&header);
        for text in [context.as_str(), &context[..400]] {
            let file = described(text);
            assert_eq!(
                (file.name.as_deref(), file.size),
                (Some("notes.txt"), Some(21))
            );
        }
        assert_eq!(described("!"), File::default());
    }

    #[test]
    fn a_file_in_pieces_is_told_once_and_hashed_when_whole() {
        let piece = |offset, bytes: &'static [u8]| Data {
            session: 7,
            offset: Some(offset),
            total: Some(3),
            size: bytes.len() as u64,
            bytes,
        };
        let mut out = Events::default();
        let mut sessions = Sessions::default();
        let file = File::new(b"a.txt", Some(3));
        sessions.invited(1, 7, Use::File, true, file.clone());
        sessions.file_data(&piece(0, b"ab"), true, &mut out);
        sessions.file_data(&piece(0, b"ab"), true, &mut out);
        sessions.file_data(&piece(2, b"c"), true, &mut out);
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hash = Some(Detail::Text(abc.to_owned()));
        assert_eq!(activities(&mut out), [(what::FILE_SENT, hash)]);

        sessions.invited(2, 7, Use::File, true, file);
        sessions.file_data(&piece(1, b"bc"), true, &mut out);
        assert_eq!(activities(&mut out), [(what::FILE_SENT, None)], "a hole");
    }

    #[test]
    fn pictures_that_overflow_are_seen() {
        let exploits = |data: &[u8]| {
            let mut out = Events::default();
            picture(data, &mut out);
            out.drain().count()
        };
        let png = |table: u32| {
            let mut data =
                b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\x03\0\0\0CRC!".to_vec();
            data.extend(table.to_be_bytes());
            data.extend(b"tRNS");
            data
        };
        assert_eq!(exploits(&png(16)), 0);
        assert_eq!(exploits(&png(1024)), 1);
        let gif = |inner: u8| {
            [
                b"GIF89a\x10\0\x10\0\0\0\0\x2C\0\0\0\0".as_slice(),
                &[inner, 0, 16, 0],
            ]
            .concat()
        };
        assert_eq!(exploits(&gif(16)), 0);
        assert_eq!(exploits(&gif(200)), 1);
    }
}
