//! What this machine cannot do without, and which way it lies.

use crate::policy::Guard;
use crate::policy::tool::{ToolError, run};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// More interfaces are not copied: a machine with hundreds has them for its guests.
const MOST_INTERFACES: usize = 8;

/// An interface of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own {
    /// Its name.
    pub name: String,
    /// Its addresses, with the network that each is in.
    pub addresses: Vec<IpNet>,
}

/// All of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Lifelines {
    /// The administrator's own SSH connection: client and server.
    pub ssh: Option<(SocketAddr, SocketAddr)>,
    /// Resolvers.
    pub resolvers: Vec<IpAddr>,
    /// Default gateways.
    pub gateways: Vec<IpAddr>,
    /// This machine's interfaces; the one that leads everywhere first.
    pub interfaces: Vec<Own>,
    /// Behind which interface somebody is.
    pub ways: BTreeMap<IpAddr, String>,
    /// Connections are tracked already.
    pub tracks: bool,
}

impl Lifelines {
    /// Asks this machine. What cannot be told is not there.
    pub fn of_this_machine(guard: &Guard) -> Result<Self, ToolError> {
        let asked = run("ip", &["-j", "addr", "show", "up"], &[], "")?;
        let mut interfaces = interfaces(&asked);
        // Those of the link need an interface to be called by.
        let far = |ip: &&IpAddr| !is_of_the_link(**ip);
        let gateways: Vec<IpAddr> = guard.gateways.iter().filter(far).copied().collect();
        let resolvers: Vec<IpAddr> = guard.resolvers.iter().filter(far).copied().collect();
        let ssh = guard.ssh.filter(|(client, _)| !is_of_the_link(client.ip));
        let ssh = ssh.map(|(client, server)| {
            let socket = |end: crate::model::Endpoint| SocketAddr::new(end.ip, end.port);
            (socket(client), socket(server))
        });
        let peers = gateways.iter().chain(&resolvers).copied();
        let mut ways = BTreeMap::new();
        for ip in peers.chain(ssh.map(|(client, _)| client.ip())) {
            let asked = run("ip", &["-j", "route", "get", &ip.to_string()], &[], "");
            if let Some(name) = asked.ok().as_deref().and_then(device) {
                ways.insert(ip, name);
            }
        }
        let everywhere = guard.gateways.iter().find_map(|ip| ways.get(ip));
        interfaces.sort_by_key(|own| Some(&own.name) != everywhere);
        interfaces.truncate(MOST_INTERFACES);
        Ok(Self {
            ssh,
            resolvers,
            gateways,
            interfaces,
            ways,
            tracks: tracks(),
        })
    }
}

/// Whether the kernel knows of any connection.
fn tracks() -> bool {
    std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count")
        .is_ok_and(|count| count.trim() != "0")
}

/// `fe80::`, `169.254.`
fn is_of_the_link(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// Those that have an address of more than the link, as `ip -j addr` tells.
fn interfaces(text: &str) -> Vec<Own> {
    let listing: Value = serde_json::from_str(text).unwrap_or_default();
    let all = listing.as_array().cloned().unwrap_or_default();
    let own = |it: &Value| {
        let name = it["ifname"].as_str()?.to_owned();
        let addresses: Vec<IpNet> = it["addr_info"]
            .as_array()?
            .iter()
            .filter_map(|address| {
                let ip: IpAddr = address["local"].as_str()?.parse().ok()?;
                let length = u8::try_from(address["prefixlen"].as_u64()?).ok()?;
                (!is_of_the_link(ip) && !ip.is_loopback())
                    .then(|| IpNet::new(ip, length).ok())
                    .flatten()
            })
            .collect();
        (!addresses.is_empty()).then_some(Own { name, addresses })
    };
    all.iter().filter_map(own).collect()
}

/// The interface of `ip -j route get`.
fn device(text: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(text).ok()?;
    answer[0]["dev"].as_str().map(str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_read_as_ip_tells_it() {
        let text = r#"[{"ifname":"lo","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8}]},
            {"ifname":"lan0","addr_info":[{"local":"10.0.0.1","prefixlen":24},{"local":"fe80::1","prefixlen":64},{"local":"2001:db8::1","prefixlen":64}]},
            {"ifname":"up0","addr_info":[]},{}]"#;
        let lan = Own {
            name: "lan0".to_owned(),
            addresses: vec![
                "10.0.0.1/24".parse().unwrap(),
                "2001:db8::1/64".parse().unwrap(),
            ],
        };
        assert_eq!(interfaces(text), [lan]);
        assert!(interfaces("").is_empty());
        let route =
            r#"[{"dst":"192.0.2.7","gateway":"10.0.0.254","dev":"lan0","prefsrc":"10.0.0.1"}]"#;
        assert_eq!(device(route).as_deref(), Some("lan0"));
        assert_eq!(device("RTNETLINK answers: Network is unreachable"), None);
    }
}
