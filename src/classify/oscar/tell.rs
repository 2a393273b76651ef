//! Tells each fact about a stream once, and no more facts than a finding can use.

use crate::classify::Events;
use crate::model::{Direction, Event, Format, Service, ServiceHint, Target};
use std::collections::BTreeSet;

use super::names;

/// Accounts of one client on one connection: one, and a few spellings.
const MAX_ACCOUNTS: usize = 16;
/// People talked to over one connection.
const MAX_PEERS: usize = 256;
/// Connections announced by one connection.
const MAX_REDIRECTS: usize = 64;

/// What was told about a stream so far.
#[derive(Debug, Default)]
pub struct Told {
    accounts: BTreeSet<String>,
    peers: BTreeSet<String>,
    features: BTreeSet<&'static str>,
    risks: BTreeSet<&'static str>,
    methods: BTreeSet<&'static str>,
    hints: Vec<(Service, ServiceHint)>,
    redirects: Vec<(Target, &'static str)>,
    client: bool,
    side: bool,
}

/// Tells what was not told before.
#[derive(Debug)]
pub struct Teller<'a> {
    told: &'a mut Told,
    out: &'a mut Events,
}

impl<'a> Teller<'a> {
    /// Tells to `out`, remembering in `told`.
    pub const fn new(told: &'a mut Told, out: &'a mut Events) -> Self {
        Self { told, out }
    }

    /// The client's own account, and what its form says about the service.
    pub fn account(&mut self, name: String) {
        // Both services came to accept e-mail addresses, so these say nothing.
        if names::is_uin(&name) {
            self.hint(Service::ICQ, ServiceHint::SignOnName);
        } else if !name.contains('@') {
            self.hint(Service::AIM, ServiceHint::SignOnName);
        }
        if self.told.accounts.len() < MAX_ACCOUNTS && self.told.accounts.insert(name.clone()) {
            self.out.push(Event::Account(name));
        }
    }

    /// Somebody the user talked to.
    pub fn peer(&mut self, name: String) {
        if self.told.peers.len() < MAX_PEERS && self.told.peers.insert(name.clone()) {
            self.out.push(Event::Peer(name));
        }
    }

    /// AIM or ICQ.
    pub fn hint(&mut self, service: Service, hint: ServiceHint) {
        let hint = (service, hint);
        if !self.told.hints.contains(&hint) {
            self.told.hints.push(hint.clone());
            self.out.push(Event::ServiceHint(hint.0, hint.1));
        }
    }

    /// Something it was used for.
    pub fn feature(&mut self, feature: &'static str) {
        if self.told.features.insert(feature) {
            self.out.push(Event::Feature(feature));
        }
    }

    /// Something it exposes.
    pub fn risk(&mut self, risk: &'static str) {
        if self.told.risks.insert(risk) {
            self.out.push(Event::Risk(risk));
        }
    }

    /// How the user signed on.
    pub fn sign_on(&mut self, method: &'static str) {
        if self.told.methods.insert(method) {
            self.out.push(Event::SignOn(method));
        }
    }

    /// The client program's words about itself; the first ones count.
    pub fn client(&mut self, text: String) {
        if !std::mem::replace(&mut self.told.client, true) {
            self.out.push(Event::Client(text));
        }
    }

    /// The sender of `direction` is the client.
    pub fn client_is(&mut self, direction: Direction) {
        if !std::mem::replace(&mut self.told.side, true) {
            self.out.push(Event::ClientIs(direction));
        }
    }

    /// A connection to come.
    pub fn redirect(&mut self, target: Target, format: Format, opener: Option<String>) {
        let key = (target, format.app_proto);
        if self.told.redirects.len() < MAX_REDIRECTS && !self.told.redirects.contains(&key) {
            self.told.redirects.push(key.clone());
            self.out.push(Event::Redirect {
                target: key.0,
                format,
                opener,
            });
        }
    }
}
