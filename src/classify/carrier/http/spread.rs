//! A flow's share in sessions that are spread over many connections.

use super::contract::{Inside, Part};
use crate::classify::Events;
use crate::model::{Direction, Event, SessionId, SessionKey};

/// Events kept of a session that has no name yet.
const MAX_TOLD: usize = 32;

/// What one connection knows of the sessions it carries. Until a session is named (its id comes with the first
/// answer, or lies before the capture), the connection follows it alone.
pub struct Spread {
    client: Direction,
    open: fn() -> Box<dyn Inside>,
    unnamed: Option<(Box<dyn Inside>, Vec<Event>)>,
    /// The session that was told last.
    last: Option<SessionKey>,
}

impl Spread {
    /// A connection whose client sends in the direction `client`; `open` makes what follows a session.
    pub const fn new(client: Direction, open: fn() -> Box<dyn Inside>) -> Self {
        Self {
            client,
            open,
            unnamed: None,
            last: None,
        }
    }

    /// Bytes held on the heap.
    pub fn memory(&self) -> usize {
        let unnamed = self.unnamed.as_ref();
        unnamed.map_or(0, |(inside, told)| {
            inside.held() + told.capacity() * size_of::<Event>()
        })
    }

    /// A new session begins, whose name is to come.
    pub fn begin(&mut self) {
        self.unnamed = None;
    }

    /// What was followed without a name has this one.
    pub fn name(&mut self, session: &SessionId, out: &mut Events) {
        if let Some((inside, told)) = self.unnamed.take() {
            let key = self.key(session, out);
            out.session_named(&key, inside, &told);
        }
    }

    fn key(&mut self, session: &SessionId, out: &mut Events) -> SessionKey {
        let key = out.sessions().key(session, self.client);
        if self.last.as_ref() != Some(&key) {
            self.last = Some(key.clone());
            out.push(Event::PartOf(key.clone()));
        }
        key
    }

    /// A part of a session.
    pub fn part(
        &mut self,
        session: Option<&SessionId>,
        from_client: bool,
        part: Part<'_>,
        out: &mut Events,
    ) {
        if let Some(session) = session {
            let key = self.key(session, out);
            out.session_part(&key, self.open, from_client, part);
            return;
        }
        let open = self.open;
        let (inside, told) = self.unnamed.get_or_insert_with(|| (open(), Vec::new()));
        let before = out.count();
        inside.take(from_client, part, out);
        let room = MAX_TOLD.saturating_sub(told.len());
        told.extend(out.since(before).iter().take(room).cloned());
    }
}
