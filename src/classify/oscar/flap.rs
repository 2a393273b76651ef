//! FLAP, the framing of OSCAR and TOC: `*`, channel u8, sequence u16, length u16, payload.

use super::bytes::Bytes;
use super::snac::{self, Reading};
use super::toc;

/// Bytes before the payload.
pub const HEADER: usize = 6;
/// First byte of every frame.
pub const MARKER: u8 = b'*';
/// The payload of a sign-on frame without TLVs: the protocol's version.
pub const VERSION: [u8; 4] = [0, 0, 0, 1];

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// 1: version, then TLVs.
    SignOn,
    /// 2: a SNAC, or a line of TOC.
    Data,
    /// 3: an error.
    Error,
    /// 4: the end, or the answer to an old sign-on.
    Close,
    /// 5: nothing, so that the connection lives.
    KeepAlive,
}

impl Channel {
    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::SignOn),
            2 => Some(Self::Data),
            3 => Some(Self::Error),
            4 => Some(Self::Close),
            5 => Some(Self::KeepAlive),
            _ => None,
        }
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is for.
    pub channel: Channel,
    /// Counts frames of one direction.
    pub sequence: u16,
    /// Length of the payload, up to the full 65535: the largest frame met had 25815.
    pub len: usize,
}

/// How bytes read as the start of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<T> {
    /// It is there.
    Yes(T),
    /// It cannot be.
    No,
    /// It can be, and that many bytes would tell more.
    Short(usize),
}

impl Header {
    /// Reads a header at the start of `bytes`.
    pub fn read(bytes: &[u8]) -> Start<Self> {
        let mut cursor = Bytes::new(bytes);
        match cursor.u8() {
            None => return Start::Short(HEADER),
            Some(MARKER) => {}
            Some(_) => return Start::No,
        }
        let Some(channel) = cursor.u8() else {
            return Start::Short(HEADER);
        };
        let Some(channel) = Channel::from_byte(channel) else {
            return Start::No;
        };
        match (cursor.be16(), cursor.be16()) {
            (Some(sequence), Some(len)) => Start::Yes(Self {
                channel,
                sequence,
                len: usize::from(len),
            }),
            _ => Start::Short(HEADER),
        }
    }
}

/// Whether a frame of a stream that is known to be FLAP starts here: a header, and enough of what it
/// announces that payload bytes will not be taken for it.
fn frame_starts(bytes: &[u8]) -> Start<()> {
    let header = match Header::read(bytes) {
        Start::Yes(header) => header,
        Start::No => return Start::No,
        Start::Short(need) => return Start::Short(need),
    };
    let after = bytes.get(HEADER..).unwrap_or_default();
    match header.channel {
        Channel::SignOn => match prefix(after, &VERSION) {
            Start::Yes(()) if header.len >= VERSION.len() => Start::Yes(()),
            Start::Yes(()) | Start::No => Start::No,
            Start::Short(need) => Start::Short(HEADER.saturating_add(need)),
        },
        Channel::Data => data_starts(after, header.len),
        Channel::Close if header.len >= 4 => {
            let mut cursor = Bytes::new(after);
            match (cursor.be16(), cursor.be16()) {
                (Some(kind), Some(len))
                    if kind < 0x100 && usize::from(len).saturating_add(4) <= header.len =>
                {
                    Start::Yes(())
                }
                (Some(_), Some(_)) => Start::No,
                _ => Start::Short(HEADER + 4),
            }
        }
        // Six bytes are little to go by, so they count only in front of another frame.
        Channel::Close | Channel::KeepAlive if header.len == 0 => match after {
            [] | [MARKER] => Start::Short(HEADER + 2),
            [MARKER, 1..=5, ..] => Start::Yes(()),
            _ => Start::No,
        },
        _ => Start::No,
    }
}

fn data_starts(after: &[u8], len: usize) -> Start<()> {
    let payload = after.get(..len).unwrap_or(after);
    let snac = match snac::Header::read(payload) {
        Reading::Known(_) => return Start::Yes(()),
        Reading::Short => len >= snac::HEADER,
        Reading::Wrong => false,
    };
    match toc::starts(payload) {
        Start::Yes(_) => Start::Yes(()),
        _ if snac => Start::Short(HEADER + snac::HEADER),
        Start::Short(need) if need <= len => Start::Short(HEADER.saturating_add(need)),
        _ => Start::No,
    }
}

/// Whether `bytes` begin with `wanted`.
pub fn prefix(bytes: &[u8], wanted: &[u8]) -> Start<()> {
    if bytes.starts_with(wanted) {
        Start::Yes(())
    } else if wanted.starts_with(bytes) {
        Start::Short(wanted.len())
    } else {
        Start::No
    }
}

/// A frame as the reader hands it on.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What it is for.
    pub channel: Channel,
    /// The payload, or its first bytes if it is long or a part was lost.
    pub payload: &'a [u8],
    /// That is all of it.
    pub whole: bool,
    /// Where its header begins, seen from the first byte fed last; before it, if negative.
    pub start: isize,
}

/// Payload bytes kept of one frame. Whoever needs more than the head of a unit is after content, and
/// content is not looked at.
pub const KEPT: usize = 8 * 1024;

/// Cuts one direction of a stream into frames and finds back to them when the position is lost.
#[derive(Debug, Default)]
pub struct FrameReader {
    state: State,
    /// Less than a frame's start while no payload is being read, else the payload so far.
    held: Vec<u8>,
    /// Bytes between the header of the frame that is being read and the next byte to come.
    behind: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing read yet: a TOC client greets first.
    #[default]
    Beginning,
    /// The next byte is a header's first.
    Aligned,
    /// Somewhere in the stream.
    Lost,
    /// In a payload: `left` bytes of it are to come, and are kept unless some before them were lost.
    Payload {
        channel: Channel,
        left: usize,
        keep: bool,
    },
}

impl FrameReader {
    /// Bytes held on the heap.
    pub const fn memory(&self) -> usize {
        self.held.capacity()
    }

    /// Takes the next bytes of the stream and hands on every frame that they complete.
    pub fn feed(&mut self, bytes: &[u8], mut on_frame: impl FnMut(Frame<'_>)) {
        if matches!(self.state, State::Payload { .. }) || self.held.is_empty() {
            self.run(bytes, 0, &mut on_frame);
        } else {
            let mut joined = std::mem::take(&mut self.held);
            let held = joined.len();
            joined.extend_from_slice(bytes);
            self.run(&joined, held, &mut on_frame);
        }
    }

    /// `missing` bytes of the stream are lost.
    pub fn gap(&mut self, missing: u64, mut on_frame: impl FnMut(Frame<'_>)) {
        let State::Payload { channel, left, .. } = self.state else {
            self.state = State::Lost;
            self.held.clear();
            return;
        };
        let over = usize::try_from(missing)
            .ok()
            .and_then(|missing| left.checked_sub(missing));
        match over {
            Some(now) if now > 0 => {
                self.behind = self.behind.saturating_add(left.saturating_sub(now));
                self.state = State::Payload {
                    channel,
                    left: now,
                    keep: false,
                }
            }
            over => {
                on_frame(Frame {
                    channel,
                    payload: &self.held,
                    whole: false,
                    start: 0_isize.saturating_sub_unsigned(self.behind),
                });
                self.held.clear();
                self.state = if over.is_some() {
                    State::Aligned
                } else {
                    State::Lost
                };
            }
        }
    }

    /// Reads what was held before and what came now; the first `held` bytes are from before.
    fn run(&mut self, all: &[u8], held: usize, on_frame: &mut impl FnMut(Frame<'_>)) {
        let mut bytes = all;
        // Where in what came now the next byte stands.
        let at = |bytes: &[u8]| {
            isize::try_from(all.len().saturating_sub(bytes.len()))
                .unwrap_or(isize::MAX)
                .saturating_sub_unsigned(held)
        };
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Beginning => self.greeting(bytes),
                State::Aligned => self.frame(bytes, at(bytes), on_frame),
                State::Lost => self.hunt(bytes),
                State::Payload {
                    channel,
                    left,
                    keep,
                } => self.payload(bytes, at(bytes), (channel, left, keep), on_frame),
            };
        }
    }

    fn hold<'a>(&mut self, bytes: &[u8]) -> &'a [u8] {
        self.held.extend_from_slice(bytes);
        &[]
    }

    fn greeting<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match toc::greeting(bytes) {
            Start::Short(_) => self.hold(bytes),
            Start::Yes(len) => {
                self.state = State::Aligned;
                bytes.get(len..).unwrap_or_default()
            }
            Start::No => {
                self.state = State::Lost;
                bytes
            }
        }
    }

    fn frame<'a>(
        &mut self,
        bytes: &'a [u8],
        start: isize,
        on_frame: &mut impl FnMut(Frame<'_>),
    ) -> &'a [u8] {
        let header = match Header::read(bytes) {
            Start::Yes(header) => header,
            Start::Short(_) => return self.hold(bytes),
            Start::No => {
                self.state = State::Lost;
                return bytes;
            }
        };
        let after = bytes.get(HEADER..).unwrap_or_default();
        if let Some((payload, next)) = after.split_at_checked(header.len) {
            let kept = payload.get(..KEPT).unwrap_or(payload);
            on_frame(Frame {
                channel: header.channel,
                payload: kept,
                whole: kept.len() == payload.len(),
                start,
            });
            return next;
        }
        self.behind = HEADER;
        self.state = State::Payload {
            channel: header.channel,
            left: header.len,
            keep: true,
        };
        after
    }

    fn payload<'a>(
        &mut self,
        bytes: &'a [u8],
        at: isize,
        (channel, left, keep): (Channel, usize, bool),
        on_frame: &mut impl FnMut(Frame<'_>),
    ) -> &'a [u8] {
        let (part, next) = bytes.split_at_checked(left).unwrap_or((bytes, &[]));
        if keep {
            let room = KEPT.saturating_sub(self.held.len());
            self.held
                .extend_from_slice(part.get(..room).unwrap_or(part));
        }
        let left = left.saturating_sub(part.len());
        let start = at.saturating_sub_unsigned(self.behind);
        self.behind = self.behind.saturating_add(part.len());
        if left == 0 {
            on_frame(Frame {
                channel,
                payload: &self.held,
                whole: keep && self.behind == HEADER.saturating_add(self.held.len()),
                start,
            });
            self.held.clear();
            self.state = State::Aligned;
        } else {
            self.state = State::Payload {
                channel,
                left,
                keep,
            };
        }
        next
    }

    fn hunt<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        for at in memchr::memchr_iter(MARKER, bytes) {
            let candidate = bytes.get(at..).unwrap_or_default();
            match frame_starts(candidate) {
                Start::Yes(()) => {
                    self.state = State::Aligned;
                    return candidate;
                }
                Start::Short(_) => return self.hold(candidate),
                Start::No => {}
            }
        }
        &[]
    }
}

/// The TLVs of a sign-on frame whose version is right.
pub fn sign_on_tlvs(payload: &[u8]) -> Option<&[u8]> {
    payload.strip_prefix(&VERSION)
}

#[cfg(test)]
mod tests {
    use super::{Channel, FrameReader, KEPT};

    fn frame(channel: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![b'*', channel, 0, 1];
        bytes.extend(
            u16::try_from(payload.len())
                .unwrap_or(u16::MAX)
                .to_be_bytes(),
        );
        bytes.extend(payload);
        bytes
    }

    fn collect(reader: &mut FrameReader, bytes: &[u8], cut: usize) -> Vec<(Channel, Vec<u8>)> {
        let mut got = Vec::new();
        for chunk in bytes.chunks(cut) {
            reader.feed(chunk, |frame| {
                got.push((frame.channel, frame.payload.to_vec()));
            });
        }
        got
    }

    #[test]
    fn a_frame_says_where_it_begins() {
        let stream = [
            frame(1, &[0, 0, 0, 1]),
            frame(5, &[]),
            frame(2, &SNAC),
            frame(4, &[]),
        ]
        .concat();
        for cut in [1, 2, 3, 7, 13, stream.len()] {
            let (mut reader, mut starts, mut fed) = (FrameReader::default(), Vec::new(), 0_isize);
            for chunk in stream.chunks(cut) {
                reader.feed(chunk, |frame| starts.push(fed + frame.start));
                fed += isize::try_from(chunk.len()).unwrap_or(0);
            }
            assert_eq!(starts, [0, 10, 16, 34], "cut {cut}");
        }
    }

    const SNAC: [u8; 12] = [0, 4, 0, 7, 0, 0, 0, 0, 0, 1, 0xAA, 0xBB];

    #[test]
    fn frames_come_out_the_same_however_they_are_cut() {
        let stream = [
            frame(1, &[0, 0, 0, 1]),
            frame(5, &[]),
            frame(2, &SNAC),
            frame(4, &[]),
        ]
        .concat();
        for cut in [1, 2, 3, 7, stream.len()] {
            let got = collect(&mut FrameReader::default(), &stream, cut);
            let channels: Vec<_> = got.iter().map(|(channel, _)| *channel).collect();
            let wanted = [
                Channel::SignOn,
                Channel::KeepAlive,
                Channel::Data,
                Channel::Close,
            ];
            assert_eq!(channels, wanted, "cut {cut}");
            assert_eq!(
                got.get(2).map(|(_, payload)| payload.as_slice()),
                Some(&SNAC[..])
            );
        }
    }

    #[test]
    fn the_largest_frame_is_followed_but_not_kept() {
        let mut big = SNAC.to_vec();
        big.resize(65_535, b'*');
        let stream = [frame(2, &big), frame(2, &SNAC)].concat();
        for cut in [1, 1460, stream.len()] {
            let got = collect(&mut FrameReader::default(), &stream, cut);
            let lengths: Vec<_> = got.iter().map(|(_, payload)| payload.len()).collect();
            assert_eq!(lengths, [KEPT, SNAC.len()], "cut {cut}");
        }
    }

    #[test]
    fn a_stream_joined_in_the_middle_is_found() {
        // `*` with a channel byte inside the data must not start a frame.
        let stream = [
            b"end of data *\x02\x00\x01\x00\x40garbage*\x05\x00".to_vec(),
            frame(5, &[]),
            frame(2, &SNAC),
        ]
        .concat();
        for cut in [1, 3, stream.len()] {
            let got = collect(&mut FrameReader::default(), &stream, cut);
            assert_eq!(got.len(), 2, "cut {cut}");
        }
    }

    #[test]
    fn a_gap_inside_a_payload_keeps_the_position() {
        let mut reader = FrameReader::default();
        let stream = [
            frame(2, &[&SNAC[..], &[7; 100]].concat()),
            frame(5, &[]),
            frame(2, &SNAC),
        ]
        .concat();
        let mut got = collect(&mut reader, &stream[..20], 20);
        reader.gap(90, |frame| {
            got.push((frame.channel, frame.payload.to_vec()));
        });
        got.extend(collect(&mut reader, &stream[110..], 5));
        let lengths: Vec<_> = got.iter().map(|(_, payload)| payload.len()).collect();
        assert_eq!(
            lengths,
            [14, 0, 12],
            "the part before the gap, then the frames behind it"
        );
    }

    #[test]
    fn a_gap_over_the_end_of_a_frame_needs_a_new_start() {
        let mut reader = FrameReader::default();
        let mut got = collect(
            &mut reader,
            &frame(2, &[&SNAC[..], &[7; 20]].concat())[..20],
            20,
        );
        reader.gap(40, |frame| {
            got.push((frame.channel, frame.payload.to_vec()));
        });
        got.extend(collect(
            &mut reader,
            &[b"\x00\x00rest".to_vec(), frame(2, &SNAC)].concat(),
            1,
        ));
        assert_eq!(got.len(), 2);
    }

    #[test]
    fn memory_stays_bounded_on_noise() {
        let mut reader = FrameReader::default();
        for _ in 0..1000 {
            reader.feed(b"*\x02\x00\x00\xFF\xFF\x00\x04", |_| {});
        }
        assert!(reader.held.len() <= KEPT);
    }
}
