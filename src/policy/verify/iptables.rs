//! What is wrong with our chains, and with what stands before the jumps into them: in iptables an ACCEPT is the last word.

use super::machine::{Families, Machine};
use super::{Kind, LOAD_AGAIN, Verdict, hooks, interface};
use crate::policy::apply::{Rule, is_our_chain};
use crate::policy::prove::Backend;
use std::collections::BTreeSet;

/// How our own rules that let pass begin their comment.
const OWN: &str = "imwarden: ";
/// Chains in other chains, deeper than anybody's.
const DEEPEST: usize = 16;

/// The filter table of one family.
struct Filter<'a> {
    backend: Backend,
    program: &'static str,
    rules: Vec<Rule<'a>>,
    /// Ports that our chains refuse.
    ports: Vec<(u16, u16)>,
    /// Something is refused on any port.
    any_port: bool,
    /// Something is judged by what is said, which is after a connection was established.
    content: bool,
    /// Sets for endpoints that rules look into, and that are empty or not there.
    empty: BTreeSet<String>,
}

pub(super) fn judge(machine: &Machine, families: &Families, verdict: &mut Verdict) {
    let [v4, v6] = families.backend.xtables();
    let mut judged = Vec::new();
    let mut blind = Vec::new();
    for (program, save) in [(v4, &families.v4), (v6, &families.v6)] {
        let filter = Filter::of(families.backend, program, save, &machine.ports);
        let hooks = filter.hooks();
        if hooks.is_empty() || !filter.refuses() {
            blind.push(program);
        } else {
            judged.extend(hooks);
        }
        for set in &filter.empty {
            verdict.fault(
                Kind::EmptySet,
                Some(families.backend),
                format!("rules of {program} look into the set {set}, and nothing is in it: they refuse nothing"),
                LOAD_AGAIN,
            );
        }
        filter.before_our_jumps(verdict);
        filter.shadows(verdict);
        filter.interfaces(machine, verdict);
    }
    judged.sort_unstable();
    judged.dedup();
    let not_judged = |program: &str| {
        format!("no rule of {program} leads into chains of ours that refuse anything")
    };
    match blind.as_slice() {
        [_, _] => verdict.fault(
            Kind::NotLoaded,
            Some(families.backend),
            not_judged("iptables or ip6tables"),
            LOAD_AGAIN,
        ),
        [program] if *program == v6 => {
            if machine.ipv6 {
                let what = not_judged(program);
                verdict.fault(Kind::NoIpv6, Some(families.backend), what, LOAD_AGAIN);
            }
        }
        [program] => verdict.fault(
            Kind::NotLoaded,
            Some(families.backend),
            not_judged(program),
            LOAD_AGAIN,
        ),
        [] | [..] => {}
    }
    hooks(machine, families.backend, &judged, verdict);
}

impl<'a> Filter<'a> {
    fn of(
        backend: Backend,
        program: &'static str,
        save: &'a str,
        sets: &[(String, Vec<u16>)],
    ) -> Self {
        let rules: Vec<Rule<'a>> = save.lines().filter_map(Rule::of).collect();
        let mut filter = Self {
            backend,
            program,
            rules,
            ports: Vec::new(),
            any_port: false,
            content: false,
            empty: BTreeSet::new(),
        };
        for rule in filter.rules.clone() {
            let refuses = rule.target().is_some_and(|target| {
                target.starts_with("IMW-") && !matches!(target, "IMW-SCOPE" | "IMW-CLIENTS")
            });
            if !is_our_chain(rule.chain) || !refuses {
                continue;
            }
            let content = rule.words.contains("-m u32 ") || rule.words.contains("-m string ");
            filter.content |= content;
            match (destination_ports(rule.words), seen_set(rule.words)) {
                (Some(ports), _) => filter.ports.extend(ports),
                (None, Some(name)) => {
                    let set = sets.iter().find(|(set, _)| set == name);
                    let ports = set.map_or(&[][..], |(_, ports)| ports);
                    filter.ports.extend(ports.iter().map(|port| (*port, *port)));
                    filter
                        .empty
                        .extend(ports.is_empty().then(|| name.to_owned()));
                }
                // In a feature's own chain nothing is chosen any more.
                (None, None) => filter.any_port |= content || rule.words.contains("--match-set"),
            }
        }
        filter
    }

    fn of_chain(&self, chain: &str) -> Vec<Rule<'a>> {
        let here = self.rules.iter().filter(|rule| rule.chain == chain);
        here.copied().collect()
    }

    /// Where packets come into our chains.
    fn hooks(&self) -> Vec<&'static str> {
        let built_in = [
            ("FORWARD", "forward"),
            ("INPUT", "input"),
            ("OUTPUT", "output"),
        ];
        built_in
            .into_iter()
            .filter(|(chain, _)| {
                let rules = self.of_chain(chain);
                rules.iter().any(|rule| rule.target() == Some("IMWARDEN"))
            })
            .map(|(_, hook)| hook)
            .collect()
    }

    /// Whether any rule of our chains refuses anything, or tells of it.
    fn refuses(&self) -> bool {
        self.rules.iter().any(|rule| {
            let last = matches!(rule.target(), Some("REJECT" | "DROP" | "LOG" | "NFLOG"));
            is_our_chain(rule.chain) && last
        })
    }

    fn before_our_jumps(&self, verdict: &mut Verdict) {
        for chain in ["FORWARD", "INPUT", "OUTPUT"] {
            let rules = self.of_chain(chain);
            let Some(jump) = rules
                .iter()
                .position(|rule| rule.target() == Some("IMWARDEN"))
            else {
                continue;
            };
            for rule in rules.iter().take(jump) {
                let mut found = BTreeSet::new();
                self.accepts(*rule, DEEPEST, &mut found);
                for (rule, established) in found {
                    let what = format!(
                        "in {chain} of {}, the jump into our chains stands behind a rule that accepts: {}",
                        self.program,
                        rule.escape_debug()
                    );
                    if established && !self.content {
                        verdict.remarks.push(format!(
                            "{what}. New connections are judged; those that were open before stay open"
                        ));
                    } else {
                        verdict.fault(
                            Kind::BehindAccept,
                            Some(self.backend),
                            what,
                            "`imwarden apply` puts the jump first again; whoever puts rules before it should do so earlier",
                        );
                    }
                }
            }
        }
    }

    /// Rules that accept something that is ours to judge, and whether only what is established already.
    fn accepts(&self, rule: Rule<'a>, depth: usize, found: &mut BTreeSet<(String, bool)>) {
        if depth == 0 || self.is_harmless(rule.words) {
            return;
        }
        match rule.target() {
            Some("ACCEPT") => {
                let words = format!("-A {} {}", rule.chain, rule.words);
                found.insert((words, is_only_established(rule.words)));
            }
            Some(target) if !is_our_chain(target) => {
                let established = is_only_established(rule.words);
                for inner in self.of_chain(target) {
                    let mut deeper = BTreeSet::new();
                    self.accepts(inner, depth - 1, &mut deeper);
                    found.extend(
                        deeper
                            .into_iter()
                            .map(|(words, inside)| (words, inside || established)),
                    );
                }
            }
            _ => {}
        }
    }

    /// Whether nothing that our chains refuse is matched.
    fn is_harmless(&self, words: &str) -> bool {
        let words = format!(" {words} ");
        let is = |option: &str| words.contains(option) && !words.contains(&format!(" !{option}"));
        if is(" -i lo ") || is(" -o lo ") {
            return true;
        }
        let protocol = words
            .split_once(" -p ")
            .filter(|(before, _)| !before.ends_with(" !"))
            .and_then(|(_, rest)| rest.split(' ').next());
        if protocol.is_some_and(|it| !matches!(it, "tcp" | "udp" | "all" | "6" | "17")) {
            return true;
        }
        let Some(theirs) = destination_ports(&words) else {
            return false;
        };
        let meets = |a: &(u16, u16), b: &(u16, u16)| a.0 <= b.1 && b.0 <= a.1;
        !self.any_port
            && !theirs
                .iter()
                .any(|one| self.ports.iter().any(|other| meets(one, other)))
    }

    fn shadows(&self, verdict: &mut Verdict) {
        let chains: BTreeSet<&str> = self
            .rules
            .iter()
            .map(|rule| rule.chain)
            .filter(|chain| is_our_chain(chain))
            .collect();
        for chain in chains {
            let rules = self.of_chain(chain);
            for (at, rule) in rules.iter().enumerate() {
                let behind = rules.len() - at - 1;
                let Some(target) = rule.target() else {
                    continue;
                };
                if behind == 0 {
                    break;
                }
                let ends = matches!(target, "ACCEPT" | "RETURN" | "DROP" | "REJECT")
                    || rule.words.contains(" -g ");
                if !ends {
                    continue;
                }
                if is_unconditional(rule.words) {
                    verdict.fault(
                        Kind::Shadowed,
                        Some(self.backend),
                        format!(
                            "in {chain} of {}, rule {} of {} ends every packet's way ({target}): no packet comes to the {behind} behind it",
                            self.program,
                            at + 1,
                            rules.len()
                        ),
                        LOAD_AGAIN,
                    );
                    break;
                }
                let own = rule.words.contains(&format!("--comment \"{OWN}"));
                if matches!(target, "ACCEPT" | "RETURN") && !own {
                    verdict.fault(
                        Kind::Shadowed,
                        Some(self.backend),
                        format!(
                            "in {chain} of {}, rule {} of {} lets pass what the {behind} behind it are for, and no policy of ours has it: {}",
                            self.program,
                            at + 1,
                            rules.len(),
                            rule.words.escape_debug()
                        ),
                        "if somebody is to be left alone, say so with `--except`",
                    );
                }
            }
        }
    }

    fn interfaces(&self, machine: &Machine, verdict: &mut Verdict) {
        for rule in &self.rules {
            let ours = is_our_chain(rule.chain) || rule.target().is_some_and(is_our_chain);
            if !ours {
                continue;
            }
            let words: Vec<&str> = rule.words.split(' ').collect();
            for pair in words.windows(3) {
                if let [before, "-i" | "-o", name] = pair
                    && *before != "!"
                {
                    self.interface(machine, rule, name, verdict);
                }
            }
            if let ["-i" | "-o", name, ..] = words.as_slice() {
                self.interface(machine, rule, name, verdict);
            }
        }
    }

    fn interface(&self, machine: &Machine, rule: &Rule<'a>, name: &str, verdict: &mut Verdict) {
        let place = format!("a rule of {} in {}", rule.chain, self.program);
        interface(machine, name, self.backend, &place, verdict);
    }
}

/// `--dport 80`, `--dports 80,443,6000:6010`; `None` if a rule is for any port.
fn destination_ports(words: &str) -> Option<Vec<(u16, u16)>> {
    let mut all = words.split(' ');
    let mut before = "";
    let list = loop {
        let word = all.next()?;
        if matches!(word, "--dport" | "--dports") {
            // All but these: that is nearly any.
            if before == "!" {
                return None;
            }
            break all.next()?;
        }
        before = word;
    };
    list.split(',')
        .map(|item| {
            let (first, last) = item.split_once(':').unwrap_or((item, item));
            Some((first.parse().ok()?, last.parse().ok()?))
        })
        .collect()
}

/// `-m set --match-set imw-seen-aim-session4 dst,dst`: an address and a port.
fn seen_set(words: &str) -> Option<&str> {
    let (_, rest) = words.split_once("--match-set ")?;
    let (name, rest) = rest.split_once(' ')?;
    let ends = rest.split(' ').next()?;
    ends.contains(',').then_some(name)
}

/// `-m conntrack --ctstate RELATED,ESTABLISHED`.
fn is_only_established(words: &str) -> bool {
    let mut before = "";
    let mut all = words.split(' ');
    while let Some(word) = all.next() {
        if matches!(word, "--ctstate" | "--state") && before != "!" {
            let states = all.next().unwrap_or_default();
            return states
                .split(',')
                .all(|state| matches!(state, "RELATED" | "ESTABLISHED"));
        }
        before = word;
    }
    false
}

/// Nothing but a comment before the target.
fn is_unconditional(words: &str) -> bool {
    let bare = match words.split_once("-m comment --comment ") {
        Some((before, rest)) => {
            let after = match rest.strip_prefix('"') {
                Some(rest) => rest.split_once("\" ").map_or("", |(_, after)| after),
                None => rest.split_once(' ').map_or("", |(_, after)| after),
            };
            format!("{before}{after}")
        }
        None => words.to_owned(),
    };
    bare.starts_with("-j ") || bare.starts_with("-g ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_for_what_they_match() {
        assert_eq!(
            destination_ports("-p tcp -m multiport --dports 80,6000:6010 -j X"),
            Some(vec![(80, 80), (6000, 6010)])
        );
        assert_eq!(destination_ports("-p tcp -m tcp --sport 80 -j X"), None);
        assert_eq!(destination_ports("-p tcp -m tcp ! --dport 80 -j X"), None);
        assert!(is_only_established(
            "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
        ));
        assert!(!is_only_established(
            "-m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT"
        ));
        assert!(!is_only_established(
            "-m conntrack ! --ctstate INVALID -j ACCEPT"
        ));
        assert!(!is_only_established(
            "-m conntrack ! --ctstate ESTABLISHED -j ACCEPT"
        ));
        assert!(is_unconditional(
            "-m comment --comment \"imwarden: a b\" -j DROP"
        ));
        assert!(is_unconditional("-m comment --comment imwarden -g IMW-X"));
        assert!(is_unconditional("-j DROP"));
        assert!(!is_unconditional(
            "-p tcp -m comment --comment \"x\" -j DROP"
        ));
        assert!(!is_unconditional(
            "-m comment --comment \"x\" -m u32 --u32 \"0=1\" -j DROP"
        ));
    }

    #[test]
    fn an_accept_before_our_jump_matters_if_it_takes_what_we_refuse() {
        let verdict = |before: &str, ours: &str| {
            let save = format!(
                "{before}\n-A FORWARD -j IMWARDEN\n{ours}\n-A IMWARDEN -p tcp -m tcp --dport 5190 -j IMW-AIM\n-A IMW-AIM -j DROP\n"
            );
            let mut verdict = Verdict::default();
            let sets = [("imw-seen-aim4".to_owned(), vec![8443])];
            let filter = Filter::of(Backend::IptablesNft, "iptables-nft", &save, &sets);
            filter.before_our_jumps(&mut verdict);
            (verdict.faults.len(), verdict.remarks.len())
        };
        for (before, faults, remarks) in [
            ("-A FORWARD -j ACCEPT", 1, 0),
            ("-A FORWARD -i lan -j ACCEPT", 1, 0),
            ("-A FORWARD -p tcp -m tcp --dport 5000:5200 -j ACCEPT", 1, 0),
            ("-A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT", 0, 0),
            ("-A FORWARD -p icmp -j ACCEPT", 0, 0),
            ("-A FORWARD -i lo -j ACCEPT", 0, 0),
            ("-A FORWARD ! -i lo -j ACCEPT", 1, 0),
            ("-A FORWARD -p tcp -j DROP", 0, 0),
            ("-A FORWARD -j OTHER\n-A OTHER -p tcp -j ACCEPT", 1, 0),
            ("-A FORWARD -j OTHER\n-A OTHER -j RETURN", 0, 0),
            (
                "-A FORWARD -p tcp -m tcp --dport 80 -j OTHER\n-A OTHER -j ACCEPT",
                0,
                0,
            ),
            (
                "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                0,
                1,
            ),
            ("-A FORWARD -j A\n-A A -j A", 0, 0),
        ] {
            assert_eq!(verdict(before, ""), (faults, remarks), "{before}");
        }
        // Endpoints that were seen are known by their ports; what is said may be said on any.
        let seen = "-A IMWARDEN -m set --match-set imw-seen-aim4 dst,dst -g IMW-SEEN-AIM\n-A IMWARDEN -m set --match-set imw-seen-aim4 src,src -g IMW-SEEN-AIM";
        let web = "-A FORWARD -p tcp -m tcp --dport 443 -j ACCEPT";
        let other = "-A FORWARD -p tcp -m tcp --dport 8443 -j ACCEPT";
        assert_eq!(verdict(web, seen), (0, 0));
        assert_eq!(verdict(other, seen), (1, 0));
        let name = "-A IMW-HELLOS -m string --hex-string \"|00|a\" --algo kmp -g IMW-SNI-A";
        assert_eq!(verdict(web, name), (1, 0));
        let save = seen.replace("imw-seen-aim4", "imw-seen-aim6");
        let filter = Filter::of(Backend::IptablesNft, "iptables-nft", &save, &[]);
        assert_eq!(Vec::from_iter(filter.empty), ["imw-seen-aim6"]);
        // What is judged by what is said comes after a connection was established.
        let established = "-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT";
        let content = "-A IMWARDEN -p tcp -m u32 --u32 \"0=1\" -j IMW-AIM";
        assert_eq!(verdict(established, content), (1, 0));
    }
}
