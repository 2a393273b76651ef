//! Packets that wait for a word, on the side of the one that listens (`--inline`).
//!
//! They come from the enforcer, before they go on, and once more from the interface, before or after that. Whichever copy is
//! here first walks the road; the other is known by what is in it, and only asked about. So nothing is counted twice, and what
//! passed without waiting, since somebody was slow, is seen all the same.

use super::handle::Handle;
use super::slip::{LONGEST, Slip, Word, answer};
use crate::capture::live::now;
use crate::capture::{Frame, Frames, Record};
use crate::classify::engine::Standing;
use crate::model::{FlowKey, LinkType, Packet, Timestamp, TransportHeader};
use crate::packet::{Decoded, FrameMeta, Plain, decode};
use crate::pipeline::{Road, Sink, frame_meta};
use foldhash::fast::RandomState;
use lru::LruCache;
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Beginning connections that are remembered, and packets of each.
const ROOM: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8191);
const PACKETS: usize = 128;
/// Both copies of a packet are here within this time, and before so many more are seen of the connection.
const APART: Duration = Duration::from_secs(2);
const BEHIND: u32 = 256;
/// Packets that are looked at before interfaces are again.
const TOGETHER: usize = 256;
/// Whoever holds packets says every second how it goes. After so long without a word it is told that it does not.
const SILENCE: Duration = Duration::from_secs(5);
/// Who comes back after so long was held up: others may have spoken meanwhile.
const ABSENT: Duration = Duration::from_secs(1);

/// A connection that begins.
#[derive(Debug)]
struct Beginning {
    /// What its packets are known by.
    packets: VecDeque<u64>,
    /// When the last of them came to wait, and how many were seen on interfaces since.
    at: Instant,
    behind: u32,
    /// No more will come to wait.
    over: bool,
    /// Its end was asked for.
    asked: bool,
}

impl Beginning {
    fn new(at: Instant) -> Self {
        Self {
            packets: VecDeque::new(),
            at,
            behind: 0,
            over: false,
            asked: false,
        }
    }

    /// The same, and what it says of the connection: one that opens it means another than before.
    fn takes(&mut self, packet: &Packet<'_>, print: u64) -> bool {
        let is_new = self.is_new(print);
        if is_new
            && let TransportHeader::Tcp(header) = packet.header
            && header.flags.syn
            && !header.flags.ack
        {
            (self.over, self.asked) = (false, false);
        }
        is_new
    }

    /// Whether this packet was not here before.
    fn is_new(&mut self, print: u64) -> bool {
        if self.packets.contains(&print) {
            return false;
        }
        if self.packets.len() == PACKETS {
            self.packets.pop_front();
        }
        self.packets.push_back(print);
        true
    }
}

/// What the one that listens remembers of packets that wait.
#[derive(Debug)]
pub struct Inline {
    socket: OwnedFd,
    buffer: Vec<u8>,
    beginnings: LruCache<FlowKey, Beginning>,
    hasher: RandomState,
    /// When it was heard how it goes, but for times in which nobody listened; and when somebody did.
    heard: Instant,
    listened: Instant,
}

impl Inline {
    /// Over this socket.
    pub fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            buffer: vec![0; LONGEST],
            beginnings: LruCache::new(ROOM),
            hasher: RandomState::default(),
            heard: Instant::now(),
            listened: Instant::now(),
        }
    }

    /// The socket once more, to wait for.
    pub fn socket(&self) -> std::io::Result<OwnedFd> {
        self.socket.try_clone()
    }

    /// Looks at packets that wait, and says what is to become of them.
    pub fn serve(&mut self, road: &mut Road<'_>, sink: &mut dyn Sink, enforcer: &Handle) {
        let mut answers = Vec::new();
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut numbers = None;
        for _ in 0..TOGETHER {
            match Slip::receive(&self.socket, &mut buffer) {
                Some(Slip::Asked(id, packet)) => {
                    answers.push((id, self.look(packet, road, sink, enforcer)));
                }
                Some(Slip::Shown(packet)) => {
                    self.look(packet, road, sink, enforcer);
                }
                Some(Slip::Numbers(news)) => numbers = Some(news),
                None => break,
            }
        }
        self.buffer = buffer;
        answer(&answers, &self.socket);
        let now = Instant::now();
        let away = now.duration_since(self.listened);
        self.listened = now;
        if let Some(numbers) = numbers {
            self.heard = now;
            enforcer.count(numbers);
        } else if away >= ABSENT {
            self.heard += away;
        } else if now.duration_since(self.heard) >= SILENCE {
            enforcer.hears_nothing();
        }
    }

    fn look(
        &mut self,
        bytes: &[u8],
        road: &mut Road<'_>,
        sink: &mut dyn Sink,
        enforcer: &Handle,
    ) -> Word {
        let records = [Record {
            timestamp: now(),
            link: LinkType::RAW,
            wire_len: bytes.len() as u32,
            start: 0,
            len: bytes.len(),
        }];
        let meta = FrameMeta {
            number: 0,
            timestamp: Timestamp::default(),
            link: LinkType::RAW,
            wire_len: bytes.len() as u32,
        };
        let Decoded::Packet(packet) = decode(meta, bytes) else {
            road.frames(Frames::new(bytes, &records), sink);
            return Word::Pass;
        };
        let key = packet.headline().key;
        let print = self.print(&packet);
        let at = Instant::now();
        let beginning = self
            .beginnings
            .get_or_insert_mut(key, || Beginning::new(at));
        (beginning.at, beginning.behind) = (at, 0);
        if beginning.takes(&packet, print) {
            road.frames(Frames::new(bytes, &records), sink);
            self.note(enforcer);
        }
        if self.beginnings.peek(&key).is_some_and(|it| it.asked) {
            return Word::Wait;
        }
        match road.standing(&key) {
            Some(Standing::Doubt) => Word::Wait,
            Some(Standing::Over) => {
                if let Some(beginning) = self.beginnings.peek_mut(&key) {
                    beginning.over = true;
                }
                Word::Over
            }
            Some(Standing::Followed) | None => Word::Pass,
        }
    }

    /// Frames of an interface without those that came to wait before they were seen there.
    pub fn fresh<'b>(&mut self, frames: Frames<'b>, kept: &'b mut Vec<Record>) -> Frames<'b> {
        let at = Instant::now();
        frames.only(&mut |frame| self.is_fresh(frame, at), kept)
    }

    fn is_fresh(&mut self, frame: &Frame<'_>, at: Instant) -> bool {
        let meta = frame_meta(0, frame);
        let (key, packet) = if let Some(plain) = Plain::read(frame.link, frame.data) {
            let headline = plain.headline(&meta);
            if !headline.opens_or_ends && !self.beginnings.contains(&headline.key) {
                return true;
            }
            (headline.key, plain.packet(&meta))
        } else {
            let Decoded::Packet(packet) = decode(meta, frame.data) else {
                return true;
            };
            (packet.headline().key, packet)
        };
        let TransportHeader::Tcp(header) = packet.header else {
            return true;
        };
        let print = self.print(&packet);
        if header.flags.syn {
            let beginning = self
                .beginnings
                .get_or_insert_mut(key, || Beginning::new(at));
            return beginning.takes(&packet, print);
        }
        let Some(beginning) = self.beginnings.peek_mut(&key) else {
            return true;
        };
        beginning.behind += 1;
        let late = beginning.over && at.duration_since(beginning.at) > APART;
        if late || beginning.behind > BEHIND {
            self.beginnings.pop(&key);
            return true;
        }
        beginning.takes(&packet, print)
    }

    /// Remembers whose end was asked for.
    pub fn note(&mut self, enforcer: &Handle) {
        for key in enforcer.take_asked() {
            if let Some(beginning) = self.beginnings.peek_mut(&key) {
                beginning.asked = true;
            }
        }
    }

    /// What a packet is known by, wherever it is seen: routers and cards change other things.
    fn print(&self, packet: &Packet<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        if let TransportHeader::Tcp(tcp) = packet.header {
            let flags = tcp.flags;
            hasher.write_u32(tcp.seq);
            hasher.write_u32(tcp.ack);
            let from_low = packet.headline().sent_by_low;
            hasher.write(&[flags.syn, flags.ack, flags.fin, flags.rst, from_low].map(u8::from));
        }
        hasher.write(packet.payload);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_new_once_and_the_oldest_are_forgotten() {
        let mut beginning = Beginning::new(Instant::now());
        for print in 0..PACKETS as u64 {
            assert!(beginning.is_new(print));
            assert!(!beginning.is_new(print));
        }
        assert!(beginning.is_new(1000));
        assert!(beginning.is_new(0), "the first one");
        assert!(!beginning.is_new(1000));
        assert_eq!(beginning.packets.len(), PACKETS);
    }
    #[test]
    fn one_that_opens_anew_is_not_what_was_there_before() {
        let flags = |syn, ack| crate::model::TcpFlags {
            syn,
            ack,
            ..Default::default()
        };
        let packet = |seq, flags| {
            let end = |port| crate::model::Endpoint::new([192, 0, 2, 1].into(), port);
            let header = TransportHeader::Tcp(crate::model::TcpHeader { seq, ack: 0, flags });
            Packet {
                number: 1,
                timestamp: Timestamp::default(),
                src: end(1),
                dst: end(2),
                header,
                payload: &[],
                cut: 0,
                wire_len: 40,
                path: crate::model::LayerPath::default(),
                card: None,
            }
        };
        let mut beginning = Beginning::new(Instant::now());
        assert!(beginning.takes(&packet(1, flags(true, false)), 1));
        (beginning.over, beginning.asked) = (true, true);
        assert!(
            !beginning.takes(&packet(1, flags(true, false)), 1),
            "repeated"
        );
        assert!(
            beginning.takes(&packet(2, flags(true, true)), 2),
            "its answer"
        );
        assert!(beginning.over && beginning.asked);
        assert!(beginning.takes(&packet(3, flags(true, false)), 3));
        assert!(!beginning.over && !beginning.asked);
    }
}
