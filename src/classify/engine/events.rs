//! Sorts what a stream told: to the facts of its flow, or to what other flows ask for.

use super::occurrence::{activity, occurrence};
use super::{Engine, FlowState};
use crate::classify::facts::At;
use crate::classify::learned::{Expectation, Resolved};
use crate::flow::FlowInfo;
use crate::model::{Direction, Event, Format, Target};

/// Tokens of a flow that are looked up once more at its end.
const MAX_SHOWN: usize = 4;

impl Engine<'_> {
    /// Takes what the stream told.
    pub(super) fn take_events(
        &mut self,
        info: &FlowInfo,
        state: &mut FlowState,
        direction: Direction,
    ) {
        if self.events.is_empty() {
            return;
        }
        let (mut told, units) = self.events.take();
        let mut of = units.iter();
        // (Zipped with the units, each event would be moved twice more.)
        for event in told.drain(..) {
            let unit = of.next().copied().unwrap_or_default();
            let at = At {
                time: info.last_seen,
                packet: info.packet,
                offset: unit.offset,
            };
            if self.listened
                && let Some(activity) = activity(&event)
            {
                // What both sides said before they were understood is told of at once.
                let way = unit.direction.unwrap_or(direction);
                let occurrence = occurrence(info, state.facts(), way, at, activity);
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
                    let format = Format { service, ..format };
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
                Event::Certificate(names) => {
                    if let Some(service) = self.rules.certified(&names) {
                        let facts = state.facts();
                        facts.certified(service, &names, info.packet);
                    }
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
        self.events.recycle((told, units));
        self.share_session(info, state);
        if self.live {
            self.announce(info, state);
        }
    }
}
