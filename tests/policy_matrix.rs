//! The enforcement matrix: everything that a policy names is refused in the way it says, and nothing beside it is touched.
//!
//! A client, a router and a server with one address for each messenger, IPv4 and IPv6. From the facts of the rule files come
//! the connections of every messenger and feature, and from the same facts their neighbours: the next ports, the same port of
//! the other transport, other services on the same hosts, clients whose own port is a messenger's, a client that is to be
//! left alone, and the endpoints beside one that was observed. Each policy is loaded once and all of it tried at once; what
//! the client met, what arrived at the server and what the rules have counted must agree with what the scenario says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "policy_support/again.rs"]
mod again;
#[path = "policy_support/agent.rs"]
#[allow(dead_code, reason = "the scan's part of it")]
mod agent;
#[path = "policy_support/attempts.rs"]
mod attempts;
#[path = "policy_support/lab.rs"]
#[allow(dead_code, reason = "the scan's part of it")]
mod lab;
mod policy_support;

use attempts::Attempt;
use imwarden::model::{Endpoint, Service, Transport};
use imwarden::policy::{
    self, Action, FeatureChoice, Hook, Plan, Profile, Request, Sighting, Sightings, Target,
};
use imwarden::ruleset::{Feature, PortRule, RuleSet};
use lab::{Backend, Lab, Place};
use policy_support::say;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Last parts of addresses: the client that is meant, and its neighbour that policies for everything leave alone.
const CLIENT: u8 = 10;
const EXCEPTED: u8 = 11;
/// A server of nobody's.
const BYSTANDER: u8 = 80;
/// Where messengers were observed, and where they were not.
const OBSERVED: u8 = 60;
const BESIDE: u8 = 61;
/// Others' services that share a host with a messenger: SSH, DNS, web, chat that is not meant, a proxy.
const OTHERS: [u16; 7] = [22, 53, 80, 443, 5222, 3128, 8443];
/// What was observed: neither is a messenger's port.
const SEEN: [(bool, u16); 2] = [(true, 8080), (false, 27_015)];

/// Whoever is to be refused is waited for so long when silence is what is predicted.
const SILENCE: Duration = Duration::from_millis(300);
/// Anything else comes at once, or the machine is busy.
const PATIENCE: Duration = Duration::from_secs(10);

fn server(six: bool, last: u8) -> IpAddr {
    let text = if six {
        format!("2001:db8:2::{last}")
    } else {
        format!("198.51.100.{last}")
    };
    text.parse().unwrap()
}

fn client(six: bool, last: u8) -> IpAddr {
    let text = if six {
        format!("2001:db8:1::{last}")
    } else {
        format!("192.0.2.{last}")
    };
    text.parse().unwrap()
}

/// The address of a messenger's server.
fn host_of(rules: &RuleSet, service: &Service) -> u8 {
    let all = rules.messengers().iter();
    let at = all.map(|it| &it.service).position(|it| it == service);
    u8::try_from(at.unwrap()).unwrap() * 10 + 10
}

/// A connection that is tried under every policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    tcp: bool,
    /// Port 0 is any.
    from: SocketAddr,
    to: SocketAddr,
}

/// A messenger's port that a policy may close, as the rule files state it.
struct Fact<'a> {
    service: &'a Service,
    rule: &'a PortRule,
}

fn facts(rules: &RuleSet) -> Vec<Fact<'_>> {
    rules
        .messengers()
        .iter()
        .filter(|messenger| messenger.by_default)
        .flat_map(|messenger| {
            let own = messenger.ports.iter();
            own.map(|rule| Fact {
                service: &messenger.service,
                rule,
            })
        })
        .filter(|fact| fact.rule.shared_with.is_none())
        .collect()
}

impl Fact<'_> {
    fn tcp(&self) -> bool {
        self.rule.transport == Transport::Tcp
    }

    fn is_about(&self, tcp: bool, port: u16) -> bool {
        self.tcp() == tcp && self.rule.ports.contains(port)
    }
}

fn cells(rules: &RuleSet) -> Vec<Cell> {
    let facts = facts(rules);
    let closed = |tcp, port| facts.iter().any(|fact| fact.is_about(tcp, port));
    let mut all = BTreeSet::new();
    for six in [false, true] {
        let mut add = |tcp, from: (u8, u16), to: (u8, u16)| {
            all.insert(Cell {
                tcp,
                from: SocketAddr::new(client(six, from.0), from.1),
                to: SocketAddr::new(server(six, to.0), to.1),
            });
        };
        for fact in &facts {
            let (tcp, host) = (fact.tcp(), host_of(rules, fact.service));
            let (first, last) = (fact.rule.ports.first(), fact.rule.ports.last());
            for port in first..=last {
                add(tcp, (CLIENT, 0), (host, port));
                add(tcp, (EXCEPTED, 0), (host, port));
                // The other transport has that number for itself.
                if !closed(!tcp, port) {
                    add(!tcp, (CLIENT, 0), (host, port));
                }
                // A client's own port is nobody's business.
                let web = if tcp { 443 } else { 53 };
                add(tcp, (CLIENT, port), (BYSTANDER, web));
            }
            for port in [first - 1, last + 1] {
                if !closed(tcp, port) {
                    add(tcp, (CLIENT, 0), (host, port));
                    add(tcp, (CLIENT, 0), (BYSTANDER, port));
                }
            }
            for port in OTHERS {
                add(true, (CLIENT, 0), (host, port));
                add(true, (CLIENT, 0), (BYSTANDER, port));
            }
            add(false, (CLIENT, 0), (host, 53));
        }
        for (tcp, port) in SEEN {
            add(tcp, (CLIENT, 0), (OBSERVED, port));
            add(tcp, (EXCEPTED, 0), (OBSERVED, port));
            // The same port elsewhere, and elsewhere on the same host.
            add(tcp, (CLIENT, 0), (BESIDE, port));
            add(tcp, (CLIENT, 0), (OBSERVED, port - 1));
            add(tcp, (CLIENT, 0), (OBSERVED, port + 1));
            add(!tcp, (CLIENT, 0), (OBSERVED, port));
            add(tcp, (CLIENT, port), (BYSTANDER, 53));
        }
    }
    all.into_iter().collect()
}

/// What is asked of the program, once in its words and once as the library has them.
#[derive(Clone)]
struct Policy {
    name: String,
    /// The messengers' features that it closes; all, if `None`.
    chosen: Option<Vec<(Service, Feature)>>,
    profile: Profile,
    observed: bool,
    excepts: bool,
    hooks: Vec<Hook>,
    action: Action,
}

impl Policy {
    fn args(&self, findings: &str) -> Vec<String> {
        let mut args: Vec<String> = Vec::new();
        let mut say = |words: &[&str]| args.extend(words.iter().map(ToString::to_string));
        let profile = self.profile.name();
        say(&["--profile", profile]);
        let hooks: Vec<_> = self.hooks.iter().map(|hook| hook.name()).collect();
        say(&["--direction", &hooks.join(",")]);
        let action = match self.action {
            Action::Reject => "reject",
            Action::Drop => "drop",
            Action::Log => "log",
        };
        say(&["--action", action]);
        if let Some(chosen) = &self.chosen {
            let words: Vec<_> = chosen
                .iter()
                .map(|(service, feature)| format!("{service}:{feature}"))
                .collect();
            say(&["--feature", &words.join(",")]);
        }
        if self.observed {
            say(&["--observed", findings]);
        }
        if self.excepts {
            let nets: Vec<_> = [false, true]
                .map(|six| client(six, EXCEPTED).to_string())
                .into();
            say(&["--except", &nets.join(",")]);
        }
        args
    }

    fn plan(&self, rules: &RuleSet) -> Plan {
        let excepted = [false, true].map(|six| client(six, EXCEPTED).into());
        let request = Request {
            features: self
                .chosen
                .iter()
                .flatten()
                .map(|(service, feature)| FeatureChoice::parse(&format!("{service}:{feature}")))
                .collect(),
            profile: self.profile,
            hooks: self.hooks.clone(),
            action: self.action,
            exceptions: if self.excepts {
                excepted.into()
            } else {
                Vec::new()
            },
            ..Request::default()
        };
        let sightings = if self.observed {
            sightings()
        } else {
            Sightings::default()
        };
        Plan::observing(rules, &request, &sightings).unwrap()
    }

    /// By the scenario: this cell is the business of a feature that is asked for, or goes to where one was seen.
    fn closes(&self, rules: &RuleSet, cell: &Cell) -> bool {
        let excepted = [false, true].map(|six| client(six, EXCEPTED));
        if self.excepts && excepted.contains(&cell.from.ip()) {
            return false;
        }
        let at_observed = |six| cell.to.ip() == server(six, OBSERVED);
        if self.observed
            && (at_observed(false) || at_observed(true))
            && SEEN.contains(&(cell.tcp, cell.to.port()))
        {
            return true;
        }
        let wanted = |fact: &Fact<'_>| match &self.chosen {
            None => true,
            Some(chosen) => chosen.contains(&(fact.service.clone(), fact.rule.feature)),
        };
        self.profile == Profile::Full
            && facts(rules)
                .iter()
                .any(|fact| wanted(fact) && fact.is_about(cell.tcp, cell.to.port()))
    }

    /// How a connection that is refused ends for the client. A machine's own datagram is refused to its face.
    fn predicted(&self, cell: &Cell) -> &'static str {
        let own = self.hooks.contains(&Hook::Output);
        match (self.action, cell.tcp) {
            (Action::Log, _) => "open",
            (_, false) if own => "denied",
            (Action::Reject, _) => "refused",
            (Action::Drop, _) => "silent",
        }
    }

    /// Where rules are loaded. All three hooks on all three machines: the first that meets a connection refuses it.
    fn places(&self) -> Vec<Place> {
        match self.hooks.as_slice() {
            [Hook::Forward] => vec![Place::Gateway],
            [Hook::Output] => vec![Place::Client],
            [Hook::Input] => vec![Place::Server],
            _ => vec![Place::Client, Place::Gateway, Place::Server],
        }
    }
}

fn sightings() -> Sightings {
    let mut all = Sightings::default();
    for (place, six, tcp, port) in seen() {
        all.flows.push(Sighting {
            service: Service::AIM,
            feature: policy::feature_of("oscar"),
            transport: if tcp { Transport::Tcp } else { Transport::Udp },
            client: Endpoint::new(client(six, 200), 50_000),
            server: Endpoint::new(server(six, OBSERVED), port),
            proxied: false,
            opening: None,
            place: format!("seen.ndjson, flow {place}"),
        });
    }
    all
}

/// The same as findings.
fn findings() -> String {
    let mut text = String::new();
    for (number, six, tcp, port) in seen() {
        writeln!(
            text,
            r#"{{"schema":"imwarden/1","event_type":"flow","flow_id":{number},"src_ip":"{}","src_port":50000,"dest_ip":"{}","dest_port":{port},"proto":"{}","service":"aim","app_proto":"oscar","confidence":"confirmed","path":[]}}"#,
            client(six, 200),
            server(six, OBSERVED),
            if tcp { "TCP" } else { "UDP" }
        )
        .unwrap();
    }
    text
}

fn seen() -> Vec<(usize, bool, bool, u16)> {
    let both = [false, true].into_iter();
    both.flat_map(|six| SEEN.map(|(tcp, port)| (six, tcp, port)))
        .enumerate()
        .map(|(number, (six, tcp, port))| (number + 1, six, tcp, port))
        .collect()
}

/// Everything, at each place and in each way; then each feature of each messenger alone, and what was observed alone.
fn policies(rules: &RuleSet) -> Vec<Policy> {
    let everything = Policy {
        name: "everything".into(),
        chosen: None,
        profile: Profile::Full,
        observed: true,
        excepts: true,
        hooks: vec![Hook::Forward],
        action: Action::Reject,
    };
    let mut all = Vec::new();
    for action in [Action::Reject, Action::Drop, Action::Log] {
        for hooks in [
            vec![Hook::Forward],
            vec![Hook::Output],
            vec![Hook::Input],
            vec![Hook::Forward, Hook::Output, Hook::Input],
        ] {
            all.push(Policy {
                name: format!("{action:?} {hooks:?}"),
                hooks,
                action,
                ..everything.clone()
            });
        }
    }
    let alone: BTreeSet<_> = facts(rules)
        .iter()
        .map(|fact| (fact.service.clone(), fact.rule.feature))
        .collect();
    for (service, feature) in alone {
        all.push(Policy {
            name: format!("{service}:{feature} alone"),
            chosen: Some(vec![(service, feature)]),
            observed: false,
            excepts: false,
            ..everything.clone()
        });
    }
    all.push(Policy {
        name: "what was observed alone".into(),
        profile: Profile::None,
        excepts: false,
        ..everything
    });
    all
}

/// Figures of one firewall.
#[derive(Default)]
struct Score {
    policies: usize,
    closed: usize,
    refused: usize,
    bystanders: usize,
    touched: usize,
    /// Refused by nobody, because the policy only looks.
    looked_at: usize,
    attempts: u64,
    counted: u64,
}

struct Matrix {
    lab: Lab,
    backend: Backend,
    rules: RuleSet,
    cells: Vec<Cell>,
    findings: tempfile::NamedTempFile,
    score: Score,
    wrong: Vec<String>,
}

impl Matrix {
    fn new(backend: Backend) -> Self {
        let rules = RuleSet::builtin().unwrap();
        let mut lab = Lab::new();
        let mut hosts: Vec<u8> = facts(&rules)
            .iter()
            .map(|fact| host_of(&rules, fact.service))
            .chain([BYSTANDER, OBSERVED, BESIDE])
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        let add = |device: &str, ip: IpAddr| {
            let (length, nodad) = if ip.is_ipv4() {
                (24, "")
            } else {
                (64, "nodad")
            };
            format!("ip addr replace {ip}/{length} dev {device} {nodad}; ")
        };
        let mut command = String::new();
        for host in hosts {
            command += &add("s0", server(false, host));
            command += &add("s0", server(true, host));
        }
        lab.sh(Place::Server, &command);
        let command = add("c0", client(false, EXCEPTED)) + &add("c0", client(true, EXCEPTED));
        lab.sh(Place::Client, &command);
        // Each refusal is to be told, however many there are in a second.
        let tell =
            "echo 0 >/proc/sys/net/ipv4/icmp_ratemask; echo 0 >/proc/sys/net/ipv6/icmp/ratelimit";
        for place in [Place::Client, Place::Gateway, Place::Server] {
            lab.sh(place, tell);
        }
        let cells = cells(&rules);
        let places: BTreeSet<String> = cells
            .iter()
            .map(|cell| {
                if cell.tcp {
                    format!("tcp {}", cell.to.port())
                } else {
                    format!("udp {}", cell.to)
                }
            })
            .collect();
        lab.listen(&places.into_iter().collect::<Vec<_>>());
        let findings = tempfile::Builder::new()
            .suffix(".ndjson")
            .tempfile()
            .unwrap();
        std::fs::write(findings.path(), self::findings()).unwrap();
        Self {
            lab,
            backend,
            rules,
            cells,
            findings,
            score: Score::default(),
            wrong: Vec::new(),
        }
    }

    fn attempts(&mut self, patience: impl Fn(&Cell) -> Duration) -> Vec<String> {
        let attempts: Vec<_> = self
            .cells
            .iter()
            .map(|cell| Attempt {
                tcp: cell.tcp,
                from: cell.from,
                to: cell.to,
                patience: patience(cell),
            })
            .collect();
        self.lab.attempt(&attempts)
    }

    /// A path that is not up yet would read as "all is blocked", and IPv6 takes a moment.
    fn baseline(&mut self) {
        let begun = Instant::now();
        loop {
            let results = self.attempts(|_| Duration::from_secs(1));
            if results.iter().all(|result| result == "open") {
                break;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "no baseline: {results:?}"
            );
        }
        self.lab.arrived();
    }

    /// SYNs that the client's kernel has sent a second time.
    fn repeated(&mut self) -> u64 {
        let text = self.lab.out(Place::Client, "grep ^Tcp: /proc/net/snmp");
        let mut lines = text.lines().map(str::split_whitespace);
        let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
        let mut pairs = names.zip(values);
        let (_, value) = pairs.find(|(name, _)| *name == "RetransSegs").unwrap();
        value.parse().unwrap()
    }

    fn judge(&mut self, policy: &Policy) {
        let args = policy.args(self.findings.path().to_str().unwrap());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let loaded: Vec<_> = policy
            .places()
            .into_iter()
            .map(|place| self.lab.load(place, self.backend, &args))
            .collect();
        let closed: Vec<bool> = self
            .cells
            .iter()
            .map(|cell| policy.closes(&self.rules, cell))
            .collect();
        let silent: BTreeSet<_> = self
            .cells
            .iter()
            .zip(&closed)
            .filter(|(cell, closed)| **closed && policy.predicted(cell) == "silent")
            .map(|(cell, _)| *cell)
            .collect();
        let before = self.repeated();
        let results = self.attempts(|cell| {
            if silent.contains(cell) {
                SILENCE
            } else {
                PATIENCE
            }
        });
        let repeated = self.repeated() - before;
        let arrived = self.lab.arrived();
        self.score.policies += 1;
        let passes = policy.action == Action::Log;
        let mut reached: BTreeMap<String, u64> = BTreeMap::new();
        for ((cell, closed), result) in self.cells.iter().zip(&closed).zip(&results) {
            if !closed || passes {
                let word = if cell.tcp { "tcp" } else { "udp" };
                *reached.entry(format!("{word} {}", cell.to)).or_default() += 1;
            }
            let wanted = if *closed {
                policy.predicted(cell)
            } else {
                "open"
            };
            let right = result == wanted;
            if *closed && passes {
                self.score.looked_at += 1;
            } else if *closed {
                self.score.closed += 1;
                self.score.refused += usize::from(right);
            } else {
                self.score.bystanders += 1;
                self.score.touched += usize::from(!right);
            }
            if !right {
                let what = format!("{}: {result}, not {wanted}: {cell:?}", policy.name);
                self.wrong.push(what);
            }
        }
        // What the server saw is what was let through, no more and no less.
        if arrived != reached {
            let differ: Vec<_> = arrived
                .iter()
                .filter(|(place, times)| reached.get(*place) != Some(times))
                .collect();
            self.wrong
                .push(format!("{}: arrived: {differ:?}", policy.name));
        }
        self.count(policy, &closed, repeated);
        for rules in loaded {
            rules.remove(&mut self.lab);
        }
    }

    /// Each attempt was counted once, by the rule that the plan names.
    fn count(&mut self, policy: &Policy, closed: &[bool], repeated: u64) {
        let plan = policy.plan(&self.rules);
        let target = match self.backend {
            Backend::Nftables => Target::Nftables,
            _ => Target::IptablesScript,
        };
        let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
        for (cell, closed) in self.cells.iter().zip(closed) {
            let end = |at: SocketAddr| Endpoint::new(at.ip(), at.port());
            let attempt = policy::Attempt {
                transport: if cell.tcp {
                    Transport::Tcp
                } else {
                    Transport::Udp
                },
                client: end(cell.from),
                server: end(cell.to),
                payload: Vec::new(),
                extended: false,
            };
            let rule = match plan.decide(&attempt, target) {
                policy::Decision::Passes => None,
                policy::Decision::Refused(reason)
                | policy::Decision::RefusedByPayload(reason)
                | policy::Decision::Logged(reason) => Some(reason.rule),
            };
            if rule.is_some() != *closed {
                self.wrong
                    .push(format!("{}: the plan says {rule:?}: {cell:?}", policy.name));
            }
            if let Some(rule) = rule {
                *wanted.entry(rule).or_default() += 1;
            }
        }
        let mut counted: BTreeMap<String, u64> = BTreeMap::new();
        for place in policy.places() {
            for (rule, packets) in self.lab.counters(place, self.backend) {
                *counted.entry(rule).or_default() += packets;
            }
        }
        counted.retain(|_, packets| *packets > 0);
        let attempts = wanted.values().sum::<u64>() + repeated;
        let total = counted.values().sum::<u64>();
        // What is only looked at goes on: more packets are counted when it talks and ends, and at each machine.
        if policy.action == Action::Log {
            if counted.keys().ne(wanted.keys()) || total < attempts {
                self.wrong
                    .push(format!("{}: counted {counted:?}", policy.name));
            }
            return;
        }
        self.score.attempts += attempts;
        self.score.counted += total;
        if total != attempts || repeated == 0 && counted != wanted {
            self.wrong.push(format!(
                "{}: counted {counted:?}, attempts {wanted:?}, {repeated} sent again",
                policy.name
            ));
        }
    }
}

fn scenario(backend: Backend) {
    let mut matrix = Matrix::new(backend);
    matrix.baseline();
    let begun = Instant::now();
    for policy in policies(&matrix.rules) {
        matrix.judge(&policy);
    }
    // And when all rules are gone, all is as it was.
    let results = matrix.attempts(|_| PATIENCE);
    let open = results.iter().filter(|result| *result == "open").count();
    let Score {
        policies,
        closed,
        refused,
        bystanders,
        touched,
        looked_at,
        attempts,
        counted,
    } = matrix.score;
    say(&format!(
        "enforcement matrix, {}: {policies} policies; refused as predicted {refused} of {closed}; bystanders touched {touched} of {bystanders}; \
         counted {counted} of {attempts} attempts; only looked at {looked_at}; {:.1} s",
        backend.name(),
        begun.elapsed().as_secs_f32()
    ));
    assert!(
        matrix.wrong.is_empty(),
        "{} wrong, such as\n{}",
        matrix.wrong.len(),
        matrix.wrong[..matrix.wrong.len().min(12)].join("\n")
    );
    assert_eq!((refused, touched, counted), (closed, 0, attempts));
    assert_eq!(open, results.len(), "after all rules are gone");
    assert!(
        closed > 1_000 && bystanders > 10_000,
        "{closed} {bystanders}"
    );
}

fn matrix(name: &str, backend: Backend, programs: &[&str]) {
    let words = lab::run(name, backend, programs);
    for line in words.lines().filter(|line| line.contains("matrix")) {
        say(line);
    }
}

#[test]
#[ignore = "the inside of the matrix; it starts it itself"]
fn inside_the_lab() {
    lab::inside(scenario);
}

#[test]
fn what_is_named_is_refused_and_nothing_else_by_nftables() {
    matrix(
        "what_is_named_is_refused_and_nothing_else_by_nftables",
        Backend::Nftables,
        &["ip", "nft"],
    );
}

#[test]
fn what_is_named_is_refused_and_nothing_else_by_iptables_nft() {
    matrix(
        "what_is_named_is_refused_and_nothing_else_by_iptables_nft",
        Backend::IptablesNft,
        &["ip", "ipset", "iptables-nft", "ip6tables-nft"],
    );
}

#[test]
fn what_is_named_is_refused_and_nothing_else_by_iptables_legacy() {
    matrix(
        "what_is_named_is_refused_and_nothing_else_by_iptables_legacy",
        Backend::IptablesLegacy,
        &["ip", "ipset", "iptables-legacy", "ip6tables-legacy"],
    );
}
