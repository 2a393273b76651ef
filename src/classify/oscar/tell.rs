//! Tells each fact about a stream once, and no more facts than a finding can use.

use crate::classify::Events;
use crate::model::{
    Activity, Direction, Event, Format, Service, ServiceHint, Target, Token, Unit, risk,
};
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
    methods: BTreeSet<&'static str>,
    hints: Vec<(Service, ServiceHint)>,
    redirects: Vec<(Target, &'static str, Option<Token>)>,
    client: bool,
    /// The direction that the client sends.
    side: Option<Direction>,
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

    /// Something it exposes, each time.
    pub fn risk(&mut self, risk: &'static str) {
        self.out.push(Event::Risk(risk));
    }

    /// The same, and what exactly was seen.
    pub fn exposes(&mut self, risk: &'static str, detail: impl Into<String>) {
        self.out.push(Event::Exposed(risk, detail.into()));
    }

    /// A unit contradicts itself.
    pub fn malformed(&mut self, wrong: String) {
        self.exposes(risk::MALFORMED, wrong);
    }

    /// Whether what goes this way is said by the client, as far as known by now.
    pub fn is_client(&self, direction: Direction) -> bool {
        direction == self.told.side.unwrap_or(Direction::ToServer)
    }

    /// Where others tell directly.
    pub const fn out(&mut self) -> &mut Events {
        self.out
    }

    /// A unit of the protocol went by.
    pub fn unit(&mut self, unit: Unit) {
        self.out.push(Event::Unit(unit));
    }

    /// Somebody did something.
    pub fn done(&mut self, activity: Activity) {
        self.out.done(activity);
    }

    /// The flow shows what another one gave out.
    pub fn shows(&mut self, token: Option<Token>) {
        if let Some(token) = token {
            self.out.push(Event::Shows(token));
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
        if self.told.side.is_none() {
            self.told.side = Some(direction);
            self.out.push(Event::ClientIs(direction));
        }
    }

    /// A connection to come: to a server, or to the user `with` whom it is agreed; what it will show.
    pub fn redirect(
        &mut self,
        target: Target,
        format: Format,
        (opener, with): (Option<String>, Option<String>),
        token: Option<Token>,
    ) {
        // Each service of one host is asked for by a cookie of its own.
        let key = (target, format.app_proto, token);
        if self.told.redirects.len() < MAX_REDIRECTS && !self.told.redirects.contains(&key) {
            self.told.redirects.push(key.clone());
            self.out.push(Event::Redirect {
                target: key.0,
                format,
                opener,
                with,
                token,
            });
        }
    }
}
