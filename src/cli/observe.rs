//! `--observed`: what was seen in captures, or in the findings of an earlier run, for rules against it.

use super::CliError;
use crate::capture::{self, CaptureError};
use crate::flow::Chosen;
use crate::model::{Confidence, Endpoint, Finding, Packet, Service, Transport};
use crate::packet::{Decoded, Defragmenter, decode};
use crate::pipeline::{self, Settings};
use crate::policy::{Opening, Sighting, Sightings, feature_of};
use crate::ruleset::RuleSet;
use serde_json::Value;
use std::io::BufRead;
use std::net::IpAddr;
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
        ..Settings::default()
    };
    let mut found = Vec::new();
    let analysis = pipeline::run(
        &mut *source,
        rules,
        settings,
        &AtomicBool::new(false),
        &mut |_| {},
        &mut |finding: Finding| {
            let named = finding.service.is_some() && finding.confidence >= Some(least);
            found.push(Flow { finding, named });
        },
    );
    found.sort_by_key(|flow| flow.finding.flow_id);
    Ok((found, analysis.error))
}

/// What was seen in all of these files.
pub fn sightings(
    paths: &[PathBuf],
    rules: &RuleSet,
    least: Confidence,
) -> Result<Sightings, CliError> {
    let mut all = Sightings::default();
    for path in paths {
        if path
            .extension()
            .is_some_and(|end| end == "ndjson" || end == "json")
        {
            from_findings(path, least, &mut all)?;
        } else {
            let (flows, error) = flows(path, rules, least)?;
            if let Some(error) = error {
                super::output::complain(&format!("{error}; what came before it is used"));
            }
            from_capture(path, &flows, &mut all);
        }
    }
    Ok(all)
}

/// What was seen in a capture whose flows are known.
pub fn from_capture(path: &Path, flows: &[Flow], all: &mut Sightings) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let first = all.flows.len();
    for Flow { finding, named } in flows {
        let tuple = &finding.tuple;
        let place = || format!("{name}, flow {}", finding.flow_id);
        if *named && let Some(sighting) = sighting(finding, place()) {
            all.flows.push(sighting);
        } else if finding.service.is_none() {
            *all.others
                .entry((tuple.transport, tuple.server))
                .or_default() += 1;
        }
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
        if sighting.proxied || all.others.contains_key(&(tuple.transport, tuple.server)) {
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

/// Flow records of `--format ndjson`.
fn from_findings(path: &Path, least: Confidence, all: &mut Sightings) -> Result<(), CliError> {
    let wrong =
        |line: usize, what: &str| CliError::Findings(format!("{}:{line}: {what}", path.display()));
    let file = std::fs::File::open(path)
        .map_err(|error| CliError::Findings(format!("cannot read {}: {error}", path.display())))?;
    for (number, line) in std::io::BufReader::new(file).lines().enumerate() {
        let number = number + 1;
        let line = line.map_err(|error| wrong(number, &error.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let record: Value =
            serde_json::from_str(&line).map_err(|error| wrong(number, &error.to_string()))?;
        if record["schema"] != "imwarden/1" {
            return Err(wrong(
                number,
                "this is no record of `analyze --format ndjson`",
            ));
        }
        if record["event_type"] != "flow" {
            continue;
        }
        let flow = flow_of(&record).ok_or_else(|| wrong(number, "a flow without its addresses"))?;
        match (record["service"].as_str(), confidence(&record)) {
            (Some(service), Some(sure)) if sure >= least => all.flows.push(Sighting {
                service: Service::named(service.to_owned()),
                feature: feature_of(record["app_proto"].as_str().unwrap_or_default()),
                proxied: record["path"].as_array().is_some_and(|path| {
                    path.iter()
                        .filter_map(Value::as_str)
                        .any(|layer| TUNNELS.contains(&layer))
                }),
                opening: None,
                place: format!(
                    "{}, flow {}",
                    path.file_name().unwrap_or_default().to_string_lossy(),
                    record["flow_id"]
                ),
                transport: flow.0,
                client: flow.1,
                server: flow.2,
            }),
            (Some(_), _) => {}
            (None, _) => *all.others.entry((flow.0, flow.2)).or_default() += 1,
        }
    }
    Ok(())
}

fn flow_of(record: &Value) -> Option<(Transport, Endpoint, Endpoint)> {
    let end = |ip: &str, port: &str| -> Option<Endpoint> {
        let ip: IpAddr = record[ip].as_str()?.parse().ok()?;
        let port = u16::try_from(record[port].as_u64()?).ok()?;
        Some(Endpoint::new(ip, port))
    };
    let transport = match record["proto"].as_str()? {
        "TCP" => Transport::Tcp,
        "UDP" => Transport::Udp,
        _ => return None,
    };
    Some((
        transport,
        end("src_ip", "src_port")?,
        end("dest_ip", "dest_port")?,
    ))
}

fn confidence(record: &Value) -> Option<Confidence> {
    let all = [
        Confidence::Possible,
        Confidence::Probable,
        Confidence::Confirmed,
    ];
    let word = record["confidence"].as_str()?;
    all.into_iter().find(|it| it.name() == word)
}
