//! MSNP2P chunks: the binary units that carry session requests, pictures and files.
//!
//! Version 1 has a header of 48 bytes in little endian; version 2 (Windows Live Messenger 2009 on) has two
//! headers of variable length in big endian. At a switchboard a footer of 4 bytes follows; a direct
//! connection has none.

/// Length of the version 1 header.
pub(super) const HEADER: usize = 48;

/// Length of the footer at a switchboard.
const FOOTER: usize = 4;

/// How much of a session request is put together. Those that matter here have 1 to 3 KiB; a file offer with
/// a preview picture has more, but its head says what it is.
const MAX_TEXT: usize = 8 * 1024;

/// Flag of version 1: data of a picture, an emoticon or another object.
pub(super) const OBJECT_DATA: u32 = 0x20;

/// Flags of version 1: data of a file.
pub(super) const FILE_DATA: u32 = 0x30;

/// Set by Windows Live Messenger on top of the others.
const LIVE: u32 = 0x0100_0000;

/// The part of a version 1 header that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// 0 for session requests.
    pub session: u32,
    /// The same in all chunks of one message.
    pub id: u32,
    /// Where this chunk lies in the message.
    pub offset: u64,
    /// Length of the message.
    pub total: u64,
    /// Length of this chunk's data.
    pub size: u32,
    /// What it is, without the mark of Windows Live Messenger.
    pub flags: u32,
}

impl Header {
    /// Reads a header; `None` if its numbers contradict each other.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let u32_at = |at| {
            bytes
                .get(at..)
                .and_then(|b| b.first_chunk::<4>())
                .map(|b| u32::from_le_bytes(*b))
        };
        let u64_at = |at| {
            bytes
                .get(at..)
                .and_then(|b| b.first_chunk::<8>())
                .map(|b| u64::from_le_bytes(*b))
        };
        bytes.get(..HEADER)?;
        let header = Self {
            session: u32_at(0)?,
            id: u32_at(4)?,
            offset: u64_at(8)?,
            total: u64_at(16)?,
            size: u32_at(24)?,
            flags: u32_at(28)? & !LIVE,
        };
        let end = header.offset.checked_add(u64::from(header.size))?;
        (end <= header.total).then_some(header)
    }
}

/// What one chunk says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// A session request is complete.
    Request(&'a [u8]),
    /// Data of an object.
    Object(Data<'a>),
    /// Data of a file.
    File(Data<'a>),
    /// A chunk whose numbers contradict each other.
    Malformed(&'static str),
    /// Nothing of interest, or more to come.
    Nothing,
}

/// A piece of what a session sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Data<'a> {
    /// Which session.
    pub session: u32,
    /// Where the piece belongs; version 2 does not say.
    pub offset: Option<u64>,
    /// Length of all of it; version 2 does not say.
    pub total: Option<u64>,
    /// Length of the piece.
    pub size: u64,
    /// The piece, as far as it was kept.
    pub bytes: &'a [u8],
}

/// Puts the session requests of one direction together.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    id: u32,
    need: usize,
    text: Vec<u8>,
}

impl Assembler {
    /// Bytes held on the heap.
    pub const fn memory(&self) -> usize {
        self.text.capacity()
    }

    /// Takes a chunk as it comes at a switchboard.
    pub fn relayed<'a>(&'a mut self, chunk: &'a [u8]) -> Content<'a> {
        let whole = |header: &Header| {
            usize::try_from(header.size)
                .is_ok_and(|s| s.checked_add(HEADER + FOOTER) == Some(chunk.len()))
        };
        if wraps(chunk) {
            return Content::Malformed(OVERRUN);
        }
        if let Some(header) = Header::parse(chunk).filter(whole) {
            let end = chunk.len().saturating_sub(FOOTER);
            return self.version1(&header, chunk.get(HEADER..end).unwrap_or_default());
        }
        self.version2(
            chunk
                .get(..chunk.len().saturating_sub(FOOTER))
                .unwrap_or_default(),
        )
    }

    /// Takes a chunk as it comes over a direct connection.
    pub fn direct<'a>(&'a mut self, chunk: &'a [u8], length: usize) -> Content<'a> {
        let whole = |header: &Header| {
            usize::try_from(header.size).is_ok_and(|s| s.checked_add(HEADER) == Some(length))
        };
        if wraps(chunk) {
            return Content::Malformed(OVERRUN);
        }
        match Header::parse(chunk).filter(whole) {
            Some(header) => self.version1(&header, chunk.get(HEADER..).unwrap_or_default()),
            None => self.version2(chunk),
        }
    }

    fn version1<'a>(&'a mut self, header: &Header, data: &'a [u8]) -> Content<'a> {
        let piece = Data {
            session: header.session,
            offset: Some(header.offset),
            total: Some(header.total),
            size: u64::from(header.size),
            bytes: data,
        };
        match header.flags {
            FILE_DATA if header.session != 0 && header.size > 0 => return Content::File(piece),
            OBJECT_DATA if header.session != 0 && header.size > 4 => {
                return Content::Object(piece);
            }
            0 if header.session == 0 && header.size > 0 => {}
            _ => return Content::Nothing,
        }
        if header.offset == 0 {
            self.start(header.id, header.total);
        } else if self.id != header.id || usize::try_from(header.offset) != Ok(self.text.len()) {
            return Content::Nothing;
        }
        self.append(data)
    }

    fn version2<'a>(&'a mut self, chunk: &'a [u8]) -> Content<'a> {
        let Some((header, rest)) = chunk
            .first()
            .and_then(|length| chunk.split_at_checked(usize::from(*length)))
        else {
            return Content::Nothing;
        };
        let [_, _, high, low, _, _, _, _, ..] = header else {
            return Content::Nothing;
        };
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        let rest = rest.get(..size).unwrap_or(rest);
        let Some((header, data)) = rest
            .first()
            .and_then(|length| rest.split_at_checked(usize::from(*length)))
        else {
            return Content::Nothing;
        };
        let [_, kind, _, _, s0, s1, s2, s3, tlvs @ ..] = header else {
            return Content::Nothing;
        };
        let session = u32::from_be_bytes([*s0, *s1, *s2, *s3]);
        let piece = |session, bytes: &'a [u8]| Data {
            session,
            offset: None,
            total: None,
            size: bytes.len() as u64,
            bytes,
        };
        match (*kind, session) {
            (0, 0) if !data.is_empty() => {}
            (4, 1..) if data.len() > 4 => return Content::Object(piece(session, data)),
            (6, 1..) if !data.is_empty() => return Content::File(piece(session, data)),
            _ => return Content::Nothing,
        }
        // TLV 1 of 8 bytes: how much of the message is still to come.
        let remaining = match tlvs {
            [1, 8, value @ ..] => value
                .first_chunk::<8>()
                .map_or(0, |value| u64::from_be_bytes(*value)),
            _ => 0,
        };
        if self.need == 0 || data.starts_with(b"INVITE ") || data.starts_with(b"MSNSLP/") {
            self.start(0, remaining.saturating_add(data.len() as u64));
        }
        self.append(data)
    }

    fn start(&mut self, id: u32, total: u64) {
        self.id = id;
        self.need = usize::try_from(total).unwrap_or(MAX_TEXT).min(MAX_TEXT);
        self.text.clear();
    }

    /// Adds data; the request is told once, when all of it that is wanted is there.
    fn append(&mut self, data: &[u8]) -> Content<'_> {
        if self.need == 0 {
            return Content::Nothing;
        }
        let room = self.need.saturating_sub(self.text.len());
        self.text
            .extend_from_slice(data.get(..room).unwrap_or(data));
        if self.text.len() < self.need {
            return Content::Nothing;
        }
        self.need = 0;
        Content::Request(&self.text)
    }
}

/// Clients of 2008 wrote where such a chunk told them to.
const OVERRUN: &str = "P2P chunk that lies outside its message (CVE-2008-2927)";

/// A version 1 chunk of a session request that begins or ends outside its message. That it is one of version 1, its
/// other fields must show: flags that are in use, and a length that fits what follows.
fn wraps(chunk: &[u8]) -> bool {
    let word = |at: usize| {
        chunk
            .get(at..)
            .and_then(|b| b.first_chunk::<4>())
            .map_or(0, |b| u32::from_le_bytes(*b))
    };
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    let (session, offset, total, size, flags) =
        (word(0), long(8), long(16), word(24), word(28) & !LIVE);
    let follows = chunk.len().saturating_sub(HEADER);
    let fits = usize::try_from(size).is_ok_and(|s| follows == s || follows == s + FOOTER);
    let outside = offset
        .checked_add(u64::from(size))
        .is_none_or(|end| end > total);
    session == 0 && flags == 0 && size > 0 && fits && outside
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Assembler, Content, FILE_DATA, HEADER, Header, LIVE};

    /// A version 1 chunk without footer.
    pub fn version1(session: u32, offset: u64, total: u64, flags: u32, data: &[u8]) -> Vec<u8> {
        let mut chunk = Vec::new();
        chunk.extend_from_slice(&session.to_le_bytes());
        chunk.extend_from_slice(&7_u32.to_le_bytes());
        chunk.extend_from_slice(&offset.to_le_bytes());
        chunk.extend_from_slice(&total.to_le_bytes());
        chunk.extend_from_slice(&(data.len() as u32).to_le_bytes());
        chunk.extend_from_slice(&flags.to_le_bytes());
        chunk.extend_from_slice(&[9; 16]);
        assert_eq!(chunk.len(), HEADER);
        chunk.extend_from_slice(data);
        chunk
    }

    fn footed(mut chunk: Vec<u8>, app: u8) -> Vec<u8> {
        chunk.extend_from_slice(&[0, 0, 0, app]);
        chunk
    }

    #[test]
    fn a_request_in_two_chunks_is_put_together() {
        let mut assembler = Assembler::default();
        assert_eq!(
            assembler.relayed(&footed(version1(0, 0, 10, 0, b"INVITE"), 0)),
            Content::Nothing
        );
        assert_eq!(
            assembler.relayed(&footed(version1(0, 6, 10, 0, b" you"), 0)),
            Content::Request(b"INVITE you")
        );
        assert_eq!(
            assembler.relayed(&footed(version1(0, 6, 10, 0, b" you"), 0)),
            Content::Nothing
        );
    }

    #[test]
    fn a_missing_chunk_leaves_nothing_wrong_behind() {
        let mut assembler = Assembler::default();
        assert_eq!(
            assembler.relayed(&footed(version1(0, 0, 30, 0, b"INVITE"), 0)),
            Content::Nothing
        );
        assert_eq!(
            assembler.relayed(&footed(version1(0, 20, 30, 0, b"0123456789"), 0)),
            Content::Nothing
        );
    }

    #[test]
    fn file_data_is_told_from_acknowledgements() {
        let mut assembler = Assembler::default();
        assert_eq!(
            assembler.relayed(&footed(
                version1(5, 0, 21, FILE_DATA | LIVE, &[b'x'; 21]),
                2
            )),
            Content::File(super::Data {
                session: 5,
                offset: Some(0),
                total: Some(21),
                size: 21,
                bytes: &[b'x'; 21],
            })
        );
        assert_eq!(
            assembler.relayed(&footed(version1(5, 0, 21, 2, b""), 2)),
            Content::Nothing
        );
    }

    #[test]
    fn version_2_is_big_endian_with_two_headers() {
        let text = b"INVITE MSNMSGR:bob@example.com MSNSLP/1.0\r\n";
        let mut chunk = vec![
            8,
            3,
            0,
            8 + text.len() as u8,
            0,
            0,
            0,
            1,
            8,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        chunk.extend_from_slice(text);
        assert_eq!(
            Assembler::default().relayed(&footed(chunk, 0)),
            Content::Request(text)
        );
    }

    #[test]
    fn an_offset_that_wraps_is_refused() {
        // CVE-2008-2927: offset + size must not overflow.
        let mut chunk = version1(0, u64::MAX, 10, 0, b"INVITE");
        assert_eq!(Header::parse(&chunk), None);
        assert_eq!(
            Assembler::default().direct(&chunk, chunk.len()),
            Content::Malformed(super::OVERRUN)
        );
        chunk.truncate(20);
        assert_eq!(Header::parse(&chunk), None);
    }
}
