//! A file from which something is missing: a line, an element of a set or of a list of ports, the end of a range, one
//! condition of a rule. Whatever it is, the comparison must notice; what could go without being noticed would be dead weight, or
//! something that no test looks at.

use crate::compare::compare;
use crate::policy_support::{can_run, path, say};
use crate::{INSIDE, PROGRAMS, backend, hellos, hooks, inside, lab, policy, written};
use imwarden::policy::Action;
use imwarden::policy::prove::{Backend, Firewall, Rules};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Connections by chance, behind the sweep, that a file with something missing is compared on.
const CHANCES: usize = 200;

/// What is the same without it, and why it is there nevertheless.
const EQUIVALENT: [(&str, &str); 1] = [(
    "meta l4proto tcp reject with tcp reset",
    "nft puts the condition before a TCP reset by itself",
)];

/// The end of a name is asked for before its many forms are: without that they would be asked for always.
fn only_saves_time(line: &str, left: &str) -> bool {
    line.contains(" -j IMW-BELOW-")
        && !left.contains("-m string")
        && left.contains(" -j IMW-BELOW-")
}

/// What is different from what the plan says, if anything is.
fn noticed(text: &str, backend: Backend, variant: &str) -> Result<(), String> {
    let plan = policy(variant);
    let (target, _) = written(&plan, backend);
    let mut lab = lab();
    let rules = Rules::of(text.to_owned()).ok_or("no rules")?;
    let load = || Firewall::load(backend, &rules).map_err(|error| error.to_string());
    let firewall = load()?;
    let once = listing(backend);
    if once.contains("imw-fresh") {
        return Err("a set is left behind".to_owned());
    }
    compare(&mut lab, &firewall, &plan, target, CHANCES)?;
    if plan.action == Action::Log {
        says_so_in_the_log(backend)?;
    }
    if variant == "everywhere" {
        hooks::check(&mut lab)?;
    }
    if backend != Backend::Nftables {
        if plan.action != Action::Log {
            hellos::check(&mut lab)?;
        }
        left_behind();
    }
    load()?;
    if listing(backend) == once {
        Ok(())
    } else {
        Err("loaded again, it is not the same".to_owned())
    }
}

/// A load that went wrong has left sets behind that are not in force yet.
fn left_behind() {
    let script = "for family in 4,inet,198.51.100.77 6,inet6,2001:db8:2::4d; do
        IFS=,
        set -- $family
        unset IFS
        ipset create imw-fresh$1 hash:ip,port family $2 maxelem 1048576 comment
        ipset add imw-fresh$1 $3,tcp:443
    done";
    let run = Command::new("sh").args(["-euc", script]).status().unwrap();
    assert!(run.success(), "{script}");
}

/// A log is muted in a network of its own, so this is asked of the listing.
fn says_so_in_the_log(backend: Backend) -> Result<(), String> {
    let all = listing(backend);
    let (words, families) = match backend {
        Backend::Nftables => (
            "limit rate 5/second burst 10 packets log prefix \"imwarden: \"",
            1,
        ),
        _ => (
            "-A IMW-AUDIT -m limit --limit 5/sec --limit-burst 10 -m comment --comment \"imwarden: what would be refused\" -j LOG --log-prefix \"imwarden: \"",
            2,
        ),
    };
    match all.matches(words).count() {
        count if count == families => Ok(()),
        count => Err(format!("{count} rules log")),
    }
}

/// All rules of this network, without counters.
fn listing(backend: Backend) -> String {
    let script = match backend {
        Backend::Nftables => "nft -s list ruleset",
        Backend::IptablesNft => {
            "iptables-nft -S; ip6tables-nft -S; ipset save | sed 's/ initval .*//' | sort"
        }
        Backend::IptablesLegacy => {
            "export XTABLES_LOCKFILE=/dev/null; iptables-legacy -S; ip6tables-legacy -S; ipset save | sed 's/ initval .*//' | sort"
        }
    };
    let run = Command::new("sh").args(["-c", script]).output().unwrap();
    assert!(run.status.success(), "{script}");
    String::from_utf8(run.stdout).unwrap()
}

/// A file on the standard input: prints whether anybody noticed that it is not the plan's.
#[test]
#[ignore = "the inside of the mutations; they start it themselves"]
fn inside_a_mutation() {
    let Ok(role) = std::env::var(INSIDE) else {
        return;
    };
    let (name, variant) = role.split_once(' ').unwrap();
    let text = std::io::read_to_string(std::io::stdin()).unwrap();
    let found = noticed(&text, backend(name), variant);
    let words = found.map_or_else(|what| format!("NOTICED {what}"), |()| "MISSED".to_owned());
    writeln!(std::io::stdout(), "{}", words.replace('\n', " ")).unwrap();
}

/// What was noticed, if anything.
fn run(text: &str, backend: Backend, variant: &str) -> Option<String> {
    let role = format!("{} {variant}", backend.name());
    let mut child = inside("mutation::inside_a_mutation", &role)
        .env("PATH", path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let found = told.lines().find_map(|line| {
        let noticed = line.split_once("NOTICED ");
        noticed
            .map(|(_, what)| Some(what.to_owned()))
            .or_else(|| line.contains("MISSED").then_some(None))
    });
    found.unwrap_or_else(|| {
        panic!(
            "the mutation did not run: {told} {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// Something that is missing, and the line that is left in its place.
struct Mutant {
    kind: &'static str,
    at: usize,
    line: Option<String>,
}

/// Everything that can be missing from a line.
fn mutants(at: usize, line: &str) -> Vec<Mutant> {
    let mut all = vec![Mutant {
        kind: "lines",
        at,
        line: None,
    }];
    let mut add = |kind, lines: Vec<String>| {
        all.extend(lines.into_iter().map(|line| Mutant {
            kind,
            at,
            line: Some(line),
        }));
    };
    add("elements", without_an_element(line));
    add("elements", shorter_ranges(line));
    if !EQUIVALENT
        .iter()
        .any(|(start, _)| line.trim().starts_with(start))
    {
        let left = without_a_condition(line).into_iter();
        add(
            "conditions",
            left.filter(|left| !only_saves_time(line, left)).collect(),
        );
    }
    all
}

/// Lists of several: `{ a, b }`, `--dports a,b`, `--u32 "a&&b"`, `@ih,.. a @ih,.. b`.
fn without_an_element(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut lists = |start: &str, end: &str, joint: &str| {
        for (from, _) in line.match_indices(start) {
            let from = from + start.len();
            let Some(length) = line[from..].find(end) else {
                continue;
            };
            let parts: Vec<&str> = line[from..from + length].split(joint).collect();
            for gone in 0..parts.len() {
                let mut rest = parts.clone();
                rest.remove(gone);
                if !rest.is_empty() {
                    let (head, tail) = (&line[..from], &line[from + length..]);
                    all.push(format!("{head}{}{tail}", rest.join(joint)));
                }
            }
        }
    };
    lists("{ ", " }", ", ");
    lists("--dports ", " ", ",");
    lists("--u32 \"", "\"", "&&");
    all
}

/// `6892-6900` and `6892:6900`, one port shorter at either end.
fn shorter_ranges(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    for joint in ['-', ':'] {
        for (at, _) in line.match_indices(joint) {
            let digits = |c: char| !c.is_ascii_digit();
            let from = line[..at].rfind(digits).map_or(0, |last| last + 1);
            let length = line[at + 1..].find(digits).unwrap_or(line.len() - at - 1);
            let ends = (&line[from..at], &line[at + 1..at + 1 + length]);
            let (Ok(first), Ok(last)) = (ends.0.parse::<u16>(), ends.1.parse::<u16>()) else {
                continue;
            };
            // Only ports are lists from low to high; addresses are not, and 8-2 is a name.
            let alone = |at: Option<char>| at.is_none_or(|c| " ,\t".contains(c));
            if first >= last
                || !alone(line[..from].chars().last())
                || !alone(line[at + 1 + length..].chars().next())
            {
                continue;
            }
            for (first, last) in [(first + 1, last), (first, last - 1)] {
                let range = if first == last {
                    first.to_string()
                } else {
                    format!("{first}{joint}{last}")
                };
                let (head, tail) = (&line[..from], &line[at + 1 + length..]);
                all.push(format!("{head}{range}{tail}"));
            }
        }
    }
    all
}

/// Each condition of a rule, by the words that it begins with; the next word is its value.
const CONDITIONS: [&[&str]; 26] = [
    &["ip", "saddr"],
    &["ip", "daddr"],
    &["ip6", "saddr"],
    &["ip6", "daddr"],
    &["tcp", "dport"],
    &["udp", "dport"],
    &["tcp", "flags"],
    &["ct", "direction"],
    &["meta", "l4proto"],
    &["meta", "nfproto"],
    &["oifname"],
    &["iifname"],
    &["-d"],
    &["-s"],
    &["-m", "tcp", "--dport"],
    &["-m", "udp", "--dport"],
    &["-m", "tcp", "--sport"],
    &["-m", "udp", "--sport"],
    &["-m", "conntrack", "--ctdir"],
    &["-m", "u32", "--u32"],
    &["-m", "set", "--match-set"],
    &["-m", "connmark", "--mark"],
    &["-m", "connbytes", "--connbytes"],
    &["-m", "string"],
    &["--from"],
    &["--icase"],
];

fn without_a_condition(line: &str) -> Vec<String> {
    // A comment's words are no conditions.
    let end = line.find(" comment ").or_else(|| line.find(" -m comment "));
    let (rule, rest) = line.split_at(end.unwrap_or(line.len()));
    let words: Vec<&str> = rule.split(' ').collect();
    let mut all = Vec::new();
    for at in 0..words.len() {
        let here: Vec<&str> = words[at..].iter().map(|word| word.trim()).collect();
        let begins = |start: &&&[&str]| here.starts_with(start);
        let mut length = match CONDITIONS.iter().find(begins) {
            Some(start) => start.len(),
            None if here[0].starts_with("@ih,") => 1,
            None => continue,
        };
        // What has no value, two of them, or options of its own before it.
        if here[0] == "--icase" {
            length -= 1;
        } else if here.starts_with(&["-m", "set"]) {
            length += 1;
        } else if here.starts_with(&["-m", "connbytes"]) {
            length += 4;
        } else if here.starts_with(&["-m", "string"]) {
            length = here.iter().position(|word| word.starts_with('"')).unwrap();
        }
        length += usize::from(here.get(length) == Some(&"!="));
        // A key of several parts is one look-up, which is a line's whole sense.
        if here.contains(&"vmap") && here.get(length) != Some(&"{") {
            continue;
        }
        length += match here.get(length) {
            Some(&"{") => {
                here.iter()
                    .skip(length)
                    .position(|word| *word == "}")
                    .unwrap()
                    + 1
            }
            _ => 1,
        };
        let indent: String = words[at]
            .chars()
            .take_while(|c| c.is_whitespace())
            .collect();
        let mut left = words[..at].to_vec();
        left.extend(&words[(at + length).min(words.len())..]);
        all.push(format!("{indent}{}{rest}", left.join(" ")));
    }
    all
}

/// The lines of a file that do something. Of a script, those of its rules; the rest of it is tried in its own way.
fn judged(text: &str) -> Vec<(usize, &str)> {
    let script = text.starts_with("#!/bin/sh");
    let mut inside = !script;
    let mut all = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if ["END-OF-RULES", "END-OF-SETS"].contains(&line) {
            inside = false;
        }
        let word = line.trim();
        if inside && !word.is_empty() && !word.starts_with('#') {
            all.push((at, line));
        }
        inside |= line.ends_with("<<'END-OF-RULES'") || line.ends_with("<<'END-OF-SETS'");
    }
    all
}

/// Those of which something is so, in their order; two at a time are asked.
pub fn those<T: Sync>(all: &[T], is: impl Fn(&T) -> bool + Sync) -> Vec<&T> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    match all.get(at) {
                        Some(it) if is(it) => found.lock().unwrap().push(at),
                        Some(_) => {}
                        None => break,
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort_unstable();
    found.into_iter().map(|at| &all[at]).collect()
}

/// Every line of a backend's files, those of further policies as far as they are new.
fn nothing_can_go(name: &str, backend: Backend) {
    if !can_run(name, &PROGRAMS) {
        return;
    }
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut survivors = Vec::new();
    let kinds = ["lines", "elements", "conditions"];
    let mut tried = [0_usize; 3];
    for variant in ["all", "drops", "some", "looks", "everywhere"] {
        let (_, text) = written(&policy(variant), backend);
        // Whole, it is what the plan says.
        assert_eq!(run(&text, backend, variant), None, "{variant}");
        let lines: Vec<&str> = text.lines().collect();
        let here = judged(&text);
        let fresh = here.iter().filter(|(_, line)| !known.contains(*line));
        let mutants: Vec<Mutant> = fresh.flat_map(|(at, line)| mutants(*at, line)).collect();
        for mutant in &mutants {
            tried[kinds.iter().position(|kind| *kind == mutant.kind).unwrap()] += 1;
        }
        let missed = |mutant: &Mutant| {
            let mut changed: Vec<&str> = lines.clone();
            match &mutant.line {
                Some(line) => changed[mutant.at] = line,
                None => _ = changed.remove(mutant.at),
            }
            run(&format!("{}\n", changed.join("\n")), backend, variant).is_none()
        };
        for mutant in those(&mutants, missed) {
            let left = mutant.line.as_deref().unwrap_or("nothing").trim();
            survivors.push(format!(
                "{variant}, line {}: {}\n    becomes {left}",
                mutant.at + 1,
                lines[mutant.at].trim()
            ));
        }
        known.extend(here.iter().map(|(_, line)| (*line).to_owned()));
    }
    let sum: usize = tried.iter().sum();
    let killed = sum - survivors.len();
    let per_mille = 1000 * killed / sum;
    say(&format!(
        "mutations, {}: noticed {killed} of {sum} ({} lines, {} elements, {} conditions): {}.{} %",
        backend.name(),
        tried[0],
        tried[1],
        tried[2],
        per_mille / 10,
        per_mille % 10
    ));
    assert!(tried.iter().all(|tried| *tried > 10), "{tried:?}");
    assert!(
        survivors.is_empty(),
        "{} of {sum} are missed by nobody:\n{}",
        survivors.len(),
        survivors.join("\n")
    );
}

#[test]
fn nothing_of_the_nftables_file_can_go_without_being_missed() {
    nothing_can_go(
        "nothing_of_the_nftables_file_can_go_without_being_missed",
        Backend::Nftables,
    );
}

#[test]
fn nothing_of_the_iptables_rules_can_go_without_being_missed() {
    nothing_can_go(
        "nothing_of_the_iptables_rules_can_go_without_being_missed",
        Backend::IptablesLegacy,
    );
}
