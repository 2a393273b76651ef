//! `imwarden policy explain`: what each rule blocks, why, and what it cannot stop.

use super::{PlanArgs, PolicyError};
use crate::model::{Endpoint, Transport};
use crate::policy::{Attempt, Can, Capability, Plan, Surroundings, Target, capabilities};
use clap::Args;
use std::io::Write;
use std::mem;
use std::net::SocketAddr;

/// Arguments of `imwarden policy explain`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  imwarden policy explain --service aim
  imwarden policy explain --flow 'tcp:10.0.0.5->64.12.24.50:5190'
  imwarden policy explain --observed office.pcap --flow 'tcp:10.0.0.5->10.0.0.1:3128:434f4e4e454354'")]
pub struct ExplainArgs {
    /// Connections, as PROTO:CLIENT[:PORT]->SERVER:PORT[:HEX], with IPv6 addresses in brackets; HEX is what the client says first
    #[arg(long, value_name = "FLOW")]
    flow: Vec<String>,

    /// The names that a resolver gave the server's address for, for --flow
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    named: Vec<String>,

    /// The user of this machine who opens it, for --flow
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// Where the client's packets of --flow come in
    #[arg(long, value_name = "INTERFACE")]
    comes_in: Option<String>,

    /// Where they go out
    #[arg(long, value_name = "INTERFACE")]
    goes_out: Option<String>,

    #[command(flatten)]
    plan: PlanArgs,
}

/// What a policy blocks and why, or what it does with some connections.
pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> Result<(), PolicyError> {
    let plan = args.plan.plan(&args.plan.ruleset()?)?;
    let around = Surroundings {
        incoming: args.comes_in.clone(),
        outgoing: args.goes_out.clone(),
        names: args.named.clone(),
        user: args.user.clone(),
        greeting: Vec::new(),
    };
    for flow in &args.flow {
        let attempt = attempt(flow).ok_or_else(|| PolicyError::NoFlow(flow.clone()))?;
        let decides = |target| plan.decide_in(&attempt, target, &around);
        let (nftables, iptables) = (decides(Target::Nftables), decides(Target::IptablesScript));
        if mem::discriminant(&nftables) == mem::discriminant(&iptables) {
            writeln!(out, "{flow}: {nftables}")?;
        } else {
            writeln!(out, "{flow}, with nftables: {nftables}")?;
            writeln!(out, "{flow}, with iptables: {iptables}")?;
        }
    }
    if !args.flow.is_empty() {
        return Ok(out.flush()?);
    }
    who(&plan, out)?;
    what(&plan, out)?;
    limits(&plan, out)?;
    Ok(out.flush()?)
}

/// For whom, which way, and who is left alone.
fn who(plan: &Plan, out: &mut dyn Write) -> std::io::Result<()> {
    for net in &plan.sources {
        writeln!(out, "Only clients in {net}")?;
    }
    if !plan.interfaces.is_any() {
        writeln!(out, "Only by {}", plan.interfaces)?;
    }
    for exception in &plan.reasons {
        let until = match exception.until {
            Some(until) => format!(" until {until}"),
            None => String::new(),
        };
        writeln!(
            out,
            "Left alone: {}{until}: {}",
            exception.who, exception.why
        )?;
    }
    let told = |net: &&ipnet::IpNet| !plan.reasons.iter().any(|it| it.who.nets().contains(net));
    for net in plan.exceptions.iter().filter(told) {
        writeln!(out, "Left alone: {net}")?;
    }
    for line in &plan.expired {
        writeln!(out, "Left out: {line}")?;
    }
    for shadowed in &plan.shadowed {
        writeln!(out, "Shadowed: {shadowed}")?;
    }
    for note in &plan.notes {
        writeln!(out, "Note: {note}")?;
    }
    let touched = [plan.touched_words(), plan.denied_words()];
    for words in touched.into_iter().flatten() {
        writeln!(out, "{words}")?;
    }
    Ok(())
}

/// Each rule, in the order in which they decide.
fn what(plan: &Plan, out: &mut dyn Write) -> std::io::Result<()> {
    for group in &plan.seen {
        for seen in &group.seen {
            let how = match seen.opening {
                Some(_) => ", only what opens as it did",
                None => ", both ways",
            };
            writeln!(out, "{} {}{how}", seen.transport.name(), seen.server)?;
            writeln!(
                out,
                "  {} {}, {}",
                group.service,
                group.feature,
                seen.words()
            )?;
        }
    }
    for rule in &plan.custom {
        let until = match rule.until {
            Some(until) => format!(", until {until}"),
            None => String::new(),
        };
        writeln!(out, "{}", rule.words())?;
        writeln!(out, "  {} (policy file){until}: {}", rule.id, rule.reason)?;
    }
    for group in &plan.names {
        for host in &group.names {
            let ports = match &group.ports {
                Some((transport, range)) => format!(", {} {range}", transport.name()),
                None => String::new(),
            };
            writeln!(
                out,
                "Addresses of {}{ports}, as a resolver tells them",
                host.name
            )?;
            let note = host.note.as_deref().map(|note| format!(": {note}"));
            let note = note.unwrap_or_default();
            writeln!(out, "  {} ({}){note}", group.id, host.source)?;
        }
    }
    let ports = plan.groups.iter().flat_map(|group| &group.ports);
    for ports in ports {
        writeln!(out, "{} {}", ports.transport.name(), ports.range)?;
        for owner in &ports.owners {
            let note = owner.note.as_deref().map(|note| format!(": {note}"));
            let note = note.unwrap_or_default();
            writeln!(out, "  {} ({}){note}", owner.id, owner.source)?;
        }
    }
    for signature in plan.signatures.iter().flat_map(|group| &group.signatures) {
        writeln!(
            out,
            "TCP, any port, when the {} says {} first (place:bytes)",
            signature.speaker.name(),
            signature.opening
        )?;
        if signature.in_http {
            writeln!(out, "  or when it posts a request whose body begins so")?;
        }
        for owner in &signature.owners {
            let note = owner.note.as_deref().map(|note| format!(": {note}"));
            let note = note.unwrap_or_default();
            writeln!(out, "  {} ({}){note}", owner.id, owner.source)?;
        }
    }
    for group in &plan.sni {
        let ports = match &group.ports {
            Some((transport, range)) => format!("{} {range}", transport.name()),
            None => "TCP, any port".to_owned(),
        };
        for host in &group.names {
            let note = host.note.as_deref().map(|note| format!(": {note}"));
            let note = note.unwrap_or_default();
            writeln!(out, "{ports}, when a TLS hello asks for {}", host.name)?;
            writeln!(out, "  {} ({}){note}", group.id, host.source)?;
        }
    }
    for name in &plan.passed {
        writeln!(
            out,
            "Left alone by whoever knows names: {name}, which serves others as well"
        )?;
    }
    for name in plan.lets_pass() {
        writeln!(
            out,
            "Left alone: a TLS hello for {name}, which serves others as well"
        )?;
    }
    Ok(())
}

/// What it does not stop, and why.
fn limits(plan: &Plan, out: &mut dyn Write) -> std::io::Result<()> {
    for (target, name) in [
        (Target::Nftables, "nftables"),
        (Target::IptablesScript, "iptables"),
    ] {
        // What is lacking for the same reason stands together.
        let mut lacking: Vec<(Can, Vec<String>)> = Vec::new();
        for Capability { what, can, .. } in capabilities(plan, target) {
            match lacking.iter_mut().find(|(it, _)| *it == can) {
                Some((_, all)) => all.push(what),
                None => lacking.push((can, vec![what])),
            }
        }
        for (can, all) in lacking {
            let what = all.join("; ");
            let together = Capability {
                what,
                can,
                closes: true,
            };
            if let Some(words) = together.words() {
                writeln!(out, "With {name}: {words}")?;
            }
        }
    }
    for left in &plan.left_out {
        writeln!(
            out,
            "Left open: {} {} ({}), {}",
            left.transport.name(),
            left.range,
            left.id,
            left.reason
        )?;
    }
    for unseen in &plan.unseen {
        writeln!(
            out,
            "Left open: {}, {}: {}",
            unseen.place, unseen.server, unseen.reason
        )?;
    }
    for limit in &plan.limits {
        writeln!(out, "Cannot stop: {limit}")?;
    }
    Ok(())
}

/// `tcp:10.0.0.5->64.12.24.50:5190:2a01`.
fn attempt(text: &str) -> Option<Attempt> {
    let (proto, rest) = text.split_once(':')?;
    let transport = match proto.to_ascii_lowercase().as_str() {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        _ => return None,
    };
    let (client, server) = rest.split_once("->")?;
    let client = match client.parse::<SocketAddr>() {
        Ok(place) => Endpoint::new(place.ip(), place.port()),
        // Whatever port it takes.
        Err(_) => Endpoint::new(client.trim_matches(['[', ']']).parse().ok()?, 0),
    };
    // A payload is behind the port, which an IPv6 address in brackets does not hide.
    let end = server.rfind(']').map_or(0, |at| at + 1);
    let mut colons = server.get(end..)?.match_indices(':');
    let _port = colons.next()?;
    let (place, hex) = match colons.next() {
        Some((at, _)) => (server.get(..end + at)?, server.get(end + at + 1..)?),
        None => (server, ""),
    };
    let place: SocketAddr = place.parse().ok()?;
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return None;
    }
    let payload = (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok())
        .collect::<Option<Vec<u8>>>()?;
    Some(Attempt {
        transport,
        client,
        server: Endpoint::new(place.ip(), place.port()),
        payload,
        extended: false,
    })
}
