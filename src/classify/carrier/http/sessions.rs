//! Sessions that are spread over many connections: polling messengers open one after the other.
//!
//! What runs inside a session is followed here, not in the flow: a unit may begin in one connection and end in
//! another. What the session is and whose it is, each of its flows may say.

use super::contract::{Inside, Part};
use crate::classify::Events;
use crate::model::{Confidence, Direction, Event, Format, Service, ServiceHint};
use crate::model::{SessionId, SessionKey, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// Sessions remembered; the one longest unused goes first.
const CAPACITY: usize = 4096;
/// Bytes they may hold together, unless somebody says otherwise.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// A messenger polls every few seconds: after so long without a request the session is over.
const IDLE_SECONDS: u64 = 600;
/// Names of one session's user: one, in a few spellings.
const MAX_ACCOUNTS: usize = 16;
/// What an entry costs beside what its inside holds.
const ENTRY_BYTES: usize = 1024;

/// What the flows of a session said of it.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The first of them.
    pub first_flow: u64,
    /// What it is, and how sure.
    pub format: Option<(Format, Confidence)>,
    /// Who signed on, and the flow that said so.
    pub accounts: BTreeMap<String, u64>,
    /// AIM or ICQ.
    pub hints: Vec<(Service, ServiceHint)>,
}

impl Known {
    /// Keeps what matters to other flows.
    fn learn(&mut self, flow: u64, events: &[Event]) {
        for event in events {
            match event {
                Event::Account(name) if self.accounts.len() < MAX_ACCOUNTS => {
                    let teacher = self.accounts.entry(name.clone()).or_insert(flow);
                    *teacher = flow.min(*teacher);
                }
                Event::ServiceHint(service, hint) => self.hinted(Some((service.clone(), *hint))),
                _ => {}
            }
        }
    }

    fn hinted(&mut self, hint: Option<(Service, ServiceHint)>) {
        let room = self.hints.len() < MAX_ACCOUNTS;
        self.hints
            .extend(hint.filter(|hint| room && !self.hints.contains(hint)));
    }
}

struct Entry {
    known: Known,
    /// Away while it is fed.
    inside: Option<Box<dyn Inside>>,
    /// The flow that fed it last.
    flow: u64,
    used: u64,
    last: Timestamp,
    bytes: usize,
}

/// The flow that is being read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// Its number.
    pub flow: u64,
    /// The hosts that send in each direction, as in [`Direction::index`].
    pub senders: [Option<IpAddr>; 2],
    /// Now, in capture time.
    pub now: Timestamp,
}

/// All sessions. Lives in the engine; dissectors reach it through [`Events::sessions`].
pub struct Sessions {
    entries: BTreeMap<SessionKey, Entry>,
    /// Sessions in the order of their last use.
    order: BTreeMap<u64, SessionKey>,
    uses: u64,
    bytes: usize,
    max_bytes: usize,
    place: Place,
}

impl Default for Sessions {
    fn default() -> Self {
        Self::new(MAX_BYTES)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sessions", self.entries.len())
    }
}

impl Sessions {
    /// Sessions that hold at most so many bytes.
    pub const fn new(max_bytes: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            order: BTreeMap::new(),
            uses: 0,
            bytes: 0,
            max_bytes,
            place: Place {
                flow: 0,
                senders: [None, None],
                now: Timestamp::from_nanos(0),
            },
        }
    }

    /// Says which flow is read next.
    pub const fn visit(&mut self, place: Place) {
        self.place = place;
    }

    /// Bytes that all sessions hold.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is known of a session.
    pub fn known(&self, key: &SessionKey) -> Option<&Known> {
        self.entries
            .get(key)
            .filter(|entry| self.is_fresh(entry))
            .map(|entry| &entry.known)
    }

    /// A flow of this session was recognised, and may know whether it is AIM or ICQ.
    pub fn recognised(
        &mut self,
        key: &SessionKey,
        (format, confidence): (&Format, Confidence),
        hint: Option<(Service, ServiceHint)>,
    ) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.known.hinted(hint);
            let known = entry.known.format.as_ref().map(|(_, known)| *known);
            if known < Some(confidence) {
                entry.known.format = Some((format.clone(), confidence));
            }
        }
    }

    /// A session of the host that sends in the direction `client` of the current flow.
    pub fn key(&self, id: &SessionId, client: Direction) -> SessionKey {
        SessionKey {
            client: self.place.senders[client.index()],
            id: id.clone(),
        }
    }

    fn is_fresh(&self, entry: &Entry) -> bool {
        self.place.now.seconds_since(entry.last) <= IDLE_SECONDS
    }

    /// Finds or makes the entry, and marks it as used now.
    fn enter(&mut self, key: &SessionKey) -> &mut Entry {
        if self
            .entries
            .get(key)
            .is_some_and(|entry| !self.is_fresh(entry))
        {
            self.remove(key);
        }
        self.uses = self.uses.saturating_add(1);
        let Self {
            entries,
            order,
            uses,
            bytes,
            place,
            ..
        } = self;
        let entry = entries.entry(key.clone()).or_insert_with(|| {
            *bytes = bytes.saturating_add(ENTRY_BYTES);
            Entry {
                known: Known {
                    first_flow: place.flow,
                    ..Known::default()
                },
                inside: None,
                flow: place.flow,
                used: 0,
                last: place.now,
                bytes: ENTRY_BYTES,
            }
        });
        order.remove(&entry.used);
        order.insert(*uses, key.clone());
        entry.used = *uses;
        entry.last = entry.last.max(place.now);
        entry
    }

    fn remove(&mut self, key: &SessionKey) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.used);
            self.bytes = self.bytes.saturating_sub(entry.bytes);
        }
    }

    /// Puts the inside back and drops what is too much, longest unused first.
    fn leave(&mut self, key: &SessionKey, inside: Box<dyn Inside>, told: &[Event]) {
        if let Some(entry) = self.entries.get_mut(key) {
            let now = ENTRY_BYTES.saturating_add(inside.held());
            self.bytes = self.bytes.saturating_sub(entry.bytes).saturating_add(now);
            entry.bytes = now;
            entry.inside = Some(inside);
            entry.known.learn(self.place.flow, told);
        }
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.entries.len() > CAPACITY || self.bytes > self.max_bytes {
            let Some(oldest) = self.order.values().next().cloned() else {
                return;
            };
            self.remove(&oldest);
        }
    }
}

impl Events {
    /// Hands a part of a session to what follows it, which `open` makes if nothing does yet.
    pub fn session_part(
        &mut self,
        key: &SessionKey,
        open: fn() -> Box<dyn Inside>,
        from_client: bool,
        part: Part<'_>,
    ) {
        let flow = self.sessions().place.flow;
        let entry = self.sessions().enter(key);
        let mut inside = entry.inside.take().unwrap_or_else(open);
        if std::mem::replace(&mut entry.flow, flow) != flow {
            inside.tell_again();
        }
        let before = self.count();
        inside.take(from_client, part, self);
        let told = self.since(before).to_vec();
        self.sessions().leave(key, inside, &told);
    }

    /// A session got its name only now: `inside` followed it so far, and told `told`.
    pub fn session_named(&mut self, key: &SessionKey, inside: Box<dyn Inside>, told: &[Event]) {
        // Known already: then that one has seen more.
        let inside = self.sessions().enter(key).inside.take().unwrap_or(inside);
        self.sessions().leave(key, inside, told);
    }

    /// A session without an inside to follow: remembers what its flow told since there were `before` events.
    pub fn session_told(&mut self, key: &SessionKey, before: usize) {
        let told = self.since(before).to_vec();
        self.push(Event::PartOf(key.clone()));
        let flow = self.sessions().place.flow;
        self.sessions().enter(key).known.learn(flow, &told);
        self.sessions().shrink();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{CAPACITY, ENTRY_BYTES, Inside, Part, Place};
    use crate::classify::Events;
    use crate::model::{Direction, Event, SessionId, SessionKey, Timestamp};
    use std::net::IpAddr;

    /// Tells an account for every whole line, and holds the rest.
    #[derive(Default)]
    struct Lines(Vec<u8>);

    impl Inside for Lines {
        fn take(&mut self, _: bool, part: Part<'_>, out: &mut Events) {
            let Part::Bytes { bytes, .. } = part else {
                return;
            };
            self.0.extend_from_slice(bytes);
            while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.0.drain(..=end).collect();
                out.push(Event::Account(String::from_utf8(line).unwrap()));
            }
        }

        fn tell_again(&mut self) {}

        fn held(&self) -> usize {
            self.0.len()
        }
    }

    fn visit(events: &mut Events, flow: u64, seconds: i64) {
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        events.sessions().visit(Place {
            flow,
            senders: [Some(client), None],
            now: Timestamp::from_nanos(seconds * 1_000_000_000),
        });
    }

    fn key(events: &mut Events, id: &str) -> SessionKey {
        let id = SessionId::new("test", id.as_bytes()).unwrap();
        events.sessions().key(&id, Direction::ToServer)
    }

    fn send(events: &mut Events, id: &str, bytes: &[u8]) {
        let key = key(events, id);
        let part = Part::Bytes { channel: 0, bytes };
        events.session_part(&key, || Box::new(Lines::default()), true, part);
    }

    #[test]
    fn a_unit_may_begin_in_one_flow_and_end_in_another() {
        let mut events = Events::default();
        visit(&mut events, 1, 0);
        send(&mut events, "a", b"ali");
        send(&mut events, "b", b"bo");
        visit(&mut events, 2, 5);
        send(&mut events, "a", b"ce\n");
        assert!(
            events
                .as_ref()
                .contains(&Event::Account("alice\n".to_owned()))
        );
        let (a, b) = (key(&mut events, "a"), key(&mut events, "b"));
        let known = events.sessions().known(&a).unwrap();
        assert_eq!((known.first_flow, known.accounts.len()), (1, 1));
        assert!(events.sessions().known(&b).unwrap().accounts.is_empty());
    }

    #[test]
    fn an_idle_session_is_over_and_another_host_has_its_own() {
        let mut events = Events::default();
        visit(&mut events, 1, 0);
        send(&mut events, "a", b"alice\n");
        let known = key(&mut events, "a");
        let id = SessionId::new("test", b"a").unwrap();
        let other = events.sessions().key(&id, Direction::ToClient);
        assert!(events.sessions().known(&other).is_none());
        visit(&mut events, 2, 601);
        assert!(events.sessions().known(&known).is_none());
        send(&mut events, "a", b"");
        assert_eq!(events.sessions().known(&known).unwrap().first_flow, 2);
        assert_eq!(events.sessions().bytes(), ENTRY_BYTES);
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let mut events = Events::default();
        visit(&mut events, 1, 0);
        for n in 0..CAPACITY {
            send(&mut events, &n.to_string(), b"");
        }
        send(&mut events, "0", b"");
        send(&mut events, "new", b"");
        for (id, there) in [("0", true), ("1", false), ("2", true), ("new", true)] {
            let key = key(&mut events, id);
            assert_eq!(events.sessions().known(&key).is_some(), there, "{id}");
        }
        // What insides hold is counted, and given back.
        for n in 0..40 {
            send(&mut events, &format!("big {n}"), &vec![b'x'; 512 * 1024]);
        }
        let sessions = events.sessions();
        assert!(sessions.bytes() <= super::MAX_BYTES && sessions.entries.len() <= 31);
        assert_eq!(sessions.entries.len(), sessions.order.len());
    }

    #[test]
    fn ids_are_not_shown() {
        let id = SessionId::new("test", b"secret").unwrap();
        assert_eq!(format!("{id:?}"), "test session");
        assert!(
            SessionId::new("test", &[b'x'; 65]).is_none() && SessionId::new("test", b"").is_none()
        );
    }
}
