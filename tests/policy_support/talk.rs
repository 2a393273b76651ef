//! Connections, packet by packet, through rules that are in force.
#![allow(dead_code, reason = "a test uses what it needs")]

use imwarden::model::{
    Direction, Endpoint, LayerPath, Packet, TcpFlags, TcpHeader, Timestamp, Transport,
    TransportHeader,
};
use imwarden::policy::prove::{Backend, Firewall, Lab, Refusal, Rules, packet};
use imwarden::policy::{Attempt, Decision, Hook, Plan, Request, Surroundings, Target, render};
use imwarden::ruleset::RuleSet;

pub fn target(backend: Backend) -> Target {
    match backend {
        Backend::Nftables => Target::Nftables,
        _ => Target::IptablesScript,
    }
}

pub fn plan(request: &Request) -> Plan {
    Plan::new(&RuleSet::builtin().unwrap(), request).unwrap()
}

pub fn forward() -> Request {
    Request {
        hooks: vec![Hook::Forward],
        ..Request::default()
    }
}

/// Rules in force, until others are loaded in their place.
pub struct Loaded<'a> {
    pub lab: &'a mut Lab,
    pub plan: &'a Plan,
    pub target: Target,
    pub firewall: Firewall,
    pub next: u16,
}

impl<'a> Loaded<'a> {
    pub fn new(lab: &'a mut Lab, backend: Backend, plan: &'a Plan) -> Self {
        let text = render(plan, target(backend));
        Self {
            firewall: Firewall::load(backend, &Rules::of(text).unwrap()).unwrap(),
            lab,
            plan,
            target: target(backend),
            next: 20_000,
        }
    }

    /// A connection that is open: both sides have said that they want it. None comes twice.
    pub fn open(&mut self, six: bool, port: u16) -> Conversation {
        self.next += 1;
        let (client, server) = if six {
            ("2001:db8:1::10", "2001:db8:2::9")
        } else {
            ("192.0.2.10", "198.51.100.9")
        };
        let mut it = Conversation {
            client: Endpoint::new(client.parse().unwrap(), self.next),
            server: Endpoint::new(server.parse().unwrap(), port),
            sent: [1_000, 7_000],
        };
        assert!(self.say(&mut it, Direction::ToServer, Some(true), b""));
        assert!(self.say(&mut it, Direction::ToClient, Some(true), b""));
        assert!(self.say(&mut it, Direction::ToServer, None, b""));
        it
    }

    /// Whether a segment comes through. `syn`: it opens the connection.
    pub fn say(
        &mut self,
        it: &mut Conversation,
        direction: Direction,
        syn: Option<bool>,
        said: &[u8],
    ) -> bool {
        let bytes = it.segment(direction, syn.is_some(), false, said);
        self.lab.refusal().unwrap();
        self.lab.passes(direction, &bytes).unwrap()
    }

    /// What the plan says of it.
    pub fn decides(&self, it: &Conversation, payload: &[u8], greeting: &[u8]) -> Decision {
        let attempt = Attempt {
            transport: Transport::Tcp,
            client: it.client,
            server: it.server,
            payload: payload.to_vec(),
            extended: false,
        };
        let around = Surroundings {
            greeting: greeting.to_vec(),
            ..Surroundings::default()
        };
        self.plan.decide_in(&attempt, self.target, &around)
    }

    /// Nothing of it comes through any more, either way, but for resets; and the client is told.
    pub fn is_over(&mut self, it: &mut Conversation, what: &str) {
        assert!(
            !self.say(it, Direction::ToServer, None, b"more"),
            "{what}: the client goes on"
        );
        assert_eq!(self.lab.refusal().unwrap(), Refusal::Reset, "{what}");
        assert!(
            !self.say(it, Direction::ToClient, None, b"more"),
            "{what}: the server goes on"
        );
        let reset = it.segment(Direction::ToServer, false, true, b"");
        assert!(
            self.lab.passes(Direction::ToServer, &reset).unwrap(),
            "{what}: no reset"
        );
    }
}

pub struct Conversation {
    pub client: Endpoint,
    pub server: Endpoint,
    /// The next number of each side.
    pub sent: [u32; 2],
}

impl Conversation {
    pub fn segment(&mut self, direction: Direction, syn: bool, rst: bool, said: &[u8]) -> Vec<u8> {
        let (side, src, dst) = match direction {
            Direction::ToServer => (0, self.client, self.server),
            Direction::ToClient => (1, self.server, self.client),
        };
        let first = syn && side == 0;
        let flags = TcpFlags {
            syn,
            rst,
            ack: !first,
            ..TcpFlags::default()
        };
        let seq = self.sent[side];
        let ack = if first { 0 } else { self.sent[1 - side] };
        self.sent[side] += u32::try_from(said.len()).unwrap() + u32::from(syn);
        packet(&Packet {
            number: 1,
            timestamp: Timestamp::default(),
            src,
            dst,
            header: TransportHeader::Tcp(TcpHeader { seq, ack, flags }),
            payload: said,
            cut: 0,
            wire_len: 0,
            path: LayerPath::default(),
            card: None,
        })
        .unwrap()
    }
}

/// Whether a new connection is let in, and whether the plan says so.
pub fn opens(it: &mut Loaded<'_>, to: &str, transport: Transport, around: &Surroundings) -> bool {
    it.next += 1;
    let server: std::net::SocketAddr = to.parse().unwrap();
    let client = if server.is_ipv4() {
        "192.0.2.10"
    } else {
        "2001:db8:1::10"
    };
    let (client, server) = (
        Endpoint::new(client.parse().unwrap(), it.next),
        Endpoint::new(server.ip(), server.port()),
    );
    let header = match transport {
        Transport::Udp => TransportHeader::Udp,
        Transport::Tcp => TransportHeader::Tcp(TcpHeader {
            seq: 1,
            ack: 0,
            flags: TcpFlags {
                syn: true,
                ..TcpFlags::default()
            },
        }),
    };
    let bytes = packet(&Packet {
        number: 1,
        timestamp: Timestamp::default(),
        src: client,
        dst: server,
        header,
        payload: b"",
        cut: 0,
        wire_len: 0,
        path: LayerPath::default(),
        card: None,
    })
    .unwrap();
    let through = it.lab.passes(Direction::ToServer, &bytes).unwrap();
    let attempt = Attempt {
        transport,
        client,
        server,
        payload: Vec::new(),
        extended: false,
    };
    let decision = it.plan.decide_in(&attempt, it.target, around);
    assert_eq!(through, decision.passes(), "{to} {transport:?}: {decision}");
    through
}
