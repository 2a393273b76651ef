//! Findings on their way out, in order of their flows' first packets.
//!
//! A finding is complete when its flow ends, and is handed out when no earlier flow is still open. So that one long
//! flow does not hold back everything behind it, only so many finished findings wait for it.

use super::expiring::Expiring;
use super::settle::Settler;
use crate::model::Finding;
use std::collections::{BTreeMap, VecDeque};

/// Finished findings that wait for earlier flows; beyond that the oldest are handed out before them.
const MAX_WAITING: usize = 128;
/// Findings that wait to be told whether they are AIM or ICQ.
const MAX_UNSETTLED: usize = 4096;
/// Live, a host's other flows of a day tell AIM from ICQ: an address may be somebody else's tomorrow.
const LIVE_SECONDS: u64 = 24 * 3600;

/// Orders and settles findings.
pub struct Outbox {
    /// One bit a flow from `base` on, set while it is open.
    open: VecDeque<u64>,
    /// The flow of the first bit.
    base: u64,
    waiting: BTreeMap<u64, Finding>,
    /// Of those waiting, how many are AIM or ICQ and nobody knows which.
    unsettled: usize,
    settler: Settler,
    ready: VecDeque<Finding>,
    /// Nothing waits for anything: the capture has no end.
    live: bool,
}

impl Outbox {
    /// Holds at most `memory` bytes of what settles AIM and ICQ. When `live`, findings go out as they come.
    pub fn new(memory: usize, live: bool) -> Self {
        let seconds = if live { LIVE_SECONDS } else { u64::MAX };
        Self {
            live,
            open: VecDeque::new(),
            base: 0,
            waiting: BTreeMap::new(),
            unsettled: 0,
            settler: Settler::new(
                Expiring::new(seconds, memory / 2),
                Expiring::new(seconds, memory / 2),
            ),
            ready: VecDeque::new(),
        }
    }

    /// A flow began. Flows are numbered as they begin.
    pub fn opened(&mut self, flow: u64) {
        if self.live {
            return;
        }
        if self.open.is_empty() {
            self.base = flow - flow % 64;
        }
        let at = (flow - self.base) as usize;
        while self.open.len() <= at / 64 {
            self.open.push_back(0);
        }
        if let Some(word) = self.open.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    /// A flow ended, perhaps with something to tell.
    pub fn closed(&mut self, flow: u64, finding: Option<Finding>) {
        if self.live {
            if let Some(mut finding) = finding {
                self.settler.learn(&finding);
                self.settler.settle(&mut finding);
                self.ready.push_back(finding);
            }
            return;
        }
        if let Some(at) = flow.checked_sub(self.base)
            && let Some(word) = self.open.get_mut(at as usize / 64)
        {
            *word &= !(1 << (at % 64));
        }
        while self.open.front() == Some(&0) {
            self.open.pop_front();
            self.base += 64;
        }
        if let Some(finding) = finding {
            self.settler.learn(&finding);
            self.unsettled += usize::from(Settler::is_open(&finding));
            self.waiting.insert(flow, finding);
        }
        if !self.waiting.is_empty() {
            self.hand_out();
        }
    }

    /// Nothing more will come.
    pub fn finish(&mut self) {
        while let Some((_, finding)) = self.waiting.pop_first() {
            self.release(finding);
        }
    }

    /// The next finding that can go out.
    pub fn next(&mut self) -> Option<Finding> {
        self.ready.pop_front()
    }

    /// Whether no finding can go out.
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Names a flow that goes on, if it is AIM or ICQ and others tell which by now.
    pub fn settle(&self, finding: &mut Finding) {
        self.settler.settle(finding);
    }

    fn first_open(&self) -> u64 {
        match self.open.front() {
            Some(word) => self.base + u64::from(word.trailing_zeros()),
            None => u64::MAX,
        }
    }

    fn hand_out(&mut self) {
        let first_open = self.first_open();
        while let Some(first) = self.waiting.first_entry()
            && *first.key() < first_open
            && !Settler::is_open(first.get())
        {
            let finding = first.remove();
            self.release(finding);
        }
        while self.waiting.len() - self.unsettled > MAX_WAITING {
            let settled = self
                .waiting
                .iter()
                .find(|(_, finding)| !Settler::is_open(finding));
            let Some(flow) = settled.map(|(flow, _)| *flow) else {
                break;
            };
            if let Some(finding) = self.waiting.remove(&flow) {
                self.release(finding);
            }
        }
        if self.unsettled > MAX_UNSETTLED
            && let Some((_, finding)) = self.waiting.pop_first()
        {
            self.release(finding);
        }
    }

    fn release(&mut self, mut finding: Finding) {
        self.unsettled -= usize::from(Settler::is_open(&finding));
        self.settler.settle(&mut finding);
        self.ready.push_back(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_WAITING, Outbox};
    use crate::classify::facts::Facts;
    use crate::flow::FlowInfo;
    use crate::model::{
        Counts, Endpoint, Finding, FiveTuple, LayerPath, Service, Timestamp, Transport,
    };

    fn finding(flow: u64, service: &Service, host: u8) -> Finding {
        let at = |last, port| Endpoint::new([192, 0, 2, last].into(), port);
        let info = FlowInfo {
            id: flow,
            tuple: FiveTuple {
                transport: Transport::Tcp,
                client: at(host, 50_000),
                server: at(200, 5190),
            },
            opening_seen: true,
            first_seen: Timestamp::default(),
            last_seen: Timestamp::default(),
            sides: [Counts::default(); 2],
            path: LayerPath::default(),
            card: None,
            first_packet: 1,
            packet: 1,
        };
        let mut finding = Facts::default().finding(&info);
        finding.service = Some(service.clone());
        finding.confidence = Some(crate::model::Confidence::Confirmed);
        finding
    }

    fn out(outbox: &mut Outbox) -> Vec<(u64, String)> {
        let next = || outbox.next();
        std::iter::from_fn(next)
            .map(|finding| {
                (
                    finding.flow_id,
                    finding.service.map_or_else(String::new, |s| s.to_string()),
                )
            })
            .collect()
    }

    fn ids(outbox: &mut Outbox) -> Vec<u64> {
        out(outbox).into_iter().map(|(flow, _)| flow).collect()
    }

    #[test]
    fn findings_wait_for_earlier_flows() {
        let mut outbox = Outbox::new(1 << 16, false);
        for flow in 1..=200 {
            outbox.opened(flow);
        }
        let msn = |flow| Some(finding(flow, &Service::MSN, 1));
        outbox.closed(150, msn(150));
        outbox.closed(2, msn(2));
        assert!(ids(&mut outbox).is_empty());
        outbox.closed(1, None);
        assert_eq!(ids(&mut outbox), [2]);
        for flow in 3..150 {
            outbox.closed(flow, None);
        }
        assert_eq!(ids(&mut outbox), [150]);
        outbox.closed(200, msn(200));
        assert!(ids(&mut outbox).is_empty());
        outbox.finish();
        assert_eq!(ids(&mut outbox), [200]);
    }

    #[test]
    fn live_nothing_waits() {
        let mut outbox = Outbox::new(1 << 16, true);
        for flow in 1..=4 {
            outbox.opened(flow);
        }
        outbox.closed(2, Some(finding(2, &Service::OSCAR, 1)));
        outbox.closed(3, Some(finding(3, &Service::ICQ, 1)));
        outbox.closed(4, Some(finding(4, &Service::OSCAR, 1)));
        let expected = [(2, "oscar"), (3, "icq"), (4, "icq")];
        assert_eq!(
            out(&mut outbox),
            expected.map(|(flow, name)| (flow, name.to_owned()))
        );
    }

    #[test]
    fn one_long_flow_does_not_hold_back_everything() {
        let mut outbox = Outbox::new(1 << 16, false);
        let many = MAX_WAITING as u64 + 10;
        for flow in 1..=many + 1 {
            outbox.opened(flow);
        }
        for flow in 2..=many + 1 {
            outbox.closed(flow, Some(finding(flow, &Service::MSN, 1)));
        }
        assert_eq!(ids(&mut outbox), (2..12).collect::<Vec<_>>());
    }

    #[test]
    fn aim_or_icq_waits_for_whoever_tells() {
        let mut outbox = Outbox::new(1 << 16, false);
        for flow in 7..=9 {
            outbox.opened(flow);
        }
        outbox.closed(7, Some(finding(7, &Service::OSCAR, 1)));
        outbox.closed(8, Some(finding(8, &Service::MSN, 1)));
        assert!(
            ids(&mut outbox).is_empty(),
            "a later flow of the host may tell"
        );
        outbox.closed(9, Some(finding(9, &Service::ICQ, 1)));
        outbox.finish();
        let expected = [(7, "icq"), (8, "msn"), (9, "icq")];
        assert_eq!(
            out(&mut outbox),
            expected.map(|(flow, name)| (flow, name.to_owned()))
        );
    }
}
