//! Whose flows they are: flows of one sign-on are a session, sessions of one host and account are a user.

use crate::model::{Confidence, Counts, Finding, Mac, Service, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What is gathered of several flows.
#[derive(Clone, Debug)]
pub struct Together {
    /// Accounts of the client's user.
    pub accounts: BTreeSet<String>,
    /// Whom they talked to.
    pub contacts: BTreeSet<String>,
    /// Client programs.
    pub clients: BTreeSet<String>,
    /// What it was used for.
    pub features: BTreeSet<String>,
    /// What it exposed, and how often.
    pub risks: BTreeMap<&'static str, u64>,
    /// The flows, in order.
    pub flows: BTreeSet<u64>,
    /// First packet.
    pub first_seen: Timestamp,
    /// Last packet.
    pub last_seen: Timestamp,
    /// Packets and bytes.
    pub counts: Counts,
    /// How sure, at best.
    pub confidence: Confidence,
    /// Network cards that the host had.
    pub cards: BTreeSet<Mac>,
}

impl Together {
    fn of(finding: &Finding, confidence: Confidence) -> Self {
        let mut together = Self {
            accounts: BTreeSet::new(),
            contacts: BTreeSet::new(),
            clients: BTreeSet::new(),
            features: BTreeSet::new(),
            risks: BTreeMap::new(),
            flows: BTreeSet::new(),
            first_seen: finding.first_seen,
            last_seen: finding.last_seen,
            counts: Counts::default(),
            confidence,
            cards: BTreeSet::new(),
        };
        together.add(finding, confidence);
        together
    }

    fn add(&mut self, finding: &Finding, confidence: Confidence) {
        self.accounts.extend(finding.accounts.iter().cloned());
        self.contacts.extend(finding.peers.iter().cloned());
        self.clients.extend(finding.client.clone());
        self.features.extend(finding.features.iter().cloned());
        for (risk, exposure) in &finding.risks {
            *self.risks.entry(risk).or_default() += exposure.count;
        }
        self.flows.insert(finding.flow_id);
        self.first_seen = self.first_seen.min(finding.first_seen);
        self.last_seen = self.last_seen.max(finding.last_seen);
        self.counts.packets += finding.counts.packets;
        self.counts.bytes += finding.counts.bytes;
        self.confidence = self.confidence.max(confidence);
        self.cards.extend(finding.card);
    }

    fn merge(&mut self, other: Self) {
        self.accounts.extend(other.accounts);
        self.contacts.extend(other.contacts);
        self.clients.extend(other.clients);
        self.features.extend(other.features);
        for (risk, count) in other.risks {
            *self.risks.entry(risk).or_default() += count;
        }
        self.flows.extend(other.flows);
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.counts.packets += other.counts.packets;
        self.counts.bytes += other.counts.bytes;
        self.confidence = self.confidence.max(other.confidence);
        self.cards.extend(other.cards);
    }

    /// Lets go of what grows with every flow.
    fn bound(&mut self) {
        const MOST: usize = 64;
        self.flows.clear();
        while self.accounts.len() > MAX_NAMES {
            self.accounts.pop_last();
        }
        while self.contacts.len() > MOST {
            self.contacts.pop_last();
        }
        while self.clients.len() > MOST {
            self.clients.pop_last();
        }
        while self.cards.len() > MOST {
            self.cards.pop_last();
        }
    }

    /// The host's network card, if it had but one.
    pub fn card(&self) -> Option<Mac> {
        let mut cards = self.cards.iter();
        cards.next().filter(|_| cards.next().is_none()).copied()
    }
}

/// Flows of one sign-on: the one that began it, and those that it led to.
#[derive(Clone, Debug)]
pub struct Session {
    /// The flow that began it.
    pub id: u64,
    /// The client's host.
    pub host: IpAddr,
    /// The messenger.
    pub service: Service,
    /// What its flows say.
    pub all: Together,
}

/// What one account did from one host with one messenger.
#[derive(Clone, Debug)]
pub struct User {
    /// The host.
    pub host: IpAddr,
    /// The messenger.
    pub service: Service,
    /// What the sessions say.
    pub all: Together,
    /// The sessions.
    pub sessions: BTreeSet<u64>,
}

/// Gathers findings in any order of their flows.
#[derive(Debug, Default)]
pub struct People {
    /// By the flow that began them.
    sessions: BTreeMap<u64, Session>,
    /// The session of each flow.
    belongs: BTreeMap<u64, u64>,
    /// Flows whose teacher has not been heard of yet: a long flow is handed out behind those it announced.
    orphans: BTreeMap<u64, Vec<u64>>,
}

impl People {
    /// Takes a finding; only detections count.
    pub fn add(&mut self, finding: &Finding) {
        let (Some(service), Some(confidence), true) =
            (&finding.service, finding.confidence, finding.is_detection())
        else {
            return;
        };
        let host = finding.tuple.client.ip;
        let fits = |session: &Session| {
            session.host == host
                && (session.service == *service
                    || session.service.is_oscar_family() && service.is_oscar_family())
        };
        let teacher = finding.learned_from;
        let known = teacher
            .and_then(|teacher| self.belongs.get(&teacher))
            .filter(|id| self.sessions.get(id).is_some_and(fits))
            .copied();
        let id = known.unwrap_or(finding.flow_id);
        if let (None, Some(teacher)) = (known, teacher) {
            self.orphans.entry(teacher).or_default().push(id);
        }
        self.belongs.insert(finding.flow_id, id);
        match self.sessions.get_mut(&id) {
            Some(session) => session.all.add(finding, confidence),
            None => {
                self.sessions.insert(
                    id,
                    Session {
                        id,
                        host,
                        service: service.clone(),
                        all: Together::of(finding, confidence),
                    },
                );
            }
        }
        for orphan in self.orphans.remove(&finding.flow_id).unwrap_or_default() {
            self.adopt(orphan, id);
        }
    }

    /// A session turns out to be a part of another.
    fn adopt(&mut self, orphan: u64, id: u64) {
        let same = match (self.sessions.get(&orphan), self.sessions.get(&id)) {
            (Some(orphan), Some(session)) => {
                orphan.host == session.host
                    && (orphan.service == session.service
                        || orphan.service.is_oscar_family() && session.service.is_oscar_family())
            }
            _ => false,
        };
        if !same || orphan == id {
            return;
        }
        if let Some(part) = self.sessions.remove(&orphan) {
            for flow in &part.all.flows {
                self.belongs.insert(*flow, id);
            }
            if let Some(session) = self.sessions.get_mut(&id) {
                session.all.merge(part.all);
            }
        }
    }

    /// Sessions in the order of their first flows, and users by host, messenger and account.
    pub fn finish(self) -> (Vec<Session>, Vec<User>) {
        let sessions: Vec<Session> = self.sessions.into_values().collect();
        // What a host and messenger are used by: a session that names nobody (a file, a second connection) is the
        // only user's, if there is just one.
        let mut known: BTreeMap<(IpAddr, &Service), BTreeSet<&BTreeSet<String>>> = BTreeMap::new();
        for session in sessions.iter().filter(|it| !it.all.accounts.is_empty()) {
            known
                .entry((session.host, &session.service))
                .or_default()
                .insert(&session.all.accounts);
        }
        let mut users: BTreeMap<(IpAddr, &Service, BTreeSet<String>), User> = BTreeMap::new();
        for session in &sessions {
            let mut accounts = session.all.accounts.clone();
            if accounts.is_empty()
                && let Some(all) = known.get(&(session.host, &session.service))
                && let (Some(only), 1) = (all.first(), all.len())
            {
                accounts.clone_from(only);
            }
            let key = (session.host, &session.service, accounts);
            if let Some(user) = users.get_mut(&key) {
                user.all.merge(session.all.clone());
                user.sessions.insert(session.id);
            } else {
                let user = User {
                    host: session.host,
                    service: session.service.clone(),
                    all: session.all.clone(),
                    sessions: [session.id].into(),
                };
                users.insert(key, user);
            }
        }
        let users = users.into_values().collect();
        (sessions, users)
    }
}

/// Users that a [`Roll`] holds, and accounts that one of them is known by.
const MAX_USERS: usize = 4096;
const MAX_NAMES: usize = 8;

/// Users without their flows and sessions: what can be kept for months.
#[derive(Debug, Default)]
pub struct Roll {
    users: BTreeMap<(IpAddr, Service, BTreeSet<String>), Together>,
    forgotten: u64,
}

impl Roll {
    /// Takes a finding; only detections count.
    pub fn add(&mut self, finding: &Finding) {
        let (Some(service), Some(confidence), true) =
            (&finding.service, finding.confidence, finding.is_detection())
        else {
            return;
        };
        let accounts = finding.accounts.iter().take(MAX_NAMES).cloned().collect();
        let key = (finding.tuple.client.ip, service.clone(), accounts);
        if let Some(user) = self.users.get_mut(&key) {
            user.add(finding, confidence);
            user.bound();
            return;
        }
        if self.users.len() >= MAX_USERS {
            let oldest = self.users.iter().min_by_key(|(_, user)| user.last_seen);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.users.remove(&key);
                self.forgotten += 1;
            }
        }
        let mut user = Together::of(finding, confidence);
        user.bound();
        self.users.insert(key, user);
    }

    /// The users by host, messenger and account, and how many more there were.
    pub fn finish(mut self) -> (Vec<User>, u64) {
        // What names nobody is the only user's, if there is just one, as in `People`.
        let nameless: Vec<_> = self
            .users
            .keys()
            .filter(|it| it.2.is_empty())
            .cloned()
            .collect();
        for key in nameless {
            let named = |it: &&(IpAddr, Service, BTreeSet<String>)| {
                it.0 == key.0 && it.1 == key.1 && !it.2.is_empty()
            };
            let mut owners = self.users.keys().filter(named);
            let only = owners.next().filter(|_| owners.next().is_none()).cloned();
            if let Some(only) = only
                && let Some(part) = self.users.remove(&key)
                && let Some(user) = self.users.get_mut(&only)
            {
                user.merge(part);
            }
        }
        let users = self.users.into_iter();
        let users = users.map(|((host, service, _), all)| User {
            host,
            service,
            all,
            sessions: BTreeSet::new(),
        });
        (users.collect(), self.forgotten)
    }
}
