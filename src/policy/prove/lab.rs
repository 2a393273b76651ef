//! A router between two cables: whatever comes in at one goes out at the other, if the firewall lets it.
//!
//! The cables' far ends are in the same namespace, so that one process can hold all of it. What arrives there is taken by
//! packet sockets and dropped before the kernel looks at it a second time.

use super::ProveError;
use super::firewall::run;
use super::segment;
use super::wire::{Refusal, Wire};
use crate::model::Direction;
use std::net::Ipv4Addr;

/// The network that packets are replayed in. It lasts as long as its namespace.
pub struct Lab {
    /// Where clients are.
    pub client: Wire,
    /// Where servers are.
    pub server: Wire,
}

/// Everything that needs no answer. What the router itself says, a refusal, goes to the clients. `c1` and `s1` are the router's; `arp off`, since nobody would answer.
const COMMANDS: &str = "\
link set lo up
link add c0 mtu 65535 type veth peer name c1 mtu 65535
link add s0 mtu 65535 type veth peer name s1 mtu 65535
link set c0 arp off addrgenmode none
link set c1 arp off addrgenmode none
link set s0 arp off addrgenmode none
link set s1 arp off addrgenmode none
link set c0 up
link set c1 up
link set s0 up
link set s1 up
addr add 192.0.2.254/32 dev c1
addr add 2001:db8:1::fe/128 dev c1 nodad
";

/// The same for IPv4 and for IPv6.
const ROUTES: &str = "\
rule add iif c1 lookup 101
rule add iif s1 lookup 102
route add default dev s1 table 101
route add default dev c1 table 102
route add default dev c1
";

/// Arrived packets are not routed once more. Before connection tracking, which would see them twice.
const FAR_ENDS: &str = "\
table inet imwarden_lab {
	chain arrived {
		type filter hook prerouting priority raw; policy accept;
		iifname { \"c0\", \"s0\" } drop
	}
}
";

/// What a kernel must be told: forward; take addresses from anywhere; take windows as they come, since a replay knows
/// nothing of the scale that both sides agreed on.
const SETTINGS: [(&str, &str); 10] = [
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv4/conf/c1/rp_filter", "0"),
    ("net/ipv4/conf/s1/rp_filter", "0"),
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv6/conf/all/forwarding", "1"),
    ("net/ipv4/conf/all/send_redirects", "0"),
    ("net/ipv4/conf/c1/send_redirects", "0"),
    ("net/ipv4/conf/s1/send_redirects", "0"),
    ("net/netfilter/nf_conntrack_tcp_be_liberal", "1"),
];

impl Lab {
    /// Builds it. Meant for a network namespace that holds nothing else.
    pub fn new() -> Result<Self, ProveError> {
        run("ip", &["-batch", "-"], &[], COMMANDS)?;
        for family in ["-4", "-6"] {
            run("ip", &[family, "-batch", "-"], &[], ROUTES)?;
        }
        run("nft", &["-f", "/dev/stdin"], &[], FAR_ENDS)?;
        for (name, value) in SETTINGS {
            let path = format!("/proc/sys/{name}");
            std::fs::write(&path, value).map_err(|error| ProveError::Setting { path, error })?;
        }
        let mut lab = Self {
            client: Wire::new("c0", "c1")?,
            server: Wire::new("s0", "s1")?,
        };
        lab.warm_up()?;
        Ok(lab)
    }

    /// A dead path must not read as "blocked": nothing is believed before a packet went through, either way.
    fn warm_up(&mut self) -> Result<(), ProveError> {
        for _ in 0..50 {
            let [there, back] = [Direction::ToServer, Direction::ToClient]
                .map(|direction| self.passes(direction, &marker(direction)));
            if there? && back? {
                return Ok(());
            }
        }
        Err(ProveError::Wire {
            end: "path",
            what: "no packet comes through without any rules".to_owned(),
        })
    }

    /// How the router told clients that it refuses what they sent last.
    pub fn refusal(&mut self) -> Result<Refusal, ProveError> {
        self.client.last_refusal()
    }

    /// Sends a packet, and says whether it came out at the other side.
    pub fn passes(&mut self, direction: Direction, packet: &[u8]) -> Result<bool, ProveError> {
        let (near, far) = match direction {
            Direction::ToServer => (&mut self.client, &mut self.server),
            Direction::ToClient => (&mut self.server, &mut self.client),
        };
        near.send(packet)?;
        // The kernel is done with it when that returns, but on a busy machine.
        if far.has(packet)? {
            return Ok(true);
        }
        // Another packet overtakes none: once it is there, the first one is lost.
        let marker = marker(direction);
        near.send(&marker)?;
        far.awaits(packet, &marker)
    }

    /// Sends packets that belong together, such as fragments, and gives what comes out at the other side for them: a router
    /// that looks into fragments puts them together, and sends them on as it likes.
    pub fn delivers(
        &mut self,
        direction: Direction,
        packets: &[Vec<u8>],
    ) -> Result<Vec<Vec<u8>>, ProveError> {
        let (near, far) = match direction {
            Direction::ToServer => (&mut self.client, &mut self.server),
            Direction::ToClient => (&mut self.server, &mut self.client),
        };
        far.forget()?;
        for packet in packets {
            near.send(packet)?;
        }
        let marker = marker(direction);
        near.send(&marker)?;
        far.before(&marker)
    }
}

/// A packet that nobody has a rule against: from and to addresses for documentation, to the port that discards.
fn marker(direction: Direction) -> Vec<u8> {
    let at = |last| (Ipv4Addr::new(192, 0, 2, last).into(), 9);
    match direction {
        Direction::ToServer => segment::datagram(at(1), at(2), b"imwarden"),
        Direction::ToClient => segment::datagram(at(2), at(1), b"imwarden"),
    }
}
