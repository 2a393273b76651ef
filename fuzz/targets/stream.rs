//! One stream under all detectors at once: what is told does not depend on how the bytes were cut.

use super::parsers::said;
use super::script::{Cuts, Step, What, hash, steps};
use imwarden::classify::Events;
use imwarden::classify::stream::{Context, Stream};
use imwarden::model::{Direction, Event, Transport};

/// An undecided stream holds two windows of 16 KiB, a decided one what its dissector needs.
const MOST_HELD: usize = 1024 * 1024;

/// The first byte says what is known around the stream, the rest is a [`script`](super::script).
pub fn stream(data: &[u8]) {
    let Some((control, rest)) = data.split_first() else {
        return;
    };
    let ports = [5190, 1863, 5050, 80, 443, 1080, 4000, 40_000];
    let expected = [None, Some("oft"), Some("msnftp"), Some("icq-direct")];
    let context = Context {
        server_port: ports[usize::from(control & 7)],
        expected: expected[usize::from(control >> 3 & 3)],
    };
    let from_start = control & 0x20 == 0;
    let steps = steps(rest);
    if control & 0x40 != 0 {
        datagrams(context, &steps);
        return;
    }
    let whole = said(told(context, from_start, &steps, Cuts::Whole));
    for cuts in [Cuts::Ones, Cuts::Random(hash(rest))] {
        assert_eq!(
            said(told(context, from_start, &steps, cuts)),
            whole,
            "{cuts:?}"
        );
    }
}

fn told(context: Context, from_start: bool, steps: &[Step], mut cuts: Cuts) -> Vec<Event> {
    let mut stream = Stream::new(Transport::Tcp, from_start);
    let mut events = Events::default();
    let mut told = Vec::new();
    let mut wanted = true;
    for step in steps {
        match &step.what {
            What::Bytes(bytes) => {
                for piece in cuts.pieces(bytes) {
                    stream.feed(step.direction, piece, context, &mut events);
                    assert!(stream.memory() <= MOST_HELD, "{} bytes", stream.memory());
                    assert!(wanted || events.is_empty(), "{:?}", events.as_ref());
                    wanted &= stream.wants_bytes();
                    told.extend(events.drain());
                }
            }
            What::Gap(missing) => {
                stream.gap(step.direction, *missing, context, &mut events);
                wanted &= stream.wants_bytes();
                told.extend(events.drain());
            }
        }
    }
    for direction in Direction::BOTH {
        stream.end_of(direction, context, &mut events);
    }
    stream.end(&mut events);
    told.extend(events.drain());
    told
}

fn datagrams(context: Context, steps: &[Step]) {
    let mut stream = Stream::new(Transport::Udp, true);
    let mut events = Events::default();
    for step in steps {
        if let What::Bytes(bytes) = &step.what {
            let wire_len = bytes.len();
            stream.datagram(step.direction, bytes, wire_len, context, &mut events);
        }
    }
    stream.end(&mut events);
}
