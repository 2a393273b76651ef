//! What was read, all in all.

use super::{Finding, Timestamp};
use std::collections::BTreeMap;

/// Totals of one or several captures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames read.
    pub packets: u64,
    /// Frame bytes on the wire.
    pub bytes: u64,
    /// TCP and UDP flows.
    pub flows: u64,
    /// Flows of a messenger.
    pub detected: u64,
    /// Flows that only have a messenger's port.
    pub possible: u64,
    /// Flows that nobody recognised and nobody looked at any further.
    pub given_up: u64,
    /// Packets that the capture itself reports as lost.
    pub drops: u64,
    /// Flows dropped early to stay within memory.
    pub evictions: u64,
    /// TCP segments and IP fragments that brought bytes which were there already.
    pub overlaps: u64,
    /// Frames that carried no TCP or UDP we could read, by reason.
    pub ignored: BTreeMap<&'static str, u64>,
    /// Time of the first packet.
    pub first: Option<Timestamp>,
    /// Time of the last packet.
    pub last: Option<Timestamp>,
    /// How listening on interfaces goes.
    pub listening: Option<Listening>,
}

/// What only somebody who listens can say. Losses since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// Packets that did not fit into the buffer that the kernel keeps for us.
    pub drops_ring: u64,
    /// Packets that did not fit into the kernel's queue before everybody (all interfaces); where it tells.
    pub drops_kernel: Option<u64>,
    /// Packets that the interfaces or their drivers dropped; where they tell.
    pub drops_interface: Option<u64>,
    /// Records that were not written: the disk was full, or nobody read.
    pub lost_records: u64,
    /// Packets that were not saved.
    pub lost_packets: u64,
    /// Flows that are open.
    pub open_flows: u64,
    /// Bytes held for them.
    pub memory: u64,
    /// What was done about what was found, if anything was to be done.
    pub enforced: Option<Enforcement>,
}

/// What was done about what was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enforcement {
    /// Connections that were cut.
    pub cut: u64,
    /// Places that were refused to everybody.
    pub refused: u64,
    /// Connections that were left alone.
    pub spared: u64,
    /// Connections that were too many at a time.
    pub rate_limited: u64,
    /// What could not be done.
    pub failed: u64,
    /// What became of packets that were held, if any were to be.
    pub inline: Option<InlineCounts>,
}

/// What became of the first packets of connections, where they are held until it is known what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InlineCounts {
    /// Packets that were looked at before they went on.
    pub asked: u64,
    /// Those of them that had to wait, for more or for an end of their connection.
    pub held: u64,
    /// Those that were let go since they had waited for long enough.
    pub late: u64,
    /// Connections in which that happened until it was enough.
    pub given_up: u64,
    /// Packets that passed without having been looked at.
    pub unheld: u64,
}

impl Summary {
    /// Notes that a packet was seen at this time.
    pub fn saw(&mut self, time: Timestamp) {
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = Some(self.last.map_or(time, |last| last.max(time)));
    }

    /// Seconds from the first to the last packet. Capture time, not the time it took to read: the same capture
    /// gives the same report.
    pub fn elapsed_seconds(&self) -> f64 {
        match (self.first, self.last) {
            (Some(first), Some(last)) => {
                std::time::Duration::from_nanos(last.nanos_since(first)).as_secs_f64()
            }
            _ => 0.0,
        }
    }

    /// Counts a finding.
    pub fn count(&mut self, finding: &Finding) {
        self.detected += u64::from(finding.is_detection());
        self.possible += u64::from(finding.is_possible());
    }

    /// Adds another capture's totals.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.flows += other.flows;
        self.detected += other.detected;
        self.possible += other.possible;
        self.given_up += other.given_up;
        self.drops += other.drops;
        self.evictions += other.evictions;
        self.overlaps += other.overlaps;
        for (reason, count) in &other.ignored {
            *self.ignored.entry(reason).or_default() += count;
        }
        for time in [other.first, other.last].into_iter().flatten() {
            self.saw(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Summary, Timestamp};

    #[test]
    fn totals_of_two_captures_add_up() {
        let second = 1_000_000_000;
        let mut a = Summary {
            packets: 3,
            ..Summary::default()
        };
        a.saw(Timestamp::from_nanos(5 * second));
        *a.ignored.entry("arp").or_default() += 2;
        let mut b = a.clone();
        b.saw(Timestamp::from_nanos(2 * second));
        a.add(&b);
        assert_eq!((a.packets, a.ignored["arp"]), (6, 4));
        assert!((a.elapsed_seconds() - 3.0).abs() < 1e-9);
        assert!(Summary::default().elapsed_seconds().abs() < 1e-9);
    }
}
