//! `--observed`: what was seen in captures, or in the findings of an earlier run, for rules against it.

mod findings;
mod listen;

pub use listen::Observed;

use self::listen::Capture;
use super::CliError;
use crate::capture::{self, CaptureError};
use crate::flow::Chosen;
use crate::model::{Activity, Confidence, Detail, Finding, Occurrence, Packet, Transport, what};
use crate::packet::{Decoded, Defragmenter, decode};
use crate::pipeline::{self, Settings, Sink};
use crate::policy::{
    Address, Named, Opening, Other, OtherSource, Others, Sighting, Sightings, feature_of,
    openings_of,
};
use crate::ruleset::RuleSet;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Payload segments of the client in which a connection's opening is looked for.
const SEGMENTS: usize = 8;
/// Carriers that make the server a proxy.
const TUNNELS: [&str; 4] = ["http-connect", "socks4", "socks4a", "socks5"];

/// Whether the flow went through a proxy, so that its server is not the messenger's.
pub fn is_proxied(finding: &Finding) -> bool {
    finding.carriers.iter().any(|it| TUNNELS.contains(it))
}

/// A messenger's flow, as far as rules are about it; how it opens is not known yet.
pub fn sighting(finding: &Finding, place: String) -> Option<Sighting> {
    let tuple = &finding.tuple;
    Some(Sighting {
        service: finding.service.clone()?,
        feature: feature_of(finding.app_proto.unwrap_or_default()),
        transport: tuple.transport,
        client: tuple.client,
        server: tuple.server,
        proxied: is_proxied(finding),
        opening: None,
        place,
    })
}

/// A flow of a capture, as far as policies are about it.
pub struct Flow {
    /// What was found.
    pub finding: Finding,
    /// It is one of those that rules are made of.
    pub named: bool,
    /// Where it sends others.
    sends: BTreeSet<Sends>,
}

/// A place that an event names for another flow: a redirect's server, an offer's endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sends {
    to: Address,
    /// What will go there.
    app_proto: String,
    role: String,
}

impl Sends {
    /// What an event says: what it is, the flow's own port, and its facts by name.
    fn of<'a>(
        event: &str,
        port: u16,
        fact: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Option<Self> {
        // An address without a format is one that somebody has, and not one to go to.
        if ![what::REDIRECT, what::ADDRESS].contains(&event) {
            return None;
        }
        Some(Self {
            to: Address::parse(fact("address")?, port)?,
            app_proto: fact("format")?.to_owned(),
            role: fact("role").unwrap_or_default().to_owned(),
        })
    }

    /// For rules against it, said by a flow of this messenger.
    fn named(self, service: &crate::model::Service, place: String) -> Named {
        Named {
            service: service.clone(),
            feature: feature_of(&self.app_proto),
            openings: openings_of(&self.app_proto, &self.role),
            address: self.to,
            place,
        }
    }
}

/// A flow's place, as rules say it that are about what it named.
fn named_by(file: &str, flow: impl std::fmt::Display) -> String {
    format!("flow {flow} of {file}")
}

/// Takes in what the road hands out.
struct Listener {
    least: Confidence,
    flows: Vec<Flow>,
    /// What flows said that are not over.
    sends: BTreeMap<u64, BTreeSet<Sends>>,
}

impl Sink for Listener {
    fn finding(&mut self, finding: Finding) {
        self.flows.push(Flow {
            named: finding.service.is_some() && finding.confidence >= Some(self.least),
            sends: self.sends.remove(&finding.flow_id).unwrap_or_default(),
            finding,
        });
    }

    fn occurrence(&mut self, occurrence: Occurrence) {
        let Activity { what, details, .. } = &occurrence.activity;
        let fact = |key| {
            details.iter().find_map(|(its, detail)| match detail {
                Detail::Text(text) if *its == key => Some(text.as_str()),
                Detail::Word(word) if *its == key => Some(*word),
                _ => None,
            })
        };
        if let Some(sends) = Sends::of(what, occurrence.tuple.server.port, fact) {
            let of_flow = self.sends.entry(occurrence.flow_id).or_default();
            of_flow.insert(sends);
        }
    }
}

/// All flows of a capture; of others than messengers' too.
pub fn flows(
    path: &Path,
    rules: &RuleSet,
    least: Confidence,
) -> Result<(Vec<Flow>, Option<CaptureError>), CliError> {
    let mut source = capture::open(path).map_err(CliError::Capture)?;
    let settings = Settings {
        keep_all: true,
        activities: true,
        names: true,
        ..Settings::default()
    };
    let mut heard = Listener {
        least,
        flows: Vec::new(),
        sends: BTreeMap::new(),
    };
    let analysis = pipeline::run(
        &mut *source,
        rules,
        settings,
        &AtomicBool::new(false),
        &mut |_| {},
        &mut heard,
    );
    let mut found = heard.flows;
    found.sort_by_key(|flow| flow.finding.flow_id);
    Ok((found, analysis.error))
}

/// What was seen in all of these files.
pub fn sightings(
    paths: &[PathBuf],
    rules: &RuleSet,
    least: Confidence,
) -> Result<Observed, CliError> {
    let mut all = Sightings::default();
    let mut captures = Vec::new();
    for path in paths {
        if path
            .extension()
            .is_some_and(|end| end == "ndjson" || end == "json")
        {
            findings::read(path, least, &mut all)?;
        } else {
            let (flows, error) = flows(path, rules, least)?;
            if let Some(error) = error {
                super::output::complain(&format!("{error}; what came before it is used"));
            }
            from_capture(path, &flows, &mut all);
            captures.push(Capture::of(path, &flows));
        }
    }
    Ok(Observed {
        sightings: all,
        captures,
    })
}

/// What a flow, of whomever, said of names.
fn names_given(finding: &Finding, others: &mut Others) {
    let Some(names) = finding.names.as_deref() else {
        return;
    };
    if names.more {
        others.lack_names();
    }
    for (ip, all) in &names.given {
        for name in all {
            others.give(*ip, name.clone());
        }
    }
}

/// What was seen in a capture whose flows are known.
pub fn from_capture(path: &Path, flows: &[Flow], all: &mut Sightings) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let first = all.flows.len();
    for Flow {
        finding,
        named,
        sends,
    } in flows
    {
        let tuple = &finding.tuple;
        let place = || format!("{name}, flow {}", finding.flow_id);
        if *named && let Some(sighting) = sighting(finding, place()) {
            let by = named_by(&name, finding.flow_id);
            let sends = sends.iter().cloned();
            all.named
                .extend(sends.map(|it| it.named(&sighting.service, by.clone())));
            all.flows.push(sighting);
        } else if finding.service.is_none() {
            let mut other = Other::new(tuple.transport, tuple.client.ip, tuple.server);
            if let Some(names) = finding.names.as_deref() {
                other.names.clone_from(&names.carried);
            }
            all.others.add(other, OtherSource::Capture);
        }
        names_given(finding, &mut all.others);
    }
    // How a connection opens is asked only where the place does not tell it from others.
    let mut chosen = Chosen::default();
    let named = flows.iter().filter(|flow| flow.named);
    let mut wanted = 0;
    for (number, flow) in (first..).zip(named) {
        let tuple = &flow.finding.tuple;
        let Some(sighting) = all.flows.get(number) else {
            break;
        };
        if sighting.proxied || all.others.are_at(tuple.transport, tuple.server) {
            let (from, to) = (flow.finding.first_seen, flow.finding.last_seen);
            chosen.add(tuple, from, to, number);
            wanted += 1;
        }
    }
    if wanted > 0 {
        openings(path, &chosen, all);
    }
}

/// Reads the capture once more for how the chosen flows open.
fn openings(path: &Path, chosen: &Chosen<usize>, all: &mut Sightings) {
    let mut looked = vec![0; all.flows.len()];
    packets(path, &mut |packet| {
        let Some(&number) = chosen.flow_of(packet) else {
            return;
        };
        let (Some(flow), Some(looked)) = (all.flows.get_mut(number), looked.get_mut(number)) else {
            return;
        };
        if flow.transport == Transport::Tcp
            && packet.src == flow.client
            && !packet.payload.is_empty()
            && flow.opening.is_none()
            && *looked < SEGMENTS
        {
            *looked += 1;
            flow.opening = Opening::of(packet.payload, flow.proxied);
        }
    });
}

/// Every TCP segment and UDP datagram of a capture, put together where it was in fragments. What cannot be read was
/// said when the capture was read for the first time.
pub fn packets(path: &Path, each: &mut dyn FnMut(&Packet<'_>)) {
    const FRAGMENTS: usize = 16 << 20;
    let Ok(mut source) = capture::open(path) else {
        return;
    };
    let mut defragmenter = Defragmenter::new(FRAGMENTS);
    let mut number = 0;
    while let Ok(frames) = source.next_frames(32)
        && !frames.is_empty()
    {
        for frame in frames.iter() {
            number += 1;
            let meta = pipeline::frame_meta(number, &frame);
            defragmenter.tick(frame.timestamp, &mut |packet| each(packet));
            match &decode(meta, frame.data) {
                Decoded::Packet(packet) => each(packet),
                Decoded::Fragment(fragment) => {
                    defragmenter.push(fragment, &mut |packet| each(packet));
                }
                Decoded::Ignored(_) => {}
            }
        }
    }
    defragmenter.finish(&mut |packet| each(packet));
}
