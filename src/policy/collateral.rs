//! What each rule would do to the flows of others that were seen.
//!
//! By their places and names that is told at once. What was said in them is looked at while the capture is read once more, by the same
//! reading of the rules as any other connection ([`Weigher`]); only what that came to is kept.

use super::capability::Kind;
use super::decide::{Attempt, Decision, Surroundings};
use super::others::{ByContent, Other, Others, Touched};
use super::render::{RuleNames, rule_names};
use super::{Plan, Sightings, Target};
use crate::model::{Endpoint, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Flows of others that a plan would touch.
#[derive(Clone, Debug, Default)]
pub struct Collateral {
    /// How many.
    pub touched: u64,
    /// Of so many.
    pub flows: u64,
    /// Where they went, by which rule, and how many each; the most first.
    pub places: Vec<(Transport, Endpoint, String, u64)>,
}

impl Collateral {
    /// How many of them a rule touches.
    pub fn by(&self, rule: &str) -> u64 {
        let its = self.places.iter().filter(|place| place.2 == rule);
        its.map(|place| place.3).sum()
    }

    /// More than one in a thousand: nobody would want that by accident.
    pub const fn is_too_much(&self) -> bool {
        self.touched.saturating_mul(1000) > self.flows
    }
}

/// A plan, held against what others say.
pub struct Weigher<'a> {
    plan: &'a Plan,
    names: RuleNames,
}

impl<'a> Weigher<'a> {
    /// By this plan's rules; `None` if none of them is about what is said.
    pub fn new(plan: &'a Plan) -> Option<Self> {
        plan.listens().then(|| Self {
            plan,
            names: rule_names(plan, Target::Nftables),
        })
    }

    /// So many packets of either side are looked at.
    pub const WINDOW: u32 = super::signature::WINDOW;

    /// The rule that refuses a segment by what is said in it. `greeting`: what the server says, if it is a segment of that one's.
    pub fn refuses(
        &self,
        attempt: &Attempt,
        greeting: &[u8],
        others: &Others,
    ) -> Option<ByContent> {
        let around = Surroundings {
            greeting: greeting.to_vec(),
            ..self.plan.around(attempt.server.ip, others)
        };
        let by = |target: Target| match self.plan.judge(attempt, target, &around, &self.names) {
            Decision::RefusedByPayload(reason) => Some(ByContent {
                rule: reason.rule,
                searched: target.searches(),
            }),
            _ => None,
        };
        by(Target::Nftables).or_else(|| by(Target::IptablesScript))
    }
}

/// What a target looks at.
#[derive(Clone, Copy)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own"
)]
struct Sees {
    /// Addresses and ports.
    places: bool,
    /// Addresses that a resolver told it the names of.
    names: bool,
    /// What is said, at fixed places.
    said: bool,
    /// And wherever it stands.
    searched: bool,
    /// The names that are asked for.
    hosts: bool,
}

impl Sees {
    /// A packet filter.
    const FILTER: Self = Self {
        places: true,
        names: true,
        said: true,
        searched: true,
        hosts: false,
    };
    /// Whoever knows names and nothing else.
    const RESOLVER: Self = Self {
        places: false,
        names: false,
        said: false,
        searched: false,
        hosts: true,
    };
}

impl Plan {
    /// Whether any rule is about what is said.
    fn listens(&self) -> bool {
        let mut seen = self.seen.iter().flat_map(|group| &group.seen);
        !self.signatures.is_empty()
            || !self.sni.is_empty()
            || seen.any(|seen| seen.opening.is_some())
    }

    /// What these rules, written for that target, would do to the other flows that were seen.
    pub fn collateral(&self, sightings: &Sightings, target: Target) -> Collateral {
        let sees = match target.kind() {
            Kind::Filter | Kind::Feeder => Sees {
                searched: target.searches(),
                ..Sees::FILTER
            },
            Kind::Front => Sees {
                names: false,
                said: false,
                ..Sees::FILTER
            },
            Kind::Resolver => Sees::RESOLVER,
            Kind::Proxy => Sees {
                places: true,
                ..Sees::RESOLVER
            },
            Kind::Engine => Sees {
                names: false,
                hosts: true,
                ..Sees::FILTER
            },
        };
        self.held_against(sightings, sees)
    }

    fn held_against(&self, sightings: &Sightings, sees: Sees) -> Collateral {
        let others = &sightings.others;
        let rules = rule_names(self, Target::Nftables);
        let mut places: BTreeMap<(String, Transport, Endpoint), u64> = BTreeMap::new();
        for (other, flows) in others.each() {
            let by_packet = || match self.judge_opening(other, others, sees, &rules) {
                Decision::Refused(reason) => Some(reason.rule),
                _ => None,
            };
            let by_host = || {
                let mut denied = self.hosts.iter();
                let host = denied.find(|host| others.asks(other, &host.name))?;
                Some(host.name.clone())
            };
            let rule = sees.places.then(by_packet).flatten();
            if let Some(rule) = rule.or_else(|| sees.hosts.then(by_host).flatten()) {
                let place = (rule, other.transport, other.server);
                *places.entry(place).or_default() += flows;
            }
        }
        for ((by, transport, server), flows) in &others.said {
            if sees.said && (sees.searched || !by.searched) {
                let place = (by.rule.clone(), *transport, *server);
                *places.entry(place).or_default() += flows;
            }
        }
        let mut places: Vec<_> = places
            .into_iter()
            .map(|((rule, transport, server), flows)| (transport, server, rule, flows))
            .collect();
        places.sort_by(|a, b| {
            let in_order = (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2));
            b.3.cmp(&a.3).then(in_order)
        });
        Collateral {
            touched: places.iter().map(|place| place.3).sum(),
            flows: others.count(),
            places,
        }
    }

    /// What becomes of such a flow when it is opened.
    fn judge_opening(
        &self,
        other: &Other,
        others: &Others,
        sees: Sees,
        rules: &RuleNames,
    ) -> Decision {
        let attempt = Attempt {
            transport: other.transport,
            client: Endpoint::new(other.client, 0),
            server: other.server,
            payload: Vec::new(),
            extended: false,
        };
        let around = if sees.names {
            self.around(other.server.ip, others)
        } else {
            Surroundings::default()
        };
        self.judge(&attempt, Target::Nftables, &around, rules)
    }

    /// What else is known of a server, as far as it matters here.
    fn around(&self, server: IpAddr, others: &Others) -> Surroundings {
        let mut around = Surroundings::default();
        if !self.names.is_empty() {
            around.names = others.names_of(server).cloned().collect();
        }
        around
    }

    /// Sets down for each rule how many of the other flows that were seen it would touch.
    pub fn weigh(&mut self, sightings: &Sightings) {
        let others = &sightings.others;
        if others.count() == 0 {
            return;
        }
        let by_packet = self.held_against(sightings, Sees::FILTER);
        let names = rule_names(self, Target::Nftables);
        let by_place = |name: &String| (name.clone(), Touched::Flows(by_packet.by(name)));
        let by_name = |name: &String| {
            let flows = by_packet.by(name);
            (name.clone(), others.sure(flows, true))
        };
        let by_content = |name: &String| {
            let flows = by_packet.by(name);
            (name.clone(), others.sure(flows, others.heard))
        };
        let seen = names.seen.iter().zip(&self.seen).map(|(name, group)| {
            if group.seen.iter().all(|seen| seen.opening.is_none()) {
                by_place(name)
            } else {
                by_content(name)
            }
        });
        self.touched = seen
            .chain(names.custom.iter().map(by_place))
            .chain(names.names.iter().map(by_name))
            .chain(names.groups.iter().map(by_place))
            .chain(names.signatures.iter().map(by_content))
            .chain(names.sni.iter().map(by_content))
            .collect();
        let by_host = self.held_against(sightings, Sees::RESOLVER);
        let hosts: BTreeSet<&str> = self.hosts.iter().map(|host| host.name.as_str()).collect();
        self.denied = hosts
            .into_iter()
            .map(|name| (name.to_owned(), others.sure(by_host.by(name), true)))
            .collect();
    }

    /// How many flows of others each rule of a packet filter would touch, in words; `None` if no others were seen.
    pub fn touched_words(&self) -> Option<String> {
        self.words_of(&self.touched, "each rule")
    }

    /// The same of each name that is refused.
    pub fn denied_words(&self) -> Option<String> {
        if self.denied.is_empty() {
            return None;
        }
        self.words_of(&self.denied, "refusing each name")
    }

    fn words_of(&self, all: &[(String, Touched)], by: &str) -> Option<String> {
        if self.others == 0 {
            return None;
        }
        let counted: Vec<String> = all
            .iter()
            .filter_map(|(name, touched)| match touched {
                Touched::Flows(flows) => Some(format!("{name} {flows}")),
                Touched::AtLeast(flows) => Some(format!("{name} {flows} or more")),
                Touched::Unknown => None,
            })
            .collect();
        let open: Vec<&str> = all
            .iter()
            .filter(|(_, touched)| *touched == Touched::Unknown)
            .map(|(name, _)| name.as_str())
            .collect();
        let mut words = format!(
            "Of {} flows of others that were seen, so many would be touched by {by}: {}",
            self.others,
            if counted.is_empty() {
                "-".to_owned()
            } else {
                counted.join(", ")
            }
        );
        if !open.is_empty() {
            words.push_str(
                "; it cannot be told of rules by names or content where findings are all there is, a capture tells: ",
            );
            words.push_str(&open.join(", "));
        }
        Some(words)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::policy::{Hook, Matching, OtherSource as Source, Request};
    use crate::ruleset::RuleSet;

    fn other(last: u8, port: u16, names: &[&str]) -> Other {
        Other {
            transport: Transport::Tcp,
            client: [10, 0, 0, 5].into(),
            server: Endpoint::new([192, 0, 2, last].into(), port),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn seen(others: &[(Other, u64)], source: Source) -> Sightings {
        let mut all = Sightings::default();
        for (other, flows) in others {
            for _ in 0..*flows {
                all.others.add(other.clone(), source);
            }
        }
        all
    }

    fn planned(request: Request) -> Plan {
        let request = Request {
            hooks: vec![Hook::Forward],
            ..request
        };
        Plan::new(&RuleSet::builtin().unwrap(), &request).unwrap()
    }

    #[test]
    fn other_flows_on_closed_ports_are_counted() {
        let plan = planned(Request::default());
        let with = |others: &[(Other, u64)]| {
            plan.collateral(&seen(others, Source::Record), Target::Nftables)
        };
        let few = with(&[(other(1, 443, &[]), 9_999), (other(2, 5050, &[]), 1)]);
        assert_eq!((few.touched, few.flows), (1, 10_000));
        assert!(!few.is_too_much());
        let many = with(&[
            (other(1, 443, &[]), 900),
            (other(2, 5050, &[]), 1),
            (other(3, 1863, &[]), 5),
        ]);
        assert!(many.is_too_much());
        assert_eq!(many.places[0].2, "msn_session");
        assert!(!with(&[(other(1, 443, &[]), 5)]).is_too_much());
        assert!(!with(&[]).is_too_much());
    }

    #[test]
    fn clients_that_a_policy_leaves_alone_are_not_touched() {
        let mut it = other(3, 1863, &[]);
        let sightings = seen(&[(it.clone(), 5)], Source::Capture);
        let plan = planned(Request {
            exceptions: vec!["10.0.0.5/32".parse().unwrap()],
            ..Request::default()
        });
        assert_eq!(plan.collateral(&sightings, Target::Nftables).touched, 0);
        it.client = [10, 0, 0, 6].into();
        let sightings = seen(&[(it, 5)], Source::Capture);
        assert_eq!(plan.collateral(&sightings, Target::Nftables).touched, 5);
    }

    #[test]
    fn names_are_counted_by_what_is_asked_for_and_else_by_what_dns_gave() {
        let mut plan = planned(Request {
            matching: Matching {
                names: true,
                ..Matching::default()
            },
            ..Request::default()
        });
        let mut sightings = seen(
            &[
                // By DNS; by its own words, for another name and for this one.
                (other(1, 443, &[]), 3),
                (other(1, 443, &["www.example.com"]), 4),
                (other(2, 80, &["scs.msg.yahoo.com", "www.example.com"]), 5),
                (other(3, 80, &[]), 7),
            ],
            Source::Capture,
        );
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        sightings
            .others
            .give(address(1), "scs.msg.yahoo.com".to_owned());
        sightings
            .others
            .give(address(3), "notmsg.yahoo.com".to_owned());
        plan.others = sightings.others.count();
        plan.weigh(&sightings);
        let of = |name: &str, all: &[(String, Touched)]| {
            all.iter().find(|(it, _)| it == name).map(|(_, it)| *it)
        };
        // A resolver that does not give the address refuses who goes to that name; a set of addresses refuses all that goes there.
        assert_eq!(of("*.msg.yahoo.com", &plan.denied), Some(Touched::Flows(8)));
        assert_eq!(of("login.icq.com", &plan.denied), Some(Touched::Flows(0)));
        assert_eq!(of("names_yahoo", &plan.touched), Some(Touched::Flows(7)));
        assert_eq!(plan.collateral(&sightings, Target::Rpz).touched, 8);
        assert_eq!(plan.collateral(&sightings, Target::Nftables).touched, 7);
        assert!(sightings.others.ask_for("www.example.com"));
        assert!(!sightings.others.ask_for("example.com"));
        // Names that were not kept may be those of a flow.
        sightings.others.lack_names();
        plan.weigh(&sightings);
        assert_eq!(
            of("*.msg.yahoo.com", &plan.denied),
            Some(Touched::AtLeast(8))
        );
    }

    #[test]
    fn of_records_that_have_no_bytes_it_cannot_be_told() {
        let mut plan = planned(Request {
            matching: Matching {
                signatures: true,
                ..Matching::default()
            },
            ..Request::default()
        });
        let sightings = seen(&[(other(3, 1863, &[]), 5)], Source::Record);
        plan.others = 5;
        plan.weigh(&sightings);
        let words = plan.touched_words().unwrap();
        let (told, open) = words.split_once("it cannot be told").unwrap();
        assert!(told.contains("msn_session 5"), "{words}");
        assert!(
            open.contains("sig_msn") && !told.contains("sig_"),
            "{words}"
        );
        assert!(plan.denied_words().unwrap().contains("it cannot be told"));
        // Nor of a capture that was not read for it.
        let mut sightings = seen(&[(other(3, 1863, &[]), 5)], Source::Capture);
        plan.weigh(&sightings);
        assert!(plan.touched_words().unwrap().contains("it cannot be told"));
        sightings.others.heard();
        plan.weigh(&sightings);
        let words = plan.touched_words().unwrap();
        assert!(!words.contains("it cannot be told"), "{words}");
    }
}
