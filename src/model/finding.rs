//! What the reader sees of one flow.

use super::{
    Confidence, Evidence, Exposure, FiveTuple, LayerPath, Mac, Names, Service, Timestamp, Unit,
};
use std::collections::{BTreeMap, BTreeSet};

/// Packets and bytes of a flow, both directions together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets.
    pub packets: u64,
    /// Frame bytes on the wire.
    pub bytes: u64,
}

/// One flow, with everything that is known about it: the flow record.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Number of the flow, in order of its first packet, from 1.
    pub flow_id: u64,
    /// First packet.
    pub first_seen: Timestamp,
    /// Last packet.
    pub last_seen: Timestamp,
    /// Who opened it and who was asked.
    pub tuple: FiveTuple,
    /// The client's network card, where the link shows it.
    pub card: Option<Mac>,
    /// The messenger; `None` for a flow that is no finding (`--all`).
    pub service: Option<Service>,
    /// Wire format.
    pub app_proto: Option<&'static str>,
    /// Part played by this connection.
    pub role: Option<&'static str>,
    /// How sure; `None` when `service` is.
    pub confidence: Option<Confidence>,
    /// What the packets were wrapped in.
    pub path: LayerPath,
    /// Carriers inside the flow, such as `http-connect`.
    pub carriers: Vec<&'static str>,
    /// The client's accounts.
    pub accounts: BTreeSet<String>,
    /// Whom they talked to.
    pub peers: BTreeSet<String>,
    /// The client program.
    pub client: Option<String>,
    /// What it was used for.
    pub features: BTreeSet<String>,
    /// What it exposes, by the risk's id.
    pub risks: BTreeMap<&'static str, Exposure>,
    /// Units of the protocol, how many of each.
    pub units: BTreeMap<Unit, u64>,
    /// Packets and bytes.
    pub counts: Counts,
    /// Those of them that went to the server.
    pub to_server: Counts,
    /// Why.
    pub evidence: Vec<Evidence>,
    /// The flow that announced this one.
    pub learned_from: Option<u64>,
    /// Host names that it tells of, if they were asked for and there are any.
    pub names: Option<Box<Names>>,
}

impl Finding {
    /// Confirmed or probable: counted as a detection.
    pub fn is_detection(&self) -> bool {
        self.service.is_some() && self.confidence >= Some(Confidence::Probable)
    }

    /// The verdict in words, without names: `aim oscar authorizer, confirmed`.
    pub fn verdict(&self) -> Option<String> {
        let (service, confidence) = (self.service.as_ref()?, self.confidence?);
        let mut words = service.to_string();
        for word in [self.app_proto, self.role].into_iter().flatten() {
            words.push(' ');
            words.push_str(word);
        }
        Some(format!("{words}, {confidence}"))
    }

    /// A messenger's port and nothing else: listed apart.
    pub fn is_possible(&self) -> bool {
        self.service.is_some() && self.confidence == Some(Confidence::Possible)
    }
}
