//! Findings for tests.
#![allow(clippy::unwrap_used)]

use crate::model::{
    Confidence, Counts, Endpoint, Evidence, Exposure, Finding, FiveTuple, LayerPath, Service,
    Sighting, Timestamp, Transport,
};
use std::collections::{BTreeMap, BTreeSet};

/// Noon of some day.
pub const NOON: i64 = 1_767_355_200_000_000_000;

pub fn endpoint(text: &str) -> Endpoint {
    let at: std::net::SocketAddr = text.parse().unwrap();
    Endpoint::new(at.ip(), at.port())
}

/// A flow of 10.0.0.5's that is confirmed.
pub fn finding(id: u64, service: Service, account: &str, server: &str) -> Finding {
    let seen = |second: i64| Timestamp::from_nanos(NOON + second * 1_000_000_000);
    let mut evidence = Evidence::payload("flap-chain", "two frames in a row");
    (evidence.packet, evidence.offset) = (7, 42);
    Finding {
        flow_id: id,
        first_seen: seen(0),
        last_seen: seen(id.cast_signed()),
        tuple: FiveTuple {
            transport: Transport::Tcp,
            client: endpoint("10.0.0.5:50211"),
            server: endpoint(server),
        },
        card: None,
        service: Some(service),
        app_proto: Some("oscar"),
        role: Some("bos"),
        confidence: Some(Confidence::Confirmed),
        path: LayerPath::default(),
        carriers: Vec::new(),
        accounts: [account.to_owned()]
            .into_iter()
            .filter(|it| !it.is_empty())
            .collect(),
        peers: BTreeSet::new(),
        client: None,
        features: ["message".to_owned(), "sign-on".to_owned()].into(),
        risks: BTreeMap::new(),
        units: BTreeMap::new(),
        counts: Counts {
            packets: 10,
            bytes: 1000,
        },
        to_server: Counts {
            packets: 4,
            bytes: 300,
        },
        evidence: vec![evidence],
        learned_from: None,
        names: None,
    }
}

/// The same, with a risk that was seen so often.
pub fn exposed(mut finding: Finding, risk: &'static str, times: u64) -> Finding {
    let mut exposure = Exposure::at(finding.last_seen);
    for number in 0..times {
        let sighting = Sighting {
            packet: 9 + number,
            offset: 100,
            detail: None,
        };
        exposure.seen(finding.last_seen, sighting);
    }
    finding.risks.insert(risk, exposure);
    finding
}
