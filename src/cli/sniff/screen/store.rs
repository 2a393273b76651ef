//! What the screen shows, out of the records that the writer gets: flows, and the users whose they are. Bounded: whatever the
//! network does, the oldest goes.

use super::text;
use crate::cli::sniff::record::Record;
use crate::model::{
    Confidence, Counts, Finding, Mac, News, Occurrence, Service, Severity, Timestamp,
};
use lru::LruCache;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Flows that are kept; those that are over go first.
pub const MAX_FLOWS: usize = 2000;
/// Users that are kept.
pub const MAX_USERS: usize = 1000;
/// Events that are kept of a flow.
pub const MAX_EVENTS: usize = 40;
/// Bytes that flows may take together.
pub const MAX_BYTES: usize = 32 << 20;

/// Events of flows that nobody has told of yet.
const MAX_WAITING: usize = 256;
/// Flows that had to go while they went on: what they have added to their users' sums.
const MAX_GONE: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// Names, contacts and the like of a user.
const MAX_NAMES: usize = 8;
const MAX_CONTACTS: usize = 64;
/// A flow of which nothing was heard for so long carries nothing.
const SILENT: Duration = Duration::from_secs(4);
/// Shorter than this says nothing about a rate.
const LEAST: Duration = Duration::from_millis(400);

/// A host, its messenger, and the accounts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserKey {
    pub host: IpAddr,
    pub service: Service,
    pub accounts: BTreeSet<String>,
}

/// A flow and what happened in it.
#[derive(Debug)]
pub struct Flow {
    pub finding: Finding,
    /// The last ones, the oldest first.
    pub events: VecDeque<Occurrence>,
    /// It is over.
    pub over: bool,
    pub owner: Arc<UserKey>,
    rate: u64,
    counted: (Instant, u64),
    size: usize,
}

impl Flow {
    /// Bytes a second.
    pub fn rate(&self, now: Instant) -> u64 {
        let silent = now.saturating_duration_since(self.counted.0) > SILENT;
        if self.over || silent { 0 } else { self.rate }
    }

    /// Takes the newer state of a flow.
    fn count(&mut self, bytes: u64, now: Instant) {
        let (since, before) = self.counted;
        let passed = now.saturating_duration_since(since);
        if passed >= LEAST {
            self.rate = text::rate(bytes.saturating_sub(before), passed);
            self.counted = (now, bytes);
        }
    }

    fn weigh(&mut self) -> usize {
        let finding = &self.finding;
        let names = finding.accounts.iter().chain(&finding.peers);
        let names: usize = names.map(|name| name.len() + 64).sum();
        let evidence: usize = finding.evidence.iter().map(|it| it.detail.len() + 80).sum();
        let sightings = finding.risks.values().flat_map(|it| &it.sightings);
        let risks: usize = sightings
            .map(|it| it.detail.as_ref().map_or(0, String::len) + 64)
            .sum();
        let events: usize = self.events.iter().map(size_of_event).sum();
        self.size =
            size_of::<Self>() + names + evidence + risks + events + 32 * finding.units.len();
        self.size
    }
}

fn size_of_event(event: &Occurrence) -> usize {
    use crate::model::{Detail, Party};
    let party = |party: &Option<Party>| party.as_ref().and_then(Party::name).map_or(0, str::len);
    let activity = &event.activity;
    let details = activity.details.iter().map(|(_, detail)| match detail {
        Detail::Text(text) => text.len() + 48,
        Detail::Word(_) | Detail::Number(_) => 48,
    });
    size_of::<Occurrence>() + party(&activity.from) + party(&activity.to) + details.sum::<usize>()
}

/// A risk of a user.
#[derive(Clone, Copy, Debug)]
pub struct Exposed {
    pub count: u64,
    pub last_seen: Timestamp,
    /// The flow in which it was seen last.
    pub flow: u64,
}

/// What one user's flows say together.
#[derive(Clone, Debug)]
pub struct User {
    pub contacts: BTreeSet<String>,
    pub clients: BTreeSet<String>,
    pub features: BTreeSet<String>,
    pub cards: BTreeSet<Mac>,
    pub risks: BTreeMap<&'static str, Exposed>,
    pub confidence: Confidence,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub counts: Counts,
    pub flows: u64,
}

impl User {
    fn new(finding: &Finding) -> Self {
        Self {
            contacts: BTreeSet::new(),
            clients: BTreeSet::new(),
            features: BTreeSet::new(),
            cards: BTreeSet::new(),
            risks: BTreeMap::new(),
            confidence: Confidence::Possible,
            first_seen: finding.first_seen,
            last_seen: finding.last_seen,
            counts: Counts::default(),
            flows: 0,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.contacts.extend(other.contacts.iter().cloned());
        self.clients.extend(other.clients.iter().cloned());
        self.features.extend(other.features.iter().cloned());
        self.cards.extend(&other.cards);
        for (risk, exposed) in &other.risks {
            let mine = self.risks.entry(risk).or_insert(Exposed {
                count: 0,
                ..*exposed
            });
            mine.count += exposed.count;
            if exposed.last_seen > mine.last_seen {
                (mine.last_seen, mine.flow) = (exposed.last_seen, exposed.flow);
            }
        }
        self.confidence = self.confidence.max(other.confidence);
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.counts.packets += other.counts.packets;
        self.counts.bytes += other.counts.bytes;
        self.flows += other.flows;
    }
}

/// What a flow has added to its user.
struct Share {
    owner: Arc<UserKey>,
    counts: Counts,
    risks: BTreeMap<&'static str, u64>,
}

impl Share {
    fn of(flow: &Flow) -> Self {
        let risks = flow.finding.risks.iter();
        Self {
            owner: Arc::clone(&flow.owner),
            counts: flow.finding.counts,
            risks: risks.map(|(risk, it)| (*risk, it.count)).collect(),
        }
    }
}

/// All of it.
pub struct Store {
    flows: BTreeMap<u64, Flow>,
    users: BTreeMap<Arc<UserKey>, User>,
    waiting: VecDeque<Occurrence>,
    gone: LruCache<u64, Share>,
    bytes: usize,
    /// Flows and users that had to go.
    pub forgotten: u64,
}

impl Store {
    pub fn new() -> Self {
        Self {
            flows: BTreeMap::new(),
            users: BTreeMap::new(),
            waiting: VecDeque::new(),
            gone: LruCache::new(MAX_GONE),
            bytes: 0,
            forgotten: 0,
        }
    }

    /// Takes one of the writer's records; whether anything is another now.
    pub fn take(&mut self, record: Record, now: Instant) -> bool {
        match record {
            Record::Detection(detection) => {
                // Of a flow that was forgotten nothing but its packets is no news.
                let is_news = detection.news != News::Interval;
                if is_news || self.flows.contains_key(&detection.finding.flow_id) {
                    self.flow(detection.finding, false, now);
                }
            }
            Record::Flow(finding) => self.flow(*finding, true, now),
            Record::Event(event) => self.event(*event),
            Record::Action(_) | Record::Statistics(_) | Record::End(_) => return false,
        }
        true
    }

    fn flow(&mut self, finding: Finding, over: bool, now: Instant) {
        let id = finding.flow_id;
        let before = self.flows.remove(&id);
        if let Some(flow) = &before {
            self.bytes = self.bytes.saturating_sub(flow.size);
        }
        let share = before
            .as_ref()
            .map(Share::of)
            .or_else(|| self.gone.pop(&id));
        if let Some(share) = &share {
            self.give_back(share);
        }
        let (Some(service), true) = (&finding.service, finding.is_detection()) else {
            return;
        };
        let owner = Arc::new(UserKey {
            host: finding.tuple.client.ip,
            service: service.clone(),
            accounts: finding.accounts.iter().take(MAX_NAMES).cloned().collect(),
        });
        let owner = self
            .users
            .get_key_value(&owner)
            .map_or(owner, |(known, _)| Arc::clone(known));
        self.add(&owner, &finding);
        let bytes = finding.counts.bytes;
        let mut flow = match before {
            Some(flow) => Flow {
                finding,
                over,
                owner,
                ..flow
            },
            None => Flow {
                events: self.claim(id),
                finding,
                over,
                owner,
                rate: 0,
                counted: (now, bytes),
                size: 0,
            },
        };
        flow.count(bytes, now);
        self.bytes += flow.weigh();
        self.flows.insert(id, flow);
        while self.flows.len() > MAX_FLOWS || self.bytes > MAX_BYTES {
            if !self.forget_flow() {
                break;
            }
        }
        while self.users.len() > MAX_USERS {
            self.forget_user();
        }
    }

    fn claim(&mut self, id: u64) -> VecDeque<Occurrence> {
        let (mine, others) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|event| event.flow_id == id);
        self.waiting = others;
        mine
    }

    fn event(&mut self, event: Occurrence) {
        if let Some(flow) = self.flows.get_mut(&event.flow_id) {
            flow.events.push_back(event);
            if flow.events.len() > MAX_EVENTS {
                flow.events.pop_front();
            }
            self.bytes = self.bytes.saturating_sub(flow.size);
            self.bytes += flow.weigh();
        } else {
            self.waiting.push_back(event);
            if self.waiting.len() > MAX_WAITING {
                self.waiting.pop_front();
            }
        }
    }

    fn add(&mut self, owner: &Arc<UserKey>, finding: &Finding) {
        let user = self
            .users
            .entry(Arc::clone(owner))
            .or_insert_with(|| User::new(finding));
        user.flows += 1;
        user.counts.packets += finding.counts.packets;
        user.counts.bytes += finding.counts.bytes;
        user.first_seen = user.first_seen.min(finding.first_seen);
        user.last_seen = user.last_seen.max(finding.last_seen);
        user.confidence = finding.confidence.map_or(user.confidence, |confidence| {
            user.confidence.max(confidence)
        });
        user.features.extend(finding.features.iter().cloned());
        let room = MAX_CONTACTS.saturating_sub(user.contacts.len());
        user.contacts
            .extend(finding.peers.iter().take(room).cloned());
        if user.clients.len() < MAX_NAMES {
            user.clients.extend(finding.client.clone());
        }
        if user.cards.len() < MAX_NAMES {
            user.cards.extend(finding.card);
        }
        for (risk, exposure) in &finding.risks {
            let exposed = user.risks.entry(risk).or_insert(Exposed {
                count: 0,
                last_seen: exposure.last_seen,
                flow: finding.flow_id,
            });
            exposed.count += exposure.count;
            if exposure.last_seen >= exposed.last_seen {
                (exposed.last_seen, exposed.flow) = (exposure.last_seen, finding.flow_id);
            }
        }
    }

    /// A flow's share is taken back before it is counted anew, perhaps as another user's.
    fn give_back(&mut self, share: &Share) {
        let Some(user) = self.users.get_mut(&share.owner) else {
            return;
        };
        user.flows = user.flows.saturating_sub(1);
        user.counts.packets = user.counts.packets.saturating_sub(share.counts.packets);
        user.counts.bytes = user.counts.bytes.saturating_sub(share.counts.bytes);
        for (risk, count) in &share.risks {
            if let Some(exposed) = user.risks.get_mut(risk) {
                exposed.count = exposed.count.saturating_sub(*count);
            }
        }
        user.risks.retain(|_, exposed| exposed.count > 0);
        if user.flows == 0 {
            self.users.remove(&share.owner);
        }
    }

    /// Lets go of the flow that matters least; whether there was one.
    fn forget_flow(&mut self) -> bool {
        let oldest = self
            .flows
            .iter()
            .min_by_key(|(_, flow)| (!flow.over, flow.finding.last_seen));
        let Some(flow) = oldest
            .map(|(id, _)| *id)
            .and_then(|id| self.flows.remove(&id))
        else {
            return false;
        };
        self.bytes = self.bytes.saturating_sub(flow.size);
        self.forgotten += 1;
        if !flow.over {
            self.gone.put(flow.finding.flow_id, Share::of(&flow));
        }
        true
    }

    fn forget_user(&mut self) {
        let oldest = self.users.iter().min_by_key(|(_, user)| user.last_seen);
        if let Some(key) = oldest.map(|(key, _)| Arc::clone(key)) {
            self.users.remove(&key);
            self.forgotten += 1;
        }
    }

    /// A flow.
    pub fn get(&self, id: u64) -> Option<&Flow> {
        self.flows.get(&id)
    }

    /// All flows, in order.
    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.flows.values()
    }

    /// All users. Who is not named is the only user of that host and messenger, if there is just one, as in the report.
    pub fn users(&self) -> BTreeMap<Arc<UserKey>, Cow<'_, User>> {
        let mut named: HashMap<(IpAddr, &Service), (u32, &Arc<UserKey>)> = HashMap::new();
        for key in self.users.keys().filter(|key| !key.accounts.is_empty()) {
            let entry = named.entry((key.host, &key.service)).or_insert((0, key));
            entry.0 += 1;
        }
        let mut all: BTreeMap<Arc<UserKey>, Cow<'_, User>> = BTreeMap::new();
        let nameless = |key: &UserKey| key.accounts.is_empty();
        for (key, user) in self.users.iter().filter(|(key, _)| !nameless(key)) {
            all.insert(Arc::clone(key), Cow::Borrowed(user));
        }
        for (key, user) in self.users.iter().filter(|(key, _)| nameless(key)) {
            match named.get(&(key.host, &key.service)) {
                Some((1, owner)) => {
                    if let Some(owner) = all.get_mut(*owner) {
                        owner.to_mut().merge(user);
                    }
                }
                _ => {
                    all.insert(Arc::clone(key), Cow::Borrowed(user));
                }
            }
        }
        all
    }

    /// A user's flows that are kept: those that name nobody are the only user's.
    pub fn flows_of<'a>(&'a self, user: &'a UserKey) -> impl Iterator<Item = &'a Flow> {
        let others = self.users.keys().filter(|key| {
            key.host == user.host && key.service == user.service && !key.accounts.is_empty()
        });
        let alone = others.count() <= 1;
        self.flows.values().filter(move |flow| {
            *flow.owner == *user
                || alone
                    && flow.owner.accounts.is_empty()
                    && flow.owner.host == user.host
                    && flow.owner.service == user.service
        })
    }
}

/// The worst of some risks, as the rules judge them.
pub fn worst<'a>(
    ids: impl Iterator<Item = &'a &'static str>,
    severity: impl Fn(&str) -> Option<Severity>,
) -> Option<Severity> {
    ids.filter_map(|id| severity(id)).max()
}
