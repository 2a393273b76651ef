//! What is there: gathered once, judged without asking again.

use super::dnsmasq::{Dnsmasq, running};
use crate::policy::apply::{self, ApplyError, Generation, Ours, Set, Table};
use crate::policy::prove::Backend;
use jiff::civil::Date;

/// The rules of one iptables, both families.
#[derive(Clone, Debug)]
pub struct Families {
    /// Which iptables.
    pub backend: Backend,
    /// What `iptables-save` prints of the filter table.
    pub v4: String,
    /// What `ip6tables-save` prints.
    pub v6: String,
}

/// What was applied.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Its number.
    pub number: u64,
    /// Where.
    pub backend: Backend,
    /// Whether it waits to be confirmed.
    pub waits: bool,
    /// Whether somebody takes it back in time.
    pub guarded: bool,
    /// In which lines the rules differ from it.
    pub drift: Vec<String>,
    /// How many elements each set with an end had.
    pub timed: Vec<(String, usize)>,
    /// The file.
    pub text: String,
    /// Which day it is, UTC.
    pub today: Date,
}

/// A machine.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// Our table in nftables.
    pub table: Option<Table>,
    /// Each iptables in which there is anything of ours.
    pub xtables: Vec<Families>,
    /// Our sets of ipset, and how much is in each.
    pub sets: Vec<(String, usize)>,
    /// The ports of the endpoints in each, where there are such.
    pub ports: Vec<(String, Vec<u16>)>,
    /// Names of network interfaces.
    pub interfaces: Vec<String>,
    /// Whether it passes on packets of others.
    pub forwards: bool,
    /// Whether frames that it bridges go through its filters.
    pub bridges: bool,
    /// Whether it speaks IPv6 with anybody else.
    pub ipv6: bool,
    /// Resolvers that can fill sets.
    pub resolvers: Vec<Dnsmasq>,
    /// What was applied.
    pub expected: Option<Expected>,
    /// Hosts that are left alone by name, with an address that they have now and that is not.
    pub moved: Vec<(String, std::net::IpAddr)>,
    /// Host names that were asked for, each with a set that is for it and whether the set has their addresses.
    pub asked: Vec<Asked>,
}

/// A host name that was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The name.
    pub name: String,
    /// An address that it has now.
    pub address: std::net::IpAddr,
    /// The set that is for it.
    pub set: String,
    /// Whether the address is in it.
    pub known: bool,
}

impl Machine {
    /// Looks around.
    pub fn look() -> Result<Self, ApplyError> {
        let mut machine = Self {
            interfaces: interfaces(),
            forwards: is_on("net/ipv4/ip_forward") || is_on("net/ipv6/conf/all/forwarding"),
            bridges: is_on("net/bridge/bridge-nf-call-iptables") && apply::has_bridge(),
            ipv6: speaks_ipv6(),
            resolvers: running(),
            ..Self::default()
        };
        for (backend, ours) in apply::in_force()? {
            match ours {
                Ours::Nftables(_) => machine.table = Table::read()?,
                Ours::Xtables { sets, .. } => {
                    let [v4, v6] = backend.xtables();
                    machine.xtables.push(Families {
                        backend,
                        v4: apply::save(v4)?,
                        v6: apply::save(v6)?,
                    });
                    let names = sets.sizes().into_iter();
                    machine.ports = names
                        .map(|(name, _)| (name.to_owned(), sets.ports(name)))
                        .collect();
                    machine.sets = sets
                        .sizes()
                        .into_iter()
                        .map(|(name, size)| (name.to_owned(), size))
                        .collect();
                }
            }
        }
        Ok(machine)
    }

    /// Whether there is anything of ours in this firewall.
    pub fn has(&self, backend: Backend) -> bool {
        match backend {
            Backend::Nftables => self.table.is_some(),
            _ => self.xtables.iter().any(|it| it.backend == backend),
        }
    }

    /// Tells what was applied, and the day; `drift` is in which lines the rules differ from it.
    pub fn expect(&mut self, now: &Generation, guarded: bool, drift: Vec<String>, today: Date) {
        self.expected = Some(Expected {
            number: now.number,
            backend: now.backend,
            waits: now.until.is_some(),
            guarded,
            drift,
            timed: now.wanted.timed_sets(),
            text: now.text.clone(),
            today,
        });
    }

    /// Asks the resolver that this machine uses for every name that a resolver's configuration has a set of ours for, and
    /// looks whether the addresses are in the set then.
    pub fn ask(&mut self) -> Result<(), ApplyError> {
        self.asked = super::resolver::ask(&self.resolvers)?;
        if let Some(expected) = &self.expected {
            self.moved = super::resolver::moved(&expected.text);
        }
        Ok(())
    }

    /// Whether a set of ours is there, and how much is in it.
    pub fn set(&self, name: &str) -> Option<usize> {
        let of_table = self.table.iter().flat_map(|table| &table.sets);
        let mut all = of_table
            .map(|set: &Set| (set.name.as_str(), set.elements.len()))
            .chain(self.sets.iter().map(|(name, size)| (name.as_str(), *size)));
        all.find(|(it, _)| *it == name).map(|(_, size)| size)
    }
}

/// Of this process's network: what is below /sys may be another one's.
fn interfaces() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
    text.lines()
        .skip(2)
        .filter_map(|line| line.split(':').next())
        .map(|name| name.trim().to_owned())
        .collect()
}

fn is_on(setting: &str) -> bool {
    std::fs::read_to_string(format!("/proc/sys/{setting}")).is_ok_and(|text| text.trim() != "0")
}

/// An address of another interface than loopback.
fn speaks_ipv6() -> bool {
    let text = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_whitespace().last())
        .any(|name| name != "lo")
}
