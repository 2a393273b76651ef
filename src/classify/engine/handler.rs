//! Where the flows come in.

use super::{Engine, FlowState, Heard};
use crate::classify::carrier::http::Place;
use crate::classify::facts::Facts;
use crate::classify::stream::{Context, Stream};
use crate::flow::{Chunk, FlowHandler, FlowInfo, Interest};
use crate::model::{Detection, Direction, Event, FiveTuple, News, Packet, Transport};

impl Engine<'_> {
    fn context(info: &FlowInfo, state: &FlowState) -> Context {
        Context {
            server_port: info.tuple.server.port,
            expected: state.expected,
        }
    }

    /// Counts the flow when it is given up.
    fn after_bytes(
        &mut self,
        info: &FlowInfo,
        state: &mut FlowState,
        direction: Direction,
        was_given_up: bool,
    ) {
        self.given_up += u64::from(!was_given_up && state.stream.is_given_up());
        self.take_events(info, state, direction);
    }

    /// Says whose events come next, so that sessions over several flows know theirs.
    fn visit(&mut self, info: &FlowInfo) {
        let FiveTuple { client, server, .. } = info.tuple;
        self.events.sessions().visit(Place {
            flow: info.id,
            senders: [Some(client.ip), Some(server.ip)],
            now: info.last_seen,
        });
    }

    fn has_port_hint(&self, transport: Transport, port: u16) -> bool {
        self.rules.port_hints(transport, port).next().is_some()
    }
}

impl FlowHandler for Engine<'_> {
    type State = FlowState;

    fn sent_by_client(&self, packet: &Packet<'_>) -> bool {
        let (transport, src, dst) = (packet.transport(), packet.src, packet.dst);
        let to_known = self
            .learned
            .expected(src.ip, dst, packet.timestamp)
            .is_some();
        let from_known = self
            .learned
            .expected(dst.ip, src, packet.timestamp)
            .is_some();
        if to_known != from_known {
            return to_known;
        }
        // Servers listen below the ephemeral range, as a rule. That comes before a messenger's port, which an
        // ordinary client may happen to have.
        let well_known = |port: u16| port < 1024;
        if well_known(dst.port) != well_known(src.port) {
            return well_known(dst.port);
        }
        // Else the messenger's port is the server's; else the first to speak is the client.
        self.has_port_hint(transport, dst.port) || !self.has_port_hint(transport, src.port)
    }

    fn open(&mut self, info: &FlowInfo) -> FlowState {
        let stream = Stream::new(info.tuple.transport, info.opening_seen);
        let mut state = FlowState {
            stream,
            expected: None,
            heard: Heard::Nothing,
            port: self.has_port_hint(info.tuple.transport, info.tuple.server.port),
            given: self
                .learned
                .names(info.tuple.server.ip, info.first_seen)
                .is_some_and(|names| names.held(info.first_seen)),
            facts: None,
        };
        self.foresee(info, &mut state);
        self.outbox.opened(info.id);
        state
    }

    fn stream(
        &mut self,
        info: &FlowInfo,
        state: &mut FlowState,
        direction: Direction,
        chunk: Chunk<'_>,
    ) {
        self.visit(info);
        let context = Self::context(info, state);
        let was = state.stream.is_given_up();
        if direction == Direction::ToServer {
            state.heard = match (state.heard, chunk) {
                (Heard::Nothing, Chunk::Data(_)) if info.opening_seen => Heard::Beginning,
                (Heard::Beginning, Chunk::Data(_)) => Heard::Beginning,
                _ => Heard::Middle,
            };
        }
        match chunk {
            Chunk::Data(bytes) => state
                .stream
                .feed(direction, bytes, context, &mut self.events),
            Chunk::Gap(missing) => state
                .stream
                .gap(direction, missing, context, &mut self.events),
        }
        if self
            .events
            .as_ref()
            .iter()
            .any(|event| matches!(event, Event::Carried(_)))
        {
            // The client that counts is the one inside.
            state.heard = match (chunk, direction) {
                (Chunk::Data(_), Direction::ToServer) if info.opening_seen => Heard::Beginning,
                (Chunk::Data(_), Direction::ToClient) if info.opening_seen => Heard::Nothing,
                _ => Heard::Middle,
            };
        }
        self.after_bytes(info, state, direction, was);
    }

    fn stream_end(&mut self, info: &FlowInfo, state: &mut FlowState, direction: Direction) {
        self.visit(info);
        let context = Self::context(info, state);
        state.stream.end_of(direction, context, &mut self.events);
        self.take_events(info, state, direction);
    }

    fn datagram(
        &mut self,
        info: &FlowInfo,
        state: &mut FlowState,
        direction: Direction,
        payload: &[u8],
        wire_len: usize,
    ) {
        self.visit(info);
        let context = Self::context(info, state);
        let was = state.stream.is_given_up();
        state.heard = Heard::Beginning;
        state
            .stream
            .datagram(direction, payload, wire_len, context, &mut self.events);
        self.after_bytes(info, state, direction, was);
    }

    fn wants_bytes(&self, state: &FlowState) -> bool {
        state.stream.wants_bytes()
    }

    fn skippable(&self, state: &FlowState, direction: Direction) -> u64 {
        state.stream.skippable(direction)
    }

    fn skip(&mut self, state: &mut FlowState, direction: Direction, bytes: u64) {
        state.stream.skip(direction, bytes);
    }

    fn interest(&self, state: &FlowState) -> Interest {
        match &state.facts {
            Some(facts) if facts.is_messenger() => Interest::Decided,
            _ if state.port => Interest::Possible,
            _ => Interest::Undecided,
        }
    }

    fn memory(&self, state: &FlowState) -> usize {
        // Names are held twice: the dissector remembers what it told.
        let facts = state.facts.as_ref().map_or(0, |facts| 2 * facts.memory());
        state.stream.memory() + facts
    }

    fn fetch(&self, state: &FlowState) -> usize {
        let facts = state.facts.as_deref().map_or(0, Facts::fetch);
        facts ^ state.stream.memory()
    }

    fn close(&mut self, info: &FlowInfo, mut state: FlowState) {
        self.visit(info);
        state.stream.end(&mut self.events);
        self.take_events(info, &mut state, Direction::ToServer);
        self.conclude(info, &mut state);
        let told = state.facts.as_ref().is_some_and(|it| it.is_told());
        self.open_detections -= u64::from(told);
        // Most flows are nothing to tell of: for those no finding is made. What was told before is not taken back in silence.
        let finding = match state.facts {
            Some(facts) if self.keep_all || told || facts.names_a_service() => {
                Some(facts.finding(info))
            }
            None if self.keep_all => Some(Facts::default().finding(info)),
            _ => None,
        };
        if self.live
            && !told
            && let Some(finding) = finding.as_ref().filter(|it| it.is_detection())
        {
            self.detections.push_back(Detection {
                finding: finding.clone(),
                news: News::New,
            });
        }
        self.outbox.closed(info.id, finding);
    }
}
