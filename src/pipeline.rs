//! The road itself: source -> decode -> flows -> classify -> findings.

use crate::capture::{CaptureError, Frame, FrameSource};
use crate::classify::engine::Engine;
use crate::flow::{Timeouts, Tracker};
use crate::model::{Finding, Occurrence, Summary};
use crate::packet::{Decoded, Defragmenter, FrameMeta, decode};
use crate::ruleset::RuleSet;
use std::sync::atomic::{AtomicBool, Ordering};

/// What flows, reassembly, fragments and learned endpoints of one source may hold together.
pub const DEFAULT_MEMORY: usize = 256 << 20;

/// One part in so many is for what flows say about each other.
const LEARNED_SHARE: usize = 8;
/// One part in so many is for fragments of IP datagrams.
const FRAGMENT_SHARE: usize = 16;

/// How a source is read.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Also report flows that are no finding.
    pub keep_all: bool,
    /// Also tell what people did.
    pub activities: bool,
    /// Memory for flows, reassembly and fragments, in bytes.
    pub memory: usize,
    /// How long flows may be silent.
    pub timeouts: Timeouts,
    /// Number of the first flow.
    pub first_flow: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keep_all: false,
            activities: false,
            memory: DEFAULT_MEMORY,
            timeouts: Timeouts::default(),
            first_flow: 1,
        }
    }
}

/// Where everything goes that is found.
pub trait Sink {
    /// A flow is over.
    fn finding(&mut self, finding: Finding);

    /// Somebody did something, in a flow that is not over yet.
    fn occurrence(&mut self, occurrence: Occurrence) {
        let _ = occurrence;
    }
}

impl<F: FnMut(Finding)> Sink for F {
    fn finding(&mut self, finding: Finding) {
        self(finding);
    }
}

/// What one source said.
#[derive(Debug)]
pub struct Analysis {
    /// Totals.
    pub summary: Summary,
    /// Why reading stopped before the end, if it did; everything before that was handed out.
    pub error: Option<CaptureError>,
}

/// Frames that are asked for at once, if they are at hand.
const BATCH: usize = 32;

/// Frames between two calls of the progress function.
const PROGRESS_EVERY: u64 = 1 << 12;

/// Reads a source to its end, or until `stop` is set.
///
/// `sink` gets each finding as soon as its flow has ended and no earlier flow is open: in order of their first packets,
/// but for flows so long that a hundred finished ones would have to wait for them. `progress` is told now and then
/// how many bytes of the source were consumed.
pub fn run(
    source: &mut dyn FrameSource,
    rules: &RuleSet,
    settings: Settings,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(u64),
    sink: &mut dyn Sink,
) -> Analysis {
    let learned = settings.memory / LEARNED_SHARE;
    let fragments = settings.memory / FRAGMENT_SHARE;
    let mut defragmenter = Defragmenter::new(fragments);
    let mut tracker = Tracker::new(
        Engine::new(rules, learned, settings.keep_all, settings.activities),
        settings.memory - learned - fragments,
        settings.timeouts,
        settings.first_flow,
    );
    let mut summary = Summary::default();
    let mut next_progress = 0;
    let error = loop {
        if summary.packets >= next_progress {
            next_progress = summary.packets + PROGRESS_EVERY;
            progress(source.stats().position);
        }
        if stop.load(Ordering::Relaxed) {
            break None;
        }
        let frames = match source.next_frames(BATCH) {
            Ok(frames) if frames.is_empty() => break None,
            Ok(frames) => frames,
            Err(error) => break Some(error),
        };
        for frame in frames.iter() {
            summary.packets += 1;
            summary.bytes += u64::from(frame.wire_len);
            summary.saw(frame.timestamp);
            let meta = frame_meta(summary.packets, &frame);
            defragmenter.tick(frame.timestamp, &mut |packet| tracker.packet(packet));
            match &decode(meta, frame.data) {
                Decoded::Packet(packet) => tracker.packet(packet),
                Decoded::Fragment(fragment) => {
                    defragmenter.push(fragment, &mut |packet| tracker.packet(packet));
                }
                Decoded::Ignored(reason) => *summary.ignored.entry(reason.name()).or_default() += 1,
            }
            hand_out(tracker.handler_mut(), &mut summary, sink);
        }
    };
    let stats = source.stats();
    progress(stats.position);
    summary.drops = stats.dropped;
    defragmenter.finish(&mut |packet| tracker.packet(packet));
    let pieces = defragmenter.stats();
    for (reason, frames) in pieces.ignored() {
        *summary.ignored.entry(reason.name()).or_default() += frames;
    }
    let (mut engine, counted) = tracker.finish();
    engine.finish();
    hand_out(&mut engine, &mut summary, sink);
    summary.given_up = engine.given_up();
    summary.flows = counted.flows;
    summary.evictions = counted.evictions;
    summary.overlaps = counted.overlaps + pieces.overlaps;
    Analysis { summary, error }
}

/// What the decoder is told of a frame besides its bytes.
pub const fn frame_meta(number: u64, frame: &Frame<'_>) -> FrameMeta {
    FrameMeta {
        number,
        timestamp: frame.timestamp,
        link: frame.link,
        wire_len: frame.wire_len,
    }
}

fn hand_out(engine: &mut Engine<'_>, summary: &mut Summary, sink: &mut dyn Sink) {
    while let Some(occurrence) = engine.next_occurrence() {
        sink.occurrence(occurrence);
    }
    while let Some(finding) = engine.next_finding() {
        summary.count(&finding);
        sink.finding(finding);
    }
}
