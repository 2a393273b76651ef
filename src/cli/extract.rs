//! `-w`: the packets of messengers, taken out of the captures they were found in, each with its verdict.

use super::CliError;
use crate::capture::{self, Frame, Writer};
use crate::model::{Finding, FlowKey, Timestamp};
use crate::packet::{Decoded, FrameMeta, decode};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::BufWriter;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// One flow of which packets are wanted.
struct Wanted {
    first: Timestamp,
    last: Timestamp,
    comment: String,
}

/// The detections of one capture.
#[derive(Default)]
pub struct Extract {
    flows: HashMap<FlowKey, Vec<Wanted>>,
    /// Hosts that talk to each other: fragments do not name ports.
    hosts: HashSet<(IpAddr, IpAddr)>,
}

impl Extract {
    /// Takes note of a flow, if it is a messenger's.
    pub fn add(&mut self, finding: &Finding) {
        let (Some(service), Some(confidence), true) =
            (&finding.service, finding.confidence, finding.is_detection())
        else {
            return;
        };
        let tuple = &finding.tuple;
        let (key, _) = FlowKey::of_packet(tuple.transport, tuple.client, tuple.server);
        let what = [finding.app_proto, finding.role]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ");
        let names = |names: &std::collections::BTreeSet<String>| {
            names
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut comment = format!(
            "imwarden: {service} {what}, {confidence}, flow {}",
            finding.flow_id
        );
        if !finding.accounts.is_empty() {
            comment.push_str("; account ");
            comment.push_str(&names(&finding.accounts));
        }
        if !finding.peers.is_empty() {
            comment.push_str("; with ");
            comment.push_str(&names(&finding.peers));
        }
        self.flows.entry(key).or_default().push(Wanted {
            first: finding.first_seen,
            last: finding.last_seen,
            comment,
        });
        self.hosts.insert((tuple.client.ip, tuple.server.ip));
        self.hosts.insert((tuple.server.ip, tuple.client.ip));
    }

    /// What is to be said of a frame that is wanted.
    fn verdict(&self, number: u64, frame: &Frame<'_>) -> Option<&str> {
        let meta = FrameMeta {
            number,
            timestamp: frame.timestamp,
            link: frame.link,
            wire_len: frame.wire_len,
        };
        match &decode(meta, frame.data) {
            Decoded::Packet(packet) => {
                let (key, _) = FlowKey::of_packet(packet.transport(), packet.src, packet.dst);
                let during = |flow: &&Wanted| {
                    flow.first <= packet.timestamp && packet.timestamp <= flow.last
                };
                let flow = self.flows.get(&key)?.iter().find(during)?;
                Some(&flow.comment)
            }
            Decoded::Fragment(fragment) => self
                .hosts
                .contains(&(fragment.src, fragment.dst))
                .then_some("imwarden: IP fragment between hosts of a messenger's flow"),
            Decoded::Ignored(_) => None,
        }
    }
}

/// Reads the captures once more and writes what is wanted of them; how many frames that was.
pub fn write(captures: &[(PathBuf, Extract)], path: &Path) -> Result<u64, CliError> {
    let failed = |source| CliError::Write {
        what: path.display().to_string(),
        source,
    };
    let file = File::create(path).map_err(failed)?;
    let mut writer = Writer::new(BufWriter::new(file)).map_err(failed)?;
    for (capture, extract) in captures {
        // What cannot be read was said when it was read for the first time.
        let Ok(mut source) = capture::open(capture) else {
            continue;
        };
        let mut number = 0;
        while let Ok(frames) = source.next_frames(32)
            && !frames.is_empty()
        {
            for frame in frames.iter() {
                number += 1;
                if let Some(comment) = extract.verdict(number, &frame) {
                    writer.frame(&frame, Some(comment)).map_err(failed)?;
                }
            }
        }
    }
    let frames = writer.frames();
    writer.finish().map_err(failed)?;
    Ok(frames)
}
