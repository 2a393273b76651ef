//! `imwarden explain`: why a flow was given its name, step by step, and what else it could have been.

use super::{CliError, DONE, UNREADABLE, output};
use crate::capture;
use crate::classify::{Probe, ProbeInput, Start, registry};
use crate::model::{
    Confidence, Direction, Evidence, EvidenceKind, Finding, FlowKey, Packet, Transport,
    TransportHeader,
};
use crate::packet::{Decoded, decode};
use crate::pipeline::{self, Settings};
use crate::report::clean;
use crate::ruleset::RuleSet;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Bytes of each direction that are looked at once more.
const WINDOW: usize = 2048;
/// Bytes shown of a unit: what kind it is stands there, what people wrote does not.
const SHOWN: usize = 12;

/// Say why a flow was given its name: the evidence with its bytes, what each detector said, and what was not seen
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of the flow, as `imwarden analyze CAPTURE` gives it
    #[arg(value_name = "FLOW_ID")]
    flow: u64,

    /// The capture
    #[arg(value_name = "CAPTURE")]
    capture: PathBuf,

    /// Use the rule files of this folder instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: &Args) -> Result<u8, CliError> {
    let rules = match &args.rules {
        Some(folder) => RuleSet::load_dir(folder)?,
        None => RuleSet::builtin()?,
    };
    let settings = Settings {
        keep_all: true,
        ..Settings::default()
    };
    let mut source = capture::open(&args.capture).map_err(CliError::Capture)?;
    let mut found = None;
    let analysis = pipeline::run(
        source.as_mut(),
        &rules,
        settings,
        &AtomicBool::new(false),
        &mut |_| {},
        &mut |finding: Finding| {
            if finding.flow_id == args.flow {
                found = Some(finding);
            }
        },
    );
    let Some(finding) = found else {
        return Err(CliError::NoFlow(args.flow, analysis.summary.flows));
    };
    let bytes = Bytes::of(&finding, &args.capture);
    let mut out = output::stdout();
    write(&finding, &bytes, &mut out)?;
    out.flush()?;
    Ok(match analysis.error {
        Some(error) => {
            output::complain(&format!("{error}; the flow is told as far as that"));
            UNREADABLE
        }
        None => DONE,
    })
}

/// The beginnings of a flow's directions, and of its datagrams.
#[derive(Default)]
struct Bytes {
    /// By where they stand in the direction, counted from the SYN; only for a flow whose SYN was seen.
    segments: [BTreeMap<u32, Vec<u8>>; 2],
    opened: [Option<u32>; 2],
    /// UDP: by packet.
    datagrams: BTreeMap<u64, (Direction, Vec<u8>)>,
    /// TCP: who sent which packet.
    senders: BTreeMap<u64, Direction>,
}

impl Bytes {
    /// Reads the capture once more.
    fn of(finding: &Finding, capture: &Path) -> Self {
        let mut all = Self::default();
        // It was read a moment ago; what is missing now is not shown.
        let Ok(mut source) = capture::open(capture) else {
            return all;
        };
        let tuple = &finding.tuple;
        let (key, _) = FlowKey::of_packet(tuple.transport, tuple.client, tuple.server);
        let mut number = 0;
        while let Ok(Some(frame)) = source.next_frame() {
            number += 1;
            let meta = pipeline::frame_meta(number, &frame);
            if let Decoded::Packet(packet) = &decode(meta, frame.data)
                && FlowKey::of_packet(packet.transport(), packet.src, packet.dst).0 == key
                && (finding.first_seen..=finding.last_seen).contains(&packet.timestamp)
            {
                all.take(finding, packet);
            }
        }
        all
    }

    fn take(&mut self, finding: &Finding, packet: &Packet<'_>) {
        let direction = if packet.src == finding.tuple.client {
            Direction::ToServer
        } else {
            Direction::ToClient
        };
        self.senders.insert(packet.number, direction);
        match packet.header {
            TransportHeader::Udp => {
                let bytes = packet.payload.iter().take(WINDOW).copied().collect();
                self.datagrams.insert(packet.number, (direction, bytes));
            }
            TransportHeader::Tcp(tcp) => {
                let side = direction.index();
                if tcp.flags.syn {
                    self.opened[side] = Some(tcp.seq.wrapping_add(1));
                }
                if let Some(first) = self.opened[side] {
                    let at = tcp.seq.wrapping_sub(first);
                    if at < 1 << 30 && !packet.payload.is_empty() {
                        self.segments[side]
                            .entry(at)
                            .or_insert_with(|| packet.payload.to_vec());
                    }
                }
            }
        }
    }

    /// So many bytes of a direction from its beginning, as far as there is no hole.
    fn beginning(&self, direction: Direction, most: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::new();
        for (at, segment) in &self.segments[direction.index()] {
            let at = *at as usize;
            if at > bytes.len() || bytes.len() >= most {
                break;
            }
            let new = segment.get(bytes.len() - at..).unwrap_or_default();
            bytes.extend(new);
        }
        bytes.truncate(most);
        bytes
    }

    /// The first bytes of the unit that begins there.
    fn unit(&self, evidence: &Evidence) -> Option<(Direction, Vec<u8>)> {
        if let Some((direction, bytes)) = self.datagrams.get(&evidence.packet) {
            return Some((*direction, bytes.iter().take(SHOWN).copied().collect()));
        }
        let direction = *self.senders.get(&evidence.packet)?;
        let at = usize::try_from(evidence.offset).ok()?;
        let bytes = self.beginning(direction, at.checked_add(SHOWN)?);
        let unit = bytes.get(at..)?.to_vec();
        (!unit.is_empty()).then_some((direction, unit))
    }
}

fn sender(direction: Direction) -> &'static str {
    match direction {
        Direction::ToServer => "the client",
        Direction::ToClient => "the server",
    }
}

fn names<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    if names.is_empty() {
        "-".to_owned()
    } else {
        clean(&names.join(", ")).into_owned()
    }
}

fn write(finding: &Finding, bytes: &Bytes, out: &mut dyn Write) -> io::Result<()> {
    let tuple = &finding.tuple;
    writeln!(
        out,
        "Flow {}: {} {} -> {}, {} packets, {} bytes, {} to {}",
        finding.flow_id,
        tuple.transport.name(),
        tuple.client,
        tuple.server,
        finding.counts.packets,
        finding.counts.bytes,
        finding.first_seen,
        finding.last_seen
    )?;
    let format: Vec<&str> = [finding.app_proto, finding.role]
        .into_iter()
        .flatten()
        .collect();
    let format = if format.is_empty() {
        "no format".to_owned()
    } else {
        format.join(" ")
    };
    match (&finding.service, finding.confidence) {
        (Some(service), Some(confidence)) => {
            writeln!(
                out,
                "{service}, {format}, {confidence}: {}",
                meaning(confidence)
            )?;
            writeln!(
                out,
                "account {}; with {}; used for {}",
                names(&finding.accounts),
                names(&finding.peers),
                names(&finding.features)
            )?;
        }
        _ => writeln!(out, "no messenger ({format})")?,
    }
    if let Some(teacher) = finding.learned_from {
        writeln!(
            out,
            "flow {teacher} said that it would come, or named its server"
        )?;
    }
    writeln!(out, "\nEvidence")?;
    if finding.evidence.is_empty() {
        writeln!(out, "  none")?;
    }
    for (number, evidence) in (1..).zip(&finding.evidence) {
        step(number, evidence, bytes, out)?;
    }
    if !finding.units.is_empty() {
        let units = finding.units.iter();
        let units: Vec<String> = units
            .map(|(unit, count)| format!("{unit} x {count}"))
            .collect();
        writeln!(out, "\nUnits of the protocol\n  {}", units.join(", "))?;
    }
    detectors(finding, bytes, out)
}

const fn meaning(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Confirmed => {
            "the structure of the protocol is proven, or it is what another flow announced"
        }
        Confidence::Probable => "one unambiguous signature, or a host name of that messenger alone",
        Confidence::Possible => {
            "its port, or a name that something else may answer to; not counted as found"
        }
    }
}

fn step(number: usize, evidence: &Evidence, bytes: &Bytes, out: &mut dyn Write) -> io::Result<()> {
    let kind = match evidence.kind {
        EvidenceKind::Payload => "what was said",
        EvidenceKind::Host => "a host name",
        EvidenceKind::Learned => "another flow",
        EvidenceKind::Port => "the port",
        EvidenceKind::Address => "the address",
    };
    writeln!(
        out,
        "  {number}. packet {}, {kind}: {} ({})",
        evidence.packet,
        clean(&evidence.detail),
        evidence.what
    )?;
    if evidence.kind == EvidenceKind::Payload
        && let Some((direction, unit)) = bytes.unit(evidence)
    {
        let hex: Vec<String> = unit.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = unit
            .iter()
            .map(|byte| match byte {
                0x20..=0x7e => char::from(*byte),
                _ => '.',
            })
            .collect();
        writeln!(
            out,
            "     {} at byte {}: {}  {text}",
            sender(direction),
            evidence.offset,
            hex.join(" ")
        )?;
    }
    Ok(())
}

/// What each detector says of the beginnings once more.
fn detectors(finding: &Finding, bytes: &Bytes, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nWhat else it could have been")?;
    let mut any = false;
    for direction in Direction::BOTH {
        let beginning = match finding.tuple.transport {
            Transport::Tcp => bytes.beginning(direction, WINDOW),
            Transport::Udp => {
                let mut mine = bytes
                    .datagrams
                    .values()
                    .filter(|(way, _)| *way == direction);
                mine.next()
                    .map(|(_, bytes)| bytes.clone())
                    .unwrap_or_default()
            }
        };
        if beginning.is_empty() {
            continue;
        }
        any = true;
        let input = ProbeInput {
            direction,
            bytes: &beginning,
            start: Start::Beginning,
            wire_len: beginning.len(),
            ended: true,
            server_port: finding.tuple.server.port,
            expected: None,
            signatures: None,
        };
        writeln!(
            out,
            "  the first {} bytes of {}:",
            beginning.len(),
            sender(direction)
        )?;
        let mut no = Vec::new();
        for detector in registry::FAMILIES.iter().copied().flatten() {
            if detector.transport() != finding.tuple.transport {
                continue;
            }
            let (word, claim) = match detector.probe(&input) {
                Probe::Certain(claim) => ("proof", claim),
                Probe::Likely(claim) => ("signature", claim),
                Probe::NeedMore { .. } | Probe::No => {
                    no.push(detector.name());
                    continue;
                }
            };
            writeln!(
                out,
                "    {}: {word} at byte {}: {} ({})",
                detector.name(),
                claim.offset,
                clean(&claim.evidence.detail),
                claim.evidence.what
            )?;
        }
        writeln!(out, "    not: {}", no.join(", "))?;
    }
    if !any {
        writeln!(
            out,
            "  its beginning is not in the capture, so nothing but the evidence above speaks for or against it"
        )?;
    }
    Ok(())
}
