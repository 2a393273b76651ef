//! Frames of any link type: one by one through the decoder, and many of them through the whole program.

use super::script::random;
use imwarden::capture::{CaptureError, FrameSource, Frames, Record, SourceStats};
use imwarden::classify::engine::Engine;
use imwarden::flow::{Timeouts, Tracker};
use imwarden::model::{LinkType, Timestamp};
use imwarden::packet::{self, Decoded, Defragmenter, FrameMeta};
use imwarden::pipeline::{self, Settings};
use imwarden::report::{self, Csv, Eve, Json, Report, Table, Zeek};
use imwarden::ruleset::RuleSet;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

const LINKS: [u32; 18] = [
    1, 0, 9, 12, 14, 50, 51, 101, 105, 108, 113, 127, 192, 228, 229, 276, 119, 147,
];

/// Stands between frames.
const MARK: [u8; 3] = [0xb5, 0xb6, 0xb7];

/// The rules that come with the program.
pub fn builtin() -> &'static RuleSet {
    static RULES: OnceLock<RuleSet> = OnceLock::new();
    RULES.get_or_init(|| RuleSet::builtin().expect("rules of our own"))
}

/// The first byte is the link type, the second one how much longer the frame was on the wire, the rest the frame.
pub fn decode(data: &[u8]) {
    let &[link, longer, ref frame @ ..] = data else {
        return;
    };
    let link = LinkType(LINKS[usize::from(link) % LINKS.len()]);
    let longer = match longer {
        0xff => u32::MAX - frame.len() as u32,
        longer => u32::from(longer) * 16,
    };
    let meta = FrameMeta {
        number: 1,
        timestamp: Timestamp::default(),
        link,
        wire_len: frame.len() as u32 + longer,
    };
    match packet::decode(meta, frame) {
        Decoded::Packet(packet) => {
            let within = frame.as_ptr_range();
            let payload = packet.payload.as_ptr_range();
            assert!(
                packet.payload.is_empty()
                    || within.start <= payload.start && payload.end <= within.end,
                "the payload is lent from the frame"
            );
            // As the frame says or as IP says, but never more than any packet has.
            assert!(packet.payload.len() <= frame.len() && packet.cut <= 1 << 20);
        }
        Decoded::Fragment(fragment) => {
            let mut defragmenter = Defragmenter::new(1 << 20);
            defragmenter.push(&fragment, &mut |_| {});
            defragmenter.finish(&mut |_| {});
        }
        Decoded::Ignored(reason) => assert!(!reason.name().is_empty()),
    }
}

/// The first byte is the link type of all frames, the second one how much memory there is. Before each frame stand a
/// mark, the milliseconds since the last one, and whether time went back, or much of it went by.
pub fn frames(data: &[u8]) {
    let &[link, memory, ref rest @ ..] = data else {
        return;
    };
    let link = LinkType(LINKS[usize::from(link) % LINKS.len()]);
    let mut frames = Vec::new();
    let mut clock = 0_i64;
    for part in split(rest) {
        let &[step, kind, ref frame @ ..] = part else {
            continue;
        };
        let step = i64::from(step)
            * if kind & 1 == 0 {
                1_000_000
            } else {
                10_000_000_000
            };
        clock = if kind & 2 == 0 {
            clock + step
        } else {
            clock - step
        };
        let wire_len = frame.len() as u32 + u32::from(kind >> 2) * 40;
        frames.push((Timestamp::from_nanos(clock), wire_len, frame.to_vec()));
    }
    let memory = (256 << 10) << (memory % 5);
    within_memory(link, &frames, memory);
    let settings = Settings {
        memory,
        keep_all: true,
        ..Settings::default()
    };
    let mut source = Memory::new(link, frames);
    let never = AtomicBool::new(false);
    let mut findings = Vec::new();
    let sink = &mut |finding| findings.push(finding);
    let analysis = pipeline::run(&mut source, builtin(), settings, &never, &mut |_| {}, sink);
    assert!(analysis.error.is_none());
    let summary = &analysis.summary;
    assert!(findings.len() as u64 <= summary.flows);
    let packets: u64 = findings.iter().map(|finding| finding.counts.packets).sum();
    let ignored: u64 = summary.ignored.values().sum();
    assert!(packets + ignored <= summary.packets + summary.overlaps.max(summary.packets));
    let mut out = Vec::new();
    let risks = builtin().risks();
    let reports: [Box<dyn Report>; 5] = [
        Box::new(Table::new(risks, report::Verbosity::Events)),
        Box::new(Json::new(risks)),
        Box::new(Csv::default()),
        Box::new(Eve::new(risks)),
        Box::new(Zeek::default()),
    ];
    for mut report in reports {
        for finding in findings.clone() {
            report
                .finding(finding, &mut out)
                .expect("memory to write to");
        }
        report
            .finish(summary, &mut out)
            .expect("memory to write to");
    }
}

fn split(mut data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    loop {
        let mark = data.windows(MARK.len()).position(|bytes| bytes == MARK);
        let (part, rest) = data.split_at(mark.unwrap_or(data.len()));
        parts.push(part);
        match rest.get(MARK.len()..) {
            Some(rest) => data = rest,
            None => return parts,
        }
    }
}

type Captured = (Timestamp, u32, Vec<u8>);

/// The same road as [`pipeline::run`] takes, with a look at the memory behind each frame.
fn within_memory(link: LinkType, frames: &[Captured], memory: usize) {
    let mut tracker = Tracker::new(
        Engine::new(builtin(), memory / 8, false, true),
        memory,
        Timeouts::default(),
        1,
    );
    let mut defragmenter = Defragmenter::new(memory / 16);
    // What one packet may bring before the next one makes room.
    let slack = Tracker::<Engine<'_>>::FLOW_BYTES + (256 << 10);
    for (number, (timestamp, wire_len, frame)) in frames.iter().enumerate() {
        let meta = FrameMeta {
            number: number as u64 + 1,
            timestamp: *timestamp,
            link,
            wire_len: *wire_len,
        };
        defragmenter.tick(*timestamp, &mut |packet| tracker.packet(packet));
        match packet::decode(meta, frame) {
            Decoded::Packet(packet) => tracker.packet(&packet),
            Decoded::Fragment(fragment) => {
                defragmenter.push(&fragment, &mut |packet| tracker.packet(packet));
            }
            Decoded::Ignored(_) => {}
        }
        assert!(
            tracker.memory() <= memory + slack,
            "{} of {memory}",
            tracker.memory()
        );
        assert!(defragmenter.used() <= memory / 16);
    }
    tracker.finish();
}

/// Frames in memory, as a source.
pub struct Memory {
    bytes: Vec<u8>,
    records: Vec<Record>,
    next: usize,
}

impl Memory {
    /// Frames of one link type: time, length on the wire, bytes.
    pub fn new(link: LinkType, frames: Vec<Captured>) -> Self {
        let (mut bytes, mut records) = (Vec::new(), Vec::new());
        for (timestamp, wire_len, data) in frames {
            records.push(Record {
                timestamp,
                link,
                wire_len,
                start: bytes.len(),
                len: data.len(),
            });
            bytes.extend(data);
        }
        Self {
            bytes,
            records,
            next: 0,
        }
    }
}

impl FrameSource for Memory {
    fn next_frames(&mut self, most: usize) -> Result<Frames<'_>, CaptureError> {
        let rest = &self.records[self.next..];
        let records = &rest[..rest.len().min(most)];
        self.next += records.len();
        Ok(Frames::new(&self.bytes, records))
    }

    fn stats(&self) -> SourceStats {
        SourceStats::default()
    }
}

/// Lets some neighbours change places and repeats some, as `seed` decides, from the item `first` on.
pub fn disturb<T: Clone>(items: &mut Vec<T>, first: usize, mut seed: u64) {
    let first = first.min(items.len());
    for pair in items[first..].chunks_exact_mut(2) {
        if random(&mut seed) & 3 == 0 {
            pair.swap(0, 1);
        }
    }
    let mut index = first;
    while index < items.len() {
        if random(&mut seed) & 7 == 0 {
            items.insert(index, items[index].clone());
            index += 1;
        }
        index += 1;
    }
}
