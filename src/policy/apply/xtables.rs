//! Our chains, as `iptables-save` prints them, and the transaction that puts others in their place.

use crate::policy::live::is_our_chain;
use serde::{Deserialize, Serialize};

/// Whether a chain is ours.
pub fn is_ours(chain: &str) -> bool {
    chain == "IMWARDEN" || chain.starts_with("IMW-")
}

/// What of one family's filter table is ours. Lines keep their packet counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chains {
    /// Names, in the order of the listing.
    pub names: Vec<String>,
    /// Rules of the built-in chains that lead into ours.
    pub jumps: Vec<String>,
    /// Rules of our chains.
    pub rules: Vec<String>,
}

/// A line of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// Which chain it is in.
    pub chain: &'a str,
    /// Everything behind the chain's name.
    pub words: &'a str,
    /// Packets that it matched, if the listing says.
    pub packets: Option<u64>,
}

impl<'a> Rule<'a> {
    /// `-A FORWARD -p tcp -j X`, with `[3:180]` in front or not.
    pub fn of(line: &'a str) -> Option<Self> {
        let (packets, bare) = match line.strip_prefix('[') {
            Some(rest) => {
                let (counts, bare) = rest.split_once("] ")?;
                (counts.split(':').next()?.parse().ok(), bare)
            }
            None => (None, line),
        };
        let rest = bare.strip_prefix("-A ")?;
        let (chain, words) = rest.split_once(' ').unwrap_or((rest, ""));
        Some(Self {
            chain,
            words,
            packets,
        })
    }

    /// Where it leads: `-j X` or `-g X`. What is quoted is no target.
    pub fn target(&self) -> Option<&'a str> {
        let mut words = self.words.split(' ');
        let mut quoted = false;
        while let Some(word) = words.next() {
            if !quoted && matches!(word, "-j" | "-g") {
                return words.next();
            }
            // `"one` begins, `two"` ends, `"three"` does both; a quote inside is written \".
            let quotes = word.matches('"').count() - word.matches("\\\"").count();
            quoted ^= quotes % 2 == 1;
        }
        None
    }
}

/// The lines of the filter table.
fn filter(save: &str) -> impl Iterator<Item = &str> {
    save.lines()
        .skip_while(|line| *line != "*filter")
        .take_while(|line| *line != "COMMIT")
        .filter(|line| !line.starts_with('#'))
}

impl Chains {
    /// What of a listing is ours.
    pub fn of(save: &str) -> Self {
        let mut ours = Self::default();
        for line in filter(save) {
            if let Some(chain) = line.strip_prefix(':') {
                let name = chain.split(' ').next().unwrap_or_default();
                if is_ours(name) {
                    ours.names.push(name.to_owned());
                }
            } else if let Some(rule) = Rule::of(line) {
                if is_ours(rule.chain) {
                    ours.rules.push(line.to_owned());
                } else if rule.target().is_some_and(is_ours) {
                    ours.jumps.push(line.to_owned());
                }
            }
        }
        ours
    }

    /// Whether there is anything.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.jumps.is_empty()
    }

    /// The same without counters, to be compared.
    pub fn text(&self) -> String {
        let lines = self.names.iter().map(|name| format!(":{name}"));
        let bare = |line: &String| {
            Rule::of(line).map_or_else(String::new, |rule| {
                format!("-A {} {}", rule.chain, rule.words)
            })
        };
        let rules = self.jumps.iter().chain(&self.rules).map(bare);
        let mut text: Vec<String> = lines.chain(rules).collect();
        text.push(String::new());
        text.join("\n")
    }

    /// Rules that are also among these have counted as much as those.
    pub fn count_on_from(&mut self, live: &Self) {
        let bare = |line: &str| Rule::of(line).map(|rule| format!("{} {}", rule.chain, rule.words));
        for line in &mut self.rules {
            let same = live.rules.iter().find(|it| bare(it) == bare(line));
            if let Some(same) = same {
                line.clone_from(same);
            }
        }
    }

    /// A file for `iptables-restore --noflush -c` that puts these in the place of others, in one transaction.
    ///
    /// Each jump becomes the first rule of its chain: behind somebody's ACCEPT it would do nothing.
    pub fn in_place_of(&self, live: &Self) -> String {
        let mut lines = vec!["*filter".to_owned()];
        let mut say = |line: String| lines.push(line);
        for name in &self.names {
            say(format!(":{name} - [0:0]"));
        }
        for line in &live.jumps {
            if let Some(rule) = Rule::of(line) {
                say(format!("-D {} {}", rule.chain, rule.words));
            }
        }
        for name in live.names.iter().chain(&self.names) {
            say(format!("-F {name}"));
        }
        for line in &self.rules {
            say(line.clone());
        }
        // Inserted as first ones, so the last of a chain goes in first.
        for line in self.jumps.iter().rev() {
            if let Some(rule) = Rule::of(line) {
                say(format!("-I {} 1 {}", rule.chain, rule.words));
            }
        }
        for name in live.names.iter().filter(|name| !self.names.contains(name)) {
            say(format!("-X {name}"));
        }
        say("COMMIT".to_owned());
        say(String::new());
        lines.join("\n")
    }
}

/// A listing of all tables without what is ours, without counters and remarks. A table in which nobody has put anything is
/// as good as none.
pub fn without_ours(save: &str) -> String {
    let mut text = String::new();
    let mut table = String::new();
    let mut used = false;
    for line in save.lines().filter(|line| !line.starts_with('#')) {
        let chain = line
            .strip_prefix(':')
            .and_then(|chain| chain.split(' ').next());
        let rule = Rule::of(line);
        // What is refused live comes and goes by itself.
        let is_ours = |chain: &str| is_ours(chain) || is_our_chain(chain);
        let ours = chain.is_some_and(is_ours)
            || rule.is_some_and(|rule| is_ours(rule.chain) || rule.target().is_some_and(is_ours));
        if ours {
            continue;
        }
        // The counters of a built-in chain stand behind its policy.
        let bare = match (chain, rule) {
            (Some(_), _) => line.split(" [").next().unwrap_or(line).to_owned(),
            (_, Some(rule)) => format!("-A {} {}", rule.chain, rule.words),
            _ => line.to_owned(),
        };
        used |= rule.is_some() || chain.is_some() && !bare.ends_with(" ACCEPT");
        table.push_str(&bare);
        table.push('\n');
        if line == "COMMIT" {
            if used {
                text.push_str(&table);
            }
            table.clear();
            used = false;
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SAVE: &str = "\
# Generated by iptables-save v1.8.9 on a day
*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -j IMWARDEN-NOT-OURS
COMMIT
*filter
:INPUT ACCEPT [5:300]
:FORWARD DROP [0:0]
:IMWARDEN - [0:0]
:IMW-MSN - [0:0]
:OTHERS - [0:0]
:IMWLIVE - [0:0]
[0:0] -A FORWARD -p tcp -j IMWLIVE
[7:420] -A FORWARD -m comment --comment imwarden -j IMWARDEN
[0:0] -A FORWARD -m comment --comment \"a -j IMWARDEN\" -j OTHERS
[1:60] -A IMWARDEN -p tcp -m tcp --dport 1863 -m comment --comment \"msn/session \\\" (document)\" -j IMW-MSN
[1:60] -A IMW-MSN -j DROP
[0:0] -A IMWLIVE -p tcp -j RETURN
COMMIT
";

    #[test]
    fn our_part_is_told_from_others() {
        let ours = Chains::of(SAVE);
        assert_eq!(ours.names, ["IMWARDEN", "IMW-MSN"]);
        assert_eq!(ours.jumps.len(), 1);
        assert_eq!(ours.rules.len(), 2);
        assert_eq!(Rule::of(&ours.rules[0]).unwrap().target(), Some("IMW-MSN"));
        assert_eq!(Rule::of(&ours.rules[0]).unwrap().packets, Some(1));
        assert_eq!(
            without_ours(SAVE),
            "*nat\n:PREROUTING ACCEPT\n-A PREROUTING -j IMWARDEN-NOT-OURS\nCOMMIT\n*filter\n:INPUT ACCEPT\n:FORWARD DROP\n:OTHERS -\n-A FORWARD -m comment --comment \"a -j IMWARDEN\" -j OTHERS\nCOMMIT\n"
        );
    }

    #[test]
    fn one_transaction_takes_the_old_out_and_puts_the_new_in() {
        let old = Chains::of(SAVE);
        let new = Chains {
            names: vec!["IMWARDEN".into(), "IMW-AIM".into()],
            jumps: vec!["-A OUTPUT ! -o lo -j IMWARDEN".into()],
            rules: vec!["[4:1] -A IMWARDEN -j IMW-AIM".into()],
        };
        assert_eq!(
            new.in_place_of(&old),
            "*filter\n:IMWARDEN - [0:0]\n:IMW-AIM - [0:0]\n-D FORWARD -m comment --comment imwarden -j IMWARDEN\n-F IMWARDEN\n-F IMW-MSN\n-F IMWARDEN\n-F IMW-AIM\n[4:1] -A IMWARDEN -j IMW-AIM\n-I OUTPUT 1 ! -o lo -j IMWARDEN\n-X IMW-MSN\nCOMMIT\n"
        );
        assert_eq!(
            Chains::default().in_place_of(&new),
            "*filter\n-D OUTPUT ! -o lo -j IMWARDEN\n-F IMWARDEN\n-F IMW-AIM\n-X IMWARDEN\n-X IMW-AIM\nCOMMIT\n"
        );
        assert_eq!(
            old.text(),
            Chains::of(&SAVE.replace("[7:420]", "[8:480]")).text()
        );
    }
}
