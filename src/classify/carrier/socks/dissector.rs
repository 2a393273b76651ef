//! Follows a SOCKS connection into what runs inside.

use super::opening::{self, Answer, Command, MAX_OPENING, Read, Request};
use crate::classify::carrier::tunnel::Tunnel;
use crate::classify::{Dissector, Events};
use crate::model::{Direction, Event, Target};

/// Inner bytes of a client that does not wait for the proxy's answer.
const MAX_HELD: usize = 16 * 1024;

/// One direction.
enum Side {
    /// What it said so far, before its first inner byte.
    Opening {
        said: Vec<u8>,
        /// Something before that was not captured.
        holed: bool,
    },
    Inner,
}

impl Default for Side {
    fn default() -> Self {
        Self::Opening {
            said: Vec::new(),
            holed: false,
        }
    }
}

impl Side {
    fn said(&self) -> &[u8] {
        match self {
            Self::Opening { said, .. } => said,
            Self::Inner => &[],
        }
    }

    fn memory(&self) -> usize {
        match self {
            Self::Opening { said, .. } => said.capacity(),
            Self::Inner => 0,
        }
    }

    /// Ends the opening; what was said behind it is inside.
    fn behind(&mut self, used: usize) -> Vec<u8> {
        match std::mem::replace(self, Self::Inner) {
            Self::Opening { mut said, .. } => said.split_off(used.min(said.len())),
            Self::Inner => Vec::new(),
        }
    }
}

/// How far the two have come.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Opening,
    /// The proxy's answer is lost: whoever goes on was let in.
    Presumed,
    Granted,
    /// Refused, not SOCKS after all, or nothing that can be read: nothing is said any more.
    Over,
}

/// One SOCKS connection.
#[derive(Default)]
pub struct Connection {
    sides: [Side; 2],
    /// The direction the client sends in, once an opening says so.
    client: Option<Direction>,
    request: Option<Request>,
    state: State,
    /// Inner bytes of the client from before the proxy's answer, and whether some before them are missing.
    held: Vec<u8>,
    holed: bool,
    tunnel: Option<Tunnel>,
}

impl Dissector for Connection {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        if self.state == State::Over {
            return;
        }
        match &mut self.sides[direction.index()] {
            Side::Opening { said, .. } => {
                said.extend_from_slice(bytes);
                self.advance(out);
            }
            Side::Inner => self.inner(direction, bytes, out),
        }
    }

    fn gap(&mut self, direction: Direction, missing: u64, out: &mut Events) {
        if self.state == State::Over {
            return;
        }
        match &mut self.sides[direction.index()] {
            // Nothing yet: perhaps what is missing came before the opening.
            Side::Opening { said, holed } if said.is_empty() => *holed = true,
            side @ Side::Opening { .. } => {
                side.behind(usize::MAX);
                self.lost(direction, out);
            }
            Side::Inner => self.inner_gap(direction, missing, out),
        }
    }

    fn memory(&self) -> usize {
        let said: usize = self.sides.iter().map(Side::memory).sum();
        let tunnel = self.tunnel.as_ref().map_or(0, Tunnel::memory);
        size_of_val(self) + said + self.held.capacity() + tunnel
    }

    fn end(&mut self, out: &mut Events) {
        let unanswered = self
            .client
            .is_some_and(|client| self.sides[client.reverse().index()].said().is_empty());
        // Nothing of the proxy was captured: that the client went on says that it was let in.
        if self.state != State::Over && unanswered && !self.held.is_empty() {
            self.grant(out);
        }
        if let Some(tunnel) = &mut self.tunnel {
            tunnel.end(out);
        }
    }
}

impl Connection {
    /// Reads the openings as far as they go.
    fn advance(&mut self, out: &mut Events) {
        if self.client.is_none() {
            self.client = self.find_client();
        }
        let Some(client) = self.client else {
            let too_long = |side: &Side| side.said().len() > MAX_OPENING;
            if self.sides.iter().any(too_long) {
                self.state = State::Over;
            }
            return;
        };
        if let Side::Opening { said, holed } = &self.sides[client.index()] {
            let holed = *holed;
            match opening::client(said) {
                Read::Done(request, used) => self.asked(client, request, used, out),
                Read::More if said.len() <= MAX_OPENING => {}
                Read::More | Read::Wrong => self.wrong(client, holed, out),
            }
        }
        let proxy = client.reverse();
        if self.state != State::Over
            && let Side::Opening { said, holed } = &self.sides[proxy.index()]
        {
            let holed = *holed;
            let binds = self
                .request
                .as_ref()
                .is_some_and(|request| request.command == Command::Bind);
            match opening::proxy(said, binds) {
                Read::Done(answer, used) => self.answered(proxy, answer, used, out),
                Read::More if said.len() <= MAX_OPENING => {}
                Read::More | Read::Wrong => self.wrong(proxy, holed, out),
            }
        }
    }

    /// A whole opening tells its side. Both openings of SOCKS 5 may begin with the same bytes.
    fn find_client(&self) -> Option<Direction> {
        Direction::BOTH.into_iter().find_map(|direction| {
            let said = self.sides[direction.index()].said();
            if matches!(opening::client(said), Read::Done(..)) {
                return Some(direction);
            }
            // A greeting reads as a refusal as long as no request is behind it.
            let is_proxy = opening::client(said) == Read::Wrong
                && matches!(opening::proxy(said, false), Read::Done(..));
            is_proxy.then(|| direction.reverse())
        })
    }

    fn asked(&mut self, client: Direction, request: Request, used: usize, out: &mut Events) {
        let mut tunnel = Tunnel::new(request.carrier, request.port);
        if request.command == Command::Bind {
            tunnel.set_listens(client);
        }
        // The proxy may have been understood first, and have spoken inside already.
        match &mut self.tunnel {
            Some(known) => known.set(request.carrier, request.port),
            None => self.tunnel = Some(tunnel),
        }
        if request.command == Command::Associate {
            self.state = State::Over;
        }
        self.request = Some(request);
        let behind = self.sides[client.index()].behind(used);
        if self.state == State::Granted {
            self.tell_target(out);
        }
        self.inner(client, &behind, out);
    }

    fn answered(&mut self, proxy: Direction, answer: Answer, used: usize, out: &mut Events) {
        if !answer.granted {
            self.stop();
            return;
        }
        let behind = self.sides[proxy.index()].behind(used);
        self.tunnel
            .get_or_insert_with(|| Tunnel::new(answer.carrier, 0));
        self.grant(out);
        self.inner(proxy, &behind, out);
    }

    /// The opening is none. Behind a gap that means that the inner bytes have begun.
    fn wrong(&mut self, direction: Direction, holed: bool, out: &mut Events) {
        if !holed {
            self.stop();
            return;
        }
        let said = self.sides[direction.index()].behind(0);
        self.lost(direction, out);
        self.inner(direction, &said, out);
    }

    /// The opening of this direction is lost: whatever comes is inside, somewhere.
    fn lost(&mut self, direction: Direction, out: &mut Events) {
        self.tunnel.get_or_insert_with(|| Tunnel::new("socks5", 0));
        if self.state == State::Opening && self.client == Some(direction.reverse()) {
            self.state = State::Presumed;
        }
        self.inner_gap(direction, u64::from(u32::MAX), out);
    }

    fn stop(&mut self) {
        self.state = State::Over;
        self.held = Vec::new();
        self.sides = [Side::Inner, Side::Inner];
    }

    fn grant(&mut self, out: &mut Events) {
        if std::mem::replace(&mut self.state, State::Granted) == State::Granted {
            return;
        }
        self.tell_target(out);
        let held = std::mem::take(&mut self.held);
        let holed = std::mem::take(&mut self.holed);
        if let (Some(client), Some(tunnel)) = (self.client, &mut self.tunnel) {
            if holed {
                tunnel.gap(client, u64::from(u32::MAX), out);
            }
            if !held.is_empty() {
                tunnel.feed(client, &held, out);
            }
        }
    }

    /// Where the client wanted to go, once it is let in.
    fn tell_target(&self, out: &mut Events) {
        let Some(request) = &self.request else { return };
        // Of a listener it is who may come, not who is asked.
        if request.command != Command::Connect {
            return;
        }
        out.push(Event::Through(request.target.clone()));
        if let Target::Host(name, _) = &request.target {
            out.push(Event::Host {
                name: name.clone(),
                via: request.carrier,
            });
        }
    }

    fn inner(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        if self.state == State::Over || bytes.is_empty() {
            return;
        }
        if self.state == State::Presumed {
            self.grant(out);
        }
        if self.state != State::Granted && self.client == Some(direction) {
            self.held.extend_from_slice(bytes);
            if self.held.len() > MAX_HELD {
                self.grant(out);
            }
        } else if let Some(tunnel) = &mut self.tunnel {
            tunnel.feed(direction, bytes, out);
        }
    }

    fn inner_gap(&mut self, direction: Direction, missing: u64, out: &mut Events) {
        if self.state != State::Granted && self.client == Some(direction) {
            self.held.clear();
            self.holed = true;
        } else if let Some(tunnel) = &mut self.tunnel {
            tunnel.gap(direction, missing, out);
        }
    }
}
