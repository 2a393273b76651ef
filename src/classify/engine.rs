//! Gathers what the streams tell into one finding a flow.

use super::Events;
use super::carrier::http::{Place, Sessions};
use super::facts::{At, Facts};
use super::learned::{Expectation, Learned, Names, Resolved};
use super::outbox::Outbox;
use super::stream::{Context, Stream};
use crate::flow::{Chunk, FlowHandler, FlowInfo, Interest};
use crate::model::{
    Activity, Detection, Direction, Endpoint, Event, Evidence, EvidenceKind, Finding, FiveTuple,
    News, Occurrence, Packet, Party, Service, Target, Timestamp, Token, Transport, risk, what,
};
use crate::ruleset::RuleSet;
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

/// Tokens of a flow that are looked up once more at its end.
const MAX_SHOWN: usize = 4;

/// Rules for the whole of a capture, or until there are others.
enum Rules<'r> {
    Lent(&'r RuleSet),
    Own(Arc<RuleSet>),
}

impl Deref for Rules<'_> {
    type Target = RuleSet;

    fn deref(&self) -> &RuleSet {
        match self {
            Self::Lent(rules) => rules,
            Self::Own(rules) => rules,
        }
    }
}

/// Turns flows into findings.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own"
)]
pub struct Engine<'r> {
    rules: Rules<'r>,
    learned: Learned,
    events: Events,
    keep_all: bool,
    given_up: u64,
    outbox: Outbox,
    /// Whether anybody wants to hear what people did.
    listened: bool,
    /// Whether flows keep the host names that they tell of.
    naming: bool,
    occurrences: VecDeque<Occurrence>,
    /// Flows are told of while they live, and go out when they end, whatever their order.
    live: bool,
    detections: VecDeque<Detection>,
    /// Flows that were told of and are not over.
    open_detections: u64,
}

/// What the engine remembers of one flow.
pub struct FlowState {
    stream: Stream,
    /// What an earlier flow said this one would be.
    expected: Option<&'static str>,
    /// The server's port is a messenger's.
    port: bool,
    /// When it was opened, DNS had given the server's address for a messenger's name, and that held.
    given: bool,
    heard: Heard,
    /// Allocated with the first fact: most flows never have one.
    facts: Option<Box<Facts>>,
}

/// What was heard of the client, as long as it was listened to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Heard {
    #[default]
    Nothing,
    /// From the first byte on, without a gap.
    Beginning,
    Middle,
}

impl FlowState {
    fn facts(&mut self) -> &mut Facts {
        self.facts.get_or_insert_default()
    }
}

impl<'r> Engine<'r> {
    /// An engine with these rules that remembers at most `memory` bytes of what flows say about each other. With
    /// `keep_all`, flows that are no finding are kept as well; with `listened`, what people did is told.
    pub fn new(rules: &'r RuleSet, memory: usize, keep_all: bool, listened: bool) -> Self {
        Self {
            rules: Rules::Lent(rules),
            learned: Learned::new(memory / 8 * 5),
            events: Events::lending(Sessions::new(memory / 8 * 2), rules),
            keep_all,
            given_up: 0,
            outbox: Outbox::new(memory / 8, false),
            listened,
            naming: false,
            occurrences: VecDeque::new(),
            live: false,
            detections: VecDeque::new(),
            open_detections: 0,
        }
    }

    /// The same for an interface, where flows have no end that one could wait for: detections are told as soon as they
    /// are known, and flows when they end.
    #[must_use]
    pub fn live(mut self, memory: usize) -> Self {
        self.live = true;
        self.outbox = Outbox::new(memory / 8, true);
        self
    }

    /// Findings have the host names that their flows tell of.
    #[must_use]
    pub const fn naming(mut self, naming: bool) -> Self {
        self.naming = naming;
        self
    }

    /// Other rules from now on. What was said by the old ones stands.
    pub fn set_rules(&mut self, rules: Arc<RuleSet>) {
        self.events.lend(&rules);
        self.rules = Rules::Own(rules);
    }

    /// Messengers' flows that are not over (live only).
    pub const fn open_detections(&self) -> u64 {
        self.open_detections
    }

    /// The next detection in a flow that goes on, to be taken after every packet.
    pub fn next_detection(&mut self) -> Option<Detection> {
        self.detections.pop_front()
    }

    /// A detection that goes on and was used since it was last told of.
    pub fn update(&mut self, info: &FlowInfo, state: &mut FlowState) -> Option<Detection> {
        let facts = state.facts.as_deref()?;
        let told = &facts.told;
        if !told.is_detected() || told.at >= info.last_seen {
            return None;
        }
        let finding = self.as_of_now(info, state)?;
        let told = &mut state.facts.as_deref_mut()?.told;
        let news = match told.tell(&finding) {
            News::More {
                identity: false,
                risks,
            } if risks.is_empty() => News::Interval,
            news => news,
        };
        Some(Detection { finding, news })
    }

    /// How a detection goes on that had a packet since then; it stays untold.
    pub fn look(
        &mut self,
        info: &FlowInfo,
        state: &mut FlowState,
        since: Timestamp,
    ) -> Option<Detection> {
        let told = &state.facts.as_deref()?.told;
        if !told.is_detected() || info.last_seen < since {
            return None;
        }
        let finding = self.as_of_now(info, state)?;
        let news = News::Interval;
        Some(Detection { finding, news })
    }

    /// What the finding would be if the flow ended now.
    fn as_of_now(&mut self, info: &FlowInfo, state: &mut FlowState) -> Option<Finding> {
        let before = state.facts.clone();
        self.conclude(info, state);
        let concluded = std::mem::replace(&mut state.facts, before);
        let mut finding = concluded?.finding(info);
        self.outbox.settle(&mut finding);
        Some(finding)
    }

    /// Tells of a messenger as soon as it is one, and when more is known that matters.
    fn announce(&mut self, info: &FlowInfo, state: &mut FlowState) {
        let Some(facts) = state.facts.as_deref() else {
            return;
        };
        let outline = facts.outline();
        if facts.told.outline.as_ref() == Some(&outline) {
            return;
        }
        let finding = self.as_of_now(info, state).filter(Finding::is_detection);
        if let Some(facts) = state.facts.as_deref_mut() {
            facts.told.outline = Some(outline);
            if let Some(finding) = finding {
                let news = facts.told.tell(&finding);
                self.open_detections += u64::from(news == News::New);
                self.detections.push_back(Detection { finding, news });
            }
        }
    }

    /// Flows that nobody recognised and nobody looks at any more.
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }

    /// The next finding that is complete and in order.
    pub fn next_finding(&mut self) -> Option<Finding> {
        self.outbox.next()
    }

    /// The next thing that somebody did, to be taken after every packet.
    pub fn next_occurrence(&mut self) -> Option<Occurrence> {
        self.occurrences.pop_front()
    }

    /// Whether there is a finding, a detection or something that somebody did to be taken.
    #[inline]
    pub fn has_news(&self) -> bool {
        !(self.occurrences.is_empty() && self.detections.is_empty() && self.outbox.is_empty())
    }

    /// No more flows will come: what still waits for others is handed out.
    pub fn finish(&mut self) {
        self.outbox.finish();
    }

    fn context(info: &FlowInfo, state: &FlowState) -> Context {
        Context {
            server_port: info.tuple.server.port,
            expected: state.expected,
        }
    }

    /// Takes what the stream told.
    fn take_events(&mut self, info: &FlowInfo, state: &mut FlowState, direction: Direction) {
        if self.events.is_empty() {
            return;
        }
        let (mut told, offsets) = self.events.take();
        for (event, offset) in told.drain(..).zip(&offsets) {
            let at = At {
                time: info.last_seen,
                packet: info.packet,
                offset: *offset,
            };
            if self.listened
                && let Some(activity) = activity(&event)
            {
                let occurrence = occurrence(info, state.facts(), direction, at, activity);
                self.occurrences.push_back(occurrence);
            }
            match event {
                Event::Redirect {
                    target,
                    format,
                    opener,
                    with,
                    token,
                } => {
                    let facts = state.facts();
                    let own = facts.only_account().map(str::to_owned);
                    // A service that the flow proved itself to be goes with the redirect.
                    let service = facts.service().or_else(|| format.service.clone());
                    let format = crate::model::Format { service, ..format };
                    let client = facts.tuple(info).client.ip;
                    let client = opener.is_none().then_some(client);
                    let (account, peer) = match opener {
                        Some(opener) => {
                            (Some(opener).filter(|name| !name.is_empty()), with.or(own))
                        }
                        None => (own, with),
                    };
                    let expectation = Expectation {
                        format,
                        from_flow: info.id,
                        client,
                        account,
                        peer,
                        token,
                    };
                    let port = facts.tuple(info).server.port;
                    self.learned
                        .expect(&target, port, &expectation, info.last_seen);
                }
                Event::Resolved {
                    name,
                    addresses,
                    aliases,
                    lifetime,
                } => {
                    // Whoever's name was asked for: the address is that of the last name in the chain.
                    let names = std::iter::once(&name).chain(&aliases);
                    let mut hits = names.filter_map(|name| self.rules.host(name));
                    let service = hits.next().map(|hit| hit.service.clone());
                    let answer = Resolved {
                        name: &name,
                        addresses: &addresses,
                        lifetime,
                        service: service.as_ref(),
                        asker: info.tuple.client.ip,
                        from_flow: info.id,
                        packet: info.packet,
                    };
                    self.learned.resolved(&answer, info.last_seen);
                    if self.naming {
                        state.facts().give(&name, &addresses);
                    }
                }
                Event::Host { name, via } => {
                    let hit = self.rules.host(&name).map(|hit| hit.service.clone());
                    let facts = state.facts();
                    if self.naming {
                        facts.carry(&name);
                    }
                    let looks = facts.looks().filter(|_| hit.is_none());
                    if looks.is_some_and(|service| self.rules.shares_host(service, &name)) {
                        facts.name_fits_looks();
                    }
                    facts.named_host(hit, &name, via, info.packet);
                }
                Event::Alpn(protocol) => {
                    if let Some(service) = self.rules.alpn(&protocol) {
                        let facts = state.facts();
                        facts.named_protocol(service, &protocol, info.packet);
                    }
                }
                Event::Ja4(ja4) => {
                    if let Some(service) = self.rules.fingerprint(&ja4) {
                        state.facts().looks_like(service, ja4, info.packet);
                    }
                }
                Event::Through(target) => {
                    if let Target::Address(ip, _) = target {
                        state.facts().through = Some(ip);
                    }
                    let client = state.facts().tuple(info).client.ip;
                    let known = self
                        .learned
                        .expected_through(client, &target, info.last_seen);
                    if let Some(expectation) = known {
                        state.facts().announced(expectation, false, info.packet);
                    }
                }
                Event::Shows(token) => {
                    let facts = state.facts();
                    if !self.proves(info, facts, token) && facts.shown.len() < MAX_SHOWN {
                        facts.shown.push(token);
                    }
                }
                Event::PartOf(session) => {
                    let facts = state.facts();
                    facts.session.get_or_insert(session);
                }
                // Who opened the connection is known: a protocol's idea of client and server yields.
                Event::ClientIs(_) if info.opening_seen => {}
                event => state.facts().take(event, at),
            }
        }
        self.events.recycle((told, offsets));
        self.share_session(info, state);
        if self.live {
            self.announce(info, state);
        }
    }

    /// What is known of a flow before its first byte.
    fn foresee(&self, info: &FlowInfo, state: &mut FlowState) {
        let FlowInfo {
            tuple,
            first_seen: now,
            ..
        } = info;
        let expectation = ends(info)
            .into_iter()
            .flatten()
            .find_map(|(client, server)| self.learned.expected(client.ip, server, *now));
        if let Some(expectation) = expectation.filter(|_| tuple.transport == Transport::Tcp) {
            state.expected = Some(expectation.format.app_proto);
            state.facts().announced(expectation, false, info.packet);
        }
    }

    /// The flow's port, when that is a messenger's. Looked up at the end: most flows never need the words.
    fn name_port(&self, info: &FlowInfo, state: &mut FlowState) {
        let FiveTuple {
            transport, server, ..
        } = info.tuple;
        if !state.port {
            return;
        }
        if let Some((service, evidence)) = self.port_hint(transport, server.port) {
            let packet = info.first_packet;
            state.facts().port = Some((service, Evidence { packet, ..evidence }));
        }
    }

    /// The messenger in whose range the server is. Looked up at the end, and only where nothing else is known.
    fn name_network(&self, info: &FlowInfo, state: &mut FlowState) {
        let known = state.facts.as_ref();
        if known.is_some_and(|facts| facts.names_a_service()) {
            return;
        }
        if let Some((service, rule)) = self.rules.network(info.tuple.server.ip) {
            let evidence = Evidence {
                kind: EvidenceKind::Address,
                what: "network",
                detail: format!("{}, a range of {service}", rule.net).into(),
                packet: info.first_packet,
                offset: 0,
            };
            state.facts().network = Some((service.clone(), evidence));
        }
    }

    /// Whether the flow shows what another gave out; then it is the one that was announced.
    fn proves(&self, info: &FlowInfo, facts: &mut Facts, token: Token) -> bool {
        let given = self.learned.given_out(token, info.last_seen);
        let given = given.filter(|expectation| expectation.from_flow != info.id);
        if let Some(expectation) = given {
            facts.announced(expectation, true, info.packet);
        }
        given.is_some()
    }

    /// What was shown before it was given out, as far as the capture tells: packets cross.
    fn prove_late(&self, info: &FlowInfo, state: &mut FlowState) {
        if let Some(facts) = state.facts.as_deref_mut() {
            for token in std::mem::take(&mut facts.shown) {
                self.proves(info, facts, token);
            }
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

    /// Tells the session what this flow is, and this flow what the session is.
    fn share_session(&mut self, info: &FlowInfo, state: &mut FlowState) {
        let Some(facts) = state.facts.as_deref_mut() else {
            return;
        };
        let Some(session) = facts.session.clone() else {
            return;
        };
        if let Some(recognised) = facts.recognised() {
            let hint = facts.best_hint();
            self.events
                .sessions()
                .recognised(&session, recognised, hint);
        }
        if let Some(known) = self.events.sessions().known(&session) {
            facts.part_of(known, info.id, info.packet);
        }
    }

    /// Whose session the flow is a part of.
    fn name_user(&mut self, info: &FlowInfo, state: &mut FlowState) {
        if let Some(facts) = state.facts.as_deref_mut()
            && let Some(session) = &facts.session
            && let Some(known) = self.events.sessions().known(session)
        {
            facts.session_of(known, info.id);
        }
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

    /// What the flow's own events do not say, but those of others.
    fn conclude(&mut self, info: &FlowInfo, state: &mut FlowState) {
        // A poll says nothing else, and its session may be known by now.
        self.share_session(info, state);
        self.prove_late(info, state);
        self.name_user(info, state);
        self.name_port(info, state);
        self.name_server(info, state);
        self.name_network(info, state);
        self.judge_server(info, state);
        if let Some(facts) = &mut state.facts {
            facts.client_heard = state.heard == Heard::Beginning;
        }
    }

    /// What DNS said of the server. Asked at the end of the flow: the answer may stand behind the flow's first
    /// packet in the capture, and another name for the same address may come later still. A flow that was opened long after
    /// its time to live is not named by it. When one was opened that is joined in the middle nobody knows.
    fn name_server(&self, info: &FlowInfo, state: &mut FlowState) {
        let opened = info.first_seen;
        let known = |ip| self.learned.names(ip, info.last_seen);
        let through = state.facts.as_ref().and_then(|facts| facts.through);
        let names = if let Some(ip) = through {
            known(ip).filter(|names| names.held(opened))
        } else {
            let joined = info.tuple.transport == Transport::Tcp && !info.opening_seen;
            let held = |names: &&Names| state.given || joined || names.held(opened);
            let servers = ends(info).into_iter().flatten();
            let mut known = servers.filter_map(|(_, server)| known(server.ip));
            known.next().filter(held)
        };
        if let Some(names) = names.filter(|names| !names.shared)
            && let Some((service, name)) = &names.messenger
        {
            state
                .facts()
                .resolved_host(service, name, names.from_flow, names.packet);
        }
    }

    /// A messenger's server that no name led to, though its client asks DNS before it connects: the server of a
    /// revival service, of one's own, or of malware. What another flow announced is as good or bad as that one.
    fn judge_server(&self, info: &FlowInfo, state: &mut FlowState) {
        let Some(facts) = state.facts.as_deref_mut() else {
            return;
        };
        let tuple = facts.tuple(info);
        let between_users = facts.role() == Some("peer");
        let anybodys = facts.service().is_some_and(|service| {
            let known = self.rules.messenger(service.id());
            known.is_some_and(|messenger| messenger.open)
        });
        if facts.recognised().is_none()
            || anybodys
            || facts.was_announced()
            || between_users
            || facts.through.is_some()
            || !info.opening_seen
            || !self.learned.asked_before(tuple.client.ip, info.first_seen)
        {
            return;
        }
        let named = self
            .learned
            .names(tuple.server.ip, info.last_seen)
            .is_some_and(|names| names.messenger.is_some());
        if !named {
            let event = Event::Exposed(risk::UNEXPECTED_SERVER, tuple.server.to_string());
            let at = At {
                time: info.first_seen,
                packet: info.first_packet,
                offset: 0,
            };
            facts.take(event, at);
        }
    }

    fn port_hint(&self, transport: Transport, port: u16) -> Option<(Service, Evidence)> {
        let hints: Vec<_> = self.rules.port_hints(transport, port).collect();
        let first = hints.first()?.service;
        let service = match hints.iter().all(|hint| hint.service == first) {
            true => first.clone(),
            // AIM and ICQ share 5190.
            false if hints.iter().all(|hint| hint.service.is_oscar_family()) => Service::OSCAR,
            false => return None,
        };
        let rules: Vec<&str> = hints.iter().map(|hint| hint.rule.id.as_str()).collect();
        let detail = format!("{} {port}: {}", transport.name(), rules.join(", "));
        Some((
            service,
            Evidence {
                kind: EvidenceKind::Port,
                what: "port",
                detail: detail.into(),
                packet: 0,
                offset: 0,
            },
        ))
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

    fn close(&mut self, info: &FlowInfo, mut state: FlowState) {
        self.visit(info);
        state.stream.end(&mut self.events);
        self.take_events(info, &mut state, Direction::ToServer);
        self.conclude(info, &mut state);
        let told = state.facts.as_ref().is_some_and(|it| it.told.is_detected());
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

/// What somebody did, where a fact about the stream is just that.
fn activity(event: &Event) -> Option<Activity> {
    match event {
        Event::Done(activity) => Some(Activity::clone(activity)),
        Event::SignOn(method) => Some(
            Activity::new(what::SIGN_ON)
                .by(Party::Own)
                .with("method", *method),
        ),
        Event::Redirect {
            target,
            format,
            opener,
            with,
            ..
        } => {
            let role = format.role.unwrap_or(format.app_proto);
            let activity = match (opener, with) {
                // Between users: one of them listens there.
                (Some(opener), Some(with)) => Activity::new(what::ADDRESS)
                    .by(with.clone())
                    .to(opener.clone()),
                (Some(opener), None) => Activity::new(what::ADDRESS)
                    .by(Party::Own)
                    .maybe_to((!opener.is_empty()).then(|| opener.clone())),
                (None, Some(with)) => Activity::new(what::ADDRESS).by(with.clone()).to(Party::Own),
                (None, None) => Activity::new(what::REDIRECT).to(Party::Own),
            };
            Some(
                activity
                    .with("address", target.to_string())
                    .with("format", format.app_proto)
                    .with("role", role),
            )
        }
        _ => None,
    }
}

fn occurrence(
    info: &FlowInfo,
    facts: &Facts,
    direction: Direction,
    at: At,
    mut activity: Activity,
) -> Occurrence {
    for party in [&mut activity.from, &mut activity.to] {
        let name = match party {
            Some(Party::Own) => facts.own_name(),
            Some(Party::Other) => facts.other_name(),
            _ => None,
        };
        if let Some(name) = name {
            *party = Some(Party::Account(name.to_owned()));
        }
        if *party == Some(Party::Other) {
            *party = None;
        }
    }
    Occurrence {
        flow_id: info.id,
        tuple: facts.tuple(info),
        service: facts.service(),
        app_proto: facts.app_proto(),
        timestamp: at.time,
        packet: at.packet,
        offset: at.offset,
        direction,
        activity,
    }
}

/// Client and server; without a SYN, who is who is a guess, and the other way round is looked at as well.
fn ends(info: &FlowInfo) -> [Option<(Endpoint, Endpoint)>; 2] {
    let tuple = &info.tuple;
    let turned = (!info.opening_seen).then_some((tuple.server, tuple.client));
    [Some((tuple.client, tuple.server)), turned]
}

#[cfg(test)]
mod tests {
    use super::Engine;
    use crate::classify::stream::Stream;
    use crate::flow::Tracker;

    #[test]
    fn an_undecided_flow_costs_at_most_512_bytes() {
        let cost = Tracker::<Engine<'_>>::FLOW_BYTES + Stream::UNDECIDED_BYTES;
        assert!(cost <= 512, "{cost} bytes");
    }
}
