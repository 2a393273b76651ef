//! A private network that looks like this machine's: interfaces of the same names and addresses, and behind each a network of
//! others, in a namespace of its own.

use super::call::{self, Call, Place, Servers, Session};
use super::{ANY_PORTS, Lifelines, Others, Own};
use crate::model::Transport;
use crate::policy::apply::ApplyError;
use crate::policy::prove::ProveError;
use crate::policy::safety::PROTECTED;
use crate::policy::tool::{ToolError, run};
use ipnet::IpNet;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fmt::Write as _;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A new process has its own network after this long, or never.
const PATIENCE: Duration = Duration::from_secs(10);
/// Anywhere: apart from each other, so that one network does not hold them all. No packet to them leaves the private network.
const ANYWHERE4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(45, 45, 45, 45),
    Ipv4Addr::new(133, 133, 133, 133),
    Ipv4Addr::new(203, 0, 113, 77),
];
const ANYWHERE6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 0x77),
    Ipv6Addr::new(0x2400, 0x77, 0, 0, 0, 0, 0, 0x77),
    Ipv6Addr::new(0x2a01, 0x77, 0, 0, 0, 0, 0, 0x77),
];
/// Clients behind a router, wherever its own are.
const CLIENTS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(10, 77, 0, 9)),
    IpAddr::V4(Ipv4Addr::new(172, 16, 77, 9)),
    IpAddr::V4(Ipv4Addr::new(192, 168, 77, 9)),
    IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 9)),
];
/// Forward; take addresses from anywhere; have IPv6, and use an address of it at once.
const SETTINGS: [(&str, &str); 7] = [
    ("net/ipv6/conf/all/disable_ipv6", "0"),
    ("net/ipv6/conf/default/disable_ipv6", "0"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv6/conf/all/forwarding", "1"),
    ("net/ipv6/conf/default/accept_dad", "0"),
];

/// A network namespace, for as long as this is here.
pub(super) struct Network {
    holder: Child,
    link: File,
}

impl Network {
    fn new() -> std::io::Result<Self> {
        let own = std::fs::read_link("/proc/self/ns/net")?;
        // It reads until we let go of it.
        let holder = Command::new("unshare")
            .args(["-n", "--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let path = format!("/proc/{}/ns/net", holder.id());
        let start = Instant::now();
        while std::fs::read_link(&path)? == own {
            if start.elapsed() > PATIENCE {
                return Err(std::io::Error::other("unshare gives no network"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let link = File::open(path)?;
        Ok(Self { holder, link })
    }

    /// Does something there. Sockets that are made there stay there.
    pub(super) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
        std::thread::scope(|scope| {
            let there = scope.spawn(|| {
                move_into_link_name_space(self.link.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(work())
            });
            let ended = || Err(std::io::Error::other("a thread ended early"));
            there.join().unwrap_or_else(|_| ended())
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// The networks, with who is in them.
pub(super) struct Stage {
    networks: Vec<Network>,
    interfaces: Vec<Own>,
    others: Others,
    servers: Servers,
}

impl Stage {
    pub(super) fn new(lifelines: &Lifelines) -> Result<Self, ApplyError> {
        let failed = |error: std::io::Error| {
            ApplyError::Prove(ProveError::Wire {
                end: "interfaces",
                what: error.to_string(),
            })
        };
        for (name, value) in SETTINGS {
            set(name, value).map_err(failed)?;
        }
        let interfaces = complete(&lifelines.interfaces);
        let mut others = others(lifelines, &interfaces);
        // One's own address is nobody else's.
        let own = |ip: &IpAddr| {
            let all = interfaces.iter().flat_map(|it| &it.addresses);
            all.into_iter().any(|net| net.addr() == *ip)
        };
        others.retain(|ip, _| !own(ip));
        run("ip", &["link", "set", "lo", "up"], &[], "")?;
        let mut networks = Vec::new();
        for (at, interface) in interfaces.iter().enumerate() {
            let network = Network::new().map_err(failed)?;
            let pid = network.holder.id();
            let there: Vec<IpAddr> = others
                .iter()
                .filter(|(_, place)| **place == at)
                .map(|(ip, _)| *ip)
                .collect();
            here(interface, pid, &there, at == 0)?;
            let far = network.within(|| far(interface, &there));
            far.map_err(failed)??;
            networks.push(network);
        }
        let mut stage = Self {
            networks,
            interfaces,
            others,
            servers: Servers::default(),
        };
        stage.serve(lifelines).map_err(failed)?;
        Ok(stage)
    }

    /// Everybody listens on all ports that are called.
    fn serve(&mut self, lifelines: &Lifelines) -> std::io::Result<()> {
        let mut ports: Vec<u16> = PROTECTED.iter().map(|(port, _)| *port).collect();
        ports.extend(ANY_PORTS);
        let datagrams = [53, 443, ANY_PORTS[0], ANY_PORTS[1]];
        for (at, network) in self.networks.iter().enumerate() {
            let there: Vec<IpAddr> = self
                .others
                .iter()
                .filter(|(_, place)| **place == at)
                .map(|(ip, _)| *ip)
                .collect();
            let servers = network.within(|| Servers::listen(&ports, &there, &datagrams))??;
            self.servers.add(servers);
        }
        if let Some((_, server)) = lifelines.ssh
            && !ports.contains(&server.port())
        {
            ports.push(server.port());
        }
        let own: Vec<IpAddr> = [true, false]
            .into_iter()
            .filter_map(|v4| self.address(0, v4))
            .collect();
        self.servers.add(Servers::listen(&ports, &own, &[53, 443])?);
        Ok(())
    }

    /// This machine's address at an interface.
    fn address(&self, at: usize, v4: bool) -> Option<IpAddr> {
        let all = &self.interfaces.get(at)?.addresses;
        all.iter().map(IpNet::addr).find(|ip| ip.is_ipv4() == v4)
    }

    fn place_of(&self, ip: IpAddr) -> Option<Place> {
        self.others.get(&ip).map(|at| Place {
            network: Some(*at),
            ip,
        })
    }

    /// From somebody to this machine.
    pub(super) fn call_in(&self, from: IpAddr, to: SocketAddr) -> Option<Call> {
        Some(Call {
            transport: Transport::Tcp,
            from: self.place_of(from)?,
            to,
        })
    }

    /// From this machine to somebody.
    pub(super) fn call_out(&self, transport: Transport, to: IpAddr, port: u16) -> Option<Call> {
        let at = *self.others.get(&to)?;
        let ip = self.address(at, to.is_ipv4())?;
        Some(Call {
            transport,
            from: Place { network: None, ip },
            to: SocketAddr::new(to, port),
        })
    }

    /// A port as a whole: from here to anywhere, from anywhere to here, and from each client through here.
    pub(super) fn everywhere(&self, transport: Transport, port: u16) -> Vec<(String, Vec<Call>)> {
        let mut all = Vec::new();
        for (family, anywhere) in [
            ("IPv4", ANYWHERE4.map(IpAddr::V4)),
            ("IPv6", ANYWHERE6.map(IpAddr::V6)),
        ] {
            let v4 = family == "IPv4";
            let Some(own) = self.address(0, v4) else {
                continue;
            };
            let out = anywhere
                .iter()
                .filter_map(|ip| self.call_out(transport, *ip, port));
            all.push((
                format!("what this machine opens by {family}, anywhere"),
                out.collect(),
            ));
            let into = anywhere.iter().filter_map(|ip| {
                Some(Call {
                    transport,
                    from: self.place_of(*ip)?,
                    to: SocketAddr::new(own, port),
                })
            });
            all.push((
                format!("what others open to this machine by {family}, from anywhere"),
                into.collect(),
            ));
            for (ip, at) in &self.others {
                if *at == 0 || ip.is_ipv4() != v4 {
                    continue;
                }
                let through = anywhere.iter().filter_map(|to| {
                    Some(Call {
                        transport,
                        from: self.place_of(*ip)?,
                        to: SocketAddr::new(*to, port),
                    })
                });
                all.push((
                    format!("what clients such as {ip} open through this machine, anywhere"),
                    through.collect(),
                ));
            }
        }
        all
    }

    /// Two connections that are open before any rule is there; the second from another port. `tracked`: known to the kernel's
    /// tracking of connections, as they are where some rule asks for it.
    pub(super) fn sessions(
        &self,
        client: SocketAddr,
        server: SocketAddr,
        tracked: bool,
    ) -> Option<[Session; 2]> {
        const TRACK: &str = "table inet tracked {\n\tchain input {\n\t\ttype filter hook input priority 0; policy accept;\n\t\tct state new accept\n\t}\n}\n";
        let network = self.networks.get(*self.others.get(&client.ip())?)?;
        let tracked = tracked && run("nft", &["-f", "/dev/stdin"], &[], TRACK).is_ok();
        let open = |port| {
            let from = SocketAddr::new(client.ip(), port);
            let mut session = Session::open(network, from, server, &self.servers)?;
            session.talks(true, PATIENCE).then_some(session)
        };
        let sessions = [open(client.port()), open(0)];
        if tracked {
            // What is known stays known.
            run("nft", &["delete", "table", "inet", "tracked"], &[], "").ok()?;
        }
        let [Some(one), Some(two)] = sessions else {
            return None;
        };
        Some([one, two])
    }

    /// Which of these come through.
    pub(super) fn run<'a>(
        &self,
        calls: impl Iterator<Item = &'a Call>,
        patience: Duration,
    ) -> Vec<bool> {
        let calls: Vec<&Call> = calls.collect();
        call::run(&self.networks, &self.servers, &calls, patience)
    }
}

/// Every machine here has a way out and another one.
fn complete(found: &[Own]) -> Vec<Own> {
    let made = |name: &str, nets: [&str; 2]| Own {
        name: name.to_owned(),
        addresses: nets.iter().filter_map(|net| net.parse().ok()).collect(),
    };
    let mut all = found.to_vec();
    if all.is_empty() {
        let mut out = made("eth0", ["192.0.2.2/24", "2001:db8:1::2/64"]);
        let six = Path::new("/proc/sys/net/ipv6").exists();
        out.addresses.retain(|net| net.addr().is_ipv4() || six);
        all.push(out);
    }
    if let [only] = all.as_slice() {
        let six = only.addresses.iter().any(|net| !net.addr().is_ipv4());
        let mut inside = made("imw-inside", ["10.76.0.1/24", "fd76::1/64"]);
        inside.addresses.retain(|net| net.addr().is_ipv4() || six);
        all.push(inside);
    }
    all
}

/// Who is where.
fn others(lifelines: &Lifelines, interfaces: &[Own]) -> Others {
    let mut others = Others::new();
    for (at, own) in interfaces.iter().enumerate().skip(1) {
        for net in &own.addresses {
            // Somebody in this network: the last address but one, or the one before.
            let neighbour = match net.broadcast() {
                IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from(u32::from(ip).saturating_sub(3))),
                IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip).saturating_sub(3))),
            };
            if net.contains(&neighbour) {
                others.insert(neighbour, at);
            }
        }
    }
    others.extend(CLIENTS.map(|ip| (ip, 1)));
    others.extend(ANYWHERE4.map(|ip| (IpAddr::V4(ip), 0)));
    others.extend(ANYWHERE6.map(|ip| (IpAddr::V6(ip), 0)));
    let peers = lifelines.resolvers.iter().chain(&lifelines.gateways);
    let ssh = lifelines.ssh.map(|(client, _)| client.ip());
    for ip in peers.copied().chain(ssh) {
        let named = lifelines.ways.get(&ip);
        let at = interfaces.iter().position(|own| Some(&own.name) == named);
        others.insert(ip, at.unwrap_or(0));
    }
    others
}

/// This machine's end of a cable, and the ways to those at its other end.
fn here(own: &Own, pid: u32, there: &[IpAddr], default: bool) -> Result<(), ToolError> {
    let name = &own.name;
    let mut lines =
        format!("link add {name} type veth peer name far netns {pid}\nlink set {name} up\n");
    for ip in own.addresses.iter().map(IpNet::addr) {
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "addr add {}", single(ip, name));
    }
    let families = |v4| own.addresses.iter().any(|net| net.addr().is_ipv4() == v4);
    for ip in there.iter().filter(|ip| families(ip.is_ipv4())) {
        let _ = writeln!(lines, "route add {ip} dev {name}");
    }
    if default {
        for (v4, family) in [(true, "-4"), (false, "-6")] {
            if families(v4) {
                run("ip", &["-batch", "-"], &[], &lines)?;
                lines.clear();
                run(
                    "ip",
                    &[family, "route", "add", "default", "dev", name],
                    &[],
                    "",
                )?;
            }
        }
    }
    run("ip", &["-batch", "-"], &[], &lines)?;
    Ok(())
}

/// The other end: everybody who is there. All else is behind this machine.
fn far(own: &Own, there: &[IpAddr]) -> Result<(), ToolError> {
    let failed = |error: std::io::Error| ToolError {
        program: "the private network".to_owned(),
        what: error.to_string(),
    };
    for (name, value) in SETTINGS {
        set(name, value).map_err(failed)?;
    }
    let mut lines = String::from("link set lo up\nlink set far up\n");
    let families = |v4| own.addresses.iter().any(|net| net.addr().is_ipv4() == v4);
    for ip in there.iter().filter(|ip| families(ip.is_ipv4())) {
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "addr add {}", single(*ip, "far"));
    }
    for v4 in [true, false] {
        let mut all = own.addresses.iter().map(IpNet::addr);
        if let Some(ip) = all.find(|ip| ip.is_ipv4() == v4) {
            let _ = writeln!(lines, "route add default via {ip} dev far onlink");
        }
    }
    run("ip", &["-batch", "-"], &[], &lines)?;
    Ok(())
}

/// An address without a network around it.
fn single(ip: IpAddr, name: &str) -> String {
    match ip {
        IpAddr::V4(ip) => format!("{ip}/32 dev {name}"),
        IpAddr::V6(ip) => format!("{ip}/128 dev {name} nodad"),
    }
}

fn set(name: &str, value: &str) -> std::io::Result<()> {
    match std::fs::write(format!("/proc/sys/{name}"), value) {
        // A kernel without IPv6.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
