//! What this machine cannot do without, as its system tells: read here, and given to the plan.

use crate::model::Endpoint;
use crate::policy::Guard;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Nobody is this deep in shells.
const MOST_PARENTS: usize = 64;

/// Default gateways, resolvers, and the SSH connection that this is asked over. What cannot be read is not there.
pub fn of_this_machine() -> Guard {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    // Where a service may only see processes (`ProcSubset=pid`), /proc/net is not there, and this is.
    let mut gateways = gateways4(&read("/proc/self/net/route"));
    gateways.extend(gateways6(&read("/proc/self/net/ipv6_route")));
    Guard {
        gateways,
        resolvers: resolvers(&read("/etc/resolv.conf")),
        ssh: connection(),
    }
}

/// `eth0 00000000 0102000A 0003 ...`: the destination is everything; numbers are as they stand in memory.
fn gateways4(table: &str) -> Vec<IpAddr> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (to, by, mask) = (words.get(1)?, words.get(2)?, words.get(7)?);
        let by = u32::from_str_radix(by, 16).ok()?;
        (*to == "00000000" && *mask == "00000000" && by != 0)
            .then(|| IpAddr::V4(Ipv4Addr::from(by.to_ne_bytes())))
    };
    table.lines().skip(1).filter_map(line).collect()
}

/// Destination, its length, source, its length, next hop, ...
fn gateways6(table: &str) -> Vec<IpAddr> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (length, by) = (words.get(1)?, words.get(4)?);
        let by = u128::from_str_radix(by, 16).ok()?;
        (*length == "00" && by != 0).then(|| IpAddr::V6(Ipv6Addr::from(by)))
    };
    table.lines().filter_map(line).collect()
}

/// Those elsewhere: one on this machine is asked over loopback, which is left alone.
fn resolvers(file: &str) -> Vec<IpAddr> {
    file.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.split_whitespace().next())
        .filter_map(|ip| ip.split('%').next().unwrap_or(ip).parse().ok())
        .filter(|ip: &IpAddr| !ip.is_loopback())
        .collect()
}

/// As this process was told, or else one that it comes from: sudo takes the variable away.
fn connection() -> Option<(Endpoint, Endpoint)> {
    if let Ok(words) = std::env::var("SSH_CONNECTION") {
        return ssh(&words);
    }
    let mut pid = std::process::id();
    for _ in 0..MOST_PARENTS {
        pid = parent(pid)?;
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let found = environment
            .split(|byte| *byte == 0)
            .filter_map(|word| word.strip_prefix(b"SSH_CONNECTION="))
            .find_map(|value| ssh(&String::from_utf8_lossy(value)));
        if found.is_some() {
            return found;
        }
    }
    None
}

fn parent(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok().filter(|pid| *pid > 0)
}

/// `192.0.2.10 50000 192.0.2.1 22`; an address of the link has its interface behind it.
fn ssh(text: &str) -> Option<(Endpoint, Endpoint)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let end = |at: usize| {
        let ip: IpAddr = words.get(at)?.split('%').next()?.parse().ok()?;
        Some(Endpoint::new(
            ip.to_canonical(),
            words.get(at + 1)?.parse().ok()?,
        ))
    };
    Some((end(0)?, end(2)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_read_as_it_writes() {
        let route = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
            eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let written = Ipv4Addr::from(0x0102_00C0_u32.to_ne_bytes());
        assert_eq!(gateways4(route), [IpAddr::V4(written)]);
        let zero = "0".repeat(32);
        let six = format!(
            "{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 1 0 3 eth0\n\
             20010db8000000000000000000000000 40 {zero} 00 {zero} 00000100 1 0 1 eth0\n"
        );
        assert_eq!(gateways6(&six), ["fe80::1".parse::<IpAddr>().unwrap()]);
        let file = "# mine\nsearch example.com\nnameserver 192.0.2.53\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\n";
        let expected: Vec<IpAddr> = ["192.0.2.53", "fe80::1"]
            .iter()
            .map(|ip| ip.parse().unwrap())
            .collect();
        assert_eq!(resolvers(file), expected);
        let (client, server) = ssh("192.0.2.10 50000 192.0.2.1 22").unwrap();
        assert_eq!((client.port, server.port), (50_000, 22));
        let (_, here) = ssh("fe80::1%eth0 50211 fe80::2%eth0 22").unwrap();
        assert_eq!(here.ip, "fe80::2".parse::<IpAddr>().unwrap());
        for words in [
            "",
            "a b c d",
            "192.0.2.7 50211 10.0.0.1",
            "192.0.2.7 99999 10.0.0.1 22",
        ] {
            assert_eq!(ssh(words), None, "{words}");
        }
    }
}
