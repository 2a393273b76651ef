//! The road itself: source -> decode -> flows -> classify -> findings.

use crate::capture::{CaptureError, Frame, FrameSource, Frames};
use crate::classify::engine::{Engine, Standing};
use crate::flow::{Timeouts, Tracker, TrackerStats};
use crate::model::{Detection, Finding, FlowKey, Occurrence, Summary, Timestamp};
use crate::packet::{Decoded, Defragmenter, FragmentStats, FrameMeta, Plain, decode};
use crate::ruleset::RuleSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What flows, reassembly, fragments and learned endpoints of one source may hold together.
pub const DEFAULT_MEMORY: usize = 256 << 20;

/// One part in so many is for what flows say about each other.
const LEARNED_SHARE: usize = 8;
/// One part in so many is for fragments of IP datagrams.
const FRAGMENT_SHARE: usize = 16;

/// How a source is read.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own"
)]
pub struct Settings {
    /// Also report flows that are no finding.
    pub keep_all: bool,
    /// Also tell what people did.
    pub activities: bool,
    /// Findings also have the host names that their flows tell of.
    pub names: bool,
    /// Memory for flows, reassembly and fragments, in bytes.
    pub memory: usize,
    /// How long flows may be silent.
    pub timeouts: Timeouts,
    /// Number of the first flow.
    pub first_flow: u64,
    /// The source has no end: flows are told of while they go on.
    pub live: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keep_all: false,
            activities: false,
            names: false,
            memory: DEFAULT_MEMORY,
            timeouts: Timeouts::default(),
            first_flow: 1,
            live: false,
        }
    }
}

/// Where everything goes that is found.
pub trait Sink {
    /// A flow is over.
    fn finding(&mut self, finding: Finding);

    /// A flow that goes on is a messenger's, as far as known by now; or more is known of it. Live only.
    fn detection(&mut self, detection: Detection) {
        let _ = detection;
    }

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
    let mut road = Road::new(rules, settings);
    let mut next_progress = 0;
    let error = loop {
        if road.summary.packets >= next_progress {
            next_progress = road.summary.packets + PROGRESS_EVERY;
            progress(source.stats().position);
        }
        if stop.load(Ordering::Relaxed) {
            break None;
        }
        match source.next_frames(BATCH) {
            Ok(frames) if frames.is_empty() => match source.pause() {
                Some(now) => road.tick(now, sink),
                None => break None,
            },
            Ok(frames) => road.frames(frames, sink),
            Err(error) => break Some(error),
        }
    };
    let stats = source.stats();
    progress(stats.position);
    let mut summary = road.finish(sink);
    summary.drops = stats.dropped;
    Analysis { summary, error }
}

/// The stations behind a source, with all that is on its way between them.
pub struct Road<'r> {
    defragmenter: Defragmenter,
    tracker: Tracker<Engine<'r>>,
    summary: Summary,
}

impl<'r> Road<'r> {
    /// A road on which nothing has come yet.
    pub fn new(rules: &'r RuleSet, settings: Settings) -> Self {
        let learned = settings.memory / LEARNED_SHARE;
        let fragments = settings.memory / FRAGMENT_SHARE;
        let engine = Engine::new(rules, learned, settings.keep_all, settings.activities);
        let mut engine = engine.naming(settings.names);
        if settings.live {
            engine = engine.live(learned);
        }
        Self {
            defragmenter: Defragmenter::new(fragments),
            tracker: Tracker::new(
                engine,
                settings.memory - learned - fragments,
                settings.timeouts,
                settings.first_flow,
            ),
            summary: Summary::default(),
        }
    }

    /// Takes frames.
    pub fn frames(&mut self, frames: Frames<'_>, sink: &mut dyn Sink) {
        let Self {
            defragmenter,
            tracker,
            summary,
        } = self;
        let (mut number, mut bytes) = (summary.packets, 0);
        let mut first = Timestamp::from_nanos(i64::MAX);
        let mut last = Timestamp::from_nanos(i64::MIN);
        for frame in frames.iter() {
            number += 1;
            bytes += u64::from(frame.wire_len);
            let time = frame.timestamp;
            (first, last) = (first.min(time), last.max(time));
            let meta = frame_meta(number, &frame);
            defragmenter.tick(time, &mut |packet| tracker.packet(packet));
            if let Some(plain) = Plain::read(meta.link, frame.data) {
                if let Some(place) = tracker.pass(&plain.headline(&meta)) {
                    tracker.take(&plain.packet(&meta), place);
                }
            } else {
                match &decode(meta, frame.data) {
                    Decoded::Packet(packet) => tracker.packet(packet),
                    Decoded::Fragment(fragment) => {
                        defragmenter.push(fragment, &mut |packet| tracker.packet(packet));
                    }
                    Decoded::Ignored(reason) => {
                        *summary.ignored.entry(reason.name()).or_default() += 1;
                    }
                }
            }
            if tracker.handler().has_news() {
                hand_out(tracker.handler_mut(), summary, sink);
            }
        }
        summary.packets = number;
        summary.bytes += bytes;
        if !frames.is_empty() {
            summary.saw(first);
            summary.saw(last);
        }
    }

    /// Time goes on, and no frame has come.
    pub fn tick(&mut self, now: Timestamp, sink: &mut dyn Sink) {
        let Self {
            defragmenter,
            tracker,
            summary,
        } = self;
        defragmenter.tick(now, &mut |packet| tracker.packet(packet));
        tracker.tick(now);
        hand_out(tracker.handler_mut(), summary, sink);
    }

    /// Tells of detections that go on, as far as anything came of them since they were last told of.
    pub fn update(&mut self, sink: &mut dyn Sink) {
        self.tracker.visit(&mut |engine, info, state| {
            if let Some(detection) = engine.update(info, state) {
                sink.detection(detection);
            }
        });
    }

    /// Tells how detections go on that had packets since then, without taking that for told.
    pub fn look(&mut self, since: Timestamp, sink: &mut dyn Sink) {
        self.tracker.visit(&mut |engine, info, state| {
            if let Some(detection) = engine.look(info, state, since) {
                sink.detection(detection);
            }
        });
    }

    /// What is known of a flow that is open.
    pub fn standing(&self, key: &FlowKey) -> Option<Standing> {
        let state = self.tracker.state(key)?;
        Some(self.tracker.handler().standing(state))
    }

    /// Time of the last packet.
    pub const fn last_packet(&self) -> Option<Timestamp> {
        self.summary.last
    }

    /// Other rules from now on.
    pub fn set_rules(&mut self, rules: Arc<RuleSet>) {
        self.tracker.handler_mut().set_rules(rules);
    }

    /// What was counted so far.
    pub fn summary(&self) -> Summary {
        let mut summary = self.summary.clone();
        let counted = self.tracker.stats();
        let engine = self.tracker.handler();
        summary.given_up = engine.given_up();
        summary.detected += engine.open_detections();
        complete(&mut summary, counted, self.defragmenter.stats());
        summary
    }

    /// Flows that are open, and bytes held for them and for fragments.
    pub fn load(&self) -> (usize, usize) {
        let bytes = self.tracker.memory() + self.defragmenter.used();
        (self.tracker.open_flows(), bytes)
    }

    /// No more frames will come: all flows end.
    pub fn finish(self, sink: &mut dyn Sink) -> Summary {
        let Self {
            mut defragmenter,
            mut tracker,
            mut summary,
        } = self;
        defragmenter.finish(&mut |packet| tracker.packet(packet));
        let (mut engine, counted) = tracker.finish();
        engine.finish();
        hand_out(&mut engine, &mut summary, sink);
        summary.given_up = engine.given_up();
        complete(&mut summary, counted, defragmenter.stats());
        summary
    }
}

/// Adds what the stations counted themselves.
fn complete(summary: &mut Summary, counted: TrackerStats, pieces: FragmentStats) {
    for (reason, frames) in pieces.ignored() {
        *summary.ignored.entry(reason.name()).or_default() += frames;
    }
    summary.flows = counted.flows;
    summary.evictions = counted.evictions;
    summary.overlaps = counted.overlaps + pieces.overlaps;
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
    while let Some(detection) = engine.next_detection() {
        sink.detection(detection);
    }
    while let Some(finding) = engine.next_finding() {
        summary.count(&finding);
        sink.finding(finding);
    }
}
