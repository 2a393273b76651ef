//! One stream under all detectors at once: what is told does not depend on how the bytes were cut.

use super::frames::builtin;
use super::parsers::said;
use super::script::{Cuts, Step, What, hash, steps};
use imwarden::classify::carrier::http::Sessions;
use imwarden::classify::stream::{Context, Stream};
use imwarden::classify::{Events, Unit};
use imwarden::model::{Direction, Event, Transport};
use std::cell::RefCell;

/// An undecided stream holds two windows of 16 KiB, a decided one what its dissector needs.
const MOST_HELD: usize = 1024 * 1024;

thread_local! {
    /// What rules look for is put in order when they are lent, which takes longer than most inputs.
    static EVENTS: RefCell<Events> = RefCell::new({
        let mut events = Events::default();
        events.lend(builtin());
        events
    });
}

/// Does something with events that know the built-in rules, and nothing of what was before.
pub fn with_builtin<T>(use_them: impl FnOnce(&mut Events) -> T) -> T {
    EVENTS.with_borrow_mut(|events| {
        events.drain().for_each(drop);
        *events.sessions() = Sessions::default();
        events.back_to(Unit::default());
        use_them(events)
    })
}

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
        return with_builtin(|events| datagrams(events, context, &steps));
    }
    with_builtin(|events| uncut(events, context, from_start, &steps));
}

/// Whatever is told does not depend on the cuts.
pub fn uncut(events: &mut Events, context: Context, from_start: bool, steps: &[Step]) {
    let mut tell = |cuts| {
        *events.sessions() = Sessions::default();
        said(told(events, context, from_start, steps, cuts))
    };
    let whole = tell(Cuts::Whole);
    let bytes = steps.iter().map(|step| match &step.what {
        What::Bytes(bytes) => hash(bytes),
        What::Gap(missing) => *missing,
    });
    let seed = bytes.fold(0_u64, |seed, one| seed.rotate_left(1) ^ one);
    for cuts in [Cuts::Ones, Cuts::Random(seed)] {
        assert_eq!(tell(cuts), whole, "{cuts:?}");
    }
}

fn told(
    events: &mut Events,
    context: Context,
    from_start: bool,
    steps: &[Step],
    mut cuts: Cuts,
) -> Vec<Event> {
    let mut stream = Stream::new(Transport::Tcp, from_start);
    let mut told = Vec::new();
    let mut wanted = true;
    for step in steps {
        match &step.what {
            What::Bytes(bytes) => {
                for piece in cuts.pieces(bytes) {
                    stream.feed(step.direction, piece, context, events);
                    assert!(stream.memory() <= MOST_HELD, "{} bytes", stream.memory());
                    assert!(wanted || events.is_empty(), "{:?}", events.as_ref());
                    wanted &= stream.wants_bytes();
                    told.extend(events.drain());
                }
            }
            What::Gap(missing) => {
                stream.gap(step.direction, *missing, context, events);
                wanted &= stream.wants_bytes();
                told.extend(events.drain());
            }
        }
    }
    for direction in Direction::BOTH {
        stream.end_of(direction, context, events);
    }
    stream.end(events);
    told.extend(events.drain());
    told
}

/// Each speech is a datagram.
pub fn datagrams(events: &mut Events, context: Context, steps: &[Step]) {
    let mut stream = Stream::new(Transport::Udp, true);
    for step in steps {
        if let What::Bytes(bytes) = &step.what {
            let wire_len = bytes.len();
            stream.datagram(step.direction, bytes, wire_len, context, events);
            assert!(stream.memory() <= MOST_HELD, "{} bytes", stream.memory());
        }
    }
    stream.end(events);
}
