//! What may be done about a connection, and what must be left alone. Whoever asks is not believed: it reads what strangers send.

use super::Place;
use crate::model::{Endpoint, Transport};
use crate::policy::Guard;
use crate::policy::safety::{MAX_CLOSED_PORTS, protected};
use crate::ruleset::{PortRange, PortRule, RuleSet};
use ipnet::IpNet;
use std::net::IpAddr;

/// A connection that is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    /// TCP or UDP.
    pub transport: Transport,
    /// Who opened it.
    pub client: Endpoint,
    /// Who listens.
    pub server: Endpoint,
    /// The server is no messenger's: a proxy, or another user.
    pub only_connection: bool,
}

/// Why nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spared {
    /// Somebody said so.
    Excepted,
    /// The machine's way to everybody else.
    Gateway,
    /// It asks there for names.
    Resolver,
    /// The administrator is there.
    Administrator,
    /// No host in a network has such an address.
    NoHost,
}

/// Why the connection is cut and the server stays open to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrow {
    /// It is a proxy's, or another user's.
    NoServer,
    /// Everybody's port.
    Protected,
    /// A port that rule files know to be somebody else's.
    Shared,
    /// This machine's own address.
    Own,
}

/// What is left alone.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// What the machine cannot do without.
    pub guard: Guard,
    /// Who is left alone, whichever end of a connection that is.
    pub excepted: Vec<IpNet>,
    /// The machine's own addresses.
    pub own: Vec<IpAddr>,
    /// Ports that are somebody else's.
    pub shared: Vec<(Transport, PortRange)>,
}

impl Limits {
    /// The ports that these rules know to be shared. One that is in a wide range of everybody's, or that a messenger has for
    /// itself, is not: at one server's, where a messenger was proven, it is that messenger's.
    pub fn shared_ports(rules: &RuleSet) -> Vec<(Transport, PortRange)> {
        let ports = || rules.messengers().iter().flat_map(|it| &it.ports);
        let has_own = |shared: &PortRule| {
            ports().any(|rule| {
                rule.shared_with.is_none()
                    && rule.transport == shared.transport
                    && rule.ports.contains(shared.ports.first())
            })
        };
        ports()
            .filter(|rule| rule.shared_with.is_some() && rule.ports.count() <= MAX_CLOSED_PORTS)
            .filter(|rule| !has_own(rule))
            .map(|rule| (rule.transport, rule.ports))
            .collect()
    }

    /// What may be done: the connection is cut, and, unless there is a reason why not, its server refused to everybody.
    pub fn judge(&self, order: &Order) -> Result<Option<Narrow>, Spared> {
        let (client, server) = (order.client, order.server);
        let strange = |end: Endpoint| {
            let ip = end.ip;
            let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
            end.port == 0
                || ip.is_unspecified()
                || ip.is_loopback()
                || ip.is_multicast()
                || broadcast
        };
        if strange(client) || strange(server) || client.ip.is_ipv4() != server.ip.is_ipv4() {
            return Err(Spared::NoHost);
        }
        if let Some((what, _)) = self.guard.known(|ip| *ip == server.ip) {
            return Err(match what {
                "gateway" => Spared::Gateway,
                "resolver" => Spared::Resolver,
                _ => Spared::Administrator,
            });
        }
        let own_ssh =
            |(a, b): (Endpoint, Endpoint)| (a, b) == (client, server) || (b, a) == (client, server);
        if self.guard.ssh.is_some_and(own_ssh) {
            return Err(Spared::Administrator);
        }
        let excepted = |ip: IpAddr| self.excepted.iter().any(|net| net.contains(&ip));
        if excepted(client.ip) || excepted(server.ip) {
            return Err(Spared::Excepted);
        }
        let shared = |(transport, range): &(Transport, PortRange)| {
            *transport == order.transport && range.contains(server.port)
        };
        Ok(if self.own.contains(&server.ip) {
            Some(Narrow::Own)
        } else if order.only_connection {
            Some(Narrow::NoServer)
        } else if protected(server.port).is_some() {
            Some(Narrow::Protected)
        } else if self.shared.iter().any(shared) {
            Some(Narrow::Shared)
        } else {
            None
        })
    }
}

impl Order {
    /// Where it goes.
    pub const fn place(&self) -> Place {
        Place {
            transport: self.transport,
            server: self.server,
        }
    }
}

impl Spared {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Excepted => {
                "one end of it is to be left alone (--allow, or an exception of --plan)"
            }
            Self::Gateway => "the server is this machine's gateway",
            Self::Resolver => "the server is this machine's resolver",
            Self::Administrator => "the server is where an administrator is connected from",
            Self::NoHost => "no host has these addresses",
        }
    }

    /// All of them, to be told by number.
    pub const ALL: [Self; 5] = [
        Self::Excepted,
        Self::Gateway,
        Self::Resolver,
        Self::Administrator,
        Self::NoHost,
    ];
}

impl Narrow {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoServer => "it is a proxy, or another user",
            Self::Protected => "the port is everybody's",
            Self::Shared => "the port is another service's",
            Self::Own => "it is this machine",
        }
    }

    /// All of them, to be told by number.
    pub const ALL: [Self; 4] = [Self::NoServer, Self::Protected, Self::Shared, Self::Own];
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn end(text: &str) -> Endpoint {
        let address: std::net::SocketAddr = text.parse().unwrap();
        Endpoint::new(address.ip(), address.port())
    }

    fn order(client: &str, server: &str) -> Order {
        Order {
            transport: Transport::Tcp,
            client: end(client),
            server: end(server),
            only_connection: false,
        }
    }

    fn limits() -> Limits {
        Limits {
            guard: Guard {
                gateways: vec!["10.0.0.1".parse().unwrap()],
                resolvers: vec!["10.0.0.53".parse().unwrap()],
                ssh: Some((end("192.0.2.7:50211"), end("10.0.0.2:2222"))),
            },
            excepted: vec!["10.9.0.0/16".parse().unwrap()],
            own: vec!["10.0.0.2".parse().unwrap()],
            shared: vec![(Transport::Tcp, PortRange::new(8080, 8081).unwrap())],
        }
    }

    #[test]
    fn what_a_machine_lives_by_is_never_touched() {
        let limits = limits();
        for (client, server, why) in [
            ("10.0.0.5:50000", "10.0.0.1:5190", Spared::Gateway),
            ("10.0.0.5:50000", "10.0.0.53:5190", Spared::Resolver),
            ("10.0.0.5:50000", "192.0.2.7:5190", Spared::Administrator),
            ("192.0.2.7:50211", "10.0.0.2:2222", Spared::Administrator),
            ("10.9.3.4:50000", "198.51.100.1:5190", Spared::Excepted),
            ("10.0.0.5:50000", "10.9.3.4:5190", Spared::Excepted),
            ("10.0.0.5:50000", "127.0.0.1:5190", Spared::NoHost),
            ("10.0.0.5:50000", "224.0.0.1:5190", Spared::NoHost),
            ("10.0.0.5:50000", "255.255.255.255:5190", Spared::NoHost),
            ("10.0.0.5:50000", "0.0.0.0:5190", Spared::NoHost),
            ("10.0.0.5:50000", "198.51.100.1:0", Spared::NoHost),
            ("10.0.0.5:50000", "[2001:db8::1]:5190", Spared::NoHost),
            ("[2001:db8::5]:50000", "[::1]:5190", Spared::NoHost),
            ("[2001:db8::5]:50000", "[ff02::1]:5190", Spared::NoHost),
        ] {
            assert_eq!(
                limits.judge(&order(client, server)),
                Err(why),
                "{client} {server}"
            );
        }
    }

    #[test]
    fn a_server_that_others_need_stays_open_and_the_connection_ends() {
        let limits = limits();
        for (server, why) in [
            ("198.51.100.1:22", Some(Narrow::Protected)),
            ("198.51.100.1:53", Some(Narrow::Protected)),
            ("198.51.100.1:80", Some(Narrow::Protected)),
            ("[2001:db8::1]:443", Some(Narrow::Protected)),
            ("198.51.100.1:8081", Some(Narrow::Shared)),
            ("10.0.0.2:5190", Some(Narrow::Own)),
            ("198.51.100.1:5190", None),
            ("198.51.100.1:8082", None),
            ("[2001:db8::1]:5190", None),
        ] {
            let client = if server.starts_with('[') {
                "[2001:db8::5]:50000"
            } else {
                "10.0.0.5:50000"
            };
            assert_eq!(limits.judge(&order(client, server)), Ok(why), "{server}");
        }
        let proxied = Order {
            only_connection: true,
            ..order("10.0.0.5:50000", "198.51.100.1:1080")
        };
        assert_eq!(limits.judge(&proxied), Ok(Some(Narrow::NoServer)));
    }

    #[test]
    fn the_rules_know_ports_of_others() {
        let shared = Limits::shared_ports(&RuleSet::builtin().unwrap());
        assert!(!shared.is_empty());
        let has = |port| {
            let mut all = shared.iter();
            all.any(|(transport, range)| *transport == Transport::Tcp && range.contains(port))
        };
        // Telnet, mail, remote desktop; and what a messenger has for itself, or is anybody's.
        for (port, expected) in [
            (23, true),
            (25, true),
            (3389, true),
            (5190, false),
            (1863, false),
            (5050, false),
            (50_000, false),
        ] {
            assert_eq!(has(port), expected, "{port}");
        }
    }
}
