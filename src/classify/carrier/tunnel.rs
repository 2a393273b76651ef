//! What runs inside a proxy's connection: a stream of its own.

use crate::classify::Events;
use crate::classify::stream::{Context, Stream};
use crate::model::{Direction, Event, Target, Transport};

/// The inside of a connection that a proxy granted.
pub struct Tunnel {
    /// As the flow's path says it.
    carrier: &'static str,
    /// The port that was asked for.
    port: u16,
    /// Set when the proxy listens for its client (SOCKS BIND), to the direction that the proxy's client sends in.
    listens: Option<Direction>,
    stream: Option<Box<Stream>>,
}

impl Tunnel {
    /// A tunnel to that port, of which nothing was seen yet.
    pub const fn new(carrier: &'static str, port: u16) -> Self {
        Self {
            carrier,
            port,
            listens: None,
            stream: None,
        }
    }

    /// The carrier and the port became known.
    pub const fn set(&mut self, carrier: &'static str, port: u16) {
        self.carrier = carrier;
        self.port = port;
    }

    /// The proxy's client, which sends in this direction, asked it to listen.
    pub const fn set_listens(&mut self, client: Direction) {
        self.listens = Some(client);
    }

    const fn context(&self) -> Context {
        Context {
            server_port: self.port,
            expected: None,
        }
    }

    /// Bytes held on the heap.
    pub fn memory(&self) -> usize {
        let stream = self.stream.as_deref();
        stream.map_or(0, |stream| size_of_val(stream) + stream.memory())
    }

    /// The next bytes of one direction.
    pub fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let context = self.context();
        self.with(out, |stream, out| {
            stream.feed(direction, bytes, context, out);
        });
    }

    /// Bytes of one direction are missing.
    pub fn gap(&mut self, direction: Direction, missing: u64, out: &mut Events) {
        let context = self.context();
        self.with(out, |stream, out| {
            stream.gap(direction, missing, context, out);
        });
    }

    /// The connection is over.
    pub fn end(&mut self, out: &mut Events) {
        if self.stream.is_none() {
            return;
        }
        let context = self.context();
        self.with(out, |stream, out| {
            for direction in Direction::BOTH {
                stream.end_of(direction, context, out);
            }
            stream.end(out);
        });
    }

    fn with(&mut self, out: &mut Events, act: impl FnOnce(&mut Stream, &mut Events)) {
        out.deeper(|out| {
            let carrier = self.carrier;
            let stream = self.stream.get_or_insert_with(|| {
                out.push(Event::Carried(carrier));
                Box::new(Stream::new(Transport::Tcp, true))
            });
            let before = out.count();
            act(stream, out);
            self.put_right(out.since_mut(before));
        });
    }

    /// What is said inside is said of the inner connection.
    fn put_right(&self, events: &mut [Event]) {
        for event in events {
            match event {
                // "The port of this connection" is the one inside.
                Event::Redirect {
                    target: Target::Address(_, port @ None) | Target::Host(_, port @ None),
                    ..
                } => *port = Some(self.port),
                // The proxy's client stays the client, whoever dialled whom inside.
                Event::ClientIs(direction) => *direction = self.listens.unwrap_or(*direction),
                _ => {}
            }
        }
    }
}
