//! `imwarden rules test`: the samples of rule files, sent down the whole road.

use super::RulesCommandError;
use crate::capture::{self, FrameSource, Memory, Record};
use crate::model::{Confidence, Finding, LinkType, Service, Timestamp, Transport};
use crate::pipeline::{self, Settings};
use crate::ruleset::{Messenger, RuleSet, Sample, Traffic};
use etherparse::PacketBuilder;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;

const CLIENT: [u8; 4] = [10, 0, 0, 5];
const SERVER: [u8; 4] = [192, 0, 2, 5];
const CLIENT_PORT: u16 = 40_000;
const SEGMENT: usize = 1400;
const STEP_NANOS: i64 = 20_000_000;
/// More than any sample needs.
const MEMORY: usize = 64 << 20;

/// Sends every sample through; an error lists those that are not told as they should be.
pub fn test(rules: &RuleSet, out: &mut dyn Write) -> Result<(), RulesCommandError> {
    let mut wrong = Vec::new();
    for messenger in rules.messengers() {
        let before = wrong.len();
        wrong.extend(differences(rules, messenger));
        if wrong.len() == before {
            writeln!(
                out,
                "ok: {} ({}): {} samples",
                messenger.origin.file,
                messenger.service,
                messenger.samples.len()
            )?;
        }
    }
    super::warn(rules);
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(RulesCommandError::Samples(wrong))
    }
}

/// What the samples of a messenger show that they should not.
fn differences(rules: &RuleSet, messenger: &Messenger) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut shown = BTreeSet::new();
    for sample in &messenger.samples {
        let findings = match findings(rules, sample) {
            Ok(findings) => findings,
            Err(error) => {
                wrong.push(format!("{}: {error}", sample.origin));
                continue;
            }
        };
        let own = findings
            .iter()
            .filter(|finding| finding.service.as_ref() == Some(&messenger.service));
        let sure = own.clone().filter_map(|finding| finding.confidence).max();
        if sample.expect.is_some() {
            let evidence = own.flat_map(|finding| &finding.evidence);
            shown.extend(evidence.map(|evidence| evidence.detail.clone()));
        }
        let right = match sample.expect {
            None => sure.is_none(),
            Some(least) => sure >= Some(least),
        };
        if !right {
            let name = |sure: Option<Confidence>| sure.map_or("silent", Confidence::name);
            wrong.push(format!(
                "{}: {} is {}, and must be {}{}",
                sample.origin,
                messenger.service,
                name(sure),
                name(sample.expect),
                others(messenger, &findings)
            ));
        }
    }
    let beginnings = messenger.beginnings.iter();
    let beginnings = beginnings.map(|rule| (&rule.id, &rule.origin));
    let stuns = messenger.stuns.iter().map(|rule| (&rule.id, &rule.origin));
    let unshown = beginnings
        .chain(stuns)
        .filter(|(id, _)| !shown.contains(id.as_str()));
    wrong.extend(
        unshown.map(|(id, origin)| format!("{origin}: no sample that must be found shows {id}")),
    );
    wrong
}

/// What the sample was taken for instead.
fn others(messenger: &Messenger, findings: &[Finding]) -> String {
    let names: BTreeSet<_> = findings
        .iter()
        .filter_map(|finding| finding.service.as_ref())
        .filter(|service| **service != messenger.service)
        .map(Service::id)
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        let names: Vec<_> = names.into_iter().collect();
        format!("; it was taken for {}", names.join(", "))
    }
}

fn findings(rules: &RuleSet, sample: &Sample) -> Result<Vec<Finding>, capture::CaptureError> {
    let road = |source: &mut dyn FrameSource| {
        let mut findings = Vec::new();
        let settings = Settings {
            memory: MEMORY,
            ..Settings::default()
        };
        let never = AtomicBool::new(false);
        let mut sink = |finding: Finding| findings.push(finding);
        let analysis = pipeline::run(source, rules, settings, &never, &mut |_| {}, &mut sink);
        analysis.error.map_or(Ok(findings), Err)
    };
    let mut wire = Wire::default();
    match &sample.traffic {
        Traffic::Capture(name) => {
            let file = Path::new(&*sample.origin.file);
            let folder = file.parent().unwrap_or_else(|| Path::new("."));
            let mut source = capture::open(&folder.join(name))?;
            return road(source.as_mut());
        }
        Traffic::Tls { host, alpn } => {
            let hello = client_hello(host.as_deref(), alpn.as_deref());
            wire.connection(443, &hello, &[]);
        }
        Traffic::Bytes {
            transport: Transport::Tcp,
            port,
            client,
            server,
        } => wire.connection(*port, client, server),
        Traffic::Bytes {
            port,
            client,
            server,
            ..
        } => wire.datagrams(*port, client, server),
    }
    road(&mut Memory::new(&wire.bytes, &wire.records))
}

/// Packets as they are written down.
#[derive(Default)]
struct Wire {
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// How much client and server have said.
    said: [u32; 2],
    now: i64,
}

impl Wire {
    fn add(&mut self, frame: &[u8]) {
        self.now += STEP_NANOS;
        self.records.push(Record {
            timestamp: Timestamp::from_nanos(self.now),
            link: LinkType::RAW,
            wire_len: frame.len() as u32,
            start: self.bytes.len(),
            len: frame.len(),
        });
        self.bytes.extend_from_slice(frame);
    }

    /// A connection in which the client speaks first.
    fn connection(&mut self, port: u16, client: &[u8], server: &[u8]) {
        self.segment(false, port, true, &[]);
        self.segment(true, port, true, &[]);
        for (by_server, bytes) in [(false, client), (true, server)] {
            for piece in bytes.chunks(SEGMENT) {
                self.segment(by_server, port, false, piece);
            }
        }
    }

    fn segment(&mut self, by_server: bool, port: u16, syn: bool, payload: &[u8]) {
        let sides = usize::from(by_server);
        let (ip, ports) = if by_server {
            (PacketBuilder::ipv4(SERVER, CLIENT, 64), (port, CLIENT_PORT))
        } else {
            (PacketBuilder::ipv4(CLIENT, SERVER, 64), (CLIENT_PORT, port))
        };
        let [mine, theirs] = [self.said[sides], self.said[1 - sides]];
        let mut tcp = ip.tcp(ports.0, ports.1, mine, 64_000);
        if syn {
            tcp = tcp.syn();
        }
        if !syn || by_server {
            tcp = tcp.ack(theirs);
        }
        let mut frame = Vec::new();
        // Into memory, and of a size that fits: this cannot fail.
        if tcp.write(&mut frame, payload).is_ok() {
            self.add(&frame);
        }
        self.said[sides] += payload.len() as u32 + u32::from(syn);
    }

    fn datagrams(&mut self, port: u16, client: &[u8], server: &[u8]) {
        for (by_server, payload) in [(false, client), (true, server)] {
            let (ip, from, to) = if by_server {
                (PacketBuilder::ipv4(SERVER, CLIENT, 64), port, CLIENT_PORT)
            } else {
                (PacketBuilder::ipv4(CLIENT, SERVER, 64), CLIENT_PORT, port)
            };
            let mut frame = Vec::new();
            if !payload.is_empty() && ip.udp(from, to).write(&mut frame, payload).is_ok() {
                self.add(&frame);
            }
        }
    }
}

/// A TLS 1.3 `ClientHello` in one record.
fn client_hello(host: Option<&str>, alpn: Option<&str>) -> Vec<u8> {
    let sized = |body: Vec<u8>| [&(body.len() as u16).to_be_bytes()[..], &body].concat();
    let mut extensions = Vec::new();
    let mut extension = |kind: u16, body: Vec<u8>| {
        extensions.extend(kind.to_be_bytes());
        extensions.extend(sized(body));
    };
    if let Some(host) = host {
        let name = sized(host.as_bytes().to_vec());
        extension(0, sized([&[0][..], &name].concat()));
    }
    if let Some(alpn) = alpn {
        let name = [&[alpn.len() as u8], alpn.as_bytes()].concat();
        extension(16, sized(name));
    }
    extension(43, vec![2, 3, 4]);
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
    hello.extend(sized(extensions));
    let message = [&[1, 0][..], &sized(hello)].concat();
    [&[0x16, 3, 1][..], &sized(message)].concat()
}
