//! What a flow's own events do not say, but those of others.

use super::{Engine, FlowState, Heard};
use crate::classify::facts::{At, Facts};
use crate::classify::learned::Names;
use crate::flow::FlowInfo;
use crate::model::{
    Endpoint, Event, Evidence, EvidenceKind, FiveTuple, Service, Token, Transport, risk,
};

impl Engine<'_> {
    /// What is known of a flow before its first byte.
    pub(super) fn foresee(&self, info: &FlowInfo, state: &mut FlowState) {
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
            let evidence = Evidence { packet, ..evidence };
            state.facts().port = Some(Box::new((service, evidence)));
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
            state.facts().network = Some(Box::new((service.clone(), evidence)));
        }
    }

    /// Whether the flow shows what another gave out; then it is the one that was announced.
    pub(super) fn proves(&self, info: &FlowInfo, facts: &mut Facts, token: Token) -> bool {
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

    /// Tells the session what this flow is, and this flow what the session is.
    pub(super) fn share_session(&mut self, info: &FlowInfo, state: &mut FlowState) {
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

    /// What the flow's own events do not say, but those of others.
    pub(super) fn conclude(&mut self, info: &FlowInfo, state: &mut FlowState) {
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
}

/// Client and server; without a SYN, who is who is a guess, and the other way round is looked at as well.
fn ends(info: &FlowInfo) -> [Option<(Endpoint, Endpoint)>; 2] {
    let tuple = &info.tuple;
    let turned = (!info.opening_seen).then_some((tuple.server, tuple.client));
    [Some((tuple.client, tuple.server)), turned]
}
