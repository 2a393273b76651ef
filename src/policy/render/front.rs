//! Plain rules, for firewalls that are told ports and addresses and write the rest themselves.

use super::header;
use super::text::{Text, place, reference};
use crate::model::Transport;
use crate::policy::{Action, Capability, Owner, Place, Plan, Target, capabilities};
use crate::ruleset::PortRange;
use ipnet::IpNet;

/// One rule: connections of one transport, to some ports, of one place or any.
pub(super) struct Line {
    pub transport: Transport,
    /// All of them, if `None`.
    pub ports: Option<PortRange>,
    /// Anywhere, if `None`.
    pub to: Option<IpNet>,
    /// Anybody, if `None`; never of the other family than `to`.
    pub from: Option<IpNet>,
    /// The fact behind it: letters, digits and plain punctuation.
    pub comment: String,
}

impl Line {
    /// `tcp`.
    pub(super) fn proto(&self) -> String {
        self.transport.name().to_lowercase()
    }

    /// `5000-5010`, with this between the ends.
    pub(super) fn range(&self, joint: char) -> Option<String> {
        let range = self.ports?;
        let (first, last) = (range.first(), range.last());
        Some(if first == last {
            first.to_string()
        } else {
            format!("{first}{joint}{last}")
        })
    }

    /// Whether one of its addresses is of IPv4, or of IPv6; `None` if it is for both.
    pub(super) fn is_ipv4(&self) -> Option<bool> {
        self.to.or(self.from).map(|net| net.addr().is_ipv4())
    }
}

/// All that such a firewall can be told of a plan. A plan that only looks gives nothing: these refuse.
pub(super) fn lines(plan: &Plan) -> Vec<Line> {
    if plan.action == Action::Log {
        return Vec::new();
    }
    let mut all = Vec::new();
    let mut add = |transport, ports, to: Option<IpNet>, comment: &str| {
        let same = |net: &&IpNet| to.is_none_or(|to| to.addr().is_ipv4() == net.addr().is_ipv4());
        let sources: Vec<Option<IpNet>> = if plan.sources.is_empty() {
            vec![None]
        } else {
            plan.sources
                .iter()
                .filter(same)
                .map(|net| Some(*net))
                .collect()
        };
        for from in sources {
            all.push(Line {
                transport,
                ports,
                to,
                from,
                comment: comment.to_owned(),
            });
        }
    };
    for rule in &plan.custom {
        let to = match rule.place {
            Place::Net(net) => Some(net),
            _ => None,
        };
        let comment = format!("{}, a rule of this site", rule.id);
        if let Some((transport, range)) = rule.ports {
            add(transport, Some(range), to, &comment);
        } else {
            add(Transport::Tcp, None, to, &comment);
            add(Transport::Udp, None, to, &comment);
        }
    }
    for seen in plan.seen.iter().flat_map(|group| &group.seen) {
        let port = PortRange::new(seen.server.port, seen.server.port);
        if seen.opening.is_none() && port.is_some() {
            let to = Some(IpNet::from(seen.server.ip));
            add(seen.transport, port, to, &seen.words());
        }
    }
    for transport in [Transport::Tcp, Transport::Udp] {
        for (_, ports) in plan.ports(transport) {
            let owners: Vec<&Owner> = ports.owners.iter().collect();
            add(transport, Some(ports.range), None, &reference(&owners, 100));
        }
    }
    all
}

/// Any address, or one.
pub(super) fn or_any(net: Option<IpNet>) -> String {
    net.map_or_else(|| "any".to_owned(), place)
}

/// The head of a file: what it does, how to handle it, whether it was ever tried, and what it cannot say.
pub(super) fn head(
    text: &mut Text,
    plan: &Plan,
    target: Target,
    tried: bool,
    commands: header::Commands<'_>,
) {
    if !tried {
        text.paragraph(
            "# ",
            "# ",
            "UNVERIFIED: written by the manual. No checker of it was at hand, and no such firewall to try it on.",
        );
        text.line("#");
    }
    header::plain(text, plan, commands);
    let lines: Vec<String> = capabilities(plan, target)
        .iter()
        .filter_map(Capability::words)
        .collect();
    if !lines.is_empty() {
        text.line("#");
        text.line("# Of this policy, this file does not say all as it is meant:");
        for line in lines {
            text.paragraph("#   - ", "#     ", &line);
        }
    }
    if self::lines(plan).is_empty() {
        text.line("#");
        let why = match plan.action {
            Action::Log => "this policy only looks, and these rules would refuse",
            _ => "it has no port and no address",
        };
        text.line(format!("# THIS FILE CLOSES NOTHING: {why}."));
    }
    text.blank();
}
