//! What a stream's dissector has already told, so that each fact is told once.

use crate::classify::Events;
use crate::model::{Event, Format, Target, feature, risk};

/// How many names are remembered; further ones may be told twice.
const MAX_NAMES: usize = 64;

/// How many endpoints one flow may announce. A flow has a handful; a hostile one must not fill the table.
const MAX_REDIRECTS: usize = 32;

/// Remembers and tells.
#[derive(Debug, Default)]
pub(super) struct Notes {
    features: Vec<&'static str>,
    risks: Vec<&'static str>,
    methods: Vec<&'static str>,
    clients: Vec<String>,
    peers: Vec<String>,
    redirects: Vec<(Target, Format)>,
    own: Option<String>,
}

impl Notes {
    /// What was told so far is to be told again when it is met again. Whose session it is stays known.
    pub fn tell_again(&mut self) {
        self.features.clear();
        self.risks.clear();
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

    /// The flow exposes something.
    pub fn risk(&mut self, word: &'static str, out: &mut Events) {
        if is_new(&mut self.risks, word) {
            out.push(Event::Risk(word));
        }
    }

    /// A file is offered or sent.
    pub fn file_transfer(&mut self, out: &mut Events) {
        self.feature(feature::FILE_TRANSFER, out);
        self.risk(risk::FILE_TRANSFER, out);
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
    pub fn redirect(&mut self, target: Target, format: Format, by_peer: bool, out: &mut Events) {
        if let Target::Address(_, Some(0)) | Target::Host(_, Some(0)) = target {
            return;
        }
        let seen = (target, format);
        if self.redirects.len() >= MAX_REDIRECTS || self.redirects.contains(&seen) {
            return;
        }
        self.redirects.push(seen.clone());
        let (target, format) = seen;
        let opener = by_peer.then(|| self.peers.last().cloned().unwrap_or_default());
        out.push(Event::Redirect {
            target,
            format,
            opener,
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
