//! The enforcer's thread that holds the first packets of connections until the one that listens has looked at them (`--inline`).
//!
//! Nobody's connection hangs because of it. A packet without a word of its own is never held; any other waits for [`AT_ONCE`] at
//! most, and all packets of a connection together for [`IN_ALL`]. When the one that listens does not answer, everything passes until it
//! does again. What passes without having been looked at is counted.

use super::slip::{Numbers, Slip, Word, answers};
use crate::model::{Endpoint, FlowKey, Transport};
use crate::policy::Mark;
use crate::policy::live::{Connections, Order, Queue};
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use lru::LruCache;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// So long a packet waits at most.
const AT_ONCE: Duration = Duration::from_millis(250);
/// So long those of a connection wait together, at most.
const IN_ALL: Duration = Duration::from_millis(750);
/// Connections that are remembered, and packets that wait.
const ROOM: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8191);
const MOST: usize = 8192;
/// Packets that are taken before answers are looked at.
const TOGETHER: usize = 64;
/// Time between two reports of how it goes.
const METER: Duration = Duration::from_secs(1);

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is marked, and refused from now on.
    Cut,
    /// It is left alone.
    Left,
    /// It was dealt with before.
    Known,
}

/// The thread, as the enforcer knows it.
pub struct Gate {
    fates: Option<Sender<(FlowKey, Fate)>>,
    bell: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Gate {
    /// Begins to hold. `mark` is that of connections that are cut.
    pub fn begin(queue: Queue, listener: OwnedFd, mark: Mark) -> io::Result<Self> {
        let bell = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
        let (sender, fates) = channel();
        let keeper = Keeper {
            queue,
            listener,
            fates,
            bell: Arc::clone(&bell),
            kernel: Connections::open()?,
            mark,
            connections: LruCache::new(ROOM),
            held: 0,
            deadlines: VecDeque::new(),
            asked: VecDeque::new(),
            sleeps_until: None,
            numbers: Numbers::default(),
            told: Instant::now(),
        };
        let builder = thread::Builder::new().name("gate".to_owned());
        let thread = builder.spawn(move || keeper.work())?;
        Ok(Self {
            fates: Some(sender),
            bell,
            thread: Some(thread),
        })
    }

    /// Packets of this connection need not wait any more.
    pub fn settle(&self, order: &Order, fate: Fate) {
        let key = FlowKey::new(order.transport, order.client, order.server);
        if let Some(fates) = &self.fates
            && fates.send((key, fate)).is_ok()
        {
            self.ring();
        }
    }

    fn ring(&self) {
        let _ = rustix::io::write(&*self.bell, &1_u64.to_ne_bytes());
    }
}

impl Drop for Gate {
    /// Lets everything go.
    fn drop(&mut self) {
        self.fates = None;
        self.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A connection of which there was a packet.
struct Connection {
    ends: (Endpoint, Endpoint),
    /// Packets that wait, in order, and since when.
    held: VecDeque<(u32, Instant)>,
    /// How long they had to wait until they were let go undecided.
    spent: Duration,
    /// Nothing of it is held any more.
    over: bool,
    /// It is refused.
    cut: bool,
}

impl Connection {
    fn between(ends: (Endpoint, Endpoint)) -> Self {
        Self {
            ends,
            held: VecDeque::new(),
            spent: Duration::ZERO,
            over: false,
            cut: false,
        }
    }
}

/// A packet that the one that listens was asked about.
struct Asked {
    id: u32,
    key: FlowKey,
    at: Instant,
}

struct Keeper {
    queue: Queue,
    listener: OwnedFd,
    fates: Receiver<(FlowKey, Fate)>,
    bell: Arc<OwnedFd>,
    kernel: Connections,
    mark: Mark,
    connections: LruCache<FlowKey, Connection>,
    /// Packets that wait.
    held: usize,
    /// In order: when whose packet began to wait.
    deadlines: VecDeque<(Instant, FlowKey)>,
    /// Packets that were not answered yet, in order.
    asked: VecDeque<Asked>,
    /// The one that listens does not; it does again when it has said something about this packet.
    sleeps_until: Option<u32>,
    numbers: Numbers,
    /// When it was told last how it goes.
    told: Instant,
}

impl Keeper {
    fn work(mut self) {
        // An error is the end of one of the two sockets: nothing is left to be asked, or nobody.
        while let Ok(true) = self.round() {}
        let _ = self.let_all_go();
        self.tell();
    }

    /// Whether it is to go on.
    fn round(&mut self) -> io::Result<bool> {
        let first = self.deadlines.front();
        let wait = first.map_or(METER, |(since, _)| {
            (*since + AT_ONCE).saturating_duration_since(Instant::now())
        });
        let mut sources = [
            PollFd::new(&self.queue, PollFlags::IN),
            PollFd::new(&self.listener, PollFlags::IN),
            PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN),
        ];
        let timeout = Timespec {
            tv_sec: wait.as_secs().cast_signed(),
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        match poll(&mut sources, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let _ = rustix::io::read(&*self.bell, &mut [0; 8]);
        loop {
            match self.fates.try_recv() {
                Ok((key, fate)) => self.settle(key, fate)?,
                Err(std::sync::mpsc::TryRecvError::Empty) => break,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return Ok(false),
            }
        }
        for (id, word) in answers(&self.listener)? {
            self.answered(id, word)?;
        }
        let now = Instant::now();
        for _ in 0..TOGETHER {
            let Some(waiting) = self.queue.take()? else {
                break;
            };
            let (id, packet) = (waiting.id, waiting.packet.to_vec());
            self.arrived(id, &packet, now)?;
        }
        self.look_at_the_time(now)?;
        if self.told.elapsed() >= METER {
            self.tell();
        }
        Ok(true)
    }

    /// A packet came.
    fn arrived(&mut self, id: u32, packet: &[u8], now: Instant) -> io::Result<()> {
        let Some(Headline {
            ends,
            opens,
            has_payload,
        }) = headline(packet)
        else {
            // None that anybody here could say something about.
            self.numbers.unheld += 1;
            return self.queue.pass(id);
        };
        let key = FlowKey::new(Transport::Tcp, ends.0, ends.1);
        // What is remembered is of one that had the same addresses before.
        if opens && let Some(former) = self.connections.pop(&key) {
            self.release(former.held)?;
        }
        let over = self.connections.peek(&key).is_some_and(|it| it.over);
        if !has_payload || over {
            Slip::Shown(packet).send(&self.listener);
            return self.queue.pass(id);
        }
        let full = self.sleeps_until.is_some() || self.held >= MOST;
        if full || !Slip::Asked(id, packet).send(&self.listener) {
            self.numbers.unheld += 1;
            if full {
                Slip::Shown(packet).send(&self.listener);
            }
            return self.queue.pass(id);
        }
        self.numbers.asked += 1;
        self.asked.push_back(Asked { id, key, at: now });
        self.deadlines.push_back((now, key));
        if self.connections.get(&key).is_none()
            && let Some((_, oldest)) = self.connections.push(key, Connection::between(ends))
        {
            self.release(oldest.held)?;
        }
        if let Some(connection) = self.connections.get_mut(&key) {
            connection.held.push_back((id, now));
            self.held += 1;
        }
        Ok(())
    }

    /// The one that listens has said something.
    fn answered(&mut self, id: u32, word: Word) -> io::Result<()> {
        if self.sleeps_until == Some(id) {
            self.sleeps_until = None;
        }
        // It answers in order; what it has not answered by now it will not.
        let Some(at) = self.asked.iter().position(|asked| asked.id == id) else {
            return Ok(());
        };
        let Some(Asked { key, .. }) = self.asked.drain(..=at).next_back() else {
            return Ok(());
        };
        let Some(connection) = self.connections.get_mut(&key) else {
            return Ok(());
        };
        match word {
            Word::Wait => {
                self.numbers.held += u64::from(connection.held.iter().any(|it| it.0 == id));
                Ok(())
            }
            Word::Pass => {
                let known = connection.held.iter().position(|it| it.0 == id);
                let go = connection
                    .held
                    .drain(..known.map_or(0, |at| at + 1))
                    .collect();
                self.release(go)
            }
            Word::Over => self.settle(key, Fate::Left),
        }
    }

    /// What becomes of a connection is known.
    fn settle(&mut self, key: FlowKey, fate: Fate) -> io::Result<()> {
        let mark = match fate {
            Fate::Cut => Some(self.mark),
            Fate::Left => Some(self.mark.opposite()),
            Fate::Known => None,
        };
        let Some(connection) = self.connections.get_mut(&key) else {
            return Ok(());
        };
        connection.over = true;
        let was_cut = connection.cut;
        connection.cut |= fate == Fate::Cut;
        let go = std::mem::take(&mut connection.held);
        // What was cut in the meantime stays cut, whoever comes last.
        if let Some(mark) = mark.filter(|_| !was_cut || fate == Fate::Cut) {
            // If the kernel has forgotten it there is nothing to mark.
            let _ = self.kernel.mark_now(Transport::Tcp, connection.ends, mark);
        }
        self.release(go)
    }

    fn release(&mut self, packets: VecDeque<(u32, Instant)>) -> io::Result<()> {
        for (id, _) in packets {
            self.held = self.held.saturating_sub(1);
            self.queue.pass(id)?;
        }
        Ok(())
    }

    /// Lets go what has waited for long enough.
    fn look_at_the_time(&mut self, now: Instant) -> io::Result<()> {
        let is_due = |since: &Instant| now.duration_since(*since) >= AT_ONCE;
        if let Some(asked) = self.asked.front()
            && is_due(&asked.at)
        {
            self.sleeps_until = self.asked.back().map(|asked| asked.id);
            let unanswered = self.asked.drain(..).count() as u64;
            self.numbers.unheld += unanswered;
            self.deadlines.clear();
            return self.let_all_go();
        }
        while let Some((since, key)) = self.deadlines.front().copied()
            && is_due(&since)
        {
            self.deadlines.pop_front();
            let Some(connection) = self.connections.get_mut(&key) else {
                continue;
            };
            let Some((_, first)) = connection.held.front().copied() else {
                continue;
            };
            if !is_due(&first) {
                continue;
            }
            connection.spent += now.duration_since(first);
            let enough = connection.spent >= IN_ALL;
            let go = std::mem::take(&mut connection.held);
            self.numbers.late += go.len() as u64;
            self.release(go)?;
            if enough {
                self.numbers.given_up += 1;
                self.settle(key, Fate::Left)?;
            }
        }
        Ok(())
    }

    fn let_all_go(&mut self) -> io::Result<()> {
        let mut all: Vec<(u32, Instant)> = Vec::with_capacity(self.held);
        for (_, connection) in &mut self.connections {
            all.extend(connection.held.drain(..));
        }
        all.sort_unstable_by_key(|it| it.0);
        self.release(all.into())
    }

    /// Says how it goes, whether or not that is news: it is a sign of life as well.
    fn tell(&mut self) {
        let mut numbers = self.numbers;
        numbers.unheld += self.queue.missed();
        self.told = Instant::now();
        Slip::Numbers(numbers).send(&self.listener);
    }
}

/// What a packet is held by.
struct Headline {
    /// Between whom it goes.
    ends: (Endpoint, Endpoint),
    /// It opens a connection.
    opens: bool,
    has_payload: bool,
}

/// `None` for what is no TCP segment.
fn headline(packet: &[u8]) -> Option<Headline> {
    let packet = LaxSlicedPacket::from_ip(packet).ok()?;
    let (from, to): (IpAddr, IpAddr) = match packet.net? {
        LaxNetSlice::Ipv4(it) => {
            let header = it.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
            )
        }
        LaxNetSlice::Ipv6(it) => {
            let header = it.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
            )
        }
        LaxNetSlice::Arp(_) => return None,
    };
    let TransportSlice::Tcp(tcp) = packet.transport? else {
        return None;
    };
    let ends = (
        Endpoint::new(from, tcp.source_port()),
        Endpoint::new(to, tcp.destination_port()),
    );
    Some(Headline {
        ends,
        opens: tcp.syn() && !tcp.ack(),
        has_payload: !tcp.payload().is_empty(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    #[test]
    fn what_a_packet_is_held_by() {
        let packet = |flags: &str, text: &[u8]| {
            let builder = PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 1], 64);
            let mut builder = builder.tcp(50_000, 5190, 7, 1000);
            if flags.contains('s') {
                builder = builder.syn();
            }
            if flags.contains('a') {
                builder = builder.ack(9);
            }
            let mut bytes = Vec::new();
            builder.write(&mut bytes, text).unwrap();
            bytes
        };
        for (flags, text, opens, has_payload) in [
            ("s", &b""[..], true, false),
            ("sa", b"", false, false),
            ("a", b"", false, false),
            ("a", b"x", false, true),
            // Fast open.
            ("s", b"x", true, true),
        ] {
            let bytes = packet(flags, text);
            let found = headline(&bytes).unwrap();
            assert_eq!(
                (found.opens, found.has_payload),
                (opens, has_payload),
                "{flags}"
            );
            let ports = (found.ends.0.port, found.ends.1.port);
            assert_eq!(ports, (50_000, 5190));
            // However it is cut, nothing fails.
            for length in 0..bytes.len() {
                let _ = headline(&bytes[..length]);
            }
        }
        let six = PacketBuilder::ipv6([1; 16], [2; 16], 64)
            .tcp(1, 2, 3, 4)
            .ack(5);
        let mut bytes = Vec::new();
        six.write(&mut bytes, b"x").unwrap();
        assert!(headline(&bytes).is_some_and(|it| it.has_payload));
        // Destination options in front of it.
        bytes[6] = 60;
        bytes.splice(40..40, [6, 0, 1, 4, 0, 0, 0, 0]);
        bytes[5] += 8;
        assert!(headline(&bytes).is_some_and(|it| it.has_payload));
        let mut datagram = Vec::new();
        let udp = PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 1], 64).udp(1, 2);
        udp.write(&mut datagram, b"x").unwrap();
        assert!(headline(&datagram).is_none());
        assert!(headline(&[]).is_none());
    }
}
