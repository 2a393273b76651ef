//! TCP reassembly: of each byte the first copy wins, nothing is made up, and what waits is counted.

use super::script::Reader;
use imwarden::flow::{Budget, Chunk, Reassembler};
use imwarden::model::Timestamp;

/// Segments lie in the first so many bytes of the stream, where first copies are remembered.
const SPAN: usize = 1 << 13;
/// Nothing that one input can bring.
const ROOMY: usize = 1 << 30;

/// What the stream has at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copy {
    None,
    /// The first copy of this byte.
    Byte(u8),
    /// The first segment that had it was cut short before it.
    Cut,
}

/// The input is a list of segments: where, how long, what is cut off, when.
pub fn reassembler(data: &[u8]) {
    let mut input = Reader(data);
    let control = input.u8();
    let syn = input.u32();
    // A small budget makes the queue run over now and then.
    let limit = if control & 1 == 0 { ROOMY } else { 4096 };
    let mut budget = Budget::new(limit);
    let mut reassembler = Reassembler::default();
    let joined = control & 2 != 0;
    if !joined {
        reassembler.start_after(syn);
    }
    let mut stream = Stream {
        first: vec![Copy::None; SPAN + 1024],
        position: (!joined).then_some(0),
    };
    let mut clock = 0_i64;
    while !input.0.is_empty() {
        let op = input.u8();
        // Time mostly goes on, in steps of up to two seconds, and sometimes back.
        let step = i64::from(input.u8()) * 8_000_000;
        clock = if op & 0x80 == 0 {
            clock + step
        } else {
            clock - step
        };
        // Where: mostly near what comes next.
        let place = match op & 3 {
            0 => usize::from(input.u16()) % SPAN,
            1 => stream.next(),
            2 => stream.next() + usize::from(input.u8()),
            _ => stream.next().saturating_sub(usize::from(input.u8())),
        };
        if place >= SPAN {
            continue;
        }
        let length = usize::from(input.u8());
        let content = input.take(length);
        let cut = usize::from(if op & 4 == 0 { 0 } else { input.u8() });
        let seq = syn.wrapping_add(1).wrapping_add(place as u32);
        if op & 0x78 == 0x78 {
            let ack = seq.wrapping_add(length as u32);
            reassembler.acknowledged(ack, &mut budget, &mut |chunk| stream.take(chunk));
            stream.settle(&reassembler, syn);
            continue;
        }
        if content.is_empty() && cut == 0 {
            continue;
        }
        stream.note(place, content, cut);
        let now = Timestamp::from_nanos(clock);
        if reassembler.is_joining() {
            // The second segment decides where the stream begins.
            let first = stream.place(&reassembler, syn);
            let swapped = place < first;
            stream.position = Some(if swapped { place } else { first });
        }
        reassembler.push(seq, content, cut, now, &mut budget, &mut |chunk| {
            stream.take(chunk)
        });
        assert!(budget.used() <= limit, "{} of {limit} bytes", budget.used());
        stream.settle(&reassembler, syn);
    }
    stream.settle(&reassembler, syn);
    reassembler.flush(&mut budget, &mut |chunk| stream.take(chunk));
    assert_eq!(budget.used(), 0, "all was given back");
}

struct Stream {
    first: Vec<Copy>,
    /// What is delivered next; `None` while it is not known where a joined stream begins.
    position: Option<usize>,
}

impl Stream {
    fn next(&self) -> usize {
        self.position.unwrap_or(1000)
    }

    fn place(&self, reassembler: &Reassembler, syn: u32) -> usize {
        let seq = reassembler.position().unwrap_or(0);
        seq.wrapping_sub(syn.wrapping_add(1)) as usize
    }

    /// Compares the position with what the reassembler says.
    fn settle(&mut self, reassembler: &Reassembler, syn: u32) {
        if reassembler.is_joining() {
            return;
        }
        if reassembler.position().is_some() {
            let place = self.place(reassembler, syn);
            let position = *self.position.get_or_insert(place);
            assert_eq!(position, place, "what was passed on is where the stream is");
        }
    }

    /// A segment: it counts where nobody was before, and not behind what was passed on.
    fn note(&mut self, place: usize, content: &[u8], cut: usize) {
        let copies = content.iter().map(|byte| Copy::Byte(*byte));
        let copies = copies.chain(std::iter::repeat_n(Copy::Cut, cut));
        let passed = self.position.unwrap_or(0);
        for (at, copy) in copies.enumerate() {
            if let Some(slot @ Copy::None) = self.first.get_mut(place + at)
                && place + at >= passed
            {
                *slot = copy;
            }
        }
    }

    fn take(&mut self, chunk: Chunk<'_>) {
        let Some(position) = self.position.as_mut() else {
            // Joined, and acknowledged or full: the position is known behind it.
            return;
        };
        match chunk {
            Chunk::Data(bytes) => {
                for byte in bytes {
                    let known = self.first.get(*position).copied();
                    assert_eq!(known, Some(Copy::Byte(*byte)), "at {position}");
                    *position += 1;
                }
            }
            Chunk::Gap(missing) => {
                assert!(missing > 0, "a gap of nothing");
                // What is given up must not have been here, but for what a full queue let go of.
                *position += missing as usize;
            }
        }
    }
}
