//! Our sets of `ipset`, which rules of iptables look into and a resolver fills.

use super::ApplyError;
use crate::policy::tool::{is_installed, run};
use serde::{Deserialize, Serialize};

/// How their names begin.
const OURS: &str = "imw-";
/// Where new elements of a set wait, before it changes places with it.
const FRESH: &str = "imw-fresh";
/// Rules that are gone let go of their sets a moment later.
const TRIES: u32 = 20;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// The sets and what is in them, as `ipset save` prints it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sets(Vec<String>);

impl Sets {
    /// Reads them.
    pub fn read() -> Result<Self, ApplyError> {
        if !is_installed("ipset") {
            return Ok(Self::default());
        }
        let text = run("ipset", &["save"], &[], "")?;
        Ok(Self::of(&text))
    }

    fn of(text: &str) -> Self {
        let ours = |line: &&str| {
            line.split(' ')
                .nth(1)
                .is_some_and(|it| it.starts_with(OURS))
        };
        Self(text.lines().filter(ours).map(str::to_owned).collect())
    }

    /// Each set's name, and how much is in it.
    pub fn sizes(&self) -> Vec<(&str, usize)> {
        let mut all: Vec<(&str, usize)> = Vec::new();
        for line in &self.0 {
            let mut words = line.split(' ');
            match (words.next(), words.next()) {
                (Some("create"), Some(name)) => all.push((name, 0)),
                (Some("add"), Some(name)) => {
                    if let Some(set) = all.iter_mut().find(|set| set.0 == name) {
                        set.1 += 1;
                    }
                }
                _ => {}
            }
        }
        all
    }

    /// Makes them, where they are not there yet. What a resolver has put into one that is there stays; in the others is what
    /// is in these, from one moment to the next.
    pub fn make(&self) -> Result<(), ApplyError> {
        if self.0.is_empty() {
            return Ok(());
        }
        run("ipset", &["restore", "-exist"], &[], &self.restore())?;
        Ok(())
    }

    fn restore(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        // The set that is being made, and where its elements wait.
        let mut fresh: Option<(&str, String)> = None;
        let swap = |lines: &mut Vec<String>, fresh: Option<(&str, String)>| {
            if let Some((set, new)) = fresh {
                lines.push(format!("swap {new} {set}"));
                lines.push(format!("destroy {new}"));
            }
        };
        for line in &self.0 {
            let mut words = line.splitn(3, ' ');
            let (verb, set, rest) = (words.next(), words.next(), words.next());
            let (Some(verb), Some(set), Some(rest)) = (verb, set, rest) else {
                continue;
            };
            if verb == "create" {
                swap(&mut lines, fresh.take());
                lines.push(line.clone());
                if !is_learned(line) {
                    let new = format!("{FRESH}{}", set.chars().last().unwrap_or_default());
                    lines.push(format!("create {new} {rest}"));
                    lines.push(format!("flush {new}"));
                    fresh = Some((set, new));
                }
            } else if let Some((_, new)) = &fresh {
                lines.push(format!("{verb} {new} {rest}"));
            } else {
                lines.push(line.clone());
            }
        }
        swap(&mut lines, fresh);
        lines.push(String::new());
        lines.join("\n")
    }

    /// The ports of the endpoints that are in a set.
    pub fn ports(&self, set: &str) -> Vec<u16> {
        let start = format!("add {set} ");
        let element = |line: &String| {
            let (element, _) = line.strip_prefix(&start)?.split_once(' ')?;
            element.rsplit_once(':')?.1.parse().ok()
        };
        self.0.iter().filter_map(element).collect()
    }

    /// Destroys those that are not among the wanted. No rule may look into them any more.
    pub fn destroy_but(&self, wanted: &Self) -> Result<(), ApplyError> {
        let wanted = wanted.sizes();
        for (name, _) in self.sizes() {
            if wanted.iter().any(|(other, _)| *other == name) {
                continue;
            }
            let mut tries = 0;
            while let Err(error) = run("ipset", &["destroy", name], &[], "") {
                tries += 1;
                if tries == TRIES {
                    return Err(error.into());
                }
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// As text that can be compared: without what a resolver has put into them.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut elements: Vec<&String> = Vec::new();
        let mut learned = true;
        for line in &self.0 {
            if !line.starts_with("create ") {
                elements.extend((!learned).then_some(line));
                continue;
            }
            learned = is_learned(line);
            // What a kernel adds by itself differs with its version and from set to set.
            let words: Vec<&str> = line.split(' ').collect();
            let kept = words.iter().position(|word| *word == "hashsize");
            text.push_str(
                &words
                    .get(..kept.unwrap_or(words.len()))
                    .unwrap_or_default()
                    .join(" "),
            );
            text.push('\n');
        }
        // A kernel has them in any order.
        elements.sort_unstable();
        for line in elements {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// Takes everything out of these, where they are.
pub(super) fn empty(names: &[String]) -> Result<(), ApplyError> {
    let there = Sets::read()?;
    for name in names {
        if there.sizes().iter().any(|(it, _)| it == name) {
            run("ipset", &["flush", name], &[], "")?;
        }
    }
    Ok(())
}

/// Whether what is in it comes from a resolver, and goes by itself.
fn is_learned(create: &str) -> bool {
    create.contains(" timeout ")
}

#[cfg(test)]
mod tests {
    use super::Sets;

    #[test]
    fn our_sets_are_told_from_others() {
        let sets = Sets::of(
            "create imw-a4 hash:ip family inet hashsize 1024 maxelem 65536 timeout 60 bucketsize 12 initval 0x61\n\
             create blocked hash:ip family inet\nadd imw-a4 192.0.2.1 timeout 59\nadd blocked 192.0.2.2\n",
        );
        assert_eq!(sets.sizes(), [("imw-a4", 1)]);
        assert_eq!(sets.text(), "create imw-a4 hash:ip family inet\n");
    }

    #[test]
    fn what_was_seen_is_compared_and_changes_places_with_what_is_there() {
        let sets = Sets::of(
            "create imw-seen6 hash:ip,port family inet6 hashsize 1024 maxelem 9 comment bucketsize 12 initval 0x61\n\
             add imw-seen6 2001:db8::2,tcp:443 comment \"seen in 1 flow, b.pcap, flow 2\"\n\
             add imw-seen6 2001:db8::1,udp:53 comment \"seen in 1 flow, a.pcap, flow 1\"\n\
             create imw-a4 hash:ip family inet hashsize 64 timeout 60\nadd imw-a4 192.0.2.1 timeout 59\n",
        );
        assert_eq!(
            sets.text(),
            "create imw-seen6 hash:ip,port family inet6\ncreate imw-a4 hash:ip family inet\n\
             add imw-seen6 2001:db8::1,udp:53 comment \"seen in 1 flow, a.pcap, flow 1\"\n\
             add imw-seen6 2001:db8::2,tcp:443 comment \"seen in 1 flow, b.pcap, flow 2\"\n"
        );
        assert_eq!(sets.ports("imw-seen6"), [443, 53]);
        assert_eq!(
            sets.restore(),
            "create imw-seen6 hash:ip,port family inet6 hashsize 1024 maxelem 9 comment bucketsize 12 initval 0x61\n\
             create imw-fresh6 hash:ip,port family inet6 hashsize 1024 maxelem 9 comment bucketsize 12 initval 0x61\n\
             flush imw-fresh6\n\
             add imw-fresh6 2001:db8::2,tcp:443 comment \"seen in 1 flow, b.pcap, flow 2\"\n\
             add imw-fresh6 2001:db8::1,udp:53 comment \"seen in 1 flow, a.pcap, flow 1\"\n\
             swap imw-fresh6 imw-seen6\ndestroy imw-fresh6\n\
             create imw-a4 hash:ip family inet hashsize 64 timeout 60\nadd imw-a4 192.0.2.1 timeout 59\n"
        );
    }
}
