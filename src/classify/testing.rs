//! What the tests of the families share.

use super::Events;
use super::stream::{Context, Stream};
use crate::model::{Confidence, Direction, Event, Transport};

/// What a flow to this port tells when its sides speak in turns: datagrams, or a stream that is seen from its beginning,
/// in pieces of `cut` bytes.
pub fn spoken<T: AsRef<[u8]>>(
    to: (Transport, u16),
    turns: &[(Direction, T)],
    cut: usize,
    out: Events,
) -> Vec<Event> {
    seen(to, true, turns, cut, out)
}

/// The same of a stream that is joined in the middle, unless `from_start`.
pub fn seen<T: AsRef<[u8]>>(
    (transport, server_port): (Transport, u16),
    from_start: bool,
    turns: &[(Direction, T)],
    cut: usize,
    mut out: Events,
) -> Vec<Event> {
    let mut stream = Stream::new(transport, from_start);
    let context = Context {
        server_port,
        expected: None,
    };
    for (direction, bytes) in turns {
        let bytes = bytes.as_ref();
        match transport {
            Transport::Udp => stream.datagram(*direction, bytes, bytes.len(), context, &mut out),
            Transport::Tcp => {
                for piece in bytes.chunks(cut) {
                    stream.feed(*direction, piece, context, &mut out);
                }
            }
        }
    }
    for direction in Direction::BOTH {
        stream.end_of(direction, context, &mut out);
    }
    stream.end(&mut out);
    let told: Vec<_> = out.drain().collect();
    facts(told)
}

/// How sure it is a messenger's of this format.
pub fn sure_of(app_proto: &str, events: &[Event]) -> Option<Confidence> {
    let identified = events.iter().filter_map(|event| match event {
        Event::Identified {
            format, confidence, ..
        } if format.service.is_some() && format.app_proto == app_proto => Some(*confidence),
        _ => None,
    });
    identified.max()
}

/// The facts told of a stream, without what people did, units, and the particulars of risks and redirects: those have
/// tests of their own.
pub fn facts(events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    let bare = |event| match event {
        Event::Done(_) | Event::Unit(_) | Event::Shows(_) => None,
        Event::Exposed(risk, _) => Some(Event::Risk(risk)),
        Event::Redirect {
            target,
            format,
            opener,
            ..
        } => Some(Event::Redirect {
            target,
            format,
            opener,
            with: None,
            token: None,
        }),
        other => Some(other),
    };
    let mut facts: Vec<Event> = Vec::new();
    for event in events.into_iter().filter_map(bare) {
        // Risks are told each time they are met.
        let again = matches!(event, Event::Risk(_) | Event::Feature(_)) && facts.contains(&event);
        if !again {
            facts.push(event);
        }
    }
    facts
}
