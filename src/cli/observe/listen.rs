//! What is said in the flows of others, held against a plan: captures are read once more, and nothing but counts is kept.

use super::{Flow, packets};
use crate::flow::Chosen;
use crate::model::{Endpoint, FiveTuple, Packet, Timestamp, Transport, TransportHeader};
use crate::policy::{Attempt, ByContent, Plan, Sightings, Weigher};
use std::path::{Path, PathBuf};

/// What was seen, and where it can be looked up.
pub struct Observed {
    /// Flows, places and names.
    pub sightings: Sightings,
    pub(super) captures: Vec<Capture>,
}

/// A capture, and the TCP flows of others in it, each with its first and last packet.
pub(super) struct Capture {
    path: PathBuf,
    others: Vec<(FiveTuple, Timestamp, Timestamp)>,
}

impl Capture {
    pub fn of(path: &Path, flows: &[Flow]) -> Self {
        let others = flows.iter().map(|flow| &flow.finding).filter(|finding| {
            finding.service.is_none() && finding.tuple.transport == Transport::Tcp
        });
        Self {
            path: path.to_owned(),
            others: others
                .map(|it| (it.tuple, it.first_seen, it.last_seen))
                .collect(),
        }
    }
}

/// What was heard of one of them.
struct Heard {
    client: Endpoint,
    server: Endpoint,
    /// Packets of client and server.
    sent: [u32; 2],
    refused: Option<ByContent>,
}

impl Observed {
    /// Counts what each rule of the plan would touch; by what is said as well, if it is about that.
    pub fn weigh(&mut self, plan: &mut Plan) {
        if let Some(weigher) = Weigher::new(plan) {
            for capture in &self.captures {
                for heard in self.listen(capture, &weigher) {
                    if let Some(by) = heard.refused {
                        let others = &mut self.sightings.others;
                        others.refuse(by, Transport::Tcp, heard.server);
                    }
                }
            }
            self.sightings.others.heard();
        }
        plan.weigh(&self.sightings);
    }

    fn listen(&self, capture: &Capture, weigher: &Weigher<'_>) -> Vec<Heard> {
        let mut chosen = Chosen::default();
        let mut all = Vec::new();
        for (number, (tuple, first, last)) in capture.others.iter().enumerate() {
            chosen.add(tuple, *first, *last, number);
            all.push(Heard {
                client: tuple.client,
                server: tuple.server,
                sent: [0; 2],
                refused: None,
            });
        }
        packets(&capture.path, &mut |packet| {
            let flow = chosen.flow_of(packet).and_then(|at| all.get_mut(*at));
            if let Some(heard) = flow {
                heard.hear(packet, weigher, &self.sightings);
            }
        });
        all
    }
}

impl Heard {
    fn hear(&mut self, packet: &Packet<'_>, weigher: &Weigher<'_>, sightings: &Sightings) {
        let by_client = packet.src == self.client;
        let sent = &mut self.sent[usize::from(!by_client)];
        *sent += 1;
        let tcp = matches!(packet.header, TransportHeader::Tcp(_));
        if *sent > Weigher::WINDOW || self.refused.is_some() || packet.payload.is_empty() || !tcp {
            return;
        }
        let (payload, greeting) = if by_client {
            (packet.payload, &b""[..])
        } else {
            (&b""[..], packet.payload)
        };
        let attempt = Attempt {
            transport: Transport::Tcp,
            client: self.client,
            server: self.server,
            payload: payload.to_vec(),
            extended: false,
        };
        self.refused = weigher.refuses(&attempt, greeting, &sightings.others);
    }
}
