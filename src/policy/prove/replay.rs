//! A capture's packets, one after the other, and what became of each flow.

use super::{Firewall, Lab, ProveError, segment};
use crate::model::{Direction, Endpoint, Packet, TcpFlags, TransportHeader};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Flows whose rule is asked for by reading all counters; more are counted without their rule.
const ATTRIBUTED: usize = 1000;

/// What became of a flow's packets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// Packets sent, by either side.
    pub sent: u64,
    /// Of those, packets that did not arrive.
    pub refused: u64,
    /// Packets that nobody would have sent, since what they answer did not arrive.
    pub withheld: u64,
    /// Packets with payload that were sent or withheld.
    pub offered: u64,
    /// Packets with payload that arrived.
    pub arrived: u64,
    /// The rule that refused the first one, where it can be told.
    pub rule: Option<String>,
}

/// A flow while its packets go by.
struct Flow {
    client: Endpoint,
    fate: Fate,
    /// The lowest sequence number of either side that did not arrive.
    lost: [Option<u32>; 2],
    /// Whether anything of either side has arrived.
    heard: [bool; 2],
    /// Who spoke first in the capture.
    opener: Option<Direction>,
    /// Payload counts: behind a proxy's greeting, which is no messenger's.
    counts: bool,
}

/// A replay through a lab.
pub struct Replay<'a> {
    lab: &'a mut Lab,
    firewall: Option<&'a Firewall>,
    flows: BTreeMap<u64, Flow>,
    counters: BTreeMap<String, u64>,
    attributed: usize,
}

impl<'a> Replay<'a> {
    /// A replay against these rules, or none at all.
    pub fn new(lab: &'a mut Lab, firewall: Option<&'a Firewall>) -> Result<Self, ProveError> {
        let counters = match firewall {
            Some(firewall) => firewall.counters()?,
            None => BTreeMap::new(),
        };
        Ok(Self {
            lab,
            firewall,
            flows: BTreeMap::new(),
            counters,
            attributed: 0,
        })
    }

    /// Sends the next packet of a flow. `begins`: from here on its payload is the messenger's own.
    pub fn packet(
        &mut self,
        flow: u64,
        client: Endpoint,
        begins: bool,
        packet: &Packet<'_>,
    ) -> Result<(), ProveError> {
        let books = self.flows.entry(flow).or_insert_with(|| Flow {
            client,
            fate: Fate::default(),
            lost: [None; 2],
            heard: [false; 2],
            opener: None,
            counts: false,
        });
        let direction = if packet.src == books.client {
            Direction::ToServer
        } else {
            Direction::ToClient
        };
        books.counts |= begins;
        let payload = packet.payload.len() + packet.cut > 0 && books.counts;
        let opener = *books.opener.get_or_insert(direction);
        books.fate.offered += u64::from(payload);
        let (own, other) = (direction.index(), direction.reverse().index());
        let never_said = match packet.header {
            TransportHeader::Tcp(tcp) => {
                tcp.flags.ack && books.lost[other].is_some_and(|lost| is_behind(tcp.ack, lost))
            }
            TransportHeader::Udp => direction != opener && !books.heard[opener.index()],
        };
        let lose = |books: &mut Flow| {
            if let TransportHeader::Tcp(tcp) = packet.header
                && occupies(tcp.flags, packet)
                && books.lost[own].is_none_or(|lost| is_behind(lost, tcp.seq))
            {
                books.lost[own] = Some(tcp.seq);
            }
        };
        if never_said {
            books.fate.withheld += 1;
            lose(books);
            return Ok(());
        }
        let Some(bytes) = segment::of(packet) else {
            return Ok(());
        };
        books.fate.sent += 1;
        let arrived = self.lab.passes(direction, &bytes)?;
        if arrived {
            books.heard[own] = true;
            books.fate.arrived += u64::from(payload);
            return Ok(());
        }
        books.fate.refused += 1;
        lose(books);
        if books.fate.refused > 1 {
            // Each packet is refused by one rule, and a flow by the same one.
            if let Some(counter) = books
                .fate
                .rule
                .as_ref()
                .and_then(|rule| self.counters.get_mut(rule))
            {
                *counter += 1;
            }
        } else if let Some(firewall) = self.firewall
            && self.attributed < ATTRIBUTED
        {
            self.attributed += 1;
            let now = firewall.counters()?;
            books.fate.rule = now
                .iter()
                .find(|(name, packets)| self.counters.get(*name).is_none_or(|was| was < *packets))
                .map(|(name, _)| name.clone());
            self.counters = now;
        }
        Ok(())
    }

    /// What became of each flow, by its number.
    pub fn finish(self) -> BTreeMap<u64, Fate> {
        let flows = self.flows.into_iter();
        flows.map(|(number, flow)| (number, flow.fate)).collect()
    }
}

/// Whether the packet has a place in its direction's stream.
const fn occupies(flags: TcpFlags, packet: &Packet<'_>) -> bool {
    flags.syn || flags.fin || !packet.payload.is_empty() || packet.cut > 0
}

/// Whether `number` is behind `other` in a stream whose numbers wrap.
const fn is_behind(number: u32, other: u32) -> bool {
    other != number && number.wrapping_sub(other) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::is_behind;

    #[test]
    fn sequence_numbers_wrap() {
        assert!(is_behind(5, 4) && !is_behind(4, 5) && !is_behind(4, 4));
        assert!(is_behind(3, u32::MAX) && !is_behind(u32::MAX, 3));
    }
}
