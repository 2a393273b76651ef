//! The FLAP streams inside a session, over all its connections.

use super::GATEWAY;
use crate::classify::carrier::http::{Inside, Part};
use crate::classify::oscar::dissector::FlapDissector;
use crate::classify::oscar::flap::MARKER;
use crate::classify::{Dissector, Events};
use crate::model::{Direction, Event, Format};
use std::collections::BTreeMap;

/// Inner connections followed at a time: the last ones. A client closes one before it goes on to the next.
const MAX_STREAMS: usize = 4;

/// The FLAP streams of a session.
#[derive(Debug, Default)]
pub struct Streams {
    connections: BTreeMap<u32, FlapDissector>,
    /// Number of the client's last body.
    last: Option<u32>,
    /// The body at hand was sent before: an answer that did not come makes clients send again.
    again: bool,
}

impl Inside for Streams {
    fn take(&mut self, from_client: bool, part: Part<'_>, out: &mut Events) {
        let direction = if from_client {
            Direction::ToServer
        } else {
            Direction::ToClient
        };
        match part {
            Part::Begin(number) => {
                self.again = false;
                if let (true, Some(number)) = (from_client, number) {
                    self.number(number, out);
                }
            }
            Part::Bytes { channel, bytes } => {
                if !(from_client && self.again) {
                    self.bytes(direction, channel, bytes, out);
                }
            }
            Part::Lost => self.lost(direction, out),
        }
    }

    fn tell_again(&mut self) {
        for stream in self.connections.values_mut() {
            stream.tell_again();
        }
    }

    fn held(&self) -> usize {
        self.connections.values().map(Dissector::memory).sum()
    }
}

impl Streams {
    /// Bodies of the client are numbered one by one.
    fn number(&mut self, number: u32, out: &mut Events) {
        self.again = self.last == Some(number);
        if self
            .last
            .is_some_and(|last| number != last && Some(number) != last.checked_add(1))
        {
            self.lost(Direction::ToServer, out);
        }
        self.last = Some(number);
    }

    fn lost(&mut self, direction: Direction, out: &mut Events) {
        for stream in self.connections.values_mut() {
            with(out, |out| {
                stream.gap(direction, u64::from(u32::MAX), out);
            });
        }
    }

    fn bytes(&mut self, direction: Direction, channel: u32, bytes: &[u8], out: &mut Events) {
        let known = self.connections.contains_key(&channel);
        let stream = self.connections.entry(channel).or_default();
        // A session joined in the middle begins anywhere in a frame.
        if !known && bytes.first() != Some(&MARKER) {
            with(out, |out| {
                stream.gap(direction, u64::from(u32::MAX), out);
            });
        }
        with(out, |out| stream.feed(direction, bytes, out));
        while self.connections.len() > MAX_STREAMS {
            let oldest = self
                .connections
                .keys()
                .find(|key| **key != channel)
                .copied();
            let Some(oldest) = oldest else { return };
            self.connections.remove(&oldest);
        }
    }
}

/// What is said inside, as the flow around it says it.
fn with(out: &mut Events, feed: impl FnOnce(&mut Events)) {
    let mut inner = Events::default();
    feed(&mut inner);
    for event in inner.drain() {
        match event {
            Event::Identified {
                format,
                confidence,
                evidence,
            } => {
                let format = Format {
                    service: format.service,
                    ..GATEWAY
                };
                out.identified(format, confidence, evidence);
            }
            // HTTP knows who is who, and the next server is reached through this same session.
            Event::ClientIs(_) | Event::Redirect { opener: None, .. } => {}
            event => out.push(event),
        }
    }
}
