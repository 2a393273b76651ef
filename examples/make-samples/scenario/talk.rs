//! A conversation: the messages two hosts exchange, and the truth about it.

use serde::Serialize;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// One capture.
#[derive(Clone)]
pub struct Scenario {
    /// File name without extension.
    pub name: &'static str,
    /// What happens, for people.
    pub about: &'static str,
    /// Everything that is said, in any order: the wire sorts by time.
    pub talks: Vec<Talk>,
}

/// TCP connection or UDP exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// One message: what an application writes at once, or one datagram.
#[derive(Clone)]
pub struct Message {
    pub from: Side,
    pub bytes: Vec<u8>,
    /// Milliseconds of silence before it.
    pub after_ms: u64,
}

/// How much of a connection the capture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// From the SYN to the FIN.
    Whole,
    /// The handshake came before the capture began.
    WithoutOpening,
    /// A SYN and a reset: nobody listens.
    Refused,
}

/// What a flow is. Written from the scenario; everything without a truth must stay silent.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Truth {
    pub service: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_proto: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// At least this sure.
    pub confidence: &'static str,
    /// Accounts of the client's side that this flow names.
    pub accounts: Vec<&'static str>,
    /// Whom they talk to.
    pub peers: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_software: Option<&'static str>,
    /// Features that must be reported; more may be.
    pub features: Vec<&'static str>,
    /// Risks that must be reported; more may be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub risks: Vec<&'static str>,
}

impl Truth {
    /// A flow whose structure proves what it is.
    pub fn confirmed(service: &'static str, app_proto: &'static str, role: &'static str) -> Self {
        Self {
            service,
            app_proto: Some(app_proto),
            role: Some(role),
            confidence: "confirmed",
            ..Self::default()
        }
    }

    /// A flow that only a host name gives away.
    pub fn by_host(service: &'static str) -> Self {
        Self {
            service,
            confidence: "probable",
            ..Self::default()
        }
    }

    /// The client's account.
    pub fn account(mut self, account: &'static str) -> Self {
        self.accounts.push(account);
        self
    }

    /// Somebody the client talks to.
    pub fn peer(mut self, peer: &'static str) -> Self {
        self.peers.push(peer);
        self
    }

    /// The client's own words about itself.
    pub fn software(mut self, software: &'static str) -> Self {
        self.client_software = Some(software);
        self
    }

    /// What the flow is used for.
    pub fn uses(mut self, features: &[&'static str]) -> Self {
        self.features.extend(features);
        self
    }

    /// What the flow exposes.
    pub fn exposes(mut self, risks: &[&'static str]) -> Self {
        self.risks.extend(risks);
        self
    }
}

/// A connection or exchange between two endpoints.
#[derive(Clone)]
pub struct Talk {
    pub transport: Transport,
    pub client: SocketAddr,
    pub server: SocketAddr,
    /// Milliseconds after the start of the capture.
    pub start_ms: u64,
    pub shown: Shown,
    pub messages: Vec<Message>,
    pub truth: Option<Truth>,
    pause_ms: u64,
}

impl Talk {
    /// A TCP connection, opened `start_ms` after the start of the capture.
    pub fn tcp(client: &str, server: &str, start_ms: u64) -> Self {
        Self::new(Transport::Tcp, client, server, start_ms)
    }

    /// UDP datagrams.
    pub fn udp(client: &str, server: &str, start_ms: u64) -> Self {
        Self::new(Transport::Udp, client, server, start_ms)
    }

    fn new(transport: Transport, client: &str, server: &str, start_ms: u64) -> Self {
        let endpoint = |text: &str| text.parse().expect("an address and a port");
        Self {
            transport,
            client: endpoint(client),
            server: endpoint(server),
            start_ms,
            shown: Shown::Whole,
            messages: Vec::new(),
            truth: None,
            pause_ms: 0,
        }
    }

    /// The client sends.
    pub fn client(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.say(Side::Client, bytes.into());
        self
    }

    /// The server sends.
    pub fn server(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.say(Side::Server, bytes.into());
        self
    }

    /// Nobody says anything for a while.
    pub fn pause(mut self, ms: u64) -> Self {
        self.pause_ms += ms;
        self
    }

    /// What this flow is.
    pub fn is(mut self, truth: Truth) -> Self {
        self.truth = Some(truth);
        self
    }

    /// How much of it the capture shows.
    pub fn shown(mut self, shown: Shown) -> Self {
        self.shown = shown;
        self
    }

    fn say(&mut self, from: Side, bytes: Vec<u8>) {
        let after_ms = std::mem::take(&mut self.pause_ms);
        self.messages.push(Message {
            from,
            bytes,
            after_ms,
        });
    }
}

#[derive(Serialize)]
struct FlowTruth<'a> {
    proto: &'static str,
    client: String,
    server: String,
    #[serde(flatten)]
    truth: &'a Truth,
}

impl Scenario {
    /// The truth file.
    pub fn truth(&self) -> String {
        let mut text = String::new();
        writeln!(text, "# Written by `cargo run --example make-samples` from the scenario. Flows that are not listed").expect("a String");
        writeln!(text, "# here are no messenger's and must stay silent.").expect("a String");
        writeln!(text, "about = {}", toml::Value::from(self.about)).expect("a String");
        for talk in &self.talks {
            let Some(truth) = &talk.truth else { continue };
            let flow = FlowTruth {
                proto: if talk.transport == Transport::Tcp {
                    "TCP"
                } else {
                    "UDP"
                },
                client: talk.client.to_string(),
                server: talk.server.to_string(),
                truth,
            };
            let body = toml::to_string(&flow).expect("a truth that TOML can hold");
            write!(text, "\n[[flow]]\n{body}").expect("a String");
        }
        text
    }
}
