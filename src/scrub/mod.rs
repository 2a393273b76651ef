//! A small capture with names and text replaced that still gives the same verdicts: to be sent to somebody.
//!
//! No list of private fields is kept here, since such a list is never complete. It is the other way about: every
//! payload byte is replaced, and only what changes a verdict is put back (delta debugging, with the engine itself as
//! the oracle). What a new dissector starts to look at is thereby kept, and what nobody looks at never is.
//!
//! * [`select`] reads the capture and takes the packets of messengers, in groups of flows that depend on each other;
//! * [`oracle`] says what the program makes of a group;
//! * [`material`] is a group's bytes, each with the places where it stands;
//! * [`names`] gives accounts other names, the same one everywhere;
//! * [`reduce`] replaces everything else.

mod material;
mod names;
mod oracle;
mod reduce;
mod select;

use crate::capture::{CaptureError, Frame, Record};
use crate::ruleset::RuleSet;
use names::Pseudonyms;
use oracle::Level;
use reduce::Reduction;
use select::{Group, Selection};

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why there is no scrubbed capture.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    /// The capture cannot be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Somebody asked to stop.
    #[error("stopped: nothing was written")]
    Stopped,
}

/// What became of a capture.
#[derive(Debug, Default)]
pub struct Scrubbed {
    /// Packets read.
    pub packets: u64,
    /// The packets that are left, in order.
    pub frames: Vec<Scrap>,
    /// Flows of messengers.
    pub flows: usize,
    /// Payload bytes in them.
    pub bytes: u64,
    /// Of those, bytes that are as they were: the verdicts rest on them.
    pub kept: u64,
    /// Flows that keep their name, but not everything that was said of them.
    pub poorer: Vec<u64>,
    /// Flows that would be told otherwise, and so were left out.
    pub left_out: Vec<u64>,
    /// Flows in which an account's name may still be read.
    pub named: Vec<u64>,
    /// The capture ended with this error; what came before is in.
    pub damaged: Option<CaptureError>,
}

/// A packet that is left.
#[derive(Debug)]
pub struct Scrap {
    number: u64,
    record: Record,
    data: Vec<u8>,
    /// What its flow is.
    pub comment: String,
}

impl Scrap {
    /// The frame.
    pub fn frame(&self) -> Frame<'_> {
        Frame {
            timestamp: self.record.timestamp,
            link: self.record.link,
            data: &self.data,
            wire_len: self.record.wire_len,
        }
    }
}

/// Reads a capture and scrubs its messengers. `progress` is told how many flows of how many are done.
pub fn scrub(
    capture: &Path,
    rules: &RuleSet,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Scrubbed, ScrubError> {
    let Selection {
        packets,
        names,
        groups,
        damaged,
    } = select::select(capture, rules, stop)?;
    let mut done = Scrubbed {
        packets,
        damaged,
        flows: groups.iter().map(|group| group.told().count()).sum(),
        ..Scrubbed::default()
    };
    let pseudonyms = Pseudonyms::new(&names);
    let total = done.flows as u64;
    let mut ready = 0;
    for group in groups {
        if stop.load(Ordering::Relaxed) {
            return Err(ScrubError::Stopped);
        }
        ready += group.told().count() as u64;
        clean(group, rules, &pseudonyms, &mut done);
        progress(ready, total);
    }
    // As they came: groups lie between each other.
    done.frames.sort_by_key(|scrap| scrap.number);
    for flows in [&mut done.poorer, &mut done.left_out, &mut done.named] {
        flows.sort_unstable();
        flows.dedup();
    }
    Ok(done)
}

/// Scrubs one group and adds its frames.
fn clean(group: Group, rules: &RuleSet, pseudonyms: &Pseudonyms, done: &mut Scrubbed) {
    let told: Vec<u64> = group.told().collect();
    // What the program says of the group alone is what it said of it in the whole capture; only what was too much
    // to be kept can make a difference.
    let Some(level) = group.level(rules) else {
        done.left_out.extend(told);
        return;
    };
    if level == Level::Name {
        done.poorer.extend(&told);
    }
    let mut reduction = Reduction::new(group, rules, level);
    reduction.shorten();
    let left = reduction.rename(pseudonyms);
    if !reduction.replace(pseudonyms) {
        done.left_out.extend(told);
        return;
    }
    done.named.extend(left);
    let (bytes, kept) = reduction.kept();
    done.bytes += bytes;
    done.kept += kept;
    done.frames.extend(reduction.scraps());
}
