//! The connection that the administrator sits at.

use super::super::CliError;
use super::super::output;
use crate::model::{Endpoint, Transport};
use crate::policy::{Attempt, Decision, Hook, Plan, Target};
use std::net::IpAddr;
use std::path::Path;

/// Nobody is this deep in shells.
const MOST_PARENTS: usize = 64;

/// An SSH connection into this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Connection {
    peer: Endpoint,
    here: Endpoint,
}

/// Refuses a plan that would cut it.
pub fn check(plan: &Plan, force: bool) -> Result<(), CliError> {
    let Some(connection) = connection() else {
        return Ok(());
    };
    let Some(rule) = cuts(plan, connection) else {
        return Ok(());
    };
    let words = format!(
        "this policy would cut the SSH connection that you sit at, from {} to {}, by {rule}",
        connection.peer, connection.here
    );
    if force {
        output::complain(&words);
        return Ok(());
    }
    Err(CliError::Findings(format!(
        "{words}. `--except {}` leaves it alone; --force applies it all the same",
        connection.peer.ip
    )))
}

/// The rule that would cut it.
fn cuts(plan: &Plan, connection: Connection) -> Option<String> {
    // Both directions are judged where an address and port were seen, else only what is opened to this machine.
    let attempt = |client, server| Attempt {
        transport: Transport::Tcp,
        client,
        server,
        payload: Vec::new(),
        extended: false,
    };
    let inward = attempt(connection.peer, connection.here);
    let outward = attempt(connection.here, connection.peer);
    [(Hook::Input, inward), (Hook::Output, outward)]
        .into_iter()
        .filter(|(hook, _)| plan.hooks.contains(hook))
        .find_map(|(hook, attempt)| {
            match plan.decide(&attempt, Target::Nftables) {
                // What this machine sends is an answer, and only a place that was seen is refused both ways.
                Decision::Refused(reason)
                    if hook == Hook::Input || reason.rule.starts_with("seen") =>
                {
                    Some(reason.rule)
                }
                _ => None,
            }
        })
}

/// As this process was told, or else one that it comes from: sudo takes the variable away.
fn connection() -> Option<Connection> {
    if let Ok(words) = std::env::var("SSH_CONNECTION") {
        return parse(&words);
    }
    let mut pid = std::process::id();
    for _ in 0..MOST_PARENTS {
        pid = parent(pid)?;
        let environment = std::fs::read(Path::new("/proc").join(pid.to_string()).join("environ"));
        let words = environment.unwrap_or_default();
        let found = words
            .split(|byte| *byte == 0)
            .filter_map(|word| word.strip_prefix(b"SSH_CONNECTION="))
            .find_map(|value| parse(&String::from_utf8_lossy(value)));
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

/// `192.0.2.7 50211 10.0.0.1 22`.
fn parse(words: &str) -> Option<Connection> {
    let mut words = words.split(' ');
    let mut end = || -> Option<Endpoint> {
        // An address of the link has its interface behind it.
        let ip = words.next()?.split('%').next()?;
        let ip: IpAddr = ip.parse().ok()?;
        Some(Endpoint::new(
            ip.to_canonical(),
            words.next()?.parse().ok()?,
        ))
    };
    Some(Connection {
        peer: end()?,
        here: end()?,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::policy::Request;
    use crate::ruleset::RuleSet;

    #[test]
    fn a_connection_is_read_and_nonsense_is_not() {
        let found = parse("192.0.2.7 50211 10.0.0.1 22").unwrap();
        assert_eq!(found.peer.to_string(), "192.0.2.7:50211");
        assert_eq!(found.here.port, 22);
        let link = parse("fe80::1%eth0 50211 fe80::2%eth0 22").unwrap();
        assert_eq!(link.here.ip, "fe80::2".parse::<IpAddr>().unwrap());
        for words in [
            "",
            "x",
            "192.0.2.7 50211 10.0.0.1",
            "192.0.2.7 99999 10.0.0.1 22",
        ] {
            assert_eq!(parse(words), None, "{words}");
        }
    }

    #[test]
    fn only_what_is_opened_to_a_closed_port_here_would_be_cut() {
        let plan = |hooks: &[Hook]| {
            let request = Request {
                hooks: hooks.to_vec(),
                ..Request::default()
            };
            Plan::new(&RuleSet::builtin().unwrap(), &request).unwrap()
        };
        let usual = parse("192.0.2.7 50211 10.0.0.1 22").unwrap();
        let odd = parse("192.0.2.7 50211 10.0.0.1 5190").unwrap();
        let from = parse("192.0.2.7 5190 10.0.0.1 22").unwrap();
        let all = plan(&[Hook::Forward, Hook::Output, Hook::Input]);
        assert_eq!(cuts(&all, usual), None);
        assert_eq!(cuts(&all, from), None);
        assert!(cuts(&all, odd).is_some());
        assert_eq!(cuts(&plan(&[Hook::Forward, Hook::Output]), odd), None);
    }
}
