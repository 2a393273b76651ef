//! Follows packets: who they are from, whether the other side answers them, and what the commands say.

use super::detector::PREFIX;
use super::names::{self, command};
use super::packet::{Age, HEAD, Length, Packet, read};
use crate::classify::units::{Sides, Step};
use crate::classify::{Dissector, Events, Unit};
use crate::model::{Activity, Confidence, Direction, Event, Evidence, Party, feature, risk, what};

/// Packets that are remembered, for their answers and so that one that is sent again counts once.
const REMEMBERED: usize = 16;
/// So many prove nothing: it is something else.
const PATIENCE: u8 = 64;

/// What is known of a session.
#[derive(Default)]
struct Known {
    /// Which direction is the client's: the packets say so.
    client: Option<Direction>,
    version: Option<u16>,
    number: Option<u32>,
    sure: Option<Confidence>,
    recent: Vec<Packet>,
    /// What was said before it was sure what this is.
    waiting: Vec<(Packet, Unit)>,
    /// Whose number, and whether a version was told.
    told: (Option<u32>, bool),
    looked: u8,
}

impl Known {
    fn new(is_named: bool) -> Self {
        Self {
            sure: is_named.then_some(Confidence::Probable),
            ..Self::default()
        }
    }

    fn packet(&mut self, direction: Direction, packet: Packet, out: &mut Events) {
        self.looked = self.looked.saturating_add(1);
        if !self.fits(direction, &packet) {
            return;
        }
        let asked = |it: &&Packet| {
            it.by_client != packet.by_client
                && (it.command, it.sequence) == (packet.command, packet.sequence)
        };
        let other = |it: &&Packet| {
            it.by_client == packet.by_client
                && it.command != packet.command
                && it.sequence != packet.sequence
        };
        let again = |it: &&Packet| {
            it.by_client == packet.by_client
                && (it.command, it.sequence) == (packet.command, packet.sequence)
        };
        let proof = if self.recent.iter().any(|it| asked(&it)) {
            Some((Confidence::Confirmed, "a request and its answer"))
        } else if packet.account().is_some() && self.recent.iter().any(|it| other(&it)) {
            Some((Confidence::Probable, "two commands with one account"))
        } else if packet.is_unmistakable() {
            Some((Confidence::Probable, "what a client says of itself"))
        } else {
            None
        };
        if let Some((sure, why)) = proof.filter(|(sure, _)| Some(*sure) > self.sure) {
            if let Some(client) = self.client.filter(|_| self.sure.is_none()) {
                out.push(Event::ClientIs(client));
            }
            self.sure = Some(sure);
            out.identified(super::format(), sure, Evidence::payload(super::FORMAT, why));
        }
        if self.recent.iter().any(|it| again(&it)) {
            return;
        }
        if self.recent.len() == REMEMBERED {
            self.recent.remove(0);
        }
        self.recent.push(packet.clone());
        if self.sure.is_none() {
            if self.waiting.len() < REMEMBERED {
                self.waiting.push((packet, out.unit()));
            }
            return;
        }
        for (earlier, unit) in std::mem::take(&mut self.waiting) {
            out.of(unit, |out| self.tell(&earlier, out));
        }
        self.tell(&packet, out);
    }

    /// Whether a packet is of the same client as those before it.
    fn fits(&mut self, direction: Direction, packet: &Packet) -> bool {
        let client = if packet.by_client {
            direction
        } else {
            direction.reverse()
        };
        if self.client.is_some_and(|known| known != client) {
            return false;
        }
        // One whose end was not seen must repeat the number; one that speaks for itself may bring another.
        let same = match (packet.account(), self.number) {
            (Some(number), Some(known)) => number == known,
            _ => packet.ends,
        };
        if !same && !packet.is_unmistakable() {
            return false;
        }
        if packet.by_client {
            let version = *self.version.get_or_insert(packet.version);
            if version != packet.version && packet.age == Age::Early {
                return false;
            }
        }
        self.client = Some(client);
        self.number = packet.account().or(self.number);
        true
    }

    fn tell(&mut self, packet: &Packet, out: &mut Events) {
        if let Some(number) = packet.account().filter(|it| Some(*it) != self.told.0) {
            self.told.0 = Some(number);
            out.push(Event::Account(number.to_string()));
        }
        if packet.by_client && !self.told.1 {
            self.told.1 = true;
            let client = names::client(packet.version, packet.is_tim);
            out.push(Event::Client(client));
        }
        let own = |what| Activity::new(what).by(Party::Own);
        match (packet.age, packet.by_client, packet.command) {
            (Age::Early, true, command::LOGIN) if packet.version < names::OF_2007 => {
                out.push(Event::SignOn("md5"));
                out.push(Event::Feature(feature::SIGN_ON));
                // Its key stands in front of it, and what the password was tried on in it: passwords can be tried.
                out.push(Event::Risk(risk::WEAK_SIGN_ON));
            }
            // The password was asked for before.
            (Age::Early, true, command::LOGIN) => out.push(Event::Feature(feature::SIGN_ON)),
            (_, true, command::PASSWORD) | (Age::Late, true, command::LATE_LOGIN) => {
                out.push(Event::Feature(feature::SIGN_ON));
                out.done(own(what::SIGN_ON));
            }
            (Age::Early, true, command::LOGOUT) | (Age::Late, true, command::LATE_LOGOUT) => {
                out.done(own(what::SIGN_OFF));
            }
            (Age::Early, true, command::SEND_MESSAGE)
            | (Age::Early, false, command::RECEIVE_MESSAGE)
            | (Age::Late, true, command::LATE_SEND_MESSAGE)
            | (Age::Late, false, command::LATE_RECEIVE_MESSAGE) => {
                out.push(Event::Feature(feature::MESSAGE));
                out.done(Activity::between(what::MESSAGE, packet.by_client, None));
            }
            (Age::Early, true, command::CHANGE_STATUS)
            | (Age::Late, true, command::LATE_CHANGE_STATUS) => {
                out.push(Event::Feature(feature::PRESENCE));
                out.done(own(what::STATUS));
            }
            (Age::Early, true, command::FRIEND_LIST) | (_, true, command::FRIENDS_ONLINE) => {
                out.push(Event::Feature(feature::CONTACT_LIST));
            }
            _ => {}
        }
    }

    fn is_done(&self) -> bool {
        self.looked >= PATIENCE && self.sure.is_none()
    }

    fn memory(&self) -> usize {
        self.recent.capacity() * size_of::<Packet>()
            + self.waiting.capacity() * size_of::<(Packet, Unit)>()
    }
}

/// Datagrams.
pub(super) struct Exchange {
    known: Known,
}

impl Exchange {
    /// Those of a flow, named by its first packet or not.
    pub(super) fn new(is_named: bool) -> Self {
        let known = Known::new(is_named);
        Self { known }
    }
}

impl Dissector for Exchange {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        if self.known.is_done() {
            return;
        }
        // A capture that cuts does not say here where.
        let packet = read(bytes, Length::Seen(bytes.len()));
        let packet = packet.or_else(|| read(bytes, Length::Unknown));
        match packet {
            Some(packet) => self.known.packet(direction, packet, out),
            None => self.known.looked = self.known.looked.saturating_add(1),
        }
    }

    fn is_done(&self) -> bool {
        self.known.is_done()
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.known.memory()
    }
}

/// Packets over TCP, each behind its length.
pub(super) struct Talk {
    known: Known,
    sides: Sides,
}

impl Talk {
    /// Those of a stream, named by its first packet or not.
    pub(super) fn new(is_named: bool) -> Self {
        Self {
            known: Known::new(is_named),
            sides: Sides::default(),
        }
    }
}

impl Known {
    /// The next packet of a stream.
    fn step(&mut self, direction: Direction, held: &[u8], out: &mut Events) -> Step {
        if self.is_done() {
            return Step::Lost;
        }
        let [high, low, mark, ..] = held else {
            return Step::Wait;
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length <= PREFIX || *mark != 2 {
            return Step::Lost;
        }
        let head = length.min(PREFIX + HEAD);
        let Some(first) = held.get(PREFIX..head) else {
            return Step::WaitFor(head);
        };
        match read(first, Length::Framed(length - PREFIX)) {
            Some(packet) => self.packet(direction, packet, out),
            None => self.looked = self.looked.saturating_add(1),
        }
        Step::Past(length)
    }
}

impl Dissector for Talk {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        self.sides.feed(direction, bytes, PREFIX + HEAD, |held| {
            self.known.step(direction, held, out)
        });
    }

    fn gap(&mut self, direction: Direction, missing: u64, _: &mut Events) {
        self.sides.gap(direction, missing);
    }

    fn is_done(&self) -> bool {
        self.known.is_done() || self.sides.are_lost()
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.known.memory() + self.sides.memory()
    }
}
