//! Follows a YMSG connection.

use super::session::Session;
use super::stream::Stream;
use super::ymsg::HEADER;
use crate::classify::{Dissector, Events};
use crate::model::Direction;

/// Both directions, and the session they make.
#[derive(Debug)]
pub struct YmsgDissector {
    streams: [Stream; 2],
    session: Session,
}

impl Default for YmsgDissector {
    fn default() -> Self {
        Self {
            streams: <[Stream; 2]>::default(),
            session: Session::tcp(),
        }
    }
}

impl YmsgDissector {
    fn stream(&mut self, direction: Direction) -> (&mut Stream, &mut Session) {
        let [to_server, to_client] = &mut self.streams;
        let stream = match direction {
            Direction::ToServer => to_server,
            Direction::ToClient => to_client,
        };
        (stream, &mut self.session)
    }
}

impl Dissector for YmsgDissector {
    fn feed(&mut self, direction: Direction, all: &[u8], out: &mut Events) {
        let mut bytes = all;
        let (stream, session) = self.stream(direction);
        while let Some((packet, rest)) = stream.next(bytes) {
            let end = (all.len() - rest.len()).cast_signed();
            let length = HEADER + usize::from(packet.header.length);
            out.at(end.saturating_sub_unsigned(length));
            session.packet(direction, &packet, out);
            bytes = rest;
        }
    }

    fn gap(&mut self, direction: Direction, missing: u64, out: &mut Events) {
        let (stream, session) = self.stream(direction);
        if let Some(packet) = stream.gap(missing) {
            session.packet(direction, &packet, out);
        }
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.streams.iter().map(Stream::memory).sum::<usize>()
    }
}
