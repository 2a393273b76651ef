//! `-w`: the packets of messengers, taken out of the captures they were found in, each with its verdict.

use super::CliError;
use crate::capture::{self, Frame, Writer};
use crate::flow::Chosen;
use crate::model::Finding;
use crate::packet::{Decoded, decode};
use crate::pipeline;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The detections of one capture, each with what is to be said of its packets.
#[derive(Default)]
pub struct Extract {
    flows: Chosen<Rc<str>>,
}

impl Extract {
    /// Takes note of a flow, if it is a messenger's.
    pub fn add(&mut self, finding: &Finding) {
        let Some(verdict) = finding.verdict().filter(|_| finding.is_detection()) else {
            return;
        };
        let names = |names: &BTreeSet<String>| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            names.join(", ")
        };
        let mut comment = format!("imwarden: {verdict}, flow {}", finding.flow_id);
        if !finding.accounts.is_empty() {
            comment.push_str("; account ");
            comment.push_str(&names(&finding.accounts));
        }
        if !finding.peers.is_empty() {
            comment.push_str("; with ");
            comment.push_str(&names(&finding.peers));
        }
        let (first, last) = (finding.first_seen, finding.last_seen);
        self.flows.add(&finding.tuple, first, last, comment.into());
    }

    /// What is to be said of a frame that is wanted.
    fn verdict(&self, number: u64, frame: &Frame<'_>) -> Option<&str> {
        let meta = pipeline::frame_meta(number, frame);
        match &decode(meta, frame.data) {
            Decoded::Packet(packet) => self.flows.flow_of(packet).map(AsRef::as_ref),
            Decoded::Fragment(fragment) => self
                .flows
                .between(fragment.src, fragment.dst)
                .map(|_| "imwarden: IP fragment between hosts of a messenger's flow"),
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
