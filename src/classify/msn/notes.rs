//! What a stream's dissector has already told, so that each fact is told once.

use crate::classify::Events;
use crate::model::{Activity, Event, Format, Party, Target, Token, feature};

/// How many names are remembered; further ones may be told twice.
const MAX_NAMES: usize = 64;

/// How many endpoints one flow may announce. A flow has a handful; a hostile one must not fill the table.
const MAX_REDIRECTS: usize = 32;

/// Remembers and tells.
#[derive(Debug, Default)]
pub(super) struct Notes {
    features: Vec<&'static str>,
    methods: Vec<&'static str>,
    clients: Vec<String>,
    peers: Vec<String>,
    redirects: Vec<(Target, Format, Option<Token>)>,
    own: Option<String>,
}

impl Notes {
    /// What was told so far is to be told again when it is met again. Whose session it is stays known.
    pub fn tell_again(&mut self) {
        self.features.clear();
        self.clients.clear();
        self.peers.clear();
        self.redirects.clear();
    }

    /// A feature was used.
    pub fn feature(&mut self, word: &'static str, out: &mut Events) {
        if is_new(&mut self.features, word) {
            out.push(Event::Feature(word));
        }
    }

    /// The other user, when there is just one.
    pub fn other(&self) -> Option<String> {
        match self.peers.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        }
    }

    /// Tells what the client's user did to whoever else is there, or the other way round.
    pub fn done(&self, what: &'static str, by_client: bool) -> Activity {
        let mut activity = Activity::between(what, by_client, self.other());
        for party in [&mut activity.from, &mut activity.to] {
            party.get_or_insert(Party::Other);
        }
        activity
    }

    /// How the user signed on.
    pub fn sign_on(&mut self, method: &'static str, out: &mut Events) {
        self.feature(feature::SIGN_ON, out);
        if is_new(&mut self.methods, method) {
            out.push(Event::SignOn(method));
        }
    }

    /// Whether a way to sign on was seen.
    pub fn signed_on(&self) -> bool {
        !self.methods.is_empty()
    }

    /// The account this connection belongs to.
    pub fn account(&mut self, name: String, out: &mut Events) {
        if self.own.as_ref() != Some(&name) {
            self.own = Some(name.clone());
            out.push(Event::Account(name));
        }
    }

    /// Somebody the user talks to.
    pub fn peer(&mut self, name: String, out: &mut Events) {
        if self.own.as_ref() != Some(&name) && !self.peers.contains(&name) {
            if self.peers.len() < MAX_NAMES {
                self.peers.push(name.clone());
            }
            out.push(Event::Peer(name));
        }
    }

    /// The client program's name.
    pub fn client(&mut self, name: String, out: &mut Events) {
        if !name.is_empty() && !self.clients.contains(&name) && self.clients.len() < MAX_NAMES {
            self.clients.push(name.clone());
            out.push(Event::Client(name));
        }
    }

    /// A connection is announced; `by_peer` if somebody else than this flow's client will open it.
    /// `between_users`: the other one is whoever was met last. `token`: what the connection will show.
    pub fn redirect(
        &mut self,
        target: Target,
        format: Format,
        (between_users, by_peer): (bool, bool),
        token: Option<Token>,
        out: &mut Events,
    ) {
        if let Target::Address(_, Some(0)) | Target::Host(_, Some(0)) = target {
            return;
        }
        let seen = (target, format, token);
        if self.redirects.len() >= MAX_REDIRECTS || self.redirects.contains(&seen) {
            return;
        }
        self.redirects.push(seen.clone());
        let (target, format, token) = seen;
        let peer = self.peers.last().cloned();
        let opener = by_peer.then(|| peer.clone().unwrap_or_default());
        let with = peer.filter(|_| between_users && !by_peer);
        out.push(Event::Redirect {
            target,
            format,
            opener,
            with,
            token,
        });
    }
}

fn is_new(known: &mut Vec<&'static str>, word: &'static str) -> bool {
    let new = !known.contains(&word);
    if new {
        known.push(word);
    }
    new
}
