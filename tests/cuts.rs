//! The verdict may not depend on how the bytes were cut, on the port, or on which side was captured.
//!
//! The scenarios of `sample-pcaps/` are sent again over other wires and read through the library.
#![allow(clippy::unwrap_used)]

#[path = "../examples/make-samples/scenario/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod scenario;

use imwarden::capture;
use imwarden::model::{Finding, Service};
use imwarden::pipeline::{self, Settings};
use imwarden::ruleset::RuleSet;
use scenario::talk::{Message, Scenario, Shown, Side, Talk, Transport};
use scenario::{ordinary, wire};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// Small enough to be sent byte by byte.
const SMALL: usize = 60_000;

fn small_scenarios() -> Vec<Scenario> {
    let size = |scenario: &Scenario| {
        scenario
            .talks
            .iter()
            .flat_map(|talk| &talk.messages)
            .map(|message| message.bytes.len())
            .sum::<usize>()
    };
    scenario::all()
        .into_iter()
        .filter(|scenario| size(scenario) < SMALL)
        .collect()
}

fn read(scenario: &Scenario) -> Vec<Finding> {
    read_capture(scenario, wire::capture(scenario))
}

fn read_capture(scenario: &Scenario, capture: Vec<u8>) -> Vec<Finding> {
    findings(scenario, capture)
        .into_iter()
        .filter(Finding::is_detection)
        .collect()
}

/// Possible flows as well.
fn findings(scenario: &Scenario, capture: Vec<u8>) -> Vec<Finding> {
    let bytes = std::io::Cursor::new(capture);
    let mut source = capture::open_reader(Box::new(bytes), scenario.name).unwrap();
    let rules = RuleSet::builtin().unwrap();
    let mut findings = Vec::new();
    let analysis = pipeline::run(
        source.as_mut(),
        &rules,
        Settings::default(),
        &AtomicBool::new(false),
        &mut |_| {},
        &mut |finding| findings.push(finding),
    );
    assert!(
        analysis.error.is_none(),
        "{}: {:?}",
        scenario.name,
        analysis.error
    );
    findings
}

/// Who talks to whom -> what it is, as found.
fn verdicts(scenario: &Scenario) -> BTreeMap<String, String> {
    verdicts_of(&read(scenario))
}

fn verdicts_of(findings: &[Finding]) -> BTreeMap<String, String> {
    let verdict = |finding: &Finding| {
        let service = finding.service.as_ref().unwrap();
        let names: Vec<&str> = finding
            .accounts
            .iter()
            .chain(&finding.peers)
            .map(String::as_str)
            .collect();
        let confidence = finding.confidence.unwrap();
        format!(
            "{service} {:?} {:?} {confidence} {}",
            finding.app_proto,
            finding.role,
            names.join(" ")
        )
    };
    findings
        .iter()
        .map(|finding| {
            (
                format!("{} -> {}", finding.tuple.client, finding.tuple.server),
                verdict(finding),
            )
        })
        .collect()
}

/// Who talks to whom -> the messenger, in truth.
fn truths(scenario: &Scenario) -> BTreeMap<String, &'static str> {
    let named = |talk: &Talk| {
        let truth = talk.truth.as_ref()?;
        Some((format!("{} -> {}", talk.client, talk.server), truth.service))
    };
    scenario.talks.iter().filter_map(named).collect()
}

/// The same scenarios with every TCP message sent in pieces of `size` bytes.
fn cut(size: usize) -> Vec<Scenario> {
    let mut scenarios = small_scenarios();
    for talk in scenarios
        .iter_mut()
        .flat_map(|scenario| &mut scenario.talks)
    {
        if talk.transport == Transport::Tcp {
            let pieces = |message: Message| {
                let Message {
                    from,
                    bytes,
                    after_ms,
                } = message;
                bytes
                    .chunks(size)
                    .enumerate()
                    .map(|(n, piece)| Message {
                        from,
                        bytes: piece.to_vec(),
                        after_ms: if n == 0 { after_ms } else { 0 },
                    })
                    .collect::<Vec<_>>()
            };
            talk.messages = std::mem::take(&mut talk.messages)
                .into_iter()
                .flat_map(pieces)
                .collect();
        }
    }
    scenarios
}

#[test]
fn small_segments_change_nothing() {
    let whole = small_scenarios();
    assert!(whole.len() >= 20, "only {} small scenarios", whole.len());
    for size in [1, 3, 100] {
        for (whole, cut) in whole.iter().zip(cut(size)) {
            assert_eq!(
                verdicts(&cut),
                verdicts(whole),
                "{} in pieces of {size}",
                whole.name
            );
        }
    }
}

/// Every name is the true one, or "AIM or ICQ" for one of the two; says how many names there are.
fn assert_no_wrong_name(scenario: &Scenario, wire: &str) -> usize {
    let truths = truths(scenario);
    let findings = read(scenario);
    for finding in &findings {
        let ends = (finding.tuple.client, finding.tuple.server);
        let key = |client, server| format!("{client} -> {server}");
        // Without the opening, who is the client may stay open.
        let truth = truths
            .get(&key(ends.0, ends.1))
            .or_else(|| truths.get(&key(ends.1, ends.0)));
        let service = finding.service.as_ref().unwrap().id();
        let family = service == "oscar" && matches!(truth, Some(&"aim" | &"icq"));
        assert!(
            truth == Some(&service) || family,
            "{}, {wire}: {} -> {} is {service}, in truth {truth:?}: {:?}",
            scenario.name,
            ends.0,
            ends.1,
            finding.evidence
        );
    }
    findings.len()
}

/// Only what one side says is sent; the other side acknowledges.
#[test]
fn one_side_alone_never_makes_a_wrong_name() {
    let mut found = 0;
    for side in [Side::Client, Side::Server] {
        for mut scenario in small_scenarios() {
            for talk in &mut scenario.talks {
                talk.messages.retain(|message| message.from == side);
            }
            found += assert_no_wrong_name(&scenario, &format!("{side:?} only"));
        }
    }
    // Two sides of some sixty flows; few of them say too little alone.
    assert!(found >= 90, "only {found} flows are still found");
}

/// Every server moves to a port that means nothing. What a host name or another flow tells goes by address
/// and port, so it is left out.
#[test]
fn the_port_means_nothing() {
    for mut scenario in small_scenarios() {
        if scenario.name == "host-names" {
            continue;
        }
        let before = verdicts(&scenario);
        let peers = ["oft", "odc", "icq-direct", "msnftp", "msn-p2p"];
        for talk in &mut scenario.talks {
            let app_proto = talk
                .truth
                .as_ref()
                .and_then(|truth| truth.app_proto)
                .unwrap_or_default();
            if talk.transport == Transport::Tcp && !peers.contains(&app_proto) {
                talk.server.set_port(8765);
            }
        }
        let services = |verdicts: &BTreeMap<String, String>| {
            let mut all: Vec<String> = verdicts
                .values()
                .map(|verdict| verdict.split(' ').next().unwrap().to_owned())
                .collect();
            all.sort();
            all
        };
        let after = verdicts(&scenario);
        assert_eq!(
            services(&after),
            services(&before),
            "{} on port 8765",
            scenario.name
        );
    }
}

/// The capture begins while the connections are under way, and later and later.
#[test]
fn joining_late_never_makes_a_wrong_name() {
    let mut found = 0;
    for skipped in 1..=6 {
        for mut scenario in small_scenarios() {
            for talk in &mut scenario.talks {
                talk.shown = Shown::WithoutOpening;
                talk.messages.drain(..skipped.min(talk.messages.len()));
            }
            found += assert_no_wrong_name(&scenario, &format!("after {skipped} messages"));
        }
    }
    assert!(found >= 200, "only {found} flows are still found");
}

/// The frames of a capture file, record headers included.
fn frames(capture: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut rest = &capture[24..];
    while let Some((header, behind)) = rest.split_first_chunk::<16>() {
        let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        frames.push([header, &behind[..length]].concat());
        rest = &behind[length..];
    }
    frames
}

/// Neighbours change places (their times stay), and every fourth frame comes twice.
#[test]
fn disorder_and_repetition_change_nothing() {
    for scenario in small_scenarios() {
        let whole = wire::capture(&scenario);
        let mut frames = frames(&whole);
        for pair in frames.chunks_exact_mut(3) {
            let times: Vec<[u8; 8]> = pair
                .iter()
                .map(|frame| frame[..8].try_into().unwrap())
                .collect();
            pair.swap(1, 2);
            for (frame, time) in pair.iter_mut().zip(times) {
                frame[..8].copy_from_slice(&time);
            }
        }
        let mut sent = whole[..24].to_vec();
        for (number, frame) in frames.iter().enumerate() {
            sent.extend(frame);
            if number % 4 == 3 {
                sent.extend(frame);
            }
        }
        let after = verdicts_of(&read_capture(&scenario, sent));
        assert_eq!(after, verdicts(&scenario), "{} in disorder", scenario.name);
    }
}

/// A resolver's client that happens to send from ICQ's port is still a resolver's client: its answer counts, and
/// its own port makes no guess.
#[test]
fn an_ordinary_client_may_have_a_messengers_port() {
    let address = "216.155.193.9".parse().unwrap();
    let scenario = Scenario {
        name: "client-port-4000",
        about: "",
        talks: vec![
            ordinary::dns(
                "10.0.0.5:4000",
                "10.0.0.1:53",
                100,
                "scs.msg.yahoo.com",
                address,
            ),
            Talk::tcp("10.0.0.5:5190", "216.155.193.9:443", 500)
                .client(vec![0x99; 80])
                .server(vec![0x77; 90])
                .shown(Shown::WithoutOpening),
        ],
    };
    let findings = findings(&scenario, wire::capture(&scenario));
    let told: Vec<String> = findings
        .iter()
        .map(|finding| format!("{} {:?}", finding.tuple.server, finding.service))
        .collect();
    assert_eq!(
        told,
        [format!("216.155.193.9:443 {:?}", Some(Service::YAHOO))]
    );
}
